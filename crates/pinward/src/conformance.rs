//! `pinward conformance`: what a key does against CTAP, U2F and WebAuthn, check by check.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use ::conformance::{Check, Framed, Report, Row, Subject, Verdict};
use authenticator::profile::{self, Profile};
use clap::Args;
use serde::Serialize;
use subjects::{AtAddress, InProcess, Replug};
use transport::host::Address;

use crate::exit::{Exit, Fault};
use crate::{confirm, say};

/// Checks a security key against CTAP 2.0 to 2.3, U2F, CTAPHID and ISO 7816.
///
/// Each check has a name, the section that it proves, and says whether it passes, fails, or says nothing
/// about this key. By default a software key is checked, in this process and in virtual time.
///
/// A key at an address is ERASED, again before each check, and touched when it asks. It has to be taken
/// out and plugged in again each time, which you are asked for, or a command does it (`--replug`);
/// `--filter` keeps that bearable.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pinward conformance --subject in-process:fido-2.3-complete\n  \
    pinward conformance --list --filter token.\n  \
    pinward conformance --subject /dev/hidraw3 --filter getinfo. --yes\n\n\
    Exit code 0 when nothing fails, 7 when something does."
)]
pub(crate) struct ConformanceArgs {
    /// The key: in-process:PROFILE (or a profile's file), /dev/hidrawN (also hidraw:/dev/hidrawN),
    /// unix:PATH, tcp:HOST:PORT, udp:IP:PORT, pcsc:READER.
    #[arg(long, default_value = "in-process:fido-2.3", value_name = "KEY")]
    subject: Which,
    /// Only checks with this in their name or section.
    #[arg(long, default_value = "", value_name = "TEXT")]
    filter: String,
    /// Lists the checks and runs none.
    #[arg(long)]
    list: bool,
    /// All results as JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// All results as a Markdown table.
    #[arg(long)]
    markdown: bool,
    /// Do not ask whether the key may be erased.
    #[arg(long)]
    yes: bool,
    /// A command for the shell that cuts the power of the key and gives it back; without it a person is
    /// asked to plug the key in again.
    #[arg(long, value_name = "COMMAND")]
    replug: Option<String>,
}

#[derive(Debug, Clone)]
enum Which {
    InProcess(String),
    At(Address),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(profile) = text.strip_prefix("in-process:") {
            return Ok(Self::InProcess(profile.to_owned()));
        }
        let address = text.strip_prefix("hidraw:").unwrap_or(text);
        address.parse().map(Self::At).map_err(|_| {
            "a key is in-process:PROFILE, /dev/hidrawN, unix:PATH, tcp:HOST:PORT, udp:IP:PORT or \
             pcsc:READER"
                .to_owned()
        })
    }
}

/// One result, for programs.
#[derive(Serialize)]
struct Shown<'a> {
    check: &'a str,
    section: &'a str,
    title: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(row: &'a Row) -> Self {
        let (verdict, why) = match &row.verdict {
            Verdict::Pass => ("pass", None),
            Verdict::Fail(why) => ("fail", Some(why.as_str())),
            Verdict::NotApplicable(why) => ("not-applicable", Some(why.as_str())),
        };
        Self {
            check: row.check.id,
            section: row.check.section,
            title: row.check.title,
            verdict,
            why,
        }
    }
}

pub(crate) fn run(args: &ConformanceArgs) -> Result<(), Fault> {
    let checks: Vec<&'static Check> = ::conformance::all()
        .filter(|check| check.id.contains(&args.filter) || check.section.contains(&args.filter))
        .collect();
    if checks.is_empty() {
        return Err(Fault::usage(format!(
            "no check has {:?} in its name or section; `pinward conformance --list` shows all",
            say::escaped(&args.filter)
        )));
    }
    if args.list {
        return list(&checks, args.json);
    }
    let report = match &args.subject {
        Which::InProcess(name) => check(&mut Framed::new(InProcess::new(profile(name)?)), checks),
        Which::At(address) => at(address, args, checks),
    }?;
    say::out(&shown(&report, args)?)?;
    match report.counts() {
        (_, 0, _) => Ok(()),
        (_, failed, _) => Err(Fault::refused(format!("{failed} checks failed"))),
    }
}

fn profile(name: &str) -> Result<Profile, Fault> {
    let known = profile::find(name);
    let found = match known {
        Some(found) => found,
        None if Path::new(name).exists() => Profile::from_toml(&std::fs::read_to_string(name)?),
        None => {
            return Err(Fault::usage(format!(
                "there is no key profile {:?}; `pinward key profiles` lists them",
                say::escaped(name)
            )));
        }
    };
    found.map_err(|error| Fault::usage(error.to_string()))
}

