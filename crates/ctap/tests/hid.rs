//! CTAP 2.3 §11.2 CTAPHID: what holds for the authenticator's end whatever arrives.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use ctap::hid::{
    BROADCAST, Capabilities, Command, Device, ErrorCode, Event, Report, Settings, keepalive,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn packet(channel: u32, command: Command, length: u16, data: &[u8]) -> Report {
    let mut report = [0; 64];
    report[..4].copy_from_slice(&channel.to_be_bytes());
    report[4] = command.0 | 0x80;
    report[5..7].copy_from_slice(&length.to_be_bytes());
    report[7..7 + data.len()].copy_from_slice(data);
    report
}

fn continuation(channel: u32, sequence: u8) -> Report {
    let mut report = [sequence; 64];
    report[..4].copy_from_slice(&channel.to_be_bytes());
    report
}

fn open(device: &mut Device, now: Duration) -> u32 {
    let events = device.receive(&packet(BROADCAST, Command::INIT, 8, &[1; 8]), now);
    match events.last() {
        Some(Event::Send(report)) if report[4] == 0x86 => {
            u32::from_be_bytes(report[15..19].try_into().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

/// Channel and error code of an error report.
fn error(event: &Event) -> Option<(u32, ErrorCode)> {
    match event {
        Event::Send(report) if report[4..7] == [0xBF, 0, 1] => {
            Some((channel_of(report), ErrorCode(report[7])))
        }
        _ => None,
    }
}

fn channel_of(report: &Report) -> u32 {
    u32::from_be_bytes(report[..4].try_into().unwrap())
}

fn refused(events: &[Event], channel: u32, code: ErrorCode) -> bool {
    matches!(events, [event] if error(event) == Some((channel, code)))
}

const T0: Duration = Duration::ZERO;

#[test]
fn on_broadcast_there_is_nothing_but_init() {
    let mut device = Device::new(Settings::default());
    open(&mut device, T0);
    for command in 0..0x80 {
        let command = Command(command);
        let events = device.receive(&packet(BROADCAST, command, 1, &[1]), T0);
        match command {
            Command::INIT => assert!(refused(&events, BROADCAST, ErrorCode::INVALID_LEN)),
            Command::CANCEL => assert_eq!(events, []),
            _ => assert!(refused(&events, BROADCAST, ErrorCode::INVALID_CHANNEL)),
        }
    }
}

#[test]
fn every_command_that_is_not_implemented_is_refused() {
    let mut device = Device::new(Settings {
        capabilities: Capabilities::NMSG,
        ..Settings::default()
    });
    let a = open(&mut device, T0);
    for command in (0..0x80).map(Command) {
        let implemented = [Command::PING, Command::LOCK, Command::INIT, Command::CANCEL];
        if !implemented.contains(&command) {
            let events = device.receive(&packet(a, command, 0, &[]), T0);
            assert!(refused(&events, a, ErrorCode::INVALID_CMD), "{command:?}");
        }
    }
}

#[test]
fn a_lock_lets_its_holder_work_in_several_packets_and_nobody_else() {
    let mut device = Device::new(Settings::default());
    let (a, b) = (open(&mut device, T0), open(&mut device, T0));
    device.receive(&packet(a, Command::LOCK, 1, &[10]), T0);
    assert_eq!(
        device.receive(&packet(a, Command::CBOR, 60, &[4; 57]), T0),
        []
    );
    for command in [Command::PING, Command::CBOR, Command::LOCK, Command::WINK] {
        let events = device.receive(&packet(b, command, 1, &[0]), T0);
        assert!(refused(&events, b, ErrorCode::CHANNEL_BUSY), "{command:?}");
    }
    assert_eq!(device.receive(&continuation(b, 0), T0), []);
    let events = device.receive(&continuation(a, 0), T0);
    assert!(matches!(&events[..], [Event::Message { channel, .. }] if *channel == a));
    // The lock runs out while the request is under way; its answer comes all the same.
    let late = Duration::from_secs(11);
    let alive = device.keepalive(a, keepalive::PROCESSING).unwrap();
    assert_eq!(alive[4..8], [0xBB, 0, 1, keepalive::PROCESSING]);
    assert_eq!(device.keepalive(b, keepalive::UPNEEDED), None);
    let events = device.receive(&packet(b, Command::PING, 0, &[]), late);
    assert!(refused(&events, b, ErrorCode::CHANNEL_BUSY));
    assert_eq!(device.reply(a, Command::CBOR, &[0]).len(), 1);
    assert_eq!(device.keepalive(a, keepalive::PROCESSING), None);
    let events = device.receive(&packet(b, Command::PING, 0, &[]), late);
    assert!(matches!(&events[..], [Event::Send(report)] if report[4] == 0x81));
}

#[test]
fn cancel_is_never_answered_by_itself() {
    let mut device = Device::new(Settings::default());
    let (a, b) = (open(&mut device, T0), open(&mut device, T0));
    device.receive(&packet(a, Command::LOCK, 1, &[5]), T0);
    // With a payload, behind another's lock, on a channel that does not exist.
    for channel in [a, b, 0, 0x7777, BROADCAST] {
        for length in [0, 1, 99] {
            let cancel = packet(channel, Command::CANCEL, length, &[]);
            assert_eq!(device.receive(&cancel, T0), []);
        }
    }
}

/// What a device owes after each packet; kept beside it by its own, simpler rules.
struct Watch {
    device: Device,
    now: Duration,
    channels: Vec<u32>,
    /// Who has a lock, and until when.
    lock: Option<(u32, Duration)>,
    /// Whose message is incomplete.
    receiving: Option<u32>,
    /// How often each kind of thing happened, so that the test knows that it was there.
    seen: std::collections::BTreeMap<&'static str, u32>,
}

impl Watch {
    fn new(settings: Settings) -> Self {
        let mut device = Device::new(settings);
        let channels = (0..3).map(|_| open(&mut device, T0)).collect();
        Self {
            device,
            now: T0,
            channels,
            lock: None,
            receiving: None,
            seen: std::collections::BTreeMap::new(),
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Takes a time-out, which is for the one whose message is incomplete, away from the events.
    fn without_timeout(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        let timeout = events.first().and_then(error);
        if let Some((channel, ErrorCode::MSG_TIMEOUT)) = timeout {
            assert_eq!(Some(channel), self.receiving.take());
            self.saw("time-out");
            events.remove(0);
        }
        assert!(
            events
                .iter()
                .filter_map(error)
                .all(|(_, code)| code != ErrorCode::MSG_TIMEOUT)
        );
        events
    }

    fn continues(&mut self, channel: u32, sequence: u8) {
        let events = self
            .device
            .receive(&continuation(channel, sequence), self.now);
        let events = self.without_timeout(events);
        if self.receiving != Some(channel) {
            assert_eq!(events, [], "nobody waits for it");
            return;
        }
        if !events.is_empty() {
            self.receiving = None;
        }
        self.answers_only(channel, &events);
    }

    fn requests(&mut self, channel: u32, command: Command, length: u16, data: &[u8]) {
        let locked_out = self.lock.filter(|(_, until)| *until > self.now);
        let locked_out = locked_out.is_some_and(|(holder, _)| holder != channel);
        let processing = self.device.processing();
        let report = packet(channel, command, length, data);
        let events = self.device.receive(&report, self.now);
        let events = self.without_timeout(events);
        let known = self.channels.contains(&channel);
        let others = self.receiving.is_some_and(|c| c != channel) || processing.is_some();
        match command {
            Command::CANCEL => {
                let cancels = matches!(events[..], [Event::Cancel { channel: c }] if c == channel);
                assert!(events.is_empty() || (cancels && processing == Some(channel)));
                if cancels {
                    self.saw("cancel");
                }
                return;
            }
            Command::INIT => return self.initialises(channel, length, known, &events),
            _ if channel == 0 || channel == BROADCAST => {
                assert!(refused(&events, channel, ErrorCode::INVALID_CHANNEL));
                return;
            }
            _ if locked_out || others => {
                assert!(refused(&events, channel, ErrorCode::CHANNEL_BUSY));
                self.saw(if locked_out { "locked out" } else { "busy" });
                return;
            }
            _ if self.receiving == Some(channel) => {
                assert!(refused(&events, channel, ErrorCode::INVALID_SEQ));
                self.receiving = None;
                return;
            }
            _ if !known => {
                assert!(refused(&events, channel, ErrorCode::INVALID_CHANNEL));
                return;
            }
            _ => {}
        }
        if events.is_empty() {
            assert!(
                length > 57,
                "a whole message has an answer or is handed out"
            );
            self.receiving = Some(channel);
        }
        self.answers_only(channel, &events);
        let done = matches!(events.last(), Some(Event::Send(report)) if report[4] == 0x84);
        if command == Command::LOCK && done {
            let seconds = Duration::from_secs(data[0].into());
            self.lock = (data[0] > 0).then_some((channel, self.now + seconds));
            self.saw("lock");
        }
    }

    fn initialises(&mut self, channel: u32, length: u16, known: bool, events: &[Event]) {
        if channel != BROADCAST && !known {
            assert!(refused(events, channel, ErrorCode::INVALID_CHANNEL));
            return;
        }
        if length != 8 {
            assert!(refused(events, channel, ErrorCode::INVALID_LEN));
            return;
        }
        if self.receiving == Some(channel) {
            self.receiving = None;
            self.saw("resynchronised");
        }
        assert_ne!(self.device.processing(), Some(channel));
        let Some(Event::Send(report)) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(report[4], 0x86);
        let given = u32::from_be_bytes(report[15..19].try_into().unwrap());
        if channel == BROADCAST {
            assert!(!self.channels.contains(&given) && given != 0 && given != BROADCAST);
            self.channels.push(given);
        } else {
            assert_eq!(given, channel);
        }
        if let [Event::Abort { channel: aborted }, _] = events {
            assert_eq!(*aborted, channel);
            self.saw("aborted");
        }
    }

    /// Everything that happens is about this channel.
    fn answers_only(&mut self, channel: u32, events: &[Event]) {
        for event in events {
            let about = match event {
                Event::Send(report) => channel_of(report),
                Event::Message { channel, .. }
                | Event::Cancel { channel }
                | Event::Abort { channel }
                | Event::Wink { channel } => *channel,
            };
            assert_eq!(about, channel, "{events:?}");
        }
        if events.iter().any(|e| matches!(e, Event::Message { .. })) {
            assert_eq!(self.device.processing(), Some(channel));
            self.saw("message");
        }
    }
}

#[test]
fn whatever_arrives_channels_locks_and_transactions_are_kept_apart() {
    let mut total = std::collections::BTreeMap::<_, u32>::new();
    for seed in 0..40 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut watch = Watch::new(Settings {
            first_channel: rng.next_u32(),
            ..Settings::default()
        });
        for _ in 0..2_000 {
            let mut pick = |n: u32| rng.next_u32() % n;
            watch.now += Duration::from_millis(pick(80).into());
            let channel = match pick(20) {
                0 => BROADCAST,
                1 => 0,
                2 => 0x1357_9BDF,
                n => watch.channels[n as usize % 3],
            };
            match pick(12) {
                0..5 => {
                    let sequence = u8::try_from(pick(3)).unwrap();
                    watch.continues(channel, sequence);
                }
                5 => {
                    if let Some(working) = watch.device.processing() {
                        let reports = watch.device.reply(working, Command::CBOR, &[0; 70]);
                        assert!(reports.iter().all(|report| channel_of(report) == working));
                        assert_eq!(watch.device.processing(), None);
                    }
                }
                _ => {
                    let command = [
                        Command::PING,
                        Command::CBOR,
                        Command::CBOR,
                        Command::LOCK,
                        Command::INIT,
                        Command::CANCEL,
                        Command::WINK,
                        Command::KEEPALIVE,
                    ][pick(8) as usize];
                    let length = [0, 1, 8, 57, 58, 150, 7609, 7610][pick(8) as usize];
                    let length = if command == Command::LOCK { 1 } else { length };
                    let data = [u8::try_from(pick(12)).unwrap()];
                    watch.requests(channel, command, length, &data);
                }
            }
        }
        for (what, times) in watch.seen {
            *total.entry(what).or_default() += times;
        }
    }
    let wanted = [
        "aborted",
        "busy",
        "cancel",
        "lock",
        "locked out",
        "message",
        "resynchronised",
        "time-out",
    ];
    assert_eq!(total.keys().copied().collect::<Vec<_>>(), wanted);
    assert!(total.values().all(|times| *times > 10), "{total:?}");
}
