//! `explain --device`: what platforms would do with a key that is plugged in.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Pinward, SoftKey};
use serde_json::{Value, json};

const AFTER: &str = "explain --platform windows-11-after-kb5068861";
const BEFORE: &str = "explain --platform windows-11-before-kb5065789";

fn explained(key: &SoftKey, line: &str) -> Value {
    let line = format!("{line} --json --device {}", key.address());
    Pinward::new(&line).run().ok().json()
}

fn retries(key: &SoftKey) -> Value {
    key.run("show --json").json()["pin"]["triesLeft"].clone()
}

#[test]
fn the_state_of_the_key_decides_and_costs_it_nothing() {
    let key = SoftKey::new("fido-2.1");
    let before = explained(&key, &format!("{BEFORE} --uv preferred"));
    assert_eq!(before["run"]["steps"], json!(["touch"]));
    let after = explained(&key, &format!("{AFTER} --uv preferred"));
    assert_eq!(after["run"]["steps"], json!(["create-pin", "touch"]));
    assert_eq!(after["run"]["reasons"][0]["who"], "site");
    let others = after["others"].as_array().unwrap();
    assert!(others.len() >= 16);
    let with_pin = SoftKey::with_pin("fido-2.1");
    let after = explained(&with_pin, &format!("{AFTER} --uv preferred"));
    assert_eq!(after["run"]["steps"], json!(["enter-pin", "touch"]));
    assert_eq!(retries(&with_pin), 8, "no try was spent");
}

#[test]
fn options_of_a_site_are_taken_as_they_are() {
    let key = SoftKey::with_pin("fido-2.1");
    let options = json!({"publicKey": {
        "rp": {"id": "example.org", "name": "E"}, "user": {"id": "AQ", "name": "k", "displayName": ""},
        "challenge": "AAECAwQFBgcICQoLDA0ODw", "pubKeyCredParams": [],
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "discouraged"},
        "extensions": {"prf": {}},
    }});
    let line = format!(
        "explain --platform chromium-linux --json --options - --device {}",
        key.address()
    );
    let answer = Pinward::new(&line)
        .input(&options.to_string())
        .run()
        .ok()
        .json();
    assert_eq!(answer["request"]["ceremony"], "create");
    assert_eq!(answer["request"]["residentKey"], "preferred");
    assert_eq!(answer["request"]["prf"], true);
    assert_eq!(answer["run"]["steps"], json!(["enter-pin", "touch"]));
}

#[test]
fn each_party_is_told_what_it_could_change() {
    let key = SoftKey::new("fido-2.1");
    let line = format!("{AFTER} --uv preferred --device {}", key.address());
    let ran = Pinward::new(&line).run().ok();
    ran.prints("send userVerification \"discouraged\"")
        .prints("pinward pin set")
        .prints("The same key on other platforms")
        .prints("windows-11-before-kb5065789");
}

#[test]
fn what_it_foretells_happens() {
    for (uv, new) in [
        ("discouraged", false),
        ("preferred", true),
        ("required", true),
    ] {
        let key = SoftKey::new("fido-2.1");
        let options = json!({
            "rp": {"name": "Example", "id": "example.org"},
            "user": {"id": "AQ", "name": "kim", "displayName": ""},
            "challenge": "AAECAwQFBgcICQoLDA0ODw",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "authenticatorSelection": {"userVerification": uv},
        })
        .to_string();
        let foretold = explained(
            &key,
            &format!("explain --platform pinward --ceremony create --uv {uv}"),
        );
        let place = if new { "--new-pin env:NEW" } else { "" };
        let line = format!("create --origin https://example.org --json {place}");
        let came = Pinward::new(&line)
            .keys(&[&key])
            .input(&options)
            .run()
            .ok()
            .json();
        assert_eq!(foretold["run"]["steps"], came["report"]["steps"], "{uv}");
        assert_eq!(foretold["run"]["uv"], came["report"]["uv"], "{uv}");
    }
}

#[test]
fn a_key_that_knows_only_u2f_is_told_of_too() {
    let key = SoftKey::new("u2f-only");
    let answer = explained(
        &key,
        "explain --platform pinward --ceremony create --uv preferred",
    );
    assert_eq!(answer["run"]["steps"], json!(["u2f", "touch"]));
    Pinward::new("explain --platform pinward --uv preferred --device unix:/nonexistent/key")
        .run()
        .code(3);
}
