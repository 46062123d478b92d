//! CTAP 2.3 §6: encodings that were not made by this crate.
//!
//! The requests of §6.1 and §6.2 and the assertion are the examples that the specification has carried
//! since CTAP 2.0 (their user has an `icon`, which no longer exists and is passed over). The others
//! are written by hand from its tables, byte by byte.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::hex;
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::{
    Raw, bio_enrollment, client_pin, config, credential_management, get_assertion, get_info,
    large_blobs, make_credential,
};
use webauthn::cose::{CoseAlgorithm, CoseKey};

const CLIENT_DATA_HASH: &str = "687134968222ec17202e42505f8ed2b16ae22f16bb05b88c25db9e602645f141";
const USER_ID: &str = "3082019330820138a0030201023082019330820138a003020102308201933082";
const CREDENTIAL_ID: &str = "
    f22006de4f905af68a43942f024f2a5ece603d9c6d4b3df8be08ed01fc442646
    d034858ac75bed3fd580bf9808d94fcbee82b9b2ef6677af0adcc35852ea6b9e";
const AUTH_DATA: &str =
    "625ddadf743f5727e66bba8c2e387922d1af43c503d9114a8fba104d84d02bfa0100000011";
/// `"icon": "https://pics.example.com/00/p/aBjjjpqPb.png"`
const ICON: &str = "6469636f6e
    782b68747470733a2f2f706963732e6578616d706c652e636f6d2f30302f702f61426a6a6a707150622e706e67";
/// `"name": "johnpsmith@example.com", "displayName": "John P. Smith"`
const NAMES: &str = "646e616d65 766a6f686e70736d697468406578616d706c652e636f6d
    6b646973706c61794e616d65 6d4a6f686e20502e20536d697468";
/// `"example.com"`
const EXAMPLE_COM: &str = "6b6578616d706c652e636f6d";
/// `"type": "public-key"`
const TYPE: &str = "6474797065 6a7075626c69632d6b6579";
/// The x coordinate of the base point of P-256, and its y coordinate.
const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

/// A message and its one encoding, both ways.
macro_rules! same {
    ($type:ty, $bytes:expr, $message:expr) => {
        let bytes = hex(&$bytes);
        let message: $type = $message;
        assert_eq!(<$type>::decode(&bytes).as_ref(), Ok(&message));
        assert_eq!(message.encode(), bytes);
    };
}

fn user() -> UserEntity {
    UserEntity {
        id: hex(USER_ID),
        name: Some("johnpsmith@example.com".to_owned()),
        display_name: Some("John P. Smith".to_owned()),
    }
}

/// The user of the examples as a map, with and without the icon.
fn users() -> [String; 2] {
    let id = format!("626964 5820 {USER_ID}");
    [
        format!("a4 {id} {ICON} {NAMES}"),
        format!("a3 {id} {NAMES}"),
    ]
}

fn key() -> CoseKey {
    CoseKey::Ec2 {
        alg: CoseAlgorithm::ECDH_ES_HKDF_256,
        crv: 1,
        x: hex(X),
        y: hex(Y),
    }
}

/// `{1: 2, 3: -25, -1: 1, -2: x, -3: y}`
fn key_bytes() -> String {
    format!("a5 01 02 03 3818 20 01 21 5820 {X} 22 5820 {Y}")
}

