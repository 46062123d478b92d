//! WebAuthn L3 §7.2: verifying an authentication assertion, over HTTP.

use axum::extract::State;
use rp::CredentialRecord;
use rp::authentication::{self, ChallengeState, UvInitialization, Who};
use rp::policy::AuthenticationPolicy;
use serde_json::Value;
use webauthn::options::PublicKeyCredentialRequestOptionsJson;
use webauthn::response::AuthenticationResponseJson;

use crate::App;
use crate::body::Json;
use crate::ceremony::{self, Answer, Begun, Request};
use crate::decoded;
use crate::problem::{ACCOUNT_WITHOUT_KEY, CREDENTIAL_CHANGED, Problem};
use crate::registration::{record, records};
use crate::store::{Ceremony, Outcome, StoredCredential, unix_now};
use crate::visitor::Visitor;

const CEREMONY: Ceremony = Ceremony::Authentication;

/// `POST /api/authentication/options`
pub(crate) async fn options(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<Request>,
) -> Result<axum::Json<Begun<PublicKeyCredentialRequestOptionsJson>>, Problem> {
    let name = request.user_name()?;
    let user = if request.discoverable {
        None
    } else {
        let user = app.store.user(visitor, request.way, name).await?;
        Some(user.ok_or_else(|| without_key(name))?)
    };
    let credentials = match &user {
        Some(user) => records(&app.store.credentials(user).await?)?,
        None => Vec::new(),
    };
    let who = match &user {
        // An empty list would ask for anybody's credential.
        Some(_) if credentials.is_empty() => return Err(without_key(name)),
        Some(user) => Who::User {
            handle: &user.handle,
            credentials: &credentials,
        },
        None => Who::Anyone,
    };
    let mut policy = AuthenticationPolicy::new(request.policy);
    policy.timeout = ceremony::timeout(&app);
    let (options, state) = authentication::begin(
        &app.relying_party,
        policy,
        who,
        unix_now(),
        &mut crate::rng(),
    )
    .map_err(|error| Problem::internal("authentication", &error))?;
    ceremony::open(&app, visitor, CEREMONY, &request, &state, options)
        .await
        .map(axum::Json)
}

fn without_key(name: &str) -> Problem {
    Problem::new(
        &ACCOUNT_WITHOUT_KEY,
        format!("The account \u{201c}{name}\u{201d} has no key yet. Register one first."),
    )
}

/// `POST /api/authentication/verification`
pub(crate) async fn verification(
    State(app): State<App>,
    visitor: Visitor,
    Json(answer): Json<Answer<AuthenticationResponseJson>>,
) -> Result<axum::Json<Value>, Problem> {
    let (id, response) = (answer.ceremony, &answer.credential);
    let state: ChallengeState = ceremony::take(&app, visitor, CEREMONY, id).await?;
    let decoded = decoded::authentication(response);
    let stored = app.store.credential(visitor, &response.raw_id).await?;
    let mut known = stored.as_ref().map(record).transpose()?;

    let verdict = match authentication::finish(state, response, known.as_ref(), unix_now()) {
        Ok(verdict) => verdict,
        Err(refusal) => {
            return Err(ceremony::refuse(&app, visitor, CEREMONY, id, &refusal, &decoded).await);
        }
    };
    if let (Some(stored), Some(known)) = (&stored, &mut known) {
        // The demo knows no second factor that could vouch for a UV flag, so `uvInitialized` stays.
        verdict.apply_to(known, UvInitialization::Keep);
        update(&app, stored, known).await?;
    }
    let shown = serde_json::to_value(&verdict)
        .map_err(|error| Problem::internal("serialisation", &error))?;
    let summary = ceremony::verdict(CEREMONY, Ok(shown), &decoded);
    ceremony::finish(&app, visitor, id, Outcome::Accepted, &summary).await?;
    Ok(axum::Json(summary))
}

/// Stores the new counter, unless another sign-in was faster: then this one was checked against a
/// record that is out of date, and counts as not done.
async fn update(
    app: &App,
    stored: &StoredCredential,
    record: &CredentialRecord,
) -> Result<(), Problem> {
    let after = serde_json::to_string(record)
        .map_err(|error| Problem::internal("serialisation", &error))?;
    let done = app
        .store
        .update_credential(&stored.id, &stored.record, &after, unix_now())
        .await?;
    if done {
        return Ok(());
    }
    Err(Problem::new(
        &CREDENTIAL_CHANGED,
        "Another sign-in with this key finished at the same moment. Sign in again.",
    ))
}
