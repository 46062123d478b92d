//! CTAP 2.3 §6.7 authenticatorBioEnrollment, and its 2.1-PRE prototype (0x40): the fingers that a key
//! knows.

use core::time::Duration;

use ctap::bio_enrollment::{
    FINGERPRINT, Request, Response, SampleStatus, SubCommand, SubCommandParams,
    authenticated_message,
};
use ctap::{Command, Raw, Status};

use super::{ManageError, Manager, Token};

/// One enrolled finger. The name comes from whoever gave it: escape it before showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The template's identifier.
    pub id: Vec<u8>,
    /// What people call it.
    pub name: Option<String>,
}

/// What a key says of its sensor (§6.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensor {
    /// 1 touch, 2 swipe.
    pub kind: Option<u64>,
    /// Good samples that an enrolment takes.
    pub max_samples: Option<u64>,
    /// Longest name of a finger in bytes.
    pub max_name: Option<u64>,
}

/// One sample of an enrolment under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The template that grows.
    pub template_id: Vec<u8>,
    /// What the sensor made of it (§6.7.4 lastEnrollSampleStatus).
    pub status: u64,
    /// Good samples still wanted; at 0 the finger is enrolled.
    pub remaining: u64,
}

impl Sample {
    /// Whether it counted.
    pub fn is_good(&self) -> bool {
        self.status == SampleStatus::Good.code()
    }

    /// What the sensor made of it, in words.
    pub fn words(&self) -> &'static str {
        match self.status {
            0x00 => "good",
            0x01 => "too high",
            0x02 => "too low",
            0x03 => "too far left",
            0x04 => "too far right",
            0x05 => "too fast",
            0x06 => "too slow",
            0x07 => "poor quality",
            0x08 => "too skewed",
            0x09 => "too short",
            0x0A => "does not go with the samples before",
            0x0B => "this finger is enrolled already",
            0x0C => "no room for another finger",
            0x0D => "no finger came",
            0x0E => "the finger was not lifted",
            _ => "not good",
        }
    }
}

