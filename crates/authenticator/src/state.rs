//! Everything that outlives a power cut, as a value, and the changes to it.
//!
//! The key computes; a [`Store`](crate::Store) only keeps records. Each [`Change`] says which
//! records it writes ([`Change::writes`]), [`State::load`] rebuilds the state from the records of a
//! store, and [`State::apply`] makes the same change in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::credential::CredentialSource;
use crate::credential_index::CredentialIndex;

/// Tries for the PIN (§6.5.2 pinRetries: eight at most).
pub const MAX_PIN_RETRIES: u8 = 8;

/// Tries for built-in user verification (§6.5.2 uvRetries: at most 25; keys in the field have five).
pub const MAX_UV_RETRIES: u8 = 5;

/// Secrets that are made anew by a reset.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Seals the IDs of credentials that are not stored.
    pub seal_key: Zeroizing<[u8; 32]>,
    /// From it come the CredRandom values of hmac-secret.
    pub cred_random_key: Zeroizing<[u8; 32]>,
}

impl Secrets {
    /// Draws new secrets.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut secrets = Self {
            seal_key: Zeroizing::new([0; 32]),
            cred_random_key: Zeroizing::new([0; 32]),
        };
        rng.fill_bytes(&mut secrets.seal_key[..]);
        rng.fill_bytes(&mut secrets.cred_random_key[..]);
        secrets
    }
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// The stored PIN (§6.5.3 CurrentStoredPIN and PINCodePointLength).
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPin {
    /// The first 16 bytes of SHA-256 of the PIN.
    pub hash: Zeroizing<[u8; 16]>,
    /// Its length in Unicode code points.
    pub code_points: u8,
}

impl core::fmt::Debug for StoredPin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("StoredPin(..)")
    }
}

/// Settings that authenticatorConfig changes. `None` is what the profile says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Whether user verification is always required.
    pub always_uv: Option<bool>,
    /// Whether enterprise attestation is enabled.
    pub enterprise_attestation: bool,
    /// The minimum PIN length in code points.
    pub min_pin_length: Option<u8>,
    /// RP IDs that may read the minimum PIN length.
    pub min_pin_length_rp_ids: Vec<String>,
    /// Whether the PIN must be changed before it is of use.
    pub force_pin_change: bool,
    /// Whether a finger is enrolled.
    pub finger_enrolled: Option<bool>,
    /// Whether a reset wants a long touch, once that was enabled.
    pub long_touch_for_reset: bool,
    /// Whether the PIN complexity policy is enforced, once that was switched on.
    pub pin_complexity_policy: bool,
}

/// A fingerprint enrolment (§6.7). The fingerprint itself is the sensor's business, not the key's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its identifier.
    pub id: Vec<u8>,
    /// Its name for people.
    pub friendly_name: Option<String>,
}

/// What the extension largeBlob (§12.4) keeps with a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct LargeBlob {
    /// The bytes, as the platform compressed them.
    pub bytes: Zeroizing<Vec<u8>>,
    /// How many they were before.
    pub original_size: u64,
}

impl core::fmt::Debug for LargeBlob {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "LargeBlob({} bytes)", self.bytes.len())
    }
}

/// The persistentPinUvAuthToken (§6.5.2, CTAP 2.2): it outlives power cycles until the PIN changes.
#[derive(Clone, PartialEq, Eq)]
pub struct PersistentToken(pub Zeroizing<[u8; 32]>);

impl PersistentToken {
    /// Draws a new one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut value = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut value[..]);
        Self(value)
    }
}

impl core::fmt::Debug for PersistentToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PersistentToken(..)")
    }
}

