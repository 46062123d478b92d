//! Key profiles: what a key has, as data (`profiles/keys/*.toml`).
//!
//! A profile lists features by their names in authenticatorGetInfo (CTAP 2.3 §6.4). The version
//! strings are not in it: they follow from the features (§9 Mandatory features). A profile may say
//! which versions it expects (`claims`); if a feature is missing for one, loading fails and says
//! which.

mod rules;

use core::num::NonZeroU32;
use core::time::Duration;

use serde::Deserialize;
use webauthn::authenticator_data::Aaguid;
use webauthn::cose::CoseAlgorithm;

macro_rules! texts {
    ($($id:literal),* $(,)?) => {
        &[$(($id, include_str!(concat!("../../../profiles/keys/", $id, ".toml")))),*]
    };
}

/// The profiles of keys as most people have them: ID and text. Tables and comparisons go over these.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    texts![
        "fido-2.0",
        "fido-2.1-pre",
        "fido-2.1",
        "fido-2.1-muv",
        "fido-2.1-always-uv",
        "fido-2.1-bio",
        "fido-2.3",
        "u2f-only",
    ]
}

/// The profiles of keys that are special in one way: rare features, limits, deviations from the text.
pub fn special() -> &'static [(&'static str, &'static str)] {
    texts![
        "fido-2.0-bio",
        "fido-2.3-complete",
        "enterprise",
        "post-quantum",
        "tiny",
        "nfc-card",
        "large-blob",
        "slow",
        "deviant-denies-uv",
        "deviant-caps-params",
        "deviant-counter",
        "deviant-drops",
    ]
}

/// All profiles in this program.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    shipped().iter().chain(special()).copied()
}

/// The profile in this program with this ID.
pub fn find(id: &str) -> Option<Result<Profile, ProfileError>> {
    all()
        .find(|(known, _)| *known == id)
        .map(|(_, text)| Profile::from_toml(text))
}

/// Why a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The text is not a profile.
    #[error("the key profile does not read: {0}")]
    Toml(String),
    /// It claims a version that its features do not amount to.
    #[error("the key profile \"{profile}\" claims {version}, but it lacks {missing}")]
    OverClaim {
        /// The profile.
        profile: String,
        /// What it claims.
        version: String,
        /// The feature that is missing.
        missing: &'static str,
    },
    /// Its features contradict each other or exceed what this key can do.
    #[error("the key profile \"{profile}\" is impossible: {why}")]
    Impossible {
        /// The profile.
        profile: String,
        /// What does not fit.
        why: String,
    },
}

/// A version string of authenticatorGetInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Version {
    /// CTAP1.
    #[serde(rename = "U2F_V2")]
    U2fV2,
    /// CTAP 2.0.
    #[serde(rename = "FIDO_2_0")]
    Fido20,
    /// The preview of CTAP 2.1.
    #[serde(rename = "FIDO_2_1_PRE")]
    Fido21Pre,
    /// CTAP 2.1. (There is no string for 2.2.)
    #[serde(rename = "FIDO_2_1")]
    Fido21,
    /// CTAP 2.3.
    #[serde(rename = "FIDO_2_3")]
    Fido23,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 5] = [
        Self::U2fV2,
        Self::Fido20,
        Self::Fido21Pre,
        Self::Fido21,
        Self::Fido23,
    ];

    /// The string on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::U2fV2 => "U2F_V2",
            Self::Fido20 => "FIDO_2_0",
            Self::Fido21Pre => "FIDO_2_1_PRE",
            Self::Fido21 => "FIDO_2_1",
            Self::Fido23 => "FIDO_2_3",
        }
    }
}

