//! U2F raw messages (FIDO U2F v1.2), as CTAP 2.3 §7.2 has keys speak them.

use ctap::iso7816::{CommandApdu, ResponseApdu};
use ctap::u2f::{
    AuthenticateResponse, Control, RegisterResponse, Request, authenticate_signed_data,
    register_signed_data,
};

use crate::bench::{Bench, parsed, present};
use crate::check::Need::{self, Ctap2, Person as Told, Reports, U2f};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::subject::Person;
use crate::verify::{certificate_key, sha256, verifies_p256};

const REGISTER: &str = "U2F raw messages v1.2, registration";
const SIGN: &str = "U2F raw messages v1.2, authentication";
const MESSAGE: &str = "U2F raw messages v1.2, framing";
const INTEROP: &str = "CTAP 2.3 §7.2";
const NEEDS: &[Need] = &[U2f];
const PERSON: &[Need] = &[U2f, Told];
const CHALLENGE: [u8; 32] = [0xc4; 32];

fn application() -> [u8; 32] {
    sha256(b"example.com")
}

fn apdu(b: &mut Bench<'_>, bytes: &[u8]) -> Outcome<ResponseApdu> {
    let answer = b.key.u2f(b.channel, bytes)?;
    present("a status word", ResponseApdu::decode(&answer))
}

fn send(b: &mut Bench<'_>, request: &Request) -> Outcome<ResponseApdu> {
    let bytes = present("the request", request.encode())?;
    apdu(b, &bytes)
}

/// Until a person has touched: the answer may be "not yet" for a while.
fn patiently(b: &mut Bench<'_>, request: &Request) -> Outcome<ResponseApdu> {
    let mut answer = send(b, request)?;
    for _ in 0..100 {
        if answer.status.0 != 0x6985 {
            break;
        }
        answer = send(b, request)?;
    }
    Ok(answer)
}

fn expect(b: &mut Bench<'_>, bytes: &[u8], due: &[u16]) -> Outcome {
    let answer = apdu(b, bytes)?;
    ensure(
        due.contains(&answer.status.0),
        format!("answered {:04X}; due is {due:04X?}", answer.status.0),
    )?;
    same(answer.data.len(), 0, "the data of a refusal")
}

fn register(b: &mut Bench<'_>) -> Outcome<RegisterResponse> {
    let request = Request::Register {
        challenge: CHALLENGE,
        application: application(),
    };
    let answer = patiently(b, &request)?;
    same(answer.status.0, 0x9000, "the status word")?;
    parsed("register", RegisterResponse::decode(&answer.data))
}

fn authenticate(control: Control, application: [u8; 32], handle: &[u8]) -> Request {
    Request::Authenticate {
        control,
        challenge: CHALLENGE,
        application,
        key_handle: handle.to_vec(),
    }
}

fn sign(
    b: &mut Bench<'_>,
    control: Control,
    registered: &RegisterResponse,
) -> Outcome<AuthenticateResponse> {
    let answer = patiently(
        b,
        &authenticate(control, application(), &registered.key_handle),
    )?;
    same(answer.status.0, 0x9000, "the status word")?;
    let response = parsed("authenticate", AuthenticateResponse::decode(&answer.data))?;
    let signed = authenticate_signed_data(
        &application(),
        response.user_presence,
        response.counter,
        &CHALLENGE,
    );
    let verified = verifies_p256(&registered.public_key, &signed, &response.signature);
    ensure(verified, "the signature does not verify")?;
    Ok(response)
}

/// U2F does not know this credential.
pub(super) fn expect_unknown(b: &mut Bench<'_>, handle: &[u8]) -> Outcome {
    let request = authenticate(Control::CheckOnly, application(), handle);
    let bytes = present("the request", request.encode())?;
    expect(b, &bytes, &[0x6a80])
}

