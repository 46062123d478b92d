//! WebAuthn L3 §3 "Base64url Encoding": byte strings in JSON, without padding.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// Text that is not unpadded base64url.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not unpadded base64url: {0}")]
pub struct Base64UrlError(String);

/// Writes bytes as base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url; padding, the standard alphabet, white space and stray trailing bits are refused.
///
/// # Errors
/// [`Base64UrlError`] tells the first offending character or length.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Base64UrlError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| Base64UrlError(error.to_string()))
}

/// Whether `text` is the base64url form of `bytes`, without allocating.
pub fn is_encoding_of(text: &str, bytes: &[u8]) -> bool {
    // Three bytes become four characters: compare group by group in a small buffer.
    let mut buffer = [0; 64];
    let mut rest = text.as_bytes();
    for chunk in bytes.chunks(48) {
        let Ok(length) = URL_SAFE_NO_PAD.encode_slice(chunk, &mut buffer) else {
            return false;
        };
        let Some((head, tail)) = rest.split_at_checked(length) else {
            return false;
        };
        if head != &buffer[..length] {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

/// Bytes that are base64url text in JSON (`Base64URLString`).
///
/// ```
/// use webauthn::Base64Url;
/// let id: Base64Url = serde_json::from_str("\"-_8\"").unwrap();
/// assert_eq!(&id[..], [0xfb, 0xff]);
/// assert!(serde_json::from_str::<Base64Url>("\"-_8=\"").is_err());
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base64Url(pub Vec<u8>);

impl fmt::Debug for Base64Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Base64Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl core::ops::Deref for Base64Url {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Base64Url {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Base64Url {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Base64Url {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Base64Url {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}

impl core::str::FromStr for Base64Url {
    type Err = Base64UrlError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text).map(Self)
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64Url;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("unpadded base64url text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64Url, E> {
                decode(text).map(Base64Url).map_err(E::custom)
            }
        }
        // A visitor takes the text where it lies in the JSON, without a String between.
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_unpadded_base64url_is_read() {
        assert_eq!(decode("AAEC_-8").unwrap(), [0, 1, 2, 0xff, 0xef]);
        for text in [
            "AA==", "AAE=", "+/8", "A", "AB", "AA\n", " AA", "AA ", "\u{e9}",
        ] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_comparison_agrees_with_the_encoder() {
        let bytes: Vec<u8> = (0..200).map(|i| (i * 7) as u8).collect();
        for length in 0..bytes.len() {
            let text = encode(&bytes[..length]);
            assert!(is_encoding_of(&text, &bytes[..length]));
            assert!(!is_encoding_of(&format!("{text}A"), &bytes[..length]));
            assert!(!is_encoding_of(&text, &bytes[..length + 1]));
            if length > 0 {
                assert!(!is_encoding_of(&text[1..], &bytes[..length]));
                assert!(!is_encoding_of(&text, &bytes[..length - 1]));
            }
        }
    }
}
