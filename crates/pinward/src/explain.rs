//! `pinward explain`: what a platform does with a key and a request, why, and what others do.

mod plugged;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use authenticator::Profile;
use clap::Args;
use client::policy::HostPolicy;
use client::profile::PlatformProfile;
use client::report::{Ended, Party, Step};
use lab::advice::Advice;
use lab::options::{SiteOptions, Verbatim};
use lab::{Ceremony, Request, Run, Scenario};
use serde::Serialize;

use crate::names::{self, CeremonyArg, PersonArg, UvArg};
use crate::{policy, say};

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
    /// A key that is plugged in, instead: its id, number or address in `pinward list`. It is only asked
    /// what it is: no touch, no PIN.
    #[arg(long, short, value_name = "KEY", conflicts_with_all = ["key", "state", "person"])]
    device: Option<String>,
    /// What the site calls.
    #[arg(long, value_enum, default_value = "get")]
    ceremony: CeremonyArg,
    /// When the site wants its user verified.
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        required_unless_present = "options"
    )]
    uv: Option<UvArg>,
    /// create: the credential must be discoverable (a passkey). get: no account is named.
    #[arg(long)]
    discoverable: bool,
    /// Take the request from the site's options in JSON, as create() or get() gets them; - reads the
    /// standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ceremony", "uv", "discoverable"])]
    options: Option<PathBuf>,
    /// The policy of the host, for the platforms that have one; `pinward policy check` explains the file.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The site that the policy is asked about, unless the options name it.
    #[arg(long, value_name = "RP_ID", requires = "policy")]
    rp: Option<String>,
    /// What the person does.
    #[arg(long, value_enum, default_value = "accepts")]
    person: PersonArg,
    /// Print JSON: `run`, `advice` and `others`, with steps, reasons, verdict and the decoded messages.
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    /// The request, from the options or from the flags.
    fn request(&self, key: &Profile) -> Result<SiteOptions, crate::Failure> {
        let Some((name, value)) = self.site_options()? else {
            return Ok(SiteOptions {
                verbatim: None,
                request: Request {
                    ceremony: self.ceremony.ceremony(),
                    user_verification: self.uv.ok_or("--uv is missing")?.policy(),
                    discoverable: self.discoverable,
                },
                rp_id: None,
                remarks: Vec::new(),
            });
        };
        let read = SiteOptions::read(&value.to_string(), key);
        Ok(read.map_err(|error| format!("{name}: {error}"))?)
    }

    /// The site's options, taken out of `publicKey`, and the name of their file.
    fn site_options(&self) -> Result<Option<(String, serde_json::Value)>, crate::Failure> {
        let Some(file) = &self.options else {
            return Ok(None);
        };
        let name = say::escaped(&file.display().to_string());
        let text = if name == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|error| format!("{name}: {error}"))?;
        let mut value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
        if let Some(inner) = value.get_mut("publicKey") {
            value = inner.take();
        }
        Ok(Some((name, value)))
    }

    /// The policy of the host for this site.
    fn host(&self, named: Option<&str>) -> Result<HostPolicy, crate::Failure> {
        let Some(file) = &self.policy else {
            return Ok(HostPolicy::default());
        };
        let site = self.rp.as_deref().or(named).unwrap_or(lab::RP_ID);
        client::policy::check_rp_id(site)?;
        Ok(policy::read(file)?.for_rp(site))
    }
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Answer<'a> {
    /// The cell that was asked for.
    run: &'a Run,
    /// What each party could change.
    advice: &'a [Advice],
    /// The same on every other platform.
    others: &'a [Run],
    /// What of the site's options was left out or taken for something else.
    remarks: &'a [String],
}

pub(crate) fn run(args: &ExplainArgs) -> Result<(), crate::Failure> {
    if let Some(device) = &args.device {
        return plugged::run(args, device);
    }
    let said = with_answer(args, |answer| {
        if args.json {
            Ok(serde_json::to_string_pretty(answer)? + "\n")
        } else {
            Ok::<_, serde_json::Error>(text(answer))
        }
    })?;
    Ok(say::out(&said?)?)
}

