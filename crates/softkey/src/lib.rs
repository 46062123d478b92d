//! A running software security key: authenticator, durable store, prompts, and a wire.

pub mod store;
