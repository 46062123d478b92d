//! Known answers from WebAuthn L3 and from another implementation, and what must be refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;

use super::*;

const BOTH: [PinUvAuthProtocol; 2] = [PinUvAuthProtocol::One, PinUvAuthProtocol::Two];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn key(scalar: &Value) -> KeyAgreementKey {
    KeyAgreementKey::from_scalar(&hex(scalar).try_into().unwrap()).unwrap()
}

fn point(x: &Value, y: &Value) -> CoseKey {
    CoseKey::Ec2 {
        alg: CoseAlgorithm::ECDH_ES_HKDF_256,
        crv: curve::P256,
        x: hex(x),
        y: hex(y),
    }
}

fn keys_in_one(secret: &SharedSecret) -> Vec<u8> {
    match secret.protocol {
        PinUvAuthProtocol::One => secret.aes_key.to_vec(),
        PinUvAuthProtocol::Two => [&secret.hmac_key[..], &secret.aes_key[..]].concat(),
    }
}

fn pair(protocol: PinUvAuthProtocol) -> (SharedSecret, SharedSecret) {
    let mut rng = rng();
    let key = KeyAgreementKey::generate(&mut rng).unwrap();
    let (public, platform) = encapsulate(protocol, &key.public_key(), &mut rng).unwrap();
    (platform, key.decapsulate(protocol, &public).unwrap())
}

#[test]
fn fixed_keys_give_the_answers_of_python_fido2() {
    let vectors: Value = serde_json::from_str(include_str!(
        "../../../../vectors/pin-protocol/fixed-keys.json"
    ))
    .unwrap();
    let (authenticator, platform) = (
        key(&vectors["authenticatorPrivateKey"]),
        key(&vectors["platformPrivateKey"]),
    );
    assert_eq!(
        authenticator.public_key(),
        point(&vectors["authenticatorX"], &vectors["authenticatorY"])
    );
    assert_eq!(
        platform.public_key(),
        point(&vectors["platformX"], &vectors["platformY"])
    );
    for case in vectors["protocols"].as_array().unwrap() {
        let protocol = PinUvAuthProtocol::from_number(case["protocol"].as_u64().unwrap()).unwrap();
        let ours = authenticator
            .decapsulate(protocol, &platform.public_key())
            .unwrap();
        let theirs = platform
            .decapsulate(protocol, &authenticator.public_key())
            .unwrap();
        assert_eq!(keys_in_one(&ours), hex(&case["sharedSecret"]));
        assert_eq!(keys_in_one(&theirs), hex(&case["sharedSecret"]));

        let pin = case["pin"].as_str().unwrap();
        let iv = hex(&case["iv"]).try_into().unwrap_or_default();
        let new_pin_enc = theirs.encrypt_with(iv, &pad_pin(pin).unwrap()[..]).unwrap();
        assert_eq!(new_pin_enc, hex(&case["newPinEnc"]));
        assert_eq!(
            ours.decrypt(&new_pin_enc).unwrap()[..],
            pad_pin(pin).unwrap()[..]
        );
        let pin_hash_enc = theirs
            .encrypt_with(iv, &pin_hash(pin.as_bytes())[..])
            .unwrap();
        assert_eq!(pin_hash_enc, hex(&case["pinHashEnc"]));
        assert_eq!(
            theirs.authenticate(&new_pin_enc),
            hex(&case["setPinUvAuthParam"])
        );
        assert!(ours.verify(&new_pin_enc, &hex(&case["setPinUvAuthParam"])));

        let (token, message) = (hex(&case["pinUvAuthToken"]), hex(&case["clientDataHash"]));
        assert_eq!(
            protocol.authenticate(&token, &message),
            hex(&case["pinUvAuthParam"])
        );
        assert!(protocol.verify(&token, &message, &hex(&case["pinUvAuthParam"])));
    }
}

