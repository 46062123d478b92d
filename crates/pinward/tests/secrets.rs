//! No secret in the arguments, the environment, the log or the messages of any command that takes one.
//! Which these are is asked of the program itself, so that none is forgotten.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/drop_in.rs"]
mod drop_in;

use std::io::Write;
use std::process::{Child, Output};

use common::{Pinward, SoftKey};

/// Neither occurs anywhere by chance.
const PIN: &str = "Qz7xTr1angle";
const NEW_PIN: &str = "Wk9yNewSecret";

/// The options that say where a secret is.
const TAKES_A_SECRET: [&str; 3] = ["--pin <WHERE>", "--new-pin <WHERE>", "-env <NAME>"];

/// All commands, by the help of each.
fn commands() -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(path) = open.pop() {
        let mut words = path.clone();
        words.push("--help".to_owned());
        let help = if path.first().is_some_and(|first| first == "fido2-manage") {
            // It has no options but flags of its own; it is tested by name.
            continue;
        } else {
            Pinward::words(&words).run().ok().out
        };
        let mut below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in below.by_ref().take_while(|line| !line.is_empty()) {
            let Some(name) = line
                .strip_prefix("  ")
                .filter(|line| !line.starts_with(' '))
            else {
                continue;
            };
            let name = name.split_whitespace().next().unwrap().to_owned();
            if name != "help" {
                open.push([path.clone(), vec![name]].concat());
            }
        }
        found.push((path, help));
    }
    found
}

/// Something for each argument that has to be there.
fn filled(path: &[String], help: &str) -> Vec<String> {
    let usage = help
        .lines()
        .find_map(|line| line.strip_prefix("Usage: pinward "))
        .unwrap();
    let mut words = path.to_vec();
    let mut rest = usage.split_whitespace().skip(path.len()).peekable();
    while let Some(word) = rest.next() {
        if word.starts_with("<--") {
            // One of several wires.
            words.extend(["--unix".to_owned(), "/nonexistent/key".to_owned()]);
            break;
        }
        let value = word.starts_with('<').then_some(match word {
            "<WANTED>" => "on",
            "<LENGTH>" => "8",
            _ => "1",
        });
        match value {
            Some(value) => words.push(value.to_owned()),
            None if word.starts_with("--") => {
                words.push(word.to_owned());
                if rest.peek().is_some_and(|next| next.starts_with('<')) {
                    let next = rest.next().unwrap();
                    let origin = "https://pinward.example";
                    words.push(if next == "<ORIGIN>" { origin } else { "1" }.to_owned());
                }
            }
            None => {}
        }
    }
    words
}

/// What other programs see of it while it runs.
fn watched(mut child: Child, input: &str, environ_too: bool) -> Output {
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let pid = child.id();
    loop {
        for process in std::iter::once(pid).chain(children(pid)) {
            let read = |what: &str| {
                let bytes = std::fs::read(format!("/proc/{process}/{what}"));
                String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
            };
            hides(&read("cmdline"), "cmdline");
            if environ_too {
                hides(&read("environ"), "environ");
            }
        }
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
    }
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// In no form in which a program could show it by mistake.
#[track_caller]
fn hides(text: &str, where_: &str) {
    for secret in [PIN, NEW_PIN] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", secret.as_bytes());
        let list = list.trim_matches(['[', ']']);
        let base64 = webauthn::base64url::encode(secret);
        for form in [secret, &hex, &hex.to_uppercase(), list, &base64] {
            assert!(!text.contains(form), "{where_} has a secret:\n{text}");
        }
    }
}

