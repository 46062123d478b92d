//! The cells that tell platforms apart, each with its mark, against the pure decision.
//!
//! Marks: M measured, C source, V vendor, R report, ? unknown. A cell that nobody knows must come
//! out as unknown, not as a guess; a cell with a value and the mark ? is an expectation.
#![allow(clippy::unwrap_used, clippy::panic)]

use client::policy::HostPolicy;
use client::report::Certainty;
use client::uv::{Ceremony, CredentialList, Facts, KeyFacts, disposition};
use webauthn::options::{ResidentKeyRequirement as Rk, UserVerificationRequirement as Uv};

const KEY: KeyFacts = KeyFacts {
    ctap2: true,
    u2f_v2: false,
    rk: true,
    client_pin: Some(false),
    uv: None,
    bio_enroll: None,
    pin_uv_auth_token: true,
    no_mc_ga_permissions_with_client_pin: false,
    always_uv: false,
    make_cred_uv_not_rqd: true,
    force_pin_change: false,
    pin_blocked: false,
    hmac_secret: true,
};
const PIN: KeyFacts = KeyFacts {
    client_pin: Some(true),
    ..KEY
};
const PIN_NO_MUV: KeyFacts = KeyFacts {
    make_cred_uv_not_rqd: false,
    ..PIN
};
const PIN_NO_MUV_U2F: KeyFacts = KeyFacts {
    u2f_v2: true,
    ..PIN_NO_MUV
};
const ALWAYS: KeyFacts = KeyFacts {
    always_uv: true,
    make_cred_uv_not_rqd: false,
    ..KEY
};
const ALWAYS_PIN: KeyFacts = KeyFacts {
    client_pin: Some(true),
    ..ALWAYS
};
const FORCED: KeyFacts = KeyFacts {
    force_pin_change: true,
    ..PIN
};
const BLOCKED: KeyFacts = KeyFacts {
    pin_blocked: true,
    ..PIN
};
const BIO0: KeyFacts = KeyFacts {
    uv: Some(false),
    bio_enroll: Some(false),
    ..PIN
};

fn create(uv: Uv, rk: Rk, list: CredentialList, key: KeyFacts) -> Facts {
    Facts {
        ceremony: Ceremony::Create,
        user_verification: uv,
        resident_key: rk,
        list,
        prf: false,
        key,
        policy: HostPolicy::default(),
    }
}

fn get(uv: Uv, list: CredentialList, key: KeyFacts) -> Facts {
    Facts {
        ceremony: Ceremony::Get,
        list,
        ..create(uv, Rk::Discouraged, list, key)
    }
}

const CHROMIUM: &str = "chromium-linux";
const FIREFOX: &str = "firefox-linux";
const W10: &str = "windows-10-22h2";
const W11_21H2: &str = "windows-11-21h2";
const W11_HOME: &str = "windows-11-22h2-home";
const W11_ENTERPRISE: &str = "windows-11-22h2-enterprise";
const W11_23H2: &str = "windows-11-23h2";
const BEFORE: &str = "windows-11-before-kb5065789";
const BETWEEN: &str = "windows-11-between-updates";
const AFTER: &str = "windows-11-after-kb5068861";
const WEBKIT: &str = "webkit";
const PYTHON: &str = "python-fido2";
const LIBWEBAUTHN: &str = "libwebauthn";

/// Every Windows before the first update.
const OLD_WINDOWS: [&str; 6] = [W10, W11_21H2, W11_HOME, W11_ENTERPRISE, W11_23H2, BEFORE];

/// Steps, UV flag and end in the notation of the expectations below.
fn outcome(facts: &Facts, id: &str) -> String {
    let platform = client::profile::find(id).unwrap_or_else(|| panic!("no profile {id}"));
    let decided = disposition(facts, &platform);
    let expected = decided.expected(facts, &platform);
    match expected.ended.name() {
        "ok" => format!(
            "{} uv={}",
            expected.steps_text(),
            u8::from(expected.uv.unwrap())
        ),
        "error" => format!("{} error", expected.steps_text()),
        "unknown" => "unknown".to_owned(),
        stuck => format!("{} {stuck}", expected.steps_text()),
    }
}

#[track_caller]
fn cell(facts: &Facts, expectations: &[(&[&str], &str)]) {
    for (platforms, expected) in expectations {
        for id in *platforms {
            assert_eq!(outcome(facts, id), *expected, "{id}: {}", facts.columns());
        }
    }
}

use CredentialList::{Empty, Hidden, Match, NoMatch};

