//! The credentials of the account that is signed in.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use rp::CredentialRecord;
use serde::Deserialize;
use serde_json::{Value, json};
use webauthn::base64url;

use super::Context;
use super::session::{may_change, own_records};
use crate::body::Json;
use crate::problem::{LAST_CREDENTIAL, NOT_FOUND, Problem, UNKNOWN_CHOICE};
use crate::registration::record;
use crate::store::{DeleteError, Entry, Event, Session, StoredCredential};

/// Uses of one credential that are told.
const MOST_USES: u32 = 20;
/// Letters of a label.
const MOST_LETTERS: usize = 64;

/// `GET /api/credentials`
pub(super) async fn list(
    State(context): State<Context>,
    session: Session,
) -> Result<axum::Json<Value>, Problem> {
    let mut credentials = Vec::new();
    for stored in context.base.store.credentials(&session.user).await? {
        let current = session.credential.as_deref();
        credentials.push(shown(&context, &session.user.handle, current, &stored).await?);
    }
    Ok(axum::Json(json!({ "credentials": credentials })))
}

/// A credential, its latest uses with them; `current` is the one that the session was begun with.
pub(super) async fn shown(
    context: &Context,
    user: &[u8],
    current: Option<&[u8]>,
    stored: &StoredCredential,
) -> Result<Value, Problem> {
    let record = record(stored)?;
    let store = &context.base.store;
    let uses = store.uses(user, &stored.id, MOST_USES).await?;
    let uses: Vec<Value> = uses
        .iter()
        .map(|one| json!({ "at": one.at, "event": one.event, "userVerified": one.user_verified }))
        .collect();
    Ok(json!({
        "id": record.id,
        "label": stored.label,
        "createdAt": stored.created_at,
        "lastUsedAt": stored.last_used_at,
        "current": current == Some(&stored.id),
        "discoverable": record.discoverable,
        "uvInitialized": record.uv_initialized,
        "backupEligible": record.backup_eligible,
        "backupState": record.backup_state,
        "transports": record.transports,
        "aaguid": record.aaguid,
        "attested": record.attested,
        "uses": uses,
    }))
}

/// What a credential is to be called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    label: String,
}

/// `PATCH /api/credentials/{id}`
pub(super) async fn label(
    State(context): State<Context>,
    session: Session,
    Path(id): Path<String>,
    Json(Label { label }): Json<Label>,
) -> Result<StatusCode, Problem> {
    let label = label.trim();
    if label.chars().count() > MOST_LETTERS || label.chars().any(char::is_control) {
        return Err(Problem::new(
            &UNKNOWN_CHOICE,
            format!("A label has at most {MOST_LETTERS} characters."),
        ));
    }
    let label = (!label.is_empty()).then_some(label);
    let id = read_id(&id)?;
    let store = &context.base.store;
    if store.label_credential(&session.user, &id, label).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown())
    }
}

/// `DELETE /api/credentials/{id}`
pub(super) async fn remove(
    State(context): State<Context>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = read_id(&id)?;
    let own = own_records(&context, &session).await?;
    let record = own.iter().find(|record| *record.id == *id);
    let record: &CredentialRecord = record.ok_or_else(unknown)?;
    may_change(&context.rules, &session, &own)?;
    let entry = Entry {
        credential: Some(&id),
        aaguid: Some(record.aaguid.to_string()),
        ..Entry::now(Event::CredentialDeleted).by(&session.user)
    };
    let deleted = context.base.store.delete_credential(&session, &id, &entry);
    match deleted.await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(DeleteError::Unknown) => Err(unknown()),
        Err(DeleteError::Last) => Err(Problem::new(
            &LAST_CREDENTIAL,
            "Add another key first; without any, nobody could sign in to the account.",
        )),
        Err(DeleteError::Problem(problem)) => Err(problem),
    }
}

fn read_id(text: &str) -> Result<Vec<u8>, Problem> {
    base64url::decode(text).map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::new(&NOT_FOUND, "This account has no such credential.")
}
