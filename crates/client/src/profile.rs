//! Platforms as data: one TOML file each under `profiles/platforms/`.
//!
//! ```toml
//! id = "my-platform"
//! name = "My platform 1.0"
//! summary = "One sentence."
//!
//! [sources]
//! code = "example/repository src/uv.rs"
//!
//! [rules]
//! get_preferred_no_pin = { value = "proceed", certainty = "source", source = "code" }
//! # … every rule of `client::rules::Rules`; what is not known says `value = "unknown"` where it can
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::rules::{RawRules, Rules};

/// A platform: its name and the rules by which it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformProfile {
    /// The identifier, as in file names and on command lines.
    pub id: String,
    /// The name for people, with version.
    pub name: String,
    /// One sentence about it.
    pub summary: String,
    /// How it decides.
    pub rules: Rules,
}

/// Why a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, or a member that is missing, unknown or has a value that is not defined.
    #[error("the platform profile cannot be read: {0}")]
    Toml(String),
    /// A rule names a source that the profile does not list.
    #[error("the rule `{rule}` names the source `{source_name}`, which [sources] does not list")]
    NoSource {
        /// The rule.
        rule: &'static str,
        /// The name it gives.
        source_name: String,
    },
    /// A source that no rule names.
    #[error("[sources] lists `{0}`, which no rule names")]
    UnusedSource(String),
    /// An identifier that could not be a file name.
    #[error("the id `{0}` may only have lower-case letters, digits and hyphens")]
    Id(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    id: String,
    name: String,
    summary: String,
    sources: BTreeMap<String, String>,
    rules: RawRules,
}

impl PlatformProfile {
    /// Reads a profile and puts the text of each source beside the rules that name it.
    ///
    /// # Errors
    /// [`ProfileError`] says which rule or member is at fault.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let raw: RawProfile =
            toml::from_str(text).map_err(|error| ProfileError::Toml(error.to_string()))?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.id.is_empty() || !raw.id.chars().all(plain) {
            return Err(ProfileError::Id(raw.id));
        }
        let used = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let rules = raw.rules.resolve(&|rule, name| {
            used.borrow_mut().insert(name.to_owned());
            raw.sources
                .get(name)
                .cloned()
                .ok_or_else(|| ProfileError::NoSource {
                    rule,
                    source_name: name.to_owned(),
                })
        })?;
        if let Some(unused) = raw
            .sources
            .keys()
            .find(|name| !used.borrow().contains(*name))
        {
            return Err(ProfileError::UnusedSource(unused.clone()));
        }
        Ok(Self {
            id: raw.id,
            name: raw.name,
            summary: raw.summary,
            rules,
        })
    }
}

macro_rules! shipped {
    ($($id:literal),* $(,)?) => {
        /// The identifiers and texts of the profiles that come with the program, in the order in
        /// which they are shown.
        pub fn shipped() -> &'static [(&'static str, &'static str)] {
            &[ $( ($id, include_str!(concat!("../../../profiles/platforms/", $id, ".toml"))), )* ]
        }
    };
}

shipped![
    "webauthn-l3",
    "pinward",
    "windows-11-before-kb5065789",
    "windows-11-between-updates",
    "windows-11-after-kb5068861",
    "windows-10-22h2",
    "windows-11-21h2",
    "windows-11-22h2-home",
    "windows-11-22h2-enterprise",
    "windows-11-23h2",
    "chromium-linux",
    "firefox-linux",
    "webkit",
    "android-before-26-03",
    "android-after-26-03",
    "python-fido2",
    "libwebauthn",
];

/// Looks up a profile that comes with the program.
///
/// ```
/// let platform = client::profile::find("windows-11-after-kb5068861").unwrap();
/// assert_eq!(
///     platform.rules.get_preferred_no_pin.value,
///     client::rules::NoPin::Provision,
/// );
/// ```
pub fn find(id: &str) -> Option<Arc<PlatformProfile>> {
    let (_, text) = shipped().iter().find(|(shipped, _)| *shipped == id)?;
    PlatformProfile::from_toml(text).ok().map(Arc::new)
}

/// All profiles that come with the program.
pub fn all() -> Vec<Arc<PlatformProfile>> {
    shipped().iter().filter_map(|(id, _)| find(id)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::report::Certainty;

    #[test]
    fn every_shipped_profile_loads_under_its_own_id() {
        for (id, text) in shipped() {
            let profile = PlatformProfile::from_toml(text).unwrap_or_else(|e| panic!("{id}: {e}"));
            assert_eq!(profile.id, *id);
            assert!(
                !profile.name.is_empty() && !profile.summary.is_empty(),
                "{id}"
            );
        }
        assert_eq!(all().len(), shipped().len());
    }

    #[test]
    fn every_value_that_is_unknown_is_marked_unknown() {
        for profile in all() {
            for row in profile.rules.rows() {
                assert!(
                    row.source.len() > 3,
                    "{} {}: no source",
                    profile.id,
                    row.name
                );
                if row.value == "unknown" {
                    assert_eq!(
                        row.certainty,
                        Certainty::Unknown,
                        "{} {}",
                        profile.id,
                        row.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_rule_with_a_source_that_is_not_listed_is_refused() {
        let (_, text) = shipped()[0];
        let text = text.replacen("source = \"", "source = \"nowhere-", 1);
        assert!(matches!(
            PlatformProfile::from_toml(&text),
            Err(ProfileError::NoSource { source_name, .. }) if source_name.starts_with("nowhere-")
        ));
    }

    #[test]
    fn a_source_that_nothing_names_is_refused() {
        let (_, text) = shipped()[0];
        let text = text.replacen("[sources]", "[sources]\nspare = \"a page\"", 1);
        assert_eq!(
            PlatformProfile::from_toml(&text),
            Err(ProfileError::UnusedSource("spare".into()))
        );
    }

    #[test]
    fn a_missing_rule_or_a_wrong_value_is_refused_by_name() {
        let (_, text) = shipped()[0];
        let missing: String = text
            .lines()
            .filter(|l| !l.starts_with("pin_blocked"))
            .collect::<Vec<_>>()
            .join("\n");
        let error = PlatformProfile::from_toml(&missing).unwrap_err();
        assert!(error.to_string().contains("pin_blocked"), "{error}");

        let wrong = text.replacen(
            "pin_blocked = { value = \"",
            "pin_blocked = { value = \"x",
            1,
        );
        let error = PlatformProfile::from_toml(&wrong).unwrap_err();
        assert!(error.to_string().contains("unknown variant"), "{error}");
    }

    #[test]
    fn an_id_that_is_no_file_name_is_refused() {
        let (_, text) = shipped()[0];
        let text = text.replacen("id = \"", "id = \"../", 1);
        assert!(matches!(
            PlatformProfile::from_toml(&text),
            Err(ProfileError::Id(_))
        ));
    }
}
