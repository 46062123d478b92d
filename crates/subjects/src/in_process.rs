//! A software key in this process, in virtual time: every check gets a key as new, and repeats.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use authenticator::{FingerMatch, Interaction, MemoryStore, Profile, State, UserEvent};
use conformance::{Offers, Person, Port, Trouble, Wire};
use ctap::hid::Report;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use softkey::prompts::Prompts;
use softkey::{Options, VirtualKey};
use transport::{Arrival, Kind};

/// A key of a profile. It offers everything.
pub struct InProcess {
    profile: Profile,
    key: Option<VirtualKey>,
    reports: VecDeque<Report>,
    beside: Arc<Mutex<Beside>>,
}

/// The person beside the key.
struct Beside {
    person: Person,
    asked: u32,
}

struct Told(Arc<Mutex<Beside>>);

impl Prompts for Told {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        let mut beside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beside.asked += 1;
        let finger = matches!(interaction, Interaction::BuiltInUv { .. });
        match beside.person {
            Person::Consents => Some(interaction.consent()),
            Person::Declines => Some(UserEvent::Deny),
            Person::Absent | Person::CancelsByPlatform => None,
            Person::WrongFinger if finger => Some(UserEvent::Finger(FingerMatch::NoMatch)),
            Person::TouchesBriefly if finger => Some(interaction.consent()),
            Person::TouchesBriefly if beside.asked > 100 => None,
            Person::WrongFinger | Person::TouchesBriefly => Some(UserEvent::Touch),
        }
    }
}

impl InProcess {
    /// A key of this profile.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let beside = Beside {
            person: Person::Consents,
            asked: 0,
        };
        Self {
            profile,
            key: None,
            reports: VecDeque::new(),
            beside: Arc::new(Mutex::new(beside)),
        }
    }

    fn key(&mut self) -> Result<&mut VirtualKey, Trouble> {
        self.key.as_mut().ok_or(Trouble::Cannot("answer unpowered"))
    }

    fn take_reports(&mut self) -> Result<(), Trouble> {
        for message in self.key()?.take_output() {
            let report = Report::try_from(message.as_slice());
            let report = report.map_err(|_| Trouble::Framing("no report".to_owned()))?;
            self.reports.push_back(report);
        }
        Ok(())
    }

    fn has_any(&self, names: &[&str]) -> bool {
        let transports = &self.profile.transports;
        transports.iter().any(|t| names.contains(&t.as_str()))
    }
}

impl Port for InProcess {
    fn offers(&self) -> Offers {
        Offers {
            reports: self.has_any(&["usb"]),
            card: self.has_any(&["nfc", "smart-card"]),
            power: true,
            clock: true,
            person: true,
        }
    }

    fn fresh(&mut self, wire: Wire) -> Result<(), Trouble> {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let state = State::fresh(&mut rng);
        let store = MemoryStore::new(&state);
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = Beside {
            person: Person::Consents,
            asked: 0,
        };
        let options = Options::new(self.profile.clone(), state, Box::new(store))
            .rng(Box::new(rng))
            .prompts(Told(Arc::clone(&self.beside)));
        let kind = match wire {
            Wire::Reports => Kind::Hid,
            Wire::Card => Kind::Card,
        };
        let mut key = VirtualKey::new(options, kind).map_err(|e| Trouble::Wire(e.to_string()))?;
        if kind == Kind::Card {
            key.receive(Arrival::PowerOn);
        }
        self.key = Some(key);
        self.reports.clear();
        Ok(())
    }

    fn person(&mut self, person: Person) -> Result<(), Trouble> {
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        beside.person = person;
        Ok(())
    }

    fn asked(&self) -> Option<u32> {
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        Some(beside.asked)
    }

    fn power_cycle(&mut self) -> Result<(), Trouble> {
        self.reports.clear();
        let key = self.key()?;
        key.power_cycle();
        key.take_output();
        Ok(())
    }

    fn advance(&mut self, by: Duration) -> Result<(), Trouble> {
        let key = self.key()?;
        let mut left = by;
        while !left.is_zero() {
            left = left.saturating_sub(key.step(left));
        }
        key.step(Duration::ZERO);
        Ok(())
    }

    fn send_report(&mut self, report: &Report) -> Result<(), Trouble> {
        self.key()?.receive(Arrival::Report(*report));
        self.take_reports()
    }

    fn receive_report(&mut self, within: Duration) -> Result<Option<Report>, Trouble> {
        let mut left = within;
        loop {
            self.take_reports()?;
            if let Some(report) = self.reports.pop_front() {
                return Ok(Some(report));
            }
            if left.is_zero() {
                return Ok(None);
            }
            left = left.saturating_sub(self.key()?.step(left));
        }
    }

    fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Trouble> {
        let key = self.key()?;
        key.receive(Arrival::Apdu(apdu.to_vec()));
        // A card without polls keeps its reader waiting for as long as a person takes.
        let mut patience = Duration::from_secs(90);
        loop {
            if let Some(answer) = key.take_output().into_iter().next() {
                return Ok(answer);
            }
            let passed = key.step(patience);
            patience = patience.saturating_sub(passed);
            if patience.is_zero() {
                return Err(Trouble::Silent);
            }
        }
    }
}
