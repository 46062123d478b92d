//! CTAP 2.3 §6.10 authenticatorLargeBlobs.

use ctap::large_blobs::{Request, Response, authenticated_message};
use ctap::{Command, Status};
use webauthn::cbor::Value;

use crate::bench::{Bench, is_one_of, parsed};
use crate::check::Need::{self, NotOn, On, Power, Reports};
use crate::check::{Check, Outcome, check, same};
use crate::edit::{int, map, text};
use crate::pins::{LBW, MC, Token};
use crate::verify::sha256;

const GET: &str = "CTAP 2.3 §6.10.2";
const SET: &str = "CTAP 2.3 §6.10.2";
const ARRAY: &str = "CTAP 2.3 §6.10.1";
const NEEDS: &[Need] = &[On("largeBlobs")];
const INVALID: &[Status] = &[Status::INVALID_PARAMETER];

fn empty(offset: u64) -> Request {
    Request {
        get: None,
        set: None,
        offset,
        length: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

fn get(b: &mut Bench<'_>, count: u64, offset: u64) -> Outcome<Vec<u8>> {
    let request = Request {
        get: Some(count),
        ..empty(offset)
    };
    let members = b.call(Command::LargeBlobs, &request.encode())?;
    Ok(parsed("largeBlobs", Response::decode(&members))?.config)
}

fn refused(b: &mut Bench<'_>, request: &Request, due: &[Status]) -> Outcome {
    b.expect_any(Command::LargeBlobs, &request.encode(), due)
}

/// An array of so many bytes of content, and its check.
fn array(length: usize) -> Vec<u8> {
    let content = Value::Array(vec![Value::Bytes(vec![0x5a; length])]).encode();
    let check = sha256(&content)[..16].to_vec();
    [content, check].concat()
}

/// A fragment that the token authorises.
fn fragment(set: &[u8], offset: usize, length: Option<usize>, token: &Token) -> Request {
    let message = authenticated_message(u32::try_from(offset).unwrap_or(0), &sha256(set));
    Request {
        set: Some(set.to_vec()),
        length: length.map(|l| l as u64),
        pin_uv_auth_param: Some(token.sign(&message)),
        pin_uv_auth_protocol: Some(token.number()),
        ..empty(offset as u64)
    }
}

fn token(b: &mut Bench<'_>) -> Outcome<Token> {
    b.token(LBW, None)
}

fn works(b: &mut Bench<'_>, request: &Request) -> Outcome {
    let (status, members) = b.send(Command::LargeBlobs, &request.encode())?;
    is_one_of("largeBlobs", status, &[Status::OK])?;
    same(members.len(), 0, "the members")
}

/// Writes the whole in fragments.
fn write(b: &mut Bench<'_>, array: &[u8], step: usize, token: &Token) -> Outcome {
    for (n, part) in array.chunks(step).enumerate() {
        let length = (n == 0).then_some(array.len());
        works(b, &fragment(part, n * step, length, token))?;
    }
    Ok(())
}

fn longest(b: &Bench<'_>) -> Outcome<usize> {
    let size = b.new_info()?.max_msg_size.unwrap_or(1024);
    Ok(usize::try_from(size).unwrap_or(1024) - 64)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "lb.initial",
        ARRAY,
        "A key as new holds an empty array and its check",
        NEEDS,
        |b| {
            let held = get(b, 100, 0)?;
            same(held[..1].to_vec(), vec![0x80], "the array")?;
            same(&held[1..], &sha256(&[0x80])[..16], "the check")
        },
    ),
    check(
        "lb.write-read",
        SET,
        "What is written is read",
        NEEDS,
        |b| {
            let token = token(b)?;
            let written = array(100);
            write(b, &written, 1000, &token)?;
            same(get(b, 500, 0)?, written, "the array")
        },
    ),
    check(
        "lb.fragments",
        SET,
        "An array is written in fragments",
        NEEDS,
        |b| {
            let token = token(b)?;
            let written = array(700);
            write(b, &written, 200, &token)?;
            same(
                [get(b, 400, 0)?, get(b, 400, 400)?].concat(),
                written,
                "the array",
            )
        },
    ),
    check(
        "lb.largest",
        SET,
        "An array of maxSerializedLargeBlobArray fits",
        NEEDS,
        |b| {
            let most = b
                .new_info()?
                .max_serialized_large_blob_array
                .unwrap_or(1024);
            let most = usize::try_from(most).unwrap_or(1024);
            let token = token(b)?;
            let written = array(most - 20);
            same(written.len(), most, "the length")?;
            write(b, &written, 900, &token)
        },
    ),
    check("lb.too-large", SET, "A larger one does not", NEEDS, |b| {
        let most = b
            .new_info()?
            .max_serialized_large_blob_array
            .unwrap_or(1024);
        let token = token(b)?;
        let request = fragment(
            &[0x80],
            0,
            Some(usize::try_from(most).unwrap_or(1024) + 1),
            &token,
        );
        refused(b, &request, &[Status::LARGE_BLOB_STORAGE_FULL])
    }),
    check(
        "lb.lasts",
        ARRAY,
        "The array stays over a power cycle",
        &[On("largeBlobs"), Power],
        |b| {
            let token = token(b)?;
            let written = array(50);
            write(b, &written, 1000, &token)?;
            b.power_cycle()?;
            same(get(b, 500, 0)?, written, "the array")
        },
    ),
    check(
        "lb.reset",
        "CTAP 2.3 §6.6",
        "A reset brings the empty array back",
        &[On("largeBlobs"), Power],
        |b| {
            let token = token(b)?;
            write(b, &array(50), 1000, &token)?;
            b.power_cycle()?;
            b.expect(Command::Reset, &[], Status::OK)?;
            same(get(b, 100, 0)?.len(), 17, "the length")
        },
    ),
    check(
        "lb.wrong-check",
        SET,
        "An array whose check is wrong is refused, and the old one stays",
        NEEDS,
        |b| {
            let token = token(b)?;
            let mut wrong = array(50);
            let last = wrong.len() - 1;
            wrong[last] ^= 1;
            let request = fragment(&wrong, 0, Some(wrong.len()), &token);
            refused(b, &request, &[Status::INTEGRITY_FAILURE])?;
            same(get(b, 100, 0)?.len(), 17, "the length of the old one")
        },
    ),
    check(
        "lb.unfinished",
        SET,
        "Until the last fragment, the old array is read",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(300);
            works(b, &fragment(&whole[..100], 0, Some(whole.len()), &token))?;
            same(get(b, 100, 0)?.len(), 17, "the length of the old one")
        },
    ),
    check(
        "lb.gap",
        SET,
        "A fragment that leaves a gap is out of sequence",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(300);
            works(b, &fragment(&whole[..100], 0, Some(whole.len()), &token))?;
            refused(
                b,
                &fragment(&whole[150..], 150, None, &token),
                &[Status::INVALID_SEQ],
            )
        },
    ),
    check(
        "lb.no-first",
        SET,
        "A fragment without a first one is out of sequence",
        NEEDS,
        |b| {
            let token = token(b)?;
            refused(
                b,
                &fragment(&[1; 50], 50, None, &token),
                &[Status::INVALID_SEQ],
            )
        },
    ),
    check(
        "lb.other-channel",
        SET,
        "Another channel cannot go on with fragments",
        &[On("largeBlobs"), Reports],
        |b| {
            let token = token(b)?;
            let whole = array(300);
            works(b, &fragment(&whole[..100], 0, Some(whole.len()), &token))?;
            b.on(1, |b| {
                refused(
                    b,
                    &fragment(&whole[100..], 100, None, &token),
                    &[Status::INVALID_SEQ],
                )
            })
        },
    ),
    check(
        "lb.interrupted",
        SET,
        "Another command in between ends the sequence",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(300);
            works(b, &fragment(&whole[..100], 0, Some(whole.len()), &token))?;
            b.info()?;
            refused(
                b,
                &fragment(&whole[100..], 100, None, &token),
                &[Status::INVALID_SEQ],
            )
        },
    ),
    check(
        "lb.overlong",
        SET,
        "More than was announced is refused",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(100);
            let request = fragment(&whole, 0, Some(whole.len() - 10), &token);
            refused(b, &request, INVALID)
        },
    ),
    check(
        "lb.no-length",
        SET,
        "The first fragment announces the length",
        NEEDS,
        |b| {
            let token = token(b)?;
            refused(b, &fragment(&array(50), 0, None, &token), INVALID)
        },
    ),
    check(
        "lb.length-later",
        SET,
        "A later fragment does not",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(300);
            works(b, &fragment(&whole[..100], 0, Some(whole.len()), &token))?;
            refused(b, &fragment(&whole[100..], 100, Some(200), &token), INVALID)
        },
    ),
    check(
        "lb.length-16",
        SET,
        "Nothing shorter than an empty array and its check is one",
        NEEDS,
        |b| {
            let token = token(b)?;
            refused(b, &fragment(&[1; 16], 0, Some(16), &token), INVALID)
        },
    ),
    check(
        "lb.get-and-set",
        GET,
        "get and set together are refused",
        NEEDS,
        |b| {
            refused(
                b,
                &Request {
                    get: Some(1),
                    set: Some(vec![1]),
                    ..empty(0)
                },
                INVALID,
            )
        },
    ),
    check(
        "lb.neither",
        GET,
        "Neither get nor set is refused, too",
        NEEDS,
        |b| refused(b, &empty(0), INVALID),
    ),
    check("lb.no-offset", GET, "offset is mandatory", NEEDS, |b| {
        let request = map(&[(1, int(10))]).encode();
        b.expect_any(
            Command::LargeBlobs,
            &request,
            &[Status::INVALID_PARAMETER, Status::MISSING_PARAMETER],
        )
    }),
    check("lb.offset-type", GET, "offset is an integer", NEEDS, |b| {
        let request = map(&[(1, int(10)), (3, text("0"))]).encode();
        b.expect(Command::LargeBlobs, &request, Status::CBOR_UNEXPECTED_TYPE)
    }),
    check(
        "lb.get-beyond",
        GET,
        "Reading beyond the end is refused",
        NEEDS,
        |b| {
            refused(
                b,
                &Request {
                    get: Some(1),
                    ..empty(18)
                },
                INVALID,
            )
        },
    ),
    check(
        "lb.get-at-end",
        GET,
        "Reading at the end gives nothing",
        NEEDS,
        |b| same(get(b, 10, 17)?.len(), 0, "the length"),
    ),
    check(
        "lb.get-too-much",
        GET,
        "More than maxFragmentLength is too long to read",
        NEEDS,
        |b| {
            let most = longest(b)? as u64;
            get(b, most, 0)?;
            refused(
                b,
                &Request {
                    get: Some(most + 1),
                    ..empty(0)
                },
                &[Status::INVALID_LENGTH],
            )
        },
    ),
    check(
        "lb.get-with-length",
        GET,
        "length is not for reading",
        NEEDS,
        |b| {
            refused(
                b,
                &Request {
                    get: Some(1),
                    length: Some(1),
                    ..empty(0)
                },
                INVALID,
            )
        },
    ),
    check(
        "lb.get-with-param",
        GET,
        "pinUvAuthParam is not for reading",
        NEEDS,
        |b| {
            refused(
                b,
                &Request {
                    get: Some(1),
                    pin_uv_auth_param: Some(vec![1; 32]),
                    ..empty(0)
                },
                INVALID,
            )
        },
    ),
    check(
        "lb.no-token",
        SET,
        "A protected key wants a token for writing",
        NEEDS,
        |b| {
            b.set_pin()?;
            let whole = array(50);
            let request = Request {
                set: Some(whole.clone()),
                length: Some(whole.len() as u64),
                ..empty(0)
            };
            refused(b, &request, &[Status::PUAT_REQUIRED])
        },
    ),
    check(
        "lb.wrong-permission",
        SET,
        "A token without lbw does not write",
        NEEDS,
        |b| {
            let token = b.token(MC, Some("example.com"))?;
            let whole = array(50);
            refused(
                b,
                &fragment(&whole, 0, Some(whole.len()), &token),
                &[Status::PIN_AUTH_INVALID],
            )
        },
    ),
    check(
        "lb.param-of-other-fragment",
        SET,
        "pinUvAuthParam is about this fragment",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(50);
            let mut request = fragment(&array(51), 0, Some(whole.len()), &token);
            request.set = Some(whole);
            refused(b, &request, &[Status::PIN_AUTH_INVALID])
        },
    ),
    check(
        "lb.param-of-other-offset",
        SET,
        "And about its place",
        NEEDS,
        |b| {
            let token = token(b)?;
            let whole = array(300);
            works(b, &fragment(&whole[..100], 0, Some(whole.len()), &token))?;
            let mut request = fragment(&whole[100..], 0, None, &token);
            request.offset = 100;
            refused(b, &request, &[Status::PIN_AUTH_INVALID])
        },
    ),
    check(
        "lb.unprotected",
        SET,
        "A key without PIN and finger lets anybody write",
        &[On("largeBlobs"), NotOn("uv"), NotOn("alwaysUv")],
        |b| {
            let whole = array(50);
            let request = Request {
                set: Some(whole.clone()),
                length: Some(whole.len() as u64),
                ..empty(0)
            };
            works(b, &request)
        },
    ),
    check(
        "lb.lbw-lasts",
        "CTAP 2.3 §6.5.2.1",
        "lbw survives the use of the token for a credential",
        NEEDS,
        |b| {
            let token = b.token(MC | LBW, Some("example.com"))?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            b.make_as_is(&request)?;
            write(b, &array(50), 1000, &token)
        },
    ),
];
