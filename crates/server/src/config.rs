//! Where the service listens, under which origin it is known, and where it keeps its records.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `Server::bind` needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin that browsers see, such as `https://demo.example.org`. Without it the service is
    /// `http://localhost:<port>`, which needs a loopback `listen` address.
    pub origin: Option<String>,
    /// Where the records live.
    pub storage: Storage,
    /// The name of the relying party, as dialogs show it.
    pub name: String,
    /// Bounds that keep one visitor from using up the service.
    pub limits: Limits,
}

impl Config {
    /// The demo on `listen`, with the records in `storage` and everything else as usual.
    #[must_use]
    pub fn new(listen: SocketAddr, storage: Storage) -> Self {
        Self {
            listen,
            origin: None,
            storage,
            name: "Pinward demo".to_owned(),
            limits: Limits::default(),
        }
    }
}

/// Where the records live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// One SQLite file; made, with its directory, when missing.
    File(PathBuf),
    /// In memory, gone when the service stops.
    Ephemeral,
    /// A PostgreSQL server, which any number of nodes may share.
    Postgres {
        /// Such as `postgres://pinward@db.example.org/pinward`.
        url: String,
        /// Connections of this node.
        connections: u32,
    },
}

/// Bounds that keep one visitor from using up the service.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes in a request body.
    pub body: usize,
    /// Seconds a client may take to send its body.
    pub body_seconds: u64,
    /// Connections served at once; further ones wait.
    pub connections: usize,
    /// Seconds a connection may stay silent.
    pub idle_seconds: u64,
    /// Visitors whose simulated keys are kept in memory; the least recently seen goes first.
    pub visitors: usize,
    /// Open ceremonies of one visitor; the oldest gives way to the newest.
    pub challenges_per_visitor: u32,
    /// Open ceremonies of all visitors.
    pub challenges: u32,
    /// Accounts of one visitor.
    pub users_per_visitor: u32,
    /// Credentials of one account.
    pub credentials_per_user: u32,
    /// Ceremonies remembered for one visitor.
    pub ceremonies_per_visitor: u32,
    /// How long a challenge stays open; WebAuthn L3 recommends 5 to 10 minutes.
    pub challenge_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 * 1024,
            body_seconds: 10,
            connections: 512,
            idle_seconds: 90,
            visitors: 256,
            challenges_per_visitor: 8,
            challenges: 10_000,
            users_per_visitor: 32,
            credentials_per_user: 20,
            ceremonies_per_visitor: 50,
            challenge_lifetime: Duration::from_secs(300),
        }
    }
}

/// The database of the person who runs this: `pinward/relying-party.sqlite` in their data
/// directory. `None` when the environment names no such directory.
#[must_use]
pub fn default_database() -> Option<PathBuf> {
    data_directory().map(|directory| directory.join("pinward").join("relying-party.sqlite"))
}

fn data_directory() -> Option<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if cfg!(windows) {
        return from("LOCALAPPDATA");
    }
    if cfg!(target_os = "macos") {
        return from("HOME").map(|home| home.join("Library/Application Support"));
    }
    from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")))
}
