//! CTAP 2.3 §11.3 ISO 7816, ISO 14443 and NFC: APDUs, the card's side and the reader's side
//!
//! Everything here is bytes in, bytes out. [`Card`] is the authenticator as a card: it answers
//! SELECT, gathers chained commands, hands complete CTAP and U2F messages to its owner and cuts
//! long answers into GET RESPONSE portions. [`Exchange`] is the other end: it sends one command and
//! follows `61xx`, `6Cxx` and `9100` until the whole answer is there.

mod apdu;
mod card;
mod host;

pub use apdu::{CommandApdu, ResponseApdu, StatusWord};
pub use card::{AppletVersion, Card, CardSettings, Event};
pub use host::{Exchange, ExchangeError, Form, Step};

/// The AID of the FIDO applet, §11.3.3.
pub const FIDO_AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x06, 0x47, 0x2F, 0x00, 0x01];

/// Instruction bytes used between a platform and the FIDO applet.
pub mod ins {
    /// ISO 7816-4 SELECT.
    pub const SELECT: u8 = 0xA4;
    /// ISO 7816-4 GET RESPONSE.
    pub const GET_RESPONSE: u8 = 0xC0;
    /// NFCCTAP_MSG: one CTAP2 request.
    pub const NFCCTAP_MSG: u8 = 0x10;
    /// NFCCTAP_GETRESPONSE: ask again for the answer, or cancel.
    pub const NFCCTAP_GETRESPONSE: u8 = 0x11;
    /// NFCCTAP_CONTROL: end the session.
    pub const NFCCTAP_CONTROL: u8 = 0x12;
}

/// P1 of NFCCTAP_MSG when the platform understands `9100` and NFCCTAP_GETRESPONSE.
pub const P1_POLLS: u8 = 0x80;
/// P1 of NFCCTAP_GETRESPONSE that cancels the running request.
pub const P1_CANCEL: u8 = 0x11;
/// P1 of NFCCTAP_CONTROL that ends the session.
pub const P1_END: u8 = 0x01;
