//! CTAP 2.3 §6.2 authenticatorGetAssertion and §6.3 authenticatorGetNextAssertion.

use ctap::entities::CredentialDescriptor;
use ctap::{Command, Status};
use webauthn::cbor::Value;

use crate::bench::{Bench, is_one_of, present};
use crate::ceremonies::{Made, RP, ga_options};
use crate::check::Need::{self, Clock, Ctap2, Lacks, Member, NotOn, On, Option as Has, Reports};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::{bytes, int, text, text_map, with, with_inner, without};

const GA: &str = "CTAP 2.3 §6.2.2";
const PARAMS: &str = "CTAP 2.3 §6.2.1";
const NEXT: &str = "CTAP 2.3 §6.3";
const DATA: &str = "WebAuthn L3 §6.1";
const NEEDS: &[Need] = &[Ctap2];
const RK: &[Need] = &[On("rk")];
const TYPE: &[Status] = &[Status::CBOR_UNEXPECTED_TYPE];
const MISSING: &[Status] = &[Status::MISSING_PARAMETER];
const NONE: &[Status] = &[Status::NO_CREDENTIALS];
const NOT_ALLOWED: &[Status] = &[Status::NOT_ALLOWED];

fn missing(b: &mut Bench<'_>, key: i64) -> Outcome {
    let request = without(&b.ga_bytes()?, key);
    b.expect_any(Command::GetAssertion, &request, MISSING)
}

fn wrong(b: &mut Bench<'_>, key: i64, value: Value, due: &[Status]) -> Outcome {
    let request = with(&b.ga_bytes()?, key, value);
    b.expect_any(Command::GetAssertion, &request, due)
}

fn wrong_inner(b: &mut Bench<'_>, inner: &str, value: Value, due: &[Status]) -> Outcome {
    let request = with_inner(&b.ga_bytes()?, 5, inner, Some(value));
    b.expect_any(Command::GetAssertion, &request, due)
}

fn simple(b: &mut Bench<'_>) -> Outcome<Made> {
    let request = b.mc();
    b.make(request)
}

/// Discoverable credentials for so many accounts, oldest first.
fn accounts(b: &mut Bench<'_>, count: u8) -> Outcome<Vec<Made>> {
    (1..=count)
        .map(|account| {
            let request = b.mc_rk(account);
            b.make(request)
        })
        .collect()
}

/// A first assertion of two accounts and its request.
fn begun(b: &mut Bench<'_>) -> Outcome<crate::ceremonies::Get> {
    accounts(b, 2)?;
    let mut request = b.ga();
    if b.option("alwaysUv") == Some(true) {
        b.authorise_ga(&mut request)?;
    }
    let first = b.get_as_is(&request)?;
    same(
        first.response.number_of_credentials,
        Some(2),
        "numberOfCredentials",
    )?;
    Ok(request)
}

fn refuse_next(b: &mut Bench<'_>) -> Outcome {
    b.expect_any(Command::GetNextAssertion, &[], NOT_ALLOWED)
}

