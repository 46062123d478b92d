//! The checks that WebAuthn L3 §7.1 (registration) and §7.2 (authentication) have in common, in the
//! order of both texts.

use rand_core::CryptoRng;
use webauthn::authenticator_data::Flags;
use webauthn::base64url::{self, Base64Url};
use webauthn::client_data::CollectedClientData;
use webauthn::options::PUBLIC_KEY;
use webauthn::origin::Origin;

use crate::crypto;
use crate::policy::BackupPolicy;
use crate::refusal::Refusal;
use crate::relying_party::{Embedding, RelyingParty};

/// Why a ceremony cannot begin: a mistake of the caller, before anybody is asked anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The user handle is not of 1 to 64 bytes (§5.4.3).
    #[error("a user handle has 1 to 64 bytes, not {0}")]
    UserHandle(usize),
    /// The policy offers no algorithm.
    #[error("the policy offers no algorithm")]
    NoAlgorithm,
    /// The policy offers an algorithm whose signatures could not be checked later.
    #[error("the policy offers algorithm {0}, which cannot be checked")]
    UnsupportedAlgorithm(webauthn::cose::CoseAlgorithm),
    /// The named user has no credential. An empty list would ask for *anybody's*.
    #[error("the user has no credential")]
    NoCredentials,
    /// A credential of another user was handed in with the named user's.
    #[error("credential {0} belongs to another user than the named one")]
    CredentialOfOtherUser(Base64Url),
    /// A credential of another RP ID was handed in: this one's authenticators cannot have it.
    #[error("credential {0} was made for another RP ID")]
    CredentialOfOtherRp(Base64Url),
    /// The policy is for a user who was identified before, and none is named.
    #[error("the policy is for a user who was identified before, and nobody is named")]
    NobodyNamed,
    /// An extension is asked for in a way that every client refuses, or that means nothing.
    #[error("extension `{extension}`: {reason}")]
    Extension {
        /// The extension.
        extension: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Fresh random bytes; the text asks for 16 or more (§13.4.3).
pub(crate) fn new_challenge(rng: &mut dyn CryptoRng) -> Base64Url {
    let mut challenge = [0; 32];
    rng.fill_bytes(&mut challenge);
    challenge.into()
}

/// When a challenge expires.
pub(crate) fn expiry(now_unix: u64, timeout_ms: u32) -> u64 {
    now_unix.saturating_add(u64::from(timeout_ms).div_ceil(1000))
}

pub(crate) fn check_expiry(expired_at: u64, now: u64) -> Result<(), Refusal> {
    if now < expired_at {
        Ok(())
    } else {
        Err(Refusal::Expired { expired_at, now })
    }
}

/// The response is of a public key credential, and its two forms of the ID agree.
pub(crate) fn check_credential(type_: &str, id: &str, raw_id: &Base64Url) -> Result<(), Refusal> {
    if type_ != PUBLIC_KEY {
        return Err(Refusal::CredentialType {
            found: type_.to_owned(),
        });
    }
    if !base64url::is_encoding_of(id, raw_id) {
        return Err(Refusal::CredentialIdText {
            expected: raw_id.clone(),
            found: id.to_owned(),
        });
    }
    Ok(())
}

/// From "Let JSONtext be" to "Verify that the value of C.topOrigin"; returns the hash.
pub(crate) fn check_client_data(
    bytes: &[u8],
    type_: &'static str,
    challenge: &Base64Url,
    rp: &RelyingParty,
) -> Result<[u8; 32], Refusal> {
    let data = CollectedClientData::parse(bytes)?;
    if data.type_ != type_ {
        let found = data.type_.into_owned();
        return Err(Refusal::ClientDataType {
            expected: type_,
            found,
        });
    }
    if !base64url::is_encoding_of(&data.challenge, challenge) {
        let found = data.challenge.into_owned();
        return Err(Refusal::Challenge {
            expected: challenge.clone(),
            found,
        });
    }
    if !contains(rp.origins(), &data.origin) {
        let found = data.origin.into_owned();
        return Err(Refusal::Origin {
            expected: rp.origins().to_vec(),
            found,
        });
    }
    check_embedding(
        rp.embedding(),
        data.cross_origin,
        data.top_origin.as_deref(),
    )?;
    Ok(crypto::sha256(&[bytes]))
}

fn check_embedding(
    embedding: &Embedding,
    cross_origin: Option<bool>,
    top_origin: Option<&str>,
) -> Result<(), Refusal> {
    let embedded = cross_origin == Some(true) || top_origin.is_some();
    match (embedding, top_origin) {
        (Embedding::Never, _) if embedded => Err(Refusal::CrossOrigin),
        (Embedding::Within(expected), Some(found)) if !contains(expected, found) => {
            Err(Refusal::TopOrigin {
                expected: expected.clone(),
                found: found.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Whether text is one of these origins. Clients send the serialised form, so that parsing is the
/// exception.
fn contains(origins: &[Origin], text: &str) -> bool {
    origins.iter().any(|origin| origin.is_serialized_as(text))
        || Origin::parse(text).is_ok_and(|found| origins.contains(&found))
}

/// The authenticator data is for this RP ID (or, with the `appid` extension, this AppID).
pub(crate) fn check_rp_id_hash(expected: &str, found: &[u8; 32]) -> Result<(), Refusal> {
    if crypto::sha256(&[expected.as_bytes()]) == *found {
        Ok(())
    } else {
        Err(Refusal::RpIdHash {
            expected: expected.to_owned(),
            found: *found,
        })
    }
}

/// Backup eligibility is as the policy wants it.
pub(crate) fn check_backup(policy: BackupPolicy, flags: Flags) -> Result<(), Refusal> {
    let fits = match policy {
        BackupPolicy::Any => true,
        BackupPolicy::DeviceBound => !flags.backup_eligible(),
        BackupPolicy::Eligible => flags.backup_eligible(),
    };
    if fits {
        Ok(())
    } else {
        let expected = policy;
        Err(Refusal::BackupEligibility { expected, flags })
    }
}

/// BS needs BE.
pub(crate) fn check_backup_state(flags: Flags) -> Result<(), Refusal> {
    if flags.backup_state() && !flags.backup_eligible() {
        Err(Refusal::BackupState { flags })
    } else {
        Ok(())
    }
}
