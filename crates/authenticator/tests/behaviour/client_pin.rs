//! CTAP 2.3 §6.5 authenticatorClientPIN.

use core::time::Duration;

use authenticator::{Fault, FingerMatch, MAX_PIN_RETRIES, MAX_UV_RETRIES};
use ctap::client_pin::{Permissions, Request, SubCommand};
use ctap::pin_protocol::PinUvAuthProtocol;
use ctap::{SecretBytes, Status};

use crate::bench::{Bench, HASH, PIN, Person, RP};

const MC: Permissions = Permissions::MAKE_CREDENTIAL;
const GA: Permissions = Permissions::GET_ASSERTION;

#[test]
fn a_pin_is_set_once_and_changed_with_the_old_one() {
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        let mut bench = Bench::new("fido-2.1");
        bench.protocol = protocol;
        bench.set_pin(PIN).unwrap();
        assert_eq!(bench.set_pin("another"), Err(Status::PIN_AUTH_INVALID));
        assert_eq!(
            bench.change_pin("wrong", "another"),
            Err(Status::PIN_INVALID)
        );
        bench.change_pin(PIN, "another").unwrap();
        assert_eq!(bench.token(PIN, MC, Some(RP)), Err(Status::PIN_INVALID));
        bench.token("another", MC, Some(RP)).unwrap();
    }
}

#[test]
fn a_new_pin_must_be_long_enough_in_code_points_and_short_enough_in_bytes() {
    let mut bench = Bench::new("fido-2.1");
    for short in ["", "123", "äöü", "😌😌😌"] {
        assert_eq!(
            bench.set_pin(short),
            Err(Status::PIN_POLICY_VIOLATION),
            "{short}"
        );
    }
    // 64 bytes leave no room for the zero byte that ends it.
    let (key_agreement, secret) = bench.agree();
    let new_pin_enc = secret.encrypt(&[b'x'; 64], &mut bench.rng).unwrap();
    let request = Request {
        key_agreement: Some(key_agreement),
        pin_uv_auth_param: Some(secret.authenticate(&new_pin_enc)),
        new_pin_enc: Some(SecretBytes::from(new_pin_enc)),
        ..bench.pin_request(SubCommand::SetPin)
    };
    assert_eq!(
        bench.client_pin(&request),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    bench.set_pin(&"x".repeat(63)).unwrap();
    bench.token(&"x".repeat(63), MC, Some(RP)).unwrap();
}

#[test]
fn a_new_pin_that_is_not_64_bytes_is_an_invalid_parameter() {
    let mut bench = Bench::new("fido-2.1");
    for length in [16, 48, 80] {
        let (key_agreement, secret) = bench.agree();
        let new_pin_enc = secret.encrypt(&vec![b'1'; length], &mut bench.rng).unwrap();
        let request = Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&new_pin_enc)),
            new_pin_enc: Some(SecretBytes::from(new_pin_enc)),
            ..bench.pin_request(SubCommand::SetPin)
        };
        assert_eq!(
            bench.client_pin(&request),
            Err(Status::INVALID_PARAMETER),
            "{length}"
        );
    }
}

#[test]
fn a_tampered_set_or_change_costs_nothing_and_changes_nothing() {
    let mut bench = Bench::new("fido-2.1");
    let mut request = bench.set_pin_request(PIN);
    request.pin_uv_auth_param.as_mut().unwrap()[0] ^= 1;
    assert_eq!(bench.client_pin(&request), Err(Status::PIN_AUTH_INVALID));
    bench.set_pin(PIN).unwrap();
    let mut request = bench.change_pin_request("wrong", "another");
    request.pin_uv_auth_param.as_mut().unwrap()[0] ^= 1;
    assert_eq!(bench.client_pin(&request), Err(Status::PIN_AUTH_INVALID));
    assert_eq!(bench.retries(), 8);
}

#[test]
fn every_missing_parameter_is_named_as_such() {
    let mut bench = Bench::with_pin("fido-2.1");
    let (token, _) = bench.token_request(PIN, Some(MC), Some(RP));
    let (plain, _) = bench.token_request(PIN, None, None);
    let change = bench.change_pin_request(PIN, "another");
    for request in [
        Request {
            key_agreement: None,
            ..token.clone()
        },
        Request {
            pin_hash_enc: None,
            ..token.clone()
        },
        Request {
            permissions: None,
            ..token.clone()
        },
        Request {
            rp_id: None,
            ..token.clone()
        },
        Request {
            pin_uv_auth_protocol: None,
            ..token
        },
        Request {
            key_agreement: None,
            ..plain.clone()
        },
        Request {
            pin_hash_enc: None,
            ..plain
        },
        Request {
            pin_uv_auth_param: None,
            ..change.clone()
        },
        Request {
            new_pin_enc: None,
            ..change.clone()
        },
        Request {
            pin_hash_enc: None,
            ..change
        },
        Request {
            pin_uv_auth_protocol: None,
            ..bench.pin_request(SubCommand::GetKeyAgreement)
        },
    ] {
        assert_eq!(
            bench.client_pin(&request),
            Err(Status::MISSING_PARAMETER),
            "{request:?}"
        );
    }
    assert_eq!(bench.retries(), 8);
}

