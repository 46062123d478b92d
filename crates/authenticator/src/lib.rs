//! The security key: a state machine, bytes in, bytes out.
//!
//! No I/O, clock or randomness of its own: time and random bytes come in as arguments, what must
//! last goes out to a [`Store`], and what a person must do goes out as an [`Interaction`].

mod credential;
mod crypto;
pub mod presence;
pub mod profile;
mod state;
mod store;
pub mod uv;

pub use credential::{CredProtect, CredentialSource};
pub use crypto::KeyMaterial;
pub use presence::{FingerMatch, Interaction, Purpose, UserEvent, UserPresent, UserVerified};
pub use profile::{Profile, ProfileError};
pub use state::{Change, Config, MAX_PIN_RETRIES, MAX_UV_RETRIES, RecordError, Secrets, State, StoredPin, Write};
pub use store::{Fault, MemoryStore, Store, StoreError};
