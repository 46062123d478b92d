//! WebAuthn L3 §5.11: a page that is not below the RP ID may use it if the site of the RP ID says so.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fake;

use std::time::Duration;

use client::policy::HostPolicy;
use client::report::DomExceptionName;
use client::{Caller, Ceremony, Credential, Event, KeyId, Outcome, Output};
use fake::{FakeKey, KEY, platform, rng};
use serde_json::json;

const PAGE: &str = "https://example.de";

fn getting(rp_id: &str, origin: &str) -> Ceremony {
    let options = json!({
        "challenge": "AAECAwQFBgcICQoLDA0ODw", "rpId": rp_id, "userVerification": "discouraged",
    });
    let options = serde_json::from_value(options).unwrap();
    let caller = Caller::top_level(origin.parse().unwrap());
    Ceremony::get(options, caller, platform("pinward"), HostPolicy::default())
}

fn step(ceremony: &mut Ceremony, event: Event) -> Vec<Output> {
    ceremony.step(event, Duration::ZERO, &mut rng())
}

fn done(out: &[Output]) -> &Outcome {
    match out.last() {
        Some(Output::Done(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

fn answered(document: Option<&[u8]>) -> Vec<Output> {
    let mut ceremony = getting("example.org", PAGE);
    ceremony.start(&[KEY], Duration::ZERO, &mut rng());
    step(
        &mut ceremony,
        Event::RelatedOrigins(document.map(<[u8]>::to_vec)),
    )
}

#[test]
fn the_site_is_asked_before_any_key() {
    let mut ceremony = getting("example.org", PAGE);
    let out = ceremony.start(&[KEY], Duration::ZERO, &mut rng());
    let url = "https://example.org/.well-known/webauthn".to_owned();
    assert_eq!(out, [Output::RelatedOrigins { url }]);
    // Keys that come meanwhile wait too.
    assert_eq!(step(&mut ceremony, Event::KeyAdded(KeyId(9))), []);
    assert_eq!(step(&mut ceremony, Event::KeyRemoved(KeyId(9))), []);
    let document = br#"{"origins": ["https://example.de"]}"#.to_vec();
    let out = step(&mut ceremony, Event::RelatedOrigins(Some(document)));
    assert_eq!(
        out,
        [Output::Send {
            key: KEY,
            bytes: vec![0x04]
        }]
    );
}

#[test]
fn a_page_that_the_site_names_signs_in_under_its_own_origin() {
    let mut ceremony = getting("example.org", PAGE);
    let mut key = FakeKey::new(client::uv::KeyFacts {
        ctap2: true,
        rk: true,
        ..client::uv::KeyFacts::u2f_only()
    })
    .with_cred(b"id", true, 1);
    let mut out = ceremony.start(&[KEY], Duration::ZERO, &mut rng());
    let outcome = loop {
        out = match &out[..] {
            [.., Output::Done(outcome)] => break outcome.clone(),
            [.., Output::Send { bytes, .. }] => {
                let bytes = key.handle(bytes).1;
                step(&mut ceremony, Event::Reply { key: KEY, bytes })
            }
            [.., Output::RelatedOrigins { .. }] => {
                let document = br#"{"origins": ["https://example.com", "https://example.de/"]}"#;
                step(
                    &mut ceremony,
                    Event::RelatedOrigins(Some(document.to_vec())),
                )
            }
            other => panic!("{other:?}"),
        };
    };
    let Ok(Credential::Authentication(made)) = &outcome.result else {
        panic!("{outcome:?}")
    };
    let data: serde_json::Value =
        serde_json::from_slice(&made.response.client_data_json.0).unwrap();
    assert_eq!(data["origin"], PAGE);
    assert_eq!(
        made.response.authenticator_data.0[..32],
        fake::sha256(b"example.org")
    );
    assert!(
        outcome.report.reasons[0].fact.contains(PAGE),
        "{:?}",
        outcome.report
    );
}

#[test]
fn without_the_word_of_the_site_the_page_is_refused() {
    let strangers = br#"{"origins": ["https://other.example", "https://sub.example.de"]}"#;
    for document in [None, Some(&b"<html>"[..]), Some(&strangers[..])] {
        let out = answered(document);
        let failure = done(&out).result.as_ref().unwrap_err();
        assert_eq!(
            failure.name,
            DomExceptionName::SecurityError,
            "{document:?}"
        );
    }
}

#[test]
fn nobody_is_asked_where_no_answer_could_help() {
    for (rp_id, origin) in [
        ("Example.org", PAGE),
        ("example.org", "http://example.de"),
        ("de", PAGE),
        ("example.org", "https://192.0.2.1"),
    ] {
        let out = getting(rp_id, origin).start(&[KEY], Duration::ZERO, &mut rng());
        let failure = done(&out).result.as_ref().unwrap_err();
        assert_eq!(
            failure.name,
            DomExceptionName::SecurityError,
            "{rp_id} {origin}"
        );
    }
}

#[test]
fn a_site_that_does_not_answer_ends_the_ceremony_in_time() {
    let mut ceremony = getting("example.org", PAGE);
    ceremony.start(&[KEY], Duration::ZERO, &mut rng());
    let at = ceremony.wake_at().unwrap();
    let out = ceremony.step(Event::Tick, at, &mut rng());
    let failure = done(&out).result.as_ref().unwrap_err();
    assert_eq!(failure.name, DomExceptionName::NotAllowedError);
}
