//! What happens in single ceremonies: dialogs, failures, lists, extensions and the bytes between.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fake;

use std::time::Duration;

use client::pin::PinError;
use client::policy::{HostPolicy, PinSetup};
use client::prompt::{Prompt, TouchPurpose, UserInput};
use client::report::{DomExceptionName, Ended, Step};
use client::uv::KeyFacts;
use client::{Caller, Ceremony, Credential, Event, FailureReason, KeyId, Outcome, Output};
use ctap::client_pin::{Permissions, Request as PinRequest, SubCommand};
use ctap::{Command, Status, get_assertion, make_credential};
use fake::{FakeKey, KEY as KEY_ID, Person, caller, platform, rng, run, sha256};
use serde_json::{Value, json};
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::base64url;
use webauthn::response::{AuthenticationResponseJson, RegistrationResponseJson};

const NEW: KeyFacts = KeyFacts {
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
    ..NEW
};
const OLD_PIN: KeyFacts = KeyFacts {
    pin_uv_auth_token: false,
    make_cred_uv_not_rqd: false,
    ..PIN
};
const BIO: KeyFacts = KeyFacts {
    uv: Some(true),
    bio_enroll: Some(true),
    ..PIN
};

fn create_options() -> Value {
    json!({
        "rp": {"name": "Example"},
        "user": {"id": "AQ", "name": "kim@example.org", "displayName": "Kim"},
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    })
}

fn get_options() -> Value {
    json!({"challenge": "AAECAwQFBgcICQoLDA0ODw"})
}

fn creating(options: Value, id: &str) -> Ceremony {
    let options = serde_json::from_value(options).unwrap();
    Ceremony::create(options, caller(), platform(id), HostPolicy::default())
}

fn getting(options: Value, id: &str) -> Ceremony {
    let options = serde_json::from_value(options).unwrap();
    Ceremony::get(options, caller(), platform(id), HostPolicy::default())
}

fn with(mut options: Value, member: &str, value: Value) -> Value {
    options[member] = value;
    options
}

fn uv(options: Value, requirement: &str) -> Value {
    if options.get("rp").is_some() {
        with(
            options,
            "authenticatorSelection",
            json!({"userVerification": requirement}),
        )
    } else {
        with(options, "userVerification", json!(requirement))
    }
}

fn list(ids: &[&[u8]]) -> Value {
    ids.iter()
        .map(|id| json!({"type": "public-key", "id": base64url::encode(id)}))
        .collect::<Vec<_>>()
        .into()
}

fn registration(outcome: &Outcome) -> &RegistrationResponseJson {
    match &outcome.result {
        Ok(Credential::Registration(made)) => made,
        other => panic!("{other:?} {:#?}", outcome.report),
    }
}

fn authentication(outcome: &Outcome) -> &AuthenticationResponseJson {
    match &outcome.result {
        Ok(Credential::Authentication(made)) => made,
        other => panic!("{other:?} {:#?}", outcome.report),
    }
}

fn failure(outcome: &Outcome) -> (DomExceptionName, &FailureReason) {
    let failure = outcome.result.as_ref().unwrap_err();
    (failure.name, &failure.reason)
}

fn refused(mut ceremony: Ceremony) -> (DomExceptionName, String) {
    let mut out = ceremony.start(&[KEY_ID], Duration::ZERO, &mut rng());
    if matches!(out[..], [Output::RelatedOrigins { .. }]) {
        let nothing = Event::RelatedOrigins(None);
        out = ceremony.step(nothing, Duration::ZERO, &mut rng());
    }
    let [Output::Done(outcome)] = &out[..] else {
        panic!("{out:?}")
    };
    assert!(ceremony.is_done());
    let failure = outcome.result.as_ref().unwrap_err();
    (failure.name, failure.reason.to_string())
}

fn last_make_credential(key: &FakeKey) -> make_credential::Request {
    let bytes = key
        .seen
        .iter()
        .rfind(|b| b[0] == Command::MakeCredential.code())
        .unwrap();
    make_credential::Request::decode(&bytes[1..]).unwrap()
}

fn get_assertions(key: &FakeKey) -> Vec<get_assertion::Request> {
    let wanted = |b: &&Vec<u8>| b[0] == Command::GetAssertion.code();
    let decode = |b: &Vec<u8>| get_assertion::Request::decode(&b[1..]).unwrap();
    key.seen.iter().filter(wanted).map(decode).collect()
}

fn token_request(key: &FakeKey) -> PinRequest {
    let asked = |request: &PinRequest| matches!(request.sub_command, 0x05 | 0x06 | 0x09);
    key.seen
        .iter()
        .filter(|bytes| bytes[0] == Command::ClientPin.code())
        .map(|bytes| PinRequest::decode(&bytes[1..]).unwrap())
        .rfind(asked)
        .unwrap()
}

// The checks of the options.

#[test]
fn a_page_may_not_claim_the_rp_id_of_another() {
    let options = with(
        create_options(),
        "rp",
        json!({"name": "x", "id": "other.example"}),
    );
    assert_eq!(
        refused(creating(options, "pinward")).0,
        DomExceptionName::SecurityError
    );
    let options = with(get_options(), "rpId", json!("org"));
    let (name, words) = refused(getting(options, "pinward"));
    assert_eq!(name, DomExceptionName::SecurityError);
    assert!(words.contains("public suffix"), "{words}");
}

#[test]
fn a_page_over_http_is_refused_unless_it_is_this_machine() {
    let start = |origin: &str| {
        let options = serde_json::from_value(get_options()).unwrap();
        let caller = Caller::top_level(origin.parse().unwrap());
        let mut ceremony =
            Ceremony::get(options, caller, platform("pinward"), HostPolicy::default());
        ceremony.start(&[KEY_ID], Duration::ZERO, &mut rng());
        ceremony.is_done()
    };
    assert!(start("http://example.org"));
    assert!(!start("http://localhost:8080"));
    assert!(!start("https://example.org:8443"));
}

#[test]
fn a_user_handle_has_1_to_64_bytes() {
    for length in [0, 65] {
        let id = base64url::encode(vec![1; length]);
        let user = json!({"id": id, "name": "", "displayName": ""});
        let (name, _) = refused(creating(with(create_options(), "user", user), "pinward"));
        assert_eq!(name, DomExceptionName::TypeError, "{length}");
    }
}

