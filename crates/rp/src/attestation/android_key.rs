//! WebAuthn L3 §8.4 `android-key`.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Tag, Tagged};

use super::certificate::Certificate;
use super::statement::{Statement, leaf};
use super::{AttestationError, AttestationType, CertificateError, Input, Verified, asn1};
use crate::crypto;

/// The extension with the key description.
const KEY_DESCRIPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.1.17");

/// Tags of `AuthorizationList`.
const PURPOSE: u32 = 1;
const ALL_APPLICATIONS: u32 = 600;
const ORIGIN: u32 = 702;

const KM_PURPOSE_SIGN: u64 = 2;
const KM_ORIGIN_GENERATED: u64 = 0;

pub(super) fn verify(input: &Input<'_>) -> Result<Verified, AttestationError> {
    let statement = Statement::read(input.att_stmt, &["alg", "sig", "x5c"])?;
    let (alg, sig, x5c) = (statement.alg()?, statement.sig()?, statement.need_x5c()?);
    let certificate = Certificate::parse(leaf(&x5c)?)?;
    crypto::verify_as(alg, &certificate.public_key(alg)?, &input.signed(), sig)?;
    if certificate.public_key(input.key.algorithm())? != *input.key {
        return Err(AttestationError::PublicKeyMismatch);
    }
    check_description(&certificate, input.client_data_hash)?;
    Ok(Verified {
        attestation_type: AttestationType::Basic,
        trust_path: x5c,
        signs_aaguid: true,
    })
}

/// `KeyDescription`: version, security level, keymaster version, its security level, challenge,
/// unique ID, what software enforces, what hardware enforces.
fn check_description(certificate: &Certificate, hash: &[u8; 32]) -> Result<(), AttestationError> {
    let malformed = CertificateError::Extension("has no key description, or a malformed one");
    let description = certificate
        .extension(KEY_DESCRIPTION)
        .and_then(|(extension, _)| asn1::value(extension, Tag::Sequence))
        .and_then(asn1::elements)
        .ok_or_else(|| malformed.clone())?;
    let [_, _, _, _, challenge, _, software, hardware, ..] = description.as_slice() else {
        return Err(malformed.into());
    };
    if challenge.tag() != Tag::OctetString || challenge.value() != hash {
        return Err(AttestationError::NotThisCeremony(
            "the attested challenge is another",
        ));
    }
    for list in [software, hardware] {
        let list = authorizations(list).ok_or_else(|| malformed.clone())?;
        check_authorizations(&list)?;
    }
    Ok(())
}

fn authorizations<'a>(list: &AnyRef<'a>) -> Option<Vec<AnyRef<'a>>> {
    if list.tag() == Tag::Sequence {
        asn1::elements(list.value())
    } else {
        None
    }
}

/// What a list says must be acceptable. That neither list says anything passes: the statement of the
/// specification's own test vectors is like that, and what vouches for the key is its trust anchor.
fn check_authorizations(list: &[AnyRef<'_>]) -> Result<(), AttestationError> {
    if asn1::tagged(list, ALL_APPLICATIONS).is_some() {
        return Err(AttestationError::Claim(
            "the key may be used by all applications",
        ));
    }
    if let Some(origin) = asn1::tagged(list, ORIGIN) {
        let origin = asn1::elements(origin);
        let origin = origin
            .as_deref()
            .and_then(<[_]>::first)
            .and_then(asn1::integer);
        if origin != Some(KM_ORIGIN_GENERATED) {
            return Err(AttestationError::Claim(
                "the key was not generated in the key store",
            ));
        }
    }
    if let Some(purpose) = asn1::tagged(list, PURPOSE) {
        let purposes = asn1::value(purpose, Tag::Set)
            .and_then(asn1::elements)
            .unwrap_or_default();
        let signs = |any: &AnyRef<'_>| asn1::integer(any) == Some(KM_PURPOSE_SIGN);
        if purposes.is_empty() || !purposes.iter().all(signs) {
            return Err(AttestationError::Claim("the key is not for signing alone"));
        }
    }
    Ok(())
}
