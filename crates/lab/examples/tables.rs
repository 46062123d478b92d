//! Writes the decision tables of both user-verification functions, or compares them with what is
//! there: `cargo xtask tables [--check]`.
//!
//! `authenticator.tsv` is the whole domain of the key's gate; `PLATFORM.tsv` that of the platform's
//! disposition, one file for each shipped profile. A change of behaviour is a changed row.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use authenticator::uv::{Ceremony, Decision, Facts, PinUvAuthParam, decide, domain};

const KEY_HEAD: &str = "ceremony\trk\tup\tuv\tpinUvAuthParam\tclientPin\tuv option\talwaysUv\t\
                        makeCredUvNotRqd\tnoMcGaPermissionsWithClientPin\tdecision\tstatus";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(folder), check) = (args.first(), args.iter().any(|a| a == "--check")) else {
        println!("tables FOLDER [--check]");
        return ExitCode::FAILURE;
    };
    let tables = match tables() {
        Ok(tables) => tables,
        Err(why) => {
            println!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let result = if check {
        compare(Path::new(folder), &tables)
    } else {
        write(Path::new(folder), &tables)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Every table by its file name.
fn tables() -> Result<BTreeMap<String, String>, String> {
    let mut tables = BTreeMap::from([("authenticator.tsv".to_owned(), key_table())]);
    for (id, toml) in client::profile::shipped() {
        let platform =
            client::profile::PlatformProfile::from_toml(toml).map_err(|e| format!("{id}: {e}"))?;
        tables.insert(format!("{id}.tsv"), client::uv::table(&platform));
    }
    Ok(tables)
}

fn key_table() -> String {
    let mut text = format!("{KEY_HEAD}\n");
    for facts in domain() {
        let (decision, status) = words(decide(&facts));
        let row = [
            match facts.ceremony {
                Ceremony::MakeCredential => "makeCredential",
                Ceremony::GetAssertion => "getAssertion",
            },
            yes(facts.rk),
            yes(facts.up),
            yes(facts.uv),
            param(&facts),
            option(facts.client_pin),
            option(facts.built_in_uv),
            yes(facts.always_uv),
            yes(facts.make_cred_uv_not_rqd),
            yes(facts.no_mc_ga_permissions_with_client_pin),
            decision,
            &status,
        ];
        text.push_str(&row.join("\t"));
        text.push('\n');
    }
    text
}

fn words(decision: Decision) -> (&'static str, String) {
    let name = |status: ctap::Status| status.name().into_owned();
    match decision {
        Decision::Skip => ("skip", "-".to_owned()),
        Decision::VerifyParam => ("verify the param", "-".to_owned()),
        Decision::PerformBuiltInUv => ("built-in uv", "-".to_owned()),
        Decision::TouchThen(status) => ("touch, then", name(status)),
        Decision::Reject(status) => ("reject", name(status)),
    }
}

fn param(facts: &Facts) -> &'static str {
    match facts.pin_uv_auth_param {
        PinUvAuthParam::Absent => "-",
        PinUvAuthParam::Empty => "empty",
        PinUvAuthParam::Present => "present",
    }
}

fn yes(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn option(value: Option<bool>) -> &'static str {
    value.map_or("-", yes)
}

fn write(folder: &Path, tables: &BTreeMap<String, String>) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for (name, text) in tables {
        std::fs::write(folder.join(name), text).map_err(|e| format!("{name}: {e}"))?;
    }
    for stray in strays(folder, tables)? {
        std::fs::remove_file(folder.join(&stray)).map_err(|e| format!("{stray}: {e}"))?;
    }
    println!("{} tables in {}", tables.len(), folder.display());
    Ok(())
}

fn compare(folder: &Path, tables: &BTreeMap<String, String>) -> Result<(), String> {
    let mut findings: Vec<String> = strays(folder, tables)?
        .into_iter()
        .map(|name| format!("{name}: no profile has this name"))
        .collect();
    for (name, text) in tables {
        let there = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let changed = text
            .lines()
            .zip(there.lines())
            .filter(|(now, was)| now != was)
            .count();
        if let Some((now, was)) = text
            .lines()
            .zip(there.lines())
            .find(|(now, was)| now != was)
        {
            findings.push(format!(
                "{name}: {changed} row(s) differ, the first:\n  was {was}\n  now {now}"
            ));
        } else if *text != there {
            findings.push(format!(
                "{name}: has {} rows, the code gives {}",
                there.lines().count(),
                text.lines().count()
            ));
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings.join("\n"))
    }
}

/// Files of the folder that are no table.
fn strays(folder: &Path, tables: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter(|name| name.ends_with(".tsv") && !tables.contains_key(name))
        .collect())
}
