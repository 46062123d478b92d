//! Which key: finding what is there, choosing one, talking to it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use client::manage::{Link, LinkError, Manager};
use ctap::hid::keepalive;
use getrandom::SysRng;
use rand_core::{CryptoRng, Rng as _, UnwrapErr};
use transport::host::hidraw::Places;
use transport::host::{About, Address, Connection, Found, Waiting};

use crate::exit::{Exit, Fault};
use crate::label::same_word;
use crate::ledger::{self, Known};
use crate::{completions, remember, say, touched};

/// Addresses of software keys, with blanks between them, that count as plugged in.
pub(crate) const KEYS_VARIABLE: &str = "PINWARD_KEYS";

/// Which key a command is for.
#[derive(Debug, Args)]
pub(crate) struct DeviceArg {
    /// The key: what you call it (`pinward label`), its id, number or serial number in `pinward list`,
    /// or an address: /dev/hidraw0, unix:PATH, tcp:HOST:PORT, pcsc:READER. `touch` means the one that
    /// you touch. Needed when there are several.
    #[arg(long, short, value_name = "KEY", add = ArgValueCompleter::new(completions::keys))]
    pub(crate) device: Option<String>,
}

/// A key in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// From 1, in the order of the list.
    pub(crate) number: usize,
    /// Short; stays the same as long as the key does.
    pub(crate) id: String,
    /// What the system says of it.
    pub(crate) found: Found,
}

impl Listed {
    /// The name, safe to show.
    pub(crate) fn name(&self) -> String {
        say::escaped(&self.found.name)
    }

    /// The connection in WebAuthn's word, or "socket".
    pub(crate) fn transport(&self) -> &'static str {
        match self.found.address {
            Address::Hidraw(_) => "usb",
            Address::Card(_) => "nfc",
            Address::Unix(_) | Address::Tcp(_) | Address::Udp(_) => "socket",
        }
    }
}

/// All keys that are there.
pub(crate) fn all() -> Vec<Listed> {
    number(there())
}

/// What is there, as the system tells it.
pub(crate) fn there() -> Vec<Found> {
    there_beside(&[])
}

/// What is there, without disturbing the keys at addresses that are in use: a software key's socket is
/// not tried and a card is not selected anew while somebody speaks to it.
pub(crate) fn there_beside(used: &[Address]) -> Vec<Found> {
    let mut found = Places::default().keys();
    #[cfg(feature = "pcsc")]
    if used.iter().any(|used| matches!(used, Address::Card(_))) {
        let cards = used.iter().filter(|used| matches!(used, Address::Card(_)));
        found.extend(cards.cloned().map(at_address));
    } else {
        found.extend(transport::host::pcsc::keys());
    }
    let named = std::env::var(KEYS_VARIABLE).unwrap_or_default();
    found.extend(
        named
            .split_whitespace()
            .filter_map(|address| address.parse::<Address>().ok())
            .filter(|address| used.contains(address) || address.is_there())
            .map(at_address),
    );
    found
}

/// A key that came later: it has no number.
pub(crate) fn listed(found: Found) -> Listed {
    number(vec![found]).remove(0)
}

fn at_address(address: Address) -> Found {
    Found {
        name: match address {
            Address::Hidraw(_) | Address::Card(_) => "Security key",
            _ => "Software key",
        }
        .to_owned(),
        address,
        usb: None,
        serial: None,
        position: None,
    }
}

fn number(found: Vec<Found>) -> Vec<Listed> {
    let ids = ids(&found);
    found
        .into_iter()
        .zip(ids)
        .enumerate()
        .map(|(n, (found, id))| Listed {
            number: n + 1,
            id,
            found,
        })
        .collect()
}

/// `k` and hexadecimal digits, from what a replug does not change.
fn ids(found: &[Found]) -> Vec<String> {
    let serials: Vec<_> = found.iter().map(|f| (f.usb, f.serial.as_ref())).collect();
    let seeds: Vec<_> = found
        .iter()
        .zip(&serials)
        .map(|(key, own)| {
            let unique = serials.iter().filter(|other| *other == own).count() == 1;
            match (&key.serial, &key.position) {
                (Some(serial), _) if unique => format!("{:?} {serial}", key.usb),
                (_, Some(position)) => position.clone(),
                _ => key.address.to_string(),
            }
        })
        .collect();
    let shown = |digits: usize| -> Vec<String> {
        let id = |seed: &String| format!("k{:016x}", hash(seed))[..=digits].to_owned();
        seeds.iter().map(id).collect()
    };
    let short = shown(4);
    let different: HashSet<_> = short.iter().collect();
    if different.len() == short.len() {
        short
    } else {
        shown(12)
    }
}

/// FNV-1a with a last mix, so that the first digits differ too. Ids are names, not secrets.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// The key that the name means, or the only one.
pub(crate) fn choose(name: Option<&str>) -> Result<Listed, Fault> {
    let all = all();
    match name {
        Some("touch") => touched::key(all),
        Some(name) => match labelled(name, &all)? {
            Some(key) => Ok(key),
            None => named(name, all),
        },
        None => only(all),
    }
}

