//! CTAP 2.3 §12: shapes that several extensions share.

use webauthn::cose::CoseKey;

use crate::Status;
use crate::item::{Item, Member, SecretBytes, Writer, int_map, is_bool};

int_map! {
    /// The input of hmac-secret in getAssertion, and of hmac-secret-mc in makeCredential.
    #[derive(Eq)]
    pub struct HmacSecretInput {
        /// The platform's key-agreement key.
        required 0x01 "keyAgreement" key_agreement: CoseKey,
        /// One or two 32-byte salts, encrypted under the shared secret.
        required 0x02 "saltEnc" salt_enc: SecretBytes,
        /// The salts' authentication under the shared secret.
        required 0x03 "saltAuth" salt_auth: Vec<u8>,
        /// Which PIN/UV auth protocol; absent means one.
        optional 0x04 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
    }
}

/// A boolean, or (in the other ceremony) something else. Reading keeps whichever came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoolOr<T> {
    /// A boolean.
    Bool(bool),
    /// The other shape.
    Other(T),
}

impl<T: Item> Item for BoolOr<T> {
    const SECRET: bool = T::SECRET;
    const MEMBERS: &'static [Member] = T::MEMBERS;

    fn read(d: &mut minicbor::Decoder<'_>) -> Result<Self, Status> {
        if is_bool(d) {
            bool::read(d).map(Self::Bool)
        } else {
            T::read(d).map(Self::Other)
        }
    }
    fn write(&self, e: &mut Writer<'_>) {
        match self {
            Self::Bool(flag) => flag.write(e),
            Self::Other(item) => item.write(e),
        }
    }
}
