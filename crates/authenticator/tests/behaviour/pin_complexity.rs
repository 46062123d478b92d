//! CTAP 2.3 §6.5.1, §6.11.4 and §12.6: the PIN complexity policy.

use ctap::config::{SetMinPinLengthParams, SubCommand};
use ctap::make_credential::{self, ExtensionsInput, ExtensionsOutput};
use ctap::{Raw, Status};

use crate::bench::{Bench, PIN, RP};

const KEY: &str = "fido-2.3-complete";
const GOOD: &str = "471100";

impl Bench {
    fn switch_policy_on(&mut self, token: Option<&[u8]>) -> Result<(), Status> {
        let params = SetMinPinLengthParams {
            pin_complexity_policy: Some(true),
            min_pin_length_rp_ids: Some(vec![RP.to_owned()]),
            ..SetMinPinLengthParams::default()
        };
        let params = Some(Raw::new(params.encode()).unwrap());
        self.config(SubCommand::SetMinPinLength.code(), params, token)
    }

    fn told_policy(&mut self, token: Option<&[u8]>) -> Option<bool> {
        let request = make_credential::Request {
            extensions: Some(ExtensionsInput {
                pin_complexity_policy: Some(true),
                ..ExtensionsInput::default()
            }),
            ..self.mc(token)
        };
        let made = self.make(&request).unwrap();
        let output = ExtensionsOutput::decode(&made.extensions?).unwrap();
        output.pin_complexity_policy
    }
}

#[test]
fn a_key_without_a_policy_takes_simple_pins_and_cannot_have_one() {
    let mut bench = Bench::new("fido-2.3");
    assert_eq!(bench.info().pin_complexity_policy, None);
    assert_eq!(bench.switch_policy_on(None), Err(Status::INVALID_PARAMETER));
    bench.set_pin("0000").unwrap();
}

#[test]
fn a_policy_that_is_on_refuses_simple_pins() {
    let mut bench = Bench::new(KEY);
    let info = bench.info();
    assert_eq!(info.pin_complexity_policy, Some(false));
    assert_eq!(
        info.pin_complexity_policy_url.as_deref(),
        Some(&b"https://pinward.example/pin-policy"[..])
    );
    bench.set_pin("1234").unwrap();
    let mut bench = Bench::new(KEY);
    bench.switch_policy_on(None).unwrap();
    for simple in ["0000", "1234", "password"] {
        assert_eq!(
            bench.set_pin(simple),
            Err(Status::PIN_POLICY_VIOLATION),
            "{simple}"
        );
    }
    bench.set_pin(GOOD).unwrap();
    assert_eq!(
        bench.change_pin(GOOD, "9876"),
        Err(Status::PIN_POLICY_VIOLATION)
    );
    bench.restart();
    assert_eq!(bench.info().pin_complexity_policy, Some(true));
    bench.plain_token(GOOD).unwrap();
}

#[test]
fn switching_it_on_forces_a_change_of_a_pin_that_is_set() {
    let mut bench = Bench::with_pin(KEY);
    let token = bench.config_token();
    bench.switch_policy_on(Some(&token)).unwrap();
    let info = bench.info();
    assert_eq!(
        (info.pin_complexity_policy, info.force_pin_change),
        (Some(true), Some(true))
    );
    bench.change_pin(PIN, GOOD).unwrap();
    // Once more changes nothing.
    let scope = ctap::client_pin::Permissions::AUTHENTICATOR_CONFIG;
    let token = bench.token(GOOD, scope, None).unwrap();
    bench.switch_policy_on(Some(&token)).unwrap();
    assert_eq!(bench.info().force_pin_change, Some(false));
}

#[test]
fn a_policy_can_be_there_as_delivered() {
    let mut bench = Bench::new("enterprise");
    assert_eq!(bench.info().pin_complexity_policy, Some(true));
    assert_eq!(bench.info().min_pin_length, Some(6));
    assert_eq!(bench.set_pin("000000"), Err(Status::PIN_POLICY_VIOLATION));
    bench.set_pin(GOOD).unwrap();
}

#[test]
fn relying_parties_on_the_list_are_told() {
    let mut bench = Bench::new(KEY);
    assert_eq!(bench.told_policy(None), None);
    bench.switch_policy_on(None).unwrap();
    assert_eq!(bench.told_policy(None), Some(true));
    let mut bench = Bench::new("fido-2.3");
    assert_eq!(bench.told_policy(None), None);
}
