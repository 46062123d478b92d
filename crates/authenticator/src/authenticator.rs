//! CTAP 2.3 §6: the key as a whole. Commands come in, answers or requests for a person go out.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use ctap::client_pin::Permissions;
use ctap::pin_protocol::{KeyAgreementKey, PinUvAuthProtocol};
use ctap::{Command, Status};
use rand_core::CryptoRng;

use crate::bio_enrollment::{Enrollment, Sample};
use crate::certificate::{Attester, Subject};
use crate::client_pin::TokenRequest;
use crate::credential::CredentialSource;
use crate::crypto::{CryptoError, SigningKey};
use crate::large_blobs::Fragments;
use crate::presence::{self, Interaction, Purpose, UserEvent, UserPresent};
use crate::profile::{Members, Profile, ProfileError};
use crate::state::{Change, State};
use crate::store::Store;
use crate::token::PinUvAuthToken;
use crate::u2f::U2fTouch;
use crate::{credential_management, get_assertion, make_credential};

/// A logical channel: CTAPHID's channel, or one number per other wire. Continuations and waits
/// belong to the channel that began them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Channel(pub u32);

/// What the key needs from outside for one step.
pub struct Env<'a> {
    /// The time, since any moment that the caller keeps to.
    pub now: Duration,
    /// Random bytes.
    pub rng: &'a mut dyn CryptoRng,
    /// Durable storage.
    pub store: &'a mut dyn Store,
}

/// What comes of a request or of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The answer: status byte, then CBOR.
    Reply(Vec<u8>),
    /// The key waits for the person; call [`Authenticator::user`] with what they do.
    Waiting(Interaction),
    /// Nothing was waiting on this channel, so there is nothing to send.
    Idle,
}

/// How far a command got.
pub(crate) enum Step {
    /// Done: the CBOR of the answer.
    Reply(Vec<u8>),
    /// It needs the person.
    Wait(Pending, Interaction),
}

/// How a command ends: a step, or the status that says why not.
pub(crate) type Handled = Result<Step, Status>;

/// A command that waits for the person.
pub(crate) enum Pending {
    /// §6.1.2 and §6.2.2 step 1: answer with this status.
    Select(Status),
    MakeCredential(Box<make_credential::Prepared>),
    GetAssertion(Box<get_assertion::Prepared>),
    Token(Box<TokenRequest>),
    /// A sample for an enrolment.
    Sample(Box<Sample>),
    Reset,
    Selection,
}

/// What a "get next" command goes on with.
pub(crate) enum Continuation {
    Assertions(Box<get_assertion::Remaining>),
    Management(credential_management::Remaining),
    Enrollment(Enrollment),
    LargeBlobs(Fragments),
}

struct Waiting {
    channel: Channel,
    interaction: Interaction,
    command: Pending,
}

/// How many loaded private keys are kept; loading one costs as much as a signature.
const LOADED_KEYS: usize = 256;

/// The security key.
///
/// ```
/// # use core::time::Duration;
/// # use authenticator::{Authenticator, Channel, Env, MemoryStore, Progress, State, profile};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha20Rng::seed_from_u64(1);
/// let profile = profile::find("fido-2.1").unwrap().unwrap();
/// let state = State::fresh(&mut rng);
/// let mut store = MemoryStore::new(&state);
/// let mut key = Authenticator::new(profile, state, Duration::ZERO, &mut rng).unwrap();
/// let mut env = Env { now: Duration::ZERO, rng: &mut rng, store: &mut store };
/// // authenticatorGetInfo
/// let Progress::Reply(answer) = key.handle(Channel(1), &[0x04], &mut env) else { panic!() };
/// assert_eq!(answer[0], 0x00);
/// ```
pub struct Authenticator {
    pub(crate) profile: Profile,
    pub(crate) state: State,
    pub(crate) attester: Arc<Attester>,
    pub(crate) power_up: Duration,
    pub(crate) token: Option<PinUvAuthToken>,
    /// Wrong PINs in a row since power-up (§6.5.5.7: three end it until a power cycle).
    pub(crate) mismatches: u8,
    pub(crate) u2f_touch: Option<U2fTouch>,
    /// The wire that the key hangs on, if it was told.
    pub(crate) transport: Option<String>,
    key_agreement: [Option<KeyAgreementKey>; 2],
    continuation: Option<(Channel, Continuation)>,
    waiting: Option<Waiting>,
    loaded_keys: HashMap<Vec<u8>, Arc<SigningKey>>,
}

