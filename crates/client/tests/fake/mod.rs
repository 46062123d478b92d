//! A small fake of a key, and of the person before it, for the tests of the client.
//!
//! It answers as CTAP 2.3 describes for the options it is made with; its signatures sign nothing,
//! since a client does not check them. The real key lives in another crate, which this one must not
//! know; the pair is tested where both are known.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use client::profile::PlatformProfile;
use client::prompt::{Prompt, UserInput};
use client::uv::KeyFacts;
use client::{Caller, Ceremony, Event, KeyId, Outcome, Output};
use ctap::client_pin::{Request as PinRequest, Response as PinResponse, SubCommand};
use ctap::entities::{CredentialDescriptor, UserEntity};
use ctap::pin_protocol::{KeyAgreementKey, PinUvAuthProtocol, pin_hash};
use ctap::{
    Command, Status, bio_enrollment, get_assertion, get_info, make_credential, response_bytes,
    split_request, u2f,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use webauthn::authenticator_data::{Aaguid, AttestedCredentialData, Flags, encode};
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};

/// A credential on the key.
#[derive(Clone)]
pub struct Cred {
    pub id: Vec<u8>,
    pub rp_id: String,
    pub user: Vec<u8>,
    pub name: String,
    pub rk: bool,
    pub protect: u8,
}

pub fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}

/// The key.
pub struct FakeKey {
    pub facts: KeyFacts,
    pub pin: Option<String>,
    pub retries: u8,
    pub wrong_in_a_row: u8,
    pub min_pin_length: u64,
    pub protocols: Vec<u64>,
    pub extensions: Vec<&'static str>,
    pub max_in_list: Option<u64>,
    pub max_id_length: Option<u64>,
    pub creds: Vec<Cred>,
    /// Answers that are given once each in place of the real one, by command.
    pub scripted: VecDeque<(Command, Status)>,
    /// The key forgets to set UV.
    pub drops_uv: bool,
    /// Every CTAP2 request that came.
    pub seen: Vec<Vec<u8>>,
    token: [u8; 32],
    token_up: bool,
    agreement: KeyAgreementKey,
    continuation: Vec<Cred>,
    samples: u8,
    u2f_touched: bool,
    counter: u32,
    rng: ChaCha20Rng,
}

/// What came of a request: whether a touch was waited for, and the answer.
type Answer = (bool, Vec<u8>);

fn status(status: Status) -> Answer {
    (false, response_bytes(status, &[]))
}

fn touched(status: Status) -> Answer {
    (true, response_bytes(status, &[]))
}

impl FakeKey {
    pub fn new(facts: KeyFacts) -> Self {
        let mut rng = rng();
        Self {
            pin: (facts.client_pin == Some(true)).then(|| "1234".to_owned()),
            retries: if facts.pin_blocked { 0 } else { 8 },
            wrong_in_a_row: 0,
            min_pin_length: 4,
            protocols: if facts.pin_uv_auth_token {
                vec![2, 1]
            } else {
                vec![1]
            },
            extensions: vec!["credProtect", "hmac-secret"],
            max_in_list: Some(8),
            max_id_length: Some(128),
            creds: Vec::new(),
            scripted: VecDeque::new(),
            drops_uv: false,
            seen: Vec::new(),
            token: [9; 32],
            token_up: false,
            agreement: KeyAgreementKey::generate(&mut rng).unwrap(),
            continuation: Vec::new(),
            samples: 0,
            u2f_touched: false,
            counter: 0,
            facts,
            rng,
        }
    }

    pub fn with_cred(mut self, id: &[u8], rk: bool, protect: u8) -> Self {
        self.creds.push(Cred {
            id: id.to_vec(),
            rp_id: "example.org".into(),
            user: vec![id[0]],
            name: format!("user {}", id[0]),
            rk,
            protect,
        });
        self
    }

    /// How often a command came.
    pub fn count(&self, command: Command) -> usize {
        self.seen
            .iter()
            .filter(|bytes| bytes[0] == command.code())
            .count()
    }

