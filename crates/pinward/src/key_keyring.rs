//! Passphrases of key files in the keyring of the desktop (the Secret Service), by libsecret's program
//! `secret-tool`. The passphrase goes through pipes, never through arguments.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use softkey::store::Passphrase;
use zeroize::Zeroizing;

use crate::exit::{Exit, Fault};

const PROGRAM: &str = "secret-tool";
/// No passphrase is longer.
const MOST_BYTES: u64 = 1024;

/// The keyring.
pub(crate) struct Keyring {
    program: PathBuf,
}

impl Keyring {
    pub(crate) fn find() -> Result<Self, Fault> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join(PROGRAM))
            .find(|file| file.is_file())
            .ok_or_else(|| {
                Fault::new(
                    Exit::Failed,
                    format!(
                        "the keyring is reached by the program {PROGRAM}, which is not in the PATH; install \
                         it (Debian: libsecret-tools), or name another place of the passphrase"
                    ),
                )
            })?;
        Ok(Self { program })
    }

    /// The passphrase of this file; a new one for a file that is not there yet.
    pub(crate) fn passphrase(&self, file: &Path) -> Result<Passphrase, Fault> {
        let name = named(file)?;
        if let Some(known) = self.lookup(&name)? {
            return Ok(Passphrase::new(known.to_string()));
        }
        if file.symlink_metadata().is_ok() {
            return Err(Fault::usage(format!(
                "the keyring has no passphrase for {name}; if the file was moved, or has a passphrase of \
                 yours, name its place: --passphrase env:NAME"
            )));
        }
        let fresh = random()?;
        self.store(&name, &fresh)?;
        // What cannot be had back must not seal a file.
        match self.lookup(&name)? {
            Some(kept) if *kept == *fresh => Ok(Passphrase::new(fresh.to_string())),
            _ => Err(Fault::new(
                Exit::Failed,
                "the keyring did not keep the new passphrase; nothing was made",
            )),
        }
    }

    fn command(&self, verb: &str, more: &[&str], name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(verb)
            .args(more)
            .args(["service", "pinward", "key-file", name]);
        command
    }

    fn lookup(&self, name: &str) -> Result<Option<Zeroizing<String>>, Fault> {
        let mut child = self
            .command("lookup", &[], name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut found = Zeroizing::new(String::with_capacity(256));
        if let Some(out) = child.stdout.take() {
            out.take(MOST_BYTES).read_to_string(&mut found)?;
        }
        let mut complaint = String::new();
        if let Some(out) = child.stderr.take() {
            out.take(MOST_BYTES).read_to_string(&mut complaint)?;
        }
        let success = child.wait()?.success();
        if found.ends_with('\n') {
            found.pop();
        }
        match (success, complaint.trim()) {
            (true, _) if !found.is_empty() => Ok(Some(found)),
            // It says nothing where there is nothing.
            (_, "") => Ok(None),
            (_, why) => Err(refused(why)),
        }
    }

    fn store(&self, name: &str, passphrase: &str) -> Result<(), Fault> {
        let label = format!("Pinward key {name}");
        let mut child = self
            .command("store", &["--label", &label], name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(passphrase.as_bytes())?;
        }
        let mut complaint = String::new();
        if let Some(out) = child.stderr.take() {
            out.take(MOST_BYTES).read_to_string(&mut complaint)?;
        }
        match child.wait()?.success() {
            true => Ok(()),
            false => Err(refused(complaint.trim())),
        }
    }
}

fn refused(why: &str) -> Fault {
    let why = crate::say::escaped(why);
    Fault::new(Exit::Failed, format!("the keyring does not answer: {why}"))
}

/// The same name from wherever the program is called.
fn named(file: &Path) -> Result<String, Fault> {
    let file = std::path::absolute(file)?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let folder = folder
        .canonicalize()
        .map_err(|error| Fault::usage(format!("{}: {error}", folder.display())))?;
    let whole = folder.join(file.file_name().unwrap_or_default());
    match whole.into_os_string().into_string() {
        Ok(name) => Ok(name),
        Err(_) => Err(Fault::usage("the keyring wants a file name that is UTF-8")),
    }
}

/// 256 bits in letters and digits.
fn random() -> Result<Zeroizing<String>, Fault> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut bytes[..])
        .map_err(|_| Fault::new(Exit::Failed, "the system gives no randomness"))?;
    let mut text = Zeroizing::new(String::with_capacity(64));
    for byte in bytes.iter() {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    Ok(text)
}
