//! What is remembered of a key: the persistent token in the keyring, and the state of its passkeys when
//! they were last listed.

use std::time::{SystemTime, UNIX_EPOCH};

use client::manage::{Manager, Token};
use client::pin::Pin;
use ctap::get_info;

use crate::device::{self, Key, Listed};
use crate::exit::Fault;
use crate::keyring;
use crate::ledger::{self, Known};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A token of this very key, and what is known of it.
pub(crate) struct Remembered {
    pub(crate) token: Token,
    pub(crate) known: Known,
}

impl Remembered {
    /// The key with this getInfo, if its token is in the keyring. Another key's token shows another
    /// identifier, so no key is taken for another one.
    pub(crate) fn of(info: &get_info::Response) -> Option<Self> {
        info.enc_identifier.as_ref()?;
        let all = ledger::all().ok()?;
        all.into_iter().find_map(|known| {
            let identifier = known.identifier.clone()?;
            let token = keyring::kept(&identifier)?;
            let shown = hex(&token.identifier(info)?);
            (shown == identifier).then_some(Self { token, known })
        })
    }

    /// The state of the passkeys now.
    pub(crate) fn state(&self, info: &get_info::Response) -> Option<String> {
        self.token.cred_store_state(info).map(|state| hex(&state))
    }

    /// Whether the passkeys are as they were when they were last listed.
    pub(crate) fn unchanged(&self, info: &get_info::Response) -> Option<bool> {
        Some(self.state(info)? == *self.known.store_state.as_ref()?)
    }
}

/// Gets the persistent token, and keeps it.
pub(crate) fn remember(
    listed: &Listed,
    manager: &mut Manager<'_>,
    pin: Option<&Pin>,
) -> Result<Remembered, Fault> {
    let token = manager.persistent_token(pin)?;
    let identifier = token.identifier(manager.info()).map(|id| hex(&id));
    let identifier = identifier.ok_or_else(|| {
        Fault::refused("the key shows no identifier (encIdentifier), so its token cannot be kept")
    })?;
    keyring::keep(&identifier, &listed.name(), &token)?;
    let known = Known {
        identifier: Some(identifier),
        ..Known::of(&listed.found)
    };
    let known = ledger::change(|all| Ok(ledger::entry(all, &known).clone()))?;
    Ok(Remembered { token, known })
}

/// Notes that the passkeys were listed in this state.
pub(crate) fn listed_now(remembered: &Remembered, info: &get_info::Response) -> Result<(), Fault> {
    let state = remembered.state(info);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.ok().and_then(|now| i64::try_from(now.as_secs()).ok());
    ledger::change(|all| {
        let entry = ledger::entry(all, &remembered.known);
        entry.store_state = state;
        entry.listed_at = now;
        Ok(())
    })
}

/// Forgets the token, which the key no longer takes.
pub(crate) fn forget(remembered: &Remembered) -> Result<(), Fault> {
    if let Some(identifier) = &remembered.known.identifier {
        keyring::forget(identifier)?;
    }
    ledger::change(|all| {
        let entry = ledger::entry(all, &remembered.known);
        entry.store_state = None;
        Ok(())
    })
}

/// The key as it is recognised: by its serial number or address, else by its persistent identifier,
/// which takes a getInfo.
pub(crate) fn recognised(listed: &Listed) -> Result<Known, Fault> {
    let known = Known::of(&listed.found);
    if known.is_recognisable() {
        return Ok(known);
    }
    let mut key = Key::open(listed.clone())?;
    let mut rng = device::rng();
    let manager = key.manager(&mut rng)?;
    let identifier = Remembered::of(manager.info()).and_then(|known| known.known.identifier);
    Ok(Known {
        identifier,
        ..known
    })
}
