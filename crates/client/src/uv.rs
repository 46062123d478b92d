//! The user-verification disposition: what a platform does about one request on one key, and why.
//!
//! CTAP 2.3 §6.1.1 (platform actions for authenticatorMakeCredential) and §6.2.1 (the same for
//! authenticatorGetAssertion), WebAuthn L3 §5.1.3 and §5.1.4. Where the texts leave a choice, or a
//! product departs from them, the profile's [`crate::rules::Rules`] decide.
//!
//! [`disposition`] is a pure function from plain data to a value. [`domain`] lists its whole domain
//! and [`Disposition::expected`] says what a person who does everything right then goes through.

mod domain;
mod expected;
mod words;

use serde::{Deserialize, Serialize};
use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement};

use crate::policy::{HostPolicy, PinSetup};
use crate::profile::PlatformProfile;
use crate::report::Reason;
use crate::rules::{
    AlwaysUv, AlwaysUvNoPin, CannotVerify, DiscoverableMeans, ExcludeListNoMatch, Fact,
    FingerprintEnrolment, ForcedPinChange, KeyInsists, MakeCredUvNotRqd, NoPin, PinBlocked,
    PrfMeans, PuatRequired, ResidentKeyPreferred,
};
pub use domain::{domain, table};
pub(crate) use expected::unsatisfiable_error;
pub use expected::{Expected, LOOP_ROUNDS};

/// Which of the two ceremonies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceremony {
    /// `navigator.credentials.create()`
    Create,
    /// `navigator.credentials.get()`
    Get,
}

impl Ceremony {
    /// The word as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
        }
    }
}

/// The exclude list of `create()` or the allow list of `get()`, as this key would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialList {
    /// Empty; for `get()` this asks for a discoverable credential.
    Empty,
    /// The key has a credential of the list.
    Match,
    /// The key has one that it shows only after user verification (credProtect level 3).
    Hidden,
    /// The key has none of them.
    NoMatch,
}

impl CredentialList {
    /// The word as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Match => "match",
            Self::Hidden => "hidden",
            Self::NoMatch => "no-match",
        }
    }
}

/// What a key says about itself (authenticatorGetInfo) and the state of its PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyFacts {
    /// It speaks CTAP2; otherwise CTAP1/U2F only.
    pub ctap2: bool,
    /// It lists `U2F_V2`.
    pub u2f_v2: bool,
    /// It can keep discoverable credentials.
    pub rk: bool,
    /// `clientPin`: absent, no PIN yet, PIN set.
    pub client_pin: Option<bool>,
    /// `uv`: no built-in method, not configured, configured.
    pub uv: Option<bool>,
    /// `bioEnroll`: absent, no finger enrolled, fingers enrolled.
    pub bio_enroll: Option<bool>,
    /// It hands out pinUvAuthTokens with permissions (CTAP 2.1).
    pub pin_uv_auth_token: bool,
    /// It gives no mc and ga permissions for a PIN.
    pub no_mc_ga_permissions_with_client_pin: bool,
    /// `alwaysUv` is on.
    pub always_uv: bool,
    /// `makeCredUvNotRqd` is on.
    pub make_cred_uv_not_rqd: bool,
    /// `forcePINChange` is on.
    pub force_pin_change: bool,
    /// No PIN retries are left.
    pub pin_blocked: bool,
    /// It supports hmac-secret, the ground of `prf`.
    pub hmac_secret: bool,
}

impl KeyFacts {
    /// Whether a PIN can verify the user for this ceremony now.
    pub(crate) fn pin_ready(&self) -> bool {
        self.client_pin == Some(true) && !self.no_mc_ga_permissions_with_client_pin
    }

    /// Whether a PIN could be created that then verifies the user.
    fn pin_possible(&self) -> bool {
        self.client_pin == Some(false) && !self.no_mc_ga_permissions_with_client_pin
    }

    /// Whether built-in user verification is configured.
    fn built_in_ready(&self) -> bool {
        self.uv == Some(true)
    }
}

