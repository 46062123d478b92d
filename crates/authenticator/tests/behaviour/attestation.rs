//! Attestation: formats (CTAP 2.2 attestationFormatsPreference), enterprise attestation (§6.1.2
//! step 9), and the algorithms of FIPS 204.

use ctap::cbor::Value;
use ctap::entities::RpEntity;
use ctap::make_credential::Request;
use ctap::{Command, Status};
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::bench::{Bench, HASH, Made, RP, mc_options, params, sha256};

const KEY: &str = "fido-2.3-complete";

fn preferring(bench: &Bench, formats: &[&str]) -> Request {
    Request {
        attestation_formats_preference: Some(formats.iter().map(|f| (*f).to_owned()).collect()),
        ..bench.mc(None)
    }
}

fn statement(made: &Made) -> Value {
    made.response.att_stmt.as_ref().unwrap().value().unwrap()
}

fn bytes<'a>(statement: &'a Value, name: &str) -> &'a [u8] {
    statement.get_text(name).unwrap().as_bytes().unwrap()
}

/// The public key of the attestation certificate: an uncompressed P-256 point after its BIT STRING
/// header.
fn certificate_key(statement: &Value) -> CoseKey {
    let Some(Value::Array(chain)) = statement.get_text("x5c") else {
        panic!("no certificate");
    };
    let certificate = chain[0].as_bytes().unwrap();
    let header = [0x03, 0x42, 0x00, 0x04];
    let at = certificate.windows(4).position(|w| w == header).unwrap() + 4;
    CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        crv: webauthn::cose::curve::P256,
        x: certificate[at..at + 32].to_vec(),
        y: certificate[at + 32..at + 64].to_vec(),
    }
}

#[test]
fn the_first_format_that_the_key_can_make_is_made() {
    let mut bench = Bench::new(KEY);
    let formats = bench.info().attestation_formats.unwrap();
    assert_eq!(formats, ["packed", "fido-u2f"]);
    for (wanted, made) in [
        (&[][..], "packed"),
        (&["none"], "none"),
        (&["tpm", "fido-u2f", "packed"], "fido-u2f"),
        (&["packed", "fido-u2f"], "packed"),
        (&["tpm"], "packed"),
    ] {
        let answer = bench.make(&preferring(&bench, wanted)).unwrap();
        assert_eq!(answer.response.fmt, made, "{wanted:?}");
    }
    // Before 2.3 the parameter is not known.
    let mut bench = Bench::new("fido-2.1");
    let answer = bench.make(&preferring(&bench, &["none"])).unwrap();
    assert_eq!(answer.response.fmt, "packed");
    // And without the format, the next one counts.
    let mut bench = Bench::new("fido-2.3");
    let answer = bench.make(&preferring(&bench, &["fido-u2f"])).unwrap();
    assert_eq!(answer.response.fmt, "packed");
}

#[test]
fn fido_u2f_signs_what_u2f_signs() {
    let mut bench = Bench::new(KEY);
    let made = bench.make(&preferring(&bench, &["fido-u2f"])).unwrap();
    let statement = statement(&made);
    assert!(statement.get_text("alg").is_none());
    let CoseKey::Ec2 { x, y, .. } = &made.key else {
        panic!("not an EC key");
    };
    let rp_id_hash = sha256(RP.as_bytes());
    let signed = [&[0][..], &rp_id_hash, &HASH, &made.id, &[4], x, y].concat();
    let key = certificate_key(&statement);
    assert!(crate::bench::verifies(
        &key,
        &signed,
        bytes(&statement, "sig")
    ));
    // It knows ES256 only.
    let mut request = preferring(&bench, &["fido-u2f"]);
    request.pub_key_cred_params = vec![params(CoseAlgorithm::EDDSA)];
    assert_eq!(bench.make(&request).unwrap().response.fmt, "packed");
}

