//! PINs and tokens, as a platform handles them (CTAP 2.3 §6.5).

use ctap::client_pin::{Permissions, Request, Response, SubCommand};
use ctap::pin_protocol::{
    PADDED_PIN_LENGTH, PinUvAuthProtocol, SharedSecret, encapsulate, pin_hash,
};
use ctap::{Command, SecretBytes, Status};
use webauthn::cose::CoseKey;

use crate::bench::{Bench, PIN, parsed, present};
use crate::check::{Outcome, failed, not_applicable};

/// A token and the protocol it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) protocol: PinUvAuthProtocol,
    pub(crate) value: Vec<u8>,
}

impl Token {
    /// pinUvAuthParam over a message.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.protocol.authenticate(&self.value, message)
    }

    /// The protocol's number.
    pub(crate) fn number(&self) -> u64 {
        self.protocol.number().into()
    }
}

/// The permission mc.
pub(crate) const MC: Permissions = Permissions::MAKE_CREDENTIAL;
/// The permission ga.
pub(crate) const GA: Permissions = Permissions::GET_ASSERTION;
/// The permission cm.
pub(crate) const CM: Permissions = Permissions::CREDENTIAL_MANAGEMENT;
/// The permission be.
pub(crate) const BE: Permissions = Permissions::BIO_ENROLLMENT;
/// The permission lbw.
pub(crate) const LBW: Permissions = Permissions::LARGE_BLOB_WRITE;
/// The permission acfg.
pub(crate) const ACFG: Permissions = Permissions::AUTHENTICATOR_CONFIG;
/// The permission pcmr.
pub(crate) const PCMR: Permissions = Permissions::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY;

