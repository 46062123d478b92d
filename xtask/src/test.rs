//! `cargo xtask test`: every tier, a summary, and one closing line.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::shell::{self, Ended};
use crate::{files, layers, licences, needs, tables, tidy};

/// What became of a tier.
struct Tier {
    name: &'static str,
    passed: usize,
    failed: usize,
    /// Parts that did not run, each with its reason.
    skipped: Vec<String>,
    took: Duration,
}

impl Tier {
    fn run(name: &'static str, body: impl FnOnce() -> Result<Counts, String>) -> Self {
        println!("\n== {name}");
        let start = Instant::now();
        let counts = body().unwrap_or_else(|why| {
            println!("{why}");
            Counts {
                passed: 0,
                failed: 1,
                skipped: Vec::new(),
            }
        });
        let Counts {
            passed,
            failed,
            skipped,
        } = counts;
        for reason in &skipped {
            println!("skipped: {reason}");
        }
        Self {
            name,
            passed,
            failed,
            skipped,
            took: start.elapsed(),
        }
    }
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: Vec<String>,
}

impl Counts {
    const ONE: Self = Self {
        passed: 1,
        failed: 0,
        skipped: Vec::new(),
    };

    fn skipped(reason: &str) -> Self {
        Self {
            skipped: vec![reason.to_owned()],
            ..Self::default()
        }
    }
}

/// Runs all tiers, even after one has failed: one run shows everything.
pub(crate) fn everything(quick: bool) -> Result<(), String> {
    let start = Instant::now();
    if !quick && let Err(why) = needs::for_real_clients() {
        // Some tests need a database or a terminal to read; the last tier fails for what is missing.
        println!("{why}");
    }
    let mut tiers = vec![
        Tier::run("format", format),
        Tier::run("tidy", || findings(&tidy::check())),
        Tier::run("layers", || findings(&layers::check())),
        Tier::run("licences", licences_and_advisories),
        Tier::run("clippy", clippy),
        Tier::run("unit and integration tests", tests),
        Tier::run("documentation tests", doc_tests),
        Tier::run("decision tables", || {
            tables::run(true).map(|()| Counts::ONE)
        }),
    ];
    tiers.push(if quick {
        Tier::run("real clients", || Ok(Counts::skipped("--quick")))
    } else {
        Tier::run("real clients", || real_clients(&[]))
    });
    summary(&tiers, start.elapsed())
}

/// `cargo xtask e2e`.
pub(crate) fn e2e(args: &[&str]) -> Result<(), String> {
    let start = Instant::now();
    summary(
        &[Tier::run("real clients", || real_clients(args))],
        start.elapsed(),
    )
}

/// `cargo xtask witness`.
pub(crate) fn witness(args: &[&str]) -> Result<(), String> {
    needs::for_real_clients()?;
    build_program()?;
    let mut command = Command::new("e2e/.venv/bin/python");
    let measured = shell::run(command.arg("e2e/witness.py").args(args), 40)?;
    if measured.ok {
        Ok(())
    } else {
        Err("not everything is as predicted".to_owned())
    }
}

fn format() -> Result<Counts, String> {
    if shell::quiet("cargo", &["fmt", "--version"]).is_none() {
        return Ok(Counts::skipped(
            "rustfmt is not installed (`rustup component add rustfmt`)",
        ));
    }
    one("cargo", &["fmt", "--all", "--check"], 5)
}

fn clippy() -> Result<Counts, String> {
    if shell::quiet("cargo", &["clippy", "--version"]).is_none() {
        return Ok(Counts::skipped(
            "clippy is not installed (`rustup component add clippy`)",
        ));
    }
    one(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        40,
    )
}

fn licences_and_advisories() -> Result<Counts, String> {
    if shell::quiet("cargo", &["deny", "--version"]).is_some() {
        return one(
            "cargo",
            &["deny", "--offline", "check", "licenses", "bans", "sources"],
            5,
        );
    }
    let mut counts = findings(&licences::check())?;
    counts.skipped.push(
        "bans (cargo-deny is not installed; licences and sources were checked without it)"
            .to_owned(),
    );
    Ok(counts)
}

fn tests() -> Result<Counts, String> {
    let nextest = shell::quiet("cargo", &["nextest", "--version"]).is_some();
    let args: &[&str] = if nextest {
        &[
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ]
    } else {
        &[
            "test",
            "--workspace",
            "--locked",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
            "--no-fail-fast",
        ]
    };
    let ended = shell::run(Command::new("cargo").args(args), 45)?;
    let mut counts = counted(&ended);
    let data = std::env::var_os("PINWARD_DATA")
        .map_or_else(|| files::root().join("../shared/data"), Into::into);
    if !data.is_dir() {
        counts.skipped.push(format!(
            "tests on published vectors and metadata ({} is not there; PINWARD_DATA names the folder)",
            data.display()
        ));
    }
    Ok(counts)
}

