//! WebAuthn L3 §5.1.8, §5.1.9, §5.4, §5.5, §5.8: the options of `create()` and `get()` in their JSON
//! forms (`PublicKeyCredentialCreationOptionsJSON`, `PublicKeyCredentialRequestOptionsJSON`).
//!
//! Members that the text does not define are ignored, values of enumerations that are not known
//! count as absent. `Option` members tell "absent" from the value that the text gives as default,
//! because that difference is exactly what decides whether a person is asked for a PIN.

use serde::{Deserialize, Serialize};

use crate::base64url::Base64Url;
use crate::cose::CoseAlgorithm;
pub use crate::enumerations::*;
pub use crate::extensions::*;

/// §5.4.2 `PublicKeyCredentialRpEntity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyCredentialRpEntity {
    /// The RP ID; absent means the caller's effective domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A name for people.
    pub name: String,
}

/// §5.4.3 `PublicKeyCredentialUserEntityJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyCredentialUserEntity {
    /// The user handle: 1 to 64 bytes without personal information.
    pub id: Base64Url,
    /// The account's name, e.g. an e-mail address.
    pub name: String,
    /// The person's name; may be empty.
    pub display_name: String,
}

/// §5.3 `PublicKeyCredentialParameters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyCredentialParameters {
    /// `public-key`; others are skipped by clients.
    #[serde(rename = "type")]
    pub type_: String,
    /// The signature algorithm.
    pub alg: CoseAlgorithm,
}

impl PublicKeyCredentialParameters {
    /// Parameters of type `public-key`.
    pub fn public_key(alg: CoseAlgorithm) -> Self {
        Self {
            type_: PUBLIC_KEY.to_owned(),
            alg,
        }
    }
}

/// §5.8.3 `PublicKeyCredentialDescriptorJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyCredentialDescriptor {
    /// `public-key`; others are skipped by clients.
    #[serde(rename = "type")]
    pub type_: String,
    /// The credential ID.
    pub id: Base64Url,
    /// How the authenticator may be reached; absent or empty when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transports: Option<Vec<AuthenticatorTransport>>,
}

impl PublicKeyCredentialDescriptor {
    /// A descriptor of type `public-key`.
    pub fn public_key(
        id: impl Into<Base64Url>,
        transports: Option<Vec<AuthenticatorTransport>>,
    ) -> Self {
        Self {
            type_: PUBLIC_KEY.to_owned(),
            id: id.into(),
            transports,
        }
    }
}

/// §5.4.4 `AuthenticatorSelectionCriteria`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthenticatorSelectionCriteria {
    /// Where the authenticator may sit.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub authenticator_attachment: Option<AuthenticatorAttachment>,
    /// Whether the credential is to be discoverable.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub resident_key: Option<ResidentKeyRequirement>,
    /// The Level 1 form of `resident_key`; used by clients only when that is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_resident_key: Option<bool>,
    /// User verification; absent acts as `preferred`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub user_verification: Option<UserVerificationRequirement>,
}

impl AuthenticatorSelectionCriteria {
    /// The `residentKey` that a client acts on: the member, or what `requireResidentKey` means.
    pub fn effective_resident_key(&self) -> ResidentKeyRequirement {
        self.resident_key
            .unwrap_or(match self.require_resident_key {
                Some(true) => ResidentKeyRequirement::Required,
                _ => ResidentKeyRequirement::Discouraged,
            })
    }
}

/// §5.1.8 `PublicKeyCredentialCreationOptionsJSON`.
///
/// ```
/// use webauthn::options::{PublicKeyCredentialCreationOptionsJson, UserVerificationRequirement};
/// let options: PublicKeyCredentialCreationOptionsJson = serde_json::from_str(r#"{
///     "rp": {"name": "Example", "id": "example.org"},
///     "user": {"id": "AQID", "name": "kim", "displayName": ""},
///     "challenge": "AAECAwQFBgcICQoLDA0ODw",
///     "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
///     "authenticatorSelection": {"residentKey": "some day", "userVerification": "discouraged"}
/// }"#).unwrap();
/// assert_eq!(options.effective_user_verification(), UserVerificationRequirement::Discouraged);
/// assert_eq!(options.authenticator_selection.unwrap().resident_key, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyCredentialCreationOptionsJson {
    /// The Relying Party.
    pub rp: PublicKeyCredentialRpEntity,
    /// The account.
    pub user: PublicKeyCredentialUserEntity,
    /// The challenge; at least 16 bytes.
    pub challenge: Base64Url,
    /// Wanted algorithms, best first. Empty means ES256 and RS256.
    pub pub_key_cred_params: Vec<PublicKeyCredentialParameters>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Credentials of the account: an authenticator that has one is not to make another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_credentials: Vec<PublicKeyCredentialDescriptor>,
    /// Which authenticators may take part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_selection: Option<AuthenticatorSelectionCriteria>,
    /// What the user is likely to use, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Attestation; absent means none.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub attestation: Option<AttestationConveyancePreference>,
    /// Wanted attestation statement formats, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestation_formats: Vec<String>,
    /// Extensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<AuthenticationExtensionsClientInputsJson>,
}

