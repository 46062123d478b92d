//! The model and its certification, from a FIDO MDS file that the person keeps

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rp::metadata::{Entry, FIDO_ALLIANCE, Metadata, MetadataError, fido_alliance_root};
use serde_json::{Value, json};
use webauthn::authenticator_data::Aaguid;

use crate::exit::{Exit, Fault};
use crate::say;

/// What the file says of a model. Its signature was verified.
pub(super) struct Model {
    name: String,
    /// The highest certification in force.
    certification: Option<String>,
    /// Everything in force, oldest first.
    statuses: Vec<String>,
    /// Statuses after which a key should not be trusted.
    warnings: Vec<String>,
    protection: Vec<String>,
    number: u64,
    next_update: String,
    /// The certificate that signed the file is no longer valid.
    old: bool,
}

/// Where the file is looked for when none is named.
fn usual() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".config"),
    };
    Some(folder.join("pinward").join("mds.jwt"))
}

/// Looks the model up. A named file must be good; one in the usual place is passed over if it is not,
/// and that is said.
pub(super) fn look_up(named: Option<&Path>, aaguid: [u8; 16]) -> Result<Option<Model>, Fault> {
    if let Some(path) = named {
        return of_file(path, aaguid);
    }
    match usual().filter(|path| path.exists()) {
        Some(path) => of_file(&path, aaguid).or_else(|fault| {
            say::note(&format!("pinward: {fault}\n"));
            Ok(None)
        }),
        None => Ok(None),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn of_file(path: &Path, aaguid: [u8; 16]) -> Result<Option<Model>, Fault> {
    let at = |error: String| Fault::new(Exit::Failed, format!("{}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| at(error.to_string()))?;
    let taken = std::fs::metadata(path).and_then(|about| about.modified());
    let (now, taken) = (seconds(SystemTime::now()), taken.map_or(0, seconds));
    let (metadata, old) = verified(&bytes, now, taken).map_err(|error| at(error.to_string()))?;
    let entry = metadata.by_aaguid(Aaguid::from(aaguid));
    Ok(entry.map(|entry| model(entry, &metadata, now, old)))
}

/// The file, valid now, or else valid when it was put there.
fn verified(bytes: &[u8], now: u64, taken: u64) -> Result<(Metadata, bool), MetadataError> {
    let root = fido_alliance_root().map_err(|error| MetadataError::Signer(error.to_string()))?;
    match Metadata::read(bytes, &root, FIDO_ALLIANCE, now) {
        Ok(metadata) => Ok((metadata, false)),
        Err(MetadataError::Signer(_)) if taken < now => {
            Metadata::read(bytes, &root, FIDO_ALLIANCE, taken).map(|metadata| (metadata, true))
        }
        Err(error) => Err(error),
    }
}

fn model(entry: &Entry, metadata: &Metadata, now: u64, old: bool) -> Model {
    use rp::metadata::AuthenticatorStatus as Status;
    let reports = entry.status_in_force(now);
    let best = reports
        .iter()
        .filter_map(|report| Some((report.status.certification()?, report.status.as_str())))
        .max_by_key(|(level, _)| *level);
    let statement = entry.statement.as_ref();
    Model {
        name: entry.name(),
        certification: best.map(|(_, name)| name.to_owned()),
        statuses: reports
            .iter()
            .map(|report| report.status.to_string())
            .collect(),
        warnings: reports
            .iter()
            .filter(|report| {
                Status::COMPROMISED.contains(&report.status)
                    || report.status == Status::UpdateAvailable
            })
            .map(|report| report.status.to_string())
            .collect(),
        protection: statement
            .map(|s| s.key_protection.clone())
            .unwrap_or_default(),
        number: metadata.number(),
        next_update: metadata.next_update().to_string(),
        old,
    }
}

impl Model {
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "certification": self.certification,
            "statuses": self.statuses,
            "warnings": self.warnings,
            "keyProtection": self.protection,
            "metadataNumber": self.number,
            "metadataNextUpdate": self.next_update,
            "metadataSignature": "verified",
            "metadataSignerExpired": self.old,
        })
    }

    /// The name, and then a line or two.
    pub(super) fn words(&self) -> (String, String) {
        let mut words = match &self.certification {
            Some(level) => level.clone(),
            None => "not certified".to_owned(),
        };
        if !self.protection.is_empty() {
            words.push_str(&format!("; keys kept in: {}", self.protection.join(", ")));
        }
        for warning in &self.warnings {
            words.push_str(&format!("; WARNING: {warning}"));
        }
        words.push_str(&format!(
            " (FIDO metadata number {}, good until {}",
            self.number, self.next_update
        ));
        words.push_str(if self.old {
            "; its signer's certificate has expired since: get a newer file)"
        } else {
            ")"
        });
        (self.name.clone(), words)
    }
}
