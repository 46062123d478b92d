//! Attestation statements of new credentials (WebAuthn L3 §6.5, §8.2 packed, §8.7 none).

use ctap::{Raw, Status};
use minicbor::Encoder;
use webauthn::cose::CoseAlgorithm;

use crate::authenticator::Authenticator;
use crate::certificate::{Attester, Subject};
use crate::crypto::{CryptoError, SigningKey};
use crate::profile::{AttestationKind, Members};

/// An attestation statement and its format.
pub(crate) struct Attestation {
    pub(crate) fmt: &'static str,
    pub(crate) att_stmt: Raw,
}

impl Authenticator {
    /// Whether the platform wants none (attestationFormatsPreference, CTAP 2.2).
    pub(crate) fn wants_none(&self, preference: Option<&[String]>) -> bool {
        let preference = preference
            .filter(|_| self.profile.members >= Members::V23)
            .unwrap_or_default();
        // The first format that the key can make counts; "none" can always be made.
        preference
            .iter()
            .find(|format| matches!(format.as_str(), "none" | "packed"))
            .is_some_and(|f| f == "none")
    }

    /// Attests a new credential. `signed` is authenticator data followed by the client data hash.
    pub(crate) fn attest(
        &self,
        none: bool,
        enterprise: bool,
        credential: (CoseAlgorithm, &SigningKey),
        signed: &[u8],
    ) -> Result<Attestation, Status> {
        if enterprise {
            let subject = Subject {
                batch: self.profile.attestation.batch.clone(),
                aaguid: self.profile.aaguid.0,
                serial: Some(self.state.serial()),
            };
            let attester = Attester::new(subject).map_err(|CryptoError| Status::OTHER)?;
            return packed_basic(&attester, signed);
        }
        match self.profile.attestation.kind {
            _ if none => self::none(),
            AttestationKind::None => self::none(),
            AttestationKind::SelfAttestation => packed_self(credential, signed),
            AttestationKind::Basic => packed_basic(&self.attester, signed),
        }
    }
}

fn none() -> Result<Attestation, Status> {
    statement("none", |e| e.map(0).map(drop))
}

/// §8.2, self attestation: signed with the credential's own key.
fn packed_self(
    (algorithm, key): (CoseAlgorithm, &SigningKey),
    signed: &[u8],
) -> Result<Attestation, Status> {
    let signature = key.sign(signed).map_err(|CryptoError| Status::OTHER)?;
    statement("packed", |e| {
        e.map(2)?
            .str("alg")?
            .i32(algorithm.0)?
            .str("sig")?
            .bytes(&signature)
            .map(drop)
    })
}

/// §8.2, with a certificate.
fn packed_basic(attester: &Attester, signed: &[u8]) -> Result<Attestation, Status> {
    let signature = attester.sign(signed).map_err(|CryptoError| Status::OTHER)?;
    let certificate = attester
        .certificate()
        .map_err(|CryptoError| Status::OTHER)?;
    statement("packed", |e| {
        e.map(3)?
            .str("alg")?
            .i32(CoseAlgorithm::ES256.0)?
            .str("sig")?
            .bytes(&signature)?;
        e.str("x5c")?.array(1)?.bytes(certificate).map(drop)
    })
}

fn statement(
    fmt: &'static str,
    write: impl FnOnce(
        &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>>,
) -> Result<Attestation, Status> {
    let mut bytes = Vec::with_capacity(128);
    // Writing to a Vec cannot fail: the result says nothing.
    let _ = write(&mut Encoder::new(&mut bytes));
    Ok(Attestation {
        fmt,
        att_stmt: Raw::new(bytes).map_err(|_| Status::OTHER)?,
    })
}