/// An extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Extension {
    /// §12.1.
    #[serde(rename = "credProtect")]
    CredProtect,
    /// §12.2.
    #[serde(rename = "credBlob")]
    CredBlob,
    /// §12.5.
    #[serde(rename = "minPinLength")]
    MinPinLength,
    /// §12.7.
    #[serde(rename = "hmac-secret")]
    HmacSecret,
    /// §12.3.
    #[serde(rename = "largeBlobKey")]
    LargeBlobKey,
    /// §12.4. It excludes largeBlobKey.
    #[serde(rename = "largeBlob")]
    LargeBlob,
    /// §12.8.
    #[serde(rename = "hmac-secret-mc")]
    HmacSecretMc,
    /// §12.9.
    #[serde(rename = "thirdPartyPayment")]
    ThirdPartyPayment,
    /// §12.6.
    #[serde(rename = "pinComplexityPolicy")]
    PinComplexityPolicy,
}

impl Extension {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CredProtect => "credProtect",
            Self::CredBlob => "credBlob",
            Self::MinPinLength => "minPinLength",
            Self::HmacSecret => "hmac-secret",
            Self::LargeBlobKey => "largeBlobKey",
            Self::LargeBlob => "largeBlob",
            Self::HmacSecretMc => "hmac-secret-mc",
            Self::ThirdPartyPayment => "thirdPartyPayment",
            Self::PinComplexityPolicy => "pinComplexityPolicy",
        }
    }
}

/// Options by their names in getInfo. Each says what the key can do; what is set up on it (a PIN, a
/// finger) is state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // they are the options of the wire
pub struct Options {
    /// Discoverable credentials.
    #[serde(default)]
    pub rk: bool,
    /// A PIN can be set.
    #[serde(default)]
    pub client_pin: bool,
    /// Built-in user verification.
    #[serde(default)]
    pub uv: bool,
    /// Tokens with permissions.
    #[serde(default)]
    pub pin_uv_auth_token: bool,
    /// alwaysUv: absent unsupported, else its value as delivered.
    pub always_uv: Option<bool>,
    /// Non-discoverable credentials need no user verification.
    #[serde(default)]
    pub make_cred_uv_not_rqd: bool,
    /// A PIN gives no token for makeCredential and getAssertion.
    #[serde(default)]
    pub no_mc_ga_permissions_with_client_pin: bool,
    /// The persistent read-only token (CTAP 2.2).
    #[serde(default, rename = "perCredMgmtRO")]
    pub per_cred_mgmt_ro: bool,
    /// largeBlobs.
    #[serde(default)]
    pub large_blobs: bool,
    /// bioEnrollment.
    #[serde(default)]
    pub bio_enroll: bool,
    /// bioEnrollment with a token of built-in user verification.
    #[serde(default)]
    pub uv_bio_enroll: bool,
    /// The prototype of bioEnrollment (0x40).
    #[serde(default)]
    pub user_verification_mgmt_preview: bool,
    /// credentialManagement.
    #[serde(default)]
    pub cred_mgmt: bool,
    /// The prototype of credentialManagement (0x41).
    #[serde(default)]
    pub credential_mgmt_preview: bool,
    /// authenticatorConfig.
    #[serde(default)]
    pub authnr_cfg: bool,
    /// authenticatorConfig with a token of built-in user verification.
    #[serde(default)]
    pub uv_acfg: bool,
    /// setMinPINLength.
    #[serde(default, rename = "setMinPINLength")]
    pub set_min_pin_length: bool,
    /// Enterprise attestation.
    #[serde(default)]
    pub ep: bool,
}

/// Which generation of getInfo members the key reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Members {
    /// 0x01 to 0x06.
    #[serde(rename = "2.0")]
    V20,
    /// 0x01 to 0x0A.
    #[serde(rename = "2.1-pre")]
    V21Pre,
    /// 0x01 to 0x15.
    #[serde(rename = "2.1")]
    V21,
    /// 0x01 to 0x1F.
    #[serde(rename = "2.3")]
    V23,
}

/// How new credentials are attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttestationKind {
    /// Format `none`.
    None,
    /// Format `packed`, signed with the credential's own key.
    #[serde(rename = "self")]
    SelfAttestation,
    /// Format `packed` with a certificate of a batch key.
    Basic,
}

