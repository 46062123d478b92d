//! The card's behaviour, APDU by APDU.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn select(card: &mut Card) {
    let apdu = CommandApdu::new(0, ins::SELECT, 4, 0).with_data(FIDO_AID);
    let events = card.receive(&apdu.encode());
    assert!(matches!(events.last(), Some(Event::Respond(r)) if r.ends_with(&[0x90, 0])));
}

fn selected(settings: CardSettings) -> Card {
    let mut card = Card::new(settings);
    select(&mut card);
    card
}

fn sw(card: &mut Card, apdu: &[u8]) -> StatusWord {
    match card.receive(apdu).as_slice() {
        [Event::Respond(r)] if r.len() == 2 => ResponseApdu::decode(r).unwrap().status,
        other => panic!("{other:?}"),
    }
}

fn message(p1: u8, data: &[u8]) -> Vec<u8> {
    CommandApdu::new(0x80, ins::NFCCTAP_MSG, p1, 0)
        .with_data(data)
        .encode()
}

#[test]
fn select_answers_the_version_of_the_profile() {
    for (version, text) in [
        (AppletVersion::U2fV2, "U2F_V2"),
        (AppletVersion::Fido20, "FIDO_2_0"),
    ] {
        let mut card = Card::new(CardSettings {
            version,
            ..CardSettings::default()
        });
        let apdu = CommandApdu::new(0, ins::SELECT, 4, 0)
            .with_data(FIDO_AID)
            .encode();
        assert_eq!(
            card.receive(&apdu),
            [Event::Respond([text.as_bytes(), &[0x90, 0]].concat())]
        );
    }
}

#[test]
fn nothing_works_before_select() {
    let mut card = Card::new(CardSettings::default());
    assert_eq!(
        sw(&mut card, &message(0, &[4])),
        StatusWord::INS_NOT_SUPPORTED
    );
    assert_eq!(
        sw(&mut card, &[0, 3, 0, 0, 0]),
        StatusWord::INS_NOT_SUPPORTED
    );
    assert_eq!(
        sw(&mut card, &[0, 0xC0, 0, 0, 0]),
        StatusWord::INS_NOT_SUPPORTED
    );
}

#[test]
fn a_foreign_aid_is_not_found_and_keeps_the_selection() {
    let mut card = selected(CardSettings::default());
    let longer = [&FIDO_AID[..], b"1234"].concat();
    for aid in [&longer[..], &FIDO_AID[..7], &[]] {
        let apdu = CommandApdu::new(0, ins::SELECT, 4, 0)
            .with_data(aid)
            .encode();
        assert_eq!(sw(&mut card, &apdu), StatusWord::FILE_NOT_FOUND);
    }
    assert_eq!(card.receive(&message(0, &[4])), [Event::Message(vec![4])]);
}

#[test]
fn select_by_name_only() {
    let mut card = Card::new(CardSettings::default());
    for (p1, p2) in [(0, 0), (4, 1), (4, 0x10)] {
        let apdu = CommandApdu::new(0, ins::SELECT, p1, p2)
            .with_data(FIDO_AID)
            .encode();
        assert_eq!(sw(&mut card, &apdu), StatusWord::INCORRECT_P1_P2);
    }
    let apdu = CommandApdu::new(0, ins::SELECT, 4, 0x0C)
        .with_data(FIDO_AID)
        .encode();
    assert_eq!(
        card.receive(&apdu),
        [Event::Respond(b"U2F_V2\x90\0".to_vec())]
    );
}

#[test]
fn unknown_commands_get_their_status_word() {
    let mut card = selected(CardSettings::default());
    for (apdu, status) in [
        (&[0x00, 0x00, 0, 0][..], StatusWord::INS_NOT_SUPPORTED),
        (&[0x80, 0x77, 0, 0], StatusWord::INS_NOT_SUPPORTED),
        (&[0x80, 0x01, 0, 0], StatusWord::INS_NOT_SUPPORTED),
        (&[0x90, 0x77, 0, 0], StatusWord::INS_NOT_SUPPORTED),
        (&[0xFF, 0x10, 0, 0, 0], StatusWord::CLA_NOT_SUPPORTED),
        (&[0x81, 0x10, 0, 0, 1, 4], StatusWord::CLA_NOT_SUPPORTED),
        (&[0x80, 0x10, 1, 0, 1, 4], StatusWord::INCORRECT_P1_P2),
        (&[0x80, 0x10, 0, 1, 1, 4], StatusWord::INCORRECT_P1_P2),
        (&[0x80, 0x10, 0, 0], StatusWord::WRONG_LENGTH),
        (&[0x80, 0x11, 2, 0], StatusWord::INCORRECT_P1_P2),
        (&[0x80, 0x12, 2, 0], StatusWord::INCORRECT_P1_P2),
        (&[0x80, 0x10, 0], StatusWord::WRONG_LENGTH),
    ] {
        assert_eq!(sw(&mut card, apdu), status, "{apdu:02x?}");
    }
}

