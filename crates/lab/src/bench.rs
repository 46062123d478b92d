//! The interactive pair: one ceremony of a platform against a key, until the person is needed.

use core::time::Duration;
use std::collections::VecDeque;

use authenticator::{FingerMatch, Interaction, Progress, UserEvent};
use client::prompt::{Prompt, UserInput};
use client::report::Step;
use client::{Ceremony, Event, KeyId, Outcome, Output};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::exchange::Exchange;
use crate::key::{Key, consent};

/// There is one key on the desk.
const KEY: KeyId = KeyId(1);
/// CTAPHID_KEEPALIVE STATUS_UPNEEDED (CTAP 2.3 §11.2.9.1.7).
const UP_NEEDED: u8 = 2;
/// How long a person takes for anything.
const REACTION: Duration = Duration::from_millis(700);
/// No ceremony exchanges more messages between two answers of a person; a client that does has lost
/// its way, and is ended.
const MOST_STEPS: usize = 2_000;

/// What the person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Touches the key.
    Touch,
    /// Lays a finger on its sensor.
    Finger(FingerMatch),
    /// Answers a dialog of the platform.
    Input(UserInput),
}

/// Why an answer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The ceremony has ended.
    #[error("no dialog is open")]
    NoDialog,
    /// The dialog that is open wants something else.
    #[error("the dialog that is open wants another answer")]
    DoesNotFit,
}

/// One ceremony under way. Time stands still while a dialog is open.
pub struct Bench {
    key: Key,
    ceremony: Ceremony,
    rng: ChaCha20Rng,
    queue: VecDeque<Output>,
    /// A U2F request was answered with "touch first"; the platform asks again later.
    u2f_waits: bool,
    exchange: Vec<Exchange>,
    outcome: Option<Outcome>,
}

impl Bench {
    /// Starts a ceremony and runs it until it needs the person or ends.
    pub fn start(key: Key, ceremony: Ceremony, seed: [u8; 32]) -> Self {
        let mut bench = Self {
            key,
            ceremony,
            rng: ChaCha20Rng::from_seed(seed),
            queue: VecDeque::new(),
            u2f_waits: false,
            exchange: Vec::new(),
            outcome: None,
        };
        let now = bench.key.now();
        let outputs = bench.ceremony.start(&[KEY], now, &mut bench.rng);
        bench.queue.extend(outputs);
        bench.run();
        bench
    }

    /// The dialog that waits for the person, until the end.
    pub fn prompt(&self) -> Option<&Prompt> {
        if self.outcome.is_some() {
            None
        } else {
            self.ceremony.prompt()
        }
    }

    /// The steps completed so far.
    pub fn steps(&self) -> &[Step] {
        self.outcome
            .as_ref()
            .map_or_else(|| self.ceremony.steps(), |outcome| &outcome.report.steps)
    }

