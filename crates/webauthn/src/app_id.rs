//! FIDO AppID and Facet Specification 1.2 §3.1, as far as WebAuthn L3 §10.1.1 and §10.1.2 still use it:
//! whether a page may use the AppID of credentials that were made by U2F.

use url::Url;

use crate::origin::Origin;

/// The AppID that a page may use when it names this one: the text itself, or the page's origin when the
/// text is empty (§3.1.2 steps 1 and 2). `None` when it may not.
///
/// Browsers do not fetch lists of facets. They allow an `https` AppID whose host has the same registrable
/// domain as the page, and so does this.
///
/// ```
/// use webauthn::app_id::authorize;
/// let page = "https://login.example.org".parse().unwrap();
/// assert_eq!(authorize("https://www.example.org/u2f.json", &page).as_deref(),
///     Some("https://www.example.org/u2f.json"));
/// assert_eq!(authorize("", &page).as_deref(), Some("https://login.example.org"));
/// assert_eq!(authorize("https://other.example/u2f.json", &page), None);
/// ```
pub fn authorize(app_id: &str, page: &Origin) -> Option<String> {
    let facet = page.to_string();
    if app_id.is_empty() || app_id == facet {
        return Some(facet);
    }
    let url = Url::parse(app_id).ok()?;
    if url.scheme() != "https" || !facet.starts_with("https:") {
        return None;
    }
    let host = url.domain()?;
    let mine = page.effective_domain()?;
    let site = |domain| psl::domain_str(domain);
    let same = host == mine || (site(host).is_some() && site(host) == site(mine));
    same.then(|| app_id.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allowed(app_id: &str, page: &str) -> bool {
        authorize(app_id, &page.parse().unwrap()).is_some()
    }

    #[test]
    fn an_app_id_of_the_same_site_may_be_used() {
        for (app_id, page) in [
            ("https://example.org", "https://example.org"),
            ("https://example.org/a", "https://b.example.org"),
            ("https://a.example.co.uk/x", "https://b.example.co.uk:8443"),
        ] {
            assert!(allowed(app_id, page), "{app_id} {page}");
        }
    }

    #[test]
    fn no_other_may() {
        for (app_id, page) in [
            ("https://example.com/a", "https://example.org"),
            ("http://example.org/a", "https://example.org"),
            ("https://a.github.io", "https://b.github.io"),
            ("https://co.uk", "https://a.co.uk"),
            ("https://192.0.2.1/a", "https://example.org"),
            ("https://example.org/a", "http://localhost"),
            ("android:apk-key-hash:abc", "https://example.org"),
            ("not a url", "https://example.org"),
        ] {
            assert!(!allowed(app_id, page), "{app_id} {page}");
        }
    }
}
