//! The PIN itself: how it is compared, what a new one must be (CTAP 2.3 §6.5.1, §6.5.5.5-7).

use ctap::Status;
use ctap::pin_protocol::{PADDED_PIN_LENGTH, SharedSecret, pin_hash};

use crate::authenticator::{Authenticator, Env};
use crate::pin_complexity;
use crate::presence::{self, UserVerified};
use crate::state::{Change, MAX_PIN_RETRIES, MAX_UV_RETRIES, StoredPin};

/// The longest PIN in bytes (§6.5.1).
pub(crate) const MAX_PIN_BYTES: usize = PADDED_PIN_LENGTH - 1;

/// Wrong PINs in a row after which only a power cycle helps.
const MAX_CONSECUTIVE_MISMATCHES: u8 = 3;

impl Authenticator {
    /// Whether a PIN may be tried now: there is one, and neither the retries nor the tries of this
    /// power cycle are used up. It costs nothing.
    pub(crate) fn may_try_pin(&self) -> Result<(), Status> {
        if self.state.pin().is_none() {
            return Err(Status::PIN_NOT_SET);
        }
        if self.state.pin_retries() == 0 {
            return Err(Status::PIN_BLOCKED);
        }
        if self.needs_power_cycle() {
            return Err(Status::PIN_AUTH_BLOCKED);
        }
        Ok(())
    }

    /// Whether a power cycle is needed before a PIN may be tried.
    pub(crate) fn needs_power_cycle(&self) -> bool {
        self.mismatches >= MAX_CONSECUTIVE_MISMATCHES
    }

    /// Compares an encrypted PIN hash with the stored one. The loss of a retry is durable before the
    /// comparison, and given back after it if the PIN was right.
    pub(crate) fn check_pin(
        &mut self,
        secret: &SharedSecret,
        pin_hash_enc: &[u8],
        env: &mut Env<'_>,
    ) -> Result<UserVerified, Status> {
        self.may_try_pin()?;
        let retries = self.state.pin_retries() - 1;
        let counted = self.commit(env, &[Change::SetPinRetries(retries)]);
        // The try is gone even if the store fails: it may have failed after the write.
        self.state.apply(&Change::SetPinRetries(retries));
        counted?;

        let given = secret.decrypt(pin_hash_enc);
        let stored = self.state.pin().ok_or(Status::PIN_NOT_SET)?;
        let verified = given
            .ok()
            .and_then(|given| presence::compare_pin_hash(&stored.hash, &given));
        let Some(verified) = verified else {
            self.regenerate(secret.protocol());
            self.mismatches += 1;
            return Err(if retries == 0 {
                Status::PIN_BLOCKED
            } else if self.needs_power_cycle() {
                Status::PIN_AUTH_BLOCKED
            } else {
                Status::PIN_INVALID
            });
        };
        self.mismatches = 0;
        // §6.5.2: the right PIN gives back the tries of both kinds.
        let mut full = vec![
            Change::SetPinRetries(MAX_PIN_RETRIES),
            Change::SetUvRetries(MAX_UV_RETRIES),
        ];
        if self.state.uv_count() > 0 {
            full.push(Change::SetUvCount(0));
        }
        self.commit(env, &full)?;
        Ok(verified)
    }

    /// Decrypts a new PIN and checks it against the policy (§6.5.5.5 steps 6 to 10).
    pub(crate) fn new_pin(
        &self,
        secret: &SharedSecret,
        new_pin_enc: &[u8],
    ) -> Result<StoredPin, Status> {
        let padded = secret
            .decrypt(new_pin_enc)
            .map_err(|_| Status::PIN_AUTH_INVALID)?;
        if padded.len() != PADDED_PIN_LENGTH {
            return Err(Status::INVALID_PARAMETER);
        }
        let length = padded
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let pin = &padded[..length];
        let code_points = code_points(pin);
        if length > MAX_PIN_BYTES || code_points < self.min_pin_length() {
            return Err(Status::PIN_POLICY_VIOLATION);
        }
        if self.pin_complexity_option() == Some(true) && pin_complexity::is_simple(pin) {
            return Err(Status::PIN_POLICY_VIOLATION);
        }
        Ok(StoredPin {
            hash: pin_hash(pin),
            code_points,
        })
    }
}

/// Length in Unicode code points: every byte that does not continue one begins one.
fn code_points(pin: &[u8]) -> u8 {
    let count = pin.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    u8::try_from(count).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::code_points;

    #[test]
    fn length_is_in_code_points() {
        for (pin, length) in [
            ("", 0),
            ("1234", 4),
            ("äöü", 3),
            ("😌😌", 2),
            ("e\u{301}", 2),
        ] {
            assert_eq!(code_points(pin.as_bytes()), length, "{pin}");
        }
    }
}
