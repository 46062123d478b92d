//! Fourteen faults of Token2's fido2-manage, each measured there, and none of them here.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/drop_in.rs"]
mod drop_in;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use common::{Pinward, SoftKey};
use drop_in::{command, key, register, run};
use serde_json::Value;
use softkey::Options;
use transport::stream;

/// One call of fido2-manage on these keys: exit code, standard output, standard error.
fn manage_all(keys: &[&SoftKey], words: &[&str], input: &str) -> (i32, String, String) {
    let links = tempfile::tempdir().unwrap();
    let mut command = command(links.path(), "fido2-manage", words);
    let addresses: Vec<_> = keys.iter().map(|key| key.address()).collect();
    command.env("PINWARD_KEYS", addresses.join(" "));
    run(command, input)
}

fn manage(key: &SoftKey, line: &str, input: &str) -> (i32, String, String) {
    let words: Vec<_> = line.split(' ').collect();
    manage_all(&[key], &words, input)
}

fn state(key: &SoftKey) -> Value {
    key.run("show --json").ok().json()
}

fn pin_state(key: &SoftKey) -> String {
    state(key)["pin"]["state"].as_str().unwrap().to_owned()
}

#[test]
fn f01_a_command_goes_to_the_key_that_is_named_and_to_no_other() {
    let (one, two) = (key("fido-2.1 pin"), key("fido-2.1 new"));
    let on = |line: &str, input: &str| {
        let words: Vec<_> = line.split(' ').collect();
        manage_all(&[&one, &two], &words, input)
    };
    let before = state(&one);
    assert!(on("-device 2 -info", "").1.contains("noclientPin"));
    assert!(!on("-device 1 -info", "").1.contains("noclientPin"));
    assert_eq!(on("-device 2 -setPIN -pin env:NEW", "").0, 0);
    assert_eq!(on("-device 2 -uvs -pin env:NEW", "").0, 0);
    assert_eq!(on("-device 2 -reset", "Y\n").0, 0);
    assert_eq!(pin_state(&two), "not-set");
    assert_eq!(state(&one), before);
}

#[test]
fn f02_the_whole_address_names_the_key() {
    let dir = tempfile::tempdir().unwrap();
    // As readers are named: with blanks, colons and numbers.
    let path = dir.path().join("slot1: Reader 00 01");
    let profile = authenticator::profile::find("fido-2.1").unwrap().unwrap();
    let _key = Options::ephemeral(profile)
        .start(|inbox| stream::listen_unix(&path, inbox))
        .unwrap_or_else(|_| panic!("{}", path.display()));
    let address = format!("unix:{}", path.display());
    let (code, out, err) = manage_all(&[], &["-info", "-device", &address], "");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("aaguid: "), "{out}");
    // The whole name of a reader, not its beginning, is what there is no key at.
    let reader = "pcsc:Virtual PCD 00 01";
    let (code, _, err) = manage_all(&[], &["-info", "-device", reader], "");
    assert_ne!(code, 0);
    assert!(err.contains(reader), "{err}");
}

#[test]
fn f03_a_reset_that_did_not_happen_is_not_completed() {
    let never = |(code, out, err): (i32, String, String), wanted: i32| {
        assert_eq!(code, wanted, "{out}{err}");
        assert!(!out.contains("completed"), "{out}");
        err
    };
    never(manage_all(&[], &["-reset", "-device", "1"], "Y\n"), 3);
    let gone = ["-reset", "-device", "unix:/nonexistent/key"];
    never(manage_all(&[], &gone, "Y\n"), 3);
    // Plugged in too long ago.
    let late = key("fido-2.1 pin");
    std::thread::sleep(Duration::from_millis(10_500));
    let err = never(manage(&late, "-reset -device 1", "Y\n"), 7);
    assert!(err.contains("FIDO_ERR_NOT_ALLOWED"), "{err}");
    assert!(err.contains("10 seconds"), "{err}");
    assert_eq!(pin_state(&late), "set");
    late.key.power_cycle();
    let (code, out, _) = manage(&late, "-reset -device 1", "Y\n");
    assert_eq!((code, pin_state(&late).as_str()), (0, "not-set"));
    assert!(out.contains("Factory reset completed."), "{out}");
}

