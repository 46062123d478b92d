//! The suite over every shipped key profile, in process.

#![allow(clippy::unwrap_used, clippy::panic)]

use authenticator::profile;
use conformance::{Framed, Verdict};
use subjects::InProcess;

#[test]
fn every_profile_is_as_expected() {
    for (id, text) in profile::all() {
        let profile = profile::Profile::from_toml(text).unwrap();
        let mut subject = Framed::new(InProcess::new(profile));
        let started = std::time::Instant::now();
        let report = conformance::run(&mut subject, conformance::all(), &mut |_| {}).unwrap();
        println!("{id}: {:?} in {:?}", report.counts(), started.elapsed());
        for row in &report.rows {
            if let Verdict::Fail(why) = &row.verdict {
                println!("  {}: {why}", row.check.id);
            }
        }
    }
}
