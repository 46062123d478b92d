//! The actions on one key: its facts, its PIN, its settings

use client::manage::{Manager, Setting, Token, consequences, pin_policy};
use client::pin::Pin;
use ctap::Status;
use ctap::client_pin::Permissions;
use zeroize::Zeroizing;

use super::args::{Action, Call};
use super::text::Dialect;
use super::trouble::{Trouble, no_such_device};
use super::{ask, fingers, info, passkeys, reset, text};
use crate::device::{self, Key, Listed};
use crate::exit::{Exit, Fault};
use crate::{authorise, say};

/// Does what the call says.
pub(super) fn act(call: &Call, program: &str) -> Result<(), Trouble> {
    match call.action {
        Action::Help => Ok(say::out(&text::help(program))?),
        Action::List => list(call.dialect),
        Action::Reset => reset::run(call, &choose(call)?),
        Action::Info => {
            let listed = choose(call)?;
            let number = call.device.clone().unwrap_or(listed.number.to_string());
            let lines = info::text(&mut Key::open(listed)?)?;
            let heading = call.dialect.info_heading(&say::escaped(&number));
            Ok(say::out(&format!("{heading}{lines}"))?)
        }
        _ => on_key(call),
    }
}

fn list(dialect: Dialect) -> Result<(), Trouble> {
    let keys = device::all();
    let mut lines: String = keys
        .iter()
        .map(|key| dialect.device(key.number, &name(key)))
        .collect();
    lines.push_str(dialect.end_of_list(keys.len()));
    if keys.is_empty() && dialect != Dialect::Cpp {
        eprintln!("No security key is plugged in.");
    }
    Ok(say::out(&lines)?)
}

/// As libfido2 names it; safe to show.
pub(super) fn name(key: &Listed) -> String {
    match key.transport() {
        "nfc" => format!("PC/SC {}", key.name()),
        _ => key.name(),
    }
}

/// The key that is named, or the only one for what changes nothing.
fn choose(call: &Call) -> Result<Listed, Trouble> {
    device::choose(call.device.as_deref()).map_err(|fault| match &call.device {
        Some(name) if fault.exit == Exit::NoKey => no_such_device(name),
        _ => fault.into(),
    })
}

/// One key that is open, and the call that is for it.
pub(super) struct Session<'a, 'b> {
    pub(super) call: &'a Call,
    pub(super) listed: &'a Listed,
    pub(super) manager: &'a mut Manager<'b>,
}

fn on_key(call: &Call) -> Result<(), Trouble> {
    number_is_right(call)?;
    let listed = choose(call)?;
    let mut key = Key::open(listed.clone())?;
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    let mut session = Session {
        call,
        listed: &listed,
        manager: &mut manager,
    };
    let device = say::escaped(call.device.as_deref().unwrap_or_default());
    let number = call.number.as_deref().unwrap_or_default();
    say::out(&call.dialect.before(call.action, &device, number))?;
    match call.action {
        Action::SetPin => session.set_pin(),
        Action::ChangePin => session.change_pin(),
        Action::ForcePinChange => session.force_pin_change(),
        Action::SetMinimumPin => session.set_minimum_pin(),
        Action::Uvs => session.always_uv(true),
        Action::Uvd => session.always_uv(false),
        Action::Storage => passkeys::storage(&mut session),
        Action::ResidentKeys => passkeys::list(&mut session),
        Action::Delete => passkeys::delete(&mut session),
        Action::Fingerprint => fingers::enrol(&mut session),
        Action::FingerprintList => fingers::list(&mut session),
        Action::RenameFingerprint => fingers::rename(&mut session),
        Action::DeleteFingerprint => fingers::delete(&mut session),
        Action::Help | Action::List | Action::Reset | Action::Info => Ok(()),
    }
}

