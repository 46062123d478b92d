//! The platform: create() and get() as state machines
