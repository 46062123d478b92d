//! The control socket: whoever may connect to it is the person at the key, in any language
//!
//! One JSON object a line, in both directions. A client says what to `do`, and gets one answer for each
//! line; `subscribe` makes events follow, in between the answers. `docs/key.md` has the protocol.

mod server;

use std::time::Duration;

use authenticator::{Interaction, Purpose, UserEvent};
use serde_json::{Map, Value, json};

use crate::events::KeyEvent;
use crate::prompts::describe;
use crate::remote::KeyStatus;
use crate::script::finger_named;
use crate::{Ended, Remote};

pub use server::{Plugger, Server};

/// No line is longer.
pub const MAX_LINE: usize = 4096;
/// Nobody waits longer for the key to ask.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a client wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Something happens at the key.
    User(UserEvent),
    /// Whatever consents to what is asked.
    Consent,
    /// The power is cut and comes back.
    PowerCycle,
    /// The key is taken off its wire.
    Unplug,
    /// It is put on it again.
    Plug,
    /// Both.
    Replug,
    /// How the key is.
    Status,
    /// Events from now on.
    Subscribe,
    /// The key ends.
    Stop,
}

/// One line of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Comes back with the answer.
    pub id: Option<Value>,
    /// What to do.
    pub order: Order,
    /// How long to wait, before it is done, for the key to ask for something.
    pub wait: Option<Duration>,
}

/// Reads one line.
///
/// # Errors
///
/// In words, what is wrong with it; and its `id`, if that can be told.
pub fn parse(line: &str) -> Result<Request, (Option<Value>, String)> {
    let value: Value =
        serde_json::from_str(line).map_err(|e| (None, format!("this is no JSON: {e}")))?;
    let Value::Object(mut members) = value else {
        return Err((None, "this is no JSON object".to_owned()));
    };
    let id = members.remove("id");
    match request(members) {
        Ok((order, wait)) => Ok(Request { id, order, wait }),
        Err(why) => Err((id, why)),
    }
}

fn request(mut members: Map<String, Value>) -> Result<(Order, Option<Duration>), String> {
    let word = match members.remove("do") {
        Some(Value::String(word)) => word,
        Some(_) => return Err("\"do\" is no string".to_owned()),
        None => return Err("it does not say what to \"do\"".to_owned()),
    };
    let order = match word.as_str() {
        "touch" => Order::User(UserEvent::Touch),
        "long-touch" => Order::User(UserEvent::LongTouch),
        "deny" => Order::User(UserEvent::Deny),
        "consent" => Order::Consent,
        "finger" => Order::User(UserEvent::Finger(
            members
                .remove("finger")
                .as_ref()
                .and_then(Value::as_str)
                .and_then(finger_named)
                .ok_or("\"finger\" is \"good\", \"poor\" or \"wrong\"")?,
        )),
        "power-cycle" => Order::PowerCycle,
        "unplug" => Order::Unplug,
        "plug" => Order::Plug,
        "replug" => Order::Replug,
        "status" => Order::Status,
        "subscribe" => Order::Subscribe,
        "stop" => Order::Stop,
        other => return Err(format!("there is no {other:?} to do")),
    };
    let asks = matches!(order, Order::User(_) | Order::Consent);
    let wait = match members.remove("wait_ms") {
        None => None,
        Some(_) if !asks => return Err(format!("\"wait_ms\" does not go with {word:?}")),
        Some(wait) => Some(
            wait.as_u64()
                .map(Duration::from_millis)
                .filter(|wait| *wait <= LONGEST_WAIT)
                .ok_or("\"wait_ms\" is no number up to an hour")?,
        ),
    };
    match members.keys().next() {
        Some(unknown) => Err(format!("{unknown:?} is unknown here")),
        None => Ok((order, wait)),
    }
}

