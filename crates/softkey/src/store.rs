//! The durable store: one file per key, sealed under a passphrase
//!
//! The file is a redb database with two tables: `header` tells format and protection, `records` holds
//! what the authenticator wants kept. A commit of the key is one write transaction that is on disk
//! before the key goes on; a power cut or `kill -9` leaves the state before it or after it.
//!
//! Values are sealed with AES-256-GCM under a key from a passphrase (Argon2id), bound to the record
//! they belong to; record names are replaced by their HMAC. What no software store can resist is
//! that somebody puts an old copy of the whole file back; [`Witnesses`] notice it if they were kept.

pub mod disk;
mod seal;
mod witness;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use authenticator::{Change, RecordError, State, Store, StoreError, Write};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, backends::FileBackend,
};
use zeroize::Zeroizing;

use disk::Disk;
pub use seal::{Cost, Passphrase};
use seal::{Header, Seal};
use witness::Witness;
pub use witness::Witnesses;

const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const HEADER_KEY: &str = "pinward-key";
/// Beside the header: how many commits there were, and the ID by which a witness knows a plain file.
/// Files of before do not have them, and programs of before pass them over.
const GENERATION_KEY: &str = "generation";
const ID_KEY: &str = "id";
const ID_LENGTH: usize = 16;
/// What the seal binds the generation to. No record has such a name: those begin with a letter.
const GENERATION_RECORD: &[u8] = &[1];
/// What errors call a simulated disk.
const DISK: &str = "the simulated disk";

/// redb's page cache; its default of a gigabyte is for other databases than ours.
const CACHE_BYTES: usize = 4 << 20;

/// How the records of a file are protected.
#[derive(Debug, Clone)]
pub enum Protection {
    /// Sealed under a key from this passphrase.
    Sealed(Passphrase, Cost),
    /// Not at all: whoever reads the file has the private keys. For test keys only.
    InsecurePlaintext,
}

impl Protection {
    /// Sealed, at the usual cost of a guess.
    #[must_use]
    pub fn sealed(passphrase: Passphrase) -> Self {
        Self::Sealed(passphrase, Cost::default())
    }
}

/// Why a key's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is not there.
    #[error("there is no key file {0}")]
    NotFound(PathBuf),
    /// A new file was asked for, and there is one.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// Another process has the file open.
    #[error("another program is using the key file {0}")]
    InUse(PathBuf),
    /// The passphrase does not open the file.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The file is sealed, but no passphrase was given.
    #[error("the key file is sealed: it needs its passphrase")]
    Sealed,
    /// The file is not sealed, but a passphrase was given.
    #[error("the key file is not sealed, yet a passphrase was given")]
    NotSealed,
    /// The file was written by a later version of this program.
    #[error("the key file has format {0}; this program knows format {known}", known = seal::FORMAT)]
    NewerFormat(u64),
    /// Records in the file were written by a later version of this program.
    #[error("{path} was written by a later version of this program: {reason}")]
    NewerRecords {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: RecordError,
    },
    /// The file is not a key file, or parts of it have changed.
    #[error("{path} is damaged, or not a key file: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file is older than what was last seen of it.
    #[error(
        "{path} is an old copy: it has seen {generation} commits, and {seen} were seen here before. With \
         it come back the PIN tries, the counter and the credentials of that time. If you put it back \
         yourself, say --accept-rollback"
    )]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// How many commits it has seen.
        generation: u64,
        /// How many were seen before.
        seen: u64,
    },
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A cryptographic operation failed.
    #[error("the key file cannot be sealed: {0}")]
    Crypto(&'static str),
}

/// A key's file. Only one process can have it open.
#[derive(Debug)]
pub struct FileStore {
    database: Database,
    seal: Seal,
    /// Commits so far.
    generation: u64,
    witness: Option<Witness>,
}

impl FileStore {
    /// Makes a new file, readable by this user only, that holds `state`.
    ///
    /// The file appears under its name only when it is complete.
    ///
    /// # Errors
    ///
    /// [`FileError::Exists`] when there is a file of that name; or the system refuses.
    pub fn create(path: &Path, protection: &Protection, state: &State) -> Result<Self, FileError> {
        if path.symlink_metadata().is_ok() {
            return Err(FileError::Exists(path.to_owned()));
        }
        let draft = Draft::new(path)?;
        let (header, seal) = Header::create(protection)?;
        let store = Self {
            database: database(file_backend(&draft.path, path)?, path)?,
            seal,
            generation: 0,
            witness: None,
        };
        store
            .write_all(&header, &state.snapshot())
            .map_err(|reason| damaged(path, &reason))?;
        draft.publish(path)?;
        Ok(store)
    }

