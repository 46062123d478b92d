//! `pinward fingerprints`: the fingers that a key knows

use std::time::Duration;

use clap::{Args, Subcommand};
use client::manage::{Fingerprint, ManageError, Manager, Sensor, Token};
use ctap::Status;
use ctap::client_pin::Permissions;
use serde_json::json;

use crate::authorise::{self, PinArg};
use crate::device::{self, DeviceArg, Listed};
use crate::exit::{Exit, Fault};
use crate::{confirm, say, table};

/// How long the key waits for each sample.
const PATIENCE: Duration = Duration::from_secs(15);
/// More samples than any sensor takes, the bad ones among them.
const MOST_SAMPLES: usize = 100;

/// The fingers that a key knows.
#[derive(Debug, Subcommand)]
pub(crate) enum FingerprintsCommand {
    /// Lists them.
    List(ListArgs),
    /// Enrols a finger: lay it on the sensor as often as you are told to.
    Add(AddArgs),
    /// Gives a finger another name.
    Rename(RenameArgs),
    /// Takes a finger away. With the last one the key no longer verifies you by itself.
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Print JSON, schema `pinward.fingerprints/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    common: Common,
    /// What to call it.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// Its id in the list.
    id: String,
    /// Its new name.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Its id in the list.
    id: String,
    #[command(flatten)]
    common: Common,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(command: &FingerprintsCommand) -> Result<(), Fault> {
    match command {
        FingerprintsCommand::List(args) => with_token(&args.common, |open| {
            open.say_how_many();
            open.print(&args.common, args.csv)
        }),
        FingerprintsCommand::Add(args) => with_token(&args.common, |open| {
            let id = enrol(open.manager, &open.token, &mut |words| {
                say::note(&format!("{words}\n"));
            })?;
            if let Some(name) = &args.name {
                open.rename(&id, name)?;
            }
            open.read_back()?;
            say::note(&format!(
                "{}: the finger is enrolled.\n",
                open.listed.name()
            ));
            open.print_if_json(&args.common)
        }),
        FingerprintsCommand::Rename(args) => with_token(&args.common, |open| {
            let finger = open.find(&args.id)?;
            if finger.name.as_deref() == Some(&args.name) {
                say::note("It has that name already.\n");
            } else {
                open.rename(&finger.id, &args.name)?;
                say::note(&format!("{}: the finger is renamed.\n", open.listed.name()));
            }
            open.print_if_json(&args.common)
        }),
        FingerprintsCommand::Delete(args) => {
            with_token(&args.common, |open| delete(open, &args.id, args))
        }
    }
}

/// A key whose user is verified, and its fingers.
struct Open<'a, 'b> {
    listed: &'a Listed,
    manager: &'a mut Manager<'b>,
    token: Token,
    sensor: Sensor,
    all: Vec<Fingerprint>,
}

fn with_token(
    common: &Common,
    act: impl FnOnce(&mut Open<'_, '_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut key = common.device.open()?;
    let listed = key.listed.clone();
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    manager.enrolls_fingerprints()?;
    let sensor = manager.sensor()?;
    let be = Permissions::BIO_ENROLLMENT;
    let authority = authorise::authority(&mut manager, &common.pin, be)?;
    let token = authority.token.ok_or_else(|| {
        Fault::refused(
            "fingers come after a PIN, and this key has none; `pinward pin set` gives it one",
        )
    })?;
    let all = manager.fingerprints(&token)?;
    act(&mut Open {
        listed: &listed,
        manager: &mut manager,
        token,
        sensor,
        all,
    })
}

/// Takes samples until the finger is known; its identifier. `tell` hears what the sensor made of each.
pub(crate) fn enrol(
    manager: &mut Manager<'_>,
    token: &Token,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, Fault> {
    let wanted = manager.sensor()?.max_samples;
    tell("Lay the finger on the key.");
    let mut sample = manager.enroll_begin(PATIENCE, token).map_err(full)?;
    for _ in 0..MOST_SAMPLES {
        let (words, left) = (sample.words(), sample.remaining);
        let done = wanted.map(|all| format!("{} of {all}", all.saturating_sub(left)));
        let done = done.unwrap_or_else(|| format!("{left} to go"));
        if left == 0 {
            tell(&format!("Sample {words} ({done})."));
            return Ok(sample.template_id);
        }
        let ask = if sample.is_good() {
            "Lift it, and lay it on again"
        } else {
            "Again"
        };
        tell(&format!("Sample {words} ({done}). {ask}."));
        sample = manager
            .enroll_next(&sample.template_id, PATIENCE, token)
            .map_err(full)?;
    }
    manager.enroll_cancel()?;
    Err(Fault::refused(
        "the samples do not come to an end; nothing was enrolled",
    ))
}

fn full(error: ManageError) -> Fault {
    match error.status() {
        Some(Status::FP_DATABASE_FULL) => Fault::refused(
            "the key has no room for another finger; `pinward fingerprints delete` makes some",
        ),
        Some(Status::USER_ACTION_TIMEOUT) => {
            Fault::refused("no finger came in time; nothing was enrolled")
        }
        _ => error.into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Open<'_, '_> {
    fn find(&self, id: &str) -> Result<Fingerprint, Fault> {
        let id = id.to_ascii_lowercase();
        let found = self.all.iter().find(|finger| hex(&finger.id) == id);
        found.cloned().ok_or_else(|| {
            Fault::new(
                Exit::NoKey,
                "there is no such finger; `pinward fingerprints list` shows which there are",
            )
        })
    }

    fn rename(&mut self, id: &[u8], name: &str) -> Result<(), Fault> {
        if let Some(most) = self.sensor.max_name
            && name.len() as u64 > most
        {
            return Err(Fault::refused(format!(
                "the name has {} bytes, and this key keeps at most {most}",
                name.len()
            )));
        }
        self.manager.rename_fingerprint(id, name, &self.token)?;
        self.read_back()?;
        let now = self.all.iter().find(|finger| finger.id == id);
        match now.and_then(|finger| finger.name.as_deref()) {
            Some(now) if now == name => Ok(()),
            _ => Err(ManageError::NotAsSaid("the finger has another name").into()),
        }
    }

    fn read_back(&mut self) -> Result<(), Fault> {
        self.all = self.manager.fingerprints(&self.token)?;
        Ok(())
    }

    fn say_how_many(&self) {
        let samples = self.sensor.max_samples;
        let samples =
            samples.map_or_else(String::new, |n| format!("; a new one takes {n} samples"));
        say::note(&format!(
            "{}: {} fingers{samples}.\n",
            self.listed.name(),
            self.all.len()
        ));
    }

    fn print_if_json(&self, common: &Common) -> Result<(), Fault> {
        if common.json {
            self.print(common, false)
        } else {
            Ok(())
        }
    }

    fn print(&self, common: &Common, csv: bool) -> Result<(), Fault> {
        if common.json {
            let fingers: Vec<_> = self
                .all
                .iter()
                .map(|finger| json!({ "id": hex(&finger.id), "name": finger.name }))
                .collect();
            let json = json!({
                "schema": "pinward.fingerprints/1",
                "key": self.listed.id,
                "samples": self.sensor.max_samples,
                "maxNameBytes": self.sensor.max_name,
                "fingerprints": fingers,
            });
            return Ok(say::json(&json)?);
        }
        let rows: Vec<_> = self
            .all
            .iter()
            .map(|finger| vec![hex(&finger.id), finger.name.clone().unwrap_or_default()])
            .collect();
        let head = ["ID", "NAME"];
        if csv {
            say::out(&table::csv(&head, &rows))?;
        } else if !rows.is_empty() {
            say::out(&table::text(&head, &rows))?;
        }
        Ok(())
    }
}

fn delete(open: &mut Open<'_, '_>, id: &str, args: &DeleteArgs) -> Result<(), Fault> {
    let finger = open.find(id)?;
    let name = finger.name.clone().unwrap_or_else(|| hex(&finger.id));
    let mut sentence = format!("The key then no longer knows the finger {name}.");
    if open.all.len() == 1 {
        sentence.push_str(" It is the last one: the key then verifies you by its PIN only.");
    }
    say::note(&say::wrapped("- ", 2, &sentence));
    confirm::word(args.yes, "yes")?;
    open.manager.remove_fingerprint(&finger.id, &open.token)?;
    open.read_back()?;
    if open.all.iter().any(|now| now.id == finger.id) {
        return Err(ManageError::NotAsSaid("the finger is still there").into());
    }
    say::note(&format!("{}: the finger is deleted.\n", open.listed.name()));
    open.print_if_json(&args.common)
}
