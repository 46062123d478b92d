//! What a person is asked during a ceremony, and what may be answered.
//!
//! Prompts are outputs of the state machine: a terminal, a page or a test shows them. A prompt
//! replaces the one before it; [`crate::Output::Dismiss`] takes the last one away.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::pin::{PinError, PinPolicy};

/// A dialog of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "prompt")]
pub enum Prompt {
    /// No key is plugged in.
    InsertKey,
    /// Touch the key.
    Touch {
        /// What the touch is for.
        purpose: TouchPurpose,
        /// The site.
        rp_id: String,
    },
    /// Enter the PIN of the key. Answer: [`UserInput::Pin`].
    EnterPin {
        /// The tries left, where the platform reads them.
        retries: Option<u8>,
        /// The PIN before this one was wrong.
        previous_wrong: bool,
        /// What was typed cannot be a PIN; no try was spent on it.
        error: Option<PinError>,
        /// The least code points.
        min_length: u64,
    },
    /// Choose a PIN for a key that has none. Answer: [`UserInput::NewPin`].
    CreatePin {
        /// What the key demands.
        policy: PinPolicy,
        /// The most bytes.
        max_bytes: usize,
        /// "Not now" goes on without ([`UserInput::NotNow`]).
        optional: bool,
        /// Why the last one was refused.
        error: Option<PinError>,
    },
    /// Choose a new PIN for a key that demands one. Answer: [`UserInput::ChangePin`].
    ChangePin {
        /// What the key demands.
        policy: PinPolicy,
        /// The most bytes.
        max_bytes: usize,
        /// The old PIN has just been entered and need not be typed again.
        old_known: bool,
        /// The tries left for the old PIN.
        retries: Option<u8>,
        /// The old PIN was wrong.
        previous_wrong: bool,
        /// Why the last new one was refused.
        error: Option<PinError>,
    },
    /// Verify on the key itself: finger, or its own keypad.
    Fingerprint {
        /// The tries left, once one has failed.
        retries: Option<u8>,
        /// The try before this one failed.
        previous_wrong: bool,
        /// The site.
        rp_id: String,
    },
    /// Enrol a finger now: put it on the sensor several times. [`UserInput::NotNow`] skips it.
    EnrollFingerprint {
        /// Samples still wanted, when the key has said so.
        remaining: Option<u8>,
    },
    /// Pick one of the accounts. Answer: [`UserInput::Account`] with its place in the list.
    PickAccount {
        /// The accounts on the key.
        accounts: Vec<Account>,
    },
    /// Something to know; needs no answer, and the ceremony ends with it or goes on.
    Message {
        /// The words.
        text: String,
    },
}

impl Prompt {
    /// Whether the ceremony waits for a [`UserInput`] other than [`UserInput::Cancel`].
    pub fn wants_answer(&self) -> bool {
        matches!(
            self,
            Self::EnterPin { .. }
                | Self::CreatePin { .. }
                | Self::ChangePin { .. }
                | Self::PickAccount { .. }
        )
    }
}

/// What a touch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TouchPurpose {
    /// To choose this key.
    Select,
    /// To register.
    Register,
    /// To sign in.
    SignIn,
}

/// An account on the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The account name, where the key tells it.
    pub name: Option<String>,
    /// The person's name, where the key tells it.
    pub display_name: Option<String>,
}

/// A text that is wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a person answers. An answer that does not fit the prompt shown is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "input")]
pub enum UserInput {
    /// The PIN of the key.
    Pin {
        /// As typed.
        pin: Secret,
    },
    /// A PIN for a key that had none.
    NewPin {
        /// As typed.
        pin: Secret,
    },
    /// A new PIN in place of the old one.
    ChangePin {
        /// The old one, unless it is known already.
        old: Option<Secret>,
        /// The new one.
        new: Secret,
    },
    /// Go on without it.
    NotNow,
    /// The account at this place in the list.
    Account {
        /// Its place, from 0.
        index: usize,
    },
    /// Close the dialog: end the ceremony.
    Cancel,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn typed_secrets_are_never_shown() {
        let input: UserInput = serde_json::from_str(r#"{"input":"pin","pin":"123456"}"#).unwrap();
        assert_eq!(
            input,
            UserInput::Pin {
                pin: "123456".into()
            }
        );
        assert!(!format!("{input:?}").contains("123456"));
    }

    #[test]
    fn prompts_survive_as_json() {
        let prompt = Prompt::CreatePin {
            policy: PinPolicy::default(),
            max_bytes: 63,
            optional: true,
            error: Some(PinError::TooShort { least: 4, has: 2 }),
        };
        let text = serde_json::to_string(&prompt).unwrap();
        assert!(
            text.starts_with(r#"{"prompt":"create-pin","policy":{"min_length":4"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Prompt>(&text).unwrap(), prompt);
    }
}
