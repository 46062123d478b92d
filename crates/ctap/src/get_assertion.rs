//! CTAP 2.3 §6.2 authenticatorGetAssertion (0x02) and §6.3 authenticatorGetNextAssertion (0x08).

pub use crate::entities::{CredentialDescriptor, UserEntity};
pub use crate::extensions::{BoolOr, HmacSecretInput};
use crate::item::{RawOf, SecretBytes, int_map, text_map};
use crate::large_blob;

int_map! {
    /// What the platform asks for. (getNextAssertion has no parameters.)
    pub struct Request {
        /// The RP ID.
        required 0x01 "rpId" rp_id: String,
        /// SHA-256 of the serialised client data.
        required 0x02 "clientDataHash" client_data_hash: [u8; 32],
        /// Credentials that the relying party accepts; an empty list counts as absent.
        optional 0x03 "allowList" allow_list: Vec<CredentialDescriptor>,
        /// Extension inputs.
        optional 0x04 "extensions" extensions: ExtensionsInput,
        /// Options.
        optional 0x05 "options" options: Options,
        /// Authenticates clientDataHash under the pinUvAuthToken.
        optional 0x06 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
        /// Which PIN/UV auth protocol.
        optional 0x07 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
    }
}

text_map! {
    /// Options of the request. An absent option has the default that the text gives it.
    #[derive(Eq, Default)]
    pub struct Options {
        /// Not allowed here: any `rk` is an error (§6.2.2).
        optional "rk" rk: bool,
        /// User presence; false for pre-flight. Default true.
        optional "up" up: bool,
        /// Verify the user by the key's own means. Default false; deprecated with a token.
        optional "uv" uv: bool,
    }
}

text_map! {
    /// Extension inputs that are known; others are passed over.
    #[derive(Default)]
    pub struct ExtensionsInput {
        /// §12.2: return the stored blob.
        optional "credBlob" cred_blob: bool,
        /// §12.4: the single large-blob extension of CTAP 2.3.
        optional "largeBlob" large_blob: RawOf<large_blob::Input>,
        /// §12.7: evaluate.
        optional "hmac-secret" hmac_secret: BoolOr<HmacSecretInput>,
        /// §12.3: return the large-blob key.
        optional "largeBlobKey" large_blob_key: bool,
        /// §12.9: say whether third-party payment is allowed.
        optional "thirdPartyPayment" third_party_payment: bool,
    }
}

text_map! {
    /// Extension outputs inside the authenticator data.
    #[derive(Default)]
    pub struct ExtensionsOutput {
        /// The stored blob, empty if none.
        optional "credBlob" cred_blob: SecretBytes,
        /// The encrypted outputs.
        optional "hmac-secret" hmac_secret: SecretBytes,
        /// Whether third-party payment is allowed.
        optional "thirdPartyPayment" third_party_payment: bool,
    }
}

int_map! {
    /// What the key answers.
    pub struct Response {
        /// The credential that signed. May be absent in CTAP 2.0 for an allow list of one.
        optional 0x01 "credential" credential: CredentialDescriptor,
        /// The authenticator data.
        required 0x02 "authData" auth_data: Vec<u8>,
        /// The signature over authData and clientDataHash.
        required 0x03 "signature" signature: Vec<u8>,
        /// The account; names only when the user was verified and several accounts match.
        optional 0x04 "user" user: UserEntity,
        /// How many credentials match, if more than one and no allow list was given.
        optional 0x05 "numberOfCredentials" number_of_credentials: u64,
        /// Whether the person picked the account on the key itself.
        optional 0x06 "userSelected" user_selected: bool,
        /// The key for the large blob of this credential.
        optional 0x07 "largeBlobKey" large_blob_key: SecretBytes,
        /// Outputs of extensions that stay out of the authenticator data.
        optional 0x08 "unsignedExtensionOutputs" unsigned_extension_outputs: RawOf<large_blob::UnsignedOutputs>,
    }
}