/// Everything that a disposition depends on, besides the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// Which ceremony.
    pub ceremony: Ceremony,
    /// What the site said (an absent member is `preferred`).
    pub user_verification: UserVerificationRequirement,
    /// What the site said about discoverable credentials (`create()` only).
    pub resident_key: ResidentKeyRequirement,
    /// The exclude or allow list.
    pub list: CredentialList,
    /// The site uses the `prf` extension.
    pub prf: bool,
    /// The key.
    pub key: KeyFacts,
    /// The policy of the host.
    pub policy: HostPolicy,
}

/// How the PIN is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinEntry {
    /// The PIN is asked.
    Enter,
    /// The PIN is asked although the key is bound to refuse it.
    EnterInVain,
    /// The PIN is asked, then a new one, with which the ceremony goes on.
    EnterThenChange,
    /// Old and new PIN are asked in one dialog.
    Change,
    /// Old and new PIN are asked in one dialog, then the PIN two times more.
    ChangeThenEnterTwice,
}

/// Why a request cannot be satisfied on this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsatisfiable {
    /// The key has no means to verify the user.
    NoMeans,
    /// The key could, but is not set up, and this platform does not do it here.
    NotSetUp,
    /// The PIN is blocked.
    PinBlocked,
    /// The key cannot keep a discoverable credential.
    NoResidentKey,
    /// The key refuses the request without verification, and the platform leaves it at that.
    KeyRefuses,
}

/// A known fault of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// Asks for the PIN again and again, without ever using the token.
    PinLoop,
    /// Asks for touch and PIN in turn, without ever using the token.
    TouchPinLoop,
    /// Shows nothing more after the touch.
    HangAfterTouch,
}

/// What a platform does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Sends the request without user verification: a touch is all.
    NotRequired,
    /// Registers or signs in by CTAP1/U2F messages, without user verification.
    U2f,
    /// Verifies by the key's own method.
    ByBuiltInUv {
        /// The PIN is asked if that fails.
        pin_fallback: bool,
    },
    /// Verifies by the PIN that the key has.
    ByPin {
        /// How it is asked.
        entry: PinEntry,
        /// A touch chooses the key first.
        touch_first: bool,
        /// A finger is enrolled afterwards.
        enrol: bool,
    },
    /// Has the person create a PIN, then gets a token with it.
    ProvisionPin {
        /// The person may say "not now" and go on without verification.
        optional: bool,
        /// A touch chooses the key first.
        touch_first: bool,
        /// The PIN just created has to be entered once more.
        asked_again: bool,
        /// A finger is enrolled afterwards.
        enrol: bool,
    },
    /// Fails.
    Unsatisfiable {
        /// Why.
        why: Unsatisfiable,
        /// A touch is asked before the failure is told.
        touch_first: bool,
    },
    /// Does something that nobody wanted.
    Quirk(Quirk),
    /// Not known: the name of the rule that would have to be known.
    Unknown {
        /// The rule.
        rule: &'static str,
        /// It differs from machine to machine, rather than being unexplored.
        per_device: bool,
    },
}

impl Action {
    /// The action in one word, as tables name it.
    pub fn text(&self) -> String {
        match self {
            Self::NotRequired => "touch".into(),
            Self::U2f => "u2f".into(),
            Self::ByBuiltInUv { .. } => "built-in-uv".into(),
            Self::ByPin {
                entry: PinEntry::Enter,
                ..
            } => "pin".into(),
            Self::ByPin {
                entry: PinEntry::EnterInVain,
                ..
            } => "pin-in-vain".into(),
            Self::ByPin { .. } => "change-pin".into(),
            Self::ProvisionPin { optional: true, .. } => "offer-pin".into(),
            Self::ProvisionPin {
                optional: false, ..
            } => "provision-pin".into(),
            Self::Unsatisfiable { why, .. } => match why {
                Unsatisfiable::NoMeans => "fail:no-means",
                Unsatisfiable::NotSetUp => "fail:not-set-up",
                Unsatisfiable::PinBlocked => "fail:pin-blocked",
                Unsatisfiable::NoResidentKey => "fail:no-resident-key",
                Unsatisfiable::KeyRefuses => "fail:key-refuses",
            }
            .into(),
            Self::Quirk(Quirk::PinLoop) => "quirk:pin-loop".into(),
            Self::Quirk(Quirk::TouchPinLoop) => "quirk:touch-pin-loop".into(),
            Self::Quirk(Quirk::HangAfterTouch) => "quirk:hang".into(),
            Self::Unknown {
                rule,
                per_device: false,
            } => format!("unknown:{rule}"),
            Self::Unknown {
                rule,
                per_device: true,
            } => format!("per-device:{rule}"),
        }
    }
}

