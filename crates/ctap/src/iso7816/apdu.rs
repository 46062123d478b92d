//! ISO 7816-3 §12.1 command and response APDUs, short and extended

use core::fmt;

/// The two status bytes that end a response APDU.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// The command succeeded.
    pub const NO_ERROR: Self = Self(0x9000);
    /// CTAP 2.3 §11.3.7.2: still at work; the data is one keep-alive status byte.
    pub const UPDATE: Self = Self(0x9100);
    /// The data or the length fields do not fit the command.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// A chain was opened and another command arrived before its last part.
    pub const LAST_COMMAND_EXPECTED: Self = Self(0x6883);
    /// U2F: user presence is required; otherwise: not possible in this state.
    pub const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    /// U2F: the key handle is not of this authenticator.
    pub const WRONG_DATA: Self = Self(0x6A80);
    /// No applet of that AID.
    pub const FILE_NOT_FOUND: Self = Self(0x6A82);
    /// P1 or P2 is not one the command knows.
    pub const INCORRECT_P1_P2: Self = Self(0x6A86);
    /// The instruction is unknown, or no applet is selected that could know it.
    pub const INS_NOT_SUPPORTED: Self = Self(0x6D00);
    /// The class byte is unknown.
    pub const CLA_NOT_SUPPORTED: Self = Self(0x6E00);
    /// Nothing more precise is known.
    pub const UNKNOWN_ERROR: Self = Self(0x6F00);

    /// `61xx`: `left` bytes wait for GET RESPONSE; 256 and more are announced as `6100`.
    #[must_use]
    pub fn more_data(left: usize) -> Self {
        let low = u8::try_from(left).unwrap_or(0);
        Self(0x6100 | u16::from(low))
    }

    /// The number of bytes `61xx` announces (256 for `6100`), or `None` for another status.
    #[must_use]
    pub fn announced(self) -> Option<usize> {
        match self.0.to_be_bytes() {
            [0x61, 0] => Some(256),
            [0x61, low] => Some(usize::from(low)),
            _ => None,
        }
    }

    /// The Le that `6Cxx` asks for, or `None` for another status.
    #[must_use]
    pub fn correct_le(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0x6C, low] => Some(low),
            _ => None,
        }
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({:04X})", self.0)
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// A command APDU, whichever of the seven encodings it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandApdu {
    /// Class byte; bit 0x10 says that more parts of a chain follow.
    pub cla: u8,
    /// Instruction byte.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Command data, empty when there is none.
    pub data: Vec<u8>,
    /// The most response bytes the sender takes at once (1 to 65536).
    ///
    /// An absent Le counts as the largest of the form that was used: known clients leave it out
    /// and still expect the answer.
    pub ne: usize,
    /// Whether the length fields were (or shall be) of the extended form.
    pub extended: bool,
}

/// What a short Le of zero means.
pub(super) const SHORT_MAX: usize = 256;
/// What an extended Le of zero means.
pub(super) const EXTENDED_MAX: usize = 65_536;

