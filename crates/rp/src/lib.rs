//! The Relying Party: the checks of [W3C WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/) §7 and
//! §8 as pure functions, with user verification as a policy that cannot be forgotten.
//!
//! - [`registration`] and [`authentication`]: `begin` gives options and a challenge state, `finish`
//!   consumes the state and checks the answer.
//! - [`policy`]: what a flow demands. It is stored with the challenge and enforced on the answer;
//!   there is no default for user verification.
//! - [`metadata`]: which models there are, by the FIDO Alliance's signed list, and which are taken.
//! - [`seal`]: challenge states that travel with the client, for nodes that keep nothing.
//! - [`signal`]: what to tell authenticators about credentials that are gone or renamed.
//! - [`Refusal`]: why an answer is refused, one variant per check, with what was expected and found,
//!   and a sentence for a help desk.
//!
//! There is no I/O here: time, randomness, records and trust anchors are arguments.

pub mod attestation;
pub mod authentication;
mod ceremony;
mod crypto;
mod extensions;
pub mod metadata;
pub mod policy;
mod record;
mod refusal;
pub mod registration;
mod relying_party;
pub mod seal;
pub mod signal;

pub use attestation::TrustAnchors;
pub use ceremony::BeginError;
pub use crypto::{ALGORITHMS, SignatureError};
pub use extensions::{AuthenticatorOutputs, ClientOutputs};
pub use record::CredentialRecord;
pub use refusal::Refusal;
pub use relying_party::{Embedding, RelyingParty};
pub use webauthn::related_origins::{LineFault, RelatedOrigins, RelatedOriginsError};