/// The decision for one request on one key, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disposition {
    /// What the platform does.
    pub action: Action,
    /// Which facts of whom led here, in order.
    pub reasons: Vec<Reason>,
    /// The credential to be made is discoverable, or a discoverable one is asked for.
    pub discoverable: bool,
    /// The `UV` flag has to be set in the answer (the effective requirement is `required`).
    pub required: bool,
}

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
        as_asked.unknown(
            words::discoverable_rule(facts),
            means.reason(words::DISCOVERABLE_UNKNOWN),
        )
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
            not.unknown("resident_key_preferred", reason)
        }
    }
}

impl Disposition {
    fn unknown(mut self, rule: &'static str, reason: Reason) -> Self {
        self.action = Action::Unknown {
            rule,
            per_device: false,
        };
        self.required = false;
        self.reasons.push(reason);
        self
    }
}

/// Whether the key itself refuses the request without verification.
///
/// CTAP 2.3 §6.1.2 steps on alwaysUv and makeCredUvNotRqd, §6.2.2 step on alwaysUv; a 2.0 key
/// refuses makeCredential without a token once a PIN is set (CTAP 2.0 §5.1).
pub(crate) fn key_insists(facts: &Facts, discoverable: bool) -> bool {
    let key = &facts.key;
    if key.always_uv {
        return key.ctap2;
    }
    let protected = key.client_pin == Some(true) || (key.built_in_ready() && key.pin_uv_auth_token);
    match facts.ceremony {
        Ceremony::Get => false,
        Ceremony::Create => protected && (discoverable || !key.make_cred_uv_not_rqd),
    }
}

/// What is needed, after all rules that raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Discouraged,
    Preferred,
    Required,
}

struct Decision<'a> {
    facts: &'a Facts,
    platform: &'a PlatformProfile,
    discoverable_means: DiscoverableMeans,
    /// `residentKey: "preferred"` makes a discoverable credential where the key can.
    preferred_keeps: bool,
    discoverable: bool,
    need: Need,
    /// prf makes this platform set up a PIN where `preferred` would not.
    provision_for_prf: bool,
    reasons: Vec<Reason>,
}

impl<'a> Decision<'a> {
    fn new(
        facts: &'a Facts,
        platform: &'a PlatformProfile,
        discoverable_means: DiscoverableMeans,
        preferred_keeps: bool,
    ) -> Self {
        Self {
            facts,
            platform,
            discoverable_means,
            preferred_keeps,
            discoverable: false,
            need: match facts.user_verification {
                UserVerificationRequirement::Required => Need::Required,
                UserVerificationRequirement::Preferred => Need::Preferred,
                UserVerificationRequirement::Discouraged => Need::Discouraged,
            },
            provision_for_prf: false,
            reasons: vec![words::site_asked(facts.ceremony, facts.user_verification)],
        }
    }

    fn decide(mut self) -> Disposition {
        let action = self.action();
        let required = self.need == Need::Required && !matches!(action, Action::Unknown { .. });
        Disposition {
            action,
            reasons: self.reasons,
            discoverable: self.discoverable,
            required,
        }
    }

