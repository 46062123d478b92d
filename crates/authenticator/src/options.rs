//! CTAP 2.3 §6.4: the options whose value is state, as getInfo reports them and commands go by them.

use crate::authenticator::Authenticator;

impl Authenticator {
    /// getInfo's `clientPin`.
    pub(crate) fn client_pin_option(&self) -> Option<bool> {
        self.profile
            .options
            .client_pin
            .then(|| self.state.pin().is_some())
    }

    /// getInfo's `uv`.
    pub(crate) fn uv_option(&self) -> Option<bool> {
        let enrolled = self
            .state
            .config()
            .finger_enrolled
            .unwrap_or(self.profile.built_in_uv.enrolled);
        self.profile.options.uv.then_some(enrolled)
    }

    /// getInfo's `alwaysUv`.
    pub(crate) fn always_uv_option(&self) -> Option<bool> {
        let delivered = self.profile.options.always_uv?;
        Some(self.state.config().always_uv.unwrap_or(delivered))
    }

    /// getInfo's `pinComplexityPolicy`: whether a policy is enforced, if the key has one.
    pub(crate) fn pin_complexity_option(&self) -> Option<bool> {
        let pin = &self.profile.pin;
        let switched_on = self.state.config().pin_complexity_policy;
        pin.complexity_policy
            .then_some(pin.complexity_enforced || switched_on)
    }

    /// getInfo's `longTouchForReset`.
    pub(crate) fn long_touch_option(&self) -> bool {
        self.profile.reset.long_touch && self.state.config().long_touch_for_reset
    }

    /// Whether the key is protected by some form of user verification.
    pub(crate) fn is_protected(&self) -> bool {
        self.client_pin_option() == Some(true) || self.uv_option() == Some(true)
    }

    /// The minimum PIN length in code points.
    pub(crate) fn min_pin_length(&self) -> u8 {
        self.state
            .config()
            .min_pin_length
            .unwrap_or(self.profile.pin.min_length)
    }
}
