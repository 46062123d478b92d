//! The device's behaviour, packet by packet.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const T0: Duration = Duration::ZERO;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An initialization packet with freely chosen length field.
fn init_packet(channel: u32, command: Command, length: u16, data: &[u8]) -> Report {
    let [high, low] = length.to_be_bytes();
    super::super::report(channel, &[command.0 | 0x80, high, low], data)
}

fn cont_packet(channel: u32, sequence: u8) -> Report {
    super::super::report(channel, &[sequence], &[sequence; 59])
}

fn open(device: &mut Device, now: Duration) -> u32 {
    match device
        .receive(&init_packet(BROADCAST, Command::INIT, 8, &[9; 8]), now)
        .as_slice()
    {
        [Event::Send(r)] => {
            assert_eq!(r[..7], [255, 255, 255, 255, 0x86, 0, 17]);
            assert_eq!(r[7..15], [9; 8]);
            u32::from_be_bytes(r[15..19].try_into().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn device() -> (Device, u32, u32) {
    let mut device = Device::new(Settings::default());
    let a = open(&mut device, T0);
    let b = open(&mut device, T0);
    assert_ne!(a, b);
    (device, a, b)
}

/// The only event is an error report; its code.
fn error_code(channel: u32, events: &[Event]) -> ErrorCode {
    match events {
        [Event::Send(r)] if r[..4] == channel.to_be_bytes() && r[4..7] == [0xBF, 0, 1] => {
            ErrorCode(r[7])
        }
        other => panic!("{other:?}"),
    }
}

fn is_ok(channel: u32, command: Command, events: &[Event]) -> bool {
    matches!(events, [Event::Send(r)] if r[..4] == channel.to_be_bytes() && r[4] == command.0 | 0x80)
}

fn ping(device: &mut Device, channel: u32, now: Duration) -> Vec<Event> {
    device.receive(&init_packet(channel, Command::PING, 1, &[5]), now)
}

fn lock(device: &mut Device, channel: u32, seconds: u8, now: Duration) -> Vec<Event> {
    device.receive(&init_packet(channel, Command::LOCK, 1, &[seconds]), now)
}

/// Starts a CBOR request that stays under way.
fn start_cbor(device: &mut Device, channel: u32) {
    let events = device.receive(&init_packet(channel, Command::CBOR, 1, &[4]), T0);
    assert_eq!(
        events,
        [Event::Message {
            channel,
            command: Command::CBOR,
            payload: vec![4]
        }]
    );
}

#[test]
fn init_reports_version_and_capabilities() {
    let settings = Settings {
        version: [5, 6, 7],
        first_channel: 0x0102_0304,
        ..Settings::default()
    };
    let mut device = Device::new(settings);
    let events = device.receive(&init_packet(BROADCAST, Command::INIT, 8, &[1; 8]), T0);
    let expected = [&[1; 8][..], &[1, 2, 3, 4, 2, 5, 6, 7, 5]].concat();
    assert_eq!(
        events,
        [Event::Send(init_packet(
            BROADCAST,
            Command::INIT,
            17,
            &expected
        ))]
    );
}

#[test]
fn init_of_another_length_is_refused() {
    let (mut device, a, _) = device();
    for length in [0, 7, 9, 64] {
        for channel in [BROADCAST, a] {
            let events = device.receive(&init_packet(channel, Command::INIT, length, &[]), T0);
            assert_eq!(error_code(channel, &events), ErrorCode::INVALID_LEN);
        }
    }
}

#[test]
fn channels_skip_zero_and_broadcast() {
    let mut device = Device::new(Settings {
        first_channel: 0xFFFF_FFFE,
        ..Settings::default()
    });
    let given: Vec<u32> = (0..3).map(|_| open(&mut device, T0)).collect();
    assert_eq!(given, [0xFFFF_FFFE, 1, 2]);
    for channel in given {
        assert!(is_ok(
            channel,
            Command::PING,
            &ping(&mut device, channel, T0)
        ));
    }
    assert_eq!(
        error_code(3, &ping(&mut device, 3, T0)),
        ErrorCode::INVALID_CHANNEL
    );
}

#[test]
fn channels_run_out_at_last() {
    let mut device = Device::new(Settings::default());
    device.allocated = u32::MAX;
    let events = device.receive(&init_packet(BROADCAST, Command::INIT, 8, &[9; 8]), T0);
    assert_eq!(error_code(BROADCAST, &events), ErrorCode::CHANNEL_BUSY);
}

#[test]
fn reserved_and_unknown_channels_are_invalid() {
    let (mut device, ..) = device();
    assert_eq!(
        error_code(0, &ping(&mut device, 0, T0)),
        ErrorCode::INVALID_CHANNEL
    );
    assert_eq!(
        error_code(BROADCAST, &ping(&mut device, BROADCAST, T0)),
        ErrorCode::INVALID_CHANNEL
    );
    assert_eq!(
        error_code(77, &ping(&mut device, 77, T0)),
        ErrorCode::INVALID_CHANNEL
    );
    for channel in [0, 77] {
        let events = device.receive(&init_packet(channel, Command::INIT, 8, &[1; 8]), T0);
        assert_eq!(error_code(channel, &events), ErrorCode::INVALID_CHANNEL);
    }
}

#[test]
fn any_channel_works_when_the_settings_say_so() {
    let mut device = Device::new(Settings {
        any_channel: true,
        ..Settings::default()
    });
    assert!(is_ok(77, Command::PING, &ping(&mut device, 77, T0)));
    let events = device.receive(&init_packet(77, Command::INIT, 8, &[1; 8]), T0);
    assert!(is_ok(77, Command::INIT, &events));
    assert_eq!(
        error_code(0, &ping(&mut device, 0, T0)),
        ErrorCode::INVALID_CHANNEL
    );
}

#[test]
fn ping_echoes_up_to_the_limit() {
    let (mut device, a, _) = device();
    let payload: Vec<u8> = (0..MAX_PAYLOAD)
        .map(|i| u8::try_from(i % 256).unwrap())
        .collect();
    for length in [0, 1, 57, 58, MAX_PAYLOAD] {
        let reports = fragment(a, Command::PING, &payload[..length]);
        let mut events = Vec::new();
        for report in &reports {
            assert!(events.is_empty(), "nothing is said before the last packet");
            events = device.receive(report, T0);
        }
        let expected: Vec<Event> = reports.into_iter().map(Event::Send).collect();
        assert_eq!(events, expected, "{length}");
    }
}

#[test]
fn too_long_is_said_at_the_first_packet() {
    let (mut device, a, _) = device();
    for command in [Command::PING, Command::CBOR, Command::MSG] {
        let events = device.receive(&init_packet(a, command, 7610, &[]), T0);
        assert_eq!(error_code(a, &events), ErrorCode::INVALID_LEN);
    }
    assert!(is_ok(a, Command::PING, &ping(&mut device, a, T0)));
}

#[test]
fn lengths_that_do_not_fit_the_command_are_refused() {
    let (mut device, a, _) = device();
    for (command, length) in [
        (Command::CBOR, 0),
        (Command::MSG, 0),
        (Command::LOCK, 0),
        (Command::LOCK, 2),
        (Command::WINK, 1),
    ] {
        let events = device.receive(&init_packet(a, command, length, &[1; 2]), T0);
        assert_eq!(
            error_code(a, &events),
            ErrorCode::INVALID_LEN,
            "{command:?} {length}"
        );
    }
}

#[test]
fn unknown_commands_and_those_of_the_other_direction_are_refused() {
    let (mut device, a, _) = device();
    for code in [0x00, 0x02, 0x05, 0x20, 0x3B, 0x3C, 0x3F, 0x40, 0x66, 0x7F] {
        let events = device.receive(&init_packet(a, Command(code), 0, &[]), T0);
        assert_eq!(error_code(a, &events), ErrorCode::INVALID_CMD, "{code:#x}");
    }
}

#[test]
fn commands_follow_the_capabilities() {
    let capabilities = Capabilities::NMSG;
    let mut device = Device::new(Settings {
        capabilities,
        ..Settings::default()
    });
    let a = open(&mut device, T0);
    for command in [Command::MSG, Command::CBOR, Command::WINK] {
        let events = device.receive(&init_packet(a, command, 0, &[]), T0);
        assert_eq!(
            error_code(a, &events),
            ErrorCode::INVALID_CMD,
            "{command:?}"
        );
    }
}

#[test]
fn a_request_is_gathered_handed_out_and_answered() {
    let (mut device, a, _) = device();
    let mut reports = fragment(a, Command::CBOR, &[8; 150]);
    let last = reports.pop().unwrap();
    for report in &reports {
        assert_eq!(device.receive(report, T0), []);
    }
    let message = Event::Message {
        channel: a,
        command: Command::CBOR,
        payload: vec![8; 150],
    };
    assert_eq!(device.receive(&last, T0), [message]);
    assert_eq!(device.processing(), Some(a));
    assert_eq!(
        device.keepalive(a, 2),
        Some(init_packet(a, Command::KEEPALIVE, 1, &[2]))
    );
    assert_eq!(
        device.reply(a, Command::CBOR, &[0; 60]),
        fragment(a, Command::CBOR, &[0; 60])
    );
    assert_eq!(device.keepalive(a, 2), None);
    assert_eq!(
        device.reply(a, Command::CBOR, &[0]),
        Vec::<Report>::new(),
        "answered already"
    );
    assert_eq!(device.processing(), None);
}

#[test]
fn an_answer_that_does_not_fit_is_an_error() {
    let (mut device, a, _) = device();
    start_cbor(&mut device, a);
    let reports = device.reply(a, Command::CBOR, &[0; MAX_PAYLOAD + 1]);
    assert_eq!(reports, [init_packet(a, Command::ERROR, 1, &[0x7F])]);
    start_cbor(&mut device, a);
    let reports = device.fail(a, ErrorCode::OTHER);
    assert_eq!(reports, [init_packet(a, Command::ERROR, 1, &[0x7F])]);
    assert_eq!(device.fail(a, ErrorCode::OTHER), Vec::<Report>::new());
}

#[test]
fn u2f_messages_get_no_keepalive() {
    let (mut device, a, _) = device();
    let events = device.receive(&init_packet(a, Command::MSG, 4, &[0, 3, 0, 0]), T0);
    assert!(matches!(
        events.as_slice(),
        [Event::Message {
            command: Command::MSG,
            ..
        }]
    ));
    assert_eq!(device.keepalive(a, 2), None);
    assert_eq!(
        device.reply(a, Command::CBOR, &[1]),
        Vec::<Report>::new(),
        "another command"
    );
    assert_eq!(device.reply(a, Command::MSG, &[1]).len(), 1);
}

#[test]
fn a_skipped_packet_ends_the_message() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 300, &[]), T0);
    assert_eq!(device.receive(&cont_packet(a, 0), T0), []);
    assert_eq!(
        error_code(a, &device.receive(&cont_packet(a, 2), T0)),
        ErrorCode::INVALID_SEQ
    );
    assert_eq!(
        device.receive(&cont_packet(a, 1), T0),
        [],
        "over and forgotten"
    );
    assert_eq!(device.tick(ms(10_000)), []);
}

#[test]
fn a_repeated_packet_ends_the_message() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 300, &[]), T0);
    device.receive(&cont_packet(a, 0), T0);
    assert_eq!(
        error_code(a, &device.receive(&cont_packet(a, 0), T0)),
        ErrorCode::INVALID_SEQ
    );
}

