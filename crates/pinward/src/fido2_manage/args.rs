//! The flags of the four dialects, read as each of them reads its own

use std::ffi::OsString;

use zeroize::Zeroizing;

use super::text::Dialect;
use super::trouble::Trouble;
use crate::exit::Exit;

/// What to do. In the order in which fido2-manage does the first of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Help,
    List,
    Reset,
    ChangePin,
    Uvs,
    Uvd,
    ForcePinChange,
    SetPin,
    SetMinimumPin,
    Delete,
    RenameFingerprint,
    DeleteFingerprint,
    FingerprintList,
    Fingerprint,
    Storage,
    ResidentKeys,
    Info,
}

/// One flag: its name, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// Says what to do.
    Do(Action),
    /// Says what to do, and is followed by a number.
    DoWith(Action),
    Device,
    Pin,
    Domain,
    Credential,
    FingerprintName,
}

impl Flag {
    fn takes_value(self) -> bool {
        !matches!(self, Self::Do(_))
    }
}

/// Every flag that a dialect has. Case does not matter; the longest way to write each is here.
const FLAGS: [(&str, Flag); 22] = [
    ("list", Flag::Do(Action::List)),
    ("device", Flag::Device),
    ("info", Flag::Do(Action::Info)),
    ("storage", Flag::Do(Action::Storage)),
    ("residentKeys", Flag::Do(Action::ResidentKeys)),
    ("domain", Flag::Domain),
    ("delete", Flag::Do(Action::Delete)),
    ("credential", Flag::Credential),
    ("setPIN", Flag::Do(Action::SetPin)),
    ("changePIN", Flag::Do(Action::ChangePin)),
    ("forcePINchange", Flag::Do(Action::ForcePinChange)),
    ("setMinimumPIN", Flag::DoWith(Action::SetMinimumPin)),
    ("uvs", Flag::Do(Action::Uvs)),
    ("uvd", Flag::Do(Action::Uvd)),
    ("reset", Flag::Do(Action::Reset)),
    ("fingerprint", Flag::Do(Action::Fingerprint)),
    ("fingerprintlist", Flag::Do(Action::FingerprintList)),
    ("deletefingerprint", Flag::DoWith(Action::DeleteFingerprint)),
    ("renamefingerprint", Flag::DoWith(Action::RenameFingerprint)),
    ("fingerprintname", Flag::FingerprintName),
    ("pin", Flag::Pin),
    ("help", Flag::Do(Action::Help)),
];

/// A command line that was understood.
pub(super) struct Call {
    pub(super) dialect: Dialect,
    pub(super) action: Action,
    /// Whether it was named; help and -info are also what a call without an action comes to.
    pub(super) asked: bool,
    /// Actions that were also named, and are not done.
    pub(super) left_out: Vec<Action>,
    /// As it was written: a number of the list, or any other name of a key.
    pub(super) device: Option<String>,
    /// As it was written: a place or, in the old manner, the PIN itself.
    pub(super) pin: Option<Zeroizing<String>>,
    /// Which of the words has the PIN, and how many characters before it belong to the flag.
    pub(super) pin_word: Option<(usize, usize)>,
    pub(super) domain: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) name: Option<String>,
    /// The value of -setMinimumPIN, -deletefingerprint or -renamefingerprint.
    pub(super) number: Option<String>,
}

/// What is known of the call even when the words cannot be understood: how to speak and to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) dialect: Dialect,
    pub(super) legacy_exit: bool,
}

impl Manner {
    /// From the words, with the dialect of the program's name if they say nothing.
    pub(super) fn of(words: &[Zeroizing<String>], by_name: Dialect) -> Self {
        let mut manner = Self {
            dialect: by_name,
            legacy_exit: false,
        };
        for (at, word) in words.iter().enumerate() {
            match own_flag(word) {
                Some((OwnFlag::LegacyExit, _)) => manner.legacy_exit = true,
                Some((OwnFlag::Dialect, value)) => {
                    let next = words.get(at + 1).map(|word| word.as_str());
                    let named = value.or(next).and_then(Dialect::find);
                    manner.dialect = named.unwrap_or(by_name);
                }
                None => {}
            }
        }
        manner
    }
}

