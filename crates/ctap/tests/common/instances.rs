//! Every message and every dictionary of CTAP 2.3 §6 and §12, once, with all its members.
//!
//! Secrets are rows of 0xA5, so that a test can look for them.

use ctap::cbor::Value;
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::make_credential::{BoolOr, HmacSecretInput};
use ctap::{
    Member, Raw, SecretBytes, Status, TextToNumber, bio_enrollment, client_pin, config,
    credential_management, get_assertion, get_info, large_blob, large_blobs, make_credential,
};
use webauthn::cose::{CoseAlgorithm, CoseKey};

/// One message, its type erased.
pub struct Message {
    pub name: &'static str,
    pub members: &'static [Member],
    /// The names of the members that the text marks as required.
    pub required: &'static [&'static str],
    /// The encoding with all members.
    pub full: Vec<u8>,
    /// Decodes, and encodes what came out.
    pub recode: fn(&[u8]) -> Result<Vec<u8>, Status>,
    /// How what was decoded is printed.
    pub debug: fn(&[u8]) -> String,
}

macro_rules! messages {
    ($($type:ty: [$($required:literal),*] $full:expr;)*) => {
        /// All messages. Making them proves that each is the same after encoding and decoding.
        pub fn all() -> Vec<Message> {
            vec![$({
                let full: $type = $full;
                let bytes = full.encode();
                assert_eq!(<$type>::decode(&bytes).as_ref(), Ok(&full));
                Message {
                    name: stringify!($type),
                    members: <$type>::MEMBERS,
                    required: &[$($required),*],
                    full: bytes,
                    recode: |bytes| <$type>::decode(bytes).map(|message| message.encode()),
                    debug: |bytes| format!("{:?}", <$type>::decode(bytes)),
                }
            },)*]
        }
    };
}

