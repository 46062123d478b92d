//! Why a PIN was or was not asked, for a ceremony in the visitor's own browser. The page sees the
//! flags of the answer and nothing else, so most of this says what can and what cannot be known.

use serde_json::{Value, json};

/// The chain of reasons for a ceremony, in the shape of a simulated client's report.
pub(crate) fn of_browser(ceremony: &Value) -> Value {
    let requirement = requirement(&ceremony["options"]);
    let mut reasons = vec![asked(requirement)];
    match ceremony["verdict"]["decoded"]["flags"]["userVerified"].as_bool() {
        Some(verified) => {
            reasons.push(flag(verified));
            reasons.push(how(verified, requirement));
        }
        None if ceremony["outcome"] == "failed" => reasons.push(no_answer(&ceremony["verdict"])),
        None => {}
    }
    json!(reasons)
}

/// The `userVerification` that was sent, whichever ceremony it was.
fn requirement(options: &Value) -> &str {
    options["userVerification"]
        .as_str()
        .or_else(|| options["authenticatorSelection"]["userVerification"].as_str())
        .unwrap_or("preferred")
}

fn reason(who: &str, fact: impl Into<String>, reference: &str, certainty: &str) -> Value {
    json!({
        "who": who,
        "fact": fact.into(),
        "reference": reference,
        "certainty": certainty,
    })
}

fn asked(requirement: &str) -> Value {
    let meaning = match requirement {
        "required" => "the answer must prove that the person was verified",
        "discouraged" => "the site does not want the person to be verified",
        _ => "verify the person if the key can do it",
    };
    reason(
        "site",
        format!("The site sent userVerification \u{201c}{requirement}\u{201d}: {meaning}."),
        "WebAuthn L3 \u{a7}5.8.6 userVerification",
        "specification",
    )
}

fn flag(verified: bool) -> Value {
    let fact = if verified {
        "The UV flag is set: the authenticator verified the person, by PIN, fingerprint or face. Which \
         of them is not part of the answer."
    } else {
        "The UV flag is not set: nobody was verified. A touch was enough."
    };
    reason("key", fact, "WebAuthn L3 \u{a7}6.1 flags", "measured")
}

/// What remains open, because a page is not told.
fn how(verified: bool, requirement: &str) -> Value {
    let fact = match (verified, requirement) {
        (true, "discouraged") => {
            "It was verified although the site did not want it: either the key insists (alwaysUv, or a \
             PIN without makeCredUvNotRqd), or the platform asks on its own, or it is a platform \
             authenticator that always does. A page cannot see which."
        }
        (true, _) => {
            "Whether the PIN existed before or had to be created in the middle of this, a page cannot \
             see: the answers are the same. On Windows 11 from KB5068861 on, a key without a PIN \
             gets one here."
        }
        (false, "required") => {
            "The site required verification, so this answer must not be accepted. Some clients send \
             it nevertheless for keys without a PIN."
        }
        (false, "preferred") => {
            "Probably the key has no PIN, and this browser and system go on without. A page is not \
             told whether a PIN is set."
        }
        (false, _) => {
            "Whether the key has a PIN cannot be seen: the site did not want it to be used."
        }
    };
    reason(
        "platform",
        fact,
        "WebAuthn L3 \u{a7}14.5 privacy considerations for clients",
        "unknown",
    )
}

fn no_answer(verdict: &Value) -> Value {
    let fact = match verdict["code"].as_str() {
        Some("NotAllowedError") => {
            "The browser answered NotAllowedError. It says so for a cancelled dialog, a time-out, a \
             missing key and a key that cannot be used alike, on purpose: the page shall not learn \
             which."
        }
        Some("InvalidStateError") => "The key is registered with this account already.",
        Some("SecurityError") => "The browser does not let this page use this RP ID.",
        _ => "The browser gave an error instead of a credential.",
    };
    reason(
        "platform",
        fact,
        "WebAuthn L3 \u{a7}14.5 privacy considerations for clients",
        "specification",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn explained(requirement: &str, verified: bool) -> Vec<Value> {
        let ceremony = json!({
            "outcome": "accepted",
            "options": { "userVerification": requirement },
            "verdict": { "decoded": { "flags": { "userVerified": verified } } },
        });
        of_browser(&ceremony).as_array().unwrap().clone()
    }

    #[test]
    fn what_a_page_cannot_know_is_marked_unknown() {
        for requirement in ["required", "preferred", "discouraged"] {
            for verified in [false, true] {
                let reasons = explained(requirement, verified);
                assert_eq!(reasons.len(), 3);
                assert_eq!(reasons[2]["certainty"], "unknown");
                assert!(reasons[0]["fact"].as_str().unwrap().contains(requirement));
            }
        }
    }

    #[test]
    fn creation_options_are_read_too() {
        let options = json!({ "authenticatorSelection": { "userVerification": "required" } });
        assert_eq!(requirement(&options), "required");
        assert_eq!(requirement(&json!({})), "preferred");
    }
}
