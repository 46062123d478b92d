//! The data of [W3C WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/): options and their JSON
//! forms, client data, authenticator data, attestation objects, COSE keys, origins and RP IDs.
//!
//! Nothing here decides, computes a hash or checks a signature: these are the words that a Relying
//! Party, a client and an authenticator share. Readers are strict and never panic; writers produce
//! what the readers accept.

pub mod app_id;
pub mod attestation_object;
pub mod authenticator_data;
pub mod base64url;
pub mod cbor;
pub mod client_data;
pub mod cose;
mod enumerations;
mod extensions;
pub mod options;
pub mod origin;
pub mod related_origins;
pub mod response;
pub mod rp_id;
pub mod signal;

pub use base64url::Base64Url;
