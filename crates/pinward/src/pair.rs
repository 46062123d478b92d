//! `pinward pair`: which accounts are on one key and not on the other

use clap::Args;
use client::manage::Passkey;
use ctap::client_pin::Permissions;
use serde_json::{Value, json};
use webauthn::base64url;

use crate::authorise::PinArg;
use crate::device::{self, Key, Listed};
use crate::exit::{Exit, Fault};
use crate::passkeys::{account, with_permissions};
use crate::remember::Remembered;
use crate::secret::Named;
use crate::{say, table};

/// Compares two keys: which accounts are on the primary one and not on the backup, and the other way
/// round. Exit code 10 if something is missing on the backup.
///
/// Accounts are the same when the site and the user handle are, or the site and the account's name.
/// Only passkeys (discoverable credentials) can be compared: no key tells what else it is registered
/// for, as a second factor or with U2F. A key that is remembered (`pinward passkeys list --remember`)
/// is compared without its PIN.
#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The key of every day: its name, id, number, serial number or address.
    primary: String,
    /// The other one.
    backup: String,
    /// Where the PIN of the primary key is: env:NAME, stdin, fd:N, file:PATH or cmd:COMMAND.
    #[arg(long, value_name = "WHERE")]
    primary_pin: Option<Named>,
    /// Where the PIN of the backup key is.
    #[arg(long, value_name = "WHERE")]
    backup_pin: Option<Named>,
    /// Show only what is missing on the backup.
    #[arg(long)]
    missing: bool,
    /// Print JSON, schema `pinward.pair/1`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

/// One account, and where it is.
struct Row<'a> {
    account: &'a Passkey,
    on: On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Both,
    /// The names are alike and the handles are not: two accounts, or one that was registered anew.
    BothByName,
    Primary,
    Backup,
}

impl On {
    fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::BothByName => "both-by-name",
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::BothByName => "both (by its name)",
            Self::Primary => "MISSING on the backup",
            Self::Backup => "on the backup only",
        }
    }
}

pub(crate) fn run(args: &PairArgs) -> Result<(), Fault> {
    let primary = device::choose(Some(&args.primary))?;
    let backup = device::choose(Some(&args.backup))?;
    if primary.found.address == backup.found.address {
        return Err(Fault::usage("both names mean the same key"));
    }
    let on_primary = passkeys(&primary, args.primary_pin.as_ref())?;
    let on_backup = passkeys(&backup, args.backup_pin.as_ref())?;
    let rows = compare(&on_primary, &on_backup);
    let missing = rows.iter().filter(|row| row.on == On::Primary).count();
    let shown: Vec<_> = rows
        .iter()
        .filter(|row| !args.missing || row.on == On::Primary)
        .collect();
    print(args, &primary, &backup, &shown)?;
    say::note(
        "What cannot be known: registrations that are no passkeys (a second factor, U2F). Ask each site \
         for the keys that it lists.\n",
    );
    match missing {
        0 => Ok(()),
        1 => Err(Fault::new(
            Exit::Drift,
            "1 account is missing on the backup",
        )),
        n => Err(Fault::new(
            Exit::Drift,
            format!("{n} accounts are missing on the backup"),
        )),
    }
}

/// The passkeys of one key, without a PIN where it is remembered.
fn passkeys(listed: &Listed, pin: Option<&Named>) -> Result<Vec<Passkey>, Fault> {
    if pin.is_none() {
        let mut key = Key::open(listed.clone())?;
        let mut rng = device::rng();
        let mut manager = key.manager(&mut rng)?;
        if let Some(remembered) = Remembered::of(manager.info())
            && let Ok(all) = manager.passkeys(&remembered.token)
        {
            return Ok(all);
        }
        say::note(&format!("{} ({}):\n", listed.name(), listed.id));
    }
    let pin = PinArg { pin: pin.cloned() };
    let cm = Permissions::CREDENTIAL_MANAGEMENT;
    with_permissions(listed, &pin, cm, |open| Ok(open.all.clone()))
}