    /// How often a subcommand of clientPIN came.
    pub fn count_pin(&self, sub_command: SubCommand) -> usize {
        self.seen
            .iter()
            .filter(|bytes| bytes[0] == Command::ClientPin.code())
            .filter(|b| PinRequest::decode(&b[1..]).unwrap().sub_command == sub_command.code())
            .count()
    }

    pub fn handle(&mut self, request: &[u8]) -> Answer {
        if !self.facts.ctap2 {
            return status(Status::INVALID_COMMAND);
        }
        self.seen.push(request.to_vec());
        let (command, body) = split_request(request).expect("a known command");
        if let Some((wanted, answer)) = self.scripted.front()
            && *wanted == command
        {
            let answer = *answer;
            self.scripted.pop_front();
            return touched(answer);
        }
        match command {
            Command::GetInfo => self.get_info(),
            Command::ClientPin => self.client_pin(&PinRequest::decode(body).unwrap()),
            Command::MakeCredential => {
                self.make_credential(&make_credential::Request::decode(body).unwrap())
            }
            Command::GetAssertion => {
                self.get_assertion(&get_assertion::Request::decode(body).unwrap())
            }
            Command::GetNextAssertion => self.next(),
            Command::Selection if self.facts.pin_uv_auth_token => touched(Status::OK),
            Command::BioEnrollment => {
                self.bio_enrollment(&bio_enrollment::Request::decode(body).unwrap())
            }
            _ => status(Status::INVALID_COMMAND),
        }
    }

    fn get_info(&self) -> Answer {
        let facts = &self.facts;
        let mut versions = vec!["FIDO_2_0".to_owned()];
        if facts.pin_uv_auth_token {
            versions.push("FIDO_2_1".into());
        }
        if facts.u2f_v2 {
            versions.push("U2F_V2".into());
        }
        let options = get_info::Options {
            rk: Some(facts.rk),
            up: Some(true),
            uv: facts.uv,
            always_uv: facts.pin_uv_auth_token.then_some(facts.always_uv),
            client_pin: facts.client_pin,
            bio_enroll: facts.bio_enroll,
            pin_uv_auth_token: facts.pin_uv_auth_token.then_some(true),
            make_cred_uv_not_rqd: facts
                .pin_uv_auth_token
                .then_some(facts.make_cred_uv_not_rqd),
            no_mc_ga_permissions_with_client_pin: facts
                .no_mc_ga_permissions_with_client_pin
                .then_some(true),
            ..get_info::Options::default()
        };
        let mut info = get_info::Response::decode(
            &[
                // {1: [], 3: h'00…'}
                &[0xA2, 0x01, 0x80, 0x03, 0x50][..],
                &[0; 16],
            ]
            .concat(),
        )
        .unwrap();
        info.versions = versions;
        info.extensions = Some(
            self.extensions
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        );
        info.options = Some(options);
        info.pin_uv_auth_protocols = Some(self.protocols.clone());
        info.max_credential_count_in_list = self.max_in_list;
        info.max_credential_id_length = self.max_id_length;
        info.force_pin_change = facts.force_pin_change.then_some(true);
        info.min_pin_length = Some(self.min_pin_length);
        info.max_cred_blob_length = Some(32);
        info.transports = Some(vec!["usb".into()]);
        (false, response_bytes(Status::OK, &info.encode()))
    }

    fn client_pin(&mut self, request: &PinRequest) -> Answer {
        let sub_command = SubCommand::try_from(request.sub_command).unwrap();
        let answer = match sub_command {
            SubCommand::GetPinRetries => Ok(PinResponse {
                pin_retries: Some(self.retries.into()),
                ..PinResponse::default()
            }),
            SubCommand::GetKeyAgreement => Ok(PinResponse {
                key_agreement: Some(self.agreement.public_key()),
                ..PinResponse::default()
            }),
            SubCommand::SetPin => self.set_pin(request),
            SubCommand::ChangePin => self.change_pin(request),
            SubCommand::GetPinToken | SubCommand::GetPinUvAuthTokenUsingPinWithPermissions => {
                assert_eq!(
                    self.facts.pin_uv_auth_token,
                    sub_command == SubCommand::GetPinUvAuthTokenUsingPinWithPermissions
                );
                self.pin_token(request)
            }
            SubCommand::GetPinUvAuthTokenUsingUvWithPermissions => {
                self.token_up = true;
                self.give_token(request)
            }
            SubCommand::GetUvRetries => Err(Status::INVALID_SUBCOMMAND),
        };
        match answer {
            Ok(answer) => (false, response_bytes(Status::OK, &answer.encode())),
            Err(error) => status(error),
        }
    }

