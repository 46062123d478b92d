//! What is not the Relying Party in the examples: a browser with a security key, a clock and a source
//! of randomness.
#![allow(dead_code, clippy::unwrap_used)] // each example uses its part; a broken key may stop it

use core::convert::Infallible;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rand_core::{TryCryptoRng, TryRng};
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{self, Aaguid, AttestedCredentialData, Flags};
use webauthn::client_data::{self, TYPE_CREATE, TYPE_GET};
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
    UserVerificationRequirement,
};
use webauthn::response::{
    AuthenticationResponseJson, AuthenticatorAssertionResponseJson,
    AuthenticatorAttestationResponseJson, RegistrationResponseJson,
};

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The operating system's randomness, for challenges.
pub(crate) struct SystemRng;

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        rand::fill(out).unwrap();
        Ok(())
    }
}

impl TryCryptoRng for SystemRng {}

/// A security key in a browser, with one credential.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    id: [u8; 32],
    user_handle: Option<webauthn::Base64Url>,
    sign_count: u32,
    /// Whether a PIN is set on the key.
    pub(crate) has_pin: bool,
    /// The page in which it is used.
    pub(crate) origin: &'static str,
}

impl Key {
    pub(crate) fn new(has_pin: bool) -> Self {
        let mut id = [0; 32];
        rand::fill(&mut id).unwrap();
        Self {
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id,
            user_handle: None,
            sign_count: 0,
            has_pin,
            origin: "https://example.org",
        }
    }

    /// Touched, and the PIN entered where it is set and the site wants it.
    fn flags(&self, wanted: UserVerificationRequirement) -> Flags {
        let verified = self.has_pin && wanted != UserVerificationRequirement::Discouraged;
        Flags::UP.with(Flags::UV, verified)
    }

    /// `navigator.credentials.create()`
    pub(crate) fn create(
        &mut self,
        options: &PublicKeyCredentialCreationOptionsJson,
    ) -> RegistrationResponseJson {
        self.user_handle = Some(options.user.id.clone());
        let point = &self.pair.public_key().as_ref()[1..];
        let public_key = CoseKey::Ec2 {
            alg: CoseAlgorithm::ES256,
            crv: curve::P256,
            x: point[..32].to_vec(),
            y: point[32..].to_vec(),
        }
        .encode();
        let attested = AttestedCredentialData {
            aaguid: Aaguid::ZERO,
            credential_id: &self.id,
            credential_public_key: &public_key,
        };
        let rp_id = options.rp.id.as_deref().unwrap_or_default();
        let flags = self.flags(options.effective_user_verification());
        let auth_data = authenticator_data::encode(&sha256(rp_id), flags, 0, Some(&attested), None);
        let object = AttestationObject {
            fmt: "none",
            att_stmt: &[0xa0],
            auth_data: &auth_data,
        };
        let response = AuthenticatorAttestationResponseJson {
            client_data_json: self.client_data(TYPE_CREATE, &options.challenge).into(),
            authenticator_data: None,
            transports: vec!["usb".into()],
            public_key: None,
            public_key_algorithm: None,
            attestation_object: object.encode().into(),
        };
        RegistrationResponseJson::new(self.id.to_vec(), response)
    }

    /// `navigator.credentials.get()`
    pub(crate) fn get(
        &mut self,
        options: &PublicKeyCredentialRequestOptionsJson,
    ) -> AuthenticationResponseJson {
        self.sign_count += 1;
        let rp_id = options.rp_id.as_deref().unwrap_or_default();
        let flags = self.flags(options.effective_user_verification());
        let auth_data =
            authenticator_data::encode(&sha256(rp_id), flags, self.sign_count, None, None);
        let client_data = self.client_data(TYPE_GET, &options.challenge);
        let signed = [&auth_data[..], &sha256(&client_data)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        let response = AuthenticatorAssertionResponseJson {
            client_data_json: client_data.into(),
            authenticator_data: auth_data.into(),
            signature: signature.as_ref().to_vec().into(),
            user_handle: self.user_handle.clone(),
        };
        AuthenticationResponseJson::new(self.id.to_vec(), response)
    }

    fn client_data(&self, type_: &str, challenge: &[u8]) -> Vec<u8> {
        client_data::serialize(type_, challenge, self.origin, false, None)
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes.as_ref()).as_ref());
    out
}
