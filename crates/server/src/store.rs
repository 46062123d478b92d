//! The records of the relying party in SQLite: users, credentials, challenges, ceremonies.
//!
//! Two rules hold everywhere. A challenge leaves the store before its answer is checked
//! (`DELETE ... RETURNING`), so it is answered once whatever happens next. A row belongs to one
//! visitor, account or realm, and every query names it.

mod audit;
mod ceremonies;
mod credentials;
mod sessions;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, SystemTime};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::config::Storage;
use crate::problem::Problem;
use crate::visitor::Visitor;

pub(crate) use audit::{Entry, Event};
pub(crate) use ceremonies::{CeremonyRow, Line, NewCeremony, Outcome, TakeError};
pub(crate) use credentials::{AddError, DeleteError, StoredCredential, User};
pub(crate) use sessions::{Method, NewSession, Session};

/// Which of the two WebAuthn ceremonies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ceremony {
    /// `navigator.credentials.create()`.
    Registration,
    /// `navigator.credentials.get()`.
    Authentication,
}

/// Who answers the request: the visitor's own browser, or a key and a platform of their choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// The browser that shows the page, with a key in the visitor's hand.
    Browser,
    /// A software key driven by a simulated platform.
    Simulation,
}

impl Ceremony {
    fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Authentication => "authentication",
        }
    }

    fn from_name(name: &str) -> Self {
        // The table's CHECK admits nothing else.
        match name {
            "authentication" => Self::Authentication,
            _ => Self::Registration,
        }
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Simulation => "simulation",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "browser" => Self::Browser,
            _ => Self::Simulation,
        }
    }
}

/// Whose accounts: in the demo each visitor has their own, a site has one set for all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Realm {
    /// The accounts of the site that `serve` runs.
    Site,
    /// The demo accounts of one visitor.
    Visitor(Visitor),
}

impl Realm {
    /// As the table has it: nothing, or the 32 bytes of the visitor.
    fn key(self) -> Vec<u8> {
        match self {
            Self::Site => Vec::new(),
            Self::Visitor(visitor) => visitor.0.to_vec(),
        }
    }
}

impl From<Visitor> for Realm {
    fn from(visitor: Visitor) -> Self {
        Self::Visitor(visitor)
    }
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory of the file cannot be made.
    #[error("cannot make the directory of the database {path}: {error}")]
    Directory {
        /// The database file.
        path: std::path::PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// SQLite refused.
    #[error("cannot open the database: {0}")]
    Open(#[from] sqlx::Error),
    /// The service's own key could not be made or read; the log says more.
    #[error("cannot make the key of the service")]
    Secret,
    /// The tables are newer than the program, or a migration failed.
    #[error("cannot bring the database up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Store {
    pub(crate) async fn open(storage: &Storage) -> Result<Self, StoreError> {
        let options = match storage {
            Storage::File(path) => {
                prepare(path).map_err(|error| StoreError::Directory {
                    path: path.clone(),
                    error,
                })?;
                SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
            }
            Storage::Ephemeral => SqliteConnectOptions::new().in_memory(true),
        }
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
        // A database in memory is as old as its one connection, so that one is never closed.
        let connections = if *storage == Storage::Ephemeral { 1 } else { 4 };
        let pool = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(connections)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    /// A key of the service's own: 32 random bytes, made at first use and the same ever after.
    pub(crate) async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<Vec<u8>, Problem> {
        sqlx::query("INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(fresh.as_slice())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        sqlx::query_scalar("SELECT value FROM secrets WHERE name = ?")
            .bind(name)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    /// Whether the database answers.
    pub(crate) async fn is_alive(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }

    /// Waits for running statements and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that may write: takes the write lock at once, so that it cannot fail half-way
    /// because another writer came first.
    async fn write(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, Problem> {
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)
    }
}

/// Directory 0700 and file 0600: the records name people.
fn prepare(path: &Path) -> std::io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// A database failure, as a problem.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn failed(error: sqlx::Error) -> Problem {
    Problem::internal("database", &error)
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// SQLite integers are signed.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