#[test]
fn an_unknown_protocol_or_subcommand_has_its_status() {
    let mut bench = Bench::with_pin("fido-2.1");
    for protocol in [0, 3, 257] {
        let request = Request {
            pin_uv_auth_protocol: Some(protocol),
            ..bench.pin_request(SubCommand::GetKeyAgreement)
        };
        assert_eq!(bench.client_pin(&request), Err(Status::INVALID_PARAMETER));
    }
    for sub_command in [0x00, 0x08, 0x0a, 0xff, 0x06, 0x07] {
        let request = Request {
            sub_command,
            ..bench.pin_request(SubCommand::GetKeyAgreement)
        };
        assert_eq!(
            bench.client_pin(&request),
            Err(Status::INVALID_SUBCOMMAND),
            "{sub_command}"
        );
    }
}

#[test]
fn a_2_0_key_has_no_permissions_and_one_protocol() {
    let mut bench = Bench::with_pin("fido-2.0");
    assert_eq!(
        bench.token(PIN, MC, Some(RP)),
        Err(Status::INVALID_SUBCOMMAND)
    );
    let request = Request {
        pin_uv_auth_protocol: Some(2),
        ..bench.pin_request(SubCommand::GetKeyAgreement)
    };
    assert_eq!(bench.client_pin(&request), Err(Status::INVALID_PARAMETER));
    bench.plain_token(PIN).unwrap();
}

#[test]
fn a_key_without_a_pin_says_so_and_counts_nothing() {
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(bench.plain_token(PIN), Err(Status::PIN_NOT_SET));
    assert_eq!(bench.token(PIN, MC, Some(RP)), Err(Status::PIN_NOT_SET));
    assert_eq!(bench.change_pin(PIN, "another"), Err(Status::PIN_NOT_SET));
    let retries = bench.pin_request(SubCommand::GetPinRetries);
    assert_eq!(bench.client_pin(&retries), Err(Status::PIN_NOT_SET));
    assert_eq!(bench.key.state().pin_retries(), 8);
    let mut answering = crate::bench::profile("fido-2.0");
    answering.pin.retries_without_pin = true;
    assert_eq!(Bench::of(answering).retries(), 8);
}

#[test]
fn wrong_pins_count_down_on_every_subcommand() {
    let mut bench = Bench::with_pin("fido-2.1");
    assert_eq!(bench.plain_token("wrong"), Err(Status::PIN_INVALID));
    assert_eq!(bench.retries(), 7);
    assert_eq!(bench.token("wrong", MC, Some(RP)), Err(Status::PIN_INVALID));
    assert_eq!(bench.retries(), 6);
    assert_eq!(
        bench.change_pin("wrong", "another"),
        Err(Status::PIN_AUTH_BLOCKED)
    );
    assert_eq!(bench.retries(), 5);
}

#[test]
fn the_right_pin_gives_all_tries_back() {
    let mut bench = Bench::with_pin("fido-2.1");
    bench.plain_token("wrong").unwrap_err();
    bench.plain_token("wrong").unwrap_err();
    bench.token(PIN, MC, Some(RP)).unwrap();
    assert_eq!(bench.retries(), 8);
    // And the count of consecutive mismatches begins anew.
    bench.plain_token("wrong").unwrap_err();
    assert_eq!(bench.plain_token("wrong"), Err(Status::PIN_INVALID));
}