#[test]
fn a_new_message_in_the_middle_ends_the_first_and_is_not_taken() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 99, &[]), T0);
    let events = device.receive(&init_packet(a, Command::PING, 99, &[]), T0);
    assert_eq!(error_code(a, &events), ErrorCode::INVALID_SEQ);
    assert_eq!(device.tick(ms(10_000)), [], "nothing is under way");
}

#[test]
fn a_spurious_continuation_is_ignored() {
    let (mut device, a, _) = device();
    assert_eq!(device.receive(&cont_packet(a, 0), T0), []);
    assert_eq!(device.receive(&cont_packet(77, 0), T0), []);
    assert_eq!(device.receive(&cont_packet(BROADCAST, 0), T0), []);
}

#[test]
fn a_stalled_message_times_out_after_half_a_second() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 1024, &[]), ms(100));
    assert_eq!(device.deadline(), Some(ms(600)));
    device.receive(&cont_packet(a, 0), ms(300));
    assert_eq!(device.tick(ms(799)), []);
    assert_eq!(error_code(a, &device.tick(ms(800))), ErrorCode::MSG_TIMEOUT);
    assert_eq!(device.deadline(), None);
    assert_eq!(device.receive(&cont_packet(a, 1), ms(801)), []);
}

#[test]
fn a_dripping_message_times_out_after_three_seconds() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 7609, &[]), T0);
    for i in 0..7 {
        assert_eq!(
            device.receive(&cont_packet(a, i), ms(400 * (u64::from(i) + 1))),
            []
        );
    }
    assert_eq!(device.deadline(), Some(ms(3000)));
    let events = device.receive(&cont_packet(a, 7), ms(3000));
    assert_eq!(error_code(a, &events), ErrorCode::MSG_TIMEOUT);
}

