//! Keys on threads and real wires: started, driven, dropped, many at once.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use authenticator::{Fault, MemoryStore, Profile, State, profile};
use ctap::Status;
use ctap::hid::Command;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkey::store::{Cost, Passphrase, Protection};
use softkey::{Ended, Manual, Options, RunningKey};
use transport::host::{HidKey, ReportPort, StreamPort, UdpPort, Waiting};
use transport::{Arrival, memory, stream, udp};

#[path = "common/requests.rs"]
mod requests;
use requests::*;

const SOON: Duration = Duration::from_secs(10);

fn profile() -> Profile {
    profile::find("fido-2.1").unwrap().unwrap()
}

fn in_memory(options: Options) -> (RunningKey, HidKey<memory::HidEnd>) {
    let mut end = None;
    let key = options.start(|inbox| {
        let (wire, platform) = memory::hid(inbox);
        end = Some(platform);
        Ok(wire)
    });
    let hid = HidKey::open(end.unwrap(), [1; 8]).unwrap();
    (key.unwrap(), hid)
}

fn status<P: ReportPort>(hid: &mut HidKey<P>, request: &[u8]) -> Status {
    Status(hid.cbor(request).unwrap()[0])
}

#[test]
fn hundreds_of_keys_live_side_by_side() {
    let mut keys: Vec<_> = (0..200)
        .map(|_| in_memory(Options::ephemeral(profile())))
        .collect();
    for (n, (_, hid)) in keys.iter_mut().enumerate() {
        if n % 2 == 0 {
            assert_eq!(status(hid, &make_credential(1)), Status::OK);
        }
    }
    for (n, (_, hid)) in keys.iter_mut().enumerate() {
        let expected = if n % 2 == 0 {
            Status::OK
        } else {
            Status::NO_CREDENTIALS
        };
        assert_eq!(
            status(hid, &get_assertion()),
            expected,
            "key {n} has its own credentials"
        );
    }
    for (key, hid) in keys {
        assert_eq!(key.stop(), Ended::Stopped);
        drop(hid);
    }
}

#[test]
fn a_dropped_key_is_gone_at_once() {
    let (key, mut hid) = in_memory(Options::ephemeral(profile()));
    assert_eq!(status(&mut hid, &GET_INFO), Status::OK);
    drop(key);
    assert!(hid.cbor(&GET_INFO).is_err());
}

#[test]
fn the_program_touches_the_key() {
    let (key, mut hid) = in_memory(Options::ephemeral(profile()).prompts(Manual));
    key.touch();
    let platform = std::thread::spawn(move || {
        let mut alive = 0;
        let answer = hid.transact(Command::CBOR, &make_credential(1), |_| {
            alive += 1;
            Waiting::GoOn
        });
        (answer.unwrap()[0], alive)
    });
    let asked = key.wait_asking(SOON).unwrap();
    assert!(format!("{asked:?}").contains("example.com"));
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(
        key.asking(),
        Some(asked),
        "a touch that nobody asked for was not kept"
    );
    key.touch();
    let (status, alive) = platform.join().unwrap();
    assert_eq!(Status(status), Status::OK);
    assert!(
        (2..=5).contains(&alive),
        "keep-alives every 100 ms: {alive}"
    );
    assert_eq!(key.asking(), None);
}

#[test]
fn a_power_cycle_makes_clients_open_a_new_channel() {
    let (key, mut hid) = in_memory(Options::ephemeral(profile()));
    assert_eq!(status(&mut hid, &make_credential(1)), Status::OK);
    key.power_cycle();
    assert!(hid.cbor(&GET_INFO).is_err(), "the channel is gone");
}

#[test]
fn what_was_acknowledged_is_in_the_file_of_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let passphrase = Passphrase::new("correct horse".to_owned());
    let protection = Protection::Sealed(passphrase, Cost::minimal());
    let open = || in_memory(Options::stored(profile(), &path, &protection).unwrap());
    let (key, mut hid) = open();
    assert_eq!(status(&mut hid, &make_credential(1)), Status::OK);
    assert!(
        Options::stored(profile(), &path, &protection).is_err(),
        "one process at a time"
    );
    drop(key);
    let (_key, mut hid) = open();
    assert_eq!(status(&mut hid, &get_assertion()), Status::OK);
    assert_eq!(status(&mut hid, &RESET), Status::OK);
    assert_eq!(status(&mut hid, &get_assertion()), Status::NO_CREDENTIALS);
}