    fn secret(&self, request: &PinRequest) -> ctap::pin_protocol::SharedSecret {
        let protocol =
            PinUvAuthProtocol::from_number(request.pin_uv_auth_protocol.unwrap()).unwrap();
        assert!(self.protocols.contains(&protocol.number().into()));
        self.agreement
            .decapsulate(protocol, request.key_agreement.as_ref().unwrap())
            .unwrap()
    }

    fn give_token(&mut self, request: &PinRequest) -> Result<PinResponse, Status> {
        let secret = self.secret(request);
        self.token = [self.token[0].wrapping_add(1); 32];
        let token = secret.encrypt(&self.token, &mut self.rng).unwrap();
        Ok(PinResponse {
            pin_uv_auth_token: Some(token.into()),
            ..PinResponse::default()
        })
    }

    fn check_pin(&mut self, request: &PinRequest) -> Result<(), Status> {
        if self.retries == 0 {
            return Err(Status::PIN_BLOCKED);
        }
        if self.wrong_in_a_row >= 3 {
            return Err(Status::PIN_AUTH_BLOCKED);
        }
        let sent = self
            .secret(request)
            .decrypt(request.pin_hash_enc.as_ref().unwrap())
            .unwrap();
        let right = pin_hash(self.pin.as_ref().ok_or(Status::PIN_NOT_SET)?.as_bytes());
        if sent[..] == right[..] {
            self.retries = 8;
            self.wrong_in_a_row = 0;
            return Ok(());
        }
        self.retries -= 1;
        self.wrong_in_a_row += 1;
        self.agreement = KeyAgreementKey::generate(&mut self.rng).unwrap();
        Err(match (self.retries, self.wrong_in_a_row) {
            (0, _) => Status::PIN_BLOCKED,
            (_, 3) => Status::PIN_AUTH_BLOCKED,
            _ => Status::PIN_INVALID,
        })
    }

    fn pin_token(&mut self, request: &PinRequest) -> Result<PinResponse, Status> {
        self.check_pin(request)?;
        if self.facts.force_pin_change {
            return Err(Status::PIN_POLICY_VIOLATION);
        }
        if self.facts.pin_uv_auth_token {
            assert!(request.permissions.is_some() && request.rp_id.is_some());
        }
        self.token_up = false;
        self.give_token(request)
    }

    fn new_pin(&mut self, request: &PinRequest) -> Result<(), Status> {
        let sent = self
            .secret(request)
            .decrypt(request.new_pin_enc.as_ref().unwrap())
            .unwrap();
        assert_eq!(sent.len(), 64);
        let end = sent.iter().position(|byte| *byte == 0).unwrap();
        let pin = String::from_utf8(sent[..end].to_vec()).unwrap();
        // "easy" stands for whatever the key's own policy refuses.
        if (pin.chars().count() as u64) < self.min_pin_length || pin == "easypin" {
            return Err(Status::PIN_POLICY_VIOLATION);
        }
        self.pin = Some(pin);
        self.facts.client_pin = Some(true);
        self.facts.force_pin_change = false;
        Ok(())
    }

    fn set_pin(&mut self, request: &PinRequest) -> Result<PinResponse, Status> {
        if self.pin.is_some() {
            return Err(Status::PIN_AUTH_INVALID);
        }
        let enc = request.new_pin_enc.as_ref().unwrap();
        let param = request.pin_uv_auth_param.as_ref().unwrap();
        assert!(self.secret(request).verify(enc, param));
        self.new_pin(request).map(|()| PinResponse::default())
    }