#[test]
fn a_late_packet_of_another_message_first_sees_the_timeout() {
    let (mut device, a, b) = device();
    device.receive(&init_packet(a, Command::PING, 1024, &[]), T0);
    let events = ping(&mut device, b, ms(700));
    assert_eq!(error_code(a, &events[..1]), ErrorCode::MSG_TIMEOUT);
    assert!(is_ok(b, Command::PING, &events[1..]));
}

#[test]
fn others_are_busy_while_packets_are_missing() {
    let (mut device, a, b) = device();
    device.receive(&init_packet(a, Command::PING, 99, &[1; 57]), T0);
    assert_eq!(
        error_code(b, &ping(&mut device, b, T0)),
        ErrorCode::CHANNEL_BUSY
    );
    assert_eq!(
        error_code(77, &ping(&mut device, 77, T0)),
        ErrorCode::CHANNEL_BUSY,
        "unknown channel"
    );
    let events = device.receive(&init_packet(b, Command::LOCK, 1, &[1]), T0);
    assert_eq!(error_code(b, &events), ErrorCode::CHANNEL_BUSY);
    assert_eq!(
        device.receive(&cont_packet(b, 0), T0),
        [],
        "its continuation is ignored"
    );
    let events = device.receive(&cont_packet(a, 0), T0);
    assert_eq!(
        events.len(),
        2,
        "the first message came through: {events:?}"
    );
}

