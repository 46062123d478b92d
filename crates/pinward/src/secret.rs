//! Where PINs come from: a hidden prompt, or a place that is named. Never the command line itself,
//! which every program on the machine can read.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::str::FromStr;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Exit, Fault};
use crate::person;

/// The places, as the help and the refusals name them.
pub(crate) const PLACES: &str = "env:NAME, stdin, fd:N, file:PATH or cmd:COMMAND";

/// No secret is longer; a file that is has been named by mistake.
const MOST_BYTES: usize = 1024;

/// What stands on the command line. It may be a secret by mistake, so it is never shown.
#[derive(Clone)]
pub(crate) struct Named(Zeroizing<String>);

impl FromStr for Named {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named(..)")
    }
}

/// A refusal that does not repeat what it refuses.
fn literal() -> Fault {
    Fault::usage(format!(
        "a PIN does not belong on the command line, where every program can read it; leave it out \
         to be asked, or name where it is: {PLACES}"
    ))
}

/// Refuses words that should not be there, without repeating them.
pub(crate) fn no_literals(words: &[Named]) -> Result<(), Fault> {
    if words.is_empty() {
        Ok(())
    } else {
        Err(literal())
    }
}

impl Named {
    /// The word itself, for commands that take other words as well.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether the keyring of the desktop is named, which only some secrets can be in.
    pub(crate) fn is_keyring(&self) -> bool {
        self.0.as_str() == "keyring"
    }

    /// Reads the secret from the place that is named. One line; its end is not part of it.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, Fault> {
        let (kind, place) = match self.0.split_once(':') {
            Some((kind, place)) => (kind, place),
            None => (self.0.as_str(), ""),
        };
        match (kind, place) {
            ("stdin", "") => {
                let stdin = io::stdin().as_fd().try_clone_to_owned()?;
                line_of(&mut File::from(stdin), "the standard input")
            }
            ("env", name) if !name.is_empty() => match std::env::var(name) {
                Ok(secret) if !secret.is_empty() => Ok(Zeroizing::new(secret)),
                _ => Err(Fault::usage(
                    "the environment variable that was named holds no PIN",
                )),
            },
            ("fd", number) if number.parse::<u32>().is_ok() => {
                let path = format!("/dev/fd/{number}");
                let mut file = File::open(&path)
                    .map_err(|e| Fault::usage(format!("file descriptor {number}: {e}")))?;
                line_of(&mut file, "the file descriptor")
            }
            ("file", path) if !path.is_empty() => from_file(path),
            ("cmd", command) if !command.is_empty() => from_command(command),
            _ => Err(literal()),
        }
    }
}

fn from_file(path: &str) -> Result<Zeroizing<String>, Fault> {
    let mut file = File::open(path).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::Usage,
        };
        Fault::new(exit, format!("{path}: {error}"))
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(Fault::usage(format!(
            "{path} must be a file that only you can read (chmod 600)"
        )));
    }
    line_of(&mut file, path)
}

fn from_command(command: &str) -> Result<Zeroizing<String>, Fault> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let line = child
        .stdout
        .take()
        .ok_or_else(|| Fault::usage("the command has no output"))
        .and_then(|mut out| {
            let line = line_of(&mut out, "the output of the command");
            // A command that cannot write what comes after would seem to have failed.
            discard(&mut out)?;
            line
        });
    if child.wait()?.success() {
        line
    } else {
        Err(Fault::new(
            Exit::Failed,
            "the command that should give the PIN failed",
        ))
    }
}

/// A command that says more than this after its first line is not one that gives a PIN.
const MOST_DISCARDED: u64 = 1 << 20;

/// Reads on to the end and keeps nothing: what follows a PIN can be secret too.
fn discard(from: &mut impl Read) -> io::Result<()> {
    let mut from = from.take(MOST_DISCARDED);
    let mut buffer = Zeroizing::new([0_u8; 512]);
    while from.read(&mut buffer[..])? > 0 {}
    Ok(())
}

