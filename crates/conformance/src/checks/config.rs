//! CTAP 2.3 §6.11 authenticatorConfig.

use ctap::config::authenticated_message;
use ctap::{Command, Raw, Status, config};
use webauthn::cbor::Value;

use crate::bench::{Bench, PIN, is_one_of};
use crate::check::Need::{self, Config, Extension, Member, NotOn, On, Option as Has, Power, U2f};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::{int, map, text};
use crate::pins::{ACFG, GA, MC, Token};
use crate::subject::Person;

const CONFIG: &str = "CTAP 2.3 §6.11";
const EP: &str = "CTAP 2.3 §6.11.1";
const TOGGLE: &str = "CTAP 2.3 §6.11.2";
const MIN_PIN: &str = "CTAP 2.3 §6.11.4";
const NEEDS: &[Need] = &[On("authnrCfg")];
const MIN: &[Need] = &[Config(3)];

/// A request that a token authorises, if there is one.
fn request(code: u64, params: Option<Value>, token: Option<&Token>) -> Vec<u8> {
    let params = params.as_ref().map(Raw::from);
    let message = authenticated_message(code, params.as_ref());
    config::Request {
        sub_command: code,
        sub_command_params: params,
        pin_uv_auth_protocol: token.map(Token::number),
        pin_uv_auth_param: token.map(|token| token.sign(&message)),
    }
    .encode()
}

/// The status of a subcommand with a token for it.
fn status(b: &mut Bench<'_>, code: u64, params: Option<Value>) -> Outcome<Status> {
    let token = b.token(ACFG, None)?;
    Ok(
        b.send(Command::Config, &request(code, params, Some(&token)))?
            .0,
    )
}

fn works(b: &mut Bench<'_>, code: u64, params: Option<Value>) -> Outcome {
    let status = status(b, code, params)?;
    is_one_of("authenticatorConfig", status, &[Status::OK])
}

fn refused(b: &mut Bench<'_>, code: u64, params: Option<Value>, due: &[Status]) -> Outcome {
    let status = status(b, code, params)?;
    is_one_of("authenticatorConfig", status, due)
}

/// Toggles alwaysUv.
pub(super) fn toggle_always_uv(b: &mut Bench<'_>) -> Outcome {
    works(b, 2, None)
}

/// Sets the minimum length of PINs.
pub(super) fn set_min_pin_length(b: &mut Bench<'_>, length: i64) -> Outcome {
    works(b, 3, Some(map(&[(1, int(length))])))
}

/// Lets a relying party read the minimum.
pub(super) fn set_min_pin_rp_ids(b: &mut Bench<'_>, rp_ids: &[&str]) -> Outcome {
    let list = rp_ids.iter().map(|id| text(id)).collect();
    works(b, 3, Some(map(&[(2, Value::Array(list))])))
}

