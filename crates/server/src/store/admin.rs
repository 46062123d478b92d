//! What the operator asks: who may ask, which accounts, events and models there are.

use sqlx::Row;

use super::audit::{self, Entry, Event};
use super::credentials::User;
use super::{Realm, Store, Way, failed, integer, unsigned};
use crate::problem::Problem;

/// A token of the admin API, without what makes it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What the operator calls it.
    pub name: String,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds, to the minute.
    pub last_used_at: Option<u64>,
}

/// An account, as a list shows it.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    /// Base64url of the user handle.
    pub(crate) id: String,
    pub(crate) user_name: String,
    pub(crate) created_at: u64,
    pub(crate) credentials: i64,
    pub(crate) last_used_at: Option<u64>,
    pub(crate) recovery_codes: i64,
}

/// A line of the audit log.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditLine {
    pub(crate) id: i64,
    pub(crate) at: u64,
    pub(crate) event: String,
    pub(crate) user: Option<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) credential: Option<String>,
    pub(crate) aaguid: Option<String>,
    pub(crate) user_verified: Option<bool>,
    pub(crate) code: Option<String>,
}

/// A model, and how many credentials say that they are of it.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(crate) aaguid: String,
    pub(crate) credentials: i64,
    pub(crate) attested: i64,
}

const MODELS_SQLITE: &str = "SELECT json_extract(record, '$.aaguid') AS aaguid, \
    count(*) AS credentials, sum(CASE WHEN json_extract(record, '$.attested') THEN 1 ELSE 0 END) \
    AS attested FROM credentials GROUP BY 1 ORDER BY 2 DESC, 1";
const MODELS_POSTGRES: &str = "SELECT record::json->>'aaguid' AS aaguid, count(*) AS credentials, \
    sum(CASE WHEN (record::json->>'attested')::boolean THEN 1 ELSE 0 END) AS attested \
    FROM credentials GROUP BY 1 ORDER BY 2 DESC, 1";

impl Store {
    /// Keeps a token; `false` if there is one of that name.
    pub(crate) async fn add_token(
        &self,
        name: &str,
        hash: &[u8],
        scopes: &str,
        now: u64,
    ) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let added = sqlx::query(
            "INSERT INTO admin_tokens (name, hash, scopes, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(hash)
        .bind(scopes)
        .bind(integer(now))
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(added.rows_affected() == 1)
    }

    /// Forgets a token; `false` if there is none of that name.
    pub(crate) async fn remove_token(&self, name: &str) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let removed = sqlx::query("DELETE FROM admin_tokens WHERE name = $1")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(removed.rows_affected() == 1)
    }

    /// Every token, by name.
    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, Problem> {
        sqlx::query("SELECT name, scopes, created_at, last_used_at FROM admin_tokens ORDER BY name")
            .fetch_all(&self.pool)
            .await
            .map(|rows| rows.iter().map(read_token).collect())
            .map_err(failed)
    }

    /// The token with this hash; that it was used is noted to the minute.
    pub(crate) async fn token(&self, hash: &[u8], now: u64) -> Result<Option<Token>, Problem> {
        let found = sqlx::query(
            "SELECT name, scopes, created_at, last_used_at FROM admin_tokens WHERE hash = $1",
        )
        .bind(hash)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        let token = found.as_ref().map(read_token);
        let stale = |token: &Token| token.last_used_at.is_none_or(|at| at + 60 <= now);
        if token.as_ref().is_some_and(stale) {
            let mut tx = self.begin_softly().await.map_err(failed)?;
            sqlx::query("UPDATE admin_tokens SET last_used_at = $1 WHERE hash = $2")
                .bind(integer(now))
                .bind(hash)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
            tx.commit_softly().await.map_err(failed)?;
        }
        Ok(token)
    }

    /// The site's accounts after this name, by name.
    pub(crate) async fn list_users(&self, after: &str, most: u32) -> Result<Vec<Listed>, Problem> {
        sqlx::query(
            "SELECT users.handle, users.name, users.created_at, \
             (SELECT count(*) FROM credentials c WHERE c.\"user\" = users.handle) AS credentials, \
             (SELECT max(last_used_at) FROM credentials c WHERE c.\"user\" = users.handle) AS used, \
             (SELECT count(*) FROM recovery_codes r WHERE r.\"user\" = users.handle) AS codes \
             FROM users WHERE realm = $1 AND way = $2 AND name > $3 ORDER BY name LIMIT $4",
        )
        .bind(Realm::Site.key())
        .bind(Way::Browser.name())
        .bind(after)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map(|rows| {
            rows.iter()
                .map(|row| Listed {
                    id: encoded(row.get("handle")),
                    user_name: row.get("name"),
                    created_at: unsigned(row.get("created_at")),
                    credentials: row.get("credentials"),
                    last_used_at: row.get::<Option<i64>, _>("used").map(unsigned),
                    recovery_codes: row.get("codes"),
                })
                .collect()
        })
        .map_err(failed)
    }

    /// Removes an account of the site with all that it has, and writes that down.
    pub(crate) async fn remove_user(&self, user: &User, by: &str) -> Result<bool, Problem> {
        let mut tx = self.write().await?;
        let removed = sqlx::query("DELETE FROM users WHERE handle = $1 AND realm = $2")
            .bind(&user.handle)
            .bind(Realm::Site.key())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        if removed.rows_affected() != 1 {
            return Ok(false);
        }
        let entry = Entry {
            code: Some(by),
            ..Entry::now(Event::AccountDeleted).by(user)
        };
        audit::insert(&mut tx, &entry).await?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The audit log before this line, newest first.
    pub(crate) async fn audit(&self, before: i64, most: u32) -> Result<Vec<AuditLine>, Problem> {
        sqlx::query("SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(before)
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map(|rows| {
                rows.iter()
                    .map(|row| AuditLine {
                        id: row.get("id"),
                        at: unsigned(row.get("at")),
                        event: row.get("event"),
                        user: row.get::<Option<Vec<u8>>, _>("user").map(encoded),
                        user_name: row.get("user_name"),
                        credential: row.get::<Option<Vec<u8>>, _>("credential").map(encoded),
                        aaguid: row.get("aaguid"),
                        user_verified: row.get::<Option<i64>, _>("user_verified").map(|uv| uv == 1),
                        code: row.get("code"),
                    })
                    .collect()
            })
            .map_err(failed)
    }

    /// Which models are registered, most common first.
    pub(crate) async fn models(&self) -> Result<Vec<InUse>, Problem> {
        let statement = if self.is_postgres() {
            MODELS_POSTGRES
        } else {
            MODELS_SQLITE
        };
        sqlx::query(statement)
            .fetch_all(&self.pool)
            .await
            .map(|rows| {
                rows.iter()
                    .map(|row| InUse {
                        aaguid: row.get("aaguid"),
                        credentials: row.get("credentials"),
                        attested: row.get("attested"),
                    })
                    .collect()
            })
            .map_err(failed)
    }
}

fn read_token(row: &sqlx::any::AnyRow) -> Token {
    Token {
        name: row.get("name"),
        scopes: row.get("scopes"),
        created_at: unsigned(row.get("created_at")),
        last_used_at: row.get::<Option<i64>, _>("last_used_at").map(unsigned),
    }
}

#[allow(clippy::needless_pass_by_value)] // for map
fn encoded(bytes: Vec<u8>) -> String {
    webauthn::base64url::encode(&bytes)
}
