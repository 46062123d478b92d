//! COSE keys and algorithm numbers (RFC 9052 §7, RFC 9053, RFC 8230, RFC 9864, RFC 9964) as
//! WebAuthn L3 §5.8.5 and §6.5.1.1 narrow them: canonical CBOR, `alg` present, no optional member.

use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, CborError};

/// A `COSEAlgorithmIdentifier`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CoseAlgorithm(pub i32);

impl CoseAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    pub const ES256: Self = Self(-7);
    /// EdDSA; in WebAuthn always Ed25519.
    pub const EDDSA: Self = Self(-8);
    /// ECDSA on P-256 with SHA-256, fully specified (RFC 9864).
    pub const ESP256: Self = Self(-9);
    /// Ed25519, fully specified (RFC 9864).
    pub const ED25519: Self = Self(-19);
    /// Key agreement of the PIN/UV auth protocols (not a signature).
    pub const ECDH_ES_HKDF_256: Self = Self(-25);
    /// ECDSA on P-384 with SHA-384.
    pub const ES384: Self = Self(-35);
    /// ECDSA on P-521 with SHA-512.
    pub const ES512: Self = Self(-36);
    /// RSASSA-PSS with SHA-256.
    pub const PS256: Self = Self(-37);
    /// RSASSA-PSS with SHA-384.
    pub const PS384: Self = Self(-38);
    /// RSASSA-PSS with SHA-512.
    pub const PS512: Self = Self(-39);
    /// ECDSA on secp256k1 with SHA-256.
    pub const ES256K: Self = Self(-47);
    /// ML-DSA-44 (FIPS 204).
    pub const ML_DSA_44: Self = Self(-48);
    /// ML-DSA-65 (FIPS 204).
    pub const ML_DSA_65: Self = Self(-49);
    /// ML-DSA-87 (FIPS 204).
    pub const ML_DSA_87: Self = Self(-50);
    /// ECDSA on P-384 with SHA-384, fully specified (RFC 9864).
    pub const ESP384: Self = Self(-51);
    /// ECDSA on P-521 with SHA-512, fully specified (RFC 9864).
    pub const ESP512: Self = Self(-52);
    /// Ed448 (RFC 9864).
    pub const ED448: Self = Self(-53);
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    pub const RS256: Self = Self(-257);
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    pub const RS384: Self = Self(-258);
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    pub const RS512: Self = Self(-259);
    /// RSASSA-PKCS1-v1_5 with SHA-1; only in attestation statements of old TPMs.
    pub const RS1: Self = Self(-65535);

    /// The registered name, if it is known here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ES256 => "ES256",
            Self::EDDSA => "EdDSA",
            Self::ESP256 => "ESP256",
            Self::ED25519 => "Ed25519",
            Self::ECDH_ES_HKDF_256 => "ECDH-ES+HKDF-256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256K => "ES256K",
            Self::ML_DSA_44 => "ML-DSA-44",
            Self::ML_DSA_65 => "ML-DSA-65",
            Self::ML_DSA_87 => "ML-DSA-87",
            Self::ESP384 => "ESP384",
            Self::ESP512 => "ESP512",
            Self::ED448 => "Ed448",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::RS1 => "RS1",
            _ => return None,
        })
    }
}

impl core::fmt::Display for CoseAlgorithm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// COSE curve numbers.
pub mod curve {
    /// NIST P-256.
    pub const P256: i32 = 1;
    /// NIST P-384.
    pub const P384: i32 = 2;
    /// NIST P-521.
    pub const P521: i32 = 3;
    /// Ed25519.
    pub const ED25519: i32 = 6;
    /// Ed448.
    pub const ED448: i32 = 7;
    /// secp256k1.
    pub const SECP256K1: i32 = 8;
}

