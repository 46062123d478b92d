//! CTAP 2.3 §11.3 the reader's side: one command and all it takes to get the whole answer

use super::apdu::{CommandApdu, ResponseApdu, StatusWord};
use super::{FIDO_AID, P1_CANCEL, P1_POLLS, ins};

/// How long data is carried to the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Short APDUs, chained when the data has more than 255 bytes. Every reader can do it.
    Short,
    /// Extended APDUs.
    Extended,
}

/// What to do next in an [`Exchange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this APDU and give the response to [`Exchange::receive`].
    Send(Vec<u8>),
    /// The card works or waits for the user (the status byte of a keep-alive). Send
    /// [`Exchange::poll`] after a while, or [`Exchange::cancel`].
    KeepAlive(u8),
    /// The whole answer.
    Done(ResponseApdu),
}

/// A card that does not keep to ISO 7816-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// A response shorter than a status word.
    #[error("the card's response has no status word")]
    NoStatusWord,
    /// More answer than any message may have.
    #[error("the card's answer does not end")]
    TooLong,
    /// A keep-alive without its status byte.
    #[error("the card's keep-alive has no status byte")]
    NoKeepAliveStatus,
    /// `6Cxx` again after its Le was used.
    #[error("the card keeps asking for another length")]
    LengthLoop,
}

/// More than any CTAP answer: where a reader stops collecting.
const MAX_ANSWER: usize = 1 << 17;

/// One command on its way to a card, and its answer on the way back.
#[derive(Debug)]
pub struct Exchange {
    /// APDUs to send, last first.
    queue: Vec<CommandApdu>,
    last: CommandApdu,
    answer: Vec<u8>,
    retried_length: bool,
}

impl Exchange {
    /// SELECT of the FIDO applet.
    #[must_use]
    pub fn select() -> Self {
        Self::new(
            CommandApdu::new(0, ins::SELECT, 0x04, 0).with_data(FIDO_AID),
            Form::Short,
        )
    }

    /// NFCCTAP_MSG with one CTAP2 request (command byte and CBOR); the answer may be polled for.
    #[must_use]
    pub fn message(request: &[u8], form: Form) -> Self {
        let apdu = CommandApdu::new(0x80, ins::NFCCTAP_MSG, P1_POLLS, 0).with_data(request);
        Self::new(apdu, form)
    }

    /// Any command, for example a decoded U2F APDU.
    #[must_use]
    pub fn new(mut command: CommandApdu, form: Form) -> Self {
        command.extended = form == Form::Extended;
        command.ne = if command.extended { 65_536 } else { 256 };
        let mut queue = vec![];
        if form == Form::Short {
            let mut data = command.data.as_slice();
            while let Some((part, rest)) = data.split_at_checked(255)
                && !rest.is_empty()
            {
                queue.push(
                    CommandApdu::new(command.cla | 0x10, command.ins, command.p1, command.p2)
                        .with_data(part),
                );
                data = rest;
            }
            command.data = data.to_vec();
        }
        let last = command.clone();
        queue.push(command);
        queue.reverse();
        Self {
            queue,
            last,
            answer: Vec::new(),
            retried_length: false,
        }
    }

    /// The first APDU to send.
    #[must_use]
    pub fn start(&mut self) -> Vec<u8> {
        self.next().map(|apdu| apdu.encode()).unwrap_or_default()
    }

    fn next(&mut self) -> Option<CommandApdu> {
        let apdu = self.queue.pop()?;
        self.last = apdu.clone();
        Some(apdu)
    }

    /// NFCCTAP_GETRESPONSE: asks whether the answer is there.
    #[must_use]
    pub fn poll(&mut self) -> Vec<u8> {
        self.ask_again(0)
    }

    /// NFCCTAP_GETRESPONSE with the wish to cancel.
    #[must_use]
    pub fn cancel(&mut self) -> Vec<u8> {
        self.ask_again(P1_CANCEL)
    }

    fn ask_again(&mut self, p1: u8) -> Vec<u8> {
        let mut apdu = CommandApdu::new(0x80, ins::NFCCTAP_GETRESPONSE, p1, 0);
        apdu.extended = self.last.extended;
        apdu.ne = if apdu.extended { 65_536 } else { 256 };
        self.last = apdu.clone();
        apdu.encode()
    }

    /// Takes the response to the last APDU.
    ///
    /// # Errors
    ///
    /// When the card does not keep to the rules; the exchange is over then.
    pub fn receive(&mut self, response: &[u8]) -> Result<Step, ExchangeError> {
        let response = ResponseApdu::decode(response).ok_or(ExchangeError::NoStatusWord)?;
        if let Some(le) = response.status.correct_le() {
            return self.with_length(le);
        }
        if self.answer.len() + response.data.len() > MAX_ANSWER {
            return Err(ExchangeError::TooLong);
        }
        if response.status == StatusWord::UPDATE {
            let status = response
                .data
                .first()
                .ok_or(ExchangeError::NoKeepAliveStatus)?;
            return Ok(Step::KeepAlive(*status));
        }
        if let Some(announced) = response.status.announced() {
            self.answer.extend_from_slice(&response.data);
            let mut apdu = CommandApdu::new(0, ins::GET_RESPONSE, 0, 0);
            apdu.ne = announced;
            self.last = apdu.clone();
            return Ok(Step::Send(apdu.encode()));
        }
        if response.status == StatusWord::NO_ERROR
            && let Some(apdu) = self.next()
        {
            return Ok(Step::Send(apdu.encode()));
        }
        let mut data = core::mem::take(&mut self.answer);
        data.extend_from_slice(&response.data);
        Ok(Step::Done(ResponseApdu {
            data,
            status: response.status,
        }))
    }

