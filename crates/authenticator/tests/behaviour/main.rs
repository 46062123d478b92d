//! The key's behaviour over bytes: requests in, answers out, with a person, a clock and a store.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod bench;
mod bio_enrollment;
mod client_pin;
mod config;
mod credential_management;
mod extensions;
mod get_assertion;
mod get_info;
mod make_credential;
mod mutations;
mod power_cuts;
mod protocol;
mod reset;
mod u2f;
mod uv_table;
