//! WebAuthn L3 §7.1: registering a new credential, over HTTP.

use axum::extract::State;
use rp::policy::RegistrationPolicy;
use rp::registration::{self, ChallengeState, Verdict};
use rp::{CredentialRecord, Refusal, TrustAnchors};
use serde_json::{Value, json};
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, PublicKeyCredentialCreationOptionsJson,
    PublicKeyCredentialUserEntity, ResidentKeyRequirement,
};
use webauthn::response::RegistrationResponseJson;

use crate::App;
use crate::body::Json;
use crate::ceremony::{self, Answer, Begun, Request};
use crate::decoded;
use crate::problem::Problem;
use crate::store::{AddError, Ceremony, Outcome, StoredCredential, User, unix_now};
use crate::visitor::Visitor;

const CEREMONY: Ceremony = Ceremony::Registration;

/// `POST /api/registration/options`
pub(crate) async fn options(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<Request>,
) -> Result<axum::Json<Begun<PublicKeyCredentialCreationOptionsJson>>, Problem> {
    let name = request.user_name()?;
    let user = app.store.user(visitor, request.way, name).await?;
    let existing = match &user {
        Some(user) => records(&app.store.credentials(user).await?)?,
        None => Vec::new(),
    };
    let handle = match user {
        Some(user) => user.handle,
        None => crate::random::<32>()?.to_vec(),
    };
    let entity = PublicKeyCredentialUserEntity {
        id: handle.into(),
        name: name.to_owned(),
        display_name: name.to_owned(),
    };
    let (options, state) = registration::begin(
        &app.relying_party,
        policy(&app, &request),
        entity,
        &existing,
        unix_now(),
        &mut crate::rng(),
    )
    .map_err(|error| Problem::internal("registration", &error))?;
    ceremony::open(&app, visitor, CEREMONY, &request, &state, options)
        .await
        .map(axum::Json)
}

fn policy(app: &App, request: &Request) -> RegistrationPolicy {
    let mut policy = RegistrationPolicy::new(request.policy);
    policy.resident_key = if request.discoverable {
        ResidentKeyRequirement::Required
    } else {
        ResidentKeyRequirement::Discouraged
    };
    policy.timeout = ceremony::timeout(app);
    policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
        cred_props: Some(true),
        ..AuthenticationExtensionsClientInputsJson::default()
    });
    policy
}

/// `POST /api/registration/verification`
pub(crate) async fn verification(
    State(app): State<App>,
    visitor: Visitor,
    Json(answer): Json<Answer<RegistrationResponseJson>>,
) -> Result<axum::Json<Value>, Problem> {
    let (id, response) = (answer.ceremony, &answer.credential);
    let state: ChallengeState = ceremony::take(&app, visitor, CEREMONY, id).await?;
    let row = app.store.ceremony(&id.0, visitor).await?;
    let request: Request = row
        .and_then(|row| serde_json::from_str(&row.request).ok())
        .ok_or_else(|| Problem::internal("ceremony", &"its request is gone"))?;
    let decoded = decoded::registration(response);

    let taken = app.store.is_registered(&response.raw_id).await?;
    let anchors = TrustAnchors::none();
    let verdict = match registration::finish(state, response, taken, &anchors, unix_now()) {
        Ok(verdict) => verdict,
        Err(refusal) => {
            return Err(ceremony::refuse(&app, visitor, CEREMONY, id, &refusal, &decoded).await);
        }
    };
    match add(&app, visitor, &request, &verdict).await {
        Ok(()) => {}
        Err(AddError::Problem(problem)) => return Err(problem),
        // Registered by another request between the look and the insertion.
        Err(AddError::Taken) => {
            let found = response.raw_id.clone();
            let refusal = Refusal::CredentialIdTaken { found };
            return Err(ceremony::refuse(&app, visitor, CEREMONY, id, &refusal, &decoded).await);
        }
    }
    let summary = ceremony::verdict(CEREMONY, Ok(shown(&verdict)), &decoded);
    ceremony::finish(&app, visitor, id, Outcome::Accepted, &summary).await?;
    Ok(axum::Json(summary))
}

async fn add(
    app: &App,
    visitor: Visitor,
    request: &Request,
    verdict: &Verdict,
) -> Result<(), AddError> {
    let record = serde_json::to_string(&verdict.record)
        .map_err(|error| AddError::Problem(Problem::internal("serialisation", &error)))?;
    let user = User {
        handle: verdict.record.user_handle.to_vec(),
        way: request.way,
        name: request.user_name().map_err(AddError::Problem)?.to_owned(),
    };
    let credential = StoredCredential {
        id: verdict.record.id.to_vec(),
        record,
        label: None,
        created_at: unix_now(),
        last_used_at: None,
    };
    app.store
        .add_credential(visitor, &user, &credential, &app.limits)
        .await
}

/// The parts of a verdict that are for people.
fn shown(verdict: &Verdict) -> Value {
    json!({
        "userPresent": verdict.user_present,
        "userVerified": verdict.user_verified,
        "uvInitialized": verdict.record.uv_initialized,
        "discoverable": verdict.record.discoverable,
        "signCount": verdict.record.sign_count,
        "attestation": verdict.attestation,
        "extensions": verdict.extensions,
        "help": verdict.help,
    })
}

/// The stored records, read.
pub(crate) fn records(stored: &[StoredCredential]) -> Result<Vec<CredentialRecord>, Problem> {
    stored.iter().map(record).collect()
}

/// A stored record, read.
pub(crate) fn record(stored: &StoredCredential) -> Result<CredentialRecord, Problem> {
    serde_json::from_str(&stored.record)
        .map_err(|error| Problem::internal("stored credential record", &error))
}
