//! What a Relying Party demands of a ceremony, as a value that travels with the challenge.
//!
//! WebAuthn leaves user verification to the options and to what the Relying Party checks later; most
//! libraries give both a default, and the two defaults differ. Here there is none: a policy is made
//! from a [`UserVerificationPolicy`], and both the options and the check follow from it.

use serde::{Deserialize, Serialize};
use webauthn::cose::CoseAlgorithm;
use webauthn::options::{
    AttestationConveyancePreference, AuthenticationExtensionsClientInputsJson,
    AuthenticatorAttachment, PublicKeyCredentialHint, ResidentKeyRequirement,
    UserVerificationRequirement,
};

use crate::metadata::ModelPolicy;

mod flow;

pub use flow::Flow;

/// The milliseconds that the text recommends for a ceremony (§15.1).
pub const RECOMMENDED_TIMEOUT: core::ops::RangeInclusive<u32> = 300_000..=600_000;

/// When the user is to be verified (PIN, fingerprint, face), not only present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserVerificationPolicy {
    /// Nobody is asked: `discouraged`, and the UV flag is not looked at. For a second factor after a
    /// password, for kiosks.
    Never,
    /// Asked where the authenticator is set up for it: `preferred`, and the UV flag is not demanded.
    ///
    /// Beware: several platforms ask people to *create* a PIN for this.
    IfSet,
    /// Always asked, and refused without: `required`. For signing in without a password.
    Always,
    /// `preferred` until a credential is known to verify its user, from then on demanded of that
    /// credential.
    OnceSetAlways,
    /// Sign-in without (`discouraged`), with `preferred` at registration so that a later ceremony
    /// under [`Always`](Self::Always) finds a key that can; the verdict says when one is needed.
    StepUp,
}

impl UserVerificationPolicy {
    /// Every policy.
    pub const ALL: [Self; 5] = [
        Self::Never,
        Self::IfSet,
        Self::Always,
        Self::OnceSetAlways,
        Self::StepUp,
    ];

    /// The `userVerification` of creation options.
    pub const fn at_registration(self) -> UserVerificationRequirement {
        match self {
            Self::Never => UserVerificationRequirement::Discouraged,
            Self::IfSet | Self::OnceSetAlways | Self::StepUp => {
                UserVerificationRequirement::Preferred
            }
            Self::Always => UserVerificationRequirement::Required,
        }
    }

    /// The `userVerification` of request options. `all_initialized` says that every credential that
    /// may answer is known to verify its user.
    pub const fn at_authentication(self, all_initialized: bool) -> UserVerificationRequirement {
        match self {
            Self::Never | Self::StepUp => UserVerificationRequirement::Discouraged,
            Self::Always => UserVerificationRequirement::Required,
            Self::OnceSetAlways if all_initialized => UserVerificationRequirement::Required,
            Self::IfSet | Self::OnceSetAlways => UserVerificationRequirement::Preferred,
        }
    }

    /// Whether a registration without the UV flag is refused.
    pub const fn is_demanded_at_registration(self) -> bool {
        matches!(self, Self::Always)
    }

    /// Whether an assertion without the UV flag is refused, given the record's `uvInitialized`.
    pub const fn is_demanded_at_authentication(self, uv_initialized: bool) -> bool {
        match self {
            Self::Always => true,
            Self::OnceSetAlways => uv_initialized,
            Self::Never | Self::IfSet | Self::StepUp => false,
        }
    }

    /// The name used in JSON and in words: `never`, `if-set`, `always`, `once-set-always`, `step-up`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::IfSet => "if-set",
            Self::Always => "always",
            Self::OnceSetAlways => "once-set-always",
            Self::StepUp => "step-up",
        }
    }
}

impl core::fmt::Display for UserVerificationPolicy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a new credential may, must or must not be one that is copied to other devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupPolicy {
    /// Either.
    #[default]
    Any,
    /// Only credentials that stay on one device (BE = 0).
    DeviceBound,
    /// Only credentials that can be backed up (BE = 1).
    Eligible,
}

/// What to do when a credential's backup eligibility is no longer what it was at registration. The
/// text calls for refusal, but providers have turned device-bound credentials into synced ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupEligibilityChange {
    /// Refuse, as the text says.
    #[default]
    Refuse,
    /// Accept that a credential became eligible; refuse the other way.
    AllowBecomingEligible,
    /// Accept both; the verdict tells.
    Allow,
}

