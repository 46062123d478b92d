//! CTAP 2.3 §6.5.2.1 the persistent token (permission pcmr): it lists passkeys without a PIN, and reads
//! from getInfo which key this is and whether its passkeys have changed (§6.4 encIdentifier,
//! encCredStoreState).

use ctap::client_pin::Permissions;
use ctap::get_info;
use ctap::pin_protocol::PinUvAuthProtocol;
use zeroize::Zeroizing;

use super::{ManageError, Manager, Token};
use crate::crypto;
use crate::pin::Pin;

const READ_ONLY: Permissions = Permissions::PERSISTENT_CREDENTIAL_MANAGEMENT_READ_ONLY;

impl Token {
    /// A token that was kept.
    ///
    /// The number of its PIN/UV auth protocol, and its value. `None` for a protocol that is not known.
    pub fn kept(protocol: u8, value: Zeroizing<Vec<u8>>) -> Option<Self> {
        let protocol = [PinUvAuthProtocol::One, PinUvAuthProtocol::Two]
            .into_iter()
            .find(|known| known.number() == protocol)?;
        Some(Self { protocol, value })
    }

    /// To keep it: the number of its PIN/UV auth protocol, and its value, which is secret.
    pub fn to_keep(&self) -> (u8, &[u8]) {
        (self.protocol.number(), &self.value)
    }

    /// The identifier that the key keeps until a reset, if this token is the key's own.
    ///
    /// Another token gives another number: compare it with what is known.
    pub fn identifier(&self, info: &get_info::Response) -> Option<[u8; 16]> {
        let sealed = info.enc_identifier.as_ref()?;
        crypto::hkdf_cbc_block(&self.value, b"encIdentifier", sealed)
    }

    /// The state of the key's passkeys: another one after every change.
    pub fn cred_store_state(&self, info: &get_info::Response) -> Option<[u8; 16]> {
        let sealed = info.enc_cred_store_state.as_ref()?;
        crypto::hkdf_cbc_block(&self.value, b"encCredStoreState", sealed)
    }
}

impl Manager<'_> {
    /// Whether the key hands out a persistent token.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`]
    pub fn has_persistent_token(&self) -> Result<(), ManageError> {
        match self.options().per_cred_mgmt_ro {
            Some(true) => Ok(()),
            _ => Err(ManageError::NotSupported(
                "be read again without its PIN (option perCredMgmtRO)",
            )),
        }
    }

    /// The persistent token, by PIN or by the key's own method. It lasts until the PIN is changed or
    /// the key is reset.
    ///
    /// # Errors
    /// What the key says; `PIN_INVALID` cost a try.
    pub fn persistent_token(&mut self, pin: Option<&Pin>) -> Result<Token, ManageError> {
        self.has_persistent_token()?;
        let token = match pin {
            Some(pin) => self.token_by_pin(pin, READ_ONLY)?,
            None => self.token_by_built_in_uv(READ_ONLY)?,
        };
        // The two members appear with the first token.
        self.refresh()?;
        Ok(token)
    }
}
