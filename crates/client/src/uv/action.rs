//! What a platform does: the values of a decision.

use serde::Serialize;

use crate::report::Reason;

/// How the PIN is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinEntry {
    /// The PIN is asked.
    Enter,
    /// The PIN is asked although the key is bound to refuse it.
    EnterInVain,
    /// The PIN is asked, then a new one, with which the ceremony goes on.
    EnterThenChange,
    /// Old and new PIN are asked in one dialog.
    Change,
    /// Old and new PIN are asked in one dialog, then the PIN two times more.
    ChangeThenEnterTwice,
}

/// Why a request cannot be satisfied on this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsatisfiable {
    /// The key has no means to verify the user.
    NoMeans,
    /// The key could, but is not set up, and this platform does not do it here.
    NotSetUp,
    /// The PIN is blocked.
    PinBlocked,
    /// The key cannot keep a discoverable credential.
    NoResidentKey,
    /// The key refuses the request without verification, and the platform leaves it at that.
    KeyRefuses,
}

/// A known fault of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// Asks for the PIN again and again, without ever using the token.
    PinLoop,
    /// Asks for touch and PIN in turn, without ever using the token.
    TouchPinLoop,
    /// Shows nothing more after the touch.
    HangAfterTouch,
}

/// What a platform does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Sends the request without user verification: a touch is all.
    NotRequired,
    /// Registers or signs in by CTAP1/U2F messages, without user verification.
    U2f,
    /// Sends the request without asking for verification, and the key verifies its user by itself.
    KeyVerifies,
    /// Verifies by the key's own method.
    ByBuiltInUv {
        /// The PIN is asked if that fails.
        pin_fallback: bool,
    },
    /// Verifies by the PIN that the key has.
    ByPin {
        /// How it is asked.
        entry: PinEntry,
        /// A touch chooses the key first.
        touch_first: bool,
        /// A finger is enrolled afterwards.
        enrol: bool,
    },
    /// Has the person create a PIN, then gets a token with it.
    ProvisionPin {
        /// The person may say "not now" and go on without verification.
        optional: bool,
        /// A touch chooses the key first.
        touch_first: bool,
        /// The PIN just created has to be entered once more.
        asked_again: bool,
        /// A finger is enrolled afterwards.
        enrol: bool,
    },
    /// Fails.
    Unsatisfiable {
        /// Why.
        why: Unsatisfiable,
        /// A touch is asked before the failure is told.
        touch_first: bool,
    },
    /// Does something that nobody wanted.
    Quirk(Quirk),
    /// Not known: the name of the rule that would have to be known.
    Unknown {
        /// The rule.
        rule: &'static str,
        /// It differs from machine to machine, rather than being unexplored.
        per_device: bool,
    },
}

impl Action {
    /// The action in one word, as tables name it.
    pub fn text(&self) -> String {
        match self {
            Self::NotRequired => "touch".into(),
            Self::U2f => "u2f".into(),
            Self::KeyVerifies => "key-verifies".into(),
            Self::ByBuiltInUv { .. } => "built-in-uv".into(),
            Self::ByPin {
                entry: PinEntry::Enter,
                ..
            } => "pin".into(),
            Self::ByPin {
                entry: PinEntry::EnterInVain,
                ..
            } => "pin-in-vain".into(),
            Self::ByPin { .. } => "change-pin".into(),
            Self::ProvisionPin { optional: true, .. } => "offer-pin".into(),
            Self::ProvisionPin {
                optional: false, ..
            } => "provision-pin".into(),
            Self::Unsatisfiable { why, .. } => match why {
                Unsatisfiable::NoMeans => "fail:no-means",
                Unsatisfiable::NotSetUp => "fail:not-set-up",
                Unsatisfiable::PinBlocked => "fail:pin-blocked",
                Unsatisfiable::NoResidentKey => "fail:no-resident-key",
                Unsatisfiable::KeyRefuses => "fail:key-refuses",
            }
            .into(),
            Self::Quirk(Quirk::PinLoop) => "quirk:pin-loop".into(),
            Self::Quirk(Quirk::TouchPinLoop) => "quirk:touch-pin-loop".into(),
            Self::Quirk(Quirk::HangAfterTouch) => "quirk:hang".into(),
            Self::Unknown {
                rule,
                per_device: false,
            } => format!("unknown:{rule}"),
            Self::Unknown {
                rule,
                per_device: true,
            } => format!("per-device:{rule}"),
        }
    }
}

/// The decision for one request on one key, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disposition {
    /// What the platform does.
    pub action: Action,
    /// Which facts of whom led here, in order.
    pub reasons: Vec<Reason>,
    /// The credential to be made is discoverable, or a discoverable one is asked for.
    pub discoverable: bool,
    /// The `UV` flag has to be set in the answer (the effective requirement is `required`).
    pub required: bool,
}
