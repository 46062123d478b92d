//! CTAP 2.3 §6.1 to §6.3 for programs that are their own platform and their own relying party, as
//! OpenSSH is: there is no origin, and the program makes the hash that is signed itself.

use ctap::client_pin::Permissions;
use ctap::{Command, get_assertion, make_credential, request_bytes};

use super::{ManageError, Manager, Token, exchange};
use crate::pin::Pin;

impl Manager<'_> {
    /// §6.5.5.7: a token for making and using credentials of one relying party, by PIN, or without
    /// one by the key's own method of verification.
    ///
    /// # Errors
    /// What the key says; `PIN_INVALID` cost a try.
    pub fn token_for(
        &mut self,
        rp_id: &str,
        pin: Option<&Pin>,
        permissions: Permissions,
    ) -> Result<Token, ManageError> {
        match pin {
            Some(pin) => self.pin_token(pin, permissions, Some(rp_id)),
            None => self.built_in_token(permissions, Some(rp_id)),
        }
    }

    /// §6.1 authenticatorMakeCredential. `token` vouches for the user where there is one.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn make_credential(
        &mut self,
        mut request: make_credential::Request,
        token: Option<&Token>,
    ) -> Result<make_credential::Response, ManageError> {
        if let Some(token) = token {
            request.pin_uv_auth_param = Some(token.sign(&request.client_data_hash));
            request.pin_uv_auth_protocol = Some(token.protocol.number().into());
        }
        let members = self.command(
            "make a credential",
            Command::MakeCredential,
            &request.encode(),
        )?;
        make_credential::Response::decode(&members)
            .map_err(|_| ManageError::BadReply("authenticatorMakeCredential does not read"))
    }

    /// §6.2 authenticatorGetAssertion. `token` vouches for the user where there is one.
    ///
    /// # Errors
    /// [`ManageError`]; `NO_CREDENTIALS` when the key has none that may be used so.
    pub fn get_assertion(
        &mut self,
        mut request: get_assertion::Request,
        token: Option<&Token>,
    ) -> Result<get_assertion::Response, ManageError> {
        if let Some(token) = token {
            request.pin_uv_auth_param = Some(token.sign(&request.client_data_hash));
            request.pin_uv_auth_protocol = Some(token.protocol.number().into());
        }
        let members = self.command("sign", Command::GetAssertion, &request.encode())?;
        assertion(&members)
    }

    /// §6.3 authenticatorGetNextAssertion.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn next_assertion(&mut self) -> Result<get_assertion::Response, ManageError> {
        let request = request_bytes(Command::GetNextAssertion, &[]);
        assertion(&exchange(self.link, "sign", &request)?)
    }
}

fn assertion(members: &[u8]) -> Result<get_assertion::Response, ManageError> {
    get_assertion::Response::decode(members)
        .map_err(|_| ManageError::BadReply("authenticatorGetAssertion does not read"))
}