#[test]
fn d1_get_preferred_on_a_key_without_pin() {
    let facts = get(Uv::Preferred, Match, KEY);
    cell(
        &facts,
        &[
            (&[CHROMIUM, FIREFOX, WEBKIT, LIBWEBAUTHN], "touch uv=0"),
            (&OLD_WINDOWS, "touch uv=0"),
            (&[BETWEEN], "unknown"),
            (&[AFTER], "create-pin+touch uv=1"),
            (&[PYTHON], "- error"),
        ],
    );
}

#[test]
fn d2_get_required_on_a_key_without_pin() {
    let facts = get(Uv::Required, Match, KEY);
    cell(
        &facts,
        &[
            (&[CHROMIUM], "touch error"),
            (&[FIREFOX], "touch uv=0"),
            (&OLD_WINDOWS, "- error"),
            (&[AFTER], "create-pin+touch uv=1"),
            (&[WEBKIT, PYTHON], "- error"),
            (&[LIBWEBAUTHN], "create-pin+enter-pin+touch uv=1"),
        ],
    );
}

#[test]
fn d3_create_non_discoverable_preferred_on_a_key_without_pin() {
    let facts = create(Uv::Preferred, Rk::Discouraged, Empty, KEY);
    cell(
        &facts,
        &[
            (&[CHROMIUM, FIREFOX, WEBKIT, LIBWEBAUTHN], "touch uv=0"),
            (&OLD_WINDOWS, "create-pin+touch uv=1"),
            (&[AFTER], "create-pin+touch uv=1"),
            (&[PYTHON], "- error"),
        ],
    );
}

#[test]
fn d4_create_required_on_a_key_without_pin() {
    let facts = create(Uv::Required, Rk::Discouraged, Empty, KEY);
    cell(
        &facts,
        &[
            (&[CHROMIUM, AFTER], "create-pin+touch uv=1"),
            (&OLD_WINDOWS, "create-pin+touch uv=1"),
            (&[FIREFOX], "touch uv=0"),
            (&[WEBKIT], "touch+create-pin+touch uv=1"),
            (&[PYTHON], "- error"),
            (&[LIBWEBAUTHN], "create-pin+enter-pin+touch uv=1"),
        ],
    );
}

#[test]
fn d5_create_discoverable_discouraged_on_a_key_without_pin() {
    let facts = create(Uv::Discouraged, Rk::Required, Empty, KEY);
    cell(
        &facts,
        &[
            (&[CHROMIUM], "create-pin+touch uv=1"),
            (&[FIREFOX, WEBKIT, PYTHON, LIBWEBAUTHN], "touch uv=0"),
            (&OLD_WINDOWS, "unknown"),
            (&[AFTER], "unknown"),
        ],
    );
}

#[test]
fn d6_create_discouraged_on_a_key_that_insists_on_its_pin() {
    let facts = create(Uv::Discouraged, Rk::Discouraged, Empty, PIN_NO_MUV);
    cell(
        &facts,
        &[
            (&[CHROMIUM, FIREFOX, PYTHON], "enter-pin+touch uv=1"),
            (&OLD_WINDOWS, "enter-pin+touch uv=1"),
            (&[AFTER], "unknown"),
            (&[WEBKIT], "enter-pin+enter-pin+enter-pin loop"),
            (&[LIBWEBAUTHN], "- error"),
        ],
    );
    let facts = create(Uv::Discouraged, Rk::Discouraged, Empty, PIN_NO_MUV_U2F);
    cell(
        &facts,
        &[
            (&[CHROMIUM], "u2f+touch uv=0"),
            (&[FIREFOX, PYTHON], "enter-pin+touch uv=1"),
        ],
    );
}

#[test]
fn d7_create_discouraged_on_a_key_that_does_without_its_pin() {
    let facts = create(Uv::Discouraged, Rk::Discouraged, Empty, PIN);
    cell(
        &facts,
        &[
            (
                &[CHROMIUM, FIREFOX, WEBKIT, PYTHON, LIBWEBAUTHN, AFTER],
                "touch uv=0",
            ),
            (&OLD_WINDOWS, "unknown"),
        ],
    );
    let facts = create(Uv::Discouraged, Rk::Discouraged, NoMatch, PIN);
    cell(
        &facts,
        &[
            (&[AFTER], "touch hang"),
            (&[CHROMIUM, FIREFOX], "touch uv=0"),
        ],
    );
}

#[test]
fn d8_get_discoverable_discouraged_on_a_key_with_pin() {
    let facts = get(Uv::Discouraged, Empty, PIN);
    cell(
        &facts,
        &[
            (&[CHROMIUM], "enter-pin+touch+pick-account uv=1"),
            (&[FIREFOX, WEBKIT, PYTHON, LIBWEBAUTHN], "touch uv=0"),
            (&OLD_WINDOWS, "unknown"),
            (&[AFTER], "unknown"),
        ],
    );
}

