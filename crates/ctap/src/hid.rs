//! CTAP 2.3 §11.2 USB HID: CTAPHID as state machines for both ends
//!
//! [`Device`] is the authenticator's end: it owns the channels, gathers messages, arbitrates between
//! applications, and answers PING, INIT, LOCK and WINK itself. [`Host`] is the platform's end of one
//! channel. Neither reads a clock: time is a `Duration` since an epoch that the caller chooses.

mod device;
mod host;

pub use device::{Device, Event, Settings};
pub use host::{Host, HostError, HostEvent, InitResponse};

/// Bytes in one report, in either direction.
pub const REPORT_SIZE: usize = 64;
/// One report (without the HID report number that some interfaces put before it).
pub type Report = [u8; REPORT_SIZE];

/// §11.2.4: the most payload one message can carry.
pub const MAX_PAYLOAD: usize = INIT_DATA + 128 * CONT_DATA;
/// The channel on which channels are asked for.
pub const BROADCAST: u32 = 0xFFFF_FFFF;
/// Bytes of the nonce of CTAPHID_INIT.
pub const NONCE_SIZE: usize = 8;
/// The CTAPHID protocol version that INIT reports.
pub const PROTOCOL_VERSION: u8 = 2;

/// Payload bytes of an initialization packet.
const INIT_DATA: usize = REPORT_SIZE - 7;
/// Payload bytes of a continuation packet.
const CONT_DATA: usize = REPORT_SIZE - 5;
/// Marks an initialization packet in byte 4.
const TYPE_INIT: u8 = 0x80;

/// A CTAPHID command, without the packet type bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Command(pub u8);

impl Command {
    /// Echo.
    pub const PING: Self = Self(0x01);
    /// A U2F (CTAP1) message.
    pub const MSG: Self = Self(0x03);
    /// Exclusive access for one channel.
    pub const LOCK: Self = Self(0x04);
    /// Channel allocation and resynchronisation.
    pub const INIT: Self = Self(0x06);
    /// Show which authenticator this is.
    pub const WINK: Self = Self(0x08);
    /// A CTAP2 message.
    pub const CBOR: Self = Self(0x10);
    /// Give the running CBOR request up.
    pub const CANCEL: Self = Self(0x11);
    /// Authenticator to platform: still at work.
    pub const KEEPALIVE: Self = Self(0x3B);
    /// Authenticator to platform: an [`ErrorCode`].
    pub const ERROR: Self = Self(0x3F);
}

/// The payload of CTAPHID_ERROR, §11.2.9.1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u8);

impl ErrorCode {
    /// The command in the request is unknown.
    pub const INVALID_CMD: Self = Self(0x01);
    /// The parameters in the request are invalid.
    pub const INVALID_PAR: Self = Self(0x02);
    /// The length field does not fit the request.
    pub const INVALID_LEN: Self = Self(0x03);
    /// The sequence number does not match.
    pub const INVALID_SEQ: Self = Self(0x04);
    /// The message has timed out.
    pub const MSG_TIMEOUT: Self = Self(0x05);
    /// The authenticator is busy for another channel, or for an earlier request of this one.
    pub const CHANNEL_BUSY: Self = Self(0x06);
    /// The command requires the channel lock.
    pub const LOCK_REQUIRED: Self = Self(0x0A);
    /// The command is not allowed on this channel.
    pub const INVALID_CHANNEL: Self = Self(0x0B);
    /// Any other error.
    pub const OTHER: Self = Self(0x7F);

    /// The document's name, or `None` for a code it does not know.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INVALID_CMD => "ERR_INVALID_CMD",
            Self::INVALID_PAR => "ERR_INVALID_PAR",
            Self::INVALID_LEN => "ERR_INVALID_LEN",
            Self::INVALID_SEQ => "ERR_INVALID_SEQ",
            Self::MSG_TIMEOUT => "ERR_MSG_TIMEOUT",
            Self::CHANNEL_BUSY => "ERR_CHANNEL_BUSY",
            Self::LOCK_REQUIRED => "ERR_LOCK_REQUIRED",
            Self::INVALID_CHANNEL => "ERR_INVALID_CHANNEL",
            Self::OTHER => "ERR_OTHER",
            _ => return None,
        })
    }
}

/// The status byte of CTAPHID_KEEPALIVE.
pub mod keepalive {
    /// The authenticator is still processing the request.
    pub const PROCESSING: u8 = 1;
    /// The authenticator waits for user presence.
    pub const UPNEEDED: u8 = 2;
}

/// The capability flags in the answer to INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(pub u8);

impl Capabilities {
    /// WINK is implemented.
    pub const WINK: Self = Self(0x01);
    /// CBOR is implemented.
    pub const CBOR: Self = Self(0x04);
    /// MSG is **not** implemented.
    pub const NMSG: Self = Self(0x08);

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One packet, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet<'a> {
    /// First packet of a message: command, announced length, and up to 57 bytes.
    Init {
        command: Command,
        length: usize,
        data: &'a [u8; INIT_DATA],
    },
    /// A later packet: sequence number and up to 59 bytes.
    Cont {
        sequence: u8,
        data: &'a [u8; CONT_DATA],
    },
}

