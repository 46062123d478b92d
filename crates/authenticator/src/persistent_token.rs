//! CTAP 2.3 §6.5.2.1 persistentPinUvAuthToken, and what a platform that holds it can read in getInfo
//! (§6.4 encIdentifier, encCredStoreState).

use ctap::pin_protocol::PinUvAuthProtocol;
use ctap::{SecretBytes, Status};
use rand_core::CryptoRng;

use crate::authenticator::{Authenticator, Env};
use crate::crypto::{self, CryptoError};
use crate::state::{Change, PersistentToken};

impl Authenticator {
    /// The persistent token; it is made when it is first handed out, and durable before it leaves.
    pub(crate) fn grant_persistent_token(
        &mut self,
        env: &mut Env<'_>,
    ) -> Result<PersistentToken, Status> {
        if let Some(token) = self.state.persistent_token() {
            return Ok(token.clone());
        }
        let token = PersistentToken::generate(env.rng);
        self.commit(env, &[Change::SetPersistentToken(Some(token.clone()))])?;
        Ok(token)
    }

    /// `resetPersistentPinUvAuthToken()`, as a part of the change that calls for it.
    pub(crate) fn revoke_persistent_token(&self) -> Option<Change> {
        let handed_out = self.state.persistent_token().is_some();
        handed_out.then_some(Change::SetPersistentToken(None))
    }

    /// Whether the persistent token made this parameter.
    pub(crate) fn verify_persistent_token(
        &self,
        protocol: PinUvAuthProtocol,
        message: &[u8],
        param: &[u8],
    ) -> bool {
        self.state
            .persistent_token()
            .is_some_and(|token| protocol.verify(&token.0[..], message, param))
    }

    /// Commits a change of the discoverable credentials, and with it another state of their store.
    pub(crate) fn commit_credentials(
        &mut self,
        mut changes: Vec<Change>,
        env: &mut Env<'_>,
    ) -> Result<(), Status> {
        if self.profile.options.per_cred_mgmt_ro {
            let mut state = [0; 16];
            env.rng.fill_bytes(&mut state);
            changes.push(Change::SetCredStoreState(state));
        }
        self.commit(env, &changes)
    }

    /// encIdentifier: the same device has the same identifier until a reset.
    pub(crate) fn enc_identifier(&self, rng: &mut dyn CryptoRng) -> Option<SecretBytes> {
        self.encrypted(
            b"encIdentifier",
            self.secret_value(b"deviceIdentifier"),
            rng,
        )
    }

    /// encCredStoreState: another value after every change of the discoverable credentials.
    pub(crate) fn enc_cred_store_state(&self, rng: &mut dyn CryptoRng) -> Option<SecretBytes> {
        let state = self.state.cred_store_state();
        let state = state.unwrap_or_else(|| self.secret_value(b"credStoreState"));
        self.encrypted(b"encCredStoreState", state, rng)
    }

    fn secret_value(&self, what: &[u8]) -> [u8; 16] {
        first_half(&crypto::hmac_sha256(
            &self.state.secrets().cred_random_key[..],
            &[what],
        ))
    }

    /// IV, then AES-128-CBC under HKDF-SHA-256(persistent token, 32 zero bytes, info). The IV is fresh
    /// every time; while no platform holds the token there is nobody to read it.
    fn encrypted(
        &self,
        info: &[u8],
        value: [u8; 16],
        rng: &mut dyn CryptoRng,
    ) -> Option<SecretBytes> {
        let token = self.state.persistent_token()?;
        let extracted = crypto::hmac_sha256(&[0; 32], &[&token.0[..]]);
        let key = first_half(&crypto::hmac_sha256(&extracted[..], &[info, &[1]]));
        let mut iv = [0; 16];
        rng.fill_bytes(&mut iv);
        let encrypted = crypto::aes_128_cbc(&key, &iv, value)
            .map_err(|CryptoError| ())
            .ok()?;
        Some(SecretBytes::from([iv, encrypted].concat()))
    }
}

fn first_half(bytes: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&bytes[..16]);
    half
}
