//! Attestation statements of new credentials (WebAuthn L3 §6.5, §8.2 packed, §8.6 fido-u2f,
//! §8.7 none).

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

/// A format that this key can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    None,
    Packed,
    FidoU2f,
}

/// The new credential.
pub(crate) struct Attested<'a> {
    pub(crate) rp_id_hash: &'a [u8; 32],
    pub(crate) client_data_hash: &'a [u8; 32],
    pub(crate) id: &'a [u8],
    pub(crate) key: (CoseAlgorithm, &'a SigningKey),
    /// Authenticator data followed by the client data hash.
    pub(crate) signed: &'a [u8],
}

impl Authenticator {
    /// The formats that the key lists in getInfo: "none" is always understood and must not be listed.
    pub(crate) fn attestation_formats(&self) -> Vec<String> {
        let attestation = &self.profile.attestation;
        let mut formats = Vec::new();
        if attestation.kind != AttestationKind::None {
            formats.push("packed".to_owned());
        }
        if attestation.fido_u2f {
            formats.push("fido-u2f".to_owned());
        }
        formats
    }

    /// The format for a new credential: the first of attestationFormatsPreference (CTAP 2.2) that the
    /// key can make, else its own.
    pub(crate) fn attestation_format(
        &self,
        preference: Option<&[String]>,
        algorithm: CoseAlgorithm,
    ) -> Format {
        let attestation = &self.profile.attestation;
        let preference = preference
            .filter(|_| self.profile.members >= Members::V23)
            .unwrap_or_default();
        let own = match attestation.kind {
            AttestationKind::None => Format::None,
            AttestationKind::SelfAttestation | AttestationKind::Basic => Format::Packed,
        };
        let makes = |name: &String| match name.as_str() {
            "none" => Some(Format::None),
            "packed" if own == Format::Packed => Some(Format::Packed),
            // §8.6 knows one algorithm.
            "fido-u2f" if attestation.fido_u2f && algorithm == CoseAlgorithm::ES256 => {
                Some(Format::FidoU2f)
            }
            _ => None,
        };
        preference.iter().find_map(makes).unwrap_or(own)
    }

    /// Attests a new credential.
    pub(crate) fn attest(
        &self,
        format: Format,
        enterprise: bool,
        new: &Attested<'_>,
    ) -> Result<Attestation, Status> {
        if enterprise {
            let subject = Subject {
                batch: self.profile.attestation.batch.clone(),
                aaguid: self.profile.aaguid.0,
                serial: Some(self.state.serial()),
            };
            let attester = Attester::new(subject).map_err(|CryptoError| Status::OTHER)?;
            return packed_basic(&attester, new.signed);
        }
        match (format, self.profile.attestation.kind) {
            (Format::None, _) | (_, AttestationKind::None) => none(),
            (Format::FidoU2f, _) => fido_u2f(&self.attester, new),
            (Format::Packed, AttestationKind::SelfAttestation) => packed_self(new.key, new.signed),
            (Format::Packed, AttestationKind::Basic) => packed_basic(&self.attester, new.signed),
        }
    }
}

/// §8.6: what U2F signs at a registration, and the certificate.
fn fido_u2f(attester: &Attester, new: &Attested<'_>) -> Result<Attestation, Status> {
    let public_key = crate::u2f::point(&new.key.1.public_key()).ok_or(Status::OTHER)?;
    let signed =
        ctap::u2f::register_signed_data(new.rp_id_hash, new.client_data_hash, new.id, &public_key);
    let signature = attester
        .sign(&signed)
        .map_err(|CryptoError| Status::OTHER)?;
    let certificate = attester
        .certificate()
        .map_err(|CryptoError| Status::OTHER)?;
    statement("fido-u2f", |e| {
        e.map(2)?.str("sig")?.bytes(&signature)?;
        e.str("x5c")?.array(1)?.bytes(certificate).map(drop)
    })
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
