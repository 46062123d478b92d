//! Why a ceremony is refused: one variant per check, in the order of WebAuthn L3 §7.1 (registration)
//! and §7.2 (authentication), each with what was expected and what was found.

use webauthn::Base64Url;
use webauthn::attestation_object::AttestationObjectError;
use webauthn::authenticator_data::{Aaguid, AuthenticatorDataError, Flags};
use webauthn::client_data::ClientDataError;
use webauthn::cose::{CoseAlgorithm, CoseError};
use webauthn::options::CredentialProtectionPolicy;
use webauthn::origin::Origin;

use crate::attestation::{AttestationError, Trust};
use crate::metadata::ModelRefusal;
use crate::policy::{AttestationTrustPolicy, BackupPolicy, UserVerificationPolicy};

/// Why a ceremony is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The answer came after the challenge had expired (both in Unix seconds).
    #[error("the challenge expired at {expired_at}, and it is {now}")]
    Expired {
        /// When the challenge expired.
        expired_at: u64,
        /// When the answer came.
        now: u64,
    },
    /// The credential is not of type `public-key`.
    #[error("a credential of type `public-key` was expected, not `{found}`")]
    CredentialType {
        /// Its type.
        found: String,
    },
    /// `id` is not the base64url form of `rawId`.
    #[error("the credential's id is `{found}`, but its rawId is {expected}")]
    CredentialIdText {
        /// `rawId`.
        expected: Base64Url,
        /// `id`.
        found: String,
    },
    /// Authentication: the credential is none of `allowCredentials`.
    #[error("credential {found} is none of the {allowed} that were allowed")]
    CredentialNotAllowed {
        /// How many were allowed.
        allowed: usize,
        /// The credential ID.
        found: Base64Url,
    },
    /// Authentication: there is no record of the credential.
    #[error("credential {found} is not known")]
    UnknownCredential {
        /// The credential ID.
        found: Base64Url,
    },
    /// Authentication: the record handed in is that of another credential.
    #[error("the record is of credential {found}, not of {expected}")]
    RecordOfOtherCredential {
        /// The credential ID of the answer.
        expected: Base64Url,
        /// The credential ID of the record.
        found: Base64Url,
    },
    /// Authentication: the credential belongs to another user than the one who was identified before.
    #[error("the credential belongs to user {found}, not to {expected}")]
    RecordOfOtherUser {
        /// The user handle that the ceremony is for.
        expected: Base64Url,
        /// The user handle of the record.
        found: Base64Url,
    },
    /// Authentication: the record was made for another RP ID.
    #[error("the credential was made for RP ID `{found}`, not `{expected}`")]
    RecordOfOtherRp {
        /// The RP ID of the ceremony.
        expected: String,
        /// The RP ID of the record.
        found: String,
    },
    /// Authentication: nobody was identified before, and the answer has no user handle.
    #[error("a user handle was expected, because no user was named")]
    UserHandleMissing,
    /// Authentication: the answer's user handle is not that of the credential's user.
    #[error("user handle {expected} was expected, not {found}")]
    UserHandle {
        /// The user handle of the record.
        expected: Base64Url,
        /// The user handle of the answer.
        found: Base64Url,
    },
    /// The client data cannot be read.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// The client data is of the other ceremony, or of none.
    #[error("client data of type `{expected}` was expected, not `{found}`")]
    ClientDataType {
        /// The type of this ceremony.
        expected: &'static str,
        /// The type found.
        found: String,
    },
    /// The challenge is not the one that was sent.
    #[error("challenge {expected} was expected, not `{found}`")]
    Challenge {
        /// The challenge that was sent.
        expected: Base64Url,
        /// The challenge in the client data.
        found: String,
    },
    /// The origin is not expected.
    #[error("origin `{found}` is not expected; accepted: {}", list(expected))]
    Origin {
        /// The accepted origins.
        expected: Vec<Origin>,
        /// The origin in the client data.
        found: String,
    },
    /// The page was in a frame of another site, and that is not allowed.
    #[error("the page was in a frame of another site, which is not allowed")]
    CrossOrigin,
    /// The page at the top is not expected.
    #[error("top origin `{found}` is not expected; accepted: {}", list(expected))]
    TopOrigin {
        /// The accepted origins.
        expected: Vec<Origin>,
        /// The top origin in the client data.
        found: String,
    },
    /// Registration: the attestation object cannot be read.
    #[error(transparent)]
    AttestationObject(#[from] AttestationObjectError),
    /// The authenticator data cannot be read.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// Registration: the authenticator data has no credential.
    #[error("the authenticator data has no attested credential data (flags {flags})")]
    NoCredential {
        /// The flags.
        flags: Flags,
    },
    /// Registration: the credential in the authenticator data is not the one that is reported.
    #[error("credential {expected} was reported, but the authenticator data has {found}")]
    CredentialId {
        /// `rawId`.
        expected: Base64Url,
        /// The credential ID in the authenticator data.
        found: Base64Url,
    },
    /// The RP ID hash is not that of the RP ID.
    #[error("the RP ID hash is not that of `{expected}`")]
    RpIdHash {
        /// The RP ID (or AppID).
        expected: String,
        /// The hash found.
        found: [u8; 32],
    },
    /// The user was not present.
    #[error("user presence was expected, but the flags are {flags}")]
    UserPresence {
        /// The flags.
        flags: Flags,
    },
    /// The user was not verified, and the policy demands it.
    #[error("user verification was expected (policy `{policy}`), but the flags are {flags}")]
    UserVerification {
        /// The policy.
        policy: UserVerificationPolicy,
        /// The flags.
        flags: Flags,
    },
    /// Backed up, but not eligible for it.
    #[error("the credential is backed up without being eligible (flags {flags})")]
    BackupState {
        /// The flags.
        flags: Flags,
    },
    /// The policy wants another backup eligibility.
    #[error("the policy for backup is {expected:?}, but the flags are {flags}")]
    BackupEligibility {
        /// The policy.
        expected: BackupPolicy,
        /// The flags.
        flags: Flags,
    },
    /// Authentication: the backup eligibility is not what it was at registration.
    #[error("backup eligibility was {expected} at registration and is {found}")]
    BackupEligibilityChanged {
        /// As stored.
        expected: bool,
        /// As found.
        found: bool,
    },
    /// The public key cannot be read, or is not one that its algorithm allows.
    #[error(transparent)]
    PublicKey(#[from] CoseError),
    /// Registration: the algorithm was not offered.
    #[error("algorithm {found} was not offered; offered: {}", list(expected))]
    Algorithm {
        /// The offered algorithms.
        expected: Vec<CoseAlgorithm>,
        /// The algorithm of the key.
        found: CoseAlgorithm,
    },
    /// The key is no valid key of its algorithm (e.g. a point that is not on the curve).
    #[error("the public key is no valid key of algorithm {0}")]
    InvalidPublicKey(CoseAlgorithm),
    /// Authentication: the signature is not valid.
    #[error("the signature is not valid under the credential's {0} key")]
    Signature(CoseAlgorithm),
    /// Authentication: the signature counter did not rise.
    #[error("a signature counter above {stored} was expected, not {found}")]
    SignCount {
        /// As stored.
        stored: u32,
        /// As found.
        found: u32,
    },
    /// Registration: the attestation statement format is not known.
    #[error("attestation statement format `{found}` is not supported")]
    AttestationFormat {
        /// The format.
        found: String,
    },
    /// Registration: the attestation statement format is one that nobody vouches for any more.
    #[error("attestation statement format `{found}` is retired: {reason}")]
    AttestationFormatRetired {
        /// The format.
        found: String,
        /// What became of it.
        reason: &'static str,
    },
    /// Registration: the attestation statement is not correct.
    #[error("the `{fmt}` attestation statement is not correct: {error}")]
    Attestation {
        /// The format.
        fmt: String,
        /// What is not correct.
        error: AttestationError,
    },
    /// Registration: the attestation proves less than the policy wants.
    #[error("the policy for attestation is {expected:?}, but there is {found}")]
    AttestationTrust {
        /// The policy.
        expected: AttestationTrustPolicy,
        /// What the attestation proves.
        found: Trust,
    },
    /// Registration: the policy does not take the model.
    #[error("model {found} is not taken: {reason}")]
    Model {
        /// The model as it calls itself.
        found: Aaguid,
        /// Why.
        reason: ModelRefusal,
    },
    /// Registration: the credential ID is longer than 1,023 bytes.
    #[error("a credential ID of at most 1023 bytes was expected, not of {found}")]
    CredentialIdTooLong {
        /// Its length.
        found: usize,
    },
    /// Registration: the credential ID is registered already.
    #[error("credential {found} is registered already")]
    CredentialIdTaken {
        /// The credential ID.
        found: Base64Url,
    },
    /// A client extension output that was not asked for.
    #[error("extension output `{found}` was not asked for")]
    UnsolicitedExtension {
        /// The extension.
        found: String,
    },
    /// The authenticator extension outputs are not what the extensions define.
    #[error("the authenticator's output of extension `{found}` has the wrong type")]
    ExtensionOutput {
        /// The extension.
        found: &'static str,
    },
    /// Registration: the credential is less protected than was demanded.
    #[error(
        "credential protection `{expected}` was demanded, but it is {}",
        or_none(found)
    )]
    CredentialProtection {
        /// The demanded level.
        expected: CredentialProtectionPolicy,
        /// The level found.
        found: Option<CredentialProtectionPolicy>,
    },
    /// Registration: the authenticator's minimum PIN length is too short, or not told.
    #[error(
        "a minimum PIN length of {expected} was demanded, but it is {}",
        or_none(found)
    )]
    MinPinLength {
        /// The demanded length.
        expected: u32,
        /// The length found.
        found: Option<u32>,
    },
    /// Registration: what the client says of an extension is not what was demanded, or not what the
    /// authenticator signs.
    #[error("extension `{extension}`: {reason}")]
    ExtensionMismatch {
        /// The extension.
        extension: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

fn list<T: core::fmt::Display>(items: &[T]) -> String {
    items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn or_none<T: core::fmt::Display>(value: &Option<T>) -> String {
    value
        .as_ref()
        .map_or_else(|| "not told".to_owned(), T::to_string)
}

/// Names each variant once, for `code` and `CODES`.
macro_rules! codes {
    ($($pattern:pat => $code:literal,)+) => {
        impl Refusal {
            /// Every code, in the order of the checks.
            pub const CODES: &[&str] = &[$($code),+];

            /// A stable name for logs and problem documents.
            pub const fn code(&self) -> &'static str {
                match self { $($pattern => $code,)+ }
            }
        }
    };
}

codes! {
    Refusal::Expired { .. } => "expired",
    Refusal::CredentialType { .. } => "credential-type",
    Refusal::CredentialIdText { .. } => "credential-id-text",
    Refusal::CredentialNotAllowed { .. } => "credential-not-allowed",
    Refusal::UnknownCredential { .. } => "unknown-credential",
    Refusal::RecordOfOtherCredential { .. } => "record-of-other-credential",
    Refusal::RecordOfOtherUser { .. } => "record-of-other-user",
    Refusal::RecordOfOtherRp { .. } => "record-of-other-rp",
    Refusal::UserHandleMissing => "user-handle-missing",
    Refusal::UserHandle { .. } => "user-handle",
    Refusal::ClientData(_) => "client-data",
    Refusal::ClientDataType { .. } => "client-data-type",
    Refusal::Challenge { .. } => "challenge",
    Refusal::Origin { .. } => "origin",
    Refusal::CrossOrigin => "cross-origin",
    Refusal::TopOrigin { .. } => "top-origin",
    Refusal::AttestationObject(_) => "attestation-object",
    Refusal::AuthenticatorData(_) => "authenticator-data",
    Refusal::NoCredential { .. } => "no-credential",
    Refusal::CredentialId { .. } => "credential-id",
    Refusal::RpIdHash { .. } => "rp-id-hash",
    Refusal::UserPresence { .. } => "user-presence",
    Refusal::UserVerification { .. } => "user-verification",
    Refusal::BackupState { .. } => "backup-state",
    Refusal::BackupEligibility { .. } => "backup-eligibility",
    Refusal::BackupEligibilityChanged { .. } => "backup-eligibility-changed",
    Refusal::PublicKey(_) => "public-key",
    Refusal::Algorithm { .. } => "algorithm",
    Refusal::InvalidPublicKey(_) => "invalid-public-key",
    Refusal::Signature(_) => "signature",
    Refusal::SignCount { .. } => "sign-count",
    Refusal::AttestationFormat { .. } => "attestation-format",
    Refusal::AttestationFormatRetired { .. } => "attestation-format-retired",
    Refusal::Attestation { .. } => "attestation",
    Refusal::AttestationTrust { .. } => "attestation-trust",
    Refusal::Model { .. } => "model",
    Refusal::CredentialIdTooLong { .. } => "credential-id-too-long",
    Refusal::CredentialIdTaken { .. } => "credential-id-taken",
    Refusal::UnsolicitedExtension { .. } => "unsolicited-extension",
    Refusal::ExtensionOutput { .. } => "extension-output",
    Refusal::CredentialProtection { .. } => "credential-protection",
    Refusal::MinPinLength { .. } => "min-pin-length",
    Refusal::ExtensionMismatch { .. } => "extension-mismatch",
}

impl Refusal {
    /// A sentence for a help desk: what to tell the person.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "It took too long. Start again.",
            Self::CredentialNotAllowed { .. } | Self::RecordOfOtherUser { .. } => {
                "This key is registered, but not with this account. Use the key that belongs to it."
            }
            Self::UnknownCredential { .. } | Self::UserHandle { .. } => {
                "This key is not registered here any more. Sign in another way and register it again."
            }
            Self::Origin { .. } | Self::RpIdHash { .. } => {
                "The answer was made for another site. Check the address; this may be phishing."
            }
            Self::CrossOrigin | Self::TopOrigin { .. } => {
                "The page is shown inside a page of another site. Open it in its own tab."
            }
            Self::UserPresence { .. } => "Touch the key when it blinks.",
            Self::UserVerification { .. } => {
                "This sign-in needs the key's PIN or fingerprint, and the key answered without. Set a \
                 PIN on the key, and use a browser and system that ask for it."
            }
            Self::BackupEligibility {
                expected: BackupPolicy::DeviceBound,
                ..
            } => {
                "Passkeys that are copied between devices are not accepted here. Use a security key."
            }
            Self::BackupEligibility { .. } => {
                "Only passkeys that are backed up are accepted here. Use a passkey provider."
            }
            Self::Algorithm { .. }
            | Self::AttestationFormat { .. }
            | Self::AttestationFormatRetired { .. } => {
                "This kind of key is not accepted here. Use another one."
            }
            Self::AttestationTrust { .. } | Self::Attestation { .. } => {
                "This model of key is not accepted here, or it did not prove its model. Use another \
                 one, and allow the site to see its make and model when the browser asks."
            }
            Self::Model {
                reason: ModelRefusal::Outdated { .. },
                ..
            } => {
                "The site's list of models is out of date, so it takes no new keys. Its operators must \
                 renew the list."
            }
            Self::Model { .. } => {
                "This model of key is not accepted here. Use another one; the reason is in the log."
            }
            Self::CredentialIdTaken { .. } => "This key is registered already.",
            Self::SignCount { .. } => {
                "The key's counter went back, so there may be a copy of it. Do not use it until \
                 security has looked into it."
            }
            Self::MinPinLength { .. } => {
                "The key allows shorter PINs than the rules do. Have its minimum PIN length raised."
            }
            Self::CredentialProtection { .. } | Self::ExtensionMismatch { .. } => {
                "This key cannot keep its credential as the rules demand. Use another one."
            }
            _ => {
                "The answer of the browser or key was not correct. Try again, or try another browser."
            }
        }
    }
}
