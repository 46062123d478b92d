//! CTAP 2.3 §8 (CTAP1/U2F): registering and signing in by U2F messages, on keys that know nothing
//! else and where a platform falls back to them.
//!
//! A U2F key answers "conditions not satisfied" until it is touched, so it is asked again and again.

use ctap::iso7816::{ResponseApdu, StatusWord};
use ctap::make_credential::ExtensionsOutput;
use ctap::u2f::{AuthenticateResponse, Control, RegisterResponse, Request};
use ctap::{Status, get_assertion};
use rand_core::CryptoRng;
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{Aaguid, AttestedCredentialData, Flags, encode};
use webauthn::cbor::Value;
use webauthn::cose::{CoseAlgorithm, CoseKey, curve};
use webauthn::response::{AuthenticationResponseJson, AuthenticatorAssertionResponseJson};

use crate::attestation;
use crate::ceremony::{Ceremony, Request as Asked};
use crate::create::{CreateRequest, Made};
use crate::crypto::sha256;
use crate::get::GetRequest;
use crate::outcome::{Credential, Failure, FailureReason};
use crate::prompt::TouchPurpose;
use crate::report::{DomExceptionName, Step};
use crate::session::{AfterTouch, Session, U2F_POLL, Wait, bad_reply};
use crate::touch::TOUCH_RP_ID;

/// What a U2F key is asked.
#[derive(Debug)]
pub(crate) enum U2f {
    /// Whether it knows the credential at this place of the list.
    Check(usize),
    /// To register.
    Register,
    /// To sign with this credential.
    Sign(Vec<u8>),
    /// For a touch that precedes something else.
    Touch(AfterTouch),
}

impl Session {
    fn application(&self) -> [u8; 32] {
        sha256(self.rp_id().as_bytes())
    }

    fn send_u2f(&mut self, host: &mut Ceremony, request: &Request, state: U2f) {
        match request.encode() {
            Some(apdu) => {
                self.wait = Wait::U2f(state);
                host.send_u2f_to(self.key, apdu);
            }
            // A credential ID that no U2F key can have made.
            None => self.key_refused(host, Status::INVALID_LENGTH),
        }
    }

    pub(crate) fn start_u2f(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        host.steps.push(Step::U2f);
        if let Asked::Create(create) = &*self.request {
            let es256 = create
                .params
                .iter()
                .any(|param| param.alg == CoseAlgorithm::ES256);
            if !es256 {
                let name = DomExceptionName::NotSupportedError;
                let failure = Failure::new(name, FailureReason::NoAlgorithm);
                return self.touch_by_u2f(host, AfterTouch::Fail(failure));
            }
        }
        // Key handles have one length byte.
        self.list.retain(|credential| credential.id.len() <= 255);
        self.check_next(host, 0, rng);
    }

    fn check_next(&mut self, host: &mut Ceremony, index: usize, rng: &mut dyn CryptoRng) {
        if let Some(credential) = self.list.get(index) {
            let request = Request::Authenticate {
                control: Control::CheckOnly,
                challenge: [0; 32],
                application: self.application(),
                key_handle: credential.id.clone(),
            };
            return self.send_u2f(host, &request, U2f::Check(index));
        }
        // The whole list once more, under the AppID.
        if self.request.app_id().is_some() && !self.list.is_empty() && !self.by_app_id {
            self.by_app_id = true;
            return self.check_next(host, 0, rng);
        }
        self.by_app_id = false;
        match &*self.request.clone() {
            Asked::Create(_) => {
                self.show_touch(host, TouchPurpose::Register);
                self.send_register(host);
            }
            Asked::Get(_) => {
                // U2F knows no discoverable credentials.
                let _ = rng;
                let failure = Failure::not_allowed(FailureReason::NoCredentials);
                self.no_u2f_credentials(host, failure);
            }
        }
    }

    fn no_u2f_credentials(&mut self, host: &mut Ceremony, failure: Failure) {
        use crate::rules::NoMatch;
        match host.platform.rules.no_matching_credential.value {
            NoMatch::TouchThenFail => self.touch_by_u2f(host, AfterTouch::Fail(failure)),
            NoMatch::Fail => host.fail(failure),
            NoMatch::Unknown => host.end(
                crate::report::Ended::Unknown,
                Failure::not_allowed(FailureReason::NotKnown),
            ),
        }
    }

    fn send_register(&mut self, host: &mut Ceremony) {
        let request = Request::Register {
            challenge: *self.request.client_data_hash(),
            application: self.application(),
        };
        self.send_u2f(host, &request, U2f::Register);
    }

    fn send_sign(&mut self, host: &mut Ceremony, key_handle: Vec<u8>) {
        let request = Request::Authenticate {
            control: Control::EnforceUserPresence,
            challenge: *self.request.client_data_hash(),
            application: self.application(),
            key_handle: key_handle.clone(),
        };
        self.send_u2f(host, &request, U2f::Sign(key_handle));
    }

    /// A registration for nobody: the only way to ask a U2F key for a touch alone.
    pub(crate) fn touch_by_u2f(&mut self, host: &mut Ceremony, after: AfterTouch) {
        self.show_touch(host, TouchPurpose::Select);
        self.send_u2f(host, &touch_by_registration(), U2f::Touch(after));
    }

    /// The key has not been touched yet: the same question again.
    pub(crate) fn poll_u2f(&mut self, host: &mut Ceremony) {
        match std::mem::replace(&mut self.wait, Wait::Nothing) {
            Wait::U2f(U2f::Register) => self.send_register(host),
            Wait::U2f(U2f::Sign(key_handle)) => self.send_sign(host, key_handle),
            Wait::U2f(U2f::Touch(after)) => self.touch_by_u2f(host, after),
            wait => self.wait = wait,
        }
    }

