//! Who may talk to the service, and what a request must look like before any handler sees it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Running, exchange};
use serde_json::json;
use server::Storage;

const OPTIONS: &str = "/api/registration/options";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn body() -> Vec<u8> {
    json!({"userName": "kim", "policy": "if-set", "discoverable": false, "way": "simulation"})
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn the_page_comes_with_its_protections() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let page = visitor.get("/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("set-cookie"), None, "the cookie is kept");
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let page = visitor.get("/").await.body;
    // Inline code would not run under the policy, so there must be none.
    assert!(!page.contains("<script>") && !page.contains("style=\"") && !page.contains("onclick"));
    for attribute in ["src=\"", "href=\""] {
        for target in page.split(attribute).skip(1) {
            let target = target.split('"').next().unwrap();
            assert!(
                target.starts_with('/') || target.starts_with('#'),
                "{target}"
            );
            if target.starts_with("/web/") {
                assert_eq!(visitor.get(target).await.status, 200, "{target}");
            }
        }
    }
}

#[tokio::test]
async fn every_module_that_is_imported_is_served() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let mut wanted = vec!["app.js".to_owned()];
    let mut seen = Vec::new();
    while let Some(name) = wanted.pop() {
        let answer = visitor.get(&format!("/web/{name}")).await;
        assert_eq!(answer.status, 200, "{name}");
        let media_type = answer.header("content-type");
        assert_eq!(media_type, Some("text/javascript; charset=utf-8"), "{name}");
        for import in answer.body.split("from \"./").skip(1) {
            let import = import.split('"').next().unwrap().to_owned();
            if !seen.contains(&import) {
                seen.push(import.clone());
                wanted.push(import);
            }
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_twice() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let first = visitor.get("/web/style.css").await;
    let tag = first.header("etag").unwrap();
    let second = visitor
        .send("GET", "/web/style.css", &[("If-None-Match", tag)], b"")
        .await;
    assert_eq!((second.status, second.body.as_str()), (304, ""));
}

#[tokio::test]
async fn another_host_is_refused() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let port = server.address.port();
    for host in [
        "rebound.example".to_owned(),
        format!("rebound.example:{port}"),
        format!("localhost:{}", port ^ 1),
        "localhost".to_owned(),
    ] {
        let answer = visitor.send_to(&host, "GET", "/", &[], b"").await;
        answer.is_problem(421, "wrong-host");
        assert_eq!(answer.header("set-cookie"), None);
        let origin = [JSON, ("Origin", server.origin.as_str())];
        visitor
            .send_to(&host, "POST", OPTIONS, &origin, &body())
            .await
            .is_problem(421, "wrong-host");
    }
}

#[tokio::test]
async fn no_host_or_two_are_refused() {
    let server = Running::ephemeral().await;
    let host = server.origin.split_once("://").unwrap().1;
    let none = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec();
    let two = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nHost: other.example\r\nConnection: close\r\n\r\n"
    );
    let target =
        format!("GET http://other.example/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for bytes in [none, two.into_bytes(), target.into_bytes()] {
        let answer = exchange(server.address, &bytes).await;
        assert!(
            answer.status == 421 || answer.status == 400,
            "{}",
            answer.status
        );
    }
}

#[tokio::test]
async fn the_loopback_address_leads_to_localhost() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let host = format!("127.0.0.1:{}", server.address.port());
    let page = visitor.send_to(&host, "GET", "/", &[], b"").await;
    assert_eq!(page.status, 307);
    assert_eq!(
        page.header("location"),
        Some(format!("{}/", server.origin).as_str())
    );
    // Only the page: an API call under another name is no accident of typing.
    visitor
        .send_to(&host, "GET", "/api/session", &[], b"")
        .await
        .is_problem(421, "wrong-host");
}

