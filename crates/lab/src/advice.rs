//! What each party could change: the site, the admin of the computers and keys, the person.
//!
//! [`Scenario::neighbours`] lists the cells that differ from one in a single thing that somebody can
//! change. They are run like any other, and [`advise`] compares: only what makes a difference is advice.

use std::sync::Arc;

use authenticator::Profile;
use client::policy::PinSetup;
use client::report::{Ended, Step};
use client::rules::NoPin;
use rp::policy::UserVerificationPolicy;
use serde::Serialize;

use crate::answers::UserAction;
use crate::key_state::KeyState;
use crate::scenario::{Ceremony, Request, Run, Scenario, ScenarioError};

/// Who could change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changer {
    /// Whoever runs the site: its requests.
    Site,
    /// Whoever runs the computers and hands out the keys.
    Admin,
    /// The person with the key.
    Person,
}

impl Changer {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Admin => "admin",
            Self::Person => "person",
        }
    }
}

/// One thing that somebody can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Who.
    pub who: Changer,
    /// What, as an instruction without a full stop.
    pub what: String,
}

/// A change that makes a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Who can do what.
    #[serde(flatten)]
    pub change: Change,
    /// What comes of it, in a sentence or two.
    pub effect: String,
    /// What the person would do then.
    pub steps: Vec<Step>,
    /// The UV flag of the answer then; null without an answer.
    pub uv: Option<bool>,
    /// How it would end.
    pub ended: Ended,
    /// Whether the site would accept the answer; null without one.
    pub accepted: Option<bool>,
}

/// Platforms on the same computers, each an update (or a dearer edition) of those before it.
const UPDATES: [&[&str]; 4] = [
    &[
        "windows-11-before-kb5065789",
        "windows-11-between-updates",
        "windows-11-after-kb5068861",
    ],
    &[
        "windows-11-21h2",
        "windows-11-22h2-home",
        "windows-11-22h2-enterprise",
        "windows-11-23h2",
        "windows-11-after-kb5068861",
    ],
    &["windows-10-22h2", "windows-11-after-kb5068861"],
    &["android-before-26-03", "android-after-26-03"],
];
/// Platforms between which a person can choose on one computer.
const BROWSERS: [&str; 2] = ["chromium-linux", "firefox-linux"];

impl<'a> Scenario<'a> {
    /// The cells next to this one, with the change that leads there.
    pub fn neighbours(&self) -> Vec<(Change, Scenario<'a>)> {
        let mut cells = Vec::new();
        self.requests(&mut cells);
        self.key_states(&mut cells);
        self.policies(&mut cells);
        self.platforms(&mut cells);
        if self.user != UserAction::Accepts {
            let what = match self.user {
                UserAction::Cancels => "answer the dialogs instead of closing them",
                _ => "enter the right PIN",
            };
            let user = UserAction::Accepts;
            cells.push(change(
                Changer::Person,
                what,
                Scenario {
                    user,
                    ..self.clone()
                },
            ));
        }
        cells.sort_by_key(|(change, _)| change.who);
        cells
    }

