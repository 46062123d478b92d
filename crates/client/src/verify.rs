//! CTAP 2.3 §6.5 authenticatorClientPIN, the platform's side: PIN and built-in verification up to the
//! pinUvAuthToken, creating and changing the PIN on the way.

use ctap::client_pin::{Request, Response, SubCommand};
use ctap::pin_protocol::{SharedSecret, encapsulate, pad_pin, pin_hash};
use ctap::{Command, Status};
use rand_core::CryptoRng;
use webauthn::cose::CoseKey;

use crate::ceremony::Ceremony;
use crate::outcome::{Failure, FailureReason};
use crate::pin::{MAX_BYTES, Pin, PinError};
use crate::prompt::{Prompt, UserInput};
use crate::report::{Ended, Party, Reason, Step};
use crate::rules::{BuiltInUvDenied, ForcedPinChange};
use crate::session::{AfterRetries, Session, Token, Wait, bad_reply};
use crate::uv::{Action, PinEntry, Quirk, disposition};

/// What the shared secret is wanted for.
#[derive(Debug)]
pub(crate) enum Agreement {
    /// A token by this PIN.
    Token(Pin),
    /// A token by built-in verification.
    BuiltIn,
    /// Setting this PIN.
    SetPin(Pin),
    /// Changing the PIN.
    ChangePin {
        /// The old one.
        old: Pin,
        /// The new one.
        new: Pin,
    },
    /// The salts of hmac-secret.
    Prf,
}

/// The dialog that is shown.
#[derive(Debug)]
pub(crate) enum Dialog {
    /// Enter the PIN.
    EnterPin,
    /// Create a PIN.
    CreatePin {
        /// With "not now".
        optional: bool,
    },
    /// Change the PIN.
    ChangePin {
        /// The old one, when it has just been entered.
        old: Option<Pin>,
    },
    /// Pick an account.
    Account,
}

/// How often built-in verification is tried where a key does not say.
const BUILT_IN_TRIES: u8 = 3;

impl Session {
    fn client_pin(&mut self, host: &mut Ceremony, request: &Request, wait: Wait) {
        self.send(host, Command::ClientPin, &request.encode(), wait);
    }

