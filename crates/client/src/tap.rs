//! Keys that are laid on a reader for a moment (CTAP 2.3 §11.3, NFC): what has to be typed is typed
//! before.

use webauthn::options::UserVerificationRequirement;

use crate::ceremony::Ceremony;
use crate::pin::{MIN_CODE_POINTS, Pin, PinError};
use crate::prompt::{Prompt, UserInput};

impl Ceremony {
    /// The key will be laid on a reader (NFC). A person takes it away as soon as something is to be
    /// typed, so the PIN is asked before the key is there, if it may be wanted: one tap instead of
    /// three. [`UserInput::NotNow`] is "my key has none".
    #[must_use]
    pub fn by_tap(mut self) -> Self {
        self.tap = true;
        self
    }

    pub(crate) fn wants_early_pin(&self) -> bool {
        let discouraged = match self.request.as_deref() {
            Ok(request) => request.user_verification() == UserVerificationRequirement::Discouraged,
            Err(_) => true,
        };
        self.tap && self.early_pin.is_none() && self.steps.is_empty() && !discouraged
    }

    pub(crate) fn ask_early_pin(&mut self, error: Option<PinError>) {
        self.show(Prompt::EnterPin {
            retries: None,
            previous_wrong: false,
            error,
            min_length: MIN_CODE_POINTS,
        });
    }

    /// The PIN, before there is a key to check it.
    pub(crate) fn on_early_pin(&mut self, input: &UserInput) {
        if !matches!(self.prompt, Some(Prompt::EnterPin { .. })) {
            return;
        }
        match input {
            UserInput::Pin { pin } => match Pin::existing(pin.as_str()) {
                Ok(pin) => self.early_pin = Some(pin),
                Err(error) => return self.ask_early_pin(Some(error)),
            },
            UserInput::NotNow => {}
            _ => return,
        }
        self.show(Prompt::InsertKey);
    }
}