#[test]
fn everybody_is_busy_while_a_request_is_processed() {
    let (mut device, a, b) = device();
    start_cbor(&mut device, a);
    assert_eq!(
        error_code(b, &ping(&mut device, b, T0)),
        ErrorCode::CHANNEL_BUSY
    );
    assert_eq!(
        error_code(a, &ping(&mut device, a, T0)),
        ErrorCode::CHANNEL_BUSY
    );
    assert_eq!(device.receive(&cont_packet(a, 0), T0), []);
    assert_eq!(device.tick(ms(60_000)), [], "working has no time-out here");
    assert_eq!(
        device.reply(b, Command::CBOR, &[0]),
        Vec::<Report>::new(),
        "not its request"
    );
    assert_eq!(device.reply(a, Command::CBOR, &[0]).len(), 1);
    assert!(is_ok(b, Command::PING, &ping(&mut device, b, T0)));
}

#[test]
fn init_on_broadcast_works_while_another_transaction_runs() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 99, &[]), T0);
    let c = open(&mut device, T0);
    assert_eq!(
        error_code(c, &ping(&mut device, c, T0)),
        ErrorCode::CHANNEL_BUSY
    );
    assert_eq!(device.receive(&cont_packet(a, 0), T0).len(), 2);
    start_cbor(&mut device, a);
    let d = open(&mut device, T0);
    assert_eq!(device.processing(), Some(a));
    assert_eq!(
        error_code(d, &ping(&mut device, d, T0)),
        ErrorCode::CHANNEL_BUSY
    );
}

#[test]
fn init_on_another_channel_does_not_abort() {
    let (mut device, a, b) = device();
    start_cbor(&mut device, a);
    let events = device.receive(&init_packet(b, Command::INIT, 8, &[1; 8]), T0);
    assert!(is_ok(b, Command::INIT, &events));
    assert_eq!(device.processing(), Some(a));
}