    fn requests(&self, cells: &mut Vec<(Change, Scenario<'a>)>) {
        let request = self.request;
        let settings = [
            (
                UserVerificationPolicy::Never,
                "send userVerification \"discouraged\"",
            ),
            (
                UserVerificationPolicy::IfSet,
                "send userVerification \"preferred\"",
            ),
            (
                UserVerificationPolicy::Always,
                "send userVerification \"required\" and check the UV flag",
            ),
        ];
        for (user_verification, what) in settings {
            if user_verification != request.user_verification {
                let request = Request {
                    user_verification,
                    ..request
                };
                cells.push(change(
                    Changer::Site,
                    what,
                    Scenario {
                        request,
                        ..self.clone()
                    },
                ));
            }
        }
        let what = match (request.ceremony, request.discoverable) {
            (Ceremony::Create, true) => "send residentKey \"discouraged\"",
            (Ceremony::Create, false) => "send residentKey \"required\"",
            (Ceremony::Get, true) => "ask for the user name first and send allowCredentials",
            (Ceremony::Get, false) => {
                "register discoverable credentials and send no allowCredentials"
            }
        };
        let discoverable = !request.discoverable;
        let request = Request {
            discoverable,
            ..request
        };
        cells.push(change(
            Changer::Site,
            what,
            Scenario {
                request,
                ..self.clone()
            },
        ));
    }

    fn key_states(&self, cells: &mut Vec<(Change, Scenario<'a>)>) {
        use Changer::{Admin, Person};
        use KeyState as S;
        let create = self.request.ceremony == Ceremony::Create;
        let changes: &[(Changer, S, &str)] = match self.key_state {
            S::NoPin => &[
                (Person, S::PinSet, "set a PIN on the key beforehand"),
                (Admin, S::AlwaysUv, "switch alwaysUv on in the key"),
            ],
            S::PinSet => &[(Admin, S::AlwaysUvPinSet, "switch alwaysUv on in the key")],
            S::AlwaysUv => &[
                (Person, S::AlwaysUvPinSet, "set a PIN on the key beforehand"),
                (Admin, S::NoPin, "switch alwaysUv off in the key"),
            ],
            S::AlwaysUvPinSet => &[(Admin, S::PinSet, "switch alwaysUv off in the key")],
            S::PinChangeForced => &[(Person, S::PinSet, "change the PIN of the key beforehand")],
            S::PinAuthBlocked => &[(
                Person,
                S::PinSet,
                "take the key out, plug it in again and mind the PIN",
            )],
            // A reset deletes the credential that a sign-in would need.
            S::PinBlocked if create => &[(
                Admin,
                S::NoPin,
                "reset the key, which deletes all its credentials",
            )],
            S::PinBlocked => &[],
        };
        let fits = |state: S| state.fits(self.key) && reachable(self.key, self.key_state, state);
        for &(who, key_state, what) in changes.iter().filter(|(_, state, _)| fits(*state)) {
            cells.push(change(
                who,
                what,
                Scenario {
                    key_state,
                    ..self.clone()
                },
            ));
        }
    }

    /// For platforms that ask the policy of their host.
    fn policies(&self, cells: &mut Vec<(Change, Scenario<'a>)>) {
        let rules = &self.platform.rules;
        let (section, preferred, required) = match self.request.ceremony {
            Ceremony::Create => (
                "create",
                &rules.create_preferred_no_pin,
                &rules.create_required_no_pin,
            ),
            Ceremony::Get => (
                "get",
                &rules.get_preferred_no_pin,
                &rules.get_required_no_pin,
            ),
        };
        for (member, rule) in [("preferred", preferred), ("required", required)] {
            if rule.value != NoPin::ByPolicy {
                continue;
            }
            for (setup, word) in [
                (PinSetup::Proceed, "proceed"),
                (PinSetup::Offer, "offer"),
                (PinSetup::Provision, "provision"),
                (PinSetup::Fail, "fail"),
            ] {
                let mut host = self.host;
                let place = match (self.request.ceremony, member) {
                    (Ceremony::Create, "preferred") => &mut host.create_preferred_no_pin,
                    (Ceremony::Create, _) => &mut host.create_required_no_pin,
                    (Ceremony::Get, "preferred") => &mut host.get_preferred_no_pin,
                    (Ceremony::Get, _) => &mut host.get_required_no_pin,
                };
                if *place != setup && !self.host.never_provision {
                    *place = setup;
                    let what =
                        format!("set {member} = \"{word}\" in [{section}] of the host's policy");
                    cells.push(change(
                        Changer::Admin,
                        what,
                        Scenario {
                            host,
                            ..self.clone()
                        },
                    ));
                }
            }
        }
        if self.host.never_provision {
            let mut host = self.host;
            host.never_provision = false;
            let what = "set never-provision = false in the host's policy";
            cells.push(change(
                Changer::Admin,
                what,
                Scenario {
                    host,
                    ..self.clone()
                },
            ));
        }
    }

    fn platforms(&self, cells: &mut Vec<(Change, Scenario<'a>)>) {
        let here = self.platform.id.as_str();
        let mut seen = vec![here];
        let updates = UPDATES.into_iter().filter_map(|family| {
            let place = family.iter().position(|id| *id == here)?;
            family.get(place + 1..)
        });
        let browsers = BROWSERS.iter().filter(|_| BROWSERS.contains(&here));
        let others = updates
            .flatten()
            .map(|id| (Changer::Admin, *id, "bring the device to"))
            .chain(browsers.map(|id| (Changer::Person, *id, "use")));
        for (who, id, verb) in others {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            if let Some(platform) = client::profile::find(id) {
                let what = format!("{verb} {}", platform.name);
                let cell = Scenario {
                    platform: Arc::clone(&platform),
                    ..self.clone()
                };
                cells.push(change(who, what, cell));
            }
        }
    }

    /// Runs the neighbours and says which make a difference to `run`, which is this cell's.
    ///
    /// # Errors
    /// [`ScenarioError`] of the first neighbour that cannot be run.
    pub fn advice(&self, run: &Run) -> Result<Vec<Advice>, ScenarioError> {
        let neighbours = self
            .neighbours()
            .into_iter()
            .map(|(change, cell)| Ok((change, cell.run()?)))
            .collect::<Result<Vec<_>, ScenarioError>>()?;
        Ok(advise(run, &neighbours))
    }
}

fn change<'a>(who: Changer, what: impl Into<String>, cell: Scenario<'a>) -> (Change, Scenario<'a>) {
    let what = what.into();
    (Change { who, what }, cell)
}

/// alwaysUv can only be switched where the key lets its owner.
fn reachable(key: &Profile, from: KeyState, to: KeyState) -> bool {
    let always = |state| matches!(state, KeyState::AlwaysUv | KeyState::AlwaysUvPinSet);
    always(from) == always(to) || key.options.authnr_cfg
}

/// Compares a cell with its neighbours: those that come out otherwise are advice. Pure.
pub fn advise(run: &Run, neighbours: &[(Change, Run)]) -> Vec<Advice> {
    let mut advice: Vec<Advice> = Vec::new();
    for (change, other) in neighbours {
        let accepted = other.verdict.as_ref().map(|verdict| verdict.accepted);
        let report = &other.report;
        let same = (&run.report.steps, run.report.uv, run.report.ended)
            == (&report.steps, report.uv, report.ended)
            && run.verdict.as_ref().map(|verdict| verdict.accepted) == accepted;
        if !same {
            advice.push(Advice {
                change: change.clone(),
                effect: effect(run, other),
                steps: report.steps.clone(),
                uv: report.uv,
                ended: report.ended,
                accepted,
            });
        }
    }
    advice
}

/// Whether the ceremony came to an answer that the site accepts.
fn works(run: &Run) -> bool {
    run.report.ended == Ended::Ok && run.verdict.as_ref().is_some_and(|verdict| verdict.accepted)
}

fn effect(run: &Run, other: &Run) -> String {
    if other.report.ended == Ended::Unknown {
        return "It is not known what this platform does then.".to_owned();
    }
    let call = match other.request.ceremony {
        Ceremony::Create => "The registration",
        Ceremony::Get => "The sign-in",
    };
    let mut said = Vec::new();
    match (works(run), works(other)) {
        (false, true) => said.push(format!("{call} succeeds.")),
        (true, false) => said.push(format!("{call} fails.")),
        (false, false) => said.push(format!("{call} still fails.")),
        (true, true) => {}
    }
    for (step, once, never) in [
        (
            Step::CreatePin,
            "The person has to create a PIN.",
            "Nobody has to create a PIN.",
        ),
        (
            Step::ChangePin,
            "The person has to change the PIN.",
            "Nobody has to change the PIN.",
        ),
        (Step::EnterPin, "The PIN is asked.", "The PIN is not asked."),
        (
            Step::Fingerprint,
            "The finger is asked.",
            "The finger is not asked.",
        ),
    ] {
        let has = |run: &Run| run.report.steps.contains(&step);
        match (has(run), has(other)) {
            (false, true) => said.push(once.to_owned()),
            (true, false) => said.push(never.to_owned()),
            _ => {}
        }
    }
    match (run.report.uv, other.report.uv) {
        (Some(true), Some(false)) => said.push("The person is no longer verified.".to_owned()),
        (Some(false), Some(true)) => said.push("The person is verified.".to_owned()),
        _ => {}
    }
    if said.is_empty() {
        said.push("The steps are others.".to_owned());
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use client::policy::HostPolicy;

    use super::*;

    fn scenario<'a>(
        platform: &str,
        key: &'a Profile,
        key_state: KeyState,
        uv: UserVerificationPolicy,
    ) -> Scenario<'a> {
        Scenario {
            platform: client::profile::find(platform).unwrap(),
            host: HostPolicy::default(),
            key,
            key_state,
            request: Request {
                ceremony: Ceremony::Get,
                user_verification: uv,
                discoverable: false,
            },
            user: UserAction::Accepts,
        }
    }

    fn fido_2_1() -> Profile {
        authenticator::profile::find("fido-2.1").unwrap().unwrap()
    }

    fn advice(scenario: &Scenario<'_>) -> Vec<Advice> {
        scenario.advice(&scenario.run().unwrap()).unwrap()
    }

    fn find<'a>(advice: &'a [Advice], who: Changer, what: &str) -> Option<&'a Advice> {
        advice
            .iter()
            .find(|advice| advice.change.who == who && advice.change.what.contains(what))
    }

