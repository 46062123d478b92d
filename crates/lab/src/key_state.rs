//! The states of a key that decide when a PIN is asked.

use authenticator::Profile;
use ctap::Status;
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::owner::OwnerError;

/// A state that an owner can bring a key into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// As it comes out of the box: no PIN.
    NoPin,
    /// A PIN is set.
    PinSet,
    /// alwaysUv is on, and there is no PIN yet.
    AlwaysUv,
    /// alwaysUv is on, and a PIN is set.
    AlwaysUvPinSet,
    /// A PIN is set and must be changed before it can be used.
    PinChangeForced,
    /// A PIN is set; after three wrong ones the key wants to be plugged in anew.
    PinAuthBlocked,
    /// A PIN is set and blocked until a reset.
    PinBlocked,
}

impl KeyState {
    /// All states.
    pub const ALL: [KeyState; 7] = [
        KeyState::NoPin,
        KeyState::PinSet,
        KeyState::AlwaysUv,
        KeyState::AlwaysUvPinSet,
        KeyState::PinChangeForced,
        KeyState::PinAuthBlocked,
        KeyState::PinBlocked,
    ];

    /// The PIN that keys in a state with a PIN have.
    pub const PIN: &str = "1234";

    /// The word in JSON, on the command line and in links.
    pub fn id(self) -> &'static str {
        match self {
            KeyState::NoPin => "no-pin",
            KeyState::PinSet => "pin-set",
            KeyState::AlwaysUv => "always-uv",
            KeyState::AlwaysUvPinSet => "always-uv-pin-set",
            KeyState::PinChangeForced => "pin-change-forced",
            KeyState::PinAuthBlocked => "pin-auth-blocked",
            KeyState::PinBlocked => "pin-blocked",
        }
    }

    /// The state with this [`KeyState::id`].
    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            KeyState::NoPin => "No PIN",
            KeyState::PinSet => "PIN set",
            KeyState::AlwaysUv => "alwaysUv on, no PIN",
            KeyState::AlwaysUvPinSet => "alwaysUv on, PIN set",
            KeyState::PinChangeForced => "PIN must be changed",
            KeyState::PinAuthBlocked => "Three wrong PINs in a row",
            KeyState::PinBlocked => "PIN blocked",
        }
    }

    /// What it means, in a sentence.
    pub fn help(self) -> &'static str {
        match self {
            KeyState::NoPin => "As it comes out of the box.",
            KeyState::PinSet => "The PIN is 1234.",
            KeyState::AlwaysUv => {
                "The key insists on verifying its user and has no PIN to do it with."
            }
            KeyState::AlwaysUvPinSet => "The key insists on verifying its user. The PIN is 1234.",
            KeyState::PinChangeForced => {
                "The PIN is 1234, and the key demands a new one before it works."
            }
            KeyState::PinAuthBlocked => {
                "The PIN is 1234; the key has to be taken out and plugged in again first."
            }
            KeyState::PinBlocked => {
                "All eight tries are used up; only a reset helps, and it erases the key."
            }
        }
    }

    /// Whether a key of this profile can be in this state.
    pub fn fits(self, profile: &Profile) -> bool {
        let has = &profile.options;
        let always_by_config = has.always_uv == Some(false) && has.authnr_cfg;
        // CTAP 2.3 §6.11.2: toggleAlwaysUv is free for a key that cannot verify anybody yet. One with
        // a finger enrolled wants a token, and for that its owner needs a PIN.
        let finger = has.uv && profile.built_in_uv.enrolled;
        // The owner of a key on the desk takes a PIN that some keys are too strict for.
        if self.has_pin() && (profile.pin.min_length > 4 || profile.pin.complexity_enforced) {
            return false;
        }
        match self {
            KeyState::NoPin => has.always_uv != Some(true),
            KeyState::PinSet => has.client_pin && has.always_uv != Some(true),
            KeyState::AlwaysUv => has.always_uv == Some(true) || (always_by_config && !finger),
            KeyState::AlwaysUvPinSet => {
                has.client_pin && (always_by_config || has.always_uv == Some(true))
            }
            KeyState::PinChangeForced => has.client_pin && has.set_min_pin_length && has.authnr_cfg,
            KeyState::PinAuthBlocked | KeyState::PinBlocked => has.client_pin,
        }
    }

    fn has_pin(self) -> bool {
        !matches!(self, KeyState::NoPin | KeyState::AlwaysUv)
    }

    /// Brings a fresh key into this state.
    ///
    /// # Errors
    /// [`OwnerError`], if the key refuses; a state that [`KeyState::fits`] is not refused.
    pub fn establish(self, key: &mut Key) -> Result<(), OwnerError> {
        self.set_up(key)?;
        self.finish(key)
    }

    /// The first half: sets the PIN. The key can still be used for everything.
    pub(crate) fn set_up(self, key: &mut Key) -> Result<(), OwnerError> {
        if self.has_pin() {
            key.set_pin(Self::PIN)
        } else {
            Ok(())
        }
    }

    /// The second half: what may stop the key from being used.
    pub(crate) fn finish(self, key: &mut Key) -> Result<(), OwnerError> {
        match self {
            KeyState::NoPin | KeyState::PinSet => Ok(()),
            KeyState::AlwaysUv | KeyState::AlwaysUvPinSet => key.switch_always_uv_on(),
            KeyState::PinChangeForced => key.force_pin_change(),
            KeyState::PinAuthBlocked => key.exhaust_tries(Status::PIN_AUTH_BLOCKED),
            KeyState::PinBlocked => key.exhaust_tries(Status::PIN_BLOCKED),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise
    use super::*;

    fn fresh(profile: &Profile) -> Key {
        Key::fresh(profile, [5; 32]).unwrap()
    }

    #[test]
    fn every_state_that_fits_can_be_established_and_is_what_it_says() {
        for (id, text) in authenticator::profile::all() {
            let profile = Profile::from_toml(text).unwrap();
            for state in KeyState::ALL
                .into_iter()
                .filter(|state| state.fits(&profile))
            {
                let mut key = fresh(&profile);
                state
                    .establish(&mut key)
                    .unwrap_or_else(|error| panic!("{id} {}: {error}", state.id()));
                let facts = key.facts();
                let pin = if profile.options.client_pin {
                    Some(state.has_pin())
                } else {
                    None
                };
                assert_eq!(facts.client_pin, pin, "{id} {}", state.id());
                let always = matches!(state, KeyState::AlwaysUv | KeyState::AlwaysUvPinSet)
                    || profile.options.always_uv == Some(true);
                assert_eq!(facts.always_uv, always, "{id} {}", state.id());
                assert_eq!(facts.force_pin_change, state == KeyState::PinChangeForced);
                assert_eq!(facts.pin_blocked, state == KeyState::PinBlocked);
                if state == KeyState::PinAuthBlocked {
                    assert_eq!(key.state().pin_retries(), 5);
                }
            }
        }
    }

    #[test]
    fn names_are_found_again() {
        for state in KeyState::ALL {
            assert_eq!(KeyState::find(state.id()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.id());
        }
        assert_eq!(KeyState::find("no such state"), None);
    }
}
