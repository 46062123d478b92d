//! Who is signed in, and the transactions that sign somebody in: what the answer changed, the new
//! session and the line in the audit log are there together or not at all.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::{self, Entry, Event};
use super::credentials::{insert_credential, insert_user};
use super::{AddError, Realm, Store, StoredCredential, User, Way, failed, integer, unsigned};
use crate::config::Limits;
use crate::problem::Problem;
use crate::visitor::Visitor;

/// What a session rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Method {
    /// The account was made with it.
    Registration,
    /// An assertion.
    Authentication,
    /// A recovery code.
    Recovery,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Authentication => "authentication",
            Self::Recovery => "recovery",
        }
    }

    fn from_name(name: &str) -> Self {
        // The table's CHECK admits nothing else.
        match name {
            "registration" => Self::Registration,
            "authentication" => Self::Authentication,
            _ => Self::Recovery,
        }
    }
}

/// A session about to begin.
pub(crate) struct NewSession<'a> {
    /// The hash of the new cookie.
    pub(crate) id: Visitor,
    /// The cookie that asked; a session under it ends.
    pub(crate) replaces: Visitor,
    pub(crate) user: &'a [u8],
    pub(crate) credential: Option<&'a [u8]>,
    pub(crate) method: Method,
    pub(crate) user_verified: bool,
    pub(crate) multi_factor: bool,
    pub(crate) now: u64,
    pub(crate) expires_at: u64,
}

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: Visitor,
    pub(crate) user: User,
    pub(crate) credential: Option<Vec<u8>>,
    pub(crate) method: Method,
    /// The UV flag.
    pub(crate) user_verified: bool,
    /// The UV flag was set and may be relied on.
    pub(crate) multi_factor: bool,
    pub(crate) authenticated_at: u64,
    pub(crate) expires_at: u64,
}

impl Session {
    fn read(id: Visitor, row: &AnyRow) -> Self {
        Self {
            id,
            user: User {
                handle: row.get("user"),
                way: Way::Browser,
                name: row.get("name"),
            },
            credential: row.get("credential"),
            method: Method::from_name(row.get("method")),
            user_verified: row.get::<i64, _>("user_verified") == 1,
            multi_factor: row.get::<i64, _>("multi_factor") == 1,
            authenticated_at: unsigned(row.get("authenticated_at")),
            expires_at: unsigned(row.get("expires_at")),
        }
    }
}

impl Store {
    /// The session under this cookie, if it is still alive.
    pub(crate) async fn session(&self, id: Visitor, now: u64) -> Result<Option<Session>, Problem> {
        sqlx::query(
            "SELECT sessions.*, users.name FROM sessions JOIN users ON users.handle = sessions.\"user\" \
             WHERE sessions.id = $1 AND sessions.expires_at > $2",
        )
        .bind(id.0.as_slice())
        .bind(integer(now))
        .fetch_optional(&self.pool)
        .await
        .map(|row| row.as_ref().map(|row| Session::read(id, row)))
        .map_err(failed)
    }

    /// Makes an account with its first credential, and signs it in.
    pub(crate) async fn sign_up(
        &self,
        user: &User,
        credential: &StoredCredential,
        session: &NewSession<'_>,
        entry: &Entry<'_>,
        limits: &Limits,
    ) -> Result<(), AddError> {
        let mut tx = self.write().await.map_err(AddError::Problem)?;
        insert_user(&mut tx, Realm::Site, user, credential.created_at).await?;
        insert_credential(&mut tx, user, credential, limits).await?;
        begin(&mut tx, session).await.map_err(AddError::Problem)?;
        audit::insert(&mut tx, entry)
            .await
            .map_err(AddError::Problem)?;
        tx.commit()
            .await
            .map_err(|error| AddError::Problem(failed(error)))
    }

    /// Adds a credential to an account that is there.
    pub(crate) async fn add_further(
        &self,
        user: &User,
        credential: &StoredCredential,
        entry: &Entry<'_>,
        limits: &Limits,
    ) -> Result<(), AddError> {
        let mut tx = self.write().await.map_err(AddError::Problem)?;
        insert_credential(&mut tx, user, credential, limits).await?;
        audit::insert(&mut tx, entry)
            .await
            .map_err(AddError::Problem)?;
        tx.commit()
            .await
            .map_err(|error| AddError::Problem(failed(error)))
    }

    /// Replaces the record by what the sign-in made of it, and begins the session; `false`, and
    /// nothing is changed, if the record is no longer the one that the answer was checked against.
    pub(crate) async fn sign_in(
        &self,
        before: &StoredCredential,
        after: &str,
        session: &NewSession<'_>,
        entry: &Entry<'_>,
    ) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let updated = sqlx::query(
            "UPDATE credentials SET record = $1, last_used_at = $2 WHERE id = $3 AND record = $4",
        )
        .bind(after)
        .bind(integer(session.now))
        .bind(&before.id)
        .bind(&before.record)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if updated.rows_affected() != 1 {
            return Ok(false);
        }
        begin(&mut tx, session).await?;
        audit::insert(&mut tx, entry).await?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Ends a session.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Problem> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(session.id.0.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        audit::insert(&mut tx, &Entry::now(Event::SignedOut).by(&session.user)).await?;
        tx.commit().await.map_err(failed)
    }

    /// Trades a recovery code for a session; `false` if the account has no such code.
    pub(crate) async fn recover(
        &self,
        hash: &[u8],
        session: &NewSession<'_>,
        entry: &Entry<'_>,
    ) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let used = sqlx::query("DELETE FROM recovery_codes WHERE hash = $1 AND \"user\" = $2")
            .bind(hash)
            .bind(session.user)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        if used.rows_affected() != 1 {
            return Ok(false);
        }
        begin(&mut tx, session).await?;
        audit::insert(&mut tx, entry).await?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Replaces the recovery codes of an account.
    pub(crate) async fn set_recovery_codes(
        &self,
        user: &User,
        hashes: &[[u8; 32]],
        now: u64,
    ) -> Result<(), Problem> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM recovery_codes WHERE \"user\" = $1")
            .bind(&user.handle)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        for hash in hashes {
            sqlx::query(
                "INSERT INTO recovery_codes (hash, \"user\", created_at) VALUES ($1, $2, $3)",
            )
            .bind(hash.as_slice())
            .bind(&user.handle)
            .bind(integer(now))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        }
        audit::insert(&mut tx, &Entry::now(Event::RecoveryCodesMade).by(user)).await?;
        tx.commit().await.map_err(failed)
    }

    /// How many recovery codes an account has left.
    pub(crate) async fn recovery_codes(&self, user: &User) -> Result<i64, Problem> {
        sqlx::query_scalar("SELECT count(*) FROM recovery_codes WHERE \"user\" = $1")
            .bind(&user.handle)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }
}

/// The new session in the place of the old one.
async fn begin(tx: &mut sqlx::AnyConnection, new: &NewSession<'_>) -> Result<(), Problem> {
    sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(new.replaces.0.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    sqlx::query(
        "INSERT INTO sessions (id, \"user\", credential, method, user_verified, multi_factor, \
         authenticated_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id.0.as_slice())
    .bind(new.user)
    .bind(new.credential)
    .bind(new.method.name())
    .bind(i64::from(new.user_verified))
    .bind(i64::from(new.multi_factor))
    .bind(integer(new.now))
    .bind(integer(new.expires_at))
    .execute(tx)
    .await
    .map(drop)
    .map_err(failed)
}