/// Runs what was asked for, and lends out what came of it.
fn with_answer<T>(
    args: &ExplainArgs,
    then: impl FnOnce(&Answer<'_>) -> T,
) -> Result<T, crate::Failure> {
    let key = names::key(&args.key)?;
    let site = args.request(&key)?;
    let scenario = Scenario {
        platform: names::platform(&args.platform)?,
        host: args.host(site.rp_id.as_deref())?,
        key: &key,
        key_state: names::key_state(&args.state)?,
        request: site.request,
        user: args.person.action(),
    };
    let mut platforms = client::profile::all();
    platforms.retain(|platform| platform.id != scenario.platform.id);
    let plain = scenario.run()?;
    let (run, others) = match &site.verbatim {
        Some(options) => verbatim(&scenario, options, &platforms)?,
        None => (plain.clone(), lab::compare(&scenario, &platforms)?),
    };
    Ok(then(&Answer {
        run: &run,
        advice: &scenario.advice(&plain)?,
        others: &others,
        remarks: &site.remarks,
    }))
}

/// The site's options as they stand, here and on these platforms.
fn verbatim(
    scenario: &Scenario<'_>,
    options: &Verbatim,
    platforms: &[Arc<PlatformProfile>],
) -> Result<(Run, Vec<Run>), crate::Failure> {
    let on = |platform: &Arc<PlatformProfile>| {
        let platform = Arc::clone(platform);
        Scenario {
            platform,
            ..scenario.clone()
        }
        .run_verbatim(options)
    };
    let others: Result<Vec<_>, _> = platforms.iter().map(on).collect();
    Ok((scenario.run_verbatim(options)?, others?))
}

fn text(answer: &Answer<'_>) -> String {
    let run = answer.run;
    let mut text = String::new();
    let state = format!("{}: {}", run.key.name, run.key_state.name());
    text.push_str(&say::wrapped("Platform  ", 10, &run.platform.name));
    text.push_str(&say::wrapped("Key       ", 10, &state));
    text.push_str(&say::wrapped("Request   ", 10, &request(&run.request)));
    text.push_str(&say::wrapped(
        "Steps     ",
        10,
        &step_names(&run.report.steps),
    ));
    text.push_str(&say::wrapped("End       ", 10, &end(run)));
    if let Some(verdict) = &run.verdict {
        text.push_str(&say::wrapped("The site  ", 10, &verdict.help));
    }
    for note in answer.remarks.iter().map(String::as_str).chain(run.note) {
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
    changes(&mut text, answer.advice);
    elsewhere(&mut text, run, answer.others);
    text
}

fn changes_head(text: &mut String, nothing: bool) {
    text.push_str("\nWhat each party could change\n");
    if nothing {
        text.push_str("  Nothing that would make a difference here.\n");
    }
}

fn changes(text: &mut String, advice: &[Advice]) {
    changes_head(text, advice.is_empty());
    let mut last = None;
    for advice in advice {
        let who = Some(advice.change.who).filter(|who| last != Some(*who));
        last = Some(advice.change.who);
        let first = format!("  {:8}", who.map_or("", |who| who.name()));
        text.push_str(&say::wrapped(&first, 10, &advice.change.what));
        let effect = format!("{}: {}", step_names(&advice.steps), advice.effect);
        text.push_str(&say::wrapped("          -> ", 13, &effect));
    }
}

fn elsewhere(text: &mut String, run: &Run, others: &[Run]) {
    text.push_str("\nThe same on other platforms\n");
    let ids = others.iter().map(|run| run.platform.id.len());
    let width = ids.max().unwrap_or(0);
    for other in others {
        let same = if agree(run, other) { "  (as here)" } else { "" };
        let ended = other.report.ended.name();
        let _ = writeln!(
            text,
            "  {:width$}  {:7}  {}{same}",
            other.platform.id,
            ended,
            step_names(&other.report.steps)
        );
    }
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

fn step_names(steps: &[Step]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step.name()).collect();
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
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ExplainArgs,
    }

    fn args(line: &str) -> ExplainArgs {
        let words = ["explain"].into_iter().chain(line.split_whitespace());
        Line::parse_from(words).args
    }

    fn answer(line: &str) -> String {
        with_answer(&args(line), text).unwrap()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_story_of_the_two_updates_is_told() {
        let before = answer("--platform windows-11-before-kb5065789 --uv if-set");
        assert!(before.contains("Steps     touch\n"), "{before}");
        assert!(before.contains("userVerification: preferred"), "{before}");
        let after = answer("--platform windows-11-after-kb5068861 --uv if-set");
        assert!(after.contains("Steps     create-pin"), "{after}");
        assert!(after.contains("the platform: "), "{after}");
        assert!(
            after.contains("  windows-11-before-kb5065789  ok"),
            "{after}"
        );
    }

    #[test]
    fn every_party_is_told_what_it_could_change() {
        let after = answer("--platform windows-11-after-kb5068861 --uv preferred");
        let (_, changes) = after.split_once("What each party could change\n").unwrap();
        assert!(
            changes.starts_with(
                "  site    send userVerification \"discouraged\"\n          -> touch: Nobody has"
            ),
            "{changes}"
        );
        assert!(
            changes.contains("\n  person  set a PIN on the key beforehand\n"),
            "{changes}"
        );
    }

    #[test]
    fn an_admin_is_told_which_update_helps() {
        let strict = answer("--platform windows-11-21h2 --uv never --state always-uv-pin-set");
        assert!(strict.contains("for ever"), "{strict}");
        let update =
            "bring the device to Windows 11 22H2 Enterprise\n          -> enter-pin, touch: ";
        assert!(strict.contains(update), "{strict}");
    }

    #[test]
    fn the_request_can_come_from_a_file() {
        let options = file(
            r#"{"publicKey":{"challenge":"AAECAwQFBgcICQoLDA0ODw","userVerification":"discouraged",
               "extensions":{"prf":{}}}}"#,
        );
        let path = options.path().to_str().unwrap();
        let said = answer(&format!(
            "--platform chromium-linux --options {path} --state pin-set"
        ));
        assert!(
            said.contains("sign-in, userVerification: discouraged, discoverable"),
            "{said}"
        );
        assert!(
            said.contains("Note      The advice leaves the extension prf out."),
            "{said}"
        );
        let args = args(&format!(
            "--platform webkit --options {path} --key u2f-only"
        ));
        std::fs::write(options.path(), "{").unwrap();
        let key = names::key("u2f-only").unwrap();
        let error = args.request(&key).unwrap_err().to_string();
        assert!(error.starts_with(path), "{error}");
    }

    #[test]
    fn options_are_run_as_they_stand() {
        let get = |extensions: &str| {
            let options = file(&format!(
                r#"{{"challenge":"AAECAwQFBgcICQoLDA0ODw","rpId":"example.com",
                   "userVerification":"discouraged","extensions":{extensions},
                   "allowCredentials":[{{"type":"public-key","id":"AQID"}}]}}"#
            ));
            let path = options.path().to_str().unwrap();
            answer(&format!(
                "--platform chromium-linux --options {path} --state pin-set"
            ))
        };
        let plain = get("{}");
        assert!(plain.contains("Steps     touch\n"), "{plain}");
        assert!(plain.contains("stands for the one"), "{plain}");
        // Chromium verifies where secrets are asked for.
        let prf = get(r#"{"prf":{"evalByCredential":{"AQID":{"first":"AQ"}}}}"#);
        assert!(prf.contains("Steps     enter-pin, touch\n"), "{prf}");
        let create = file(
            r#"{"rp":{"name":"E"},"user":{"id":"AQ","name":"k","displayName":""},
               "challenge":"AAECAwQFBgcICQoLDA0ODw","pubKeyCredParams":[],
               "extensions":{"largeBlob":{"support":"required"}}}"#,
        );
        let path = create.path().to_str().unwrap();
        let said = answer(&format!("--platform pinward --options {path}"));
        assert!(said.contains("cannot keep a large blob"), "{said}");
    }

    #[test]
    fn the_policy_of_the_host_counts_for_its_sites() {
        let policy = file("[get]\npreferred = \"provision\"\nallow = [\"example.com\"]");
        let path = policy.path().to_str().unwrap();
        let line = format!("--platform pinward --uv preferred --policy {path}");
        let stranger = answer(&line);
        assert!(stranger.contains("Steps     touch\n"), "{stranger}");
        let listed = answer(&format!("{line} --rp example.com"));
        assert!(listed.contains("Steps     create-pin, touch\n"), "{listed}");
    }

    #[test]
    fn no_line_is_too_wide_to_read() {
        let text = answer("--platform windows-10-22h2 --uv always");
        let why = text.split("\nThe same").next().unwrap();
        // A reference can be one long address.
        let long = why
            .lines()
            .find(|line| line.chars().count() > 88 && !line.contains("://"));
        assert_eq!(long, None);
    }
}
