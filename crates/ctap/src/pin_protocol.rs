//! CTAP 2.3 §6.5.4 to §6.5.7: PIN/UV auth protocols one and two, both sides.
//!
//! The authenticator holds a [`KeyAgreementKey`]; the platform calls [`encapsulate`]. Both end with
//! the same [`SharedSecret`]. Once a pinUvAuthToken has been handed over, messages are signed with
//! it by [`PinUvAuthProtocol::authenticate`].

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use aws_lc_rs::{agreement, constant_time, digest, hkdf, hmac};
use rand_core::CryptoRng;
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use zeroize::{Zeroize, Zeroizing};

use crate::Status;

const BLOCK: usize = 16;

/// Length of the padded new PIN on the wire: at most 63 bytes and at least one zero byte (§6.5.5.5).
pub const PADDED_PIN_LENGTH: usize = 64;

/// A PIN/UV auth protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PinUvAuthProtocol {
    /// Protocol one (§6.5.6): SHA-256 of the agreed point, zero IV, MACs of 16 bytes.
    One,
    /// Protocol two (§6.5.7): separate keys by HKDF, random IV, MACs of 32 bytes.
    Two,
}

impl PinUvAuthProtocol {
    /// The protocol with this number on the wire (`pinUvAuthProtocol`).
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// `authenticate(key, message)` of the protocol: 16 bytes for one, 32 for two.
    ///
    /// `key` is a pinUvAuthToken, or the HMAC half of a shared secret (for which
    /// [`SharedSecret::authenticate`] is the way).
    pub fn authenticate(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
        tag.as_ref()[..self.mac_length()].to_vec()
    }

    /// `verify(key, message, signature)` of the protocol, in constant time.
    pub fn verify(self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
        constant_time::verify_slices_are_equal(&tag.as_ref()[..self.mac_length()], signature)
            .is_ok()
    }

    fn mac_length(self) -> usize {
        match self {
            Self::One => 16,
            Self::Two => 32,
        }
    }

    /// `kdf(Z)` of the protocol.
    fn kdf(self, z: &[u8]) -> Result<SharedSecret, Status> {
        let mut secret = SharedSecret {
            protocol: self,
            hmac_key: Zeroizing::new([0; 32]),
            aes_key: Zeroizing::new([0; 32]),
        };
        match self {
            Self::One => {
                let hash = digest::digest(&digest::SHA256, z);
                secret.hmac_key.copy_from_slice(hash.as_ref());
                secret.aes_key.copy_from_slice(hash.as_ref());
            }
            Self::Two => {
                let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[0; 32]).extract(z);
                for (info, key) in [
                    (&b"CTAP2 HMAC key"[..], &mut secret.hmac_key),
                    (&b"CTAP2 AES key"[..], &mut secret.aes_key),
                ] {
                    prk.expand(&[info], hkdf::HKDF_SHA256)
                        .and_then(|okm| okm.fill(&mut key[..]))
                        .map_err(|_| Status::OTHER)?;
                }
            }
        }
        Ok(secret)
    }
}

/// A P-256 key pair for one side of the key agreement.
///
/// The authenticator keeps one and makes a new one at power-up and after a failed PIN (`regenerate`).
pub struct KeyAgreementKey {
    private: agreement::PrivateKey,
    x: [u8; 32],
    y: [u8; 32],
}

impl KeyAgreementKey {
    /// Makes a key pair from the random source; the same bytes give the same key.
    ///
    /// # Errors
    /// [`Status::OTHER`] if the source never yields a valid scalar (one that returns only zeros).
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, Status> {
        let mut scalar = Zeroizing::new([0; 32]);
        // All but one in 2^32 strings of 32 bytes are a scalar of P-256.
        for _ in 0..16 {
            rng.fill_bytes(&mut scalar[..]);
            if let Ok(key) = Self::from_scalar(&scalar) {
                return Ok(key);
            }
        }
        Err(Status::OTHER)
    }

