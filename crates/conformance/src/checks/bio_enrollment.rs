//! CTAP 2.3 §6.7 authenticatorBioEnrollment, and its prototype (§6.12).

use ctap::bio_enrollment::{
    Request, Response, SubCommand, SubCommandParams, TemplateInfo, authenticated_message,
};
use ctap::{Command, Raw, Status};

use crate::bench::{Bench, is_one_of, parsed, present};
use crate::check::Need::{self, Clock, Option as Has, Person as Told, Power, Reports};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::{int, map};
use crate::pins::{BE, MC, Token};
use crate::subject::Person;

const BIO: &str = "CTAP 2.3 §6.7";
const ENROLL: &str = "CTAP 2.3 §6.7.4";
const LIST: &str = "CTAP 2.3 §6.7.6";
const NAME: &str = "CTAP 2.3 §6.7.7";
const REMOVE: &str = "CTAP 2.3 §6.7.8";
const NEEDS: &[Need] = &[Has("bioEnroll"), Has("clientPin")];

fn command(b: &Bench<'_>) -> Command {
    if b.option("bioEnroll").is_some() {
        Command::BioEnrollment
    } else {
        Command::BioEnrollmentPreview
    }
}

fn request(code: SubCommand, params: Option<&SubCommandParams>, token: Option<&Token>) -> Request {
    let encoded = params.map(SubCommandParams::encode);
    let message = authenticated_message(code, encoded.as_deref());
    Request {
        modality: Some(1),
        sub_command: Some(code.code()),
        sub_command_params: encoded.and_then(|bytes| Raw::new(bytes).ok()),
        pin_uv_auth_protocol: token.map(Token::number),
        pin_uv_auth_param: token.map(|token| token.sign(&message)),
        get_modality: None,
    }
}

fn send(
    b: &mut Bench<'_>,
    code: SubCommand,
    params: Option<&SubCommandParams>,
    token: Option<&Token>,
) -> Outcome<(Status, Vec<u8>)> {
    let command = command(b);
    b.send(command, &request(code, params, token).encode())
}

fn call(
    b: &mut Bench<'_>,
    code: SubCommand,
    params: Option<&SubCommandParams>,
    token: Option<&Token>,
) -> Outcome<Response> {
    let (status, members) = send(b, code, params, token)?;
    is_one_of("bioEnrollment", status, &[Status::OK])?;
    if members.is_empty() {
        return Ok(Response::default());
    }
    parsed("bioEnrollment", Response::decode(&members))
}

fn refuse(
    b: &mut Bench<'_>,
    code: SubCommand,
    params: Option<&SubCommandParams>,
    token: Option<&Token>,
    due: &[Status],
) -> Outcome {
    let (status, _) = send(b, code, params, token)?;
    is_one_of("bioEnrollment", status, due)
}

fn of(id: &[u8], name: Option<&str>) -> SubCommandParams {
    SubCommandParams {
        template_id: Some(id.to_vec()),
        template_friendly_name: name.map(str::to_owned),
        timeout_milliseconds: None,
    }
}

/// Enrols a finger; the identifier of its template.
fn enroll(b: &mut Bench<'_>, token: &Token) -> Outcome<Vec<u8>> {
    let first = call(b, SubCommand::EnrollBegin, None, Some(token))?;
    let id = present("templateId", first.template_id)?;
    let mut left = present("remainingSamples", first.remaining_samples)?;
    same(first.last_enroll_sample_status, Some(0), "the first sample")?;
    while left > 0 {
        let next = call(
            b,
            SubCommand::EnrollCaptureNextSample,
            Some(&of(&id, None)),
            Some(token),
        )?;
        let now = present("remainingSamples", next.remaining_samples)?;
        same(now, left - 1, "remainingSamples")?;
        left = now;
    }
    Ok(id)
}

fn templates(b: &mut Bench<'_>, token: &Token) -> Outcome<Vec<TemplateInfo>> {
    let response = call(b, SubCommand::EnumerateEnrollments, None, Some(token))?;
    present("templateInfos", response.template_infos)
}

