//! What the tests of this crate share: test data, a source of "random" challenges, and an
//! authenticator of which every part can be changed.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic
)] // each test file uses its part of it

pub mod certificate;
pub mod made;
pub mod vectors;

use core::convert::Infallible;
use std::path::PathBuf;

use rand_core::{TryCryptoRng, TryRng};

/// The time of the tests: in November 2026, when the certificates of the vectors are valid.
pub const NOW: u64 = 1_795_000_000;

/// The folder with test data of others, or nothing after one printed line.
pub fn data(file: &str) -> Option<String> {
    let folder = std::env::var_os("PINWARD_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path);
    if let Err(error) = &text {
        println!("skipped: {} ({error}); set PINWARD_DATA", path.display());
    }
    text.ok()
}

pub fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// A random source that gives these bytes over and over: challenges that are known beforehand.
pub struct Fixed(pub Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(4)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(4)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for (to, from) in out.iter_mut().zip(self.0.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

/// A small repeatable source for mutations.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        // xorshift64*: good enough to choose bytes.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}
