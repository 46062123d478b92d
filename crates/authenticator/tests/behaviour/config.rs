//! CTAP 2.3 §6.11 authenticatorConfig.

use ctap::client_pin::Permissions;
use ctap::config::{Request, SetMinPinLengthParams, SubCommand, authenticated_message};
use ctap::{Command, Raw, Status};

use crate::bench::{Bench, PIN, RP};

impl Bench {
    pub(crate) fn config(
        &mut self,
        sub_command: u64,
        params: Option<Raw>,
        token: Option<&[u8]>,
    ) -> Result<(), Status> {
        let message = authenticated_message(sub_command, params.as_ref());
        let request = Request {
            sub_command,
            sub_command_params: params,
            pin_uv_auth_protocol: token.map(|_| self.protocol.number().into()),
            pin_uv_auth_param: token.map(|token| self.protocol.authenticate(token, &message)),
        };
        self.send(Command::Config, &request.encode())
            .map(|answer| assert!(answer.is_empty()))
    }

    pub(crate) fn config_token(&mut self) -> Vec<u8> {
        self.token(PIN, Permissions::AUTHENTICATOR_CONFIG, None)
            .unwrap()
    }

    pub(crate) fn set_min_pin_length(
        &mut self,
        token: &[u8],
        length: Option<u64>,
        rp_ids: Option<&[&str]>,
        force: Option<bool>,
    ) -> Result<(), Status> {
        let params = SetMinPinLengthParams {
            new_min_pin_length: length,
            min_pin_length_rp_ids: rp_ids
                .map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
            force_change_pin: force,
            pin_complexity_policy: None,
        };
        let token = (!token.is_empty()).then_some(token);
        self.config(
            SubCommand::SetMinPinLength.code(),
            Some(Raw::new(params.encode()).unwrap()),
            token,
        )
    }
}

const TOGGLE: u64 = 0x02;

#[test]
fn an_unprotected_key_takes_configuration_from_anybody() {
    let mut bench = Bench::new("fido-2.1");
    bench.config(TOGGLE, None, None).unwrap();
    assert_eq!(bench.info().options.unwrap().always_uv, Some(true));
    // Now only the way back is open.
    assert_eq!(
        bench.set_min_pin_length(&[], Some(6), None, None),
        Err(Status::PUAT_REQUIRED)
    );
    bench.config(TOGGLE, None, None).unwrap();
    assert_eq!(bench.info().options.unwrap().always_uv, Some(false));
    bench.set_min_pin_length(&[], Some(6), None, None).unwrap();
    assert_eq!(bench.info().min_pin_length, Some(6));
}

#[test]
fn a_protected_key_wants_a_token_with_the_permission() {
    let mut bench = Bench::with_pin("fido-2.1");
    assert_eq!(bench.config(TOGGLE, None, None), Err(Status::PUAT_REQUIRED));
    let token = bench.mc_token();
    assert_eq!(
        bench.config(TOGGLE, None, Some(&token)),
        Err(Status::PIN_AUTH_INVALID)
    );
    let token = bench.config_token();
    assert_eq!(
        bench.config(TOGGLE, None, Some(&[1; 32])),
        Err(Status::PIN_AUTH_INVALID)
    );
    bench.config(TOGGLE, None, Some(&token)).unwrap();
    assert_eq!(bench.info().options.unwrap().always_uv, Some(true));
    // The token serves more than once.
    bench.config(TOGGLE, None, Some(&token)).unwrap();
    bench.restart();
    assert_eq!(bench.info().options.unwrap().always_uv, Some(false));
}

#[test]
fn the_param_covers_the_parameters() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.config_token();
    let params = |length: u64| {
        let params = SetMinPinLengthParams {
            new_min_pin_length: Some(length),
            ..Default::default()
        };
        Some(Raw::new(params.encode()).unwrap())
    };
    let message = authenticated_message(3, params(5).as_ref());
    let request = Request {
        sub_command: 3,
        sub_command_params: params(9),
        pin_uv_auth_protocol: Some(2),
        pin_uv_auth_param: Some(bench.protocol.authenticate(&token, &message)),
    };
    assert_eq!(
        bench.send(Command::Config, &request.encode()),
        Err(Status::PIN_AUTH_INVALID)
    );
    assert_eq!(bench.info().min_pin_length, Some(4));
}

