//! Which crate may use which, and what the protocol crates must not touch.
//!
//! The arrows are read from ARCHITECTURE.md, from the block that is fenced with the word `arrows`,
//! so that the page and the check cannot part.

use std::collections::{BTreeMap, BTreeSet};

use crate::files;

/// Crates that take time and randomness as arguments and touch nothing of the outside world.
const PROTOCOL: [&str; 5] = ["webauthn", "ctap", "authenticator", "client", "rp"];

/// A protocol crate uses no more other crates than this.
const MOST_DEPENDENCIES: usize = 15;

/// What a protocol crate must not name outside its tests, and what to do instead.
const FORBIDDEN: [(&str, &str); 18] = [
    ("std::fs", "take the bytes as an argument"),
    ("std::net", "take the bytes as an argument"),
    ("std::process", "take the bytes as an argument"),
    ("std::env", "take the value as an argument"),
    ("std::thread", "be a state machine"),
    (
        "std::io::stdin",
        "ask through an output of the state machine",
    ),
    (
        "std::time",
        "take `now: core::time::Duration` as an argument",
    ),
    (
        "Instant::now",
        "take `now: core::time::Duration` as an argument",
    ),
    ("SystemTime", "take the time as an argument"),
    ("async fn", "be a state machine"),
    (".await", "be a state machine"),
    ("println!", "return what there is to say"),
    ("eprintln!", "return what there is to say"),
    ("print!(", "return what there is to say"),
    ("SysRng", "take `&mut dyn CryptoRng` as an argument"),
    ("OsRng", "take `&mut dyn CryptoRng` as an argument"),
    ("getrandom", "take `&mut dyn CryptoRng` as an argument"),
    ("tokio", "be a state machine"),
];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Everything that breaks a layer, one line each.
pub(crate) fn check() -> Vec<String> {
    let page = std::fs::read_to_string(files::root().join("ARCHITECTURE.md")).unwrap_or_default();
    let Some(allowed) = arrows(&page) else {
        return vec!["ARCHITECTURE.md: has no block fenced with ```arrows".to_owned()];
    };
    let mut findings = Vec::new();
    let manifests = files::tracked(&["Cargo.toml"]);
    for file in &manifests {
        let Some(name) = file
            .path
            .strip_prefix("crates/")
            .and_then(|p| p.split('/').next())
        else {
            continue;
        };
        match file.text.parse::<toml::Table>() {
            Ok(manifest) => findings.extend(check_manifest(&file.path, name, &manifest, &allowed)),
            Err(e) => findings.push(format!("{}: {e}", file.path)),
        }
    }
    for file in files::tracked(&[".rs"]) {
        findings.extend(check_source(&file.path, &file.text));
    }
    findings
}

/// Reads `name: uses these` lines from the fenced block.
fn arrows(page: &str) -> Option<Arrows> {
    let (_, block) = page.split_once("```arrows\n")?;
    let (block, _) = block.split_once("```")?;
    Some(
        block
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, uses)| {
                let uses = uses.split_whitespace().map(str::to_owned).collect();
                (name.trim().to_owned(), uses)
            })
            .collect(),
    )
}

fn check_manifest(path: &str, name: &str, manifest: &toml::Table, allowed: &Arrows) -> Vec<String> {
    let Some(mine) = allowed.get(name) else {
        return vec![format!(
            "{path}: crate `{name}` is not among the arrows of ARCHITECTURE.md"
        )];
    };
    let mut findings = Vec::new();
    for (section, used) in dependencies(manifest) {
        if allowed.contains_key(&used) && !mine.contains(&used) {
            findings.push(format!(
                "{path}: `{name}` must not use `{used}` ({section})"
            ));
        }
    }
    let direct = manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map_or(0, toml::Table::len);
    if PROTOCOL.contains(&name) && direct > MOST_DEPENDENCIES {
        findings.push(format!(
            "{path}: {direct} dependencies, a protocol crate has at most {MOST_DEPENDENCIES}"
        ));
    }
    findings
}

/// Every dependency of a manifest with the section that names it: normal, dev, build, per target.
fn dependencies(manifest: &toml::Table) -> Vec<(String, String)> {
    const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut all = Vec::new();
    let mut collect = |table: &toml::Table, prefix: &str| {
        for section in SECTIONS {
            for (name, value) in table
                .get(section)
                .and_then(toml::Value::as_table)
                .into_iter()
                .flatten()
            {
                // `package = "..."` renames; the real name counts.
                let real = value
                    .get("package")
                    .and_then(toml::Value::as_str)
                    .unwrap_or(name);
                all.push((format!("{prefix}{section}"), real.to_owned()));
            }
        }
    };
    collect(manifest, "");
    for (target, table) in manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
    {
        if let Some(table) = table.as_table() {
            collect(table, &format!("target.{target}."));
        }
    }
    all
}

fn check_source(path: &str, text: &str) -> Vec<String> {
    let Some(name) = path
        .strip_prefix("crates/")
        .and_then(|p| p.split('/').next())
    else {
        return Vec::new();
    };
    let in_src = path.starts_with(&format!("crates/{name}/src/"));
    if !PROTOCOL.contains(&name) || !in_src || files::is_test_file(path) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (n, line) in files::without_tests(text) {
        let code = files::code_of(line);
        for (word, instead) in FORBIDDEN {
            if code.contains(word) {
                findings.push(format!(
                    "{path}:{n}: `{word}` in a protocol crate; {instead}"
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# House\n```arrows\nwebauthn:\nctap: webauthn\nclient: ctap webauthn\nauthenticator: ctap\n```\n";

    fn manifest(text: &str) -> Vec<String> {
        let (Some(allowed), Ok(table)) = (arrows(PAGE), text.parse::<toml::Table>()) else {
            return vec!["unreadable".to_owned()];
        };
        check_manifest("crates/client/Cargo.toml", "client", &table, &allowed)
    }

    #[test]
    fn an_arrow_of_the_page_is_allowed() {
        assert!(manifest("[dependencies]\nctap.workspace = true\nserde = \"1\"\n").is_empty());
    }

    #[test]
    fn an_arrow_that_is_not_on_the_page_is_found_in_every_section() {
        for section in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            let found = manifest(&format!("[{section}]\nauthenticator.workspace = true\n"));
            assert_eq!(found.len(), 1, "{section}: {found:?}");
        }
    }

    #[test]
    fn a_renamed_crate_does_not_hide() {
        let found = manifest(
            "[dependencies]\nkey = { package = \"authenticator\", path = \"../authenticator\" }\n",
        );
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_crate_that_the_page_does_not_know_is_found() {
        let allowed = arrows(PAGE).unwrap_or_default();
        assert_eq!(
            check_manifest(
                "crates/new/Cargo.toml",
                "new",
                &toml::Table::new(),
                &allowed
            )
            .len(),
            1
        );
    }

    #[test]
    fn io_in_a_protocol_crate_is_found_but_not_in_its_tests_or_comments() {
        let bad = "use std::fs;\nasync fn f() {}\n";
        assert_eq!(check_source("crates/rp/src/a.rs", bad).len(), 2);
        let fine = "//! no std::fs here\nfn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert!(check_source("crates/rp/src/a.rs", fine).is_empty());
        assert!(check_source("crates/server/src/a.rs", bad).is_empty());
        assert!(check_source("crates/rp/tests/a.rs", bad).is_empty());
    }

    #[test]
    fn a_page_without_the_block_is_noticed() {
        assert!(arrows("# House\n").is_none());
    }
}