/// The `[attestation]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Which kind.
    pub kind: AttestationKind,
    /// The batch, from whose name the batch key is derived: it proves nothing, everybody can.
    #[serde(default = "default_batch")]
    pub batch: String,
    /// Whether the format `fido-u2f` can be had too.
    #[serde(default)]
    pub fido_u2f: bool,
    /// RP IDs that get vendor-facilitated enterprise attestation.
    #[serde(default)]
    pub enterprise_rp_ids: Vec<String>,
}

/// The `[pin]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pin {
    /// PIN/UV auth protocols, preferred first.
    pub protocols: Vec<u8>,
    /// Minimum length in code points, as delivered.
    pub min_length: u8,
    /// How many RP IDs setMinPINLength takes.
    pub max_rp_ids: u8,
    /// Whether getPINRetries answers before there is a PIN. The text has no such condition; newer
    /// keys of the market, and the device tests of python-fido2, answer `PIN_NOT_SET`.
    pub retries_without_pin: bool,
    /// Whether the key has a PIN complexity policy (CTAP 2.2).
    pub complexity_policy: bool,
    /// Whether the policy is enforced as delivered.
    pub complexity_enforced: bool,
    /// Where the policy is explained.
    pub complexity_policy_url: Option<String>,
}

impl Default for Pin {
    fn default() -> Self {
        Self {
            protocols: vec![1],
            min_length: 4,
            max_rp_ids: 4,
            retries_without_pin: false,
            complexity_policy: false,
            complexity_enforced: false,
            complexity_policy_url: None,
        }
    }
}

/// The `[built_in_uv]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuiltInUv {
    /// How many fingers are looked at in one makeCredential or getAssertion.
    pub max_internal_retries: u8,
    /// How often the platform should ask before it falls back to the PIN.
    pub preferred_platform_uv_attempts: u8,
    /// FIDO Registry bits of the modality; 2 is a fingerprint.
    pub uv_modality: u32,
    /// Whether the key is delivered with a finger enrolled, so that it can be tried at once.
    pub enrolled: bool,
    /// How many fingers can be enrolled.
    pub max_templates: u8,
    /// Good samples that an enrolment takes.
    pub samples: u8,
    /// Longest name of an enrolment in bytes.
    pub max_friendly_name: u8,
}

impl Default for BuiltInUv {
    fn default() -> Self {
        Self {
            max_internal_retries: 3,
            preferred_platform_uv_attempts: 3,
            uv_modality: 2,
            enrolled: false,
            max_templates: 5,
            samples: 4,
            max_friendly_name: 32,
        }
    }
}

/// The `[credentials]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credentials {
    /// Algorithms, preferred first.
    pub algorithms: Vec<CoseAlgorithm>,
    /// How many credentials can be stored.
    pub max_stored: usize,
    /// Longest allow or exclude list.
    pub max_count_in_list: usize,
    /// Longest credential ID.
    pub max_id_length: usize,
    /// Longest credBlob.
    pub max_cred_blob_length: usize,
    /// Longest serialized large-blob array.
    pub max_large_blob_array: usize,
    /// Longest blob of the extension largeBlob.
    pub max_large_blob: usize,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            algorithms: vec![CoseAlgorithm::ES256],
            max_stored: 100,
            max_count_in_list: 8,
            max_id_length: 128,
            max_cred_blob_length: 32,
            max_large_blob_array: 1024,
            max_large_blob: 1024,
        }
    }
}

/// The `[reset]` table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reset {
    /// Whether enableLongTouchForReset is there (CTAP 2.3).
    pub long_touch: bool,
    /// The wires over which the key can be reset, by their WebAuthn names; none means all.
    pub transports: Vec<String>,
}

