//! WebAuthn L3 §6.1 authenticator data and §6.5.1 attested credential data.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::cbor::{self, CborError};
use crate::cose::{CoseError, CoseKey};

/// The flags byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(pub u8);

impl Flags {
    /// User present.
    pub const UP: Self = Self(0x01);
    /// User verified.
    pub const UV: Self = Self(0x04);
    /// Backup eligible: the credential may be copied to other devices.
    pub const BE: Self = Self(0x08);
    /// Backup state: the credential is backed up now.
    pub const BS: Self = Self(0x10);
    /// Attested credential data follows.
    pub const AT: Self = Self(0x40);
    /// Extension data follows.
    pub const ED: Self = Self(0x80);

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags, with those of `other` set or cleared.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on {
            Self(self.0 | other.0)
        } else {
            Self(self.0 & !other.0)
        }
    }

    /// UP
    pub const fn user_present(self) -> bool {
        self.contains(Self::UP)
    }

    /// UV
    pub const fn user_verified(self) -> bool {
        self.contains(Self::UV)
    }

    /// BE
    pub const fn backup_eligible(self) -> bool {
        self.contains(Self::BE)
    }

    /// BS
    pub const fn backup_state(self) -> bool {
        self.contains(Self::BS)
    }

    /// AT
    pub const fn attested_credential_data(self) -> bool {
        self.contains(Self::AT)
    }

    /// ED
    pub const fn extension_data(self) -> bool {
        self.contains(Self::ED)
    }
}

impl core::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes the names of the set flags: `UP UV AT`, reserved bits as `RFU1`, `RFU2`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = ["UP", "RFU1", "UV", "BE", "BS", "RFU2", "AT", "ED"];
        let mut space = "";
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 >> bit & 1 == 1 {
                write!(f, "{space}{name}")?;
                space = " ";
            }
        }
        if self.0 == 0 {
            f.write_str("none")
        } else {
            Ok(())
        }
    }
}

/// The AAGUID of an authenticator model: shown, and written in JSON, as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Aaguid(pub [u8; 16]);

impl Aaguid {
    /// All zero: the model is not told.
    pub const ZERO: Self = Self([0; 16]);
}

impl From<[u8; 16]> for Aaguid {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an AAGUID is written as 8-4-4-4-12 hexadecimal digits")]
pub struct AaguidError;

impl core::str::FromStr for Aaguid {
    type Err = AaguidError;

    fn from_str(text: &str) -> Result<Self, AaguidError> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|at| bytes[*at] != b'-') {
            return Err(AaguidError);
        }
        let mut digits = bytes
            .iter()
            .filter(|byte| **byte != b'-')
            .map(|byte| char::from(*byte).to_digit(16));
        let mut aaguid = [0; 16];
        for byte in &mut aaguid {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(AaguidError);
            };
            *byte = (high << 4 | low) as u8;
        }
        // Dashes at other places leave digits missing above; a surplus cannot be.
        Ok(Self(aaguid))
    }
}

impl Serialize for Aaguid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Aaguid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why bytes are not authenticator data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorDataError {
    /// Shorter than its parts need.
    #[error("the authenticator data ends early")]
    Truncated,
    /// The credential public key is not one canonical CBOR item.
    #[error("the credential public key is malformed: {0}")]
    PublicKey(CborError),
    /// The extensions are not one canonical CBOR map.
    #[error("the extensions in the authenticator data are malformed: {0}")]
    Extensions(CborError),
    /// Bytes follow that no flag announces.
    #[error("{0} bytes follow the authenticator data")]
    TrailingBytes(usize),
}

/// Authenticator data, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatorData<'a> {
    /// SHA-256 of the RP ID (or AppID).
    pub rp_id_hash: &'a [u8; 32],
    /// The flags.
    pub flags: Flags,
    /// The signature counter.
    pub sign_count: u32,
    /// The new credential, at registration.
    pub attested_credential_data: Option<AttestedCredentialData<'a>>,
    /// Authenticator extension outputs: one canonical CBOR map.
    pub extensions: Option<&'a [u8]>,
}

/// A new credential, borrowed from authenticator data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestedCredentialData<'a> {
    /// The model.
    pub aaguid: Aaguid,
    /// The credential ID.
    pub credential_id: &'a [u8],
    /// The credential public key: one canonical CBOR item (a COSE key).
    pub credential_public_key: &'a [u8],
}

impl AttestedCredentialData<'_> {
    /// Reads the public key.
    ///
    /// # Errors
    /// As [`CoseKey::parse`].
    pub fn public_key(&self) -> Result<CoseKey, CoseError> {
        CoseKey::parse(self.credential_public_key)
    }
}

impl<'a> AuthenticatorData<'a> {
    /// Reads authenticator data; every byte must belong to a part that a flag announces.
    ///
    /// # Errors
    /// [`AuthenticatorDataError`]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, AuthenticatorDataError> {
        let mut rest = bytes;
        let rp_id_hash = take::<32>(&mut rest)?;
        let flags = Flags(take::<1>(&mut rest)?[0]);
        let sign_count = u32::from_be_bytes(*take::<4>(&mut rest)?);
        let attested_credential_data = if flags.attested_credential_data() {
            Some(take_attested(&mut rest)?)
        } else {
            None
        };
        let extensions = if flags.extension_data() {
            Some(take_extensions(&mut rest)?)
        } else {
            None
        };
        if !rest.is_empty() {
            return Err(AuthenticatorDataError::TrailingBytes(rest.len()));
        }
        Ok(Self {
            rp_id_hash,
            flags,
            sign_count,
            attested_credential_data,
            extensions,
        })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], AuthenticatorDataError> {
    let (head, tail) = rest
        .split_first_chunk::<N>()
        .ok_or(AuthenticatorDataError::Truncated)?;
    *rest = tail;
    Ok(head)
}

