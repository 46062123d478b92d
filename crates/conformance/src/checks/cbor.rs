//! CTAP 2.3 §8 Message encoding: what is no canonical CBOR, or no message at all.

use ctap::{Command, Status, request_bytes};
use webauthn::cbor::Value;

use crate::bench::Bench;
use crate::check::Need::{self, Ctap2, Option as Has};
use crate::check::{Check, Outcome, check, ensure, not_applicable, same};
use crate::edit::{bytes, int, map, pairs, raw_map, text, with};

const ENCODING: &str = "CTAP 2.3 §8";
const COMMANDS: &str = "CTAP 2.3 §8.1";
const NEEDS: &[Need] = &[Ctap2];
const MALFORMED: &[Status] = &[Status::INVALID_CBOR];

/// The key refuses the bytes, and is still there.
fn refuse(b: &mut Bench<'_>, request: &[u8], due: &[Status]) -> Outcome {
    b.expect_raw(request, due)?;
    b.info().map(drop)
}

fn unknown_command(b: &mut Bench<'_>, code: u8) -> Outcome {
    refuse(b, &[code], &[Status::INVALID_COMMAND])?;
    refuse(b, &[code, 0xa0], &[Status::INVALID_COMMAND])
}

/// makeCredential with parameters that were spoilt.
fn spoilt(b: &mut Bench<'_>, due: &[Status], spoil: fn(Vec<u8>) -> Vec<u8>) -> Outcome {
    let good = b.mc_bytes()?;
    let bad = spoil(good);
    refuse(b, &request_bytes(Command::MakeCredential, &bad), due)
}

/// Members as encoded keys and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The same with the members as pairs.
fn spoilt_pairs(b: &mut Bench<'_>, due: &[Status], spoil: fn(&mut Pairs)) -> Outcome {
    let good = b.mc_bytes()?;
    let mut members = pairs(&good);
    spoil(&mut members);
    refuse(
        b,
        &request_bytes(Command::MakeCredential, &raw_map(&members)),
        due,
    )
}

