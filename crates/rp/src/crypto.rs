//! Hashes and signature checks. The only file of this crate that names the crypto library
//! (aws-lc-rs).

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use aws_lc_rs::{aead, digest, hkdf};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use webauthn::cose::{CoseAlgorithm, CoseKey};

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The algorithm cannot be checked here.
    #[error("algorithm {0} is not supported")]
    Unsupported(CoseAlgorithm),
    /// The key is no key of the algorithm.
    #[error("the key is no valid key of algorithm {0}")]
    InvalidKey(CoseAlgorithm),
    /// The signature is not valid.
    #[error("the signature is not valid")]
    Invalid,
}

/// The algorithms of credentials that can be checked, best first. Ed448 is not among them: the crypto
/// library has no such curve.
pub const ALGORITHMS: &[CoseAlgorithm] = &[
    CoseAlgorithm::ML_DSA_44,
    CoseAlgorithm::ML_DSA_65,
    CoseAlgorithm::ML_DSA_87,
    CoseAlgorithm::EDDSA,
    CoseAlgorithm::ED25519,
    CoseAlgorithm::ES256,
    CoseAlgorithm::ESP256,
    CoseAlgorithm::ES384,
    CoseAlgorithm::ESP384,
    CoseAlgorithm::ES512,
    CoseAlgorithm::ESP512,
    CoseAlgorithm::PS256,
    CoseAlgorithm::PS384,
    CoseAlgorithm::PS512,
    CoseAlgorithm::RS256,
    CoseAlgorithm::RS384,
    CoseAlgorithm::RS512,
];

/// SHA-256 over the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    hash(&digest::SHA256, parts)
}

/// SHA-1, where a document identifies keys by it. It proves nothing here.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[bytes])
}

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// The hash that an algorithm signs over, of the parts.
pub(crate) fn hash_of(alg: CoseAlgorithm, parts: &[&[u8]]) -> Option<Vec<u8>> {
    use CoseAlgorithm as A;
    Some(match alg {
        A::RS1 => hash::<20>(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts).to_vec(),
        A::ES256 | A::ESP256 | A::RS256 | A::PS256 => sha256(parts).to_vec(),
        A::ES384 | A::ESP384 | A::RS384 | A::PS384 => hash::<48>(&digest::SHA384, parts).to_vec(),
        A::ES512 | A::ESP512 | A::RS512 | A::PS512 => hash::<64>(&digest::SHA512, parts).to_vec(),
        _ => return None,
    })
}

/// The RSA scheme of an algorithm.
fn rsa(alg: CoseAlgorithm) -> Option<&'static RsaParameters> {
    Some(match alg {
        CoseAlgorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        CoseAlgorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        CoseAlgorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        CoseAlgorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        CoseAlgorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        CoseAlgorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        // Old TPMs sign their statements with SHA-1; no credential may.
        CoseAlgorithm::RS1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        _ => return None,
    })
}

/// The scheme of an algorithm, for keys in the library's raw form.
fn scheme(alg: CoseAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match alg {
        CoseAlgorithm::ES256 | CoseAlgorithm::ESP256 => &signature::ECDSA_P256_SHA256_ASN1,
        CoseAlgorithm::ES384 | CoseAlgorithm::ESP384 => &signature::ECDSA_P384_SHA384_ASN1,
        CoseAlgorithm::ES512 | CoseAlgorithm::ESP512 => &signature::ECDSA_P521_SHA512_ASN1,
        CoseAlgorithm::EDDSA | CoseAlgorithm::ED25519 => &signature::ED25519,
        CoseAlgorithm::ML_DSA_44 => &signature::ML_DSA_44,
        CoseAlgorithm::ML_DSA_65 => &signature::ML_DSA_65,
        CoseAlgorithm::ML_DSA_87 => &signature::ML_DSA_87,
        _ => return Option::map(rsa(alg), |scheme| scheme as &dyn VerificationAlgorithm),
    })
}

/// The raw form of a key: the uncompressed point, or the bytes as they are.
fn raw(key: &CoseKey) -> Option<Vec<u8>> {
    match key {
        CoseKey::Ec2 { x, y, .. } => Some([&[4], &x[..], y].concat()),
        CoseKey::Okp { x, .. } => Some(x.clone()),
        CoseKey::Akp { pub_, .. } => Some(pub_.clone()),
        CoseKey::Rsa { .. } => None,
    }
}