/// The two flags that fido2-manage does not have. They are written with two dashes and in full, so
/// that they take no abbreviation away from it.
enum OwnFlag {
    LegacyExit,
    Dialect,
}

fn own_flag(word: &str) -> Option<(OwnFlag, Option<&str>)> {
    let word = word.strip_prefix("--")?;
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    if name.eq_ignore_ascii_case("dialect") {
        Some((OwnFlag::Dialect, value))
    } else if word.eq_ignore_ascii_case("legacy-exit") {
        Some((OwnFlag::LegacyExit, None))
    } else {
        None
    }
}

/// The flag that a word is, and where a value begins that is joined to it.
fn flag(word: &str) -> Result<(Flag, Option<usize>), Trouble> {
    let unknown = || Trouble::unknown_word(word);
    let dashes = if word.starts_with("--") { 2 } else { 1 };
    let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
        return Err(unknown());
    };
    let end = name.find([':', '=']);
    let joined = end.map(|at| dashes + at + 1);
    let name = name.get(..end.unwrap_or(name.len())).unwrap_or(name);
    let fits = |full: &str| {
        full.get(..name.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(name))
    };
    let mut fitting = FLAGS.iter().filter(|(full, _)| fits(full));
    let exact = FLAGS
        .iter()
        .find(|(full, _)| full.eq_ignore_ascii_case(name));
    let flag = match (exact, fitting.next(), fitting.next()) {
        _ if name.is_empty() => return Err(unknown()),
        (Some((_, flag)), _, _) | (None, Some((_, flag)), None) => *flag,
        (None, None, _) => return Err(unknown()),
        (None, Some((one, _)), Some((other, _))) => {
            return Err(Trouble::usage(format!(
                "-{name} is short for -{one} and for -{other}; write more of it"
            )));
        }
    };
    if joined.is_some() && !flag.takes_value() {
        return Err(Trouble::usage(format!("-{name} takes no value")));
    }
    Ok((flag, joined))
}

/// Understands the words after the program's name.
pub(super) fn parse(words: &[Zeroizing<String>], manner: Manner) -> Result<Call, Trouble> {
    let mut call = Call {
        dialect: manner.dialect,
        action: Action::Help,
        asked: false,
        left_out: Vec::new(),
        device: None,
        pin: None,
        pin_word: None,
        domain: None,
        credential: None,
        name: None,
        number: None,
    };
    let mut actions = Vec::new();
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        match own_flag(word) {
            None => {}
            Some((OwnFlag::LegacyExit, _)) => continue,
            Some((OwnFlag::Dialect, joined)) => {
                let value = match joined {
                    Some(value) => value.to_owned(),
                    None => next(words, &mut at, "--dialect")?.1.to_string(),
                };
                Dialect::find(&value).ok_or_else(|| {
                    Trouble::usage("--dialect is one of linux, macos, windows and cpp")
                })?;
                continue;
            }
        }
        let (flag, joined) = flag(word)?;
        if let Flag::Do(action) | Flag::DoWith(action) = flag {
            actions.push(action);
        }
        if !flag.takes_value() {
            continue;
        }
        let (place, value) = match joined {
            Some(begin) => ((at - 1, begin), tail(word, begin)),
            None => value(words, &mut at, word, flag)?,
        };
        match flag {
            Flag::Do(_) => {}
            Flag::DoWith(action) => numbers.push((action, value.to_string())),
            Flag::Device => call.device = Some(value.to_string()),
            Flag::Pin => {
                call.pin = Some(value);
                call.pin_word = Some(place);
            }
            Flag::Domain => call.domain = Some(value.to_string()),
            Flag::Credential => call.credential = Some(value.to_string()),
            Flag::FingerprintName => call.name = Some(value.to_string()),
        }
    }
    choose(&mut call, &actions);
    call.number = numbers
        .into_iter()
        .find_map(|(action, number)| (action == call.action).then_some(number));
    complete(&call)?;
    Ok(call)
}

