//! Users and their credential records.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, Way, failed, integer, unsigned};
use crate::config::Limits;
use crate::problem::{LIMIT_REACHED, Problem};
use crate::visitor::Visitor;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// WebAuthn user handle.
    pub(crate) handle: Vec<u8>,
    pub(crate) way: Way,
    pub(crate) name: String,
}

/// A credential and the record that the `rp` crate keeps of it.
#[derive(Debug, Clone)]
pub(crate) struct StoredCredential {
    pub(crate) id: Vec<u8>,
    /// JSON of `rp::CredentialRecord`.
    pub(crate) record: String,
    pub(crate) created_at: u64,
    pub(crate) last_used_at: Option<u64>,
}

impl StoredCredential {
    fn read(row: &SqliteRow) -> Self {
        Self {
            id: row.get("id"),
            record: row.get("record"),
            created_at: unsigned(row.get("created_at")),
            last_used_at: row.get::<Option<i64>, _>("last_used_at").map(unsigned),
        }
    }
}

/// Why a credential could not be added.
#[derive(Debug)]
pub(crate) enum AddError {
    /// The credential ID is registered already, for whomever (WebAuthn L3, registration: "verify
    /// that the credentialId is not yet registered for any user").
    Taken,
    /// A limit, or the database failed.
    Problem(Problem),
}

impl Store {
    /// The account of this name.
    pub(crate) async fn user(
        &self,
        visitor: Visitor,
        way: Way,
        name: &str,
    ) -> Result<Option<User>, Problem> {
        sqlx::query_scalar("SELECT handle FROM users WHERE visitor = ? AND way = ? AND name = ?")
            .bind(visitor.0.as_slice())
            .bind(way.name())
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map(|handle| {
                handle.map(|handle| User {
                    handle,
                    way,
                    name: name.to_owned(),
                })
            })
            .map_err(failed)
    }

    /// All accounts of a visitor, oldest first.
    pub(crate) async fn users(&self, visitor: Visitor) -> Result<Vec<User>, Problem> {
        sqlx::query(
            "SELECT handle, way, name FROM users WHERE visitor = ? ORDER BY created_at, rowid",
        )
        .bind(visitor.0.as_slice())
        .fetch_all(&self.pool)
        .await
        .map(|rows| {
            rows.iter()
                .map(|row| User {
                    handle: row.get("handle"),
                    way: Way::from_name(row.get("way")),
                    name: row.get("name"),
                })
                .collect()
        })
        .map_err(failed)
    }

    /// The credentials of an account, oldest first.
    pub(crate) async fn credentials(&self, user: &User) -> Result<Vec<StoredCredential>, Problem> {
        sqlx::query("SELECT * FROM credentials WHERE user = ? ORDER BY created_at, rowid")
            .bind(&user.handle)
            .fetch_all(&self.pool)
            .await
            .map(|rows| rows.iter().map(StoredCredential::read).collect())
            .map_err(failed)
    }

    /// A credential of one of the visitor's accounts.
    pub(crate) async fn credential(
        &self,
        visitor: Visitor,
        id: &[u8],
    ) -> Result<Option<StoredCredential>, Problem> {
        sqlx::query(
            "SELECT credentials.* FROM credentials JOIN users ON users.handle = credentials.user \
             WHERE credentials.id = ? AND users.visitor = ?",
        )
        .bind(id)
        .bind(visitor.0.as_slice())
        .fetch_optional(&self.pool)
        .await
        .map(|row| row.as_ref().map(StoredCredential::read))
        .map_err(failed)
    }

    /// Whether anybody has registered this credential ID.
    pub(crate) async fn is_registered(&self, id: &[u8]) -> Result<bool, Problem> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM credentials WHERE id = ?)")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    /// Adds a credential, and its account if this is the first.
    pub(crate) async fn add_credential(
        &self,
        visitor: Visitor,
        user: &User,
        credential: &StoredCredential,
        limits: &Limits,
    ) -> Result<(), AddError> {
        let fault = |error| AddError::Problem(failed(error));
        let mut tx = self.write().await.map_err(AddError::Problem)?;
        sqlx::query(
            "INSERT INTO users (handle, visitor, way, name, created_at) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (handle) DO NOTHING",
        )
        .bind(&user.handle)
        .bind(visitor.0.as_slice())
        .bind(user.way.name())
        .bind(&user.name)
        .bind(integer(credential.created_at))
        .execute(&mut *tx)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(e) if e.is_unique_violation() => AddError::Problem(Problem::new(
                &crate::problem::CREDENTIAL_CHANGED,
                "The account was made by another request meanwhile. Register again.",
            )),
            _ => fault(error),
        })?;
        sqlx::query("INSERT INTO credentials (id, user, record, created_at) VALUES (?, ?, ?, ?)")
            .bind(&credential.id)
            .bind(&user.handle)
            .bind(&credential.record)
            .bind(integer(credential.created_at))
            .execute(&mut *tx)
            .await
            .map_err(|error| match &error {
                sqlx::Error::Database(e) if e.is_unique_violation() => AddError::Taken,
                _ => fault(error),
            })?;
        within_limits(&mut tx, visitor, user, limits).await?;
        tx.commit().await.map_err(fault)
    }

    /// Replaces a record if it is still the one that was read; `false` if another request was
    /// faster. So no counter goes back and no `uvInitialized` gets lost.
    pub(crate) async fn update_credential(
        &self,
        id: &[u8],
        before: &str,
        after: &str,
        now: u64,
    ) -> Result<bool, Problem> {
        sqlx::query(
            "UPDATE credentials SET record = ?, last_used_at = ? WHERE id = ? AND record = ?",
        )
        .bind(after)
        .bind(integer(now))
        .bind(id)
        .bind(before)
        .execute(&self.pool)
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(failed)
    }

    /// Removes an account with its credentials; `false` if the visitor has no such account.
    pub(crate) async fn delete_user(
        &self,
        visitor: Visitor,
        handle: &[u8],
    ) -> Result<bool, Problem> {
        sqlx::query("DELETE FROM users WHERE handle = ? AND visitor = ?")
            .bind(handle)
            .bind(visitor.0.as_slice())
            .execute(&self.pool)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(failed)
    }
}

async fn within_limits(
    tx: &mut sqlx::SqliteConnection,
    visitor: Visitor,
    user: &User,
    limits: &Limits,
) -> Result<(), AddError> {
    let fault = |error| AddError::Problem(failed(error));
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE visitor = ?")
        .bind(visitor.0.as_slice())
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    let credentials: i64 = sqlx::query_scalar("SELECT count(*) FROM credentials WHERE user = ?")
        .bind(&user.handle)
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    if users > i64::from(limits.users_per_visitor)
        || credentials > i64::from(limits.credentials_per_user)
    {
        return Err(AddError::Problem(Problem::new(
            &LIMIT_REACHED,
            "Delete an account of this demo before adding more.",
        )));
    }
    Ok(())
}
