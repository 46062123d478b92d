//! WebAuthn L3 §8.6 `fido-u2f`.

use webauthn::cose::{CoseAlgorithm, CoseKey, curve};

use super::certificate::Certificate;
use super::statement::Statement;
use super::{AttestationError, AttestationType, CertificateError, Input, Verified};
use crate::crypto;

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    let statement = Statement::read(input.att_stmt, &["sig", "x5c"])?;
    let (sig, x5c) = (statement.sig()?, statement.need_x5c()?);
    let [der] = x5c.as_slice() else {
        return Err(AttestationError::CertificateCount { found: x5c.len() });
    };
    let certificate_key = Certificate::parse(der)?.public_key(CoseAlgorithm::ES256)?;
    if !matches!(
        certificate_key,
        CoseKey::Ec2 {
            crv: curve::P256,
            ..
        }
    ) {
        return Err(CertificateError::PublicKey.into());
    }
    let CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        x,
        y,
        ..
    } = input.key
    else {
        return Err(AttestationError::Algorithm {
            expected: CoseAlgorithm::ES256,
            found: input.key.algorithm(),
        });
    };
    // The raw U2F registration response (FIDO U2F Raw Message Formats §4.3).
    let message = [
        &[0],
        &input.parsed.rp_id_hash[..],
        input.client_data_hash,
        input.credential.credential_id,
        &[4],
        x,
        y,
    ]
    .concat();
    crypto::verify(&certificate_key, &message, sig)?;
    Ok(Verified {
        attestation_type: AttestationType::Basic,
        trust_path: x5c,
        signs_aaguid: false,
    })
}
