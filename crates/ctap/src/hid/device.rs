//! CTAP 2.3 §11.2.5 the authenticator's end of CTAPHID: channels, arbitration, time-outs

use core::time::Duration;

use super::{
    Assembly, BROADCAST, Capabilities, Command, ErrorCode, MAX_PAYLOAD, NONCE_SIZE,
    PROTOCOL_VERSION, Packet, Report, fragment, parse,
};

/// §11.2.9.2.2: seconds for which one LOCK can be asked.
const LOCK_MAX_SECONDS: u8 = 10;

/// What a device says of itself and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Flags in the answer to INIT; commands that they deny are refused.
    pub capabilities: Capabilities,
    /// Major, minor and build number in the answer to INIT.
    pub version: [u8; 3],
    /// The first channel to give out; later ones count up. A value that differs between power
    /// cycles keeps a stale client from talking on somebody else's new channel.
    pub first_channel: u32,
    /// Accept any channel but 0 and broadcast, as U2F keys did and their test suites expect,
    /// instead of answering ERR_INVALID_CHANNEL on channels that were never given out.
    pub any_channel: bool,
    /// The longest pause between two packets of a message (§11.2.5.2, which sets no number).
    pub packet_timeout: Duration,
    /// The longest time in which all packets of a message have to arrive.
    pub message_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capabilities: Capabilities::WINK.with(Capabilities::CBOR),
            version: [0, 0, 0],
            first_channel: 1,
            any_channel: false,
            packet_timeout: Duration::from_millis(500),
            message_timeout: Duration::from_secs(3),
        }
    }
}

/// What the owner of a [`Device`] has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Send this report to the host (to all hosts, if there are several).
    Send(Report),
    /// A complete CBOR or MSG request. Answer with [`Device::reply`]; until then tell every 100 ms
    /// with [`Device::keepalive`] that work goes on.
    Message {
        /// Where it came from and the answer goes to.
        channel: u32,
        /// [`Command::CBOR`] or [`Command::MSG`].
        command: Command,
        /// The request, at least one byte.
        payload: Vec<u8>,
    },
    /// The host wants the running CBOR request cancelled. It still gets an answer.
    Cancel {
        /// The channel of the request.
        channel: u32,
    },
    /// The host has given the running request up by INIT; its answer is not wanted any more.
    Abort {
        /// The channel of the request.
        channel: u32,
    },
    /// Show the user which authenticator this is.
    Wink {
        /// The channel that asked.
        channel: u32,
    },
}

/// The one transaction that may be under way.
#[derive(Debug)]
enum Transaction {
    Idle,
    /// Packets are still missing.
    Receiving {
        channel: u32,
        assembly: Assembly,
        packet_deadline: Duration,
        message_deadline: Duration,
    },
    /// The owner works on the request.
    Processing {
        channel: u32,
        command: Command,
    },
}

#[derive(Debug, Clone, Copy)]
struct Lock {
    channel: u32,
    until: Duration,
}

/// The authenticator's end of CTAPHID.
///
/// ```
/// use core::time::Duration;
/// use ctap::hid::{Command, Device, Event, Host, HostEvent, Settings};
///
/// let mut device = Device::new(Settings::default());
/// let mut host = Host::new();
/// let events = device.receive(&host.open([7; 8]), Duration::ZERO);
/// let Some(Event::Send(report)) = events.first() else { unreachable!() };
/// assert!(matches!(host.receive(report), Ok(Some(HostEvent::Opened(_)))));
/// ```
#[derive(Debug)]
pub struct Device {
    settings: Settings,
    /// How many channels were given out; the n-th is `first_channel + n`, without 0 and broadcast.
    allocated: u32,
    transaction: Transaction,
    lock: Option<Lock>,
}

