//! The provider against a key in the same process, through every state of its PIN.
#![allow(clippy::unwrap_used, clippy::panic)]

use authenticator::{FingerMatch, Interaction, Progress, UserEvent};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use client::manage::{Link, LinkError, Manager};
use client::pin::PinPolicy;
use lab::{Key, KeyState};
use pinward_sk::api::{Algorithm, Fault, flag};
use pinward_sk::new_pin::Choice;
use pinward_sk::provider::{
    AskNewPin, Enroll, Enrolled, Sign, Signature, enroll, has_credential, load_resident_keys, sign,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroizing;

/// The PIN that [`KeyState::establish`] sets.
const PIN: &str = KeyState::PIN;

struct Desk {
    key: Key,
    touches: usize,
}

impl Link for Desk {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let mut progress = self.key.send(request);
        loop {
            progress = match progress {
                Progress::Reply(bytes) => return Ok(bytes),
                Progress::Idle => return Err("no answer".into()),
                Progress::Waiting(Interaction::Touch { .. }) => {
                    self.touches += 1;
                    self.key.user(UserEvent::Touch)
                }
                Progress::Waiting(Interaction::BuiltInUv { .. }) => {
                    self.key.user(UserEvent::Finger(FingerMatch::Match))
                }
            };
        }
    }
}

/// Types what it is told to, and counts how often it was asked.
struct Person {
    typed: Option<&'static str>,
    asked: Vec<bool>,
}

impl AskNewPin for Person {
    fn new_pin(&mut self, _: &PinPolicy, needed: bool) -> Choice {
        self.asked.push(needed);
        match self.typed {
            Some(typed) => Choice::Pin(Zeroizing::new(typed.to_owned())),
            None => Choice::NotNow,
        }
    }
}

fn person(typed: Option<&'static str>) -> Person {
    Person {
        typed,
        asked: Vec::new(),
    }
}

fn desk(profile: &str, state: KeyState) -> Desk {
    desk_with(profile, state, 3)
}

/// Keys with different seeds have different secrets.
fn desk_with(profile: &str, state: KeyState, seed: u8) -> Desk {
    let profile = authenticator::profile::find(profile).unwrap().unwrap();
    let mut key = Key::fresh(&profile, [seed; 32]).unwrap();
    state.establish(&mut key).unwrap();
    Desk { key, touches: 0 }
}

fn with<T>(desk: &mut Desk, work: impl FnOnce(&mut Manager<'_>) -> T) -> T {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    work(&mut Manager::open(desk, &mut rng).unwrap())
}

fn make(
    desk: &mut Desk,
    algorithm: Algorithm,
    flags: u8,
    pin: Option<&str>,
    person: &mut Person,
) -> Result<Enrolled, Fault> {
    let request = Enroll {
        algorithm,
        challenge: b"challenge",
        application: "ssh:",
        flags,
        user: "kim",
    };
    with(desk, |key| enroll(key, &request, pin, person))
}

fn use_it(
    desk: &mut Desk,
    algorithm: Algorithm,
    key: &Enrolled,
    pin: Option<&str>,
) -> Result<Signature, Fault> {
    let request = Sign {
        algorithm,
        data: b"data",
        application: "ssh:",
        key_handle: &key.key_handle,
        flags: key.flags,
    };
    with(desk, |key| sign(key, &request, pin))
}

/// What sshd checks (PROTOCOL.u2f, "SSH U2F Signatures").
fn verify(algorithm: Algorithm, key: &Enrolled, signature: &Signature) {
    let hash = |data: &[u8]| digest(&SHA256, data).as_ref().to_vec();
    let signed = [
        &hash(b"ssh:")[..],
        &[signature.flags],
        &signature.counter.to_be_bytes(),
        &hash(b"data"),
    ]
    .concat();
    match algorithm {
        Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, &key.public_key)
            .verify(&signed, &signature.r)
            .unwrap(),
        Algorithm::Ecdsa => {
            let mut fixed = vec![0; 64];
            fixed[32 - signature.r.len()..32].copy_from_slice(&signature.r);
            fixed[64 - signature.s.len()..].copy_from_slice(&signature.s);
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.public_key)
                .verify(&signed, &fixed)
                .unwrap();
        }
    }
}

const UP: u8 = flag::USER_PRESENCE;
const UV: u8 = flag::USER_VERIFICATION;
const RK: u8 = flag::RESIDENT;

