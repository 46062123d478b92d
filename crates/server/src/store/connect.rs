//! Opening the database, and transactions on it, for SQLite and PostgreSQL.
//!
//! SQL is written once, in what both understand. What differs is how writers meet: in SQLite they
//! share a transaction ([`super::group`]), in PostgreSQL each has a connection of its own.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Error, Transaction};

use super::group::{Member, Writer};
use super::{Store, StoreError};
use crate::config::Storage;

/// What stands behind the pool.
#[derive(Debug, Clone)]
pub(super) enum Engine {
    /// A file: readers in the pool, one writer.
    File(Arc<Writer>),
    /// In memory: the pool has one connection, and the database is as old as that.
    Memory,
    /// A server.
    Postgres,
}

/// How long a request waits for a connection before it is sent away.
const PATIENCE: Duration = Duration::from_secs(3);
const READERS: u32 = 4;

const EACH_CONNECTION: [&str; 4] = [
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
];

impl Store {
    pub(crate) async fn open(storage: &Storage) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match storage {
            Storage::File(path) => open_file(path).await,
            Storage::Ephemeral => {
                let pool = pool(1, "sqlite::memory:".parse()?, true).await?;
                sqlx::migrate!("./migrations").run(&pool).await?;
                let engine = Engine::Memory;
                Ok(Self { pool, engine })
            }
            Storage::Postgres { url, connections } => {
                let pool = pool(*connections, url.parse()?, false).await?;
                sqlx::migrate!("./migrations-postgres").run(&pool).await?;
                let engine = Engine::Postgres;
                Ok(Self { pool, engine })
            }
        }
    }

    /// A transaction that may write.
    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        match &self.engine {
            Engine::File(writer) => writer.join().await.map(Tx::Shared),
            Engine::Memory | Engine::Postgres => self.pool.begin().await.map(Tx::Own),
        }
    }

    /// A transaction whose loss in a crash would harm nobody: an open challenge, a meter. It is seen
    /// by the next transaction, but nobody waits for the disk.
    pub(super) async fn begin_softly(&self) -> Result<Tx, Error> {
        let mut tx = self.begin().await?;
        if matches!(self.engine, Engine::Postgres) {
            sqlx::query("SET LOCAL synchronous_commit TO off")
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx)
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.engine, Engine::Postgres)
    }

    /// Waits for running statements and closes the database.
    pub(crate) async fn close(&self) {
        if let Engine::File(writer) = &self.engine {
            writer.close().await;
        }
        self.pool.close().await;
    }
}

async fn open_file(path: &Path) -> Result<Store, StoreError> {
    let at = |error| StoreError::Directory {
        path: path.to_owned(),
        error,
    };
    prepare(path).map_err(at)?;
    let absolute = std::path::absolute(path).map_err(at)?;
    let nameless = || at(std::io::ErrorKind::InvalidFilename.into());
    let mut url = url::Url::from_file_path(&absolute).map_err(|()| nameless())?;
    url.set_query(Some("mode=rwc"));
    let url = url.as_str().replacen("file:", "sqlite:", 1);
    let options: AnyConnectOptions = url.parse()?;
    let mut writer = AnyConnection::connect_with(&options).await?;
    for statement in EACH_CONNECTION {
        sqlx::query(statement).execute(&mut writer).await?;
    }
    sqlx::migrate!("./migrations").run(&mut writer).await?;
    Ok(Store {
        pool: pool(READERS, options, true).await?,
        engine: Engine::File(Arc::new(Writer::new(writer))),
    })
}

async fn pool(most: u32, options: AnyConnectOptions, sqlite: bool) -> Result<AnyPool, Error> {
    let pool = AnyPoolOptions::new()
        .min_connections(1)
        .max_connections(most)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for statement in EACH_CONNECTION.iter().filter(|_| sqlite) {
                    sqlx::query(*statement).execute(&mut *connection).await?;
                }
                Ok(())
            })
        });
    // A database in memory is as old as its one connection, so that one is never closed.
    let pool = if sqlite {
        pool.idle_timeout(None).max_lifetime(None)
    } else {
        pool
    };
    pool.connect_with(options).await
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

/// A transaction; undone unless committed.
pub(super) enum Tx {
    /// With a connection of its own.
    Own(Transaction<'static, Any>),
    /// A part of one that others share.
    Shared(Member),
}

impl Tx {
    /// Ends it; once this answers, the disk has it.
    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Own(tx) => tx.commit().await,
            Self::Shared(member) => member.commit().await,
        }
    }

    /// Ends it; once this answers, the next transaction sees it.
    pub(super) async fn commit_softly(self) -> Result<(), Error> {
        match self {
            Self::Own(tx) => tx.commit().await,
            Self::Shared(member) => member.commit_softly().await,
        }
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match self {
            Self::Own(tx) => tx,
            Self::Shared(member) => member,
        }
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match self {
            Self::Own(tx) => tx,
            Self::Shared(member) => member,
        }
    }
}