impl Device {
    /// A device that was just powered up: no channels, no lock.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            allocated: 0,
            transaction: Transaction::Idle,
            lock: None,
        }
    }

    /// The channel whose request the owner works on.
    #[must_use]
    pub fn processing(&self) -> Option<u32> {
        match self.transaction {
            Transaction::Processing { channel, .. } => Some(channel),
            _ => None,
        }
    }

    /// Takes one report from a host.
    pub fn receive(&mut self, report: &Report, now: Duration) -> Vec<Event> {
        let mut events = self.tick(now);
        let (channel, packet) = parse(report);
        match packet {
            Packet::Init {
                command,
                length,
                data,
            } => {
                self.init_packet(channel, command, length, data, now, &mut events);
            }
            Packet::Cont { sequence, data } => {
                self.cont_packet(channel, sequence, data, now, &mut events);
            }
        }
        events
    }

    /// Lets time pass: ends a message whose packets do not come, and a lock that has run out.
    pub fn tick(&mut self, now: Duration) -> Vec<Event> {
        if self.lock.is_some_and(|lock| now >= lock.until) {
            self.lock = None;
        }
        match self.transaction {
            Transaction::Receiving {
                channel,
                packet_deadline,
                message_deadline,
                ..
            } if now >= packet_deadline.min(message_deadline) => {
                self.transaction = Transaction::Idle;
                vec![error(channel, ErrorCode::MSG_TIMEOUT)]
            }
            _ => Vec::new(),
        }
    }

    /// When [`Device::tick`] has something to do, if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match self.transaction {
            Transaction::Receiving {
                packet_deadline,
                message_deadline,
                ..
            } => Some(packet_deadline.min(message_deadline)),
            _ => None,
        }
    }

    /// The answer to the request of `channel`, as reports to send.
    ///
    /// Empty when that request is no longer under way (the host gave it up). A payload that CTAPHID
    /// cannot carry becomes ERR_OTHER.
    #[must_use]
    pub fn reply(&mut self, channel: u32, command: Command, payload: &[u8]) -> Vec<Report> {
        match self.transaction {
            Transaction::Processing {
                channel: c,
                command: k,
            } if c == channel && k == command => {
                self.transaction = Transaction::Idle;
                if payload.len() > MAX_PAYLOAD {
                    return fragment(channel, Command::ERROR, &[ErrorCode::OTHER.0]);
                }
                fragment(channel, command, payload)
            }
            _ => Vec::new(),
        }
    }

    /// Ends the request of `channel` with an error.
    #[must_use]
    pub fn fail(&mut self, channel: u32, code: ErrorCode) -> Vec<Report> {
        if self.processing() != Some(channel) {
            return Vec::new();
        }
        self.transaction = Transaction::Idle;
        fragment(channel, Command::ERROR, &[code.0])
    }

    /// A keep-alive for the CBOR request of `channel`; `None` when none is under way (U2F messages
    /// get no keep-alives).
    #[must_use]
    pub fn keepalive(&self, channel: u32, status: u8) -> Option<Report> {
        match self.transaction {
            Transaction::Processing {
                channel: c,
                command: Command::CBOR,
            } if c == channel => fragment(channel, Command::KEEPALIVE, &[status]).pop(),
            _ => None,
        }
    }

    fn init_packet(
        &mut self,
        channel: u32,
        command: Command,
        length: usize,
        data: &[u8; super::INIT_DATA],
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let refused = match command {
            // §11.2.9.1.3: INIT works while others hold a transaction or the lock; it takes
            // neither from them.
            Command::INIT => self.init(channel, length, data, events),
            // §11.2.9.1.5: a CANCEL that nothing answers to is ignored.
            Command::CANCEL => {
                self.cancel(channel, events);
                Ok(())
            }
            _ => self
                .admit(channel, command, length)
                .map(|()| self.begin(channel, command, length, data, now, events)),
        };
        if let Err(code) = refused {
            events.push(error(channel, code));
        }
    }

    /// CTAPHID_INIT: a new channel on broadcast, resynchronisation elsewhere.
    fn init(
        &mut self,
        channel: u32,
        length: usize,
        data: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), ErrorCode> {
        if channel != BROADCAST && !self.is_allocated(channel) {
            return Err(ErrorCode::INVALID_CHANNEL);
        }
        if length != NONCE_SIZE {
            return Err(ErrorCode::INVALID_LEN);
        }
        let nonce = data.get(..NONCE_SIZE).unwrap_or_default();
        let answered = if channel == BROADCAST {
            self.allocate().ok_or(ErrorCode::CHANNEL_BUSY)?
        } else {
            self.give_up(channel, events);
            channel
        };
        let mut payload = nonce.to_vec();
        payload.extend_from_slice(&answered.to_be_bytes());
        payload.push(PROTOCOL_VERSION);
        payload.extend_from_slice(&self.settings.version);
        payload.push(self.settings.capabilities.0);
        send(events, fragment(channel, Command::INIT, &payload));
        Ok(())
    }

    /// §11.2.5.3: ends the transaction of `channel`, if it is the one under way. The lock stays: it
    /// ends by LOCK or by its time.
    fn give_up(&mut self, channel: u32, events: &mut Vec<Event>) {
        match self.transaction {
            Transaction::Receiving { channel: c, .. } if c == channel => {
                self.transaction = Transaction::Idle;
            }
            Transaction::Processing { channel: c, .. } if c == channel => {
                self.transaction = Transaction::Idle;
                events.push(Event::Abort { channel });
            }
            _ => {}
        }
    }

    fn cancel(&mut self, channel: u32, events: &mut Vec<Event>) {
        if matches!(self.transaction, Transaction::Processing { channel: c, command: Command::CBOR } if c == channel)
        {
            events.push(Event::Cancel { channel });
        }
    }

    /// Whether a new request may start: channel, arbitration, command and length, in this order.
    fn admit(&mut self, channel: u32, command: Command, length: usize) -> Result<(), ErrorCode> {
        if channel == 0 || channel == BROADCAST {
            return Err(ErrorCode::INVALID_CHANNEL);
        }
        if self.lock.is_some_and(|lock| lock.channel != channel) {
            return Err(ErrorCode::CHANNEL_BUSY);
        }
        match self.transaction {
            Transaction::Idle => {}
            // §11.2.5.4: a continuation packet was due; the transaction is over.
            Transaction::Receiving { channel: c, .. } if c == channel => {
                self.transaction = Transaction::Idle;
                return Err(ErrorCode::INVALID_SEQ);
            }
            _ => return Err(ErrorCode::CHANNEL_BUSY),
        }
        if !self.is_allocated(channel) {
            return Err(ErrorCode::INVALID_CHANNEL);
        }
        let has = |flag| self.settings.capabilities.contains(flag);
        let length_fits = match command {
            Command::PING => true,
            Command::MSG if !has(Capabilities::NMSG) => length > 0,
            Command::CBOR if has(Capabilities::CBOR) => length > 0,
            Command::LOCK => length == 1,
            Command::WINK if has(Capabilities::WINK) => length == 0,
            _ => return Err(ErrorCode::INVALID_CMD),
        };
        if length_fits && length <= MAX_PAYLOAD {
            Ok(())
        } else {
            Err(ErrorCode::INVALID_LEN)
        }
    }

    fn begin(
        &mut self,
        channel: u32,
        command: Command,
        length: usize,
        data: &[u8; super::INIT_DATA],
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let assembly = Assembly::new(command, length, data);
        if assembly.is_complete() {
            return self.complete(channel, command, assembly.data, now, events);
        }
        self.transaction = Transaction::Receiving {
            channel,
            assembly,
            packet_deadline: now + self.settings.packet_timeout,
            message_deadline: now + self.settings.message_timeout,
        };
    }

    fn cont_packet(
        &mut self,
        channel: u32,
        sequence: u8,
        data: &[u8; super::CONT_DATA],
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let patience = self.settings.packet_timeout;
        match &mut self.transaction {
            Transaction::Receiving {
                channel: c,
                assembly,
                packet_deadline,
                ..
            } if *c == channel => {
                if !assembly.next(sequence, data) {
                    self.transaction = Transaction::Idle;
                    events.push(error(channel, ErrorCode::INVALID_SEQ));
                } else if assembly.is_complete() {
                    let command = assembly.command;
                    let payload = core::mem::take(&mut assembly.data);
                    self.complete(channel, command, payload, now, events);
                } else {
                    *packet_deadline = now + patience;
                }
            }
            // §11.2.5.4: continuation packets that nobody waits for are ignored.
            _ => {}
        }
    }

    /// A whole message is there.
    fn complete(
        &mut self,
        channel: u32,
        command: Command,
        payload: Vec<u8>,
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        self.transaction = Transaction::Idle;
        match command {
            Command::PING => send(events, fragment(channel, command, &payload)),
            Command::WINK => {
                events.push(Event::Wink { channel });
                send(events, fragment(channel, command, &[]));
            }
            Command::LOCK => self.lock(channel, payload.first().copied().unwrap_or(0), now, events),
            _ => {
                self.transaction = Transaction::Processing { channel, command };
                events.push(Event::Message {
                    channel,
                    command,
                    payload,
                });
            }
        }
    }

    /// CTAPHID_LOCK; [`Device::admit`] let only the holder, or anybody without a lock, come here.
    fn lock(&mut self, channel: u32, seconds: u8, now: Duration, events: &mut Vec<Event>) {
        if seconds > LOCK_MAX_SECONDS {
            events.push(error(channel, ErrorCode::INVALID_PAR));
            return;
        }
        let until = now + Duration::from_secs(u64::from(seconds));
        self.lock = (seconds > 0).then_some(Lock { channel, until });
        send(events, fragment(channel, Command::LOCK, &[]));
    }

    /// The next channel, or `None` when all four billion are given out.
    fn allocate(&mut self) -> Option<u32> {
        // 0 and broadcast are skipped by leaving their numbers out.
        for _ in 0..3 {
            let channel = self.settings.first_channel.wrapping_add(self.allocated);
            self.allocated = self.allocated.checked_add(1)?;
            if channel != 0 && channel != BROADCAST {
                return Some(channel);
            }
        }
        None
    }

    fn is_allocated(&self, channel: u32) -> bool {
        channel != 0
            && channel != BROADCAST
            && (self.settings.any_channel
                || channel.wrapping_sub(self.settings.first_channel) < self.allocated)
    }
}

fn send(events: &mut Vec<Event>, reports: Vec<Report>) {
    events.extend(reports.into_iter().map(Event::Send));
}

fn error(channel: u32, code: ErrorCode) -> Event {
    Event::Send(super::report(
        channel,
        &[Command::ERROR.0 | super::TYPE_INIT, 0, 1],
        &[code.0],
    ))
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
