//! WebAuthn L3 §5.1.10: what to hand to the page after a sign-in failed, a credential was deleted or an
//! account renamed, so that authenticators do not keep offering what no longer works.
//!
//! ```
//! use rp::{CredentialRecord, RelyingParty, signal};
//! let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
//! # let json = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/record.json"));
//! let record: CredentialRecord = serde_json::from_str(json)?; // all that the account has
//! let accepted = signal::all_accepted_credentials(&rp, &record.user_handle, &[record.clone()])?;
//! // In the page: PublicKeyCredential.signalAllAcceptedCredentials(accepted)
//! assert!(serde_json::to_string(&accepted)?.contains("allAcceptedCredentialIds"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use webauthn::Base64Url;
pub use webauthn::signal::{
    AllAcceptedCredentialsOptions, CurrentUserDetailsOptions, UnknownCredentialOptions,
};

use crate::ceremony::BeginError;
use crate::record::CredentialRecord;
use crate::refusal::Refusal;
use crate::relying_party::RelyingParty;

/// After an authentication was refused: the credential that the authenticator can forget, if the
/// refusal was that nobody knows it. Any other refusal says nothing of the credential, and telling
/// would have people lose keys that are good.
pub fn unknown_credential(
    rp: &RelyingParty,
    refusal: &Refusal,
) -> Option<UnknownCredentialOptions> {
    match refusal {
        Refusal::UnknownCredential { found } => Some(UnknownCredentialOptions {
            rp_id: rp.id().to_owned(),
            credential_id: found.clone(),
        }),
        _ => None,
    }
}

/// When the user is signed in: every credential of the user. Authenticators may remove the others, so
/// the list must be whole. An empty list removes all.
///
/// # Errors
/// [`BeginError::CredentialOfOtherUser`] or [`BeginError::CredentialOfOtherRp`] if a record does not
/// belong there: the list would be wrong, or tell of others.
pub fn all_accepted_credentials(
    rp: &RelyingParty,
    user_handle: &[u8],
    credentials: &[CredentialRecord],
) -> Result<AllAcceptedCredentialsOptions, BeginError> {
    for record in credentials {
        if *record.user_handle != *user_handle {
            return Err(BeginError::CredentialOfOtherUser(record.id.clone()));
        }
        if record.rp_id != rp.id() {
            return Err(BeginError::CredentialOfOtherRp(record.id.clone()));
        }
    }
    Ok(AllAcceptedCredentialsOptions {
        rp_id: rp.id().to_owned(),
        user_id: Base64Url::from(user_handle),
        all_accepted_credential_ids: credentials.iter().map(|record| record.id.clone()).collect(),
    })
}

/// When the user is signed in: the names that authenticators show.
pub fn current_user_details(
    rp: &RelyingParty,
    user_handle: &[u8],
    name: &str,
    display_name: &str,
) -> CurrentUserDetailsOptions {
    CurrentUserDetailsOptions {
        rp_id: rp.id().to_owned(),
        user_id: Base64Url::from(user_handle),
        name: name.to_owned(),
        display_name: display_name.to_owned(),
    }
}
