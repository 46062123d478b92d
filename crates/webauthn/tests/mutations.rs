//! No reader panics on mutated inputs, and what a strict reader accepts is written back unchanged.
//! `PINWARD_MUTATIONS` sets the number of inputs for each reader (default 20,000). One million for each:
//! `PINWARD_MUTATIONS=1000000 cargo test --release -p webauthn --test mutations`
#![allow(clippy::unwrap_used, clippy::panic)]

use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{
    self, Aaguid, AttestedCredentialData, AuthenticatorData, Flags,
};
use webauthn::cbor::{self, Value};
use webauthn::client_data::{self, CollectedClientData};
use webauthn::cose::{CoseAlgorithm, CoseKey};
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
};
use webauthn::origin::Origin;
use webauthn::related_origins::RelatedOrigins;
use webauthn::response::{AuthenticationResponseJson, RegistrationResponseJson};
use webauthn::{base64url, rp_id};

/// xorshift64*: repeatable, and good enough to choose bytes.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

/// Heads and characters that mean something to a reader.
const TELLING: &[u8] = b"\x00\x01\x17\x18\x19\x1a\x1b\x1f\x20\x3b\x40\x58\x5b\x5f\x60\x7b\x80\x9b\x9f\xa0\xbb\xbf\xc0\xf4\xf6\xf7\xf9\xfb\xff\"\\{}[],:/@#.-_=u\x7f";

fn mutate(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, TELLING[dice.below(TELLING.len())]),
            2 => bytes.extend_from_slice(&seed[dice.below(seed.len())..]),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 if at < bytes.len() => bytes[at] = TELLING[dice.below(TELLING.len())],
            5 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            6 if at < bytes.len() => {
                let part = bytes[at..(at + dice.below(40)).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {}
        }
    }
    bytes
}

fn count() -> usize {
    std::env::var("PINWARD_MUTATIONS").map_or(20_000, |count| count.parse().unwrap())
}

