//! CTAPHID, ISO 7816 and U2F framing on mutated input: no panic, and what must hold always, holds.
//!
//! `PINWARD_MUTATIONS` sets the number of inputs for each parser.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::random::Random;
use ctap::hid::{self, Command, Device, Event, Host, HostEvent, Report, Settings};
use ctap::iso7816::{self, Card, CardSettings, CommandApdu, Exchange, Form, Step};
use ctap::u2f;

fn iterations() -> u32 {
    common::random::iterations(200_000)
}

fn report(channel: u32, kind: u8, rest: &[u8]) -> Report {
    let mut report = [0; hid::REPORT_SIZE];
    report[..4].copy_from_slice(&channel.to_be_bytes());
    report[4] = kind;
    report[5..5 + rest.len()].copy_from_slice(rest);
    report
}

/// A report that is often meaningful: few channels, known commands, small lengths.
fn likely_report(random: &mut Random) -> Report {
    let channel = [0, 1, 2, 3, 0xFFFF_FFFF][random.below(5)];
    let kind = [
        0x81, 0x83, 0x84, 0x86, 0x88, 0x90, 0x91, 0xBB, 0xBF, 0, 1, 2, 0x7F,
    ][random.below(13)];
    let length = [0, 1, 8, 57, 58, 200, 7609, 7610, 0xFFFF][random.below(9)];
    let [high, low] = u16::to_be_bytes(length);
    let mut report = report(channel, kind, &[high, low, random.byte() % 12]);
    if random.below(4) == 0 {
        let at = random.below(64);
        report[at] = random.byte();
    }
    report
}

#[test]
fn the_device_keeps_its_rules_for_any_reports() {
    let mut random = Random(1);
    let mut device = Device::new(Settings::default());
    let mut now = Duration::ZERO;
    for _ in 0..iterations() {
        now += Duration::from_millis([0, 1, 100, 499, 500, 3000][random.below(6)]);
        let before = device.processing();
        let report = likely_report(&mut random);
        for event in device.receive(&report, now) {
            match event {
                Event::Send(r) if r[..4] == [0xFF; 4] => {
                    assert!(
                        r[4] == 0x86 || r[4] == 0xBF,
                        "only INIT and ERROR on broadcast"
                    );
                }
                Event::Send(_) | Event::Wink { .. } => {}
                Event::Message {
                    channel,
                    command,
                    payload,
                } => {
                    assert_eq!(device.processing(), Some(channel));
                    assert!(command == Command::CBOR || command == Command::MSG);
                    assert!((1..=hid::MAX_PAYLOAD).contains(&payload.len()));
                }
                Event::Cancel { channel } | Event::Abort { channel } => {
                    assert_eq!(before, Some(channel), "only the running request");
                }
            }
        }
        if let Some(channel) = device.processing()
            && random.below(3) == 0
        {
            let answers = device.reply(channel, Command::CBOR, &[0]).len()
                + device.reply(channel, Command::MSG, &[0x90, 0]).len();
            assert_eq!(answers, 1);
        }
    }
}

#[test]
fn the_host_survives_any_reports() {
    let mut random = Random(2);
    let mut host = Host::new();
    for _ in 0..iterations() {
        if random.below(20) == 0 {
            let open = host.open([0; 8]);
            let _ = host.receive(&report(
                u32::from_be_bytes([open[0], open[1], open[2], open[3]]),
                0x86,
                &[0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5],
            ));
            assert_eq!(host.channel(), Some(1));
            assert!(host.request(Command::CBOR, &[4; 100]).is_ok());
        }
        if let Ok(Some(HostEvent::Reply { payload, .. })) =
            host.receive(&likely_report(&mut random))
        {
            assert!(payload.len() <= hid::MAX_PAYLOAD);
        }
    }
}

fn apdus() -> Vec<Vec<u8>> {
    let register = u2f::Request::Register {
        challenge: [1; 32],
        application: [2; 32],
    };
    vec![
        Exchange::select().start(),
        Exchange::message(&[4], Form::Short).start(),
        Exchange::message(&[4; 300], Form::Short).start(),
        Exchange::message(&[4; 300], Form::Extended).start(),
        register.encode().unwrap(),
        vec![0x80, 0x11, 0, 0, 0],
        vec![0x80, 0x11, 0x11, 0, 0],
        vec![0x80, 0x12, 1, 0],
        vec![0, 0xC0, 0, 0, 0],
    ]
}

#[test]
fn the_card_answers_every_apdu_at_most_once() {
    let mut random = Random(3);
    let seeds = apdus();
    let mut card = Card::new(CardSettings::default());
    for _ in 0..iterations() {
        let mut apdu = seeds[random.below(seeds.len())].clone();
        if random.below(2) == 0 {
            random.mutate(&mut apdu);
        }
        let mut responses = 0;
        for event in card.receive(&apdu) {
            let response = match event {
                iso7816::Event::Respond(r) => Some(r),
                iso7816::Event::Message(m) | iso7816::Event::U2f(m) => {
                    assert!(m.len() <= hid::MAX_PAYLOAD + 9);
                    if random.below(2) == 0 {
                        card.keepalive(2)
                    } else {
                        card.reply(&[0; 700])
                    }
                }
                iso7816::Event::Poll => card.keepalive(1),
                iso7816::Event::Cancel => card.reply(&[0x2D]),
                iso7816::Event::Abort => None,
            };
            if let Some(response) = response {
                assert!(response.len() >= 2);
                responses += 1;
            }
        }
        assert!(responses <= 1);
    }
}

#[test]
fn the_reader_survives_any_responses() {
    let mut random = Random(4);
    let mut exchange = Exchange::select();
    for _ in 0..iterations() {
        let mut response = vec![0; random.below(6)];
        random.mutate(&mut response);
        let sw = [0x9000_u16, 0x9100, 0x6100, 0x6105, 0x6C05, 0x6700][random.below(6)];
        response.extend(sw.to_be_bytes());
        match exchange.receive(&response) {
            Ok(Step::Send(apdu)) => assert!(CommandApdu::decode(&apdu).is_ok()),
            Ok(Step::KeepAlive(_)) => assert!(CommandApdu::decode(&exchange.poll()).is_ok()),
            Ok(Step::Done(_)) | Err(_) => {
                exchange = Exchange::message(&vec![0; random.below(900)], Form::Short);
                assert!(CommandApdu::decode(&exchange.start()).is_ok());
            }
        }
    }
}

#[test]
fn u2f_messages_are_refused_or_read_back_the_same() {
    let mut random = Random(5);
    let seeds = apdus();
    let response = u2f::RegisterResponse {
        public_key: [4; 65],
        key_handle: vec![5; 64],
        attestation_certificate: [&[0x30, 0x81, 0x90][..], &[6; 0x90]].concat(),
        signature: vec![7; 70],
    };
    let response = response.encode().unwrap();
    for _ in 0..iterations() {
        let mut apdu = seeds[random.below(seeds.len())].clone();
        random.mutate(&mut apdu);
        if let Ok(request) = u2f::Request::decode(&apdu) {
            assert_eq!(
                u2f::Request::decode(&request.encode().unwrap()),
                Ok(request)
            );
        }
        let mut data = response.clone();
        random.mutate(&mut data);
        if let Ok(read) = u2f::RegisterResponse::decode(&data) {
            assert_eq!(read.encode(), Some(data.clone()));
        }
        if let Ok(read) = u2f::AuthenticateResponse::decode(&data) {
            assert_eq!(read.encode(), data);
        }
    }
}
