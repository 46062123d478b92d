//! Extensions on running software keys: large blobs in both forms, secrets, small blobs.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Pinward, Ran, SoftKey};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

fn create(key: &SoftKey, extensions: &Value, resident: &str, more: &str) -> Ran {
    let options = json!({
        "rp": {"name": "Example", "id": "example.org"},
        "user": {"id": "AQ", "name": "kim", "displayName": ""},
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"userVerification": "discouraged", "residentKey": resident},
        "extensions": extensions,
    });
    Pinward::new(&format!("create --origin https://example.org {more}"))
        .keys(&[key])
        .input(&options.to_string())
        .run()
}

fn get(key: &SoftKey, made: &Value, extensions: &Value, more: &str) -> Ran {
    let options = json!({
        "challenge": "AAECAwQFBgcICQoLDA0ODw", "userVerification": "discouraged",
        "allowCredentials": [{"type": "public-key", "id": made["id"]}],
        "extensions": extensions,
    });
    Pinward::new(&format!("get --origin https://example.org {more}"))
        .keys(&[key])
        .input(&options.to_string())
        .run()
}

fn results(ran: Ran) -> Value {
    ran.ok().json()["clientExtensionResults"].clone()
}

/// Registers two credentials, writes, reads, writes over, and reads the other.
fn keeps_blobs(key: &SoftKey, more: &str) {
    let support = json!({"largeBlob": {"support": "required"}});
    let made = create(key, &support, "required", more).ok().json();
    assert_eq!(
        made["clientExtensionResults"]["largeBlob"],
        json!({"supported": true})
    );
    let other = create(key, &support, "required", more).ok().json();
    let read = json!({"largeBlob": {"read": true}});
    let blob = |byte: u8, length| webauthn::base64url::encode(vec![byte; length]);
    let write = |byte, length| json!({"largeBlob": {"write": blob(byte, length)}});
    let written = json!({"largeBlob": {"written": true}});
    assert_eq!(
        results(get(key, &other, &read, more)),
        json!({"largeBlob": {}})
    );
    assert_eq!(results(get(key, &other, &write(1, 40), more)), written);
    assert_eq!(
        results(get(key, &other, &write(2, 700), more)),
        written,
        "in place of the first"
    );
    assert_eq!(
        results(get(key, &other, &read, more)),
        json!({"largeBlob": {"blob": blob(2, 700)}})
    );
}

#[test]
fn blobs_go_into_the_array_that_all_sites_share() {
    keeps_blobs(&SoftKey::new(ARRAY), "");
    let key = SoftKey::with_pin(ARRAY);
    // Writing wants the PIN although the site discourages it; so it is named each time.
    keeps_blobs(&key, "--pin env:PIN");
}

#[test]
fn each_credential_has_its_own_blob_in_the_array() {
    let key = SoftKey::new(ARRAY);
    let support = json!({"largeBlob": {"support": "preferred"}});
    let made = ["kim", "lee"].map(|name| {
        let options = json!({
            "rp": {"name": "Example", "id": "example.org"},
            "user": {"id": webauthn::base64url::encode(name.as_bytes()), "name": name, "displayName": ""},
            "challenge": "AAECAwQFBgcICQoLDA0ODw",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "authenticatorSelection": {"userVerification": "discouraged", "residentKey": "required"},
            "extensions": support,
        });
        Pinward::new("create --origin https://example.org").keys(&[&key])
            .input(&options.to_string()).run().ok().json()
    });
    // Bytes that do not pack well, so that the array takes several fragments.
    let bytes: Vec<u8> = (0..1500_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let long = webauthn::base64url::encode(&bytes);
    for (made, blob) in made.iter().zip([long.as_str(), "AQID"]) {
        let write = json!({"largeBlob": {"write": blob}});
        assert_eq!(
            results(get(&key, made, &write, "")),
            json!({"largeBlob": {"written": true}})
        );
    }
    for (made, blob) in made.iter().zip([long.as_str(), "AQID"]) {
        let read = json!({"largeBlob": {"read": true}});
        assert_eq!(
            results(get(&key, made, &read, "")),
            json!({"largeBlob": {"blob": blob}})
        );
    }
    // Too much for the key: the sign-in stands, the blob does not.
    let mut bytes = vec![0; 60_000];
    ChaCha20Rng::seed_from_u64(1).fill_bytes(&mut bytes);
    let write = json!({"largeBlob": {"write": webauthn::base64url::encode(&bytes)}});
    assert_eq!(
        results(get(&key, &made[0], &write, "")),
        json!({"largeBlob": {"written": false}})
    );
    let read = json!({"largeBlob": {"read": true}});
    assert_eq!(
        results(get(&key, &made[1], &read, "")),
        json!({"largeBlob": {"blob": "AQID"}})
    );
}

#[test]
fn a_key_of_ctap_2_3_keeps_the_blob_itself() {
    keeps_blobs(&SoftKey::new(EXTENSION), "");
    let key = SoftKey::with_pin(EXTENSION);
    keeps_blobs(&key, "--pin env:PIN");
}

#[test]
fn a_server_side_credential_has_no_blob() {
    for profile in [ARRAY, EXTENSION] {
        let key = SoftKey::new(profile);
        let preferred = json!({"largeBlob": {"support": "preferred"}});
        let outputs = results(create(&key, &preferred, "discouraged", ""));
        assert_eq!(
            outputs["largeBlob"],
            json!({"supported": false}),
            "{profile}"
        );
        let required = json!({"largeBlob": {"support": "required"}});
        create(&key, &required, "discouraged", "")
            .code(8)
            .says("large blob");
    }
}

#[test]
fn secrets_come_at_registration_where_the_key_can() {
    let key = SoftKey::with_pin(ARRAY);
    let prf = json!({"prf": {"eval": {"first": "AQID", "second": "BAUG"}}});
    let made = create(&key, &prf, "discouraged", "--pin env:PIN")
        .ok()
        .json();
    let at_once = &made["clientExtensionResults"]["prf"];
    assert_eq!(at_once["enabled"], true);
    let signed = get(&key, &made, &prf, "--pin env:PIN");
    let later = results(signed);
    assert_eq!(
        at_once["results"], later["prf"]["results"],
        "hmac-secret-mc gives what hmac-secret gives"
    );
    assert_ne!(at_once["results"]["first"], at_once["results"]["second"]);
    let id = made["id"].as_str().unwrap();
    let by_credential = json!({"prf": {"evalByCredential": {id: {"first": "BAUG"}}}});
    let own = results(get(&key, &made, &by_credential, "--pin env:PIN"));
    assert_eq!(own["prf"]["results"]["first"], at_once["results"]["second"]);
}

#[test]
fn a_small_blob_comes_back() {
    let key = SoftKey::with_pin("fido-2.1");
    let made = create(
        &key,
        &json!({"credBlob": "AQID"}),
        "required",
        "--pin env:PIN",
    )
    .ok()
    .json();
    assert_eq!(made["clientExtensionResults"]["credBlob"], true);
    let outputs = results(get(&key, &made, &json!({"getCredBlob": true}), ""));
    assert_eq!(outputs["getCredBlob"], "AQID");
}

/// A key with largeBlobKey, the array, and hmac-secret-mc.
const ARRAY: &str = "fido-2.3-complete";

/// A key with the extension largeBlob of CTAP 2.3, which excludes the array.
const EXTENSION: &str = "large-blob";
