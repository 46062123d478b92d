//! One cell: a relying party's request, a platform, a key in a state, and a person; run, not looked
//! up.

use std::sync::Arc;

use authenticator::{Profile, ProfileError};
use client::policy::HostPolicy;
use client::profile::PlatformProfile;
use client::report::Report;
use client::rules::Protocol;
use client::{Caller, Credential, Failure, Outcome};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rp::authentication::{self, Who};
use rp::policy::{AuthenticationPolicy, RegistrationPolicy, UserVerificationPolicy};
use rp::{CredentialRecord, RelyingParty, TrustAnchors, registration};
use serde::{Deserialize, Serialize};
use webauthn::cose::CoseAlgorithm;
use webauthn::options::{PublicKeyCredentialUserEntity, ResidentKeyRequirement};

use crate::answers::{Person, UserAction};
use crate::bench::Bench;
use crate::exchange::Exchange;
use crate::key::Key;
use crate::key_state::KeyState;
use crate::owner::OwnerError;

/// The relying party of the lab.
pub const RP_ID: &str = "example.org";
const ORIGIN: &str = "https://example.org";
/// When the lab's ceremonies take place, in Unix seconds: any fixed time will do.
const NOW: u64 = 1_800_000_000;
/// A person answers fewer dialogs than this in any ceremony that ends.
const MOST_ANSWERS: usize = 64;
/// The platform on which credentials were registered "earlier".
pub(crate) const EARLIER: &str = "pinward";
/// The key that holds the account's credential when the one on the desk cannot.
const OTHER_KEY: &str = "fido-2.1";

/// Registration or authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceremony {
    /// `navigator.credentials.create()`.
    Create,
    /// `navigator.credentials.get()`.
    Get,
}

/// What the relying party asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which ceremony.
    pub ceremony: Ceremony,
    /// Never, if set, always, ...
    pub user_verification: UserVerificationPolicy,
    /// Create: `residentKey` is required, otherwise discouraged. Get: the account is not named.
    pub discoverable: bool,
}

/// A cell to run.
#[derive(Debug, Clone)]
pub struct Scenario<'a> {
    /// The platform.
    pub platform: Arc<PlatformProfile>,
    /// The policy of its host, for platforms that have one.
    pub host: HostPolicy,
    /// The model of the key.
    pub key: &'a Profile,
    /// Its state.
    pub key_state: KeyState,
    /// What is asked.
    pub request: Request,
    /// What the person does.
    pub user: UserAction,
}

/// A platform, as rows of results name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformRef {
    /// The profile.
    pub id: String,
    /// For people.
    pub name: String,
}

/// A key model, as rows of results name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRef {
    /// The profile.
    pub id: String,
    /// For people.
    pub name: String,
}

/// What the relying party made of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it is accepted.
    pub accepted: bool,
    /// The code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// In words for a help desk.
    pub help: String,
}

/// What happened in a cell.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// The platform.
    pub platform: PlatformRef,
    /// The key.
    pub key: KeyRef,
    /// The state that it was in.
    pub key_state: KeyState,
    /// What was asked.
    pub request: Request,
    /// What the person did.
    pub user: UserAction,
    /// Steps, reasons, UV flag and end, as the platform tells them.
    pub report: Report,
    /// What the page was told instead of a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the relying party made of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Something to know about how the cell was prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// The messages between platform and key.
    pub exchange: Vec<Exchange>,
}

/// Why a cell could not be run. Not a result of the cell: results are [`Run`]s.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Keys of this model cannot be in this state.
    #[error("{key} cannot be in the state {}", state.id())]
    StateDoesNotFit {
        /// The profile.
        key: String,
        /// The state.
        state: KeyState,
    },
    /// The profile cannot be a key.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The state could not be established.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The relying party could not begin, or the lab's own profiles are missing.
    #[error("the ceremony cannot begin: {0}")]
    Begin(String),
    /// The person of the script had no answer that the platform takes.
    #[error("the scripted person got lost in the dialogs")]
    Lost,
}

pub(crate) fn begin_error(error: impl ToString) -> ScenarioError {
    ScenarioError::Begin(error.to_string())
}

/// The same request and key on each of these platforms.
///
/// # Errors
/// [`ScenarioError`] of the first cell that cannot be run.
pub fn compare(
    scenario: &Scenario<'_>,
    platforms: &[Arc<PlatformProfile>],
) -> Result<Vec<Run>, ScenarioError> {
    let desk = Desk::prepare(scenario)?;
    platforms
        .iter()
        .map(|platform| {
            desk.run(&Scenario {
                platform: Arc::clone(platform),
                ..scenario.clone()
            })
        })
        .collect()
}