#[test]
fn the_prf_vectors_of_webauthn_level_3_hold() {
    let folder = std::env::var("PINWARD_DATA").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned()
    });
    let Ok(text) = std::fs::read_to_string(format!("{folder}/webauthn-l3-vectors.json")) else {
        println!("skipped: no webauthn-l3-vectors.json in {folder} (set PINWARD_DATA)");
        return;
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let prf = &vectors["prfHmacSecret"];
    let platform = key(&prf["shared"]["platform_key_agreement_private_key"]);
    let public = &prf["shared"]["authenticator_key_agreement_public_key"];
    let authenticator = point(&public["-2"], &public["-3"]);
    let cred_random = hex(&prf["shared"]["authenticator_cred_random"]);
    let cases = prf["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let protocol =
            PinUvAuthProtocol::from_number(case["pinProtocol"].as_u64().unwrap()).unwrap();
        let fields = &case["fields"];
        let secret = platform.decapsulate(protocol, &authenticator).unwrap();
        assert_eq!(keys_in_one(&secret), hex(&fields["shared_secret"]));

        let named = |names: [&str; 2]| -> Vec<u8> {
            names
                .iter()
                .filter(|name| !fields[**name].is_null())
                .flat_map(|name| hex(&fields[*name]))
                .collect()
        };
        let salts = named(["salt1", "salt2"]);
        assert_eq!(
            secret.decrypt(&hex(&fields["salt_enc"])).unwrap()[..],
            salts
        );
        // What the authenticator answers: HMAC-SHA-256 of each salt under CredRandom.
        let outputs: Vec<u8> = salts
            .chunks(32)
            .flat_map(|salt| PinUvAuthProtocol::Two.authenticate(&cred_random, salt))
            .collect();
        assert_eq!(outputs, named(["output1", "output2"]));
        let sent = hex(&fields["output_enc"]);
        assert_eq!(secret.decrypt(&sent).unwrap()[..], outputs);
        let iv = if protocol == PinUvAuthProtocol::Two {
            sent[..16].try_into().unwrap()
        } else {
            [0; 16]
        };
        assert_eq!(secret.encrypt_with(iv, &outputs).unwrap(), sent);
    }
}

#[test]
fn both_sides_agree_and_can_talk() {
    for protocol in BOTH {
        let (platform, key) = pair(protocol);
        let sent = platform.encrypt(&[5; 64], &mut rng()).unwrap();
        assert_eq!(
            sent.len(),
            if protocol == PinUvAuthProtocol::One {
                64
            } else {
                80
            }
        );
        assert_eq!(key.decrypt(&sent).unwrap()[..], [5; 64]);
        assert!(key.verify(&sent, &platform.authenticate(&sent)));
    }
}

#[test]
fn protocol_two_never_repeats_an_iv() {
    let (platform, _) = pair(PinUvAuthProtocol::Two);
    let mut rng = rng();
    let (a, b) = (
        platform.encrypt(&[0; 16], &mut rng).unwrap(),
        platform.encrypt(&[0; 16], &mut rng).unwrap(),
    );
    assert_ne!(a[..16], b[..16]);
    assert_ne!(a[16..], b[16..]);
}

#[test]
fn a_changed_message_or_mac_does_not_verify() {
    for protocol in BOTH {
        let token = [9; 32];
        let mac = protocol.authenticate(&token, b"message");
        assert!(protocol.verify(&token, b"message", &mac));
        assert!(!protocol.verify(&token, b"messagf", &mac));
        assert!(!protocol.verify(&[8; 32], b"message", &mac));
        for i in 0..mac.len() {
            let mut wrong = mac.clone();
            wrong[i] ^= 1;
            assert!(!protocol.verify(&token, b"message", &wrong));
        }
        // A shorter or longer MAC is never accepted, however well it begins.
        assert!(!protocol.verify(&token, b"message", &mac[..mac.len() - 1]));
        assert!(!protocol.verify(&token, b"message", &[&mac[..], &[0]].concat()));
        assert!(!protocol.verify(&token, b"message", &[]));
    }
    // The full HMAC is no MAC of protocol one.
    let full = PinUvAuthProtocol::Two.authenticate(&[9; 32], b"message");
    assert!(!PinUvAuthProtocol::One.verify(&[9; 32], b"message", &full));
}

