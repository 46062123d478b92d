//! The key's behaviour over bytes: requests in, answers out, with a person, a clock and a store.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod attestation;
mod bench;
mod bio_enrollment;
mod client_pin;
mod config;
mod credential_management;
mod deviations;
mod extensions;
mod get_assertion;
mod get_info;
mod large_blob;
mod large_blobs;
mod make_credential;
mod mutations;
mod persistent_token;
mod pin_complexity;
mod power_cuts;
mod profile_schema;
mod protocol;
mod reset;
mod u2f;
mod uv_table;