/// What a key asks for.
#[must_use]
pub fn asking_json(interaction: &Interaction) -> Value {
    let purpose = interaction.purpose();
    let kind = match interaction {
        Interaction::BuiltInUv { .. } => "finger",
        Interaction::Touch { .. } if *purpose == Purpose::ResetByLongTouch => "long-touch",
        Interaction::Touch { .. } => "touch",
    };
    let (name, rp_id, user_name) = match purpose {
        Purpose::MakeCredential { rp_id, user_name } => {
            ("make-credential", Some(rp_id), user_name.as_ref())
        }
        Purpose::GetAssertion { rp_id } => ("get-assertion", Some(rp_id), None),
        Purpose::Token { rp_id } => ("token", rp_id.as_ref(), None),
        Purpose::EnrollFinger => ("enroll-finger", None, None),
        Purpose::Reset | Purpose::ResetByLongTouch => ("reset", None, None),
        Purpose::Selection => ("selection", None, None),
        Purpose::U2fRegister => ("u2f-register", None, None),
        Purpose::U2fAuthenticate => ("u2f-authenticate", None, None),
    };
    let mut asking = json!({ "kind": kind, "for": name, "text": describe(purpose) });
    for (member, value) in [("rp_id", rp_id), ("user_name", user_name)] {
        if let Some(value) = value {
            asking[member] = json!(value);
        }
    }
    if let Interaction::BuiltInUv { attempts_left, .. } = interaction {
        asking["attempts_left"] = json!(attempts_left);
    }
    asking
}

/// How a key is.
#[must_use]
pub fn status_json(status: &KeyStatus) -> Value {
    json!({
        "asking": status.asking.as_ref().map(asking_json),
        "winks": status.winks,
        "plugged_at": status.plugged_at,
        "ended": status.ended.as_ref().map(ended_json),
    })
}

fn ended_json(ended: &Ended) -> Value {
    match ended {
        Ended::Stopped => json!({ "why": "stopped" }),
        Ended::WireClosed => json!({ "why": "wire-closed" }),
        Ended::WireFailed(text) => json!({ "why": "wire-failed", "text": text }),
        Ended::StoreFailed(text) => json!({ "why": "store-failed", "text": text }),
    }
}

/// What happened at a key.
#[must_use]
pub fn event_json(event: &KeyEvent) -> Value {
    match event {
        KeyEvent::Asking(interaction) => {
            let mut event = asking_json(interaction);
            event["event"] = json!("asking");
            event
        }
        KeyEvent::Idle => json!({ "event": "idle" }),
        KeyEvent::Wink => json!({ "event": "wink" }),
        KeyEvent::PowerCycled => json!({ "event": "power-cycled" }),
        KeyEvent::Unplugged => json!({ "event": "unplugged" }),
        KeyEvent::Plugged(at) => json!({ "event": "plugged", "at": at }),
        KeyEvent::Ended(ended) => {
            let mut event = ended_json(ended);
            event["event"] = json!("ended");
            event
        }
    }
}

/// Does what a client wants; the answer. (The events of `subscribe` are the server's.)
#[must_use]
pub fn obey(request: &Request, key: &Remote, plugger: &Plugger) -> Value {
    let mut answer = match act(request, key, plugger) {
        Ok(mut answer) => {
            answer["ok"] = json!(true);
            answer
        }
        Err(why) => json!({ "ok": false, "error": why }),
    };
    if let Some(id) = &request.id {
        answer["id"] = id.clone();
    }
    answer
}

fn act(request: &Request, key: &Remote, plugger: &Plugger) -> Result<Value, String> {
    if key.status().ended.is_some() && request.order != Order::Status {
        return Err("the key has ended".to_owned());
    }
    let nothing = || Ok(json!({}));
    match request.order {
        Order::User(event) => user(request.wait, key, |_| event),
        Order::Consent => user(request.wait, key, Interaction::consent),
        Order::PowerCycle => {
            key.power_cycle();
            key.sync();
            nothing()
        }
        Order::Unplug => {
            key.unplug();
            nothing()
        }
        Order::Plug => plug(key, plugger),
        Order::Replug => {
            key.unplug();
            plug(key, plugger)
        }
        Order::Status | Order::Subscribe => Ok(json!({ "status": status_json(&key.status()) })),
        Order::Stop => {
            key.end();
            nothing()
        }
    }
}

fn plug(key: &Remote, plugger: &Plugger) -> Result<Value, String> {
    key.plug(|inbox| plugger(inbox))
        .map_err(|e| e.to_string())?;
    Ok(json!({ "plugged_at": key.status().plugged_at }))
}

