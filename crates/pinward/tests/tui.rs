//! `pinward tui` in tmux, at 80x24, by its keyboard. Needs tmux; without it, says so and passes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test stops at its first surprise, and says why it did not run

mod common;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::{Pinward, SoftKey, register};
use tempfile::TempDir;

/// A terminal of 80 columns and 24 lines.
struct Terminal {
    dir: TempDir,
}

impl Terminal {
    fn start(key: &SoftKey, environment: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: there is no tmux (Debian: tmux)");
            return None;
        }
        let terminal = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let program = format!(
            "env PINWARD_KEYS={} PINWARD_LEDGER={}/keys.sqlite LANG=C.UTF-8 {environment} {} tui",
            key.address(),
            terminal.dir.path().display(),
            env!("CARGO_BIN_EXE_pinward"),
        );
        let started = terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24", &program]);
        assert!(started.status.success(), "{started:?}");
        Some(terminal)
    }

    fn tmux(&self, words: &[&str]) -> Output {
        let socket = self.dir.path().join("tmux");
        Command::new("tmux")
            .args(["-u", "-f", "/dev/null", "-S"])
            .arg(socket)
            .args(words)
            .output()
            .unwrap()
    }

    fn screen(&self) -> String {
        String::from_utf8(self.tmux(&["capture-pane", "-p"]).stdout).unwrap()
    }

    /// The screen with its colours and styles as escapes.
    fn styled(&self) -> String {
        String::from_utf8(self.tmux(&["capture-pane", "-p", "-e"]).stdout).unwrap()
    }

    #[track_caller]
    fn shows(&self, what: &str) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let screen = self.screen();
            if screen.contains(what) {
                assert!(screen.lines().count() <= 24);
                return screen;
            }
            assert!(
                Instant::now() < end,
                "{what:?} is not on the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn write(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Chooses a line of the menu of actions.
    #[track_caller]
    fn act(&self, title: &str) {
        self.press("Enter");
        self.shows("Actions");
        for _ in 0..40 {
            let styled = self.styled();
            let chosen = styled
                .lines()
                .find(|line| line.contains("\u{1b}[7m") && line.contains(title));
            if chosen.is_some() {
                return self.press("Enter");
            }
            self.press("Down");
            std::thread::sleep(Duration::from_millis(80));
        }
        panic!("there is no {title:?}:\n{}", self.screen());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_key_is_managed_by_keyboard_alone() {
    let key = SoftKey::new("fido-2.1");
    register(&key, "a.example", 1, "ann\u{1b}[2J");
    register(&key, "b.example", 2, "bob");
    let Some(terminal) = Terminal::start(&key, "NO_COLOR=1") else {
        return;
    };
    terminal.shows("PIN         not set");
    terminal.act("Set the first PIN");
    terminal.shows("New PIN, 4 to 63 characters");
    terminal.write("739154");
    assert!(!terminal.shows("******").contains("739154"));
    terminal.press("Enter");
    terminal.shows("The same PIN again");
    terminal.write("739154");
    terminal.press("Enter");
    terminal.shows("the PIN is set");
    terminal.press("Enter");
    terminal.shows("8 tries left");
    // Two passkeys; one goes, with what that means said before.
    terminal.press("2");
    terminal.shows("PIN of the key (8 tries left)");
    terminal.write("739154");
    terminal.press("Enter");
    terminal.shows("a.example");
    let list = terminal.shows("ann\\u{1b}[2J");
    assert!(list.contains("b.example"), "{list}");
    terminal.press("Down");
    terminal.act("Delete this passkey");
    terminal.shows("PIN of the key");
    terminal.write("739154");
    terminal.press("Enter");
    terminal.shows("Type yes to go on");
    terminal.press("Escape");
    terminal.shows("not confirmed");
    terminal.press("Enter");
    terminal.shows("Always UV   off");
    terminal.act("Always verify the user: on");
    terminal.shows("U2F is switched off");
    terminal.write("739154");
    terminal.press("Enter");
    terminal.shows("always UV is on");
    terminal.press("Enter");
    let screen = terminal.shows("Always UV   on");
    assert!(screen.contains("q quit"), "{screen}");
    for color in 30..38 {
        assert!(
            !terminal.styled().contains(&format!("\u{1b}[{color}m")),
            "NO_COLOR"
        );
    }
    let run = |line: &str| Pinward::new(line).keys(&[&key]).env("PIN", "739154").run();
    let list = run("passkeys list --json --pin env:PIN").ok().json();
    assert_eq!(list["existing"], 2, "what was not confirmed was not done");
    terminal.press("q");
    let end = Instant::now() + Duration::from_secs(10);
    while terminal.tmux(&["has-session"]).status.success() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    SoftKey::new("fido-2.1")
        .run("tui")
        .code(2)
        .says("no terminal");
}
