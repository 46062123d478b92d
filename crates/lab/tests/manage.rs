//! The manager against running keys of every profile: what it sets is what the key then is.
#![allow(clippy::unwrap_used, clippy::panic)]

use authenticator::{FingerMatch, Interaction, Profile, Progress, UserEvent};
use client::manage::{Change, Link, LinkError, ManageError, Manager, Setting, consequences};
use client::pin::{Pin, PinError};
use ctap::client_pin::Permissions;
use ctap::entities::{CredentialParameters, RpEntity, UserEntity};
use ctap::{Command, Status, make_credential, request_bytes};
use lab::Key;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A key whose owner consents to everything.
struct Desk(Key);

impl Link for Desk {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let mut progress = self.0.send(request);
        loop {
            progress = match progress {
                Progress::Reply(bytes) => return Ok(bytes),
                Progress::Idle => return Err("no answer".into()),
                Progress::Waiting(Interaction::Touch { .. }) => self.0.user(UserEvent::Touch),
                Progress::Waiting(Interaction::BuiltInUv { .. }) => {
                    self.0.user(UserEvent::Finger(FingerMatch::Match))
                }
            };
        }
    }
}

fn profiles() -> impl Iterator<Item = Profile> {
    authenticator::profile::shipped()
        .iter()
        .map(|(_, toml)| Profile::from_toml(toml).unwrap())
}