/// Something happens at the key; the answer says for what, and comes when the key has noticed.
fn user(
    wait: Option<Duration>,
    key: &Remote,
    event: impl FnOnce(&Interaction) -> UserEvent,
) -> Result<Value, String> {
    let asked = key.wait_asking(wait.unwrap_or_default());
    let Some(interaction) = asked else {
        return Err("the key asks for nothing".to_owned());
    };
    key.user(event(&interaction));
    if !key.sync() {
        return Err("the key does not answer".to_owned());
    }
    Ok(json!({ "asked": asking_json(&interaction) }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use authenticator::FingerMatch;

    use super::*;

    #[test]
    fn every_order_reads() {
        let order = |line: &str| parse(line).unwrap().order;
        assert_eq!(order(r#"{"do":"touch"}"#), Order::User(UserEvent::Touch));
        assert_eq!(
            order(r#"{"do":"long-touch"}"#),
            Order::User(UserEvent::LongTouch)
        );
        assert_eq!(order(r#"{"do":"deny"}"#), Order::User(UserEvent::Deny));
        for (name, finger) in [
            ("good", FingerMatch::Match),
            ("poor", FingerMatch::Poor),
            ("wrong", FingerMatch::NoMatch),
        ] {
            let line = json!({ "do": "finger", "finger": name }).to_string();
            assert_eq!(order(&line), Order::User(UserEvent::Finger(finger)));
        }
        for (word, expected) in [
            ("consent", Order::Consent),
            ("power-cycle", Order::PowerCycle),
            ("unplug", Order::Unplug),
            ("plug", Order::Plug),
            ("replug", Order::Replug),
            ("status", Order::Status),
            ("subscribe", Order::Subscribe),
            ("stop", Order::Stop),
        ] {
            assert_eq!(order(&json!({ "do": word }).to_string()), expected);
        }
        let request = parse(r#"{"id":[7],"do":"touch","wait_ms":250}"#).unwrap();
        assert_eq!(request.id, Some(json!([7])));
        assert_eq!(request.wait, Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_does_not_read_is_named_and_keeps_its_id() {
        for (line, word) in [
            ("", "no JSON"),
            ("touch", "no JSON"),
            ("[]", "no JSON object"),
            (r#"{"do":"touch"} {"do":"touch"}"#, "no JSON"),
            (r#"{"touch":true}"#, "\"do\""),
            (r#"{"do":1}"#, "no string"),
            (r#"{"do":"dance"}"#, "dance"),
            (r#"{"do":"finger"}"#, "poor"),
            (r#"{"do":"finger","finger":"blue"}"#, "poor"),
            (r#"{"do":"touch","finger":"good"}"#, "unknown"),
            (r#"{"do":"touch","wait_ms":-1}"#, "wait_ms"),
            (r#"{"do":"touch","wait_ms":3600001}"#, "wait_ms"),
            (r#"{"do":"status","wait_ms":1}"#, "wait_ms"),
        ] {
            let (_, why) = parse(line).unwrap_err();
            assert!(why.contains(word), "{line}: {why}");
        }
        assert_eq!(parse(r#"{"id":3,"do":"x"}"#).unwrap_err().0, Some(json!(3)));
    }

    #[test]
    fn what_is_asked_says_by_whom_and_for_what() {
        let deadline = Duration::ZERO;
        let finger = Interaction::BuiltInUv {
            purpose: Purpose::MakeCredential {
                rp_id: "example.com".to_owned(),
                user_name: Some("anna".to_owned()),
            },
            attempts_left: 2,
            deadline,
        };
        assert_eq!(
            event_json(&KeyEvent::Asking(finger)),
            json!({
                "event": "asking", "kind": "finger", "for": "make-credential",
                "rp_id": "example.com", "user_name": "anna", "attempts_left": 2,
                "text": "create a passkey for anna on example.com",
            })
        );
        let purpose = Purpose::ResetByLongTouch;
        let held = asking_json(&Interaction::Touch { purpose, deadline });
        assert_eq!(
            (&held["kind"], &held["for"]),
            (&json!("long-touch"), &json!("reset"))
        );
        let failed = Ended::StoreFailed("full".to_owned());
        assert_eq!(
            event_json(&KeyEvent::Ended(failed)),
            json!({ "event": "ended", "why": "store-failed", "text": "full" })
        );
    }
}
