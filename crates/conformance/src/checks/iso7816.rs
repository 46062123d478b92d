//! CTAP 2.3 §11.3 ISO 7816 and NFC: SELECT, chaining, GET RESPONSE, lengths, polls.

use ctap::iso7816::{CommandApdu, FIDO_AID, P1_POLLS, ResponseApdu, ins};

use crate::bench::Bench;
use crate::check::Need::{self, Card, Ctap2, Person as Told, Power, U2f};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::subject::Person;

const SELECT: &str = "CTAP 2.3 §11.3.3";
const MSG: &str = "CTAP 2.3 §11.3.5";
const POLL: &str = "CTAP 2.3 §11.3.7.2";
const CHAIN: &str = "ISO 7816-4 §5.3.3 via CTAP 2.3 §11.3";
const RESPONSE: &str = "ISO 7816-4 §5.3.4 via CTAP 2.3 §11.3";
const NEEDS: &[Need] = &[Card];
const CTAP: &[Need] = &[Card, Ctap2];

fn message(p1: u8, data: &[u8]) -> CommandApdu {
    CommandApdu::new(0x80, ins::NFCCTAP_MSG, p1, 0).with_data(data)
}

/// getInfo in a form, with the rest by GET RESPONSE.
fn get_info(b: &mut Bench<'_>, extended: bool) -> Outcome<Vec<u8>> {
    let mut apdu = message(0, &[0x04]);
    apdu.extended = extended;
    apdu.ne = if extended { 65_536 } else { 256 };
    let mut answer = b.apdu(&apdu)?;
    let mut data = answer.data.clone();
    while let Some(announced) = answer.status.announced() {
        let mut more = CommandApdu::new(0x00, ins::GET_RESPONSE, 0, 0);
        more.ne = announced.min(256);
        answer = b.apdu(&more)?;
        data.extend_from_slice(&answer.data);
    }
    same(answer.status.0, 0x9000, "the status word")?;
    same(data.first().copied(), Some(0), "the CTAP status")?;
    Ok(data)
}

fn selected(b: &mut Bench<'_>) -> Outcome {
    same(b.select()?.status.0, 0x9000, "the status word of SELECT")
}

/// A makeCredential of more than 255 bytes.
fn long_request(b: &mut Bench<'_>) -> Outcome<Vec<u8>> {
    let mut request = b.mc();
    request.user.display_name = Some("n".repeat(300));
    b.authorise_mc(&mut request)?;
    Ok(ctap::request_bytes(
        ctap::Command::MakeCredential,
        &request.encode(),
    ))
}

fn chained(data: &[u8], step: usize) -> Vec<CommandApdu> {
    let parts: Vec<_> = data.chunks(step).collect();
    let last = parts.len() - 1;
    parts
        .iter()
        .enumerate()
        .map(|(n, part)| {
            let cla = if n == last { 0x80 } else { 0x90 };
            CommandApdu::new(cla, ins::NFCCTAP_MSG, 0, 0).with_data(*part)
        })
        .collect()
}

fn word(b: &mut Bench<'_>, apdu: &CommandApdu, due: u16) -> Outcome {
    b.expect_word(apdu, due)
}

/// The card does not do what it was asked.
fn unanswered(answer: &ResponseApdu) -> Outcome {
    let done = answer.status.0 == 0x9000 || answer.status.announced().is_some();
    ensure(!done && answer.data.is_empty(), "it answers")
}