messages! {
    make_credential::Request: ["clientDataHash", "rp", "user", "pubKeyCredParams"] mc_request();
    make_credential::Options: [] make_credential::Options {
        rk: Some(true), up: Some(true), uv: Some(false),
    };
    make_credential::ExtensionsInput: [] mc_extensions();
    make_credential::ExtensionsOutput: [] make_credential::ExtensionsOutput {
        cred_blob: Some(true),
        cred_protect: Some(3),
        hmac_secret: Some(true),
        min_pin_length: Some(6),
        hmac_secret_mc: Some(secret(80)),
        third_party_payment: Some(false),
        pin_complexity_policy: Some(true),
    };
    make_credential::Response: ["fmt", "authData"] make_credential::Response {
        fmt: "packed".to_owned(),
        auth_data: vec![6; 37],
        att_stmt: Some(raw(&Value::Map(vec![
            ("alg".into(), (-7).into()),
            ("sig".into(), Value::Bytes(vec![7; 70])),
            ("x5c".into(), Value::Array(vec![Value::Bytes(vec![8; 400])])),
        ]))),
        ep_att: Some(true),
        large_blob_key: Some(secret(32)),
        unsigned_extension_outputs: Some(
            raw(&Value::Map(vec![("x".into(), true.into())])).into(),
        ),
    };
    get_assertion::Request: ["rpId", "clientDataHash"] get_assertion::Request {
        rp_id: "example.com".to_owned(),
        client_data_hash: [1; 32],
        allow_list: Some(descriptors()),
        extensions: Some(ga_extensions()),
        options: Some(get_assertion::Options { up: Some(false), ..Default::default() }),
        pin_uv_auth_param: Some(vec![9; 16]),
        pin_uv_auth_protocol: Some(2),
    };
    get_assertion::Options: [] get_assertion::Options {
        rk: Some(false), up: Some(false), uv: Some(true),
    };
    get_assertion::ExtensionsInput: [] ga_extensions();
    get_assertion::ExtensionsOutput: [] get_assertion::ExtensionsOutput {
        cred_blob: Some(secret(20)),
        hmac_secret: Some(secret(48)),
        third_party_payment: Some(true),
    };
    get_assertion::Response: ["authData", "signature"] get_assertion::Response {
        credential: Some(CredentialDescriptor::public_key([5; 64])),
        auth_data: vec![6; 37],
        signature: vec![7; 71],
        user: Some(user()),
        number_of_credentials: Some(3),
        user_selected: Some(true),
        large_blob_key: Some(secret(32)),
        unsigned_extension_outputs: Some(raw(&Value::Map(vec![])).into()),
    };
    get_info::Response: ["versions", "aaguid"] info();
    get_info::Options: [] info_options();
    client_pin::Request: ["subCommand"] client_pin::Request {
        pin_uv_auth_protocol: Some(1),
        sub_command: client_pin::SubCommand::ChangePin.code(),
        key_agreement: Some(key()),
        pin_uv_auth_param: Some(vec![4; 16]),
        new_pin_enc: Some(secret(64)),
        pin_hash_enc: Some(secret(16)),
        permissions: Some(0x41),
        rp_id: Some("example.com".to_owned()),
    };
    client_pin::Response: [] client_pin::Response {
        key_agreement: Some(key()),
        pin_uv_auth_token: Some(secret(48)),
        pin_retries: Some(8),
        power_cycle_state: Some(true),
        uv_retries: Some(5),
    };
    config::Request: ["subCommand"] config::Request {
        sub_command: config::SubCommand::SetMinPinLength.code(),
        sub_command_params: Some(raw(&Value::Map(vec![(1.into(), 6.into())]))),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(vec![9; 32]),
    };
    config::SetMinPinLengthParams: [] config::SetMinPinLengthParams {
        new_min_pin_length: Some(8),
        min_pin_length_rp_ids: Some(vec!["example.com".to_owned(), "example.org".to_owned()]),
        force_change_pin: Some(true),
        pin_complexity_policy: Some(true),
    };
    credential_management::Request: ["subCommand"] credential_management::Request {
        sub_command: credential_management::SubCommand::EnumerateCredentialsBegin.code(),
        sub_command_params: Some(raw(&Value::Map(vec![(1.into(), Value::Bytes(vec![1; 32]))]))),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(vec![9; 32]),
    };
    credential_management::SubCommandParams: [] credential_management::SubCommandParams {
        rp_id_hash: Some([1; 32]),
        credential_id: Some(CredentialDescriptor::public_key([5; 64])),
        user: Some(user()),
    };
    credential_management::Response: [] credential_management::Response {
        existing_resident_credentials_count: Some(2),
        max_possible_remaining_resident_credentials_count: Some(23),
        rp: Some(rp()),
        rp_id_hash: Some([3; 32]),
        total_rps: Some(2),
        user: Some(user()),
        credential_id: Some(CredentialDescriptor::public_key([5; 64])),
        public_key: Some(key()),
        total_credentials: Some(24),
        cred_protect: Some(2),
        large_blob_key: Some(secret(32)),
        third_party_payment: Some(false),
    };
    bio_enrollment::Request: [] bio_enrollment::Request {
        modality: Some(bio_enrollment::FINGERPRINT),
        sub_command: Some(bio_enrollment::SubCommand::SetFriendlyName.code()),
        sub_command_params: Some(raw(&Value::Map(vec![(2.into(), "thumb".into())]))),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(vec![9; 32]),
        get_modality: Some(true),
    };
    bio_enrollment::SubCommandParams: [] bio_enrollment::SubCommandParams {
        template_id: Some(vec![1, 2]),
        template_friendly_name: Some("left thumb".to_owned()),
        timeout_milliseconds: Some(10_000),
    };
    bio_enrollment::TemplateInfo: ["templateId"] template();
    bio_enrollment::Response: [] bio_enrollment::Response {
        modality: Some(bio_enrollment::FINGERPRINT),
        fingerprint_kind: Some(1),
        max_capture_samples_required_for_enroll: Some(4),
        template_id: Some(vec![1, 2]),
        last_enroll_sample_status: Some(0),
        remaining_samples: Some(3),
        template_infos: Some(vec![template(), template()]),
        max_template_friendly_name: Some(64),
    };
    large_blobs::Request: ["offset"] large_blobs::Request {
        get: Some(960),
        set: Some(vec![0x80; 17]),
        offset: 0,
        length: Some(17),
        pin_uv_auth_param: Some(vec![9; 32]),
        pin_uv_auth_protocol: Some(2),
    };
    large_blobs::Response: ["config"] large_blobs::Response { config: vec![0x80; 17] };
    RpEntity: ["id"] rp();
    UserEntity: ["id"] user();
    CredentialDescriptor: ["id", "type"] descriptors().remove(0);
    CredentialParameters: ["alg", "type"] CredentialParameters::public_key(CoseAlgorithm::RS256);
    HmacSecretInput: ["keyAgreement", "saltEnc", "saltAuth"] hmac_secret();
}

pub fn secret(length: usize) -> SecretBytes {
    vec![0xA5; length].into()
}

fn raw(value: &Value) -> Raw {
    Raw::from(value)
}

pub fn key() -> CoseKey {
    CoseKey::Ec2 {
        alg: CoseAlgorithm::ECDH_ES_HKDF_256,
        crv: 1,
        x: vec![1; 32],
        y: vec![2; 32],
    }
}

fn rp() -> RpEntity {
    RpEntity {
        id: "example.com".to_owned(),
        name: Some("Acme".to_owned()),
    }
}

fn user() -> UserEntity {
    UserEntity {
        id: vec![3; 32],
        name: Some("kim@example.com".to_owned()),
        display_name: Some("Kim \u{c5}s".to_owned()),
    }
}

fn descriptors() -> Vec<CredentialDescriptor> {
    let known = CredentialDescriptor {
        transports: Some(vec!["usb".to_owned(), "nfc".to_owned()]),
        ..CredentialDescriptor::public_key([4; 48])
    };
    vec![known, CredentialDescriptor::public_key([5; 64])]
}

