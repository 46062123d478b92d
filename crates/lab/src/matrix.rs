//! The matrix: every platform, key, state of the key, request and person that are selected, each cell
//! run, on as many threads as are given.
//!
//! Cells that share a key in its state and an account share a desk too: it is set up
//! once, and each cell starts from a duplicate of the key.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use authenticator::Profile;
use client::policy::HostPolicy;
use client::profile::PlatformProfile;
use client::report::{Certainty, DomExceptionName, Ended, Party, Reason, Step};
use rp::policy::UserVerificationPolicy;
use serde::Serialize;
use webauthn::options::UserVerificationRequirement;

use crate::answers::UserAction;
use crate::key_state::KeyState;
use crate::scenario::{Ceremony, Desk, Request, Run, Scenario, ScenarioError};

/// Which cells are run. The order of the members is the order of the rows.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The models of key.
    pub keys: Vec<Profile>,
    /// The states; one that does not fit a key is passed over there.
    pub states: Vec<KeyState>,
    /// Registration, sign-in or both.
    pub ceremonies: Vec<Ceremony>,
    /// Whether discoverable credentials are asked for.
    pub discoverable: Vec<bool>,
    /// What the site says about verification.
    pub user_verification: Vec<UserVerificationPolicy>,
    /// What the person does.
    pub people: Vec<UserAction>,
    /// The platforms.
    pub platforms: Vec<Arc<PlatformProfile>>,
    /// The policy of the host, for platforms that have one.
    pub host: HostPolicy,
}

/// The request of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowRequest {
    /// Which ceremony.
    pub ceremony: Ceremony,
    /// As the site sent it.
    pub user_verification: UserVerificationRequirement,
    /// Create: `residentKey` is required. Get: there is no allow list.
    pub discoverable: bool,
}

/// What happened in a cell, without the messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The platform profile.
    pub platform: String,
    /// The key profile.
    pub key: String,
    /// The state that the key was in.
    #[serde(rename = "key_state")]
    pub key_state: KeyState,
    /// What was asked.
    pub request: RowRequest,
    /// What the person did.
    pub user: UserAction,
    /// What the person went through.
    pub steps: Vec<Step>,
    /// The UV flag of the answer; null without an answer.
    pub uv: Option<bool>,
    /// How it ended.
    pub outcome: Ended,
    /// What the page was told instead of a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<DomExceptionName>,
    /// Whether the relying party accepted the answer; null without one.
    pub accepted: Option<bool>,
    /// How sure the least sure fact about the platform is that led here.
    pub evidence: Certainty,
    /// Where that fact comes from.
    pub source: Cow<'static, str>,
    /// The chain of reasons.
    pub reasons: Vec<Reason>,
}

impl Row {
    fn of(run: Run) -> Self {
        let (evidence, source) = weakest(&run.report.reasons);
        let asked = run.request.user_verification;
        Self {
            platform: run.platform.id,
            key: run.key.id,
            key_state: run.key_state,
            request: RowRequest {
                ceremony: run.request.ceremony,
                user_verification: match run.request.ceremony {
                    Ceremony::Create => asked.at_registration(),
                    Ceremony::Get => asked.at_authentication(false),
                },
                discoverable: run.request.discoverable,
            },
            user: run.user,
            steps: run.report.steps,
            uv: run.report.uv,
            outcome: run.report.ended,
            error: match run.report.ended {
                // A loop or a hang tells the page nothing, and what is unknown is no error.
                Ended::Error => run.failure.map(|failure| failure.name),
                _ => None,
            },
            accepted: run.verdict.map(|verdict| verdict.accepted),
            evidence,
            source,
            reasons: run.report.reasons,
        }
    }

    /// The steps as one word each, joined by `+`; `-` for none.
    pub fn steps_text(&self) -> String {
        if self.steps.is_empty() {
            return "-".to_owned();
        }
        let names: Vec<_> = self.steps.iter().map(|step| step.name()).collect();
        names.join("+")
    }

