//! FIDO Metadata Service 3 (MDS 3.0, 3.1): the BLOB that says which attestation certificates belong to
//! which model, and what is known of the model.
//!
//! Nothing is fetched here: the bytes come from a file that you keep. The FIDO Alliance serves the
//! current one at `https://mds3.fidoalliance.org/`.
//!
//! ```no_run
//! use rp::TrustAnchors;
//! use rp::metadata::{FIDO_ALLIANCE, Metadata, fido_alliance_root};
//! # let (bytes, now_unix) = (vec![], 0);
//! let metadata = Metadata::read(&bytes, &fido_alliance_root()?, FIDO_ALLIANCE, now_unix)?;
//! println!("number {}, until {}", metadata.number(), metadata.next_update());
//! println!("{}", metadata.legal_header());
//! // From now on, certificates are trusted for the models that they were issued for:
//! let anchors = TrustAnchors::none().with_metadata(metadata.into());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod date;
mod jws;
mod model;
mod status;

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use webauthn::authenticator_data::Aaguid;

pub(crate) use model::Subject;

pub use date::{Date, DateError};
pub use model::{ModelFacts, ModelId, ModelIdError, ModelPolicy, ModelRefusal, StatusRule};
pub use status::{AuthenticatorStatus, Certification, StatusReport};

use crate::attestation::{TrustAnchors, TrustAnchorsError};

/// Whose certificate signs the BLOB of the FIDO Alliance.
pub const FIDO_ALLIANCE: &str = "mds.fidoalliance.org";

/// The root in which the path of that certificate ends: GlobalSign Root CA R3, valid until 2029-03-18.
/// A BLOB that is signed under another one needs [`TrustAnchors::from_der`].
///
/// # Errors
/// Never, as a test shows.
pub fn fido_alliance_root() -> Result<TrustAnchors, TrustAnchorsError> {
    TrustAnchors::from_der([include_bytes!("metadata/globalsign-root-r3.der").to_vec()])
}

/// Why a BLOB is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not a signed JSON object.
    #[error("the metadata cannot be read: {0}")]
    Syntax(&'static str),
    /// The certificate of the signer is not trusted, or another's.
    #[error("the metadata's signer is not trusted: {0}")]
    Signer(String),
    /// The signature algorithm is not one of RFC 7518 that can be checked.
    #[error("the metadata is signed with algorithm `{0}`, which is not supported")]
    Algorithm(String),
    /// The signature is not valid.
    #[error("the metadata's signature is not valid")]
    Signature,
    /// The payload is not as MDS 3 has it.
    #[error("the metadata's payload is not as MDS 3 has it: {0}")]
    Payload(String),
    /// Older than the one before.
    #[error("the metadata has number {found}, and number {known} is known already")]
    Older {
        /// The number of the one before.
        known: u64,
        /// Its own number.
        found: u64,
    },
}

/// A part of the BLOB that could not be used. The rest is: a model whose entry cannot be read is one
/// that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the entry, from 0.
    pub entry: usize,
    /// What is wrong.
    pub reason: String,
}

/// What is known of one model.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The model of FIDO2 authenticators.
    pub aaguid: Option<Aaguid>,
    /// The model of UAF authenticators.
    pub aaid: Option<String>,
    /// U2F authenticators: the SHA-1 hashes of the attestation certificates' public keys.
    pub key_identifiers: Vec<[u8; 20]>,
    /// What became of it, in the order of the BLOB.
    pub status_reports: Vec<StatusReport>,
    /// When that last changed.
    pub time_of_last_status_change: Option<Date>,
    /// What the vendor says of it; absent when the vendor does not publish that.
    pub statement: Option<Statement>,
    anchors: TrustAnchors,
}

/// The parts of a metadata statement that a Relying Party looks at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Statement {
    /// The terms of use of the statement.
    #[serde(default)]
    pub legal_header: Option<String>,
    /// The name of the model, for people.
    pub description: String,
    /// The earliest firmware version that the statement is about.
    pub authenticator_version: u32,
    /// `fido2`, `u2f` or `uaf`.
    #[serde(default)]
    pub protocol_family: Option<String>,
    /// How it attests: `basic_full`, `basic_surrogate`, `attca`, `anonca`, `ecdaa`, `none`.
    #[serde(default)]
    pub attestation_types: Vec<String>,
    /// How it keeps its keys: `hardware`, `tee`, `secure_element` …
    #[serde(default)]
    pub key_protection: Vec<String>,
    /// What it answers to `authenticatorGetInfo`, as the vendor gave it.
    #[serde(default)]
    pub authenticator_get_info: Option<serde_json::Value>,
    #[serde(default)]
    attestation_root_certificates: Vec<String>,
}

impl Entry {
    /// The certificates in which attestations of this model end.
    pub fn anchors(&self) -> &TrustAnchors {
        &self.anchors
    }

    /// The name for people: the vendor's, or the identifier.
    pub fn name(&self) -> String {
        match (&self.statement, &self.aaguid, &self.aaid) {
            (Some(statement), ..) => statement.description.clone(),
            (None, Some(aaguid), _) => aaguid.to_string(),
            (None, None, Some(aaid)) => aaid.clone(),
            (None, None, None) => "a model without a name".to_owned(),
        }
    }

    /// The status reports in force, oldest first: by their dates, whatever their order in the BLOB.
    pub fn status_in_force(&self, now_unix: u64) -> Vec<&StatusReport> {
        status::in_force(&self.status_reports, Date::of_unix(now_unix))
    }
}

