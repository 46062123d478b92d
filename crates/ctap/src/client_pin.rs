//! CTAP 2.3 §6.5 authenticatorClientPIN (0x06).

use webauthn::cose::CoseKey;

use crate::Status;
use crate::item::{SecretBytes, int_map};

int_map! {
    /// What the platform asks for.
    pub struct Request {
        /// Which PIN/UV auth protocol.
        optional 0x01 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
        /// See [`SubCommand`].
        required 0x02 "subCommand" sub_command: u64,
        /// The platform's key-agreement key.
        optional 0x03 "keyAgreement" key_agreement: CoseKey,
        /// Authenticates the encrypted PIN.
        optional 0x04 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
        /// The new PIN, padded to 64 bytes and encrypted under the shared secret.
        optional 0x05 "newPinEnc" new_pin_enc: SecretBytes,
        /// The first 16 bytes of SHA-256 of the PIN, encrypted under the shared secret.
        optional 0x06 "pinHashEnc" pin_hash_enc: SecretBytes,
        /// Wanted permissions, see [`Permissions`].
        optional 0x09 "permissions" permissions: u64,
        /// The RP ID that the token is for.
        optional 0x0A "rpId" rp_id: String,
    }
}

int_map! {
    /// What the key answers.
    #[derive(Default)]
    pub struct Response {
        /// The key's key-agreement key.
        optional 0x01 "keyAgreement" key_agreement: CoseKey,
        /// The token, encrypted under the shared secret.
        optional 0x02 "pinUvAuthToken" pin_uv_auth_token: SecretBytes,
        /// Tries left for the PIN.
        optional 0x03 "pinRetries" pin_retries: u64,
        /// The key must be plugged in anew before the next try.
        optional 0x04 "powerCycleState" power_cycle_state: bool,
        /// Tries left for built-in UV.
        optional 0x05 "uvRetries" uv_retries: u64,
    }
}

/// Subcommands of clientPIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SubCommand {
    /// 0x01 getPINRetries.
    GetPinRetries = 0x01,
    /// 0x02 getKeyAgreement.
    GetKeyAgreement = 0x02,
    /// 0x03 setPIN.
    SetPin = 0x03,
    /// 0x04 changePIN.
    ChangePin = 0x04,
    /// 0x05 getPinToken (superseded).
    GetPinToken = 0x05,
    /// 0x06 getPinUvAuthTokenUsingUvWithPermissions.
    GetPinUvAuthTokenUsingUvWithPermissions = 0x06,
    /// 0x07 getUVRetries.
    GetUvRetries = 0x07,
    /// 0x09 getPinUvAuthTokenUsingPinWithPermissions.
    GetPinUvAuthTokenUsingPinWithPermissions = 0x09,
}

impl SubCommand {
    /// All subcommands.
    pub const ALL: [SubCommand; 8] = [
        SubCommand::GetPinRetries,
        SubCommand::GetKeyAgreement,
        SubCommand::SetPin,
        SubCommand::ChangePin,
        SubCommand::GetPinToken,
        SubCommand::GetPinUvAuthTokenUsingUvWithPermissions,
        SubCommand::GetUvRetries,
        SubCommand::GetPinUvAuthTokenUsingPinWithPermissions,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u64 {
        self as u64
    }

    /// The name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            SubCommand::GetPinRetries => "getPINRetries",
            SubCommand::GetKeyAgreement => "getKeyAgreement",
            SubCommand::SetPin => "setPIN",
            SubCommand::ChangePin => "changePIN",
            SubCommand::GetPinToken => "getPinToken",
            SubCommand::GetPinUvAuthTokenUsingUvWithPermissions => {
                "getPinUvAuthTokenUsingUvWithPermissions"
            }
            SubCommand::GetUvRetries => "getUVRetries",
            SubCommand::GetPinUvAuthTokenUsingPinWithPermissions => {
                "getPinUvAuthTokenUsingPinWithPermissions"
            }
        }
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

/// Permissions of a pinUvAuthToken, as bits (§6.5.5.7).
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Permissions(pub u8);

impl Permissions {
    /// mc: makeCredential.
    pub const MAKE_CREDENTIAL: Permissions = Permissions(0x01);
    /// ga: getAssertion.
    pub const GET_ASSERTION: Permissions = Permissions(0x02);
    /// cm: credentialManagement.
    pub const CREDENTIAL_MANAGEMENT: Permissions = Permissions(0x04);
    /// be: bioEnrollment.
    pub const BIO_ENROLLMENT: Permissions = Permissions(0x08);
    /// lbw: writing large blobs.
    pub const LARGE_BLOB_WRITE: Permissions = Permissions(0x10);
    /// acfg: authenticatorConfig.
    pub const AUTHENTICATOR_CONFIG: Permissions = Permissions(0x20);
    /// pcmr: persistent read-only credentialManagement (CTAP 2.2).
    pub const PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY: Permissions = Permissions(0x40);

    const NAMES: [(Permissions, &'static str); 7] = [
        (Self::MAKE_CREDENTIAL, "mc"),
        (Self::GET_ASSERTION, "ga"),
        (Self::CREDENTIAL_MANAGEMENT, "cm"),
        (Self::BIO_ENROLLMENT, "be"),
        (Self::LARGE_BLOB_WRITE, "lbw"),
        (Self::AUTHENTICATOR_CONFIG, "acfg"),
        (Self::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY, "pcmr"),
    ];

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Permissions) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether none is given.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Permissions) -> Permissions {
        Permissions(self.0 & !other.0)
    }
}

impl core::ops::BitOr for Permissions {
    type Output = Permissions;
    fn bitor(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
}

impl core::fmt::Debug for Permissions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names: Vec<_> = Self::NAMES
            .iter()
            .filter(|(bit, _)| self.contains(*bit))
            .map(|(_, name)| *name)
            .collect();
        write!(f, "{{{}}}", names.join(","))
    }
}
