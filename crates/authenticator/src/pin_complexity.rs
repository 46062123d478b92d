//! CTAP 2.3 §6.5.1 PIN complexity: what a key with a policy takes for too simple.
//!
//! The text leaves the policy to the key. This one refuses a single character repeated, runs up or
//! down, and the PINs that people choose most.

/// PINs at the top of published lists that the other two rules let through.
const COMMON: [&str; 12] = [
    "1212", "1313", "2001", "2580", "4200", "6969", "112233", "123123", "121212", "159753",
    "qwerty", "password",
];

/// Whether the PIN is too simple.
pub(crate) fn is_simple(pin: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(pin) else {
        return false;
    };
    let steps: Vec<_> = text
        .chars()
        .zip(text.chars().skip(1))
        .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
        .collect();
    let runs = (-1..=1).any(|step| steps.iter().all(|found| *found == step));
    runs || COMMON.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::is_simple;

    #[test]
    fn repetitions_runs_and_common_pins_are_simple() {
        for pin in ["0000", "ääää", "1234", "9876", "abcdef", "2580", "password"] {
            assert!(is_simple(pin.as_bytes()), "{pin}");
        }
        for pin in ["1235", "0001", "4711", "aabb", "13579", "ä1ß2"] {
            assert!(!is_simple(pin.as_bytes()), "{pin}");
        }
    }
}
