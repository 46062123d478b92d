//! Rules that no shipped platform shows in full: each by itself, on a profile that differs in nothing else.
#![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise

use client::profile::{PlatformProfile, find, shipped};
use client::report::{Certainty, Ended, Party, Step};
use client::uv::{Action, Ceremony, CredentialList, Facts, KeyFacts, disposition};
use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement as Uv};

/// Our own platform with one rule changed.
fn with(rule: &str, value: &str) -> PlatformProfile {
    let (_, text) = shipped().iter().find(|(id, _)| *id == "pinward").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{rule} = ")))
        .unwrap();
    let changed =
        format!("{rule} = {{ value = \"{value}\", certainty = \"report\", source = \"own\" }}");
    PlatformProfile::from_toml(&text.replacen(line, &changed, 1)).unwrap()
}

fn key_with_pin() -> KeyFacts {
    KeyFacts {
        ctap2: true,
        rk: true,
        client_pin: Some(true),
        pin_uv_auth_token: true,
        ..KeyFacts::u2f_only()
    }
}

fn facts(ceremony: Ceremony, user_verification: Uv) -> Facts {
    Facts {
        ceremony,
        user_verification,
        resident_key: ResidentKeyRequirement::Discouraged,
        list: match ceremony {
            Ceremony::Create => CredentialList::Empty,
            Ceremony::Get => CredentialList::Match,
        },
        prf: false,
        key: key_with_pin(),
        policy: client::policy::HostPolicy::default(),
    }
}

#[test]
fn a_platform_may_not_ask_for_what_is_only_preferred() {
    let platform = with("preferred_ready", "as-discouraged");
    let action = |facts: &Facts| disposition(facts, &platform).action;
    assert_eq!(
        action(&facts(Ceremony::Get, Uv::Preferred)),
        Action::NotRequired
    );
    assert!(matches!(
        action(&facts(Ceremony::Get, Uv::Required)),
        Action::ByPin { .. }
    ));
    // The key insists on its PIN for registering, and the platform heeds that.
    assert!(matches!(
        action(&facts(Ceremony::Create, Uv::Preferred)),
        Action::ByPin { .. }
    ));
    let mut spared = facts(Ceremony::Create, Uv::Preferred);
    spared.key.make_cred_uv_not_rqd = true;
    assert_eq!(action(&spared), Action::NotRequired);
}

#[test]
fn whether_it_asks_for_what_is_only_preferred_may_be_unknown() {
    let platform = with("preferred_ready", "unknown");
    let decided = disposition(&facts(Ceremony::Get, Uv::Preferred), &platform);
    assert_eq!(decided.action.text(), "unknown:preferred_ready");
    assert!(!decided.required);
    for known in [Uv::Required, Uv::Discouraged] {
        let decided = disposition(&facts(Ceremony::Get, known), &platform);
        assert!(!decided.action.text().starts_with("unknown"), "{known:?}");
    }
}

#[test]
fn android_over_nfc_knew_no_pin_before_and_asks_for_it_since() {
    let before = find("android-before-26-03").unwrap();
    let since = find("android-after-26-03").unwrap();
    for uv in [Uv::Preferred, Uv::Discouraged] {
        for ceremony in [Ceremony::Create, Ceremony::Get] {
            let facts = facts(ceremony, uv);
            let decided = disposition(&facts, &before);
            assert_eq!(decided.action, Action::U2f);
            let reason = decided
                .reasons
                .iter()
                .find(|reason| reason.who == Party::Platform);
            assert_eq!(reason.unwrap().certainty, Certainty::Report);
            let expected = decided.expected(&facts, &before);
            assert_eq!(expected.steps, [Step::U2f, Step::Touch]);
            assert_eq!((expected.uv, expected.ended), (Some(false), Ended::Ok));
        }
    }
    let required = facts(Ceremony::Get, Uv::Required);
    // How it fails, nobody has said.
    assert_eq!(
        disposition(&required, &before).action.text(),
        "unknown:cannot_verify"
    );
    assert!(matches!(
        disposition(&required, &since).action,
        Action::ByPin { .. }
    ));
    // A key that does not know U2F either: nobody has looked.
    let mut modern = facts(Ceremony::Get, Uv::Discouraged);
    modern.key.u2f_v2 = false;
    assert_eq!(
        disposition(&modern, &before).action.text(),
        "unknown:protocol"
    );
}
