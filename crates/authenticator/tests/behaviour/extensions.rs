//! CTAP 2.3 §12: credProtect, hmac-secret, minPinLength, credBlob.

use ctap::get_assertion::{self, BoolOr, HmacSecretInput};
use ctap::make_credential::{self, ExtensionsInput, ExtensionsOutput};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret};
use ctap::{SecretBytes, Status};
use webauthn::authenticator_data::AuthenticatorData;

use crate::bench::{Bench, Made, PIN, RP, descriptor, mc_options, user};
use ctap::client_pin::Permissions;

fn make(bench: &mut Bench, rk: bool, input: ExtensionsInput) -> Made {
    let token = bench.key.state().pin().is_some().then(|| bench.mc_token());
    let request = make_credential::Request {
        extensions: Some(input),
        options: Some(mc_options(rk)),
        ..bench.mc(token.as_deref())
    };
    bench.make(&request).unwrap()
}

fn output(made: &Made) -> ExtensionsOutput {
    made.extensions
        .as_deref()
        .map(|bytes| ExtensionsOutput::decode(bytes).unwrap())
        .unwrap_or_default()
}

fn protect(level: u64) -> ExtensionsInput {
    ExtensionsInput {
        cred_protect: Some(level),
        ..ExtensionsInput::default()
    }
}

#[test]
fn without_extensions_there_is_no_output() {
    let mut bench = Bench::new("fido-2.1");
    assert!(
        make(&mut bench, false, ExtensionsInput::default())
            .extensions
            .is_none()
    );
}

#[test]
fn cred_protect_decides_who_sees_a_credential() {
    for rk in [false, true] {
        // Level, listed, verified: usable?
        for (level, listed, verified, usable) in [
            (1, true, false, true),
            (1, false, false, rk),
            (2, true, false, true),
            (2, false, false, false),
            (2, false, true, rk),
            (3, true, false, false),
            (3, false, false, false),
            (3, true, true, true),
            (3, false, true, rk),
        ] {
            let mut bench = Bench::with_pin("fido-2.1");
            let made = make(&mut bench, rk, protect(level));
            assert_eq!(output(&made).cred_protect, Some(level));
            let token = verified.then(|| bench.ga_token());
            let allow: &[&[u8]] = if listed { &[&made.id] } else { &[] };
            let result = bench.get(&bench.ga(token.as_deref(), allow));
            match result {
                Ok(_) => assert!(usable, "{rk} {level} {listed} {verified}"),
                Err(status) => {
                    assert!(!usable, "{rk} {level} {listed} {verified}");
                    assert_eq!(status, Status::NO_CREDENTIALS);
                }
            }
        }
    }
}

#[test]
fn cred_protect_3_is_not_told_by_an_exclude_list_without_verification() {
    let mut bench = Bench::with_pin("fido-2.1-muv");
    let made = make(&mut bench, false, protect(3));
    let exclude_list = Some(vec![descriptor(&made.id)]);
    let request = make_credential::Request {
        exclude_list: exclude_list.clone(),
        ..bench.mc(None)
    };
    bench.make(&request).unwrap();
    let token = bench.mc_token();
    let request = make_credential::Request {
        exclude_list,
        ..bench.mc(Some(&token))
    };
    assert_eq!(
        bench.make(&request).unwrap_err(),
        Status::CREDENTIAL_EXCLUDED
    );
}

#[test]
fn an_impossible_level_is_refused_and_a_2_0_key_does_not_know_it() {
    let mut bench = Bench::new("fido-2.1");
    for level in [0, 4, 255] {
        let request = make_credential::Request {
            extensions: Some(protect(level)),
            ..bench.mc(None)
        };
        assert_eq!(
            bench.make(&request).unwrap_err(),
            Status::INVALID_OPTION,
            "{level}"
        );
    }
    assert!(
        make(&mut Bench::new("fido-2.0"), true, protect(3))
            .extensions
            .is_none()
    );
}

fn hmac() -> ExtensionsInput {
    ExtensionsInput {
        hmac_secret: Some(true),
        ..ExtensionsInput::default()
    }
}

fn salts(bench: &mut Bench, salts: &[u8]) -> (get_assertion::ExtensionsInput, SharedSecret) {
    let (key_agreement, secret) = bench.agree();
    let salt_enc = secret.encrypt(salts, &mut bench.rng).unwrap();
    let salt_auth = secret.authenticate(&salt_enc);
    let input = HmacSecretInput {
        key_agreement,
        salt_enc: SecretBytes::from(salt_enc),
        salt_auth,
        pin_uv_auth_protocol: (bench.protocol == PinUvAuthProtocol::Two).then_some(2),
    };
    let hmac_secret = Some(BoolOr::Other(input));
    (
        get_assertion::ExtensionsInput {
            hmac_secret,
            ..get_assertion::ExtensionsInput::default()
        },
        secret,
    )
}

