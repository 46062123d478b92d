//! Which models a Relying Party takes, and what is known of the one at hand: FIDO MDS 3 §3.2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use webauthn::authenticator_data::Aaguid;

use super::status::in_force;
use super::{AuthenticatorStatus, Certification, Date, Entry, Metadata, StatusReport};

/// How a model is named: FIDO2 authenticators by AAGUID, U2F authenticators by the SHA-1 hash of an
/// attestation certificate's public key, in hexadecimal digits.
///
/// ```
/// use rp::metadata::ModelId;
/// let id: ModelId = "fcb1bcb4-f370-078c-6993-bc24d0ae3fbe".parse().unwrap();
/// assert!(matches!(id, ModelId::Aaguid(_)));
/// let id: ModelId = "923881fe2f214ee465484371aeb72e97f5a58e0a".parse().unwrap();
/// assert!(matches!(id, ModelId::KeyIdentifier(_)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelId {
    /// Of a FIDO2 authenticator.
    Aaguid(Aaguid),
    /// Of a U2F authenticator.
    KeyIdentifier([u8; 20]),
}

/// Text that names no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an AAGUID nor a key identifier of 40 hexadecimal digits")]
pub struct ModelIdError(String);

impl core::str::FromStr for ModelId {
    type Err = ModelIdError;

    fn from_str(text: &str) -> Result<Self, ModelIdError> {
        if let Some(id) = key_identifier(text) {
            return Ok(Self::KeyIdentifier(id));
        }
        text.parse()
            .map(Self::Aaguid)
            .map_err(|_| ModelIdError(text.to_owned()))
    }
}

impl TryFrom<String> for ModelId {
    type Error = ModelIdError;

    fn try_from(text: String) -> Result<Self, ModelIdError> {
        text.parse()
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.to_string()
    }
}

impl core::fmt::Display for ModelId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Aaguid(aaguid) => aaguid.fmt(f),
            Self::KeyIdentifier(id) => id.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// 40 hexadecimal digits.
pub(super) fn key_identifier(text: &str) -> Option<[u8; 20]> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let bytes = text.as_bytes();
    if bytes.len() != 40 {
        return None;
    }
    let mut id = [0; 20];
    for (to, pair) in id.iter_mut().zip(bytes.chunks_exact(2)) {
        *to = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(id)
}

/// Which reports of a bad status count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusRule {
    /// Every one in force: what was compromised once may still be in use, with its old firmware.
    #[default]
    Ever,
    /// Only the newest report: a later certification or update makes good.
    Newest,
}

/// Which models a Relying Party takes. The default takes every one that is not known to be
/// compromised.
///
/// ```
/// use rp::metadata::{AuthenticatorStatus, ModelPolicy};
/// let policy: ModelPolicy = serde_json::from_str(r#"{
///     "allowed": ["fcb1bcb4-f370-078c-6993-bc24d0ae3fbe"],
///     "certification": "l1"
/// }"#).unwrap();
/// assert!(policy.refused_statuses.contains(&AuthenticatorStatus::Revoked));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelPolicy {
    /// If not empty, only these, and only when the attestation proves it.
    pub allowed: Vec<ModelId>,
    /// None of these, even when they only say that they are one.
    pub refused: Vec<ModelId>,
    /// No model with one of these statuses.
    pub refused_statuses: Vec<AuthenticatorStatus>,
    /// Which reports of them count.
    pub status_rule: StatusRule,
    /// Only models that are certified at least so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certification: Option<Certification>,
    /// Take no certificate on the word of metadata that should have been renewed more than these
    /// days ago. Absent: however old it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outdated_after_days: Option<u32>,
}

impl Default for ModelPolicy {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            refused: Vec::new(),
            refused_statuses: AuthenticatorStatus::COMPROMISED.to_vec(),
            status_rule: StatusRule::default(),
            certification: None,
            outdated_after_days: None,
        }
    }
}

/// Why a model is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelRefusal {
    /// It is none of the allowed ones, or does not prove that it is.
    #[error("it is not proven to be one of the allowed models")]
    NotAllowed,
    /// It is, or says that it is, one of the refused ones.
    #[error("the model is refused")]
    Refused,
    /// The metadata reports a status that is refused.
    #[error("its status is {status}{}", in_words(.since))]
    Status {
        /// The status.
        status: AuthenticatorStatus,
        /// Since when.
        since: Option<Date>,
    },
    /// It is not certified, or not enough.
    #[error("certification {expected:?} was expected, but it has {found:?}")]
    Certification {
        /// What the policy wants.
        expected: Certification,
        /// What the metadata reports.
        found: Option<Certification>,
    },
    /// The metadata should have been renewed.
    #[error("the metadata should have been renewed on {next_update}")]
    Outdated {
        /// When.
        next_update: Date,
    },
}