#[test]
fn after_three_wrong_pins_only_a_power_cycle_helps_and_nothing_is_spent() {
    let mut bench = Bench::with_pin("fido-2.1");
    for expected in [
        Status::PIN_INVALID,
        Status::PIN_INVALID,
        Status::PIN_AUTH_BLOCKED,
    ] {
        assert_eq!(bench.token("wrong", MC, Some(RP)), Err(expected));
    }
    assert_eq!(bench.retries(), 5);
    for _ in 0..5 {
        assert_eq!(
            bench.token(PIN, MC, Some(RP)),
            Err(Status::PIN_AUTH_BLOCKED),
            "even the right PIN"
        );
        assert_eq!(bench.plain_token(PIN), Err(Status::PIN_AUTH_BLOCKED));
        assert_eq!(
            bench.change_pin(PIN, "another"),
            Err(Status::PIN_AUTH_BLOCKED)
        );
        assert_eq!(
            bench.token("wrong", MC, Some(RP)),
            Err(Status::PIN_AUTH_BLOCKED)
        );
    }
    let response = bench
        .client_pin(&bench.pin_request(SubCommand::GetPinRetries))
        .unwrap();
    assert_eq!(
        (response.pin_retries, response.power_cycle_state),
        (Some(5), Some(true))
    );
    bench.power_cycle();
    let response = bench
        .client_pin(&bench.pin_request(SubCommand::GetPinRetries))
        .unwrap();
    assert_eq!(
        (response.pin_retries, response.power_cycle_state),
        (Some(5), Some(false))
    );
    bench.token(PIN, MC, Some(RP)).unwrap();
    assert_eq!(bench.retries(), 8);
}

/// Spends tries until none is left.
fn block(bench: &mut Bench) {
    for tries in 1..=MAX_PIN_RETRIES {
        let status = bench.token("wrong", MC, Some(RP)).unwrap_err();
        match (tries, tries % 3) {
            (MAX_PIN_RETRIES, _) => assert_eq!(status, Status::PIN_BLOCKED),
            (_, 0) => {
                assert_eq!(status, Status::PIN_AUTH_BLOCKED);
                bench.power_cycle();
            }
            _ => assert_eq!(status, Status::PIN_INVALID),
        }
    }
}

#[test]
fn after_eight_wrong_pins_the_right_one_is_refused_everywhere() {
    let mut bench = Bench::with_pin("fido-2.1");
    block(&mut bench);
    for _ in 0..2 {
        assert_eq!(bench.retries(), 0);
        assert_eq!(bench.token(PIN, MC, Some(RP)), Err(Status::PIN_BLOCKED));
        assert_eq!(bench.plain_token(PIN), Err(Status::PIN_BLOCKED));
        assert_eq!(bench.change_pin(PIN, "another"), Err(Status::PIN_BLOCKED));
        bench.power_cycle();
    }
    bench.restart();
    assert_eq!(
        bench.token(PIN, MC, Some(RP)),
        Err(Status::PIN_BLOCKED),
        "after a restart too"
    );
    assert_eq!(bench.retries(), 0);
}

#[test]
fn the_count_survives_a_restart() {
    let mut bench = Bench::with_pin("fido-2.1");
    for expected in (1..8).rev() {
        bench.token("wrong", MC, Some(RP)).unwrap_err();
        bench.restart();
        assert_eq!(bench.retries(), expected);
    }
    bench.token(PIN, MC, Some(RP)).unwrap();
}

#[test]
fn a_try_is_lost_durably_before_the_pin_is_compared() {
    for (pin, fault) in [
        (PIN, Fault::BeforeWrite),
        (PIN, Fault::AfterWrite),
        ("wrong", Fault::BeforeWrite),
        ("wrong", Fault::AfterWrite),
    ] {
        let mut bench = Bench::with_pin("fido-2.1");
        let (request, _) = bench.token_request(pin, Some(MC), Some(RP));
        bench.store.fail_at(0, fault);
        // Right and wrong cannot be told apart, and the try is gone in memory.
        assert_eq!(bench.client_pin(&request), Err(Status::OTHER));
        assert_eq!(bench.retries(), 7);
        bench.restart();
        assert_eq!(
            bench.retries(),
            if fault == Fault::AfterWrite { 7 } else { 8 }
        );
    }
}

#[test]
fn a_failing_store_gives_no_more_than_eight_tries() {
    let mut bench = Bench::with_pin("fido-2.1");
    bench.store.fail_at(0, Fault::BeforeWrite);
    for _ in 0..8 {
        assert_eq!(bench.token(PIN, MC, Some(RP)), Err(Status::OTHER));
    }
    assert_eq!(bench.token(PIN, MC, Some(RP)), Err(Status::PIN_BLOCKED));
}

#[test]
fn key_agreement_is_fresh_after_power_up_and_after_a_wrong_pin_only() {
    let mut bench = Bench::with_pin("fido-2.1");
    let key = |bench: &mut Bench| {
        bench
            .client_pin(&bench.pin_request(SubCommand::GetKeyAgreement))
            .unwrap()
            .key_agreement
            .unwrap()
    };
    let first = key(&mut bench);
    bench.token(PIN, MC, Some(RP)).unwrap();
    assert_eq!(key(&mut bench), first);
    bench.token("wrong", MC, Some(RP)).unwrap_err();
    let second = key(&mut bench);
    assert_ne!(second, first);
    bench.power_cycle();
    assert_ne!(key(&mut bench), second);
    // Each protocol has its own.
    let two = key(&mut bench);
    bench.protocol = PinUvAuthProtocol::One;
    assert_ne!(key(&mut bench), two);
}

