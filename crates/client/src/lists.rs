//! CTAP 2.3 §6.1.1 and §6.2.1 "pre-flight": trying credential lists on a key without a touch.
//!
//! Keys take lists of limited length, so long ones go in batches (`maxCredentialCountInList`). With
//! a token, credentials of credProtect level 3 are found too.

use ctap::entities::CredentialDescriptor;
use ctap::get_assertion::{Options, Request, Response};
use ctap::{Command, Status};
use rand_core::CryptoRng;

use crate::ceremony::{Ceremony, Request as Asked};
use crate::outcome::{Failure, FailureReason};
use crate::report::{DomExceptionName, Ended};
use crate::rules::NoMatch;
use crate::session::{AfterTouch, Session, Wait, bad_reply};
use crate::uv::{Ceremony as Kind, CredentialList};

/// Why the list is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// To know whether anything matches, before deciding.
    FirstLook,
    /// Under the AppID, where nothing is protected.
    AppId,
    /// Before there is a token (a habit of one platform).
    BeforeToken,
    /// With the token, if one was needed.
    WithToken,
}

/// How far the list has been tried.
#[derive(Debug)]
pub(crate) struct PreFlight {
    mode: Mode,
    /// The first credential that is not tried yet.
    next: usize,
    /// The first credential of the batch under way.
    from: usize,
}

impl PreFlight {
    pub(crate) fn first_look() -> Self {
        Self {
            mode: Mode::FirstLook,
            next: 0,
            from: 0,
        }
    }

    pub(crate) fn app_id() -> Self {
        Self {
            mode: Mode::AppId,
            next: 0,
            from: 0,
        }
    }

    pub(crate) fn before_token() -> Self {
        Self {
            mode: Mode::BeforeToken,
            next: 0,
            from: 0,
        }
    }

    pub(crate) fn with_token() -> Self {
        Self {
            mode: Mode::WithToken,
            next: 0,
            from: 0,
        }
    }
}

impl Session {
    /// A key that says nothing takes one credential at a time.
    fn batch(&self) -> usize {
        let most = self
            .info
            .as_ref()
            .and_then(|info| info.max_credential_count_in_list);
        usize::try_from(most.unwrap_or(1))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    /// Whether the list has to be narrowed before the request: it is too long for one, or the prf
    /// inputs depend on which credential it is.
    pub(crate) fn wants_pre_flight(&self) -> bool {
        let by_credential = match &*self.request {
            Asked::Get(get) => get.has_inputs_by_credential() && self.list.len() > 1,
            Asked::Create(_) => false,
        };
        !self.pre_flown && !self.uv_option && (self.list.len() > self.batch() || by_credential)
    }

    pub(crate) fn start_pre_flight(
        &mut self,
        host: &mut Ceremony,
        state: PreFlight,
        rng: &mut dyn CryptoRng,
    ) {
        self.next_batch(host, state, rng);
    }

    fn next_batch(&mut self, host: &mut Ceremony, mut state: PreFlight, rng: &mut dyn CryptoRng) {
        let end = state.next.saturating_add(self.batch()).min(self.list.len());
        let Some(batch) = self
            .list
            .get(state.next..end)
            .filter(|batch| !batch.is_empty())
        else {
            return self.pre_flight_done(host, state.mode, None, rng);
        };
        // Nothing is signed for anybody: the hash means nothing.
        let client_data_hash = [0; 32];
        let param = self
            .token
            .as_ref()
            .map(|token| token.protocol.authenticate(&token.value, &client_data_hash));
        let rp_id = match self.request.app_id() {
            Some(app_id) if state.mode == Mode::AppId => app_id,
            _ => self.rp_id(),
        };
        let request = Request {
            rp_id: rp_id.to_owned(),
            client_data_hash,
            allow_list: Some(batch.to_vec()),
            extensions: None,
            options: Some(Options {
                up: Some(false),
                ..Options::default()
            }),
            pin_uv_auth_protocol: self.token.as_ref().map(|t| t.protocol.number().into()),
            pin_uv_auth_param: param,
        };
        state.from = state.next;
        state.next = end;
        self.send(
            host,
            Command::GetAssertion,
            &request.encode(),
            Wait::PreFlight(state),
        );
    }

    pub(crate) fn on_pre_flight(
        &mut self,
        host: &mut Ceremony,
        state: PreFlight,
        status: Status,
        body: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        if status != Status::OK {
            return self.next_batch(host, state, rng);
        }
        let Ok(answer) = Response::decode(body) else {
            return host.fail(bad_reply("the answer to a pre-flight is malformed"));
        };
        let batch = self.list.get(state.from..state.next).unwrap_or_default();
        let found = match answer.credential {
            Some(credential) => batch.iter().find(|listed| listed.id == credential.id),
            // CTAP 2.0 keys may leave it out for a list of one.
            None if batch.len() == 1 => batch.first(),
            None => None,
        };
        match found.cloned() {
            Some(found) => self.pre_flight_done(host, state.mode, Some(found), rng),
            None => host.fail(bad_reply("it names a credential that was not asked for")),
        }
    }

    fn pre_flight_done(
        &mut self,
        host: &mut Ceremony,
        mode: Mode,
        found: Option<CredentialDescriptor>,
        rng: &mut dyn CryptoRng,
    ) {
        let matches = found.is_some();
        if mode == Mode::AppId {
            return self.app_id_tried(host, found, rng);
        }
        if mode == Mode::FirstLook {
            self.facts.list = if matches {
                CredentialList::Match
            } else {
                CredentialList::NoMatch
            };
            return self.decide(host, rng);
        }
        self.pre_flown = true;
        self.list = found.into_iter().collect();
        if self.facts.ceremony == Kind::Get && !matches {
            return self.no_credentials(host, rng);
        }
        match (mode, self.decided.clone()) {
            (Mode::BeforeToken, Some(decided)) => self.act_on(host, decided, rng),
            _ => self.proceed(host, rng),
        }
    }

    /// The list has been tried under the AppID.
    fn app_id_tried(
        &mut self,
        host: &mut Ceremony,
        found: Option<CredentialDescriptor>,
        rng: &mut dyn CryptoRng,
    ) {
        match (found, self.facts.ceremony) {
            (Some(_), Kind::Create) => {
                let name = DomExceptionName::InvalidStateError;
                let failure = Failure::new(name, FailureReason::Excluded);
                self.ask_touch(host, AfterTouch::Fail(failure));
            }
            (Some(found), Kind::Get) => {
                self.by_app_id = true;
                self.pre_flown = true;
                self.list = vec![found];
                self.look_or_decide(host, rng);
            }
            (None, _) => self.look_or_decide(host, rng),
        }
    }

    /// The key holds none of the allowed credentials, or does not show them.
    ///
    /// WebAuthn L3 §14.5.2: a page must not find that out without the person, hence the touch.
    pub(crate) fn no_credentials(&mut self, host: &mut Ceremony, _rng: &mut dyn CryptoRng) {
        let before = host.steps.len();
        self.note_main_touch(host, false);
        let touched = host.steps.len() > before || self.built_in_used;
        let failure = Failure::not_allowed(FailureReason::NoCredentials);
        match host.platform.rules.no_matching_credential.value {
            NoMatch::TouchThenFail if !touched => self.ask_touch(host, AfterTouch::Fail(failure)),
            NoMatch::TouchThenFail | NoMatch::Fail => host.fail(failure),
            NoMatch::Unknown => {
                host.end(
                    Ended::Unknown,
                    Failure::not_allowed(FailureReason::NotKnown),
                );
            }
        }
    }
}