/// Before a key is touched or a PIN asked for.
fn number_is_right(call: &Call) -> Result<(), Trouble> {
    let number = call.number.as_deref().unwrap_or_default();
    match call.action {
        Action::SetMinimumPin if !number.parse().is_ok_and(|n| (4..=63_u64).contains(&n)) => Err(
            Trouble::usage("Minimum PIN length must be between 4 and 63."),
        ),
        Action::DeleteFingerprint | Action::RenameFingerprint
            if !number.parse().is_ok_and(|n: u64| n < 100) =>
        {
            Err(Trouble::usage(
                "Invalid index. Index must be an integer between 00 and 99.",
            ))
        }
        _ => Ok(()),
    }
}

impl Session<'_, '_> {
    /// The value of the action's flag.
    pub(super) fn number(&self) -> Result<u64, Trouble> {
        let number = self.call.number.as_deref().unwrap_or_default();
        number
            .parse()
            .map_err(|_| Trouble::usage("it is no number"))
    }

    fn address(&self) -> String {
        say::escaped(&self.listed.found.address.to_string())
    }

    fn state(&self, setting: Setting<'_>) {
        for sentence in consequences(setting, self.manager.info()) {
            eprint!("{}", say::wrapped("- ", 2, &sentence));
        }
    }

    fn set_pin(&mut self) -> Result<(), Trouble> {
        match self.manager.options().client_pin {
            Some(false) => {}
            Some(true) => {
                return Err(Trouble::new(
                    Exit::Refused,
                    "the key has a PIN already; -changePIN changes it",
                )
                .named("FIDO_ERR_NOT_ALLOWED"));
            }
            None => return Err(no_pins()),
        }
        let typed = match ask::given(self.call.pin.as_ref())? {
            Some(pin) => pin,
            None => ask::new(&self.address())?,
        };
        let policy = pin_policy(self.manager.info());
        let pin = Pin::new(&typed, &policy, None)?;
        Ok(self.manager.set_pin(&pin)?)
    }

    /// The PINs are asked for, as in every dialect: `-pin` has no part in it.
    fn change_pin(&mut self) -> Result<(), Trouble> {
        if self.call.pin.is_some() {
            eprintln!("-pin is not used by -changePIN, which asks for both PINs.");
        }
        self.has_pin()?;
        self.tries_left()?;
        let address = self.address();
        let old = ask::hidden(&format!("Enter current PIN for {address}: "))?;
        let old = Pin::existing(&old)?;
        let typed = ask::new(&address)?;
        let policy = pin_policy(self.manager.info());
        let new = Pin::new(&typed, &policy, Some(&old))?;
        let changed = self.manager.change_pin(&old, &new);
        changed.map_err(|error| self.explained(error))
    }

    fn force_pin_change(&mut self) -> Result<(), Trouble> {
        self.manager.min_pin_length()?;
        self.has_pin()?;
        if self.manager.info().force_pin_change == Some(true) {
            return Ok(());
        }
        self.state(Setting::ForcePinChange);
        let (token, _) = self.authority(Permissions::AUTHENTICATOR_CONFIG)?;
        self.manager.force_pin_change(token.as_ref())?;
        Ok(())
    }

    fn set_minimum_pin(&mut self) -> Result<(), Trouble> {
        let least = self.number()?;
        let now = self.manager.min_pin_length()?;
        if now == least {
            return Ok(());
        }
        if least < now {
            return Err(Trouble::new(
                Exit::Refused,
                format!("a PIN of this key has at least {now} characters, and that can only grow"),
            )
            .named("FIDO_ERR_PIN_POLICY_VIOLATION"));
        }
        let (token, pin) = self.authority(Permissions::AUTHENTICATOR_CONFIG)?;
        self.state(Setting::MinPinLength(least, pin.as_ref()));
        self.manager.set_min_pin_length(least, token.as_ref())?;
        if self.manager.info().force_pin_change == Some(true) {
            eprintln!("The PIN must be changed now, before its next use: -changePIN");
        }
        Ok(())
    }

