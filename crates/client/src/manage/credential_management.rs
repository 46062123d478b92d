//! CTAP 2.3 §6.8 authenticatorCredentialManagement, and its 2.1-PRE prototype (0x41).

use ctap::credential_management::{
    Request, Response, SubCommand, SubCommandParams, authenticated_message,
};
use ctap::entities::{CredentialDescriptor, UserEntity};
use ctap::{Command, Raw, SecretBytes, Status};
use webauthn::cose::{CoseAlgorithm, CoseKey};

use super::{ManageError, Manager, Token};

/// More of anything than a key can hold: an enumeration that goes on longer is not honest.
const MOST: u64 = 10_000;

/// How much room there is for passkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// Passkeys on the key.
    pub existing: u64,
    /// How many more fit, at most.
    pub remaining: u64,
}

/// One discoverable credential. All names come from sites and keys: escape them before showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// The site. Some keys cut long ones.
    pub rp_id: String,
    /// SHA-256 of the whole RP ID.
    pub rp_id_hash: [u8; 32],
    /// The account.
    pub user: UserEntity,
    /// The credential ID.
    pub credential_id: Vec<u8>,
    /// The algorithm of its key.
    pub algorithm: Option<CoseAlgorithm>,
    /// The public key, where the key under management tells it.
    pub public_key: Option<CoseKey>,
    /// credProtect level, 1 to 3.
    pub cred_protect: Option<u64>,
    /// The key of its large blob (§12.3), where it has one.
    pub large_blob_key: Option<SecretBytes>,
    /// Whether others than the site may use it for payments (CTAP 2.3 §12.6).
    pub third_party_payment: Option<bool>,
}

impl Passkey {
    /// The public key as DER SubjectPublicKeyInfo (RFC 5280), for ES256, Ed25519 and RS256.
    pub fn public_key_der(&self) -> Option<Vec<u8>> {
        crate::spki::encode(self.public_key.as_ref()?)
    }
}

