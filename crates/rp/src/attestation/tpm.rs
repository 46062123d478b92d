//! WebAuthn L3 §8.3 `tpm`, with structures of TPM 2.0 Part 2.

use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::certificate::Certificate;
use super::statement::{Statement, leaf};
use super::{AttestationError, AttestationType, CertificateError, Input, Verified};
use crate::crypto;

const TPM_GENERATED_VALUE: u32 = 0xff54_4347;
const TPM_ST_ATTEST_CERTIFY: u16 = 0x8017;

const TPM_ALG_RSA: u16 = 0x0001;
const TPM_ALG_SHA1: u16 = 0x0004;
const TPM_ALG_SHA256: u16 = 0x000b;
const TPM_ALG_SHA384: u16 = 0x000c;
const TPM_ALG_SHA512: u16 = 0x000d;
const TPM_ALG_NULL: u16 = 0x0010;
const TPM_ALG_RSAES: u16 = 0x0015;
const TPM_ALG_ECDAA: u16 = 0x001a;
const TPM_ALG_ECC: u16 = 0x0023;

/// `tcg-kp-AIKCertificate`
const AIK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.3");
/// Manufacturer, model and version of a TPM.
const TPM_ATTRIBUTES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.23.133.2.1"),
    ObjectIdentifier::new_unwrap("2.23.133.2.2"),
    ObjectIdentifier::new_unwrap("2.23.133.2.3"),
];

const BAD_PUB_AREA: AttestationError = AttestationError::Syntax("`pubArea` is malformed");
const BAD_CERT_INFO: AttestationError = AttestationError::Syntax("`certInfo` is malformed");

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    let members = ["ver", "alg", "x5c", "sig", "certInfo", "pubArea"];
    let statement = Statement::read(input.att_stmt, &members)?;
    if statement.text("ver") != Some("2.0") {
        return Err(AttestationError::Syntax("`ver` is not \"2.0\""));
    }
    let (alg, sig, x5c) = (statement.alg()?, statement.sig()?, statement.need_x5c()?);
    let pub_area = statement.bytes("pubArea", "`pubArea` is missing or not a byte string")?;
    let cert_info = statement.bytes("certInfo", "`certInfo` is missing or not a byte string")?;

    let public = Public::read(pub_area).ok_or(BAD_PUB_AREA)?;
    if !public.is(input.key) {
        return Err(AttestationError::PublicKeyMismatch);
    }
    let certificate = Certificate::parse(leaf(&x5c)?)?;
    check_certificate(&certificate)?;
    certificate.check_aaguid(input.credential.aaguid)?;
    crypto::verify_as(alg, &certificate.public_key(alg)?, cert_info, sig)?;
    check_cert_info(input, alg, cert_info, pub_area, public.name_alg)?;
    Ok(Verified {
        attestation_type: AttestationType::AttestationCa,
        trust_path: x5c,
        signs_aaguid: true,
    })
}

/// §8.3.1 certificate requirements.
pub(super) fn check_certificate(certificate: &Certificate) -> Result<(), CertificateError> {
    certificate.check_version_3()?;
    if !certificate.subject().is_empty {
        return Err(CertificateError::Subject(
            "has a subject, which should be empty",
        ));
    }
    if !names_a_tpm(certificate) {
        return Err(CertificateError::Extension(
            "does not name manufacturer, model and version of a TPM",
        ));
    }
    if !certificate.has_purpose(AIK_CERTIFICATE) {
        return Err(CertificateError::Extension(
            "is not for an attestation identity key",
        ));
    }
    certificate.check_not_ca()
}

/// The subject alternative name must tell manufacturer, model and version. *Which* manufacturer is
/// left to the trust anchors.
fn names_a_tpm(certificate: &Certificate) -> bool {
    let names = certificate
        .subject_alternative_name()
        .and_then(|value| SubjectAltName::from_der(value).ok())
        .map(|names| names.0)
        .unwrap_or_default();
    let told: Vec<ObjectIdentifier> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DirectoryName(name) => Some(name.iter().map(|attribute| attribute.oid)),
            _ => None,
        })
        .flatten()
        .collect();
    TPM_ATTRIBUTES
        .iter()
        .all(|attribute| told.contains(attribute))
}

