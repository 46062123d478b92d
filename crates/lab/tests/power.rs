//! Power cuts at every write of every command that changes a key.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::RefCell;
use std::rc::Rc;

use authenticator::{Change, MemoryStore, Profile, State, Store, StoreError, profile};
use lab::power::{Fault, Medium, Memory, Mutation, sweep};

/// Profiles that between them know every mutation.
const PROFILES: [&str; 7] = [
    "u2f-only",
    "fido-2.0",
    "fido-2.1",
    "fido-2.1-always-uv",
    "fido-2.1-bio",
    "fido-2.3-complete",
    "large-blob",
];

fn find(id: &str) -> Profile {
    profile::find(id).unwrap().unwrap()
}

#[test]
fn no_cut_breaks_a_promise() {
    let mut swept = Vec::new();
    for id in PROFILES {
        let profile = find(id);
        for mutation in Mutation::ALL {
            if !mutation.fits(&profile) {
                continue;
            }
            let row = sweep(&profile, mutation, Memory::default)
                .unwrap_or_else(|breach| panic!("{id}: {breach}"));
            assert_eq!(row.cuts, row.before + row.between + row.after, "{row:?}");
            // Before the answer there are cuts of both kinds, but for U2F, which stores nothing.
            let durable = mutation != Mutation::U2fRegister;
            assert_eq!(durable, row.cuts > row.answered, "{row:?}");
            assert_eq!(durable, row.before + row.between > 0, "{row:?}");
            swept.push(mutation);
        }
    }
    for mutation in Mutation::ALL {
        let name = mutation.name();
        assert!(swept.contains(&mutation), "{name} was not swept");
    }
}

/// How a bad store betrays its key.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Betrayal {
    /// Says that it has written what it writes only with the next commit.
    Lags,
    /// Writes half of what a reset writes at once when the power goes.
    Halves,
    /// Never writes that a try was lost.
    RefundsTries,
    /// Forgets credentials when the power goes.
    LosesCredentials,
    /// Forgets the signature counter when the power goes.
    ResetsTheCounter,
    /// Erases the PIN before the secrets.
    ResetsGatesFirst,
}

#[derive(Clone)]
struct Bad {
    how: Betrayal,
    store: Rc<RefCell<MemoryStore>>,
    waiting: Rc<RefCell<Vec<Change>>>,
    commits: Rc<RefCell<u64>>,
    cut_at: Rc<RefCell<Option<u64>>>,
}

impl Bad {
    fn new(how: Betrayal) -> Self {
        Self {
            how,
            store: Rc::default(),
            waiting: Rc::default(),
            commits: Rc::default(),
            cut_at: Rc::default(),
        }
    }
}

impl Store for Bad {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let number = self.commits.replace_with(|n| *n + 1);
        let mut changes = changes.to_vec();
        let off = self.cut_at.borrow().is_some_and(|at| number >= at);
        if off && self.how == Betrayal::Halves && *self.cut_at.borrow() == Some(number) {
            let store = self.store.borrow().state().unwrap();
            let ids = store.credentials().map(|c| c.id.clone());
            changes = ids.map(Change::DeleteCredential).collect();
        } else if off {
            return Err(StoreError("off".to_owned()));
        }
        match self.how {
            Betrayal::Lags => std::mem::swap(&mut *self.waiting.borrow_mut(), &mut changes),
            Betrayal::RefundsTries => changes.retain(|c| !matches!(c, Change::SetPinRetries(_))),
            Betrayal::ResetsGatesFirst => {
                for change in &mut changes {
                    match change {
                        Change::ReplaceSecrets(_) => {
                            let reset = Change::Reset;
                            *self.waiting.borrow_mut() = vec![std::mem::replace(change, reset)];
                        }
                        Change::Reset => {
                            *change = self.waiting.borrow_mut().pop().unwrap();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        self.store.borrow_mut().commit(&changes)?;
        if off {
            Err(StoreError("off".to_owned()))
        } else {
            Ok(())
        }
    }
}

impl Medium for Bad {
    type Store = Bad;

    fn faults(&self) -> &'static [Fault] {
        &[Fault::Before]
    }

    fn install(&mut self, state: &State) -> Result<Bad, String> {
        *self.store.borrow_mut() = MemoryStore::new(state);
        Ok(self.clone())
    }

    fn reopen(&mut self) -> Result<(Bad, State), String> {
        *self.cut_at.borrow_mut() = None;
        let mut store = self.store.borrow_mut();
        match self.how {
            Betrayal::LosesCredentials => {
                let state = store.state().unwrap();
                let ids = state.credentials().map(|c| c.id.clone());
                let lost: Vec<_> = ids.map(Change::DeleteCredential).collect();
                store.commit(&lost).unwrap();
            }
            Betrayal::ResetsTheCounter => store.commit(&[Change::SetCounter(0)]).unwrap(),
            _ => {}
        }
        let state = store.state().map_err(|e| e.to_string())?;
        drop(store);
        Ok((self.clone(), state))
    }

    fn writes(&self) -> u64 {
        *self.commits.borrow()
    }

    fn plan(&mut self, k: u64, _: Fault) {
        *self.cut_at.borrow_mut() = Some(self.writes() + k);
    }
}

#[test]
fn a_bad_store_is_found_out() {
    for (id, how, mutation) in [
        ("fido-2.1", Betrayal::Lags, Mutation::WrongPin),
        ("fido-2.1", Betrayal::Lags, Mutation::MakeDiscoverable),
        ("fido-2.1", Betrayal::Halves, Mutation::Reset),
        ("fido-2.1", Betrayal::RefundsTries, Mutation::WrongPin),
        (
            "fido-2.1",
            Betrayal::LosesCredentials,
            Mutation::MakeDiscoverable,
        ),
        (
            "fido-2.1",
            Betrayal::ResetsTheCounter,
            Mutation::GetAssertion,
        ),
        ("fido-2.1", Betrayal::ResetsGatesFirst, Mutation::Reset),
        (
            "fido-2.3-complete",
            Betrayal::ResetsGatesFirst,
            Mutation::ResetByLongTouch,
        ),
        ("fido-2.3-complete", Betrayal::Lags, Mutation::Enroll),
        (
            "fido-2.3-complete",
            Betrayal::Lags,
            Mutation::WriteLargeBlobArray,
        ),
        (
            "fido-2.3-complete",
            Betrayal::Lags,
            Mutation::PersistentToken,
        ),
        ("large-blob", Betrayal::Lags, Mutation::WriteLargeBlob),
        (
            "large-blob",
            Betrayal::LosesCredentials,
            Mutation::DeleteWithBlob,
        ),
    ] {
        let result = sweep(&find(id), mutation, || Bad::new(how));
        assert!(result.is_err(), "{how:?} {mutation:?}: {result:?}");
    }
}
