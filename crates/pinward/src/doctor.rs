//! `pinward doctor`: what is wrong on this machine and with its keys, and what to do next

use std::path::{Path, PathBuf};

use clap::Args;
use client::manage::{Manager, pin_policy};
use serde_json::json;
use transport::host::hidraw::Places;

use crate::device::{self, KEYS_VARIABLE, Key, Listed};
use crate::exit::{Exit, Fault};
use crate::{authorise, say};

/// Tries left at which somebody should be told.
const FEW: u64 = 3;

/// Looks for what keeps security keys from working: rules of udev, permissions, readers, the keyring,
/// and the state of each key. Nothing is changed, and no PIN is asked.
///
/// Exit code 10 if something is wrong.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON, schema `pinward.doctor/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    Note,
    Wrong,
}

/// One thing that was looked at.
struct Finding {
    level: Level,
    /// `host`, or the id of a key.
    about: String,
    /// A word for scripts.
    code: &'static str,
    what: String,
    next: Option<String>,
}

impl Finding {
    fn new(level: Level, about: &str, code: &'static str, what: impl Into<String>) -> Self {
        Self {
            level,
            about: about.to_owned(),
            code,
            what: what.into(),
            next: None,
        }
    }

    fn next(self, next: impl Into<String>) -> Self {
        Self {
            next: Some(next.into()),
            ..self
        }
    }
}

pub(crate) fn run(args: &DoctorArgs) -> Result<(), Fault> {
    let mut findings = host(&Places::default(), Path::new("/run/pcscd/pcscd.comm"));
    let keys = device::all();
    if keys.is_empty() {
        let none = "no security key is plugged in, or none that this system shows";
        findings.push(Finding::new(Level::Note, "host", "no-key", none));
    }
    for listed in &keys {
        findings.extend(of_key(listed));
    }
    if args.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "level": finding.level.word(),
                    "about": finding.about,
                    "code": finding.code,
                    "what": finding.what,
                    "next": finding.next,
                })
            })
            .collect();
        let json = json!({ "schema": "pinward.doctor/1", "findings": list });
        say::json(&json)?;
    } else {
        say::out(&text(&findings))?;
    }
    match findings
        .iter()
        .filter(|finding| finding.level == Level::Wrong)
        .count()
    {
        0 => Ok(()),
        1 => Err(Fault::new(Exit::Drift, "1 thing is wrong")),
        n => Err(Fault::new(Exit::Drift, format!("{n} things are wrong"))),
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Wrong => "wrong",
        }
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let head = format!("{:6}{:7}", finding.level.word(), finding.about);
        text.push_str(&say::wrapped(&head, 13, &finding.what));
        if let Some(next) = &finding.next {
            for (n, line) in next.lines().enumerate() {
                let head = if n == 0 {
                    "             -> "
                } else {
                    "                "
                };
                text.push_str(&say::wrapped(head, 16, line));
            }
        }
    }
    text
}

fn host(places: &Places, pcscd: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(if places.class.is_dir() {
        Finding::new(
            Level::Good,
            "host",
            "hidraw",
            "the kernel shows USB keys (hidraw)",
        )
    } else {
        let what = "the kernel shows no hidraw devices: USB keys cannot be seen";
        Finding::new(Level::Note, "host", "no-hidraw", what)
            .next("load the module: modprobe hidraw; in a container, share /dev and /sys")
    });
    findings.push(match rule(places) {
        Some(rule) => {
            let what = format!("{} opens keys to whoever sits here", rule.display());
            Finding::new(Level::Good, "host", "udev-rule", what)
        }
        None => {
            let what = "no udev rule opens security keys to the people at this machine";
            Finding::new(Level::Note, "host", "no-udev-rule", what)
                .next("install the package that has one (Debian: libfido2-1; others: libfido2, libu2f-udev)")
        }
    });
    findings.push(readers(pcscd));
    findings.push(keyring());
    let named = std::env::var(KEYS_VARIABLE).unwrap_or_default();
    for word in named.split_whitespace() {
        let good = word
            .parse::<transport::host::Address>()
            .map(|address| address.is_there());
        if good != Ok(true) {
            let what = format!("{KEYS_VARIABLE} names {word}, and no key answers there");
            let finding = Finding::new(Level::Wrong, "host", "software-key-gone", what);
            findings.push(finding.next("start it, or take it out of the variable"));
        }
    }
    findings
}

