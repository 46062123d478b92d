//! WebAuthn L3 §9-§10 and CTAP 2.3 §12: client extension inputs and outputs in their JSON forms.
//!
//! Inputs with names that are not known are dropped, as a client does. Outputs with names that are
//! not known are kept in [`AuthenticationExtensionsClientOutputsJson::other`], because a Relying
//! Party may want to refuse what it did not ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base64url::Base64Url;
use crate::enumerations::{CredentialProtectionPolicy, LargeBlobSupport, lenient};

/// `AuthenticationExtensionsClientInputsJSON`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthenticationExtensionsClientInputsJson {
    /// §10.1.1 `appid` (authentication): the U2F AppID of older credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appid: Option<String>,
    /// §10.1.2 `appidExclude` (registration).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appid_exclude: Option<String>,
    /// §10.1.3 `credProps` (registration).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_props: Option<bool>,
    /// §10.1.4 `prf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prf: Option<PrfInputsJson>,
    /// §10.1.5 `largeBlob`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large_blob: Option<LargeBlobInputsJson>,
    /// CTAP 2.3 §12.1 `credentialProtectionPolicy` (registration).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub credential_protection_policy: Option<CredentialProtectionPolicy>,
    /// CTAP 2.3 §12.1: fail when the protection policy cannot be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_credential_protection_policy: Option<bool>,
    /// CTAP 2.3 §12.2 `credBlob` (registration): the bytes to store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_blob: Option<Base64Url>,
    /// CTAP 2.3 §12.2 `getCredBlob` (authentication).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_cred_blob: Option<bool>,
    /// CTAP 2.3 §12.4 `minPinLength` (registration).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_pin_length: Option<bool>,
    /// CTAP 2.3 §12.7 `hmacCreateSecret` (registration), the older form of `prf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_create_secret: Option<bool>,
    /// Secure Payment Confirmation §5 `payment`; CTAP 2.3 §12.9 thirdPartyPayment is its ground.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentInputsJson>,
}

/// `AuthenticationExtensionsPaymentInputs`, as far as a security key is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PaymentInputsJson {
    /// The credential is meant for payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_payment: Option<bool>,
}

/// `AuthenticationExtensionsPRFInputsJSON`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrfInputsJson {
    /// Inputs for whichever credential is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval: Option<PrfValuesJson>,
    /// Inputs by base64url credential ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_by_credential: Option<BTreeMap<String, PrfValuesJson>>,
}

/// `AuthenticationExtensionsPRFValuesJSON`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrfValuesJson {
    /// First input or result.
    pub first: Base64Url,
    /// Second input or result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Base64Url>,
}

/// `AuthenticationExtensionsLargeBlobInputsJSON`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LargeBlobInputsJson {
    /// Registration only.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub support: Option<LargeBlobSupport>,
    /// Authentication only: read the blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<bool>,
    /// Authentication only: write this blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Base64Url>,
}

/// `AuthenticationExtensionsClientOutputsJSON`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthenticationExtensionsClientOutputsJson {
    /// Whether the AppID was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appid: Option<bool>,
    /// Whether the client acted on `appidExclude`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appid_exclude: Option<bool>,
    /// `credProps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_props: Option<CredentialPropertiesOutput>,
    /// `prf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prf: Option<PrfOutputsJson>,
    /// `largeBlob`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large_blob: Option<LargeBlobOutputsJson>,
    /// `credBlob`: whether the bytes were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_blob: Option<bool>,
    /// `getCredBlob`: the stored bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_cred_blob: Option<Base64Url>,
    /// `hmacCreateSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_create_secret: Option<bool>,
    /// Outputs of other extensions, as they came.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// `CredentialPropertiesOutput`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CredentialPropertiesOutput {
    /// Whether the credential is discoverable; absent when the client does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rk: Option<bool>,
}

/// `AuthenticationExtensionsPRFOutputsJSON`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrfOutputsJson {
    /// Registration only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<PrfValuesJson>,
}

/// `AuthenticationExtensionsLargeBlobOutputsJSON`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LargeBlobOutputsJson {
    /// Registration only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported: Option<bool>,
    /// The blob that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<Base64Url>,
    /// Whether the blob was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<bool>,
}
