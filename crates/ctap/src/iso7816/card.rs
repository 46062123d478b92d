//! CTAP 2.3 §11.3 the authenticator as a card: APDUs in, messages and APDUs out

use super::apdu::{CommandApdu, ResponseApdu, StatusWord};
use super::{FIDO_AID, P1_CANCEL, P1_END, P1_POLLS, ins};

/// What SELECT of the FIDO applet answers, §11.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppletVersion {
    /// `U2F_V2`: CTAP1 is spoken, CTAP2 perhaps too (getInfo tells).
    U2fV2,
    /// `FIDO_2_0`: CTAP2 only.
    Fido20,
}

impl AppletVersion {
    /// The bytes of the answer.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::U2fV2 => b"U2F_V2",
            Self::Fido20 => b"FIDO_2_0",
        }
    }
}

/// What a card says and accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardSettings {
    /// The answer to SELECT; U2F instructions work only with [`AppletVersion::U2fV2`].
    pub version: AppletVersion,
    /// Whether NFCCTAP_MSG is known (false for a key that speaks CTAP1 only).
    pub ctap2: bool,
    /// The longest message gathered from a chain or an extended APDU, in bytes.
    pub max_message: usize,
}

impl Default for CardSettings {
    fn default() -> Self {
        Self {
            version: AppletVersion::U2fV2,
            ctap2: true,
            max_message: crate::hid::MAX_PAYLOAD,
        }
    }
}

/// What the owner of a [`Card`] has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Give these bytes to the reader.
    Respond(Vec<u8>),
    /// A CTAP2 request (command byte and CBOR). Answer with [`Card::reply`] or [`Card::keepalive`].
    Message(Vec<u8>),
    /// A U2F request, as one unchained APDU. Answer with [`Card::reply`], status word included.
    U2f(Vec<u8>),
    /// The reader asks again. Answer with [`Card::reply`] or [`Card::keepalive`].
    Poll,
    /// The reader wants the running request cancelled. [`Card::reply`] with its last answer.
    Cancel,
    /// The reader has given the running request up; what it answers is not wanted any more.
    Abort,
}

/// A gathered but not finished command chain.
#[derive(Debug)]
struct Chain {
    header: [u8; 4],
    data: Vec<u8>,
}

/// The request that the owner works on.
#[derive(Debug, PartialEq, Eq)]
enum Running {
    Nothing,
    /// A reader waits for the response APDU.
    Awaited {
        ne: usize,
        polls: bool,
        u2f: bool,
    },
    /// The reader was told `9100` and will ask again.
    Polled,
    /// The answer came between two questions of the reader.
    Finished(Vec<u8>),
}

/// The FIDO applet of a card: SELECT, chaining, GET RESPONSE and the NFCCTAP commands.
///
/// One [`Card::receive`] leads to one response APDU: at once by [`Event::Respond`], or later by
/// [`Card::reply`] or [`Card::keepalive`].
///
/// ```
/// use ctap::iso7816::{Card, CardSettings, Event};
/// let mut card = Card::new(CardSettings::default());
/// let select = [&[0, 0xA4, 4, 0, 8][..], &ctap::iso7816::FIDO_AID, &[0]].concat();
/// assert_eq!(card.receive(&select), [Event::Respond(b"U2F_V2\x90\x00".to_vec())]);
/// assert_eq!(card.receive(&[0x80, 0x10, 0, 0, 1, 4, 0]), [Event::Message(vec![4])]);
/// assert_eq!(card.reply(&[0, 0xA0]), Some(vec![0, 0xA0, 0x90, 0x00]));
/// ```
#[derive(Debug)]
pub struct Card {
    settings: CardSettings,
    selected: bool,
    chain: Option<Chain>,
    running: Running,
    /// What GET RESPONSE has still to deliver, and the status word that ends it.
    rest: Option<ResponseApdu>,
}

impl Card {
    /// A card in its unpowered state: no applet selected.
    #[must_use]
    pub fn new(settings: CardSettings) -> Self {
        Self {
            settings,
            selected: false,
            chain: None,
            running: Running::Nothing,
            rest: None,
        }
    }

    /// Power loss or reset: forgets selection, chain and answers.
    ///
    /// Returns true when a request was running, whose work should be given up.
    pub fn reset(&mut self) -> bool {
        let aborted = self.is_running();
        *self = Self::new(self.settings);
        aborted
    }

