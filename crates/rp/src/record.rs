//! WebAuthn L3 §4 "credential record": what a Relying Party keeps of a credential.

use serde::{Deserialize, Serialize};
use webauthn::Base64Url;
use webauthn::authenticator_data::Aaguid;
use webauthn::cose::{CoseError, CoseKey};
use webauthn::options::{AuthenticatorTransport, PublicKeyCredentialDescriptor};

/// A credential record, with the user it belongs to. It comes out of
/// [`registration::finish`](crate::registration::finish) and goes into
/// [`authentication::finish`](crate::authentication::finish).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRecord {
    /// The credential ID.
    pub id: Base64Url,
    /// The user handle of the account that it belongs to.
    pub user_handle: Base64Url,
    /// The RP ID that it was made for.
    pub rp_id: String,
    /// The public key, a COSE key.
    pub public_key: Base64Url,
    /// The signature counter, as last seen.
    pub sign_count: u32,
    /// Whether the UV flag of this credential may be relied on as a factor: it was set at
    /// registration, or later when another factor stood for it.
    pub uv_initialized: bool,
    /// Whether the credential can be copied to other devices.
    pub backup_eligible: bool,
    /// Whether it was backed up, as last seen.
    pub backup_state: bool,
    /// How the authenticator may be reached.
    #[serde(default)]
    pub transports: Vec<AuthenticatorTransport>,
    /// The model, as the authenticator says. Proven only if `attested` is set.
    pub aaguid: Aaguid,
    /// Whether a trusted attestation that signs `aaguid` proved the model at registration.
    pub attested: bool,
    /// Whether the credential is discoverable, if the client told.
    #[serde(default)]
    pub discoverable: Option<bool>,
    /// The attestation object, for later re-evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation_object: Option<Base64Url>,
    /// The client data that the attestation signs.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "attestationClientDataJSON"
    )]
    pub attestation_client_data_json: Option<Base64Url>,
}

impl CredentialRecord {
    /// The descriptor for `allowCredentials` and `excludeCredentials`.
    pub fn descriptor(&self) -> PublicKeyCredentialDescriptor {
        let transports = (!self.transports.is_empty()).then(|| self.transports.clone());
        PublicKeyCredentialDescriptor::public_key(self.id.clone(), transports)
    }

    /// The public key.
    ///
    /// # Errors
    /// If what was stored is not a COSE key.
    pub fn key(&self) -> Result<CoseKey, CoseError> {
        CoseKey::parse(&self.public_key)
    }
}
