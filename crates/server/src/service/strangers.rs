//! User names that nobody has. Asked to sign one in, the service must not say so: it answers as for
//! an account whose keys are elsewhere. The same name gets the same credential IDs, always and on
//! every node, because they are derived from it with a key of the service.
//!
//! The answer to such a request goes through the very checks of any other, against a public key
//! nobody has the private part of, so that what is refused, and as what, tells nothing either.

use aws_lc_rs::hmac;
use rp::CredentialRecord;
use serde_json::json;
use webauthn::Base64Url;
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::ServeError;
use crate::problem::Problem;
use crate::store::{Store, StoreError};

/// What common authenticators make: bytes of a credential ID, and how they are reached.
const KINDS: [(usize, &[&str]); 4] = [
    (48, &["usb"]),
    (64, &["nfc", "usb"]),
    (32, &["hybrid", "internal"]),
    (16, &["usb"]),
];

/// The accounts that do not exist.
pub(super) struct Strangers {
    key: hmac::Key,
    public_key: Base64Url,
}

impl Strangers {
    /// Takes the key out of the database.
    pub(super) async fn open(store: &Store) -> Result<Self, ServeError> {
        let made = |_: Problem| StoreError::Secret;
        let fresh = crate::random::<32>().map_err(made)?;
        let secret = store.secret("strangers", fresh).await.map_err(made)?;
        let public_key = orphan().ok_or(StoreError::Secret)?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            public_key: public_key.into(),
        })
    }

    /// The user handle of a name.
    pub(super) fn handle(&self, name: &str) -> Vec<u8> {
        self.derive(name, "handle", 32)
    }

    /// The credentials of a name: mostly one, sometimes two.
    pub(super) fn records(&self, name: &str, rp_id: &str) -> Vec<CredentialRecord> {
        let traits = self.derive(name, "traits", 3);
        let handle: Base64Url = self.handle(name).into();
        let count = if traits[0] < 64 { 2 } else { 1 };
        (0..count)
            .filter_map(|n| {
                let (length, transports) = KINDS[usize::from(traits[1 + n]) % KINDS.len()];
                let id: Base64Url = self.derive(name, &format!("id {n}"), length).into();
                let record = json!({
                    "id": id,
                    "userHandle": handle,
                    "rpId": rp_id,
                    "publicKey": self.public_key,
                    "signCount": 0,
                    "uvInitialized": traits[0] & 1 == 1,
                    "backupEligible": transports.contains(&"internal"),
                    "backupState": false,
                    "transports": transports,
                    "aaguid": "00000000-0000-0000-0000-000000000000",
                    "attested": false,
                });
                serde_json::from_value(record).ok()
            })
            .collect()
    }

    fn derive(&self, name: &str, purpose: &str, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length.next_multiple_of(32));
        for block in 0_u8.. {
            if bytes.len() >= length {
                break;
            }
            let input = [purpose.as_bytes(), &[0, block], name.as_bytes()].concat();
            bytes.extend_from_slice(hmac::sign(&self.key, &input).as_ref());
        }
        bytes.truncate(length);
        bytes
    }
}

/// A COSE public key whose private part is forgotten at once.
fn orphan() -> Option<Vec<u8>> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).ok()?;
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..)?.split_at_checked(32)?;
    let key = CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        crv: 1,
        x: x.to_vec(),
        y: y.to_vec(),
    };
    Some(key.encode())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::config::Storage;

    async fn open(store: &Store) -> Strangers {
        Strangers::open(store).await.unwrap()
    }

    fn ids(strangers: &Strangers, name: &str) -> Vec<Base64Url> {
        let records = strangers.records(name, "example.org");
        records.into_iter().map(|record| record.id).collect()
    }

    #[tokio::test]
    async fn a_name_has_the_same_keys_in_every_process() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::File(directory.path().join("rp.sqlite"));
        let store = Store::open(&storage).await.unwrap();
        let first = ids(&open(&store).await, "kim");
        store.close().await;
        let again = Store::open(&storage).await.unwrap();
        assert_eq!(ids(&open(&again).await, "kim"), first);
        assert!(!first.is_empty());
        let other = Store::open(&Storage::Ephemeral).await.unwrap();
        assert_ne!(ids(&open(&other).await, "kim"), first, "another service");
    }

    #[tokio::test]
    async fn names_differ_in_kind_and_number() {
        let store = Store::open(&Storage::Ephemeral).await.unwrap();
        let strangers = open(&store).await;
        let all: Vec<_> = (0..200)
            .map(|n| ids(&strangers, &format!("name {n}")))
            .collect();
        assert!(all.iter().any(|ids| ids.len() == 2));
        assert!(all.iter().any(|ids| ids.len() == 1));
        for (length, _) in KINDS {
            assert!(all.iter().flatten().any(|id| id.len() == length));
        }
        let mut distinct: Vec<_> = all.iter().flatten().map(|id| id.to_vec()).collect();
        let count = distinct.len();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), count);
    }
}
