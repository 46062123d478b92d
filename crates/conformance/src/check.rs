//! What a check is.

use crate::bench::Bench;
use crate::subject::Trouble;

/// What the key, or the subject that holds it, must have for a check to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It speaks CTAP2.
    Ctap2,
    /// It speaks U2F, and alwaysUv is off.
    U2f,
    /// getInfo has this option, on or off.
    Option(&'static str),
    /// getInfo says true to this option.
    On(&'static str),
    /// getInfo does not say true to this option.
    NotOn(&'static str),
    /// getInfo does not have this option.
    Lacks(&'static str),
    /// getInfo lists this extension.
    Extension(&'static str),
    /// getInfo does not list this extension.
    NoExtension(&'static str),
    /// getInfo lists this PIN/UV auth protocol.
    Protocol(u64),
    /// getInfo lists this version.
    Version(&'static str),
    /// getInfo does not list this version.
    NotVersion(&'static str),
    /// getInfo has this member.
    Member(i64),
    /// getInfo lists this algorithm.
    Algorithm(i64),
    /// authenticatorConfig has this subcommand.
    Config(u64),
    /// The key gives some token that permits credentialManagement.
    Management,
    /// The power can be cut.
    Power,
    /// Time can be made to pass.
    Clock,
    /// The person can be told how to behave.
    Person,
    /// The wire of reports.
    Reports,
    /// The wire of APDUs.
    Card,
}

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The key does something else.
    Failed(String),
    /// The check says nothing about this key.
    NotApplicable(String),
    /// The exchange itself broke down.
    Trouble(Trouble),
}

impl From<Trouble> for Finding {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// What comes of a check.
pub type Outcome<T = ()> = Result<T, Finding>;

/// One named check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name, which stays.
    pub id: &'static str,
    /// What it proves.
    pub section: &'static str,
    /// That, in a sentence.
    pub title: &'static str,
    /// What the key must have.
    pub needs: &'static [Need],
    pub(crate) run: fn(&mut Bench<'_>) -> Outcome,
}

impl core::fmt::Debug for Check {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Check({}, {})", self.id, self.section)
    }
}

/// A row of a table of checks.
pub(crate) const fn check(
    id: &'static str,
    section: &'static str,
    title: &'static str,
    needs: &'static [Need],
    run: fn(&mut Bench<'_>) -> Outcome,
) -> Check {
    Check {
        id,
        section,
        title,
        needs,
        run,
    }
}

/// The key does something else than it should.
pub(crate) fn failed<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Finding::Failed(what.into()))
}

/// The check says nothing about this key.
pub(crate) fn not_applicable<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Finding::NotApplicable(why.into()))
}

/// Whether it is as it should be.
pub(crate) fn ensure(holds: bool, what: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { failed(what) }
}

/// Whether two things are the same.
pub(crate) fn same<T: PartialEq + core::fmt::Debug>(found: T, due: T, what: &str) -> Outcome {
    if found == due {
        Ok(())
    } else {
        failed(format!("{what}: {found:?}, but {due:?} is due"))
    }
}
