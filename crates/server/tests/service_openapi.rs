//! The OpenAPI document and the service say the same: every route is in it and nothing else, every
//! operation answers, and answers have the members that their schemas name.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::site::Site;
use lab::KeyState;
use serde_json::{Value, json};
use server::UserVerificationPolicy as Policy;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Every operation of a document, as `METHOD /path`.
fn operations(document: &Value) -> Vec<String> {
    let mut found: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn every_route_is_in_the_document_and_nothing_else() {
    let site = Site::new(Policy::IfSet).await;
    let mut anybody = site.browser(KeyState::NoPin, 1);
    let answer = anybody.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    let mut routes: Vec<String> = server::service_routes()
        .iter()
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    routes.sort();
    assert_eq!(operations(&document), routes);

    // The running service agrees, and has no other method on these paths.
    for path in document["paths"].as_object().unwrap().keys() {
        for method in METHODS {
            let answer = anybody
                .send(method, &path.replace("{id}", "AAAA"), None)
                .await;
            let there = routes.contains(&format!("{method} {path}"));
            assert_eq!(
                answer.status != 405,
                there,
                "{method} {path}: {}",
                answer.status
            );
            let code = there.then(|| answer.body.contains("There is no such route"));
            assert_ne!(code, Some(true), "{method} {path}");
        }
    }
    for path in ["/", "/api/choices", "/api/simulation/start", "/web/app.js"] {
        assert_eq!(anybody.get(path).await.status, 404, "{path} is the demo's");
    }
}

#[tokio::test]
async fn operations_that_need_a_session_or_token_say_so() {
    let site = Site::new(Policy::IfSet).await;
    let mut anybody = site.browser(KeyState::NoPin, 1);
    let document = anybody.get("/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().unwrap();
            // An empty requirement among them makes the others optional.
            let needed = !security.is_empty() && !security.contains(&json!({}));
            let body = json!({ "label": "x" });
            let body = operation.get("requestBody").map(|_| &body);
            let url = path.replace("{id}", "AAAA");
            let answer = anybody.send(&method.to_uppercase(), &url, body).await;
            assert_eq!(
                answer.status == 401,
                needed,
                "{method} {path}: {}",
                answer.body
            );
        }
    }
}

/// Claims that a value has the members and types of a schema.
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.strip_prefix('#').unwrap());
        return conforms(document, schema.unwrap(), value, at);
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let fits = types.iter().any(|one| match one.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    });
    assert!(fits, "{at}: {value} is not {types:?}");
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value}");
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for item in items {
            conforms(document, schema, item, &format!("{at}[]"));
        }
    }
    if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    {
        for name in schema["required"].as_array().unwrap() {
            assert!(members.contains_key(name.as_str().unwrap()), "{at}: {name}");
        }
        for (name, value) in members {
            let schema = properties.get(name);
            let schema = schema.unwrap_or_else(|| panic!("{at}: {name} is not documented"));
            conforms(document, schema, value, &format!("{at}.{name}"));
        }
    }
}

#[tokio::test]
async fn answers_have_the_members_of_their_schemas() {
    let site = Site::new(Policy::IfSet).await;
    let mut kim = site.browser(KeyState::PinSet, 1);
    let document = kim.get("/openapi.json").await.json();
    let check = |name: &str, value: &Value| {
        let schema = document["components"]["schemas"].get(name);
        conforms(&document, schema.unwrap(), value, name);
    };
    let begun = kim
        .begin("registration", &json!({ "userName": "kim" }))
        .await;
    check("CreationOptions", &begun);
    check("Registered", &kim.sign_up("kim").await);
    let begun = kim.begin("authentication", &json!({})).await;
    check("RequestOptions", &begun);
    check("SignedIn", &kim.sign_in("kim").await);
    check("SessionWithCodes", &kim.get("/api/session").await.json());
    check("Credentials", &kim.get("/api/credentials").await.json());
    let codes = kim.send("POST", "/api/recovery-codes", None).await.json();
    check("RecoveryCodes", &codes);
    let code = json!({ "userName": "kim", "code": codes["codes"][0] });
    check("RecoveryRequest", &code);
    check("Recovered", &kim.post("/api/recovery", &code).await.json());
    check("Health", &kim.get("/health").await.json());
    check("Problem", &kim.get("/nowhere").await.json());
}
