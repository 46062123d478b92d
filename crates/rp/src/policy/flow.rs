//! The flows that most sites have, each with the policies for registering for it and signing in by it.

use serde::{Deserialize, Serialize};
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, AuthenticatorAttachment, PublicKeyCredentialHint,
    ResidentKeyRequirement,
};

use super::{AuthenticationPolicy, BackupPolicy, RegistrationPolicy, UserVerificationPolicy};

/// What a ceremony is for. It decides the policy; change what your site needs otherwise.
///
/// ```
/// use rp::policy::{Flow, UserVerificationPolicy};
/// let mut policy = Flow::SecondFactor.authentication();
/// assert_eq!(policy.user_verification, UserVerificationPolicy::Never);
/// policy.timeout = 600_000;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flow {
    /// After a password: the touch of a key, no PIN.
    SecondFactor,
    /// Instead of name and password: a passkey that verifies its user.
    Passwordless,
    /// Somebody who is signed in does something sensitive: the same person, verified, now.
    ReAuthentication,
    /// A shared terminal where people come with a key and give their name or badge: a touch, no PIN,
    /// and nothing that stays behind or is copied.
    Kiosk,
}

impl Flow {
    /// Every flow.
    pub const ALL: [Self; 4] = [
        Self::SecondFactor,
        Self::Passwordless,
        Self::ReAuthentication,
        Self::Kiosk,
    ];

    /// The name in JSON and in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second-factor",
            Self::Passwordless => "passwordless",
            Self::ReAuthentication => "re-authentication",
            Self::Kiosk => "kiosk",
        }
    }

    /// When the user is verified.
    pub const fn user_verification(self) -> UserVerificationPolicy {
        match self {
            Self::SecondFactor | Self::Kiosk => UserVerificationPolicy::Never,
            Self::Passwordless | Self::ReAuthentication => UserVerificationPolicy::Always,
        }
    }

    /// The policy for registering a credential for this flow.
    pub fn registration(self) -> RegistrationPolicy {
        let mut policy = RegistrationPolicy::new(self.user_verification());
        policy.flow = Some(self);
        policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
            cred_props: Some(true),
            ..Default::default()
        });
        policy.resident_key = match self {
            Self::SecondFactor | Self::Kiosk => ResidentKeyRequirement::Discouraged,
            Self::Passwordless => ResidentKeyRequirement::Required,
            Self::ReAuthentication => ResidentKeyRequirement::Preferred,
        };
        if matches!(self, Self::SecondFactor | Self::Kiosk) {
            policy.hints = vec![PublicKeyCredentialHint::SecurityKey];
        }
        if self == Self::Kiosk {
            policy.authenticator_attachment = Some(AuthenticatorAttachment::CrossPlatform);
            policy.backup = BackupPolicy::DeviceBound;
        }
        policy
    }

    /// The policy for signing in by this flow.
    pub fn authentication(self) -> AuthenticationPolicy {
        let mut policy = AuthenticationPolicy::new(self.user_verification());
        policy.flow = Some(self);
        policy.named_user = self != Self::Passwordless;
        if matches!(self, Self::SecondFactor | Self::Kiosk) {
            policy.hints = vec![PublicKeyCredentialHint::SecurityKey];
        }
        if self == Self::Kiosk {
            policy.backup = BackupPolicy::DeviceBound;
        }
        policy
    }
}

impl core::fmt::Display for Flow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn each_flow_asks_at_sign_in_what_its_keys_were_registered_for() {
        for flow in Flow::ALL {
            let (first, later) = (flow.registration(), flow.authentication());
            assert_eq!(first.user_verification, later.user_verification, "{flow}");
            assert_eq!(first.backup, later.backup, "{flow}");
            assert_eq!((first.flow, later.flow), (Some(flow), Some(flow)));
            // Nobody is named only where a discoverable credential was demanded.
            if !later.named_user {
                assert_eq!(
                    first.resident_key,
                    ResidentKeyRequirement::Required,
                    "{flow}"
                );
            }
            assert!(
                first.advice().is_empty() && later.advice().is_empty(),
                "{flow}"
            );
            let text = serde_json::to_string(&flow).unwrap();
            assert_eq!(text, format!("\"{flow}\""));
        }
    }
}
