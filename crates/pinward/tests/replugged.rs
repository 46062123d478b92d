//! Five keys that are unplugged and plugged in again at random while commands run on them: each command
//! reaches the key that it names, or none.
//!
//! The seed is fixed; `PINWARD_SEED` takes another one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/drop_in.rs"]
mod drop_in;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use softkey::{Options, RunningKey};
use transport::stream;

const KEYS: usize = 5;
const COMMANDS: usize = 150;
const AT_MOST: Duration = Duration::from_secs(60);

/// What came to which key: its number and the command byte.
type Heard = Arc<Mutex<Vec<(usize, u8)>>>;

struct Table {
    keys: Vec<(RunningKey, PathBuf)>,
    heard: Heard,
    _dir: tempfile::TempDir,
}

impl Table {
    fn laid() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let heard = Heard::default();
        let keys = (0..KEYS).map(|n| {
            let path = dir.path().join(format!("key{n}"));
            let profile = authenticator::profile::find("fido-2.1").unwrap().unwrap();
            let to = heard.clone();
            let watcher = Box::new(move |exchange: &softkey::Exchange| {
                let command = exchange.request.first().copied().unwrap_or_default();
                to.lock().unwrap().push((n, command));
            });
            let key = Options::ephemeral(profile)
                .watcher(watcher)
                .start(|inbox| stream::listen_unix(&path, inbox));
            (key.unwrap(), path)
        });
        let keys = keys.collect();
        Self {
            keys,
            heard,
            _dir: dir,
        }
    }

    fn address(&self, n: usize) -> String {
        format!("unix:{}", self.keys[n].1.display())
    }

    fn plug(&self, n: usize) {
        let (key, path) = &self.keys[n];
        // Plugged in already is as good.
        let _ = key.plug(|inbox| stream::listen_unix(path, inbox));
    }

    /// A call without a terminal: exit code and both outputs.
    fn run(&self, program: &str, line: &str, input: &str) -> (i32, String) {
        let words: Vec<_> = line.split(' ').collect();
        let links = tempfile::tempdir().unwrap();
        let mut command = drop_in::command(links.path(), program, &words);
        let all: Vec<_> = (0..KEYS).map(|n| self.address(n)).collect();
        command.env("PINWARD_KEYS", all.join(" "));
        let (code, out, err) = drop_in::run(command, input);
        (code, out + &err)
    }

    /// Option alwaysUv of a key, over its wire.
    fn always_uv(&self, n: usize) -> bool {
        let (code, said) = self.run(
            "pinward",
            &format!("show --json --device {}", self.address(n)),
            "",
        );
        assert_eq!(code, 0, "{said}");
        said.contains("\"alwaysUv\": true")
    }
}

/// Takes keys out and puts them in until it is told to stop. Gives how often.
fn hand(table: &Table, mut rng: ChaCha20Rng, stop: &AtomicBool, moves: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let n = below(&mut rng, KEYS);
        table.keys[n].0.unplug();
        std::thread::sleep(Duration::from_millis(rng.next_u64() % 40));
        table.plug(n);
        moves.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(rng.next_u64() % 40));
    }
}

fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(end).unwrap()).unwrap()
}

fn seed() -> u64 {
    std::env::var("PINWARD_SEED").map_or(20_261_125, |seed| seed.parse().unwrap())
}

/// A command, and what alwaysUv must then be, if it says that it did it.
fn any(rng: &mut ChaCha20Rng, device: &str) -> (&'static str, String, &'static str, Option<bool>) {
    let on = rng.next_u64().is_multiple_of(2);
    let (word, flag) = if on { ("on", "-uvs") } else { ("off", "-uvd") };
    let call = |text: &str| format!("{text} --device {device}");
    let manage = |text: &str| format!("{text} -device {device}");
    match rng.next_u64() % 6 {
        0 => (
            "pinward",
            call(&format!("always-uv {word} --pin env:PIN")),
            "",
            Some(on),
        ),
        1 => (
            "fido2-manage",
            manage(&format!("{flag} -pin env:PIN")),
            "",
            Some(on),
        ),
        2 => ("pinward", call("pin verify --pin env:PIN"), "", None),
        3 => ("fido2-manage", manage("-storage -pin env:PIN"), "", None),
        4 => (
            "fido2-manage",
            manage("-changePIN"),
            "1234\n1234\n1234\n",
            None,
        ),
        _ => ("pinward", call("show"), "", None),
    }
}

#[test]
fn no_command_reaches_another_key_than_the_one_named() {
    let seed = seed();
    println!("seed {seed}");
    let table = Table::laid();
    for n in 0..KEYS {
        let set = format!("pin set --new-pin env:PIN --device {}", table.address(n));
        assert_eq!(table.run("pinward", &set, "").0, 0);
    }
    let (_, list) = table.run("pinward", "list --csv", "");
    let ids: Vec<_> = list
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap())
        .collect();
    assert_eq!(ids.len(), KEYS, "{list}");
    let mut state = [false; KEYS];
    let mut codes = std::collections::BTreeMap::<i32, usize>::new();
    let (stop, moves) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let other = ChaCha20Rng::seed_from_u64(seed.wrapping_add(1));
        scope.spawn(|| hand(&table, other, &stop, &moves));
        // A failed claim must not leave the hand at work.
        let claims = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..COMMANDS {
                if start.elapsed() > AT_MOST {
                    break;
                }
                let n = below(&mut rng, KEYS);
                let device = if rng.next_u64().is_multiple_of(2) {
                    ids[n].to_owned()
                } else {
                    table.address(n)
                };
                let (program, line, input, wanted) = any(&mut rng, &device);
                table.heard.lock().unwrap().clear();
                let (code, said) = table.run(program, &line, input);
                *codes.entry(code).or_default() += 1;
                let heard = table.heard.lock().unwrap().clone();
                let astray: Vec<_> = heard.iter().filter(|(to, _)| *to != n).collect();
                assert!(
                    astray.is_empty(),
                    "seed {seed}: `{line}` is for key {n}: {heard:?}\n{said}"
                );
                // Done, gone, lost on the way, or refused as the new PIN is the old one: nothing else.
                assert!(
                    [0, 1, 3, 7].contains(&code),
                    "seed {seed}: `{line}` {code}\n{said}"
                );
                match wanted {
                    Some(on) if code == 0 => state[n] = on,
                    // Cut off in the middle: the key tells, and only it may have changed.
                    Some(_) => state[n] = settled(&table, n),
                    None => {}
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(claim) = claims {
            std::panic::resume_unwind(claim);
        }
    });
    for (n, is) in state.iter().enumerate() {
        table.plug(n);
        assert_eq!(table.always_uv(n), *is, "seed {seed}: key {n}");
    }
    println!("{moves:?} moves, exit codes {codes:?}");
    let done = codes.get(&0).copied().unwrap_or_default();
    let failed = codes.values().sum::<usize>() - done;
    assert!(done >= 20 && failed >= 5, "too calm or too wild: {codes:?}");
}

/// The key's alwaysUv, as soon as it is there long enough to be asked.
fn settled(table: &Table, n: usize) -> bool {
    let end = Instant::now() + AT_MOST;
    while Instant::now() < end {
        let line = format!("show --json --device {}", table.address(n));
        let (code, said) = table.run("pinward", &line, "");
        if code == 0 {
            return said.contains("\"alwaysUv\": true");
        }
    }
    panic!("key {n} never stays");
}
