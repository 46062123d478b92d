//! Every message, the trace and the PIN/UV auth protocols on mutated input: no panic, and what is
//! accepted is written back canonically, once and for all.
//!
//! `PINWARD_MUTATIONS` sets the number of inputs for each decoder. One million for each:
//! `PINWARD_MUTATIONS=1000000 cargo test --release -p ctap --test mutations --test framing_mutations`
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::instances::{Message, all, key};
use common::random::{Random, iterations};
use ctap::cbor::{self, Value};
use ctap::pin_protocol::{KeyAgreementKey, PinUvAuthProtocol, encapsulate};
use ctap::{Command, Status, make_credential, request_bytes, response_bytes, trace};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use webauthn::cose::CoseKey;

/// What a decoder may say about bytes.
const REFUSALS: [Status; 5] = [
    Status::INVALID_CBOR,
    Status::CBOR_UNEXPECTED_TYPE,
    Status::MISSING_PARAMETER,
    Status::INVALID_PARAMETER,
    Status::INVALID_LENGTH,
];

/// Mutated bytes and mutated trees in turn; trees stay canonical and so get further.
fn mutated(seed: &[u8], tree: &Value, random: &mut Random) -> Vec<u8> {
    if random.below(2) == 0 {
        let mut bytes = seed.to_vec();
        random.mutate(&mut bytes);
        return bytes;
    }
    let mut tree = tree.clone();
    for _ in 0..=random.below(3) {
        random.mutate_tree(&mut tree);
    }
    tree.encode()
}

/// Feeds one decoder; returns how many inputs it accepted.
fn feed(message: &Message, count: u32) -> u32 {
    let mut random = Random(7);
    let tree = Value::decode(&message.full).unwrap();
    let mut accepted = 0;
    for _ in 0..count {
        let bytes = mutated(&message.full, &tree, &mut random);
        match (message.recode)(&bytes) {
            Ok(written) => {
                accepted += 1;
                assert!(cbor::check(&bytes).is_ok(), "{bytes:02x?}");
                assert!(written.len() <= bytes.len(), "{bytes:02x?}");
                // Only unknown members may go: what nothing was left out of is the same.
                assert!(
                    written.len() < bytes.len() || written == bytes,
                    "{bytes:02x?}"
                );
                assert_eq!((message.recode)(&written), Ok(written));
            }
            Err(status) => assert!(REFUSALS.contains(&status), "{status:?} {bytes:02x?}"),
        }
    }
    accepted
}

fn feed_half(half: usize) {
    let count = iterations(4_000);
    for message in all().iter().skip(half).step_by(2) {
        let accepted = feed(message, count);
        if count < 1000 {
            continue;
        }
        // A mutator that is refused each time would prove nothing.
        assert!(accepted > count / 100, "{}: only {accepted}", message.name);
        assert!(
            accepted < count - count / 20,
            "{}: {accepted}",
            message.name
        );
    }
}

#[test]
fn messages_with_even_index() {
    feed_half(0);
}

#[test]
fn messages_with_odd_index() {
    feed_half(1);
}

/// As platforms read it, with an attestation statement that nests deeper.
#[test]
fn make_credential_answers_read_by_a_platform() {
    let mut messages = all().into_iter();
    let mut message = messages
        .find(|message| message.name == "make_credential::Response")
        .unwrap();
    message.recode =
        |bytes| make_credential::Response::decode_response(bytes).map(|answer| answer.encode());
    assert!(feed(&message, iterations(4_000)) > 0);
}

/// Requests and answers of every command, printed for people.
#[test]
fn traces() {
    let mut random = Random(8);
    let seeds: Vec<_> = all()
        .into_iter()
        .map(|message| (Value::decode(&message.full).unwrap(), message.full))
        .collect();
    for _ in 0..iterations(8_000) {
        let (tree, seed) = &seeds[random.below(seeds.len())];
        let bytes = mutated(seed, tree, &mut random);
        let command = Command::ALL[random.below(Command::ALL.len())];
        let mut request = request_bytes(command, &bytes);
        let shown = trace::request(&request);
        assert_eq!(shown["command"], command.name());
        assert!(!shown.to_string().is_empty());
        let shown = trace::response(command, &response_bytes(Status::OK, &bytes));
        assert_eq!(shown["status"], Status::OK.name().as_ref());
        assert!(shown["members"].is_object() || !bytes.starts_with(&[0xA0]));
        request[0] = random.byte();
        let _ = (trace::request(&request), trace::response(command, &request));
        let _ = (trace::request(&bytes), trace::response(command, &bytes));
    }
}

/// The other side's key-agreement key, and what it encrypted, as an attacker would send them.
#[test]
fn key_agreement_with_any_peer() {
    let mut random = Random(9);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let own = KeyAgreementKey::generate(&mut rng).unwrap();
    let peer = KeyAgreementKey::generate(&mut rng).unwrap().public_key();
    let seeds = [peer.encode(), key().encode()];
    let (_, shared) = encapsulate(PinUvAuthProtocol::Two, &own.public_key(), &mut rng).unwrap();
    let mut agreed = 0;
    for round in 0..iterations(5_000) {
        let mut bytes = seeds[random.below(2)].clone();
        if round > 0 {
            random.mutate(&mut bytes);
        }
        let protocol = [PinUvAuthProtocol::One, PinUvAuthProtocol::Two][random.below(2)];
        if let Ok(peer) = CoseKey::parse(&bytes) {
            let ours = own.decapsulate(protocol, &peer);
            let theirs = encapsulate(protocol, &peer, &mut rng);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{peer:?}");
            agreed += u32::from(ours.is_ok());
        }
        let _ = shared.decrypt(&bytes);
        assert!(!shared.verify(b"message", &bytes));
        assert!(!protocol.verify(&[1; 32], b"message", &bytes));
    }
    assert!(agreed > 0, "no peer was valid");
}