impl Bench<'_> {
    /// A clientPIN request with nothing but its subcommand.
    pub(crate) fn pin_request(&self, command: SubCommand) -> Request {
        Request {
            pin_uv_auth_protocol: Some(self.protocol.number().into()),
            sub_command: command.code(),
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
        }
    }

    /// Sends a clientPIN request; its status.
    pub(crate) fn pin_status(&mut self, request: &Request) -> Outcome<Status> {
        Ok(self.send(Command::ClientPin, &request.encode())?.0)
    }

    /// Sends a clientPIN request that must work.
    pub(crate) fn pin_call(&mut self, request: &Request) -> Outcome<Response> {
        let members = self.call(Command::ClientPin, &request.encode())?;
        if members.is_empty() {
            return Ok(Response::default());
        }
        parsed("clientPIN", Response::decode(&members))
    }

    /// The key-agreement key of the key.
    pub(crate) fn key_agreement(&mut self) -> Outcome<CoseKey> {
        let response = self.pin_call(&self.pin_request(SubCommand::GetKeyAgreement))?;
        present("keyAgreement", response.key_agreement)
    }

    /// A key agreement: the platform's key, and the secret that both share.
    pub(crate) fn agree(&mut self) -> Outcome<(CoseKey, SharedSecret)> {
        let peer = self.key_agreement()?;
        let agreed = encapsulate(self.protocol, &peer, &mut self.rng);
        parsed("getKeyAgreement", agreed)
    }

    /// Encrypted under the shared secret.
    pub(crate) fn sealed(&mut self, secret: &SharedSecret, plain: &[u8]) -> Outcome<Vec<u8>> {
        parsed("encrypt", secret.encrypt(plain, &mut self.rng))
    }

    /// A setPIN request for these padded bytes.
    pub(crate) fn set_pin_padded(&mut self, padded: &[u8]) -> Outcome<Request> {
        let (key_agreement, secret) = self.agree()?;
        let new_pin_enc = self.sealed(&secret, padded)?;
        Ok(Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&new_pin_enc)),
            new_pin_enc: Some(SecretBytes::from(new_pin_enc)),
            ..self.pin_request(SubCommand::SetPin)
        })
    }

    /// A setPIN request.
    pub(crate) fn set_pin_request(&mut self, pin: &str) -> Outcome<Request> {
        self.set_pin_padded(&padded(pin.as_bytes()))
    }

    /// A changePIN request.
    pub(crate) fn change_pin_request(&mut self, old: &str, new: &str) -> Outcome<Request> {
        let (key_agreement, secret) = self.agree()?;
        let new_pin_enc = self.sealed(&secret, &padded(new.as_bytes()))?;
        let pin_hash_enc = self.sealed(&secret, &pin_hash(old.as_bytes())[..])?;
        let param = secret.authenticate(&[&new_pin_enc[..], &pin_hash_enc].concat());
        Ok(Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(param),
            new_pin_enc: Some(SecretBytes::from(new_pin_enc)),
            pin_hash_enc: Some(SecretBytes::from(pin_hash_enc)),
            ..self.pin_request(SubCommand::ChangePin)
        })
    }

    /// The status of setting a PIN.
    pub(crate) fn try_set_pin(&mut self, pin: &str) -> Outcome<Status> {
        let request = self.set_pin_request(pin)?;
        self.pin_status(&request)
    }

    /// The status of changing the PIN.
    pub(crate) fn try_change_pin(&mut self, old: &str, new: &str) -> Outcome<Status> {
        let request = self.change_pin_request(old, new)?;
        self.pin_status(&request)
    }

    /// Sets the PIN, once for each check.
    pub(crate) fn set_pin(&mut self) -> Outcome {
        if self.pin.is_some() {
            return Ok(());
        }
        if self.option("clientPin").is_none() {
            return not_applicable("the key has no PIN");
        }
        let request = self.set_pin_request(PIN)?;
        self.pin_call(&request)?;
        self.pin = Some(PIN.to_owned());
        Ok(())
    }

    /// A request for a token by PIN: 0x09 with permissions, 0x05 without.
    pub(crate) fn token_request(
        &mut self,
        pin: &str,
        permissions: Option<u64>,
        rp_id: Option<&str>,
    ) -> Outcome<(Request, SharedSecret)> {
        let (key_agreement, secret) = self.agree()?;
        let pin_hash_enc = self.sealed(&secret, &pin_hash(pin.as_bytes())[..])?;
        let command = match permissions {
            Some(_) => SubCommand::GetPinUvAuthTokenUsingPinWithPermissions,
            None => SubCommand::GetPinToken,
        };
        let request = Request {
            key_agreement: Some(key_agreement),
            pin_hash_enc: Some(SecretBytes::from(pin_hash_enc)),
            permissions,
            rp_id: rp_id.map(str::to_owned),
            ..self.pin_request(command)
        };
        Ok((request, secret))
    }

    /// The token that a request gives.
    pub(crate) fn token_of(&mut self, request: &Request, secret: &SharedSecret) -> Outcome<Token> {
        let response = self.pin_call(request)?;
        let sealed = present("pinUvAuthToken", response.pin_uv_auth_token)?;
        let value = parsed("pinUvAuthToken", secret.decrypt(&sealed))?.to_vec();
        let protocol = secret.protocol();
        let fits = match protocol {
            PinUvAuthProtocol::One => matches!(value.len(), 16 | 32),
            PinUvAuthProtocol::Two => value.len() == 32,
        };
        if !fits {
            return failed(format!("a token of {} bytes", value.len()));
        }
        Ok(Token { protocol, value })
    }

    /// The status of asking for a token by this PIN, by the oldest way the key has.
    pub(crate) fn try_pin(&mut self, pin: &str) -> Outcome<Status> {
        let (request, _) = self.token_request(pin, None, None)?;
        self.pin_status(&request)
    }

    /// Asks for a token as permissions want it; 0x05 on keys without permissions.
    pub(crate) fn token(&mut self, permissions: Permissions, rp: Option<&str>) -> Outcome<Token> {
        self.set_pin()?;
        let pin = self.pin.clone().unwrap_or_default();
        let bits = (self.option("pinUvAuthToken") == Some(true)).then_some(permissions.0.into());
        let rp = rp.filter(|_| bits.is_some());
        let (request, secret) = self.token_request(&pin, bits, rp)?;
        self.token_of(&request, &secret)
    }

    /// The status of asking for a token with permissions.
    pub(crate) fn try_token(&mut self, permissions: u64, rp: Option<&str>) -> Outcome<Status> {
        self.set_pin()?;
        let pin = self.pin.clone().unwrap_or_default();
        let (request, _) = self.token_request(&pin, Some(permissions), rp)?;
        self.pin_status(&request)
    }

    /// A request for a token by built-in user verification.
    pub(crate) fn uv_token_request(
        &mut self,
        permissions: Permissions,
        rp: Option<&str>,
    ) -> Outcome<(Request, SharedSecret)> {
        let (key_agreement, secret) = self.agree()?;
        let request = Request {
            key_agreement: Some(key_agreement),
            permissions: Some(permissions.0.into()),
            rp_id: rp.map(str::to_owned),
            ..self.pin_request(SubCommand::GetPinUvAuthTokenUsingUvWithPermissions)
        };
        Ok((request, secret))
    }

    /// The PIN retries now.
    pub(crate) fn retries(&mut self) -> Outcome<u64> {
        let response = self.pin_call(&self.pin_request(SubCommand::GetPinRetries))?;
        present("pinRetries", response.pin_retries)
    }

    /// The retries of built-in user verification now.
    pub(crate) fn uv_retries(&mut self) -> Outcome<u64> {
        let response = self.pin_call(&self.pin_request(SubCommand::GetUvRetries))?;
        present("uvRetries", response.uv_retries)
    }
}

/// A PIN as it is sent: 64 bytes, or more if it is longer than a PIN may be.
pub(crate) fn padded(pin: &[u8]) -> Vec<u8> {
    let mut padded = pin.to_vec();
    let length = pin.len().next_multiple_of(PADDED_PIN_LENGTH);
    padded.resize(length.max(PADDED_PIN_LENGTH), 0);
    padded
}
