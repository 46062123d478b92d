//! Keys for the conformance suite: a software key in this process and in virtual time
//! ([`InProcess`]), and any key at an address ([`AtAddress`]).

mod at_address;
mod in_process;
mod shipped;

pub use at_address::{AtAddress, Replug};
pub use in_process::InProcess;
pub use shipped::run_all;
