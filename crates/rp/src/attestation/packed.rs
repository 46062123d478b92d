//! WebAuthn L3 §8.2 `packed`.

use super::certificate::Certificate;
use super::statement::{Statement, leaf};
use super::{AttestationError, AttestationType, CertificateError, Input, Verified};
use crate::crypto;

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    let statement = Statement::read(input.att_stmt, &["alg", "sig", "x5c"])?;
    let (alg, sig) = (statement.alg()?, statement.sig()?);
    let Some(x5c) = statement.x5c()? else {
        return verify_self(input, alg, sig);
    };
    let certificate = Certificate::parse(leaf(&x5c)?)?;
    crypto::verify_as(alg, &certificate.public_key(alg)?, &input.signed(), sig)?;
    check_certificate(&certificate)?;
    certificate.check_aaguid(input.credential.aaguid)?;
    Ok(Verified {
        attestation_type: AttestationType::Basic,
        trust_path: x5c,
        signs_aaguid: true,
    })
}

fn verify_self(
    input: &Input<'_>,
    alg: webauthn::cose::CoseAlgorithm,
    sig: &[u8],
) -> Result<Verified, AttestationError> {
    let expected = input.key.algorithm();
    if alg != expected {
        return Err(AttestationError::Algorithm {
            expected,
            found: alg,
        });
    }
    crypto::verify(input.key, &input.signed(), sig)?;
    Ok(Verified {
        attestation_type: AttestationType::SelfAttestation,
        trust_path: Vec::new(),
        signs_aaguid: true,
    })
}

/// §8.2.1 certificate requirements.
pub(super) fn check_certificate(certificate: &Certificate) -> Result<(), CertificateError> {
    certificate.check_version_3()?;
    let subject = certificate.subject();
    let country = subject.country.as_deref().unwrap_or_default();
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(CertificateError::Subject(
            "has no ISO 3166 country in its subject",
        ));
    }
    if subject.organization.is_none() {
        return Err(CertificateError::Subject(
            "has no organization in its subject",
        ));
    }
    if subject.organizational_unit.as_deref() != Some("Authenticator Attestation") {
        return Err(CertificateError::Subject(
            "has no organizational unit \"Authenticator Attestation\" in its subject",
        ));
    }
    if subject.common_name.is_none() {
        return Err(CertificateError::Subject(
            "has no common name in its subject",
        ));
    }
    certificate.check_not_ca()
}
