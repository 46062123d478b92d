//! Request bodies: `application/json` only, bounded in bytes and in time, parsed strictly.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::Base;
use crate::problem::{
    BODY_INCOMPLETE, BODY_TOO_LARGE, MALFORMED_JSON, Problem, WRONG_CONTENT_TYPE,
};

/// A JSON body of type `T`.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may carry a PIN: what is wrong with it is not told in detail, because the detail
/// could quote it.
pub(crate) struct SecretJson<T>(pub(crate) T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Base: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = body(request, Base::from_ref(state)).await?;
        serde_json::from_slice(&bytes).map(Json).map_err(|error| {
            Problem::new(&MALFORMED_JSON, format!("Cannot read the body: {error}."))
        })
    }
}

impl<S, T> FromRequest<S> for SecretJson<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Base: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = body(request, Base::from_ref(state)).await?;
        serde_json::from_slice(&bytes)
            .map(SecretJson)
            .map_err(|_| Problem::new(&MALFORMED_JSON, "The body is not what this route takes."))
    }
}

async fn body(request: Request, base: Base) -> Result<Bytes, Problem> {
    content_type(request.headers())?;
    let limits = &base.limits;
    let patience = Duration::from_secs(limits.body_seconds);
    read(request, limits.body, patience).await
}

/// `application/json`, with no parameter but `charset=utf-8`.
fn content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (essence, parameter) = match value.split_once(';') {
        Some((essence, parameter)) => (essence.trim_end(), parameter.trim()),
        None => (value, "charset=utf-8"),
    };
    if essence.eq_ignore_ascii_case("application/json")
        && parameter.eq_ignore_ascii_case("charset=utf-8")
    {
        return Ok(());
    }
    Err(Problem::new(
        &WRONG_CONTENT_TYPE,
        "Send the header Content-Type: application/json.",
    ))
}

async fn read(request: Request, limit: usize, patience: Duration) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            &BODY_TOO_LARGE,
            format!("At most {limit} bytes are taken here."),
        )
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let body: Body = request.into_body();
    match tokio::time::timeout(patience, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // The only error besides a broken connection, to which no answer can be sent anyway.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::new(
            &BODY_INCOMPLETE,
            format!("The body took longer than {} seconds.", patience.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use axum::http::HeaderValue;

    fn accepts(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
        content_type(&headers).is_ok()
    }

    #[test]
    fn only_json_is_taken() {
        assert!(accepts("application/json"));
        assert!(accepts("Application/JSON; charset=UTF-8"));
        assert!(!accepts("text/plain"));
        assert!(!accepts("application/json; charset=utf-16"));
        assert!(!accepts("application/x-www-form-urlencoded"));
        assert!(!accepts("application/jsonp"));
        assert!(content_type(&HeaderMap::new()).is_err());
    }
}
