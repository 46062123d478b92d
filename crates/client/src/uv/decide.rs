//! The decision, first half: what is needed, and what a request without verification comes to.

mod method;

use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement};

use super::words;
use super::{Action, Ceremony, CredentialList, Disposition, Facts, Quirk, Unsatisfiable};
use crate::profile::PlatformProfile;
use crate::report::Reason;
use crate::rules::{
    AlwaysUv, CannotVerify, DiscoverableMeans, ExcludeListNoMatch, KeyInsists, MakeCredUvNotRqd,
    PinBlocked, PrfMeans, Protocol, PuatRequired,
};

/// Whether the key itself refuses the request without verification.
///
/// CTAP 2.3 §6.1.2 steps on alwaysUv and makeCredUvNotRqd, §6.2.2 step on alwaysUv; a 2.0 key
/// refuses makeCredential without a token once a PIN is set (CTAP 2.0 §5.1). Whether it also does for
/// built-in verification alone, the older text does not say: it is taken as the newer one has it.
pub(crate) fn key_insists(facts: &Facts, discoverable: bool) -> bool {
    let key = &facts.key;
    if key.always_uv {
        return key.ctap2;
    }
    let protected = key.client_pin == Some(true) || key.built_in_ready();
    match facts.ceremony {
        Ceremony::Get => false,
        Ceremony::Create => protected && (discoverable || !key.make_cred_uv_not_rqd),
    }
}

/// What is needed, after all rules that raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    Discouraged,
    Preferred,
    Required,
}

pub(super) struct Decision<'a> {
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
    pub(super) fn new(
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

    pub(super) fn decide(mut self) -> Disposition {
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
        if let Some(unknown) = self.protocol() {
            return unknown;
        }
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
            return self.use_method();
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

    /// A platform that speaks only U2F sees no more of a key than that.
    fn protocol(&mut self) -> Option<Action> {
        let fact = &self.platform.rules.protocol;
        if fact.value != Protocol::U2fOnly {
            return None;
        }
        self.reasons.push(fact.reason(words::SPEAKS_U2F));
        if !self.facts.key.ctap2 {
            return None;
        }
        self.reasons.push(fact.reason(words::U2F_NOT_SPOKEN));
        Some(Action::Unknown {
            rule: "protocol",
            per_device: false,
        })
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
                    self.reasons.push(words::key_cannot_keep(&facts.key));
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
    pub(super) fn without_asking(&mut self) -> Action {
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
            // Where nobody knows what becomes of a sensor, what is known of the PIN stands.
            let built_in = &rules.create_key_insists_built_in;
            let has_pin = key.client_pin == Some(true);
            let fact =
                if key.built_in_ready() && !(has_pin && built_in.value == KeyInsists::Unknown) {
                    built_in
                } else {
                    &rules.create_key_insists
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
        if key.always_uv && key.built_in_ready() {
            // §6.1.2 step 6.3, §6.2.2 step 5.4: the request counts as if it asked for verification.
            self.reasons.push(words::key_verifies_itself());
            return Action::KeyVerifies;
        }
        let usable = key.built_in_ready() || key.pin_ready();
        let fact = &self.platform.rules.puat_required;
        let loops = match fact.value {
            PuatRequired::PinLoop => Some(Quirk::PinLoop),
            PuatRequired::TouchPinLoop => Some(Quirk::TouchPinLoop),
            PuatRequired::Escalate | PuatRequired::Fail | PuatRequired::Unknown => None,
        };
        if loops.is_some() && !key.pin_ready() {
            // The loops were seen with a PIN; without one nobody has looked.
            self.reasons.push(fact.reason(words::NO_PIN_TO_LOOP_WITH));
            let rule = if key.always_uv {
                words::always_rule(self.facts)
            } else {
                "puat_required"
            };
            return Action::Unknown {
                rule,
                per_device: false,
            };
        }
        self.reasons
            .push(fact.reason(words::puat_required(fact.value)));
        match (fact.value, loops) {
            (_, Some(quirk)) => self.in_a_loop(quirk),
            (PuatRequired::Escalate, _) if usable => self.verify(),
            (PuatRequired::Unknown, _) => Action::Unknown {
                rule: "puat_required",
                per_device: false,
            },
            _ => Action::Unsatisfiable {
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
}
