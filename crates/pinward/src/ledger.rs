//! The keys that you know by name: a small SQLite file in your data directory.
//!
//! SQLite, because the relying party keeps its records so too, other programs can read it, and a ledger
//! of many keys can grow from it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, Row as _};
use transport::host::{Address, Found};

use crate::exit::{Exit, Fault};

/// The environment variable that names another file.
pub(crate) const LEDGER_VARIABLE: &str = "PINWARD_LEDGER";

/// The version of the tables, kept in the file (`PRAGMA user_version`).
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS keys (
    id INTEGER PRIMARY KEY,
    label TEXT UNIQUE COLLATE NOCASE,
    role TEXT,
    name TEXT NOT NULL DEFAULT '',
    aaguid TEXT,
    serial TEXT UNIQUE,
    address TEXT UNIQUE,
    identifier TEXT UNIQUE,
    store_state TEXT,
    listed_at INTEGER
) STRICT;
PRAGMA user_version = 1;
";

/// A key that is known. It is recognised by any of `serial`, `address` and `identifier`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// What you call it.
    pub(crate) label: Option<String>,
    /// What it is for.
    pub(crate) role: Option<String>,
    /// What the system calls it.
    pub(crate) name: String,
    /// The model.
    pub(crate) aaguid: Option<String>,
    /// USB vendor, product and serial number.
    pub(crate) serial: Option<String>,
    /// The socket of a software key.
    pub(crate) address: Option<String>,
    /// The identifier that only the holder of its persistent token reads, in hexadecimal digits.
    pub(crate) identifier: Option<String>,
    /// The state of its passkeys when they were last listed.
    pub(crate) store_state: Option<String>,
    /// When that was, in seconds since 1970.
    pub(crate) listed_at: Option<i64>,
}

impl Known {
    /// A key by what does not change when it is plugged in elsewhere.
    pub(crate) fn of(found: &Found) -> Self {
        let serial = match (&found.serial, found.usb) {
            (Some(serial), Some((vendor, product))) => {
                Some(format!("{vendor:04x}:{product:04x}:{serial}"))
            }
            _ => None,
        };
        let address = match &found.address {
            Address::Unix(_) | Address::Tcp(_) | Address::Udp(_) => Some(found.address.to_string()),
            Address::Hidraw(_) | Address::Card(_) => None,
        };
        Self {
            name: found.name.clone(),
            serial,
            address,
            ..Self::default()
        }
    }

    /// Whether both are the same key, by any of its names.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        same(&self.serial, &other.serial)
            || same(&self.address, &other.address)
            || same(&self.identifier, &other.identifier)
    }

    /// Whether there is anything to recognise it by.
    pub(crate) fn is_recognisable(&self) -> bool {
        self.serial.is_some() || self.address.is_some() || self.identifier.is_some()
    }

    /// What it is recognised by, for people.
    pub(crate) fn by(&self) -> &'static str {
        if self.serial.is_some() {
            "serial number"
        } else if self.identifier.is_some() {
            "persistent identifier"
        } else {
            "address"
        }
    }
}

/// Where the file is.
pub(crate) fn path() -> Result<PathBuf, Fault> {
    if let Some(path) = std::env::var_os(LEDGER_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let database = server::default_database().ok_or_else(|| {
        Fault::usage(format!(
            "no data directory is known here; name a file in {LEDGER_VARIABLE}"
        ))
    })?;
    Ok(database.with_file_name("keys.sqlite"))
}

/// All keys that are known. Where there is no file, or no place for one, there are none.
pub(crate) fn all() -> Result<Vec<Known>, Fault> {
    match path() {
        Ok(path) if path.exists() => with(async |db| read(db).await),
        _ => Ok(Vec::new()),
    }
}

/// Lets `change` change the keys, all at once or not at all.
pub(crate) fn change<T: Send>(
    change: impl FnOnce(&mut Vec<Known>) -> Result<T, Fault> + Send,
) -> Result<T, Fault> {
    let path = path()?;
    if !path.exists() {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // For nobody else: which sites somebody signs in at is nobody's business.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        file.map_err(|error| Fault::new(Exit::Failed, format!("{}: {error}", path.display())))?;
    }
    with(async |db| {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *db).await?;
        let mut all = read(db).await?;
        let result = match change(&mut all) {
            Ok(result) => result,
            Err(fault) => {
                sqlx::query("ROLLBACK").execute(&mut *db).await?;
                return Ok(Err(fault));
            }
        };
        sqlx::query("DELETE FROM keys").execute(&mut *db).await?;
        for known in &all {
            insert(db, known).await?;
        }
        sqlx::query("COMMIT").execute(&mut *db).await?;
        Ok(Ok(result))
    })?
}

