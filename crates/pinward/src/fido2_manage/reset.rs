//! -reset: the key that is named, or none

use client::manage::reset::{Identity, Reset, ResetError};
use client::manage::{Link as _, ManageError, Setting, consequences};
use ctap::{Command, Status, get_info};
use std::time::Duration;

use super::args::Call;
use super::ask;
use super::text::Dialect;
use super::trouble::Trouble;
use crate::device::{self, Key, Listed};
use crate::exit::Exit;
use crate::say;

pub(super) fn run(call: &Call, listed: &Listed) -> Result<(), Trouble> {
    let (identity, info) = look(&mut Key::open(listed.clone())?)?;
    let transport = match listed.transport() {
        "socket" => "usb",
        other => other,
    };
    let begun = Reset::begin(identity, &info, transport, false, Duration::ZERO);
    let (reset, _) = begun.map_err(trouble)?;
    for sentence in consequences(Setting::Reset, &info) {
        eprint!("{}", say::wrapped("- ", 2, &sentence));
    }
    say::out(&call.dialect.reset_question())?;
    if !ask::confirmed()? {
        say::out(&call.dialect.reset_cancelled())?;
        return Err(Trouble::new(
            Exit::Refused,
            "not confirmed; nothing was erased",
        ));
    }
    if call.dialect == Dialect::Macos {
        say::out(&call.dialect.message(
            "Please unplug and plug the device back in. You will have 10 seconds to proceed after \
             replugging.",
        ))?;
        ask::enter("Press Enter once the device is replugged and ready...")?;
    }
    if call.dialect != Dialect::Cpp {
        say::out(
            &call
                .dialect
                .message("Touch or press the security key button when it starts blinking."),
        )?;
    }
    erase(&reset, listed)?;
    if call.dialect != Dialect::Cpp {
        say::out(&call.dialect.message("Factory reset completed."))?;
    }
    Ok(())
}

fn look(key: &mut Key) -> Result<(Identity, get_info::Response), Trouble> {
    let found = key.listed.found.clone();
    let mut rng = device::rng();
    let info = key.manager(&mut rng)?.info().clone();
    Ok((Identity::new(&info, found.serial, found.position), info))
}

/// Sends the command to the same key, and looks whether it did what it says.
fn erase(reset: &Reset, listed: &Listed) -> Result<(), Trouble> {
    let now = now(listed)
        .ok_or_else(|| Trouble::new(Exit::NoKey, "the key has gone; nothing was erased"))?;
    let mut key = Key::open(now.clone())?;
    reset.check(&look(&mut key)?.0).map_err(trouble)?;
    let answer = key.exchange(&[Command::Reset.code()]).map_err(|error| {
        let text = format!("{error}; whether the key was erased is not known, -info tells");
        Trouble::new(Exit::Failed, text).named("FIDO_ERR_RX")
    })?;
    let status = answer.first().map_or(Status::OTHER, |byte| Status(*byte));
    match status {
        Status::OK => {}
        Status::NOT_ALLOWED => {
            return Err(refused(
                status,
                "Factory reset not allowed. Factory reset is only allowed within 10 seconds of \
                 powering up of the security key. Please unplug and plug the device back in and retry \
                 within 10 seconds after plugging in.",
            ));
        }
        Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT | Status::KEEPALIVE_CANCEL => {
            return Err(refused(
                status,
                "the key was not touched in time; nothing was erased",
            ));
        }
        _ => {
            return Err(refused(
                status,
                "the key refused the reset; nothing was erased",
            ));
        }
    }
    let mut rng = device::rng();
    if key.manager(&mut rng)?.options().client_pin == Some(true) {
        return Err(ManageError::NotAsSaid("it still has a PIN").into());
    }
    Ok(())
}

fn refused(status: Status, text: &str) -> Trouble {
    let doing = "reset";
    Trouble::from(ManageError::Refused { doing, status }).saying(text)
}

/// The key as it is listed now: by its place on the bus if that is known, else at its address.
fn now(listed: &Listed) -> Option<Listed> {
    if listed.found.position.is_none() {
        return listed.found.address.is_there().then(|| listed.clone());
    }
    device::all()
        .into_iter()
        .find(|now| now.found.position == listed.found.position)
}

fn trouble(error: ResetError) -> Trouble {
    let exit = match error {
        ResetError::AnotherKey(_) => Exit::NoKey,
        _ => Exit::Refused,
    };
    Trouble::new(exit, format!("{error}; nothing was erased"))
}
