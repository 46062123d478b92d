//! What the screen knows, and what key presses do to it

use std::sync::mpsc::Sender;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use super::work::{Done, For, Job, Said};
use crate::device::{self, Listed};

/// The right half of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Facts,
    Passkeys,
    Fingers,
}

/// What lies over the screen.
pub(super) enum Dialog {
    /// What can be done; the number of the line that is chosen.
    Menu(usize),
    /// A text that an action needs, and what is typed so far.
    Input(Action, String),
    /// A command wants a secret.
    Secret(String, Zeroizing<String>, Sender<Option<Zeroizing<String>>>),
    /// A command wants to know whether it is meant.
    Word(String, String, Sender<Option<String>>),
    /// What a command said at its end.
    Result,
    /// Which keys do what.
    Help,
}

/// Something that can be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action {
    /// In the menu.
    pub(super) title: &'static str,
    /// The command; `{}` stands for what is chosen in the list, `{?}` for what is typed.
    words: &'static str,
    /// What to ask for, where something is typed.
    pub(super) asks: Option<&'static str>,
    /// Only where a line of this list is chosen.
    tab: Option<Tab>,
}

const fn plain(title: &'static str, words: &'static str) -> Action {
    Action {
        title,
        words,
        asks: None,
        tab: None,
    }
}

const fn typed(title: &'static str, words: &'static str, asks: &'static str) -> Action {
    Action {
        title,
        words,
        asks: Some(asks),
        tab: None,
    }
}

const fn of(tab: Tab, action: Action) -> Action {
    Action {
        tab: Some(tab),
        ..action
    }
}

const ACTIONS: [Action; 20] = [
    of(
        Tab::Passkeys,
        plain("Show this passkey", "passkeys show {}"),
    ),
    of(
        Tab::Passkeys,
        typed(
            "Rename this passkey",
            "passkeys rename {} --name {?}",
            "The account's new name",
        ),
    ),
    of(
        Tab::Passkeys,
        plain("Delete this passkey", "passkeys delete {}"),
    ),
    of(
        Tab::Fingers,
        typed(
            "Rename this finger",
            "fingerprints rename {} --name {?}",
            "The finger's new name",
        ),
    ),
    of(
        Tab::Fingers,
        plain("Delete this finger", "fingerprints delete {}"),
    ),
    plain("Show itself (wink)", "wink"),
    typed("Call the key ...", "label set {?}", "The key's name"),
    plain("Set the first PIN", "pin set"),
    plain("Change the PIN", "pin change"),
    plain("Check the PIN", "pin verify"),
    typed(
        "Raise the least PIN length",
        "pin min-length {?}",
        "The least number of characters, 4 to 63",
    ),
    plain("Force a change of the PIN", "pin force-change"),
    plain("Always verify the user: on", "always-uv on"),
    plain("Always verify the user: off", "always-uv off"),
    plain(
        "Enterprise attestation: on",
        "enterprise-attestation enable",
    ),
    plain("Remember: list without PIN", "passkeys list --remember"),
    plain("Have the passkeys changed?", "passkeys changed"),
    typed(
        "Enrol a finger",
        "fingerprints add --name {?}",
        "The finger's name",
    ),
    plain("Large blobs", "blobs list"),
    plain("RESET: erase everything", "reset"),
];

/// The screen's state.
pub(super) struct App {
    orders: Sender<Job>,
    pub(super) color: bool,
    pub(super) keys: Vec<Listed>,
    pub(super) chosen: usize,
    pub(super) tab: Tab,
    /// The facts of the chosen key.
    pub(super) facts: String,
    /// Its passkeys and fingers, as the commands printed them; none until they were listed.
    pub(super) passkeys: Option<Vec<Value>>,
    pub(super) fingers: Option<Vec<Value>>,
    /// Which line of the list, or of the text, is looked at.
    pub(super) line: usize,
    pub(super) dialog: Option<Dialog>,
    /// What the command that runs, or ran last, has said.
    pub(super) notes: String,
    printed: String,
    /// The title of what runs.
    pub(super) running: Option<&'static str>,
    over: bool,
}

