//! CTAP 2.3 §6.10 authenticatorLargeBlobs: the array that all sites share, and the entries in it, each
//! of which only the holder of one credential's largeBlobKey can read (§6.10.3, §6.10.4).

use ctap::cbor::Value;
use ctap::large_blobs::{CHECK_LENGTH, Request, Response, authenticated_message};
use ctap::{Command, SecretBytes, get_info};

use super::{ManageError, Manager, Token};
use crate::crypto;

/// §6.10.2: what the frame around a fragment takes of a message.
const FRAME: u64 = 64;
/// §6.4: maxMsgSize where a key tells none.
const MESSAGE: u64 = 1024;
/// No key has a larger array, whatever it says.
pub(crate) const MOST: usize = 1 << 20;
/// No entry is larger than this when it is unpacked: a small one could claim to be.
pub(crate) const MOST_UNPACKED: usize = 1 << 20;

/// One entry of the array, as it is kept: `largeBlobMap` of §6.10.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobEntry {
    /// AES-256-GCM over the packed blob, with its tag.
    ciphertext: Vec<u8>,
    /// Its nonce.
    nonce: Vec<u8>,
    /// The length of the blob before it was packed.
    pub original_size: u64,
}

/// The array. What no one can read here is kept as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct BlobArray {
    entries: Vec<Value>,
}

impl BlobArray {
    /// The entries that are as the text has them.
    pub fn entries(&self) -> impl Iterator<Item = BlobEntry> + '_ {
        self.entries.iter().filter_map(BlobEntry::of)
    }

    /// How many elements there are, of whatever kind.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes it takes on the key.
    pub fn size(&self) -> usize {
        self.serialized().len()
    }

    /// The blob of the credential with this largeBlobKey, unpacked.
    pub fn blob(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries().find_map(|entry| entry.open(key))
    }

    /// The entry of the credential with this largeBlobKey.
    pub fn entry(&self, key: &[u8]) -> Option<BlobEntry> {
        self.entries().find(|entry| entry.open(key).is_some())
    }

    /// Takes the blob of a credential out; whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let before = self.entries.len();
        let of_key = |value: &Value| BlobEntry::of(value).is_some_and(|e| e.open(key).is_some());
        self.entries.retain(|value| !of_key(value));
        self.entries.len() < before
    }

    /// Packs, encrypts and puts a blob in the place of the credential's one before; none when the
    /// largeBlobKey is not 32 bytes long.
    pub(crate) fn put(&mut self, key: &[u8], blob: &[u8], nonce: [u8; 12]) -> Option<()> {
        let original_size = blob.len() as u64;
        let packed = miniz_oxide::deflate::compress_to_vec(blob, 9);
        let aad = BlobEntry::associated_data(original_size);
        let ciphertext = crypto::gcm_seal(key, nonce, &aad, packed)?;
        self.remove(key);
        let entry = BlobEntry {
            ciphertext,
            nonce: nonce.to_vec(),
            original_size,
        };
        self.entries.push(entry.value());
        Some(())
    }

    pub(crate) fn serialized(&self) -> Vec<u8> {
        let mut bytes = Value::Array(self.entries.clone()).encode();
        let hash = crypto::sha256(&bytes);
        bytes.extend_from_slice(&hash[..CHECK_LENGTH]);
        bytes
    }

    /// §6.10.2: an array that is not whole counts as empty.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let array = bytes
            .len()
            .checked_sub(CHECK_LENGTH)
            .and_then(|length| bytes.split_at_checked(length))
            .filter(|(array, check)| crypto::sha256(array)[..CHECK_LENGTH] == **check)
            .and_then(|(array, _)| Value::decode(array).ok());
        match array {
            Some(Value::Array(entries)) => Self { entries },
            _ => Self {
                entries: Vec::new(),
            },
        }
    }
}

