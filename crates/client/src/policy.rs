//! The policy of the host: what its owner decided where the texts leave the choice to the platform.

mod file;

use core::time::Duration;

use serde::{Deserialize, Serialize};

pub use file::{HostPolicyFile, PolicyFileError};
pub use webauthn::rp_id::check as check_rp_id;

/// What to do about a key without a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinSetup {
    /// Go on without user verification (for `required`: fail).
    Proceed,
    /// Offer to create a PIN, with "not now" (for `required` there is no "not now").
    Offer,
    /// Have a PIN created.
    Provision,
    /// Fail.
    Fail,
}

/// The policy of one host. Only platforms whose rule says `by-policy` look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct HostPolicy {
    /// `create()` with `preferred` on a key without a PIN.
    pub create_preferred_no_pin: PinSetup,
    /// `create()` with `required` on a key without a PIN.
    pub create_required_no_pin: PinSetup,
    /// `get()` with `preferred` on a key without a PIN.
    pub get_preferred_no_pin: PinSetup,
    /// `get()` with `required` on a key without a PIN.
    pub get_required_no_pin: PinSetup,
    /// Never set up a PIN on this host, whatever else is said here (kiosks).
    pub never_provision: bool,
}

impl Default for HostPolicy {
    /// Offers a PIN where it is preferred and has one created where it is required.
    fn default() -> Self {
        Self {
            create_preferred_no_pin: PinSetup::Offer,
            create_required_no_pin: PinSetup::Provision,
            get_preferred_no_pin: PinSetup::Offer,
            get_required_no_pin: PinSetup::Provision,
            never_provision: false,
        }
    }
}

impl HostPolicy {
    /// What a setting comes to: a host that never provisions sets up nothing, and without
    /// verification `required` cannot be met.
    pub fn effective(&self, setup: PinSetup, required: bool) -> PinSetup {
        match setup {
            PinSetup::Offer | PinSetup::Provision if self.never_provision && required => {
                PinSetup::Fail
            }
            PinSetup::Offer | PinSetup::Provision if self.never_provision => PinSetup::Proceed,
            PinSetup::Proceed if required => PinSetup::Fail,
            setup => setup,
        }
    }
}

/// WebAuthn L3 §15.1 recommends 300 to 600 seconds and 300 when the page says nothing.
pub(crate) fn timeout(asked: Option<u64>) -> Duration {
    const LEAST: u64 = 300_000;
    const MOST: u64 = 600_000;
    Duration::from_millis(asked.unwrap_or(LEAST).clamp(LEAST, MOST))
}