impl Scenario<'_> {
    /// Runs the cell.
    ///
    /// # Errors
    /// [`ScenarioError`], if the cell cannot be run at all.
    pub fn run(&self) -> Result<Run, ScenarioError> {
        Desk::prepare(self)?.run(self)
    }
}

/// What is the same for every platform: the key in its state, and the account at the relying party.
pub(crate) struct Desk {
    rp: RelyingParty,
    key: Key,
    record: Option<CredentialRecord>,
    note: Option<&'static str>,
}

impl Scenario<'_> {
    /// Whether the platform speaks only U2F messages: they know no algorithm but ES256, so the account
    /// has a credential of that kind.
    pub(crate) fn is_u2f_only(&self) -> bool {
        self.platform.rules.protocol.value == Protocol::U2fOnly
    }
}

impl Desk {
    pub(crate) fn prepare(scenario: &Scenario<'_>) -> Result<Self, ScenarioError> {
        let state = scenario.key_state;
        if !state.fits(scenario.key) {
            return Err(ScenarioError::StateDoesNotFit {
                key: scenario.key.id.clone(),
                state,
            });
        }
        let origin = ORIGIN.parse().map_err(begin_error)?;
        let rp = RelyingParty::new(RP_ID, "Example", [origin]).map_err(begin_error)?;
        let mut key = Key::fresh(scenario.key, [1; 32])?;
        state.set_up(&mut key)?;
        let (mut record, mut note) = (None, None);
        if scenario.request.ceremony == Ceremony::Get {
            let discoverable = scenario.request.discoverable;
            (key, record) = register_earlier(&rp, key, discoverable, scenario.is_u2f_only())?;
        }
        if scenario.request.ceremony == Ceremony::Get && record.is_none() {
            note = Some("This key cannot hold the account's credential; another key has it.");
            record = record_on_another_key(&rp)?;
        }
        state.finish(&mut key)?;
        Ok(Self {
            rp,
            key,
            record,
            note,
        })
    }

    pub(crate) fn run(&self, scenario: &Scenario<'_>) -> Result<Run, ScenarioError> {
        let key = self.key.duplicate();
        let person = Person::new(scenario.user, key.owner_pin.clone());
        let (bench, verdict) = match scenario.request.ceremony {
            Ceremony::Create => self.create(scenario, key, person)?,
            Ceremony::Get => self.get(scenario, key, person)?,
        };
        let outcome = bench.outcome().ok_or(ScenarioError::Lost)?;
        Ok(Run {
            platform: PlatformRef {
                id: scenario.platform.id.clone(),
                name: scenario.platform.name.clone(),
            },
            key: KeyRef {
                id: scenario.key.id.clone(),
                name: scenario.key.name.clone(),
            },
            key_state: scenario.key_state,
            request: scenario.request,
            user: scenario.user,
            report: outcome.report.clone(),
            failure: outcome.result.as_ref().err().cloned(),
            verdict,
            note: self.note,
            exchange: bench.exchange().to_vec(),
        })
    }

    fn create(&self, scenario: &Scenario<'_>, key: Key, person: Person) -> Played {
        let policy = registration_policy(&scenario.request);
        let (options, state) =
            registration::begin(&self.rp, policy, account(), &[], NOW, &mut rng())
                .map_err(begin_error)?;
        let ceremony = client::Ceremony::create(
            options,
            caller()?,
            Arc::clone(&scenario.platform),
            scenario.host,
        );
        let bench = play(Bench::start(key, ceremony, [2; 32]), person)?;
        let verdict = match credential(&bench) {
            Some(Credential::Registration(made)) => {
                let verdict = registration::finish(state, made, false, &TrustAnchors::none(), NOW);
                Some(judged(verdict.map(|verdict| verdict.help)))
            }
            _ => None,
        };
        Ok((bench, verdict))
    }