impl Manager<'_> {
    /// §6.8.2 getCredsMetadata.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn storage(&mut self, token: &Token) -> Result<Storage, ManageError> {
        let doing = "tell how many passkeys it has";
        let answer = self.manage(doing, SubCommand::GetCredsMetadata, None, Some(token))?;
        let missing = ManageError::BadReply("it tells no number of passkeys");
        match (
            answer.existing_resident_credentials_count,
            answer.max_possible_remaining_resident_credentials_count,
        ) {
            (Some(existing), Some(remaining)) => Ok(Storage {
                existing,
                remaining,
            }),
            _ => Err(missing),
        }
    }

    /// §6.8.3 and §6.8.4: all passkeys, site by site.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn passkeys(&mut self, token: &Token) -> Result<Vec<Passkey>, ManageError> {
        let mut passkeys = Vec::new();
        // All sites first: asking for credentials ends the enumeration of sites.
        for (rp_id, rp_id_hash) in self.sites(token)? {
            self.passkeys_of(token, &rp_id, rp_id_hash, &mut passkeys)?;
        }
        Ok(passkeys)
    }

    fn sites(&mut self, token: &Token) -> Result<Vec<(String, [u8; 32])>, ManageError> {
        let doing = "list its sites";
        let first = self.manage(doing, SubCommand::EnumerateRpsBegin, None, Some(token));
        let Some(mut answer) = none_is_fine(first)? else {
            return Ok(Vec::new());
        };
        let total = plausible(answer.total_rps.unwrap_or(1))?;
        let mut sites = Vec::new();
        for n in 0..total {
            if n > 0 {
                answer = self.manage(doing, SubCommand::EnumerateRpsGetNextRp, None, None)?;
            }
            let hash = answer
                .rp_id_hash
                .ok_or(ManageError::BadReply("a site has no hash"))?;
            sites.push((answer.rp.take().map(|rp| rp.id).unwrap_or_default(), hash));
        }
        Ok(sites)
    }

    fn passkeys_of(
        &mut self,
        token: &Token,
        rp_id: &str,
        rp_id_hash: [u8; 32],
        passkeys: &mut Vec<Passkey>,
    ) -> Result<(), ManageError> {
        let doing = "list the passkeys of a site";
        let params = SubCommandParams {
            rp_id_hash: Some(rp_id_hash),
            ..SubCommandParams::default()
        };
        let begin = SubCommand::EnumerateCredentialsBegin;
        let first = self.manage(doing, begin, Some(&params), Some(token));
        let Some(mut answer) = none_is_fine(first)? else {
            return Ok(());
        };
        let total = plausible(answer.total_credentials.unwrap_or(1))?;
        for n in 0..total {
            if n > 0 {
                let next = SubCommand::EnumerateCredentialsGetNextCredential;
                answer = self.manage(doing, next, None, None)?;
            }
            let (Some(user), Some(credential)) = (answer.user.take(), answer.credential_id.take())
            else {
                return Err(ManageError::BadReply("a passkey has no account or no ID"));
            };
            passkeys.push(Passkey {
                rp_id: rp_id.to_owned(),
                rp_id_hash,
                user,
                credential_id: credential.id,
                algorithm: answer.public_key.as_ref().map(CoseKey::algorithm),
                public_key: answer.public_key.take(),
                cred_protect: answer.cred_protect,
                large_blob_key: answer.large_blob_key.take(),
                third_party_payment: answer.third_party_payment,
            });
        }
        Ok(())
    }

    /// §6.8.5 deleteCredential.
    ///
    /// # Errors
    /// [`ManageError`]; `NO_CREDENTIALS` when it is not there.
    pub fn delete_passkey(
        &mut self,
        credential_id: &[u8],
        token: &Token,
    ) -> Result<(), ManageError> {
        let params = SubCommandParams {
            credential_id: Some(CredentialDescriptor::public_key(credential_id)),
            ..SubCommandParams::default()
        };
        let command = SubCommand::DeleteCredential;
        self.manage("delete a passkey", command, Some(&params), Some(token))
            .map(drop)
    }

    /// §6.8.6 updateUserInformation: gives the account other names. The prototype cannot.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn rename_passkey(
        &mut self,
        credential_id: &[u8],
        user: UserEntity,
        token: &Token,
    ) -> Result<(), ManageError> {
        if self.options().cred_mgmt != Some(true) {
            return Err(ManageError::NotSupported("rename passkeys"));
        }
        let params = SubCommandParams {
            credential_id: Some(CredentialDescriptor::public_key(credential_id)),
            user: Some(user),
            ..SubCommandParams::default()
        };
        let command = SubCommand::UpdateUserInformation;
        self.manage("rename a passkey", command, Some(&params), Some(token))
            .map(drop)
    }

    /// Whether passkeys can be listed at all.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`]
    pub fn lists_passkeys(&self) -> Result<(), ManageError> {
        self.management_command().map(drop)
    }

    fn management_command(&self) -> Result<Command, ManageError> {
        let options = self.options();
        if options.cred_mgmt == Some(true) {
            Ok(Command::CredentialManagement)
        } else if options.credential_mgmt_preview == Some(true) {
            Ok(Command::CredentialManagementPreview)
        } else {
            Err(ManageError::NotSupported("list or delete its passkeys"))
        }
    }

    fn manage(
        &mut self,
        doing: &'static str,
        sub_command: SubCommand,
        params: Option<&SubCommandParams>,
        token: Option<&Token>,
    ) -> Result<Response, ManageError> {
        let command = self.management_command()?;
        let params = params
            .map(|params| Raw::new(params.encode()))
            .transpose()
            .map_err(|_| ManageError::BadReply("no message could be made for it"))?;
        let code = sub_command.code();
        let message = authenticated_message(code, params.as_ref());
        let request = Request {
            sub_command: code,
            sub_command_params: params,
            pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
            pin_uv_auth_param: token.map(|token| token.sign(&message)),
        };
        let members = self.command(doing, command, &request.encode())?;
        if members.is_empty() {
            return Ok(Response::default());
        }
        // Some keys cut long names within a character.
        Response::decode(&ctap::mended(&members))
            .map_err(|_| ManageError::BadReply("authenticatorCredentialManagement does not read"))
    }
}

/// "No credentials" and a count of zero are the same.
fn none_is_fine(answer: Result<Response, ManageError>) -> Result<Option<Response>, ManageError> {
    match answer {
        Ok(answer) if answer.total_rps == Some(0) || answer.total_credentials == Some(0) => {
            Ok(None)
        }
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.status() == Some(Status::NO_CREDENTIALS) => Ok(None),
        Err(error) => Err(error),
    }
}

fn plausible(total: u64) -> Result<u64, ManageError> {
    if total > MOST {
        return Err(ManageError::BadReply(
            "it claims more passkeys than fit a key",
        ));
    }
    Ok(total)
}
