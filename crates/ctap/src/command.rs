//! CTAP 2.3 §6 Authenticator API: the command byte in front of a request.

use crate::Status;
use crate::item::Member;

/// The commands by their code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// §6.1 authenticatorMakeCredential.
    MakeCredential,
    /// §6.2 authenticatorGetAssertion.
    GetAssertion,
    /// §6.4 authenticatorGetInfo.
    GetInfo,
    /// §6.5 authenticatorClientPIN.
    ClientPin,
    /// §6.6 authenticatorReset.
    Reset,
    /// §6.3 authenticatorGetNextAssertion.
    GetNextAssertion,
    /// §6.7 authenticatorBioEnrollment.
    BioEnrollment,
    /// §6.8 authenticatorCredentialManagement.
    CredentialManagement,
    /// §6.9 authenticatorSelection.
    Selection,
    /// §6.10 authenticatorLargeBlobs.
    LargeBlobs,
    /// §6.11 authenticatorConfig.
    Config,
    /// The 2.1-PRE prototype of bioEnrollment (vendor code 0x40).
    BioEnrollmentPreview,
    /// The 2.1-PRE prototype of credentialManagement (vendor code 0x41).
    CredentialManagementPreview,
}

impl Command {
    /// All commands.
    pub const ALL: [Command; 13] = [
        Command::MakeCredential,
        Command::GetAssertion,
        Command::GetInfo,
        Command::ClientPin,
        Command::Reset,
        Command::GetNextAssertion,
        Command::BioEnrollment,
        Command::CredentialManagement,
        Command::Selection,
        Command::LargeBlobs,
        Command::Config,
        Command::BioEnrollmentPreview,
        Command::CredentialManagementPreview,
    ];

    /// The command byte.
    pub const fn code(self) -> u8 {
        match self {
            Command::MakeCredential => 0x01,
            Command::GetAssertion => 0x02,
            Command::GetInfo => 0x04,
            Command::ClientPin => 0x06,
            Command::Reset => 0x07,
            Command::GetNextAssertion => 0x08,
            Command::BioEnrollment => 0x09,
            Command::CredentialManagement => 0x0A,
            Command::Selection => 0x0B,
            Command::LargeBlobs => 0x0C,
            Command::Config => 0x0D,
            Command::BioEnrollmentPreview => 0x40,
            Command::CredentialManagementPreview => 0x41,
        }
    }

    /// The command with this byte.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.code() == code)
    }

    /// The name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Command::MakeCredential => "authenticatorMakeCredential",
            Command::GetAssertion => "authenticatorGetAssertion",
            Command::GetInfo => "authenticatorGetInfo",
            Command::ClientPin => "authenticatorClientPIN",
            Command::Reset => "authenticatorReset",
            Command::GetNextAssertion => "authenticatorGetNextAssertion",
            Command::BioEnrollment => "authenticatorBioEnrollment",
            Command::CredentialManagement => "authenticatorCredentialManagement",
            Command::Selection => "authenticatorSelection",
            Command::LargeBlobs => "authenticatorLargeBlobs",
            Command::Config => "authenticatorConfig",
            Command::BioEnrollmentPreview => "authenticatorBioEnrollment (preview)",
            Command::CredentialManagementPreview => "authenticatorCredentialManagement (preview)",
        }
    }

    /// The members of the request.
    pub const fn request_members(self) -> &'static [Member] {
        match self {
            Command::MakeCredential => crate::make_credential::Request::MEMBERS,
            Command::GetAssertion => crate::get_assertion::Request::MEMBERS,
            Command::ClientPin => crate::client_pin::Request::MEMBERS,
            Command::Config => crate::config::Request::MEMBERS,
            Command::LargeBlobs => crate::large_blobs::Request::MEMBERS,
            Command::CredentialManagement | Command::CredentialManagementPreview => {
                crate::credential_management::Request::MEMBERS
            }
            Command::BioEnrollment | Command::BioEnrollmentPreview => {
                crate::bio_enrollment::Request::MEMBERS
            }
            Command::GetInfo | Command::Reset | Command::GetNextAssertion | Command::Selection => {
                &[]
            }
        }
    }

    /// The members of a successful answer.
    pub const fn response_members(self) -> &'static [Member] {
        match self {
            Command::MakeCredential => crate::make_credential::Response::MEMBERS,
            Command::GetAssertion | Command::GetNextAssertion => {
                crate::get_assertion::Response::MEMBERS
            }
            Command::GetInfo => crate::get_info::Response::MEMBERS,
            Command::ClientPin => crate::client_pin::Response::MEMBERS,
            Command::LargeBlobs => crate::large_blobs::Response::MEMBERS,
            Command::CredentialManagement | Command::CredentialManagementPreview => {
                crate::credential_management::Response::MEMBERS
            }
            Command::BioEnrollment | Command::BioEnrollmentPreview => {
                crate::bio_enrollment::Response::MEMBERS
            }
            Command::Reset | Command::Selection | Command::Config => &[],
        }
    }
}

/// The bytes of a request: command byte, then the parameters (empty for commands without any).
pub fn request_bytes(command: Command, parameters: &[u8]) -> Vec<u8> {
    [&[command.code()], parameters].concat()
}

/// The bytes of an answer: status byte, then the members (empty where there are none).
pub fn response_bytes(status: Status, members: &[u8]) -> Vec<u8> {
    [&[status.0], members].concat()
}

/// Splits a request into its command and parameters.
///
/// # Errors
/// `INVALID_LENGTH` when empty, `INVALID_COMMAND` for an unknown command byte.
pub fn split_request(bytes: &[u8]) -> Result<(Command, &[u8]), Status> {
    let (code, parameters) = bytes.split_first().ok_or(Status::INVALID_LENGTH)?;
    let command = Command::from_code(*code).ok_or(Status::INVALID_COMMAND)?;
    Ok((command, parameters))
}

/// Splits an answer into its status and members.
pub fn split_response(bytes: &[u8]) -> Option<(Status, &[u8])> {
    let (status, members) = bytes.split_first()?;
    Some((Status(*status), members))
}
