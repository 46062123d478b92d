//! Nothing in a Relying Party panics on mutated inputs, and no mutation of what is signed is
//! accepted. `PINWARD_MUTATIONS` sets the number of inputs for each test (default 1,000). One million
//! for each: `PINWARD_MUTATIONS=1000000 cargo test --release -p rp --test mutations`
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::made;
use common::vectors;
use common::{Dice, NOW};
use rp::policy::{AttestationTrustPolicy, UserVerificationPolicy};
use rp::seal::SealingKeys;
use rp::{authentication, registration};
use webauthn::attestation_object::AttestationObject;
use webauthn::cbor::Value;
use webauthn::response::{AuthenticationResponseJson, RegistrationResponseJson};

fn count() -> usize {
    std::env::var("PINWARD_MUTATIONS").map_or(1_000, |count| count.parse().unwrap())
}

/// Changes, adds, repeats or removes a few bytes.
fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.below(256) as u8),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            4 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            5 if at < bytes.len() => {
                let part = bytes[at..(at + dice.below(40)).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {}
        }
    }
}

#[test]
fn registrations() {
    let made = made::registration(UserVerificationPolicy::IfSet);
    let answer = made.answer(made.begin().challenge());
    let mut dice = Dice(1);
    for round in 0..count() {
        let mut response = answer.clone();
        mutate(
            match round % 3 {
                0 => &mut response.response.attestation_object.0,
                1 => &mut response.response.client_data_json.0,
                _ => &mut response.raw_id.0,
            },
            &mut dice,
        );
        let _ = registration::finish(made.begin(), &response, false, &made.anchors, NOW);
    }
}

#[test]
fn authentications() {
    let made = made::authentication(UserVerificationPolicy::IfSet);
    let answer = made.answer(made.begin().challenge());
    let mut dice = Dice(2);
    for round in 0..count() {
        let mut response = answer.clone();
        mutate(
            match round % 3 {
                0 => &mut response.response.authenticator_data.0,
                1 => &mut response.response.client_data_json.0,
                _ => &mut response.response.signature.0,
            },
            &mut dice,
        );
        let result = authentication::finish(made.begin(), &response, made.record.as_ref(), NOW);
        assert!(result.is_err() || response == answer, "{response:?}");
    }
}

/// The JSON of responses, states and records.
#[test]
fn json() {
    let made = made::registration(UserVerificationPolicy::IfSet);
    let sign_in = made::authentication(UserVerificationPolicy::IfSet);
    let seeds = [
        serde_json::to_vec(&made.answer(made.begin().challenge())).unwrap(),
        serde_json::to_vec(&sign_in.answer(sign_in.begin().challenge())).unwrap(),
        serde_json::to_vec(&made.begin()).unwrap(),
        serde_json::to_vec(&sign_in.begin()).unwrap(),
        serde_json::to_vec(sign_in.record.as_ref().unwrap()).unwrap(),
    ];
    let mut dice = Dice(3);
    for round in 0..count() {
        let mut bytes = seeds[round % seeds.len()].clone();
        mutate(&mut bytes, &mut dice);
        if let Ok(response) = serde_json::from_slice::<RegistrationResponseJson>(&bytes) {
            let _ = registration::finish(made.begin(), &response, false, &made.anchors, NOW);
        }
        if let Ok(response) = serde_json::from_slice::<AuthenticationResponseJson>(&bytes) {
            let _ =
                authentication::finish(sign_in.begin(), &response, sign_in.record.as_ref(), NOW);
        }
        if let Ok(state) = serde_json::from_slice::<registration::ChallengeState>(&bytes) {
            let answer = made.answer(state.challenge());
            let _ = registration::finish(state, &answer, false, &made.anchors, NOW);
        }
        if let Ok(state) = serde_json::from_slice::<authentication::ChallengeState>(&bytes) {
            let answer = sign_in.answer(state.challenge());
            let _ = authentication::finish(state, &answer, sign_in.record.as_ref(), NOW);
        }
        if let Ok(record) = serde_json::from_slice::<rp::CredentialRecord>(&bytes) {
            let answer = sign_in.answer(sign_in.begin().challenge());
            let _ = authentication::finish(sign_in.begin(), &answer, Some(&record), NOW);
        }
    }
}

/// Sealed states as a browser may hand them back: only the very same text opens.
#[test]
fn sealed_states() {
    let keys = SealingKeys::new(&[1; 32]).with_previous(&[2; 32]);
    let made = made::registration(UserVerificationPolicy::IfSet);
    let sign_in = made::authentication(UserVerificationPolicy::IfSet);
    let mut rng = common::Fixed(vec![7; 32]);
    let seeds = [
        made.begin().seal(&keys, b"session", &mut rng).unwrap(),
        sign_in.begin().seal(&keys, b"session", &mut rng).unwrap(),
    ];
    let mut dice = Dice(5);
    for round in 0..count() {
        let seed = &seeds[round % 2];
        let mut bytes = seed.clone().into_bytes();
        mutate(&mut bytes, &mut dice);
        let text = String::from_utf8_lossy(&bytes);
        let registration = registration::ChallengeState::unseal(&text, &keys, b"session");
        let sign_in = authentication::ChallengeState::unseal(&text, &keys, b"session");
        let same = text == *seed;
        assert_eq!(registration.is_ok(), same && round % 2 == 0, "{text}");
        assert_eq!(sign_in.is_ok(), same && round % 2 == 1, "{text}");
    }
}

/// The members of real attestation statements, certificates above all, mutated one by one and put
/// back into canonical CBOR. Needs the shared test data.
#[test]
fn attestation_statements() {
    let Some(vectors) = vectors::load() else {
        return;
    };
    let mut dice = Dice(4);
    for round in 0..count() {
        let mut vector = vectors.cases[round % vectors.cases.len()].clone();
        let object = AttestationObject::parse(&vector.attestation_object).unwrap();
        let Value::Map(mut members) = Value::decode(object.att_stmt).unwrap() else {
            panic!()
        };
        if members.is_empty() {
            continue;
        }
        let at = dice.below(members.len());
        match &mut members[at].1 {
            Value::Bytes(bytes) => mutate(bytes, &mut dice),
            Value::Array(certificates) => {
                let Some(Value::Bytes(der)) = certificates.first_mut() else {
                    panic!()
                };
                mutate(der, &mut dice);
            }
            other => *other = Value::Integer(-(dice.below(300) as i128)),
        }
        // `alg` is not signed, and ES256 has a second number: -9 means the same for a P-256 key.
        let another_name = members[at] == (Value::from("alg"), Value::Integer(-9));
        let att_stmt = Value::Map(members).encode();
        let changed = AttestationObject {
            att_stmt: &att_stmt,
            ..object
        }
        .encode();
        let unchanged = changed == vector.attestation_object;
        vector.attestation_object = changed;
        let _ = vectors.register(&vector, AttestationTrustPolicy::Any);
        let trusted = vectors.register(&vector, AttestationTrustPolicy::Trusted);
        assert!(
            trusted.is_err() || unchanged || another_name,
            "{} {:02x?}",
            vector.id,
            att_stmt
        );
    }
}
