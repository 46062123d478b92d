//! CTAP 2.3 §6.8 authenticatorCredentialManagement, and its 2.1-PRE prototype.

use std::sync::Arc;

use ctap::Status;
use ctap::client_pin::Permissions;
use ctap::credential_management::{
    Request, Response, SubCommand, SubCommandParams, authenticated_message,
};
use ctap::entities::{CredentialDescriptor, PUBLIC_KEY};

use crate::authenticator::{Authenticator, Channel, Continuation, Env, Handled, Step};
use crate::credential::{CredProtect, CredentialSource};
use crate::state::Change;

/// What an enumeration has left, next one last.
pub(crate) enum Remaining {
    /// One credential of each relying party that is left.
    Rps(Vec<Arc<CredentialSource>>),
    Credentials(Vec<Arc<CredentialSource>>),
}

impl Authenticator {
    /// Handles authenticatorCredentialManagement.
    pub(crate) fn credential_management(
        &mut self,
        parameters: &[u8],
        continuation: Option<Continuation>,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        let request = Request::decode(parameters)?;
        let command = SubCommand::try_from(request.sub_command)?;
        match command {
            SubCommand::EnumerateRpsGetNextRp => match continuation {
                Some(Continuation::Management(Remaining::Rps(rest))) => {
                    self.next_rp(rest, channel, None)
                }
                _ => Err(Status::NOT_ALLOWED),
            },
            SubCommand::EnumerateCredentialsGetNextCredential => match continuation {
                Some(Continuation::Management(Remaining::Credentials(rest))) => {
                    self.next_credential(rest, channel, None)
                }
                _ => Err(Status::NOT_ALLOWED),
            },
            // The prototype has no such subcommand.
            SubCommand::UpdateUserInformation if !self.profile.options.cred_mgmt => {
                Err(Status::INVALID_SUBCOMMAND)
            }
            command => {
                let bound = self.authorize_management(command, &request)?;
                let params = match &request.sub_command_params {
                    Some(params) => SubCommandParams::decode(params.as_bytes())?,
                    None => SubCommandParams::default(),
                };
                self.manage(command, params, bound.as_deref(), channel, env)
            }
        }
    }

    /// The token verifies and has the permission; returns the RP ID that it is bound to.
    fn authorize_management(
        &mut self,
        command: SubCommand,
        request: &Request,
    ) -> Result<Option<String>, Status> {
        let param = request
            .pin_uv_auth_param
            .as_ref()
            .ok_or(Status::PUAT_REQUIRED)?;
        let protocol = self.protocol(request.pin_uv_auth_protocol)?;
        let message =
            authenticated_message(request.sub_command, request.sub_command_params.as_ref());
        // CTAP 2.2: the persistent token reads, for all relying parties.
        let reads = matches!(
            command,
            SubCommand::GetCredsMetadata
                | SubCommand::EnumerateRpsBegin
                | SubCommand::EnumerateCredentialsBegin
        );
        if reads && self.verify_persistent_token(protocol, &message, param) {
            return Ok(None);
        }
        let token = self.verify_token(
            protocol,
            &message,
            param,
            Permissions::CREDENTIAL_MANAGEMENT,
        )?;
        Ok(token.rp_id().map(str::to_owned))
    }

    fn manage(
        &mut self,
        command: SubCommand,
        params: SubCommandParams,
        bound: Option<&str>,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        match command {
            // What concerns all relying parties needs a token that is bound to none.
            SubCommand::GetCredsMetadata | SubCommand::EnumerateRpsBegin if bound.is_some() => {
                Err(Status::PIN_AUTH_INVALID)
            }
            SubCommand::GetCredsMetadata => Ok(self.get_creds_metadata()),
            SubCommand::EnumerateRpsBegin => self.enumerate_rps_begin(channel),
            SubCommand::EnumerateCredentialsBegin => {
                self.enumerate_credentials_begin(&params, bound, channel)
            }
            SubCommand::DeleteCredential => self.delete_credential(&params, bound, env),
            SubCommand::UpdateUserInformation => self.update_user_information(params, bound, env),
            SubCommand::EnumerateRpsGetNextRp
            | SubCommand::EnumerateCredentialsGetNextCredential => Err(Status::NOT_ALLOWED),
        }
    }

    /// §6.8.2 getCredsMetadata.
    fn get_creds_metadata(&self) -> Step {
        let existing = self.state.index().discoverable();
        answer(&Response {
            existing_resident_credentials_count: Some(existing as u64),
            max_possible_remaining_resident_credentials_count: Some(
                self.remaining_credentials() as u64
            ),
            ..Response::default()
        })
    }

    /// §6.8.3 enumerateRPsBegin, in order of their oldest credential.
    fn enumerate_rps_begin(&mut self, channel: Channel) -> Handled {
        // One credential per relying party stands for it. The next one to tell is taken from the end.
        let mut rps: Vec<_> = self.state.index().oldest_per_rp().cloned().collect();
        rps.sort_by_key(|source| core::cmp::Reverse(source.created));
        let total = rps.len() as u64;
        if rps.is_empty() {
            return Err(Status::NO_CREDENTIALS);
        }
        self.next_rp(rps, channel, Some(total))
    }

