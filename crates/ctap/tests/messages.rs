//! CTAP 2.3 §6 and §8: every message in both directions, and how each breach of its form is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::instances::{Message, all};
use common::random::Random;
use ctap::cbor::{self, Value};
use ctap::{Key, Status, make_credential};

/// Members whose value is kept as it came, whatever it is.
const ANYTHING: [&str; 4] = [
    "subCommandParams",
    "attStmt",
    "unsignedExtensionOutputs",
    "largeBlob",
];

fn entries(bytes: &[u8]) -> Vec<(Value, Value)> {
    let Ok(Value::Map(entries)) = Value::decode(bytes) else {
        panic!("not a map: {bytes:02x?}")
    };
    entries
}

fn map(entries: Vec<(Value, Value)>) -> Vec<u8> {
    Value::Map(entries).encode()
}

fn wire_key(key: Key) -> Value {
    match key {
        Key::Int(key) => i64::from(key).into(),
        Key::Text(key) => key.into(),
    }
}

/// The name of the member with this key.
fn name(message: &Message, key: &Value) -> &'static str {
    let member = message.members.iter().find(|m| wire_key(m.key) == *key);
    member.unwrap().name
}

/// The entries without the one at `at`.
fn without(message: &Message, at: usize) -> Vec<u8> {
    let mut entries = entries(&message.full);
    entries.remove(at);
    map(entries)
}

#[test]
fn all_members_are_there_and_the_encoding_is_canonical() {
    for message in all() {
        assert_eq!(cbor::check(&message.full), Ok(()), "{}", message.name);
        let found: Vec<_> = entries(&message.full).into_iter().map(|e| e.0).collect();
        let declared: Vec<_> = message.members.iter().map(|m| wire_key(m.key)).collect();
        assert_eq!(found, declared, "{}", message.name);
        assert_eq!((message.recode)(&message.full), Ok(message.full.clone()));
    }
}

#[test]
fn a_required_member_is_missed_an_optional_one_is_not() {
    for message in all() {
        for (at, member) in message.members.iter().enumerate() {
            let bytes = without(&message, at);
            let expected = if message.required.contains(&member.name) {
                Err(Status::MISSING_PARAMETER)
            } else {
                Ok(bytes.clone())
            };
            let (name, member) = (message.name, member.name);
            assert_eq!((message.recode)(&bytes), expected, "{name} {member}");
        }
        let required = entries(&message.full)
            .into_iter()
            .filter(|(key, _)| message.required.contains(&name(&message, key)));
        let minimal = map(required.collect());
        assert_eq!((message.recode)(&minimal), Ok(minimal), "{}", message.name);
    }
}

/// Any values of the members, and any of the optional members left out.
#[test]
fn any_instance_is_the_same_after_decoding_and_encoding() {
    let mut random = Random(1);
    for message in all() {
        for _ in 0..300 {
            let mut entries = entries(&message.full);
            entries.retain(|(key, _)| {
                message.required.contains(&name(&message, key)) || random.below(3) != 0
            });
            for (_, value) in &mut entries {
                vary(value, &mut random);
            }
            let bytes = map(entries);
            assert_eq!((message.recode)(&bytes), Ok(bytes), "{}", message.name);
        }
    }
}

/// Another value of the same type. Lengths that may be fixed stay, and so do COSE keys.
fn vary(value: &mut Value, random: &mut Random) {
    match value {
        Value::Integer(number) if *number >= 0 => *number = random.number().into(),
        Value::Integer(number) => *number = -1 - i128::from(random.number() >> 33),
        Value::Bytes(bytes) => {
            let length = match bytes.len() {
                length @ (16 | 32) => length,
                _ => random.below(300),
            };
            *bytes = (0..length).map(|_| random.byte()).collect();
        }
        Value::Text(text) => *text = "a\u{e9}\u{1f511}".repeat(random.below(100)),
        Value::Bool(flag) => *flag = random.below(2) == 0,
        Value::Array(items) => {
            items.truncate(random.below(items.len() + 1));
            items.iter_mut().for_each(|item| vary(item, random));
        }
        Value::Map(entries) if entries.iter().all(|(key, _)| *key != (-1).into()) => {
            entries.iter_mut().for_each(|(_, item)| vary(item, random));
        }
        _ => {}
    }
}