/// What to do when a signature counter does not rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignCountPolicy {
    /// Refuse: the credential may have been copied.
    #[default]
    Refuse,
    /// Accept and say so in the verdict; the stored counter stays.
    Report,
}

/// How much a new credential's attestation must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttestationTrustPolicy {
    /// Nothing; a statement that is there must still be correct.
    #[default]
    Any,
    /// No attestation and self attestation pass; a certificate must lead to a trust anchor.
    TrustedIfPresent,
    /// Only a certificate that leads to a trust anchor.
    Trusted,
}

/// What to do with client extension outputs that were not asked for. (Authenticator extension
/// outputs are always tolerated: real keys return some unasked.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsolicitedOutputs {
    /// Refuse the ceremony.
    #[default]
    Refuse,
    /// Ignore them.
    Ignore,
}

/// The policy of a registration flow.
///
/// It cannot be made without saying when the user is verified:
///
/// ```
/// use rp::policy::{RegistrationPolicy, UserVerificationPolicy};
/// let policy = RegistrationPolicy::new(UserVerificationPolicy::IfSet);
/// ```
/// ```compile_fail,E0061
/// use rp::policy::RegistrationPolicy;
/// let policy = RegistrationPolicy::new(); // the policy for user verification is missing
/// ```
/// ```compile_fail,E0599
/// use rp::policy::RegistrationPolicy;
/// let policy = RegistrationPolicy::default(); // there is no default
/// ```
/// Nor can it be read from JSON without: the member is required.
///
/// ```
/// use rp::policy::RegistrationPolicy;
/// assert!(serde_json::from_str::<RegistrationPolicy>(r#"{"backup":"any"}"#).is_err());
/// assert!(serde_json::from_str::<RegistrationPolicy>(r#"{"userVerification":"never"}"#).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RegistrationPolicy {
    /// What the ceremony is for, if it is one of the usual flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// When the user is verified.
    pub user_verification: UserVerificationPolicy,
    /// Whether the credential is to be discoverable.
    #[serde(default = "RegistrationPolicy::default_resident_key")]
    pub resident_key: ResidentKeyRequirement,
    /// Where the authenticator may sit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_attachment: Option<AuthenticatorAttachment>,
    /// Offered algorithms, best first.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<CoseAlgorithm>,
    /// Which attestation to ask for.
    #[serde(default = "RegistrationPolicy::default_attestation")]
    pub attestation: AttestationConveyancePreference,
    /// How much attestation must prove.
    #[serde(default)]
    pub attestation_trust: AttestationTrustPolicy,
    /// Which models are taken.
    #[serde(default)]
    pub models: ModelPolicy,
    /// Synced or device-bound.
    #[serde(default)]
    pub backup: BackupPolicy,
    /// The call is made with `mediation: "conditional"` (an upgrade to a passkey in the background),
    /// for which the text does not demand user presence.
    #[serde(default)]
    pub conditional: bool,
    /// What the user is likely to use, best first.
    #[serde(default)]
    pub hints: Vec<PublicKeyCredentialHint>,
    /// Milliseconds that the ceremony may take and the challenge lives. The text recommends 300,000
    /// to 600,000.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// Extensions to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<AuthenticationExtensionsClientInputsJson>,
    /// Outputs that were not asked for.
    #[serde(default)]
    pub unsolicited_outputs: UnsolicitedOutputs,
    /// Refuse keys whose minimum PIN length (`minPinLength` extension) is not told or is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_pin_length: Option<u32>,
}

impl RegistrationPolicy {
    /// A policy with this rule for user verification; everything else at its mildest.
    pub fn new(user_verification: UserVerificationPolicy) -> Self {
        Self {
            flow: None,
            user_verification,
            resident_key: Self::default_resident_key(),
            authenticator_attachment: None,
            algorithms: default_algorithms(),
            attestation: Self::default_attestation(),
            attestation_trust: AttestationTrustPolicy::default(),
            models: ModelPolicy::default(),
            backup: BackupPolicy::default(),
            conditional: false,
            hints: Vec::new(),
            timeout: default_timeout(),
            extensions: None,
            unsolicited_outputs: UnsolicitedOutputs::default(),
            min_pin_length: None,
        }
    }

