//! WebAuthn L3 §5.1.3 `[[Create]]` and §5.1.4 `[[DiscoverFromExternalSource]]`: one ceremony as a
//! state machine.
//!
//! A program feeds [`Event`]s in and carries [`Output`]s out; time and randomness are arguments.
//! After [`Output::Done`] nothing more comes out.

use core::time::Duration;
use std::sync::Arc;

use ctap::get_info;
use rand_core::CryptoRng;
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
    UserVerificationRequirement,
};
use webauthn::origin::Origin;

use crate::create::CreateRequest;
use crate::get::GetRequest;
use crate::outcome::{Credential, Failure, FailureReason, Outcome};
use crate::pin::Pin;
use crate::policy::HostPolicy;
use crate::profile::PlatformProfile;
use crate::prompt::{Prompt, UserInput};
use crate::related::{self, Options, Unrelated};
use crate::report::{DomExceptionName, Ended, Party, Reason, Report, Step};
use crate::rules::ProvisionCancelled;
use crate::select::Selection;
use crate::session::Session;
use crate::uv::Ceremony as Kind;

/// A key, as the program names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// The page that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its origin.
    pub origin: Origin,
    /// The origin of the top-level page, if this one is in a frame of another.
    pub top_origin: Option<Origin>,
}

impl Caller {
    /// A page that is not in a frame.
    pub fn top_level(origin: Origin) -> Self {
        Self {
            origin,
            top_origin: None,
        }
    }

    /// The top origin, if it is another one.
    pub(crate) fn cross_top(&self) -> Option<&Origin> {
        self.top_origin.as_ref().filter(|top| **top != self.origin)
    }
}

/// What happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The key answered the last [`Output::Send`] (status byte, then CBOR) or
    /// [`Output::SendU2f`] (response APDU).
    Reply {
        /// Which key.
        key: KeyId,
        /// Its answer.
        bytes: Vec<u8>,
    },
    /// The key is still busy: 1 processing, 2 waiting for a touch (CTAPHID_KEEPALIVE).
    KeepAlive {
        /// Which key.
        key: KeyId,
        /// 1 or 2.
        status: u8,
    },
    /// A key was plugged in.
    KeyAdded(KeyId),
    /// A key was taken out.
    KeyRemoved(KeyId),
    /// The person answered a prompt.
    User(UserInput),
    /// Time passed; see [`Ceremony::wake_at`].
    Tick,
    /// The document at the address of [`Output::RelatedOrigins`]; none if it cannot be had.
    RelatedOrigins(Option<Vec<u8>>),
    /// The page aborted (its `AbortSignal`).
    Abort,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a CTAP2 request: command byte, then CBOR.
    Send {
        /// To which key.
        key: KeyId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Send a CTAP1/U2F request APDU.
    SendU2f {
        /// To which key.
        key: KeyId,
        /// The bytes.
        apdu: Vec<u8>,
    },
    /// Tell the key that nobody waits for its answer any more (CTAPHID_CANCEL).
    CancelKey(KeyId),
    /// Fetch this document (WebAuthn L3 §5.11.1: over https, without credentials and referrer) and
    /// answer with [`Event::RelatedOrigins`]. The page is not at or below the RP ID that it claims.
    RelatedOrigins {
        /// Its address.
        url: String,
    },
    /// Show this dialog in place of the last one.
    Prompt(Prompt),
    /// Take the dialog away.
    Dismiss,
    /// The ceremony has ended.
    Done(Box<Outcome>),
}

/// The checked request of either ceremony.
pub(crate) enum Request {
    Create(Box<CreateRequest>),
    Get(Box<GetRequest>),
}

impl Request {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Create(_) => Kind::Create,
            Self::Get(_) => Kind::Get,
        }
    }

    pub(crate) fn rp_id(&self) -> &str {
        match self {
            Self::Create(request) => &request.rp_id,
            Self::Get(request) => &request.rp_id,
        }
    }

    pub(crate) fn user_verification(&self) -> UserVerificationRequirement {
        match self {
            Self::Create(request) => request.user_verification,
            Self::Get(request) => request.user_verification,
        }
    }

    pub(crate) fn client_data_hash(&self) -> &[u8; 32] {
        match self {
            Self::Create(request) => &request.client_data_hash,
            Self::Get(request) => &request.client_data_hash,
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Self::Create(request) => request.timeout,
            Self::Get(request) => request.timeout,
        }
    }
}

