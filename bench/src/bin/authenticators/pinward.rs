//! Pinward's authenticator.

use std::time::Duration;

use authenticator::{
    Authenticator, Channel, Env, Interaction, MemoryStore, Progress, State, UserEvent, profile,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{Result, Subject};

pub struct Key {
    authenticator: Authenticator,
    store: MemoryStore,
    rng: ChaCha20Rng,
}

impl Key {
    pub fn new() -> Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut profile = profile::find("fido-2.1").ok_or("no such profile")??;
        profile.credentials.max_stored = 1 << 20;
        let state = State::fresh(&mut rng);
        let store = MemoryStore::new(&state);
        let authenticator = Authenticator::new(profile, state, Duration::ZERO, &mut rng)?;
        Ok(Self {
            authenticator,
            store,
            rng,
        })
    }
}

impl Subject for Key {
    fn name(&self) -> &'static str {
        "Pinward"
    }

    fn send(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let mut env = Env {
            now: Duration::from_secs(60),
            rng: &mut self.rng,
            store: &mut self.store,
        };
        let mut progress = self.authenticator.handle(Channel(1), request, &mut env);
        loop {
            match progress {
                Progress::Reply(answer) => return Ok(answer),
                Progress::Waiting(Interaction::Touch { .. }) => {
                    progress = self
                        .authenticator
                        .user(Channel(1), UserEvent::Touch, &mut env);
                }
                other => return Err(format!("{other:?}").into()),
            }
        }
    }
}