    /// Whether a person and a page see the same in both cells.
    pub fn agrees_with(&self, other: &Self) -> bool {
        (&self.steps, self.uv, self.outcome, self.error)
            == (&other.steps, other.uv, other.outcome, other.error)
    }
}

/// How sure the least sure fact about the platform is, and its source. Where no rule of the platform
/// was needed, the cell follows from the specifications.
fn weakest(reasons: &[Reason]) -> (Certainty, Cow<'static, str>) {
    let doubt = |certainty| match certainty {
        Certainty::Specification => 0,
        Certainty::Measured => 1,
        Certainty::Source => 2,
        Certainty::Vendor => 3,
        Certainty::Report => 4,
        Certainty::Unknown => 5,
    };
    reasons
        .iter()
        .filter(|reason| reason.who == Party::Platform)
        .max_by_key(|reason| doubt(reason.certainty))
        .or(reasons.last())
        .map_or((Certainty::Unknown, Cow::Borrowed("")), |reason| {
            (reason.certainty, reason.reference.clone())
        })
}

/// Cells with one desk.
struct Batch<'a> {
    key: &'a Profile,
    state: KeyState,
    ceremony: Ceremony,
    discoverable: bool,
}

impl Selection {
    fn batches(&self) -> Vec<Batch<'_>> {
        let mut batches = Vec::new();
        for key in &self.keys {
            for &state in self.states.iter().filter(|state| state.fits(key)) {
                for &ceremony in &self.ceremonies {
                    batches.extend(self.discoverable.iter().map(|&discoverable| Batch {
                        key,
                        state,
                        ceremony,
                        discoverable,
                    }));
                }
            }
        }
        batches
    }

    fn cells_of_a_batch(&self) -> usize {
        self.user_verification.len() * self.people.len() * self.platforms.len()
    }

    /// How many cells these are.
    pub fn cells(&self) -> usize {
        self.batches().len() * self.cells_of_a_batch()
    }

    /// Runs all cells. `progress` is told the number of cells done, from any of the threads.
    ///
    /// # Errors
    /// [`ScenarioError`] of the first cell that cannot be run.
    pub fn run(
        &self,
        threads: NonZeroUsize,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Row>, ScenarioError> {
        let batches = self.batches();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failed = AtomicBool::new(false);
        let results = Mutex::new(Vec::with_capacity(batches.len()));
        std::thread::scope(|scope| {
            for _ in 0..threads.get().min(batches.len()) {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(batch) = batches.get(place) else {
                            break;
                        };
                        let rows = self.run_batch(batch);
                        failed.fetch_or(rows.is_err(), Ordering::Relaxed);
                        let cells = self.cells_of_a_batch();
                        progress(done.fetch_add(cells, Ordering::Relaxed) + cells);
                        results
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((place, rows));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(place, _)| *place);
        let mut rows = Vec::with_capacity(self.cells());
        for (_, batch) in results {
            rows.extend(batch?);
        }
        Ok(rows)
    }

    fn run_batch(&self, batch: &Batch<'_>) -> Result<Vec<Row>, ScenarioError> {
        let mut rows = Vec::with_capacity(self.cells_of_a_batch());
        // One for most platforms, one for those that speak only U2F.
        let mut desks = [None, None];
        for &user_verification in &self.user_verification {
            for &user in &self.people {
                for platform in &self.platforms {
                    let scenario = Scenario {
                        platform: Arc::clone(platform),
                        host: self.host,
                        key: batch.key,
                        key_state: batch.state,
                        request: Request {
                            ceremony: batch.ceremony,
                            user_verification,
                            discoverable: batch.discoverable,
                        },
                        user,
                    };
                    let desk = &mut desks[usize::from(scenario.is_u2f_only())];
                    let desk = match desk {
                        Some(desk) => desk,
                        None => desk.insert(Desk::prepare(&scenario)?),
                    };
                    rows.push(Row::of(desk.run(&scenario)?));
                }
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn selection(platforms: &[&str], states: &[KeyState]) -> Selection {
        Selection {
            keys: vec![authenticator::profile::find("fido-2.1").unwrap().unwrap()],
            states: states.to_vec(),
            ceremonies: vec![Ceremony::Create, Ceremony::Get],
            discoverable: vec![false, true],
            user_verification: vec![
                UserVerificationPolicy::Never,
                UserVerificationPolicy::IfSet,
                UserVerificationPolicy::Always,
            ],
            people: vec![UserAction::Accepts],
            platforms: platforms
                .iter()
                .map(|id| client::profile::find(id).unwrap())
                .collect(),
            host: HostPolicy::default(),
        }
    }

    #[test]
    fn rows_are_the_runs_in_order_whatever_the_threads() {
        let selection = selection(
            &["windows-11-after-kb5068861", "chromium-linux"],
            &[KeyState::NoPin, KeyState::PinSet],
        );
        assert_eq!(selection.cells(), 2 * 4 * 3 * 2);
        let told = AtomicUsize::new(0);
        let one = selection.run(NonZeroUsize::MIN, &|_| {}).unwrap();
        let three = selection
            .run(NonZeroUsize::new(3).unwrap(), &|done| {
                told.fetch_max(done, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!(one, three);
        assert_eq!(one.len(), selection.cells());
        assert_eq!(told.into_inner(), selection.cells());
        // A cell of the matrix is the scenario that `explain` runs.
        let key = &selection.keys[0];
        for row in &one {
            let scenario = Scenario {
                platform: client::profile::find(&row.platform).unwrap(),
                host: HostPolicy::default(),
                key,
                key_state: row.key_state,
                request: Request {
                    ceremony: row.request.ceremony,
                    user_verification: match row.request.user_verification {
                        UserVerificationRequirement::Required => UserVerificationPolicy::Always,
                        UserVerificationRequirement::Preferred => UserVerificationPolicy::IfSet,
                        UserVerificationRequirement::Discouraged => UserVerificationPolicy::Never,
                    },
                    discoverable: row.request.discoverable,
                },
                user: row.user,
            };
            assert_eq!(*row, Row::of(scenario.run().unwrap()));
        }
    }

    #[test]
    fn the_two_updates_differ_in_the_cells_that_are_known() {
        let mut selection = selection(
            &["windows-11-before-kb5065789", "windows-11-after-kb5068861"],
            &[KeyState::NoPin],
        );
        selection.ceremonies = vec![Ceremony::Get];
        selection.discoverable = vec![false];
        selection.user_verification = vec![UserVerificationPolicy::IfSet];
        let rows = selection.run(NonZeroUsize::MIN, &|_| {}).unwrap();
        assert!(!rows[0].agrees_with(&rows[1]));
        assert_eq!(rows[0].steps_text(), "touch");
        assert_eq!(rows[1].steps_text(), "create-pin+touch");
        assert_eq!(rows[1].evidence, Certainty::Vendor);
        assert!(rows[1].source.contains("5073129"), "{}", rows[1].source);
        assert_eq!((rows[0].uv, rows[1].uv), (Some(false), Some(true)));
    }

    #[test]
    fn what_is_unknown_is_no_error_and_says_so() {
        let mut selection = selection(&["windows-11-between-updates"], &[KeyState::NoPin]);
        selection.ceremonies = vec![Ceremony::Get];
        let rows = selection.run(NonZeroUsize::MIN, &|_| {}).unwrap();
        let row = rows
            .iter()
            .find(|row| row.request.user_verification == UserVerificationRequirement::Preferred)
            .unwrap();
        assert_eq!((row.outcome, row.error), (Ended::Unknown, None));
        let json = serde_json::to_value(row).unwrap();
        assert_eq!(json["outcome"], "unknown");
        assert_eq!(json["key_state"], "no-pin");
        assert_eq!(json["request"]["userVerification"], "preferred");
        assert_eq!(json["uv"], serde_json::Value::Null);
    }
}
