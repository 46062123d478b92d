//! The checks, one file for each section of the texts.

mod bio_enrollment;
mod cbor;
mod client_pin;
mod config;
mod credential_management;
mod extensions;
mod get_assertion;
mod get_info;
mod hid;
mod hmac_secret;
mod iso7816;
mod large_blobs;
mod make_credential;
mod members;
mod permissions;
mod persistent;
mod presence;
mod retries;
mod u2f;

use crate::check::Check;

const TABLES: &[&[Check]] = &[
    get_info::CHECKS,
    members::CHECKS,
    cbor::CHECKS,
    make_credential::CHECKS,
    get_assertion::CHECKS,
    presence::CHECKS,
    client_pin::CHECKS,
    retries::CHECKS,
    permissions::CHECKS,
    persistent::CHECKS,
    config::CHECKS,
    credential_management::CHECKS,
    bio_enrollment::CHECKS,
    large_blobs::CHECKS,
    extensions::CHECKS,
    hmac_secret::CHECKS,
    u2f::CHECKS,
    hid::CHECKS,
    iso7816::CHECKS,
];

/// All checks, in the order of the texts.
pub fn all() -> impl Iterator<Item = &'static Check> {
    TABLES.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::all;

    #[test]
    fn names_are_unique_and_sections_are_named() {
        let mut ids = HashSet::new();
        for check in all() {
            assert!(ids.insert(check.id), "{} twice", check.id);
            assert!(
                check.section.contains('§') || check.section.contains("U2F"),
                "{}",
                check.id
            );
            assert!(check.title.split(' ').count() >= 3, "{}", check.id);
        }
        assert!(ids.len() >= 350, "{} checks", ids.len());
    }
}
