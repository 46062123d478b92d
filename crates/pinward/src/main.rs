//! `pinward`: see, test and control when a security key asks for its PIN.
fn main() {}