#[test]
fn a_failing_store_ends_the_key_and_says_why() {
    let state = State::fresh(&mut ChaCha20Rng::seed_from_u64(1));
    let mut store = MemoryStore::new(&state);
    store.fail_at(1, Fault::AfterWrite);
    let (told, heard) = std::sync::mpsc::channel();
    let options = Options::new(profile(), state, Box::new(store));
    let (key, mut hid) = in_memory(options.on_end(move |end| told.send(end.clone()).unwrap()));
    assert_eq!(status(&mut hid, &make_credential(1)), Status::OK);
    assert_ne!(status(&mut hid, &make_credential(2)), Status::OK);
    let ended = heard.recv_timeout(SOON).unwrap();
    assert!(matches!(ended, Ended::StoreFailed(_)));
    assert_eq!(key.wait_ended(SOON), Some(ended));
    assert!(hid.cbor(&GET_INFO).is_err());
}

#[test]
fn a_run_with_the_same_seed_gives_the_same_credential() {
    let made = || {
        let rng = || Box::new(ChaCha20Rng::seed_from_u64(7));
        let state = State::fresh(&mut *rng());
        let store = Box::new(MemoryStore::new(&state));
        let (_key, mut hid) = in_memory(Options::new(profile(), state, store).rng(rng()));
        let response = hid.cbor(&make_credential(1)).unwrap();
        let response = ctap::make_credential::Response::decode_response(&response[1..]).unwrap();
        response.auth_data
    };
    assert_eq!(made(), made());
}

#[test]
fn keys_are_reached_over_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let unix = Options::ephemeral(profile())
        .start(|i| stream::listen_unix(&path, i))
        .unwrap();
    let tcp = Options::ephemeral(profile())
        .start(|i| stream::listen_tcp("127.0.0.1:0", i))
        .unwrap();
    let udp = Options::ephemeral(profile())
        .start(|i| udp::bind("127.0.0.1:0", i))
        .unwrap();
    let mut a = HidKey::open(StreamPort::unix(&path).unwrap(), [1; 8]).unwrap();
    let address = tcp.address().strip_prefix("tcp:").unwrap();
    let mut b = HidKey::open(StreamPort::tcp(address).unwrap(), [1; 8]).unwrap();
    let address = udp.address().strip_prefix("udp:").unwrap().parse().unwrap();
    let mut c = HidKey::open(UdpPort::connect(address).unwrap(), [1; 8]).unwrap();
    assert_eq!(status(&mut a, &make_credential(1)), Status::OK);
    assert_eq!(status(&mut b, &make_credential(1)), Status::OK);
    assert_eq!(status(&mut c, &make_credential(1)), Status::OK);
    // A second client of the same key.
    let mut d = HidKey::open(StreamPort::unix(&path).unwrap(), [2; 8]).unwrap();
    assert_eq!(status(&mut d, &get_assertion()), Status::OK);
    drop(unix);
    assert!(!path.exists());
}

#[test]
fn a_key_under_a_flood_still_stops() {
    let mut end = None;
    let key = Options::ephemeral(profile())
        .start(|inbox| {
            let (wire, platform) = memory::hid(inbox);
            end = Some(platform);
            Ok(wire)
        })
        .unwrap();
    let mut end = end.unwrap();
    let flood = std::thread::spawn(move || while end.write(&[0x55; 64]).is_ok() {});
    std::thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    assert_eq!(key.stop(), Ended::Stopped);
    assert!(start.elapsed() < SOON);
    flood.join().unwrap();
}

#[test]
fn a_card_in_memory() {
    let mut end = None;
    let key = Options::ephemeral(profile())
        .start(|inbox| {
            let (wire, reader) = memory::card(inbox);
            end = Some(reader);
            Ok(wire)
        })
        .unwrap();
    let reader = end.unwrap();
    reader.power(Arrival::PowerOn).unwrap();
    let select = [&[0, 0xA4, 4, 0, 8][..], &ctap::iso7816::FIDO_AID, &[0]].concat();
    assert_eq!(reader.transmit(&select, SOON).unwrap(), b"U2F_V2\x90\0");
    let info = reader
        .transmit(&[0x80, 0x10, 0x80, 0, 1, 4, 0], SOON)
        .unwrap();
    assert_eq!(info[0], 0);
    drop(key);
    assert!(reader.transmit(&select, SOON).is_err());
}
