//! What the owner of a key does to it while its power is cut.

use authenticator::{FingerMatch, Interaction, Progress, Store, UserEvent};
use aws_lc_rs::digest::{SHA256, digest};
use client::prompt::Secret;
use ctap::client_pin::Permissions;
use ctap::credential_management::{self as management, SubCommandParams};
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::{
    Command, Raw, Status, bio_enrollment, config, get_assertion, large_blob, large_blobs,
    make_credential, request_bytes, u2f,
};
use webauthn::authenticator_data::AuthenticatorData;

use super::mutation::Mutation;
use crate::key::{Key, consent};

/// The relying party of the credentials that the mutations are about.
pub(super) const RP: &str = "example.com";
const HASH: [u8; 32] = [7; 32];
/// The length of the large-blob array that is written, and of one fragment of it.
pub(super) const BLOB_LENGTH: usize = 1500;
const FRAGMENT: usize = 1000;

pub(super) fn user(id: u8, name: &str) -> UserEntity {
    UserEntity {
        id: vec![id; 16],
        name: Some(name.to_owned()),
        display_name: None,
    }
}

/// What the owner does to a key in these plays.
impl<S: Store> Key<S> {
    /// A token with a wrong PIN; any answer but "wrong" is an error.
    pub(super) fn spend_a_try(&mut self) -> Result<(), Status> {
        match self.token(
            Mutation::WRONG_PIN,
            Permissions::GET_ASSERTION,
            Some("wrong.example"),
        ) {
            Err(Status::PIN_INVALID) => Ok(()),
            Err(status) => Err(status),
            Ok(_) => Err(Status::INVALID_COMMAND),
        }
    }

    fn authorise(
        &mut self,
        permissions: Permissions,
        rp_id: &str,
    ) -> Result<(Option<Vec<u8>>, Option<u64>), Status> {
        let token = self.owner_token(permissions, Some(rp_id))?;
        let number = token.is_some().then(|| self.protocol_number());
        let param = token.map(|token| self.protocol().authenticate(&token, &HASH));
        Ok((param, number))
    }

    /// makeCredential; the credential ID.
    pub(super) fn make(&mut self, rp_id: &str, account: u8, rk: bool) -> Result<Vec<u8>, Status> {
        let (pin_uv_auth_param, pin_uv_auth_protocol) =
            self.authorise(Permissions::MAKE_CREDENTIAL, rp_id)?;
        let finger = self.profile().options.uv && self.profile().built_in_uv.enrolled;
        let uv = (pin_uv_auth_param.is_none() && finger).then_some(true);
        let request = make_credential::Request {
            pin_uv_auth_param,
            pin_uv_auth_protocol,
            options: Some(make_credential::Options {
                rk: rk.then_some(true),
                uv,
                ..Default::default()
            })
            .filter(|_| rk || uv.is_some()),
            ..make_request(rp_id, account)
        };
        let members = self.command(Command::MakeCredential, &request.encode())?;
        made(&members)
    }

    /// makeCredential with built-in user verification, the wrong finger first.
    pub(super) fn make_by_finger(&mut self) -> Result<Vec<u8>, Status> {
        let mut request = make_request(RP, 1);
        request.options = Some(make_credential::Options {
            uv: Some(true),
            ..Default::default()
        });
        let request = request_bytes(Command::MakeCredential, &request.encode());
        let mut wrong = 1;
        let mut progress = self.send(&request);
        loop {
            progress = match progress {
                Progress::Reply(answer) => {
                    let (status, members) =
                        ctap::split_response(&answer).ok_or(Status::INVALID_LENGTH)?;
                    status.ok()?;
                    return made(members);
                }
                Progress::Idle => return Err(Status::INVALID_COMMAND),
                Progress::Waiting(Interaction::BuiltInUv { .. }) if wrong > 0 => {
                    wrong -= 1;
                    self.user(UserEvent::Finger(FingerMatch::NoMatch))
                }
                Progress::Waiting(interaction) => self.user(consent(&interaction)),
            };
        }
    }

    /// getAssertion, verified only where the key insists; the signature counter.
    pub(super) fn assert(&mut self, rp_id: &str, id: &[u8]) -> Result<u32, Status> {
        let mut request = get_request(rp_id, id);
        let mut answer = self.command(Command::GetAssertion, &request.encode());
        if answer == Err(Status::PUAT_REQUIRED) {
            (request.pin_uv_auth_param, request.pin_uv_auth_protocol) =
                self.authorise(Permissions::GET_ASSERTION, rp_id)?;
            answer = self.command(Command::GetAssertion, &request.encode());
        }
        counter(&get_assertion::Response::decode(&answer?)?)
    }

