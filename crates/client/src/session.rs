//! CTAP 2.3 §6.1.1 and §6.2.1: one key within one ceremony, from getInfo to the request itself.
//!
//! The state is [`Wait`]: what the session waits for. The pure decision of [`crate::uv`] says what to
//! do; the files beside this one do it: `verify` (PIN and built-in verification), `lists`
//! (pre-flight), `enroll`, `prf`, `u2f`, and `create` and `get` (the requests).

use core::time::Duration;
use std::sync::Arc;

use ctap::client_pin::Permissions;
use ctap::entities::CredentialDescriptor;
use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret};
use ctap::{Command, Status, get_info, make_credential, request_bytes, split_response};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::ceremony::{Ceremony, KeyId, Request};
use crate::enroll::Enrol;
use crate::large_blob::Blobs;
use crate::lists::PreFlight;
use crate::outcome::{Failure, FailureReason};
use crate::pin::{Pin, PinPolicy};
use crate::policy::HostPolicy;
use crate::prompt::{Prompt, TouchPurpose, UserInput};
use crate::report::{DomExceptionName, Ended, Party};
use crate::rules::{self, ExcludeListNoMatch, PinBlocked};
use crate::u2f::U2f;
use crate::uv::{
    self, Action, CredentialList, Disposition, Facts, KeyFacts, PinEntry, Quirk, disposition,
};
use crate::verify::{Agreement, Dialog};

/// What a session waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Nothing: it has not begun, or it is between two states.
    Nothing,
    /// authenticatorGetInfo.
    Info,
    /// The number of PIN tries left.
    PinRetries(AfterRetries),
    /// A touch that chooses the key, or precedes a failure.
    Touch(AfterTouch),
    /// The person.
    User(Dialog),
    /// The key's key-agreement key.
    KeyAgreement(Agreement),
    /// setPIN.
    SetPin(Pin),
    /// changePIN.
    ChangePin {
        /// The PIN that the key has until now.
        old: Pin,
        /// The one it is to have.
        new: Pin,
    },
    /// A token by PIN or by built-in verification.
    Token {
        /// Under which the token comes.
        secret: SharedSecret,
        /// The PIN that was sent; none for built-in verification.
        pin: Option<Pin>,
    },
    /// A finger being enrolled.
    Enrol(Enrol),
    /// Lists tried without a touch.
    PreFlight(PreFlight),
    /// authenticatorMakeCredential or authenticatorGetAssertion.
    Main,
    /// The request that shows a known fault.
    Faulty,
    /// authenticatorGetNextAssertion.
    Next,
    /// authenticatorLargeBlobs, after the assertion.
    Blobs(Box<Blobs>),
    /// CTAP1/U2F.
    U2f(U2f),
}

impl Wait {
    /// Whether the key is at work.
    pub(crate) fn is_key(&self) -> bool {
        !matches!(self, Self::Nothing | Self::User(_))
    }
}

/// What the number of tries left is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterRetries {
    /// The decision.
    Decide,
    /// The next entry, after a wrong one.
    AskAgain {
        /// The dialog is the one for changing the PIN.
        changing: bool,
    },
}

/// What follows a touch.
#[derive(Debug)]
pub(crate) enum AfterTouch {
    /// The failure that was decided before.
    Fail(Failure),
    /// Creating a PIN.
    CreatePin {
        /// With "not now".
        optional: bool,
    },
    /// Entering the PIN.
    EnterPin(PinEntry),
    /// Silence (a known fault).
    Hang,
}

/// A pinUvAuthToken.
pub(crate) struct Token {
    pub(crate) protocol: PinUvAuthProtocol,
    pub(crate) value: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?}, ..)", self.protocol)
    }
}

/// One key within one ceremony.
pub(crate) struct Session {
    pub(crate) key: KeyId,
    pub(crate) request: Arc<Request>,
    pub(crate) wait: Wait,
    pub(crate) info: Option<Box<get_info::Response>>,
    pub(crate) facts: Facts,
    pub(crate) decided: Option<Disposition>,
    pub(crate) token: Option<Token>,
    pub(crate) retries: Option<u8>,
    /// How often the PIN has still to be asked after it is known (a habit of one platform).
    pub(crate) ask_again: u8,
    /// The key said that it waits for a touch.
    pub(crate) up_seen: bool,
    /// Verification inside the request itself (CTAP 2.0 keys with built-in verification).
    pub(crate) uv_option: bool,
    /// The key was verified by its own method.
    pub(crate) built_in_used: bool,
    pub(crate) built_in_tries: u8,
    pub(crate) escalated: bool,
    pub(crate) retried: bool,
    pub(crate) rounds: usize,
    /// The exclude or allow list, narrowed to what this key can have.
    pub(crate) list: Vec<CredentialDescriptor>,
    pub(crate) pre_flown: bool,
    /// The credential to sign in with, or an excluded one, was registered by U2F under the AppID.
    pub(crate) by_app_id: bool,
    /// The credential is made discoverable.
    pub(crate) rk: bool,
    pub(crate) prf_secret: Option<SharedSecret>,
    pub(crate) prf_input: Option<make_credential::HmacSecretInput>,
    pub(crate) assertions: Vec<ctap::get_assertion::Response>,
    pub(crate) assertions_wanted: usize,
}

