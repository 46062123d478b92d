//! A key that lies: what a real one answers, broken at random, and names that nobody should see as they
//! are. Whatever it says, no command crashes, hangs or lets it speak to the terminal.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Pinward, SoftKey, register};
use ctap::hid::{Command, Device, Event, Settings};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use transport::host::{Address, Connection, Waiting};

/// Stands between the program and a real key, and breaks what the key answers.
struct Liar {
    key: SoftKey,
    dir: TempDir,
}

impl Liar {
    fn new(profile: &str) -> Self {
        let key = SoftKey::new(profile);
        // One that knows a finger wants it for each registration.
        if profile != "fido-2.1-bio" {
            register(&key, "a.example", 1, "=cmd|' /C calc'!A0");
            register(
                &key,
                "\u{1b}]0;owned\u{7}.example",
                2,
                "\u{202e}$(reboot)`id`\r\n\u{9b}2J",
            );
        }
        key.run("pin set --new-pin env:PIN").ok();
        let dir = tempfile::tempdir().unwrap();
        Self { key, dir }
    }

    fn path(&self, seed: u64) -> PathBuf {
        self.dir.path().join(seed.to_string())
    }

    /// Lies by this seed on a socket of its own, until the test ends.
    fn lie(&self, seed: u64) -> String {
        let path = self.path(seed);
        let listener = UnixListener::bind(&path).unwrap();
        let address: Address = self.key.address().parse().unwrap();
        std::thread::spawn(move || {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            for stream in listener.incoming().flatten() {
                if let Ok(real) = address.connect([7; 8]) {
                    serve(stream, real, seed, &mut rng);
                }
            }
        });
        format!("unix:{}", path.display())
    }
}

fn serve(mut stream: UnixStream, mut real: Box<dyn Connection>, seed: u64, rng: &mut ChaCha20Rng) {
    let mut device = Device::new(Settings::default());
    let mut report = [0; 64];
    let mut nth = 0;
    while stream.read_exact(&mut report).is_ok() {
        for event in device.receive(&report, Duration::ZERO) {
            let reports = match event {
                Event::Send(report) => vec![report],
                Event::Message {
                    channel,
                    command: Command::CBOR,
                    payload,
                } => {
                    let answer = real.ctap2(&payload, &mut |_| Waiting::GoOn);
                    let mut answer = answer.unwrap_or_else(|_| vec![0x7F]);
                    nth += 1;
                    // The first messages are whole for some seeds, so that the later ones are reached.
                    if nth > seed % 12 {
                        damage(&mut answer, rng);
                    }
                    device.reply(channel, Command::CBOR, &answer)
                }
                _ => Vec::new(),
            };
            for report in reports {
                if stream.write_all(&report).is_err() {
                    return;
                }
            }
        }
    }
}

fn damage(answer: &mut Vec<u8>, rng: &mut ChaCha20Rng) {
    let place = rng.next_u32() as usize % answer.len().max(1);
    match rng.next_u32() % 6 {
        0 => answer.truncate(place),
        1 => answer.clear(),
        2 => answer[place] ^= 1 << (rng.next_u32() % 8),
        3 => rng.fill_bytes(&mut answer[place..]),
        4 => answer.extend_from_slice(&[0xA1, 0x01, 0xBF]),
        // Within a text: what is cut in a character, an escape, a turn of direction.
        _ => {
            let end = (place + 3).min(answer.len());
            let odd: [u8; 3] = if rng.next_u32().is_multiple_of(2) {
                [0xE2, 0x80, 0xAE]
            } else {
                [0x1B, 0x5B, 0xC3]
            };
            answer[place..end].copy_from_slice(&odd[..end - place]);
        }
    }
}

const COMMANDS: [&str; 19] = [
    "list",
    "list --csv",
    "show",
    "show --all",
    "show --json",
    "doctor",
    "pin verify --pin env:PIN",
    "pin min-length 5 --yes --pin env:PIN",
    "pin force-change --pin env:PIN",
    "always-uv on --pin env:PIN",
    "enterprise-attestation enable --yes --pin env:PIN",
    "passkeys list --pin env:PIN",
    "passkeys list --csv --pin env:PIN",
    "passkeys delete 00000000 --yes --pin env:PIN",
    "passkeys changed",
    "fingerprints list --pin env:PIN",
    "fingerprints add --pin env:PIN",
    "blobs list --pin env:PIN",
    "reset --now --yes",
];

/// What a terminal acts upon, or an eye is deceived by.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| {
        c == '\n' || c == '\r' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
    })
}

fn tried(line: &str, address: &str) {
    let ran = Pinward::new(line).env("PINWARD_KEYS", address).run();
    let code = ran
        .code
        .unwrap_or_else(|| panic!("{line}: ended by a signal\n{}", ran.err));
    assert!((0..=10).contains(&code), "{line}: {code}\n{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{line}\n{}", ran.err);
    assert!(
        is_harmless(&ran.out) && is_harmless(&ran.err),
        "{line}\n{:?}\n{:?}",
        ran.out,
        ran.err
    );
    for secret in ["1234\n", "\"1234\"", "env:PIN"] {
        assert!(!ran.out.contains(secret), "{line}");
    }
}

#[test]
fn a_key_that_lies_cannot_crash_or_speak_to_the_terminal() {
    for profile in ["fido-2.1", "fido-2.1-bio", "fido-2.1-pre"] {
        let liar = Liar::new(profile);
        for seed in 0..8 {
            let address = liar.lie(seed);
            for line in COMMANDS {
                tried(line, &address);
            }
        }
    }
}

#[test]
fn names_are_harmless_in_every_form() {
    let key = SoftKey::new("fido-2.1");
    let names = [
        "=HYPERLINK(\"http://evil\")",
        "+1",
        "-1",
        "@SUM(A1)",
        "\u{1b}[2J",
        "\u{9d}0;x\u{9c}",
        "a\u{202e}b",
        "$(reboot)",
        "`id`",
        "'; DROP TABLE keys; --",
        "a,b\"c",
        "\u{feff}=1",
        "\t=1",
        "\u{2028}x",
    ];
    for (n, name) in names.iter().enumerate() {
        register(&key, "a.example", u8::try_from(n).unwrap() + 1, name);
    }
    key.run("pin set --new-pin env:PIN").ok();
    let list = key.run("passkeys list --pin env:PIN").ok();
    assert!(is_harmless(&list.out) && is_harmless(&list.err));
    let csv = key.run("passkeys list --csv --pin env:PIN").ok();
    assert!(is_harmless(&csv.out));
    assert_eq!(
        csv.out.lines().count(),
        names.len() + 1,
        "one line for each"
    );
    for line in csv.out.lines().skip(1) {
        let cell = line.split(',').nth(2).unwrap().trim_start_matches('"');
        assert!(
            !cell.trim_start().starts_with(['=', '+', '-', '@']),
            "{line}"
        );
    }
    let json = key.run("passkeys list --json --pin env:PIN").ok();
    assert!(is_harmless(&json.out));
    let found: Vec<_> = json.json()["passkeys"].as_array().unwrap().clone();
    assert!(
        names
            .iter()
            .all(|name| found.iter().any(|one| one["name"] == *name))
    );
    // A key that is called like an option or a command means nothing by it.
    assert!(Path::new("/").exists());
    key.run("label set --device 1 --help").ok();
}
