//! X.509 certificates of attestation (RFC 5280), as far as the formats look into them.

use der::asn1::{ObjectIdentifier, OctetStringRef, PrintableStringRef, UintRef, Utf8StringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use webauthn::authenticator_data::Aaguid;
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use x509_cert::der;

use crate::crypto;

/// What is wrong with an attestation certificate. Reads on after "the attestation certificate".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not a certificate in DER.
    #[error("cannot be read: {0}")]
    Der(String),
    /// Not of version 3.
    #[error("is not of version 3")]
    Version,
    /// Its subject is not as the format wants it.
    #[error("{0}")]
    Subject(&'static str),
    /// It is a CA's, or does not say that it is not.
    #[error("does not say that it is not a CA's")]
    Ca,
    /// Its model extension names another model than the authenticator data.
    #[error("is of model {expected}, but the authenticator data says {found}")]
    Aaguid {
        /// As certified.
        expected: Aaguid,
        /// As in the authenticator data.
        found: Aaguid,
    },
    /// Its model extension is malformed or marked critical.
    #[error("has a malformed or critical model extension")]
    AaguidExtension,
    /// Its key is of a kind that is not supported or wanted.
    #[error("has a key of another kind")]
    PublicKey,
    /// An extension that the format needs is missing or malformed.
    #[error("{0}")]
    Extension(&'static str),
}

/// `id-fido-gen-ce-aaguid`
const AAGUID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");
/// `id-fido-gen-ce-sernum`
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.2");
/// `id-ce-basicConstraints`
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// An attestation certificate.
pub(crate) struct Certificate(x509_cert::Certificate);

/// The parts of a subject that the formats look at.
#[derive(Default)]
pub(super) struct Subject {
    pub country: Option<String>,
    pub organization: Option<String>,
    pub organizational_unit: Option<String>,
    pub common_name: Option<String>,
    pub is_empty: bool,
}

impl Certificate {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        x509_cert::Certificate::from_der(der)
            .map(Self)
            .map_err(|error| CertificateError::Der(error.to_string()))
    }

    pub(super) fn check_version_3(&self) -> Result<(), CertificateError> {
        match self.0.tbs_certificate().version() {
            x509_cert::Version::V3 => Ok(()),
            _ => Err(CertificateError::Version),
        }
    }

    /// The value of an extension, and whether it is critical.
    pub(super) fn extension(&self, id: ObjectIdentifier) -> Option<(&[u8], bool)> {
        let extensions = self.0.tbs_certificate().extensions()?;
        let extension = extensions
            .iter()
            .find(|extension| extension.extn_id == id)?;
        Some((extension.extn_value.as_bytes(), extension.critical))
    }

    /// The basic constraints must be there and say that this is no CA.
    pub(super) fn check_not_ca(&self) -> Result<(), CertificateError> {
        let (value, _) = self
            .extension(BASIC_CONSTRAINTS)
            .ok_or(CertificateError::Ca)?;
        match x509_cert::ext::pkix::BasicConstraints::from_der(value) {
            Ok(constraints) if !constraints.ca => Ok(()),
            _ => Err(CertificateError::Ca),
        }
    }

    /// If the certificate names a model, it must be the one of the authenticator data.
    pub(super) fn check_aaguid(&self, found: Aaguid) -> Result<(), CertificateError> {
        let Some((value, critical)) = self.extension(AAGUID) else {
            return Ok(());
        };
        let certified: Option<[u8; 16]> = <&OctetStringRef>::from_der(value)
            .ok()
            .and_then(|octets| octets.as_bytes().try_into().ok());
        match certified {
            Some(certified) if !critical => {
                let expected = Aaguid(certified);
                if expected == found {
                    Ok(())
                } else {
                    Err(CertificateError::Aaguid { expected, found })
                }
            }
            _ => Err(CertificateError::AaguidExtension),
        }
    }

    pub(super) fn subject(&self) -> Subject {
        let mut subject = Subject {
            is_empty: true,
            ..Subject::default()
        };
        for attribute in self.0.tbs_certificate().subject().iter() {
            subject.is_empty = false;
            let value = match attribute.value.tag() {
                Tag::Utf8String => attribute
                    .value
                    .decode_as::<Utf8StringRef<'_>>()
                    .map(|s| s.as_str().to_owned()),
                Tag::PrintableString => attribute
                    .value
                    .decode_as::<PrintableStringRef<'_>>()
                    .map(|s| s.as_str().to_owned()),
                _ => continue,
            };
            let Ok(value) = value else { continue };
            match attribute.oid.to_string().as_str() {
                "2.5.4.6" => subject.country = Some(value),
                "2.5.4.10" => subject.organization = Some(value),
                "2.5.4.11" => subject.organizational_unit = Some(value),
                "2.5.4.3" => subject.common_name = Some(value),
                _ => {}
            }
        }
        subject
    }

    /// The key, as a COSE key of algorithm `alg`. Whether key and algorithm belong together is left
    /// to the signature check.
    pub(crate) fn public_key(&self, alg: CoseAlgorithm) -> Result<CoseKey, CertificateError> {
        let info = self.0.tbs_certificate().subject_public_key_info();
        let bits = info
            .subject_public_key
            .as_bytes()
            .ok_or(CertificateError::PublicKey)?;
        match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let parameters = info.algorithm.parameters.as_ref();
                let named = parameters
                    .and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
                    .ok_or(CertificateError::PublicKey)?;
                let (crv, length) = match named {
                    P256 => (curve::P256, 32),
                    P384 => (curve::P384, 48),
                    P521 => (curve::P521, 66),
                    _ => return Err(CertificateError::PublicKey),
                };
                ec2(alg, crv, length, bits).ok_or(CertificateError::PublicKey)
            }
            RSA_ENCRYPTION => rsa(alg, bits).map_err(|_| CertificateError::PublicKey),
            ED25519 => Ok(CoseKey::Okp {
                alg,
                crv: curve::ED25519,
                x: bits.to_vec(),
            }),
            _ => Err(CertificateError::PublicKey),
        }
    }

    /// The SHA-1 hash of the public key's bits.
    pub(super) fn key_identifier(&self) -> Option<[u8; 20]> {
        let info = self.0.tbs_certificate().subject_public_key_info();
        let bits = info.subject_public_key.as_bytes()?;
        Some(crypto::sha1(bits))
    }

    /// The subject, issuer etc. are not looked at elsewhere; this one is, by the TPM format.
    pub(super) fn subject_alternative_name(&self) -> Option<&[u8]> {
        const SUBJECT_ALTERNATIVE_NAME: ObjectIdentifier =
            ObjectIdentifier::new_unwrap("2.5.29.17");
        self.extension(SUBJECT_ALTERNATIVE_NAME)
            .map(|(value, _)| value)
    }

    /// Whether the extended key usage names a purpose.
    pub(super) fn has_purpose(&self, purpose: ObjectIdentifier) -> bool {
        const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
        self.extension(EXTENDED_KEY_USAGE)
            .and_then(|(value, _)| x509_cert::ext::pkix::ExtendedKeyUsage::from_der(value).ok())
            .is_some_and(|usage| usage.0.contains(&purpose))
    }
}

