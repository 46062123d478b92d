//! The user-verification gate: CTAP 2.3 §6.1.2 (authenticatorMakeCredential) and §6.2.2
//! (authenticatorGetAssertion), the steps that decide whether the user must be verified, and how.
//!
//! A pure function from plain data to a value: no clock, store, cryptography or person in sight.
//! Read it beside the text; the steps are named where they are answered. The whole domain is small
//! ([`domain`]), so a table of it can be written out and every cell checked.

use ctap::Status;

/// The command that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ceremony {
    /// authenticatorMakeCredential.
    MakeCredential,
    /// authenticatorGetAssertion.
    GetAssertion,
}

/// The `pinUvAuthParam` of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PinUvAuthParam {
    /// Not sent.
    Absent,
    /// Sent with no bytes: the old way to ask for a touch.
    Empty,
    /// Sent.
    Present,
}

/// What the decision depends on: the request and the option state of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The command.
    pub ceremony: Ceremony,
    /// The request's `rk` option (makeCredential; absent is false).
    pub rk: bool,
    /// The request's `up` option (absent is true).
    pub up: bool,
    /// The request's `uv` option (absent is false).
    pub uv: bool,
    /// The request's `pinUvAuthParam`.
    pub pin_uv_auth_param: PinUvAuthParam,
    /// getInfo's `clientPin`: `None` not supported, `Some(false)` no PIN set.
    pub client_pin: Option<bool>,
    /// getInfo's `uv`: `None` no built-in user verification, `Some(false)` not configured.
    pub built_in_uv: Option<bool>,
    /// getInfo's `alwaysUv`.
    pub always_uv: bool,
    /// getInfo's `makeCredUvNotRqd`, before alwaysUv is considered.
    pub make_cred_uv_not_rqd: bool,
    /// getInfo's `noMcGaPermissionsWithClientPin`.
    pub no_mc_ga_permissions_with_client_pin: bool,
}

impl Facts {
    /// Whether the key is protected by some form of user verification.
    pub fn is_protected(&self) -> bool {
        self.client_pin == Some(true) || self.built_in_uv == Some(true)
    }

    /// Whether the PIN, set or not, could give a token for this command.
    fn client_pin_serves(&self) -> bool {
        self.client_pin.is_some() && !self.no_mc_ga_permissions_with_client_pin
    }
}

/// What the key does about user verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Go on without.
    Skip,
    /// Verify `pinUvAuthParam` with the token.
    VerifyParam,
    /// Verify the user by the key's own means.
    PerformBuiltInUv,
    /// Wait for a touch, then answer with this status: the request only asks which key is meant.
    TouchThen(Status),
    /// Answer with this status.
    Reject(Status),
}

/// One link of the chain that leads to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The step of the specification.
    pub step: &'static str,
    /// The fact that the step found, in plain words.
    pub fact: &'static str,
}

/// The decision.
pub fn decide(facts: &Facts) -> Decision {
    walk(facts, &mut |_, _| {})
}

/// The decision and the reasons that led to it, first to last.
pub fn explain(facts: &Facts) -> (Decision, Vec<Reason>) {
    let mut reasons = Vec::new();
    let decision = walk(facts, &mut |step, fact| reasons.push(Reason { step, fact }));
    (decision, reasons)
}

type Because<'a> = &'a mut dyn FnMut(&'static str, &'static str);

fn walk(facts: &Facts, because: Because<'_>) -> Decision {
    // Step 1 of both: a pinUvAuthParam without bytes.
    if facts.pin_uv_auth_param == PinUvAuthParam::Empty
        && let Some(decision) = touch_to_select(facts, because)
    {
        return decision;
    }
    match facts.ceremony {
        Ceremony::MakeCredential => make_credential(facts, because),
        Ceremony::GetAssertion => get_assertion(facts, because),
    }
}

