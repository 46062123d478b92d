//! A witness of how far a key's file had come, kept in another place
//!
//! Each commit counts the file's generation up, in the same transaction. The witness remembers, outside of
//! the file, the last generation that was seen; a file that is older was put back. Whoever can put the
//! witness back as well is not noticed, and a file that was never seen here is believed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::FileError;

/// Digits of a generation, so that a newer one always covers an older one.
const DIGITS: usize = 20;

/// The folder in which witnesses are kept, one file for each key.
#[derive(Debug, Clone)]
pub struct Witnesses {
    folder: PathBuf,
    accept_rollback: bool,
}

impl Witnesses {
    /// Witnesses in this folder, which is made if it is not there.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            accept_rollback: false,
        }
    }

    /// Believes an older file this once, and takes it as what was last seen.
    #[must_use]
    pub fn accept_rollback(mut self, accept: bool) -> Self {
        self.accept_rollback = accept;
        self
    }

    /// The witness of the key with this ID, once it agrees with the file's generation.
    pub(super) fn examine(
        &self,
        key: &Path,
        id: &[u8],
        generation: u64,
    ) -> Result<Witness, FileError> {
        let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(name);
        let io = |error| FileError::Io {
            path: path.clone(),
            error,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        let seen = last_seen(&mut file).map_err(io)?;
        if seen.is_some_and(|seen| seen > generation) && !self.accept_rollback {
            return Err(FileError::RolledBack {
                path: key.to_owned(),
                generation,
                seen: seen.unwrap_or_default(),
            });
        }
        let witness = Witness { file };
        witness.remember(generation).map_err(io)?;
        Ok(witness)
    }
}

/// What does not read is as good as nothing: who can spoil it can delete it too.
fn last_seen(file: &mut File) -> io::Result<Option<u64>> {
    let mut text = String::new();
    match file.take(DIGITS as u64).read_to_string(&mut text) {
        Ok(_) => Ok(text.parse().ok()),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(e) => Err(e),
    }
}

/// The witness of one file.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
}

impl Witness {
    /// Remembers a generation that is on the disk. It may lag after a power cut, and is never ahead.
    pub(super) fn remember(&self, generation: u64) -> io::Result<()> {
        let text = format!("{generation:0width$}\n", width = DIGITS);
        self.file.write_all_at(text.as_bytes(), 0)
    }
}