#[test]
fn no_algorithms_mean_es256_and_rs256() {
    let mut key = FakeKey::new(NEW);
    let options = with(create_options(), "pubKeyCredParams", json!([]));
    run(
        creating(uv(options, "discouraged"), "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let sent: Vec<i32> = last_make_credential(&key)
        .pub_key_cred_params
        .iter()
        .map(|p| p.alg.0)
        .collect();
    assert_eq!(sent, [-7, -257]);
}

#[test]
fn algorithms_of_other_types_only_are_not_supported() {
    let params = json!([{"type": "private-key", "alg": -7}]);
    let options = with(create_options(), "pubKeyCredParams", params);
    assert_eq!(
        refused(creating(options, "pinward")).0,
        DomExceptionName::NotSupportedError
    );
}

#[test]
fn a_platform_authenticator_is_not_a_key() {
    let selection = json!({"authenticatorAttachment": "platform"});
    let options = with(create_options(), "authenticatorSelection", selection);
    assert_eq!(
        refused(creating(options, "pinward")).0,
        DomExceptionName::NotAllowedError
    );
}

#[test]
fn an_allow_list_of_unknown_types_is_not_taken_for_an_empty_one() {
    let allow = json!([{"type": "future", "id": "AQ"}]);
    let (name, _) = refused(getting(
        with(get_options(), "allowCredentials", allow),
        "pinward",
    ));
    assert_eq!(name, DomExceptionName::NotAllowedError);
}

#[test]
fn prf_inputs_by_credential_need_that_credential_in_the_list() {
    let prf = |name: &str| json!({"prf": {"evalByCredential": {name: {"first": "AQ"}}}});
    let options = with(get_options(), "extensions", prf("AQ"));
    assert_eq!(
        refused(getting(options, "pinward")).0,
        DomExceptionName::NotSupportedError
    );
    let options = with(get_options(), "allowCredentials", list(&[b"a"]));
    let options = with(options, "extensions", prf("AQ"));
    assert_eq!(
        refused(getting(options, "pinward")).0,
        DomExceptionName::SyntaxError
    );
}

#[test]
fn client_data_name_the_page_and_the_top_page() {
    let mut key = FakeKey::new(NEW);
    let caller = Caller {
        origin: "https://login.example.org".parse().unwrap(),
        top_origin: Some("https://shop.example".parse().unwrap()),
    };
    let options = with(
        uv(create_options(), "discouraged"),
        "rp",
        json!({"name": "Example", "id": "example.org"}),
    );
    let options = serde_json::from_value(options).unwrap();
    let ceremony = Ceremony::create(options, caller, platform("pinward"), HostPolicy::default());
    let outcome = run(ceremony, &mut key, &mut Person::default());
    let data = &registration(&outcome).response.client_data_json.0;
    assert_eq!(
        std::str::from_utf8(data).unwrap(),
        r#"{"type":"webauthn.create","challenge":"AAECAwQFBgcICQoLDA0ODw","origin":"https://login.example.org","crossOrigin":true,"topOrigin":"https://shop.example"}"#
    );
    assert_eq!(last_make_credential(&key).client_data_hash, sha256(data));
    assert_eq!(last_make_credential(&key).rp.id, "example.org");
}

// The PIN: create, enter, change.

#[test]
fn a_pin_created_in_a_sign_in_is_used_at_once() {
    let mut key = FakeKey::new(NEW).with_cred(b"found", true, 1);
    let mut person = Person::default();
    let outcome = run(
        getting(get_options(), "windows-11-after-kb5068861"),
        &mut key,
        &mut person,
    );
    // Nobody knows what a discoverable sign-in does there with "discouraged"; "preferred" is known.
    assert_eq!(outcome.report.steps, [Step::CreatePin, Step::Touch]);
    assert_eq!(outcome.report.uv, Some(true));
    assert_eq!(key.pin.as_deref(), Some("567890"));
    assert_eq!(key.count_pin(SubCommand::SetPin), 1);
    assert!(
        !person
            .prompts
            .iter()
            .any(|p| matches!(p, Prompt::EnterPin { .. }))
    );
    assert!(authentication(&outcome).response.user_handle.is_some());
}

#[test]
fn a_pin_created_in_a_registration_is_used_at_once() {
    let mut key = FakeKey::new(NEW);
    let outcome = run(
        creating(uv(create_options(), "required"), "chromium-linux"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.steps, [Step::CreatePin, Step::Touch]);
    let token = token_request(&key);
    let both = Permissions::MAKE_CREDENTIAL | Permissions::GET_ASSERTION;
    assert_eq!(token.permissions, Some(both.0.into()));
    assert_eq!(token.rp_id.as_deref(), Some("example.org"));
}

#[test]
fn not_now_goes_on_without_a_pin() {
    let mut key = FakeKey::new(NEW);
    let mut person = Person {
        not_now: true,
        ..Person::default()
    };
    let outcome = run(creating(create_options(), "pinward"), &mut key, &mut person);
    assert_eq!(outcome.report.steps, [Step::Touch]);
    assert_eq!(outcome.report.uv, Some(false));
    assert_eq!(key.pin, None);
    assert!(matches!(
        person.prompts[0],
        Prompt::CreatePin { optional: true, .. }
    ));
    assert!(
        outcome
            .report
            .reasons
            .iter()
            .any(|r| r.fact.contains("not to create a PIN"))
    );
}

#[test]
fn required_has_no_not_now() {
    let mut key = FakeKey::new(NEW);
    let mut person = Person::default();
    run(
        creating(uv(create_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert!(matches!(
        person.prompts[0],
        Prompt::CreatePin {
            optional: false,
            ..
        }
    ));
}

#[test]
fn a_kiosk_neither_offers_nor_creates_a_pin() {
    let mut key = FakeKey::new(NEW);
    let mut person = Person::default();
    let options = serde_json::from_value(create_options()).unwrap();
    let policy = HostPolicy {
        never_provision: true,
        ..HostPolicy::default()
    };
    let ceremony = Ceremony::create(options, caller(), platform("pinward"), policy);
    let outcome = run(ceremony, &mut key, &mut person);
    assert_eq!(outcome.report.steps, [Step::Touch]);
    let words = "The policy of this host never has PINs created: it goes on without.";
    assert!(
        outcome
            .report
            .reasons
            .iter()
            .any(|reason| reason.fact.starts_with(words))
    );
}

#[test]
fn a_policy_may_impose_the_pin() {
    let options = serde_json::from_value(create_options()).unwrap();
    let policy = HostPolicy {
        create_preferred_no_pin: PinSetup::Provision,
        ..HostPolicy::default()
    };
    let ceremony = Ceremony::create(options, caller(), platform("pinward"), policy);
    let mut person = Person::default();
    run(ceremony, &mut FakeKey::new(NEW), &mut person);
    assert!(matches!(
        person.prompts[0],
        Prompt::CreatePin {
            optional: false,
            ..
        }
    ));
}

#[test]
fn a_new_pin_that_is_too_short_never_reaches_the_key() {
    let mut key = FakeKey::new(NEW);
    key.min_pin_length = 6;
    let mut person = Person {
        new_pins: vec!["12345", "123456"],
        ..Person::default()
    };
    let outcome = run(creating(create_options(), "pinward"), &mut key, &mut person);
    assert_eq!(outcome.report.steps, [Step::CreatePin, Step::Touch]);
    assert_eq!(key.count_pin(SubCommand::SetPin), 1);
    let Prompt::CreatePin {
        error,
        policy,
        max_bytes,
        ..
    } = &person.prompts[1]
    else {
        panic!("{:?}", person.prompts)
    };
    assert_eq!(*error, Some(PinError::TooShort { least: 6, has: 5 }));
    assert_eq!((policy.min_length, *max_bytes), (6, 63));
}

#[test]
fn a_new_pin_that_the_key_refuses_is_asked_again_with_its_reason() {
    let mut key = FakeKey::new(NEW);
    let mut person = Person {
        new_pins: vec!["easypin", "hardpin"],
        ..Person::default()
    };
    let outcome = run(creating(create_options(), "pinward"), &mut key, &mut person);
    assert_eq!(outcome.report.steps, [Step::CreatePin, Step::Touch]);
    assert!(matches!(
        person.prompts[1],
        Prompt::CreatePin {
            error: Some(PinError::RefusedByKey),
            optional: true,
            ..
        }
    ));
}

#[test]
fn the_tries_left_are_shown_before_the_first_entry_and_after_a_wrong_one() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", true, 1);
    key.retries = 5;
    let mut person = Person {
        pins: vec!["0000", "1234"],
        ..Person::default()
    };
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert_eq!(
        outcome.report.steps,
        [Step::EnterPin, Step::EnterPin, Step::Touch]
    );
    let tries: Vec<_> = person
        .prompts
        .iter()
        .filter_map(|prompt| match prompt {
            Prompt::EnterPin {
                retries,
                previous_wrong,
                ..
            } => Some((*retries, *previous_wrong)),
            _ => None,
        })
        .collect();
    assert_eq!(tries, [(Some(5), false), (Some(4), true)]);
}

#[test]
fn firefox_shows_the_tries_only_after_a_wrong_entry() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", true, 1);
    let mut person = Person {
        pins: vec!["0000", "1234"],
        ..Person::default()
    };
    run(
        getting(uv(get_options(), "required"), "firefox-linux"),
        &mut key,
        &mut person,
    );
    assert!(matches!(
        person.prompts[0],
        Prompt::EnterPin { retries: None, .. }
    ));
    assert!(matches!(
        person.prompts[1],
        Prompt::EnterPin {
            retries: Some(7),
            ..
        }
    ));
}

#[test]
fn an_entry_that_no_pin_can_be_costs_no_try() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", true, 1);
    let mut person = Person {
        pins: vec!["12", "1234"],
        ..Person::default()
    };
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert_eq!(outcome.report.steps, [Step::EnterPin, Step::Touch]);
    assert_eq!(key.retries, 8);
    assert!(matches!(
        person.prompts[1],
        Prompt::EnterPin {
            error: Some(PinError::TooShort { .. }),
            retries: Some(8),
            ..
        }
    ));
}

#[test]
fn three_wrong_pins_in_a_row_ask_for_the_key_to_be_taken_out() {
    let mut key = FakeKey::new(PIN);
    let mut person = Person {
        pins: vec!["0000"],
        ..Person::default()
    };
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert_eq!(
        failure(&outcome),
        (
            DomExceptionName::NotAllowedError,
            &FailureReason::PinAuthBlocked
        )
    );
    assert_eq!(outcome.report.steps, [Step::EnterPin; 3]);
    assert_eq!(key.retries, 5);
}

#[test]
fn the_last_try_gone_is_told_as_blocked() {
    let mut key = FakeKey::new(PIN);
    key.retries = 1;
    let mut person = Person {
        pins: vec!["0000"],
        ..Person::default()
    };
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert_eq!(failure(&outcome).1, &FailureReason::PinBlocked);
    assert_eq!(outcome.report.steps, [Step::EnterPin]);
}

#[test]
fn a_blocked_key_is_not_asked_for_its_pin() {
    let mut key = FakeKey::new(KeyFacts {
        pin_blocked: true,
        ..PIN
    });
    let mut person = Person::default();
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert_eq!(failure(&outcome).1, &FailureReason::PinBlocked);
    assert!(
        person
            .prompts
            .iter()
            .all(|prompt| matches!(prompt, Prompt::Message { .. }))
    );
}

#[test]
fn a_blocked_pin_does_not_stop_a_sign_in_that_only_prefers_verification() {
    let blocked = KeyFacts {
        pin_blocked: true,
        ..PIN
    };
    let mut key = FakeKey::new(blocked).with_cred(b"found", true, 1);
    let outcome = run(
        getting(get_options(), "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(
        (outcome.report.steps, outcome.report.uv),
        (vec![Step::Touch], Some(false))
    );
}

#[test]
fn a_forced_change_happens_in_the_flow() {
    let forced = KeyFacts {
        force_pin_change: true,
        ..PIN
    };
    for (id, steps) in [
        ("pinward", vec![Step::ChangePin, Step::Touch]),
        (
            "chromium-linux",
            vec![Step::EnterPin, Step::ChangePin, Step::Touch],
        ),
    ] {
        let mut key = FakeKey::new(forced).with_cred(b"found", false, 1);
        let options = with(
            uv(get_options(), "required"),
            "allowCredentials",
            list(&[b"found"]),
        );
        let outcome = run(getting(options, id), &mut key, &mut Person::default());
        assert_eq!(outcome.report.steps, steps, "{id}");
        assert_eq!(key.pin.as_deref(), Some("567890"));
    }
}

#[test]
fn the_old_pin_wrong_in_a_change_is_asked_again_with_the_tries() {
    let forced = KeyFacts {
        force_pin_change: true,
        ..PIN
    };
    let mut key = FakeKey::new(forced).with_cred(b"found", true, 1);
    let mut person = Person {
        pins: vec!["0000", "1234"],
        ..Person::default()
    };
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert_eq!(outcome.report.steps, [Step::ChangePin, Step::Touch]);
    assert!(matches!(
        person.prompts[1],
        Prompt::ChangePin {
            previous_wrong: true,
            retries: Some(7),
            old_known: false,
            ..
        }
    ));
}

#[test]
fn the_new_pin_must_not_be_the_old_one() {
    let forced = KeyFacts {
        force_pin_change: true,
        ..PIN
    };
    let mut key = FakeKey::new(forced).with_cred(b"found", true, 1);
    let mut person = Person {
        new_pins: vec!["1234", "5678"],
        ..Person::default()
    };
    run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert!(matches!(
        person.prompts[1],
        Prompt::ChangePin {
            error: Some(PinError::SameAsOld),
            ..
        }
    ));
    assert_eq!(key.pin.as_deref(), Some("5678"));
}

// The protocols.

#[test]
fn protocol_two_is_used_where_the_key_offers_it() {
    for (offered, used) in [(vec![2, 1], 2), (vec![1, 2], 2), (vec![1], 1)] {
        let mut key = FakeKey::new(PIN).with_cred(b"found", true, 1);
        key.protocols = offered.clone();
        let outcome = run(
            getting(uv(get_options(), "required"), "pinward"),
            &mut key,
            &mut Person::default(),
        );
        assert_eq!(outcome.report.uv, Some(true));
        assert_eq!(
            token_request(&key).pin_uv_auth_protocol,
            Some(used),
            "{offered:?}"
        );
        assert_eq!(get_assertions(&key)[0].pin_uv_auth_protocol, Some(used));
    }
}

#[test]
fn a_key_without_permissions_gets_the_older_subcommand() {
    let mut key = FakeKey::new(OLD_PIN).with_cred(b"found", true, 1);
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.uv, Some(true));
    let token = token_request(&key);
    assert_eq!(token.sub_command, SubCommand::GetPinToken.code());
    assert_eq!((token.permissions, token.rp_id), (None, None));
}

// Lists.

#[test]
fn a_long_exclude_list_is_tried_in_batches_with_the_token_and_one_touch() {
    let ids: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 16]).collect();
    let ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    // Hidden without the token.
    let mut key = FakeKey::new(PIN).with_cred(ids[17], false, 3);
    let options = with(
        uv(create_options(), "required"),
        "excludeCredentials",
        list(&ids),
    );
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(
        failure(&outcome),
        (
            DomExceptionName::InvalidStateError,
            &FailureReason::Excluded
        )
    );
    assert_eq!(outcome.report.steps, [Step::EnterPin, Step::Touch]);
    let tried = get_assertions(&key);
    assert_eq!(
        tried
            .iter()
            .map(|r| r.allow_list.as_ref().unwrap().len())
            .collect::<Vec<_>>(),
        [8, 8, 4]
    );
    assert!(tried.iter().all(|r| r.pin_uv_auth_param.is_some()));
    assert!(
        tried
            .iter()
            .all(|r| r.options.as_ref().unwrap().up == Some(false))
    );
    let sent = last_make_credential(&key).exclude_list.unwrap();
    assert_eq!(
        sent.iter().map(|c| c.id.as_slice()).collect::<Vec<_>>(),
        [ids[17]]
    );
}

#[test]
fn a_long_exclude_list_without_a_match_is_left_out_of_the_request() {
    let ids: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 16]).collect();
    let ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    let mut key = FakeKey::new(PIN);
    let options = with(
        uv(create_options(), "required"),
        "excludeCredentials",
        list(&ids),
    );
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    registration(&outcome);
    assert_eq!(last_make_credential(&key).exclude_list, None);
}

