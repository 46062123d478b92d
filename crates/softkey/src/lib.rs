//! A running software security key: authenticator, durable store, prompts, and a wire.
//!
//! [`Options`] says what the key is made of; [`Options::start`] puts it on a wire of the `transport`
//! crate and gives a [`RunningKey`]. Many keys can run in one process; each has a thread of its own,
//! and dropping its handle ends it.
//!
//! ```
//! use authenticator::profile;
//! use softkey::Options;
//! use transport::host::HidKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let profile = profile::find("fido-2.1").ok_or("no such profile")??;
//! let mut end = None;
//! let key = Options::ephemeral(profile).start(|inbox| {
//!     let (wire, platform) = transport::memory::hid(inbox);
//!     end = Some(platform);
//!     Ok(wire)
//! })?;
//! let mut platform = HidKey::open(end.ok_or("no wire")?, *b"a nonce!")?;
//! let info = platform.cbor(&[0x04])?; // authenticatorGetInfo
//! assert_eq!(info[0], 0);
//! key.stop();
//! # Ok(())
//! # }
//! ```

pub mod control;
mod engine;
mod events;
mod key;
mod link;
pub mod prompts;
mod remote;
pub mod script;
pub mod store;
mod virtual_key;

pub use engine::{Exchange, Watcher};
pub use events::KeyEvent;
pub use key::{Ended, Options, RunningKey, StartError};
pub use prompts::{AutoTouch, Manual, Prompts, Terminal};
pub use remote::{KeyStatus, Remote};
pub use script::{Script, Scripted};
pub use virtual_key::VirtualKey;
