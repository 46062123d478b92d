//! -storage, -residentKeys and -delete

use client::manage::{ManageError, Passkey};
use ctap::Status;
use ctap::client_pin::Permissions;

use super::run::Session;
use super::trouble::Trouble;
use super::{ask, base64};
use crate::exit::Exit;
use crate::say;

const PERMISSION: Permissions = Permissions::CREDENTIAL_MANAGEMENT;

pub(super) fn storage(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.lists_passkeys()?;
    let token = session.verified(PERMISSION)?;
    let storage = session.manager.storage(&token)?;
    Ok(say::out(&format!(
        "existing rk(s): {}\nremaining rk(s): {}\n",
        storage.existing, storage.remaining
    ))?)
}

pub(super) fn list(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.lists_passkeys()?;
    let token = session.verified(PERMISSION)?;
    let all = session.manager.passkeys(&token)?;
    let Some(domain) = &session.call.domain else {
        return Ok(say::out(&sites(&all))?);
    };
    let dialect = session.call.dialect;
    let lines: String = all
        .iter()
        .filter(|passkey| passkey.rp_id == *domain)
        .map(|passkey| dialect.passkey(&base64::encode(&passkey.credential_id), &user(passkey)))
        .collect();
    if lines.is_empty() {
        let text = format!(
            "there is no passkey for {} on this key",
            say::escaped(domain)
        );
        return Err(Trouble::new(Exit::NoKey, text).named("FIDO_ERR_NO_CREDENTIALS"));
    }
    Ok(say::out(&lines)?)
}

/// One line for each site, in the key's order.
fn sites(all: &[Passkey]) -> String {
    let mut lines = String::new();
    let mut last = None;
    let mut number = 0;
    for passkey in all {
        if last == Some(passkey.rp_id_hash) {
            continue;
        }
        last = Some(passkey.rp_id_hash);
        let hash = base64::encode(&passkey.rp_id_hash);
        lines.push_str(&format!(
            "{number:02}: {hash} {}\n",
            say::escaped(&passkey.rp_id)
        ));
        number += 1;
    }
    lines
}

/// The person's name and the account's, as far as the key keeps them; else the account's handle.
fn user(passkey: &Passkey) -> String {
    let names = [&passkey.user.display_name, &passkey.user.name];
    let mut shown: Vec<_> = names
        .into_iter()
        .flatten()
        .filter(|name| !name.is_empty())
        .map(|name| say::escaped(name))
        .collect();
    shown.dedup();
    if shown.is_empty() {
        return base64::encode(&passkey.user.id);
    }
    shown.join(" ")
}

pub(super) fn delete(session: &mut Session<'_, '_>) -> Result<(), Trouble> {
    session.manager.lists_passkeys()?;
    let written = session.call.credential.clone().unwrap_or_default();
    let id = base64::decode(&written)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Trouble::usage("the credential ID is not base64; -residentKeys shows it"))?;
    let dialect = session.call.dialect;
    say::out(&dialect.delete_question(&base64::encode(&id)))?;
    if !ask::confirmed()? {
        say::out(&dialect.delete_cancelled())?;
        return Err(Trouble::new(
            Exit::Refused,
            "not confirmed; nothing was changed",
        ));
    }
    let token = session.verified(PERMISSION)?;
    match session.manager.delete_passkey(&id, &token) {
        Err(error) if error.status() == Some(Status::NO_CREDENTIALS) => {
            let text = "there is no such passkey on this key; nothing was changed";
            return Err(Trouble::new(Exit::NoKey, text).named("FIDO_ERR_NO_CREDENTIALS"));
        }
        other => other?,
    }
    let left = session.manager.passkeys(&token)?;
    if left.iter().any(|passkey| passkey.credential_id == id) {
        return Err(ManageError::NotAsSaid("the passkey is still there").into());
    }
    Ok(say::out(&dialect.deleted())?)
}
