//! Attestation certificates (WebAuthn L3 §8.2.1), made when they are first needed.
//!
//! Certificates of one batch are the same bytes everywhere and always: the batch key comes from the
//! batch's name, and the root signs with RSASSA-PKCS1-v1_5, whose signatures do not depend on chance
//! (relying parties in the field do not know Ed25519 issuers). The root's private key lies beside
//! this file and the batch keys can be derived by anyone, so these certificates prove nothing; they
//! are for tests and demonstrations.

use std::sync::OnceLock;

use webauthn::cose::{CoseAlgorithm, CoseKey};
use zeroize::Zeroizing;

use crate::crypto::{self, CryptoError, KeyMaterial, SigningKey};

/// The private key of the root. Not a secret.
const TEST_ROOT: &[u8] = include_bytes!("certificate/test-root.pk8");

/// What is written into a leaf certificate.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The batch whose key is attested with.
    pub(crate) batch: String,
    /// The model; zero for keys that have none (U2F).
    pub(crate) aaguid: [u8; 16],
    /// A single key's serial number, for enterprise attestation.
    pub(crate) serial: Option<[u8; 16]>,
}

/// An attestation key with its certificate.
#[derive(Debug)]
pub(crate) struct Attester {
    subject: Subject,
    key: SigningKey,
    certificate: OnceLock<Vec<u8>>,
}

impl Attester {
    /// Derives the key.
    pub(crate) fn new(subject: Subject) -> Result<Self, CryptoError> {
        let key = batch_key(&subject)?;
        Ok(Self {
            subject,
            key,
            certificate: OnceLock::new(),
        })
    }

    /// Signs with the attestation key.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.key.sign(message)
    }

    /// The certificate; the first call makes it.
    pub(crate) fn certificate(&self) -> Result<&[u8], CryptoError> {
        if let Some(certificate) = self.certificate.get() {
            return Ok(certificate);
        }
        let made = leaf(&self.subject, &self.key.public_key())?;
        Ok(self.certificate.get_or_init(|| made))
    }
}

/// The certificate that signs all leaf certificates: the trust anchor for relying parties that want
/// to accept test keys. DER.
///
/// `None` only if the crypto library fails.
pub fn root_certificate() -> Option<Vec<u8>> {
    let key = root_key().ok()?;
    let CoseKey::Rsa { n, e, .. } = key.public_key() else {
        return None;
    };
    let public = der::sequence(&[der::unsigned(&n), der::unsigned(&e)]);
    let algorithm = der::sequence(&[der::RSA_ENCRYPTION.to_vec(), der::NULL.to_vec()]);
    let spki = der::sequence(&[algorithm, der::bit_string(&public)]);
    let constraints = der::sequence(&[der::boolean(true)]);
    // keyCertSign and cRLSign.
    let usage = vec![0x03, 0x02, 0x01, 0x06];
    let extensions = [
        der::extension(&der::BASIC_CONSTRAINTS, true, &constraints),
        der::extension(&der::KEY_USAGE, true, &usage),
    ];
    certificate(&[1], &root_name(), &root_name(), spki, &extensions, &key).ok()
}

fn root_key() -> Result<SigningKey, CryptoError> {
    let bytes = Zeroizing::new(TEST_ROOT.to_vec());
    SigningKey::load(&KeyMaterial {
        algorithm: CoseAlgorithm::RS256,
        bytes,
    })
}

fn batch_key(subject: &Subject) -> Result<SigningKey, CryptoError> {
    let serial = subject.serial.unwrap_or_default();
    for attempt in 0..16_u8 {
        let parts = [
            subject.batch.as_bytes(),
            &subject.aaguid,
            &serial,
            &[attempt],
        ];
        let scalar = crypto::hmac_sha256(b"pinward attestation batch", &parts);
        let bytes = Zeroizing::new(scalar.to_vec());
        if let Ok(key) = SigningKey::load(&KeyMaterial {
            algorithm: CoseAlgorithm::ES256,
            bytes,
        }) {
            return Ok(key);
        }
    }
    Err(CryptoError)
}

