//! Slow keys, keys that lose answers, and what a key is told of its wire.

use super::*;

const COMPUTING: HostEvent = HostEvent::KeepAlive(hid::keepalive::PROCESSING);

fn slow() -> Hid {
    Hid::of(engine_with("slow", Kind::Hid, Manual, None))
}

#[test]
fn a_slow_key_says_that_it_computes_until_it_answers() {
    let mut key = slow();
    let mut host = key.open();
    assert_eq!(key.cbor(&mut host, &GET_INFO), [COMPUTING]);
    let heard = key.pass(&mut host, ms(1499));
    assert_eq!(heard, vec![COMPUTING; 14]);
    let heard = key.pass(&mut host, ms(1500));
    assert!(matches!(heard.as_slice(), [HostEvent::Reply { payload, .. }] if payload[0] == 0));
    assert_eq!(key.engine.deadline(), None);
}

#[test]
fn it_computes_after_the_touch_and_is_busy_for_others() {
    let mut key = slow();
    let (mut host, mut other) = (key.open(), key.open());
    let heard = key.cbor(&mut host, &make_credential(1));
    assert_eq!(heard, [ALIVE]);
    assert!(key.user(&mut host, UserEvent::Touch).is_empty());
    assert_eq!(key.pass(&mut host, ms(0)), [COMPUTING]);
    let heard = key.cbor(&mut other, &GET_INFO);
    assert_eq!(heard, [HostEvent::Error(ErrorCode::CHANNEL_BUSY)]);
    let heard = key.pass(&mut host, ms(1500));
    assert!(matches!(heard.last(), Some(HostEvent::Reply { payload, .. }) if payload[0] == 0));
}

#[test]
fn who_gives_up_a_slow_answer_does_not_get_it_later() {
    let mut key = slow();
    let mut host = key.open();
    key.cbor(&mut host, &GET_INFO);
    let report = host.open([2; 8]);
    assert!(matches!(
        key.send(&mut host, &[report]).as_slice(),
        [HostEvent::Opened(_)]
    ));
    assert!(key.pass(&mut host, ms(5000)).is_empty());
    // A power cut takes it too.
    key.cbor(&mut host, &GET_INFO);
    key.engine.power_cycle(key.now);
    assert!(key.pass(&mut host, ms(9000)).is_empty());
}

#[test]
fn a_slow_card_lets_a_polling_reader_wait() {
    let engine = engine_with("slow", Kind::Card, Manual, None);
    let mut reader = Reader::with(engine);
    let (mut exchange, apdu) = start(ApduExchange::message(&GET_INFO, Form::Short));
    let mut step = reader.step(&mut exchange, &apdu);
    let mut waited = 0;
    while step == Step::KeepAlive(hid::keepalive::PROCESSING) {
        waited += 1;
        let poll = exchange.poll();
        step = reader.step(&mut exchange, &poll);
    }
    assert!((14..=16).contains(&waited), "{waited}");
    while let Step::Send(apdu) = step {
        step = reader.step(&mut exchange, &apdu);
    }
    assert!(matches!(step, Step::Done(r) if r.data[0] == 0));
}

#[test]
fn every_fifth_answer_is_lost_but_the_command_is_carried_out() {
    let mut key = Hid::of(engine_with("deviant-drops", Kind::Hid, AutoTouch, None));
    let mut host = key.open();
    for _ in 0..4 {
        assert_eq!(status(&key.cbor(&mut host, &GET_INFO)), Status::OK);
    }
    assert!(key.cbor(&mut host, &make_credential(1)).is_empty());
    assert!(key.pass(&mut host, ms(60_000)).is_empty());
    // The platform begins anew, and finds the credential.
    let report = host.open([2; 8]);
    key.send(&mut host, &[report]);
    assert_eq!(status(&key.cbor(&mut host, &get_assertion())), Status::OK);
}

#[test]
fn a_card_always_answers() {
    let mut reader = Reader::with(engine_with("deviant-drops", Kind::Card, AutoTouch, None));
    for _ in 0..12 {
        assert!(reader.transmit(&[0x80, 0x10, 0, 0, 1, 0x0B, 0]).is_some());
    }
}

#[test]
fn a_key_that_is_reset_by_usb_only_is_not_reset_in_a_reader() {
    const ID: &str = "fido-2.3-complete";
    let mut key = Hid::of(engine_with(ID, Kind::Hid, AutoTouch, None));
    let mut host = key.open();
    assert_eq!(status(&key.cbor(&mut host, &RESET)), Status::OK);
    let mut reader = Reader::with(engine_with(ID, Kind::Card, AutoTouch, None));
    let answer = reader
        .transmit(&[0x80, 0x10, 0, 0, 1, RESET[0], 0])
        .unwrap();
    assert_eq!(answer, [Status::NOT_ALLOWED.0, 0x90, 0]);
}

#[test]
fn a_card_is_what_its_profile_says() {
    for (id, kind, expected) in [
        ("nfc-card", Kind::Card, "smart-card"),
        ("fido-2.3", Kind::Card, "smart-card"),
        ("fido-2.1", Kind::Card, "nfc"),
        ("nfc-card", Kind::Hid, "usb"),
    ] {
        let profile = profile::find(id).unwrap().unwrap();
        assert_eq!(transport(kind, &profile), expected, "{id}");
    }
    let mut contactless = profile::find("nfc-card").unwrap().unwrap();
    contactless.transports = vec!["nfc".to_owned()];
    assert_eq!(transport(Kind::Card, &contactless), "nfc");
}