    /// The messages so far.
    pub fn exchange(&self) -> &[Exchange] {
        &self.exchange
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The key on the desk.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Ends the desk and takes the key. A ceremony still open is aborted by its page first.
    pub fn into_key(mut self) -> Key {
        if self.outcome.is_none() {
            self.event(Event::Abort);
            self.run();
        }
        self.key
    }

    /// Answers the dialog, and runs on until the next one or the end.
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed then.
    pub fn answer(&mut self, answer: Answer) -> Result<(), AnswerError> {
        if self.outcome.is_some() {
            return Err(AnswerError::NoDialog);
        }
        self.key.advance_to(self.key.now() + REACTION);
        match answer {
            Answer::Input(input) if self.takes(&input) => self.event(Event::User(input)),
            Answer::Input(_) => return Err(AnswerError::DoesNotFit),
            Answer::Touch => self.touch(None)?,
            Answer::Finger(finger) => self.touch(Some(finger))?,
        }
        self.run();
        Ok(())
    }

    fn takes(&self, input: &UserInput) -> bool {
        match (self.prompt(), input) {
            (Some(_), UserInput::Cancel)
            | (Some(Prompt::EnterPin { .. }), UserInput::Pin { .. })
            | (Some(Prompt::CreatePin { .. }), UserInput::NewPin { .. })
            | (Some(Prompt::CreatePin { optional: true, .. }), UserInput::NotNow)
            | (Some(Prompt::EnrollFingerprint { .. }), UserInput::NotNow)
            | (Some(Prompt::ChangePin { .. }), UserInput::ChangePin { .. }) => true,
            (Some(Prompt::PickAccount { accounts }), UserInput::Account { index }) => {
                *index < accounts.len()
            }
            _ => false,
        }
    }

    /// A hand at the key. Which of its parts is touched is for the key to say.
    fn touch(&mut self, finger: Option<FingerMatch>) -> Result<(), AnswerError> {
        match self.key.waiting() {
            Some(interaction) => {
                let event = match (interaction, finger) {
                    (Interaction::BuiltInUv { .. }, Some(finger)) => UserEvent::Finger(finger),
                    (interaction, _) => consent(interaction),
                };
                let progress = self.key.user(event);
                self.progress(progress);
                Ok(())
            }
            None if self.u2f_waits => {
                self.u2f_waits = false;
                self.key.user(UserEvent::Touch);
                self.tick();
                Ok(())
            }
            None => Err(AnswerError::DoesNotFit),
        }
    }

    /// Lets the time come for which the platform waits.
    fn tick(&mut self) {
        if let Some(at) = self.ceremony.wake_at() {
            self.key.advance_to(at);
        }
        self.event(Event::Tick);
    }

    fn event(&mut self, event: Event) {
        let now = self.key.now();
        let outputs = self.ceremony.step(event, now, &mut self.rng);
        self.queue.extend(outputs);
    }

    fn run(&mut self) {
        for _ in 0..MOST_STEPS {
            match self.queue.pop_front() {
                Some(output) => self.carry_out(output),
                None if self.outcome.is_some() || self.person_is_needed() => return,
                None => self.tick(),
            }
        }
        self.event(Event::Abort);
        while let Some(output) = self.queue.pop_front() {
            if let Output::Done(outcome) = output {
                self.outcome = Some(*outcome);
            }
        }
    }

    fn person_is_needed(&self) -> bool {
        self.key.waiting().is_some()
            || self.u2f_waits
            || self.ceremony.prompt().is_some_and(Prompt::wants_answer)
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { bytes, .. } => {
                self.exchange.push(Exchange::ctap2(&bytes));
                let progress = self.key.send(&bytes);
                self.progress(progress);
            }
            Output::SendU2f { apdu, .. } => {
                self.exchange.push(Exchange::u2f(&apdu));
                let answer = self.key.send_u2f(&apdu);
                self.u2f_waits = answer.ends_with(&[0x69, 0x85]) && !is_check(&apdu);
                self.reply(answer);
            }
            Output::CancelKey(_) => {
                if self.key.waiting().is_some() {
                    let progress = self.key.user(UserEvent::Cancel);
                    self.progress(progress);
                }
                self.u2f_waits = false;
            }
            // There is no web here to ask.
            Output::RelatedOrigins { .. } => self.event(Event::RelatedOrigins(None)),
            Output::Prompt(_) | Output::Dismiss => {}
            Output::Done(outcome) => self.outcome = Some(*outcome),
        }
    }

    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Reply(bytes) => self.reply(bytes),
            Progress::Waiting(_) => self.event(Event::KeepAlive {
                key: KEY,
                status: UP_NEEDED,
            }),
            Progress::Idle => {}
        }
    }

    fn reply(&mut self, bytes: Vec<u8>) {
        if let Some(exchange) = self.exchange.last_mut() {
            exchange.answered(&bytes);
        }
        if self.outcome.is_none() {
            self.event(Event::Reply { key: KEY, bytes });
        }
    }
}

/// A check-only authentication is never followed by a touch: its "touch first" means "known".
fn is_check(apdu: &[u8]) -> bool {
    use ctap::u2f::{Control, Request};
    matches!(
        Request::decode(apdu),
        Ok(Request::Authenticate {
            control: Control::CheckOnly,
            ..
        })
    )
}
