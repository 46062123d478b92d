//! CTAP 2.3 §6.11 authenticatorConfig.

use ctap::Status;
use ctap::client_pin::Permissions;
use ctap::config::{Request, SetMinPinLengthParams, SubCommand, authenticated_message};

use crate::authenticator::{Authenticator, Env, Handled, Step};
use crate::pin::MAX_PIN_BYTES;
use crate::profile::Extension;
use crate::state::{Change, Config};

/// The subcommands that this key knows.
pub(crate) const SUB_COMMANDS: [SubCommand; 4] = [
    SubCommand::EnableEnterpriseAttestation,
    SubCommand::ToggleAlwaysUv,
    SubCommand::SetMinPinLength,
    SubCommand::EnableLongTouchForReset,
];

impl Authenticator {
    /// Whether the profile has what the subcommand sets.
    pub(crate) fn supports_config(&self, command: SubCommand) -> bool {
        let has = &self.profile.options;
        match command {
            SubCommand::EnableEnterpriseAttestation => has.ep,
            SubCommand::ToggleAlwaysUv => has.always_uv.is_some(),
            SubCommand::SetMinPinLength => has.set_min_pin_length,
            SubCommand::EnableLongTouchForReset => self.profile.reset.long_touch,
            SubCommand::VendorPrototype => false,
        }
    }

    /// Handles authenticatorConfig.
    pub(crate) fn config(&mut self, parameters: &[u8], env: &mut Env<'_>) -> Handled {
        if !self.profile.options.authnr_cfg {
            return Err(Status::INVALID_COMMAND);
        }
        let request = Request::decode(parameters)?;
        // A subcommand that is not there is an invalid parameter here (not in clientPIN).
        let command = SubCommand::try_from(request.sub_command)
            .ok()
            .filter(|command| self.supports_config(*command))
            .ok_or(Status::INVALID_PARAMETER)?;
        self.authorize_config(command, &request)?;
        let config = self.state.config().clone();
        let config = match command {
            SubCommand::EnableEnterpriseAttestation => Config {
                enterprise_attestation: true,
                ..config
            },
            SubCommand::ToggleAlwaysUv => Config {
                always_uv: self.always_uv_option().map(|on| !on),
                ..config
            },
            SubCommand::SetMinPinLength => self.set_min_pin_length(config, &request)?,
            // §6.11: there is no way back but a reset.
            SubCommand::EnableLongTouchForReset => Config {
                long_touch_for_reset: true,
                ..config
            },
            SubCommand::VendorPrototype => return Err(Status::INVALID_PARAMETER),
        };
        let forced = config.force_pin_change && !self.state.config().force_pin_change;
        let mut changes = vec![Change::SetConfig(config)];
        if forced {
            changes.extend(self.revoke_persistent_token());
        }
        self.commit(env, &changes)?;
        if forced {
            // What the old PIN gave is of no use any more.
            self.token = None;
        }
        Ok(Step::Reply(Vec::new()))
    }

    /// Whoever protects the key, or keeps it from being used unprotected, must show a token; only
    /// alwaysUv itself can be toggled while there is nothing yet to verify the user by.
    fn authorize_config(&mut self, command: SubCommand, request: &Request) -> Result<(), Status> {
        let open = command == SubCommand::ToggleAlwaysUv || self.always_uv_option() != Some(true);
        if !self.is_protected() && open {
            return Ok(());
        }
        let param = request
            .pin_uv_auth_param
            .as_ref()
            .ok_or(Status::PUAT_REQUIRED)?;
        let protocol = self.protocol(request.pin_uv_auth_protocol)?;
        let message =
            authenticated_message(request.sub_command, request.sub_command_params.as_ref());
        self.verify_token(protocol, &message, param, Permissions::AUTHENTICATOR_CONFIG)
            .map(drop)
    }

    /// §6.11.4 setMinPINLength.
    fn set_min_pin_length(&self, config: Config, request: &Request) -> Result<Config, Status> {
        let params = match &request.sub_command_params {
            Some(params) => SetMinPinLengthParams::decode(params.as_bytes())?,
            None => SetMinPinLengthParams::default(),
        };
        let current = self.min_pin_length();
        let wanted = params.new_min_pin_length.unwrap_or(current.into());
        // The minimum only grows, up to what a PIN can have.
        let new_min_pin_length = u8::try_from(wanted)
            .ok()
            .filter(|length| *length >= current && usize::from(*length) <= MAX_PIN_BYTES)
            .ok_or(Status::PIN_POLICY_VIOLATION)?;
        let mut force_pin_change = params.force_change_pin.unwrap_or(false);
        match self.state.pin() {
            None if force_pin_change => return Err(Status::PIN_NOT_SET),
            Some(pin) if pin.code_points < new_min_pin_length => force_pin_change = true,
            _ => {}
        }
        let min_pin_length_rp_ids = match params.min_pin_length_rp_ids {
            Some(_) if !self.profile.has(Extension::MinPinLength) => {
                return Err(Status::INVALID_PARAMETER);
            }
            Some(rp_ids) if rp_ids.len() > usize::from(self.profile.pin.max_rp_ids) => {
                return Err(Status::KEY_STORE_FULL);
            }
            Some(rp_ids) => rp_ids,
            None => config.min_pin_length_rp_ids.clone(),
        };
        // CTAP 2.3: the policy is switched on for good. Whether the PIN that is set would pass cannot
        // be told from its hash, so it must be changed.
        let mut pin_complexity_policy = config.pin_complexity_policy;
        if params.pin_complexity_policy == Some(true) {
            let enforced = self.pin_complexity_option();
            force_pin_change |=
                !enforced.ok_or(Status::INVALID_PARAMETER)? && self.state.pin().is_some();
            pin_complexity_policy = true;
        }
        Ok(Config {
            min_pin_length: (new_min_pin_length != self.profile.pin.min_length)
                .then_some(new_min_pin_length),
            min_pin_length_rp_ids,
            pin_complexity_policy,
            force_pin_change: config.force_pin_change || force_pin_change,
            ..config
        })
    }
}
