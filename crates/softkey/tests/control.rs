//! A running key, controlled over its socket by programs that know lines of JSON and nothing else.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use authenticator::profile;
use ctap::Status;
use serde_json::{Value, json};
use softkey::control::{Plugger, Server};
use softkey::{AutoTouch, Ended, Manual, Options, Prompts, RunningKey, Script, Scripted};
use transport::host::{Connection, HidKey, StreamPort};
use transport::stream;

#[path = "common/requests.rs"]
mod requests;
use requests::*;

/// A key on a Unix socket, and its control socket.
struct Desk {
    key: RunningKey,
    _server: Server,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(id: &str, prompts: impl Prompts + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let wire = dir.path().join("key.sock");
        let profile = profile::find(id).unwrap().unwrap();
        let key = Options::ephemeral(profile)
            .prompts(prompts)
            .start(|inbox| stream::listen_unix(&wire, inbox))
            .unwrap();
        let plugger: Plugger = Arc::new(move |inbox| stream::listen_unix(&wire, inbox));
        let path = dir.path().join("control.sock");
        let server = Server::listen(&path, key.remote(), plugger).unwrap();
        Self {
            key,
            _server: server,
            dir,
        }
    }

    fn control(&self) -> Client {
        Client::connect(&self.dir.path().join("control.sock"))
    }

    fn platform(&self) -> HidKey<StreamPort<UnixStream>> {
        let port = StreamPort::unix(&self.dir.path().join("key.sock")).unwrap();
        HidKey::open(port, [3; 8]).unwrap()
    }

    /// A request whose answer comes when somebody has done something at the key.
    fn asks(&self, request: Vec<u8>) -> thread::JoinHandle<Status> {
        let mut platform = self.platform();
        thread::spawn(move || Status(platform.cbor(&request).unwrap()[0]))
    }
}

struct Client {
    lines: BufReader<UnixStream>,
}

impl Client {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            lines: BufReader::new(stream),
        }
    }

    fn write(&mut self, line: &str) {
        self.lines.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }

    fn order(&mut self, order: Value) -> Value {
        self.write(&format!("{order}\n"));
        self.read()
    }

    fn done(&mut self, order: Value) -> Value {
        let answer = self.order(order);
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }
}

#[test]
fn another_program_is_the_person_at_the_key() {
    let desk = Desk::new("fido-2.1", Manual);
    let mut control = desk.control();
    assert_eq!(
        control.done(json!({ "do": "status" }))["status"]["asking"],
        Value::Null
    );
    let made = desk.asks(make_credential(1));
    let answer = control.done(json!({ "id": "x", "do": "touch", "wait_ms": 10_000 }));
    assert_eq!(answer["id"], "x");
    assert_eq!(answer["asked"]["for"], "make-credential");
    assert_eq!(answer["asked"]["rp_id"], "example.com");
    assert_eq!(made.join().unwrap(), Status::OK);
    let denied = desk.asks(get_assertion());
    control.done(json!({ "do": "deny", "wait_ms": 10_000 }));
    assert_eq!(denied.join().unwrap(), Status::OPERATION_DENIED);
    let answer = control.order(json!({ "do": "touch" }));
    assert_eq!(
        answer,
        json!({ "ok": false, "error": "the key asks for nothing" })
    );
}

#[test]
fn fingers_are_good_poor_and_wrong() {
    let desk = Desk::new("fido-2.1-bio", Manual);
    let mut control = desk.control();
    let made = desk.asks(make_credential_uv(1));
    let mut left = Vec::new();
    for finger in ["wrong", "poor", "good"] {
        let answer = control.done(json!({ "do": "finger", "finger": finger, "wait_ms": 10_000 }));
        assert_eq!(answer["asked"]["kind"], "finger");
        left.push(answer["asked"]["attempts_left"].as_u64().unwrap());
    }
    assert_eq!(left, [3, 2, 2], "a poor image costs nothing");
    assert_eq!(made.join().unwrap(), Status::OK);
}

#[test]
fn followers_hear_what_happens_in_order() {
    let desk = Desk::new("fido-2.1", AutoTouch);
    let (mut one, mut two) = (desk.control(), desk.control());
    for client in [&mut one, &mut two] {
        client.done(json!({ "do": "subscribe" }));
    }
    let mut platform = desk.platform();
    platform.wink().unwrap();
    assert_eq!(platform.cbor(&make_credential(1)).unwrap()[0], 0);
    for client in [&mut one, &mut two] {
        assert_eq!(client.read(), json!({ "event": "wink" }));
        assert_eq!(client.read()["user_name"], "anna");
        assert_eq!(client.read(), json!({ "event": "idle" }));
    }
    one.write("{\"do\":\"power-cycle\"}\n");
    let mut heard = [one.read(), one.read()];
    heard.sort_by_key(|value| value["event"].is_null());
    assert_eq!(
        heard,
        [json!({ "event": "power-cycled" }), json!({ "ok": true })]
    );
    assert_eq!(two.read(), json!({ "event": "power-cycled" }));
    drop(desk.key);
    assert_eq!(two.read(), json!({ "event": "ended", "why": "stopped" }));
}

