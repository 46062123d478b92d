//! The key and platform of choice: which dialogs are shown, that they survive a reload, and what is
//! explained afterwards.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Choice, PLAIN, Running, Visitor};
use serde_json::{Value, json};
use server::Storage;

const BEFORE: &str = "windows-11-before-kb5065789";
const AFTER: &str = "windows-11-after-kb5068861";

fn on(platform: &str) -> Choice<'_> {
    Choice {
        policy: "if-set",
        platform,
        ..PLAIN
    }
}

/// Registers where no PIN is asked, then signs in on `platform`; the dialogs and the ceremony.
async fn sign_in(visitor: &Visitor, choice: &Choice<'_>) -> (Vec<String>, Value) {
    let register = Choice {
        policy: "never",
        platform: BEFORE,
        ..*choice
    };
    visitor.complete("registration", &register).await;
    let view = visitor.start("authentication", choice).await;
    let (view, shown) = visitor.comply(view).await;
    if view["credential"].is_object() {
        let body = json!({ "ceremony": view["ceremony"], "credential": view["credential"] });
        visitor
            .post("/api/authentication/verification", &body)
            .await;
    }
    (shown, visitor.ceremony(&view["ceremony"]).await)
}

#[tokio::test]
async fn before_the_update_a_touch_is_enough() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let (shown, ceremony) = sign_in(&visitor, &on(BEFORE)).await;
    assert_eq!(shown, ["touch"]);
    assert_eq!(ceremony["outcome"], "accepted");
    assert_eq!(ceremony["userVerified"], false);
}

#[tokio::test]
async fn after_the_update_a_pin_is_created_first() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let (shown, ceremony) = sign_in(&visitor, &on(AFTER)).await;
    assert_eq!(shown, ["create-pin", "touch"]);
    assert_eq!(ceremony["outcome"], "accepted");
    assert_eq!(ceremony["userVerified"], true);
    let reasons = ceremony["client"]["report"]["reasons"].as_array().unwrap();
    assert!(
        reasons.iter().any(|reason| reason["who"] == "platform"
            && reason["reference"].as_str().unwrap().contains("KB5073129")),
        "{reasons:?}"
    );
    // The key on the desk has a PIN now, and so the next sign-in asks for it.
    let key = &visitor.session().await["simulation"]["keys"][0];
    assert_eq!(
        (&key["pinSet"], &key["pinRetries"]),
        (&json!(true), &json!(8))
    );
    let view = visitor.start("authentication", &on(BEFORE)).await;
    assert_eq!(view["prompt"]["prompt"], "enter-pin");
}

#[tokio::test]
async fn windows_10_loops_on_a_key_that_insists_and_the_loop_is_named() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let choice = Choice {
        policy: "never",
        platform: "windows-10-22h2",
        key: "fido-2.1-always-uv",
        state: "always-uv-pin-set",
        ..PLAIN
    };
    let register = Choice {
        platform: "pinward",
        ..choice
    };
    visitor.complete("registration", &register).await;
    let view = visitor.start("authentication", &choice).await;
    let (view, shown) = visitor.comply(view).await;
    assert!(shown.len() >= 4, "{shown:?}");
    let ceremony = visitor.ceremony(&view["ceremony"]).await;
    assert_eq!(ceremony["client"]["report"]["ended"], "loop");
    assert_eq!(ceremony["outcome"], "failed");
    let session = visitor.session().await;
    assert_eq!(session["ceremonies"][0]["outcome"], "failed");
}

#[tokio::test]
async fn a_wrong_pin_costs_a_try_and_three_need_a_power_cycle() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let choice = Choice {
        state: "pin-set",
        platform: "pinward",
        ..PLAIN
    };
    let wrong = json!({ "input": "pin", "pin": "9999" });
    let mut view = visitor.start("registration", &choice).await;
    for _ in 0..2 {
        view = visitor.act(&view, "input", wrong.clone()).await;
        assert_eq!(view["prompt"]["prompt"], "enter-pin");
        assert_eq!(view["prompt"]["previous_wrong"], true);
    }
    assert_eq!(view["prompt"]["retries"], 6);
    view = visitor.act(&view, "input", wrong).await;
    assert_eq!(view["prompt"], Value::Null);
    assert_eq!(view["keys"][0]["pinRetries"], 5);
    let ceremony = visitor.ceremony(&view["ceremony"]).await;
    assert_eq!(ceremony["outcome"], "failed");
    assert_eq!(ceremony["verdict"]["code"], "NotAllowedError");

    let which = json!({ "key": choice.key, "state": choice.state });
    let answer = visitor.post("/api/simulation/power-cycle", &which).await;
    assert_eq!(answer.status, 200);
    visitor.complete("registration", &choice).await;
}