/// One `create()` or `get()`.
///
/// ```
/// use core::time::Duration;
/// use client::{Caller, Ceremony, KeyId, Output, policy::HostPolicy};
/// use rand_chacha::rand_core::SeedableRng;
///
/// let options = serde_json::from_str(r#"{"challenge":"AAECAwQFBgcICQoLDA0ODw"}"#).unwrap();
/// let caller = Caller::top_level("https://example.org".parse().unwrap());
/// let platform = client::profile::find("pinward").unwrap();
/// let mut ceremony = Ceremony::get(options, caller, platform, HostPolicy::default());
/// let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// let out = ceremony.start(&[KeyId(0)], Duration::ZERO, &mut rng);
/// // The first thing is to ask the key what it can do.
/// assert_eq!(out, [Output::Send { key: KeyId(0), bytes: vec![0x04] }]);
/// ```
pub struct Ceremony {
    pub(crate) platform: Arc<PlatformProfile>,
    pub(crate) policy: HostPolicy,
    pub(crate) request: Result<Arc<Request>, Failure>,
    pub(crate) unrelated: Option<Box<Unrelated>>,
    pub(crate) now: Duration,
    deadline: Option<Duration>,
    /// When a U2F key is asked again.
    pub(crate) poll_at: Option<Duration>,
    keys: Vec<KeyId>,
    /// A key will be laid on a reader, and only for a moment.
    pub(crate) tap: bool,
    /// The PIN that was typed before the key was there.
    pub(crate) early_pin: Option<Pin>,
    pub(crate) selection: Option<Selection>,
    pub(crate) session: Option<Box<Session>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) reasons: Vec<Reason>,
    out: Vec<Output>,
    pub(crate) prompt: Option<Prompt>,
    done: bool,
}

impl Ceremony {
    /// Prepares `create()`. A request that breaks the rules is told in the first outputs.
    pub fn create(
        options: PublicKeyCredentialCreationOptionsJson,
        caller: Caller,
        platform: Arc<PlatformProfile>,
        policy: HostPolicy,
    ) -> Self {
        Self::new(Options::Create(options), caller, platform, policy)
    }

    /// Prepares `get()`. A request that breaks the rules is told in the first outputs.
    pub fn get(
        options: PublicKeyCredentialRequestOptionsJson,
        caller: Caller,
        platform: Arc<PlatformProfile>,
        policy: HostPolicy,
    ) -> Self {
        Self::new(Options::Get(options), caller, platform, policy)
    }

    fn new(
        options: Options,
        caller: Caller,
        platform: Arc<PlatformProfile>,
        policy: HostPolicy,
    ) -> Self {
        let (request, unrelated) = related::check(options, caller);
        Self {
            platform,
            policy,
            request,
            unrelated,
            now: Duration::ZERO,
            deadline: None,
            poll_at: None,
            keys: Vec::new(),
            tap: false,
            early_pin: None,
            selection: None,
            session: None,
            steps: Vec::new(),
            reasons: Vec::new(),
            out: Vec::new(),
            prompt: None,
            done: false,
        }
    }

    /// Starts with the keys that are plugged in.
    pub fn start(&mut self, keys: &[KeyId], now: Duration, rng: &mut dyn CryptoRng) -> Vec<Output> {
        self.now = now;
        self.keys = keys.to_vec();
        match &self.unrelated {
            Some(unrelated) => {
                self.deadline = Some(now + crate::policy::timeout(None));
                let url = unrelated.url.clone();
                self.out.push(Output::RelatedOrigins { url });
            }
            None => self.start_checked(rng),
        }
        self.drain()
    }

    pub(crate) fn start_checked(&mut self, rng: &mut dyn CryptoRng) {
        match &self.request {
            Err(failure) => {
                let failure = failure.clone();
                self.fail(failure);
            }
            Ok(request) => {
                self.deadline = Some(self.now + request.timeout());
                self.look_for_key(rng);
            }
        }
    }