/// Opens the file, on a thread of its own: whoever asks may be within another runtime.
fn with<T: Send>(
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error> + Send,
) -> Result<T, Fault> {
    let path = path()?;
    let failed = |error: String| Fault::new(Exit::Failed, format!("{}: {error}", path.display()));
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut db = SqliteConnectOptions::new()
                .filename(&path)
                .connect()
                .await?;
            let version: i64 = sqlx::query_scalar("PRAGMA user_version")
                .fetch_one(&mut db)
                .await?;
            if version > VERSION {
                let newer = "a newer pinward has written this file";
                return Err(sqlx::Error::Protocol(newer.to_owned()));
            }
            if version < VERSION {
                sqlx::raw_sql(TABLES).execute(&mut db).await?;
            }
            work(&mut db).await
        })
    };
    std::thread::scope(|threads| threads.spawn(run).join())
        .map_err(|_| failed("the program stopped while reading it".to_owned()))?
        .map_err(|error: sqlx::Error| failed(error.to_string()))
}

async fn read(db: &mut SqliteConnection) -> Result<Vec<Known>, sqlx::Error> {
    let query = "SELECT label, role, name, aaguid, serial, address, identifier, store_state, \
                 listed_at FROM keys ORDER BY id";
    let rows = sqlx::query(query).fetch_all(db).await?;
    rows.iter().map(known).collect()
}

fn known(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    Ok(Known {
        label: row.try_get("label")?,
        role: row.try_get("role")?,
        name: row.try_get("name")?,
        aaguid: row.try_get("aaguid")?,
        serial: row.try_get("serial")?,
        address: row.try_get("address")?,
        identifier: row.try_get("identifier")?,
        store_state: row.try_get("store_state")?,
        listed_at: row.try_get("listed_at")?,
    })
}

async fn insert(db: &mut SqliteConnection, known: &Known) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO keys (label, role, name, aaguid, serial, address, identifier, \
                 store_state, listed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(query)
        .bind(&known.label)
        .bind(&known.role)
        .bind(&known.name)
        .bind(&known.aaguid)
        .bind(&known.serial)
        .bind(&known.address)
        .bind(&known.identifier)
        .bind(&known.store_state)
        .bind(known.listed_at)
        .execute(db)
        .await
        .map(drop)
}

/// The entry of this key; a new one at the end if there is none. Entries that turn out to be the same
/// key become one.
pub(crate) fn entry<'a>(all: &'a mut Vec<Known>, key: &Known) -> &'a mut Known {
    let mut merged = key.clone();
    let mut first = None;
    let mut at = 0;
    while at < all.len() {
        if all.get(at).is_some_and(|known| known.is(key)) {
            let known = all.remove(at);
            first.get_or_insert(at);
            merged = Known {
                label: merged.label.or(known.label),
                role: merged.role.or(known.role),
                name: merged.name,
                aaguid: merged.aaguid.or(known.aaguid),
                serial: merged.serial.or(known.serial),
                address: merged.address.or(known.address),
                identifier: merged.identifier.or(known.identifier),
                store_state: merged.store_state.or(known.store_state),
                listed_at: merged.listed_at.or(known.listed_at),
            };
        } else {
            at += 1;
        }
    }
    let place = first.unwrap_or(all.len());
    all.insert(place, merged);
    &mut all[place]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn named(label: &str, serial: Option<&str>, identifier: Option<&str>) -> Known {
        Known {
            label: (!label.is_empty()).then(|| label.to_owned()),
            serial: serial.map(str::to_owned),
            identifier: identifier.map(str::to_owned),
            ..Known::default()
        }
    }

    #[test]
    fn a_key_that_was_known_by_two_names_is_one() {
        let mut all = vec![
            named("red", Some("1"), None),
            named("other", Some("2"), None),
            named("", None, Some("ff")),
        ];
        let seen = named("", Some("1"), Some("ff"));
        let one = entry(&mut all, &seen).clone();
        assert_eq!(one, named("red", Some("1"), Some("ff")));
        assert_eq!(all.len(), 2);
        entry(&mut all, &named("new", Some("3"), None));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn what_cannot_be_recognised_is_no_key() {
        assert!(!named("a", None, None).is(&named("a", None, None)));
        assert!(!named("a", None, None).is_recognisable());
    }
}