    fn action(&mut self) -> Action {
        if let Some(action) = self.find_discoverable() {
            return action;
        }
        if !self.facts.key.ctap2 {
            return self.u2f_only();
        }
        let key = self.facts.key;
        if key.pin_blocked && self.platform.rules.pin_blocked.value == PinBlocked::Unknown {
            // Nobody has looked at such a key on this platform, whatever the request.
            return self.blocked();
        }
        if let Some(unknown) = self.raise_need() {
            return unknown;
        }
        if self.need == Need::Discouraged {
            return self.without_asking();
        }
        // A configured method is used for `preferred` as well as for `required`.
        if key.built_in_ready() || key.pin_ready() {
            return self.verify();
        }
        if key.pin_possible() {
            return self.no_pin();
        }
        match self.need {
            Need::Required => self.no_means(),
            _ => {
                self.reasons.push(words::key_cannot_verify(&key));
                self.without_asking()
            }
        }
    }

    /// Whether a discoverable credential is made or asked for; a failure if the key cannot.
    fn find_discoverable(&mut self) -> Option<Action> {
        let facts = self.facts;
        let rk = facts.key.rk && facts.key.ctap2;
        match (facts.ceremony, facts.resident_key) {
            (Ceremony::Get, _) => self.discoverable = facts.list == CredentialList::Empty,
            (Ceremony::Create, ResidentKeyRequirement::Required) => {
                self.discoverable = true;
                if !rk {
                    self.reasons.push(words::key_cannot_keep());
                    let why = Unsatisfiable::NoResidentKey;
                    let cannot = &self.platform.rules.cannot_verify;
                    return Some(Action::Unsatisfiable {
                        why,
                        touch_first: cannot.value != CannotVerify::Fail,
                    });
                }
            }
            (Ceremony::Create, ResidentKeyRequirement::Preferred) => {
                self.discoverable = rk && self.preferred_keeps;
            }
            (Ceremony::Create, ResidentKeyRequirement::Discouraged) => {}
        }
        None
    }

    /// Raises the need by the rules for discoverable credentials, prf and alwaysUv.
    fn raise_need(&mut self) -> Option<Action> {
        let rules = &self.platform.rules;
        let facts = self.facts;
        let floor = match self.discoverable_means {
            DiscoverableMeans::Preferred => Need::Preferred,
            DiscoverableMeans::Required => Need::Required,
            DiscoverableMeans::AsAsked | DiscoverableMeans::Unknown => Need::Discouraged,
        };
        if self.discoverable && floor > self.need {
            let fact = match facts.ceremony {
                Ceremony::Create => &rules.discoverable_create,
                Ceremony::Get => &rules.discoverable_get,
            };
            self.reasons
                .push(fact.reason(words::discoverable_raises(facts.ceremony, floor)));
            self.need = floor;
        }
        if facts.prf && facts.key.hmac_secret {
            let fact = &rules.prf;
            match fact.value {
                PrfMeans::AsAsked => {}
                PrfMeans::Unknown if self.need == Need::Discouraged => {
                    self.reasons.push(fact.reason(words::PRF_UNKNOWN));
                    return Some(Action::Unknown {
                        rule: "prf",
                        per_device: false,
                    });
                }
                PrfMeans::Unknown => {}
                PrfMeans::AtLeastPreferred => self.raise_for_prf(false),
                PrfMeans::AtLeastPreferredAndProvision => self.raise_for_prf(true),
            }
        }
        if facts.key.always_uv && self.need < Need::Required {
            match rules.always_uv.value {
                AlwaysUv::AsRequired => {
                    self.reasons.push(words::key_always_uv());
                    self.reasons
                        .push(rules.always_uv.reason(words::ALWAYS_UV_HONOURED));
                    self.need = Need::Required;
                }
                AlwaysUv::Ignore => {}
                AlwaysUv::Unknown if self.need == Need::Discouraged => {
                    self.reasons.push(words::key_always_uv());
                    self.reasons
                        .push(rules.always_uv.reason(words::ALWAYS_UV_UNKNOWN));
                    return Some(Action::Unknown {
                        rule: "always_uv",
                        per_device: false,
                    });
                }
                AlwaysUv::Unknown => {}
            }
        }
        None
    }