/// The key that you call so, if any key is called so.
fn labelled(name: &str, all: &[Listed]) -> Result<Option<Listed>, Fault> {
    // A file that cannot be read does not keep anybody from a key named otherwise.
    let known = ledger::all().unwrap_or_else(|fault| {
        say::note(&format!("pinward: {fault}\n"));
        Vec::new()
    });
    let called = |known: &Known| known.label.as_deref().is_some_and(|l| same_word(l, name));
    let Some(known) = known.into_iter().find(called) else {
        return Ok(None);
    };
    let mut fitting: Vec<_> = all
        .iter()
        .filter(|key| is_known(key, &known))
        .cloned()
        .collect();
    let others = all
        .iter()
        .filter(|key| fits(key, name) && !fitting.contains(key));
    let others: Vec<_> = others.cloned().collect();
    fitting.extend(others);
    if fitting.len() > 1 {
        return Err(several("the name fits several keys", &fitting));
    }
    let elsewhere = || {
        known
            .address
            .as_deref()?
            .parse()
            .ok()
            .map(at_address)
            .map(listed)
    };
    match fitting.pop().or_else(elsewhere) {
        Some(key) => Ok(Some(key)),
        None => Err(Fault::new(
            Exit::NoKey,
            format!(
                "the key that you call {} is not plugged in",
                say::escaped(name)
            ),
        )),
    }
}

/// Whether the key is the one that is known. One without a serial number is asked who it is.
pub(crate) fn is_known(key: &Listed, known: &Known) -> bool {
    let own = Known::of(&key.found);
    if own.is_recognisable() {
        return own.is(known);
    }
    known.identifier.is_some()
        && remember::recognised(key).is_ok_and(|recognised| recognised.is(known))
}

fn only(all: Vec<Listed>) -> Result<Listed, Fault> {
    let mut keys = all.into_iter();
    match (keys.next(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (None, _) => Err(Fault::new(
            Exit::NoKey,
            "there is no security key; plug one in, or say where a software key is: --device \
             unix:PATH",
        )),
        (Some(key), _) => {
            let all: Vec<_> = std::iter::once(key).chain(keys).collect();
            Err(several("there are several keys", &all))
        }
    }
}

/// Whether the system's names of a key have this one among them.
fn fits(key: &Listed, name: &str) -> bool {
    let same = |text: &str| text.eq_ignore_ascii_case(name);
    let node = match &key.found.address {
        Address::Hidraw(path) => path.file_name().is_some_and(|node| node == name),
        _ => false,
    };
    // A short id may have grown since, because another key came whose id begins like it.
    let id = name.len() >= 5 && key.id.starts_with(&name.to_lowercase());
    node || id
        || key.number.to_string() == name
        || key.found.serial.as_deref().is_some_and(same)
        || same(&key.found.name)
        || key.found.address.to_string() == name
}

fn named(name: &str, all: Vec<Listed>) -> Result<Listed, Fault> {
    let mut fitting: Vec<_> = all.into_iter().filter(|key| fits(key, name)).collect();
    if fitting.len() > 1 {
        return Err(several("the name fits several keys", &fitting));
    }
    if let Some(key) = fitting.pop() {
        return Ok(key);
    }
    match name.parse::<Address>() {
        Ok(address) => Ok(number(vec![at_address(address)]).remove(0)),
        Err(_) => Err(Fault::new(
            Exit::NoKey,
            format!(
                "there is no key {:?}; `pinward list` shows which there are",
                say::escaped(name)
            ),
        )),
    }
}

fn several(what: &str, keys: &[Listed]) -> Fault {
    let lines: Vec<_> = keys
        .iter()
        .map(|key| {
            let at = say::escaped(&key.found.address.to_string());
            format!("  --device {}  {} ({at})", key.id, key.name())
        })
        .collect();
    let message = format!("{what}; say which:\n{}", lines.join("\n"));
    Fault::new(Exit::Ambiguous, message)
}

/// The system's randomness.
pub(crate) fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// An open key.
pub(crate) struct Key {
    pub(crate) listed: Listed,
    connection: Box<dyn Connection>,
}

impl DeviceArg {
    /// Finds and opens the key.
    pub(crate) fn open(&self) -> Result<Key, Fault> {
        Key::open(choose(self.device.as_deref())?)
    }
}

impl Key {
    /// Opens a key from the list.
    pub(crate) fn open(listed: Listed) -> Result<Self, Fault> {
        let mut nonce = [0; 8];
        rng().fill_bytes(&mut nonce);
        let connection = listed.found.address.connect(nonce)?;
        Ok(Self { listed, connection })
    }

    /// The way to it.
    pub(crate) fn into_connection(self) -> Box<dyn Connection> {
        self.connection
    }

    /// What its wire says.
    pub(crate) fn about(&self) -> About {
        self.connection.about()
    }

    /// Makes it show itself.
    pub(crate) fn wink(&mut self) -> Result<(), Fault> {
        Ok(self.connection.wink()?)
    }

    /// Ready to be managed; keys that know only U2F cannot be.
    pub(crate) fn manager<'a>(
        &'a mut self,
        rng: &'a mut dyn CryptoRng,
    ) -> Result<Manager<'a>, Fault> {
        if !self.about().speaks_ctap2() {
            return Err(Fault::new(
                Exit::NotSupported,
                "this key speaks only U2F: it has no PIN, no settings and no passkeys",
            ));
        }
        Ok(Manager::open(self, rng)?)
    }
}