#[tokio::test]
async fn another_site_cannot_post() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let ours = server.origin.as_str();
    let port = server.address.port();
    let other_port = format!("http://localhost:{}", port ^ 1);
    let secure = format!("https://localhost:{port}");
    for headers in [
        vec![JSON],
        vec![JSON, ("Origin", "https://evil.example")],
        vec![JSON, ("Origin", "null")],
        vec![JSON, ("Origin", other_port.as_str())],
        vec![JSON, ("Origin", secure.as_str())],
        vec![JSON, ("Sec-Fetch-Site", "cross-site")],
        vec![JSON, ("Sec-Fetch-Site", "same-site")],
        vec![JSON, ("Origin", ours), ("Sec-Fetch-Site", "cross-site")],
    ] {
        visitor
            .send("POST", OPTIONS, &headers, &body())
            .await
            .is_problem(403, "wrong-origin");
    }
    let fetched = [JSON, ("Origin", ours), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(
        visitor
            .send("POST", OPTIONS, &fetched, &body())
            .await
            .status,
        200
    );
    let session = visitor.get("/api/session").await.json();
    assert_eq!(session["ceremonies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_json_is_taken() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let origin = ("Origin", server.origin.as_str());
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/cbor",
    ] {
        visitor
            .send(
                "POST",
                OPTIONS,
                &[origin, ("Content-Type", content_type)],
                &body(),
            )
            .await
            .is_problem(415, "wrong-content-type");
    }
    visitor
        .send("POST", OPTIONS, &[origin], &body())
        .await
        .is_problem(415, "wrong-content-type");
}

#[tokio::test]
async fn malformed_json_is_refused() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let whole = String::from_utf8(body()).unwrap();
    for text in [
        "",
        "{",
        "[]",
        "null",
        "\u{0}",
        &whole[..whole.len() - 1],
        &format!("{whole}{whole}"),
        // No policy, an unknown one, an unknown member, one member twice.
        r#"{"userName":"kim","discoverable":false,"way":"simulation"}"#,
        r#"{"userName":"kim","policy":"sometimes","discoverable":false,"way":"simulation"}"#,
        r#"{"userName":"kim","policy":"never","discoverable":false,"way":"simulation","x":1}"#,
        r#"{"policy":"never","policy":"always","userName":"kim","discoverable":false,"way":"browser"}"#,
    ] {
        visitor
            .post_bytes(OPTIONS, text.as_bytes())
            .await
            .is_problem(400, "malformed-json");
    }
    let not_utf8 = [&body()[..20], &[0xFF, 0xFE], &body()[20..]].concat();
    visitor
        .post_bytes(OPTIONS, &not_utf8)
        .await
        .is_problem(400, "malformed-json");
    let deep = "[".repeat(60_000);
    visitor
        .post_bytes(OPTIONS, deep.as_bytes())
        .await
        .is_problem(400, "malformed-json");
}

#[tokio::test]
async fn an_oversized_body_is_refused_announced_or_not() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    let large = vec![b' '; 64 * 1024 + 1];
    visitor
        .post_bytes(OPTIONS, &large)
        .await
        .is_problem(413, "body-too-large");

    let host = server.origin.split_once("://").unwrap().1;
    let cookie = visitor.cookie.as_deref().unwrap();
    let head = format!(
        "POST {OPTIONS} HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        server.origin
    );
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(format!("{:x}\r\n", large.len()).as_bytes());
    bytes.extend_from_slice(&large);
    bytes.extend_from_slice(b"\r\n0\r\n\r\n");
    exchange(server.address, &bytes)
        .await
        .is_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let server = Running::with(Storage::Ephemeral, |config| config.limits.body_seconds = 1).await;
    let visitor = server.visitor().await;
    let host = server.origin.split_once("://").unwrap().1;
    let cookie = visitor.cookie.as_deref().unwrap();
    let head = format!(
        "POST {OPTIONS} HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{",
        server.origin
    );
    exchange(server.address, head.as_bytes())
        .await
        .is_problem(408, "body-incomplete");
}

#[tokio::test]
async fn a_silent_connection_makes_room_for_others() {
    let server = Running::with(Storage::Ephemeral, |config| {
        config.limits.connections = 2;
        config.limits.idle_seconds = 1;
    })
    .await;
    let silent = [
        tokio::net::TcpStream::connect(server.address)
            .await
            .unwrap(),
        tokio::net::TcpStream::connect(server.address)
            .await
            .unwrap(),
    ];
    let visitor = server.visitor().await;
    assert_eq!(visitor.get("/").await.status, 200);
    drop(silent);
}

#[tokio::test]
async fn without_a_session_there_is_nothing() {
    let server = Running::ephemeral().await;
    let mut nobody = server.visitor().await;
    nobody.cookie = None;
    nobody
        .post(OPTIONS, &serde_json::from_slice(&body()).unwrap())
        .await
        .is_problem(401, "session-missing");
    nobody.cookie = Some("pinward=short".to_owned());
    nobody
        .post(OPTIONS, &serde_json::from_slice(&body()).unwrap())
        .await
        .is_problem(401, "session-missing");
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let server = Running::ephemeral().await;
    let visitor = server.visitor().await;
    visitor.get("/nowhere").await.is_problem(404, "not-found");
    visitor
        .get("/web/..%2fCargo.toml")
        .await
        .is_problem(404, "not-found");
    visitor
        .get(OPTIONS)
        .await
        .is_problem(405, "method-not-allowed");
    visitor
        .get("/api/ceremonies/%FF")
        .await
        .is_problem(400, "bad-request");
    let list = visitor.get("/problems").await;
    assert_eq!(list.status, 200);
    assert!(list.body.contains("id=\"challenge-used\""));
}

#[tokio::test]
async fn cookies_are_random_and_out_of_reach() {
    let server = Running::ephemeral().await;
    let mut nobody = server.visitor().await;
    nobody.cookie = None;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..8 {
        let answer = nobody.get("/").await;
        let cookie = answer.header("set-cookie").unwrap().to_owned();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        let token = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
        assert_eq!(token.len(), 64);
        assert!(seen.insert(token));
    }
}