#[test]
fn lengths_that_are_no_whole_blocks_are_refused() {
    for protocol in BOTH {
        let (platform, key) = pair(protocol);
        for length in [1, 15, 17, 63] {
            assert_eq!(
                platform.encrypt(&vec![0; length], &mut rng()),
                Err(Status::INVALID_LENGTH)
            );
            assert_eq!(
                key.decrypt(&vec![0; length]).unwrap_err(),
                Status::INVALID_LENGTH
            );
        }
    }
    let (_, key) = pair(PinUvAuthProtocol::Two);
    assert_eq!(key.decrypt(&[]).unwrap_err(), Status::INVALID_LENGTH);
}

#[test]
fn a_peer_that_is_no_point_of_the_curve_is_refused() {
    let key = KeyAgreementKey::generate(&mut rng()).unwrap();
    let CoseKey::Ec2 { alg, crv, x, y } =
        KeyAgreementKey::generate(&mut rng()).unwrap().public_key()
    else {
        panic!("not an EC2 key")
    };
    let mut off_curve = y.clone();
    off_curve[31] ^= 1;
    for peer in [
        CoseKey::Ec2 {
            alg,
            crv,
            x: x.clone(),
            y: off_curve,
        },
        CoseKey::Ec2 {
            alg,
            crv,
            x: vec![0; 32],
            y: vec![0; 32],
        },
        CoseKey::Ec2 {
            alg,
            crv,
            x: vec![0xff; 32],
            y: y.clone(),
        },
        CoseKey::Ec2 {
            alg,
            crv,
            x: x[1..].to_vec(),
            y: y.clone(),
        },
        CoseKey::Ec2 {
            alg,
            crv: curve::P384,
            x: x.clone(),
            y: y.clone(),
        },
        CoseKey::Okp {
            alg,
            crv: curve::ED25519,
            x,
        },
    ] {
        for protocol in BOTH {
            assert_eq!(
                key.decapsulate(protocol, &peer).unwrap_err(),
                Status::INVALID_PARAMETER
            );
            assert_eq!(
                encapsulate(protocol, &peer, &mut rng()).unwrap_err(),
                Status::INVALID_PARAMETER
            );
        }
    }
}

#[test]
fn keys_repeat_from_a_seed_and_differ_without() {
    let mut one = rng();
    let first = KeyAgreementKey::generate(&mut one).unwrap().public_key();
    assert_eq!(
        first,
        KeyAgreementKey::generate(&mut rng()).unwrap().public_key()
    );
    assert_ne!(
        first,
        KeyAgreementKey::generate(&mut one).unwrap().public_key()
    );
    assert_eq!(first.algorithm(), CoseAlgorithm(-25));
}

#[test]
fn a_broken_random_source_is_an_error_not_a_hang() {
    struct Zeros;
    impl rand_core::TryRng for Zeros {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
            dst.fill(0);
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Zeros {}
    assert_eq!(
        KeyAgreementKey::generate(&mut Zeros).unwrap_err(),
        Status::OTHER
    );
}

#[test]
fn secrets_are_not_shown() {
    let (platform, _) = pair(PinUvAuthProtocol::Two);
    assert_eq!(format!("{platform:?}"), "SharedSecret(Two, ..)");
    assert_eq!(
        format!("{:?}", KeyAgreementKey::generate(&mut rng()).unwrap()),
        "KeyAgreementKey(..)"
    );
}

#[test]
fn pins_are_padded_to_64_bytes_and_63_is_the_longest() {
    assert_eq!(pad_pin("1234").unwrap()[..6], *b"1234\0\0");
    assert!(pad_pin(&"x".repeat(63)).is_some());
    assert!(pad_pin(&"x".repeat(64)).is_none());
    assert!(pad_pin(&"é".repeat(32)).is_none());
}

#[test]
fn numbers_on_the_wire() {
    for protocol in BOTH {
        assert_eq!(
            PinUvAuthProtocol::from_number(protocol.number().into()),
            Some(protocol)
        );
    }
    assert_eq!([0, 3, 257].map(PinUvAuthProtocol::from_number), [None; 3]);
}