    /// Opens an existing file and reads the state it holds.
    ///
    /// # Errors
    ///
    /// Each reason has its own variant; a wrong passphrase is [`FileError::WrongPassphrase`].
    pub fn open(path: &Path, protection: &Protection) -> Result<(Self, State), FileError> {
        match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(FileError::NotFound(path.to_owned()));
            }
            // An empty file would become a new database.
            Ok(meta) if meta.is_file() && meta.len() == 0 => {
                return Err(damaged(path, "it is empty"));
            }
            Ok(meta) if !meta.is_file() => return Err(damaged(path, "it is not a file")),
            _ => {}
        }
        let (header, seal) = look(path, protection)?;
        Self::open_seen(file_backend(path, path)?, path, header, seal)
    }

    /// Makes a new store on a simulated disk; see [`FileStore::create`].
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn create_on(
        disk: &Disk,
        protection: &Protection,
        state: &State,
    ) -> Result<Self, FileError> {
        let path = Path::new(DISK);
        let (header, seal) = Header::create(protection)?;
        let database = database(disk.open(), path)?;
        let store = Self {
            database,
            seal,
            generation: 0,
            witness: None,
        };
        store
            .write_all(&header, &state.snapshot())
            .map_err(|reason| damaged(path, &reason))?;
        Ok(store)
    }

    /// Opens a store on a simulated disk; see [`FileStore::open`].
    ///
    /// # Errors
    ///
    /// As [`FileStore::open`].
    pub fn open_on(disk: &Disk, protection: &Protection) -> Result<(Self, State), FileError> {
        let path = Path::new(DISK);
        let (header, seal) = look_at_copy(Disk::holding(disk.safe()), path, protection)?;
        Self::open_seen(disk.open(), path, header, seal)
    }

    /// Opens for writing what [`look`] has seen.
    fn open_seen(
        backend: impl StorageBackend,
        path: &Path,
        header: Vec<u8>,
        seal: Seal,
    ) -> Result<(Self, State), FileError> {
        let database = database(backend, path)?;
        if read_header(&database).ok().flatten() != Some(header) {
            return Err(damaged(path, "it changed while it was opened"));
        }
        let state = load(&database, &seal, path)?;
        let generation = read_generation(&database, &seal).map_err(|why| damaged(path, &why))?;
        let store = Self {
            database,
            seal,
            generation,
            witness: None,
        };
        Ok((store, state))
    }

    /// Has the file watched from now on, if it is not older than what was last seen of it. `path` is
    /// what errors call it.
    ///
    /// # Errors
    ///
    /// [`FileError::RolledBack`]; or the witness cannot be kept.
    pub fn watched(mut self, path: &Path, witnesses: &Witnesses) -> Result<Self, FileError> {
        let id = self.id().map_err(|why| damaged(path, &why))?;
        self.witness = Some(witnesses.examine(path, &id, self.generation)?);
        Ok(self)
    }

    /// The ID of the file: of a sealed one it follows from its seal, so that it cannot be taken away;
    /// a plain one gets it when it is first asked for.
    fn id(&self) -> Result<Vec<u8>, String> {
        if let Some(id) = self.seal.id() {
            return Ok(id);
        }
        let transaction = self.database.begin_write().map_err(text)?;
        let id = {
            let mut table = transaction.open_table(HEADER).map_err(text)?;
            let known = table
                .get(ID_KEY)
                .map_err(text)?
                .map(|id| id.value().to_vec());
            match known {
                Some(id) if id.len() == ID_LENGTH => return Ok(id),
                Some(_) => return Err("its ID does not read".to_owned()),
                None => {}
            }
            let mut id = vec![0; ID_LENGTH];
            getrandom::fill(&mut id).map_err(text)?;
            table.insert(ID_KEY, id.as_slice()).map_err(text)?;
            id
        };
        transaction.commit().map_err(text)?;
        Ok(id)
    }

    /// Opens the file, or makes it with the state that `fresh` gives.
    ///
    /// # Errors
    ///
    /// As [`FileStore::open`] and [`FileStore::create`].
    pub fn open_or_create(
        path: &Path,
        protection: &Protection,
        fresh: impl FnOnce() -> State,
    ) -> Result<(Self, State), FileError> {
        match Self::open(path, protection) {
            Err(FileError::NotFound(_)) => {
                let state = fresh();
                Ok((Self::create(path, protection, &state)?, state))
            }
            other => other,
        }
    }

    fn write_all(&self, header: &[u8], changes: &[Change]) -> Result<(), String> {
        let transaction = self.database.begin_write().map_err(text)?;
        {
            let mut table = transaction.open_table(HEADER).map_err(text)?;
            table.insert(HEADER_KEY, header).map_err(text)?;
            self.write(&transaction, changes)?;
        }
        transaction.commit().map_err(text)
    }

    /// Sealed like a record, so that an old file cannot be made to look newer.
    fn write_generation(
        &self,
        transaction: &redb::WriteTransaction,
        generation: u64,
    ) -> Result<(), String> {
        let mut table = transaction.open_table(HEADER).map_err(text)?;
        let value = generation.to_be_bytes();
        let sealed = self.seal.value(GENERATION_RECORD, &value).map_err(text)?;
        table
            .insert(GENERATION_KEY, sealed.as_slice())
            .map_err(text)?;
        Ok(())
    }

    fn write(
        &self,
        transaction: &redb::WriteTransaction,
        changes: &[Change],
    ) -> Result<(), String> {
        let mut table = transaction.open_table(RECORDS).map_err(text)?;
        for write in changes.iter().flat_map(Change::writes) {
            match write {
                Write::Put { key, value } => {
                    let value = self.seal.value(&key, &value).map_err(text)?;
                    table
                        .insert(&*self.seal.name(&key), value.as_slice())
                        .map_err(text)?;
                }
                Write::Delete { key } => {
                    table.remove(&*self.seal.name(&key)).map_err(text)?;
                }
                Write::DeleteAll { prefix } => {
                    table
                        .retain(|name, _| name.first() != Some(&prefix))
                        .map_err(text)?;
                }
            }
        }
        Ok(())
    }
}

