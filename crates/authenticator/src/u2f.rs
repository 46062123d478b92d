//! CTAP1/U2F (FIDO U2F Raw Message Formats v1.2; CTAP 2.3 §7.2.4 for alwaysUv).
//!
//! U2F has no wait: without a touch the answer is "conditions not satisfied", and the platform asks
//! again until there was one.

use core::time::Duration;

use ctap::iso7816::StatusWord;
use ctap::u2f::{
    self, AuthenticateResponse, Control, RegisterResponse, Request, authenticate_signed_data,
    register_signed_data,
};
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::authenticator::{Authenticator, Channel, Env};
use crate::credential::{self, CredProtect};
use crate::crypto::{CryptoError, SigningKey};
use crate::presence::{self, Interaction, Purpose, UserEvent, UserPresent};
use crate::state::Change;

/// ISO 7816-4: command not allowed.
const COMMAND_NOT_ALLOWED: StatusWord = StatusWord(0x6986);

/// How long a touch counts for the request that comes after it.
const TOUCH_TIME_LIMIT: Duration = Duration::from_secs(10);

/// A touch that a U2F request asked for.
pub(crate) struct U2fTouch {
    channel: Channel,
    interaction: Interaction,
    present: Option<UserPresent>,
    over: Duration,
}

impl U2fTouch {
    pub(crate) fn is_touched(&self) -> bool {
        self.present.is_some()
    }

    pub(crate) fn interaction(&self) -> &Interaction {
        &self.interaction
    }

    pub(crate) fn is_over(&self, now: Duration) -> bool {
        now >= self.over
    }
}

impl Authenticator {
    /// Handles a U2F request APDU; the answer ends with a status word.
    pub fn handle_u2f(&mut self, channel: Channel, apdu: &[u8], env: &mut Env<'_>) -> Vec<u8> {
        self.u2f_touch.take_if(|touch| touch.is_over(env.now));
        self.u2f_request(channel, apdu, env)
            .map_or_else(u2f::failure, u2f::success)
    }

    fn u2f_request(
        &mut self,
        channel: Channel,
        apdu: &[u8],
        env: &mut Env<'_>,
    ) -> Result<Vec<u8>, StatusWord> {
        if !self.profile.ctap1 {
            return Err(StatusWord::INS_NOT_SUPPORTED);
        }
        match Request::decode(apdu)? {
            Request::Version => Ok(b"U2F_V2".to_vec()),
            // §7.2.4: U2F cannot verify the user, so it is off while alwaysUv is on.
            _ if self.always_uv_option() == Some(true) => Err(COMMAND_NOT_ALLOWED),
            Request::Register {
                challenge,
                application,
            } => {
                let present = self.u2f_presence(channel, Purpose::U2fRegister, env.now)?;
                self.u2f_register(&challenge, &application, present, env)
            }
            Request::Authenticate {
                control,
                challenge,
                application,
                key_handle,
            } => self.u2f_authenticate(
                channel,
                control,
                (&challenge, &application),
                key_handle,
                env,
            ),
        }
    }

    /// A touch for U2F; it answers no request by itself.
    pub(crate) fn user_of_u2f(&mut self, event: UserEvent, now: Duration) {
        match (event, &mut self.u2f_touch) {
            (UserEvent::Deny | UserEvent::Cancel | UserEvent::Timeout, wait) => *wait = None,
            (event, Some(wait)) => {
                wait.present = presence::touch(event);
                wait.over = now + TOUCH_TIME_LIMIT;
            }
            (_, None) => {}
        }
    }

    /// The touch of this channel, used up; or a request for one.
    fn u2f_presence(
        &mut self,
        channel: Channel,
        purpose: Purpose,
        now: Duration,
    ) -> Result<UserPresent, StatusWord> {
        if let Some(wait) = self
            .u2f_touch
            .take_if(|wait| wait.channel == channel && wait.is_touched())
        {
            return wait.present.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        // Another channel's touch is not for taking.
        if self
            .u2f_touch
            .as_ref()
            .is_none_or(|wait| wait.channel == channel || !wait.is_touched())
        {
            let deadline = now + self.profile.touch_timeout();
            let interaction = Interaction::Touch { purpose, deadline };
            self.u2f_touch = Some(U2fTouch {
                channel,
                interaction,
                present: None,
                over: deadline,
            });
        }
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }

    fn u2f_register(
        &mut self,
        challenge: &[u8; 32],
        application: &[u8; 32],
        _present: UserPresent,
        env: &mut Env<'_>,
    ) -> Result<Vec<u8>, StatusWord> {
        let failed = |CryptoError| StatusWord::UNKNOWN_ERROR;
        let (material, key) =
            SigningKey::generate(CoseAlgorithm::ES256, env.rng).map_err(failed)?;
        let key_handle = credential::seal(
            self.state.secrets(),
            application,
            &material,
            credential::Traits::default(),
            env.rng,
        )
        .map_err(failed)?;
        let public_key = point(&key.public_key()).ok_or(StatusWord::UNKNOWN_ERROR)?;
        let signed = register_signed_data(application, challenge, &key_handle, &public_key);
        let signature = self.attester.sign(&signed).map_err(failed)?;
        let attestation_certificate = self.attester.certificate().map_err(failed)?.to_vec();
        let response = RegisterResponse {
            public_key,
            key_handle,
            attestation_certificate,
            signature,
        };
        response.encode().ok_or(StatusWord::UNKNOWN_ERROR)
    }

    fn u2f_authenticate(
        &mut self,
        channel: Channel,
        control: Control,
        (challenge, application): (&[u8; 32], &[u8; 32]),
        key_handle: Vec<u8>,
        env: &mut Env<'_>,
    ) -> Result<Vec<u8>, StatusWord> {
        let descriptor = ctap::entities::CredentialDescriptor {
            id: key_handle,
            type_: ctap::entities::PUBLIC_KEY.to_owned(),
            transports: None,
        };
        // U2F knows one algorithm, and cannot verify the user.
        let source = self
            .find_credential(&descriptor, application)
            .filter(|source| source.key.algorithm == CoseAlgorithm::ES256)
            .filter(|source| source.cred_protect != CredProtect::UserVerificationRequired)
            .ok_or(StatusWord::WRONG_DATA)?;
        let present = match control {
            Control::CheckOnly => return Err(StatusWord::CONDITIONS_NOT_SATISFIED),
            Control::EnforceUserPresence => {
                Some(self.u2f_presence(channel, Purpose::U2fAuthenticate, env.now)?)
            }
            Control::DontEnforceUserPresence => None,
        };
        let key = self
            .signing_key(&source)
            .map_err(|_| StatusWord::UNKNOWN_ERROR)?;
        let counter = self
            .state
            .counter()
            .checked_add(1)
            .ok_or(StatusWord::UNKNOWN_ERROR)?;
        self.commit(env, &[Change::SetCounter(counter)])
            .map_err(|_| StatusWord::UNKNOWN_ERROR)?;
        let user_presence = presence::flags(present, None).0;
        let signed = authenticate_signed_data(application, user_presence, counter, challenge);
        let signature = key
            .sign(&signed)
            .map_err(|CryptoError| StatusWord::UNKNOWN_ERROR)?;
        Ok(AuthenticateResponse {
            user_presence,
            counter,
            signature,
        }
        .encode())
    }
}

/// The public key as U2F has it: SEC 1, uncompressed.
pub(crate) fn point(key: &CoseKey) -> Option<[u8; 65]> {
    match key {
        CoseKey::Ec2 { x, y, .. } => [&[4], &x[..], &y[..]].concat().try_into().ok(),
        _ => None,
    }
}