/// One change of the state. A set of them is committed at once or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A credential is stored, or replaced.
    PutCredential(Arc<CredentialSource>),
    /// A credential is removed, and its blob with it.
    DeleteCredential(Vec<u8>),
    /// The PIN is set or changed.
    SetPin(StoredPin),
    /// The tries left for the PIN.
    SetPinRetries(u8),
    /// The tries left for built-in user verification.
    SetUvRetries(u8),
    /// The settings.
    SetConfig(Config),
    /// The signature counter.
    SetCounter(u32),
    /// The serial number, once, when the key is made.
    SetSerial([u8; 16]),
    /// A finger is enrolled, or its enrolment renamed.
    PutTemplate(Template),
    /// An enrolment is removed.
    DeleteTemplate(Vec<u8>),
    /// The serialized large-blob array.
    SetLargeBlobArray(Vec<u8>),
    /// The blob of a stored credential (§12.4), by the credential's ID.
    PutLargeBlob(Vec<u8>, LargeBlob),
    /// The persistent token is handed out for the first time, or (`None`) revoked.
    SetPersistentToken(Option<PersistentToken>),
    /// The state of the credential store, another one after each change of it.
    SetCredStoreState([u8; 16]),
    /// Built-in user verifications since the PIN was last entered.
    SetUvCount(u32),
    /// First half of a reset: new secrets, no credentials, large blobs or persistent token. Nothing
    /// that was made before opens again.
    ReplaceSecrets(Secrets),
    /// Second half of a reset: no PIN or enrolled finger, full retries, settings as delivered.
    Reset,
}

/// The durable state of a key.
#[derive(Debug, Clone)]
pub struct State {
    secrets: Secrets,
    pin: Option<StoredPin>,
    pin_retries: u8,
    uv_retries: u8,
    config: Config,
    counter: u32,
    serial: [u8; 16],
    credentials: CredentialIndex,
    next_created: u64,
    templates: BTreeMap<Vec<u8>, Template>,
    large_blob_array: Option<Vec<u8>>,
    large_blobs: BTreeMap<Vec<u8>, LargeBlob>,
    persistent_token: Option<PersistentToken>,
    cred_store_state: Option<[u8; 16]>,
    uv_count: u32,
}

impl State {
    /// The state of a key as delivered.
    pub fn fresh(rng: &mut dyn CryptoRng) -> Self {
        let mut state = Self::with(Secrets::generate(rng));
        rng.fill_bytes(&mut state.serial);
        state
    }

    pub(crate) fn with(secrets: Secrets) -> Self {
        Self {
            secrets,
            pin: None,
            pin_retries: MAX_PIN_RETRIES,
            uv_retries: MAX_UV_RETRIES,
            config: Config::default(),
            counter: 0,
            serial: [0; 16],
            credentials: CredentialIndex::default(),
            next_created: 0,
            templates: BTreeMap::new(),
            large_blob_array: None,
            large_blobs: BTreeMap::new(),
            persistent_token: None,
            cred_store_state: None,
            uv_count: 0,
        }
    }

    /// The changes that write the whole state into an empty store.
    pub fn snapshot(&self) -> Vec<Change> {
        let mut changes = vec![
            Change::ReplaceSecrets(self.secrets.clone()),
            Change::Reset,
            Change::SetPinRetries(self.pin_retries),
            Change::SetUvRetries(self.uv_retries),
            Change::SetConfig(self.config.clone()),
            Change::SetCounter(self.counter),
            Change::SetSerial(self.serial),
        ];
        changes.extend(self.pin.clone().map(Change::SetPin));
        changes.extend(self.credentials.iter().cloned().map(Change::PutCredential));
        changes.extend(self.templates.values().cloned().map(Change::PutTemplate));
        changes.extend(self.large_blob_array.clone().map(Change::SetLargeBlobArray));
        let blobs = self.large_blobs.iter();
        changes.extend(blobs.map(|(id, blob)| Change::PutLargeBlob(id.clone(), blob.clone())));
        changes.extend(
            self.persistent_token
                .clone()
                .map(|token| Change::SetPersistentToken(Some(token))),
        );
        changes.extend(self.cred_store_state.map(Change::SetCredStoreState));
        if self.uv_count > 0 {
            changes.push(Change::SetUvCount(self.uv_count));
        }
        changes
    }

