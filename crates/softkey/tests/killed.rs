//! `kill -9` at any moment leaves a file that opens, with everything that was acknowledged.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use authenticator::{Change, State, Store};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkey::store::{Cost, FileStore, Passphrase, Protection};

const FILE: &str = "PINWARD_TEST_KILLED_FILE";

fn protection() -> Protection {
    Protection::Sealed(Passphrase::new("x".to_owned()), Cost::minimal())
}

/// The victim: counts up in the store, and says each number when it is durable.
fn victim(path: &Path) -> ! {
    let fresh = || State::fresh(&mut ChaCha20Rng::seed_from_u64(1));
    let (mut store, state) = FileStore::open_or_create(path, &protection(), fresh).unwrap();
    let mut out = std::io::stdout().lock();
    for n in state.counter() + 1.. {
        // Two changes that have to be seen together or not at all.
        let retries = u8::try_from(n % 8).unwrap();
        store
            .commit(&[Change::SetCounter(n), Change::SetPinRetries(retries)])
            .unwrap();
        writeln!(out, "durable {n}").unwrap();
        out.flush().unwrap();
    }
    unreachable!()
}

#[test]
fn a_killed_key_keeps_what_it_acknowledged() {
    if let Some(path) = std::env::var_os(FILE) {
        victim(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let mut last = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_killed_key_keeps_what_it_acknowledged",
                "--nocapture",
            ])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Let it get going, then strike at a moment of no particular kind.
        let first = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|l| l.contains("durable "));
        assert!(first.is_some(), "the victim works");
        std::thread::sleep(Duration::from_micros(1500 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let number = |line: &str| {
            line.split("durable ")
                .nth(1)
                .and_then(|n| n.trim().parse().ok())
        };
        let acknowledged: Option<u32> = lines
            .map_while(Result::ok)
            .chain(first)
            .filter_map(|l| number(&l))
            .max();
        let acknowledged = acknowledged.unwrap();
        let (_, state) = FileStore::open(&path, &protection()).unwrap();
        assert!(
            state.counter() >= acknowledged,
            "{} was acknowledged",
            acknowledged
        );
        assert!(
            state.counter() <= acknowledged + 1,
            "no more than one was under way"
        );
        assert_eq!(
            u32::from(state.pin_retries()),
            state.counter() % 8,
            "all or nothing"
        );
        assert!(state.counter() > last, "it went on from where it was");
        last = state.counter();
    }
}
