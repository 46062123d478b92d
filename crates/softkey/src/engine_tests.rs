//! The key between wire and user, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use authenticator::{Fault, FingerMatch, MemoryStore, profile};
use ctap::Status;
use ctap::hid::{self, Command, ErrorCode, Host, HostEvent};
use ctap::iso7816::{Exchange as ApduExchange, Form, ResponseApdu, Step};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::prompts::{AutoTouch, Manual};

#[path = "../tests/common/requests.rs"]
mod requests;
use requests::*;

#[path = "engine_special_tests.rs"]
mod special;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn engine_with(
    id: &str,
    kind: Kind,
    prompts: impl Prompts + 'static,
    plan: Option<(u64, Fault)>,
) -> Engine {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let state = State::fresh(&mut rng);
    let mut store = MemoryStore::new(&state);
    if let Some((k, fault)) = plan {
        store.fail_at(k, fault);
    }
    let parts = Parts {
        profile: profile::find(id).unwrap().unwrap(),
        state,
        store: Box::new(store),
        rng: Box::new(rng),
        prompts: Box::new(prompts),
        watcher: None,
    };
    Engine::new(parts, kind, Duration::ZERO).unwrap()
}

fn engine(kind: Kind, prompts: impl Prompts + 'static) -> Engine {
    engine_with("fido-2.1", kind, prompts, None)
}

/// A platform on a HID key.
struct Hid {
    engine: Engine,
    now: Duration,
}

impl Hid {
    fn new(prompts: impl Prompts + 'static) -> Self {
        Self::of(engine(Kind::Hid, prompts))
    }

    fn of(engine: Engine) -> Self {
        Self {
            engine,
            now: Duration::ZERO,
        }
    }

    fn open(&mut self) -> Host {
        let mut host = Host::new();
        let report = host.open([1; 8]);
        assert!(matches!(
            self.send(&mut host, &[report]).as_slice(),
            [HostEvent::Opened(_)]
        ));
        host
    }

    fn send(&mut self, host: &mut Host, reports: &[hid::Report]) -> Vec<HostEvent> {
        for report in reports {
            self.engine.receive(Arrival::Report(*report), self.now);
        }
        self.heard(host)
    }

    fn heard(&mut self, host: &mut Host) -> Vec<HostEvent> {
        let out = self.engine.take_output();
        out.iter()
            .filter_map(|report| host.receive(report.as_slice().try_into().unwrap()).unwrap())
            .collect()
    }

    fn cbor(&mut self, host: &mut Host, request: &[u8]) -> Vec<HostEvent> {
        let reports = host.request(Command::CBOR, request).unwrap();
        self.send(host, &reports)
    }

    fn msg(&mut self, host: &mut Host, apdu: &[u8]) -> ResponseApdu {
        let reports = host.request(Command::MSG, apdu).unwrap();
        match self.send(host, &reports).as_slice() {
            [HostEvent::Reply { payload, .. }] => ResponseApdu::decode(payload).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass up to `now`, at each moment the engine asked for.
    fn pass(&mut self, host: &mut Host, to: Duration) -> Vec<HostEvent> {
        let mut heard = Vec::new();
        while let Some(at) = self.engine.deadline().filter(|at| *at <= to) {
            self.now = at.max(self.now);
            self.engine.tick(self.now);
            heard.extend(self.heard(host));
        }
        self.now = to;
        heard
    }

    fn user(&mut self, host: &mut Host, event: UserEvent) -> Vec<HostEvent> {
        self.engine.user(event, self.now);
        self.heard(host)
    }
}

/// The status byte of the only event.
fn status(events: &[HostEvent]) -> Status {
    match events {
        [
            HostEvent::Reply {
                command: Command::CBOR,
                payload,
            },
        ] => Status(payload[0]),
        other => panic!("{other:?}"),
    }
}

const ALIVE: HostEvent = HostEvent::KeepAlive(hid::keepalive::UPNEEDED);

#[test]
fn a_request_without_a_wish_is_answered_at_once() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    assert_eq!(status(&key.cbor(&mut host, &GET_INFO)), Status::OK);
    assert_eq!(key.engine.deadline(), None);
}

#[test]
fn the_touch_prompt_of_auto_touch_needs_no_keepalive() {
    let mut key = Hid::new(AutoTouch);
    let mut host = key.open();
    assert_eq!(
        status(&key.cbor(&mut host, &make_credential(1))),
        Status::OK
    );
}

#[test]
fn a_waiting_key_says_so_at_once_and_every_100_ms() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    assert_eq!(key.cbor(&mut host, &make_credential(1)), [ALIVE]);
    assert!(matches!(
        key.engine.asking(),
        Some(Interaction::Touch { .. })
    ));
    assert_eq!(key.pass(&mut host, ms(99)), []);
    assert_eq!(key.pass(&mut host, ms(100)), [ALIVE]);
    assert_eq!(key.pass(&mut host, ms(1000)).len(), 9);
    assert_eq!(status(&key.user(&mut host, UserEvent::Touch)), Status::OK);
    assert_eq!(key.engine.asking(), None);
    assert_eq!(key.pass(&mut host, ms(5000)), [], "silent again");
    assert_eq!(
        key.user(&mut host, UserEvent::Touch),
        [],
        "nothing was asked"
    );
}

