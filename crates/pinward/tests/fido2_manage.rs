//! Calls of fido2-manage, as they are written down under `vectors/fido2-manage/`: flags, standard
//! input, state of the keys; both outputs, exit code, and what is then true of the keys.
//!
//! `PINWARD_BLESS=1` writes down what the program says; the difference belongs in the review.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/drop_in.rs"]
mod drop_in;

use std::fmt::Write as _;
use std::path::PathBuf;

use common::{Pinward, SoftKey};

/// One call.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Case {
    name: String,
    keys: Vec<String>,
    run: String,
    stdin: String,
    /// Calls after it, of which the output shows what has become of the key.
    then: Vec<String>,
    exit: i32,
    /// Key, JSON pointer into `show --json`, value.
    after: Vec<String>,
    out: String,
    err: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/fido2-manage")
}

fn read(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let mut cases = Vec::new();
    let mut err = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case {
                name: name.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
        match head {
            "keys" => case.keys = rest.split(", ").map(str::to_owned).collect(),
            "run" => case.run = rest.to_owned(),
            "stdin" => case.stdin = rest.replace("\\n", "\n"),
            "then" => case.then.push(rest.to_owned()),
            "exit" => case.exit = rest.parse().unwrap(),
            "after" => case.after.push(rest.to_owned()),
            "out" => err = false,
            "err" => err = true,
            "|" if err => writeln!(case.err, "{rest}").unwrap(),
            "|" => writeln!(case.out, "{rest}").unwrap(),
            "|~" if err => case.err.push_str(rest),
            "|~" => case.out.push_str(rest),
            "" => {}
            other => panic!("{file}: {other}"),
        }
    }
    cases
}

fn written(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        let _ = writeln!(text, "== {}", case.name);
        if !case.keys.is_empty() {
            let _ = writeln!(text, "keys {}", case.keys.join(", "));
        }
        let _ = writeln!(text, "run {}", case.run);
        if !case.stdin.is_empty() {
            let _ = writeln!(text, "stdin {}", case.stdin.replace('\n', "\\n"));
        }
        for then in &case.then {
            let _ = writeln!(text, "then {then}");
        }
        let _ = writeln!(text, "exit {}", case.exit);
        for after in &case.after {
            let _ = writeln!(text, "after {after}");
        }
        for (head, said) in [("out", &case.out), ("err", &case.err)] {
            if !said.is_empty() {
                let _ = writeln!(text, "{head}");
            }
            for line in said.split_inclusive('\n') {
                // The last line may have no end.
                let _ = match line.strip_suffix('\n') {
                    Some(line) => writeln!(text, "| {line}"),
                    None => writeln!(text, "|~ {line}"),
                };
            }
        }
        text.push('\n');
    }
    text
}

/// Addresses and credential IDs differ from run to run.
fn names(case: &Case, keys: &[SoftKey]) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let all: Vec<_> = keys.iter().collect();
    let list = Pinward::new("list --json").keys(&all).run().ok().json();
    for (n, key) in list["keys"].as_array().unwrap().iter().enumerate() {
        let id = key["id"].as_str().unwrap();
        names.push((
            format!("--device {{NAME{}}}", n + 1),
            format!("--device {id}"),
        ));
    }
    for (n, key) in keys.iter().enumerate() {
        names.push((format!("{{KEY{}}}", n + 1), key.address()));
        if !case.keys[n].ends_with("passkeys") {
            continue;
        }
        let list = key.run("passkeys list --json --pin env:PIN").ok().json();
        for (m, passkey) in list["passkeys"].as_array().unwrap().iter().enumerate() {
            let id = passkey["credentialId"].as_str().unwrap();
            names.push((format!("{{ID{}}}", m + 1), standard_base64(id)));
        }
    }
    names
}

fn standard_base64(url: &str) -> String {
    let mut text = url.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn replaced(text: &str, names: &[(String, String)], back: bool) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| {
        if back {
            text.replace(value, name)
        } else {
            text.replace(name, value)
        }
    })
}

/// What the program does now, written as the case is.
fn happens(case: &Case) -> Case {
    let keys: Vec<_> = case.keys.iter().map(|key| drop_in::key(key)).collect();
    let names = names(case, &keys);
    let addresses: Vec<_> = keys.iter().map(SoftKey::address).collect();
    let links = tempfile::tempdir().unwrap();
    let call = |line: &str, input: &str| {
        let line = replaced(line, &names, false);
        let words: Vec<_> = line.split_whitespace().collect();
        let mut command = drop_in::command(links.path(), words[0], &words[1..]);
        command.env("PINWARD_KEYS", addresses.join(" "));
        drop_in::run(command, input)
    };
    let (exit, mut out, err) = call(&case.run, &case.stdin);
    for then in &case.then {
        let (exit, more, _) = call(then, "");
        let _ = write!(out, "$ {then}: {exit}\n{more}");
    }
    let after = case.after.iter().map(|after| {
        let mut words = after.splitn(3, ' ');
        let (n, pointer) = (words.next().unwrap(), words.next().unwrap());
        let key = &keys[n.parse::<usize>().unwrap() - 1];
        let shown = Pinward::new("show --json").keys(&[key]).run().ok().json();
        let is = shown.pointer(pointer).cloned().unwrap_or_default();
        format!("{n} {pointer} {is}")
    });
    Case {
        exit,
        after: after.collect(),
        out: replaced(&out, &names, true),
        err: replaced(&err, &names, true),
        ..case.clone()
    }
}

fn golden(file: &str) -> usize {
    let cases = read(file);
    assert!(!cases.is_empty(), "{file}");
    let now: Vec<_> = cases.iter().map(happens).collect();
    if std::env::var_os("PINWARD_BLESS").is_some() {
        std::fs::write(folder().join(file), written(&now)).unwrap();
    } else {
        for (case, now) in cases.iter().zip(&now) {
            let (was, is) = (
                written(std::slice::from_ref(case)),
                written(std::slice::from_ref(now)),
            );
            assert_eq!(was, is, "{file}:\n{was}\nis now\n{is}");
        }
    }
    cases.len()
}

macro_rules! golden {
    ($($name:ident $file:literal)*) => {
        $(#[test]
        fn $name() {
            golden($file);
        })*

        #[test]
        fn there_are_at_least_sixty_calls() {
            let files = [$($file),*];
            let calls: usize = files.iter().map(|file| read(file).len()).sum();
            assert!(calls >= 60, "{calls}");
            for file in std::fs::read_dir(folder()).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                assert!(files.contains(&name.as_str()) || name == "README.md", "{name}");
            }
        }
    };
}

golden! {
    lists_and_names "list.txt"
    facts "info.txt"
    pins "pin.txt"
    settings "settings.txt"
    passkeys "passkeys.txt"
    fingers "fingerprints.txt"
    resets "reset.txt"
    wrong_use "usage.txt"
    old_exit_codes "legacy-exit.txt"
}
