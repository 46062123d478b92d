//! The lab: a key, a platform and a relying party on one desk, in virtual time.
//!
//! [`Bench`] is the interactive pair that the demo page shows: a ceremony runs until it needs the
//! person, waits for an [`Answer`], and goes on. [`Scenario`] is the same pair with a scripted
//! [`Person`], from the relying party's options to its verdict; `explain`, the comparison of
//! platforms and the tests run scenarios. Nothing here waits for a real clock.

pub mod advice;
mod answers;
mod bench;
mod exchange;
mod key;
mod key_state;
pub mod matrix;
pub mod options;
mod owner;
pub mod power;
mod scenario;
mod verbatim;

/// The rooms that the lab joins, for those who only join the lab.
pub use {authenticator, client};

pub use answers::{Person, UserAction};
pub use bench::{Answer, AnswerError, Bench};
pub use exchange::Exchange;
pub use key::Key;
pub use key_state::KeyState;
pub use owner::OwnerError;
pub use scenario::{
    Ceremony, KeyRef, PlatformRef, RP_ID, Request, Run, Scenario, ScenarioError, Verdict, compare,
};
