//! All cryptography of the key but the PIN/UV auth protocols (those are `ctap::pin_protocol`).
//!
//! The one file that names the crypto crate. Everything that can be repeated from the random source
//! is: EC and Ed25519 private keys are made from its bytes. Two things are not, because the crypto
//! crate draws for itself: the nonces of ECDSA signatures, and RSA keys.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING,
    PqdsaKeyPair, PqdsaSigningAlgorithm, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{constant_time, digest, hmac, rsa};
use rand_core::CryptoRng;
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use zeroize::Zeroizing;

/// Something that should not fail did; there is nothing to tell but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CryptoError;

/// SHA-256.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    out
}

/// HMAC-SHA-256 of the concatenated parts.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// Equality without telling by time where the two differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// AES-128-CBC of one block, without padding.
pub(crate) fn aes_128_cbc(
    key: &[u8; 16],
    iv: &[u8; 16],
    mut block: [u8; 16],
) -> Result<[u8; 16], CryptoError> {
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| CryptoError)?;
    EncryptingKey::cbc(key)
        .map_err(|_| CryptoError)?
        .less_safe_encrypt(&mut block, EncryptionContext::Iv128((*iv).into()))
        .map_err(|_| CryptoError)?;
    Ok(block)
}

const NONCE: usize = 12;
const TAG: usize = 16;

/// How much longer the sealed form is than what it holds.
pub(crate) const SEAL_OVERHEAD: usize = NONCE + TAG;

/// Seals under AES-256-GCM with a random nonce: nonce, ciphertext, tag.
pub(crate) fn seal(
    key: &[u8; 32],
    associated: &[u8],
    plaintext: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, CryptoError> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let mut out = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let tag = gcm(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated),
            &mut out[NONCE..],
        )
        .map_err(|_| CryptoError)?;
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// Opens what [`seal`] made; `None` if it was not made here, or for other associated data.
pub(crate) fn open(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let mut buffer = Zeroizing::new(rest.to_vec());
    let length = gcm(key)
        .ok()?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(associated),
            &mut buffer,
        )
        .ok()?
        .len();
    buffer.truncate(length);
    Some(buffer)
}

fn gcm(key: &[u8; 32]) -> Result<LessSafeKey, CryptoError> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| CryptoError)
}

/// A private key as it is stored: the scalar of an EC key, the seed of an Ed25519 or ML-DSA key, the
/// PKCS#8 document of an RSA key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    /// What the key signs with.
    pub algorithm: CoseAlgorithm,
    /// The private key; wiped when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl core::fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyMaterial({}, ..)", self.algorithm)
    }
}

/// Algorithms that this crate can make keys for.
pub(crate) const ALGORITHMS: [CoseAlgorithm; 6] = [
    CoseAlgorithm::ES256,
    CoseAlgorithm::EDDSA,
    CoseAlgorithm::ES384,
    CoseAlgorithm::RS256,
    CoseAlgorithm::ML_DSA_44,
    CoseAlgorithm::ML_DSA_65,
];

