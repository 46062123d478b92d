//! Who the Relying Party is: its RP ID and the origins its pages have.

use serde::{Deserialize, Serialize};
use webauthn::origin::Origin;
use webauthn::related_origins::RelatedOrigins;
use webauthn::rp_id::{self, RpIdError};

/// In which frames of other sites the Relying Party's pages may run a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Embedding {
    /// In none: `crossOrigin` and `topOrigin` are refused.
    #[default]
    Never,
    /// In pages of these origins. (Older clients do not tell `topOrigin`; only `frame-ancestors` of
    /// the page itself keeps others out there.)
    Within(Vec<Origin>),
    /// In any.
    Anywhere,
}

/// A Relying Party.
///
/// ```
/// use rp::RelyingParty;
/// let rp = RelyingParty::new("example.org", "Example", ["https://login.example.org".parse().unwrap()]).unwrap();
/// // A page elsewhere could never use this RP ID, so it is a mistake:
/// RelyingParty::new("example.org", "Example", ["https://example.com".parse().unwrap()]).unwrap_err();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<Origin>,
    #[serde(default)]
    embedding: Embedding,
}

impl RelyingParty {
    /// A Relying Party whose pages have these origins. Each must be at or below the RP ID; an app's
    /// origin need not.
    ///
    /// # Errors
    /// [`RpIdError`] of the first origin that may not use the RP ID.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        origins: impl IntoIterator<Item = Origin>,
    ) -> Result<Self, RpIdError> {
        let (id, origins) = (id.into(), Vec::from_iter(origins));
        rp_id::check(&id)?;
        for origin in origins.iter().filter(|origin| origin.scheme().is_some()) {
            rp_id::validate(&id, origin)?;
        }
        Ok(Self {
            id,
            name: name.into(),
            origins,
            embedding: Embedding::Never,
        })
    }

    /// Adds origins that may use the RP ID by §5.11 related origin requests: they are listed in the
    /// RP ID's `/.well-known/webauthn`; see [`unlisted_origins`](Self::unlisted_origins).
    #[must_use]
    pub fn with_related_origins(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.origins.extend(origins);
        self
    }

    /// The origins that need to be in the document at `/.well-known/webauthn`, because they are not at
    /// or below the RP ID: what to serve there is
    /// [`RelatedOrigins::document`] of them.
    pub fn related_origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter().filter(|origin| {
            origin.scheme().is_some() && rp_id::validate(&self.id, origin).is_err()
        })
    }

    /// The related origins that the document as it is served does not allow: pages there would fail
    /// with a `SecurityError`.
    ///
    /// ```
    /// use rp::{RelatedOrigins, RelyingParty};
    /// let rp = RelyingParty::new("example.com", "Example", ["https://example.com".parse()?])?
    ///     .with_related_origins(["https://example.de".parse()?, "https://example.fr".parse()?]);
    /// let served = RelatedOrigins::parse(br#"{"origins": ["https://example.de"]}"#)?;
    /// let unlisted = rp.unlisted_origins(&served);
    /// assert_eq!(unlisted, [&"https://example.fr".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlisted_origins(&self, document: &RelatedOrigins) -> Vec<&Origin> {
        self.related_origins()
            .filter(|origin| !document.allows(origin))
            .collect()
    }

    /// Allows ceremonies in frames.
    #[must_use]
    pub fn with_embedding(mut self, embedding: Embedding) -> Self {
        self.embedding = embedding;
        self
    }

    /// The RP ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The accepted origins.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// In which frames its pages may run.
    pub fn embedding(&self) -> &Embedding {
        &self.embedding
    }
}