/// The `[deviations]` table: what the key does against the text, as some keys of the field do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deviations {
    /// It says `OPERATION_DENIED` (0x27) where it should ask for a token.
    pub denies_uv: bool,
    /// It refuses longer lists of algorithms.
    pub max_pub_key_cred_params: Option<usize>,
    /// Its signature counter counts down.
    pub counts_backwards: bool,
    /// Every so many answers, one is computed and never sent. (CTAPHID only: a card always answers.)
    pub drops_every: Option<NonZeroU32>,
}

/// What a key has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Short name, as in the file's name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it stands for.
    pub about: String,
    /// The model.
    pub aaguid: Aaguid,
    /// Firmware version.
    pub firmware_version: Option<u64>,
    /// Versions that the features must amount to.
    #[serde(default)]
    pub claims: Vec<Version>,
    /// CTAP1/U2F is spoken.
    pub ctap1: bool,
    /// CTAP2 is spoken.
    pub ctap2: bool,
    /// Generation of getInfo members.
    #[serde(default = "default_members")]
    pub members: Members,
    /// Transports by their WebAuthn names.
    pub transports: Vec<String>,
    /// Longest message.
    #[serde(default = "default_max_msg_size")]
    pub max_msg_size: usize,
    /// How long a touch or a finger is waited for, in milliseconds.
    #[serde(default = "default_touch_timeout_ms")]
    pub touch_timeout_ms: u32,
    /// How long each command takes to compute, in milliseconds. The key says meanwhile that it is at it.
    #[serde(default)]
    pub processing_ms: u32,
    /// Extensions.
    #[serde(default)]
    pub extensions: Vec<Extension>,
    /// Options.
    pub options: Options,
    /// PIN.
    #[serde(default)]
    pub pin: Pin,
    /// Built-in user verification.
    #[serde(default)]
    pub built_in_uv: BuiltInUv,
    /// Credentials.
    #[serde(default)]
    pub credentials: Credentials,
    /// Attestation.
    pub attestation: Attestation,
    /// Reset.
    #[serde(default)]
    pub reset: Reset,
    /// What it does against the text.
    #[serde(default)]
    pub deviations: Deviations,
}

fn default_members() -> Members {
    Members::V21
}

fn default_batch() -> String {
    "pinward test batch 1".to_owned()
}

fn default_max_msg_size() -> usize {
    1200
}

fn default_touch_timeout_ms() -> u32 {
    30_000
}

