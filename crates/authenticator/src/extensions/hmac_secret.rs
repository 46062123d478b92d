//! CTAP 2.3 §12.7 hmac-secret: a secret per credential, and another one if the user is verified;
//! §12.8 hmac-secret-mc evaluates it while registering.

use ctap::get_assertion::HmacSecretInput;
use ctap::pin_protocol::SharedSecret;
use ctap::{SecretBytes, Status};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::authenticator::{Authenticator, Env};
use crate::crypto;
use crate::presence::UserVerified;

/// The salts of a request, decrypted.
pub(crate) struct Salts {
    secret: SharedSecret,
    salts: Zeroizing<Vec<u8>>,
}

impl Authenticator {
    /// Opens the salts: §12.7 for getAssertion, §12.8 for makeCredential.
    pub(crate) fn open_salts(
        &mut self,
        input: &HmacSecretInput,
        env: &mut Env<'_>,
    ) -> Result<Salts, Status> {
        // Platforms of CTAP 2.0 do not name the protocol: it is one.
        let protocol = self.protocol(Some(input.pin_uv_auth_protocol.unwrap_or(1)))?;
        let secret = self
            .key_agreement(protocol, env.rng)?
            .decapsulate(protocol, &input.key_agreement)?;
        if !secret.verify(&input.salt_enc, &input.salt_auth) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        let salts = secret
            .decrypt(&input.salt_enc)
            .map_err(|_| Status::INVALID_PARAMETER)?;
        if !matches!(salts.len(), 32 | 64) {
            return Err(Status::INVALID_PARAMETER);
        }
        Ok(Salts { secret, salts })
    }

    /// HMAC-SHA-256 of each salt under the credential's CredRandom, encrypted.
    pub(crate) fn hmac_secret_output(
        &self,
        salts: &Salts,
        credential_id: &[u8],
        verified: Option<UserVerified>,
        rng: &mut dyn CryptoRng,
    ) -> Result<SecretBytes, Status> {
        // CredRandomWithUV and CredRandomWithoutUV come from one device secret, so they need no
        // storage and go with it when it is replaced.
        let which = if verified.is_some() {
            b"with UV" as &[u8]
        } else {
            b"without UV"
        };
        let cred_random = crypto::hmac_sha256(
            &self.state.secrets().cred_random_key[..],
            &[which, credential_id],
        );
        let mut output = Zeroizing::new(Vec::with_capacity(64));
        for salt in salts.salts.chunks(32) {
            output.extend_from_slice(&crypto::hmac_sha256(&cred_random[..], &[salt])[..]);
        }
        salts.secret.encrypt(&output, rng).map(SecretBytes::from)
    }
}