fn root_name() -> Vec<u8> {
    der::name(&[
        (der::COUNTRY, "AQ"),
        (der::ORGANIZATION, "Pinward"),
        (der::COMMON_NAME, "Pinward Test Root (proves nothing)"),
    ])
}

fn leaf(subject: &Subject, public: &CoseKey) -> Result<Vec<u8>, CryptoError> {
    let CoseKey::Ec2 { x, y, .. } = public else {
        return Err(CryptoError);
    };
    let point = [&[4], &x[..], &y[..]].concat();
    let algorithm = der::sequence(&[der::EC_PUBLIC_KEY.to_vec(), der::PRIME256V1.to_vec()]);
    let spki = der::sequence(&[algorithm, der::bit_string(&point)]);
    let serial = subject.serial.map(|serial| {
        serial
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    });
    let mut names = vec![
        (der::COUNTRY, "AQ"),
        (der::ORGANIZATION, "Pinward"),
        (der::ORGANIZATIONAL_UNIT, "Authenticator Attestation"),
        (der::COMMON_NAME, &subject.batch),
    ];
    names.extend(serial.as_deref().map(|serial| (der::SERIAL_NUMBER, serial)));
    let mut extensions = vec![der::extension(
        &der::BASIC_CONSTRAINTS,
        true,
        &der::sequence(&[]),
    )];
    if subject.aaguid != [0; 16] {
        // §8.2.1: the AAGUID, wrapped in two OCTET STRINGs, not critical.
        extensions.push(der::extension(
            &der::FIDO_AAGUID,
            false,
            &der::octet_string(&subject.aaguid),
        ));
    }
    // A serial number that follows from the contents, positive and without leading zero.
    let mut number = crypto::sha256(&[&spki[..], &der::name(&names)].concat())[..16].to_vec();
    number[0] = number[0] & 0x3f | 0x40;
    certificate(
        &number,
        &root_name(),
        &der::name(&names),
        spki,
        &extensions,
        &root_key()?,
    )
}

fn certificate(
    serial: &[u8],
    issuer: &[u8],
    subject: &[u8],
    spki: Vec<u8>,
    extensions: &[Vec<u8>],
    signer: &SigningKey,
) -> Result<Vec<u8>, CryptoError> {
    let algorithm = der::sequence(&[der::SHA256_WITH_RSA.to_vec(), der::NULL.to_vec()]);
    let validity = der::sequence(&[
        der::utc_time("250101000000Z"),
        der::utc_time("491231235959Z"),
    ]);
    let to_be_signed = der::sequence(&[
        // [0] version 3.
        vec![0xa0, 0x03, 0x02, 0x01, 0x02],
        der::tagged(0x02, serial),
        algorithm.clone(),
        issuer.to_vec(),
        validity,
        subject.to_vec(),
        spki,
        der::tagged(0xa3, &der::sequence(extensions)),
    ]);
    let signature = signer.sign(&to_be_signed)?;
    Ok(der::sequence(&[
        to_be_signed,
        algorithm,
        der::bit_string(&signature),
    ]))
}

