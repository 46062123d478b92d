//! Reading the members of attestation statements.

use webauthn::cbor::Value;
use webauthn::cose::CoseAlgorithm;

use super::AttestationError;

/// The members of a statement that is a map with text keys.
pub(super) struct Statement(Value);

impl Statement {
    /// Reads a statement that may have these members and no others.
    pub(super) fn read(att_stmt: &[u8], members: &[&str]) -> Result<Self, AttestationError> {
        let value = Value::decode(att_stmt)?;
        let entries = value
            .entries()
            .ok_or(AttestationError::Syntax("the statement is not a map"))?;
        let known = |key: &Value| key.as_text().is_some_and(|key| members.contains(&key));
        if entries.iter().all(|(key, _)| known(key)) {
            Ok(Self(value))
        } else {
            Err(AttestationError::Syntax(
                "the statement has a member that its format does not define",
            ))
        }
    }

    pub(super) fn alg(&self) -> Result<CoseAlgorithm, AttestationError> {
        let alg = self.0.get_text("alg").and_then(Value::as_i64);
        alg.and_then(|alg| i32::try_from(alg).ok())
            .map(CoseAlgorithm)
            .ok_or(AttestationError::Syntax("`alg` is missing or not a number"))
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get_text(key).and_then(Value::as_text)
    }

    pub(super) fn bytes(&self, key: &str, error: &'static str) -> Result<&[u8], AttestationError> {
        self.0
            .get_text(key)
            .and_then(Value::as_bytes)
            .ok_or(AttestationError::Syntax(error))
    }

    pub(super) fn sig(&self) -> Result<&[u8], AttestationError> {
        self.bytes("sig", "`sig` is missing or not a byte string")
    }

    /// The certificates, at least one, if there are any.
    pub(super) fn x5c(&self) -> Result<Option<Vec<Vec<u8>>>, AttestationError> {
        let Some(x5c) = self.0.get_text("x5c") else {
            return Ok(None);
        };
        let certificates: Option<Vec<Vec<u8>>> = x5c.as_array().and_then(|items| {
            items
                .iter()
                .map(|item| item.as_bytes().map(<[u8]>::to_vec))
                .collect()
        });
        match certificates {
            Some(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
            _ => Err(AttestationError::Syntax(
                "`x5c` is not an array of certificates",
            )),
        }
    }

    /// The certificates where the format cannot be without.
    pub(super) fn need_x5c(&self) -> Result<Vec<Vec<u8>>, AttestationError> {
        self.x5c()?
            .ok_or(AttestationError::Syntax("`x5c` is missing"))
    }
}

/// The leaf of a path that [`Statement::x5c`] has found not to be empty.
pub(super) fn leaf(x5c: &[Vec<u8>]) -> Result<&[u8], AttestationError> {
    x5c.first()
        .map(Vec::as_slice)
        .ok_or(AttestationError::Syntax("`x5c` is empty"))
}
