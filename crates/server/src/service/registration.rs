//! WebAuthn L3 §7.1: making an account, and adding credentials to it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use rp::Refusal;
use rp::policy::{AttestationTrustPolicy, RegistrationPolicy};
use rp::registration::{self, ChallengeState, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn::options::{
    AttestationConveyancePreference, AuthenticationExtensionsClientInputsJson,
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialUserEntity,
};
use webauthn::response::RegistrationResponseJson;

use super::Context;
use super::session::{Beginning, Strength, may_change, own_records};
use crate::body::Json;
use crate::ceremony::{self, Answer, Begun, CeremonyId};
use crate::problem::{Problem, SESSION_MISSING, USER_NAME_TAKEN};
use crate::store::{
    AddError, Ceremony, Entry, Event, Method, Realm, Session, StoredCredential, User, Way, unix_now,
};
use crate::visitor::Visitor;

const CEREMONY: Ceremony = Ceremony::Registration;

/// Whom the credential is for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// The name of a new account. Without it the credential is for the account that is signed in.
    user_name: Option<String>,
}

/// What is kept with the challenge.
#[derive(Serialize, Deserialize)]
struct Pending {
    state: ChallengeState,
    user_name: String,
    is_new: bool,
}

/// `POST /api/registration/options`
pub(super) async fn options(
    State(context): State<Context>,
    visitor: Visitor,
    session: Option<Session>,
    Json(request): Json<Request>,
) -> Result<axum::Json<Begun<PublicKeyCredentialCreationOptionsJson>>, Problem> {
    let base = &context.base;
    let (user, existing, is_new) = match (&request.user_name, session) {
        (Some(name), _) => (newcomer(&context, name).await?, Vec::new(), true),
        (None, Some(session)) => {
            let own = own_records(&context, &session).await?;
            may_change(&context.rules, &session, &own)?;
            (session.user, own, false)
        }
        (None, None) => {
            return Err(Problem::new(
                &SESSION_MISSING,
                "Say the userName of a new account, or sign in to add a key to yours.",
            ));
        }
    };
    let entity = PublicKeyCredentialUserEntity {
        id: user.handle.into(),
        name: user.name.clone(),
        display_name: user.name.clone(),
    };
    let (options, state) = registration::begin(
        &base.relying_party,
        policy(&context),
        entity,
        &existing,
        unix_now(),
        &mut crate::rng(),
    )
    .map_err(|error| Problem::internal("registration", &error))?;
    let pending = Pending {
        state,
        user_name: user.name,
        is_new,
    };
    let id = ceremony::store(base, visitor, CEREMONY, &pending, None).await?;
    Ok(axum::Json(Begun::new(id, options)))
}

/// Somebody who has no account yet.
async fn newcomer(context: &Context, name: &str) -> Result<User, Problem> {
    let name = ceremony::account_name(name)?;
    context.rates.account(&name).await?;
    let taken = context.base.store.user(Realm::Site, Way::Browser, &name);
    if taken.await?.is_some() {
        return Err(Problem::new(
            &USER_NAME_TAKEN,
            "Take another name; or, if the account is yours, sign in and add the key there.",
        ));
    }
    Ok(User {
        handle: crate::random::<32>()?.to_vec(),
        way: Way::Browser,
        name,
    })
}

/// What a registration demands.
pub(super) fn policy(context: &Context) -> RegistrationPolicy {
    let mut policy = RegistrationPolicy::new(context.rules.user_verification);
    policy.resident_key = context.rules.resident_key;
    policy.timeout = ceremony::timeout(&context.base);
    if !context.rules.anchors.is_empty() {
        policy.attestation = AttestationConveyancePreference::Direct;
        policy.attestation_trust = AttestationTrustPolicy::TrustedIfPresent;
    }
    policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
        cred_props: Some(true),
        ..AuthenticationExtensionsClientInputsJson::default()
    });
    policy
}

/// `POST /api/registration/verification`
pub(super) async fn verification(
    State(context): State<Context>,
    visitor: Visitor,
    session: Option<Session>,
    Json(answer): Json<Answer<RegistrationResponseJson>>,
) -> Result<Response, Problem> {
    let store = &context.base.store;
    let (id, response) = (answer.ceremony, &answer.credential);
    let pending: Pending = ceremony::take(&context.base, visitor, CEREMONY, id).await?;
    let user = User {
        handle: pending.state.user_handle().to_vec(),
        way: Way::Browser,
        name: pending.user_name,
    };
    // The session that began this must still be there.
    if !pending.is_new && session.is_none_or(|session| session.user.handle != user.handle) {
        return Err(Problem::new(&SESSION_MISSING, "Sign in again."));
    }
    let taken = store.is_registered(&response.raw_id).await?;
    let anchors = &context.rules.anchors;
    let finished = registration::finish(pending.state, response, taken, anchors, unix_now());
    let verdict = match finished {
        Ok(verdict) => verdict,
        Err(refusal) => return Err(refuse(&context, id, &user, &refusal).await),
    };
    match add(&context, visitor, id, &user, pending.is_new, &verdict).await {
        Ok(response) => {
            context
                .metrics
                .ceremony(CEREMONY, Some(verdict.user_verified));
            Ok(response)
        }
        Err(AddError::Problem(problem)) => Err(problem),
        Err(AddError::Taken) => {
            let found = response.raw_id.clone();
            let refusal = Refusal::CredentialIdTaken { found };
            Err(refuse(&context, id, &user, &refusal).await)
        }
    }
}

async fn refuse(context: &Context, id: CeremonyId, user: &User, refusal: &Refusal) -> Problem {
    context.metrics.ceremony(CEREMONY, None);
    let entry = Entry {
        code: Some(refusal.code()),
        ceremony: Some(&id.0),
        ..Entry::now(Event::RegistrationRefused).by(user)
    };
    match context.base.store.write_down(&entry).await {
        Ok(()) => Problem::refused(refusal.code(), ceremony::sentence(&refusal.to_string())),
        Err(problem) => problem,
    }
}

/// Keeps the credential; a new account is signed in with it.
async fn add(
    context: &Context,
    visitor: Visitor,
    id: CeremonyId,
    user: &User,
    is_new: bool,
    verdict: &Verdict,
) -> Result<Response, AddError> {
    let (store, limits) = (&context.base.store, &context.base.limits);
    let record = &verdict.record;
    let credential = StoredCredential {
        id: record.id.to_vec(),
        record: ceremony::text(record).map_err(AddError::Problem)?,
        label: None,
        created_at: unix_now(),
        last_used_at: None,
    };
    let entry = Entry {
        credential: Some(&record.id),
        aaguid: Some(record.aaguid.to_string()),
        user_verified: Some(verdict.user_verified),
        ceremony: Some(&id.0),
        ..Entry::now(Event::Registered).by(user)
    };
    let body = shown(verdict);
    if !is_new {
        store.add_further(user, &credential, &entry, limits).await?;
        return Ok(axum::Json(body).into_response());
    }
    let strength = Strength {
        method: Method::Registration,
        user_verified: verdict.user_verified,
        multi_factor: record.uv_initialized,
    };
    let session = Beginning::new(context, strength).map_err(AddError::Problem)?;
    let row = session.row(visitor, &user.handle, Some(&record.id));
    store
        .sign_up(user, &credential, &row, &entry, limits)
        .await?;
    Ok(session.answer(&context.rules, &user.name, body))
}

fn shown(verdict: &Verdict) -> Value {
    json!({
        "credential": verdict.record.id,
        "userVerified": verdict.user_verified,
        "uvInitialized": verdict.record.uv_initialized,
        "help": verdict.help,
    })
}
