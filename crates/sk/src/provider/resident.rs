//! The SSH keys on the key (`ssh-add -K`, `ssh-keygen -K`).

use client::manage::Manager;
use client::pin::Pin;
use ctap::client_pin::Permissions;

use super::attested::public_key;
use super::wrong_pin;
use crate::api::{Algorithm, Fault, flag};

/// `struct sk_resident_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The type of key.
    pub algorithm: Algorithm,
    /// What it was made for: `ssh:` and more.
    pub application: String,
    /// The flags that it was made with, as far as the key tells.
    pub flags: u8,
    /// The public key as OpenSSH has it.
    pub public_key: Vec<u8>,
    /// The credential ID.
    pub key_handle: Vec<u8>,
    /// The user handle.
    pub user_id: Vec<u8>,
}

/// Lists the SSH keys: those whose application starts with `ssh:`, of the two types that OpenSSH
/// knows.
///
/// # Errors
/// [`Fault`]
pub fn load_resident_keys(
    manager: &mut Manager<'_>,
    pin: Option<&str>,
) -> Result<Vec<Resident>, Fault> {
    manager.lists_passkeys()?;
    let options = manager.options();
    let permissions = Permissions::CREDENTIAL_MANAGEMENT;
    let token = match pin {
        Some(typed) if options.client_pin == Some(true) => {
            let pin = Pin::existing(typed)?;
            let token = manager.token_by_pin(&pin, permissions);
            token.map_err(|error| wrong_pin(manager, error))?
        }
        _ if options.uv == Some(true) => manager.token_by_built_in_uv(permissions)?,
        _ if options.client_pin == Some(true) => return Err(Fault::PinRequired),
        _ => {
            return Err(Fault::General(
                "resident keys are read with the PIN of the security key, and it has none: \
                 `pinward pin set`"
                    .to_owned(),
            ));
        }
    };
    let passkeys = manager.passkeys(&token)?;
    Ok(passkeys.into_iter().filter_map(ssh_key).collect())
}

fn ssh_key(passkey: client::manage::Passkey) -> Option<Resident> {
    // CTAP 2.3 §6.8: a key may cut a long RP ID, and a cut one would not sign.
    let whole = super::sha256(passkey.rp_id.as_bytes()) == passkey.rp_id_hash;
    if !passkey.rp_id.starts_with("ssh:") || !whole {
        return None;
    }
    let (algorithm, public_key) = public_key(&passkey.public_key?)?;
    let verified = if passkey.cred_protect == Some(3) {
        flag::USER_VERIFICATION
    } else {
        0
    };
    Some(Resident {
        algorithm,
        application: passkey.rp_id,
        flags: flag::USER_PRESENCE | flag::RESIDENT | verified,
        public_key,
        key_handle: passkey.credential_id,
        user_id: passkey.user.id,
    })
}
