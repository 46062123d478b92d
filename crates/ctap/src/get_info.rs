//! CTAP 2.3 §6.4 authenticatorGetInfo (0x04).

use crate::entities::CredentialParameters;
use crate::item::{SecretBytes, TextToNumber, int_map, text_map};

int_map! {
    /// What a key says about itself.
    pub struct Response {
        /// `U2F_V2`, `FIDO_2_0`, `FIDO_2_1_PRE`, `FIDO_2_1`, `FIDO_2_3`.
        required 0x01 "versions" versions: Vec<String>,
        /// Names of extensions.
        optional 0x02 "extensions" extensions: Vec<String>,
        /// The model.
        required 0x03 "aaguid" aaguid: [u8; 16],
        /// Options; absent ones have defaults, see [`Options`].
        optional 0x04 "options" options: Options,
        /// Longest message in bytes. Absent means 1024.
        optional 0x05 "maxMsgSize" max_msg_size: u64,
        /// PIN/UV auth protocols, preferred first.
        optional 0x06 "pinUvAuthProtocols" pin_uv_auth_protocols: Vec<u64>,
        /// Longest allow or exclude list in one request.
        optional 0x07 "maxCredentialCountInList" max_credential_count_in_list: u64,
        /// Longest credential ID in bytes.
        optional 0x08 "maxCredentialIdLength" max_credential_id_length: u64,
        /// Transports, as WebAuthn names them.
        optional 0x09 "transports" transports: Vec<String>,
        /// Algorithms, preferred first.
        optional 0x0A "algorithms" algorithms: Vec<CredentialParameters>,
        /// Size of the large-blob array in bytes.
        optional 0x0B "maxSerializedLargeBlobArray" max_serialized_large_blob_array: u64,
        /// The PIN must be changed before it can be used.
        optional 0x0C "forcePINChange" force_pin_change: bool,
        /// Minimum PIN length in Unicode code points. Absent means 4.
        optional 0x0D "minPINLength" min_pin_length: u64,
        /// Firmware version, vendor-defined.
        optional 0x0E "firmwareVersion" firmware_version: u64,
        /// Longest credBlob in bytes.
        optional 0x0F "maxCredBlobLength" max_cred_blob_length: u64,
        /// How many RP IDs setMinPINLength takes.
        optional 0x10 "maxRPIDsForSetMinPINLength" max_rp_ids_for_set_min_pin_length: u64,
        /// How often UV may be tried before falling back to the PIN.
        optional 0x11 "preferredPlatformUvAttempts" preferred_platform_uv_attempts: u64,
        /// How the key verifies its user (FIDO Registry bits).
        optional 0x12 "uvModality" uv_modality: u64,
        /// Certifications by name and level.
        optional 0x13 "certifications" certifications: TextToNumber,
        /// How many discoverable credentials still fit, at least.
        optional 0x14 "remainingDiscoverableCredentials" remaining_discoverable_credentials: u64,
        /// Vendor prototype configuration commands.
        optional 0x15 "vendorPrototypeConfigCommands" vendor_prototype_config_commands: Vec<u64>,
        /// Attestation statement formats.
        optional 0x16 "attestationFormats" attestation_formats: Vec<String>,
        /// Verifications since the PIN was last entered.
        optional 0x17 "uvCountSinceLastPinEntry" uv_count_since_last_pin_entry: u64,
        /// A reset wants a long touch.
        optional 0x18 "longTouchForReset" long_touch_for_reset: bool,
        /// Encrypted device identifier: IV then ciphertext.
        optional 0x19 "encIdentifier" enc_identifier: SecretBytes,
        /// Transports over which reset works.
        optional 0x1A "transportsForReset" transports_for_reset: Vec<String>,
        /// Whether a PIN complexity policy is enforced.
        optional 0x1B "pinComplexityPolicy" pin_complexity_policy: bool,
        /// Where the policy is explained.
        optional 0x1C "pinComplexityPolicyURL" pin_complexity_policy_url: Vec<u8>,
        /// Longest PIN in code points.
        optional 0x1D "maxPINLength" max_pin_length: u64,
        /// Encrypted state of the credential store: IV then ciphertext.
        optional 0x1E "encCredStoreState" enc_cred_store_state: SecretBytes,
        /// Subcommands of authenticatorConfig.
        optional 0x1F "authenticatorConfigCommands" authenticator_config_commands: Vec<u64>,
    }
}

text_map! {
    /// Options of getInfo. For most, absent means "not supported", false "supported but off".
    #[derive(Eq, Default)]
    pub struct Options {
        /// Enterprise attestation: supported, enabled.
        optional "ep" ep: bool,
        /// Discoverable credentials. Default false.
        optional "rk" rk: bool,
        /// User presence. Default true.
        optional "up" up: bool,
        /// Built-in user verification: present, configured.
        optional "uv" uv: bool,
        /// Part of the platform itself. Default false.
        optional "plat" plat: bool,
        /// Built-in UV for authenticatorConfig.
        optional "uvAcfg" uv_acfg: bool,
        /// UV is always required.
        optional "alwaysUv" always_uv: bool,
        /// credentialManagement.
        optional "credMgmt" cred_mgmt: bool,
        /// authenticatorConfig.
        optional "authnrCfg" authnr_cfg: bool,
        /// bioEnrollment: supported, a finger is enrolled.
        optional "bioEnroll" bio_enroll: bool,
        /// PIN: supported, set.
        optional "clientPin" client_pin: bool,
        /// largeBlobs.
        optional "largeBlobs" large_blobs: bool,
        /// Built-in UV for bioEnrollment.
        optional "uvBioEnroll" uv_bio_enroll: bool,
        /// The persistent read-only token (CTAP 2.2).
        optional "perCredMgmtRO" per_cred_mgmt_ro: bool,
        /// Tokens with permissions.
        optional "pinUvAuthToken" pin_uv_auth_token: bool,
        /// setMinPINLength.
        optional "setMinPINLength" set_min_pin_length: bool,
        /// Non-discoverable credentials may be made without UV.
        optional "makeCredUvNotRqd" make_cred_uv_not_rqd: bool,
        /// The prototype of credentialManagement (2.1-PRE).
        optional "credentialMgmtPreview" credential_mgmt_preview: bool,
        /// The prototype of bioEnrollment (2.1-PRE).
        optional "userVerificationMgmtPreview" user_verification_mgmt_preview: bool,
        /// A PIN alone does not give tokens for makeCredential and getAssertion.
        optional "noMcGaPermissionsWithClientPin" no_mc_ga_permissions_with_client_pin: bool,
    }
}

impl Response {
    /// Whether the key names this version.
    pub fn has_version(&self, version: &str) -> bool {
        self.versions.iter().any(|v| v == version)
    }

    /// Whether the key names this extension.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.extensions.iter().flatten().any(|e| e == extension)
    }
}