fn traced(key: &SoftKey, words: &[String], input: &str, by_environment: bool) -> i32 {
    let links = tempfile::tempdir().unwrap();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut command = drop_in::command(links.path(), "pinward", &words);
    command
        .env("PINWARD_KEYS", key.address())
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("HOME", links.path());
    if by_environment {
        command.env("SECRET", PIN).env("NEW_SECRET", NEW_PIN);
    }
    let ended = watched(command.spawn().unwrap(), input, !by_environment);
    let shown = words.join(" ");
    hides(&String::from_utf8_lossy(&ended.stdout), &shown);
    hides(&String::from_utf8_lossy(&ended.stderr), &shown);
    for file in std::fs::read_dir(links.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() && !path.is_symlink() {
            hides(
                &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
                "a file",
            );
        }
    }
    ended.status.code().unwrap()
}

fn key() -> SoftKey {
    let key = SoftKey::new("fido-2.1-bio");
    let set = Pinward::new("pin set --new-pin env:TYPED").keys(&[&key]);
    set.env("TYPED", PIN).run().ok();
    key
}

#[test]
fn no_command_shows_a_secret() {
    let mut taking = 0;
    let mut done = 0;
    for (path, help) in commands() {
        let secrets: Vec<_> = TAKES_A_SECRET
            .iter()
            .filter(|o| help.contains(**o))
            .collect();
        if secrets.is_empty() || path.is_empty() {
            continue;
        }
        taking += 1;
        let words = filled(&path, &help);
        let add = |more: &[&str]| {
            let more = more.iter().map(|word| (*word).to_owned());
            words.iter().cloned().chain(more).collect::<Vec<_>>()
        };
        let (pin, new) = (
            help.contains("--pin <WHERE>"),
            help.contains("--new-pin <WHERE>"),
        );
        if !pin && !new {
            // A passphrase, by the name of a variable.
            traced(&key(), &add(&["--passphrase-env", "SECRET"]), "", true);
            continue;
        }
        let mut by_stdin = Vec::new();
        let mut by_variable = Vec::new();
        if pin {
            by_stdin.extend(["--pin", "stdin"]);
            by_variable.extend(["--pin", "env:SECRET"]);
        }
        if new {
            by_stdin.extend(["--new-pin", "stdin"]);
            by_variable.extend(["--new-pin", "env:NEW_SECRET"]);
        }
        let input = if pin {
            format!("{PIN}\n{NEW_PIN}\n")
        } else {
            format!("{NEW_PIN}\n")
        };
        done += usize::from(traced(&key(), &add(&by_stdin), &input, false) == 0);
        traced(&key(), &add(&by_variable), "", true);
        // The wrong one, and one that is too short to be any.
        let wrong = format!("{NEW_PIN}\n{PIN}\n");
        traced(&key(), &add(&by_stdin), &wrong, false);
        // In the place where it does not belong, it is refused and not repeated. The arguments are
        // this test's own doing.
        for option in ["--pin", "--new-pin"] {
            let line = add(&[option, PIN]);
            let refused = Pinward::words(&line).keys(&[&key()]).run();
            hides(&(refused.out + &refused.err), &line[..path.len()].join(" "));
            assert_ne!(refused.code, Some(0));
        }
    }
    assert!(taking >= 12, "only {taking} commands seem to take a secret");
    assert!(done >= 5, "only {done} of them came to an end");
}

#[test]
fn fido2_manage_shows_none() {
    for (flags, input) in [
        ("-storage", format!("{PIN}\n")),
        ("-residentKeys", format!("{PIN}\n")),
        ("-uvs", format!("{PIN}\n")),
        ("-forcePINchange", format!("{PIN}\n")),
        ("-setMinimumPIN 8", format!("{PIN}\n")),
        ("-fingerprint", format!("{PIN}\n")),
        ("-fingerprintlist", format!("{PIN}\n")),
        ("-changePIN", format!("{PIN}\n{NEW_PIN}\n{NEW_PIN}\n")),
        ("-storage", format!("{NEW_PIN}\n")),
        ("-changePIN", format!("{PIN}\n{NEW_PIN}\n{PIN}\n")),
        ("-setPIN", format!("{PIN}\n{PIN}\n")),
    ] {
        let line = format!("fido2-manage {flags} -device 1");
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        traced(&key(), &words, &input, false);
    }
}
