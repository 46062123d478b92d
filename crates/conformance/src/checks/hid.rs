//! CTAP 2.3 §11.2 CTAPHID: channels, packets, arbitration, time-outs.

use core::time::Duration;

use ctap::hid::{BROADCAST, Command, ErrorCode, MAX_PAYLOAD, Report};

use crate::bench::{Bench, present};
use crate::check::Need::{self, Clock, Ctap2, Person as Told, Reports};
use crate::check::{Check, Outcome, check, ensure, failed, same};
use crate::subject::Person;
use crate::wires::{Heard, first, is_error, later};

const INIT: &str = "CTAP 2.3 §11.2.9.1.3";
const PACKETS: &str = "CTAP 2.3 §11.2.4";
const ARBITRATION: &str = "CTAP 2.3 §11.2.5";
const ERRORS: &str = "CTAP 2.3 §11.2.9.1.6";
const PING: &str = "CTAP 2.3 §11.2.9.1.4";
const CANCEL: &str = "CTAP 2.3 §11.2.9.1.5";
const LOCK: &str = "CTAP 2.3 §11.2.9.2.2";
const NEEDS: &[Need] = &[Reports];
const WAITS: &[Need] = &[Reports, Ctap2, Told];

/// A message cut into reports.
fn packets(channel: u32, command: u8, payload: &[u8]) -> Vec<Report> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let (head, rest) = payload.split_at(payload.len().min(57));
    let mut all = vec![first(channel, command, length, head)];
    all.extend(
        (0..)
            .zip(rest.chunks(59))
            .map(|(n, part)| later(channel, n, part)),
    );
    all
}

/// The whole message that begins with the next report.
fn whole(b: &mut Bench<'_>) -> Outcome<(Heard, Vec<u8>)> {
    let heard = b.hear(Duration::from_secs(2))?;
    let heard = present("an answer", heard)?;
    let mut data = heard.data.clone();
    let mut sequence = 0;
    while data.len() < heard.length {
        let report = present("a packet", b.key.receive_report(Duration::from_secs(1))?)?;
        same(report[4], sequence, "the sequence number")?;
        same(
            report[..4] == heard.channel.to_be_bytes(),
            true,
            "the channel stays",
        )?;
        let left = heard.length - data.len();
        data.extend_from_slice(&report[5..5 + left.min(59)]);
        sequence += 1;
    }
    Ok((heard, data))
}

fn echo(b: &mut Bench<'_>, length: usize) -> Outcome {
    let channel = b.new_channel()?;
    let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
    for report in packets(channel, Command::PING.0, &payload) {
        b.report(&report)?;
    }
    let (heard, data) = whole(b)?;
    same(heard.command, Command::PING.0, "the command")?;
    same(data == payload, true, "the echo is what was sent")
}

/// A request that waits for a touch, on a channel of its own.
fn waiting(b: &mut Bench<'_>) -> Outcome<u32> {
    let channel = b.new_channel()?;
    let mut request = b.mc();
    b.authorise_mc(&mut request)?;
    b.person(Person::Absent)?;
    let message = ctap::request_bytes(ctap::Command::MakeCredential, &request.encode());
    for report in packets(channel, Command::CBOR.0, &message) {
        b.report(&report)?;
    }
    let keepalive = present(
        "a keep-alive",
        b.key.receive_report(Duration::from_secs(1))?,
    )?;
    same(
        keepalive[4],
        0x80 | Command::KEEPALIVE.0,
        "the command of the keep-alive",
    )?;
    Ok(channel)
}

fn begun_ping(channel: u32) -> Report {
    first(channel, Command::PING.0, 100, &[7; 57])
}

fn error(b: &mut Bench<'_>, report: &Report, channel: u32, code: ErrorCode) -> Outcome {
    b.expect_error(report, channel, code.0)
}

