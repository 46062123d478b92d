//! Credential sources (WebAuthn L3 §4 "public key credential source") and their IDs.
//!
//! A discoverable credential is stored; its ID is 32 random bytes. Any other credential takes no
//! storage: its ID *is* the credential, sealed under a key of this authenticator and bound to the
//! hash of its RP ID. RSA keys are too large for an ID, so those are stored even when they are not
//! discoverable.

use ctap::SecretBytes;
use ctap::entities::{RpEntity, UserEntity};
use minicbor::{Decoder, Encoder};
use rand_core::CryptoRng;
use webauthn::cose::CoseAlgorithm;
use zeroize::Zeroizing;

use crate::crypto::{self, CryptoError, KeyMaterial};
use crate::records::RecordError;
use crate::state::Secrets;

/// Protection of a credential (§12.1 credProtect).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum CredProtect {
    /// Level 1: usable without user verification.
    #[default]
    UserVerificationOptional = 1,
    /// Level 2: without user verification only for those who know the credential ID.
    UserVerificationOptionalWithCredentialIdList = 2,
    /// Level 3: never without user verification.
    UserVerificationRequired = 3,
}

impl CredProtect {
    /// The level with this number.
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::UserVerificationOptional),
            2 => Some(Self::UserVerificationOptionalWithCredentialIdList),
            3 => Some(Self::UserVerificationRequired),
            _ => None,
        }
    }

    /// The number on the wire.
    pub fn number(self) -> u64 {
        self as u64
    }
}

/// A credential with its private key.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialSource {
    /// The credential ID.
    pub id: Vec<u8>,
    /// SHA-256 of the RP ID.
    pub rp_id_hash: [u8; 32],
    /// The relying party; unknown for credentials that live in their ID.
    pub rp: Option<RpEntity>,
    /// The account; unknown for credentials that live in their ID.
    pub user: Option<UserEntity>,
    /// The private key.
    pub key: KeyMaterial,
    /// Whether it is found without its ID.
    pub discoverable: bool,
    /// How it is protected.
    pub cred_protect: CredProtect,
    /// Whether hmac-secret was asked for when it was made.
    pub hmac_secret: bool,
    /// Whether it has a key for a large blob (§12.3).
    pub large_blob_key: bool,
    /// Whether third parties may use it in payments (§12.9).
    pub third_party_payment: bool,
    /// The blob of the credBlob extension.
    pub cred_blob: Option<SecretBytes>,
    /// Order of creation on this key; later is higher.
    pub created: u64,
}

/// Length of the random ID of a stored credential.
pub(crate) const STORED_ID_LENGTH: usize = 32;

/// First byte of a sealed ID.
const SEALED_FORMAT: u8 = 1;
/// Algorithm (two bytes) and flags in front of the private key.
const SEALED_HEADER: usize = 3;
const CRED_PROTECT_BITS: u8 = 0x03;
const HMAC_SECRET_FLAG: u8 = 0x04;
const LARGE_BLOB_KEY_FLAG: u8 = 0x08;
const THIRD_PARTY_PAYMENT_FLAG: u8 = 0x10;

/// What extensions made of a credential, as it is stored and sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traits {
    pub(crate) cred_protect: CredProtect,
    pub(crate) hmac_secret: bool,
    pub(crate) large_blob_key: bool,
    pub(crate) third_party_payment: bool,
}

impl Traits {
    fn to_byte(self) -> u8 {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        self.cred_protect as u8
            | flag(self.hmac_secret, HMAC_SECRET_FLAG)
            | flag(self.large_blob_key, LARGE_BLOB_KEY_FLAG)
            | flag(self.third_party_payment, THIRD_PARTY_PAYMENT_FLAG)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(Self {
            cred_protect: CredProtect::from_number((byte & CRED_PROTECT_BITS).into())?,
            hmac_secret: byte & HMAC_SECRET_FLAG != 0,
            large_blob_key: byte & LARGE_BLOB_KEY_FLAG != 0,
            third_party_payment: byte & THIRD_PARTY_PAYMENT_FLAG != 0,
        })
    }
}

/// Length of the longest ID that [`seal`] makes (ES384).
pub(crate) const MAX_ID_LENGTH: usize = 1 + SEALED_HEADER + 48 + crypto::SEAL_OVERHEAD;