impl Manager<'_> {
    /// Whether fingers can be enrolled at all.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`]
    pub fn enrolls_fingerprints(&self) -> Result<(), ManageError> {
        self.bio_command().map(drop)
    }

    /// §6.7.3 getFingerprintSensorInfo. No PIN is wanted.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn sensor(&mut self) -> Result<Sensor, ManageError> {
        let doing = "tell what its sensor is";
        let answer = self.bio(doing, SubCommand::GetFingerprintSensorInfo, None, None)?;
        Ok(Sensor {
            kind: answer.fingerprint_kind,
            max_samples: answer.max_capture_samples_required_for_enroll,
            max_name: answer.max_template_friendly_name,
        })
    }

    /// §6.7.6 enumerateEnrollments. A key without fingers answers `INVALID_OPTION`: none.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn fingerprints(&mut self, token: &Token) -> Result<Vec<Fingerprint>, ManageError> {
        let doing = "list its fingerprints";
        let answer = self.bio(doing, SubCommand::EnumerateEnrollments, None, Some(token));
        let infos = match answer {
            Ok(answer) => answer.template_infos.unwrap_or_default(),
            Err(error) if error.status() == Some(Status::INVALID_OPTION) => Vec::new(),
            Err(error) => return Err(error),
        };
        let fingerprint = |info: ctap::bio_enrollment::TemplateInfo| Fingerprint {
            id: info.template_id,
            name: info.template_friendly_name,
        };
        Ok(infos.into_iter().map(fingerprint).collect())
    }

    /// §6.7.4 enrollBegin: a new finger, and its first sample. The key waits at most `patience`.
    ///
    /// # Errors
    /// [`ManageError`]; `FP_DATABASE_FULL` when no more fingers fit.
    pub fn enroll_begin(
        &mut self,
        patience: Duration,
        token: &Token,
    ) -> Result<Sample, ManageError> {
        let params = SubCommandParams {
            timeout_milliseconds: Some(milliseconds(patience)),
            ..SubCommandParams::default()
        };
        let command = SubCommand::EnrollBegin;
        let answer = self.bio("enrol a finger", command, Some(&params), Some(token))?;
        let id = answer.template_id.clone();
        sample(
            id.ok_or(ManageError::BadReply("it names no template"))?,
            &answer,
        )
    }

    /// §6.7.4 enrollCaptureNextSample, of the finger that was begun.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn enroll_next(
        &mut self,
        template_id: &[u8],
        patience: Duration,
        token: &Token,
    ) -> Result<Sample, ManageError> {
        let params = SubCommandParams {
            template_id: Some(template_id.to_vec()),
            timeout_milliseconds: Some(milliseconds(patience)),
            ..SubCommandParams::default()
        };
        let command = SubCommand::EnrollCaptureNextSample;
        let answer = self.bio("enrol a finger", command, Some(&params), Some(token))?;
        sample(template_id.to_vec(), &answer)
    }

    /// §6.7.5 cancelCurrentEnrollment.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn enroll_cancel(&mut self) -> Result<(), ManageError> {
        let command = SubCommand::CancelCurrentEnrollment;
        self.bio("stop the enrolment", command, None, None)
            .map(drop)
    }

    /// §6.7.7 setFriendlyName.
    ///
    /// # Errors
    /// [`ManageError`]; `INVALID_OPTION` when there is no such finger, `INVALID_LENGTH` when the key
    /// keeps no such long names.
    pub fn rename_fingerprint(
        &mut self,
        id: &[u8],
        name: &str,
        token: &Token,
    ) -> Result<(), ManageError> {
        let params = SubCommandParams {
            template_id: Some(id.to_vec()),
            template_friendly_name: Some(name.to_owned()),
            ..SubCommandParams::default()
        };
        let command = SubCommand::SetFriendlyName;
        self.bio("rename a fingerprint", command, Some(&params), Some(token))
            .map(drop)
    }

    /// §6.7.8 removeEnrollment.
    ///
    /// # Errors
    /// [`ManageError`]; `INVALID_OPTION` when there is no such finger.
    pub fn remove_fingerprint(&mut self, id: &[u8], token: &Token) -> Result<(), ManageError> {
        let params = SubCommandParams {
            template_id: Some(id.to_vec()),
            ..SubCommandParams::default()
        };
        let command = SubCommand::RemoveEnrollment;
        self.bio("remove a fingerprint", command, Some(&params), Some(token))
            .map(drop)
    }

    fn bio_command(&self) -> Result<Command, ManageError> {
        let options = self.options();
        if options.bio_enroll.is_some() {
            Ok(Command::BioEnrollment)
        } else if options.user_verification_mgmt_preview.is_some() {
            Ok(Command::BioEnrollmentPreview)
        } else {
            Err(ManageError::NotSupported("read fingerprints"))
        }
    }

    fn bio(
        &mut self,
        doing: &'static str,
        sub_command: SubCommand,
        params: Option<&SubCommandParams>,
        token: Option<&Token>,
    ) -> Result<Response, ManageError> {
        let command = self.bio_command()?;
        let params = params
            .map(|params| Raw::new(params.encode()))
            .transpose()
            .map_err(|_| ManageError::BadReply("no message could be made for it"))?;
        let message = authenticated_message(sub_command, params.as_ref().map(Raw::as_bytes));
        let request = Request {
            modality: Some(FINGERPRINT),
            sub_command: Some(sub_command.code()),
            sub_command_params: params,
            pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
            pin_uv_auth_param: token.map(|token| token.sign(&message)),
            get_modality: None,
        };
        let members = self.command(doing, command, &request.encode())?;
        if members.is_empty() {
            return Ok(Response::default());
        }
        Response::decode(&ctap::mended(&members))
            .map_err(|_| ManageError::BadReply("authenticatorBioEnrollment does not read"))
    }
}

fn sample(template_id: Vec<u8>, answer: &Response) -> Result<Sample, ManageError> {
    match (answer.last_enroll_sample_status, answer.remaining_samples) {
        (Some(status), Some(remaining)) => Ok(Sample {
            template_id,
            status,
            remaining,
        }),
        _ => Err(ManageError::BadReply("it says nothing of the sample")),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