impl Authenticator {
    /// A key that is powered up now.
    ///
    /// # Errors
    /// [`ProfileError`], if no attestation key can be made for the profile.
    pub fn new(
        profile: Profile,
        state: State,
        now: Duration,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, ProfileError> {
        let subject = Subject {
            batch: profile.attestation.batch.clone(),
            aaguid: profile.aaguid.0,
            serial: None,
        };
        let attester = Attester::new(subject).map_err(|CryptoError| ProfileError::Impossible {
            profile: profile.id.clone(),
            why: "no attestation key can be derived".to_owned(),
        })?;
        let mut key = Self {
            profile,
            state,
            attester: Arc::new(attester),
            power_up: now,
            token: None,
            mismatches: 0,
            u2f_touch: None,
            transport: None,
            key_agreement: [None, None],
            continuation: None,
            waiting: None,
            loaded_keys: HashMap::new(),
        };
        key.power_cycle(now, rng);
        Ok(key)
    }

    /// A second key in the same condition, as simulations want it: durable state, time of power-up and
    /// the count of wrong PINs in a row are the same. Tokens, waiting commands and continuations are
    /// not shared, and key agreement starts anew.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            profile: self.profile.clone(),
            state: self.state.clone(),
            // Deriving the batch's key and certificate costs more than a ceremony.
            attester: Arc::clone(&self.attester),
            power_up: self.power_up,
            token: None,
            mismatches: self.mismatches,
            u2f_touch: None,
            transport: self.transport.clone(),
            key_agreement: [None, None],
            continuation: None,
            waiting: None,
            loaded_keys: self.loaded_keys.clone(),
        }
    }

    /// Takes power away and gives it back: everything that is not durable is gone, a waiting command
    /// with it.
    ///
    /// After a [`StoreError`](crate::StoreError) the durable state is not known to the key: build a
    /// new one from what the store holds instead.
    pub fn power_cycle(&mut self, now: Duration, _rng: &mut dyn CryptoRng) {
        self.power_up = now;
        self.token = None;
        self.mismatches = 0;
        self.u2f_touch = None;
        // §6.5.5.1: a fresh key-agreement key at power-up. It is made when it is first asked for.
        self.key_agreement = [None, None];
        self.continuation = None;
        self.waiting = None;
        self.loaded_keys.clear();
    }

    /// Tells the key which wire it hangs on, by its WebAuthn name ("usb", "nfc" ...): a profile can
    /// have wires over which it cannot be reset (`transportsForReset`).
    pub fn connect(&mut self, transport: &str) {
        self.transport = Some(transport.to_owned());
    }

    /// What the key is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the key knows durably.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the key waits for.
    pub fn waiting(&self) -> Option<&Interaction> {
        self.waiting
            .as_ref()
            .map(|waiting| &waiting.interaction)
            .or_else(|| {
                self.u2f_touch
                    .as_ref()
                    .filter(|touch| !touch.is_touched())
                    .map(U2fTouch::interaction)
            })
    }

    /// Handles a request: command byte and CBOR.
    ///
    /// A request on the channel of a waiting command abandons that one; on another channel it is
    /// answered with `CHANNEL_BUSY`.
    pub fn handle(&mut self, channel: Channel, request: &[u8], env: &mut Env<'_>) -> Progress {
        if self
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.channel != channel)
        {
            return reply(Err(Status::CHANNEL_BUSY));
        }
        self.waiting = None;
        self.observe_timers(env.now);
        let step = self.dispatch(channel, request, env);
        self.settle(channel, step)
    }

    /// Tells the key what the person does, for the command that waits on this channel.
    pub fn user(&mut self, channel: Channel, event: UserEvent, env: &mut Env<'_>) -> Progress {
        self.observe_timers(env.now);
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.channel == channel) else {
            self.user_of_u2f(event, env.now);
            return Progress::Idle;
        };
        // Too late is too late, even if the timeout was not reported.
        let event = match event {
            UserEvent::Touch | UserEvent::LongTouch | UserEvent::Finger(_) | UserEvent::Deny
                if env.now >= waiting.interaction.deadline() =>
            {
                UserEvent::Timeout
            }
            event => event,
        };
        let step = match (event, waiting.interaction) {
            (UserEvent::Cancel, _) => Err(Status::KEEPALIVE_CANCEL),
            (UserEvent::Deny, _) => Err(Status::OPERATION_DENIED),
            (UserEvent::Timeout, interaction) => match waiting.command {
                Pending::Sample(sample) => self.sampled(*sample, None, channel, env),
                command => Err(timeout_status(&command, &interaction)),
            },
            (
                UserEvent::Finger(finger),
                Interaction::BuiltInUv {
                    purpose,
                    attempts_left,
                    deadline,
                },
            ) => self.finger(
                waiting.command,
                finger,
                (purpose, attempts_left, deadline),
                channel,
                env,
            ),
            // A touch is no finger to compare, and a short touch is no long one.
            (
                UserEvent::Touch | UserEvent::LongTouch,
                interaction @ Interaction::BuiltInUv { .. },
            )
            | (
                UserEvent::Touch | UserEvent::Finger(_),
                interaction @ Interaction::Touch {
                    purpose: Purpose::ResetByLongTouch,
                    ..
                },
            ) => Ok(Step::Wait(waiting.command, interaction)),
            (
                UserEvent::Touch | UserEvent::LongTouch | UserEvent::Finger(_),
                Interaction::Touch { .. },
            ) => match presence::touch(event) {
                Some(present) => self.touched(waiting.command, present, channel, env),
                None => Err(Status::OPERATION_DENIED),
            },
        };
        self.settle(channel, step)
    }

    fn settle(&mut self, channel: Channel, step: Handled) -> Progress {
        match step {
            Ok(Step::Wait(command, interaction)) => {
                self.waiting = Some(Waiting {
                    channel,
                    interaction: interaction.clone(),
                    command,
                });
                Progress::Waiting(interaction)
            }
            Ok(Step::Reply(members)) => reply(Ok(&members)),
            Err(status) => reply(Err(status)),
        }
    }

    fn dispatch(&mut self, channel: Channel, request: &[u8], env: &mut Env<'_>) -> Handled {
        let (command, parameters) = ctap::split_request(request)?;
        if !self.profile.ctap2 {
            return Err(Status::INVALID_COMMAND);
        }
        if request.len() > self.profile.max_msg_size {
            return Err(Status::REQUEST_TOO_LARGE);
        }
        // A command that does not go on with what was begun ends it; on another channel it cannot
        // go on with it, but does not end it either.
        let continuation = self
            .continuation
            .take_if(|(owner, _)| *owner == channel)
            .map(|(_, rest)| rest);
        match command {
            Command::MakeCredential => self.make_credential(parameters, env),
            Command::GetAssertion => self.get_assertion(parameters, channel, env),
            Command::GetNextAssertion => self.get_next_assertion(continuation, channel, env),
            Command::GetInfo => Ok(Step::Reply(self.get_info(env))),
            Command::ClientPin => self.client_pin(parameters, env),
            Command::Reset => self.reset(env),
            // Keys before 2.1 select by an empty pinUvAuthParam.
            Command::Selection if self.profile.members >= Members::V21 => self.selection(env),
            Command::Config => self.config(parameters, env),
            Command::CredentialManagement if self.profile.options.cred_mgmt => {
                self.credential_management(parameters, continuation, channel, env)
            }
            Command::CredentialManagementPreview
                if self.profile.options.credential_mgmt_preview =>
            {
                self.credential_management(parameters, continuation, channel, env)
            }
            Command::BioEnrollment if self.profile.options.bio_enroll => {
                self.bio_enrollment(parameters, continuation, channel, env)
            }
            Command::BioEnrollmentPreview
                if self.profile.options.user_verification_mgmt_preview =>
            {
                self.bio_enrollment(parameters, continuation, channel, env)
            }
            Command::LargeBlobs if self.profile.options.large_blobs => {
                self.large_blobs(parameters, continuation, channel, env)
            }
            _ => Err(Status::INVALID_COMMAND),
        }
    }

    /// A touch came for a waiting command.
    fn touched(
        &mut self,
        command: Pending,
        present: UserPresent,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        match command {
            Pending::Select(status) => Err(status),
            Pending::MakeCredential(prepared) => {
                self.make_credential_touched(*prepared, present, env)
            }
            Pending::GetAssertion(prepared) => {
                self.get_assertion_touched(*prepared, present, channel, env)
            }
            Pending::Reset => self.reset_touched(env),
            // A token is never given for a touch alone, and a touch is no sample.
            Pending::Token(_) | Pending::Sample(_) => Err(Status::OPERATION_DENIED),
            Pending::Selection => Ok(Step::Reply(Vec::new())),
        }
    }

    /// Waits for a touch.
    pub(crate) fn wait_for_touch(
        &self,
        command: Pending,
        purpose: Purpose,
        now: Duration,
    ) -> Handled {
        let deadline = now + self.profile.touch_timeout();
        Ok(Step::Wait(
            command,
            Interaction::Touch { purpose, deadline },
        ))
    }

    /// §6.9 authenticatorSelection.
    fn selection(&mut self, env: &Env<'_>) -> Handled {
        self.wait_for_touch(Pending::Selection, Purpose::Selection, env.now)
    }

    fn observe_timers(&mut self, now: Duration) {
        if self
            .token
            .as_mut()
            .is_some_and(|token| !token.pin_uv_auth_token_usage_timer_observer(now))
        {
            self.token = None;
        }
        self.u2f_touch.take_if(|touch| touch.is_over(now));
    }

    /// Makes changes durable, then makes them in memory.
    pub(crate) fn commit(&mut self, env: &mut Env<'_>, changes: &[Change]) -> Result<(), Status> {
        env.store.commit(changes).map_err(|_| Status::OTHER)?;
        changes.iter().for_each(|change| self.state.apply(change));
        Ok(())
    }

    pub(crate) fn begin_continuation(&mut self, channel: Channel, continuation: Continuation) {
        self.continuation = Some((channel, continuation));
    }

    /// Ends everything that is tied to credentials that are gone.
    pub(crate) fn forget_volatile(&mut self) {
        self.token = None;
        self.mismatches = 0;
        self.continuation = None;
        self.key_agreement = [None, None];
        self.loaded_keys.clear();
    }

    /// A PIN/UV auth protocol that the key has, by its number.
    pub(crate) fn protocol(&self, number: Option<u64>) -> Result<PinUvAuthProtocol, Status> {
        let number = number.ok_or(Status::MISSING_PARAMETER)?;
        PinUvAuthProtocol::from_number(number)
            .filter(|protocol| self.profile.pin.protocols.contains(&protocol.number()))
            .ok_or(Status::INVALID_PARAMETER)
    }

    /// The key-agreement key of a protocol.
    pub(crate) fn key_agreement(
        &mut self,
        protocol: PinUvAuthProtocol,
        rng: &mut dyn CryptoRng,
    ) -> Result<&KeyAgreementKey, Status> {
        let slot = &mut self.key_agreement[usize::from(protocol == PinUvAuthProtocol::Two)];
        match slot {
            Some(key) => Ok(key),
            None => Ok(slot.insert(KeyAgreementKey::generate(rng)?)),
        }
    }

    /// `regenerate()` of a protocol.
    pub(crate) fn regenerate(&mut self, protocol: PinUvAuthProtocol) {
        self.key_agreement[usize::from(protocol == PinUvAuthProtocol::Two)] = None;
    }

    /// Verifies a `pinUvAuthParam` and that its token has the permission; the RP ID is left to the
    /// caller.
    pub(crate) fn verify_token(
        &mut self,
        protocol: PinUvAuthProtocol,
        message: &[u8],
        param: &[u8],
        permission: Permissions,
    ) -> Result<&mut PinUvAuthToken, Status> {
        let token = self.token.as_mut().ok_or(Status::PIN_AUTH_INVALID)?;
        if token.verify(protocol, message, param) && token.has_permission(permission) {
            Ok(token)
        } else {
            Err(Status::PIN_AUTH_INVALID)
        }
    }

    /// The private key of a credential, loaded.
    pub(crate) fn signing_key(
        &mut self,
        source: &CredentialSource,
    ) -> Result<Arc<SigningKey>, Status> {
        if let Some(key) = self.loaded_keys.get(&source.id) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(SigningKey::load(&source.key).map_err(|CryptoError| Status::OTHER)?);
        self.keep_loaded(source.id.clone(), Arc::clone(&key));
        Ok(key)
    }

    pub(crate) fn keep_loaded(&mut self, id: Vec<u8>, key: Arc<SigningKey>) {
        if self.loaded_keys.len() >= LOADED_KEYS {
            self.loaded_keys.clear();
        }
        self.loaded_keys.insert(id, key);
    }

    pub(crate) fn forget_loaded(&mut self, id: &[u8]) {
        self.loaded_keys.remove(id);
    }
}

