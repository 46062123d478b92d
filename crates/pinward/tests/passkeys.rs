//! `pinward passkeys` and `pinward reset` on software keys behind sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Pinward, SoftKey, register};
use serde_json::json;
use softkey::Options;
use transport::stream;

/// Three passkeys, then the PIN 1234: before it, nobody asks for one.
fn filled(profile: &str) -> SoftKey {
    let key = SoftKey::new(profile);
    register(&key, "a.example", 1, "=HYPERLINK(1)");
    register(&key, "b.example", 2, "\u{1b}[2J\u{202e}evil, \"b\"");
    register(&key, "b.example", 3, "Zoë 日本");
    key.run("pin set --new-pin env:PIN").ok();
    key
}

const PIN: &str = "--pin env:PIN";

#[test]
fn passkeys_of_all_sites_are_in_one_table_and_harmless() {
    for profile in ["fido-2.1", "fido-2.1-pre"] {
        let key = filled(profile);
        let list = key.run(&format!("passkeys list {PIN}")).ok();
        let list = list.prints("Zoë 日本").prints("b.example").prints("ES256");
        let list = list.prints("\\u{1b}[2J\\u{202e}evil").says("3 passkeys");
        list.hides("\u{1b}").hides("\u{202e}");
        let csv = key.run(&format!("passkeys list --csv {PIN}")).ok();
        csv.prints("\"'=HYPERLINK(1)\"").hides("\u{1b}");
        let json = key.run(&format!("passkeys list --json --site b.example {PIN}"));
        let json = json.ok().json();
        assert_eq!(json["schema"], "pinward.passkeys/1");
        assert_eq!(json["existing"], 3);
        let list = json["passkeys"].as_array().unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[1]["name"], "Zoë 日本");
        assert_eq!(list[1]["userHandle"], "Aw");
    }
}

fn id_of(key: &SoftKey, n: usize) -> String {
    let json = key.run(&format!("passkeys list --json {PIN}")).ok().json();
    json["passkeys"][n]["id"].as_str().unwrap().to_owned()
}

#[test]
fn one_passkey_is_shown_renamed_and_deleted() {
    let key = filled("fido-2.1");
    let id = id_of(&key, 2);
    let shown = key.run(&format!("passkeys show {id} {PIN}")).ok();
    shown.prints("Account     Zoë 日本").hides("a.example");
    let rename = format!("passkeys rename {id} --name zoe {PIN} --json");
    let renamed = key.run(&rename).ok().says("is renamed").json();
    assert_eq!(renamed["passkeys"][0]["name"], "zoe");
    assert_eq!(renamed["passkeys"][0]["displayName"], "A Person");
    key.run(&rename).ok().says("already");
    key.run(&format!("passkeys delete {id} {PIN}"))
        .code(2)
        .says("--yes");
    let deleted = key
        .run(&format!("passkeys delete {id} {PIN} --yes --json"))
        .ok();
    let deleted = deleted.says("b.example as zoe").says("is deleted").json();
    assert_eq!(deleted["existing"], 2);
    key.run(&format!("passkeys delete {id} {PIN} --yes"))
        .code(3);
    key.run(&format!("passkeys show zz {PIN}")).code(3);
    key.run("passkeys list --pin env:NEW").code(5);
}

#[test]
fn keys_that_cannot_say_so() {
    let pre = filled("fido-2.1-pre");
    let id = id_of(&pre, 0);
    pre.run(&format!("passkeys rename {id} --name x {PIN}"))
        .code(8);
    pre.run(&format!("passkeys delete {id} {PIN} --yes")).ok();
    SoftKey::with_pin("fido-2.0")
        .run(&format!("passkeys list {PIN}"))
        .code(8);
    let no_pin = SoftKey::new("fido-2.1").run("passkeys list");
    no_pin.code(7).says("pin set");
}

#[test]
fn a_key_just_plugged_in_is_reset_when_it_is_meant() {
    let key = filled("fido-2.1");
    key.run("reset --now")
        .code(2)
        .says("--yes")
        .says("will be erased");
    assert_eq!(key.run("show --json").json()["pin"]["state"], "set");
    let reset = key
        .run("reset --now --yes --json")
        .ok()
        .says("has been reset");
    assert_eq!(reset.json()["pin"], "not-set");
    key.run("pin set --new-pin env:PIN").ok();
    let list = key.run(&format!("passkeys list --json {PIN}")).ok().json();
    assert_eq!(
        (&list["existing"], &list["passkeys"]),
        (&json!(0), &json!([]))
    );
}

#[test]
fn a_key_that_was_plugged_in_long_ago_is_not_reset() {
    let key = SoftKey::with_pin("fido-2.1");
    std::thread::sleep(Duration::from_millis(10_500));
    let late = key.run("reset --now --yes").code(7);
    late.says("ten seconds").says("nothing was erased");
    assert_eq!(key.run("show --json").json()["pin"]["state"], "set");
}

/// Starts `pinward reset` on the address, and waits for it to ask.
fn reset_that_asks(address: &str) -> (std::process::Child, impl BufRead) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pinward"))
        .args(["reset", "--yes", "--device", address])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Take the key out") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
    }
    (child, said)
}

/// A stored key that is stopped and started again, as one that is taken out and plugged in.
fn replugged(back: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (socket, store) = (dir.path().join("key"), dir.path().join("store"));
    let start = |profile: &str| {
        let profile = authenticator::profile::find(profile).unwrap().unwrap();
        let options = Options::stored(
            profile,
            &store,
            &softkey::store::Protection::InsecurePlaintext,
        );
        let options = options.unwrap();
        options
            .start(|inbox| stream::listen_unix(&socket, inbox))
            .unwrap()
    };
    let address = format!("unix:{}", socket.display());
    let key = start("fido-2.1");
    let set = format!("pin set --new-pin env:PIN --device {address}");
    Pinward::new(&set).run().ok();
    let (mut child, mut said) = reset_that_asks(&address);
    key.stop();
    let mut line = String::new();
    while !line.contains("Plug it in again") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
    }
    let _back = start(back);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let code = child.wait().unwrap().code();
    let show = format!("show --json --device {address}");
    let state = Pinward::new(&show).run().ok().json()["pin"]["state"].clone();
    let expected = if code == Some(0) { "not-set" } else { "set" };
    assert_eq!(state, expected, "{rest}");
    (code, rest)
}

#[test]
fn a_key_that_is_taken_out_and_comes_back_is_reset() {
    let (code, said) = replugged("fido-2.1");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("has been reset"), "{said}");
}

#[test]
fn another_key_that_comes_instead_is_left_alone() {
    let (code, said) = replugged("fido-2.3");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("not the one that went"), "{said}");
}