fn command(ins: u8, p1: u8, data: &[u8]) -> CommandApdu {
    let mut apdu = CommandApdu::new(0, ins, p1, 0).with_data(data);
    apdu.extended = true;
    apdu.ne = 65_536;
    apdu
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "u2f.version",
        "U2F raw messages v1.2, version",
        "The version is U2F_V2",
        NEEDS,
        |b| {
            let answer = send(b, &Request::Version)?;
            same(answer.status.0, 0x9000, "the status word")?;
            same(&answer.data[..], &b"U2F_V2"[..], "the version")
        },
    ),
    check(
        "u2f.version-short",
        MESSAGE,
        "The version is told to a short APDU, too",
        NEEDS,
        |b| {
            let answer = apdu(b, &[0, 3, 0, 0, 0])?;
            same(answer.status.0, 0x9000, "the status word")
        },
    ),
    check(
        "u2f.version-data",
        "U2F raw messages v1.2, version",
        "A version request has no data",
        NEEDS,
        |b| expect(b, &command(3, 0, &[1]).encode(), &[0x6700]),
    ),
    check(
        "u2f.register",
        REGISTER,
        "A registration is signed with the key of its certificate",
        NEEDS,
        |b| {
            let r = register(b)?;
            let key = present(
                "a key in the certificate",
                certificate_key(&r.attestation_certificate),
            )?;
            let signed =
                register_signed_data(&application(), &CHALLENGE, &r.key_handle, &r.public_key);
            ensure(
                verifies_p256(&key, &signed, &r.signature),
                "the signature does not verify",
            )?;
            same(r.public_key[0], 4, "the first byte of the point")
        },
    ),
    check(
        "u2f.register-anew",
        REGISTER,
        "Two registrations have two keys and two handles",
        NEEDS,
        |b| {
            let (one, two) = (register(b)?, register(b)?);
            ensure(
                one.public_key != two.public_key && one.key_handle != two.key_handle,
                "they are the same",
            )
        },
    ),
    check(
        "u2f.register-touch",
        REGISTER,
        "Without a touch there is no registration",
        PERSON,
        |b| {
            b.person(Person::Absent)?;
            let request = Request::Register {
                challenge: CHALLENGE,
                application: application(),
            };
            let bytes = present("the request", request.encode())?;
            for _ in 0..3 {
                expect(b, &bytes, &[0x6985])?;
            }
            Ok(())
        },
    ),
    check(
        "u2f.register-short-data",
        REGISTER,
        "A registration has 64 bytes of data",
        NEEDS,
        |b| {
            for length in [0, 63, 65] {
                expect(b, &command(1, 0, &vec![1; length]).encode(), &[0x6700])?;
            }
            Ok(())
        },
    ),
    check(
        "u2f.sign",
        SIGN,
        "An authentication is signed by the registered key, with a touch",
        NEEDS,
        |b| {
            let registered = register(b)?;
            let response = sign(b, Control::EnforceUserPresence, &registered)?;
            same(response.user_presence & 1, 1, "user presence")
        },
    ),
    check(
        "u2f.sign-touch",
        SIGN,
        "Control 03 without a touch signs nothing",
        PERSON,
        |b| {
            let registered = register(b)?;
            b.person(Person::Absent)?;
            let request = authenticate(
                Control::EnforceUserPresence,
                application(),
                &registered.key_handle,
            );
            let bytes = present("the request", request.encode())?;
            expect(b, &bytes, &[0x6985])
        },
    ),
    check(
        "u2f.sign-dont-enforce",
        SIGN,
        "Control 08 signs without a touch, and says so",
        PERSON,
        |b| {
            let registered = register(b)?;
            b.person(Person::Absent)?;
            let response = sign(b, Control::DontEnforceUserPresence, &registered)?;
            same(response.user_presence & 1, 0, "user presence")
        },
    ),
    check(
        "u2f.check-known",
        SIGN,
        "Control 07 says that a handle is known, and signs nothing",
        NEEDS,
        |b| {
            let registered = register(b)?;
            let request = authenticate(Control::CheckOnly, application(), &registered.key_handle);
            let bytes = present("the request", request.encode())?;
            for _ in 0..2 {
                expect(b, &bytes, &[0x6985])?;
            }
            Ok(())
        },
    ),
    check(
        "u2f.check-unknown",
        SIGN,
        "Control 07 says that a handle is not known",
        NEEDS,
        |b| expect_unknown(b, &[7; 64]),
    ),
    check(
        "u2f.check-other-application",
        SIGN,
        "A handle is not known for another application",
        NEEDS,
        |b| {
            let registered = register(b)?;
            for control in [
                Control::CheckOnly,
                Control::EnforceUserPresence,
                Control::DontEnforceUserPresence,
            ] {
                let request = authenticate(control, sha256(b"example.org"), &registered.key_handle);
                let bytes = present("the request", request.encode())?;
                expect(b, &bytes, &[0x6a80])?;
            }
            Ok(())
        },
    ),
    check(
        "u2f.changed-handle",
        SIGN,
        "A handle with one bit changed is not known",
        NEEDS,
        |b| {
            let mut registered = register(b)?;
            registered.key_handle[3] ^= 4;
            expect_unknown(b, &registered.key_handle)
        },
    ),
    check(
        "u2f.unknown-no-touch",
        SIGN,
        "For an unknown handle no touch is asked for",
        PERSON,
        |b| {
            b.person(Person::Absent)?;
            let request = authenticate(Control::EnforceUserPresence, application(), &[7; 64]);
            let bytes = present("the request", request.encode())?;
            expect(b, &bytes, &[0x6a80])
        },
    ),
    check(
        "u2f.unknown-control",
        SIGN,
        "Other control bytes are refused",
        NEEDS,
        |b| {
            let registered = register(b)?;
            let length = u8::try_from(registered.key_handle.len()).unwrap_or(0);
            let data = [
                &CHALLENGE[..],
                &application(),
                &[length],
                &registered.key_handle,
            ]
            .concat();
            expect(
                b,
                &command(2, 0x55, &data).encode(),
                &[0x6a80, 0x6a86, 0x6985],
            )
        },
    ),
    check("u2f.counter", SIGN, "The counter grows", NEEDS, |b| {
        let registered = register(b)?;
        let one = sign(b, Control::EnforceUserPresence, &registered)?.counter;
        let two = sign(b, Control::EnforceUserPresence, &registered)?.counter;
        ensure(two > one, format!("{two} after {one}"))
    }),
    check(
        "u2f.handle-length",
        SIGN,
        "The length of the handle and the data agree",
        NEEDS,
        |b| {
            let data = [&CHALLENGE[..], &application(), &[64], &[7; 63]].concat();
            expect(b, &command(2, 7, &data).encode(), &[0x6700, 0x6a80])
        },
    ),
    check(
        "u2f.no-handle",
        SIGN,
        "An authentication without a handle is too short",
        NEEDS,
        |b| {
            let data = [&CHALLENGE[..], &application()].concat();
            expect(b, &command(2, 7, &data).encode(), &[0x6700])
        },
    ),
    check(
        "u2f.unknown-ins",
        MESSAGE,
        "Unknown instructions are not supported",
        NEEDS,
        |b| {
            for ins in [0x00, 0x04, 0x40, 0xff] {
                expect(b, &command(ins, 0, &[]).encode(), &[0x6d00])?;
            }
            Ok(())
        },
    ),
    check(
        "u2f.class",
        MESSAGE,
        "Another class is not supported",
        NEEDS,
        |b| {
            let mut apdu = command(3, 0, &[]);
            apdu.cla = 0x40;
            expect(b, &apdu.encode(), &[0x6e00])
        },
    ),
    check(
        "u2f.cut-apdu",
        MESSAGE,
        "An APDU whose length is wrong is refused",
        &[U2f, Reports],
        |b| {
            expect(b, &[0, 1, 0, 0, 0, 0, 64, 1, 2, 3], &[0x6700])?;
            expect(b, &[0, 1, 0], &[0x6700])
        },
    ),
    check(
        "u2f.short-apdu",
        MESSAGE,
        "A registration in a short APDU works",
        &[U2f, Reports],
        |b| {
            let data = [&CHALLENGE[..], &application()].concat();
            let bytes = [&[0, 1, 0, 0, 64][..], &data, &[0]].concat();
            let mut answer = apdu(b, &bytes)?;
            for _ in 0..20 {
                if answer.status.0 != 0x6985 {
                    break;
                }
                answer = apdu(b, &bytes)?;
            }
            // The answer is longer than a short APDU takes: all of it, or the rest by GET RESPONSE.
            ensure(
                answer.status.0 == 0x9000 || answer.status.0 >> 8 == 0x61,
                format!("{:04X}", answer.status.0),
            )
        },
    ),
    check(
        "u2f.known-to-ctap2",
        INTEROP,
        "A U2F credential signs in CTAP2, for its application as RP ID",
        &[U2f, Ctap2],
        |b| {
            let registered = register(b)?;
            let mut request = b.ga();
            request.allow_list = Some(vec![ctap::entities::CredentialDescriptor::public_key(
                registered.key_handle.clone(),
            )]);
            let response = b.get(request.clone())?;
            let signed = [&response.response.auth_data[..], &request.client_data_hash].concat();
            let verified = verifies_p256(
                &registered.public_key,
                &signed,
                &response.response.signature,
            );
            ensure(verified, "the signature does not verify")
        },
    ),
    check(
        "u2f.ctap2-known",
        INTEROP,
        "A CTAP2 credential of ES256 signs in U2F",
        &[U2f, Ctap2, Need::Algorithm(-7)],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let request = authenticate(Control::CheckOnly, application(), &made.id);
            let bytes = present("the request", request.encode())?;
            expect(b, &bytes, &[0x6985])
        },
    ),
    check(
        "u2f.excluded",
        INTEROP,
        "A U2F credential excludes a new one in CTAP2",
        &[U2f, Ctap2],
        |b| {
            let registered = register(b)?;
            let mut request = b.mc();
            request.exclude_list = Some(vec![ctap::entities::CredentialDescriptor::public_key(
                registered.key_handle,
            )]);
            b.refuse_mc(request, &[ctap::Status::CREDENTIAL_EXCLUDED])
        },
    ),
    check(
        "u2f.only",
        "CTAP 2.3 §11.2.9.1.3",
        "A key that speaks only U2F says so when it is asked for a channel",
        &[Reports],
        |b| {
            let (_, answer) = b.init(0xffff_ffff, [1; 8])?;
            same(
                answer[16] & 0x04 != 0,
                b.facts.info.is_some(),
                "the capability CBOR",
            )
        },
    ),
];
