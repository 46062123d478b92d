//! `serve` on a database that others share, that is restarted, or under a process that is killed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;
#[path = "common/postgres.rs"]
mod postgres;

use std::collections::HashMap;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::desk::Desk;
use common::site::{Browser, ORIGIN};
use lab::KeyState;
use postgres::Postgres;
use serde_json::{Value, json};
use server::{Rate, Service, ServiceConfig, Storage, UserVerificationPolicy as Policy};
use sqlx::{Connection as _, Row as _};

const SIGN_IN: &str = "/api/authentication/verification";

fn config(storage: Storage) -> ServiceConfig {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = ServiceConfig::new(listen, ORIGIN, "Example", Policy::IfSet, storage);
    config.address_rate = Rate::new(100_000, 100_000);
    config.account_rate = Rate::new(100_000, 100_000);
    config
}

/// A node in this process.
async fn node(storage: Storage) -> SocketAddr {
    let service = Service::bind(config(storage)).await.unwrap();
    let address = service.address();
    tokio::spawn(service.run(std::future::pending()));
    address
}

fn browser(address: SocketAddr, seed: u8) -> Browser {
    Browser::new(address, ORIGIN, Desk::new(ORIGIN, KeyState::NoPin, seed))
}

/// The rows of a query, each as the one text that it selects.
async fn rows(storage: &Storage, query: &'static str) -> Vec<String> {
    let url = match storage {
        Storage::File(path) => format!("sqlite://{}", path.display()),
        Storage::Postgres { url, .. } => url.clone(),
        Storage::Ephemeral => panic!("nobody else sees it"),
    };
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_answers_on_two_nodes_one_is_accepted() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let nodes = [
        node(postgres.storage()).await,
        node(postgres.storage()).await,
    ];
    let mut kim = browser(nodes[0], 1);
    kim.sign_up("kim").await;
    for _ in 0..3 {
        let body = kim.signed(&json!({ "userName": "kim" })).await;
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let (mut http, body) = (kim.http.clone(), body.clone());
                http.address = nodes[n % 2];
                tokio::spawn(async move { http.post(SIGN_IN, &body).await })
            })
            .collect();
        let mut accepted = Vec::new();
        for task in tasks {
            let answer = task.await.unwrap();
            match answer.status {
                200 => accepted.push(answer),
                409 => {}
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert_eq!(accepted.len(), 1);
        let cookie = accepted[0].header("set-cookie").unwrap();
        kim.http.cookie = Some(cookie.split(';').next().unwrap().to_owned());
    }
    let signed_in = "SELECT event FROM audit WHERE event = 'signed-in'";
    assert_eq!(rows(&postgres.storage(), signed_in).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_lives_on_every_node() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let nodes = [
        node(postgres.storage()).await,
        node(postgres.storage()).await,
    ];
    let mut kim = browser(nodes[0], 1);
    let made = kim.sign_up("kim").await;
    kim.http.address = nodes[1];
    assert_eq!(kim.get("/api/session").await.json()["userName"], "kim");
    let path = format!("/api/credentials/{}", made["credential"].as_str().unwrap());
    let named = kim
        .send("PATCH", &path, Some(&json!({ "label": "blue" })))
        .await;
    assert_eq!(named.status, 204, "{}", named.body);
    kim.send("DELETE", &path, None)
        .await
        .is_problem(409, "last-credential");
    let codes = kim.send("POST", "/api/recovery-codes", None).await.json();
    kim.forget_cookies();
    let code = json!({ "userName": "kim", "code": codes["codes"][0] });
    assert_eq!(kim.post("/api/recovery", &code).await.status, 200);
    kim.http.address = nodes[0];
    kim.post("/api/recovery", &code)
        .await
        .is_problem(422, "recovery-refused");
    kim.sign_in("kim").await;
    let own = kim.get("/api/credentials").await.json();
    assert_eq!(own["credentials"][0]["label"], "blue");
    assert!(own["credentials"][0]["lastUsedAt"].is_u64());
    assert_eq!(kim.send("DELETE", "/api/session", None).await.status, 204);
    // The two nodes take a stranger for the same stranger.
    let mut ids = Vec::new();
    for address in nodes {
        let nobody = json!({ "userName": "nobody" });
        let begun = browser(address, 2).begin("authentication", &nobody).await;
        ids.push(begun["publicKey"]["allowCredentials"].clone());
    }
    assert_eq!(ids[0], ids[1]);

    let url = postgres.url();
    for statement in [
        "UPDATE audit SET at = 0",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        let refused = sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

/// What the clients of a node have seen.
#[derive(Default)]
struct Seen {
    /// Bodies that were sent, with the cookie that began the ceremony, by ceremony.
    sent: HashMap<String, (Value, Option<String>)>,
    /// Ceremonies that were accepted.
    accepted: Vec<String>,
    /// The cookies that the last acceptance of each client gave.
    cookies: HashMap<u8, String>,
}

/// A node in a process of its own.
struct Process(Child, SocketAddr);

impl Process {
    fn start(storage: &Storage) -> Self {
        let at = match storage {
            Storage::File(path) => path.display().to_string(),
            Storage::Postgres { url, .. } => url.clone(),
            Storage::Ephemeral => panic!("nobody else sees it"),
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_node_in_a_process", "--nocapture"])
            .env("PINWARD_TEST_NODE", at)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let address = out.lines().find_map(|line| {
            let line = line.unwrap();
            line.split_once("listening on ")
                .map(|(_, address)| address.parse().unwrap())
        });
        Self(child, address.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: what [`Process`] runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_a_process() {
    let Ok(at) = std::env::var("PINWARD_TEST_NODE") else {
        return;
    };
    let storage = if at.starts_with("postgres") {
        Storage::Postgres {
            url: at,
            connections: 16,
        }
    } else {
        Storage::File(at.into())
    };
    let service = Service::bind(config(storage)).await.unwrap();
    println!("listening on {}", service.address());
    service.run(std::future::pending()).await.unwrap();
}

/// Signs in again and again, and keeps what was sent and what was said. Ends with the node.
async fn busy(mut browser: Browser, number: u8, name: String, seen: Arc<Mutex<Seen>>) {
    loop {
        let begun = browser
            .post("/api/authentication/options", &json!({ "userName": name }))
            .await;
        if begun.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let begun = begun.json();
        let ceremony = begun["ceremony"].as_str().unwrap().to_owned();
        let credential = browser.desk.get(&begun["publicKey"]);
        let body = json!({ "ceremony": ceremony, "credential": credential });
        let sent = (body.clone(), browser.http.cookie.clone());
        seen.lock().unwrap().sent.insert(ceremony.clone(), sent);
        let answer = browser.post(SIGN_IN, &body).await;
        assert!(
            [200, 0, 503].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.body
        );
        if answer.status == 200 {
            let mut seen = seen.lock().unwrap();
            seen.accepted.push(ceremony);
            seen.cookies
                .insert(number, browser.http.cookie.clone().unwrap());
        }
    }
}

/// Kills the node three times while eight people sign in; then asks what is left.
async fn killed_under_load(storage: Storage) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut people = Vec::new();
    for round in 0..3_u8 {
        let node = Process::start(&storage);
        let mut tasks = Vec::new();
        for n in 0..8 {
            let number = round * 8 + n;
            let mut browser = browser(node.1, number);
            let name = format!("person {number}");
            browser.sign_up(&name).await;
            people.push(number);
            tasks.push(tokio::spawn(busy(browser, number, name, seen.clone())));
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        drop(node);
        for task in tasks {
            // Their next connection is refused.
            task.abort();
            let _ = task.await;
        }
    }
    let node = Process::start(&storage);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(
        seen.accepted.len() > 24,
        "only {} sign-ins",
        seen.accepted.len()
    );
    println!("{} sent, {} accepted", seen.sent.len(), seen.accepted.len());

    // No accepted sign-in is lost.
    let of_file = "SELECT lower(hex(ceremony)) FROM audit WHERE event = 'signed-in'";
    let of_server = "SELECT encode(ceremony, 'hex') FROM audit WHERE event = 'signed-in'";
    let query = match storage {
        Storage::File(_) => of_file,
        _ => of_server,
    };
    let written = rows(&storage, query).await;
    for ceremony in &seen.accepted {
        assert!(
            written.contains(ceremony),
            "{ceremony} was accepted and is gone"
        );
    }
    let mut http = browser(node.1, 200).http;
    for cookie in seen.cookies.values() {
        http.cookie = Some(cookie.clone());
        let answer = http.get("/api/session").await;
        // The answer to a later sign-in, which replaced this session, may have died with the node.
        let known = answer.status == 200 || written.len() > seen.accepted.len();
        assert!(known, "{}", answer.body);
    }
    // No challenge is accepted twice: whatever was sent is sent again.
    for (ceremony, (body, cookie)) in &seen.sent {
        http.cookie.clone_from(cookie);
        let status = http.post(SIGN_IN, body).await.status;
        if written.contains(ceremony) {
            assert_eq!(status, 409, "{ceremony} was accepted before");
        }
        assert_ne!(http.post(SIGN_IN, body).await.status, 200, "{ceremony}");
    }
    let mut all = rows(&storage, query).await;
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_on_sqlite_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    killed_under_load(Storage::File(directory.path().join("rp.sqlite"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_on_postgresql_loses_and_repeats_nothing() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    killed_under_load(postgres.storage()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_postgresql_is_found_again() {
    let Some(mut postgres) = Postgres::start() else {
        return;
    };
    let address = node(postgres.storage()).await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut tasks = Vec::new();
    for n in 0..4 {
        let mut browser = browser(address, n);
        let name = format!("person {n}");
        browser.sign_up(&name).await;
        tasks.push(tokio::spawn(busy(browser, n, name, seen.clone())));
    }
    for signal in ["-QUIT", "-INT"] {
        tokio::time::sleep(Duration::from_millis(700)).await;
        postgres.stop(signal);
        let probe = browser(address, 99);
        let refused = probe.http.get("/health").await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        let before = seen.lock().unwrap().accepted.len();
        postgres.up();
        tokio::time::timeout(Duration::from_secs(20), async {
            while seen.lock().unwrap().accepted.len() < before + 8 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap();
    }
    for task in tasks {
        assert!(
            !task.is_finished(),
            "somebody met something else than 200 and 503"
        );
        task.abort();
    }
    let written = rows(
        &postgres.storage(),
        "SELECT encode(ceremony, 'hex') FROM audit WHERE event = 'signed-in'",
    )
    .await;
    for ceremony in &seen.lock().unwrap().accepted {
        assert!(
            written.contains(ceremony),
            "{ceremony} was accepted and is gone"
        );
    }
}
