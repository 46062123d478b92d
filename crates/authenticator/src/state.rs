//! Everything that outlives a power cut, as a value, and the changes to it.
//!
//! The key computes; a [`Store`](crate::Store) only keeps records. Each [`Change`] says which
//! records it writes ([`Change::writes`]), [`State::load`] rebuilds the state from the records of a
//! store, and [`State::apply`] makes the same change in memory.
//!
//! | record key | value |
//! |---|---|
//! | `s` | [`Secrets`] |
//! | `p` | PIN hash and length |
//! | `r`, `u` | retries of the PIN, of built-in UV |
//! | `g` | [`Config`] |
//! | `n` | signature counter |
//! | `i` | serial number; the one thing that a reset leaves |
//! | `c` + credential ID | [`CredentialSource`] |

use std::sync::Arc;

use minicbor::{Decoder, Encoder};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::credential::CredentialSource;
use crate::credential_index::CredentialIndex;

/// Tries for the PIN (§6.5.2 pinRetries: eight at most).
pub const MAX_PIN_RETRIES: u8 = 8;

/// Tries for built-in user verification (§6.5.2 uvRetries: at most 25; keys in the field have five).
pub const MAX_UV_RETRIES: u8 = 5;

/// Version of the record formats.
const FORMAT: u8 = 1;

/// Why the records of a store are not the state of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record does not read as what its key says.
    #[error("a record of the key's store is malformed")]
    Malformed,
    /// A record has an unknown kind: the store is newer than this program, or not a key's.
    #[error("the key's store has a record of unknown kind 0x{0:02x}")]
    UnknownKind(u8),
    /// A record was written in another format.
    #[error("the key's store has format {0}; this program reads format {FORMAT}")]
    Format(u8),
    /// There are no secrets, so no credential could be opened.
    #[error("the key's store has no device secrets")]
    NoSecrets,
}

impl From<minicbor::decode::Error> for RecordError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Malformed
    }
}

impl From<ctap::Status> for RecordError {
    fn from(_: ctap::Status) -> Self {
        Self::Malformed
    }
}

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
        let mut secrets =
            Self { seal_key: Zeroizing::new([0; 32]), cred_random_key: Zeroizing::new([0; 32]) };
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
}

/// One change of the state. A set of them is committed at once or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A credential is stored, or replaced.
    PutCredential(Arc<CredentialSource>),
    /// A credential is removed.
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
    /// First half of a reset: new secrets, no credentials. Nothing that was made before opens again.
    ReplaceSecrets(Secrets),
    /// Second half of a reset: no PIN, full retries, settings as delivered.
    Reset,
}

/// What a change does to the records of a store.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes a record.
    Put {
        /// Its key.
        key: Vec<u8>,
        /// Its value; wiped from memory when dropped.
        value: Zeroizing<Vec<u8>>,
    },
    /// Removes a record, if it exists.
    Delete {
        /// Its key.
        key: Vec<u8>,
    },
    /// Removes all records whose key begins with a byte.
    DeleteAll {
        /// The byte.
        prefix: u8,
    },
}

impl core::fmt::Debug for Write {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Put { key, .. } => write!(f, "Put({key:02x?}, ..)"),
            Self::Delete { key } => write!(f, "Delete({key:02x?})"),
            Self::DeleteAll { prefix } => write!(f, "DeleteAll({prefix:02x})"),
        }
    }
}

const SECRETS: u8 = b's';
const PIN: u8 = b'p';
const PIN_RETRIES: u8 = b'r';
const UV_RETRIES: u8 = b'u';
const CONFIG: u8 = b'g';
const COUNTER: u8 = b'n';
const SERIAL: u8 = b'i';
const CREDENTIAL: u8 = b'c';

fn credential_key(id: &[u8]) -> Vec<u8> {
    [&[CREDENTIAL], id].concat()
}

/// A record: format byte, then CBOR.
fn record(
    write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<core::convert::Infallible>>,
) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(vec![FORMAT]);
    // Writing to a Vec cannot fail: the result says nothing.
    let _ = write(&mut Encoder::new(&mut *value));
    value
}

impl Change {
    /// The records that the change writes, in order.
    pub fn writes(&self) -> Vec<Write> {
        let put = |kind: u8, value| vec![Write::Put { key: vec![kind], value }];
        match self {
            Self::PutCredential(source) => {
                let mut value = Zeroizing::new(vec![FORMAT]);
                value.extend_from_slice(&source.encode());
                vec![Write::Put { key: credential_key(&source.id), value }]
            }
            Self::DeleteCredential(id) => vec![Write::Delete { key: credential_key(id) }],
            Self::SetPin(pin) => put(
                PIN,
                record(|e| e.array(2)?.bytes(&pin.hash[..])?.u8(pin.code_points).map(drop)),
            ),
            Self::SetPinRetries(retries) => put(PIN_RETRIES, record(|e| e.u8(*retries).map(drop))),
            Self::SetUvRetries(retries) => put(UV_RETRIES, record(|e| e.u8(*retries).map(drop))),
            Self::SetConfig(config) => put(CONFIG, config.record()),
            Self::SetCounter(counter) => put(COUNTER, record(|e| e.u32(*counter).map(drop))),
            Self::SetSerial(serial) => put(SERIAL, record(|e| e.bytes(serial).map(drop))),
            Self::ReplaceSecrets(secrets) => {
                let value = record(|e| {
                    e.array(2)?.bytes(&secrets.seal_key[..])?.bytes(&secrets.cred_random_key[..]).map(drop)
                });
                vec![Write::DeleteAll { prefix: CREDENTIAL }, Write::Put { key: vec![SECRETS], value }]
            }
            Self::Reset => [PIN, PIN_RETRIES, UV_RETRIES, CONFIG, COUNTER]
                .map(|kind| Write::Delete { key: vec![kind] })
                .into(),
        }
    }
}

