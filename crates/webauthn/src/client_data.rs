//! WebAuthn L3 §5.8.1 client data: reading it, and §5.8.1.1 writing it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::base64url;

/// The `type` of a registration.
pub const TYPE_CREATE: &str = "webauthn.create";
/// The `type` of an authentication.
pub const TYPE_GET: &str = "webauthn.get";

/// Why bytes are not client data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the client data is not what a client collects: {0}")]
pub struct ClientDataError(String);

/// `CollectedClientData`, borrowed from its bytes where no escape stands in the way. Members that
/// the text does not define are ignored, as it demands.
///
/// ```
/// use webauthn::client_data::CollectedClientData;
/// let bytes = br#"{"type":"webauthn.get","challenge":"AAAA","origin":"https://example.org",
///     "crossOrigin":false,"more":"may come"}"#;
/// let data = CollectedClientData::parse(bytes).unwrap();
/// assert_eq!((data.origin.as_ref(), data.cross_origin), ("https://example.org", Some(false)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectedClientData<'a> {
    /// `webauthn.create` or `webauthn.get`.
    #[serde(rename = "type", borrow)]
    pub type_: Cow<'a, str>,
    /// The challenge, base64url.
    #[serde(borrow)]
    pub challenge: Cow<'a, str>,
    /// The caller's origin, as text.
    #[serde(borrow)]
    pub origin: Cow<'a, str>,
    /// Whether the caller was in a frame that is not same-origin with its ancestors.
    #[serde(default)]
    pub cross_origin: Option<bool>,
    /// The origin of the page at the top, if the caller was in such a frame.
    #[serde(default)]
    pub top_origin: Option<Cow<'a, str>>,
}

impl<'a> CollectedClientData<'a> {
    /// Reads client data. A leading byte order mark is stripped, as "UTF-8 decode" does; a member
    /// that occurs twice or has another type is an error.
    ///
    /// # Errors
    /// [`ClientDataError`] says what is wrong and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ClientDataError> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        // Derived readers take an array for a structure too; client data is an object.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(ClientDataError("not a JSON object".to_owned()));
        }
        serde_json::from_slice(text).map_err(|error| ClientDataError(error.to_string()))
    }
}

/// Writes client data in the order and form that limited verifiers count on.
///
/// ```
/// use webauthn::client_data::{TYPE_GET, serialize};
/// assert_eq!(
///     serialize(TYPE_GET, &[0, 1, 2], "https://example.org", false, None),
///     br#"{"type":"webauthn.get","challenge":"AAEC","origin":"https://example.org","crossOrigin":false}"#
/// );
/// ```
pub fn serialize(
    type_: &str,
    challenge: &[u8],
    origin: &str,
    cross_origin: bool,
    top_origin: Option<&str>,
) -> Vec<u8> {
    let mut result = String::with_capacity(128 + origin.len());
    result.push_str("{\"type\":");
    ccd_to_string(type_, &mut result);
    result.push_str(",\"challenge\":");
    ccd_to_string(&base64url::encode(challenge), &mut result);
    result.push_str(",\"origin\":");
    ccd_to_string(origin, &mut result);
    result.push_str(",\"crossOrigin\":");
    result.push_str(if cross_origin { "true" } else { "false" });
    if let Some(top_origin) = top_origin {
        result.push_str(",\"topOrigin\":");
        ccd_to_string(top_origin, &mut result);
    }
    result.push('}');
    result.into_bytes()
}

/// `CCDToString`: quotes, and escapes only what must be.
fn ccd_to_string(text: &str, encoded: &mut String) {
    encoded.push('"');
    for c in text.chars() {
        match c {
            '"' => encoded.push_str("\\\""),
            '\\' => encoded.push_str("\\\\"),
            '\0'..='\x1f' => encoded.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => encoded.push(c),
        }
    }
    encoded.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const PLAIN: &str =
        r#"{"type":"webauthn.get","challenge":"AAEC","origin":"https://example.org"}"#;

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let data = CollectedClientData::parse(PLAIN.as_bytes()).unwrap();
        assert!(matches!(data.type_, Cow::Borrowed(TYPE_GET)));
        assert!(matches!(data.challenge, Cow::Borrowed("AAEC")));
        assert!(matches!(data.origin, Cow::Borrowed("https://example.org")));
        assert_eq!((data.cross_origin, data.top_origin), (None, None));
    }

    #[test]
    fn escapes_order_and_a_byte_order_mark_do_not_matter() {
        let text = "\u{feff}\n{\"origin\":\"https:\\/\\/example.org\",\"challenge\":\"\\u0041AEC\",\"type\":\"webauthn.get\"}";
        assert_eq!(
            CollectedClientData::parse(text.as_bytes()),
            CollectedClientData::parse(PLAIN.as_bytes())
        );
    }

    #[test]
    fn what_is_not_client_data_is_refused() {
        for text in [
            "",
            "\u{feff}",
            "\u{feff}\u{feff}{}",
            "{}",
            "null",
            r#"["webauthn.get","AAEC","https://example.org",null,null]"#,
            r#"{"type":"webauthn.get","challenge":"AAEC","origin":null}"#,
            r#"{"type":"webauthn.get","challenge":"AAEC","origin":"a","origin":"b"}"#,
            r#"{"type":"webauthn.get","challenge":"AAEC","origin":"a","crossOrigin":"true"}"#,
            r#"{"type":"webauthn.get","challenge":"AAEC","origin":"a"} {}"#,
            r#"{"type":"webauthn.get","challenge":"AAEC","origin":"a""#,
        ] {
            assert!(
                CollectedClientData::parse(text.as_bytes()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let origin = "odd \"quoted\" \\ \u{1}\u{1f}\u{7f} \u{e9}\u{1f511}";
        let bytes = serialize(
            TYPE_CREATE,
            &[9; 32],
            origin,
            true,
            Some("https://top.example"),
        );
        let text = core::str::from_utf8(&bytes).unwrap();
        assert!(text.contains(r#"\"quoted\" \\ \u0001\u001f"#), "{text}");
        let data = CollectedClientData::parse(&bytes).unwrap();
        assert_eq!(data.origin, origin);
        assert_eq!(data.cross_origin, Some(true));
        assert_eq!(data.top_origin.as_deref(), Some("https://top.example"));
    }
}
