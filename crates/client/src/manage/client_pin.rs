//! CTAP 2.3 §6.5 authenticatorClientPIN: tries left, setting, changing and proving the PIN.

use ctap::client_pin::{Permissions, Request, Response, SubCommand};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret, encapsulate, pad_pin, pin_hash};
use ctap::{Command, Status, get_info};
use webauthn::cose::CoseKey;
use zeroize::Zeroizing;

use super::{ManageError, Manager, Token};
use crate::pin::{MAX_BYTES, MIN_CODE_POINTS, Pin, PinError, PinPolicy};

/// A name that no site has, for tokens that are only to prove the PIN.
const NOBODY: &str = "pinward.invalid";

/// How often a secret may still be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Tries left, all in all.
    pub left: u64,
    /// The key takes no more until it is plugged in anew.
    pub power_cycle: bool,
}

/// What a key demands of a new PIN.
pub fn pin_policy(info: &get_info::Response) -> PinPolicy {
    let default = PinPolicy::default();
    let most = default.max_length;
    PinPolicy {
        min_length: info.min_pin_length.unwrap_or(MIN_CODE_POINTS).min(most),
        max_length: info.max_pin_length.unwrap_or(most).min(most),
        complexity: info.pin_complexity_policy == Some(true),
    }
}

impl Manager<'_> {
    /// Tries left for the PIN. `None` on a key that has no PIN, or keeps the number to itself.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn pin_retries(&mut self) -> Result<Option<Retries>, ManageError> {
        if self.options().client_pin != Some(true) {
            return Ok(None);
        }
        let request = self.pin_request(SubCommand::GetPinRetries);
        let answer = self.client_pin("tell the tries left", &request)?;
        Ok(answer.pin_retries.map(|left| Retries {
            left,
            power_cycle: answer.power_cycle_state == Some(true),
        }))
    }

    /// Tries left for the key's own method of verification, where it has one.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn uv_retries(&mut self) -> Result<Option<u64>, ManageError> {
        if self.options().uv != Some(true) {
            return Ok(None);
        }
        let request = self.pin_request(SubCommand::GetUvRetries);
        match self.client_pin("tell the tries left", &request) {
            Ok(answer) => Ok(answer.uv_retries),
            // CTAP 2.0 keys with a sensor have no such subcommand.
            Err(ManageError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// §6.5.5.5 setPIN: the first PIN.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`] on keys without PIN; else what the key says.
    pub fn set_pin(&mut self, new: &Pin) -> Result<(), ManageError> {
        self.has_pin_support()?;
        let (key_agreement, secret) = self.agree()?;
        let enc = self.new_pin_enc(&secret, new)?;
        let request = Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&enc)),
            new_pin_enc: Some(enc.into()),
            ..self.pin_request(SubCommand::SetPin)
        };
        self.client_pin("set a PIN", &request)
            .map_err(refused_by_policy)?;
        self.refresh()?;
        match self.options().client_pin {
            Some(true) => Ok(()),
            _ => Err(ManageError::NotAsSaid("it still has no PIN")),
        }
    }

    /// §6.5.5.6 changePIN.
    ///
    /// # Errors
    /// What the key says; `PIN_INVALID` cost a try.
    pub fn change_pin(&mut self, old: &Pin, new: &Pin) -> Result<(), ManageError> {
        self.has_pin_support()?;
        let (key_agreement, secret) = self.agree()?;
        let enc = self.new_pin_enc(&secret, new)?;
        let hash = secret
            .encrypt(&pin_hash(old.as_str().as_bytes())[..], self.rng)
            .map_err(broken)?;
        let message = [&enc[..], &hash[..]].concat();
        let request = Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&message)),
            new_pin_enc: Some(enc.into()),
            pin_hash_enc: Some(hash.into()),
            ..self.pin_request(SubCommand::ChangePin)
        };
        self.client_pin("change the PIN", &request)
            .map_err(refused_by_policy)?;
        self.refresh()?;
        if self.info.force_pin_change == Some(true) {
            return Err(ManageError::NotAsSaid("it still wants its PIN changed"));
        }
        Ok(())
    }

    /// Shows whether the PIN is right, by asking for a token that nobody uses.
    ///
    /// # Errors
    /// What the key says; `PIN_INVALID` cost a try.
    pub fn verify_pin(&mut self, pin: &Pin) -> Result<(), ManageError> {
        let options = self.options();
        let permissions = if options.no_mc_ga_permissions_with_client_pin != Some(true) {
            Permissions::GET_ASSERTION
        } else if options.cred_mgmt == Some(true) {
            Permissions::CREDENTIAL_MANAGEMENT
        } else {
            Permissions::AUTHENTICATOR_CONFIG
        };
        self.token_by_pin(pin, permissions).map(drop)
    }

    /// §6.5.5.7.2: a token by PIN, with permissions where the key knows them.
    ///
    /// # Errors
    /// What the key says; `PIN_INVALID` cost a try.
    pub fn token_by_pin(
        &mut self,
        pin: &Pin,
        permissions: Permissions,
    ) -> Result<Token, ManageError> {
        let for_site = permissions.contains(Permissions::GET_ASSERTION);
        self.pin_token(pin, permissions, for_site.then_some(NOBODY))
    }

    pub(super) fn pin_token(
        &mut self,
        pin: &Pin,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Token, ManageError> {
        let (key_agreement, secret) = self.agree()?;
        let hash = secret
            .encrypt(&pin_hash(pin.as_str().as_bytes())[..], self.rng)
            .map_err(broken)?;
        let mut request = if self.options().pin_uv_auth_token == Some(true) {
            Request {
                permissions: Some(permissions.0.into()),
                rp_id: rp_id.map(str::to_owned),
                ..self.pin_request(SubCommand::GetPinUvAuthTokenUsingPinWithPermissions)
            }
        } else {
            self.pin_request(SubCommand::GetPinToken)
        };
        request.key_agreement = Some(key_agreement);
        request.pin_hash_enc = Some(hash.into());
        self.token("take the PIN", &request, &secret)
    }

    /// §6.5.5.7.3: a token by the key's own method of verification.
    ///
    /// # Errors
    /// What the key says.
    pub fn token_by_built_in_uv(&mut self, permissions: Permissions) -> Result<Token, ManageError> {
        self.built_in_token(permissions, None)
    }

    pub(super) fn built_in_token(
        &mut self,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Token, ManageError> {
        if self.options().pin_uv_auth_token != Some(true) {
            return Err(ManageError::NotSupported(
                "be managed by its own method of verification",
            ));
        }
        let (key_agreement, secret) = self.agree()?;
        let request = Request {
            key_agreement: Some(key_agreement),
            permissions: Some(permissions.0.into()),
            rp_id: rp_id.map(str::to_owned),
            ..self.pin_request(SubCommand::GetPinUvAuthTokenUsingUvWithPermissions)
        };
        self.token("verify its user", &request, &secret)
    }

    fn token(
        &mut self,
        doing: &'static str,
        request: &Request,
        secret: &SharedSecret,
    ) -> Result<Token, ManageError> {
        let answer = self.client_pin(doing, request)?;
        let enc = answer
            .pin_uv_auth_token
            .ok_or(ManageError::BadReply("it has no token"))?;
        let value: Zeroizing<Vec<u8>> = secret
            .decrypt(&enc)
            .map_err(|_| ManageError::BadReply("its token does not decrypt"))?;
        Ok(Token {
            protocol: secret.protocol(),
            value,
        })
    }

    fn has_pin_support(&self) -> Result<(), ManageError> {
        match self.options().client_pin {
            Some(_) => Ok(()),
            None => Err(ManageError::NotSupported("have a PIN")),
        }
    }

    fn new_pin_enc(&mut self, secret: &SharedSecret, new: &Pin) -> Result<Vec<u8>, ManageError> {
        let padded = pad_pin(new.as_str()).ok_or(PinError::TooLong {
            bytes: new.as_str().len(),
            most: MAX_BYTES,
        })?;
        secret.encrypt(&padded[..], self.rng).map_err(broken)
    }

    /// Protocol two where the key lists it.
    fn protocol(&self) -> PinUvAuthProtocol {
        let two = u64::from(PinUvAuthProtocol::Two.number());
        match &self.info.pin_uv_auth_protocols {
            Some(listed) if listed.contains(&two) => PinUvAuthProtocol::Two,
            _ => PinUvAuthProtocol::One,
        }
    }

    pub(super) fn pin_request(&self, sub_command: SubCommand) -> Request {
        Request {
            pin_uv_auth_protocol: Some(self.protocol().number().into()),
            sub_command: sub_command.code(),
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
        }
    }

    fn client_pin(
        &mut self,
        doing: &'static str,
        request: &Request,
    ) -> Result<Response, ManageError> {
        let members = self.command(doing, Command::ClientPin, &request.encode())?;
        if members.is_empty() {
            return Ok(Response::default());
        }
        Response::decode(&members)
            .map_err(|_| ManageError::BadReply("authenticatorClientPIN does not read"))
    }

    fn agree(&mut self) -> Result<(CoseKey, SharedSecret), ManageError> {
        let request = self.pin_request(SubCommand::GetKeyAgreement);
        let answer = self.client_pin("agree on a secret", &request)?;
        let peer = answer
            .key_agreement
            .ok_or(ManageError::BadReply("it has no key-agreement key"))?;
        encapsulate(self.protocol(), &peer, self.rng)
            .map_err(|_| ManageError::BadReply("its key-agreement key is not one"))
    }
}

fn broken(_: Status) -> ManageError {
    ManageError::BadReply("no message could be made for it")
}

/// The key has a taste of its own in PINs.
fn refused_by_policy(error: ManageError) -> ManageError {
    match error.status() {
        Some(Status::PIN_POLICY_VIOLATION) => PinError::RefusedByKey.into(),
        _ => error,
    }
}
