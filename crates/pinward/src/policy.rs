//! `pinward policy`: what the owner of this host decided about PINs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use client::policy::{HostPolicy, HostPolicyFile, PinSetup};
use serde_json::json;

use crate::say;

/// The policy of a host: when a PIN is set up on it, and for which sites.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(CheckArgs),
}

/// Checks a policy file and says what it comes to.
///
/// The policy decides what this host does when verification is wanted and the key has no PIN. Other
/// platforms do as they please; `pinward platforms` says so of each.
#[derive(Debug, Args)]
#[command(
    after_help = "A policy, with everything that can be said in one:\n\n  \
    never-provision = false        # true: no PIN is ever set up on this host (kiosks)\n\n  \
    [create]                       # registering; [get] is signing in\n  \
    preferred = \"offer\"            # proceed, offer (with \"not now\"), provision or fail\n  \
    required = \"provision\"         # offer counts as provision, proceed as fail\n  \
    allow = [\"example.org\"]        # set up a PIN for these sites only; empty: for all\n  \
    deny = [\"*.example.com\"]       # and never for these; *. is everything below\n\n\
    Exit codes: 0 it can be used, 1 it cannot be read, 2 something in it is wrong."
)]
pub(crate) struct CheckArgs {
    /// The policy, in TOML.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what it comes to for this site.
    #[arg(long, value_name = "RP_ID")]
    rp: Option<String>,
    /// Print JSON: `warnings`, and `policy` as it counts for the site.
    #[arg(long)]
    json: bool,
}

/// Something in a policy, or in the question about it, is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongPolicy(String);

/// Reads a policy.
pub(crate) fn read(file: &Path) -> Result<HostPolicyFile, crate::Failure> {
    let name = say::escaped(&file.display().to_string());
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let policy = HostPolicyFile::from_toml(&text);
    Ok(policy.map_err(|error| WrongPolicy(format!("{name}: {error}")))?)
}

pub(crate) fn run(command: &PolicyCommand) -> Result<(), crate::Failure> {
    let PolicyCommand::Check(args) = command;
    let policy = read(&args.file)?;
    let rp = args.rp.as_deref();
    if let Some(rp) = rp {
        client::policy::check_rp_id(rp).map_err(|error| WrongPolicy(error.to_string()))?;
    }
    // Without a site: for one that stands in no list.
    let site = rp.unwrap_or("a site in no list");
    let counts = policy.for_rp(site);
    let warnings = policy.warnings();
    if args.json {
        let answer = json!({ "rp": rp, "policy": counts, "warnings": warnings });
        return Ok(say::out(&format!("{answer:#}\n"))?);
    }
    let mut text = String::new();
    let _ = writeln!(text, "For {site}, a key without a PIN:");
    text.push_str(&words(&counts));
    for warning in warnings {
        text.push_str(&say::wrapped("Warning: ", 9, &warning));
    }
    Ok(say::out(&text)?)
}

fn words(policy: &HostPolicy) -> String {
    let mut text = String::new();
    for (what, setup, required) in [
        (
            "registering, preferred",
            policy.create_preferred_no_pin,
            false,
        ),
        (
            "registering, required ",
            policy.create_required_no_pin,
            true,
        ),
        ("signing in, preferred ", policy.get_preferred_no_pin, false),
        ("signing in, required  ", policy.get_required_no_pin, true),
    ] {
        let _ = writeln!(
            text,
            "  {what}  {}",
            outcome(policy.effective(setup, required), required)
        );
    }
    text
}

fn outcome(setup: PinSetup, required: bool) -> &'static str {
    match (setup, required) {
        (PinSetup::Proceed, false) => "a touch is enough",
        (PinSetup::Offer, false) => "a PIN is offered; \"not now\" goes on with a touch",
        (PinSetup::Offer, true) | (PinSetup::Provision, _) => "a PIN has to be created",
        (PinSetup::Proceed, true) | (PinSetup::Fail, _) => "fails: the key cannot be used",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn an_error_names_file_and_line_and_is_wrong_use() {
        let file = file("[get]\ndeny = [\"no domain\"]");
        let failure = read(file.path()).unwrap_err();
        assert!(failure.is::<WrongPolicy>());
        let said = failure.to_string();
        assert!(said.contains(file.path().to_str().unwrap()), "{said}");
        assert!(said.contains("line 2: [get] deny: `no domain`"), "{said}");
        let missing = read(Path::new("/there/is/no/policy.toml")).unwrap_err();
        assert!(!missing.is::<WrongPolicy>());
    }

    #[test]
    fn the_example_of_the_help_is_a_policy() {
        use clap::CommandFactory as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(subcommand)]
            _command: PolicyCommand,
        }
        let command = Line::command();
        let help = command
            .find_subcommand("check")
            .unwrap()
            .get_after_help()
            .unwrap()
            .to_string();
        let example = help
            .split("\n\n")
            .skip(1)
            .take(2)
            .collect::<Vec<_>>()
            .join("\n");
        let policy = read(file(&example).path()).unwrap();
        assert_eq!(
            policy.for_rp("example.org").create_preferred_no_pin,
            PinSetup::Offer
        );
        assert_eq!(
            policy.for_rp("example.net").create_preferred_no_pin,
            PinSetup::Proceed
        );
        assert_eq!(policy.warnings(), Vec::<String>::new());
    }

    #[test]
    fn a_kiosk_sets_up_nothing() {
        let policy = read(file("never-provision = true").path()).unwrap();
        let text = words(&policy.for_rp("example.org"));
        assert_eq!(text.matches("a touch is enough").count(), 2, "{text}");
        assert_eq!(text.matches("fails").count(), 2, "{text}");
    }
}
