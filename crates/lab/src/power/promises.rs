//! What a key owes after a power cut.

use authenticator::{MAX_PIN_RETRIES, State, Store};
use ctap::Status;

use super::mutation::{Answer, Mutation, secrets_record};
use super::{Records, records};
use crate::key::Key;

const WITNESS_RP: &str = "witness.example";

/// What is known of a key before and after a mutation.
pub(super) struct Promises {
    /// What the mutation is about.
    pub(super) target: Vec<u8>,
    /// A credential that has nothing to do with the mutation, if the key can make one.
    witness: Option<Vec<u8>>,
    /// The highest signature counter that was seen.
    counter: u32,
    /// Tries before the mutation.
    retries: (u8, u8),
    /// What was made by the mutation and answered.
    made: Option<Vec<u8>>,
    answered: bool,
}

impl Promises {
    /// Prepares a key for the mutation, and makes the witness.
    pub(super) fn prepare<S: Store>(mutation: Mutation, key: &mut Key<S>) -> Result<Self, Status> {
        // Before there is a PIN, which U2F does not know; with a PIN, alwaysUv demands it.
        let early = mutation == Mutation::SetPin && key.profile().options.always_uv != Some(true);
        let mut witness = match early && key.profile().ctap2 {
            true => Some(key.make(WITNESS_RP, 9, false)?),
            false => None,
        };
        let target = mutation.prepare(key)?;
        if witness.is_none() && key.profile().ctap2 && mutation != Mutation::SetPin {
            // The wrong PINs of the preparation must stay the last ones.
            witness = match mutation {
                Mutation::RightPin => None,
                _ => Some(key.make(WITNESS_RP, 9, false)?),
            };
        }
        let counter = match &witness {
            Some(id) => key.assert(WITNESS_RP, id)?,
            None => 0,
        };
        let state = key.state();
        Ok(Self {
            target,
            witness,
            counter,
            retries: (state.pin_retries(), state.uv_retries()),
            made: None,
            answered: false,
        })
    }

    /// Remembers what the client saw.
    pub(super) fn answered(&mut self, mutation: Mutation, answer: &Answer) {
        self.answered = true;
        match answer {
            Answer::Done => {}
            Answer::Made(id) => self.made = Some(id.clone()),
            Answer::Signed(counter) => self.counter = self.counter.max(*counter),
        }
        if mutation.erases() {
            self.counter = 0;
        }
    }

    /// Checks what is stored.
    pub(super) fn hold_in(
        &self,
        mutation: Mutation,
        before: &Records,
        state: &State,
    ) -> Result<(), String> {
        let allowed =
            |now: u8, old: u8, most: u8| now <= old || (mutation.gives_tries_back() && now == most);
        let (pin, uv) = (state.pin_retries(), state.uv_retries());
        if !allowed(pin, self.retries.0, MAX_PIN_RETRIES)
            || !allowed(uv, self.retries.1, authenticator::MAX_UV_RETRIES)
        {
            return Err(format!("tries grew from {:?} to {pin}, {uv}", self.retries));
        }
        if mutation == Mutation::WrongPin && self.answered && pin >= self.retries.0 {
            return Err("the wrong PIN that was answered cost no try".to_owned());
        }
        if mutation.erases() {
            gates_outlive_secrets(before, state)?;
        }
        Ok(())
    }

    /// Checks what a key does that starts from the store.
    pub(super) fn hold_on<S: Store>(
        &self,
        mutation: Mutation,
        key: &mut Key<S>,
    ) -> Result<(), String> {
        if key.profile().ctap2 && key.info().is_none() {
            return Err("getInfo does not answer".to_owned());
        }
        self.one_pin_works(mutation, key)?;
        if let Some(id) = &self.witness {
            self.witness_signs(mutation, key, id)?;
        }
        match &self.made {
            Some(id) if mutation == Mutation::U2fRegister => key
                .u2f_authenticate(id)
                .map(drop)
                .map_err(|e| format!("the key handle that was given out does not sign: {e}")),
            Some(id) => key
                .assert("example.com", id)
                .map(drop)
                .map_err(|e| format!("the credential that was given out does not sign: {e}")),
            None => Ok(()),
        }
    }

    /// Of the PINs before and after, one works if there is a PIN, and only one.
    fn one_pin_works<S: Store>(&self, mutation: Mutation, key: &mut Key<S>) -> Result<(), String> {
        if key.state().pin().is_none() {
            return Ok(());
        }
        let mut works = Vec::new();
        // The old one last: it stays known, and spends what it has to.
        for pin in [Mutation::NEW_PIN, Mutation::PIN] {
            match key.accepts_pin(pin) {
                Ok(true) => works.push(pin),
                Ok(false) => {}
                Err(status) => return Err(format!("asked for its PIN, it says {status}")),
            }
        }
        let new = matches!(mutation, Mutation::SetPin | Mutation::ChangePin) && self.answered;
        match works[..] {
            [pin] if !new || pin == Mutation::NEW_PIN => Ok(()),
            _ => Err(format!("{} PINs work, or the wrong one", works.len())),
        }
    }

    fn witness_signs<S: Store>(
        &self,
        mutation: Mutation,
        key: &mut Key<S>,
        id: &[u8],
    ) -> Result<(), String> {
        let reset = mutation.erases();
        match key.assert(WITNESS_RP, id) {
            Ok(_) if reset && self.answered => {
                Err("after the reset an old credential signs".to_owned())
            }
            Ok(counter) if counter > self.counter => Ok(()),
            Ok(counter) => Err(format!(
                "the signature counter went from {} to {counter}",
                self.counter
            )),
            Err(Status::NO_CREDENTIALS) if reset => Ok(()),
            // alwaysUv, and no PIN any more, or one that nobody here knows.
            Err(Status::PUAT_REQUIRED) if reset || mutation == Mutation::ForcePinChange => Ok(()),
            Err(status) => Err(format!("an old credential does not sign: {status}")),
        }
    }
}

/// A reset may leave the gate without the secrets, never the secrets without the gate.
fn gates_outlive_secrets(before: &Records, state: &State) -> Result<(), String> {
    let now = records(state);
    let secrets = secrets_record();
    let old_secrets = before.contains_key(&secrets) && before.get(&secrets) == now.get(&secrets);
    let gate_gone = before != &now && state.pin().is_none();
    if gate_gone && (old_secrets || state.stored_count() > 0) {
        return Err("the PIN is gone and the secrets are not".to_owned());
    }
    Ok(())
}
