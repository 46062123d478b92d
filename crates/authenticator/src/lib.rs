//! The security key: a state machine, bytes in, bytes out
