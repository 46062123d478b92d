//! WebAuthn L3 §5.2.1.1 `getPublicKey()`: a public key as DER SubjectPublicKeyInfo (RFC 5280), for the
//! algorithms that every client must know: ES256, EdDSA with Ed25519 and RS256.

use webauthn::cose::{CoseKey, curve};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// AlgorithmIdentifier id-ecPublicKey, prime256v1.
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
    0xCE, 0x3D, 0x03, 0x01, 0x07,
];
/// AlgorithmIdentifier id-Ed25519.
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70];
/// AlgorithmIdentifier rsaEncryption.
const RSA: &[u8] = &[
    0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// The DER form; none for algorithms that clients need not know.
pub(crate) fn encode(key: &CoseKey) -> Option<Vec<u8>> {
    match key {
        CoseKey::Ec2 {
            crv: curve::P256,
            x,
            y,
            ..
        } => Some(info(P256, &[&[0x04], &x[..], &y[..]].concat())),
        CoseKey::Okp {
            crv: curve::ED25519,
            x,
            ..
        } => Some(info(ED25519, x)),
        CoseKey::Rsa { n, e, .. } => Some(info(
            RSA,
            &tlv(SEQUENCE, &[integer(n), integer(e)].concat()),
        )),
        _ => None,
    }
}

fn info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = tlv(BIT_STRING, &[&[0], key].concat());
    tlv(SEQUENCE, &[algorithm, &bits].concat())
}

/// An unsigned big-endian number as DER INTEGER.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let digits = bytes.get(start..).unwrap_or_default();
    // A set first bit would read as a minus sign.
    let sign = digits.first().is_none_or(|first| first & 0x80 != 0);
    let zero: &[u8] = if sign { &[0] } else { &[] };
    tlv(INTEGER, &[zero, digits].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = value.len().to_be_bytes();
            let start = length
                .iter()
                .position(|byte| *byte != 0)
                .unwrap_or(length.len());
            let digits = length.get(start..).unwrap_or_default();
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(value);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use webauthn::cose::CoseAlgorithm;

    #[test]
    fn a_p256_key_has_its_fixed_form() {
        let key = CoseKey::Ec2 {
            alg: CoseAlgorithm::ES256,
            crv: curve::P256,
            x: vec![1; 32],
            y: vec![2; 32],
        };
        let der = encode(&key).unwrap();
        assert_eq!(der.len(), 91);
        assert_eq!(&der[..2], [0x30, 0x59]);
        assert_eq!(&der[23..27], [0x03, 0x42, 0x00, 0x04]);
    }

    #[test]
    fn an_rsa_key_has_long_lengths_and_unsigned_numbers() {
        let key = CoseKey::Rsa {
            alg: CoseAlgorithm::RS256,
            n: vec![0x80; 256],
            e: vec![1, 0, 1],
        };
        let der = encode(&key).unwrap();
        // 2048-bit keys are always 294 bytes.
        assert_eq!(der.len(), 294);
        assert_eq!(&der[..4], [0x30, 0x82, 0x01, 0x22]);
        assert!(der.ends_with(&[0x02, 0x03, 0x01, 0x00, 0x01]));
    }

    #[test]
    fn an_ed25519_key_is_44_bytes() {
        let key = CoseKey::Okp {
            alg: CoseAlgorithm::EDDSA,
            crv: curve::ED25519,
            x: vec![7; 32],
        };
        assert_eq!(encode(&key).unwrap().len(), 44);
    }

    #[test]
    fn other_algorithms_have_none() {
        let key = CoseKey::Akp {
            alg: CoseAlgorithm::ML_DSA_44,
            pub_: vec![0; 1312],
        };
        assert_eq!(encode(&key), None);
    }
}
