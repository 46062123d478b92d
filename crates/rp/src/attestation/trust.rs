//! WebAuthn L3 §7.1, assessing the trustworthiness of an attestation: certificate paths (RFC 5280)
//! by rustls-webpki, with trust anchors that the caller gives.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webauthn::authenticator_data::Aaguid;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};

use super::Trust;
use super::certificate::Certificate;
use crate::crypto;
use crate::metadata::{Entry, Metadata};

/// A certificate that cannot be a trust anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trust anchor number {index} cannot be read: {reason}")]
pub struct TrustAnchorsError {
    /// Which one, from 0.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// The certificates in which attestation may end. Empty: no certificate is trusted.
///
/// Those that are given here are trusted for every model; those of [`Metadata`], each for the model
/// that it is given for.
#[derive(Debug, Clone, Default)]
pub struct TrustAnchors {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    metadata: Option<Arc<Metadata>>,
}

impl TrustAnchors {
    /// No trust anchor.
    pub const fn none() -> Self {
        Self {
            certificates: Vec::new(),
            anchors: Vec::new(),
            metadata: None,
        }
    }

    /// Trusts the anchors of metadata too, for the models that it names.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Arc<Metadata>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// The metadata.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_deref()
    }

    /// How many certificates are trusted for every model.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether no certificate is trusted for every model.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Trust anchors from certificates in DER: roots, or attestation certificates themselves.
    ///
    /// # Errors
    /// [`TrustAnchorsError`] names the first that cannot be read.
    pub fn from_der(
        certificates: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Self, TrustAnchorsError> {
        let mut result = Self::none();
        for (index, der) in certificates.into_iter().enumerate() {
            result.add(der).map_err(|error| TrustAnchorsError {
                index,
                reason: error.to_string(),
            })?;
        }
        Ok(result)
    }

    pub(crate) fn add(&mut self, der: Vec<u8>) -> Result<(), webpki::Error> {
        let certificate = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&certificate)?.to_owned();
        self.anchors.push(anchor);
        self.certificates.push(certificate);
        Ok(())
    }

    /// What the metadata knows of an authenticator: by its model if it signs that and has one (U2F
    /// authenticators have none), or by the keys of its certificates.
    pub(super) fn entry(&self, signed: Option<Aaguid>, keys: &[[u8; 20]]) -> Option<&Entry> {
        let metadata = self.metadata.as_deref()?;
        match signed.filter(|aaguid| *aaguid != Aaguid::ZERO) {
            Some(aaguid) => metadata.by_aaguid(aaguid),
            None => keys.iter().find_map(|id| metadata.by_key_identifier(id)),
        }
    }

    /// Whether a path, leaf first, leads to an anchor: one of these, or one of the model.
    pub(super) fn assess(&self, path: &[Vec<u8>], model: Option<&Entry>, now_unix: u64) -> Trust {
        let Some((leaf, intermediates)) = path.split_first() else {
            return Trust::Untrusted("there is no certificate".to_owned());
        };
        let sets = [Some(self), model.map(Entry::anchors)];
        let mut reason = match (&self.metadata, model) {
            (Some(_), None) => "the metadata does not know the model",
            _ => "no trust anchors are configured",
        }
        .to_owned();
        for anchors in sets.into_iter().flatten().filter(|set| !set.is_empty()) {
            // The attestation certificate may be acceptable by itself.
            let is_leaf = |anchor: &CertificateDer<'_>| anchor.as_ref() == leaf.as_slice();
            if anchors.certificates.iter().any(is_leaf) {
                return Trust::Trusted;
            }
            match anchors.verify_path(leaf, intermediates, now_unix) {
                Ok(()) => return Trust::Trusted,
                Err(error) => reason = error.to_string(),
            }
        }
        Trust::Untrusted(reason)
    }

    /// The path, leaf first, by RFC 5280.
    pub(crate) fn verify_path(
        &self,
        leaf: &[u8],
        intermediates: &[Vec<u8>],
        now_unix: u64,
    ) -> Result<(), webpki::Error> {
        let leaf = CertificateDer::from(leaf);
        let intermediates: Vec<CertificateDer<'_>> = intermediates
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let now = UnixTime::since_unix_epoch(core::time::Duration::from_secs(now_unix));
        EndEntityCert::try_from(&leaf)?.verify_for_usage(
            crypto::PATH_ALGORITHMS,
            &self.anchors,
            &intermediates,
            now,
            AnyUsage,
            None,
            None,
        )?;
        Ok(())
    }
}

/// The SHA-1 hashes of the public keys of certificates, as RFC 5280 §4.2.1.2 (1) identifies keys.
pub(super) fn key_identifiers(path: &[Vec<u8>]) -> Vec<[u8; 20]> {
    path.iter()
        .filter_map(|der| Certificate::parse(der).ok()?.key_identifier())
        .collect()
}

/// Attestation certificates have no extended key usage in common: each format checks its own.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