fn in_words(date: &Option<Date>) -> String {
    date.map_or_else(String::new, |date| format!(" since {date}"))
}

/// What the metadata says of a model that an attestation proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFacts {
    /// The vendor's name for it.
    pub name: String,
    /// The newest status in force.
    pub status: Option<AuthenticatorStatus>,
    /// How far it is certified.
    pub certification: Option<Certification>,
    /// Whether there is newer firmware.
    pub update_available: bool,
    /// The number of the metadata that says so.
    pub metadata_number: u64,
}

impl ModelFacts {
    pub(crate) fn new(metadata: &Metadata, entry: &Entry, now_unix: u64) -> Self {
        let reports = entry.status_in_force(now_unix);
        Self {
            name: entry.name(),
            status: reports.last().map(|report| report.status.clone()),
            certification: certification(&reports),
            update_available: reports
                .iter()
                .any(|report| report.status == AuthenticatorStatus::UpdateAvailable),
            metadata_number: metadata.number(),
        }
    }
}

/// The highest certification since the model was last without one.
fn certification(reports: &[&StatusReport]) -> Option<Certification> {
    let ends = |report: &&StatusReport| {
        matches!(
            report.status,
            AuthenticatorStatus::NotFidoCertified | AuthenticatorStatus::Revoked
        )
    };
    let start = reports.iter().rposition(ends).map_or(0, |at| at + 1);
    reports[start..]
        .iter()
        .filter_map(|report| report.status.certification())
        .max()
}

/// Who a model is: what is proven, what is merely said, and what is known.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// What the authenticator says.
    pub claimed: Aaguid,
    /// What its attestation proves.
    pub proven: Option<Aaguid>,
    /// Whether its certificates lead to a trust anchor.
    pub trusted: bool,
    /// The key identifiers of its certificates.
    pub key_identifiers: &'a [[u8; 20]],
    /// Its certificates.
    pub path: &'a [Vec<u8>],
    /// What is known of it.
    pub entry: Option<&'a Entry>,
}

impl ModelPolicy {
    /// Whether a model is taken.
    pub(crate) fn check(
        &self,
        subject: Subject<'_>,
        metadata: Option<&Metadata>,
        now_unix: u64,
    ) -> Result<(), ModelRefusal> {
        let claims = |id: &ModelId| match id {
            ModelId::Aaguid(aaguid) => *aaguid == subject.claimed,
            ModelId::KeyIdentifier(id) => subject.key_identifiers.contains(id),
        };
        let proves = |id: &ModelId| match id {
            ModelId::Aaguid(aaguid) => subject.proven == Some(*aaguid),
            ModelId::KeyIdentifier(id) => subject.trusted && subject.key_identifiers.contains(id),
        };
        if self.refused.iter().any(claims) {
            return Err(ModelRefusal::Refused);
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(proves) {
            return Err(ModelRefusal::NotAllowed);
        }
        if let (Some(grace), Some(metadata), Some(_)) =
            (self.outdated_after_days, metadata, subject.entry)
            && metadata.is_outdated(now_unix, grace)
        {
            let next_update = metadata.next_update();
            return Err(ModelRefusal::Outdated { next_update });
        }
        self.check_statuses(subject, now_unix)
    }

    fn check_statuses(&self, subject: Subject<'_>, now_unix: u64) -> Result<(), ModelRefusal> {
        let reports = subject.entry.map_or(&[][..], |entry| &entry.status_reports);
        let reports = in_force(reports, Date::of_unix(now_unix));
        let counted = match self.status_rule {
            StatusRule::Ever => &reports[..],
            StatusRule::Newest => &reports[reports.len().saturating_sub(1)..],
        };
        let bad = counted.iter().find(|report| {
            self.refused_statuses.contains(&report.status) && concerns(report, subject.path)
        });
        if let Some(report) = bad {
            return Err(ModelRefusal::Status {
                status: report.status.clone(),
                since: report.effective_date,
            });
        }
        match self.certification {
            Some(expected) => {
                let found = certification(&reports).filter(|_| subject.trusted);
                if found.is_some_and(|found| found >= expected) {
                    Ok(())
                } else {
                    Err(ModelRefusal::Certification { expected, found })
                }
            }
            None => Ok(()),
        }
    }
}

/// Whether a report is about the authenticator at hand: one that names a certificate is about the
/// authenticators that attest with it.
fn concerns(report: &StatusReport, path: &[Vec<u8>]) -> bool {
    let Some(certificate) = report.certificate.as_deref() else {
        return true;
    };
    let text: String = certificate.split_ascii_whitespace().collect();
    // What cannot be read cannot be told apart: it is about all.
    STANDARD
        .decode(text)
        .map_or(true, |der| path.contains(&der))
}
