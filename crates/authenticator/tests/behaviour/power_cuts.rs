//! Power is cut at every commit of every command that changes something.
//!
//! After each cut the key starts from what the store holds: it must be the state before or after the
//! command (for commands of one commit), retries never grow, and an answer that was seen holds.

use std::sync::LazyLock;

use authenticator::{Fault, MAX_PIN_RETRIES, MemoryStore};
use ctap::{Command, Status};

use crate::bench::{Bench, PIN, RP, sha256};

/// A command, after what prepares it.
struct Case {
    name: &'static str,
    prepare: fn(&mut Bench) -> Vec<u8>,
    run: fn(&mut Bench, &[u8]) -> Result<(), Status>,
    /// Whether in-between states are meant to exist.
    in_steps: bool,
    /// Whether it gives tries back: a right PIN, a reset.
    gives_tries_back: bool,
}

const CASES: &[Case] = &[
    Case {
        name: "setPIN",
        prepare: |_| Vec::new(),
        run: |bench, _| bench.set_pin("first pin"),
        in_steps: false,
        gives_tries_back: true,
    },
    Case {
        name: "changePIN",
        prepare: with_pin,
        run: |bench, _| bench.change_pin(PIN, "another"),
        in_steps: true,
        gives_tries_back: true,
    },
    Case {
        name: "a wrong PIN",
        prepare: with_pin,
        run: |bench, _| match bench.plain_token("wrong") {
            Err(Status::PIN_INVALID) => Ok(()),
            Err(status) => Err(status),
            Ok(_) => panic!("a wrong PIN gave a token"),
        },
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "a right PIN after wrong ones",
        prepare: |bench| {
            with_pin(bench);
            bench.plain_token("wrong").unwrap_err();
            bench.plain_token("wrong").unwrap_err();
            Vec::new()
        },
        run: |bench, _| bench.plain_token(PIN).map(drop),
        in_steps: true,
        gives_tries_back: true,
    },
    Case {
        name: "makeCredential, discoverable",
        prepare: |bench| {
            with_pin(bench);
            bench.mc_token()
        },
        run: |bench, token| {
            let options = Some(crate::bench::mc_options(true));
            bench
                .make(&ctap::make_credential::Request {
                    options,
                    ..bench.mc(Some(token))
                })
                .map(drop)
        },
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "makeCredential, replacing",
        prepare: |bench| {
            with_pin(bench);
            bench.make_simply(true, 1, RP);
            bench.mc_token()
        },
        run: |bench, token| {
            let options = Some(crate::bench::mc_options(true));
            bench
                .make(&ctap::make_credential::Request {
                    options,
                    ..bench.mc(Some(token))
                })
                .map(drop)
        },
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "getAssertion",
        prepare: |bench| bench.make_simply(true, 1, RP).id,
        run: |bench, id| bench.get(&bench.ga(None, &[id])).map(drop),
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "toggleAlwaysUv",
        prepare: |bench| {
            with_pin(bench);
            bench.config_token()
        },
        run: |bench, token| bench.config(2, None, Some(token)),
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "setMinPINLength",
        prepare: |bench| {
            with_pin(bench);
            bench.config_token()
        },
        run: |bench, token| bench.set_min_pin_length(token, Some(20), Some(&[RP]), None),
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "deleteCredential",
        prepare: |bench| {
            with_pin(bench);
            bench.make_simply(true, 1, RP);
            bench
                .token(
                    PIN,
                    ctap::client_pin::Permissions::CREDENTIAL_MANAGEMENT,
                    None,
                )
                .unwrap()
        },
        run: |bench, token| {
            let id = bench.key.state().credentials().next().unwrap().id.clone();
            bench.delete(token, &id)
        },
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "the last sample of an enrolment",
        prepare: |bench| {
            with_pin(bench);
            let token = bench.bio_token();
            let id = bench.enrol_but_one(&token);
            [id, token].concat()
        },
        run: |bench, argument| {
            let (id, token) = argument.split_at(2);
            bench.capture(id, token).map(drop)
        },
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "removeEnrollment",
        prepare: |bench| {
            with_pin(bench);
            bench.bio_token()
        },
        run: |bench, token| bench.remove(&[0, 0], token).map(drop),
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "the last fragment of the large blobs",
        prepare: |bench| {
            bench
                .write(&ARRAY[..20], 0, Some(ARRAY.len()), None)
                .unwrap();
            Vec::new()
        },
        run: |bench, _| bench.write(&ARRAY[20..], 20, None, None).map(drop),
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "changePIN, with the persistent token",
        prepare: |bench| {
            with_pin(bench);
            bench.persistent().unwrap()
        },
        run: |bench, _| bench.change_pin(PIN, "another"),
        in_steps: true,
        gives_tries_back: true,
    },
    Case {
        name: "enableLongTouchForReset",
        prepare: |bench| {
            with_pin(bench);
            bench.config_token()
        },
        run: |bench, token| bench.config(4, None, Some(token)),
        in_steps: false,
        gives_tries_back: false,
    },
    Case {
        name: "reset",
        prepare: |bench| {
            with_pin(bench);
            bench.make_simply(true, 1, RP);
            bench.power_cycle();
            Vec::new()
        },
        run: |bench, _| bench.send(Command::Reset, &[]).map(drop),
        in_steps: true,
        gives_tries_back: true,
    },
];