    /// The `mediation` of the call to `navigator.credentials.create()`, where it is not left out.
    pub fn mediation(&self) -> Option<&'static str> {
        self.conditional.then_some("conditional")
    }

    /// What may not work as meant, in words for whoever writes the policy.
    pub fn advice(&self) -> Vec<&'static str> {
        let always = self.user_verification == UserVerificationPolicy::Always;
        let list = [
            (!RECOMMENDED_TIMEOUT.contains(&self.timeout)).then_some(TIMEOUT_ADVICE),
            asks_for_new_pins(self.user_verification).then_some(PREFERRED_ADVICE),
            (self.conditional && always).then_some(
                "A conditional registration shows no dialog, so providers that verify nobody then \
                 are refused.",
            ),
            (self.attestation_trust != AttestationTrustPolicy::Any
                && self.attestation == AttestationConveyancePreference::None)
                .then_some(
                    "Trusted attestation is demanded but not asked for: browsers will take it out.",
                ),
            (self.backup == BackupPolicy::Eligible
                && self.authenticator_attachment == Some(AuthenticatorAttachment::CrossPlatform))
            .then_some("Hardly any security key makes credentials that can be backed up."),
        ];
        list.into_iter().flatten().collect()
    }

    const fn default_resident_key() -> ResidentKeyRequirement {
        ResidentKeyRequirement::Preferred
    }

    const fn default_attestation() -> AttestationConveyancePreference {
        AttestationConveyancePreference::None
    }
}

/// The policy of an authentication flow.
///
/// ```
/// use rp::policy::{AuthenticationPolicy, UserVerificationPolicy};
/// let policy = AuthenticationPolicy::new(UserVerificationPolicy::Always);
/// ```
/// ```compile_fail,E0061
/// use rp::policy::AuthenticationPolicy;
/// let policy = AuthenticationPolicy::new(); // the policy for user verification is missing
/// ```
/// ```compile_fail,E0599
/// use rp::policy::AuthenticationPolicy;
/// let policy = AuthenticationPolicy::default(); // there is no default
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthenticationPolicy {
    /// What the ceremony is for, if it is one of the usual flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// When the user is verified.
    pub user_verification: UserVerificationPolicy,
    /// The ceremony is for a user who was identified before; it cannot begin without one.
    #[serde(default)]
    pub named_user: bool,
    /// The call is made with `mediation: "conditional"`: passkeys are offered in the name field of the
    /// sign-in form, for as long as the page is open. See [`conditional`](Self::conditional).
    #[serde(default)]
    pub conditional: bool,
    /// Synced or device-bound.
    #[serde(default)]
    pub backup: BackupPolicy,
    /// What the user is likely to use, best first.
    #[serde(default)]
    pub hints: Vec<PublicKeyCredentialHint>,
    /// Milliseconds that the ceremony may take and the challenge lives.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// Counters that do not rise.
    #[serde(default)]
    pub sign_count: SignCountPolicy,
    /// Backup eligibility that changes.
    #[serde(default)]
    pub backup_eligibility: BackupEligibilityChange,
    /// Extensions to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<AuthenticationExtensionsClientInputsJson>,
    /// Outputs that were not asked for.
    #[serde(default)]
    pub unsolicited_outputs: UnsolicitedOutputs,
}

impl AuthenticationPolicy {
    /// A policy with this rule for user verification; everything else as the text has it.
    pub fn new(user_verification: UserVerificationPolicy) -> Self {
        Self {
            flow: None,
            user_verification,
            named_user: false,
            conditional: false,
            backup: BackupPolicy::default(),
            hints: Vec::new(),
            timeout: default_timeout(),
            sign_count: SignCountPolicy::default(),
            backup_eligibility: BackupEligibilityChange::default(),
            extensions: None,
            unsolicited_outputs: UnsolicitedOutputs::default(),
        }
    }

    /// The same for `mediation: "conditional"`. Browsers have no time-out then, so the challenge lives
    /// as long as the text recommends at most; a page that stays open asks for a new one before.
    #[must_use]
    pub fn conditional(mut self) -> Self {
        self.conditional = true;
        self.timeout = *RECOMMENDED_TIMEOUT.end();
        self
    }