#[test]
fn a_key_is_unplugged_and_plugged_in_with_its_credentials() {
    let desk = Desk::new("fido-2.1", AutoTouch);
    let mut control = desk.control();
    let mut platform = desk.platform();
    assert_eq!(platform.cbor(&make_credential(1)).unwrap()[0], 0);
    control.done(json!({ "do": "unplug" }));
    assert!(platform.cbor(&GET_INFO).is_err(), "the bus is gone");
    assert!(!desk.dir.path().join("key.sock").exists());
    let status = control.done(json!({ "do": "status" }));
    assert_eq!(status["status"]["plugged_at"], Value::Null);
    // Nothing is there to be unplugged, which is no error.
    control.done(json!({ "do": "unplug" }));
    control.done(json!({ "do": "plug" }));
    let mut platform = desk.platform();
    assert_eq!(platform.cbor(&get_assertion()).unwrap()[0], 0);
    let twice = control.order(json!({ "do": "plug" }));
    assert_eq!(twice["error"], "the key is plugged in");
    assert!(platform.cbor(&GET_INFO).is_ok(), "and it stays so");
    control.done(json!({ "do": "replug" }));
    assert!(platform.cbor(&GET_INFO).is_err());
    assert_eq!(desk.platform().cbor(&get_assertion()).unwrap()[0], 0);
}

#[test]
fn a_replugged_key_can_be_reset_and_asks_no_more() {
    let desk = Desk::new("fido-2.1", Manual);
    let mut control = desk.control();
    let mut platform = desk.platform();
    let waiting = thread::spawn(move || platform.cbor(&SELECTION).is_err());
    while desk.key.asking().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    control.done(json!({ "do": "replug" }));
    assert!(waiting.join().unwrap());
    assert_eq!(desk.key.asking(), None);
    let reset = desk.asks(RESET.to_vec());
    let answer = control.done(json!({ "do": "consent", "wait_ms": 10_000 }));
    assert_eq!(answer["asked"]["text"], "ERASE everything on it");
    assert_eq!(reset.join().unwrap(), Status::OK);
}

#[test]
fn nonsense_is_answered_and_too_much_of_it_is_cut_off() {
    let desk = Desk::new("fido-2.1", Manual);
    let mut control = desk.control();
    control.write("hello\n");
    assert_eq!(control.read()["ok"], false);
    control.write("{\"id\":5,\"do\":\"dance\"}\n");
    assert_eq!(control.read()["id"], 5);
    control.done(json!({ "do": "status" }));
    control.write(&"x".repeat(5000));
    assert_eq!(control.read()["error"], "the line is too long");
    let mut rest = String::new();
    assert_eq!(control.lines.read_line(&mut rest).unwrap_or(0), 0);
}

#[test]
fn only_its_owner_may_connect_and_the_socket_goes_with_the_server() {
    let desk = Desk::new("fido-2.1", Manual);
    let path = desk.dir.path().join("control.sock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let Desk { key, _server, dir } = desk;
    let plugger: Plugger = Arc::new(|_| Err(std::io::Error::other("no")));
    assert!(
        Server::listen(&path, key.remote(), plugger).is_err(),
        "in use"
    );
    drop(_server);
    assert!(!path.exists());
    drop(dir);
}

#[test]
fn a_key_that_has_ended_says_so() {
    let desk = Desk::new("fido-2.1", Manual);
    let mut control = desk.control();
    control.done(json!({ "do": "stop" }));
    assert_eq!(
        desk.key.wait_ended(Duration::from_secs(10)),
        Some(Ended::Stopped)
    );
    let answer = control.order(json!({ "do": "touch", "wait_ms": 10 }));
    assert_eq!(answer["error"], "the key has ended");
    let status = control.done(json!({ "do": "status" }));
    assert_eq!(status["status"]["ended"]["why"], "stopped");
}

#[test]
fn a_script_is_the_person_and_then_somebody_else() {
    let script: Script = "deny\nafter 200ms touch\nignore\n".parse().unwrap();
    let desk = Desk::new("fido-2.1", Scripted::new(script, Manual));
    let mut platform = desk.platform();
    let status =
        |platform: &mut HidKey<_>, request: &[u8]| Status(platform.cbor(request).unwrap()[0]);
    assert_eq!(status(&mut platform, &SELECTION), Status::OPERATION_DENIED);
    let start = std::time::Instant::now();
    assert_eq!(status(&mut platform, &make_credential(1)), Status::OK);
    assert!(start.elapsed() >= Duration::from_millis(200));
    // Two are left to the control socket: the one that is ignored, and the one after the script.
    for _ in 0..2 {
        let waiting = desk.asks(SELECTION.to_vec());
        desk.control()
            .done(json!({ "do": "touch", "wait_ms": 10_000 }));
        assert_eq!(waiting.join().unwrap(), Status::OK);
    }
}

#[test]
fn a_person_in_a_hurry_does_not_hang_the_key() {
    // A finger is wanted, and it is touched without an end.
    let script: Script = "touch\nrepeat\n".parse().unwrap();
    let desk = Desk::new("fido-2.1-bio", Scripted::new(script, Manual));
    let made = desk.asks(make_credential_uv(1));
    desk.control()
        .done(json!({ "do": "finger", "finger": "good", "wait_ms": 10_000 }));
    assert_eq!(made.join().unwrap(), Status::OK);
}
