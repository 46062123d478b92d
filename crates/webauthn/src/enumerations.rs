//! WebAuthn L3 §5.4.4-§5.4.7, §5.8.4-§5.8.8: the enumerations of the options.
//!
//! In JSON these are plain strings, and a value that a party does not know is to be treated as if
//! the member were absent ("MUST ignore unknown values"). [`lenient`] does that.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares a closed enumeration of strings.
macro_rules! string_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the text.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value as the specification writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with this name, if there is one.
            pub fn from_name(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_name(&text).ok_or_else(|| {
                    serde::de::Error::unknown_variant(&text, &[$($text),+])
                })
            }
        }

        impl FromName for $name {
            fn from_name(text: &str) -> Option<Self> {
                Self::from_name(text)
            }
        }
    };
}
/// A closed enumeration that is looked up by its names.
pub trait FromName: Sized {
    /// The value with this name, if there is one.
    fn from_name(text: &str) -> Option<Self>;
}

/// For `#[serde(deserialize_with)]`: a name that is not known counts as absent.
///
/// # Errors
/// If the member is neither a string nor null.
pub fn lenient<'de, D: Deserializer<'de>, T: FromName>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| T::from_name(&text)))
}

string_enum! {
    /// §5.8.6 `UserVerificationRequirement`: what the Relying Party wants of user verification.
    UserVerificationRequirement {
        /// Without user verification the ceremony fails.
        Required = "required",
        /// User verification if the authenticator can do it. The default where it is left out.
        Preferred = "preferred",
        /// No user verification, to keep the ceremony short.
        Discouraged = "discouraged",
    }
}

string_enum! {
    /// §5.4.6 `ResidentKeyRequirement`: whether the credential is to be discoverable.
    ResidentKeyRequirement {
        /// A server-side credential is preferred, a discoverable one accepted.
        Discouraged = "discouraged",
        /// A discoverable credential is preferred, a server-side one accepted.
        Preferred = "preferred",
        /// Only a discoverable credential will do.
        Required = "required",
    }
}

string_enum! {
    /// §5.4.7 `AttestationConveyancePreference`.
    AttestationConveyancePreference {
        /// No attestation is wanted. The default.
        None = "none",
        /// Attestation is wanted, the client may replace it.
        Indirect = "indirect",
        /// Attestation as the authenticator made it.
        Direct = "direct",
        /// Attestation that may identify the single authenticator.
        Enterprise = "enterprise",
    }
}

string_enum! {
    /// §5.4.5 `AuthenticatorAttachment`.
    AuthenticatorAttachment {
        /// Part of the client device.
        Platform = "platform",
        /// Removable from, or reached across, client devices.
        CrossPlatform = "cross-platform",
    }
}

string_enum! {
    /// §5.8.7 `PublicKeyCredentialHint`.
    PublicKeyCredentialHint {
        /// A physical security key.
        SecurityKey = "security-key",
        /// An authenticator of this device.
        ClientDevice = "client-device",
        /// A general-purpose device such as a telephone.
        Hybrid = "hybrid",
    }
}

string_enum! {
    /// CTAP 2.3 §12.1 `credentialProtectionPolicy`, under the names the client's extension uses.
    CredentialProtectionPolicy {
        /// Level 1: user verification is optional.
        UserVerificationOptional = "userVerificationOptional",
        /// Level 2: optional when the credential ID is known.
        UserVerificationOptionalWithCredentialIdList = "userVerificationOptionalWithCredentialIDList",
        /// Level 3: always required.
        UserVerificationRequired = "userVerificationRequired",
    }
}

impl CredentialProtectionPolicy {
    /// The level as CTAP writes it (1, 2 or 3).
    pub const fn level(self) -> u8 {
        match self {
            Self::UserVerificationOptional => 1,
            Self::UserVerificationOptionalWithCredentialIdList => 2,
            Self::UserVerificationRequired => 3,
        }
    }

    /// The policy of a CTAP level.
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            1 => Some(Self::UserVerificationOptional),
            2 => Some(Self::UserVerificationOptionalWithCredentialIdList),
            3 => Some(Self::UserVerificationRequired),
            _ => None,
        }
    }
}

string_enum! {
    /// §10.1.5 `largeBlob.support` at registration.
    LargeBlobSupport {
        /// Only an authenticator that can store large blobs will do.
        Required = "required",
        /// Storing large blobs is preferred.
        Preferred = "preferred",
    }
}

/// §5.8.4 `AuthenticatorTransport`. Open: names that are not known are kept, since they are stored
/// with the credential and given back to the client unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthenticatorTransport {
    /// `usb`
    Usb,
    /// `nfc`
    Nfc,
    /// `ble`
    Ble,
    /// `smart-card`: a contact card
    SmartCard,
    /// `hybrid`: a telephone, found by proximity
    Hybrid,
    /// `internal`: part of the client device
    Internal,
    /// Any other name.
    Other(String),
}

impl AuthenticatorTransport {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Usb => "usb",
            Self::Nfc => "nfc",
            Self::Ble => "ble",
            Self::SmartCard => "smart-card",
            Self::Hybrid => "hybrid",
            Self::Internal => "internal",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for AuthenticatorTransport {
    fn from(name: &str) -> Self {
        match name {
            "usb" => Self::Usb,
            "nfc" => Self::Nfc,
            "ble" => Self::Ble,
            "smart-card" => Self::SmartCard,
            "hybrid" => Self::Hybrid,
            "internal" => Self::Internal,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl core::fmt::Display for AuthenticatorTransport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AuthenticatorTransport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AuthenticatorTransport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from(text.as_ref()))
    }
}

/// §5.8.2 `PublicKeyCredentialType`: the only type there is.
pub const PUBLIC_KEY: &str = "public-key";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_round_trip() {
        for value in UserVerificationRequirement::ALL {
            assert_eq!(
                UserVerificationRequirement::from_name(value.as_str()),
                Some(*value)
            );
        }
        for level in 1..=3 {
            assert_eq!(
                CredentialProtectionPolicy::from_level(level)
                    .unwrap()
                    .level(),
                level
            );
        }
        assert_eq!(CredentialProtectionPolicy::from_level(0), None);
    }

    #[test]
    fn transports_keep_names_they_do_not_know() {
        let names =
            "[\"usb\",\"nfc\",\"ble\",\"smart-card\",\"hybrid\",\"internal\",\"carrier-pigeon\"]";
        let read: Vec<AuthenticatorTransport> = serde_json::from_str(names).unwrap();
        assert_eq!(
            read.last(),
            Some(&AuthenticatorTransport::Other("carrier-pigeon".into()))
        );
        assert_eq!(serde_json::to_string(&read).unwrap(), names);
    }
}
