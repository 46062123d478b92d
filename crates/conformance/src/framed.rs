//! Whole messages over a [`Port`]: CTAPHID (CTAP 2.3 §11.2) or ISO 7816 (§11.3).

use core::time::Duration;

use ctap::hid::{Command, Host, HostEvent, Report, keepalive};
use ctap::iso7816::{CommandApdu, Exchange, Form, Step};

use crate::subject::{Offers, Person, Port, Subject, Trouble, Wire};

/// How long a key may be silent; keep-alives come every 100 ms.
const SILENCE: Duration = Duration::from_secs(3);

/// More keep-alives than any wait for a person has.
const MOST_KEEPALIVES: usize = 2000;

/// A [`Subject`] made of a [`Port`].
pub struct Framed<P> {
    port: P,
    wire: Wire,
    channels: Vec<Host>,
    selected: bool,
    cancels: bool,
    heard: Vec<u8>,
    opened: u8,
}

impl<P: Port> Framed<P> {
    /// Messages over this port.
    pub fn new(port: P) -> Self {
        Self {
            port,
            wire: Wire::Reports,
            channels: Vec::new(),
            selected: false,
            cancels: false,
            heard: Vec::new(),
            opened: 0,
        }
    }

    /// The port.
    pub fn port(&mut self) -> &mut P {
        &mut self.port
    }

    fn forget_links(&mut self) {
        self.channels.clear();
        self.selected = false;
    }

    fn open(&mut self, channel: usize) -> Result<(), Trouble> {
        while self.channels.len() <= channel {
            let mut host = Host::new();
            self.opened = self.opened.wrapping_add(1);
            let nonce = [0x5a, 1, 2, 3, 4, 5, 6, self.opened];
            self.port.send_report(&host.open(nonce))?;
            match next(&mut self.port, &mut host)? {
                HostEvent::Opened(_) => self.channels.push(host),
                HostEvent::Error(code) => return Err(Trouble::Refused(format!("{code:?}"))),
                other => return Err(Trouble::Framing(format!("{other:?} for INIT"))),
            }
        }
        Ok(())
    }

    fn hid(&mut self, channel: usize, command: Command, bytes: &[u8]) -> Result<Vec<u8>, Trouble> {
        self.open(channel)?;
        let cancels = self.cancels;
        let host = self
            .channels
            .get_mut(channel)
            .ok_or(Trouble::Cannot("open that channel"))?;
        let reports = host
            .request(command, bytes)
            .map_err(|e| Trouble::Framing(e.to_string()))?;
        for report in reports {
            self.port.send_report(&report)?;
        }
        let mut cancelled = false;
        while self.heard.len() < MOST_KEEPALIVES {
            match next(&mut self.port, host)? {
                HostEvent::Reply { payload, .. } => return Ok(payload),
                HostEvent::Error(code) => {
                    let name = code.name().unwrap_or("an unknown error");
                    return Err(Trouble::Refused(name.to_owned()));
                }
                HostEvent::Opened(_) => return Err(Trouble::Framing("INIT unasked".to_owned())),
                HostEvent::KeepAlive(status) => {
                    self.heard.push(status);
                    if cancels && status == keepalive::UPNEEDED && !cancelled {
                        cancelled = true;
                        if let Some(report) = host.cancel() {
                            self.port.send_report(&report)?;
                        }
                    }
                }
            }
        }
        Err(Trouble::Silent)
    }

    fn select(&mut self) -> Result<(), Trouble> {
        if self.selected {
            return Ok(());
        }
        self.follow(Exchange::select())?;
        self.selected = true;
        Ok(())
    }

    fn follow(&mut self, mut exchange: Exchange) -> Result<Vec<u8>, Trouble> {
        let mut apdu = exchange.start();
        loop {
            let answer = self.port.transmit(&apdu)?;
            let step = exchange
                .receive(&answer)
                .map_err(|e| Trouble::Framing(e.to_string()))?;
            apdu = match step {
                Step::Send(next) => next,
                Step::Done(answer) => return Ok(answer.encode()),
                Step::KeepAlive(status) => {
                    self.heard.push(status);
                    if self.heard.len() > MOST_KEEPALIVES {
                        return Err(Trouble::Silent);
                    }
                    if self.port.offers().clock {
                        self.port.advance(Duration::from_millis(100))?;
                    }
                    if self.cancels && status == keepalive::UPNEEDED {
                        exchange.cancel()
                    } else {
                        exchange.poll()
                    }
                }
            };
        }
    }
}

fn next(port: &mut impl Port, host: &mut Host) -> Result<HostEvent, Trouble> {
    loop {
        let report = port.receive_report(SILENCE)?.ok_or(Trouble::Silent)?;
        let event = host
            .receive(&report)
            .map_err(|e| Trouble::Framing(e.to_string()))?;
        if let Some(event) = event {
            return Ok(event);
        }
    }
}

impl<P: Port> Port for Framed<P> {
    fn offers(&self) -> Offers {
        self.port.offers()
    }

    fn fresh(&mut self, wire: Wire) -> Result<(), Trouble> {
        self.forget_links();
        self.wire = wire;
        self.cancels = false;
        self.port.fresh(wire)
    }

    fn person(&mut self, person: Person) -> Result<(), Trouble> {
        self.cancels = person == Person::CancelsByPlatform;
        self.port.person(person)
    }

    fn asked(&self) -> Option<u32> {
        self.port.asked()
    }

    fn power_cycle(&mut self) -> Result<(), Trouble> {
        self.forget_links();
        self.port.power_cycle()
    }

    fn advance(&mut self, by: Duration) -> Result<(), Trouble> {
        self.port.advance(by)
    }

    fn send_report(&mut self, report: &Report) -> Result<(), Trouble> {
        self.port.send_report(report)
    }

    fn receive_report(&mut self, within: Duration) -> Result<Option<Report>, Trouble> {
        self.port.receive_report(within)
    }

    fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Trouble> {
        self.port.transmit(apdu)
    }
}

impl<P: Port> Subject for Framed<P> {
    fn ctap2(&mut self, channel: usize, request: &[u8]) -> Result<Vec<u8>, Trouble> {
        self.heard.clear();
        if self.wire == Wire::Reports {
            return self.hid(channel, Command::CBOR, request);
        }
        self.select()?;
        let answer = self.follow(Exchange::message(request, Form::Extended))?;
        match answer.split_last_chunk::<2>() {
            Some((data, [0x90, 0x00])) => Ok(data.to_vec()),
            Some((_, word)) => Err(Trouble::Refused(format!("{word:02X?}"))),
            None => Err(Trouble::Framing("no status word".to_owned())),
        }
    }

    fn u2f(&mut self, channel: usize, apdu: &[u8]) -> Result<Vec<u8>, Trouble> {
        self.heard.clear();
        if self.wire == Wire::Reports {
            return self.hid(channel, Command::MSG, apdu);
        }
        self.select()?;
        match CommandApdu::decode(apdu) {
            Ok(command) => self.follow(Exchange::new(command, Form::Extended)),
            // What is no APDU goes as it is.
            Err(_) => self.port.transmit(apdu),
        }
    }

    fn keepalives(&self) -> &[u8] {
        &self.heard
    }
}