impl Link for Key {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.exchange_while(request, &mut || {})
    }
}

impl Key {
    /// One exchange; `meanwhile` is called again and again while the key waits for its owner.
    pub(crate) fn exchange_while(
        &mut self,
        request: &[u8],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Vec<u8>, LinkError> {
        let name = self.listed.name();
        let mut asked = false;
        let mut waiting = |status| {
            meanwhile();
            if status == keepalive::UPNEEDED && !std::mem::replace(&mut asked, true) {
                say::note(&format!("Touch the key now: {name}\n"));
                Interrupt::watch();
            }
            if is_cancelled() {
                Waiting::Cancel
            } else {
                Waiting::GoOn
            }
        };
        let answer = self.connection.ctap2(request, &mut waiting);
        Interrupt::leave();
        Ok(answer?)
    }
}

/// Has whatever waits for a key end, or lets the next one wait again.
pub(crate) fn cancel(cancelled: bool) {
    CAME.store(cancelled, Ordering::SeqCst);
}

/// Whether somebody called it off.
pub(crate) fn is_cancelled() -> bool {
    CAME.load(Ordering::SeqCst)
}

/// Ctrl-C while a key waits for a touch: the key is told, so that it does not go on blinking.
struct Interrupt;

static WAITING: AtomicBool = AtomicBool::new(false);
static CAME: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicBool = AtomicBool::new(false);

impl Interrupt {
    fn watch() {
        WAITING.store(true, Ordering::SeqCst);
        if WATCHED.swap(true, Ordering::SeqCst) {
            return;
        }
        // Without a thread for it, Ctrl-C ends the program as it always does.
        let _ = std::thread::Builder::new().spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                if !WAITING.load(Ordering::SeqCst) || CAME.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
    }

    fn leave() {
        WAITING.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn usb(node: &str, serial: Option<&str>, position: &str) -> Found {
        Found {
            address: Address::Hidraw(format!("/dev/{node}").into()),
            name: "A Key".to_owned(),
            usb: Some((0x1209, 1)),
            serial: serial.map(str::to_owned),
            position: Some(position.to_owned()),
        }
    }

    fn keys() -> Vec<Listed> {
        number(vec![
            usb("hidraw0", Some("0042"), "usb-1"),
            usb("hidraw3", None, "usb-2"),
            at_address(Address::Unix("/tmp/key".into())),
        ])
    }

    #[test]
    fn every_name_of_a_key_means_it() {
        let id = keys()[0].id.clone();
        for name in [
            "1",
            "hidraw0",
            "/dev/hidraw0",
            "0042",
            &id,
            &id.to_uppercase(),
        ] {
            assert_eq!(named(name, keys()).unwrap().number, 1, "{name}");
        }
        assert_eq!(named("software key", keys()).unwrap().number, 3);
        assert_eq!(named("unix:/tmp/key", keys()).unwrap().number, 3);
        let other = named("unix:/tmp/other", keys()).unwrap();
        assert_eq!(other.found.address.to_string(), "unix:/tmp/other");
    }

    #[test]
    fn no_key_is_taken_by_chance() {
        for name in ["9", "0", "abc", "hidraw", "-1", "k"] {
            assert_eq!(named(name, keys()).unwrap_err().exit, Exit::NoKey, "{name}");
        }
        let error = named("a key", keys()).unwrap_err();
        assert_eq!(error.exit, Exit::Ambiguous);
        assert!(error.to_string().contains("/dev/hidraw3"), "{error}");
        assert_eq!(only(keys()).unwrap_err().exit, Exit::Ambiguous);
        assert_eq!(only(Vec::new()).unwrap_err().exit, Exit::NoKey);
        assert_eq!(only(keys()[..1].to_vec()).unwrap().number, 1);
        // A serial number that is also a number of the list.
        let all = number(vec![
            usb("hidraw0", Some("2"), "a"),
            usb("hidraw1", None, "b"),
        ]);
        assert_eq!(named("2", all).unwrap_err().exit, Exit::Ambiguous);
    }

    #[test]
    fn ids_stay_with_the_key_and_differ() {
        let before = number(vec![usb("hidraw0", Some("7"), "usb-1")]);
        let after = number(vec![
            usb("hidraw1", Some("8"), "usb-1"),
            usb("hidraw5", Some("7"), "usb-4"),
        ]);
        assert_eq!(before[0].id, after[1].id);
        assert_ne!(after[0].id, after[1].id);
        // A maker that gives all its keys one serial number.
        let twins = number(vec![
            usb("hidraw0", Some("1"), "usb-1"),
            usb("hidraw1", Some("1"), "usb-2"),
        ]);
        assert_ne!(twins[0].id, twins[1].id);
    }
}
