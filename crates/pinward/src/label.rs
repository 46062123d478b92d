//! `pinward label`: names and roles for keys

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::device::{self, DeviceArg};
use crate::exit::{Exit, Fault};
use crate::ledger::{self, Known};
use crate::{remember, say, table};

/// No label is longer.
const LONGEST: usize = 40;

/// Names and roles for your keys. `--device` then takes the name.
///
/// A key is recognised by its serial number; one without, by the identifier that it shows to whoever
/// holds its persistent token (`pinward passkeys list --remember`); a software key by its address.
#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand {
    /// Gives a key a name, and maybe a role.
    Set(SetArgs),
    /// Takes the name of a key away, and forgets what was remembered of it.
    Remove(RemoveArgs),
    /// Lists the keys that have names, plugged in or not.
    List(ListArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The key of every day.
    Primary,
    /// The key in the drawer.
    Backup,
    /// A key that stays in a machine for many people.
    Kiosk,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
            Self::Kiosk => "kiosk",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The name: at most 40 characters, and nothing that could be taken for an address or a number.
    name: String,
    #[command(flatten)]
    device: DeviceArg,
    /// What the key is for.
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Print JSON, schema `pinward.labels/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The name.
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON, schema `pinward.labels/1`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

pub(crate) fn run(command: &LabelCommand) -> Result<(), Fault> {
    match command {
        LabelCommand::Set(args) => set(args),
        LabelCommand::Remove(args) => remove(args),
        LabelCommand::List(args) => print(&ledger::all()?, args.json, args.csv),
    }
}

/// A name that nobody can take for something else.
fn checked(name: &str) -> Result<(), Fault> {
    let wrong = |why: &str| {
        Err(Fault::usage(format!(
            "this cannot be the name of a key: {why}"
        )))
    };
    let looks_like_id = name
        .strip_prefix(['k', 'K'])
        .is_some_and(|rest| rest.len() >= 4 && rest.chars().all(|c| c.is_ascii_hexdigit()));
    if name.trim() != name || name.is_empty() {
        wrong("it is empty, or has blanks at its ends")
    } else if name.chars().count() > LONGEST {
        wrong("it has more than 40 characters")
    } else if say::escaped(name) != name {
        wrong("it has characters that are not seen")
    } else if name.contains([':', '/', '=']) || name.starts_with('-') {
        wrong("it could be taken for an address or an option")
    } else if name.chars().all(|c| c.is_ascii_digit()) || looks_like_id {
        wrong("it could be taken for the number or the id of a key")
    } else {
        Ok(())
    }
}

fn set(args: &SetArgs) -> Result<(), Fault> {
    checked(&args.name)?;
    let listed = device::choose(args.device.device.as_deref())?;
    let known = remember::recognised(&listed)?;
    if !known.is_recognisable() {
        return Err(Fault::new(
            Exit::NotSupported,
            "this key tells no serial number, so it could not be told from another one; if it has a \
             persistent identifier, `pinward passkeys list --remember` reads it",
        ));
    }
    let one = ledger::change(|all| {
        let taken = all.iter().any(|other| {
            let same = other
                .label
                .as_deref()
                .is_some_and(|l| same_word(l, &args.name));
            same && !other.is(&known)
        });
        if taken {
            return Err(Fault::refused("another key has this name already"));
        }
        let entry = ledger::entry(all, &known);
        entry.label = Some(args.name.clone());
        if let Some(role) = args.role {
            entry.role = Some(role.word().to_owned());
        }
        Ok(entry.clone())
    })?;
    say::note(&format!(
        "{}: is called {} from now on, and recognised by its {}.\n",
        listed.name(),
        args.name,
        one.by()
    ));
    if args.json {
        print(&[one], true, false)
    } else {
        Ok(())
    }
}

fn remove(args: &RemoveArgs) -> Result<(), Fault> {
    let gone = ledger::change(|all| {
        let place = all.iter().position(|known| {
            known
                .label
                .as_deref()
                .is_some_and(|l| same_word(l, &args.name))
        });
        let none = || Fault::new(Exit::NoKey, "no key has this name; `pinward label list`");
        Ok(all.remove(place.ok_or_else(none)?))
    })?;
    if let Some(identifier) = &gone.identifier {
        // Without a keyring nothing was remembered.
        let _ = crate::keyring::forget(identifier);
    }
    say::note("The name is forgotten. The key is as it was.\n");
    Ok(())
}

/// Whether two labels are the same, as the file sees it too.
pub(crate) fn same_word(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn print(all: &[Known], as_json: bool, csv: bool) -> Result<(), Fault> {
    let all: Vec<_> = all.iter().filter(|known| known.label.is_some()).collect();
    if as_json {
        let keys: Vec<_> = all
            .iter()
            .map(|known| {
                json!({
                    "label": known.label,
                    "role": known.role,
                    "name": known.name,
                    "serial": known.serial,
                    "address": known.address,
                    "identifier": known.identifier,
                    "remembered": known.store_state.is_some(),
                    "listedAt": known.listed_at,
                })
            })
            .collect();
        let json = json!({ "schema": "pinward.labels/1", "keys": keys });
        return Ok(say::json(&json)?);
    }
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> = all
        .iter()
        .map(|known| {
            let by = known.serial.clone().or(known.identifier.clone());
            vec![
                cell(&known.label),
                cell(&known.role),
                known.name.clone(),
                cell(&by.or(known.address.clone())),
            ]
        })
        .collect();
    let head = ["LABEL", "ROLE", "NAME", "RECOGNISED BY"];
    if csv {
        say::out(&table::csv(&head, &rows))?;
    } else if rows.is_empty() {
        say::note("No key has a name yet: pinward label set NAME --device KEY\n");
    } else {
        say::out(&table::text(&head, &rows))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_nothing_else() {
        for good in ["red", "The one at home", "Zoë 2", "k2"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        let long = "x".repeat(41);
        for bad in [
            "",
            " x",
            "12",
            "k1a2b",
            "K1A2B3C",
            "unix:x",
            "/dev/x",
            "-x",
            "a\u{202e}b",
            &long,
        ] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }
}