#[test]
fn unknown_members_are_passed_over_whatever_their_key() {
    let nested = Value::Map(vec![(1.into(), Value::Array(vec![Value::Null]))]);
    let keys = [
        Value::Integer(0x7F),
        Value::Integer(0xFF),
        Value::Integer(0x100),
        Value::Integer(u64::MAX.into()),
        Value::Integer(-1),
        Value::Integer(-(1 << 64)),
        "icon".into(),
        "a name that no member has".into(),
        Value::Bytes(vec![1]),
        Value::Bool(true),
    ];
    for message in all() {
        let mut crowded = entries(&message.full);
        for key in &keys {
            let mut one = entries(&message.full);
            one.push((key.clone(), nested.clone()));
            crowded.push((key.clone(), Value::Float(0.5)));
            let recoded = (message.recode)(&map(one));
            assert_eq!(
                recoded,
                Ok(message.full.clone()),
                "{} {key:?}",
                message.name
            );
        }
        let recoded = (message.recode)(&map(crowded));
        assert_eq!(recoded, Ok(message.full.clone()), "{}", message.name);
    }
}

/// One value of every kind. `undefined` and null are the same to [`Value`].
fn kinds() -> Vec<Value> {
    vec![
        Value::Integer(1),
        Value::Integer(-1),
        Value::Bytes(vec![1; 16]),
        "usb".into(),
        Value::Array(vec![]),
        Value::Map(vec![]),
        true.into(),
        Value::Null,
        Value::Float(1.0),
    ]
}

/// Whether both are of one kind as the wire tells them apart.
fn same_kind(a: &Value, b: &Value) -> bool {
    a.encode()[0] >> 5 == b.encode()[0] >> 5 && (a.encode()[0] < 0xe0 || a.as_bool() == b.as_bool())
}

fn refused_as(message: &Message, at: usize, value: &Value) -> Option<Status> {
    let mut entries = entries(&message.full);
    entries[at].1 = value.clone();
    (message.recode)(&map(entries)).err()
}

#[test]
fn a_value_of_another_type_is_named_as_such() {
    for message in all() {
        for (at, (key, value)) in entries(&message.full).iter().enumerate() {
            let member = name(&message, key);
            if ANYTHING.contains(&member) {
                continue;
            }
            for other in kinds() {
                // The one member that may be a boolean or a map, and the one signed integer.
                let allowed = match member {
                    "hmac-secret" if matches!(value, Value::Map(_)) => other.as_bool().is_some(),
                    "alg" => other.as_i64().is_some(),
                    _ => value.as_bool().is_some() && other.as_bool().is_some(),
                };
                if allowed || same_kind(value, &other) {
                    continue;
                }
                assert_eq!(
                    refused_as(&message, at, &other),
                    Some(Status::CBOR_UNEXPECTED_TYPE),
                    "{} {member} {other:?}",
                    message.name
                );
            }
        }
    }
}

#[test]
fn an_element_of_another_type_is_named_as_such() {
    for message in all() {
        for (at, (_, value)) in entries(&message.full).iter().enumerate() {
            let Some([first, ..]) = value.as_array() else {
                continue;
            };
            for other in kinds().iter().filter(|other| !same_kind(first, other)) {
                let mixed = Value::Array(vec![first.clone(), other.clone()]);
                let refused = refused_as(&message, at, &mixed);
                assert_eq!(refused, Some(Status::CBOR_UNEXPECTED_TYPE), "{mixed:?}");
            }
        }
    }
}

#[test]
fn no_message_is_anything_but_a_map() {
    for message in all() {
        for other in kinds() {
            if !matches!(other, Value::Map(_)) {
                let refused = (message.recode)(&other.encode()).err();
                assert_eq!(refused, Some(Status::CBOR_UNEXPECTED_TYPE), "{other:?}");
            }
        }
        assert_eq!((message.recode)(&[]).err(), Some(Status::INVALID_CBOR));
    }
}