impl Session {
    pub(crate) fn new(key: KeyId, request: Arc<Request>, policy: HostPolicy) -> Self {
        let (user_verification, resident_key, list, prf) = match &*request {
            Request::Create(create) => (
                create.user_verification,
                create.resident_key,
                &create.exclude,
                create.wants_prf(),
            ),
            Request::Get(get) => (
                get.user_verification,
                webauthn::options::ResidentKeyRequirement::Discouraged,
                &get.allow,
                get.wants_prf(),
            ),
        };
        let facts = Facts {
            ceremony: request.kind(),
            user_verification,
            resident_key,
            // Whether it matches is seen only later; the decision seldom depends on it.
            list: if list.is_empty() {
                CredentialList::Empty
            } else {
                CredentialList::Match
            },
            prf,
            key: KeyFacts::u2f_only(),
            policy,
        };
        let list = list.clone();
        Self {
            key,
            request,
            wait: Wait::Nothing,
            info: None,
            facts,
            decided: None,
            token: None,
            retries: None,
            ask_again: 0,
            up_seen: false,
            uv_option: false,
            built_in_used: false,
            built_in_tries: 0,
            escalated: false,
            retried: false,
            rounds: 0,
            list,
            pre_flown: false,
            by_app_id: false,
            rk: false,
            prf_secret: None,
            prf_input: None,
            assertions: Vec::new(),
            assertions_wanted: 0,
        }
    }

    pub(crate) fn begin(
        &mut self,
        host: &mut Ceremony,
        info: Option<get_info::Response>,
        rng: &mut dyn CryptoRng,
    ) {
        match info {
            Some(info) => self.on_info(host, info, rng),
            None => self.send(host, Command::GetInfo, &[], Wait::Info),
        }
    }

    /// Whether the person is asked for the PIN that the key has.
    pub(crate) fn is_typing_pin(&self) -> bool {
        matches!(self.wait, Wait::User(Dialog::EnterPin))
    }

    pub(crate) fn send(
        &mut self,
        host: &mut Ceremony,
        command: Command,
        parameters: &[u8],
        wait: Wait,
    ) {
        self.up_seen = false;
        self.wait = wait;
        host.send_to(self.key, request_bytes(command, parameters));
    }

    /// The answer of the key to whatever was sent last.
    pub(crate) fn on_reply(&mut self, host: &mut Ceremony, bytes: &[u8], rng: &mut dyn CryptoRng) {
        let wait = std::mem::replace(&mut self.wait, Wait::Nothing);
        if let Wait::U2f(state) = wait {
            return self.on_u2f(host, state, bytes, rng);
        }
        let Some((status, body)) = split_response(bytes) else {
            return host.fail(bad_reply("it is empty"));
        };
        match wait {
            // An answer that nobody waits for.
            Wait::Nothing | Wait::U2f(_) => {}
            Wait::User(dialog) => self.wait = Wait::User(dialog),
            Wait::Info => match status {
                Status::OK => match get_info::Response::decode(body) {
                    Ok(info) => self.on_info(host, info, rng),
                    Err(_) => host.fail(bad_reply("getInfo is malformed")),
                },
                // A key that does not know CTAP2 at all.
                Status::INVALID_COMMAND => self.decide(host, rng),
                status => self.key_refused(host, status),
            },
            Wait::PinRetries(after) => self.on_pin_retries(host, after, status, body, rng),
            Wait::Touch(after) => self.on_touch(host, after, status, rng),
            Wait::KeyAgreement(agreement) => {
                self.on_key_agreement(host, agreement, status, body, rng);
            }
            Wait::SetPin(pin) => self.on_pin_set(host, pin, status, rng),
            Wait::ChangePin { old, new } => self.on_pin_changed(host, old, new, status, rng),
            Wait::Token { secret, pin } => self.on_token(host, &secret, pin, (status, body), rng),
            Wait::Enrol(state) => self.on_enrol(host, state, status, body, rng),
            Wait::PreFlight(state) => self.on_pre_flight(host, state, status, body, rng),
            Wait::Main => self.on_main(host, status, body, rng),
            Wait::Faulty => self.on_faulty(host, status, rng),
            Wait::Next => self.on_next(host, status, body),
            Wait::Blobs(blobs) => self.on_blobs(host, blobs, (status, body), rng),
        }
    }