/// A BLOB whose signature was verified.
#[derive(Debug, Clone)]
pub struct Metadata {
    number: u64,
    legal_header: String,
    next_update: Date,
    entries: Vec<Entry>,
    faults: Vec<Fault>,
    by_aaguid: HashMap<Aaguid, usize>,
    by_key_identifier: HashMap<[u8; 20], usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(default)]
    legal_header: String,
    no: u64,
    next_update: Date,
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadEntry {
    aaguid: Option<Aaguid>,
    aaid: Option<String>,
    #[serde(default)]
    attestation_certificate_key_identifiers: Vec<String>,
    #[serde(default)]
    status_reports: Vec<StatusReport>,
    time_of_last_status_change: Option<Date>,
    metadata_statement: Option<Statement>,
}

impl Metadata {
    /// Reads a BLOB: its signature, the path of the signer's certificate to `anchors`, that it is
    /// `signer`'s (a host name), and what is in it.
    ///
    /// `now_unix` is the time at which the certificates must be valid. A server that is cut off from
    /// the world keeps the time at which it took the file, and gives that.
    ///
    /// Certificate revocation lists are not looked at: that needs a fetch.
    ///
    /// # Errors
    /// [`MetadataError`], in the order of its variants.
    pub fn read(
        blob: &[u8],
        anchors: &TrustAnchors,
        signer: &str,
        now_unix: u64,
    ) -> Result<Self, MetadataError> {
        let payload = jws::open(blob, anchors, signer, now_unix)?;
        let payload: Payload<'_> = serde_json::from_slice(&payload)
            .map_err(|error| MetadataError::Payload(error.to_string()))?;
        let mut metadata = Self {
            number: payload.no,
            legal_header: payload.legal_header,
            next_update: payload.next_update,
            entries: Vec::new(),
            faults: Vec::new(),
            by_aaguid: HashMap::new(),
            by_key_identifier: HashMap::new(),
        };
        for (index, raw) in payload.entries.iter().enumerate() {
            match serde_json::from_str::<PayloadEntry>(raw.get()) {
                Ok(entry) => metadata.add(index, entry),
                Err(error) => metadata.fault(index, error.to_string()),
            }
        }
        Ok(metadata)
    }

    /// As [`read`](Self::read), in place of this one: somebody who can put an old file in place
    /// could otherwise take back what is known since.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`MetadataError::Older`] if the number is not greater or equal.
    pub fn renew(
        &self,
        blob: &[u8],
        anchors: &TrustAnchors,
        signer: &str,
        now_unix: u64,
    ) -> Result<Self, MetadataError> {
        let newer = Self::read(blob, anchors, signer, now_unix)?;
        let (known, found) = (self.number, newer.number);
        if found < known {
            return Err(MetadataError::Older { known, found });
        }
        Ok(newer)
    }

    fn fault(&mut self, entry: usize, reason: String) {
        self.faults.push(Fault { entry, reason });
    }

    fn add(&mut self, index: usize, entry: PayloadEntry) {
        let mut anchors = TrustAnchors::none();
        let roots = entry
            .metadata_statement
            .iter()
            .flat_map(|statement| &statement.attestation_root_certificates);
        for text in roots {
            // Some vendors wrap their lines.
            let text: String = text.split_ascii_whitespace().collect();
            let added = STANDARD
                .decode(&text)
                .map_err(|_| "is not base64".to_owned())
                .and_then(|der| anchors.add(der).map_err(|error| error.to_string()));
            if let Err(reason) = added {
                self.fault(index, format!("a root certificate {reason}"));
            }
        }
        let place = self.entries.len();
        if let Some(aaguid) = entry.aaguid
            && self.by_aaguid.insert(aaguid, place).is_some()
        {
            self.fault(
                index,
                format!("model {aaguid} is there twice; the later counts"),
            );
        }
        let mut key_identifiers = Vec::new();
        for text in &entry.attestation_certificate_key_identifiers {
            match model::key_identifier(text) {
                Some(id) => {
                    self.by_key_identifier.insert(id, place);
                    key_identifiers.push(id);
                }
                None => self.fault(index, format!("`{text}` is no key identifier")),
            }
        }
        self.entries.push(Entry {
            aaguid: entry.aaguid,
            aaid: entry.aaid,
            key_identifiers,
            status_reports: entry.status_reports,
            time_of_last_status_change: entry.time_of_last_status_change,
            statement: entry.metadata_statement,
            anchors,
        });
    }

    /// The serial number of the BLOB.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The terms of use.
    pub fn legal_header(&self) -> &str {
        &self.legal_header
    }

    /// When there should be a newer one.
    pub fn next_update(&self) -> Date {
        self.next_update
    }

    /// Whether there should be a newer one by now, and more than these days ago.
    pub fn is_outdated(&self, now_unix: u64, grace_days: u32) -> bool {
        Date::of_unix(now_unix) > self.next_update.plus_days(grace_days)
    }

    /// Every model.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What could not be used.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// A FIDO2 model.
    pub fn by_aaguid(&self, aaguid: Aaguid) -> Option<&Entry> {
        self.entries.get(*self.by_aaguid.get(&aaguid)?)
    }

    /// A U2F model, by the hash of the public key of an attestation certificate.
    pub fn by_key_identifier(&self, id: &[u8; 20]) -> Option<&Entry> {
        self.entries.get(*self.by_key_identifier.get(id)?)
    }
}
