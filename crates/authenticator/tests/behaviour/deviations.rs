//! Profiles of deviant and of small keys do what they say, and no other key does.

use ctap::Status;
use ctap::make_credential;
use webauthn::cose::CoseAlgorithm;

use crate::bench::{Bench, RP, counter, params};

#[test]
fn one_denies_where_a_token_is_wanted() {
    for (id, status) in [
        ("fido-2.1", Status::PUAT_REQUIRED),
        ("deviant-denies-uv", Status::OPERATION_DENIED),
    ] {
        let mut bench = Bench::with_pin(id);
        assert_eq!(bench.make(&bench.mc(None)).unwrap_err(), status, "{id}");
        assert!(bench.asked.is_empty());
        bench.make_simply(true, 1, RP);
    }
}

#[test]
fn one_reads_eight_algorithms_and_the_others_any_number() {
    for (id, capped) in [("fido-2.1", false), ("deviant-caps-params", true)] {
        for count in [8, 9, 40] {
            let mut bench = Bench::new(id);
            let mut list = vec![params(CoseAlgorithm::ES512); count - 1];
            list.push(params(CoseAlgorithm::ES256));
            let request = make_credential::Request {
                pub_key_cred_params: list,
                ..bench.mc(None)
            };
            let made = bench.make(&request).map(drop);
            let expected = if capped && count > 8 {
                Err(Status::INVALID_CBOR)
            } else {
                Ok(())
            };
            assert_eq!(made, expected, "{id} {count}");
        }
    }
}

#[test]
fn one_counts_down_and_the_others_up() {
    for (id, down) in [("fido-2.1", false), ("deviant-counter", true)] {
        let mut bench = Bench::new(id);
        let made = bench.make_simply(false, 1, RP);
        let mut count = || {
            let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
            assert!(made.signed(&assertion));
            counter(&assertion.auth_data)
        };
        let (first, second) = (count(), count());
        assert_eq!(second < first, down, "{id}");
    }
}

#[test]
fn a_tiny_key_is_full_after_eight() {
    let mut bench = Bench::new("tiny");
    for user in 0..8 {
        assert_eq!(
            bench.info().remaining_discoverable_credentials,
            Some(8 - u64::from(user))
        );
        bench.make_simply(true, user, RP);
    }
    let request = make_credential::Request {
        user: crate::bench::user(9),
        options: Some(crate::bench::mc_options(true)),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::KEY_STORE_FULL);
    // What takes no storage still works, and so does replacing.
    bench.make_simply(false, 9, RP);
    bench.make_simply(true, 3, RP);
}

#[test]
fn a_card_has_no_usb_and_its_tokens_last_19_8_seconds() {
    let mut bench = Bench::with_pin("nfc-card");
    let transports = bench.info().transports.unwrap();
    assert!(!transports.contains(&"usb".to_owned()));
    let token = bench.mc_token();
    bench.now += core::time::Duration::from_millis(19_800);
    assert_eq!(
        bench.make(&bench.mc(Some(&token))).unwrap_err(),
        Status::PIN_AUTH_INVALID
    );
}