    fn change_pin(&mut self, request: &PinRequest) -> Result<PinResponse, Status> {
        let message = [
            &request.new_pin_enc.as_ref().unwrap()[..],
            &request.pin_hash_enc.as_ref().unwrap()[..],
        ]
        .concat();
        let param = request.pin_uv_auth_param.as_ref().unwrap();
        assert!(self.secret(request).verify(&message, param));
        self.check_pin(request)?;
        self.new_pin(request).map(|()| PinResponse::default())
    }

    /// The gate: whether the user is verified, or the status.
    fn gate(
        &self,
        param: Option<&Vec<u8>>,
        protocol: Option<u64>,
        hash: &[u8; 32],
        uv: Option<bool>,
        insists: bool,
    ) -> Result<bool, Status> {
        if let Some(param) = param {
            let protocol = PinUvAuthProtocol::from_number(protocol.unwrap()).unwrap();
            assert_ne!(uv, Some(true), "uv and a token exclude each other");
            return if protocol.verify(&self.token, hash, param) {
                Ok(true)
            } else {
                Err(Status::PIN_AUTH_INVALID)
            };
        }
        // An alwaysUv key takes every request as one for verification.
        let by_itself = insists && self.facts.always_uv && self.facts.uv == Some(true);
        if uv == Some(true) || by_itself {
            return if self.facts.uv == Some(true) {
                Ok(true)
            } else {
                Err(Status::INVALID_OPTION)
            };
        }
        if insists {
            Err(Status::PUAT_REQUIRED)
        } else {
            Ok(false)
        }
    }

