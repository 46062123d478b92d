//! Requests with one thing changed, in canonical form or on purpose not.

use webauthn::cbor::Value;

/// An integer key or value.
pub(crate) fn int(value: i64) -> Value {
    Value::from(value)
}

/// A byte string.
pub(crate) fn bytes(value: &[u8]) -> Value {
    Value::from(value)
}

/// A text string.
pub(crate) fn text(value: &str) -> Value {
    Value::from(value)
}

/// A map with integer keys.
pub(crate) fn map(members: &[(i64, Value)]) -> Value {
    Value::Map(members.iter().map(|(k, v)| (int(*k), v.clone())).collect())
}

/// A map with text keys.
pub(crate) fn text_map(members: &[(&str, Value)]) -> Value {
    let members = members.iter().map(|(k, v)| (text(k), v.clone()));
    Value::Map(members.collect())
}

/// The message without a member.
pub(crate) fn without(message: &[u8], key: i64) -> Vec<u8> {
    edited(message, |members| members.retain(|(k, _)| *k != int(key)))
}

/// The message with a member set to something.
pub(crate) fn with(message: &[u8], key: i64, value: Value) -> Vec<u8> {
    edited(message, |members| {
        members.retain(|(k, _)| *k != int(key));
        members.push((int(key), value));
    })
}

/// The message with something in a map that is one of its members.
pub(crate) fn with_inner(message: &[u8], key: i64, inner: &str, value: Option<Value>) -> Vec<u8> {
    edited(message, |members| {
        if !members.iter().any(|(k, _)| *k == int(key)) {
            members.push((int(key), Value::Map(Vec::new())));
        }
        for (k, v) in members.iter_mut() {
            if let (true, Value::Map(entries)) = (*k == int(key), v) {
                entries.retain(|(name, _)| *name != text(inner));
                entries.extend(value.clone().map(|value| (text(inner), value)));
            }
        }
    })
}

fn edited(message: &[u8], edit: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let mut members = match Value::decode(message) {
        Ok(Value::Map(members)) => members,
        _ => Vec::new(),
    };
    edit(&mut members);
    Value::Map(members).encode()
}

/// The members of a message as encoded pairs, in order.
pub(crate) fn pairs(message: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    match Value::decode(message) {
        Ok(Value::Map(members)) => members
            .iter()
            .map(|(k, v)| (k.encode(), v.encode()))
            .collect(),
        _ => Vec::new(),
    }
}

/// A map of these pairs exactly as they are, canonical or not. At most 23 members.
pub(crate) fn raw_map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let head = 0xa0 | u8::try_from(pairs.len().min(23)).unwrap_or(0);
    let mut out = vec![head];
    for (key, value) in pairs {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    out
}