#[test]
fn a_u2f_only_card_knows_no_nfcctap_msg_and_a_ctap2_card_no_u2f() {
    let mut card = selected(CardSettings {
        ctap2: false,
        ..CardSettings::default()
    });
    assert_eq!(
        sw(&mut card, &message(0, &[4])),
        StatusWord::INS_NOT_SUPPORTED
    );
    let version = AppletVersion::Fido20;
    let mut card = selected(CardSettings {
        version,
        ..CardSettings::default()
    });
    assert_eq!(
        sw(&mut card, &[0, 3, 0, 0, 0]),
        StatusWord::INS_NOT_SUPPORTED
    );
}

#[test]
fn short_chains_and_extended_apdus_give_the_same_message() {
    let data: Vec<u8> = (0..700_u16).map(|i| i.to_be_bytes()[1]).collect();
    let mut card = selected(CardSettings::default());
    for part in [&data[..250], &data[250..500]] {
        let apdu = CommandApdu::new(0x90, ins::NFCCTAP_MSG, 0x80, 0)
            .with_data(part)
            .encode();
        assert_eq!(sw(&mut card, &apdu), StatusWord::NO_ERROR);
    }
    assert_eq!(
        card.receive(&message(0x80, &data[500..])),
        [Event::Message(data.clone())]
    );
    assert!(card.reply(&[0]).is_some());
    assert_eq!(
        card.receive(&message(0x80, &data)),
        [Event::Message(data.clone())]
    );
}

#[test]
fn the_last_part_of_a_chain_may_be_empty() {
    let mut card = selected(CardSettings::default());
    let apdu = CommandApdu::new(0x90, ins::NFCCTAP_MSG, 0, 0)
        .with_data([4])
        .encode();
    assert_eq!(sw(&mut card, &apdu), StatusWord::NO_ERROR);
    assert_eq!(
        card.receive(&[0x80, 0x10, 0, 0, 0]),
        [Event::Message(vec![4])]
    );
}

#[test]
fn a_broken_chain_is_said_once_and_forgotten() {
    let mut card = selected(CardSettings::default());
    let part = CommandApdu::new(0x90, ins::NFCCTAP_MSG, 0x80, 0)
        .with_data([1])
        .encode();
    assert_eq!(sw(&mut card, &part), StatusWord::NO_ERROR);
    assert_eq!(
        sw(&mut card, &[0, 3, 0, 0, 0]),
        StatusWord::LAST_COMMAND_EXPECTED
    );
    assert!(matches!(
        card.receive(&[0, 3, 0, 0, 0]).as_slice(),
        [Event::U2f(_)]
    ));
    assert!(card.reply(&[0x90, 0]).is_some());

    assert_eq!(sw(&mut card, &part), StatusWord::NO_ERROR);
    assert_eq!(
        sw(&mut card, &message(0, &[9])),
        StatusWord::LAST_COMMAND_EXPECTED,
        "other P1"
    );
    assert_eq!(card.receive(&message(0, &[9])), [Event::Message(vec![9])]);
}

#[test]
fn select_ends_a_chain() {
    let mut card = selected(CardSettings::default());
    let part = CommandApdu::new(0x90, ins::NFCCTAP_MSG, 0, 0)
        .with_data([1])
        .encode();
    assert_eq!(sw(&mut card, &part), StatusWord::NO_ERROR);
    select(&mut card);
    assert_eq!(card.receive(&message(0, &[4])), [Event::Message(vec![4])]);
}

