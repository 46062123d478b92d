//! `pinward explain`: what a platform does with a key and a request, why, and what others do.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use client::policy::HostPolicy;
use client::report::{Ended, Party, Report};
use lab::{Ceremony, Request, Run, Scenario, UserAction};
use rp::policy::UserVerificationPolicy;
use serde::Serialize;

use crate::{names, say};

/// Says when and why a person is asked for a PIN.
///
/// A software key is brought into the state that you name and put before the platform that you name;
/// the request is run, from the site's options to its verdict, and the reasons are collected on the
/// way. Then every other platform gets the same request.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: why does Windows 11 ask to create a PIN when I sign in?\n  \
                        pinward explain --platform windows-11-after-kb5068861 --ceremony get --uv if-set --state no-pin"
)]
pub(crate) struct ExplainArgs {
    /// The platform; `pinward platforms` lists them.
    #[arg(long, value_name = "ID")]
    platform: String,
    /// The key: a model from `pinward key profiles`, or a file with a profile.
    #[arg(long, value_name = "ID|FILE", default_value = "fido-2.1")]
    key: String,
    /// The state of the key; `pinward key profiles` lists the states of each.
    #[arg(long, value_name = "STATE", default_value = "no-pin")]
    state: String,
    /// What the site calls.
    #[arg(long, value_enum, default_value = "get")]
    ceremony: CeremonyArg,
    /// When the site wants its user verified.
    #[arg(long, value_enum, value_name = "WHEN")]
    uv: UvArg,
    /// create: the credential must be discoverable (a passkey). get: no account is named.
    #[arg(long)]
    discoverable: bool,
    /// What the person does.
    #[arg(long, value_enum, default_value = "accepts")]
    person: PersonArg,
    /// Print JSON: `run` and `others`, with steps, reasons, verdict and the decoded messages.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CeremonyArg {
    /// Registers a credential: navigator.credentials.create().
    Create,
    /// Signs in: navigator.credentials.get().
    Get,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UvArg {
    /// userVerification: discouraged.
    #[value(alias = "discouraged")]
    Never,
    /// userVerification: preferred.
    #[value(alias = "preferred")]
    IfSet,
    /// userVerification: required.
    #[value(alias = "required")]
    Always,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PersonArg {
    /// Does what every dialog asks.
    Accepts,
    /// Closes the first dialog.
    Cancels,
    /// Mistypes the PIN once.
    WrongPin,
}

impl ExplainArgs {
    fn request(&self) -> Request {
        Request {
            ceremony: match self.ceremony {
                CeremonyArg::Create => Ceremony::Create,
                CeremonyArg::Get => Ceremony::Get,
            },
            user_verification: match self.uv {
                UvArg::Never => UserVerificationPolicy::Never,
                UvArg::IfSet => UserVerificationPolicy::IfSet,
                UvArg::Always => UserVerificationPolicy::Always,
            },
            discoverable: self.discoverable,
        }
    }
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Answer<'a> {
    /// The cell that was asked for.
    run: &'a Run,
    /// The same on every other platform.
    others: &'a [Run],
}

pub(crate) fn run(args: &ExplainArgs) -> Result<(), crate::Failure> {
    let key = names::key(&args.key)?;
    let scenario = Scenario {
        platform: names::platform(&args.platform)?,
        host: HostPolicy::default(),
        key: &key,
        key_state: names::key_state(&args.state)?,
        request: args.request(),
        user: match args.person {
            PersonArg::Accepts => UserAction::Accepts,
            PersonArg::Cancels => UserAction::Cancels,
            PersonArg::WrongPin => UserAction::WrongPin,
        },
    };
    let mut platforms = client::profile::all();
    platforms.retain(|platform| platform.id != scenario.platform.id);
    let run = scenario.run()?;
    let others = lab::compare(&scenario, &platforms)?;
    if args.json {
        let answer = serde_json::to_string_pretty(&Answer {
            run: &run,
            others: &others,
        })?;
        return Ok(say::out(&(answer + "\n"))?);
    }
    Ok(say::out(&text(&run, &others))?)
}

fn text(run: &Run, others: &[Run]) -> String {
    let mut text = String::new();
    let state = format!("{}: {}", run.key.name, run.key_state.name());
    text.push_str(&say::wrapped("Platform  ", 10, &run.platform.name));
    text.push_str(&say::wrapped("Key       ", 10, &state));
    text.push_str(&say::wrapped("Request   ", 10, &request(&run.request)));
    text.push_str(&say::wrapped("Steps     ", 10, &steps(&run.report)));
    text.push_str(&say::wrapped("End       ", 10, &end(run)));
    if let Some(verdict) = &run.verdict {
        text.push_str(&say::wrapped("The site  ", 10, &verdict.help));
    }
    if let Some(note) = run.note {
        text.push_str(&say::wrapped("Note      ", 10, note));
    }
    text.push_str("\nWhy\n");
    for (number, reason) in run.report.reasons.iter().enumerate() {
        let first = format!("{:>2}. ", number + 1);
        let fact = format!("{}: {}", party(reason.who), reason.fact);
        text.push_str(&say::wrapped(&first, 4, &fact));
        let source = format!("[{}] {}", reason.certainty.name(), reason.reference);
        text.push_str(&say::wrapped("    ", 4, &source));
    }
    text.push_str("\nThe same on other platforms\n");
    let width = others
        .iter()
        .map(|run| run.platform.id.len())
        .max()
        .unwrap_or(0);
    for other in others {
        let same = if agree(run, other) { "  (as here)" } else { "" };
        let ended = other.report.ended.name();
        let _ = writeln!(
            text,
            "  {:width$}  {:7}  {}{same}",
            other.platform.id,
            ended,
            steps(&other.report)
        );
    }
    text
}

fn agree(one: &Run, other: &Run) -> bool {
    let (one, other) = (&one.report, &other.report);
    (&one.steps, one.uv, one.ended) == (&other.steps, other.uv, other.ended)
}

fn party(who: Party) -> &'static str {
    match who {
        Party::Site => "the site",
        Party::Platform => "the platform",
        Party::Key => "the key",
        Party::Person => "the person",
    }
}

fn request(request: &Request) -> String {
    let (call, user_verification) = match request.ceremony {
        Ceremony::Create => ("registration", request.user_verification.at_registration()),
        Ceremony::Get => (
            "sign-in",
            request.user_verification.at_authentication(false),
        ),
    };
    let kind = if request.discoverable {
        ", discoverable"
    } else {
        ""
    };
    format!(
        "{call}, userVerification: {}{kind}",
        user_verification.as_str()
    )
}

fn steps(report: &Report) -> String {
    let names: Vec<_> = report.steps.iter().map(|step| step.name()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn end(run: &Run) -> String {
    let failure = run.failure.as_ref();
    match (run.report.ended, run.report.uv) {
        (Ended::Ok, Some(true)) => {
            "The key answered, and vouches that its user was verified (UV set).".to_owned()
        }
        (Ended::Ok, _) => "The key answered; its user was not verified (UV not set).".to_owned(),
        (Ended::Unknown, _) => "It is not known what this platform does here.".to_owned(),
        (ended, _) => {
            let ended = match ended {
                Ended::Loop => "The platform repeats its dialogs for ever. ",
                Ended::Hang => "The platform never ends. ",
                _ => "",
            };
            let failure = failure.map(|f| format!("{} ({})", f.reason, f.name.name()));
            format!("{ended}{}", failure.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(platform: &str, uv: UvArg) -> String {
        let key = names::key("fido-2.1").unwrap();
        let scenario = Scenario {
            platform: names::platform(platform).unwrap(),
            host: HostPolicy::default(),
            key: &key,
            key_state: lab::KeyState::NoPin,
            request: Request {
                ceremony: Ceremony::Get,
                user_verification: match uv {
                    UvArg::Never => UserVerificationPolicy::Never,
                    UvArg::IfSet => UserVerificationPolicy::IfSet,
                    UvArg::Always => UserVerificationPolicy::Always,
                },
                discoverable: false,
            },
            user: UserAction::Accepts,
        };
        let others = lab::compare(&scenario, &client::profile::all()).unwrap();
        text(&scenario.run().unwrap(), &others)
    }

    #[test]
    fn the_story_of_the_two_updates_is_told() {
        let before = answer("windows-11-before-kb5065789", UvArg::IfSet);
        assert!(before.contains("Steps     touch\n"), "{before}");
        assert!(before.contains("userVerification: preferred"), "{before}");
        let after = answer("windows-11-after-kb5068861", UvArg::IfSet);
        assert!(after.contains("Steps     create-pin"), "{after}");
        assert!(after.contains("the platform: "), "{after}");
        assert!(
            after.contains("  windows-11-before-kb5065789  ok"),
            "{after}"
        );
    }

    #[test]
    fn no_line_is_too_wide_to_read() {
        let text = answer("windows-10-22h2", UvArg::Always);
        let why = text.split("\nThe same").next().unwrap();
        // A reference can be one long address.
        let long = why
            .lines()
            .find(|line| line.chars().count() > 88 && !line.contains("://"));
        assert_eq!(long, None);
    }
}