#[test]
fn nobody_comes_and_the_request_times_out() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    key.cbor(&mut host, &SELECTION);
    let mut heard = key.pass(&mut host, ms(120_000));
    let last = heard.pop().unwrap();
    assert!(
        heard.iter().all(|e| *e == ALIVE) && heard.len() > 90,
        "{}",
        heard.len()
    );
    assert_eq!(status(&[last]), Status::USER_ACTION_TIMEOUT);
    assert_eq!(status(&key.cbor(&mut host, &GET_INFO)), Status::OK);
}

#[test]
fn cancel_is_answered_and_frees_the_key() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    key.cbor(&mut host, &make_credential(1));
    let cancel = host.cancel().unwrap();
    assert_eq!(
        status(&key.send(&mut host, &[cancel])),
        Status::KEEPALIVE_CANCEL
    );
    assert_eq!(key.engine.asking(), None);
    assert_eq!(status(&key.cbor(&mut host, &GET_INFO)), Status::OK);
}

#[test]
fn resynchronisation_gives_up_what_waits_without_an_answer() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    key.cbor(&mut host, &make_credential(1));
    let init = host.open([2; 8]);
    assert!(matches!(
        key.send(&mut host, &[init]).as_slice(),
        [HostEvent::Opened(_)]
    ));
    assert_eq!(key.engine.asking(), None);
    assert_eq!(key.pass(&mut host, ms(60_000)), []);
    assert_eq!(key.cbor(&mut host, &make_credential(1)), [ALIVE]);
}

#[test]
fn another_channel_is_busy_while_one_waits_and_its_cancel_is_ignored() {
    let mut key = Hid::new(Manual);
    let (mut a, mut b) = (key.open(), key.open());
    key.cbor(&mut a, &make_credential(1));
    let busy = [HostEvent::Error(ErrorCode::CHANNEL_BUSY)];
    let reports = b.request(Command::CBOR, &GET_INFO).unwrap();
    for report in &reports {
        key.engine.receive(Arrival::Report(*report), key.now);
    }
    let cancel = b.cancel().unwrap();
    assert_eq!(key.send(&mut b, &[cancel]), busy);
    assert!(key.engine.asking().is_some());
    assert_eq!(status(&key.user(&mut a, UserEvent::Touch)), Status::OK);
}

#[test]
fn get_next_assertion_belongs_to_the_channel_that_began_it() {
    let mut key = Hid::new(AutoTouch);
    let (mut a, mut b) = (key.open(), key.open());
    key.cbor(&mut a, &make_credential(1));
    key.cbor(&mut a, &make_credential(2));
    assert_eq!(status(&key.cbor(&mut a, &get_assertion())), Status::OK);
    assert_eq!(
        status(&key.cbor(&mut b, &GET_NEXT_ASSERTION)),
        Status::NOT_ALLOWED
    );
    assert_eq!(status(&key.cbor(&mut a, &GET_NEXT_ASSERTION)), Status::OK);
    assert_eq!(
        status(&key.cbor(&mut a, &GET_NEXT_ASSERTION)),
        Status::NOT_ALLOWED
    );
}

