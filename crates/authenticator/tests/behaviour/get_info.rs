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

#[test]
fn verifications_by_finger_are_counted_until_the_pin_is_entered() {
    let mut profile = crate::bench::profile("fido-2.3-complete");
    profile.built_in_uv.enrolled = true;
    let mut bench = Bench::of(profile);
    bench.set_pin(PIN).unwrap();
    let count = |bench: &mut Bench| bench.info().uv_count_since_last_pin_entry;
    assert_eq!(count(&mut bench), Some(0));
    let ga = Permissions::GET_ASSERTION;
    bench.uv_token(ga, Some("example.com")).unwrap();
    assert_eq!(count(&mut bench), Some(1));
    bench.person = crate::bench::Person::Lays(authenticator::FingerMatch::NoMatch);
    bench.uv_token(ga, Some("example.com")).unwrap_err();
    bench.restart();
    assert_eq!(count(&mut bench), Some(2), "failed ones too");
    bench.plain_token("wrong").unwrap_err();
    assert_eq!(count(&mut bench), Some(2));
    bench.plain_token(PIN).unwrap();
    assert_eq!(count(&mut bench), Some(0));
    let none = Bench::new("fido-2.1-bio").info();
    assert_eq!(none.uv_count_since_last_pin_entry, None);
}

#[test]
fn the_fingerprint_key_before_2_1_enrols_by_the_prototype() {
    let mut bench = Bench::with_pin("fido-2.0-bio");
    let info = bench.info();
    assert_eq!(info.versions, ["U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE"]);
    let options = info.options.unwrap();
    assert_eq!(
        (options.uv, options.user_verification_mgmt_preview),
        (Some(true), Some(true))
    );
    assert_eq!(
        (options.bio_enroll, options.pin_uv_auth_token),
        (None, None)
    );
    let token = bench.plain_token(PIN).unwrap();
    let command = ctap::bio_enrollment::SubCommand::EnrollBegin;
    let message = ctap::bio_enrollment::authenticated_message(command, None);
    let request = ctap::bio_enrollment::Request {
        modality: Some(1),
        sub_command: Some(command.code()),
        sub_command_params: None,
        pin_uv_auth_protocol: Some(1),
        pin_uv_auth_param: Some(bench.protocol.authenticate(&token, &message)),
        get_modality: None,
    };
    let answer = bench
        .send(Command::BioEnrollmentPreview, &request.encode())
        .unwrap();
    let answer = ctap::bio_enrollment::Response::decode(&answer).unwrap();
    assert_eq!(answer.remaining_samples, Some(3));
    assert_eq!(
        bench.send(Command::BioEnrollment, &request.encode()),
        Err(ctap::Status::INVALID_COMMAND)
    );
}
