//! The decision tables under `vectors/uv/`. They are written by an example of `lab`, which knows both
//! parties; this chore only starts it, so that it needs none of the house to be built itself.

use std::process::Command;

use crate::shell;

/// Writes the tables, or compares them with what is there.
pub(crate) fn run(check: bool) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--quiet",
        "--package",
        "lab",
        "--example",
        "tables",
        "--",
        "vectors/uv",
    ]);
    if check {
        command.arg("--check");
    }
    if shell::run(&mut command, 20)?.ok {
        return Ok(());
    }
    Err("tables: differ from the code; `cargo xtask tables` writes them, the difference belongs in the review".to_owned())
}
