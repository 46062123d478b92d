//! OpenSSH's middleware interface `sk-api.h`, version 0x000a0000 (OpenSSH 8.9 and later): the library
//! `libpinward_sk.so` for `SecurityKeyProvider` and `SSH_SK_PROVIDER`.
//!
//! [`provider`] is the logic, on any [`client::manage::Link`]; [`device`] finds and chooses keys;
//! [`new_pin`] has a person make up a PIN; [`ffi`] is the C interface and the only unsafe code.

pub mod api;
pub mod device;
pub mod ffi;
pub mod new_pin;
pub mod provider;
