//! CTAP 2.3 §6.11 authenticatorConfig: look, set what differs, read back.

use ctap::config::{Request, SetMinPinLengthParams, SubCommand, authenticated_message};
use ctap::{Command, Raw};

use super::{ManageError, Manager, Token};

/// What a setter did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The key was so already; nothing was sent.
    Already,
    /// The key has been changed, and says so itself.
    Done,
}

impl Manager<'_> {
    /// Whether alwaysUv is on.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`] on keys that have no such option.
    pub fn always_uv(&self) -> Result<bool, ManageError> {
        self.options()
            .always_uv
            .ok_or(ManageError::NotSupported("demand verification always"))
    }

    /// §6.11.2: switches alwaysUv on or off. The command only toggles, so the key is asked first.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn set_always_uv(
        &mut self,
        on: bool,
        token: Option<&Token>,
    ) -> Result<Change, ManageError> {
        self.refresh()?;
        if self.always_uv()? == on {
            return Ok(Change::Already);
        }
        let doing = "change alwaysUv";
        self.config(doing, SubCommand::ToggleAlwaysUv, None, token)?;
        if self.always_uv()? == on {
            Ok(Change::Done)
        } else {
            Err(ManageError::NotAsSaid("alwaysUv is as it was"))
        }
    }

    /// The least length of a PIN in code points.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`] on keys where it cannot be set.
    pub fn min_pin_length(&self) -> Result<u64, ManageError> {
        if self.options().set_min_pin_length != Some(true) {
            return Err(ManageError::NotSupported("have another least PIN length"));
        }
        Ok(super::pin_policy(&self.info).min_length)
    }

    /// §6.11.4 setMinPINLength: it can only grow.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn set_min_pin_length(
        &mut self,
        least: u64,
        token: Option<&Token>,
    ) -> Result<Change, ManageError> {
        self.refresh()?;
        if self.min_pin_length()? == least {
            return Ok(Change::Already);
        }
        let params = SetMinPinLengthParams {
            new_min_pin_length: Some(least),
            ..SetMinPinLengthParams::default()
        };
        let doing = "change the least PIN length";
        self.set_min_pin(doing, &params, token)?;
        if self.min_pin_length()? == least {
            Ok(Change::Done)
        } else {
            Err(ManageError::NotAsSaid("the least PIN length is another"))
        }
    }

    /// §6.11.4 setMinPINLength with forceChangePin: the PIN must be changed before its next use.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn force_pin_change(&mut self, token: Option<&Token>) -> Result<Change, ManageError> {
        self.refresh()?;
        self.min_pin_length()?;
        if self.info.force_pin_change == Some(true) {
            return Ok(Change::Already);
        }
        let params = SetMinPinLengthParams {
            force_change_pin: Some(true),
            ..SetMinPinLengthParams::default()
        };
        self.set_min_pin("demand another PIN", &params, token)?;
        if self.info.force_pin_change == Some(true) {
            Ok(Change::Done)
        } else {
            Err(ManageError::NotAsSaid("it does not demand another PIN"))
        }
    }

    /// Whether enterprise attestation is on.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`] on keys that have no such thing.
    pub fn enterprise_attestation(&self) -> Result<bool, ManageError> {
        self.options()
            .ep
            .ok_or(ManageError::NotSupported("do enterprise attestation"))
    }

    /// §6.11.1 enableEnterpriseAttestation. Only a reset takes it back.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn enable_enterprise_attestation(
        &mut self,
        token: Option<&Token>,
    ) -> Result<Change, ManageError> {
        self.refresh()?;
        if self.enterprise_attestation()? {
            return Ok(Change::Already);
        }
        let doing = "enable enterprise attestation";
        self.config(doing, SubCommand::EnableEnterpriseAttestation, None, token)?;
        match self.options().ep {
            Some(true) => Ok(Change::Done),
            _ => Err(ManageError::NotAsSaid("enterprise attestation is off")),
        }
    }

    fn set_min_pin(
        &mut self,
        doing: &'static str,
        params: &SetMinPinLengthParams,
        token: Option<&Token>,
    ) -> Result<(), ManageError> {
        let params = Raw::new(params.encode())
            .map_err(|_| ManageError::BadReply("no message could be made for it"))?;
        self.config(doing, SubCommand::SetMinPinLength, Some(params), token)
    }

    /// Sends one subcommand, and asks the key what it is now.
    fn config(
        &mut self,
        doing: &'static str,
        sub_command: SubCommand,
        params: Option<Raw>,
        token: Option<&Token>,
    ) -> Result<(), ManageError> {
        if self.options().authnr_cfg != Some(true) {
            return Err(ManageError::NotSupported("be configured"));
        }
        let code = sub_command.code();
        let message = authenticated_message(code, params.as_ref());
        let request = Request {
            sub_command: code,
            sub_command_params: params,
            pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
            pin_uv_auth_param: token.map(|token| token.sign(&message)),
        };
        self.command(doing, Command::Config, &request.encode())?;
        self.refresh()
    }
}
