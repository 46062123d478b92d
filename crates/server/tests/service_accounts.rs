//! `serve`: accounts, sessions, credentials and recovery codes, each way that is open and each that
//! is not.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::site::{Browser, Site};
use lab::KeyState;
use serde_json::{Value, json};
use server::UserVerificationPolicy as Policy;

async fn credentials(browser: &mut Browser) -> Vec<Value> {
    let list = browser.get("/api/credentials").await;
    assert_eq!(list.status, 200, "{}", list.body);
    list.json()["credentials"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_account_is_made_and_signed_in_to_from_another_browser() {
    let site = Site::new(Policy::Always).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let made = kim.sign_up("Kim").await;
    assert_eq!(made["userVerified"], true);
    assert_eq!(made["session"]["multiFactor"], true);
    assert_eq!(kim.get("/api/session").await.json()["userName"], "kim");

    kim.forget_cookies();
    kim.get("/api/session")
        .await
        .is_problem(401, "session-missing");
    let before = kim.http.cookie.clone();
    let in_again = kim.sign_in(" KIM ").await;
    assert_eq!(in_again["signCount"], "increased");
    assert_eq!(in_again["session"]["method"], "authentication");
    assert_ne!(kim.http.cookie, before, "no cookie outlives a sign-in");

    let own = credentials(&mut kim).await;
    assert_eq!(own.len(), 1);
    assert!(own[0]["lastUsedAt"].is_u64());
    assert_eq!(own[0]["current"], true);
    let uses = own[0]["uses"].as_array().unwrap();
    let events: Vec<_> = uses.iter().map(|one| &one["event"]).collect();
    assert_eq!(events, ["signed-in", "registered"]);
    assert!(uses.iter().all(|one| one["userVerified"] == true));
}

#[tokio::test]
async fn a_discoverable_credential_says_who_it_is() {
    let site = Site::new(Policy::Always).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    kim.forget_cookies();
    let answer = kim.authenticate(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["session"]["userName"], "kim");
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    let stolen = kim.http.clone();
    assert_eq!(stolen.get("/api/session").await.status, 200);
    let answer = kim.send("DELETE", "/api/session", None).await;
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    stolen
        .get("/api/session")
        .await
        .is_problem(401, "session-missing");
}

#[tokio::test]
async fn a_sign_in_ends_the_session_that_it_replaces_and_sessions_expire() {
    let site = Site::with(Policy::IfSet, |config| {
        config.session_lifetime = Duration::from_secs(2);
    })
    .await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    let first = kim.http.clone();
    kim.sign_in("kim").await;
    assert_eq!(first.get("/api/session").await.status, 401);
    assert_eq!(kim.get("/api/session").await.status, 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(kim.get("/api/session").await.status, 401);
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let answer = kim.register(&json!({ "userName": "kim" })).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly; SameSite="), "{cookie}");
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(token.len(), 64);
    let hits = site.rows("SELECT hex(id) || hex(user) FROM sessions").await;
    assert!(hits.iter().all(|row| !row.to_lowercase().contains(token)));
}

#[tokio::test]
async fn a_further_key_needs_the_session_of_the_account() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    let mut lee = site.browser(KeyState::PinSet, 60);

    // Without a session, and by the name of the account.
    let path = "/api/registration/options";
    let answer = lee.post(path, &json!({})).await;
    answer.is_problem(401, "session-missing");
    let answer = lee.post(path, &json!({ "userName": "kim" })).await;
    answer.is_problem(409, "user-name-taken");

    // With the session of another account: neither by name, nor with kim's challenge.
    lee.sign_up("lee").await;
    let answer = lee.post(path, &json!({ "userName": "Kim" })).await;
    answer.is_problem(409, "user-name-taken");
    let begun = kim.begin("registration", &json!({})).await;
    let credential = lee.desk.create(&begun["publicKey"]);
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    let answer = lee.post("/api/registration/verification", &body).await;
    answer.is_problem(409, "challenge-unknown");
    assert_eq!(credentials(&mut kim).await.len(), 1);

    // Kim may, with another key; the account's own key is excluded.
    let begun = kim.begin("registration", &json!({})).await;
    let excluded = begun["publicKey"]["excludeCredentials"].as_array().unwrap();
    assert_eq!(excluded.len(), 1);
    let credential = lee.desk.create(&begun["publicKey"]);
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    let answer = kim.post("/api/registration/verification", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(credentials(&mut kim).await.len(), 2);

    // And a challenge begun before signing out is worth nothing after it.
    let begun = kim.begin("registration", &json!({})).await;
    let old = kim.http.clone();
    kim.send("DELETE", "/api/session", None).await;
    let mut third = site.browser(KeyState::PinSet, 90);
    let credential = third.desk.create(&begun["publicKey"]);
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    let answer = old.post("/api/registration/verification", &body).await;
    answer.is_problem(401, "session-missing");
}

#[tokio::test]
async fn what_is_sensitive_needs_a_fresh_authentication() {
    let site = Site::with(Policy::IfSet, |config| {
        config.fresh_for = Duration::from_secs(1);
    })
    .await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let attempts = [
        (
            "POST",
            "/api/registration/options".to_owned(),
            Some(json!({})),
        ),
        ("POST", "/api/recovery-codes".to_owned(), None),
    ];
    for (method, path, body) in &attempts {
        let answer = kim.send(method, path, body.as_ref()).await;
        answer.is_problem(403, "reauthentication-needed");
    }
    let again = kim.authenticate(&json!({ "reauthenticate": true })).await;
    assert_eq!(again.status, 200, "{}", again.body);
    kim.begin("registration", &json!({})).await;
}

#[tokio::test]
async fn step_up_asks_for_verification_only_where_it_matters() {
    let site = Site::new(Policy::StepUp).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let made = kim.sign_up("kim").await;
    assert_eq!(made["uvInitialized"], true, "registration asks if set");
    let begun = kim
        .begin("authentication", &json!({ "userName": "kim" }))
        .await;
    assert_eq!(begun["publicKey"]["userVerification"], "discouraged");
    let signed_in = kim.sign_in("kim").await;
    assert_eq!(signed_in["userVerified"], false);
    assert_eq!(signed_in["stepUpNeeded"], true);

    let answer = kim.post("/api/registration/options", &json!({})).await;
    answer.is_problem(403, "user-verification-needed");
    let request = json!({ "reauthenticate": true });
    let begun = kim.begin("authentication", &request).await;
    assert_eq!(begun["publicKey"]["userVerification"], "required");
    let again = kim.authenticate(&request).await.json();
    assert_eq!(again["session"]["multiFactor"], true);
    kim.begin("registration", &json!({})).await;
}

#[tokio::test]
async fn a_flag_that_cannot_be_relied_on_does_not_open_an_account_that_has_a_better_one() {
    // The thief of a key without a PIN sets one: its UV flag is theirs, not the owner's.
    let site = Site::new(Policy::StepUp).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    let begun = kim.begin("registration", &json!({})).await;
    let mut thief = site.browser(KeyState::NoPin, 60);
    let credential = thief.desk.create(&begun["publicKey"]);
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    let answer = kim.post("/api/registration/verification", &body).await;
    assert_eq!(answer.json()["uvInitialized"], false, "{}", answer.body);

    thief.desk.set_pin();
    thief.sign_in("kim").await;
    let request = json!({ "reauthenticate": true });
    let again = thief.authenticate(&request).await.json();
    assert_eq!(again["userVerified"], true);
    assert_eq!(again["session"]["multiFactor"], false);
    let answer = thief.post("/api/registration/options", &json!({})).await;
    answer.is_problem(403, "user-verification-needed");
}

#[tokio::test]
async fn credentials_are_named_and_deleted_by_their_owner_only() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let made = kim.sign_up("kim").await;
    let first = format!("/api/credentials/{}", made["credential"].as_str().unwrap());
    let label = json!({ "label": " Blue key " });
    assert_eq!(kim.send("PATCH", &first, Some(&label)).await.status, 204);
    assert_eq!(credentials(&mut kim).await[0]["label"], "Blue key");
    let long = json!({ "label": "x".repeat(65) });
    let answer = kim.send("PATCH", &first, Some(&long)).await;
    answer.is_problem(400, "unknown-choice");

    let mut lee = site.browser(KeyState::PinSet, 60);
    lee.sign_up("lee").await;
    for (method, body) in [("PATCH", Some(&label)), ("DELETE", None)] {
        let answer = lee.send(method, &first, body).await;
        answer.is_problem(404, "not-found");
    }
    let answer = kim.send("DELETE", &first, None).await;
    answer.is_problem(409, "last-credential");

    // A second key; a browser signed in with the first; then the first is lost.
    let begun = kim.begin("registration", &json!({})).await;
    let mut second = site.browser(KeyState::PinSet, 120);
    let credential = second.desk.create(&begun["publicKey"]);
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    kim.post("/api/registration/verification", &body).await;
    second.sign_in("kim").await;
    assert_eq!(second.send("DELETE", &first, None).await.status, 204);
    let answer = kim.get("/api/session").await;
    answer.is_problem(401, "session-missing");
    let left = credentials(&mut second).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["current"], true);
}

#[tokio::test]
async fn a_recovery_code_opens_the_account_once() {
    let site = Site::new(Policy::Always).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    let codes = kim.send("POST", "/api/recovery-codes", None).await.json();
    let codes: Vec<&str> = codes["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(codes.len(), 10);
    let stored = site.rows("SELECT hex(hash) FROM recovery_codes").await;
    assert_eq!(stored.len(), 10);

    let mut new = site.browser(KeyState::PinSet, 60);
    let path = "/api/recovery";
    let request = |name: &str, code: &str| json!({ "userName": name, "code": code });
    let wrong = new.post(path, &request("kim", "00000-00000")).await;
    wrong.is_problem(422, "recovery-refused");
    let stranger = new.post(path, &request("nobody", codes[0])).await;
    stranger.is_problem(422, "recovery-refused");
    assert_eq!(wrong.body, stranger.body);

    let code = codes[0].to_lowercase();
    let opened = new.post(path, &request("kim", &code)).await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    assert_eq!(opened.json()["session"]["multiFactor"], false);
    assert_eq!(opened.json()["recoveryCodes"], 9);
    let again = new.post(path, &request("kim", &code)).await;
    again.is_problem(422, "recovery-refused");

    // It stands for user verification: the new key may be added.
    let answer = new.register(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    new.forget_cookies();
    new.sign_in("kim").await;
    assert_eq!(credentials(&mut new).await.len(), 2);
}

#[tokio::test]
async fn a_recovery_code_vouches_for_a_flag_seen_for_the_first_time() {
    let site = Site::new(Policy::OnceSetAlways).await;
    let mut kim = site.browser(KeyState::NoPin, 1);
    let made = kim.sign_up("kim").await;
    assert_eq!(made["uvInitialized"], false);
    let codes = kim.send("POST", "/api/recovery-codes", None).await.json();
    kim.desk.set_pin();
    let signed_in = kim.sign_in("kim").await;
    assert_eq!(signed_in["userVerified"], true);
    assert_eq!(signed_in["uvInitialized"], false, "nothing vouches for it");

    let code = json!({ "userName": "kim", "code": codes["codes"][3] });
    kim.post("/api/recovery", &code).await;
    let vouched = kim.authenticate(&json!({ "reauthenticate": true })).await;
    assert_eq!(vouched.json()["uvInitialized"], true, "{}", vouched.body);
    let begun = kim
        .begin("authentication", &json!({ "userName": "kim" }))
        .await;
    assert_eq!(begun["publicKey"]["userVerification"], "required");
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_and_cannot_be_changed() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::NoPin, 1);
    kim.sign_up("kim").await;
    kim.sign_in("kim").await;
    kim.send("DELETE", "/api/session", None).await;
    let log = "SELECT event || ' ' || coalesce(user_name, '-') || ' ' || \
               coalesce(user_verified, '-') || ' ' || coalesce(aaguid, '-') FROM audit ORDER BY id";
    let lines = site.rows(log).await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("registered kim 0 "), "{}", lines[0]);
    assert!(lines[1].starts_with("signed-in kim 0 "), "{}", lines[1]);
    assert_eq!(lines[2], "signed-out kim - -");
    let aaguid = lines[0].rsplit(' ').next().unwrap();
    assert_eq!(aaguid.len(), 36);
    for statement in [
        "UPDATE audit SET event = 'nothing' WHERE id = 1",
        "DELETE FROM audit",
    ] {
        let error = site.execute(statement).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(site.rows(log).await, lines);
}
