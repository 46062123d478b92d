//! The decision, second half: by which method the user is verified, or why not.

use webauthn::options::UserVerificationRequirement;

use super::{Decision, Need, key_insists};
use crate::policy::PinSetup;
use crate::rules::{
    AlwaysUvNoPin, CannotVerify, Fact, FingerprintEnrolment, ForcedPinChange, NoPin, PinBlocked,
    PreferredReady,
};
use crate::uv::words;
use crate::uv::{Action, Ceremony, PinEntry, Unsatisfiable};

impl Decision<'_> {
    /// A method is set up, and the site prefers or requires verification.
    pub(super) fn use_method(&mut self) -> Action {
        let fact = &self.platform.rules.preferred_ready;
        match fact.value {
            PreferredReady::AsDiscouraged if self.need == Need::Preferred => {
                self.reasons.push(fact.reason(words::READY_IGNORED));
                self.need = Need::Discouraged;
                self.without_asking()
            }
            PreferredReady::Unknown if self.need == Need::Preferred => {
                self.reasons.push(fact.reason(words::READY_UNKNOWN));
                Action::Unknown {
                    rule: "preferred_ready",
                    per_device: false,
                }
            }
            _ => self.verify(),
        }
    }

    /// A method is configured: built-in first, then the PIN (CTAP 2.3 §6.1.1 and §6.2.1).
    pub(super) fn verify(&mut self) -> Action {
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

    pub(super) fn blocked(&mut self) -> Action {
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
    pub(super) fn no_pin(&mut self) -> Action {
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
        policy.effective(setup, required)
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
    pub(super) fn no_means(&mut self) -> Action {
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
    pub(super) fn u2f_only(&mut self) -> Action {
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
