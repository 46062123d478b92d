//! CTAP2 canonical CBOR (CTAP 2.3 §8 "Message Encoding", WebAuthn L3 §6.5.4).
//!
//! Reading and writing items is minicbor's work. Ours is the strictness: [`check`] walks an item
//! once and refuses whatever the canonical form forbids, so that everything read afterwards may be
//! read with an ordinary decoder.

use core::cmp::Ordering;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Deepest nesting that is read. CTAP allows four levels; attestation statements of the `compound`
/// format nest attestation statements and need a few more.
pub const MAX_DEPTH: usize = 8;

/// Why bytes are not one item in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside an item.
    #[error("the CBOR ends in the middle of an item")]
    Truncated,
    /// More bytes follow the item.
    #[error("bytes follow the CBOR item")]
    TrailingBytes,
    /// A length or integer is not written in its shortest form.
    #[error("a CBOR head is not in its shortest form")]
    NotShortest,
    /// A length is left open (indefinite), or a head uses a reserved value.
    #[error("an indefinite length or reserved CBOR head")]
    BadHead,
    /// Tags are not allowed.
    #[error("a CBOR tag")]
    Tag,
    /// Map keys are not in ascending order.
    #[error("CBOR map keys are not in canonical order")]
    Unordered,
    /// A map key occurs twice.
    #[error("a CBOR map key occurs twice")]
    DuplicateKey,
    /// A text string is not UTF-8.
    #[error("a CBOR text string is not UTF-8")]
    NotUtf8,
    /// Nested deeper than [`MAX_DEPTH`], or than the caller allows.
    #[error("CBOR nested too deeply")]
    TooDeep,
    /// The item is well formed but of another type than wanted.
    #[error("a CBOR item of another type was expected")]
    UnexpectedType,
}

/// Checks that `bytes` is exactly one item in CTAP2 canonical form.
pub fn check(bytes: &[u8]) -> Result<(), CborError> {
    check_with_depth(bytes, MAX_DEPTH)
}

/// As [`check`], with at most `depth` levels of arrays and maps.
pub fn check_with_depth(bytes: &[u8], depth: usize) -> Result<(), CborError> {
    let mut walk = Walk { bytes, at: 0 };
    walk.item(depth)?;
    if walk.at == bytes.len() {
        Ok(())
    } else {
        Err(CborError::TrailingBytes)
    }
}

/// Splits `bytes` into its first item, checked, and the rest.
pub fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), CborError> {
    let mut walk = Walk { bytes, at: 0 };
    walk.item(MAX_DEPTH)?;
    Ok(bytes.split_at(walk.at))
}

/// Orders two encoded map keys as CTAP2 wants: major type, then length, then bytes.
pub fn compare_keys(a: &[u8], b: &[u8]) -> Ordering {
    let major = |key: &[u8]| key.first().map(|byte| byte >> 5);
    major(a)
        .cmp(&major(b))
        .then(a.len().cmp(&b.len()))
        .then_with(|| a.cmp(b))
}

/// A position in bytes under inspection.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn take(&mut self, count: u64) -> Result<&[u8], CborError> {
        let count = usize::try_from(count).map_err(|_| CborError::Truncated)?;
        let end = self.at.checked_add(count).ok_or(CborError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(CborError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    /// Reads a head: major type, additional information and argument.
    fn head(&mut self) -> Result<(u8, u8, u64), CborError> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => return Ok((major, info, u64::from(info))),
            24..=27 => self
                .take(1 << (info - 24))?
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
            _ => return Err(CborError::BadHead),
        };
        Ok((major, info, argument))
    }

    fn item(&mut self, depth: usize) -> Result<(), CborError> {
        let (major, info, argument) = self.head()?;
        if major == 7 {
            return simple_or_float(info, argument);
        }
        if !is_shortest(info, argument) {
            return Err(CborError::NotShortest);
        }
        match major {
            0 | 1 => Ok(()),
            2 => self.take(argument).map(drop),
            3 => core::str::from_utf8(self.take(argument)?)
                .map(drop)
                .map_err(|_| CborError::NotUtf8),
            4 => {
                let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
                // The count is not trusted: each element must be there before the next is wanted.
                (0..argument).try_for_each(|_| self.item(depth))
            }
            5 => self.map(argument, depth.checked_sub(1).ok_or(CborError::TooDeep)?),
            _ => Err(CborError::Tag),
        }
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<(), CborError> {
        let mut previous: Option<(usize, usize)> = None;
        for _ in 0..count {
            let start = self.at;
            self.item(depth)?;
            let key = &self.bytes[start..self.at];
            if let Some((from, to)) = previous {
                match compare_keys(&self.bytes[from..to], key) {
                    Ordering::Less => {}
                    Ordering::Equal => return Err(CborError::DuplicateKey),
                    Ordering::Greater => return Err(CborError::Unordered),
                }
            }
            previous = Some((start, self.at));
            self.item(depth)?;
        }
        Ok(())
    }
}

