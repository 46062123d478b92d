//! Challenges, which are open for a short time and answered once, and the log of what came of them.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Ceremony, Store, Way, failed, integer, unsigned};
use crate::config::Limits;
use crate::problem::{Problem, TOO_MANY_CEREMONIES};
use crate::visitor::Visitor;

/// A ceremony about to begin.
pub(crate) struct NewCeremony<'a> {
    /// Random; known to the visitor only.
    pub(crate) id: &'a [u8],
    pub(crate) visitor: Visitor,
    pub(crate) ceremony: Ceremony,
    /// The relying party's challenge state, policy included.
    pub(crate) state: &'a str,
    /// The demo keeps a log that the visitor can read.
    pub(crate) line: Option<Line<'a>>,
    pub(crate) now: u64,
}

/// The beginning of a line in the demo's log.
pub(crate) struct Line<'a> {
    pub(crate) way: Way,
    /// What the visitor chose.
    pub(crate) request: &'a str,
    /// What was sent to the client.
    pub(crate) options: &'a str,
}

/// How a ceremony ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The relying party accepted the answer.
    Accepted,
    /// The relying party refused the answer.
    Refused,
    /// The client gave none.
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Why a challenge could not be taken.
#[derive(Debug)]
pub(crate) enum TakeError {
    /// Never issued to this visitor for this ceremony.
    Unknown,
    /// Answered before.
    Used,
    /// Answered too late, or given up for newer ones.
    Expired,
    /// The database failed.
    Store(Problem),
}

/// A row of the log.
#[derive(Debug)]
pub(crate) struct CeremonyRow {
    pub(crate) id: Vec<u8>,
    pub(crate) ceremony: Ceremony,
    pub(crate) way: Way,
    pub(crate) request: String,
    pub(crate) options: String,
    pub(crate) outcome: String,
    pub(crate) client: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) started_at: u64,
    pub(crate) finished_at: Option<u64>,
}

impl CeremonyRow {
    fn read(row: &AnyRow) -> Self {
        Self {
            id: row.get("id"),
            ceremony: Ceremony::from_name(row.get("ceremony")),
            way: Way::from_name(row.get("way")),
            request: row.get("request"),
            options: row.get("options"),
            outcome: row.get("outcome"),
            client: row.get("client"),
            verdict: row.get("verdict"),
            started_at: unsigned(row.get("started_at")),
            finished_at: row.get::<Option<i64>, _>("finished_at").map(unsigned),
        }
    }
}

