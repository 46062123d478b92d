//! WebAuthn L3 §7.2: signing in, with a user name or without, and authenticating again.

use axum::extract::State;
use axum::response::Response;
use rp::authentication::{self, ChallengeState, UvInitialization, Verdict, Who};
use rp::policy::{AuthenticationPolicy, UserVerificationPolicy};
use rp::{CredentialRecord, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn::options::PublicKeyCredentialRequestOptionsJson;
use webauthn::response::AuthenticationResponseJson;

use super::Context;
use super::session::{Beginning, Needed, Strength, own_records, verification_needed};
use crate::body::Json;
use crate::ceremony::{self, Answer, Begun, CeremonyId};
use crate::problem::{CREDENTIAL_CHANGED, Problem, SESSION_MISSING, UNKNOWN_CHOICE};
use crate::registration::{record, records};
use crate::store::{
    Ceremony, Entry, Event, Method, Realm, Session, StoredCredential, User, Way, unix_now,
};
use crate::visitor::Visitor;

const CEREMONY: Ceremony = Ceremony::Authentication;

/// Sign-ins with one credential at the same moment: each is checked against what the one before
/// left behind.
const MOST_TRIES: usize = 64;

/// Who wants to sign in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// Without it a discoverable credential tells who it is.
    user_name: Option<String>,
    /// Authenticate the account that is signed in once more, for something sensitive.
    #[serde(default)]
    reauthenticate: bool,
}

/// What is kept with the challenge.
#[derive(Serialize, Deserialize)]
struct Pending {
    /// [`ChallengeState`], as JSON: read anew for each try.
    state: Value,
    user_name: Option<String>,
}

/// The account that is asked for.
struct Asked {
    handle: Vec<u8>,
    credentials: Vec<CredentialRecord>,
    user_name: String,
}

/// `POST /api/authentication/options`
pub(super) async fn options(
    State(context): State<Context>,
    visitor: Visitor,
    session: Option<Session>,
    Json(request): Json<Request>,
) -> Result<axum::Json<Begun<PublicKeyCredentialRequestOptionsJson>>, Problem> {
    let base = &context.base;
    let mut rule = context.rules.user_verification;
    let asked = match (&request.user_name, request.reauthenticate) {
        (Some(_), true) => {
            return Err(Problem::new(
                &UNKNOWN_CHOICE,
                "Whom to authenticate again is known; leave userName out.",
            ));
        }
        (Some(name), false) => Some(named(&context, name).await?),
        (None, true) => {
            let session =
                session.ok_or_else(|| Problem::new(&SESSION_MISSING, "Sign in first."))?;
            let credentials = own_records(&context, &session).await?;
            if verification_needed(rule, &credentials) != Needed::No {
                rule = UserVerificationPolicy::Always;
            }
            Some(Asked {
                handle: session.user.handle,
                credentials,
                user_name: session.user.name,
            })
        }
        (None, false) => None,
    };
    let who = asked.as_ref().map_or(Who::Anyone, |asked| Who::User {
        handle: &asked.handle,
        credentials: &asked.credentials,
    });
    let policy = policy(&context, rule);
    let now = unix_now();
    let (options, state) =
        authentication::begin(&base.relying_party, policy, who, now, &mut crate::rng())
            .map_err(|error| Problem::internal("authentication", &error))?;
    let pending = Pending {
        state: serde_json::to_value(state)
            .map_err(|error| Problem::internal("serialisation", &error))?,
        user_name: asked.map(|asked| asked.user_name),
    };
    let id = ceremony::store(base, visitor, CEREMONY, &pending, None).await?;
    Ok(axum::Json(Begun::new(id, options)))
}

/// What a sign-in under this rule demands.
pub(super) fn policy(context: &Context, rule: UserVerificationPolicy) -> AuthenticationPolicy {
    let mut policy = AuthenticationPolicy::new(rule);
    policy.timeout = ceremony::timeout(&context.base);
    policy
}

/// The account of this name, or the one that a stranger would have. Both take the same queries.
async fn named(context: &Context, name: &str) -> Result<Asked, Problem> {
    let name = ceremony::account_name(name)?;
    context.rates.account(&name).await?;
    let store = &context.base.store;
    let handle = context.strangers.handle(&name);
    let nobody = context
        .strangers
        .records(&name, context.base.relying_party.id());
    let user = store.user(Realm::Site, Way::Browser, &name).await?;
    let user = user.unwrap_or_else(|| User {
        handle: handle.clone(),
        way: Way::Browser,
        name,
    });
    let credentials = records(&store.credentials(&user).await?)?;
    let (handle, credentials) = if credentials.is_empty() {
        (handle, nobody)
    } else {
        (user.handle, credentials)
    };
    Ok(Asked {
        handle,
        credentials,
        user_name: user.name,
    })
}

