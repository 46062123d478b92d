//! CTAP 2.3 §12: what the extensions add to the two commands.

pub(crate) mod hmac_secret;
pub(crate) mod large_blob;
mod large_blob_key;

use ctap::make_credential::{ExtensionsInput, ExtensionsOutput};
use ctap::{SecretBytes, Status};

use crate::authenticator::{Authenticator, Env};
use crate::credential::{CredProtect, Traits};
use crate::extensions::hmac_secret::Salts;
use crate::presence::UserVerified;
use crate::profile::Extension;

/// What the extensions of a makeCredential request ask for, checked.
#[derive(Default)]
pub(crate) struct Wanted {
    /// §12.1.
    pub(crate) cred_protect: Option<CredProtect>,
    /// §12.7.
    pub(crate) hmac_secret: Option<bool>,
    /// §12.2.
    pub(crate) cred_blob: Option<SecretBytes>,
    /// §12.5.
    pub(crate) min_pin_length: bool,
    /// §12.3.
    pub(crate) large_blob_key: bool,
    /// §12.4: whether it was asked for.
    pub(crate) large_blob: bool,
    /// §12.8.
    pub(crate) salts: Option<Salts>,
    /// §12.9.
    pub(crate) third_party_payment: bool,
    /// §12.6.
    pub(crate) pin_complexity_policy: bool,
}

/// A new credential, for the outputs of the extensions.
pub(crate) struct New<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) rp_id: &'a str,
    pub(crate) discoverable: bool,
    pub(crate) verified: Option<UserVerified>,
}

impl Wanted {
    /// What the credential will be.
    pub(crate) fn traits(&self) -> Traits {
        Traits {
            cred_protect: self.cred_protect.unwrap_or_default(),
            hmac_secret: self.hmac_secret == Some(true),
            large_blob_key: self.large_blob_key,
            third_party_payment: self.third_party_payment,
        }
    }
}

impl Authenticator {
    /// Reads the inputs of makeCredential; those of extensions that the key lacks are passed over.
    pub(crate) fn wanted_extensions(
        &mut self,
        input: Option<ExtensionsInput>,
        discoverable: bool,
        env: &mut Env<'_>,
    ) -> Result<Wanted, Status> {
        let Some(input) = input else {
            return Ok(Wanted::default());
        };
        // §12.8: without hmac-secret there is no secret to evaluate, so it says nothing then.
        let salts = match &input.hmac_secret_mc {
            Some(salts)
                if self.profile.has(Extension::HmacSecretMc) && input.hmac_secret == Some(true) =>
            {
                Some(self.open_salts(salts, env)?)
            }
            _ => None,
        };
        let has = |extension| self.profile.has(extension);
        let cred_protect = match input.cred_protect.filter(|_| has(Extension::CredProtect)) {
            // §12.1: one of three levels.
            Some(level) => Some(CredProtect::from_number(level).ok_or(Status::INVALID_OPTION)?),
            None => None,
        };
        // §12.3: it must be true, and the credential discoverable.
        let large_blob_key = match input
            .large_blob_key
            .filter(|_| has(Extension::LargeBlobKey))
        {
            Some(wanted) if !wanted || !discoverable => return Err(Status::INVALID_OPTION),
            wanted => wanted.is_some(),
        };
        Ok(Wanted {
            pin_complexity_policy: has(Extension::PinComplexityPolicy)
                && input.pin_complexity_policy == Some(true),
            large_blob_key,
            large_blob: self.wants_large_blob(input.large_blob.as_ref(), discoverable)?,
            salts,
            third_party_payment: has(Extension::ThirdPartyPayment)
                && input.third_party_payment == Some(true),
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
        new: &New<'_>,
        env: &mut Env<'_>,
    ) -> Result<Option<Vec<u8>>, Status> {
        let blob = wanted
            .cred_blob
            .as_ref()
            .map(|_| self.accepted_blob(wanted, new.discoverable).is_some());
        // §12.5 and §12.6: only relying parties on the list may know.
        let rp_ids = &self.state.config().min_pin_length_rp_ids;
        let may_know = rp_ids.iter().any(|allowed| allowed == new.rp_id);
        let told = wanted.min_pin_length && may_know;
        let told_policy = wanted.pin_complexity_policy && may_know;
        let hmac_secret_mc = match &wanted.salts {
            Some(salts) => Some(self.hmac_secret_output(salts, new.id, new.verified, env.rng)?),
            None => None,
        };
        let output = ExtensionsOutput {
            cred_blob: blob,
            cred_protect: wanted.cred_protect.map(CredProtect::number),
            hmac_secret: wanted.hmac_secret.filter(|wanted| *wanted),
            min_pin_length: told.then(|| self.min_pin_length().into()),
            hmac_secret_mc,
            pin_complexity_policy: self.pin_complexity_option().filter(|_| told_policy),
            third_party_payment: wanted.third_party_payment.then_some(true),
        };
        Ok((output != ExtensionsOutput::default()).then(|| output.encode()))
    }
}
