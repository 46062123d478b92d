//! `pinward`: see, test and control when a security key asks for its PIN.

mod always_uv;
mod authorise;
mod blobs;
mod ceremony;
mod completions;
mod confirm;
mod conformance;
mod create;
mod demo;
mod device;
mod doctor;
mod exit;
mod explain;
mod fido2_manage;
mod fingerprints;
mod get;
mod key_automation;
mod key_control;
mod key_keyring;
mod key_notify;
mod key_run;
mod key_store;
mod key_wire;
mod keyring;
mod keys;
mod label;
mod ledger;
mod list;
mod matrix;
mod names;
mod pair;
mod passkeys;
mod person;
mod pin;
mod policy;
mod remember;
mod reset;
mod say;
mod secret;
mod serve;
mod setting;
mod show;
mod table;
mod touched;
mod tui;
mod wink;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// See, test and control when a security key asks for its PIN.
///
/// Start with `pinward demo` and open the address that it prints: a site, a key and a platform of
/// your choice, and the reason for every question about a PIN. `pinward explain` answers the same
/// question in the terminal.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = exit::EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(Box<serve::ServeArgs>),
    Explain(Box<explain::ExplainArgs>),
    Matrix(Box<matrix::MatrixArgs>),
    #[command(subcommand, arg_required_else_help = true)]
    Policy(policy::PolicyCommand),
    /// Lists the platforms that are known.
    Platforms(names::ListArgs),
    /// Software security keys.
    #[command(subcommand, arg_required_else_help = true)]
    Key(KeyCommand),
    Keys(keys::KeysArgs),
    Create(Box<create::CreateArgs>),
    Get(Box<get::GetArgs>),
    List(list::ListArgs),
    Show(show::ShowArgs),
    #[command(subcommand, arg_required_else_help = true)]
    Pin(pin::PinCommand),
    AlwaysUv(always_uv::AlwaysUvArgs),
    #[command(subcommand, arg_required_else_help = true)]
    Passkeys(passkeys::PasskeysCommand),
    #[command(subcommand, arg_required_else_help = true)]
    Fingerprints(fingerprints::FingerprintsCommand),
    #[command(subcommand, arg_required_else_help = true)]
    Blobs(blobs::BlobsCommand),
    #[command(subcommand, arg_required_else_help = true)]
    EnterpriseAttestation(setting::EnterpriseCommand),
    #[command(subcommand, arg_required_else_help = true)]
    Label(label::LabelCommand),
    Pair(pair::PairArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
    Reset(reset::ResetArgs),
    Tui(tui::TuiArgs),
    Doctor(doctor::DoctorArgs),
    Wink(wink::WinkArgs),
    Conformance(conformance::ConformanceArgs),
    Fido2Manage(fido2_manage::Fido2ManageArgs),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    Run(Box<key_run::KeyRunArgs>),
    /// Lists the models of key that ship with pinward, with the states each can be in.
    Profiles(names::ListArgs),
    #[command(flatten)]
    Control(key_control::ControlCommand),
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    if let Some(called) = fido2_manage::called(&name) {
        return fido2_manage::by_name(&called, words);
    }
    clap_complete::CompleteEnv::with_factory(<Cli as clap::CommandFactory>::command)
        .var(completions::VARIABLE)
        .complete();
    let cli = Cli::parse();
    if let Command::Fido2Manage(args) = &cli.command {
        return fido2_manage::by_command(args);
    }
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if say::is_closed_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pinward: {failure}");
            ExitCode::from(exit_code(&*failure))
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn exit_code(failure: &(dyn std::error::Error + 'static)) -> u8 {
    if let Some(fault) = failure.downcast_ref::<exit::Fault>() {
        return fault.exit as u8;
    }
    if let Some(key_run::KeyRunError::Protection(fault)) = failure.downcast_ref() {
        return fault.exit as u8;
    }
    if failure.is::<names::UnknownName>() || failure.is::<policy::WrongPolicy>() {
        2
    } else {
        1
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => Ok(demo::run(&args)?),
        Command::Serve(args) => serve::run(*args),
        Command::Explain(args) => explain::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Policy(command) => policy::run(&command),
        Command::Platforms(args) => names::platforms(&args),
        Command::Key(KeyCommand::Run(args)) => Ok(key_run::run(&args)?),
        Command::Key(KeyCommand::Control(command)) => Ok(key_control::run(&command)?),
        Command::Key(KeyCommand::Profiles(args)) => names::key_profiles(&args),
        Command::Keys(args) => Ok(keys::run(&args)?),
        Command::Create(args) => Ok(create::run(&args)?),
        Command::Get(args) => Ok(get::run(&args)?),
        Command::List(args) => Ok(list::run(&args)?),
        Command::Show(args) => Ok(show::run(&args)?),
        Command::Pin(command) => Ok(pin::run(&command)?),
        Command::AlwaysUv(args) => Ok(always_uv::run(&args)?),
        Command::Passkeys(command) => Ok(passkeys::run(&command)?),
        Command::Fingerprints(command) => Ok(fingerprints::run(&command)?),
        Command::Blobs(command) => Ok(blobs::run(&command)?),
        Command::EnterpriseAttestation(command) => Ok(setting::run(&command)?),
        Command::Label(command) => Ok(label::run(&command)?),
        Command::Pair(args) => Ok(pair::run(&args)?),
        Command::Completions(args) => Ok(completions::run(&args)?),
        Command::Man(args) => Ok(completions::man(&args)?),
        Command::Reset(args) => Ok(reset::run(&args)?),
        Command::Tui(args) => Ok(tui::run(&args)?),
        Command::Doctor(args) => Ok(doctor::run(&args)?),
        Command::Wink(args) => Ok(wink::run(&args)?),
        Command::Conformance(args) => Ok(conformance::run(&args)?),
        // Ends with exit codes of its own.
        Command::Fido2Manage(_) => Ok(()),
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