fn evaluate(bench: &mut Bench, id: &[u8], salt: &[u8], verified: bool) -> Option<Vec<u8>> {
    let token = verified.then(|| bench.ga_token());
    let (extensions, secret) = salts(bench, salt);
    let request = get_assertion::Request {
        extensions: Some(extensions),
        ..bench.ga(token.as_deref(), &[id])
    };
    let assertion = bench.get(&request).unwrap();
    let data = AuthenticatorData::parse(&assertion.auth_data).unwrap();
    let output = get_assertion::ExtensionsOutput::decode(data.extensions?).unwrap();
    Some(secret.decrypt(&output.hmac_secret?).unwrap().to_vec())
}

#[test]
fn hmac_secret_is_stable_and_of_its_credential_salt_and_verification() {
    for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
        for rk in [false, true] {
            let mut bench = Bench::with_pin("fido-2.1");
            bench.protocol = protocol;
            let made = make(&mut bench, rk, hmac());
            assert_eq!(output(&made).hmac_secret, Some(true));
            let one = evaluate(&mut bench, &made.id, &[1; 32], false).unwrap();
            assert_eq!(one.len(), 32);
            bench.restart();
            assert_eq!(
                evaluate(&mut bench, &made.id, &[1; 32], false).unwrap(),
                one
            );
            let verified = evaluate(&mut bench, &made.id, &[1; 32], true).unwrap();
            assert_ne!(verified, one);
            let two = evaluate(&mut bench, &made.id, &[[1; 32], [2; 32]].concat(), false).unwrap();
            assert_eq!(two[..32], one);
            assert_ne!(two[32..], one);
            let other = make(&mut bench, false, hmac());
            assert_ne!(
                evaluate(&mut bench, &other.id, &[1; 32], false).unwrap(),
                one
            );
        }
    }
}

#[test]
fn hmac_secret_only_for_credentials_that_were_made_with_it() {
    let mut bench = Bench::with_pin("fido-2.1");
    for rk in [false, true] {
        let made = make(&mut bench, rk, ExtensionsInput::default());
        assert_eq!(evaluate(&mut bench, &made.id, &[1; 32], false), None);
    }
}

#[test]
fn broken_salts_are_refused_before_a_touch() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = make(&mut bench, false, hmac());
    let send = |bench: &mut Bench, extensions, up: Option<bool>| {
        let options = Some(get_assertion::Options {
            up,
            ..get_assertion::Options::default()
        });
        let request = get_assertion::Request {
            extensions: Some(extensions),
            options,
            ..bench.ga(None, &[&made.id])
        };
        let result = bench.get(&request).map(drop);
        assert!(bench.asked.is_empty() || result.is_ok());
        result
    };
    for length in [16, 48, 96] {
        let (extensions, _) = salts(&mut bench, &vec![1; length]);
        assert_eq!(
            send(&mut bench, extensions, None),
            Err(Status::INVALID_PARAMETER),
            "{length}"
        );
    }
    let (mut extensions, _) = salts(&mut bench, &[1; 32]);
    if let Some(BoolOr::Other(input)) = &mut extensions.hmac_secret {
        input.salt_auth[0] ^= 1;
    }
    assert_eq!(
        send(&mut bench, extensions, None),
        Err(Status::PIN_AUTH_INVALID)
    );
    let (extensions, _) = salts(&mut bench, &[1; 32]);
    assert_eq!(
        send(&mut bench, extensions.clone(), Some(false)),
        Err(Status::UNSUPPORTED_OPTION)
    );
    send(&mut bench, extensions, None).unwrap();
}

#[test]
fn cred_blob_comes_back_from_discoverable_credentials() {
    let mut bench = Bench::with_pin("fido-2.1");
    let blob = |length| ExtensionsInput {
        cred_blob: Some(SecretBytes::from(vec![5; length])),
        ..ExtensionsInput::default()
    };
    for (rk, length, stored) in [(true, 32, true), (true, 33, false), (false, 8, false)] {
        let made = make(&mut bench, rk, blob(length));
        assert_eq!(output(&made).cred_blob, Some(stored));
        let token = bench.ga_token();
        let extensions = get_assertion::ExtensionsInput {
            cred_blob: Some(true),
            ..Default::default()
        };
        let request = get_assertion::Request {
            extensions: Some(extensions),
            ..bench.ga(Some(&token), &[&made.id])
        };
        let assertion = bench.get(&request).unwrap();
        let data = AuthenticatorData::parse(&assertion.auth_data).unwrap();
        let output = get_assertion::ExtensionsOutput::decode(data.extensions.unwrap()).unwrap();
        assert_eq!(
            output.cred_blob.unwrap().len(),
            if stored { length } else { 0 }
        );
    }
}

