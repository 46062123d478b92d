//! How a ceremony ends: the credential or the failure, and the report.

use ctap::Status;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use webauthn::response::{AuthenticationResponseJson, RegistrationResponseJson};
use webauthn::rp_id::RpIdError;

use crate::report::{DomExceptionName, Party, Reason, Report};
use crate::uv::Unsatisfiable;

/// What a ceremony hands back. As JSON: `credential` or `error`, and `report`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The credential, or why there is none.
    pub result: Result<Credential, Failure>,
    /// The steps and reasons.
    pub report: Report,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Outcome", 2)?;
        match &self.result {
            Ok(credential) => members.serialize_field("credential", credential)?,
            Err(failure) => members.serialize_field("error", failure)?,
        }
        members.serialize_field("report", &self.report)?;
        members.end()
    }
}

/// The credential in its JSON form.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Credential {
    /// From `create()`.
    Registration(Box<RegistrationResponseJson>),
    /// From `get()`.
    Authentication(Box<AuthenticationResponseJson>),
}

/// A promise that was rejected: the name is for the page, the reason for whoever helps the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", name.name())]
pub struct Failure {
    /// What the page sees.
    pub name: DomExceptionName,
    /// What happened.
    pub reason: FailureReason,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Failure", 2)?;
        members.serialize_field("name", &self.name)?;
        members.serialize_field("reason", &self.reason.to_string())?;
        members.end()
    }
}

impl Failure {
    pub(crate) fn new(name: DomExceptionName, reason: FailureReason) -> Self {
        Self { name, reason }
    }

    /// What a page sees for almost everything.
    pub(crate) fn not_allowed(reason: FailureReason) -> Self {
        Self::new(DomExceptionName::NotAllowedError, reason)
    }
}

/// Why a ceremony failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailureReason {
    /// The options break a rule of the text.
    #[error("The site's request is wrong: {0}.")]
    Options(&'static str),
    /// The page may not use this RP ID.
    #[error("The page may not use this RP ID: {0}.")]
    RpId(RpIdError),
    /// The person closed a dialog.
    #[error("The person cancelled.")]
    Cancelled,
    /// Nothing happened in time.
    #[error("Nobody answered in time.")]
    TimedOut,
    /// The page changed its mind.
    #[error("The page aborted the ceremony.")]
    Aborted,
    /// The key cannot satisfy the request on this platform.
    #[error("This key cannot be used here: {}.", unsatisfiable_words(*.0))]
    Unsatisfiable(Unsatisfiable),
    /// No PIN retries are left.
    #[error("The PIN of this key is blocked. Only a reset helps, and it deletes all credentials.")]
    PinBlocked,
    /// Three wrong PINs since the key was plugged in.
    #[error("Too many wrong PINs in a row. Take the key out, plug it in again and try once more.")]
    PinAuthBlocked,
    /// The PIN must be changed, and this platform does not do it.
    #[error("The key demands a new PIN, and this platform cannot change it here.")]
    PinChangeNeeded,
    /// Built-in verification failed too often.
    #[error("The key did not recognise its user.")]
    NotRecognised,
    /// The key holds an excluded credential.
    #[error("This key is already registered with this account.")]
    Excluded,
    /// The key holds none of the allowed credentials.
    #[error("This key has no credential for this site (or shows it only after verification).")]
    NoCredentials,
    /// The key supports none of the offered algorithms.
    #[error("This key supports none of the algorithms that the site offers.")]
    NoAlgorithm,
    /// The protection that the site wants enforced is unknown to the key (credProtect).
    #[error("This key cannot protect the credential as the site demands.")]
    CannotProtect,
    /// A large blob is required, and the key keeps none (largeBlob).
    #[error("This key cannot keep a large blob with the credential, which the site requires.")]
    NoLargeBlob,
    /// The store of the key is full.
    #[error("This key has no room for another credential. Delete one first.")]
    KeyFull,
    /// The answer lacks the UV flag although verification was required.
    #[error("The key answered without verifying its user, although that was required.")]
    NotVerified,
    /// The key answered with a status that is not explained better above.
    #[error("The key refused: {0}.")]
    Key(Status),
    /// The key's answer is not what the specification describes.
    #[error("The key's answer cannot be understood: {0}.")]
    BadReply(&'static str),
    /// The real platform would never have ended.
    #[error("On this platform the ceremony never completes.")]
    NeverEnds,
    /// It is not known what the platform does.
    #[error("What this platform does here is not known.")]
    NotKnown,
}

impl FailureReason {
    /// The last link of the chain of reasons, where the chain does not end in it already.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let (who, reference) = match self {
            Self::Options(_) | Self::RpId(_) => (
                Party::Site,
                "WebAuthn L3 §5.1.3 and §5.1.4, checks of the options",
            ),
            Self::Aborted => (
                Party::Site,
                "WebAuthn L3 §5.6 Abort Operations with AbortSignal",
            ),
            Self::TimedOut => (
                Party::Person,
                "WebAuthn L3 §15.1 Recommended Range for timeouts",
            ),
            Self::NoCredentials => (Party::Key, "CTAP 2.3 §6.2.2 and §12.1 (credProtect)"),
            Self::Excluded => (Party::Key, "CTAP 2.3 §6.1.2, excludeList"),
            Self::PinAuthBlocked | Self::PinChangeNeeded => (
                Party::Key,
                "CTAP 2.3 §6.5.5.7, wrong PINs and forcePINChange",
            ),
            Self::NotRecognised => (Party::Key, "CTAP 2.3 §6.5.3.1 performBuiltInUv"),
            Self::CannotProtect => (
                Party::Key,
                "CTAP 2.3 §12.1 Credential Protection (credProtect)",
            ),
            Self::NoLargeBlob => (
                Party::Key,
                "WebAuthn L3 §10.1.5 largeBlob, support: required",
            ),
            Self::NoAlgorithm | Self::KeyFull | Self::Key(_) | Self::BadReply(_) => {
                (Party::Key, "CTAP 2.3 §8.2 Status codes")
            }
            Self::NotVerified => (Party::Key, "WebAuthn L3 §5.8.6, required"),
            // The decision, or the person, has said so.
            Self::Cancelled
            | Self::Unsatisfiable(_)
            | Self::PinBlocked
            | Self::NeverEnds
            | Self::NotKnown => return None,
        };
        Some(Reason::specified(who, self.to_string(), reference))
    }
}

fn unsatisfiable_words(why: Unsatisfiable) -> &'static str {
    match why {
        Unsatisfiable::NoMeans => "the site requires user verification, which the key cannot do",
        Unsatisfiable::NotSetUp => {
            "user verification is needed, but the key has no PIN, and none is set up here"
        }
        Unsatisfiable::PinBlocked => {
            "its PIN is blocked; only a reset helps, and it deletes all credentials"
        }
        Unsatisfiable::NoResidentKey => {
            "the site requires a discoverable credential, which the key cannot keep"
        }
        Unsatisfiable::KeyRefuses => {
            "it insists on user verification, which this platform does not do here"
        }
    }
}
