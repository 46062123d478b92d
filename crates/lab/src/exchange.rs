//! The messages between platform and key, in names that people can read.

use core::fmt;

use ctap::{trace, u2f};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A request and its answer. The bytes are kept and named only when somebody looks: most ceremonies of
/// a matrix are never looked at. As JSON: `request` with the command and its parameters, and `response`
/// with the status and its members, null while the key has not answered; secrets masked.
#[derive(Clone, PartialEq)]
pub struct Exchange {
    wire: Wire,
    request: Zeroizing<Vec<u8>>,
    response: Option<Zeroizing<Vec<u8>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wire {
    Ctap2,
    U2f,
}

impl Exchange {
    /// A CTAP2 request.
    pub(crate) fn ctap2(request: &[u8]) -> Self {
        Self {
            wire: Wire::Ctap2,
            request: Zeroizing::new(request.to_vec()),
            response: None,
        }
    }

    /// A CTAP1/U2F request.
    pub(crate) fn u2f(apdu: &[u8]) -> Self {
        Self {
            wire: Wire::U2f,
            request: Zeroizing::new(apdu.to_vec()),
            response: None,
        }
    }

    /// The answer.
    pub(crate) fn answered(&mut self, answer: &[u8]) {
        self.response = Some(Zeroizing::new(answer.to_vec()));
    }

    /// The command and its parameters.
    pub fn request(&self) -> Value {
        match self.wire {
            Wire::Ctap2 => trace::request(&self.request),
            Wire::U2f => u2f_request(&self.request),
        }
    }

    /// The status and its members; null while the key has not answered.
    pub fn response(&self) -> Value {
        let Some(answer) = &self.response else {
            return Value::Null;
        };
        match (self.wire, trace::command_of(&self.request)) {
            (Wire::U2f, _) => u2f_status(answer),
            (Wire::Ctap2, Some(command)) => trace::response(command, answer),
            (Wire::Ctap2, None) => {
                json!({ "status": answer.first().map(|code| ctap::Status(*code).name().into_owned()) })
            }
        }
    }
}

impl Serialize for Exchange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Exchange", 2)?;
        members.serialize_field("request", &self.request())?;
        members.serialize_field("response", &self.response())?;
        members.end()
    }
}

// The bytes hold secrets; their names do not.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("request", &self.request())
            .field("response", &self.response())
            .finish()
    }
}

fn u2f_request(apdu: &[u8]) -> Value {
    match u2f::Request::decode(apdu) {
        Ok(u2f::Request::Register { .. }) => json!({ "command": "U2F_REGISTER" }),
        Ok(u2f::Request::Authenticate { control, .. }) => {
            json!({ "command": "U2F_AUTHENTICATE", "parameters": { "control": format!("{control:?}") } })
        }
        Ok(u2f::Request::Version) => json!({ "command": "U2F_VERSION" }),
        Err(_) => json!({ "command": "U2F (malformed)" }),
    }
}

/// FIDO U2F Raw Message Formats 1.2 §3.3: the status words.
fn u2f_status(answer: &[u8]) -> Value {
    let (status, meaning) = match answer {
        [.., 0x90, 0x00] => ("SW_NO_ERROR", "done"),
        [.., 0x69, 0x85] => ("SW_CONDITIONS_NOT_SATISFIED", "a touch is required"),
        [.., 0x6A, 0x80] => ("SW_WRONG_DATA", "the key handle is not of this key"),
        [.., 0x6D, 0x00] => ("SW_INS_NOT_SUPPORTED", "U2F is not available"),
        _ => ("another status word", "refused"),
    };
    json!({ "status": status, "meaning": meaning })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u2f_is_told_from_ctap2() {
        let apdu = u2f::Request::Version.encode().unwrap_or_default();
        let mut exchange = Exchange::u2f(&apdu);
        exchange.answered(&[0x69, 0x85]);
        assert_eq!(exchange.request()["command"], "U2F_VERSION");
        assert_eq!(exchange.response()["status"], "SW_CONDITIONS_NOT_SATISFIED");
        let mut exchange = Exchange::ctap2(&[0x04]);
        exchange.answered(&[0x01]);
        assert_eq!(exchange.response()["status"], "CTAP1_ERR_INVALID_COMMAND");
    }
}
