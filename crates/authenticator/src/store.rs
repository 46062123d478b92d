//! What the key asks of its storage, and a storage in memory that can be made to fail.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::records::{RecordError, Write};
use crate::state::{Change, State};

/// A commit did not happen, or it is not known whether it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key's store could not be written: {0}")]
pub struct StoreError(pub String);

/// Durable storage of the key.
///
/// The key commits before it answers, and the loss of a retry before it compares.
pub trait Store {
    /// Makes all of the changes durable, or none of them.
    ///
    /// # Errors
    /// [`StoreError`]: the key then answers with an error and reveals nothing.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Where a planned fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Power is lost before the set is written: the commit fails and nothing of it is durable.
    BeforeWrite,
    /// Power is lost after the set is written, before the key learns of it: the commit fails and all
    /// of it is durable.
    AfterWrite,
}

/// A store in memory that keeps the same records as one on disk would.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    records: BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    commits: u64,
    plan: Option<(u64, Fault)>,
}

impl MemoryStore {
    /// A store that holds a state.
    pub fn new(state: &State) -> Self {
        let mut store = Self::default();
        store.write(&state.snapshot());
        store
    }

    /// Plans a fault at the `k`-th commit from now (0 is the next one). From then on every commit
    /// fails, as after a power cut, until [`MemoryStore::restore_power`].
    pub fn fail_at(&mut self, k: u64, fault: Fault) {
        self.plan = Some((self.commits + k, fault));
    }

    /// Ends a planned fault.
    pub fn restore_power(&mut self) {
        self.plan = None;
    }

    /// How many commits were asked for, failed ones included.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// What a key finds that starts from this store.
    ///
    /// # Errors
    /// [`RecordError`], if a record does not read.
    pub fn state(&self) -> Result<State, RecordError> {
        State::load(
            self.records
                .iter()
                .map(|(key, value)| (&key[..], &value[..])),
        )
    }

