//! Who is signed in, how well, and what that allows.

use axum::extract::{FromRequestParts, OptionalFromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rp::CredentialRecord;
use rp::policy::UserVerificationPolicy;
use serde_json::{Value, json};

use super::{Context, Rules};
use crate::problem::{Problem, REAUTHENTICATION_NEEDED, SESSION_MISSING, USER_VERIFICATION_NEEDED};
use crate::registration::records;
use crate::store::{Method, NewSession, Session, unix_now};
use crate::visitor::{self, Visitor};

impl FromRequestParts<Context> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let session = match parts.extensions.get::<Visitor>() {
            Some(id) => context.base.store.session(*id, unix_now()).await?,
            None => None,
        };
        session.ok_or_else(|| Problem::new(&SESSION_MISSING, "Sign in first."))
    }
}

impl OptionalFromRequestParts<Context> for Session {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &Context,
    ) -> Result<Option<Self>, Problem> {
        match parts.extensions.get::<Visitor>() {
            Some(id) => context.base.store.session(*id, unix_now()).await,
            None => Ok(None),
        }
    }
}

/// How well somebody was authenticated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strength {
    pub(super) method: Method,
    pub(super) user_verified: bool,
    pub(super) multi_factor: bool,
}

/// A session about to begin, under a cookie that nobody has had before.
pub(super) struct Beginning {
    id: Visitor,
    cookie: HeaderValue,
    strength: Strength,
    now: u64,
    expires_at: u64,
}

impl Beginning {
    pub(super) fn new(context: &Context, strength: Strength) -> Result<Self, Problem> {
        let (id, cookie) = visitor::fresh(context.base.site.https)?;
        let now = unix_now();
        Ok(Self {
            id,
            cookie,
            strength,
            now,
            expires_at: now.saturating_add(context.rules.session_lifetime),
        })
    }

    /// As a row, in the place of what the asking cookie stood for.
    pub(super) fn row<'a>(
        &self,
        replaces: Visitor,
        user: &'a [u8],
        credential: Option<&'a [u8]>,
    ) -> NewSession<'a> {
        NewSession {
            id: self.id,
            replaces,
            user,
            credential,
            method: self.strength.method,
            user_verified: self.strength.user_verified,
            multi_factor: self.strength.multi_factor,
            now: self.now,
            expires_at: self.expires_at,
        }
    }

    /// The answer that tells the client its new cookie.
    pub(super) fn answer(&self, rules: &Rules, user_name: &str, rest: Value) -> Response {
        let Strength {
            method,
            user_verified,
            multi_factor,
        } = self.strength;
        let mut body = rest;
        body["session"] = json!({
            "userName": user_name,
            "method": method,
            "userVerified": user_verified,
            "multiFactor": multi_factor,
            "authenticatedAt": self.now,
            "freshUntil": self.now.saturating_add(rules.fresh_for),
            "expiresAt": self.expires_at,
        });
        let mut response = axum::Json(body).into_response();
        response
            .headers_mut()
            .append(header::SET_COOKIE, self.cookie.clone());
        response
    }
}

/// `GET /api/session`
pub(super) async fn show(
    State(context): State<Context>,
    session: Session,
) -> Result<axum::Json<Value>, Problem> {
    let codes = context.base.store.recovery_codes(&session.user).await?;
    Ok(axum::Json(json!({
        "userName": session.user.name,
        "method": session.method,
        "userVerified": session.user_verified,
        "multiFactor": session.multi_factor,
        "authenticatedAt": session.authenticated_at,
        "freshUntil": session.authenticated_at.saturating_add(context.rules.fresh_for),
        "expiresAt": session.expires_at,
        "recoveryCodes": codes,
    })))
}

/// `DELETE /api/session`
pub(super) async fn sign_out(
    State(context): State<Context>,
    session: Session,
) -> Result<Response, Problem> {
    context.base.store.sign_out(&session).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let gone = visitor::gone(context.base.site.https)?;
    response.headers_mut().append(header::SET_COOKIE, gone);
    Ok(response)
}

/// The records of the session's account.
pub(super) async fn own_records(
    context: &Context,
    session: &Session,
) -> Result<Vec<CredentialRecord>, Problem> {
    records(&context.base.store.credentials(&session.user).await?)
}

/// Whether the session may change how the account is signed in to: authenticated a short time ago,
/// and with user verification if the policy wants that for such things.
pub(super) fn may_change(
    rules: &Rules,
    session: &Session,
    own: &[CredentialRecord],
) -> Result<(), Problem> {
    if unix_now() > session.authenticated_at.saturating_add(rules.fresh_for) {
        return Err(Problem::new(
            &REAUTHENTICATION_NEEDED,
            "Authenticate again with \"reauthenticate\": true, then repeat this.",
        ));
    }
    let verified = match verification_needed(rules.user_verification, own) {
        Needed::No => true,
        Needed::Flag => session.user_verified,
        Needed::Reliable => session.multi_factor,
    };
    // A recovery code is a factor as good as user verification.
    if verified || session.method == Method::Recovery {
        return Ok(());
    }
    Err(Problem::new(
        &USER_VERIFICATION_NEEDED,
        "Authenticate again with \"reauthenticate\": true and the PIN, fingerprint or face of the \
         key, then repeat this.",
    ))
}

/// How much user verification something sensitive needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    /// None.
    No,
    /// The UV flag. No key of the account has ever vouched for its user, so there is nothing better
    /// that could be asked for.
    Flag,
    /// The UV flag of a key whose flag may be relied on.
    Reliable,
}

/// What the policy wants of an account with these credentials before something sensitive.
pub(super) fn verification_needed(
    policy: UserVerificationPolicy,
    own: &[CredentialRecord],
) -> Needed {
    use UserVerificationPolicy as P;
    let any = own.iter().any(|record| record.uv_initialized);
    match (policy, any) {
        (P::Never | P::IfSet, _) | (P::OnceSetAlways, false) => Needed::No,
        (P::Always | P::StepUp, false) => Needed::Flag,
        (P::Always | P::StepUp | P::OnceSetAlways, true) => Needed::Reliable,
    }
}