/// A command with parameters that are no message of it.
fn parameters(b: &mut Bench<'_>, command: Command, params: &[u8], due: &[Status]) -> Outcome {
    refuse(b, &request_bytes(command, params), due)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "command.unknown-00",
        COMMANDS,
        "Command 0x00 does not exist",
        NEEDS,
        |b| unknown_command(b, 0x00),
    ),
    check(
        "command.unknown-03",
        COMMANDS,
        "Command 0x03 does not exist",
        NEEDS,
        |b| unknown_command(b, 0x03),
    ),
    check(
        "command.unknown-05",
        COMMANDS,
        "Command 0x05 does not exist",
        NEEDS,
        |b| unknown_command(b, 0x05),
    ),
    check(
        "command.unknown-0e",
        COMMANDS,
        "Command 0x0E does not exist",
        NEEDS,
        |b| unknown_command(b, 0x0e),
    ),
    check(
        "command.unknown-3f",
        COMMANDS,
        "Command 0x3F does not exist",
        NEEDS,
        |b| unknown_command(b, 0x3f),
    ),
    check(
        "command.unknown-ff",
        COMMANDS,
        "Command 0xFF does not exist",
        NEEDS,
        |b| unknown_command(b, 0xff),
    ),
    check(
        "command.not-there",
        COMMANDS,
        "Commands that getInfo does not announce are unknown",
        NEEDS,
        |b| {
            for (option, code) in [
                ("credMgmt", 0x0a_u8),
                ("largeBlobs", 0x0c),
                ("authnrCfg", 0x0d),
                ("bioEnroll", 0x09),
                ("userVerificationMgmtPreview", 0x40),
                ("credentialMgmtPreview", 0x41),
            ] {
                if b.option(option).is_none() {
                    let (status, _) = b.raw(&[code, 0xa1, 0x01, 0x01])?;
                    ensure(
                        status == Status::INVALID_COMMAND,
                        format!("0x{code:02x}: {status:?}"),
                    )?;
                }
            }
            Ok(())
        },
    ),
    check(
        "command.all-bytes",
        COMMANDS,
        "No command byte without parameters brings the key down",
        NEEDS,
        |b| {
            // Reset would erase what other checks of this key rely on, and selection asks a person.
            for code in (0..=0xff_u8).filter(|code| ![0x07, 0x0b].contains(code)) {
                b.raw(&[code])?;
            }
            b.info().map(drop)
        },
    ),
    check(
        "cbor.trailing-byte",
        ENCODING,
        "Nothing may follow the parameters",
        NEEDS,
        |b| {
            spoilt(
                b,
                &[Status::INVALID_CBOR, Status::INVALID_LENGTH],
                |mut m| {
                    m.push(0);
                    m
                },
            )
        },
    ),
    check(
        "cbor.truncated",
        ENCODING,
        "Parameters that end too early are malformed",
        NEEDS,
        |b| {
            spoilt(
                b,
                &[Status::INVALID_CBOR, Status::INVALID_LENGTH],
                |mut m| {
                    m.pop();
                    m
                },
            )
        },
    ),
    check(
        "cbor.no-parameters",
        ENCODING,
        "makeCredential without any parameters is refused",
        NEEDS,
        |b| {
            let due = &[
                Status::INVALID_CBOR,
                Status::MISSING_PARAMETER,
                Status::INVALID_LENGTH,
            ];
            parameters(b, Command::MakeCredential, &[], due)
        },
    ),
    check(
        "cbor.array-for-map",
        ENCODING,
        "Parameters that are an array are of the wrong type",
        NEEDS,
        |b| {
            let due = &[Status::CBOR_UNEXPECTED_TYPE, Status::INVALID_CBOR];
            parameters(b, Command::MakeCredential, &[0x81, 0x01], due)
        },
    ),
    check(
        "cbor.integer-for-map",
        ENCODING,
        "Parameters that are an integer are of the wrong type",
        NEEDS,
        |b| {
            let due = &[Status::CBOR_UNEXPECTED_TYPE, Status::INVALID_CBOR];
            parameters(b, Command::GetAssertion, &[0x01], due)
        },
    ),
    check(
        "cbor.duplicate-key",
        ENCODING,
        "A member may not be there twice",
        NEEDS,
        |b| {
            spoilt_pairs(b, MALFORMED, |members| {
                let first = members[0].clone();
                members.insert(0, first);
            })
        },
    ),
    check(
        "cbor.unordered",
        ENCODING,
        "Members come in ascending order",
        NEEDS,
        |b| spoilt_pairs(b, MALFORMED, |members| members.swap(0, 1)),
    ),
    check(
        "cbor.unordered-inside",
        ENCODING,
        "The order holds for maps inside, too: by length, then by bytes",
        NEEDS,
        |b| {
            spoilt_pairs(b, MALFORMED, |members| {
                // rp: "name" before "id".
                members[1].1 = b"\xa2\x64name\x61x\x62id\x6bexample.com".to_vec();
            })
        },
    ),
    check(
        "cbor.long-key",
        ENCODING,
        "Integers are written in their shortest form: a key",
        NEEDS,
        |b| spoilt_pairs(b, MALFORMED, |members| members[0].0 = vec![0x18, 0x01]),
    ),
    check(
        "cbor.long-length",
        ENCODING,
        "Lengths are written in their shortest form: a byte string",
        NEEDS,
        |b| {
            spoilt_pairs(b, MALFORMED, |members| {
                let hash = members[0].1.split_off(2);
                members[0].1 = [&[0x59, 0x00, 0x20], &hash[..]].concat();
            })
        },
    ),
    check(
        "cbor.long-map-head",
        ENCODING,
        "The number of members is written in its shortest form",
        NEEDS,
        |b| {
            spoilt(b, MALFORMED, |mut m| {
                let count = m.remove(0) & 0x1f;
                [&[0xb8, count], &m[..]].concat()
            })
        },
    ),
    check(
        "cbor.indefinite-map",
        ENCODING,
        "Maps have a definite length",
        NEEDS,
        |b| {
            spoilt(b, MALFORMED, |mut m| {
                m[0] = 0xbf;
                m.push(0xff);
                m
            })
        },
    ),
    check(
        "cbor.indefinite-bytes",
        ENCODING,
        "Byte strings have a definite length",
        NEEDS,
        |b| {
            spoilt_pairs(b, MALFORMED, |members| {
                members[0].1 = [&[0x5f], &members[0].1[..], &[0xff]].concat();
            })
        },
    ),
    check("cbor.tag", ENCODING, "Tags are not allowed", NEEDS, |b| {
        spoilt_pairs(b, MALFORMED, |members| members[0].1.insert(0, 0xc2))
    }),
    check(
        "cbor.reserved-head",
        ENCODING,
        "Reserved additional information is malformed",
        NEEDS,
        |b| spoilt_pairs(b, MALFORMED, |members| members[0].1 = vec![0x1c]),
    ),
    check(
        "cbor.not-utf8",
        ENCODING,
        "Text that is not UTF-8 is malformed",
        NEEDS,
        |b| {
            spoilt_pairs(b, MALFORMED, |members| {
                members[1].1 = b"\xa1\x62id\x62\xff\xfe".to_vec()
            })
        },
    ),
    check(
        "cbor.too-deep",
        ENCODING,
        "Messages nest at most four levels deep",
        NEEDS,
        |b| {
            spoilt_pairs(b, MALFORMED, |members| {
                members.push((vec![0x18, 0x40], vec![0x81, 0x81, 0x81, 0x81, 0x00]));
            })
        },
    ),
    check(
        "cbor.very-deep",
        ENCODING,
        "Hundreds of levels do not bring the key down",
        NEEDS,
        |b| parameters(b, Command::MakeCredential, &[0x81; 600], MALFORMED),
    ),
    check(
        "cbor.huge-array",
        ENCODING,
        "An array that announces four billion elements is malformed",
        NEEDS,
        |b| {
            let due = &[Status::INVALID_CBOR, Status::CBOR_UNEXPECTED_TYPE];
            parameters(
                b,
                Command::MakeCredential,
                &[0x9a, 0xff, 0xff, 0xff, 0xff],
                due,
            )
        },
    ),
    check(
        "cbor.huge-bytes",
        ENCODING,
        "A byte string that announces more than there is is malformed",
        NEEDS,
        |b| {
            let huge = [
                0xa1, 0x01, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ];
            parameters(b, Command::GetAssertion, &huge, MALFORMED)
        },
    ),
    check(
        "cbor.huge-map",
        ENCODING,
        "A map that announces more than there is is malformed",
        NEEDS,
        |b| {
            parameters(
                b,
                Command::GetAssertion,
                &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                MALFORMED,
            )
        },
    ),
    check(
        "cbor.unknown-member",
        ENCODING,
        "Members that the key does not know are passed over",
        NEEDS,
        |b| {
            let request = with(&b.mc_bytes()?, 0x60, text("unknown"));
            b.call(Command::MakeCredential, &request).map(drop)
        },
    ),
    check(
        "cbor.unknown-text-member",
        ENCODING,
        "Members with text keys are passed over, too",
        NEEDS,
        |b| {
            let good = b.mc_bytes()?;
            let mut members = pairs(&good);
            members.push((text("x").encode(), int(1).encode()));
            b.call(Command::MakeCredential, &raw_map(&members))
                .map(drop)
        },
    ),
    check(
        "cbor.ga-malformed",
        ENCODING,
        "getAssertion refuses malformed parameters, too",
        NEEDS,
        |b| parameters(b, Command::GetAssertion, &[0xa1, 0x01], MALFORMED),
    ),
    check(
        "cbor.pin-malformed",
        ENCODING,
        "clientPIN refuses malformed parameters, too",
        &[Has("clientPin")],
        |b| {
            parameters(
                b,
                Command::ClientPin,
                &[0xa2, 0x02, 0x01, 0x01, 0x01],
                MALFORMED,
            )
        },
    ),
    check(
        "cbor.management-malformed",
        ENCODING,
        "credentialManagement refuses malformed parameters, too",
        &[Has("credMgmt")],
        |b| {
            parameters(
                b,
                Command::CredentialManagement,
                &[0xa2, 0x01, 0x01, 0x01, 0x01],
                MALFORMED,
            )
        },
    ),
    check(
        "cbor.config-malformed",
        ENCODING,
        "authenticatorConfig refuses malformed parameters, too",
        &[Has("authnrCfg")],
        |b| parameters(b, Command::Config, &[0xa1, 0x18, 0x01, 0x01], MALFORMED),
    ),
    check(
        "cbor.large-blobs-malformed",
        ENCODING,
        "largeBlobs refuses malformed parameters, too",
        &[Has("largeBlobs")],
        |b| {
            parameters(
                b,
                Command::LargeBlobs,
                &[0xa1, 0x01, 0x19, 0x00, 0x01],
                MALFORMED,
            )
        },
    ),
    check(
        "cbor.bio-malformed",
        ENCODING,
        "bioEnrollment refuses malformed parameters, too",
        &[Has("bioEnroll")],
        |b| parameters(b, Command::BioEnrollment, &[0xbf, 0xff], MALFORMED),
    ),
    check(
        "message.too-large",
        "CTAP 2.3 §6.4",
        "A request beyond maxMsgSize is too large",
        &[Need::Member(5)],
        |b| {
            let longest = b.new_info()?.max_msg_size.unwrap_or(1024);
            let Some(length) = usize::try_from(longest)
                .ok()
                .filter(|length| *length < 7500)
            else {
                return not_applicable("the wire cannot carry more");
            };
            let members = map(&[(1, bytes(&vec![0; length]))]).encode();
            let (status, _) = b.send(Command::MakeCredential, &members)?;
            same(status, Status::REQUEST_TOO_LARGE, "the status")
        },
    ),
    check(
        "message.as-large",
        "CTAP 2.3 §6.4",
        "A request of maxMsgSize is not too large",
        &[Need::Member(5)],
        |b| {
            let good = b.mc_bytes()?;
            let longest =
                usize::try_from(b.new_info()?.max_msg_size.unwrap_or(1024)).unwrap_or(1024);
            let filler = |length: usize| with(&good, 0x60, Value::Bytes(vec![7; length]));
            let room = longest - 1 - filler(300).len() + 300;
            let request = filler(room);
            same(request.len() + 1, longest, "the length")?;
            b.call(Command::MakeCredential, &request).map(drop)
        },
    ),
];