    fn write(&mut self, changes: &[Change]) {
        for write in changes.iter().flat_map(Change::writes) {
            match write {
                Write::Put { key, value } => drop(self.records.insert(key, value)),
                Write::Delete { key } => drop(self.records.remove(&key)),
                Write::DeleteAll { prefix } => {
                    self.records.retain(|key, _| key.first() != Some(&prefix))
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let number = self.commits;
        self.commits += 1;
        match self.plan {
            Some((at, fault)) if number >= at => {
                if number == at && fault == Fault::AfterWrite {
                    self.write(changes);
                }
                Err(StoreError(format!("planned fault at commit {at}")))
            }
            _ => {
                self.write(changes);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::Arc;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use webauthn::cose::CoseAlgorithm;

    use super::*;
    use crate::credential::{CredProtect, CredentialSource};
    use crate::crypto::{KeyMaterial, SigningKey};
    use crate::state::{Config, MAX_PIN_RETRIES, PersistentToken, Secrets, StoredPin, Template};

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(3)
    }

    fn key() -> KeyMaterial {
        SigningKey::generate(CoseAlgorithm::ES256, &mut rng())
            .unwrap()
            .0
    }

    fn credential(id: u8, rp: u8, created: u64) -> Change {
        Change::PutCredential(Arc::new(CredentialSource {
            id: vec![id; 32],
            rp_id_hash: [rp; 32],
            rp: None,
            user: None,
            key: key(),
            discoverable: true,
            cred_protect: CredProtect::default(),
            hmac_secret: false,
            large_blob_key: false,
            third_party_payment: false,
            cred_blob: None,
            created,
        }))
    }

    fn pin() -> StoredPin {
        StoredPin {
            hash: Zeroizing::new([9; 16]),
            code_points: 6,
        }
    }

    fn config() -> Config {
        Config {
            always_uv: Some(true),
            enterprise_attestation: true,
            min_pin_length: Some(8),
            min_pin_length_rp_ids: vec!["example.com".into(), "exämple.org".into()],
            force_pin_change: true,
            finger_enrolled: Some(false),
            long_touch_for_reset: true,
            pin_complexity_policy: true,
        }
    }

    fn template(id: u8, name: Option<&str>) -> Change {
        Change::PutTemplate(Template {
            id: vec![id],
            friendly_name: name.map(str::to_owned),
        })
    }

    fn persistent_token(byte: u8) -> Change {
        Change::SetPersistentToken(Some(PersistentToken(Zeroizing::new([byte; 32]))))
    }

    fn blob(id: u8) -> Change {
        let blob = crate::state::LargeBlob {
            bytes: Zeroizing::new(vec![7; 30]),
            original_size: 90,
        };
        Change::PutLargeBlob(vec![id; 32], blob)
    }

    fn same(a: &State, b: &State) {
        let all = |state: &State| {
            let mut records: Vec<_> = state
                .snapshot()
                .iter()
                .map(|c| format!("{:?}", c.writes()))
                .collect();
            records.sort();
            (records, MemoryStore::new(state).records)
        };
        assert_eq!(all(a), all(b));
    }

    #[test]
    fn the_state_survives_a_restart_after_every_change() {
        let mut state = State::fresh(&mut rng());
        let mut store = MemoryStore::new(&state);
        for change in [
            Change::SetPin(pin()),
            Change::SetPinRetries(5),
            Change::SetUvRetries(2),
            Change::SetConfig(config()),
            Change::SetConfig(Config::default()),
            Change::SetConfig(config()),
            Change::SetCounter(77),
            template(1, None),
            template(2, Some("thumb")),
            template(1, Some("index")),
            Change::DeleteTemplate(vec![2]),
            Change::SetLargeBlobArray(vec![5; 1024]),
            persistent_token(1),
            blob(2),
            blob(3),
            Change::SetPersistentToken(None),
            persistent_token(2),
            Change::SetCredStoreState([6; 16]),
            Change::SetUvCount(3),
            credential(1, 1, 0),
            credential(2, 1, 1),
            credential(3, 2, 2),
            credential(2, 1, 1),
            Change::DeleteCredential(vec![1; 32]),
            Change::DeleteCredential(vec![8; 32]),
            Change::ReplaceSecrets(Secrets::generate(&mut ChaCha20Rng::seed_from_u64(4))),
            credential(4, 1, 3),
            template(3, None),
            Change::Reset,
        ] {
            store.commit(std::slice::from_ref(&change)).unwrap();
            state.apply(&change);
            same(&store.state().unwrap(), &state);
        }
        assert_eq!(
            (state.pin_retries(), state.stored_count()),
            (MAX_PIN_RETRIES, 1)
        );
    }

    #[test]
    fn credentials_come_in_order_of_creation_also_after_a_restart() {
        let mut state = State::fresh(&mut rng());
        // Creation order is opposite to the order of the record keys.
        for created in 0..5_u8 {
            state.apply(&credential(9 - created, 1, created.into()));
        }
        let loaded = MemoryStore::new(&state).state().unwrap();
        for state in [&state, &loaded] {
            let order: Vec<_> = state.credentials_of(&[1; 32]).map(|c| c.id[0]).collect();
            assert_eq!(order, [9, 8, 7, 6, 5]);
            assert_eq!(state.next_created(), 5);
        }
    }

    #[test]
    fn replaced_secrets_leave_no_credential_behind() {
        let mut state = State::fresh(&mut rng());
        state.apply(&credential(1, 1, 0));
        state.apply(&Change::SetPin(pin()));
        state.apply(&Change::ReplaceSecrets(Secrets::generate(
            &mut ChaCha20Rng::seed_from_u64(4),
        )));
        assert_eq!(state.stored_count(), 0);
        assert_eq!(state.credentials_of(&[1; 32]).count(), 0);
        assert!(
            state.pin().is_some(),
            "the gate stands until the secrets are gone"
        );
    }

    #[test]
    fn the_settings_of_before_ctap_2_3_still_read() {
        let before = Config {
            long_touch_for_reset: false,
            pin_complexity_policy: false,
            ..config()
        };
        let Write::Put { key, value } = Change::SetConfig(before.clone()).writes().remove(0) else {
            panic!("settings are written by a put");
        };
        // Then they were an array of six.
        let mut old = value[..value.len() - 2].to_vec();
        assert_eq!(old[1], 0x88);
        old[1] = 0x86;
        let state = State::fresh(&mut rng());
        let mut store = MemoryStore::new(&state);
        store.records.insert(key, Zeroizing::new(old));
        assert_eq!(store.state().unwrap().config(), &before);
    }

    #[test]
    fn a_reset_takes_what_opens_before_what_guards() {
        let mut state = State::fresh(&mut rng());
        for change in [
            template(1, None),
            persistent_token(1),
            Change::SetLargeBlobArray(vec![5; 20]),
            Change::SetCredStoreState([6; 16]),
        ] {
            state.apply(&change);
        }
        let secrets = Secrets::generate(&mut ChaCha20Rng::seed_from_u64(4));
        state.apply(&Change::ReplaceSecrets(secrets));
        assert!(state.persistent_token().is_none() && state.large_blob_array().is_none());
        assert_eq!(state.cred_store_state(), None);
        assert_eq!(state.templates().count(), 1, "the gate stands");
        state.apply(&Change::Reset);
        assert_eq!(state.templates().count(), 0);
    }

    #[test]
    fn a_store_that_is_not_a_keys_is_refused() {
        let load = |records: &[(&[u8], &[u8])]| State::load(records.iter().copied()).unwrap_err();
        assert_eq!(load(&[]), RecordError::NoSecrets);
        assert_eq!(load(&[(b"x", &[1, 0])]), RecordError::UnknownKind(b'x'));
        assert_eq!(load(&[(b"r", &[2, 8])]), RecordError::Format(2));
        assert_eq!(load(&[(b"r", &[1])]), RecordError::Malformed);
        assert_eq!(load(&[(b"s", &[1, 0x80])]), RecordError::Malformed);
        assert_eq!(load(&[(b"", &[1])]), RecordError::Malformed);
    }

    #[test]
    fn more_retries_than_there_can_be_are_not_believed() {
        let mut store = MemoryStore::new(&State::fresh(&mut rng()));
        store.commit(&[Change::SetPinRetries(200)]).unwrap();
        assert_eq!(store.state().unwrap().pin_retries(), MAX_PIN_RETRIES);
    }

    #[test]
    fn a_planned_fault_strikes_once_and_then_power_is_off() {
        let mut store = MemoryStore::new(&State::fresh(&mut rng()));
        let retries = |store: &MemoryStore| store.state().unwrap().pin_retries();
        store.fail_at(1, Fault::BeforeWrite);
        store.commit(&[Change::SetPinRetries(7)]).unwrap();
        store.commit(&[Change::SetPinRetries(6)]).unwrap_err();
        store.commit(&[Change::SetPinRetries(5)]).unwrap_err();
        assert_eq!(retries(&store), 7);
        store.restore_power();
        store.fail_at(0, Fault::AfterWrite);
        store.commit(&[Change::SetPinRetries(4)]).unwrap_err();
        store.commit(&[Change::SetPinRetries(3)]).unwrap_err();
        assert_eq!(retries(&store), 4);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut state = State::fresh(&mut rng());
        state.apply(&Change::SetPin(pin()));
        state.apply(&credential(1, 1, 0));
        let shown = format!(
            "{state:?} {:?} {:?}",
            state.snapshot(),
            state.snapshot()[0].writes()
        );
        assert!(shown.contains("Secrets(..)") && shown.contains("StoredPin(..)"));
        assert!(!shown.contains("9, 9, 9"), "the PIN hash");
        let seal_key = format!("{:?}", &state.secrets().seal_key[..4]);
        assert!(!shown.contains(seal_key.trim_matches(['[', ']'])));
    }
}
