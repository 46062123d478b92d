//! The person at the key: who answers when the key asks for a touch or a finger

use std::io::Write;
use std::time::Duration;

use authenticator::{Interaction, Purpose, UserEvent};

/// Answers the key's wishes, or shows them to somebody who will.
pub trait Prompts: Send {
    /// The key asks. What is returned happens at once; with `None` the key waits for
    /// [`crate::RunningKey::touch`] and its like.
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent>;

    /// What happens by itself after this time, if [`Prompts::asked`] has just left the key waiting.
    fn later(&mut self) -> Option<(Duration, UserEvent)> {
        None
    }

    /// What was asked is over: done, cancelled or timed out.
    fn ended(&mut self) {}

    /// The platform wants to show which key this is.
    fn wink(&mut self) {}
}

impl Prompts for Box<dyn Prompts> {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        (**self).asked(interaction)
    }

    fn later(&mut self) -> Option<(Duration, UserEvent)> {
        (**self).later()
    }

    fn ended(&mut self) {
        (**self).ended();
    }

    fn wink(&mut self) {
        (**self).wink();
    }
}

/// Touches at once, and has an enrolled finger. For unattended tests: it consents to everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AutoTouch;

impl Prompts for AutoTouch {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        Some(interaction.consent())
    }
}

/// Shows nothing and waits: the program that owns the key touches it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manual;

impl Prompts for Manual {
    fn asked(&mut self, _: &Interaction) -> Option<UserEvent> {
        None
    }
}

/// Says in plain words what is asked, and by whom, and waits.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
}

impl<W: Write + Send> Terminal<W> {
    /// Writes to `out`, for example the standard error output.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn say(&mut self, line: &str) {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
    }
}

impl<W: Write + Send> Prompts for Terminal<W> {
    fn asked(&mut self, interaction: &Interaction) -> Option<UserEvent> {
        let purpose = describe(interaction.purpose());
        let line = match interaction {
            Interaction::Touch { .. } => {
                format!("Touch the key to {purpose}: press Enter (or n Enter to decline).")
            }
            Interaction::BuiltInUv { attempts_left, .. } => format!(
                "Lay your finger on the key to {purpose}: press Enter \
                 (or w Enter for a wrong finger; {attempts_left} left)."
            ),
        };
        self.say(&line);
        None
    }

    fn ended(&mut self) {
        self.say("Nothing is asked of you any more.");
    }

    fn wink(&mut self) {
        self.say("This key is winking at you.");
    }
}

/// What a touch is for, after the words "Touch the key to".
#[must_use]
pub fn describe(purpose: &Purpose) -> String {
    match purpose {
        Purpose::MakeCredential {
            rp_id,
            user_name: Some(user),
        } => {
            format!(
                "create a passkey for {} on {}",
                printable(user),
                printable(rp_id)
            )
        }
        Purpose::MakeCredential {
            rp_id,
            user_name: None,
        } => {
            format!("create a passkey on {}", printable(rp_id))
        }
        Purpose::GetAssertion { rp_id } => format!("sign in to {}", printable(rp_id)),
        Purpose::Token { rp_id: Some(rp_id) } => format!("be verified for {}", printable(rp_id)),
        Purpose::Token { rp_id: None } => "be verified".to_owned(),
        Purpose::EnrollFinger => "enrol it".to_owned(),
        Purpose::Reset => "ERASE everything on it".to_owned(),
        Purpose::ResetByLongTouch => "ERASE everything on it, and hold it for 5 s".to_owned(),
        Purpose::Selection => "choose it".to_owned(),
        Purpose::U2fRegister => "register it as a second factor (U2F)".to_owned(),
        Purpose::U2fAuthenticate => "sign in with it as a second factor (U2F)".to_owned(),
    }
}

/// Text from outside, safe to print on a terminal: no control or bidirectional-override characters.
fn printable(text: &str) -> String {
    const MAX: usize = 100;
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let mut out: String = text
        .chars()
        .take(MAX)
        .map(|c| if hidden(c) { '\u{FFFD}' } else { c })
        .collect();
    if text.chars().nth(MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use authenticator::FingerMatch;

    use super::*;

    fn touch(purpose: Purpose) -> Interaction {
        Interaction::Touch {
            purpose,
            deadline: Duration::ZERO,
        }
    }

    #[test]
    fn the_terminal_says_who_wants_what() {
        let mut terminal = Terminal::new(Vec::new());
        let make = Purpose::MakeCredential {
            rp_id: "example.com".to_owned(),
            user_name: Some("anna\u{1b}[2J\u{202E}".to_owned()),
        };
        assert_eq!(terminal.asked(&touch(make)), None);
        terminal.ended();
        terminal.asked(&touch(Purpose::Reset));
        terminal.wink();
        let said = String::from_utf8(terminal.out).unwrap();
        assert_eq!(
            said,
            "Touch the key to create a passkey for anna\u{FFFD}[2J\u{FFFD} on example.com: press Enter (or n Enter to decline).\n\
             Nothing is asked of you any more.\n\
             Touch the key to ERASE everything on it: press Enter (or n Enter to decline).\n\
             This key is winking at you.\n"
        );
    }

    #[test]
    fn long_names_are_cut() {
        let name = describe(&Purpose::GetAssertion {
            rp_id: "x".repeat(300),
        });
        assert_eq!(name.chars().count(), "sign in to ".len() + 101);
    }

    #[test]
    fn auto_touch_answers_each_kind_of_wish() {
        let finger = Interaction::BuiltInUv {
            purpose: Purpose::Selection,
            attempts_left: 3,
            deadline: Duration::ZERO,
        };
        assert_eq!(
            AutoTouch.asked(&touch(Purpose::Selection)),
            Some(UserEvent::Touch)
        );
        assert_eq!(
            AutoTouch.asked(&finger),
            Some(UserEvent::Finger(FingerMatch::Match))
        );
        assert_eq!(Manual.asked(&finger), None);
    }
}
