//! The person: touches, refusals, time-outs, cancellation, selection (CTAP 2.3 §6.9) and reset (§6.6).

use ctap::hid::keepalive;
use ctap::{Command, Status};

use crate::bench::{Bench, PIN, is_one_of};
use crate::ceremonies::{Made, ga_options, mc_options};
use crate::check::Need::{
    self, Clock, Config, Ctap2, NotOn, On, Option as Has, Person as Told, Power, Reports, Version,
};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::subject::Person;

const MC: &str = "CTAP 2.3 §6.1.2";
const GA: &str = "CTAP 2.3 §6.2.2";
const RESET: &str = "CTAP 2.3 §6.6";
const SELECTION: &str = "CTAP 2.3 §6.9";
const KEEPALIVE: &str = "CTAP 2.3 §11.2.9.1.7";
const PERSON: &[Need] = &[Ctap2, Told];
const NOBODY: &[Need] = &[Ctap2, Told, Clock];

/// A makeCredential while the person behaves like this.
fn make_while(b: &mut Bench<'_>, person: Person, due: &[Status]) -> Outcome {
    let mut request = b.mc();
    b.authorise_mc(&mut request)?;
    b.person(person)?;
    let (status, _) = b.send(Command::MakeCredential, &request.encode())?;
    is_one_of("makeCredential", status, due)
}

/// A getAssertion while the person behaves like this.
fn get_while(b: &mut Bench<'_>, person: Person, due: &[Status]) -> Outcome {
    let request = b.mc();
    let made = b.make(request)?;
    let mut request = b.ga_of(&made);
    if b.option("alwaysUv") == Some(true) {
        b.authorise_ga(&mut request)?;
    }
    b.person(person)?;
    let (status, _) = b.send(Command::GetAssertion, &request.encode())?;
    is_one_of("getAssertion", status, due)
}

fn reset(b: &mut Bench<'_>, due: &[Status]) -> Outcome {
    b.expect_any(Command::Reset, &[], due)
}

/// A credential, and a reset after it.
fn after_reset(b: &mut Bench<'_>, rk: bool) -> Outcome<Made> {
    let request = if rk { b.mc_rk(1) } else { b.mc() };
    let made = b.make(request)?;
    b.power_cycle()?;
    reset(b, &[Status::OK])?;
    b.pin = None;
    Ok(made)
}