    /// Makes a change in memory.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutCredential(source) => {
                self.next_created = self.next_created.max(source.created.saturating_add(1));
                self.credentials.put(source);
            }
            Change::DeleteCredential(id) => {
                self.credentials.remove(id);
                self.large_blobs.remove(id);
            }
            Change::SetPin(pin) => self.pin = Some(pin.clone()),
            Change::SetPinRetries(retries) => self.pin_retries = *retries,
            Change::SetUvRetries(retries) => self.uv_retries = *retries,
            Change::SetConfig(config) => self.config = config.clone(),
            Change::SetCounter(counter) => self.counter = *counter,
            Change::SetSerial(serial) => self.serial = *serial,
            Change::PutTemplate(template) => {
                self.templates.insert(template.id.clone(), template.clone());
            }
            Change::DeleteTemplate(id) => drop(self.templates.remove(id)),
            Change::SetLargeBlobArray(array) => self.large_blob_array = Some(array.clone()),
            Change::PutLargeBlob(id, blob) => {
                self.large_blobs.insert(id.clone(), blob.clone());
            }
            Change::SetPersistentToken(token) => self.persistent_token.clone_from(token),
            Change::SetCredStoreState(state) => self.cred_store_state = Some(*state),
            Change::SetUvCount(count) => self.uv_count = *count,
            Change::ReplaceSecrets(secrets) => {
                self.secrets = secrets.clone();
                self.credentials = CredentialIndex::default();
                self.large_blob_array = None;
                self.large_blobs.clear();
                self.persistent_token = None;
                self.cred_store_state = None;
            }
            Change::Reset => {
                self.pin = None;
                self.pin_retries = MAX_PIN_RETRIES;
                self.uv_retries = MAX_UV_RETRIES;
                self.config = Config::default();
                self.counter = 0;
                self.templates.clear();
                self.uv_count = 0;
            }
        }
    }

    /// The device secrets.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The stored PIN.
    pub fn pin(&self) -> Option<&StoredPin> {
        self.pin.as_ref()
    }

    /// Tries left for the PIN.
    pub fn pin_retries(&self) -> u8 {
        self.pin_retries
    }

    /// Tries left for built-in user verification.
    pub fn uv_retries(&self) -> u8 {
        self.uv_retries
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The signature counter.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// The enrolled fingers.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    /// The serialized large-blob array, if one was written.
    pub fn large_blob_array(&self) -> Option<&[u8]> {
        self.large_blob_array.as_deref()
    }

    /// The blob of a stored credential.
    pub fn large_blob(&self, credential_id: &[u8]) -> Option<&LargeBlob> {
        self.large_blobs.get(credential_id)
    }

    /// The persistent token, while one is handed out.
    pub fn persistent_token(&self) -> Option<&PersistentToken> {
        self.persistent_token.as_ref()
    }

    /// The state of the credential store, once it changed.
    pub fn cred_store_state(&self) -> Option<[u8; 16]> {
        self.cred_store_state
    }

    /// Built-in user verifications since the PIN was last entered, failed ones included.
    pub fn uv_count(&self) -> u32 {
        self.uv_count
    }

    /// The serial number, told only in enterprise attestation.
    pub(crate) fn serial(&self) -> [u8; 16] {
        self.serial
    }

    /// A stored credential.
    pub fn credential(&self, id: &[u8]) -> Option<&Arc<CredentialSource>> {
        self.credentials.get(id)
    }

    /// The discoverable credentials of a relying party, oldest first.
    pub fn credentials_of(
        &self,
        rp_id_hash: &[u8; 32],
    ) -> impl DoubleEndedIterator<Item = &Arc<CredentialSource>> {
        self.credentials.of_rp(rp_id_hash)
    }

    /// All stored credentials, in no order.
    pub fn credentials(&self) -> impl Iterator<Item = &Arc<CredentialSource>> {
        self.credentials.iter()
    }

    /// The stored credentials, to search.
    pub(crate) fn index(&self) -> &CredentialIndex {
        &self.credentials
    }

    /// How many credentials take storage.
    pub fn stored_count(&self) -> usize {
        self.credentials.len()
    }

    /// The number for the next credential's order of creation.
    pub(crate) fn next_created(&self) -> u64 {
        self.next_created
    }
}
