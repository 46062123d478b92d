//! Extension outputs (WebAuthn L3 §9-§10, CTAP 2.3 §12) as a Relying Party sees them.

use serde::{Deserialize, Serialize};
use webauthn::base64url;
use webauthn::cbor::Value;
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, AuthenticationExtensionsClientOutputsJson,
    CredentialProtectionPolicy, LargeBlobSupport, ResidentKeyRequirement,
};

use crate::ceremony::BeginError;
use crate::policy::{RegistrationPolicy, UnsolicitedOutputs};
use crate::record::CredentialRecord;
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

/// What the client says of the extensions. The results of `prf` and the contents of `largeBlob` are the
/// page's, and are not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ClientOutputs {
    /// `credProps`: whether the credential is discoverable.
    pub discoverable: Option<bool>,
    /// `prf` at registration: whether the credential has secrets.
    pub prf_enabled: Option<bool>,
    /// `largeBlob` at registration: whether the credential can have one.
    pub large_blob_supported: Option<bool>,
    /// `largeBlob` at authentication: whether it was written.
    pub large_blob_written: Option<bool>,
    /// `appid` at authentication: whether the credential is one of U2F times.
    pub appid: Option<bool>,
    /// `appidExclude` at registration: whether the client looked for such credentials.
    pub appid_exclude: Option<bool>,
}

impl ClientOutputs {
    pub(crate) fn read(outputs: &AuthenticationExtensionsClientOutputsJson) -> Self {
        Self {
            discoverable: outputs.cred_props.as_ref().and_then(|props| props.rk),
            prf_enabled: outputs.prf.as_ref().and_then(|prf| prf.enabled),
            large_blob_supported: outputs.large_blob.as_ref().and_then(|blob| blob.supported),
            large_blob_written: outputs.large_blob.as_ref().and_then(|blob| blob.written),
            appid: outputs.appid,
            appid_exclude: outputs.appid_exclude,
        }
    }
}

type Inputs = AuthenticationExtensionsClientInputsJson;

/// What a client would refuse or pass over at `create()`.
pub(crate) fn check_registration_inputs(policy: &RegistrationPolicy) -> Result<(), BeginError> {
    let Some(asked) = policy.extensions.as_ref() else {
        return Ok(());
    };
    let blob = asked.large_blob.as_ref();
    let wrong: [(bool, &'static str, &'static str); 6] = [
        (asked.appid.is_some(), "appid", "is for authentication"),
        (
            asked.get_cred_blob.is_some(),
            "getCredBlob",
            "is for authentication",
        ),
        (
            asked
                .prf
                .as_ref()
                .is_some_and(|prf| prf.eval_by_credential.is_some()),
            "prf",
            "`evalByCredential` is for authentication",
        ),
        (
            blob.is_some_and(|blob| blob.read.is_some() || blob.write.is_some()),
            "largeBlob",
            "`read` and `write` are for authentication",
        ),
        (
            asked.enforce_credential_protection_policy == Some(true)
                && asked.credential_protection_policy.is_none(),
            "credProtect",
            "is enforced, but there is no policy",
        ),
        (
            asked.cred_blob.as_ref().is_some_and(|blob| blob.len() > 32),
            "credBlob",
            "has room for 32 bytes",
        ),
    ];
    first(&wrong)
}

/// What a client would refuse or pass over at `get()` with these credentials.
pub(crate) fn check_authentication_inputs(
    asked: Option<&Inputs>,
    credentials: &[CredentialRecord],
) -> Result<(), BeginError> {
    let Some(asked) = asked else {
        return Ok(());
    };
    let blob = asked.large_blob.as_ref();
    let by_credential = asked
        .prf
        .as_ref()
        .and_then(|prf| prf.eval_by_credential.as_ref());
    let is_allowed = |id: &String| {
        let is = |record: &CredentialRecord| base64url::is_encoding_of(id, &record.id);
        credentials.iter().any(is)
    };
    let registration = "is for registration";
    let wrong: [(bool, &'static str, &'static str); 8] = [
        (asked.appid_exclude.is_some(), "appidExclude", registration),
        (asked.cred_props.is_some(), "credProps", registration),
        (asked.cred_blob.is_some(), "credBlob", registration),
        (asked.min_pin_length.is_some(), "minPinLength", registration),
        (
            asked.credential_protection_policy.is_some(),
            "credProtect",
            registration,
        ),
        (
            blob.is_some_and(|blob| blob.support.is_some()),
            "largeBlob",
            "`support` is for registration",
        ),
        (
            blob.is_some_and(|blob| {
                blob.write.is_some() && (blob.read.is_some() || credentials.len() != 1)
            }),
            "largeBlob",
            "`write` goes alone, and to exactly one credential",
        ),
        (
            by_credential.is_some_and(|map| !map.keys().all(is_allowed)),
            "prf",
            "`evalByCredential` names a credential that is not allowed",
        ),
    ];
    first(&wrong)
}

fn first(wrong: &[(bool, &'static str, &'static str)]) -> Result<(), BeginError> {
    match wrong.iter().find(|row| row.0) {
        Some((_, extension, reason)) => Err(BeginError::Extension { extension, reason }),
        None => Ok(()),
    }
}

/// What was demanded of the client, and what the authenticator signs otherwise.
pub(crate) fn check_client_demands(
    policy: &RegistrationPolicy,
    client: &ClientOutputs,
    authenticator: &AuthenticatorOutputs,
) -> Result<(), Refusal> {
    let asked = policy.extensions.as_ref();
    let blob = asked.and_then(|asked| asked.large_blob.as_ref()?.support);
    let wrong: [(bool, &'static str, &'static str); 3] = [
        (
            policy.resident_key == ResidentKeyRequirement::Required
                && client.discoverable == Some(false),
            "credProps",
            "the credential is not discoverable, which was required",
        ),
        (
            blob == Some(LargeBlobSupport::Required) && client.large_blob_supported != Some(true),
            "largeBlob",
            "is not supported, which was required",
        ),
        (
            client.prf_enabled == Some(true) && authenticator.hmac_secret == Some(false),
            "prf",
            "the client says that there are secrets, and the authenticator that there are none",
        ),
    ];
    match wrong.iter().find(|row| row.0) {
        Some((_, extension, reason)) => Err(Refusal::ExtensionMismatch { extension, reason }),
        None => Ok(()),
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
