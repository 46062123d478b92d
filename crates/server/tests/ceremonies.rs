//! Registering and signing in over HTTP: what is accepted, what is refused and with which words, and
//! that a refusal changes nothing.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Answer, Choice, PLAIN, Running, Visitor};
use serde_json::{Value, json};
use server::Storage;
use sqlx::{Connection as _, Row as _};

const REGISTER: &str = "/api/registration/verification";
const SIGN_IN: &str = "/api/authentication/verification";

/// A server with its database in a file that the test reads beside it.
struct Bookkept {
    server: Running,
    directory: tempfile::TempDir,
}

impl Bookkept {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::File(directory.path().join("rp.sqlite"));
        let server = Running::with(storage, |_| {}).await;
        Self { server, directory }
    }

    /// Every user and credential, as text: what must not change by a refusal.
    async fn store(&self) -> Vec<String> {
        let path = self.directory.path().join("rp.sqlite");
        let url = format!("sqlite://{}?mode=ro", path.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let rows = sqlx::query(
            "SELECT 'user ' || hex(handle) || name AS line FROM users \
             UNION ALL SELECT 'credential ' || hex(id) || hex(user) || record \
             || coalesce(last_used_at, '') FROM credentials ORDER BY line",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        rows.iter().map(|row| row.get("line")).collect()
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    webauthn::base64url::decode(value.as_str().unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> Value {
    json!(webauthn::base64url::encode(bytes))
}

#[tokio::test]
async fn a_key_registers_and_signs_in() {
    let books = Bookkept::new().await;
    let visitor = books.server.visitor().await;
    let made = visitor.complete("registration", &PLAIN).await;
    assert_eq!(made["accepted"], true);
    assert_eq!(made["decoded"]["flags"]["userVerified"], false);
    assert_eq!(books.store().await.len(), 2);

    let signed_in = visitor.complete("authentication", &PLAIN).await;
    assert_eq!(signed_in["verdict"]["signCount"], "increased");
    assert_eq!(
        signed_in["decoded"]["clientData"]["origin"],
        books.server.origin
    );

    let session = visitor.session().await;
    let credential = &session["accounts"][0]["credentials"][0];
    assert_eq!(session["accounts"][0]["name"], "kim");
    assert!(credential["signCount"].as_u64() > made["verdict"]["signCount"].as_u64());
    let log = session["ceremonies"].as_array().unwrap();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|line| line["outcome"] == "accepted"));
}

#[tokio::test]
async fn a_discoverable_credential_signs_in_without_a_name() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let choice = Choice {
        policy: "if-set",
        discoverable: true,
        state: "pin-set",
        ..PLAIN
    };
    let made = visitor.complete("registration", &choice).await;
    assert_eq!(made["verdict"]["discoverable"], true);
    let signed_in = visitor.complete("authentication", &choice).await;
    assert_eq!(signed_in["verdict"]["userVerified"], true);
}

#[tokio::test]
async fn each_policy_is_enforced_on_the_answer() {
    // Firefox gives an answer without UV even to "required", so the relying party must notice.
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let choice = |policy| Choice {
        policy,
        platform: "firefox-linux",
        ..PLAIN
    };
    visitor.complete("registration", &choice("never")).await;
    visitor.complete("authentication", &choice("never")).await;
    visitor.complete("authentication", &choice("if-set")).await;
    let body = visitor
        .answer_body("authentication", &choice("always"))
        .await;
    let answer = visitor.post(SIGN_IN, &body).await;
    answer.is_problem(422, "user-verification");
    let ceremony = visitor.ceremony(&body["ceremony"]).await;
    assert_eq!(ceremony["outcome"], "refused");
    assert_eq!(ceremony["verdict"]["code"], "user-verification");
    let help = ceremony["verdict"]["help"].as_str().unwrap();
    assert!(help.contains("PIN"), "{help}");
    let failed: Vec<_> = ceremony["verdict"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["result"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["label"].as_str().unwrap().contains("UV"));
}

#[tokio::test]
async fn the_policy_of_the_challenge_counts_whatever_the_client_claims() {
    // The answer to a "never" challenge cannot be handed in for an "always" one.
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    visitor.complete("registration", &PLAIN).await;
    let strict = visitor
        .begin(
            "authentication",
            &Choice {
                policy: "always",
                ..PLAIN
            },
        )
        .await;
    let mut body = visitor
        .answer_body(
            "authentication",
            &Choice {
                policy: "never",
                ..PLAIN
            },
        )
        .await;
    body["ceremony"] = strict["ceremony"].clone();
    visitor
        .post(SIGN_IN, &body)
        .await
        .is_problem(422, "challenge");
}

/// Sends a spoiled answer, and claims that it is refused with `code` and that nothing changed.
async fn refused(
    books: &Bookkept,
    visitor: &Visitor,
    ceremony: &str,
    code: &str,
    spoil: impl FnOnce(&mut Value),
) {
    let mut body = visitor.answer_body(ceremony, &PLAIN).await;
    let before = books.store().await;
    spoil(&mut body["credential"]);
    let answer = visitor
        .post(&format!("/api/{ceremony}/verification"), &body)
        .await;
    answer.is_problem(422, code);
    assert_eq!(books.store().await, before, "{code}");
    // The challenge is spent, also by a bad answer.
    let again = visitor
        .post(&format!("/api/{ceremony}/verification"), &body)
        .await;
    again.is_problem(409, "challenge-used");
    assert_eq!(books.store().await, before, "{code}");
}

fn spoil_bytes(value: &mut Value, spoil: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = bytes(value);
    spoil(&mut inner);
    *value = text(&inner);
}

#[tokio::test]
async fn bad_registrations_are_refused_and_change_nothing() {
    let books = Bookkept::new().await;
    let visitor = books.server.visitor().await;
    refused(
        &books,
        &visitor,
        "registration",
        "attestation-object",
        |c| {
            spoil_bytes(&mut c["response"]["attestationObject"], |b| {
                b.truncate(b.len() / 2)
            });
        },
    )
    .await;
    refused(
        &books,
        &visitor,
        "registration",
        "attestation-object",
        |c| {
            spoil_bytes(&mut c["response"]["attestationObject"], Vec::clear);
        },
    )
    .await;
    refused(
        &books,
        &visitor,
        "registration",
        "attestation-object",
        |c| {
            spoil_bytes(&mut c["response"]["attestationObject"], |b| b.push(0));
        },
    )
    .await;
    refused(&books, &visitor, "registration", "client-data", |c| {
        spoil_bytes(&mut c["response"]["clientDataJSON"], |b| b.truncate(20));
    })
    .await;
    refused(&books, &visitor, "registration", "credential-type", |c| {
        c["type"] = json!("password");
    })
    .await;
    refused(
        &books,
        &visitor,
        "registration",
        "credential-id-text",
        |c| {
            c["id"] = json!("AAAA");
        },
    )
    .await;
    for (member, value, code) in [
        ("origin", json!("http://localhost:1"), "origin"),
        ("origin", json!("https://evil.example"), "origin"),
        ("challenge", json!("AAAAAAAAAAAAAAAAAAAAAA"), "challenge"),
        ("type", json!("webauthn.get"), "client-data-type"),
        ("crossOrigin", json!(true), "cross-origin"),
    ] {
        refused(&books, &visitor, "registration", code, |c| {
            spoil_bytes(&mut c["response"]["clientDataJSON"], |b| {
                let mut data: Value = serde_json::from_slice(b).unwrap();
                data[member] = value;
                *b = data.to_string().into_bytes();
            });
        })
        .await;
    }
    assert!(books.store().await.is_empty());
}

#[tokio::test]
async fn bad_sign_ins_are_refused_and_change_nothing() {
    let books = Bookkept::new().await;
    let visitor = books.server.visitor().await;
    visitor.complete("registration", &PLAIN).await;
    refused(&books, &visitor, "authentication", "signature", |c| {
        spoil_bytes(&mut c["response"]["signature"], |b| {
            *b.last_mut().unwrap() ^= 1
        });
    })
    .await;
    refused(
        &books,
        &visitor,
        "authentication",
        "authenticator-data",
        |c| {
            spoil_bytes(&mut c["response"]["authenticatorData"], |b| b.truncate(36));
        },
    )
    .await;
    refused(&books, &visitor, "authentication", "user-presence", |c| {
        spoil_bytes(&mut c["response"]["authenticatorData"], |b| b[32] &= !1);
    })
    .await;
    refused(&books, &visitor, "authentication", "rp-id-hash", |c| {
        spoil_bytes(&mut c["response"]["authenticatorData"], |b| b[0] ^= 1);
    })
    .await;
    refused(
        &books,
        &visitor,
        "authentication",
        "credential-not-allowed",
        |c| {
            c["rawId"] = json!("AAAA");
            c["id"] = json!("AAAA");
        },
    )
    .await;
    refused(&books, &visitor, "authentication", "user-handle", |c| {
        c["response"]["userHandle"] = json!("AAAA");
    })
    .await;
    // The key still works after all that.
    visitor.complete("authentication", &PLAIN).await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_spend_the_challenge() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let body = visitor.answer_body("registration", &PLAIN).await;
    let mut padded = body.clone();
    padded["credential"]["rawId"] = json!("AA==");
    let mut short = body.clone();
    short["credential"]["response"] = json!({});
    let mut unknown = body.clone();
    unknown["more"] = json!(1);
    let mut named = body.clone();
    named["ceremony"] = json!("0123");
    for bad in [padded, short, unknown, named] {
        visitor
            .post(REGISTER, &bad)
            .await
            .is_problem(400, "malformed-json");
    }
    assert_eq!(visitor.post(REGISTER, &body).await.status, 200);
}

#[tokio::test]
async fn a_challenge_is_for_one_ceremony_and_one_visitor() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let other = server.visitor().await;
    let body = visitor.answer_body("registration", &PLAIN).await;
    other
        .post(REGISTER, &body)
        .await
        .is_problem(409, "challenge-unknown");
    let mut nowhere = body.clone();
    nowhere["ceremony"] = json!("0".repeat(32));
    visitor
        .post(REGISTER, &nowhere)
        .await
        .is_problem(409, "challenge-unknown");
    assert_eq!(visitor.post(REGISTER, &body).await.status, 200);
    visitor
        .post(REGISTER, &body)
        .await
        .is_problem(409, "challenge-used");
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_refused() {
    let server = Running::with(Storage::Ephemeral, |config| {
        config.limits.challenge_lifetime = std::time::Duration::from_secs(1);
    })
    .await;
    let visitor = server.visitor().await;
    let body = visitor.answer_body("registration", &PLAIN).await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    visitor
        .post(REGISTER, &body)
        .await
        .is_problem(410, "challenge-expired");
    visitor
        .post(REGISTER, &body)
        .await
        .is_problem(410, "challenge-expired");
    assert_eq!(visitor.session().await["accounts"], json!([]));
}

async fn at_once(visitor: &Visitor, path: &'static str, body: &Value) -> Vec<Answer> {
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (visitor, body) = (visitor.clone(), body.clone());
            tokio::spawn(async move { visitor.post(path, &body).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_answers_at_once_one_is_accepted() {
    let books = Bookkept::new().await;
    let visitor = books.server.visitor().await;
    for (ceremony, path) in [("registration", REGISTER), ("authentication", SIGN_IN)] {
        let body = visitor.answer_body(ceremony, &PLAIN).await;
        let answers = at_once(&visitor, path, &body).await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(accepted, 1, "{ceremony}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.is_problem(409, "challenge-used");
        }
        assert_eq!(books.store().await.len(), 2, "one user, one credential");
    }
}

#[tokio::test]
async fn two_visitors_never_see_each_other() {
    let server = Running::ephemeral().await;
    let (alice, bob) = (server.visitor().await, server.visitor().await);
    let open = alice.start("registration", &PLAIN).await;
    assert!(open["prompt"].is_object());

    let session = bob.session().await;
    assert_eq!(session["accounts"], json!([]));
    assert_eq!(session["ceremonies"], json!([]));
    assert_eq!(session["simulation"], Value::Null);
    let path = format!("/api/ceremonies/{}", open["ceremony"].as_str().unwrap());
    bob.get(&path).await.is_problem(404, "not-found");
    let failure = json!({ "name": "x", "message": "y" });
    bob.post(&format!("{path}/failure"), &failure)
        .await
        .is_problem(404, "not-found");
    let touch = json!({ "number": open["number"], "touch": true });
    bob.post("/api/simulation/answer", &touch)
        .await
        .is_problem(409, "nothing-pending");
    let start = json!({
        "ceremony": open["ceremony"], "platform": PLAIN.platform,
        "key": PLAIN.key, "state": PLAIN.state,
    });
    bob.post("/api/simulation/start", &start)
        .await
        .is_problem(409, "challenge-unknown");

    let (view, _) = alice.comply(open).await;
    let body = json!({ "ceremony": view["ceremony"], "credential": view["credential"] });
    bob.post(REGISTER, &body)
        .await
        .is_problem(409, "challenge-unknown");
    assert_eq!(alice.post(REGISTER, &body).await.status, 200);
    assert_eq!(bob.session().await["accounts"], json!([]));

    // Bob has no account of that name, and cannot sign in with Alice's credential.
    let request =
        json!({"userName": "kim", "policy": "never", "discoverable": false, "way": "simulation"});
    bob.post("/api/authentication/options", &request)
        .await
        .is_problem(409, "account-without-key");
    let anyone = bob
        .begin(
            "authentication",
            &Choice {
                discoverable: true,
                ..PLAIN
            },
        )
        .await;
    let mut stolen = alice.answer_body("authentication", &PLAIN).await;
    stolen["ceremony"] = anyone["ceremony"].clone();
    bob.post(SIGN_IN, &stolen)
        .await
        .is_problem(422, "unknown-credential");

    let handle = alice.session().await["accounts"][0]["handle"].clone();
    let path = format!("/api/accounts/{}", handle.as_str().unwrap());
    let origin = [("Origin", server.origin.as_str())];
    bob.send("DELETE", &path, &origin, b"")
        .await
        .is_problem(404, "not-found");
    assert_eq!(alice.send("DELETE", &path, &origin, b"").await.status, 204);
    assert_eq!(alice.session().await["accounts"], json!([]));
}

#[tokio::test]
async fn a_credential_belongs_to_the_account_that_is_named() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    visitor.complete("registration", &PLAIN).await;
    let request =
        json!({"userName": "robin", "policy": "never", "discoverable": false, "way": "simulation"});
    visitor
        .post("/api/authentication/options", &request)
        .await
        .is_problem(409, "account-without-key");
}

#[tokio::test]
async fn what_a_browser_says_instead_closes_the_challenge() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let request =
        json!({"userName": "kim", "policy": "always", "discoverable": true, "way": "browser"});
    let begun = visitor
        .post("/api/registration/options", &request)
        .await
        .json();
    let path = format!(
        "/api/ceremonies/{}/failure",
        begun["ceremony"].as_str().unwrap()
    );
    let failure = json!({ "name": "NotAllowedError", "message": "timed out\u{7}" });
    assert_eq!(visitor.post(&path, &failure).await.status, 200);
    visitor
        .post(&path, &failure)
        .await
        .is_problem(409, "challenge-used");
    let ceremony = visitor.ceremony(&begun["ceremony"]).await;
    assert_eq!(ceremony["outcome"], "failed");
    assert_eq!(ceremony["verdict"]["code"], "NotAllowedError");
    assert_eq!(ceremony["verdict"]["detail"], "timed out");
    let explanation = ceremony["explanation"].as_array().unwrap();
    assert!(
        explanation[0]["fact"]
            .as_str()
            .unwrap()
            .contains("required")
    );
}

#[tokio::test]
async fn records_outlive_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::File(directory.path().join("rp.sqlite"));
    let server = Running::with(storage.clone(), |_| {}).await;
    let mut visitor = server.visitor().await;
    visitor.complete("registration", &PLAIN).await;
    drop(server);
    let server = Running::with(storage, |_| {}).await;
    (visitor.address, visitor.origin) = (server.address, server.origin.clone());
    let session = visitor.session().await;
    assert_eq!(session["accounts"][0]["name"], "kim");
    assert_eq!(session["simulation"], Value::Null, "keys were in memory");
    assert_eq!(session["ceremonies"][0]["outcome"], "accepted");
}