#[test]
fn init_on_its_own_channel_resynchronises() {
    let (mut device, a, _) = device();
    device.receive(&init_packet(a, Command::PING, 1024, &[]), T0);
    let events = device.receive(&init_packet(a, Command::INIT, 8, &[3; 8]), T0);
    match events.as_slice() {
        [Event::Send(r)] => {
            assert_eq!(r[..4], a.to_be_bytes());
            assert_eq!(r[7..15], [3; 8]);
            assert_eq!(r[15..19], a.to_be_bytes(), "the channel stays");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(device.receive(&cont_packet(a, 0), T0), []);
    assert_eq!(device.tick(ms(10_000)), []);
}

#[test]
fn init_on_its_own_channel_aborts_a_running_request() {
    let (mut device, a, _) = device();
    start_cbor(&mut device, a);
    let events = device.receive(&init_packet(a, Command::INIT, 8, &[3; 8]), T0);
    assert_eq!(events.first(), Some(&Event::Abort { channel: a }));
    assert!(is_ok(a, Command::INIT, &events[1..]));
    assert_eq!(
        device.reply(a, Command::CBOR, &[0]),
        Vec::<Report>::new(),
        "not wanted any more"
    );
    start_cbor(&mut device, a);
}

#[test]
fn cancel_reaches_only_the_running_request_of_its_channel() {
    let (mut device, a, b) = device();
    let cancel = |channel| init_packet(channel, Command::CANCEL, 0, &[]);
    assert_eq!(device.receive(&cancel(a), T0), [], "nothing to cancel");
    start_cbor(&mut device, a);
    for channel in [b, 77, BROADCAST, 0] {
        assert_eq!(device.receive(&cancel(channel), T0), [], "{channel:#x}");
    }
    assert_eq!(
        device.receive(&cancel(a), T0),
        [Event::Cancel { channel: a }]
    );
    assert_eq!(
        device.reply(a, Command::CBOR, &[0x2D]).len(),
        1,
        "the request still gets its answer"
    );
    assert_eq!(device.receive(&cancel(a), T0), []);
}

#[test]
fn cancel_does_not_disturb_a_message_on_its_way_nor_a_u2f_request() {
    let (mut device, a, _) = device();
    let cancel = init_packet(a, Command::CANCEL, 0, &[]);
    device.receive(&init_packet(a, Command::PING, 99, &[]), T0);
    assert_eq!(device.receive(&cancel, T0), []);
    assert_eq!(device.receive(&cont_packet(a, 0), T0).len(), 2);
    device.receive(&init_packet(a, Command::MSG, 4, &[0, 3, 0, 0]), T0);
    assert_eq!(device.receive(&cancel, T0), []);
}

#[test]
fn wink_is_shown_and_confirmed() {
    let (mut device, a, _) = device();
    let wink = init_packet(a, Command::WINK, 0, &[]);
    assert_eq!(
        device.receive(&wink, T0),
        [Event::Wink { channel: a }, Event::Send(wink)]
    );
}

#[test]
fn a_lock_keeps_others_out_until_its_time_is_over() {
    let (mut device, a, b) = device();
    assert!(is_ok(a, Command::LOCK, &lock(&mut device, a, 3, T0)));
    assert!(is_ok(a, Command::PING, &ping(&mut device, a, ms(100))));
    assert_eq!(
        error_code(b, &ping(&mut device, b, ms(2999))),
        ErrorCode::CHANNEL_BUSY
    );
    assert_eq!(
        error_code(b, &lock(&mut device, b, 0, ms(2999))),
        ErrorCode::CHANNEL_BUSY
    );
    assert!(is_ok(b, Command::PING, &ping(&mut device, b, ms(3000))));
}

#[test]
fn a_lock_is_released_by_zero_and_prolonged_by_another_lock() {
    let (mut device, a, b) = device();
    lock(&mut device, a, 10, T0);
    lock(&mut device, a, 10, ms(9000));
    assert_eq!(
        error_code(b, &ping(&mut device, b, ms(18_999))),
        ErrorCode::CHANNEL_BUSY
    );
    assert!(is_ok(
        a,
        Command::LOCK,
        &lock(&mut device, a, 0, ms(18_999))
    ));
    assert!(is_ok(b, Command::PING, &ping(&mut device, b, ms(18_999))));
    assert!(
        is_ok(b, Command::LOCK, &lock(&mut device, b, 0, ms(19_000))),
        "nothing to release"
    );
}

#[test]
fn a_lock_of_more_than_ten_seconds_is_refused_and_changes_nothing() {
    let (mut device, a, b) = device();
    assert_eq!(
        error_code(a, &lock(&mut device, a, 11, T0)),
        ErrorCode::INVALID_PAR
    );
    assert!(is_ok(b, Command::PING, &ping(&mut device, b, T0)));
    lock(&mut device, a, 10, T0);
    assert_eq!(
        error_code(a, &lock(&mut device, a, 255, T0)),
        ErrorCode::INVALID_PAR
    );
    assert_eq!(
        error_code(b, &ping(&mut device, b, ms(9_999))),
        ErrorCode::CHANNEL_BUSY
    );
}

#[test]
fn a_foreign_init_gets_a_channel_but_not_past_the_lock() {
    let (mut device, a, b) = device();
    lock(&mut device, a, 10, T0);
    let c = open(&mut device, T0);
    let events = device.receive(&init_packet(b, Command::INIT, 8, &[1; 8]), T0);
    assert!(is_ok(b, Command::INIT, &events));
    for channel in [b, c] {
        assert_eq!(
            error_code(channel, &ping(&mut device, channel, T0)),
            ErrorCode::CHANNEL_BUSY
        );
        let events = device.receive(&init_packet(channel, Command::CBOR, 1, &[4]), T0);
        assert_eq!(error_code(channel, &events), ErrorCode::CHANNEL_BUSY);
    }
    assert!(is_ok(a, Command::PING, &ping(&mut device, a, T0)));
}

#[test]
fn resynchronising_the_holder_keeps_the_lock() {
    let (mut device, a, b) = device();
    lock(&mut device, a, 10, T0);
    device.receive(&init_packet(a, Command::INIT, 8, &[1; 8]), T0);
    assert_eq!(
        error_code(b, &ping(&mut device, b, T0)),
        ErrorCode::CHANNEL_BUSY
    );
}
