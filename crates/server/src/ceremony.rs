//! What both ceremonies have in common: what the visitor asks for, taking the challenge, and what
//! is written down at the end.

use rp::Refusal;
use rp::policy::UserVerificationPolicy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use crate::checks;
use crate::decoded::Decoded;
use crate::problem::{
    CHALLENGE_EXPIRED, CHALLENGE_UNKNOWN, CHALLENGE_USED, Problem, UNKNOWN_CHOICE,
};
use crate::store::{Ceremony, Line, NewCeremony, Outcome, TakeError, Way, unix_now};
use crate::visitor::Visitor;
use crate::{App, Base};

/// What a visitor chooses before a ceremony. There is no default for the policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Request {
    /// The account.
    pub(crate) user_name: String,
    /// When the PIN (or another verification) is demanded.
    pub(crate) policy: UserVerificationPolicy,
    /// Registration: make a discoverable credential. Authentication: do not name the account.
    pub(crate) discoverable: bool,
    /// Who will answer.
    pub(crate) way: Way,
}

impl Request {
    /// The account name, if it is one: 1 to 64 characters without control characters.
    pub(crate) fn user_name(&self) -> Result<&str, Problem> {
        user_name(&self.user_name)
    }
}

/// The options for the client, and the name of the ceremony that the answer must carry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Begun<O> {
    /// Hexadecimal.
    pub(crate) ceremony: String,
    /// For `PublicKeyCredential.parse...OptionsFromJSON`.
    pub(crate) public_key: O,
}

impl<O> Begun<O> {
    pub(crate) fn new(id: CeremonyId, options: O) -> Self {
        Self {
            ceremony: id.to_string(),
            public_key: options,
        }
    }
}

/// The answer to a challenge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer<C> {
    /// From [`Begun`].
    pub(crate) ceremony: CeremonyId,
    /// What `credential.toJSON()` gave.
    pub(crate) credential: C,
}

/// 16 random bytes, in JSON and paths as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CeremonyId(pub(crate) [u8; 16]);

impl CeremonyId {
    fn random() -> Result<Self, Problem> {
        crate::random().map(Self)
    }

    /// Reads the bytes of a stored identifier.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for CeremonyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::hex(&self.0))
    }
}

impl std::str::FromStr for CeremonyId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a ceremony is named by 32 hexadecimal digits";
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).map_err(|_| WRONG)?;
        if digits {
            Ok(Self(number.to_be_bytes()))
        } else {
            Err(WRONG)
        }
    }
}

impl<'de> Deserialize<'de> for CeremonyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a site's account: as [`Request::user_name`] wants it, and in the one form that stands
/// for all spellings that people take for the same (compatibility forms, upper and lower case).
pub(crate) fn account_name(name: &str) -> Result<String, Problem> {
    let folded: String = name
        .trim()
        .nfkc()
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect();
    user_name(&folded).map(str::to_owned)
}

/// 1 to 64 characters without control characters.
fn user_name(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    let length = name.chars().count();
    if (1..=64).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    Err(Problem::new(
        &UNKNOWN_CHOICE,
        "A user name has 1 to 64 characters.",
    ))
}

/// Milliseconds that a client is given: the life of the challenge.
pub(crate) fn timeout(base: &Base) -> u32 {
    u32::try_from(base.limits.challenge_lifetime.as_millis()).unwrap_or(u32::MAX)
}

/// Stores the challenge with its policy and opens the line in the log.
pub(crate) async fn open<O: Serialize>(
    app: &App,
    visitor: Visitor,
    ceremony: Ceremony,
    request: &Request,
    state: &impl Serialize,
    options: O,
) -> Result<Begun<O>, Problem> {
    let line = Line {
        way: request.way,
        request: &text(request)?,
        options: &text(&options)?,
    };
    let id = store(app, visitor, ceremony, state, Some(line)).await?;
    Ok(Begun::new(id, options))
}

/// Stores the challenge with its policy.
pub(crate) async fn store(
    base: &Base,
    visitor: Visitor,
    ceremony: Ceremony,
    state: &impl Serialize,
    line: Option<Line<'_>>,
) -> Result<CeremonyId, Problem> {
    let id = CeremonyId::random()?;
    let new = NewCeremony {
        id: &id.0,
        visitor,
        ceremony,
        state: &text(state)?,
        line,
        now: unix_now(),
    };
    base.store.open_ceremony(&new, &base.limits).await?;
    Ok(id)
}