#[test]
fn a_power_cycle_takes_channels_and_waits_away_but_not_credentials() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    key.cbor(&mut host, &make_credential(1));
    key.user(&mut host, UserEvent::Touch);
    key.cbor(&mut host, &get_assertion());
    key.engine.power_cycle(key.now);
    assert_eq!(key.engine.asking(), None);
    assert_eq!(key.engine.deadline(), None);
    let mut stale = host;
    let mut host = key.open();
    assert_ne!(stale.channel(), host.channel());
    let resync = stale.open([9; 8]);
    assert_eq!(
        key.send(&mut stale, &[resync]),
        [HostEvent::Error(ErrorCode::INVALID_CHANNEL)]
    );
    assert_eq!(key.cbor(&mut host, &get_assertion()), [ALIVE]);
    assert_eq!(status(&key.user(&mut host, UserEvent::Touch)), Status::OK);
}

#[test]
fn a_stalled_message_is_timed_out_by_the_tick() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    let reports = host.request(Command::PING, &[1; 100]).unwrap();
    assert_eq!(key.send(&mut host, &reports[..1]), []);
    assert_eq!(
        key.pass(&mut host, ms(600)),
        [HostEvent::Error(ErrorCode::MSG_TIMEOUT)]
    );
}

#[test]
fn wink_is_counted() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    let reports = host.request(Command::WINK, &[]).unwrap();
    assert_eq!(key.send(&mut host, &reports).len(), 1);
    assert_eq!(key.engine.winks(), 1);
}

#[test]
fn capabilities_follow_the_profile() {
    for (id, flags) in [("fido-2.1", 0x05), ("u2f-only", 0x01)] {
        let mut key = Hid::of(engine_with(id, Kind::Hid, Manual, None));
        let mut host = Host::new();
        let report = host.open([1; 8]);
        match key.send(&mut host, &[report]).as_slice() {
            [HostEvent::Opened(info)] => assert_eq!(info.capabilities.0, flags, "{id}"),
            other => panic!("{other:?}"),
        }
    }
}

fn u2f_register() -> Vec<u8> {
    u2f::Request::Register {
        challenge: [1; 32],
        application: [2; 32],
    }
    .encode()
    .unwrap()
}

#[test]
fn u2f_asks_again_until_there_was_a_touch() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    for _ in 0..3 {
        let answer = key.msg(&mut host, &u2f_register());
        assert_eq!(answer.status, StatusWord::CONDITIONS_NOT_SATISFIED);
        key.pass(&mut host, key.now + ms(250));
    }
    assert_eq!(
        key.engine.asking().unwrap().purpose(),
        &authenticator::Purpose::U2fRegister
    );
    key.user(&mut host, UserEvent::Touch);
    assert_eq!(key.engine.asking(), None);
    let answer = key.msg(&mut host, &u2f_register());
    assert_eq!(answer.status, StatusWord::NO_ERROR);
    assert!(u2f::RegisterResponse::decode(&answer.data).is_ok());
    let answer = key.msg(&mut host, &u2f_register());
    assert_eq!(
        answer.status,
        StatusWord::CONDITIONS_NOT_SATISFIED,
        "one touch, one registration"
    );
}

#[test]
fn u2f_is_touched_at_once_by_auto_touch() {
    let mut key = Hid::new(AutoTouch);
    let mut host = key.open();
    assert_eq!(
        key.msg(&mut host, &u2f_register()).status,
        StatusWord::NO_ERROR
    );
    assert_eq!(key.engine.asking(), None);
}

#[test]
fn a_u2f_platform_that_went_away_leaves_no_wish_behind() {
    let mut key = Hid::new(Manual);
    let mut host = key.open();
    key.msg(&mut host, &u2f_register());
    assert!(key.engine.asking().is_some());
    key.pass(&mut host, ms(120_000));
    assert_eq!(key.engine.asking(), None);
    assert_eq!(key.engine.deadline(), None);
}

