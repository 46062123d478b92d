//! CTAP 2.3 §12.7 hmac-secret and §12.8 hmac-secret-mc.

use ctap::get_assertion::{BoolOr, HmacSecretInput};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret};
use ctap::{Command, SecretBytes, Status};
use webauthn::cbor::Value;

use crate::bench::{Bench, parsed, present};
use crate::ceremonies::{Made, ga_options};
use crate::check::Need::{self, Extension, Option as Has, Power, Protocol};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::with_inner;

const HMAC: &str = "CTAP 2.3 §12.7";
const MC: &str = "CTAP 2.3 §12.8";
const SECRET: Need = Extension("hmac-secret");
const NEEDS: &[Need] = &[SECRET, Has("clientPin")];
const MC_NEEDS: &[Need] = &[Extension("hmac-secret-mc"), Has("clientPin")];

fn made(b: &mut Bench<'_>) -> Outcome<Made> {
    let mut request = b.mc();
    request.extensions.get_or_insert_default().hmac_secret = Some(true);
    b.make(request)
}

/// Salts, sealed; and the secret that opens the answer.
fn input(b: &mut Bench<'_>, salts: &[u8]) -> Outcome<(HmacSecretInput, SharedSecret)> {
    let (key_agreement, secret) = b.agree()?;
    let salt_enc = b.sealed(&secret, salts)?;
    let input = HmacSecretInput {
        key_agreement,
        salt_auth: secret.authenticate(&salt_enc),
        salt_enc: SecretBytes::from(salt_enc),
        pin_uv_auth_protocol: Some(b.protocol.number().into()),
    };
    Ok((input, secret))
}

fn opened(output: Option<&Value>, secret: &SharedSecret) -> Outcome<Vec<u8>> {
    let sealed = present("hmac-secret", output.and_then(|v| v.as_bytes()))?;
    Ok(parsed("hmac-secret", secret.decrypt(sealed))?.to_vec())
}

/// The outputs for these salts, by a user who is verified or not.
fn outputs(b: &mut Bench<'_>, made: &Made, salts: &[u8], verified: bool) -> Outcome<Vec<u8>> {
    let (input, secret) = input(b, salts)?;
    let mut request = b.ga_of(made);
    request.extensions.get_or_insert_default().hmac_secret = Some(BoolOr::Other(input));
    let asserted = if verified {
        b.get_uv(request)?
    } else {
        b.get(request)?
    };
    let output = asserted
        .extensions
        .as_ref()
        .and_then(|e| e.get_text("hmac-secret"));
    let output = opened(output, &secret)?;
    same(output.len(), salts.len(), "the length of the outputs")?;
    Ok(output)
}

/// A request with a spoilt input must be refused.
fn spoilt(
    b: &mut Bench<'_>,
    salts: &[u8],
    due: &[Status],
    spoil: fn(&mut HmacSecretInput),
) -> Outcome {
    let made = made(b)?;
    let (mut input, _) = input(b, salts)?;
    spoil(&mut input);
    let mut request = b.ga_of(&made);
    request.extensions.get_or_insert_default().hmac_secret = Some(BoolOr::Other(input));
    b.refuse_ga(request, due)
}

fn by_protocol(b: &mut Bench<'_>, protocol: PinUvAuthProtocol) -> Outcome {
    let made = made(b)?;
    b.protocol = protocol;
    let one = outputs(b, &made, &[1; 32], false)?;
    let two = outputs(b, &made, &[[1; 32], [2; 32]].concat(), false)?;
    same(one[..] == two[..32], true, "the first output is the same")
}

