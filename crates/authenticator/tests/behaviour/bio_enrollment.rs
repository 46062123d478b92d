//! CTAP 2.3 §6.7 authenticatorBioEnrollment.

use core::time::Duration;

use authenticator::{FingerMatch, Interaction, Purpose};
use ctap::bio_enrollment::{
    FINGERPRINT, Request, Response, SubCommand, SubCommandParams, authenticated_message,
};
use ctap::client_pin::Permissions;
use ctap::{Command, Raw, Status};

use crate::bench::{Bench, ONE, PIN, Person, TWO, mc_options};

const KEY: &str = "fido-2.1-bio";
/// What the shipped profile wants for one finger, and how many fingers it takes.
const SAMPLES: u64 = 4;
const CAPACITY: usize = 5;

impl Bench {
    pub(crate) fn bio_token(&mut self) -> Vec<u8> {
        self.token(PIN, Permissions::BIO_ENROLLMENT, None).unwrap()
    }

    fn bio(
        &mut self,
        command: SubCommand,
        params: Option<SubCommandParams>,
        token: Option<&[u8]>,
    ) -> Result<Response, Status> {
        let params = params.map(|params| params.encode());
        let message = authenticated_message(command, params.as_deref());
        let request = Request {
            modality: Some(FINGERPRINT),
            sub_command: Some(command.code()),
            sub_command_params: params.map(|params| Raw::new(params).unwrap()),
            pin_uv_auth_protocol: token.map(|_| self.protocol.number().into()),
            pin_uv_auth_param: token.map(|token| self.protocol.authenticate(token, &message)),
            get_modality: None,
        };
        let answer = self.send(Command::BioEnrollment, &request.encode())?;
        Ok(if answer.is_empty() {
            Response::default()
        } else {
            Response::decode(&answer).unwrap()
        })
    }

    fn begin(&mut self, token: &[u8]) -> Result<Response, Status> {
        self.bio(SubCommand::EnrollBegin, None, Some(token))
    }

    pub(crate) fn capture(&mut self, id: &[u8], token: &[u8]) -> Result<Response, Status> {
        let command = SubCommand::EnrollCaptureNextSample;
        self.bio(command, Some(of(id)), Some(token))
    }

    /// Enrols a finger up to the last sample; returns its identifier.
    pub(crate) fn enrol_but_one(&mut self, token: &[u8]) -> Vec<u8> {
        let id = self.begin(token).unwrap().template_id.unwrap();
        for _ in 2..SAMPLES {
            self.capture(&id, token).unwrap();
        }
        id
    }

    /// Enrols a finger; returns its identifier.
    fn enrol(&mut self, token: &[u8]) -> Vec<u8> {
        let id = self.enrol_but_one(token);
        self.capture(&id, token).unwrap();
        id
    }

    /// Identifiers and names.
    fn enrolments(&mut self, token: &[u8]) -> Vec<(Vec<u8>, Option<String>)> {
        match self.bio(SubCommand::EnumerateEnrollments, None, Some(token)) {
            Ok(response) => response
                .template_infos
                .unwrap()
                .into_iter()
                .map(|info| (info.template_id, info.template_friendly_name))
                .collect(),
            Err(status) => {
                assert_eq!(status, Status::INVALID_OPTION, "§6.7.6: no enrolment");
                Vec::new()
            }
        }
    }

    pub(crate) fn remove(&mut self, id: &[u8], token: &[u8]) -> Result<Response, Status> {
        self.bio(SubCommand::RemoveEnrollment, Some(of(id)), Some(token))
    }

    fn uv(&mut self) -> (Option<bool>, Option<bool>) {
        let options = self.info().options.unwrap();
        (options.uv, options.bio_enroll)
    }
}

fn of(id: &[u8]) -> SubCommandParams {
    SubCommandParams {
        template_id: Some(id.to_vec()),
        ..SubCommandParams::default()
    }
}

fn named(id: &[u8], name: &str) -> SubCommandParams {
    SubCommandParams {
        template_friendly_name: Some(name.to_owned()),
        ..of(id)
    }
}

