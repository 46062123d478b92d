//! A signature in the parts that OpenSSH puts together again.

use ctap::get_assertion;
use webauthn::authenticator_data::AuthenticatorData;

use super::{Sign, sha256};
use crate::api::{Algorithm, Fault, flag};

/// `struct sk_sign_response`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// The flags of the authenticator data.
    pub flags: u8,
    /// The signature counter.
    pub counter: u32,
    /// r of ECDSA, or the whole signature of Ed25519.
    pub r: Vec<u8>,
    /// s of ECDSA.
    pub s: Vec<u8>,
}

pub(super) fn read(
    request: &Sign<'_>,
    response: &get_assertion::Response,
) -> Result<Signature, Fault> {
    let bad = |what: &str| Fault::General(format!("the key's answer cannot be used: {what}"));
    let data = AuthenticatorData::parse(&response.auth_data).map_err(|e| bad(&e.to_string()))?;
    if *data.rp_id_hash != sha256(request.application.as_bytes()) {
        return Err(bad("it is for another application"));
    }
    // sshd signs over the flags and the counter alone: extension data would make it refuse.
    if data.extensions.is_some() || data.attested_credential_data.is_some() {
        return Err(bad("it signs more than SSH knows"));
    }
    if request.flags & flag::USER_VERIFICATION != 0 && !data.flags.user_verified() {
        return Err(bad("the key did not verify its user"));
    }
    let (r, s) = match request.algorithm {
        Algorithm::Ed25519 if response.signature.len() == 64 => {
            (response.signature.clone(), Vec::new())
        }
        Algorithm::Ed25519 => return Err(bad("its signature has a wrong length")),
        Algorithm::Ecdsa => {
            ecdsa(&response.signature).ok_or_else(|| bad("its signature is malformed"))?
        }
    };
    Ok(Signature {
        flags: data.flags.0,
        counter: data.sign_count,
        r,
        s,
    })
}

/// r and s of an `Ecdsa-Sig-Value` (RFC 3279 §2.2.3) in DER, without leading zeros.
fn ecdsa(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    // Two integers of P-256 never need the long form of a length.
    let (sequence, after) = element(0x30, der)?;
    let (r, rest) = element(0x02, sequence)?;
    let (s, end) = element(0x02, rest)?;
    (after.is_empty() && end.is_empty()).then(|| (magnitude(r), magnitude(s)))
}

fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&its, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    (its == tag && (1..0x80).contains(&length))
        .then(|| rest.split_at_checked(length.into()))
        .flatten()
}

fn magnitude(integer: &[u8]) -> Vec<u8> {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    integer.get(zeros..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn r_and_s_come_without_padding() {
        let der = [0x30, 7, 0x02, 2, 0x00, 0x81, 0x02, 1, 0x07];
        assert_eq!(ecdsa(&der).unwrap(), (vec![0x81], vec![7]));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let der = [0x30, 7, 0x02, 2, 0x00, 0x81, 0x02, 1, 0x07];
        for cut in 0..der.len() {
            assert_eq!(ecdsa(&der[..cut]), None, "{cut}");
        }
        assert_eq!(ecdsa(&[&der[..], &[0]].concat()), None);
        assert_eq!(ecdsa(&[0x30, 0x80, 0x02, 1, 1, 0x02, 1, 1, 0, 0]), None);
        assert_eq!(ecdsa(&[0x30, 9, 0x02, 1, 1, 0x02, 1, 1, 0x02, 1, 1]), None);
    }
}
