//! Attestation objects found in public test fixtures, most of them made by real authenticators and
//! browsers: all are read, except those that are not what the text allows. Needs the shared test
//! data.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::base64url;

/// What is refused: why, and the first digits of the object's SHA-256. Most come from data that
/// libraries and conformance tools generate for their own tests. Should a browser of today turn up
/// here, that is a reason to think again.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "not in canonical order",
        &[
            "077bf874", "e917a299", "0602f949", "454965d7", "07aabfaf", "c73d69ce", "2bf27658",
            "2beb32e2", "c65a171d", "282480fb",
        ],
    ),
    (
        "indefinite length",
        &[
            "a14ec4ba", "81c4edbf", "46cb4882", "a390f8aa", "04dedfb6", "e9117149", "6e00123f",
            "08ea3ac6", "2343c2bd", "25afcdbe", "ce51043e", "cf44ae8f", "c5e229d6",
        ],
    ),
    ("shortest form", &["83eeb715", "c83125a8"]),
    // With the integer keys of CTAP instead of WebAuthn's names.
    ("another type was expected", &["c95f9820", "ebe8f5c7"]),
    (
        "bytes follow the authenticator data",
        &["cbbae34d", "a596f165", "85b7ca1d"],
    ),
];

#[test]
fn objects_are_read_unless_they_are_not_allowed() {
    let folder = std::env::var("PINWARD_DATA").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned()
    });
    let path = format!("{folder}/attestation-objects.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {path} is missing; set PINWARD_DATA");
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for object in json["objects"].as_array().unwrap() {
        let id = &object["sha256"].as_str().unwrap()[..8];
        let expected = REFUSED
            .iter()
            .find(|row| row.1.contains(&id))
            .map(|row| row.0);
        let text = object["b64"].as_str().unwrap().trim_end_matches('=');
        let bytes = base64url::decode(text.replace('+', "-").replace('/', "_")).unwrap();
        match (read(&bytes, object), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(words)) if error.contains(words) => {}
            (result, expected) => {
                wrong.push(format!("{id}: expected {expected:?}, got {result:?}"))
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads an object and compares what is read with what its description says.
fn read(bytes: &[u8], described: &serde_json::Value) -> Result<(), String> {
    let object = AttestationObject::parse(bytes).map_err(|error| error.to_string())?;
    let data = AuthenticatorData::parse(object.auth_data).map_err(|error| error.to_string())?;
    let credential = data.attested_credential_data.ok_or("no credential")?;
    let key = credential.public_key().map_err(|error| error.to_string())?;
    assert_eq!(object.encode(), bytes);
    assert_eq!(object.fmt, described["fmt"]);
    assert_eq!(u64::from(data.sign_count), described["signCount"]);
    assert_eq!(
        credential.aaguid.to_string(),
        described["aaguid"].as_str().unwrap()
    );
    assert_eq!(credential.credential_id.len(), described["credIdLen"]);
    assert_eq!(i64::from(key.algorithm().0), described["alg"]);
    assert_eq!(
        u64::from(data.flags.user_verified()),
        described["flags"]["UV"]
    );
    Ok(())
}