#[test]
fn the_minimum_pin_length_is_told_to_whom_it_may_concern() {
    let mut bench = Bench::with_pin("fido-2.1");
    let wanted = || ExtensionsInput {
        min_pin_length: Some(true),
        ..ExtensionsInput::default()
    };
    assert_eq!(
        output(&make(&mut bench, false, wanted())).min_pin_length,
        None
    );
    let token = bench
        .token(PIN, Permissions::AUTHENTICATOR_CONFIG, None)
        .unwrap();
    bench
        .set_min_pin_length(&token, Some(6), Some(&[RP]), None)
        .unwrap();
    assert_eq!(
        output(&make(&mut bench, false, wanted())).min_pin_length,
        Some(6)
    );
    let token = bench
        .token(PIN, Permissions::MAKE_CREDENTIAL, Some("other.example"))
        .unwrap();
    let mut request = make_credential::Request {
        extensions: Some(wanted()),
        ..bench.mc(Some(&token))
    };
    request.rp.id = "other.example".into();
    request.user = user(2);
    assert_eq!(output(&bench.make(&request).unwrap()).min_pin_length, None);
}

fn evaluated_at_creation(
    bench: &mut Bench,
    rk: bool,
    asked: bool,
    verified: bool,
) -> (Made, Option<Vec<u8>>) {
    let token = verified.then(|| bench.mc_token());
    let (input, secret) = salts(bench, &[[1; 32], [2; 32]].concat());
    let Some(BoolOr::Other(hmac_secret_mc)) = input.hmac_secret else {
        panic!("no salts");
    };
    let request = make_credential::Request {
        extensions: Some(ExtensionsInput {
            hmac_secret: asked.then_some(true),
            hmac_secret_mc: Some(hmac_secret_mc),
            ..ExtensionsInput::default()
        }),
        options: Some(mc_options(rk)),
        ..bench.mc(token.as_deref())
    };
    let made = bench.make(&request).unwrap();
    let value = output(&made)
        .hmac_secret_mc
        .map(|value| secret.decrypt(&value).unwrap().to_vec());
    (made, value)
}

#[test]
fn hmac_secret_mc_gives_at_creation_what_an_assertion_gives() {
    for (rk, verified) in [(false, false), (false, true), (true, true)] {
        let mut bench = Bench::with_pin("fido-2.3-complete");
        let (made, value) = evaluated_at_creation(&mut bench, rk, true, verified);
        let both = [[1; 32], [2; 32]].concat();
        assert_eq!(
            value,
            evaluate(&mut bench, &made.id, &both, verified),
            "{rk} {verified}"
        );
        assert_eq!(value.map(|value| value.len()), Some(64));
    }
}

#[test]
fn hmac_secret_mc_says_nothing_without_hmac_secret_or_on_other_keys() {
    for (id, asked) in [("fido-2.3-complete", false), ("fido-2.3", true)] {
        let mut bench = Bench::with_pin(id);
        let (_, value) = evaluated_at_creation(&mut bench, true, asked, true);
        assert_eq!(value, None, "{id}");
    }
}

#[test]
fn third_party_payment_is_remembered_and_told_when_asked() {
    for rk in [false, true] {
        for allowed in [None, Some(false), Some(true)] {
            let mut bench = Bench::new("fido-2.3-complete");
            let input = ExtensionsInput {
                third_party_payment: allowed,
                ..ExtensionsInput::default()
            };
            let made = make(&mut bench, rk, input);
            let told = allowed.filter(|allowed| *allowed);
            assert_eq!(output(&made).third_party_payment, told);
            bench.restart();
            for asked in [None, Some(true)] {
                let request = get_assertion::Request {
                    extensions: Some(get_assertion::ExtensionsInput {
                        third_party_payment: asked,
                        ..Default::default()
                    }),
                    ..bench.ga(None, &[&made.id])
                };
                let assertion = bench.get(&request).unwrap();
                let data = AuthenticatorData::parse(&assertion.auth_data).unwrap();
                let found = data.extensions.map(|bytes| {
                    get_assertion::ExtensionsOutput::decode(bytes)
                        .unwrap()
                        .third_party_payment
                });
                assert_eq!(found, asked.map(|_| Some(allowed == Some(true))));
            }
        }
    }
}