#[tokio::test]
async fn an_open_dialog_survives_a_reload_and_is_answered_once() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let view = visitor.start("registration", &on(AFTER)).await;
    assert_eq!(view["prompt"]["prompt"], "create-pin");
    let reloaded = visitor.session().await["simulation"].clone();
    for member in [
        "number", "prompt", "platform", "key", "state", "ceremony", "kind",
    ] {
        assert_eq!(reloaded[member], view[member], "{member}");
    }
    assert_eq!(reloaded["open"], true);
    let pin = json!({ "input": "new-pin", "pin": "1234" });
    let next = visitor.act(&reloaded, "input", pin.clone()).await;
    // A second click on the old dialog must not answer the new one.
    let late = json!({ "number": view["number"], "touch": true });
    visitor
        .post("/api/simulation/answer", &late)
        .await
        .is_problem(409, "nothing-pending");
    assert_eq!(
        visitor.session().await["simulation"]["prompt"],
        next["prompt"]
    );
    let (done, _) = visitor.comply(next).await;
    // The page may be left before it hands the credential in: it is still there afterwards.
    let reloaded = visitor.session().await["simulation"].clone();
    assert_eq!(reloaded["credential"], done["credential"]);
    assert_eq!(reloaded["open"], true);
    let body = json!({ "ceremony": done["ceremony"], "credential": done["credential"] });
    assert_eq!(
        visitor
            .post("/api/registration/verification", &body)
            .await
            .status,
        200
    );
    assert_eq!(visitor.session().await["simulation"]["open"], false);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_changes_nothing() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let view = visitor.start("registration", &on(AFTER)).await;
    let number = view["number"].clone();
    for (body, status, code) in [
        (
            json!({ "number": number, "touch": true }),
            409,
            "nothing-pending",
        ),
        (
            json!({ "number": number, "input": { "input": "pin", "pin": "1234" } }),
            409,
            "nothing-pending",
        ),
        (
            json!({ "number": number, "input": { "input": "not-now" } }),
            409,
            "nothing-pending",
        ),
        (json!({ "number": number }), 400, "malformed-json"),
        (
            json!({ "number": number, "touch": false }),
            400,
            "malformed-json",
        ),
        (
            json!({ "number": number, "touch": true, "finger": "match" }),
            400,
            "malformed-json",
        ),
    ] {
        visitor
            .post("/api/simulation/answer", &body)
            .await
            .is_problem(status, code);
    }
    assert_eq!(
        visitor.session().await["simulation"]["prompt"],
        view["prompt"]
    );
    let which = json!({ "key": PLAIN.key, "state": PLAIN.state });
    for path in ["/api/simulation/power-cycle", "/api/simulation/replace"] {
        visitor
            .post(path, &which)
            .await
            .is_problem(409, "dialog-open");
    }
}

#[tokio::test]
async fn a_typed_pin_is_never_echoed() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let view = visitor.start("registration", &on(AFTER)).await;
    let secret = "48151623";
    for input in [
        json!({ "input": "new-pin", "pin": 48_151_623 }),
        json!({ "input": secret }),
        json!({ "input": "pin", "pin": secret }),
    ] {
        let body = json!({ "number": view["number"], "input": input });
        let answer = visitor.post("/api/simulation/answer", &body).await;
        assert!(
            answer.status >= 400 && !answer.body.contains(secret),
            "{}",
            answer.body
        );
    }
    let pin = json!({ "input": "new-pin", "pin": secret });
    let view = visitor.act(&view, "input", pin).await;
    let (view, _) = visitor.comply(view).await;
    let ceremony = visitor.ceremony(&view["ceremony"]).await;
    assert!(!ceremony.to_string().contains(secret));
    let exchange = ceremony["client"]["exchange"].to_string();
    assert!(exchange.contains("masked"), "{exchange}");
}

#[tokio::test]
async fn cancelling_fails_the_ceremony_and_closes_the_challenge() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let view = visitor.start("registration", &PLAIN).await;
    let view = visitor
        .act(&view, "input", json!({ "input": "cancel" }))
        .await;
    assert_eq!(view["prompt"], Value::Null);
    assert_eq!(view["open"], false);
    let ceremony = visitor.ceremony(&view["ceremony"]).await;
    assert_eq!(ceremony["outcome"], "failed");
    assert_eq!(ceremony["client"]["failure"]["name"], "NotAllowedError");
    let start = json!({
        "ceremony": view["ceremony"], "platform": PLAIN.platform,
        "key": PLAIN.key, "state": PLAIN.state,
    });
    visitor
        .post("/api/simulation/start", &start)
        .await
        .is_problem(409, "challenge-used");
}

