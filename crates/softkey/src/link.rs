//! One face for both framings: CTAPHID on wires that carry reports, ISO 7816 on wires that carry APDUs

use core::time::Duration;

use authenticator::Profile;
use ctap::hid::{self, Capabilities, Command, Device};
use ctap::iso7816::{self, AppletVersion, Card, CardSettings};
use transport::{Arrival, Kind};

/// §11.2.9.1.7: how often a waiting platform is told that the key is alive.
const KEEPALIVE: Duration = Duration::from_millis(100);
/// A card has one channel.
const CARD_CHANNEL: u32 = 0;

/// What a platform wants of the authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A CTAP2 request.
    Cbor { channel: u32, request: Vec<u8> },
    /// A U2F request APDU.
    U2f { channel: u32, apdu: Vec<u8> },
    /// Cancel what waits; it still answers.
    Cancel { channel: u32 },
    /// Give up what waits; nobody wants its answer.
    Abort { channel: u32 },
    /// Show which key this is.
    Wink,
    /// Power was lost and came back.
    PowerCycle,
}

/// What the authenticator works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    /// Where it came from.
    pub(crate) channel: u32,
    /// What a platform is told meanwhile: a status of `ctap::hid::keepalive`.
    pub(crate) status: u8,
}

/// The framing of a wire, and when it next has to say something.
#[derive(Debug)]
pub(crate) struct Link {
    framing: Framing,
    /// When the next keep-alive is due, while the authenticator waits for its user.
    keepalive_at: Option<Duration>,
}

#[derive(Debug)]
enum Framing {
    Hid(Box<Device>, hid::Settings),
    Card(Box<Card>),
}

impl Link {
    /// The framing for a wire of this kind, for a key of this profile. `first_channel` differs from
    /// power cycle to power cycle.
    pub(crate) fn new(kind: Kind, profile: &Profile, first_channel: u32) -> Self {
        let framing = match kind {
            Kind::Hid => {
                let settings = hid_settings(profile, first_channel);
                Framing::Hid(Box::new(Device::new(settings)), settings)
            }
            Kind::Card => Framing::Card(Box::new(Card::new(card_settings(profile)))),
        };
        Self {
            framing,
            keepalive_at: None,
        }
    }

    /// Power was lost: channels, locks, selections and half messages are gone.
    pub(crate) fn power_cycle(&mut self, first_channel: u32) {
        self.keepalive_at = None;
        match &mut self.framing {
            Framing::Hid(device, settings) => {
                settings.first_channel = first_channel;
                **device = Device::new(*settings);
            }
            Framing::Card(card) => {
                card.reset();
            }
        }
    }

    /// Takes what came from the wire: messages to send go to `out`, the rest is for the authenticator.
    pub(crate) fn receive(
        &mut self,
        arrival: Arrival,
        now: Duration,
        out: &mut Vec<Vec<u8>>,
    ) -> Vec<Demand> {
        match (&mut self.framing, arrival) {
            (Framing::Hid(device, _), Arrival::Report(report)) => {
                let events = device.receive(&report, now);
                events
                    .into_iter()
                    .filter_map(|event| hid_demand(event, out))
                    .collect()
            }
            (Framing::Card(card), Arrival::Apdu(apdu)) => {
                let events = card.receive(&apdu);
                let mut demands = Vec::new();
                for event in events {
                    match event {
                        iso7816::Event::Poll => self.keepalive_at = Some(now + KEEPALIVE),
                        other => demands.extend(card_demand(other, out)),
                    }
                }
                demands
            }
            // Losing power is what matters; the card starts afresh with the next power-on.
            (Framing::Card(_), Arrival::PowerOff | Arrival::Reset) => vec![Demand::PowerCycle],
            _ => Vec::new(),
        }
    }

    /// The answer of the authenticator.
    pub(crate) fn reply(
        &mut self,
        channel: u32,
        u2f: bool,
        payload: &[u8],
        out: &mut Vec<Vec<u8>>,
    ) {
        self.keepalive_at = None;
        match &mut self.framing {
            Framing::Hid(device, _) => {
                let command = if u2f { Command::MSG } else { Command::CBOR };
                out.extend(
                    device
                        .reply(channel, command, payload)
                        .iter()
                        .map(|r| r.to_vec()),
                );
            }
            Framing::Card(card) => out.extend(card.reply(payload)),
        }
    }

