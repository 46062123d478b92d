//! `pinward fido2-manage`: the flags of Token2's fido2-manage, without its faults
//!
//! Also when the program is run under that name. It is not a wrapper: no other program is started, and
//! no output is taken apart.

mod args;
mod ask;
pub(crate) mod base64;
mod fingers;
mod info;
mod passkeys;
mod reset;
mod run;
mod text;
mod trouble;

use std::ffi::{OsStr, OsString};
use std::io::{Write as _, pipe};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;
use rustix::io::{FdFlags, fcntl_setfd};
use zeroize::Zeroizing;

use crate::secret::Named;
use args::{Action, Call, Manner};
use text::Dialect;
use trouble::Trouble;

/// Takes the flags of Token2's fido2-manage: -list, -info, -storage, -residentKeys, -setPIN,
/// -changePIN, -setMinimumPIN, -forcePINchange, -uvs, -uvd, -delete, -fingerprint and -reset.
///
/// `pinward fido2-manage -help` explains them. The program does the same when it is run under the name
/// fido2-manage, fido2-manage.sh or fido2-manage-ui, for example through a link.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Fido2ManageArgs {
    /// The flags. Everything after the command is one.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAGS"
    )]
    words: Vec<Named>,
}

/// The names under which the program is fido2-manage.
const NAMES: [&str; 3] = ["fido2-manage", "fido2-manage.sh", "fido2-manage-ui"];

/// How the program was called, if it was called as fido2-manage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    /// As it is to be called again: the program's words before the flags.
    before: Vec<OsString>,
    name: String,
    dialect: Dialect,
}

/// Whether the program has been called by one of these names.
pub(crate) fn called(program: &OsStr) -> Option<Called> {
    let path = Path::new(program).file_name()?.to_str()?;
    let lower = path.to_lowercase();
    let stem = lower.strip_suffix(".exe").unwrap_or(&lower);
    NAMES.contains(&stem).then(|| {
        let windows = stem.len() < lower.len() || stem == "fido2-manage-ui";
        Called {
            before: vec![program.to_owned()],
            name: path.to_owned(),
            dialect: if windows {
                Dialect::Windows
            } else {
                Dialect::Linux
            },
        }
    })
}

/// `pinward fido2-manage`
pub(crate) fn by_command(args: &Fido2ManageArgs) -> ExitCode {
    let program = std::env::args_os().next().unwrap_or_default();
    let called = Called {
        before: vec![program, "fido2-manage".into()],
        name: "pinward fido2-manage".to_owned(),
        dialect: Dialect::Linux,
    };
    let words = args.words.iter();
    run(
        &called,
        words
            .map(|word| Zeroizing::new(word.text().to_owned()))
            .collect(),
    )
}

/// By one of its names, with the words after it.
pub(crate) fn by_name(called: &Called, words: impl Iterator<Item = OsString>) -> ExitCode {
    match args::texts(words) {
        Ok(words) => run(called, words),
        Err(trouble) => {
            eprint!("{}", called.dialect.failure(&trouble.to_string()));
            ExitCode::from(trouble.exit as u8)
        }
    }
}

/// Does what the flags say.
fn run(called: &Called, words: Vec<Zeroizing<String>>) -> ExitCode {
    let manner = Manner::of(&words, called.dialect);
    let parsed = args::parse(&words, manner);
    let action = parsed.as_ref().ok().map(|call| call.action);
    let done = parsed.and_then(|call| {
        hide_pin(&call, called, &words)?;
        note(&call);
        run::act(&call, &called.name)?;
        // Help that nobody asked for means that something was missing.
        if call.action == Action::Help && !call.asked {
            return Err(Trouble::usage("nothing was asked for"));
        }
        Ok(())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprint!("{}", manner.dialect.failure(&trouble.to_string()));
            ExitCode::from(exit_code(manner, action, &trouble))
        }
    }
}

/// The truth, or what fido2-manage would say.
fn exit_code(manner: Manner, action: Option<Action>, trouble: &Trouble) -> u8 {
    if !manner.legacy_exit {
        return trouble.exit as u8;
    }
    let failed = trouble.always_failed
        || match manner.dialect {
            Dialect::Linux => action == Some(Action::SetMinimumPin),
            Dialect::Macos => action == Some(Action::Help),
            Dialect::Windows => false,
            // What is wrong with the command line, and a failed enrolment.
            Dialect::Cpp => {
                matches!(action, None | Some(Action::Help | Action::Fingerprint))
                    || trouble.exit == crate::exit::Exit::Usage
            }
        };
    u8::from(failed)
}

fn note(call: &Call) {
    for action in &call.left_out {
        eprintln!(
            "Only -{} is done; -{} is left out.",
            call.action.name(),
            action.name()
        );
    }
}

/// A PIN among the words is taken out of the list of processes: the program starts itself anew with
/// the PIN in a pipe. Where that cannot be the call goes on as it is.
fn hide_pin(call: &Call, called: &Called, words: &[Zeroizing<String>]) -> Result<(), Trouble> {
    let (Some(pin), Some(place)) = (&call.pin, call.pin_word) else {
        return Ok(());
    };
    if ask::is_place(pin) {
        return Ok(());
    }
    if pin.contains('\n') {
        return Err(Trouble::usage("a PIN has no line breaks"));
    }
    eprintln!(
        "Warning: every program on this machine can read a PIN on the command line. -pin env:NAME, \
         stdin, fd:N or file:PATH says where it is; without -pin it is asked for."
    );
    let _ = restart(pin, place, called, words);
    Ok(())
}

/// Comes back only when it fails.
fn restart(
    pin: &str,
    (word, begin): (usize, usize),
    called: &Called,
    words: &[Zeroizing<String>],
) -> std::io::Result<()> {
    let (reader, mut writer) = pipe()?;
    writer.write_all(pin.as_bytes())?;
    drop(writer);
    fcntl_setfd(&reader, FdFlags::empty())?;
    let place = format!("fd:{}", reader.as_raw_fd());
    let mut again = words
        .iter()
        .map(|word| word.to_string())
        .collect::<Vec<_>>();
    if let Some(slot) = again.get_mut(word) {
        slot.truncate(begin);
        slot.push_str(&place);
    }
    let no_name = OsString::new();
    let (name, before) = called.before.split_first().unwrap_or((&no_name, &[]));
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(OsStr::new(name)).args(before).args(again);
    Err(command.exec())
}
