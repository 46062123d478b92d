//! A PostgreSQL server of the test's own: a fresh data directory, a Unix socket in it, nothing on the
//! network. `initdb` refuses to run as root, so root lends it to the user that Debian's package made.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "each test file takes its part, and a test stops at its first surprise"
)]

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use server::Storage;

/// A running server; stops when dropped.
pub struct Postgres {
    directory: tempfile::TempDir,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    server: Option<Child>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop("-QUIT");
    }
}

impl Postgres {
    /// `None`, and one line that says so, where there is none; in CI that is a failure.
    pub fn start() -> Option<Self> {
        let missing = |what: &str| {
            assert!(std::env::var_os("CI").is_none(), "{what}");
            println!("skipped: {what}");
        };
        let Some(programs) = programs() else {
            missing("there is no PostgreSQL (Debian: apt-get install postgresql)");
            return None;
        };
        let owner = (own_uid() == 0).then(postgres_user).flatten();
        if own_uid() == 0 && owner.is_none() {
            missing("PostgreSQL does not run as root, and there is no user postgres");
            return None;
        }
        let directory = tempfile::Builder::new()
            .prefix("pinward-pg")
            .tempdir()
            .unwrap();
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut this = Self {
            directory,
            programs,
            owner,
            server: None,
        };
        let data = this.directory.path().join("data");
        let made = this
            .command("initdb")
            .args([
                "--auth=trust",
                "--username=pinward",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        this.up();
        Some(this)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.directory.path());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server, and waits until it answers.
    pub fn up(&mut self) {
        let directory = self.directory.path();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let server = self
            .command("postgres")
            .args(["-c", "listen_addresses=", "-c", "max_connections=200", "-k"])
            .arg(directory)
            .arg("-D")
            .arg(directory.join("data"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        let start = Instant::now();
        while !self.ready() {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "PostgreSQL does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ready(&self) -> bool {
        self.command("pg_isready")
            .args(["-q", "-U", "pinward", "-d", "postgres", "-h"])
            .arg(self.directory.path())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// `-QUIT`: at once, as after a crash. `-INT`: in order, without waiting for clients.
    pub fn stop(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            let _ = Command::new("kill")
                .args([signal, &server.id().to_string()])
                .status();
            let _ = server.wait();
        }
    }

    pub fn url(&self) -> String {
        let directory = self
            .directory
            .path()
            .display()
            .to_string()
            .replace('/', "%2F");
        format!("postgres://pinward@localhost/postgres?host={directory}")
    }

    pub fn storage(&self) -> Storage {
        Storage::Postgres {
            url: self.url(),
            connections: 16,
        }
    }
}

/// Debian keeps each version in a folder of its own.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// Who owns what this process makes.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid()
}

fn postgres_user() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