    fn request_of(&self, sub_command: SubCommand) -> Request {
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

    // Retries.

    pub(crate) fn ask_pin_retries(&mut self, host: &mut Ceremony, after: AfterRetries) {
        let request = self.request_of(SubCommand::GetPinRetries);
        self.client_pin(host, &request, Wait::PinRetries(after));
    }

    pub(crate) fn on_pin_retries(
        &mut self,
        host: &mut Ceremony,
        after: AfterRetries,
        status: Status,
        body: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        let answer = if status == Status::OK {
            Response::decode(body).ok()
        } else {
            None
        };
        let retries = answer.as_ref().and_then(|answer| answer.pin_retries);
        self.retries = retries.map(|retries| u8::try_from(retries).unwrap_or(u8::MAX));
        let power_cycle = answer.is_some_and(|answer| answer.power_cycle_state == Some(true));
        match after {
            AfterRetries::Decide => {
                self.facts.key.pin_blocked = self.retries == Some(0);
                let decided = disposition(&self.facts, &host.platform);
                self.act_on(host, decided, rng);
            }
            AfterRetries::AskAgain { .. } if self.retries == Some(0) => {
                host.fail(Failure::not_allowed(FailureReason::PinBlocked));
            }
            AfterRetries::AskAgain { .. } if power_cycle => {
                host.fail(Failure::not_allowed(FailureReason::PinAuthBlocked));
            }
            AfterRetries::AskAgain { changing: false } => self.ask_pin(host, true, None),
            AfterRetries::AskAgain { changing: true } => self.ask_change(host, None, true, None),
        }
    }

    // Dialogs.

    pub(crate) fn start_pin(
        &mut self,
        host: &mut Ceremony,
        entry: PinEntry,
        _rng: &mut dyn CryptoRng,
    ) {
        match entry {
            PinEntry::Enter | PinEntry::EnterInVain | PinEntry::EnterThenChange => {
                let quirk = self.decided.as_ref().map(|decided| decided.action);
                // In this loop the person reads "wrong PIN" although it was right.
                let wrong = self.rounds > 1 && quirk == Some(Action::Quirk(Quirk::PinLoop));
                self.ask_pin(host, wrong, None);
            }
            PinEntry::Change | PinEntry::ChangeThenEnterTwice => {
                self.ask_change(host, None, false, None);
            }
        }
    }

    fn ask_pin(&mut self, host: &mut Ceremony, previous_wrong: bool, error: Option<PinError>) {
        let first = !previous_wrong;
        // Typed before the key was there. It is not spent on the last try: that is a choice to be made.
        let early = host.early_pin.take().filter(|_| first && error.is_none());
        if let Some(pin) = early.filter(|_| self.retries.is_none_or(|left| left > 1)) {
            host.steps.push(Step::EnterPin);
            return self.ask_key_agreement(host, Agreement::Token(pin));
        }
        let shown = host.platform.rules.retries_shown_first.value.is_yes() || !first;
        host.show(Prompt::EnterPin {
            retries: self.retries.filter(|_| shown),
            previous_wrong,
            error,
            min_length: self.pin_policy().min_length,
        });
        self.wait = Wait::User(Dialog::EnterPin);
    }

    pub(crate) fn ask_new_pin(
        &mut self,
        host: &mut Ceremony,
        optional: bool,
        error: Option<PinError>,
    ) {
        host.show(Prompt::CreatePin {
            policy: self.pin_policy(),
            max_bytes: MAX_BYTES,
            optional,
            error,
        });
        self.wait = Wait::User(Dialog::CreatePin { optional });
    }

    fn ask_change(
        &mut self,
        host: &mut Ceremony,
        old: Option<Pin>,
        previous_wrong: bool,
        error: Option<PinError>,
    ) {
        host.show(Prompt::ChangePin {
            policy: self.pin_policy(),
            max_bytes: MAX_BYTES,
            old_known: old.is_some(),
            retries: self.retries,
            previous_wrong,
            error,
        });
        self.wait = Wait::User(Dialog::ChangePin { old });
    }

    pub(crate) fn on_dialog(
        &mut self,
        host: &mut Ceremony,
        dialog: Dialog,
        input: UserInput,
        rng: &mut dyn CryptoRng,
    ) {
        match (dialog, input) {
            (Dialog::EnterPin, UserInput::Pin { pin }) => match Pin::existing(pin.as_str()) {
                Ok(pin) => {
                    host.steps.push(Step::EnterPin);
                    self.ask_key_agreement(host, Agreement::Token(pin));
                }
                Err(error) => self.ask_pin(host, false, Some(error)),
            },
            (Dialog::CreatePin { optional }, UserInput::NewPin { pin }) => {
                match Pin::new(pin.as_str(), &self.pin_policy(), None) {
                    Ok(pin) => self.ask_key_agreement(host, Agreement::SetPin(pin)),
                    Err(error) => self.ask_new_pin(host, optional, Some(error)),
                }
            }
            (Dialog::CreatePin { optional: true }, UserInput::NotNow) => {
                host.reasons.push(Reason::specified(
                    Party::Person,
                    "The person chose not to create a PIN now.",
                    "The policy of this host: a PIN is offered, not imposed",
                ));
                self.proceed(host, rng);
            }
            (Dialog::ChangePin { old }, UserInput::ChangePin { old: typed, new }) => {
                self.on_change_typed(
                    host,
                    old,
                    typed.as_ref().map(|old| old.as_str()),
                    new.as_str(),
                );
            }
            (Dialog::ChangePin { old: Some(old) }, UserInput::NewPin { pin }) => {
                self.on_change_typed(host, Some(old), None, pin.as_str());
            }
            (Dialog::Account, UserInput::Account { index }) => self.on_account(host, index),
            // An answer to another dialog than the one shown.
            (dialog, _) => self.wait = Wait::User(dialog),
        }
    }

    fn on_change_typed(
        &mut self,
        host: &mut Ceremony,
        known: Option<Pin>,
        typed: Option<&str>,
        new: &str,
    ) {
        let old = match (known.clone(), typed) {
            (Some(old), _) => Ok(old),
            (None, Some(old)) => Pin::existing(old),
            (None, None) => Pin::existing(""),
        };
        let both = old.and_then(|old| {
            let new = Pin::new(new, &self.pin_policy(), Some(&old))?;
            Ok((old, new))
        });
        match both {
            Ok((old, new)) => self.ask_key_agreement(host, Agreement::ChangePin { old, new }),
            Err(error) => self.ask_change(host, known, false, Some(error)),
        }
    }

    // Key agreement, and what it is for.

    pub(crate) fn ask_key_agreement(&mut self, host: &mut Ceremony, agreement: Agreement) {
        let request = self.request_of(SubCommand::GetKeyAgreement);
        self.client_pin(host, &request, Wait::KeyAgreement(agreement));
    }

    pub(crate) fn on_key_agreement(
        &mut self,
        host: &mut Ceremony,
        agreement: Agreement,
        status: Status,
        body: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        if status != Status::OK {
            return self.key_refused(host, status);
        }
        let peer = Response::decode(body)
            .ok()
            .and_then(|answer| answer.key_agreement);
        let agreed = peer.and_then(|peer| encapsulate(self.protocol(), &peer, rng).ok());
        let Some((platform_key, secret)) = agreed else {
            return host.fail(bad_reply("it has no usable key-agreement key"));
        };
        let sent = match agreement {
            Agreement::Token(pin) => self.send_token(host, platform_key, secret, pin, rng),
            Agreement::BuiltIn => {
                self.send_built_in(host, secret, platform_key);
                Ok(())
            }
            Agreement::SetPin(pin) => self.send_set_pin(host, platform_key, &secret, pin, rng),
            Agreement::ChangePin { old, new } => {
                self.send_change_pin(host, platform_key, &secret, (old, new), rng)
            }
            Agreement::Prf => self.on_prf_agreement(host, platform_key, secret, rng),
        };
        if let Err(status) = sent {
            self.key_refused(host, status);
        }
    }

    /// §6.5.5.7: with permissions where the key knows them, else the older getPinToken.
    fn send_token(
        &mut self,
        host: &mut Ceremony,
        key_agreement: CoseKey,
        secret: SharedSecret,
        pin: Pin,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Status> {
        let hash = pin_hash(pin.as_str().as_bytes());
        let mut request = if self.facts.key.pin_uv_auth_token {
            Request {
                permissions: Some(self.permissions().0.into()),
                rp_id: Some(self.rp_id().to_owned()),
                ..self.request_of(SubCommand::GetPinUvAuthTokenUsingPinWithPermissions)
            }
        } else {
            self.request_of(SubCommand::GetPinToken)
        };
        request.key_agreement = Some(key_agreement);
        request.pin_hash_enc = Some(secret.encrypt(&hash[..], rng)?.into());
        self.client_pin(
            host,
            &request,
            Wait::Token {
                secret,
                pin: Some(pin),
            },
        );
        Ok(())
    }

    /// §6.5.5.3 setPIN.
    fn send_set_pin(
        &mut self,
        host: &mut Ceremony,
        key_agreement: CoseKey,
        secret: &SharedSecret,
        pin: Pin,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Status> {
        let padded = pad_pin(pin.as_str()).ok_or(Status::PIN_POLICY_VIOLATION)?;
        let new_pin_enc = secret.encrypt(&padded[..], rng)?;
        let request = Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&new_pin_enc)),
            new_pin_enc: Some(new_pin_enc.into()),
            ..self.request_of(SubCommand::SetPin)
        };
        self.client_pin(host, &request, Wait::SetPin(pin));
        Ok(())
    }

