//! Keys found and opened as programs do it: a hidraw node, a Unix socket, a TCP socket.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ctap::hid::{Capabilities, Command, Device, Event, Settings, keepalive};
use transport::host::hidraw::Places;
use transport::host::{Address, OpenError, TransactError, Waiting};
use transport::{Arrival, Inbox, Wire, report_pipe, stream};

/// A key that echoes requests; one that starts with `w` waits until it is cancelled.
fn key(wire: Wire, arrivals: Receiver<Arrival>, settings: Settings) {
    std::thread::spawn(move || {
        let mut device = Device::new(settings);
        let start = Instant::now();
        let mut waiting = None;
        loop {
            let events = match arrivals.recv_timeout(Duration::from_millis(20)) {
                Ok(Arrival::Report(report)) => device.receive(&report, start.elapsed()),
                Err(RecvTimeoutError::Timeout) => device.tick(start.elapsed()),
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(report) = waiting.and_then(|c| device.keepalive(c, keepalive::UPNEEDED)) {
                wire.send(&report);
            }
            for event in events {
                let reports = match event {
                    Event::Send(report) => vec![report],
                    Event::Message {
                        channel, payload, ..
                    } if payload.starts_with(b"w") => {
                        waiting = Some(channel);
                        vec![]
                    }
                    Event::Message {
                        channel,
                        command,
                        payload,
                    } => device.reply(channel, command, &payload),
                    Event::Cancel { channel } => {
                        waiting = None;
                        device.reply(channel, Command::CBOR, &[0x2D])
                    }
                    Event::Abort { .. } | Event::Wink { .. } => vec![],
                };
                for report in reports {
                    wire.send(&report);
                }
            }
        }
    });
}

fn started(open: impl FnOnce(Inbox) -> Wire) -> String {
    let (inbox, arrivals) = Inbox::channel(64);
    let wire = open(inbox);
    let address = wire.address().to_owned();
    key(wire, arrivals, Settings::default());
    address
}

fn works(address: &Address) {
    assert!(address.is_there(), "{address}");
    let mut key = address.connect([7; 8]).unwrap();
    assert!(key.about().capabilities.contains(Capabilities::CBOR));
    let long = vec![b'x'; 1000];
    let answer = key.ctap2(&long, &mut |_| Waiting::GoOn).unwrap();
    assert_eq!(answer, long);
    assert_eq!(key.u2f(&[0, 3, 0, 0]).unwrap(), [0, 3, 0, 0]);
    let mut heard = 0;
    let mut cancel = |status| {
        assert_eq!(status, keepalive::UPNEEDED);
        heard += 1;
        Waiting::Cancel
    };
    assert_eq!(key.ctap2(b"wait", &mut cancel).unwrap(), [0x2D]);
    assert!(heard >= 1);
    assert_eq!(
        key.ctap2(b"again", &mut |_| Waiting::GoOn).unwrap(),
        b"again"
    );
}

/// CTAP 2.3 §11.2.8.1.
const DESCRIPTOR: [u8; 9] = [0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0xc0, 0xc0];

fn plug(dir: &Path, node: &Path) -> Places {
    let device = dir.join("class/hidraw4/device");
    fs::create_dir_all(&device).unwrap();
    fs::write(device.join("report_descriptor"), DESCRIPTOR).unwrap();
    fs::write(device.join("uevent"), "HID_NAME=A Key\n").unwrap();
    fs::create_dir(dir.join("dev")).unwrap();
    symlink(node, dir.join("dev/hidraw4")).unwrap();
    Places {
        class: dir.join("class"),
        nodes: dir.join("dev"),
        rules: vec![],
    }
}

#[test]
fn a_key_behind_a_hidraw_node_is_found_and_driven() {
    let dir = tempfile::tempdir().unwrap();
    let address = started(|inbox| report_pipe::create(inbox).unwrap());
    let node = address.strip_prefix("report-pipe:").unwrap();
    let found = plug(dir.path(), Path::new(node)).keys();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "A Key");
    works(&found[0].address);
}

#[test]
fn a_node_that_has_gone_is_said_to_be_gone() {
    let dir = tempfile::tempdir().unwrap();
    let found = plug(dir.path(), &dir.path().join("nothing")).keys();
    assert!(!found[0].address.is_there());
    let error = found[0].address.connect([1; 8]).err().unwrap();
    assert!(matches!(error, OpenError::Gone(_)), "{error}");
}

#[test]
fn software_keys_are_driven_over_their_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let address = started(|inbox| stream::listen_unix(&path, inbox).unwrap());
    works(&address.parse().unwrap());
    let address = started(|inbox| stream::listen_tcp("127.0.0.1:0", inbox).unwrap());
    works(&address.parse().unwrap());
}

#[test]
fn only_a_key_that_can_wink_is_made_to() {
    for (capabilities, can) in [(Capabilities::WINK, true), (Capabilities::CBOR, false)] {
        let (inbox, arrivals) = Inbox::channel(64);
        let wire = stream::listen_tcp("127.0.0.1:0", inbox).unwrap();
        let address: Address = wire.address().parse().unwrap();
        let settings = Settings {
            capabilities,
            ..Settings::default()
        };
        key(wire, arrivals, settings);
        let mut key = address.connect([7; 8]).unwrap();
        match key.wink() {
            Ok(()) => assert!(can),
            Err(TransactError::CannotWink) => assert!(!can),
            Err(other) => panic!("{other}"),
        }
    }
}