#[test]
fn f04_only_a_yes_is_a_yes() {
    let key = key("fido-2.1 passkeys");
    let id = first_passkey(&key);
    let delete = format!("-delete -device 1 -pin env:PIN -credential {id}");
    for said in ["no way", "maybe", "N", "yesterday", "Yy", "", "why?"] {
        let (code, out, _) = manage(&key, "-reset -device 1", &format!("{said}\n"));
        assert_eq!(code, 7, "{said}");
        assert!(out.contains("canceled"), "{out}");
        assert_eq!(manage(&key, &delete, &format!("{said}\n")).0, 7, "{said}");
    }
    assert_eq!(pin_state(&key), "set");
    assert_eq!(first_passkey(&key), id);
    assert_eq!(manage(&key, &delete, "yes\n").0, 0);
    assert_ne!(first_passkey(&key), id);
}

fn first_passkey(key: &SoftKey) -> String {
    let (_, out, _) = manage(
        key,
        "-residentKeys -domain login.example -device 1 -pin env:PIN",
        "",
    );
    let line = out.lines().next().unwrap();
    let id = line.split("Credential ID: ").nth(1).unwrap();
    id.split(',').next().unwrap().to_owned()
}

#[test]
fn f05_what_failed_has_failed() {
    let wrong = key("fido-2.1 passkeys");
    let id = first_passkey(&wrong);
    let delete = format!("-delete -credential {id}");
    let calls = [
        "-storage",
        "-residentKeys",
        "-uvs",
        "-forcePINchange",
        &delete,
    ];
    for action in calls {
        let line = format!("{action} -device 1 -pin env:NEW");
        assert_eq!(manage(&wrong, &line, "Y\n").0, 5, "{action}");
        // The next try is not the third in a row.
        manage(&wrong, "-storage -device 1 -pin env:PIN", "");
    }
    let change = manage(&wrong, "-changePIN -device 1", "9999\n567890\n567890\n");
    assert_eq!(change.0, 5);
    let blocked = key("fido-2.1 blocked");
    for action in calls {
        let line = format!("{action} -device 1 -pin env:PIN");
        assert_eq!(manage(&blocked, &line, "Y\n").0, 6, "{action}");
    }
    let change = manage(&blocked, "-changePIN -device 1", "1234\n567890\n567890\n");
    assert_eq!(change.0, 6);
    let plain = key("fido-2.0 pin");
    for action in calls {
        let line = format!("{action} -device 1 -pin env:PIN");
        assert_eq!(manage(&plain, &line, "Y\n").0, 8, "{action}");
    }
    let again = manage(&plain, "-setPIN -device 1", "1234\n1234\n");
    assert_eq!(again.0, 7);
}

#[test]
fn f06_nothing_that_a_key_or_a_person_says_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let here = |name: &str| dir.path().join(name);
    let rp = format!(
        "x$(touch {0});`touch {0}`|touch {0}",
        here("pwned").display()
    );
    let key = SoftKey::new("fido-2.1");
    register(&key, &rp, 1, "\"; touch pwned; \"", Some("$(touch pwned)"));
    key.run("pin set --new-pin env:PIN").ok();
    let links = tempfile::tempdir().unwrap();
    let on = |words: &[&str]| {
        let mut command = command(links.path(), "fido2-manage", words);
        command
            .env("PINWARD_KEYS", key.address())
            .current_dir(dir.path());
        run(command, "")
    };
    let (code, out, _) = on(&["-residentKeys", "-device", "1", "-pin", "env:PIN"]);
    assert_eq!(code, 0);
    assert!(out.contains(&rp), "{out}");
    // As the graphical program does: the RP ID that was read is the argument of the next call.
    let words = [
        "-residentKeys",
        "-domain",
        &rp,
        "-device",
        "1",
        "-pin",
        "env:PIN",
    ];
    let (code, out, _) = on(&words);
    assert_eq!(code, 0);
    assert!(out.contains("$(touch pwned) \"; touch pwned; \""), "{out}");
    // A PIN is not a command, and a name is not one.
    on(&["-storage", "-device", "1", "-pin", "cmd:touch pwned"]);
    on(&["-info", "-device", "$(touch pwned)"]);
    assert!(!here("pwned").exists());
}

