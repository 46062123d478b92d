//! Writes what the conformance suite finds on every key profile: `conformance/matrix.md`, and for each
//! profile `conformance/expected/PROFILE.toml`.
//!
//! `cargo run -p subjects --example matrix -- FOLDER [--accept REASON]`: a failure that is no known
//! deviation is written down only with a reason.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use conformance::Verdict;
use conformance::expected::{Deviation, Expected, matrix};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let reason = match &args[..] {
        [_] => None,
        [_, accept, reason] if accept == "--accept" => Some(reason.clone()),
        _ => {
            println!("matrix FOLDER [--accept REASON]");
            return ExitCode::FAILURE;
        }
    };
    match write(Path::new(&args[0]), reason.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, reason: Option<&str>) -> Result<(), String> {
    let mut keys = subjects::run_all(folder)?;
    let mut refused = Vec::new();
    for (id, (expected, report)) in &mut keys {
        let of = |wanted: fn(&Verdict) -> bool| -> BTreeSet<String> {
            let rows = report.rows.iter().filter(|row| wanted(&row.verdict));
            rows.map(|row| row.check.id.to_owned()).collect()
        };
        let failed = of(|v| matches!(v, Verdict::Fail(_)));
        let new: BTreeSet<_> = failed
            .iter()
            .filter(|check| expected.deviation(check).is_none())
            .cloned()
            .collect();
        let mut deviations = expected.deviations.clone();
        for deviation in &mut deviations {
            deviation.checks.retain(|check| failed.contains(check));
        }
        deviations.retain(|deviation| !deviation.checks.is_empty());
        match reason {
            _ if new.is_empty() => {}
            Some(reason) => deviations.push(Deviation {
                reason: reason.to_owned(),
                checks: new,
            }),
            None => {
                refused.extend(
                    expected
                        .surprises(report)
                        .iter()
                        .map(|line| format!("{id}: {line}")),
                );
                continue;
            }
        }
        *expected = Expected {
            deviations,
            not_applicable: of(|v| matches!(v, Verdict::NotApplicable(_))),
        };
        let path = folder.join("expected").join(format!("{id}.toml"));
        std::fs::write(&path, expected.to_toml(id))
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let path = folder.join("matrix.md");
    std::fs::write(&path, matrix(&keys)).map_err(|e| format!("{}: {e}", path.display()))?;
    if refused.is_empty() {
        Ok(())
    } else {
        Err(refused.join("\n"))
    }
}
