//! The one file here that names the crypto crate.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn gcm_key(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key)
        .ok()
        .map(LessSafeKey::new)
}

/// AES-256-GCM: the ciphertext with its tag.
pub(crate) fn gcm_seal(
    key: &[u8],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    mut plaintext: Vec<u8>,
) -> Option<Vec<u8>> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    gcm_key(key)?
        .seal_in_place_append_tag(nonce, Aad::from(aad), &mut plaintext)
        .ok()?;
    Some(plaintext)
}

/// The plaintext, if it is authentic.
pub(crate) fn gcm_open(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(ciphertext.to_vec());
    let plain = gcm_key(key)?.open_in_place(nonce, Aad::from(aad), &mut text);
    let length = plain.ok()?.len();
    text.truncate(length);
    Some(text)
}

struct Sixteen;

impl KeyType for Sixteen {
    fn len(&self) -> usize {
        16
    }
}

/// One block of AES-128-CBC, `iv` then ciphertext, under a key from HKDF-SHA-256 with a salt of zeros.
pub(crate) fn hkdf_cbc_block(secret: &[u8], info: &[u8], sealed: &[u8]) -> Option<[u8; 16]> {
    let (iv, block) = sealed.split_first_chunk::<16>()?;
    let mut block: [u8; 16] = block.try_into().ok()?;
    let mut key = Zeroizing::new([0; 16]);
    Salt::new(HKDF_SHA256, &[0; 32])
        .extract(secret)
        .expand(&[info], Sixteen)
        .and_then(|okm| okm.fill(&mut key[..]))
        .ok()?;
    // The first block of CBC is one of ECB, and then XOR with the IV.
    let key = UnboundCipherKey::new(&AES_128, &key[..]).ok()?;
    let key = DecryptingKey::ecb(key).ok()?;
    key.decrypt(&mut block, DecryptionContext::None).ok()?;
    Some(core::array::from_fn(|n| block[n] ^ iv[n]))
}