    /// The authenticator begins to wait for its user, or to compute for long: the platform learns it at
    /// once. If it goes on waiting (for another finger), the keep-alives go on as they were.
    pub(crate) fn waiting(&mut self, now: Duration, begins: bool) {
        if begins {
            self.keepalive_at = Some(now);
        }
    }

    /// Nothing waits any more, and nobody wants an answer.
    pub(crate) fn given_up(&mut self) {
        self.keepalive_at = None;
    }

    /// Says what time has made due.
    pub(crate) fn tick(&mut self, work: Option<Work>, now: Duration, out: &mut Vec<Vec<u8>>) {
        let due = self.keepalive_at.is_some_and(|at| now >= at);
        match &mut self.framing {
            Framing::Hid(device, _) => {
                out.extend(
                    device
                        .tick(now)
                        .into_iter()
                        .filter_map(|event| match event {
                            hid::Event::Send(report) => Some(report.to_vec()),
                            _ => None,
                        }),
                );
                if due {
                    let alive = work.and_then(|w| device.keepalive(w.channel, w.status));
                    out.extend(alive.map(|r| r.to_vec()));
                    self.keepalive_at = Some(now + KEEPALIVE);
                }
            }
            Framing::Card(card) => {
                if due {
                    // The reader asks again; that sets the next time.
                    out.extend(work.and_then(|w| card.keepalive(w.status)));
                    self.keepalive_at = None;
                }
            }
        }
    }

    /// Whether an answer can get lost. A reader waits for the card's answer, so there it cannot.
    pub(crate) fn can_lose(&self) -> bool {
        matches!(self.framing, Framing::Hid(..))
    }

    /// When [`Link::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let framing = match &self.framing {
            Framing::Hid(device, _) => device.deadline(),
            Framing::Card(_) => None,
        };
        [framing, self.keepalive_at].into_iter().flatten().min()
    }
}

fn hid_settings(profile: &Profile, first_channel: u32) -> hid::Settings {
    let mut capabilities = Capabilities::WINK;
    if profile.ctap2 {
        capabilities = capabilities.with(Capabilities::CBOR);
    }
    if !profile.ctap1 {
        capabilities = capabilities.with(Capabilities::NMSG);
    }
    let firmware = profile.firmware_version.unwrap_or(0).to_be_bytes();
    let version = [firmware[5], firmware[6], firmware[7]];
    hid::Settings {
        capabilities,
        version,
        first_channel,
        ..hid::Settings::default()
    }
}

fn card_settings(profile: &Profile) -> CardSettings {
    CardSettings {
        version: if profile.ctap1 {
            AppletVersion::U2fV2
        } else {
            AppletVersion::Fido20
        },
        ctap2: profile.ctap2,
        // The authenticator itself says when a message is too long for its profile.
        max_message: hid::MAX_PAYLOAD,
    }
}

fn hid_demand(event: hid::Event, out: &mut Vec<Vec<u8>>) -> Option<Demand> {
    match event {
        hid::Event::Send(report) => {
            out.push(report.to_vec());
            None
        }
        hid::Event::Message {
            channel,
            command: Command::MSG,
            payload,
        } => Some(Demand::U2f {
            channel,
            apdu: payload,
        }),
        hid::Event::Message {
            channel, payload, ..
        } => Some(Demand::Cbor {
            channel,
            request: payload,
        }),
        hid::Event::Cancel { channel } => Some(Demand::Cancel { channel }),
        hid::Event::Abort { channel } => Some(Demand::Abort { channel }),
        hid::Event::Wink { .. } => Some(Demand::Wink),
    }
}

fn card_demand(event: iso7816::Event, out: &mut Vec<Vec<u8>>) -> Option<Demand> {
    let channel = CARD_CHANNEL;
    match event {
        iso7816::Event::Respond(response) => {
            out.push(response);
            None
        }
        iso7816::Event::Message(request) => Some(Demand::Cbor { channel, request }),
        iso7816::Event::U2f(apdu) => Some(Demand::U2f { channel, apdu }),
        iso7816::Event::Cancel => Some(Demand::Cancel { channel }),
        iso7816::Event::Abort => Some(Demand::Abort { channel }),
        iso7816::Event::Poll => None,
    }
}
