//! What holds for every command: unknown ones, broken ones, busy channels, abandoned waits.

use core::time::Duration;

use authenticator::{Interaction, Progress, Purpose, UserEvent, profile};
use ctap::{Command, Status};

use crate::bench::{Bench, HASH, ONE, Person, TWO};

#[test]
fn no_command_byte_and_no_garbage_makes_the_key_panic() {
    for (id, _) in profile::shipped() {
        let mut bench = Bench::new(id);
        for code in 0..=255_u8 {
            for parameters in [
                &[][..],
                &[0xa0],
                &[0x80],
                &[0xff],
                &[0xa1, 0x01],
                &[0xbf, 0xff],
                &[0xf6],
                &[0x00],
            ] {
                let answer = bench.raw(&[&[code], parameters].concat());
                assert!(!answer.is_empty());
            }
        }
        assert_eq!(bench.raw(&[]), [Status::INVALID_LENGTH.0]);
    }
}

#[test]
fn an_unknown_command_is_an_invalid_command() {
    let mut bench = Bench::new("fido-2.3");
    for code in [0x00, 0x03, 0x05, 0x0e, 0x3f, 0x40, 0x41, 0xff] {
        assert_eq!(
            bench.raw(&[code, 0xa0]),
            [Status::INVALID_COMMAND.0],
            "{code:02x}"
        );
    }
}

#[test]
fn malformed_requests_get_the_status_that_names_the_fault() {
    let mut bench = Bench::new("fido-2.1");
    for (parameters, status) in [
        (&[0xa1, 0x01, 0x01, 0x00][..], Status::INVALID_CBOR),
        (&[0xa2, 0x02, 0x00, 0x01, 0x00], Status::INVALID_CBOR),
        (&[0xa1, 0x01, 0x01], Status::CBOR_UNEXPECTED_TYPE),
        (&[0xa0], Status::MISSING_PARAMETER),
    ] {
        assert_eq!(
            bench.send(Command::MakeCredential, parameters),
            Err(status),
            "{parameters:02x?}"
        );
    }
}

#[test]
fn a_request_beyond_max_msg_size_is_too_large() {
    let mut bench = Bench::new("fido-2.1");
    let request = vec![Command::MakeCredential.code(); 1201];
    assert_eq!(bench.raw(&request), [Status::REQUEST_TOO_LARGE.0]);
}

#[test]
fn a_waiting_key_is_busy_for_other_channels_and_forgets_for_its_own() {
    let mut bench = Bench::new("fido-2.1");
    let request = ctap::request_bytes(Command::MakeCredential, &bench.mc(None).encode());
    assert!(matches!(bench.handle(&request), Progress::Waiting(_)));

    bench.channel = TWO;
    assert_eq!(
        bench.handle(&[0x04]),
        Progress::Reply(vec![Status::CHANNEL_BUSY.0])
    );
    assert_eq!(
        bench.user(UserEvent::Touch),
        Progress::Idle,
        "another channel's touch"
    );
    assert!(bench.key.waiting().is_some());

    bench.channel = ONE;
    assert!(matches!(bench.handle(&[0x04]), Progress::Reply(_)));
    assert!(bench.key.waiting().is_none());
    assert_eq!(bench.user(UserEvent::Touch), Progress::Idle);
}

#[test]
fn the_key_says_what_it_waits_for() {
    let mut bench = Bench::new("fido-2.1");
    let request = ctap::request_bytes(Command::MakeCredential, &bench.mc(None).encode());
    let expected = Interaction::Touch {
        purpose: Purpose::MakeCredential {
            rp_id: "example.com".into(),
            user_name: Some("user1@example.com".into()),
        },
        deadline: bench.now + Duration::from_secs(30),
    };
    assert_eq!(bench.handle(&request), Progress::Waiting(expected.clone()));
    assert_eq!(bench.key.waiting(), Some(&expected));
}

#[test]
fn cancel_and_power_loss_end_a_wait() {
    let mut bench = Bench::new("fido-2.1");
    bench.person = Person::IsCancelled;
    assert_eq!(
        bench.make(&bench.mc(None)).unwrap_err(),
        Status::KEEPALIVE_CANCEL
    );
    let request = ctap::request_bytes(Command::Selection, &[]);
    assert!(matches!(bench.handle(&request), Progress::Waiting(_)));
    bench.power_cycle();
    assert_eq!(bench.user(UserEvent::Touch), Progress::Idle);
}

#[test]
fn a_touch_after_the_deadline_is_no_touch() {
    let mut bench = Bench::new("fido-2.1");
    let request = ctap::request_bytes(Command::Selection, &[]);
    let Progress::Waiting(interaction) = bench.handle(&request) else {
        panic!("no wait")
    };
    bench.now = interaction.deadline();
    assert_eq!(
        bench.user(UserEvent::Touch),
        Progress::Reply(vec![Status::USER_ACTION_TIMEOUT.0])
    );
}

#[test]
fn timeouts_have_the_status_of_their_command() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make(&bench.mc(None)).unwrap();
    bench.person = Person::Waits;
    assert_eq!(
        bench.make(&bench.mc(None)).unwrap_err(),
        Status::OPERATION_DENIED
    );
    assert_eq!(
        bench.get(&bench.ga(None, &[&made.id])).unwrap_err(),
        Status::OPERATION_DENIED
    );
    assert_eq!(
        bench.send(Command::Selection, &[]),
        Err(Status::USER_ACTION_TIMEOUT)
    );
    bench.power_cycle();
    assert_eq!(
        bench.send(Command::Reset, &[]),
        Err(Status::USER_ACTION_TIMEOUT)
    );
}

#[test]
fn selection_is_a_touch() {
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(bench.send(Command::Selection, &[]), Ok(vec![]));
    assert!(matches!(
        &bench.asked[..],
        [Interaction::Touch {
            purpose: Purpose::Selection,
            ..
        }]
    ));
}

#[test]
fn keys_before_2_1_select_by_an_empty_param_only() {
    for id in ["fido-2.0", "fido-2.1-pre"] {
        let mut bench = Bench::new(id);
        assert_eq!(
            bench.send(Command::Selection, &[]),
            Err(Status::INVALID_COMMAND)
        );
        let empty = ctap::make_credential::Request {
            pin_uv_auth_param: Some(vec![]),
            ..bench.mc(None)
        };
        assert_eq!(bench.make(&empty).unwrap_err(), Status::PIN_NOT_SET);
    }
}

#[test]
fn a_key_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<authenticator::Authenticator>();
    is_send::<authenticator::MemoryStore>();
}

#[test]
fn the_same_seed_gives_the_same_key() {
    let run = || {
        let mut bench = Bench::with_pin("fido-2.1");
        let made = bench.make_simply(true, 1, "example.com");
        (made.response.auth_data, bench.key.state().counter(), HASH)
    };
    assert_eq!(run(), run());
}

#[test]
fn debug_of_a_key_shows_no_secret() {
    let mut bench = Bench::with_pin("fido-2.1");
    bench.make_simply(true, 1, "example.com");
    assert_eq!(
        format!("{:?}", bench.key),
        "Authenticator(fido-2.1, waiting: None, ..)"
    );
    let state = format!("{:?}", bench.key.state());
    assert!(
        state.contains("Secrets(..)")
            && state.contains("StoredPin(..)")
            && state.contains("KeyMaterial(ES256")
    );
}
