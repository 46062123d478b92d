//! RFC 7515 JSON Web Signature in compact form, as far as FIDO MDS 3 §3.1.6 uses it: one signature by
//! the key of a certificate that the header carries, with its path.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use webauthn::base64url;
use webauthn::cose::CoseAlgorithm;

use super::MetadataError;
use crate::attestation::{Certificate, TrustAnchors};
use crate::crypto;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    x5c: Vec<String>,
    x5u: Option<String>,
    crit: Option<serde_json::Value>,
}

/// The payload, once the signature and the path of the signer are verified.
pub(super) fn open(
    text: &[u8],
    anchors: &TrustAnchors,
    signer: &str,
    now_unix: u64,
) -> Result<Vec<u8>, MetadataError> {
    let text = text.trim_ascii();
    let syntax = MetadataError::Syntax;
    let mut parts = text.split(|byte| *byte == b'.');
    let (Some(header), Some(payload), Some(sig), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(syntax("it has not three parts"));
    };
    let decode = |part: &[u8], what| base64url::decode(part).map_err(|_| syntax(what));
    let signed = &text[..header.len() + 1 + payload.len()];
    let header: Header = serde_json::from_slice(&decode(header, "its header is not base64url")?)
        .map_err(|_| syntax("its header is not of a signature"))?;
    let payload = decode(payload, "its payload is not base64url")?;
    let sig = decode(sig, "its signature is not base64url")?;

    let path = path(&header)?;
    let (leaf, intermediates) = path
        .split_first()
        .ok_or(syntax("its header has no certificate"))?;
    check_path(leaf, intermediates, anchors, signer, now_unix)?;
    let alg = algorithm(&header.alg)?;
    let key = Certificate::parse(leaf)
        .and_then(|certificate| certificate.public_key(alg))
        .map_err(|error| MetadataError::Signer(error.to_string()))?;
    crypto::verify_jws(&key, signed, &sig).map_err(|_| MetadataError::Signature)?;
    Ok(payload)
}

fn path(header: &Header) -> Result<Vec<Vec<u8>>, MetadataError> {
    if header.crit.is_some() {
        return Err(MetadataError::Syntax("its header has critical extensions"));
    }
    if header.x5c.is_empty() && header.x5u.is_some() {
        return Err(MetadataError::Syntax(
            "its certificates are elsewhere (x5u), and nothing is fetched here",
        ));
    }
    let decode = |text: &String| STANDARD.decode(text);
    header
        .x5c
        .iter()
        .map(decode)
        .collect::<Result<_, _>>()
        .map_err(|_| MetadataError::Syntax("a certificate in its header is not base64"))
}

fn check_path(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    anchors: &TrustAnchors,
    signer: &str,
    now_unix: u64,
) -> Result<(), MetadataError> {
    let error = |error: webpki::Error| MetadataError::Signer(error.to_string());
    anchors
        .verify_path(leaf, intermediates, now_unix)
        .map_err(error)?;
    // The root signs for anybody: that the path leads there says nothing of who signed.
    let name = ServerName::try_from(signer)
        .map_err(|_| MetadataError::Signer(format!("`{signer}` is no host name")))?;
    let der = CertificateDer::from(leaf);
    webpki::EndEntityCert::try_from(&der)
        .and_then(|certificate| certificate.verify_is_valid_for_subject_name(&name))
        .map_err(error)
}

fn algorithm(name: &str) -> Result<CoseAlgorithm, MetadataError> {
    Ok(match name {
        "RS256" => CoseAlgorithm::RS256,
        "RS384" => CoseAlgorithm::RS384,
        "RS512" => CoseAlgorithm::RS512,
        "PS256" => CoseAlgorithm::PS256,
        "PS384" => CoseAlgorithm::PS384,
        "PS512" => CoseAlgorithm::PS512,
        "ES256" => CoseAlgorithm::ES256,
        "ES384" => CoseAlgorithm::ES384,
        "ES512" => CoseAlgorithm::ES512,
        _ => return Err(MetadataError::Algorithm(name.to_owned())),
    })
}
