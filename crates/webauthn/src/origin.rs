//! Origins (HTML §7.1.1, RFC 6454) as WebAuthn L3 uses them: compared by scheme, host and port,
//! never as text.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// Why text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("`{0}` is not an origin: {1}")]
    NotAUrl(String, String),
    /// An opaque origin (`null`, `data:` ...), which equals no other.
    #[error("`{0}` is an opaque origin")]
    Opaque(String),
    /// A URL that has more than scheme, host and port.
    #[error("`{0}` has more than scheme, host and port")]
    MoreThanAnOrigin(String),
}

/// An origin: scheme, host and port of a web page, or the identity of a native app.
///
/// ```
/// use webauthn::origin::Origin;
/// let origin: Origin = "https://login.example.org".parse().unwrap();
/// assert_eq!(origin, "https://login.example.org:443".parse().unwrap());
/// assert_ne!(origin, "https://login.example.org:8443".parse().unwrap());
/// assert_ne!(origin, "http://login.example.org".parse().unwrap());
/// assert_eq!(origin.effective_domain(), Some("login.example.org"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// The port is absent where it is the scheme's own.
    Tuple {
        scheme: String,
        host: Host<String>,
        port: Option<u16>,
    },
    /// What Android puts into client data for an app; compared as a whole.
    App(String),
}

/// How an Android app's origin starts; the hash of its signing certificate follows.
const ANDROID: &str = "android:apk-key-hash:";

impl Origin {
    /// Reads an origin as browsers serialise it. A path, query, fragment or user name is refused.
    ///
    /// # Errors
    /// [`OriginError`]
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if let Some(hash) = text.strip_prefix(ANDROID) {
            let plain = !hash.is_empty()
                && hash
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b));
            return if plain {
                Ok(Self(Kind::App(text.to_owned())))
            } else {
                Err(OriginError::MoreThanAnOrigin(text.to_owned()))
            };
        }
        if text == "null" {
            return Err(OriginError::Opaque(text.to_owned()));
        }
        let url = Url::parse(text)
            .map_err(|error| OriginError::NotAUrl(text.to_owned(), error.to_string()))?;
        let Some(host) = url.host() else {
            return Err(OriginError::Opaque(text.to_owned()));
        };
        // The parser forgives much (back slashes, white space, a path of "/"): what remains must be
        // all there was.
        let authority = text
            .split_once("://")
            .map_or("", |(_, authority)| authority);
        let more = url.username() != ""
            || url.password().is_some()
            || authority.bytes().any(|b| b"/\\?#@ \t\r\n".contains(&b))
            || authority.is_empty()
            || text.trim() != text;
        if more {
            return Err(OriginError::MoreThanAnOrigin(text.to_owned()));
        }
        Ok(Self(Kind::Tuple {
            scheme: url.scheme().to_owned(),
            host: host.to_owned(),
            port: url.port(),
        }))
    }

    /// Whether `text` is this origin as browsers serialise it, without parsing or allocating. Where
    /// it is not, `text` may still be another way to write the same origin.
    pub fn is_serialized_as(&self, text: &str) -> bool {
        /// Takes what is written off the front of the rest.
        struct Rest<'a>(&'a str);
        impl fmt::Write for Rest<'_> {
            fn write_str(&mut self, part: &str) -> fmt::Result {
                self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        let mut rest = Rest(text);
        fmt::write(&mut rest, format_args!("{self}")).is_ok() && rest.0.is_empty()
    }

    /// The scheme; none for an app.
    pub fn scheme(&self) -> Option<&str> {
        match &self.0 {
            Kind::Tuple { scheme, .. } => Some(scheme),
            Kind::App(_) => None,
        }
    }

    /// The host as text; none for an app.
    pub fn host(&self) -> Option<String> {
        match &self.0 {
            Kind::Tuple { host, .. } => Some(host.to_string()),
            Kind::App(_) => None,
        }
    }

    /// The port, also where it is the scheme's own.
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            Kind::Tuple { scheme, port, .. } => port.or(match scheme.as_str() {
                "https" | "wss" => Some(443),
                "http" | "ws" => Some(80),
                _ => None,
            }),
            Kind::App(_) => None,
        }
    }

    /// The effective domain, if the host is a domain: WebAuthn works for no other.
    pub fn effective_domain(&self) -> Option<&str> {
        match &self.0 {
            Kind::Tuple {
                host: Host::Domain(domain),
                ..
            } => Some(domain),
            _ => None,
        }
    }

    /// Secure Contexts §3.1: whether pages of this origin may use WebAuthn. That is so for `https`,
    /// and for this machine itself over any scheme.
    pub fn is_potentially_trustworthy(&self) -> bool {
        match &self.0 {
            Kind::App(_) => true,
            Kind::Tuple { scheme, host, .. } => {
                matches!(scheme.as_str(), "https" | "wss")
                    || match host {
                        Host::Domain(domain) => is_localhost(domain),
                        Host::Ipv4(address) => address.is_loopback(),
                        Host::Ipv6(address) => *address == Ipv6Addr::LOCALHOST,
                    }
            }
        }
    }
}

