//! The whole domain of the disposition, with what must hold in every cell of every platform.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashSet;

use client::policy::{HostPolicy, PinSetup};
use client::profile::PlatformProfile;
use client::report::{Ended, Party, Step};
use client::rules::{NoPin, PinBlocked, Protocol};
use client::uv::{
    Action, Ceremony, CredentialList, Disposition, Expected, Facts, Quirk, disposition, domain,
    table,
};
use webauthn::options::UserVerificationRequirement as Uv;

fn every_cell(mut check: impl FnMut(&Facts, &PlatformProfile, &Disposition, &Expected)) {
    for platform in client::profile::all() {
        for facts in domain() {
            let decided = disposition(&facts, &platform);
            let expected = decided.expected(&facts, &platform);
            check(&facts, &platform, &decided, &expected);
        }
    }
}

fn own_cells(mut check: impl FnMut(&Facts, &PlatformProfile, &Disposition, &Expected)) {
    every_cell(|facts, platform, decided, expected| {
        if platform.id == "pinward" || platform.id == "webauthn-l3" {
            check(facts, platform, decided, expected);
        }
    });
}

#[test]
fn the_domain_has_no_cell_twice_and_its_stated_size() {
    let all = domain();
    assert_eq!(all.len(), 36 * 88);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    // Also as text: a table row names its cell.
    assert_eq!(
        all.iter().map(Facts::columns).collect::<HashSet<_>>().len(),
        all.len()
    );
}

#[test]
fn an_always_uv_key_never_ends_well_without_verification() {
    every_cell(|facts, platform, _, expected| {
        if facts.key.always_uv && expected.ended == Ended::Ok {
            assert_eq!(
                expected.uv,
                Some(true),
                "{}: {}",
                platform.id,
                facts.columns()
            );
        }
    });
}

#[test]
fn required_never_ends_well_without_verification_except_by_a_rule_that_says_so() {
    every_cell(|facts, platform, _, expected| {
        if facts.user_verification == Uv::Required && expected.uv == Some(false) {
            let rules = &platform.rules;
            let by_rule = rules.get_required_no_pin.value == NoPin::Proceed
                || rules.create_required_no_pin.value == NoPin::Proceed;
            assert!(by_rule, "{}: {}", platform.id, facts.columns());
        }
    });
}

#[test]
fn a_key_that_insists_is_never_satisfied_by_a_touch_alone() {
    every_cell(|facts, platform, decided, expected| {
        let insists = facts.ceremony == Ceremony::Create
            && facts.key.client_pin == Some(true)
            && !facts.key.make_cred_uv_not_rqd
            && facts.key.ctap2;
        if insists && expected.uv == Some(false) {
            // U2F messages know no PIN: that is the one way round it.
            assert_eq!(
                decided.action,
                Action::U2f,
                "{}: {}",
                platform.id,
                facts.columns()
            );
        }
    });
}

#[test]
fn a_pin_is_asked_only_of_keys_that_have_one_and_created_only_on_keys_that_have_none() {
    every_cell(|facts, platform, decided, expected| {
        let at = format!("{}: {}", platform.id, facts.columns());
        match decided.action {
            Action::ByPin { .. } => assert_eq!(facts.key.client_pin, Some(true), "{at}"),
            Action::ProvisionPin { .. } => assert_eq!(facts.key.client_pin, Some(false), "{at}"),
            Action::ByBuiltInUv { .. } | Action::KeyVerifies => {
                assert_eq!(facts.key.uv, Some(true), "{at}")
            }
            _ => {}
        }
        if expected.steps.contains(&Step::ChangePin) {
            assert!(facts.key.force_pin_change, "{at}");
        }
        if expected.steps.contains(&Step::EnrollFingerprint) {
            assert_eq!(facts.key.bio_enroll, Some(false), "{at}");
        }
    });
}

#[test]
fn our_own_platforms_never_ask_for_the_pin_of_a_blocked_key() {
    own_cells(|facts, platform, _, expected| {
        if facts.key.pin_blocked {
            let asks = [Step::EnterPin, Step::ChangePin, Step::CreatePin];
            assert!(
                !expected.steps.iter().any(|step| asks.contains(step)),
                "{}: {}",
                platform.id,
                facts.columns()
            );
        }
    });
}

