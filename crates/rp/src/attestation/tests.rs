//! Statements of real authenticators, found in public test fixtures. Their client data is not
//! known, so each must be correct in all but that: it is refused for the signature or nonce, not for
//! a certificate, key or structure that was misread. Needs the shared test data.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use webauthn::attestation_object::AttestationObject;
use webauthn::base64url;

use super::statement::Statement;
use super::*;

/// Certificates that do not meet the requirements: the first digits of the object's SHA-256, and
/// words of the reason.
const BAD_CERTIFICATES: &[(&str, &str)] = &[("0cb2d75d", "is of model 5d75d75d")];

fn objects() -> Option<Vec<(String, Vec<u8>)>> {
    let folder = std::env::var("PINWARD_DATA").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned()
    });
    let path = format!("{folder}/attestation-objects.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {path} is missing; set PINWARD_DATA");
        return None;
    };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let object = |object: &serde_json::Value| {
        let text = object["b64"].as_str().unwrap().trim_end_matches('=');
        let bytes = base64url::decode(text.replace('+', "-").replace('/', "_")).unwrap();
        (object["sha256"].as_str().unwrap()[..8].to_owned(), bytes)
    };
    Some(
        json["objects"]
            .as_array()
            .unwrap()
            .iter()
            .map(object)
            .collect(),
    )
}

#[test]
fn real_statements_lack_only_their_client_data() {
    let Some(objects) = objects() else { return };
    let (mut checked, mut certified) = (0, 0);
    for (id, bytes) in objects {
        // What is not canonical CBOR is the business of the webauthn crate's tests.
        let Ok(object) = AttestationObject::parse(&bytes) else {
            continue;
        };
        let Ok(auth_data) = AuthenticatorData::parse(object.auth_data) else {
            continue;
        };
        let credential = auth_data.attested_credential_data.unwrap();
        let key = credential.public_key().unwrap();
        let input = Input {
            att_stmt: object.att_stmt,
            auth_data: object.auth_data,
            parsed: &auth_data,
            credential: &credential,
            key: &key,
            client_data_hash: &[0; 32],
        };
        match (object.fmt, verify(object.fmt, &input)) {
            ("none", Some(Ok(_)))
            | (
                "packed" | "fido-u2f" | "android-key",
                Some(Err(AttestationError::Signature(SignatureError::Invalid))),
            )
            | ("tpm" | "apple", Some(Err(AttestationError::NotThisCeremony(_))))
            | ("android-safetynet" | "apple-appattest", None) => checked += 1,
            (fmt, other) => panic!("{id} {fmt}: {other:?}"),
        }
        certified += usize::from(check_certificate(&id, object.fmt, &input));
    }
    // So many that the loop cannot have passed over them.
    assert!(checked >= 85 && certified >= 50, "{checked} {certified}");
}

fn check_certificate(id: &str, fmt: &str, input: &Input<'_>) -> bool {
    let members = ["alg", "sig", "x5c", "ver", "certInfo", "pubArea"];
    let Ok(statement) = Statement::read(input.att_stmt, &members) else {
        return false;
    };
    let Some(x5c) = statement.x5c().unwrap() else {
        return false;
    };
    let certificate = certificate::Certificate::parse(&x5c[0]).unwrap();
    let result = match fmt {
        "packed" => packed::check_certificate(&certificate)
            .and_then(|()| certificate.check_aaguid(input.credential.aaguid)),
        "tpm" => tpm::check_certificate(&certificate),
        _ => Ok(()),
    };
    match (result, BAD_CERTIFICATES.iter().find(|(bad, _)| *bad == id)) {
        (Ok(()), None) => {}
        (Err(error), Some((_, words))) => {
            assert!(error.to_string().contains(words), "{id} {error}")
        }
        (other, expected) => panic!("{id}: expected {expected:?}, got {other:?}"),
    }
    true
}
