//! `pinward passkeys`: the discoverable credentials of a key, over all sites at once

mod change;
mod export;

use clap::{Args, Subcommand};
use client::manage::{ManageError, Manager, Passkey, Storage, Token};
use ctap::Status;
use ctap::client_pin::Permissions;
use serde_json::{Value, json};
use webauthn::base64url;

use crate::authorise::{self, PinArg};
use crate::device::{self, DeviceArg, Key, Listed};
use crate::exit::{Exit, Fault};
use crate::remember::{self, Remembered};
use crate::say::noteln;
use crate::{say, table};

/// The passkeys on a key.
#[derive(Debug, Subcommand)]
pub(crate) enum PasskeysCommand {
    /// Lists the passkeys of all sites.
    List(ListArgs),
    /// Shows one passkey.
    Show(OneArgs),
    /// Gives the account of a passkey another name on the key. The site does not learn of it.
    Rename(RenameArgs),
    /// Deletes a passkey. Nobody can bring it back.
    Delete(DeleteArgs),
    /// Prints the public key of a passkey, in PEM. The private one never leaves the key.
    ExportPublic(OneArgs),
    /// Says whether the passkeys have changed since they were last listed. No PIN is asked: the key
    /// must be remembered (`pinward passkeys list --remember`). They have: exit code 10.
    Changed(ChangedArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Only this site's.
    #[arg(long, value_name = "RP-ID")]
    site: Option<String>,
    /// From now on list without the PIN (CTAP 2.2 persistent token): the key's permission to read is
    /// kept in your desktop's keyring until the PIN changes or the key is reset.
    #[arg(long)]
    remember: bool,
    /// Print JSON, schema `pinward.passkeys/1`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangedArgs {
    #[command(flatten)]
    device: DeviceArg,
    /// Print JSON, schema `pinward.passkeys-changed/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its id in the list, or the whole credential ID (hexadecimal or base64url).
    id: String,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Print JSON, schema `pinward.passkeys/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The account's new name.
    #[arg(long, required_unless_present = "display_name")]
    name: Option<String>,
    /// The person's new name.
    #[arg(long)]
    display_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(command: &PasskeysCommand) -> Result<(), Fault> {
    match command {
        PasskeysCommand::List(args) => list_args(args),
        PasskeysCommand::Show(args) => with_token(&args.device, &args.pin, |open| {
            let passkey = open.find(&args.id)?;
            open.print(&[passkey], args.json, details)
        }),
        PasskeysCommand::Rename(args) => with_token(&args.one.device, &args.one.pin, |open| {
            change::rename(open, args)
        }),
        PasskeysCommand::Delete(args) => with_token(&args.one.device, &args.one.pin, |open| {
            change::delete(open, args)
        }),
        PasskeysCommand::ExportPublic(args) => {
            with_token(&args.device, &args.pin, |open| export::run(open, args))
        }
        PasskeysCommand::Changed(args) => changed(args),
    }
}

/// A key whose user is verified, and its passkeys.
pub(crate) struct Open<'a, 'b> {
    pub(crate) listed: &'a Listed,
    pub(crate) manager: &'a mut Manager<'b>,
    pub(crate) token: Token,
    pub(crate) storage: Storage,
    pub(crate) all: Vec<Passkey>,
}

fn with_token(
    device: &DeviceArg,
    pin: &PinArg,
    act: impl FnOnce(&mut Open<'_, '_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let cm = Permissions::CREDENTIAL_MANAGEMENT;
    with_permissions(&device::choose(device.device.as_deref())?, pin, cm, act)
}

/// Opens a key and verifies its user for these permissions, cm among them.
pub(crate) fn with_permissions<T>(
    listed: &Listed,
    pin: &PinArg,
    permissions: Permissions,
    act: impl FnOnce(&mut Open<'_, '_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut key = Key::open(listed.clone())?;
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    manager.lists_passkeys()?;
    let authority = authorise::authority(&mut manager, pin, permissions)?;
    let token = authority.token.ok_or_else(no_pin)?;
    let storage = manager.storage(&token)?;
    let all = manager.passkeys(&token)?;
    act(&mut Open {
        listed,
        manager: &mut manager,
        token,
        storage,
        all,
    })
}

fn no_pin() -> Fault {
    Fault::refused(
        "a key shows its passkeys only to a verified user, and this one has no PIN; `pinward pin set` \
         gives it one",
    )
}

/// Lists, without a PIN where the key is remembered.
fn list_args(args: &ListArgs) -> Result<(), Fault> {
    let listed = device::choose(args.device.device.as_deref())?;
    let mut key = Key::open(listed.clone())?;
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    manager.lists_passkeys()?;
    let asked = args.pin.pin.is_some() || args.remember;
    let known = (!asked).then(|| Remembered::of(manager.info())).flatten();
    let remembered = match known {
        Some(known) => Some(known),
        None if args.remember => {
            let pin = match manager.options().client_pin {
                Some(true) => Some(authorise::pin(&mut manager, &args.pin)?),
                _ if manager.options().uv == Some(true) => None,
                _ => return Err(no_pin()),
            };
            let remembered = remember::remember(&listed, &mut manager, pin.as_ref());
            Some(remembered.map_err(|fault| fault.or_pin(&mut manager))?)
        }
        None => None,
    };
    let Some(remembered) = remembered else {
        drop(manager);
        drop(key);
        let cm = Permissions::CREDENTIAL_MANAGEMENT;
        return with_permissions(&listed, &args.pin, cm, |open| list(open, args));
    };
    let storage = manager.storage(&remembered.token);
    let storage = storage.map_err(|error| no_longer(error, &remembered))?;
    let all = manager.passkeys(&remembered.token)?;
    remember::listed_now(&remembered, manager.info())?;
    let token = remembered.token;
    let mut open = Open {
        listed: &listed,
        manager: &mut manager,
        token,
        storage,
        all,
    };
    list(&mut open, args)
}

/// The key no longer takes what was remembered of it.
fn no_longer(error: ManageError, remembered: &Remembered) -> Fault {
    if error.status() != Some(Status::PIN_AUTH_INVALID) {
        return error.into();
    }
    match remember::forget(remembered) {
        Ok(()) => Fault::refused(
            "the key no longer takes what was remembered of it; it is forgotten, say --remember again",
        ),
        Err(fault) => fault,
    }
}

/// From one getInfo: whether the passkeys are as they were.
fn changed(args: &ChangedArgs) -> Result<(), Fault> {
    let mut key = args.device.open()?;
    let listed = key.listed.clone();
    let mut rng = device::rng();
    let manager = key.manager(&mut rng)?;
    manager.has_persistent_token()?;
    let remembered = Remembered::of(manager.info());
    let unchanged = remembered
        .as_ref()
        .and_then(|remembered| remembered.unchanged(manager.info()))
        .ok_or_else(|| {
            Fault::refused(
                "this key is not remembered, or no longer: `pinward passkeys list --remember`",
            )
        })?;
    if args.json {
        let json = json!({
            "schema": "pinward.passkeys-changed/1",
            "key": listed.id,
            "changed": !unchanged,
            "listedAt": remembered.and_then(|remembered| remembered.known.listed_at),
        });
        say::json(&json)?;
    }
    if unchanged {
        say::note("The passkeys are as they were when they were last listed.\n");
        Ok(())
    } else {
        Err(Fault::new(
            Exit::Drift,
            "the passkeys have changed since they were last listed; `pinward passkeys list` shows them",
        ))
    }
}

/// The beginning of the credential ID, as long as it takes to be the only one.
pub(crate) fn short_id(passkey: &Passkey, all: &[Passkey]) -> String {
    let own = hex(&passkey.credential_id);
    let alike = |other: &Passkey| {
        let other = hex(&other.credential_id);
        own.bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let others = all
        .iter()
        .filter(|other| other.credential_id != passkey.credential_id);
    let digits = others.map(alike).max().unwrap_or(0) + 1;
    own.get(..digits.max(6)).unwrap_or(&own).to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Open<'_, '_> {
    /// The passkey that an id means.
    pub(crate) fn find(&self, id: &str) -> Result<Passkey, Fault> {
        let wanted = id.to_ascii_lowercase();
        let mut fitting = self.all.iter().filter(|passkey| {
            (wanted.len() >= 4 && hex(&passkey.credential_id).starts_with(&wanted))
                || base64url::encode(&passkey.credential_id) == id
        });
        match (fitting.next(), fitting.next()) {
            (Some(passkey), None) => Ok(passkey.clone()),
            (Some(_), Some(_)) => Err(Fault::new(
                Exit::Ambiguous,
                "the id fits several passkeys; more of it is needed",
            )),
            (None, _) => Err(Fault::new(
                Exit::NoKey,
                "there is no such passkey; `pinward passkeys list` shows which there are",
            )),
        }
    }

    fn json(&self, passkey: &Passkey) -> Value {
        json!({
            "id": short_id(passkey, &self.all),
            "site": passkey.rp_id,
            "name": passkey.user.name,
            "displayName": passkey.user.display_name,
            "userHandle": base64url::encode(&passkey.user.id),
            "credentialId": base64url::encode(&passkey.credential_id),
            "rpIdHash": hex(&passkey.rp_id_hash),
            "algorithm": passkey.algorithm.map(|alg| alg.0),
            "credProtect": passkey.cred_protect,
            "largeBlob": passkey.large_blob_key.is_some(),
            "thirdPartyPayment": passkey.third_party_payment,
        })
    }

    fn print(
        &self,
        passkeys: &[Passkey],
        as_json: bool,
        text: impl FnOnce(&Self, &[Passkey]) -> String,
    ) -> Result<(), Fault> {
        if !as_json {
            return Ok(say::out(&text(self, passkeys))?);
        }
        let list: Vec<_> = passkeys.iter().map(|passkey| self.json(passkey)).collect();
        let json = json!({
            "schema": "pinward.passkeys/1",
            "key": self.listed.id,
            "existing": self.storage.existing,
            "remaining": self.storage.remaining,
            "passkeys": list,
        });
        Ok(say::json(&json)?)
    }

    /// Looks again, so that what is reported is true.
    fn read_back(&mut self) -> Result<(), Fault> {
        self.storage = self.manager.storage(&self.token)?;
        self.all = self.manager.passkeys(&self.token)?;
        Ok(())
    }
}

fn list(open: &mut Open<'_, '_>, args: &ListArgs) -> Result<(), Fault> {
    let mut passkeys = open.all.clone();
    if let Some(site) = &args.site {
        passkeys.retain(|passkey| passkey.rp_id == *site);
    }
    let head = ["ID", "SITE", "ACCOUNT", "PERSON", "ALGORITHM", "PROTECTION"];
    let rows = |open: &Open<'_, '_>, passkeys: &[Passkey]| -> Vec<_> {
        passkeys
            .iter()
            .map(|passkey| cells(open, passkey))
            .collect()
    };
    open.print(&passkeys, args.json, |open, passkeys| {
        if args.csv {
            table::csv(&head, &rows(open, passkeys))
        } else if passkeys.is_empty() {
            String::new()
        } else {
            table::text(&head, &rows(open, passkeys))
        }
    })?;
    let Storage {
        existing,
        remaining,
    } = open.storage;
    noteln!(
        "{}: {existing} passkeys, room for {remaining} more.",
        open.listed.name()
    );
    Ok(())
}

fn cells(open: &Open<'_, '_>, passkey: &Passkey) -> Vec<String> {
    vec![
        short_id(passkey, &open.all),
        passkey.rp_id.clone(),
        account(passkey),
        passkey.user.display_name.clone().unwrap_or_default(),
        passkey.algorithm.map(algorithm).unwrap_or_default(),
        protection(passkey.cred_protect).to_owned(),
    ]
}

/// The account's name; where a key keeps none, its handle.
pub(crate) fn account(passkey: &Passkey) -> String {
    match passkey.user.name.as_deref() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("handle {}", base64url::encode(&passkey.user.id)),
    }
}

pub(crate) fn algorithm(alg: webauthn::cose::CoseAlgorithm) -> String {
    match alg.0 {
        -7 => "ES256".to_owned(),
        -8 => "EdDSA".to_owned(),
        -35 => "ES384".to_owned(),
        -257 => "RS256".to_owned(),
        -48 => "ML-DSA-44".to_owned(),
        -49 => "ML-DSA-65".to_owned(),
        other => format!("COSE {other}"),
    }
}

/// CTAP 2.3 §12.1 credProtect.
fn protection(level: Option<u64>) -> &'static str {
    match level {
        Some(2) => "verified user, or the site knows its ID",
        Some(3) => "verified user only",
        _ => "none",
    }
}

fn details(open: &Open<'_, '_>, passkeys: &[Passkey]) -> String {
    let mut text = String::new();
    for passkey in passkeys {
        let names = passkey.user.display_name.clone().unwrap_or_default();
        let lines = [
            ("Id", short_id(passkey, &open.all)),
            ("Site", passkey.rp_id.clone()),
            ("Account", account(passkey)),
            ("Person", names),
            ("Handle", base64url::encode(&passkey.user.id)),
            ("Credential", base64url::encode(&passkey.credential_id)),
            (
                "Algorithm",
                passkey.algorithm.map(algorithm).unwrap_or_default(),
            ),
            ("Protection", protection(passkey.cred_protect).to_owned()),
        ];
        for (head, what) in lines {
            text.push_str(&say::wrapped(&format!("{head:12}"), 12, &what));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passkey(id: &[u8]) -> Passkey {
        Passkey {
            rp_id: "a.example".to_owned(),
            rp_id_hash: [0; 32],
            user: ctap::entities::UserEntity {
                id: vec![1],
                name: None,
                display_name: None,
            },
            credential_id: id.to_vec(),
            algorithm: None,
            public_key: None,
            cred_protect: None,
            large_blob_key: None,
            third_party_payment: None,
        }
    }

    #[test]
    fn short_ids_are_as_long_as_it_takes() {
        let all = [
            passkey(&[0xAB, 0xCD, 0xEF, 0x01]),
            passkey(&[0xAB, 0xCD, 0xEF, 0x02]),
            passkey(&[0x11; 16]),
        ];
        let ids: Vec<_> = all.iter().map(|p| short_id(p, &all)).collect();
        assert_eq!(ids, ["abcdef01", "abcdef02", "111111"]);
    }

    #[test]
    fn an_account_without_a_name_is_told_by_its_handle() {
        assert_eq!(account(&passkey(&[1])), "handle AQ");
    }
}
