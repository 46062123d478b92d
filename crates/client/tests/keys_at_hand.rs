//! Keys of all kinds at once, keys that are slow to be touched, and keys that are laid on a reader.
#![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise

mod fake;

use std::time::Duration;

use client::policy::HostPolicy;
use client::prompt::{Prompt, UserInput};
use client::report::Step;
use client::uv::KeyFacts;
use client::{Ceremony, Event, KeyId, Outcome, Output};
use ctap::{Command, Status, response_bytes};
use fake::{FakeKey, KEY, caller, platform, rng};
use serde_json::json;

fn facts(ctap2: bool, client_pin: Option<bool>) -> KeyFacts {
    KeyFacts {
        ctap2,
        rk: ctap2,
        client_pin,
        pin_uv_auth_token: ctap2,
        make_cred_uv_not_rqd: ctap2,
        ..KeyFacts::u2f_only()
    }
}

fn getting(uv: &str) -> Ceremony {
    let options = json!({
        "challenge": "AAECAwQFBgcICQoLDA0ODw", "userVerification": uv,
        "allowCredentials": [{"type": "public-key", "id": "aWQ"}],
    });
    let options = serde_json::from_value(options).unwrap();
    Ceremony::get(
        options,
        caller(),
        platform("pinward"),
        HostPolicy::default(),
    )
}

fn step(ceremony: &mut Ceremony, event: Event) -> Vec<Output> {
    ceremony.step(event, Duration::from_secs(1), &mut rng())
}

fn reply(key: KeyId, bytes: &[u8]) -> Event {
    let bytes = bytes.to_vec();
    Event::Reply { key, bytes }
}

/// Carries messages until the person or the end.
fn carry(ceremony: &mut Ceremony, key: &mut FakeKey, mut out: Vec<Output>) -> Vec<Output> {
    loop {
        let bytes = match out.last() {
            Some(Output::Send { bytes, .. }) => key.handle(bytes).1,
            Some(Output::SendU2f { apdu, .. }) => {
                key.handle_u2f(apdu);
                key.handle_u2f(apdu)
            }
            _ => return out,
        };
        out = step(ceremony, reply(KEY, &bytes));
    }
}

