//! A real key before a real client, and a person who does everything right.
//!
//! The key is brought into its state by speaking CTAP to it, as an owner would.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::time::Duration;

use authenticator::{
    Authenticator, Channel, Env, FingerMatch, Interaction, MemoryStore, Profile, Progress, State,
    UserEvent,
};
use client::prompt::{Prompt, UserInput};
use client::uv::KeyFacts;
use client::{Ceremony, Event, KeyId, Outcome, Output};
use ctap::client_pin::{Permissions, Request as PinRequest, Response as PinResponse, SubCommand};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret, encapsulate, pad_pin, pin_hash};
use ctap::{Command, Status, config, get_info, make_credential, request_bytes, split_response};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use webauthn::cose::{CoseAlgorithm, CoseKey};

pub const RP_ID: &str = "example.org";
pub const PIN: &str = "1234";
pub const NEW_PIN: &str = "567890";
const CHANNEL: Channel = Channel(1);
const KEY: KeyId = KeyId(1);

/// A key, its store and its surroundings.
pub struct Key {
    pub key: Authenticator,
    /// The PIN that its owner knows.
    pub pin: &'static str,
    store: MemoryStore,
    rng: ChaCha20Rng,
    now: Duration,
}

impl Key {
    pub fn new(profile: &Profile, state: State) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let now = Duration::from_secs(60);
        let store = MemoryStore::new(&state);
        let key = Authenticator::new(profile.clone(), state, now, &mut rng).unwrap();
        Self {
            key,
            pin: PIN,
            store,
            rng,
            now,
        }
    }

    pub fn fresh(profile: &Profile) -> Self {
        Self::new(profile, State::fresh(&mut ChaCha20Rng::seed_from_u64(9)))
    }

    fn with_env<T>(&mut self, act: impl FnOnce(&mut Authenticator, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            rng: &mut self.rng,
            store: &mut self.store,
        };
        act(&mut self.key, &mut env)
    }

    /// Sends a request; touches, or lays the right finger on the sensor. Says whether a touch was
    /// waited for.
    pub fn transact(&mut self, request: &[u8]) -> (bool, Vec<u8>) {
        let mut waited = false;
        let mut progress = self.with_env(|key, env| key.handle(CHANNEL, request, env));
        loop {
            match progress {
                Progress::Reply(bytes) => return (waited, bytes),
                Progress::Waiting(interaction) => {
                    waited = true;
                    let event = match interaction {
                        Interaction::Touch { .. } => UserEvent::Touch,
                        Interaction::BuiltInUv { .. } => UserEvent::Finger(FingerMatch::Match),
                    };
                    progress = self.with_env(|key, env| key.user(CHANNEL, event, env));
                }
                Progress::Idle => panic!("the key forgot what it waits for"),
            }
        }
    }

    /// Sends a U2F request; the touch comes after the first answer.
    pub fn transact_u2f(&mut self, apdu: &[u8]) -> Vec<u8> {
        let answer = self.with_env(|key, env| key.handle_u2f(CHANNEL, apdu, env));
        self.with_env(|key, env| key.user(CHANNEL, UserEvent::Touch, env));
        answer
    }

    pub fn power_cycle(&mut self) {
        let now = self.now;
        self.key.power_cycle(now, &mut self.rng);
    }

    fn command(&mut self, command: Command, parameters: &[u8]) -> Result<Vec<u8>, Status> {
        let (_, bytes) = self.transact(&request_bytes(command, parameters));
        let (status, body) = split_response(&bytes).unwrap();
        status.ok().map(|()| body.to_vec())
    }

    pub fn info(&mut self) -> Option<get_info::Response> {
        let body = self.command(Command::GetInfo, &[]).ok()?;
        Some(get_info::Response::decode(&body).unwrap())
    }

    /// What the client's decision knows of this key.
    pub fn facts(&mut self) -> KeyFacts {
        let blocked = self.key.state().pin().is_some() && self.key.state().pin_retries() == 0;
        match self.info() {
            Some(info) => KeyFacts {
                pin_blocked: blocked,
                ..KeyFacts::from_info(&info)
            },
            None => KeyFacts::u2f_only(),
        }
    }

    fn pin_request(&self, sub_command: SubCommand) -> PinRequest {
        PinRequest {
            pin_uv_auth_protocol: Some(1),
            sub_command: sub_command.code(),
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
        }
    }

    fn client_pin(&mut self, request: &PinRequest) -> Result<PinResponse, Status> {
        let body = self.command(Command::ClientPin, &request.encode())?;
        Ok(if body.is_empty() {
            PinResponse::default()
        } else {
            PinResponse::decode(&body).unwrap()
        })
    }

    fn agree(&mut self) -> (CoseKey, SharedSecret) {
        let peer = self
            .client_pin(&self.pin_request(SubCommand::GetKeyAgreement))
            .unwrap();
        encapsulate(
            PinUvAuthProtocol::One,
            &peer.key_agreement.unwrap(),
            &mut self.rng,
        )
        .unwrap()
    }

    pub fn set_pin(&mut self) {
        let (key_agreement, secret) = self.agree();
        let enc = secret
            .encrypt(&pad_pin(PIN).unwrap()[..], &mut self.rng)
            .unwrap();
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&enc)),
            new_pin_enc: Some(enc.into()),
            ..self.pin_request(SubCommand::SetPin)
        };
        self.client_pin(&request).unwrap();
    }

    /// A token by PIN, or the status for a wrong one.
    fn token(&mut self, pin: &str, permissions: Permissions) -> Result<Vec<u8>, Status> {
        let (key_agreement, secret) = self.agree();
        let hash = secret
            .encrypt(&pin_hash(pin.as_bytes())[..], &mut self.rng)
            .unwrap();
        let permitted = self.key.profile().options.pin_uv_auth_token;
        let sub_command = if permitted {
            SubCommand::GetPinUvAuthTokenUsingPinWithPermissions
        } else {
            SubCommand::GetPinToken
        };
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_hash_enc: Some(hash.into()),
            permissions: permitted.then_some(permissions.0.into()),
            rp_id: (permitted && permissions != Permissions::AUTHENTICATOR_CONFIG)
                .then(|| RP_ID.to_owned()),
            ..self.pin_request(sub_command)
        };
        let answer = self.client_pin(&request)?;
        Ok(secret
            .decrypt(&answer.pin_uv_auth_token.unwrap())
            .unwrap()
            .to_vec())
    }

    /// authenticatorConfig setMinPINLength with forceChangePin.
    pub fn force_pin_change(&mut self) {
        let token = self.token(PIN, Permissions::AUTHENTICATOR_CONFIG).unwrap();
        let params = config::SetMinPinLengthParams {
            force_change_pin: Some(true),
            ..config::SetMinPinLengthParams::default()
        };
        let params = ctap::Raw::new(params.encode()).unwrap();
        let code = config::SubCommand::SetMinPinLength.code();
        let message = config::authenticated_message(code, Some(&params));
        let request = config::Request {
            sub_command: code,
            sub_command_params: Some(params),
            pin_uv_auth_protocol: Some(1),
            pin_uv_auth_param: Some(PinUvAuthProtocol::One.authenticate(&token, &message)),
        };
        self.command(Command::Config, &request.encode()).unwrap();
    }

    /// Wrong PINs until none is left.
    pub fn block_pin(&mut self) {
        for _ in 0..20 {
            match self.token("0000", Permissions::GET_ASSERTION) {
                Err(Status::PIN_BLOCKED) => return,
                Err(Status::PIN_AUTH_BLOCKED) => self.power_cycle(),
                Err(Status::PIN_INVALID) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("the PIN does not block");
    }

    /// Makes a credential, verifying where the key wants it. Returns its ID.
    pub fn make(&mut self, rk: bool, protect: Option<u64>) -> Vec<u8> {
        let hash = [7; 32];
        let token = if self.key.state().pin().is_some() {
            Some(self.token(PIN, Permissions::MAKE_CREDENTIAL).unwrap())
        } else {
            None
        };
        let built_in = token.is_none() && self.facts().uv == Some(true);
        let request = make_credential::Request {
            client_data_hash: hash,
            rp: make_credential::RpEntity {
                id: RP_ID.into(),
                name: None,
            },
            user: make_credential::UserEntity {
                id: vec![1],
                name: Some("kim".into()),
                display_name: None,
            },
            pub_key_cred_params: vec![make_credential::CredentialParameters::public_key(
                CoseAlgorithm::ES256,
            )],
            exclude_list: None,
            extensions: protect.map(|level| make_credential::ExtensionsInput {
                cred_protect: Some(level),
                ..make_credential::ExtensionsInput::default()
            }),
            options: Some(make_credential::Options {
                rk: rk.then_some(true),
                up: None,
                uv: built_in.then_some(true),
            }),
            pin_uv_auth_param: token
                .as_ref()
                .map(|token| PinUvAuthProtocol::One.authenticate(token, &hash)),
            pin_uv_auth_protocol: token.as_ref().map(|_| 1),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        let body = self
            .command(Command::MakeCredential, &request.encode())
            .unwrap();
        let made = make_credential::Response::decode_response(&body).unwrap();
        let data = webauthn::authenticator_data::AuthenticatorData::parse(&made.auth_data).unwrap();
        data.attested_credential_data
            .unwrap()
            .credential_id
            .to_vec()
    }
}

/// Runs a ceremony to its end with keep-alives as USB sends them.
pub fn run(mut ceremony: Ceremony, key: &mut Key) -> Outcome {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut now = key.now;
    let mut todo: VecDeque<Output> = ceremony.start(&[KEY], now, &mut rng).into();
    for _ in 0..300 {
        let Some(output) = todo.pop_front() else {
            now = ceremony.wake_at().expect("the ceremony is stuck");
            key.now = now;
            todo.extend(ceremony.step(Event::Tick, now, &mut rng));
            continue;
        };
        let mut events = Vec::new();
        match output {
            Output::Send { bytes, .. } => {
                let (waited, bytes) = key.transact(&bytes);
                if waited {
                    events.push(Event::KeepAlive {
                        key: KEY,
                        status: 2,
                    });
                }
                events.push(Event::Reply { key: KEY, bytes });
            }
            Output::SendU2f { apdu, .. } => {
                events.push(Event::Reply {
                    key: KEY,
                    bytes: key.transact_u2f(&apdu),
                });
            }
            Output::Prompt(prompt) => events.extend(answer(&prompt, &mut key.pin).map(Event::User)),
            Output::RelatedOrigins { .. } => events.push(Event::RelatedOrigins(None)),
            Output::CancelKey(_) | Output::Dismiss => {}
            Output::Done(outcome) => return *outcome,
        }
        for event in events {
            todo.extend(ceremony.step(event, now, &mut rng));
        }
    }
    panic!("the ceremony does not end");
}

fn answer(prompt: &Prompt, pin: &mut &'static str) -> Option<UserInput> {
    Some(match prompt {
        Prompt::EnterPin { .. } => UserInput::Pin { pin: (*pin).into() },
        Prompt::CreatePin { .. } => {
            *pin = NEW_PIN;
            UserInput::NewPin {
                pin: NEW_PIN.into(),
            }
        }
        Prompt::ChangePin { old_known, .. } => {
            let old = (!old_known).then(|| (*pin).into());
            *pin = NEW_PIN;
            UserInput::ChangePin {
                old,
                new: NEW_PIN.into(),
            }
        }
        Prompt::PickAccount { .. } => UserInput::Account { index: 0 },
        _ => return None,
    })
}
