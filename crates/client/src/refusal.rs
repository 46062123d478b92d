//! CTAP 2.3 §8.2: what to do when the key refuses the request. Nothing is sent twice after the same
//! status, except where a profile describes a platform that does.

use ctap::{Command, Status};
use rand_core::CryptoRng;
use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement};

use crate::ceremony::{Ceremony, Request};
use crate::outcome::{Failure, FailureReason};
use crate::prompt::TouchPurpose;
use crate::report::{DomExceptionName, Ended, Step};
use crate::rules;
use crate::session::{AfterTouch, Session, Wait};
use crate::touch::empty_param_request;
use crate::uv::{Action, LOOP_ROUNDS, PinEntry, Quirk, Unsatisfiable, unsatisfiable_error};

impl Session {
    /// What to do about a refused request. Nothing is sent twice after the same status.
    pub(crate) fn on_main_refused(
        &mut self,
        host: &mut Ceremony,
        status: Status,
        rng: &mut dyn CryptoRng,
    ) {
        match status {
            Status::PUAT_REQUIRED if !self.uv_option => self.on_puat_required(host, rng),
            Status::CREDENTIAL_EXCLUDED => {
                // A key tells this only after a touch.
                self.note_main_touch(host, true);
                host.fail(Failure::new(
                    DomExceptionName::InvalidStateError,
                    FailureReason::Excluded,
                ));
            }
            Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL => self.no_credentials(host, rng),
            Status::KEY_STORE_FULL => self.on_store_full(host),
            Status::UNSUPPORTED_ALGORITHM => {
                let name = DomExceptionName::NotSupportedError;
                let failure = Failure::new(name, FailureReason::NoAlgorithm);
                self.ask_touch(host, AfterTouch::Fail(failure));
            }
            Status::OPERATION_DENIED
            | Status::UV_BLOCKED
            | Status::UV_INVALID
            | Status::PIN_AUTH_INVALID
            | Status::PIN_INVALID
            | Status::PUAT_REQUIRED
                if self.uv_option =>
            {
                self.uv_option = false;
                self.on_built_in_failed(host, status, rng);
            }
            // The token has run out: a new one, once.
            Status::PIN_AUTH_INVALID if self.token.is_some() && !self.retried => {
                self.retried = true;
                self.token = None;
                self.decide(host, rng);
            }
            status => {
                self.note_main_touch(host, false);
                self.key_refused(host, status);
            }
        }
    }

    /// Counts the touch of the request itself, if there was one.
    pub(crate) fn note_main_touch(&mut self, host: &mut Ceremony, certain: bool) {
        let by_itself = self.decided.as_ref().map(|decided| decided.action);
        let by_itself = by_itself == Some(Action::KeyVerifies) && (self.up_seen || certain);
        if self.uv_option || by_itself {
            host.steps.push(Step::Fingerprint);
        } else if self.up_seen || (certain && !self.built_in_used) {
            host.steps.push(Step::Touch);
        }
    }

    pub(crate) fn on_store_full(&mut self, host: &mut Ceremony) {
        self.note_main_touch(host, false);
        let only_preferred = self.facts.resident_key == ResidentKeyRequirement::Preferred;
        let needs_rk = match &*self.request {
            Request::Create(create) => create.requires_blob(),
            Request::Get(_) => false,
        };
        if self.rk && only_preferred && !needs_rk {
            // WebAuthn L3 §5.4.6: a server-side credential is accepted then.
            self.rk = false;
            return self.send_main(host);
        }
        host.fail(Failure::not_allowed(FailureReason::KeyFull));
    }

    /// The key insists on verification after all.
    pub(crate) fn on_puat_required(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        let in_loop = matches!(
            self.decided.as_ref().map(|decided| decided.action),
            Some(Action::Quirk(Quirk::PinLoop | Quirk::TouchPinLoop))
        );
        if in_loop {
            self.token = None;
            return self.loop_again(host, rng);
        }
        let escalates = host.platform.rules.puat_required.value == rules::PuatRequired::Escalate;
        if escalates && self.token.is_none() && !self.escalated {
            self.escalated = true;
            let fact = &host.platform.rules.puat_required;
            host.reasons.push(fact.reason(
                "The key refused the request without verification (0x36), so the person is verified now.",
            ));
            self.facts.user_verification = UserVerificationRequirement::Required;
            return self.decide(host, rng);
        }
        let why = Unsatisfiable::KeyRefuses;
        host.fail(self.unsatisfiable(host, why));
    }

    /// One more round of a platform that never uses the token it gets.
    pub(crate) fn loop_again(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        if self.rounds >= LOOP_ROUNDS {
            return host.end(Ended::Loop, Failure::not_allowed(FailureReason::NeverEnds));
        }
        self.rounds += 1;
        let touch = matches!(
            self.decided.as_ref().map(|decided| decided.action),
            Some(Action::Quirk(Quirk::TouchPinLoop))
        );
        self.maybe_touch(host, touch, AfterTouch::EnterPin(PinEntry::Enter), rng);
    }

    /// In a loop the token is thrown away before the request.
    pub(crate) fn drops_token(&self) -> bool {
        self.rounds > 0
    }

    pub(crate) fn send_empty_param(&mut self, host: &mut Ceremony) {
        self.show_touch(host, TouchPurpose::Register);
        let bytes = empty_param_request(self.request.rp_id()).encode();
        self.send(host, Command::MakeCredential, &bytes, Wait::Faulty);
    }

    pub(crate) fn on_faulty(
        &mut self,
        host: &mut Ceremony,
        status: Status,
        rng: &mut dyn CryptoRng,
    ) {
        self.on_touch(host, AfterTouch::Hang, status, rng);
    }

    /// Any status that has no better explanation.
    pub(crate) fn key_refused(&mut self, host: &mut Ceremony, status: Status) {
        let reason = match status {
            Status::PIN_BLOCKED => FailureReason::PinBlocked,
            Status::PIN_AUTH_BLOCKED => FailureReason::PinAuthBlocked,
            Status::UV_BLOCKED | Status::UV_INVALID => FailureReason::NotRecognised,
            Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT => FailureReason::TimedOut,
            Status::KEEPALIVE_CANCEL => FailureReason::Cancelled,
            status => FailureReason::Key(status),
        };
        host.fail(Failure::not_allowed(reason));
    }

    pub(crate) fn unsatisfiable(&self, host: &Ceremony, why: Unsatisfiable) -> Failure {
        let name = unsatisfiable_error(self.facts.ceremony, why, &host.platform);
        let reason = match why {
            Unsatisfiable::PinBlocked => FailureReason::PinBlocked,
            why => FailureReason::Unsatisfiable(why),
        };
        Failure::new(name, reason)
    }
}