/// One line, byte by byte, so that what follows is left for the next secret.
fn line_of(from: &mut dyn Read, what: &str) -> Result<Zeroizing<String>, Fault> {
    let mut line = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
    let mut byte = [0];
    loop {
        match from.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == [b'\n'] => break,
            Ok(_) if line.len() == MOST_BYTES => {
                return Err(Fault::usage(format!("{what}: no PIN has so long a line")));
            }
            Ok(_) => line.push(byte[0]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match std::str::from_utf8(&line) {
        Ok("") => Err(Fault::usage(format!("{what}: there is no PIN"))),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Fault::usage(format!("{what}: the PIN is not UTF-8"))),
    }
}

/// Asks on the terminal, without echo.
fn ask(prompt: &str) -> Result<Zeroizing<String>, Fault> {
    if let Some(person) = person::current() {
        let typed = person.secret(prompt);
        return typed.ok_or_else(|| Fault::refused("no PIN was given; nothing was changed"));
    }
    hidden(prompt).map(Zeroizing::new).map_err(|_| {
        Fault::usage(format!(
            "there is no terminal to ask for the PIN on; name where it is: {PLACES}"
        ))
    })
}

/// Asks on the terminal. Nothing that is typed is shown, not even by somebody who types as soon as the
/// question appears: echo ends before it is asked.
pub(crate) fn hidden(prompt: &str) -> io::Result<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &silent)?;
    let typed = terminal
        .write_all(prompt.as_bytes())
        .and_then(|()| rpassword::read_password());
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    typed
}

/// The PIN that a key has: from where it is named, or asked.
pub(crate) fn existing(named: Option<&Named>, prompt: &str) -> Result<Zeroizing<String>, Fault> {
    match named {
        Some(named) => named.read(),
        None => ask(prompt),
    }
}

/// A new PIN: from where it is named, or asked twice.
pub(crate) fn new(named: Option<&Named>, prompt: &str) -> Result<Zeroizing<String>, Fault> {
    if let Some(named) = named {
        return named.read();
    }
    let first = ask(prompt)?;
    if *first != *ask("The same PIN again: ")? {
        return Err(Fault::refused(
            "the two entries differ; nothing was changed",
        ));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn named(text: &str) -> Named {
        text.parse().unwrap()
    }

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        for text in ["135724", "pin:135724", "env:", "fd:135724x", "stdin:135724"] {
            let error = named(text).read().unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{text}");
            assert!(!error.to_string().contains("135724"), "{error}");
            assert!(error.to_string().contains("env:NAME"), "{error}");
        }
        assert_eq!(format!("{:?}", named("135724")), "Named(..)");
        assert!(no_literals(&[named("135724")]).is_err());
    }

    #[test]
    fn a_file_must_be_private() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1357 24\r\nmore\n").unwrap();
        let place = named(&format!("file:{}", file.path().display()));
        assert_eq!(*place.read().unwrap(), "1357 24");
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(file.path(), mode).unwrap();
        let error = place.read().unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        assert_eq!(
            named("file:/nonexistent").read().unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn a_command_gives_its_first_line_if_it_succeeds() {
        assert_eq!(*named("cmd:echo a:b; echo c").read().unwrap(), "a:b");
        assert_eq!(
            named("cmd:echo ab; false").read().unwrap_err().exit,
            Exit::Failed
        );
        assert!(named("cmd:true").read().is_err());
        let late = "cmd:echo first; sleep 0.2; seq 100000";
        assert_eq!(*named(late).read().unwrap(), "first");
        assert!(named("cmd:yes").read().is_err(), "it never ends by itself");
    }

    #[test]
    fn lines_are_taken_one_by_one_and_have_an_end() {
        let mut text = "old\nnew\n".as_bytes();
        assert_eq!(*line_of(&mut text, "x").unwrap(), "old");
        assert_eq!(*line_of(&mut text, "x").unwrap(), "new");
        assert!(line_of(&mut text, "x").is_err());
        assert!(line_of(&mut vec![b'x'; 2000].as_slice(), "x").is_err());
        assert!(line_of(&mut [0xFF, b'\n'].as_slice(), "x").is_err());
    }
}
