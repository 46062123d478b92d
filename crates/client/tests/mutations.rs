//! Keys that answer garbage: a ceremony may fail, but never panics and always ends.
//!
//! The number of mutated ceremonies comes from `PINWARD_MUTATIONS` (default 3,000).
#![allow(clippy::unwrap_used, clippy::panic)]

mod fake;

use std::collections::VecDeque;
use std::time::Duration;

use client::policy::HostPolicy;
use client::prompt::{Prompt, UserInput};
use client::uv::domain;
use client::{Ceremony, Event, KeyId, Output};
use fake::{FakeKey, KEY as KEY_ID, caller};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn iterations() -> u32 {
    std::env::var("PINWARD_MUTATIONS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3_000)
}

/// Flips, cuts, repeats or inserts a few bytes.
fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha20Rng) {
    for _ in 0..1 + rng.next_u32() % 3 {
        let at = rng.next_u32() as usize % (bytes.len() + 1);
        match rng.next_u32() % 5 {
            0 if at < bytes.len() => bytes[at] ^= 1 << (rng.next_u32() % 8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, rng.next_u32() as u8),
            3 if at < bytes.len() => bytes[at] = rng.next_u32() as u8,
            _ => {
                let tail = bytes[at.min(bytes.len())..].to_vec();
                bytes.extend(tail);
            }
        }
    }
}

fn answer(prompt: &Prompt, rng: &mut ChaCha20Rng) -> Option<UserInput> {
    Some(match prompt {
        Prompt::EnterPin { .. } => UserInput::Pin { pin: "1234".into() },
        Prompt::CreatePin { optional: true, .. } if rng.next_u32().is_multiple_of(2) => {
            UserInput::NotNow
        }
        Prompt::CreatePin { .. } => UserInput::NewPin { pin: "5678".into() },
        Prompt::ChangePin { .. } => UserInput::ChangePin {
            old: Some("1234".into()),
            new: "5678".into(),
        },
        Prompt::PickAccount { .. } => UserInput::Account { index: 0 },
        Prompt::EnrollFingerprint { .. } if rng.next_u32().is_multiple_of(4) => UserInput::NotNow,
        _ => return None,
    })
}

thread_local! {
    static IN_FAKE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The fake insists on well-formed requests. After a mutated answer the client may send what does not
/// fit the key; then the fake refuses, and only the client's own panics count.
fn fake_answer(answer: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IN_FAKE.get() {
                loud(info);
            }
        }));
    });
    IN_FAKE.set(true);
    let bytes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(answer));
    IN_FAKE.set(false);
    bytes.unwrap_or_else(|_| vec![0x7F])
}

/// One ceremony with a key whose answers are mutated now and then.
fn one(ceremony: Ceremony, key: &mut FakeKey, rng: &mut ChaCha20Rng) {
    let mut ceremony = ceremony;
    let mut now = Duration::ZERO;
    let mut asked = 0;
    let mut todo: VecDeque<Output> = ceremony.start(&[KEY_ID], now, rng).into();
    for _ in 0..400 {
        let event = match todo.pop_front() {
            None => {
                if ceremony.is_done() {
                    return;
                }
                now = ceremony.wake_at().expect("an open ceremony wakes up");
                Event::Tick
            }
            Some(Output::Send { bytes, .. }) => {
                let mut bytes = fake_answer(|| key.handle(&bytes).1);
                if rng.next_u32().is_multiple_of(3) {
                    mutate(&mut bytes, rng);
                }
                Event::Reply { key: KEY_ID, bytes }
            }
            Some(Output::SendU2f { apdu, .. }) => {
                let mut bytes = fake_answer(|| key.handle_u2f(&apdu));
                if rng.next_u32().is_multiple_of(3) {
                    mutate(&mut bytes, rng);
                }
                Event::Reply { key: KEY_ID, bytes }
            }
            // Nobody tries for ever, e.g. to please a key that says it wants 60 characters.
            Some(Output::Prompt(_)) if asked > 40 => Event::User(UserInput::Cancel),
            Some(Output::Prompt(prompt)) => match answer(&prompt, rng) {
                Some(input) => Event::User(input),
                None => continue,
            },
            Some(Output::Done(_)) => {
                assert!(ceremony.is_done());
                return;
            }
            Some(_) => continue,
        };
        asked += u32::from(matches!(event, Event::User(_)));
        todo.extend(ceremony.step(event, now, rng));
    }
    panic!("the ceremony does not end");
}

