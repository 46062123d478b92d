//! CTAP 2.3 §6.2 authenticatorGetAssertion and §6.3 authenticatorGetNextAssertion.

use core::time::Duration;

use authenticator::{Interaction, Purpose};
use ctap::client_pin::Permissions;
use ctap::get_assertion::{Options, Request};
use ctap::{Command, Status};

use crate::bench::{Bench, ONE, PIN, RP, TWO, counter, descriptor, flags};

fn without_touch(request: Request) -> Request {
    Request {
        options: Some(Options {
            up: Some(false),
            ..Options::default()
        }),
        ..request
    }
}

#[test]
fn a_credential_signs_at_a_touch() {
    let mut bench = Bench::new("fido-2.1");
    for rk in [false, true] {
        let made = bench.make_simply(rk, 1, RP);
        let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
        assert!(made.signed(&assertion));
        assert!(flags(&assertion).user_present() && !flags(&assertion).user_verified());
        assert_eq!(assertion.credential.unwrap().id, made.id);
        assert_eq!(assertion.number_of_credentials, None);
        assert!(matches!(
            &bench.asked[..],
            [Interaction::Touch {
                purpose: Purpose::GetAssertion { .. },
                ..
            }]
        ));
    }
}

#[test]
fn a_token_makes_the_uv_flag() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = bench.make_simply(false, 1, RP);
    let token = bench.ga_token();
    let assertion = bench.get(&bench.ga(Some(&token), &[&made.id])).unwrap();
    assert!(made.signed(&assertion) && flags(&assertion).user_verified());
    let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
    assert!(!flags(&assertion).user_verified());
}

#[test]
fn the_counter_only_grows_also_over_a_restart() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make_simply(false, 1, RP);
    for expected in 1..4 {
        let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
        assert_eq!(counter(&assertion.auth_data), expected);
        bench.restart();
    }
}

#[test]
fn nothing_to_sign_with_is_said_without_a_touch() {
    let mut bench = Bench::new("fido-2.1");
    let other = bench.make_simply(true, 1, "other.example");
    let sealed = bench.make_simply(false, 1, "other.example");
    for allow in [&[][..], &[&[9; 32][..]], &[&other.id], &[&sealed.id]] {
        assert_eq!(
            bench.get(&bench.ga(None, allow)).unwrap_err(),
            Status::NO_CREDENTIALS
        );
        assert!(bench.asked.is_empty());
    }
}

#[test]
fn a_credential_of_another_key_does_not_sign() {
    let made = Bench::new("fido-2.1").make_simply(false, 1, RP);
    let mut other = Bench::with(
        crate::bench::profile("fido-2.1"),
        authenticator::State::fresh(
            &mut <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(
                99,
            ),
        ),
    );
    assert_eq!(
        other.get(&other.ga(None, &[&made.id])).unwrap_err(),
        Status::NO_CREDENTIALS
    );
}

#[test]
fn an_id_longer_than_announced_or_of_another_type_is_no_match() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make_simply(false, 1, RP);
    let mut request = bench.ga(None, &[&[1; 129]]);
    assert_eq!(bench.get(&request).unwrap_err(), Status::NO_CREDENTIALS);
    let mut odd = descriptor(&made.id);
    odd.type_ = "password".into();
    request.allow_list = Some(vec![odd]);
    assert_eq!(bench.get(&request).unwrap_err(), Status::NO_CREDENTIALS);
}

#[test]
fn a_list_longer_than_announced_is_refused() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make_simply(false, 1, RP);
    let unknown = [9; 32];
    let mut ids = vec![&unknown[..]; 7];
    ids.push(&made.id);
    bench.get(&bench.ga(None, &ids)).unwrap();
    ids.push(&unknown);
    assert_eq!(
        bench.get(&bench.ga(None, &ids)).unwrap_err(),
        Status::LIMIT_EXCEEDED
    );
}

#[test]
fn an_empty_allow_list_is_an_absent_one() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make_simply(true, 1, RP);
    let request = Request {
        allow_list: Some(vec![]),
        ..bench.ga(None, &[])
    };
    assert!(made.signed(&bench.get(&request).unwrap()));
}

#[test]
fn any_rk_option_is_unsupported() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make_simply(true, 1, RP);
    for rk in [false, true] {
        let options = Some(Options {
            rk: Some(rk),
            ..Options::default()
        });
        let request = Request {
            options,
            ..bench.ga(None, &[&made.id])
        };
        assert_eq!(bench.get(&request).unwrap_err(), Status::UNSUPPORTED_OPTION);
    }
    let options = Some(Options {
        uv: Some(true),
        ..Options::default()
    });
    let request = Request {
        options,
        ..bench.ga(None, &[&made.id])
    };
    assert_eq!(bench.get(&request).unwrap_err(), Status::INVALID_OPTION);
}

#[test]
fn a_pre_flight_is_silent_and_leaves_no_flag() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = bench.make_simply(false, 1, RP);
    let assertion = bench
        .get(&without_touch(bench.ga(None, &[&made.id])))
        .unwrap();
    assert!(bench.asked.is_empty());
    assert!(made.signed(&assertion) && !flags(&assertion).user_present());
    // With a token it verifies, and the token stays good.
    let token = bench.ga_token();
    let assertion = bench
        .get(&without_touch(bench.ga(Some(&token), &[&made.id])))
        .unwrap();
    assert!(flags(&assertion).user_verified() && !flags(&assertion).user_present());
    let assertion = bench.get(&bench.ga(Some(&token), &[&made.id])).unwrap();
    assert!(flags(&assertion).user_verified() && flags(&assertion).user_present());
    assert_eq!(
        bench.get(&bench.ga(Some(&token), &[&made.id])).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
}