    #[test]
    fn windows_after_the_update_site_and_person_can_avoid_the_new_pin() {
        let key = fido_2_1();
        let cell = scenario(
            "windows-11-after-kb5068861",
            &key,
            KeyState::NoPin,
            UserVerificationPolicy::IfSet,
        );
        let advice = advice(&cell);
        let site = find(&advice, Changer::Site, "discouraged").unwrap();
        assert_eq!(site.steps, [Step::Touch]);
        assert_eq!(
            site.effect,
            "Nobody has to create a PIN. The person is no longer verified."
        );
        // Nobody is advised to take an update back.
        assert_eq!(find(&advice, Changer::Admin, "Windows"), None);
        let person = find(&advice, Changer::Person, "set a PIN").unwrap();
        assert_eq!(person.steps, [Step::EnterPin, Step::Touch]);
        assert_eq!(
            person.effect,
            "Nobody has to create a PIN. The PIN is asked."
        );
        // What changes nothing is no advice.
        assert_eq!(find(&advice, Changer::Site, "\"required\""), None);
        // The parties come in order.
        assert!(advice.is_sorted_by_key(|advice| advice.change.who));
    }

    #[test]
    fn a_loop_is_ended_by_an_update_or_by_switching_always_uv_off() {
        let key = fido_2_1();
        let cell = scenario(
            "windows-11-21h2",
            &key,
            KeyState::AlwaysUvPinSet,
            UserVerificationPolicy::Never,
        );
        let advice = advice(&cell);
        let update = find(&advice, Changer::Admin, "22H2 Enterprise").unwrap();
        assert!(
            update.effect.starts_with("The sign-in succeeds."),
            "{}",
            update.effect
        );
        let off = find(&advice, Changer::Admin, "alwaysUv off").unwrap();
        assert_eq!((off.ended, off.accepted), (Ended::Ok, Some(true)));
    }

