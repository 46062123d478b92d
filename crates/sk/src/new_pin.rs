//! A key without a PIN, and a request that wants one: its person makes one up on the spot.
//!
//! OpenSSH asks once, for a PIN that exists; a new one is asked for twice. So this library asks
//! itself, in OpenSSH's way: ssh(1), `SSH_ASKPASS` and `SSH_ASKPASS_REQUIRE`, else the terminal.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, Stdio};

use client::pin::PinPolicy;
use zeroize::Zeroizing;

use crate::provider::AskNewPin;

/// What came of asking for a new PIN.
#[derive(Debug)]
pub enum Choice {
    /// The PIN, typed twice.
    Pin(Zeroizing<String>),
    /// The person would not, or cannot be asked.
    NotNow,
    /// The two entries differ.
    Differ,
}

/// The person in front of OpenSSH.
#[derive(Debug)]
pub struct Person;

/// No PIN has so long a line.
const MOST_BYTES: u64 = 1024;

impl AskNewPin for Person {
    fn new_pin(&mut self, policy: &PinPolicy, needed: bool) -> Choice {
        let way = Way::find(|name| std::env::var_os(name), has_terminal());
        let skip = if needed {
            ""
        } else {
            ", or nothing to go on without"
        };
        let question = format!(
            "This security key has no PIN yet. New PIN (at least {} characters){skip}: ",
            policy.min_length
        );
        let Some(first) = way.ask(&question).filter(|typed| !typed.is_empty()) else {
            return Choice::NotNow;
        };
        match way.ask("The same PIN again: ") {
            Some(second) if *first == *second => Choice::Pin(first),
            _ => Choice::Differ,
        }
    }
}

/// How a person is asked.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Askpass(OsString),
    Terminal,
    Nobody,
}

impl Way {
    /// ssh(1), ENVIRONMENT.
    fn find(variable: impl Fn(&str) -> Option<OsString>, terminal: bool) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let askpass =
            || Self::Askpass(set("SSH_ASKPASS").unwrap_or_else(|| "/usr/bin/ssh-askpass".into()));
        let display = set("DISPLAY").is_some() || set("WAYLAND_DISPLAY").is_some();
        let wish = set("SSH_ASKPASS_REQUIRE").unwrap_or_default();
        match wish.to_str() {
            Some("force") => askpass(),
            Some("prefer") if display => askpass(),
            _ if terminal => Self::Terminal,
            Some("never") => Self::Nobody,
            _ if display => askpass(),
            _ => Self::Nobody,
        }
    }

    fn ask(&self, question: &str) -> Option<Zeroizing<String>> {
        match self {
            Self::Askpass(program) => run(program, question),
            Self::Terminal => rpassword::prompt_password(question)
                .ok()
                .map(Zeroizing::new),
            Self::Nobody => None,
        }
    }
}

fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// The first line that the program says, if it ends well.
fn run(program: &OsString, question: &str) -> Option<Zeroizing<String>> {
    let mut child = Command::new(program)
        .arg(question)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut said = Zeroizing::new(String::with_capacity(MOST_BYTES as usize));
    let read = child
        .stdout
        .take()
        .map(|out| out.take(MOST_BYTES).read_to_string(&mut said));
    let ended_well = child.wait().ok()?.success();
    (ended_well && matches!(read, Some(Ok(_))))
        .then(|| Zeroizing::new(said.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn way(variables: &[(&str, &str)], terminal: bool) -> Way {
        let find = |name: &str| {
            let found = variables.iter().find(|(its, _)| *its == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Way::find(find, terminal)
    }

    #[test]
    fn a_person_is_asked_where_openssh_would_ask() {
        let askpass = || Way::Askpass("/a".into());
        let program = ("SSH_ASKPASS", "/a");
        let display = ("DISPLAY", ":0");
        let require = |how| ("SSH_ASKPASS_REQUIRE", how);
        assert_eq!(way(&[program], true), Way::Terminal);
        assert_eq!(way(&[program], false), Way::Nobody);
        assert_eq!(way(&[program, display], false), askpass());
        assert_eq!(way(&[program, display], true), Way::Terminal);
        assert_eq!(way(&[program, require("force")], true), askpass());
        assert_eq!(way(&[program, display, require("prefer")], true), askpass());
        assert_eq!(way(&[program, require("prefer")], true), Way::Terminal);
        let never = way(&[program, display, require("never")], false);
        assert_eq!(never, Way::Nobody);
        let usual = Way::Askpass("/usr/bin/ssh-askpass".into());
        assert_eq!(way(&[display], false), usual);
    }

    #[test]
    fn the_first_line_counts_if_the_program_ends_well() {
        let ask = |program: &str| run(&OsString::from(program), "Question");
        assert_eq!(*ask("/bin/echo").unwrap(), "Question");
        assert!(ask("/bin/false").is_none());
        assert!(ask("/nowhere").is_none());
        assert_eq!(Way::Nobody.ask("Question"), None);
    }
}