    fn make_credential(&mut self, request: &make_credential::Request) -> Answer {
        if request
            .pin_uv_auth_param
            .as_ref()
            .is_some_and(Vec::is_empty)
        {
            let pin_set = self.facts.client_pin == Some(true);
            return touched(if pin_set {
                Status::PIN_INVALID
            } else {
                Status::PIN_NOT_SET
            });
        }
        let options = request.options.clone().unwrap_or_default();
        let rk = options.rk == Some(true);
        let protected = self.facts.client_pin == Some(true) || self.facts.uv == Some(true);
        let insists =
            self.facts.always_uv || (protected && (rk || !self.facts.make_cred_uv_not_rqd));
        let uv = match self.gate(
            request.pin_uv_auth_param.as_ref(),
            request.pin_uv_auth_protocol,
            &request.client_data_hash,
            options.uv,
            insists,
        ) {
            Ok(uv) => uv,
            Err(error) => return status(error),
        };
        if !request
            .pub_key_cred_params
            .iter()
            .any(|param| param.alg == CoseAlgorithm::ES256)
        {
            return status(Status::UNSUPPORTED_ALGORITHM);
        }
        let waits = !self.token_up || options.uv == Some(true);
        for listed in request.exclude_list.iter().flatten() {
            if self.find(listed, &request.rp.id, uv).is_some() {
                return (waits, response_bytes(Status::CREDENTIAL_EXCLUDED, &[]));
            }
        }
        let protect = request
            .extensions
            .as_ref()
            .and_then(|e| e.cred_protect)
            .unwrap_or(1);
        let id = vec![self.creds.len() as u8 + 100; 16];
        self.creds.push(Cred {
            id: id.clone(),
            rp_id: request.rp.id.clone(),
            user: request.user.id.clone(),
            name: request.user.name.clone().unwrap_or_default(),
            rk,
            protect: u8::try_from(protect).unwrap(),
        });
        let output = make_credential::ExtensionsOutput {
            cred_protect: request.extensions.as_ref().and_then(|e| e.cred_protect),
            hmac_secret: request.extensions.as_ref().and_then(|e| e.hmac_secret),
            ..make_credential::ExtensionsOutput::default()
        };
        let extensions =
            (output != make_credential::ExtensionsOutput::default()).then(|| output.encode());
        let auth_data = self.auth_data(&request.rp.id, uv, Some(&id), extensions.as_deref());
        let answer = make_credential::Response {
            fmt: "packed".into(),
            auth_data,
            // {"alg": -7, "sig": h'00'}
            att_stmt: Some(ctap::Raw::new(hex("a263616c672663736967 4100")).unwrap()),
            ep_att: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        (waits, response_bytes(Status::OK, &answer.encode()))
    }

    fn auth_data(
        &mut self,
        rp_id: &str,
        uv: bool,
        new: Option<&[u8]>,
        extensions: Option<&[u8]>,
    ) -> Vec<u8> {
        let key = CoseKey::Ec2 {
            alg: CoseAlgorithm::ES256,
            crv: curve::P256,
            x: vec![1; 32],
            y: vec![2; 32],
        }
        .encode();
        let attested = new.map(|id| AttestedCredentialData {
            aaguid: Aaguid([5; 16]),
            credential_id: id,
            credential_public_key: &key,
        });
        self.counter += 1;
        let flags = Flags::UP.with(Flags::UV, uv && !self.drops_uv);
        encode(
            &sha256(rp_id.as_bytes()),
            flags,
            self.counter,
            attested.as_ref(),
            extensions,
        )
    }

    fn find(&self, listed: &CredentialDescriptor, rp_id: &str, uv: bool) -> Option<Cred> {
        self.creds
            .iter()
            .find(|c| c.id == listed.id && c.rp_id == rp_id && (uv || c.protect < 3))
            .cloned()
    }

    fn get_assertion(&mut self, request: &get_assertion::Request) -> Answer {
        let options = request.options.clone().unwrap_or_default();
        let silent = options.up == Some(false);
        let uv = match self.gate(
            request.pin_uv_auth_param.as_ref(),
            request.pin_uv_auth_protocol,
            &request.client_data_hash,
            options.uv,
            self.facts.always_uv && !silent,
        ) {
            Ok(uv) => uv,
            Err(error) => return status(error),
        };
        let list = request.allow_list.clone().unwrap_or_default();
        assert!(
            list.len() as u64 <= self.max_in_list.unwrap_or(1),
            "the list is too long"
        );
        let found: Vec<Cred> = if list.is_empty() {
            let shown = |c: &&Cred| c.rk && c.rp_id == request.rp_id && (uv || c.protect < 2);
            self.creds.iter().filter(shown).cloned().collect()
        } else {
            list.iter()
                .filter_map(|l| self.find(l, &request.rp_id, uv))
                .take(1)
                .collect()
        };
        let Some(first) = found.first().cloned() else {
            // Built-in verification comes before the look at the credentials.
            let by_itself = uv && request.pin_uv_auth_param.is_none();
            return (by_itself, response_bytes(Status::NO_CREDENTIALS, &[]));
        };
        self.continuation = found[1..].to_vec();
        let count = (list.is_empty() && found.len() > 1).then_some(found.len() as u64);
        let waits = !silent && (!self.token_up || options.uv == Some(true));
        let input = request
            .extensions
            .as_ref()
            .and_then(|e| e.hmac_secret.clone());
        let output = match input {
            Some(get_assertion::BoolOr::Other(input)) => {
                let output = get_assertion::ExtensionsOutput {
                    hmac_secret: Some(self.hmac_secret(&input, uv).into()),
                    ..get_assertion::ExtensionsOutput::default()
                };
                Some(output.encode())
            }
            _ => None,
        };
        (
            waits,
            self.sign_with(&first, &request.rp_id, uv, count, output.as_deref()),
        )
    }

    /// hmac-secret: the outputs, encrypted; with verification another secret than without.
    fn hmac_secret(&mut self, input: &ctap::make_credential::HmacSecretInput, uv: bool) -> Vec<u8> {
        let protocol =
            PinUvAuthProtocol::from_number(input.pin_uv_auth_protocol.unwrap_or(1)).unwrap();
        let secret = self
            .agreement
            .decapsulate(protocol, &input.key_agreement)
            .unwrap();
        assert!(secret.verify(&input.salt_enc, &input.salt_auth));
        let salts = secret.decrypt(&input.salt_enc).unwrap();
        let outputs: Vec<u8> = salts
            .chunks(32)
            .flat_map(|salt| sha256(&[&[u8::from(uv)], salt].concat()))
            .collect();
        secret.encrypt(&outputs, &mut self.rng).unwrap()
    }

    fn sign(&mut self, cred: &Cred, rp_id: &str, uv: bool, count: Option<u64>) -> Vec<u8> {
        self.sign_with(cred, rp_id, uv, count, None)
    }

    fn sign_with(
        &mut self,
        cred: &Cred,
        rp_id: &str,
        uv: bool,
        count: Option<u64>,
        extensions: Option<&[u8]>,
    ) -> Vec<u8> {
        let answer = get_assertion::Response {
            credential: Some(CredentialDescriptor::public_key(cred.id.clone())),
            auth_data: self.auth_data(rp_id, uv, None, extensions),
            signature: vec![0x30, 0x00],
            user: cred.rk.then(|| UserEntity {
                id: cred.user.clone(),
                name: uv.then(|| cred.name.clone()),
                display_name: None,
            }),
            number_of_credentials: count,
            user_selected: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        response_bytes(Status::OK, &answer.encode())
    }

    fn next(&mut self) -> Answer {
        if self.continuation.is_empty() {
            return status(Status::NOT_ALLOWED);
        }
        let cred = self.continuation.remove(0);
        let rp_id = cred.rp_id.clone();
        (false, self.sign(&cred, &rp_id, true, None))
    }

    fn bio_enrollment(&mut self, request: &bio_enrollment::Request) -> Answer {
        assert!(request.pin_uv_auth_param.is_some());
        self.samples += 1;
        let remaining = 3 - self.samples;
        if remaining == 0 {
            self.facts.uv = Some(true);
            self.facts.bio_enroll = Some(true);
        }
        let answer = bio_enrollment::Response {
            template_id: Some(vec![1]),
            last_enroll_sample_status: Some(0),
            remaining_samples: Some(remaining.into()),
            ..bio_enrollment::Response::default()
        };
        (false, response_bytes(Status::OK, &answer.encode()))
    }

    pub fn handle_u2f(&mut self, apdu: &[u8]) -> Vec<u8> {
        use ctap::iso7816::StatusWord;
        let request = u2f::Request::decode(apdu).unwrap();
        let first = !std::mem::take(&mut self.u2f_touched);
        match request {
            u2f::Request::Register { .. }
            | u2f::Request::Authenticate {
                control: u2f::Control::EnforceUserPresence,
                ..
            } if first => {
                self.u2f_touched = true;
                u2f::failure(StatusWord::CONDITIONS_NOT_SATISFIED)
            }
            u2f::Request::Register { .. } => {
                let mut point = [3; 65];
                point[0] = 4;
                let made = u2f::RegisterResponse {
                    public_key: point,
                    key_handle: vec![77; 32],
                    attestation_certificate: vec![0x30, 0x01, 0x00],
                    signature: vec![0x30, 0x00],
                };
                u2f::success(made.encode().unwrap())
            }
            u2f::Request::Authenticate {
                control,
                key_handle,
                application,
                ..
            } => {
                let known = self.creds.iter().any(|c| {
                    c.id == key_handle && c.protect < 3 && sha256(c.rp_id.as_bytes()) == application
                });
                if !known {
                    return u2f::failure(StatusWord::WRONG_DATA);
                }
                if control == u2f::Control::CheckOnly {
                    return u2f::failure(StatusWord::CONDITIONS_NOT_SATISFIED);
                }
                let signed = u2f::AuthenticateResponse {
                    user_presence: 1,
                    counter: 5,
                    signature: vec![0x30, 0x00],
                };
                u2f::success(signed.encode())
            }
            u2f::Request::Version => u2f::success(u2f::VERSION.to_vec()),
        }
    }
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// What the person does.
pub struct Person {
    /// PINs typed in turn; the last one is repeated.
    pub pins: Vec<&'static str>,
    /// New PINs typed in turn; the last one is repeated.
    pub new_pins: Vec<&'static str>,
    pub not_now: bool,
    pub cancels: bool,
    pub account: usize,
    /// Every prompt that was shown.
    pub prompts: Vec<Prompt>,
    pub pins_typed: usize,
    pub new_typed: usize,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            pins: vec!["1234"],
            new_pins: vec!["567890"],
            not_now: false,
            cancels: false,
            account: 0,
            prompts: Vec::new(),
            pins_typed: 0,
            new_typed: 0,
        }
    }
}

impl Person {
    fn pin(&mut self, key: &FakeKey) -> &'static str {
        // Whoever has just created or changed the PIN knows the new one.
        if self.new_typed > 0 && key.pin.as_deref() == self.new_pins.last().copied() {
            return self.new_pins.last().unwrap();
        }
        let pin = self.pins[self.pins_typed.min(self.pins.len() - 1)];
        self.pins_typed += 1;
        pin
    }

