//! Any key at an address. To be as new before each check it is reset: **everything on it is erased**.

use core::time::Duration;

use conformance::{Offers, Person, Port, Trouble, Wire};
use ctap::hid::{Command, Host, HostEvent, Report};
use ctap::iso7816::{Exchange, Form, Step};
use transport::host::{Address, RawPort, ReportPort};

/// What the owner of a key is asked for: take it out and plug it in again. The answer is whether they
/// did.
pub type Replug<'a> = Box<dyn FnMut() -> bool + 'a>;

/// A key at an address, with a person (or an automaton) who touches it when it asks.
pub struct AtAddress<'a> {
    address: Address,
    port: Option<RawPort>,
    replug: Option<Replug<'a>>,
    used: bool,
}

impl<'a> AtAddress<'a> {
    /// The key at this address; without `replug` the key must be one that can be reset at any time.
    #[must_use]
    pub fn new(address: Address, replug: Option<Replug<'a>>) -> Self {
        Self {
            address,
            port: None,
            replug,
            used: false,
        }
    }

    fn is_card(&self) -> bool {
        matches!(self.address, Address::Card(_))
    }

    fn open(&mut self) -> Result<&mut RawPort, Trouble> {
        if self.port.is_none() {
            let port = self.address.open_raw();
            self.port = Some(port.map_err(|e| Trouble::Wire(e.to_string()))?);
        }
        self.port.as_mut().ok_or(Trouble::Cannot("be opened"))
    }

    fn reports(&mut self) -> Result<&mut (dyn ReportPort + Send + 'static), Trouble> {
        match self.open()? {
            RawPort::Reports(port) => Ok(&mut **port),
            RawPort::Card(_) => Err(Trouble::Cannot("carry reports")),
        }
    }

    /// authenticatorReset; a key that knows only U2F has nothing to reset.
    fn reset(&mut self) -> Result<u8, Trouble> {
        let answer = if self.is_card() {
            self.transmit_message(&[0x07])
        } else {
            self.send_message(&[0x07])
        };
        match answer {
            Ok(bytes) => bytes.first().copied().ok_or(Trouble::Silent),
            Err(Trouble::Refused(_)) => Ok(0),
            Err(trouble) => Err(trouble),
        }
    }

    fn transmit_message(&mut self, request: &[u8]) -> Result<Vec<u8>, Trouble> {
        let mut last = Vec::new();
        for mut exchange in [
            Exchange::select(),
            Exchange::message(request, Form::Extended),
        ] {
            let mut apdu = exchange.start();
            last = loop {
                let answer = self.transmit(&apdu)?;
                let step = exchange.receive(&answer);
                apdu = match step.map_err(|e| Trouble::Framing(e.to_string()))? {
                    Step::Send(next) => next,
                    Step::KeepAlive(_) => exchange.poll(),
                    Step::Done(answer) => break answer.data,
                };
            };
        }
        Ok(last)
    }

    fn send_message(&mut self, request: &[u8]) -> Result<Vec<u8>, Trouble> {
        let mut host = Host::new();
        let open = host.open(*b"pinward1");
        self.send_report(&open)?;
        let mut sent = false;
        loop {
            let within = Duration::from_secs(3);
            let report = self.receive_report(within)?.ok_or(Trouble::Silent)?;
            let event = host
                .receive(&report)
                .map_err(|e| Trouble::Framing(e.to_string()))?;
            match event {
                Some(HostEvent::Opened(_)) if !sent => {
                    sent = true;
                    let reports = host
                        .request(Command::CBOR, request)
                        .map_err(|e| Trouble::Framing(e.to_string()))?;
                    for report in reports {
                        self.send_report(&report)?;
                    }
                }
                Some(HostEvent::Reply { payload, .. }) => return Ok(payload),
                Some(HostEvent::Error(code)) => return Err(Trouble::Refused(format!("{code:?}"))),
                _ => {}
            }
        }
    }

    fn replugged(&mut self) -> Result<(), Trouble> {
        self.port = None;
        let replug = self.replug.as_mut();
        let replug = replug.ok_or(Trouble::Cannot("be taken out and plugged in again"))?;
        if replug() {
            Ok(())
        } else {
            Err(Trouble::Cannot("be taken out and plugged in again"))
        }
    }
}

impl Port for AtAddress<'_> {
    fn offers(&self) -> Offers {
        Offers {
            reports: !self.is_card(),
            card: self.is_card(),
            power: self.replug.is_some(),
            clock: false,
            person: false,
        }
    }

    fn fresh(&mut self, wire: Wire) -> Result<(), Trouble> {
        if (wire == Wire::Card) != self.is_card() {
            return Err(Trouble::Cannot("use that wire"));
        }
        if self.used && self.replug.is_some() {
            self.replugged()?;
        }
        self.used = true;
        let mut status = self.reset()?;
        if status != 0 && self.replug.is_some() {
            self.replugged()?;
            status = self.reset()?;
        }
        if self.is_card() {
            // To reset the key its applet was selected; opening the card anew ends that.
            self.port = None;
        }
        match status {
            // A key that knows only U2F says that it has no such command.
            0 | 1 => Ok(()),
            status => Err(Trouble::Refused(format!("the reset with 0x{status:02x}"))),
        }
    }

    fn person(&mut self, person: Person) -> Result<(), Trouble> {
        if person == Person::Consents {
            Ok(())
        } else {
            Err(Trouble::Cannot("tell the person how to behave"))
        }
    }

    fn asked(&self) -> Option<u32> {
        None
    }

    fn power_cycle(&mut self) -> Result<(), Trouble> {
        self.replugged()
    }

    fn advance(&mut self, _: Duration) -> Result<(), Trouble> {
        Err(Trouble::Cannot("make time pass"))
    }

    fn send_report(&mut self, report: &Report) -> Result<(), Trouble> {
        let port = self.reports()?;
        port.write(report).map_err(|e| Trouble::Wire(e.to_string()))
    }

    fn receive_report(&mut self, within: Duration) -> Result<Option<Report>, Trouble> {
        let port = self.reports()?;
        port.read(within).map_err(|e| Trouble::Wire(e.to_string()))
    }

    fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Trouble> {
        match self.open()? {
            RawPort::Card(card) => card(apdu).map_err(|e| Trouble::Wire(e.to_string())),
            RawPort::Reports(_) => Err(Trouble::Cannot("carry APDUs")),
        }
    }
}
