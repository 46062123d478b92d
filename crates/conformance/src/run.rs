//! Runs checks and gathers what came of them.

use ctap::{Command, get_info, request_bytes, split_response};
use webauthn::cbor::Value;

use crate::bench::{Bench, Facts};
use crate::check::{Check, Finding, Need};
use crate::subject::{Subject, Trouble, Wire};

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The key does what the section says.
    Pass,
    /// The check says nothing about this key, and why.
    NotApplicable(String),
    /// The key does something else.
    Fail(String),
}

/// One check and what came of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The check.
    pub check: &'static Check,
    /// What came of it.
    pub verdict: Verdict,
}

/// All rows of one key.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// In the order of the suite.
    pub rows: Vec<Row>,
}

impl Report {
    /// How many passed, failed, and did not apply.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |of: fn(&Verdict) -> bool| {
            let rows = self.rows.iter();
            rows.filter(|row| of(&row.verdict)).count()
        };
        (
            count(|v| *v == Verdict::Pass),
            count(|v| matches!(v, Verdict::Fail(_))),
            count(|v| matches!(v, Verdict::NotApplicable(_))),
        )
    }
}

/// Runs checks on a key; `after` hears of each when it is done.
///
/// # Errors
/// [`Trouble`] when the key cannot even be asked what it is.
pub fn run<'c>(
    subject: &mut dyn Subject,
    checks: impl IntoIterator<Item = &'static Check> + 'c,
    after: &mut dyn FnMut(&Row),
) -> Result<Report, Trouble> {
    let facts = facts(subject)?;
    let mut report = Report::default();
    for check in checks {
        let row = Row {
            check,
            verdict: run_with(subject, &facts, check),
        };
        after(&row);
        report.rows.push(row);
    }
    Ok(report)
}

/// Runs one check on a key.
///
/// # Errors
/// [`Trouble`] when the key cannot even be asked what it is.
pub fn run_one(subject: &mut dyn Subject, check: &Check) -> Result<Verdict, Trouble> {
    let facts = facts(subject)?;
    Ok(run_with(subject, &facts, check))
}

fn main_wire(subject: &dyn Subject) -> Wire {
    if subject.offers().reports {
        Wire::Reports
    } else {
        Wire::Card
    }
}

fn facts(subject: &mut dyn Subject) -> Result<Facts, Trouble> {
    subject.fresh(main_wire(subject))?;
    let answer = match subject.ctap2(0, &request_bytes(Command::GetInfo, &[])) {
        Ok(answer) => answer,
        // A key that speaks only U2F does not know the message.
        Err(Trouble::Refused(_)) => return Ok(Facts::default()),
        Err(trouble) => return Err(trouble),
    };
    let Some((ctap::Status::OK, members)) = split_response(&answer) else {
        return Ok(Facts::default());
    };
    let unread =
        |why: &dyn core::fmt::Debug| Trouble::Framing(format!("getInfo does not read: {why:?}"));
    Ok(Facts {
        info: Some(get_info::Response::decode(members).map_err(|e| unread(&e))?),
        raw: Some(Value::decode(members).map_err(|e| unread(&e))?),
    })
}

fn run_with(subject: &mut dyn Subject, facts: &Facts, check: &Check) -> Verdict {
    if let Some(missing) = missing(subject, facts, check) {
        return Verdict::NotApplicable(missing);
    }
    let wire = if check.needs.contains(&Need::Card) {
        Wire::Card
    } else {
        main_wire(subject)
    };
    if let Err(trouble) = subject.fresh(wire) {
        return Verdict::Fail(format!("the key could not be made as new: {trouble}"));
    }
    let mut bench = Bench::new(subject, facts, check.id);
    match (check.run)(&mut bench) {
        Ok(()) => Verdict::Pass,
        Err(Finding::NotApplicable(why)) => Verdict::NotApplicable(why),
        Err(Finding::Failed(what)) => Verdict::Fail(what),
        Err(Finding::Trouble(Trouble::Cannot(what))) => {
            Verdict::NotApplicable(format!("this subject cannot {what}"))
        }
        Err(Finding::Trouble(trouble)) => Verdict::Fail(trouble.to_string()),
    }
}

fn missing(subject: &mut dyn Subject, facts: &Facts, check: &Check) -> Option<String> {
    let bench = Bench::new(subject, facts, check.id);
    let need = check.needs.iter().find(|need| !bench.meets(**need))?;
    Some(format!("needs {need:?}"))
}