#[test]
fn fingers_are_tried_until_one_matches() {
    let mut key = Hid::of(engine_with("fido-2.1-bio", Kind::Hid, Manual, None));
    let mut host = key.open();
    assert_eq!(key.cbor(&mut host, &make_credential_uv(1)), [ALIVE]);
    assert!(matches!(
        key.engine.asking(),
        Some(Interaction::BuiltInUv { .. })
    ));
    let wrong = key.user(&mut host, UserEvent::Finger(FingerMatch::NoMatch));
    assert_eq!(
        wrong,
        [],
        "asked again, and the platform has nothing new to learn"
    );
    assert_eq!(key.pass(&mut host, ms(100)), [ALIVE]);
    let right = key.user(&mut host, UserEvent::Finger(FingerMatch::Match));
    assert_eq!(status(&right), Status::OK);
}

#[test]
fn a_store_that_fails_ends_the_key() {
    let plan = Some((0, Fault::BeforeWrite));
    let mut key = Hid::of(engine_with("fido-2.1", Kind::Hid, AutoTouch, plan));
    let mut host = key.open();
    assert_eq!(key.engine.store_failed(), None);
    assert_ne!(
        status(&key.cbor(&mut host, &make_credential(1))),
        Status::OK
    );
    assert!(key.engine.store_failed().is_some());
}

#[test]
fn a_watcher_sees_requests_with_their_answers() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut engine = engine(Kind::Hid, Manual);
    engine.watcher = Some(Box::new(move |e| log.lock().unwrap().push(e.clone())));
    let mut key = Hid::of(engine);
    let mut host = key.open();
    key.cbor(&mut host, &GET_INFO);
    key.cbor(&mut host, &SELECTION);
    key.user(&mut host, UserEvent::Touch);
    key.cbor(&mut host, &SELECTION);
    let init = host.open([2; 8]);
    key.send(&mut host, &[init]);
    key.msg(&mut host, &u2f::Request::Version.encode().unwrap());
    let seen = seen.lock().unwrap();
    let short: Vec<_> = seen
        .iter()
        .map(|e| (e.u2f, e.request[0], e.response.as_ref().map(|r| r[0])))
        .collect();
    assert_eq!(
        short,
        [
            (false, 0x04, Some(0)),
            (false, 0x0B, Some(0)),
            (false, 0x0B, None),
            (true, 0x00, Some(b'U'))
        ]
    );
}

/// A reader with the key in it.
struct Reader {
    engine: Engine,
    now: Duration,
}

impl Reader {
    fn new(prompts: impl Prompts + 'static) -> Self {
        Self::with(engine(Kind::Card, prompts))
    }

    fn with(mut engine: Engine) -> Self {
        engine.receive(Arrival::PowerOn, Duration::ZERO);
        let mut reader = Self {
            engine,
            now: Duration::ZERO,
        };
        let (mut select, apdu) = start(ApduExchange::select());
        assert!(matches!(reader.step(&mut select, &apdu), Step::Done(r) if r.data == b"U2F_V2"));
        reader
    }

    /// The response to an APDU, if there is one at once.
    fn transmit(&mut self, apdu: &[u8]) -> Option<Vec<u8>> {
        self.engine.receive(Arrival::Apdu(apdu.to_vec()), self.now);
        self.response()
    }

    fn response(&mut self) -> Option<Vec<u8>> {
        let mut out = self.engine.take_output();
        assert!(out.len() <= 1, "one command, one response");
        out.pop()
    }

    /// One APDU, waiting as long as the card lets the reader wait.
    fn step(&mut self, exchange: &mut ApduExchange, apdu: &[u8]) -> Step {
        let mut response = self.transmit(apdu);
        while response.is_none() {
            self.now = self.engine.deadline().unwrap();
            self.engine.tick(self.now);
            response = self.response();
        }
        match exchange.receive(&response.unwrap()).unwrap() {
            Step::Send(next) => self.step(exchange, &next),
            step => step,
        }
    }
}

fn start(mut exchange: ApduExchange) -> (ApduExchange, Vec<u8>) {
    let apdu = exchange.start();
    (exchange, apdu)
}

