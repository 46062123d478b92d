//! What a change of a key's settings will mean, said before it is made.

use ctap::get_info;

use super::pin_policy;
use crate::pin::Pin;

/// A setting about to be changed.
#[derive(Debug, Clone, Copy)]
pub enum Setting<'a> {
    /// alwaysUv on or off.
    AlwaysUv(bool),
    /// The least PIN length; the PIN that the key has, where it is known.
    MinPinLength(u64, Option<&'a Pin>),
    /// The PIN must be changed.
    ForcePinChange,
    /// Enterprise attestation.
    EnterpriseAttestation,
    /// Everything.
    Reset,
}

/// The consequences of a change on the key with these facts, one sentence each.
pub fn consequences(setting: Setting<'_>, info: &get_info::Response) -> Vec<String> {
    let options = info.options.clone().unwrap_or_default();
    match setting {
        Setting::AlwaysUv(on) => always_uv(on, info, &options),
        Setting::MinPinLength(least, pin) => min_pin_length(least, pin, info, &options),
        Setting::ForcePinChange => vec![
            "The PIN that the key has now works once more: to choose another one.".to_owned(),
            "Until then the key signs in nowhere where it has to verify its user, and some \
             platforms do not offer the change."
                .to_owned(),
        ],
        Setting::EnterpriseAttestation => vec![
            "Sites that are on the key's list can then tell this very key from all others."
                .to_owned(),
            "Only a reset of the key undoes this.".to_owned(),
        ],
        Setting::Reset => reset(info, &options),
    }
}

fn always_uv(on: bool, info: &get_info::Response, options: &get_info::Options) -> Vec<String> {
    let mut said = Vec::new();
    if !on {
        said.push("Sites alone then decide whether the key verifies its user.".to_owned());
        said.push(
            "Where a site says \"discouraged\", or on a platform that skips it, a touch is enough."
                .to_owned(),
        );
        return said;
    }
    said.push(
        "Each registration and each sign-in then wants the PIN (or finger), whatever the site asks."
            .to_owned(),
    );
    if info.has_version("U2F_V2") {
        said.push(
            "U2F is switched off: sites and programs that only know U2F cannot use the key."
                .to_owned(),
        );
    }
    if options.client_pin == Some(false) && options.uv != Some(true) {
        said.push(
            "The key has no PIN yet: until it has one it can be used nowhere. `pinward pin set` \
             gives it one."
                .to_owned(),
        );
    }
    said
}

fn min_pin_length(
    least: u64,
    pin: Option<&Pin>,
    info: &get_info::Response,
    options: &get_info::Options,
) -> Vec<String> {
    let now = pin_policy(info).min_length;
    let mut said = vec![format!(
        "A PIN of this key then has at least {least} characters (now {now})."
    )];
    let length = pin.map(|pin| pin.as_str().chars().count() as u64);
    match length {
        Some(length) if length < least => said.push(format!(
            "Its PIN has {length} characters and must be changed at once: it works for nothing else."
        )),
        Some(_) => {}
        None if options.client_pin == Some(true) => {
            said.push("A shorter PIN must be changed at once: it works for nothing else.".to_owned());
        }
        None => {}
    }
    said.push("It can only grow; only a reset of the key undoes this.".to_owned());
    said
}

fn reset(info: &get_info::Response, options: &get_info::Options) -> Vec<String> {
    let mut said = vec![
        "Everything on the key is erased: all passkeys, and what makes it work at every site where \
         it is registered, also as a second factor. Nobody can bring it back."
            .to_owned(),
    ];
    if options.client_pin == Some(true) {
        said.push("The PIN is erased.".to_owned());
    }
    if options.bio_enroll == Some(true) {
        said.push("The fingerprints are erased.".to_owned());
    }
    if options.always_uv.is_some() || options.set_min_pin_length == Some(true) {
        said.push("Settings go back to the factory's.".to_owned());
    }
    if info.long_touch_for_reset == Some(true) {
        said.push("The key wants a long touch: keep the finger on it.".to_owned());
    }
    said
}
