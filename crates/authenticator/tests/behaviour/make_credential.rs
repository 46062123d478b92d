//! CTAP 2.3 §6.1 authenticatorMakeCredential.

use authenticator::{FingerMatch, Interaction, Purpose};
use ctap::Status;
use ctap::client_pin::Permissions;
use ctap::entities::CredentialParameters;
use ctap::make_credential::{Options, Request};
use webauthn::cbor::Value;
use webauthn::cose::CoseAlgorithm;

use crate::bench::{
    Bench, HASH, Made, PIN, Person, RP, counter, descriptor, mc_options, params, profile, sha256,
    user, verifies,
};

fn statement(made: &Made) -> Value {
    made.response.att_stmt.as_ref().unwrap().value().unwrap()
}

fn bytes(value: Option<&Value>) -> Vec<u8> {
    match value {
        Some(Value::Bytes(bytes)) => bytes.clone(),
        other => panic!("not bytes: {other:?}"),
    }
}

#[test]
fn a_credential_is_made_at_a_touch() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make(&bench.mc(None)).unwrap();
    assert!(made.flags.user_present() && !made.flags.user_verified());
    assert_eq!(made.response.auth_data[..32], sha256(RP.as_bytes()));
    assert!(matches!(
        &bench.asked[..],
        [Interaction::Touch {
            purpose: Purpose::MakeCredential { .. },
            ..
        }]
    ));
}

#[test]
fn packed_basic_attestation_verifies_with_the_key_of_its_certificate() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make(&bench.mc(None)).unwrap();
    assert_eq!(made.response.fmt, "packed");
    let statement = statement(&made);
    let Some(Value::Array(chain)) = statement.get_text("x5c") else {
        panic!("no x5c")
    };
    let certificate = bytes(chain.first());
    // The subject's public key: the uncompressed point behind the P-256 algorithm identifier.
    let marker = [
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    let at = certificate
        .windows(marker.len())
        .position(|window| window == marker)
        .unwrap()
        + marker.len();
    let key = webauthn::cose::CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        crv: 1,
        x: certificate[at..at + 32].to_vec(),
        y: certificate[at + 32..at + 64].to_vec(),
    };
    let signed = [&made.response.auth_data[..], &HASH].concat();
    assert!(verifies(&key, &signed, &bytes(statement.get_text("sig"))));
    let aaguid = profile("fido-2.1").aaguid.0;
    assert!(certificate.windows(16).any(|window| window == aaguid));
}

#[test]
fn packed_self_attestation_verifies_with_the_new_key_in_every_algorithm() {
    let mut profile = profile("fido-2.1");
    profile.attestation.kind = authenticator::profile::AttestationKind::SelfAttestation;
    let mut bench = Bench::of(profile);
    for algorithm in [
        CoseAlgorithm::ES256,
        CoseAlgorithm::EDDSA,
        CoseAlgorithm::ES384,
        CoseAlgorithm::RS256,
    ] {
        let request = Request {
            pub_key_cred_params: vec![params(algorithm)],
            ..bench.mc(None)
        };
        let made = bench.make(&request).unwrap();
        let statement = statement(&made);
        assert_eq!(
            statement.get_text("alg"),
            Some(&Value::Integer(algorithm.0.into()))
        );
        assert_eq!(made.key.algorithm(), algorithm);
        let signed = [&made.response.auth_data[..], &HASH].concat();
        assert!(
            verifies(&made.key, &signed, &bytes(statement.get_text("sig"))),
            "{algorithm}"
        );
        let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
        assert!(made.signed(&assertion), "{algorithm}");
    }
}

#[test]
fn no_attestation_if_the_profile_or_the_platform_wants_none() {
    let mut none = profile("fido-2.1");
    none.attestation.kind = authenticator::profile::AttestationKind::None;
    let mut bench = Bench::of(none);
    let made = bench.make(&bench.mc(None)).unwrap();
    assert_eq!(
        (made.response.fmt.as_str(), statement(&made)),
        ("none", Value::Map(vec![]))
    );

    let mut bench = Bench::new("fido-2.3");
    for (preference, fmt) in [
        (&["none"][..], "none"),
        (&["tpm", "none", "packed"], "none"),
        (&["tpm", "packed", "none"], "packed"),
        (&["tpm"], "packed"),
        (&[], "packed"),
    ] {
        let preference = preference
            .iter()
            .map(|format| (*format).to_owned())
            .collect();
        let request = Request {
            attestation_formats_preference: Some(preference),
            ..bench.mc(None)
        };
        assert_eq!(bench.make(&request).unwrap().response.fmt, fmt);
    }
}