    /// §6.8.3 enumerateRPsGetNextRP.
    fn next_rp(
        &mut self,
        mut rest: Vec<Arc<CredentialSource>>,
        channel: Channel,
        total: Option<u64>,
    ) -> Handled {
        let source = self.pop_stored(&mut rest).ok_or(Status::NOT_ALLOWED)?;
        if !rest.is_empty() {
            self.begin_continuation(channel, Continuation::Management(Remaining::Rps(rest)));
        }
        Ok(answer(&Response {
            rp: source.rp.clone(),
            rp_id_hash: Some(source.rp_id_hash),
            total_rps: total,
            ..Response::default()
        }))
    }

    /// §6.8.4 enumerateCredentialsBegin, oldest first.
    fn enumerate_credentials_begin(
        &mut self,
        params: &SubCommandParams,
        bound: Option<&str>,
        channel: Channel,
    ) -> Handled {
        let rp_id_hash = params.rp_id_hash.ok_or(Status::MISSING_PARAMETER)?;
        check_bound(bound, &rp_id_hash)?;
        let sources: Vec<_> = self
            .state
            .index()
            .of_rp(&rp_id_hash)
            .rev()
            .cloned()
            .collect();
        let total = sources.len() as u64;
        if sources.is_empty() {
            return Err(Status::NO_CREDENTIALS);
        }
        self.next_credential(sources, channel, Some(total))
    }

    /// §6.8.4 enumerateCredentialsGetNextCredential.
    fn next_credential(
        &mut self,
        mut rest: Vec<Arc<CredentialSource>>,
        channel: Channel,
        total: Option<u64>,
    ) -> Handled {
        let source = self.pop_stored(&mut rest).ok_or(Status::NOT_ALLOWED)?;
        let public_key = self.signing_key(&source)?.public_key();
        if !rest.is_empty() {
            self.begin_continuation(
                channel,
                Continuation::Management(Remaining::Credentials(rest)),
            );
        }
        Ok(answer(&Response {
            user: source.user.clone(),
            credential_id: Some(CredentialDescriptor {
                id: source.id.clone(),
                type_: PUBLIC_KEY.to_owned(),
                transports: None,
            }),
            public_key: Some(public_key),
            total_credentials: total,
            cred_protect: self
                .profile
                .has(crate::profile::Extension::CredProtect)
                .then(|| CredProtect::number(source.cred_protect)),
            large_blob_key: self.large_blob_key(&source),
            third_party_payment: self
                .profile
                .has(crate::profile::Extension::ThirdPartyPayment)
                .then_some(source.third_party_payment),
            ..Response::default()
        }))
    }

    /// §6.8.5 deleteCredential.
    fn delete_credential(
        &mut self,
        params: &SubCommandParams,
        bound: Option<&str>,
        env: &mut Env<'_>,
    ) -> Handled {
        let source = self.managed(params, bound)?;
        self.forget_loaded(&source.id);
        self.commit_credentials(vec![Change::DeleteCredential(source.id.clone())], env)?;
        Ok(Step::Reply(Vec::new()))
    }

    /// §6.8.6 updateUserInformation: absent names are removed.
    fn update_user_information(
        &mut self,
        params: SubCommandParams,
        bound: Option<&str>,
        env: &mut Env<'_>,
    ) -> Handled {
        let source = self.managed(&params, bound)?;
        let user = params.user.ok_or(Status::MISSING_PARAMETER)?;
        if source.user.as_ref().is_none_or(|old| old.id != user.id) {
            return Err(Status::INVALID_PARAMETER);
        }
        let updated = CredentialSource {
            user: Some(user),
            ..CredentialSource::clone(&source)
        };
        self.commit_credentials(vec![Change::PutCredential(Arc::new(updated))], env)?;
        Ok(Step::Reply(Vec::new()))
    }

    /// The stored credential that a subcommand names.
    fn managed(
        &self,
        params: &SubCommandParams,
        bound: Option<&str>,
    ) -> Result<Arc<CredentialSource>, Status> {
        let descriptor = params
            .credential_id
            .as_ref()
            .ok_or(Status::MISSING_PARAMETER)?;
        let source = self
            .state
            .credential(&descriptor.id)
            .filter(|source| source.discoverable);
        let source = source.ok_or(Status::NO_CREDENTIALS)?;
        check_bound(bound, &source.rp_id_hash)?;
        Ok(Arc::clone(source))
    }
}

impl Authenticator {
    /// The next of a list that was remembered, as it is stored now: it may have been renamed or
    /// deleted over another channel since.
    fn pop_stored(
        &self,
        sources: &mut Vec<Arc<CredentialSource>>,
    ) -> Option<Arc<CredentialSource>> {
        loop {
            let remembered = sources.pop()?;
            if let Some(stored) = self.state.credential(&remembered.id) {
                return Some(Arc::clone(stored));
            }
        }
    }
}

fn check_bound(bound: Option<&str>, rp_id_hash: &[u8; 32]) -> Result<(), Status> {
    match bound {
        Some(rp_id) if crate::crypto::sha256(rp_id.as_bytes()) != *rp_id_hash => {
            Err(Status::PIN_AUTH_INVALID)
        }
        _ => Ok(()),
    }
}

fn answer(response: &Response) -> Step {
    Step::Reply(response.encode())
}
