//! `pinward serve`: the relying party of one site.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use server::{ResidentKeyRequirement, Service, ServiceConfig, Storage, UserVerificationPolicy};

use crate::demo::{self, DemoError};

/// Runs the relying party of a site: accounts, registration, sign-in and sessions over HTTP.
///
/// It speaks plain HTTP: put a proxy with TLS in front of it. The API is described at /openapi.json.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// The origin that browsers see, such as https://login.example.org.
    #[arg(long, value_name = "URL")]
    origin: String,
    /// The RP ID: the host of the origin, if nothing is said, or a domain above it.
    #[arg(long, value_name = "DOMAIN")]
    rp_id: Option<String>,
    /// The name of the site, as dialogs show it.
    #[arg(long)]
    name: String,
    /// When users are verified (PIN, fingerprint, face). There is no default.
    #[arg(long, value_enum, value_name = "POLICY")]
    uv: Uv,
    /// Whether new credentials are discoverable. Platforms ask for a PIN, or have one created, for
    /// discoverable credentials on security keys, so the default is `preferred` with `--uv always`
    /// and `discouraged` otherwise.
    #[arg(long, value_enum, value_name = "REQUIREMENT")]
    resident_key: Option<ResidentKey>,
    /// The SQLite file with the records.
    #[arg(long, value_name = "FILE")]
    database: PathBuf,
    /// Hours that a session lasts.
    #[arg(long, value_name = "HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=8_760))]
    session_hours: u32,
    /// Minutes after an authentication in which credentials may be added and deleted.
    #[arg(long, value_name = "MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    fresh_minutes: u32,
    /// A proxy whose X-Forwarded-For is believed, for rate limits. May be repeated.
    #[arg(long, value_name = "ADDR")]
    trusted_proxy: Vec<IpAddr>,
}

/// `--uv`
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Uv {
    /// Nobody is verified: the key is something the person has.
    Never,
    /// Where the key is set up for it; an answer without is taken too.
    IfSet,
    /// Always, and an answer without is refused.
    Always,
    /// As if-set, until a credential is known to verify its user; from then on always.
    OnceSetAlways,
    /// Not at sign-in, but before credentials are changed.
    StepUp,
}

impl From<Uv> for UserVerificationPolicy {
    fn from(uv: Uv) -> Self {
        match uv {
            Uv::Never => Self::Never,
            Uv::IfSet => Self::IfSet,
            Uv::Always => Self::Always,
            Uv::OnceSetAlways => Self::OnceSetAlways,
            Uv::StepUp => Self::StepUp,
        }
    }
}

/// `--resident-key`
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ResidentKey {
    Discouraged,
    Preferred,
    Required,
}

impl From<ResidentKey> for ResidentKeyRequirement {
    fn from(requirement: ResidentKey) -> Self {
        match requirement {
            ResidentKey::Discouraged => Self::Discouraged,
            ResidentKey::Preferred => Self::Preferred,
            ResidentKey::Required => Self::Required,
        }
    }
}

/// Runs until SIGINT or SIGTERM.
pub(crate) fn run(args: ServeArgs) -> Result<(), DemoError> {
    demo::log();
    let config = config(args);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(config))
}

fn config(args: ServeArgs) -> ServiceConfig {
    let mut config = ServiceConfig::new(
        args.listen,
        args.origin,
        args.name,
        args.uv.into(),
        Storage::File(args.database),
    );
    config.rp_id = args.rp_id;
    if let Some(requirement) = args.resident_key {
        config.resident_key = requirement.into();
    }
    config.session_lifetime = Duration::from_secs(u64::from(args.session_hours) * 3600);
    config.fresh_for = Duration::from_secs(u64::from(args.fresh_minutes) * 60);
    config.trusted_proxies = args.trusted_proxy;
    config
}

async fn serve(config: ServiceConfig) -> Result<(), DemoError> {
    let asked_to_end = demo::asked_to_end()?;
    let policy = config.user_verification;
    let service = Service::bind(config).await?;
    eprintln!(
        "Serving {} on {}; user verification: {policy}",
        service.origin(),
        service.address()
    );
    Ok(service.run(asked_to_end).await?)
}
