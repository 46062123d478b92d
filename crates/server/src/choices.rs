//! `GET /api/choices`: the platforms, keys, states and policies that a visitor can choose from.

use std::sync::{Arc, LazyLock};

use lab::KeyState;
use lab::authenticator::Profile;
use lab::client::profile::PlatformProfile;
use rp::policy::UserVerificationPolicy;
use serde_json::{Value, json};

use crate::problem::{Problem, UNKNOWN_CHOICE};

/// What is chosen when the page is opened: the case that started all this.
const PLATFORM: &str = "windows-11-after-kb5068861";
const KEY: &str = "fido-2.1";

/// Every platform, in the order in which it is shown.
pub(crate) static PLATFORMS: LazyLock<Vec<Arc<PlatformProfile>>> =
    LazyLock::new(lab::client::profile::all);

/// Every key model.
static KEYS: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    lab::authenticator::profile::all()
        .filter_map(|(_, text)| Profile::from_toml(text).ok())
        .collect()
});

/// A key model in a state: what lies on the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyChoice {
    /// Index into the list of models.
    index: usize,
    /// The state that it was brought into at first.
    pub(crate) state: KeyState,
}

impl KeyChoice {
    /// The model and state with these names, if such a key can be in such a state.
    pub(crate) fn find(key: &str, state: &str) -> Result<Self, Problem> {
        let unknown = |what: &str| Problem::new(&UNKNOWN_CHOICE, what.to_owned());
        let index = KEYS
            .iter()
            .position(|profile| profile.id == key)
            .ok_or_else(|| unknown("There is no key of that name."))?;
        let state =
            KeyState::find(state).ok_or_else(|| unknown("There is no key state of that name."))?;
        let choice = Self { index, state };
        if state.fits(choice.profile()) {
            Ok(choice)
        } else {
            Err(unknown("A key of this model cannot be in this state."))
        }
    }

    /// The model.
    pub(crate) fn profile(self) -> &'static Profile {
        &KEYS[self.index]
    }
}

/// The platform with this name.
pub(crate) fn platform(id: &str) -> Result<Arc<PlatformProfile>, Problem> {
    PLATFORMS
        .iter()
        .find(|platform| platform.id == id)
        .cloned()
        .ok_or_else(|| Problem::new(&UNKNOWN_CHOICE, "There is no platform of that name."))
}

/// `GET /api/choices`
pub(crate) async fn all() -> axum::Json<Value> {
    let platforms: Vec<Value> = PLATFORMS
        .iter()
        .map(|platform| {
            json!({ "id": platform.id, "name": platform.name, "summary": platform.summary })
        })
        .collect();
    let keys: Vec<Value> = KEYS
        .iter()
        .map(|key| {
            let states = KeyState::ALL.iter().filter(|state| state.fits(key));
            json!({
                "id": key.id,
                "name": key.name,
                "about": key.about,
                "states": states.map(|state| state.id()).collect::<Vec<_>>(),
            })
        })
        .collect();
    let states = KeyState::ALL
        .map(|state| json!({ "id": state.id(), "name": state.name(), "help": state.help() }));
    axum::Json(json!({
        "platforms": platforms,
        "keys": keys,
        "states": states,
        "policies": UserVerificationPolicy::ALL.map(policy),
        "platform": PLATFORM,
        "key": KEY,
    }))
}

fn policy(policy: UserVerificationPolicy) -> Value {
    use UserVerificationPolicy as P;
    let (name, help) = match policy {
        P::Never => (
            "never",
            "Nobody is asked, and the UV flag is not looked at: the key is something the person has.",
        ),
        P::IfSet => (
            "if set",
            "The PIN is asked where one is set, and an answer without is taken too. Beware: several \
             platforms have people create a PIN for this.",
        ),
        P::Always => (
            "always",
            "The PIN is always asked, and an answer without the UV flag is refused.",
        ),
        P::OnceSetAlways => (
            "once set, always",
            "As \u{201c}if set\u{201d}, until a credential is known to verify its user; from then on \
             always for that one.",
        ),
        P::StepUp => (
            "step-up",
            "Signing in without, registering \u{201c}if set\u{201d}: the PIN is asked later, for what \
             is sensitive.",
        ),
    };
    json!({
        "id": policy,
        "name": name,
        "help": help,
        "main": matches!(policy, P::Never | P::IfSet | P::Always),
        "registration": policy.at_registration(),
        "authentication": policy.at_authentication(false),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_shipped_profile_is_offered() {
        assert_eq!(
            PLATFORMS.len(),
            lab::client::profile::shipped().len(),
            "platforms"
        );
        assert_eq!(KEYS.len(), lab::authenticator::profile::all().count());
        KeyChoice::find("deviant-denies-uv", "pin-set").unwrap();
        platform(PLATFORM).unwrap();
        KeyChoice::find(KEY, "no-pin").unwrap();
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(platform("windows-95").is_err());
        assert!(KeyChoice::find("fido-9", "no-pin").is_err());
        assert!(KeyChoice::find(KEY, "sleepy").is_err());
        assert!(KeyChoice::find("u2f-only", "pin-set").is_err());
    }
}