#[test]
fn the_first_algorithm_that_the_key_has_is_taken_from_a_list_of_any_length() {
    let mut bench = Bench::new("fido-2.1");
    // What real pages send: the post-quantum ones first, many others, the wanted one at place 12.
    let mut list: Vec<_> = [-48, -49, -50, -9, -19, -51, -52, -53, -47, -36, -37]
        .map(CoseAlgorithm)
        .to_vec();
    list.push(CoseAlgorithm::EDDSA);
    list.push(CoseAlgorithm::ES256);
    let request = Request {
        pub_key_cred_params: list.into_iter().map(params).collect(),
        ..bench.mc(None)
    };
    assert_eq!(
        bench.make(&request).unwrap().key.algorithm(),
        CoseAlgorithm::EDDSA
    );
}

#[test]
fn no_algorithm_in_common_is_unsupported() {
    let mut bench = Bench::new("fido-2.1");
    let other = CredentialParameters {
        alg: CoseAlgorithm::ES256,
        type_: "private-key".into(),
    };
    for list in [vec![], vec![params(CoseAlgorithm::ES512)], vec![other]] {
        let request = Request {
            pub_key_cred_params: list,
            ..bench.mc(None)
        };
        assert_eq!(
            bench.make(&request).unwrap_err(),
            Status::UNSUPPORTED_ALGORITHM
        );
    }
    assert!(bench.asked.is_empty());
}

#[test]
fn an_option_that_cannot_be_is_refused() {
    let mut bench = Bench::new("fido-2.1");
    let with = |options| Request {
        options: Some(options),
        ..Bench::new("fido-2.1").mc(None)
    };
    let options = Options {
        up: Some(false),
        ..Options::default()
    };
    assert_eq!(
        bench.make(&with(options)).unwrap_err(),
        Status::INVALID_OPTION
    );
    let options = Options {
        uv: Some(true),
        ..Options::default()
    };
    assert_eq!(
        bench.make(&with(options)).unwrap_err(),
        Status::INVALID_OPTION
    );
    let options = Options {
        up: Some(true),
        uv: Some(false),
        rk: Some(false),
    };
    bench.make(&with(options)).unwrap();

    let mut no_rk = profile("fido-2.0");
    no_rk.options.rk = false;
    let mut bench = Bench::of(no_rk);
    assert_eq!(
        bench.make(&with(mc_options(true))).unwrap_err(),
        Status::UNSUPPORTED_OPTION
    );
}

#[test]
fn the_uv_option_is_passed_over_beside_a_param() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.mc_token();
    let options = Some(Options {
        uv: Some(true),
        ..Options::default()
    });
    let made = bench
        .make(&Request {
            options,
            ..bench.mc(Some(&token))
        })
        .unwrap();
    assert!(made.flags.user_verified());
}

#[test]
fn a_set_pin_is_demanded_unless_make_cred_uv_not_rqd_allows_otherwise() {
    for id in ["fido-2.0", "fido-2.1-pre", "fido-2.1"] {
        let mut bench = Bench::with_pin(id);
        assert_eq!(
            bench.make(&bench.mc(None)).unwrap_err(),
            Status::PUAT_REQUIRED,
            "{id}"
        );
    }
    let mut bench = Bench::with_pin("fido-2.1-muv");
    assert!(!bench.make(&bench.mc(None)).unwrap().flags.user_verified());
    let discoverable = Request {
        options: Some(mc_options(true)),
        ..bench.mc(None)
    };
    assert_eq!(
        bench.make(&discoverable).unwrap_err(),
        Status::PUAT_REQUIRED
    );
}

#[test]
fn always_uv_demands_a_token_with_and_without_a_pin() {
    let mut bench = Bench::new("fido-2.1-always-uv");
    assert_eq!(
        bench.make(&bench.mc(None)).unwrap_err(),
        Status::PUAT_REQUIRED
    );
    bench.set_pin(PIN).unwrap();
    assert_eq!(
        bench.make(&bench.mc(None)).unwrap_err(),
        Status::PUAT_REQUIRED
    );
    let token = bench.mc_token();
    assert!(
        bench
            .make(&bench.mc(Some(&token)))
            .unwrap()
            .flags
            .user_verified()
    );
}