fn touch_to_select(facts: &Facts, because: Because<'_>) -> Option<Decision> {
    let step = match facts.ceremony {
        Ceremony::MakeCredential => "CTAP 2.3 §6.1.2 step 1",
        Ceremony::GetAssertion => "CTAP 2.3 §6.2.2 step 1",
    };
    if facts.client_pin.is_none() && facts.built_in_uv.is_none() {
        // The step is for keys that have some means; to the others the parameter says nothing.
        because(
            step,
            "the key has no PIN and no built-in user verification: an empty parameter says nothing",
        );
        return None;
    }
    let status = if facts.client_pin == Some(true) {
        Status::PIN_INVALID
    } else {
        Status::PIN_NOT_SET
    };
    because(step, "an empty pinUvAuthParam asks only for a touch");
    Some(Decision::TouchThen(status))
}

/// Whether a parameter counts that is there and not empty.
fn has_param(facts: &Facts) -> bool {
    facts.pin_uv_auth_param == PinUvAuthParam::Present
}

/// `uv` asks for what the key cannot do; the same words in §6.1.2 step 5.3 and §6.2.2 step 4.3.
fn built_in_uv_missing(facts: &Facts) -> bool {
    facts.built_in_uv != Some(true)
}

/// The end of §6.1.2 steps 6 to 8 and §6.2.2 step 5: the platform must come back with a token, if a
/// PIN can give one.
fn require_token(can: bool, step: &'static str, because: Because<'_>) -> Decision {
    if can {
        because(step, "a PIN can give a token for this command");
        Decision::Reject(Status::PUAT_REQUIRED)
    } else {
        because(step, "no PIN can give a token for this command");
        Decision::Reject(Status::OPERATION_DENIED)
    }
}

fn make_credential(facts: &Facts, because: Because<'_>) -> Decision {
    // Steps 5.1 and 5.2: absent is false; a parameter takes precedence over the option.
    let mut uv = facts.uv && !has_param(facts);
    if facts.uv && has_param(facts) {
        because(
            "CTAP 2.3 §6.1.2 step 5.2",
            "pinUvAuthParam is there, so the uv option counts as false",
        );
    }
    // Step 5.3.
    if uv && built_in_uv_missing(facts) {
        because(
            "CTAP 2.3 §6.1.2 step 5.3",
            "uv is asked for, and built-in user verification is missing or not configured",
        );
        return Decision::Reject(Status::INVALID_OPTION);
    }
    // Step 6.
    let mut make_cred_uv_not_rqd = facts.make_cred_uv_not_rqd;
    if facts.always_uv {
        because("CTAP 2.3 §6.1.2 step 6", "alwaysUv is on");
        make_cred_uv_not_rqd = false;
        if !facts.is_protected() {
            because(
                "CTAP 2.3 §6.1.2 step 6.2",
                "nothing is set up yet to verify the user by",
            );
            return require_token(
                facts.client_pin_serves(),
                "CTAP 2.3 §6.1.2 step 6.2",
                because,
            );
        }
        if !uv && !has_param(facts) {
            if facts.built_in_uv == Some(true) {
                because(
                    "CTAP 2.3 §6.1.2 step 6.3",
                    "built-in user verification is configured: uv counts as asked for",
                );
                uv = true;
            } else {
                return require_token(
                    facts.client_pin_serves(),
                    "CTAP 2.3 §6.1.2 step 6.4",
                    because,
                );
            }
        }
    }
    // Steps 7 and 8.
    if facts.is_protected() && !uv && !has_param(facts) && (!make_cred_uv_not_rqd || facts.rk) {
        let step = if make_cred_uv_not_rqd {
            because(
                "CTAP 2.3 §6.1.2 step 7",
                "the key is protected and the credential is to be discoverable",
            );
            "CTAP 2.3 §6.1.2 step 7"
        } else {
            because(
                "CTAP 2.3 §6.1.2 step 8",
                "the key is protected and makeCredUvNotRqd is not true",
            );
            "CTAP 2.3 §6.1.2 step 8"
        };
        // Here the text asks for a PIN that is set, not for one that could be.
        return require_token(
            facts.client_pin == Some(true) && facts.client_pin_serves(),
            step,
            because,
        );
    }
    // Step 10.
    if !facts.rk && !uv && !has_param(facts) && make_cred_uv_not_rqd {
        because(
            "CTAP 2.3 §6.1.2 step 10",
            "makeCredUvNotRqd allows a non-discoverable credential without user verification",
        );
        return Decision::Skip;
    }
    // Step 11.
    verify(facts, uv, "CTAP 2.3 §6.1.2 step 11", because)
}

