//! CTAP 2.3 §6.6 authenticatorReset.

use core::time::Duration;

use ctap::Status;

use crate::authenticator::{Authenticator, Env, Handled, Pending, Step};
use crate::presence::Purpose;
use crate::state::{Change, Config, Secrets};

/// After power-up, for keys without a display.
const WINDOW: Duration = Duration::from_secs(10);

impl Authenticator {
    /// Handles authenticatorReset: only soon after power-up and with a touch, or with a long touch
    /// (CTAP 2.2), which nobody gives by accident.
    pub(crate) fn reset(&mut self, env: &Env<'_>) -> Handled {
        let transports = &self.profile.reset.transports;
        let elsewhere = |wire: &String| !transports.is_empty() && !transports.contains(wire);
        if self.transport.as_ref().is_some_and(elsewhere) {
            return Err(Status::NOT_ALLOWED);
        }
        if self.long_touch_option() {
            return self.wait_for_touch(Pending::Reset, Purpose::ResetByLongTouch, env.now);
        }
        if env.now.saturating_sub(self.power_up) > WINDOW {
            return Err(Status::NOT_ALLOWED);
        }
        self.wait_for_touch(Pending::Reset, Purpose::Reset, env.now)
    }

    /// Erases. The secrets go first, in a commit of their own: if power fails between the two, the
    /// PIN still guards a key on which there is nothing left to guard.
    pub(crate) fn reset_touched(&mut self, env: &mut Env<'_>) -> Handled {
        let secrets = Secrets::generate(env.rng);
        self.forget_volatile();
        self.commit(env, &[Change::ReplaceSecrets(secrets)])?;
        let mut rest = vec![Change::Reset];
        let has = &self.profile.options;
        if has.bio_enroll || has.user_verification_mgmt_preview {
            // The finger that a key was delivered with is erased like any other.
            rest.push(Change::SetConfig(Config {
                finger_enrolled: Some(false),
                ..Config::default()
            }));
        }
        self.commit(env, &rest)?;
        Ok(Step::Reply(Vec::new()))
    }
}