    fn from_scalar(scalar: &[u8; 32]) -> Result<Self, Status> {
        let private = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar)
            .map_err(|_| Status::OTHER)?;
        let public = private.compute_public_key().map_err(|_| Status::OTHER)?;
        // SEC 1, uncompressed: 0x04 || x || y.
        let (x, y) = match public.as_ref() {
            [4, point @ ..] if point.len() == 64 => point.split_at(32),
            _ => return Err(Status::OTHER),
        };
        let array = |half: &[u8]| half.try_into().map_err(|_| Status::OTHER);
        Ok(Self {
            private,
            x: array(x)?,
            y: array(y)?,
        })
    }

    /// `getPublicKey()`: the COSE key with the algorithm number -25 that the text demands, "although
    /// this is not the algorithm actually used".
    pub fn public_key(&self) -> CoseKey {
        CoseKey::Ec2 {
            alg: CoseAlgorithm::ECDH_ES_HKDF_256,
            crv: curve::P256,
            x: self.x.to_vec(),
            y: self.y.to_vec(),
        }
    }

    /// `decapsulate(peerCoseKey)`: the shared secret with the peer's public key.
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`] if the peer's key is no point of P-256.
    pub fn decapsulate(
        &self,
        protocol: PinUvAuthProtocol,
        peer: &CoseKey,
    ) -> Result<SharedSecret, Status> {
        let CoseKey::Ec2 {
            crv: curve::P256,
            x,
            y,
            ..
        } = peer
        else {
            return Err(Status::INVALID_PARAMETER);
        };
        if x.len() != 32 || y.len() != 32 {
            return Err(Status::INVALID_PARAMETER);
        }
        let point = [&[4], &x[..], &y[..]].concat();
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, point);
        agreement::agree(&self.private, peer, Status::INVALID_PARAMETER, |z| {
            protocol.kdf(z)
        })
    }
}

impl core::fmt::Debug for KeyAgreementKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KeyAgreementKey(..)")
    }
}

/// `encapsulate(peerCoseKey)`, the platform's side: a fresh key to send as `keyAgreement`, and the
/// secret shared with the authenticator whose key is `peer`.
///
/// # Errors
/// [`Status::INVALID_PARAMETER`] if the authenticator's key is no point of P-256; [`Status::OTHER`]
/// if the random source is broken.
pub fn encapsulate(
    protocol: PinUvAuthProtocol,
    peer: &CoseKey,
    rng: &mut dyn CryptoRng,
) -> Result<(CoseKey, SharedSecret), Status> {
    let platform = KeyAgreementKey::generate(rng)?;
    let secret = platform.decapsulate(protocol, peer)?;
    Ok((platform.public_key(), secret))
}

/// The secret that both sides share for one exchange; wiped when dropped.
#[derive(Clone)]
pub struct SharedSecret {
    protocol: PinUvAuthProtocol,
    hmac_key: Zeroizing<[u8; 32]>,
    aes_key: Zeroizing<[u8; 32]>,
}

impl SharedSecret {
    /// The protocol it was agreed under.
    pub fn protocol(&self) -> PinUvAuthProtocol {
        self.protocol
    }

    /// `encrypt(key, plaintext)`: AES-256-CBC without padding; protocol two puts its IV in front.
    ///
    /// # Errors
    /// [`Status::INVALID_LENGTH`] if the plaintext is not a whole number of 16-byte blocks.
    pub fn encrypt(&self, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Status> {
        let mut iv = [0; BLOCK];
        if self.protocol == PinUvAuthProtocol::Two {
            rng.fill_bytes(&mut iv);
        }
        self.encrypt_with(iv, plaintext)
    }

    fn encrypt_with(&self, iv: [u8; BLOCK], plaintext: &[u8]) -> Result<Vec<u8>, Status> {
        let mut out = Vec::with_capacity(BLOCK + plaintext.len());
        if self.protocol == PinUvAuthProtocol::Two {
            out.extend_from_slice(&iv);
        }
        let start = out.len();
        out.extend_from_slice(plaintext);
        let (blocks, []) = Array::slice_as_chunks_mut(&mut out[start..]) else {
            out.zeroize();
            return Err(Status::INVALID_LENGTH);
        };
        cbc::Encryptor::<aes::Aes256>::new(&(*self.aes_key).into(), &iv.into())
            .encrypt_blocks(blocks);
        Ok(out)
    }

    /// `decrypt(key, ciphertext)`; the plaintext wipes itself when dropped.
    ///
    /// # Errors
    /// [`Status::INVALID_LENGTH`] if the ciphertext is not a whole number of blocks, or lacks the IV.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Status> {
        let (iv, ciphertext) = match self.protocol {
            PinUvAuthProtocol::One => ([0; BLOCK], ciphertext),
            PinUvAuthProtocol::Two => {
                let (iv, rest) = ciphertext
                    .split_first_chunk::<BLOCK>()
                    .ok_or(Status::INVALID_LENGTH)?;
                (*iv, rest)
            }
        };
        let mut out = Zeroizing::new(ciphertext.to_vec());
        let (blocks, []) = Array::slice_as_chunks_mut(&mut out) else {
            return Err(Status::INVALID_LENGTH);
        };
        cbc::Decryptor::<aes::Aes256>::new(&(*self.aes_key).into(), &iv.into())
            .decrypt_blocks(blocks);
        Ok(out)
    }

    /// `authenticate(sharedSecret, message)`.
    pub fn authenticate(&self, message: &[u8]) -> Vec<u8> {
        self.protocol.authenticate(&self.hmac_key[..], message)
    }

    /// `verify(sharedSecret, message, signature)`, in constant time.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.protocol.verify(&self.hmac_key[..], message, signature)
    }
}

impl core::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SharedSecret({:?}, ..)", self.protocol)
    }
}

/// The first 16 bytes of SHA-256 of the PIN: what is sent as `pinHashEnc` and stored by the key.
pub fn pin_hash(pin: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut hash = Zeroizing::new([0; 16]);
    hash.copy_from_slice(&digest::digest(&digest::SHA256, pin).as_ref()[..16]);
    hash
}

/// The new PIN padded with zero bytes to 64 for `newPinEnc`; `None` if it is longer than 63 bytes.
pub fn pad_pin(pin: &str) -> Option<Zeroizing<[u8; PADDED_PIN_LENGTH]>> {
    let pin = pin.as_bytes();
    let mut padded = Zeroizing::new([0; PADDED_PIN_LENGTH]);
    if pin.len() >= PADDED_PIN_LENGTH {
        return None;
    }
    padded[..pin.len()].copy_from_slice(pin);
    Some(padded)
}

#[cfg(test)]
#[path = "pin_protocol/tests.rs"]
mod tests;