#[test]
fn the_sensor_says_what_it_is_to_anybody() {
    let mut bench = Bench::new(KEY);
    let info = bench
        .bio(SubCommand::GetFingerprintSensorInfo, None, None)
        .unwrap();
    assert_eq!(
        (info.modality, info.fingerprint_kind),
        (Some(FINGERPRINT), Some(1))
    );
    assert_eq!(info.max_capture_samples_required_for_enroll, Some(SAMPLES));
    assert_eq!(info.max_template_friendly_name, Some(32));
    let get_modality = Request {
        modality: None,
        sub_command: None,
        sub_command_params: None,
        pin_uv_auth_protocol: None,
        pin_uv_auth_param: None,
        get_modality: Some(true),
    };
    let answer = bench
        .send(Command::BioEnrollment, &get_modality.encode())
        .unwrap();
    let answer = Response::decode(&answer).unwrap();
    assert_eq!(answer.modality, Some(FINGERPRINT));
    // Without it, something must be asked for, of the one modality there is.
    let mut request = Request {
        get_modality: None,
        ..get_modality
    };
    for (modality, sub_command, status) in [
        (Some(1), None, Status::MISSING_PARAMETER),
        (None, Some(7), Status::MISSING_PARAMETER),
        (Some(2), Some(7), Status::UNSUPPORTED_OPTION),
        (Some(1), Some(8), Status::INVALID_SUBCOMMAND),
    ] {
        (request.modality, request.sub_command) = (modality, sub_command);
        let answer = bench.send(Command::BioEnrollment, &request.encode());
        assert_eq!(answer, Err(status), "{modality:?} {sub_command:?}");
    }
}

#[test]
fn a_finger_is_enrolled_sample_by_sample() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    let first = bench.begin(&token).unwrap();
    assert!(matches!(
        &bench.asked[..],
        [Interaction::BuiltInUv {
            purpose: Purpose::EnrollFinger,
            attempts_left: 4,
            ..
        }]
    ));
    assert_eq!(
        (first.last_enroll_sample_status, first.remaining_samples),
        (Some(0x00), Some(SAMPLES - 1))
    );
    let id = first.template_id.unwrap();
    for left in (0..SAMPLES - 1).rev() {
        let before = bench.enrolments_in_store();
        let next = bench.capture(&id, &token).unwrap();
        assert_eq!(
            (
                next.template_id,
                next.last_enroll_sample_status,
                next.remaining_samples
            ),
            (None, Some(0x00), Some(left))
        );
        assert_eq!(bench.enrolments_in_store() > before, left == 0);
    }
    // Nothing is under way any more.
    assert_eq!(bench.capture(&id, &token).unwrap_err(), Status::NOT_ALLOWED);
    bench.restart();
    let token = bench.bio_token();
    let ids: Vec<_> = bench.enrolments(&token).into_iter().map(|e| e.0).collect();
    assert_eq!(ids.len(), 2, "the delivered finger and this one");
    assert!(ids.contains(&id));
}

impl Bench {
    fn enrolments_in_store(&self) -> usize {
        self.store.state().unwrap().templates().count()
    }
}

#[test]
fn poor_wrong_and_absent_fingers_are_told_and_cost_nothing() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    let id = bench.begin(&token).unwrap().template_id.unwrap();
    let retries = bench.key.state().uv_retries();
    for (person, status) in [
        (Person::Lays(FingerMatch::Poor), 0x07),
        (Person::Lays(FingerMatch::NoMatch), 0x0A),
        (Person::Waits, 0x0D),
    ] {
        bench.person = person;
        let answer = bench.capture(&id, &token).unwrap();
        assert_eq!(
            (answer.last_enroll_sample_status, answer.remaining_samples),
            (Some(status), Some(SAMPLES - 1))
        );
    }
    assert_eq!(bench.key.state().uv_retries(), retries);
    bench.person = Person::Touches;
    for _ in 1..SAMPLES {
        bench.capture(&id, &token).unwrap();
    }
    assert_eq!(bench.enrolments(&token).len(), 2);
}

