//! CTAP 2.3 §9 Mandatory features: what a version string obliges to, and what cannot be.

use webauthn::cose::CoseAlgorithm;

use super::{AttestationKind, Extension, Members, Profile, Reset, Version};
use crate::credential::MAX_ID_LENGTH;
use crate::crypto;

/// What the rest of a getAssertion and of its answer takes beside a blob.
const BESIDE_BLOB: usize = 512;

impl Profile {
    /// The feature that is missing for a version (§9), if one is.
    pub fn missing_for(&self, version: Version) -> Option<&'static str> {
        match version {
            Version::U2fV2 => (!self.ctap1).then_some("ctap1"),
            Version::Fido20 => (!self.ctap2).then_some("ctap2"),
            Version::Fido21Pre => self.missing_for_2_1_pre(),
            Version::Fido21 => self.missing_for_2_1(),
            Version::Fido23 => self.missing_for_2_1().or((self.members < Members::V23)
                .then_some("the getInfo members of 2.3 (members = \"2.3\")")),
        }
    }

    fn missing_for_2_1_pre(&self) -> Option<&'static str> {
        first_missing(&[
            (self.ctap2, "ctap2"),
            (
                self.members >= Members::V21Pre,
                "the getInfo members of 2.1-PRE (members = \"2.1-pre\")",
            ),
            (
                self.options.credential_mgmt_preview,
                "the option credentialMgmtPreview",
            ),
            (
                self.has(Extension::CredProtect),
                "the extension credProtect",
            ),
        ])
    }

    fn missing_for_2_1(&self) -> Option<&'static str> {
        let options = &self.options;
        let verifies = options.client_pin || options.uv;
        first_missing(&[
            (self.ctap2, "ctap2"),
            (
                self.members >= Members::V21,
                "the getInfo members of 2.1 (members = \"2.1\")",
            ),
            (self.has(Extension::HmacSecret), "the extension hmac-secret"),
            (!options.rk || verifies, "clientPin or uv (it has rk)"),
            (
                !options.rk || options.cred_mgmt,
                "the option credMgmt (it has rk)",
            ),
            (
                !verifies || self.has(Extension::CredProtect),
                "the extension credProtect",
            ),
            (
                !verifies || options.pin_uv_auth_token,
                "the option pinUvAuthToken",
            ),
            (
                !verifies || self.pin.protocols.contains(&2),
                "PIN/UV auth protocol two",
            ),
            (
                !options.set_min_pin_length || self.has(Extension::MinPinLength),
                "the extension minPinLength (it has setMinPINLength)",
            ),
        ])
    }

    /// What does not fit together, or is beyond this key.
    pub(super) fn impossible(&self) -> Option<String> {
        let why = self
            .impossible_options()
            .or_else(|| self.impossible_management())
            .or_else(|| self.impossible_features())
            .or_else(|| self.impossible_numbers());
        if let Some(why) = why {
            return Some(why.to_owned());
        }
        if let Some(number) = self
            .pin
            .protocols
            .iter()
            .find(|number| !matches!(number, 1 | 2))
        {
            return Some(format!("PIN/UV auth protocol {number} does not exist"));
        }
        let unknown = |algorithm: &&CoseAlgorithm| !crypto::ALGORITHMS.contains(algorithm);
        self.credentials
            .algorithms
            .iter()
            .find(unknown)
            .map(|algorithm| format!("no algorithm {algorithm} in this key"))
    }

    fn impossible_options(&self) -> Option<&'static str> {
        let options = &self.options;
        let verifies = options.client_pin || options.uv;
        first_missing(&[
            (
                self.ctap1 || self.ctap2,
                "it speaks neither CTAP1 nor CTAP2",
            ),
            (
                !options.pin_uv_auth_token || verifies,
                "pinUvAuthToken needs clientPin or uv",
            ),
            (
                !options.cred_mgmt || options.pin_uv_auth_token,
                "credMgmt needs pinUvAuthToken",
            ),
            (
                !options.credential_mgmt_preview || options.client_pin,
                "credentialMgmtPreview needs clientPin",
            ),
            (!options.cred_mgmt || options.rk, "credMgmt needs rk"),
            (
                !options.bio_enroll || (options.uv && options.pin_uv_auth_token),
                "bioEnroll needs uv and pinUvAuthToken",
            ),
            (
                !options.uv_bio_enroll || options.bio_enroll,
                "uvBioEnroll needs bioEnroll",
            ),
            (
                !options.user_verification_mgmt_preview || (options.uv && options.client_pin),
                "userVerificationMgmtPreview needs uv and clientPin",
            ),
        ])
    }

    /// authenticatorConfig and what it sets.
    fn impossible_management(&self) -> Option<&'static str> {
        let options = &self.options;
        let config = options.set_min_pin_length || options.ep || options.uv_acfg;
        first_missing(&[
            (
                !config || options.authnr_cfg,
                "setMinPINLength, ep and uvAcfg need authnrCfg",
            ),
            (
                !options.set_min_pin_length || options.client_pin,
                "setMinPINLength needs clientPin",
            ),
            (!options.uv_acfg || options.uv, "uvAcfg needs uv"),
            (
                self.has(Extension::MinPinLength) == options.set_min_pin_length,
                "the extension minPinLength and setMinPINLength come together",
            ),
            (
                !options.per_cred_mgmt_ro || options.cred_mgmt,
                "perCredMgmtRO needs credMgmt",
            ),
            (
                !self.reset.long_touch || options.authnr_cfg,
                "reset.long_touch needs authnrCfg",
            ),
            (
                self.members >= Members::V23 || !self.has_features_of_2_3(),
                "perCredMgmtRO, reset, attestation.fido_u2f, pin.complexity_policy and the extension largeBlob need members = \"2.3\"",
            ),
            (
                !self.pin.complexity_policy || options.client_pin,
                "pin.complexity_policy needs clientPin",
            ),
            (
                self.pin.complexity_policy
                    || !(self.pin.complexity_enforced || self.pin.complexity_policy_url.is_some()),
                "pin.complexity_enforced and pin.complexity_policy_url need pin.complexity_policy",
            ),
            (
                !options.ep || self.attestation.kind == AttestationKind::Basic,
                "ep needs attestation of the kind \"basic\"",
            ),
        ])
    }

    fn has_features_of_2_3(&self) -> bool {
        self.options.per_cred_mgmt_ro
            || self.reset != Reset::default()
            || self.attestation.fido_u2f
            || self.pin.complexity_policy
            || self.has(Extension::LargeBlob)
    }

    /// Extensions and credentials.
    fn impossible_features(&self) -> Option<&'static str> {
        let credentials = &self.credentials;
        first_missing(&[
            (
                self.has(Extension::CredBlob) <= self.has(Extension::CredProtect),
                "the extension credBlob needs credProtect",
            ),
            (
                self.has(Extension::LargeBlobKey) == self.options.large_blobs,
                "the extension largeBlobKey and largeBlobs come together",
            ),
            (
                !self.has(Extension::LargeBlob) || !self.options.large_blobs,
                "the extension largeBlob excludes largeBlobs and largeBlobKey",
            ),
            (
                !self.has(Extension::LargeBlob) || self.options.rk,
                "the extension largeBlob needs rk",
            ),
            (
                !self.options.large_blobs || self.options.rk,
                "largeBlobs needs rk",
            ),
            (
                self.has(Extension::PinComplexityPolicy) <= self.pin.complexity_policy,
                "the extension pinComplexityPolicy needs pin.complexity_policy",
            ),
            (
                !self.attestation.fido_u2f || self.attestation.kind == AttestationKind::Basic,
                "attestation.fido_u2f needs attestation of the kind \"basic\"",
            ),
            (
                self.attestation.enterprise_rp_ids.is_empty() || self.options.ep,
                "attestation.enterprise_rp_ids needs ep",
            ),
            (
                self.has(Extension::HmacSecretMc) <= self.has(Extension::HmacSecret),
                "the extension hmac-secret-mc needs hmac-secret",
            ),
            (
                !self.ctap1 || credentials.algorithms.contains(&CoseAlgorithm::ES256),
                "CTAP1 needs the algorithm ES256 (-7)",
            ),
            (!credentials.algorithms.is_empty(), "it has no algorithm"),
            (
                !self.pin.protocols.is_empty(),
                "it has no PIN/UV auth protocol",
            ),
        ])
    }

    fn impossible_numbers(&self) -> Option<&'static str> {
        let credentials = &self.credentials;
        let sensor = &self.built_in_uv;
        first_missing(&[
            (
                (1..=64).contains(&self.attestation.batch.len()),
                "attestation.batch is not 1 to 64 bytes long",
            ),
            (
                credentials.max_id_length >= MAX_ID_LENGTH,
                "credentials.max_id_length is shorter than its own IDs",
            ),
            (
                credentials.max_cred_blob_length >= 32,
                "credentials.max_cred_blob_length is less than 32",
            ),
            (
                credentials.max_large_blob_array >= 1024,
                "credentials.max_large_blob_array is less than 1024",
            ),
            (
                !self.has(Extension::LargeBlob)
                    || credentials.max_large_blob.saturating_add(BESIDE_BLOB) <= self.max_msg_size,
                "credentials.max_large_blob with 512 bytes for the rest of a message exceeds max_msg_size",
            ),
            (self.max_msg_size >= 1024, "max_msg_size is less than 1024"),
            (
                (4..=63).contains(&self.pin.min_length),
                "pin.min_length is not between 4 and 63",
            ),
            (
                (1..=5).contains(&sensor.max_internal_retries),
                "built_in_uv.max_internal_retries is not between 1 and 5",
            ),
            (
                sensor.max_templates >= 1 && sensor.samples >= 1,
                "built_in_uv.max_templates or built_in_uv.samples is 0",
            ),
        ])
    }
}

fn first_missing(rules: &[(bool, &'static str)]) -> Option<&'static str> {
    rules
        .iter()
        .find(|(holds, _)| !holds)
        .map(|(_, what)| *what)
}
