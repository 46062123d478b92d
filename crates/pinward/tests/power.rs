//! Power cuts under a key's file: every command that changes a key, cut at every operation on the
//! disk, with all, none or some of what was not yet synchronised.
#![allow(clippy::unwrap_used, clippy::panic)]

use authenticator::{State, profile};
use lab::power::{Fault, Medium, Mutation, sweep};
use softkey::store::disk::{Disk, Loss};
use softkey::store::{Cost, FileStore, Passphrase, Protection};

/// A key's file on a simulated disk.
struct OnDisk {
    disk: Disk,
    protection: Protection,
    /// Whether the disk stops keeping what it says it keeps, once a cut is planned.
    lies: bool,
}

impl OnDisk {
    fn plaintext() -> Self {
        Self {
            disk: Disk::default(),
            protection: Protection::InsecurePlaintext,
            lies: false,
        }
    }

    fn sealed() -> Self {
        let passphrase = Passphrase::new("x".to_owned());
        Self {
            disk: Disk::default(),
            protection: Protection::Sealed(passphrase, Cost::minimal()),
            lies: false,
        }
    }

    fn lying() -> Self {
        Self {
            lies: true,
            ..Self::plaintext()
        }
    }
}

impl Medium for OnDisk {
    type Store = FileStore;

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault::Before,
            Fault::After,
            Fault::Torn(0),
            Fault::Torn(0x5DEE_CE66),
            Fault::Torn(0xA5A5_5A5A_0F0F),
        ]
    }

    fn install(&mut self, state: &State) -> Result<FileStore, String> {
        FileStore::create_on(&self.disk, &self.protection, state).map_err(|e| e.to_string())
    }

    fn reopen(&mut self) -> Result<(FileStore, State), String> {
        self.disk.restore_power();
        FileStore::open_on(&self.disk, &self.protection).map_err(|e| e.to_string())
    }

    fn writes(&self) -> u64 {
        self.disk.operations()
    }

    fn plan(&mut self, k: u64, fault: Fault) {
        if self.lies {
            self.disk.ignore_syncs();
        }
        let loss = match fault {
            Fault::Before | Fault::Refused => Loss::Before,
            Fault::After => Loss::After,
            Fault::Torn(seed) => Loss::Torn(seed),
        };
        self.disk.lose_power_at(k, loss);
    }
}

/// Profiles that between them know every mutation; what one has swept the next need not sweep again.
const PROFILES: [&str; 5] = [
    "fido-2.1",
    "fido-2.1-bio",
    "fido-2.3",
    "fido-2.3-complete",
    "large-blob",
];

#[test]
fn no_cut_on_disk_breaks_a_promise() {
    let (mut cuts, mut swept) = (0, Vec::new());
    for id in PROFILES {
        let profile = profile::find(id).unwrap().unwrap();
        for mutation in Mutation::ALL {
            if mutation.fits(&profile) && !swept.contains(&mutation) {
                let row = sweep(&profile, mutation, OnDisk::plaintext)
                    .unwrap_or_else(|breach| panic!("{id}: {breach}"));
                cuts += row.cuts;
                swept.push(mutation);
            }
        }
    }
    assert_eq!(swept.len(), Mutation::ALL.len());
    assert!(cuts > 800, "{cuts} cuts");
}

#[test]
fn no_cut_under_the_seal_breaks_a_promise() {
    let profile = profile::find("fido-2.1").unwrap().unwrap();
    for mutation in [Mutation::ChangePin, Mutation::Reset] {
        sweep(&profile, mutation, OnDisk::sealed).unwrap_or_else(|breach| panic!("{breach}"));
    }
}

#[test]
fn a_disk_that_lies_is_found_out() {
    let profile = profile::find("fido-2.1").unwrap().unwrap();
    for mutation in [Mutation::WrongPin, Mutation::MakeDiscoverable] {
        let result = sweep(&profile, mutation, OnDisk::lying);
        assert!(result.is_err(), "{mutation:?}: {result:?}");
    }
}