#[tokio::test]
async fn a_new_ceremony_ends_the_one_that_was_left_open() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let first = visitor.start("registration", &PLAIN).await;
    visitor.complete("registration", &PLAIN).await;
    let ceremony = visitor.ceremony(&first["ceremony"]).await;
    assert_eq!(ceremony["outcome"], "failed");
    assert_eq!(ceremony["verdict"]["code"], "AbortError");
}

#[tokio::test]
async fn a_fresh_key_does_not_know_the_account() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    visitor.complete("registration", &PLAIN).await;
    let which = json!({ "key": PLAIN.key, "state": PLAIN.state });
    let answer = visitor.post("/api/simulation/replace", &which).await;
    assert_eq!(answer.json()["keys"], json!([]));
    let view = visitor.start("authentication", &PLAIN).await;
    let (view, _) = visitor.comply(view).await;
    let ceremony = visitor.ceremony(&view["ceremony"]).await;
    assert_eq!(ceremony["outcome"], "failed");
}

#[tokio::test]
async fn every_key_can_lie_in_every_state_that_is_offered_for_it() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let choices = visitor.get("/api/choices").await.json();
    let mut tried = 0;
    for key in choices["keys"].as_array().unwrap() {
        for state in key["states"].as_array().unwrap() {
            let choice = Choice {
                key: key["id"].as_str().unwrap(),
                state: state.as_str().unwrap(),
                policy: "never",
                platform: "pinward",
                ..PLAIN
            };
            let view = visitor.start("registration", &choice).await;
            assert!(
                view["prompt"].is_object() || view["open"] == false,
                "{key} {state}: {view}"
            );
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test]
async fn the_comparison_tells_before_from_after() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let path = "/api/comparison?ceremony=authentication&policy=if-set&discoverable=false\
                &key=fido-2.1&state=no-pin";
    let answer = visitor.get(path).await.json();
    let rows = answer["rows"].as_array().unwrap();
    let choices = visitor.get("/api/choices").await.json();
    assert_eq!(rows.len(), choices["platforms"].as_array().unwrap().len());
    let steps = |id: &str| {
        let row = rows.iter().find(|row| row["platform"]["id"] == id).unwrap();
        row["report"]["steps"].clone()
    };
    assert_eq!(steps(BEFORE), json!(["touch"]));
    assert_eq!(steps(AFTER), json!(["create-pin", "touch"]));
    for row in rows {
        assert!(row["report"]["ended"].is_string());
        assert!(
            !row["report"]["reasons"].as_array().unwrap().is_empty(),
            "{row}"
        );
        assert!(row["certainty"].is_string(), "{row}");
    }
    assert_eq!(visitor.get(path).await.json(), answer, "and it stays so");
    for bad in [
        "/api/comparison",
        "/api/comparison?ceremony=x&policy=if-set&discoverable=false&key=fido-2.1&state=no-pin",
        "/api/comparison?ceremony=authentication&policy=never&discoverable=false&key=u2f-only&state=pin-set",
    ] {
        visitor.get(bad).await.is_problem(400, "unknown-choice");
    }
}

#[tokio::test]
async fn the_comparison_is_what_the_panel_does() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    for platform in ["chromium-linux", "firefox-linux", AFTER] {
        let choice = Choice {
            state: "pin-set",
            ..on(platform)
        };
        let path = format!(
            "/api/comparison?ceremony=registration&policy=if-set&discoverable=false&key={}&state={}",
            choice.key, choice.state
        );
        let rows = visitor.get(&path).await.json();
        let rows = rows["rows"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["platform"]["id"] == platform)
            .unwrap();
        let other = server.visitor().await;
        let view = other.start("registration", &choice).await;
        let (view, _) = other.comply(view).await;
        let ceremony = other.ceremony(&view["ceremony"]).await;
        assert_eq!(
            ceremony["client"]["report"]["steps"], row["report"]["steps"],
            "{platform}"
        );
        assert_eq!(
            ceremony["client"]["report"]["reasons"],
            row["report"]["reasons"]
        );
    }
}

#[tokio::test]
async fn the_oldest_desk_gives_way() {
    let server = Running::with(Storage::Ephemeral, |config| config.limits.visitors = 2).await;
    let mut visitors = Vec::new();
    for _ in 0..3 {
        let visitor = server.visitor().await;
        visitor.start("registration", &PLAIN).await;
        visitors.push(visitor);
    }
    assert_eq!(visitors[0].session().await["simulation"], Value::Null);
    for visitor in &visitors[1..] {
        assert!(visitor.session().await["simulation"]["prompt"].is_object());
    }
}
