//! CTAP 2.3 §6.1: the dictionaries of WebAuthn as CTAP carries them.

use minicbor::data::Type;
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::Status;
use crate::item::{Element, Item, Key, Member, Writer, raw, text_map};

text_map! {
    /// PublicKeyCredentialRpEntity.
    #[derive(Eq)]
    pub struct RpEntity {
        /// The RP ID, such as `example.com`.
        required "id" id: String,
        /// The name of the relying party for people.
        optional "name" name: String,
    }
}

text_map! {
    /// PublicKeyCredentialUserEntity.
    #[derive(Eq)]
    pub struct UserEntity {
        /// The user handle, at most 64 bytes.
        required "id" id: Vec<u8>,
        /// The account name, such as an e-mail address.
        optional "name" name: String,
        /// The name of the person.
        optional "displayName" display_name: String,
    }
}

text_map! {
    /// PublicKeyCredentialDescriptor.
    #[derive(Eq)]
    pub struct CredentialDescriptor {
        /// The credential ID.
        required "id" id: Vec<u8>,
        /// `public-key`; other types are passed over by keys and platforms.
        required "type" type_: String,
        /// The transports hint; platforms need not send it.
        optional "transports" transports: Vec<String>,
    }
}

text_map! {
    /// PublicKeyCredentialParameters.
    #[derive(Eq)]
    pub struct CredentialParameters {
        /// The COSE algorithm.
        required "alg" alg: CoseAlgorithm,
        /// `public-key`.
        required "type" type_: String,
    }
}

impl Element for CredentialDescriptor {}
impl Element for CredentialParameters {}

/// The only credential type there is.
pub const PUBLIC_KEY: &str = "public-key";

impl CredentialDescriptor {
    /// A descriptor of a public-key credential, without transports.
    pub fn public_key(id: impl Into<Vec<u8>>) -> Self {
        Self {
            id: id.into(),
            type_: PUBLIC_KEY.to_owned(),
            transports: None,
        }
    }
}

impl CredentialParameters {
    /// A public-key credential with this algorithm.
    pub fn public_key(alg: CoseAlgorithm) -> Self {
        Self {
            alg,
            type_: PUBLIC_KEY.to_owned(),
        }
    }
}

impl Item for CoseAlgorithm {
    fn read(d: &mut minicbor::Decoder<'_>) -> Result<Self, Status> {
        i32::read(d).map(CoseAlgorithm)
    }
    fn write(&self, e: &mut Writer<'_>) {
        self.0.write(e);
    }
}

const fn cose_member(key: u8, name: &'static str) -> Member {
    Member {
        key: Key::Int(key),
        name,
        secret: false,
        inner: &[],
    }
}

impl Item for CoseKey {
    // The negative labels differ by key type; a trace shows them as they are.
    const MEMBERS: &'static [Member] = &[cose_member(1, "kty"), cose_member(3, "alg")];

    fn read(d: &mut minicbor::Decoder<'_>) -> Result<Self, Status> {
        if !matches!(d.datatype(), Ok(Type::Map)) {
            return Err(Status::CBOR_UNEXPECTED_TYPE);
        }
        CoseKey::parse(raw(d)?).map_err(|_| Status::INVALID_PARAMETER)
    }
    fn write(&self, e: &mut Writer<'_>) {
        e.writer_mut().extend_from_slice(&self.encode());
    }
}
