//! The user-verification disposition: what a platform does about one request on one key, and why.
//!
//! CTAP 2.3 §6.1.1 (platform actions for authenticatorMakeCredential) and §6.2.1 (the same for
//! authenticatorGetAssertion), WebAuthn L3 §5.1.3 and §5.1.4. Where the texts leave a choice, or a
//! product departs from them, the profile's [`crate::rules::Rules`] decide.
//!
//! [`disposition`] is a pure function from plain data to a value. [`domain`] lists its whole domain
//! and [`Disposition::expected`] says what a person who does everything right then goes through.

mod action;
mod decide;
mod domain;
mod expected;
mod facts;
mod words;

use crate::profile::PlatformProfile;
use crate::report::Reason;
use crate::rules::{DiscoverableMeans, ResidentKeyPreferred};
pub use action::{Action, Disposition, PinEntry, Quirk, Unsatisfiable};
use decide::Decision;
pub use domain::{domain, table};
pub(crate) use expected::unsatisfiable_error;
pub use expected::{Expected, LOOP_ROUNDS};
pub use facts::{Ceremony, CredentialList, Facts, KeyFacts};

/// Decides what `platform` does about the request and key described by `facts`.
///
/// ```
/// use client::uv::{Action, domain, disposition};
/// let platform = client::profile::find("windows-11-after-kb5068861").unwrap();
/// let facts = domain().into_iter().find(|f| f.ceremony.name() == "get"
///     && f.user_verification.as_str() == "preferred" && f.key.client_pin == Some(false)).unwrap();
/// assert!(matches!(disposition(&facts, &platform).action, Action::ProvisionPin { .. }));
/// ```
pub fn disposition(facts: &Facts, platform: &PlatformProfile) -> Disposition {
    let rules = &platform.rules;
    let facts = &facts.as_seen_by(platform);
    let means = match facts.ceremony {
        Ceremony::Create => &rules.discoverable_create,
        Ceremony::Get => &rules.discoverable_get,
    };
    let decide = |means, keeps| Decision::new(facts, platform, means, keeps).decide();
    // What is not known does not matter where every possible value leads to the same action.
    let by_means = |keeps: bool| {
        if means.value != DiscoverableMeans::Unknown {
            return decide(means.value, keeps);
        }
        let as_asked = decide(DiscoverableMeans::AsAsked, keeps);
        let required = decide(DiscoverableMeans::Required, keeps);
        if as_asked.action == required.action {
            return as_asked;
        }
        let reason = means.reason(words::DISCOVERABLE_UNKNOWN);
        as_asked.unlike(&required, words::discoverable_rule(facts), reason)
    };
    match rules.resident_key_preferred.value {
        ResidentKeyPreferred::WhenSupported => by_means(true),
        ResidentKeyPreferred::Never => by_means(false),
        ResidentKeyPreferred::Unknown => {
            let (kept, not) = (by_means(true), by_means(false));
            if kept.action == not.action {
                return kept;
            }
            let reason = rules
                .resident_key_preferred
                .reason(words::RK_PREFERRED_UNKNOWN);
            not.unlike(&kept, "resident_key_preferred", reason)
        }
    }
}

impl Disposition {
    /// Two possible decisions differ: it is not known which one holds, only what led to both.
    fn unlike(mut self, other: &Self, rule: &'static str, reason: Reason) -> Self {
        let alike = self
            .reasons
            .iter()
            .zip(&other.reasons)
            .take_while(|(a, b)| a == b)
            .count();
        self.reasons.truncate(alike);
        self.action = Action::Unknown {
            rule,
            per_device: false,
        };
        self.required = false;
        self.reasons.push(reason);
        self
    }
}
