//! CTAP 2.3 §12.3 largeBlobKey: the key under which a platform encrypts the blob of a credential.

use ctap::SecretBytes;

use crate::authenticator::Authenticator;
use crate::credential::CredentialSource;
use crate::crypto;

impl Authenticator {
    /// The key of a credential that was made with one. Like CredRandom it comes from a device secret,
    /// so it takes no storage and goes with that secret.
    pub(crate) fn large_blob_key(&self, source: &CredentialSource) -> Option<SecretBytes> {
        source
            .large_blob_key
            .then(|| self.large_blob_key_of(&source.id))
    }

    /// The key of the credential with this ID.
    pub(crate) fn large_blob_key_of(&self, credential_id: &[u8]) -> SecretBytes {
        let secret = &self.state.secrets().cred_random_key[..];
        let key = crypto::hmac_sha256(secret, &[b"largeBlobKey", credential_id]);
        SecretBytes::from(key.to_vec())
    }
}