/// A point in uncompressed form.
fn ec2(alg: CoseAlgorithm, crv: i32, length: usize, bits: &[u8]) -> Option<CoseKey> {
    let (x, y) = bits.strip_prefix(&[4])?.split_at_checked(length)?;
    (y.len() == length).then(|| CoseKey::Ec2 {
        alg,
        crv,
        x: x.to_vec(),
        y: y.to_vec(),
    })
}

/// `RSAPublicKey` of RFC 8017.
fn rsa(alg: CoseAlgorithm, bits: &[u8]) -> Result<CoseKey, der::Error> {
    let mut reader = SliceReader::new(bits)?;
    let (n, e) = reader.sequence(|inner: &mut SliceReader<'_>| {
        Ok::<_, der::Error>((
            UintRef::decode(inner)?.as_bytes().to_vec(),
            UintRef::decode(inner)?.as_bytes().to_vec(),
        ))
    })?;
    reader.finish()?;
    Ok(CoseKey::Rsa { alg, n, e })
}

/// The serial number of an enterprise attestation certificate.
pub(super) fn serial_number(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::parse(der).ok()?;
    let (value, critical) = certificate.extension(SERIAL_NUMBER)?;
    let octets = <&OctetStringRef>::from_der(value).ok()?;
    (!critical).then(|| octets.as_bytes().to_vec())
}
