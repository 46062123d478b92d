//! CTAP 2.3 §6.7 authenticatorBioEnrollment, and its 2.1-PRE prototype (§6.12).
//!
//! The sensor is scripted: what it makes of a finger comes in as a [`FingerMatch`]. While a finger is
//! enrolled, `Match` is a good sample of it, `NoMatch` a sample of another finger, and `Poor` a poor
//! one.

use core::time::Duration;

use ctap::bio_enrollment::{
    FINGERPRINT, Request, Response, SampleStatus, SubCommand, SubCommandParams, TemplateInfo,
    authenticated_message,
};
use ctap::client_pin::Permissions;
use ctap::{Raw, Status};

use crate::authenticator::{Authenticator, Channel, Continuation, Env, Handled, Pending, Step};
use crate::presence::{FingerMatch, Interaction, Purpose};
use crate::state::{Change, Config, Template};

/// §6.7.3: a sensor that is touched, not swiped.
const TOUCH_SENSOR: u64 = 1;

/// The enrolment of a key that is delivered with one.
const DELIVERED: [u8; 2] = [0, 0];

/// An enrolment under way.
pub(crate) struct Enrollment {
    template_id: Vec<u8>,
    /// Good samples still wanted.
    remaining: u8,
}

/// One sample of an enrolment, while the person is asked for a finger.
pub(crate) struct Sample {
    enrollment: Enrollment,
    /// Whether it is the first one: its answer tells the template's identifier.
    first: bool,
}

impl Authenticator {
    /// Handles authenticatorBioEnrollment.
    pub(crate) fn bio_enrollment(
        &mut self,
        parameters: &[u8],
        continuation: Option<Continuation>,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        let request = Request::decode(parameters)?;
        // §6.7.2.
        if request.get_modality == Some(true) {
            return Ok(answer(&Response {
                modality: Some(FINGERPRINT),
                ..Response::default()
            }));
        }
        let code = request.sub_command.ok_or(Status::MISSING_PARAMETER)?;
        if request.modality.ok_or(Status::MISSING_PARAMETER)? != FINGERPRINT {
            return Err(Status::UNSUPPORTED_OPTION);
        }
        let command = SubCommand::try_from(code)?;
        match command {
            SubCommand::GetFingerprintSensorInfo => return Ok(self.sensor_info()),
            // What was under way was taken off its channel with this request.
            SubCommand::CancelCurrentEnrollment => return Ok(Step::Reply(Vec::new())),
            _ => self.authorize_enrollment(command, &request)?,
        }
        let params = match &request.sub_command_params {
            Some(params) => SubCommandParams::decode(params.as_bytes())?,
            None => SubCommandParams::default(),
        };
        match command {
            SubCommand::EnrollBegin => self.enroll_begin(&params, env),
            SubCommand::EnrollCaptureNextSample => {
                self.enroll_capture_next_sample(&params, continuation, channel, env)
            }
            SubCommand::EnumerateEnrollments => self.enumerate_enrollments(),
            SubCommand::SetFriendlyName => self.set_friendly_name(params, env),
            SubCommand::RemoveEnrollment => self.remove_enrollment(&params, env),
            SubCommand::CancelCurrentEnrollment | SubCommand::GetFingerprintSensorInfo => {
                Err(Status::OTHER)
            }
        }
    }

    /// §6.7.3 getFingerprintSensorInfo.
    fn sensor_info(&self) -> Step {
        let sensor = &self.profile.built_in_uv;
        answer(&Response {
            modality: Some(FINGERPRINT),
            fingerprint_kind: Some(TOUCH_SENSOR),
            max_capture_samples_required_for_enroll: Some(sensor.samples.into()),
            max_template_friendly_name: Some(sensor.max_friendly_name.into()),
            ..Response::default()
        })
    }

    /// Every other subcommand needs a token with the permission be.
    fn authorize_enrollment(
        &mut self,
        command: SubCommand,
        request: &Request,
    ) -> Result<(), Status> {
        let param = request
            .pin_uv_auth_param
            .as_ref()
            .ok_or(Status::PUAT_REQUIRED)?;
        let protocol = self.protocol(request.pin_uv_auth_protocol)?;
        let params = request.sub_command_params.as_ref().map(Raw::as_bytes);
        let message = authenticated_message(command, params);
        self.verify_token(protocol, &message, param, Permissions::BIO_ENROLLMENT)
            .map(drop)
    }

    /// §6.7.4 enrollBegin: a new template, and its first sample.
    fn enroll_begin(&mut self, params: &SubCommandParams, env: &Env<'_>) -> Handled {
        let templates = self.templates();
        if templates.len() >= usize::from(self.profile.built_in_uv.max_templates) {
            return Err(Status::FP_DATABASE_FULL);
        }
        let free = (1..=u16::MAX)
            .map(u16::to_be_bytes)
            .find(|id| templates.iter().all(|template| template.id != id));
        let enrollment = Enrollment {
            template_id: free.ok_or(Status::FP_DATABASE_FULL)?.to_vec(),
            remaining: self.profile.built_in_uv.samples,
        };
        self.ask_for_sample(enrollment, true, params, env)
    }

