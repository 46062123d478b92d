//! soft-fido2, with a store indexed by site.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use soft_fido2::{
    Authenticator, AuthenticatorCallbacks, AuthenticatorConfig, AuthenticatorOptions, Credential,
    CredentialRef, UpResult, UvResult,
};

use super::{Result, Subject};

#[derive(Default)]
struct Stored {
    /// By RP ID, then by credential ID.
    sites: HashMap<String, HashMap<Vec<u8>, Credential>>,
    /// The site of each credential.
    site_of: HashMap<Vec<u8>, String>,
}

#[derive(Default)]
struct Owner(Mutex<Stored>);

impl Owner {
    fn stored(&self) -> std::sync::MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuthenticatorCallbacks for Owner {
    fn request_up(&self, _: &str, _: Option<&str>, _: &str) -> soft_fido2::Result<UpResult> {
        Ok(UpResult::Accepted)
    }

    fn request_uv(&self, _: &str, _: Option<&str>, _: &str) -> soft_fido2::Result<UvResult> {
        Ok(UvResult::Accepted)
    }

    fn write_credential(&self, credential: &CredentialRef<'_>) -> soft_fido2::Result<()> {
        let mut stored = self.stored();
        let (id, site) = (credential.id.to_vec(), credential.rp_id.to_owned());
        stored.site_of.insert(id.clone(), site.clone());
        let site = stored.sites.entry(site).or_default();
        site.insert(id, credential.to_owned());
        Ok(())
    }

    fn read_credential(&self, id: &[u8]) -> soft_fido2::Result<Option<Credential>> {
        let stored = self.stored();
        let site = stored
            .site_of
            .get(id)
            .and_then(|site| stored.sites.get(site));
        Ok(site.and_then(|site| site.get(id)).cloned())
    }

    fn delete_credential(&self, id: &[u8]) -> soft_fido2::Result<()> {
        let mut stored = self.stored();
        if let Some(site) = stored.site_of.remove(id) {
            stored.sites.entry(site).or_default().remove(id);
        }
        Ok(())
    }

    fn list_credentials(
        &self,
        rp_id: &str,
        user_id: Option<&[u8]>,
    ) -> soft_fido2::Result<Vec<Credential>> {
        let stored = self.stored();
        let site = stored
            .sites
            .get(rp_id)
            .into_iter()
            .flat_map(HashMap::values);
        let asked = |one: &&Credential| user_id.is_none_or(|user| one.user.id == user);
        Ok(site.filter(asked).cloned().collect())
    }

    fn enumerate_rps(&self) -> soft_fido2::Result<Vec<(String, Option<String>, usize)>> {
        let stored = self.stored();
        let count = |(id, site): (&String, &HashMap<_, _>)| (id.clone(), None, site.len());
        Ok(stored.sites.iter().map(count).collect())
    }

    fn credential_count(&self) -> soft_fido2::Result<usize> {
        Ok(self.stored().site_of.len())
    }

    fn get_timestamp_ms(&self) -> u64 {
        60_000
    }
}

pub struct Key(Authenticator<Owner>);

impl Key {
    pub fn new() -> Result<Self> {
        let config = AuthenticatorConfig::builder()
            .max_credentials(1 << 20)
            .options(AuthenticatorOptions::new().with_resident_keys(true))
            .build();
        let key = Authenticator::with_config(Owner::default(), config);
        Ok(Self(key.map_err(|error| format!("{error:?}"))?))
    }
}

impl Subject for Key {
    fn name(&self) -> &'static str {
        "soft-fido2"
    }

    fn send(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let mut answer = Vec::new();
        let handled = self.0.handle(request, &mut answer);
        handled.map_err(|error| format!("{error:?}"))?;
        Ok(answer)
    }
}