#[test]
fn fixed_lengths_and_ranges_are_kept() {
    for message in all() {
        for (at, (key, _)) in entries(&message.full).iter().enumerate() {
            let length = match name(&message, key) {
                "clientDataHash" | "rpIDHash" => 32,
                "aaguid" => 16,
                "alg" => {
                    for number in [1 << 31, -(1 << 31) - 1] {
                        let refused = refused_as(&message, at, &Value::Integer(number));
                        assert_eq!(refused, Some(Status::INVALID_PARAMETER));
                    }
                    continue;
                }
                _ => continue,
            };
            for length in [0, length - 1, length + 1, 2 * length] {
                let refused = refused_as(&message, at, &Value::Bytes(vec![1; length]));
                assert_eq!(refused, Some(Status::INVALID_LENGTH), "{}", message.name);
            }
        }
    }
}

/// Each pair as bytes, to be put together against the rules.
fn pairs(message: &Message) -> Vec<Vec<u8>> {
    entries(&message.full)
        .iter()
        .map(|(key, value)| [key.encode(), value.encode()].concat())
        .collect()
}

/// A map of a given size whose head is in the shortest form.
fn map_of(pairs: &[Vec<u8>]) -> Vec<u8> {
    let head = match u8::try_from(pairs.len()).unwrap() {
        short @ 0..=23 => vec![0xA0 | short],
        long => vec![0xB8, long],
    };
    [head, pairs.concat()].concat()
}

#[test]
fn what_is_not_one_canonical_item_is_refused() {
    for message in all() {
        let pairs = pairs(&message);
        assert_eq!(map_of(&pairs), message.full);
        let mut breaches = vec![
            ("a byte follows", [&message.full[..], &[0xF6]].concat()),
            ("two maps", [&message.full[..], &message.full].concat()),
            ("a tag", [&[0xD9, 0xD9, 0xF7], &message.full[..]].concat()),
            (
                "indefinite",
                [&[0xBF], &pairs.concat()[..], &[0xFF]].concat(),
            ),
            (
                "a long count",
                [&[0xB9, 0, pairs.len() as u8], &pairs.concat()[..]].concat(),
            ),
            ("one pair too few", {
                let mut bytes = map_of(&pairs);
                bytes.truncate(bytes.len() - pairs[pairs.len() - 1].len());
                bytes
            }),
            ("a key twice", map_of(&[&pairs[..1], &pairs[..]].concat())),
        ];
        if pairs.len() > 1 {
            let mut swapped = pairs.clone();
            swapped.swap(0, 1);
            breaches.push(("out of order", map_of(&swapped)));
        }
        // The first key with a longer head than it needs: 01 as 18 01, 62 as 78 02.
        let mut longer = pairs.clone();
        let head = longer[0].remove(0);
        longer[0].splice(0..0, [(head & 0xE0) | 24, head & 0x1F]);
        breaches.push(("a long key", map_of(&longer)));
        // Four levels of arrays inside the map make five.
        let key = Value::Integer(0x7F).encode();
        let mut deep = pairs.clone();
        deep.push([&key[..], &[0x81, 0x81, 0x81, 0x80]].concat());
        if matches!(message.members[0].key, Key::Text(_)) {
            deep.rotate_right(1);
        }
        breaches.push(("too deep", map_of(&deep)));
        for (breach, bytes) in breaches {
            let refused = (message.recode)(&bytes).err();
            assert_eq!(
                refused,
                Some(Status::INVALID_CBOR),
                "{} {breach}",
                message.name
            );
        }
        for end in 0..message.full.len() {
            let refused = (message.recode)(&message.full[..end]).err();
            assert_eq!(
                refused,
                Some(Status::INVALID_CBOR),
                "{} {end}",
                message.name
            );
        }
    }
}

/// Answers of keys may nest deeper than requests: attestation statements of the `compound` format.
#[test]
fn only_attestation_statements_nest_deeper() {
    let statement = [0x81, 0x81, 0x81, 0x81, 0x80];
    let bytes = [&common::hex("a301646e6f6e65024003")[..], &statement].concat();
    let response = make_credential::Response::decode_response(&bytes).unwrap();
    assert_eq!(response.att_stmt.unwrap().as_bytes(), statement);
    assert_eq!(
        make_credential::Response::decode(&bytes),
        Err(Status::INVALID_CBOR)
    );
}

#[test]
fn secrets_are_not_printed() {
    for message in all() {
        assert!(
            !(message.debug)(&message.full).contains("165, 165"),
            "{}",
            message.name
        );
    }
}
