//! The admin API: what an operator's programs may ask, by bearer tokens with scopes.

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use rp::metadata::ModelId;
use serde::Deserialize;
use serde_json::{Value, json};
use webauthn::base64url;

use super::{Context, authentication, credentials, registration};
use crate::problem::{NOT_FOUND, Problem, SCOPE_MISSING, TOKEN_MISSING};
use crate::store::{Token, User, unix_now};
use crate::tokens::{self, Scope};

const MOST_LINES: u32 = 200;

/// The bearer of a token. Cookies do not count here, so that no page can act as an operator.
pub(super) struct Admin(Token);

impl FromRequestParts<Context> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let missing = || {
            Problem::new(
                &TOKEN_MISSING,
                "Send the header Authorization: Bearer, with a token of `pinward serve token add`.",
            )
        };
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(missing)?;
        let hash = tokens::hash(token.trim());
        let found = context.base.store.token(&hash, unix_now()).await?;
        found.map(Self).ok_or_else(missing)
    }
}

impl Admin {
    fn may(&self, scope: Scope) -> Result<(), Problem> {
        let given = self.0.scopes.split(' ').any(|one| one == scope.as_str());
        given.then_some(()).ok_or_else(|| {
            Problem::new(
                &SCOPE_MISSING,
                format!("The token lacks the scope {scope}."),
            )
        })
    }
}

/// Where a list goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    #[serde(default)]
    after: String,
}

/// `GET /api/admin/users`
pub(super) async fn users(
    State(context): State<Context>,
    admin: Admin,
    Query(After { after }): Query<After>,
) -> Result<axum::Json<Value>, Problem> {
    admin.may(Scope::UsersRead)?;
    let users = context.base.store.list_users(&after, MOST_LINES).await?;
    Ok(axum::Json(json!({ "users": users })))
}

/// `GET /api/admin/users/{id}`
pub(super) async fn user(
    State(context): State<Context>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    admin.may(Scope::UsersRead)?;
    let user = find(&context, &id).await?;
    let mut list = Vec::new();
    for stored in context.base.store.credentials(&user).await? {
        list.push(credentials::shown(&context, &user.handle, None, &stored).await?);
    }
    Ok(axum::Json(json!({
        "id": base64url::encode(&user.handle),
        "userName": user.name,
        "credentials": list,
    })))
}

/// `DELETE /api/admin/users/{id}`
pub(super) async fn remove_user(
    State(context): State<Context>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    admin.may(Scope::UsersWrite)?;
    let user = find(&context, &id).await?;
    let by = format!("token {}", admin.0.name);
    if context.base.store.remove_user(&user, &by).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown())
    }
}

async fn find(context: &Context, id: &str) -> Result<User, Problem> {
    let handle = base64url::decode(id).map_err(|_| unknown())?;
    let found = context.base.store.user_of(&handle).await?;
    found.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::new(&NOT_FOUND, "There is no such account.")
}

/// Where the log goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    before: Option<i64>,
}

/// `GET /api/admin/audit`
pub(super) async fn audit(
    State(context): State<Context>,
    admin: Admin,
    Query(Before { before }): Query<Before>,
) -> Result<axum::Json<Value>, Problem> {
    admin.may(Scope::AuditRead)?;
    let before = before.unwrap_or(i64::MAX);
    let lines = context.base.store.audit(before, MOST_LINES).await?;
    Ok(axum::Json(json!({ "lines": lines })))
}

/// `GET /api/admin/models`: which models are registered, and what the metadata says of them.
pub(super) async fn models(
    State(context): State<Context>,
    admin: Admin,
) -> Result<axum::Json<Value>, Problem> {
    admin.may(Scope::ModelsRead)?;
    let metadata = context.rules.anchors.metadata();
    let now = unix_now();
    let mut models = Vec::new();
    for one in context.base.store.models().await? {
        let entry = match (metadata, one.aaguid.parse()) {
            (Some(metadata), Ok(ModelId::Aaguid(aaguid))) => metadata.by_aaguid(aaguid),
            _ => None,
        };
        let statuses: Vec<Value> = entry.map_or_else(Vec::new, |entry| {
            let reports = entry.status_in_force(now);
            reports.iter().map(|report| json!(report.status)).collect()
        });
        models.push(json!({
            "aaguid": one.aaguid,
            "name": entry.map(rp::metadata::Entry::name),
            "credentials": one.credentials,
            "attested": one.attested,
            "statuses": statuses,
        }));
    }
    Ok(axum::Json(json!({ "models": models })))
}

/// `GET /api/admin/policies`: what is sent and enforced, and where it may not work as meant.
pub(super) async fn policies(
    State(context): State<Context>,
    admin: Admin,
) -> Result<axum::Json<Value>, Problem> {
    admin.may(Scope::PoliciesRead)?;
    let registration = registration::policy(&context);
    let rule = context.rules.user_verification;
    let authentication = authentication::policy(&context, rule);
    Ok(axum::Json(json!({
        "registration": { "policy": registration, "advice": registration.advice() },
        "authentication": { "policy": authentication, "advice": authentication.advice() },
    })))
}