impl PublicKeyCredentialCreationOptionsJson {
    /// The `userVerification` that a client acts on: absent is `preferred`.
    pub fn effective_user_verification(&self) -> UserVerificationRequirement {
        self.authenticator_selection
            .as_ref()
            .and_then(|selection| selection.user_verification)
            .unwrap_or(UserVerificationRequirement::Preferred)
    }
}

/// §5.1.9 `PublicKeyCredentialRequestOptionsJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyCredentialRequestOptionsJson {
    /// The challenge; at least 16 bytes.
    pub challenge: Base64Url,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// The RP ID; absent means the caller's effective domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rp_id: Option<String>,
    /// Accepted credentials; empty asks for discoverable ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_credentials: Vec<PublicKeyCredentialDescriptor>,
    /// User verification; absent acts as `preferred`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub user_verification: Option<UserVerificationRequirement>,
    /// What the user is likely to use, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Extensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<AuthenticationExtensionsClientInputsJson>,
}

impl PublicKeyCredentialRequestOptionsJson {
    /// The `userVerification` that a client acts on: absent is `preferred`.
    pub fn effective_user_verification(&self) -> UserVerificationRequirement {
        self.user_verification
            .unwrap_or(UserVerificationRequirement::Preferred)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const REQUEST: &str = r#"{"challenge":"AAECAwQFBgcICQoLDA0ODw","timeout":300000,"rpId":"example.org","allowCredentials":[{"type":"public-key","id":"AQID","transports":["usb","warp"]}],"userVerification":"required","hints":["security-key"],"extensions":{"appid":"https://example.org/u2f.json","prf":{"eval":{"first":"AQ"}},"largeBlob":{"read":true}}}"#;

    #[test]
    fn request_options_round_trip() {
        let options: PublicKeyCredentialRequestOptionsJson = serde_json::from_str(REQUEST).unwrap();
        assert_eq!(serde_json::to_string(&options).unwrap(), REQUEST);
    }

    #[test]
    fn unknown_members_and_values_are_ignored() {
        let text = r#"{"challenge":"AA","userVerification":"sometimes","extensions":{"unheardOf":{},"credentialProtectionPolicy":"x"},"new":1}"#;
        let options: PublicKeyCredentialRequestOptionsJson = serde_json::from_str(text).unwrap();
        assert_eq!(options.user_verification, None);
        assert_eq!(
            options.effective_user_verification(),
            UserVerificationRequirement::Preferred
        );
        assert_eq!(
            options.extensions,
            Some(AuthenticationExtensionsClientInputsJson::default())
        );
    }

    #[test]
    fn a_wrong_type_is_an_error() {
        for text in [
            "{}",
            r#"{"challenge":1}"#,
            r#"{"challenge":"AA=="}"#,
            r#"{"challenge":"AA","userVerification":1}"#,
            r#"{"challenge":"AA","timeout":-1}"#,
        ] {
            assert!(
                serde_json::from_str::<PublicKeyCredentialRequestOptionsJson>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn require_resident_key_counts_only_without_resident_key() {
        let read = |text: &str| {
            serde_json::from_str::<AuthenticatorSelectionCriteria>(text)
                .unwrap()
                .effective_resident_key()
        };
        assert_eq!(read("{}"), ResidentKeyRequirement::Discouraged);
        assert_eq!(
            read(r#"{"requireResidentKey":true}"#),
            ResidentKeyRequirement::Required
        );
        assert_eq!(
            read(r#"{"requireResidentKey":true,"residentKey":"discouraged"}"#),
            ResidentKeyRequirement::Discouraged
        );
    }
}
