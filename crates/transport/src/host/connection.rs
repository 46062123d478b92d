//! One key, whatever the wire: the trait that programs use

use ctap::hid::{Capabilities, Command};

use super::{HidKey, ReportPort, TransactError, Waiting};
use crate::Kind;

/// What a wire tells of a key before it is asked anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Reports or APDUs.
    pub kind: Kind,
    /// The device's version (CTAPHID only).
    pub version: Option<[u8; 3]>,
    /// What the device can do. A card says only whether it speaks CTAP2.
    pub capabilities: Capabilities,
}

impl About {
    /// Whether the key takes CTAP2 messages.
    #[must_use]
    pub fn speaks_ctap2(&self) -> bool {
        self.capabilities.contains(Capabilities::CBOR)
    }

    /// Whether the key takes U2F messages.
    #[must_use]
    pub fn speaks_u2f(&self) -> bool {
        !self.capabilities.contains(Capabilities::NMSG)
    }
}

/// An open way to one key. Dropping it closes the way.
pub trait Connection: Send {
    /// What the wire told.
    fn about(&self) -> About;

    /// Sends a CTAP2 request (command byte and CBOR) and brings the answer (status byte and CBOR).
    /// `waiting` hears each keep-alive and may have the request cancelled; it then still gets an
    /// answer, mostly `CTAP2_ERR_KEEPALIVE_CANCEL`.
    ///
    /// # Errors
    ///
    /// When the wire breaks or the key does not keep to its framing.
    fn ctap2(
        &mut self,
        request: &[u8],
        waiting: &mut dyn FnMut(u8) -> Waiting,
    ) -> Result<Vec<u8>, TransactError>;

    /// Sends a U2F APDU and brings the answer with its status word.
    ///
    /// # Errors
    ///
    /// When the wire breaks or the key does not keep to its framing.
    fn u2f(&mut self, apdu: &[u8]) -> Result<Vec<u8>, TransactError>;

    /// Makes the key show itself.
    ///
    /// # Errors
    ///
    /// [`TransactError::CannotWink`] when it has no way to; otherwise as above.
    fn wink(&mut self) -> Result<(), TransactError>;
}

impl<P: ReportPort + Send> Connection for HidKey<P> {
    fn about(&self) -> About {
        About {
            kind: Kind::Hid,
            version: Some(self.info().version),
            capabilities: self.info().capabilities,
        }
    }

    fn ctap2(
        &mut self,
        request: &[u8],
        waiting: &mut dyn FnMut(u8) -> Waiting,
    ) -> Result<Vec<u8>, TransactError> {
        self.transact(Command::CBOR, request, waiting)
    }

    fn u2f(&mut self, apdu: &[u8]) -> Result<Vec<u8>, TransactError> {
        self.transact(Command::MSG, apdu, |_| Waiting::GoOn)
    }

    fn wink(&mut self) -> Result<(), TransactError> {
        if !self.info().capabilities.contains(Capabilities::WINK) {
            return Err(TransactError::CannotWink);
        }
        self.transact(Command::WINK, &[], |_| Waiting::GoOn)
            .map(drop)
    }
}