impl BlobEntry {
    fn of(value: &Value) -> Option<Self> {
        let bytes = |key| match value.get_int(key) {
            Some(Value::Bytes(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        let Some(Value::Integer(size)) = value.get_int(3) else {
            return None;
        };
        Some(Self {
            ciphertext: bytes(1)?,
            nonce: bytes(2)?,
            original_size: u64::try_from(*size).ok()?,
        })
    }

    fn value(&self) -> Value {
        Value::Map(vec![
            (Value::Integer(1), Value::Bytes(self.ciphertext.clone())),
            (Value::Integer(2), Value::Bytes(self.nonce.clone())),
            (Value::Integer(3), Value::Integer(self.original_size.into())),
        ])
    }

    /// §6.10.4: `"blob"`, and the original size in 64 bits, little endian.
    fn associated_data(original_size: u64) -> Vec<u8> {
        [&b"blob"[..], &original_size.to_le_bytes()].concat()
    }

    /// The blob, if it is the key's. One whose packed form is broken is nobody's.
    fn open(&self, key: &[u8]) -> Option<Vec<u8>> {
        let aad = Self::associated_data(self.original_size);
        let packed = crypto::gcm_open(key, &self.nonce, &aad, &self.ciphertext)?;
        let size = usize::try_from(self.original_size).ok()?;
        let most = size.min(MOST_UNPACKED);
        let blob = miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, most).ok()?;
        (blob.len() == size).then_some(blob)
    }
}

impl Manager<'_> {
    /// Whether the key has the array.
    ///
    /// # Errors
    /// [`ManageError::NotSupported`]
    pub fn keeps_blobs(&self) -> Result<(), ManageError> {
        match self.options().large_blobs {
            Some(true) => Ok(()),
            _ => Err(ManageError::NotSupported(
                "keep large blobs in an array (option largeBlobs)",
            )),
        }
    }

    /// Reads the array. No PIN is wanted.
    ///
    /// # Errors
    /// [`ManageError`]
    pub fn blobs(&mut self) -> Result<BlobArray, ManageError> {
        self.keeps_blobs()?;
        let fragment = self.fragment_length();
        let mut bytes = Vec::new();
        loop {
            let request = Request {
                get: Some(fragment),
                set: None,
                offset: bytes.len() as u64,
                length: None,
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
            };
            let members = self.command("read its blobs", Command::LargeBlobs, &request.encode())?;
            let answer = Response::decode(&members)
                .map_err(|_| ManageError::BadReply("authenticatorLargeBlobs does not read"))?;
            let short = (answer.config.len() as u64) < fragment;
            bytes.extend_from_slice(&answer.config);
            if bytes.len() > MOST {
                return Err(ManageError::BadReply("its blobs have no end"));
            }
            if short {
                return Ok(BlobArray::parse(&bytes));
            }
        }
    }

    /// Writes the array, and reads it back.
    ///
    /// # Errors
    /// [`ManageError`]; `LARGE_BLOB_STORAGE_FULL` when it does not fit.
    pub fn write_blobs(
        &mut self,
        array: &BlobArray,
        token: Option<&Token>,
    ) -> Result<(), ManageError> {
        self.keeps_blobs()?;
        let bytes = array.serialized();
        let fragment = usize::try_from(self.fragment_length()).unwrap_or(usize::MAX);
        let mut offset = 0_usize;
        for part in bytes.chunks(fragment) {
            let at = u32::try_from(offset)
                .map_err(|_| ManageError::BadReply("no message could be made for it"))?;
            let message = authenticated_message(at, &crypto::sha256(part));
            let request = Request {
                get: None,
                set: Some(part.to_vec()),
                offset: at.into(),
                length: (offset == 0).then_some(bytes.len() as u64),
                pin_uv_auth_param: token.map(|token| token.sign(&message)),
                pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
            };
            self.command("write its blobs", Command::LargeBlobs, &request.encode())?;
            offset += part.len();
        }
        if self.blobs()? == *array {
            Ok(())
        } else {
            Err(ManageError::NotAsSaid("its blobs are others"))
        }
    }

    /// Packs, encrypts and puts a blob in the place of the credential's one before.
    ///
    /// # Errors
    /// [`ManageError::BadReply`] when the largeBlobKey is not 32 bytes long.
    pub fn put_blob(
        &mut self,
        array: &mut BlobArray,
        key: &SecretBytes,
        blob: &[u8],
    ) -> Result<(), ManageError> {
        let mut nonce = [0; 12];
        self.rng.fill_bytes(&mut nonce);
        array
            .put(key, blob, nonce)
            .ok_or(ManageError::BadReply("its largeBlobKey has not 32 bytes"))
    }

    fn fragment_length(&self) -> u64 {
        fragment_length(&self.info)
    }
}

/// §6.10.1 maxFragmentLength.
pub(crate) fn fragment_length(info: &get_info::Response) -> u64 {
    let message = info.max_msg_size.unwrap_or(MESSAGE).max(2 * FRAME);
    message - FRAME
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test stops at its first surprise
    use super::*;

    fn entry(key: &[u8; 32], blob: &[u8], claimed: u64) -> BlobEntry {
        let packed = miniz_oxide::deflate::compress_to_vec(blob, 9);
        let aad = BlobEntry::associated_data(claimed);
        BlobEntry {
            ciphertext: crypto::gcm_seal(key, [3; 12], &aad, packed).unwrap(),
            nonce: vec![3; 12],
            original_size: claimed,
        }
    }

    fn array(entries: &[BlobEntry]) -> BlobArray {
        let mut values: Vec<_> = entries.iter().map(BlobEntry::value).collect();
        values.push(Value::Text("of a later version".to_owned()));
        BlobArray { entries: values }
    }

    #[test]
    fn each_credential_reads_its_own_blob_and_no_other() {
        let (one, two) = ([1; 32], [2; 32]);
        let mut blobs = array(&[entry(&one, b"first", 5), entry(&two, b"second", 6)]);
        assert_eq!(blobs.blob(&one).unwrap(), b"first");
        assert_eq!(blobs.blob(&two).unwrap(), b"second");
        assert_eq!(blobs.blob(&[3; 32]), None);
        assert!(blobs.remove(&one) && !blobs.remove(&one));
        assert_eq!(blobs.blob(&one), None);
        assert_eq!(
            (blobs.blob(&two).unwrap(), blobs.len()),
            (b"second".to_vec(), 2)
        );
    }

    #[test]
    fn an_array_that_is_not_whole_is_empty() {
        let whole = array(&[entry(&[1; 32], b"x", 1)]);
        let mut bytes = whole.serialized();
        assert_eq!(BlobArray::parse(&bytes), whole);
        bytes[0] ^= 1;
        assert!(BlobArray::parse(&bytes).is_empty());
        assert!(BlobArray::parse(&[]).is_empty());
        assert!(BlobArray::parse(&[0x80]).is_empty());
    }

    #[test]
    fn a_blob_that_lies_about_its_size_is_not_unpacked() {
        let key = [1; 32];
        for claimed in [4, 6, u64::MAX] {
            assert_eq!(array(&[entry(&key, b"12345", claimed)]).blob(&key), None);
        }
        // A small entry that would fill the memory.
        let zeros = vec![0; MOST_UNPACKED + 1];
        let bomb = entry(&key, &zeros, zeros.len() as u64);
        assert!(bomb.ciphertext.len() < 4096);
        assert_eq!(array(&[bomb]).blob(&key), None);
    }
}