#[test]
fn f07_a_pin_is_taken_as_it_is() {
    for pin in [
        "12 34", "a'b\"c", "$HOME*?", "-1234", "--list", "ö ß\\n", "fd:x", "12;34|5&",
    ] {
        let key = SoftKey::new("fido-2.1");
        let set = Pinward::new("pin set --new-pin env:TYPED").keys(&[&key]);
        set.env("TYPED", pin).run().ok();
        if !pin.starts_with("fd:") {
            let words = ["-storage", "-device", "1", "-pin", pin];
            let (code, out, err) = manage_all(&[&key], &words, "");
            assert_eq!(code, 0, "{pin}: {err}");
            assert!(out.contains("existing rk(s): 0"), "{out}");
            assert!(!err.contains(pin), "{err}");
        }
        let asked = manage(&key, "-storage -device 1", &format!("{pin}\n"));
        assert_eq!(asked.0, 0, "{pin}: {}", asked.2);
        let joined = format!("-pin={pin}");
        if !pin.starts_with("fd:") {
            let words = ["-storage", "-device", "1", &joined];
            assert_eq!(manage_all(&[&key], &words, "").0, 0, "{pin}");
        }
    }
}

#[test]
fn f08_names_with_blanks_stay_whole() {
    let key = SoftKey::new("fido-2.1");
    let rp = "login.example";
    register(&key, rp, 1, "chris", Some("Christian von der Heide"));
    register(&key, rp, 2, "anna", Some("Anna"));
    register(&key, rp, 3, "anna maria es256", None);
    key.run("pin set --new-pin env:PIN").ok();
    let line = format!("-residentKeys -domain {rp} -device 1 -pin env:PIN");
    let (_, out, _) = manage(&key, &line, "");
    let users: Vec<_> = out
        .lines()
        .map(|line| line.split("User: ").nth(1).unwrap())
        .collect();
    assert_eq!(
        users,
        [
            "Christian von der Heide chris",
            "Anna anna",
            "anna maria es256"
        ]
    );
    assert!(!out.contains("(null)"), "{out}");
}

#[test]
fn f09_nothing_found_is_said_so() {
    let key = key("fido-2.1 passkeys");
    let line = "-residentKeys -domain nobody.example -device 1 -pin env:PIN";
    let (code, out, err) = manage(&key, line, "");
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("no passkey for nobody.example"), "{err}");
}

#[test]
fn f10_a_least_length_says_what_it_does_to_the_pin() {
    let key = key("fido-2.1 pin7");
    let (code, _, err) = manage(&key, "-setMinimumPIN 8 -device 1", "1234567\n");
    assert_eq!(code, 0);
    assert!(
        err.contains("Its PIN has 7 characters and must be changed at once"),
        "{err}"
    );
    let (code, _, err) = manage(&key, "-storage -device 1", "1234567\n");
    assert_eq!(code, 7);
    assert!(err.contains("-changePIN"), "{err}");
    assert_eq!(state(&key)["pin"]["triesLeft"], 8);
    let change = manage(
        &key,
        "-changePIN -device 1",
        "1234567\n12345678\n12345678\n",
    );
    assert_eq!(change.0, 0, "{}", change.2);
}

