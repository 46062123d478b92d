//! CTAP 2.3 §6.4 authenticatorGetInfo.

use ctap::entities::{CredentialParameters, PUBLIC_KEY};
use ctap::get_info::{Options, Response};

use crate::authenticator::{Authenticator, Env};
use crate::config::SUB_COMMANDS;
use crate::pin::MAX_PIN_BYTES;
use crate::profile::{Extension, Members, Version};

/// Of a response in which every member is absent.
fn empty(aaguid: [u8; 16]) -> Response {
    Response {
        versions: Vec::new(),
        extensions: None,
        aaguid,
        options: None,
        max_msg_size: None,
        pin_uv_auth_protocols: None,
        max_credential_count_in_list: None,
        max_credential_id_length: None,
        transports: None,
        algorithms: None,
        max_serialized_large_blob_array: None,
        force_pin_change: None,
        min_pin_length: None,
        firmware_version: None,
        max_cred_blob_length: None,
        max_rp_ids_for_set_min_pin_length: None,
        preferred_platform_uv_attempts: None,
        uv_modality: None,
        certifications: None,
        remaining_discoverable_credentials: None,
        vendor_prototype_config_commands: None,
        attestation_formats: None,
        uv_count_since_last_pin_entry: None,
        long_touch_for_reset: None,
        enc_identifier: None,
        transports_for_reset: None,
        pin_complexity_policy: None,
        pin_complexity_policy_url: None,
        max_pin_length: None,
        enc_cred_store_state: None,
        authenticator_config_commands: None,
    }
}

impl Authenticator {
    /// Answers authenticatorGetInfo.
    pub(crate) fn get_info(&self, env: &mut Env<'_>) -> Vec<u8> {
        let members = self.profile.members;
        let mut info = self.members_of_2_0();
        if members >= Members::V21Pre {
            self.add_members_of_2_1_pre(&mut info);
        }
        if members >= Members::V21 {
            self.add_members_of_2_1(&mut info);
        }
        if members >= Members::V23 {
            self.add_members_of_2_3(&mut info, env);
        }
        info.encode()
    }

    fn members_of_2_0(&self) -> Response {
        let profile = &self.profile;
        // While alwaysUv is on, CTAP1 is off (§7.2.4): it could not verify the user.
        let u2f = self.always_uv_option() != Some(true);
        let verifies = profile.options.client_pin || profile.options.uv;
        Response {
            versions: profile
                .versions()
                .filter(|version| *version != Version::U2fV2 || u2f)
                .map(|version| version.name().to_owned())
                .collect(),
            extensions: (!profile.extensions.is_empty()).then(|| {
                profile
                    .extensions
                    .iter()
                    .map(|extension| extension.name().to_owned())
                    .collect()
            }),
            options: Some(self.options()),
            max_msg_size: Some(profile.max_msg_size as u64),
            pin_uv_auth_protocols: verifies.then(|| {
                profile
                    .pin
                    .protocols
                    .iter()
                    .copied()
                    .map(u64::from)
                    .collect()
            }),
            ..empty(profile.aaguid.0)
        }
    }

    fn add_members_of_2_1_pre(&self, info: &mut Response) {
        let credentials = &self.profile.credentials;
        info.max_credential_count_in_list = Some(credentials.max_count_in_list as u64);
        info.max_credential_id_length = Some(credentials.max_id_length as u64);
        info.transports = Some(self.profile.transports.clone());
        info.algorithms = Some(
            credentials
                .algorithms
                .iter()
                .map(|alg| CredentialParameters {
                    alg: *alg,
                    type_: PUBLIC_KEY.to_owned(),
                })
                .collect(),
        );
    }