#[test]
fn d9_get_discouraged_on_a_key_that_always_verifies() {
    let facts = get(Uv::Discouraged, Match, ALWAYS_PIN);
    cell(
        &facts,
        &[
            (&[CHROMIUM, FIREFOX, PYTHON, AFTER], "enter-pin+touch uv=1"),
            (
                &[W10, W11_21H2, W11_HOME],
                "touch+enter-pin+touch+enter-pin+touch+enter-pin loop",
            ),
            (&[W11_ENTERPRISE, W11_23H2, BEFORE], "enter-pin+touch uv=1"),
            (&[WEBKIT], "enter-pin+enter-pin+enter-pin loop"),
            (&[LIBWEBAUTHN], "- error"),
        ],
    );
}

#[test]
fn d10_get_on_a_key_that_always_verifies_and_has_no_pin() {
    for uv in Uv::ALL {
        let facts = get(*uv, Match, ALWAYS);
        cell(
            &facts,
            &[
                (&[CHROMIUM], "touch error"),
                (&[FIREFOX, PYTHON], "- error"),
                (&OLD_WINDOWS, "unknown"),
                (&[AFTER], "create-pin+touch uv=1"),
                (&[WEBKIT], "unknown"),
            ],
        );
    }
    cell(
        &get(Uv::Required, Match, ALWAYS),
        &[(&[LIBWEBAUTHN], "create-pin+enter-pin+touch uv=1")],
    );
    cell(
        &get(Uv::Preferred, Match, ALWAYS),
        &[(&[LIBWEBAUTHN], "- error")],
    );
    cell(
        &get(Uv::Discouraged, Match, ALWAYS),
        &[(&[LIBWEBAUTHN], "- error")],
    );
}

#[test]
fn d11_a_level_3_credential_in_the_allow_list_of_a_discouraged_sign_in() {
    let facts = get(Uv::Discouraged, Hidden, PIN);
    cell(
        &facts,
        &[
            (&[CHROMIUM, FIREFOX, WEBKIT, PYTHON], "touch error"),
            (&OLD_WINDOWS, "unknown"),
            (&[AFTER], "unknown"),
            (&[LIBWEBAUTHN], "- error"),
        ],
    );
    cell(
        &get(Uv::Required, Hidden, PIN),
        &[(&[LIBWEBAUTHN], "- error")],
    );
}

#[test]
fn d12_a_key_that_demands_a_new_pin() {
    let facts = get(Uv::Required, Match, FORCED);
    cell(
        &facts,
        &[
            (&[CHROMIUM], "enter-pin+change-pin+touch uv=1"),
            (&[FIREFOX, PYTHON], "enter-pin error"),
            (&OLD_WINDOWS, "unknown"),
            (&[AFTER, WEBKIT], "unknown"),
            (&[LIBWEBAUTHN], "change-pin+enter-pin+enter-pin+touch uv=1"),
        ],
    );
}

#[test]
fn d13_get_discouraged_on_a_key_with_a_blocked_pin() {
    let facts = get(Uv::Discouraged, Match, BLOCKED);
    cell(
        &facts,
        &[
            (
                &[CHROMIUM, FIREFOX, WEBKIT, PYTHON, LIBWEBAUTHN],
                "touch uv=0",
            ),
            (&OLD_WINDOWS, "unknown"),
            (&[AFTER], "unknown"),
        ],
    );
}

#[test]
fn d14_create_required_on_a_key_with_a_sensor_and_no_finger() {
    let facts = create(Uv::Required, Rk::Discouraged, Empty, BIO0);
    cell(
        &facts,
        &[
            (&[CHROMIUM], "enter-pin+enroll-fingerprint+touch uv=1"),
            (&[FIREFOX, PYTHON, LIBWEBAUTHN], "enter-pin+touch uv=1"),
            (&OLD_WINDOWS, "enter-pin+enroll-fingerprint+touch uv=1"),
            (&[AFTER], "enter-pin+enroll-fingerprint+touch uv=1"),
            (&[WEBKIT], "unknown"),
        ],
    );
}

#[test]
fn d15_the_cred_protect_level_that_a_platform_adds() {
    let added = |id: &str| {
        let rule = client::profile::find(id)
            .unwrap()
            .rules
            .cred_protect_default
            .clone();
        (serde_json::to_value(rule.value).unwrap(), rule.certainty)
    };
    assert_eq!(
        added(CHROMIUM),
        ("two-or-three".into(), Certainty::Measured)
    );
    assert_eq!(added(FIREFOX), ("none".into(), Certainty::Measured));
    assert_eq!(added(PYTHON), ("none".into(), Certainty::Measured));
    assert_eq!(added(WEBKIT), ("none".into(), Certainty::Source));
    assert_eq!(added(LIBWEBAUTHN), ("none".into(), Certainty::Source));
    for id in OLD_WINDOWS.iter().chain([&AFTER]) {
        assert_eq!(
            added(id),
            ("two-or-three".into(), Certainty::Source),
            "{id}"
        );
    }
}

