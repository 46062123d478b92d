//! Scripted people.

use authenticator::{FingerMatch, Interaction};
use client::prompt::{Prompt, Secret, UserInput};
use serde::{Deserialize, Serialize};

use crate::bench::{Answer, Bench};

/// What kind of person sits at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserAction {
    /// Does what every dialog asks.
    #[default]
    Accepts,
    /// Closes the first dialog of the platform.
    Cancels,
    /// Mistypes the PIN the first time.
    WrongPin,
}

/// A person who answers dialogs.
#[derive(Debug, Clone)]
pub struct Person {
    action: UserAction,
    pin: Option<Secret>,
    mistyped: bool,
}

/// What a scripted person chooses as a new PIN.
const NEW_PIN: &str = "567890";

impl Person {
    /// A person who knows this PIN of the key.
    pub fn new(action: UserAction, pin: Option<Secret>) -> Self {
        Self {
            action,
            pin,
            mistyped: false,
        }
    }

    /// The answer to what the bench waits for.
    pub fn answer(&mut self, bench: &Bench) -> Answer {
        let waits = bench.key().waiting();
        match (bench.prompt(), self.action) {
            (Some(_), UserAction::Cancels) => Answer::Input(UserInput::Cancel),
            (Some(prompt), _) if prompt.wants_answer() => Answer::Input(self.input(prompt)),
            _ if matches!(waits, Some(Interaction::BuiltInUv { .. })) => {
                Answer::Finger(FingerMatch::Match)
            }
            _ => Answer::Touch,
        }
    }

    fn input(&mut self, prompt: &Prompt) -> UserInput {
        match prompt {
            Prompt::EnterPin { .. } => UserInput::Pin {
                pin: self.type_pin(),
            },
            Prompt::CreatePin { .. } => UserInput::NewPin { pin: self.choose() },
            Prompt::ChangePin { old_known, .. } => self.change_pin(*old_known),
            Prompt::PickAccount { .. } => UserInput::Account { index: 0 },
            _ => UserInput::Cancel,
        }
    }

    /// A new PIN is remembered only where the old one is right: otherwise the key keeps the old one.
    fn change_pin(&mut self, old_known: bool) -> UserInput {
        let old = (!old_known).then(|| self.type_pin());
        let right = old_known || old == self.pin;
        let new = if right {
            self.choose()
        } else {
            Secret::from(NEW_PIN)
        };
        UserInput::ChangePin { old, new }
    }

    fn type_pin(&mut self) -> Secret {
        if self.action == UserAction::WrongPin && !self.mistyped {
            self.mistyped = true;
            return Secret::from("a wrong PIN");
        }
        // Somebody who knows no PIN types one that is surely wrong.
        self.pin
            .clone()
            .unwrap_or_else(|| Secret::from("not known"))
    }

    fn choose(&mut self) -> Secret {
        let pin = Secret::from(NEW_PIN);
        self.pin = Some(pin.clone());
        pin
    }
}
