//! CTAP 2.3 §6.4 to §6.11, the platform's side of managing one key: its facts, its PIN, its settings,
//! its passkeys, its fingers, its blobs, its reset.
//!
//! A [`Manager`] puts requests together and reads the answers; a program lends it a [`Link`] that
//! carries them. Setters are idempotent: they look first, act, and read back what is then true.

mod bio;
mod client_pin;
mod config;
mod consequence;
mod credential;
mod credential_management;
pub(crate) mod large_blobs;
mod outlook;
mod persistent;
pub mod reset;

use ctap::pin_protocol::PinUvAuthProtocol;
use ctap::{Command, Status, get_info, request_bytes, split_response};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use bio::{Fingerprint, Sample, Sensor};
pub use client_pin::{Retries, pin_policy};
pub use config::Change;
pub use consequence::{Setting, consequences};
pub use credential_management::{Passkey, Storage};
pub use large_blobs::{BlobArray, BlobEntry};
pub use outlook::{Outlook, outlook};

use crate::pin::PinError;

/// What a program says when it cannot carry a message.
pub type LinkError = Box<dyn std::error::Error + Send + Sync>;

/// Carries messages to one key.
pub trait Link {
    /// Carries a request (command byte and CBOR) and brings the answer (status byte and CBOR). While
    /// the key waits for its user, so does this call.
    ///
    /// # Errors
    /// When there is no answer.
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError>;
}

/// Why something could not be done with a key.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// The message or its answer was not carried.
    #[error("{0}")]
    Link(LinkError),
    /// The key refused.
    #[error("the key refused to {doing}: {status}")]
    Refused {
        /// What was asked of it.
        doing: &'static str,
        /// Its answer.
        status: Status,
    },
    /// The key's answer does not say what it should.
    #[error("the key's answer cannot be used: {0}")]
    BadReply(&'static str),
    /// The key has no such thing.
    #[error("this key cannot {0}")]
    NotSupported(&'static str),
    /// It cannot be, and no try was spent on it.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The key said "done", and reading back shows that it is not.
    #[error("the key said that it did, but {0}")]
    NotAsSaid(&'static str),
}

impl ManageError {
    /// The status that the key refused with.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A pinUvAuthToken (CTAP 2.3 §6.5.2.1), wiped when dropped.
pub struct Token {
    protocol: PinUvAuthProtocol,
    value: Zeroizing<Vec<u8>>,
}

impl Token {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.protocol.authenticate(&self.value, message)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?}, ..)", self.protocol)
    }
}

/// One key being managed.
pub struct Manager<'a> {
    link: &'a mut dyn Link,
    rng: &'a mut dyn CryptoRng,
    info: get_info::Response,
}

impl std::fmt::Debug for Manager<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

impl<'a> Manager<'a> {
    /// Asks the key what it is.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn open(link: &'a mut dyn Link, rng: &'a mut dyn CryptoRng) -> Result<Self, ManageError> {
        let info = read_info(link)?;
        Ok(Self { link, rng, info })
    }

    /// What the key said of itself last.
    pub fn info(&self) -> &get_info::Response {
        &self.info
    }

    /// Its options.
    pub fn options(&self) -> get_info::Options {
        self.info.options.clone().unwrap_or_default()
    }

    /// Asks again.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn refresh(&mut self) -> Result<(), ManageError> {
        self.info = read_info(self.link)?;
        Ok(())
    }

    /// Whether changes want the user verified: there is a PIN, or a configured method of its own.
    pub fn is_protected(&self) -> bool {
        let options = self.options();
        options.client_pin == Some(true) || options.uv == Some(true)
    }

    /// authenticatorSelection, or its older spelling: has the person touch this key.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn select(&mut self) -> Result<(), ManageError> {
        self.command("be touched", Command::Selection, &[])
            .map(drop)
    }

    fn command(
        &mut self,
        doing: &'static str,
        command: Command,
        parameters: &[u8],
    ) -> Result<Vec<u8>, ManageError> {
        exchange(self.link, doing, &request_bytes(command, parameters))
    }
}

fn exchange(
    link: &mut dyn Link,
    doing: &'static str,
    request: &[u8],
) -> Result<Vec<u8>, ManageError> {
    let answer = link.exchange(request).map_err(ManageError::Link)?;
    match split_response(&answer) {
        Some((Status::OK, members)) => Ok(members.to_vec()),
        Some((status, _)) => Err(ManageError::Refused { doing, status }),
        None => Err(ManageError::BadReply("it is empty")),
    }
}

fn read_info(link: &mut dyn Link) -> Result<get_info::Response, ManageError> {
    let request = request_bytes(Command::GetInfo, &[]);
    let members = exchange(link, "tell what it is", &request)?;
    get_info::Response::decode(&members)
        .map_err(|_| ManageError::BadReply("authenticatorGetInfo does not read"))
}

#[cfg(test)]
#[path = "manage/tests.rs"]
mod tests;
