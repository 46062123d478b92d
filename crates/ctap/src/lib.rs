//! The messages of CTAP 2.0-2.3: each declared once, in strict canonical CBOR, together with the
//! status codes, the PIN/UV auth protocols, and the framing for USB HID and ISO 7816.
//!
//! Nothing here does I/O, reads a clock or owns a source of randomness.

mod item;

pub mod bio_enrollment;
pub mod client_pin;
mod command;
pub mod config;
pub mod credential_management;
mod cut_text;
pub mod entities;
mod extensions;
pub mod get_assertion;
pub mod get_info;
pub mod hid;
pub mod iso7816;
pub mod large_blob;
pub mod large_blobs;
pub mod make_credential;
pub mod pin_protocol;
mod status;
pub mod trace;
pub mod u2f;

pub use command::{Command, request_bytes, response_bytes, split_request, split_response};
pub use cut_text::mended;
pub use item::{
    Element, Item, Key, MAX_MESSAGE_DEPTH, Member, Raw, RawOf, SecretBytes, TextToNumber,
};
pub use status::Status;
pub use webauthn::cbor;
