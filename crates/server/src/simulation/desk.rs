//! One visitor's desk: their software keys, and the one ceremony that may be under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lab::client::Ceremony as ClientCeremony;
use lab::client::prompt::Prompt;
use lab::{Answer, AnswerError, Bench, Key};
use serde_json::{Value, json};

use super::{dialog_open, nothing_pending};
use crate::ceremony::CeremonyId;
use crate::choices::KeyChoice;
use crate::problem::Problem;
use crate::store::Ceremony;
use crate::visitor::Visitor;

/// Keys on one desk; the one that was not used for longest goes first.
const MOST_KEYS: usize = 8;
/// Messages that are kept of one ceremony. A loop repeats itself anyway.
const MOST_MESSAGES: usize = 80;

/// The desks of all visitors, in memory. Only so many; the least recently used goes first.
pub(crate) struct Desks {
    desks: Mutex<Shelf>,
    most: usize,
}

#[derive(Default)]
struct Shelf {
    desks: HashMap<Visitor, (u64, Arc<Mutex<Desk>>)>,
    uses: u64,
}

impl Desks {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            desks: Mutex::default(),
            most: most.max(1),
        }
    }

    /// The visitor's desk, if they have one.
    pub(super) fn find(&self, visitor: Visitor) -> Option<Arc<Mutex<Desk>>> {
        let mut shelf = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.uses += 1;
        let uses = shelf.uses;
        let (used, desk) = shelf.desks.get_mut(&visitor)?;
        *used = uses;
        Some(Arc::clone(desk))
    }

    /// The visitor's desk.
    pub(super) fn of(&self, visitor: Visitor) -> Arc<Mutex<Desk>> {
        if let Some(desk) = self.find(visitor) {
            return desk;
        }
        let mut shelf = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        while shelf.desks.len() >= self.most {
            let oldest = shelf.desks.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(visitor, _)| *visitor) else {
                break;
            };
            shelf.desks.remove(&oldest);
        }
        let uses = shelf.uses;
        let (_, desk) = shelf.desks.entry(visitor).or_insert((uses, Arc::default()));
        Arc::clone(desk)
    }
}

/// A ceremony on the desk.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub(super) id: CeremonyId,
    pub(super) kind: Ceremony,
    pub(super) platform: String,
    pub(super) choice: KeyChoice,
}

/// How one ended.
pub(super) struct Ended {
    pub(super) started: Started,
    /// Report, messages and failure, for the log.
    pub(super) client: Value,
    /// Name for the page and reason for people, if there is no credential.
    pub(super) failure: Option<(String, String)>,
}

struct Running {
    started: Started,
    bench: Bench,
}

/// A desk.
#[derive(Default)]
pub(super) struct Desk {
    /// Most recently used last.
    keys: Vec<(KeyChoice, Key)>,
    running: Option<Running>,
    /// The last ceremony that ended, with its credential if it has one.
    last: Option<(Started, Value)>,
    end: Option<Ended>,
    /// Counts dialogs.
    number: u32,
}

impl Desk {
    /// Ends the ceremony under way, if there is one.
    pub(super) fn abandon(&mut self) -> Option<Started> {
        let Running { started, bench } = self.running.take()?;
        self.put_back(started.choice, bench.into_key());
        Some(started)
    }

    /// Starts a ceremony with a key that is on the desk, or a fresh one.
    pub(super) fn start(
        &mut self,
        started: Started,
        client: ClientCeremony,
        (key_seed, seed): ([u8; 32], [u8; 32]),
    ) -> Result<(), Problem> {
        let key = match self.take(started.choice) {
            Some(key) => key,
            None => fresh(started.choice, key_seed)?,
        };
        self.last = None;
        self.number = self.number.wrapping_add(1);
        let bench = Bench::start(key, client, seed);
        self.running = Some(Running { started, bench });
        self.settle();
        Ok(())
    }

    /// Answers the dialog with this number.
    pub(super) fn answer(&mut self, number: u32, answer: Answer) -> Result<(), Problem> {
        let running = self
            .running
            .as_mut()
            .ok_or_else(|| nothing_pending("No dialog is open."))?;
        if number != self.number {
            return Err(nothing_pending("Another dialog is open by now."));
        }
        running.bench.answer(answer).map_err(|error| match error {
            AnswerError::NoDialog => nothing_pending("No dialog is open."),
            AnswerError::DoesNotFit => {
                nothing_pending("The dialog that is open wants another answer.")
            }
        })?;
        self.number = self.number.wrapping_add(1);
        self.settle();
        Ok(())
    }

