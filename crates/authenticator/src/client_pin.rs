//! CTAP 2.3 §6.5 authenticatorClientPIN: PINs, and the tokens that they and fingers give.

use ctap::client_pin::{Permissions, Request, Response, SubCommand};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret};
use ctap::{SecretBytes, Status};

use crate::authenticator::{Authenticator, Env, Handled, Pending, Step};
use crate::crypto;
use crate::presence::{Purpose, UserPresent, UserVerified};
use crate::state::{Change, Config, MAX_PIN_RETRIES, MAX_UV_RETRIES};
use crate::token::{Limits, PinUvAuthToken, Scope};

const PERSISTENT: Permissions = Permissions::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY;

/// getPinUvAuthTokenUsingUvWithPermissions, while the person is asked for a finger.
pub(crate) struct TokenRequest {
    secret: SharedSecret,
    scope: Scope,
}

/// Which way a token is asked for: the authorization differs (§6.5.5.7.2 and .3 step 4).
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Pin,
    Uv,
}

impl Authenticator {
    /// Handles authenticatorClientPIN.
    pub(crate) fn client_pin(&mut self, parameters: &[u8], env: &mut Env<'_>) -> Handled {
        let has = &self.profile.options;
        let (client_pin, uv, permissions) = (has.client_pin, has.uv, has.pin_uv_auth_token);
        if !client_pin && !uv {
            return Err(Status::INVALID_COMMAND);
        }
        let request = Request::decode(parameters)?;
        match SubCommand::try_from(request.sub_command)? {
            SubCommand::GetKeyAgreement => self.get_key_agreement(&request, env),
            SubCommand::GetPinRetries if client_pin => self.get_pin_retries(),
            SubCommand::SetPin if client_pin => self.set_pin(&request, env),
            SubCommand::ChangePin if client_pin => self.change_pin(&request, env),
            SubCommand::GetPinToken if client_pin => self.get_pin_token(&request, env),
            SubCommand::GetPinUvAuthTokenUsingPinWithPermissions if client_pin && permissions => {
                self.get_pin_uv_auth_token_using_pin_with_permissions(&request, env)
            }
            SubCommand::GetPinUvAuthTokenUsingUvWithPermissions if uv && permissions => {
                self.get_pin_uv_auth_token_using_uv_with_permissions(&request, env)
            }
            SubCommand::GetUvRetries if uv => {
                let retries = self.state.uv_retries();
                Ok(answer(&Response {
                    uv_retries: Some(retries.into()),
                    ..Response::default()
                }))
            }
            _ => Err(Status::INVALID_SUBCOMMAND),
        }
    }

    /// §6.5.5.2 getPINRetries.
    fn get_pin_retries(&self) -> Handled {
        if self.state.pin().is_none() && !self.profile.pin.retries_without_pin {
            return Err(Status::PIN_NOT_SET);
        }
        Ok(answer(&Response {
            pin_retries: Some(self.state.pin_retries().into()),
            power_cycle_state: Some(self.needs_power_cycle()),
            ..Response::default()
        }))
    }

    /// §6.5.5.4 getKeyAgreement.
    fn get_key_agreement(&mut self, request: &Request, env: &mut Env<'_>) -> Handled {
        let protocol = self.protocol(request.pin_uv_auth_protocol)?;
        let key_agreement = self.key_agreement(protocol, env.rng)?.public_key();
        Ok(answer(&Response {
            key_agreement: Some(key_agreement),
            ..Response::default()
        }))
    }

    /// Steps that all PIN subcommands begin with: the protocol is known, the platform's key is there.
    fn shared_secret(
        &mut self,
        request: &Request,
        env: &mut Env<'_>,
    ) -> Result<SharedSecret, Status> {
        let protocol = self.protocol(request.pin_uv_auth_protocol)?;
        let peer = request
            .key_agreement
            .as_ref()
            .ok_or(Status::MISSING_PARAMETER)?;
        self.key_agreement(protocol, env.rng)?
            .decapsulate(protocol, peer)
    }

    /// §6.5.5.5 setPIN.
    fn set_pin(&mut self, request: &Request, env: &mut Env<'_>) -> Handled {
        // Step 1.
        let (new_pin_enc, param) = (
            need(&request.new_pin_enc)?,
            need(&request.pin_uv_auth_param)?,
        );
        need(&request.key_agreement)?;
        self.protocol(request.pin_uv_auth_protocol)?;
        // Step 3.
        if self.state.pin().is_some() {
            return Err(Status::PIN_AUTH_INVALID);
        }
        // Steps 4 and 5.
        let secret = self.shared_secret(request, env)?;
        if !secret.verify(new_pin_enc, param) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        // Steps 6 to 12.
        let pin = self.new_pin(&secret, new_pin_enc)?;
        let config = Config {
            force_pin_change: false,
            ..self.state.config().clone()
        };
        let mut changes = vec![
            Change::SetPin(pin),
            Change::SetPinRetries(MAX_PIN_RETRIES),
            Change::SetUvRetries(MAX_UV_RETRIES),
            Change::SetConfig(config),
        ];
        changes.extend(self.revoke_persistent_token());
        self.commit(env, &changes)?;
        self.mismatches = 0;
        self.token = None;
        Ok(Step::Reply(Vec::new()))
    }