impl core::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Authenticator({}, waiting: {:?}, ..)",
            self.profile.id,
            self.waiting()
        )
    }
}

/// The status when nobody came in time. The text says `OPERATION_DENIED` for makeCredential (§6.1.2
/// step 14), getAssertion (§6.2.2 step 9) and the old touch to select; `USER_ACTION_TIMEOUT` for
/// reset (§6.6), selection (§6.9) and built-in user verification.
fn timeout_status(command: &Pending, interaction: &Interaction) -> Status {
    match (command, interaction) {
        // §6.1.2 step 12.1.4: excluded, whether a touch came or not.
        (Pending::MakeCredential(prepared), _) if prepared.is_excluded() => {
            Status::CREDENTIAL_EXCLUDED
        }
        (Pending::Reset | Pending::Selection | Pending::Token(_) | Pending::Sample(_), _)
        | (_, Interaction::BuiltInUv { .. }) => Status::USER_ACTION_TIMEOUT,
        (Pending::MakeCredential(_) | Pending::GetAssertion(_) | Pending::Select(_), _) => {
            Status::OPERATION_DENIED
        }
    }
}

fn reply(result: Result<&[u8], Status>) -> Progress {
    Progress::Reply(match result {
        Ok(members) => ctap::response_bytes(Status::OK, members),
        Err(status) => ctap::response_bytes(status, &[]),
    })
}
