//! What a visitor has here: accounts, keys, the log of ceremonies. Enough for a page to be the same
//! after a reload.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use webauthn::base64url;

use crate::App;
use crate::body::Json;
use crate::ceremony::{self, CeremonyId};
use crate::problem::{NOT_FOUND, Problem};
use crate::registration::record;
use crate::store::{Ceremony, CeremonyRow, Outcome, StoredCredential, Way};
use crate::visitor::Visitor;

/// `GET /api/session`
pub(crate) async fn whole(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<axum::Json<Value>, Problem> {
    let rows = app.store.ceremonies(visitor).await?;
    let log: Vec<Value> = rows.iter().map(line).collect();
    Ok(axum::Json(json!({
        "relyingParty": {
            "id": app.relying_party.id(),
            "name": app.relying_party.name(),
            "origin": app.site.origin,
        },
        "accounts": accounts(&app, visitor).await?,
        "ceremonies": log,
        "simulation": crate::simulation::view(&app, visitor).await?,
    })))
}

async fn accounts(app: &App, visitor: Visitor) -> Result<Vec<Value>, Problem> {
    let mut accounts = Vec::new();
    for user in app.store.users(visitor).await? {
        let stored = app.store.credentials(&user).await?;
        let credentials: Vec<Value> = stored.iter().map(credential).collect::<Result<_, _>>()?;
        accounts.push(json!({
            "handle": base64url::encode(&user.handle),
            "way": user.way,
            "name": user.name,
            "credentials": credentials,
        }));
    }
    Ok(accounts)
}

fn credential(stored: &StoredCredential) -> Result<Value, Problem> {
    let record = record(stored)?;
    Ok(json!({
        "id": record.id,
        "discoverable": record.discoverable,
        "uvInitialized": record.uv_initialized,
        "backupEligible": record.backup_eligible,
        "signCount": record.sign_count,
        "transports": record.transports,
        "createdAt": stored.created_at,
        "lastUsedAt": stored.last_used_at,
    }))
}

/// A ceremony as a line of the log.
fn line(row: &CeremonyRow) -> Value {
    let request = parsed(Some(&row.request));
    let client = parsed(row.client.as_deref());
    let verdict = parsed(row.verdict.as_deref());
    json!({
        "id": crate::hex(&row.id),
        "ceremony": row.ceremony,
        "way": row.way,
        "request": request,
        "outcome": row.outcome,
        "code": verdict["code"],
        "userVerified": verdict["decoded"]["flags"]["userVerified"],
        "platform": client["platform"],
        "key": client["key"],
        "steps": client["report"]["steps"],
        "startedAt": row.started_at,
        "finishedAt": row.finished_at,
    })
}

fn parsed(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null)
}

/// `GET /api/ceremonies/{id}`: everything about one ceremony.
pub(crate) async fn ceremony(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let row = find(&app, visitor, &id).await?;
    let mut value = line(&row);
    value["options"] = parsed(Some(&row.options));
    value["client"] = parsed(row.client.as_deref());
    value["verdict"] = parsed(row.verdict.as_deref());
    if row.way == Way::Browser {
        value["explanation"] = crate::explanation::of_browser(&value);
    }
    Ok(axum::Json(value))
}

async fn find(app: &App, visitor: Visitor, id: &str) -> Result<CeremonyRow, Problem> {
    let missing = || Problem::new(&NOT_FOUND, "This session has no such ceremony.");
    let id: CeremonyId = id.parse().map_err(|_| missing())?;
    let row = app.store.ceremony(&id.0, visitor).await?;
    row.ok_or_else(missing)
}

/// What a browser told the page instead of a credential.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// Such as `NotAllowedError`.
    name: String,
    /// For developers.
    message: String,
}

/// `POST /api/ceremonies/{id}/failure`: the client gave no credential; the challenge is closed.
pub(crate) async fn failure(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Json(failure): Json<Failure>,
) -> Result<axum::Json<Value>, Problem> {
    let row = find(&app, visitor, &id).await?;
    let id = CeremonyId::from_bytes(&row.id)
        .ok_or_else(|| Problem::internal("ceremony", &"its identifier is not 16 bytes"))?;
    close(&app, visitor, row.ceremony, id).await?;
    let verdict = json!({
        "accepted": false,
        "code": short(&failure.name, 64),
        "detail": short(&failure.message, 400),
        "help": "No credential came back, so there was nothing to check. Nothing was changed.",
        "checks": [],
    });
    ceremony::finish(&app, visitor, id, Outcome::Failed, &verdict).await?;
    Ok(axum::Json(verdict))
}

/// Takes the challenge out, so that nobody answers it later.
pub(crate) async fn close(
    app: &App,
    visitor: Visitor,
    kind: Ceremony,
    id: CeremonyId,
) -> Result<(), Problem> {
    ceremony::take::<Value>(app, visitor, kind, id)
        .await
        .map(drop)
}

fn short(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

/// `DELETE /api/accounts/{handle}`: forgets an account and its credentials.
pub(crate) async fn delete_account(
    State(app): State<App>,
    visitor: Visitor,
    Path(handle): Path<String>,
) -> Result<axum::http::StatusCode, Problem> {
    let handle = base64url::decode(&handle).unwrap_or_default();
    if app.store.delete_user(visitor, &handle).await? {
        return Ok(axum::http::StatusCode::NO_CONTENT);
    }
    Err(Problem::new(
        &NOT_FOUND,
        "This session has no such account.",
    ))
}