fn with<T>(key: &mut Desk, work: impl FnOnce(&mut Manager<'_>) -> T) -> T {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    work(&mut Manager::open(key, &mut rng).unwrap())
}

fn desk(id: &str) -> Desk {
    let profile = authenticator::profile::find(id).unwrap().unwrap();
    Desk(Key::fresh(&profile, [3; 32]).unwrap())
}

fn pin(text: &str) -> Pin {
    Pin::existing(text).unwrap()
}

fn speaks_ctap2(key: &mut Desk) -> bool {
    key.0.info().is_some()
}

#[test]
fn a_pin_is_set_proved_changed_and_counted_on_every_key_that_can_have_one() {
    let mut tried = 0;
    for profile in profiles() {
        let mut key = Desk(Key::fresh(&profile, [3; 32]).unwrap());
        if !speaks_ctap2(&mut key) || !profile.options.client_pin {
            continue;
        }
        tried += 1;
        with(&mut key, |key| {
            assert_eq!(key.pin_retries().unwrap(), None, "{}", profile.id);
            key.set_pin(&pin("1234")).unwrap();
            assert_eq!(key.options().client_pin, Some(true));
            key.verify_pin(&pin("1234")).unwrap();
            let full = key.pin_retries().unwrap().unwrap();
            let error = key.verify_pin(&pin("4321")).unwrap_err();
            assert_eq!(error.status(), Some(Status::PIN_INVALID), "{}", profile.id);
            assert_eq!(key.pin_retries().unwrap().unwrap().left, full.left - 1);
            key.change_pin(&pin("1234"), &pin("zwölf3")).unwrap();
            key.verify_pin(&pin("zwölf3")).unwrap();
            assert_eq!(key.pin_retries().unwrap(), Some(full));
            assert!(key.set_pin(&pin("0000")).is_err(), "it has one");
        });
    }
    assert!(tried >= 5, "{tried}");
}

#[test]
fn settings_are_what_was_set() {
    let mut tried = 0;
    for profile in profiles() {
        let mut key = Desk(Key::fresh(&profile, [3; 32]).unwrap());
        if !speaks_ctap2(&mut key) || !profile.options.authnr_cfg {
            continue;
        }
        tried += 1;
        with(&mut key, |key| {
            key.set_pin(&pin("1234567")).unwrap();
            let acfg = Permissions::AUTHENTICATOR_CONFIG;
            let token = key.token_by_pin(&pin("1234567"), acfg).unwrap();
            let token = Some(&token);
            if let Ok(on) = key.always_uv() {
                assert_eq!(key.set_always_uv(on, token).unwrap(), Change::Already);
                assert_eq!(key.set_always_uv(!on, token).unwrap(), Change::Done);
                assert_eq!(key.always_uv().unwrap(), !on, "{}", profile.id);
            }
            if let Ok(least) = key.min_pin_length() {
                assert_eq!(
                    key.set_min_pin_length(least, token).unwrap(),
                    Change::Already
                );
                assert_eq!(key.set_min_pin_length(7, token).unwrap(), Change::Done);
                assert_eq!(key.info().force_pin_change, Some(false));
                let shorter = key.set_min_pin_length(6, token).unwrap_err();
                assert_eq!(shorter.status(), Some(Status::PIN_POLICY_VIOLATION));
                // What the consequences say about a PIN that is too short then.
                let said =
                    consequences(Setting::MinPinLength(8, Some(&pin("1234567"))), key.info());
                assert!(said.iter().any(|line| line.contains("at once")), "{said:?}");
                assert_eq!(key.set_min_pin_length(8, token).unwrap(), Change::Done);
                assert_eq!(key.info().force_pin_change, Some(true));
                let error = key.token_by_pin(&pin("1234567"), acfg).unwrap_err();
                assert_eq!(error.status(), Some(Status::PIN_POLICY_VIOLATION));
                let short = key
                    .change_pin(&pin("1234567"), &pin("7654321"))
                    .unwrap_err();
                assert!(
                    matches!(short, ManageError::Pin(PinError::RefusedByKey)),
                    "{short}"
                );
                key.change_pin(&pin("1234567"), &pin("87654321")).unwrap();
            }
        });
    }
    assert!(tried >= 3, "{tried}");
}

#[test]
fn a_forced_change_is_forced_once() {
    let mut key = desk("fido-2.1");
    with(&mut key, |key| {
        key.set_pin(&pin("1234")).unwrap();
        let token = key
            .token_by_pin(&pin("1234"), Permissions::AUTHENTICATOR_CONFIG)
            .unwrap();
        assert_eq!(key.force_pin_change(Some(&token)).unwrap(), Change::Done);
        assert_eq!(key.force_pin_change(None).unwrap(), Change::Already);
        key.change_pin(&pin("1234"), &pin("4321")).unwrap();
        assert_eq!(key.info().force_pin_change, Some(false));
    });
}

fn register(key: &mut Desk, rp: &str, user: u8) {
    let request = make_credential::Request {
        client_data_hash: [1; 32],
        rp: RpEntity {
            id: rp.to_owned(),
            name: None,
        },
        user: UserEntity {
            id: vec![user],
            name: Some(format!("user{user}")),
            display_name: Some(format!("User {user}")),
        },
        pub_key_cred_params: vec![CredentialParameters::public_key(
            webauthn::cose::CoseAlgorithm::ES256,
        )],
        exclude_list: None,
        extensions: None,
        options: Some(make_credential::Options {
            rk: Some(true),
            ..Default::default()
        }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    let answer = key
        .exchange(&request_bytes(Command::MakeCredential, &request.encode()))
        .unwrap();
    assert_eq!(Status(answer[0]), Status::OK);
}

#[test]
fn passkeys_are_listed_renamed_and_deleted() {
    for id in ["fido-2.1", "fido-2.1-pre", "fido-2.3"] {
        let mut key = desk(id);
        // Before there is a PIN: nothing then asks for it.
        for (rp, user) in [("a.example", 1), ("b.example", 2), ("b.example", 3)] {
            register(&mut key, rp, user);
        }
        with(&mut key, |key| {
            key.set_pin(&pin("1234")).unwrap();
            let cm = Permissions::CREDENTIAL_MANAGEMENT;
            let token = key.token_by_pin(&pin("1234"), cm).unwrap();
            assert_eq!(key.storage(&token).unwrap().existing, 3);
            let passkeys = key.passkeys(&token).unwrap();
            let names: Vec<_> = passkeys
                .iter()
                .map(|p| (p.rp_id.as_str(), p.user.name.as_deref().unwrap()))
                .collect();
            assert_eq!(
                names,
                [
                    ("a.example", "user1"),
                    ("b.example", "user2"),
                    ("b.example", "user3")
                ]
            );
            let second = &passkeys[1];
            let new = UserEntity {
                name: Some("zwei".to_owned()),
                ..second.user.clone()
            };
            let renamed = key.rename_passkey(&second.credential_id, new, &token);
            if key.options().cred_mgmt == Some(true) {
                renamed.unwrap();
                let again = key.passkeys(&token).unwrap();
                assert_eq!(again[1].user.name.as_deref(), Some("zwei"));
            } else {
                assert!(matches!(renamed, Err(ManageError::NotSupported(_))));
            }
            key.delete_passkey(&second.credential_id, &token).unwrap();
            let error = key
                .delete_passkey(&second.credential_id, &token)
                .unwrap_err();
            assert_eq!(error.status(), Some(Status::NO_CREDENTIALS));
            assert_eq!(key.passkeys(&token).unwrap().len(), 2);
        });
    }
}

#[test]
fn a_key_with_a_sensor_is_managed_by_finger() {
    let mut key = desk("fido-2.1-bio");
    with(&mut key, |key| {
        assert!(key.is_protected());
        assert!(key.uv_retries().unwrap().is_some_and(|left| left > 0));
        let cm = Permissions::CREDENTIAL_MANAGEMENT;
        let token = key.token_by_built_in_uv(cm).unwrap();
        assert_eq!(key.passkeys(&token).unwrap(), []);
    });
}
