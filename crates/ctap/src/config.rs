//! CTAP 2.3 §6.11 authenticatorConfig (0x0D).

use crate::Status;
use crate::item::{Raw, int_map};

int_map! {
    /// What the platform asks for.
    pub struct Request {
        /// See [`SubCommand`].
        required 0x01 "subCommand" sub_command: u64,
        /// Parameters of the subcommand, kept as they came: they are authenticated as bytes.
        optional 0x02 "subCommandParams" sub_command_params: Raw,
        /// Which PIN/UV auth protocol.
        optional 0x03 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
        /// Authenticates 32 × 0xff || 0x0d || subCommand || subCommandParams.
        optional 0x04 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
    }
}

int_map! {
    /// Parameters of setMinPINLength.
    #[derive(Eq, Default)]
    pub struct SetMinPinLengthParams {
        /// The new minimum in code points; it can only grow.
        optional 0x01 "newMinPINLength" new_min_pin_length: u64,
        /// RP IDs that may read the minimum by the minPinLength extension.
        optional 0x02 "minPinLengthRPIDs" min_pin_length_rp_ids: Vec<String>,
        /// The PIN must be changed before it can be used again.
        optional 0x03 "forceChangePin" force_change_pin: bool,
        /// Enforce the PIN complexity policy (CTAP 2.3).
        optional 0x04 "pinComplexityPolicy" pin_complexity_policy: bool,
    }
}

/// Subcommands of authenticatorConfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SubCommand {
    /// 0x01 enableEnterpriseAttestation.
    EnableEnterpriseAttestation = 0x01,
    /// 0x02 toggleAlwaysUv.
    ToggleAlwaysUv = 0x02,
    /// 0x03 setMinPINLength.
    SetMinPinLength = 0x03,
    /// 0x04 enableLongTouchForReset (CTAP 2.3).
    EnableLongTouchForReset = 0x04,
    /// 0xFF vendorPrototype.
    VendorPrototype = 0xFF,
}

impl SubCommand {
    /// All subcommands.
    pub const ALL: [SubCommand; 5] = [
        SubCommand::EnableEnterpriseAttestation,
        SubCommand::ToggleAlwaysUv,
        SubCommand::SetMinPinLength,
        SubCommand::EnableLongTouchForReset,
        SubCommand::VendorPrototype,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u64 {
        self as u64
    }
}

impl TryFrom<u64> for SubCommand {
    type Error = Status;
    fn try_from(code: u64) -> Result<Self, Status> {
        Self::ALL
            .into_iter()
            .find(|s| s.code() == code)
            .ok_or(Status::INVALID_SUBCOMMAND)
    }
}

/// The message that pinUvAuthParam authenticates (§6.11, step on pinUvAuthParam).
pub fn authenticated_message(sub_command: u64, params: Option<&Raw>) -> Vec<u8> {
    let mut message = vec![0xff; 32];
    message.push(0x0d);
    message.push(u8::try_from(sub_command).unwrap_or(0));
    message.extend_from_slice(params.map_or(&[], Raw::as_bytes));
    message
}