pub(super) const CHECKS: &[Check] = &[
    check("ga.no-rp-id", PARAMS, "rpId is mandatory", NEEDS, |b| {
        missing(b, 1)
    }),
    check(
        "ga.no-client-data-hash",
        PARAMS,
        "clientDataHash is mandatory",
        NEEDS,
        |b| missing(b, 2),
    ),
    check("ga.rp-id-type", PARAMS, "rpId is text", NEEDS, |b| {
        wrong(b, 1, bytes(b"x"), TYPE)
    }),
    check(
        "ga.hash-type",
        PARAMS,
        "clientDataHash is a byte string",
        NEEDS,
        |b| wrong(b, 2, text("x"), TYPE),
    ),
    check(
        "ga.hash-length",
        PARAMS,
        "clientDataHash has 32 bytes",
        NEEDS,
        |b| {
            wrong(
                b,
                2,
                bytes(&[1; 33]),
                &[Status::INVALID_LENGTH, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "ga.allow-type",
        PARAMS,
        "allowList is an array",
        NEEDS,
        |b| wrong(b, 3, text("x"), TYPE),
    ),
    check(
        "ga.allow-element-type",
        PARAMS,
        "Its elements are maps",
        NEEDS,
        |b| wrong(b, 3, Value::Array(vec![int(1)]), TYPE),
    ),
    check(
        "ga.allow-no-id",
        PARAMS,
        "A descriptor has an id",
        NEEDS,
        |b| {
            let element = text_map(&[("type", text("public-key"))]);
            wrong(
                b,
                3,
                Value::Array(vec![element]),
                &[Status::MISSING_PARAMETER, Status::INVALID_CBOR],
            )
        },
    ),
    check(
        "ga.allow-no-type",
        PARAMS,
        "A descriptor has a type",
        NEEDS,
        |b| {
            let element = text_map(&[("id", bytes(&[1; 16]))]);
            wrong(
                b,
                3,
                Value::Array(vec![element]),
                &[Status::MISSING_PARAMETER, Status::INVALID_CBOR],
            )
        },
    ),
    check(
        "ga.extensions-type",
        PARAMS,
        "extensions is a map",
        NEEDS,
        |b| wrong(b, 4, int(1), TYPE),
    ),
    check("ga.options-type", PARAMS, "options is a map", NEEDS, |b| {
        wrong(b, 5, int(1), TYPE)
    }),
    check("ga.up-type", PARAMS, "up is a boolean", NEEDS, |b| {
        wrong_inner(b, "up", int(0), TYPE)
    }),
    check("ga.uv-type", PARAMS, "uv is a boolean", NEEDS, |b| {
        wrong_inner(b, "uv", int(0), TYPE)
    }),
    check(
        "ga.param-type",
        PARAMS,
        "pinUvAuthParam is a byte string",
        NEEDS,
        |b| wrong(b, 6, text("x"), TYPE),
    ),
    check(
        "ga.protocol-type",
        PARAMS,
        "pinUvAuthProtocol is an integer",
        NEEDS,
        |b| wrong(b, 7, text("x"), TYPE),
    ),
    check("ga.rk", GA, "rk is no option of getAssertion", NEEDS, |b| {
        wrong_inner(
            b,
            "rk",
            Value::Bool(true),
            &[Status::UNSUPPORTED_OPTION, Status::INVALID_OPTION],
        )
    }),
    check(
        "ga.option-unknown",
        PARAMS,
        "Options that are not known are passed over",
        NEEDS,
        |b| {
            let request = with_inner(&b.ga_bytes()?, 5, "zz", Some(Value::Bool(true)));
            b.call(Command::GetAssertion, &request).map(drop)
        },
    ),
    check(
        "ga.extension-unknown",
        GA,
        "Extensions that the key does not have are passed over",
        NEEDS,
        |b| {
            let request = with_inner(&b.ga_bytes()?, 4, "example.unknown", Some(int(1)));
            b.call(Command::GetAssertion, &request).map(drop)
        },
    ),
    check(
        "ga.uv-without-sensor",
        GA,
        "uv on a key without a sensor is an invalid option",
        &[Lacks("uv"), NotOn("alwaysUv")],
        |b| {
            let made = simple(b)?;
            let mut request = b.ga_of(&made);
            request.options = ga_options(None, Some(true));
            b.refuse_ga(request, &[Status::INVALID_OPTION])
        },
    ),
    check(
        "ga.signs",
        "WebAuthn L3 §6.3.3",
        "An assertion is signed by the credential's key",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let request = b.ga_of(&made);
            let asserted = b.get(request)?;
            ensure(asserted.is_by(&made), "the signature does not verify")?;
            same(asserted.id(), &made.id[..], "the credential")
        },
    ),
    check(
        "ga.signs-each-time",
        "WebAuthn L3 §6.3.3",
        "Each of three assertions is signed anew",
        NEEDS,
        |b| {
            let made = simple(b)?;
            for _ in 0..3 {
                let request = b.ga_of(&made);
                ensure(
                    b.get(request)?.is_by(&made),
                    "the signature does not verify",
                )?;
            }
            Ok(())
        },
    ),
    check(
        "ga.flags",
        DATA,
        "UP is set, AT, BE and BS are not",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let request = b.ga_of(&made);
            let flags = b.get(request)?.flags;
            ensure(flags.user_present(), "UP is not set")?;
            same(flags.0 & !0x85, 0, "other flags than UP, UV and ED")
        },
    ),
    check(
        "ga.no-uv-flag",
        DATA,
        "UV is not set when nobody was verified",
        &[NotOn("alwaysUv")],
        |b| {
            let made = simple(b)?;
            let request = b.ga_of(&made);
            ensure(!b.get_as_is(&request)?.flags.user_verified(), "UV is set")
        },
    ),
    check(
        "ga.uv-flag",
        DATA,
        "UV is set when a token was shown",
        &[Has("clientPin")],
        |b| {
            b.set_pin()?;
            let made = simple(b)?;
            let request = b.ga_of(&made);
            let asserted = b.get_uv(request)?;
            ensure(asserted.flags.user_verified(), "UV is not set")?;
            ensure(asserted.is_by(&made), "the signature does not verify")
        },
    ),
    check(
        "ga.counter-grows",
        "WebAuthn L3 §6.1.1",
        "The signature counter grows, if there is one",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let mut last = made.sign_count;
            for _ in 0..3 {
                let request = b.ga_of(&made);
                let count = b.get(request)?.sign_count;
                ensure(
                    count > last || (count == 0 && last == 0),
                    format!("{count} after {last}"),
                )?;
                last = count;
            }
            Ok(())
        },
    ),
    check(
        "ga.counter-lasts",
        "WebAuthn L3 §6.1.1",
        "The counter does not fall back at a power cycle",
        &[Ctap2, Need::Power],
        |b| {
            let made = simple(b)?;
            let request = b.ga_of(&made);
            let before = b.get(request)?.sign_count;
            b.power_cycle()?;
            let request = b.ga_of(&made);
            let after = b.get(request)?.sign_count;
            ensure(
                after > before || (after == 0 && before == 0),
                format!("{after} after {before}"),
            )
        },
    ),
    check(
        "ga.unknown-credential",
        GA,
        "An unknown credential is not found",
        NEEDS,
        |b| {
            let mut request = b.ga();
            request.allow_list = Some(vec![CredentialDescriptor::public_key(vec![9; 64])]);
            b.refuse_ga(request, NONE)
        },
    ),
    check(
        "ga.changed-id",
        GA,
        "A credential ID with one bit changed is not found",
        NEEDS,
        |b| {
            let mut made = simple(b)?;
            let last = made.id.len() - 1;
            for at in [0, last / 2, last] {
                made.id[at] ^= 1;
                let request = b.ga_of(&made);
                b.refuse_ga(request, NONE)?;
                made.id[at] ^= 1;
            }
            Ok(())
        },
    ),
    check(
        "ga.cut-id",
        GA,
        "A credential ID without its last byte is not found",
        NEEDS,
        |b| {
            let mut made = simple(b)?;
            made.id.pop();
            let request = b.ga_of(&made);
            b.refuse_ga(request, NONE)
        },
    ),
    check(
        "ga.other-rp",
        GA,
        "A credential is not found for another relying party",
        NEEDS,
        |b| {
            let mut made = simple(b)?;
            made.rp = "example.org".to_owned();
            let request = b.ga_of(&made);
            b.refuse_ga(request, NONE)
        },
    ),
    check(
        "ga.other-rp-discoverable",
        GA,
        "The same for a discoverable credential",
        RK,
        |b| {
            let request = b.mc_rk(1);
            let mut made = b.make(request)?;
            made.rp = "example.org".to_owned();
            let request = b.ga_of(&made);
            b.refuse_ga(request, NONE)?;
            let mut request = b.ga();
            request.rp_id = "example.org".to_owned();
            b.refuse_ga(request, NONE)
        },
    ),
    check(
        "ga.other-type",
        GA,
        "A descriptor of another type is passed over",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let mut request = b.ga_of(&made);
            for descriptor in request.allow_list.iter_mut().flatten() {
                descriptor.type_ = "private-key".to_owned();
            }
            b.refuse_ga(request, NONE)
        },
    ),
    check(
        "ga.transports-hint",
        PARAMS,
        "Transports in a descriptor do no harm",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let mut request = b.ga_of(&made);
            for descriptor in request.allow_list.iter_mut().flatten() {
                descriptor.transports = Some(vec!["usb".to_owned(), "unknown".to_owned()]);
            }
            ensure(
                b.get(request)?.is_by(&made),
                "the signature does not verify",
            )
        },
    ),
    check(
        "ga.allow-second",
        GA,
        "The known credential of the list is used, wherever it stands",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let mut request = b.ga_of(&made);
            request.allow_list = Some(vec![
                CredentialDescriptor::public_key(vec![1; 16]),
                CredentialDescriptor::public_key(vec![2; 64]),
                CredentialDescriptor::public_key(made.id.clone()),
            ]);
            let asserted = b.get(request)?;
            same(asserted.id(), &made.id[..], "the credential")?;
            ensure(asserted.is_by(&made), "the signature does not verify")
        },
    ),
    check(
        "ga.allow-too-many",
        GA,
        "More descriptors than maxCredentialCountInList are refused",
        &[Member(7)],
        |b| {
            let most = b.new_info()?.max_credential_count_in_list.unwrap_or(0);
            let one = CredentialDescriptor::public_key(vec![7; 16]);
            let mut request = b.ga();
            request.allow_list = Some(vec![one; usize::try_from(most).unwrap_or(0) + 1]);
            b.refuse_ga(
                request,
                &[Status::LIMIT_EXCEEDED, Status::REQUEST_TOO_LARGE],
            )
        },
    ),
    check(
        "ga.allow-as-many",
        GA,
        "As many descriptors as maxCredentialCountInList are read",
        &[Member(7)],
        |b| {
            let most = b.new_info()?.max_credential_count_in_list.unwrap_or(1);
            let made = simple(b)?;
            let mut request = b.ga_of(&made);
            let list = request.allow_list.get_or_insert_default();
            let other = CredentialDescriptor::public_key(vec![7; 16]);
            list.splice(0..0, vec![other; usize::try_from(most).unwrap_or(1) - 1]);
            ensure(
                b.get(request)?.is_by(&made),
                "the signature does not verify",
            )
        },
    ),
    check(
        "ga.allow-empty",
        GA,
        "An empty allow list counts as none",
        RK,
        |b| {
            let request = b.mc_rk(1);
            let made = b.make(request)?;
            let mut request = b.ga();
            request.allow_list = Some(Vec::new());
            ensure(
                b.get(request)?.is_by(&made),
                "the signature does not verify",
            )
        },
    ),
    check(
        "ga.allow-list-no-count",
        GA,
        "With an allow list there is no numberOfCredentials",
        RK,
        |b| {
            let all = accounts(b, 2)?;
            let mut request = b.ga_of(&all[0]);
            request.allow_list = Some(
                all.iter()
                    .map(|made| CredentialDescriptor::public_key(made.id.clone()))
                    .collect(),
            );
            let asserted = b.get(request)?;
            same(
                asserted.response.number_of_credentials,
                None,
                "numberOfCredentials",
            )?;
            refuse_next(b)
        },
    ),
    check(
        "ga.none",
        GA,
        "A key as new has no credentials",
        NEEDS,
        |b| {
            let request = b.ga();
            b.refuse_ga(request, NONE)
        },
    ),
    check(
        "ga.user-id",
        GA,
        "A discoverable credential comes with its user handle",
        RK,
        |b| {
            let request = b.mc_rk(5);
            b.make(request)?;
            let request = b.ga();
            let user = present("user", b.get(request)?.response.user)?;
            same(user.id, vec![5; 16], "the user handle")
        },
    ),
    check(
        "ga.no-names-unverified",
        GA,
        "Names are not told to a user who was not verified",
        &[On("rk"), NotOn("alwaysUv")],
        |b| {
            accounts(b, 2)?;
            let request = b.ga();
            let user = present("user", b.get_as_is(&request)?.response.user)?;
            ensure(
                user.name.is_none() && user.display_name.is_none(),
                "a name is told",
            )
        },
    ),
    check(
        "ga.names-verified",
        GA,
        "Names are told to a verified user who must choose",
        &[On("rk"), Has("clientPin")],
        |b| {
            b.set_pin()?;
            accounts(b, 2)?;
            let request = b.ga();
            let user = present("user", b.get_uv(request)?.response.user)?;
            same(user.name.as_deref(), Some("user2@example.com"), "the name")
        },
    ),
    check(
        "ga.newest-first",
        GA,
        "The newest of several credentials signs first",
        RK,
        |b| {
            let all = accounts(b, 3)?;
            let request = b.ga();
            let first = b.get(request)?;
            same(first.id(), &all[2].id[..], "the credential")?;
            same(
                first.response.number_of_credentials,
                Some(3),
                "numberOfCredentials",
            )
        },
    ),
    check(
        "ga.up-false",
        GA,
        "With up false no touch is asked for, and UP is not set",
        NEEDS,
        |b| {
            let made = simple(b)?;
            let mut request = b.ga_of(&made);
            request.options = ga_options(Some(false), None);
            let (asserted, asked) = b.asked_in(|b| b.get_as_is(&request))?;
            ensure(!asserted.flags.user_present(), "UP is set")?;
            ensure(asserted.is_by(&made), "the signature does not verify")?;
            ensure(asked.is_none_or(|n| n == 0), "a person was asked")
        },
    ),
    check(
        "ga.up-false-unknown",
        GA,
        "Looking for an unknown credential needs no touch",
        &[Ctap2],
        |b| {
            let mut request = b.ga();
            request.allow_list = Some(vec![CredentialDescriptor::public_key(vec![1; 64])]);
            request.options = ga_options(Some(false), None);
            let (status, asked) =
                b.asked_in(|b| Ok(b.send(Command::GetAssertion, &request.encode())?.0))?;
            is_one_of("getAssertion", status, NONE)?;
            ensure(asked.is_none_or(|n| n == 0), "a person was asked")
        },
    ),
    check(
        "next.order",
        NEXT,
        "getNextAssertion goes from the newest to the oldest",
        RK,
        |b| {
            let all = accounts(b, 3)?;
            let mut request = b.ga();
            if b.option("alwaysUv") == Some(true) {
                b.authorise_ga(&mut request)?;
            }
            b.get_as_is(&request)?;
            for made in [&all[1], &all[0]] {
                let next = b.get_next(&request)?;
                same(next.id(), &made.id[..], "the credential")?;
                ensure(next.is_by(made), "the signature does not verify")?;
                same(
                    next.response.number_of_credentials,
                    None,
                    "numberOfCredentials",
                )?;
            }
            refuse_next(b)
        },
    ),
    check(
        "next.nothing-begun",
        NEXT,
        "getNextAssertion without getAssertion is not allowed",
        NEEDS,
        refuse_next,
    ),
    check(
        "next.after-one",
        NEXT,
        "There is nothing after a single credential",
        RK,
        |b| {
            let request = b.mc_rk(1);
            b.make(request)?;
            let request = b.ga();
            b.get(request)?;
            refuse_next(b)
        },
    ),
    check(
        "next.flags",
        NEXT,
        "The next assertion carries the flags of the first",
        RK,
        |b| {
            let request = begun(b)?;
            let next = b.get_next(&request)?;
            ensure(next.flags.user_present(), "UP is not set")?;
            same(
                next.flags.user_verified(),
                b.option("alwaysUv") == Some(true),
                "UV",
            )
        },
    ),
    check(
        "next.counter",
        NEXT,
        "The counter grows with each next assertion, too",
        RK,
        |b| {
            accounts(b, 2)?;
            let mut request = b.ga();
            if b.option("alwaysUv") == Some(true) {
                b.authorise_ga(&mut request)?;
            }
            let first = b.get_as_is(&request)?.sign_count;
            let second = b.get_next(&request)?.sign_count;
            ensure(
                second > first || (first == 0 && second == 0),
                format!("{second} after {first}"),
            )
        },
    ),
    check(
        "next.after-other-command",
        NEXT,
        "Another command in between ends it",
        RK,
        |b| {
            begun(b)?;
            b.info()?;
            refuse_next(b)
        },
    ),
    check(
        "next.late",
        NEXT,
        "After thirty seconds it is too late",
        &[On("rk"), Clock],
        |b| {
            begun(b)?;
            b.wait(31.0)?;
            refuse_next(b)
        },
    ),
    check(
        "next.in-time",
        NEXT,
        "After twenty seconds it is not",
        &[On("rk"), Clock],
        |b| {
            let request = begun(b)?;
            b.wait(20.0)?;
            b.get_next(&request).map(drop)
        },
    ),
    check(
        "next.timer-restarts",
        NEXT,
        "Each assertion starts the thirty seconds anew",
        &[On("rk"), Clock],
        |b| {
            accounts(b, 3)?;
            let mut request = b.ga();
            if b.option("alwaysUv") == Some(true) {
                b.authorise_ga(&mut request)?;
            }
            b.get_as_is(&request)?;
            b.wait(20.0)?;
            b.get_next(&request)?;
            b.wait(20.0)?;
            b.get_next(&request).map(drop)
        },
    ),
    check(
        "next.power-cycle",
        NEXT,
        "A power cycle ends it",
        &[On("rk"), Need::Power],
        |b| {
            begun(b)?;
            b.power_cycle()?;
            refuse_next(b)
        },
    ),
    check(
        "next.channel",
        NEXT,
        "Another channel cannot go on with it",
        &[On("rk"), Reports],
        |b| {
            begun(b)?;
            b.on(1, refuse_next)
        },
    ),
    check(
        "next.channel-keeps",
        NEXT,
        "The channel that began it can go on after another one tried",
        &[On("rk"), Reports],
        |b| {
            let request = begun(b)?;
            b.on(1, refuse_next)?;
            b.get_next(&request).map(drop)
        },
    ),
    check(
        "next.rp-of-first",
        NEXT,
        "Only credentials of the relying party follow",
        RK,
        |b| {
            accounts(b, 2)?;
            let mut other = b.mc_rk(9);
            other.rp.id = "example.org".to_owned();
            b.make(other)?;
            let request = b.ga();
            same(request.rp_id.as_str(), RP, "the relying party")?;
            same(
                b.get(request)?.response.number_of_credentials,
                Some(2),
                "numberOfCredentials",
            )
        },
    ),
];