#[test]
fn our_own_platforms_never_loop_hang_or_fall_silent() {
    own_cells(|facts, platform, decided, expected| {
        assert!(
            matches!(expected.ended, Ended::Ok | Ended::Error),
            "{}: {} {:?}",
            platform.id,
            facts.columns(),
            decided.action
        );
        if decided.action == Action::U2f {
            assert!(!facts.key.ctap2, "{}: {}", platform.id, facts.columns());
        }
    });
}

#[test]
fn our_own_platforms_fail_preferred_and_discouraged_only_for_the_lists_or_a_blocked_key() {
    own_cells(|facts, platform, _, expected| {
        let by_list = facts.list != CredentialList::Empty;
        let no_rk = !facts.key.rk;
        if facts.user_verification != Uv::Required && expected.ended == Ended::Error {
            assert!(
                by_list || no_rk || facts.key.pin_blocked,
                "{}: {}",
                platform.id,
                facts.columns()
            );
        }
    });
}

#[test]
fn required_on_our_own_platforms_ends_with_the_flag_or_an_error() {
    own_cells(|facts, platform, decided, expected| {
        if facts.user_verification == Uv::Required {
            assert!(
                expected.uv != Some(false),
                "{}: {}",
                platform.id,
                facts.columns()
            );
            assert!(decided.required || expected.ended == Ended::Error);
        }
    });
}

#[test]
fn discouraged_on_our_own_platforms_asks_for_a_pin_only_when_the_key_insists() {
    own_cells(|facts, platform, decided, _| {
        let asks = matches!(
            decided.action,
            Action::ByPin { .. } | Action::ProvisionPin { .. }
        );
        if facts.user_verification == Uv::Discouraged && asks {
            let by_key = decided.reasons.iter().any(|r| {
                r.who == Party::Key && (r.fact.contains("alwaysUv") || r.fact.contains("protected"))
            });
            assert!(by_key || facts.prf, "{}: {}", platform.id, facts.columns());
        }
    });
}

#[test]
fn every_decision_explains_itself_from_the_site_to_the_end() {
    every_cell(|facts, platform, decided, _| {
        let at = format!("{}: {}", platform.id, facts.columns());
        assert!(decided.reasons.len() >= 2, "{at}");
        assert_eq!(decided.reasons[0].who, Party::Site, "{at}");
        for reason in &decided.reasons {
            assert!(reason.fact.ends_with(['.', ')']), "{at}: {}", reason.fact);
            assert!(!reason.reference.is_empty(), "{at}");
        }
        if let Action::Unknown { rule, .. } = decided.action {
            assert!(
                platform.rules.rows().iter().any(|row| row.name == rule),
                "{at}: {rule}"
            );
        }
    });
}

#[test]
fn what_is_not_known_is_not_told_as_if_it_were() {
    every_cell(|facts, platform, decided, _| {
        if let Action::Unknown { .. } = decided.action {
            let last = decided.reasons.last().unwrap();
            assert!(
                last.fact.contains("not known") || last.fact.contains("differs from PC to PC"),
                "{}: {}: {}",
                platform.id,
                facts.columns(),
                last.fact
            );
            assert!(
                !decided
                    .reasons
                    .iter()
                    .any(|r| r.fact.contains("Nothing calls for")),
                "{}: {}",
                platform.id,
                facts.columns()
            );
        }
    });
}

#[test]
fn a_reason_never_stands_twice_in_one_chain() {
    every_cell(|facts, platform, decided, _| {
        let facts_told: HashSet<_> = decided.reasons.iter().map(|r| &r.fact).collect();
        assert_eq!(
            facts_told.len(),
            decided.reasons.len(),
            "{}: {} {:#?}",
            platform.id,
            facts.columns(),
            decided.reasons
        );
    });
}

#[test]
fn a_profile_without_unknown_rules_decides_every_cell() {
    for platform in client::profile::all() {
        let known = platform
            .rules
            .rows()
            .iter()
            .all(|row| row.value != "unknown" && row.value != "per-device");
        let unknown = domain()
            .iter()
            .filter(|facts| matches!(disposition(facts, &platform).action, Action::Unknown { .. }))
            .count();
        if known {
            assert_eq!(unknown, 0, "{}", platform.id);
        }
    }
    // The platforms whose source is known decide everything but what depends on a few facts.
    let chromium = client::profile::find("chromium-linux").unwrap();
    assert!(
        chromium
            .rules
            .rows()
            .iter()
            .all(|row| row.value != "unknown")
    );
}