/// Whether a key of this algorithm fits into an ID.
pub(crate) fn fits_into_id(algorithm: CoseAlgorithm) -> bool {
    algorithm != CoseAlgorithm::RS256
}

/// Makes the ID of a credential that is not stored.
pub(crate) fn seal(
    secrets: &Secrets,
    rp_id_hash: &[u8; 32],
    key: &KeyMaterial,
    traits: Traits,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, CryptoError> {
    let algorithm = i16::try_from(key.algorithm.0).map_err(|_| CryptoError)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(SEALED_HEADER + key.bytes.len()));
    plain.extend_from_slice(&algorithm.to_be_bytes());
    plain.push(traits.to_byte());
    plain.extend_from_slice(&key.bytes);
    let mut id = vec![SEALED_FORMAT];
    id.extend_from_slice(&crypto::seal(&secrets.seal_key, rp_id_hash, &plain, rng)?);
    Ok(id)
}

/// Opens an ID that this key made for this relying party.
pub(crate) fn unseal(
    secrets: &Secrets,
    rp_id_hash: &[u8; 32],
    id: &[u8],
) -> Option<CredentialSource> {
    let (&SEALED_FORMAT, sealed) = id.split_first()? else {
        return None;
    };
    let plain = crypto::open(&secrets.seal_key, rp_id_hash, sealed)?;
    let (&[high, low, flags], key) = plain.split_first_chunk::<SEALED_HEADER>()?;
    let algorithm = CoseAlgorithm(i16::from_be_bytes([high, low]).into());
    let traits = Traits::from_byte(flags)?;
    Some(CredentialSource {
        id: id.to_vec(),
        rp_id_hash: *rp_id_hash,
        rp: None,
        user: None,
        key: KeyMaterial {
            algorithm,
            bytes: Zeroizing::new(key.to_vec()),
        },
        discoverable: false,
        cred_protect: traits.cred_protect,
        hmac_secret: traits.hmac_secret,
        large_blob_key: traits.large_blob_key,
        third_party_payment: traits.third_party_payment,
        cred_blob: None,
        created: 0,
    })
}

impl CredentialSource {
    fn traits(&self) -> Traits {
        Traits {
            cred_protect: self.cred_protect,
            hmac_secret: self.hmac_secret,
            large_blob_key: self.large_blob_key,
            third_party_payment: self.third_party_payment,
        }
    }

    /// The record for a store.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        // Writing to a Vec cannot fail: the result says nothing.
        let _ = self.write(&mut Encoder::new(&mut *out));
        out
    }

    fn write(
        &self,
        e: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        e.array(10)?.bytes(&self.id)?.bytes(&self.rp_id_hash)?;
        let optional = |e: &mut Encoder<&mut Vec<u8>>, bytes: Option<&[u8]>| match bytes {
            Some(bytes) => e.bytes(bytes).map(drop),
            None => e.null().map(drop),
        };
        optional(e, self.rp.as_ref().map(RpEntity::encode).as_deref())?;
        optional(e, self.user.as_ref().map(UserEntity::encode).as_deref())?;
        e.i32(self.key.algorithm.0)?
            .bytes(&self.key.bytes)?
            .bool(self.discoverable)?;
        e.u8(self.traits().to_byte())?;
        optional(e, self.cred_blob.as_deref())?;
        e.u64(self.created)?;
        Ok(())
    }

    /// Reads a record that [`CredentialSource::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut d = Decoder::new(bytes);
        if d.array()? != Some(10) {
            return Err(RecordError::Malformed);
        }
        let id = d.bytes()?.to_vec();
        let rp_id_hash = d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?;
        let rp = optional_bytes(&mut d)?.map(RpEntity::decode).transpose()?;
        let user = optional_bytes(&mut d)?
            .map(UserEntity::decode)
            .transpose()?;
        let key = KeyMaterial {
            algorithm: CoseAlgorithm(d.i32()?),
            bytes: Zeroizing::new(d.bytes()?.to_vec()),
        };
        let discoverable = d.bool()?;
        let traits = Traits::from_byte(d.u8()?).ok_or(RecordError::Malformed)?;
        let cred_blob = optional_bytes(&mut d)?.map(|blob| SecretBytes::from(blob.to_vec()));
        Ok(Self {
            id,
            rp_id_hash,
            rp,
            user,
            key,
            discoverable,
            cred_protect: traits.cred_protect,
            hmac_secret: traits.hmac_secret,
            large_blob_key: traits.large_blob_key,
            third_party_payment: traits.third_party_payment,
            cred_blob,
            created: d.u64()?,
        })
    }
}