fn same_site(a: &Passkey, b: &Passkey) -> bool {
    // Some keys cut long RP IDs; the hash is of the whole one.
    a.rp_id_hash == b.rp_id_hash
}

fn compare<'a>(primary: &'a [Passkey], backup: &'a [Passkey]) -> Vec<Row<'a>> {
    let find = |one: &Passkey, others: &[Passkey]| {
        let mut there = others
            .iter()
            .filter(|other| same_site(one, other))
            .peekable();
        let mut on = None;
        for other in there.by_ref() {
            if other.user.id == one.user.id {
                return Some(On::Both);
            }
            let name = one.user.name.as_deref().filter(|name| !name.is_empty());
            if name.is_some() && other.user.name.as_deref() == name {
                on = Some(On::BothByName);
            }
        }
        on
    };
    let here = primary.iter().map(|account| Row {
        account,
        on: find(account, backup).unwrap_or(On::Primary),
    });
    let there = backup
        .iter()
        .filter(|account| find(account, primary).is_none())
        .map(|account| Row {
            account,
            on: On::Backup,
        });
    let mut rows: Vec<_> = here.chain(there).collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row<'a>| (&row.account.rp_id, &row.account.user.name);
        key(a).cmp(&key(b))
    });
    rows
}

fn print(
    args: &PairArgs,
    primary: &Listed,
    backup: &Listed,
    rows: &[&Row<'_>],
) -> Result<(), Fault> {
    if args.json {
        let accounts: Vec<_> = rows.iter().map(|row| as_json(row)).collect();
        let json = json!({
            "schema": "pinward.pair/1",
            "primary": primary.id,
            "backup": backup.id,
            "accounts": accounts,
            "unknown": ["non-discoverable credentials", "U2F registrations"],
        });
        return Ok(say::json(&json)?);
    }
    let head = ["SITE", "ACCOUNT", "WHERE"];
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.account.rp_id.clone(),
                account(row.account),
                row.on.words().to_owned(),
            ]
        })
        .collect();
    if args.csv {
        say::out(&table::csv(&head, &cells))?;
    } else if !cells.is_empty() {
        say::out(&table::text(&head, &cells))?;
    }
    Ok(())
}

fn as_json(row: &Row<'_>) -> Value {
    json!({
        "site": row.account.rp_id,
        "name": row.account.user.name,
        "userHandle": base64url::encode(&row.account.user.id),
        "on": row.on.word(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passkey(site: u8, handle: u8, name: &str) -> Passkey {
        Passkey {
            rp_id: format!("{site}.example"),
            rp_id_hash: [site; 32],
            user: ctap::entities::UserEntity {
                id: vec![handle],
                name: (!name.is_empty()).then(|| name.to_owned()),
                display_name: None,
            },
            credential_id: vec![site, handle],
            algorithm: None,
            public_key: None,
            cred_protect: None,
            large_blob_key: None,
            third_party_payment: None,
        }
    }

    #[test]
    fn accounts_are_the_same_by_site_and_handle_or_name() {
        let primary = [
            passkey(1, 1, "a"),
            passkey(1, 2, "b"),
            passkey(2, 1, "a"),
            passkey(3, 1, ""),
        ];
        let backup = [
            passkey(1, 1, "renamed"),
            passkey(1, 9, "b"),
            passkey(3, 2, ""),
            passkey(4, 1, "a"),
        ];
        let rows = compare(&primary, &backup);
        let on: Vec<_> = rows
            .iter()
            .map(|row| (row.account.rp_id.as_str(), row.on))
            .collect();
        assert_eq!(
            on,
            [
                ("1.example", On::Both),
                ("1.example", On::BothByName),
                ("2.example", On::Primary),
                // No name is not a name.
                ("3.example", On::Primary),
                ("3.example", On::Backup),
                ("4.example", On::Backup),
            ]
        );
    }
}
