//! RFC 9457 problem details: every refusal is JSON that says what was wrong and what to do.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A refusal, on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    title: &'static str,
    detail: String,
    retry_after: Option<u32>,
}

/// The members of `application/problem+json`, and `code` for programs.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Problem {
    /// A problem of the list below, with what was found this time.
    pub(crate) fn new(kind: &Kind, detail: impl Into<String>) -> Self {
        Self {
            status: kind.status,
            code: Cow::Borrowed(kind.code),
            title: kind.title,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// With the header that says when to come back.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What was found, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// A check of the relying party said no: `code` names the check.
    pub(crate) fn refused(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            ..Self::new(&REFUSED, detail)
        }
    }

    /// The fault is ours. The client learns only that; the log gets the rest.
    pub(crate) fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %error, "internal error");
        Self::new(
            &INTERNAL,
            "The service could not finish this. Nothing was changed; trying again is safe.",
        )
    }

    /// The problem for a bare status, where a library answered without a body of ours.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let kind = KINDS.iter().find(|kind| kind.status == status);
        let title = kind.map_or("The request was refused", |kind| kind.title);
        let code = kind.map_or("refused", |kind| kind.code);
        Self {
            status,
            code: Cow::Borrowed(code),
            title,
            detail: format!("{title}."),
            retry_after: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("/problems#{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
        };
        // Five strings and a number always serialise; an empty body would still carry the status.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, json).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// One kind of problem, as the page `/problems` lists it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// Stable name for programs.
    pub(crate) code: &'static str,
    /// Short title for people.
    pub(crate) title: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $title:literal;)*) => {
        $($(#[$doc])* pub(crate) static $name: Kind =
            Kind { status: StatusCode::$status, code: $code, title: $title };)*
        /// Every kind, for the page that explains them.
        pub(crate) static KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    /// The path or the query cannot be read.
    BAD_REQUEST = BAD_REQUEST "bad-request" "The request cannot be read";
    /// The body is not the JSON that this route takes.
    MALFORMED_JSON = BAD_REQUEST "malformed-json" "The body is not the JSON that this route takes";
    /// A member of the body has a value that the route does not know.
    UNKNOWN_CHOICE = BAD_REQUEST "unknown-choice" "There is no such choice";
    /// The body's media type is not application/json.
    WRONG_CONTENT_TYPE = UNSUPPORTED_MEDIA_TYPE "wrong-content-type" "Only application/json is taken here";
    /// The body is over the limit.
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body-too-large" "The body is too large";
    /// The body did not arrive in time, or the connection broke.
    BODY_INCOMPLETE = REQUEST_TIMEOUT "body-incomplete" "The body did not arrive";
    /// The Host header names another service (a DNS rebinding attack looks like this).
    WRONG_HOST = MISDIRECTED_REQUEST "wrong-host" "This service does not answer for that host";
    /// The request comes from another site, or does not say where it comes from.
    WRONG_ORIGIN = FORBIDDEN "wrong-origin" "Only the service's own pages may do this";
    /// The session is too old for something sensitive.
    REAUTHENTICATION_NEEDED = FORBIDDEN "reauthentication-needed" "Authenticate again for this";
    /// The session was begun without the user verification that something sensitive needs.
    USER_VERIFICATION_NEEDED = FORBIDDEN "user-verification-needed" "Authenticate with user verification for this";
    /// No bearer token, or none that is known.
    TOKEN_MISSING = UNAUTHORIZED "token-missing" "A token is needed";
    /// The token may not do this.
    SCOPE_MISSING = FORBIDDEN "scope-missing" "The token may not do this";
    /// No session cookie.
    SESSION_MISSING = UNAUTHORIZED "session-missing" "There is no session";
    /// No such route.
    NOT_FOUND = NOT_FOUND "not-found" "There is nothing here";
    /// The route exists, with another method.
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed" "This route takes another method";
    /// Too many ceremonies are open.
    TOO_MANY_CEREMONIES = TOO_MANY_REQUESTS "too-many-ceremonies" "Too many ceremonies are open";
    /// A rate limit is reached.
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS "too-many-requests" "Too many requests";
    /// The account's last credential cannot be deleted.
    LAST_CREDENTIAL = CONFLICT "last-credential" "This is the last key of the account";
    /// No such recovery code.
    RECOVERY_REFUSED = UNPROCESSABLE_ENTITY "recovery-refused" "The recovery code was refused";
    /// The visitor has as many accounts or credentials as they may have.
    LIMIT_REACHED = CONFLICT "limit-reached" "A limit of this service is reached";
    /// The challenge is not open: never issued to this session, or swept after it expired.
    CHALLENGE_UNKNOWN = CONFLICT "challenge-unknown" "This challenge is not open";
    /// The challenge was answered before; each can be answered once.
    CHALLENGE_USED = CONFLICT "challenge-used" "This challenge was already used";
    /// The answer came too late.
    CHALLENGE_EXPIRED = GONE "challenge-expired" "This challenge has expired";
    /// The account has no credential to sign in with.
    ACCOUNT_WITHOUT_KEY = CONFLICT "account-without-key" "This account has no key yet";
    /// Somebody else has an account of this name.
    USER_NAME_TAKEN = CONFLICT "user-name-taken" "This user name is taken";
    /// Another request changed the credential at the same time.
    CREDENTIAL_CHANGED = CONFLICT "credential-changed" "The credential changed meanwhile";
    /// No simulated dialog waits for an answer, or not for this one.
    NOTHING_PENDING = CONFLICT "nothing-pending" "No dialog is waiting for that";
    /// The simulated key is in use.
    DIALOG_OPEN = CONFLICT "dialog-open" "A dialog is open";
    /// A check of the relying party said no; the `code` names the check.
    REFUSED = UNPROCESSABLE_ENTITY "refused" "The relying party refused the answer";
    /// The database is out of reach, or has no connection to spare.
    DATABASE_UNREACHABLE = SERVICE_UNAVAILABLE "database-unreachable" "The database is out of reach";
    /// The fault is the service's.
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "The service failed";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_kind_has_its_own_code() {
        let mut codes: Vec<_> = KINDS.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), KINDS.len());
    }

    #[test]
    fn a_problem_is_problem_json_with_its_status() {
        let response = Problem::refused("challenge-mismatch", "why").into_response();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }
}
