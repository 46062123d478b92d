//! The 15 registration and authentication pairs of WebAuthn Level 3, "Test Vectors", and tampered
//! variants of them. Needs the shared test data.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::vectors::{self, Vector, Vectors};
use rp::attestation::Trust;
use rp::policy::AttestationTrustPolicy;

/// The vectors that are not supported: the code of the refusal, and why. One that passes, or that
/// is refused otherwise, fails the test.
const EXPECTED_FAILURES: &[(&str, &str, &str)] = &[(
    "packed-ed448",
    "algorithm",
    "the crypto library (aws-lc-rs) has no Ed448",
)];

fn expected_failure(vector: &Vector) -> Option<&'static str> {
    EXPECTED_FAILURES
        .iter()
        .find(|row| row.0 == vector.id)
        .map(|row| row.1)
}

/// Whether the format has a certificate, so that trust can be demanded.
fn has_certificate(vector: &Vector) -> bool {
    !(vector.fmt == "none" || vector.id.starts_with("packed-self"))
}

fn trust_of(vector: &Vector) -> AttestationTrustPolicy {
    if has_certificate(vector) {
        AttestationTrustPolicy::Trusted
    } else {
        AttestationTrustPolicy::Any
    }
}

#[test]
fn every_vector_passes_or_is_an_expected_failure() {
    let Some(vectors) = vectors::load() else {
        return;
    };
    assert_eq!(vectors.cases.len(), 15);
    for id in EXPECTED_FAILURES.iter().map(|row| row.0) {
        assert!(
            vectors.cases.iter().any(|case| case.id == id),
            "no such vector: {id}"
        );
    }
    let mut wrong = Vec::new();
    for vector in &vectors.cases {
        let outcome = run(&vectors, vector);
        let expected = expected_failure(vector);
        if outcome.as_ref().err().map(|(code, _)| *code) != expected {
            wrong.push(format!(
                "{}: expected {expected:?}, got {outcome:?}",
                vector.id
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run(vectors: &Vectors, vector: &Vector) -> Result<(), (&'static str, String)> {
    let refused = |refusal: rp::Refusal| (refusal.code(), refusal.to_string());
    let verdict = vectors
        .register(vector, trust_of(vector))
        .map_err(refused)?;
    assert_eq!(verdict.attestation.fmt, vector.fmt);
    assert_eq!(
        verdict.attestation.trust == Trust::Trusted,
        has_certificate(vector),
        "{}",
        vector.id
    );
    let sign_in = vectors
        .authenticate(vector, &verdict.record)
        .map_err(refused)?;
    assert_eq!(
        sign_in.user_verified,
        vector.authenticator_data[32] & 4 != 0
    );
    Ok(())
}

/// One bit of each byte of what an assertion signs, and of its signature, in turn.
#[test]
fn a_changed_bit_of_an_assertion_is_refused() {
    let Some(vectors) = vectors::load() else {
        return;
    };
    for vector in vectors
        .cases
        .iter()
        .filter(|vector| expected_failure(vector).is_none())
    {
        let record = vectors
            .register(vector, AttestationTrustPolicy::Any)
            .unwrap()
            .record;
        for part in 0..3 {
            let length = [
                vector.authenticator_data.len(),
                vector.authentication_client_data.len(),
                vector.signature.len(),
            ][part];
            for at in 0..length {
                let mut changed = vector.clone();
                let bytes = [
                    &mut changed.authenticator_data,
                    &mut changed.authentication_client_data,
                    &mut changed.signature,
                ];
                bytes.into_iter().nth(part).unwrap()[at] ^= 1 << (at % 8);
                let refusal = vectors
                    .authenticate(&changed, &record)
                    .expect_err(&vector.id);
                if part == 2 {
                    assert_eq!(refusal.code(), "signature", "{} byte {at}", vector.id);
                }
            }
        }
    }
}

/// One bit of each byte of a certified attestation object, in turn.
#[test]
fn a_changed_bit_of_a_trusted_attestation_is_refused() {
    let Some(vectors) = vectors::load() else {
        return;
    };
    let certified =
        |vector: &&Vector| has_certificate(vector) && expected_failure(vector).is_none();
    for vector in vectors.cases.iter().filter(certified) {
        let object = &vector.attestation_object;
        let auth_data = find(object, b"authData").unwrap() + b"authData".len() + 2;
        // A U2F key does not sign flags, counter and AAGUID.
        let unsigned = if vector.fmt == "fido-u2f" {
            auth_data + 32..auth_data + 53
        } else {
            0..0
        };
        for at in (0..object.len()).filter(|at| !unsigned.contains(at)) {
            let mut changed = vector.clone();
            changed.attestation_object[at] ^= 1 << (at % 8);
            let result = vectors.register(&changed, AttestationTrustPolicy::Trusted);
            assert!(
                result.is_err(),
                "{} byte {at} of {}",
                vector.id,
                object.len()
            );
        }
    }
}

/// Each part of one vector put into another.
#[test]
fn parts_of_another_vector_are_refused() {
    let Some(vectors) = vectors::load() else {
        return;
    };
    let supported: Vec<&Vector> = vectors
        .cases
        .iter()
        .filter(|vector| expected_failure(vector).is_none())
        .collect();
    for (a, b) in supported
        .iter()
        .flat_map(|a| supported.iter().map(move |b| (a, b)))
    {
        if a.id == b.id {
            continue;
        }
        let record = vectors
            .register(a, AttestationTrustPolicy::Any)
            .unwrap()
            .record;
        let code = |changed: &Vector| vectors.authenticate(changed, &record).unwrap_err().code();
        let mut changed = (*a).clone();
        changed.signature = b.signature.clone();
        assert_eq!(code(&changed), "signature");
        changed = (*a).clone();
        changed.authentication_client_data = b.authentication_client_data.clone();
        assert_eq!(code(&changed), "challenge");
        changed = (*a).clone();
        changed.credential_id = b.credential_id.clone();
        assert_eq!(code(&changed), "credential-not-allowed");
        changed = (*a).clone();
        changed.authentication_client_data = a.registration_client_data.clone();
        assert_eq!(code(&changed), "client-data-type");
        changed = (*a).clone();
        changed.attestation_object = b.attestation_object.clone();
        let refusal = vectors
            .register(&changed, AttestationTrustPolicy::Any)
            .unwrap_err();
        assert_eq!(refusal.code(), "credential-id");
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
