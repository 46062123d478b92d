//! CTAP 2.3 §6.1 authenticatorMakeCredential (0x01).

pub use crate::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
pub use crate::extensions::{BoolOr, HmacSecretInput};
use crate::item::{Raw, RawOf, SecretBytes, int_map, text_map};
use crate::large_blob;

int_map! {
    /// What the platform asks for.
    pub struct Request {
        /// SHA-256 of the serialised client data.
        required 0x01 "clientDataHash" client_data_hash: [u8; 32],
        /// The relying party.
        required 0x02 "rp" rp: RpEntity,
        /// The account.
        required 0x03 "user" user: UserEntity,
        /// Wanted algorithms, best first.
        required 0x04 "pubKeyCredParams" pub_key_cred_params: Vec<CredentialParameters>,
        /// Credentials that must not be on this key already.
        optional 0x05 "excludeList" exclude_list: Vec<CredentialDescriptor>,
        /// Extension inputs.
        optional 0x06 "extensions" extensions: ExtensionsInput,
        /// Options.
        optional 0x07 "options" options: Options,
        /// Authenticates clientDataHash under the pinUvAuthToken.
        optional 0x08 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
        /// Which PIN/UV auth protocol.
        optional 0x09 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
        /// Enterprise attestation: 1 vendor-facilitated, 2 platform-managed.
        optional 0x0A "enterpriseAttestation" enterprise_attestation: u64,
        /// Wanted attestation statement formats, best first.
        optional 0x0B "attestationFormatsPreference" attestation_formats_preference: Vec<String>,
    }
}

text_map! {
    /// Options of the request. An absent option has the default that the text gives it.
    #[derive(Eq, Default)]
    pub struct Options {
        /// Make the credential discoverable. Default false.
        optional "rk" rk: bool,
        /// User presence; may only be true. Default true.
        optional "up" up: bool,
        /// Verify the user by the key's own means. Default false; deprecated with a token.
        optional "uv" uv: bool,
    }
}

text_map! {
    /// Extension inputs that are known; others are passed over.
    #[derive(Default)]
    pub struct ExtensionsInput {
        /// §12.2: store up to maxCredBlobLength bytes with the credential.
        optional "credBlob" cred_blob: SecretBytes,
        /// §12.4: the single large-blob extension of CTAP 2.3.
        optional "largeBlob" large_blob: RawOf<large_blob::Support>,
        /// §12.1: 1, 2 or 3.
        optional "credProtect" cred_protect: u64,
        /// §12.7: make secrets for hmac-secret.
        optional "hmac-secret" hmac_secret: bool,
        /// §12.3: make a large-blob key.
        optional "largeBlobKey" large_blob_key: bool,
        /// §12.5: report the minimum PIN length to the relying party.
        optional "minPinLength" min_pin_length: bool,
        /// §12.8: evaluate hmac-secret while registering.
        optional "hmac-secret-mc" hmac_secret_mc: HmacSecretInput,
        /// §12.9: allow use by third parties in payments.
        optional "thirdPartyPayment" third_party_payment: bool,
        /// §12.6: report whether a PIN complexity policy is enforced.
        optional "pinComplexityPolicy" pin_complexity_policy: bool,
    }
}

text_map! {
    /// Extension outputs inside the authenticator data.
    #[derive(Default)]
    pub struct ExtensionsOutput {
        /// Whether the blob was stored.
        optional "credBlob" cred_blob: bool,
        /// The level that holds.
        optional "credProtect" cred_protect: u64,
        /// Whether secrets were made.
        optional "hmac-secret" hmac_secret: bool,
        /// The minimum PIN length in code points.
        optional "minPinLength" min_pin_length: u64,
        /// The encrypted outputs.
        optional "hmac-secret-mc" hmac_secret_mc: SecretBytes,
        /// Whether third-party payment was allowed.
        optional "thirdPartyPayment" third_party_payment: bool,
        /// Whether a PIN complexity policy is enforced.
        optional "pinComplexityPolicy" pin_complexity_policy: bool,
    }
}

int_map! {
    /// What the key answers.
    pub struct Response {
        /// The attestation statement format.
        required 0x01 "fmt" fmt: String,
        /// The authenticator data.
        required 0x02 "authData" auth_data: Vec<u8>,
        /// The attestation statement; may be absent for `none`.
        optional 0x03 "attStmt" att_stmt: Raw,
        /// Whether the attestation is an enterprise one.
        optional 0x04 "epAtt" ep_att: bool,
        /// The key for the large blob of this credential.
        optional 0x05 "largeBlobKey" large_blob_key: SecretBytes,
        /// Outputs of extensions that stay out of the authenticator data.
        optional 0x06 "unsignedExtensionOutputs" unsigned_extension_outputs: RawOf<large_blob::UnsignedOutputs>,
    }
}

impl Response {
    /// Reads an answer, whose attestation statement may nest deeper than requests do.
    ///
    /// # Errors
    /// The status that CTAP names for what is wrong with the bytes.
    pub fn decode_response(bytes: &[u8]) -> Result<Self, crate::Status> {
        crate::item::decode_response(bytes)
    }
}
