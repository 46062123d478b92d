//! What a person is asked on the terminal during create() and get(), and the places that answer instead.
//!
//! Dialogs have a thread of their own: while somebody types, keys may come and go and time runs on.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::sync::mpsc::{Receiver, Sender, channel};

use client::pin::{PinError, PinPolicy};
use client::prompt::{Account, Prompt, Secret, TouchPurpose, UserInput};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Exit, Fault};
use crate::say;
use crate::secret::{self, Named};

/// What was said on the command line to save a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// Where the PIN is.
    pub(crate) pin: Option<Named>,
    /// Where a PIN for a key without one is, and the next one for a key that demands it.
    pub(crate) new_pin: Option<Named>,
    /// The account: its name, or its number in the list.
    pub(crate) account: Option<String>,
}

/// An answer, or why there is none.
pub(crate) struct Answer {
    /// Which question.
    pub(crate) number: u64,
    pub(crate) input: Result<UserInput, Fault>,
}

/// The thread that asks.
pub(crate) struct Dialogs {
    questions: Sender<(u64, Prompt)>,
    asked: u64,
    answered: u64,
    terminal: Option<(File, Termios)>,
}

impl Dialogs {
    pub(crate) fn start<T: From<Answer> + Send + 'static>(
        given: Given,
        answers: Sender<T>,
    ) -> io::Result<Self> {
        let (questions, todo) = channel();
        let asker = Asker {
            given,
            pin_used: false,
        };
        std::thread::Builder::new()
            .name("dialogs".to_owned())
            .spawn(move || asker.run(&todo, &answers))?;
        let terminal = File::open("/dev/tty").ok();
        Ok(Self {
            questions,
            asked: 0,
            answered: 0,
            terminal: terminal.and_then(|tty| tcgetattr(&tty).ok().map(|modes| (tty, modes))),
        })
    }

    /// Whether there is somebody to ask.
    pub(crate) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Shows a dialog. What needs no answer is only said.
    pub(crate) fn show(&mut self, prompt: &Prompt) {
        self.asked += 1;
        match statement(prompt) {
            Some(words) => {
                self.answered = self.asked;
                eprint!("{}", say::wrapped("", 0, &words));
            }
            None => {
                let _ = self.questions.send((self.asked, prompt.clone()));
            }
        }
    }

    /// Whether this answers the question that is open; an older one was taken back.
    pub(crate) fn is_current(&mut self, answer: &Answer) -> bool {
        self.answered = self.answered.max(answer.number);
        answer.number == self.asked
    }
}

impl Drop for Dialogs {
    /// Whoever was typing when the ceremony ended gets the echo back.
    fn drop(&mut self) {
        if self.answered < self.asked
            && let Some((tty, modes)) = &self.terminal
        {
            let _ = tcsetattr(tty, OptionalActions::Now, modes);
            eprintln!();
        }
    }
}

/// The words of a dialog that needs no answer.
fn statement(prompt: &Prompt) -> Option<String> {
    let words = match prompt {
        Prompt::InsertKey => {
            "Plug in your security key, or lay it on the reader (Ctrl-C gives up).".to_owned()
        }
        Prompt::Touch { purpose, rp_id } => match purpose {
            TouchPurpose::Select => "Touch the key that you want to use.".to_owned(),
            TouchPurpose::Register => format!("Touch the key to register with {rp_id}."),
            TouchPurpose::SignIn => format!("Touch the key to sign in to {rp_id}."),
        },
        Prompt::Fingerprint { previous_wrong, .. } => {
            let again = if *previous_wrong {
                "It was not recognised. "
            } else {
                ""
            };
            format!("{again}Lay your finger on the sensor of the key.")
        }
        Prompt::EnrollFingerprint { remaining } => match remaining {
            None => "Enrol a finger: lay it on the sensor again and again.".to_owned(),
            Some(remaining) => format!("Once more; {remaining} to go."),
        },
        Prompt::Message { text } => text.clone(),
        Prompt::EnterPin { .. }
        | Prompt::CreatePin { .. }
        | Prompt::ChangePin { .. }
        | Prompt::PickAccount { .. } => return None,
    };
    Some(words)
}

