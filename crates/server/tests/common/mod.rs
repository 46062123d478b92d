//! A server on a free loopback port and visitors that speak plain HTTP/1.1 to it, so that tests can
//! send what no well-behaved client would.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test file takes its part; a test stops at its first surprise

pub mod desk;
pub mod site;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use server::{Config, Server, Storage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A running server; stops when dropped.
pub struct Running {
    pub address: SocketAddr,
    pub origin: String,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// With records in memory.
    pub async fn ephemeral() -> Self {
        Self::with(Storage::Ephemeral, |_| {}).await
    }

    /// With records where the test can look at them, and limits as it needs them.
    pub async fn with(storage: Storage, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), storage);
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let (address, origin) = (server.address(), server.origin().to_owned());
        let task = tokio::spawn(async move {
            server.run(std::future::pending()).await.unwrap();
        });
        Self {
            address,
            origin,
            task,
        }
    }

    /// A visitor with a cookie of their own.
    pub async fn visitor(&self) -> Visitor {
        let mut visitor = Visitor {
            address: self.address,
            origin: self.origin.clone(),
            cookie: None,
        };
        let answer = visitor.send("GET", "/", &[], b"").await;
        let cookie = answer.header("set-cookie").unwrap();
        visitor.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        visitor
    }
}

/// Somebody with (or without) a session.
#[derive(Clone)]
pub struct Visitor {
    pub address: SocketAddr,
    pub origin: String,
    pub cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// Claims that this is a whole problem document with this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems#{code}"));
        for member in ["title", "detail"] {
            assert!(
                problem[member].as_str().is_some_and(|text| text.len() > 5),
                "{member} of {problem}"
            );
        }
    }
}

impl Visitor {
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes()).await
    }

    pub async fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        let headers = [
            ("Content-Type", "application/json"),
            ("Origin", self.origin.as_str()),
        ];
        self.send("POST", path, &headers, body).await
    }

    /// A request with exactly these headers besides `Host`, `Cookie` and `Content-Length`.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let host = self.origin.split_once("://").unwrap().1;
        self.send_to(host, method, path, headers, body).await
    }

    /// The same with a `Host` of choice.
    pub async fn send_to(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Cookie: {cookie}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        exchange(self.address, &bytes).await
    }
}

/// Sends bytes as they are and reads the answer.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server may answer and close before it has read an oversized body.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("an answer in time");
    parse(&answer)
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Answer {
        status: status.and_then(|s| s.parse().ok()).unwrap_or(0),
        headers,
        body: body.to_owned(),
    }
}

/// What a visitor chooses.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    pub policy: &'a str,
    pub discoverable: bool,
    pub platform: &'a str,
    pub key: &'a str,
    pub state: &'a str,
}

/// A key without a PIN on a platform that asks for none.
pub const PLAIN: Choice<'_> = Choice {
    policy: "never",
    discoverable: false,
    platform: "windows-11-before-kb5065789",
    key: "fido-2.1",
    state: "no-pin",
};

impl Visitor {
    /// Asks for options.
    pub async fn begin(&self, ceremony: &str, choice: &Choice<'_>) -> Value {
        let request = json!({
            "userName": "kim",
            "policy": choice.policy,
            "discoverable": choice.discoverable,
            "way": "simulation",
        });
        let answer = self
            .post(&format!("/api/{ceremony}/options"), &request)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Begins a ceremony on the simulated platform; its view.
    pub async fn start(&self, ceremony: &str, choice: &Choice<'_>) -> Value {
        let begun = self.begin(ceremony, choice).await;
        let start = json!({
            "ceremony": begun["ceremony"],
            "platform": choice.platform,
            "key": choice.key,
            "state": choice.state,
        });
        let answer = self.post("/api/simulation/start", &start).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Answers the open dialog; the next view.
    pub async fn act(&self, view: &Value, member: &str, value: Value) -> Value {
        let body = json!({ "number": view["number"], member: value });
        let answer = self.post("/api/simulation/answer", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Does what every dialog asks; the view at the end and the dialogs that were shown.
    pub async fn comply(&self, mut view: Value) -> (Value, Vec<String>) {
        let mut shown = Vec::new();
        for _ in 0..60 {
            let Some(prompt) = view["prompt"]["prompt"].as_str().map(str::to_owned) else {
                return (view, shown);
            };
            let pin = "1234";
            let (member, value) = match prompt.as_str() {
                "touch" => ("touch", json!(true)),
                "fingerprint" => ("finger", json!("match")),
                "enter-pin" => ("input", json!({ "input": "pin", "pin": pin })),
                "create-pin" => ("input", json!({ "input": "new-pin", "pin": pin })),
                "change-pin" => (
                    "input",
                    json!({ "input": "change-pin", "old": pin, "new": "567890" }),
                ),
                "pick-account" => ("input", json!({ "input": "account", "index": 0 })),
                other => panic!("no answer to {other}: {view}"),
            };
            shown.push(prompt);
            view = self.act(&view, member, value).await;
        }
        panic!("the dialogs do not end: {shown:?}");
    }

    /// A credential from the simulated platform, and the body that hands it in.
    pub async fn answer_body(&self, ceremony: &str, choice: &Choice<'_>) -> Value {
        let view = self.start(ceremony, choice).await;
        let (view, _) = self.comply(view).await;
        assert!(view["credential"].is_object(), "{view}");
        json!({ "ceremony": view["ceremony"], "credential": view["credential"] })
    }

    /// A whole ceremony that must be accepted.
    pub async fn complete(&self, ceremony: &str, choice: &Choice<'_>) -> Value {
        let body = self.answer_body(ceremony, choice).await;
        let answer = self
            .post(&format!("/api/{ceremony}/verification"), &body)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    pub async fn session(&self) -> Value {
        self.get("/api/session").await.json()
    }

    /// Everything about one ceremony.
    pub async fn ceremony(&self, id: &Value) -> Value {
        let path = format!("/api/ceremonies/{}", id.as_str().unwrap());
        self.get(&path).await.json()
    }
}
