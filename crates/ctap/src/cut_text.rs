//! WebAuthn L3 §6.4.1 (string truncation): authenticators cut long names by bytes, some in the middle
//! of a character. What is left is no UTF-8, and so no CBOR text; a manager shows the rest all the same.

use std::borrow::Cow;

use crate::cbor::{self, CborError};

/// Deepest nesting that is looked into.
const DEEPEST: usize = 8;

/// The item with every text that is not UTF-8 mended: what does not read is U+FFFD. Anything else that
/// is wrong with the bytes stays as it is, for the decoder to refuse.
pub fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    if cbor::check(bytes) != Err(CborError::NotUtf8) {
        return Cow::Borrowed(bytes);
    }
    let mut mend = Mend {
        rest: bytes,
        out: Vec::with_capacity(bytes.len() + 8),
    };
    match mend.item(DEEPEST) {
        Some(()) if mend.rest.is_empty() => Cow::Owned(mend.out),
        _ => Cow::Borrowed(bytes),
    }
}

struct Mend<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Mend<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn item(&mut self, depth: usize) -> Option<()> {
        let start = self.rest;
        let first = *self.take(1)?.first()?;
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            info @ 24..=27 => self
                .take(1 << (info - 24))?
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
            _ => return None,
        };
        let head = start.get(..start.len() - self.rest.len())?;
        let length = || usize::try_from(argument).ok();
        match first >> 5 {
            0 | 1 | 7 => self.out.extend_from_slice(head),
            2 => {
                self.out.extend_from_slice(head);
                let bytes = self.take(length()?)?;
                self.out.extend_from_slice(bytes);
            }
            3 => {
                let text = String::from_utf8_lossy(self.take(length()?)?);
                let mut encoder = minicbor::Encoder::new(&mut self.out);
                encoder.str(&text).ok()?;
            }
            major @ (4 | 5) => {
                let depth = depth.checked_sub(1)?;
                self.out.extend_from_slice(head);
                let count = if major == 4 {
                    argument
                } else {
                    argument.checked_mul(2)?
                };
                for _ in 0..count {
                    self.item(depth)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::entities::UserEntity;

    #[test]
    fn a_name_that_was_cut_within_a_character_reads() {
        // {"id": h'01', "name": "Zo\xc3"}: "Zoë" cut after three bytes.
        let cut = b"\xa2\x62id\x41\x01\x64name\x63Zo\xc3";
        assert!(UserEntity::decode(cut).is_err());
        let user = UserEntity::decode(&mended(cut)).unwrap();
        assert_eq!(user.name.as_deref(), Some("Zo\u{fffd}"));
    }

    #[test]
    fn nothing_else_is_mended() {
        let whole = b"\xa2\x62id\x41\x01\x64name\x62Zo";
        assert!(matches!(mended(whole), Cow::Borrowed(_)));
        for broken in [
            &b"\xa2\x62id\x41"[..],
            b"\x63Zo",
            b"\x9f\x61\xc3\xff",
            b"\x61\xc3\x00",
        ] {
            assert_eq!(&*mended(broken), broken);
        }
        // Nested as deep as nobody means it.
        let deep = [vec![0x81; 5000], b"\x61\xc3".to_vec()].concat();
        assert_eq!(&*mended(&deep), &deep[..]);
    }
}
