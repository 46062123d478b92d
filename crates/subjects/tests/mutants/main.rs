//! The suite can fail: keys that are wrong in one way, each found by the checks that are named for it.
//!
//! A mutant is the key of this project with somebody in the middle who changes messages, reports, APDUs,
//! the person or the clock, in the way of a trap that other keys have fallen into.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fault;
mod table;

use authenticator::profile;
use conformance::{Framed, Verdict};
use subjects::InProcess;

use fault::Mutant;

fn key(id: &str) -> Framed<InProcess> {
    let profile = profile::find(id).unwrap().unwrap();
    Framed::new(InProcess::new(profile))
}

#[test]
fn every_mutant_is_caught_by_its_checks_and_the_key_is_not() {
    let rows = table::all();
    assert!(rows.len() >= 40, "{} mutants", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        for id in row.caught_by {
            let check = conformance::all().find(|check| check.id == *id);
            let check = check.unwrap_or_else(|| panic!("{}: no check {id}", row.name));
            let right = conformance::run_one(&mut key(row.profile), check).unwrap();
            // What does not apply to the key may apply to what the mutant says of itself.
            if matches!(right, Verdict::Fail(_)) {
                wrong.push(format!("{}: {id} on the right key: {right:?}", row.name));
            }
            let mut mutant = Mutant::new(key(row.profile), (row.fault)());
            match conformance::run_one(&mut mutant, check) {
                Ok(Verdict::Fail(_)) | Err(_) => {}
                Ok(other) => wrong.push(format!("{} is not caught by {id}: {other:?}", row.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn somebody_in_the_middle_who_changes_nothing_is_not_noticed() {
    let mut mutant = Mutant::new(key("fido-2.3-complete"), fault::Fault::Nothing);
    let report = conformance::run(&mut mutant, conformance::all().step_by(9), &mut |_| {}).unwrap();
    let failed: Vec<_> = report
        .rows
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::Fail(_)))
        .map(|row| row.check.id)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(report.counts().0 > 60);
}
