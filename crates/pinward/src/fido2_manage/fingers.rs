//! -fingerprint, -fingerprintlist, -renamefingerprint and -deletefingerprint

use std::fmt::Write as _;
use std::time::Duration;

use client::manage::{Fingerprint, ManageError, Token};
use ctap::Status;
use ctap::client_pin::Permissions;

use super::run::Session;
use super::text::Dialect;
use super::trouble::Trouble;
use super::{ask, base64};
use crate::exit::Exit;
use crate::say;

const PERMISSION: Permissions = Permissions::BIO_ENROLLMENT;
/// As long as libfido2's tools wait for a finger.
const PATIENCE: Duration = Duration::from_secs(10);
/// More samples than any sensor takes, the bad ones among them.
const MOST_SAMPLES: usize = 100;

pub(super) fn enrol(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.enrolls_fingerprints()?;
    if session.call.dialect == Dialect::Cpp {
        let samples = session.manager.sensor()?.max_samples.unwrap_or(1);
        say::out(&format!(
            "Enrolling a fingerprint. The key takes {samples} samples of the same finger.\n"
        ))?;
    }
    let token = session.verified(PERMISSION)?;
    say::out("Touch your security key.\n")?;
    let mut sample = session
        .manager
        .enroll_begin(PATIENCE, &token)
        .map_err(full)?;
    for _ in 0..MOST_SAMPLES {
        say::out(&format!("{}.\n", of_sample(sample.status)))?;
        if sample.remaining == 0 {
            return is_there(session, &token, &sample.template_id);
        }
        if sample.status == NO_ACTIVITY {
            break;
        }
        let more = if sample.remaining == 1 { "" } else { "s" };
        let ask = format!(
            "Touch your security key ({} sample{more} left).\n",
            sample.remaining
        );
        say::out(&ask)?;
        sample = session
            .manager
            .enroll_next(&sample.template_id, PATIENCE, &token)
            .map_err(full)?;
    }
    session.manager.enroll_cancel()?;
    Err(Trouble::new(
        Exit::Refused,
        "no finger came; nothing was enrolled",
    ))
}

const NO_ACTIVITY: u64 = 0x0D;

/// CTAP 2.3 §6.7.4 lastEnrollSampleStatus, in the words of libfido2's tools.
fn of_sample(status: u64) -> &'static str {
    match status {
        0x00 => "Sample ok",
        0x01 => "Sample too high",
        0x02 => "Sample too low",
        0x03 => "Sample too left",
        0x04 => "Sample too right",
        0x05 => "Sample too fast",
        0x06 => "Sample too slow",
        0x07 => "Poor quality sample",
        0x08 => "Sample too skewed",
        0x09 => "Sample too short",
        0x0A => "Sample merge failure",
        0x0B => "Sample exists",
        0x0C => "Fingerprint database full",
        NO_ACTIVITY => "No user activity",
        0x0E => "No user presence transition",
        _ => "Unknown error",
    }
}

fn full(error: ManageError) -> Trouble {
    match error.status() {
        Some(Status::FP_DATABASE_FULL) => Trouble::new(
            Exit::Refused,
            "the key has no room for another finger; -deletefingerprint makes some",
        )
        .named("FIDO_ERR_FP_DATABASE_FULL"),
        _ => error.into(),
    }
}

fn is_there(session: &mut Session<'_, '_>, token: &Token, id: &[u8]) -> Result<(), Trouble> {
    let fingers = session.manager.fingerprints(token)?;
    if fingers.iter().any(|finger| finger.id == id) {
        return Ok(());
    }
    Err(ManageError::NotAsSaid("the finger is not among those that it knows").into())
}

pub(super) fn list(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.enrolls_fingerprints()?;
    let token = session.verified(PERMISSION)?;
    let mut lines = String::new();
    for (number, finger) in session.manager.fingerprints(&token)?.iter().enumerate() {
        let name = say::escaped(finger.name.as_deref().unwrap_or_default());
        let line = format!("{number:02}: {} {name}", base64::encode(&finger.id));
        let _ = writeln!(lines, "{}", line.trim_end());
    }
    lines.push_str(session.call.dialect.after_fingerprints());
    Ok(say::out(&lines)?)
}

/// The finger with the number of the list, which is asked for anew.
fn find(session: &mut Session<'_, '_>, token: &Token) -> Result<Fingerprint, Trouble> {
    let number = session.number()?;
    let fingers = session.manager.fingerprints(token)?;
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let finger = fingers.get(index).cloned().ok_or_else(|| {
        let text = format!("No fingerprint found at index {number}.");
        Trouble::new(Exit::NoKey, text)
    })?;
    let id = base64::encode(&finger.id);
    say::out(&format!("Mapped fingerprint index {number} to ID {id}\n"))?;
    Ok(finger)
}

pub(super) fn rename(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.enrolls_fingerprints()?;
    let name = session.call.name.clone().unwrap_or_default();
    let token = session.verified(PERMISSION)?;
    let finger = find(session, &token)?;
    let id = base64::encode(&finger.id);
    let number = session.number()?;
    say::out(&format!("Renaming fingerprint {number}, ID={id}...\n"))?;
    session
        .manager
        .rename_fingerprint(&finger.id, &name, &token)?;
    let now = session.manager.fingerprints(&token)?;
    match now.iter().find(|now| now.id == finger.id) {
        Some(now) if now.name.as_deref() == Some(&name) => Ok(()),
        _ => Err(ManageError::NotAsSaid("the finger has another name").into()),
    }
}

pub(super) fn delete(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.enrolls_fingerprints()?;
    let token = session.verified(PERMISSION)?;
    let finger = find(session, &token)?;
    let (number, id) = (session.number()?, base64::encode(&finger.id));
    say::out(&format!(
        "Are you sure you want to delete fingerprint {number} with ID {id}? (Y/N): "
    ))?;
    if !ask::confirmed()? {
        say::out("Operation cancelled.\n")?;
        return Err(Trouble::new(
            Exit::Refused,
            "not confirmed; nothing was changed",
        ));
    }
    say::out(&format!("Deleting fingerprint {number}, ID={id}...\n"))?;
    session.manager.remove_fingerprint(&finger.id, &token)?;
    // The last finger takes the token's use with it on some keys, and the list is then empty.
    let now = session.manager.fingerprints(&token)?;
    if now.iter().any(|now| now.id == finger.id) {
        return Err(ManageError::NotAsSaid("the fingerprint is still there").into());
    }
    Ok(())
}