impl Config {
    fn record(&self) -> Zeroizing<Vec<u8>> {
        record(|e| {
            let optional = |e: &mut Encoder<&mut Vec<u8>>, value: Option<bool>| match value {
                Some(value) => e.bool(value).map(drop),
                None => e.null().map(drop),
            };
            e.array(6)?;
            optional(e, self.always_uv)?;
            e.bool(self.enterprise_attestation)?;
            match self.min_pin_length {
                Some(length) => e.u8(length)?,
                None => e.null()?,
            };
            e.array(self.min_pin_length_rp_ids.len() as u64)?;
            for rp_id in &self.min_pin_length_rp_ids {
                e.str(rp_id)?;
            }
            e.bool(self.force_pin_change)?;
            optional(e, self.finger_enrolled)
        })
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, RecordError> {
        fn optional<'b, T>(
            d: &mut Decoder<'b>,
            read: impl FnOnce(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
        ) -> Result<Option<T>, RecordError> {
            if d.datatype()? == minicbor::data::Type::Null {
                d.null()?;
                return Ok(None);
            }
            Ok(Some(read(d)?))
        }
        if d.array()? != Some(6) {
            return Err(RecordError::Malformed);
        }
        let always_uv = optional(d, Decoder::bool)?;
        let enterprise_attestation = d.bool()?;
        let min_pin_length = optional(d, Decoder::u8)?;
        let count = d.array()?.ok_or(RecordError::Malformed)?;
        let min_pin_length_rp_ids =
            (0..count).map(|_| Ok(d.str()?.to_owned())).collect::<Result<_, RecordError>>()?;
        let force_pin_change = d.bool()?;
        let finger_enrolled = optional(d, Decoder::bool)?;
        Ok(Self {
            always_uv,
            enterprise_attestation,
            min_pin_length,
            min_pin_length_rp_ids,
            force_pin_change,
            finger_enrolled,
        })
    }
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
}

impl State {
    /// The state of a key as delivered.
    pub fn fresh(rng: &mut dyn CryptoRng) -> Self {
        let mut state = Self::with(Secrets::generate(rng));
        rng.fill_bytes(&mut state.serial);
        state
    }

    fn with(secrets: Secrets) -> Self {
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
        }
    }

    /// Rebuilds the state from the records of a store, in any order.
    ///
    /// # Errors
    /// [`RecordError`], if a record is malformed or the secrets are missing.
    pub fn load<'a>(records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self, RecordError> {
        let mut secrets = None;
        let mut changes = Vec::new();
        for (key, value) in records {
            let (&kind, _) = key.split_first().ok_or(RecordError::Malformed)?;
            match value.split_first().ok_or(RecordError::Malformed)? {
                (&FORMAT, value) if kind == SECRETS => secrets = Some(read_secrets(value)?),
                (&FORMAT, value) => changes.push(read_change(kind, value)?),
                (&other, _) => return Err(RecordError::Format(other)),
            }
        }
        let mut state = Self::with(secrets.ok_or(RecordError::NoSecrets)?);
        changes.iter().for_each(|change| state.apply(change));
        Ok(state)
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
        changes
    }

    /// Makes a change in memory.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutCredential(source) => {
                self.next_created = self.next_created.max(source.created.saturating_add(1));
                self.credentials.put(source);
            }
            Change::DeleteCredential(id) => self.credentials.remove(id),
            Change::SetPin(pin) => self.pin = Some(pin.clone()),
            Change::SetPinRetries(retries) => self.pin_retries = *retries,
            Change::SetUvRetries(retries) => self.uv_retries = *retries,
            Change::SetConfig(config) => self.config = config.clone(),
            Change::SetCounter(counter) => self.counter = *counter,
            Change::SetSerial(serial) => self.serial = *serial,
            Change::ReplaceSecrets(secrets) => {
                self.secrets = secrets.clone();
                self.credentials = CredentialIndex::default();
            }
            Change::Reset => {
                self.pin = None;
                self.pin_retries = MAX_PIN_RETRIES;
                self.uv_retries = MAX_UV_RETRIES;
                self.config = Config::default();
                self.counter = 0;
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

fn read_secrets(value: &[u8]) -> Result<Secrets, RecordError> {
    let mut d = Decoder::new(value);
    if d.array()? != Some(2) {
        return Err(RecordError::Malformed);
    }
    let mut key = || {
        let bytes: [u8; 32] = d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?;
        Ok::<_, RecordError>(Zeroizing::new(bytes))
    };
    Ok(Secrets { seal_key: key()?, cred_random_key: key()? })
}

fn read_change(kind: u8, value: &[u8]) -> Result<Change, RecordError> {
    let mut d = Decoder::new(value);
    Ok(match kind {
        PIN => {
            if d.array()? != Some(2) {
                return Err(RecordError::Malformed);
            }
            let hash = d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?;
            Change::SetPin(StoredPin { hash: Zeroizing::new(hash), code_points: d.u8()? })
        }
        PIN_RETRIES => Change::SetPinRetries(d.u8()?.min(MAX_PIN_RETRIES)),
        UV_RETRIES => Change::SetUvRetries(d.u8()?.min(MAX_UV_RETRIES)),
        CONFIG => Change::SetConfig(Config::read(&mut d)?),
        COUNTER => Change::SetCounter(d.u32()?),
        SERIAL => Change::SetSerial(d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?),
        CREDENTIAL => Change::PutCredential(Arc::new(CredentialSource::decode(value)?)),
        other => return Err(RecordError::UnknownKind(other)),
    })
}
