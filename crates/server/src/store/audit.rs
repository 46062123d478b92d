//! The audit log: who did what, with user verification or without, with which model of key. Rows are
//! added in the transaction of what they tell, so that neither exists without the other; triggers
//! keep them as they are.

use sqlx::Row;

use super::{Store, failed, integer, unsigned};
use crate::problem::{CHALLENGE_USED, Problem};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A credential was registered: the account's first, or a further one.
    Registered,
    /// A registration was refused.
    RegistrationRefused,
    /// An assertion was accepted.
    SignedIn,
    /// An assertion was refused.
    SignInRefused,
    /// The session was ended.
    SignedOut,
    /// A credential was deleted.
    CredentialDeleted,
    /// An operator deleted the account.
    AccountDeleted,
    /// New recovery codes were made, and the old ones forgotten.
    RecoveryCodesMade,
    /// A recovery code was used.
    Recovered,
    /// Something was given out as a recovery code, and was none.
    RecoveryRefused,
}

impl Event {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::RegistrationRefused => "registration-refused",
            Self::SignedIn => "signed-in",
            Self::SignInRefused => "sign-in-refused",
            Self::SignedOut => "signed-out",
            Self::CredentialDeleted => "credential-deleted",
            Self::AccountDeleted => "account-deleted",
            Self::RecoveryCodesMade => "recovery-codes-made",
            Self::Recovered => "recovered",
            Self::RecoveryRefused => "recovery-refused",
        }
    }
}

/// A row of the log.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) event: Event,
    pub(crate) at: u64,
    /// User handle.
    pub(crate) user: Option<&'a [u8]>,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) credential: Option<&'a [u8]>,
    /// The model, as the key says.
    pub(crate) aaguid: Option<String>,
    pub(crate) user_verified: Option<bool>,
    /// The check that said no.
    pub(crate) code: Option<&'a str>,
    /// The challenge that this concludes.
    pub(crate) ceremony: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// Something that happened now.
    pub(crate) fn now(event: Event) -> Self {
        Self {
            event,
            at: super::unix_now(),
            user: None,
            user_name: None,
            credential: None,
            aaguid: None,
            user_verified: None,
            code: None,
            ceremony: None,
        }
    }

    /// The same, by this account.
    pub(crate) fn by(self, user: &'a super::User) -> Self {
        Self {
            user: Some(&user.handle),
            user_name: Some(&user.name),
            ..self
        }
    }
}

/// One use of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) at: u64,
    pub(crate) event: String,
    pub(crate) user_verified: bool,
}

impl Store {
    /// Writes down what changed nothing else.
    pub(crate) async fn write_down(&self, entry: &Entry<'_>) -> Result<(), Problem> {
        let mut tx = self.write().await?;
        insert(&mut tx, entry).await?;
        tx.commit().await.map_err(failed)
    }

    /// The latest accepted uses of a credential by an account, newest first.
    pub(crate) async fn uses(
        &self,
        user: &[u8],
        credential: &[u8],
        most: u32,
    ) -> Result<Vec<Use>, Problem> {
        sqlx::query(
            "SELECT at, event, user_verified FROM audit WHERE credential = $1 AND \"user\" = $2 \
             AND event IN ('registered', 'signed-in') ORDER BY id DESC LIMIT $3",
        )
        .bind(credential)
        .bind(user)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map(|rows| {
            rows.iter()
                .map(|row| Use {
                    at: unsigned(row.get("at")),
                    event: row.get("event"),
                    user_verified: row.get::<Option<i64>, _>("user_verified") == Some(1),
                })
                .collect()
        })
        .map_err(failed)
    }
}

pub(super) async fn insert(tx: &mut sqlx::AnyConnection, entry: &Entry<'_>) -> Result<(), Problem> {
    sqlx::query(
        "INSERT INTO audit (at, event, \"user\", user_name, credential, aaguid, user_verified, code, \
         ceremony) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(integer(entry.at))
    .bind(entry.event.name())
    .bind(entry.user)
    .bind(entry.user_name)
    .bind(entry.credential)
    .bind(entry.aaguid.as_deref())
    .bind(entry.user_verified.map(i64::from))
    .bind(entry.code)
    .bind(entry.ceremony)
    .execute(tx)
    .await
    .map(drop)
    .map_err(|error| match &error {
        // The only unique thing in the log: the challenge was concluded before.
        sqlx::Error::Database(e) if e.is_unique_violation() => Problem::new(
            &CHALLENGE_USED,
            "A challenge can be answered once. Ask for new options.",
        ),
        _ => failed(error),
    })
}
