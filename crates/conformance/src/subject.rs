//! The key that is checked, as the suite sees it: bytes in, bytes out, and a person beside it.

use core::time::Duration;

use ctap::hid::Report;

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// CTAPHID reports (CTAP 2.3 §11.2).
    Reports,
    /// ISO 7816 APDUs (CTAP 2.3 §11.3).
    Card,
}

/// How the person behaves whom the key asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// Does what is asked for at once, with an enrolled finger.
    Consents,
    /// Says no.
    Declines,
    /// Does not come.
    Absent,
    /// Lays another finger on the sensor; touches are given.
    WrongFinger,
    /// Touches for a moment, even where the key wants to be held.
    TouchesBriefly,
    /// Does not come, and the platform cancels when the key says that it waits.
    CancelsByPlatform,
}

/// What a subject can do beside exchanging bytes. Checks that need more are not applicable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent abilities"
)]
pub struct Offers {
    /// The wire of reports, raw.
    pub reports: bool,
    /// The wire of APDUs, raw.
    pub card: bool,
    /// The power can be cut and given back.
    pub power: bool,
    /// Time can be made to pass.
    pub clock: bool,
    /// The person can be told how to behave; without it they consent.
    pub person: bool,
}

/// Why a subject cannot go on. It is no finding about the key, unless the key fell silent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The key did not answer in time.
    #[error("the key did not answer in time")]
    Silent,
    /// The key broke the framing.
    #[error("the key broke the framing: {0}")]
    Framing(String),
    /// The key refused on the level of the wire.
    #[error("the key refused on the level of the wire: {0}")]
    Refused(String),
    /// The subject cannot do this.
    #[error("this subject cannot {0}")]
    Cannot(&'static str),
    /// The wire broke.
    #[error("the wire failed: {0}")]
    Wire(String),
}

/// The wire of a key, and what happens around it.
pub trait Port {
    /// What it can do.
    fn offers(&self) -> Offers;

    /// Makes the key as new, just plugged in, on this wire, with a person who consents.
    ///
    /// # Errors
    /// [`Trouble`]
    fn fresh(&mut self, wire: Wire) -> Result<(), Trouble>;

    /// Tells the person how to behave from now on.
    ///
    /// # Errors
    /// [`Trouble`]
    fn person(&mut self, person: Person) -> Result<(), Trouble>;

    /// How often the key asked the person since it was fresh; `None` when nobody counts.
    fn asked(&self) -> Option<u32>;

    /// Takes the power and gives it back.
    ///
    /// # Errors
    /// [`Trouble`]
    fn power_cycle(&mut self) -> Result<(), Trouble>;

    /// Lets time pass.
    ///
    /// # Errors
    /// [`Trouble`]
    fn advance(&mut self, by: Duration) -> Result<(), Trouble>;

    /// Sends a report.
    ///
    /// # Errors
    /// [`Trouble`]
    fn send_report(&mut self, report: &Report) -> Result<(), Trouble>;

    /// The next report of the key, if one comes in time.
    ///
    /// # Errors
    /// [`Trouble`]
    fn receive_report(&mut self, within: Duration) -> Result<Option<Report>, Trouble>;

    /// Sends an APDU and brings the answer.
    ///
    /// # Errors
    /// [`Trouble`]
    fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Trouble>;
}

/// A key to which whole messages can be sent, on several channels. [`Framed`](crate::Framed) makes one
/// of a [`Port`].
pub trait Subject: Port {
    /// One CTAP2 request (command byte and CBOR) and its answer (status byte and CBOR).
    ///
    /// # Errors
    /// [`Trouble`]
    fn ctap2(&mut self, channel: usize, request: &[u8]) -> Result<Vec<u8>, Trouble>;

    /// One U2F APDU and its answer with the status word.
    ///
    /// # Errors
    /// [`Trouble`]
    fn u2f(&mut self, channel: usize, apdu: &[u8]) -> Result<Vec<u8>, Trouble>;

    /// The status bytes of the keep-alives of the last CTAP2 request.
    fn keepalives(&self) -> &[u8];
}