    /// §6.5.5.6 changePIN.
    fn change_pin(&mut self, request: &Request, env: &mut Env<'_>) -> Handled {
        // Steps 1 and 2.
        let (new_pin_enc, param) = (
            need(&request.new_pin_enc)?,
            need(&request.pin_uv_auth_param)?,
        );
        let pin_hash_enc = need(&request.pin_hash_enc)?;
        need(&request.key_agreement)?;
        self.protocol(request.pin_uv_auth_protocol)?;
        // Step 3.
        self.may_try_pin()?;
        // Steps 4 and 5.
        let secret = self.shared_secret(request, env)?;
        if !secret.verify(&[&new_pin_enc[..], pin_hash_enc].concat(), param) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        // Steps 6 to 8.
        self.check_pin(&secret, pin_hash_enc, env)?;
        // Steps 9 to 14.
        let pin = self.new_pin(&secret, new_pin_enc)?;
        let config = self.state.config();
        let same = self
            .state
            .pin()
            .is_some_and(|old| crypto::equal(&old.hash[..], &pin.hash[..]));
        if config.force_pin_change && same {
            return Err(Status::PIN_POLICY_VIOLATION);
        }
        // Steps 15 to 19.
        let config = Config {
            force_pin_change: false,
            ..config.clone()
        };
        let mut changes = vec![
            Change::SetPin(pin),
            Change::SetPinRetries(MAX_PIN_RETRIES),
            Change::SetConfig(config),
        ];
        changes.extend(self.revoke_persistent_token());
        self.commit(env, &changes)?;
        self.token = None;
        Ok(Step::Reply(Vec::new()))
    }

    /// §6.5.5.7.1 getPinToken, superseded.
    fn get_pin_token(&mut self, request: &Request, env: &mut Env<'_>) -> Handled {
        // Steps 1 and 2.
        let pin_hash_enc = need(&request.pin_hash_enc)?;
        need(&request.key_agreement)?;
        self.protocol(request.pin_uv_auth_protocol)?;
        // Steps 3 and 4; keys of CTAP 2.0 do not know these parameters and pass over them.
        let unexpected = request.permissions.is_some() || request.rp_id.is_some();
        if unexpected && self.profile.has_permissions() {
            return Err(Status::INVALID_PARAMETER);
        }
        // Steps 5 to 10.
        self.may_try_pin()?;
        let secret = self.shared_secret(request, env)?;
        let verified = self.check_pin(&secret, pin_hash_enc, env)?;
        // Step 11: not the error of the newer subcommand, which platforms of CTAP 2.0 do not know.
        if self.state.config().force_pin_change {
            return Err(Status::PIN_INVALID);
        }
        // Steps 12 to 15.
        let none = self.profile.options.no_mc_ga_permissions_with_client_pin;
        let default = Permissions::MAKE_CREDENTIAL | Permissions::GET_ASSERTION;
        let permissions = if none {
            Permissions::default()
        } else {
            default
        };
        self.hand_out_token(
            &secret,
            verified,
            None,
            Scope {
                permissions,
                rp_id: None,
            },
            env,
        )
    }

    /// §6.5.5.7.2 getPinUvAuthTokenUsingPinWithPermissions.
    fn get_pin_uv_auth_token_using_pin_with_permissions(
        &mut self,
        request: &Request,
        env: &mut Env<'_>,
    ) -> Handled {
        // Steps 1 to 4.
        let pin_hash_enc = need(&request.pin_hash_enc)?;
        let scope = self.scope(request, By::Pin)?;
        // Steps 5 to 10.
        self.may_try_pin()?;
        let secret = self.shared_secret(request, env)?;
        let verified = self.check_pin(&secret, pin_hash_enc, env)?;
        // Step 11.
        if self.state.config().force_pin_change {
            return Err(Status::PIN_POLICY_VIOLATION);
        }
        // Steps 13 to 17.
        self.hand_out_token(&secret, verified, None, scope, env)
    }

