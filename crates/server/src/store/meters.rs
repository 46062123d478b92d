//! Rate limits that all nodes share, and the sweeping of what is over.
//!
//! A meter is the generic cell rate algorithm as one row: the moment up to which a caller's requests
//! are "paid for". One statement reads, compares and raises it, so that no two nodes can spend the
//! same credit.

use std::time::Duration;

use super::{Store, failed, integer};
use crate::problem::Problem;

/// Whom a meter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metered {
    /// Requests from an address.
    Address,
    /// Ceremonies for a user name.
    Account,
}

impl Metered {
    const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
        }
    }
}

impl Store {
    /// Counts one request at `now` (since the Unix epoch); `Err` says how long to wait.
    pub(crate) async fn charge(
        &self,
        metered: Metered,
        caller: &[u8],
        (burst, interval): (u32, Duration),
        now: Duration,
    ) -> Result<Result<(), Duration>, Problem> {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let (now, step) = (micros(now), micros(interval));
        let credit = step.saturating_mul(i64::from(burst.saturating_sub(1)));
        let mut tx = self.begin_softly().await.map_err(failed)?;
        let paid: Option<i64> = sqlx::query_scalar(
            "INSERT INTO meters (kind, caller, paid_until) VALUES ($1, $2, $3) \
             ON CONFLICT (kind, caller) DO UPDATE SET paid_until = $4 + \
             CASE WHEN meters.paid_until > $5 THEN meters.paid_until ELSE $5 END \
             WHERE meters.paid_until <= $6 RETURNING paid_until",
        )
        .bind(metered.name())
        .bind(caller)
        .bind(now.saturating_add(step))
        .bind(step)
        .bind(now)
        .bind(now.saturating_add(credit))
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        if paid.is_some() {
            tx.commit_softly().await.map_err(failed)?;
            return Ok(Ok(()));
        }
        let paid: Option<i64> =
            sqlx::query_scalar("SELECT paid_until FROM meters WHERE kind = $1 AND caller = $2")
                .bind(metered.name())
                .bind(caller)
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed)?;
        let wait = paid
            .unwrap_or(now)
            .saturating_sub(now.saturating_add(credit));
        let wait = u64::try_from(wait).unwrap_or(0).max(1);
        Ok(Err(Duration::from_micros(wait)))
    }

    /// Removes what is over: sessions, challenges, meters that are paid for.
    pub(crate) async fn sweep(&self, now: u64) -> Result<(), Problem> {
        for (statement, before) in [
            ("DELETE FROM sessions WHERE expires_at <= $1", integer(now)),
            (
                "DELETE FROM challenges WHERE expires_at <= $1",
                integer(now),
            ),
            (
                "DELETE FROM meters WHERE paid_until <= $1",
                integer(now.saturating_mul(1_000_000)),
            ),
        ] {
            let mut tx = self.begin_softly().await.map_err(failed)?;
            sqlx::query(statement)
                .bind(before)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
            tx.commit_softly().await.map_err(failed)?;
        }
        Ok(())
    }
}
