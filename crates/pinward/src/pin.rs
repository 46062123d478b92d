//! `pinward pin`: setting, changing and proving the PIN of a key, and the rules for it

use clap::{Args, Subcommand};
use client::manage::{Change, ManageError, Manager, Setting, consequences, pin_policy};
use client::pin::{Pin, PinPolicy};
use ctap::client_pin::Permissions;
use serde_json::json;

use crate::authorise::{self, PinArg};
use crate::device::{self, DeviceArg, Listed};
use crate::exit::Fault;
use crate::say::noteln;
use crate::secret::{self, Named};
use crate::{confirm, say, show};

/// The PIN of a key.
#[derive(Debug, Subcommand)]
pub(crate) enum PinCommand {
    /// Gives a key that has no PIN its first one.
    Set(SetArgs),
    /// Changes the PIN of a key.
    Change(ChangeArgs),
    /// Checks that you know the PIN. A wrong one costs a try.
    Verify(VerifyArgs),
    /// Raises the least length of a PIN. Only a reset undoes it.
    MinLength(MinLengthArgs),
    /// Has the PIN changed before its next use.
    ForceChange(ForceChangeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    target: Target,
    /// Where the new PIN is: env:NAME, stdin, fd:N, file:PATH or cmd:COMMAND. Asked for if absent.
    #[arg(long, value_name = "WHERE")]
    new_pin: Option<Named>,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pin: PinArg,
    /// Where the new PIN is: env:NAME, stdin, fd:N, file:PATH or cmd:COMMAND. Asked for if absent.
    #[arg(long, value_name = "WHERE")]
    new_pin: Option<Named>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pin: PinArg,
}

#[derive(Debug, Args)]
pub(crate) struct MinLengthArgs {
    /// The least number of characters.
    #[arg(value_parser = clap::value_parser!(u64).range(4..=63))]
    length: u64,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
    /// Print JSON, schema `pinward.pin/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ForceChangeArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pin: PinArg,
}

/// What all of these take.
#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    device: DeviceArg,
    /// Print JSON, schema `pinward.pin/1`.
    #[arg(long)]
    json: bool,
    /// A PIN that somebody typed here by mistake.
    #[arg(hide = true)]
    literals: Vec<Named>,
}

pub(crate) fn run(command: &PinCommand) -> Result<(), Fault> {
    match command {
        PinCommand::Set(args) => with_key(&args.target, |m| set(m, args)),
        PinCommand::Change(args) => with_key(&args.target, |m| change(m, args)),
        PinCommand::Verify(args) => with_key(&args.target, |m| verify(m, args)),
        PinCommand::ForceChange(args) => with_key(&args.target, |m| force_change(m, args)),
        PinCommand::MinLength(args) => min_length(args),
    }
}

/// What came of it: whether anything was changed, and a sentence.
type Outcome = (bool, String);

