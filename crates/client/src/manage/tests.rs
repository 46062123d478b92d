//! A manager and a scripted key: what is sent, what is not, and what lies come to.
#![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise

use std::collections::VecDeque;

use ctap::get_info::{Options, Response};
use ctap::{config, response_bytes};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::pin::Pin;

/// A key that can be configured.
pub(super) fn info() -> Response {
    let empty = [0xA2, 0x01, 0x81, 0x68];
    let versions = [&empty[..], b"FIDO_2_1", &[0x03, 0x50], &[7; 16]].concat();
    Response {
        options: Some(Options {
            client_pin: Some(true),
            always_uv: Some(false),
            authnr_cfg: Some(true),
            set_min_pin_length: Some(true),
            cred_mgmt: Some(true),
            ep: Some(false),
            ..Options::default()
        }),
        force_pin_change: Some(false),
        min_pin_length: Some(4),
        ..Response::decode(&versions).unwrap()
    }
}

struct Script {
    answers: VecDeque<Vec<u8>>,
    asked: Vec<Vec<u8>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            answers: answers.into_iter().collect(),
            asked: Vec::new(),
        }
    }

    fn run<T>(&mut self, work: impl FnOnce(&mut Manager<'_>) -> T) -> T {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        work(&mut Manager::open(self, &mut rng).unwrap())
    }

    fn commands(&self) -> Vec<u8> {
        self.asked.iter().map(|request| request[0]).collect()
    }
}

impl Link for Script {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.asked.push(request.to_vec());
        self.answers.pop_front().ok_or_else(|| "unplugged".into())
    }
}

fn told(change: impl FnOnce(&mut Response, &mut Options)) -> Vec<u8> {
    let mut info = info();
    let mut options = info.options.take().unwrap();
    change(&mut info, &mut options);
    info.options = Some(options);
    response_bytes(Status::OK, &info.encode())
}

fn as_ever() -> Vec<u8> {
    told(|_, _| {})
}

fn ok() -> Vec<u8> {
    vec![0]
}

fn refused(status: Status) -> Vec<u8> {
    vec![status.0]
}

#[test]
fn what_is_so_already_is_not_sent() {
    let mut key = Script::new([as_ever(), as_ever()]);
    let change = key.run(|key| key.set_always_uv(false, None)).unwrap();
    assert_eq!(change, Change::Already);
    assert_eq!(key.commands(), [4, 4]);
    let forced = || told(|info, _| info.force_pin_change = Some(true));
    let mut key = Script::new([forced(), forced()]);
    let change = key.run(|key| key.force_pin_change(None)).unwrap();
    assert_eq!(change, Change::Already);
    assert_eq!(key.commands(), [4, 4]);
}

#[test]
fn a_change_is_made_and_read_back() {
    let on = told(|_, options| options.always_uv = Some(true));
    let mut key = Script::new([as_ever(), as_ever(), ok(), on]);
    let change = key.run(|key| key.set_always_uv(true, None)).unwrap();
    assert_eq!(change, Change::Done);
    assert_eq!(key.commands(), [4, 4, 0x0D, 4]);
    let request = config::Request::decode(&key.asked[2][1..]).unwrap();
    assert_eq!(request.sub_command, 2);
}

#[test]
fn a_key_that_lies_is_found_out() {
    let lies = || Script::new([as_ever(), as_ever(), ok(), as_ever()]);
    let errors = [
        lies().run(|key| key.set_always_uv(true, None)),
        lies().run(|key| key.set_min_pin_length(6, None)),
        lies().run(|key| key.force_pin_change(None)),
        lies().run(|key| key.enable_enterprise_attestation(None)),
    ];
    for error in errors {
        assert!(matches!(error, Err(ManageError::NotAsSaid(_))), "{error:?}");
    }
}

