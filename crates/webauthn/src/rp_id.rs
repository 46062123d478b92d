//! WebAuthn L3 §4 "RP ID" and HTML "is a registrable domain suffix of or is equal to": which RP IDs
//! a page may claim.

use crate::origin::{Origin, is_ip_address};

/// Why a page may not claim an RP ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpIdError {
    /// Not a domain in its ASCII form: empty, an address, with scheme, port, path or capitals.
    #[error("`{0}` is not a domain name in its plain form, so it is no RP ID")]
    NotADomain(String),
    /// The page is neither `https` nor of this machine.
    #[error("{0} is not a secure origin")]
    NotSecure(Origin),
    /// The page's host is an address, or the origin is an app's.
    #[error("{0} has no domain, so no RP ID belongs to it")]
    NoEffectiveDomain(Origin),
    /// The page is not at or below the RP ID.
    #[error("{origin} is not at or below `{rp_id}`")]
    NotASuffix {
        /// The claimed RP ID.
        rp_id: String,
        /// The page.
        origin: Origin,
    },
    /// Everybody registers names below this one (`com`, `co.uk`, `github.io`).
    #[error("`{0}` is a public suffix")]
    PublicSuffix(String),
}

/// Whether text has the form of an RP ID: a domain in lower case, ASCII.
///
/// # Errors
/// [`RpIdError::NotADomain`]
pub fn check(rp_id: &str) -> Result<(), RpIdError> {
    let plain = matches!(url::Host::parse(rp_id), Ok(url::Host::Domain(domain)) if domain == rp_id);
    if plain && !is_ip_address(rp_id) {
        Ok(())
    } else {
        Err(RpIdError::NotADomain(rp_id.to_owned()))
    }
}

/// Whether a page of `origin` may claim `rp_id`: the origin is secure, and `rp_id` is its effective
/// domain or a registrable suffix of it.
///
/// ```
/// use webauthn::{origin::Origin, rp_id};
/// let page: Origin = "https://login.example.co.uk".parse().unwrap();
/// assert!(rp_id::validate("login.example.co.uk", &page).is_ok());
/// assert!(rp_id::validate("example.co.uk", &page).is_ok());
/// assert!(rp_id::validate("co.uk", &page).is_err());
/// assert!(rp_id::validate("other.example.co.uk", &page).is_err());
/// ```
///
/// # Errors
/// [`RpIdError`], in the order of its variants.
pub fn validate(rp_id: &str, origin: &Origin) -> Result<(), RpIdError> {
    check(rp_id)?;
    if !origin.is_potentially_trustworthy() {
        return Err(RpIdError::NotSecure(origin.clone()));
    }
    let domain = origin
        .effective_domain()
        .ok_or_else(|| RpIdError::NoEffectiveDomain(origin.clone()))?;
    if domain == rp_id {
        return Ok(());
    }
    if !is_below(domain, rp_id) {
        return Err(RpIdError::NotASuffix {
            rp_id: rp_id.to_owned(),
            origin: origin.clone(),
        });
    }
    // The suffix itself, or a part of the host's own public suffix, belongs to nobody.
    let is_suffix_of_suffix =
        psl::suffix_str(domain).is_some_and(|suffix| suffix == rp_id || is_below(suffix, rp_id));
    if psl::suffix_str(rp_id).is_none_or(|suffix| suffix == rp_id) || is_suffix_of_suffix {
        return Err(RpIdError::PublicSuffix(rp_id.to_owned()));
    }
    Ok(())
}

/// Whether `name` ends in `.` and `parent`.
fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .is_some_and(|head| head.ends_with('.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_page_may_claim_its_domain_and_its_registrable_parents() {
        for (rp_id, page) in [
            ("example.org", "https://example.org"),
            ("example.org", "https://a.b.example.org:8443"),
            ("b.example.org", "https://a.b.example.org"),
            ("localhost", "http://localhost:8080"),
            ("kim.github.io", "https://kim.github.io"),
            ("kim.github.io", "https://a.kim.github.io"),
            ("example.unknown-tld", "https://a.example.unknown-tld"),
            // Equal is enough, even for a public suffix.
            ("github.io", "https://github.io"),
            ("xn--bcher-kva.example", "https://www.b\u{fc}cher.example"),
        ] {
            assert_eq!(
                validate(rp_id, &page.parse().unwrap()),
                Ok(()),
                "{rp_id} {page}"
            );
        }
    }

    #[test]
    fn a_public_suffix_belongs_to_nobody() {
        for (rp_id, page) in [
            ("org", "https://example.org"),
            ("co.uk", "https://example.co.uk"),
            ("uk", "https://example.co.uk"),
            ("github.io", "https://kim.github.io"),
            ("io", "https://kim.github.io"),
            ("unknown-tld", "https://example.unknown-tld"),
            ("localhost", "http://a.localhost"),
        ] {
            let result = validate(rp_id, &page.parse().unwrap());
            assert_eq!(
                result,
                Err(RpIdError::PublicSuffix(rp_id.to_owned())),
                "{rp_id} {page}"
            );
        }
    }

    #[test]
    fn a_page_may_not_claim_what_is_beside_or_below_it() {
        for (rp_id, page) in [
            ("a.example.org", "https://example.org"),
            ("a.example.org", "https://b.example.org"),
            ("example.org", "https://notexample.org"),
            ("example.com", "https://example.org"),
            ("example.org", "https://example.org."),
        ] {
            let result = validate(rp_id, &page.parse().unwrap());
            assert!(
                matches!(result, Err(RpIdError::NotASuffix { .. })),
                "{rp_id} {page} {result:?}"
            );
        }
    }

    #[test]
    fn insecure_pages_and_addresses_have_no_rp_id() {
        let check = |page: &str| validate("example.org", &page.parse().unwrap());
        assert!(matches!(
            check("http://example.org"),
            Err(RpIdError::NotSecure(_))
        ));
        assert!(matches!(
            check("https://127.0.0.1"),
            Err(RpIdError::NoEffectiveDomain(_))
        ));
        assert!(matches!(
            check("android:apk-key-hash:AAAA"),
            Err(RpIdError::NoEffectiveDomain(_))
        ));
    }

    #[test]
    fn an_rp_id_is_a_plain_domain() {
        for text in [
            "",
            "Example.org",
            "https://example.org",
            "example.org:443",
            "example.org/",
            "127.0.0.1",
            "[::1]",
            "::1",
            "ex ample",
            "b\u{fc}cher.example",
            "0x7f.1",
        ] {
            assert_eq!(
                check(text),
                Err(RpIdError::NotADomain(text.to_owned())),
                "{text}"
            );
        }
    }
}