/// Why bytes are not a COSE key that WebAuthn allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not canonical CBOR, or a member of the wrong type.
    #[error("the COSE key is malformed: {0}")]
    Cbor(#[from] CborError),
    /// A member that its key type requires is missing.
    #[error("the COSE key lacks member {0}")]
    Missing(i8),
    /// A member that is not allowed.
    #[error("the COSE key has a member that is not allowed: {0}")]
    Unexpected(i64),
    /// The key type is not known.
    #[error("COSE key type {0} is not known")]
    KeyType(i64),
    /// Key type, curve or length do not belong to the algorithm.
    #[error("the COSE key's type, curve or length does not belong to algorithm {0}")]
    Mismatch(CoseAlgorithm),
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoseKey {
    /// Key type 2: a point on an elliptic curve, uncompressed.
    Ec2 {
        /// Algorithm (3).
        alg: CoseAlgorithm,
        /// Curve (-1).
        crv: i32,
        /// x coordinate (-2), big-endian, full length.
        x: Vec<u8>,
        /// y coordinate (-3), big-endian, full length.
        y: Vec<u8>,
    },
    /// Key type 1: an octet key pair (EdDSA).
    Okp {
        /// Algorithm (3).
        alg: CoseAlgorithm,
        /// Curve (-1).
        crv: i32,
        /// Public key (-2).
        x: Vec<u8>,
    },
    /// Key type 3: RSA.
    Rsa {
        /// Algorithm (3).
        alg: CoseAlgorithm,
        /// Modulus (-1), big-endian.
        n: Vec<u8>,
        /// Exponent (-2), big-endian.
        e: Vec<u8>,
    },
    /// Key type 7: algorithm key pair (ML-DSA).
    Akp {
        /// Algorithm (3).
        alg: CoseAlgorithm,
        /// Public key (-1).
        pub_: Vec<u8>,
    },
}

/// The members of any key, before its type sorts them.
#[derive(Default)]
struct Members<'a> {
    kty: Option<i64>,
    alg: Option<i32>,
    crv: Option<i32>,
    minus1: Option<&'a [u8]>,
    minus2: Option<&'a [u8]>,
    minus3: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, CoseError> {
        cbor::check(bytes)?;
        let wrong = |_| CborError::UnexpectedType;
        let mut d = Decoder::new(bytes);
        let count = d.map().map_err(wrong)?.unwrap_or(0);
        let mut members = Self::default();
        for _ in 0..count {
            match d.i64().map_err(wrong)? {
                1 => members.kty = Some(d.i64().map_err(wrong)?),
                3 => members.alg = Some(d.i32().map_err(wrong)?),
                // Curve or bytes: by the key type, which canonical order puts first.
                -1 if matches!(members.kty, Some(1 | 2)) => {
                    members.crv = Some(d.i32().map_err(wrong)?)
                }
                -1 => members.minus1 = Some(d.bytes().map_err(wrong)?),
                -2 => members.minus2 = Some(d.bytes().map_err(wrong)?),
                -3 => members.minus3 = Some(d.bytes().map_err(wrong)?),
                other => return Err(CoseError::Unexpected(other)),
            }
        }
        Ok(members)
    }

    fn need<T>(member: Option<T>, label: i8) -> Result<T, CoseError> {
        member.ok_or(CoseError::Missing(label))
    }

    fn none<T>(member: Option<T>, label: i64) -> Result<(), CoseError> {
        member.map_or(Ok(()), |_| Err(CoseError::Unexpected(label)))
    }
}