#[test]
fn what_a_key_cannot_do_is_not_tried() {
    let plain = || {
        let plain = told(|_, options| *options = Options::default());
        Script::new([plain.clone(), plain])
    };
    let errors = [
        plain().run(|key| key.set_always_uv(true, None).map(drop)),
        plain().run(|key| key.set_min_pin_length(6, None).map(drop)),
        plain().run(|key| key.enable_enterprise_attestation(None).map(drop)),
        plain().run(|key| key.lists_passkeys()),
        plain().run(|key| key.set_pin(&Pin::existing("1234").unwrap())),
    ];
    for error in errors {
        assert!(
            matches!(error, Err(ManageError::NotSupported(_))),
            "{error:?}"
        );
    }
}

#[test]
fn refusals_and_broken_answers_are_told_apart() {
    let mut key = Script::new([as_ever(), as_ever(), refused(Status::OPERATION_DENIED)]);
    let error = key.run(|key| key.set_always_uv(true, None)).unwrap_err();
    assert_eq!(error.status(), Some(Status::OPERATION_DENIED));
    let mut key = Script::new([as_ever(), vec![]]);
    let error = key.run(|key| key.refresh()).unwrap_err();
    assert!(matches!(error, ManageError::BadReply(_)), "{error:?}");
    let mut key = Script::new([as_ever(), vec![0, 0xFF]]);
    let error = key.run(|key| key.refresh()).unwrap_err();
    assert!(matches!(error, ManageError::BadReply(_)), "{error:?}");
    let mut key = Script::new([as_ever()]);
    let error = key.run(|key| key.refresh()).unwrap_err();
    assert_eq!(error.to_string(), "unplugged");
}

fn token() -> Token {
    Token {
        protocol: PinUvAuthProtocol::Two,
        value: Zeroizing::new(vec![5; 32]),
    }
}

#[test]
fn a_token_is_not_shown() {
    assert_eq!(format!("{:?}", token()), "Token(Two, ..)");
}

#[test]
fn the_prototype_is_used_where_it_is_all_there_is() {
    let pre = told(|_, options| {
        options.cred_mgmt = None;
        options.credential_mgmt_preview = Some(true);
    });
    let mut key = Script::new([pre, refused(Status::NO_CREDENTIALS)]);
    let passkeys = key.run(|key| key.passkeys(&token())).unwrap();
    assert!(passkeys.is_empty());
    assert_eq!(key.commands(), [4, 0x41]);
}

#[test]
fn a_key_that_claims_endless_passkeys_is_not_followed() {
    let endless = ctap::credential_management::Response {
        total_rps: Some(u64::MAX),
        rp_id_hash: Some([1; 32]),
        ..Default::default()
    };
    let endless = response_bytes(Status::OK, &endless.encode());
    let mut key = Script::new([as_ever(), endless]);
    let error = key.run(|key| key.passkeys(&token())).unwrap_err();
    assert!(matches!(error, ManageError::BadReply(_)), "{error:?}");
}

#[test]
fn consequences_fit_the_key() {
    let text = |setting, info: &Response| consequences(setting, info).join(" ");
    let mut info = info();
    let said = text(Setting::AlwaysUv(true), &info);
    assert!(!said.contains("U2F") && !said.contains("no PIN"), "{said}");
    info.versions.push("U2F_V2".to_owned());
    info.options.as_mut().unwrap().client_pin = Some(false);
    let said = text(Setting::AlwaysUv(true), &info);
    assert!(said.contains("U2F is switched off"), "{said}");
    assert!(said.contains("no PIN yet"), "{said}");
    let pin = Pin::existing("1234567").unwrap();
    let said = text(Setting::MinPinLength(8, Some(&pin)), &info);
    assert!(said.contains("Its PIN has 7 characters"), "{said}");
    assert!(said.contains("only a reset"), "{said}");
    let said = text(Setting::MinPinLength(6, Some(&pin)), &info);
    assert!(!said.contains("at once"), "{said}");
}