    fn new_pin(&mut self) -> &'static str {
        let pin = self.new_pins[self.new_typed.min(self.new_pins.len() - 1)];
        self.new_typed += 1;
        pin
    }

    /// The answer to a prompt; none where a touch, or nothing, is the answer.
    fn answer(&mut self, prompt: &Prompt, key: &FakeKey) -> Option<UserInput> {
        self.prompts.push(prompt.clone());
        let input = match prompt {
            Prompt::EnterPin { .. } => UserInput::Pin {
                pin: self.pin(key).into(),
            },
            Prompt::CreatePin { optional: true, .. } if self.not_now => UserInput::NotNow,
            Prompt::CreatePin { .. } => UserInput::NewPin {
                pin: self.new_pin().into(),
            },
            Prompt::ChangePin { old_known, .. } => UserInput::ChangePin {
                old: (!old_known).then(|| self.pin(key).into()),
                new: self.new_pin().into(),
            },
            Prompt::PickAccount { .. } => UserInput::Account {
                index: self.account,
            },
            _ => return None,
        };
        Some(if self.cancels {
            UserInput::Cancel
        } else {
            input
        })
    }
}

pub const KEY: KeyId = KeyId(1);

pub fn caller() -> Caller {
    Caller::top_level("https://example.org".parse().unwrap())
}