#[test]
fn a_wrong_length_of_the_pin_hash_is_a_wrong_pin() {
    let mut bench = Bench::with_pin("fido-2.1");
    let (key_agreement, secret) = bench.agree();
    let enc = secret.encrypt(&[0; 32], &mut bench.rng).unwrap();
    let request = Request {
        key_agreement: Some(key_agreement),
        pin_hash_enc: Some(SecretBytes::from(enc)),
        ..bench.pin_request(SubCommand::GetPinToken)
    };
    assert_eq!(bench.client_pin(&request), Err(Status::PIN_INVALID));
    assert_eq!(bench.retries(), 7);
}

#[test]
fn a_platform_key_off_the_curve_is_an_invalid_parameter_and_costs_nothing() {
    let mut bench = Bench::with_pin("fido-2.1");
    let (mut request, _) = bench.token_request("wrong", Some(MC), Some(RP));
    let Some(webauthn::cose::CoseKey::Ec2 { y, .. }) = &mut request.key_agreement else {
        panic!("no key")
    };
    y[31] ^= 1;
    assert_eq!(bench.client_pin(&request), Err(Status::INVALID_PARAMETER));
    assert_eq!(bench.retries(), 8);
}

#[test]
fn permissions_that_the_key_does_not_give_are_unauthorized() {
    let mut bench = Bench::with_pin("fido-2.1");
    for permission in [
        Permissions::BIO_ENROLLMENT,
        Permissions::LARGE_BLOB_WRITE,
        Permissions::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY,
    ] {
        assert_eq!(
            bench.token("wrong", permission, None),
            Err(Status::UNAUTHORIZED_PERMISSION)
        );
        assert_eq!(
            bench.token(PIN, permission | MC, Some(RP)),
            Err(Status::UNAUTHORIZED_PERMISSION)
        );
    }
    assert_eq!(
        bench.token(PIN, Permissions(0), Some(RP)),
        Err(Status::INVALID_PARAMETER)
    );
    assert_eq!(bench.retries(), 8);
    // An undefined bit is passed over.
    bench
        .token(PIN, Permissions(0x80 | MC.0), Some(RP))
        .unwrap();
}

#[test]
fn get_pin_token_takes_no_permissions_on_a_2_1_key() {
    let mut bench = Bench::with_pin("fido-2.1");
    let (request, _) = bench.token_request(PIN, None, None);
    for request in [
        Request {
            permissions: Some(1),
            ..request.clone()
        },
        Request {
            rp_id: Some(RP.into()),
            ..request.clone()
        },
    ] {
        assert_eq!(bench.client_pin(&request), Err(Status::INVALID_PARAMETER));
    }
}

#[test]
fn a_new_token_ends_the_old_one() {
    let mut bench = Bench::with_pin("fido-2.1");
    let old = bench.mc_token();
    let new = bench.mc_token();
    assert_eq!(
        bench.make(&bench.mc(Some(&old))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    bench.make(&bench.mc(Some(&new))).unwrap();
}

#[test]
fn a_changed_pin_ends_the_token() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.mc_token();
    bench.change_pin(PIN, "another").unwrap();
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
}

#[test]
fn a_2_1_token_serves_one_command_and_a_2_0_token_many() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.token(PIN, MC | GA, Some(RP)).unwrap();
    let made = bench.make(&bench.mc(Some(&token))).unwrap();
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    assert_eq!(
        bench.get(&bench.ga(Some(&token), &[&made.id])).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );

    let mut bench = Bench::with_pin("fido-2.0");
    let token = bench.plain_token(PIN).unwrap();
    let made = bench.make(&bench.mc(Some(&token))).unwrap();
    bench.make(&bench.mc(Some(&token))).unwrap();
    bench.get(&bench.ga(Some(&token), &[&made.id])).unwrap();
}

#[test]
fn tokens_end_with_their_timers() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.mc_token();
    bench.now += Duration::from_secs(30);
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    let token = bench.mc_token();
    bench.now += Duration::from_millis(29_999);
    bench.make(&bench.mc(Some(&token))).unwrap();
    let token = bench.mc_token();
    bench.power_cycle();
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
}

