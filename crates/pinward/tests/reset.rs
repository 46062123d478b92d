//! What ends a reset before it is one: Ctrl-C, no permission, a key that is not touched.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test stops at its first surprise, and says why it did not run

mod common;

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::SoftKey;
use softkey::Manual;

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_pinward")
}

#[test]
fn ctrl_c_while_the_key_waits_for_its_touch_erases_nothing() {
    let key = SoftKey::with_prompts("fido-2.1", Manual);
    key.run("pin set --new-pin env:PIN").ok();
    let mut child = Command::new(program())
        .args(["reset", "--now", "--yes", "--device", &key.address()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Touch the key now") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
    }
    // The handler is in place a moment after the words are.
    std::thread::sleep(Duration::from_millis(500));
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{rest}");
    assert!(
        rest.contains("not touched") && rest.contains("nothing was erased"),
        "{rest}"
    );
    assert!(
        key.key.remote().asking().is_none(),
        "the key no longer blinks"
    );
    assert_eq!(key.run("show --json").json()["pin"]["state"], "set");
}

#[test]
fn a_key_of_another_user_is_not_opened() {
    let key = SoftKey::with_pin("fido-2.1");
    let path = key.path();
    std::fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o711)).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(program());
    command.args(["show", "--device", &key.address()]);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // The administrator may open everything; nobody may not.
        command.uid(65534);
    } else {
        std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: the program cannot be run as another user: {error}");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains("another user"), "{said}");
}
