//! WebAuthn L3 §8.8 `apple`: a certificate for the credential's key that holds the nonce.

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Tag, TagNumber};

use super::certificate::Certificate;
use super::statement::{Statement, leaf};
use super::{AttestationError, AttestationType, CertificateError, Input, Verified, asn1};
use crate::crypto;

/// The extension that holds the nonce.
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113635.100.8.2");

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    // Apple's statements have carried `alg`, which the text does not define, and still do.
    let statement = Statement::read(input.att_stmt, &["alg", "x5c"])?;
    let x5c = statement.need_x5c()?;
    let certificate = Certificate::parse(leaf(&x5c)?)?;
    let nonce = crypto::sha256(&[input.auth_data, input.client_data_hash]);
    if certified_nonce(&certificate)? != nonce {
        return Err(AttestationError::NotThisCeremony(
            "the certified nonce is another",
        ));
    }
    if certificate.public_key(input.key.algorithm())? != *input.key {
        return Err(AttestationError::PublicKeyMismatch);
    }
    Ok(Verified {
        attestation_type: AttestationType::AnonymizationCa,
        trust_path: x5c,
        signs_aaguid: true,
    })
}

/// `SEQUENCE { [1] EXPLICIT OCTET STRING }`
fn certified_nonce(certificate: &Certificate) -> Result<&[u8], CertificateError> {
    let malformed = CertificateError::Extension("has no nonce, or a malformed one");
    certificate
        .extension(NONCE)
        .and_then(|(extension, _)| asn1::value(extension, Tag::Sequence))
        .and_then(|sequence| asn1::value(sequence, TagNumber(1).context_specific(true)))
        .and_then(|tagged| asn1::value(tagged, Tag::OctetString))
        .ok_or(malformed)
}
