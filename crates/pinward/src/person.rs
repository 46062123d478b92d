//! The person in front of the program: at a terminal line by line, or at a screen that takes its place
//! (`pinward tui`). Commands say and ask the same things either way.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

/// A screen that shows what commands say, and asks what they ask.
pub(crate) trait Person: Send + Sync {
    /// A remark, for the person alone.
    fn note(&self, text: &str);
    /// What a command prints.
    fn print(&self, text: &str);
    /// A secret; none if the person does not want to.
    fn secret(&self, prompt: &str) -> Option<Zeroizing<String>>;
    /// A word, to show that something is meant; none if the person does not want to.
    fn word(&self, prompt: &str) -> Option<String>;
}

static PERSON: Mutex<Option<Arc<dyn Person>>> = Mutex::new(None);

/// The screen, if there is one.
pub(crate) fn current() -> Option<Arc<dyn Person>> {
    PERSON
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// From now on, or no longer.
pub(crate) fn set(person: Option<Arc<dyn Person>>) {
    *PERSON.lock().unwrap_or_else(PoisonError::into_inner) = person;
}
