//! A running software key on the desk: the authenticator, its store and its clock.

use core::time::Duration;

use authenticator::{
    Authenticator, Channel, Env, Interaction, MemoryStore, Profile, ProfileError, Progress, State,
    Store, UserEvent,
};
use client::prompt::Secret;
use client::uv::KeyFacts;
use ctap::{Command, Status, get_info, request_bytes, split_response};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// All traffic of the lab uses one channel.
const CHANNEL: Channel = Channel(1);

/// A key in virtual time. Everything that happens to it can be repeated from its seed.
pub struct Key<S = MemoryStore> {
    authenticator: Authenticator,
    store: S,
    pub(crate) rng: ChaCha20Rng,
    now: Duration,
    /// The PIN that its owner knows, as long as it was set here.
    pub(crate) owner_pin: Option<Secret>,
}

impl Key {
    /// A key fresh from the factory.
    ///
    /// # Errors
    /// [`ProfileError`], if the profile cannot be a key.
    pub fn fresh(profile: &Profile, seed: [u8; 32]) -> Result<Self, ProfileError> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let state = State::fresh(&mut rng);
        let store = MemoryStore::new(&state);
        // Long after power-up, so that nothing depends on having just been plugged in.
        let now = Duration::from_secs(60);
        let authenticator = Authenticator::new(profile.clone(), state, Duration::ZERO, &mut rng)?;
        Ok(Self {
            authenticator,
            store,
            rng,
            now,
            owner_pin: None,
        })
    }

    /// A second key in the same condition. Tokens and waits are not shared; see
    /// [`Authenticator::duplicate`].
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            authenticator: self.authenticator.duplicate(),
            store: self.store.clone(),
            rng: self.rng.clone(),
            now: self.now,
            owner_pin: self.owner_pin.clone(),
        }
    }
}

impl<S: Store> Key<S> {
    /// A key that starts, just plugged in, from what its store holds.
    ///
    /// # Errors
    /// [`ProfileError`], if the profile cannot be a key.
    pub fn start(
        profile: &Profile,
        state: State,
        store: S,
        seed: [u8; 32],
    ) -> Result<Self, ProfileError> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let authenticator = Authenticator::new(profile.clone(), state, Duration::ZERO, &mut rng)?;
        Ok(Self {
            authenticator,
            store,
            rng,
            now: Duration::ZERO,
            owner_pin: None,
        })
    }

    /// The time on the desk.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets time pass.
    pub fn advance_to(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    /// What the key durably knows.
    pub fn state(&self) -> &State {
        self.authenticator.state()
    }

    /// What the key has.
    pub fn profile(&self) -> &Profile {
        self.authenticator.profile()
    }

    /// What it waits for.
    pub fn waiting(&self) -> Option<&Interaction> {
        self.authenticator.waiting()
    }

    /// Takes it out and plugs it in again.
    pub fn power_cycle(&mut self) {
        self.authenticator.power_cycle(self.now, &mut self.rng);
    }

    fn with_env<T>(&mut self, act: impl FnOnce(&mut Authenticator, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            rng: &mut self.rng,
            store: &mut self.store,
        };
        act(&mut self.authenticator, &mut env)
    }

    /// Sends a CTAP2 request.
    pub fn send(&mut self, request: &[u8]) -> Progress {
        self.with_env(|key, env| key.handle(CHANNEL, request, env))
    }

    /// Sends a CTAP1/U2F request.
    pub fn send_u2f(&mut self, apdu: &[u8]) -> Vec<u8> {
        self.with_env(|key, env| key.handle_u2f(CHANNEL, apdu, env))
    }

    /// Something happens at the key.
    pub fn user(&mut self, event: UserEvent) -> Progress {
        self.with_env(|key, env| key.user(CHANNEL, event, env))
    }

    /// Sends a request and consents to whatever it asks; the answer.
    pub(crate) fn transact(&mut self, request: &[u8]) -> Vec<u8> {
        let mut progress = self.send(request);
        loop {
            progress = match progress {
                Progress::Reply(bytes) => return bytes,
                Progress::Idle => return vec![Status::OTHER.0],
                Progress::Waiting(interaction) => self.user(consent(&interaction)),
            };
        }
    }

    /// A command by its owner, who consents; the members of the answer.
    pub(crate) fn command(
        &mut self,
        command: Command,
        parameters: &[u8],
    ) -> Result<Vec<u8>, Status> {
        let answer = self.transact(&request_bytes(command, parameters));
        let (status, members) = split_response(&answer).ok_or(Status::INVALID_LENGTH)?;
        status.ok().map(|()| members.to_vec())
    }

    /// What it says about itself, unless it speaks only U2F.
    pub fn info(&mut self) -> Option<get_info::Response> {
        let members = self.command(Command::GetInfo, &[]).ok()?;
        get_info::Response::decode(&members).ok()
    }

    /// What a platform's decision knows of it.
    pub fn facts(&mut self) -> KeyFacts {
        let pin_blocked = self.state().pin().is_some() && self.state().pin_retries() == 0;
        self.info()
            .map_or_else(KeyFacts::u2f_only, |info| KeyFacts {
                pin_blocked,
                ..KeyFacts::from_info(&info)
            })
    }
}

/// The event that consents to what a key waits for.
pub(crate) fn consent(interaction: &Interaction) -> UserEvent {
    interaction.consent()
}