    /// The `mediation` of the call to `navigator.credentials.get()`, where it is not left out.
    pub fn mediation(&self) -> Option<&'static str> {
        self.conditional.then_some("conditional")
    }

    /// What may not work as meant, in words for whoever writes the policy.
    pub fn advice(&self) -> Vec<&'static str> {
        let list = [
            (!RECOMMENDED_TIMEOUT.contains(&self.timeout)).then_some(TIMEOUT_ADVICE),
            asks_for_new_pins(self.user_verification).then_some(PREFERRED_ADVICE),
            (self.conditional && self.named_user).then_some(
                "A conditional sign-in is for people who have not said yet who they are.",
            ),
            (!self.named_user && self.user_verification == UserVerificationPolicy::Never)
                .then_some(
                    "Nobody is named and nobody is verified: whoever finds the key is its owner.",
                ),
        ];
        list.into_iter().flatten().collect()
    }
}

const TIMEOUT_ADVICE: &str = "The time-out is outside of the recommended five to ten minutes: people \
                              who need more time fail, or challenges live long.";

const PREFERRED_ADVICE: &str = "This sends `preferred`, for which several platforms have people create \
                                a PIN; `never` does not, and `always` says so plainly.";

/// Whether the options say `preferred`.
fn asks_for_new_pins(rule: UserVerificationPolicy) -> bool {
    let preferred = UserVerificationRequirement::Preferred;
    rule.at_registration() == preferred || rule.at_authentication(false) == preferred
}

/// Five minutes, the lower end of what the text recommends (§15.1).
const fn default_timeout() -> u32 {
    300_000
}

/// What the text recommends to offer at least (§5.4.1), best first.
fn default_algorithms() -> Vec<CoseAlgorithm> {
    vec![
        CoseAlgorithm::EDDSA,
        CoseAlgorithm::ES256,
        CoseAlgorithm::RS256,
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use UserVerificationRequirement as R;

    /// The whole domain: policy, options at registration, options at authentication without and with
    /// initialised credentials, whether the flag is demanded at the three.
    #[test]
    fn each_policy_asks_and_demands_what_it_says() {
        let table = [
            (
                UserVerificationPolicy::Never,
                R::Discouraged,
                R::Discouraged,
                R::Discouraged,
                false,
                false,
                false,
            ),
            (
                UserVerificationPolicy::IfSet,
                R::Preferred,
                R::Preferred,
                R::Preferred,
                false,
                false,
                false,
            ),
            (
                UserVerificationPolicy::Always,
                R::Required,
                R::Required,
                R::Required,
                true,
                true,
                true,
            ),
            (
                UserVerificationPolicy::OnceSetAlways,
                R::Preferred,
                R::Preferred,
                R::Required,
                false,
                false,
                true,
            ),
            (
                UserVerificationPolicy::StepUp,
                R::Preferred,
                R::Discouraged,
                R::Discouraged,
                false,
                false,
                false,
            ),
        ];
        assert_eq!(table.map(|row| row.0), UserVerificationPolicy::ALL);
        for (policy, at_registration, unset, set, registration, demanded_unset, demanded_set) in
            table
        {
            assert_eq!(policy.at_registration(), at_registration, "{policy}");
            assert_eq!(policy.at_authentication(false), unset, "{policy}");
            assert_eq!(policy.at_authentication(true), set, "{policy}");
            assert_eq!(
                policy.is_demanded_at_registration(),
                registration,
                "{policy}"
            );
            assert_eq!(
                policy.is_demanded_at_authentication(false),
                demanded_unset,
                "{policy}"
            );
            assert_eq!(
                policy.is_demanded_at_authentication(true),
                demanded_set,
                "{policy}"
            );
        }
    }

    /// Whoever answers `required` truthfully is never refused for the UV flag, and nobody is asked
    /// `required` whose missing flag would then pass.
    #[test]
    fn required_in_the_options_and_demanded_in_the_answer_are_one() {
        for policy in UserVerificationPolicy::ALL {
            assert_eq!(
                policy.at_registration() == R::Required,
                policy.is_demanded_at_registration()
            );
            for initialized in [false, true] {
                assert_eq!(
                    policy.at_authentication(initialized) == R::Required,
                    policy.is_demanded_at_authentication(initialized)
                );
            }
        }
    }

    #[test]
    fn policies_round_trip_through_json() {
        for uv in UserVerificationPolicy::ALL {
            let policy = AuthenticationPolicy::new(uv);
            let text = serde_json::to_string(&policy).unwrap();
            assert!(
                text.contains(&format!("\"userVerification\":\"{uv}\"")),
                "{text}"
            );
            assert_eq!(
                serde_json::from_str::<AuthenticationPolicy>(&text).unwrap(),
                policy
            );
        }
    }
}
