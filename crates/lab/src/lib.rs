//! Scenarios: platforms x keys x relying-party options, in virtual time