fn at(
    address: &Address,
    args: &ConformanceArgs,
    checks: Vec<&'static Check>,
) -> Result<Report, Fault> {
    let shown = say::escaped(&address.to_string());
    eprintln!("Everything on the key at {shown} will be erased.");
    confirm::word(args.yes, "erase")?;
    let replug: Replug<'_> = match &args.replug {
        Some(command) => Box::new(|| shell(command)),
        None => Box::new(replugged),
    };
    let key = AtAddress::new(address.clone(), Some(replug));
    check(&mut Framed::new(key), checks)
}

/// Has a command take the key out and plug it in again. What it prints is not part of our output.
fn shell(command: &str) -> bool {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::null());
    let status = shell.stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Asks the person to take the key out and plug it in again.
fn replugged() -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    eprint!("Take the key out, plug it in again, and press Enter: ");
    let mut line = String::new();
    stdin.lock().read_line(&mut line).is_ok_and(|read| read > 0)
}

fn check(subject: &mut dyn Subject, checks: Vec<&'static Check>) -> Result<Report, Fault> {
    let total = checks.len();
    let mut done = 0;
    let progress = io::stderr().is_terminal();
    let report = ::conformance::run(subject, checks, &mut |row| {
        done += 1;
        if progress {
            eprint!("\r\x1b[K{done} of {total}  {}", row.check.id);
        }
    });
    if progress {
        eprint!("\r\x1b[K");
    }
    report.map_err(|trouble| {
        Fault::new(
            Exit::Failed,
            format!("the key cannot be checked: {trouble}; is it there, and free?"),
        )
    })
}

fn list(checks: &[&'static Check], json: bool) -> Result<(), Fault> {
    let mut text = String::new();
    if json {
        let all: Vec<_> = checks
            .iter()
            .map(|c| serde_json::json!({"check": c.id, "section": c.section, "title": c.title}))
            .collect();
        text = serde_json::to_string_pretty(&all)? + "\n";
    } else {
        for check in checks {
            let _ = writeln!(text, "{:32} {} ({})", check.id, check.title, check.section);
        }
    }
    Ok(say::out(&text)?)
}

fn shown(report: &Report, args: &ConformanceArgs) -> Result<String, Fault> {
    let (passed, failed, other) = report.counts();
    if args.json {
        let rows: Vec<_> = report.rows.iter().map(Shown::of).collect();
        let all = serde_json::json!({
            "passed": passed, "failed": failed, "notApplicable": other, "checks": rows,
        });
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    let mut text = String::new();
    if args.markdown {
        text.push_str("| check | proves | verdict |\n|---|---|---|\n");
    }
    for row in &report.rows {
        let shown = Shown::of(row);
        let why = shown
            .why
            .map(|why| format!(": {}", say::escaped(why)))
            .unwrap_or_default();
        if args.markdown {
            let why = why.replace('|', "\\|");
            let _ = writeln!(
                text,
                "| {} | {}: {} | {}{why} |",
                shown.check, shown.section, shown.title, shown.verdict
            );
        } else if let Verdict::Fail(_) = row.verdict {
            let _ = writeln!(text, "FAIL {} ({})", shown.check, shown.section);
            text.push_str(&say::wrapped("     ", 5, &format!("{}{why}", shown.title)));
        }
    }
    let _ = writeln!(
        text,
        "{}{passed} passed, {failed} failed, {other} not applicable",
        if text.is_empty() { "" } else { "\n" }
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_subject_is_a_profile_or_an_address() {
        let which = |text: &str| text.parse::<Which>();
        assert!(
            matches!(which("in-process:tiny").unwrap(), Which::InProcess(name) if name == "tiny")
        );
        for (text, address) in [
            ("hidraw:/dev/hidraw3", "/dev/hidraw3"),
            ("/dev/hidraw3", "/dev/hidraw3"),
            ("unix:/tmp/key", "unix:/tmp/key"),
            ("tcp:localhost:7000", "tcp:localhost:7000"),
        ] {
            assert!(matches!(which(text).unwrap(), Which::At(at) if at.to_string() == address));
        }
        assert!(which("fido-2.1").is_err());
    }

    #[test]
    fn an_unknown_profile_is_a_fault_of_the_command_line() {
        assert_eq!(profile("no-such-key").unwrap_err().exit, Exit::Usage);
    }
}
