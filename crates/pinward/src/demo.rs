//! `pinward demo`: the relying party with its demo page.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use server::{Config, ServeError, Server, Storage};
use tokio::signal::unix::{SignalKind, signal};

/// Starts a site that asks for security keys, and says why a PIN is asked.
///
/// The page offers the selector "PIN: never / if set / always", and two ways to answer: your own key
/// in your own browser, or a simulated key and platform of your choice.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where to listen. Browsers reach a port of this machine as http://localhost:PORT.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The origin that browsers see, when it is not http://localhost:PORT (behind a proxy with TLS).
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Keep the records in this SQLite file instead of the one in your data directory.
    #[arg(long, value_name = "FILE", conflicts_with = "ephemeral")]
    database: Option<PathBuf>,
    /// Keep the records in memory, and forget them at the end.
    #[arg(long)]
    ephemeral: bool,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Neither HOME nor a data directory is known.
    #[error("no data directory is known here; say --database FILE or --ephemeral")]
    NoDataDirectory,
    /// The port is taken.
    #[error("{0}. Another program has it; try another port: --listen 127.0.0.1:8081")]
    Taken(ServeError),
    /// Another reason to fail.
    #[error(transparent)]
    Serve(ServeError),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ServeError> for DemoError {
    fn from(error: ServeError) -> Self {
        match &error {
            ServeError::Listen { error: system, .. }
                if system.kind() == io::ErrorKind::AddrInUse =>
            {
                DemoError::Taken(error)
            }
            _ => DemoError::Serve(error),
        }
    }
}

/// Runs until SIGINT or SIGTERM.
pub(crate) fn run(args: &DemoArgs) -> Result<(), DemoError> {
    log();
    let mut config = Config::new(args.listen, storage(args)?);
    config.origin.clone_from(&args.origin);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(config))
}

/// Writes the log to the standard error output, as far as `PINWARD_LOG` wants it.
pub(crate) fn log() {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("PINWARD_LOG")
                .unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(io::stderr)
        .init();
}

/// Ready at SIGINT or SIGTERM.
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn storage(args: &DemoArgs) -> Result<Storage, DemoError> {
    if args.ephemeral {
        return Ok(Storage::Ephemeral);
    }
    let file = args.database.clone().or_else(server::default_database);
    file.map(Storage::File).ok_or(DemoError::NoDataDirectory)
}

async fn serve(config: Config) -> Result<(), DemoError> {
    let asked_to_end = asked_to_end()?;
    let kept = match &config.storage {
        Storage::File(path) => format!("Records are kept in {}.", path.display()),
        Storage::Postgres { .. } => "Records are kept in PostgreSQL.".to_owned(),
        Storage::Ephemeral => "Records are forgotten at the end.".to_owned(),
    };
    let server = Server::bind(config).await?;
    eprintln!("The demo page is at {}", server.origin());
    eprintln!("{kept} Stop with Ctrl-C.");
    Ok(server.run(asked_to_end).await?)
}