impl Store {
    /// Opens a challenge and its line in the log, if there is one, within the limits.
    pub(crate) async fn open_ceremony(
        &self,
        new: &NewCeremony<'_>,
        limits: &Limits,
    ) -> Result<(), Problem> {
        let mut tx = self.begin_softly().await.map_err(failed)?;
        let now = integer(new.now);
        let visitor = new.visitor.0.as_slice();
        // In PostgreSQL the sweeper does it, so that those who begin do not wait for each other.
        let old = if self.is_postgres() { -1 } else { now };
        expire(&mut tx, old, visitor, limits.challenges_per_visitor).await?;
        let open: i64 = sqlx::query_scalar("SELECT count(*) FROM challenges")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        if open >= i64::from(limits.challenges) {
            return Err(Problem::new(
                &TOO_MANY_CEREMONIES,
                "The service is busy. Try again in a few minutes.",
            ));
        }
        sqlx::query(
            "INSERT INTO challenges (id, visitor, ceremony, state, opened_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new.id)
        .bind(visitor)
        .bind(new.ceremony.name())
        .bind(new.state)
        .bind(now)
        .bind(now.saturating_add(integer(limits.challenge_lifetime.as_secs())))
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        let Some(line) = &new.line else {
            return tx.commit_softly().await.map_err(failed);
        };
        begin_line(&mut tx, new, line).await?;
        forget_old(&mut tx, visitor, limits.ceremonies_per_visitor).await?;
        // The page reads the line next, and readers see only what is committed.
        tx.commit().await.map_err(failed)
    }

    /// Takes a challenge out of the store. Whoever gets it is the only one who ever does.
    pub(crate) async fn take_challenge(
        &self,
        id: &[u8],
        visitor: Visitor,
        ceremony: Ceremony,
        now: u64,
    ) -> Result<String, TakeError> {
        let store = |error| TakeError::Store(failed(error));
        // Should a crash bring the challenge back, the audit log still knows what it concluded.
        let mut tx = self.begin_softly().await.map_err(store)?;
        let taken = sqlx::query(
            "DELETE FROM challenges WHERE id = $1 AND visitor = $2 AND ceremony = $3 \
             RETURNING state, expires_at",
        )
        .bind(id)
        .bind(visitor.0.as_slice())
        .bind(ceremony.name())
        .fetch_optional(&mut *tx)
        .await
        .map_err(store)?;
        let Some(row) = taken else {
            drop(tx);
            return Err(self.why_not_open(id, visitor, ceremony).await);
        };
        let in_time = integer(now) < row.get::<i64, _>("expires_at");
        let outcome = if in_time { "checking" } else { "expired" };
        let lines = sqlx::query("UPDATE ceremonies SET outcome = $1 WHERE id = $2")
            .bind(outcome)
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(store)?;
        let ended = if lines.rows_affected() == 0 {
            tx.commit_softly().await
        } else {
            tx.commit().await
        };
        ended.map_err(store)?;
        if in_time {
            Ok(row.get("state"))
        } else {
            Err(TakeError::Expired)
        }
    }

    /// A challenge is not there: the log knows whether it ever was.
    async fn why_not_open(&self, id: &[u8], visitor: Visitor, ceremony: Ceremony) -> TakeError {
        let outcome: Result<Option<String>, _> = sqlx::query_scalar(
            "SELECT outcome FROM ceremonies WHERE id = $1 AND visitor = $2 AND ceremony = $3",
        )
        .bind(id)
        .bind(visitor.0.as_slice())
        .bind(ceremony.name())
        .fetch_optional(&self.pool)
        .await;
        match outcome {
            Ok(None) => TakeError::Unknown,
            Ok(Some(outcome)) if outcome == "expired" => TakeError::Expired,
            Ok(Some(_)) => TakeError::Used,
            Err(error) => TakeError::Store(failed(error)),
        }
    }

    /// Writes down what key and platform did (simulation).
    pub(crate) async fn set_client(
        &self,
        id: &[u8],
        visitor: Visitor,
        client: &str,
    ) -> Result<(), Problem> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE ceremonies SET client = $1 WHERE id = $2 AND visitor = $3")
            .bind(client)
            .bind(id)
            .bind(visitor.0.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Writes down what the relying party concluded.
    pub(crate) async fn finish_ceremony(
        &self,
        id: &[u8],
        visitor: Visitor,
        outcome: Outcome,
        verdict: &str,
        now: u64,
    ) -> Result<(), Problem> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE ceremonies SET outcome = $1, verdict = $2, finished_at = $3 \
             WHERE id = $4 AND visitor = $5",
        )
        .bind(outcome.name())
        .bind(verdict)
        .bind(integer(now))
        .bind(id)
        .bind(visitor.0.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// One ceremony of a visitor.
    pub(crate) async fn ceremony(
        &self,
        id: &[u8],
        visitor: Visitor,
    ) -> Result<Option<CeremonyRow>, Problem> {
        sqlx::query("SELECT * FROM ceremonies WHERE id = $1 AND visitor = $2")
            .bind(id)
            .bind(visitor.0.as_slice())
            .fetch_optional(&self.pool)
            .await
            .map(|row| row.as_ref().map(CeremonyRow::read))
            .map_err(failed)
    }

    /// The ceremonies of a visitor, newest first.
    pub(crate) async fn ceremonies(&self, visitor: Visitor) -> Result<Vec<CeremonyRow>, Problem> {
        sqlx::query(
            "SELECT * FROM ceremonies WHERE visitor = $1 \
             ORDER BY started_at DESC, rowid DESC LIMIT 50",
        )
        .bind(visitor.0.as_slice())
        .fetch_all(&self.pool)
        .await
        .map(|rows| rows.iter().map(CeremonyRow::read).collect())
        .map_err(failed)
    }
}

/// Drops challenges that are too old, and the oldest of a visitor who has too many open.
async fn expire(
    tx: &mut sqlx::AnyConnection,
    now: i64,
    visitor: &[u8],
    per_visitor: u32,
) -> Result<(), Problem> {
    let gone = sqlx::query(
        "DELETE FROM challenges WHERE expires_at <= $1 OR id IN (\
             SELECT id FROM challenges WHERE visitor = $2 \
             ORDER BY opened_at DESC, rowid DESC LIMIT 1000000 OFFSET $3) \
         RETURNING id",
    )
    .bind(now)
    .bind(visitor)
    .bind(i64::from(per_visitor.saturating_sub(1)))
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    for row in gone {
        sqlx::query("UPDATE ceremonies SET outcome = 'expired' WHERE id = $1 AND outcome = 'open'")
            .bind(row.get::<Vec<u8>, _>("id"))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

async fn begin_line(
    tx: &mut sqlx::AnyConnection,
    new: &NewCeremony<'_>,
    line: &Line<'_>,
) -> Result<(), Problem> {
    sqlx::query(
        "INSERT INTO ceremonies \
         (id, visitor, ceremony, way, request, options, outcome, started_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'open', $7)",
    )
    .bind(new.id)
    .bind(new.visitor.0.as_slice())
    .bind(new.ceremony.name())
    .bind(line.way.name())
    .bind(line.request)
    .bind(line.options)
    .bind(integer(new.now))
    .execute(tx)
    .await
    .map(drop)
    .map_err(failed)
}

/// Keeps the log of one visitor short.
async fn forget_old(
    tx: &mut sqlx::AnyConnection,
    visitor: &[u8],
    keep: u32,
) -> Result<(), Problem> {
    sqlx::query(
        "DELETE FROM ceremonies WHERE id IN (\
             SELECT id FROM ceremonies WHERE visitor = $1 \
             ORDER BY started_at DESC, rowid DESC LIMIT 1000000 OFFSET $2)",
    )
    .bind(visitor)
    .bind(i64::from(keep))
    .execute(tx)
    .await
    .map(drop)
    .map_err(failed)
}
