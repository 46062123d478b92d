//! CTAP 2.3 §12.4 largeBlob: one blob for each discoverable credential, kept by the key itself.
//!
//! The shapes of inputs and outputs are known; what follows where the text was not at hand is ours, on
//! the careful side: a blob is written only with a touch, by a verified user where the key is protected,
//! and only when no other credential could have been meant. Otherwise the answer is that it was not
//! written.

use ctap::large_blob::{Input, Output, PREFERRED, REQUIRED, Support, UnsignedOutputs};
use ctap::{RawOf, SecretBytes, Status};
use zeroize::Zeroizing;

use crate::authenticator::Authenticator;
use crate::credential::CredentialSource;
use crate::presence::{UserPresent, UserVerified};
use crate::profile::Extension;
use crate::state::{Change, LargeBlob};

/// What a getAssertion wants of the blob.
pub(crate) enum LargeBlobWish {
    Read,
    Write(LargeBlob),
}

/// Under which circumstances a credential signs.
pub(crate) struct Circumstances {
    pub(crate) present: Option<UserPresent>,
    pub(crate) verified: Option<UserVerified>,
    /// Whether no other credential could have signed.
    pub(crate) sole: bool,
}

fn unsigned(output: Output) -> RawOf<UnsignedOutputs> {
    let large_blob = Some(output);
    (&UnsignedOutputs { large_blob }).into()
}

/// The output for a new credential.
pub(crate) fn supported(discoverable: bool) -> RawOf<UnsignedOutputs> {
    unsigned(Output {
        supported: Some(discoverable),
        ..Output::default()
    })
}

impl Authenticator {
    /// Reads the input of makeCredential: whether there is to be an output.
    pub(crate) fn wants_large_blob(
        &self,
        input: Option<&RawOf<Support>>,
        discoverable: bool,
    ) -> Result<bool, Status> {
        let Some(input) = input.filter(|_| self.profile.has(Extension::LargeBlob)) else {
            return Ok(false);
        };
        match input.decode()?.support.as_deref() {
            Some(REQUIRED) if !discoverable => Err(Status::INVALID_OPTION),
            Some(REQUIRED | PREFERRED) => Ok(true),
            _ => Err(Status::INVALID_OPTION),
        }
    }

    /// Reads the input of getAssertion.
    pub(crate) fn large_blob_wish(
        &self,
        input: Option<&RawOf<Input>>,
    ) -> Result<Option<LargeBlobWish>, Status> {
        let Some(input) = input.filter(|_| self.profile.has(Extension::LargeBlob)) else {
            return Ok(None);
        };
        match input.decode()? {
            Input {
                read: Some(read),
                write: None,
                original_size: None,
            } => Ok(read.then_some(LargeBlobWish::Read)),
            Input {
                read: None,
                write: Some(bytes),
                original_size: Some(original_size),
            } => Ok(Some(LargeBlobWish::Write(LargeBlob {
                bytes: Zeroizing::new(bytes.to_vec()),
                original_size,
            }))),
            _ => Err(Status::INVALID_OPTION),
        }
    }

    /// The output for the credential that signs, and what is to be kept before it leaves.
    pub(crate) fn large_blob_output(
        &self,
        source: &CredentialSource,
        wish: Option<&LargeBlobWish>,
        given: &Circumstances,
    ) -> (Option<RawOf<UnsignedOutputs>>, Option<Change>) {
        match wish {
            None => (None, None),
            Some(LargeBlobWish::Read) => {
                let blob = self.state.large_blob(&source.id);
                let output = blob.map(|blob| {
                    unsigned(Output {
                        blob: Some(SecretBytes::from(blob.bytes.to_vec())),
                        original_size: Some(blob.original_size),
                        ..Output::default()
                    })
                });
                (output, None)
            }
            Some(LargeBlobWish::Write(blob)) => {
                let allowed =
                    given.present.is_some() && (given.verified.is_some() || !self.is_protected());
                let fits = blob.bytes.len() <= self.profile.credentials.max_large_blob;
                let written = given.sole && allowed && fits && source.discoverable;
                let kept = Change::PutLargeBlob(source.id.clone(), blob.clone());
                let output = Output {
                    written: Some(written),
                    ..Output::default()
                };
                (Some(unsigned(output)), written.then_some(kept))
            }
        }
    }
}
