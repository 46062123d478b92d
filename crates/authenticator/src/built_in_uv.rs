//! CTAP 2.3 §6.5.3.1 performBuiltInUv: the key's own sensor.

use core::time::Duration;

use ctap::Status;

use crate::authenticator::{Authenticator, Channel, Env, Handled, Pending, Step};
use crate::presence::{self, FingerMatch, Interaction, Purpose, UserPresent, UserVerified};
use crate::profile::Members;
use crate::state::{Change, MAX_UV_RETRIES};

impl Authenticator {
    /// §6.5.3.1 performBuiltInUv, one finger of it.
    pub(crate) fn finger(
        &mut self,
        command: Pending,
        finger: FingerMatch,
        (purpose, attempts_left, deadline): (Purpose, u8, Duration),
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        if let Pending::Sample(sample) = command {
            return self.sampled(*sample, Some(finger), channel, env);
        }
        if finger == FingerMatch::Poor {
            return Ok(Step::Wait(
                command,
                Interaction::BuiltInUv {
                    purpose,
                    attempts_left,
                    deadline,
                },
            ));
        }
        // Count down before the comparison, as with the PIN.
        let retries = self.state.uv_retries().saturating_sub(1);
        let mut counted = vec![Change::SetUvRetries(retries)];
        if self.counts_uv() {
            // Failed ones included.
            counted.push(Change::SetUvCount(self.state.uv_count().saturating_add(1)));
        }
        self.commit(env, &counted)?;
        let Some(evidence) = presence::finger(finger) else {
            let attempts_left = attempts_left.saturating_sub(1);
            if attempts_left > 0 && retries > 0 {
                return Ok(Step::Wait(
                    command,
                    Interaction::BuiltInUv {
                        purpose,
                        attempts_left,
                        deadline,
                    },
                ));
            }
            return Err(self.built_in_uv_failed(&command));
        };
        self.commit(env, &[Change::SetUvRetries(MAX_UV_RETRIES)])?;
        self.verified(command, evidence, channel, env)
    }

    /// Whether the key reports uvCountSinceLastPinEntry (CTAP 2.2).
    pub(crate) fn counts_uv(&self) -> bool {
        let has = &self.profile.options;
        self.profile.members >= Members::V23 && has.uv && has.client_pin
    }

    fn verified(
        &mut self,
        command: Pending,
        evidence: (UserVerified, UserPresent),
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        match command {
            Pending::MakeCredential(prepared) => {
                self.make_credential_verified(*prepared, evidence, env)
            }
            Pending::GetAssertion(prepared) => {
                self.get_assertion_verified(*prepared, evidence, channel, env)
            }
            Pending::Token(request) => self.token_verified(&request, evidence, env),
            Pending::Select(_) | Pending::Sample(_) | Pending::Reset | Pending::Selection => {
                Err(Status::OTHER)
            }
        }
    }

    /// The status after built-in user verification failed: §6.1.2 step 11.2.3, §6.2.2 step 6.2.3,
    /// §6.5.5.7.3 step 10.
    pub(crate) fn built_in_uv_failed(&self, command: &Pending) -> Status {
        let blocked = self.state.uv_retries() == 0;
        if matches!(command, Pending::Token(_)) {
            return if blocked {
                Status::UV_BLOCKED
            } else {
                Status::UV_INVALID
            };
        }
        let pin_serves = self.state.pin().is_some()
            && !self.profile.options.no_mc_ga_permissions_with_client_pin;
        if pin_serves {
            self.deviate_on_refusal(Status::PUAT_REQUIRED)
        } else if blocked {
            Status::PIN_BLOCKED
        } else {
            Status::OPERATION_DENIED
        }
    }

    /// Begins built-in user verification for a command.
    pub(crate) fn perform_built_in_uv(
        &self,
        command: Pending,
        purpose: Purpose,
        internal_retry: bool,
        now: Duration,
    ) -> Handled {
        if self.state.uv_retries() == 0 {
            return Err(self.built_in_uv_failed(&command));
        }
        let attempts_left = if internal_retry {
            self.profile.built_in_uv.max_internal_retries
        } else {
            1
        };
        let deadline = now + self.profile.touch_timeout();
        Ok(Step::Wait(
            command,
            Interaction::BuiltInUv {
                purpose,
                attempts_left,
                deadline,
            },
        ))
    }
}