#[test]
fn make_credential_requests() {
    let [old, new] = users().map(|user| {
        format!(
            "a5 01 5820 {CLIENT_DATA_HASH}
             02 a2 626964 {EXAMPLE_COM} 646e616d65 6441636d65
             03 {user}
             04 82 a2 63616c67 26 {TYPE} a2 63616c67 390100 {TYPE}
             07 a1 62726b f5"
        )
    });
    let request = make_credential::Request {
        client_data_hash: hex(CLIENT_DATA_HASH).try_into().unwrap(),
        rp: RpEntity {
            id: "example.com".to_owned(),
            name: Some("Acme".to_owned()),
        },
        user: user(),
        pub_key_cred_params: vec![
            CredentialParameters::public_key(CoseAlgorithm::ES256),
            CredentialParameters::public_key(CoseAlgorithm::RS256),
        ],
        exclude_list: None,
        extensions: None,
        options: Some(make_credential::Options {
            rk: Some(true),
            ..Default::default()
        }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    let read = make_credential::Request::decode(&hex(&old));
    assert_eq!(read.as_ref(), Ok(&request));
    same!(make_credential::Request, new, request);
}

#[test]
fn make_credential_answers() {
    // attStmt {"alg": -7, "sig": h'30020101'}
    let statement = "a2 63616c67 26 63736967 4430020101";
    same!(
        make_credential::Response,
        format!("a3 01 667061636b6564 02 5825 {AUTH_DATA} 03 {statement}"),
        make_credential::Response {
            fmt: "packed".to_owned(),
            auth_data: hex(AUTH_DATA),
            att_stmt: Some(Raw::new(hex(statement)).unwrap()),
            ep_att: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        }
    );
}

#[test]
fn make_credential_extensions() {
    // {"credProtect": 2, "hmac-secret": true}, {"credProtect": 2, "minPinLength": 4}
    same!(
        make_credential::ExtensionsInput,
        "a2 6b6372656450726f74656374 02 6b686d61632d736563726574 f5",
        make_credential::ExtensionsInput {
            cred_protect: Some(2),
            hmac_secret: Some(true),
            ..Default::default()
        }
    );
    same!(
        make_credential::ExtensionsOutput,
        "a2 6b6372656450726f74656374 02 6c6d696e50696e4c656e677468 04",
        make_credential::ExtensionsOutput {
            cred_protect: Some(2),
            min_pin_length: Some(4),
            ..Default::default()
        }
    );
}

#[test]
fn get_assertion_requests() {
    let other = [0x03; 50];
    let other_hex = "03".repeat(50);
    same!(
        get_assertion::Request,
        format!(
            "a4 01 {EXAMPLE_COM} 02 5820 {CLIENT_DATA_HASH}
             03 82 a2 626964 5840 {CREDENTIAL_ID} {TYPE} a2 626964 5832 {other_hex} {TYPE}
             05 a1 627576 f5"
        ),
        get_assertion::Request {
            rp_id: "example.com".to_owned(),
            client_data_hash: hex(CLIENT_DATA_HASH).try_into().unwrap(),
            allow_list: Some(vec![
                CredentialDescriptor::public_key(hex(CREDENTIAL_ID)),
                CredentialDescriptor::public_key(other),
            ]),
            extensions: None,
            options: Some(get_assertion::Options {
                uv: Some(true),
                ..Default::default()
            }),
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        }
    );
}

#[test]
fn get_assertion_extensions() {
    // {"hmac-secret": {1: key, 2: h'11…', 3: h'22…', 4: 2}}
    let (salt, auth) = ("11".repeat(48), "22".repeat(32));
    same!(
        get_assertion::ExtensionsInput,
        format!(
            "a1 6b686d61632d736563726574
             a4 01 {} 02 5830 {salt} 03 5820 {auth} 04 02",
            key_bytes()
        ),
        get_assertion::ExtensionsInput {
            hmac_secret: Some(get_assertion::BoolOr::Other(
                get_assertion::HmacSecretInput {
                    key_agreement: key(),
                    salt_enc: vec![0x11; 48].into(),
                    salt_auth: vec![0x22; 32],
                    pin_uv_auth_protocol: Some(2),
                }
            )),
            ..Default::default()
        }
    );
    same!(
        get_assertion::ExtensionsOutput,
        format!("a1 6b686d61632d736563726574 5830 {salt}"),
        get_assertion::ExtensionsOutput {
            hmac_secret: Some(vec![0x11; 48].into()),
            ..Default::default()
        }
    );
}

#[test]
fn get_assertion_answers() {
    let signature = "304502204a5a9dd39298149d904769b51a451433006f182a34fbdf66de5fc717d75fb350
        022100a46b8ea3c3b933821c6e7f5ef9daae94ab47f18db474c74790eaabb14411e7a0";
    let [old, new] = users().map(|user| {
        format!(
            "a5 01 a2 626964 5840 {CREDENTIAL_ID} {TYPE}
             02 5825 {AUTH_DATA} 03 5847 {signature} 04 {user} 05 01"
        )
    });
    let answer = get_assertion::Response {
        credential: Some(CredentialDescriptor::public_key(hex(CREDENTIAL_ID))),
        auth_data: hex(AUTH_DATA),
        signature: hex(signature),
        user: Some(user()),
        number_of_credentials: Some(1),
        user_selected: None,
        large_blob_key: None,
        unsigned_extension_outputs: None,
    };
    let read = get_assertion::Response::decode(&hex(&old));
    assert_eq!(read.as_ref(), Ok(&answer));
    same!(get_assertion::Response, new, answer);
}

#[test]
fn get_info_answers() {
    // versions, extensions, aaguid, options {rk, up, plat, clientPin}, maxMsgSize 1200, protocols
    let bytes = hex("a6 01 82 665532465f5632 684649444f5f325f30
        02 82 6375766d 6b686d61632d736563726574
        03 50 f8a011f38c0a4d15800617111f9edc7d
        04 a4 62726b f5 627570 f5 64706c6174 f4 69636c69656e7450696e f4
        05 1904b0 06 81 01");
    let info = get_info::Response::decode(&bytes).unwrap();
    assert_eq!(info.versions, ["U2F_V2", "FIDO_2_0"]);
    assert!(info.has_extension("uvm") && info.has_extension("hmac-secret"));
    assert_eq!(
        info.aaguid.to_vec(),
        hex("f8a011f38c0a4d15800617111f9edc7d")
    );
    let options = get_info::Options {
        rk: Some(true),
        up: Some(true),
        plat: Some(false),
        client_pin: Some(false),
        ..Default::default()
    };
    assert_eq!(info.options, Some(options));
    assert_eq!(info.max_msg_size, Some(1200));
    assert_eq!(info.pin_uv_auth_protocols, Some(vec![1]));
    assert_eq!(info.min_pin_length, None);
    assert_eq!(info.encode(), bytes);
}

#[test]
fn client_pin_requests() {
    let token_request = client_pin::Request {
        pin_uv_auth_protocol: Some(2),
        sub_command: 0x09,
        key_agreement: Some(key()),
        pin_uv_auth_param: None,
        new_pin_enc: None,
        pin_hash_enc: Some(vec![0x33; 32].into()),
        permissions: Some(3),
        rp_id: Some("example.com".to_owned()),
    };
    same!(
        client_pin::Request,
        format!(
            "a6 01 02 02 09 03 {} 06 5820 {} 09 03 0a {EXAMPLE_COM}",
            key_bytes(),
            "33".repeat(32)
        ),
        token_request.clone()
    );
    same!(
        client_pin::Request,
        "a2 01 01 02 02",
        client_pin::Request {
            pin_uv_auth_protocol: Some(1),
            sub_command: 0x02,
            key_agreement: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
            ..token_request
        }
    );
}

#[test]
fn client_pin_answers() {
    same!(
        client_pin::Response,
        format!("a1 01 {}", key_bytes()),
        client_pin::Response {
            key_agreement: Some(key()),
            ..Default::default()
        }
    );
    same!(
        client_pin::Response,
        "a2 03 08 04 f4",
        client_pin::Response {
            pin_retries: Some(8),
            power_cycle_state: Some(false),
            ..Default::default()
        }
    );
}

#[test]
fn config_requests() {
    same!(
        config::Request,
        format!("a4 01 03 02 a2 01 06 03 f5 03 02 04 5820 {X}"),
        config::Request {
            sub_command: 0x03,
            sub_command_params: Some(Raw::new(hex("a2 01 06 03 f5")).unwrap()),
            pin_uv_auth_protocol: Some(2),
            pin_uv_auth_param: Some(hex(X)),
        }
    );
    same!(
        config::SetMinPinLengthParams,
        format!("a3 01 06 02 81 {EXAMPLE_COM} 03 f5"),
        config::SetMinPinLengthParams {
            new_min_pin_length: Some(6),
            min_pin_length_rp_ids: Some(vec!["example.com".to_owned()]),
            force_change_pin: Some(true),
            pin_complexity_policy: None,
        }
    );
}

#[test]
fn credential_management_messages() {
    let params = format!("a1 01 5820 {X}");
    same!(
        credential_management::Request,
        format!("a4 01 04 02 {params} 03 01 04 50 {}", "44".repeat(16)),
        credential_management::Request {
            sub_command: 0x04,
            sub_command_params: Some(Raw::new(hex(&params)).unwrap()),
            pin_uv_auth_protocol: Some(1),
            pin_uv_auth_param: Some(vec![0x44; 16]),
        }
    );
    same!(
        credential_management::SubCommandParams,
        params,
        credential_management::SubCommandParams {
            rp_id_hash: Some(hex(X).try_into().unwrap()),
            ..Default::default()
        }
    );
    same!(
        credential_management::Response,
        format!("a3 03 a1 626964 {EXAMPLE_COM} 04 5820 {X} 05 1818"),
        credential_management::Response {
            rp: Some(RpEntity {
                id: "example.com".to_owned(),
                name: None,
            }),
            rp_id_hash: Some(hex(X).try_into().unwrap()),
            total_rps: Some(24),
            ..Default::default()
        }
    );
}

#[test]
fn bio_enrollment_messages() {
    same!(
        bio_enrollment::Request,
        format!("a5 01 01 02 01 03 a1 03 192710 04 02 05 5820 {X}"),
        bio_enrollment::Request {
            modality: Some(1),
            sub_command: Some(1),
            sub_command_params: Some(Raw::new(hex("a1 03 192710")).unwrap()),
            pin_uv_auth_protocol: Some(2),
            pin_uv_auth_param: Some(hex(X)),
            get_modality: None,
        }
    );
    same!(
        bio_enrollment::Response,
        "a3 04 420102 05 00 06 03",
        bio_enrollment::Response {
            template_id: Some(vec![1, 2]),
            last_enroll_sample_status: Some(0),
            remaining_samples: Some(3),
            ..Default::default()
        }
    );
}

/// The answer is the initial serialized large-blob array of §6.10.
#[test]
fn large_blobs_messages() {
    same!(
        large_blobs::Request,
        "a2 01 1903c0 03 00",
        large_blobs::Request {
            get: Some(960),
            set: None,
            offset: 0,
            length: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        }
    );
    let empty = "8076be8b528d0075f7aae98d6fa57a6d3c";
    same!(
        large_blobs::Response,
        format!("a1 01 51 {empty}"),
        large_blobs::Response { config: hex(empty) }
    );
}
