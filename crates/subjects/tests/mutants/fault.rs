//! Somebody between the suite and the key.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use conformance::{Framed, Offers, Person, Port, Subject, Trouble, Wire};
use ctap::Status;
use ctap::hid::Report;
use subjects::InProcess;
use webauthn::cbor::Value;

/// A request, as far as faults choose by it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) command: u8,
    pub(crate) parameters: Value,
}

impl Seen {
    fn of(request: &[u8]) -> Self {
        Self {
            command: request.first().copied().unwrap_or(0),
            parameters: Value::decode(request.get(1..).unwrap_or_default()).unwrap_or(Value::Null),
        }
    }

    /// The subcommand of this command, if it is one.
    pub(crate) fn is(&self, command: u8, sub: i64) -> bool {
        let key = if command == 0x06 || command == 0x09 {
            2
        } else {
            1
        };
        let found = self.parameters.get_int(key).and_then(Value::as_i64);
        self.command == command && found == Some(sub)
    }
}

/// What somebody in the middle remembers.
pub(crate) type Memory = BTreeMap<&'static str, Vec<u8>>;

type When = fn(&Seen) -> bool;
type Members = Vec<(Value, Value)>;

/// What is wrong.
pub(crate) enum Fault {
    Nothing,
    /// This status is answered for that one.
    Status(When, Status, Status),
    /// The command is not carried out, and this is the answer.
    Pretends(When, Vec<u8>),
    /// The key falls silent.
    Silent(When),
    /// The request is another one.
    Request(fn(&mut Memory, &[u8]) -> Option<Vec<u8>>),
    /// The answer is another one.
    Answer(fn(&mut Memory, &Seen, Vec<u8>) -> Vec<u8>),
    /// The members of a good answer are others.
    Changes(When, fn(&mut Memory, &mut Members)),
    /// Before the command the power is cut.
    CyclesBefore(When),
    /// All channels are one.
    OneChannel,
    /// Time does not pass.
    NoClock,
    /// Nobody needs to consent.
    Consents,
    /// After a power cycle this is remembered.
    RemembersCycle(fn(&mut Memory, &Seen, Vec<u8>) -> Vec<u8>),
    /// What is sent in place of a report.
    Sends(fn(&mut Memory, &Report) -> Vec<Report>),
    /// Reports of the key that are lost.
    Loses(fn(&Report) -> bool),
    /// U2F answers.
    U2f(fn(&[u8], Vec<u8>) -> Vec<u8>),
    /// What is answered in place of the card.
    Card(fn(&[u8]) -> Option<Vec<u8>>),
    /// The applet is selected by itself.
    SelectsItself,
}

pub(crate) struct Mutant {
    key: Framed<InProcess>,
    fault: Fault,
    memory: Memory,
    swallowed: VecDeque<Report>,
}

impl Mutant {
    pub(crate) fn new(key: Framed<InProcess>, fault: Fault) -> Self {
        Self {
            key,
            fault,
            memory: Memory::new(),
            swallowed: VecDeque::new(),
        }
    }
}

/// A good answer with its members changed.
pub(crate) fn rewritten(answer: Vec<u8>, change: impl FnOnce(&mut Members)) -> Vec<u8> {
    let mut members = match answer.split_first() {
        Some((0, [])) => Vec::new(),
        Some((0, rest)) => match Value::decode(rest) {
            Ok(Value::Map(members)) => members,
            _ => return answer,
        },
        _ => return answer,
    };
    change(&mut members);
    [vec![0], Value::Map(members).encode()].concat()
}

impl Port for Mutant {
    fn offers(&self) -> Offers {
        self.key.offers()
    }

    fn fresh(&mut self, wire: Wire) -> Result<(), Trouble> {
        self.memory.clear();
        self.swallowed.clear();
        self.key.fresh(wire)
    }

    fn person(&mut self, person: Person) -> Result<(), Trouble> {
        match self.fault {
            Fault::Consents => Ok(()),
            _ => self.key.person(person),
        }
    }

    fn asked(&self) -> Option<u32> {
        self.key.asked()
    }

    fn power_cycle(&mut self) -> Result<(), Trouble> {
        self.memory.insert("cycled", Vec::new());
        self.key.power_cycle()
    }

    fn advance(&mut self, by: Duration) -> Result<(), Trouble> {
        match self.fault {
            Fault::NoClock => Ok(()),
            _ => self.key.advance(by),
        }
    }

    fn send_report(&mut self, report: &Report) -> Result<(), Trouble> {
        let Fault::Sends(change) = self.fault else {
            return self.key.send_report(report);
        };
        let all = change(&mut self.memory, report);
        let Some((last, before)) = all.split_last() else {
            return Ok(());
        };
        for report in before {
            self.key.send_report(report)?;
            // The answer to what nobody sent is nobody's business.
            self.key.receive_report(Duration::ZERO)?;
        }
        self.key.send_report(last)
    }

    fn receive_report(&mut self, within: Duration) -> Result<Option<Report>, Trouble> {
        let Fault::Loses(lost) = self.fault else {
            return self.key.receive_report(within);
        };
        for _ in 0..40 {
            match self.key.receive_report(within)? {
                Some(report) if lost(&report) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Trouble> {
        match self.fault {
            Fault::Card(change) => match change(apdu) {
                Some(answer) => Ok(answer),
                None => self.key.transmit(apdu),
            },
            Fault::SelectsItself => {
                let select = [&[0, 0xa4, 4, 0, 8][..], &ctap::iso7816::FIDO_AID, &[0]].concat();
                self.key.transmit(&select)?;
                self.key.transmit(apdu)
            }
            _ => self.key.transmit(apdu),
        }
    }
}

impl Subject for Mutant {
    fn ctap2(&mut self, channel: usize, request: &[u8]) -> Result<Vec<u8>, Trouble> {
        let seen = Seen::of(request);
        let mut sent = request.to_vec();
        let mut channel = channel;
        match &self.fault {
            Fault::Pretends(when, answer) if when(&seen) => return Ok(answer.clone()),
            Fault::Silent(when) if when(&seen) => return Err(Trouble::Silent),
            Fault::CyclesBefore(when) if when(&seen) => self.key.power_cycle()?,
            Fault::OneChannel => channel = 0,
            Fault::Request(change) => {
                sent = change(&mut self.memory, request).unwrap_or(sent);
            }
            _ => {}
        }
        let answer = self.key.ctap2(channel, &sent)?;
        Ok(match &self.fault {
            Fault::Status(when, from, to) if when(&seen) && answer == [from.0] => vec![to.0],
            Fault::Answer(change) => change(&mut self.memory, &seen, answer),
            Fault::RemembersCycle(change) if self.memory.contains_key("cycled") => {
                change(&mut self.memory, &seen, answer)
            }
            Fault::Changes(when, change) if when(&seen) => {
                let memory = &mut self.memory;
                rewritten(answer, |members| change(memory, members))
            }
            _ => answer,
        })
    }

    fn u2f(&mut self, channel: usize, apdu: &[u8]) -> Result<Vec<u8>, Trouble> {
        let answer = self.key.u2f(channel, apdu)?;
        Ok(match self.fault {
            Fault::U2f(change) => change(apdu, answer),
            _ => answer,
        })
    }

    fn keepalives(&self) -> &[u8] {
        self.key.keepalives()
    }
}
