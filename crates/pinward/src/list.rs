//! `pinward list`: which keys are there, and the state of each

use clap::Args;
use client::manage::Manager;
use serde_json::{Value, json};

use crate::device::{self, Key, Listed};
use crate::exit::{Exit, Fault};
use crate::ledger::{self, Known};
use crate::say::noteln;
use crate::{say, show, table};

/// Lists the security keys that are plugged in, with the state of their PIN.
///
/// Software keys are listed when the environment variable PINWARD_KEYS names their addresses
/// (unix:PATH, tcp:HOST:PORT), with blanks between them.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON, schema `pinward.list/1`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

/// One key: what the list says of it.
struct Row {
    listed: Listed,
    /// What you call it, and what it is for.
    known: Option<Known>,
    /// Versions and PIN state, or why they are not known.
    facts: Result<Facts, Fault>,
}

struct Facts {
    versions: Vec<String>,
    aaguid: Option<String>,
    pin: &'static str,
    always_uv: Option<bool>,
}

pub(crate) fn run(args: &ListArgs) -> Result<(), Fault> {
    let labels = ledger::all()?;
    let rows: Vec<_> = device::all()
        .into_iter()
        .map(|listed| Row {
            facts: facts(listed.clone()),
            known: labels
                .iter()
                .find(|known| device::is_known(&listed, known))
                .cloned(),
            listed,
        })
        .collect();
    for row in &rows {
        if let Err(fault) = &row.facts {
            noteln!("pinward: {}: {fault}", row.listed.name());
        }
    }
    if args.json {
        let keys: Vec<_> = rows.iter().map(Row::json).collect();
        let list = json!({ "schema": "pinward.list/1", "keys": keys });
        say::json(&list)?;
    } else {
        let head = ["NO", "ID", "LABEL", "NAME", "PIN", "VERSIONS", "WHERE"];
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        if args.csv {
            say::out(&table::csv(&head, &cells))?;
        } else if rows.is_empty() {
            noteln!("No security key is plugged in.");
        } else {
            say::out(&table::text(&head, &cells))?;
        }
    }
    // A list in which no key could be looked at is a failure, and its code says which.
    let mut faults = rows.into_iter().map(|row| row.facts.err());
    match faults.next() {
        Some(Some(first)) if faults.all(|fault| fault.is_some()) => Err(Fault::new(
            first.exit,
            "none of the keys could be looked at",
        )),
        _ => Ok(()),
    }
}

fn facts(listed: Listed) -> Result<Facts, Fault> {
    let mut key = Key::open(listed)?;
    let u2f = key.about().speaks_u2f();
    let mut rng = device::rng();
    match key.manager(&mut rng) {
        Ok(manager) => Ok(of_manager(&manager)),
        // A key that knows only U2F is a key all the same.
        Err(fault) if fault.exit == Exit::NotSupported && u2f => Ok(Facts {
            versions: vec!["U2F_V2".to_owned()],
            aaguid: None,
            pin: "none",
            always_uv: None,
        }),
        Err(fault) => Err(fault),
    }
}

fn of_manager(manager: &Manager<'_>) -> Facts {
    Facts {
        versions: manager.info().versions.clone(),
        aaguid: Some(show::aaguid(&manager.info().aaguid)),
        pin: show::pin_state(manager),
        always_uv: manager.options().always_uv,
    }
}

impl Row {
    fn label(&self) -> Option<String> {
        self.known.as_ref().and_then(|known| known.label.clone())
    }

    fn cells(&self) -> Vec<String> {
        let (pin, versions) = match &self.facts {
            Ok(facts) => (facts.pin.to_owned(), facts.versions.join(" ")),
            Err(_) => ("?".to_owned(), "?".to_owned()),
        };
        vec![
            self.listed.number.to_string(),
            self.listed.id.clone(),
            self.label().unwrap_or_else(|| "-".to_owned()),
            self.listed.found.name.clone(),
            pin,
            versions,
            self.listed.found.address.to_string(),
        ]
    }

    fn json(&self) -> Value {
        let facts = self.facts.as_ref().ok();
        json!({
            "number": self.listed.number,
            "id": self.listed.id,
            "label": self.label(),
            "role": self.known.as_ref().and_then(|known| known.role.clone()),
            "name": self.listed.found.name,
            "address": self.listed.found.address.to_string(),
            "transport": self.listed.transport(),
            "usb": self.listed.found.usb.map(|(vendor, product)| json!({
                "vendor": format!("{vendor:04x}"),
                "product": format!("{product:04x}"),
            })),
            "serial": self.listed.found.serial,
            "position": self.listed.found.position,
            "aaguid": facts.and_then(|f| f.aaguid.clone()),
            "versions": facts.map(|f| f.versions.clone()),
            "pin": facts.map(|f| f.pin),
            "alwaysUv": facts.and_then(|f| f.always_uv),
            "problem": self.facts.as_ref().err().map(ToString::to_string),
        })
    }
}
