//! `kill -9` of `pinward key run` at random moments, while a client changes the PIN, makes credentials,
//! signs and mistypes: what the client was told is in the file.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authenticator::{MAX_PIN_RETRIES, State};
use ctap::client_pin::{Permissions, Request as PinRequest, Response as PinResponse, SubCommand};
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret, encapsulate, pad_pin, pin_hash};
use ctap::{Command, Status, get_assertion, make_credential, request_bytes};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use softkey::store::{FileStore, Protection};
use transport::host::{HidKey, StreamPort};
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::cose::{CoseAlgorithm, CoseKey};

const RP: &str = "example.com";
const HASH: [u8; 32] = [7; 32];
const PROTOCOL: PinUvAuthProtocol = PinUvAuthProtocol::Two;

/// What the client knows, before and while it does the next thing.
#[derive(Debug, Default, Clone)]
struct Told {
    pin: Option<String>,
    /// The PIN that it is just setting.
    pin_under_way: Option<String>,
    credentials: Vec<Vec<u8>>,
    counter: u32,
    /// Tries left at most; none while a PIN is being tried.
    most_tries: Option<u8>,
    /// Tries left when the key started.
    first_tries: u8,
    steps: u32,
}

struct Client {
    key: HidKey<StreamPort<UnixStream>>,
    rng: ChaCha20Rng,
    told: Arc<Mutex<Told>>,
}

/// The key was killed.
#[derive(Debug)]
struct Gone;

impl Client {
    fn send(&mut self, command: Command, parameters: &[u8]) -> Result<Vec<u8>, Gone> {
        let request = request_bytes(command, parameters);
        self.key.cbor(&request).map_err(|_| Gone)
    }

    fn members(&mut self, command: Command, parameters: &[u8]) -> Result<Vec<u8>, Gone> {
        let answer = self.send(command, parameters)?;
        assert_eq!(Status(answer[0]), Status::OK, "{command:?}");
        Ok(answer[1..].to_vec())
    }

    fn told(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
    }

    fn agree(&mut self) -> Result<(CoseKey, SharedSecret), Gone> {
        let request = pin_request(SubCommand::GetKeyAgreement);
        let answer = self.members(Command::ClientPin, &request.encode())?;
        let peer = PinResponse::decode(&answer).unwrap().key_agreement.unwrap();
        Ok(encapsulate(PROTOCOL, &peer, &mut self.rng).unwrap())
    }

