//! `pinward serve`: the relying party of one site.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use server::tokens::{self, Scope, TokenError};
use server::{ResidentKeyRequirement, Service, ServiceConfig, Storage, UserVerificationPolicy};

use crate::Failure;
use crate::demo::{self, DemoError};
use crate::exit::Fault;
use crate::say;

/// Runs the relying party of a site: accounts, registration, sign-in and sessions over HTTP.
///
/// It speaks plain HTTP: put a proxy with TLS in front of it. The API is described at /openapi.json.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    #[command(flatten)]
    site: Option<SiteArgs>,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    /// Makes, lists and removes tokens of the admin API.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// `pinward serve token`
#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Makes a token and prints it, this once: the database keeps only its hash.
    ///
    /// Example: pinward serve token add auditor --scope audit:read --database accounts.sqlite
    Add {
        /// What it is called in lists and in the audit log.
        name: String,
        /// What it may do: users:read, users:write, audit:read, models:read, policies:read. May be
        /// repeated.
        #[arg(long, value_name = "SCOPE", required = true)]
        scope: Vec<Scope>,
        #[command(flatten)]
        at: At,
    },
    /// Lists the tokens, without what makes them tokens.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Removes a token; it is refused from then on.
    Remove {
        /// Which.
        name: String,
        #[command(flatten)]
        at: At,
    },
}

/// Whose tokens.
#[derive(Debug, Args)]
struct At {
    /// The records of the service: an SQLite file, or a PostgreSQL URL.
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "PINWARD_DATABASE",
        hide_env_values = true
    )]
    database: String,
}

#[derive(Debug, Args)]
struct SiteArgs {
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
    /// The records: an SQLite file, or the URL of a PostgreSQL database that several nodes may share
    /// (postgres://user@host/name; a socket: postgres://user@localhost/name?host=/run/postgresql).
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "PINWARD_DATABASE",
        hide_env_values = true
    )]
    database: String,
    /// Connections to PostgreSQL.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    database_connections: u32,
    /// A FIDO Metadata Service BLOB. New credentials are then asked for their attestation; one that
    /// is there must lead to a root of its model, and models with a bad status are refused.
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
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

/// Runs until SIGINT or SIGTERM, or does what is to be done with tokens.
pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    if let Some(ServeCommand::Token(command)) = args.command {
        return token(command);
    }
    let site = args.site.ok_or_else(|| {
        // clap has said it before, with the names of what is missing.
        Fault::usage("say what to serve, or which token to add, list or remove")
    })?;
    demo::log();
    let config = config(site);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(config))?;
    Ok(())
}

/// Tokens are made where the database is, not over the network.
fn token(command: TokenCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let text = runtime.block_on(async {
        match command {
            TokenCommand::Add { name, scope, at } => {
                let token = tokens::add(&storage(&at.database, 1), &name, &scope).await?;
                say::note("Keep it now: it is not shown again.\n");
                Ok::<_, TokenError>(format!("{token}\n"))
            }
            TokenCommand::List { at } => {
                let list = tokens::list(&storage(&at.database, 1)).await?;
                let lines = list.iter().map(|token| {
                    let used = token
                        .last_used_at
                        .map_or_else(|| "never used".to_owned(), |at| format!("used at {at}"));
                    format!("{}  {}  {used}\n", token.name, token.scopes)
                });
                Ok(lines.collect())
            }
            TokenCommand::Remove { name, at } => {
                tokens::remove(&storage(&at.database, 1), &name).await?;
                Ok(String::new())
            }
        }
    })?;
    Ok(say::out(&text)?)
}

fn config(args: SiteArgs) -> ServiceConfig {
    let mut config = ServiceConfig::new(
        args.listen,
        args.origin,
        args.name,
        args.uv.into(),
        storage(&args.database, args.database_connections),
    );
    config.rp_id = args.rp_id;
    if let Some(requirement) = args.resident_key {
        config.resident_key = requirement.into();
    }
    config.session_lifetime = Duration::from_secs(u64::from(args.session_hours) * 3600);
    config.fresh_for = Duration::from_secs(u64::from(args.fresh_minutes) * 60);
    config.trusted_proxies = args.trusted_proxy;
    config.metadata = args.metadata;
    config
}

fn storage(text: &str, connections: u32) -> Storage {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let url = text.to_owned();
        Storage::Postgres { url, connections }
    } else {
        Storage::File(text.into())
    }
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