    /// getAssertion that writes a blob; the signature counter.
    pub(super) fn write_large_blob(&mut self, id: &[u8], fill: u8) -> Result<u32, Status> {
        let (pin_uv_auth_param, pin_uv_auth_protocol) =
            self.authorise(Permissions::GET_ASSERTION, RP)?;
        let input = large_blob::Input {
            write: Some(vec![fill; 100].into()),
            original_size: Some(300),
            ..Default::default()
        };
        let request = get_assertion::Request {
            extensions: Some(get_assertion::ExtensionsInput {
                large_blob: Some((&input).into()),
                ..Default::default()
            }),
            pin_uv_auth_param,
            pin_uv_auth_protocol,
            ..get_request(RP, id)
        };
        let answer = self.command(Command::GetAssertion, &request.encode())?;
        let response = get_assertion::Response::decode(&answer)?;
        let outputs = response.unsigned_extension_outputs.as_ref();
        let output = outputs.map(ctap::RawOf::decode).transpose()?;
        match output.and_then(|output| output.large_blob?.written) {
            Some(true) => counter(&response),
            _ => Err(Status::LARGE_BLOB_STORAGE_FULL),
        }
    }

    /// authenticatorLargeBlobs, in two fragments.
    pub(super) fn write_large_blob_array(&mut self, fill: u8) -> Result<(), Status> {
        let mut array = vec![fill; BLOB_LENGTH - large_blobs::CHECK_LENGTH];
        let check = sha256(&array);
        array.extend_from_slice(&check[..large_blobs::CHECK_LENGTH]);
        let token = self.owner_token(Permissions::LARGE_BLOB_WRITE, None)?;
        let mut offset = 0;
        for set in array.chunks(FRAGMENT) {
            let param = token.as_ref().map(|token| {
                let message = large_blobs::authenticated_message(offset, &sha256(set));
                self.protocol().authenticate(token, &message)
            });
            let request = large_blobs::Request {
                get: None,
                set: Some(set.to_vec()),
                offset: offset.into(),
                length: (offset == 0).then_some(BLOB_LENGTH as u64),
                pin_uv_auth_protocol: param.is_some().then(|| self.protocol_number()),
                pin_uv_auth_param: param,
            };
            self.command(Command::LargeBlobs, &request.encode())?;
            offset += u32::try_from(set.len()).map_err(|_| Status::INVALID_LENGTH)?;
        }
        Ok(())
    }

    fn bio(
        &mut self,
        token: Option<&[u8]>,
        sub_command: bio_enrollment::SubCommand,
        template_id: Option<&[u8]>,
        name: Option<&str>,
    ) -> Result<bio_enrollment::Response, Status> {
        let params = bio_enrollment::SubCommandParams {
            template_id: template_id.map(<[u8]>::to_vec),
            template_friendly_name: name.map(str::to_owned),
            timeout_milliseconds: None,
        };
        let params = (template_id.is_some()).then(|| params.encode());
        let message = bio_enrollment::authenticated_message(sub_command, params.as_deref());
        let params = params.map(Raw::new).transpose();
        let request = bio_enrollment::Request {
            modality: Some(bio_enrollment::FINGERPRINT),
            sub_command: Some(sub_command.code()),
            sub_command_params: params.map_err(|_| Status::INVALID_CBOR)?,
            pin_uv_auth_protocol: token.is_some().then(|| self.protocol_number()),
            pin_uv_auth_param: token.map(|token| self.protocol().authenticate(token, &message)),
            get_modality: None,
        };
        let members = self.command(Command::BioEnrollment, &request.encode())?;
        match members.is_empty() {
            true => Ok(bio_enrollment::Response::default()),
            false => bio_enrollment::Response::decode(&members),
        }
    }

    /// Enrols a finger with as many good samples as it takes; the template's ID.
    pub(super) fn enroll(&mut self) -> Result<Vec<u8>, Status> {
        // One token for all samples: another command would end the enrolment.
        let token = self.owner_token(Permissions::BIO_ENROLLMENT, None)?;
        let token = token.as_deref();
        let mut answer = self.bio(token, bio_enrollment::SubCommand::EnrollBegin, None, None)?;
        let id = answer.template_id.take().ok_or(Status::MISSING_PARAMETER)?;
        while answer.remaining_samples.is_some_and(|left| left > 0) {
            let next = bio_enrollment::SubCommand::EnrollCaptureNextSample;
            answer = self.bio(token, next, Some(&id), None)?;
        }
        Ok(id)
    }

    /// Renames or removes an enrolment.
    pub(super) fn manage_finger(
        &mut self,
        sub_command: bio_enrollment::SubCommand,
        id: &[u8],
    ) -> Result<(), Status> {
        let renames = sub_command == bio_enrollment::SubCommand::SetFriendlyName;
        let token = self.owner_token(Permissions::BIO_ENROLLMENT, None)?;
        let name = renames.then_some("thumb");
        self.bio(token.as_deref(), sub_command, Some(id), name)
            .map(drop)
    }

    pub(super) fn set_min_pin_length(
        &mut self,
        params: config::SetMinPinLengthParams,
    ) -> Result<(), Status> {
        let params = Raw::new(params.encode()).map_err(|_| Status::INVALID_CBOR)?;
        self.configure(config::SubCommand::SetMinPinLength, Some(params))
    }