fn at_registration(b: &mut Bench<'_>, salts: &[u8]) -> Outcome<(Made, Vec<u8>)> {
    b.set_pin()?;
    let (input, secret) = input(b, salts)?;
    let mut request = b.mc();
    let extensions = request.extensions.get_or_insert_default();
    extensions.hmac_secret = Some(true);
    extensions.hmac_secret_mc = Some(input);
    let made = b.make(request)?;
    let output = made
        .extensions
        .as_ref()
        .and_then(|e| e.get_text("hmac-secret-mc"));
    let output = opened(output, &secret)?;
    Ok((made, output))
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "hmac.made",
        HMAC,
        "Asked for at registration, the output is true",
        &[SECRET],
        |b| {
            let made = made(b)?;
            let output = made
                .extensions
                .as_ref()
                .and_then(|e| e.get_text("hmac-secret"))
                .cloned();
            same(output, Some(Value::Bool(true)), "hmac-secret")
        },
    ),
    check(
        "hmac.type",
        HMAC,
        "At registration it is a boolean",
        &[SECRET],
        |b| {
            let bytes = with_inner(
                &b.mc_bytes()?,
                6,
                "hmac-secret",
                Some(Value::Bytes(vec![1])),
            );
            b.expect(
                Command::MakeCredential,
                &bytes,
                Status::CBOR_UNEXPECTED_TYPE,
            )
        },
    ),
    check(
        "hmac.same-salt",
        HMAC,
        "The same salt gives the same output",
        NEEDS,
        |b| {
            let made = made(b)?;
            let one = outputs(b, &made, &[3; 32], false)?;
            let two = outputs(b, &made, &[3; 32], false)?;
            same(one == two, true, "the output is the same")
        },
    ),
    check(
        "hmac.other-salt",
        HMAC,
        "Another salt gives another output",
        NEEDS,
        |b| {
            let made = made(b)?;
            let one = outputs(b, &made, &[3; 32], false)?;
            let two = outputs(b, &made, &[4; 32], false)?;
            ensure(one != two, "it is the same")
        },
    ),
    check(
        "hmac.two-salts",
        HMAC,
        "Two salts give two outputs, each that of its salt",
        NEEDS,
        |b| {
            let made = made(b)?;
            let both = outputs(b, &made, &[[3; 32], [4; 32]].concat(), false)?;
            let one = outputs(b, &made, &[3; 32], false)?;
            let two = outputs(b, &made, &[4; 32], false)?;
            same(
                both == [one, two].concat(),
                true,
                "the outputs are the same",
            )
        },
    ),
    check(
        "hmac.other-credential",
        HMAC,
        "Another credential gives another output",
        NEEDS,
        |b| {
            let one = made(b)?;
            let two = made(b)?;
            let one = outputs(b, &one, &[3; 32], false)?;
            let two = outputs(b, &two, &[3; 32], false)?;
            ensure(one != two, "it is the same")
        },
    ),
    check(
        "hmac.verified-differs",
        HMAC,
        "A verified user gets another output",
        &[SECRET, Has("clientPin"), Need::NotOn("alwaysUv")],
        |b| {
            b.set_pin()?;
            let made = made(b)?;
            let without = outputs(b, &made, &[3; 32], false)?;
            let with = outputs(b, &made, &[3; 32], true)?;
            ensure(with != without, "it is the same")?;
            same(
                outputs(b, &made, &[3; 32], true)? == with,
                true,
                "the output is the same",
            )
        },
    ),
    check(
        "hmac.lasts",
        HMAC,
        "The output is the same after a power cycle",
        &[SECRET, Has("clientPin"), Power],
        |b| {
            let made = made(b)?;
            let before = outputs(b, &made, &[3; 32], false)?;
            b.power_cycle()?;
            same(
                outputs(b, &made, &[3; 32], false)? == before,
                true,
                "the output is the same",
            )
        },
    ),
    check(
        "hmac.protocol-one",
        HMAC,
        "It works by protocol one",
        &[SECRET, Has("clientPin"), Protocol(1)],
        |b| by_protocol(b, PinUvAuthProtocol::One),
    ),
    check(
        "hmac.protocol-two",
        HMAC,
        "It works by protocol two",
        &[SECRET, Has("clientPin"), Protocol(2)],
        |b| by_protocol(b, PinUvAuthProtocol::Two),
    ),
    check(
        "hmac.no-protocol-means-one",
        HMAC,
        "Without its protocol, the input is of protocol one",
        &[SECRET, Has("clientPin"), Protocol(1)],
        |b| {
            let made = made(b)?;
            b.protocol = PinUvAuthProtocol::One;
            let (mut input, secret) = input(b, &[3; 32])?;
            input.pin_uv_auth_protocol = None;
            let mut request = b.ga_of(&made);
            request.extensions.get_or_insert_default().hmac_secret = Some(BoolOr::Other(input));
            let asserted = b.get(request)?;
            let output = asserted
                .extensions
                .as_ref()
                .and_then(|e| e.get_text("hmac-secret"));
            same(opened(output, &secret)?.len(), 32, "the length")
        },
    ),
    check(
        "hmac.not-made-with",
        HMAC,
        "A credential made without it has no output, or the same as one with",
        NEEDS,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let (input, _) = input(b, &[3; 32])?;
            let mut request = b.ga_of(&made);
            request.extensions.get_or_insert_default().hmac_secret = Some(BoolOr::Other(input));
            b.get(request).map(drop)
        },
    ),
    check(
        "hmac.wrong-auth",
        HMAC,
        "Salts that were changed on the way are refused",
        NEEDS,
        |b| {
            spoilt(b, &[3; 32], &[Status::PIN_AUTH_INVALID], |input| {
                input.salt_auth[0] ^= 1
            })
        },
    ),
    check(
        "hmac.cut-auth",
        HMAC,
        "A saltAuth that is cut short is refused",
        NEEDS,
        |b| {
            spoilt(
                b,
                &[3; 32],
                &[Status::PIN_AUTH_INVALID, Status::INVALID_LENGTH],
                |input| input.salt_auth.truncate(4),
            )
        },
    ),
    check(
        "hmac.16-bytes",
        HMAC,
        "A salt of sixteen bytes is refused",
        NEEDS,
        |b| {
            spoilt(
                b,
                &[3; 16],
                &[Status::INVALID_PARAMETER, Status::INVALID_LENGTH],
                |_| (),
            )
        },
    ),
    check(
        "hmac.48-bytes",
        HMAC,
        "One and a half salts are refused",
        NEEDS,
        |b| {
            spoilt(
                b,
                &[3; 48],
                &[Status::INVALID_PARAMETER, Status::INVALID_LENGTH],
                |_| (),
            )
        },
    ),
    check(
        "hmac.96-bytes",
        HMAC,
        "Three salts are refused",
        NEEDS,
        |b| {
            spoilt(
                b,
                &[3; 96],
                &[Status::INVALID_PARAMETER, Status::INVALID_LENGTH],
                |_| (),
            )
        },
    ),
    check("hmac.up-false", HMAC, "It wants a touch", NEEDS, |b| {
        let made = made(b)?;
        let (input, _) = input(b, &[3; 32])?;
        let mut request = b.ga_of(&made);
        request.extensions.get_or_insert_default().hmac_secret = Some(BoolOr::Other(input));
        request.options = ga_options(Some(false), None);
        b.refuse_ga(request, &[Status::UNSUPPORTED_OPTION])
    }),
    check(
        "hmac.next",
        HMAC,
        "The next assertion has its own output",
        &[SECRET, Has("clientPin"), Need::On("rk")],
        |b| {
            for account in [1, 2] {
                let mut request = b.mc_rk(account);
                request.extensions.get_or_insert_default().hmac_secret = Some(true);
                b.make(request)?;
            }
            let (input, secret) = input(b, &[3; 32])?;
            let mut request = b.ga();
            request.extensions.get_or_insert_default().hmac_secret = Some(BoolOr::Other(input));
            if b.option("alwaysUv") == Some(true) {
                b.authorise_ga(&mut request)?;
            }
            let first = b.get_as_is(&request)?;
            let second = b.get_next(&request)?;
            let output = |asserted: &crate::ceremonies::Asserted| {
                opened(
                    asserted
                        .extensions
                        .as_ref()
                        .and_then(|e| e.get_text("hmac-secret")),
                    &secret,
                )
            };
            ensure(output(&first)? != output(&second)?, "they are the same")
        },
    ),
    check(
        "hmac-mc.same",
        MC,
        "The output at registration is that of a later assertion",
        MC_NEEDS,
        |b| {
            let (made, output) = at_registration(b, &[3; 32])?;
            same(
                outputs(b, &made, &[3; 32], true)? == output,
                true,
                "the output is the same",
            )
        },
    ),
    check(
        "hmac-mc.two-salts",
        MC,
        "Two salts give two outputs",
        MC_NEEDS,
        |b| {
            let (made, output) = at_registration(b, &[[3; 32], [4; 32]].concat())?;
            same(output.len(), 64, "the length")?;
            same(
                outputs(b, &made, &[4; 32], true)?[..] == output[32..],
                true,
                "the output is the same",
            )
        },
    ),
    check(
        "hmac-mc.without-hmac-secret",
        MC,
        "Without hmac-secret beside it there is no output",
        MC_NEEDS,
        |b| {
            let (input, _) = input(b, &[3; 32])?;
            let mut request = b.mc();
            request.extensions.get_or_insert_default().hmac_secret_mc = Some(input);
            let made = b.make(request)?;
            let output = made
                .extensions
                .as_ref()
                .and_then(|e| e.get_text("hmac-secret-mc"));
            ensure(output.is_none(), "there is one")
        },
    ),
    check(
        "hmac-mc.wrong-auth",
        MC,
        "Salts that were changed on the way are refused",
        MC_NEEDS,
        |b| {
            let (mut input, _) = input(b, &[3; 32])?;
            input.salt_auth[0] ^= 1;
            let mut request = b.mc();
            let extensions = request.extensions.get_or_insert_default();
            extensions.hmac_secret = Some(true);
            extensions.hmac_secret_mc = Some(input);
            // The token is asked for first: it makes no new key agreement.
            b.refuse_mc(request, &[Status::PIN_AUTH_INVALID])
        },
    ),
];
