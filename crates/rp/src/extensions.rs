//! Extension outputs (WebAuthn L3 §9-§10, CTAP 2.3 §12) as a Relying Party sees them.

use serde::{Deserialize, Serialize};
use webauthn::cbor::Value;
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, AuthenticationExtensionsClientOutputsJson,
    CredentialProtectionPolicy,
};

use crate::policy::{RegistrationPolicy, UnsolicitedOutputs};
use crate::refusal::Refusal;

/// What the authenticator says of a new credential. Tolerated also where it was not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthenticatorOutputs {
    /// `credProtect`: the protection of the credential.
    pub credential_protection: Option<CredentialProtectionPolicy>,
    /// `minPinLength`: the authenticator's minimum PIN length in code points.
    pub min_pin_length: Option<u32>,
    /// `hmac-secret`: whether the credential has secrets (the `prf` extension).
    pub hmac_secret: Option<bool>,
    /// `credBlob`: whether the bytes were stored.
    pub cred_blob: Option<bool>,
}

impl AuthenticatorOutputs {
    /// Reads the extensions of authenticator data: a canonical CBOR map. Names that are not known
    /// are tolerated.
    pub(crate) fn read(extensions: Option<&[u8]>) -> Result<Self, Refusal> {
        let Some(extensions) = extensions else {
            return Ok(Self::default());
        };
        // The map was checked when the authenticator data was read; half floats are all that is left.
        let Ok(map) = Value::decode(extensions) else {
            return Ok(Self::default());
        };
        let get = |name: &'static str| map.get_text(name);
        let wrong = |found: &'static str| Refusal::ExtensionOutput { found };
        let flag = |name: &'static str| {
            get(name)
                .map(|value| value.as_bool().ok_or_else(|| wrong(name)))
                .transpose()
        };
        let number = |name: &'static str| {
            let read = |value: &Value| value.as_i64().and_then(|v| u32::try_from(v).ok());
            get(name)
                .map(|value| read(value).ok_or_else(|| wrong(name)))
                .transpose()
        };
        let level = |value: u32| {
            u8::try_from(value)
                .ok()
                .and_then(CredentialProtectionPolicy::from_level)
        };
        Ok(Self {
            credential_protection: number("credProtect")?
                .map(|value| level(value).ok_or_else(|| wrong("credProtect")))
                .transpose()?,
            min_pin_length: number("minPinLength")?,
            hmac_secret: flag("hmac-secret")?,
            cred_blob: flag("credBlob")?,
        })
    }
}

/// Client extension outputs must have been asked for, unless the policy ignores them.
pub(crate) fn check_solicited(
    rule: UnsolicitedOutputs,
    asked: Option<&AuthenticationExtensionsClientInputsJson>,
    got: &AuthenticationExtensionsClientOutputsJson,
) -> Result<(), Refusal> {
    if rule == UnsolicitedOutputs::Ignore {
        return Ok(());
    }
    // The usual case costs nothing.
    let none = AuthenticationExtensionsClientInputsJson::default();
    let asked = asked.unwrap_or(&none);
    let unsolicited = [
        ("appid", got.appid.is_some() && asked.appid.is_none()),
        (
            "appidExclude",
            got.appid_exclude.is_some() && asked.appid_exclude.is_none(),
        ),
        (
            "credProps",
            got.cred_props.is_some() && asked.cred_props.is_none(),
        ),
        ("prf", got.prf.is_some() && asked.prf.is_none()),
        (
            "largeBlob",
            got.large_blob.is_some() && asked.large_blob.is_none(),
        ),
        (
            "credBlob",
            got.cred_blob.is_some() && asked.cred_blob.is_none(),
        ),
        (
            "getCredBlob",
            got.get_cred_blob.is_some() && asked.get_cred_blob.is_none(),
        ),
        (
            "hmacCreateSecret",
            got.hmac_create_secret.is_some() && asked.hmac_create_secret.is_none(),
        ),
    ];
    let found = unsolicited
        .iter()
        .find(|(_, is_unsolicited)| *is_unsolicited)
        .map(|(name, _)| *name);
    match found.or_else(|| got.other.keys().next().map(String::as_str)) {
        Some(found) => Err(Refusal::UnsolicitedExtension {
            found: found.to_owned(),
        }),
        None => Ok(()),
    }
}

/// What the policy demands of the authenticator's outputs.
pub(crate) fn check_demands(
    policy: &RegistrationPolicy,
    outputs: &AuthenticatorOutputs,
) -> Result<(), Refusal> {
    let asked = policy.extensions.as_ref();
    let enforce = asked.and_then(|asked| asked.enforce_credential_protection_policy) == Some(true);
    let wanted = asked.and_then(|asked| asked.credential_protection_policy);
    if let (true, Some(expected)) = (enforce, wanted) {
        let found = outputs.credential_protection;
        if found.is_none_or(|found| found.level() < expected.level()) {
            return Err(Refusal::CredentialProtection { expected, found });
        }
    }
    if let Some(expected) = policy.min_pin_length {
        let found = outputs.min_pin_length;
        if found.is_none_or(|found| found < expected) {
            return Err(Refusal::MinPinLength { expected, found });
        }
    }
    Ok(())
}
