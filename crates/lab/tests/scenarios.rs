//! Whole ceremonies, from the relying party's options to its verdict, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise

use std::sync::Arc;

use authenticator::Profile;
use client::policy::HostPolicy;
use client::profile::PlatformProfile;
use client::report::{Ended, Step};
use lab::{Ceremony, KeyState, Request, Run, Scenario, ScenarioError, UserAction};
use rp::policy::UserVerificationPolicy;

const BEFORE: &str = "windows-11-before-kb5065789";
const AFTER: &str = "windows-11-after-kb5068861";

fn key(id: &str) -> Profile {
    authenticator::profile::find(id).unwrap().unwrap()
}

fn platform(id: &str) -> Arc<PlatformProfile> {
    client::profile::find(id).unwrap()
}

fn sign_in(user_verification: UserVerificationPolicy) -> Request {
    Request {
        ceremony: Ceremony::Get,
        user_verification,
        discoverable: false,
    }
}

fn scenario<'a>(id: &str, key: &'a Profile, key_state: KeyState, request: Request) -> Scenario<'a> {
    Scenario {
        platform: platform(id),
        host: HostPolicy::default(),
        key,
        key_state,
        request,
        user: UserAction::Accepts,
    }
}

fn run(id: &str, key_state: KeyState, request: Request, user: UserAction) -> Run {
    let key = key("fido-2.1");
    let scenario = scenario(id, &key, key_state, request);
    Scenario { user, ..scenario }.run().unwrap()
}

#[test]
fn an_update_of_windows_begins_to_ask_for_a_new_pin() {
    let request = sign_in(UserVerificationPolicy::IfSet);
    let before = run(BEFORE, KeyState::NoPin, request, UserAction::Accepts);
    assert_eq!(before.report.steps, [Step::Touch]);
    assert_eq!(before.report.uv, Some(false));
    let after = run(AFTER, KeyState::NoPin, request, UserAction::Accepts);
    assert_eq!(after.report.steps, [Step::CreatePin, Step::Touch]);
    assert_eq!(after.report.uv, Some(true));
    for run in [before, after] {
        assert!(run.verdict.unwrap().accepted);
    }
}

#[test]
fn windows_10_repeats_itself_before_a_key_that_insists() {
    let key = key("fido-2.1");
    let request = sign_in(UserVerificationPolicy::Never);
    let looped = [KeyState::AlwaysUv, KeyState::AlwaysUvPinSet]
        .into_iter()
        .find_map(|state| {
            let run = scenario("windows-10-22h2", &key, state, request)
                .run()
                .unwrap();
            (run.report.ended == Ended::Loop).then_some(run)
        });
    let looped = looped.expect("the loop that the notes describe");
    assert!(looped.failure.is_some() && looped.verdict.is_none());
}

#[test]
fn who_closes_the_dialog_signs_in_nowhere() {
    let request = sign_in(UserVerificationPolicy::Always);
    let run = run(AFTER, KeyState::PinSet, request, UserAction::Cancels);
    assert_eq!(run.report.ended, Ended::Error);
    assert_eq!(run.failure.unwrap().name.name(), "NotAllowedError");
    assert!(run.verdict.is_none());
}

#[test]
fn who_mistypes_the_pin_is_asked_again() {
    let request = sign_in(UserVerificationPolicy::Always);
    let run = run(AFTER, KeyState::PinSet, request, UserAction::WrongPin);
    assert_eq!(run.report.uv, Some(true));
    let statuses: Vec<_> = run
        .exchange
        .iter()
        .map(|e| e.response()["status"].to_string())
        .collect();
    assert!(
        statuses.iter().any(|s| s.contains("CTAP2_ERR_PIN_INVALID")),
        "{statuses:?}"
    );
}

#[test]
fn no_exchange_shows_a_pin_or_its_digest() {
    let request = sign_in(UserVerificationPolicy::Always);
    let run = run(AFTER, KeyState::PinSet, request, UserAction::Accepts);
    let shown = serde_json::to_string(&run.exchange).unwrap();
    assert!(
        shown.contains("\"pinHashEnc\":\"(32 bytes, masked)\""),
        "{shown}"
    );
    assert!(
        shown.contains("\"pinUvAuthToken\":\"(48 bytes, masked)\""),
        "{shown}"
    );
    assert!(
        !shown.contains(&format!("\"{}\"", KeyState::PIN)),
        "{shown}"
    );
}

