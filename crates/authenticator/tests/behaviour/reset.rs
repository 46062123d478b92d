//! CTAP 2.3 §6.6 authenticatorReset.

use core::time::Duration;

use authenticator::{Fault, Interaction, Purpose};
use ctap::{Command, Status};

use crate::bench::{Bench, PIN, Person, RP};

#[test]
fn reset_works_only_in_the_first_ten_seconds() {
    let mut bench = Bench::with_pin("fido-2.1");
    bench.now += Duration::from_millis(10_001);
    assert_eq!(bench.send(Command::Reset, &[]), Err(Status::NOT_ALLOWED));
    assert!(bench.asked.is_empty());
    bench.power_cycle();
    bench.now += Duration::from_secs(10);
    assert_eq!(bench.send(Command::Reset, &[]), Ok(vec![]));
}

#[test]
fn reset_wants_a_touch() {
    let mut bench = Bench::with_pin("fido-2.1");
    for person in [Person::Waits, Person::IsCancelled] {
        bench.power_cycle();
        bench.person = person;
        bench.send(Command::Reset, &[]).unwrap_err();
        assert!(matches!(
            &bench.asked[..],
            [Interaction::Touch {
                purpose: Purpose::Reset,
                ..
            }]
        ));
        assert!(bench.key.state().pin().is_some());
    }
}

#[test]
fn reset_leaves_nothing_but_the_serial_number() {
    let mut bench = Bench::with_pin("fido-2.1");
    let config = bench.config_token();
    bench
        .set_min_pin_length(&config, Some(6), None, None)
        .unwrap();
    bench.config(2, None, Some(&config)).unwrap();
    let stored = bench.make_simply(true, 1, RP);
    let sealed = bench.make_simply(false, 1, RP);
    bench.plain_token("wrong").unwrap_err();
    let token = bench.ga_token();
    bench.power_cycle();
    bench.send(Command::Reset, &[]).unwrap();
    for _ in 0..2 {
        let info = bench.info();
        let options = info.options.unwrap();
        assert_eq!(
            (options.client_pin, options.always_uv),
            (Some(false), Some(false))
        );
        assert_eq!(
            (info.min_pin_length, info.force_pin_change),
            (Some(4), Some(false))
        );
        assert_eq!(info.remaining_discoverable_credentials, Some(100));
        assert_eq!(bench.key.state().pin_retries(), 8);
        for id in [&stored.id, &sealed.id] {
            assert_eq!(
                bench.get(&bench.ga(None, &[id])).unwrap_err(),
                Status::NO_CREDENTIALS
            );
        }
        assert_eq!(
            bench
                .get(&bench.ga(Some(&token), &[&sealed.id]))
                .unwrap_err(),
            Status::PIN_NOT_SET
        );
        bench.restart();
    }
}

#[test]
fn a_blocked_pin_is_gone_after_a_reset() {
    let mut bench = Bench::with_pin("fido-2.1");
    for _ in 0..3 {
        for _ in 0..3 {
            bench.plain_token("wrong").unwrap_err();
        }
        bench.power_cycle();
    }
    assert_eq!(bench.plain_token(PIN), Err(Status::PIN_BLOCKED));
    bench.send(Command::Reset, &[]).unwrap();
    bench.set_pin("another").unwrap();
    bench.plain_token("another").unwrap();
}

#[test]
fn secrets_go_before_the_gate() {
    for (k, fault) in [
        (0, Fault::BeforeWrite),
        (0, Fault::AfterWrite),
        (1, Fault::BeforeWrite),
        (1, Fault::AfterWrite),
    ] {
        let mut bench = Bench::with_pin("fido-2.1");
        let sealed = bench.make_simply(false, 1, RP);
        bench.make_simply(true, 1, RP);
        bench.power_cycle();
        bench.store.fail_at(k, fault);
        assert_eq!(bench.send(Command::Reset, &[]), Err(Status::OTHER));
        bench.restart();
        let gate = bench.key.state().pin().is_some();
        let secrets = bench.key.state().stored_count() > 0
            || bench.get(&bench.ga(None, &[&sealed.id])) != Err(Status::NO_CREDENTIALS);
        assert!(
            gate || !secrets,
            "{k} {fault:?}: credentials without their PIN"
        );
    }
}

#[test]
fn a_key_that_is_reset_by_no_ctap2_is_the_u2f_key() {
    assert_eq!(
        Bench::new("u2f-only").send(Command::Reset, &[]),
        Err(Status::INVALID_COMMAND)
    );
}

const COMPLETE: &str = "fido-2.3-complete";

#[test]
fn a_long_touch_resets_at_any_time_once_it_is_enabled() {
    let mut bench = Bench::with_pin(COMPLETE);
    let info = bench.info();
    assert_eq!(info.long_touch_for_reset, Some(false));
    assert_eq!(info.authenticator_config_commands, Some(vec![1, 2, 3, 4]));
    bench.now += Duration::from_secs(60);
    bench.person = Person::Holds;
    assert_eq!(bench.send(Command::Reset, &[]), Err(Status::NOT_ALLOWED));
    let token = bench.config_token();
    bench.config(4, None, Some(&token)).unwrap();
    bench.restart();
    assert_eq!(bench.info().long_touch_for_reset, Some(true));
    bench.now += Duration::from_secs(60);
    bench.send(Command::Reset, &[]).unwrap();
    assert!(matches!(
        &bench.asked[..],
        [Interaction::Touch {
            purpose: Purpose::ResetByLongTouch,
            ..
        }]
    ));
    assert!(bench.key.state().pin().is_none());
    assert_eq!(bench.info().long_touch_for_reset, Some(false));
}

#[test]
fn a_short_touch_is_no_long_one() {
    let mut bench = Bench::new(COMPLETE);
    bench.config(4, None, None).unwrap();
    let request = [Command::Reset.code()];
    let authenticator::Progress::Waiting(first) = bench.handle(&request) else {
        panic!("a reset without a touch");
    };
    for event in [
        authenticator::UserEvent::Touch,
        authenticator::UserEvent::Finger(authenticator::FingerMatch::Match),
    ] {
        let still = bench.user(event);
        assert_eq!(still, authenticator::Progress::Waiting(first.clone()));
    }
    assert_eq!(first.consent(), authenticator::UserEvent::LongTouch);
    bench.now = first.deadline();
    let late = bench.user(authenticator::UserEvent::LongTouch);
    let timeout = vec![Status::USER_ACTION_TIMEOUT.0];
    assert_eq!(late, authenticator::Progress::Reply(timeout));
}

#[test]
fn long_touch_can_be_enabled_only_where_it_is() {
    for id in ["fido-2.1", "fido-2.3"] {
        let mut bench = Bench::new(id);
        assert_eq!(bench.config(4, None, None), Err(Status::INVALID_PARAMETER));
    }
}

#[test]
fn some_wires_cannot_reset() {
    let mut bench = Bench::new(COMPLETE);
    assert_eq!(
        bench.info().transports_for_reset,
        Some(vec!["usb".to_owned()])
    );
    bench.key.connect("nfc");
    assert_eq!(bench.send(Command::Reset, &[]), Err(Status::NOT_ALLOWED));
    assert!(bench.asked.is_empty());
    bench.key.connect("usb");
    bench.send(Command::Reset, &[]).unwrap();
    let mut bench = Bench::new("fido-2.3");
    bench.key.connect("nfc");
    bench.send(Command::Reset, &[]).unwrap();
}