fn get_assertion(facts: &Facts, because: Because<'_>) -> Decision {
    // Steps 4.1 and 4.2.
    let mut uv = facts.uv && !has_param(facts);
    if facts.uv && has_param(facts) {
        because(
            "CTAP 2.3 §6.2.2 step 4.2",
            "pinUvAuthParam is there, so the uv option counts as false",
        );
    }
    // Step 4.3.
    if uv && built_in_uv_missing(facts) {
        because(
            "CTAP 2.3 §6.2.2 step 4.3",
            "uv is asked for, and built-in user verification is missing or not configured",
        );
        return Decision::Reject(Status::INVALID_OPTION);
    }
    // Step 5: alwaysUv leaves alone what only looks (up false).
    if facts.always_uv && facts.up {
        because(
            "CTAP 2.3 §6.2.2 step 5",
            "alwaysUv is on and a touch is asked for",
        );
        if !facts.is_protected() {
            because(
                "CTAP 2.3 §6.2.2 step 5.1",
                "nothing is set up yet to verify the user by",
            );
            return require_token(
                facts.client_pin_serves(),
                "CTAP 2.3 §6.2.2 step 5.1",
                because,
            );
        }
        if !uv && !has_param(facts) {
            if facts.built_in_uv == Some(true) {
                because(
                    "CTAP 2.3 §6.2.2 step 5.4",
                    "built-in user verification is configured: uv counts as asked for",
                );
                uv = true;
            } else {
                return require_token(
                    facts.client_pin_serves(),
                    "CTAP 2.3 §6.2.2 step 5.5",
                    because,
                );
            }
        }
    }
    // Step 6.
    verify(facts, uv, "CTAP 2.3 §6.2.2 step 6", because)
}

/// §6.1.2 step 11 and §6.2.2 step 6.
fn verify(facts: &Facts, uv: bool, step: &'static str, because: Because<'_>) -> Decision {
    if has_param(facts) {
        if facts.is_protected() {
            because(step, "pinUvAuthParam is there");
            return Decision::VerifyParam;
        }
        // The text passes over the parameter here. No token can exist, so nothing can have made it:
        // say what is wrong, as CTAP 2.0 §5.1 does for a PIN that is not set.
        because(
            step,
            "pinUvAuthParam is there, but nothing is set up to verify the user by",
        );
        return Decision::Reject(Status::PIN_NOT_SET);
    }
    if uv {
        because(step, "the uv option is true");
        return Decision::PerformBuiltInUv;
    }
    because(
        step,
        if facts.is_protected() {
            "neither pinUvAuthParam nor uv: the request does not ask for user verification"
        } else {
            "nothing is set up to verify the user by, and nothing demands it"
        },
    );
    Decision::Skip
}

