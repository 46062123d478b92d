//! The relying party as a service, with its demo page.
//!
//! ```no_run
//! # async fn run() -> Result<(), server::ServeError> {
//! let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
//! let server = server::Server::bind(server::Config::new(listen, server::Storage::Ephemeral)).await?;
//! println!("open {}", server.origin());
//! server.run(std::future::pending()).await
//! # }
//! ```
//!
//! [`Server`] is the demo, [`Service`] the relying party of a site; they share the records, the checks
//! and the guard.
//!
//! The HTTP API is JSON both ways; refusals are problem documents (RFC 9457). A visitor of
//! the demo is known by a random cookie; accounts, keys and dialogs belong to one visitor and are never shown to another.

mod authentication;
mod body;
mod ceremony;
mod checks;
mod choices;
mod comparison;
mod config;
mod decoded;
mod explanation;
mod guard;
mod listen;
mod page;
mod problem;
mod registration;
mod service;
mod session;
mod simulation;
mod store;
pub mod tokens;
mod visitor;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use rp::RelyingParty;
use tokio::net::TcpListener;

pub use config::{Config, Limits, Storage, default_database};
pub use rp::policy::UserVerificationPolicy;
pub use service::{Rate, Service, ServiceConfig, service_routes};
pub use store::{StoreError, measure_store};
pub use webauthn::options::ResidentKeyRequirement;

use guard::Site;
use listen::Bounded;
use problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem};
use simulation::Desks;
use store::Store;

/// What demo and site have in common: who we are, and the records.
#[derive(Clone)]
struct Base {
    site: Arc<Site>,
    relying_party: Arc<RelyingParty>,
    limits: Arc<Limits>,
    store: Store,
}

/// What every handler of the demo can reach.
#[derive(Clone)]
struct App {
    base: Base,
    desks: Arc<Desks>,
    comparisons: Arc<comparison::Known>,
}

/// The demo is a relying party with a desk beside it.
impl std::ops::Deref for App {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl FromRef<App> for Base {
    fn from_ref(app: &App) -> Self {
        app.base.clone()
    }
}

/// A service that listens already and answers once it runs.
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the service cannot start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use or not ours.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The origin is no https or localhost origin.
    #[error(
        "the origin {0} will not do: it must be like https://example.org or http://localhost:8080, without a path"
    )]
    Origin(String),
    /// Listening to the network without a name: WebAuthn works for names only.
    #[error(
        "listening on {0}, not on the loopback interface, needs the origin that browsers will use, such as https://demo.example.org"
    )]
    OriginMissing(SocketAddr),
    /// The RP ID is not one that pages of the origin may use.
    #[error("the RP ID {id} will not do: {error}")]
    RpId {
        /// The RP ID.
        id: String,
        /// Why not.
        error: webauthn::rp_id::RpIdError,
    },
    /// The metadata of models.
    #[error("cannot use the metadata {path}: {error}")]
    Metadata {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The listener broke.
    #[error("the listener failed: {0}")]
    Serve(std::io::Error),
}

impl Server {
    /// Opens the database and the listener.
    ///
    /// # Errors
    /// [`ServeError`] says what to change.
    pub async fn bind(config: Config) -> Result<Self, ServeError> {
        let failed = |error| ServeError::Listen {
            address: config.listen,
            error,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = site(config.origin.as_deref(), address)?;
        let relying_party = relying_party(&site, None, &config.name)?;
        let app = App {
            desks: Arc::new(Desks::new(config.limits.visitors)),
            comparisons: Arc::default(),
            base: Base {
                site: Arc::new(site),
                relying_party: Arc::new(relying_party),
                limits: Arc::new(config.limits),
                store: Store::open(&config.storage).await?,
            },
        };
        Ok(Self {
            app,
            listener,
            address,
        })
    }

    /// The address that it listens on, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to type into a browser.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.app.site.origin
    }

    /// Answers requests until `shutdown` is ready, then finishes those under way.
    ///
    /// # Errors
    /// [`ServeError::Serve`] when the listener breaks.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let limits = &self.app.limits;
        let listener = Bounded::new(
            self.listener,
            limits.connections,
            Duration::from_secs(limits.idle_seconds),
        );
        let store = self.app.store.clone();
        let served = axum::serve(listener, routes(self.app))
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(ServeError::Serve);
        store.close().await;
        served
    }
}

