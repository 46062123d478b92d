//! `pinward reset`: everything on a key is erased, and on no other

use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use client::manage::reset::{Event, Identity, Output, Reset, ResetError, WINDOW};
use client::manage::{ManageError, Setting, consequences};
use ctap::{Command, Status, get_info};
use serde_json::json;

use crate::device::{self, DeviceArg, Key, Listed};
use crate::exit::{Exit, Fault};
use crate::say::noteln;
use crate::{confirm, person, say, show};

/// How often the bus is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Erases a key: all passkeys, all registrations, the PIN. Nobody can bring them back.
///
/// You take the key out and plug it in again; the command makes sure that it is the same key, since a
/// key takes a reset only in its first ten seconds. A software key is restarted instead.
#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    device: DeviceArg,
    /// The key has been plugged in just now: do not ask for it to be taken out.
    #[arg(long)]
    now: bool,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
    /// Print JSON, schema `pinward.reset/1`.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ResetArgs) -> Result<(), Fault> {
    let listed = device::choose(args.device.device.as_deref())?;
    let (identity, info) = look(&listed)?;
    let transport = match listed.transport() {
        "socket" => "usb",
        other => other,
    };
    let start = Instant::now();
    let begun = Reset::begin(identity, &info, transport, !args.now, Duration::ZERO);
    let (mut reset, mut output) = begun.map_err(fault)?;
    noteln!("{} ({}) will be erased.", listed.name(), listed.id);
    for sentence in consequences(Setting::Reset, &info) {
        say::note(&say::wrapped("- ", 2, &sentence));
    }
    confirm::word(args.yes, "reset")?;
    loop {
        output = match output {
            Output::TakeOut => {
                noteln!("Take the key out now.");
                watch(&mut reset, &listed, start)
            }
            Output::PutIn => {
                noteln!("Plug it in again.");
                watch(&mut reset, &listed, start)
            }
            Output::Send => send(&mut reset, &listed, start)?,
            Output::Done(result) => {
                result.map_err(fault)?;
                return read_back(&listed, args.json);
            }
        };
    }
}

fn look(listed: &Listed) -> Result<(Identity, get_info::Response), Fault> {
    identity(&mut Key::open(listed.clone())?)
}

fn identity(key: &mut Key) -> Result<(Identity, get_info::Response), Fault> {
    let found = key.listed.found.clone();
    let mut rng = device::rng();
    let info = key.manager(&mut rng)?.info().clone();
    Ok((Identity::new(&info, found.serial, found.position), info))
}

/// Looks until the state machine has something new to say.
fn watch(reset: &mut Reset, listed: &Listed, start: Instant) -> Output {
    loop {
        if device::is_cancelled() {
            return Output::Done(Err(ResetError::Cancelled));
        }
        let event = match current(listed) {
            None => Event::Gone,
            // A key that does not answer yet has just been plugged in.
            Some(now) => look(&now).map_or(Event::Tick, |(identity, _)| Event::Back(identity)),
        };
        let now = start.elapsed();
        let output = reset.step(event, now);
        if let Some(output) = output.or_else(|| reset.step(Event::Tick, now)) {
            return output;
        }
        sleep(GLANCE);
    }
}

/// The key as it is listed now. A node may have another number after a replug; the place on the bus
/// is the same.
fn current(listed: &Listed) -> Option<Listed> {
    if listed.found.position.is_none() {
        return listed.found.address.is_there().then(|| listed.clone());
    }
    device::all()
        .into_iter()
        .find(|now| now.found.position == listed.found.position)
}

fn send(reset: &mut Reset, listed: &Listed, start: Instant) -> Result<Output, Fault> {
    let listed = current(listed)
        .ok_or_else(|| Fault::new(Exit::NoKey, "the key has gone; it has not been reset"))?;
    noteln!(
        "Touch the key within {} seconds to erase it; take it out to keep it.",
        WINDOW.as_secs()
    );
    let mut key = Key::open(listed)?;
    let identity = identity(&mut key)?.0;
    reset.check(&identity).map_err(fault)?;
    let mut countdown = Countdown::new();
    let answer = key.exchange_while(&[Command::Reset.code()], &mut || countdown.tick());
    drop(countdown);
    let answer = answer.map_err(|error| {
        Fault::new(
            Exit::Failed,
            format!("{error}; whether the key was erased is not known, `pinward show` tells"),
        )
    })?;
    let status = answer
        .first()
        .map_or(Status::OTHER, |status| Status(*status));
    let over = Output::Done(Err(ResetError::NotTouched));
    let output = reset.step(Event::Reply(status), start.elapsed());
    Ok(output.unwrap_or(over))
}

/// Counts the seconds down in one line of a terminal; a log and a screen get no such line.
struct Countdown {
    begun: Instant,
    last: Option<u64>,
    shown: bool,
}

impl Countdown {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: None,
            shown: io::stderr().is_terminal() && person::current().is_none(),
        }
    }

    fn tick(&mut self) {
        let left = WINDOW.saturating_sub(self.begun.elapsed()).as_secs();
        if self.shown && self.last.replace(left) != Some(left) {
            eprint!("\r\x1b[K{left} seconds left ");
        }
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        if self.last.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// Whether it is true.
fn read_back(listed: &Listed, as_json: bool) -> Result<(), Fault> {
    let now = current(listed).unwrap_or_else(|| listed.clone());
    let mut key = Key::open(now)?;
    let mut rng = device::rng();
    let manager = key.manager(&mut rng)?;
    if manager.options().client_pin == Some(true) {
        return Err(ManageError::NotAsSaid("it still has a PIN").into());
    }
    noteln!("{}: the key has been reset.", listed.name());
    if as_json {
        let json = json!({
            "schema": "pinward.reset/1",
            "id": listed.id,
            "reset": true,
            "pin": show::pin_state(&manager),
            "alwaysUv": manager.options().always_uv,
        });
        say::json(&json)?;
    }
    Ok(())
}

fn fault(error: ResetError) -> Fault {
    let exit = match error {
        ResetError::AnotherKey(_) => Exit::NoKey,
        ResetError::Refused(_) => Exit::Failed,
        _ => Exit::Refused,
    };
    let hint = match error {
        ResetError::TooLate => "; leave out --now, and plug it in anew when you are told to",
        _ => "",
    };
    Fault::new(exit, format!("{error}{hint}; nothing was erased"))
}
