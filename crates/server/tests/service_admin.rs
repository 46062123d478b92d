//! `serve`: the admin API and its tokens.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Answer;
use common::site::{Site, rows};
use lab::KeyState;
use serde_json::{Value, json};
use server::tokens::{self, Scope, TokenError};
use server::{Storage, UserVerificationPolicy as Policy};

struct Operator<'a> {
    site: &'a Site,
    token: String,
}

impl<'a> Operator<'a> {
    async fn new(site: &'a Site, name: &str, scopes: &[Scope]) -> Self {
        let storage = Storage::File(site.directory.path().join("rp.sqlite"));
        let token = tokens::add(&storage, name, scopes).await.unwrap();
        Self { site, token }
    }

    async fn send(&self, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Origin", &self.site.origin),
        ];
        let http = self.site.browser(KeyState::NoPin, 250).http;
        http.send(method, path, &headers, b"").await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

#[tokio::test]
async fn an_operator_sees_accounts_events_and_models() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    kim.sign_up("kim").await;
    kim.sign_in("kim").await;
    site.browser(KeyState::NoPin, 2).sign_up("lee").await;
    let operator = Operator::new(&site, "all", &Scope::ALL).await;

    let users = operator.get("/api/admin/users").await;
    assert_eq!(users["users"][0]["userName"], "kim");
    assert_eq!(users["users"][1]["credentials"], 1);
    let rest = operator.get("/api/admin/users?after=kim").await;
    assert_eq!(rest["users"].as_array().unwrap().len(), 1);
    let path = format!(
        "/api/admin/users/{}",
        users["users"][0]["id"].as_str().unwrap()
    );
    let uses = operator.get(&path).await["credentials"][0]["uses"].clone();
    let verified: Vec<_> = uses
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["userVerified"])
        .collect();
    assert_eq!(verified, [true, true], "the UV history");

    let models = operator.get("/api/admin/models").await;
    assert_eq!(models["models"][0]["credentials"], 2);
    let policies = operator.get("/api/admin/policies").await;
    assert_eq!(
        policies["registration"]["policy"]["userVerification"],
        "if-set"
    );
    assert!(
        !policies["registration"]["advice"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    assert_eq!(operator.send("DELETE", &path).await.status, 204);
    operator
        .send("DELETE", &path)
        .await
        .is_problem(404, "not-found");
    assert_eq!(kim.get("/api/session").await.status, 401);
    let lines = operator.get("/api/admin/audit").await;
    let first = &lines["lines"][0];
    assert_eq!(
        (&first["event"], &first["userName"]),
        (&json!("account-deleted"), &json!("kim"))
    );
    assert_eq!(first["code"], "token all");
    let older = format!("/api/admin/audit?before={}", first["id"]);
    assert_ne!(operator.get(&older).await["lines"][0]["id"], first["id"]);

    let document = operator.get("/openapi.json").await;
    let schemas = &document["components"]["schemas"];
    for (name, value) in [
        ("Users", &users),
        ("Audit", &lines),
        ("Models", &models),
        ("Policies", &policies),
    ] {
        let members: Vec<_> = value.as_object().unwrap().keys().collect();
        let named: Vec<_> = schemas[name]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(members, named, "{name}");
    }
}

#[tokio::test]
async fn a_token_may_do_what_its_scopes_say_until_it_is_removed() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::NoPin, 1);
    kim.sign_up("kim").await;
    kim.get("/api/admin/users")
        .await
        .is_problem(401, "token-missing");

    let auditor = Operator::new(&site, "auditor", &[Scope::AuditRead]).await;
    auditor.get("/api/admin/audit").await;
    for path in [
        "/api/admin/users",
        "/api/admin/models",
        "/api/admin/policies",
    ] {
        auditor
            .send("GET", path)
            .await
            .is_problem(403, "scope-missing");
    }
    auditor
        .send("DELETE", "/api/admin/users/AAAA")
        .await
        .is_problem(403, "scope-missing");

    let path = site.directory.path().join("rp.sqlite");
    let kept = rows(&path, "SELECT lower(hex(hash)) FROM admin_tokens").await;
    assert!(
        !kept[0].contains(auditor.token.strip_prefix("pinward_").unwrap()),
        "only a hash"
    );
    let storage = Storage::File(path);
    let again = tokens::add(&storage, "auditor", &[]).await;
    assert!(matches!(again, Err(TokenError::Taken(_))));
    let listed = tokens::list(&storage).await.unwrap();
    assert_eq!(
        (listed[0].scopes.as_str(), listed[0].last_used_at.is_some()),
        ("audit:read", true)
    );
    tokens::remove(&storage, "auditor").await.unwrap();
    auditor
        .send("GET", "/api/admin/audit")
        .await
        .is_problem(401, "token-missing");
    assert!(matches!(
        tokens::remove(&storage, "auditor").await,
        Err(TokenError::Unknown(_))
    ));
}