/// Feeds mutations of the seeds to a reader.
fn run(seeds: &[Vec<u8>], read: impl Fn(&[u8])) {
    for seed in seeds {
        read(seed);
    }
    let mut dice = Dice(0x5eed);
    for round in 0..count() {
        read(&mutate(&seeds[round % seeds.len()], &mut dice));
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn keys() -> Vec<Vec<u8>> {
    [
        CoseKey::Ec2 {
            alg: CoseAlgorithm::ES256,
            crv: 1,
            x: vec![1; 32],
            y: vec![2; 32],
        },
        CoseKey::Okp {
            alg: CoseAlgorithm::EDDSA,
            crv: 6,
            x: vec![3; 32],
        },
        CoseKey::Rsa {
            alg: CoseAlgorithm::RS256,
            n: vec![0xf1; 256],
            e: vec![1, 0, 1],
        },
        CoseKey::Ec2 {
            alg: CoseAlgorithm(-70000),
            crv: 99,
            x: vec![],
            y: vec![2],
        },
    ]
    .map(|key| key.encode())
    .to_vec()
}

fn auth_data() -> Vec<Vec<u8>> {
    let keys = keys();
    let attested = AttestedCredentialData {
        aaguid: Aaguid([9; 16]),
        credential_id: &[5; 40],
        credential_public_key: &keys[0],
    };
    let extensions: &[u8] = b"\xa2\x6bcredProtect\x03\x6cminPinLength\x06";
    let encode = |attested, extensions| {
        authenticator_data::encode(&[7; 32], Flags::UP | Flags::UV, 7, attested, extensions)
    };
    vec![
        encode(None, None),
        encode(Some(&attested), None),
        encode(None, Some(extensions)),
        encode(Some(&attested), Some(extensions)),
    ]
}

#[test]
fn cbor_items() {
    let mut seeds = keys();
    seeds.extend(
        auth_data()
            .into_iter()
            .map(|data| Value::Bytes(data).encode()),
    );
    seeds.push(
        Value::Map(vec![
            (
                1.into(),
                Value::Array(vec![Value::Null, Value::Bool(true), Value::Float(1.5)]),
            ),
            (
                "text".into(),
                Value::Map(vec![((-1).into(), Value::Integer(u64::MAX.into()))]),
            ),
        ])
        .encode(),
    );
    run(&seeds, |bytes| {
        let checked = cbor::check(bytes);
        if let Ok((item, rest)) = cbor::split(bytes) {
            assert_eq!([item, rest].concat(), bytes);
            assert_eq!(cbor::check(item), Ok(()));
            assert_eq!(checked.is_ok(), rest.is_empty());
        }
        if let Ok(value) = Value::decode(bytes) {
            assert_eq!(checked, Ok(()));
            Value::decode(&value.encode()).unwrap();
        }
    });
}

#[test]
fn cose_keys() {
    run(&keys(), |bytes| {
        if let Ok(key) = CoseKey::parse(bytes) {
            assert_eq!(key.encode(), bytes);
        }
    });
}

#[test]
fn authenticator_data() {
    run(&auth_data(), |bytes| {
        let Ok(data) = AuthenticatorData::parse(bytes) else {
            return;
        };
        let attested = data.attested_credential_data;
        let (hash, extensions) = (data.rp_id_hash, data.extensions);
        let again = authenticator_data::encode(
            hash,
            data.flags,
            data.sign_count,
            attested.as_ref(),
            extensions,
        );
        assert_eq!(again, bytes);
        let _ = attested.map(|attested| attested.public_key().is_ok());
    });
}

#[test]
fn attestation_objects() {
    let auth_data = auth_data();
    let att_stmt: &[u8] = b"\xa2\x63alg\x26\x63sig\x41\x00";
    let seeds = ["none", "packed"].map(|fmt| {
        AttestationObject {
            fmt,
            att_stmt,
            auth_data: &auth_data[1],
        }
        .encode()
    });
    run(&seeds, |bytes| {
        if let Ok(object) = AttestationObject::parse(bytes) {
            assert_eq!(object.encode(), bytes);
        }
    });
}

#[test]
fn client_data() {
    let top = Some("https://top.example");
    let seeds = [
        client_data::serialize(
            client_data::TYPE_GET,
            &[1; 32],
            "https://example.org",
            false,
            None,
        ),
        client_data::serialize(
            client_data::TYPE_CREATE,
            &[1; 32],
            "https://\u{e9}\"\\.org",
            true,
            top,
        ),
    ];
    run(&seeds, |bytes| drop(CollectedClientData::parse(bytes)));
}

#[test]
fn origins_and_rp_ids() {
    let seeds = texts(&[
        "https://login.example.co.uk:8443",
        "http://localhost:8080",
        "https://[2001:db8::1]:1",
        "https://192.168.0.1",
        "https://b\u{fc}cher.example",
        "android:apk-key-hash:AAAA_-",
        "kim.github.io",
    ]);
    let page: Origin = "https://a.b.example.co.uk".parse().unwrap();
    run(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = rp_id::check(&text);
        let _ = rp_id::validate(&text, &page);
        let Ok(origin) = Origin::parse(&text) else {
            return;
        };
        let written = origin.to_string();
        assert_eq!(Origin::parse(&written).unwrap(), origin, "{text:?}");
        assert!(origin.is_serialized_as(&written));
        if let Some(domain) = origin.effective_domain() {
            let _ = rp_id::validate(domain, &origin);
            let _ = rp_id::validate("example.co.uk", &origin);
        }
    });
}

#[test]
fn related_origins() {
    let caller: Origin = "https://shop.example.co.uk".parse().unwrap();
    let seeds = texts(&[
        r#"{"origins":["https://shop.example.co.uk","https://example.de:8443","x"],"note":[1]}"#,
        r#"{"origins":["http://a.example","https://127.0.0.1","https://b\u00fccher.example/x"]}"#,
    ]);
    assert!(RelatedOrigins::parse(&seeds[0]).unwrap().allows(&caller));
    run(&seeds, |bytes| {
        if let Ok(related) = RelatedOrigins::parse(bytes) {
            let _ = (related.allows(&caller), related.faults());
        }
    });
}

#[test]
fn base64url_text() {
    run(&texts(&["AAECAwQFBgcICQ", "-_8"]), |bytes| {
        if let Ok(decoded) = base64url::decode(bytes) {
            assert_eq!(base64url::encode(&decoded).as_bytes(), bytes);
            assert!(base64url::is_encoding_of(
                core::str::from_utf8(bytes).unwrap(),
                &decoded
            ));
        }
    });
}

#[test]
fn aaguids() {
    run(&texts(&["00112233-4455-6677-8899-aabbccddeeff"]), |bytes| {
        let Ok(text) = core::str::from_utf8(bytes) else {
            return;
        };
        if let Ok(aaguid) = text.parse::<Aaguid>() {
            assert_eq!(aaguid.to_string(), text.to_lowercase());
        }
    });
}

#[test]
fn json_of_options_and_responses() {
    let seeds = texts(&[
        r#"{"rp":{"name":"E","id":"example.org"},"user":{"id":"AQID","name":"kim","displayName":""},"challenge":"AAECAwQFBgcICQoLDA0ODw","pubKeyCredParams":[{"type":"public-key","alg":-7}],"timeout":1,"excludeCredentials":[{"type":"public-key","id":"AQ","transports":["usb"]}],"authenticatorSelection":{"residentKey":"required","userVerification":"discouraged"},"attestation":"direct","extensions":{"credProps":true,"prf":{"eval":{"first":"AQ"}}}}"#,
        r#"{"challenge":"AA","rpId":"example.org","allowCredentials":[],"userVerification":"required","hints":["security-key"],"extensions":{"appid":"x","largeBlob":{"read":true}}}"#,
        r#"{"id":"AQID","rawId":"AQID","response":{"clientDataJSON":"e30","authenticatorData":"AA","transports":["usb"],"publicKeyAlgorithm":-7,"attestationObject":"oA"},"authenticatorAttachment":"platform","clientExtensionResults":{"credProps":{"rk":true}},"type":"public-key"}"#,
        r#"{"id":"AQID","rawId":"AQID","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":"BQ"},"clientExtensionResults":{},"type":"public-key"}"#,
    ]);
    run(&seeds, |bytes| {
        // What is read is written in a form that is read as the same.
        macro_rules! read {
            ($type:ty) => {
                if let Ok(value) = serde_json::from_slice::<$type>(bytes) {
                    let text = serde_json::to_string(&value).unwrap();
                    assert_eq!(serde_json::from_str::<$type>(&text).unwrap(), value);
                }
            };
        }
        read!(PublicKeyCredentialCreationOptionsJson);
        read!(PublicKeyCredentialRequestOptionsJson);
        read!(RegistrationResponseJson);
        read!(AuthenticationResponseJson);
    });
}
