//! WebAuthn L3 §6.5 and §8: attestation statements, one file per format.

mod android_key;
mod apple;
mod asn1;
mod certificate;
mod compound;
mod fido_u2f;
mod none;
mod packed;
mod review;
mod statement;
mod tpm;
mod trust;

use serde::{Deserialize, Serialize};
use webauthn::Base64Url;
use webauthn::authenticator_data::{Aaguid, AttestedCredentialData, AuthenticatorData};
use webauthn::cbor::CborError;
use webauthn::cose::{CoseAlgorithm, CoseKey};

pub(crate) use certificate::Certificate;
pub use certificate::CertificateError;
pub use review::review;
pub use trust::{TrustAnchors, TrustAnchorsError};

use crate::crypto::SignatureError;
use crate::metadata::{Entry, ModelFacts, ModelPolicy, ModelRefusal, Subject};

/// §6.5.3 the attestation types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttestationType {
    /// No attestation.
    None,
    /// Signed by the credential's own key.
    SelfAttestation,
    /// Signed by a key of the model, or of an attestation CA: the statement does not tell which.
    Basic,
    /// Certified by an attestation CA for this authenticator (TPM).
    AttestationCa,
    /// Certified by an anonymization CA for this credential (Apple).
    AnonymizationCa,
}

/// What an attestation proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "level", content = "reason")]
pub enum Trust {
    /// Nothing: there is none.
    None,
    /// Only that the credential's key exists.
    SelfAttestation,
    /// A certificate that leads to no trust anchor, and why.
    Untrusted(String),
    /// A certificate that leads to a trust anchor.
    Trusted,
}

impl core::fmt::Display for Trust {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::None => f.write_str("no attestation"),
            Self::SelfAttestation => f.write_str("self attestation"),
            Self::Untrusted(reason) => write!(f, "an attestation that is not trusted ({reason})"),
            Self::Trusted => f.write_str("a trusted attestation"),
        }
    }
}

/// What came of a new credential's attestation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    /// The statement format.
    pub fmt: String,
    /// The attestation type.
    pub attestation_type: AttestationType,
    /// What it proves.
    pub trust: Trust,
    /// The certificates, leaf first, each in DER.
    pub trust_path: Vec<Base64Url>,
    /// The model that a *trusted* attestation proves; what the authenticator merely says is in the
    /// credential record.
    pub model: Option<Aaguid>,
    /// The serial number of an enterprise attestation (`id-fido-gen-ce-sernum`), if trusted.
    pub serial_number: Option<Base64Url>,
    /// What the metadata says of the model, if trusted and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ModelFacts>,
}

