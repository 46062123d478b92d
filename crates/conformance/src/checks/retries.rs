//! CTAP 2.3 §6.5.5.2, §6.5.5.3 and §6.5.5.7: tries of PINs and fingers.

use ctap::Status;
use ctap::client_pin::SubCommand;

use crate::bench::{Bench, PIN, present};
use crate::check::Need::{self, Lacks, On, Option as Has, Person as Told, Power};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::pins::MC;
use crate::subject::Person;

const RETRIES: &str = "CTAP 2.3 §6.5.5.2";
const TRY: &str = "CTAP 2.3 §6.5.5.7";
const UV: &str = "CTAP 2.3 §6.5.5.3";
const PINS: &[Need] = &[Has("clientPin")];
const CYCLES: &[Need] = &[Has("clientPin"), Power];
const TOKENS: &[Need] = &[Has("clientPin"), On("pinUvAuthToken")];
const TOKENS_CYCLES: &[Need] = &[Has("clientPin"), On("pinUvAuthToken"), Power];
const FINGERS: &[Need] = &[On("uv"), On("pinUvAuthToken"), Told];
const WRONG: &str = "wrong-4711";

/// Wrong PINs up to the third in a row.
fn soft_block(b: &mut Bench<'_>) -> Outcome {
    b.set_pin()?;
    same(
        b.try_pin(WRONG)?,
        Status::PIN_INVALID,
        "the first wrong PIN",
    )?;
    same(
        b.try_pin(WRONG)?,
        Status::PIN_INVALID,
        "the second wrong PIN",
    )?;
    same(
        b.try_pin(WRONG)?,
        Status::PIN_AUTH_BLOCKED,
        "the third wrong PIN",
    )
}

/// All tries are used up, with as many power cycles as it takes.
fn block(b: &mut Bench<'_>) -> Outcome {
    b.set_pin()?;
    for _ in 0..40 {
        match b.try_pin(WRONG)? {
            Status::PIN_BLOCKED => return Ok(()),
            Status::PIN_AUTH_BLOCKED => b.power_cycle()?,
            Status::PIN_INVALID => {}
            other => return same(other, Status::PIN_INVALID, "a wrong PIN"),
        }
    }
    crate::check::failed("forty wrong PINs did not block it")
}

/// The right PIN, with permissions.
fn right_with_permissions(b: &mut Bench<'_>) -> Outcome<Status> {
    b.try_token(MC.0.into(), Some("example.com"))
}

