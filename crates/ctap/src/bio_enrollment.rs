//! CTAP 2.3 §6.7 authenticatorBioEnrollment (0x09; prototype 0x40).

use crate::item::{Element, Raw, int_map};

int_map! {
    /// What the platform asks for.
    pub struct Request {
        /// The modality; 1 is fingerprint.
        optional 0x01 "modality" modality: u64,
        /// The subcommand: 1 enrollBegin, 2 enrollCaptureNextSample, 3 cancelCurrentEnrollment,
        /// 4 enumerateEnrollments, 5 setFriendlyName, 6 removeEnrollment,
        /// 7 getFingerprintSensorInfo.
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
        /// How good the last sample was; 0 is good.
        optional 0x05 "lastEnrollSampleStatus" last_enroll_sample_status: u64,
        /// Samples still wanted.
        optional 0x06 "remainingSamples" remaining_samples: u64,
        /// All enrolments.
        optional 0x07 "templateInfos" template_infos: Vec<TemplateInfo>,
        /// Longest name in bytes.
        optional 0x08 "maxTemplateFriendlyName" max_template_friendly_name: u64,
    }
}