    fn raise_for_prf(&mut self, provision: bool) {
        if self.need == Need::Required {
            return;
        }
        self.provision_for_prf = provision && self.facts.ceremony == Ceremony::Create;
        if self.need == Need::Discouraged || self.provision_for_prf {
            self.reasons
                .push(self.platform.rules.prf.reason(words::PRF_RAISES));
        }
        self.need = Need::Preferred;
    }

    /// A request that itself calls for no verification: the key may still insist.
    fn without_asking(&mut self) -> Action {
        let facts = self.facts;
        let rules = &self.platform.rules;
        let key = &facts.key;
        if !key_insists(facts, self.discoverable) {
            let spared = facts.ceremony == Ceremony::Create && key.pin_ready();
            let fact = &rules.make_cred_uv_not_rqd;
            return match fact.value {
                MakeCredUvNotRqd::Ask if spared => {
                    self.reasons.push(fact.reason(words::SPARED_ASKS));
                    self.verify()
                }
                MakeCredUvNotRqd::Unknown if spared => {
                    self.reasons.push(fact.reason(words::SPARED_UNKNOWN));
                    Action::Unknown {
                        rule: "make_cred_uv_not_rqd",
                        per_device: false,
                    }
                }
                _ => self.touch_only(),
            };
        }
        self.reasons
            .push(words::key_insists(facts, self.discoverable));
        let usable = key.built_in_ready() || key.pin_ready();
        if facts.ceremony == Ceremony::Create && usable {
            let fact = if key.client_pin == Some(true) {
                &rules.create_key_insists
            } else {
                &rules.create_key_insists_built_in
            };
            match fact.value {
                KeyInsists::Ask => {
                    self.reasons.push(fact.reason(words::INSISTS_ASK));
                    return self.verify();
                }
                KeyInsists::U2fIfListed if key.u2f_v2 && !self.discoverable && !facts.prf => {
                    self.reasons.push(fact.reason(words::INSISTS_U2F));
                    return Action::U2f;
                }
                KeyInsists::U2fIfListed => {
                    self.reasons.push(fact.reason(words::INSISTS_NO_U2F));
                    return self.verify();
                }
                KeyInsists::SendWithoutToken => {}
                KeyInsists::Unknown => {
                    self.reasons.push(fact.reason(words::INSISTS_UNKNOWN));
                    return Action::Unknown {
                        rule: "create_key_insists",
                        per_device: false,
                    };
                }
            }
        }
        self.refused()
    }

    /// The request is sent without a token and the key answers PUAT_REQUIRED.
    fn refused(&mut self) -> Action {
        let key = &self.facts.key;
        let usable = key.built_in_ready() || key.pin_ready();
        let fact = &self.platform.rules.puat_required;
        self.reasons
            .push(fact.reason(words::puat_required(fact.value)));
        match fact.value {
            PuatRequired::Escalate if usable => self.verify(),
            PuatRequired::PinLoop if key.pin_ready() => self.in_a_loop(Quirk::PinLoop),
            PuatRequired::TouchPinLoop if key.pin_ready() => self.in_a_loop(Quirk::TouchPinLoop),
            // The loops were seen with a PIN; without one nobody has looked.
            PuatRequired::PinLoop | PuatRequired::TouchPinLoop => Action::Unknown {
                rule: words::always_rule(self.facts),
                per_device: false,
            },
            PuatRequired::Unknown => Action::Unknown {
                rule: "puat_required",
                per_device: false,
            },
            PuatRequired::Escalate | PuatRequired::Fail => Action::Unsatisfiable {
                why: Unsatisfiable::KeyRefuses,
                touch_first: false,
            },
        }
    }

