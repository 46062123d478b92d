//! Users and their credential records.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::{self, Entry};
use super::{Realm, Session, Store, Way, failed, integer, unsigned};
use crate::config::Limits;
use crate::problem::{LIMIT_REACHED, Problem, USER_NAME_TAKEN};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// WebAuthn user handle.
    pub(crate) handle: Vec<u8>,
    pub(crate) way: Way,
    pub(crate) name: String,
}

impl User {
    fn read(row: &AnyRow) -> Self {
        Self {
            handle: row.get("handle"),
            way: Way::from_name(row.get("way")),
            name: row.get("name"),
        }
    }
}

/// A credential and the record that the `rp` crate keeps of it.
#[derive(Debug, Clone)]
pub(crate) struct StoredCredential {
    pub(crate) id: Vec<u8>,
    /// JSON of `rp::CredentialRecord`.
    pub(crate) record: String,
    /// What its owner calls it.
    pub(crate) label: Option<String>,
    pub(crate) created_at: u64,
    pub(crate) last_used_at: Option<u64>,
}

impl StoredCredential {
    pub(super) fn read(row: &AnyRow) -> Self {
        Self {
            id: row.get("id"),
            record: row.get("record"),
            label: row.get("label"),
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

/// Why a credential was not deleted.
#[derive(Debug)]
pub(crate) enum DeleteError {
    /// The account has no such credential.
    Unknown,
    /// It is the account's last one.
    Last,
    /// The database failed.
    Problem(Problem),
}

impl Store {
    /// The account of this name.
    pub(crate) async fn user(
        &self,
        realm: impl Into<Realm>,
        way: Way,
        name: &str,
    ) -> Result<Option<User>, Problem> {
        sqlx::query_scalar("SELECT handle FROM users WHERE realm = $1 AND way = $2 AND name = $3")
            .bind(realm.into().key())
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

    /// The account of the site with this user handle.
    pub(crate) async fn user_of(&self, handle: &[u8]) -> Result<Option<User>, Problem> {
        sqlx::query("SELECT handle, way, name FROM users WHERE handle = $1 AND realm = $2")
            .bind(handle)
            .bind(Realm::Site.key())
            .fetch_optional(&self.pool)
            .await
            .map(|row| row.as_ref().map(User::read))
            .map_err(failed)
    }

    /// All accounts of a realm, oldest first.
    pub(crate) async fn users(&self, realm: impl Into<Realm>) -> Result<Vec<User>, Problem> {
        sqlx::query(
            "SELECT handle, way, name FROM users WHERE realm = $1 ORDER BY created_at, rowid",
        )
        .bind(realm.into().key())
        .fetch_all(&self.pool)
        .await
        .map(|rows| rows.iter().map(User::read).collect())
        .map_err(failed)
    }

    /// The credentials of an account, oldest first.
    pub(crate) async fn credentials(&self, user: &User) -> Result<Vec<StoredCredential>, Problem> {
        sqlx::query("SELECT * FROM credentials WHERE \"user\" = $1 ORDER BY created_at, rowid")
            .bind(&user.handle)
            .fetch_all(&self.pool)
            .await
            .map(|rows| rows.iter().map(StoredCredential::read).collect())
            .map_err(failed)
    }

    /// A credential of one of the realm's accounts.
    pub(crate) async fn credential(
        &self,
        realm: impl Into<Realm>,
        id: &[u8],
    ) -> Result<Option<StoredCredential>, Problem> {
        sqlx::query(
            "SELECT credentials.* FROM credentials JOIN users ON users.handle = credentials.\"user\" \
             WHERE credentials.id = $1 AND users.realm = $2",
        )
        .bind(id)
        .bind(realm.into().key())
        .fetch_optional(&self.pool)
        .await
        .map(|row| row.as_ref().map(StoredCredential::read))
        .map_err(failed)
    }

    /// Whether anybody has registered this credential ID.
    pub(crate) async fn is_registered(&self, id: &[u8]) -> Result<bool, Problem> {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM credentials WHERE id = $1")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map(|count| count > 0)
            .map_err(failed)
    }

    /// Adds a credential, and its account if this is the first.
    pub(crate) async fn add_credential(
        &self,
        realm: impl Into<Realm>,
        user: &User,
        credential: &StoredCredential,
        limits: &Limits,
    ) -> Result<(), AddError> {
        let realm = realm.into();
        let mut tx = self.write().await.map_err(AddError::Problem)?;
        insert_user(&mut tx, realm, user, credential.created_at).await?;
        insert_credential(&mut tx, user, credential, limits).await?;
        within_limits(&mut tx, realm, limits).await?;
        let fault = |error| AddError::Problem(failed(error));
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
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE credentials SET record = $1, last_used_at = $2 WHERE id = $3 AND record = $4",
        )
        .bind(after)
        .bind(integer(now))
        .bind(id)
        .bind(before)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Names a credential; `false` if the account has no such credential.
    pub(crate) async fn label_credential(
        &self,
        user: &User,
        id: &[u8],
        label: Option<&str>,
    ) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let done = sqlx::query("UPDATE credentials SET label = $1 WHERE id = $2 AND \"user\" = $3")
            .bind(label)
            .bind(id)
            .bind(&user.handle)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a credential, unless it is the account's last one, and ends the sessions that were
    /// begun with it, except the one that asks.
    pub(crate) async fn delete_credential(
        &self,
        session: &Session,
        id: &[u8],
        entry: &Entry<'_>,
    ) -> Result<(), DeleteError> {
        let fault = |error| DeleteError::Problem(failed(error));
        let user = &session.user;
        let mut tx = self.write().await.map_err(DeleteError::Problem)?;
        lock_user(&mut tx, &user.handle).await.map_err(fault)?;
        let deleted = sqlx::query("DELETE FROM credentials WHERE id = $1 AND \"user\" = $2")
            .bind(id)
            .bind(&user.handle)
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
        if deleted.rows_affected() == 0 {
            return Err(DeleteError::Unknown);
        }
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM credentials WHERE \"user\" = $1")
            .bind(&user.handle)
            .fetch_one(&mut *tx)
            .await
            .map_err(fault)?;
        if left == 0 {
            return Err(DeleteError::Last);
        }
        sqlx::query("DELETE FROM sessions WHERE credential = $1 AND \"user\" = $2 AND id <> $3")
            .bind(id)
            .bind(&user.handle)
            .bind(session.id.0.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
        audit::insert(&mut tx, entry)
            .await
            .map_err(DeleteError::Problem)?;
        tx.commit().await.map_err(fault)
    }

    /// Removes an account with its credentials; `false` if the realm has no such account.
    pub(crate) async fn delete_user(
        &self,
        realm: impl Into<Realm>,
        handle: &[u8],
    ) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM users WHERE handle = $1 AND realm = $2")
            .bind(handle)
            .bind(realm.into().key())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }
}

/// Adds an account, unless this very one is there.
pub(super) async fn insert_user(
    tx: &mut sqlx::AnyConnection,
    realm: Realm,
    user: &User,
    now: u64,
) -> Result<(), AddError> {
    sqlx::query(
        "INSERT INTO users (handle, realm, way, name, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (handle) DO NOTHING",
    )
    .bind(&user.handle)
    .bind(realm.key())
    .bind(user.way.name())
    .bind(&user.name)
    .bind(integer(now))
    .execute(tx)
    .await
    .map(drop)
    .map_err(|error| match &error {
        sqlx::Error::Database(e) if e.is_unique_violation() => AddError::Problem(Problem::new(
            &USER_NAME_TAKEN,
            "The account was made by another request meanwhile.",
        )),
        _ => AddError::Problem(failed(error)),
    })
}

/// Lets no other transaction count the account's credentials until this one has ended.
async fn lock_user(tx: &mut sqlx::AnyConnection, handle: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE users SET way = way WHERE handle = $1")
        .bind(handle)
        .execute(tx)
        .await
        .map(drop)
}

/// Adds a credential to an account that is there.
pub(super) async fn insert_credential(
    tx: &mut sqlx::AnyConnection,
    user: &User,
    credential: &StoredCredential,
    limits: &Limits,
) -> Result<(), AddError> {
    let fault = |error| AddError::Problem(failed(error));
    lock_user(&mut *tx, &user.handle).await.map_err(fault)?;
    sqlx::query(
        "INSERT INTO credentials (id, \"user\", record, created_at) VALUES ($1, $2, $3, $4)",
    )
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
    let credentials: i64 =
        sqlx::query_scalar("SELECT count(*) FROM credentials WHERE \"user\" = $1")
            .bind(&user.handle)
            .fetch_one(tx)
            .await
            .map_err(fault)?;
    if credentials > i64::from(limits.credentials_per_user) {
        return Err(AddError::Problem(Problem::new(
            &LIMIT_REACHED,
            "The account has as many keys as it may have. Delete one before adding another.",
        )));
    }
    Ok(())
}

async fn within_limits(
    tx: &mut sqlx::AnyConnection,
    realm: Realm,
    limits: &Limits,
) -> Result<(), AddError> {
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE realm = $1")
        .bind(realm.key())
        .fetch_one(tx)
        .await
        .map_err(|error| AddError::Problem(failed(error)))?;
    if users > i64::from(limits.users_per_visitor) {
        return Err(AddError::Problem(Problem::new(
            &LIMIT_REACHED,
            "Delete an account of this demo before adding more.",
        )));
    }
    Ok(())
}