    /// Takes in one event and says what is to be done.
    pub fn step(&mut self, event: Event, now: Duration, rng: &mut dyn CryptoRng) -> Vec<Output> {
        self.now = now;
        if self.done {
            return Vec::new();
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.stop(Failure::not_allowed(FailureReason::TimedOut));
            return self.drain();
        }
        match event {
            Event::Reply { key, bytes } => self.on_reply(key, &bytes, rng),
            Event::KeepAlive { key, status } => self.on_keep_alive(key, status),
            Event::KeyAdded(key) => self.on_key_added(key, rng),
            Event::KeyRemoved(key) => self.on_key_removed(key, rng),
            Event::User(UserInput::Cancel) => self.on_cancel(),
            Event::User(input) => self.on_user(input, rng),
            Event::Tick => self.on_poll(),
            Event::RelatedOrigins(document) => self.on_related_origins(document, rng),
            Event::Abort => self.stop(Failure::new(
                DomExceptionName::AbortError,
                FailureReason::Aborted,
            )),
        }
        self.drain()
    }

    /// When the next [`Event::Tick`] is due.
    pub fn wake_at(&self) -> Option<Duration> {
        match (self.deadline, self.poll_at) {
            _ if self.done => None,
            (Some(deadline), Some(poll)) => Some(deadline.min(poll)),
            (deadline, poll) => deadline.or(poll),
        }
    }

    /// The dialog that is shown now.
    pub fn prompt(&self) -> Option<&Prompt> {
        self.prompt.as_ref()
    }

    /// Whether the ceremony has ended.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The steps done so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The site, for prompts.
    pub(crate) fn rp_id(&self) -> String {
        self.request
            .as_ref()
            .map(|request| request.rp_id().to_owned())
            .unwrap_or_default()
    }

    fn drain(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    fn look_for_key(&mut self, rng: &mut dyn CryptoRng) {
        match self.keys.as_slice() {
            [] if self.wants_early_pin() => self.ask_early_pin(None),
            [] => self.show(Prompt::InsertKey),
            [key] => {
                let key = *key;
                self.begin(key, None, rng);
            }
            several => {
                let several = several.to_vec();
                self.select(&several);
            }
        }
    }

    fn on_key_added(&mut self, key: KeyId, rng: &mut dyn CryptoRng) {
        if self.keys.contains(&key) {
            return;
        }
        self.keys.push(key);
        if self.session.is_some() || self.unrelated.is_some() {
            return;
        }
        if self.selection.is_some() {
            self.select(&[key]);
        } else {
            self.look_for_key(rng);
        }
    }

    /// WebAuthn L3 §5.1.3: an authenticator that goes away is forgotten, and others may come.
    fn on_key_removed(&mut self, key: KeyId, rng: &mut dyn CryptoRng) {
        self.keys.retain(|other| *other != key);
        if let Some(selection) = &mut self.selection {
            selection.forget(key);
        }
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.key == key)
        {
            // Taken off the reader while the PIN is being typed: it is for the next tap.
            let typing = self.session.take().is_some_and(|s| s.is_typing_pin());
            self.poll_at = None;
            if !(typing && self.tap && self.keys.is_empty()) {
                self.look_for_key(rng);
            }
        } else if self.keys.is_empty() && self.unrelated.is_none() {
            self.look_for_key(rng);
        }
    }