/// The rule that gives keys to whoever is logged in at the machine.
fn rule(places: &Places) -> Option<PathBuf> {
    let files = places
        .rules
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    let mut rules: Vec<_> = files
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    rules.sort();
    rules.into_iter().find(|path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with('#')
                && (line.contains("fido_id")
                    || (line.contains("hidraw") && line.contains("uaccess")))
        })
    })
}

fn readers(pcscd: &Path) -> Finding {
    if !cfg!(feature = "pcsc") {
        let what = "this pinward was built without readers (PC/SC)";
        return Finding::new(Level::Note, "host", "without-pcsc", what)
            .next("keys that are tapped on a reader need a build with --features pcsc");
    }
    if pcscd.exists() {
        return Finding::new(
            Level::Good,
            "host",
            "pcscd",
            "pcscd runs: cards in readers are seen",
        );
    }
    let what = "pcscd does not run: cards in readers are not seen";
    Finding::new(Level::Note, "host", "no-pcscd", what)
        .next("install pcscd and start it: systemctl enable --now pcscd.socket")
}

fn keyring() -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join("secret-tool").is_file());
    if there {
        let what = "secret-tool is there: permissions to list without a PIN can be kept";
        Finding::new(Level::Good, "host", "keyring", what)
    } else {
        let what = "secret-tool is not there: nothing can be remembered of a key";
        Finding::new(Level::Note, "host", "no-keyring", what)
            .next("only for `passkeys list --remember`: install libsecret-tools")
    }
}

fn of_key(listed: &Listed) -> Vec<Finding> {
    let about = listed.id.as_str();
    let mut key = match Key::open(listed.clone()) {
        Ok(key) => key,
        Err(fault) => {
            let code = if fault.exit == Exit::Permission {
                "no-permission"
            } else {
                "not-opened"
            };
            let text = fault.to_string();
            let (what, next) = text.split_once(": ").unwrap_or((&text, ""));
            let what = format!("{}: {what}", listed.found.name);
            let finding = Finding::new(Level::Wrong, about, code, what);
            return vec![if next.is_empty() {
                finding
            } else {
                finding.next(next)
            }];
        }
    };
    let u2f = key.about().speaks_u2f();
    let mut rng = device::rng();
    let mut manager = match key.manager(&mut rng) {
        Ok(manager) => manager,
        Err(fault) if fault.exit == Exit::NotSupported && u2f => {
            let what = format!(
                "{} can only be touched (U2F): it never asks for a PIN",
                listed.found.name
            );
            return vec![Finding::new(Level::Note, about, "u2f-only", what)];
        }
        Err(fault) => {
            return vec![Finding::new(
                Level::Wrong,
                about,
                "no-answer",
                fault.to_string(),
            )];
        }
    };
    let mut findings = pin(about, &mut manager);
    findings.extend(settings(about, &manager));
    if findings.iter().all(|finding| finding.level == Level::Good) {
        let what = format!("{} is ready", listed.found.name);
        findings.insert(0, Finding::new(Level::Good, about, "ready", what));
    }
    findings
}