    /// Clears the desk if the ceremony has ended.
    fn settle(&mut self) {
        let Some(running) = self
            .running
            .take_if(|running| running.bench.outcome().is_some())
        else {
            return;
        };
        let Running { started, bench } = running;
        let (mut credential, mut failure) = (Value::Null, None);
        let mut report = Value::Null;
        if let Some(outcome) = bench.outcome() {
            report = json!(outcome.report);
            match &outcome.result {
                Ok(made) => credential = json!(made),
                Err(why) => failure = Some((why.name.name().to_owned(), why.reason.to_string())),
            }
        }
        let messages = bench.exchange();
        let kept = &messages[..messages.len().min(MOST_MESSAGES)];
        let client = json!({
            "platform": started.platform,
            "key": started.choice.profile().id,
            "state": started.choice.state,
            "report": report,
            "exchange": kept,
            "messages": messages.len(),
            "failure": failure.as_ref().map(|(name, reason)| json!({ "name": name, "reason": reason })),
        });
        self.put_back(started.choice, bench.into_key());
        self.last = Some((started.clone(), credential));
        self.end = Some(Ended {
            started,
            client,
            failure,
        });
    }

    /// The end of a ceremony, once.
    pub(super) fn take_end(&mut self) -> Option<Ended> {
        self.end.take()
    }

    /// A key that is not in use.
    pub(super) fn key(&mut self, choice: KeyChoice) -> Result<&mut Key, Problem> {
        self.not_in_use(choice)?;
        self.keys
            .iter_mut()
            .find(|(known, _)| *known == choice)
            .map(|(_, key)| key)
            .ok_or_else(|| nothing_pending("This key was not used yet."))
    }

    /// Throws a key away.
    pub(super) fn throw_away(&mut self, choice: KeyChoice) -> Result<(), Problem> {
        self.not_in_use(choice)?;
        self.keys.retain(|(known, _)| *known != choice);
        Ok(())
    }

    fn not_in_use(&self, choice: KeyChoice) -> Result<(), Problem> {
        match &self.running {
            Some(running) if running.started.choice == choice => Err(dialog_open()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, choice: KeyChoice) -> Option<Key> {
        let place = self.keys.iter().position(|(known, _)| *known == choice)?;
        Some(self.keys.remove(place).1)
    }

    fn put_back(&mut self, choice: KeyChoice, key: Key) {
        if self.keys.len() >= MOST_KEYS {
            self.keys.remove(0);
        }
        self.keys.push((choice, key));
    }

    /// The desk as the page shows it. No secret is in it: prompts ask, they do not tell.
    pub(super) fn view(&self) -> Value {
        let mut keys: Vec<Value> = self.keys.iter().map(|(c, key)| shown(*c, key)).collect();
        let (started, credential) = match (&self.running, &self.last) {
            (Some(running), _) => {
                keys.push(shown(running.started.choice, running.bench.key()));
                (Some(&running.started), &Value::Null)
            }
            (None, Some((started, credential))) => (Some(started), credential),
            (None, None) => (None, &Value::Null),
        };
        let bench = self.running.as_ref().map(|running| &running.bench);
        json!({
            "number": self.number,
            "platform": started.map(|started| &started.platform),
            "key": started.map(|started| &started.choice.profile().id),
            "state": started.map(|started| started.choice.state),
            "ceremony": started.map(|started| started.id.to_string()),
            "kind": started.map(|started| started.kind),
            "prompt": bench.and_then(Bench::prompt).map(prompt),
            "steps": bench.map(Bench::steps),
            "credential": credential,
            "keys": keys,
        })
    }
}

/// A key fresh from the factory, brought into its first state by its owner.
fn fresh(choice: KeyChoice, seed: [u8; 32]) -> Result<Key, Problem> {
    let fault = |error: &dyn std::fmt::Display| Problem::internal("software key", error);
    let mut key = Key::fresh(choice.profile(), seed).map_err(|error| fault(&error))?;
    choice
        .state
        .establish(&mut key)
        .map_err(|error| fault(&error))?;
    Ok(key)
}

fn shown(choice: KeyChoice, key: &Key) -> Value {
    let state = key.state();
    json!({
        "key": choice.profile().id,
        "state": choice.state,
        "pinSet": state.pin().is_some(),
        "pinRetries": state.pin_retries(),
        "credentials": state.credentials().count(),
    })
}

/// A prompt, with the words of its error.
fn prompt(prompt: &Prompt) -> Value {
    let mut value = json!(prompt);
    let error = match prompt {
        Prompt::EnterPin { error, .. }
        | Prompt::CreatePin { error, .. }
        | Prompt::ChangePin { error, .. } => error.as_ref(),
        _ => None,
    };
    if let Some(error) = error {
        value["words"] = json!(error.to_string());
    }
    value
}