impl CommandApdu {
    /// A command without data that takes 256 bytes back.
    #[must_use]
    pub fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Self {
            cla,
            ins,
            p1,
            p2,
            data: Vec::new(),
            ne: SHORT_MAX,
            extended: false,
        }
    }

    /// The same command with `data`, in the extended form when it does not fit the short one.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = data.into();
        if self.data.len() > 255 {
            self.extended = true;
            self.ne = EXTENDED_MAX;
        }
        self
    }

    /// Reads an APDU of any of the short and extended cases.
    ///
    /// An extended Lc of zero followed by an Le is accepted (libfido2 sends it).
    ///
    /// # Errors
    ///
    /// [`StatusWord::WRONG_LENGTH`] when the length fields disagree with the number of bytes.
    pub fn decode(apdu: &[u8]) -> Result<Self, StatusWord> {
        let (&[cla, ins, p1, p2], body) = apdu
            .split_first_chunk::<4>()
            .ok_or(StatusWord::WRONG_LENGTH)?;
        let (data, ne, extended) = match body {
            [] => (&[][..], SHORT_MAX, false),
            &[le] => (&[][..], short_ne(le), false),
            &[0, high, low] => (&[][..], extended_ne(high, low), true),
            [0, high, low, rest @ ..] => {
                let (data, ne) =
                    extended_body(usize::from(u16::from_be_bytes([*high, *low])), rest)?;
                (data, ne, true)
            }
            [0, ..] => return Err(StatusWord::WRONG_LENGTH),
            [lc, rest @ ..] => {
                let (data, ne) = short_body(usize::from(*lc), rest)?;
                (data, ne, false)
            }
        };
        Ok(Self {
            cla,
            ins,
            p1,
            p2,
            data: data.to_vec(),
            ne,
            extended,
        })
    }

    /// The bytes of this command, always with an Le. Data beyond what the form can carry makes the
    /// form extended; beyond 65535 bytes it is cut, which [`CommandApdu::decode`] never produces.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.cla, self.ins, self.p1, self.p2];
        let extended = self.extended || self.data.len() > 255 || self.ne > SHORT_MAX;
        let ne = u16::try_from(self.ne).unwrap_or(0);
        if extended {
            let data = self
                .data
                .get(..self.data.len().min(65_535))
                .unwrap_or_default();
            out.push(0);
            if !data.is_empty() {
                out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
                out.extend_from_slice(data);
            }
            out.extend_from_slice(&ne.to_be_bytes());
        } else {
            if !self.data.is_empty() {
                out.push(u8::try_from(self.data.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(&self.data);
            }
            out.push(u8::try_from(self.ne).unwrap_or(0));
        }
        out
    }
}

fn short_ne(le: u8) -> usize {
    if le == 0 { SHORT_MAX } else { usize::from(le) }
}

fn extended_ne(high: u8, low: u8) -> usize {
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => EXTENDED_MAX,
        ne => ne,
    }
}

fn short_body(lc: usize, rest: &[u8]) -> Result<(&[u8], usize), StatusWord> {
    let (data, le) = rest.split_at_checked(lc).ok_or(StatusWord::WRONG_LENGTH)?;
    match le {
        [] => Ok((data, SHORT_MAX)),
        &[le] => Ok((data, short_ne(le))),
        _ => Err(StatusWord::WRONG_LENGTH),
    }
}

fn extended_body(lc: usize, rest: &[u8]) -> Result<(&[u8], usize), StatusWord> {
    let (data, le) = rest.split_at_checked(lc).ok_or(StatusWord::WRONG_LENGTH)?;
    match le {
        [] => Ok((data, EXTENDED_MAX)),
        &[high, low] => Ok((data, extended_ne(high, low))),
        _ => Err(StatusWord::WRONG_LENGTH),
    }
}

/// A response APDU: data and the status word that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseApdu {
    /// Response data, possibly empty.
    pub data: Vec<u8>,
    /// How the command ended.
    pub status: StatusWord,
}

impl ResponseApdu {
    /// A response without data.
    #[must_use]
    pub fn status(status: StatusWord) -> Self {
        Self {
            data: Vec::new(),
            status,
        }
    }

