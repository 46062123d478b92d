//! The suite over every shipped key profile, in process: what comes out is what `conformance/` says.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use conformance::expected::matrix;

#[test]
fn every_profile_does_what_is_expected_and_the_matrix_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let keys = subjects::run_all(&folder).unwrap();
    assert!(keys.len() >= 20, "{} profiles", keys.len());
    let surprises: Vec<_> = keys
        .iter()
        .flat_map(|(id, (expected, report))| {
            let lines = expected.surprises(report);
            lines.into_iter().map(move |line| format!("{id}: {line}"))
        })
        .collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let written = std::fs::read_to_string(folder.join("matrix.md")).unwrap();
    assert!(
        written == matrix(&keys),
        "conformance/matrix.md is old: cargo run -p subjects --example matrix -- conformance"
    );
}
