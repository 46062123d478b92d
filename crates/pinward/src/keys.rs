//! `pinward keys`: what is plugged in, and whether this user may use it

use clap::Args;
use serde_json::json;
use transport::host::watch::{Change, INTERVAL, Watch};

use crate::device::{self, Key, Listed};
use crate::exit::Fault;
use crate::{say, table};

/// Lists what is plugged in, and whether you may use it; `pinward list` also asks each key for its state.
///
/// USB keys are found by their usage page (hidraw), cards in PC/SC readers if pinward was built for them,
/// software keys by the environment variable PINWARD_KEYS. A key that may not be opened is listed with
/// the udev rule that is missing.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// Print JSON, schema `pinward.keys/1`.
    #[arg(long)]
    json: bool,
    /// Then go on, and print a line whenever a key comes or goes.
    #[arg(long, short)]
    watch: bool,
}

pub(crate) fn run(args: &KeysArgs) -> Result<(), Fault> {
    let keys = device::all();
    let faults: Vec<_> = keys
        .iter()
        .map(|key| Key::open(key.clone()).err())
        .collect();
    if args.json {
        let both = keys.iter().zip(&faults);
        let keys: Vec<_> = both
            .map(|(key, fault)| as_json(key, fault.as_ref()))
            .collect();
        let all = json!({ "schema": "pinward.keys/1", "keys": keys });
        say::out(&format!("{all:#}\n"))?;
    } else if keys.is_empty() {
        eprintln!("No security key is plugged in.");
    } else {
        let head = ["NO", "ID", "NAME", "BY", "WHERE", "USABLE"];
        let both = keys.iter().zip(&faults);
        let rows: Vec<_> = both.map(|(key, fault)| row(key, fault.is_none())).collect();
        say::out(&table::text(&head, &rows))?;
    }
    for (key, fault) in keys.iter().zip(&faults) {
        if let Some(fault) = fault {
            eprintln!("pinward: {}: {fault}", key.name());
        }
    }
    if args.watch {
        return watch(args, keys);
    }
    let first = faults.first().and_then(Option::as_ref);
    match first.filter(|_| faults.iter().all(Option::is_some)) {
        Some(first) => Err(Fault::new(first.exit, "none of the keys can be used")),
        None => Ok(()),
    }
}

/// Says what comes and goes until somebody ends the program.
fn watch(args: &KeysArgs, keys: Vec<Listed>) -> Result<(), Fault> {
    let mut watch = Watch::of(keys.iter().map(|key| key.found.address.clone()));
    loop {
        std::thread::sleep(INTERVAL);
        for change in watch.look(device::there()) {
            let (what, address, name) = match &change {
                Change::Added(found) => ("added", &found.address, Some(found.name.as_str())),
                Change::Removed(address) => ("removed", address, None),
            };
            let address = address.to_string();
            let line = if args.json {
                json!({ "event": what, "address": address, "name": name }).to_string()
            } else {
                let name = name.map(|name| format!("  {}", say::escaped(name)));
                format!(
                    "{what:7}  {}{}",
                    say::escaped(&address),
                    name.unwrap_or_default()
                )
            };
            say::out(&(line + "\n"))?;
        }
    }
}

fn row(key: &Listed, usable: bool) -> Vec<String> {
    vec![
        key.number.to_string(),
        key.id.clone(),
        key.found.name.clone(),
        key.transport().to_owned(),
        key.found.address.to_string(),
        if usable { "yes" } else { "no" }.to_owned(),
    ]
}

fn as_json(key: &Listed, fault: Option<&Fault>) -> serde_json::Value {
    json!({
        "number": key.number,
        "id": key.id,
        "name": key.found.name,
        "address": key.found.address.to_string(),
        "transport": key.transport(),
        "usb": key.found.usb.map(|(vendor, product)| json!({
            "vendor": format!("{vendor:04x}"),
            "product": format!("{product:04x}"),
        })),
        "serial": key.found.serial,
        "usable": fault.is_none(),
        "problem": fault.map(ToString::to_string),
    })
}