impl Store for FileStore {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let commit = || -> Result<(), String> {
            // redb's default durability: on disk when commit returns.
            let transaction = self.database.begin_write().map_err(text)?;
            self.write(&transaction, changes)?;
            self.write_generation(&transaction, self.generation + 1)?;
            transaction.commit().map_err(text)
        };
        commit().map_err(StoreError)?;
        self.generation += 1;
        // After the file, so that it is never ahead. If it cannot be kept the key must not go on as if.
        match &self.witness {
            Some(witness) => witness
                .remember(self.generation)
                .map_err(|e| StoreError(format!("its witness: {e}"))),
            None => Ok(()),
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn damaged(path: &Path, reason: &(impl ToString + ?Sized)) -> FileError {
    FileError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn file_backend(file: &Path, path: &Path) -> Result<FileBackend, FileError> {
    let io = |error| FileError::Io {
        path: path.to_owned(),
        error,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .map_err(io)?;
    FileBackend::new(file).map_err(|e| damaged(path, &e))
}

/// Opens a database for writing; errors name `path`.
fn database(backend: impl StorageBackend, path: &Path) -> Result<Database, FileError> {
    opened(path, move || {
        Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
    })
}

fn opened<D>(path: &Path, open: impl FnOnce() -> Result<D, DatabaseError>) -> Result<D, FileError> {
    match unbroken(path, open)? {
        Ok(database) => Ok(database),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(FileError::InUse(path.to_owned())),
        Err(error) => Err(damaged(path, &error)),
    }
}

/// redb checks sums, yet says that an altered file may make it panic: such a file is damaged too.
fn unbroken<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, FileError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .map_err(|_| damaged(path, "its structure is broken"))
}

/// Reads a file without touching it, to find out whether it can be opened with this protection by
/// this program: its header, and the seal that goes with it.
fn look(path: &Path, protection: &Protection) -> Result<(Vec<u8>, Seal), FileError> {
    let io = |error| FileError::Io {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(io)?;
    let database = opened(path, move || {
        match Builder::new().open_read_only_with_backend(FileBackend::new(file)?) {
            // It was not closed, so it would have to be written to be read.
            Err(DatabaseError::RepairAborted) => Ok(None),
            other => other.map(Some),
        }
    })?;
    match database {
        Some(database) => unbroken(path, || look_in(&database, path, protection))?,
        None => {
            let copy = Disk::holding(fs::read(path).map_err(io)?);
            look_at_copy(copy, path, protection)
        }
    }
}

fn look_at_copy(
    copy: Disk,
    path: &Path,
    protection: &Protection,
) -> Result<(Vec<u8>, Seal), FileError> {
    let database = database(copy.open(), path)?;
    unbroken(path, || look_in(&database, path, protection))?
}

fn look_in(
    database: &impl ReadableDatabase,
    path: &Path,
    protection: &Protection,
) -> Result<(Vec<u8>, Seal), FileError> {
    let header = read_header(database).map_err(|e| damaged(path, &e))?;
    let header = header.ok_or_else(|| damaged(path, "it has no header"))?;
    let seal = Header::decode(&header)
        .and_then(|h| h.open(protection))
        .map_err(|e| e.at(path))?;
    load(database, &seal, path)?;
    Ok((header, seal))
}

fn read_header(database: &impl ReadableDatabase) -> Result<Option<Vec<u8>>, String> {
    let transaction = database.begin_read().map_err(text)?;
    let table = match transaction.open_table(HEADER) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(e) => return Err(text(e)),
    };
    Ok(table
        .get(HEADER_KEY)
        .map_err(text)?
        .map(|value| value.value().to_vec()))
}

/// How many commits the file has seen; none counts for files of before.
fn read_generation(database: &impl ReadableDatabase, seal: &Seal) -> Result<u64, String> {
    let transaction = database.begin_read().map_err(text)?;
    let table = transaction.open_table(HEADER).map_err(text)?;
    let Some(stored) = table.get(GENERATION_KEY).map_err(text)? else {
        return Ok(0);
    };
    let value = seal
        .value_of(GENERATION_RECORD, stored.value())
        .ok_or("its generation was altered")?;
    let bytes = value.as_slice().try_into().map_err(text)?;
    Ok(u64::from_be_bytes(bytes))
}

fn load(database: &impl ReadableDatabase, seal: &Seal, path: &Path) -> Result<State, FileError> {
    let records = read_records(database, seal).map_err(|reason| damaged(path, &reason))?;
    let state = State::load(
        records
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice())),
    );
    state.map_err(|reason| match reason {
        RecordError::Format(_) | RecordError::UnknownKind(_) => FileError::NewerRecords {
            path: path.to_owned(),
            reason,
        },
        RecordError::Malformed | RecordError::NoSecrets => damaged(path, &reason),
    })
}

type Records = Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>;

fn read_records(database: &impl ReadableDatabase, seal: &Seal) -> Result<Records, String> {
    let transaction = database.begin_read().map_err(text)?;
    let table = transaction.open_table(RECORDS).map_err(text)?;
    let mut records = Records::new();
    for entry in table.iter().map_err(text)? {
        let (name, value) = entry.map_err(text)?;
        records.push(seal.open(name.value(), value.value()).map_err(text)?);
    }
    Ok(records)
}

/// A file under construction, beside its final place; removed unless it is published.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn new(target: &Path) -> Result<Self, FileError> {
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix).map_err(|_| FileError::Crypto("no randomness"))?;
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.new", u64::from_be_bytes(suffix)));
        let path = target.with_file_name(name);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        made.map_err(|error| FileError::Io {
            path: target.to_owned(),
            error,
        })?;
        Ok(Self { path })
    }

    /// Gives the finished file its name, without replacing another that came in between.
    fn publish(self, target: &Path) -> Result<(), FileError> {
        let io = |error| FileError::Io {
            path: target.to_owned(),
            error,
        };
        match fs::hard_link(&self.path, target) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(FileError::Exists(target.to_owned()));
            }
            Err(e) => return Err(io(e)),
        }
        let directory = target.parent().filter(|d| !d.as_os_str().is_empty());
        // The name has to survive a power cut as the contents do.
        File::open(directory.unwrap_or(Path::new(".")))
            .and_then(|d| d.sync_all())
            .map_err(io)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