/// Every route, inside the checks.
fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/web/{file}", get(page::file))
        .route("/problems", get(page::problems))
        .route("/api/registration/options", post(registration::options))
        .route(
            "/api/registration/verification",
            post(registration::verification),
        )
        .route("/api/authentication/options", post(authentication::options))
        .route(
            "/api/authentication/verification",
            post(authentication::verification),
        )
        .route("/api/choices", get(choices::all))
        .route("/api/comparison", get(comparison::all))
        .route("/api/simulation/start", post(simulation::start))
        .route("/api/simulation/answer", post(simulation::answer))
        .route("/api/simulation/power-cycle", post(simulation::power_cycle))
        .route("/api/simulation/replace", post(simulation::replace))
        .route("/api/session", get(session::whole))
        .route("/api/accounts/{handle}", delete(session::delete_account))
        .route("/api/ceremonies/{id}", get(session::ceremony))
        .route("/api/ceremonies/{id}/failure", post(session::failure))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(
            (app.base.clone(), visitor::readers as visitor::Welcome),
            visitor::recognise,
        ))
        .layer(from_fn_with_state(app.base.clone(), guard::guard))
        .layer(map_response(plain_errors))
        .with_state(app)
}

async fn not_found() -> Problem {
    Problem::new(&NOT_FOUND, "There is no such route.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        &METHOD_NOT_ALLOWED,
        "See the Allow header for the methods of this route.",
    )
}

/// Refusals of axum itself (a query that cannot be read, say) become problem documents too.
async fn plain_errors(response: Response) -> Response {
    let status = response.status();
    let ours = response
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/problem+json");
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = Problem::of_status(status).into_response();
    for (name, value) in problem.headers() {
        parts.headers.insert(name, value.clone());
    }
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, problem.into_body())
}

/// The origin, checked and taken apart.
fn site(origin: Option<&str>, address: SocketAddr) -> Result<Site, ServeError> {
    let loopback = address.ip().is_loopback();
    let text = match origin {
        Some(origin) => origin.to_owned(),
        None if loopback => format!("http://localhost:{}", address.port()),
        None => return Err(ServeError::OriginMissing(address)),
    };
    let wrong = || ServeError::Origin(text.clone());
    let url = url::Url::parse(&text).map_err(|_| wrong())?;
    let host = match url.host() {
        Some(url::Host::Domain(host)) => host.to_owned(),
        _ => return Err(wrong()),
    };
    let https = url.scheme() == "https";
    let local = host == "localhost" || host.ends_with(".localhost");
    let serialised = url.origin().ascii_serialization();
    // The round trip refuses paths, queries, credentials and other spellings.
    if !(https || (url.scheme() == "http" && local)) || serialised != text.trim_end_matches('/') {
        return Err(wrong());
    }
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.clone(),
    };
    let loopback_port = (loopback && host == "localhost").then_some(address.port());
    Ok(Site {
        origin: serialised,
        authority,
        host,
        https,
        loopback_port,
        any_host: &[],
    })
}

/// The relying party that has this one origin; its RP ID is the host if nothing else is said.
fn relying_party(site: &Site, id: Option<&str>, name: &str) -> Result<RelyingParty, ServeError> {
    let origin = site
        .origin
        .parse()
        .map_err(|_| ServeError::Origin(site.origin.clone()))?;
    let id = id.unwrap_or(&site.host).to_owned();
    RelyingParty::new(id.clone(), name, [origin]).map_err(|error| ServeError::RpId { id, error })
}

/// `BYTES` random bytes as hexadecimal digits.
fn random_hex<const BYTES: usize>() -> Result<String, Problem> {
    Ok(hex(&random::<BYTES>()?))
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The operating system's generator, as the protocol crates take it.
fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// Random bytes of the operating system.
fn random<const BYTES: usize>() -> Result<[u8; BYTES], Problem> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal("random numbers", &error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn of(origin: Option<&str>, address: &str) -> Result<Site, ServeError> {
        site(origin, address.parse().unwrap())
    }

    #[test]
    fn without_an_origin_it_is_localhost() {
        let site = of(None, "127.0.0.1:8080").unwrap();
        assert_eq!(site.origin, "http://localhost:8080");
        assert_eq!(
            (site.authority.as_str(), site.host.as_str()),
            ("localhost:8080", "localhost")
        );
    }

    #[test]
    fn the_network_needs_an_origin() {
        assert!(matches!(
            of(None, "0.0.0.0:80"),
            Err(ServeError::OriginMissing(_))
        ));
        let site = of(Some("https://demo.example.org"), "0.0.0.0:80").unwrap();
        assert!(site.https && site.loopback_port.is_none());
        assert_eq!(site.authority, "demo.example.org");
    }

    #[test]
    fn origins_that_webauthn_refuses_are_refused() {
        for text in [
            "http://demo.example.org",
            "https://192.0.2.1",
            "https://demo.example.org/path",
            "https://user@demo.example.org",
            "demo.example.org",
            "ftp://localhost",
        ] {
            assert!(
                matches!(of(Some(text), "127.0.0.1:1"), Err(ServeError::Origin(_))),
                "{text}"
            );
        }
    }
}
