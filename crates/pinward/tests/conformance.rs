//! `pinward conformance`, as a script uses it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::{Command, Output};

fn pinward(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinward"))
        .arg("conformance")
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn a_software_key_is_checked_and_told_as_json() {
    let out = pinward(&[
        "--subject",
        "in-process:tiny",
        "--filter",
        "reset.",
        "--json",
    ]);
    assert_eq!(out.status.code(), Some(0));
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(told["failed"], 0);
    assert!(told["passed"].as_u64().unwrap() > 5, "{told}");
    assert!(told["checks"][0]["section"].as_str().unwrap().contains('§'));
}

#[test]
fn a_failure_is_shown_and_is_exit_code_7() {
    let out = pinward(&[
        "--subject",
        "in-process:deviant-counter",
        "--filter",
        "ga.counter",
    ]);
    assert_eq!(out.status.code(), Some(7));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("FAIL ga.counter-grows (WebAuthn L3 §6.1.1)"),
        "{text}"
    );
}

#[test]
fn a_key_at_an_address_is_not_erased_without_a_word() {
    let out = pinward(&["--subject", "unix:/nowhere/key"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8(out.stderr).unwrap().contains("erased"));
}

#[test]
fn a_filter_without_checks_is_wrong_use() {
    assert_eq!(
        pinward(&["--filter", "no-such-check"]).status.code(),
        Some(2)
    );
}