    fn always_uv(&mut self, on: bool) -> Result<(), Trouble> {
        let Ok(now) = self.manager.always_uv() else {
            return Err(
                Trouble::new(Exit::NotSupported, "config_always_uv: option not found")
                    .named("FIDO_ERR_UNSUPPORTED_OPTION"),
            );
        };
        if now == on {
            return Ok(());
        }
        self.state(Setting::AlwaysUv(on));
        let (token, _) = self.authority(Permissions::AUTHENTICATOR_CONFIG)?;
        self.manager.set_always_uv(on, token.as_ref())?;
        Ok(())
    }

    fn has_pin(&self) -> Result<(), Trouble> {
        match self.manager.options().client_pin {
            Some(true) => Ok(()),
            Some(false) => Err(Trouble::new(
                Exit::Refused,
                "This key does not have a PIN set. Use -setPIN to set a new PIN.",
            )
            .named("FIDO_ERR_PIN_NOT_SET")),
            None => Err(no_pins()),
        }
    }

    /// No PIN is asked for when none could help.
    fn tries_left(&mut self) -> Result<(), Trouble> {
        match self.manager.pin_retries()? {
            Some(retries) if retries.left == 0 => Err(self.explain_status(Status::PIN_BLOCKED)),
            Some(retries) if retries.power_cycle => {
                Err(self.explain_status(Status::PIN_AUTH_BLOCKED))
            }
            _ => Ok(()),
        }
    }

    /// A token for what is to be done, and the PIN if it was one; none on a key that protects nothing.
    pub(super) fn authority(
        &mut self,
        permissions: Permissions,
    ) -> Result<(Option<Token>, Option<Pin>), Trouble> {
        let options = self.manager.options();
        if options.client_pin == Some(true) {
            if self.manager.info().force_pin_change == Some(true) {
                return Err(self.explain_status(Status::PIN_POLICY_VIOLATION));
            }
            self.tries_left()?;
            let typed: Zeroizing<String> = ask::existing(self.call.pin.as_ref(), &self.address())?;
            let pin = Pin::existing(&typed)?;
            let token = self.manager.token_by_pin(&pin, permissions);
            let token = token.map_err(|error| self.explained(error))?;
            return Ok((Some(token), Some(pin)));
        }
        if options.uv == Some(true) {
            eprintln!("The key verifies you by itself: lay your finger on it.");
            return Ok((Some(self.manager.token_by_built_in_uv(permissions)?), None));
        }
        Ok((None, None))
    }

    /// A token that there must be: a key shows what it keeps only to a verified user.
    pub(super) fn verified(&mut self, permissions: Permissions) -> Result<Token, Trouble> {
        let (token, _) = self.authority(permissions)?;
        match token {
            Some(token) => Ok(token),
            None => {
                self.has_pin()?;
                Err(no_pins())
            }
        }
    }

    fn explained(&mut self, error: client::manage::ManageError) -> Trouble {
        match error.status() {
            Some(
                status @ (Status::PIN_INVALID
                | Status::PIN_BLOCKED
                | Status::PIN_AUTH_BLOCKED
                | Status::PIN_POLICY_VIOLATION),
            ) => self.explain_status(status),
            _ => error.into(),
        }
    }

    /// In the words of the other commands; with libfido2's name for it.
    fn explain_status(&mut self, status: Status) -> Trouble {
        let name = Trouble::from(refused(status));
        let fault = match status {
            Status::PIN_POLICY_VIOLATION => {
                Fault::refused("the key wants its PIN changed first: -changePIN")
            }
            _ => authorise::explained(self.manager, refused(status)),
        };
        name.with(&fault)
    }
}

fn refused(status: Status) -> client::manage::ManageError {
    client::manage::ManageError::Refused {
        doing: "take the PIN",
        status,
    }
}

fn no_pins() -> Trouble {
    Trouble::new(Exit::NotSupported, "this key cannot have a PIN")
        .named("FIDO_ERR_UNSUPPORTED_OPTION")
}
