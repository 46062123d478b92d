//! `pinward serve`: the relying party of one site.
//!
//! Accounts are site-wide. The operator says when users are verified ([`ServiceConfig::new`] takes a
//! policy, and there is no default); the policy is stored with each challenge and enforced on the
//! answer, and no client has a say in it.
//!
//! ```no_run
//! # async fn run() -> Result<(), server::ServeError> {
//! use server::{Service, ServiceConfig, Storage, UserVerificationPolicy};
//! let config = ServiceConfig::new(
//!     ([127, 0, 0, 1], 8443).into(),
//!     "https://login.example.org",
//!     "Example",
//!     UserVerificationPolicy::Always,
//!     Storage::File("accounts.sqlite".into()),
//! );
//! Service::bind(config).await?.run(std::future::pending()).await
//! # }
//! ```

mod admin;
mod authentication;
mod credentials;
mod metrics;
mod monitor;
mod rate;
mod recovery;
mod registration;
mod routes;
mod session;
mod strangers;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use rp::TrustAnchors;
use rp::metadata::{self, FIDO_ALLIANCE, Metadata};
use rp::policy::UserVerificationPolicy;
use tokio::net::TcpListener;
use webauthn::options::ResidentKeyRequirement;

use crate::config::{Limits, Storage};
use crate::listen::{Bounded, Peer};
use crate::store::Store;
use crate::{Base, ServeError};

use metrics::Metrics;
pub use rate::Rate;
use rate::Rates;
use strangers::Strangers;

/// What `Service::bind` needs to know.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin that browsers see, such as `https://login.example.org`.
    pub origin: String,
    /// The RP ID; the host of the origin if nothing is said.
    pub rp_id: Option<String>,
    /// The name of the relying party, as dialogs show it.
    pub name: String,
    /// When users are verified.
    pub user_verification: UserVerificationPolicy,
    /// Whether new credentials are discoverable, so that they sign in without a user name.
    pub resident_key: ResidentKeyRequirement,
    /// Where the records live.
    pub storage: Storage,
    /// A BLOB of the FIDO Metadata Service. With it, new credentials are asked for their attestation:
    /// one that is there must lead to a root of its model, and models with a bad status are refused.
    pub metadata: Option<PathBuf>,
    /// How long a session lasts.
    pub session_lifetime: Duration,
    /// How long after an authentication a session may still change credentials.
    pub fresh_for: Duration,
    /// Requests that change something, from one address.
    pub address_rate: Rate,
    /// Ceremonies begun for one user name.
    pub account_rate: Rate,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Bounds that keep one client from using up the service.
    pub limits: Limits,
}

impl ServiceConfig {
    /// The service of one site, everything else as usual.
    ///
    /// New credentials are discoverable under the policy `always` only: platforms ask for the PIN, and
    /// have people create one, when a security key is to make a discoverable credential, whatever the
    /// site says about user verification.
    #[must_use]
    pub fn new(
        listen: SocketAddr,
        origin: impl Into<String>,
        name: impl Into<String>,
        user_verification: UserVerificationPolicy,
        storage: Storage,
    ) -> Self {
        Self {
            listen,
            origin: origin.into(),
            rp_id: None,
            name: name.into(),
            user_verification,
            resident_key: match user_verification {
                UserVerificationPolicy::Always => ResidentKeyRequirement::Preferred,
                _ => ResidentKeyRequirement::Discouraged,
            },
            storage,
            metadata: None,
            session_lifetime: Duration::from_secs(12 * 3600),
            fresh_for: Duration::from_secs(10 * 60),
            address_rate: Rate::new(60, 60),
            account_rate: Rate::new(20, 10),
            trusted_proxies: Vec::new(),
            limits: Limits {
                challenges: 50_000,
                ..Limits::default()
            },
        }
    }
}

/// What the operator has decided.
#[derive(Debug)]
struct Rules {
    user_verification: UserVerificationPolicy,
    resident_key: ResidentKeyRequirement,
    session_lifetime: u64,
    fresh_for: u64,
    anchors: TrustAnchors,
}