/// A private key ready to sign.
pub(crate) enum SigningKey {
    Ecdsa(CoseAlgorithm, EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    MlDsa(CoseAlgorithm, PqdsaKeyPair),
}

impl SigningKey {
    /// Makes a new key.
    pub(crate) fn generate(
        algorithm: CoseAlgorithm,
        rng: &mut dyn CryptoRng,
    ) -> Result<(KeyMaterial, Self), CryptoError> {
        if algorithm == CoseAlgorithm::RS256 {
            let key = RsaKeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| CryptoError)?;
            let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| CryptoError)?;
            let bytes = Zeroizing::new(der.as_ref().to_vec());
            return Ok((KeyMaterial { algorithm, bytes }, Self::Rsa(Box::new(key))));
        }
        let length = match algorithm {
            CoseAlgorithm::ES256
            | CoseAlgorithm::EDDSA
            | CoseAlgorithm::ML_DSA_44
            | CoseAlgorithm::ML_DSA_65 => 32,
            CoseAlgorithm::ES384 => 48,
            _ => return Err(CryptoError),
        };
        let mut material = KeyMaterial {
            algorithm,
            bytes: Zeroizing::new(vec![0; length]),
        };
        // Nearly every string of bytes is a valid scalar; a broken source must not hang the key.
        for _ in 0..16 {
            rng.fill_bytes(&mut material.bytes);
            if let Ok(key) = Self::load(&material) {
                return Ok((material, key));
            }
        }
        Err(CryptoError)
    }

    /// Loads a stored key.
    pub(crate) fn load(material: &KeyMaterial) -> Result<Self, CryptoError> {
        let bytes = &material.bytes[..];
        match material.algorithm {
            CoseAlgorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, &PKCS8_P256, bytes, 32)
                .map(|pair| Self::Ecdsa(CoseAlgorithm::ES256, pair)),
            CoseAlgorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, &PKCS8_P384, bytes, 48)
                .map(|pair| Self::Ecdsa(CoseAlgorithm::ES384, pair)),
            CoseAlgorithm::EDDSA => Ed25519KeyPair::from_seed_unchecked(bytes)
                .map(Self::EdDsa)
                .map_err(|_| CryptoError),
            CoseAlgorithm::RS256 => RsaKeyPair::from_pkcs8(bytes)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|_| CryptoError),
            CoseAlgorithm::ML_DSA_44 => ml_dsa(&ML_DSA_44_SIGNING, material),
            CoseAlgorithm::ML_DSA_65 => ml_dsa(&ML_DSA_65_SIGNING, material),
            _ => Err(CryptoError),
        }
    }

    /// The public key.
    pub(crate) fn public_key(&self) -> CoseKey {
        match self {
            Self::Ecdsa(alg, pair) => {
                // SEC 1, uncompressed: 0x04 || x || y.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if *alg == CoseAlgorithm::ES384 {
                    curve::P384
                } else {
                    curve::P256
                };
                CoseKey::Ec2 {
                    alg: *alg,
                    crv,
                    x: x.to_vec(),
                    y: y.to_vec(),
                }
            }
            Self::EdDsa(pair) => CoseKey::Okp {
                alg: CoseAlgorithm::EDDSA,
                crv: curve::ED25519,
                x: pair.public_key().as_ref().to_vec(),
            },
            Self::MlDsa(alg, pair) => CoseKey::Akp {
                alg: *alg,
                pub_: pair.public_key().as_ref().to_vec(),
            },
            Self::Rsa(pair) => {
                let (n, e) = rsa_public_key(pair.public_key().as_ref()).unwrap_or_default();
                CoseKey::Rsa {
                    alg: CoseAlgorithm::RS256,
                    n: n.to_vec(),
                    e: e.to_vec(),
                }
            }
        }
    }

    /// Signs in the form that WebAuthn §6.5.5 wants: DER for ECDSA, raw for the others.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(_, pair) => pair
                .sign(&random, message)
                .map(|s| s.as_ref().to_vec())
                .map_err(|_| CryptoError),
            Self::EdDsa(pair) => pair
                .try_sign(message)
                .map(|s| s.as_ref().to_vec())
                .map_err(|_| CryptoError),
            Self::MlDsa(_, pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair
                    .sign(message, &mut signature)
                    .map_err(|_| CryptoError)?;
                signature.truncate(length);
                Ok(signature)
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
                    .map_err(|_| CryptoError)
            }
        }
    }
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Modulus and exponent out of an RSAPublicKey (RFC 8017 A.1.1): a SEQUENCE of two INTEGERs.
fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    /// The contents of the element with this tag, and what follows it.
    fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
        let (&[found, first], rest) = der.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => rest
                .split_first()
                .map(|(n, rest)| (usize::from(*n), rest))?,
            0x82 => rest
                .split_first_chunk()
                .map(|(n, rest)| (u16::from_be_bytes(*n).into(), rest))?,
            _ => return None,
        };
        if found == tag {
            rest.split_at_checked(length)
        } else {
            None
        }
    }
    let unsigned = |integer: &'_ [u8]| integer.iter().position(|byte| *byte != 0).unwrap_or(0);
    let (sequence, _) = element(0x30, der)?;
    let (n, rest) = element(0x02, sequence)?;
    let (e, _) = element(0x02, rest)?;
    Some((&n[unsigned(n)..], &e[unsigned(e)..]))
}

/// PKCS#8 around a bare scalar of P-256: the public key is left out, so the library computes it.
const PKCS8_P256: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];

/// The same for P-384.
const PKCS8_P384: [u8; 32] = [
    0x30, 0x4e, 0x02, 0x01, 0x00, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x04, 0x37, 0x30, 0x35, 0x02, 0x01, 0x01, 0x04, 0x30,
];

fn ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
    prefix: &[u8],
    scalar: &[u8],
    length: usize,
) -> Result<EcdsaKeyPair, CryptoError> {
    if scalar.len() != length {
        return Err(CryptoError);
    }
    let mut pkcs8 = Zeroizing::new(Vec::with_capacity(prefix.len() + length));
    pkcs8.extend_from_slice(prefix);
    pkcs8.extend_from_slice(scalar);
    EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).map_err(|_| CryptoError)
}

