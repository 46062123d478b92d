//! Where a key's store lives, and how it can fail.

use std::cell::RefCell;
use std::rc::Rc;

use authenticator::{Change, Fault as CommitFault, MemoryStore, State, Store, StoreError};

/// What happens at the planned write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The power goes before it.
    Before,
    /// The power goes after it.
    After,
    /// The power goes in the middle of it: some of it, and of what the medium had not yet been made
    /// to keep, is there afterwards; the number decides which.
    Torn(u64),
    /// It is refused, as by a full disk; later writes work.
    Refused,
}

/// Something that keeps a key's store and can lose its power.
pub trait Medium {
    /// The store of a key on it.
    type Store: Store;

    /// The faults that it can have.
    fn faults(&self) -> &'static [Fault];

    /// Makes a new store that holds `state`.
    ///
    /// # Errors
    /// In words, why there is none.
    fn install(&mut self, state: &State) -> Result<Self::Store, String>;

    /// Gives the power back, and opens the store that is there.
    ///
    /// # Errors
    /// In words, why it does not open.
    fn reopen(&mut self) -> Result<(Self::Store, State), String>;

    /// How many writes there were.
    fn writes(&self) -> u64;

    /// Plans a fault at the `k`-th write from now; 0 is the next one.
    fn plan(&mut self, k: u64, fault: Fault);
}

/// The store in memory: one write is one commit, and commits do not tear.
#[derive(Debug, Default)]
pub struct Memory {
    store: Rc<RefCell<MemoryStore>>,
    refuses: Rc<RefCell<bool>>,
}

/// A key's hold on a [`Memory`].
#[derive(Debug)]
pub struct MemoryHandle {
    store: Rc<RefCell<MemoryStore>>,
    refuses: Rc<RefCell<bool>>,
}

impl Store for MemoryHandle {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut store = self.store.borrow_mut();
        let result = store.commit(changes);
        if result.is_err() && self.refuses.replace(false) {
            store.restore_power();
        }
        result
    }
}

impl Memory {
    fn handle(&self) -> MemoryHandle {
        MemoryHandle {
            store: Rc::clone(&self.store),
            refuses: Rc::clone(&self.refuses),
        }
    }
}

impl Medium for Memory {
    type Store = MemoryHandle;

    fn faults(&self) -> &'static [Fault] {
        &[Fault::Before, Fault::After, Fault::Refused]
    }

    fn install(&mut self, state: &State) -> Result<MemoryHandle, String> {
        *self.store.borrow_mut() = MemoryStore::new(state);
        Ok(self.handle())
    }

    fn reopen(&mut self) -> Result<(MemoryHandle, State), String> {
        let mut store = self.store.borrow_mut();
        store.restore_power();
        let state = store.state().map_err(|e| e.to_string())?;
        drop(store);
        Ok((self.handle(), state))
    }

    fn writes(&self) -> u64 {
        self.store.borrow().commits()
    }

    fn plan(&mut self, k: u64, fault: Fault) {
        *self.refuses.borrow_mut() = fault == Fault::Refused;
        let fault = match fault {
            Fault::After => CommitFault::AfterWrite,
            Fault::Before | Fault::Torn(_) | Fault::Refused => CommitFault::BeforeWrite,
        };
        self.store.borrow_mut().fail_at(k, fault);
    }
}
