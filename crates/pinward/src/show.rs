//! `pinward show`: everything about one key, and what each platform will do with it

mod details;
mod model;
mod outlook;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use client::manage::{Manager, Retries, pin_policy};
use client::uv::KeyFacts;
use ctap::{Command, Status, get_info, response_bytes, trace};
use serde_json::{Value, json};

use self::model::Model;
use crate::device::{self, DeviceArg, Listed};
use crate::exit::{Exit, Fault};
use crate::remember::Remembered;
use crate::{authorise, say};

/// Says everything about a key: its PIN and the tries left, what it can do, and what each platform
/// will do with it when a site wants its user verified never, if set, or always.
///
/// Nothing is changed, and no PIN is asked.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    device: DeviceArg,
    /// A FIDO metadata file (https://mds3.fidoalliance.org/ gives the newest), for the model and its
    /// certification. Its signature is verified. Without: pinward/mds.jwt in your configuration
    /// directory, if it is there.
    #[arg(long, value_name = "FILE")]
    mds: Option<PathBuf>,
    /// Print every member of the key's getInfo as well.
    #[arg(long, short)]
    all: bool,
    /// Print JSON, schema `pinward.show/1`.
    #[arg(long)]
    json: bool,
}

/// What was learnt.
struct Shown {
    listed: Listed,
    /// None for keys that speak only U2F.
    info: Option<get_info::Response>,
    pin: &'static str,
    retries: Option<Retries>,
    uv_retries: Option<u64>,
    facts: KeyFacts,
    /// From the metadata.
    model: Option<Model>,
    /// What is remembered of it.
    known: Option<Recognised>,
    /// Every member as well.
    all: bool,
}

/// A key whose persistent token is kept.
struct Recognised {
    identifier: String,
    state: Option<String>,
    unchanged: Option<bool>,
}

pub(crate) fn run(args: &ShowArgs) -> Result<(), Fault> {
    let mut key = args.device.open()?;
    let listed = key.listed.clone();
    let u2f = key.about().speaks_u2f();
    let mut rng = device::rng();
    let shown = match key.manager(&mut rng) {
        Ok(manager) => Shown::of(listed, manager, args)?,
        Err(fault) if fault.exit == Exit::NotSupported && u2f => Shown {
            listed,
            info: None,
            pin: "none",
            retries: None,
            uv_retries: None,
            facts: KeyFacts::u2f_only(),
            model: None,
            known: None,
            all: args.all,
        },
        Err(fault) => return Err(fault),
    };
    if args.json {
        return Ok(say::json(&shown.json())?);
    }
    Ok(say::out(&shown.text())?)
}