/// What every handler can reach.
#[derive(Clone)]
struct Context {
    base: Base,
    rules: Arc<Rules>,
    rates: Arc<Rates>,
    strangers: Arc<Strangers>,
    metrics: Arc<Metrics>,
}

impl FromRef<Context> for Base {
    fn from_ref(context: &Context) -> Self {
        context.base.clone()
    }
}

/// A service that listens already and answers once it runs.
pub struct Service {
    context: Context,
    listener: TcpListener,
    address: SocketAddr,
}

impl Service {
    /// Opens the database and the listener.
    ///
    /// # Errors
    /// [`ServeError`] says what to change.
    pub async fn bind(config: ServiceConfig) -> Result<Self, ServeError> {
        let failed = |error| ServeError::Listen {
            address: config.listen,
            error,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut site = crate::site(Some(&config.origin), address)?;
        site.loopback_port = None;
        site.any_host = &["/health", "/metrics"];
        let relying_party =
            crate::relying_party(&site, config.rp_id.as_deref(), config.name.as_str())?;
        let anchors = anchors(config.metadata.as_deref())?;
        let store = Store::open(&config.storage).await?;
        let strangers = Strangers::open(&store).await?;
        let context = Context {
            rules: Arc::new(Rules {
                user_verification: config.user_verification,
                resident_key: config.resident_key,
                session_lifetime: config.session_lifetime.as_secs(),
                fresh_for: config.fresh_for.as_secs(),
                anchors,
            }),
            rates: Arc::new(Rates::new(
                store.clone(),
                config.address_rate,
                config.account_rate,
                config.trusted_proxies,
            )),
            strangers: Arc::new(strangers),
            metrics: Arc::default(),
            base: Base {
                site: Arc::new(site),
                relying_party: Arc::new(relying_party),
                limits: Arc::new(config.limits),
                store,
            },
        };
        Ok(Self {
            context,
            listener,
            address,
        })
    }

    /// The address that it listens on, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin that it serves.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.context.base.site.origin
    }

    /// Answers requests until `shutdown` is ready, then finishes those under way.
    ///
    /// # Errors
    /// [`ServeError::Serve`] when the listener breaks.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let limits = &self.context.base.limits;
        let listener = Bounded::new(
            self.listener,
            limits.connections,
            Duration::from_secs(limits.idle_seconds),
        );
        let store = self.context.base.store.clone();
        let sweeper = tokio::spawn(sweep(store.clone()));
        let routes = routes::router(self.context);
        let served = axum::serve(
            listener,
            routes.into_make_service_with_connect_info::<Peer>(),
        )
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(ServeError::Serve);
        sweeper.abort();
        store.close().await;
        served
    }
}

/// The roots that the metadata knows; none without.
fn anchors(path: Option<&Path>) -> Result<TrustAnchors, ServeError> {
    let Some(path) = path else {
        return Ok(TrustAnchors::none());
    };
    let wrong = |error: &dyn std::fmt::Display| ServeError::Metadata {
        path: path.to_owned(),
        error: error.to_string(),
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    let root = metadata::fido_alliance_root().map_err(|error| wrong(&error))?;
    let now = crate::store::unix_now();
    let read = Metadata::read(&bytes, &root, FIDO_ALLIANCE, now).map_err(|error| wrong(&error))?;
    if read.is_outdated(now, 0) {
        tracing::warn!(
            next_update = %read.next_update(),
            "the metadata is older than it should be: fetch it anew"
        );
    }
    Ok(TrustAnchors::none().with_metadata(Arc::new(read)))
}

/// Removes what is over, for as long as the service runs. Every node does it; it does no harm.
async fn sweep(store: Store) {
    let mut clock = tokio::time::interval(Duration::from_secs(30));
    loop {
        clock.tick().await;
        // What failed is in the log, and is tried again.
        let _ = store.sweep(crate::store::unix_now()).await;
    }
}

/// Every route, as `(method, path)`, in the words of the OpenAPI document.
#[must_use]
pub fn service_routes() -> Vec<(&'static str, &'static str)> {
    routes::table()
        .into_iter()
        .map(|route| (route.method, route.path))
        .collect()
}