#[test]
fn a_card_answers_at_once_and_in_portions() {
    let mut reader = Reader::new(AutoTouch);
    for form in [Form::Short, Form::Extended] {
        let (mut exchange, apdu) = start(ApduExchange::message(&make_credential(1), form));
        match reader.step(&mut exchange, &apdu) {
            Step::Done(answer) => assert!(answer.data[0] == 0 && answer.data.len() > 300),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_polling_reader_is_told_that_the_card_waits_and_hears_the_answer() {
    let mut reader = Reader::new(Manual);
    let (mut exchange, apdu) = start(ApduExchange::message(&SELECTION, Form::Short));
    assert_eq!(reader.step(&mut exchange, &apdu), Step::KeepAlive(2));
    assert_eq!(reader.now, Duration::ZERO, "the first time at once");
    for n in 1..=3 {
        let poll = exchange.poll();
        assert_eq!(reader.step(&mut exchange, &poll), Step::KeepAlive(2));
        assert_eq!(reader.now, ms(100 * n), "then after 100 ms");
    }
    // Touched between two polls.
    reader.engine.user(UserEvent::Touch, reader.now);
    assert_eq!(reader.response(), None);
    let poll = exchange.poll();
    assert!(matches!(reader.step(&mut exchange, &poll), Step::Done(r) if r.data == [0]));
    // Touched while the reader waits.
    let (mut exchange, apdu) = start(ApduExchange::message(&SELECTION, Form::Short));
    assert_eq!(reader.step(&mut exchange, &apdu), Step::KeepAlive(2));
    assert_eq!(reader.transmit(&exchange.poll()), None);
    reader.engine.user(UserEvent::Touch, reader.now);
    assert_eq!(reader.response(), Some(vec![0, 0x90, 0]));
}

#[test]
fn a_polling_reader_can_cancel() {
    let mut reader = Reader::new(Manual);
    let (mut exchange, apdu) = start(ApduExchange::message(&SELECTION, Form::Short));
    assert_eq!(reader.step(&mut exchange, &apdu), Step::KeepAlive(2));
    let cancel = exchange.cancel();
    let Step::Done(answer) = reader.step(&mut exchange, &cancel) else {
        panic!()
    };
    assert_eq!(answer.data, [Status::KEEPALIVE_CANCEL.0]);
    assert_eq!(reader.engine.asking(), None);
}

#[test]
fn a_reader_that_cannot_poll_is_kept_waiting() {
    let mut reader = Reader::new(Manual);
    assert_eq!(reader.transmit(&[0x80, 0x10, 0, 0, 1, 0x0B, 0]), None);
    reader.now = ms(5000);
    reader.engine.tick(reader.now);
    assert_eq!(reader.response(), None);
    reader.engine.user(UserEvent::Touch, reader.now);
    assert_eq!(reader.response(), Some(vec![0, 0x90, 0]));
}

#[test]
fn power_off_ends_the_selection_and_what_waits() {
    for loss in [Arrival::PowerOff, Arrival::Reset] {
        let mut reader = Reader::new(Manual);
        let (mut exchange, apdu) = start(ApduExchange::message(&SELECTION, Form::Short));
        assert_eq!(reader.step(&mut exchange, &apdu), Step::KeepAlive(2));
        reader.engine.receive(loss, reader.now);
        assert_eq!(reader.engine.asking(), None);
        assert_eq!(
            reader.transmit(&[0x80, 0x10, 0, 0, 1, 4, 0]),
            Some(vec![0x6D, 0])
        );
    }
}

#[test]
fn arrivals_of_the_other_kind_are_ignored() {
    let mut key = engine(Kind::Hid, Manual);
    key.receive(Arrival::Apdu(vec![0, 0xA4, 4, 0]), Duration::ZERO);
    key.receive(Arrival::PowerOff, Duration::ZERO);
    assert!(key.take_output().is_empty());
    let mut card = engine(Kind::Card, Manual);
    card.receive(Arrival::Report([0; 64]), Duration::ZERO);
    assert!(card.take_output().is_empty());
}
