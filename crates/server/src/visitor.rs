//! Who is asking: an anonymous visitor, known by a random cookie and nothing else.
//!
//! The cookie carries 256 random bits; the service keeps only their SHA-256, so neither the
//! database nor a log can be used to take over a session.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Base;
use crate::problem::{Problem, SESSION_MISSING};

/// Thirty days.
const COOKIE_SECONDS: u32 = 30 * 24 * 3600;

/// SHA-256 of the session cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Visitor(pub(crate) [u8; 32]);

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Enough to follow one visitor through a log.
        let [a, b, c, d, ..] = self.0;
        write!(f, "Visitor({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

impl Visitor {
    fn of(token: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self(hash)
    }
}

/// Which requests without a cookie get one.
pub(crate) type Welcome = fn(&Request) -> bool;

/// The demo welcomes whoever reads a page.
pub(crate) fn readers(request: &Request) -> bool {
    *request.method() == Method::GET
}

/// Finds the visitor of a request; gives a new visitor their cookie where they are welcome.
pub(crate) async fn recognise(
    State((base, welcome)): State<(Base, Welcome)>,
    mut request: Request,
    next: Next,
) -> Response {
    let name = cookie_name(base.site.https);
    let mut visitor = token(request.headers(), name).map(Visitor::of);
    let mut cookie = None;
    if visitor.is_none() && welcome(&request) {
        match fresh(base.site.https) {
            Ok((new, value)) => (visitor, cookie) = (Some(new), Some(value)),
            Err(problem) => return problem.into_response(),
        }
    }
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    let mut response = next.run(request).await;
    // A handler that signed somebody in has set a cookie of its own.
    if let Some(value) = cookie
        && !response.headers().contains_key(header::SET_COOKIE)
    {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A visitor nobody has seen before, and the cookie that will tell them.
pub(crate) fn fresh(https: bool) -> Result<(Visitor, HeaderValue), Problem> {
    let token = crate::random_hex::<32>()?;
    let value = HeaderValue::from_str(&cookie(cookie_name(https), &token, https))
        .map_err(|error| Problem::internal("cookie", &error))?;
    Ok((Visitor::of(&token), value))
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| {
            Problem::new(
                &SESSION_MISSING,
                "Open the page first (GET /) and keep the cookie that it sets.",
            )
        })
    }
}

/// The cookie that makes a browser forget.
pub(crate) fn gone(https: bool) -> Result<HeaderValue, Problem> {
    let name = cookie_name(https);
    let secure = if https { "; Secure" } else { "" };
    let value = format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&value).map_err(|error| Problem::internal("cookie", &error))
}

/// `__Host-` ties the cookie to this very host, but browsers take it over TLS only.
fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-pinward" } else { "pinward" }
}

fn cookie(name: &str, token: &str, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{name}={token}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}")
}

/// The session token of a `Cookie` header: 64 hexadecimal digits, anything else counts as none.
fn token<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .filter(|value| value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_a_whole_token_counts() {
        let good = "a".repeat(64);
        let header = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(value).unwrap());
            headers
        };
        assert_eq!(
            token(&header(&format!("x=1; pinward={good}")), "pinward"),
            Some(good.as_str())
        );
        assert_eq!(token(&header("pinward=short"), "pinward"), None);
        assert_eq!(
            token(&header(&format!("notpinward={good}")), "pinward"),
            None
        );
        assert_eq!(
            token(&header(&format!("pinward={}", "z".repeat(64))), "pinward"),
            None
        );
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let text = cookie("__Host-pinward", "t", true);
        assert!(text.contains("; HttpOnly; SameSite=Lax; Secure"));
        assert!(!text.contains("Domain"));
    }
}