    fn add_members_of_2_1(&self, info: &mut Response) {
        let profile = &self.profile;
        if profile.options.client_pin {
            info.force_pin_change = Some(self.state.config().force_pin_change);
            info.min_pin_length = Some(self.min_pin_length().into());
        }
        info.firmware_version = profile.firmware_version;
        if profile.has(Extension::CredBlob) {
            info.max_cred_blob_length = Some(profile.credentials.max_cred_blob_length as u64);
        }
        if profile.options.large_blobs {
            let longest = profile.credentials.max_large_blob_array;
            info.max_serialized_large_blob_array = Some(longest as u64);
        }
        if profile.options.set_min_pin_length {
            info.max_rp_ids_for_set_min_pin_length = Some(profile.pin.max_rp_ids.into());
        }
        if profile.options.uv {
            info.preferred_platform_uv_attempts =
                Some(profile.built_in_uv.preferred_platform_uv_attempts.into());
            info.uv_modality = Some(profile.built_in_uv.uv_modality.into());
        }
        if profile.options.rk {
            info.remaining_discoverable_credentials = Some(self.remaining_credentials() as u64);
        }
    }

    fn add_members_of_2_3(&self, info: &mut Response, env: &mut Env<'_>) {
        let profile = &self.profile;
        let formats = self.attestation_formats();
        info.attestation_formats = (!formats.is_empty()).then_some(formats);
        if self.counts_uv() {
            info.uv_count_since_last_pin_entry = Some(self.state.uv_count().into());
        }
        info.long_touch_for_reset = Some(self.long_touch_option());
        let transports = &profile.reset.transports;
        info.transports_for_reset = (!transports.is_empty()).then(|| transports.clone());
        info.pin_complexity_policy = self.pin_complexity_option();
        let url = profile.pin.complexity_policy_url.as_ref();
        info.pin_complexity_policy_url = url.map(|url| url.clone().into_bytes());
        if profile.options.per_cred_mgmt_ro {
            info.enc_identifier = self.enc_identifier(env.rng);
            info.enc_cred_store_state = self.enc_cred_store_state(env.rng);
        }
        if profile.options.client_pin {
            info.max_pin_length = Some(MAX_PIN_BYTES as u64);
        }
        if profile.options.authnr_cfg {
            let supported = SUB_COMMANDS
                .into_iter()
                .filter(|command| self.supports_config(*command));
            info.authenticator_config_commands =
                Some(supported.map(|command| command.code()).collect());
        }
    }

    /// How many more credentials fit.
    pub(crate) fn remaining_credentials(&self) -> usize {
        self.profile
            .credentials
            .max_stored
            .saturating_sub(self.state.stored_count())
    }

    fn options(&self) -> Options {
        let has = &self.profile.options;
        let since_2_1 = self.profile.members >= Members::V21;
        let always_uv = self.always_uv_option();
        Options {
            rk: Some(has.rk),
            up: Some(true),
            // Absent on keys without a sensor: clients take `false` for "has one".
            uv: self.uv_option(),
            plat: Some(false),
            client_pin: self.client_pin_option(),
            credential_mgmt_preview: has.credential_mgmt_preview.then_some(true),
            ep: has.ep.then_some(self.state.config().enterprise_attestation),
            per_cred_mgmt_ro: has.per_cred_mgmt_ro.then_some(true),
            large_blobs: has.large_blobs.then_some(true),
            bio_enroll: self.uv_option().filter(|_| has.bio_enroll),
            uv_bio_enroll: has.uv_bio_enroll.then_some(true),
            user_verification_mgmt_preview: self
                .uv_option()
                .filter(|_| has.user_verification_mgmt_preview),
            uv_acfg: has.uv_acfg.then_some(true),
            always_uv,
            cred_mgmt: has.cred_mgmt.then_some(true),
            authnr_cfg: has.authnr_cfg.then_some(true),
            pin_uv_auth_token: (since_2_1 && has.pin_uv_auth_token).then_some(true),
            set_min_pin_length: has.set_min_pin_length.then_some(true),
            // While alwaysUv is on, makeCredUvNotRqd must be false (§6.11.2).
            make_cred_uv_not_rqd: has.make_cred_uv_not_rqd.then_some(always_uv != Some(true)),
            no_mc_ga_permissions_with_client_pin: has
                .no_mc_ga_permissions_with_client_pin
                .then_some(true),
        }
    }
}
