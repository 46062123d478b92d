//! CTAP 2.3 §6.8 authenticatorCredentialManagement (0x0A; prototype 0x41).

use webauthn::cose::CoseKey;

use crate::Status;
use crate::entities::{CredentialDescriptor, RpEntity, UserEntity};
use crate::item::{Raw, SecretBytes, int_map};

int_map! {
    /// What the platform asks for.
    pub struct Request {
        /// See [`SubCommand`].
        required 0x01 "subCommand" sub_command: u64,
        /// Parameters, kept as they came: they are authenticated as bytes.
        optional 0x02 "subCommandParams" sub_command_params: Raw,
        /// Which PIN/UV auth protocol.
        optional 0x03 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
        /// Authenticates subCommand || subCommandParams.
        optional 0x04 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
    }
}

int_map! {
    /// Parameters of the subcommands.
    #[derive(Eq, Default)]
    pub struct SubCommandParams {
        /// SHA-256 of the RP ID.
        optional 0x01 "rpIDHash" rp_id_hash: [u8; 32],
        /// The credential.
        optional 0x02 "credentialID" credential_id: CredentialDescriptor,
        /// The account's new names.
        optional 0x03 "user" user: UserEntity,
    }
}

int_map! {
    /// What the key answers; which members are there depends on the subcommand.
    #[derive(Default)]
    pub struct Response {
        /// Discoverable credentials on the key.
        optional 0x01 "existingResidentCredentialsCount" existing_resident_credentials_count: u64,
        /// How many more fit, at most.
        optional 0x02 "maxPossibleRemainingResidentCredentialsCount" max_possible_remaining_resident_credentials_count: u64,
        /// The relying party.
        optional 0x03 "rp" rp: RpEntity,
        /// SHA-256 of the RP ID.
        optional 0x04 "rpIDHash" rp_id_hash: [u8; 32],
        /// How many relying parties there are.
        optional 0x05 "totalRPs" total_rps: u64,
        /// The account.
        optional 0x06 "user" user: UserEntity,
        /// The credential.
        optional 0x07 "credentialID" credential_id: CredentialDescriptor,
        /// Its public key.
        optional 0x08 "publicKey" public_key: CoseKey,
        /// How many credentials the relying party has.
        optional 0x09 "totalCredentials" total_credentials: u64,
        /// credProtect level.
        optional 0x0A "credProtect" cred_protect: u64,
        /// The key for the large blob of this credential.
        optional 0x0B "largeBlobKey" large_blob_key: SecretBytes,
        /// Whether third-party payment is allowed (CTAP 2.3).
        optional 0x0C "thirdPartyPayment" third_party_payment: bool,
    }
}

/// Subcommands of credentialManagement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SubCommand {
    /// 0x01 getCredsMetadata.
    GetCredsMetadata = 0x01,
    /// 0x02 enumerateRPsBegin.
    EnumerateRpsBegin = 0x02,
    /// 0x03 enumerateRPsGetNextRP.
    EnumerateRpsGetNextRp = 0x03,
    /// 0x04 enumerateCredentialsBegin.
    EnumerateCredentialsBegin = 0x04,
    /// 0x05 enumerateCredentialsGetNextCredential.
    EnumerateCredentialsGetNextCredential = 0x05,
    /// 0x06 deleteCredential.
    DeleteCredential = 0x06,
    /// 0x07 updateUserInformation.
    UpdateUserInformation = 0x07,
}

impl SubCommand {
    /// All subcommands.
    pub const ALL: [SubCommand; 7] = [
        SubCommand::GetCredsMetadata,
        SubCommand::EnumerateRpsBegin,
        SubCommand::EnumerateRpsGetNextRp,
        SubCommand::EnumerateCredentialsBegin,
        SubCommand::EnumerateCredentialsGetNextCredential,
        SubCommand::DeleteCredential,
        SubCommand::UpdateUserInformation,
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

/// The message that pinUvAuthParam authenticates: subCommand || subCommandParams.
pub fn authenticated_message(sub_command: u64, params: Option<&Raw>) -> Vec<u8> {
    let mut message = vec![u8::try_from(sub_command).unwrap_or(0)];
    message.extend_from_slice(params.map_or(&[], Raw::as_bytes));
    message
}