/// Checks that a key is a valid key of its algorithm, so that its signatures can be checked later.
pub(crate) fn check_key(key: &CoseKey) -> Result<(), SignatureError> {
    let alg = key.algorithm();
    if !ALGORITHMS.contains(&alg) {
        return Err(SignatureError::Unsupported(alg));
    }
    let invalid = SignatureError::InvalidKey(alg);
    match key {
        CoseKey::Rsa { n, e, .. } => {
            // The library refuses a key only together with a signature, so sizes are checked here.
            let bits = n.iter().position(|byte| *byte != 0).map_or(0, |zeros| {
                (n.len() - zeros) * 8 - n[zeros].leading_zeros() as usize
            });
            let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte & 1 == 1);
            let exponent = e.iter().skip_while(|byte| **byte == 0).count();
            let small = e
                .iter()
                .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
                < 3;
            let valid = (2048..=8192).contains(&bits)
                && odd(n)
                && odd(e)
                && (1..=5).contains(&exponent)
                && !small;
            if valid { Ok(()) } else { Err(invalid) }
        }
        _ => {
            let scheme = scheme(alg).ok_or(SignatureError::Unsupported(alg))?;
            let raw = raw(key).ok_or(invalid)?;
            ParsedPublicKey::new(scheme, raw)
                .map(drop)
                .map_err(|_| invalid)
        }
    }
}

/// Verifies a signature by a credential's key.
pub(crate) fn verify(key: &CoseKey, message: &[u8], sig: &[u8]) -> Result<(), SignatureError> {
    verify_as(key.algorithm(), key, message, sig)
}

/// Verifies a signature by a key under an algorithm that is named elsewhere.
pub(crate) fn verify_as(
    alg: CoseAlgorithm,
    key: &CoseKey,
    message: &[u8],
    sig: &[u8],
) -> Result<(), SignatureError> {
    if let CoseKey::Rsa { n, e, .. } = key {
        let scheme = rsa(alg).ok_or(SignatureError::Unsupported(alg))?;
        // The library takes big-endian numbers without leading zeros.
        let strip = |bytes: &'_ [u8]| -> Vec<u8> {
            bytes.iter().copied().skip_while(|b| *b == 0).collect()
        };
        let components = RsaPublicKeyComponents {
            n: strip(n),
            e: strip(e),
        };
        return components
            .verify(scheme, message, sig)
            .map_err(|_| SignatureError::Invalid);
    }
    let scheme = scheme(alg).ok_or(SignatureError::Unsupported(alg))?;
    let invalid = SignatureError::InvalidKey(alg);
    let mut point = [0; 133];
    let key: &[u8] = match key {
        CoseKey::Ec2 { x, y, .. } => {
            let length = 1 + x.len() + y.len();
            let room = point.get_mut(..length).ok_or(invalid)?;
            room[0] = 4;
            room[1..=x.len()].copy_from_slice(x);
            room[1 + x.len()..].copy_from_slice(y);
            room
        }
        CoseKey::Okp { x, .. } => x,
        CoseKey::Akp { pub_, .. } => pub_,
        CoseKey::Rsa { .. } => return Err(invalid),
    };
    let key = ParsedPublicKey::new(scheme, key).map_err(|_| invalid)?;
    key.verify_sig(message, sig)
        .map_err(|_| SignatureError::Invalid)
}

/// Verifies a signature of RFC 7518, where those of ECDSA are two numbers of fixed length.
pub(crate) fn verify_jws(key: &CoseKey, message: &[u8], sig: &[u8]) -> Result<(), SignatureError> {
    let alg = key.algorithm();
    let scheme: &dyn VerificationAlgorithm = match alg {
        CoseAlgorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        CoseAlgorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        CoseAlgorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED,
        _ => return verify(key, message, sig),
    };
    let raw = raw(key).ok_or(SignatureError::InvalidKey(alg))?;
    scheme
        .verify_sig(&raw, message, sig)
        .map_err(|_| SignatureError::Invalid)
}

