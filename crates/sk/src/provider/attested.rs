//! What OpenSSH keeps of a registration: the public key, the credential ID, and the attestation.

use ctap::cbor::Value;
use ctap::make_credential;
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};

use super::{Enroll, cose, sha256};
use crate::api::{Algorithm, Fault, flag};

/// `struct sk_enroll_response`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enrolled {
    /// The flags of the key.
    pub flags: u8,
    /// 32 bytes of Ed25519, or an uncompressed point of P-256.
    pub public_key: Vec<u8>,
    /// The credential ID.
    pub key_handle: Vec<u8>,
    /// The signature of the attestation, where there is one.
    pub signature: Vec<u8>,
    /// The attestation certificate; empty for self attestation.
    pub attestation_cert: Vec<u8>,
    /// The authenticator data as one CBOR byte string (PROTOCOL.u2f, "ssh-sk-attest-v01").
    pub authdata: Vec<u8>,
}

pub(super) fn read(
    request: &Enroll<'_>,
    response: &make_credential::Response,
) -> Result<Enrolled, Fault> {
    let bad = |what: &str| Fault::General(format!("the key's answer cannot be used: {what}"));
    let data = AuthenticatorData::parse(&response.auth_data).map_err(|e| bad(&e.to_string()))?;
    if *data.rp_id_hash != sha256(request.application.as_bytes()) {
        return Err(bad("it is for another application"));
    }
    if !data.flags.user_present() {
        return Err(bad("nobody touched the key"));
    }
    if request.flags & flag::USER_VERIFICATION != 0 && !data.flags.user_verified() {
        return Err(bad("the key did not verify its user"));
    }
    let attested = data
        .attested_credential_data
        .as_ref()
        .ok_or_else(|| bad("it has no credential"))?;
    let key = attested.public_key().map_err(|e| bad(&e.to_string()))?;
    if key.algorithm() != cose(request.algorithm) {
        return Err(bad("its public key is of another type"));
    }
    let (_, public_key) = public_key(&key).ok_or_else(|| bad("its public key is no SSH key"))?;
    let (signature, attestation_cert) = statement(response);
    Ok(Enrolled {
        flags: request.flags,
        public_key,
        key_handle: attested.credential_id.to_vec(),
        signature,
        attestation_cert,
        authdata: Value::Bytes(response.auth_data.clone()).encode(),
    })
}

/// The public key as OpenSSH has it, with its type; `None` for types that it does not know.
pub(super) fn public_key(key: &CoseKey) -> Option<(Algorithm, Vec<u8>)> {
    match key {
        CoseKey::Okp { alg, crv, x } if *alg == CoseAlgorithm::EDDSA && *crv == curve::ED25519 => {
            Some((Algorithm::Ed25519, x.clone()))
        }
        CoseKey::Ec2 { alg, crv, x, y } if *alg == CoseAlgorithm::ES256 && *crv == curve::P256 => {
            // SEC 1 §2.3.3: uncompressed.
            Some((Algorithm::Ecdsa, [&[4], &x[..], &y[..]].concat()))
        }
        _ => None,
    }
}

/// The signature and the first certificate of an attestation statement (WebAuthn L3 §8.2, §8.6).
fn statement(response: &make_credential::Response) -> (Vec<u8>, Vec<u8>) {
    let Some(statement) = &response.att_stmt else {
        return Default::default();
    };
    let Ok(statement) = Value::decode(statement.as_bytes()) else {
        return Default::default();
    };
    let bytes = |value: Option<&Value>| match value {
        Some(Value::Bytes(bytes)) => bytes.clone(),
        _ => Vec::new(),
    };
    let first = match statement.get_text("x5c") {
        Some(Value::Array(chain)) => bytes(chain.first()),
        _ => Vec::new(),
    };
    (bytes(statement.get_text("sig")), first)
}
