//! What a reviewer should never have to say.

use crate::files::{self, File};

/// Lines of a Rust file before its tests.
const MOST_LINES: usize = 600;

const TEXTS: [&str; 12] = [
    ".rs", ".toml", ".md", ".py", ".sh", ".js", ".mjs", ".css", ".html", ".tsv", ".sql", ".yml",
];

/// Marks of unfinished work. Split so that this file does not find itself.
const LEFTOVERS: [&str; 7] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("TO", "DO"),
    concat!("db", "g!("),
    concat!("#[ig", "nore"),
];

/// Folders of one machine.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("/tmp/pl", "an"),
];

/// Lints that tests may allow without saying why.
const TEST_LINTS: [&str; 8] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::too_many_lines",
    "clippy::print_stdout",
    "clippy::print_stderr",
    "missing_docs",
    "unreachable_pub",
];

/// One exception of `xtask/tidy.toml`.
struct Longer {
    path: String,
    lines: usize,
}

/// Everything untidy, one line each.
pub(crate) fn check() -> Vec<String> {
    let (longer, mut findings) = exceptions();
    let files = files::tracked(&TEXTS);
    for file in &files {
        findings.extend(check_file(file, &longer));
    }
    for exception in &longer {
        if !files
            .iter()
            .any(|f| f.path == exception.path && length(&f.text) > MOST_LINES)
        {
            findings.push(format!(
                "xtask/tidy.toml: {} needs no exception",
                exception.path
            ));
        }
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        if !files::root().join(name).is_file() {
            findings.push(format!("{name}: is missing"));
        }
    }
    findings
}

fn exceptions() -> (Vec<Longer>, Vec<String>) {
    let path = files::root().join("xtask/tidy.toml");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(e) => return (Vec::new(), vec![format!("xtask/tidy.toml: {e}")]),
    };
    let mut longer = Vec::new();
    let mut findings = Vec::new();
    for entry in table
        .get("longer")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
    {
        let path = entry.get("path").and_then(toml::Value::as_str);
        let lines = entry
            .get("lines")
            .and_then(toml::Value::as_integer)
            .and_then(|n| usize::try_from(n).ok());
        let reason = entry
            .get("reason")
            .and_then(toml::Value::as_str)
            .unwrap_or_default();
        match (path, lines) {
            (Some(path), Some(lines)) if !reason.is_empty() => longer.push(Longer {
                path: path.to_owned(),
                lines,
            }),
            _ => findings.push(format!(
                "xtask/tidy.toml: wants path, lines and reason: {entry}"
            )),
        }
    }
    (longer, findings)
}

fn length(text: &str) -> usize {
    files::without_tests(text).count()
}

fn check_file(file: &File, longer: &[Longer]) -> Vec<String> {
    let File { path, text } = file;
    let mut findings = Vec::new();
    let mut say = |n: usize, what: String| findings.push(format!("{path}:{n}: {what}"));

    if path.ends_with("Cargo.toml") && !path.eq("Cargo.toml") && !text.contains("license") {
        say(1, "names no licence; `license.workspace = true`".to_owned());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        say(text.lines().count(), "no newline at the end".to_owned());
    }
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        // A table's last cell may be empty, and two blanks break a line in Markdown.
        if line.ends_with([' ', '\t']) && !path.ends_with(".tsv") && !path.ends_with(".md") {
            say(n, "white space at the end".to_owned());
        }
        if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
            say(n, format!("`{word}` is unfinished work"));
        }
        if let Some(at) = MACHINE_PATHS.iter().find(|at| names_path(line, at)) {
            say(n, format!("`{at}` is a folder of one machine"));
        }
    }
    if path.ends_with(".rs") {
        let limit = longer
            .iter()
            .find(|e| e.path == *path)
            .map_or(MOST_LINES, |e| e.lines);
        let length = length(text);
        if length > limit && !files::is_test_file(path) {
            say(
                limit,
                format!("{length} lines before the tests, the limit is {limit}; find the seam"),
            );
        }
        for (n, what) in bare_allowances(path, text) {
            say(n, what);
        }
    }
    findings
}

/// Whether the line names this absolute path, not a part of a longer word (`some/work/`).
fn names_path(line: &str, at: &str) -> bool {
    line.match_indices(at).any(|(i, _)| {
        !line[..i].ends_with(|c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')')
        })
    })
}

