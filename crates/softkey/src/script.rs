//! A person in a file: what happens each time the key asks, one line for each time
//!
//! ```text
//! # The first time a wrong finger, then the right one after half a second.
//! finger wrong
//! after 500ms finger good
//! touch
//! deny
//! ignore
//! repeat
//! ```
//!
//! `consent` does whatever consents, `ignore` lets the time run out, and `repeat`, as the last line,
//! begins anew. Once the lines are used up somebody else answers.

use std::str::FromStr;
use std::time::Duration;

use authenticator::{FingerMatch, Interaction, UserEvent};

use crate::prompts::Prompts;

/// Nobody waits longer than any key does.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// What one line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    after: Duration,
    act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Consent,
    Ignore,
    Event(UserEvent),
}

/// A script that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
    repeats: bool,
}

/// Why a script does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {what}; a line is touch, long-touch, finger good, finger poor, finger wrong, \
     consent, deny or ignore, maybe after \"after 500ms\", and the last one may be repeat"
)]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self {
            steps: Vec::new(),
            repeats: false,
        };
        for (number, line) in text.lines().enumerate() {
            let at = |what: String| ScriptError {
                line: number + 1,
                what,
            };
            let words: Vec<_> = line
                .split_once('#')
                .map_or(line, |(before, _)| before)
                .split_whitespace()
                .collect();
            match words[..] {
                [] => {}
                _ if script.repeats => {
                    return Err(at("there is something after repeat".to_owned()));
                }
                ["repeat"] if script.steps.is_empty() => {
                    return Err(at("there is nothing to repeat".to_owned()));
                }
                ["repeat"] => script.repeats = true,
                _ => script.steps.push(step(&words).map_err(at)?),
            }
        }
        Ok(script)
    }
}

fn step(words: &[&str]) -> Result<Step, String> {
    let (after, words) = match words {
        ["after", delay, words @ ..] => (self::delay(delay)?, words),
        words => (Duration::ZERO, words),
    };
    let act = match words {
        ["consent"] => Act::Consent,
        ["ignore"] => Act::Ignore,
        ["touch"] => Act::Event(UserEvent::Touch),
        ["long-touch"] => Act::Event(UserEvent::LongTouch),
        ["deny"] => Act::Event(UserEvent::Deny),
        ["finger", finger] => Act::Event(UserEvent::Finger(
            finger_named(finger).ok_or_else(|| format!("there is no finger {finger:?}"))?,
        )),
        words => return Err(format!("{:?} is no line of a script", words.join(" "))),
    };
    Ok(Step { after, act })
}

/// A finger by its name in scripts and on the control socket.
#[must_use]
pub fn finger_named(name: &str) -> Option<FingerMatch> {
    match name {
        "good" => Some(FingerMatch::Match),
        "poor" => Some(FingerMatch::Poor),
        "wrong" => Some(FingerMatch::NoMatch),
        _ => None,
    }
}

/// A number with `ms` or `s`.
fn delay(word: &str) -> Result<Duration, String> {
    let number = |digits: &str| digits.parse::<u64>().ok();
    let delay = match word.strip_suffix("ms") {
        Some(digits) => number(digits).map(Duration::from_millis),
        None => word
            .strip_suffix('s')
            .and_then(number)
            .map(Duration::from_secs),
    };
    delay
        .filter(|delay| *delay <= LONGEST_DELAY)
        .ok_or_else(|| format!("{word:?} is no time up to an hour, as 500ms or 2s are"))
}

/// Prompts that a script answers, and somebody else when it is used up.
#[derive(Debug)]
pub struct Scripted<P> {
    script: Script,
    next: usize,
    /// What the last answer was put off to.
    later: Option<(Duration, UserEvent)>,
    rest: P,
}

impl<P> Scripted<P> {
    /// The script first, then `rest`.
    pub fn new(script: Script, rest: P) -> Self {
        Self {
            script,
            next: 0,
            later: None,
            rest,
        }
    }