    /// Splits `bytes` into data and status word; `None` when there are fewer than two bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (data, &sw) = bytes.split_last_chunk::<2>()?;
        Some(Self {
            data: data.to_vec(),
            status: StatusWord(u16::from_be_bytes(sw)),
        })
    }

    /// Data followed by the status word.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.data.clone();
        out.extend_from_slice(&self.status.0.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn parts(apdu: &[u8]) -> (Vec<u8>, usize, bool) {
        let c = CommandApdu::decode(apdu).unwrap();
        assert_eq!((c.cla, c.ins, c.p1, c.p2), (0x80, 0x10, 1, 2));
        (c.data, c.ne, c.extended)
    }

    #[test]
    fn every_case_of_iso_7816_3_is_read() {
        let h = [0x80, 0x10, 1, 2];
        assert_eq!(parts(&h), (vec![], 256, false), "case 1");
        assert_eq!(
            parts(&[&h[..], &[0]].concat()),
            (vec![], 256, false),
            "case 2S, Le 0"
        );
        assert_eq!(
            parts(&[&h[..], &[7]].concat()),
            (vec![], 7, false),
            "case 2S"
        );
        assert_eq!(
            parts(&[&h[..], &[2, 8, 9]].concat()),
            (vec![8, 9], 256, false),
            "case 3S"
        );
        assert_eq!(
            parts(&[&h[..], &[2, 8, 9, 5]].concat()),
            (vec![8, 9], 5, false),
            "case 4S"
        );
        assert_eq!(
            parts(&[&h[..], &[0, 1, 0]].concat()),
            (vec![], 256, true),
            "case 2E"
        );
        assert_eq!(
            parts(&[&h[..], &[0, 0, 0]].concat()),
            (vec![], 65_536, true),
            "case 2E, Le 0"
        );
        assert_eq!(
            parts(&[&h[..], &[0, 0, 1, 9]].concat()),
            (vec![9], 65_536, true),
            "case 3E"
        );
        assert_eq!(
            parts(&[&h[..], &[0, 0, 1, 9, 0, 3]].concat()),
            (vec![9], 3, true),
            "case 4E"
        );
        assert_eq!(
            parts(&[&h[..], &[0, 0, 0, 0, 0]].concat()),
            (vec![], 65_536, true),
            "Lc 0 with Le"
        );
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        for bad in [
            &[][..],
            &[0x80, 0x10, 0],
            &[0x80, 0x10, 0, 0, 3, 1, 2],
            &[0x80, 0x10, 0, 0, 1, 1, 2, 3],
            &[0x80, 0x10, 0, 0, 0, 1],
            &[0x80, 0x10, 0, 0, 0, 0, 2, 1],
            &[0x80, 0x10, 0, 0, 0, 0, 1, 1, 0],
            &[0x80, 0x10, 0, 0, 0, 0, 1, 1, 0, 0, 0],
        ] {
            assert_eq!(
                CommandApdu::decode(bad),
                Err(StatusWord::WRONG_LENGTH),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for len in [0, 1, 255, 256, 300, 65_535] {
            for (extended, ne) in [(false, 256), (false, 1), (true, 65_536), (true, 257)] {
                let mut c = CommandApdu::new(0, 1, 2, 3).with_data(vec![7; len]);
                c.extended |= extended;
                c.ne = if c.extended { ne.max(257) } else { ne };
                assert_eq!(
                    CommandApdu::decode(&c.encode()),
                    Ok(c.clone()),
                    "{len} {extended}"
                );
            }
        }
    }

    #[test]
    fn status_words_carry_their_counts() {
        assert_eq!(StatusWord::more_data(5), StatusWord(0x6105));
        assert_eq!(StatusWord::more_data(256), StatusWord(0x6100));
        assert_eq!(StatusWord(0x6100).announced(), Some(256));
        assert_eq!(StatusWord(0x6C10).correct_le(), Some(0x10));
        assert_eq!(StatusWord::NO_ERROR.announced(), None);
        assert_eq!(StatusWord(0x9000).to_string(), "9000");
    }

    #[test]
    fn a_response_needs_a_status_word() {
        assert_eq!(ResponseApdu::decode(&[0x90]), None);
        let r = ResponseApdu {
            data: vec![1],
            status: StatusWord::NO_ERROR,
        };
        assert_eq!(r.encode(), [1, 0x90, 0]);
        assert_eq!(ResponseApdu::decode(&r.encode()), Some(r));
        assert_eq!(
            ResponseApdu::status(StatusWord::WRONG_DATA).encode(),
            [0x6A, 0x80]
        );
    }
}
