//! What the relying party looked at, in words: the checks of WebAuthn L3 §7.1 and §7.2 in the order
//! in which `rp` makes them, so that a page can show how far an answer came.

use rp::Refusal;
use serde::Serialize;

use crate::store::Ceremony;

/// One line of the list.
struct Check {
    /// What is checked.
    label: &'static str,
    /// The refusals that come out of it.
    codes: &'static [&'static str],
    /// Whether the check belongs to one ceremony only.
    only: Option<Ceremony>,
}

macro_rules! checks {
    ($($only:expr, $label:literal: $($code:literal)+;)+) => {
        &[$(Check { label: $label, codes: &[$($code),+], only: $only }),+]
    };
}

const CREATE: Option<Ceremony> = Some(Ceremony::Registration);
const GET: Option<Ceremony> = Some(Ceremony::Authentication);

static CHECKS: &[Check] = checks! {
    None, "the answer is in time and well formed": "expired" "credential-type" "credential-id-text";
    GET, "the credential is known here and belongs to the account":
        "credential-not-allowed" "unknown-credential" "record-of-other-credential"
        "record-of-other-user" "record-of-other-rp" "user-handle-missing" "user-handle";
    None, "it answers this very challenge": "client-data" "client-data-type" "challenge";
    None, "it was made on this site's page": "origin" "cross-origin" "top-origin";
    CREATE, "the attestation object can be read": "attestation-object";
    None, "the authenticator data can be read": "authenticator-data" "no-credential" "credential-id";
    None, "the credential is scoped to this site (RP ID hash)": "rp-id-hash";
    None, "the user was present (UP)": "user-presence";
    None, "user verification (UV) satisfies the policy": "user-verification";
    None, "the backup flags (BE, BS) make sense":
        "backup-state" "backup-eligibility" "backup-eligibility-changed";
    CREATE, "the public key is sound and of an algorithm that was offered":
        "public-key" "algorithm" "invalid-public-key";
    CREATE, "the attestation statement is correct":
        "attestation-format" "attestation-format-retired" "attestation" "attestation-trust"
        "model";
    CREATE, "the credential ID is new": "credential-id-too-long" "credential-id-taken";
    GET, "the signature is valid under the registered key": "public-key" "signature";
    GET, "the signature counter rose": "sign-count";
    None, "extensions are as asked":
        "unsolicited-extension" "extension-output" "extension-mismatch" "credential-protection" "min-pin-length";
};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Result {
    /// Passed.
    Passed,
    /// Refused here.
    Failed,
    /// Not looked at, because an earlier check failed.
    Skipped,
}

/// A line for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    label: &'static str,
    result: Result,
}

/// The list for a ceremony that ended with `refusal`, or was accepted.
pub(crate) fn list(ceremony: Ceremony, refusal: Option<&Refusal>) -> Vec<Line> {
    let code = refusal.map(Refusal::code);
    let mut failed = false;
    CHECKS
        .iter()
        .filter(|check| check.only.is_none_or(|only| only == ceremony))
        .map(|check| {
            let here = !failed && code.is_some_and(|code| check.codes.contains(&code));
            let result = match (failed, here) {
                (true, _) => Result::Skipped,
                (false, true) => Result::Failed,
                (false, false) => Result::Passed,
            };
            failed |= here;
            Line {
                label: check.label,
                result,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_refusal_of_the_relying_party_has_its_line() {
        for code in Refusal::CODES {
            assert!(
                CHECKS.iter().any(|check| check.codes.contains(code)),
                "no line for {code}"
            );
        }
    }

    #[test]
    fn what_comes_after_a_refusal_was_not_looked_at() {
        let refusal = Refusal::Challenge {
            expected: vec![1].into(),
            found: String::new(),
        };
        let lines = list(Ceremony::Authentication, Some(&refusal));
        let results: Vec<_> = lines.iter().map(|line| line.result).collect();
        let failed = results.iter().position(|r| *r == Result::Failed).unwrap();
        assert_eq!(failed, 2);
        assert!(results[..failed].iter().all(|r| *r == Result::Passed));
        assert!(results[failed + 1..].iter().all(|r| *r == Result::Skipped));
    }

    #[test]
    fn an_accepted_answer_passed_everything() {
        let lines = list(Ceremony::Registration, None);
        assert!(lines.iter().all(|line| line.result == Result::Passed));
        assert!(lines.len() > 10);
    }
}