#[test]
fn the_platform_says_how_long_to_wait_but_not_longer_than_the_key_does() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    for (wanted, waited) in [(5_000, 5), (3_600_000, 30)] {
        let params = SubCommandParams {
            timeout_milliseconds: Some(wanted),
            ..SubCommandParams::default()
        };
        bench
            .bio(SubCommand::EnrollBegin, Some(params), Some(&token))
            .unwrap();
        let deadline = bench.asked[0].deadline();
        assert_eq!(deadline - bench.now, Duration::from_secs(waited));
    }
}

#[test]
fn an_enrolment_ends_when_it_is_cancelled_or_another_one_begins() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    let id = bench.begin(&token).unwrap().template_id.unwrap();
    bench
        .bio(SubCommand::CancelCurrentEnrollment, None, None)
        .unwrap();
    assert_eq!(bench.capture(&id, &token).unwrap_err(), Status::NOT_ALLOWED);
    // By the cancellation of the wire.
    let id = bench.begin(&token).unwrap().template_id.unwrap();
    bench.person = Person::IsCancelled;
    assert_eq!(
        bench.capture(&id, &token).unwrap_err(),
        Status::KEEPALIVE_CANCEL
    );
    bench.person = Person::Touches;
    assert_eq!(bench.capture(&id, &token).unwrap_err(), Status::NOT_ALLOWED);
    assert_eq!(bench.enrolments(&token).len(), 1);
}

#[test]
fn an_enrolment_belongs_to_the_channel_that_began_it_and_to_its_template() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    let id = bench.begin(&token).unwrap().template_id.unwrap();
    bench.channel = TWO;
    assert_eq!(bench.capture(&id, &token).unwrap_err(), Status::NOT_ALLOWED);
    bench.channel = ONE;
    assert_eq!(
        bench.capture(b"other", &token).unwrap_err(),
        Status::INVALID_OPTION
    );
    let command = SubCommand::EnrollCaptureNextSample;
    assert_eq!(
        bench.bio(command, None, Some(&token)).unwrap_err(),
        Status::MISSING_PARAMETER
    );
    bench.capture(&id, &token).unwrap();
}

#[test]
fn everything_about_fingers_needs_a_token_with_the_permission() {
    let mut bench = Bench::with_pin(KEY);
    let wrong = bench.mc_token();
    for command in SubCommand::ALL {
        if matches!(
            command,
            SubCommand::CancelCurrentEnrollment | SubCommand::GetFingerprintSensorInfo
        ) {
            continue;
        }
        assert_eq!(
            bench.bio(command, None, None).unwrap_err(),
            Status::PUAT_REQUIRED
        );
        assert_eq!(
            bench.bio(command, None, Some(&wrong)).unwrap_err(),
            Status::PIN_AUTH_INVALID
        );
        assert!(bench.asked.is_empty());
    }
    // The parameters are authenticated too.
    let token = bench.bio_token();
    let id = bench.enrolments(&token)[0].0.clone();
    let request = Request {
        modality: Some(FINGERPRINT),
        sub_command: Some(SubCommand::RemoveEnrollment.code()),
        sub_command_params: Some(Raw::new(of(&id).encode()).unwrap()),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(bench.protocol.authenticate(
            &token,
            &authenticated_message(SubCommand::RemoveEnrollment, Some(&of(b"x").encode())),
        )),
        get_modality: None,
    };
    assert_eq!(
        bench.send(Command::BioEnrollment, &request.encode()),
        Err(Status::PIN_AUTH_INVALID)
    );
    assert_eq!(bench.enrolments(&token).len(), 1);
}