#[test]
fn a_chain_cannot_grow_without_bound() {
    let mut card = selected(CardSettings {
        max_message: 600,
        ..CardSettings::default()
    });
    let part = CommandApdu::new(0x90, ins::NFCCTAP_MSG, 0, 0)
        .with_data(vec![1; 250])
        .encode();
    assert_eq!(sw(&mut card, &part), StatusWord::NO_ERROR);
    assert_eq!(sw(&mut card, &part), StatusWord::NO_ERROR);
    assert_eq!(sw(&mut card, &part), StatusWord::WRONG_LENGTH);
    assert_eq!(
        card.receive(&message(0, &[4])),
        [Event::Message(vec![4])],
        "forgotten"
    );
    assert_eq!(
        sw(&mut card, &message(0, &[0; 601])),
        StatusWord::WRONG_LENGTH
    );
}

#[test]
fn long_answers_are_fetched_by_get_response() {
    let answer: Vec<u8> = (0..700_u16).map(|i| i.to_be_bytes()[1]).collect();
    let mut card = selected(CardSettings::default());
    assert_eq!(
        card.receive(&[0x80, 0x10, 0, 0, 1, 4, 0]),
        [Event::Message(vec![4])]
    );
    let first = card.reply(&answer).unwrap();
    assert_eq!(first, [&answer[..256], &[0x61, 0]].concat());
    assert_eq!(
        card.receive(&[0, 0xC0, 0, 0, 0]),
        [Event::Respond([&answer[256..512], &[0x61, 188]].concat())]
    );
    assert_eq!(
        card.receive(&[0x80, 0xC0, 0, 0, 100]),
        [Event::Respond([&answer[512..612], &[0x61, 88]].concat())],
        "class 80 and a smaller Le"
    );
    assert_eq!(
        card.receive(&[0, 0xC0, 0, 0, 0]),
        [Event::Respond([&answer[612..], &[0x90, 0]].concat())]
    );
    assert_eq!(
        sw(&mut card, &[0, 0xC0, 0, 0, 0]),
        StatusWord::CONDITIONS_NOT_SATISFIED
    );
}

#[test]
fn extended_le_takes_it_all_at_once() {
    let mut card = selected(CardSettings::default());
    let mut apdu = CommandApdu::new(0x80, ins::NFCCTAP_MSG, 0, 0).with_data([4]);
    apdu.extended = true;
    apdu.ne = 65_536;
    card.receive(&apdu.encode());
    assert_eq!(card.reply(&[7; 3000]).unwrap().len(), 3002);
    // Without Le, as python-fido2 sends it.
    card.receive(&[0x80, 0x10, 0, 0, 0, 0, 1, 4]);
    assert_eq!(card.reply(&[7; 3000]).unwrap().len(), 3002);
}

#[test]
fn the_rest_of_an_answer_is_dropped_by_the_next_command() {
    let mut card = selected(CardSettings::default());
    card.receive(&[0x80, 0x10, 0, 0, 1, 4, 0]);
    assert!(card.reply(&[7; 300]).unwrap().ends_with(&[0x61, 44]));
    card.receive(&[0x80, 0x10, 0, 0, 1, 4, 0]);
    assert!(card.reply(&[0]).is_some());
    assert_eq!(
        sw(&mut card, &[0, 0xC0, 0, 0, 0]),
        StatusWord::CONDITIONS_NOT_SATISFIED
    );
    assert_eq!(
        sw(&mut card, &[0, 0xC0, 1, 0, 0]),
        StatusWord::INCORRECT_P1_P2
    );
    assert_eq!(
        sw(&mut card, &[0x20, 0xC0, 0, 0, 0]),
        StatusWord::CLA_NOT_SUPPORTED
    );
}

#[test]
fn waiting_is_told_only_to_readers_that_can_ask_again() {
    let mut card = selected(CardSettings::default());
    card.receive(&message(0, &[1]));
    assert_eq!(
        card.keepalive(2),
        None,
        "P1 00: the reader has to be kept waiting"
    );
    assert_eq!(card.reply(&[0]), Some(vec![0, 0x90, 0]));

    card.receive(&message(0x80, &[1]));
    assert_eq!(card.keepalive(2), Some(vec![2, 0x91, 0]));
    assert_eq!(card.keepalive(2), None, "nobody waits now");
    assert_eq!(card.receive(&[0x80, 0x11, 0, 0, 0]), [Event::Poll]);
    assert_eq!(card.keepalive(1), Some(vec![1, 0x91, 0]));
    assert_eq!(card.receive(&[0x80, 0x11, 0, 0, 0]), [Event::Poll]);
    assert_eq!(card.reply(&[0, 5]), Some(vec![0, 5, 0x90, 0]));
    assert_eq!(
        sw(&mut card, &[0x80, 0x11, 0, 0, 0]),
        StatusWord::CONDITIONS_NOT_SATISFIED,
        "there is nothing more to ask for"
    );
}

