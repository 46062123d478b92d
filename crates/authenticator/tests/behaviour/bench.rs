//! A key on the bench: everything a platform and a person can do with it, in few words.

use core::time::Duration;

use authenticator::{
    Authenticator, Channel, Env, FingerMatch, Interaction, MemoryStore, Profile, Progress, State,
    UserEvent, profile,
};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ML_DSA_44, ML_DSA_65,
    UnparsedPublicKey,
};
use ctap::client_pin::{Permissions, SubCommand};
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret, encapsulate, pad_pin, pin_hash};
use ctap::{Command, SecretBytes, Status, client_pin, get_assertion, make_credential};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use webauthn::authenticator_data::{AuthenticatorData, Flags};
use webauthn::cose::{CoseAlgorithm, CoseKey};

pub(crate) const PIN: &str = "12345678";
pub(crate) const RP: &str = "example.com";
pub(crate) const HASH: [u8; 32] = [0xcd; 32];
pub(crate) const ONE: Channel = Channel(1);
pub(crate) const TWO: Channel = Channel(2);

/// What the person does when a command waits.
#[derive(Clone, Copy)]
pub(crate) enum Person {
    Touches,
    Holds,
    Lays(FingerMatch),
    Waits,
    IsCancelled,
}

pub(crate) struct Bench {
    pub(crate) key: Authenticator,
    pub(crate) store: MemoryStore,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Duration,
    pub(crate) channel: Channel,
    pub(crate) person: Person,
    pub(crate) protocol: PinUvAuthProtocol,
    /// What the key asked of the person in the last command.
    pub(crate) asked: Vec<Interaction>,
}

pub(crate) fn profile(id: &str) -> Profile {
    profile::find(id).unwrap().unwrap()
}

impl Bench {
    pub(crate) fn new(id: &str) -> Self {
        Self::of(profile(id))
    }

