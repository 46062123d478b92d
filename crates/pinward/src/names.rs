//! The platforms, keys, states and policies that commands take by name, and their lists.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use authenticator::Profile;
use clap::{Args, ValueEnum};
use client::profile::PlatformProfile;
use lab::{Ceremony, KeyState, UserAction};
use rp::policy::UserVerificationPolicy;
use serde_json::json;

use crate::say;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CeremonyArg {
    /// Registers a credential: navigator.credentials.create().
    Create,
    /// Signs in: navigator.credentials.get().
    Get,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum UvArg {
    /// userVerification: discouraged.
    #[value(alias = "discouraged")]
    Never,
    /// userVerification: preferred.
    #[value(alias = "preferred")]
    IfSet,
    /// userVerification: required.
    #[value(alias = "required")]
    Always,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PersonArg {
    /// Does what every dialog asks.
    Accepts,
    /// Closes the first dialog.
    Cancels,
    /// Mistypes the PIN once.
    WrongPin,
}

impl CeremonyArg {
    pub(crate) fn ceremony(self) -> Ceremony {
        match self {
            Self::Create => Ceremony::Create,
            Self::Get => Ceremony::Get,
        }
    }
}

impl UvArg {
    pub(crate) fn policy(self) -> UserVerificationPolicy {
        match self {
            Self::Never => UserVerificationPolicy::Never,
            Self::IfSet => UserVerificationPolicy::IfSet,
            Self::Always => UserVerificationPolicy::Always,
        }
    }
}

impl PersonArg {
    pub(crate) fn action(self) -> UserAction {
        match self {
            Self::Accepts => UserAction::Accepts,
            Self::Cancels => UserAction::Cancels,
            Self::WrongPin => UserAction::WrongPin,
        }
    }
}

/// A name that means nothing here; the names that do.
#[derive(Debug, thiserror::Error)]
#[error("there is no {what} {name:?}; there are: {known}")]
pub(crate) struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

/// Options of the commands that list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON: an array of objects with `id`, `name` and a description.
    #[arg(long)]
    json: bool,
}

fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> UnknownName {
    let known = known.collect::<Vec<_>>().join(", ");
    UnknownName {
        what,
        name: name.to_owned(),
        known,
    }
}

/// The platform with this name.
pub(crate) fn platform(id: &str) -> Result<Arc<PlatformProfile>, UnknownName> {
    let ids = client::profile::shipped().iter().map(|(id, _)| *id);
    client::profile::find(id).ok_or_else(|| unknown("platform", id, ids))
}

/// The state with this name.
pub(crate) fn key_state(id: &str) -> Result<KeyState, UnknownName> {
    let ids = KeyState::ALL.into_iter().map(KeyState::id);
    KeyState::find(id).ok_or_else(|| unknown("key state", id, ids))
}

/// The shipped profile with this name, or the one in this file.
pub(crate) fn key(name: &str) -> Result<Profile, crate::Failure> {
    match authenticator::profile::find(name) {
        Some(profile) => Ok(profile?),
        None if Path::new(name).exists() => {
            let text = std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?;
            Ok(Profile::from_toml(&text).map_err(|error| format!("{name}: {error}"))?)
        }
        None => {
            let ids = authenticator::profile::all().map(|(id, _)| id);
            Err(unknown("key profile or file", name, ids).into())
        }
    }
}

/// `pinward platforms`
pub(crate) fn platforms(args: &ListArgs) -> Result<(), crate::Failure> {
    let all = client::profile::all();
    if args.json {
        let list: Vec<_> = all
            .iter()
            .map(|p| json!({ "id": p.id, "name": p.name, "summary": p.summary }))
            .collect();
        return Ok(say::out(&format!("{:#}\n", json!(list)))?);
    }
    let mut text = String::new();
    for platform in all {
        let _ = writeln!(text, "{}\n  {}", platform.id, platform.name);
        text.push_str(&say::wrapped("  ", 2, &platform.summary));
    }
    Ok(say::out(&text)?)
}

/// `pinward key profiles`
pub(crate) fn key_profiles(args: &ListArgs) -> Result<(), crate::Failure> {
    let mut list = Vec::new();
    let mut text = String::new();
    for (id, toml) in authenticator::profile::all() {
        let profile = Profile::from_toml(toml)?;
        let states: Vec<_> = KeyState::ALL
            .into_iter()
            .filter(|state| state.fits(&profile))
            .map(KeyState::id)
            .collect();
        let versions: Vec<_> = profile.versions().map(|version| version.name()).collect();
        let _ = writeln!(text, "{id}\n  {} ({})", profile.name, versions.join(", "));
        text.push_str(&say::wrapped("  ", 2, &profile.about));
        text.push_str(&say::wrapped("  States: ", 10, &states.join(", ")));
        list.push(json!({
            "id": id,
            "name": profile.name,
            "about": profile.about,
            "versions": versions,
            "states": states,
        }));
    }
    Ok(say::out(&if args.json {
        format!("{:#}\n", json!(list))
    } else {
        text
    })?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let said = platform("windows-95").unwrap_err().to_string();
        assert!(
            said.contains("windows-95") && said.contains("windows-10-22h2"),
            "{said}"
        );
        let said = key_state("sleepy").unwrap_err().to_string();
        assert!(said.contains("pin-set"), "{said}");
        let said = key("no-such-key").unwrap_err();
        assert!(
            said.is::<UnknownName>() && said.to_string().contains("fido-2.1"),
            "{said}"
        );
    }

    #[test]
    fn a_key_can_be_a_file() {
        let (_, text) = authenticator::profile::shipped().first().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(
            key(file.path().to_str().unwrap()).unwrap(),
            Profile::from_toml(text).unwrap()
        );
        std::fs::write(file.path(), "id = 5").unwrap();
        assert!(key(file.path().to_str().unwrap()).is_err());
    }
}