/// `localhost` and the names below it (RFC 6761 §6.3).
fn is_localhost(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    domain == "localhost" || domain.ends_with(".localhost")
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tuple {
                scheme,
                host,
                port: None,
            } => write!(f, "{scheme}://{host}"),
            Kind::Tuple {
                scheme,
                host,
                port: Some(port),
            } => write!(f, "{scheme}://{host}:{port}"),
            Kind::App(text) => f.write_str(text),
        }
    }
}

impl core::str::FromStr for Origin {
    type Err = OriginError;
    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::parse(text)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether text is an IP address, which is never an RP ID.
pub(crate) fn is_ip_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    #[test]
    fn origins_are_compared_by_scheme_host_and_port() {
        assert_eq!(
            origin("https://EXAMPLE.org"),
            origin("https://example.org:443")
        );
        assert_eq!(
            origin("https://b\u{fc}cher.example"),
            origin("https://xn--bcher-kva.example")
        );
        for other in [
            "https://example.org:8443",
            "http://example.org",
            "https://www.example.org",
            "https://example.org.",
            "https://example.org.evil.example",
        ] {
            assert_ne!(origin("https://example.org"), origin(other), "{other}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "",
            "null",
            "example.org",
            "https://",
            "https:example.org",
            "https://example.org/",
            "https://example.org/x",
            "https://example.org?",
            "https://example.org#",
            "https://kim@example.org",
            "https://kim:pw@example.org",
            "https://@example.org",
            "https:\\\\example.org",
            "https://example.org\\",
            " https://example.org",
            "https://example.org ",
            "https://exam\tple.org",
            "https://exa mple.org",
            "data:text/plain,x",
            "file:///x",
            "https://example.org:99999",
            "android:apk-key-hash:",
            "android:apk-key-hash:a b",
            "javascript:alert(1)",
        ] {
            assert!(Origin::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn trust_is_https_or_this_machine() {
        for (text, trustworthy) in [
            ("https://example.org", true),
            ("http://example.org", false),
            ("http://localhost:8080", true),
            ("http://a.localhost", true),
            ("http://localhost.example", false),
            ("http://notlocalhost", false),
            ("http://127.0.0.1", true),
            ("http://127.1.2.3:80", true),
            ("http://[::1]:8080", true),
            ("http://10.0.0.1", false),
            ("android:apk-key-hash:AAAA", true),
        ] {
            assert_eq!(
                origin(text).is_potentially_trustworthy(),
                trustworthy,
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_have_no_effective_domain() {
        assert_eq!(origin("https://127.0.0.1").effective_domain(), None);
        assert_eq!(origin("https://[::1]").effective_domain(), None);
        assert_eq!(origin("android:apk-key-hash:AAAA").effective_domain(), None);
        assert_eq!(origin("https://example.org:8443").port(), Some(8443));
        assert_eq!(origin("http://localhost").port(), Some(80));
    }

    #[test]
    fn an_origin_is_serialised_as_browsers_do() {
        for text in [
            "https://example.org",
            "https://example.org:8443",
            "http://localhost:8080",
            "https://[::1]:1",
            "android:apk-key-hash:a-_Z",
        ] {
            assert_eq!(origin(text).to_string(), text);
            assert!(origin(text).is_serialized_as(text));
            assert!(!origin(text).is_serialized_as(&text[1..]));
            assert!(!origin(text).is_serialized_as(&text[..text.len() - 1]));
            assert!(!origin(text).is_serialized_as(&format!("{text}0")));
            let json = serde_json::to_string(&origin(text)).unwrap();
            assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), origin(text));
        }
        assert_eq!(
            origin("http://localhost:80").to_string(),
            "http://localhost"
        );
    }
}
