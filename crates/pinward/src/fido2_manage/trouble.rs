//! What went wrong: words for people, the name that libfido2's tools would print, an exit code

use client::manage::ManageError;
use client::pin::PinError;
use ctap::Status;

use crate::device;
use crate::exit::{Exit, Fault};
use crate::say;

/// A failure of one call.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) exit: Exit,
    text: String,
    /// `FIDO_ERR_…`, which programs look for in the output of fido2-manage.
    name: Option<String>,
    /// The old fido2-manage ends with 1 here, not with 0.
    pub(super) always_failed: bool,
}

impl Trouble {
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
            name: None,
            always_failed: false,
        }
    }

    /// The command line is at fault.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// A word that is no flag. What does not look like one may be a part of a PIN.
    pub(super) fn unknown_word(word: &str) -> Self {
        let shown = word.starts_with('-').then(|| {
            let end = word.find([':', '=']).unwrap_or(word.len());
            say::escaped(word.get(..end).unwrap_or_default())
        });
        let text = match shown {
            Some(flag) => format!("Unknown parameter: {flag}"),
            None => "Unknown parameter (not repeated, since it may be a part of a PIN)".to_owned(),
        };
        Self {
            always_failed: true,
            ..Self::usage(text)
        }
    }

    /// In other words, and with the exit code that goes with them.
    pub(super) fn with(self, fault: &Fault) -> Self {
        Self {
            exit: fault.exit,
            text: fault.to_string(),
            ..self
        }
    }

    /// In other words, with the same exit code.
    pub(super) fn saying(self, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..self
        }
    }

    /// With libfido2's name for it.
    pub(super) fn named(self, name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..self
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        match &self.name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::new(fault.exit, fault.to_string())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Fault::from(error).into()
    }
}

impl From<PinError> for Trouble {
    fn from(error: PinError) -> Self {
        let text = match error {
            PinError::TooShort { .. } | PinError::TooLong { .. } => {
                format!("invalid PIN length: {error}")
            }
            _ => error.to_string(),
        };
        Self::new(Exit::Refused, text).named("FIDO_ERR_PIN_POLICY_VIOLATION")
    }
}

impl From<ManageError> for Trouble {
    fn from(error: ManageError) -> Self {
        let name = match (&error, error.status()) {
            (_, Some(status)) => Some(libfido2_name(status)),
            (ManageError::NotSupported(_), _) => Some("FIDO_ERR_UNSUPPORTED_OPTION".to_owned()),
            (ManageError::Pin(_), _) => Some("FIDO_ERR_PIN_POLICY_VIOLATION".to_owned()),
            _ => None,
        };
        let fault = Fault::from(error);
        Self {
            name,
            ..Self::from(fault)
        }
    }
}

/// libfido2 names the status codes as CTAP does, but for the beginning and for one of them.
fn libfido2_name(status: Status) -> String {
    if status == Status::PUAT_REQUIRED {
        return "FIDO_ERR_PIN_REQUIRED".to_owned();
    }
    let name = status.name();
    let bare = name
        .strip_prefix("CTAP2_ERR_")
        .or_else(|| name.strip_prefix("CTAP1_ERR_"));
    match bare {
        Some(bare) => format!("FIDO_ERR_{bare}"),
        None => name.into_owned(),
    }
}

/// No key has this name, and what there is instead.
pub(super) fn no_such_device(name: &str) -> Trouble {
    let there = device::all().len();
    let have = match there {
        0 => "no key is plugged in".to_owned(),
        1 => "there is one, and its number is 1".to_owned(),
        many => format!("there are {many}, numbered from 1; -list shows them"),
    };
    Trouble::new(
        Exit::NoKey,
        format!("Invalid device number: {} ({have})", say::escaped(name)),
    )
}