#[test]
fn an_answer_between_two_polls_is_kept() {
    let mut card = selected(CardSettings::default());
    card.receive(&message(0x80, &[1]));
    assert!(card.keepalive(2).is_some());
    assert_eq!(card.reply(&[7; 300]), None);
    assert!(!card.is_running());
    let events = card.receive(&[0x80, 0x11, 0, 0, 0]);
    assert!(matches!(events.as_slice(), [Event::Respond(r)] if r.ends_with(&[0x61, 44])));
    let events = card.receive(&[0, 0xC0, 0, 0, 44]);
    assert!(matches!(events.as_slice(), [Event::Respond(r)] if r.ends_with(&[0x90, 0])));
}

#[test]
fn a_polling_reader_can_cancel() {
    let mut card = selected(CardSettings::default());
    card.receive(&message(0x80, &[1]));
    assert!(card.keepalive(2).is_some());
    assert_eq!(
        card.receive(&[0x80, 0x11, P1_CANCEL, 0, 0]),
        [Event::Cancel]
    );
    assert_eq!(card.reply(&[0x2D]), Some(vec![0x2D, 0x90, 0]));
}

#[test]
fn a_new_command_aborts_the_running_one() {
    let mut card = selected(CardSettings::default());
    card.receive(&message(0x80, &[1]));
    assert!(card.keepalive(2).is_some());
    assert_eq!(
        card.receive(&message(0x80, &[4])),
        [Event::Abort, Event::Message(vec![4])]
    );
    assert!(card.keepalive(2).is_some());
    let apdu = CommandApdu::new(0, ins::SELECT, 4, 0)
        .with_data(FIDO_AID)
        .encode();
    assert!(matches!(
        card.receive(&apdu).as_slice(),
        [Event::Abort, Event::Respond(_)]
    ));
    card.receive(&message(0x80, &[1]));
    assert!(matches!(
        card.receive(&[0x80, 0x12, 1, 0]).as_slice(),
        [Event::Abort, Event::Respond(_)]
    ));
    assert_eq!(
        sw(&mut card, &message(0, &[4])),
        StatusWord::INS_NOT_SUPPORTED,
        "deselected"
    );
}

#[test]
fn u2f_passes_through_with_its_status_word() {
    let mut card = selected(CardSettings::default());
    let request = crate::u2f::Request::Register {
        challenge: [1; 32],
        application: [2; 32],
    };
    let extended = request.encode().unwrap();
    match card.receive(&extended).as_slice() {
        [Event::U2f(apdu)] => assert_eq!(crate::u2f::Request::decode(apdu), Ok(request.clone())),
        other => panic!("{other:?}"),
    }
    assert_eq!(card.reply(&[0x69, 0x85]), Some(vec![0x69, 0x85]));
    // Chained, short.
    let data = CommandApdu::decode(&extended).unwrap().data;
    let part = CommandApdu::new(0x10, 1, 0, 0)
        .with_data(&data[..40])
        .encode();
    assert_eq!(sw(&mut card, &part), StatusWord::NO_ERROR);
    let last = CommandApdu::new(0, 1, 0, 0).with_data(&data[40..]).encode();
    match card.receive(&last).as_slice() {
        [Event::U2f(apdu)] => assert_eq!(crate::u2f::Request::decode(apdu), Ok(request)),
        other => panic!("{other:?}"),
    }
    assert_eq!(card.keepalive(2), None);
    let long = [&[7; 300][..], &[0x90, 0]].concat();
    assert!(card.reply(&long).unwrap().ends_with(&[0x61, 44]));
    card.receive(&last);
    assert_eq!(
        card.reply(&[1]),
        Some(vec![0x6F, 0]),
        "an owner that forgot the status word"
    );
}

#[test]
fn reset_forgets_everything() {
    let mut card = selected(CardSettings::default());
    assert!(!card.reset());
    select(&mut card);
    card.receive(&message(0x80, &[1]));
    assert!(card.reset());
    assert_eq!(card.reply(&[0]), None);
    assert_eq!(
        sw(&mut card, &message(0, &[4])),
        StatusWord::INS_NOT_SUPPORTED
    );
}
