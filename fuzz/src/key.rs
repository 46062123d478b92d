//! Whole sequences of commands against one key, with touches, timeouts, power cuts and store faults.

use std::time::Duration;

use ::authenticator::{Authenticator, Env, MemoryStore, Progress, State, UserEvent, profile};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// CTAP 2.3 §6: the first byte chooses the profile; then each byte string is one command, behind a
/// byte that says who sends it and what the person does.
pub fn authenticator(data: &[u8]) {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    let shipped = profile::shipped();
    let (id, toml) = shipped[usize::from(*which) % shipped.len()];
    let profile = profile::Profile::from_toml(toml).unwrap_or_else(|e| panic!("{id}: {e}"));
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let state = State::fresh(&mut rng);
    let mut store = MemoryStore::new(&state);
    let mut now = Duration::ZERO;
    let mut key = match Authenticator::new(profile, state, now, &mut rng) {
        Ok(key) => key,
        Err(e) => panic!("{id}: {e}"),
    };
    let mut data = data;
    while let [how, length, rest @ ..] = data {
        let (request, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        now += Duration::from_millis(u64::from(how >> 4) * 700);
        if how & 0b1000 != 0 {
            key.power_cycle(now, &mut rng);
        }
        let channel = ::authenticator::Channel(u32::from(how & 1));
        let mut env = Env {
            now,
            rng: &mut rng,
            store: &mut store,
        };
        let progress = if request.first() == Some(&0) {
            drop(key.handle_u2f(channel, &request[1..], &mut env));
            continue;
        } else {
            key.handle(channel, request, &mut env)
        };
        finish(&mut key, channel, progress, *how, &mut env);
    }
}

/// Answers what the key waits for until it has replied. A command asks for two things at most
/// (verification, then a touch), so this ends.
fn finish(
    key: &mut Authenticator,
    channel: ::authenticator::Channel,
    progress: Progress,
    how: u8,
    env: &mut Env<'_>,
) {
    let mut progress = progress;
    for _ in 0..8 {
        match progress {
            Progress::Reply(bytes) => {
                assert!(!bytes.is_empty(), "an answer without a status");
                assert!(bytes[0] == 0 || bytes.len() == 1, "an error with a body");
                return;
            }
            Progress::Idle => panic!("a command that is running is not idle"),
            Progress::Waiting(_) => {
                let event = match how >> 1 & 0b11 {
                    0 | 1 => UserEvent::Touch,
                    2 => UserEvent::Cancel,
                    _ => UserEvent::Timeout,
                };
                progress = key.user(channel, event, env);
            }
        }
    }
    panic!("the key asks without an end");
}