    /// `6Cxx`: the same command again with the Le that the card wants.
    fn with_length(&mut self, le: u8) -> Result<Step, ExchangeError> {
        if core::mem::replace(&mut self.retried_length, true) {
            return Err(ExchangeError::LengthLoop);
        }
        let mut apdu = self.last.clone();
        apdu.ne = if le == 0 { 256 } else { usize::from(le) };
        Ok(Step::Send(apdu.encode()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::card::{Card, CardSettings, Event};
    use super::*;

    /// Runs an exchange against a card whose owner answers with `answer`.
    fn run(card: &mut Card, mut exchange: Exchange, answer: &[u8]) -> (Vec<u8>, ResponseApdu) {
        let mut seen = Vec::new();
        let mut apdu = exchange.start();
        loop {
            let mut response = None;
            for event in card.receive(&apdu) {
                match event {
                    Event::Respond(r) => response = Some(r),
                    Event::Message(m) | Event::U2f(m) => {
                        seen = m;
                        response = card.reply(answer);
                    }
                    other => panic!("{other:?}"),
                }
            }
            match exchange.receive(&response.unwrap()).unwrap() {
                Step::Send(next) => apdu = next,
                Step::Done(done) => return (seen, done),
                Step::KeepAlive(_) => panic!("nothing waits here"),
            }
        }
    }

    #[test]
    fn messages_of_any_length_reach_the_card_and_come_back() {
        let mut card = Card::new(CardSettings::default());
        let (_, selected) = run(&mut card, Exchange::select(), &[]);
        assert_eq!(selected.data, b"U2F_V2");
        for form in [Form::Short, Form::Extended] {
            for length in [1, 255, 256, 510, 511, 7609] {
                let request = vec![5; length];
                let answer = vec![6; length];
                let (seen, done) = run(&mut card, Exchange::message(&request, form), &answer);
                assert_eq!(seen, request, "{form:?} {length}");
                let status = StatusWord::NO_ERROR;
                assert_eq!(
                    done,
                    ResponseApdu {
                        data: answer,
                        status
                    },
                    "{form:?} {length}"
                );
            }
        }
    }

    #[test]
    fn a_failing_part_of_a_chain_ends_the_exchange() {
        let mut exchange = Exchange::message(&[1; 300], Form::Short);
        assert_eq!(exchange.start()[0], 0x90);
        let status = StatusWord::WRONG_LENGTH;
        assert_eq!(
            exchange.receive(&[0x67, 0]),
            Ok(Step::Done(ResponseApdu::status(status)))
        );
    }

    #[test]
    fn keepalives_are_polled_or_cancelled() {
        let mut exchange = Exchange::message(&[1], Form::Short);
        assert_eq!(exchange.start(), [0x80, 0x10, 0x80, 0, 1, 1, 0]);
        assert_eq!(exchange.receive(&[2, 0x91, 0]), Ok(Step::KeepAlive(2)));
        assert_eq!(exchange.poll(), [0x80, 0x11, 0, 0, 0]);
        assert_eq!(exchange.receive(&[1, 0x91, 0]), Ok(Step::KeepAlive(1)));
        assert_eq!(exchange.cancel(), [0x80, 0x11, 0x11, 0, 0]);
        assert!(
            matches!(exchange.receive(&[0x2D, 0x90, 0]), Ok(Step::Done(r)) if r.data == [0x2D])
        );
    }

    #[test]
    fn a_wanted_length_is_used_once() {
        let mut exchange = Exchange::message(&[1], Form::Short);
        let _ = exchange.start();
        assert_eq!(
            exchange.receive(&[0x6C, 5]),
            Ok(Step::Send(vec![0x80, 0x10, 0x80, 0, 1, 1, 5]))
        );
        assert_eq!(exchange.receive(&[0x6C, 5]), Err(ExchangeError::LengthLoop));
    }

    #[test]
    fn cards_that_break_the_rules_are_found_out() {
        let mut exchange = Exchange::select();
        assert_eq!(exchange.receive(&[0x90]), Err(ExchangeError::NoStatusWord));
        assert_eq!(
            exchange.receive(&[0x91, 0]),
            Err(ExchangeError::NoKeepAliveStatus)
        );
        let endless = [&[0; 256][..], &[0x61, 0]].concat();
        let end = (0..=MAX_ANSWER / 256).find_map(|_| exchange.receive(&endless).err());
        assert_eq!(end, Some(ExchangeError::TooLong));
    }
}