#[test]
fn both_types_sign_what_sshd_checks() {
    for algorithm in [Algorithm::Ecdsa, Algorithm::Ed25519] {
        let mut desk = desk("fido-2.1", KeyState::NoPin);
        let key = make(&mut desk, algorithm, UP, None, &mut person(None)).unwrap();
        let signature = use_it(&mut desk, algorithm, &key, None).unwrap();
        verify(algorithm, &key, &signature);
        assert_eq!((signature.flags, desk.touches), (UP, 2), "{algorithm:?}");
    }
}

#[test]
fn without_touch_none_is_asked_for() {
    let mut desk = desk("fido-2.1", KeyState::NoPin);
    let key = make(&mut desk, Algorithm::Ed25519, 0, None, &mut person(None)).unwrap();
    let signature = use_it(&mut desk, Algorithm::Ed25519, &key, None).unwrap();
    verify(Algorithm::Ed25519, &key, &signature);
    // Making it takes one in any case (CTAP 2.3 §6.1.2).
    assert_eq!((signature.flags, desk.touches), (0, 1));
}

#[test]
fn openssh_is_told_to_ask_for_the_pin_and_no_try_is_lost() {
    let mut desk = desk("fido-2.1", KeyState::PinSet);
    let mut nobody = person(None);
    for flags in [UP | UV, UP | RK, UP | UV | RK] {
        let fault = make(&mut desk, Algorithm::Ed25519, flags, None, &mut nobody).unwrap_err();
        assert_eq!(fault.code(), -3, "{flags:#x}: {fault}");
    }
    assert_eq!((desk.touches, nobody.asked.len()), (0, 0));
    let key = make(
        &mut desk,
        Algorithm::Ed25519,
        UP | UV,
        Some(PIN),
        &mut nobody,
    )
    .unwrap();
    assert_eq!(
        use_it(&mut desk, Algorithm::Ed25519, &key, None)
            .unwrap_err()
            .code(),
        -3
    );
    let signature = use_it(&mut desk, Algorithm::Ed25519, &key, Some(PIN)).unwrap();
    verify(Algorithm::Ed25519, &key, &signature);
    assert_eq!(signature.flags, UP | UV);
}

#[test]
fn a_wrong_pin_is_told_with_the_tries_left() {
    let mut desk = desk("fido-2.1", KeyState::PinSet);
    let mut nobody = person(None);
    let mut wrong = |typed| {
        make(
            &mut desk,
            Algorithm::Ed25519,
            UP | UV,
            Some(typed),
            &mut nobody,
        )
    };
    let fault = wrong("wrong one").unwrap_err();
    assert_eq!(
        (fault.code(), fault.to_string().as_str()),
        (-3, "wrong PIN; tries left: 7")
    );
    // One that no key could have costs nothing.
    let fault = wrong("12").unwrap_err();
    assert!(
        fault.code() == -3 && fault.to_string().contains("no try"),
        "{fault}"
    );
    wrong("wrong two").unwrap_err();
    let fault = wrong("wrong three").unwrap_err();
    assert_eq!(fault.code(), -1, "OpenSSH must not ask on: {fault}");
    assert!(fault.to_string().contains("plug it in again"), "{fault}");
}

#[test]
fn a_key_without_a_pin_has_one_made_where_it_is_needed() {
    let mut desk = desk("fido-2.1", KeyState::NoPin);
    let mut kim = person(Some("Tr1angle"));
    let key = make(&mut desk, Algorithm::Ed25519, UP | UV, None, &mut kim).unwrap();
    assert_eq!(kim.asked, [true]);
    let signature = use_it(&mut desk, Algorithm::Ed25519, &key, Some("Tr1angle")).unwrap();
    assert_eq!(signature.flags, UP | UV);

    let mut nobody = person(None);
    let mut fresh = self::desk("fido-2.1", KeyState::NoPin);
    let fault = make(&mut fresh, Algorithm::Ed25519, UP | UV, None, &mut nobody).unwrap_err();
    assert!(
        fault.code() == -1 && fault.to_string().contains("pinward pin set"),
        "{fault}"
    );
    // A resident key is possible without.
    make(&mut fresh, Algorithm::Ed25519, UP | RK, None, &mut nobody).unwrap();
    assert_eq!(nobody.asked, [true, false]);
    // Nobody is asked where no PIN is of use.
    make(&mut fresh, Algorithm::Ed25519, UP, None, &mut nobody).unwrap();
    assert_eq!(nobody.asked.len(), 2);
}