fn finger(b: &mut Bench<'_>) -> Outcome<Status> {
    let (request, _) = b.uv_token_request(MC, Some("example.com"))?;
    b.pin_status(&request)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "retries.eight",
        RETRIES,
        "A key as new with a PIN has eight tries at most",
        PINS,
        |b| {
            b.set_pin()?;
            let retries = b.retries()?;
            ensure((1..=8).contains(&retries), format!("{retries} tries"))
        },
    ),
    check(
        "retries.no-pin",
        RETRIES,
        "Before a PIN is set, getPINRetries tells the full number or PIN_NOT_SET",
        PINS,
        |b| {
            let request = b.pin_request(SubCommand::GetPinRetries);
            let status = b.pin_status(&request)?;
            crate::bench::is_one_of("clientPIN", status, &[Status::OK, Status::PIN_NOT_SET])
        },
    ),
    check(
        "retries.without-protocol",
        RETRIES,
        "getPINRetries needs no protocol",
        PINS,
        |b| {
            b.set_pin()?;
            let mut request = b.pin_request(SubCommand::GetPinRetries);
            request.pin_uv_auth_protocol = None;
            present("pinRetries", b.pin_call(&request)?.pin_retries).map(drop)
        },
    ),
    check(
        "retries.count-down",
        TRY,
        "A wrong PIN costs one try",
        PINS,
        |b| {
            b.set_pin()?;
            let before = b.retries()?;
            same(b.try_pin(WRONG)?, Status::PIN_INVALID, "a wrong PIN")?;
            same(b.retries()?, before - 1, "the retries")
        },
    ),
    check(
        "retries.count-down-permissions",
        TRY,
        "The same by the newer subcommand",
        TOKENS,
        |b| {
            b.set_pin()?;
            let before = b.retries()?;
            let (request, _) = b.token_request(WRONG, Some(1), Some("example.com"))?;
            same(b.pin_status(&request)?, Status::PIN_INVALID, "a wrong PIN")?;
            same(b.retries()?, before - 1, "the retries")
        },
    ),
    check(
        "retries.right-restores",
        TRY,
        "The right PIN gives all tries back",
        PINS,
        |b| {
            b.set_pin()?;
            let before = b.retries()?;
            b.try_pin(WRONG)?;
            b.try_pin(WRONG)?;
            same(b.try_pin(PIN)?, Status::OK, "the right PIN")?;
            same(b.retries()?, before, "the retries")
        },
    ),
    check(
        "retries.right-restarts-row",
        TRY,
        "The right PIN ends the row of wrong ones",
        PINS,
        |b| {
            b.set_pin()?;
            b.try_pin(WRONG)?;
            b.try_pin(WRONG)?;
            same(b.try_pin(PIN)?, Status::OK, "the right PIN")?;
            same(b.try_pin(WRONG)?, Status::PIN_INVALID, "a wrong PIN")?;
            same(b.try_pin(PIN)?, Status::OK, "the right PIN again")
        },
    ),
    check(
        "retries.three-in-a-row",
        TRY,
        "The third wrong PIN in a row demands a power cycle",
        PINS,
        soft_block,
    ),
    check(
        "retries.fourth-not-tried",
        TRY,
        "After the third, even the right PIN is not looked at",
        PINS,
        |b| {
            soft_block(b)?;
            same(b.try_pin(PIN)?, Status::PIN_AUTH_BLOCKED, "the right PIN")
        },
    ),
    check(
        "retries.fourth-not-tried-permissions",
        TRY,
        "Nor by the newer subcommand",
        TOKENS,
        |b| {
            soft_block(b)?;
            same(
                right_with_permissions(b)?,
                Status::PIN_AUTH_BLOCKED,
                "the right PIN",
            )
        },
    ),
    check(
        "retries.fourth-no-change",
        "CTAP 2.3 §6.5.5.6",
        "Nor can the PIN be changed",
        PINS,
        |b| {
            soft_block(b)?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::PIN_AUTH_BLOCKED,
                "changePIN",
            )
        },
    ),
    check(
        "retries.fourth-costs-nothing",
        TRY,
        "While it is blocked that way, no try is spent",
        PINS,
        |b| {
            soft_block(b)?;
            let before = b.retries()?;
            b.try_pin(WRONG)?;
            b.try_pin(PIN)?;
            same(b.retries()?, before, "the retries")
        },
    ),
    check(
        "retries.power-cycle-state",
        RETRIES,
        "getPINRetries says that a power cycle is needed",
        PINS,
        |b| {
            b.set_pin()?;
            let request = b.pin_request(SubCommand::GetPinRetries);
            ensure(
                b.pin_call(&request)?.power_cycle_state != Some(true),
                "it says so as new",
            )?;
            b.try_pin(WRONG)?;
            b.try_pin(WRONG)?;
            b.try_pin(WRONG)?;
            let state = b.pin_call(&request)?.power_cycle_state;
            ensure(state != Some(false), "it says that none is needed")
        },
    ),
    check(
        "retries.power-cycle-opens",
        TRY,
        "After a power cycle the right PIN is right",
        CYCLES,
        |b| {
            soft_block(b)?;
            b.power_cycle()?;
            same(b.try_pin(PIN)?, Status::OK, "the right PIN")
        },
    ),
    check(
        "retries.last",
        TRY,
        "Tries that were spent stay spent over a power cycle",
        CYCLES,
        |b| {
            b.set_pin()?;
            b.try_pin(WRONG)?;
            b.try_pin(WRONG)?;
            let before = b.retries()?;
            b.power_cycle()?;
            same(b.retries()?, before, "the retries")
        },
    ),
    check(
        "retries.blocked",
        TRY,
        "When all tries are spent, the PIN is blocked",
        CYCLES,
        |b| {
            block(b)?;
            same(b.retries()?, 0, "the retries")
        },
    ),
    check(
        "retries.blocked-after-eight",
        TRY,
        "Eight wrong PINs are enough",
        CYCLES,
        |b| {
            b.set_pin()?;
            let mut tries = b.retries()?;
            while tries > 0 {
                if b.try_pin(WRONG)? == Status::PIN_AUTH_BLOCKED {
                    b.power_cycle()?;
                }
                let left = b.retries()?;
                same(left, tries - 1, "the retries")?;
                tries = left;
            }
            same(b.try_pin(PIN)?, Status::PIN_BLOCKED, "the right PIN")
        },
    ),
    check(
        "retries.blocked-right-pin",
        TRY,
        "Then even the right PIN is refused",
        CYCLES,
        |b| {
            block(b)?;
            same(b.try_pin(PIN)?, Status::PIN_BLOCKED, "the right PIN")
        },
    ),
    check(
        "retries.blocked-permissions",
        TRY,
        "And by the newer subcommand, which gives no try back",
        TOKENS_CYCLES,
        |b| {
            block(b)?;
            same(
                right_with_permissions(b)?,
                Status::PIN_BLOCKED,
                "the right PIN",
            )?;
            same(b.retries()?, 0, "the retries")
        },
    ),
    check(
        "retries.blocked-change",
        "CTAP 2.3 §6.5.5.6",
        "And the PIN cannot be changed",
        CYCLES,
        |b| {
            block(b)?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::PIN_BLOCKED,
                "changePIN",
            )
        },
    ),
    check(
        "retries.blocked-set",
        "CTAP 2.3 §6.5.5.5",
        "And no other PIN can be set",
        CYCLES,
        |b| {
            block(b)?;
            same(
                b.try_set_pin("another-4711")?,
                Status::PIN_AUTH_INVALID,
                "setPIN",
            )
        },
    ),
    check(
        "retries.blocked-lasts",
        TRY,
        "A power cycle does not open it",
        CYCLES,
        |b| {
            block(b)?;
            b.power_cycle()?;
            same(b.try_pin(PIN)?, Status::PIN_BLOCKED, "the right PIN")
        },
    ),
    check(
        "retries.blocked-reset",
        "CTAP 2.3 §6.6",
        "A reset opens it",
        CYCLES,
        |b| {
            block(b)?;
            b.power_cycle()?;
            b.expect(ctap::Command::Reset, &[], Status::OK)?;
            same(b.try_set_pin("another-4711")?, Status::OK, "setPIN")?;
            same(b.try_pin("another-4711")?, Status::OK, "the new PIN")
        },
    ),
    check(
        "uv-retries.told",
        UV,
        "getUVRetries tells the tries of the sensor",
        &[On("uv"), On("pinUvAuthToken")],
        |b| {
            let retries = b.uv_retries()?;
            ensure((1..=25).contains(&retries), format!("{retries} tries"))
        },
    ),
    check(
        "uv-retries.option-honest",
        "CTAP 2.3 §6.4",
        "A key that has the option uv, on or off, has a sensor with tries",
        &[Has("uv"), On("pinUvAuthToken")],
        |b| b.uv_retries().map(drop),
    ),
    check(
        "uv-retries.no-sensor",
        UV,
        "A key without a sensor does not know getUVRetries",
        &[Has("clientPin"), Lacks("uv")],
        |b| {
            let request = b.pin_request(SubCommand::GetUvRetries);
            let status = b.pin_status(&request)?;
            crate::bench::is_one_of(
                "clientPIN",
                status,
                &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "uv-retries.count-down",
        "CTAP 2.3 §6.5.5.7.3",
        "A wrong finger costs a try",
        FINGERS,
        |b| {
            let before = b.uv_retries()?;
            b.person(Person::WrongFinger)?;
            same(finger(b)?, Status::UV_INVALID, "a wrong finger")?;
            let after = b.uv_retries()?;
            ensure(after < before, format!("{after} after {before}"))
        },
    ),
    check(
        "uv-retries.right-restores",
        "CTAP 2.3 §6.5.5.7.3",
        "The right finger gives them back",
        FINGERS,
        |b| {
            let before = b.uv_retries()?;
            b.person(Person::WrongFinger)?;
            finger(b)?;
            b.person(Person::Consents)?;
            same(finger(b)?, Status::OK, "the right finger")?;
            same(b.uv_retries()?, before, "the tries")
        },
    ),
    check(
        "uv-retries.blocked",
        "CTAP 2.3 §6.5.5.7.3",
        "When they are spent, the sensor is blocked, for the right finger, too",
        FINGERS,
        |b| {
            b.person(Person::WrongFinger)?;
            for _ in 0..30 {
                if finger(b)? == Status::UV_BLOCKED {
                    b.person(Person::Consents)?;
                    return same(finger(b)?, Status::UV_BLOCKED, "the right finger");
                }
            }
            crate::check::failed("thirty wrong fingers did not block it")
        },
    ),
    check(
        "uv-retries.pin-opens",
        "CTAP 2.3 §6.5.5.7",
        "The right PIN opens a blocked sensor",
        &[On("uv"), On("pinUvAuthToken"), Told, Has("clientPin")],
        |b| {
            b.set_pin()?;
            b.person(Person::WrongFinger)?;
            while finger(b)? != Status::UV_BLOCKED {}
            b.person(Person::Consents)?;
            same(b.try_pin(PIN)?, Status::OK, "the right PIN")?;
            same(finger(b)?, Status::OK, "the right finger")
        },
    ),
    check(
        "uv-retries.last",
        UV,
        "Tries of the sensor that were spent stay spent over a power cycle",
        &[On("uv"), On("pinUvAuthToken"), Told, Power],
        |b| {
            b.person(Person::WrongFinger)?;
            finger(b)?;
            let before = b.uv_retries()?;
            b.power_cycle()?;
            same(b.uv_retries()?, before, "the tries")
        },
    ),
];