fn doc_tests() -> Result<Counts, String> {
    Ok(counted(&shell::run(
        Command::new("cargo").args(["test", "--workspace", "--locked", "--doc", "--no-fail-fast"]),
        20,
    )?))
}

fn real_clients(args: &[&str]) -> Result<Counts, String> {
    if let Err(why) = needs::for_real_clients() {
        // On a machine that must prove everything a missing package is a failure.
        return if std::env::var_os("CI").is_some() {
            Err(why)
        } else {
            Ok(Counts::skipped(&why))
        };
    }
    build_program()?;
    let mut command = Command::new("e2e/.venv/bin/python");
    command.arg("e2e/run.py").args(args);
    Ok(counted(&shell::run(&mut command, 40)?))
}

/// With card readers, whose library `needs` has installed; clippy sees that code only here.
fn build_program() -> Result<(), String> {
    let reads_cards = ["--features", "pinward/pcsc", "--locked"];
    if shell::quiet("cargo", &["clippy", "--version"]).is_some() {
        let mut clippy = Command::new("cargo");
        clippy.args(["clippy", "--package", "pinward", "--package", "transport"]);
        clippy.args(reads_cards).args(["--", "-D", "warnings"]);
        if !shell::run(&mut clippy, 30)?.ok {
            return Err("clippy objects to the program with card readers".to_owned());
        }
    }
    let mut build = Command::new("cargo");
    build.args(["build", "--package", "pinward", "--package", "sk"]);
    let built = shell::run(build.args(reads_cards), 30)?;
    if !built.ok {
        return Err("the program does not build".to_owned());
    }
    Ok(())
}

/// One command that is one check.
fn one(program: &str, args: &[&str], minutes: u64) -> Result<Counts, String> {
    let ended = shell::run(Command::new(program).args(args), minutes)?;
    if ended.ok {
        Ok(Counts::ONE)
    } else {
        Err(format!("{program} {} failed", args[0]))
    }
}

fn findings(found: &[String]) -> Result<Counts, String> {
    if found.is_empty() {
        Ok(Counts::ONE)
    } else {
        Err(found.join("\n"))
    }
}

/// Adds up what the test runners say; a command that fails without a failed test counts as one.
fn counted(ended: &Ended) -> Counts {
    let mut counts = Counts::default();
    for line in ended.said.lines() {
        let line = line.trim();
        if let Some(reason) = line.strip_prefix("skip ") {
            counts.skipped.push(reason.to_owned());
        }
        let is_closing = line.starts_with("test result:")
            || (line.starts_with("Summary [") && line.contains("tests run:"))
            || line.starts_with("scenarios:");
        if is_closing {
            counts.passed += number_before(line, "passed");
            counts.failed += number_before(line, "failed");
        }
    }
    if !ended.ok && counts.failed == 0 {
        counts.failed = 1;
    }
    counts
}

/// The number in front of a word: 3 in `ok. 3 passed; 0 failed`.
fn number_before(line: &str, word: &str) -> usize {
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .collect();
    let found = words.windows(2).find(|pair| pair[1] == word);
    found.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

fn summary(tiers: &[Tier], took: Duration) -> Result<(), String> {
    println!(
        "\n{:<28} {:>7} {:>7} {:>8} {:>8}",
        "tier", "passed", "failed", "skipped", "seconds"
    );
    for tier in tiers {
        println!(
            "{:<28} {:>7} {:>7} {:>8} {:>8.1}",
            tier.name,
            tier.passed,
            tier.failed,
            tier.skipped.len(),
            tier.took.as_secs_f32()
        );
    }
    for tier in tiers {
        for reason in &tier.skipped {
            println!("skipped in {}: {reason}", tier.name);
        }
    }
    let passed: usize = tiers.iter().map(|t| t.passed).sum();
    let failed: usize = tiers.iter().map(|t| t.failed).sum();
    println!("\nall of it took {:.0} s", took.as_secs_f32());
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        Ok(())
    } else {
        Err(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ok: bool, said: &str) -> Counts {
        counted(&Ended {
            ok,
            said: said.to_owned(),
        })
    }

    #[test]
    fn libtest_nextest_and_scenarios_are_counted() {
        let text = "test result: ok. 3 passed; 0 failed; 0 ignored\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored\n     \
                    Summary [   0.1s] 5 tests run: 4 passed, 1 failed, 0 skipped\n\
                    skip openssh: no sshd\nscenarios: 6 passed, 0 failed, 1 skipped\n";
        let counts = said(false, text);
        assert_eq!((counts.passed, counts.failed), (15, 2));
        assert_eq!(counts.skipped, ["openssh: no sshd"]);
    }

    #[test]
    fn a_command_that_fails_without_a_failed_test_is_a_failure() {
        assert_eq!(said(false, "error: could not compile\n").failed, 1);
        assert_eq!(said(true, "").failed, 0);
    }
}
