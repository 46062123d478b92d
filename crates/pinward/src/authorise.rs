//! The PIN, before a key is changed or read: what is asked, what is never asked in vain.

use clap::Args;
use client::manage::{ManageError, Manager};
use client::pin::Pin;
use ctap::Status;
use ctap::client_pin::Permissions;

use crate::exit::{Exit, Fault};
use crate::say;
use crate::secret::{self, Named};

/// Where the PIN of the key is.
#[derive(Debug, Args)]
pub(crate) struct PinArg {
    /// Where the key's PIN is: env:NAME, stdin, fd:N, file:PATH or cmd:COMMAND. Asked for if absent.
    #[arg(long, value_name = "WHERE")]
    pub(crate) pin: Option<Named>,
}

/// What verified the user.
#[derive(Debug, Default)]
pub(crate) struct Authority {
    pub(crate) token: Option<client::manage::Token>,
    /// The PIN, if it was one.
    pub(crate) pin: Option<Pin>,
}

/// The PIN that the key has. Nothing is asked of the person when no PIN could help.
pub(crate) fn pin(manager: &mut Manager<'_>, arg: &PinArg) -> Result<Pin, Fault> {
    let retries = manager.pin_retries()?;
    let left = match retries {
        Some(retries) if retries.left == 0 => return Err(blocked()),
        Some(retries) if retries.power_cycle => return Err(power_cycle()),
        Some(retries) => format!(" ({})", tries(retries.left)),
        None => String::new(),
    };
    let typed = secret::existing(arg.pin.as_ref(), &format!("PIN of the key{left}: "))?;
    Ok(Pin::existing(&typed)?)
}

/// A token for what is to be done; none on a key that protects nothing.
pub(crate) fn authority(
    manager: &mut Manager<'_>,
    arg: &PinArg,
    permissions: Permissions,
) -> Result<Authority, Fault> {
    let options = manager.options();
    if options.client_pin == Some(true) {
        if manager.info().force_pin_change == Some(true) {
            return Err(Fault::refused(
                "the key wants its PIN changed first: `pinward pin change`",
            ));
        }
        let pin = pin(manager, arg)?;
        let token = manager.token_by_pin(&pin, permissions);
        let token = token.map_err(|error| explained(manager, error))?;
        return Ok(Authority {
            token: Some(token),
            pin: Some(pin),
        });
    }
    if options.uv == Some(true) {
        say::note("The key verifies you by itself: lay your finger on it.\n");
        let token = manager.token_by_built_in_uv(permissions)?;
        return Ok(Authority {
            token: Some(token),
            pin: None,
        });
    }
    Ok(Authority::default())
}

/// A refused PIN, with the tries left.
pub(crate) fn explained(manager: &mut Manager<'_>, error: ManageError) -> Fault {
    match error.status() {
        Some(Status::PIN_INVALID) => {
            let left = match manager.pin_retries() {
                Ok(Some(retries)) if retries.left == 0 => return blocked(),
                Ok(Some(retries)) => format!("; {}", tries(retries.left)),
                _ => String::new(),
            };
            Fault::new(Exit::WrongPin, format!("wrong PIN{left}"))
        }
        Some(Status::PIN_BLOCKED) => blocked(),
        Some(Status::PIN_AUTH_BLOCKED) => power_cycle(),
        Some(Status::PIN_POLICY_VIOLATION) => {
            Fault::refused("the key wants its PIN changed first: `pinward pin change`")
        }
        _ => error.into(),
    }
}

pub(crate) fn tries(left: u64) -> String {
    match left {
        1 => "1 try left".to_owned(),
        left => format!("{left} tries left"),
    }
}

fn blocked() -> Fault {
    Fault::new(
        Exit::PinBlocked,
        "the PIN is blocked: only a reset, which erases the key, gives it another one",
    )
}

fn power_cycle() -> Fault {
    Fault::new(
        Exit::PinBlocked,
        "three wrong PINs in a row: take the key out and plug it in again before the next try",
    )
}