    /// The loop goes round as long as the key takes the PIN.
    fn in_a_loop(&mut self, quirk: Quirk) -> Action {
        let key = &self.facts.key;
        if key.pin_blocked {
            return match self.blocked() {
                Action::ByPin { entry, enrol, .. } => Action::ByPin {
                    entry,
                    touch_first: quirk == Quirk::TouchPinLoop,
                    enrol,
                },
                action => action,
            };
        }
        if key.force_pin_change {
            let fact = &self.platform.rules.forced_pin_change;
            self.reasons.push(words::key_force_change());
            self.reasons.push(fact.reason(words::FORCED_IN_LOOP));
            return Action::Unknown {
                rule: "forced_pin_change",
                per_device: false,
            };
        }
        Action::Quirk(quirk)
    }

    /// Nothing stands against a touch alone, except one known fault.
    fn touch_only(&mut self) -> Action {
        let facts = self.facts;
        let fact = &self.platform.rules.exclude_list_no_match;
        let affected = facts.ceremony == Ceremony::Create
            // Without a token, a hidden credential looks like none.
            && matches!(facts.list, CredentialList::NoMatch | CredentialList::Hidden)
            && facts.key.client_pin == Some(true);
        match fact.value {
            ExcludeListNoMatch::Hang if affected => {
                self.reasons.push(fact.reason(words::HANG));
                Action::Quirk(Quirk::HangAfterTouch)
            }
            ExcludeListNoMatch::Unknown if affected => {
                self.reasons.push(fact.reason(words::HANG_UNKNOWN));
                Action::Unknown {
                    rule: "exclude_list_no_match",
                    per_device: false,
                }
            }
            _ => {
                self.reasons.push(words::touch_is_enough(
                    facts,
                    self.need == Need::Discouraged,
                ));
                Action::NotRequired
            }
        }
    }

    /// A method is configured: built-in first, then the PIN (CTAP 2.3 §6.1.1 and §6.2.1).
    fn verify(&mut self) -> Action {
        let key = self.facts.key;
        if key.built_in_ready() {
            self.reasons.push(words::key_built_in());
            return Action::ByBuiltInUv {
                pin_fallback: key.pin_ready() && !key.pin_blocked,
            };
        }
        self.reasons.push(words::key_pin_set());
        let rules = &self.platform.rules;
        // A platform that does not look goes on as if the PIN could be right.
        let in_vain = key.pin_blocked && rules.pin_blocked.value == PinBlocked::Ask;
        if key.pin_blocked && !in_vain {
            return self.blocked();
        }
        let entry = if key.force_pin_change {
            let fact = &rules.forced_pin_change;
            self.reasons.push(words::key_force_change());
            self.reasons
                .push(fact.reason(words::force_change(fact.value)));
            match fact.value {
                ForcedPinChange::PinThenChange => PinEntry::EnterThenChange,
                ForcedPinChange::Change => PinEntry::Change,
                ForcedPinChange::ChangeThenPinTwice => PinEntry::ChangeThenEnterTwice,
                ForcedPinChange::FailAfterPin => PinEntry::EnterInVain,
                ForcedPinChange::Unknown => {
                    return Action::Unknown {
                        rule: "forced_pin_change",
                        per_device: false,
                    };
                }
            }
        } else {
            PinEntry::Enter
        };
        let touch_first = rules.touch_before_pin.value.is_yes();
        match self.enrol() {
            Ok(_) if in_vain => self.blocked(),
            Ok(enrol) => Action::ByPin {
                entry,
                touch_first,
                enrol,
            },
            Err(unknown) => unknown,
        }
    }

    /// Whether a finger is enrolled after the PIN.
    fn enrol(&mut self) -> Result<bool, Action> {
        let key = &self.facts.key;
        if key.bio_enroll != Some(false) || self.facts.ceremony == Ceremony::Get {
            return Ok(false);
        }
        let fact = &self.platform.rules.fingerprint_enrolment;
        match fact.value {
            FingerprintEnrolment::Never => Ok(false),
            FingerprintEnrolment::InCreate => {
                self.reasons.push(fact.reason(words::ENROL));
                Ok(true)
            }
            FingerprintEnrolment::Unknown => {
                self.reasons.push(fact.reason(words::ENROL_UNKNOWN));
                Err(Action::Unknown {
                    rule: "fingerprint_enrolment",
                    per_device: false,
                })
            }
        }
    }