fn cancelled(b: &mut Bench<'_>, channel: u32) -> Outcome {
    let heard = present("an answer", b.hear(Duration::from_secs(2))?)?;
    same(
        (heard.channel, heard.command),
        (channel, Command::CBOR.0),
        "channel and command",
    )?;
    same(heard.data.first().copied(), Some(0x2d), "the status")
}

fn has_lock(b: &mut Bench<'_>, channel: u32) -> Outcome<bool> {
    let heard = b.tell(&first(channel, Command::LOCK.0, 1, &[0]))?;
    Ok(heard.command == Command::LOCK.0)
}

/// A lock for so many seconds; `false` when the key has none.
fn lock(b: &mut Bench<'_>, seconds: u8) -> Outcome<u32> {
    let channel = b.new_channel()?;
    if !has_lock(b, channel)? {
        return crate::check::not_applicable("the key has no LOCK, which is optional");
    }
    let heard = b.tell(&first(channel, Command::LOCK.0, 1, &[seconds]))?;
    same(heard.command, Command::LOCK.0, "the command of the answer")?;
    Ok(channel)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "hid.init",
        INIT,
        "INIT on broadcast gives a channel, with the nonce and the protocol version 2",
        NEEDS,
        |b| {
            let (channel, answer) = b.init(BROADCAST, [1, 2, 3, 4, 5, 6, 7, 8])?;
            ensure(channel != 0 && channel != BROADCAST, "no channel")?;
            same(answer[12], 2, "the protocol version")?;
            b.ping(channel)
        },
    ),
    check(
        "hid.init-differs",
        INIT,
        "Two INITs give two channels",
        NEEDS,
        |b| {
            let (one, two) = (b.new_channel()?, b.new_channel()?);
            ensure(one != two, "they are the same")?;
            b.ping(one)?;
            b.ping(two)
        },
    ),
    check(
        "hid.init-reserved-flags",
        INIT,
        "Only known capabilities are set",
        NEEDS,
        |b| {
            let (_, answer) = b.init(BROADCAST, [1; 8])?;
            same(answer[16] & !0x0d, 0, "other flags")
        },
    ),
    check(
        "hid.init-same-channel",
        INIT,
        "INIT on a channel keeps it",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            let (again, _) = b.init(channel, [3; 8])?;
            same(again, channel, "the channel")
        },
    ),
    check(
        "hid.init-short-nonce",
        INIT,
        "A nonce of seven bytes is refused",
        NEEDS,
        |b| {
            error(
                b,
                &first(BROADCAST, Command::INIT.0, 7, &[1; 7]),
                BROADCAST,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.init-long-nonce",
        INIT,
        "A nonce of nine bytes is refused",
        NEEDS,
        |b| {
            error(
                b,
                &first(BROADCAST, Command::INIT.0, 9, &[1; 9]),
                BROADCAST,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.init-resync",
        ARBITRATION,
        "INIT on a channel ends its unfinished message",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.report(&begun_ping(channel))?;
            b.init(channel, [4; 8])?;
            b.ping(channel)
        },
    ),
    check(
        "hid.init-while-receiving",
        ARBITRATION,
        "A new channel is given while another one is sending",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.report(&begun_ping(channel))?;
            b.new_channel()?;
            b.report(&later(channel, 0, &[7; 43]))?;
            same(whole(b)?.1.len(), 100, "the length of the echo")
        },
    ),
    check(
        "hid.init-while-waiting",
        ARBITRATION,
        "A new channel is given while a person is waited for",
        WAITS,
        |b| {
            let channel = waiting(b)?;
            b.new_channel()?;
            b.report(&first(channel, Command::CANCEL.0, 0, &[]))?;
            cancelled(b, channel)
        },
    ),
    check(
        "hid.init-aborts-waiting",
        ARBITRATION,
        "INIT on the channel that waits ends the wait",
        WAITS,
        |b| {
            let channel = waiting(b)?;
            b.init(channel, [5; 8])?;
            b.ping(channel)
        },
    ),
    check(
        "hid.ping-empty",
        PING,
        "An empty PING is echoed",
        NEEDS,
        |b| echo(b, 0),
    ),
    check(
        "hid.ping-57",
        PACKETS,
        "A message that fills one packet is echoed",
        NEEDS,
        |b| echo(b, 57),
    ),
    check(
        "hid.ping-58",
        PACKETS,
        "One byte more takes a second packet",
        NEEDS,
        |b| echo(b, 58),
    ),
    check(
        "hid.ping-116",
        PACKETS,
        "Two full packets are echoed",
        NEEDS,
        |b| echo(b, 116),
    ),
    check(
        "hid.ping-1024",
        PACKETS,
        "A kilobyte is echoed",
        NEEDS,
        |b| echo(b, 1024),
    ),
    check(
        "hid.ping-7609",
        PACKETS,
        "The longest message is echoed",
        NEEDS,
        |b| echo(b, MAX_PAYLOAD),
    ),
    check(
        "hid.too-long",
        ERRORS,
        "A message that announces more is refused",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            error(
                b,
                &first(channel, Command::PING.0, 7610, &[1; 57]),
                channel,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.unknown-command",
        ERRORS,
        "Unknown commands are refused",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            for command in [0x02, 0x05, 0x20, 0x3e] {
                error(
                    b,
                    &first(channel, command, 0, &[]),
                    channel,
                    ErrorCode::INVALID_CMD,
                )?;
            }
            Ok(())
        },
    ),
    check(
        "hid.channel-zero",
        ERRORS,
        "Channel 0 is reserved",
        NEEDS,
        |b| {
            error(
                b,
                &first(0, Command::PING.0, 1, &[1]),
                0,
                ErrorCode::INVALID_CHANNEL,
            )
        },
    ),
    check(
        "hid.broadcast-ping",
        ERRORS,
        "Only INIT is for the broadcast channel",
        NEEDS,
        |b| {
            error(
                b,
                &first(BROADCAST, Command::PING.0, 1, &[1]),
                BROADCAST,
                ErrorCode::INVALID_CHANNEL,
            )
        },
    ),
    check(
        "hid.unknown-channel",
        ERRORS,
        "A channel that was not given out is refused",
        &[Reports, Ctap2],
        |b| {
            let channel = b.new_channel()?.wrapping_add(0x0100_0000);
            error(
                b,
                &first(channel, Command::PING.0, 1, &[1]),
                channel,
                ErrorCode::INVALID_CHANNEL,
            )
        },
    ),
    check(
        "hid.empty-cbor",
        ERRORS,
        "An empty CBOR message has an invalid length",
        &[Reports, Ctap2],
        |b| {
            let channel = b.new_channel()?;
            error(
                b,
                &first(channel, Command::CBOR.0, 0, &[]),
                channel,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.empty-msg",
        ERRORS,
        "An empty MSG has an invalid length",
        &[Reports, Need::U2f],
        |b| {
            let channel = b.new_channel()?;
            error(
                b,
                &first(channel, Command::MSG.0, 0, &[]),
                channel,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.wrong-sequence",
        ARBITRATION,
        "A packet out of sequence ends the message",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.report(&begun_ping(channel))?;
            error(
                b,
                &later(channel, 1, &[7; 43]),
                channel,
                ErrorCode::INVALID_SEQ,
            )?;
            b.ping(channel)
        },
    ),
    check(
        "hid.repeated-sequence",
        ARBITRATION,
        "A packet that comes twice ends the message",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.report(&first(channel, Command::PING.0, 200, &[7; 57]))?;
            b.report(&later(channel, 0, &[7; 59]))?;
            error(
                b,
                &later(channel, 0, &[7; 59]),
                channel,
                ErrorCode::INVALID_SEQ,
            )
        },
    ),
    check(
        "hid.message-in-message",
        ARBITRATION,
        "A first packet in the middle of a message ends it",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.report(&begun_ping(channel))?;
            error(
                b,
                &first(channel, Command::PING.0, 1, &[1]),
                channel,
                ErrorCode::INVALID_SEQ,
            )?;
            b.ping(channel)
        },
    ),
    check(
        "hid.stray-packet",
        ARBITRATION,
        "A later packet that nobody waits for is passed over",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.expect_silence(&later(channel, 0, &[1; 59]))?;
            b.ping(channel)
        },
    ),
    check(
        "hid.other-channel-packet",
        ARBITRATION,
        "A later packet of another channel does not disturb a message",
        NEEDS,
        |b| {
            let (one, two) = (b.new_channel()?, b.new_channel()?);
            b.report(&begun_ping(one))?;
            b.expect_silence(&later(two, 0, &[1; 59]))?;
            b.report(&later(one, 0, &[7; 43]))?;
            same(whole(b)?.0.channel, one, "the channel of the echo")
        },
    ),
    check(
        "hid.busy-receiving",
        ARBITRATION,
        "While one channel sends, the key is busy for the others",
        NEEDS,
        |b| {
            let (one, two) = (b.new_channel()?, b.new_channel()?);
            b.report(&begun_ping(one))?;
            error(
                b,
                &first(two, Command::PING.0, 1, &[1]),
                two,
                ErrorCode::CHANNEL_BUSY,
            )?;
            b.report(&later(one, 0, &[7; 43]))?;
            same(whole(b)?.1.len(), 100, "the length of the echo")
        },
    ),
    check(
        "hid.busy-waiting",
        ARBITRATION,
        "While a person is waited for, the key is busy for the others",
        WAITS,
        |b| {
            let channel = waiting(b)?;
            let other = b.new_channel()?;
            error(
                b,
                &first(other, Command::CBOR.0, 1, &[4]),
                other,
                ErrorCode::CHANNEL_BUSY,
            )?;
            b.report(&first(channel, Command::CANCEL.0, 0, &[]))?;
            cancelled(b, channel)
        },
    ),
    check(
        "hid.packet-timeout",
        ARBITRATION,
        "A message whose packets do not come times out",
        &[Reports, Clock],
        |b| {
            let channel = b.new_channel()?;
            b.report(&begun_ping(channel))?;
            let heard = present("an error", b.hear(Duration::from_secs(5))?)?;
            is_error(&heard, channel, ErrorCode::MSG_TIMEOUT.0)?;
            b.ping(channel)
        },
    ),
    check(
        "hid.cancel",
        CANCEL,
        "CANCEL ends a wait: the request is answered, the CANCEL is not",
        WAITS,
        |b| {
            let channel = waiting(b)?;
            b.report(&first(channel, Command::CANCEL.0, 0, &[]))?;
            cancelled(b, channel)?;
            b.person(Person::Consents)?;
            match b.hear(Duration::from_millis(300))? {
                None => b.ping(channel),
                Some(heard) => failed(format!("{heard:?} after it")),
            }
        },
    ),
    check(
        "hid.cancel-other-channel",
        CANCEL,
        "CANCEL on another channel ends nothing",
        WAITS,
        |b| {
            let channel = waiting(b)?;
            let other = b.new_channel()?;
            b.expect_silence(&first(other, Command::CANCEL.0, 0, &[]))?;
            b.report(&first(channel, Command::CANCEL.0, 0, &[]))?;
            cancelled(b, channel)
        },
    ),
    check(
        "hid.cancel-nothing",
        CANCEL,
        "CANCEL with nothing to cancel is passed over",
        NEEDS,
        |b| {
            let channel = b.new_channel()?;
            b.expect_silence(&first(channel, Command::CANCEL.0, 0, &[]))?;
            b.ping(channel)
        },
    ),
    check(
        "hid.keepalive",
        "CTAP 2.3 §11.2.9.1.7",
        "Keep-alives come on the channel that waits, at least every 100 ms",
        &[Reports, Ctap2, Told, Clock],
        |b| {
            let channel = waiting(b)?;
            for _ in 0..3 {
                let report = b.key.receive_report(Duration::from_millis(101))?;
                let report = present("a keep-alive within 100 ms", report)?;
                same(
                    &report[..8],
                    &[&channel.to_be_bytes()[..], &[0xbb, 0, 1, 2]].concat()[..],
                    "the keep-alive",
                )?;
            }
            Ok(())
        },
    ),
    check(
        "hid.wink",
        "CTAP 2.3 §11.2.9.2.1",
        "WINK is answered, where INIT says that there is one",
        NEEDS,
        |b| {
            let (channel, answer) = b.init(BROADCAST, [1; 8])?;
            let report = first(channel, Command::WINK.0, 0, &[]);
            if answer[16] & 1 == 0 {
                return error(b, &report, channel, ErrorCode::INVALID_CMD);
            }
            let heard = b.tell(&report)?;
            same(
                (heard.command, heard.length),
                (Command::WINK.0, 0),
                "command and length",
            )
        },
    ),
    check(
        "hid.wink-length",
        ERRORS,
        "A WINK with data has an invalid length",
        NEEDS,
        |b| {
            let (channel, answer) = b.init(BROADCAST, [1; 8])?;
            if answer[16] & 1 == 0 {
                return crate::check::not_applicable("the key has no WINK");
            }
            error(
                b,
                &first(channel, Command::WINK.0, 1, &[1]),
                channel,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.lock",
        LOCK,
        "A LOCK keeps other channels out",
        NEEDS,
        |b| {
            let channel = lock(b, 5)?;
            let other = b.new_channel()?;
            error(
                b,
                &first(other, Command::PING.0, 1, &[1]),
                other,
                ErrorCode::CHANNEL_BUSY,
            )?;
            b.ping(channel)
        },
    ),
    check(
        "hid.lock-foreign-init",
        LOCK,
        "A foreign INIT does not open it",
        NEEDS,
        |b| {
            let channel = lock(b, 5)?;
            for _ in 0..2 {
                let other = b.new_channel()?;
                error(
                    b,
                    &first(other, Command::PING.0, 1, &[1]),
                    other,
                    ErrorCode::CHANNEL_BUSY,
                )?;
            }
            b.ping(channel)
        },
    ),
    check("hid.lock-released", LOCK, "LOCK 0 opens it", NEEDS, |b| {
        let channel = lock(b, 5)?;
        ensure(has_lock(b, channel)?, "LOCK 0 is refused")?;
        let other = b.new_channel()?;
        b.ping(other)
    }),
    check(
        "hid.lock-ends",
        LOCK,
        "A LOCK ends after its time",
        &[Reports, Clock],
        |b| {
            lock(b, 2)?;
            let other = b.new_channel()?;
            b.wait(2.1)?;
            b.ping(other)
        },
    ),
    check(
        "hid.lock-11",
        LOCK,
        "A LOCK of more than ten seconds is refused",
        NEEDS,
        |b| {
            let channel = lock(b, 0)?;
            error(
                b,
                &first(channel, Command::LOCK.0, 1, &[11]),
                channel,
                ErrorCode::INVALID_PAR,
            )
        },
    ),
    check(
        "hid.lock-length",
        ERRORS,
        "A LOCK has one byte",
        NEEDS,
        |b| {
            let channel = lock(b, 0)?;
            error(
                b,
                &first(channel, Command::LOCK.0, 2, &[1, 1]),
                channel,
                ErrorCode::INVALID_LEN,
            )
        },
    ),
    check(
        "hid.after-power-cycle",
        INIT,
        "Channels of before a power cycle are worth nothing",
        &[Reports, Ctap2, Need::Power],
        |b| {
            let channel = b.new_channel()?;
            b.power_cycle()?;
            error(
                b,
                &first(channel, Command::PING.0, 1, &[1]),
                channel,
                ErrorCode::INVALID_CHANNEL,
            )
        },
    ),
];
