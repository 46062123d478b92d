//! Bearer tokens of the admin API: made on the command line, shown once, kept as hashes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::Storage;
use crate::problem::Problem;
use crate::store::{Store, StoreError, unix_now};

pub use crate::store::Token;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// List accounts and their credentials.
    UsersRead,
    /// Delete accounts.
    UsersWrite,
    /// Read the audit log.
    AuditRead,
    /// See which models are in use.
    ModelsRead,
    /// See the policies in force.
    PoliciesRead,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::UsersRead,
        Self::UsersWrite,
        Self::AuditRead,
        Self::ModelsRead,
        Self::PoliciesRead,
    ];

    /// The name: `users:read` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
            Self::AuditRead => "audit:read",
            Self::ModelsRead => "models:read",
            Self::PoliciesRead => "policies:read",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|scope| scope.as_str()).collect();
            format!("there is no scope `{text}`; there are {}", all.join(", "))
        })
    }
}

/// Why a token could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The database does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database failed later; the log says more.
    #[error("the database failed: {0}")]
    Failed(String),
    /// The name is taken.
    #[error("there is a token named `{0}`; remove it first, or take another name")]
    Taken(String),
    /// No such token.
    #[error("there is no token named `{0}`")]
    Unknown(String),
    /// A name that could not be told apart from others in a list.
    #[error("a token's name has 1 to 64 letters, digits, dots and dashes, not `{0}`")]
    Name(String),
}

impl From<Problem> for TokenError {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem.detail().to_owned())
    }
}

/// What tells tokens of this service from other secrets, for people and for scanners.
const PREFIX: &str = "pinward_";

/// Makes a token and gives it back: this once, because the database keeps its hash only.
///
/// # Errors
/// [`TokenError`]
pub async fn add(storage: &Storage, name: &str, scopes: &[Scope]) -> Result<String, TokenError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if !(1..=64).contains(&name.len()) || !name.chars().all(fine) {
        return Err(TokenError::Name(name.to_owned()));
    }
    let store = Store::open(storage).await?;
    let token = format!("{PREFIX}{}", crate::random_hex::<32>()?);
    let mut scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let added = store
        .add_token(name, &hash(&token), &scopes.join(" "), unix_now())
        .await?;
    store.close().await;
    added
        .then_some(token)
        .ok_or_else(|| TokenError::Taken(name.to_owned()))
}

/// Every token, without what makes it one.
///
/// # Errors
/// [`TokenError`]
pub async fn list(storage: &Storage) -> Result<Vec<Token>, TokenError> {
    let store = Store::open(storage).await?;
    let tokens = store.tokens().await?;
    store.close().await;
    Ok(tokens)
}

/// Removes a token; the nodes refuse it from then on.
///
/// # Errors
/// [`TokenError`]
pub async fn remove(storage: &Storage, name: &str) -> Result<(), TokenError> {
    let store = Store::open(storage).await?;
    let removed = store.remove_token(name).await?;
    store.close().await;
    removed
        .then_some(())
        .ok_or_else(|| TokenError::Unknown(name.to_owned()))
}

/// 256 random bits need no slow hash.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
