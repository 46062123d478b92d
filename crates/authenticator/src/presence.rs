//! The person at the key: what is asked of them, what they do, and the evidence that follows.
//!
//! [`UserPresent`] and [`UserVerified`] are the only way to the UP and UV flags of authenticator
//! data (WebAuthn L3 §6.1), and only this file can make them: from a touch, from a finger that
//! matches, from a PIN that is right. Everything else passes them on.

use core::time::Duration;

use webauthn::authenticator_data::Flags;

use crate::crypto;

/// Proof that the person interacted with the key ("evidence of user interaction").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPresent(());

/// Proof that the person was verified, by PIN or by built-in user verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserVerified(());

/// The UP and UV flags, from evidence.
pub fn flags(present: Option<UserPresent>, verified: Option<UserVerified>) -> Flags {
    Flags::default()
        .with(Flags::UP, present.is_some())
        .with(Flags::UV, verified.is_some())
}

/// What the person does, or what ends the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserEvent {
    /// The key is touched.
    Touch,
    /// The key is touched and held for five seconds (§6.6, CTAP 2.2).
    LongTouch,
    /// A finger is laid on the sensor.
    Finger(FingerMatch),
    /// The person declines (§6.1.2 and §6.2.2: `OPERATION_DENIED`).
    Deny,
    /// The platform cancels the command (`CTAPHID_CANCEL`).
    Cancel,
    /// The deadline of the interaction has passed.
    Timeout,
}

/// What the sensor makes of a finger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerMatch {
    /// An enrolled finger; while one is enrolled, that one.
    Match,
    /// A finger, but another one.
    NoMatch,
    /// Too poor an image to compare; costs no try.
    Poor,
}

/// What the key waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interaction {
    /// A touch.
    Touch {
        /// What the touch is for.
        purpose: Purpose,
        /// When the wait ends.
        deadline: Duration,
    },
    /// A finger on the key's own sensor.
    BuiltInUv {
        /// What the finger is for.
        purpose: Purpose,
        /// How many fingers are looked at before the command fails; of an enrolment, how many good
        /// samples are wanted.
        attempts_left: u8,
        /// When the wait ends.
        deadline: Duration,
    },
}

impl Interaction {
    /// When the wait ends.
    pub fn deadline(&self) -> Duration {
        match self {
            Self::Touch { deadline, .. } | Self::BuiltInUv { deadline, .. } => *deadline,
        }
    }

    /// What a person does who consents.
    pub fn consent(&self) -> UserEvent {
        match self {
            Self::Touch {
                purpose: Purpose::ResetByLongTouch,
                ..
            } => UserEvent::LongTouch,
            Self::Touch { .. } => UserEvent::Touch,
            Self::BuiltInUv { .. } => UserEvent::Finger(FingerMatch::Match),
        }
    }

    /// What is asked for.
    pub fn purpose(&self) -> &Purpose {
        match self {
            Self::Touch { purpose, .. } | Self::BuiltInUv { purpose, .. } => purpose,
        }
    }
}

/// What the person consents to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A credential is made.
    MakeCredential {
        /// For this relying party.
        rp_id: String,
        /// For this account, if it has a name.
        user_name: Option<String>,
    },
    /// A credential signs.
    GetAssertion {
        /// For this relying party.
        rp_id: String,
    },
    /// A token is handed out after built-in user verification (§6.5.5.7.3).
    Token {
        /// Bound to this relying party, if to any.
        rp_id: Option<String>,
    },
    /// The finger is enrolled: this is a sample of it (§6.7.4).
    EnrollFinger,
    /// All credentials and settings are erased.
    Reset,
    /// The same, with a touch that is held for five seconds.
    ResetByLongTouch,
    /// The platform asks which of several keys is meant.
    Selection,
    /// A U2F registration, for a relying party known by hash only.
    U2fRegister,
    /// A U2F authentication, for a relying party known by hash only.
    U2fAuthenticate,
}

/// The evidence of a touch.
pub(crate) fn touch(event: UserEvent) -> Option<UserPresent> {
    match event {
        // Whoever lays a finger on the sensor touches the key.
        UserEvent::Touch | UserEvent::LongTouch | UserEvent::Finger(_) => Some(UserPresent(())),
        UserEvent::Deny | UserEvent::Cancel | UserEvent::Timeout => None,
    }
}

/// The evidence of a finger: a match both verifies and shows presence.
pub(crate) fn finger(finger: FingerMatch) -> Option<(UserVerified, UserPresent)> {
    (finger == FingerMatch::Match).then_some((UserVerified(()), UserPresent(())))
}

/// The evidence of a PIN: the stored hash compared with the given one, in constant time.
///
/// The caller has made the loss of a retry durable before (`pin.rs`).
pub(crate) fn compare_pin_hash(stored: &[u8; 16], given: &[u8]) -> Option<UserVerified> {
    crypto::equal(stored, given).then_some(UserVerified(()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn flags_need_evidence() {
        let present = touch(UserEvent::Touch);
        let verified = compare_pin_hash(&[1; 16], &[1; 16]);
        assert_eq!(flags(None, None), Flags::default());
        assert_eq!(flags(present, None), Flags::UP);
        assert_eq!(flags(None, verified), Flags::UV);
        assert_eq!(flags(present, verified), Flags::UP | Flags::UV);
    }

    #[test]
    fn only_a_match_verifies_and_only_a_touch_is_presence() {
        assert!(finger(FingerMatch::Match).is_some());
        assert!(finger(FingerMatch::NoMatch).is_none());
        assert!(finger(FingerMatch::Poor).is_none());
        assert!(touch(UserEvent::Cancel).is_none());
        assert!(touch(UserEvent::Timeout).is_none());
    }

    #[test]
    fn a_pin_hash_is_compared_whole() {
        assert!(compare_pin_hash(&[1; 16], &[1; 15]).is_none());
        assert!(compare_pin_hash(&[1; 16], &[1; 17]).is_none());
        assert!(compare_pin_hash(&[1; 16], &[]).is_none());
        let mut other = [1; 16];
        other[15] = 2;
        assert!(compare_pin_hash(&[1; 16], &other).is_none());
    }
}
