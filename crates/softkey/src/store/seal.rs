//! Header and sealing of a key's file: Argon2id (RFC 9106), HMAC-SHA-256, AES-256-GCM

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use super::{FileError, Protection};

/// The format this program writes.
pub(super) const FORMAT: u64 = 1;

const PLAINTEXT: u8 = 0;
const SEALED: u8 = 1;
const SALT: usize = 16;
/// What the ID of a file is the HMAC of. No record has such a name: those begin with a letter.
const ID_NAME: u8 = 2;
/// Sealed into the header, to tell a wrong passphrase from a damaged record.
const CHECK: &[u8] = b"this passphrase opens this file";
/// More than this nobody writes; it would let a file from outside exhaust our memory.
const COST_MAX: Cost = Cost {
    memory_kib: 1 << 20,
    passes: 16,
    lanes: 16,
};

/// A passphrase; wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase over.
    #[must_use]
    pub fn new(passphrase: String) -> Self {
        Self(Zeroizing::new(passphrase))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// What one guess of the passphrase costs (Argon2id parameters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Cost {
    /// RFC 9106's second recommended option: 64 MiB, three passes (with one lane, because one thread
    /// does the work).
    fn default() -> Self {
        Self {
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 1,
        }
    }
}

impl Cost {
    /// The least there is, for tests that are about something else.
    #[must_use]
    pub fn minimal() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        }
    }

    fn is_sane(self) -> bool {
        self.memory_kib <= COST_MAX.memory_kib
            && self.passes <= COST_MAX.passes
            && self.lanes <= COST_MAX.lanes
    }
}

/// Why a header does not open; [`HeaderError::at`] adds the file's name.
#[derive(Debug)]
pub(super) enum HeaderError {
    Malformed,
    NewerFormat(u64),
    File(FileError),
}

impl HeaderError {
    pub(super) fn at(self, path: &Path) -> FileError {
        match self {
            Self::Malformed => super::damaged(path, "its header does not read"),
            Self::NewerFormat(format) => FileError::NewerFormat(format),
            Self::File(error) => error,
        }
    }
}

impl From<minicbor::decode::Error> for HeaderError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Malformed
    }
}

/// A decoded header.
#[derive(Debug)]
pub(super) enum Header {
    Plaintext,
    Sealed {
        cost: Cost,
        salt: [u8; SALT],
        check: Vec<u8>,
    },
}

impl Header {
    /// A header for a new file, encoded, and the seal that goes with it.
    pub(super) fn create(protection: &Protection) -> Result<(Vec<u8>, Seal), FileError> {
        let (passphrase, cost) = match protection {
            Protection::InsecurePlaintext => {
                return Ok((Self::Plaintext.encode(), Seal::Plaintext));
            }
            Protection::Sealed(passphrase, cost) => (passphrase, *cost),
        };
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| FileError::Crypto("no randomness"))?;
        let seal = Seal::derive(passphrase, cost, &salt)?;
        let check = seal.value(&associated(cost, &salt), CHECK)?;
        Ok((
            Self::Sealed {
                cost,
                salt,
                check: check.to_vec(),
            }
            .encode(),
            seal,
        ))
    }

    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::new());
        // Writing to a Vec cannot fail: the results say nothing.
        match self {
            Self::Plaintext => {
                let _ = e
                    .array(2)
                    .and_then(|e| e.u64(FORMAT))
                    .and_then(|e| e.u8(PLAINTEXT));
            }
            Self::Sealed { cost, salt, check } => {
                let _ = e
                    .array(7)
                    .and_then(|e| e.u64(FORMAT))
                    .and_then(|e| e.u8(SEALED));
                for number in [cost.memory_kib, cost.passes, cost.lanes] {
                    let _ = e.u32(number);
                }
                let _ = e.bytes(salt).and_then(|e| e.bytes(check));
            }
        }
        e.into_writer()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut d = Decoder::new(bytes);
        let length = d.array()?;
        let format = d.u64()?;
        match format {
            FORMAT => {}
            0 => return Err(HeaderError::Malformed),
            // Formats before this one would be read here, as long as there are files of them.
            _ => return Err(HeaderError::NewerFormat(format)),
        }
        match (d.u8()?, length) {
            (PLAINTEXT, Some(2)) => Ok(Self::Plaintext),
            (SEALED, Some(7)) => {
                let cost = Cost {
                    memory_kib: d.u32()?,
                    passes: d.u32()?,
                    lanes: d.u32()?,
                };
                let salt = d.bytes()?.try_into().map_err(|_| HeaderError::Malformed)?;
                let check = d.bytes()?.to_vec();
                if cost.is_sane() {
                    Ok(Self::Sealed { cost, salt, check })
                } else {
                    Err(HeaderError::Malformed)
                }
            }
            _ => Err(HeaderError::Malformed),
        }
    }

    /// The seal of an existing file, if the protection that was asked for is the one it has.
    pub(super) fn open(&self, protection: &Protection) -> Result<Seal, HeaderError> {
        match (self, protection) {
            (Self::Plaintext, Protection::InsecurePlaintext) => Ok(Seal::Plaintext),
            (Self::Plaintext, Protection::Sealed(..)) => {
                Err(HeaderError::File(FileError::NotSealed))
            }
            (Self::Sealed { .. }, Protection::InsecurePlaintext) => {
                Err(HeaderError::File(FileError::Sealed))
            }
            (Self::Sealed { cost, salt, check }, Protection::Sealed(passphrase, _)) => {
                let seal = Seal::derive(passphrase, *cost, salt).map_err(HeaderError::File)?;
                match seal.unseal(&associated(*cost, salt), check) {
                    Some(opened) if *opened == CHECK => Ok(seal),
                    _ => Err(HeaderError::File(FileError::WrongPassphrase)),
                }
            }
        }
    }
}