    fn next(&mut self) -> Option<Step> {
        if self.script.repeats && self.next == self.script.steps.len() {
            self.next = 0;
        }
        let step = self.script.steps.get(self.next).copied()?;
        self.next += 1;
        Some(step)
    }
}

impl<P: Prompts> Prompts for Scripted<P> {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        self.later = None;
        let Some(step) = self.next() else {
            let event = self.rest.asked(interaction);
            if event.is_none() {
                self.later = self.rest.later();
            }
            return event;
        };
        let event = match step.act {
            Act::Consent => interaction.consent(),
            Act::Event(event) => event,
            Act::Ignore => return None,
        };
        if step.after.is_zero() {
            return Some(event);
        }
        self.later = Some((step.after, event));
        None
    }

    fn later(&mut self) -> Option<(Duration, UserEvent)> {
        self.later.take()
    }

    fn ended(&mut self) {
        self.rest.ended();
    }

    fn wink(&mut self) {
        self.rest.wink();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use authenticator::Purpose;

    use super::*;
    use crate::prompts::{AutoTouch, Manual};

    fn asked() -> Interaction {
        Interaction::Touch {
            purpose: Purpose::Selection,
            deadline: Duration::ZERO,
        }
    }

    fn read(text: &str) -> Script {
        text.parse().unwrap()
    }

    #[test]
    fn each_line_answers_once() {
        let script = read(
            "# a person\ntouch\n\nlong-touch # held\nfinger good\nfinger poor\nfinger wrong\n\
             deny\nignore\nconsent\n",
        );
        let mut prompts = Scripted::new(script, Manual);
        let answers: Vec<_> = (0..9).map(|_| prompts.asked(&asked())).collect();
        let finger = |f| Some(UserEvent::Finger(f));
        assert_eq!(
            answers,
            [
                Some(UserEvent::Touch),
                Some(UserEvent::LongTouch),
                finger(FingerMatch::Match),
                finger(FingerMatch::Poor),
                finger(FingerMatch::NoMatch),
                Some(UserEvent::Deny),
                None,
                Some(UserEvent::Touch),
                None,
            ]
        );
        assert_eq!(prompts.later(), None);
    }

    #[test]
    fn it_repeats_or_leaves_the_rest_to_others() {
        let mut again = Scripted::new(read("deny\ntouch\nrepeat"), Manual);
        let answers: Vec<_> = (0..4).map(|_| again.asked(&asked())).collect();
        let (deny, touch) = (Some(UserEvent::Deny), Some(UserEvent::Touch));
        assert_eq!(answers, [deny, touch, deny, touch]);
        let mut once = Scripted::new(read("deny"), AutoTouch);
        let answers: Vec<_> = (0..3).map(|_| once.asked(&asked())).collect();
        assert_eq!(answers, [deny, touch, touch]);
    }

    #[test]
    fn an_answer_can_be_put_off() {
        let mut prompts = Scripted::new(read("after 300ms touch\nafter 2s deny\ntouch"), Manual);
        for expected in [
            Some((Duration::from_millis(300), UserEvent::Touch)),
            Some((Duration::from_secs(2), UserEvent::Deny)),
        ] {
            assert_eq!(prompts.asked(&asked()), None);
            assert_eq!(prompts.later(), expected);
            assert_eq!(prompts.later(), None);
        }
        assert_eq!(prompts.asked(&asked()), Some(UserEvent::Touch));
        assert_eq!(prompts.later(), None);
    }

    #[test]
    fn what_does_not_read_is_named_with_its_line() {
        for (text, line) in [
            ("touch\ntuch", 2),
            ("finger", 1),
            ("finger blue", 1),
            ("after touch", 1),
            ("after 5 touch", 1),
            ("after 2h touch", 1),
            ("after 3601s touch", 1),
            ("after 99999999999999999999ms touch", 1),
            ("after 5ms", 1),
            ("repeat", 1),
            ("touch\nrepeat\ntouch", 3),
        ] {
            let error = text.parse::<Script>().unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains("finger good"), "{error}");
        }
    }
}
