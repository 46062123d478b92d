//! CTAP 2.3 §6.5.5.7: tokens, what they permit, whom they are bound to, how long they live.

use ctap::{Command, Status};

use crate::bench::{Bench, PIN, is_one_of};
use crate::ceremonies::RP;
use crate::check::Need::{
    self, Clock, Lacks, Management, On, Option as Has, Power, Protocol, Reports,
};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::with;
use crate::pins::{ACFG, BE, CM, GA, LBW, MC, Token};

const TOKEN: &str = "CTAP 2.3 §6.5.5.7";
const OLD: &str = "CTAP 2.3 §6.5.5.7.1";
const PIN_TOKEN: &str = "CTAP 2.3 §6.5.5.7.2";
const UV_TOKEN: &str = "CTAP 2.3 §6.5.5.7.3";
const STATE: &str = "CTAP 2.3 §6.5.2.1";
const PINS: &[Need] = &[Has("clientPin")];
const NEW: &[Need] = &[Has("clientPin"), On("pinUvAuthToken")];
const TIMED: &[Need] = &[Has("clientPin"), On("pinUvAuthToken"), Clock];
const FINGER: &[Need] = &[On("uv"), On("pinUvAuthToken")];
const NOT_VERIFIED: &[Status] = &[Status::PIN_AUTH_INVALID];
const UNAUTHORIZED: &[Status] = &[Status::UNAUTHORIZED_PERMISSION];

/// makeCredential with this token for `example.com`.
fn make_with(b: &mut Bench<'_>, token: &Token) -> Outcome<Status> {
    let mut request = b.mc();
    b.with_token_mc(&mut request, token);
    Ok(b.send(Command::MakeCredential, &request.encode())?.0)
}

/// makeCredential with a token that must not do.
fn must_not_make(b: &mut Bench<'_>, token: &Token) -> Outcome {
    let status = make_with(b, token)?;
    is_one_of("makeCredential", status, NOT_VERIFIED)
}

/// Asking for these permissions must be refused so.
fn refused(b: &mut Bench<'_>, bits: u64, rp: Option<&str>, due: &[Status]) -> Outcome {
    let status = b.try_token(bits, rp)?;
    is_one_of("clientPIN", status, due)
}

/// A permission for something that the key does not have.
fn not_there(b: &mut Bench<'_>, bits: u8) -> Outcome {
    refused(b, bits.into(), None, UNAUTHORIZED)
}