/// `POST /api/authentication/verification`
pub(super) async fn verification(
    State(context): State<Context>,
    visitor: Visitor,
    session: Option<Session>,
    Json(answer): Json<Answer<AuthenticationResponseJson>>,
) -> Result<Response, Problem> {
    let pending: Pending =
        ceremony::take(&context.base, visitor, CEREMONY, answer.ceremony).await?;
    let asking = Asking {
        context: &context,
        visitor,
        session,
        pending,
        answer: &answer,
    };
    for _ in 0..MOST_TRIES {
        if let Some(response) = asking.attempt().await? {
            return Ok(response);
        }
    }
    Err(Problem::new(
        &CREDENTIAL_CHANGED,
        "Many sign-ins with this key finished at the same moment. Sign in again.",
    ))
}

/// One answer, until it is concluded.
struct Asking<'a> {
    context: &'a Context,
    visitor: Visitor,
    session: Option<Session>,
    pending: Pending,
    answer: &'a Answer<AuthenticationResponseJson>,
}

impl Asking<'_> {
    fn id(&self) -> &CeremonyId {
        &self.answer.ceremony
    }

    /// Checks the answer against the record as it is now. `None` if the record changed meanwhile.
    async fn attempt(&self) -> Result<Option<Response>, Problem> {
        let response = &self.answer.credential;
        let state: ChallengeState = serde_json::from_value(self.pending.state.clone())
            .map_err(|error| Problem::internal("stored challenge", &error))?;
        let id = &response.raw_id;
        let stored = self.context.base.store.credential(Realm::Site, id).await?;
        let known = match &stored {
            Some(stored) => Some(record(stored)?),
            None => self.stranger(),
        };
        let finished = authentication::finish(state, response, known.as_ref(), unix_now());
        match (finished, stored, known) {
            (Ok(verdict), Some(stored), Some(known)) => self.accept(&verdict, &stored, known).await,
            (Ok(_), _, _) => {
                let found = id.clone();
                Err(self.refuse(&Refusal::UnknownCredential { found }).await)
            }
            (Err(refusal), _, _) => Err(self.refuse(&refusal).await),
        }
    }

    /// The record of a key that nobody has, if the answer claims to come from one.
    fn stranger(&self) -> Option<CredentialRecord> {
        let name = self.pending.user_name.as_deref()?;
        let rp_id = self.context.base.relying_party.id();
        let records = self.context.strangers.records(name, rp_id);
        let id = &self.answer.credential.raw_id;
        records.into_iter().find(|record| record.id == *id)
    }

    async fn accept(
        &self,
        verdict: &Verdict,
        stored: &StoredCredential,
        mut known: CredentialRecord,
    ) -> Result<Option<Response>, Problem> {
        let context = self.context;
        let store = &context.base.store;
        verdict.apply_to(&mut known, self.vouched(verdict));
        let Some(user) = store.user_of(&known.user_handle).await? else {
            return Ok(None); // deleted this very moment: the next try finds no credential
        };
        let strength = Strength {
            method: Method::Authentication,
            user_verified: verdict.user_verified,
            multi_factor: verdict.user_verified && known.uv_initialized,
        };
        let session = Beginning::new(context, strength)?;
        let entry = Entry {
            credential: Some(&known.id),
            aaguid: Some(known.aaguid.to_string()),
            user_verified: Some(verdict.user_verified),
            ceremony: Some(&self.id().0),
            ..Entry::now(Event::SignedIn).by(&user)
        };
        let row = session.row(self.visitor, &user.handle, Some(&known.id));
        let after = ceremony::text(&known)?;
        if !store.sign_in(stored, &after, &row, &entry).await? {
            return Ok(None);
        }
        context
            .metrics
            .ceremony(CEREMONY, Some(verdict.user_verified));
        let body = json!({
            "credential": known.id,
            "userVerified": verdict.user_verified,
            "uvInitialized": known.uv_initialized,
            "stepUpNeeded": verdict.step_up_needed,
            "signCount": verdict.sign_count,
            "help": verdict.help,
        });
        Ok(Some(session.answer(&context.rules, &user.name, body)))
    }

    /// Whether another factor stands for a UV flag seen for the first time: a recovery code that was
    /// used a short time ago, in this session.
    fn vouched(&self, verdict: &Verdict) -> UvInitialization {
        let recovered = self.session.as_ref().is_some_and(|session| {
            let fresh_until = session
                .authenticated_at
                .saturating_add(self.context.rules.fresh_for);
            session.method == Method::Recovery
                && session.user.handle == *verdict.user_handle
                && unix_now() <= fresh_until
        });
        if recovered {
            UvInitialization::AuthorizedByOtherFactor
        } else {
            UvInitialization::Keep
        }
    }

    async fn refuse(&self, refusal: &Refusal) -> Problem {
        self.context.metrics.ceremony(CEREMONY, None);
        let entry = Entry {
            user_name: self.pending.user_name.as_deref(),
            credential: Some(&self.answer.credential.raw_id),
            code: Some(refusal.code()),
            ceremony: Some(&self.id().0),
            ..Entry::now(Event::SignInRefused)
        };
        match self.context.base.store.write_down(&entry).await {
            // In words that are the same for every account: what was expected here would tell of it.
            Ok(()) => Problem::refused(refusal.code(), refusal.help()),
            Err(problem) => problem,
        }
    }
}
