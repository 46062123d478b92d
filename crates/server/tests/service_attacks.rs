//! `serve`: what an attacker, a careless client or a busy day may do to it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::site::{Browser, ORIGIN, Site};
use lab::KeyState;
use serde_json::{Value, json};
use server::{Rate, UserVerificationPolicy as Policy};

const SIGN_IN: &str = "/api/authentication/verification";

async fn member(site: &Site, name: &str, seed: u8) -> Browser {
    let mut browser = site.browser(KeyState::PinSet, seed);
    browser.sign_up(name).await;
    browser
}

#[tokio::test]
async fn an_answer_made_on_another_page_is_refused() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = member(&site, "kim", 1).await;
    kim.desk.origin = "http://localhost:4434".to_owned();
    let answer = kim.authenticate(&json!({ "userName": "kim" })).await;
    answer.is_problem(422, "origin");
    let refused = "SELECT code FROM audit WHERE event = 'sign-in-refused'";
    assert_eq!(site.rows(refused).await, ["origin"]);
}

#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    let site = Site::new(Policy::IfSet).await;
    let kim = member(&site, "kim", 1).await;
    let json = ("Content-Type", "application/json");
    let body = br#"{"userName":"kim"}"#;
    let path = "/api/authentication/options";
    for origin in ["https://evil.example", "null", "http://localhost:4434"] {
        let answer = kim
            .http
            .send("POST", path, &[json, ("Origin", origin)], body)
            .await;
        answer.is_problem(403, "wrong-origin");
    }
    let answer = kim.http.send("DELETE", "/api/session", &[], b"").await;
    answer.is_problem(403, "wrong-origin");
    assert_eq!(kim.http.get("/api/session").await.status, 200);

    let plain = [("Content-Type", "text/plain"), ("Origin", ORIGIN)];
    let answer = kim.http.send("POST", path, &plain, body).await;
    answer.is_problem(415, "wrong-content-type");
    let large = vec![b' '; 70_000];
    let answer = kim.http.post_bytes(path, &large).await;
    answer.is_problem(413, "body-too-large");
    let answer = kim.http.post_bytes(path, b"{\"userName\":").await;
    answer.is_problem(400, "malformed-json");
    let answer = kim
        .http
        .send_to("rebound.example", "GET", "/api/session", &[], b"")
        .await;
    answer.is_problem(421, "wrong-host");
    let answer = kim
        .http
        .send_to("10.0.0.7", "GET", "/health", &[], b"")
        .await;
    assert_eq!(answer.status, 200, "monitoring knows addresses only");
}

#[tokio::test]
async fn no_client_chooses_the_policy() {
    let site = Site::new(Policy::Always).await;
    let mut kim = member(&site, "kim", 1).await;
    for member in ["policy", "userVerification", "residentKey"] {
        for ceremony in ["registration", "authentication"] {
            let path = format!("/api/{ceremony}/options");
            let answer = kim
                .post(&path, &json!({ "userName": "x", member: "never" }))
                .await;
            answer.is_problem(400, "malformed-json");
        }
    }
    let begun = kim
        .begin("authentication", &json!({ "userName": "kim" }))
        .await;
    assert_eq!(begun["publicKey"]["userVerification"], "required");

    // A client that asks for less than it was told: refused by what is stored with the challenge.
    let mut mild = begun["publicKey"].clone();
    mild["userVerification"] = json!("discouraged");
    let credential = kim.desk.get(&mild);
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    let answer = kim.post(SIGN_IN, &body).await;
    answer.is_problem(422, "user-verification");
}

#[tokio::test]
async fn an_answer_counts_once_and_for_its_own_browser_only() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = member(&site, "kim", 1).await;
    let body = kim.signed(&json!({ "userName": "kim" })).await;
    let mut other = site.browser(KeyState::NoPin, 60);
    other
        .begin("authentication", &json!({ "userName": "kim" }))
        .await;
    let answer = other.post(SIGN_IN, &body).await;
    answer.is_problem(409, "challenge-unknown");
    let asked = kim.http.clone();
    assert_eq!(kim.post(SIGN_IN, &body).await.status, 200);
    let answer = asked.post(SIGN_IN, &body).await;
    answer.is_problem(409, "challenge-unknown");
}