/// `TPMS_ATTEST` with `TPMS_CERTIFY_INFO`.
fn check_cert_info(
    input: &Input<'_>,
    alg: CoseAlgorithm,
    cert_info: &[u8],
    pub_area: &[u8],
    name_alg: u16,
) -> Result<(), AttestationError> {
    let mut reader = TpmReader(cert_info);
    let (magic, kind) = (
        reader.u32().ok_or(BAD_CERT_INFO)?,
        reader.u16().ok_or(BAD_CERT_INFO)?,
    );
    if magic != TPM_GENERATED_VALUE {
        return Err(AttestationError::Claim(
            "`certInfo` was not made by a TPM (magic)",
        ));
    }
    if kind != TPM_ST_ATTEST_CERTIFY {
        return Err(AttestationError::Claim(
            "`certInfo` does not certify an object (type)",
        ));
    }
    let mut rest = || {
        let _qualified_signer = reader.sized()?;
        let extra_data = reader.sized()?;
        // Clock, reset count, restart count, safe; firmware version.
        reader.take(17 + 8)?;
        let name = reader.sized()?;
        let _qualified_name = reader.sized()?;
        reader.0.is_empty().then_some((extra_data, name))
    };
    let (extra_data, name) = rest().ok_or(BAD_CERT_INFO)?;
    let unsupported = AttestationError::Claim("a hash algorithm of the TPM is not supported");
    let expected = crypto::hash_of(alg, &[input.auth_data, input.client_data_hash])
        .ok_or_else(|| unsupported.clone())?;
    if extra_data != expected {
        return Err(AttestationError::NotThisCeremony("`extraData` is another"));
    }
    let digest = name_hash(name_alg, pub_area).ok_or(unsupported)?;
    if name != [&name_alg.to_be_bytes(), &digest[..]].concat() {
        return Err(AttestationError::Claim(
            "`certInfo` certifies another object (name)",
        ));
    }
    Ok(())
}

fn name_hash(name_alg: u16, pub_area: &[u8]) -> Option<Vec<u8>> {
    let same_hash = match name_alg {
        TPM_ALG_SHA1 => CoseAlgorithm::RS1,
        TPM_ALG_SHA256 => CoseAlgorithm::RS256,
        TPM_ALG_SHA384 => CoseAlgorithm::RS384,
        TPM_ALG_SHA512 => CoseAlgorithm::RS512,
        _ => return None,
    };
    crypto::hash_of(same_hash, &[pub_area])
}

/// Part 2 §12.2.4 `TPMT_PUBLIC`, as far as it tells the key.
struct Public<'a> {
    name_alg: u16,
    key: PublicKey<'a>,
}

enum PublicKey<'a> {
    Rsa { exponent: u32, modulus: &'a [u8] },
    Ecc { crv: i32, x: &'a [u8], y: &'a [u8] },
}

impl<'a> Public<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = TpmReader(bytes);
        let (kind, name_alg) = (reader.u16()?, reader.u16()?);
        let _object_attributes = reader.u32()?;
        let _auth_policy = reader.sized()?;
        reader.symmetric()?;
        reader.scheme()?;
        let key = match kind {
            TPM_ALG_RSA => {
                let _key_bits = reader.u16()?;
                // Zero stands for the usual exponent.
                let exponent = Some(reader.u32()?).filter(|e| *e != 0).unwrap_or(65537);
                PublicKey::Rsa {
                    exponent,
                    modulus: reader.sized()?,
                }
            }
            TPM_ALG_ECC => {
                let crv = match reader.u16()? {
                    0x0003 => curve::P256,
                    0x0004 => curve::P384,
                    0x0005 => curve::P521,
                    _ => return None,
                };
                reader.scheme()?; // of key derivation
                PublicKey::Ecc {
                    crv,
                    x: reader.sized()?,
                    y: reader.sized()?,
                }
            }
            _ => return None,
        };
        reader.0.is_empty().then_some(Self { name_alg, key })
    }

    /// Whether this is a credential's key. The TPM may leave out leading zeros.
    fn is(&self, key: &CoseKey) -> bool {
        let same = |a: &[u8], b: &[u8]| strip_zeros(a) == strip_zeros(b);
        match (&self.key, key) {
            (PublicKey::Rsa { exponent, modulus }, CoseKey::Rsa { n, e, .. }) => {
                same(modulus, n) && same(&exponent.to_be_bytes(), e)
            }
            (
                PublicKey::Ecc { crv, x, y },
                CoseKey::Ec2 {
                    crv: c,
                    x: cx,
                    y: cy,
                    ..
                },
            ) => crv == c && same(x, cx) && same(y, cy),
            _ => false,
        }
    }
}

fn strip_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Reads big-endian TPM structures.
struct TpmReader<'a>(&'a [u8]);

impl<'a> TpmReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// `TPM2B_*`: a length and that many bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// `TPMT_SYM_DEF_OBJECT`: an algorithm and, unless it is null, key bits and mode.
    fn symmetric(&mut self) -> Option<()> {
        if self.u16()? != TPM_ALG_NULL {
            self.take(4)?;
        }
        Some(())
    }

    /// `TPMT_*_SCHEME`: an algorithm and, unless it is null or RSAES, a hash; ECDAA counts too.
    fn scheme(&mut self) -> Option<()> {
        let parameters = match self.u16()? {
            TPM_ALG_NULL | TPM_ALG_RSAES => 0,
            TPM_ALG_ECDAA => 4,
            _ => 2,
        };
        self.take(parameters).map(drop)
    }
}
