//! A key without a thread and a clock: its owner carries the messages and says how time goes

use std::fmt;
use std::time::Duration;

use authenticator::{Interaction, ProfileError, UserEvent};
use transport::{Arrival, Kind};

use crate::engine::Engine;
use crate::key::Options;

/// The same key as [`crate::RunningKey`], in virtual time: every run can be repeated, and a wait of
/// thirty seconds takes none.
pub struct VirtualKey {
    engine: Engine,
    now: Duration,
}

impl VirtualKey {
    /// A key that is plugged in now.
    ///
    /// # Errors
    ///
    /// When the profile cannot be used.
    pub fn new(options: Options, kind: Kind) -> Result<Self, ProfileError> {
        let now = Duration::from_secs(60);
        let engine = Engine::new(options.into_parts(), kind, now)?;
        Ok(Self { engine, now })
    }

    /// Something comes from the wire.
    pub fn receive(&mut self, arrival: Arrival) {
        self.engine.receive(arrival, self.now);
    }

    /// What the key sent since the last call: reports, or response APDUs.
    pub fn take_output(&mut self) -> Vec<Vec<u8>> {
        self.engine.take_output()
    }

    /// What the key asks its user for.
    #[must_use]
    pub fn asking(&self) -> Option<&Interaction> {
        self.engine.asking()
    }

    /// The user does something.
    pub fn user(&mut self, event: UserEvent) {
        self.engine.user(event, self.now);
    }

    /// Lets time pass until the key does something by itself, at most for `by`; how much passed.
    pub fn step(&mut self, by: Duration) -> Duration {
        let end = self.now + by;
        let next = self.engine.deadline().map_or(end, |at| at.min(end));
        let passed = next.saturating_sub(self.now);
        self.now += passed;
        self.engine.tick(self.now);
        passed
    }

    /// Takes the power and gives it back.
    pub fn power_cycle(&mut self) {
        self.engine.power_cycle(self.now);
    }
}

impl fmt::Debug for VirtualKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualKey")
            .field("now", &self.now)
            .field("asking", &self.asking())
            .finish_non_exhaustive()
    }
}