fn take_attested<'a>(
    rest: &mut &'a [u8],
) -> Result<AttestedCredentialData<'a>, AuthenticatorDataError> {
    let aaguid = Aaguid(*take::<16>(rest)?);
    let length = usize::from(u16::from_be_bytes(*take::<2>(rest)?));
    let (credential_id, tail) = rest
        .split_at_checked(length)
        .ok_or(AuthenticatorDataError::Truncated)?;
    let (credential_public_key, tail) =
        cbor::split(tail).map_err(AuthenticatorDataError::PublicKey)?;
    *rest = tail;
    Ok(AttestedCredentialData {
        aaguid,
        credential_id,
        credential_public_key,
    })
}

fn take_extensions<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], AuthenticatorDataError> {
    let (extensions, tail) = cbor::split(rest).map_err(AuthenticatorDataError::Extensions)?;
    // Major type 5 is a map.
    if extensions.first().is_none_or(|head| head >> 5 != 5) {
        return Err(AuthenticatorDataError::Extensions(
            CborError::UnexpectedType,
        ));
    }
    *rest = tail;
    Ok(extensions)
}

/// Writes authenticator data. The flags AT and ED are set by what is given, whatever `flags` says.
///
/// A credential ID longer than 65,535 bytes cannot be written and is cut; none is longer than 1,023.
pub fn encode(
    rp_id_hash: &[u8; 32],
    flags: Flags,
    sign_count: u32,
    attested: Option<&AttestedCredentialData<'_>>,
    extensions: Option<&[u8]>,
) -> Vec<u8> {
    let flags = flags
        .with(Flags::AT, attested.is_some())
        .with(Flags::ED, extensions.is_some());
    let room = attested.map_or(0, |a| {
        18 + a.credential_id.len() + a.credential_public_key.len()
    });
    let mut out = Vec::with_capacity(37 + room + extensions.map_or(0, <[u8]>::len));
    out.extend_from_slice(rp_id_hash);
    out.push(flags.0);
    out.extend_from_slice(&sign_count.to_be_bytes());
    if let Some(attested) = attested {
        let length = u16::try_from(attested.credential_id.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&attested.aaguid.0);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&attested.credential_id[..usize::from(length)]);
        out.extend_from_slice(attested.credential_public_key);
    }
    out.extend_from_slice(extensions.unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const HASH: [u8; 32] = [7; 32];
    /// A map of one pair stands in for a key: this file does not look inside.
    const KEY: [u8; 3] = [0xa1, 0x01, 0x02];

    fn attested() -> AttestedCredentialData<'static> {
        AttestedCredentialData {
            aaguid: Aaguid([9; 16]),
            credential_id: b"credential",
            credential_public_key: &KEY,
        }
    }

    #[test]
    fn every_combination_of_parts_round_trips() {
        for (with_key, with_extensions) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let key = attested();
            let key = with_key.then_some(&key);
            let extensions = with_extensions.then_some(&[0xa1, 0x61, b'x', 0xf5][..]);
            let bytes = encode(&HASH, Flags::UP | Flags::UV, 258, key, extensions);
            let read = AuthenticatorData::parse(&bytes).unwrap();
            assert_eq!((read.rp_id_hash, read.sign_count), (&HASH, 258));
            assert_eq!(read.attested_credential_data.as_ref(), key);
            assert_eq!(read.extensions, extensions);
            assert!(read.flags.user_present() && read.flags.user_verified());
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let key = attested();
        let bytes = encode(&HASH, Flags::UP, 1, Some(&key), Some(&[0xa0]));
        for length in 0..bytes.len() {
            AuthenticatorData::parse(&bytes[..length]).unwrap_err();
        }
    }

    #[test]
    fn bytes_without_a_flag_are_refused() {
        let mut bytes = encode(&HASH, Flags::UP, 1, None, None);
        bytes.extend_from_slice(&[0xa0, 0xa0]);
        assert_eq!(
            AuthenticatorData::parse(&bytes),
            Err(AuthenticatorDataError::TrailingBytes(2))
        );
        bytes[32] |= Flags::ED.0;
        assert_eq!(
            AuthenticatorData::parse(&bytes),
            Err(AuthenticatorDataError::TrailingBytes(1))
        );
    }

    #[test]
    fn extensions_are_one_canonical_map() {
        for (extensions, error) in [
            (&[0x80][..], CborError::UnexpectedType),
            (&[0xa2, 0x61, b'b', 0, 0x61, b'a', 0], CborError::Unordered),
            (
                &[0xa2, 0x61, b'a', 0, 0x61, b'a', 0],
                CborError::DuplicateKey,
            ),
        ] {
            let bytes = encode(&HASH, Flags::UP, 1, None, Some(extensions));
            assert_eq!(
                AuthenticatorData::parse(&bytes),
                Err(AuthenticatorDataError::Extensions(error))
            );
        }
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(Flags(0xff).to_string(), "UP RFU1 UV BE BS RFU2 AT ED");
        assert_eq!(Flags::default().to_string(), "none");
    }

    #[test]
    fn an_aaguid_is_written_as_a_uuid() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let aaguid: Aaguid = text.parse().unwrap();
        assert_eq!(aaguid.to_string(), text);
        for bad in [
            "",
            "00112233445566778899aabbccddeeff",
            "0011223--4455-6677-8899-aabbccddeeff",
            "g0112233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(bad.parse::<Aaguid>(), Err(AaguidError), "{bad}");
        }
    }
}
