//! Which key: named, the only one, the one that has the credential, or the one that is touched.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use client::manage::{Link, LinkError, Manager};
use ctap::{Command, Status, request_bytes, split_response};
use getrandom::SysRng;
use rand_core::{CryptoRng, Rng as _, UnwrapErr};
use transport::host::hidraw::Places;
use transport::host::{Address, Connection, OpenError, Waiting};

use crate::api::Fault;
use crate::provider::has_credential;

/// Addresses of software keys, with blanks between them, that count as plugged in: the program
/// `pinward` reads the same variable.
pub const KEYS_VARIABLE: &str = "PINWARD_KEYS";

/// The system's randomness.
pub fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// An open key.
pub struct Key(Box<dyn Connection>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Link for Key {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        Ok(self.0.ctap2(request, &mut |_| Waiting::GoOn)?)
    }
}

/// The credential that is wanted: application and key handle.
pub type Wanted<'a> = Option<(&'a str, &'a [u8])>;

/// Opens the key that `-O device=` names, or the one that fits.
///
/// # Errors
/// [`Fault::NoKey`], which says why none could be used.
pub fn open(device: Option<&str>, wanted: Wanted<'_>) -> Result<Key, Fault> {
    if let Some(device) = device {
        return connect(&address(device)?).map_err(Fault::NoKey);
    }
    let mut keys = Vec::new();
    let mut refused = None;
    for address in plugged_in() {
        match connect(&address) {
            Ok(key) => keys.push(key),
            Err(why) => refused = Some(why),
        }
    }
    if keys.len() > 1 {
        return choose(keys, wanted);
    }
    keys.pop().ok_or_else(|| {
        Fault::NoKey(refused.unwrap_or_else(|| {
            format!(
                "there is no security key; plug one in, or say where a software key is: \
                 {KEYS_VARIABLE}=unix:PATH"
            )
        }))
    })
}

/// `unix:PATH`, `tcp:HOST:PORT`, a node such as /dev/hidraw0, or the path of a socket.
fn address(text: &str) -> Result<Address, Fault> {
    let is_socket =
        std::fs::metadata(Path::new(text)).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket {
        return Ok(Address::Unix(text.into()));
    }
    text.parse()
        .map_err(|error| Fault::NoKey(format!("device: {error}")))
}

fn plugged_in() -> Vec<Address> {
    let named = std::env::var(KEYS_VARIABLE).unwrap_or_default();
    let sockets = named
        .split_whitespace()
        .filter_map(|address| address.parse().ok())
        .filter(Address::is_there);
    Places::default()
        .keys()
        .into_iter()
        .map(|found| found.address)
        .chain(sockets)
        .collect()
}

fn connect(address: &Address) -> Result<Key, String> {
    let mut nonce = [0; 8];
    rng().fill_bytes(&mut nonce);
    let connection = address
        .connect(nonce)
        .map_err(|error: OpenError| error.to_string())?;
    if connection.about().speaks_ctap2() {
        Ok(Key(connection))
    } else {
        Err(format!(
            "{address} speaks only U2F, and this library only FIDO2"
        ))
    }
}

/// The key that has the credential; if none tells, the one that its user touches.
fn choose(mut keys: Vec<Key>, wanted: Wanted<'_>) -> Result<Key, Fault> {
    if let Some((application, key_handle)) = wanted {
        let mut rng = rng();
        let has = keys.iter_mut().position(|key| {
            Manager::open(key, &mut rng)
                .is_ok_and(|mut manager| has_credential(&mut manager, application, key_handle))
        });
        if let Some(place) = has {
            return Ok(keys.swap_remove(place));
        }
    }
    eprintln!("pinward: there are several security keys; touch the one to use");
    touched(keys).ok_or_else(|| Fault::NoKey("no security key was touched".to_owned()))
}

/// CTAP 2.3 §6.9 authenticatorSelection on all keys at once; the losers are cancelled.
fn touched(keys: Vec<Key>) -> Option<Key> {
    let chosen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = keys
            .into_iter()
            .map(|mut key| {
                let chosen = &chosen;
                scope.spawn(move || asked(&mut key, chosen).then_some(key))
            })
            .collect();
        let mut winners = waiting
            .into_iter()
            .filter_map(|thread| thread.join().ok().flatten());
        let winner = winners.next();
        // All threads are waited for, so that every loser is cancelled before this returns.
        winners.for_each(drop);
        winner
    })
}

/// Whether this key was touched, and no other before it.
fn asked(key: &mut Key, chosen: &AtomicBool) -> bool {
    let mut waiting = |_| {
        if chosen.load(Ordering::SeqCst) {
            Waiting::Cancel
        } else {
            Waiting::GoOn
        }
    };
    let answer = key
        .0
        .ctap2(&request_bytes(Command::Selection, &[]), &mut waiting);
    let touched = answer.is_ok_and(|bytes| matches!(split_response(&bytes), Some((Status::OK, _))));
    touched && !chosen.swap(true, Ordering::SeqCst)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_device_is_an_address_a_node_or_a_socket() {
        let hidraw = Address::Hidraw("/dev/hidraw3".into());
        assert_eq!(address("/dev/hidraw3").unwrap(), hidraw);
        let unix = Address::Unix("/nowhere".into());
        assert_eq!(address("unix:/nowhere").unwrap(), unix);
        let folder = std::env::temp_dir().join(format!("pinward-sk-{}", std::process::id()));
        let _listener = std::os::unix::net::UnixListener::bind(&folder).unwrap();
        let path = folder.to_str().unwrap();
        assert_eq!(address(path).unwrap(), Address::Unix(path.into()));
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(address("hidraw3").unwrap_err().code(), -4);
    }

    #[test]
    fn a_key_that_is_not_there_is_told_as_such() {
        let fault = open(Some("unix:/nowhere/at/all"), None).unwrap_err();
        assert_eq!(fault.code(), -4);
        assert!(fault.to_string().contains("/nowhere/at/all"), "{fault}");
    }
}
