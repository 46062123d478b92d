//! What the tests of this crate share: every message with all its members, and mutations.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::panic)] // each test uses its part

pub mod instances;
pub mod random;

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