/// JSON for the store.
pub(crate) fn text(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| Problem::internal("serialisation", &error))
}

/// Takes the challenge, for good.
pub(crate) async fn take<S: serde::de::DeserializeOwned>(
    base: &Base,
    visitor: Visitor,
    ceremony: Ceremony,
    id: CeremonyId,
) -> Result<S, Problem> {
    let state = base
        .store
        .take_challenge(&id.0, visitor, ceremony, unix_now())
        .await
        .map_err(|error| match error {
            TakeError::Unknown => Problem::new(
                &CHALLENGE_UNKNOWN,
                "This session has no such challenge open. Ask for new options.",
            ),
            TakeError::Used => Problem::new(
                &CHALLENGE_USED,
                "A challenge can be answered once. Ask for new options.",
            ),
            TakeError::Expired => Problem::new(
                &CHALLENGE_EXPIRED,
                "The answer came too late. Ask for new options.",
            ),
            TakeError::Store(problem) => problem,
        })?;
    serde_json::from_str(&state).map_err(|error| Problem::internal("stored challenge", &error))
}

/// What the relying party concluded, as the log keeps it.
pub(crate) fn verdict(
    ceremony: Ceremony,
    result: Result<Value, &Refusal>,
    decoded: &Decoded,
) -> Value {
    let checks = checks::list(ceremony, result.as_ref().err().copied());
    match result {
        Ok(verdict) => json!({
            "accepted": true,
            "help": verdict["help"],
            "verdict": verdict,
            "checks": checks,
            "decoded": decoded,
        }),
        Err(refusal) => json!({
            "accepted": false,
            "code": refusal.code(),
            "detail": sentence(&refusal.to_string()),
            "help": refusal.help(),
            "checks": checks,
            "decoded": decoded,
        }),
    }
}

/// Writes a refusal down and turns it into the problem that the client gets.
pub(crate) async fn refuse(
    app: &App,
    visitor: Visitor,
    ceremony: Ceremony,
    id: CeremonyId,
    refusal: &Refusal,
    decoded: &Decoded,
) -> Problem {
    let verdict = verdict(ceremony, Err(refusal), decoded);
    match finish(app, visitor, id, Outcome::Refused, &verdict).await {
        Ok(()) => Problem::refused(refusal.code(), sentence(&refusal.to_string())),
        Err(problem) => problem,
    }
}

/// Writes the end of a ceremony down.
pub(crate) async fn finish(
    app: &App,
    visitor: Visitor,
    id: CeremonyId,
    outcome: Outcome,
    verdict: &Value,
) -> Result<(), Problem> {
    app.store
        .finish_ceremony(&id.0, visitor, outcome, &verdict.to_string(), unix_now())
        .await
}

/// Capital letter and full stop: error texts are written without.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn identifiers_are_exactly_32_digits() {
        let id = CeremonyId([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "+0707070707070707070707070707070",
            &"0".repeat(31),
            &"0".repeat(33),
            &"g".repeat(32),
        ] {
            assert!(wrong.parse::<CeremonyId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_policy_cannot_be_left_out() {
        let text = r#"{"userName":"kim","discoverable":true,"way":"browser"}"#;
        let error = serde_json::from_str::<Request>(text).unwrap_err();
        assert!(error.to_string().contains("policy"));
    }

    #[test]
    fn one_account_has_one_name() {
        for name in ["Kim", " kim ", "KIM", "\u{ff2b}im"] {
            assert_eq!(account_name(name).unwrap(), "kim");
        }
        assert!(account_name("").is_err());
        // Longer in its plain form than in the form that was typed.
        assert!(account_name(&"\u{fdfa}".repeat(20)).is_err());
    }

    #[test]
    fn user_names_are_bounded() {
        let named = |name: &str| Request {
            user_name: name.to_owned(),
            policy: UserVerificationPolicy::IfSet,
            discoverable: false,
            way: Way::Browser,
        };
        assert_eq!(named("  kim ").user_name().unwrap(), "kim");
        for wrong in ["", "   ", "a\nb", &"x".repeat(65)] {
            assert!(named(wrong).user_name().is_err(), "{wrong:?}");
        }
        assert!(named(&"\u{1F511}".repeat(64)).user_name().is_ok());
    }
}
