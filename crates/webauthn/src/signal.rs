//! WebAuthn L3 §5.1.10 signal methods: what a page tells the authenticators about credentials, so that
//! a passkey that no longer works is not offered. The argument of each method, as JSON.

use serde::{Deserialize, Serialize};

use crate::base64url::Base64Url;

/// The argument of `PublicKeyCredential.signalUnknownCredential()`: the Relying Party does not know
/// this credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownCredentialOptions {
    /// The RP ID.
    pub rp_id: String,
    /// The credential ID.
    pub credential_id: Base64Url,
}

/// The argument of `PublicKeyCredential.signalAllAcceptedCredentials()`: the user's credentials, all of
/// them. Authenticators may remove those that are not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllAcceptedCredentialsOptions {
    /// The RP ID.
    pub rp_id: String,
    /// The user handle.
    pub user_id: Base64Url,
    /// Every credential ID of the user.
    pub all_accepted_credential_ids: Vec<Base64Url>,
}

/// The argument of `PublicKeyCredential.signalCurrentUserDetails()`: the user's names, as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentUserDetailsOptions {
    /// The RP ID.
    pub rp_id: String,
    /// The user handle.
    pub user_id: Base64Url,
    /// The account's name.
    pub name: String,
    /// The person's name.
    pub display_name: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_members_are_named_as_the_text_names_them() {
        let unknown = UnknownCredentialOptions {
            rp_id: "example.org".into(),
            credential_id: vec![1, 2, 3].into(),
        };
        assert_eq!(
            serde_json::to_string(&unknown).unwrap(),
            r#"{"rpId":"example.org","credentialId":"AQID"}"#
        );
        let all = AllAcceptedCredentialsOptions {
            rp_id: "example.org".into(),
            user_id: vec![9].into(),
            all_accepted_credential_ids: vec![vec![1, 2, 3].into()],
        };
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"{"rpId":"example.org","userId":"CQ","allAcceptedCredentialIds":["AQID"]}"#
        );
        let details = CurrentUserDetailsOptions {
            rp_id: "example.org".into(),
            user_id: vec![9].into(),
            name: "kim".into(),
            display_name: "Kim".into(),
        };
        assert_eq!(
            serde_json::to_string(&details).unwrap(),
            r#"{"rpId":"example.org","userId":"CQ","name":"kim","displayName":"Kim"}"#
        );
    }
}