#[test]
fn an_empty_param_is_a_touch_and_then_the_state_of_the_pin() {
    let mut bench = Bench::new("fido-2.1");
    let empty = Request {
        pin_uv_auth_param: Some(vec![]),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&empty).unwrap_err(), Status::PIN_NOT_SET);
    assert!(matches!(
        &bench.asked[..],
        [Interaction::Touch {
            purpose: Purpose::Selection,
            ..
        }]
    ));
    bench.set_pin(PIN).unwrap();
    assert_eq!(bench.make(&empty).unwrap_err(), Status::PIN_INVALID);
    assert_eq!(bench.retries(), 8);
    bench.person = Person::Waits;
    assert_eq!(bench.make(&empty).unwrap_err(), Status::OPERATION_DENIED);
}

#[test]
fn a_param_needs_its_protocol() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.mc_token();
    let request = Request {
        pin_uv_auth_protocol: None,
        ..bench.mc(Some(&token))
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::MISSING_PARAMETER);
    let request = Request {
        pin_uv_auth_protocol: Some(9),
        ..bench.mc(Some(&token))
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::INVALID_PARAMETER);
    let request = Request {
        pin_uv_auth_param: Some(vec![0; 32]),
        ..bench.mc(Some(&token))
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::PIN_AUTH_INVALID);
    bench.make(&bench.mc(Some(&token))).unwrap();
}

#[test]
fn a_param_on_a_key_without_any_verification_is_not_taken_for_one() {
    let mut bench = Bench::new("fido-2.1");
    let request = bench.mc(Some(&[1; 32]));
    assert_eq!(bench.make(&request).unwrap_err(), Status::PIN_NOT_SET);
}

#[test]
fn a_finger_verifies_and_is_the_touch() {
    let mut bench = Bench::new("fido-2.1-bio");
    let options = Some(Options {
        uv: Some(true),
        ..Options::default()
    });
    let made = bench
        .make(&Request {
            options: options.clone(),
            ..bench.mc(None)
        })
        .unwrap();
    assert!(made.flags.user_present() && made.flags.user_verified());
    assert!(matches!(
        &bench.asked[..],
        [Interaction::BuiltInUv {
            attempts_left: 3,
            ..
        }]
    ));
    // Three wrong fingers end the command: without a PIN there is nothing else.
    bench.person = Person::Lays(FingerMatch::NoMatch);
    let request = Request {
        options: options.clone(),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::OPERATION_DENIED);
    assert_eq!(bench.asked.len(), 3);
    // With one, the platform is told to use it.
    bench.set_pin(PIN).unwrap();
    assert_eq!(bench.make(&request).unwrap_err(), Status::PUAT_REQUIRED);
}

#[test]
fn an_excluded_credential_is_told_after_the_touch() {
    let mut bench = Bench::new("fido-2.1");
    for rk in [false, true] {
        let made = bench.make_simply(rk, 1, RP);
        let exclude = vec![descriptor(&[7; 32]), descriptor(&made.id)];
        let request = Request {
            exclude_list: Some(exclude),
            ..bench.mc(None)
        };
        assert_eq!(
            bench.make(&request).unwrap_err(),
            Status::CREDENTIAL_EXCLUDED
        );
        assert_eq!(bench.asked.len(), 1);
        bench.person = Person::Waits;
        assert_eq!(
            bench.make(&request).unwrap_err(),
            Status::CREDENTIAL_EXCLUDED,
            "touched or not"
        );
        bench.person = Person::Touches;
    }
}

#[test]
fn exclusion_needs_this_relying_party_this_key_and_this_type() {
    let mut bench = Bench::new("fido-2.1");
    let other = bench.make_simply(true, 1, "other.example");
    let sealed_for_other = bench.make_simply(false, 1, "other.example");
    let ours = bench.make_simply(false, 1, RP);
    let mut second = Bench::new("fido-2.1");
    second.restart();
    let mut odd = descriptor(&ours.id);
    odd.type_ = "password".into();
    let mut cut = ours.id.clone();
    cut.pop();
    for descriptor in [
        descriptor(&other.id),
        descriptor(&sealed_for_other.id),
        odd,
        descriptor(&cut),
    ] {
        let request = Request {
            exclude_list: Some(vec![descriptor]),
            ..bench.mc(None)
        };
        bench.make(&request).unwrap();
    }
}

#[test]
fn a_list_longer_than_announced_is_refused() {
    let mut bench = Bench::new("fido-2.1");
    let list = |count: usize| vec![descriptor(&[7; 32]); count];
    bench
        .make(&Request {
            exclude_list: Some(list(8)),
            ..bench.mc(None)
        })
        .unwrap();
    let request = Request {
        exclude_list: Some(list(9)),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::LIMIT_EXCEEDED);
}