    pub(super) fn manage(
        &mut self,
        sub_command: management::SubCommand,
        id: &[u8],
        user: Option<UserEntity>,
    ) -> Result<(), Status> {
        let token = self.owner_token(Permissions::CREDENTIAL_MANAGEMENT, None)?;
        let params = SubCommandParams {
            credential_id: Some(CredentialDescriptor::public_key(id)),
            user,
            ..Default::default()
        };
        let params = Raw::new(params.encode()).map_err(|_| Status::INVALID_CBOR)?;
        let params = Some(params);
        let message = management::authenticated_message(sub_command.code(), params.as_ref());
        let request = management::Request {
            sub_command: sub_command.code(),
            sub_command_params: params,
            pin_uv_auth_protocol: token.is_some().then(|| self.protocol_number()),
            pin_uv_auth_param: token.map(|token| self.protocol().authenticate(&token, &message)),
        };
        let command = if self.profile().options.cred_mgmt {
            Command::CredentialManagement
        } else {
            Command::CredentialManagementPreview
        };
        self.command(command, &request.encode()).map(drop)
    }

    fn u2f(&mut self, request: &u2f::Request) -> Result<Vec<u8>, Status> {
        let apdu = request.encode().ok_or(Status::INVALID_LENGTH)?;
        // It asks for the touch, and does its work when it is asked again.
        let mut answer = self.send_u2f(&apdu);
        if let Some(interaction) = self.waiting().cloned() {
            let _ = self.user(consent(&interaction));
            answer = self.send_u2f(&apdu);
        }
        match answer.split_last_chunk::<2>() {
            Some((data, [0x90, 0x00])) => Ok(data.to_vec()),
            // U2F has no better words for a store that failed.
            _ => Err(Status::OTHER),
        }
    }

    pub(super) fn u2f_register(&mut self) -> Result<Vec<u8>, Status> {
        let data = self.u2f(&u2f::Request::Register {
            challenge: HASH,
            application: [9; 32],
        })?;
        let response = u2f::RegisterResponse::decode(&data).map_err(|_| Status::INVALID_LENGTH)?;
        Ok(response.key_handle)
    }

    /// U2F_AUTHENTICATE; the counter.
    pub(super) fn u2f_authenticate(&mut self, key_handle: &[u8]) -> Result<u32, Status> {
        let data = self.u2f(&u2f::Request::Authenticate {
            control: u2f::Control::EnforceUserPresence,
            challenge: HASH,
            application: [9; 32],
            key_handle: key_handle.to_vec(),
        })?;
        let response =
            u2f::AuthenticateResponse::decode(&data).map_err(|_| Status::INVALID_LENGTH)?;
        Ok(response.counter)
    }

    /// Whether this is the PIN, with a try spent if it is not; forced changes are made.
    pub(super) fn accepts_pin(&mut self, pin: &str) -> Result<bool, Status> {
        if self.state().config().force_pin_change {
            return match self.change_pin(pin, "a forced change") {
                Ok(()) => Ok(true),
                Err(Status::PIN_INVALID) => Ok(false),
                Err(status) => Err(status),
            };
        }
        match self.token(pin, Permissions::GET_ASSERTION, Some(RP)) {
            Ok(_) => {
                self.owner_pin = Some(Secret::from(pin));
                Ok(true)
            }
            Err(Status::PIN_INVALID) => Ok(false),
            Err(status) => Err(status),
        }
    }
}

fn make_request(rp_id: &str, account: u8) -> make_credential::Request {
    make_credential::Request {
        client_data_hash: HASH,
        rp: RpEntity {
            id: rp_id.to_owned(),
            name: None,
        },
        user: user(account, "anna"),
        pub_key_cred_params: vec![CredentialParameters::public_key(
            webauthn::cose::CoseAlgorithm::ES256,
        )],
        exclude_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    }
}

/// The ID of the credential that was made.
fn made(members: &[u8]) -> Result<Vec<u8>, Status> {
    let response = make_credential::Response::decode(members)?;
    AuthenticatorData::parse(&response.auth_data)
        .ok()
        .and_then(|data| data.attested_credential_data)
        .map(|attested| attested.credential_id.to_vec())
        .ok_or(Status::INVALID_CBOR)
}

fn get_request(rp_id: &str, id: &[u8]) -> get_assertion::Request {
    get_assertion::Request {
        rp_id: rp_id.to_owned(),
        client_data_hash: HASH,
        allow_list: Some(vec![CredentialDescriptor::public_key(id)]),
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

/// The signature counter of an assertion.
fn counter(response: &get_assertion::Response) -> Result<u32, Status> {
    AuthenticatorData::parse(&response.auth_data)
        .map(|data| data.sign_count)
        .map_err(|_| Status::INVALID_CBOR)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