fn done(out: &[Output]) -> &Outcome {
    match out.last() {
        Some(Output::Done(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

fn typed(pin: &str) -> Event {
    Event::User(UserInput::Pin { pin: pin.into() })
}

#[test]
fn a_u2f_key_can_be_chosen_by_touch_among_others() {
    let ids = [KeyId(1), KeyId(2)];
    let mut u2f = FakeKey::new(facts(false, None)).with_cred(b"id", false, 1);
    let mut other = FakeKey::new(facts(true, None));
    let mut ceremony = getting("discouraged");
    ceremony.start(&ids, Duration::ZERO, &mut rng());
    let out = step(&mut ceremony, reply(ids[1], &other.handle(&[4]).1));
    assert_eq!(
        out,
        [Output::Send {
            key: ids[1],
            bytes: vec![Command::Selection.code()]
        }]
    );
    let out = step(&mut ceremony, reply(ids[0], &u2f.handle(&[4]).1));
    let [Output::SendU2f { key, apdu }] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(*key, ids[0]);
    // Not touched yet: asked again in a moment, not at once.
    assert_eq!(
        step(&mut ceremony, reply(ids[0], &u2f.handle_u2f(apdu))),
        []
    );
    let at = ceremony.wake_at().unwrap();
    let again = ceremony.step(Event::Tick, at, &mut rng());
    assert_eq!(again, out);
    let out = ceremony.step(reply(ids[0], &u2f.handle_u2f(apdu)), at, &mut rng());
    assert_eq!(out[0], Output::CancelKey(ids[1]));
    assert!(
        matches!(out[1], Output::Send { key, .. } if key == ids[0]),
        "{out:?}"
    );
}

#[test]
fn a_person_may_take_longer_than_a_key_blinks() {
    let ids = [KeyId(1), KeyId(2)];
    let mut key = FakeKey::new(facts(true, None));
    let mut ceremony = getting("discouraged");
    ceremony.start(&ids, Duration::ZERO, &mut rng());
    let info = key.handle(&[4]).1;
    let blink = [Output::Send {
        key: ids[0],
        bytes: vec![Command::Selection.code()],
    }];
    assert_eq!(step(&mut ceremony, reply(ids[0], &info)), blink);
    let late = response_bytes(Status::USER_ACTION_TIMEOUT, &[]);
    assert_eq!(step(&mut ceremony, reply(ids[0], &late)), blink);
    // One that was told to stop takes no part any more.
    let stopped = response_bytes(Status::KEEPALIVE_CANCEL, &[]);
    assert_eq!(step(&mut ceremony, reply(ids[0], &stopped)), []);
}

#[test]
fn the_pin_is_asked_before_the_tap() {
    let mut ceremony = getting("required").by_tap();
    let out = ceremony.start(&[], Duration::ZERO, &mut rng());
    assert!(
        matches!(out[..], [Output::Prompt(Prompt::EnterPin { .. })]),
        "{out:?}"
    );
    let out = step(&mut ceremony, typed("12"));
    let [Output::Prompt(Prompt::EnterPin { error: Some(_), .. })] = &out[..] else {
        panic!("{out:?}")
    };
    let out = step(&mut ceremony, typed("1234"));
    assert_eq!(out, [Output::Prompt(Prompt::InsertKey)]);
    let mut key = FakeKey::new(facts(true, Some(true))).with_cred(b"id", false, 1);
    let out = step(&mut ceremony, Event::KeyAdded(KEY));
    let out = carry(&mut ceremony, &mut key, out);
    let outcome = done(&out);
    assert_eq!(
        outcome.report.steps,
        [Step::EnterPin, Step::Touch],
        "one tap, no other question"
    );
    assert_eq!(outcome.report.uv, Some(true));
}

#[test]
fn a_wrong_pin_before_the_tap_costs_one_try_and_never_the_last() {
    for (retries, spent) in [(8, true), (1, false)] {
        let mut ceremony = getting("required").by_tap();
        ceremony.start(&[], Duration::ZERO, &mut rng());
        step(&mut ceremony, typed("9999"));
        let mut key = FakeKey::new(facts(true, Some(true))).with_cred(b"id", false, 1);
        key.retries = retries;
        let out = step(&mut ceremony, Event::KeyAdded(KEY));
        let out = carry(&mut ceremony, &mut key, out);
        let Some(Output::Prompt(Prompt::EnterPin {
            previous_wrong,
            retries: left,
            ..
        })) = out.last()
        else {
            panic!("{out:?}")
        };
        assert_eq!((*previous_wrong, *left), (spent, Some(key.retries)));
        assert_eq!(key.retries, if spent { 7 } else { 1 });
    }
}

#[test]
fn a_key_taken_off_while_the_pin_is_typed_needs_one_more_tap_only() {
    let mut ceremony = getting("required").by_tap();
    let mut key = FakeKey::new(facts(true, Some(true))).with_cred(b"id", false, 1);
    let out = ceremony.start(&[KEY], Duration::ZERO, &mut rng());
    let out = carry(&mut ceremony, &mut key, out);
    assert!(
        matches!(out.last(), Some(Output::Prompt(Prompt::EnterPin { .. }))),
        "{out:?}"
    );
    assert_eq!(
        step(&mut ceremony, Event::KeyRemoved(KEY)),
        [],
        "the dialog stays"
    );
    assert_eq!(
        step(&mut ceremony, typed("1234")),
        [Output::Prompt(Prompt::InsertKey)]
    );
    let out = step(&mut ceremony, Event::KeyAdded(KEY));
    let out = carry(&mut ceremony, &mut key, out);
    assert_eq!(done(&out).report.steps, [Step::EnterPin, Step::Touch]);
}

#[test]
fn no_pin_is_asked_before_the_tap_where_none_is_wanted() {
    let mut ceremony = getting("discouraged").by_tap();
    let out = ceremony.start(&[], Duration::ZERO, &mut rng());
    assert_eq!(out, [Output::Prompt(Prompt::InsertKey)]);
    // "My key has none."
    let mut ceremony = getting("preferred").by_tap();
    ceremony.start(&[], Duration::ZERO, &mut rng());
    let out = step(&mut ceremony, Event::User(UserInput::NotNow));
    assert_eq!(out, [Output::Prompt(Prompt::InsertKey)]);
}