/// A secret that seals: from it, a key for each sealed text is derived.
pub(crate) struct SealingSecret(hkdf::Prk);

impl core::fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SealingSecret")
    }
}

impl SealingSecret {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret))
    }

    fn key(&self, purpose: &str, salt: &[u8]) -> Option<aead::LessSafeKey> {
        let info = [purpose.as_bytes(), &[0], salt];
        let okm = self.0.expand(&info, &aead::AES_256_GCM).ok()?;
        Some(aead::LessSafeKey::new(okm.into()))
    }

    /// Seals under a key that is used this once, so that its nonce need not differ.
    pub(crate) fn seal(
        &self,
        purpose: &str,
        salt: &[u8],
        context: &[u8],
        mut text: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
        self.key(purpose, salt)?
            .seal_in_place_append_tag(nonce, aead::Aad::from(context), &mut text)
            .ok()?;
        Some(text)
    }

    pub(crate) fn open(
        &self,
        purpose: &str,
        salt: &[u8],
        context: &[u8],
        mut sealed: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
        let text = self
            .key(purpose, salt)?
            .open_in_place(nonce, aead::Aad::from(context), &mut sealed)
            .ok()?;
        Some(text.to_vec())
    }
}

/// A signature algorithm of X.509, for certificate paths.
#[derive(Debug)]
struct PathAlgorithm {
    public_key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    cose: CoseAlgorithm,
    /// P-256 keys may sign with SHA-384 and P-384 keys with SHA-256, for which COSE has no number.
    scheme: Option<&'static signature::EcdsaVerificationAlgorithm>,
}

impl SignatureVerificationAlgorithm for PathAlgorithm {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        sig: &[u8],
    ) -> Result<(), InvalidSignature> {
        let scheme = match self.scheme {
            Some(scheme) => scheme as &dyn VerificationAlgorithm,
            None => scheme(self.cose).ok_or(InvalidSignature)?,
        };
        scheme
            .verify_sig(public_key, message, sig)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.public_key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

const fn path(
    public_key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    cose: CoseAlgorithm,
) -> PathAlgorithm {
    PathAlgorithm {
        public_key,
        signature,
        cose,
        scheme: None,
    }
}

const fn path_ecdsa(
    public_key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    scheme: &'static signature::EcdsaVerificationAlgorithm,
) -> PathAlgorithm {
    PathAlgorithm {
        public_key,
        signature,
        cose: CoseAlgorithm::ES256,
        scheme: Some(scheme),
    }
}

/// The signature algorithms accepted in certificate paths.
pub(crate) const PATH_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    &path_ecdsa(
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA256,
        &signature::ECDSA_P256_SHA256_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA384,
        &signature::ECDSA_P256_SHA384_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA512,
        &signature::ECDSA_P256_SHA512_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA256,
        &signature::ECDSA_P384_SHA256_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA384,
        &signature::ECDSA_P384_SHA384_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA512,
        &signature::ECDSA_P384_SHA512_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA256,
        &signature::ECDSA_P521_SHA256_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA384,
        &signature::ECDSA_P521_SHA384_ASN1,
    ),
    &path_ecdsa(
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA512,
        &signature::ECDSA_P521_SHA512_ASN1,
    ),
    &path(alg_id::ED25519, alg_id::ED25519, CoseAlgorithm::ED25519),
    &path(
        alg_id::ML_DSA_44,
        alg_id::ML_DSA_44,
        CoseAlgorithm::ML_DSA_44,
    ),
    &path(
        alg_id::ML_DSA_65,
        alg_id::ML_DSA_65,
        CoseAlgorithm::ML_DSA_65,
    ),
    &path(
        alg_id::ML_DSA_87,
        alg_id::ML_DSA_87,
        CoseAlgorithm::ML_DSA_87,
    ),
    &path(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA256,
        CoseAlgorithm::RS256,
    ),
    &path(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA384,
        CoseAlgorithm::RS384,
    ),
    &path(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA512,
        CoseAlgorithm::RS512,
    ),
    &path(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA256,
        CoseAlgorithm::PS256,
    ),
    &path(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA384,
        CoseAlgorithm::PS384,
    ),
    &path(
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA512,
        CoseAlgorithm::PS512,
    ),
];