#[tokio::test]
async fn of_32_finishes_at_once_one_succeeds() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = member(&site, "kim", 1).await;
    let body = kim.signed(&json!({ "userName": "kim" })).await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (http, body) = (kim.http.clone(), body.clone());
            tokio::spawn(async move { http.post(SIGN_IN, &body).await })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        if answer.status == 200 {
            accepted += 1;
        } else {
            answer.is_problem(409, "challenge-unknown");
        }
    }
    assert_eq!(accepted, 1);
    let log = "SELECT event FROM audit WHERE event LIKE 'sign%'";
    assert_eq!(site.rows(log).await, ["signed-in"]);
}

#[tokio::test]
async fn of_many_sign_ins_with_one_key_no_counter_is_lost() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = member(&site, "kim", 1).await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(kim.signed(&json!({ "userName": "kim" })).await);
    }
    let highest = answers.iter().map(counter).max().unwrap();
    let tasks: Vec<_> = answers
        .into_iter()
        .map(|body| {
            let http = kim.http.clone();
            tokio::spawn(async move { http.post(SIGN_IN, &body).await })
        })
        .collect();
    for task in tasks {
        let answer = task.await.unwrap();
        if answer.status != 200 {
            // A higher counter was written before this answer was looked at.
            answer.is_problem(422, "sign-count");
        }
    }
    let stored = "SELECT CAST(json_extract(record, '$.signCount') AS TEXT) FROM credentials";
    assert_eq!(site.rows(stored).await, [highest.to_string()]);
    let concluded = "SELECT event FROM audit WHERE event LIKE 'sign%'";
    assert_eq!(site.rows(concluded).await.len(), 8);
}

fn counter(body: &Value) -> u32 {
    let data = &body["credential"]["response"]["authenticatorData"];
    let data = webauthn::base64url::decode(data.as_str().unwrap()).unwrap();
    u32::from_be_bytes(data[33..37].try_into().unwrap())
}

/// The members of options, their types and the members within, but not what they say.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => json!([items.first().map(shape)]),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        other => other.clone(),
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_looks_like_any_other() {
    let site = Site::new(Policy::Always).await;
    let mut kim = member(&site, "kim", 1).await;
    kim.forget_cookies();
    let ask = |name: &str| json!({ "userName": name });
    let known = kim.begin("authentication", &ask("kim")).await;
    let (nobody, unknown) = loop {
        // A name whose keys are not said to be synced ones, as kim's is not.
        let name = format!(
            "nobody {}",
            site.rows("SELECT 'c' FROM challenges").await.len()
        );
        let unknown = kim.begin("authentication", &ask(&name)).await;
        if !unknown.to_string().contains("internal") {
            break (name, unknown);
        }
    };
    assert_eq!(shape(&known), shape(&unknown));
    let list = &unknown["publicKey"]["allowCredentials"];
    let again = kim
        .begin("authentication", &ask(&nobody.to_uppercase()))
        .await;
    assert_eq!(&again["publicKey"]["allowCredentials"], list, "stable");
    assert_ne!(
        again["publicKey"]["challenge"],
        unknown["publicKey"]["challenge"]
    );

    // Nor do the answers tell. Somebody who holds neither account's key answers both.
    let mut forger = site.browser(KeyState::PinSet, 60);
    let own = forger.sign_up("forger").await["credential"].clone();
    for (what, code) in [
        ("their own credential", "credential-not-allowed"),
        ("the listed ID with their own signature", "signature"),
        (
            "the listed ID without user verification",
            "user-verification",
        ),
    ] {
        let mut answers = Vec::new();
        for name in ["kim", nobody.as_str()] {
            let begun = forger.begin("authentication", &ask(name)).await;
            let listed = begun["publicKey"]["allowCredentials"][0]["id"].clone();
            let mut options = begun["publicKey"].clone();
            options["allowCredentials"] = json!([{ "type": "public-key", "id": own }]);
            if what.ends_with("verification") {
                options["userVerification"] = json!("discouraged");
            }
            let mut credential = forger.desk.get(&options);
            if code != "credential-not-allowed" {
                credential["id"] = listed.clone();
                credential["rawId"] = listed;
                credential["response"]["userHandle"] = Value::Null;
            }
            let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
            let answer = forger.post(SIGN_IN, &body).await;
            answer.is_problem(422, code);
            answers.push(answer);
        }
        if code != "credential-not-allowed" {
            assert_eq!(answers[0].body, answers[1].body, "{what}");
        }
        let names = |answer: &common::Answer| -> Vec<String> {
            answer
                .headers
                .iter()
                .map(|(name, _)| name.clone())
                .collect()
        };
        assert_eq!(names(&answers[0]), names(&answers[1]), "{what}");
    }
}