    fn on_reply(&mut self, key: KeyId, bytes: &[u8], rng: &mut dyn CryptoRng) {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.key == key)
        {
            self.with_session(|session, host| session.on_reply(host, bytes, rng));
        } else if self.selection.is_some() {
            self.on_selection_reply(key, bytes, rng);
        }
    }

    fn on_user(&mut self, input: UserInput, rng: &mut dyn CryptoRng) {
        if self.tap && self.session.is_none() && self.selection.is_none() {
            return self.on_early_pin(&input);
        }
        self.with_session(|session, host| session.on_user(host, input, rng));
    }

    fn on_poll(&mut self) {
        if self.poll_at.is_some_and(|at| self.now >= at) {
            self.poll_at = None;
            if self.selection.is_some() {
                self.poll_candidates();
            }
            self.with_session(|session, host| session.poll_u2f(host));
        }
    }

    /// Starts with one key; `info` when it has told already what it can do.
    pub(crate) fn begin(
        &mut self,
        key: KeyId,
        info: Option<get_info::Response>,
        rng: &mut dyn CryptoRng,
    ) {
        let Ok(request) = &self.request else { return };
        self.selection = None;
        self.session = Some(Box::new(Session::new(key, request.clone(), self.policy)));
        self.with_session(|session, host| session.begin(host, info, rng));
    }

    /// Lends the session to itself: its steps need the ceremony too.
    fn with_session(&mut self, step: impl FnOnce(&mut Session, &mut Self)) {
        if let Some(mut session) = self.session.take() {
            step(&mut session, self);
            if !self.done {
                self.session = Some(session);
            }
        }
    }

    fn on_keep_alive(&mut self, key: KeyId, status: u8) {
        const UP_NEEDED: u8 = 2;
        if let Some(session) = self.session.as_mut().filter(|session| session.key == key) {
            session.up_seen |= status == UP_NEEDED;
        }
    }

    fn on_cancel(&mut self) {
        let rule = &self.platform.rules.provision_cancelled;
        let creating = matches!(
            self.prompt,
            Some(Prompt::CreatePin {
                optional: false,
                ..
            })
        );
        if creating && rule.value == ProvisionCancelled::Unknown {
            let reason =
                rule.reason("What follows when the create-PIN dialog is closed is not known.");
            self.reasons.push(reason);
            return self.end(
                Ended::Unknown,
                Failure::not_allowed(FailureReason::NotKnown),
            );
        }
        self.reasons.push(Reason::specified(
            Party::Person,
            "The person closed the dialog.",
            "WebAuthn L3 §5.1.3 and §5.1.4, \"user cancellation\"",
        ));
        self.stop(Failure::not_allowed(FailureReason::Cancelled));
    }

    /// Ends with a failure while keys may still be busy.
    fn stop(&mut self, failure: Failure) {
        let busy = self
            .session
            .as_ref()
            .filter(|session| session.wait.is_key())
            .map(|s| s.key);
        let selecting = self
            .selection
            .as_ref()
            .map(Selection::keys)
            .unwrap_or_default();
        for key in busy.into_iter().chain(selecting) {
            self.out.push(Output::CancelKey(key));
        }
        self.fail(failure);
    }

    /// Ends with a failure.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.end(Ended::Error, failure);
    }

    /// Ends without a credential.
    pub(crate) fn end(&mut self, ended: Ended, failure: Failure) {
        self.reasons.extend(failure.reason.reason());
        self.finish(Err(failure), None, ended);
    }

    /// Ends with the credential.
    pub(crate) fn succeed(&mut self, credential: Credential, user_verified: bool) {
        self.finish(Ok(credential), Some(user_verified), Ended::Ok);
    }

    fn finish(&mut self, result: Result<Credential, Failure>, uv: Option<bool>, ended: Ended) {
        if self.done {
            return;
        }
        self.dismiss();
        self.done = true;
        self.session = None;
        self.selection = None;
        let report = Report {
            steps: std::mem::take(&mut self.steps),
            reasons: std::mem::take(&mut self.reasons),
            uv,
            ended,
        };
        self.out
            .push(Output::Done(Box::new(Outcome { result, report })));
    }

    /// Shows a dialog in place of the last one. One that wants an answer is shown anew even if it
    /// looks the same: the answer to the last one has been taken.
    pub(crate) fn show(&mut self, prompt: Prompt) {
        if prompt.wants_answer() || self.prompt.as_ref() != Some(&prompt) {
            self.out.push(Output::Prompt(prompt.clone()));
            self.prompt = Some(prompt);
        }
    }

    /// Takes the dialog away.
    pub(crate) fn dismiss(&mut self) {
        if self.prompt.take().is_some() {
            self.out.push(Output::Dismiss);
        }
    }

    pub(crate) fn send_to(&mut self, key: KeyId, bytes: Vec<u8>) {
        self.out.push(Output::Send { key, bytes });
    }

    pub(crate) fn send_u2f_to(&mut self, key: KeyId, apdu: Vec<u8>) {
        self.out.push(Output::SendU2f { key, apdu });
    }

    pub(crate) fn cancel_key(&mut self, key: KeyId) {
        self.out.push(Output::CancelKey(key));
    }
}
