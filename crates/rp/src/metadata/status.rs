//! FIDO MDS 3 §3.1.3 `StatusReport` and §3.1.4 `AuthenticatorStatus`.

use serde::{Deserialize, Serialize};

use super::date::Date;

macro_rules! statuses {
    ($($(#[$meta:meta])* $variant:ident = $name:literal,)+) => {
        /// What the FIDO Alliance says of a model.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum AuthenticatorStatus {
            $($(#[$meta])* $variant,)+
            /// A status of later versions of the document, as it is.
            Other(String),
        }

        impl AuthenticatorStatus {
            /// The name in the document.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<String> for AuthenticatorStatus {
            fn from(name: String) -> Self {
                match name.as_str() {
                    $($name => Self::$variant,)+
                    _ => Self::Other(name),
                }
            }
        }
    };
}

statuses! {
    /// Not certified.
    NotFidoCertified = "NOT_FIDO_CERTIFIED",
    /// Certified by the first scheme, without a level.
    FidoCertified = "FIDO_CERTIFIED",
    /// Malware can have the user "verified" without the user.
    UserVerificationBypass = "USER_VERIFICATION_BYPASS",
    /// The attestation key is known to others: what it proves is nothing.
    AttestationKeyCompromise = "ATTESTATION_KEY_COMPROMISE",
    /// Credential keys can be got from afar.
    UserKeyRemoteCompromise = "USER_KEY_REMOTE_COMPROMISE",
    /// Credential keys can be got by who holds the authenticator.
    UserKeyPhysicalCompromise = "USER_KEY_PHYSICAL_COMPROMISE",
    /// There is newer firmware.
    UpdateAvailable = "UPDATE_AVAILABLE",
    /// Not to be trusted any more.
    Revoked = "REVOKED",
    /// The vendor has filled in the checklist itself.
    SelfAssertionSubmitted = "SELF_ASSERTION_SUBMITTED",
    /// Level 1.
    FidoCertifiedL1 = "FIDO_CERTIFIED_L1",
    /// Level 1+.
    FidoCertifiedL1Plus = "FIDO_CERTIFIED_L1plus",
    /// Level 2.
    FidoCertifiedL2 = "FIDO_CERTIFIED_L2",
    /// Level 2+.
    FidoCertifiedL2Plus = "FIDO_CERTIFIED_L2plus",
    /// Level 3.
    FidoCertifiedL3 = "FIDO_CERTIFIED_L3",
    /// Level 3+.
    FidoCertifiedL3Plus = "FIDO_CERTIFIED_L3plus",
}

impl AuthenticatorStatus {
    /// The statuses after which a model should not be trusted: the default of
    /// [`ModelPolicy`](super::ModelPolicy).
    pub const COMPROMISED: [Self; 5] = [
        Self::UserVerificationBypass,
        Self::AttestationKeyCompromise,
        Self::UserKeyRemoteCompromise,
        Self::UserKeyPhysicalCompromise,
        Self::Revoked,
    ];

    /// The certification that this status is.
    pub const fn certification(&self) -> Option<Certification> {
        Some(match self {
            Self::FidoCertified => Certification::Certified,
            Self::FidoCertifiedL1 => Certification::L1,
            Self::FidoCertifiedL1Plus => Certification::L1Plus,
            Self::FidoCertifiedL2 => Certification::L2,
            Self::FidoCertifiedL2Plus => Certification::L2Plus,
            Self::FidoCertifiedL3 => Certification::L3,
            Self::FidoCertifiedL3Plus => Certification::L3Plus,
            _ => return None,
        })
    }
}

impl From<AuthenticatorStatus> for String {
    fn from(status: AuthenticatorStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl core::fmt::Display for AuthenticatorStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a model is certified; higher is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certification {
    /// By the first scheme, which had no levels.
    Certified,
    /// Level 1.
    L1,
    /// Level 1+.
    L1Plus,
    /// Level 2.
    L2,
    /// Level 2+.
    L2Plus,
    /// Level 3.
    L3,
    /// Level 3+.
    L3Plus,
}

/// `StatusReport`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The status.
    pub status: AuthenticatorStatus,
    /// Since when; absent: always.
    #[serde(default)]
    pub effective_date: Option<Date>,
    /// From which firmware version on (certification) or up to which (the rest).
    #[serde(default)]
    pub authenticator_version: Option<u32>,
    /// The compromised certificate, base64 DER; absent: every one of the model.
    #[serde(default)]
    pub certificate: Option<String>,
    /// Where to read more.
    #[serde(default)]
    pub url: Option<String>,
    /// What was certified, in words.
    #[serde(default)]
    pub certification_descriptor: Option<String>,
    /// The number of the certificate.
    #[serde(default)]
    pub certificate_number: Option<String>,
}

impl StatusReport {
    /// Whether it is in force.
    pub fn is_effective(&self, today: Date) -> bool {
        self.effective_date.is_none_or(|since| since <= today)
    }
}

/// The reports in force, oldest first. Real lists are not always in the order of time, so the dates
/// decide; of one day, the later in the list is the later.
pub(super) fn in_force(reports: &[StatusReport], today: Date) -> Vec<&StatusReport> {
    let mut effective: Vec<&StatusReport> = reports
        .iter()
        .filter(|report| report.is_effective(today))
        .collect();
    effective.sort_by_key(|report| report.effective_date);
    effective
}
