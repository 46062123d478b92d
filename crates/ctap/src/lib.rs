//! The messages of CTAP 2.0-2.3, their framing, and the PIN/UV auth protocols