    fn get(&self, scenario: &Scenario<'_>, key: Key, person: Person) -> Played {
        let policy = AuthenticationPolicy::new(scenario.request.user_verification);
        let records = self.record.as_slice();
        let user = account();
        let who = match records {
            [_, ..] if !scenario.request.discoverable => Who::User {
                handle: &user.id.0,
                credentials: records,
            },
            _ => Who::Anyone,
        };
        let (options, state) =
            authentication::begin(&self.rp, policy, who, NOW, &mut rng()).map_err(begin_error)?;
        let ceremony = client::Ceremony::get(
            options,
            caller()?,
            Arc::clone(&scenario.platform),
            scenario.host,
        );
        let bench = play(Bench::start(key, ceremony, [2; 32]), person)?;
        let verdict = match credential(&bench) {
            Some(Credential::Authentication(made)) => {
                let verdict = authentication::finish(state, made, self.record.as_ref(), NOW);
                Some(judged(verdict.map(|verdict| verdict.help)))
            }
            _ => None,
        };
        Ok((bench, verdict))
    }
}

type Played = Result<(Bench, Option<Verdict>), ScenarioError>;

fn judged(result: Result<String, rp::Refusal>) -> Verdict {
    match result {
        Ok(help) => Verdict {
            accepted: true,
            code: None,
            help,
        },
        Err(refusal) => Verdict {
            accepted: false,
            code: Some(refusal.code()),
            help: refusal.help().to_owned(),
        },
    }
}

/// Lets the person answer until the ceremony has ended.
pub(crate) fn play(mut bench: Bench, mut person: Person) -> Result<Bench, ScenarioError> {
    for _ in 0..MOST_ANSWERS {
        if bench.outcome().is_some() {
            return Ok(bench);
        }
        let answer = person.answer(&bench);
        bench.answer(answer).map_err(|_| ScenarioError::Lost)?;
    }
    Err(ScenarioError::Lost)
}

pub(crate) fn credential(bench: &Bench) -> Option<&Credential> {
    bench
        .outcome()
        .and_then(|Outcome { result, .. }| result.as_ref().ok())
}

/// Registers the account's credential where nothing gets in the way; none if the key cannot.
fn register_earlier(
    rp: &RelyingParty,
    key: Key,
    discoverable: bool,
    es256: bool,
) -> Result<(Key, Option<CredentialRecord>), ScenarioError> {
    let request = Request {
        ceremony: Ceremony::Create,
        user_verification: UserVerificationPolicy::Never,
        discoverable,
    };
    let platform =
        client::profile::find(EARLIER).ok_or_else(|| begin_error("no platform of our own"))?;
    let host = HostPolicy {
        never_provision: true,
        ..HostPolicy::default()
    };
    let mut policy = registration_policy(&request);
    if es256 {
        let other = |algorithm: &CoseAlgorithm| *algorithm != CoseAlgorithm::ES256;
        policy.algorithms.sort_by_key(other);
    }
    let (options, state) =
        registration::begin(rp, policy, account(), &[], NOW, &mut rng()).map_err(begin_error)?;
    let person = Person::new(UserAction::Accepts, key.owner_pin.clone());
    let ceremony = client::Ceremony::create(options, caller()?, platform, host);
    let bench = play(Bench::start(key, ceremony, [3; 32]), person)?;
    let record = match credential(&bench) {
        Some(Credential::Registration(made)) => {
            let verdict = registration::finish(state, made, false, &TrustAnchors::none(), NOW);
            verdict.ok().map(|verdict| verdict.record)
        }
        _ => None,
    };
    Ok((bench.into_key(), record))
}

fn record_on_another_key(rp: &RelyingParty) -> Result<Option<CredentialRecord>, ScenarioError> {
    let profile =
        authenticator::profile::find(OTHER_KEY).ok_or_else(|| begin_error("no other key"))??;
    let key = Key::fresh(&profile, [9; 32])?;
    register_earlier(rp, key, false, false).map(|(_, record)| record)
}

fn registration_policy(request: &Request) -> RegistrationPolicy {
    let mut policy = RegistrationPolicy::new(request.user_verification);
    policy.resident_key = if request.discoverable {
        ResidentKeyRequirement::Required
    } else {
        ResidentKeyRequirement::Discouraged
    };
    policy
}

fn account() -> PublicKeyCredentialUserEntity {
    PublicKeyCredentialUserEntity {
        id: vec![0x6b, 0x69, 0x6d].into(),
        name: "kim@example.org".to_owned(),
        display_name: "Kim".to_owned(),
    }
}

fn caller() -> Result<Caller, ScenarioError> {
    Ok(Caller::top_level(ORIGIN.parse().map_err(begin_error)?))
}

/// Challenges of the lab are not secrets: a run must be repeatable.
fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}