/// The empty pinUvAuthParam of old platforms.
fn touch_to_select(b: &mut Bench<'_>, get: bool, due: Status) -> Outcome {
    let protocol = Some(b.protocol.number().into());
    let (status, asked) = b.asked_in(|b| {
        Ok(if get {
            let mut request = b.ga();
            request.pin_uv_auth_param = Some(Vec::new());
            request.pin_uv_auth_protocol = protocol;
            b.send(Command::GetAssertion, &request.encode())?.0
        } else {
            let mut request = b.mc();
            request.pin_uv_auth_param = Some(Vec::new());
            request.pin_uv_auth_protocol = protocol;
            b.send(Command::MakeCredential, &request.encode())?.0
        })
    })?;
    is_one_of("the key", status, &[due])?;
    ensure(asked.is_none_or(|n| n == 1), "no touch was asked for")
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "touch.mc-asked",
        MC,
        "A credential is made after exactly one touch",
        PERSON,
        |b| {
            let mut request = b.mc();
            b.authorise_mc(&mut request)?;
            let (_, asked) = b.asked_in(|b| b.make_as_is(&request))?;
            ensure(
                asked.is_none_or(|n| n == 1),
                format!("asked {asked:?} times"),
            )
        },
    ),
    check(
        "touch.ga-asked",
        GA,
        "An assertion is given after exactly one touch",
        PERSON,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let mut request = b.ga_of(&made);
            if b.option("alwaysUv") == Some(true) {
                b.authorise_ga(&mut request)?;
            }
            let (_, asked) = b.asked_in(|b| b.get_as_is(&request))?;
            ensure(
                asked.is_none_or(|n| n == 1),
                format!("asked {asked:?} times"),
            )
        },
    ),
    check(
        "touch.mc-declined",
        MC,
        "A person who declines makes no credential",
        PERSON,
        |b| make_while(b, Person::Declines, &[Status::OPERATION_DENIED]),
    ),
    check(
        "touch.ga-declined",
        GA,
        "A person who declines signs nothing",
        PERSON,
        |b| get_while(b, Person::Declines, &[Status::OPERATION_DENIED]),
    ),
    check(
        "touch.mc-nobody",
        MC,
        "Without a person, makeCredential ends by itself",
        NOBODY,
        |b| {
            make_while(
                b,
                Person::Absent,
                &[Status::OPERATION_DENIED, Status::USER_ACTION_TIMEOUT],
            )
        },
    ),
    check(
        "touch.ga-nobody",
        GA,
        "Without a person, getAssertion ends by itself",
        NOBODY,
        |b| {
            get_while(
                b,
                Person::Absent,
                &[Status::OPERATION_DENIED, Status::USER_ACTION_TIMEOUT],
            )
        },
    ),
    check(
        "touch.mc-cancelled",
        "CTAP 2.3 §11.2.9.1.5",
        "CANCEL ends a makeCredential that waits",
        &[Ctap2, Told],
        |b| make_while(b, Person::CancelsByPlatform, &[Status::KEEPALIVE_CANCEL]),
    ),
    check(
        "touch.ga-cancelled",
        "CTAP 2.3 §11.2.9.1.5",
        "CANCEL ends a getAssertion that waits",
        &[Ctap2, Told],
        |b| get_while(b, Person::CancelsByPlatform, &[Status::KEEPALIVE_CANCEL]),
    ),
    check(
        "touch.after-cancel",
        "CTAP 2.3 §11.2.9.1.5",
        "After a CANCEL the key works as before",
        &[Ctap2, Told],
        |b| {
            make_while(b, Person::CancelsByPlatform, &[Status::KEEPALIVE_CANCEL])?;
            b.person(Person::Consents)?;
            let request = b.mc();
            b.make(request).map(drop)
        },
    ),
    check(
        "touch.keepalive-upneeded",
        KEEPALIVE,
        "While it waits for a person, the key says so",
        &[Ctap2, Told, Clock, Reports],
        |b| {
            make_while(
                b,
                Person::Absent,
                &[Status::OPERATION_DENIED, Status::USER_ACTION_TIMEOUT],
            )?;
            let heard = b.key.keepalives();
            ensure(
                heard.contains(&keepalive::UPNEEDED),
                "no keep-alive UPNEEDED",
            )?;
            ensure(
                heard.len() >= 50,
                format!("{} keep-alives in all that time", heard.len()),
            )
        },
    ),
    check(
        "touch.excluded-asks",
        MC,
        "That a credential is excluded is told only after a touch",
        PERSON,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let mut request = b.mc();
            request.exclude_list = Some(vec![ctap::entities::CredentialDescriptor::public_key(
                made.id,
            )]);
            b.authorise_mc(&mut request)?;
            let (status, asked) =
                b.asked_in(|b| Ok(b.send(Command::MakeCredential, &request.encode())?.0))?;
            same(status, Status::CREDENTIAL_EXCLUDED, "the status")?;
            ensure(asked.is_none_or(|n| n == 1), "no touch was asked for")
        },
    ),
    check(
        "select.mc-no-pin",
        MC,
        "An empty pinUvAuthParam asks for a touch; without a PIN: PIN_NOT_SET",
        &[Has("clientPin")],
        |b| touch_to_select(b, false, Status::PIN_NOT_SET),
    ),
    check(
        "select.mc-pin",
        MC,
        "The same with a PIN: PIN_INVALID",
        &[Has("clientPin")],
        |b| {
            b.set_pin()?;
            touch_to_select(b, false, Status::PIN_INVALID)
        },
    ),
    check(
        "select.ga-no-pin",
        GA,
        "getAssertion with an empty pinUvAuthParam and no PIN: PIN_NOT_SET",
        &[Has("clientPin")],
        |b| touch_to_select(b, true, Status::PIN_NOT_SET),
    ),
    check(
        "select.ga-pin",
        GA,
        "getAssertion with an empty pinUvAuthParam and a PIN: PIN_INVALID",
        &[Has("clientPin")],
        |b| {
            b.set_pin()?;
            touch_to_select(b, true, Status::PIN_INVALID)
        },
    ),
    check(
        "selection.touch",
        SELECTION,
        "authenticatorSelection works after a touch",
        &[Version("FIDO_2_1")],
        |b| {
            let (members, asked) = b.asked_in(|b| b.call(Command::Selection, &[]))?;
            ensure(members.is_empty(), "there are members")?;
            ensure(asked.is_none_or(|n| n == 1), "no touch was asked for")
        },
    ),
    check(
        "selection.declined",
        SELECTION,
        "A person who declines is not this key's",
        &[Version("FIDO_2_1"), Told],
        |b| {
            b.person(Person::Declines)?;
            b.expect(Command::Selection, &[], Status::OPERATION_DENIED)
        },
    ),
    check(
        "selection.nobody",
        SELECTION,
        "Without a person the selection times out",
        &[Version("FIDO_2_1"), Told, Clock],
        |b| {
            b.person(Person::Absent)?;
            b.expect(Command::Selection, &[], Status::USER_ACTION_TIMEOUT)
        },
    ),
    check(
        "selection.cancelled",
        SELECTION,
        "A selection can be cancelled",
        &[Version("FIDO_2_1"), Told],
        |b| {
            b.person(Person::CancelsByPlatform)?;
            b.expect(Command::Selection, &[], Status::KEEPALIVE_CANCEL)
        },
    ),
    check(
        "selection.unknown-before-2-1",
        SELECTION,
        "Keys before 2.1 do not know authenticatorSelection",
        &[Need::NotVersion("FIDO_2_1")],
        |b| b.expect(Command::Selection, &[], Status::INVALID_COMMAND),
    ),
    check(
        "reset.touch",
        RESET,
        "A reset needs a touch",
        &[Ctap2, Told],
        |b| {
            let ((), asked) = b.asked_in(|b| reset(b, &[Status::OK]))?;
            ensure(asked.is_none_or(|n| n == 1), "no touch was asked for")
        },
    ),
    check(
        "reset.declined",
        RESET,
        "A person who declines erases nothing",
        &[Ctap2, Told, Power],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            b.power_cycle()?;
            b.person(Person::Declines)?;
            reset(b, &[Status::OPERATION_DENIED])?;
            b.person(Person::Consents)?;
            let request = b.ga_of(&made);
            ensure(b.get(request)?.is_by(&made), "the credential is gone")
        },
    ),
    check(
        "reset.nobody",
        RESET,
        "Without a person the reset times out",
        &[Ctap2, Told, Clock],
        |b| {
            b.person(Person::Absent)?;
            reset(b, &[Status::USER_ACTION_TIMEOUT])
        },
    ),
    check(
        "reset.late",
        RESET,
        "A reset later than ten seconds after power-up is not allowed",
        &[Ctap2, Clock],
        |b| {
            b.wait(10.5)?;
            reset(b, &[Status::NOT_ALLOWED])
        },
    ),
    check(
        "reset.late-erases-nothing",
        RESET,
        "A reset that is not allowed erases nothing",
        &[Ctap2, Clock],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            b.wait(10.5)?;
            reset(b, &[Status::NOT_ALLOWED])?;
            let request = b.ga_of(&made);
            ensure(b.get(request)?.is_by(&made), "the credential is gone")
        },
    ),
    check(
        "reset.in-time",
        RESET,
        "Nine seconds after power-up it is allowed",
        &[Ctap2, Clock],
        |b| {
            b.wait(9.0)?;
            reset(b, &[Status::OK])
        },
    ),
    check(
        "reset.again-after-power-up",
        RESET,
        "After a power cycle it is allowed again",
        &[Ctap2, Clock, Power],
        |b| {
            b.wait(20.0)?;
            reset(b, &[Status::NOT_ALLOWED])?;
            b.power_cycle()?;
            reset(b, &[Status::OK])
        },
    ),
    check(
        "reset.erases-credentials",
        RESET,
        "A reset erases credentials that are not discoverable",
        &[Ctap2, Power],
        |b| {
            let made = after_reset(b, false)?;
            let request = b.ga_of(&made);
            b.refuse_ga(request, &[Status::NO_CREDENTIALS])
        },
    ),
    check(
        "reset.erases-discoverable",
        RESET,
        "A reset erases discoverable credentials",
        &[On("rk"), Power],
        |b| {
            let made = after_reset(b, true)?;
            let request = b.ga_of(&made);
            b.refuse_ga(request, &[Status::NO_CREDENTIALS])?;
            let request = b.ga();
            b.refuse_ga(request, &[Status::NO_CREDENTIALS])
        },
    ),
    check(
        "reset.erases-pin",
        RESET,
        "A reset erases the PIN",
        &[Has("clientPin"), Power],
        |b| {
            b.set_pin()?;
            b.power_cycle()?;
            reset(b, &[Status::OK])?;
            same(b.option_now("clientPin")?, Some(false), "clientPin")?;
            same(b.try_set_pin(PIN)?, Status::OK, "a new PIN")
        },
    ),
    check(
        "reset.ends-token",
        RESET,
        "A token of before the reset is worth nothing",
        &[Has("clientPin"), NotOn("uv")],
        |b| {
            let token = b.token(crate::pins::MC, Some("example.com"))?;
            reset(b, &[Status::OK])?;
            b.pin = None;
            b.set_pin()?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
    check(
        "reset.restores-always-uv",
        RESET,
        "A reset brings alwaysUv back to what it was",
        &[Config(2), Power],
        |b| {
            let before = b.option("alwaysUv");
            super::config::toggle_always_uv(b)?;
            b.power_cycle()?;
            reset(b, &[Status::OK])?;
            same(b.option_now("alwaysUv")?, before, "alwaysUv")
        },
    ),
    check(
        "reset.restores-min-pin",
        RESET,
        "A reset brings minPINLength back to what it was",
        &[Config(3), Power],
        |b| {
            super::config::set_min_pin_length(b, 10)?;
            b.power_cycle()?;
            reset(b, &[Status::OK])?;
            same(
                b.info()?.min_pin_length,
                b.new_info()?.min_pin_length,
                "minPINLength",
            )
        },
    ),
    check(
        "reset.keeps-aaguid",
        RESET,
        "A reset leaves the model what it is",
        &[Ctap2],
        |b| {
            reset(b, &[Status::OK])?;
            same(b.info()?.aaguid, b.new_info()?.aaguid, "the AAGUID")
        },
    ),
    check(
        "uv.mc",
        MC,
        "The uv option has the key verify its user",
        &[On("uv")],
        |b| {
            let mut request = b.mc();
            request.options = mc_options(None, None, Some(true));
            let made = b.make_as_is(&request)?;
            ensure(
                made.flags.user_verified() && made.flags.user_present(),
                "UV or UP is not set",
            )
        },
    ),
    check(
        "uv.ga",
        GA,
        "The uv option has the key verify its user for an assertion",
        &[On("uv")],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let mut request = b.ga_of(&made);
            request.options = ga_options(None, Some(true));
            let asserted = b.get_as_is(&request)?;
            ensure(
                asserted.flags.user_verified() && asserted.is_by(&made),
                "UV is not set",
            )
        },
    ),
    check(
        "uv.mc-wrong-finger",
        MC,
        "After wrong fingers a key with a PIN asks for a token",
        &[On("uv"), Told, Has("clientPin")],
        |b| {
            b.set_pin()?;
            b.person(Person::WrongFinger)?;
            let mut request = b.mc();
            request.options = mc_options(None, None, Some(true));
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "uv.ga-wrong-finger",
        GA,
        "The same for an assertion",
        &[On("uv"), Told, Has("clientPin")],
        |b| {
            b.set_pin()?;
            let request = b.mc();
            let made = b.make(request)?;
            b.person(Person::WrongFinger)?;
            let mut request = b.ga_of(&made);
            request.options = ga_options(None, Some(true));
            b.expect(
                Command::GetAssertion,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "uv.nobody",
        MC,
        "Without a finger the verification times out",
        &[On("uv"), Told, Clock],
        |b| {
            b.person(Person::Absent)?;
            let mut request = b.mc();
            request.options = mc_options(None, None, Some(true));
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::USER_ACTION_TIMEOUT,
            )
        },
    ),
    check(
        "uv.protected-needs-token",
        MC,
        "A key with a finger and no PIN does not make a credential without verification",
        &[On("uv"), NotOn("makeCredUvNotRqd")],
        |b| {
            let request = b.mc();
            b.expect_any(
                Command::MakeCredential,
                &request.encode(),
                &[Status::OPERATION_DENIED, Status::PUAT_REQUIRED],
            )
        },
    ),
];
