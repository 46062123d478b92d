//! The security key: a state machine, bytes in, bytes out.
//!
//! [`Authenticator`] takes requests (command byte and CBOR, as CTAP 2.3 §8 has them) and yields
//! answers. It has no I/O, clock or randomness of its own: time and random bytes come in as
//! arguments, what must last goes out to a [`Store`], and what a person must do goes out as an
//! [`Interaction`]. So every run can be repeated, and a timeout of 30 seconds takes no time to test.
//!
//! One file per section of the text; `uv.rs` is the decision this project is about, `presence.rs`
//! the only place where its evidence is made.

mod attestation;
mod authenticator;
mod bio_enrollment;
mod built_in_uv;
mod certificate;
mod client_pin;
mod config;
mod credential;
mod credential_index;
mod credential_management;
mod crypto;
mod deviations;
mod extensions;
mod get_assertion;
mod get_info;
mod large_blobs;
mod make_credential;
mod options;
mod persistent_token;
mod pin;
mod pin_complexity;
pub mod presence;
pub mod profile;
mod records;
mod reset;
mod state;
mod store;
mod token;
mod u2f;
pub mod uv;

pub use authenticator::{Authenticator, Channel, Env, Progress};
pub use certificate::root_certificate;
pub use credential::{CredProtect, CredentialSource};
pub use crypto::KeyMaterial;
pub use presence::{FingerMatch, Interaction, Purpose, UserEvent, UserPresent, UserVerified};
pub use profile::{Profile, ProfileError};
pub use records::{RecordError, Write};
pub use state::{
    Change, Config, LargeBlob, MAX_PIN_RETRIES, MAX_UV_RETRIES, PersistentToken, Secrets, State,
    StoredPin, Template,
};
pub use store::{Fault, MemoryStore, Store, StoreError};