fn optional_bytes<'a>(d: &mut Decoder<'a>) -> Result<Option<&'a [u8]>, RecordError> {
    if d.datatype()? == minicbor::data::Type::Null {
        d.null()?;
        return Ok(None);
    }
    Ok(Some(d.bytes()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::crypto::SigningKey;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(5)
    }

    fn source(algorithm: CoseAlgorithm) -> CredentialSource {
        CredentialSource {
            id: vec![1; STORED_ID_LENGTH],
            rp_id_hash: [2; 32],
            rp: Some(RpEntity {
                id: "example.com".into(),
                name: Some("Example".into()),
            }),
            user: Some(UserEntity {
                id: vec![3; 64],
                name: Some("ä".into()),
                display_name: None,
            }),
            key: SigningKey::generate(algorithm, &mut rng()).unwrap().0,
            discoverable: true,
            cred_protect: CredProtect::UserVerificationRequired,
            hmac_secret: true,
            large_blob_key: true,
            third_party_payment: true,
            cred_blob: Some(vec![4; 32].into()),
            created: 7,
        }
    }

    #[test]
    fn records_round_trip() {
        for algorithm in crypto::ALGORITHMS {
            let full = source(algorithm);
            assert_eq!(CredentialSource::decode(&full.encode()).unwrap(), full);
            let bare = CredentialSource {
                rp: None,
                user: None,
                cred_blob: None,
                hmac_secret: false,
                large_blob_key: false,
                third_party_payment: false,
                ..full
            };
            assert_eq!(CredentialSource::decode(&bare.encode()).unwrap(), bare);
        }
    }

    #[test]
    fn a_cut_record_is_an_error() {
        let bytes = source(CoseAlgorithm::ES256).encode();
        for length in 0..bytes.len() {
            assert!(
                CredentialSource::decode(&bytes[..length]).is_err(),
                "{length}"
            );
        }
    }

    #[test]
    fn a_sealed_id_opens_for_its_relying_party_on_its_key_only() {
        let secrets = Secrets::generate(&mut rng());
        for algorithm in [
            CoseAlgorithm::ES256,
            CoseAlgorithm::EDDSA,
            CoseAlgorithm::ES384,
        ] {
            let key = SigningKey::generate(algorithm, &mut rng()).unwrap().0;
            for level in 1..=3 {
                let level = CredProtect::from_number(level).unwrap();
                let traits = Traits {
                    cred_protect: level,
                    hmac_secret: true,
                    large_blob_key: false,
                    third_party_payment: true,
                };
                let id = seal(&secrets, &[2; 32], &key, traits, &mut rng()).unwrap();
                assert!(id.len() <= MAX_ID_LENGTH);
                let opened = unseal(&secrets, &[2; 32], &id).unwrap();
                assert_eq!((&opened.key, opened.traits()), (&key, traits));
                assert_eq!(opened.id, id);
                assert!(unseal(&secrets, &[3; 32], &id).is_none());
                let other = Secrets::generate(&mut ChaCha20Rng::seed_from_u64(6));
                assert!(unseal(&other, &[2; 32], &id).is_none());
            }
        }
    }

    #[test]
    fn a_u2f_key_handle_can_hold_a_sealed_id() {
        const { assert!(MAX_ID_LENGTH <= 255) };
    }

    #[test]
    fn debug_shows_no_private_key() {
        let source = source(CoseAlgorithm::ES256);
        let shown = format!("{source:?}");
        assert!(shown.contains("KeyMaterial(ES256 (-7), ..)"));
        assert!(shown.contains("SecretBytes(32 bytes)"));
        assert!(!shown.contains(&format!("{:?}", &source.key.bytes[..4]).replace(['[', ']'], "")));
    }
}
