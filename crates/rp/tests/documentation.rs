//! The files that the documentation's examples read are what the test authenticator makes.
//! `PINWARD_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::made;
use rp::policy::UserVerificationPolicy;
use serde_json::Value;

#[test]
fn the_files_of_the_examples_are_up_to_date() {
    let made = made::registration(UserVerificationPolicy::IfSet);
    let state = made.begin();
    let mut response = made.answer(state.challenge());
    response.response.public_key_algorithm = Some(-8);
    let record = made.run().unwrap().record;
    // The state is read a year of test time later.
    let later = |state: Value| {
        let mut state = state;
        state["expiresAt"] = 1_800_000_300_u64.into();
        state
    };
    same(
        "registration-state.json",
        &later(serde_json::to_value(&state).unwrap()),
    );
    same(
        "registration-response.json",
        &serde_json::to_value(&response).unwrap(),
    );
    same("record.json", &serde_json::to_value(&record).unwrap());

    let made = made::authentication(UserVerificationPolicy::IfSet);
    let state = made.begin();
    let response = made.answer(state.challenge());
    same(
        "authentication-state.json",
        &later(serde_json::to_value(&state).unwrap()),
    );
    same(
        "authentication-response.json",
        &serde_json::to_value(&response).unwrap(),
    );
}

fn same(file: &str, value: &Value) {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("PINWARD_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    // Compared as values: the order of members is another crate's choice of features.
    let read: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(read, *value, "{file}");
}
