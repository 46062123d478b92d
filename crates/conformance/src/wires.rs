//! Raw reports and APDUs, for the checks of the framing.

use core::time::Duration;

use ctap::hid::{Command, Report};
use ctap::iso7816::{CommandApdu, FIDO_AID, ResponseApdu, ins};

use crate::bench::{Bench, present};
use crate::check::{Outcome, failed, same};

/// How long an answer may take when the key computes nothing.
pub(crate) const SOON: Duration = Duration::from_secs(2);

/// The first bytes of a message: channel, command, announced length, data.
pub(crate) fn first(channel: u32, command: u8, length: u16, data: &[u8]) -> Report {
    let head = [
        command | 0x80,
        length.to_be_bytes()[0],
        length.to_be_bytes()[1],
    ];
    report(channel, &head, data)
}

/// A later part of a message.
pub(crate) fn later(channel: u32, sequence: u8, data: &[u8]) -> Report {
    report(channel, &[sequence], data)
}

fn report(channel: u32, head: &[u8], data: &[u8]) -> Report {
    let mut report = [0; 64];
    let bytes = channel.to_be_bytes().into_iter();
    let bytes = bytes
        .chain(head.iter().copied())
        .chain(data.iter().copied());
    for (slot, byte) in report.iter_mut().zip(bytes) {
        *slot = byte;
    }
    report
}

/// One report of the key, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) channel: u32,
    pub(crate) command: u8,
    pub(crate) length: usize,
    pub(crate) data: Vec<u8>,
}

impl Heard {
    fn of(report: &Report) -> Self {
        let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
        Self {
            channel: u32::from_be_bytes([report[0], report[1], report[2], report[3]]),
            command: report[4] & 0x7f,
            length,
            data: report[7..7 + length.min(57)].to_vec(),
        }
    }
}

impl Bench<'_> {
    /// The next first report of the key, keep-alives passed over; `None` if it is silent.
    pub(crate) fn hear(&mut self, within: Duration) -> Outcome<Option<Heard>> {
        // Keep-alives come every 100 ms: so many of them fill the time.
        for _ in 0..=within.as_millis() / 100 {
            let Some(report) = self.key.receive_report(within)? else {
                return Ok(None);
            };
            let heard = Heard::of(&report);
            if heard.command != Command::KEEPALIVE.0 {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    /// What the key answers to a report.
    pub(crate) fn tell(&mut self, report: &Report) -> Outcome<Heard> {
        self.report(report)?;
        let heard = self.hear(SOON)?;
        present("an answer", heard)
    }

    /// A report that the key must answer with this CTAPHID error.
    pub(crate) fn expect_error(&mut self, report: &Report, channel: u32, code: u8) -> Outcome {
        let heard = self.tell(report)?;
        is_error(&heard, channel, code)
    }

    /// A report that the key must not answer.
    pub(crate) fn expect_silence(&mut self, report: &Report) -> Outcome {
        self.report(report)?;
        match self.hear(Duration::from_millis(300))? {
            None => Ok(()),
            Some(heard) => failed(format!("{heard:?}, but nothing is due")),
        }
    }

    /// CTAPHID_INIT on a channel, with a nonce; the channel of the answer and all of it.
    pub(crate) fn init(&mut self, channel: u32, nonce: [u8; 8]) -> Outcome<(u32, Vec<u8>)> {
        let heard = self.tell(&first(channel, Command::INIT.0, 8, &nonce))?;
        if heard.command != Command::INIT.0 || heard.data.len() != 17 {
            return failed(format!("{heard:?} for INIT"));
        }
        same(heard.channel, channel, "the channel of the answer")?;
        same(&heard.data[..8], &nonce[..], "the nonce")?;
        let given = [heard.data[8], heard.data[9], heard.data[10], heard.data[11]];
        Ok((u32::from_be_bytes(given), heard.data))
    }

    /// A channel of one's own.
    pub(crate) fn new_channel(&mut self) -> Outcome<u32> {
        let nonce = [9, 8, 7, 6, 5, 4, 3, 2];
        Ok(self.init(0xffff_ffff, nonce)?.0)
    }

    /// Whether a channel is heard: it gets its PING back.
    pub(crate) fn ping(&mut self, channel: u32) -> Outcome {
        let heard = self.tell(&first(channel, Command::PING.0, 3, b"abc"))?;
        same(heard.command, Command::PING.0, "the command of the answer")?;
        same(heard.channel, channel, "the channel of the answer")?;
        same(&heard.data[..], &b"abc"[..], "the echo")
    }

    /// An APDU in bytes, and the answer.
    pub(crate) fn apdu_bytes(&mut self, apdu: &[u8]) -> Outcome<ResponseApdu> {
        let answer = self.key.transmit(apdu)?;
        present("a status word", ResponseApdu::decode(&answer))
    }

    /// An APDU and the answer.
    pub(crate) fn apdu(&mut self, apdu: &CommandApdu) -> Outcome<ResponseApdu> {
        self.apdu_bytes(&apdu.encode())
    }

    /// An APDU that must be answered with this status word.
    pub(crate) fn expect_word(&mut self, apdu: &CommandApdu, word: u16) -> Outcome {
        let answer = self.apdu(apdu)?;
        same(answer.status.0, word, "the status word").or_else(|_| {
            failed(format!(
                "answered {:04X}; due is {word:04X}",
                answer.status.0
            ))
        })
    }

    /// Selects the FIDO applet.
    pub(crate) fn select(&mut self) -> Outcome<ResponseApdu> {
        self.apdu(&select())
    }
}

/// SELECT of the FIDO applet.
pub(crate) fn select() -> CommandApdu {
    CommandApdu::new(0x00, ins::SELECT, 0x04, 0x00).with_data(FIDO_AID)
}

/// Whether it is this CTAPHID error.
pub(crate) fn is_error(heard: &Heard, channel: u32, code: u8) -> Outcome {
    same(heard.command, Command::ERROR.0, "the command of the answer")?;
    same(heard.channel, channel, "the channel of the error")?;
    same(&heard.data[..], &[code][..], "the error")
}