impl App {
    pub(super) fn new(orders: Sender<Job>, color: bool) -> Self {
        Self {
            orders,
            color,
            keys: Vec::new(),
            chosen: 0,
            tab: Tab::Facts,
            facts: String::new(),
            passkeys: None,
            fingers: None,
            line: 0,
            dialog: None,
            notes: String::new(),
            printed: String::new(),
            running: None,
            over: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn key(&self) -> Option<&Listed> {
        self.keys.get(self.chosen)
    }

    /// The keys that are there now. The chosen one stays chosen as long as it is there.
    pub(super) fn keys(&mut self, keys: Vec<Listed>) {
        let ids = |keys: &[Listed]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        if ids(&keys) == ids(&self.keys) {
            return;
        }
        let before = self.key().map(|key| key.id.clone());
        let place = before
            .as_ref()
            .and_then(|id| keys.iter().position(|key| key.id == *id));
        self.keys = keys;
        self.chosen = place.unwrap_or(0);
        if place.is_none() {
            self.look();
        }
    }

    /// The lines of the list on the right; none if it is no list.
    pub(super) fn rows(&self) -> Option<&[Value]> {
        match self.tab {
            Tab::Facts => None,
            Tab::Passkeys => self.passkeys.as_deref(),
            Tab::Fingers => self.fingers.as_deref(),
        }
    }

    pub(super) fn actions(&self) -> Vec<Action> {
        let there = self.rows().is_some_and(|rows| !rows.is_empty());
        let fits = |action: &Action| action.tab.is_none_or(|tab| there && tab == self.tab);
        ACTIONS.into_iter().filter(fits).collect()
    }

    /// Forgets what is known of another key, and asks for the facts of this one.
    fn look(&mut self) {
        self.passkeys = None;
        self.fingers = None;
        self.facts.clear();
        self.line = 0;
        self.tab = Tab::Facts;
        self.order("Reading the key", For::Facts, "show", None);
    }

    fn order(&mut self, title: &'static str, reason: For, words: &str, typed: Option<&str>) {
        let Some(key) = self.key() else { return };
        let id = self
            .rows()
            .and_then(|rows| rows.get(self.line))
            .and_then(|row| row["id"].as_str())
            .unwrap_or_default();
        let mut words: Vec<_> = words
            .split(' ')
            .map(|word| match word {
                "{}" => id.to_owned(),
                "{?}" => typed.unwrap_or_default().to_owned(),
                word => word.to_owned(),
            })
            .collect();
        words.extend(["--device".to_owned(), key.id.clone()]);
        self.running = Some(title);
        self.notes.clear();
        self.printed.clear();
        // The thread lives as long as the screen does.
        let _ = self.orders.send(Job { reason, words });
    }

    pub(super) fn said(&mut self, said: Said) {
        match said {
            Said::Note(text) => self.notes.push_str(&text),
            Said::Print(text) => self.printed.push_str(&text),
            Said::Secret(prompt, reply) => {
                self.dialog = Some(Dialog::Secret(prompt, Zeroizing::default(), reply));
            }
            Said::Word(prompt, reply) => {
                self.dialog = Some(Dialog::Word(prompt, String::new(), reply));
            }
            Said::Done(done) => self.done(done),
        }
    }

    fn done(&mut self, done: Done) {
        self.running = None;
        self.dialog = None;
        let printed = std::mem::take(&mut self.printed) + &done.printed;
        if let Some(failure) = done.failure {
            self.notes.push_str(&crate::say::wrapped("", 0, &failure));
            self.dialog = Some(Dialog::Result);
            return;
        }
        let list = |name: &str| -> Option<Vec<Value>> {
            let json: Value = serde_json::from_str(&printed).ok()?;
            json[name].as_array().cloned()
        };
        match done.reason {
            For::Facts => self.facts = printed,
            For::Passkeys => self.passkeys = list("passkeys"),
            For::Fingers => self.fingers = list("fingerprints"),
            For::Action => {
                self.notes.push_str(&printed);
                self.dialog = Some(Dialog::Result);
            }
        }
    }

    pub(super) fn pressed(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'q')) && !self.is_busy() {
            self.over = true;
            return;
        }
        match self.dialog.take() {
            Some(dialog) => self.in_dialog(dialog, key.code),
            None if self.is_busy() => {
                if key.code == KeyCode::Esc || control {
                    device::cancel(true);
                }
            }
            None => self.on_screen(key.code),
        }
    }

