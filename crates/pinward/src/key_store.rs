//! Where a software key lives, how its file is protected, and who notices an old copy of it

use std::path::{Path, PathBuf};

use authenticator::Profile;
use clap::Args;
use softkey::Options;
use softkey::store::{FileError, Passphrase, Protection, Witnesses};

use crate::exit::Fault;
use crate::key_keyring::Keyring;
use crate::key_run::KeyRunError;
use crate::secret::Named;

/// Where the key lives.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Keep the key in this file, which is made if it is not there.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "ephemeral",
        conflicts_with = "ephemeral"
    )]
    pub(crate) store: Option<PathBuf>,
    /// Forget the key when it ends.
    #[arg(long)]
    ephemeral: bool,
    /// Where the passphrase of the file is: keyring (that of your desktop, which makes one for a new
    /// file), env:NAME, file:PATH, fd:N, stdin or cmd:COMMAND.
    #[arg(
        long,
        value_name = "PLACE",
        requires = "store",
        conflicts_with_all = ["passphrase_env", "insecure_plaintext", "ephemeral"]
    )]
    passphrase: Option<Named>,
    /// The environment variable that holds the passphrase of the file.
    #[arg(
        long,
        value_name = "NAME",
        requires = "store",
        conflicts_with_all = ["insecure_plaintext", "ephemeral"]
    )]
    passphrase_env: Option<String>,
    /// Do not seal the file: whoever reads it has the private keys. For test keys.
    #[arg(long, requires = "store", conflicts_with = "ephemeral")]
    insecure_plaintext: bool,
    /// Take the file although it is an older copy than the one that was last used here: its PIN tries
    /// and deleted credentials come back.
    #[arg(long, requires = "store", conflicts_with = "ephemeral")]
    accept_rollback: bool,
}

impl StoreArgs {
    /// The key in its file.
    pub(crate) fn open(&self, profile: Profile, path: &Path) -> Result<Options, KeyRunError> {
        let protection = self.protection(path)?;
        let Some(folder) = witness_folder() else {
            eprintln!(
                "warning: neither XDG_STATE_HOME nor HOME is set: an old copy of {} would not be noticed",
                path.display()
            );
            return Ok(Options::stored(profile, path, &protection)?);
        };
        let witnesses = Witnesses::in_folder(folder).accept_rollback(self.accept_rollback);
        match Options::watched(profile, path, &protection, &witnesses) {
            Err(error @ FileError::WrongPassphrase) if self.names_keyring() => {
                Err(Fault::usage(format!(
                    "{error}: the keyring's passphrase for {} is another one's",
                    path.display()
                ))
                .into())
            }
            other => Ok(other?),
        }
    }

    fn names_keyring(&self) -> bool {
        self.passphrase.as_ref().is_some_and(Named::is_keyring)
    }

    fn protection(&self, path: &Path) -> Result<Protection, Fault> {
        let passphrase = match (&self.passphrase, &self.passphrase_env) {
            (Some(named), _) if named.is_keyring() => Keyring::find()?.passphrase(path)?,
            (Some(named), _) => Passphrase::new(named.read()?.to_string()),
            (None, Some(name)) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Passphrase::new(text),
                _ => {
                    return Err(Fault::usage(format!(
                        "the environment variable {name} holds no passphrase"
                    )));
                }
            },
            (None, None) if self.insecure_plaintext => return Ok(Protection::InsecurePlaintext),
            (None, None) => {
                return Err(Fault::usage(format!(
                    "say how to protect {}: --passphrase keyring (your desktop keeps it), --passphrase \
                     env:NAME, file:PATH or cmd:COMMAND, or --insecure-plaintext for a test key",
                    path.display()
                )));
            }
        };
        Ok(Protection::sealed(passphrase))
    }
}

/// Where it is remembered how far the keys of this user had come.
fn witness_folder() -> Option<PathBuf> {
    let from = |name| {
        let folder = PathBuf::from(std::env::var_os(name)?);
        folder.is_absolute().then_some(folder)
    };
    let state = from("XDG_STATE_HOME").or_else(|| Some(from("HOME")?.join(".local/state")))?;
    Some(state.join("pinward/keys"))
}
