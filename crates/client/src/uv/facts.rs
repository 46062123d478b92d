//! What a decision depends on: the request, the key (CTAP 2.3 §6.4 authenticatorGetInfo) and the policy.

use ctap::get_info;
use serde::{Deserialize, Serialize};
use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement};

use crate::policy::HostPolicy;
use crate::profile::PlatformProfile;
use crate::rules::Protocol;

/// Which of the two ceremonies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceremony {
    /// `navigator.credentials.create()`
    Create,
    /// `navigator.credentials.get()`
    Get,
}

impl Ceremony {
    /// The word as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
        }
    }
}

/// The exclude list of `create()` or the allow list of `get()`, as this key would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialList {
    /// Empty; for `get()` this asks for a discoverable credential.
    Empty,
    /// The key has a credential of the list.
    Match,
    /// The key has one that it shows only after user verification (credProtect level 3).
    Hidden,
    /// The key has none of them.
    NoMatch,
}

impl CredentialList {
    /// The word as it is written in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Match => "match",
            Self::Hidden => "hidden",
            Self::NoMatch => "no-match",
        }
    }
}

/// What a key says about itself (authenticatorGetInfo) and the state of its PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyFacts {
    /// It speaks CTAP2; otherwise CTAP1/U2F only.
    pub ctap2: bool,
    /// It lists `U2F_V2`.
    pub u2f_v2: bool,
    /// It can keep discoverable credentials.
    pub rk: bool,
    /// `clientPin`: absent, no PIN yet, PIN set.
    pub client_pin: Option<bool>,
    /// `uv`: no built-in method, not configured, configured.
    pub uv: Option<bool>,
    /// `bioEnroll`: absent, no finger enrolled, fingers enrolled.
    pub bio_enroll: Option<bool>,
    /// It hands out pinUvAuthTokens with permissions (CTAP 2.1).
    pub pin_uv_auth_token: bool,
    /// It gives no mc and ga permissions for a PIN.
    pub no_mc_ga_permissions_with_client_pin: bool,
    /// `alwaysUv` is on.
    pub always_uv: bool,
    /// `makeCredUvNotRqd` is on.
    pub make_cred_uv_not_rqd: bool,
    /// `forcePINChange` is on.
    pub force_pin_change: bool,
    /// No PIN retries are left.
    pub pin_blocked: bool,
    /// It supports hmac-secret, the ground of `prf`.
    pub hmac_secret: bool,
}

impl KeyFacts {
    /// Whether a PIN can verify the user for this ceremony now.
    pub(crate) fn pin_ready(&self) -> bool {
        self.client_pin == Some(true) && !self.no_mc_ga_permissions_with_client_pin
    }

    /// Whether a PIN could be created that then verifies the user.
    pub(super) fn pin_possible(&self) -> bool {
        self.client_pin == Some(false) && !self.no_mc_ga_permissions_with_client_pin
    }

    /// Whether built-in user verification is configured.
    pub(super) fn built_in_ready(&self) -> bool {
        self.uv == Some(true)
    }
}

/// Everything that a disposition depends on, besides the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// Which ceremony.
    pub ceremony: Ceremony,
    /// What the site said (an absent member is `preferred`).
    pub user_verification: UserVerificationRequirement,
    /// What the site said about discoverable credentials (`create()` only).
    pub resident_key: ResidentKeyRequirement,
    /// The exclude or allow list.
    pub list: CredentialList,
    /// The site uses the `prf` extension.
    pub prf: bool,
    /// The key.
    pub key: KeyFacts,
    /// The policy of the host.
    pub policy: HostPolicy,
}

impl Facts {
    /// What is left of these facts on a platform that speaks only U2F to keys.
    pub(crate) fn as_seen_by(&self, platform: &PlatformProfile) -> Self {
        let u2f = platform.rules.protocol.value == Protocol::U2fOnly && self.key.u2f_v2;
        Self {
            key: if u2f { KeyFacts::u2f_only() } else { self.key },
            ..*self
        }
    }
}

impl KeyFacts {
    /// Reads what the decision needs from authenticatorGetInfo. Absent options have the defaults of
    /// CTAP 2.3 §6.4. Whether the PIN is blocked is not in there.
    pub fn from_info(info: &get_info::Response) -> Self {
        let options = info.options.clone().unwrap_or_default();
        let on = |option: Option<bool>| option == Some(true);
        let always_uv = on(options.always_uv);
        Self {
            ctap2: info
                .versions
                .iter()
                .any(|version| version.starts_with("FIDO_2")),
            u2f_v2: info.has_version("U2F_V2"),
            rk: on(options.rk),
            client_pin: options.client_pin,
            uv: options.uv,
            bio_enroll: options
                .bio_enroll
                .or(options.user_verification_mgmt_preview),
            pin_uv_auth_token: on(options.pin_uv_auth_token),
            no_mc_ga_permissions_with_client_pin: on(options.no_mc_ga_permissions_with_client_pin),
            always_uv,
            // §7.2: counts as false while alwaysUv is on, whatever the key says.
            make_cred_uv_not_rqd: on(options.make_cred_uv_not_rqd) && !always_uv,
            force_pin_change: info.force_pin_change == Some(true),
            pin_blocked: false,
            hmac_secret: info.has_extension("hmac-secret"),
        }
    }
}
