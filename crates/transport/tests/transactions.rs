//! Whole CTAPHID transactions between a device and a host, over every wire that carries reports.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ctap::hid::{Command, Device, ErrorCode, Event, MAX_PAYLOAD, Settings, keepalive};
use transport::host::{HidKey, ReportPort, StreamPort, TransactError, UdpPort, Waiting};
use transport::{Arrival, Inbox, Wire, memory, stream, udp};

/// A key that echoes CBOR requests; a request that starts with `w` waits until it is cancelled.
fn echo_key(wire: Wire, arrivals: Receiver<Arrival>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut device = Device::new(Settings::default());
        let start = Instant::now();
        let mut waiting = None;
        loop {
            let events = match arrivals.recv_timeout(Duration::from_millis(20)) {
                Ok(Arrival::Report(report)) => device.receive(&report, start.elapsed()),
                Ok(other) => panic!("{other:?}"),
                Err(RecvTimeoutError::Timeout) => device.tick(start.elapsed()),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(report) = waiting.and_then(|c| device.keepalive(c, keepalive::UPNEEDED)) {
                wire.send(&report);
            }
            for event in events {
                match event {
                    Event::Send(report) => wire.send(&report),
                    Event::Message {
                        channel, payload, ..
                    } if payload[0] == b'w' => {
                        waiting = Some(channel);
                    }
                    Event::Message {
                        channel,
                        command,
                        payload,
                    } => {
                        for report in device.reply(channel, command, &payload) {
                            wire.send(&report);
                        }
                    }
                    Event::Cancel { channel } => {
                        waiting = None;
                        for report in device.reply(channel, Command::CBOR, &[0x2D]) {
                            wire.send(&report);
                        }
                    }
                    Event::Abort { .. } => waiting = None,
                    Event::Wink { .. } => {}
                }
            }
        }
    })
}

fn check<P: ReportPort + Send + 'static>(open: impl Fn() -> P) {
    let mut key = HidKey::open(open(), [1; 8]).unwrap();
    assert_eq!(key.info().protocol, 2);
    let payload: Vec<u8> = (0..MAX_PAYLOAD)
        .map(|i| u8::try_from(i % 100).unwrap())
        .collect();
    for length in [1, 57, 58, 1024] {
        assert_eq!(key.cbor(&payload[..length]).unwrap(), payload[..length]);
    }
    let pong = key
        .transact(Command::PING, &payload, |_| Waiting::GoOn)
        .unwrap();
    assert_eq!(pong, payload);
    let refused = key.transact(Command(0x42), &[], |_| Waiting::GoOn);
    assert!(matches!(
        refused,
        Err(TransactError::Refused(ErrorCode::INVALID_CMD))
    ));

    let mut other = HidKey::open(open(), [2; 8]).unwrap();
    assert_ne!(key.info().channel, other.info().channel);
    let mut alive = 0;
    let answer = key
        .transact(Command::CBOR, b"w", |status| {
            assert_eq!(status, keepalive::UPNEEDED);
            alive += 1;
            if alive == 2 {
                let busy = other.cbor(&[4]);
                assert!(matches!(
                    busy,
                    Err(TransactError::Refused(ErrorCode::CHANNEL_BUSY))
                ));
            }
            if alive < 3 {
                Waiting::GoOn
            } else {
                Waiting::Cancel
            }
        })
        .unwrap();
    assert_eq!(answer, [0x2D]);
    assert_eq!(other.cbor(&[4]).unwrap(), [4]);
}

#[test]
fn over_tcp() {
    let (inbox, arrivals) = Inbox::channel(64);
    let wire = stream::listen_tcp("127.0.0.1:0", inbox).unwrap();
    let address = wire.address().strip_prefix("tcp:").unwrap().to_owned();
    let _key = echo_key(wire, arrivals);
    check(|| StreamPort::tcp(&address).unwrap());
}

#[test]
fn over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let (inbox, arrivals) = Inbox::channel(64);
    let wire = stream::listen_unix(&path, inbox).unwrap();
    let _key = echo_key(wire, arrivals);
    check(|| StreamPort::unix(&path).unwrap());
}

#[test]
fn over_udp() {
    let (inbox, arrivals) = Inbox::channel(64);
    let wire = udp::bind("127.0.0.1:0", inbox).unwrap();
    let address = wire
        .address()
        .strip_prefix("udp:")
        .unwrap()
        .parse()
        .unwrap();
    let _key = echo_key(wire, arrivals);
    check(|| UdpPort::connect(address).unwrap());
}

#[test]
fn in_memory() {
    let (inbox, arrivals) = Inbox::channel(512);
    let (wire, end) = memory::hid(inbox);
    let key = echo_key(wire, arrivals);
    let mut hid = HidKey::open(end, [1; 8]).unwrap();
    assert_eq!(hid.cbor(&[4; 300]).unwrap(), [4; 300]);
    drop(hid);
    key.join().unwrap();
}

#[test]
fn a_silent_key_is_given_up() {
    let (inbox, _arrivals) = Inbox::channel(64);
    let (_wire, end) = memory::hid(inbox);
    assert!(matches!(
        HidKey::open(end, [1; 8]),
        Err(TransactError::Timeout)
    ));
}
