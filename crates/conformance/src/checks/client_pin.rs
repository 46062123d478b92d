//! CTAP 2.3 §6.5.5 authenticatorClientPIN: key agreement, setting and changing a PIN.

use ctap::client_pin::{Request, SubCommand};
use ctap::pin_protocol::PinUvAuthProtocol;
use ctap::{Command, SecretBytes, Status};
use webauthn::cbor::Value;
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::bench::{Bench, PIN, is_one_of};
use crate::check::Need::{
    self, Ctap2, Lacks, Member, NotOn, Option as Has, Power, Protocol, Reports,
};
use crate::check::{Check, Outcome, check, ensure, failed, same};
use crate::edit::{int, map, text, with, without};
use crate::pins::padded;

const AGREEMENT: &str = "CTAP 2.3 §6.5.5.4";
const SET: &str = "CTAP 2.3 §6.5.5.5";
const CHANGE: &str = "CTAP 2.3 §6.5.5.6";
const RULES: &str = "CTAP 2.3 §6.5.1";
const GENERAL: &str = "CTAP 2.3 §6.5.5.1";
const PINS: &[Need] = &[Has("clientPin")];
const POLICY: &[Status] = &[Status::PIN_POLICY_VIOLATION];
const NOT_VERIFIED: &[Status] = &[Status::PIN_AUTH_INVALID];

fn refused(b: &mut Bench<'_>, request: &Request, due: &[Status]) -> Outcome {
    let status = b.pin_status(request)?;
    is_one_of("clientPIN", status, due)
}

fn missing(b: &mut Bench<'_>, request: &Request, key: i64) -> Outcome {
    let bytes = without(&request.encode(), key);
    b.expect(Command::ClientPin, &bytes, Status::MISSING_PARAMETER)
}

fn wrong(b: &mut Bench<'_>, request: &Request, key: i64, value: Value) -> Outcome {
    let bytes = with(&request.encode(), key, value);
    b.expect(Command::ClientPin, &bytes, Status::CBOR_UNEXPECTED_TYPE)
}

/// The PIN that one protocol set is right by another.
fn by_protocol(b: &mut Bench<'_>, protocol: PinUvAuthProtocol) -> Outcome {
    b.protocol = protocol;
    same(b.try_set_pin(PIN)?, Status::OK, "setPIN")?;
    same(b.try_pin(PIN)?, Status::OK, "getPinToken")?;
    same(
        b.try_change_pin(PIN, "another-4711")?,
        Status::OK,
        "changePIN",
    )?;
    same(
        b.try_pin("another-4711")?,
        Status::OK,
        "getPinToken with the new PIN",
    )
}

fn agreed_key(b: &mut Bench<'_>, protocol: PinUvAuthProtocol) -> Outcome {
    b.protocol = protocol;
    match b.key_agreement()? {
        CoseKey::Ec2 { alg, crv, x, y } => {
            same(alg, CoseAlgorithm::ECDH_ES_HKDF_256, "alg")?;
            same(
                (crv, x.len(), y.len()),
                (1, 32, 32),
                "the curve and coordinates",
            )
        }
        other => failed(format!("{other:?}")),
    }
}