#[test]
fn f11_no_words_are_answered_with_help() {
    for dialect in ["linux", "macos", "windows", "cpp"] {
        let (code, out, err) = manage_all(&[], &["--dialect", dialect], "");
        assert_eq!(code, 2, "{err}");
        assert!(out.contains("-setMinimumPIN LENGTH"), "{out}");
    }
}

#[test]
fn f12_every_dialect_forces_a_change_in_every_spelling() {
    for dialect in ["linux", "macos", "windows", "cpp"] {
        for flag in ["-forcePINchange", "-forcePINChange", "-forcepinchange"] {
            let key = key("fido-2.1 pin");
            let line = format!("{flag} -device 1 -pin env:PIN --dialect {dialect}");
            let (code, _, err) = manage(&key, &line, "");
            assert_eq!(code, 0, "{dialect} {flag}: {err}");
            assert_eq!(pin_state(&key), "must-change");
        }
    }
}

#[test]
fn f13_a_device_that_is_not_there_is_refused() {
    let key = key("fido-2.1 new");
    for name in [
        "9",
        "0",
        "-1",
        "abc",
        "1x",
        " 1",
        "",
        "1.0",
        "99999999999999999999",
    ] {
        for action in ["-info", "-setPIN", "-reset", "-uvs"] {
            let words = [action, "-device", name];
            let (code, out, err) = manage_all(&[&key], &words, "Y\n1234\n1234\n");
            assert_eq!(code, 3, "{action} {name:?}: {out}{err}");
            assert!(err.contains("Invalid device number"), "{err}");
        }
    }
    assert_eq!(pin_state(&key), "not-set");
    assert_eq!(
        state(&key)["getInfo"]["members"]["options"]["alwaysUv"],
        false
    );
}

/// A key that is asked for a finger, and waits for it.
fn waiting_key(path: &Path) -> softkey::RunningKey {
    let profile = authenticator::profile::find("fido-2.1-bio")
        .unwrap()
        .unwrap();
    Options::ephemeral(profile)
        .prompts(softkey::Manual)
        .start(|inbox| stream::listen_unix(path, inbox))
        .unwrap_or_else(|_| panic!("it does not listen"))
}

#[test]
fn f14_the_list_of_processes_has_no_pin() {
    const SECRET: &str = "Tr1angle-77";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let key = waiting_key(&path);
    let address = format!("unix:{}", path.display());
    let set = Pinward::new(&format!("pin set --new-pin env:TYPED --device {address}"));
    set.env("TYPED", SECRET).run().ok();
    for pin in [vec!["-pin", SECRET], vec!["-PIN:Tr1angle-77"]] {
        let mut words = vec!["-fingerprint", "-device", &address];
        words.extend(pin);
        let mut child = command(dir.path(), "fido2-manage", &words).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Touch your security key") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended");
        }
        // The child is setsid, which was given the words by this test; its child is the program.
        let program = program_of(child.id());
        for what in ["cmdline", "environ"] {
            let seen = std::fs::read(format!("/proc/{program}/{what}")).unwrap();
            let seen = String::from_utf8_lossy(&seen).into_owned();
            assert!(!seen.contains(SECRET), "{what}: {seen}");
            assert!(what == "environ" || seen.contains("-fingerprint"), "{seen}");
        }
        for _ in 0..4 {
            assert!(key.wait_asking(Duration::from_secs(5)).is_some());
            key.finger(authenticator::FingerMatch::Match);
            key.sync();
        }
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{err}");
        assert!(err.contains("Warning") && !err.contains(SECRET), "{err}");
    }
}

fn program_of(setsid: u32) -> u32 {
    let children = format!("/proc/{setsid}/task/{setsid}/children");
    let text = std::fs::read_to_string(children).unwrap();
    // setsid becomes the program itself where it need not fork.
    text.split_whitespace()
        .next()
        .map_or(setsid, |pid| pid.parse().unwrap())
}
