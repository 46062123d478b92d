//! `pinward completions` and `pinward man`: what shells and `man` want to know of the command line

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Zsh};

use crate::device;
use crate::exit::Fault;
use crate::{ledger, say};

/// The environment variable by which a shell asks for candidates.
pub(crate) const VARIABLE: &str = "PINWARD_COMPLETE";

/// Prints what a shell needs to complete commands, options, and the names of the keys that are plugged
/// in: `source <(pinward completions bash)`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

/// Writes the manual pages, one for each command, into a directory.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The directory, for example ~/.local/share/man/man1.
    directory: PathBuf,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Fault> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "pinward", "pinward", "pinward", &mut script)?;
    Ok(say::out(&String::from_utf8_lossy(&script))?)
}

pub(crate) fn man(args: &ManArgs) -> Result<(), Fault> {
    std::fs::create_dir_all(&args.directory)?;
    let command = crate::Cli::command();
    clap_mangen::generate_to(command, &args.directory)?;
    say::note(&format!("The pages are in {}.\n", args.directory.display()));
    Ok(())
}

/// The keys that are plugged in, by id and by what you call them.
pub(crate) fn keys(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy().to_lowercase();
    let mut candidates = vec![("touch".to_owned(), "the one that you touch".to_owned())];
    for key in device::all() {
        candidates.push((key.id.clone(), key.name()));
    }
    for known in ledger::all().unwrap_or_default() {
        if let Some(label) = known.label {
            candidates.push((label, say::escaped(&known.name)));
        }
    }
    candidates
        .into_iter()
        .filter(|(name, _)| name.to_lowercase().starts_with(&begun))
        .map(|(name, help)| CompletionCandidate::new(name).help(Some(help.into())))
        .collect()
}