#[test]
fn a_long_allow_list_is_narrowed_to_what_the_key_has() {
    let ids: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 16]).collect();
    let ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    let mut key = FakeKey::new(PIN).with_cred(ids[9], false, 3);
    let options = with(
        uv(get_options(), "required"),
        "allowCredentials",
        list(&ids),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(authentication(&outcome).raw_id.0, ids[9]);
    assert_eq!(outcome.report.steps, [Step::EnterPin, Step::Touch]);
    assert_eq!(get_assertions(&key).len(), 3, "two batches and the request");
}

#[test]
fn a_key_that_names_no_limit_is_tried_one_credential_at_a_time() {
    let mut key = FakeKey::new(NEW).with_cred(b"third", false, 1);
    key.max_in_list = None;
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"first", b"other", b"third"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(authentication(&outcome).raw_id.0, b"third");
    assert_eq!(outcome.report.steps, [Step::Touch]);
}

#[test]
fn credentials_too_long_for_the_key_are_not_sent_to_it() {
    let long = [7; 200];
    let mut key = FakeKey::new(NEW).with_cred(b"short", false, 1);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[&long, b"short"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(authentication(&outcome).raw_id.0, b"short");
    assert_eq!(
        get_assertions(&key)[0].allow_list.as_ref().unwrap().len(),
        1
    );

    // None is left: that must not become a request for any credential.
    let mut key = FakeKey::new(NEW).with_cred(b"found", true, 1);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[&long]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(failure(&outcome).1, &FailureReason::NoCredentials);
    assert_eq!(get_assertions(&key).len(), 0);
}

#[test]
fn a_key_without_the_credential_is_touched_before_the_page_hears_of_it() {
    let mut key = FakeKey::new(NEW);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"stranger"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(
        failure(&outcome),
        (
            DomExceptionName::NotAllowedError,
            &FailureReason::NoCredentials
        )
    );
    assert_eq!(outcome.report.steps, [Step::Touch]);
    assert_eq!(key.count(Command::Selection), 1);
}

#[test]
fn an_older_key_is_touched_by_a_request_that_cannot_succeed() {
    let old = KeyFacts {
        client_pin: Some(false),
        ..OLD_PIN
    };
    let mut key = FakeKey::new(old);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"stranger"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.steps, [Step::Touch]);
    assert_eq!(
        last_make_credential(&key).pin_uv_auth_param,
        Some(Vec::new())
    );
    assert_eq!(last_make_credential(&key).rp.id, "touch.invalid");
}

