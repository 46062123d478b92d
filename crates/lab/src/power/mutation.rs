//! The commands that change a key, as its owner gives them.

use core::time::Duration;

use authenticator::profile::Extension;
use authenticator::{Change, Profile, Store, Write};
use ctap::client_pin::Permissions;
use ctap::credential_management as management;
use ctap::{Command, Status, bio_enrollment, config};

use super::plays::{BLOB_LENGTH, RP, user};
use crate::key::Key;

/// When the ten seconds after power-up are over.
const LONG_AFTER: Duration = Duration::from_secs(60);

/// A command that changes what a key durably knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// clientPIN setPIN.
    SetPin,
    /// clientPIN changePIN.
    ChangePin,
    /// A token with a wrong PIN: it costs a try.
    WrongPin,
    /// A token with the right PIN, after two wrong ones.
    RightPin,
    /// Built-in user verification: a wrong finger, then the right one.
    BuiltInUv,
    /// makeCredential of a discoverable credential.
    MakeDiscoverable,
    /// makeCredential that replaces the account's credential.
    Replace,
    /// makeCredential of a credential that is not stored.
    MakeNonDiscoverable,
    /// getAssertion: the signature counter.
    GetAssertion,
    /// U2F_REGISTER.
    U2fRegister,
    /// U2F_AUTHENTICATE.
    U2fAuthenticate,
    /// credentialManagement deleteCredential.
    DeleteCredential,
    /// credentialManagement updateUserInformation.
    UpdateUser,
    /// authenticatorConfig toggleAlwaysUv.
    ToggleAlwaysUv,
    /// authenticatorConfig setMinPINLength, with RP IDs.
    SetMinPinLength,
    /// authenticatorConfig setMinPINLength with forceChangePin.
    ForcePinChange,
    /// authenticatorConfig enableEnterpriseAttestation.
    EnableEnterpriseAttestation,
    /// authenticatorConfig setMinPINLength, which switches the PIN complexity policy on.
    EnforceComplexity,
    /// authenticatorConfig enableLongTouchForReset.
    EnableLongTouch,
    /// clientPIN for the persistent token, which is made then.
    PersistentToken,
    /// authenticatorLargeBlobs, in two fragments.
    WriteLargeBlobArray,
    /// getAssertion with the extension largeBlob, which replaces a blob.
    WriteLargeBlob,
    /// credentialManagement deleteCredential of one that has a blob.
    DeleteWithBlob,
    /// bioEnrollment, all samples.
    Enroll,
    /// bioEnrollment setFriendlyName.
    RenameFinger,
    /// bioEnrollment removeEnrollment of the only one.
    RemoveFinger,
    /// authenticatorReset.
    Reset,
    /// authenticatorReset by a long touch.
    ResetByLongTouch,
}

