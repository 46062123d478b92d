//! What the owner of a key does to bring it into a state, by speaking CTAP to it like anybody else.

use authenticator::Store;
use client::prompt::Secret;
use ctap::client_pin::{Permissions, Request as PinRequest, Response as PinResponse, SubCommand};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret, encapsulate, pad_pin, pin_hash};
use ctap::{Command, Raw, Status, config};
use webauthn::cose::CoseKey;

use crate::key::Key;

/// More wrong PINs than any key allows.
const MANY: usize = 32;

/// Why a key could not be brought into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key does not let its owner {doing}: {status}")]
pub struct OwnerError {
    /// What the owner was doing.
    pub doing: &'static str,
    /// What the key answered.
    pub status: Status,
}

fn while_(doing: &'static str) -> impl Fn(Status) -> OwnerError {
    move |status| OwnerError { doing, status }
}

impl<S: Store> Key<S> {
    pub(crate) fn protocol(&self) -> PinUvAuthProtocol {
        let two = self.profile().pin.protocols.contains(&2);
        if two {
            PinUvAuthProtocol::Two
        } else {
            PinUvAuthProtocol::One
        }
    }

    fn pin_request(&self, sub_command: SubCommand) -> PinRequest {
        PinRequest {
            pin_uv_auth_protocol: Some(self.protocol_number()),
            sub_command: sub_command.code(),
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
        }
    }

    pub(crate) fn protocol_number(&self) -> u64 {
        self.protocol().number().into()
    }

    fn client_pin(&mut self, request: &PinRequest) -> Result<PinResponse, Status> {
        let members = self.command(Command::ClientPin, &request.encode())?;
        if members.is_empty() {
            Ok(PinResponse::default())
        } else {
            PinResponse::decode(&members)
        }
    }

    fn agree(&mut self) -> Result<(CoseKey, SharedSecret), Status> {
        let answer = self.client_pin(&self.pin_request(SubCommand::GetKeyAgreement))?;
        let peer = answer.key_agreement.ok_or(Status::MISSING_PARAMETER)?;
        encapsulate(self.protocol(), &peer, &mut self.rng)
    }

    /// Sets the first PIN, and remembers it.
    ///
    /// # Errors
    /// [`OwnerError`] with the key's status.
    pub fn set_pin(&mut self, pin: &str) -> Result<(), OwnerError> {
        self.try_set_pin(pin).map_err(while_("set a PIN"))?;
        self.owner_pin = Some(Secret::from(pin));
        Ok(())
    }

    fn try_set_pin(&mut self, pin: &str) -> Result<(), Status> {
        let (key_agreement, secret) = self.agree()?;
        let padded = pad_pin(pin).ok_or(Status::PIN_POLICY_VIOLATION)?;
        let enc = secret.encrypt(&padded[..], &mut self.rng)?;
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&enc)),
            new_pin_enc: Some(enc.into()),
            ..self.pin_request(SubCommand::SetPin)
        };
        self.client_pin(&request).map(drop)
    }

    /// Changes the PIN, and remembers the new one.
    pub(crate) fn change_pin(&mut self, old: &str, new: &str) -> Result<(), Status> {
        let (key_agreement, secret) = self.agree()?;
        let padded = pad_pin(new).ok_or(Status::PIN_POLICY_VIOLATION)?;
        let enc = secret.encrypt(&padded[..], &mut self.rng)?;
        let hash = secret.encrypt(&pin_hash(old.as_bytes())[..], &mut self.rng)?;
        let message = [&enc[..], &hash[..]].concat();
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&message)),
            new_pin_enc: Some(enc.into()),
            pin_hash_enc: Some(hash.into()),
            ..self.pin_request(SubCommand::ChangePin)
        };
        self.client_pin(&request)?;
        self.owner_pin = Some(Secret::from(new));
        Ok(())
    }

    /// A token by PIN, of whichever kind the key has.
    pub(crate) fn token(
        &mut self,
        pin: &str,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Vec<u8>, Status> {
        let (key_agreement, secret) = self.agree()?;
        let hash = secret.encrypt(&pin_hash(pin.as_bytes())[..], &mut self.rng)?;
        let modern = self.profile().has_permissions();
        let sub_command = if modern {
            SubCommand::GetPinUvAuthTokenUsingPinWithPermissions
        } else {
            SubCommand::GetPinToken
        };
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_hash_enc: Some(hash.into()),
            permissions: modern.then_some(permissions.0.into()),
            rp_id: rp_id.filter(|_| modern).map(str::to_owned),
            ..self.pin_request(sub_command)
        };
        let answer = self.client_pin(&request)?;
        let token = answer.pin_uv_auth_token.ok_or(Status::MISSING_PARAMETER)?;
        secret.decrypt(&token).map(|token| token.to_vec())
    }

    pub(crate) fn owner_token(
        &mut self,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Status> {
        match self.owner_pin.clone() {
            Some(pin) => self.token(pin.as_str(), permissions, rp_id).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn configure(
        &mut self,
        sub_command: config::SubCommand,
        params: Option<Raw>,
    ) -> Result<(), Status> {
        let token = self.owner_token(Permissions::AUTHENTICATOR_CONFIG, None)?;
        let code = sub_command.code();
        let message = config::authenticated_message(code, params.as_ref());
        let request = config::Request {
            sub_command: code,
            sub_command_params: params,
            pin_uv_auth_protocol: token.is_some().then(|| self.protocol_number()),
            pin_uv_auth_param: token.map(|token| self.protocol().authenticate(&token, &message)),
        };
        self.command(Command::Config, &request.encode()).map(drop)
    }

    /// Switches alwaysUv on, if it is off.
    ///
    /// # Errors
    /// [`OwnerError`] with the key's status.
    pub fn switch_always_uv_on(&mut self) -> Result<(), OwnerError> {
        let on = self.facts().always_uv;
        if on {
            return Ok(());
        }
        self.configure(config::SubCommand::ToggleAlwaysUv, None)
            .map_err(while_("switch alwaysUv on"))
    }

    /// Demands a new PIN before the next use of the old one.
    ///
    /// # Errors
    /// [`OwnerError`] with the key's status.
    pub fn force_pin_change(&mut self) -> Result<(), OwnerError> {
        let params = config::SetMinPinLengthParams {
            force_change_pin: Some(true),
            ..config::SetMinPinLengthParams::default()
        };
        let params = Raw::new(params.encode()).ok();
        self.configure(config::SubCommand::SetMinPinLength, params)
            .map_err(while_("demand a new PIN"))
    }

    /// Enters wrong PINs until the key wants to be plugged in anew (three in a row).
    ///
    /// # Errors
    /// [`OwnerError`], if the key lets itself be asked for ever.
    pub fn exhaust_tries(&mut self, until: Status) -> Result<(), OwnerError> {
        for _ in 0..MANY {
            match self.token(
                "a wrong PIN",
                Permissions::GET_ASSERTION,
                Some("wrong.example"),
            ) {
                Err(status) if status == until => return Ok(()),
                Err(Status::PIN_AUTH_BLOCKED) => self.power_cycle(),
                _ => {}
            }
        }
        Err(OwnerError {
            doing: "use up the tries",
            status: Status::OTHER,
        })
    }
}