    /// §6.7.4 enrollCaptureNextSample, for the enrolment that this channel began.
    fn enroll_capture_next_sample(
        &mut self,
        params: &SubCommandParams,
        continuation: Option<Continuation>,
        channel: Channel,
        env: &Env<'_>,
    ) -> Handled {
        let Some(Continuation::Enrollment(enrollment)) = continuation else {
            return Err(Status::NOT_ALLOWED);
        };
        let wrong = match &params.template_id {
            None => Some(Status::MISSING_PARAMETER),
            Some(id) if *id != enrollment.template_id => Some(Status::INVALID_OPTION),
            Some(_) => None,
        };
        if let Some(status) = wrong {
            self.begin_continuation(channel, Continuation::Enrollment(enrollment));
            return Err(status);
        }
        self.ask_for_sample(enrollment, false, params, env)
    }

    fn ask_for_sample(
        &self,
        enrollment: Enrollment,
        first: bool,
        params: &SubCommandParams,
        env: &Env<'_>,
    ) -> Handled {
        let longest = self.profile.touch_timeout();
        let wait = params
            .timeout_milliseconds
            .map_or(longest, |wanted| Duration::from_millis(wanted).min(longest));
        let interaction = Interaction::BuiltInUv {
            purpose: Purpose::EnrollFinger,
            attempts_left: enrollment.remaining,
            deadline: env.now + wait,
        };
        Ok(Step::Wait(
            Pending::Sample(Box::new(Sample { enrollment, first })),
            interaction,
        ))
    }

    /// A finger was laid on the sensor, or none came in time: that is an answer, not an error, and
    /// the platform may ask for the next sample.
    pub(crate) fn sampled(
        &mut self,
        sample: Sample,
        finger: Option<FingerMatch>,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        let Sample {
            mut enrollment,
            first,
        } = sample;
        let status = match finger {
            Some(FingerMatch::Match) => SampleStatus::Good,
            Some(FingerMatch::NoMatch) => SampleStatus::MergeFailure,
            Some(FingerMatch::Poor) => SampleStatus::PoorQuality,
            None => SampleStatus::NoUserActivity,
        };
        if status == SampleStatus::Good {
            enrollment.remaining = enrollment.remaining.saturating_sub(1);
        }
        let response = Response {
            template_id: first.then(|| enrollment.template_id.clone()),
            last_enroll_sample_status: Some(status.code()),
            remaining_samples: Some(enrollment.remaining.into()),
            ..Response::default()
        };
        if enrollment.remaining > 0 {
            self.begin_continuation(channel, Continuation::Enrollment(enrollment));
        } else {
            let template = Template {
                id: enrollment.template_id,
                friendly_name: None,
            };
            self.change_templates(Change::PutTemplate(template), true, env)?;
        }
        Ok(answer(&response))
    }

    /// §6.7.6 enumerateEnrollments.
    fn enumerate_enrollments(&self) -> Handled {
        let templates = self.templates();
        if templates.is_empty() {
            return Err(Status::INVALID_OPTION);
        }
        let infos = templates.into_iter().map(|template| TemplateInfo {
            template_id: template.id,
            template_friendly_name: template.friendly_name,
        });
        Ok(answer(&Response {
            template_infos: Some(infos.collect()),
            ..Response::default()
        }))
    }

    /// §6.7.7 setFriendlyName.
    fn set_friendly_name(&mut self, params: SubCommandParams, env: &mut Env<'_>) -> Handled {
        let (Some(id), Some(name)) = (params.template_id, params.template_friendly_name) else {
            return Err(Status::MISSING_PARAMETER);
        };
        self.existing_template(&id)?;
        if name.len() > usize::from(self.profile.built_in_uv.max_friendly_name) {
            return Err(Status::INVALID_LENGTH);
        }
        let template = Template {
            id,
            friendly_name: Some(name),
        };
        self.change_templates(Change::PutTemplate(template), true, env)?;
        Ok(Step::Reply(Vec::new()))
    }

    /// §6.7.8 removeEnrollment.
    fn remove_enrollment(&mut self, params: &SubCommandParams, env: &mut Env<'_>) -> Handled {
        let id = params
            .template_id
            .as_ref()
            .ok_or(Status::MISSING_PARAMETER)?;
        self.existing_template(id)?;
        let any_left = self.templates().len() > 1;
        self.change_templates(Change::DeleteTemplate(id.clone()), any_left, env)?;
        Ok(Step::Reply(Vec::new()))
    }

    fn existing_template(&self, id: &[u8]) -> Result<(), Status> {
        let exists = self.templates().iter().any(|template| template.id == id);
        exists.then_some(()).ok_or(Status::INVALID_OPTION)
    }

    /// The enrolments. The one that a key is delivered with is stored when the first change is made.
    fn templates(&self) -> Vec<Template> {
        let delivered = self.delivered_template();
        delivered
            .into_iter()
            .chain(self.state.templates().cloned())
            .collect()
    }

    fn delivered_template(&self) -> Option<Template> {
        let untouched = self.state.config().finger_enrolled.is_none();
        (untouched && self.profile.built_in_uv.enrolled).then(|| Template {
            id: DELIVERED.to_vec(),
            friendly_name: None,
        })
    }

    fn change_templates(
        &mut self,
        change: Change,
        any_left: bool,
        env: &mut Env<'_>,
    ) -> Result<(), Status> {
        let mut changes: Vec<_> = self
            .delivered_template()
            .map(Change::PutTemplate)
            .into_iter()
            .collect();
        changes.push(change);
        if self.state.config().finger_enrolled != Some(any_left) {
            changes.push(Change::SetConfig(Config {
                finger_enrolled: Some(any_left),
                ..self.state.config().clone()
            }));
        }
        self.commit(env, &changes)
    }
}

fn answer(response: &Response) -> Step {
    Step::Reply(response.encode())
}
