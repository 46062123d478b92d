//! What deviant keys of the field do against the text, for profiles that say so (`[deviations]`).
//! A profile without that table goes by the text.

use ctap::Status;

use crate::authenticator::Authenticator;

impl Authenticator {
    /// Against §6.1.2 and §6.2.2: where a token is wanted, it says "denied", which platforms take for
    /// the person's last word.
    pub(crate) fn deviate_on_refusal(&self, status: Status) -> Status {
        if self.profile.deviations.denies_uv && status == Status::PUAT_REQUIRED {
            Status::OPERATION_DENIED
        } else {
            status
        }
    }

    /// Against §6.1.2 step 3: a list of fixed size, as a parser that keeps it in a fixed buffer has.
    pub(crate) fn deviate_on_params(&self, count: usize) -> Result<(), Status> {
        match self.profile.deviations.max_pub_key_cred_params {
            Some(most) if count > most => Err(Status::INVALID_CBOR),
            _ => Ok(()),
        }
    }

    /// Against WebAuthn L3 §6.1.1: a signature counter that counts down.
    pub(crate) fn deviate_on_counter(&self, counter: u32) -> u32 {
        if self.profile.deviations.counts_backwards {
            u32::MAX - counter
        } else {
            counter
        }
    }
}
