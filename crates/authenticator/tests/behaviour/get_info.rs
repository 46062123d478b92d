//! CTAP 2.3 §6.4 authenticatorGetInfo.

use ctap::Command;
use ctap::client_pin::Permissions;
use ctap::get_info::Options;

use crate::bench::{Bench, PIN};

#[test]
fn a_2_0_key_says_what_a_2_0_key_knew() {
    let mut bench = Bench::new("fido-2.0");
    let info = bench.info();
    assert_eq!(info.versions, ["U2F_V2", "FIDO_2_0"]);
    let expected = Options {
        rk: Some(true),
        up: Some(true),
        plat: Some(false),
        client_pin: Some(false),
        ..Options::default()
    };
    assert_eq!(info.options, Some(expected));
    assert_eq!(info.pin_uv_auth_protocols, Some(vec![1]));
    assert_eq!(
        (info.algorithms, info.transports, info.min_pin_length),
        (None, None, None)
    );
}

#[test]
fn a_2_1_key_says_what_it_has() {
    let mut bench = Bench::new("fido-2.1-muv");
    let info = bench.info();
    let options = info.options.clone().unwrap();
    assert_eq!(options.uv, None, "clients take false for a sensor");
    assert_eq!(
        (
            options.pin_uv_auth_token,
            options.cred_mgmt,
            options.authnr_cfg,
            options.set_min_pin_length
        ),
        (Some(true), Some(true), Some(true), Some(true))
    );
    assert_eq!(
        (options.always_uv, options.make_cred_uv_not_rqd),
        (Some(false), Some(true))
    );
    assert_eq!(info.force_pin_change, Some(false));
    assert_eq!(info.min_pin_length, Some(4));
    assert_eq!(info.max_credential_count_in_list, Some(8));
    assert_eq!(info.remaining_discoverable_credentials, Some(100));
    assert!(
        info.algorithms
            .unwrap()
            .iter()
            .all(|params| params.alg.0 > -48 || params.alg.0 == -257)
    );
    assert_eq!(info.authenticator_config_commands, None, "a member of 2.3");
}

#[test]
fn a_2_3_key_lists_its_config_commands_and_not_2_2() {
    let info = Bench::new("fido-2.3").info();
    assert!(!info.versions.iter().any(|version| version == "FIDO_2_2"));
    assert_eq!(info.authenticator_config_commands, Some(vec![1, 2, 3]));
    assert_eq!(info.attestation_formats, Some(vec!["packed".to_owned()]));
    assert_eq!(info.max_pin_length, Some(63));
}

#[test]
fn client_pin_follows_the_pin() {
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(bench.info().options.unwrap().client_pin, Some(false));
    bench.set_pin(PIN).unwrap();
    assert_eq!(bench.info().options.unwrap().client_pin, Some(true));
}

#[test]
fn always_uv_takes_u2f_and_make_cred_uv_not_rqd_away() {
    let info = Bench::new("fido-2.1-always-uv").info();
    assert_eq!(info.versions, ["FIDO_2_0", "FIDO_2_1"]);
    let options = info.options.unwrap();
    assert_eq!(
        (options.always_uv, options.make_cred_uv_not_rqd),
        (Some(true), Some(false))
    );
}

#[test]
fn remaining_credentials_count_down() {
    let mut bench = Bench::with_pin("fido-2.1");
    bench.make_simply(true, 1, "example.com");
    bench.make_simply(false, 2, "example.com");
    assert_eq!(bench.info().remaining_discoverable_credentials, Some(99));
}

#[test]
fn a_sensor_is_announced_with_its_state() {
    let mut bench = Bench::new("fido-2.1-bio");
    let info = bench.info();
    assert_eq!(info.options.unwrap().uv, Some(true));
    assert_eq!(
        (info.uv_modality, info.preferred_platform_uv_attempts),
        (Some(2), Some(3))
    );
}

#[test]
fn a_u2f_key_knows_no_ctap2() {
    let mut bench = Bench::new("u2f-only");
    assert_eq!(
        bench.send(Command::GetInfo, &[]),
        Err(ctap::Status::INVALID_COMMAND)
    );
}

#[test]
fn get_info_leaves_a_token_alone() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench
        .token(PIN, Permissions::MAKE_CREDENTIAL, Some("example.com"))
        .unwrap();
    bench.info();
    bench.make(&bench.mc(Some(&token))).unwrap();
}
