//! What went wrong with a key, in one line, and the exit code that tells a script which kind it was.

use std::io;

use client::manage::ManageError;
use client::pin::PinError;
use ctap::Status;
use transport::host::{OpenError, TransactError};

/// Kinds of failure; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Anything else.
    Failed = 1,
    /// The command line is at fault.
    Usage = 2,
    /// There is no such key.
    NoKey = 3,
    /// There are several, or the name fits several.
    Ambiguous = 4,
    /// The PIN is wrong; a try was spent.
    WrongPin = 5,
    /// The PIN is blocked, for good or until the key is plugged in anew.
    PinBlocked = 6,
    /// The key, or the person, refused.
    Refused = 7,
    /// The key has no such thing.
    NotSupported = 8,
    /// The system does not let this user.
    Permission = 9,
    /// All went well, and things are not as they should be.
    Drift = 10,
}

/// The exit codes as the help shows them.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong use. Of commands about a \
    key also: 3 no such key, 4 several fit, 5 wrong PIN, 6 PIN blocked, 7 refused, 8 the key cannot, \
    9 no permission, 10 things are not as they should be (drift).";

/// A failure and its kind.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    pub(crate) exit: Exit,
    message: String,
}

impl Fault {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }
}

impl Fault {
    /// A wrong PIN is told with the tries left.
    pub(crate) fn or_pin(self, manager: &mut client::manage::Manager<'_>) -> Self {
        if self.exit != Exit::WrongPin {
            return self;
        }
        match manager.pin_retries() {
            Ok(Some(retries)) => {
                let tries = crate::authorise::tries(retries.left);
                Self::new(Exit::WrongPin, format!("wrong PIN; {tries}"))
            }
            _ => self,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::Gone(_) => Exit::NoKey,
            OpenError::Permission { .. } => Exit::Permission,
            OpenError::WithoutPcsc(_) => Exit::NotSupported,
            OpenError::Io { .. } | OpenError::NoKey { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<TransactError> for Fault {
    fn from(error: TransactError) -> Self {
        let exit = match &error {
            TransactError::CannotWink => Exit::NotSupported,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<PinError> for Fault {
    fn from(error: PinError) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<ManageError> for Fault {
    fn from(error: ManageError) -> Self {
        let exit = match &error {
            ManageError::Refused { status, .. } => of_status(*status),
            ManageError::NotSupported(_) => Exit::NotSupported,
            ManageError::Pin(_) => Exit::Refused,
            ManageError::Link(_) | ManageError::BadReply(_) | ManageError::NotAsSaid(_) => {
                Exit::Failed
            }
        };
        Self::new(exit, error.to_string())
    }
}

fn of_status(status: Status) -> Exit {
    match status {
        Status::PIN_INVALID => Exit::WrongPin,
        Status::PIN_BLOCKED | Status::PIN_AUTH_BLOCKED | Status::UV_BLOCKED => Exit::PinBlocked,
        Status::INVALID_COMMAND
        | Status::UNSUPPORTED_OPTION
        | Status::INVALID_SUBCOMMAND
        | Status::INVALID_OPTION => Exit::NotSupported,
        Status::OPERATION_DENIED
        | Status::NOT_ALLOWED
        | Status::KEEPALIVE_CANCEL
        | Status::USER_ACTION_TIMEOUT
        | Status::ACTION_TIMEOUT
        | Status::PIN_POLICY_VIOLATION
        | Status::PIN_NOT_SET
        | Status::PUAT_REQUIRED
        | Status::PIN_AUTH_INVALID
        | Status::UV_INVALID
        | Status::UNAUTHORIZED_PERMISSION => Exit::Refused,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_answers_has_its_exit_code() {
        let exit = |status| {
            let doing = "do it";
            Fault::from(ManageError::Refused { doing, status }).exit as u8
        };
        assert_eq!(exit(Status::PIN_INVALID), 5);
        assert_eq!(exit(Status::PIN_BLOCKED), 6);
        assert_eq!(exit(Status::PIN_AUTH_BLOCKED), 6);
        assert_eq!(exit(Status::OPERATION_DENIED), 7);
        assert_eq!(exit(Status::INVALID_COMMAND), 8);
        assert_eq!(exit(Status::OTHER), 1);
    }
}