fn is_shortest(info: u8, argument: u64) -> bool {
    match info {
        24 => argument > 23,
        25 => argument > 0xff,
        26 => argument > 0xffff,
        27 => argument > 0xffff_ffff,
        _ => true,
    }
}

/// Floats keep their width (the canonical form says so); of the simple values, false, true, null
/// and undefined exist.
fn simple_or_float(info: u8, argument: u64) -> Result<(), CborError> {
    match (info, argument) {
        (20..=23 | 25..=27, _) => Ok(()),
        _ => Err(CborError::BadHead),
    }
}

/// Any CBOR item, for places where the shape is not known beforehand.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer from -2^64 to 2^64-1.
    Integer(i128),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map in the order read; [`Value::encode`] sorts.
    Map(Vec<(Value, Value)>),
    /// false or true.
    Bool(bool),
    /// null.
    Null,
    /// A floating-point number of 32 or 64 bits. (Half precision passes [`check`] but is not read.)
    Float(f64),
}

impl Value {
    /// Reads one item in canonical form, with nothing after it.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        check(bytes)?;
        read(&mut Decoder::new(bytes))
    }

    /// Writes the item in canonical form. Floats are written in 64 bits.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(self, &mut out);
        out
    }

    /// The value under a text key, if this is a map that has it.
    pub fn get_text(&self, key: &str) -> Option<&Value> {
        self.entries()?
            .iter()
            .find(|(k, _)| matches!(k, Value::Text(t) if t == key))
            .map(|(_, v)| v)
    }

    /// The value under an integer key, if this is a map that has it.
    pub fn get_int(&self, key: i64) -> Option<&Value> {
        let key = Value::Integer(key.into());
        self.entries()?
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v)
    }

    /// The entries, if this is a map.
    pub fn entries(&self) -> Option<&[(Value, Value)]> {
        if let Value::Map(entries) = self {
            Some(entries)
        } else {
            None
        }
    }

    /// The bytes, if this is a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// The text, if this is a text string.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The integer, if this is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Integer(value) = self {
            i64::try_from(*value).ok()
        } else {
            None
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

/// Reads an item that [`check`] has passed; depth and sizes are therefore bounded.
fn read(d: &mut Decoder<'_>) -> Result<Value, CborError> {
    let wrong = |_| CborError::UnexpectedType;
    Ok(match d.datatype().map_err(wrong)? {
        Type::Bytes => Value::Bytes(d.bytes().map_err(wrong)?.to_vec()),
        Type::String => Value::Text(d.str().map_err(wrong)?.to_owned()),
        Type::Bool => Value::Bool(d.bool().map_err(wrong)?),
        Type::Null => d.null().map(|()| Value::Null).map_err(wrong)?,
        Type::Undefined => d.undefined().map(|()| Value::Null).map_err(wrong)?,
        Type::F32 => Value::Float(f64::from(d.f32().map_err(wrong)?)),
        Type::F64 => Value::Float(d.f64().map_err(wrong)?),
        Type::Array => {
            let count = d.array().map_err(wrong)?.unwrap_or(0);
            Value::Array((0..count).map(|_| read(d)).collect::<Result<_, _>>()?)
        }
        Type::Map => {
            let count = d.map().map_err(wrong)?.unwrap_or(0);
            Value::Map(
                (0..count)
                    .map(|_| Ok((read(d)?, read(d)?)))
                    .collect::<Result<_, _>>()?,
            )
        }
        _ => Value::Integer(d.int().map_err(wrong)?.into()),
    })
}

fn write(value: &Value, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, so the results carry nothing.
    let mut e = Encoder::new(&mut *out);
    match value {
        Value::Integer(number) => {
            if let Ok(int) = minicbor::data::Int::try_from(*number) {
                let _ = e.int(int);
            }
        }
        Value::Bytes(bytes) => drop(e.bytes(bytes)),
        Value::Text(text) => drop(e.str(text)),
        Value::Bool(flag) => drop(e.bool(*flag)),
        Value::Null => drop(e.null()),
        Value::Float(number) => drop(e.f64(*number)),
        Value::Array(items) => {
            let _ = e.array(items.len() as u64);
            for item in items {
                write(item, out);
            }
        }
        Value::Map(entries) => {
            let _ = e.map(entries.len() as u64);
            let mut sorted: Vec<_> = entries.iter().map(|(k, v)| (k.encode(), v)).collect();
            sorted.sort_by(|a, b| compare_keys(&a.0, &b.0));
            for (key, value) in sorted {
                out.extend_from_slice(&key);
                write(value, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn each_breach_of_the_canonical_form_is_named() {
        for (bytes, error) in [
            ("", CborError::Truncated),
            ("1817", CborError::NotShortest),
            ("190017", CborError::NotShortest),
            ("1a0000ffff", CborError::NotShortest),
            ("1b00000000ffffffff", CborError::NotShortest),
            ("5801aa", CborError::NotShortest),
            ("9fff", CborError::BadHead),
            ("bfff", CborError::BadHead),
            ("5f41aaff", CborError::BadHead),
            ("f818", CborError::BadHead),
            ("e0", CborError::BadHead),
            ("c000", CborError::Tag),
            ("0000", CborError::TrailingBytes),
            ("a202000100", CborError::Unordered),
            ("a2616200616100", CborError::Unordered),
            ("a2626161006162f5", CborError::Unordered),
            ("a201000100", CborError::DuplicateKey),
            ("a2200001 00", CborError::Unordered),
            ("61ff", CborError::NotUtf8),
            ("5bffffffffffffffff", CborError::Truncated),
            ("9bffffffffffffffff", CborError::Truncated),
            ("818181818181818181f6", CborError::TooDeep),
        ] {
            assert_eq!(check(&hex(&bytes.replace(' ', ""))), Err(error), "{bytes}");
        }
    }

    #[test]
    fn map_keys_go_by_type_then_length_then_bytes() {
        // 10, 100, -1, "z", "aa"
        assert_eq!(check(&hex("a50a001864002000617a0062616100")), Ok(()));
        assert_eq!(check(&hex("a4010003002000410000")), Ok(()));
    }

    #[test]
    fn split_leaves_the_rest() {
        let bytes = hex("a10102f6f6");
        assert_eq!(split(&bytes).unwrap(), (&bytes[..3], &bytes[3..]));
    }

    #[test]
    fn a_value_written_is_canonical_and_reads_back() {
        let value = Value::Map(vec![
            (
                "zz".into(),
                Value::Array(vec![Value::Bool(true), Value::Null, Value::Float(1.5)]),
            ),
            ("a".into(), Value::Bytes(vec![1, 2, 3])),
            ((-1).into(), Value::Integer(-(1 << 64))),
            (3.into(), Value::Integer(u64::MAX.into())),
        ]);
        let bytes = value.encode();
        check(&bytes).unwrap();
        let read = Value::decode(&bytes).unwrap();
        assert_eq!(read.encode(), bytes);
        assert_eq!(read.get_int(3), Some(&Value::Integer(u64::MAX.into())));
        assert_eq!(
            read.get_text("a").and_then(Value::as_bytes),
            Some(&[1, 2, 3][..])
        );
    }

    #[test]
    fn counts_are_never_trusted_with_memory() {
        for head in ["9a7fffffff", "ba7fffffff", "7a7fffffff", "5a7fffffff"] {
            assert_eq!(Value::decode(&hex(head)), Err(CborError::Truncated));
        }
    }
}
