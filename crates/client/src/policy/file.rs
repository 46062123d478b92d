//! The policy of the host as it is written: one TOML file.
//!
//! ```toml
//! never-provision = false              # true: no PIN is ever set up on this host (kiosks)
//!
//! [create]                             # registering
//! preferred = "offer"                  # proceed, offer, provision or fail
//! required = "provision"
//! deny = ["kiosk.example.org"]         # never set up a PIN for these
//!
//! [get]                                # signing in
//! allow = ["example.org", "*.example.com"]     # set up a PIN for these only
//! ```
//!
//! Every member may be left out. A list names RP IDs; `*.` in front of one stands for everything below
//! it. `deny` wins over `allow`; an empty `allow` allows all.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use webauthn::origin::Origin;

use super::{HostPolicy, PinSetup};
use crate::uv::Ceremony;

/// A policy file that has been read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPolicyFile {
    never_provision: bool,
    create: Section,
    get: Section,
}

/// One of the two ceremonies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    preferred: PinSetup,
    required: PinSetup,
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

/// An RP ID, or everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    rp_id: String,
    below: bool,
}

impl Pattern {
    fn fits(&self, rp_id: &str) -> bool {
        if !self.below {
            return rp_id == self.rp_id;
        }
        rp_id
            .strip_suffix(&self.rp_id)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

/// What is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// Not TOML, or a member that is unknown or has a value that is not defined.
    #[error("{0}")]
    Toml(String),
    /// An entry of a list that is no RP ID.
    #[error("line {line}: [{section}] {list}: {why}")]
    Entry {
        /// Where it stands, from 1.
        line: usize,
        /// `create` or `get`.
        section: &'static str,
        /// `allow` or `deny`.
        list: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// An entry that stands in a list twice, or in both lists.
    #[error("line {line}: [{section}] {entry:?} stands in line {first} already")]
    Twice {
        /// Where it stands again, from 1.
        line: usize,
        /// Where it stands first.
        first: usize,
        /// `create` or `get`.
        section: &'static str,
        /// The entry.
        entry: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[derive(Default)]
struct RawFile {
    never_provision: bool,
    create: RawSection,
    get: RawSection,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawSection {
    preferred: Option<PinSetup>,
    required: Option<PinSetup>,
    allow: Vec<Spanned<String>>,
    deny: Vec<Spanned<String>>,
}

impl HostPolicyFile {
    /// Reads and checks a policy.
    ///
    /// ```
    /// use client::policy::{HostPolicyFile, PinSetup};
    ///
    /// let file = HostPolicyFile::from_toml("[get]\nallow = [\"example.org\"]").unwrap();
    /// assert_eq!(file.for_rp("example.org").get_preferred_no_pin, PinSetup::Offer);
    /// assert_eq!(file.for_rp("example.com").get_preferred_no_pin, PinSetup::Proceed);
    /// ```
    ///
    /// # Errors
    /// [`PolicyFileError`] names the line.
    pub fn from_toml(text: &str) -> Result<Self, PolicyFileError> {
        let raw: RawFile =
            toml::from_str(text).map_err(|error| PolicyFileError::Toml(error.to_string()))?;
        let default = HostPolicy::default();
        Ok(Self {
            never_provision: raw.never_provision,
            create: Section {
                preferred: raw
                    .create
                    .preferred
                    .unwrap_or(default.create_preferred_no_pin),
                required: raw
                    .create
                    .required
                    .unwrap_or(default.create_required_no_pin),
                ..lists(text, "create", &raw.create)?
            },
            get: Section {
                preferred: raw.get.preferred.unwrap_or(default.get_preferred_no_pin),
                required: raw.get.required.unwrap_or(default.get_required_no_pin),
                ..lists(text, "get", &raw.get)?
            },
        })
    }

    /// The policy for requests of this relying party.
    pub fn for_rp(&self, rp_id: &str) -> HostPolicy {
        let (create, get) = (&self.create, &self.get);
        HostPolicy {
            create_preferred_no_pin: create.setup(rp_id, create.preferred, PinSetup::Proceed),
            create_required_no_pin: create.setup(rp_id, create.required, PinSetup::Fail),
            get_preferred_no_pin: get.setup(rp_id, get.preferred, PinSetup::Proceed),
            get_required_no_pin: get.setup(rp_id, get.required, PinSetup::Fail),
            never_provision: self.never_provision,
        }
    }

    /// What is allowed but cannot have been meant, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (ceremony, section) in [(Ceremony::Create, &self.create), (Ceremony::Get, &self.get)] {
            let name = ceremony.name();
            let sets_up = sets_up(section.preferred) || sets_up(section.required);
            let listed = !section.allow.is_empty() || !section.deny.is_empty();
            if listed && self.never_provision {
                warnings.push(format!(
                    "[{name}] the lists have no effect: never-provision sets up no PIN for anybody."
                ));
            } else if listed && !sets_up {
                warnings.push(format!(
                    "[{name}] the lists have no effect: neither preferred nor required sets up a PIN."
                ));
            }
            if section.required == PinSetup::Proceed {
                warnings.push(format!(
                    "[{name}] required = \"proceed\" fails: without verification, `required` cannot be met."
                ));
            }
            if section.required == PinSetup::Offer {
                warnings.push(format!(
                    "[{name}] required = \"offer\" has no \"not now\": it is as \"provision\"."
                ));
            }
            for denied in section.deny.iter().filter(|deny| deny.below) {
                let never = section
                    .allow
                    .iter()
                    .filter(|allow| denied.fits(&allow.rp_id));
                warnings.extend(never.map(|allow| {
                    format!(
                        "[{name}] allow {:?} has no effect: deny \"*.{}\" wins.",
                        allow.rp_id, denied.rp_id
                    )
                }));
            }
        }
        warnings
    }
}

fn sets_up(setup: PinSetup) -> bool {
    matches!(setup, PinSetup::Offer | PinSetup::Provision)
}

impl Section {
    /// What is done, or `instead` where it would set up a PIN for a site that gets none.
    fn setup(&self, rp_id: &str, setup: PinSetup, instead: PinSetup) -> PinSetup {
        let fits = |list: &[Pattern]| list.iter().any(|pattern| pattern.fits(rp_id));
        let allowed = (self.allow.is_empty() || fits(&self.allow)) && !fits(&self.deny);
        if allowed || !sets_up(setup) {
            setup
        } else {
            instead
        }
    }
}

fn lists(text: &str, section: &'static str, raw: &RawSection) -> Result<Section, PolicyFileError> {
    let line_of = |span: Range<usize>| {
        text.get(..span.start)
            .map_or(1, |s| s.matches('\n').count() + 1)
    };
    let mut seen: Vec<(&str, usize)> = Vec::new();
    let read = |list: &'static str, entries: &[Spanned<String>]| {
        let patterns = entries.iter().map(|entry| {
            pattern(entry.get_ref()).map_err(|why| PolicyFileError::Entry {
                line: line_of(entry.span()),
                section,
                list,
                why,
            })
        });
        patterns.collect::<Result<Vec<_>, _>>()
    };
    let (allow, deny) = (read("allow", &raw.allow)?, read("deny", &raw.deny)?);
    for entry in raw.allow.iter().chain(&raw.deny) {
        let (name, line) = (entry.get_ref().as_str(), line_of(entry.span()));
        if let Some(&(_, first)) = seen.iter().find(|(other, _)| *other == name) {
            let entry = name.to_owned();
            return Err(PolicyFileError::Twice {
                line,
                first,
                section,
                entry,
            });
        }
        seen.push((name, line));
    }
    let (preferred, required) = (PinSetup::Proceed, PinSetup::Fail);
    Ok(Section {
        preferred,
        required,
        allow,
        deny,
    })
}

/// An entry must be an RP ID that some page could use.
fn pattern(entry: &str) -> Result<Pattern, String> {
    let (rp_id, below) = match entry.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (entry, false),
    };
    webauthn::rp_id::check(rp_id).map_err(|error| error.to_string())?;
    // A page that could use it: for a pattern one below, so that nobody lists `*.com`.
    let page = if below {
        format!("https://page.{rp_id}")
    } else {
        format!("https://{rp_id}")
    };
    let origin = Origin::parse(&page).map_err(|error| error.to_string())?;
    webauthn::rp_id::validate(rp_id, &origin).map_err(|error| error.to_string())?;
    Ok(Pattern {
        rp_id: rp_id.to_owned(),
        below,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test stops at its first surprise
    use super::*;

    fn read(text: &str) -> HostPolicyFile {
        HostPolicyFile::from_toml(text).unwrap()
    }

    fn error(text: &str) -> String {
        HostPolicyFile::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(read("").for_rp("example.org"), HostPolicy::default());
        assert_eq!(read("").warnings(), Vec::<String>::new());
    }

    #[test]
    fn lists_count_for_their_ceremony_and_deny_wins() {
        let file = read(
            "[create]\npreferred = \"provision\"\ndeny = [\"example.org\"]\n\
             [get]\nallow = [\"*.example.com\", \"example.net\"]\ndeny = [\"kiosk.example.com\"]",
        );
        let get = |rp: &str| file.for_rp(rp).get_preferred_no_pin;
        assert_eq!(get("a.example.com"), PinSetup::Offer);
        assert_eq!(get("a.b.example.com"), PinSetup::Offer);
        assert_eq!(get("example.net"), PinSetup::Offer);
        for stranger in [
            "example.com",
            "kiosk.example.com",
            "badexample.com",
            "example.org",
        ] {
            assert_eq!(get(stranger), PinSetup::Proceed, "{stranger}");
            assert_eq!(file.for_rp(stranger).get_required_no_pin, PinSetup::Fail);
        }
        let create = |rp: &str| file.for_rp(rp).create_preferred_no_pin;
        assert_eq!(create("example.org"), PinSetup::Proceed);
        assert_eq!(create("example.com"), PinSetup::Provision);
    }

    #[test]
    fn a_list_never_makes_a_setting_more_lenient() {
        let file =
            read("[get]\npreferred = \"fail\"\nrequired = \"fail\"\ndeny = [\"example.org\"]");
        assert_eq!(
            file.for_rp("example.org").get_preferred_no_pin,
            PinSetup::Fail
        );
        assert_eq!(file.warnings().len(), 1);
    }

    #[test]
    fn errors_name_the_line_and_what_would_be_right() {
        let said = error("never-provision = false\n[create]\npreferred = \"maybe\"");
        assert!(
            said.contains("line 3") && said.contains("`provision`"),
            "{said}"
        );
        let said = error("[get]\nprefered = \"offer\"");
        assert!(
            said.contains("line 2") && said.contains("`preferred`"),
            "{said}"
        );
        let said = error("[get]\nallow = [\n  \"example.org\",\n  \"https://example.org\",\n]");
        assert!(said.starts_with("line 4: [get] allow: "), "{said}");
        let said = error("[create]\ndeny = [\"*.com\"]");
        assert_eq!(said, "line 2: [create] deny: `com` is a public suffix");
        let said = error("[create]\nallow = [\"example.org\"]\ndeny = [\"example.org\"]");
        assert_eq!(
            said,
            "line 3: [create] \"example.org\" stands in line 2 already"
        );
        let said = error("[get]\nallow = [\"Example.org\"]");
        assert!(said.contains("plain form"), "{said}");
        let said = error("[get]\nallow = [\"\"]");
        assert!(said.contains("plain form"), "{said}");
    }

    #[test]
    fn what_cannot_have_been_meant_is_told() {
        let kiosk = read("never-provision = true\n[get]\nallow = [\"example.org\"]");
        assert!(kiosk.for_rp("example.org").never_provision);
        assert!(kiosk.warnings()[0].contains("never-provision"));
        let shadowed = read("[get]\nallow = [\"a.example.org\"]\ndeny = [\"*.example.org\"]");
        assert!(shadowed.warnings()[0].contains("a.example.org"));
        let vain = read("[create]\nrequired = \"proceed\"");
        assert!(vain.warnings()[0].contains("required"));
    }
}
