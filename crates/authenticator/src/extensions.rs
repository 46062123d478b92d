//! CTAP 2.3 §12: what the extensions add to the two commands.

pub(crate) mod hmac_secret;

use ctap::make_credential::{ExtensionsInput, ExtensionsOutput};
use ctap::{SecretBytes, Status};

use crate::authenticator::Authenticator;
use crate::credential::{CredProtect, Traits};
use crate::profile::Extension;

/// What the extensions of a makeCredential request ask for, checked.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// §12.1.
    pub(crate) cred_protect: Option<CredProtect>,
    /// §12.7.
    pub(crate) hmac_secret: Option<bool>,
    /// §12.2.
    pub(crate) cred_blob: Option<SecretBytes>,
    /// §12.5.
    pub(crate) min_pin_length: bool,
}

impl Wanted {
    /// What the credential will be.
    pub(crate) fn traits(&self) -> Traits {
        Traits {
            cred_protect: self.cred_protect.unwrap_or_default(),
            hmac_secret: self.hmac_secret == Some(true),
            ..Traits::default()
        }
    }
}

impl Authenticator {
    /// Reads the inputs of makeCredential; those of extensions that the key lacks are passed over.
    pub(crate) fn wanted_extensions(
        &self,
        input: Option<ExtensionsInput>,
    ) -> Result<Wanted, Status> {
        let Some(input) = input else {
            return Ok(Wanted::default());
        };
        let has = |extension| self.profile.has(extension);
        let cred_protect = match input.cred_protect.filter(|_| has(Extension::CredProtect)) {
            // §12.1: one of three levels.
            Some(level) => Some(CredProtect::from_number(level).ok_or(Status::INVALID_OPTION)?),
            None => None,
        };
        Ok(Wanted {
            cred_protect,
            hmac_secret: input.hmac_secret.filter(|_| has(Extension::HmacSecret)),
            cred_blob: input.cred_blob.filter(|_| has(Extension::CredBlob)),
            min_pin_length: has(Extension::MinPinLength) && input.min_pin_length == Some(true),
        })
    }

    /// The blob to store with a credential, if the key takes it: only with discoverable ones.
    pub(crate) fn accepted_blob<'a>(
        &self,
        wanted: &'a Wanted,
        discoverable: bool,
    ) -> Option<&'a SecretBytes> {
        let longest = self.profile.credentials.max_cred_blob_length;
        wanted
            .cred_blob
            .as_ref()
            .filter(|blob| discoverable && blob.len() <= longest)
    }

    /// The extension outputs in the authenticator data of a new credential; `None` if there are none.
    pub(crate) fn make_credential_output(
        &self,
        wanted: &Wanted,
        rp_id: &str,
        discoverable: bool,
    ) -> Option<Vec<u8>> {
        let blob = wanted
            .cred_blob
            .as_ref()
            .map(|_| self.accepted_blob(wanted, discoverable).is_some());
        // §12.5: only relying parties on the list may know.
        let told = wanted.min_pin_length
            && self
                .state
                .config()
                .min_pin_length_rp_ids
                .iter()
                .any(|allowed| allowed == rp_id);
        let output = ExtensionsOutput {
            cred_blob: blob,
            cred_protect: wanted.cred_protect.map(CredProtect::number),
            hmac_secret: wanted.hmac_secret.filter(|wanted| *wanted),
            min_pin_length: told.then(|| self.min_pin_length().into()),
            ..ExtensionsOutput::default()
        };
        (output != ExtensionsOutput::default()).then(|| output.encode())
    }
}
