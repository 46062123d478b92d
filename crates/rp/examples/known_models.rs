//! Reads a BLOB of the FIDO Metadata Service from a file, and says what is known of each model and
//! whether the default policy takes it.
//!
//! `cargo run -p rp --example known_models -- blob.jwt [UNIX-TIME-AT-WHICH-IT-WAS-TAKEN]`
#![allow(clippy::print_stdout, reason = "it is a program")]

use rp::metadata::{FIDO_ALLIANCE, Metadata, ModelPolicy, fido_alliance_root};

type Error = Box<dyn std::error::Error>;

pub(crate) fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which file?")?;
    let taken = match arguments.next() {
        Some(text) => text.parse()?,
        None => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs(),
    };
    let blob = std::fs::read(file)?;
    let metadata = Metadata::read(&blob, &fido_alliance_root()?, FIDO_ALLIANCE, taken)?;
    println!("{}", metadata.legal_header());
    println!(
        "number {}, next on {}",
        metadata.number(),
        metadata.next_update()
    );
    for fault in metadata.faults() {
        println!("entry {} cannot be used: {}", fault.entry, fault.reason);
    }
    let policy = ModelPolicy::default();
    for entry in metadata.entries() {
        let reports = entry.status_in_force(taken);
        let bad = reports
            .iter()
            .find(|report| policy.refused_statuses.contains(&report.status));
        let status = reports.last().map_or("-", |report| report.status.as_str());
        let taken = if bad.is_some() { "refused" } else { "taken" };
        println!("{taken}  {status:24} {}", entry.name());
    }
    Ok(())
}