    /// §6.5.5.7.3 getPinUvAuthTokenUsingUvWithPermissions.
    fn get_pin_uv_auth_token_using_uv_with_permissions(
        &mut self,
        request: &Request,
        env: &mut Env<'_>,
    ) -> Handled {
        // Steps 1 to 4.
        let scope = self.scope(request, By::Uv)?;
        // Step 5.
        if self.uv_option() != Some(true) {
            return Err(Status::NOT_ALLOWED);
        }
        let secret = self.shared_secret(request, env)?;
        // Step 6.
        let internal_retry = self.profile.built_in_uv.preferred_platform_uv_attempts <= 1;
        // Steps 7 and 9.
        let purpose = Purpose::Token {
            rp_id: scope.rp_id.clone(),
        };
        let command = Pending::Token(Box::new(TokenRequest { secret, scope }));
        self.perform_built_in_uv(command, purpose, internal_retry, env.now)
    }

    /// §6.5.5.7.3 steps 12 to 16.
    pub(crate) fn token_verified(
        &mut self,
        request: &TokenRequest,
        (verified, present): (UserVerified, UserPresent),
        env: &mut Env<'_>,
    ) -> Handled {
        self.hand_out_token(
            &request.secret,
            verified,
            Some(present),
            request.scope.clone(),
            env,
        )
    }

    /// What the request asks a token for, if it may.
    fn scope(&self, request: &Request, by: By) -> Result<Scope, Status> {
        // Step 1; the RP ID is mandatory for what is done for a relying party (§6.5.5.7, table).
        need(&request.key_agreement)?;
        let bits = *need(&request.permissions)?;
        self.protocol(request.pin_uv_auth_protocol)?;
        // Step 3.
        if bits == 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        // Undefined permissions are passed over.
        let permissions = Permissions((bits & 0x7f) as u8);
        // The persistent token is for one thing only (CTAP 2.2).
        if permissions.contains(PERSISTENT) && permissions != PERSISTENT {
            return Err(Status::UNAUTHORIZED_PERMISSION);
        }
        for (permission, authorized) in self.authorizations(by) {
            if permissions.contains(permission) && !authorized {
                return Err(Status::UNAUTHORIZED_PERMISSION);
            }
        }
        let for_rp = Permissions::MAKE_CREDENTIAL | Permissions::GET_ASSERTION;
        if permissions.0 & for_rp.0 != 0 && request.rp_id.is_none() {
            return Err(Status::MISSING_PARAMETER);
        }
        Ok(Scope {
            permissions,
            rp_id: request.rp_id.clone(),
        })
    }

    /// Step 4 of both: which permissions the key gives.
    fn authorizations(&self, by: By) -> [(Permissions, bool); 7] {
        let has = &self.profile.options;
        let mc_ga = by == By::Uv || !has.no_mc_ga_permissions_with_client_pin;
        let config = if by == By::Uv {
            has.uv_acfg
        } else {
            has.authnr_cfg
        };
        let enrolment = if by == By::Uv {
            has.uv_bio_enroll
        } else {
            has.bio_enroll
        };
        [
            (Permissions::MAKE_CREDENTIAL, mc_ga),
            (Permissions::GET_ASSERTION, mc_ga),
            (Permissions::CREDENTIAL_MANAGEMENT, has.cred_mgmt),
            (Permissions::AUTHENTICATOR_CONFIG, config),
            (Permissions::BIO_ENROLLMENT, enrolment),
            (Permissions::LARGE_BLOB_WRITE, has.large_blobs),
            (PERSISTENT, has.per_cred_mgmt_ro),
        ]
    }

    fn hand_out_token(
        &mut self,
        secret: &SharedSecret,
        verified: UserVerified,
        present: Option<UserPresent>,
        scope: Scope,
        env: &mut Env<'_>,
    ) -> Handled {
        // §6.5.5.7.2 step 12 and .3 step 11: the persistent token leaves the other one alone.
        if scope.permissions == PERSISTENT {
            let token = self.grant_persistent_token(env)?;
            return token_answer(secret, &token.0, env);
        }
        let protocol: PinUvAuthProtocol = secret.protocol();
        let contactless = !self
            .profile
            .transports
            .iter()
            .any(|transport| transport == "usb");
        let limits = self
            .profile
            .has_permissions()
            .then(|| Limits::new(contactless));
        let token = PinUvAuthToken::begin_using_pin_uv_auth_token(
            protocol, verified, present, scope, limits, env.now, env.rng,
        );
        let answer = token_answer(secret, token.value(), env)?;
        self.token = Some(token);
        Ok(answer)
    }
}

fn token_answer(
    secret: &SharedSecret,
    token: &[u8; 32],
    env: &mut Env<'_>,
) -> Result<Step, Status> {
    let encrypted = secret.encrypt(token, env.rng)?;
    Ok(answer(&Response {
        pin_uv_auth_token: Some(SecretBytes::from(encrypted)),
        ..Response::default()
    }))
}

fn need<T>(parameter: &Option<T>) -> Result<&T, Status> {
    parameter.as_ref().ok_or(Status::MISSING_PARAMETER)
}

fn answer(response: &Response) -> Step {
    Step::Reply(response.encode())
}