    fn blocked(&mut self) -> Action {
        self.reasons.push(words::key_pin_blocked());
        let fact = &self.platform.rules.pin_blocked;
        let touch_first = self.platform.rules.touch_before_pin.value.is_yes();
        let refuse = Action::Unsatisfiable {
            why: Unsatisfiable::PinBlocked,
            touch_first,
        };
        match fact.value {
            PinBlocked::Refuse => {
                self.reasons.push(fact.reason(words::BLOCKED_REFUSED));
                refuse
            }
            PinBlocked::ProceedUnlessNeeded => {
                if self.need == Need::Required || key_insists(self.facts, self.discoverable) {
                    self.reasons.push(fact.reason(words::BLOCKED_REFUSED));
                    return refuse;
                }
                self.reasons.push(fact.reason(words::BLOCKED_PROCEED));
                self.touch_only()
            }
            PinBlocked::Ask => {
                self.reasons.push(fact.reason(words::BLOCKED_ASKED));
                Action::ByPin {
                    entry: PinEntry::EnterInVain,
                    touch_first,
                    enrol: false,
                }
            }
            PinBlocked::Unknown => {
                self.reasons.push(fact.reason(words::BLOCKED_UNKNOWN));
                Action::Unknown {
                    rule: "pin_blocked",
                    per_device: false,
                }
            }
        }
    }

    /// The key could verify its user by a PIN, but has none.
    fn no_pin(&mut self) -> Action {
        let rules = &self.platform.rules;
        self.reasons.push(words::key_no_pin(&self.facts.key));
        let (preferred, required, always) = match self.facts.ceremony {
            Ceremony::Create => (
                &rules.create_preferred_no_pin,
                &rules.create_required_no_pin,
                &rules.create_always_uv_no_pin,
            ),
            Ceremony::Get => (
                &rules.get_preferred_no_pin,
                &rules.get_required_no_pin,
                &rules.get_always_uv_no_pin,
            ),
        };
        if self.facts.key.always_uv {
            match always.value {
                AlwaysUvNoPin::AsAsked => {}
                AlwaysUvNoPin::AsRequired => {
                    self.need = Need::Required;
                    self.reasons
                        .push(always.reason(words::ALWAYS_UV_AS_REQUIRED));
                }
                AlwaysUvNoPin::Fail => {
                    self.reasons.push(always.reason(words::ALWAYS_UV_FAILS));
                    return self.not_set_up(false);
                }
                AlwaysUvNoPin::Unknown => {
                    // A PIN that the site's own wish sets up anyway needs no rule about alwaysUv.
                    let own = match self.facts.user_verification {
                        UserVerificationRequirement::Required => Some(required),
                        UserVerificationRequirement::Preferred => Some(preferred),
                        UserVerificationRequirement::Discouraged => None,
                    };
                    if let Some(own) = own.filter(|own| own.value == NoPin::Provision) {
                        return self.no_pin_rule(own);
                    }
                    self.reasons.push(always.reason(words::ALWAYS_UV_UNKNOWN));
                    let rule = words::always_rule(self.facts);
                    return Action::Unknown {
                        rule,
                        per_device: false,
                    };
                }
            }
        }
        if self.need == Need::Required {
            return self.no_pin_rule(required);
        }
        if self.provision_for_prf {
            return self.provision(false, false);
        }
        self.no_pin_rule(preferred)
    }

