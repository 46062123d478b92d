//! `pinward`: see, test and control when a security key asks for its PIN.

mod demo;
mod explain;
mod key_run;
mod names;
mod say;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// See, test and control when a security key asks for its PIN.
///
/// Start with `pinward demo` and open the address that it prints: a site, a key and a platform of
/// your choice, and the reason for every question about a PIN. `pinward explain` answers the same
/// question in the terminal.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong use.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(Box<serve::ServeArgs>),
    Explain(explain::ExplainArgs),
    /// Lists the platforms that are known.
    Platforms(names::ListArgs),
    /// Software security keys.
    #[command(subcommand, arg_required_else_help = true)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    Run(Box<key_run::KeyRunArgs>),
    /// Lists the models of key that ship with pinward, with the states each can be in.
    Profiles(names::ListArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if say::is_closed_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pinward: {failure}");
            let usage = failure.is::<names::UnknownName>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => Ok(demo::run(&args)?),
        Command::Serve(args) => Ok(serve::run(*args)?),
        Command::Explain(args) => explain::run(&args),
        Command::Platforms(args) => names::platforms(&args),
        Command::Key(KeyCommand::Run(args)) => Ok(key_run::run(&args)?),
        Command::Key(KeyCommand::Profiles(args)) => names::key_profiles(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