    /// Whether the owner works on a request.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.running, Running::Awaited { .. } | Running::Polled)
    }

    /// Takes one command APDU from the reader.
    pub fn receive(&mut self, apdu: &[u8]) -> Vec<Event> {
        match CommandApdu::decode(apdu) {
            Err(status) => vec![respond(status)],
            Ok(apdu) => self.dispatch(apdu),
        }
    }

    fn dispatch(&mut self, apdu: CommandApdu) -> Vec<Event> {
        if apdu.cla == 0 && apdu.ins == ins::SELECT {
            return self.select(&apdu);
        }
        if !self.selected {
            return vec![respond(StatusWord::INS_NOT_SUPPORTED)];
        }
        if apdu.ins == ins::GET_RESPONSE {
            return vec![Event::Respond(self.get_response(&apdu))];
        }
        // ISO 7816-4 §5.3.4: any other command means that the rest of the last answer is not wanted.
        self.rest = None;
        match self.gather(apdu) {
            Err(status) => vec![respond(status)],
            Ok(apdu) => self.command(apdu),
        }
    }

    /// ISO 7816-4 SELECT by AID; always possible, it is how a lost reader finds back.
    fn select(&mut self, apdu: &CommandApdu) -> Vec<Event> {
        self.chain = None;
        self.rest = None;
        // P2: first or only occurrence; bits 3 and 4 say what information is wished.
        if apdu.p1 != 0x04 || apdu.p2 & 0xF3 != 0 {
            return vec![respond(StatusWord::INCORRECT_P1_P2)];
        }
        if apdu.data != FIDO_AID {
            return vec![respond(StatusWord::FILE_NOT_FOUND)];
        }
        let mut events = self.abort();
        self.selected = true;
        let answer = ResponseApdu {
            data: self.settings.version.bytes().to_vec(),
            status: StatusWord::NO_ERROR,
        };
        events.push(Event::Respond(self.deliver(answer, apdu.ne)));
        events
    }

    /// Command chaining (ISO 7816-4 §5.3.3): keeps parts and lets a complete command through.
    fn gather(&mut self, mut apdu: CommandApdu) -> Result<CommandApdu, StatusWord> {
        const CHAIN: u8 = 0x10;
        let more = apdu.cla & CHAIN != 0;
        let header = [apdu.cla & !CHAIN, apdu.ins, apdu.p1, apdu.p2];
        let mut data = match self.chain.take() {
            None => Vec::new(),
            Some(chain) if chain.header == header => chain.data,
            Some(_) => return Err(StatusWord::LAST_COMMAND_EXPECTED),
        };
        if data.len() + apdu.data.len() > self.settings.max_message {
            return Err(StatusWord::WRONG_LENGTH);
        }
        data.extend_from_slice(&apdu.data);
        if more {
            self.known(&header)?;
            self.chain = Some(Chain { header, data });
            return Err(StatusWord::NO_ERROR);
        }
        apdu.data = data;
        Ok(apdu)
    }

    /// Whether class, instruction and parameters are of a command of this applet.
    fn known(&self, &[cla, ins, p1, p2]: &[u8; 4]) -> Result<(), StatusWord> {
        let parameters_fit = match (cla, ins) {
            (0x80, ins::NFCCTAP_MSG) if self.settings.ctap2 => p1 & !P1_POLLS == 0 && p2 == 0,
            (0x80, ins::NFCCTAP_GETRESPONSE) if self.settings.ctap2 => {
                (p1 == 0 || p1 == P1_CANCEL) && p2 == 0
            }
            (0x80, ins::NFCCTAP_CONTROL) => p1 == P1_END && p2 == 0,
            (0x00, 0x01..=0x03) if self.settings.version == AppletVersion::U2fV2 => true,
            (0x00 | 0x80, _) => return Err(StatusWord::INS_NOT_SUPPORTED),
            _ => return Err(StatusWord::CLA_NOT_SUPPORTED),
        };
        if parameters_fit {
            Ok(())
        } else {
            Err(StatusWord::INCORRECT_P1_P2)
        }
    }

    fn command(&mut self, apdu: CommandApdu) -> Vec<Event> {
        if let Err(status) = self.known(&[apdu.cla, apdu.ins, apdu.p1, apdu.p2]) {
            return vec![respond(status)];
        }
        match (apdu.cla, apdu.ins) {
            (0x80, ins::NFCCTAP_MSG) => {
                if apdu.data.is_empty() {
                    return vec![respond(StatusWord::WRONG_LENGTH)];
                }
                let mut events = self.abort();
                self.running = Running::Awaited {
                    ne: apdu.ne,
                    polls: apdu.p1 & P1_POLLS != 0,
                    u2f: false,
                };
                events.push(Event::Message(apdu.data));
                events
            }
            (0x80, ins::NFCCTAP_GETRESPONSE) => vec![self.poll(&apdu)],
            (0x80, _) => {
                let mut events = self.abort();
                self.selected = false;
                events.push(respond(StatusWord::NO_ERROR));
                events
            }
            _ => {
                let mut events = self.abort();
                self.running = Running::Awaited {
                    ne: apdu.ne,
                    polls: false,
                    u2f: true,
                };
                events.push(Event::U2f(apdu.encode()));
                events
            }
        }
    }

    /// NFCCTAP_GETRESPONSE, §11.3.7.2.
    fn poll(&mut self, apdu: &CommandApdu) -> Event {
        match core::mem::replace(&mut self.running, Running::Nothing) {
            Running::Finished(data) => {
                let answer = ResponseApdu {
                    data,
                    status: StatusWord::NO_ERROR,
                };
                Event::Respond(self.deliver(answer, apdu.ne))
            }
            Running::Polled => {
                self.running = Running::Awaited {
                    ne: apdu.ne,
                    polls: true,
                    u2f: false,
                };
                if apdu.p1 == P1_CANCEL {
                    Event::Cancel
                } else {
                    Event::Poll
                }
            }
            running => {
                self.running = running;
                respond(StatusWord::CONDITIONS_NOT_SATISFIED)
            }
        }
    }

    fn abort(&mut self) -> Vec<Event> {
        let running = self.is_running();
        self.running = Running::Nothing;
        if running {
            vec![Event::Abort]
        } else {
            Vec::new()
        }
    }

    /// The answer to the running request: status byte and CBOR, or a U2F response with its status
    /// word.
    ///
    /// Returns the response APDU when a reader waits for one. Otherwise the answer is kept until the
    /// reader asks, or dropped when nothing was running.
    #[must_use]
    pub fn reply(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        match core::mem::replace(&mut self.running, Running::Nothing) {
            Running::Awaited { ne, u2f, .. } => {
                let answer = if u2f {
                    ResponseApdu::decode(payload)
                        .unwrap_or_else(|| ResponseApdu::status(StatusWord::UNKNOWN_ERROR))
                } else {
                    ResponseApdu {
                        data: payload.to_vec(),
                        status: StatusWord::NO_ERROR,
                    }
                };
                Some(self.deliver(answer, ne))
            }
            Running::Polled => {
                self.running = Running::Finished(payload.to_vec());
                None
            }
            running => {
                self.running = running;
                None
            }
        }
    }

    /// Tells a waiting reader that the request takes longer (`9100` and a keep-alive status byte).
    ///
    /// `None` when no reader waits, or when it has not said that it can ask again: it has to be
    /// kept waiting then.
    #[must_use]
    pub fn keepalive(&mut self, status: u8) -> Option<Vec<u8>> {
        if !matches!(self.running, Running::Awaited { polls: true, .. }) {
            return None;
        }
        self.running = Running::Polled;
        Some(
            ResponseApdu {
                data: vec![status],
                status: StatusWord::UPDATE,
            }
            .encode(),
        )
    }

    /// GET RESPONSE, in class 00 or 80.
    fn get_response(&mut self, apdu: &CommandApdu) -> Vec<u8> {
        if !matches!(apdu.cla, 0x00 | 0x80) {
            return ResponseApdu::status(StatusWord::CLA_NOT_SUPPORTED).encode();
        }
        if apdu.p1 != 0 || apdu.p2 != 0 {
            return ResponseApdu::status(StatusWord::INCORRECT_P1_P2).encode();
        }
        match self.rest.take() {
            Some(rest) => self.deliver(rest, apdu.ne),
            None => ResponseApdu::status(StatusWord::CONDITIONS_NOT_SATISFIED).encode(),
        }
    }

    /// Cuts an answer to what the reader takes at once; keeps the rest for GET RESPONSE.
    fn deliver(&mut self, mut answer: ResponseApdu, ne: usize) -> Vec<u8> {
        if answer.data.len() > ne {
            let rest = answer.data.split_off(ne);
            let left = StatusWord::more_data(rest.len());
            self.rest = Some(ResponseApdu {
                data: rest,
                status: answer.status,
            });
            answer.status = left;
        }
        answer.encode()
    }
}

fn respond(status: StatusWord) -> Event {
    Event::Respond(ResponseApdu::status(status).encode())
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