    /// §6.5.5.4 changePIN.
    fn send_change_pin(
        &mut self,
        host: &mut Ceremony,
        key_agreement: CoseKey,
        secret: &SharedSecret,
        (old, new): (Pin, Pin),
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Status> {
        let padded = pad_pin(new.as_str()).ok_or(Status::PIN_POLICY_VIOLATION)?;
        let new_pin_enc = secret.encrypt(&padded[..], rng)?;
        let hash = pin_hash(old.as_str().as_bytes());
        let pin_hash_enc = secret.encrypt(&hash[..], rng)?;
        let message = [&new_pin_enc[..], &pin_hash_enc[..]].concat();
        let request = Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&message)),
            new_pin_enc: Some(new_pin_enc.into()),
            pin_hash_enc: Some(pin_hash_enc.into()),
            ..self.request_of(SubCommand::ChangePin)
        };
        self.client_pin(host, &request, Wait::ChangePin { old, new });
        Ok(())
    }

    pub(crate) fn on_pin_set(
        &mut self,
        host: &mut Ceremony,
        pin: Pin,
        status: Status,
        _rng: &mut dyn CryptoRng,
    ) {
        match status {
            Status::OK => {
                host.steps.push(Step::CreatePin);
                self.facts.key.client_pin = Some(true);
                self.after_new_pin(host, pin);
            }
            Status::PIN_POLICY_VIOLATION => {
                let optional = matches!(
                    self.decided.as_ref().map(|decided| decided.action),
                    Some(Action::ProvisionPin { optional: true, .. })
                );
                self.ask_new_pin(host, optional, Some(PinError::RefusedByKey));
            }
            status => self.key_refused(host, status),
        }
    }

    pub(crate) fn on_pin_changed(
        &mut self,
        host: &mut Ceremony,
        old: Pin,
        new: Pin,
        status: Status,
        _rng: &mut dyn CryptoRng,
    ) {
        match status {
            Status::OK => {
                host.steps.push(Step::ChangePin);
                self.facts.key.force_pin_change = false;
                self.after_new_pin(host, new);
            }
            Status::PIN_INVALID => {
                self.ask_pin_retries(host, AfterRetries::AskAgain { changing: true });
            }
            Status::PIN_POLICY_VIOLATION => {
                self.ask_change(host, Some(old), false, Some(PinError::RefusedByKey));
            }
            status => self.key_refused(host, status),
        }
    }

    /// The PIN just typed gives the token, unless the platform asks for it once more.
    fn after_new_pin(&mut self, host: &mut Ceremony, pin: Pin) {
        if self.ask_again > 0 {
            self.ask_pin(host, false, None);
        } else {
            self.ask_key_agreement(host, Agreement::Token(pin));
        }
    }

    pub(crate) fn on_token(
        &mut self,
        host: &mut Ceremony,
        secret: &SharedSecret,
        pin: Option<Pin>,
        (status, body): (Status, &[u8]),
        rng: &mut dyn CryptoRng,
    ) {
        if status != Status::OK {
            return match pin {
                Some(pin) => self.on_pin_refused(host, pin, status),
                None => self.on_built_in_failed(host, status, rng),
            };
        }
        let token = Response::decode(body)
            .ok()
            .and_then(|answer| answer.pin_uv_auth_token)
            .and_then(|encrypted| secret.decrypt(&encrypted).ok())
            // §6.5.6, §6.5.7: 16 or 32 bytes under protocol one, 32 under two.
            .filter(|token| matches!(token.len(), 16 | 32));
        let Some(value) = token else {
            return host.fail(bad_reply("it has no usable token"));
        };
        if pin.is_none() {
            host.steps.push(Step::Fingerprint);
            self.built_in_used = true;
        }
        self.token = Some(Token {
            protocol: secret.protocol(),
            value,
        });
        self.ask_again = self.ask_again.saturating_sub(1);
        if self.ask_again > 0 && pin.is_some() {
            return self.ask_pin(host, false, None);
        }
        self.proceed(host, rng);
    }

    fn on_pin_refused(&mut self, host: &mut Ceremony, pin: Pin, status: Status) {
        match status {
            Status::PIN_INVALID => {
                self.ask_pin_retries(host, AfterRetries::AskAgain { changing: false });
            }
            Status::PIN_POLICY_VIOLATION => {
                // The key wants another PIN before it gives tokens (forcePINChange).
                let rule = &host.platform.rules.forced_pin_change;
                match rule.value {
                    ForcedPinChange::FailAfterPin => {
                        host.fail(Failure::not_allowed(FailureReason::PinChangeNeeded));
                    }
                    ForcedPinChange::Unknown => {
                        host.end(
                            Ended::Unknown,
                            Failure::not_allowed(FailureReason::NotKnown),
                        );
                    }
                    ForcedPinChange::PinThenChange
                    | ForcedPinChange::Change
                    | ForcedPinChange::ChangeThenPinTwice => {
                        self.ask_change(host, Some(pin), false, None);
                    }
                }
            }
            // The exchange was disturbed: agree anew, once.
            Status::PIN_AUTH_INVALID if !self.retried => {
                self.retried = true;
                self.ask_key_agreement(host, Agreement::Token(pin));
            }
            status => self.key_refused(host, status),
        }
    }

    // Built-in verification.

    pub(crate) fn start_built_in(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        if self.facts.key.pin_uv_auth_token {
            self.ask_key_agreement(host, Agreement::BuiltIn);
        } else {
            // CTAP 2.0 keys verify within the request itself.
            self.uv_option = true;
            self.proceed(host, rng);
        }
    }

    /// §6.5.5.7.3 getPinUvAuthTokenUsingUvWithPermissions.
    fn send_built_in(&mut self, host: &mut Ceremony, secret: SharedSecret, platform_key: CoseKey) {
        let request = Request {
            key_agreement: Some(platform_key),
            permissions: Some(self.permissions().0.into()),
            rp_id: Some(self.rp_id().to_owned()),
            ..self.request_of(SubCommand::GetPinUvAuthTokenUsingUvWithPermissions)
        };
        self.show_fingerprint(host, self.built_in_tries > 0);
        self.client_pin(host, &request, Wait::Token { secret, pin: None });
    }

    /// Another try, the PIN instead, or the end.
    pub(crate) fn on_built_in_failed(
        &mut self,
        host: &mut Ceremony,
        status: Status,
        rng: &mut dyn CryptoRng,
    ) {
        self.built_in_tries = self.built_in_tries.saturating_add(1);
        let most = self
            .info
            .as_ref()
            .and_then(|info| info.preferred_platform_uv_attempts)
            .and_then(|most| u8::try_from(most).ok())
            .unwrap_or(BUILT_IN_TRIES);
        match status {
            Status::UV_INVALID if self.built_in_tries < most => self.start_built_in(host, rng),
            Status::OPERATION_DENIED => {
                let rule = &host.platform.rules.built_in_uv_denied;
                match rule.value {
                    BuiltInUvDenied::Pin => self.fall_back_to_pin(host, rng),
                    BuiltInUvDenied::Fail => self.key_refused(host, status),
                    BuiltInUvDenied::Unknown => {
                        host.end(
                            Ended::Unknown,
                            Failure::not_allowed(FailureReason::NotKnown),
                        );
                    }
                }
            }
            Status::UV_INVALID
            | Status::UV_BLOCKED
            | Status::PIN_AUTH_INVALID
            | Status::PIN_INVALID
            | Status::PUAT_REQUIRED => self.fall_back_to_pin(host, rng),
            status => self.key_refused(host, status),
        }
    }

    fn fall_back_to_pin(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        let key = &mut self.facts.key;
        if !key.pin_ready() || key.pin_blocked {
            return host.fail(Failure::not_allowed(FailureReason::NotRecognised));
        }
        // From here on the key counts as one without built-in verification.
        key.uv = None;
        key.bio_enroll = None;
        host.reasons.push(Reason::specified(
            Party::Key,
            "The key did not recognise its user, so its PIN is asked instead.",
            "CTAP 2.3 §6.5.5.7.3, UV_BLOCKED and UV_INVALID",
        ));
        self.decide(host, rng);
    }
}
