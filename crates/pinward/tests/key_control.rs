//! `pinward key run` with its control socket, its script, its notifications and the official tool's
//! automation, and the commands that talk to it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::Pinward;
use ctap::Status;
use serde_json::{Value, json};
use transport::host::{HidKey, StreamPort};

const SELECTION: [u8; 1] = [0x0B];

/// `pinward key run` in a folder of its own.
struct Running {
    child: Child,
    errors: BufReader<ChildStderr>,
    /// What it said until it was ready.
    said: String,
    dir: tempfile::TempDir,
}

impl Running {
    fn start(more: &[&str], prepare: impl FnOnce(&Path, &mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinward"));
        command
            .args(["key", "run", "--ephemeral", "--unix"])
            .arg(dir.path().join("key.sock"))
            .args(more)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        prepare(dir.path(), &mut command);
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("pinward key ready") {
            assert_ne!(errors.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Self {
            child,
            errors,
            said,
            dir,
        }
    }

    /// With a control socket.
    fn controlled(more: &[&str]) -> Self {
        Self::start(more, |dir, command| {
            command.arg("--control").arg(dir.join("control.sock"));
        })
    }

    fn control(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    fn key(&self, line: &str) -> common::Ran {
        let control = self.control();
        Pinward::new(&format!("key {line} --control {}", control.display())).run()
    }

    /// A request that waits for somebody.
    fn asks(&self, request: &'static [u8]) -> JoinHandle<Status> {
        let port = StreamPort::unix(&self.dir.path().join("key.sock")).unwrap();
        let mut key = HidKey::open(port, [5; 8]).unwrap();
        thread::spawn(move || Status(key.cbor(request).unwrap()[0]))
    }

    fn post(address: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost:3000\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer[9..12].parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// The next line about this.
    fn says(&mut self, what: &str) -> String {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(self.errors.read_line(&mut line).unwrap(), 0, "no {what}");
        }
        line
    }

    fn ends(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_are_the_person_at_the_key() {
    let mut running = Running::controlled(&["--profile", "fido-2.1"]);
    running
        .key("touch --wait 0")
        .code(1)
        .says("asks for nothing");
    for (line, status, prints) in [
        ("touch", Status::OK, "Touched, to choose it."),
        ("deny", Status::OPERATION_DENIED, "Declined, to choose it."),
        ("finger good", Status::OK, "A good finger"),
        ("touch --long", Status::OK, "Touched"),
    ] {
        let waiting = running.asks(&SELECTION);
        running.key(line).ok().prints(prints);
        assert_eq!(waiting.join().unwrap(), status, "{line}");
    }
    let waiting = running.asks(&SELECTION);
    while running.key("status --json").ok().json()["asking"].is_null() {}
    running
        .key("status")
        .ok()
        .prints("asks for a touch, to choose it");
    let answer = running.key("touch --json").ok().json();
    assert_eq!(answer["asked"]["for"], "selection");
    assert_eq!(waiting.join().unwrap(), Status::OK);
    running.key("replug").ok();
    running.key("power-cycle").ok();
    running.key("unplug").ok();
    running.key("status").ok().prints("unplugged");
    running.key("plug").ok();
    assert_eq!(running.key("status --json").ok().json()["winks"], 0);
    running.key("stop").ok();
    assert!(running.ends());
    running
        .key("touch")
        .code(3)
        .says("pinward key run --control");
}

#[test]
fn a_watcher_sees_what_happens_until_the_end() {
    let mut running = Running::controlled(&["--auto-touch"]);
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_pinward"))
        .args(["key", "watch", "--json", "--control"])
        .arg(running.control())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    // It may not have come yet: the key is touched until it has.
    let touched = thread::scope(|scope| {
        let first = scope.spawn(|| events.next().unwrap());
        while !first.is_finished() {
            assert_eq!(running.asks(&SELECTION).join().unwrap(), Status::OK);
        }
        first.join().unwrap()
    });
    assert_eq!(touched["for"], "selection");
    running.key("stop").ok();
    let last = events.last().unwrap();
    assert_eq!(last, json!({ "event": "ended", "why": "stopped" }));
    assert!(watcher.wait().unwrap().success() && running.ends());
}

#[test]
fn without_a_path_both_ends_meet_in_the_runtime_folder() {
    let running = Running::start(&["--control"], |dir, command| {
        command.env("XDG_RUNTIME_DIR", dir);
    });
    let status = Command::new(env!("CARGO_BIN_EXE_pinward"))
        .args(["key", "status"])
        .env("XDG_RUNTIME_DIR", running.dir.path())
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    let socket = running.dir.path().join("pinward-key.sock");
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let nowhere = Command::new(env!("CARGO_BIN_EXE_pinward"))
        .args(["key", "status"])
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn a_script_answers_and_a_bad_one_is_named() {
    let running = Running::start(&[], |dir, command| {
        let script = dir.join("script");
        std::fs::write(&script, "deny\ntouch\nrepeat\n").unwrap();
        command.arg("--script").arg(script);
    });
    for expected in [
        Status::OPERATION_DENIED,
        Status::OK,
        Status::OPERATION_DENIED,
    ] {
        assert_eq!(running.asks(&SELECTION).join().unwrap(), expected);
    }
    let script = running.dir.path().join("bad");
    std::fs::write(&script, "touch\ndance\n").unwrap();
    let line = format!(
        "key run --ephemeral --unix {0}/k --script {0}/bad",
        running.dir.path().display()
    );
    Pinward::new(&line)
        .run()
        .code(1)
        .says("line 2")
        .says("dance");
}

#[test]
fn the_official_tool_touches_and_power_cycles_the_key() {
    let mut running = Running::start(&["--automation", "127.0.0.1:0"], |_, _| {});
    let said = running.said.clone();
    let (_, address) = said.split_once("automation: http://").unwrap();
    let address = address.lines().next().unwrap();
    let waiting = running.asks(&SELECTION);
    let (status, answer) = Running::post(address, "/conformance/userpresence", "");
    assert_eq!(
        (status, &answer["asked"]["for"]),
        (200, &json!("selection"))
    );
    assert_eq!(waiting.join().unwrap(), Status::OK);
    let (status, _) = Running::post(address, "/conformance/powercycle", "");
    assert_eq!(status, 200);
    let (status, _) = Running::post(address, "/conformance/results", "{\"failedTestsCount\":0}");
    assert_eq!(status, 200);
    assert!(
        running
            .says("conformance results")
            .contains("failedTestsCount")
    );
    assert_eq!(Running::post(address, "/conformance/dance", "").0, 404);
    Pinward::new("key run --ephemeral --unix /nonexistent/k --automation 0.0.0.0:3000")
        .run()
        .code(1);
}

#[test]
fn a_notification_says_what_is_asked() {
    let running = Running::start(&["--notify"], |dir, command| {
        let program = dir.join("notify-send");
        let shown = dir.join("shown");
        std::fs::write(
            &program,
            format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\n", shown.display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        command.env("PATH", format!("{}:/usr/bin:/bin", dir.display()));
        command.arg("--control").arg(dir.join("control.sock"));
    });
    let waiting = running.asks(&SELECTION);
    running.key("touch").ok();
    assert_eq!(waiting.join().unwrap(), Status::OK);
    let shown = running.dir.path().join("shown");
    let end = Instant::now() + Duration::from_secs(10);
    let mut text = String::new();
    while !text.ends_with("to choose it\n") {
        assert!(Instant::now() < end, "{text}");
        text = std::fs::read_to_string(&shown).unwrap_or_default();
        thread::sleep(Duration::from_millis(10));
    }
    assert!(
        text.contains("\n--\nTouch the security key\nto choose it\n"),
        "{text}"
    );
    let missing = Command::new(env!("CARGO_BIN_EXE_pinward"))
        .args([
            "key",
            "run",
            "--ephemeral",
            "--unix",
            "/nonexistent/k",
            "--notify",
        ])
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("libnotify-bin"));
}
