//! The traps, and who must notice each.

use ctap::Status as Code;
use ctap::hid::Report;
use webauthn::cbor::Value;

use crate::fault::Fault::{self, *};
use crate::fault::{Memory, Seen, rewritten};

/// One mutant.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) profile: &'static str,
    pub(crate) caught_by: &'static [&'static str],
    pub(crate) fault: fn() -> Fault,
}

const KEY: &str = "fido-2.3-complete";
const PLAIN: &str = "fido-2.1";

const fn row(
    name: &'static str,
    profile: &'static str,
    caught_by: &'static [&'static str],
    fault: fn() -> Fault,
) -> Row {
    Row {
        name,
        profile,
        caught_by,
        fault,
    }
}

fn int(value: i64) -> Value {
    Value::from(value)
}

fn set(members: &mut Vec<(Value, Value)>, key: i64, value: Value) {
    members.retain(|(k, _)| *k != int(key));
    members.push((int(key), value));
}

fn option(members: &mut [(Value, Value)], name: &str, value: bool) {
    for (key, options) in members {
        if let (true, Value::Map(options)) = (*key == int(4), options) {
            options.retain(|(k, _)| *k != Value::from(name));
            options.push((Value::from(name), Value::Bool(value)));
        }
    }
}

/// The authenticator data of an answer, changed.
fn auth_data(members: &mut [(Value, Value)], change: fn(&mut Vec<u8>)) {
    for (key, value) in members {
        if let (true, Value::Bytes(bytes)) = (*key == int(2), value) {
            change(bytes);
        }
    }
}

/// The request with its parameters changed.
fn parameters(request: &[u8], change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Option<Vec<u8>> {
    let (command, rest) = request.split_first()?;
    let Ok(Value::Map(mut members)) = Value::decode(rest) else {
        return None;
    };
    change(&mut members);
    Some([vec![*command], Value::Map(members).encode()].concat())
}

fn is_get(seen: &Seen) -> bool {
    seen.command == 0x02
}

fn is_info(seen: &Seen) -> bool {
    seen.command == 0x04
}

fn is_make(seen: &Seen) -> bool {
    seen.command == 0x01
}

fn kept(memory: &mut Memory, name: &'static str, members: &mut Vec<(Value, Value)>, key: i64) {
    let found = members.iter().find(|(k, _)| *k == int(key));
    let Some(bytes) = found.and_then(|(_, v)| v.as_bytes()).map(<[u8]>::to_vec) else {
        return;
    };
    let first = memory.entry(name).or_insert(bytes).clone();
    set(members, key, Value::Bytes(first));
}

fn spent_while_blocked(memory: &mut Memory, seen: &Seen, answer: Vec<u8>) -> Vec<u8> {
    if answer == [Code::PIN_AUTH_BLOCKED.0] {
        memory.entry("spent").or_default().push(1);
    }
    let spent = memory.get("spent").map_or(0, Vec::len).saturating_sub(1);
    if !seen.is(0x06, 0x01) {
        return answer;
    }
    rewritten(answer, |members| {
        for (key, value) in members {
            if let (true, Some(left)) = (*key == int(3), value.as_i64()) {
                *value = int((left - i64::try_from(spent).unwrap_or(0)).max(0));
            }
        }
    })
}

fn replays(memory: &mut Memory, seen: &Seen, answer: Vec<u8>) -> Vec<u8> {
    if !is_make(seen) {
        return answer;
    }
    if answer.first() == Some(&0) {
        memory.insert("made", answer.clone());
    }
    match memory.get("made") {
        Some(made) if answer == [Code::PIN_AUTH_INVALID.0] => made.clone(),
        _ => answer,
    }
}

fn any_rp(memory: &mut Memory, request: &[u8]) -> Option<Vec<u8>> {
    let seen = Value::decode(request.get(1..)?).ok()?;
    match request[0] {
        0x01 => {
            let rp = seen.get_int(2)?.get_text("id")?.as_text()?.to_owned();
            memory.insert("rp", rp.into_bytes());
            None
        }
        0x02 if seen.get_int(3).is_some() => {
            let rp = String::from_utf8(memory.get("rp")?.clone()).ok()?;
            parameters(request, |members| set(members, 1, Value::Text(rp)))
        }
        _ => None,
    }
}

fn without(request: &[u8], command: u8, key: i64) -> Option<Vec<u8>> {
    if request.first() != Some(&command) {
        return None;
    }
    parameters(request, |members| members.retain(|(k, _)| *k != int(key)))
}

/// A foreign INIT takes the lock away.
fn init_unlocks(memory: &mut Memory, report: &Report) -> Vec<Report> {
    if report[4] == 0x84 && report[7] > 0 {
        memory.insert("lock", report[..4].to_vec());
    }
    match memory.get("lock") {
        Some(channel) if report[..5] == [0xff, 0xff, 0xff, 0xff, 0x86] => {
            let mut unlock = [0; 64];
            unlock[..4].copy_from_slice(channel);
            unlock[4..8].copy_from_slice(&[0x84, 0, 1, 0]);
            vec![unlock, *report]
        }
        _ => vec![*report],
    }
}

fn good(word: [u8; 2]) -> Option<Vec<u8>> {
    Some(word.to_vec())
}

/// All mutants.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = PINS.to_vec();
    rows.extend_from_slice(CREDENTIALS);
    rows.extend_from_slice(MANAGEMENT);
    rows.extend_from_slice(WIRES);
    rows
}

