//! WebAuthn L3 §7.1, assessing the trustworthiness of an attestation: certificate paths (RFC 5280)
//! by rustls-webpki, with trust anchors that the caller gives.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};

use super::Trust;
use crate::crypto;

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
#[derive(Debug, Clone, Default)]
pub struct TrustAnchors {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl TrustAnchors {
    /// No trust anchor.
    pub const fn none() -> Self {
        Self {
            certificates: Vec::new(),
            anchors: Vec::new(),
        }
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
            let certificate = CertificateDer::from(der);
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|error| TrustAnchorsError {
                    index,
                    reason: error.to_string(),
                })?
                .to_owned();
            result.anchors.push(anchor);
            result.certificates.push(certificate);
        }
        Ok(result)
    }

    /// Whether a path, leaf first, leads to an anchor.
    pub(super) fn assess(&self, path: &[Vec<u8>], now_unix: u64) -> Trust {
        let Some((leaf, intermediates)) = path.split_first() else {
            return Trust::Untrusted("there is no certificate".to_owned());
        };
        if self.certificates.is_empty() {
            return Trust::Untrusted("no trust anchors are configured".to_owned());
        }
        // The attestation certificate may be acceptable by itself.
        if self
            .certificates
            .iter()
            .any(|certificate| certificate.as_ref() == leaf.as_slice())
        {
            return Trust::Trusted;
        }
        match self.verify_path(leaf, intermediates, now_unix) {
            Ok(()) => Trust::Trusted,
            Err(error) => Trust::Untrusted(error.to_string()),
        }
    }

    fn verify_path(
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

/// Attestation certificates have no extended key usage in common: each format checks its own.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
