//! A simulated disk under a key's file, which loses its power where a test wants it
//!
//! It tells what was synchronised from what a real disk, and the system before it, may still hold in
//! a cache. When the power goes, the synchronised part is safe; of the rest, [`Loss`] says what is
//! left. The unit is one operation that changes the disk: a write, a change of length, a `sync`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// A disk writes so many bytes at once or not at all.
const SECTOR: usize = 512;

/// What is left after the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// All operations before the planned one, as when only the process was killed.
    Before,
    /// The planned operation too; nobody was told.
    After,
    /// Of the planned operation and all since the last `sync`, some sectors and not others; the
    /// number seeds which. With 0 none of them.
    Torn(u64),
}

/// A disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a `sync` has made safe.
    safe: Vec<u8>,
    /// What is read.
    seen: Vec<u8>,
    /// What was done to `safe` to get `seen`.
    unsafe_: Vec<Operation>,
    operations: u64,
    plan: Option<(u64, Loss)>,
    /// Whether it only says that it synchronises.
    lies: bool,
    /// Whether the power is off.
    off: bool,
    /// How often the power came on: a file that was open before does not work any more.
    powered: u64,
}

#[derive(Debug, Clone)]
enum Operation {
    Write(usize, Vec<u8>),
    Length(usize),
    Sync,
}

impl Disk {
    /// A disk that holds these bytes.
    #[must_use]
    pub fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        {
            let mut state = disk.lock();
            state.seen.clone_from(&bytes);
            state.safe = bytes;
        }
        disk
    }

    /// What a power cut at this moment would leave at least.
    #[must_use]
    pub fn safe(&self) -> Vec<u8> {
        self.lock().safe.clone()
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Plans that the power goes at the `k`-th operation from now; 0 is the next one.
    pub fn lose_power_at(&self, k: u64, loss: Loss) {
        let mut state = self.lock();
        state.plan = Some((state.operations + k, loss));
    }

    /// From now on `sync` only says that it has made everything safe, as bad disks do.
    pub fn ignore_syncs(&self) {
        self.lock().lies = true;
    }

    /// The power comes back, or is taken away and given back at once.
    pub fn restore_power(&self) {
        let mut state = self.lock();
        if !state.off {
            // Nothing was lost: the system had the time to write what it held.
            state.safe = state.seen.clone();
        }
        state.seen = state.safe.clone();
        state.unsafe_.clear();
        state.plan = None;
        state.off = false;
        state.powered += 1;
    }

    pub(super) fn open(&self) -> impl StorageBackend {
        let powered = self.lock().powered;
        File {
            disk: self.clone(),
            powered,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn run(&mut self, operation: Operation) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        let loss = match self.plan {
            Some((at, loss)) if at == number => Some(loss),
            _ => None,
        };
        if loss != Some(Loss::Before) {
            self.unsafe_.push(operation.clone());
        }
        if let Some(loss) = loss {
            self.lose(loss);
            return Err(off());
        }
        operation.apply(&mut self.seen);
        if matches!(operation, Operation::Sync) && !self.lies {
            self.safe = self.seen.clone();
            self.unsafe_.clear();
        }
        Ok(())
    }

    /// Decides what of the operations since the last `sync` is left.
    fn lose(&mut self, loss: Loss) {
        self.off = true;
        let mut coin = Coin(match loss {
            Loss::Before | Loss::After => None,
            Loss::Torn(seed) => Some(seed),
        });
        for operation in std::mem::take(&mut self.unsafe_) {
            match operation {
                Operation::Write(offset, data) => {
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        if coin.is_kept() {
                            let sector = Operation::Write(offset + n * SECTOR, sector.to_vec());
                            sector.apply(&mut self.safe);
                        }
                    }
                }
                length @ Operation::Length(_) if coin.is_kept() => length.apply(&mut self.safe),
                Operation::Length(_) | Operation::Sync => {}
            }
        }
    }
}

impl Operation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                // The length may have been lost and what was written behind it not.
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(place) = bytes.get_mut(*offset..end) {
                    place.copy_from_slice(data);
                }
            }
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Sync => {}
        }
    }
}

/// Decides by a seed; without one everything is kept, with 0 nothing.
struct Coin(Option<u64>);

impl Coin {
    fn is_kept(&mut self) -> bool {
        match &mut self.0 {
            None => true,
            Some(0) => false,
            Some(state) => {
                // Knuth's MMIX generator: the high bits are good enough for a coin.
                *state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *state >> 63 == 1
            }
        }
    }
}

fn off() -> io::Error {
    io::Error::other("the disk has no power")
}

/// An open file that is the whole disk.
#[derive(Debug)]
struct File {
    disk: Disk,
    powered: u64,
}

impl File {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.off || state.powered != self.powered {
            return Err(off());
        }
        Ok(state)
    }
}

fn position(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state()?;
        let start = position(offset)?;
        let bytes = start
            .checked_add(out.len())
            .and_then(|end| state.seen.get(start..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state()?.run(Operation::Length(position(len)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state()?.run(Operation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let write = Operation::Write(position(offset)?, data.to_vec());
        self.state()?.run(write)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Writes twice around a `sync` and loses power at the third operation.
    fn played(loss: Loss) -> Vec<u8> {
        let disk = Disk::default();
        let file = disk.open();
        disk.lose_power_at(3, loss);
        file.write(0, &[1; 2 * SECTOR]).unwrap();
        file.sync_data().unwrap();
        file.write(0, &[2; SECTOR]).unwrap();
        file.write(0, &[3; 2 * SECTOR]).unwrap_err();
        file.sync_data().unwrap_err();
        assert!(file.read(0, &mut [0]).is_err());
        disk.restore_power();
        assert!(file.len().is_err(), "files from before are closed");
        disk.safe()
    }

    #[test]
    fn what_is_lost_is_what_was_planned() {
        assert_eq!(
            played(Loss::Before),
            [[2; SECTOR], [1; SECTOR]].concat(),
            "as the process left it"
        );
        assert_eq!(played(Loss::After), [3; 2 * SECTOR]);
        assert_eq!(played(Loss::Torn(0)), [1; 2 * SECTOR]);
        let torn: std::collections::BTreeSet<_> = (1..64)
            .map(|seed| {
                let left = played(Loss::Torn(seed << 40));
                (left[0], left[SECTOR])
            })
            .collect();
        assert!(torn.contains(&(1, 3)) && torn.contains(&(2, 1)), "{torn:?}");
    }

    #[test]
    fn a_disk_that_keeps_its_power_keeps_everything() {
        let disk = Disk::holding(vec![1, 2]);
        let file = disk.open();
        file.set_len(4).unwrap();
        file.write(3, &[9]).unwrap();
        assert_eq!(disk.safe(), [1, 2]);
        assert_eq!(disk.operations(), 2);
        disk.restore_power();
        assert_eq!(disk.safe(), [1, 2, 0, 9]);
    }
}
