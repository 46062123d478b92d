//! The stored credentials, found by ID, by relying party and by account, in time that does not grow
//! with their number.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::credential::{CredProtect, CredentialSource};

/// Place of a credential in the order of creation. The ID tells apart what a store made equal.
type Place = (u64, Vec<u8>);

/// All stored credentials.
#[derive(Debug, Clone, Default)]
pub(crate) struct CredentialIndex {
    by_id: HashMap<Vec<u8>, Arc<CredentialSource>>,
    by_rp: HashMap<[u8; 32], OfRp>,
    discoverable: usize,
}

/// The discoverable credentials of one relying party.
#[derive(Debug, Clone, Default)]
struct OfRp {
    by_place: BTreeMap<Place, Arc<CredentialSource>>,
    by_user: HashMap<Vec<u8>, Vec<u8>>,
    /// How many there are of each credProtect level.
    of_level: [usize; 3],
}

impl CredentialIndex {
    /// Adds a credential, or puts it in the place of the one with its ID.
    pub(crate) fn put(&mut self, source: &Arc<CredentialSource>) {
        self.remove(&source.id);
        self.by_id.insert(source.id.clone(), Arc::clone(source));
        if source.discoverable {
            self.discoverable += 1;
            let of_rp = self.by_rp.entry(source.rp_id_hash).or_default();
            of_rp.by_place.insert(place(source), Arc::clone(source));
            of_rp.of_level[level(source)] += 1;
            if let Some(user) = &source.user {
                of_rp.by_user.insert(user.id.clone(), source.id.clone());
            }
        }
    }

    /// Removes a credential, if it is there.
    pub(crate) fn remove(&mut self, id: &[u8]) {
        let Some(source) = self.by_id.remove(id).filter(|source| source.discoverable) else {
            return;
        };
        self.discoverable -= 1;
        let Some(of_rp) = self.by_rp.get_mut(&source.rp_id_hash) else {
            return;
        };
        of_rp.by_place.remove(&place(&source));
        of_rp.of_level[level(&source)] -= 1;
        if let Some(user) = source
            .user
            .as_ref()
            .filter(|user| of_rp.by_user.get(&user.id).is_some_and(|of| of == id))
        {
            of_rp.by_user.remove(&user.id);
        }
        if of_rp.by_place.is_empty() {
            self.by_rp.remove(&source.rp_id_hash);
        }
    }