/// What the client saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Success, and nothing to remember.
    Done,
    /// A credential ID.
    Made(Vec<u8>),
    /// A signature counter.
    Signed(u32),
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 28] = [
        Mutation::SetPin,
        Mutation::ChangePin,
        Mutation::WrongPin,
        Mutation::RightPin,
        Mutation::BuiltInUv,
        Mutation::MakeDiscoverable,
        Mutation::Replace,
        Mutation::MakeNonDiscoverable,
        Mutation::GetAssertion,
        Mutation::U2fRegister,
        Mutation::U2fAuthenticate,
        Mutation::DeleteCredential,
        Mutation::UpdateUser,
        Mutation::ToggleAlwaysUv,
        Mutation::SetMinPinLength,
        Mutation::ForcePinChange,
        Mutation::EnableEnterpriseAttestation,
        Mutation::EnforceComplexity,
        Mutation::EnableLongTouch,
        Mutation::PersistentToken,
        Mutation::WriteLargeBlobArray,
        Mutation::WriteLargeBlob,
        Mutation::DeleteWithBlob,
        Mutation::Enroll,
        Mutation::RenameFinger,
        Mutation::RemoveFinger,
        Mutation::Reset,
        Mutation::ResetByLongTouch,
    ];

    /// The PIN before the mutation.
    pub(super) const PIN: &str = "4711 old";
    /// The PIN after it, where it changes the PIN.
    pub(super) const NEW_PIN: &str = "0815 new";
    pub(super) const WRONG_PIN: &str = "no such PIN";

    /// A name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mutation::SetPin => "setPIN",
            Mutation::ChangePin => "changePIN",
            Mutation::WrongPin => "a wrong PIN",
            Mutation::RightPin => "the right PIN after wrong ones",
            Mutation::BuiltInUv => "a wrong finger, then the right one",
            Mutation::MakeDiscoverable => "makeCredential, discoverable",
            Mutation::Replace => "makeCredential, replacing",
            Mutation::MakeNonDiscoverable => "makeCredential, not stored",
            Mutation::GetAssertion => "getAssertion",
            Mutation::U2fRegister => "U2F_REGISTER",
            Mutation::U2fAuthenticate => "U2F_AUTHENTICATE",
            Mutation::DeleteCredential => "deleteCredential",
            Mutation::UpdateUser => "updateUserInformation",
            Mutation::ToggleAlwaysUv => "toggleAlwaysUv",
            Mutation::SetMinPinLength => "setMinPINLength",
            Mutation::ForcePinChange => "setMinPINLength, forceChangePin",
            Mutation::EnableEnterpriseAttestation => "enableEnterpriseAttestation",
            Mutation::EnforceComplexity => "setMinPINLength, pinComplexityPolicy",
            Mutation::EnableLongTouch => "enableLongTouchForReset",
            Mutation::PersistentToken => "the persistent token",
            Mutation::WriteLargeBlobArray => "largeBlobs",
            Mutation::WriteLargeBlob => "getAssertion, largeBlob",
            Mutation::DeleteWithBlob => "deleteCredential, with a blob",
            Mutation::Enroll => "enrollBegin to the last sample",
            Mutation::RenameFinger => "setFriendlyName",
            Mutation::RemoveFinger => "removeEnrollment",
            Mutation::Reset => "reset",
            Mutation::ResetByLongTouch => "reset, long touch",
        }
    }

    /// Whether a key of this profile knows the command.
    #[must_use]
    pub fn fits(self, profile: &Profile) -> bool {
        let has = &profile.options;
        let always = has.always_uv == Some(true);
        match self {
            Mutation::SetPin | Mutation::ChangePin | Mutation::WrongPin | Mutation::RightPin => {
                has.client_pin
            }
            Mutation::BuiltInUv => has.uv && profile.built_in_uv.enrolled,
            Mutation::MakeDiscoverable | Mutation::Replace => profile.ctap2 && has.rk,
            Mutation::MakeNonDiscoverable | Mutation::GetAssertion | Mutation::Reset => {
                profile.ctap2
            }
            // alwaysUv switches U2F off.
            Mutation::U2fRegister | Mutation::U2fAuthenticate => profile.ctap1 && !always,
            Mutation::DeleteCredential => has.rk && (has.cred_mgmt || has.credential_mgmt_preview),
            Mutation::UpdateUser => has.rk && has.cred_mgmt,
            Mutation::ToggleAlwaysUv => has.authnr_cfg && has.always_uv == Some(false),
            Mutation::SetMinPinLength | Mutation::ForcePinChange => {
                has.authnr_cfg && has.set_min_pin_length && has.client_pin
            }
            Mutation::EnableEnterpriseAttestation => has.authnr_cfg && has.ep,
            Mutation::EnforceComplexity => has.set_min_pin_length && profile.pin.complexity_policy,
            Mutation::EnableLongTouch | Mutation::ResetByLongTouch => profile.reset.long_touch,
            Mutation::PersistentToken => has.per_cred_mgmt_ro && has.client_pin,
            Mutation::WriteLargeBlobArray => {
                has.large_blobs && profile.credentials.max_large_blob_array >= BLOB_LENGTH
            }
            Mutation::WriteLargeBlob => profile.has(Extension::LargeBlob),
            Mutation::DeleteWithBlob => profile.has(Extension::LargeBlob) && has.cred_mgmt,
            // What is delivered with a finger has no enrolment of it to rename.
            Mutation::Enroll | Mutation::RenameFinger | Mutation::RemoveFinger => {
                has.bio_enroll && has.client_pin
            }
        }
    }

    /// Whether it erases the key.
    pub(super) fn erases(self) -> bool {
        matches!(self, Mutation::Reset | Mutation::ResetByLongTouch)
    }

    /// Whether it may give tries back.
    pub(super) fn gives_tries_back(self) -> bool {
        // Everything that begins with the right PIN, and what sets a PIN anew.
        !matches!(
            self,
            Mutation::WrongPin | Mutation::U2fRegister | Mutation::U2fAuthenticate
        )
    }

    /// What has to be there before: the PIN, and the target of the command.
    pub(super) fn prepare<S: Store>(self, key: &mut Key<S>) -> Result<Vec<u8>, Status> {
        if self != Mutation::SetPin && key.profile().options.client_pin {
            key.set_pin(Self::PIN).map_err(|e| e.status)?;
        }
        match self {
            Mutation::RightPin => {
                for _ in 0..2 {
                    key.spend_a_try()?;
                }
                Ok(Vec::new())
            }
            Mutation::Replace | Mutation::DeleteCredential | Mutation::UpdateUser => {
                key.make(RP, 1, true)
            }
            Mutation::Reset if key.profile().options.rk => key.make(RP, 1, true),
            Mutation::GetAssertion => key.make(RP, 1, false),
            Mutation::WriteLargeBlob | Mutation::DeleteWithBlob => {
                let id = key.make(RP, 1, true)?;
                key.write_large_blob(&id, 1)?;
                Ok(id)
            }
            Mutation::WriteLargeBlobArray => {
                key.write_large_blob_array(1)?;
                Ok(Vec::new())
            }
            Mutation::RenameFinger | Mutation::RemoveFinger => key.enroll(),
            Mutation::ResetByLongTouch => {
                key.configure(config::SubCommand::EnableLongTouchForReset, None)?;
                match key.profile().options.rk {
                    true => key.make(RP, 1, true),
                    false => Ok(Vec::new()),
                }
            }
            Mutation::U2fAuthenticate => key.u2f_register(),
            _ => Ok(Vec::new()),
        }
    }

    /// Gives the command.
    pub(super) fn run<S: Store>(self, key: &mut Key<S>, target: &[u8]) -> Result<Answer, Status> {
        match self {
            Mutation::SetPin => key.set_pin(Self::NEW_PIN).map_err(|e| e.status)?,
            Mutation::ChangePin => key.change_pin(Self::PIN, Self::NEW_PIN)?,
            Mutation::WrongPin => key.spend_a_try()?,
            Mutation::RightPin => {
                key.owner_token(Permissions::GET_ASSERTION, Some(RP))?;
            }
            Mutation::BuiltInUv => return key.make_by_finger().map(Answer::Made),
            Mutation::MakeDiscoverable => return key.make(RP, 1, true).map(Answer::Made),
            Mutation::Replace => return key.make(RP, 1, true).map(Answer::Made),
            Mutation::MakeNonDiscoverable => return key.make(RP, 1, false).map(Answer::Made),
            Mutation::GetAssertion => return key.assert(RP, target).map(Answer::Signed),
            Mutation::U2fRegister => return key.u2f_register().map(Answer::Made),
            Mutation::U2fAuthenticate => return key.u2f_authenticate(target).map(Answer::Signed),
            Mutation::DeleteCredential => {
                key.manage(management::SubCommand::DeleteCredential, target, None)?;
            }
            Mutation::UpdateUser => {
                let user = user(1, "a new name");
                key.manage(
                    management::SubCommand::UpdateUserInformation,
                    target,
                    Some(user),
                )?;
            }
            Mutation::ToggleAlwaysUv => key.configure(config::SubCommand::ToggleAlwaysUv, None)?,
            Mutation::SetMinPinLength => key.set_min_pin_length(config::SetMinPinLengthParams {
                new_min_pin_length: Some(6),
                min_pin_length_rp_ids: Some(vec![RP.to_owned()]),
                ..Default::default()
            })?,
            Mutation::ForcePinChange => key.set_min_pin_length(config::SetMinPinLengthParams {
                force_change_pin: Some(true),
                ..Default::default()
            })?,
            Mutation::EnableEnterpriseAttestation => {
                key.configure(config::SubCommand::EnableEnterpriseAttestation, None)?;
            }
            Mutation::EnforceComplexity => {
                key.set_min_pin_length(config::SetMinPinLengthParams {
                    pin_complexity_policy: Some(true),
                    ..Default::default()
                })?;
            }
            Mutation::EnableLongTouch => {
                key.configure(config::SubCommand::EnableLongTouchForReset, None)?;
            }
            Mutation::PersistentToken => {
                key.owner_token(
                    Permissions::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY,
                    None,
                )?;
            }
            Mutation::WriteLargeBlobArray => key.write_large_blob_array(2)?,
            Mutation::WriteLargeBlob => return key.write_large_blob(target, 2).map(Answer::Signed),
            Mutation::DeleteWithBlob => {
                key.manage(management::SubCommand::DeleteCredential, target, None)?;
            }
            Mutation::Enroll => drop(key.enroll()?),
            Mutation::RenameFinger => {
                key.manage_finger(bio_enrollment::SubCommand::SetFriendlyName, target)?;
            }
            Mutation::RemoveFinger => {
                key.manage_finger(bio_enrollment::SubCommand::RemoveEnrollment, target)?;
            }
            Mutation::Reset => drop(key.command(Command::Reset, &[])?),
            Mutation::ResetByLongTouch => {
                // Long after power-up, when a short touch would not do.
                key.advance_to(LONG_AFTER);
                drop(key.command(Command::Reset, &[])?);
            }
        }
        Ok(Answer::Done)
    }
}

/// The record of the secrets: what a reset replaces first.
pub(super) fn secrets_record() -> Vec<u8> {
    // The first record that a snapshot writes; asked of the store's own words, not known here.
    let writes = super::fresh().snapshot();
    writes
        .iter()
        .find(|change| matches!(change, Change::ReplaceSecrets(_)))
        .into_iter()
        .flat_map(Change::writes)
        .find_map(|write| match write {
            Write::Put { key, .. } => Some(key),
            _ => None,
        })
        .unwrap_or_default()
}