pub fn platform(id: &str) -> Arc<PlatformProfile> {
    client::profile::find(id).unwrap()
}

/// Runs a ceremony to its end, with keep-alives as USB sends them.
pub fn run(mut ceremony: Ceremony, key: &mut FakeKey, person: &mut Person) -> Outcome {
    let mut rng = rng();
    let mut now = Duration::from_secs(1);
    let mut todo: VecDeque<Output> = ceremony.start(&[KEY], now, &mut rng).into();
    for _ in 0..500 {
        let Some(output) = todo.pop_front() else {
            let at = ceremony.wake_at().expect("the ceremony is stuck");
            now = at;
            todo.extend(ceremony.step(Event::Tick, now, &mut rng));
            continue;
        };
        let events = match output {
            Output::Send { bytes, .. } => {
                let (waits, answer) = key.handle(&bytes);
                let mut events = Vec::new();
                if waits {
                    events.push(Event::KeepAlive {
                        key: KEY,
                        status: 2,
                    });
                }
                events.push(Event::Reply {
                    key: KEY,
                    bytes: answer,
                });
                events
            }
            Output::SendU2f { apdu, .. } => {
                vec![Event::Reply {
                    key: KEY,
                    bytes: key.handle_u2f(&apdu),
                }]
            }
            Output::Prompt(prompt) => person
                .answer(&prompt, key)
                .map(Event::User)
                .into_iter()
                .collect(),
            Output::RelatedOrigins { .. } => vec![Event::RelatedOrigins(None)],
            Output::CancelKey(_) | Output::Dismiss => Vec::new(),
            Output::Done(outcome) => {
                assert!(todo.is_empty(), "outputs after the end: {todo:?}");
                return *outcome;
            }
        };
        for event in events {
            todo.extend(ceremony.step(event, now, &mut rng));
        }
    }
    panic!("the ceremony does not end");
}