impl CoseKey {
    /// Reads a key: canonical CBOR, nothing after it, exactly the members of its type, and type,
    /// curve and lengths as the algorithm has them. Whether a point lies on its curve is left to
    /// cryptography.
    ///
    /// # Errors
    /// [`CoseError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        let m = Members::read(bytes)?;
        let kty = Members::need(m.kty, 1)?;
        let alg = CoseAlgorithm(Members::need(m.alg, 3)?);
        let key = match kty {
            1 => {
                Members::none(m.minus3, -3)?;
                Self::Okp {
                    alg,
                    crv: Members::need(m.crv, -1)?,
                    x: Members::need(m.minus2, -2)?.to_vec(),
                }
            }
            2 => Self::Ec2 {
                alg,
                crv: Members::need(m.crv, -1)?,
                x: Members::need(m.minus2, -2)?.to_vec(),
                y: Members::need(m.minus3, -3)?.to_vec(),
            },
            3 => {
                Members::none(m.minus3, -3)?;
                Self::Rsa {
                    alg,
                    n: Members::need(m.minus1, -1)?.to_vec(),
                    e: Members::need(m.minus2, -2)?.to_vec(),
                }
            }
            7 => {
                Members::none(m.minus2, -2)?;
                Members::none(m.minus3, -3)?;
                Self::Akp {
                    alg,
                    pub_: Members::need(m.minus1, -1)?.to_vec(),
                }
            }
            other => return Err(CoseError::KeyType(other)),
        };
        if key.fits_its_algorithm() {
            Ok(key)
        } else {
            Err(CoseError::Mismatch(alg))
        }
    }

    /// §5.8.5: which type, curve and length each algorithm has. Unknown algorithms pass.
    fn fits_its_algorithm(&self) -> bool {
        use CoseAlgorithm as A;
        let ec2 = |curve, length| {
            matches!(self, Self::Ec2 { crv, x, y, .. }
                if *crv == curve && x.len() == length && y.len() == length)
        };
        let okp = |curve, length| matches!(self, Self::Okp { crv, x, .. } if *crv == curve && x.len() == length);
        let akp = |length| matches!(self, Self::Akp { pub_, .. } if pub_.len() == length);
        match self.algorithm() {
            A::ES256 | A::ESP256 | A::ECDH_ES_HKDF_256 => ec2(curve::P256, 32),
            A::ES384 | A::ESP384 => ec2(curve::P384, 48),
            A::ES512 | A::ESP512 => ec2(curve::P521, 66),
            A::ES256K => ec2(curve::SECP256K1, 32),
            A::EDDSA | A::ED25519 => okp(curve::ED25519, 32),
            A::ED448 => okp(curve::ED448, 57),
            A::ML_DSA_44 => akp(1312),
            A::ML_DSA_65 => akp(1952),
            A::ML_DSA_87 => akp(2592),
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512 | A::RS1 => {
                matches!(self, Self::Rsa { .. })
            }
            _ => true,
        }
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> CoseAlgorithm {
        match self {
            Self::Ec2 { alg, .. }
            | Self::Okp { alg, .. }
            | Self::Rsa { alg, .. }
            | Self::Akp { alg, .. } => *alg,
        }
    }

    /// Writes the key in canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let mut e = Encoder::new(&mut out);
        // Writing to a Vec cannot fail: the result says nothing.
        let _ = self.write(&mut e);
        out
    }

    fn write(
        &self,
        e: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        match self {
            Self::Okp { alg, crv, x } => {
                e.map(4)?.u8(1)?.u8(1)?.u8(3)?.i32(alg.0)?;
                e.i8(-1)?.i32(*crv)?.i8(-2)?.bytes(x)?;
            }
            Self::Ec2 { alg, crv, x, y } => {
                e.map(5)?.u8(1)?.u8(2)?.u8(3)?.i32(alg.0)?;
                e.i8(-1)?.i32(*crv)?.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?;
            }
            Self::Rsa {
                alg,
                n,
                e: exponent,
            } => {
                e.map(4)?.u8(1)?.u8(3)?.u8(3)?.i32(alg.0)?;
                e.i8(-1)?.bytes(n)?.i8(-2)?.bytes(exponent)?;
            }
            Self::Akp { alg, pub_ } => {
                e.map(3)?
                    .u8(1)?
                    .u8(7)?
                    .u8(3)?
                    .i32(alg.0)?
                    .i8(-1)?
                    .bytes(pub_)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::cbor::Value;

    fn es256() -> CoseKey {
        CoseKey::Ec2 {
            alg: CoseAlgorithm::ES256,
            crv: 1,
            x: vec![1; 32],
            y: vec![2; 32],
        }
    }

    fn map(entries: &[(i64, Value)]) -> Vec<u8> {
        Value::Map(
            entries
                .iter()
                .map(|(k, v)| ((*k).into(), v.clone()))
                .collect(),
        )
        .encode()
    }

    #[test]
    fn keys_round_trip() {
        for key in [
            es256(),
            CoseKey::Ec2 {
                alg: CoseAlgorithm::ES512,
                crv: 3,
                x: vec![1; 66],
                y: vec![2; 66],
            },
            CoseKey::Okp {
                alg: CoseAlgorithm::EDDSA,
                crv: 6,
                x: vec![3; 32],
            },
            CoseKey::Rsa {
                alg: CoseAlgorithm::RS256,
                n: vec![0xf0; 256],
                e: vec![1, 0, 1],
            },
            CoseKey::Akp {
                alg: CoseAlgorithm::ML_DSA_44,
                pub_: vec![7; 1312],
            },
        ] {
            let bytes = key.encode();
            cbor::check(&bytes).unwrap();
            assert_eq!(CoseKey::parse(&bytes).unwrap(), key);
        }
    }

    #[test]
    fn a_key_must_fit_its_algorithm() {
        for key in [
            CoseKey::Ec2 {
                alg: CoseAlgorithm::ES256,
                crv: 2,
                x: vec![1; 48],
                y: vec![2; 48],
            },
            CoseKey::Ec2 {
                alg: CoseAlgorithm::ES256,
                crv: 1,
                x: vec![1; 31],
                y: vec![2; 32],
            },
            CoseKey::Ec2 {
                alg: CoseAlgorithm::ES512,
                crv: 1,
                x: vec![1; 32],
                y: vec![2; 32],
            },
            CoseKey::Ec2 {
                alg: CoseAlgorithm::EDDSA,
                crv: 6,
                x: vec![1; 32],
                y: vec![2; 32],
            },
            CoseKey::Okp {
                alg: CoseAlgorithm::EDDSA,
                crv: 7,
                x: vec![3; 57],
            },
            CoseKey::Okp {
                alg: CoseAlgorithm::ES256,
                crv: 6,
                x: vec![3; 32],
            },
            CoseKey::Rsa {
                alg: CoseAlgorithm::ES256,
                n: vec![1; 256],
                e: vec![3],
            },
            CoseKey::Akp {
                alg: CoseAlgorithm::ML_DSA_65,
                pub_: vec![7; 1312],
            },
        ] {
            assert_eq!(
                CoseKey::parse(&key.encode()),
                Err(CoseError::Mismatch(key.algorithm()))
            );
        }
    }

    #[test]
    fn each_malformed_key_is_named() {
        let bytes = |n: usize| Value::Bytes(vec![1; n]);
        for (key, error) in [
            (map(&[(3, (-7).into())]), CoseError::Missing(1)),
            (map(&[(1, 2.into())]), CoseError::Missing(3)),
            (
                map(&[
                    (1, 2.into()),
                    (3, (-7).into()),
                    (-1, 1.into()),
                    (-2, bytes(32)),
                ]),
                CoseError::Missing(-3),
            ),
            (
                map(&[(1, 4.into()), (3, (-7).into())]),
                CoseError::KeyType(4),
            ),
            (
                map(&[(1, 2.into()), (2, bytes(1))]),
                CoseError::Unexpected(2),
            ),
            (
                map(&[
                    (1, 1.into()),
                    (3, (-8).into()),
                    (-1, 6.into()),
                    (-2, bytes(32)),
                    (-3, bytes(32)),
                ]),
                CoseError::Unexpected(-3),
            ),
            (
                map(&[(1, 2.into()), (3, "ES256".into())]),
                CoseError::Cbor(CborError::UnexpectedType),
            ),
            // A compressed point: y is a boolean.
            (
                map(&[
                    (1, 2.into()),
                    (3, (-7).into()),
                    (-1, 1.into()),
                    (-2, bytes(32)),
                    (-3, true.into()),
                ]),
                CoseError::Cbor(CborError::UnexpectedType),
            ),
            (vec![0x80], CoseError::Cbor(CborError::UnexpectedType)),
            (
                [es256().encode(), vec![0]].concat(),
                CoseError::Cbor(CborError::TrailingBytes),
            ),
        ] {
            assert_eq!(CoseKey::parse(&key), Err(error));
        }
    }
}