fn first_answer(b: &mut Bench<'_>, apdus: &[CommandApdu]) -> Outcome<ResponseApdu> {
    let (last, parts) = match apdus.split_last() {
        Some(split) => split,
        None => return crate::check::failed("nothing to send"),
    };
    for part in parts {
        word(b, part, 0x9000)?;
    }
    b.apdu(last)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "card.select",
        SELECT,
        "SELECT of the FIDO applet tells a version",
        NEEDS,
        |b| {
            let answer = b.select()?;
            same(answer.status.0, 0x9000, "the status word")?;
            let known = [&b"U2F_V2"[..], b"FIDO_2_0"].contains(&&answer.data[..]);
            ensure(known, format!("{:02x?}", answer.data))
        },
    ),
    check(
        "card.select-agrees",
        SELECT,
        "A card that speaks U2F says U2F_V2",
        &[Card, U2f],
        |b| same(&b.select()?.data[..], &b"U2F_V2"[..], "the version"),
    ),
    check(
        "card.select-again",
        SELECT,
        "SELECT is possible at any time",
        NEEDS,
        |b| {
            selected(b)?;
            selected(b)
        },
    ),
    check(
        "card.other-applet",
        SELECT,
        "An applet that is not there is not found",
        NEEDS,
        |b| {
            let apdu =
                CommandApdu::new(0, ins::SELECT, 4, 0).with_data([0xa0, 0, 0, 0, 3, 0, 0, 0]);
            word(b, &apdu, 0x6a82)
        },
    ),
    check(
        "card.not-selected",
        SELECT,
        "Before SELECT there is no CTAP",
        CTAP,
        |b| {
            let answer = b.apdu(&message(0, &[4]))?;
            unanswered(&answer)?;
            same(answer.data.len(), 0, "the data")
        },
    ),
    check(
        "card.power-unselects",
        SELECT,
        "After a power cycle the applet must be selected anew",
        &[Card, Ctap2, Power],
        |b| {
            selected(b)?;
            b.power_cycle()?;
            let answer = b.apdu(&message(0, &[4]))?;
            unanswered(&answer)
        },
    ),
    check(
        "card.select-p1",
        SELECT,
        "SELECT in another way than by name is refused",
        NEEDS,
        |b| {
            let apdu = CommandApdu::new(0, ins::SELECT, 0, 0).with_data(FIDO_AID);
            word(b, &apdu, 0x6a86)
        },
    ),
    check(
        "card.short",
        MSG,
        "A request and its answer travel in short APDUs",
        CTAP,
        |b| {
            selected(b)?;
            get_info(b, false).map(drop)
        },
    ),
    check(
        "card.extended",
        MSG,
        "A request and its answer travel in extended APDUs",
        CTAP,
        |b| {
            selected(b)?;
            get_info(b, true).map(drop)
        },
    ),
    check(
        "card.same-answer",
        MSG,
        "Both ways bring the same answer",
        CTAP,
        |b| {
            selected(b)?;
            same(
                get_info(b, true)? == get_info(b, false)?,
                true,
                "the answers are the same",
            )
        },
    ),
    check(
        "card.empty-message",
        MSG,
        "An empty message has a wrong length",
        CTAP,
        |b| {
            selected(b)?;
            word(b, &CommandApdu::new(0x80, ins::NFCCTAP_MSG, 0, 0), 0x6700)
        },
    ),
    check(
        "card.message-p2",
        MSG,
        "P2 of a message is zero",
        CTAP,
        |b| {
            selected(b)?;
            let mut apdu = message(0, &[4]);
            apdu.p2 = 1;
            word(b, &apdu, 0x6a86)
        },
    ),
    check(
        "card.unknown-ins",
        MSG,
        "Unknown instructions are not supported",
        NEEDS,
        |b| {
            selected(b)?;
            word(b, &CommandApdu::new(0x80, 0x77, 0, 0), 0x6d00)
        },
    ),
    check(
        "card.unknown-class",
        MSG,
        "Unknown classes are not supported",
        NEEDS,
        |b| {
            selected(b)?;
            word(b, &CommandApdu::new(0xc0, ins::NFCCTAP_MSG, 0, 0), 0x6e00)
        },
    ),
    check(
        "card.bad-length",
        "ISO 7816-3 §12.1 via CTAP 2.3 §11.3",
        "Length fields that disagree with the bytes are refused",
        NEEDS,
        |b| {
            selected(b)?;
            for bytes in [
                &[0x80, 0x10, 0][..],
                &[0x80, 0x10, 0, 0, 5, 1, 2],
                &[0x80, 0x10, 0, 0, 0, 0, 9, 1],
            ] {
                same(b.apdu_bytes(bytes)?.status.0, 0x6700, "the status word")?;
            }
            Ok(())
        },
    ),
    check(
        "card.chain",
        CHAIN,
        "A long request in a chain of short APDUs works",
        CTAP,
        |b| {
            selected(b)?;
            let request = long_request(b)?;
            // The token was got by other messages on the same card.
            let answer = first_answer(b, &chained(&request, 200))?;
            ensure(
                answer.status.0 == 0x9000 || answer.status.announced().is_some(),
                format!("{:04X}", answer.status.0),
            )?;
            same(answer.data.first().copied(), Some(0), "the CTAP status")
        },
    ),
    check(
        "card.long-extended",
        MSG,
        "A long request in one extended APDU works",
        CTAP,
        |b| {
            selected(b)?;
            let request = long_request(b)?;
            let answer = b.apdu(&message(0, &request))?;
            same(answer.status.0, 0x9000, "the status word")?;
            same(answer.data.first().copied(), Some(0), "the CTAP status")
        },
    ),
    check(
        "card.chain-broken",
        CHAIN,
        "Another command in the middle of a chain ends it",
        CTAP,
        |b| {
            selected(b)?;
            let mut part = message(0, &[4]);
            part.cla = 0x90;
            word(b, &part, 0x9000)?;
            let answer = b.apdu(&CommandApdu::new(0, 3, 0, 0))?;
            ensure(answer.status.0 != 0x9000, "it is answered")?;
            get_info(b, true).map(drop)
        },
    ),
    check(
        "card.chain-select",
        CHAIN,
        "SELECT ends a chain",
        CTAP,
        |b| {
            selected(b)?;
            let mut part = message(0, &[1, 2, 3]);
            part.cla = 0x90;
            word(b, &part, 0x9000)?;
            selected(b)?;
            get_info(b, true).map(drop)
        },
    ),
    check(
        "card.get-response-nothing",
        RESPONSE,
        "GET RESPONSE with nothing left is refused",
        NEEDS,
        |b| {
            selected(b)?;
            let answer = b.apdu(&CommandApdu::new(0, ins::GET_RESPONSE, 0, 0))?;
            ensure(
                answer.status.0 >> 12 == 6 && answer.status.announced().is_none(),
                format!("{:04X}", answer.status.0),
            )
        },
    ),
    check(
        "card.get-response-portions",
        RESPONSE,
        "An answer comes in portions as small as the reader wants",
        CTAP,
        |b| {
            selected(b)?;
            let all = get_info(b, true)?;
            let mut apdu = message(0, &[4]);
            apdu.ne = 20;
            let mut answer = b.apdu(&apdu)?;
            let mut data = answer.data.clone();
            same(data.len(), 20, "the first portion")?;
            while answer.status.announced().is_some() {
                let mut more = CommandApdu::new(0, ins::GET_RESPONSE, 0, 0);
                more.ne = 50;
                answer = b.apdu(&more)?;
                ensure(answer.data.len() <= 50, "a portion is too large")?;
                data.extend_from_slice(&answer.data);
            }
            same(data == all, true, "the answer is the same")
        },
    ),
    check(
        "card.rest-forgotten",
        RESPONSE,
        "Another command means that the rest is not wanted",
        CTAP,
        |b| {
            selected(b)?;
            let mut apdu = message(0, &[4]);
            apdu.ne = 20;
            b.apdu(&apdu)?;
            get_info(b, true)?;
            let answer = b.apdu(&CommandApdu::new(0, ins::GET_RESPONSE, 0, 0))?;
            ensure(answer.status.0 != 0x9000, "there is a rest")
        },
    ),
    check(
        "card.poll",
        POLL,
        "A reader that can ask again is told to while a person is waited for",
        &[Card, Ctap2, Told],
        |b| {
            selected(b)?;
            let mut request = b.mc();
            b.authorise_mc(&mut request)?;
            b.person(Person::Absent)?;
            let bytes = ctap::request_bytes(ctap::Command::MakeCredential, &request.encode());
            let answer = b.apdu(&message(P1_POLLS, &bytes))?;
            same(answer.status.0, 0x9100, "the status word")?;
            same(answer.data.len(), 1, "the length of the keep-alive")
        },
    ),
    check(
        "card.poll-cancel",
        POLL,
        "It can cancel, and gets the answer",
        &[Card, Ctap2, Told],
        |b| {
            selected(b)?;
            let mut request = b.mc();
            b.authorise_mc(&mut request)?;
            b.person(Person::Absent)?;
            let bytes = ctap::request_bytes(ctap::Command::MakeCredential, &request.encode());
            same(
                b.apdu(&message(P1_POLLS, &bytes))?.status.0,
                0x9100,
                "the status word",
            )?;
            let answer = b.apdu(&CommandApdu::new(0x80, ins::NFCCTAP_GETRESPONSE, 0x11, 0))?;
            same(answer.status.0, 0x9000, "the status word")?;
            same(&answer.data[..], &[0x2d][..], "the CTAP status")
        },
    ),
    check(
        "card.poll-nothing",
        POLL,
        "Asking again with nothing under way is refused",
        CTAP,
        |b| {
            selected(b)?;
            let answer = b.apdu(&CommandApdu::new(0x80, ins::NFCCTAP_GETRESPONSE, 0, 0))?;
            ensure(
                answer.status.0 != 0x9000 && answer.status.0 != 0x9100,
                format!("{:04X}", answer.status.0),
            )
        },
    ),
    check(
        "card.no-poll-asked",
        POLL,
        "A reader that cannot ask again is kept waiting, and gets the answer",
        &[Card, Ctap2, Told],
        |b| {
            selected(b)?;
            let mut request = b.mc();
            b.authorise_mc(&mut request)?;
            let bytes = ctap::request_bytes(ctap::Command::MakeCredential, &request.encode());
            let answer = b.apdu(&message(0, &bytes))?;
            ensure(
                answer.status.0 == 0x9000 || answer.status.announced().is_some(),
                format!("{:04X}", answer.status.0),
            )
        },
    ),
    check(
        "card.u2f",
        "CTAP 2.3 §11.3.4",
        "U2F is spoken on the same card",
        &[Card, U2f],
        |b| {
            selected(b)?;
            let answer = b.apdu(&CommandApdu::new(0, 3, 0, 0))?;
            same(&answer.data[..], &b"U2F_V2"[..], "the version")
        },
    ),
    check(
        "card.end",
        "CTAP 2.3 §11.3.6",
        "NFCCTAP_CONTROL ends the session",
        CTAP,
        |b| {
            selected(b)?;
            word(
                b,
                &CommandApdu::new(0x80, ins::NFCCTAP_CONTROL, 1, 0),
                0x9000,
            )?;
            let answer = b.apdu(&message(0, &[4]))?;
            unanswered(&answer)
        },
    ),
];
