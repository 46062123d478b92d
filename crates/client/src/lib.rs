//! The platform: `create()` and `get()` of [WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/) as
//! state machines, and the decision about user verification as a pure function.
//!
//! Nothing here does I/O: a program moves the bytes between a [`Ceremony`] and its keys, shows the
//! prompts and says what time it is. Given the profile of another platform ([`profile`]), the same
//! code behaves as that platform does, its faults included.

mod app_id;
mod attestation;
mod ceremony;
mod create;
mod crypto;
mod enroll;
mod get;
mod large_blob;
mod lists;
pub mod manage;
mod outcome;
pub mod pin;
pub mod policy;
mod prf;
pub mod profile;
pub mod prompt;
mod refusal;
mod related;
pub mod report;
pub mod rules;
mod select;
mod session;
mod spki;
mod tap;
mod touch;
mod u2f;
pub mod uv;
mod verify;

pub use ceremony::{Caller, Ceremony, Event, KeyId, Output};
pub use outcome::{Credential, Failure, FailureReason, Outcome};