fn with_key(
    target: &Target,
    act: impl FnOnce(&mut Manager<'_>) -> Result<Outcome, Fault>,
) -> Result<(), Fault> {
    secret::no_literals(&target.literals)?;
    on_key(&target.device, target.json, act)
}

fn on_key(
    device: &DeviceArg,
    as_json: bool,
    act: impl FnOnce(&mut Manager<'_>) -> Result<Outcome, Fault>,
) -> Result<(), Fault> {
    let mut key = device.open()?;
    let listed = key.listed.clone();
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    let outcome = act(&mut manager)?;
    report(&listed, &mut manager, as_json, &outcome)
}

/// Reads back, and says what is true.
fn report(
    listed: &Listed,
    manager: &mut Manager<'_>,
    as_json: bool,
    (changed, sentence): &Outcome,
) -> Result<(), Fault> {
    noteln!("{}: {sentence}", listed.name());
    if !as_json {
        return Ok(());
    }
    let policy = pin_policy(manager.info());
    let retries = manager.pin_retries()?;
    let pin = json!({
        "schema": "pinward.pin/1",
        "id": listed.id,
        "changed": changed,
        "state": show::pin_state(manager),
        "triesLeft": retries.map(|r| r.left),
        "minLength": policy.min_length,
        "mustChange": manager.info().force_pin_change,
    });
    Ok(say::json(&pin)?)
}

fn set(manager: &mut Manager<'_>, args: &SetArgs) -> Result<Outcome, Fault> {
    match manager.options().client_pin {
        Some(false) => {}
        Some(true) => {
            return Err(Fault::refused(
                "the key has a PIN already; `pinward pin change` changes it",
            ));
        }
        None => return Err(no_pins()),
    }
    let policy = pin_policy(manager.info());
    let typed = secret::new(args.new_pin.as_ref(), &new_prompt(&policy))?;
    let pin = Pin::new(&typed, &policy, None)?;
    manager.set_pin(&pin)?;
    Ok((true, "the PIN is set.".to_owned()))
}

fn change(manager: &mut Manager<'_>, args: &ChangeArgs) -> Result<Outcome, Fault> {
    has_pin(manager)?;
    let policy = pin_policy(manager.info());
    let old = authorise::pin(manager, &args.pin)?;
    let typed = secret::new(args.new_pin.as_ref(), &new_prompt(&policy))?;
    let new = Pin::new(&typed, &policy, Some(&old))?;
    manager
        .change_pin(&old, &new)
        .map_err(|error| authorise::explained(manager, error))?;
    Ok((true, "the PIN is changed.".to_owned()))
}

fn verify(manager: &mut Manager<'_>, args: &VerifyArgs) -> Result<Outcome, Fault> {
    has_pin(manager)?;
    let pin = authorise::pin(manager, &args.pin)?;
    manager
        .verify_pin(&pin)
        .map_err(|error| authorise::explained(manager, error))?;
    Ok((false, "the PIN is right.".to_owned()))
}

fn force_change(manager: &mut Manager<'_>, args: &ForceChangeArgs) -> Result<Outcome, Fault> {
    manager.min_pin_length()?;
    has_pin(manager)?;
    if manager.info().force_pin_change == Some(true) {
        return Ok((false, "the PIN had to be changed already.".to_owned()));
    }
    state(Setting::ForcePinChange, manager);
    let acfg = Permissions::AUTHENTICATOR_CONFIG;
    let authority = authorise::authority(manager, &args.pin, acfg)?;
    manager.force_pin_change(authority.token.as_ref())?;
    Ok((
        true,
        "the PIN must be changed before its next use.".to_owned(),
    ))
}

fn min_length(args: &MinLengthArgs) -> Result<(), Fault> {
    on_key(&args.device, args.json, |manager| {
        let now = manager.min_pin_length()?;
        if now == args.length {
            return Ok((
                false,
                format!("a PIN had at least {now} characters already."),
            ));
        }
        if args.length < now {
            return Err(Fault::refused(format!(
                "a PIN of this key has at least {now} characters, and that can only grow"
            )));
        }
        let acfg = Permissions::AUTHENTICATOR_CONFIG;
        let authority = authorise::authority(manager, &args.pin, acfg)?;
        state(
            Setting::MinPinLength(args.length, authority.pin.as_ref()),
            manager,
        );
        confirm::word(args.yes, "yes")?;
        let token = authority.token.as_ref();
        let change = manager.set_min_pin_length(args.length, token)?;
        let mut said = format!(
            "a PIN has at least {} characters.",
            manager.min_pin_length()?
        );
        if manager.info().force_pin_change == Some(true) {
            said.push_str(" The PIN must be changed now: `pinward pin change`.");
        }
        Ok((change == Change::Done, said))
    })
}

fn state(setting: Setting<'_>, manager: &Manager<'_>) {
    for sentence in consequences(setting, manager.info()) {
        say::note(&say::wrapped("- ", 2, &sentence));
    }
}

fn has_pin(manager: &Manager<'_>) -> Result<(), Fault> {
    match manager.options().client_pin {
        Some(true) => Ok(()),
        Some(false) => Err(Fault::refused(
            "the key has no PIN; `pinward pin set` gives it one",
        )),
        None => Err(no_pins()),
    }
}

fn new_prompt(policy: &PinPolicy) -> String {
    let (least, most) = (policy.min_length, policy.max_length);
    let taste = if policy.complexity {
        ", none that is easily guessed (1234, 0000, qwerty)"
    } else {
        ""
    };
    format!("New PIN, {least} to {most} characters{taste}: ")
}

fn no_pins() -> Fault {
    ManageError::NotSupported("have a PIN").into()
}