    /// Sets the first PIN, or changes it.
    fn new_pin(&mut self) -> Result<(), Gone> {
        let new = format!("{:08}", self.rng.next_u32());
        let old = self.told.lock().unwrap().pin.clone();
        let (key_agreement, secret) = self.agree()?;
        let padded = pad_pin(&new).unwrap();
        let enc = secret.encrypt(&padded[..], &mut self.rng).unwrap();
        let hash = old.as_ref().map(|old| {
            let hash = pin_hash(old.as_bytes());
            secret.encrypt(&hash[..], &mut self.rng).unwrap()
        });
        let message = [&enc[..], hash.as_deref().unwrap_or_default()].concat();
        let sub_command = match old {
            Some(_) => SubCommand::ChangePin,
            None => SubCommand::SetPin,
        };
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_uv_auth_param: Some(secret.authenticate(&message)),
            new_pin_enc: Some(enc.into()),
            pin_hash_enc: hash.map(Into::into),
            ..pin_request(sub_command)
        };
        self.told(|told| {
            told.pin_under_way = Some(new.clone());
            told.most_tries = None;
        });
        self.members(Command::ClientPin, &request.encode())?;
        self.told(|told| {
            told.pin = told.pin_under_way.take();
            told.most_tries = Some(MAX_PIN_RETRIES);
        });
        Ok(())
    }

    fn token(&mut self, pin: &str) -> Result<Result<Vec<u8>, Status>, Gone> {
        let (key_agreement, secret) = self.agree()?;
        let hash = pin_hash(pin.as_bytes());
        let hash = secret.encrypt(&hash[..], &mut self.rng).unwrap();
        let request = PinRequest {
            key_agreement: Some(key_agreement),
            pin_hash_enc: Some(hash.into()),
            permissions: Some(Permissions::MAKE_CREDENTIAL.0.into()),
            rp_id: Some(RP.to_owned()),
            ..pin_request(SubCommand::GetPinUvAuthTokenUsingPinWithPermissions)
        };
        self.told(|told| told.most_tries = None);
        let answer = self.send(Command::ClientPin, &request.encode())?;
        let wrong = u8::from(answer[0] != 0);
        self.told(|told| told.most_tries = Some(MAX_PIN_RETRIES - wrong));
        if wrong > 0 {
            return Ok(Err(Status(answer[0])));
        }
        let token = PinResponse::decode(&answer[1..])
            .unwrap()
            .pin_uv_auth_token
            .unwrap();
        Ok(Ok(secret.decrypt(&token).unwrap().to_vec()))
    }

    /// A wrong PIN, then the right one.
    fn mistype(&mut self) -> Result<(), Gone> {
        let Some(pin) = self.told.lock().unwrap().pin.clone() else {
            return Ok(());
        };
        assert_eq!(self.token("not the PIN")?.unwrap_err(), Status::PIN_INVALID);
        self.token(&pin)?.unwrap();
        Ok(())
    }

    fn make(&mut self) -> Result<(), Gone> {
        let pin = self.told.lock().unwrap().pin.clone();
        let token = match pin {
            Some(pin) => Some(self.token(&pin)?.unwrap()),
            None => None,
        };
        let request = make_credential::Request {
            client_data_hash: HASH,
            rp: RpEntity {
                id: RP.to_owned(),
                name: None,
            },
            user: UserEntity {
                id: self.rng.next_u32().to_be_bytes().to_vec(),
                name: None,
                display_name: None,
            },
            pub_key_cred_params: vec![CredentialParameters::public_key(CoseAlgorithm::ES256)],
            exclude_list: None,
            extensions: None,
            options: Some(make_credential::Options {
                rk: Some(true),
                ..Default::default()
            }),
            pin_uv_auth_protocol: token.is_some().then(|| PROTOCOL.number().into()),
            pin_uv_auth_param: token.map(|token| PROTOCOL.authenticate(&token, &HASH)),
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        let answer = self.members(Command::MakeCredential, &request.encode())?;
        let made = make_credential::Response::decode(&answer).unwrap();
        let data = AuthenticatorData::parse(&made.auth_data).unwrap();
        let id = data
            .attested_credential_data
            .unwrap()
            .credential_id
            .to_vec();
        self.told(|told| told.credentials.push(id));
        Ok(())
    }

    fn sign(&mut self) -> Result<(), Gone> {
        let known = self.told.lock().unwrap().credentials.last().cloned();
        let Some(id) = known else { return Ok(()) };
        let request = get_assertion::Request {
            rp_id: RP.to_owned(),
            client_data_hash: HASH,
            allow_list: Some(vec![CredentialDescriptor::public_key(id)]),
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let answer = self.members(Command::GetAssertion, &request.encode())?;
        let signed = get_assertion::Response::decode(&answer).unwrap();
        let counter = AuthenticatorData::parse(&signed.auth_data)
            .unwrap()
            .sign_count;
        self.told(|told| {
            assert!(counter > told.counter, "{counter} after {}", told.counter);
            told.counter = counter;
        });
        Ok(())
    }

    /// Does things until the key is gone.
    fn work(mut self) {
        loop {
            let step = match self.rng.next_u32() % 5 {
                0 => self.new_pin(),
                1 => self.mistype(),
                2 | 3 => self.make(),
                _ => self.sign(),
            };
            if step.is_err() {
                return;
            }
            self.told(|told| told.steps += 1);
        }
    }
}

fn pin_request(sub_command: SubCommand) -> PinRequest {
    PinRequest {
        pin_uv_auth_protocol: Some(PROTOCOL.number().into()),
        sub_command: sub_command.code(),
        key_agreement: None,
        pin_uv_auth_param: None,
        new_pin_enc: None,
        pin_hash_enc: None,
        permissions: None,
        rp_id: None,
    }
}

fn start(directory: &Path) -> (Child, HidKey<StreamPort<UnixStream>>) {
    let socket = directory.join("socket");
    let _ = std::fs::remove_file(&socket);
    let mut child = Process::new(env!("CARGO_BIN_EXE_pinward"))
        .args(["key", "run", "--auto-touch", "--insecure-plaintext"])
        .arg("--unix")
        .arg(&socket)
        .arg("--store")
        .arg(directory.join("key"))
        .env("XDG_STATE_HOME", directory.join("state"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines.next().unwrap().unwrap();
    assert!(ready.starts_with("pinward key ready: "), "{ready}");
    let port = StreamPort::unix(&socket).unwrap();
    (child, HidKey::open(port, [1; 8]).unwrap())
}

/// What the file says must be what the client was told, or what it was about to be told.
fn check(told: &mut Told, state: &State) {
    for id in &told.credentials {
        assert!(state.credential(id).is_some(), "a credential is lost");
    }
    let more = state.stored_count() - told.credentials.len();
    assert!(more <= 1, "{more} credentials that nobody was told of");
    told.credentials = state
        .credentials()
        .map(|source| source.id.clone())
        .collect();
    assert!(state.counter() >= told.counter);
    let is = |pin: &Option<String>| {
        let hash = pin.as_ref().map(|pin| *pin_hash(pin.as_bytes()));
        hash == state.pin().map(|stored| *stored.hash)
    };
    if !is(&told.pin) {
        assert!(told.pin_under_way.is_some() && is(&told.pin_under_way));
        told.pin = told.pin_under_way.take();
    }
    told.pin_under_way = None;
    let most = told.most_tries.unwrap_or(MAX_PIN_RETRIES);
    assert!(state.pin_retries() <= most);
    // A wrong PIN and the right one after it, at most, before tries are given back.
    assert!(state.pin_retries() >= told.first_tries.saturating_sub(2));
    told.first_tries = state.pin_retries();
    told.most_tries = Some(told.first_tries);
}

#[test]
fn what_a_killed_key_has_told_holds() {
    let directory = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut told = Told {
        most_tries: Some(MAX_PIN_RETRIES),
        first_tries: MAX_PIN_RETRIES,
        ..Told::default()
    };
    for round in 0..12 {
        let (mut child, key) = start(directory.path());
        let shared = Arc::new(Mutex::new(told.clone()));
        let client = Client {
            key,
            rng: ChaCha20Rng::seed_from_u64(100 + round),
            told: Arc::clone(&shared),
        };
        let client = std::thread::spawn(|| client.work());
        // Let it get going, then strike at a moment of no particular kind.
        while shared.lock().unwrap().steps == told.steps && !client.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(u64::from(rng.next_u32() % 60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        client.join().unwrap();
        told = shared.lock().unwrap().clone();
        let path = directory.path().join("key");
        let (store, state) = FileStore::open(&path, &Protection::InsecurePlaintext).unwrap();
        check(&mut told, &state);
        drop(store);
    }
    assert!(told.steps >= 12, "each key did something");
}