type Value = ((usize, usize), Zeroizing<String>);

/// The value after a flag. A forgotten one is noticed, but a PIN may begin with a dash.
fn value(
    words: &[Zeroizing<String>],
    at: &mut usize,
    word: &str,
    this: Flag,
) -> Result<Value, Trouble> {
    let forgotten = this != Flag::Pin
        && words
            .get(*at)
            .is_some_and(|next| next.starts_with('-') && flag(next).is_ok());
    if forgotten {
        return Err(missing(word));
    }
    next(words, at, word)
}

fn next(words: &[Zeroizing<String>], at: &mut usize, flag: &str) -> Result<Value, Trouble> {
    let value = words.get(*at).ok_or_else(|| missing(flag))?;
    *at += 1;
    Ok(((*at - 1, 0), value.clone()))
}

fn missing(flag: &str) -> Trouble {
    Trouble::usage(format!("Missing value for {flag}"))
}

fn tail(word: &str, from: usize) -> Zeroizing<String> {
    Zeroizing::new(word.get(from..).unwrap_or_default().to_owned())
}

/// Which of several actions is done: in C++ the first, elsewhere the first of a fixed order, in which
/// two dialects differ at one place.
fn choose(call: &mut Call, actions: &[Action]) {
    let rank = |action: &Action| match (call.dialect, action) {
        (Dialect::Macos, Action::SetMinimumPin) => Action::SetPin as u8 * 2 - 1,
        (_, action) => *action as u8 * 2,
    };
    let chosen = if call.dialect == Dialect::Cpp {
        actions.first()
    } else {
        actions.iter().min_by_key(|action| rank(action))
    };
    call.action = match chosen {
        Some(action) => *action,
        // As on Windows: a device alone is shown.
        None if call.device.is_some() => Action::Info,
        None => Action::Help,
    };
    call.asked = chosen.is_some();
    call.left_out = actions.to_vec();
    call.left_out.retain(|action| *action != call.action);
}

/// What is missing, or has nothing to do with the action.
fn complete(call: &Call) -> Result<(), Trouble> {
    let wrong = match call.action {
        Action::Help | Action::List => return Ok(()),
        Action::Delete if call.credential.is_none() => {
            "Missing -credential argument for -delete operation."
        }
        Action::RenameFingerprint if call.name.is_none() => {
            "Missing -fingerprintname argument for -renamefingerprint operation."
        }
        action if action.changes() && call.device.is_none() => "Missing -device argument.",
        action if call.domain.is_some() && action != Action::ResidentKeys => {
            "-domain goes with -residentKeys only"
        }
        action if call.credential.is_some() && action != Action::Delete => {
            "-credential goes with -delete only"
        }
        _ => return Ok(()),
    };
    Err(Trouble::usage(wrong))
}

impl Action {
    /// Whether it changes the key. Such a key is never guessed.
    pub(super) fn changes(self) -> bool {
        !matches!(
            self,
            Self::Help
                | Self::List
                | Self::FingerprintList
                | Self::Storage
                | Self::ResidentKeys
                | Self::Info
        )
    }

    /// Its flag.
    pub(super) fn name(self) -> &'static str {
        let own = |flag: &Flag| matches!(flag, Flag::Do(a) | Flag::DoWith(a) if *a == self);
        FLAGS
            .iter()
            .find(|(_, flag)| own(flag))
            .map_or("", |(name, _)| name)
    }
}

/// The words as text; nothing that is not text is a flag, a key or a PIN.
pub(super) fn texts(
    words: impl Iterator<Item = OsString>,
) -> Result<Vec<Zeroizing<String>>, Trouble> {
    words
        .map(|word| match word.into_string() {
            Ok(word) => Ok(Zeroizing::new(word)),
            Err(_) => Err(Trouble::new(
                Exit::Usage,
                "a word of the command line is not UTF-8",
            )),
        })
        .collect()
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