/// The few words of DER (X.690) that a certificate needs.
mod der {
    pub(super) const NULL: [u8; 2] = [0x05, 0x00];
    pub(super) const RSA_ENCRYPTION: [u8; 11] = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    ];
    pub(super) const SHA256_WITH_RSA: [u8; 11] = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b,
    ];
    pub(super) const EC_PUBLIC_KEY: [u8; 9] =
        [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub(super) const PRIME256V1: [u8; 10] =
        [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub(super) const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
    pub(super) const KEY_USAGE: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x0f];
    /// id-fido-gen-ce-aaguid, 1.3.6.1.4.1.45724.1.1.4.
    pub(super) const FIDO_AAGUID: [u8; 13] = [
        0x06, 0x0b, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04,
    ];

    /// Last arc of the attribute types 2.5.4.x.
    pub(super) const COMMON_NAME: u8 = 3;
    pub(super) const SERIAL_NUMBER: u8 = 5;
    pub(super) const COUNTRY: u8 = 6;
    pub(super) const ORGANIZATION: u8 = 10;
    pub(super) const ORGANIZATIONAL_UNIT: u8 = 11;

    pub(super) fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match contents.len() {
            length @ 0..=0x7f => out.push(length as u8),
            length @ 0x80..=0xff => out.extend([0x81, length as u8]),
            length => {
                out.push(0x82);
                out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            }
        }
        out.extend_from_slice(contents);
        out
    }

    /// An INTEGER that is not negative: a leading bit of one needs a zero byte before it.
    pub(super) fn unsigned(big_endian: &[u8]) -> Vec<u8> {
        let sign: &[u8] = if big_endian.first().is_none_or(|first| *first >= 0x80) {
            &[0]
        } else {
            &[]
        };
        tagged(0x02, &[sign, big_endian].concat())
    }

    pub(super) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
        tagged(0x30, &elements.concat())
    }

    pub(super) fn octet_string(contents: &[u8]) -> Vec<u8> {
        tagged(0x04, contents)
    }

    pub(super) fn bit_string(contents: &[u8]) -> Vec<u8> {
        tagged(0x03, &[&[0], contents].concat())
    }

    pub(super) fn boolean(value: bool) -> Vec<u8> {
        vec![0x01, 0x01, if value { 0xff } else { 0 }]
    }

    pub(super) fn utc_time(text: &str) -> Vec<u8> {
        tagged(0x17, text.as_bytes())
    }

    pub(super) fn name(attributes: &[(u8, &str)]) -> Vec<u8> {
        let sets: Vec<_> = attributes
            .iter()
            .map(|(arc, text)| {
                // Country and serial number are PrintableString, the others UTF8String.
                let tag = if matches!(*arc, COUNTRY | SERIAL_NUMBER) {
                    0x13
                } else {
                    0x0c
                };
                let attribute = sequence(&[
                    vec![0x06, 0x03, 0x55, 0x04, *arc],
                    tagged(tag, text.as_bytes()),
                ]);
                tagged(0x31, &attribute)
            })
            .collect();
        sequence(&sets)
    }

    pub(super) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
        let mut parts = vec![oid.to_vec()];
        if critical {
            parts.push(boolean(true));
        }
        parts.push(octet_string(value));
        sequence(&parts)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn subject(serial: Option<[u8; 16]>) -> Subject {
        Subject {
            batch: "batch".into(),
            aaguid: [7; 16],
            serial,
        }
    }

    fn made(subject: Subject) -> Vec<u8> {
        Attester::new(subject)
            .unwrap()
            .certificate()
            .unwrap()
            .to_vec()
    }

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack
            .windows(needle.len())
            .any(|window| window == needle)
    }

    #[test]
    fn a_certificate_is_the_same_every_time() {
        let make = || made(subject(None));
        assert_eq!(make(), make());
        assert_eq!(root_certificate(), root_certificate());
        assert!(root_certificate().is_some());
    }

    #[test]
    fn it_names_what_webauthn_wants() {
        let certificate = made(subject(None));
        assert!(contains(&certificate, b"Authenticator Attestation"));
        assert!(contains(
            &certificate,
            &[&der::FIDO_AAGUID[..], &[0x04, 0x12, 0x04, 0x10], &[7; 16]].concat()
        ));
        assert!(
            contains(&certificate, &[0xa0, 0x03, 0x02, 0x01, 0x02]),
            "version 3"
        );
    }

    #[test]
    fn batches_models_and_single_keys_have_their_own_keys() {
        let key = |subject: Subject| Attester::new(subject).unwrap().key.public_key().encode();
        let mut keys = vec![
            key(subject(None)),
            key(subject(Some([1; 16]))),
            key(subject(Some([2; 16]))),
            key(Subject {
                batch: "other".into(),
                ..subject(None)
            }),
            key(Subject {
                aaguid: [8; 16],
                ..subject(None)
            }),
        ];
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 5);
        let certificate = made(subject(Some([1; 16])));
        assert!(contains(&certificate, "01".repeat(16).as_bytes()));
    }
}
