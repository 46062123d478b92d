//! Commands on a thread of their own, and the screen that they speak to

use std::sync::mpsc::{Receiver, Sender, channel};

use clap::Parser as _;
use zeroize::Zeroizing;

use crate::person::Person;

/// What a command was run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The facts of a key.
    Facts,
    /// Its passkeys, in JSON.
    Passkeys,
    /// Its fingers, in JSON.
    Fingers,
    /// Something was done.
    Action,
}

/// A command to run.
pub(super) struct Job {
    pub(super) reason: For,
    /// The command line without the program's name.
    pub(super) words: Vec<String>,
}

/// How a job ended: what it printed, and the failure if it was one.
pub(super) struct Done {
    pub(super) reason: For,
    pub(super) printed: String,
    pub(super) failure: Option<String>,
}

/// What the command's thread says to the screen's.
pub(super) enum Said {
    Note(String),
    Print(String),
    Secret(String, Sender<Option<Zeroizing<String>>>),
    Word(String, Sender<Option<String>>),
    Done(Done),
}

/// The person as commands see it.
pub(super) struct Screen {
    said: std::sync::Mutex<Sender<Said>>,
}

impl Screen {
    pub(super) fn new(said: Sender<Said>) -> Self {
        Self {
            said: std::sync::Mutex::new(said),
        }
    }

    fn say(&self, said: Said) {
        let sender = self
            .said
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // A screen that has gone shows nothing more.
        let _ = sender.send(said);
    }
}

impl Person for Screen {
    fn note(&self, text: &str) {
        self.say(Said::Note(text.to_owned()));
    }

    fn print(&self, text: &str) {
        self.say(Said::Print(text.to_owned()));
    }

    fn secret(&self, prompt: &str) -> Option<Zeroizing<String>> {
        let (reply, answer) = channel();
        self.say(Said::Secret(prompt.to_owned(), reply));
        answer.recv().ok().flatten()
    }

    fn word(&self, prompt: &str) -> Option<String> {
        let (reply, answer) = channel();
        self.say(Said::Word(prompt.to_owned(), reply));
        answer.recv().ok().flatten()
    }
}

/// Runs one job after the other, until nobody gives any more.
pub(super) fn work(jobs: &Receiver<Job>, said: &Sender<Said>) {
    for job in jobs {
        crate::device::cancel(false);
        let words = std::iter::once("pinward".to_owned()).chain(job.words);
        let failure = match crate::Cli::try_parse_from(words) {
            Ok(cli) => crate::run(cli.command)
                .err()
                .map(|failure| failure.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let done = Done {
            reason: job.reason,
            printed: String::new(),
            failure,
        };
        if said.send(Said::Done(done)).is_err() {
            return;
        }
    }
}