impl Profile {
    /// Reads a profile and checks that the key can be what it says.
    ///
    /// # Errors
    /// [`ProfileError`]
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self =
            toml::from_str(text).map_err(|error| ProfileError::Toml(error.to_string()))?;
        if let Some(why) = profile.impossible() {
            return Err(ProfileError::Impossible {
                profile: profile.id,
                why,
            });
        }
        for version in &profile.claims {
            if let Some(missing) = profile.missing_for(*version) {
                return Err(ProfileError::OverClaim {
                    profile: profile.id.clone(),
                    version: version.name().to_owned(),
                    missing,
                });
            }
        }
        Ok(profile)
    }

    /// Whether it has the extension.
    pub fn has(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// The versions that the features amount to, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = Version> + '_ {
        Version::ALL
            .into_iter()
            .filter(|version| self.missing_for(*version).is_none())
    }

    /// Whether tokens have permissions, timers and one use (2.1), or are the plain pinToken of 2.0.
    pub fn has_permissions(&self) -> bool {
        self.options.pin_uv_auth_token
    }

    /// How long each command takes to compute.
    pub fn processing_time(&self) -> Duration {
        Duration::from_millis(self.processing_ms.into())
    }

    /// How long a touch or a finger is waited for.
    pub fn touch_timeout(&self) -> Duration {
        Duration::from_millis(self.touch_timeout_ms.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn load(id: &str) -> Profile {
        find(id).unwrap().unwrap()
    }

    fn text(id: &str) -> &'static str {
        all().find(|(known, _)| *known == id).unwrap().1
    }

    fn versions(profile: &Profile) -> Vec<&'static str> {
        profile.versions().map(Version::name).collect()
    }

    #[test]
    fn every_shipped_profile_loads_under_its_own_name() {
        for (id, text) in all() {
            let profile = Profile::from_toml(text).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(profile.id, id);
            assert!(!profile.claims.is_empty(), "{id} claims nothing");
            assert_eq!(
                profile.versions().collect::<Vec<_>>(),
                profile.claims,
                "{id}"
            );
        }
        assert!(find("no-such-key").is_none());
    }

    #[test]
    fn every_shipped_profile_is_another_model() {
        let mut aaguids: Vec<_> = all().map(|(id, _)| load(id).aaguid).collect();
        aaguids.sort();
        aaguids.dedup();
        assert_eq!(aaguids.len(), all().count());
    }

    #[test]
    fn versions_follow_from_features() {
        assert_eq!(versions(&load("u2f-only")), ["U2F_V2"]);
        assert_eq!(versions(&load("fido-2.0")), ["U2F_V2", "FIDO_2_0"]);
        assert_eq!(
            versions(&load("fido-2.1-pre")),
            ["U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE"]
        );
        assert_eq!(
            versions(&load("fido-2.1")),
            ["U2F_V2", "FIDO_2_0", "FIDO_2_1"]
        );
        assert_eq!(
            versions(&load("fido-2.3")),
            ["U2F_V2", "FIDO_2_0", "FIDO_2_1", "FIDO_2_3"]
        );
    }

    #[test]
    fn an_over_claim_names_the_missing_feature() {
        let claim = |id: &str, from: &str, to: &str| {
            let changed = text(id).replace(from, to);
            assert_ne!(changed, text(id), "{from}");
            Profile::from_toml(&changed).unwrap_err().to_string()
        };
        let error = claim("fido-2.0", "\"FIDO_2_0\"]", "\"FIDO_2_0\", \"FIDO_2_1\"]");
        assert!(
            error.contains("\"fido-2.0\" claims FIDO_2_1, but it lacks the getInfo members"),
            "{error}"
        );
        let error = claim("fido-2.1", "\"FIDO_2_1\"]", "\"FIDO_2_1\", \"FIDO_2_3\"]");
        assert!(
            error.contains("claims FIDO_2_3, but it lacks the getInfo members of 2.3"),
            "{error}"
        );
        let error = claim("fido-2.1", "\"hmac-secret\", ", "");
        assert!(
            error.contains("claims FIDO_2_1, but it lacks the extension hmac-secret"),
            "{error}"
        );
        let error = claim("fido-2.1", "protocols = [2, 1]", "protocols = [1]");
        assert!(
            error.contains("claims FIDO_2_1, but it lacks PIN/UV auth protocol two"),
            "{error}"
        );
        let error = claim("fido-2.1", "ctap1 = true", "ctap1 = false");
        assert!(
            error.contains("claims U2F_V2, but it lacks ctap1"),
            "{error}"
        );
    }

    #[test]
    fn contradictions_and_unknown_words_are_refused() {
        let change = |from: &str, to: &str| {
            let changed = text("fido-2.1").replace(from, to);
            assert_ne!(changed, text("fido-2.1"), "{from}");
            Profile::from_toml(&changed).unwrap_err()
        };
        assert!(matches!(
            change("authnrCfg = true", ""),
            ProfileError::Impossible { .. }
        ));
        assert!(matches!(
            change("clientPin = true", ""),
            ProfileError::Impossible { .. }
        ));
        assert!(matches!(
            change("[2, 1]", "[3]"),
            ProfileError::Impossible { .. }
        ));
        assert!(matches!(
            change("rk = true", "rkk = true"),
            ProfileError::Toml(_)
        ));
        assert!(matches!(
            change("\"credBlob\"", "\"credBlub\""),
            ProfileError::Toml(_)
        ));
        let error = change("algorithms = [-7,", "algorithms = [-7, -36,").to_string();
        assert!(
            error.contains("no algorithm ES512 (-36) in this key"),
            "{error}"
        );
    }
}
