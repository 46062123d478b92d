//! The running key against its UV gate: every cell of the domain, over bytes.

use std::collections::HashMap;
use std::sync::Arc;

use authenticator::uv::{Ceremony, Decision, Facts, PinUvAuthParam, decide, domain};
use authenticator::{Change, CredProtect, CredentialSource, KeyMaterial, Profile, State};
use ctap::Status;
use ctap::client_pin::Permissions;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use webauthn::authenticator_data::Flags;
use webauthn::cose::CoseAlgorithm;
use zeroize::Zeroizing;

use crate::bench::{Bench, PIN, RP, flags, sha256};

const ID: [u8; 32] = [0x77; 32];

/// What distinguishes the keys of the domain.
type Options = (Option<bool>, Option<bool>, bool, bool, bool);

fn options_of(facts: &Facts) -> Options {
    (
        facts.client_pin,
        facts.built_in_uv,
        facts.always_uv,
        facts.make_cred_uv_not_rqd,
        facts.no_mc_ga_permissions_with_client_pin,
    )
}

fn key((client_pin, built_in_uv, always_uv, not_rqd, no_mc_ga): Options) -> Bench {
    let text = format!(
        r#"id = "cell"
        name = "cell"
        about = "one cell of the table"
        aaguid = "b9bb2ed8-5f9c-4d5a-8d00-706e77617264"
        ctap1 = false
        ctap2 = true
        transports = ["usb"]
        extensions = []
        [options]
        rk = true
        clientPin = {pin}
        uv = {uv}
        pinUvAuthToken = {token}
        alwaysUv = {always_uv}
        makeCredUvNotRqd = {not_rqd}
        noMcGaPermissionsWithClientPin = {no_mc_ga}
        [built_in_uv]
        enrolled = {enrolled}
        [pin]
        protocols = [2, 1]
        [attestation]
        kind = "self""#,
        pin = client_pin.is_some(),
        uv = built_in_uv.is_some(),
        token = client_pin.is_some() || built_in_uv.is_some(),
        enrolled = built_in_uv == Some(true),
    );
    let mut state = State::fresh(&mut ChaCha20Rng::seed_from_u64(1));
    state.apply(&Change::PutCredential(Arc::new(CredentialSource {
        id: ID.to_vec(),
        rp_id_hash: sha256(RP.as_bytes()),
        rp: None,
        user: None,
        key: KeyMaterial {
            algorithm: CoseAlgorithm::ES256,
            bytes: Zeroizing::new(vec![1; 32]),
        },
        discoverable: false,
        cred_protect: CredProtect::UserVerificationOptional,
        hmac_secret: false,
        large_blob_key: false,
        third_party_payment: false,
        cred_blob: None,
        created: 0,
    })));
    let mut bench = Bench::with(Profile::from_toml(&text).unwrap(), state);
    if client_pin == Some(true) {
        bench.set_pin(PIN).unwrap();
    }
    bench
}

/// A token for the command, by whatever means the key gives one.
fn token(bench: &mut Bench, facts: &Facts) -> Option<Vec<u8>> {
    let permission = match facts.ceremony {
        Ceremony::MakeCredential => Permissions::MAKE_CREDENTIAL,
        Ceremony::GetAssertion => Permissions::GET_ASSERTION,
    };
    if facts.client_pin == Some(true) && !facts.no_mc_ga_permissions_with_client_pin {
        Some(bench.token(PIN, permission, Some(RP)).unwrap())
    } else if facts.built_in_uv == Some(true) {
        Some(bench.uv_token(permission, Some(RP)).unwrap())
    } else {
        None
    }
}

/// Sends the request of a cell; the flags of the answer, and how often the person was asked.
fn run(bench: &mut Bench, facts: &Facts, param: Option<&[u8]>) -> (Result<Flags, Status>, usize) {
    let protocol = param.map(|_| 2);
    let result = match facts.ceremony {
        Ceremony::MakeCredential => {
            let options = ctap::make_credential::Options {
                rk: Some(facts.rk),
                uv: Some(facts.uv),
                up: None,
            };
            let request = ctap::make_credential::Request {
                options: Some(options),
                pin_uv_auth_param: param.map(<[u8]>::to_vec),
                pin_uv_auth_protocol: protocol,
                ..bench.mc(None)
            };
            bench.make(&request).map(|made| made.flags)
        }
        Ceremony::GetAssertion => {
            let options = ctap::get_assertion::Options {
                rk: None,
                up: Some(facts.up),
                uv: Some(facts.uv),
            };
            let request = ctap::get_assertion::Request {
                options: Some(options),
                pin_uv_auth_param: param.map(<[u8]>::to_vec),
                pin_uv_auth_protocol: protocol,
                ..bench.ga(None, &[&ID])
            };
            bench.get(&request).map(|assertion| flags(&assertion))
        }
    };
    (result, bench.asked.len())
}

#[test]
fn every_cell_of_the_running_key_is_as_the_table_says() {
    let mut keys: HashMap<Options, Bench> = HashMap::new();
    for facts in domain() {
        let options = options_of(&facts);
        let bench = keys.entry(options).or_insert_with(|| key(options));
        let token = match facts.pin_uv_auth_param {
            PinUvAuthParam::Present => token(bench, &facts),
            _ => None,
        };
        let right = token
            .as_ref()
            .map(|token| bench.protocol.authenticate(token, &crate::bench::HASH));
        let param = match facts.pin_uv_auth_param {
            PinUvAuthParam::Absent => None,
            PinUvAuthParam::Empty => Some(vec![]),
            PinUvAuthParam::Present => Some(right.clone().unwrap_or_else(|| vec![1; 32])),
        };
        let (result, asked) = run(bench, &facts, param.as_deref());
        let presence = facts.up;
        match decide(&facts) {
            Decision::Reject(status) => assert_eq!((result, asked), (Err(status), 0), "{facts:?}"),
            Decision::TouchThen(status) => {
                assert_eq!((result, asked), (Err(status), 1), "{facts:?}")
            }
            Decision::Skip => {
                let flags = result.unwrap_or_else(|status| panic!("{status} {facts:?}"));
                assert!(
                    !flags.user_verified(),
                    "a UV flag without evidence: {facts:?}"
                );
                assert_eq!(flags.user_present(), presence, "{facts:?}");
                assert_eq!(asked, usize::from(presence), "{facts:?}");
            }
            Decision::PerformBuiltInUv => {
                let flags = result.unwrap_or_else(|status| panic!("{status} {facts:?}"));
                assert!(flags.user_verified(), "{facts:?}");
                assert_eq!(asked, 1, "{facts:?}");
            }
            Decision::VerifyParam if right.is_some() => {
                let flags = result.unwrap_or_else(|status| panic!("{status} {facts:?}"));
                assert!(flags.user_verified(), "{facts:?}");
                assert_eq!(flags.user_present(), presence, "{facts:?}");
            }
            Decision::VerifyParam => {
                assert_eq!(
                    (result, asked),
                    (Err(Status::PIN_AUTH_INVALID), 0),
                    "{facts:?}"
                );
            }
        }
        // A wrong param never passes where one is verified.
        if decide(&facts) == Decision::VerifyParam {
            let (result, asked) = run(bench, &facts, Some(&[1; 32]));
            assert_eq!(
                (result, asked),
                (Err(Status::PIN_AUTH_INVALID), 0),
                "{facts:?}"
            );
        }
    }
    assert_eq!(keys.len(), 72);
}