struct Asker {
    given: Given,
    /// The PIN that was named has been tried; it is never tried twice.
    pin_used: bool,
}

impl Asker {
    fn run<T: From<Answer>>(mut self, todo: &Receiver<(u64, Prompt)>, answers: &Sender<T>) {
        while let Ok((number, prompt)) = todo.recv() {
            let input = self.ask(&prompt);
            if answers.send(Answer { number, input }.into()).is_err() {
                return;
            }
        }
    }

    fn ask(&mut self, prompt: &Prompt) -> Result<UserInput, Fault> {
        match prompt {
            Prompt::EnterPin {
                retries,
                previous_wrong,
                error,
                ..
            } => self.enter(*retries, *previous_wrong, error.as_ref()),
            Prompt::CreatePin {
                policy,
                optional,
                error,
                ..
            } => self.create(policy, *optional, error.as_ref()),
            Prompt::ChangePin {
                policy,
                old_known,
                retries,
                previous_wrong,
                error,
                ..
            } => {
                let old = if *old_known {
                    None
                } else {
                    Some(self.old(*retries, *previous_wrong)?)
                };
                say_error(error.as_ref());
                let new = self.new_pin(policy, "The key wants a new PIN", error.as_ref())?;
                Ok(UserInput::ChangePin { old, new })
            }
            Prompt::PickAccount { accounts } => self.pick(accounts),
            _ => Err(Fault::new(Exit::Failed, "a dialog that is not known")),
        }
    }

    fn enter(
        &mut self,
        retries: Option<u8>,
        previous_wrong: bool,
        error: Option<&PinError>,
    ) -> Result<UserInput, Fault> {
        say_error(error);
        let pin = self.old(retries, previous_wrong || error.is_some())?;
        Ok(UserInput::Pin { pin })
    }

    /// The PIN that the key has.
    fn old(&mut self, retries: Option<u8>, previous_wrong: bool) -> Result<Secret, Fault> {
        let left = retries.map(|left| crate::authorise::tries(left.into()));
        if let Some(place) = &self.given.pin {
            if self.pin_used && previous_wrong {
                let left = left.map(|left| format!("; {left}")).unwrap_or_default();
                return Err(Fault::new(Exit::WrongPin, format!("wrong PIN{left}")));
            }
            if self.pin_used {
                return Err(Fault::refused(
                    "the PIN is wanted once more, and it was named for one use",
                ));
            }
            self.pin_used = true;
            return Ok(secret(place.read()?));
        }
        let wrong = if previous_wrong { "Wrong PIN. " } else { "" };
        let left = left.map(|left| format!(" ({left})")).unwrap_or_default();
        let typed = secret::existing(None, &format!("{wrong}PIN of the key{left}: "))?;
        Ok(secret(typed))
    }

    fn create(
        &mut self,
        policy: &PinPolicy,
        optional: bool,
        error: Option<&PinError>,
    ) -> Result<UserInput, Fault> {
        say_error(error);
        let nobody = self.given.new_pin.is_none() && File::open("/dev/tty").is_err();
        if optional && nobody {
            eprintln!("The key has no PIN, and nobody is here to choose one: going on without.");
            return Ok(UserInput::NotNow);
        }
        if !optional {
            let pin = self.new_pin(policy, "The key has no PIN, and needs one", error)?;
            return Ok(UserInput::NewPin { pin });
        }
        let what = "The key has no PIN. Choose one, or press Enter alone for \"not now\"";
        match self.new_pin(policy, what, error)? {
            pin if pin.as_str().is_empty() => Ok(UserInput::NotNow),
            pin => Ok(UserInput::NewPin { pin }),
        }
    }

    /// A new PIN: from its place, or typed twice. Empty when it was not typed.
    fn new_pin(
        &mut self,
        policy: &PinPolicy,
        what: &str,
        error: Option<&PinError>,
    ) -> Result<Secret, Fault> {
        if let Some(place) = &self.given.new_pin {
            return match error {
                // It would be refused again.
                Some(error) => Err(Fault::refused(error.to_string())),
                None => Ok(secret(place.read()?)),
            };
        }
        let (least, most) = (policy.min_length, policy.max_length);
        eprint!(
            "{}",
            say::wrapped(
                "",
                0,
                &format!("{what}. It has {least} to {most} characters.")
            )
        );
        loop {
            let first = secret::existing(None, "New PIN: ")?;
            if first.is_empty() || *first == *secret::existing(None, "The same PIN again: ")? {
                return Ok(secret(first));
            }
            eprintln!("The two entries differ.");
        }
    }