/// What the check of the header is bound to. No record has such a name: those begin with a letter.
fn associated(cost: Cost, salt: &[u8; SALT]) -> Vec<u8> {
    let mut out = vec![0];
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(salt);
    out
}

/// Seals and opens records, or passes them through.
pub(super) enum Seal {
    Plaintext,
    Keys {
        values: Box<LessSafeKey>,
        names: Box<hmac::Key>,
    },
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plaintext => "Plaintext",
            Self::Keys { .. } => "Keys(..)",
        })
    }
}

impl Seal {
    fn derive(passphrase: &Passphrase, cost: Cost, salt: &[u8]) -> Result<Self, FileError> {
        if passphrase.0.is_empty() {
            return Err(FileError::EmptyPassphrase);
        }
        let refused = |_| FileError::Crypto("the cost parameters are out of range");
        let params =
            Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
        let mut master = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.0.as_bytes(), salt, &mut master[..])
            .map_err(refused)?;
        // Two independent keys from one: HMAC as a PRF, one label each.
        let master = hmac::Key::new(hmac::HMAC_SHA256, &master[..]);
        let values = hmac::sign(&master, b"pinward key file: values");
        let names = hmac::sign(&master, b"pinward key file: names");
        let values = UnboundKey::new(&AES_256_GCM, values.as_ref())
            .map_err(|_| FileError::Crypto("AES-256-GCM refuses its key"))?;
        Ok(Self::Keys {
            values: Box::new(LessSafeKey::new(values)),
            names: Box::new(hmac::Key::new(hmac::HMAC_SHA256, names.as_ref())),
        })
    }

    /// The name of a record in the file: its first byte, which tells its kind, and an HMAC.
    pub(super) fn name<'a>(&self, key: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Plaintext => Cow::Borrowed(key),
            Self::Keys { names, .. } => {
                let mut name: Vec<u8> = key.first().copied().into_iter().collect();
                name.extend_from_slice(hmac::sign(names, key).as_ref());
                Cow::Owned(name)
            }
        }
    }

    /// A name for the whole file, which tells nothing and is another one for each salt.
    pub(super) fn id(&self) -> Option<Vec<u8>> {
        match self {
            Self::Plaintext => None,
            Self::Keys { names, .. } => {
                let id = hmac::sign(names, &[ID_NAME]);
                id.as_ref().get(..16).map(<[u8]>::to_vec)
            }
        }
    }

    /// A value as it is stored: the record's key (it cannot be had back from its name) and the value,
    /// sealed and bound to the name.
    pub(super) fn value(&self, key: &[u8], value: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let Self::Keys { values, .. } = self else {
            return Ok(Zeroizing::new(value.to_vec()));
        };
        let length = u16::try_from(key.len())
            .map_err(|_| FileError::Crypto("a record's key is too long"))?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| FileError::Crypto("no randomness"))?;
        let mut out = Zeroizing::new(Vec::with_capacity(
            NONCE_LEN + 2 + key.len() + value.len() + 16,
        ));
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
        let name = self.name(key);
        let plain = out.get_mut(NONCE_LEN..).unwrap_or_default();
        let tag = values
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&name),
                plain,
            )
            .map_err(|_| FileError::Crypto("AES-256-GCM refuses a record"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Key and value of a stored record.
    pub(super) fn open(
        &self,
        name: &[u8],
        stored: &[u8],
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), &'static str> {
        let Self::Keys { .. } = self else {
            return Ok((name.to_vec(), Zeroizing::new(stored.to_vec())));
        };
        let plain = self
            .unseal_named(name, stored)
            .ok_or("a record was altered")?;
        let (key, value) = split(&plain).ok_or("a record does not read")?;
        if *self.name(key) != *name {
            return Err("a record is not in its place");
        }
        Ok((key.to_vec(), Zeroizing::new(value.to_vec())))
    }

    /// What [`Seal::value`] made of a value of this key, back.
    pub(super) fn value_of(&self, key: &[u8], stored: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Plaintext => Some(Zeroizing::new(stored.to_vec())),
            Self::Keys { .. } => self.unseal(key, stored),
        }
    }

    /// The value that [`Seal::value`] sealed for this key.
    fn unseal(&self, key: &[u8], stored: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let plain = self.unseal_named(&self.name(key), stored)?;
        let (found, value) = split(&plain)?;
        (found == key).then(|| Zeroizing::new(value.to_vec()))
    }

    fn unseal_named(&self, name: &[u8], stored: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Self::Keys { values, .. } = self else {
            return None;
        };
        let (nonce, sealed) = stored.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = values
            .open_in_place(nonce, Aad::from(name), &mut buffer)
            .ok()?
            .len();
        buffer.truncate(length);
        Some(buffer)
    }
}

/// Key and value of an opened record.
fn split(plain: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = plain.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)))
}