fn pin(about: &str, manager: &mut Manager<'_>) -> Vec<Finding> {
    let finding = |level, code, what: String| Finding::new(level, about, code, what);
    let retries = match manager.pin_retries() {
        Ok(retries) => retries,
        Err(error) => return vec![finding(Level::Wrong, "no-answer", error.to_string())],
    };
    if let Some(retries) = retries {
        if retries.left == 0 {
            let what = "its PIN is blocked: it can no longer verify its user".to_owned();
            let next = "only a reset helps, and erases all passkeys: `pinward reset`";
            return vec![finding(Level::Wrong, "pin-blocked", what).next(next)];
        }
        if retries.power_cycle {
            let what = "three wrong PINs in a row: it takes no more for now".to_owned();
            let next = "take it out and plug it in again";
            return vec![finding(Level::Wrong, "power-cycle", what).next(next)];
        }
        if retries.left <= FEW {
            let what = format!(
                "{} for its PIN; then it is blocked",
                authorise::tries(retries.left)
            );
            let next = "`pinward pin verify` with the right PIN gives all tries back";
            return vec![finding(Level::Wrong, "few-tries", what).next(next)];
        }
    }
    if manager.info().force_pin_change == Some(true) {
        let what =
            "its PIN must be changed before it is of use, and some platforms do not offer that";
        return vec![
            finding(Level::Wrong, "must-change", what.to_owned()).next("`pinward pin change`"),
        ];
    }
    match manager.options().client_pin {
        Some(false) if manager.options().always_uv == Some(true) => {
            let what = "it always wants a PIN and has none: it can be used nowhere".to_owned();
            vec![finding(Level::Wrong, "always-uv-without-pin", what).next("`pinward pin set`")]
        }
        Some(false) => {
            let what = "it has no PIN: sites that say \"preferred\" have Windows ask for a new one";
            vec![finding(Level::Note, "no-pin", what.to_owned()).next("`pinward pin set`")]
        }
        _ => Vec::new(),
    }
}

fn settings(about: &str, manager: &Manager<'_>) -> Vec<Finding> {
    let finding = |level, code, what: String| Finding::new(level, about, code, what);
    let (info, options) = (manager.info(), manager.options());
    let mut findings = Vec::new();
    let sensor =
        options.bio_enroll == Some(false) || options.user_verification_mgmt_preview == Some(false);
    if sensor {
        let what = "it has a fingerprint sensor and knows no finger".to_owned();
        findings.push(finding(Level::Note, "no-finger", what).next("`pinward fingerprints add`"));
    }
    let policy = pin_policy(info);
    if policy.min_length > client::pin::MIN_CODE_POINTS {
        let what = format!("a new PIN has at least {} characters", policy.min_length);
        findings.push(finding(Level::Good, "min-length", what));
    }
    if policy.complexity {
        let what = "it refuses PINs that are easily guessed".to_owned();
        findings.push(finding(Level::Good, "complexity", what));
    }
    if info.remaining_discoverable_credentials == Some(0) {
        let what = "it has no room for another passkey".to_owned();
        let next = "`pinward passkeys delete` makes some";
        findings.push(finding(Level::Wrong, "full", what).next(next));
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_host_without_rules_and_readers_is_told_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.d");
        std::fs::create_dir(&rules).unwrap();
        let places = Places {
            class: folder.path().join("class"),
            nodes: folder.path().into(),
            rules: vec![rules.clone()],
        };
        let codes = |places: &Places| -> Vec<_> {
            host(places, Path::new("/nonexistent"))
                .iter()
                .map(|f| f.code)
                .collect()
        };
        let found = codes(&places);
        assert!(
            found.contains(&"no-hidraw") && found.contains(&"no-udev-rule"),
            "{found:?}"
        );
        std::fs::write(rules.join("10-x.rules"), "# hidraw uaccess\n").unwrap();
        assert!(codes(&places).contains(&"no-udev-rule"));
        let line = "KERNEL==\"hidraw*\", TAG+=\"uaccess\"\n";
        std::fs::write(rules.join("20-y.rules"), line).unwrap();
        std::fs::create_dir(&places.class).unwrap();
        let found = codes(&places);
        assert!(
            found.contains(&"hidraw") && found.contains(&"udev-rule"),
            "{found:?}"
        );
    }
}