// Accounts.

#[test]
fn one_of_several_accounts_is_picked() {
    let mut key = FakeKey::new(PIN)
        .with_cred(b"a", true, 1)
        .with_cred(b"b", true, 1)
        .with_cred(b"c", true, 1);
    let mut person = Person {
        account: 1,
        ..Person::default()
    };
    let outcome = run(getting(get_options(), "pinward"), &mut key, &mut person);
    assert_eq!(
        outcome.report.steps,
        [Step::EnterPin, Step::Touch, Step::PickAccount]
    );
    assert_eq!(authentication(&outcome).raw_id.0, b"b");
    assert_eq!(key.count(Command::GetNextAssertion), 2);
    let Some(Prompt::PickAccount { accounts }) = person.prompts.last() else {
        panic!()
    };
    let names: Vec<_> = accounts
        .iter()
        .map(|a| a.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["user 97", "user 98", "user 99"]);
}

#[test]
fn an_account_that_is_not_in_the_list_is_passed_over() {
    let mut key = FakeKey::new(PIN)
        .with_cred(b"a", true, 1)
        .with_cred(b"b", true, 1);
    let mut ceremony = getting(get_options(), "pinward");
    let mut out = ceremony.start(&[KEY_ID], Duration::ZERO, &mut rng());
    let mut picked = false;
    for _ in 0..100 {
        let mut next = Vec::new();
        for output in out {
            let event = match output {
                Output::Send { bytes, .. } => Event::Reply {
                    key: KEY_ID,
                    bytes: key.handle(&bytes).1,
                },
                Output::Prompt(Prompt::EnterPin { .. }) => {
                    Event::User(UserInput::Pin { pin: "1234".into() })
                }
                Output::Prompt(Prompt::PickAccount { .. }) => {
                    let input = Event::User(UserInput::Account { index: 7 });
                    assert_eq!(ceremony.step(input, Duration::ZERO, &mut rng()), []);
                    picked = true;
                    Event::User(UserInput::Account { index: 0 })
                }
                Output::Done(outcome) => {
                    assert_eq!(authentication(&outcome).raw_id.0, b"a");
                    assert!(picked);
                    return;
                }
                _ => continue,
            };
            next.extend(ceremony.step(event, Duration::ZERO, &mut rng()));
        }
        out = next;
    }
    panic!("no end");
}

// What the key may answer.

#[test]
fn an_answer_without_the_flag_does_not_satisfy_required() {
    let options = || {
        with(
            uv(get_options(), "required"),
            "allowCredentials",
            list(&[b"found"]),
        )
    };
    let key = || {
        let mut key = FakeKey::new(PIN).with_cred(b"found", false, 1);
        key.drops_uv = true;
        key
    };
    let outcome = run(
        getting(options(), "pinward"),
        &mut key(),
        &mut Person::default(),
    );
    assert_eq!(
        failure(&outcome),
        (
            DomExceptionName::NotAllowedError,
            &FailureReason::NotVerified
        )
    );
    // A platform that does not check hands it to the page.
    let outcome = run(
        getting(options(), "chromium-linux"),
        &mut key(),
        &mut Person::default(),
    );
    assert_eq!(outcome.report.uv, Some(false));
    // And in a registration.
    let outcome = run(
        creating(uv(create_options(), "required"), "pinward"),
        &mut key(),
        &mut Person::default(),
    );
    assert_eq!(failure(&outcome).1, &FailureReason::NotVerified);
}

#[test]
fn a_key_that_insists_although_it_did_not_say_so_is_verified_then() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", false, 1);
    key.scripted
        .push_back((Command::GetAssertion, Status::PUAT_REQUIRED));
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"found"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.steps, [Step::EnterPin, Step::Touch]);
    assert_eq!(outcome.report.uv, Some(true));
    assert!(
        outcome
            .report
            .reasons
            .iter()
            .any(|reason| reason.fact.contains("0x36"))
    );
    let site = outcome
        .report
        .reasons
        .iter()
        .filter(|r| r.who == client::report::Party::Site);
    assert_eq!(site.count(), 1, "the site asked once");
}

#[test]
fn nothing_is_sent_twice_after_the_same_status() {
    for status in [
        Status::PUAT_REQUIRED,
        Status::PIN_AUTH_INVALID,
        Status::OTHER,
    ] {
        let mut key = FakeKey::new(PIN).with_cred(b"found", false, 1);
        for _ in 0..10 {
            key.scripted.push_back((Command::GetAssertion, status));
        }
        let options = with(
            uv(get_options(), "discouraged"),
            "allowCredentials",
            list(&[b"found"]),
        );
        let outcome = run(
            getting(options, "pinward"),
            &mut key,
            &mut Person::default(),
        );
        assert_eq!(outcome.report.ended, Ended::Error, "{status}");
        assert!(key.count(Command::GetAssertion) <= 2, "{status}");
    }
}

