//! What a ceremony tells afterwards: the steps a person went through and why.
//!
//! The words are meant for a help desk; the references are meant for whoever doubts them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a person had to do (or, for `u2f`, a choice of the platform that shows).
///
/// The vocabulary is closed: the matrix, the demo page and expectations in tests share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Touched the key.
    Touch,
    /// Entered the PIN of the key.
    EnterPin,
    /// Chose a PIN for a key that had none.
    CreatePin,
    /// Replaced the PIN by a new one.
    ChangePin,
    /// Presented a finger (or another built-in method) to the key.
    Fingerprint,
    /// Enrolled a finger in the middle of the ceremony.
    EnrollFingerprint,
    /// Picked one of several accounts.
    PickAccount,
    /// The platform fell back to CTAP1/U2F messages.
    U2f,
}

impl Step {
    /// The step as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Touch => "touch",
            Self::EnterPin => "enter-pin",
            Self::CreatePin => "create-pin",
            Self::ChangePin => "change-pin",
            Self::Fingerprint => "fingerprint",
            Self::EnrollFingerprint => "enroll-fingerprint",
            Self::PickAccount => "pick-account",
            Self::U2f => "u2f",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The party whose fact led to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The relying party.
    Site,
    /// The client: browser and operating system.
    Platform,
    /// The authenticator.
    Key,
    /// The person at the dialog.
    Person,
}

/// How sure a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Observed by driving the unmodified product.
    Measured,
    /// Read in the product's source code.
    Source,
    /// What a specification says.
    Specification,
    /// What the vendor's documentation says.
    Vendor,
    /// What people reported.
    Report,
    /// Nobody has shown it; a guess at best.
    Unknown,
}

impl Certainty {
    /// The word as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Source => "source",
            Self::Specification => "specification",
            Self::Vendor => "vendor",
            Self::Report => "report",
            Self::Unknown => "unknown",
        }
    }
}

/// One link of the chain that explains a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Whose fact this is.
    pub who: Party,
    /// The fact, in words that a help desk can read out.
    pub fact: Cow<'static, str>,
    /// Section of a specification, or the source of the claim.
    pub reference: Cow<'static, str>,
    /// How sure the claim is.
    pub certainty: Certainty,
}

impl Reason {
    /// A reason that follows from the text of a specification.
    pub fn specified(
        who: Party,
        fact: impl Into<Cow<'static, str>>,
        reference: &'static str,
    ) -> Self {
        Self {
            who,
            fact: fact.into(),
            reference: Cow::Borrowed(reference),
            certainty: Certainty::Specification,
        }
    }
}

/// How a ceremony ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The promise was fulfilled.
    Ok,
    /// The promise was rejected.
    Error,
    /// The platform would have repeated the same dialogs for ever.
    Loop,
    /// The platform would have shown nothing more, and never ended.
    Hang,
    /// It is not known what the platform does here.
    Unknown,
}

impl Ended {
    /// The word as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Loop => "loop",
            Self::Hang => "hang",
            Self::Unknown => "unknown",
        }
    }
}

/// The name of a `DOMException` (or of the one JavaScript error) that a page sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DomExceptionName {
    /// The ceremony was aborted by the page.
    AbortError,
    /// No key could keep the credential or verify the person as required.
    ConstraintError,
    /// The key already holds an excluded credential.
    InvalidStateError,
    /// Refused, cancelled, timed out: the page shall not know which.
    NotAllowedError,
    /// The options name something that is not well-formed or does not belong.
    SyntaxError,
    /// None of the offered algorithms or parameters can be used.
    NotSupportedError,
    /// The origin may not use this relying party identifier.
    SecurityError,
    /// The options themselves are wrong (a `TypeError`, not a `DOMException`).
    TypeError,
    /// Something else went wrong.
    UnknownError,
}

impl DomExceptionName {
    /// The name as a page sees it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AbortError => "AbortError",
            Self::ConstraintError => "ConstraintError",
            Self::InvalidStateError => "InvalidStateError",
            Self::NotAllowedError => "NotAllowedError",
            Self::NotSupportedError => "NotSupportedError",
            Self::SecurityError => "SecurityError",
            Self::SyntaxError => "SyntaxError",
            Self::TypeError => "TypeError",
            Self::UnknownError => "UnknownError",
        }
    }
}

/// What happened in one ceremony, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The steps in the order in which they were completed.
    pub steps: Vec<Step>,
    /// The chain of reasons, from the site's request to the end.
    pub reasons: Vec<Reason>,
    /// The UV flag of the answer, when there was one.
    pub uv: Option<bool>,
    /// How it ended.
    pub ended: Ended,
}