#[test]
fn loops_and_hangs_come_only_from_the_rules_that_describe_them() {
    every_cell(|facts, platform, decided, expected| {
        if let Action::Quirk(quirk) = decided.action {
            let loops = ["windows-10-22h2", "windows-11-21h2", "windows-11-22h2-home"];
            let at = format!("{}: {}", platform.id, facts.columns());
            match quirk {
                Quirk::PinLoop => assert_eq!(platform.id, "webkit", "{at}"),
                Quirk::TouchPinLoop => assert!(loops.contains(&platform.id.as_str()), "{at}"),
                Quirk::HangAfterTouch => {
                    assert_eq!(platform.id, "windows-11-after-kb5068861", "{at}");
                }
            }
            assert!(matches!(expected.ended, Ended::Loop | Ended::Hang), "{at}");
        }
    });
}

#[test]
fn a_blocked_key_is_unknown_wherever_nobody_has_looked() {
    every_cell(|facts, platform, decided, _| {
        let nobody = platform.rules.pin_blocked.value == PinBlocked::Unknown;
        // A platform that speaks only U2F never sees the PIN.
        let sees = platform.rules.protocol.value != Protocol::U2fOnly;
        let plain = facts.key.ctap2 && !facts.prf && sees;
        if nobody && facts.key.pin_blocked && plain {
            assert!(
                matches!(decided.action, Action::Unknown { .. }),
                "{}: {}",
                platform.id,
                facts.columns()
            );
        }
    });
}

#[test]
fn the_updates_of_windows_change_signing_in_without_a_pin() {
    let before = client::profile::find("windows-11-before-kb5065789").unwrap();
    let after = client::profile::find("windows-11-after-kb5068861").unwrap();
    let mut gained = 0;
    for facts in domain() {
        let (was, is) = (disposition(&facts, &before), disposition(&facts, &after));
        let provisions = |d: &Disposition| matches!(d.action, Action::ProvisionPin { .. });
        if provisions(&is) && !provisions(&was) {
            assert_eq!(facts.key.client_pin, Some(false), "{}", facts.columns());
            // Registering without a PIN had one created before, but for what nobody looked at.
            assert!(
                facts.ceremony == Ceremony::Get || matches!(was.action, Action::Unknown { .. }),
                "{}",
                facts.columns()
            );
            gained += 1;
        }
    }
    assert!(gained > 0);
}

#[test]
fn the_policy_of_the_host_decides_where_the_text_leaves_it() {
    let platform = client::profile::find("webauthn-l3").unwrap();
    let mut facts = domain()
        .into_iter()
        .find(|f| {
            f.ceremony == Ceremony::Get
                && f.user_verification == Uv::Preferred
                && f.list == CredentialList::Match
                && f.key.client_pin == Some(false)
                && f.key.uv.is_none()
        })
        .unwrap();
    let action = |setup: PinSetup, never: bool, facts: &mut Facts| {
        facts.policy = HostPolicy {
            get_preferred_no_pin: setup,
            never_provision: never,
            ..HostPolicy::default()
        };
        disposition(facts, &platform).action
    };
    assert_eq!(
        action(PinSetup::Proceed, false, &mut facts),
        Action::NotRequired
    );
    assert!(matches!(
        action(PinSetup::Offer, false, &mut facts),
        Action::ProvisionPin { optional: true, .. }
    ));
    assert!(matches!(
        action(PinSetup::Provision, false, &mut facts),
        Action::ProvisionPin {
            optional: false,
            ..
        }
    ));
    assert!(matches!(
        action(PinSetup::Fail, false, &mut facts),
        Action::Unsatisfiable { .. }
    ));
    // A kiosk never has PINs created, whatever else its policy says.
    assert_eq!(
        action(PinSetup::Provision, true, &mut facts),
        Action::NotRequired
    );
}

#[test]
fn a_kiosk_fails_required_rather_than_creating_a_pin() {
    let platform = client::profile::find("pinward").unwrap();
    for mut facts in domain() {
        facts.policy.never_provision = true;
        let decided = disposition(&facts, &platform);
        assert!(
            !matches!(decided.action, Action::ProvisionPin { .. }),
            "{}",
            facts.columns()
        );
    }
}

#[test]
fn tables_have_one_row_a_cell_and_as_many_columns_as_their_head() {
    for platform in client::profile::all() {
        let text = table(&platform);
        let mut lines = text.lines();
        let columns = lines.next().unwrap().split('\t').count();
        let mut rows = 0;
        for line in lines {
            assert_eq!(line.split('\t').count(), columns, "{line}");
            rows += 1;
        }
        assert_eq!(rows, domain().len());
    }
}