    fn on_info(&mut self, host: &mut Ceremony, info: get_info::Response, rng: &mut dyn CryptoRng) {
        self.facts.key = KeyFacts::from_info(&info);
        self.facts = self.facts.as_seen_by(&host.platform);
        if let Some(longest) = info.max_credential_id_length {
            // CTAP 2.3 §6.4: a longer ID cannot be of this key.
            self.list
                .retain(|credential| credential.id.len() as u64 <= longest);
        }
        self.info = Some(Box::new(info));
        self.raise_for_blob(host);
        if self.wants_app_id() {
            return self.start_pre_flight(host, PreFlight::app_id(), rng);
        }
        self.look_or_decide(host, rng);
    }

    /// Some platforms try the list before they decide anything.
    pub(crate) fn look_or_decide(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        let rule = host.platform.rules.exclude_list_no_match.value;
        let looks_first = rule == ExcludeListNoMatch::Hang
            && self.facts.ceremony == uv::Ceremony::Create
            && self.facts.list != CredentialList::Empty;
        if looks_first {
            return self.start_pre_flight(host, PreFlight::first_look(), rng);
        }
        self.decide(host, rng);
    }

    /// Decides; asks for the number of PIN tries left first, where the decision depends on it.
    pub(crate) fn decide(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        let open = disposition(&self.facts, &host.platform);
        let mut blocked = self.facts;
        blocked.key.pin_blocked = true;
        let has_pin = self.facts.key.client_pin == Some(true);
        let looks = host.platform.rules.pin_blocked.value != PinBlocked::Ask;
        let matters = || disposition(&blocked, &host.platform).action != open.action;
        if has_pin && looks && self.retries.is_none() && matters() {
            return self.ask_pin_retries(host, AfterRetries::Decide);
        }
        self.act_on(host, open, rng);
    }

    /// Begins to do what was decided.
    pub(crate) fn act_on(
        &mut self,
        host: &mut Ceremony,
        decided: Disposition,
        rng: &mut dyn CryptoRng,
    ) {
        let before_token = self.facts.key.ctap2
            && host.platform.rules.pre_flight.value == rules::PreFlight::BeforeToken;
        let get = self.facts.ceremony == uv::Ceremony::Get;
        let action = decided.action;
        self.rk = decided.discoverable && !get;
        let told = host.reasons.iter().any(|reason| reason.who == Party::Site);
        for reason in &decided.reasons {
            // A second decision repeats what the first one said, and the site asked only once.
            let again = host.reasons.contains(reason) || (told && reason.who == Party::Site);
            if !again {
                host.reasons.push(reason.clone());
            }
        }
        self.decided = Some(decided);
        if let Request::Create(create) = &*self.request.clone()
            && self.facts.key.ctap2
            && self.cannot_protect(create)
        {
            let failure = Failure::not_allowed(FailureReason::CannotProtect);
            return self.ask_touch(host, AfterTouch::Fail(failure));
        }
        if let Request::Create(create) = &*self.request.clone()
            && self.cannot_keep_blob(create, action)
        {
            let failure = Failure::not_allowed(FailureReason::NoLargeBlob);
            return self.ask_touch(host, AfterTouch::Fail(failure));
        }
        if before_token && get && self.facts.list != CredentialList::Empty && !self.pre_flown {
            return self.start_pre_flight(host, PreFlight::before_token(), rng);
        }
        match action {
            Action::NotRequired | Action::KeyVerifies => self.proceed(host, rng),
            Action::U2f => self.start_u2f(host, rng),
            Action::ByBuiltInUv { .. } => self.start_built_in(host, rng),
            Action::ByPin {
                entry, touch_first, ..
            } => {
                self.ask_again = if entry == PinEntry::ChangeThenEnterTwice {
                    2
                } else {
                    0
                };
                let next = AfterTouch::EnterPin(entry);
                self.maybe_touch(host, touch_first, next, rng);
            }
            Action::ProvisionPin {
                optional,
                touch_first,
                asked_again,
                ..
            } => {
                self.ask_again = u8::from(asked_again);
                self.maybe_touch(host, touch_first, AfterTouch::CreatePin { optional }, rng);
            }
            Action::Unsatisfiable { why, touch_first } => {
                let failure = self.unsatisfiable(host, why);
                self.maybe_touch(host, touch_first, AfterTouch::Fail(failure), rng);
            }
            Action::Quirk(Quirk::HangAfterTouch) => self.send_empty_param(host),
            Action::Quirk(_) => self.loop_again(host, rng),
            Action::Unknown { .. } => {
                host.end(
                    Ended::Unknown,
                    Failure::not_allowed(FailureReason::NotKnown),
                );
            }
        }
    }

