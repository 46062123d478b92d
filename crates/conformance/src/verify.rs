//! Signatures of keys, checked.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, VerificationAlgorithm};
use webauthn::cose::{CoseAlgorithm, CoseKey};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

/// Whether the signature is one of this COSE key.
pub(crate) fn verifies(key: &CoseKey, message: &[u8], sig: &[u8]) -> bool {
    match key {
        CoseKey::Ec2 { alg, x, y, .. } => {
            let point = [&[4], &x[..], y].concat();
            let algorithm: &dyn VerificationAlgorithm = match *alg {
                CoseAlgorithm::ES256 => &signature::ECDSA_P256_SHA256_ASN1,
                CoseAlgorithm::ES384 => &signature::ECDSA_P384_SHA384_ASN1,
                _ => return false,
            };
            raw(algorithm, &point, message, sig)
        }
        CoseKey::Okp { x, .. } => raw(&signature::ED25519, x, message, sig),
        CoseKey::Rsa { n, e, .. } => RsaPublicKeyComponents { n, e }
            .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, sig)
            .is_ok(),
        CoseKey::Akp { alg, pub_ } => match *alg {
            CoseAlgorithm::ML_DSA_44 => raw(&signature::ML_DSA_44, pub_, message, sig),
            CoseAlgorithm::ML_DSA_65 => raw(&signature::ML_DSA_65, pub_, message, sig),
            _ => false,
        },
    }
}

/// Whether the signature is one of this SEC 1 point on P-256.
pub(crate) fn verifies_p256(point: &[u8], message: &[u8], sig: &[u8]) -> bool {
    raw(&signature::ECDSA_P256_SHA256_ASN1, point, message, sig)
}

fn raw(algorithm: &dyn VerificationAlgorithm, key: &[u8], message: &[u8], sig: &[u8]) -> bool {
    algorithm.verify_sig(key, message, sig).is_ok()
}

/// The public key of a certificate, as its bits are.
pub(crate) fn certificate_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let info = certificate.tbs_certificate().subject_public_key_info();
    Some(info.subject_public_key.as_bytes()?.to_vec())
}

/// The AAGUID in the extension 1.3.6.1.4.1.45724.1.1.4 of a certificate (WebAuthn L3 §8.2.1).
pub(crate) fn certificate_aaguid(der: &[u8]) -> Option<[u8; 16]> {
    let certificate = Certificate::from_der(der).ok()?;
    let extensions = certificate.tbs_certificate().extensions()?;
    let found = extensions
        .iter()
        .find(|e| e.extn_id.to_string() == "1.3.6.1.4.1.45724.1.1.4")?;
    let value = found.extn_value.as_bytes();
    value.strip_prefix(&[4, 16])?.try_into().ok()
}