#[test]
fn a_reset_key_is_not_given_a_pin_for_signing() {
    let mut desk = desk("fido-2.1", KeyState::NoPin);
    let key = Enrolled {
        flags: UP | UV,
        key_handle: vec![1; 48],
        ..Enrolled::default()
    };
    let fault = use_it(&mut desk, Algorithm::Ed25519, &key, None).unwrap_err();
    assert!(
        fault.code() == -4 && fault.to_string().contains("reset"),
        "{fault}"
    );
    let mut other = self::desk("fido-2.1", KeyState::PinSet);
    let fault = use_it(&mut other, Algorithm::Ed25519, &key, Some(PIN)).unwrap_err();
    assert_eq!(fault.code(), -4, "{fault}");
}

#[test]
fn always_uv_asks_for_every_signature() {
    let mut desk = desk("fido-2.1", KeyState::AlwaysUvPinSet);
    let mut nobody = person(None);
    assert_eq!(
        make(&mut desk, Algorithm::Ed25519, UP, None, &mut nobody)
            .unwrap_err()
            .code(),
        -3
    );
    let key = make(&mut desk, Algorithm::Ed25519, UP, Some(PIN), &mut nobody).unwrap();
    assert_eq!(
        use_it(&mut desk, Algorithm::Ed25519, &key, None)
            .unwrap_err()
            .code(),
        -3
    );
    assert_eq!(
        use_it(&mut desk, Algorithm::Ed25519, &key, Some(PIN))
            .unwrap()
            .flags,
        UP | UV
    );
}

#[test]
fn a_pin_that_must_be_changed_and_a_blocked_one_are_not_asked_for_again() {
    for (state, word) in [
        (KeyState::PinChangeForced, "pin change"),
        (KeyState::PinBlocked, "blocked"),
    ] {
        let mut desk = desk("fido-2.1", state);
        let made = make(
            &mut desk,
            Algorithm::Ed25519,
            UP | UV,
            Some(PIN),
            &mut person(None),
        );
        let fault = made.unwrap_err();
        assert!(
            fault.code() == -1 && fault.to_string().contains(word),
            "{state:?}: {fault}"
        );
    }
}

#[test]
fn resident_keys_are_listed_with_what_they_were_made_with() {
    let mut desk = desk("fido-2.1", KeyState::PinSet);
    let mut nobody = person(None);
    let key = make(
        &mut desk,
        Algorithm::Ecdsa,
        UP | RK | UV,
        Some(PIN),
        &mut nobody,
    )
    .unwrap();
    assert_eq!(
        with(&mut desk, |key| load_resident_keys(key, None))
            .unwrap_err()
            .code(),
        -3
    );
    let found = with(&mut desk, |key| load_resident_keys(key, Some(PIN))).unwrap();
    let [found] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (found.algorithm, found.application.as_str(), found.flags),
        (Algorithm::Ecdsa, "ssh:", UP | RK | UV)
    );
    assert_eq!(
        (&found.public_key, &found.key_handle),
        (&key.public_key, &key.key_handle)
    );
    let mut user = b"kim".to_vec();
    user.resize(32, 0);
    assert_eq!(found.user_id, user);
}

#[test]
fn a_resident_key_is_replaced_only_if_that_is_said() {
    let mut desk = desk("fido-2.1", KeyState::PinSet);
    let mut nobody = person(None);
    let mut made = |flags| make(&mut desk, Algorithm::Ed25519, flags, Some(PIN), &mut nobody);
    let first = made(UP | RK).unwrap();
    assert_eq!(made(UP | RK).unwrap_err().code(), -5);
    let second = made(UP | RK | flag::FORCE).unwrap();
    assert_ne!(first.key_handle, second.key_handle);
    let found = with(&mut desk, |key| load_resident_keys(key, Some(PIN))).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn the_key_that_has_the_credential_is_known_without_a_touch() {
    let mut desk = desk("fido-2.1", KeyState::NoPin);
    let key = make(&mut desk, Algorithm::Ed25519, UP, None, &mut person(None)).unwrap();
    let touches = desk.touches;
    let has = |desk: &mut Desk, application| {
        with(desk, |manager| {
            has_credential(manager, application, &key.key_handle)
        })
    };
    assert!(has(&mut desk, "ssh:"));
    assert!(!has(&mut desk, "ssh:other"));
    assert!(!has(&mut desk_with("fido-2.1", KeyState::NoPin, 4), "ssh:"));
    assert_eq!(desk.touches, touches);
}
