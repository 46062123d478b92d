//! What is expected of a key, and the matrix of what many keys do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;

use crate::run::{Report, Verdict};

/// What is expected of one key profile: everything passes but what is listed here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What the key is known to do otherwise, and why.
    #[serde(default)]
    pub deviations: Vec<Deviation>,
    /// Checks that say nothing about the key.
    #[serde(default)]
    pub not_applicable: BTreeSet<String>,
}

/// Known deviations of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// Why the key does so.
    pub reason: String,
    /// The checks that fail by it.
    pub checks: BTreeSet<String>,
}

impl Expected {
    /// Reads a file of `conformance/expected/`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text of such a file.
    #[must_use]
    pub fn to_toml(&self, profile: &str) -> String {
        let mut text = format!(
            "# What the conformance suite finds on the key profile {profile}. Everything else passes.\n\
             # Written by `cargo run -p subjects --example matrix -- conformance`; deviations are kept.\n\n"
        );
        text.push_str(&list("not_applicable", &self.not_applicable));
        for deviation in &self.deviations {
            let _ = write!(text, "\n[[deviations]]\nreason = {:?}\n", deviation.reason);
            text.push_str(&list("checks", &deviation.checks));
        }
        text
    }

    /// Why a check is known to fail.
    #[must_use]
    pub fn deviation(&self, id: &str) -> Option<&str> {
        self.deviations
            .iter()
            .find(|deviation| deviation.checks.contains(id))
            .map(|deviation| deviation.reason.as_str())
    }

    /// What came out otherwise than expected, one line each.
    #[must_use]
    pub fn surprises(&self, report: &Report) -> Vec<String> {
        let mut lines = Vec::new();
        let mut seen = BTreeSet::new();
        for row in &report.rows {
            let id = row.check.id;
            seen.insert(id);
            let expected = (self.deviation(id), self.not_applicable.contains(id));
            match (&row.verdict, expected) {
                (Verdict::Pass, (None, false))
                | (Verdict::Fail(_), (Some(_), false))
                | (Verdict::NotApplicable(_), (None, true)) => {}
                (Verdict::Fail(why), _) => lines.push(format!("{id} fails: {why}")),
                (Verdict::Pass, _) => lines.push(format!("{id} passes, which is not expected")),
                (Verdict::NotApplicable(why), _) => {
                    lines.push(format!("{id} does not apply, which is not expected: {why}"));
                }
            }
        }
        let listed = self.deviations.iter().flat_map(|d| &d.checks);
        let unknown = listed
            .chain(&self.not_applicable)
            .filter(|id| !seen.contains(id.as_str()));
        lines.extend(unknown.map(|id| format!("{id} is expected, but there is no such check")));
        lines
    }
}

fn list(name: &str, items: &BTreeSet<String>) -> String {
    let mut text = format!("{name} = [\n");
    for item in items {
        let _ = writeln!(text, "    {item:?},");
    }
    text.push_str("]\n");
    text
}

/// The matrix of several keys as Markdown: one row for each check, one column for each key.
#[must_use]
pub fn matrix(keys: &BTreeMap<String, (Expected, Report)>) -> String {
    let mut text = String::from(
        "# What the conformance suite finds on each key profile\n\n\
         Written by `cargo run -p subjects --example matrix -- conformance`; a test fails when it is not \
         current.\n`+` passes, `.` says nothing about this key, `D` is a known deviation, with its reason in \
         `expected/`.\n\n",
    );
    text.push_str("| key | passes | known deviations | not applicable |\n|---|---|---|---|\n");
    for (id, (_, report)) in keys {
        let (passes, fails, other) = report.counts();
        let _ = writeln!(text, "| {id} | {passes} | {fails} | {other} |");
    }
    let names: Vec<_> = keys.keys().cloned().collect();
    let _ = write!(text, "\n| check | proves | {} |\n", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(names.len()));
    let rows = keys.values().next().map_or(&[][..], |(_, r)| &r.rows[..]);
    for (n, row) in rows.iter().enumerate() {
        let marks: Vec<_> = keys
            .values()
            .map(|(_, report)| report.rows.get(n).map_or("?", |row| mark(&row.verdict)))
            .collect();
        let check = row.check;
        let _ = writeln!(
            text,
            "| {} | {}: {} | {} |",
            check.id,
            check.section,
            check.title,
            marks.join(" | ")
        );
    }
    text
}

fn mark(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "+",
        Verdict::NotApplicable(_) => ".",
        Verdict::Fail(_) => "D",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::run::Row;

    fn report(verdict: Verdict) -> Report {
        let check = crate::all().next().unwrap();
        Report {
            rows: vec![Row { check, verdict }],
        }
    }

    fn expected(deviates: bool, not_applicable: bool) -> Expected {
        let id = crate::all().next().unwrap().id.to_owned();
        let deviation = Deviation {
            reason: "a \"known\" one".to_owned(),
            checks: BTreeSet::from([id.clone()]),
        };
        Expected {
            deviations: if deviates {
                vec![deviation]
            } else {
                Vec::new()
            },
            not_applicable: not_applicable.then_some(id).into_iter().collect(),
        }
    }

    #[test]
    fn what_is_not_expected_is_a_surprise() {
        let fail = || Verdict::Fail("x".to_owned());
        let none = || Verdict::NotApplicable("x".to_owned());
        for (verdict, deviates, not_applicable, surprises) in [
            (Verdict::Pass, false, false, 0),
            (Verdict::Pass, true, false, 1),
            (Verdict::Pass, false, true, 1),
            (fail(), true, false, 0),
            (fail(), false, false, 1),
            (fail(), false, true, 1),
            (none(), false, true, 0),
            (none(), false, false, 1),
            (none(), true, false, 1),
        ] {
            let found = expected(deviates, not_applicable).surprises(&report(verdict.clone()));
            assert_eq!(
                found.len(),
                surprises,
                "{verdict:?} {deviates} {not_applicable}"
            );
        }
    }

    #[test]
    fn a_check_that_is_gone_is_a_surprise() {
        let mut gone = expected(false, false);
        gone.not_applicable.insert("no.such-check".to_owned());
        assert_eq!(gone.surprises(&report(Verdict::Pass)).len(), 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = expected(true, false);
        assert_eq!(Expected::from_toml(&written.to_toml("x")).unwrap(), written);
    }
}
