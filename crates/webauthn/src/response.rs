//! WebAuthn L3 §5.1 `PublicKeyCredential.toJSON()`: `RegistrationResponseJSON` and
//! `AuthenticationResponseJSON`.
//!
//! A client writes every member. Members that only repeat what stands elsewhere
//! (`authenticatorData`, `publicKey` and `publicKeyAlgorithm` of a registration) may be missing when
//! read, because pages that do not use `toJSON()` leave them out and no check relies on them.

use serde::{Deserialize, Serialize};

use crate::base64url::{self, Base64Url};
use crate::enumerations::{AuthenticatorAttachment, AuthenticatorTransport, PUBLIC_KEY, lenient};
use crate::extensions::AuthenticationExtensionsClientOutputsJson;

/// `RegistrationResponseJSON`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationResponseJson {
    /// The credential ID as text; must be the base64url form of `raw_id`.
    pub id: String,
    /// The credential ID.
    pub raw_id: Base64Url,
    /// What the authenticator and client made.
    pub response: AuthenticatorAttestationResponseJson,
    /// Where the authenticator sat.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub authenticator_attachment: Option<AuthenticatorAttachment>,
    /// Client extension outputs.
    pub client_extension_results: AuthenticationExtensionsClientOutputsJson,
    /// `public-key`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// `AuthenticatorAttestationResponseJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorAttestationResponseJson {
    /// The client data, as the authenticator's signature covers it.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: Base64Url,
    /// A copy of the authenticator data inside the attestation object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_data: Option<Base64Url>,
    /// How the authenticator may be reached.
    #[serde(default)]
    pub transports: Vec<AuthenticatorTransport>,
    /// The public key as SubjectPublicKeyInfo, if the client knows the algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Base64Url>,
    /// The COSE algorithm of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_algorithm: Option<i64>,
    /// The attestation object.
    pub attestation_object: Base64Url,
}

impl RegistrationResponseJson {
    /// A response as `toJSON()` writes it.
    pub fn new(
        raw_id: impl Into<Base64Url>,
        response: AuthenticatorAttestationResponseJson,
    ) -> Self {
        let raw_id = raw_id.into();
        Self {
            id: base64url::encode(&raw_id),
            raw_id,
            response,
            authenticator_attachment: None,
            client_extension_results: AuthenticationExtensionsClientOutputsJson::default(),
            type_: PUBLIC_KEY.to_owned(),
        }
    }
}

/// `AuthenticationResponseJSON`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationResponseJson {
    /// The credential ID as text; must be the base64url form of `raw_id`.
    pub id: String,
    /// The credential ID.
    pub raw_id: Base64Url,
    /// What the authenticator and client made.
    pub response: AuthenticatorAssertionResponseJson,
    /// Where the authenticator sat.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub authenticator_attachment: Option<AuthenticatorAttachment>,
    /// Client extension outputs.
    pub client_extension_results: AuthenticationExtensionsClientOutputsJson,
    /// `public-key`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// `AuthenticatorAssertionResponseJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorAssertionResponseJson {
    /// The client data, as the authenticator's signature covers it.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: Base64Url,
    /// The authenticator data.
    pub authenticator_data: Base64Url,
    /// The signature over authenticator data and client data hash.
    pub signature: Base64Url,
    /// The user handle; always there for discoverable credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<Base64Url>,
}

impl AuthenticationResponseJson {
    /// A response as `toJSON()` writes it.
    pub fn new(raw_id: impl Into<Base64Url>, response: AuthenticatorAssertionResponseJson) -> Self {
        let raw_id = raw_id.into();
        Self {
            id: base64url::encode(&raw_id),
            raw_id,
            response,
            authenticator_attachment: None,
            client_extension_results: AuthenticationExtensionsClientOutputsJson::default(),
            type_: PUBLIC_KEY.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn responses_round_trip() {
        let text = r#"{"id":"AQID","rawId":"AQID","response":{"clientDataJSON":"e30","authenticatorData":"AA","transports":["usb"],"publicKeyAlgorithm":-7,"attestationObject":"oA"},"authenticatorAttachment":"cross-platform","clientExtensionResults":{"credProps":{"rk":true},"uvm":[[1,2,3]]},"type":"public-key"}"#;
        let response: RegistrationResponseJson = serde_json::from_str(text).unwrap();
        assert!(response.client_extension_results.other.contains_key("uvm"));
        assert_eq!(serde_json::to_string(&response).unwrap(), text);

        let text = r#"{"id":"AQID","rawId":"AQID","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":"BQ"},"clientExtensionResults":{},"type":"public-key"}"#;
        let response: AuthenticationResponseJson = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&response).unwrap(), text);
    }

    #[test]
    fn a_null_user_handle_is_an_absent_one() {
        let text = r#"{"id":"AQ","rawId":"AQ","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":null},"authenticatorAttachment":"orbit","clientExtensionResults":{},"type":"public-key"}"#;
        let response: AuthenticationResponseJson = serde_json::from_str(text).unwrap();
        assert_eq!(response.response.user_handle, None);
        assert_eq!(response.authenticator_attachment, None);
    }
}