    pub(crate) fn of(profile: Profile) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(42);
        let state = State::fresh(&mut rng);
        Self::with(profile, state)
    }

    pub(crate) fn with(profile: Profile, state: State) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(43);
        let now = Duration::from_secs(5000);
        let store = MemoryStore::new(&state);
        let protocol = if profile.pin.protocols.contains(&2) {
            PinUvAuthProtocol::Two
        } else {
            PinUvAuthProtocol::One
        };
        let key = Authenticator::new(profile, state, now, &mut rng).unwrap();
        Self {
            key,
            store,
            rng,
            now,
            channel: ONE,
            person: Person::Touches,
            protocol,
            asked: Vec::new(),
        }
    }

    pub(crate) fn with_pin(id: &str) -> Self {
        let mut bench = Self::new(id);
        bench.set_pin(PIN).unwrap();
        bench
    }

    pub(crate) fn env<T>(&mut self, run: impl FnOnce(&mut Authenticator, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            rng: &mut self.rng,
            store: &mut self.store,
        };
        run(&mut self.key, &mut env)
    }

    pub(crate) fn handle(&mut self, request: &[u8]) -> Progress {
        let channel = self.channel;
        self.env(|key, env| key.handle(channel, request, env))
    }

    pub(crate) fn user(&mut self, event: UserEvent) -> Progress {
        let channel = self.channel;
        self.env(|key, env| key.user(channel, event, env))
    }

    /// Sends, and lets the person do what they do until there is an answer.
    pub(crate) fn raw(&mut self, request: &[u8]) -> Vec<u8> {
        let mut progress = self.handle(request);
        self.asked.clear();
        loop {
            match progress {
                Progress::Reply(bytes) => return bytes,
                Progress::Idle => panic!("a command went away"),
                Progress::Waiting(interaction) => {
                    let finger = matches!(interaction, Interaction::BuiltInUv { .. });
                    self.asked.push(interaction.clone());
                    assert!(self.asked.len() < 20, "the key asks for ever");
                    let event = match self.person {
                        Person::Touches if finger => UserEvent::Finger(FingerMatch::Match),
                        Person::Touches => UserEvent::Touch,
                        Person::Holds => UserEvent::LongTouch,
                        Person::Lays(finger) => UserEvent::Finger(finger),
                        Person::IsCancelled => UserEvent::Cancel,
                        Person::Waits => {
                            self.now = interaction.deadline();
                            UserEvent::Timeout
                        }
                    };
                    progress = self.user(event);
                }
            }
        }
    }

    pub(crate) fn send(&mut self, command: Command, parameters: &[u8]) -> Result<Vec<u8>, Status> {
        let answer = self.raw(&ctap::request_bytes(command, parameters));
        match ctap::split_response(&answer).unwrap() {
            (Status::OK, members) => Ok(members.to_vec()),
            (status, members) => {
                assert!(members.is_empty(), "an error with members");
                Err(status)
            }
        }
    }

    pub(crate) fn power_cycle(&mut self) {
        self.now += Duration::from_secs(3);
        self.key.power_cycle(self.now, &mut self.rng);
    }

    /// Takes power away and starts anew from what the store holds.
    pub(crate) fn restart(&mut self) {
        self.store.restore_power();
        self.now += Duration::from_secs(3);
        let profile = self.key.profile().clone();
        self.key = Authenticator::new(
            profile,
            self.store.state().unwrap(),
            self.now,
            &mut self.rng,
        )
        .unwrap();
    }

    pub(crate) fn info(&mut self) -> ctap::get_info::Response {
        let answer = self.send(Command::GetInfo, &[]).unwrap();
        ctap::get_info::Response::decode(&answer).unwrap()
    }

    pub(crate) fn client_pin(
        &mut self,
        request: &client_pin::Request,
    ) -> Result<client_pin::Response, Status> {
        let answer = self.send(Command::ClientPin, &request.encode())?;
        Ok(if answer.is_empty() {
            client_pin::Response::default()
        } else {
            client_pin::Response::decode(&answer).unwrap()
        })
    }

    pub(crate) fn pin_request(&self, command: SubCommand) -> client_pin::Request {
        client_pin::Request {
            pin_uv_auth_protocol: Some(self.protocol.number().into()),
            sub_command: command.code(),
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
        }
    }

    pub(crate) fn agree(&mut self) -> (CoseKey, SharedSecret) {
        let response = self
            .client_pin(&self.pin_request(SubCommand::GetKeyAgreement))
            .unwrap();
        encapsulate(
            self.protocol,
            &response.key_agreement.unwrap(),
            &mut self.rng,
        )
        .unwrap()
    }

    pub(crate) fn set_pin_request(&mut self, pin: &str) -> client_pin::Request {
        let (key_agreement, secret) = self.agree();
        let new_pin_enc = secret
            .encrypt(&pad_pin(pin).unwrap()[..], &mut self.rng)
            .unwrap();
        client_pin::Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&new_pin_enc)),
            new_pin_enc: Some(SecretBytes::from(new_pin_enc)),
            ..self.pin_request(SubCommand::SetPin)
        }
    }

    pub(crate) fn set_pin(&mut self, pin: &str) -> Result<(), Status> {
        let request = self.set_pin_request(pin);
        self.client_pin(&request).map(drop)
    }

    pub(crate) fn change_pin_request(&mut self, old: &str, new: &str) -> client_pin::Request {
        let (key_agreement, secret) = self.agree();
        let new_pin_enc = secret
            .encrypt(&pad_pin(new).unwrap()[..], &mut self.rng)
            .unwrap();
        let pin_hash_enc = secret
            .encrypt(&pin_hash(old.as_bytes())[..], &mut self.rng)
            .unwrap();
        let param = secret.authenticate(&[&new_pin_enc[..], &pin_hash_enc].concat());
        client_pin::Request {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(param),
            new_pin_enc: Some(SecretBytes::from(new_pin_enc)),
            pin_hash_enc: Some(SecretBytes::from(pin_hash_enc)),
            ..self.pin_request(SubCommand::ChangePin)
        }
    }

    pub(crate) fn change_pin(&mut self, old: &str, new: &str) -> Result<(), Status> {
        let request = self.change_pin_request(old, new);
        self.client_pin(&request).map(drop)
    }

    /// A request for a token by PIN: 0x09 with permissions, 0x05 without.
    pub(crate) fn token_request(
        &mut self,
        pin: &str,
        permissions: Option<Permissions>,
        rp_id: Option<&str>,
    ) -> (client_pin::Request, SharedSecret) {
        let (key_agreement, secret) = self.agree();
        let pin_hash_enc = secret
            .encrypt(&pin_hash(pin.as_bytes())[..], &mut self.rng)
            .unwrap();
        let command = match permissions {
            Some(_) => SubCommand::GetPinUvAuthTokenUsingPinWithPermissions,
            None => SubCommand::GetPinToken,
        };
        let request = client_pin::Request {
            key_agreement: Some(key_agreement),
            pin_hash_enc: Some(SecretBytes::from(pin_hash_enc)),
            permissions: permissions.map(|permissions| permissions.0.into()),
            rp_id: rp_id.map(str::to_owned),
            ..self.pin_request(command)
        };
        (request, secret)
    }

    pub(crate) fn token_of(
        &mut self,
        request: &client_pin::Request,
        secret: &SharedSecret,
    ) -> Result<Vec<u8>, Status> {
        let response = self.client_pin(request)?;
        Ok(secret
            .decrypt(&response.pin_uv_auth_token.unwrap())
            .unwrap()
            .to_vec())
    }

    pub(crate) fn plain_token(&mut self, pin: &str) -> Result<Vec<u8>, Status> {
        let (request, secret) = self.token_request(pin, None, None);
        self.token_of(&request, &secret)
    }

    pub(crate) fn token(
        &mut self,
        pin: &str,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Vec<u8>, Status> {
        let (request, secret) = self.token_request(pin, Some(permissions), rp_id);
        self.token_of(&request, &secret)
    }

    pub(crate) fn uv_token(
        &mut self,
        permissions: Permissions,
        rp_id: Option<&str>,
    ) -> Result<Vec<u8>, Status> {
        let (key_agreement, secret) = self.agree();
        let request = client_pin::Request {
            key_agreement: Some(key_agreement),
            permissions: Some(permissions.0.into()),
            rp_id: rp_id.map(str::to_owned),
            ..self.pin_request(SubCommand::GetPinUvAuthTokenUsingUvWithPermissions)
        };
        self.token_of(&request, &secret)
    }

    pub(crate) fn mc_token(&mut self) -> Vec<u8> {
        self.token(PIN, Permissions::MAKE_CREDENTIAL, Some(RP))
            .unwrap()
    }

    pub(crate) fn ga_token(&mut self) -> Vec<u8> {
        self.token(PIN, Permissions::GET_ASSERTION, Some(RP))
            .unwrap()
    }

    pub(crate) fn retries(&mut self) -> u64 {
        self.client_pin(&self.pin_request(SubCommand::GetPinRetries))
            .unwrap()
            .pin_retries
            .unwrap()
    }

    /// A makeCredential request, signed with the token if there is one.
    pub(crate) fn mc(&self, token: Option<&[u8]>) -> make_credential::Request {
        make_credential::Request {
            client_data_hash: HASH,
            rp: RpEntity {
                id: RP.into(),
                name: Some("Example".into()),
            },
            user: user(1),
            pub_key_cred_params: vec![params(CoseAlgorithm::ES256)],
            exclude_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: token.map(|token| self.protocol.authenticate(token, &HASH)),
            pin_uv_auth_protocol: token.map(|_| self.protocol.number().into()),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        }
    }

    pub(crate) fn make(&mut self, request: &make_credential::Request) -> Result<Made, Status> {
        let answer = self.send(Command::MakeCredential, &request.encode())?;
        let response = make_credential::Response::decode_response(&answer).unwrap();
        Ok(Made::read(response))
    }

    /// Makes a credential, with a token if the key has a PIN.
    pub(crate) fn make_simply(&mut self, rk: bool, user_number: u8, rp_id: &str) -> Made {
        let protected = self.key.state().pin().is_some();
        let token = protected.then(|| {
            if self.key.profile().options.pin_uv_auth_token {
                self.token(PIN, Permissions::MAKE_CREDENTIAL, Some(rp_id))
                    .unwrap()
            } else {
                self.plain_token(PIN).unwrap()
            }
        });
        let request = make_credential::Request {
            rp: RpEntity {
                id: rp_id.into(),
                name: None,
            },
            user: user(user_number),
            options: Some(mc_options(rk)),
            ..self.mc(token.as_deref())
        };
        self.make(&request).unwrap()
    }

    pub(crate) fn ga(&self, token: Option<&[u8]>, allow: &[&[u8]]) -> get_assertion::Request {
        get_assertion::Request {
            rp_id: RP.into(),
            client_data_hash: HASH,
            allow_list: (!allow.is_empty())
                .then(|| allow.iter().map(|id| descriptor(id)).collect()),
            extensions: None,
            options: None,
            pin_uv_auth_param: token.map(|token| self.protocol.authenticate(token, &HASH)),
            pin_uv_auth_protocol: token.map(|_| self.protocol.number().into()),
        }
    }

    pub(crate) fn get(
        &mut self,
        request: &get_assertion::Request,
    ) -> Result<get_assertion::Response, Status> {
        let answer = self.send(Command::GetAssertion, &request.encode())?;
        Ok(get_assertion::Response::decode(&answer).unwrap())
    }

    pub(crate) fn next(&mut self) -> Result<get_assertion::Response, Status> {
        let answer = self.send(Command::GetNextAssertion, &[])?;
        Ok(get_assertion::Response::decode(&answer).unwrap())
    }
}