#[test]
fn packed_basic_and_packed_self_are_the_profiles() {
    let mut bench = Bench::new(KEY);
    let made = bench.make(&bench.mc(None)).unwrap();
    let basic = statement(&made);
    let signed = [&made.response.auth_data[..], &HASH].concat();
    let key = certificate_key(&basic);
    assert!(crate::bench::verifies(&key, &signed, bytes(&basic, "sig")));
    let mut profile = crate::bench::profile("fido-2.1");
    profile.attestation.kind = authenticator::profile::AttestationKind::SelfAttestation;
    let mut bench = Bench::of(profile);
    let made = bench.make(&bench.mc(None)).unwrap();
    let own = statement(&made);
    assert!(own.get_text("x5c").is_none());
    let signed = [&made.response.auth_data[..], &HASH].concat();
    assert!(crate::bench::verifies(
        &made.key,
        &signed,
        bytes(&own, "sig")
    ));
}

fn enterprise(bench: &Bench, kind: u64, rp_id: &str) -> Request {
    Request {
        enterprise_attestation: Some(kind),
        rp: RpEntity {
            id: rp_id.into(),
            name: None,
        },
        ..bench.mc(None)
    }
}

#[test]
fn vendor_facilitated_attestation_is_for_the_relying_parties_of_the_key() {
    let mut bench = Bench::new(KEY);
    assert_eq!(
        bench
            .make(&enterprise(&bench, 1, "enterprise.example"))
            .unwrap_err(),
        Status::INVALID_PARAMETER,
        "not enabled"
    );
    bench.config(1, None, None).unwrap();
    let serial_of = |made: &Made| {
        let Some(Value::Array(chain)) = statement(made).get_text("x5c").cloned() else {
            panic!("no certificate");
        };
        chain[0].as_bytes().unwrap().to_vec()
    };
    let ordinary = bench.make(&bench.mc(None)).unwrap();
    for (kind, rp_id, told) in [
        (1, "enterprise.example", true),
        (1, "sub.enterprise.example", false),
        (1, "example.com", false),
        (2, "example.com", true),
        (2, "enterprise.example", true),
    ] {
        let made = bench.make(&enterprise(&bench, kind, rp_id)).unwrap();
        assert_eq!(made.response.ep_att, told.then_some(true), "{kind} {rp_id}");
        assert_eq!(
            serial_of(&made) != serial_of(&ordinary),
            told,
            "{kind} {rp_id}"
        );
    }
    assert_eq!(
        bench
            .make(&enterprise(&bench, 3, "example.com"))
            .unwrap_err(),
        Status::INVALID_OPTION
    );
}

#[test]
fn ml_dsa_keys_sign_stored_and_sealed() {
    for algorithm in [CoseAlgorithm::ML_DSA_44, CoseAlgorithm::ML_DSA_65] {
        for rk in [false, true] {
            let mut bench = Bench::new("post-quantum");
            let request = Request {
                pub_key_cred_params: vec![params(algorithm), params(CoseAlgorithm::ES256)],
                options: Some(mc_options(rk)),
                ..bench.mc(None)
            };
            let made = bench.make(&request).unwrap();
            assert_eq!(made.key.algorithm(), algorithm);
            bench.restart();
            let assertion = bench.get(&bench.ga(None, &[&made.id])).unwrap();
            assert!(made.signed(&assertion), "{algorithm} {rk}");
            let other = [&assertion.auth_data[..], &[0; 32]].concat();
            assert!(!crate::bench::verifies(
                &made.key,
                &other,
                &assertion.signature
            ));
        }
    }
}

#[test]
fn only_the_post_quantum_key_announces_ml_dsa() {
    for (id, text) in authenticator::profile::all() {
        let profile = authenticator::Profile::from_toml(text).unwrap();
        let has = profile
            .credentials
            .algorithms
            .iter()
            .any(|a| (-50..=-48).contains(&a.0));
        assert_eq!(has, id == "post-quantum", "{id}");
    }
    let mut bench = Bench::new("fido-2.3");
    let request = Request {
        pub_key_cred_params: vec![params(CoseAlgorithm::ML_DSA_44)],
        ..bench.mc(None)
    };
    let answer = bench.send(Command::MakeCredential, &request.encode());
    assert_eq!(answer.unwrap_err(), Status::UNSUPPORTED_ALGORITHM);
}
