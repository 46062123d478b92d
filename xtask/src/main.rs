//! The project's own chores. `cargo xtask` without a command lists them.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

mod files;
mod layers;
mod licences;
mod needs;
mod shell;
mod tables;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [--quick]         everything, in the order in which it fails fastest; installs what it needs
                         (--quick leaves out the real clients)
  e2e [--full] [FILTER]  the real clients (see e2e/README.md); FILTER is a part of a scenario's name
  witness PLATFORM [...] what a browser does with a key in each state, and whether the matrix says so
                         (chromium-linux or firefox-linux; --write keeps it in vectors/witness/)
  layers                 no crate uses another one against ARCHITECTURE.md; protocol crates do no I/O
  tables [--check]       write (or compare) the decision tables under vectors/uv/
  tidy                   file lengths, leftovers, machine paths, allowances without a reason
  licences               every dependency carries a licence that deny.toml allows
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::everything(false),
        ["test", "--quick"] => test::everything(true),
        ["e2e", rest @ ..] => test::e2e(rest),
        ["witness", rest @ ..] => test::witness(rest),
        ["layers"] => report("layers", &layers::check()),
        ["tables"] => tables::run(false),
        ["tables", "--check"] => tables::run(true),
        ["tidy"] => report("tidy", &tidy::check()),
        ["licences"] => report("licences", &licences::check()),
        ["" | "help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => Err(format!(
            "cargo xtask knows no `{}`\n\n{HELP}",
            words.join(" ")
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // `test` has said everything already, and its closing line stays the last one.
            if !why.is_empty() {
                eprintln!("{why}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Turns a list of findings into a command's result.
fn report(name: &str, findings: &[String]) -> Result<(), String> {
    if findings.is_empty() {
        println!("{name}: nothing to say");
        return Ok(());
    }
    for finding in findings {
        println!("{finding}");
    }
    Err(format!("{name}: {} finding(s)", findings.len()))
}
