//! WebAuthn L3 §8.7 `none`.

use super::{AttestationError, AttestationType, Input, Verified};

/// The empty map.
const EMPTY: &[u8] = &[0xa0];

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    if input.att_stmt != EMPTY {
        return Err(AttestationError::NotEmpty);
    }
    Ok(Verified {
        attestation_type: AttestationType::None,
        trust_path: Vec::new(),
        signs_aaguid: false,
    })
}
