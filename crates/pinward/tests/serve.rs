//! `pinward serve` as an operator starts it: registering and signing in over HTTP against the program
//! itself, and `kill -9` under sign-ins.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../server/tests/common/desk.rs"]
mod desk;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use desk::Desk;
use lab::KeyState;
use serde_json::{Value, json};

const ORIGIN: &str = "http://localhost:4433";
const SIGN_IN: &str = "/api/authentication/verification";

/// The running program; killed when dropped.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pinward(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinward"));
    command.arg("serve").args(arguments);
    command
}

impl Program {
    fn start(database: &Path) -> Self {
        let database = database.to_str().unwrap();
        let mut child = pinward(&["--listen", "127.0.0.1:0", "--origin", ORIGIN])
            .args([
                "--name",
                "Example",
                "--uv",
                "always",
                "--database",
                database,
            ])
            .args(["--trusted-proxy", "127.0.0.1"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let address = line
            .split(" on ")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        let address = address.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Self { child, address }
    }
}

/// Somebody behind a proxy, with an address of their own.
struct Browser {
    server: SocketAddr,
    forwarded: String,
    cookie: Option<String>,
    desk: Desk,
}

impl Browser {
    fn new(server: SocketAddr, seed: u8) -> Self {
        Self {
            server,
            forwarded: format!("192.0.2.{seed}"),
            cookie: None,
            desk: Desk::new(ORIGIN, KeyState::PinSet, seed),
        }
    }

    /// Status and body; an error if the server is gone.
    fn send(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.server)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let cookie = self.cookie.as_deref().unwrap_or("none=0");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:4433\r\nOrigin: {ORIGIN}\r\n\
             X-Forwarded-For: {}\r\nCookie: {cookie}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.forwarded,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let set = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        if let Some(cookie) = set {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok((status, body.to_owned()))
    }

    fn post(&mut self, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let (status, body) = self.send("POST", path, &body.to_string())?;
        Ok((status, serde_json::from_str(&body)?))
    }

    fn sign_up(&mut self, name: &str) {
        let path = "/api/registration/options";
        let (status, begun) = self.post(path, &json!({ "userName": name })).unwrap();
        assert_eq!(status, 200, "{begun}");
        let credential = self.desk.create(&begun["publicKey"]);
        let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
        let (status, made) = self.post("/api/registration/verification", &body).unwrap();
        assert_eq!(status, 200, "{made}");
    }

    /// The answer to a fresh challenge, and the cookie that it is tied to.
    fn signed(&mut self) -> std::io::Result<(Value, Option<String>)> {
        self.cookie = None;
        let (status, begun) = self.post("/api/authentication/options", &json!({}))?;
        assert_eq!(status, 200, "{begun}");
        let credential = self.desk.get(&begun["publicKey"]);
        let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
        Ok((body, self.cookie.clone()))
    }

    fn session(&mut self) -> (u16, Value) {
        let (status, body) = self.send("GET", "/api/session", "").unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[test]
fn the_program_registers_signs_in_and_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("accounts.sqlite");
    let program = Program::start(&database);
    let mut kim = Browser::new(program.address, 1);
    assert_eq!(kim.send("GET", "/health", "").unwrap().0, 200);
    kim.sign_up("kim");
    let (body, _) = kim.signed().unwrap();
    let (status, signed_in) = kim.post(SIGN_IN, &body).unwrap();
    assert_eq!(status, 200, "{signed_in}");
    assert_eq!(signed_in["session"]["multiFactor"], true);
    let (_, metrics) = kim.send("GET", "/metrics", "").unwrap();
    let counted = "pinward_ceremonies_total{ceremony=\"authentication\",outcome=\"accepted\",\
                   user_verified=\"true\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    drop(program);

    let again = Program::start(&database);
    kim.server = again.address;
    assert_eq!(kim.session().1["userName"], "kim");
}

#[test]
fn user_verification_has_no_default() {
    let without = pinward(&["--listen", "127.0.0.1:0", "--origin", ORIGIN, "--name", "x"])
        .args(["--database", "/nonexistent/x.sqlite"])
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(2));
    let text = String::from_utf8_lossy(&without.stderr);
    assert!(text.contains("--uv"), "{text}");
}

#[test]
fn an_rp_id_that_pages_of_the_origin_cannot_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("accounts.sqlite");
    let output = pinward(&["--listen", "127.0.0.1:0", "--name", "x", "--uv", "never"])
        .args([
            "--origin",
            "https://a.example.org",
            "--rp-id",
            "example.com",
        ])
        .args(["--database", database.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("example.com"), "{text}");
}

/// What one person saw before the server was gone.
struct Seen {
    browser: Browser,
    /// Cookie of the session, answer, cookie of the challenge.
    accepted: Vec<(Option<String>, Value, Option<String>)>,
    /// An answer whose fate is not known.
    open: Option<(Value, Option<String>)>,
}

/// Signs in until the server is gone, each time from another address: how often one address may is
/// another test's subject, and a fast machine would meet it.
fn sign_in_until_the_end(mut browser: Browser, place: u8) -> Seen {
    let (mut accepted, mut open) = (Vec::new(), None);
    let addresses = (0..=u16::MAX).map(|n| {
        let [high, low] = n.to_be_bytes();
        format!("10.{place}.{high}.{low}")
    });
    for address in addresses {
        browser.forwarded = address;
        let Ok((body, asked)) = browser.signed() else {
            break;
        };
        match browser.post(SIGN_IN, &body) {
            Ok((429, _)) => {} // so many by one account, too
            Ok((200, _)) => accepted.push((browser.cookie.clone(), body, asked)),
            Ok((status, problem)) => panic!("{status}: {problem}"),
            Err(_) => {
                open = Some((body, asked));
                break;
            }
        }
    }
    Seen {
        browser,
        accepted,
        open,
    }
}

#[test]
fn kill_9_loses_no_accepted_sign_in_and_no_challenge_counts_twice() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("accounts.sqlite");
    let mut program = Program::start(&database);
    let mut people: Vec<Browser> = (1..=3)
        .map(|n| {
            let mut browser = Browser::new(program.address, n * 50);
            browser.sign_up(&format!("user {n}"));
            browser
        })
        .collect();
    let mut told = 0;
    for round in 0..5_u8 {
        let threads: Vec<_> = (0_u8..)
            .zip(people.drain(..))
            .map(|(n, mut browser)| {
                browser.server = program.address;
                std::thread::spawn(move || sign_in_until_the_end(browser, round * 10 + n))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(400 + 170 * u64::from(round)));
        drop(program); // SIGKILL
        program = Program::start(&database);
        for thread in threads {
            let mut seen = thread.join().unwrap();
            told += seen.accepted.len();
            seen.browser.server = program.address;
            people.push(look_back(seen));
        }
    }
    assert!(
        told >= 5,
        "only {told} sign-ins were accepted before a kill"
    );
}

fn look_back(seen: Seen) -> Browser {
    let mut browser = seen.browser;
    for (n, (session, body, asked)) in seen.accepted.into_iter().enumerate() {
        browser.forwarded = format!("203.0.{}.{}", n / 250 % 250, n % 250);
        browser.cookie = session;
        assert_eq!(browser.session().0, 200, "the session is still there");
        browser.cookie = asked;
        let (status, problem) = browser.post(SIGN_IN, &body).unwrap();
        assert_eq!(status, 409, "counted twice: {problem}");
    }
    if let Some((body, asked)) = seen.open {
        let accepted = (0..2)
            .filter(|_| {
                browser.cookie.clone_from(&asked);
                browser.post(SIGN_IN, &body).unwrap().0 == 200
            })
            .count();
        assert!(accepted <= 1);
    }
    browser
}
