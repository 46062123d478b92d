//! CTAP 2.3 §6.5.2.1 pinUvAuthToken state and §6.5.3.2 its functions, by the names of the text.
//!
//! One token is in use at a time, whatever the protocol: handing out one ends the other
//! (`resetPinUvAuthToken()` for all protocols).

use core::time::Duration;

use ctap::client_pin::Permissions;
use ctap::pin_protocol::PinUvAuthProtocol;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::presence::{UserPresent, UserVerified};

/// How long a token may lie unused, and how long cached presence counts: over USB, and over NFC.
const INITIAL_USAGE_TIME_LIMIT: Duration = Duration::from_secs(30);
const INITIAL_USAGE_TIME_LIMIT_NFC: Duration = Duration::from_millis(19_800);
/// How long a token lives.
const MAX_USAGE_TIME_PERIOD: Duration = Duration::from_secs(600);

/// The limits that a token is handed out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    initial_usage_time_limit: Duration,
    user_present_time_limit: Duration,
    max_usage_time_period: Duration,
}

impl Limits {
    /// Of a key on this wire.
    pub(crate) fn new(contactless: bool) -> Self {
        let short = if contactless {
            INITIAL_USAGE_TIME_LIMIT_NFC
        } else {
            INITIAL_USAGE_TIME_LIMIT
        };
        Self {
            initial_usage_time_limit: short,
            user_present_time_limit: short,
            max_usage_time_period: MAX_USAGE_TIME_PERIOD,
        }
    }
}

/// Whom and what a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scope {
    /// What it allows.
    pub(crate) permissions: Permissions,
    /// The relying party that it is bound to, if it is yet.
    pub(crate) rp_id: Option<String>,
}

/// A pinUvAuthToken in use.
pub(crate) struct PinUvAuthToken {
    protocol: PinUvAuthProtocol,
    value: Zeroizing<[u8; 32]>,
    scope: Scope,
    user_verified: Option<UserVerified>,
    user_present: Option<UserPresent>,
    started: Duration,
    used: bool,
    /// `None` for the pinToken of CTAP 2.0: it has no permissions, no timers, and is not used up.
    limits: Option<Limits>,
}

impl PinUvAuthToken {
    /// `resetPinUvAuthToken()` and `beginUsingPinUvAuthToken(userIsPresent)`: a fresh value, in use
    /// from now on. It takes the evidence that it will stand for.
    pub(crate) fn begin_using_pin_uv_auth_token(
        protocol: PinUvAuthProtocol,
        user_verified: UserVerified,
        user_present: Option<UserPresent>,
        scope: Scope,
        limits: Option<Limits>,
        now: Duration,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let mut value = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut value[..]);
        Self {
            protocol,
            value,
            scope,
            user_verified: Some(user_verified),
            user_present,
            started: now,
            used: false,
            limits,
        }
    }

    /// The value, for handing it out encrypted.
    pub(crate) fn value(&self) -> &[u8; 32] {
        &self.value
    }

    /// `pinUvAuthTokenUsageTimerObserver()`: returns whether the token is still in use.
    pub(crate) fn pin_uv_auth_token_usage_timer_observer(&mut self, now: Duration) -> bool {
        let Some(limits) = self.limits else {
            return true;
        };
        let age = now.saturating_sub(self.started);
        if age >= limits.user_present_time_limit {
            self.clear_user_present_flag();
        }
        age < limits.max_usage_time_period && (self.used || age < limits.initial_usage_time_limit)
    }

    /// `verify(pinUvAuthToken, message, pinUvAuthParam)`. A success counts as a use.
    pub(crate) fn verify(
        &mut self,
        protocol: PinUvAuthProtocol,
        message: &[u8],
        param: &[u8],
    ) -> bool {
        let right = protocol == self.protocol && protocol.verify(&self.value[..], message, param);
        self.used |= right;
        right
    }

    /// Whether the token allows this. The pinToken of CTAP 2.0 allows everything.
    pub(crate) fn has_permission(&self, permission: Permissions) -> bool {
        self.limits.is_none() || self.scope.permissions.contains(permission)
    }

    /// The relying party that the token is bound to.
    pub(crate) fn rp_id(&self) -> Option<&str> {
        self.scope.rp_id.as_deref()
    }

    /// Binds the token to a relying party, unless it is one of CTAP 2.0.
    pub(crate) fn associate_rp_id(&mut self, rp_id: &str) {
        if self.limits.is_some() && self.scope.rp_id.is_none() {
            self.scope.rp_id = Some(rp_id.to_owned());
        }
    }

    /// `getUserVerifiedFlagValue()`, as the evidence behind it.
    pub(crate) fn get_user_verified_flag_value(&self) -> Option<UserVerified> {
        self.user_verified
    }

    /// `getUserPresentFlagValue()`, as the evidence behind it.
    pub(crate) fn get_user_present_flag_value(&self) -> Option<UserPresent> {
        self.user_present
    }

    /// `clearUserPresentFlag()`.
    pub(crate) fn clear_user_present_flag(&mut self) {
        self.user_present = None;
    }

    /// `clearUserVerifiedFlag()`; the pinToken of CTAP 2.0 may be used again.
    pub(crate) fn clear_user_verified_flag(&mut self) {
        if self.limits.is_some() {
            self.user_verified = None;
        }
    }

    /// `clearPinUvAuthTokenPermissionsExceptLbw()`.
    pub(crate) fn clear_pin_uv_auth_token_permissions_except_lbw(&mut self) {
        let large_blob_write = Permissions::LARGE_BLOB_WRITE.0;
        self.scope.permissions = Permissions(self.scope.permissions.0 & large_blob_write);
    }
}