#[test]
fn a_finger_gives_a_token_with_presence() {
    let mut bench = Bench::new("fido-2.1-bio");
    let token = bench.uv_token(MC, Some(RP)).unwrap();
    let made = bench.make(&bench.mc(Some(&token))).unwrap();
    assert!(made.flags.user_present() && made.flags.user_verified());
    assert!(bench.asked.is_empty(), "the finger was the touch");
    // After 30 s it is not any more: a second token, used late.
    let token = bench.uv_token(MC | GA, Some(RP)).unwrap();
    let wrong = ctap::get_assertion::Request {
        rp_id: RP.into(),
        ..bench.ga(Some(&token), &[&[9; 32]])
    };
    assert_eq!(bench.get(&wrong).unwrap_err(), Status::NO_CREDENTIALS);
    bench.now += Duration::from_secs(31);
    bench.make(&bench.mc(Some(&token))).unwrap();
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn wrong_fingers_count_down_and_then_only_the_pin_helps() {
    let mut bench = Bench::with_pin("fido-2.1-bio");
    let uv_retries = |bench: &mut Bench| {
        bench
            .client_pin(&bench.pin_request(SubCommand::GetUvRetries))
            .unwrap()
            .uv_retries
            .unwrap()
    };
    bench.person = Person::Lays(FingerMatch::NoMatch);
    for left in (0..u64::from(MAX_UV_RETRIES)).rev() {
        let expected = if left == 0 {
            Status::UV_BLOCKED
        } else {
            Status::UV_INVALID
        };
        assert_eq!(bench.uv_token(MC, Some(RP)), Err(expected));
        assert_eq!(uv_retries(&mut bench), left);
    }
    bench.person = Person::Touches;
    assert_eq!(
        bench.uv_token(MC, Some(RP)),
        Err(Status::UV_BLOCKED),
        "the right finger, too late"
    );
    bench.restart();
    assert_eq!(uv_retries(&mut bench), 0);
    bench.token(PIN, MC, Some(RP)).unwrap();
    assert_eq!(uv_retries(&mut bench), u64::from(MAX_UV_RETRIES));
    bench.uv_token(MC, Some(RP)).unwrap();
}

#[test]
fn a_poor_image_and_a_timeout_cost_no_try() {
    let mut bench = Bench::new("fido-2.1-bio");
    bench.person = Person::Waits;
    assert_eq!(
        bench.uv_token(MC, Some(RP)),
        Err(Status::USER_ACTION_TIMEOUT)
    );
    assert_eq!(bench.key.state().uv_retries(), MAX_UV_RETRIES);
    let (key_agreement, _) = bench.agree();
    let request = Request {
        key_agreement: Some(key_agreement),
        permissions: Some(1),
        rp_id: Some(RP.into()),
        ..bench.pin_request(SubCommand::GetPinUvAuthTokenUsingUvWithPermissions)
    };
    let request = ctap::request_bytes(ctap::Command::ClientPin, &request.encode());
    bench.handle(&request);
    for _ in 0..5 {
        let progress = bench.user(authenticator::UserEvent::Finger(FingerMatch::Poor));
        assert!(matches!(progress, authenticator::Progress::Waiting(_)));
    }
    assert_eq!(bench.key.state().uv_retries(), MAX_UV_RETRIES);
}

#[test]
fn a_token_is_bound_to_the_first_relying_party() {
    let mut bench = Bench::with_pin("fido-2.1");
    // 0x05 names none; the first use binds it.
    let token = bench.plain_token(PIN).unwrap();
    let made = bench.make_simply(false, 1, RP);
    let token2 = bench.plain_token(PIN).unwrap();
    assert_ne!(token, token2);
    assert_eq!(
        bench
            .get(&bench.ga(Some(&token2), &[&[1; 32]]))
            .unwrap_err(),
        Status::NO_CREDENTIALS
    );
    let other = ctap::get_assertion::Request {
        rp_id: "other.example".into(),
        ..bench.ga(Some(&token2), &[&made.id])
    };
    assert_eq!(bench.get(&other).unwrap_err(), Status::PIN_AUTH_INVALID);
    bench.get(&bench.ga(Some(&token2), &[&made.id])).unwrap();
}

#[test]
fn a_token_for_one_thing_does_not_do_another() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.ga_token();
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    let token = bench.token(PIN, MC, Some("other.example")).unwrap();
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
    // The other protocol's MAC with the right token.
    let token = bench.mc_token();
    let request = ctap::make_credential::Request {
        pin_uv_auth_param: Some(PinUvAuthProtocol::One.authenticate(&token, &HASH)),
        pin_uv_auth_protocol: Some(1),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::PIN_AUTH_INVALID);
}
