//! Whether a security key does what CTAP, U2F and WebAuthn say: named checks, black box over bytes.
//!
//! A [`Check`] names the section that it proves, what the key must have for it to apply, and a
//! function over a [`Subject`]. The suite knows a key by its bytes only: this crate uses the messages
//! (`ctap`, `webauthn`) and checks signatures, and no part of the key of this project.

mod bench;
mod ceremonies;
mod check;
mod checks;
mod edit;
pub mod expected;
mod framed;
mod pins;
mod run;
mod subject;
mod verify;
mod wires;

pub use check::{Check, Finding, Need, Outcome};
pub use checks::all;
pub use framed::Framed;
pub use run::{Report, Row, Verdict, run, run_one};
pub use subject::{Offers, Person, Port, Subject, Trouble, Wire};