    fn pick(&self, accounts: &[Account]) -> Result<UserInput, Fault> {
        if let Some(wanted) = &self.given.account {
            return match place_of(wanted, accounts) {
                Some(index) => Ok(UserInput::Account { index }),
                None => Err(Fault::refused(format!(
                    "the key has no account {:?} for this site",
                    say::escaped(wanted)
                ))),
            };
        }
        let tty = File::open("/dev/tty").map_err(|_| {
            Fault::usage(format!(
                "the key has {} accounts for this site, and there is no terminal to ask for one; \
                 say --account NAME",
                accounts.len()
            ))
        })?;
        eprintln!("The key has several accounts for this site:");
        for (number, account) in accounts.iter().enumerate() {
            eprint!(
                "{}",
                say::wrapped(&format!("{:>3}  ", number + 1), 5, &named(account))
            );
        }
        let mut lines = BufReader::new(tty).lines();
        loop {
            eprint!("Which one (1 to {})? ", accounts.len());
            let Some(line) = lines.next() else {
                return Ok(UserInput::Cancel);
            };
            if let Some(index) = place_of(line?.trim(), accounts) {
                return Ok(UserInput::Account { index });
            }
        }
    }
}

fn say_error(error: Option<&PinError>) {
    if let Some(error) = error {
        eprint!("{}", say::wrapped("", 0, &error.to_string()));
    }
}

fn secret(typed: Zeroizing<String>) -> Secret {
    Secret::from(typed.as_str())
}

fn named(account: &Account) -> String {
    match (&account.name, &account.display_name) {
        (Some(name), Some(person)) if name != person && !person.is_empty() => {
            format!("{name} ({person})")
        }
        (Some(name), _) => name.clone(),
        (None, Some(person)) => person.clone(),
        (None, None) => "(without a name)".to_owned(),
    }
}

/// By its name, if exactly one has it, else by its number from 1.
fn place_of(wanted: &str, accounts: &[Account]) -> Option<usize> {
    let mut by_name = accounts
        .iter()
        .enumerate()
        .filter(|(_, account)| account.name.as_deref() == Some(wanted))
        .map(|(index, _)| index);
    match (by_name.next(), by_name.next()) {
        (Some(index), None) => Some(index),
        (Some(_), Some(_)) => None,
        _ => {
            let index = wanted.parse::<usize>().ok()?.checked_sub(1)?;
            (index < accounts.len()).then_some(index)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn account(name: &str) -> Account {
        Account {
            name: Some(name.to_owned()),
            display_name: None,
        }
    }

    #[test]
    fn an_account_is_meant_by_its_name_or_its_number() {
        let accounts = [account("kim"), account("2"), account("lee"), account("lee")];
        assert_eq!(place_of("kim", &accounts), Some(0));
        assert_eq!(place_of("2", &accounts), Some(1), "the name comes first");
        assert_eq!(place_of("4", &accounts), Some(3));
        for wrong in ["lee", "0", "5", "", "k"] {
            assert_eq!(place_of(wrong, &accounts), None, "{wrong}");
        }
    }

    #[test]
    fn a_pin_that_was_named_is_tried_once() {
        let given = Given {
            pin: Some("cmd:echo 1234".parse().unwrap()),
            ..Given::default()
        };
        let mut asker = Asker {
            given,
            pin_used: false,
        };
        assert!(matches!(
            asker.enter(Some(8), false, None).unwrap(),
            UserInput::Pin { pin } if pin.as_str() == "1234"
        ));
        let fault = asker.enter(Some(7), true, None).unwrap_err();
        assert_eq!(
            (fault.exit, fault.to_string()),
            (Exit::WrongPin, "wrong PIN; 7 tries left".into())
        );
        assert_eq!(
            asker.enter(Some(7), false, None).unwrap_err().exit,
            Exit::Refused
        );
    }
}