#[test]
fn one_discoverable_credential_per_account_and_relying_party() {
    let mut bench = Bench::new("fido-2.1");
    let first = bench.make_simply(true, 1, RP);
    let second = bench.make_simply(true, 1, RP);
    bench.make_simply(true, 2, RP);
    bench.make_simply(true, 1, "other.example");
    assert_eq!(bench.key.state().stored_count(), 3);
    assert_eq!(
        bench.get(&bench.ga(None, &[&first.id])).unwrap_err(),
        Status::NO_CREDENTIALS
    );
    bench.get(&bench.ga(None, &[&second.id])).unwrap();
}

#[test]
fn a_full_key_keeps_what_it_has_and_still_replaces() {
    let mut small = profile("fido-2.1");
    small.credentials.max_stored = 2;
    let mut bench = Bench::of(small);
    bench.make_simply(true, 1, RP);
    bench.make_simply(true, 2, RP);
    let request = Request {
        options: Some(mc_options(true)),
        user: user(3),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::KEY_STORE_FULL);
    bench.make_simply(true, 1, RP);
    bench.make_simply(false, 3, RP);
    assert_eq!(bench.key.state().stored_count(), 2);
}

#[test]
fn other_credentials_take_no_storage_but_rsa_keys() {
    let mut bench = Bench::new("fido-2.1");
    for algorithm in [
        CoseAlgorithm::ES256,
        CoseAlgorithm::EDDSA,
        CoseAlgorithm::ES384,
    ] {
        let request = Request {
            pub_key_cred_params: vec![params(algorithm)],
            ..bench.mc(None)
        };
        let made = bench.make(&request).unwrap();
        assert!(made.id.len() <= 128);
        assert_eq!(bench.key.state().stored_count(), 0, "{algorithm}");
    }
    let request = Request {
        pub_key_cred_params: vec![params(CoseAlgorithm::RS256)],
        ..bench.mc(None)
    };
    let made = bench.make(&request).unwrap();
    assert_eq!(bench.key.state().stored_count(), 1);
    bench.get(&bench.ga(None, &[&made.id])).unwrap();
    assert_eq!(
        bench.get(&bench.ga(None, &[])).unwrap_err(),
        Status::NO_CREDENTIALS,
        "not discoverable"
    );
}

#[test]
fn an_empty_user_id_is_accepted_and_one_of_65_bytes_is_not() {
    let mut bench = Bench::new("fido-2.1");
    for (length, ok) in [(0, true), (64, true), (65, false)] {
        let mut request = bench.mc(None);
        request.user.id = vec![1; length];
        assert_eq!(bench.make(&request).is_ok(), ok, "{length}");
    }
}

#[test]
fn enterprise_attestation_is_an_own_certificate_once_it_is_enabled() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.mc_token();
    let request = Request {
        enterprise_attestation: Some(2),
        ..bench.mc(Some(&token))
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::INVALID_PARAMETER);
    let token = bench
        .token(PIN, Permissions::AUTHENTICATOR_CONFIG, None)
        .unwrap();
    bench.config(1, None, Some(&token)).unwrap();
    let x5c = |bench: &mut Bench, wanted: Option<u64>| {
        let token = bench.mc_token();
        let request = Request {
            enterprise_attestation: wanted,
            ..bench.mc(Some(&token))
        };
        let made = bench.make(&request).unwrap();
        let Some(Value::Array(chain)) = statement(&made).get_text("x5c").cloned() else {
            panic!("no x5c")
        };
        (made.response.ep_att, bytes(chain.first()))
    };
    let ordinary = x5c(&mut bench, None);
    assert_eq!(ordinary.0, None);
    assert_eq!(
        x5c(&mut bench, Some(1)),
        ordinary,
        "no relying party is on the vendor's list"
    );
    let enterprise = x5c(&mut bench, Some(2));
    assert_eq!(enterprise.0, Some(true));
    assert_ne!(enterprise.1, ordinary.1);
    let token = bench.mc_token();
    let request = Request {
        enterprise_attestation: Some(3),
        ..bench.mc(Some(&token))
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::INVALID_OPTION);
}

#[test]
fn the_counter_starts_where_the_key_is() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make(&bench.mc(None)).unwrap();
    assert_eq!(counter(&made.response.auth_data), 0);
    bench.get(&bench.ga(None, &[&made.id])).unwrap();
    let made = bench.make(&bench.mc(None)).unwrap();
    assert_eq!(counter(&made.response.auth_data), 1);
}