    #[test]
    fn a_key_that_is_always_strict_cannot_be_made_lenient() {
        let strict = authenticator::profile::find("fido-2.1-always-uv")
            .unwrap()
            .unwrap();
        let mut strict = strict;
        strict.options.authnr_cfg = false;
        let cell = scenario(
            "chromium-linux",
            &strict,
            KeyState::AlwaysUvPinSet,
            UserVerificationPolicy::Never,
        );
        let changes = cell.neighbours();
        assert!(
            changes
                .iter()
                .all(|(change, _)| !change.what.contains("alwaysUv"))
        );
    }

    #[test]
    fn the_host_policy_is_advice_only_where_it_counts() {
        let key = fido_2_1();
        let state = KeyState::NoPin;
        let own = scenario("pinward", &key, state, UserVerificationPolicy::IfSet);
        let proceed = "preferred = \"proceed\" in [get]";
        let advice = advice(&own);
        assert_eq!(
            find(&advice, Changer::Admin, proceed).unwrap().steps,
            [Step::Touch]
        );
        // Nothing but `preferred` matters to this request.
        assert_eq!(find(&advice, Changer::Admin, "required = "), None);
        let other = scenario("firefox-linux", &key, state, UserVerificationPolicy::IfSet);
        assert!(
            other
                .neighbours()
                .iter()
                .all(|(change, _)| !change.what.contains("policy"))
        );
    }

    #[test]
    fn advice_names_platforms_that_exist() {
        for id in UPDATES.into_iter().flatten().chain(&BROWSERS) {
            assert!(client::profile::find(id).is_some(), "{id}");
        }
    }

    #[test]
    fn a_blocked_pin_has_no_advice_that_loses_the_credential() {
        let key = fido_2_1();
        let cell = scenario(
            "chromium-linux",
            &key,
            KeyState::PinBlocked,
            UserVerificationPolicy::Always,
        );
        assert!(
            cell.neighbours()
                .iter()
                .all(|(change, _)| !change.what.contains("reset"))
        );
    }
}