/// `#[allow]`s that say no reason, neither in the attribute nor in a comment on it or above it.
fn bare_allowances(path: &str, text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let first_test = files::without_tests(text).count();
    let mut findings = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let code = files::code_of(line);
        let Some(at) = code.find("#[allow(").or_else(|| code.find("#![allow(")) else {
            continue;
        };
        let attribute: String = lines[i..]
            .iter()
            .take_while_inclusive(|l| !l.contains(")]"))
            .collect();
        let in_tests = i >= first_test || files::is_test_file(path);
        let only_test_lints = attribute[at..]
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .filter(|word| !word.is_empty() && *word != "allow")
            .all(|word| TEST_LINTS.contains(&word));
        let commented = attribute.contains("reason =")
            || line.contains("//")
            || i.checked_sub(1)
                .is_some_and(|above| lines[above].trim_start().starts_with("//"));
        let excused = commented || (in_tests && only_test_lints);
        if !excused {
            findings.push((i + 1, "an allowance without a reason".to_owned()));
        }
    }
    findings
}

/// Takes up to and with the first line that does not hold.
trait TakeWhileInclusive<'a>: Iterator<Item = &'a &'a str> + Sized {
    fn take_while_inclusive(
        self,
        mut holds: impl FnMut(&str) -> bool,
    ) -> impl Iterator<Item = &'a str> {
        let mut go_on = true;
        self.map_while(move |line| {
            let take = go_on;
            go_on = go_on && holds(line);
            take.then_some(*line)
        })
    }
}

impl<'a, I: Iterator<Item = &'a &'a str>> TakeWhileInclusive<'a> for I {}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check_file(
            &File {
                path: path.to_owned(),
                text: text.to_owned(),
            },
            &[],
        )
    }

    #[test]
    fn a_clean_file_is_clean() {
        assert!(findings("crates/a/src/b.rs", "//! Fine.\n\nfn f() {}\n").is_empty());
    }

    #[test]
    fn leftovers_are_found() {
        for word in LEFTOVERS {
            assert_eq!(
                findings("a.rs", &format!("    {word})\n")).len(),
                1,
                "{word}"
            );
        }
    }

    #[test]
    fn folders_of_one_machine_are_found_but_not_their_namesakes() {
        for at in MACHINE_PATHS {
            assert_eq!(findings("a.md", &format!("see {at}x\n")).len(), 1, "{at}");
        }
        assert!(findings("a.md", concat!("see my", "/wo", "rk/x\n")).is_empty());
        assert!(findings("a.md", "see $HOME/work\n").is_empty());
    }

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let long = "// x\n".repeat(MOST_LINES + 1);
        assert_eq!(findings("a.rs", &long).len(), 1);
        let with_tests = format!("// x\n#[cfg(test)]\n{long}");
        assert!(findings("a.rs", &with_tests).is_empty());
        assert!(findings("crates/a/tests/b.rs", &long).is_empty());
    }

    #[test]
    fn white_space_and_a_missing_newline_are_found() {
        assert_eq!(findings("a.py", "x = 1 \n").len(), 1);
        assert_eq!(findings("a.py", "x = 1").len(), 1);
    }

    #[test]
    fn an_allowance_wants_a_reason() {
        assert_eq!(
            findings("a.rs", "#[allow(dead_code)]\nfn f() {}\n").len(),
            1
        );
        assert!(findings("a.rs", "#[allow(dead_code, reason = \"so\")]\nfn f() {}\n").is_empty());
        assert!(findings("a.rs", "#[allow(dead_code)] // so\nfn f() {}\n").is_empty());
        assert!(findings("a.rs", "// so\n#[allow(dead_code)]\nfn f() {}\n").is_empty());
        assert!(
            findings(
                "a.rs",
                "#[allow(\n    dead_code,\n    reason = \"so\",\n)]\nfn f() {}\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn tests_may_unwrap_without_a_reason_but_no_more() {
        let tests =
            "#[cfg(test)]\nmod tests {\n    #![allow(clippy::unwrap_used, clippy::panic)]\n}\n";
        assert!(findings("a.rs", tests).is_empty());
        let more = "#[cfg(test)]\nmod tests {\n    #![allow(unsafe_code)]\n}\n";
        assert_eq!(findings("a.rs", more).len(), 1);
    }

    #[test]
    fn a_manifest_names_its_licence() {
        assert_eq!(
            findings("crates/a/Cargo.toml", "[package]\nname = \"a\"\n").len(),
            1
        );
    }
}