fn ml_dsa(
    algorithm: &'static PqdsaSigningAlgorithm,
    material: &KeyMaterial,
) -> Result<SigningKey, CryptoError> {
    PqdsaKeyPair::from_seed(algorithm, &material.bytes)
        .map(|pair| SigningKey::MlDsa(material.algorithm, pair))
        .map_err(|_| CryptoError)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ML_DSA_44, ML_DSA_65,
        RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn verifies(key: &CoseKey, message: &[u8], signature: &[u8]) -> bool {
        let check = |algorithm: &'static dyn VerificationAlgorithm, public: Vec<u8>| {
            UnparsedPublicKey::new(algorithm, public)
                .verify(message, signature)
                .is_ok()
        };
        match key {
            CoseKey::Ec2 {
                crv: curve::P256,
                x,
                y,
                ..
            } => check(&ECDSA_P256_SHA256_ASN1, [&[4], &x[..], &y[..]].concat()),
            CoseKey::Ec2 { x, y, .. } => {
                check(&ECDSA_P384_SHA384_ASN1, [&[4], &x[..], &y[..]].concat())
            }
            CoseKey::Okp { x, .. } => check(&ED25519, x.clone()),
            CoseKey::Rsa { n, e, .. } => aws_lc_rs::signature::RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            CoseKey::Akp { alg, pub_ } if *alg == CoseAlgorithm::ML_DSA_44 => {
                check(&ML_DSA_44, pub_.clone())
            }
            CoseKey::Akp { pub_, .. } => check(&ML_DSA_65, pub_.clone()),
        }
    }

    #[test]
    fn every_algorithm_signs_and_a_stored_key_is_the_same_key() {
        for algorithm in ALGORITHMS {
            let (material, key) = SigningKey::generate(algorithm, &mut rng()).unwrap();
            let public = key.public_key();
            assert_eq!(public.algorithm(), algorithm);
            assert_eq!(CoseKey::parse(&public.encode()).unwrap(), public);
            assert!(
                verifies(&public, b"message", &key.sign(b"message").unwrap()),
                "{algorithm}"
            );
            let loaded = SigningKey::load(&material).unwrap();
            assert_eq!(loaded.public_key(), public);
            assert!(
                verifies(&public, b"other", &loaded.sign(b"other").unwrap()),
                "{algorithm}"
            );
            assert!(
                !verifies(&public, b"message", &loaded.sign(b"other").unwrap()),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn keys_repeat_from_the_seed() {
        for algorithm in [
            CoseAlgorithm::ES256,
            CoseAlgorithm::EDDSA,
            CoseAlgorithm::ES384,
            CoseAlgorithm::ML_DSA_44,
            CoseAlgorithm::ML_DSA_65,
        ] {
            let make = || SigningKey::generate(algorithm, &mut rng()).unwrap().0;
            assert_eq!(make(), make());
        }
    }

    #[test]
    fn one_block_of_cbc_is_that_of_sp_800_38a() {
        // NIST SP 800-38A F.2.1, first block.
        let unhex = |text: &str| u128::from_str_radix(text, 16).unwrap().to_be_bytes();
        let block = aes_128_cbc(
            &unhex("2b7e151628aed2a6abf7158809cf4f3c"),
            &unhex("000102030405060708090a0b0c0d0e0f"),
            unhex("6bc1bee22e409f96e93d7e117393172a"),
        );
        assert_eq!(block, Ok(unhex("7649abac8119b246cee98e9b12e9197d")));
    }

    #[test]
    fn an_unknown_algorithm_or_a_wrong_length_is_an_error() {
        assert_eq!(
            SigningKey::generate(CoseAlgorithm::ES512, &mut rng()).unwrap_err(),
            CryptoError
        );
        for algorithm in ALGORITHMS {
            for length in [0, 31, 33, 47] {
                let material = KeyMaterial {
                    algorithm,
                    bytes: Zeroizing::new(vec![1; length]),
                };
                assert!(SigningKey::load(&material).is_err(), "{algorithm} {length}");
            }
        }
    }

    #[test]
    fn sealed_bytes_open_only_whole_and_for_what_they_were_sealed() {
        let sealed = seal(&[1; 32], b"rp", b"secret", &mut rng()).unwrap();
        assert_eq!(sealed.len(), 6 + SEAL_OVERHEAD);
        assert_eq!(open(&[1; 32], b"rp", &sealed).unwrap()[..], *b"secret");
        assert!(open(&[2; 32], b"rp", &sealed).is_none());
        assert!(open(&[1; 32], b"other", &sealed).is_none());
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(open(&[1; 32], b"rp", &changed).is_none());
            assert!(open(&[1; 32], b"rp", &sealed[..i]).is_none());
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let (material, key) = SigningKey::generate(CoseAlgorithm::ES256, &mut rng()).unwrap();
        assert_eq!(
            format!("{material:?} {key:?}"),
            "KeyMaterial(ES256 (-7), ..) SigningKey(..)"
        );
    }
}
