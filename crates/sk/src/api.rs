//! The numbers of `sk-api.h`.

use client::manage::ManageError;
use client::pin::PinError;
use ctap::Status;

/// What this library implements. OpenSSH compares the upper half.
pub const VERSION: u32 = 0x000a_0000;

/// The longest user name in `-O user=`, with which the user handle of 32 bytes ends in a zero.
pub const LONGEST_USER: usize = 31;

/// Flags of keys and of requests.
pub mod flag {
    /// A touch is needed for each signature.
    pub const USER_PRESENCE: u8 = 0x01;
    /// The user has to be verified for each signature.
    pub const USER_VERIFICATION: u8 = 0x04;
    /// Do it even if a resident key is replaced by it.
    pub const FORCE: u8 = 0x10;
    /// The credential is discoverable.
    pub const RESIDENT: u8 = 0x20;
}

/// The two algorithms that OpenSSH knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `ecdsa-sk`: ECDSA with P-256 and SHA-256.
    Ecdsa,
    /// `ed25519-sk`.
    Ed25519,
}

impl TryFrom<u32> for Algorithm {
    type Error = Fault;

    fn try_from(number: u32) -> Result<Self, Fault> {
        match number {
            0 => Ok(Self::Ecdsa),
            1 => Ok(Self::Ed25519),
            _ => Err(Fault::Unsupported("make keys of this type")),
        }
    }
}

impl From<Algorithm> for u32 {
    fn from(algorithm: Algorithm) -> u32 {
        match algorithm {
            Algorithm::Ecdsa => 0,
            Algorithm::Ed25519 => 1,
        }
    }
}

/// Why something was not done. The text goes to standard error, the number to OpenSSH.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// OpenSSH asks for the PIN and tries again.
    #[error("the PIN of the security key is needed")]
    PinRequired,
    /// The same, after a wrong one.
    #[error("wrong PIN{0}")]
    WrongPin(String),
    /// There is no key, or none that has the credential.
    #[error("{0}")]
    NoKey(String),
    /// A resident key for this application and user is there already.
    #[error("the security key has a resident key for this application and user already")]
    Exists,
    /// The key or this library cannot.
    #[error("the security key cannot {0}")]
    Unsupported(&'static str),
    /// Anything else, with what to do about it.
    #[error("{0}")]
    General(String),
}

impl Fault {
    /// The `SSH_SK_ERR_…` for OpenSSH.
    pub fn code(&self) -> i32 {
        match self {
            Self::General(_) => -1,
            Self::Unsupported(_) => -2,
            Self::PinRequired | Self::WrongPin(_) => -3,
            Self::NoKey(_) => -4,
            Self::Exists => -5,
        }
    }

    /// Whether a person has to read it: OpenSSH itself says the rest.
    pub fn is_news(&self) -> bool {
        !matches!(self, Self::PinRequired | Self::Exists)
    }
}

impl From<ManageError> for Fault {
    fn from(error: ManageError) -> Self {
        let Some(status) = error.status() else {
            return match error {
                ManageError::NotSupported(what) => Self::Unsupported(what),
                ManageError::Pin(error) => error.into(),
                error => Self::General(error.to_string()),
            };
        };
        match status {
            Status::PIN_INVALID => Self::WrongPin(String::new()),
            Status::PUAT_REQUIRED => Self::PinRequired,
            Status::PIN_BLOCKED => Self::General(
                "the PIN is blocked: only a reset, which erases the key, gives it another one"
                    .to_owned(),
            ),
            Status::PIN_AUTH_BLOCKED => Self::General(
                "three wrong PINs in a row: take the key out and plug it in again".to_owned(),
            ),
            Status::PIN_POLICY_VIOLATION => Self::General(
                "the key wants its PIN changed first: `pinward pin change`".to_owned(),
            ),
            Status::UNSUPPORTED_ALGORITHM => Self::Unsupported("make keys of this type"),
            Status::UNSUPPORTED_OPTION => Self::Unsupported("do it with these options"),
            Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL => {
                Self::NoKey("the security key does not have this SSH key".to_owned())
            }
            Status::KEY_STORE_FULL => {
                Self::General("the security key has no room for a resident key".to_owned())
            }
            Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT => {
                Self::General("the security key was not touched in time".to_owned())
            }
            _ => Self::General(error.to_string()),
        }
    }
}

impl From<PinError> for Fault {
    fn from(error: PinError) -> Self {
        match error {
            // No try was spent: OpenSSH may ask again.
            PinError::TooShort { .. } | PinError::TooLong { .. } | PinError::Zero => {
                Self::WrongPin(format!("; no try was spent on it. {error}"))
            }
            _ => Self::General(error.to_string()),
        }
    }
}
