//! passkey-rs, with the crypto library of Pinward, a store indexed by site, and ciborium around it, which is
//! what it uses itself.

use std::collections::HashMap;

use passkey_authenticator::{
    Authenticator, CredentialStore, DiscoverabilitySupport, StoreInfo, UiHint, UserCheck,
    UserValidationMethod,
};
use passkey_crypto::AvailableBackend;
use passkey_types::Passkey;
use passkey_types::ctap2::make_credential::{
    Options, PublicKeyCredentialRpEntity, PublicKeyCredentialUserEntity,
};
use passkey_types::ctap2::{Aaguid, Ctap2Error, StatusCode};
use passkey_types::webauthn::PublicKeyCredentialDescriptor;

use super::{Result, Subject};

#[derive(Default)]
struct Store {
    /// By RP ID, then by user handle.
    sites: HashMap<String, HashMap<Vec<u8>, Passkey>>,
}

#[async_trait::async_trait]
impl CredentialStore for Store {
    type PasskeyItem = Passkey;

    async fn find_credentials(
        &self,
        ids: Option<&[PublicKeyCredentialDescriptor]>,
        rp_id: &str,
        _user_handle: Option<&[u8]>,
    ) -> std::result::Result<Vec<Passkey>, StatusCode> {
        let listed = |passkey: &Passkey| {
            ids.is_none_or(|ids| ids.iter().any(|id| id.id == passkey.credential_id))
        };
        let site = self.sites.get(rp_id).into_iter().flat_map(HashMap::values);
        let found: Vec<_> = site.filter(|passkey| listed(passkey)).cloned().collect();
        if found.is_empty() {
            return Err(Ctap2Error::NoCredentials.into());
        }
        Ok(found)
    }

    async fn save_credential(
        &mut self,
        passkey: Passkey,
        user: PublicKeyCredentialUserEntity,
        rp: PublicKeyCredentialRpEntity,
        _options: Options,
    ) -> std::result::Result<(), StatusCode> {
        let site = self.sites.entry(rp.id).or_default();
        site.insert(user.id.to_vec(), passkey);
        Ok(())
    }

    async fn update_credential(
        &mut self,
        passkey: &Passkey,
    ) -> std::result::Result<(), StatusCode> {
        let user = passkey.user_handle.as_ref().map(|user| user.to_vec());
        let site = self.sites.entry(passkey.rp_id.clone()).or_default();
        site.insert(user.unwrap_or_default(), passkey.clone());
        Ok(())
    }

    async fn get_info(&self) -> StoreInfo {
        StoreInfo {
            discoverability: DiscoverabilitySupport::Full,
        }
    }
}

struct Owner;

#[async_trait::async_trait]
impl UserValidationMethod for Owner {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> std::result::Result<UserCheck, Ctap2Error> {
        Ok(UserCheck {
            presence,
            verification,
        })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

pub struct Key(Authenticator<Store, Owner, AvailableBackend>);

impl Key {
    pub fn new() -> Self {
        let store = Store::default();
        Self(Authenticator::new(
            Aaguid::new_empty(),
            store,
            Owner,
            AvailableBackend,
        ))
    }
}

fn answer<T: serde::Serialize>(result: std::result::Result<T, StatusCode>) -> Result<Vec<u8>> {
    match result {
        Ok(response) => {
            let mut bytes = vec![0];
            ciborium::into_writer(&response, &mut bytes)?;
            Ok(bytes)
        }
        Err(status) => Ok(vec![status.into()]),
    }
}

impl Subject for Key {
    fn name(&self) -> &'static str {
        "passkey-rs"
    }

    fn send(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let (command, parameters) = request.split_first().ok_or("an empty request")?;
        match command {
            0x01 => {
                let request = ciborium::from_reader(parameters)?;
                answer(pollster::block_on(self.0.make_credential(request)))
            }
            0x02 => {
                let request = ciborium::from_reader(parameters)?;
                answer(pollster::block_on(self.0.get_assertion(request)))
            }
            _ => answer(Ok(*pollster::block_on(self.0.get_info()))),
        }
    }
}
