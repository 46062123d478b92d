//! WebAuthn L3 §10.1 and CTAP 2.3 §12: what pages may ask by extensions, and credentials made by U2F.
#![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise

mod fake;

use std::time::Duration;

use client::policy::HostPolicy;
use client::report::{DomExceptionName, Step};
use client::uv::KeyFacts;
use client::{Ceremony, Credential, FailureReason, Outcome, Output};
use ctap::{Command, get_assertion, make_credential};
use fake::{FakeKey, KEY, Person, caller, platform, rng, run, sha256};
use serde_json::{Value, json};
use webauthn::base64url;

const APP_ID: &str = "https://example.org/u2f.json";

fn facts(ctap2: bool) -> KeyFacts {
    KeyFacts {
        ctap2,
        rk: ctap2,
        pin_uv_auth_token: ctap2,
        make_cred_uv_not_rqd: ctap2,
        ..KeyFacts::u2f_only()
    }
}

fn list(ids: &[&[u8]]) -> Value {
    ids.iter()
        .map(|id| json!({"type": "public-key", "id": base64url::encode(id)}))
        .collect::<Vec<_>>()
        .into()
}

fn creating(extensions: Value, exclude: Value) -> Ceremony {
    let options = json!({
        "rp": {"name": "Example"},
        "user": {"id": "AQ", "name": "kim", "displayName": ""},
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"userVerification": "discouraged"},
        "excludeCredentials": exclude, "extensions": extensions,
    });
    let options = serde_json::from_value(options).unwrap();
    Ceremony::create(
        options,
        caller(),
        platform("pinward"),
        HostPolicy::default(),
    )
}

fn getting(extensions: Value, allow: Value) -> Ceremony {
    let options = json!({
        "challenge": "AAECAwQFBgcICQoLDA0ODw", "userVerification": "discouraged",
        "allowCredentials": allow, "extensions": extensions,
    });
    let options = serde_json::from_value(options).unwrap();
    Ceremony::get(
        options,
        caller(),
        platform("pinward"),
        HostPolicy::default(),
    )
}

/// The failure of options that no key ever sees.
fn refused(mut ceremony: Ceremony) -> DomExceptionName {
    let out = ceremony.start(&[KEY], Duration::ZERO, &mut rng());
    match &out[..] {
        [Output::Done(outcome)] => outcome.result.as_ref().unwrap_err().name,
        other => panic!("{other:?}"),
    }
}

fn results(outcome: &Outcome) -> Value {
    let results = match &outcome.result {
        Ok(Credential::Registration(made)) => &made.client_extension_results,
        Ok(Credential::Authentication(made)) => &made.client_extension_results,
        Err(failure) => panic!("{failure:?} {:#?}", outcome.report),
    };
    serde_json::to_value(results).unwrap()
}

/// A key with a credential that was registered by U2F under the AppID.
fn with_u2f_credential(ctap2: bool) -> FakeKey {
    let mut key = FakeKey::new(facts(ctap2)).with_cred(b"old", false, 1);
    key.creds[0].rp_id = APP_ID.to_owned();
    key.with_cred(b"new", false, 1)
}

#[test]
fn extensions_of_the_other_ceremony_and_contradictions_are_refused() {
    use DomExceptionName::{NotAllowedError, NotSupportedError, SecurityError};
    let some = list(&[b"a"]);
    for (extensions, name) in [
        (json!({"largeBlob": {"read": true}}), NotSupportedError),
        (json!({"largeBlob": {"write": "AQ"}}), NotSupportedError),
        (json!({"prf": {"evalByCredential": {}}}), NotSupportedError),
        (
            json!({"appidExclude": "https://other.example/u2f"}),
            SecurityError,
        ),
    ] {
        assert_eq!(
            refused(creating(extensions.clone(), json!([]))),
            name,
            "{extensions}"
        );
    }
    for (extensions, allow, name) in [
        (
            json!({"largeBlob": {"support": "required"}}),
            &some,
            NotSupportedError,
        ),
        (
            json!({"largeBlob": {"read": true, "write": "AQ"}}),
            &some,
            NotSupportedError,
        ),
        (
            json!({"largeBlob": {"write": "AQ"}}),
            &json!([]),
            NotSupportedError,
        ),
        (
            json!({"largeBlob": {"write": "AQ"}}),
            &list(&[b"a", b"b"]),
            NotSupportedError,
        ),
        (
            json!({"payment": {"isPayment": true}}),
            &some,
            NotAllowedError,
        ),
        (json!({"appid": APP_ID}), &json!([]), NotSupportedError),
        (
            json!({"appid": "https://other.example/u2f"}),
            &some,
            SecurityError,
        ),
    ] {
        assert_eq!(
            refused(getting(extensions.clone(), allow.clone())),
            name,
            "{extensions}"
        );
    }
}

#[test]
fn a_credential_of_the_app_id_signs_with_one_touch() {
    for ctap2 in [true, false] {
        let mut key = with_u2f_credential(ctap2);
        let ceremony = getting(json!({"appid": APP_ID}), list(&[b"strange", b"old"]));
        let outcome = run(ceremony, &mut key, &mut Person::default());
        assert_eq!(results(&outcome)["appid"], true, "ctap2 {ctap2}");
        let touches = outcome
            .report
            .steps
            .iter()
            .filter(|step| **step == Step::Touch);
        assert_eq!(touches.count(), 1, "{:?}", outcome.report.steps);
        let Ok(Credential::Authentication(made)) = &outcome.result else {
            panic!()
        };
        assert_eq!(made.raw_id.0, b"old");
        let hash = &made.response.authenticator_data.0[..32];
        assert_eq!(hash, sha256(APP_ID.as_bytes()));
    }
}