    fn on_screen(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('q') => self.over = true,
            KeyCode::Char('?') | KeyCode::F(1) => self.dialog = Some(Dialog::Help),
            KeyCode::Char('n') if !self.keys.is_empty() => {
                self.chosen = (self.chosen + 1) % self.keys.len();
                self.look();
            }
            KeyCode::Char('N') if !self.keys.is_empty() => {
                self.chosen = (self.chosen + self.keys.len() - 1) % self.keys.len();
                self.look();
            }
            KeyCode::Char('r') => self.look(),
            KeyCode::Char('1') => self.go(Tab::Facts),
            KeyCode::Char('2') => self.go(Tab::Passkeys),
            KeyCode::Char('3') => self.go(Tab::Fingers),
            KeyCode::Tab => self.go(match self.tab {
                Tab::Facts => Tab::Passkeys,
                Tab::Passkeys => Tab::Fingers,
                Tab::Fingers => Tab::Facts,
            }),
            KeyCode::Down | KeyCode::Char('j') => self.line = (self.line + 1).min(self.last_line()),
            KeyCode::Up | KeyCode::Char('k') => self.line = self.line.saturating_sub(1),
            KeyCode::PageDown => self.line = (self.line + 10).min(self.last_line()),
            KeyCode::PageUp => self.line = self.line.saturating_sub(10),
            KeyCode::Home => self.line = 0,
            KeyCode::Enter | KeyCode::Char('a') if self.key().is_some() => {
                self.dialog = Some(Dialog::Menu(0));
            }
            _ => {}
        }
    }

    fn last_line(&self) -> usize {
        let count = match self.rows() {
            Some(rows) => rows.len(),
            None => self.facts.lines().count(),
        };
        count.saturating_sub(1)
    }

    /// Shows another list; it is asked for if it is not known yet.
    fn go(&mut self, tab: Tab) {
        self.tab = tab;
        self.line = 0;
        match tab {
            Tab::Passkeys if self.passkeys.is_none() => {
                self.order(
                    "Listing the passkeys",
                    For::Passkeys,
                    "passkeys list --json",
                    None,
                );
            }
            Tab::Fingers if self.fingers.is_none() => {
                self.order(
                    "Listing the fingers",
                    For::Fingers,
                    "fingerprints list --json",
                    None,
                );
            }
            _ => {}
        }
    }

    fn in_dialog(&mut self, dialog: Dialog, code: KeyCode) {
        match dialog {
            Dialog::Menu(line) => self.in_menu(line, code),
            Dialog::Input(action, mut text) => match code {
                KeyCode::Esc => {}
                KeyCode::Enter => self.act(action, Some(&text)),
                code => {
                    edit(&mut text, code);
                    self.dialog = Some(Dialog::Input(action, text));
                }
            },
            Dialog::Secret(prompt, mut secret, reply) => match code {
                KeyCode::Esc => drop(reply.send(None)),
                KeyCode::Enter => drop(reply.send(Some(secret))),
                code => {
                    edit_secret(&mut secret, code);
                    self.dialog = Some(Dialog::Secret(prompt, secret, reply));
                }
            },
            Dialog::Word(prompt, mut text, reply) => match code {
                KeyCode::Esc => drop(reply.send(None)),
                KeyCode::Enter => drop(reply.send(Some(text))),
                code => {
                    edit(&mut text, code);
                    self.dialog = Some(Dialog::Word(prompt, text, reply));
                }
            },
            Dialog::Result => {
                // What is shown on the right may be true no longer.
                let (tab, fresh) = (self.tab, self.running.is_none());
                if fresh && matches!(code, KeyCode::Enter | KeyCode::Esc | KeyCode::Char(' ')) {
                    self.look();
                    let _ = tab;
                } else {
                    self.dialog = Some(Dialog::Result);
                }
            }
            Dialog::Help => {}
        }
    }

    fn in_menu(&mut self, line: usize, code: KeyCode) {
        let actions = self.actions();
        let last = actions.len().saturating_sub(1);
        let line = match code {
            KeyCode::Esc | KeyCode::Char('q') => return,
            KeyCode::Down | KeyCode::Char('j') => (line + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => line.saturating_sub(1),
            KeyCode::Home => 0,
            KeyCode::End => last,
            KeyCode::Enter => {
                if let Some(action) = actions.get(line) {
                    match action.asks {
                        Some(_) => self.dialog = Some(Dialog::Input(*action, String::new())),
                        None => self.act(*action, None),
                    }
                }
                return;
            }
            _ => line,
        };
        self.dialog = Some(Dialog::Menu(line));
    }

    fn act(&mut self, action: Action, typed: Option<&str>) {
        self.order(action.title, For::Action, action.words, typed);
    }
}

fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(c) => text.push(c),
        KeyCode::Backspace => drop(text.pop()),
        _ => {}
    }
}

/// As [`edit`]; what is outgrown is wiped.
fn edit_secret(secret: &mut Zeroizing<String>, code: KeyCode) {
    if secret.len() == secret.capacity() {
        let mut larger = String::with_capacity(secret.capacity().max(64) * 2);
        larger.push_str(secret);
        secret.zeroize();
        *secret = Zeroizing::new(larger);
    }
    edit(secret, code);
}
