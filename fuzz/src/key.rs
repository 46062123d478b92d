//! Whole sequences of commands against one key, with touches long and short, fingers, refusals, timeouts,
//! power cuts, several channels and a store that fails.

use std::time::Duration;

use ::authenticator::{
    Authenticator, Channel, Env, Fault, FingerMatch, MemoryStore, Progress, State, UserEvent,
    profile,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// CTAP 2.3 §6: the first byte chooses the profile, every one that there is; the second says whether and
/// when the store fails. Then each byte string is one command, behind a byte that says on which of four
/// channels, when, and what the person does about it.
pub fn authenticator(data: &[u8]) {
    let [which, fault, data @ ..] = data else {
        return;
    };
    let all: Vec<_> = profile::all().collect();
    let (id, toml) = all[usize::from(*which) % all.len()];
    let profile = profile::Profile::from_toml(toml).unwrap_or_else(|e| panic!("{id}: {e}"));
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let state = State::fresh(&mut rng);
    let mut store = MemoryStore::new(&state);
    if fault & 0x80 != 0 {
        let kind = match fault & 0x40 {
            0 => Fault::BeforeWrite,
            _ => Fault::AfterWrite,
        };
        store.fail_at(u64::from(fault & 0x3F), kind);
    }
    let mut now = Duration::ZERO;
    let mut key = match Authenticator::new(profile, state, now, &mut rng) {
        Ok(key) => key,
        Err(e) => panic!("{id}: {e}"),
    };
    let mut data = data;
    while let [how, person, length, rest @ ..] = data {
        let (request, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        now += Duration::from_millis(u64::from(how >> 4) * 700);
        if how & 0b1000 != 0 {
            key.power_cycle(now, &mut rng);
        }
        let retries = key.state().pin_retries();
        let channel = Channel(u32::from(how & 0b11));
        let mut env = Env {
            now,
            rng: &mut rng,
            store: &mut store,
        };
        if how & 0b100 != 0 {
            drop(key.handle_u2f(channel, request, &mut env));
            continue;
        }
        let progress = key.handle(channel, request, &mut env);
        let answered = finish(&mut key, channel, progress, *person, &mut env);
        // Nobody knows a PIN here, so tries come back by a reset only, or where there is no PIN.
        let grew = key.state().pin_retries() > retries && key.state().pin().is_some();
        assert!(!grew, "{id}: tries grew from {retries}");
        if let Some(answer) = answered {
            assert!(!answer.is_empty(), "an answer without a status");
            assert!(answer[0] == 0 || answer.len() == 1, "an error with a body");
        }
    }
    // What is stored is a key, whatever happened.
    store.restore_power();
    let stored = store.state();
    assert!(stored.is_ok(), "{id}: {:?}", stored.err());
}

/// Answers what the key waits for until it has replied, or leaves it waiting. A command asks a bounded
/// number of times for fingers, and a person who touches where a finger is wanted changes nothing.
fn finish(
    key: &mut Authenticator,
    channel: Channel,
    progress: Progress,
    person: u8,
    env: &mut Env<'_>,
) -> Option<Vec<u8>> {
    let mut progress = progress;
    let mut person = person;
    for _ in 0..12 {
        match progress {
            Progress::Reply(bytes) => return Some(bytes),
            // Only a key that waits can have been given up; a command that runs is not idle.
            Progress::Idle => panic!("a command that is running is not idle"),
            Progress::Waiting(interaction) => {
                let event = match person & 0b1111 {
                    0..=6 => interaction.consent(),
                    7 => UserEvent::Touch,
                    8 => UserEvent::LongTouch,
                    9 => UserEvent::Finger(FingerMatch::Match),
                    10 => UserEvent::Finger(FingerMatch::NoMatch),
                    11 => UserEvent::Finger(FingerMatch::Poor),
                    12 => UserEvent::Deny,
                    13 => UserEvent::Cancel,
                    14 => UserEvent::Timeout,
                    // It is left waiting: the next command comes into it.
                    _ => return None,
                };
                // The second finger need not be like the first one.
                person = person.rotate_right(3);
                progress = key.user(channel, event, env);
            }
        }
    }
    match progress {
        Progress::Reply(bytes) => Some(bytes),
        // Poor images cost nothing, so nothing but the clock ends them.
        _ => match key.user(channel, UserEvent::Cancel, env) {
            Progress::Reply(bytes) => Some(bytes),
            other => panic!("cancelled, it goes on: {other:?}"),
        },
    }
}

/// The control socket's lines and the scripts of `softkey`: what is read is one order or an error in words.
pub fn control(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for line in text.lines() {
        match softkey::control::parse(line) {
            Ok(request) => {
                let wait = request.wait.unwrap_or_default();
                assert!(wait <= Duration::from_secs(3600), "a wait of {wait:?}");
            }
            Err((_, why)) => assert!(!why.is_empty()),
        }
    }
    if let Err(error) = text.parse::<softkey::Script>() {
        assert!((1..=text.lines().count()).contains(&error.line), "{error}");
    }
}
