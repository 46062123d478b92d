//! The data of W3C WebAuthn Level 3

pub mod cbor;