/// 36 bytes, of which the last 16 are the check of the others.
static ARRAY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let check = sha256(&[9; 20]);
    [&[9; 20][..], &check[..16]].concat()
});

fn with_pin(bench: &mut Bench) -> Vec<u8> {
    bench.set_pin(PIN).unwrap();
    Vec::new()
}

/// What the store holds, as something to compare.
fn held(store: &MemoryStore) -> String {
    let mut changes: Vec<_> = store
        .state()
        .unwrap()
        .snapshot()
        .iter()
        .flat_map(authenticator::Change::writes)
        .collect();
    changes.sort_by_key(|write| format!("{write:?}"));
    changes
        .into_iter()
        .map(|write| match write {
            authenticator::Write::Put { key, value } => format!("{key:02x?}={:02x?};", &value[..]),
            other => format!("{other:?};"),
        })
        .collect()
}

fn prepared(case: &Case) -> (Bench, Vec<u8>) {
    // A key that has all of the commands; a finger is enrolled for those that are about one.
    let mut profile = crate::bench::profile("fido-2.3-complete");
    profile.built_in_uv.enrolled = case.name == "removeEnrollment";
    let mut bench = Bench::of(profile);
    let argument = (case.prepare)(&mut bench);
    (bench, argument)
}

#[test]
fn after_every_cut_of_every_command_the_key_is_whole() {
    for case in CASES {
        let (mut bench, argument) = prepared(case);
        let before = held(&bench.store);
        let start = bench.store.commits();
        (case.run)(&mut bench, &argument)
            .unwrap_or_else(|status| panic!("{}: {status}", case.name));
        let after = held(&bench.store);
        let commits = bench.store.commits() - start;
        assert!(
            commits > 0 && (commits == 1) != case.in_steps,
            "{}: {commits} commits",
            case.name
        );
        assert_ne!(before, after, "{} changes nothing durable", case.name);

        for k in 0..commits {
            for fault in [Fault::BeforeWrite, Fault::AfterWrite] {
                let (mut bench, argument) = prepared(case);
                let retries = bench.key.state().pin_retries();
                bench.store.fail_at(k, fault);
                let result = (case.run)(&mut bench, &argument);
                assert_eq!(
                    result,
                    Err(Status::OTHER),
                    "{} answered without its store",
                    case.name
                );
                let now = held(&bench.store);
                if !case.in_steps {
                    let expected = if fault == Fault::AfterWrite {
                        &after
                    } else {
                        &before
                    };
                    assert_eq!(&now, expected, "{} at {k} {fault:?}", case.name);
                }
                bench.restart();
                let left = bench.key.state().pin_retries();
                assert!(
                    left <= retries || (case.gives_tries_back && left == MAX_PIN_RETRIES),
                    "{} at {k} {fault:?}: retries grew from {retries} to {left}",
                    case.name
                );
                bench.info();
            }
        }
    }
}

#[test]
fn a_cut_change_leaves_the_old_or_the_new_pin() {
    for k in 0..3 {
        for fault in [Fault::BeforeWrite, Fault::AfterWrite] {
            let mut bench = Bench::with_pin("fido-2.1");
            bench.store.fail_at(k, fault);
            bench.change_pin(PIN, "another").unwrap_err();
            bench.restart();
            let works: Vec<_> = [PIN, "another"]
                .iter()
                .filter(|pin| bench.plain_token(pin).is_ok())
                .collect();
            assert_eq!(works.len(), 1, "{k} {fault:?}");
        }
    }
}

#[test]
fn a_seen_signature_is_never_followed_by_a_smaller_counter() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make_simply(false, 1, RP);
    let mut seen = 0;
    for round in 0..20 {
        let fault = if round % 2 == 0 {
            Fault::BeforeWrite
        } else {
            Fault::AfterWrite
        };
        bench.store.fail_at(round % 4, fault);
        let mut answers = 0;
        while let Ok(assertion) = bench.get(&bench.ga(None, &[&made.id])) {
            let counter = crate::bench::counter(&assertion.auth_data);
            assert!(counter > seen);
            seen = counter;
            answers += 1;
            assert!(answers < 10, "signatures without the store");
        }
        bench.restart();
    }
    assert!(seen > 10);
}