fn uv_token(b: &mut Bench<'_>) -> Outcome<Token> {
    let (request, secret) = b.uv_token_request(MC | GA, Some(RP))?;
    b.token_of(&request, &secret)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "token.old",
        OLD,
        "getPinToken gives a token for a credential",
        PINS,
        |b| {
            b.set_pin()?;
            let (request, secret) = b.token_request(PIN, None, None)?;
            let token = b.token_of(&request, &secret)?;
            same(make_with(b, &token)?, Status::OK, "makeCredential")
        },
    ),
    check(
        "token.old-no-pin",
        OLD,
        "getPinToken without a PIN: PIN_NOT_SET",
        PINS,
        |b| same(b.try_pin(PIN)?, Status::PIN_NOT_SET, "getPinToken"),
    ),
    check(
        "token.old-no-hash",
        OLD,
        "getPinToken wants pinHashEnc",
        PINS,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, None, None)?;
            request.pin_hash_enc = None;
            same(
                b.pin_status(&request)?,
                Status::MISSING_PARAMETER,
                "getPinToken",
            )
        },
    ),
    check(
        "token.old-no-key-agreement",
        OLD,
        "getPinToken wants keyAgreement",
        PINS,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, None, None)?;
            request.key_agreement = None;
            same(
                b.pin_status(&request)?,
                Status::MISSING_PARAMETER,
                "getPinToken",
            )
        },
    ),
    check(
        "token.old-no-permissions",
        OLD,
        "getPinToken takes no permissions",
        NEW,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, None, None)?;
            request.permissions = Some(1);
            same(
                b.pin_status(&request)?,
                Status::INVALID_PARAMETER,
                "getPinToken",
            )
        },
    ),
    check(
        "token.old-no-rp-id",
        OLD,
        "getPinToken takes no RP ID",
        NEW,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, None, None)?;
            request.rp_id = Some(RP.to_owned());
            same(
                b.pin_status(&request)?,
                Status::INVALID_PARAMETER,
                "getPinToken",
            )
        },
    ),
    check(
        "token.old-not-for-management",
        OLD,
        "The token of getPinToken does not manage credentials",
        &[Has("clientPin"), On("pinUvAuthToken"), On("credMgmt")],
        |b| {
            b.set_pin()?;
            let (request, secret) = b.token_request(PIN, None, None)?;
            let token = b.token_of(&request, &secret)?;
            let status = super::credential_management::metadata_status(b, &token)?;
            is_one_of("credentialManagement", status, NOT_VERIFIED)
        },
    ),
    check(
        "token.old-first-rp",
        OLD,
        "The token of getPinToken is bound to the first relying party that uses it",
        NEW,
        |b| {
            b.set_pin()?;
            let (request, secret) = b.token_request(PIN, None, None)?;
            let token = b.token_of(&request, &secret)?;
            let mut request = b.ga();
            b.with_token_ga(&mut request, &token);
            request.rp_id = "example.org".to_owned();
            b.expect(
                Command::GetAssertion,
                &request.encode(),
                Status::NO_CREDENTIALS,
            )?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.none-in-2-0",
        "CTAP 2.0 §5.5",
        "Keys without pinUvAuthToken do not know the newer subcommands",
        &[Has("clientPin"), Lacks("pinUvAuthToken")],
        |b| {
            refused(
                b,
                1,
                Some(RP),
                &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "token.2-0-again",
        "CTAP 2.0 §5.5",
        "The token of CTAP 2.0 may be used again",
        &[Has("clientPin"), Lacks("pinUvAuthToken")],
        |b| {
            let token = b.token(MC, None)?;
            same(make_with(b, &token)?, Status::OK, "the first use")?;
            same(make_with(b, &token)?, Status::OK, "the second use")
        },
    ),
    check(
        "token.mc",
        PIN_TOKEN,
        "A token with mc makes a credential",
        NEW,
        |b| {
            let token = b.token(MC, Some(RP))?;
            same(make_with(b, &token)?, Status::OK, "makeCredential")
        },
    ),
    check(
        "token.ga-does-not-make",
        PIN_TOKEN,
        "A token with ga only makes no credential",
        NEW,
        |b| {
            let token = b.token(GA, Some(RP))?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.mc-does-not-sign",
        PIN_TOKEN,
        "A token with mc only signs no assertion",
        NEW,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let token = b.token(MC, Some(RP))?;
            let mut request = b.ga_of(&made);
            b.with_token_ga(&mut request, &token);
            b.expect_any(Command::GetAssertion, &request.encode(), NOT_VERIFIED)
        },
    ),
    check(
        "token.cm-does-not-make",
        PIN_TOKEN,
        "A token with cm makes no credential",
        &[Has("clientPin"), On("credMgmt")],
        |b| {
            let token = b.token(CM, None)?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.other-rp",
        PIN_TOKEN,
        "A token for one relying party is not for another",
        NEW,
        |b| {
            let token = b.token(MC, Some("example.org"))?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.other-rp-assertion",
        PIN_TOKEN,
        "The same for an assertion",
        NEW,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let token = b.token(GA, Some("example.org"))?;
            let mut request = b.ga_of(&made);
            b.with_token_ga(&mut request, &token);
            b.expect_any(Command::GetAssertion, &request.encode(), NOT_VERIFIED)
        },
    ),
    check(
        "token.no-rp-id",
        PIN_TOKEN,
        "mc and ga want an RP ID",
        NEW,
        |b| {
            refused(b, 1, None, &[Status::MISSING_PARAMETER])?;
            refused(b, 2, None, &[Status::MISSING_PARAMETER])
        },
    ),
    check(
        "token.no-permissions",
        PIN_TOKEN,
        "permissions are mandatory",
        NEW,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, Some(1), Some(RP))?;
            request.permissions = None;
            same(
                b.pin_status(&request)?,
                Status::MISSING_PARAMETER,
                "clientPIN",
            )
        },
    ),
    check(
        "token.zero-permissions",
        PIN_TOKEN,
        "permissions are not zero",
        NEW,
        |b| refused(b, 0, Some(RP), &[Status::INVALID_PARAMETER]),
    ),
    check(
        "token.no-hash",
        PIN_TOKEN,
        "pinHashEnc is mandatory",
        NEW,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, Some(1), Some(RP))?;
            request.pin_hash_enc = None;
            same(
                b.pin_status(&request)?,
                Status::MISSING_PARAMETER,
                "clientPIN",
            )
        },
    ),
    check(
        "token.no-key-agreement",
        PIN_TOKEN,
        "keyAgreement is mandatory",
        NEW,
        |b| {
            b.set_pin()?;
            let (mut request, _) = b.token_request(PIN, Some(1), Some(RP))?;
            request.key_agreement = None;
            same(
                b.pin_status(&request)?,
                Status::MISSING_PARAMETER,
                "clientPIN",
            )
        },
    ),
    check(
        "token.no-pin",
        PIN_TOKEN,
        "Without a PIN: PIN_NOT_SET",
        NEW,
        |b| {
            let (request, _) = b.token_request(PIN, Some(1), Some(RP))?;
            same(b.pin_status(&request)?, Status::PIN_NOT_SET, "clientPIN")
        },
    ),
    check(
        "token.no-be",
        PIN_TOKEN,
        "be is not given by a key that enrols no fingers",
        &[Has("clientPin"), On("pinUvAuthToken"), Lacks("bioEnroll")],
        |b| not_there(b, BE.0),
    ),
    check(
        "token.no-lbw",
        PIN_TOKEN,
        "lbw is not given by a key without large blobs",
        &[Has("clientPin"), On("pinUvAuthToken"), Lacks("largeBlobs")],
        |b| not_there(b, LBW.0),
    ),
    check(
        "token.no-acfg",
        PIN_TOKEN,
        "acfg is not given by a key without authenticatorConfig",
        &[Has("clientPin"), On("pinUvAuthToken"), Lacks("authnrCfg")],
        |b| not_there(b, ACFG.0),
    ),
    check(
        "token.no-pcmr",
        PIN_TOKEN,
        "pcmr is not given by a key without perCredMgmtRO",
        &[
            Has("clientPin"),
            On("pinUvAuthToken"),
            Lacks("perCredMgmtRO"),
        ],
        |b| not_there(b, 0x40),
    ),
    check(
        "token.undefined-bits",
        PIN_TOKEN,
        "Permissions that are not defined are passed over",
        NEW,
        |b| same(b.try_token(0x101, Some(RP))?, Status::OK, "clientPIN"),
    ),
    check(
        "token.used-up",
        STATE,
        "A token is used up by makeCredential",
        NEW,
        |b| {
            let token = b.token(MC, Some(RP))?;
            same(make_with(b, &token)?, Status::OK, "the first use")?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.used-up-assertion",
        STATE,
        "A token is used up by getAssertion",
        NEW,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let token = b.token(GA, Some(RP))?;
            let mut request = b.ga_of(&made);
            b.with_token_ga(&mut request, &token);
            b.get_as_is(&request)?;
            b.expect_any(Command::GetAssertion, &request.encode(), NOT_VERIFIED)
        },
    ),
    check(
        "token.newer-ends-older",
        STATE,
        "A newer token ends the older one",
        PINS,
        |b| {
            let old = b.token(MC, Some(RP))?;
            let new = b.token(MC, Some(RP))?;
            ensure(old.value != new.value, "they are the same")?;
            must_not_make(b, &old)?;
            same(make_with(b, &new)?, Status::OK, "the newer token")
        },
    ),
    check(
        "token.ends-with-power",
        STATE,
        "A power cycle ends a token",
        &[Has("clientPin"), Power],
        |b| {
            let token = b.token(MC, Some(RP))?;
            b.power_cycle()?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.unused-ends",
        STATE,
        "A token that nobody uses ends after thirty seconds",
        TIMED,
        |b| {
            let token = b.token(MC, Some(RP))?;
            b.wait(30.5)?;
            must_not_make(b, &token)
        },
    ),
    check(
        "token.lives-for-a-while",
        STATE,
        "A token lives for nineteen seconds",
        TIMED,
        |b| {
            let token = b.token(MC, Some(RP))?;
            b.wait(18.0)?;
            same(make_with(b, &token)?, Status::OK, "makeCredential")
        },
    ),
    check(
        "token.ten-minutes",
        STATE,
        "A token in use ends after ten minutes at most",
        &[Has("clientPin"), On("credMgmt"), Clock],
        |b| {
            let token = b.token(CM, None)?;
            super::credential_management::metadata(b, &token)?;
            b.wait(601.0)?;
            let status = super::credential_management::metadata_status(b, &token)?;
            is_one_of("credentialManagement", status, NOT_VERIFIED)
        },
    ),
    check(
        "token.in-use-lives",
        STATE,
        "A token in use lives longer than thirty seconds",
        &[Has("clientPin"), On("credMgmt"), Clock],
        |b| {
            let token = b.token(CM, None)?;
            super::credential_management::metadata(b, &token)?;
            b.wait(300.0)?;
            super::credential_management::metadata(b, &token).map(drop)
        },
    ),
    check(
        "token.wrong-param",
        "CTAP 2.3 §6.1.2",
        "makeCredential with a param that does not verify is refused",
        PINS,
        |b| {
            let token = b.token(MC, Some(RP))?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            if let Some(param) = &mut request.pin_uv_auth_param {
                param[0] ^= 1;
            }
            b.expect_any(Command::MakeCredential, &request.encode(), NOT_VERIFIED)
        },
    ),
    check(
        "token.param-of-other-hash",
        "CTAP 2.3 §6.1.2",
        "pinUvAuthParam is about this clientDataHash",
        PINS,
        |b| {
            let token = b.token(MC, Some(RP))?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            request.client_data_hash = [0x77; 32];
            b.expect_any(Command::MakeCredential, &request.encode(), NOT_VERIFIED)
        },
    ),
    check(
        "token.no-token-out",
        "CTAP 2.3 §6.1.2",
        "With a PIN set and no token out, no param verifies",
        PINS,
        |b| {
            b.set_pin()?;
            let token = Token {
                protocol: b.protocol,
                value: vec![0; 32],
            };
            must_not_make(b, &token)
        },
    ),
    check(
        "token.no-protocol",
        "CTAP 2.3 §6.1.2",
        "pinUvAuthParam wants its protocol",
        PINS,
        |b| {
            let token = b.token(MC, Some(RP))?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            request.pin_uv_auth_protocol = None;
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::MISSING_PARAMETER,
            )
        },
    ),
    check(
        "token.unknown-protocol",
        "CTAP 2.3 §6.1.2",
        "pinUvAuthProtocol must be one that the key has",
        PINS,
        |b| {
            let token = b.token(MC, Some(RP))?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            let bytes = with(&request.encode(), 9, crate::edit::int(7));
            b.expect(Command::MakeCredential, &bytes, Status::INVALID_PARAMETER)
        },
    ),
    check(
        "token.other-protocol",
        "CTAP 2.3 §6.1.2",
        "A token belongs to the protocol that it was given by",
        &[Has("clientPin"), Protocol(1), Protocol(2)],
        |b| {
            let token = b.token(MC, Some(RP))?;
            let other = Token {
                protocol: match token.protocol {
                    ctap::pin_protocol::PinUvAuthProtocol::One => {
                        ctap::pin_protocol::PinUvAuthProtocol::Two
                    }
                    ctap::pin_protocol::PinUvAuthProtocol::Two => {
                        ctap::pin_protocol::PinUvAuthProtocol::One
                    }
                },
                value: token.value,
            };
            must_not_make(b, &other)
        },
    ),
    check(
        "token.pin-set-needs-token",
        "CTAP 2.3 §6.1.2",
        "With a PIN set, makeCredential without a token is refused",
        &[
            Has("clientPin"),
            Need::NotOn("makeCredUvNotRqd"),
            Need::NotOn("uv"),
        ],
        |b| {
            b.set_pin()?;
            let request = b.mc();
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "token.uv-not-rqd",
        "CTAP 2.3 §6.1.2",
        "With makeCredUvNotRqd, a credential that is not discoverable needs none",
        &[Has("clientPin"), On("makeCredUvNotRqd"), Need::NotOn("uv")],
        |b| {
            b.set_pin()?;
            let request = b.mc();
            let made = b.make_as_is(&request)?;
            ensure(!made.flags.user_verified(), "UV is set")
        },
    ),
    check(
        "token.uv-not-rqd-rk",
        "CTAP 2.3 §6.1.2",
        "But a discoverable one does",
        &[
            Has("clientPin"),
            On("makeCredUvNotRqd"),
            On("rk"),
            Need::NotOn("uv"),
        ],
        |b| {
            b.set_pin()?;
            let request = b.mc_rk(1);
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PUAT_REQUIRED,
            )
        },
    ),
    check(
        "token.assertion-needs-none",
        "CTAP 2.3 §6.2.2",
        "With a PIN set, an assertion without a token is given, without UV",
        &[Has("clientPin"), Need::NotOn("alwaysUv")],
        |b| {
            b.set_pin()?;
            let request = b.mc();
            let made = b.make(request)?;
            let request = b.ga_of(&made);
            ensure(!b.get_as_is(&request)?.flags.user_verified(), "UV is set")
        },
    ),
    check(
        "token.shared-by-channels",
        TOKEN,
        "A token is the key's, whatever the channel",
        &[Has("clientPin"), Reports],
        |b| {
            let token = b.token(MC, Some(RP))?;
            let status = b.on(1, |b| make_with(b, &token))?;
            same(status, Status::OK, "makeCredential")
        },
    ),
    check(
        "token.management-needs-cm",
        TOKEN,
        "Managing credentials needs the permission cm",
        &[Has("clientPin"), Management, On("pinUvAuthToken")],
        |b| {
            let token = b.token(MC, Some(RP))?;
            let status = super::credential_management::metadata_status(b, &token)?;
            is_one_of("credentialManagement", status, NOT_VERIFIED)
        },
    ),
    check(
        "uv-token.works",
        UV_TOKEN,
        "A finger gives a token",
        FINGER,
        |b| {
            let token = uv_token(b)?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            ensure(
                b.make_as_is(&request)?.flags.user_verified(),
                "UV is not set",
            )
        },
    ),
    check(
        "uv-token.is-a-touch",
        UV_TOKEN,
        "The finger counts as the touch of the command that follows",
        FINGER,
        |b| {
            let token = uv_token(b)?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            let (made, asked) = b.asked_in(|b| b.make_as_is(&request))?;
            ensure(made.flags.user_present(), "UP is not set")?;
            ensure(asked.is_none_or(|n| n == 0), "a touch was asked for")
        },
    ),
    check(
        "uv-token.touch-ends",
        UV_TOKEN,
        "After thirty seconds it does not any more",
        &[
            On("uv"),
            On("pinUvAuthToken"),
            On("credMgmt"),
            Clock,
            Need::Person,
        ],
        |b| {
            let (request, secret) = b.uv_token_request(MC | CM, Some(RP))?;
            let token = b.token_of(&request, &secret)?;
            super::credential_management::metadata_status(b, &token)?;
            b.wait(31.0)?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            let (_, asked) = b.asked_in(|b| b.send(Command::MakeCredential, &request.encode()))?;
            ensure(asked != Some(0), "no touch was asked for")
        },
    ),
    check(
        "uv-token.no-permissions",
        UV_TOKEN,
        "permissions are mandatory",
        FINGER,
        |b| {
            let (mut request, _) = b.uv_token_request(MC, Some(RP))?;
            request.permissions = None;
            same(
                b.pin_status(&request)?,
                Status::MISSING_PARAMETER,
                "clientPIN",
            )
        },
    ),
    check(
        "uv-token.no-acfg",
        UV_TOKEN,
        "A finger gives no acfg without uvAcfg",
        &[On("uv"), On("pinUvAuthToken"), Lacks("uvAcfg")],
        |b| {
            let (request, _) = b.uv_token_request(ACFG, None)?;
            same(
                b.pin_status(&request)?,
                Status::UNAUTHORIZED_PERMISSION,
                "clientPIN",
            )
        },
    ),
    check(
        "uv-token.no-be",
        UV_TOKEN,
        "A finger gives no be without uvBioEnroll",
        &[On("uv"), On("pinUvAuthToken"), Lacks("uvBioEnroll")],
        |b| {
            let (request, _) = b.uv_token_request(BE, None)?;
            same(
                b.pin_status(&request)?,
                Status::UNAUTHORIZED_PERMISSION,
                "clientPIN",
            )
        },
    ),
    check(
        "uv-token.no-sensor",
        UV_TOKEN,
        "A key without a sensor does not know the subcommand",
        &[Has("clientPin"), On("pinUvAuthToken"), Lacks("uv")],
        |b| {
            let (request, _) = b.uv_token_request(MC, Some(RP))?;
            let status = b.pin_status(&request)?;
            is_one_of(
                "clientPIN",
                status,
                &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER],
            )
        },
    ),
];