#[tokio::test]
async fn too_many_requests_of_one_address_are_told_when_to_come_back() {
    let site = Site::with(Policy::IfSet, |config| {
        config.address_rate = Rate::new(5, 2);
    })
    .await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    for n in 0..5 {
        let name = json!({ "userName": format!("user {n}") });
        kim.begin("authentication", &name).await;
    }
    let options = "/api/authentication/options";
    let answer = kim.post(options, &json!({ "userName": "kim" })).await;
    answer.is_problem(429, "too-many-requests");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(kim.get("/health").await.status, 200, "reading is free");
    let metrics = kim.get("/metrics").await.body;
    assert!(
        metrics.contains("pinward_rate_limited_total 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn one_user_name_has_a_limit_of_its_own_whether_it_exists_or_not() {
    let site = Site::with(Policy::Always, |config| {
        config.account_rate = Rate::new(3, 1);
    })
    .await;
    let mut kim = member(&site, "kim", 1).await; // one of its three
    let path = "/api/authentication/options";
    for (name, left) in [("kim", 2), ("nobody", 3)] {
        for _ in 0..left {
            let answer = kim.post(path, &json!({ "userName": name })).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let answer = kim.post(path, &json!({ "userName": name })).await;
        answer.is_problem(429, "too-many-requests");
        assert!(answer.header("retry-after").is_some());
    }
    // Whoever is shut out by others still has the way without a name.
    kim.forget_cookies();
    let answer = kim.authenticate(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_refused_registration_leaves_nothing_behind() {
    let site = Site::new(Policy::Always).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let mut body = kim.made(&json!({ "userName": "kim" })).await;
    body["credential"]["response"]["clientDataJSON"] = json!("e30");
    let answer = kim.post("/api/registration/verification", &body).await;
    answer.is_problem(422, "client-data");
    for table in [
        "SELECT 'user' FROM users",
        "SELECT 'credential' FROM credentials",
        "SELECT 'session' FROM sessions",
        "SELECT 'challenge' FROM challenges",
    ] {
        assert!(site.rows(table).await.is_empty(), "{table}");
    }
    kim.get("/api/session")
        .await
        .is_problem(401, "session-missing");
    // The name is still free.
    kim.sign_up("kim").await;
}

#[tokio::test]
async fn of_two_people_who_take_one_name_at_once_one_gets_it() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let mut other = site.browser(KeyState::PinSet, 60);
    let first = kim.made(&json!({ "userName": "kim" })).await;
    let second = other.made(&json!({ "userName": "Kim" })).await;
    let path = "/api/registration/verification";
    assert_eq!(kim.post(path, &first).await.status, 200);
    let late = other.post(path, &second).await;
    late.is_problem(409, "user-name-taken");
    assert_eq!(site.rows("SELECT name FROM users").await, ["kim"]);
    assert_eq!(site.rows("SELECT 'c' FROM credentials").await.len(), 1);
    other
        .get("/api/session")
        .await
        .is_problem(401, "session-missing");
}
