//! Requests that the tests of a running key send, and what they look for in the answers.
#![allow(dead_code)]

use ctap::entities::{CredentialParameters, RpEntity, UserEntity};
use ctap::{Command, get_assertion, make_credential, request_bytes};
use webauthn::cose::CoseAlgorithm;

pub(crate) const GET_INFO: [u8; 1] = [0x04];
pub(crate) const GET_NEXT_ASSERTION: [u8; 1] = [0x08];
pub(crate) const SELECTION: [u8; 1] = [0x0B];
pub(crate) const RESET: [u8; 1] = [0x07];

/// makeCredential of a discoverable credential for user `user`.
pub(crate) fn make_credential(user: u8) -> Vec<u8> {
    make_credential_with(
        user,
        make_credential::Options {
            rk: Some(true),
            ..Default::default()
        },
    )
}

/// makeCredential that asks for built-in user verification.
pub(crate) fn make_credential_uv(user: u8) -> Vec<u8> {
    make_credential_with(
        user,
        make_credential::Options {
            uv: Some(true),
            ..Default::default()
        },
    )
}

fn make_credential_with(user: u8, options: make_credential::Options) -> Vec<u8> {
    let request = make_credential::Request {
        client_data_hash: [1; 32],
        rp: RpEntity {
            id: "example.com".to_owned(),
            name: None,
        },
        user: UserEntity {
            id: vec![user; 16],
            name: Some("anna".to_owned()),
            display_name: None,
        },
        pub_key_cred_params: vec![CredentialParameters::public_key(CoseAlgorithm::ES256)],
        exclude_list: None,
        extensions: None,
        options: Some(options),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    request_bytes(Command::MakeCredential, &request.encode())
}

/// getAssertion over all discoverable credentials.
pub(crate) fn get_assertion() -> Vec<u8> {
    let request = get_assertion::Request {
        rp_id: "example.com".to_owned(),
        client_data_hash: [1; 32],
        allow_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    };
    request_bytes(Command::GetAssertion, &request.encode())
}