/// A new credential, read.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) response: make_credential::Response,
    pub(crate) id: Vec<u8>,
    pub(crate) key: CoseKey,
    pub(crate) flags: Flags,
    pub(crate) extensions: Option<Vec<u8>>,
}

impl Made {
    fn read(response: make_credential::Response) -> Self {
        let data = AuthenticatorData::parse(&response.auth_data).unwrap();
        let attested = data.attested_credential_data.unwrap();
        Self {
            id: attested.credential_id.to_vec(),
            key: attested.public_key().unwrap(),
            flags: data.flags,
            extensions: data.extensions.map(<[u8]>::to_vec),
            response,
        }
    }

    /// Whether the assertion was signed by this credential.
    pub(crate) fn signed(&self, assertion: &get_assertion::Response) -> bool {
        let message = [&assertion.auth_data[..], &HASH].concat();
        verifies(&self.key, &message, &assertion.signature)
    }
}

pub(crate) fn verifies(key: &CoseKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        CoseKey::Ec2 { alg, x, y, .. } => {
            let algorithm = if *alg == CoseAlgorithm::ES384 {
                &ECDSA_P384_SHA384_ASN1
            } else {
                &ECDSA_P256_SHA256_ASN1
            };
            UnparsedPublicKey::new(algorithm, [&[4], &x[..], &y[..]].concat())
                .verify(message, signature)
                .is_ok()
        }
        CoseKey::Okp { x, .. } => UnparsedPublicKey::new(&ED25519, x)
            .verify(message, signature)
            .is_ok(),
        CoseKey::Rsa { n, e, .. } => aws_lc_rs::signature::RsaPublicKeyComponents { n, e }
            .verify(
                &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            )
            .is_ok(),
        CoseKey::Akp { alg, pub_ } => {
            let algorithm = if *alg == CoseAlgorithm::ML_DSA_44 {
                &ML_DSA_44
            } else {
                &ML_DSA_65
            };
            UnparsedPublicKey::new(algorithm, pub_)
                .verify(message, signature)
                .is_ok()
        }
    }
}

pub(crate) fn flags(assertion: &get_assertion::Response) -> Flags {
    AuthenticatorData::parse(&assertion.auth_data)
        .unwrap()
        .flags
}

pub(crate) fn counter(auth_data: &[u8]) -> u32 {
    AuthenticatorData::parse(auth_data).unwrap().sign_count
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .unwrap()
}

pub(crate) fn user(number: u8) -> UserEntity {
    UserEntity {
        id: vec![number; 16],
        name: Some(format!("user{number}@example.com")),
        display_name: Some(format!("User {number}")),
    }
}

pub(crate) fn params(alg: CoseAlgorithm) -> CredentialParameters {
    CredentialParameters {
        alg,
        type_: "public-key".into(),
    }
}

pub(crate) fn descriptor(id: &[u8]) -> CredentialDescriptor {
    CredentialDescriptor {
        id: id.to_vec(),
        type_: "public-key".into(),
        transports: None,
    }
}

pub(crate) fn mc_options(rk: bool) -> make_credential::Options {
    make_credential::Options {
        rk: Some(rk),
        ..Default::default()
    }
}