    pub(crate) fn on_u2f(
        &mut self,
        host: &mut Ceremony,
        state: U2f,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        let Some(answer) = ResponseApdu::decode(bytes) else {
            return host.fail(bad_reply("it is no U2F response"));
        };
        let waiting = answer.status == StatusWord::CONDITIONS_NOT_SATISFIED;
        match state {
            U2f::Check(index) if waiting => self.on_known(host, index),
            U2f::Check(index) => self.check_next(host, index + 1, rng),
            state if waiting => {
                self.wait = Wait::U2f(state);
                host.poll_at = Some(host.now + U2F_POLL);
            }
            U2f::Touch(after) if answer.status == StatusWord::NO_ERROR => {
                host.steps.push(Step::Touch);
                self.after_touch(host, after, rng);
            }
            U2f::Register if answer.status == StatusWord::NO_ERROR => {
                host.steps.push(Step::Touch);
                self.on_registered(host, &answer.data);
            }
            U2f::Sign(key_handle) if answer.status == StatusWord::NO_ERROR => {
                host.steps.push(Step::Touch);
                self.on_signed(host, key_handle, &answer.data);
            }
            _ => self.key_refused(host, Status::OTHER),
        }
    }

    /// The key knows the credential at this place of the list.
    fn on_known(&mut self, host: &mut Ceremony, index: usize) {
        match &*self.request.clone() {
            Asked::Create(_) => {
                let name = DomExceptionName::InvalidStateError;
                let failure = Failure::new(name, FailureReason::Excluded);
                self.touch_by_u2f(host, AfterTouch::Fail(failure));
            }
            Asked::Get(_) => {
                let key_handle = self
                    .list
                    .get(index)
                    .map(|credential| credential.id.clone())
                    .unwrap_or_default();
                self.show_touch(host, TouchPurpose::SignIn);
                self.send_sign(host, key_handle);
            }
        }
    }

    fn on_registered(&mut self, host: &mut Ceremony, data: &[u8]) {
        let Asked::Create(create) = &*self.request.clone() else {
            return;
        };
        let built = RegisterResponse::decode(data)
            .ok()
            .and_then(|made| build(&made, create));
        let Some((auth_data, statement)) = built else {
            return host.fail(bad_reply("the U2F registration is malformed"));
        };
        let made = match Made::read(&auth_data, create) {
            Ok(made) => made,
            Err(failure) => return host.fail(failure),
        };
        let object = AttestationObject {
            fmt: "fido-u2f",
            att_stmt: &statement,
            auth_data: &auth_data,
        };
        let conveyed = attestation::convey(&object, create.attestation);
        self.rk = false;
        let outputs = self.create_outputs(create, &ExtensionsOutput::default());
        self.registered(host, create, &made, conveyed, outputs);
    }

    fn on_signed(&mut self, host: &mut Ceremony, key_handle: Vec<u8>, data: &[u8]) {
        let Asked::Get(get) = &*self.request.clone() else {
            return;
        };
        let Ok(signed) = AuthenticateResponse::decode(data) else {
            return host.fail(bad_reply("the U2F assertion is malformed"));
        };
        let mut made = assertion(get, &self.application(), key_handle, &signed);
        made.authenticator_attachment = Some(self.attachment());
        let nothing = get_assertion::ExtensionsOutput::default();
        made.client_extension_results = self.get_outputs(get, &nothing, false);
        host.succeed(Credential::Authentication(Box::new(made)), false);
    }
}

/// A registration that nobody will use.
pub(crate) fn touch_by_registration() -> Request {
    Request::Register {
        challenge: [0; 32],
        application: sha256(TOUCH_RP_ID.as_bytes()),
    }
}

/// §8.1.5: authenticator data and attestation statement of a U2F registration.
fn build(made: &RegisterResponse, create: &CreateRequest) -> Option<(Vec<u8>, Vec<u8>)> {
    let (tag, point) = made.public_key.split_first()?;
    let (x, y) = point.split_at_checked(32)?;
    if *tag != 0x04 {
        return None;
    }
    let public_key = CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        crv: curve::P256,
        x: x.to_vec(),
        y: y.to_vec(),
    }
    .encode();
    let attested = AttestedCredentialData {
        aaguid: Aaguid::ZERO,
        credential_id: &made.key_handle,
        credential_public_key: &public_key,
    };
    let hash = sha256(create.rp_id.as_bytes());
    let auth_data = encode(&hash, Flags::UP, 0, Some(&attested), None);
    let statement = Value::Map(vec![
        (
            Value::Text("sig".to_owned()),
            Value::Bytes(made.signature.clone()),
        ),
        (
            Value::Text("x5c".to_owned()),
            Value::Array(vec![Value::Bytes(made.attestation_certificate.clone())]),
        ),
    ]);
    Some((auth_data, statement.encode()))
}

/// §8.2.5: the assertion of a U2F authentication.
fn assertion(
    get: &GetRequest,
    application: &[u8; 32],
    key_handle: Vec<u8>,
    signed: &AuthenticateResponse,
) -> AuthenticationResponseJson {
    let flags = Flags(signed.user_presence & Flags::UP.0);
    let auth_data = encode(application, flags, signed.counter, None, None);
    let response = AuthenticatorAssertionResponseJson {
        client_data_json: get.client_data.clone().into(),
        authenticator_data: auth_data.into(),
        signature: signed.signature.clone().into(),
        user_handle: None,
    };
    AuthenticationResponseJson::new(key_handle, response)
}
