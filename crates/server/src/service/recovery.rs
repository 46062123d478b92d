//! Recovery codes: for somebody whose keys are all lost. Each is good once, and only its hash is
//! kept; with 100 random bits a plain hash is enough.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::session::{Beginning, Strength, may_change, own_records};
use crate::body::SecretJson;
use crate::ceremony;
use crate::problem::{Problem, RECOVERY_REFUSED};
use crate::store::{Entry, Event, Method, Realm, Session, User, Way, unix_now};
use crate::visitor::Visitor;

/// Codes that are made at once.
const CODES: usize = 10;
/// Characters of a code, 5 bits each.
const LENGTH: usize = 20;
/// Crockford's base 32: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// `POST /api/recovery-codes`: new codes, shown this once; the old ones are void.
pub(super) async fn make(
    State(context): State<Context>,
    session: Session,
) -> Result<axum::Json<Value>, Problem> {
    let own = own_records(&context, &session).await?;
    may_change(&context.rules, &session, &own)?;
    let codes = (0..CODES).map(|_| code()).collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<[u8; 32]> = codes.iter().map(|code| hash(code)).collect();
    let store = &context.base.store;
    store
        .set_recovery_codes(&session.user, &hashes, unix_now())
        .await?;
    Ok(axum::Json(json!({ "codes": codes })))
}

/// Somebody's last resort.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    user_name: String,
    code: String,
}

/// `POST /api/recovery`: trades a code for a session that may register a new key.
pub(super) async fn redeem(
    State(context): State<Context>,
    visitor: Visitor,
    SecretJson(request): SecretJson<Request>,
) -> Result<Response, Problem> {
    let store = &context.base.store;
    let name = ceremony::account_name(&request.user_name)?;
    context.rates.account(&name).await?;
    let user = store.user(Realm::Site, Way::Browser, &name).await?;
    // Nobody has this handle: a stranger's code is looked up and refused like a wrong one.
    let user = user.unwrap_or_else(|| User {
        handle: Vec::new(),
        way: Way::Browser,
        name,
    });
    let strength = Strength {
        method: Method::Recovery,
        user_verified: false,
        multi_factor: false,
    };
    let session = Beginning::new(&context, strength)?;
    let row = session.row(visitor, &user.handle, None);
    let entry = Entry::now(Event::Recovered).by(&user);
    let accepted = store.recover(&hash(&request.code), &row, &entry).await?;
    context.metrics.recovery(accepted);
    if accepted {
        let left = store.recovery_codes(&user).await?;
        let body = json!({ "recoveryCodes": left });
        return Ok(session.answer(&context.rules, &user.name, body));
    }
    let entry = Entry {
        user_name: Some(&user.name),
        ..Entry::now(Event::RecoveryRefused)
    };
    store.write_down(&entry).await?;
    Err(Problem::new(
        &RECOVERY_REFUSED,
        "The user name or the code is wrong, or the code was used before.",
    ))
}

/// Four groups of five.
fn code() -> Result<String, Problem> {
    let letters: Vec<char> = crate::random::<LENGTH>()?
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    let groups: Vec<String> = letters.chunks(5).map(String::from_iter).collect();
    Ok(groups.join("-"))
}

/// The hash of a code, however people write it.
fn hash(code: &str) -> [u8; 32] {
    let plain: String = code
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, plain.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = code().unwrap();
        assert_eq!(code.len(), LENGTH + 3);
        assert_eq!(hash(&code), hash(&code.to_lowercase().replace('-', " ")));
        assert_eq!(hash("O1IL0"), hash("0-1-1-1-O"));
        assert_ne!(hash(&code), hash(&super::code().unwrap()));
    }
}