#[test]
fn unknown_subcommands_and_keys_without_configuration() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.config_token();
    for sub_command in [0, 4, 5, 0xff] {
        assert_eq!(
            bench.config(sub_command, None, Some(&token)),
            Err(Status::INVALID_PARAMETER)
        );
    }
    assert_eq!(
        Bench::new("fido-2.0").config(TOGGLE, None, None),
        Err(Status::INVALID_COMMAND)
    );
}

#[test]
fn always_uv_can_be_switched_on_and_then_holds() {
    let mut bench = Bench::with_pin("fido-2.1-muv");
    bench.make(&bench.mc(None)).unwrap();
    let token = bench.config_token();
    bench.config(TOGGLE, None, Some(&token)).unwrap();
    let info = bench.info();
    assert_eq!(info.options.unwrap().make_cred_uv_not_rqd, Some(false));
    assert!(!info.versions.iter().any(|version| version == "U2F_V2"));
    assert_eq!(
        bench.make(&bench.mc(None)).unwrap_err(),
        Status::PUAT_REQUIRED
    );
}

#[test]
fn the_minimum_only_grows_and_a_shorter_pin_must_be_changed() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.config_token();
    assert_eq!(
        bench.set_min_pin_length(&token, Some(3), None, None),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    assert_eq!(
        bench.set_min_pin_length(&token, Some(64), None, None),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    bench
        .set_min_pin_length(&token, Some(8), None, None)
        .unwrap();
    let info = bench.info();
    assert_eq!(
        (info.min_pin_length, info.force_pin_change),
        (Some(8), Some(false))
    );
    assert_eq!(
        bench.set_min_pin_length(&token, Some(7), None, None),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    bench
        .set_min_pin_length(&token, Some(9), None, None)
        .unwrap();
    bench.restart();
    let info = bench.info();
    assert_eq!(
        (info.min_pin_length, info.force_pin_change),
        (Some(9), Some(true))
    );
    assert_eq!(
        bench.change_pin(PIN, "87654321"),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    bench.change_pin(PIN, "987654321").unwrap();
    assert_eq!(bench.info().force_pin_change, Some(false));
}

#[test]
fn a_forced_change_stops_tokens_until_the_pin_is_another() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.config_token();
    bench
        .set_min_pin_length(&token, None, None, Some(true))
        .unwrap();
    assert_eq!(
        bench.config(TOGGLE, None, Some(&token)),
        Err(Status::PIN_AUTH_INVALID),
        "its token is over"
    );
    assert_eq!(
        bench.token(PIN, Permissions::MAKE_CREDENTIAL, Some(RP)),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    assert_eq!(bench.plain_token(PIN), Err(Status::PIN_INVALID));
    assert_eq!(bench.retries(), 8, "the PIN was right");
    assert_eq!(
        bench.change_pin(PIN, PIN),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    bench.change_pin(PIN, "another pin").unwrap();
    bench
        .token("another pin", Permissions::MAKE_CREDENTIAL, Some(RP))
        .unwrap();
}

#[test]
fn a_change_cannot_be_forced_without_a_pin() {
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(
        bench.set_min_pin_length(&[], None, None, Some(true)),
        Err(Status::PIN_NOT_SET)
    );
}

#[test]
fn too_many_relying_parties_do_not_fit() {
    let mut bench = Bench::with_pin("fido-2.1");
    let token = bench.config_token();
    let five = [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "e.example",
    ];
    assert_eq!(
        bench.set_min_pin_length(&token, None, Some(&five), None),
        Err(Status::KEY_STORE_FULL)
    );
    bench
        .set_min_pin_length(&token, None, Some(&five[..4]), None)
        .unwrap();
    assert_eq!(bench.key.state().config().min_pin_length_rp_ids.len(), 4);
}
