//! What a disposition comes to when the person does everything right.

use serde::Serialize;

use super::{Action, Ceremony, CredentialList, Disposition, Facts, PinEntry, Quirk, Unsatisfiable};
use crate::profile::PlatformProfile;
use crate::report::{DomExceptionName, Ended, Step};
use crate::rules::{AccountPicker, NoMatch, PreFlight};

/// How often a looping platform is followed before the ceremony is called a loop.
pub const LOOP_ROUNDS: usize = 3;

/// The outcome that a disposition predicts, for a person who accepts every dialog and knows the PIN.
///
/// For `get()` without a list, the key is taken to hold one discoverable credential of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The UV flag of the answer; `None` when there is no answer.
    pub uv: Option<bool>,
    /// How it ends.
    pub ended: Ended,
    /// What the page sees when the promise is rejected.
    pub error: Option<DomExceptionName>,
}

impl Expected {
    fn failed(steps: Vec<Step>, error: DomExceptionName) -> Self {
        Self {
            steps,
            uv: None,
            ended: Ended::Error,
            error: Some(error),
        }
    }

    fn stuck(steps: Vec<Step>, ended: Ended) -> Self {
        Self {
            steps,
            uv: None,
            ended,
            error: None,
        }
    }

    /// The steps as one word each, joined by `+`; `-` for none.
    pub fn steps_text(&self) -> String {
        if self.steps.is_empty() {
            return "-".to_owned();
        }
        self.steps
            .iter()
            .map(|step| step.name())
            .collect::<Vec<_>>()
            .join("+")
    }
}

/// The exception that a page sees for a request that cannot be satisfied.
pub(crate) fn unsatisfiable_error(
    ceremony: Ceremony,
    why: Unsatisfiable,
    platform: &PlatformProfile,
) -> DomExceptionName {
    let constraint = matches!(
        why,
        Unsatisfiable::NoMeans | Unsatisfiable::NotSetUp | Unsatisfiable::NoResidentKey
    );
    if ceremony == Ceremony::Create && constraint && platform.rules.constraint_error.value.is_yes()
    {
        DomExceptionName::ConstraintError
    } else {
        DomExceptionName::NotAllowedError
    }
}

impl Disposition {
    /// Predicts the steps, the flag and the end of the ceremony.
    pub fn expected(&self, facts: &Facts, platform: &PlatformProfile) -> Expected {
        let facts = &facts.as_seen_by(platform);
        let mut steps = Vec::new();
        if looks_too_early(facts, platform) {
            return no_match(steps, platform, false);
        }
        match self.action {
            Action::NotRequired => {}
            Action::U2f => steps.push(Step::U2f),
            Action::ByBuiltInUv { .. } | Action::KeyVerifies => steps.push(Step::Fingerprint),
            Action::ByPin {
                entry,
                touch_first,
                enrol,
            } => {
                if touch_first {
                    steps.push(Step::Touch);
                }
                steps.extend_from_slice(pin_steps(entry));
                if entry == PinEntry::EnterInVain {
                    return Expected::failed(steps, DomExceptionName::NotAllowedError);
                }
                if enrol {
                    steps.push(Step::EnrollFingerprint);
                }
            }
            Action::ProvisionPin {
                touch_first,
                asked_again,
                enrol,
                ..
            } => {
                if touch_first {
                    steps.push(Step::Touch);
                }
                steps.push(Step::CreatePin);
                if asked_again {
                    steps.push(Step::EnterPin);
                }
                if enrol {
                    steps.push(Step::EnrollFingerprint);
                }
            }
            Action::Unsatisfiable { why, touch_first } => {
                if touch_first {
                    steps.push(Step::Touch);
                }
                return Expected::failed(steps, unsatisfiable_error(facts.ceremony, why, platform));
            }
            Action::Quirk(quirk) => return quirk_expected(quirk),
            Action::Unknown { .. } => return Expected::stuck(steps, Ended::Unknown),
        }
        self.after_verification(facts, platform, steps)
    }

    /// The request itself, once the way of verification is settled.
    fn after_verification(
        &self,
        facts: &Facts,
        platform: &PlatformProfile,
        mut steps: Vec<Step>,
    ) -> Expected {
        let built_in = matches!(
            self.action,
            Action::ByBuiltInUv { .. } | Action::KeyVerifies
        );
        let verified = !matches!(self.action, Action::NotRequired | Action::U2f);
        let found = match facts.list {
            // U2F knows no discoverable credentials.
            CredentialList::Empty => facts.key.ctap2 || facts.ceremony == Ceremony::Create,
            CredentialList::Match => true,
            CredentialList::NoMatch => false,
            CredentialList::Hidden => verified,
        };
        // A finger on the sensor is a touch too.
        let touch = |steps: &mut Vec<Step>| {
            if !built_in {
                steps.push(Step::Touch);
            }
        };
        match facts.ceremony {
            Ceremony::Create => {
                touch(&mut steps);
                if facts.list != CredentialList::Empty && found {
                    return Expected::failed(steps, DomExceptionName::InvalidStateError);
                }
            }
            Ceremony::Get if !found => return no_match(steps, platform, built_in),
            Ceremony::Get => {
                touch(&mut steps);
                let picker = platform.rules.account_picker.value == AccountPicker::Always;
                if facts.list == CredentialList::Empty && picker && facts.key.ctap2 {
                    steps.push(Step::PickAccount);
                }
            }
        }
        Expected {
            steps,
            uv: Some(verified),
            ended: Ended::Ok,
            error: None,
        }
    }
}

/// Whether the list is tried before there is a token, so that nothing of it is found.
fn looks_too_early(facts: &Facts, platform: &PlatformProfile) -> bool {
    platform.rules.pre_flight.value == PreFlight::BeforeToken
        && facts.ceremony == Ceremony::Get
        && facts.key.ctap2
        && matches!(facts.list, CredentialList::Hidden | CredentialList::NoMatch)
}

/// The key shows none of the allowed credentials.
fn no_match(mut steps: Vec<Step>, platform: &PlatformProfile, touched: bool) -> Expected {
    match platform.rules.no_matching_credential.value {
        NoMatch::TouchThenFail if !touched => steps.push(Step::Touch),
        NoMatch::TouchThenFail | NoMatch::Fail => {}
        NoMatch::Unknown => return Expected::stuck(steps, Ended::Unknown),
    }
    Expected::failed(steps, DomExceptionName::NotAllowedError)
}

fn pin_steps(entry: PinEntry) -> &'static [Step] {
    match entry {
        PinEntry::Enter | PinEntry::EnterInVain => &[Step::EnterPin],
        PinEntry::EnterThenChange => &[Step::EnterPin, Step::ChangePin],
        PinEntry::Change => &[Step::ChangePin],
        PinEntry::ChangeThenEnterTwice => &[Step::ChangePin, Step::EnterPin, Step::EnterPin],
    }
}

fn quirk_expected(quirk: Quirk) -> Expected {
    match quirk {
        Quirk::PinLoop => Expected::stuck(vec![Step::EnterPin; LOOP_ROUNDS], Ended::Loop),
        Quirk::TouchPinLoop => Expected::stuck(
            [Step::Touch, Step::EnterPin].repeat(LOOP_ROUNDS),
            Ended::Loop,
        ),
        Quirk::HangAfterTouch => Expected::stuck(vec![Step::Touch], Ended::Hang),
    }
}
