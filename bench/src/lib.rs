//! What the benchmarks of a security key ask it.

use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::{Command, get_assertion, make_credential, request_bytes};
use webauthn::cose::CoseAlgorithm;

/// The RP ID of a site.
pub fn rp_id(site: usize) -> String {
    format!("site-{site}.example")
}

/// authenticatorMakeCredential for a user of a site: ES256, without PIN.
pub fn make(site: usize, user: usize, discoverable: bool) -> Vec<u8> {
    let request = make_credential::Request {
        client_data_hash: [1; 32],
        rp: RpEntity {
            id: rp_id(site),
            name: Some("A site".to_owned()),
        },
        user: UserEntity {
            id: user.to_be_bytes().to_vec(),
            name: Some(format!("user-{user}@example.com")),
            display_name: Some("A user".to_owned()),
        },
        pub_key_cred_params: vec![CredentialParameters::public_key(CoseAlgorithm::ES256)],
        exclude_list: None,
        extensions: None,
        options: Some(make_credential::Options {
            rk: Some(discoverable),
            ..Default::default()
        }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    request_bytes(Command::MakeCredential, &request.encode())
}

/// authenticatorGetAssertion at a site, with this credential or with any that the key finds.
pub fn get(site: usize, id: Option<&[u8]>) -> Vec<u8> {
    let request = get_assertion::Request {
        rp_id: rp_id(site),
        client_data_hash: [1; 32],
        allow_list: id.map(|id| vec![CredentialDescriptor::public_key(id)]),
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    };
    request_bytes(Command::GetAssertion, &request.encode())
}
