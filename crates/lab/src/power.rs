//! Power cuts: every command that changes a key, cut at every write of the key's store.
//!
//! [`sweep`] lets a key carry out one [`Mutation`] on a [`Medium`], again and again, and each time the
//! power goes at another write. After each cut the key has to start, hold the state before or after
//! the command (or a state between two commits that the command is meant to have), have no more tries
//! than before, and honour what it answered. A breach is an error that says where.
//!
//! ```
//! use lab::power::{Memory, Mutation, sweep};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let profile = lab::authenticator::profile::find("fido-2.1").ok_or("no such profile")??;
//! let row = sweep(&profile, Mutation::ChangePin, Memory::default)?;
//! assert!(row.cuts > 0);
//! # Ok(())
//! # }
//! ```

mod medium;
mod mutation;
mod plays;
mod promises;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use authenticator::{Change, Profile, State, Store, StoreError, Write};
use ctap::Status;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::key::Key;

pub use medium::{Fault, Medium, Memory};
pub use mutation::Mutation;
use promises::Promises;

const SEED: [u8; 32] = [11; 32];
const SEED_AFTER: [u8; 32] = [12; 32];

/// What became of one mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The command.
    pub mutation: Mutation,
    /// Writes to the medium until the answer.
    pub writes: u64,
    /// Cuts that were tried.
    pub cuts: u64,
    /// Cuts after which the key held the state before the command.
    pub before: u64,
    /// Cuts after which it held a state between two commits of the command.
    pub between: u64,
    /// Cuts after which it held the state after the command.
    pub after: u64,
    /// Cuts that came only after the answer.
    pub answered: u64,
}

/// A promise that the key has not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, power cut at write {at:?}: {what}", mutation.name())]
pub struct Breach {
    /// The command.
    pub mutation: Mutation,
    /// Where the power went; none in the run without a cut.
    pub at: Option<(u64, Fault)>,
    /// What was found.
    pub what: String,
}

/// All records of a key's state.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn records(state: &State) -> Records {
    let writes = state.snapshot();
    let writes = writes.iter().flat_map(Change::writes);
    writes
        .filter_map(|write| match write {
            Write::Put { key, value } => Some((key, value.to_vec())),
            _ => None,
        })
        .collect()
}

fn fresh() -> State {
    State::fresh(&mut ChaCha20Rng::from_seed(SEED))
}

/// Cuts the power at every write of a mutation, with every fault that the medium can have.
///
/// # Errors
/// The first [`Breach`].
pub fn sweep<M: Medium>(
    profile: &Profile,
    mutation: Mutation,
    mut medium: impl FnMut() -> M,
) -> Result<Row, Breach> {
    let breach = |at, what| Breach { mutation, at, what };
    let states = rehearse(profile, mutation).map_err(|what| breach(None, what))?;
    let sweep = Sweep {
        profile,
        mutation,
        states,
    };
    let mut whole = medium();
    let writes = sweep.uncut(&mut whole).map_err(|what| breach(None, what))?;
    let mut row = Row {
        mutation,
        writes,
        cuts: 0,
        before: 0,
        between: 0,
        after: 0,
        answered: 0,
    };
    for k in 0..=writes {
        for fault in whole.faults() {
            sweep
                .cut(medium(), k, *fault, &mut row)
                .map_err(|what| breach(Some((k, *fault)), what))?;
        }
    }
    Ok(row)
}

/// Keeps what was durable after each commit.
struct Recorder {
    state: State,
    history: Rc<RefCell<Vec<Records>>>,
}

impl Store for Recorder {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        changes.iter().for_each(|change| self.state.apply(change));
        self.history.borrow_mut().push(records(&self.state));
        Ok(())
    }
}

/// Plays the mutation without a cut: the states that it may leave, from the one before to the last.
fn rehearse(profile: &Profile, mutation: Mutation) -> Result<Vec<Records>, String> {
    let history = Rc::new(RefCell::new(Vec::new()));
    let recorder = Recorder {
        state: fresh(),
        history: Rc::clone(&history),
    };
    let mut key = start(profile, fresh(), recorder)?;
    let promises = Promises::prepare(mutation, &mut key).map_err(|e| format!("prepare: {e}"))?;
    let before = records(key.state());
    history.borrow_mut().clear();
    mutation
        .run(&mut key, &promises.target)
        .map_err(|e| format!("run: {e}"))?;
    let mut states = vec![before];
    states.append(&mut history.borrow_mut());
    Ok(states)
}