impl core::fmt::Debug for PinUvAuthToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "PinUvAuthToken({:?}, {:?}, ..)",
            self.protocol, self.scope
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::presence::{FingerMatch, compare_pin_hash, finger};

    const START: Duration = Duration::from_secs(1000);

    fn token(limits: Option<Limits>) -> PinUvAuthToken {
        let (_, present) = finger(FingerMatch::Match).unwrap();
        PinUvAuthToken::begin_using_pin_uv_auth_token(
            PinUvAuthProtocol::Two,
            compare_pin_hash(&[0; 16], &[0; 16]).unwrap(),
            Some(present),
            Scope {
                permissions: Permissions::MAKE_CREDENTIAL | Permissions::LARGE_BLOB_WRITE,
                rp_id: None,
            },
            limits,
            START,
            &mut ChaCha20Rng::seed_from_u64(1),
        )
    }

    fn at(ms: u64) -> Duration {
        START + Duration::from_millis(ms)
    }

    fn use_it(token: &mut PinUvAuthToken) {
        let param = PinUvAuthProtocol::Two.authenticate(token.value(), b"m");
        assert!(token.verify(PinUvAuthProtocol::Two, b"m", &param));
    }

    #[test]
    fn an_unused_token_ends_after_30_s_or_19_8_s() {
        for (contactless, limit) in [(false, 30_000), (true, 19_800)] {
            let mut token = token(Some(Limits::new(contactless)));
            assert!(token.pin_uv_auth_token_usage_timer_observer(at(limit - 1)));
            assert!(token.get_user_present_flag_value().is_some());
            assert!(!token.pin_uv_auth_token_usage_timer_observer(at(limit)));
        }
    }

    #[test]
    fn a_used_token_lives_ten_minutes_and_loses_presence_after_30_s() {
        let mut token = token(Some(Limits::new(false)));
        use_it(&mut token);
        assert!(token.pin_uv_auth_token_usage_timer_observer(at(30_000)));
        assert!(token.get_user_present_flag_value().is_none());
        assert!(token.get_user_verified_flag_value().is_some());
        assert!(token.pin_uv_auth_token_usage_timer_observer(at(599_999)));
        assert!(!token.pin_uv_auth_token_usage_timer_observer(at(600_000)));
    }

    #[test]
    fn a_failed_verification_is_no_use() {
        let mut token = token(Some(Limits::new(false)));
        let right = PinUvAuthProtocol::Two.authenticate(token.value(), b"m");
        assert!(!token.verify(PinUvAuthProtocol::Two, b"n", &right));
        assert!(!token.verify(PinUvAuthProtocol::One, b"m", &right[..16]));
        assert!(!token.pin_uv_auth_token_usage_timer_observer(at(30_000)));
    }

    #[test]
    fn use_clears_all_but_large_blob_write() {
        let mut token = token(Some(Limits::new(false)));
        token.clear_user_present_flag();
        token.clear_user_verified_flag();
        token.clear_pin_uv_auth_token_permissions_except_lbw();
        assert!(!token.has_permission(Permissions::MAKE_CREDENTIAL));
        assert!(token.has_permission(Permissions::LARGE_BLOB_WRITE));
        assert!(token.get_user_verified_flag_value().is_none());
        assert!(token.get_user_present_flag_value().is_none());
    }

    #[test]
    fn the_pin_token_of_ctap_2_0_is_not_used_up_and_is_bound_to_nobody() {
        let mut token = token(None);
        token.clear_user_verified_flag();
        token.clear_pin_uv_auth_token_permissions_except_lbw();
        token.associate_rp_id("example.com");
        assert!(token.has_permission(Permissions::MAKE_CREDENTIAL));
        assert!(token.get_user_verified_flag_value().is_some());
        assert_eq!(token.rp_id(), None);
        assert!(token.pin_uv_auth_token_usage_timer_observer(at(86_400_000)));
    }

    #[test]
    fn the_first_relying_party_keeps_the_token() {
        let mut token = token(Some(Limits::new(false)));
        token.associate_rp_id("example.com");
        token.associate_rp_id("example.org");
        assert_eq!(token.rp_id(), Some("example.com"));
    }

    #[test]
    fn debug_shows_no_value() {
        let token = token(None);
        assert_eq!(
            format!("{token:?}"),
            "PinUvAuthToken(Two, Scope { permissions: {mc,lbw}, rp_id: None }, ..)"
        );
    }
}
