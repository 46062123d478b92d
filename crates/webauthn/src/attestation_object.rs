//! WebAuthn L3 §6.5.4 the attestation object.

use minicbor::{Decoder, Encoder};

use crate::cbor::{self, CborError};

/// Why bytes are not an attestation object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationObjectError {
    /// Not canonical CBOR, or a member of the wrong type.
    #[error("the attestation object is malformed: {0}")]
    Cbor(#[from] CborError),
    /// A member is missing.
    #[error("the attestation object lacks {0}")]
    Missing(&'static str),
    /// A member that the text does not define.
    #[error("the attestation object has a member that is not defined")]
    Unexpected,
}

/// An attestation object, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationObject<'a> {
    /// The attestation statement format.
    pub fmt: &'a str,
    /// The attestation statement: one canonical CBOR map, whose members the format defines.
    pub att_stmt: &'a [u8],
    /// The authenticator data.
    pub auth_data: &'a [u8],
}

impl<'a> AttestationObject<'a> {
    /// Reads an attestation object: canonical CBOR with exactly the three members.
    ///
    /// # Errors
    /// [`AttestationObjectError`]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, AttestationObjectError> {
        cbor::check(bytes)?;
        let wrong = |_| CborError::UnexpectedType;
        let mut d = Decoder::new(bytes);
        let count = d.map().map_err(wrong)?.unwrap_or(0);
        let (mut fmt, mut att_stmt, mut auth_data) = (None, None, None);
        for _ in 0..count {
            match d.str().map_err(wrong)? {
                "fmt" => fmt = Some(d.str().map_err(wrong)?),
                "attStmt" => {
                    let start = d.position();
                    d.skip().map_err(wrong)?;
                    att_stmt = Some(&bytes[start..d.position()]);
                }
                "authData" => auth_data = Some(d.bytes().map_err(wrong)?),
                _ => return Err(AttestationObjectError::Unexpected),
            }
        }
        let att_stmt = att_stmt.ok_or(AttestationObjectError::Missing("attStmt"))?;
        // Major types 4 and 5: `compound` is the one format whose statement is an array.
        if att_stmt
            .first()
            .is_none_or(|head| !matches!(head >> 5, 4 | 5))
        {
            return Err(CborError::UnexpectedType.into());
        }
        Ok(Self {
            fmt: fmt.ok_or(AttestationObjectError::Missing("fmt"))?,
            att_stmt,
            auth_data: auth_data.ok_or(AttestationObjectError::Missing("authData"))?,
        })
    }

    /// Writes the object in canonical form; `att_stmt` must be canonical CBOR already.
    pub fn encode(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(32 + self.fmt.len() + self.att_stmt.len() + self.auth_data.len());
        // Writing to a Vec cannot fail: the results say nothing.
        let _ = Encoder::new(&mut out)
            .map(3)
            .and_then(|e| e.str("fmt")?.str(self.fmt)?.str("attStmt"));
        out.extend_from_slice(self.att_stmt);
        let _ = Encoder::new(&mut out)
            .str("authData")
            .and_then(|e| e.bytes(self.auth_data));
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::cbor::Value;

    #[test]
    fn an_object_round_trips() {
        let object = AttestationObject {
            fmt: "none",
            att_stmt: &[0xa0],
            auth_data: &[1, 2, 3],
        };
        let bytes = object.encode();
        assert_eq!(AttestationObject::parse(&bytes).unwrap(), object);
    }

    #[test]
    fn each_malformed_object_is_named() {
        let map = |entries: &[(&str, Value)]| {
            Value::Map(
                entries
                    .iter()
                    .map(|(k, v)| (Value::from(*k), v.clone()))
                    .collect(),
            )
            .encode()
        };
        let (fmt, data, stmt) = (
            Value::from("none"),
            Value::Bytes(vec![1]),
            Value::Map(vec![]),
        );
        for (bytes, error) in [
            (
                map(&[("attStmt", stmt.clone()), ("authData", data.clone())]),
                AttestationObjectError::Missing("fmt"),
            ),
            (
                map(&[("fmt", fmt.clone()), ("authData", data.clone())]),
                AttestationObjectError::Missing("attStmt"),
            ),
            (
                map(&[("fmt", fmt.clone()), ("attStmt", stmt.clone())]),
                AttestationObjectError::Missing("authData"),
            ),
            (
                map(&[
                    ("fmt", fmt.clone()),
                    ("attStmt", stmt.clone()),
                    ("authData", data.clone()),
                    ("x", fmt.clone()),
                ]),
                AttestationObjectError::Unexpected,
            ),
            (
                map(&[
                    ("fmt", fmt.clone()),
                    ("attStmt", fmt.clone()),
                    ("authData", data.clone()),
                ]),
                AttestationObjectError::Cbor(CborError::UnexpectedType),
            ),
            (
                map(&[
                    ("fmt", fmt.clone()),
                    ("attStmt", stmt.clone()),
                    ("authData", fmt.clone()),
                ]),
                AttestationObjectError::Cbor(CborError::UnexpectedType),
            ),
            (
                [map(&[("fmt", fmt)]), vec![0]].concat(),
                AttestationObjectError::Cbor(CborError::TrailingBytes),
            ),
        ] {
            assert_eq!(AttestationObject::parse(&bytes), Err(error));
        }
    }
}
