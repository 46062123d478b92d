//! CTAP 2.3 §6.7.4 Enrolling fingerprint, in the flow of a registration.

use ctap::bio_enrollment::{Request, Response, SubCommandParams};
use ctap::{Command, Status};
use rand_core::CryptoRng;

use crate::ceremony::Ceremony;
use crate::prompt::Prompt;
use crate::report::Step;
use crate::session::{Session, Wait};
use crate::uv::Action;

const FINGERPRINT: u64 = 0x01;
const ENROLL_BEGIN: u64 = 0x01;
const ENROLL_CAPTURE_NEXT_SAMPLE: u64 = 0x02;

/// Samples that a key may ask for before the platform gives up.
const MOST_SAMPLES: u16 = 64;

/// An enrolment under way.
#[derive(Debug)]
pub(crate) struct Enrol {
    /// Known after the first sample.
    template_id: Option<Vec<u8>>,
    samples: u16,
    /// The person said "not now", and the key is being told.
    skipped: bool,
}

impl Session {
    /// Whether a finger is to be enrolled with the token just obtained.
    pub(crate) fn wants_enrol(&self) -> bool {
        // "Not now" to the PIN leaves no token to enrol with.
        self.will_enrol() && self.token.is_some()
    }

    /// Whether a finger is to be enrolled once there is a token.
    pub(crate) fn will_enrol(&self) -> bool {
        let decided = matches!(
            self.decided.as_ref().map(|decided| decided.action),
            Some(Action::ByPin { enrol: true, .. } | Action::ProvisionPin { enrol: true, .. })
        );
        decided && self.facts.key.bio_enroll == Some(false)
    }

    pub(crate) fn start_enrol(&mut self, host: &mut Ceremony) {
        host.show(Prompt::EnrollFingerprint { remaining: None });
        let state = Enrol {
            template_id: None,
            samples: 0,
            skipped: false,
        };
        self.send_enrol(host, ENROLL_BEGIN, None, state);
    }

    fn send_enrol(
        &mut self,
        host: &mut Ceremony,
        sub_command: u64,
        params: Option<SubCommandParams>,
        state: Enrol,
    ) {
        let params = params.map(|params| params.encode());
        let code = u8::try_from(sub_command).unwrap_or_default();
        let modality = u8::try_from(FINGERPRINT).unwrap_or_default();
        // §6.7: authenticate(token, modality || subCommand || subCommandParams)
        let message = [&[modality, code], params.as_deref().unwrap_or_default()].concat();
        let signed = self.token.as_ref();
        let request = Request {
            modality: Some(FINGERPRINT),
            sub_command: Some(sub_command),
            sub_command_params: params.and_then(|bytes| ctap::Raw::new(bytes).ok()),
            pin_uv_auth_protocol: signed.map(|token| token.protocol.number().into()),
            pin_uv_auth_param: signed.map(|t| t.protocol.authenticate(&t.value, &message)),
            get_modality: None,
        };
        let final_form = self
            .info
            .as_ref()
            .and_then(|i| i.options.as_ref())
            .is_some_and(|o| o.bio_enroll.is_some());
        let command = if final_form {
            Command::BioEnrollment
        } else {
            Command::BioEnrollmentPreview
        };
        self.send(host, command, &request.encode(), Wait::Enrol(state));
    }

    pub(crate) fn on_enrol(
        &mut self,
        host: &mut Ceremony,
        mut state: Enrol,
        status: Status,
        body: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        if state.skipped {
            self.enrolled(host, false);
            return self.proceed(host, rng);
        }
        let answer = if status == Status::OK {
            Response::decode(body).ok()
        } else {
            None
        };
        let Some(answer) = answer else {
            // The registration does not depend on it.
            self.enrolled(host, false);
            return self.proceed(host, rng);
        };
        state.samples += 1;
        let remaining = answer.remaining_samples.unwrap_or(0);
        if let Some(template_id) = answer.template_id {
            state.template_id = Some(template_id);
        }
        if remaining == 0 || state.samples >= MOST_SAMPLES {
            self.enrolled(host, remaining == 0);
            return self.proceed(host, rng);
        }
        host.show(Prompt::EnrollFingerprint {
            remaining: u8::try_from(remaining).ok(),
        });
        let params = SubCommandParams {
            template_id: state.template_id.clone(),
            ..SubCommandParams::default()
        };
        self.send_enrol(host, ENROLL_CAPTURE_NEXT_SAMPLE, Some(params), state);
    }

    /// "Not now": the key is told, and the registration goes on.
    pub(crate) fn skip_enrol(&mut self, host: &mut Ceremony, mut state: Enrol) {
        state.skipped = true;
        host.cancel_key(self.key);
        self.wait = Wait::Enrol(state);
    }

    fn enrolled(&mut self, host: &mut Ceremony, done: bool) {
        if done {
            host.steps.push(Step::EnrollFingerprint);
        }
        self.facts.key.bio_enroll = Some(done);
        if !done {
            // Not asked again in this ceremony.
            self.facts.key.bio_enroll = None;
        }
    }
}
