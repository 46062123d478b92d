//! What the person is asked: PINs on the terminal or else from the standard input, and whether it is
//! meant

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use super::trouble::Trouble;
use crate::exit::Exit;
use crate::secret::{self, Named};

/// What stands before and after a place on the command line.
const PLACES: [&str; 3] = ["env:", "fd:", "file:"];
const STDIN: &str = "stdin";
/// The variable in which Token2's fido2-token2 takes the PIN.
const VARIABLE: &str = "FIDO2_PIN";

/// Whether the text says where the PIN is; otherwise it is taken for the PIN.
pub(super) fn is_place(text: &str) -> bool {
    text == STDIN || PLACES.iter().any(|place| text.starts_with(place))
}

/// The PIN that the command line gives, or says where to find.
pub(super) fn given(pin: Option<&Zeroizing<String>>) -> Result<Option<Zeroizing<String>>, Trouble> {
    match pin {
        None => Ok(None),
        Some(text) if is_place(text) => {
            let Ok(named) = text.parse::<Named>();
            Ok(Some(named.read()?))
        }
        Some(literal) => Ok(Some(literal.clone())),
    }
}

/// The PIN that a key has: given, in the environment, or asked for.
pub(super) fn existing(
    pin: Option<&Zeroizing<String>>,
    address: &str,
) -> Result<Zeroizing<String>, Trouble> {
    if let Some(pin) = given(pin)? {
        return Ok(pin);
    }
    match std::env::var(VARIABLE) {
        Ok(pin) if !pin.is_empty() => Ok(Zeroizing::new(pin)),
        _ => hidden(&format!("Enter PIN for {address}: ")),
    }
}

/// A new PIN, asked for twice.
pub(super) fn new(address: &str) -> Result<Zeroizing<String>, Trouble> {
    let first = hidden(&format!("Enter new PIN for {address}: "))?;
    if *first != *hidden("Enter the same PIN again: ")? {
        return Err(Trouble::new(
            Exit::Refused,
            "PINs do not match. Try again. Nothing was changed",
        ));
    }
    Ok(first)
}

/// On the terminal without echo; where there is none, the prompt goes to the standard error and a line
/// of the standard input is the answer.
pub(super) fn hidden(prompt: &str) -> Result<Zeroizing<String>, Trouble> {
    if let Ok(typed) = secret::hidden(prompt) {
        return Ok(Zeroizing::new(typed));
    }
    eprint!("{prompt}");
    let Ok(stdin) = STDIN.parse::<Named>();
    let line = stdin.read();
    eprintln!();
    line.map_err(|_| {
        Trouble::usage(
            "there is no PIN: neither a terminal nor a line of the standard input; -pin env:NAME, \
             stdin, fd:N or file:PATH says where it is",
        )
    })
}

/// Whether the person says exactly "y" or "yes". The question has been written.
pub(super) fn confirmed() -> Result<bool, Trouble> {
    io::stdout().flush()?;
    let line = line(&mut File::from(io::stdin().as_fd().try_clone_to_owned()?))?;
    let said = line.trim();
    Ok(said.eq_ignore_ascii_case("y") || said.eq_ignore_ascii_case("yes"))
}

/// Waits for Enter. As in the shell, only somebody at a terminal is asked for it.
pub(super) fn enter(prompt: &str) -> Result<(), Trouble> {
    io::stdout().flush()?;
    if io::stdin().is_terminal() {
        eprint!("{prompt}");
    }
    line(&mut File::from(io::stdin().as_fd().try_clone_to_owned()?)).map(drop)
}

/// One line, and not a byte more: what follows may be a PIN.
fn line(from: &mut impl Read) -> Result<String, Trouble> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 1024 {
        match from.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == [b'\n'] => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pin_is_told_from_the_place_where_it_is() {
        for place in ["stdin", "env:PIN", "fd:3", "file:/x"] {
            assert!(is_place(place), "{place}");
        }
        // No command is run for what may have been typed into a form.
        for pin in ["1234", "cmd:true", "stdin1", "Env:PIN", ""] {
            assert!(!is_place(pin), "{pin}");
        }
    }

    #[test]
    fn a_line_is_taken_and_no_more() {
        let mut text = "no way\n1234\n".as_bytes();
        assert_eq!(line(&mut text).unwrap(), "no way");
        assert_eq!(line(&mut text).unwrap(), "1234");
        assert_eq!(line(&mut text).unwrap(), "");
    }
}
