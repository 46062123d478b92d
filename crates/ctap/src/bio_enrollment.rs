//! CTAP 2.3 §6.7 authenticatorBioEnrollment (0x09; prototype 0x40).

use crate::Status;
use crate::item::{Element, Raw, int_map};

/// The modality: the only one there is.
pub const FINGERPRINT: u64 = 0x01;

int_map! {
    /// What the platform asks for.
    pub struct Request {
        /// The modality; 1 is fingerprint.
        optional 0x01 "modality" modality: u64,
        /// See [`SubCommand`].
        optional 0x02 "subCommand" sub_command: u64,
        /// Parameters, kept as they came: they are authenticated as bytes.
        optional 0x03 "subCommandParams" sub_command_params: Raw,
        /// Which PIN/UV auth protocol.
        optional 0x04 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
        /// Authenticates modality || subCommand || subCommandParams.
        optional 0x05 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
        /// Ask for the modality only.
        optional 0x06 "getModality" get_modality: bool,
    }
}

int_map! {
    /// Parameters of the subcommands.
    #[derive(Eq, Default)]
    pub struct SubCommandParams {
        /// Which enrolment.
        optional 0x01 "templateId" template_id: Vec<u8>,
        /// Its name for people.
        optional 0x02 "templateFriendlyName" template_friendly_name: String,
        /// How long to wait for a finger, in milliseconds.
        optional 0x03 "timeoutMilliseconds" timeout_milliseconds: u64,
    }
}

int_map! {
    /// One enrolment.
    #[derive(Eq)]
    pub struct TemplateInfo {
        /// Which enrolment.
        required 0x01 "templateId" template_id: Vec<u8>,
        /// Its name for people.
        optional 0x02 "templateFriendlyName" template_friendly_name: String,
    }
}

impl Element for TemplateInfo {}

int_map! {
    /// What the key answers; which members are there depends on the subcommand.
    #[derive(Default)]
    pub struct Response {
        /// The modality; 1 is fingerprint.
        optional 0x01 "modality" modality: u64,
        /// 1 touch, 2 swipe.
        optional 0x02 "fingerprintKind" fingerprint_kind: u64,
        /// Good samples that an enrolment takes.
        optional 0x03 "maxCaptureSamplesRequiredForEnroll" max_capture_samples_required_for_enroll: u64,
        /// Which enrolment.
        optional 0x04 "templateId" template_id: Vec<u8>,
        /// How good the last sample was, see [`SampleStatus`].
        optional 0x05 "lastEnrollSampleStatus" last_enroll_sample_status: u64,
        /// Samples still wanted.
        optional 0x06 "remainingSamples" remaining_samples: u64,
        /// All enrolments.
        optional 0x07 "templateInfos" template_infos: Vec<TemplateInfo>,
        /// Longest name in bytes.
        optional 0x08 "maxTemplateFriendlyName" max_template_friendly_name: u64,
    }
}

/// Subcommands of authenticatorBioEnrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SubCommand {
    /// 0x01 enrollBegin.
    EnrollBegin = 0x01,
    /// 0x02 enrollCaptureNextSample.
    EnrollCaptureNextSample = 0x02,
    /// 0x03 cancelCurrentEnrollment.
    CancelCurrentEnrollment = 0x03,
    /// 0x04 enumerateEnrollments.
    EnumerateEnrollments = 0x04,
    /// 0x05 setFriendlyName.
    SetFriendlyName = 0x05,
    /// 0x06 removeEnrollment.
    RemoveEnrollment = 0x06,
    /// 0x07 getFingerprintSensorInfo.
    GetFingerprintSensorInfo = 0x07,
}

impl SubCommand {
    /// All subcommands.
    pub const ALL: [SubCommand; 7] = [
        SubCommand::EnrollBegin,
        SubCommand::EnrollCaptureNextSample,
        SubCommand::CancelCurrentEnrollment,
        SubCommand::EnumerateEnrollments,
        SubCommand::SetFriendlyName,
        SubCommand::RemoveEnrollment,
        SubCommand::GetFingerprintSensorInfo,
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

/// What the sensor made of a sample (§6.7.4 lastEnrollSampleStatus), as far as keys of this project
/// tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SampleStatus {
    /// 0x00 CTAP2_ENROLL_FEEDBACK_FP_GOOD.
    Good = 0x00,
    /// 0x07 CTAP2_ENROLL_FEEDBACK_FP_POOR_QUALITY.
    PoorQuality = 0x07,
    /// 0x0A CTAP2_ENROLL_FEEDBACK_FP_MERGE_FAILURE: it does not go with the samples before.
    MergeFailure = 0x0A,
    /// 0x0D CTAP2_ENROLL_FEEDBACK_NO_USER_ACTIVITY: nobody came in time.
    NoUserActivity = 0x0D,
}

impl SampleStatus {
    /// The code on the wire.
    pub const fn code(self) -> u64 {
        self as u64
    }
}

/// The message that pinUvAuthParam authenticates: modality || subCommand || subCommandParams.
pub fn authenticated_message(sub_command: SubCommand, params: Option<&[u8]>) -> Vec<u8> {
    let head = [FINGERPRINT as u8, sub_command as u8];
    [&head, params.unwrap_or_default()].concat()
}
