//! Who may talk to us: host, origin and cross-site checks before a handler runs, and the headers
//! that keep our pages from being framed, sniffed or scripted by others.
//!
//! A page of another site can make a browser send requests here, with our cookie. Three facts stop
//! it: `Host` must be ours (DNS rebinding), a changing request must come from our own origin
//! (`Origin`, else `Sec-Fetch-Site`), and bodies must be `application/json`, which no form can send.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Base;
use crate::problem::{Problem, WRONG_HOST, WRONG_ORIGIN};

/// The names under which the service answers.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Serialised origin, such as `http://localhost:8080`.
    pub(crate) origin: String,
    /// Host and port of it, as a `Host` header has them.
    pub(crate) authority: String,
    /// Host of it: the RP ID.
    pub(crate) host: String,
    /// Whether browsers reach it by TLS.
    pub(crate) https: bool,
    /// Port of loopback addresses that are sent on to `localhost`, where WebAuthn works.
    pub(crate) loopback_port: Option<u16>,
    /// Paths that may be read under any name: monitoring knows machines by address.
    pub(crate) any_host: &'static [&'static str],
}

impl Site {
    /// Whether a `Host` value is an address of the loopback interface on our port.
    fn is_loopback_alias(&self, host: &str) -> bool {
        self.loopback_port.is_some_and(|port| {
            [format!("127.0.0.1:{port}"), format!("[::1]:{port}")].contains(&host.to_owned())
        })
    }
}

/// The middleware around every route.
pub(crate) async fn guard(State(base): State<Base>, request: Request, next: Next) -> Response {
    let mut response = match admit(&base.site, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    protect(response.headers_mut());
    response
}

/// Host first, then origin.
fn admit(site: &Site, request: &Request) -> Result<(), Box<Response>> {
    let host = named_host(request)?;
    if host != site.authority {
        let safe = matches!(*request.method(), Method::GET | Method::HEAD);
        if safe && site.any_host.contains(&request.uri().path()) {
            return Ok(());
        }
        if safe && request.uri().path() == "/" && site.is_loopback_alias(&host) {
            return Err(Box::new(send_on(site)));
        }
        let detail = format!("Use {} instead.", site.origin);
        return Err(refuse(Problem::new(&WRONG_HOST, detail)));
    }
    same_origin(site, request.method(), request.headers())
        .map_err(|detail| refuse(Problem::new(&WRONG_ORIGIN, detail)))
}

fn refuse(problem: Problem) -> Box<Response> {
    Box::new(problem.into_response())
}

/// The one host that the request names (RFC 9112 §3.2: exactly one `Host`, and the target wins).
fn named_host(request: &Request) -> Result<String, Box<Response>> {
    let wrong = |detail: &str| refuse(Problem::new(&WRONG_HOST, detail));
    let mut values = request.headers().get_all(header::HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong("The request must carry exactly one Host header."));
    };
    let host = value
        .to_str()
        .map_err(|_| wrong("The Host header is not readable."))?;
    match request.uri().authority().map(Authority::as_str) {
        Some(target) if target != host => Err(wrong("Host and request target disagree.")),
        _ => Ok(host.to_ascii_lowercase()),
    }
}

/// An IP address is no RP ID, so the page must be seen under its name.
fn send_on(site: &Site) -> Response {
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("{}/", site.origin)) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// Whether a request may act. Reading is free (no CORS header ever lets another site see the
/// answer); changing needs a proof that our own page asks.
fn same_origin(site: &Site, method: &Method, headers: &HeaderMap) -> Result<(), String> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let fetch_site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if let Some(value) = fetch_site
        && value != b"same-origin"
    {
        return Err("Sec-Fetch-Site says that another site sent this.".to_owned());
    }
    match headers.get(header::ORIGIN) {
        Some(origin) if origin.as_bytes() == site.origin.as_bytes() => Ok(()),
        Some(_) => Err(format!("The Origin header must be {}.", site.origin)),
        None if fetch_site.is_some() => Ok(()),
        None => Err(format!(
            "Say where this comes from: send the header Origin: {}.",
            site.origin
        )),
    }
}

/// Scripts and styles from our own files only, no inline code, no strings into the DOM as markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const PERMISSIONS_POLICY: &str = "publickey-credentials-create=(self), \
    publickey-credentials-get=(self), camera=(), geolocation=(), microphone=(), payment=(), usb=()";

fn protect(headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        PERMISSIONS_POLICY,
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn site() -> Site {
        Site {
            origin: "http://localhost:8080".to_owned(),
            authority: "localhost:8080".to_owned(),
            host: "localhost".to_owned(),
            https: false,
            loopback_port: Some(8080),
            any_host: &[],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn may_post(pairs: &[(&'static str, &'static str)]) -> bool {
        same_origin(&site(), &Method::POST, &headers(pairs)).is_ok()
    }

    #[test]
    fn a_post_needs_our_origin() {
        assert!(may_post(&[("origin", "http://localhost:8080")]));
        assert!(may_post(&[("sec-fetch-site", "same-origin")]));
        assert!(!may_post(&[]));
        assert!(!may_post(&[("origin", "null")]));
        assert!(!may_post(&[("origin", "http://localhost:8081")]));
        assert!(!may_post(&[("origin", "https://localhost:8080")]));
        assert!(!may_post(&[("sec-fetch-site", "same-site")]));
        assert!(!may_post(&[
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "cross-site")
        ]));
    }

    #[test]
    fn only_the_loopback_addresses_are_aliases() {
        assert!(site().is_loopback_alias("127.0.0.1:8080"));
        assert!(site().is_loopback_alias("[::1]:8080"));
        assert!(!site().is_loopback_alias("127.0.0.1:8081"));
        assert!(!site().is_loopback_alias("rebound.example:8080"));
    }
}
