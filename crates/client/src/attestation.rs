//! WebAuthn L3 §5.1.3, the step on `attestationConveyancePreferenceOption`, and §5.4.7: what of the
//! attestation reaches the site.

use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{Aaguid, AuthenticatorData};
use webauthn::cbor;
use webauthn::options::AttestationConveyancePreference;

/// Where the AAGUID stands in authenticator data: after hash, flags and counter.
const AAGUID: core::ops::Range<usize> = 37..53;

/// An empty CBOR map.
const NO_STATEMENT: &[u8] = &[0xA0];

/// The attestation object for the site.
///
/// With `none` the model (AAGUID) and the statement are taken away, unless it is a self attestation
/// of a model that does not tell its name: that identifies nobody.
pub(crate) fn convey(
    object: &AttestationObject<'_>,
    preference: AttestationConveyancePreference,
) -> Vec<u8> {
    if preference != AttestationConveyancePreference::None || is_anonymous(object) {
        return object.encode();
    }
    let mut auth_data = object.auth_data.to_vec();
    if let Some(aaguid) = auth_data.get_mut(AAGUID) {
        aaguid.copy_from_slice(&Aaguid::ZERO.0);
    }
    AttestationObject {
        fmt: "none",
        att_stmt: NO_STATEMENT,
        auth_data: &auth_data,
    }
    .encode()
}

fn is_anonymous(object: &AttestationObject<'_>) -> bool {
    let nameless = AuthenticatorData::parse(object.auth_data)
        .ok()
        .and_then(|data| data.attested_credential_data)
        .is_some_and(|attested| attested.aaguid == Aaguid::ZERO);
    let self_signed = || {
        cbor::Value::decode(object.att_stmt)
            .is_ok_and(|statement| statement.get_text("x5c").is_none())
    };
    nameless && object.fmt == "packed" && self_signed()
}