fn hmac_secret() -> HmacSecretInput {
    HmacSecretInput {
        key_agreement: key(),
        salt_enc: secret(64),
        salt_auth: vec![8; 16],
        pin_uv_auth_protocol: Some(1),
    }
}

fn template() -> bio_enrollment::TemplateInfo {
    bio_enrollment::TemplateInfo {
        template_id: vec![1, 2],
        template_friendly_name: Some("thumb".to_owned()),
    }
}

fn mc_extensions() -> make_credential::ExtensionsInput {
    make_credential::ExtensionsInput {
        cred_blob: Some(secret(20)),
        large_blob: Some(
            (&large_blob::Support {
                support: Some("preferred".into()),
            })
                .into(),
        ),
        cred_protect: Some(2),
        hmac_secret: Some(true),
        large_blob_key: Some(true),
        min_pin_length: Some(true),
        hmac_secret_mc: Some(hmac_secret()),
        third_party_payment: Some(true),
        pin_complexity_policy: Some(true),
    }
}

fn ga_extensions() -> get_assertion::ExtensionsInput {
    get_assertion::ExtensionsInput {
        cred_blob: Some(true),
        large_blob: Some(
            (&large_blob::Input {
                read: None,
                write: Some(secret(30)),
                original_size: Some(70),
            })
                .into(),
        ),
        hmac_secret: Some(BoolOr::Other(hmac_secret())),
        large_blob_key: Some(true),
        third_party_payment: Some(true),
    }
}

fn mc_request() -> make_credential::Request {
    make_credential::Request {
        client_data_hash: [1; 32],
        rp: rp(),
        user: user(),
        pub_key_cred_params: vec![
            CredentialParameters::public_key(CoseAlgorithm::ES256),
            CredentialParameters::public_key(CoseAlgorithm::ML_DSA_44),
        ],
        exclude_list: Some(descriptors()),
        extensions: Some(mc_extensions()),
        options: Some(make_credential::Options {
            rk: Some(true),
            ..Default::default()
        }),
        pin_uv_auth_param: Some(vec![9; 16]),
        pin_uv_auth_protocol: Some(1),
        enterprise_attestation: Some(2),
        attestation_formats_preference: Some(vec!["packed".to_owned(), "none".to_owned()]),
    }
}

fn info() -> get_info::Response {
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    get_info::Response {
        versions: vec!["U2F_V2".to_owned(), "FIDO_2_3".to_owned()],
        extensions: texts(&["credProtect", "hmac-secret"]),
        aaguid: [0xAB; 16],
        options: Some(info_options()),
        max_msg_size: Some(7609),
        pin_uv_auth_protocols: Some(vec![2, 1]),
        max_credential_count_in_list: Some(8),
        max_credential_id_length: Some(128),
        transports: texts(&["usb", "smart-card"]),
        algorithms: Some(vec![CredentialParameters::public_key(CoseAlgorithm::ES256)]),
        max_serialized_large_blob_array: Some(4096),
        force_pin_change: Some(true),
        min_pin_length: Some(6),
        firmware_version: Some(0x0005_0704),
        max_cred_blob_length: Some(32),
        max_rp_ids_for_set_min_pin_length: Some(1),
        preferred_platform_uv_attempts: Some(3),
        uv_modality: Some(2),
        certifications: Some(TextToNumber(vec![
            ("FIDO".to_owned(), 2),
            ("FIPS-CMVP-3".to_owned(), 1),
        ])),
        remaining_discoverable_credentials: Some(25),
        vendor_prototype_config_commands: Some(vec![0x1_0000_0000, 1]),
        attestation_formats: texts(&["packed", "none"]),
        uv_count_since_last_pin_entry: Some(1),
        long_touch_for_reset: Some(true),
        enc_identifier: Some(secret(32)),
        transports_for_reset: texts(&["usb"]),
        pin_complexity_policy: Some(true),
        pin_complexity_policy_url: Some(b"https://example.com/pin".to_vec()),
        max_pin_length: Some(63),
        enc_cred_store_state: Some(secret(32)),
        authenticator_config_commands: Some(vec![1, 2, 3, 4, 0xFF]),
    }
}

fn info_options() -> get_info::Options {
    get_info::Options {
        ep: Some(false),
        rk: Some(true),
        up: Some(true),
        uv: Some(false),
        plat: Some(false),
        uv_acfg: Some(true),
        always_uv: Some(true),
        cred_mgmt: Some(true),
        authnr_cfg: Some(true),
        bio_enroll: Some(false),
        client_pin: Some(true),
        large_blobs: Some(true),
        uv_bio_enroll: Some(false),
        per_cred_mgmt_ro: Some(true),
        pin_uv_auth_token: Some(true),
        set_min_pin_length: Some(true),
        make_cred_uv_not_rqd: Some(false),
        credential_mgmt_preview: Some(true),
        user_verification_mgmt_preview: Some(true),
        no_mc_ga_permissions_with_client_pin: Some(false),
    }
}