fn options(get: bool, uv: &str, rng: &mut ChaCha20Rng) -> serde_json::Value {
    let list: Vec<_> = (0..rng.next_u32() % 12)
        .map(|n| serde_json::json!({"type": "public-key", "id": format!("Zm91bmQ{n:05}")}))
        .chain([serde_json::json!({"type": "public-key", "id": "Zm91bmQ"})])
        .collect();
    let list = if rng.next_u32().is_multiple_of(2) {
        vec![]
    } else {
        list
    };
    let challenge = "AAECAwQFBgcICQoLDA0ODw";
    if get {
        serde_json::json!({"challenge": challenge, "allowCredentials": list, "userVerification": uv,
            "extensions": {"prf": {"eval": {"first": "AQ"}}}})
    } else {
        serde_json::json!({"challenge": challenge, "rp": {"name": "x"},
            "user": {"id": "AQ", "name": "", "displayName": ""},
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "excludeCredentials": list, "extensions": {"prf": {}},
            "authenticatorSelection": {"userVerification": uv, "residentKey": "preferred"}})
    }
}

#[test]
fn mutated_answers_never_panic_and_always_end() {
    let mut rng = ChaCha20Rng::seed_from_u64(0x5EED);
    let platforms = client::profile::all();
    let keys: Vec<_> = domain().iter().map(|facts| facts.key).collect();
    for n in 0..iterations() {
        let facts = keys[rng.next_u32() as usize % keys.len()];
        let platform = platforms[rng.next_u32() as usize % platforms.len()].clone();
        let uv = ["required", "preferred", "discouraged"][n as usize % 3];
        let get = n % 2 == 0;
        let value = options(get, uv, &mut rng);
        let ceremony = if get {
            let options = serde_json::from_value(value).unwrap();
            Ceremony::get(options, caller(), platform, HostPolicy::default())
        } else {
            let options = serde_json::from_value(value).unwrap();
            Ceremony::create(options, caller(), platform, HostPolicy::default())
        };
        let mut key = FakeKey::new(facts)
            .with_cred(b"found", true, 1)
            .with_cred(b"again", true, 1);
        key.max_in_list = [None, Some(8), Some(64)][n as usize % 3];
        one(ceremony, &mut key, &mut rng);
    }
}

#[test]
fn events_in_any_order_never_panic() {
    let mut rng = ChaCha20Rng::seed_from_u64(0xA11);
    let platforms = client::profile::all();
    for n in 0..iterations() {
        let platform = platforms[n as usize % platforms.len()].clone();
        let options = serde_json::from_value(options(true, "preferred", &mut rng)).unwrap();
        let mut ceremony = Ceremony::get(options, caller(), platform, HostPolicy::default());
        let mut key = FakeKey::new(domain()[n as usize % domain_len()].key);
        let keys = [KeyId(1), KeyId(2)];
        let start = &keys[..rng.next_u32() as usize % 3];
        let mut last: Vec<Output> = ceremony.start(start, Duration::ZERO, &mut rng);
        for _ in 0..30 {
            let id = keys[rng.next_u32() as usize % 2];
            let sent = last.iter().find_map(|output| match output {
                Output::Send { bytes, .. } => Some(bytes.clone()),
                _ => None,
            });
            let event = match rng.next_u32() % 12 {
                0 => Event::KeyAdded(id),
                1 => Event::KeyRemoved(id),
                2 => Event::KeepAlive { key: id, status: 2 },
                3 => Event::User(UserInput::Pin { pin: "1234".into() }),
                4 => Event::User(UserInput::NewPin { pin: "1234".into() }),
                5 => Event::User(UserInput::Account { index: 0 }),
                6 => Event::Tick,
                7 => Event::Reply {
                    key: id,
                    bytes: vec![rng.next_u32() as u8],
                },
                _ => match sent {
                    Some(bytes) => {
                        let bytes = fake_answer(|| key.handle(&bytes).1);
                        Event::Reply { key: id, bytes }
                    }
                    None => Event::Reply {
                        key: id,
                        bytes: Vec::new(),
                    },
                },
            };
            last = ceremony.step(event, Duration::from_millis(u64::from(n)), &mut rng);
        }
    }
}

fn domain_len() -> usize {
    88
}