fn start<S: Store>(profile: &Profile, state: State, store: S) -> Result<Key<S>, String> {
    Key::start(profile, state, store, SEED).map_err(|e| e.to_string())
}

/// A key that goes on after a refused write knows what its store knows. Only tries may be fewer: the
/// loss of one counts although nobody can tell whether it was written.
fn works_on_what_is_stored(mut in_memory: State, stored: &State) -> Result<(), String> {
    let fewer = in_memory.pin_retries() <= stored.pin_retries()
        && in_memory.uv_retries() <= stored.uv_retries();
    in_memory.apply(&Change::SetPinRetries(stored.pin_retries()));
    in_memory.apply(&Change::SetUvRetries(stored.uv_retries()));
    if fewer && records(&in_memory) == records(stored) {
        Ok(())
    } else {
        Err("after a refused write the key works on what is not stored".to_owned())
    }
}

/// One mutation and the states that it may leave.
struct Sweep<'a> {
    profile: &'a Profile,
    mutation: Mutation,
    states: Vec<Records>,
}

impl Sweep<'_> {
    fn install<M: Medium>(&self, medium: &mut M) -> Result<(Key<M::Store>, Promises), String> {
        let state = fresh();
        let store = medium.install(&state)?;
        let mut key = start(self.profile, state, store)?;
        let promises =
            Promises::prepare(self.mutation, &mut key).map_err(|e| format!("prepare: {e}"))?;
        Ok((key, promises))
    }

    /// Without a cut: how many writes there are until the answer.
    fn uncut<M: Medium>(&self, medium: &mut M) -> Result<u64, String> {
        let (mut key, mut promises) = self.install(medium)?;
        let start = medium.writes();
        let answer = self.mutation.run(&mut key, &promises.target);
        let writes = medium.writes() - start;
        promises.answered(self.mutation, &answer.map_err(|e| format!("run: {e}"))?);
        drop(key);
        let (store, state) = medium.reopen()?;
        if Some(&records(&state)) != self.states.last() {
            return Err("the medium does not hold what was committed".to_owned());
        }
        self.promises_hold(&promises, store, state)?;
        Ok(writes)
    }

    fn cut<M: Medium>(
        &self,
        mut medium: M,
        k: u64,
        fault: Fault,
        row: &mut Row,
    ) -> Result<(), String> {
        let (mut key, mut promises) = self.install(&mut medium)?;
        medium.plan(k, fault);
        let answer = self.mutation.run(&mut key, &promises.target);
        row.cuts += 1;
        match &answer {
            Ok(answer) => {
                row.answered += 1;
                promises.answered(self.mutation, answer);
            }
            // What a key says that has lost its store; with its power it loses the voice too.
            Err(Status::OTHER) => {}
            Err(status) => return Err(format!("it answered {status} without its store")),
        }
        let in_memory = key.state().clone();
        drop(key);
        let (store, state) = medium.reopen()?;
        let held = records(&state);
        self.place(&held, answer.is_ok(), row)?;
        if fault == Fault::Refused {
            works_on_what_is_stored(in_memory, &state)?;
        }
        self.promises_hold(&promises, store, state)
    }

    /// Which of the allowed states is held.
    fn place(&self, held: &Records, answered: bool, row: &mut Row) -> Result<(), String> {
        let is_last = self.states.last() == Some(held);
        if answered && !is_last {
            return Err("what was answered is not stored".to_owned());
        }
        if is_last {
            row.after += 1;
        } else if self.states.first() == Some(held) {
            row.before += 1;
        } else if self.states.contains(held) {
            row.between += 1;
        } else {
            return Err("the key holds neither the old nor the new state".to_owned());
        }
        Ok(())
    }

    fn promises_hold<S: Store>(
        &self,
        promises: &Promises,
        store: S,
        state: State,
    ) -> Result<(), String> {
        promises.hold_in(self.mutation, &self.states[0], &state)?;
        let key = Key::start(self.profile, state, store, SEED_AFTER);
        let mut key = key.map_err(|e| e.to_string())?;
        promises.hold_on(self.mutation, &mut key)
    }
}