#[test]
fn a_credential_of_the_rp_id_is_not_touched_by_the_app_id() {
    for ctap2 in [true, false] {
        let mut key = with_u2f_credential(ctap2);
        let ceremony = getting(json!({"appid": APP_ID}), list(&[b"new"]));
        let outcome = run(ceremony, &mut key, &mut Person::default());
        assert_eq!(results(&outcome)["appid"], false, "ctap2 {ctap2}");
        let Ok(Credential::Authentication(made)) = &outcome.result else {
            panic!()
        };
        assert_eq!(
            made.response.authenticator_data.0[..32],
            sha256(b"example.org")
        );
    }
}

#[test]
fn without_appid_such_a_credential_is_not_found() {
    let mut key = with_u2f_credential(true);
    let outcome = run(
        getting(json!({}), list(&[b"old"])),
        &mut key,
        &mut Person::default(),
    );
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.reason, FailureReason::NoCredentials);
}

#[test]
fn appid_exclude_keeps_a_registered_key_from_another_credential() {
    for ctap2 in [true, false] {
        let mut key = with_u2f_credential(ctap2);
        let extensions = json!({"appidExclude": APP_ID});
        let ceremony = creating(extensions.clone(), list(&[b"old"]));
        let outcome = run(ceremony, &mut key, &mut Person::default());
        let failure = outcome.result.as_ref().unwrap_err();
        assert_eq!(
            failure.name,
            DomExceptionName::InvalidStateError,
            "ctap2 {ctap2}"
        );
        assert!(
            outcome.report.steps.contains(&Step::Touch),
            "a page learns nothing without a touch"
        );
        // Another key is registered under the RP ID, and told so.
        let mut other = FakeKey::new(facts(ctap2));
        let outcome = run(
            creating(extensions, list(&[b"old"])),
            &mut other,
            &mut Person::default(),
        );
        assert_eq!(results(&outcome)["appidExclude"], true, "ctap2 {ctap2}");
        let Ok(Credential::Registration(made)) = &outcome.result else {
            panic!()
        };
        let data = made.response.authenticator_data.as_ref().unwrap();
        assert_eq!(data.0[..32], sha256(b"example.org"));
    }
}

#[test]
fn a_key_learns_of_an_extension_only_if_it_has_it() {
    let asked = json!({
        "payment": {"isPayment": true}, "minPinLength": true, "credBlob": "AQID",
        "largeBlob": {"support": "preferred"}, "prf": {}, "credProps": true,
        "credentialProtectionPolicy": "userVerificationOptionalWithCredentialIDList",
    });
    let sent = |extensions: &[&'static str]| {
        let mut key = FakeKey::new(facts(true));
        key.extensions = extensions.to_vec();
        let outcome = run(
            creating(asked.clone(), json!([])),
            &mut key,
            &mut Person::default(),
        );
        let request = key
            .seen
            .iter()
            .rfind(|b| b[0] == Command::MakeCredential.code())
            .unwrap();
        let request = make_credential::Request::decode(&request[1..]).unwrap();
        (request.extensions, results(&outcome))
    };
    let (none, outputs) = sent(&[]);
    assert_eq!(none, None);
    assert_eq!(outputs["prf"], json!({"enabled": false}));
    assert_eq!(outputs["largeBlob"], json!({"supported": false}));
    assert_eq!(outputs["credBlob"], false);
    assert_eq!(outputs["credProps"], json!({"rk": false}));
    let (all, _) = sent(&[
        "thirdPartyPayment",
        "minPinLength",
        "credBlob",
        "hmac-secret",
        "credProtect",
    ]);
    let all = all.unwrap();
    assert_eq!(all.third_party_payment, Some(true));
    assert_eq!(all.min_pin_length, Some(true));
    assert_eq!(all.hmac_secret, Some(true));
    assert_eq!(all.cred_protect, Some(2));
    assert_eq!(all.cred_blob.unwrap().to_vec(), [1, 2, 3]);
}

#[test]
fn a_blob_that_is_required_needs_a_key_that_keeps_it() {
    for ctap2 in [true, false] {
        let mut key = FakeKey::new(facts(ctap2));
        let ceremony = creating(json!({"largeBlob": {"support": "required"}}), json!([]));
        let outcome = run(ceremony, &mut key, &mut Person::default());
        assert_eq!(
            outcome.result.unwrap_err().reason,
            FailureReason::NoLargeBlob
        );
        assert_eq!(outcome.report.steps.last(), Some(&Step::Touch));
        assert!(key.creds.is_empty(), "ctap2 {ctap2}");
    }
}

#[test]
fn the_app_id_is_tried_without_spending_the_touch() {
    let mut key = with_u2f_credential(true);
    let ceremony = getting(json!({"appid": APP_ID}), list(&[b"old"]));
    run(ceremony, &mut key, &mut Person::default());
    let asked: Vec<_> = key
        .seen
        .iter()
        .filter(|bytes| bytes[0] == Command::GetAssertion.code())
        .map(|bytes| get_assertion::Request::decode(&bytes[1..]).unwrap())
        .map(|request| {
            (
                request.rp_id,
                request.options.and_then(|options| options.up),
            )
        })
        .collect();
    assert_eq!(
        asked,
        [(APP_ID.to_owned(), Some(false)), (APP_ID.to_owned(), None)]
    );
}
