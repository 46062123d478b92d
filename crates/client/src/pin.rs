//! CTAP 2.3 §6.5.1 PIN composition: which texts can be a PIN, before a key is asked.
//!
//! A PIN has at least 4 (or the key's `minPINLength`) Unicode code points and at most 63 bytes of
//! UTF-8, in Normalization Form C, so that the same PIN typed on another system has the same bytes.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The most bytes that a PIN may have.
pub const MAX_BYTES: usize = 63;

/// The least code points where a key says nothing.
pub const MIN_CODE_POINTS: u64 = 4;

/// What a key demands of a new PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinPolicy {
    /// The least Unicode code points.
    pub min_length: u64,
    /// The most Unicode code points (CTAP 2.2 `maxPINLength`).
    pub max_length: u64,
    /// The key also checks how easily the PIN is guessed.
    pub complexity: bool,
}

impl Default for PinPolicy {
    fn default() -> Self {
        Self {
            min_length: MIN_CODE_POINTS,
            max_length: MAX_BYTES as u64,
            complexity: false,
        }
    }
}

/// Why a text cannot be the PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "error")]
pub enum PinError {
    /// Too few code points.
    #[error("The PIN is too short: this key wants at least {least} characters, and it has {has}.")]
    TooShort {
        /// The least that the key accepts.
        least: u64,
        /// What was typed.
        has: u64,
    },
    /// Too many code points or bytes.
    #[error("The PIN is too long: it has {bytes} bytes, and a security key takes {most}.")]
    TooLong {
        /// The bytes of what was typed.
        bytes: usize,
        /// The most.
        most: usize,
    },
    /// It has the character that pads PINs on the wire.
    #[error("The PIN has a character (code 0) that a security key cannot store.")]
    Zero,
    /// The new PIN is the old one.
    #[error("The new PIN is the old one; the key wants another.")]
    SameAsOld,
    /// The key itself refused it (`CTAP2_ERR_PIN_POLICY_VIOLATION`).
    #[error("The key refused this PIN: it is too short or too easily guessed.")]
    RefusedByKey,
}

/// A PIN in the form in which it is sent; wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Puts a PIN that a key already has into its form on the wire.
    ///
    /// Only what no PIN can have is refused here, since the key counts a wrong try.
    ///
    /// # Errors
    /// [`PinError`]
    pub fn existing(typed: &str) -> Result<Self, PinError> {
        let normal = Self::normalise(typed)?;
        // No key has ever taken fewer code points.
        let has = normal.0.chars().count() as u64;
        if has < MIN_CODE_POINTS {
            return Err(PinError::TooShort {
                least: MIN_CODE_POINTS,
                has,
            });
        }
        Ok(normal)
    }

    /// Checks a new PIN against what the key demands.
    ///
    /// ```
    /// use client::pin::{Pin, PinError, PinPolicy};
    /// let policy = PinPolicy { min_length: 6, ..PinPolicy::default() };
    /// assert!(Pin::new("123456", &policy, None).is_ok());
    /// assert_eq!(Pin::new("12345", &policy, None), Err(PinError::TooShort { least: 6, has: 5 }));
    /// ```
    ///
    /// # Errors
    /// [`PinError`]
    pub fn new(typed: &str, policy: &PinPolicy, old: Option<&Pin>) -> Result<Self, PinError> {
        let normal = Self::normalise(typed)?;
        let has = normal.0.chars().count() as u64;
        let least = policy.min_length.max(MIN_CODE_POINTS);
        if has < least {
            return Err(PinError::TooShort { least, has });
        }
        if has > policy.max_length {
            return Err(PinError::TooLong {
                bytes: normal.0.len(),
                most: MAX_BYTES,
            });
        }
        if old == Some(&normal) {
            return Err(PinError::SameAsOld);
        }
        Ok(normal)
    }

    fn normalise(typed: &str) -> Result<Self, PinError> {
        let normal = Zeroizing::new(typed.nfc().collect::<String>());
        if normal.len() > MAX_BYTES {
            return Err(PinError::TooLong {
                bytes: normal.len(),
                most: MAX_BYTES,
            });
        }
        if normal.contains('\0') {
            return Err(PinError::Zero);
        }
        Ok(Self(normal))
    }

    /// The text as it goes into the PIN/UV auth protocol.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn length_is_counted_in_code_points_after_normalisation() {
        let policy = PinPolicy::default();
        // "é" as e with a combining accent: two code points as typed, one as sent.
        let typed = "cafe\u{301}";
        assert_eq!(Pin::new(typed, &policy, None).unwrap().as_str(), "café");
        let least_5 = PinPolicy {
            min_length: 5,
            ..policy
        };
        assert_eq!(
            Pin::new(typed, &least_5, None),
            Err(PinError::TooShort { least: 5, has: 4 })
        );
    }

    #[test]
    fn the_same_pin_typed_in_two_forms_is_one_pin() {
        let composed = Pin::existing("na\u{ef}ve1").unwrap();
        let decomposed = Pin::existing("nai\u{308}ve1").unwrap();
        assert_eq!(composed, decomposed);
    }

    #[test]
    fn sixty_three_bytes_are_the_most() {
        let policy = PinPolicy::default();
        assert!(Pin::new(&"x".repeat(63), &policy, None).is_ok());
        let error = Pin::new(&"x".repeat(64), &policy, None).unwrap_err();
        assert_eq!(
            error,
            PinError::TooLong {
                bytes: 64,
                most: 63
            }
        );
        // Sixteen characters of four bytes are 64 bytes.
        assert!(Pin::new(&"𝟙".repeat(16), &policy, None).is_err());
        assert!(Pin::new(&"𝟙".repeat(15), &policy, None).is_ok());
    }

    #[test]
    fn a_key_never_lowers_the_least_below_four() {
        let lax = PinPolicy {
            min_length: 1,
            ..PinPolicy::default()
        };
        assert_eq!(
            Pin::new("123", &lax, None),
            Err(PinError::TooShort { least: 4, has: 3 })
        );
    }

    #[test]
    fn a_new_pin_differs_from_the_old_one() {
        let old = Pin::existing("1234").unwrap();
        let policy = PinPolicy::default();
        assert_eq!(
            Pin::new("1234", &policy, Some(&old)),
            Err(PinError::SameAsOld)
        );
        assert!(Pin::new("12345", &policy, Some(&old)).is_ok());
    }

    #[test]
    fn a_pin_with_the_padding_character_is_refused() {
        assert_eq!(Pin::existing("1234\0"), Err(PinError::Zero));
    }

    #[test]
    fn an_entry_that_no_key_could_have_costs_no_try() {
        assert_eq!(
            Pin::existing("123"),
            Err(PinError::TooShort { least: 4, has: 3 })
        );
        assert_eq!(
            Pin::existing(""),
            Err(PinError::TooShort { least: 4, has: 0 })
        );
    }

    #[test]
    fn a_pin_is_never_shown() {
        assert_eq!(format!("{:?}", Pin::existing("123456").unwrap()), "Pin(..)");
    }

    #[test]
    fn refusals_are_whole_sentences() {
        let error = Pin::new("12", &PinPolicy::default(), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The PIN is too short: this key wants at least 4 characters, and it has 2."
        );
    }
}