    fn no_pin_rule(&mut self, fact: &Fact<NoPin>) -> Action {
        let value = match fact.value {
            NoPin::ByPolicy => {
                let setup = self.by_policy();
                self.reasons.push(words::by_policy(
                    setup,
                    self.facts.policy.never_provision,
                    fact,
                ));
                match setup {
                    PinSetup::Proceed => NoPin::Proceed,
                    PinSetup::Offer => NoPin::Offer,
                    PinSetup::Provision => NoPin::Provision,
                    PinSetup::Fail => NoPin::TouchThenFail,
                }
            }
            value => {
                self.reasons
                    .push(fact.reason(words::no_pin(value, self.need == Need::Required)));
                value
            }
        };
        match value {
            NoPin::Proceed => self.proceed_without_pin(),
            NoPin::Offer => self.provision(self.need != Need::Required, false),
            NoPin::Provision | NoPin::ByPolicy => self.provision(false, false),
            NoPin::TouchThenProvision => self.provision(false, true),
            NoPin::TouchThenFail => self.not_set_up(true),
            NoPin::Fail => self.not_set_up(false),
            NoPin::PerDevice => Action::Unknown {
                rule: words::no_pin_rule(self.facts, self.need == Need::Required),
                per_device: true,
            },
            NoPin::Unknown => Action::Unknown {
                rule: words::no_pin_rule(self.facts, self.need == Need::Required),
                per_device: false,
            },
        }
    }

    /// Going on without a PIN: an alwaysUv key refuses that.
    fn proceed_without_pin(&mut self) -> Action {
        if key_insists(self.facts, self.discoverable) {
            self.reasons
                .push(words::key_insists(self.facts, self.discoverable));
            return self.refused();
        }
        // The platform knows that it goes on without: the flag cannot be asked of the answer.
        self.need = Need::Preferred;
        self.touch_only()
    }

    fn by_policy(&self) -> PinSetup {
        let policy = &self.facts.policy;
        let required = self.need == Need::Required;
        let setup = match (self.facts.ceremony, required) {
            (Ceremony::Create, false) => policy.create_preferred_no_pin,
            (Ceremony::Create, true) => policy.create_required_no_pin,
            (Ceremony::Get, false) => policy.get_preferred_no_pin,
            (Ceremony::Get, true) => policy.get_required_no_pin,
        };
        match setup {
            PinSetup::Offer | PinSetup::Provision if policy.never_provision && required => {
                PinSetup::Fail
            }
            PinSetup::Offer | PinSetup::Provision if policy.never_provision => PinSetup::Proceed,
            PinSetup::Proceed if required => PinSetup::Fail,
            setup => setup,
        }
    }

    fn provision(&mut self, optional: bool, touch_first: bool) -> Action {
        let asked_again = self.platform.rules.new_pin_asked_again.value.is_yes();
        match self.enrol() {
            Ok(enrol) => Action::ProvisionPin {
                optional,
                touch_first,
                asked_again,
                enrol,
            },
            Err(unknown) => unknown,
        }
    }

    fn not_set_up(&mut self, touch_first: bool) -> Action {
        Action::Unsatisfiable {
            why: Unsatisfiable::NotSetUp,
            touch_first,
        }
    }

    /// `required` on a key without any means.
    fn no_means(&mut self) -> Action {
        self.reasons.push(words::key_cannot_verify(&self.facts.key));
        let fact = &self.platform.rules.cannot_verify;
        self.reasons
            .push(fact.reason(words::cannot_verify(fact.value)));
        let why = Unsatisfiable::NoMeans;
        match fact.value {
            CannotVerify::TouchThenFail => Action::Unsatisfiable {
                why,
                touch_first: true,
            },
            CannotVerify::Fail => Action::Unsatisfiable {
                why,
                touch_first: false,
            },
            CannotVerify::Proceed => self.proceed_without_pin(),
            CannotVerify::Unknown => Action::Unknown {
                rule: "cannot_verify",
                per_device: false,
            },
        }
    }

    /// CTAP1/U2F knows no verification at all.
    fn u2f_only(&mut self) -> Action {
        if self.need == Need::Required {
            return match self.no_means() {
                Action::NotRequired => Action::U2f,
                action => action,
            };
        }
        self.reasons.push(words::key_u2f_only());
        Action::U2f
    }
}
