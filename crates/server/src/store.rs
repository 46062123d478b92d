//! The records of the relying party, in SQLite or PostgreSQL: users, credentials, challenges,
//! ceremonies.
//!
//! Two rules hold everywhere. A challenge leaves the store before its answer is checked
//! (`DELETE ... RETURNING`), so it is answered once whatever happens next. A row belongs to one
//! visitor, account or realm, and every query names it.

mod admin;
mod audit;
mod ceremonies;
mod connect;
mod credentials;
mod group;
mod measure;
mod meters;
mod sessions;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use sqlx::AnyPool;

#[cfg(test)]
use crate::config::Storage;
use crate::problem::{DATABASE_UNREACHABLE, Problem};
use crate::visitor::Visitor;

pub use admin::Token;
pub(crate) use audit::{Entry, Event};
pub(crate) use ceremonies::{CeremonyRow, Line, NewCeremony, Outcome, TakeError};
use connect::{Engine, Tx};
pub(crate) use credentials::{AddError, DeleteError, StoredCredential, User};
pub use measure::measure_store;
pub(crate) use meters::Metered;
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
    pool: AnyPool,
    engine: Engine,
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
    /// The database refused.
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
    /// A key of the service's own: 32 random bytes, made at first use and the same ever after.
    pub(crate) async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<Vec<u8>, Problem> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(fresh.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1")
            .bind(name)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    /// Whether the database answers.
    pub(crate) async fn is_alive(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }

    /// A transaction that may write.
    async fn write(&self) -> Result<Tx, Problem> {
        self.begin().await.map_err(failed)
    }
}

/// A database failure, as a problem.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn failed(error: sqlx::Error) -> Problem {
    use sqlx::Error as E;
    let away = match &error {
        E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Tls(_) => true,
        // PostgreSQL, class 57P: it is shutting down, starting or was told to end us; class 40: two
        // transactions were in each other's way; class 08: the connection.
        E::Database(error) => error.code().is_some_and(|code| {
            code.len() == 5
                && ["57P", "40", "08", "53"]
                    .iter()
                    .any(|class| code.starts_with(class))
        }),
        _ => false,
    };
    if !away {
        return Problem::internal("database", &error);
    }
    tracing::warn!(%error, "the database is out of reach");
    Problem::new(
        &DATABASE_UNREACHABLE,
        "The database does not answer at the moment. Nothing was accepted; try again.",
    )
    .retry_after(1)
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// Integers of databases are signed.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