#[test]
fn always_uv_demands_a_token_but_lets_a_pre_flight_pass() {
    let mut bench = Bench::with_pin("fido-2.1-always-uv");
    let made = bench.make_simply(false, 1, RP);
    assert_eq!(
        bench.get(&bench.ga(None, &[&made.id])).unwrap_err(),
        Status::PUAT_REQUIRED
    );
    assert!(bench.asked.is_empty());
    bench
        .get(&without_touch(bench.ga(None, &[&made.id])))
        .unwrap();
    let token = bench.ga_token();
    bench.get(&bench.ga(Some(&token), &[&made.id])).unwrap();
}

#[test]
fn an_empty_param_is_a_touch_and_then_the_state_of_the_pin() {
    let mut bench = Bench::new("fido-2.1");
    let empty = Request {
        pin_uv_auth_param: Some(vec![]),
        ..bench.ga(None, &[])
    };
    assert_eq!(bench.get(&empty).unwrap_err(), Status::PIN_NOT_SET);
    assert_eq!(bench.asked.len(), 1);
    bench.set_pin(PIN).unwrap();
    assert_eq!(bench.get(&empty).unwrap_err(), Status::PIN_INVALID);
}

#[test]
fn several_accounts_come_newest_first_with_names_only_for_a_verified_user() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made: Vec<_> = (1..=3)
        .map(|number| bench.make_simply(true, number, RP))
        .collect();
    bench.make_simply(true, 4, "other.example");
    bench.make_simply(false, 5, RP);
    for verified in [false, true] {
        let token = verified.then(|| bench.ga_token());
        let mut assertion = bench.get(&bench.ga(token.as_deref(), &[])).unwrap();
        assert_eq!(assertion.number_of_credentials, Some(3));
        for (number, made) in (1..=3).zip(&made).rev() {
            assert!(made.signed(&assertion));
            assert_eq!(flags(&assertion).user_verified(), verified);
            assert!(flags(&assertion).user_present());
            let user = assertion.user.clone().unwrap();
            assert_eq!(user.id, vec![number; 16]);
            assert_eq!(user.name.is_some() && user.display_name.is_some(), verified);
            if number > 1 {
                assertion = bench.next().unwrap();
                assert_eq!(assertion.number_of_credentials, None);
            }
        }
        assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED, "exhausted");
    }
}

#[test]
fn a_single_account_has_no_next() {
    let mut bench = Bench::new("fido-2.1");
    bench.make_simply(true, 1, RP);
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
    let assertion = bench.get(&bench.ga(None, &[])).unwrap();
    assert_eq!(assertion.number_of_credentials, None);
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
}

#[test]
fn get_next_assertion_is_bound_to_its_channel() {
    let mut bench = Bench::new("fido-2.1");
    bench.make_simply(true, 1, RP);
    bench.make_simply(true, 2, RP);
    bench.get(&bench.ga(None, &[])).unwrap();
    bench.channel = TWO;
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
    bench.info();
    bench.channel = ONE;
    bench.next().unwrap();
}

#[test]
fn get_next_assertion_ends_with_time_power_and_other_commands() {
    let mut bench = Bench::new("fido-2.1");
    bench.make_simply(true, 1, RP);
    bench.make_simply(true, 2, RP);
    let begin = |bench: &mut Bench| drop(bench.get(&bench.ga(None, &[])).unwrap());
    begin(&mut bench);
    bench.now += Duration::from_secs(31);
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
    begin(&mut bench);
    bench.power_cycle();
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
    begin(&mut bench);
    bench.info();
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
    begin(&mut bench);
    bench.now += Duration::from_secs(30);
    bench.next().unwrap();
}

#[test]
fn a_deleted_account_is_not_given_by_an_older_continuation() {
    let mut bench = Bench::with_pin("fido-2.1");
    let first = bench.make_simply(true, 1, RP);
    let second = bench.make_simply(true, 2, RP);
    bench.make_simply(true, 3, RP);
    bench.get(&bench.ga(None, &[])).unwrap();
    bench.channel = TWO;
    let token = bench
        .token(PIN, Permissions::CREDENTIAL_MANAGEMENT, None)
        .unwrap();
    bench.delete(&token, &second.id).unwrap();
    bench.channel = ONE;
    assert!(first.signed(&bench.next().unwrap()));
    assert_eq!(bench.next().unwrap_err(), Status::NOT_ALLOWED);
}

#[test]
fn a_finger_signs_in() {
    let mut bench = Bench::new("fido-2.1-bio");
    let token = bench
        .uv_token(Permissions::MAKE_CREDENTIAL, Some(RP))
        .unwrap();
    let made = bench.make(&bench.mc(Some(&token))).unwrap();
    let options = Some(Options {
        uv: Some(true),
        ..Options::default()
    });
    let assertion = bench
        .get(&Request {
            options,
            ..bench.ga(None, &[&made.id])
        })
        .unwrap();
    assert!(flags(&assertion).user_present() && flags(&assertion).user_verified());
    assert!(matches!(&bench.asked[..], [Interaction::BuiltInUv { .. }]));
}

#[test]
fn get_assertion_keeps_to_max_msg_size_and_cbor() {
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(
        bench.send(Command::GetAssertion, &[0xa0]),
        Err(Status::MISSING_PARAMETER)
    );
    assert_eq!(
        bench.send(Command::GetNextAssertion, &[]),
        Err(Status::NOT_ALLOWED)
    );
}
