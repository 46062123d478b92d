//! The relying party as a service, with its demo page
