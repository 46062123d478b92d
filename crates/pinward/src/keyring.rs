//! The desktop's keyring (Secret Service), by its own program `secret-tool`: the only place where a
//! persistent token is kept.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use client::manage::Token;
use zeroize::Zeroizing;

use crate::exit::{Exit, Fault};

const PROGRAM: &str = "secret-tool";
/// The attribute by which our secrets are found.
const APPLICATION: [&str; 2] = ["application", "pinward"];

/// Keeps the token of the key with this identifier.
pub(crate) fn keep(identifier: &str, name: &str, token: &Token) -> Result<(), Fault> {
    let (protocol, value) = token.to_keep();
    let mut secret = Zeroizing::new(format!("{protocol}:"));
    for byte in value {
        secret.push_str(&format!("{byte:02x}"));
    }
    let label = format!("--label=Pinward: reading the passkeys of {name}");
    let words = [
        "store",
        &label,
        APPLICATION[0],
        APPLICATION[1],
        "key",
        identifier,
    ];
    let output = run(&words, &secret)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().next().unwrap_or("it gave no reason");
    Err(refused(&format!(
        "the keyring did not take it: {}",
        crate::say::escaped(why)
    )))
}

/// The token of the key with this identifier, if it is kept.
pub(crate) fn kept(identifier: &str) -> Option<Token> {
    let words = ["lookup", APPLICATION[0], APPLICATION[1], "key", identifier];
    let output = run(&words, "").ok()?;
    let secret = Zeroizing::new(String::from_utf8(output.stdout).ok()?);
    let (protocol, digits) = secret.trim().split_once(':')?;
    let mut value = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.as_bytes().chunks(2) {
        let pair = std::str::from_utf8(pair).ok()?;
        value.push(u8::from_str_radix(pair, 16).ok()?);
    }
    Token::kept(protocol.parse().ok()?, value)
}

/// Forgets the token of the key with this identifier.
pub(crate) fn forget(identifier: &str) -> Result<(), Fault> {
    let words = ["clear", APPLICATION[0], APPLICATION[1], "key", identifier];
    run(&words, "").map(drop)
}

fn refused(why: &str) -> Fault {
    Fault::new(
        Exit::Failed,
        format!(
            "{why}. A token is kept in the desktop's keyring or not at all; the key still asks for \
             its PIN each time"
        ),
    )
}

fn run(words: &[&str], secret: &str) -> Result<Output, Fault> {
    let child = Command::new(PROGRAM)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            refused("there is no secret-tool here (Debian: libsecret-tools)")
        }
        _ => refused(&format!("secret-tool: {error}")),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it says so by its exit code.
        let _ = stdin.write_all(secret.as_bytes());
    }
    Ok(child.wait_with_output()?)
}