#[test]
fn built_in_uv_gives_the_permission_only_where_uv_bio_enroll_is() {
    let mut bench = Bench::with_pin(KEY);
    let be = Permissions::BIO_ENROLLMENT;
    assert_eq!(
        bench.uv_token(be, None),
        Err(Status::UNAUTHORIZED_PERMISSION)
    );
    let mut profile = crate::bench::profile(KEY);
    profile.options.uv_bio_enroll = true;
    let mut bench = Bench::of(profile);
    assert_eq!(bench.info().options.unwrap().uv_bio_enroll, Some(true));
    let token = bench.uv_token(be, None).unwrap();
    assert_eq!(bench.enrolments(&token).len(), 1);
}

#[test]
fn a_finger_has_a_name_of_limited_length() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    let id = bench.enrol(&token);
    let rename = |bench: &mut Bench, params: SubCommandParams| {
        bench.bio(SubCommand::SetFriendlyName, Some(params), Some(&token))
    };
    rename(&mut bench, named(&id, "linker Däumling")).unwrap();
    rename(&mut bench, named(&[0, 0], "the delivered one")).unwrap();
    for (params, status) in [
        (named(&id, &"x".repeat(33)), Status::INVALID_LENGTH),
        (named(b"other", "x"), Status::INVALID_OPTION),
        (of(&id), Status::MISSING_PARAMETER),
    ] {
        assert_eq!(rename(&mut bench, params).unwrap_err(), status);
    }
    bench.restart();
    let token = bench.bio_token();
    assert_eq!(
        bench.enrolments(&token),
        [
            (vec![0, 0], Some("the delivered one".to_owned())),
            (id, Some("linker Däumling".to_owned()))
        ]
    );
}

#[test]
fn a_full_database_takes_no_more_and_a_removed_finger_makes_room() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    for _ in 1..CAPACITY {
        bench.enrol(&token);
    }
    assert_eq!(bench.begin(&token).unwrap_err(), Status::FP_DATABASE_FULL);
    assert!(bench.asked.is_empty());
    bench.remove(&[0, 0], &token).unwrap();
    assert_eq!(
        bench.remove(&[0, 0], &token).unwrap_err(),
        Status::INVALID_OPTION
    );
    bench.enrol(&token);
    assert_eq!(bench.enrolments(&token).len(), CAPACITY);
}

#[test]
fn uv_is_configured_exactly_while_a_finger_is_enrolled() {
    let mut bench = Bench::with_pin(KEY);
    assert_eq!(bench.uv(), (Some(true), Some(true)), "as delivered");
    let token = bench.bio_token();
    bench.remove(&[0, 0], &token).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.uv(), (Some(false), Some(false)));
        bench.restart();
    }
    let mut uv = mc_options(false);
    uv.uv = Some(true);
    let request = ctap::make_credential::Request {
        options: Some(uv),
        ..bench.mc(None)
    };
    assert_eq!(bench.make(&request).unwrap_err(), Status::INVALID_OPTION);
    let token = bench.bio_token();
    assert!(bench.enrolments(&token).is_empty());
    bench.enrol(&token);
    assert_eq!(bench.uv(), (Some(true), Some(true)));
    assert!(bench.make(&request).unwrap().flags.user_verified());
}

#[test]
fn a_reset_takes_all_fingers() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.bio_token();
    bench.enrol(&token);
    bench.power_cycle();
    bench.send(Command::Reset, &[]).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.uv(), (Some(false), Some(false)));
        bench.restart();
    }
    assert_eq!(bench.enrolments_in_store(), 0);
}

#[test]
fn a_key_without_a_sensor_does_not_know_the_command_and_the_prototype_is_another() {
    for (id, command) in [
        ("fido-2.1", Command::BioEnrollment),
        ("fido-2.1-bio", Command::BioEnrollmentPreview),
    ] {
        let mut bench = Bench::with_pin(id);
        assert_eq!(bench.send(command, &[0xA0]), Err(Status::INVALID_COMMAND));
    }
    let mut bench = Bench::with_pin("fido-2.1");
    assert_eq!(
        bench.token(PIN, Permissions::BIO_ENROLLMENT, None),
        Err(Status::UNAUTHORIZED_PERMISSION)
    );
}