#[test]
fn a_state_that_does_not_fit_is_told_as_such() {
    let key = key("u2f-only");
    let request = sign_in(UserVerificationPolicy::Never);
    let error = scenario(BEFORE, &key, KeyState::PinSet, request)
        .run()
        .unwrap_err();
    assert!(matches!(error, ScenarioError::StateDoesNotFit { .. }));
}

#[test]
fn a_run_is_repeatable_to_the_last_byte() {
    let request = sign_in(UserVerificationPolicy::IfSet);
    let once = serde_json::to_string(&run(AFTER, KeyState::NoPin, request, UserAction::Accepts));
    let again = serde_json::to_string(&run(AFTER, KeyState::NoPin, request, UserAction::Accepts));
    assert_eq!(once.unwrap(), again.unwrap());
}

/// What must hold wherever a ceremony ends.
fn check(run: &Run) {
    let cell = format!(
        "{} {} {} {:?}: {:?}",
        run.platform.id,
        run.key.id,
        run.key_state.id(),
        run.request,
        run.report
    );
    assert!(!run.report.reasons.is_empty(), "no reason: {cell}");
    assert_eq!(
        run.report.ended == Ended::Ok,
        run.verdict.is_some(),
        "{cell}"
    );
    let Some(verdict) = &run.verdict else { return };
    let always = run.request.user_verification == UserVerificationPolicy::Always;
    assert!(
        !(always && verdict.accepted && run.report.uv != Some(true)),
        "{cell}"
    );
    let verifies = [
        Step::EnterPin,
        Step::CreatePin,
        Step::ChangePin,
        Step::Fingerprint,
    ];
    if run.report.uv == Some(true) {
        assert!(
            run.report.steps.iter().any(|step| verifies.contains(step)),
            "no evidence: {cell}"
        );
    }
}

#[test]
fn a_person_who_mistypes_or_cancels_finds_an_end_everywhere() {
    let platforms = client::profile::all();
    let key = key("fido-2.1-always-uv");
    for state in KeyState::ALL.into_iter().filter(|state| state.fits(&key)) {
        for user in [UserAction::WrongPin, UserAction::Cancels] {
            for request in requests() {
                let scenario = scenario(BEFORE, &key, state, request);
                lab::compare(&Scenario { user, ..scenario }, &platforms)
                    .unwrap_or_else(|e| panic!("{} {user:?} {request:?}: {e}", state.id()))
                    .iter()
                    .for_each(check);
            }
        }
    }
}

#[test]
fn every_platform_key_and_state_ends_with_a_reason() {
    let platforms = client::profile::all();
    let mut cells = 0;
    for (id, _) in authenticator::profile::shipped() {
        let key = key(id);
        for state in KeyState::ALL.into_iter().filter(|state| state.fits(&key)) {
            for request in requests() {
                let scenario = scenario(BEFORE, &key, state, request);
                let runs = lab::compare(&scenario, &platforms)
                    .unwrap_or_else(|error| panic!("{id} {} {request:?}: {error}", state.id()));
                runs.iter().for_each(check);
                cells += runs.len();
            }
        }
    }
    assert!(cells > 5_000, "{cells} cells");
}

fn requests() -> impl Iterator<Item = Request> {
    use UserVerificationPolicy::{Always, IfSet, Never};
    [Ceremony::Create, Ceremony::Get]
        .into_iter()
        .flat_map(|ceremony| {
            [Never, IfSet, Always]
                .into_iter()
                .flat_map(move |user_verification| {
                    [false, true].map(move |discoverable| Request {
                        ceremony,
                        user_verification,
                        discoverable,
                    })
                })
        })
}

#[test]
fn a_credential_made_by_ctap2_signs_by_u2f_messages_too() {
    let before = "android-before-26-03";
    for state in [KeyState::NoPin, KeyState::PinSet] {
        let request = sign_in(UserVerificationPolicy::Never);
        let run = run(before, state, request, UserAction::Accepts);
        assert_eq!(run.report.ended, Ended::Ok, "{:#?}", run.report);
        assert_eq!(run.report.steps, [Step::U2f, Step::Touch]);
        assert!(run.verdict.unwrap().accepted);
    }
}