impl Clone for Row {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Row {}

const PINS: &[Row] = &[
    row("retries are not durable", PLAIN, &["retries.last"], || {
        RemembersCycle(|_, seen, answer| {
            if !seen.is(0x06, 0x01) {
                return answer;
            }
            rewritten(answer, |members| set(members, 3, int(8)))
        })
    }),
    row(
        "wrong PINs cost nothing",
        PLAIN,
        &["retries.count-down", "change-pin.wrong"],
        || {
            Changes(
                |seen| seen.is(0x06, 0x01),
                |_, members| set(members, 3, int(8)),
            )
        },
    ),
    row(
        "a fourth PIN is tried without a power cycle",
        PLAIN,
        &[
            "retries.three-in-a-row",
            "retries.fourth-not-tried",
            "retries.fourth-no-change",
        ],
        || CyclesBefore(|seen| seen.is(0x06, 0x02)),
    ),
    row(
        "0x09 does not look at the block",
        PLAIN,
        &["retries.blocked-permissions"],
        || Status(|seen| seen.is(0x06, 0x09), Code::PIN_BLOCKED, Code::OK),
    ),
    row(
        "0x09 compares although soft-blocked",
        PLAIN,
        &["retries.fourth-not-tried-permissions"],
        || {
            Status(
                |seen| seen.is(0x06, 0x09),
                Code::PIN_AUTH_BLOCKED,
                Code::PIN_INVALID,
            )
        },
    ),
    row(
        "tries are spent while soft-blocked",
        PLAIN,
        &["retries.fourth-costs-nothing"],
        || Answer(spent_while_blocked),
    ),
    row(
        "getPinToken without a PIN says that it is wrong",
        PLAIN,
        &["token.old-no-pin"],
        || {
            Status(
                |seen| seen.is(0x06, 0x05),
                Code::PIN_NOT_SET,
                Code::PIN_INVALID,
            )
        },
    ),
    row(
        "a set PIN can be set again",
        PLAIN,
        &["set-pin.twice"],
        || Status(|seen| seen.is(0x06, 0x03), Code::PIN_AUTH_INVALID, Code::OK),
    ),
    row(
        "the policy for new PINs is not looked at",
        PLAIN,
        &[
            "set-pin.short",
            "set-pin.code-points",
            "set-pin.64-bytes",
            "set-pin.empty",
        ],
        || {
            Status(
                |seen| seen.is(0x06, 0x03),
                Code::PIN_POLICY_VIOLATION,
                Code::OK,
            )
        },
    ),
    row(
        "the key-agreement key is always the same",
        PLAIN,
        &["agreement.new-after-power-up"],
        || {
            Answer(|memory, seen, answer| {
                if seen.is(0x06, 0x02) {
                    return memory.entry("agreement").or_insert(answer).clone();
                }
                answer
            })
        },
    ),
    row(
        "a used token may be used again",
        PLAIN,
        &["token.used-up"],
        || Answer(replays),
    ),
    row(
        "time does not end anything",
        PLAIN,
        &[
            "token.unused-ends",
            "token.ten-minutes",
            "next.late",
            "reset.late",
        ],
        || NoClock,
    ),
    row(
        "permissions are not looked at",
        PLAIN,
        &["token.no-be", "token.no-lbw"],
        || {
            Status(
                |seen| seen.is(0x06, 0x09),
                Code::UNAUTHORIZED_PERMISSION,
                Code::OK,
            )
        },
    ),
    row(
        "mc and ga need no RP ID",
        PLAIN,
        &["token.no-rp-id"],
        || {
            Status(
                |seen| seen.is(0x06, 0x09),
                Code::MISSING_PARAMETER,
                Code::OK,
            )
        },
    ),
    row(
        "pcmr goes with other permissions",
        KEY,
        &["pcmr.alone"],
        || {
            Status(
                |seen| seen.is(0x06, 0x09),
                Code::UNAUTHORIZED_PERMISSION,
                Code::OK,
            )
        },
    ),
    row(
        "a wrong pinUvAuthParam is a wrong PIN",
        PLAIN,
        &["token.wrong-param", "token.newer-ends-older"],
        || Status(is_make, Code::PIN_AUTH_INVALID, Code::PIN_INVALID),
    ),
];

const CREDENTIALS: &[Row] = &[
    row(
        "excludeList is not looked at",
        PLAIN,
        &[
            "mc.exclude",
            "mc.exclude-discoverable",
            "touch.excluded-asks",
        ],
        || Request(|_, request| without(request, 0x01, 5)),
    ),
    row(
        "a listed credential is used for any relying party",
        PLAIN,
        &["ga.other-rp", "ga.other-rp-discoverable"],
        || Request(any_rp),
    ),
    row(
        "no more than eight algorithms are read",
        PLAIN,
        &["mc.params-many"],
        || {
            Pretends(
                |seen| {
                    is_make(seen)
                        && seen
                            .parameters
                            .get_int(4)
                            .and_then(Value::as_array)
                            .is_some_and(|l| l.len() > 8)
                },
                vec![0x12],
            )
        },
    ),
    row(
        "denied instead of a token asked for",
        PLAIN,
        &["token.pin-set-needs-token"],
        || Status(is_make, Code::PUAT_REQUIRED, Code::OPERATION_DENIED),
    ),
    row(
        "an empty pinUvAuthParam counts as none",
        PLAIN,
        &["select.mc-no-pin"],
        || {
            Request(|_, request| {
                let seen = Value::decode(request.get(1..)?).ok()?;
                let empty = seen
                    .get_int(8)
                    .and_then(Value::as_bytes)
                    .is_some_and(<[u8]>::is_empty);
                empty.then(|| without(request, 0x01, 8)).flatten()
            })
        },
    ),
    row(
        "uv beside a token is an invalid option",
        PLAIN,
        &["mc.uv-beside-param"],
        || {
            Pretends(
                |seen| {
                    is_make(seen)
                        && seen.parameters.get_int(8).is_some()
                        && seen
                            .parameters
                            .get_int(7)
                            .and_then(|o| o.get_text("uv"))
                            .is_some()
                },
                vec![0x2c],
            )
        },
    ),
    row(
        "an empty allow list is a list without credentials",
        PLAIN,
        &["ga.allow-empty"],
        || {
            Pretends(
                |seen| {
                    is_get(seen)
                        && seen
                            .parameters
                            .get_int(3)
                            .and_then(Value::as_array)
                            .is_some_and(<[Value]>::is_empty)
                },
                vec![0x2e],
            )
        },
    ),
    row(
        "an empty user handle is refused",
        PLAIN,
        &["mc.user-id-empty"],
        || {
            Pretends(
                |seen| {
                    is_make(seen)
                        && seen
                            .parameters
                            .get_int(3)
                            .and_then(|u| u.get_text("id")?.as_bytes())
                            .is_some_and(<[u8]>::is_empty)
                },
                vec![0x02],
            )
        },
    ),
    row(
        "the attestation does not verify",
        PLAIN,
        &["mc.attestation"],
        || {
            Changes(is_make, |_, members| {
                auth_data(members, |data| data[36] ^= 1)
            })
        },
    ),
    row(
        "the counter stands still",
        PLAIN,
        &["ga.counter-grows", "next.counter"],
        || {
            Changes(
                |seen| is_get(seen) || seen.command == 0x08,
                |_, members| auth_data(members, |data| data[36] = 9),
            )
        },
    ),
    row("UP is set without a touch", PLAIN, &["ga.up-false"], || {
        Changes(is_get, |_, members| {
            auth_data(members, |data| data[32] |= 1)
        })
    }),
    row(
        "UV is set without verification",
        PLAIN,
        &["ga.no-uv-flag", "token.assertion-needs-none"],
        || {
            Changes(is_get, |_, members| {
                auth_data(members, |data| data[32] |= 4)
            })
        },
    ),
    row(
        "the signature is not the credential's",
        PLAIN,
        &["ga.signs"],
        || {
            Changes(is_get, |_, members| {
                auth_data(members, |data| data[36] ^= 0x10)
            })
        },
    ),
    row(
        "credProtect is passed over",
        PLAIN,
        &["protect.2-not-listed", "protect.3-listed"],
        || Request(|_, request| without(request, 0x01, 6)),
    ),
    row(
        "names are told to everybody",
        PLAIN,
        &["ga.no-names-unverified"],
        || {
            Changes(is_get, |_, members| {
                for (key, value) in members {
                    if let (true, Value::Map(user)) = (*key == int(4), value) {
                        user.push((Value::from("name"), Value::from("x")));
                    }
                }
            })
        },
    ),
    row(
        "numberOfCredentials is missing",
        PLAIN,
        &["ga.newest-first"],
        || Changes(is_get, |_, members| members.retain(|(k, _)| *k != int(5))),
    ),
    row(
        "getNextAssertion out of the blue brings it down",
        PLAIN,
        &["next.nothing-begun"],
        || Silent(|seen| seen.command == 0x08),
    ),
    row(
        "continuations are not bound to a channel",
        KEY,
        &[
            "next.channel",
            "cm.rps-channel",
            "cm.creds-channel",
            "lb.other-channel",
            "bio.next-other-channel",
        ],
        || OneChannel,
    ),
    row(
        "nobody needs to touch",
        PLAIN,
        &[
            "touch.mc-declined",
            "touch.ga-declined",
            "reset.declined",
            "u2f.register-touch",
            "selection.declined",
        ],
        || Consents,
    ),
    row(
        "a reset is possible at any time",
        PLAIN,
        &["reset.late"],
        || CyclesBefore(|seen| seen.command == 0x07),
    ),
    row(
        "a reset erases nothing",
        PLAIN,
        &[
            "reset.erases-credentials",
            "reset.erases-discoverable",
            "reset.erases-pin",
            "reset.touch",
        ],
        || Pretends(|seen| seen.command == 0x07, vec![0]),
    ),
    row("selection asks nobody", PLAIN, &["selection.touch"], || {
        Pretends(|seen| seen.command == 0x0b, vec![0])
    }),
    row(
        "salts are not authenticated",
        PLAIN,
        &["hmac.wrong-auth"],
        || Status(is_get, Code::PIN_AUTH_INVALID, Code::OK),
    ),
];

const MANAGEMENT: &[Row] = &[
    row(
        "encIdentifier has one IV for ever",
        KEY,
        &["pcmr.identifier"],
        || {
            Changes(is_info, |memory, members| {
                kept(memory, "identifier", members, 0x19)
            })
        },
    ),
    row(
        "encCredStoreState stands still",
        KEY,
        &["pcmr.store-state", "pcmr.store-state-iv"],
        || {
            Changes(is_info, |memory, members| {
                kept(memory, "state", members, 0x1e)
            })
        },
    ),
    row(
        "there is a FIDO_2_2",
        PLAIN,
        &["getinfo.no-fido-2-2", "getinfo.versions"],
        || {
            Changes(is_info, |_, members| {
                set(
                    members,
                    1,
                    Value::Array(vec![Value::from("FIDO_2_0"), Value::from("FIDO_2_2")]),
                )
            })
        },
    ),
    row(
        "uv is false for want of a sensor",
        PLAIN,
        &["uv-retries.option-honest"],
        || Changes(is_info, |_, members| option(members, "uv", false)),
    ),
    row(
        "makeCredUvNotRqd stays while alwaysUv is on",
        "enterprise",
        &["getinfo.always-uv-not-rqd"],
        || {
            Changes(is_info, |_, members| {
                option(members, "makeCredUvNotRqd", true)
            })
        },
    ),
    row(
        "the AAGUID is not that of the credentials",
        PLAIN,
        &["mc.aaguid"],
        || {
            Changes(is_info, |_, members| {
                set(members, 3, Value::Bytes(vec![7; 16]))
            })
        },
    ),
    row(
        "answers are not in canonical order",
        PLAIN,
        &["getinfo.stable", "getinfo.client-pin"],
        || {
            Answer(|_, seen, answer| {
                // {1: ["x"], 3: ...} becomes one with a long head.
                if is_info(seen) && answer.first() == Some(&0) {
                    let mut long = vec![0, 0xb8, answer[1] & 0x1f];
                    long.extend_from_slice(&answer[2..]);
                    return long;
                }
                answer
            })
        },
    ),
    row(
        "errors come with more bytes",
        PLAIN,
        &["command.unknown-ff", "next.nothing-begun"],
        || {
            Answer(|_, _, mut answer| {
                if answer.first() != Some(&0) {
                    answer.push(0xa0);
                }
                answer
            })
        },
    ),
    row(
        "unknown commands bring it down",
        PLAIN,
        &["command.unknown-0e", "command.unknown-3f"],
        || Silent(|seen| seen.command == 0x0e || seen.command == 0x3f),
    ),
    row(
        "bytes after the parameters are passed over",
        PLAIN,
        &["cbor.trailing-byte"],
        || {
            Request(|_, request| {
                let (item, _) = webauthn::cbor::split(request.get(1..)?).ok()?;
                Some([&request[..1], item].concat())
            })
        },
    ),
    row(
        "what is not canonical is taken",
        PLAIN,
        &[
            "cbor.duplicate-key",
            "cbor.unordered",
            "cbor.long-key",
            "cbor.indefinite-map",
            "cbor.too-deep",
        ],
        || Status(|_| true, Code::INVALID_CBOR, Code::OK),
    ),
    row(
        "forceChangePin is passed over",
        PLAIN,
        &["config.force-change"],
        || {
            Pretends(
                |seen| {
                    seen.is(0x0d, 3)
                        && seen
                            .parameters
                            .get_int(2)
                            .and_then(|p| p.get_int(3))
                            .is_some()
                },
                vec![0],
            )
        },
    ),
    row(
        "the minimum can shrink",
        PLAIN,
        &["config.min-pin-shrinks", "config.min-pin-64"],
        || {
            Status(
                |seen| seen.is(0x0d, 3),
                Code::PIN_POLICY_VIOLATION,
                Code::OK,
            )
        },
    ),
    row(
        "alwaysUv cannot be toggled",
        PLAIN,
        &["config.always-uv-toggles", "config.always-uv-ga"],
        || Pretends(|seen| seen.is(0x0d, 2), vec![0]),
    ),
    row(
        "credentials are managed without a token",
        PLAIN,
        &["cm.no-token"],
        || Status(|seen| seen.command == 0x0a, Code::PUAT_REQUIRED, Code::OK),
    ),
    row("deleting deletes nothing", PLAIN, &["cm.delete"], || {
        Pretends(|seen| seen.is(0x0a, 6), vec![0])
    }),
    row(
        "a user handle can be changed",
        PLAIN,
        &["cm.update-other-user"],
        || Status(|seen| seen.is(0x0a, 7), Code::INVALID_PARAMETER, Code::OK),
    ),
    row(
        "the check of large blobs is not looked at",
        KEY,
        &["lb.wrong-check"],
        || {
            Status(
                |seen| seen.command == 0x0c,
                Code::INTEGRITY_FAILURE,
                Code::OK,
            )
        },
    ),
    row(
        "fragments come in any order",
        KEY,
        &["lb.gap", "lb.no-first"],
        || Status(|seen| seen.command == 0x0c, Code::INVALID_SEQ, Code::OK),
    ),
    row(
        "removing a finger removes nothing",
        KEY,
        &["bio.remove"],
        || Pretends(|seen| seen.is(0x09, 6), vec![0]),
    ),
];

const WIRES: &[Row] = &[
    row(
        "a foreign INIT opens the lock",
        PLAIN,
        &["hid.lock-foreign-init", "hid.lock"],
        || Sends(init_unlocks),
    ),
    row(
        "an unfinished message never times out",
        PLAIN,
        &["hid.packet-timeout"],
        || Loses(|report| report[4] == 0xbf && report[7] == 5),
    ),
    row("no keep-alives", PLAIN, &["hid.keepalive"], || {
        Loses(|report| report[4] == 0xbb)
    }),
    row("CANCEL is passed over", PLAIN, &["hid.cancel"], || {
        Sends(|_, report| {
            if report[4] == 0x91 {
                Vec::new()
            } else {
                vec![*report]
            }
        })
    }),
    row(
        "nobody is told that the key is busy",
        PLAIN,
        &["hid.busy-receiving", "hid.busy-waiting"],
        || Loses(|report| report[4] == 0xbf && report[7] == 6),
    ),
    row(
        "a packet out of sequence is not noticed",
        PLAIN,
        &["hid.wrong-sequence", "hid.repeated-sequence"],
        || Loses(|report| report[4] == 0xbf && report[7] == 4),
    ),
    row("the nonce is not given back", PLAIN, &["hid.init"], || {
        Sends(|_, report| {
            let mut changed = *report;
            if report[4] == 0x86 {
                changed[7] ^= 1;
            }
            vec![changed]
        })
    }),
    row(
        "U2F takes handles of other applications",
        PLAIN,
        &["u2f.check-other-application"],
        || {
            U2f(|apdu, answer| {
                if apdu[1] == 2 && answer == [0x6a, 0x80] {
                    vec![0x69, 0x85]
                } else {
                    answer
                }
            })
        },
    ),
    row(
        "control 07 answers with success",
        PLAIN,
        &["u2f.check-known"],
        || {
            U2f(|apdu, answer| {
                if apdu[1] == 2 && apdu[2] == 7 && answer == [0x69, 0x85] {
                    vec![0x90, 0]
                } else {
                    answer
                }
            })
        },
    ),
    row(
        "unknown U2F instructions succeed",
        PLAIN,
        &["u2f.unknown-ins"],
        || {
            U2f(|_, answer| {
                if answer == [0x6d, 0] {
                    vec![0x90, 0]
                } else {
                    answer
                }
            })
        },
    ),
    row(
        "GET RESPONSE is not there",
        PLAIN,
        &["card.get-response-portions"],
        || {
            Card(|apdu| {
                if apdu[1] == 0xc0 {
                    good([0x6d, 0])
                } else {
                    None
                }
            })
        },
    ),
    row("chains are not there", PLAIN, &["card.chain"], || {
        Card(|apdu| {
            if apdu[0] == 0x90 {
                good([0x6e, 0])
            } else {
                None
            }
        })
    }),
    row(
        "the applet needs no SELECT",
        PLAIN,
        &["card.not-selected", "card.power-unselects", "card.end"],
        || SelectsItself,
    ),
    row(
        "every applet is there",
        PLAIN,
        &["card.other-applet"],
        || {
            Card(|apdu| {
                if apdu[1] == 0xa4 && !apdu.ends_with(&[0x2f, 0, 1, 0]) {
                    good([0x90, 0])
                } else {
                    None
                }
            })
        },
    ),
];
