//! The commands that change a key, as its owner gives them.

use authenticator::{Change, FingerMatch, Interaction, Profile, Progress, Store, UserEvent, Write};
use client::prompt::Secret;
use ctap::client_pin::Permissions;
use ctap::credential_management::{self as management, SubCommandParams};
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::{Command, Raw, Status, config, get_assertion, make_credential, request_bytes, u2f};
use webauthn::authenticator_data::AuthenticatorData;

use crate::key::{Key, consent};

/// The relying party of the credentials that the mutations are about.
const RP: &str = "example.com";
const HASH: [u8; 32] = [7; 32];

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
    /// authenticatorReset.
    Reset,
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
    pub const ALL: [Mutation; 18] = [
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
        Mutation::Reset,
    ];

    /// The PIN before the mutation.
    pub(super) const PIN: &str = "4711 old";
    /// The PIN after it, where it changes the PIN.
    pub(super) const NEW_PIN: &str = "0815 new";
    const WRONG_PIN: &str = "no such PIN";

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
            Mutation::Reset => "reset",
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
        }
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
            Mutation::Reset => drop(key.command(Command::Reset, &[])?),
        }
        Ok(Answer::Done)
    }
}

fn user(id: u8, name: &str) -> UserEntity {
    UserEntity {
        id: vec![id; 16],
        name: Some(name.to_owned()),
        display_name: None,
    }
}

/// What the owner does to a key in these plays.
impl<S: Store> Key<S> {
    /// A token with a wrong PIN; any answer but "wrong" is an error.
    fn spend_a_try(&mut self) -> Result<(), Status> {
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
    fn make_by_finger(&mut self) -> Result<Vec<u8>, Status> {
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
        let mut request = get_assertion::Request {
            rp_id: rp_id.to_owned(),
            client_data_hash: HASH,
            allow_list: Some(vec![CredentialDescriptor::public_key(id)]),
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let mut answer = self.command(Command::GetAssertion, &request.encode());
        if answer == Err(Status::PUAT_REQUIRED) {
            (request.pin_uv_auth_param, request.pin_uv_auth_protocol) =
                self.authorise(Permissions::GET_ASSERTION, rp_id)?;
            answer = self.command(Command::GetAssertion, &request.encode());
        }
        let response = get_assertion::Response::decode(&answer?)?;
        let data = AuthenticatorData::parse(&response.auth_data);
        data.map(|data| data.sign_count)
            .map_err(|_| Status::INVALID_CBOR)
    }

    fn set_min_pin_length(&mut self, params: config::SetMinPinLengthParams) -> Result<(), Status> {
        let params = Raw::new(params.encode()).map_err(|_| Status::INVALID_CBOR)?;
        self.configure(config::SubCommand::SetMinPinLength, Some(params))
    }

    fn manage(
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

    fn u2f_register(&mut self) -> Result<Vec<u8>, Status> {
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
