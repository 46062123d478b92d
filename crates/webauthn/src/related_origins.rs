//! WebAuthn L3 §5.11 related origin requests: the document at `/.well-known/webauthn` of an RP ID, in
//! which a site names its other sites that may use the RP ID.
//!
//! ```
//! use webauthn::related_origins::RelatedOrigins;
//! let document = br#"{"origins": ["https://example.co.uk", "https://example.de"]}"#;
//! let related = RelatedOrigins::parse(document).unwrap();
//! assert!(related.allows(&"https://example.de".parse().unwrap()));
//! assert!(!related.allows(&"https://login.example.de".parse().unwrap()));
//! ```

use serde::Deserialize;
use url::Url;

use crate::origin::Origin;

/// The path of the document.
pub const PATH: &str = "/.well-known/webauthn";

/// The media type that the document must have.
pub const CONTENT_TYPE: &str = "application/json";

/// How many different names every client counts at least, and most clients no more.
pub const MOST_LABELS: usize = 5;

/// A larger document is not read.
const MOST_BYTES: usize = 256 * 1024;

/// A document that is not as the text has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelatedOriginsError {
    /// Unreasonably large.
    #[error("the document has {0} bytes")]
    TooLarge(usize),
    /// Not a JSON object with a list of strings `origins`.
    #[error("the document is no object with a list of strings `origins`: {0}")]
    Json(String),
}

/// Why a line of the document does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Not a URL with a domain that somebody can register.
    #[error("it has no domain that can be registered")]
    NoLabel,
    /// One name too many.
    #[error("it has another name than the first five, and clients look at no more")]
    TooManyLabels,
    /// The page is not one that may use WebAuthn.
    #[error("it is not a secure origin")]
    NotSecure,
}

/// The document, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedOrigins {
    lines: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    origins: Vec<String>,
}

impl RelatedOrigins {
    /// Reads the document. Members that are not known are ignored.
    ///
    /// # Errors
    /// [`RelatedOriginsError`]
    pub fn parse(document: &[u8]) -> Result<Self, RelatedOriginsError> {
        if document.len() > MOST_BYTES {
            return Err(RelatedOriginsError::TooLarge(document.len()));
        }
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| RelatedOriginsError::Json(error.to_string()))?;
        Ok(Self {
            lines: document.origins,
        })
    }

    /// The document for these origins, in this order: what to serve.
    pub fn document<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> String {
        let origins: Vec<String> = origins.into_iter().map(Origin::to_string).collect();
        serde_json::json!({ "origins": origins }).to_string()
    }

    /// Whether a page of this origin may use the RP ID: "related origins validation procedure" as a
    /// client runs it.
    pub fn allows(&self, caller: &Origin) -> bool {
        let Ok(caller) = Url::parse(&caller.to_string()) else {
            return false;
        };
        self.looked_at()
            .any(|line| line.is_ok_and(|url| url.origin() == caller.origin()))
    }

    /// The lines that do nothing, with their numbers from 0, and why.
    pub fn faults(&self) -> Vec<(usize, LineFault)> {
        self.looked_at()
            .enumerate()
            .filter_map(|(number, line)| match line {
                Err(fault) => Some((number, fault)),
                Ok(url) => Origin::parse(&url.origin().ascii_serialization())
                    .is_ok_and(|origin| !origin.is_potentially_trustworthy())
                    .then_some((number, LineFault::NotSecure)),
            })
            .collect()
    }

    /// Each line as a client looks at it, in order: names beyond the first five are passed over.
    fn looked_at(&self) -> impl Iterator<Item = Result<Url, LineFault>> {
        let mut labels: Vec<String> = Vec::new();
        self.lines.iter().map(move |line| {
            let url = Url::parse(line).map_err(|_| LineFault::NoLabel)?;
            let label = label(&url).ok_or(LineFault::NoLabel)?;
            if !labels.contains(&label) {
                if labels.len() >= MOST_LABELS {
                    return Err(LineFault::TooManyLabels);
                }
                labels.push(label);
            }
            Ok(url)
        })
    }
}

/// §5.11.1 "registrable origin label": `example` of `www.example.co.uk`.
fn label(url: &Url) -> Option<String> {
    let domain = psl::domain_str(url.domain()?)?;
    let label = domain.split('.').next()?;
    (!label.is_empty()).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn related(origins: &[&str]) -> RelatedOrigins {
        let text = serde_json::json!({ "origins": origins, "more": 1 }).to_string();
        RelatedOrigins::parse(text.as_bytes()).unwrap()
    }

    fn allows(origins: &[&str], caller: &str) -> bool {
        related(origins).allows(&caller.parse().unwrap())
    }

    #[test]
    fn only_the_same_origin_is_allowed() {
        let listed = [
            "https://example.co.uk",
            "https://example.de:8443/path?query",
        ];
        assert!(allows(&listed, "https://example.co.uk"));
        assert!(allows(&listed, "https://example.co.uk:443"));
        assert!(allows(&listed, "https://example.de:8443"));
        for other in [
            "https://example.de",
            "http://example.co.uk",
            "https://www.example.co.uk",
            "https://example.com",
            "android:apk-key-hash:AAAA",
        ] {
            assert!(!allows(&listed, other), "{other}");
        }
    }

    #[test]
    fn the_sixth_name_is_not_looked_at() {
        let names: Vec<String> = (1..=6)
            .map(|i| format!("https://site{i}.example"))
            .collect();
        let mut listed: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(allows(&listed, "https://site5.example"));
        assert!(!allows(&listed, "https://site6.example"));
        // A name that was there before counts under every suffix.
        listed.push("https://www.site1.co.uk");
        assert!(allows(&listed, "https://www.site1.co.uk"));
        assert_eq!(related(&listed).faults(), [(5, LineFault::TooManyLabels)]);
    }

    #[test]
    fn lines_without_a_name_do_nothing_and_take_no_place() {
        let listed = [
            "",
            "example.org",
            "https://127.0.0.1",
            "https://co.uk",
            "https://localhost",
            "data:,x",
            "https://a.example",
            "https://b.example",
            "https://c.example",
            "https://d.example",
            "http://e.example",
        ];
        let related = related(&listed);
        assert!(related.allows(&"https://d.example".parse().unwrap()));
        for listed in ["https://co.uk", "https://localhost", "https://127.0.0.1"] {
            assert!(!related.allows(&listed.parse().unwrap()), "{listed}");
        }
        let mut expected: Vec<_> = (0..6).map(|i| (i, LineFault::NoLabel)).collect();
        expected.push((10, LineFault::NotSecure));
        assert_eq!(related.faults(), expected);
    }

    #[test]
    fn a_document_of_another_shape_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"origins":"https://a.example"}"#,
            r#"{"origins":[1]}"#,
        ] {
            assert!(RelatedOrigins::parse(text.as_bytes()).is_err(), "{text}");
        }
        let large = vec![b' '; MOST_BYTES + 1];
        assert_eq!(
            RelatedOrigins::parse(&large),
            Err(RelatedOriginsError::TooLarge(large.len()))
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let origins = [
            "https://a.example".parse().unwrap(),
            "https://b.example".parse().unwrap(),
        ];
        let text = RelatedOrigins::document(&origins);
        assert_eq!(
            text,
            r#"{"origins":["https://a.example","https://b.example"]}"#
        );
        let read = RelatedOrigins::parse(text.as_bytes()).unwrap();
        assert!(origins.iter().all(|origin| read.allows(origin)));
    }
}