/// Why an attestation statement is not correct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Not the members or types that the format has.
    #[error("{0}")]
    Syntax(&'static str),
    /// The statement is not CBOR in canonical form.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// `none`: a statement where none is expected.
    #[error("an empty statement was expected")]
    NotEmpty,
    /// The algorithm is not the one that the format wants.
    #[error("algorithm {expected} was expected, not {found}")]
    Algorithm {
        /// What the format wants.
        expected: CoseAlgorithm,
        /// What the statement says.
        found: CoseAlgorithm,
    },
    /// The attestation signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The attestation certificate is not as the format wants it.
    #[error("the attestation certificate {0}")]
    Certificate(#[from] CertificateError),
    /// `fido-u2f`: exactly one certificate is wanted.
    #[error("one certificate was expected, not {found}")]
    CertificateCount {
        /// How many there are.
        found: usize,
    },
    /// The certified or described key is not the credential's key.
    #[error("the attested key is not the credential public key")]
    PublicKeyMismatch,
    /// What is attested is not this ceremony.
    #[error("the attestation is of another ceremony: {0}")]
    NotThisCeremony(&'static str),
    /// `tpm`, `android-key`: what the authenticator says of the key is not acceptable.
    #[error("{0}")]
    Claim(&'static str),
    /// `compound`: a statement inside is not correct.
    #[error("the statement inside, of format `{fmt}`: {error}")]
    Inside {
        /// Its format.
        fmt: String,
        /// Why.
        error: Box<AttestationError>,
    },
    /// `compound`: a statement inside is of a format that is not supported.
    #[error("a statement inside is of format `{0}`, which is not supported")]
    InsideUnsupported(String),
}

/// What every verification procedure is given.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The statement, canonical CBOR.
    pub att_stmt: &'a [u8],
    /// The authenticator data as signed.
    pub auth_data: &'a [u8],
    /// The same, read.
    pub parsed: &'a AuthenticatorData<'a>,
    /// The new credential in it.
    pub credential: &'a AttestedCredentialData<'a>,
    /// Its key.
    pub key: &'a CoseKey,
    /// The hash of the client data.
    pub client_data_hash: &'a [u8; 32],
}

impl Input<'_> {
    /// `authenticatorData || clientDataHash`, which most formats sign.
    fn signed(&self) -> Vec<u8> {
        [self.auth_data, self.client_data_hash].concat()
    }
}

/// What a verification procedure returns.
#[derive(Debug)]
pub(crate) struct Verified {
    pub attestation_type: AttestationType,
    /// Leaf first.
    pub trust_path: Vec<Vec<u8>>,
    /// Whether the signature covers the AAGUID.
    pub signs_aaguid: bool,
}

/// The supported formats.
pub const FORMATS: &[&str] = &[
    "none",
    "packed",
    "fido-u2f",
    "tpm",
    "android-key",
    "apple",
    "compound",
];

/// The formats that are refused although the document defines them, and why.
pub const RETIRED_FORMATS: &[(&str, &str)] = &[(
    "android-safetynet",
    "Google has turned the SafetyNet service off, so nobody vouches for these statements any more; \
     Android attests with `android-key`",
)];

/// Runs the verification procedure of a format; `None` if the format is not supported.
pub(crate) fn verify(fmt: &str, input: &Input<'_>) -> Option<Result<Verified, AttestationError>> {
    if fmt == "compound" {
        Some(compound::verify(input))
    } else {
        verify_single(fmt, input)
    }
}

/// As [`verify`], for the formats that may stand inside `compound`.
fn verify_single(fmt: &str, input: &Input<'_>) -> Option<Result<Verified, AttestationError>> {
    Some(match fmt {
        "none" => none::verify(input),
        "packed" => packed::verify(input),
        "fido-u2f" => fido_u2f::verify(input),
        "tpm" => tpm::verify(input),
        "android-key" => android_key::verify(input),
        "apple" => apple::verify(input),
        _ => return None,
    })
}

/// A verified statement, and who made it.
pub(crate) struct Assessed<'a> {
    /// What comes of it.
    pub attestation: Attestation,
    path: Vec<Vec<u8>>,
    key_identifiers: Vec<[u8; 20]>,
    claimed: Aaguid,
    entry: Option<&'a Entry>,
}

/// Assesses the trustworthiness of a verified statement.
pub(crate) fn assess<'a>(
    fmt: &str,
    verified: Verified,
    claimed: Aaguid,
    anchors: &'a TrustAnchors,
    now_unix: u64,
) -> Assessed<'a> {
    let path = verified.trust_path;
    let key_identifiers = trust::key_identifiers(&path);
    // A U2F key does not sign the AAGUID: anybody on the way may have put it there.
    let signed = verified.signs_aaguid.then_some(claimed);
    let entry = anchors.entry(signed, &key_identifiers);
    let trust = match verified.attestation_type {
        AttestationType::None => Trust::None,
        AttestationType::SelfAttestation => Trust::SelfAttestation,
        _ => anchors.assess(&path, entry, now_unix),
    };
    let trusted = trust == Trust::Trusted;
    let serial_number = trusted
        .then(|| certificate::serial_number(path.first()?))
        .flatten()
        .map(Base64Url);
    let facts = entry
        .zip(anchors.metadata())
        .filter(|_| trusted)
        .map(|(entry, metadata)| ModelFacts::new(metadata, entry, now_unix));
    let attestation = Attestation {
        fmt: fmt.to_owned(),
        attestation_type: verified.attestation_type,
        trust,
        model: signed.filter(|aaguid| trusted && *aaguid != Aaguid::ZERO),
        trust_path: path.iter().cloned().map(Base64Url).collect(),
        serial_number,
        facts,
    };
    Assessed {
        attestation,
        path,
        key_identifiers,
        claimed,
        entry,
    }
}

impl Assessed<'_> {
    /// Whether the policy takes the model.
    pub(crate) fn check_model(
        &self,
        policy: &ModelPolicy,
        anchors: &TrustAnchors,
        now_unix: u64,
    ) -> Result<(), ModelRefusal> {
        let subject = Subject {
            claimed: self.claimed,
            proven: self.attestation.model,
            trusted: self.attestation.trust == Trust::Trusted,
            key_identifiers: &self.key_identifiers,
            path: &self.path,
            entry: self.entry,
        };
        policy.check(subject, anchors.metadata(), now_unix)
    }
}

#[cfg(test)]
mod tests;