    /// The credential with this ID.
    pub(crate) fn get(&self, id: &[u8]) -> Option<&Arc<CredentialSource>> {
        self.by_id.get(id)
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<CredentialSource>> {
        self.by_id.values()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many are discoverable.
    pub(crate) fn discoverable(&self) -> usize {
        self.discoverable
    }

    /// The discoverable credentials of a relying party, oldest first.
    pub(crate) fn of_rp(
        &self,
        rp_id_hash: &[u8; 32],
    ) -> impl DoubleEndedIterator<Item = &Arc<CredentialSource>> {
        self.by_rp
            .get(rp_id_hash)
            .into_iter()
            .flat_map(|of_rp| of_rp.by_place.values())
    }

    /// The discoverable credential of an account.
    pub(crate) fn of_user(
        &self,
        rp_id_hash: &[u8; 32],
        user_id: &[u8],
    ) -> Option<&Arc<CredentialSource>> {
        self.by_id
            .get(self.by_rp.get(rp_id_hash)?.by_user.get(user_id)?)
    }

    /// How many discoverable credentials of a relying party are protected up to this level.
    pub(crate) fn count_up_to(&self, rp_id_hash: &[u8; 32], most: CredProtect) -> usize {
        let levels = most as usize;
        self.by_rp
            .get(rp_id_hash)
            .map_or(0, |of_rp| of_rp.of_level[..levels].iter().sum())
    }

    /// The newest discoverable credential of a relying party that is protected up to this level and
    /// older than `before`.
    pub(crate) fn newest(
        &self,
        rp_id_hash: &[u8; 32],
        most: CredProtect,
        before: Option<&CredentialSource>,
    ) -> Option<&Arc<CredentialSource>> {
        let of_rp = self.by_rp.get(rp_id_hash)?;
        let allowed = |source: &&Arc<CredentialSource>| source.cred_protect <= most;
        match before {
            Some(before) => of_rp
                .by_place
                .range(..place(before))
                .map(|(_, source)| source)
                .rev()
                .find(allowed),
            None => of_rp.by_place.values().rev().find(allowed),
        }
    }

    /// The oldest discoverable credential of each relying party, in no order.
    pub(crate) fn oldest_per_rp(&self) -> impl Iterator<Item = &Arc<CredentialSource>> {
        self.by_rp
            .values()
            .filter_map(|of_rp| of_rp.by_place.values().next())
    }
}

fn place(source: &CredentialSource) -> Place {
    (source.created, source.id.clone())
}

fn level(source: &CredentialSource) -> usize {
    source.cred_protect as usize - 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use ctap::entities::UserEntity;
    use webauthn::cose::CoseAlgorithm;
    use zeroize::Zeroizing;

    use super::*;
    use crate::crypto::KeyMaterial;

    const RP: [u8; 32] = [1; 32];

    fn source(created: u8, protect: u64, discoverable: bool) -> Arc<CredentialSource> {
        Arc::new(CredentialSource {
            id: vec![200 - created; 32],
            rp_id_hash: RP,
            rp: None,
            user: Some(UserEntity {
                id: vec![created],
                name: None,
                display_name: None,
            }),
            key: KeyMaterial {
                algorithm: CoseAlgorithm::ES256,
                bytes: Zeroizing::new(vec![1; 32]),
            },
            discoverable,
            cred_protect: CredProtect::from_number(protect).unwrap(),
            hmac_secret: false,
            large_blob_key: false,
            third_party_payment: false,
            cred_blob: None,
            created: created.into(),
        })
    }

    fn filled() -> CredentialIndex {
        let mut index = CredentialIndex::default();
        for (created, protect, discoverable) in [
            (1, 1, true),
            (2, 2, true),
            (3, 3, true),
            (4, 1, false),
            (5, 1, true),
            (6, 3, true),
        ] {
            index.put(&source(created, protect, discoverable));
        }
        index
    }

    fn walk(index: &CredentialIndex, most: u64) -> Vec<u64> {
        let most = CredProtect::from_number(most).unwrap();
        let mut found = Vec::new();
        let mut last: Option<Arc<CredentialSource>> = None;
        while let Some(next) = index.newest(&RP, most, last.as_deref()).cloned() {
            found.push(next.created);
            last = Some(next);
        }
        assert_eq!(found.len(), index.count_up_to(&RP, most));
        found
    }

    #[test]
    fn newest_first_and_only_what_may_be_seen() {
        let index = filled();
        assert_eq!(walk(&index, 1), [5, 1]);
        assert_eq!(walk(&index, 2), [5, 2, 1]);
        assert_eq!(walk(&index, 3), [6, 5, 3, 2, 1]);
        assert_eq!((index.len(), index.discoverable()), (6, 5));
        assert!(
            index
                .newest(&[9; 32], CredProtect::UserVerificationRequired, None)
                .is_none()
        );
    }

    #[test]
    fn a_credential_can_be_replaced_and_removed() {
        let mut index = filled();
        index.put(&source(5, 3, true));
        assert_eq!(walk(&index, 1), [1]);
        index.remove(&source(6, 3, true).id);
        index.remove(&source(6, 3, true).id);
        assert_eq!(walk(&index, 3), [5, 3, 2, 1]);
        assert_eq!((index.len(), index.discoverable()), (5, 4));
        assert!(index.of_user(&RP, &[6]).is_none());
        assert_eq!(index.of_user(&RP, &[5]).unwrap().created, 5);
        assert!(index.of_user(&RP, &[4]).is_none(), "not discoverable");
    }

    #[test]
    fn an_emptied_relying_party_is_gone() {
        let mut index = filled();
        for created in 1..=6 {
            index.remove(&source(created, 1, true).id);
        }
        assert_eq!(
            (
                index.len(),
                index.discoverable(),
                index.oldest_per_rp().count()
            ),
            (0, 0, 0)
        );
    }
}