/// Every combination of facts that can occur: `rk` varies for makeCredential only, `up` for
/// getAssertion only.
pub fn domain() -> impl Iterator<Item = Facts> {
    const OPTIONS: [Option<bool>; 3] = [None, Some(false), Some(true)];
    const PARAMS: [PinUvAuthParam; 3] = [
        PinUvAuthParam::Absent,
        PinUvAuthParam::Empty,
        PinUvAuthParam::Present,
    ];
    (0..2 * 2 * 2 * 3 * 3 * 3 * 2 * 2 * 2_usize).map(|index| {
        let mut rest = index;
        let mut digit = |base: usize| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let no_mc_ga_permissions_with_client_pin = digit(2) == 1;
        let make_cred_uv_not_rqd = digit(2) == 1;
        let always_uv = digit(2) == 1;
        let built_in_uv = OPTIONS[digit(3)];
        let client_pin = OPTIONS[digit(3)];
        let pin_uv_auth_param = PARAMS[digit(3)];
        let uv = digit(2) == 1;
        let option = digit(2) == 1;
        let ceremony = if digit(2) == 0 {
            Ceremony::MakeCredential
        } else {
            Ceremony::GetAssertion
        };
        Facts {
            ceremony,
            rk: option && ceremony == Ceremony::MakeCredential,
            up: option || ceremony == Ceremony::MakeCredential,
            uv,
            pin_uv_auth_param,
            client_pin,
            built_in_uv,
            always_uv,
            make_cred_uv_not_rqd,
            no_mc_ga_permissions_with_client_pin,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::collections::HashSet;

    use super::*;

    fn facts(ceremony: Ceremony) -> Facts {
        Facts {
            ceremony,
            rk: false,
            up: true,
            uv: false,
            pin_uv_auth_param: PinUvAuthParam::Absent,
            client_pin: Some(false),
            built_in_uv: None,
            always_uv: false,
            make_cred_uv_not_rqd: false,
            no_mc_ga_permissions_with_client_pin: false,
        }
    }

    #[test]
    fn the_domain_is_complete_and_without_repetition() {
        let all: HashSet<_> = domain().collect();
        assert_eq!((domain().count(), all.len()), (1728, 1728));
    }

    #[test]
    fn always_uv_never_skips_what_asks_for_a_touch() {
        for facts in domain().filter(|facts| facts.always_uv && facts.up) {
            assert_ne!(decide(&facts), Decision::Skip, "{facts:?}");
        }
    }

    #[test]
    fn verification_is_only_by_means_that_are_set_up() {
        for facts in domain() {
            match decide(&facts) {
                Decision::VerifyParam => {
                    assert_eq!(
                        facts.pin_uv_auth_param,
                        PinUvAuthParam::Present,
                        "{facts:?}"
                    );
                    assert!(facts.is_protected(), "{facts:?}");
                }
                Decision::PerformBuiltInUv => {
                    assert_eq!(facts.built_in_uv, Some(true), "{facts:?}");
                    assert_ne!(
                        facts.pin_uv_auth_param,
                        PinUvAuthParam::Present,
                        "{facts:?}"
                    );
                    assert!(facts.uv || facts.always_uv, "{facts:?}");
                }
                Decision::Skip => assert_ne!(
                    facts.pin_uv_auth_param,
                    PinUvAuthParam::Present,
                    "{facts:?}"
                ),
                Decision::TouchThen(_) => {
                    assert_eq!(facts.pin_uv_auth_param, PinUvAuthParam::Empty, "{facts:?}")
                }
                Decision::Reject(_) => {}
            }
        }
    }

    #[test]
    fn a_protected_key_makes_nothing_discoverable_without_verification() {
        for facts in domain() {
            let makes = facts.ceremony == Ceremony::MakeCredential && facts.is_protected();
            if makes && (facts.rk || !facts.make_cred_uv_not_rqd) {
                assert_ne!(decide(&facts), Decision::Skip, "{facts:?}");
            }
        }
    }

    #[test]
    fn puat_required_is_said_only_where_a_pin_can_give_a_token() {
        for facts in domain() {
            match decide(&facts) {
                Decision::Reject(Status::PUAT_REQUIRED) => {
                    assert!(
                        facts.client_pin.is_some() && !facts.no_mc_ga_permissions_with_client_pin,
                        "{facts:?}"
                    );
                }
                Decision::Reject(Status::OPERATION_DENIED) => assert!(
                    facts.client_pin != Some(true) || facts.no_mc_ga_permissions_with_client_pin,
                    "{facts:?}"
                ),
                Decision::Reject(status) => {
                    assert!(
                        [Status::INVALID_OPTION, Status::PIN_NOT_SET].contains(&status),
                        "{facts:?}"
                    );
                }
                Decision::TouchThen(status) => {
                    let set = facts.client_pin == Some(true);
                    let expected = if set {
                        Status::PIN_INVALID
                    } else {
                        Status::PIN_NOT_SET
                    };
                    assert_eq!(status, expected, "{facts:?}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_uv_option_does_not_matter_beside_a_parameter() {
        for facts in domain().filter(|facts| facts.pin_uv_auth_param == PinUvAuthParam::Present) {
            assert_eq!(
                decide(&facts),
                decide(&Facts {
                    uv: !facts.uv,
                    ..facts
                }),
                "{facts:?}"
            );
        }
    }

    #[test]
    fn every_decision_has_reasons_and_the_same_value() {
        for facts in domain() {
            let (decision, reasons) = explain(&facts);
            assert_eq!(decision, decide(&facts));
            let section = if facts.ceremony == Ceremony::MakeCredential {
                "§6.1.2"
            } else {
                "§6.2.2"
            };
            assert!(!reasons.is_empty(), "{facts:?}");
            assert!(
                reasons.iter().all(|reason| reason.step.contains(section)),
                "{facts:?}"
            );
        }
    }

    fn check(cells: &[(Facts, Decision, &str)]) {
        for (facts, expected, name) in cells {
            assert_eq!(decide(facts), *expected, "{name}");
        }
    }

    const PUAT: Decision = Decision::Reject(Status::PUAT_REQUIRED);

    #[test]
    fn named_cells_of_make_credential() {
        let mc = facts(Ceremony::MakeCredential);
        let pin = Facts {
            client_pin: Some(true),
            ..mc
        };
        let not_rqd = Facts {
            make_cred_uv_not_rqd: true,
            ..pin
        };
        let empty = PinUvAuthParam::Empty;
        check(&[
            (mc, Decision::Skip, "no PIN"),
            (pin, PUAT, "PIN, no makeCredUvNotRqd"),
            (not_rqd, Decision::Skip, "PIN, makeCredUvNotRqd"),
            (
                Facts {
                    rk: true,
                    ..not_rqd
                },
                PUAT,
                "the same, discoverable",
            ),
            (
                Facts {
                    always_uv: true,
                    ..not_rqd
                },
                PUAT,
                "the same, alwaysUv",
            ),
            (
                Facts {
                    always_uv: true,
                    client_pin: None,
                    ..mc
                },
                Decision::Reject(Status::OPERATION_DENIED),
                "alwaysUv and no means at all",
            ),
            (
                Facts { uv: true, ..mc },
                Decision::Reject(Status::INVALID_OPTION),
                "uv without a sensor",
            ),
            (
                Facts {
                    pin_uv_auth_param: empty,
                    ..mc
                },
                Decision::TouchThen(Status::PIN_NOT_SET),
                "touch to select, no PIN",
            ),
        ]);
    }

    #[test]
    fn named_cells_of_get_assertion() {
        let ga = facts(Ceremony::GetAssertion);
        let pin = Facts {
            client_pin: Some(true),
            ..ga
        };
        let always = Facts {
            always_uv: true,
            ..pin
        };
        let finger = Facts {
            always_uv: true,
            built_in_uv: Some(true),
            ..ga
        };
        let empty = PinUvAuthParam::Empty;
        check(&[
            (ga, Decision::Skip, "no PIN"),
            (pin, Decision::Skip, "PIN, discouraged"),
            (
                Facts {
                    always_uv: true,
                    ..ga
                },
                PUAT,
                "alwaysUv, no PIN",
            ),
            (always, PUAT, "alwaysUv, PIN"),
            (
                Facts {
                    up: false,
                    ..always
                },
                Decision::Skip,
                "pre-flight",
            ),
            (finger, Decision::PerformBuiltInUv, "alwaysUv, a finger"),
            (
                Facts {
                    pin_uv_auth_param: empty,
                    ..pin
                },
                Decision::TouchThen(Status::PIN_INVALID),
                "touch to select, PIN",
            ),
        ]);
    }
}