/// A PIN of this many characters is refused, and one more is taken.
fn shortest(b: &mut Bench<'_>, character: &str) -> Outcome {
    let least = usize::try_from(b.new_info()?.min_pin_length.unwrap_or(4)).unwrap_or(4);
    // Not simple: each character is followed by another step than before.
    let pin = |length: usize| -> String {
        let digits = ["1", "3", "7", "2"].iter().cycle().take(length - 1);
        core::iter::once(character).chain(digits.copied()).collect()
    };
    same(
        b.try_set_pin(&pin(least - 1))?,
        Status::PIN_POLICY_VIOLATION,
        "one character less",
    )?;
    same(b.try_set_pin(&pin(least))?, Status::OK, "the minimum")
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "pin.no-subcommand",
        GENERAL,
        "subCommand is mandatory",
        PINS,
        |b| {
            let request = map(&[(1, int(1))]).encode();
            b.expect(Command::ClientPin, &request, Status::MISSING_PARAMETER)
        },
    ),
    check(
        "pin.subcommand-type",
        GENERAL,
        "subCommand is an integer",
        PINS,
        |b| {
            let request = map(&[(1, int(1)), (2, text("1"))]).encode();
            b.expect(Command::ClientPin, &request, Status::CBOR_UNEXPECTED_TYPE)
        },
    ),
    check(
        "pin.unknown-subcommand",
        GENERAL,
        "Subcommands that do not exist are invalid",
        PINS,
        |b| {
            for code in [0x00, 0x08, 0x0a, 0x7f] {
                let request = map(&[(1, int(b.protocol.number().into())), (2, int(code))]).encode();
                b.expect_any(
                    Command::ClientPin,
                    &request,
                    &[Status::INVALID_SUBCOMMAND, Status::INVALID_PARAMETER],
                )?;
            }
            Ok(())
        },
    ),
    check(
        "pin.without-means",
        GENERAL,
        "A key without PIN and sensor does not know clientPIN",
        &[Ctap2, Lacks("clientPin"), Lacks("uv")],
        |b| {
            let request = map(&[(1, int(1)), (2, int(1))]).encode();
            b.expect(Command::ClientPin, &request, Status::INVALID_COMMAND)
        },
    ),
    check(
        "agreement.protocol-one",
        AGREEMENT,
        "Protocol one gives a P-256 key for ECDH",
        &[Has("clientPin"), Protocol(1)],
        |b| agreed_key(b, PinUvAuthProtocol::One),
    ),
    check(
        "agreement.protocol-two",
        AGREEMENT,
        "Protocol two gives a P-256 key for ECDH",
        &[Has("clientPin"), Protocol(2)],
        |b| agreed_key(b, PinUvAuthProtocol::Two),
    ),
    check(
        "agreement.no-protocol",
        AGREEMENT,
        "getKeyAgreement wants a protocol",
        PINS,
        |b| {
            let request = b.pin_request(SubCommand::GetKeyAgreement);
            missing(b, &request, 1)
        },
    ),
    check(
        "agreement.unknown-protocol",
        AGREEMENT,
        "A protocol that the key does not have is invalid",
        PINS,
        |b| {
            let mut request = b.pin_request(SubCommand::GetKeyAgreement);
            for number in [0, 3, 255] {
                request.pin_uv_auth_protocol = Some(number);
                refused(b, &request, &[Status::INVALID_PARAMETER])?;
            }
            Ok(())
        },
    ),
    check(
        "agreement.only-listed",
        AGREEMENT,
        "Protocols that getInfo does not list are not there",
        PINS,
        |b| {
            let mut request = b.pin_request(SubCommand::GetKeyAgreement);
            for number in [1, 2] {
                if !b.meets(Protocol(number)) {
                    request.pin_uv_auth_protocol = Some(number);
                    refused(b, &request, &[Status::INVALID_PARAMETER])?;
                }
            }
            Ok(())
        },
    ),
    check(
        "agreement.new-after-power-up",
        GENERAL,
        "The key-agreement key is a new one after a power cycle",
        &[Has("clientPin"), Power],
        |b| {
            let before = b.key_agreement()?;
            b.power_cycle()?;
            ensure(b.key_agreement()? != before, "it is the same")
        },
    ),
    check(
        "agreement.new-after-wrong-pin",
        "CTAP 2.3 §6.5.5.7",
        "The key-agreement key is a new one after a wrong PIN",
        PINS,
        |b| {
            b.set_pin()?;
            let before = b.key_agreement()?;
            same(b.try_pin("wrong-4711")?, Status::PIN_INVALID, "a wrong PIN")?;
            ensure(b.key_agreement()? != before, "it is the same")
        },
    ),
    check(
        "agreement.stays",
        AGREEMENT,
        "Without that it stays the same",
        PINS,
        |b| same(b.key_agreement()?, b.key_agreement()?, "the key"),
    ),
    check(
        "agreement.point-off-curve",
        "CTAP 2.3 §6.5.6",
        "A platform key that is not on the curve is refused",
        PINS,
        |b| {
            let mut request = b.set_pin_request(PIN)?;
            if let Some(CoseKey::Ec2 { y, .. }) = &mut request.key_agreement {
                y[31] ^= 1;
            }
            refused(
                b,
                &request,
                &[Status::INVALID_PARAMETER, Status::PIN_AUTH_INVALID],
            )
        },
    ),
    check(
        "agreement.no-coordinate",
        "CTAP 2.3 §6.5.6",
        "A platform key without a coordinate is refused",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?.encode();
            let key = map(&[(1, int(2)), (3, int(-25)), (-1, int(1))]);
            let bytes = with(&request, 3, key);
            b.expect_any(
                Command::ClientPin,
                &bytes,
                &[
                    Status::INVALID_PARAMETER,
                    Status::MISSING_PARAMETER,
                    Status::INVALID_CBOR,
                ],
            )
        },
    ),
    check(
        "agreement.key-type",
        "CTAP 2.3 §6.5.5",
        "keyAgreement is a map",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            wrong(b, &request, 3, text("key"))
        },
    ),
    check(
        "set-pin.works",
        SET,
        "A PIN can be set, and is the right one then",
        PINS,
        |b| {
            same(b.try_set_pin(PIN)?, Status::OK, "setPIN")?;
            same(b.try_pin(PIN)?, Status::OK, "getPinToken")
        },
    ),
    check(
        "set-pin.protocol-one",
        SET,
        "The same all over protocol one",
        &[Has("clientPin"), Protocol(1)],
        |b| by_protocol(b, PinUvAuthProtocol::One),
    ),
    check(
        "set-pin.protocol-two",
        SET,
        "The same all over protocol two",
        &[Has("clientPin"), Protocol(2)],
        |b| by_protocol(b, PinUvAuthProtocol::Two),
    ),
    check(
        "set-pin.other-protocol",
        SET,
        "A PIN set by one protocol is right by the other",
        &[Has("clientPin"), Protocol(1), Protocol(2)],
        |b| {
            b.protocol = PinUvAuthProtocol::One;
            same(b.try_set_pin(PIN)?, Status::OK, "setPIN")?;
            b.protocol = PinUvAuthProtocol::Two;
            same(b.try_pin(PIN)?, Status::OK, "getPinToken")
        },
    ),
    check(
        "set-pin.twice",
        SET,
        "A PIN that is set cannot be set again",
        PINS,
        |b| {
            b.set_pin()?;
            same(
                b.try_set_pin("another-4711")?,
                Status::PIN_AUTH_INVALID,
                "setPIN",
            )?;
            same(b.try_pin(PIN)?, Status::OK, "the first PIN")
        },
    ),
    check(
        "set-pin.no-protocol",
        SET,
        "setPIN wants a protocol",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            missing(b, &request, 1)
        },
    ),
    check(
        "set-pin.no-key-agreement",
        SET,
        "setPIN wants keyAgreement",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            missing(b, &request, 3)
        },
    ),
    check(
        "set-pin.no-param",
        SET,
        "setPIN wants pinUvAuthParam",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            missing(b, &request, 4)
        },
    ),
    check(
        "set-pin.no-new-pin",
        SET,
        "setPIN wants newPinEnc",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            missing(b, &request, 5)
        },
    ),
    check(
        "set-pin.new-pin-type",
        SET,
        "newPinEnc is a byte string",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            wrong(b, &request, 5, text("1234"))
        },
    ),
    check(
        "set-pin.param-type",
        SET,
        "pinUvAuthParam is a byte string",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            wrong(b, &request, 4, int(1))
        },
    ),
    check(
        "set-pin.wrong-param",
        SET,
        "A pinUvAuthParam that does not verify sets no PIN",
        PINS,
        |b| {
            let mut request = b.set_pin_request(PIN)?;
            if let Some(param) = &mut request.pin_uv_auth_param {
                param[0] ^= 1;
            }
            refused(b, &request, NOT_VERIFIED)?;
            same(b.option_now("clientPin")?, Some(false), "clientPin")
        },
    ),
    check(
        "set-pin.cut-param",
        SET,
        "A pinUvAuthParam that is cut short does not verify",
        PINS,
        |b| {
            let mut request = b.set_pin_request(PIN)?;
            if let Some(param) = &mut request.pin_uv_auth_param {
                param.truncate(8);
            }
            refused(b, &request, NOT_VERIFIED)
        },
    ),
    check(
        "set-pin.empty-param",
        SET,
        "An empty pinUvAuthParam does not verify",
        PINS,
        |b| {
            let mut request = b.set_pin_request(PIN)?;
            request.pin_uv_auth_param = Some(Vec::new());
            refused(
                b,
                &request,
                &[Status::PIN_AUTH_INVALID, Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "set-pin.changed-ciphertext",
        SET,
        "A newPinEnc that was changed on the way sets no PIN",
        PINS,
        |b| {
            let request = b.set_pin_request(PIN)?;
            let mut sealed = request
                .new_pin_enc
                .as_ref()
                .map(|s| s.to_vec())
                .unwrap_or_default();
            sealed[20] ^= 1;
            let request = Request {
                new_pin_enc: Some(SecretBytes::from(sealed)),
                ..request
            };
            refused(b, &request, NOT_VERIFIED)
        },
    ),
    check(
        "set-pin.old-key-agreement",
        SET,
        "A secret agreed on before a power cycle is worth nothing",
        &[Has("clientPin"), Power],
        |b| {
            let request = b.set_pin_request(PIN)?;
            b.power_cycle()?;
            refused(b, &request, NOT_VERIFIED)
        },
    ),
    check(
        "set-pin.short",
        RULES,
        "A PIN shorter than minPINLength is refused",
        PINS,
        |b| shortest(b, "9"),
    ),
    check(
        "set-pin.code-points",
        RULES,
        "Length is counted in code points, not in bytes",
        PINS,
        |b| shortest(b, "ß"),
    ),
    check(
        "set-pin.code-points-wide",
        RULES,
        "A character of four bytes counts once",
        PINS,
        |b| shortest(b, "😌"),
    ),
    check(
        "set-pin.empty",
        RULES,
        "An empty PIN is refused",
        PINS,
        |b| {
            let request = b.set_pin_padded(&[0; 64])?;
            refused(b, &request, POLICY)?;
            same(b.option_now("clientPin")?, Some(false), "clientPin")
        },
    ),
    check(
        "set-pin.63-bytes",
        RULES,
        "A PIN of 63 bytes is taken",
        PINS,
        |b| {
            let pin = "pinward-4711-".repeat(5)[..63].to_owned();
            same(b.try_set_pin(&pin)?, Status::OK, "setPIN")?;
            same(b.try_pin(&pin)?, Status::OK, "getPinToken")?;
            same(
                b.try_pin(&pin[..62])?,
                Status::PIN_INVALID,
                "without its last byte",
            )
        },
    ),
    check(
        "set-pin.64-bytes",
        RULES,
        "A PIN of 64 bytes, without a zero byte after it, is refused",
        PINS,
        |b| {
            let request = b.set_pin_padded(&"pinward-4711-".repeat(5).as_bytes()[..64])?;
            refused(b, &request, POLICY)
        },
    ),
    check(
        "set-pin.long-padding",
        SET,
        "A PIN padded to more than 64 bytes is refused",
        PINS,
        |b| {
            let mut longer = padded(PIN.as_bytes());
            longer.resize(80, 0);
            let request = b.set_pin_padded(&longer)?;
            refused(
                b,
                &request,
                &[
                    Status::INVALID_PARAMETER,
                    Status::PIN_POLICY_VIOLATION,
                    Status::INVALID_LENGTH,
                ],
            )
        },
    ),
    check(
        "set-pin.short-padding",
        SET,
        "A PIN padded to less than 64 bytes is refused",
        PINS,
        |b| {
            let request = b.set_pin_padded(&padded(PIN.as_bytes())[..48])?;
            refused(
                b,
                &request,
                &[
                    Status::INVALID_PARAMETER,
                    Status::PIN_POLICY_VIOLATION,
                    Status::INVALID_LENGTH,
                ],
            )
        },
    ),
    check(
        "set-pin.simple",
        "CTAP 2.3 §6.4",
        "A key that enforces a policy refuses a simple PIN",
        &[Has("clientPin"), Member(27)],
        |b| {
            if b.new_info()?.pin_complexity_policy != Some(true) {
                return crate::check::not_applicable("the policy is not enforced as delivered");
            }
            same(
                b.try_set_pin("11111111")?,
                Status::PIN_POLICY_VIOLATION,
                "setPIN",
            )
        },
    ),
    check(
        "set-pin.resets-nothing",
        SET,
        "Setting a PIN leaves credentials where they are",
        &[Has("clientPin"), NotOn("uv"), NotOn("alwaysUv")],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            b.set_pin()?;
            let request = b.ga_of(&made);
            ensure(
                b.get(request)?.is_by(&made),
                "the signature does not verify",
            )
        },
    ),
    check(
        "set-pin.other-channel",
        SET,
        "A PIN set on one channel is known on all",
        &[Has("clientPin"), Reports],
        |b| {
            b.set_pin()?;
            let status = b.on(1, |b| b.try_pin(PIN))?;
            same(status, Status::OK, "getPinToken")
        },
    ),
    check(
        "change-pin.works",
        CHANGE,
        "A changed PIN is the right one, the old one is not",
        PINS,
        |b| {
            b.set_pin()?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::OK,
                "changePIN",
            )?;
            same(b.try_pin(PIN)?, Status::PIN_INVALID, "the old PIN")?;
            same(b.try_pin("another-4711")?, Status::OK, "the new PIN")
        },
    ),
    check(
        "change-pin.lasts",
        CHANGE,
        "A changed PIN stays over a power cycle",
        &[Has("clientPin"), Power],
        |b| {
            b.set_pin()?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::OK,
                "changePIN",
            )?;
            b.power_cycle()?;
            same(b.try_pin("another-4711")?, Status::OK, "the new PIN")
        },
    ),
    check(
        "change-pin.wrong",
        CHANGE,
        "A wrong old PIN changes nothing and costs a try",
        PINS,
        |b| {
            b.set_pin()?;
            let before = b.retries()?;
            same(
                b.try_change_pin("wrong-4711", "another-4711")?,
                Status::PIN_INVALID,
                "changePIN",
            )?;
            same(b.retries()?, before - 1, "the retries")?;
            same(b.try_pin(PIN)?, Status::OK, "the old PIN")
        },
    ),
    check(
        "change-pin.none-set",
        CHANGE,
        "Where there is no PIN, none can be changed",
        PINS,
        |b| {
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::PIN_NOT_SET,
                "changePIN",
            )
        },
    ),
    check(
        "change-pin.short",
        CHANGE,
        "A new PIN that is too short is refused, and the old one stays",
        PINS,
        |b| {
            b.set_pin()?;
            same(
                b.try_change_pin(PIN, "17")?,
                Status::PIN_POLICY_VIOLATION,
                "changePIN",
            )?;
            same(b.try_pin(PIN)?, Status::OK, "the old PIN")
        },
    ),
    check(
        "change-pin.wrong-param",
        CHANGE,
        "A pinUvAuthParam that does not verify costs no try",
        PINS,
        |b| {
            b.set_pin()?;
            let before = b.retries()?;
            let mut request = b.change_pin_request(PIN, "another-4711")?;
            if let Some(param) = &mut request.pin_uv_auth_param {
                param[3] ^= 0x80;
            }
            refused(b, &request, NOT_VERIFIED)?;
            same(b.retries()?, before, "the retries")
        },
    ),
    check(
        "change-pin.no-hash",
        CHANGE,
        "changePIN wants pinHashEnc",
        PINS,
        |b| {
            b.set_pin()?;
            let request = b.change_pin_request(PIN, "another-4711")?;
            missing(b, &request, 6)
        },
    ),
    check(
        "change-pin.no-new-pin",
        CHANGE,
        "changePIN wants newPinEnc",
        PINS,
        |b| {
            b.set_pin()?;
            let request = b.change_pin_request(PIN, "another-4711")?;
            missing(b, &request, 5)
        },
    ),
    check(
        "change-pin.ends-token",
        CHANGE,
        "Changing the PIN ends the token that is out",
        PINS,
        |b| {
            let token = b.token(crate::pins::MC, Some("example.com"))?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::OK,
                "changePIN",
            )?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
];
