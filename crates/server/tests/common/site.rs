//! `serve` on a free loopback port, and browsers with software keys in front of it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test file takes its part

use std::net::SocketAddr;
use std::path::Path;

use lab::KeyState;
use serde_json::{Value, json};
use server::{Rate, Service, ServiceConfig, Storage, UserVerificationPolicy};
use sqlx::{Connection as _, Row as _};
use tokio::task::JoinHandle;

use super::desk::Desk;
use super::{Answer, Visitor};

/// A running service with its records in a file; stops when dropped.
pub struct Site {
    pub address: SocketAddr,
    pub origin: String,
    pub directory: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The origin that tests give the service. A proxy would stand in front of it; `Host` is what counts.
pub const ORIGIN: &str = "http://localhost:4433";

impl Site {
    pub async fn new(policy: UserVerificationPolicy) -> Self {
        Self::with(policy, |_| {}).await
    }

    pub async fn with(
        policy: UserVerificationPolicy,
        change: impl FnOnce(&mut ServiceConfig),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::File(directory.path().join("rp.sqlite"));
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = ServiceConfig::new(listen, ORIGIN, "Example", policy, storage);
        config.address_rate = Rate::new(10_000, 10_000);
        config.account_rate = Rate::new(10_000, 10_000);
        change(&mut config);
        let service = Service::bind(config).await.unwrap();
        let (address, origin) = (service.address(), service.origin().to_owned());
        let task = tokio::spawn(async move {
            service.run(std::future::pending()).await.unwrap();
        });
        Self {
            address,
            origin,
            directory,
            task,
        }
    }

    /// Somebody with a fresh key in this state.
    pub fn browser(&self, state: KeyState, seed: u8) -> Browser {
        Browser::new(
            self.address,
            &self.origin,
            Desk::new(&self.origin, state, seed),
        )
    }

    /// Rows of a query, each as the one text that it selects.
    pub async fn rows(&self, query: &'static str) -> Vec<String> {
        rows(&self.directory.path().join("rp.sqlite"), query).await
    }

    /// Executes something behind the service's back.
    pub async fn execute(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        let path = self.directory.path().join("rp.sqlite");
        let url = format!("sqlite://{}", path.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await?;
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .map(drop)
    }
}

/// Rows of a query on a database file, each as the one text that it selects.
pub async fn rows(path: &Path, query: &'static str) -> Vec<String> {
    let url = format!("sqlite://{}?mode=ro", path.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A browser that keeps its cookie, and a person with a key.
pub struct Browser {
    pub http: Visitor,
    pub desk: Desk,
}

impl Browser {
    pub fn new(address: SocketAddr, origin: &str, desk: Desk) -> Self {
        let http = Visitor {
            address,
            origin: origin.to_owned(),
            cookie: None,
        };
        Self { http, desk }
    }

    /// A request of the site's own page; cookies are kept.
    pub async fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let origin = self.http.origin.clone();
        let mut headers = vec![("Origin", origin.as_str())];
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        let answer = self
            .http
            .send(method, path, &headers, body.as_bytes())
            .await;
        if let Some(cookie) = answer.header("set-cookie") {
            self.http.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        answer
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// A page in another browser: no cookie, the same person and key.
    pub fn forget_cookies(&mut self) {
        self.http.cookie = None;
    }

    /// The options of a ceremony, which must be given.
    pub async fn begin(&mut self, ceremony: &str, request: &Value) -> Value {
        let path = format!("/api/{ceremony}/options");
        let answer = self.post(&path, request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// The body that answers a registration.
    pub async fn made(&mut self, request: &Value) -> Value {
        let begun = self.begin("registration", request).await;
        let credential = self.desk.create(&begun["publicKey"]);
        json!({ "ceremony": begun["ceremony"], "credential": credential })
    }

    /// The body that answers an authentication.
    pub async fn signed(&mut self, request: &Value) -> Value {
        let begun = self.begin("authentication", request).await;
        let credential = self.desk.get(&begun["publicKey"]);
        json!({ "ceremony": begun["ceremony"], "credential": credential })
    }

    /// A registration from the options to the verdict.
    pub async fn register(&mut self, request: &Value) -> Answer {
        let body = self.made(request).await;
        self.post("/api/registration/verification", &body).await
    }

    /// An authentication from the options to the verdict.
    pub async fn authenticate(&mut self, request: &Value) -> Answer {
        let body = self.signed(request).await;
        self.post("/api/authentication/verification", &body).await
    }

    /// A new account, which must be made.
    pub async fn sign_up(&mut self, name: &str) -> Value {
        let answer = self.register(&json!({ "userName": name })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// A sign-in that must be accepted.
    pub async fn sign_in(&mut self, name: &str) -> Value {
        let answer = self.authenticate(&json!({ "userName": name })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}