fn token(b: &mut Bench<'_>) -> Outcome<Token> {
    b.token(BE, None)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "bio.modality",
        "CTAP 2.3 §6.7.2",
        "The modality is a fingerprint",
        NEEDS,
        |b| {
            let command = command(b);
            let members = b.call(
                command,
                &map(&[(6, webauthn::cbor::Value::Bool(true))]).encode(),
            )?;
            same(
                parsed("bioEnrollment", Response::decode(&members))?.modality,
                Some(1),
                "modality",
            )
        },
    ),
    check(
        "bio.sensor",
        "CTAP 2.3 §6.7.3",
        "The sensor says what it is, without a token",
        NEEDS,
        |b| {
            let info = call(b, SubCommand::GetFingerprintSensorInfo, None, None)?;
            ensure(
                matches!(info.fingerprint_kind, Some(1 | 2)),
                "fingerprintKind",
            )?;
            ensure(
                info.max_capture_samples_required_for_enroll >= Some(1),
                "the samples",
            )
        },
    ),
    check(
        "bio.no-subcommand",
        BIO,
        "subCommand is mandatory",
        NEEDS,
        |b| {
            let command = command(b);
            b.expect(
                command,
                &map(&[(1, int(1))]).encode(),
                Status::MISSING_PARAMETER,
            )
        },
    ),
    check(
        "bio.other-modality",
        BIO,
        "There is no other modality",
        NEEDS,
        |b| {
            let command = command(b);
            b.expect_any(
                command,
                &map(&[(1, int(2)), (2, int(7))]).encode(),
                &[Status::UNSUPPORTED_OPTION, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "bio.unknown-subcommand",
        BIO,
        "Subcommands that do not exist are invalid",
        NEEDS,
        |b| {
            let command = command(b);
            b.expect_any(
                command,
                &map(&[(1, int(1)), (2, int(0x33))]).encode(),
                &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "bio.no-token",
        ENROLL,
        "Enrolling wants a token",
        NEEDS,
        |b| {
            b.set_pin()?;
            refuse(
                b,
                SubCommand::EnrollBegin,
                None,
                None,
                &[Status::PUAT_REQUIRED, Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "bio.wrong-permission",
        ENROLL,
        "A token without be does not enrol",
        NEEDS,
        |b| {
            let token = b.token(MC, Some("example.com"))?;
            refuse(
                b,
                SubCommand::EnrollBegin,
                None,
                Some(&token),
                &[Status::PIN_AUTH_INVALID],
            )
        },
    ),
    check(
        "bio.wrong-param",
        ENROLL,
        "A pinUvAuthParam that does not verify is refused",
        NEEDS,
        |b| {
            let mut token = token(b)?;
            token.value[5] ^= 1;
            refuse(
                b,
                SubCommand::EnumerateEnrollments,
                None,
                Some(&token),
                &[Status::PIN_AUTH_INVALID],
            )
        },
    ),
    check(
        "bio.enroll",
        ENROLL,
        "A finger is enrolled sample by sample, and verifies then",
        NEEDS,
        |b| {
            let token = token(b)?;
            let id = enroll(b, &token)?;
            let all = templates(b, &token)?;
            ensure(
                all.iter().any(|t| t.template_id == id),
                "it is not enumerated",
            )?;
            same(b.option_now("uv")?, Some(true), "uv")?;
            same(b.option_now("bioEnroll")?, Some(true), "bioEnroll")
        },
    ),
    check(
        "bio.enroll-lasts",
        ENROLL,
        "The enrolment stays over a power cycle",
        &[Has("bioEnroll"), Has("clientPin"), Power],
        |b| {
            let first = token(b)?;
            let id = enroll(b, &first)?;
            b.power_cycle()?;
            let token = token(b)?;
            ensure(
                templates(b, &token)?.iter().any(|t| t.template_id == id),
                "it is gone",
            )
        },
    ),
    check(
        "bio.two-fingers",
        ENROLL,
        "Two fingers have two templates",
        NEEDS,
        |b| {
            let token = token(b)?;
            let (one, two) = (enroll(b, &token)?, enroll(b, &token)?);
            ensure(one != two, "they are the same")
        },
    ),
    check("bio.full", ENROLL, "A full sensor says so", NEEDS, |b| {
        let token = token(b)?;
        for _ in 0..30 {
            let (status, _) = send(b, SubCommand::EnrollBegin, None, Some(&token))?;
            if status == Status::FP_DATABASE_FULL {
                return Ok(());
            }
            is_one_of("bioEnrollment", status, &[Status::OK])?;
            send(b, SubCommand::CancelCurrentEnrollment, None, None)?;
            enroll(b, &token)?;
        }
        crate::check::not_applicable("it takes more than thirty fingers")
    }),
    check(
        "bio.next-alone",
        ENROLL,
        "A next sample without a first one is not allowed",
        NEEDS,
        |b| {
            let token = token(b)?;
            refuse(
                b,
                SubCommand::EnrollCaptureNextSample,
                Some(&of(&[1], None)),
                Some(&token),
                &[
                    Status::NOT_ALLOWED,
                    Status::INVALID_OPTION,
                    Status::INVALID_PARAMETER,
                ],
            )
        },
    ),
    check(
        "bio.next-other-channel",
        ENROLL,
        "Another channel cannot go on with an enrolment",
        &[Has("bioEnroll"), Has("clientPin"), Reports],
        |b| {
            let token = token(b)?;
            let first = call(b, SubCommand::EnrollBegin, None, Some(&token))?;
            let id = present("templateId", first.template_id)?;
            b.on(1, |b| {
                refuse(
                    b,
                    SubCommand::EnrollCaptureNextSample,
                    Some(&of(&id, None)),
                    Some(&token),
                    &[Status::NOT_ALLOWED, Status::INVALID_OPTION],
                )
            })
        },
    ),
    check(
        "bio.cancelled",
        "CTAP 2.3 §6.7.5",
        "A cancelled enrolment leaves nothing",
        NEEDS,
        |b| {
            let token = token(b)?;
            let before = send(b, SubCommand::EnumerateEnrollments, None, Some(&token))?;
            call(b, SubCommand::EnrollBegin, None, Some(&token))?;
            call(b, SubCommand::CancelCurrentEnrollment, None, None)?;
            let after = send(b, SubCommand::EnumerateEnrollments, None, Some(&token))?;
            same(before, after, "the enrolments")
        },
    ),
    check(
        "bio.other-finger",
        ENROLL,
        "A sample of another finger does not count",
        &[Has("bioEnroll"), Has("clientPin"), Told],
        |b| {
            let token = token(b)?;
            let first = call(b, SubCommand::EnrollBegin, None, Some(&token))?;
            let id = present("templateId", first.template_id)?;
            b.person(Person::WrongFinger)?;
            let next = call(
                b,
                SubCommand::EnrollCaptureNextSample,
                Some(&of(&id, None)),
                Some(&token),
            )?;
            same(
                next.remaining_samples,
                first.remaining_samples,
                "remainingSamples",
            )?;
            ensure(
                next.last_enroll_sample_status != Some(0),
                "it counts as good",
            )
        },
    ),
    check(
        "bio.nobody",
        ENROLL,
        "If no finger comes in time, that is told",
        &[Has("bioEnroll"), Has("clientPin"), Told, Clock],
        |b| {
            let token = token(b)?;
            b.person(Person::Absent)?;
            let params = SubCommandParams {
                timeout_milliseconds: Some(2000),
                ..SubCommandParams::default()
            };
            let first = call(b, SubCommand::EnrollBegin, Some(&params), Some(&token))?;
            same(
                first.last_enroll_sample_status,
                Some(0x0d),
                "lastEnrollSampleStatus",
            )
        },
    ),
    check(
        "bio.rename",
        NAME,
        "An enrolment can have a name",
        NEEDS,
        |b| {
            let token = token(b)?;
            let id = enroll(b, &token)?;
            call(
                b,
                SubCommand::SetFriendlyName,
                Some(&of(&id, Some("thumb"))),
                Some(&token),
            )?;
            let all = templates(b, &token)?;
            let named = all.iter().find(|t| t.template_id == id);
            same(
                named.and_then(|t| t.template_friendly_name.as_deref()),
                Some("thumb"),
                "the name",
            )
        },
    ),
    check(
        "bio.rename-long",
        NAME,
        "A name that is too long is refused",
        NEEDS,
        |b| {
            let longest = call(b, SubCommand::GetFingerprintSensorInfo, None, None)?
                .max_template_friendly_name;
            let token = token(b)?;
            let id = enroll(b, &token)?;
            let name = "n".repeat(usize::try_from(longest.unwrap_or(64)).unwrap_or(64) + 1);
            refuse(
                b,
                SubCommand::SetFriendlyName,
                Some(&of(&id, Some(&name))),
                Some(&token),
                &[Status::INVALID_LENGTH, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "bio.rename-unknown",
        NAME,
        "An unknown enrolment has no name",
        NEEDS,
        |b| {
            let token = token(b)?;
            refuse(
                b,
                SubCommand::SetFriendlyName,
                Some(&of(&[9, 9, 9], Some("x"))),
                Some(&token),
                &[Status::INVALID_OPTION],
            )
        },
    ),
    check(
        "bio.remove",
        REMOVE,
        "A removed enrolment is gone",
        NEEDS,
        |b| {
            let token = token(b)?;
            let (one, two) = (enroll(b, &token)?, enroll(b, &token)?);
            call(
                b,
                SubCommand::RemoveEnrollment,
                Some(&of(&one, None)),
                Some(&token),
            )?;
            let all = templates(b, &token)?;
            ensure(all.iter().all(|t| t.template_id != one), "it is there")?;
            ensure(
                all.iter().any(|t| t.template_id == two),
                "the other is gone, too",
            )
        },
    ),
    check(
        "bio.remove-all",
        REMOVE,
        "Without any enrolment, uv is false",
        NEEDS,
        |b| {
            let token = token(b)?;
            enroll(b, &token)?;
            for template in templates(b, &token)? {
                call(
                    b,
                    SubCommand::RemoveEnrollment,
                    Some(&of(&template.template_id, None)),
                    Some(&token),
                )?;
            }
            same(b.option_now("uv")?, Some(false), "uv")?;
            refuse(
                b,
                SubCommand::EnumerateEnrollments,
                None,
                Some(&token),
                &[Status::INVALID_OPTION],
            )
        },
    ),
    check(
        "bio.remove-unknown",
        REMOVE,
        "An unknown enrolment cannot be removed",
        NEEDS,
        |b| {
            let token = token(b)?;
            refuse(
                b,
                SubCommand::RemoveEnrollment,
                Some(&of(&[9, 9, 9], None)),
                Some(&token),
                &[Status::INVALID_OPTION],
            )
        },
    ),
    check(
        "bio.remove-no-id",
        REMOVE,
        "removeEnrollment wants templateId",
        NEEDS,
        |b| {
            let token = token(b)?;
            refuse(
                b,
                SubCommand::RemoveEnrollment,
                None,
                Some(&token),
                &[Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "bio.names",
        LIST,
        "All enrolments are enumerated",
        NEEDS,
        |b| {
            let token = token(b)?;
            let before = send(b, SubCommand::EnumerateEnrollments, None, Some(&token))?;
            let before = if before.0 == Status::OK {
                templates(b, &token)?.len()
            } else {
                0
            };
            enroll(b, &token)?;
            enroll(b, &token)?;
            same(templates(b, &token)?.len(), before + 2, "the number")
        },
    ),
    check(
        "bio.reset",
        "CTAP 2.3 §6.6",
        "A reset erases the enrolments",
        &[Has("bioEnroll"), Has("clientPin"), Power],
        |b| {
            let token = token(b)?;
            enroll(b, &token)?;
            b.power_cycle()?;
            b.expect(Command::Reset, &[], Status::OK)?;
            same(b.option_now("uv")?, Some(false), "uv")
        },
    ),
    check(
        "bio.preview",
        "CTAP 2.3 §6.12",
        "The prototype enrols a finger, too",
        &[
            Has("userVerificationMgmtPreview"),
            Need::Lacks("bioEnroll"),
            Has("clientPin"),
        ],
        |b| {
            let token = b.token(BE, None)?;
            let id = enroll(b, &token)?;
            ensure(
                templates(b, &token)?.iter().any(|t| t.template_id == id),
                "it is not enumerated",
            )
        },
    ),
];
