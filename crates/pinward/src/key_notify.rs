//! What a key asks, as a notification of the desktop

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use authenticator::{Interaction, UserEvent};
use softkey::Prompts;
use softkey::prompts::describe;

/// The program that shows notifications; it comes with libnotify.
const PROGRAM: &str = "notify-send";

/// The program is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "--notify needs the program {PROGRAM}, which is not in the PATH; install it (Debian: libnotify-bin), \
     or leave --notify out"
)]
pub(crate) struct NoNotifySend;

/// Prompts that show a notification first.
pub(crate) struct Notify {
    program: PathBuf,
    inner: Box<dyn Prompts>,
}

impl Notify {
    pub(crate) fn new(inner: Box<dyn Prompts>) -> Result<Self, NoNotifySend> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = find(&path).ok_or(NoNotifySend)?;
        Ok(Self { program, inner })
    }

    fn show(&self, summary: &str, body: &str) {
        let child = Command::new(&self.program)
            .args(["--app-name=Pinward", "--icon=dialog-password"])
            .args(["--", summary, &unmarked(body)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            // Somebody has to wait for it, and the key must not.
            Ok(mut child) => drop(
                std::thread::Builder::new()
                    .name("notification".to_owned())
                    .spawn(move || child.wait()),
            ),
            Err(error) => eprintln!("pinward: no notification: {error}"),
        }
    }
}

fn find(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(PROGRAM))
        .find(|file| {
            let meta = file.metadata();
            meta.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// Names come from sites, and notifications know markup.
fn unmarked(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl Prompts for Notify {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        let event = self.inner.asked(interaction);
        // What is answered at once nobody has to be told.
        if event.is_none() {
            let summary = match interaction {
                Interaction::Touch { .. } => "Touch the security key",
                Interaction::BuiltInUv { .. } => "Lay your finger on the security key",
            };
            self.show(summary, &format!("to {}", describe(interaction.purpose())));
        }
        event
    }

    fn later(&mut self) -> Option<(Duration, UserEvent)> {
        self.inner.later()
    }

    fn ended(&mut self) {
        self.inner.ended();
    }

    fn wink(&mut self) {
        self.show(
            "The security key is winking",
            "A program wants to show which key it is.",
        );
        self.inner.wink();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_sites_are_no_markup() {
        assert_eq!(unmarked("<b>a&b</b>"), "&lt;b&gt;a&amp;b&lt;/b&gt;");
    }

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(find(empty.path().as_os_str()), None);
        let text = NoNotifySend.to_string();
        assert!(text.contains("notify-send") && text.contains("libnotify-bin"));
    }
}