/// The state of the PIN in one word: `none`, `not-set`, `set`, `must-change`.
pub(crate) fn pin_state(manager: &Manager<'_>) -> &'static str {
    match manager.options().client_pin {
        None => "none",
        Some(false) => "not-set",
        Some(true) if manager.info().force_pin_change == Some(true) => "must-change",
        Some(true) => "set",
    }
}

/// An AAGUID as the world writes it.
pub(crate) fn aaguid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Shown {
    fn of(listed: Listed, mut manager: Manager<'_>, args: &ShowArgs) -> Result<Self, Fault> {
        let retries = manager.pin_retries()?;
        let uv_retries = manager.uv_retries()?;
        let blocked = retries.is_some_and(|retries| retries.left == 0);
        let pin = if blocked {
            "blocked"
        } else {
            pin_state(&manager)
        };
        let info = manager.info().clone();
        let facts = KeyFacts {
            pin_blocked: blocked,
            ..KeyFacts::from_info(&info)
        };
        let model = model::look_up(args.mds.as_deref(), info.aaguid)?;
        let known = Remembered::of(&info).map(|remembered| Recognised {
            state: remembered.state(&info),
            unchanged: remembered.unchanged(&info),
            identifier: remembered.known.identifier.unwrap_or_default(),
        });
        Ok(Self {
            model,
            known,
            all: args.all,
            listed,
            info: Some(info),
            pin,
            retries,
            uv_retries,
            facts,
        })
    }

    fn json(&self) -> Value {
        let info = self.info.as_ref().map(|info| {
            let answer = response_bytes(Status::OK, &info.encode());
            trace::response(Command::GetInfo, &answer)
        });
        let policy = self.info.as_ref().map(pin_policy);
        json!({
            "schema": "pinward.show/1",
            "id": self.listed.id,
            "name": self.listed.found.name,
            "address": self.listed.found.address.to_string(),
            "serial": self.listed.found.serial,
            "aaguid": self.info.as_ref().map(|info| aaguid(&info.aaguid)),
            "pin": {
                "state": self.pin,
                "triesLeft": self.retries.map(|r| r.left),
                "powerCycle": self.retries.map(|r| r.power_cycle),
                "minLength": policy.map(|p| p.min_length),
                "maxLength": policy.map(|p| p.max_length),
                "complexityPolicy": policy.map(|p| p.complexity),
            },
            "uvTriesLeft": self.uv_retries,
            "getInfo": info,
            "model": self.model.as_ref().map(Model::json),
            "identifier": self.known.as_ref().map(|known| &known.identifier),
            "credStoreState": self.known.as_ref().and_then(|known| known.state.as_ref()),
            "passkeysChanged": self.known.as_ref().and_then(|known| Some(!known.unchanged?)),
            "platforms": outlook::json(self.facts),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let address = self.listed.found.address.to_string();
        let key = format!(
            "{} ({}) at {address}",
            self.listed.found.name, self.listed.id
        );
        line(&mut text, "Key", &key);
        if let Some(serial) = &self.listed.found.serial {
            line(&mut text, "Serial", serial);
        }
        match &self.info {
            Some(info) => self.about(&mut text, info),
            None => {
                line(&mut text, "Versions", "U2F_V2 only");
                line(&mut text, "PIN", "none: this key can only be touched");
            }
        }
        text.push_str(&outlook::text(self.facts));
        text
    }

    fn about(&self, text: &mut String, info: &get_info::Response) {
        let options = info.options.clone().unwrap_or_default();
        match self.model.as_ref().map(Model::words) {
            Some((name, words)) => {
                line(
                    text,
                    "Model",
                    &format!("{name}, AAGUID {}", aaguid(&info.aaguid)),
                );
                line(text, "Certified", &words);
            }
            None => line(text, "Model", &format!("AAGUID {}", aaguid(&info.aaguid))),
        }
        if let Some(firmware) = info.firmware_version {
            line(text, "Firmware", &firmware.to_string());
        }
        line(text, "Versions", &info.versions.join(", "));
        if let Some(extensions) = &info.extensions {
            line(text, "Extensions", &extensions.join(", "));
        }
        line(text, "PIN", &self.pin_words(info));
        if options.uv.is_some() || options.bio_enroll.is_some() {
            line(text, "Own method", &own_method(options.uv, self.uv_retries));
        }
        line(text, "Always UV", always_uv(options.always_uv));
        line(text, "Passkeys", &passkeys(info, &options));
        if let Some(ep) = options.ep {
            line(
                text,
                "Enterprise",
                if ep {
                    "attestation is on"
                } else {
                    "attestation is off"
                },
            );
        }
        line(text, "Reset", &reset(info));
        if let Some(known) = &self.known {
            let words = match known.unchanged {
                Some(true) => "; its passkeys are as they were when they were last listed",
                Some(false) => "; its passkeys have CHANGED since they were last listed",
                None => "",
            };
            line(text, "Identifier", &format!("{}{words}", known.identifier));
        }
        if self.all {
            text.push_str("\nWhat the key says of itself\n");
            text.push_str(&details::text(info));
        }
    }

    fn pin_words(&self, info: &get_info::Response) -> String {
        let policy = pin_policy(info);
        let mut words = match self.pin {
            "none" => return "this key cannot have one".to_owned(),
            "not-set" => "not set; the key can have one".to_owned(),
            "blocked" => "blocked: only a reset, which erases the key, helps".to_owned(),
            "must-change" => "set, and must be changed before it is of use".to_owned(),
            _ => "set".to_owned(),
        };
        match self.retries {
            Some(retries) if retries.left > 0 => {
                let _ = write!(words, "; {}", authorise::tries(retries.left));
                if retries.power_cycle {
                    words.push_str(", after the key has been taken out and plugged in again");
                }
            }
            _ => {}
        }
        let _ = write!(words, "; at least {} characters", policy.min_length);
        if policy.complexity {
            words.push_str("; the key refuses PINs that are easily guessed");
        }
        words
    }
}

fn line(text: &mut String, head: &str, what: &str) {
    text.push_str(&say::wrapped(&format!("{head:12}"), 12, what));
}

fn own_method(uv: Option<bool>, tries: Option<u64>) -> String {
    let words = match uv {
        Some(true) => "verifies its user by itself (fingerprint or the like)",
        _ => "could verify its user by itself; not set up",
    };
    match tries {
        Some(left) => format!("{words}; {}", authorise::tries(left)),
        None => words.to_owned(),
    }
}

fn always_uv(option: Option<bool>) -> &'static str {
    match option {
        None => "the key has no such setting",
        Some(false) => "off: the site and the platform decide when the PIN is asked",
        Some(true) => "on: the key wants its user verified each time, and does no U2F",
    }
}

fn passkeys(info: &get_info::Response, options: &get_info::Options) -> String {
    if options.rk != Some(true) {
        return "the key keeps none".to_owned();
    }
    let listed = options.cred_mgmt == Some(true) || options.credential_mgmt_preview == Some(true);
    let room = match info.remaining_discoverable_credentials {
        Some(left) => format!("room for {left} more"),
        None => "the key does not say how many fit".to_owned(),
    };
    if listed {
        format!("{room}; `pinward passkeys list` shows them")
    } else {
        format!("{room}; this key cannot list them")
    }
}

fn reset(info: &get_info::Response) -> String {
    let mut words = "erases everything; within ten seconds after plugging in".to_owned();
    if info.long_touch_for_reset == Some(true) {
        words.push_str(", with a long touch");
    }
    if let Some(transports) = &info.transports_for_reset {
        let _ = write!(words, "; only over {}", transports.join(", "));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aaguid_is_written_as_a_uuid() {
        let bytes = core::array::from_fn(|n| u8::try_from(n).unwrap_or(0) * 17);
        assert_eq!(aaguid(&bytes), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
