//! The messages between platform and key, in names that people can read.

use ctap::{Command, trace, u2f};
use serde::Serialize;
use serde_json::{Value, json};

/// A request and its answer, decoded, with secrets masked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchange {
    /// The command and its parameters.
    pub request: Value,
    /// The status and its members; null while the key has not answered.
    pub response: Value,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Ctap2(Option<Command>),
    U2f,
}

impl Exchange {
    /// A CTAP2 request.
    pub(crate) fn ctap2(request: &[u8]) -> Self {
        Self {
            request: trace::request(request),
            response: Value::Null,
            kind: Kind::Ctap2(trace::command_of(request)),
        }
    }

    /// A CTAP1/U2F request.
    pub(crate) fn u2f(apdu: &[u8]) -> Self {
        let request = match u2f::Request::decode(apdu) {
            Ok(u2f::Request::Register { .. }) => json!({ "command": "U2F_REGISTER" }),
            Ok(u2f::Request::Authenticate { control, .. }) => {
                json!({ "command": "U2F_AUTHENTICATE", "parameters": { "control": format!("{control:?}") } })
            }
            Ok(u2f::Request::Version) => json!({ "command": "U2F_VERSION" }),
            Err(_) => json!({ "command": "U2F (malformed)" }),
        };
        Self {
            request,
            response: Value::Null,
            kind: Kind::U2f,
        }
    }

    /// The answer.
    pub(crate) fn answered(&mut self, answer: &[u8]) {
        self.response = match self.kind {
            Kind::Ctap2(Some(command)) => trace::response(command, answer),
            Kind::Ctap2(None) => {
                json!({ "status": answer.first().map(|code| ctap::Status(*code).name().into_owned()) })
            }
            Kind::U2f => u2f_status(answer),
        };
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
        assert_eq!(exchange.request["command"], "U2F_VERSION");
        assert_eq!(exchange.response["status"], "SW_CONDITIONS_NOT_SATISFIED");
        let mut exchange = Exchange::ctap2(&[0x04]);
        exchange.answered(&[0x01]);
        assert_eq!(exchange.response["status"], "CTAP1_ERR_INVALID_COMMAND");
    }
}
