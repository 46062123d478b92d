//! The records that a store keeps: how changes are written, and how they are read back.
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
//! | `t` + template ID | name of a [`Template`] |
//! | `b` | serialized large-blob array |
//! | `l` + credential ID | [`LargeBlob`] |
//! | `k` | [`PersistentToken`] |
//! | `v` | state of the credential store |
//! | `w` | built-in UVs since the PIN was last entered |
//!
//! A value is one byte of format, then CBOR.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use crate::credential::CredentialSource;
use crate::state::{
    Change, Config, LargeBlob, MAX_PIN_RETRIES, MAX_UV_RETRIES, PersistentToken, Secrets, State,
    StoredPin, Template,
};

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
const TEMPLATE: u8 = b't';
const LARGE_BLOB_ARRAY: u8 = b'b';
const LARGE_BLOB: u8 = b'l';
const PERSISTENT_TOKEN: u8 = b'k';
const CRED_STORE_STATE: u8 = b'v';
const UV_COUNT: u8 = b'w';

fn key_of(kind: u8, id: &[u8]) -> Vec<u8> {
    [&[kind], id].concat()
}

/// A record: format byte, then CBOR.
fn record(
    write: impl FnOnce(
        &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>>,
) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(vec![FORMAT]);
    // Writing to a Vec cannot fail: the result says nothing.
    let _ = write(&mut Encoder::new(&mut *value));
    value
}

fn delete(kind: u8) -> Write {
    Write::Delete { key: vec![kind] }
}

