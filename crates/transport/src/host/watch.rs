//! Keys that come and go while a program runs
//!
//! Hot-plug is noticed by looking again, a few times a second. sysfs tells of no changes by inotify,
//! a node under `/dev` appears before udev lets its user open it, and sockets of software keys appear
//! nowhere: whoever looks again sees all three.

use std::time::Duration;

use super::{Address, Found};

/// How long after one look the next one is due: nobody waits for that, and a look reads one directory.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// What became different between two looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key came.
    Added(Found),
    /// The key that was there has gone.
    Removed(Address),
}

/// Which keys were there at the last look.
#[derive(Debug, Default)]
pub struct Watch {
    known: Vec<Address>,
}

impl Watch {
    /// A watch that takes these for known.
    #[must_use]
    pub fn of(known: impl IntoIterator<Item = Address>) -> Self {
        Self {
            known: known.into_iter().collect(),
        }
    }

    /// What has changed, given what is there now.
    pub fn look(&mut self, now: Vec<Found>) -> Vec<Change> {
        let mut changes = Vec::new();
        self.known.retain(|address| {
            let there = now.iter().any(|found| found.address == *address);
            if !there {
                changes.push(Change::Removed(address.clone()));
            }
            there
        });
        for found in now {
            if !self.known.contains(&found.address) {
                self.known.push(found.address.clone());
                changes.push(Change::Added(found));
            }
        }
        changes
    }

    /// Takes a key for gone, so that whatever is at its address counts as added at the next look: it
    /// was unplugged and plugged in again between two looks, or could not be opened yet.
    pub fn forget(&mut self, address: &Address) {
        self.known.retain(|known| known != address);
    }

    /// What was there.
    #[must_use]
    pub fn known(&self) -> &[Address] {
        &self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(node: &str) -> Found {
        Found {
            address: Address::Hidraw(node.into()),
            name: node.to_owned(),
            usb: None,
            serial: None,
            position: None,
        }
    }

    #[test]
    fn a_key_comes_once_and_goes_once() {
        let (one, two) = (found("/dev/hidraw1"), found("/dev/hidraw2"));
        let mut watch = Watch::of([one.address.clone()]);
        assert_eq!(watch.look(vec![one.clone()]), []);
        let both = vec![one.clone(), two.clone()];
        assert_eq!(watch.look(both.clone()), [Change::Added(two.clone())]);
        assert_eq!(watch.look(both), []);
        assert_eq!(
            watch.look(vec![two.clone()]),
            [Change::Removed(one.address.clone())]
        );
        assert_eq!(watch.known(), [two.address]);
    }

    #[test]
    fn another_key_at_the_same_node_is_another_key() {
        let key = found("/dev/hidraw1");
        let mut watch = Watch::of([key.address.clone()]);
        watch.forget(&key.address);
        assert_eq!(watch.look(vec![key.clone()]), [Change::Added(key)]);
    }
}
