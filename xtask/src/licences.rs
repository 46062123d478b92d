//! The licence check of deny.toml for machines without cargo-deny: the lists are read from there.

use std::collections::BTreeSet;

use crate::{files, shell};

/// Every dependency whose licence is not allowed, one line each.
pub(crate) fn check() -> Vec<String> {
    let allowed = match allowed() {
        Ok(allowed) => allowed,
        Err(why) => return vec![why],
    };
    let Some(metadata) = shell::quiet("cargo", &["metadata", "--format-version", "1", "--locked"])
    else {
        return vec!["cargo metadata --locked failed: is Cargo.lock up to date?".to_owned()];
    };
    let Ok(metadata) = serde_json::from_str::<serde_json::Value>(&metadata) else {
        return vec!["cargo metadata gave no JSON".to_owned()];
    };
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = format!(
            "{} {}",
            package["name"].as_str().unwrap_or_default(),
            package["version"].as_str().unwrap_or_default()
        );
        match package["license"].as_str() {
            Some(expression) if fits(expression, &allowed) => {}
            Some(expression) => findings.push(format!(
                "{name}: `{expression}` is not allowed by deny.toml"
            )),
            None => findings.push(format!("{name}: names no licence")),
        }
        if let Some(source) = package["source"].as_str()
            && !source.starts_with("registry+")
        {
            findings.push(format!(
                "{name}: comes from {source}, not from the registry"
            ));
        }
    }
    findings
}

fn allowed() -> Result<BTreeSet<String>, String> {
    let text = std::fs::read_to_string(files::root().join("deny.toml"))
        .map_err(|e| format!("deny.toml: {e}"))?;
    let table = text
        .parse::<toml::Table>()
        .map_err(|e| format!("deny.toml: {e}"))?;
    let list = table
        .get("licenses")
        .and_then(|l| l.get("allow"))
        .and_then(toml::Value::as_array);
    let list = list.ok_or("deny.toml: has no licenses.allow")?;
    Ok(list
        .iter()
        .filter_map(|l| l.as_str().map(str::to_owned))
        .collect())
}

/// Whether an SPDX expression can be met with allowed licences. `/` is an old way to write OR.
fn fits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any_of(&words, &mut at, allowed) && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at, allowed);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let met = any_of(words, at, allowed);
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        let name = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return allowed.contains(&name) || allowed.contains(*word);
    }
    allowed.contains(*word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "ISC"].map(str::to_owned).into();
        for fine in [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/GPL-3.0",
            "ISC AND (Apache-2.0 OR GPL-3.0)",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(fits(fine, &allowed), "{fine}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "ISC AND (GPL-2.0 OR GPL-3.0)",
            "",
            "MIT MIT",
            "(MIT",
        ] {
            assert!(!fits(bad, &allowed), "{bad}");
        }
    }
}