/// The mark of the fact that decided, for cells whose mark the notes state.
#[test]
fn the_deciding_fact_carries_the_mark_of_the_cell() {
    let cases: &[(Facts, &str, Certainty)] = &[
        (
            get(Uv::Preferred, Match, KEY),
            CHROMIUM,
            Certainty::Measured,
        ),
        (get(Uv::Preferred, Match, KEY), FIREFOX, Certainty::Measured),
        (get(Uv::Preferred, Match, KEY), BEFORE, Certainty::Vendor),
        (get(Uv::Preferred, Match, KEY), AFTER, Certainty::Vendor),
        (get(Uv::Preferred, Match, KEY), WEBKIT, Certainty::Source),
        (get(Uv::Preferred, Match, KEY), PYTHON, Certainty::Measured),
        (get(Uv::Required, Match, KEY), BEFORE, Certainty::Unknown),
        (get(Uv::Required, Match, KEY), AFTER, Certainty::Vendor),
        (
            create(Uv::Preferred, Rk::Discouraged, Empty, KEY),
            BEFORE,
            Certainty::Vendor,
        ),
        (
            create(Uv::Discouraged, Rk::Required, Empty, KEY),
            CHROMIUM,
            Certainty::Measured,
        ),
        (
            create(Uv::Discouraged, Rk::Discouraged, Empty, PIN_NO_MUV),
            BEFORE,
            Certainty::Report,
        ),
        (
            create(Uv::Discouraged, Rk::Discouraged, NoMatch, PIN),
            AFTER,
            Certainty::Report,
        ),
        (
            get(Uv::Discouraged, Match, ALWAYS_PIN),
            W10,
            Certainty::Vendor,
        ),
        (
            get(Uv::Discouraged, Match, ALWAYS_PIN),
            W11_23H2,
            Certainty::Vendor,
        ),
        (
            get(Uv::Discouraged, Match, ALWAYS_PIN),
            AFTER,
            Certainty::Unknown,
        ),
        (
            get(Uv::Discouraged, Match, ALWAYS),
            FIREFOX,
            Certainty::Measured,
        ),
        (
            get(Uv::Required, Match, FORCED),
            CHROMIUM,
            Certainty::Measured,
        ),
    ];
    for (facts, id, certainty) in cases {
        let platform = client::profile::find(id).unwrap();
        let decided = disposition(facts, &platform);
        let by_platform: Vec<_> = decided
            .reasons
            .iter()
            .filter(|reason| {
                reason.reference != "CTAP 2.3 §6.2.1 Platform Actions for authenticatorGetAssertion"
            })
            .filter(|reason| reason.who == client::report::Party::Platform)
            .collect();
        let last = by_platform
            .last()
            .unwrap_or_else(|| panic!("{id}: {:?}", decided.reasons));
        assert!(
            by_platform
                .iter()
                .any(|reason| reason.certainty == *certainty),
            "{id} {}: {last:?}",
            facts.columns()
        );
    }
}

/// The bugs that a profile must be able to reproduce.
#[test]
fn each_listed_bug_has_a_reason_that_names_it() {
    let bugs: &[(Facts, &str, &str)] = &[
        (
            get(Uv::Discouraged, Match, ALWAYS_PIN),
            W10,
            "Known bug: this platform asks for touch and PIN in turn",
        ),
        (
            create(Uv::Discouraged, Rk::Discouraged, NoMatch, PIN),
            AFTER,
            "Known bug: with an exclude list",
        ),
        (
            create(Uv::Discouraged, Rk::Discouraged, Empty, PIN_NO_MUV),
            WEBKIT,
            "Known bug: this platform asks for the PIN",
        ),
        (
            create(Uv::Discouraged, Rk::Discouraged, Empty, PIN_NO_MUV_U2F),
            CHROMIUM,
            "older U2F messages",
        ),
        (
            get(Uv::Required, Match, KEY),
            FIREFOX,
            "goes on without verification although it is required",
        ),
    ];
    for (facts, id, words) in bugs {
        let decided = disposition(facts, &client::profile::find(id).unwrap());
        assert!(
            decided
                .reasons
                .iter()
                .any(|reason| reason.fact.contains(words)),
            "{id}: {:#?}",
            decided.reasons
        );
    }
}