impl Change {
    /// The records that the change writes, in order.
    pub fn writes(&self) -> Vec<Write> {
        let put = |kind: u8, value| {
            vec![Write::Put {
                key: vec![kind],
                value,
            }]
        };
        match self {
            Self::PutCredential(source) => {
                let mut value = Zeroizing::new(vec![FORMAT]);
                value.extend_from_slice(&source.encode());
                vec![Write::Put {
                    key: key_of(CREDENTIAL, &source.id),
                    value,
                }]
            }
            Self::DeleteCredential(id) => [CREDENTIAL, LARGE_BLOB]
                .map(|kind| Write::Delete {
                    key: key_of(kind, id),
                })
                .into(),
            Self::SetPin(pin) => put(
                PIN,
                record(|e| {
                    e.array(2)?
                        .bytes(&pin.hash[..])?
                        .u8(pin.code_points)
                        .map(drop)
                }),
            ),
            Self::SetPinRetries(retries) => put(PIN_RETRIES, record(|e| e.u8(*retries).map(drop))),
            Self::SetUvRetries(retries) => put(UV_RETRIES, record(|e| e.u8(*retries).map(drop))),
            Self::SetConfig(config) => put(CONFIG, config.record()),
            Self::SetCounter(counter) => put(COUNTER, record(|e| e.u32(*counter).map(drop))),
            Self::SetSerial(serial) => put(SERIAL, record(|e| e.bytes(serial).map(drop))),
            Self::PutTemplate(template) => vec![Write::Put {
                key: key_of(TEMPLATE, &template.id),
                value: record(|e| match &template.friendly_name {
                    Some(name) => e.str(name).map(drop),
                    None => e.null().map(drop),
                }),
            }],
            Self::DeleteTemplate(id) => vec![Write::Delete {
                key: key_of(TEMPLATE, id),
            }],
            Self::SetLargeBlobArray(array) => {
                put(LARGE_BLOB_ARRAY, record(|e| e.bytes(array).map(drop)))
            }
            Self::PutLargeBlob(id, blob) => vec![Write::Put {
                key: key_of(LARGE_BLOB, id),
                value: record(|e| {
                    let e = e.array(2)?.bytes(&blob.bytes)?;
                    e.u64(blob.original_size).map(drop)
                }),
            }],
            Self::SetPersistentToken(Some(token)) => put(
                PERSISTENT_TOKEN,
                record(|e| e.bytes(&token.0[..]).map(drop)),
            ),
            Self::SetPersistentToken(None) => vec![delete(PERSISTENT_TOKEN)],
            Self::SetCredStoreState(state) => {
                put(CRED_STORE_STATE, record(|e| e.bytes(state).map(drop)))
            }
            Self::SetUvCount(count) => put(UV_COUNT, record(|e| e.u32(*count).map(drop))),
            Self::ReplaceSecrets(secrets) => {
                let value = record(|e| {
                    e.array(2)?
                        .bytes(&secrets.seal_key[..])?
                        .bytes(&secrets.cred_random_key[..])
                        .map(drop)
                });
                vec![
                    Write::DeleteAll { prefix: CREDENTIAL },
                    Write::Put {
                        key: vec![SECRETS],
                        value,
                    },
                    delete(LARGE_BLOB_ARRAY),
                    Write::DeleteAll { prefix: LARGE_BLOB },
                    delete(PERSISTENT_TOKEN),
                    delete(CRED_STORE_STATE),
                ]
            }
            Self::Reset => {
                let kinds = [PIN, PIN_RETRIES, UV_RETRIES, CONFIG, COUNTER, UV_COUNT];
                let mut writes: Vec<_> = kinds.map(delete).into();
                writes.push(Write::DeleteAll { prefix: TEMPLATE });
                writes
            }
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
            e.array(8)?;
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
            optional(e, self.finger_enrolled)?;
            e.bool(self.long_touch_for_reset)?
                .bool(self.pin_complexity_policy)
                .map(drop)
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
        // Six members before CTAP 2.3 came to have two more.
        let members = d.array()?;
        if !matches!(members, Some(6 | 8)) {
            return Err(RecordError::Malformed);
        }
        let always_uv = optional(d, Decoder::bool)?;
        let enterprise_attestation = d.bool()?;
        let min_pin_length = optional(d, Decoder::u8)?;
        let count = d.array()?.ok_or(RecordError::Malformed)?;
        let min_pin_length_rp_ids = (0..count)
            .map(|_| Ok(d.str()?.to_owned()))
            .collect::<Result<_, RecordError>>()?;
        let force_pin_change = d.bool()?;
        let finger_enrolled = optional(d, Decoder::bool)?;
        let later = members == Some(8);
        let long_touch_for_reset = later && d.bool()?;
        let pin_complexity_policy = later && d.bool()?;
        Ok(Self {
            always_uv,
            enterprise_attestation,
            min_pin_length,
            min_pin_length_rp_ids,
            force_pin_change,
            finger_enrolled,
            long_touch_for_reset,
            pin_complexity_policy,
        })
    }
}

impl State {
    /// Rebuilds the state from the records of a store, in any order.
    ///
    /// # Errors
    /// [`RecordError`], if a record is malformed or the secrets are missing.
    pub fn load<'a>(
        records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, RecordError> {
        let mut secrets = None;
        let mut changes = Vec::new();
        for (key, value) in records {
            let (&kind, id) = key.split_first().ok_or(RecordError::Malformed)?;
            match value.split_first().ok_or(RecordError::Malformed)? {
                (&FORMAT, value) if kind == SECRETS => secrets = Some(read_secrets(value)?),
                (&FORMAT, value) => changes.push(read_change(kind, id, value)?),
                (&other, _) => return Err(RecordError::Format(other)),
            }
        }
        let mut state = Self::with(secrets.ok_or(RecordError::NoSecrets)?);
        changes.iter().for_each(|change| state.apply(change));
        Ok(state)
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
    Ok(Secrets {
        seal_key: key()?,
        cred_random_key: key()?,
    })
}

fn read_change(kind: u8, id: &[u8], value: &[u8]) -> Result<Change, RecordError> {
    let mut d = Decoder::new(value);
    Ok(match kind {
        PIN => {
            if d.array()? != Some(2) {
                return Err(RecordError::Malformed);
            }
            let hash = d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?;
            Change::SetPin(StoredPin {
                hash: Zeroizing::new(hash),
                code_points: d.u8()?,
            })
        }
        PIN_RETRIES => Change::SetPinRetries(d.u8()?.min(MAX_PIN_RETRIES)),
        UV_RETRIES => Change::SetUvRetries(d.u8()?.min(MAX_UV_RETRIES)),
        CONFIG => Change::SetConfig(Config::read(&mut d)?),
        COUNTER => Change::SetCounter(d.u32()?),
        SERIAL => Change::SetSerial(d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?),
        TEMPLATE => {
            let friendly_name = match d.datatype()? {
                minicbor::data::Type::Null => None,
                _ => Some(d.str()?.to_owned()),
            };
            let id = id.to_vec();
            Change::PutTemplate(Template { id, friendly_name })
        }
        LARGE_BLOB_ARRAY => Change::SetLargeBlobArray(d.bytes()?.to_vec()),
        LARGE_BLOB => {
            if d.array()? != Some(2) {
                return Err(RecordError::Malformed);
            }
            let blob = LargeBlob {
                bytes: Zeroizing::new(d.bytes()?.to_vec()),
                original_size: d.u64()?,
            };
            Change::PutLargeBlob(id.to_vec(), blob)
        }
        PERSISTENT_TOKEN => {
            let value = d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?;
            Change::SetPersistentToken(Some(PersistentToken(Zeroizing::new(value))))
        }
        CRED_STORE_STATE => {
            Change::SetCredStoreState(d.bytes()?.try_into().map_err(|_| RecordError::Malformed)?)
        }
        UV_COUNT => Change::SetUvCount(d.u32()?),
        CREDENTIAL => Change::PutCredential(Arc::new(CredentialSource::decode(value)?)),
        other => return Err(RecordError::UnknownKind(other)),
    })
}