/// Channel and content of a report.
fn parse(report: &Report) -> (u32, Packet<'_>) {
    let [c0, c1, c2, c3, kind, rest @ ..] = report;
    let channel = u32::from_be_bytes([*c0, *c1, *c2, *c3]);
    if kind & TYPE_INIT == 0 {
        return (
            channel,
            Packet::Cont {
                sequence: *kind,
                data: rest,
            },
        );
    }
    let [high, low, data @ ..] = rest;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (
        channel,
        Packet::Init {
            command: Command(kind & !TYPE_INIT),
            length,
            data,
        },
    )
}

/// Cuts one message into reports.
///
/// Payload beyond [`MAX_PAYLOAD`] cannot be expressed and is cut off; callers check before
/// ([`Device::reply`] and [`Host::request`] do).
fn fragment(channel: u32, command: Command, payload: &[u8]) -> Vec<Report> {
    let payload = payload
        .get(..payload.len().min(MAX_PAYLOAD))
        .unwrap_or_default();
    let length = u16::try_from(payload.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let (first, rest) = payload.split_at(payload.len().min(INIT_DATA));
    let mut reports = Vec::with_capacity(1 + rest.len().div_ceil(CONT_DATA));
    reports.push(report(
        channel,
        &[command.0 | TYPE_INIT, length[0], length[1]],
        first,
    ));
    for (sequence, chunk) in (0..).zip(rest.chunks(CONT_DATA)) {
        reports.push(report(channel, &[sequence], chunk));
    }
    reports
}

/// A zero-padded report; `head` and `data` fit by construction.
fn report(channel: u32, head: &[u8], data: &[u8]) -> Report {
    let mut report = [0; REPORT_SIZE];
    let bytes = channel
        .to_be_bytes()
        .into_iter()
        .chain(head.iter().copied())
        .chain(data.iter().copied());
    for (slot, byte) in report.iter_mut().zip(bytes) {
        *slot = byte;
    }
    report
}

/// A message of which not all packets have arrived.
#[derive(Debug)]
struct Assembly {
    command: Command,
    length: usize,
    data: Vec<u8>,
    next_sequence: u8,
}

impl Assembly {
    /// Starts with the first packet; `length` is at most [`MAX_PAYLOAD`].
    fn new(command: Command, length: usize, data: &[u8; INIT_DATA]) -> Self {
        let mut assembly = Self {
            command,
            length,
            data: Vec::with_capacity(length),
            next_sequence: 0,
        };
        assembly.append(data);
        assembly
    }

    fn append(&mut self, data: &[u8]) {
        let missing = self.length - self.data.len();
        self.data
            .extend_from_slice(data.get(..missing).unwrap_or(data));
    }

    /// Takes a continuation packet; false when it is not the one expected.
    fn next(&mut self, sequence: u8, data: &[u8; CONT_DATA]) -> bool {
        if sequence != self.next_sequence {
            return false;
        }
        self.next_sequence += 1;
        self.append(data);
        true
    }

    fn is_complete(&self) -> bool {
        self.data.len() == self.length
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_largest_message_has_129_packets() {
        assert_eq!(MAX_PAYLOAD, 7609);
        let reports = fragment(1, Command::PING, &[7; MAX_PAYLOAD]);
        assert_eq!(reports.len(), 129);
        assert_eq!(reports[128][4], 127, "the last sequence number");
    }

    #[test]
    fn packets_carry_57_and_59_bytes_and_are_padded_with_zeros() {
        let payload: Vec<u8> = (1..=120).collect();
        let reports = fragment(0x0102_0304, Command::CBOR, &payload);
        assert_eq!(reports.len(), 3);
        assert_eq!(reports[0][..7], [1, 2, 3, 4, 0x90, 0, 120]);
        assert_eq!(reports[0][7..], payload[..57]);
        assert_eq!(reports[1][..5], [1, 2, 3, 4, 0]);
        assert_eq!(reports[1][5..], payload[57..116]);
        assert_eq!(reports[2][..5], [1, 2, 3, 4, 1]);
        assert_eq!(reports[2][5..9], payload[116..]);
        assert!(reports[2][9..].iter().all(|b| *b == 0));
    }

    #[test]
    fn every_length_is_put_together_again() {
        for length in (0..=300).chain(MAX_PAYLOAD - 60..=MAX_PAYLOAD) {
            let payload: Vec<u8> = (0..length)
                .map(|i| u8::try_from(i % 251).unwrap())
                .collect();
            let mut assembly = None;
            for report in fragment(9, Command::PING, &payload) {
                match (parse(&report), &mut assembly) {
                    (
                        (
                            9,
                            Packet::Init {
                                command,
                                length,
                                data,
                            },
                        ),
                        none,
                    ) => {
                        *none = Some(Assembly::new(command, length, data));
                    }
                    ((9, Packet::Cont { sequence, data }), Some(assembly)) => {
                        assert!(!assembly.is_complete());
                        assert!(assembly.next(sequence, data));
                    }
                    other => panic!("{other:?}"),
                }
            }
            let assembly = assembly.unwrap();
            assert!(assembly.is_complete());
            assert_eq!(assembly.data, payload);
        }
    }

    #[test]
    fn names_and_flags() {
        assert_eq!(ErrorCode::CHANNEL_BUSY.name(), Some("ERR_CHANNEL_BUSY"));
        assert_eq!(ErrorCode(0x55).name(), None);
        let both = Capabilities::WINK.with(Capabilities::CBOR);
        assert!(both.contains(Capabilities::CBOR) && !both.contains(Capabilities::NMSG));
        assert_eq!(both.0, 5);
    }
}