    /// What the person answered.
    pub(crate) fn on_user(
        &mut self,
        host: &mut Ceremony,
        input: UserInput,
        rng: &mut dyn CryptoRng,
    ) {
        match std::mem::replace(&mut self.wait, Wait::Nothing) {
            Wait::User(dialog) => self.on_dialog(host, dialog, input, rng),
            Wait::Enrol(state) if input == UserInput::NotNow => self.skip_enrol(host, state),
            wait => self.wait = wait,
        }
    }

    /// Verification is settled: what remains before the request itself.
    pub(crate) fn proceed(&mut self, host: &mut Ceremony, rng: &mut dyn CryptoRng) {
        if self.wants_enrol() {
            return self.start_enrol(host);
        }
        // What is left of an allow list must not be sent empty: that would ask for any credential.
        let named =
            self.facts.ceremony == uv::Ceremony::Get && self.facts.list != CredentialList::Empty;
        if named && self.list.is_empty() {
            return self.no_credentials(host, rng);
        }
        if self.wants_pre_flight() {
            return self.start_pre_flight(host, PreFlight::with_token(), rng);
        }
        if self.wants_prf_agreement() {
            return self.ask_key_agreement(host, Agreement::Prf);
        }
        self.send_main(host);
    }

    /// The request itself.
    pub(crate) fn send_main(&mut self, host: &mut Ceremony) {
        let (command, bytes, purpose) = match &*self.request.clone() {
            Request::Create(create) => (
                Command::MakeCredential,
                self.make_credential(host, create).encode(),
                TouchPurpose::Register,
            ),
            Request::Get(get) => (
                Command::GetAssertion,
                self.get_assertion(get).encode(),
                TouchPurpose::SignIn,
            ),
        };
        if self.uv_option {
            self.show_fingerprint(host, false);
        } else {
            self.show_touch(host, purpose);
        }
        self.send(host, command, &bytes, Wait::Main);
    }

    fn on_main(
        &mut self,
        host: &mut Ceremony,
        status: Status,
        body: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        if status == Status::OK {
            return match &*self.request.clone() {
                Request::Create(create) => self.on_credential(host, create, body),
                Request::Get(get) => self.on_assertion(host, get, body),
            };
        }
        self.on_main_refused(host, status, rng);
    }

    pub(crate) fn show_fingerprint(&self, host: &mut Ceremony, previous_wrong: bool) {
        host.show(Prompt::Fingerprint {
            retries: None,
            previous_wrong,
            rp_id: self.request.rp_id().to_owned(),
        });
    }

    /// The permissions that the token needs: mc and ga in `create()` (ga for the pre-flight), ga in
    /// `get()`, be for enrolling.
    pub(crate) fn permissions(&self) -> Permissions {
        match self.facts.ceremony {
            uv::Ceremony::Get if self.writes_array() => {
                Permissions::GET_ASSERTION | Permissions::LARGE_BLOB_WRITE
            }
            uv::Ceremony::Get => Permissions::GET_ASSERTION,
            uv::Ceremony::Create => {
                let both = Permissions::MAKE_CREDENTIAL | Permissions::GET_ASSERTION;
                if self.will_enrol() {
                    both | Permissions::BIO_ENROLLMENT
                } else {
                    both
                }
            }
        }
    }

    /// Protocol two where the key lists it (CTAP 2.3 §6.5.4 prefers the first listed that is known;
    /// two is the better one, and every key that has it lists it).
    pub(crate) fn protocol(&self) -> PinUvAuthProtocol {
        let listed = self
            .info
            .as_ref()
            .and_then(|info| info.pin_uv_auth_protocols.as_deref());
        let two = PinUvAuthProtocol::Two.number();
        match listed {
            Some(listed) if listed.contains(&u64::from(two)) => PinUvAuthProtocol::Two,
            _ => PinUvAuthProtocol::One,
        }
    }

    /// What the key demands of a new PIN.
    pub(crate) fn pin_policy(&self) -> PinPolicy {
        self.info
            .as_deref()
            .map_or_else(PinPolicy::default, crate::manage::pin_policy)
    }
}

pub(crate) fn bad_reply(what: &'static str) -> Failure {
    Failure::new(
        DomExceptionName::UnknownError,
        FailureReason::BadReply(what),
    )
}

/// How long to wait before a U2F key is asked again for its touch.
pub(crate) const U2F_POLL: Duration = Duration::from_millis(200);
