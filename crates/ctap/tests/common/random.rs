//! The source of mutations, the same in every run.

use ctap::cbor::Value;

/// How many inputs each parser gets: `PINWARD_MUTATIONS`, or `default`.
pub fn iterations(default: u32) -> u32 {
    std::env::var("PINWARD_MUTATIONS").map_or(default, |n| n.parse().unwrap())
}

/// SplitMix64: repeatable, and good enough to choose bytes.
pub struct Random(pub u64);

/// CBOR heads that mean something: all types, short and long, indefinite, reserved.
const HEADS: &[u8] = b"\x00\x17\x18\x19\x1a\x1b\x1f\x20\x37\x3b\x40\x58\x5b\x5f\x60\x78\x7b\x7f\x80\x84\x98\x9b\x9f\xa0\xa1\xb8\xbb\xbf\xc0\xe0\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xff";

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number of any size: small ones as often as large ones.
    pub fn number(&mut self) -> u64 {
        self.next() >> self.below(64)
    }

    /// Flips, cuts, doubles and overwrites a few bytes.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            if bytes.is_empty() {
                bytes.push(self.byte());
                continue;
            }
            let at = self.below(bytes.len());
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.byte(),
                2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                3 => bytes.truncate(at),
                4 => bytes.insert(at, self.byte()),
                5 => bytes[at] = HEADS[self.below(HEADS.len())],
                _ => bytes.extend_from_within(at..),
            }
            bytes.truncate(9000);
        }
    }

    /// Changes one node of a tree, so that the input stays canonical and reaches behind that check.
    pub fn mutate_tree(&mut self, value: &mut Value) {
        let deeper = self.below(4) != 0;
        match value {
            Value::Map(entries) if deeper && !entries.is_empty() => {
                let at = self.below(entries.len());
                match self.below(6) {
                    0 => drop(entries.remove(at)),
                    1 => {
                        let key = self.key();
                        if entries.iter().all(|(known, _)| *known != key) {
                            entries.push((key, self.leaf()));
                        }
                    }
                    _ => self.mutate_tree(&mut entries[at].1),
                }
            }
            Value::Array(items) if deeper && !items.is_empty() => {
                let at = self.below(items.len());
                match self.below(4) {
                    0 => drop(items.remove(at)),
                    1 => items.push(items[at].clone()),
                    _ => self.mutate_tree(&mut items[at]),
                }
            }
            Value::Bytes(bytes) if deeper => self.mutate(bytes),
            other => *other = self.leaf(),
        }
    }

    fn key(&mut self) -> Value {
        match self.below(4) {
            0 => Value::Integer(i128::from(self.number()) - i128::from(self.number())),
            1 => Value::Text(["id", "name", "type", "uv", "?"][self.below(5)].to_owned()),
            2 => Value::Bytes(vec![self.byte()]),
            _ => Value::Integer(i128::from(self.byte() % 40)),
        }
    }

    fn leaf(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Integer(self.number().into()),
            1 => Value::Integer(-1 - i128::from(self.number())),
            2 => Value::Bytes(vec![self.byte(); self.below(70)]),
            3 => Value::Text("\u{e9}".repeat(self.below(40))),
            4 => Value::Bool(self.byte() & 1 == 0),
            5 => Value::Null,
            6 => Value::Float(f64::from_bits(self.next())),
            7 => Value::Array(vec![Value::Integer(1); self.below(3)]),
            _ => Value::Map(vec![(self.key(), Value::Bool(true))]),
        }
    }
}
