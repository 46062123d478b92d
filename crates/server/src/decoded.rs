//! What a credential response says, taken apart for people. Nothing here decides anything: it shows
//! what could be read, whatever the relying party thinks of it.

use serde::Serialize;
use serde_json::{Value, json};
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{AuthenticatorData, Flags};
use webauthn::base64url;
use webauthn::client_data::CollectedClientData;
use webauthn::cose::CoseAlgorithm;
use webauthn::response::{AuthenticationResponseJson, RegistrationResponseJson};

use crate::hex;

/// Client data and authenticator data, as far as they can be read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decoded {
    /// The flags by name.
    pub(crate) flags: Option<FlagNames>,
    /// Members of the collected client data.
    client_data: Value,
    /// Parts of the authenticator data.
    authenticator_data: Value,
    /// The attestation statement format, at registration.
    attestation_format: Option<String>,
    /// The client extension outputs.
    extensions: Value,
}

/// The flags of authenticator data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FlagNames {
    /// UP
    pub(crate) user_present: bool,
    /// UV
    pub(crate) user_verified: bool,
    /// BE
    backup_eligible: bool,
    /// BS
    backup_state: bool,
}

impl From<Flags> for FlagNames {
    fn from(flags: Flags) -> Self {
        Self {
            user_present: flags.user_present(),
            user_verified: flags.user_verified(),
            backup_eligible: flags.backup_eligible(),
            backup_state: flags.backup_state(),
        }
    }
}

/// Takes a registration apart.
pub(crate) fn registration(response: &RegistrationResponseJson) -> Decoded {
    let object = AttestationObject::parse(&response.response.attestation_object);
    let format = object.as_ref().ok().map(|object| object.fmt.to_owned());
    let (flags, authenticator_data) = match &object {
        Ok(object) => authenticator_data(object.auth_data),
        Err(error) => (None, unreadable(error)),
    };
    Decoded {
        flags,
        client_data: client_data(&response.response.client_data_json),
        authenticator_data,
        attestation_format: format,
        extensions: extensions(&response.client_extension_results),
    }
}

/// Takes an authentication apart.
pub(crate) fn authentication(response: &AuthenticationResponseJson) -> Decoded {
    let (flags, authenticator_data) = authenticator_data(&response.response.authenticator_data);
    Decoded {
        flags,
        client_data: client_data(&response.response.client_data_json),
        authenticator_data,
        attestation_format: None,
        extensions: extensions(&response.client_extension_results),
    }
}

fn extensions(results: &impl Serialize) -> Value {
    serde_json::to_value(results).unwrap_or(Value::Null)
}

fn unreadable(error: &dyn std::fmt::Display) -> Value {
    json!({ "unreadable": error.to_string() })
}

fn client_data(bytes: &[u8]) -> Value {
    match CollectedClientData::parse(bytes) {
        Ok(data) => json!({
            "type": data.type_,
            "challenge": data.challenge,
            "origin": data.origin,
            "crossOrigin": data.cross_origin,
            "topOrigin": data.top_origin,
        }),
        Err(error) => unreadable(&error),
    }
}

fn authenticator_data(bytes: &[u8]) -> (Option<FlagNames>, Value) {
    let data = match AuthenticatorData::parse(bytes) {
        Ok(data) => data,
        Err(error) => return (None, unreadable(&error)),
    };
    let mut value = json!({
        "rpIdHash": hex(data.rp_id_hash),
        "flags": data.flags.to_string(),
        "signCount": data.sign_count,
    });
    if let Some(credential) = &data.attested_credential_data {
        let algorithm = credential.public_key().ok().map(|key| key.algorithm());
        value["aaguid"] = json!(credential.aaguid);
        value["credentialId"] = json!(base64url::encode(credential.credential_id));
        value["algorithm"] = json!(algorithm.map(algorithm_name));
    }
    if let Some(extensions) = data.extensions {
        value["extensions"] = json!(hex(extensions));
    }
    (Some(data.flags.into()), value)
}

fn algorithm_name(algorithm: CoseAlgorithm) -> String {
    match algorithm.name() {
        Some(name) => format!("{name} ({})", algorithm.0),
        None => algorithm.0.to_string(),
    }
}
