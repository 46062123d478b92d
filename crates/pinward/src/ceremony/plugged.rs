//! Which keys are plugged in, looked at again and again while a ceremony runs

use std::collections::BTreeMap;
use std::time::Duration;

use transport::host::Address;
use transport::host::watch::{self, INTERVAL, Watch};

use crate::device::{self, Listed};

/// What became different.
pub(crate) enum Change {
    Added(Listed),
    Removed(Address),
}

/// After so many looks a key that will not open is told of: udev needs a moment to give a new node to
/// its user.
const PATIENCE: u32 = 8;

/// The keys at the last look.
pub(crate) struct Plugged {
    /// Whether keys may come: none may when one was named.
    watches: bool,
    watch: Watch,
    /// How often each could not be opened.
    refused: BTreeMap<String, u32>,
}

impl Plugged {
    pub(crate) fn of(watches: bool) -> Self {
        Self {
            watches,
            watch: Watch::default(),
            refused: BTreeMap::new(),
        }
    }

    /// These are there already.
    pub(crate) fn known(&mut self, listed: &[Listed]) {
        self.watch = Watch::of(listed.iter().map(|key| key.found.address.clone()));
    }

    pub(crate) fn interval(&self) -> Option<Duration> {
        self.watches.then_some(INTERVAL)
    }

    pub(crate) fn look(&mut self) -> Vec<Change> {
        if !self.watches {
            return Vec::new();
        }
        let now = device::there_beside(self.watch.known());
        let changes = self.watch.look(now).into_iter();
        changes
            .map(|change| match change {
                watch::Change::Added(found) => Change::Added(device::listed(found)),
                watch::Change::Removed(address) => Change::Removed(address),
            })
            .collect()
    }

    /// A key has gone or did not open; whether that is worth telling.
    pub(crate) fn lost(&mut self, address: &Address, was_open: bool) -> bool {
        let tries = self.refused.entry(address.to_string()).or_default();
        if was_open {
            *tries = 0;
            self.watch.forget(address);
            return true;
        }
        *tries += 1;
        if *tries < PATIENCE {
            self.watch.forget(address);
        }
        *tries == PATIENCE
    }
}