#[test]
fn a_token_that_has_run_out_is_renewed_once() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", false, 1);
    key.scripted
        .push_back((Command::GetAssertion, Status::PIN_AUTH_INVALID));
    let options = with(
        uv(get_options(), "required"),
        "allowCredentials",
        list(&[b"found"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(
        outcome.report.steps,
        [Step::EnterPin, Step::EnterPin, Step::Touch]
    );
}

#[test]
fn a_full_key_gets_a_server_side_credential_where_that_will_do() {
    let selection = |rk: &str| json!({"residentKey": rk, "userVerification": "discouraged"});
    let full = || {
        let mut key = FakeKey::new(NEW);
        key.scripted
            .push_back((Command::MakeCredential, Status::KEY_STORE_FULL));
        key
    };
    let options = with(
        create_options(),
        "authenticatorSelection",
        selection("preferred"),
    );
    let options = with(options, "extensions", json!({"credProps": true}));
    let mut key = full();
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let outputs = &registration(&outcome).client_extension_results;
    assert_eq!(outputs.cred_props.as_ref().unwrap().rk, Some(false));

    let options = with(
        create_options(),
        "authenticatorSelection",
        selection("required"),
    );
    let outcome = run(
        creating(options, "pinward"),
        &mut full(),
        &mut Person::default(),
    );
    assert_eq!(failure(&outcome).1, &FailureReason::KeyFull);
}

#[test]
fn a_key_without_the_algorithms_is_touched_and_then_refused() {
    let mut key = FakeKey::new(NEW);
    let params = json!([{"type": "public-key", "alg": -257}]);
    let options = with(
        uv(create_options(), "discouraged"),
        "pubKeyCredParams",
        params,
    );
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(
        failure(&outcome),
        (
            DomExceptionName::NotSupportedError,
            &FailureReason::NoAlgorithm
        )
    );
    assert_eq!(outcome.report.steps, [Step::Touch]);
}

#[test]
fn statuses_without_a_better_explanation_are_told_by_name() {
    let mut key = FakeKey::new(NEW);
    key.scripted
        .push_back((Command::MakeCredential, Status::REQUEST_TOO_LARGE));
    let outcome = run(
        creating(uv(create_options(), "discouraged"), "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let words = outcome.result.unwrap_err().to_string();
    assert!(words.contains("CTAP2_ERR_REQUEST_TOO_LARGE"), "{words}");
}

// Attestation.

#[test]
fn without_attestation_the_site_learns_no_model() {
    let made = |attestation: Option<&str>| {
        let options = match attestation {
            Some(preference) => with(create_options(), "attestation", json!(preference)),
            None => create_options(),
        };
        let outcome = run(
            creating(uv(options, "discouraged"), "pinward"),
            &mut FakeKey::new(NEW),
            &mut Person::default(),
        );
        let made = registration(&outcome).clone();
        let object = AttestationObject::parse(&made.response.attestation_object.0).unwrap();
        let data = AuthenticatorData::parse(object.auth_data).unwrap();
        let aaguid = data.attested_credential_data.unwrap().aaguid;
        assert_eq!(
            made.response.authenticator_data.as_ref().unwrap().0,
            object.auth_data
        );
        (object.fmt.to_owned(), aaguid.0)
    };
    assert_eq!(made(None), ("none".to_owned(), [0; 16]));
    assert_eq!(made(Some("none")), ("none".to_owned(), [0; 16]));
    assert_eq!(made(Some("direct")), ("packed".to_owned(), [5; 16]));
    assert_eq!(made(Some("indirect")), ("packed".to_owned(), [5; 16]));
    // A value that is not known counts as absent.
    assert_eq!(made(Some("sometimes")), ("none".to_owned(), [0; 16]));
}

#[test]
fn a_registration_has_what_to_json_has() {
    let outcome = run(
        creating(uv(create_options(), "discouraged"), "pinward"),
        &mut FakeKey::new(NEW),
        &mut Person::default(),
    );
    let made = registration(&outcome);
    assert_eq!(made.response.public_key_algorithm, Some(-7));
    assert_eq!(made.response.public_key.as_ref().unwrap().len(), 91);
    assert_eq!(
        made.response
            .transports
            .iter()
            .map(|t| t.as_str())
            .collect::<Vec<_>>(),
        ["usb"]
    );
    let text = serde_json::to_value(outcome.result.as_ref().unwrap()).unwrap();
    assert_eq!(text["authenticatorAttachment"], "cross-platform");
    assert_eq!(text["type"], "public-key");
}

// Extensions.

#[test]
fn chromium_adds_protection_levels_by_itself() {
    let level = |rk: &str, uv: &str| {
        let mut key = FakeKey::new(PIN);
        let selection = json!({"residentKey": rk, "userVerification": uv});
        let options = with(create_options(), "authenticatorSelection", selection);
        let outcome = run(
            creating(options, "chromium-linux"),
            &mut key,
            &mut Person::default(),
        );
        registration(&outcome);
        let sent = last_make_credential(&key)
            .extensions
            .and_then(|e| e.cred_protect);
        (
            sent,
            outcome
                .report
                .reasons
                .iter()
                .any(|r| r.fact.contains("level 3")),
        )
    };
    assert_eq!(level("required", "preferred"), (Some(3), true));
    assert_eq!(level("required", "required"), (Some(2), false));
    assert_eq!(level("preferred", "preferred"), (Some(2), false));
    assert_eq!(level("discouraged", "preferred"), (None, false));
}

#[test]
fn the_protection_that_a_site_asks_goes_to_the_key() {
    let mut key = FakeKey::new(PIN);
    let policy =
        json!({"credentialProtectionPolicy": "userVerificationOptionalWithCredentialIDList"});
    let options = with(create_options(), "extensions", policy);
    run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(
        last_make_credential(&key).extensions.unwrap().cred_protect,
        Some(2)
    );
}

#[test]
fn a_key_that_cannot_protect_as_demanded_is_refused_after_a_touch() {
    let mut key = FakeKey::new(PIN);
    key.extensions = vec![];
    let wanted = json!({
        "credentialProtectionPolicy": "userVerificationRequired",
        "enforceCredentialProtectionPolicy": true,
    });
    let options = with(create_options(), "extensions", wanted);
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(failure(&outcome).1, &FailureReason::CannotProtect);
    assert_eq!(outcome.report.steps, [Step::Touch]);
}

#[test]
fn prf_gives_the_same_secret_for_the_same_input_and_another_for_another() {
    let evaluate = |first: &str, second: Option<&str>| {
        let mut key = FakeKey::new(PIN).with_cred(b"found", false, 1);
        let mut eval = json!({"first": first});
        if let Some(second) = second {
            eval["second"] = json!(second);
        }
        let options = with(get_options(), "allowCredentials", list(&[b"found"]));
        let options = with(options, "extensions", json!({"prf": {"eval": eval}}));
        let outcome = run(
            getting(options, "pinward"),
            &mut key,
            &mut Person::default(),
        );
        let results = authentication(&outcome)
            .client_extension_results
            .prf
            .clone()
            .unwrap();
        let results = results.results.unwrap();
        (results.first.0, results.second.map(|second| second.0))
    };
    let (a, none) = evaluate("AQ", None);
    assert_eq!((a.len(), none), (32, None));
    let (again, other) = evaluate("AQ", Some("Ag"));
    assert_eq!(a, again);
    assert_ne!(other.as_ref(), Some(&a));
    // The salt is bound to WebAuthn: SHA-256("WebAuthn PRF" || 0x00 || input).
    let salt = sha256(b"WebAuthn PRF\0\x01");
    assert_eq!(a, sha256(&[&[1][..], &salt].concat()));
}

#[test]
fn prf_without_verification_exposes_nothing() {
    let mut key = FakeKey::new(NEW).with_cred(b"found", false, 1);
    let mut person = Person {
        not_now: true,
        ..Person::default()
    };
    let options = with(get_options(), "allowCredentials", list(&[b"found"]));
    let options = with(
        options,
        "extensions",
        json!({"prf": {"eval": {"first": "AQ"}}}),
    );
    let outcome = run(getting(options, "pinward"), &mut key, &mut person);
    assert_eq!(outcome.report.uv, Some(false));
    let prf = authentication(&outcome)
        .client_extension_results
        .prf
        .clone()
        .unwrap();
    assert_eq!(prf.results, None);
}

#[test]
fn prf_inputs_by_credential_follow_the_credential_of_the_key() {
    let mut key = FakeKey::new(PIN).with_cred(b"mine", false, 1);
    let name = base64url::encode(b"mine");
    let options = with(
        get_options(),
        "allowCredentials",
        list(&[b"other", b"mine"]),
    );
    let prf = json!({"prf": {
        "eval": {"first": "AQ"},
        "evalByCredential": {name: {"first": "Ag"}},
    }});
    let outcome = run(
        getting(with(options, "extensions", prf), "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let prf = authentication(&outcome)
        .client_extension_results
        .prf
        .clone()
        .unwrap();
    let salt = sha256(b"WebAuthn PRF\0\x02");
    assert_eq!(
        prf.results.unwrap().first.0,
        sha256(&[&[1][..], &salt].concat())
    );
}

#[test]
fn prf_at_registration_says_whether_it_is_enabled() {
    for (extensions, enabled) in [(vec!["hmac-secret"], true), (vec![], false)] {
        let mut key = FakeKey::new(PIN);
        key.extensions = extensions;
        let options = with(create_options(), "extensions", json!({"prf": {}}));
        let outcome = run(
            creating(options, "pinward"),
            &mut key,
            &mut Person::default(),
        );
        let prf = registration(&outcome)
            .client_extension_results
            .prf
            .clone()
            .unwrap();
        assert_eq!(prf.enabled, Some(enabled));
    }
}

// Built-in verification.

#[test]
fn a_finger_that_is_not_recognised_is_tried_again_and_then_the_pin_is_asked() {
    let mut key = FakeKey::new(BIO).with_cred(b"found", false, 1);
    let options = with(
        uv(get_options(), "required"),
        "allowCredentials",
        list(&[b"found"]),
    );
    // The key-agreement exchanges come before each try; only the tries are scripted.
    let mut person = Person::default();
    let outcome = run_with_uv(
        getting(options, "pinward"),
        &mut key,
        &mut person,
        &[Status::UV_INVALID, Status::UV_INVALID, Status::UV_BLOCKED],
    );
    assert_eq!(outcome.report.steps, [Step::EnterPin, Step::Touch]);
    let fingers: Vec<_> = person
        .prompts
        .iter()
        .filter_map(|prompt| match prompt {
            Prompt::Fingerprint { previous_wrong, .. } => Some(*previous_wrong),
            _ => None,
        })
        .collect();
    assert_eq!(fingers, [false, true]);
}

#[test]
fn a_denied_finger_falls_back_to_the_pin_with_us_and_fails_in_chromium() {
    let options = || {
        with(
            uv(get_options(), "required"),
            "allowCredentials",
            list(&[b"found"]),
        )
    };
    let denied = |id: &str| {
        let mut key = FakeKey::new(BIO).with_cred(b"found", false, 1);
        let mut person = Person::default();
        run_with_uv(
            getting(options(), id),
            &mut key,
            &mut person,
            &[Status::OPERATION_DENIED],
        )
    };
    assert_eq!(
        denied("pinward").report.steps,
        [Step::EnterPin, Step::Touch]
    );
    let outcome = denied("chromium-linux");
    assert_eq!(
        failure(&outcome).1,
        &FailureReason::Key(Status::OPERATION_DENIED)
    );
    assert_eq!(denied("firefox-linux").report.ended, Ended::Unknown);
}

#[test]
fn an_older_key_verifies_within_the_request() {
    let old = KeyFacts {
        uv: Some(true),
        client_pin: None,
        ..OLD_PIN
    };
    let mut key = FakeKey::new(old).with_cred(b"found", false, 1);
    let options = with(
        uv(get_options(), "required"),
        "allowCredentials",
        list(&[b"found"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.steps, [Step::Fingerprint]);
    assert_eq!(
        get_assertions(&key)[0].options.as_ref().unwrap().uv,
        Some(true)
    );
    assert_eq!(get_assertions(&key)[0].pin_uv_auth_param, None);
}

#[test]
fn a_finger_is_enrolled_in_the_flow_where_the_platform_does_that() {
    let bio0 = KeyFacts {
        uv: Some(false),
        bio_enroll: Some(false),
        ..PIN
    };
    let mut key = FakeKey::new(bio0);
    let mut person = Person::default();
    let outcome = run(
        creating(uv(create_options(), "required"), "chromium-linux"),
        &mut key,
        &mut person,
    );
    assert_eq!(
        outcome.report.steps,
        [Step::EnterPin, Step::EnrollFingerprint, Step::Touch]
    );
    let permissions = token_request(&key).permissions.unwrap();
    assert_eq!(permissions & u64::from(Permissions::BIO_ENROLLMENT.0), 0x08);
    assert!(
        person
            .prompts
            .contains(&Prompt::EnrollFingerprint { remaining: Some(1) })
    );
}

/// As [`run`], with these answers to getPinUvAuthTokenUsingUv.
fn run_with_uv(
    mut ceremony: Ceremony,
    key: &mut FakeKey,
    person: &mut Person,
    answers: &[Status],
) -> Outcome {
    let mut answers = answers.iter();
    let mut todo: std::collections::VecDeque<_> =
        ceremony.start(&[KEY_ID], Duration::ZERO, &mut rng()).into();
    while let Some(output) = todo.pop_front() {
        let event = match output {
            Output::Send { bytes, .. } => {
                let by_uv = bytes[0] == Command::ClientPin.code()
                    && PinRequest::decode(&bytes[1..]).unwrap().sub_command == 0x06;
                let scripted = if by_uv { answers.next() } else { None };
                let bytes = match scripted {
                    Some(status) => vec![status.0],
                    None => key.handle(&bytes).1,
                };
                Event::Reply { key: KEY_ID, bytes }
            }
            Output::Prompt(prompt) => {
                person.prompts.push(prompt.clone());
                match prompt {
                    Prompt::EnterPin { .. } => Event::User(UserInput::Pin { pin: "1234".into() }),
                    _ => continue,
                }
            }
            Output::Done(outcome) => return *outcome,
            _ => continue,
        };
        todo.extend(ceremony.step(event, Duration::ZERO, &mut rng()));
    }
    panic!("the ceremony is stuck");
}

// Time, abort, cancel, keys that come and go.

#[test]
fn nobody_answering_ends_in_time_and_frees_the_key() {
    let minutes = |options: Value| {
        let mut ceremony = creating(options, "pinward");
        let mut key = FakeKey::new(NEW);
        let start = Duration::from_secs(1000);
        let out = ceremony.start(&[KEY_ID], start, &mut rng());
        let [Output::Send { bytes, .. }] = &out[..] else {
            panic!("{out:?}")
        };
        let reply = Event::Reply {
            key: KEY_ID,
            bytes: key.handle(bytes).1,
        };
        let out = ceremony.step(reply, start, &mut rng());
        // The key waits for its touch.
        assert!(matches!(out[1], Output::Send { .. }), "{out:?}");
        let at = ceremony.wake_at().unwrap();
        assert_eq!(
            ceremony.step(Event::Tick, at - Duration::from_millis(1), &mut rng()),
            []
        );
        let out = ceremony.step(Event::Tick, at, &mut rng());
        assert_eq!(out[0], Output::CancelKey(KEY_ID));
        let Some(Output::Done(outcome)) = out.last() else {
            panic!("{out:?}")
        };
        assert_eq!(failure(outcome).1, &FailureReason::TimedOut);
        assert_eq!(ceremony.wake_at(), None);
        (at - start).as_secs()
    };
    let options = || uv(create_options(), "discouraged");
    assert_eq!(minutes(options()), 300);
    assert_eq!(minutes(with(options(), "timeout", json!(1000))), 300);
    assert_eq!(minutes(with(options(), "timeout", json!(400_000))), 400);
    assert_eq!(minutes(with(options(), "timeout", json!(4_000_000))), 600);
}

#[test]
fn an_abort_frees_the_key_and_is_told_as_such() {
    let mut ceremony = creating(create_options(), "pinward");
    ceremony.start(&[KEY_ID], Duration::ZERO, &mut rng());
    let out = ceremony.step(Event::Abort, Duration::ZERO, &mut rng());
    assert_eq!(out[0], Output::CancelKey(KEY_ID));
    let Some(Output::Done(outcome)) = out.last() else {
        panic!("{out:?}")
    };
    assert_eq!(failure(outcome).0, DomExceptionName::AbortError);
    // Nothing more comes, whatever happens.
    let late = Event::Reply {
        key: KEY_ID,
        bytes: vec![0x2D],
    };
    assert_eq!(ceremony.step(late, Duration::ZERO, &mut rng()), []);
}

#[test]
fn closing_the_dialog_is_told_as_such_and_unknown_where_nobody_looked() {
    let cancelled = |id: &str| {
        let mut person = Person {
            cancels: true,
            ..Person::default()
        };
        run(
            creating(uv(create_options(), "required"), id),
            &mut FakeKey::new(NEW),
            &mut person,
        )
    };
    let outcome = cancelled("pinward");
    assert_eq!(
        failure(&outcome),
        (DomExceptionName::NotAllowedError, &FailureReason::Cancelled)
    );
    assert_eq!(outcome.report.steps, []);
    assert_eq!(
        cancelled("windows-11-after-kb5068861").report.ended,
        Ended::Unknown
    );
    assert_eq!(cancelled("chromium-linux").report.ended, Ended::Error);
}

#[test]
fn without_a_key_the_person_is_asked_for_one() {
    let mut ceremony = getting(get_options(), "pinward");
    let out = ceremony.start(&[], Duration::ZERO, &mut rng());
    assert_eq!(out, [Output::Prompt(Prompt::InsertKey)]);
    let out = ceremony.step(Event::KeyAdded(KEY_ID), Duration::ZERO, &mut rng());
    assert_eq!(
        out,
        [Output::Send {
            key: KEY_ID,
            bytes: vec![0x04]
        }]
    );
}

#[test]
fn a_key_taken_out_in_the_middle_may_come_back() {
    let mut ceremony = getting(get_options(), "pinward");
    ceremony.start(&[KEY_ID], Duration::ZERO, &mut rng());
    let out = ceremony.step(Event::KeyRemoved(KEY_ID), Duration::ZERO, &mut rng());
    assert_eq!(out, [Output::Prompt(Prompt::InsertKey)]);
    // An answer of the key that is gone means nothing.
    let late = Event::Reply {
        key: KEY_ID,
        bytes: vec![0x01],
    };
    assert_eq!(ceremony.step(late, Duration::ZERO, &mut rng()), []);
    let out = ceremony.step(Event::KeyAdded(KEY_ID), Duration::ZERO, &mut rng());
    assert_eq!(
        out,
        [Output::Send {
            key: KEY_ID,
            bytes: vec![0x04]
        }]
    );
}

#[test]
fn of_several_keys_a_touch_chooses_one_and_the_others_are_let_go() {
    let mut ceremony = getting(uv(get_options(), "discouraged"), "pinward");
    let mut keys = [
        FakeKey::new(NEW).with_cred(b"first", true, 1),
        FakeKey::new(NEW).with_cred(b"second", true, 1),
    ];
    let ids = [KeyId(10), KeyId(11)];
    let now = Duration::ZERO;
    let out = ceremony.start(&ids, now, &mut rng());
    assert!(out.contains(&Output::Prompt(Prompt::Touch {
        purpose: TouchPurpose::Select,
        rp_id: "example.org".into()
    })));
    let mut asked = Vec::new();
    for (id, key) in ids.iter().zip(&mut keys) {
        let info = Event::Reply {
            key: *id,
            bytes: key.handle(&[0x04]).1,
        };
        asked.extend(ceremony.step(info, now, &mut rng()));
    }
    assert_eq!(
        asked,
        [
            Output::Send {
                key: ids[0],
                bytes: vec![0x0B]
            },
            Output::Send {
                key: ids[1],
                bytes: vec![0x0B]
            },
        ]
    );
    // The second is touched.
    let out = ceremony.step(
        Event::Reply {
            key: ids[1],
            bytes: vec![0],
        },
        now,
        &mut rng(),
    );
    assert_eq!(out[0], Output::CancelKey(ids[0]));
    let sent = out.iter().find_map(|output| match output {
        Output::Send { key, bytes } if *key == ids[1] => Some(bytes.clone()),
        _ => None,
    });
    let reply = keys[1].handle(&sent.unwrap()).1;
    let out = ceremony.step(
        Event::Reply {
            key: ids[1],
            bytes: reply,
        },
        now,
        &mut rng(),
    );
    let Some(Output::Done(outcome)) = out.last() else {
        panic!("{out:?}")
    };
    assert_eq!(authentication(outcome).raw_id.0, b"second");
    assert_eq!(outcome.report.steps, [Step::Touch, Step::Touch]);
}

#[test]
fn an_answer_to_another_dialog_is_passed_over() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", true, 1);
    let mut ceremony = getting(uv(get_options(), "required"), "pinward");
    let now = Duration::ZERO;
    let mut out = ceremony.start(&[KEY_ID], now, &mut rng());
    while let Some(Output::Send { bytes, .. }) =
        out.iter().find(|o| matches!(o, Output::Send { .. }))
    {
        let reply = Event::Reply {
            key: KEY_ID,
            bytes: key.handle(bytes).1,
        };
        out = ceremony.step(reply, now, &mut rng());
    }
    assert!(matches!(ceremony.prompt(), Some(Prompt::EnterPin { .. })));
    for input in [
        UserInput::NewPin {
            pin: "123456".into(),
        },
        UserInput::NotNow,
        UserInput::Account { index: 0 },
        UserInput::ChangePin {
            old: None,
            new: "123456".into(),
        },
    ] {
        assert_eq!(ceremony.step(Event::User(input), now, &mut rng()), []);
    }
    let out = ceremony.step(
        Event::User(UserInput::Pin { pin: "1234".into() }),
        now,
        &mut rng(),
    );
    assert!(matches!(out[..], [Output::Send { .. }]), "{out:?}");
}

// U2F.

#[test]
fn a_u2f_key_registers_and_signs() {
    let mut key = FakeKey::new(KeyFacts::u2f_only());
    let options = with(
        uv(create_options(), "discouraged"),
        "attestation",
        json!("direct"),
    );
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let made = registration(&outcome);
    let object = AttestationObject::parse(&made.response.attestation_object.0).unwrap();
    assert_eq!(object.fmt, "fido-u2f");
    assert_eq!(made.raw_id.0, [77; 32]);
    assert_eq!(outcome.report.steps, [Step::U2f, Step::Touch]);

    key = key.with_cred(b"handle", false, 1);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"other", b"handle"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let made = authentication(&outcome);
    assert_eq!(made.raw_id.0, b"handle");
    let data = AuthenticatorData::parse(&made.response.authenticator_data.0).unwrap();
    assert_eq!(
        (
            data.sign_count,
            data.flags.user_present(),
            data.flags.user_verified()
        ),
        (5, true, false)
    );
    assert_eq!(outcome.report.uv, Some(false));
}

#[test]
fn a_u2f_key_is_asked_again_until_it_is_touched() {
    let mut ceremony = creating(uv(create_options(), "discouraged"), "pinward");
    let now = Duration::from_secs(5);
    ceremony.start(&[KEY_ID], now, &mut rng());
    let not_ctap2 = Event::Reply {
        key: KEY_ID,
        bytes: vec![0x01],
    };
    let out = ceremony.step(not_ctap2, now, &mut rng());
    assert!(
        matches!(out.last(), Some(Output::SendU2f { .. })),
        "{out:?}"
    );
    let untouched = Event::Reply {
        key: KEY_ID,
        bytes: vec![0x69, 0x85],
    };
    assert_eq!(ceremony.step(untouched, now, &mut rng()), []);
    let at = ceremony.wake_at().unwrap();
    assert!(at - now <= Duration::from_secs(1));
    let out = ceremony.step(Event::Tick, at, &mut rng());
    assert!(matches!(&out[..], [Output::SendU2f { .. }]), "{out:?}");
}

#[test]
fn a_u2f_key_cannot_be_used_where_verification_is_required() {
    let mut key = FakeKey::new(KeyFacts::u2f_only());
    let outcome = run(
        creating(uv(create_options(), "required"), "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(failure(&outcome).0, DomExceptionName::ConstraintError);
    assert_eq!(outcome.report.steps, [Step::Touch]);
}

#[test]
fn a_u2f_key_that_is_excluded_is_told_after_a_touch() {
    let mut key = FakeKey::new(KeyFacts::u2f_only()).with_cred(b"handle", false, 1);
    let options = with(
        uv(create_options(), "discouraged"),
        "excludeCredentials",
        list(&[b"handle"]),
    );
    let outcome = run(
        creating(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(failure(&outcome).0, DomExceptionName::InvalidStateError);
    assert_eq!(outcome.report.steps, [Step::U2f, Step::Touch]);
}

// Bugs of others, really repeated.

#[test]
fn the_old_windows_loop_asks_again_and_again_and_is_named() {
    let always = KeyFacts {
        always_uv: true,
        make_cred_uv_not_rqd: false,
        ..PIN
    };
    let mut key = FakeKey::new(always).with_cred(b"found", false, 1);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"found"]),
    );
    let mut person = Person::default();
    let outcome = run(getting(options, "windows-10-22h2"), &mut key, &mut person);
    assert_eq!(outcome.report.ended, Ended::Loop);
    assert_eq!(
        outcome.report.steps,
        [Step::Touch, Step::EnterPin].repeat(3)
    );
    // Each round got a token and did not use it.
    assert_eq!(
        key.count_pin(SubCommand::GetPinUvAuthTokenUsingPinWithPermissions),
        3
    );
    assert!(
        get_assertions(&key)
            .iter()
            .all(|request| request.pin_uv_auth_param.is_none())
    );
    assert!(
        outcome
            .report
            .reasons
            .iter()
            .any(|r| r.fact.starts_with("Known bug:"))
    );
}

#[test]
fn the_webkit_loop_says_wrong_pin_to_the_right_one() {
    let insists = KeyFacts {
        make_cred_uv_not_rqd: false,
        ..PIN
    };
    let mut key = FakeKey::new(insists);
    let mut person = Person::default();
    let outcome = run(
        creating(uv(create_options(), "discouraged"), "webkit"),
        &mut key,
        &mut person,
    );
    assert_eq!(outcome.report.ended, Ended::Loop);
    let wrong: Vec<_> = person
        .prompts
        .iter()
        .filter_map(|prompt| match prompt {
            Prompt::EnterPin { previous_wrong, .. } => Some(*previous_wrong),
            _ => None,
        })
        .collect();
    assert_eq!(wrong, [false, true, true]);
    assert_eq!(key.retries, 8, "the PIN was right each time");
}

#[test]
fn the_exclude_list_hang_ends_after_the_touch() {
    let mut key = FakeKey::new(PIN);
    let options = with(
        uv(create_options(), "discouraged"),
        "excludeCredentials",
        list(&[b"stranger"]),
    );
    let outcome = run(
        creating(options, "windows-11-after-kb5068861"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.ended, Ended::Hang);
    assert_eq!(outcome.report.steps, [Step::Touch]);
    assert_eq!(
        last_make_credential(&key).pin_uv_auth_param,
        Some(Vec::new())
    );
}

#[test]
fn chromium_registers_by_u2f_rather_than_asking_for_the_pin() {
    let insists = KeyFacts {
        make_cred_uv_not_rqd: false,
        u2f_v2: true,
        ..PIN
    };
    let mut key = FakeKey::new(insists);
    let outcome = run(
        creating(uv(create_options(), "discouraged"), "chromium-linux"),
        &mut key,
        &mut Person::default(),
    );
    assert_eq!(outcome.report.steps, [Step::U2f, Step::Touch]);
    assert_eq!(key.count(Command::MakeCredential), 0);
}

// The report.

#[test]
fn a_report_is_plain_json() {
    let mut key = FakeKey::new(NEW).with_cred(b"found", false, 1);
    let options = with(get_options(), "allowCredentials", list(&[b"found"]));
    let outcome = run(
        getting(options, "windows-11-after-kb5068861"),
        &mut key,
        &mut Person::default(),
    );
    let report = serde_json::to_value(&outcome.report).unwrap();
    assert_eq!(report["steps"], json!(["create-pin", "touch"]));
    assert_eq!(report["uv"], true);
    assert_eq!(report["ended"], "ok");
    let parties: Vec<_> = report["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["who"].as_str().unwrap())
        .collect();
    assert_eq!(parties, ["site", "key", "platform"]);
    assert_eq!(report["reasons"][2]["certainty"], "vendor");
    assert!(
        report["reasons"][2]["reference"]
            .as_str()
            .unwrap()
            .contains("KB5073129")
    );
}

#[test]
fn no_pin_ever_shows_in_outputs_or_reports() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", true, 1);
    let mut person = Person {
        pins: vec!["31415926"],
        ..Person::default()
    };
    key.pin = Some("31415926".into());
    let outcome = run(
        getting(uv(get_options(), "required"), "pinward"),
        &mut key,
        &mut person,
    );
    assert!(!format!("{outcome:?}").contains("31415926"));
    assert!(!format!("{:?}", person.prompts).contains("31415926"));
    assert!(
        key.seen
            .iter()
            .all(|bytes| !bytes.windows(8).any(|window| window == b"31415926"))
    );
}

#[test]
fn a_failure_ends_the_chain_of_reasons_in_plain_words() {
    let mut key = FakeKey::new(PIN).with_cred(b"found", false, 3);
    let options = with(
        uv(get_options(), "discouraged"),
        "allowCredentials",
        list(&[b"found"]),
    );
    let outcome = run(
        getting(options, "pinward"),
        &mut key,
        &mut Person::default(),
    );
    let last = outcome.report.reasons.last().unwrap();
    assert_eq!(
        last.fact,
        "This key has no credential for this site (or shows it only after verification)."
    );
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["error"]["name"], "NotAllowedError");
    assert_eq!(
        json["error"]["reason"],
        json["report"]["reasons"][2]["fact"]
    );
}