/// Enables enterprise attestation.
pub(super) fn enable_enterprise(b: &mut Bench<'_>) -> Outcome {
    works(b, 1, None)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "config.no-subcommand",
        CONFIG,
        "subCommand is mandatory",
        NEEDS,
        |b| {
            b.expect(
                Command::Config,
                &map(&[]).encode(),
                Status::MISSING_PARAMETER,
            )
        },
    ),
    check(
        "config.subcommand-type",
        CONFIG,
        "subCommand is an integer",
        NEEDS,
        |b| {
            b.expect(
                Command::Config,
                &map(&[(1, text("1"))]).encode(),
                Status::CBOR_UNEXPECTED_TYPE,
            )
        },
    ),
    check(
        "config.unknown-subcommand",
        CONFIG,
        "A subcommand that is not there is an invalid parameter",
        NEEDS,
        |b| {
            refused(
                b,
                0x77,
                None,
                &[Status::INVALID_PARAMETER, Status::INVALID_SUBCOMMAND],
            )
        },
    ),
    check(
        "config.no-token",
        CONFIG,
        "A protected key wants a token",
        NEEDS,
        |b| {
            b.set_pin()?;
            let code = if b.meets(Config(3)) { 3 } else { 2 };
            b.expect(
                Command::Config,
                &request(code, None, None),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "config.wrong-param",
        CONFIG,
        "A pinUvAuthParam that does not verify is refused",
        NEEDS,
        |b| {
            let mut token = b.token(ACFG, None)?;
            token.value[0] ^= 1;
            let code = if b.meets(Config(3)) { 3 } else { 2 };
            b.expect(
                Command::Config,
                &request(code, None, Some(&token)),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
    check(
        "config.wrong-permission",
        CONFIG,
        "A token without acfg is refused",
        NEEDS,
        |b| {
            let token = b.token(MC, Some("example.com"))?;
            let code = if b.meets(Config(3)) { 3 } else { 2 };
            b.expect(
                Command::Config,
                &request(code, None, Some(&token)),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
    check(
        "config.param-of-other-subcommand",
        CONFIG,
        "pinUvAuthParam is about the subcommand",
        &[Config(3), Config(2)],
        |b| {
            let token = b.token(ACFG, None)?;
            let other = token.sign(&authenticated_message(3, None));
            let bytes = config::Request {
                sub_command: 2,
                sub_command_params: None,
                pin_uv_auth_protocol: Some(token.number()),
                pin_uv_auth_param: Some(other),
            };
            b.expect(Command::Config, &bytes.encode(), Status::PIN_AUTH_INVALID)
        },
    ),
    check(
        "config.params-authenticated",
        CONFIG,
        "pinUvAuthParam is about the parameters, too",
        MIN,
        |b| {
            let token = b.token(ACFG, None)?;
            let signed = Raw::from(&map(&[(1, int(8))]));
            let sent = Raw::from(&map(&[(1, int(20))]));
            let bytes = config::Request {
                sub_command: 3,
                pin_uv_auth_param: Some(token.sign(&authenticated_message(3, Some(&signed)))),
                sub_command_params: Some(sent),
                pin_uv_auth_protocol: Some(token.number()),
            };
            b.expect(Command::Config, &bytes.encode(), Status::PIN_AUTH_INVALID)
        },
    ),
    check(
        "config.no-protocol",
        CONFIG,
        "pinUvAuthParam wants its protocol",
        MIN,
        |b| {
            let token = b.token(ACFG, None)?;
            let bytes = config::Request {
                sub_command: 3,
                sub_command_params: None,
                pin_uv_auth_protocol: None,
                pin_uv_auth_param: Some(token.sign(&authenticated_message(3, None))),
            };
            b.expect(Command::Config, &bytes.encode(), Status::MISSING_PARAMETER)
        },
    ),
    check(
        "config.unprotected",
        CONFIG,
        "A key without PIN and finger needs no token",
        &[Config(3), NotOn("uv"), NotOn("alwaysUv")],
        |b| {
            let params = map(&[(1, int(8))]);
            b.expect(Command::Config, &request(3, Some(params), None), Status::OK)?;
            same(b.info()?.min_pin_length, Some(8), "minPINLength")
        },
    ),
    check(
        "config.always-uv-toggles",
        TOGGLE,
        "toggleAlwaysUv turns alwaysUv over, and back",
        &[Config(2)],
        |b| {
            let before = b.option("alwaysUv");
            toggle_always_uv(b)?;
            same(b.option_now("alwaysUv")?, before.map(|on| !on), "alwaysUv")?;
            toggle_always_uv(b)?;
            same(b.option_now("alwaysUv")?, before, "alwaysUv")
        },
    ),
    check(
        "config.always-uv-lasts",
        TOGGLE,
        "alwaysUv stays over a power cycle",
        &[Config(2), Power],
        |b| {
            toggle_always_uv(b)?;
            b.power_cycle()?;
            same(
                b.option_now("alwaysUv")?,
                b.option("alwaysUv").map(|on| !on),
                "alwaysUv",
            )
        },
    ),
    check(
        "config.always-uv-mc",
        TOGGLE,
        "With alwaysUv, makeCredential wants a token",
        &[Config(2), NotOn("alwaysUv"), NotOn("uv")],
        |b| {
            toggle_always_uv(b)?;
            let request = b.mc();
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "config.always-uv-ga",
        TOGGLE,
        "With alwaysUv, getAssertion wants a token",
        &[Config(2), NotOn("alwaysUv"), NotOn("uv")],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            toggle_always_uv(b)?;
            let request = b.ga_of(&made);
            b.expect(
                Command::GetAssertion,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "config.always-uv-up-false",
        TOGGLE,
        "With alwaysUv, looking without a touch needs none",
        &[Config(2), NotOn("alwaysUv"), NotOn("uv")],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            toggle_always_uv(b)?;
            let mut request = b.ga_of(&made);
            request.options = crate::ceremonies::ga_options(Some(false), None);
            b.get_as_is(&request).map(drop)
        },
    ),
    check(
        "config.always-uv-not-rqd",
        TOGGLE,
        "With alwaysUv, makeCredUvNotRqd is not true",
        &[Config(2), On("makeCredUvNotRqd")],
        |b| {
            toggle_always_uv(b)?;
            same(
                b.option_now("makeCredUvNotRqd")?,
                Some(false),
                "makeCredUvNotRqd",
            )
        },
    ),
    check(
        "config.always-uv-no-u2f",
        "CTAP 2.3 §7.2.4",
        "With alwaysUv, U2F is off",
        &[Config(2), NotOn("alwaysUv"), U2f],
        |b| {
            toggle_always_uv(b)?;
            ensure(!b.info()?.has_version("U2F_V2"), "U2F_V2 is listed")?;
            let request = ctap::u2f::Request::Register {
                challenge: [1; 32],
                application: [2; 32],
            };
            let answer = b.key.u2f(0, &request.encode().unwrap_or_default())?;
            same(&answer[..], &[0x69, 0x86][..], "the answer")
        },
    ),
    check(
        "config.always-uv-fresh",
        TOGGLE,
        "A key delivered with alwaysUv wants a token even without a PIN",
        &[On("alwaysUv"), NotOn("uv")],
        |b| {
            let request = b.mc();
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "config.enterprise",
        EP,
        "enableEnterpriseAttestation sets ep, for good",
        &[Config(1), Power],
        |b| {
            same(b.option("ep"), Some(false), "ep as new")?;
            enable_enterprise(b)?;
            b.power_cycle()?;
            same(b.option_now("ep")?, Some(true), "ep")
        },
    ),
    check(
        "config.enterprise-twice",
        EP,
        "Enabling it twice does no harm",
        &[Config(1)],
        |b| {
            enable_enterprise(b)?;
            enable_enterprise(b)?;
            same(b.option_now("ep")?, Some(true), "ep")
        },
    ),
    check(
        "config.enterprise-attests",
        "CTAP 2.3 §7.1",
        "A platform-managed request gets an enterprise attestation",
        &[Config(1)],
        |b| {
            enable_enterprise(b)?;
            let mut request = b.mc();
            request.enterprise_attestation = Some(2);
            let made = b.make(request)?;
            same(made.response.ep_att, Some(true), "epAtt")?;
            same(made.response.fmt.as_str(), "packed", "the format")
        },
    ),
    check(
        "config.enterprise-not-listed",
        "CTAP 2.3 §7.1",
        "A vendor-facilitated request of a foreign relying party gets an ordinary one",
        &[Config(1)],
        |b| {
            enable_enterprise(b)?;
            let mut request = b.mc();
            request.rp.id = "not-listed.example".to_owned();
            request.enterprise_attestation = Some(1);
            let made = b.make(request)?;
            ensure(
                made.response.ep_att != Some(true),
                "it is an enterprise attestation",
            )
        },
    ),
    check(
        "config.enterprise-3",
        "CTAP 2.3 §6.1.2",
        "There are only two kinds of enterprise attestation",
        &[Config(1)],
        |b| {
            enable_enterprise(b)?;
            let mut request = b.mc();
            request.enterprise_attestation = Some(3);
            b.refuse_mc(
                request,
                &[Status::INVALID_OPTION, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "config.min-pin",
        MIN_PIN,
        "setMinPINLength raises the minimum",
        MIN,
        |b| {
            set_min_pin_length(b, 10)?;
            same(b.info()?.min_pin_length, Some(10), "minPINLength")
        },
    ),
    check(
        "config.min-pin-lasts",
        MIN_PIN,
        "The minimum stays over a power cycle",
        &[Config(3), Power],
        |b| {
            set_min_pin_length(b, 9)?;
            b.power_cycle()?;
            same(b.info()?.min_pin_length, Some(9), "minPINLength")
        },
    ),
    check(
        "config.min-pin-shrinks",
        MIN_PIN,
        "The minimum never shrinks",
        MIN,
        |b| {
            set_min_pin_length(b, 10)?;
            refused(
                b,
                3,
                Some(map(&[(1, int(9))])),
                &[Status::PIN_POLICY_VIOLATION],
            )?;
            same(b.info()?.min_pin_length, Some(10), "minPINLength")
        },
    ),
    check(
        "config.min-pin-64",
        MIN_PIN,
        "A minimum that no PIN can have is refused",
        MIN,
        |b| {
            refused(
                b,
                3,
                Some(map(&[(1, int(64))])),
                &[Status::PIN_POLICY_VIOLATION],
            )
        },
    ),
    check(
        "config.min-pin-holds",
        MIN_PIN,
        "A new PIN must have the new length",
        MIN,
        |b| {
            set_min_pin_length(b, 12)?;
            same(
                b.try_change_pin(PIN, "short-pin!x")?,
                Status::PIN_POLICY_VIOLATION,
                "a PIN of eleven",
            )?;
            same(
                b.try_change_pin(PIN, "long-enough-pin")?,
                Status::OK,
                "a longer PIN",
            )
        },
    ),
    check(
        "config.min-pin-forces",
        MIN_PIN,
        "A PIN that is too short now must be changed",
        MIN,
        |b| {
            set_min_pin_length(b, 20)?;
            same(b.info()?.force_pin_change, Some(true), "forcePINChange")?;
            same(
                b.try_token(MC.0.into(), Some("example.com"))?,
                Status::PIN_POLICY_VIOLATION,
                "a token",
            )
        },
    ),
    check(
        "config.force-change",
        MIN_PIN,
        "forceChangePin keeps tokens back until the PIN is changed",
        MIN,
        |b| {
            works(b, 3, Some(map(&[(3, Value::Bool(true))])))?;
            same(b.info()?.force_pin_change, Some(true), "forcePINChange")?;
            same(
                b.try_token(GA.0.into(), Some("example.com"))?,
                Status::PIN_POLICY_VIOLATION,
                "a token",
            )?;
            same(b.try_pin(PIN)?, Status::PIN_INVALID, "getPinToken")?;
            same(
                b.try_change_pin(PIN, PIN)?,
                Status::PIN_POLICY_VIOLATION,
                "the same PIN again",
            )?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::OK,
                "another PIN",
            )?;
            same(
                b.info()?.force_pin_change,
                Some(false),
                "forcePINChange after it",
            )
        },
    ),
    check(
        "config.force-change-ends-token",
        MIN_PIN,
        "forceChangePin ends the token that is out",
        MIN,
        |b| {
            let token = b.token(ACFG, None)?;
            let params = map(&[(3, Value::Bool(true))]);
            b.expect(
                Command::Config,
                &request(3, Some(params.clone()), Some(&token)),
                Status::OK,
            )?;
            b.expect(
                Command::Config,
                &request(3, Some(params), Some(&token)),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
    check(
        "config.force-without-pin",
        MIN_PIN,
        "Where there is no PIN, none can be changed",
        &[Config(3), NotOn("uv"), NotOn("alwaysUv")],
        |b| {
            let params = map(&[(3, Value::Bool(true))]);
            b.expect(
                Command::Config,
                &request(3, Some(params), None),
                Status::PIN_NOT_SET,
            )
        },
    ),
    check(
        "config.rp-ids-too-many",
        MIN_PIN,
        "More RP IDs than announced do not fit",
        &[Config(3), Member(16)],
        |b| {
            let most = b.new_info()?.max_rp_ids_for_set_min_pin_length.unwrap_or(0);
            let list = (0..=most)
                .map(|n| text(&format!("rp{n}.example")))
                .collect();
            refused(
                b,
                3,
                Some(map(&[(2, Value::Array(list))])),
                &[Status::KEY_STORE_FULL],
            )
        },
    ),
    check(
        "config.params-type",
        MIN_PIN,
        "newMinPINLength is an integer",
        MIN,
        |b| {
            refused(
                b,
                3,
                Some(map(&[(1, text("8"))])),
                &[Status::CBOR_UNEXPECTED_TYPE],
            )
        },
    ),
    check(
        "config.complexity",
        "CTAP 2.3 §6.11.4",
        "The PIN complexity policy can be switched on, and then a simple PIN is refused",
        &[Config(3), Has("clientPin"), Member(27)],
        |b| {
            works(b, 3, Some(map(&[(4, Value::Bool(true))])))?;
            same(
                b.info()?.pin_complexity_policy,
                Some(true),
                "pinComplexityPolicy",
            )?;
            same(
                b.try_change_pin(PIN, "00000000")?,
                Status::PIN_POLICY_VIOLATION,
                "a simple PIN",
            )
        },
    ),
    check(
        "config.long-touch",
        "CTAP 2.3 §6.11.5",
        "enableLongTouchForReset makes a short touch too little",
        &[Config(4), Need::Person, Need::Clock],
        |b| {
            works(b, 4, None)?;
            same(
                b.info()?.long_touch_for_reset,
                Some(true),
                "longTouchForReset",
            )?;
            b.person(Person::TouchesBriefly)?;
            b.expect(Command::Reset, &[], Status::USER_ACTION_TIMEOUT)?;
            b.person(Person::Consents)?;
            b.expect(Command::Reset, &[], Status::OK)
        },
    ),
    check(
        "config.minpin-extension",
        "CTAP 2.3 §12.5",
        "RP IDs that may read the minimum are kept",
        &[Config(3), Extension("minPinLength")],
        |b| set_min_pin_rp_ids(b, &["example.com", "example.org"]),
    ),
];
