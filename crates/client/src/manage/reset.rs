//! CTAP 2.3 §6.6 authenticatorReset, guided: out, in again, the same key, ten seconds, a touch.
//!
//! [`Reset`] is a state machine over what a program sees of the key; it does not look for itself.

use core::time::Duration;

use ctap::{Status, get_info};

/// A key without a display takes the command only so soon after power-up.
pub const WINDOW: Duration = Duration::from_secs(10);
/// How long a person may take for each step.
const PATIENCE: Duration = Duration::from_secs(60);

/// What tells one key from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The serial number, where the device tells one.
    pub serial: Option<String>,
    /// Where on the bus it is, where that is known.
    pub position: Option<String>,
    /// The model.
    pub aaguid: [u8; 16],
    /// The firmware version.
    pub firmware: Option<u64>,
    /// The state of the PIN, which no replug changes.
    pub client_pin: Option<bool>,
    /// Everything that getInfo says, but for the members that are encrypted anew each time.
    pub rest: Box<get_info::Response>,
}

impl Identity {
    /// From what a key and its bus say.
    pub fn new(
        info: &get_info::Response,
        serial: Option<String>,
        position: Option<String>,
    ) -> Self {
        Self {
            serial,
            position,
            aaguid: info.aaguid,
            firmware: info.firmware_version,
            client_pin: info.options.as_ref().and_then(|o| o.client_pin),
            rest: Box::new(get_info::Response {
                enc_identifier: None,
                enc_cred_store_state: None,
                ..info.clone()
            }),
        }
    }

    /// In what a key that came back differs, if it is another one.
    fn difference(&self, back: &Self) -> Option<&'static str> {
        if self.aaguid != back.aaguid {
            Some("it is another model")
        } else if self.serial != back.serial {
            Some("it has another serial number")
        } else if self.firmware != back.firmware {
            Some("it has another firmware")
        } else if self.client_pin != back.client_pin {
            Some("the state of its PIN is another")
        } else if self.position != back.position {
            Some("it is in another place on the bus")
        } else if self.rest != back.rest {
            Some("its settings or its number of passkeys are others")
        } else {
            None
        }
    }
}

/// Why there was no reset. The key is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// This connection is not among `transportsForReset`.
    #[error("this key can be reset over another connection only, not over this one")]
    OtherTransport,
    /// The person does not want it any more.
    #[error("the reset was called off")]
    Cancelled,
    /// Nobody took the key out.
    #[error("the key was not taken out in time")]
    NotTakenOut,
    /// Nobody put it in again.
    #[error("the key was not put in again in time")]
    NotPutIn,
    /// Another key came.
    #[error("the key that came is not the one that went: {0}")]
    AnotherKey(&'static str),
    /// `CTAP2_ERR_NOT_ALLOWED`
    #[error("the key takes a reset only in the first ten seconds after it is plugged in")]
    TooLate,
    /// `CTAP2_ERR_USER_ACTION_TIMEOUT` and its like
    #[error("the key was not touched in time")]
    NotTouched,
    /// `CTAP2_ERR_OPERATION_DENIED`
    #[error("the key denied the reset")]
    Denied,
    /// Another answer.
    #[error("the key refused the reset: {0}")]
    Refused(Status),
}

/// What a program sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The key is no longer there.
    Gone,
    /// A key is there (again).
    Back(Identity),
    /// It answered to authenticatorReset.
    Reply(Status),
    /// Time has passed.
    Tick,
}

/// What a program is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Ask for the key to be taken out, and watch.
    TakeOut,
    /// Ask for it to be put in again, and watch.
    PutIn,
    /// Send authenticatorReset now, and ask for the touch.
    Send,
    /// Over. `Ok`: the key says that it has been reset; look whether that is true.
    Done(Result<(), ResetError>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Out,
    In,
    Sent,
    Over,
}

/// A reset under way.
#[derive(Debug)]
pub struct Reset {
    before: Identity,
    stage: Stage,
    until: Duration,
}

impl Reset {
    /// Begins. With `replug` the person plugs the key in anew first, which starts its ten seconds;
    /// without, the key must have been plugged in just now.
    ///
    /// `transport` is the connection in WebAuthn's words (`usb`, `nfc`).
    ///
    /// # Errors
    /// [`ResetError::OtherTransport`]
    pub fn begin(
        before: Identity,
        info: &get_info::Response,
        transport: &str,
        replug: bool,
        now: Duration,
    ) -> Result<(Self, Output), ResetError> {
        if let Some(transports) = &info.transports_for_reset
            && !transports.iter().any(|t| t == transport)
        {
            return Err(ResetError::OtherTransport);
        }
        let (stage, output) = if replug {
            (Stage::Out, Output::TakeOut)
        } else {
            (Stage::Sent, Output::Send)
        };
        let until = now + PATIENCE;
        Ok((
            Self {
                before,
                stage,
                until,
            },
            output,
        ))
    }

    /// When a [`Event::Tick`] has something to do.
    pub fn wake_at(&self) -> Option<Duration> {
        matches!(self.stage, Stage::Out | Stage::In).then_some(self.until)
    }

    /// Whether the key that is about to be sent the command is the one that was meant.
    ///
    /// # Errors
    /// [`ResetError::AnotherKey`]
    pub fn check(&self, identity: &Identity) -> Result<(), ResetError> {
        match self.before.difference(identity) {
            None => Ok(()),
            Some(what) => Err(ResetError::AnotherKey(what)),
        }
    }

    /// Takes what was seen; says what to do, if it is something new.
    pub fn step(&mut self, event: Event, now: Duration) -> Option<Output> {
        match (self.stage, event) {
            (Stage::Out, Event::Gone) => {
                self.stage = Stage::In;
                self.until = now + PATIENCE;
                Some(Output::PutIn)
            }
            (Stage::Out, Event::Tick) if now >= self.until => {
                self.over(Err(ResetError::NotTakenOut))
            }
            (Stage::In, Event::Tick) if now >= self.until => self.over(Err(ResetError::NotPutIn)),
            (Stage::In, Event::Back(identity)) => match self.check(&identity) {
                Ok(()) => {
                    self.stage = Stage::Sent;
                    Some(Output::Send)
                }
                Err(error) => self.over(Err(error)),
            },
            (Stage::Sent, Event::Gone) => self.over(Err(ResetError::NotTouched)),
            (Stage::Sent, Event::Reply(status)) => self.over(result(status)),
            _ => None,
        }
    }

    fn over(&mut self, result: Result<(), ResetError>) -> Option<Output> {
        self.stage = Stage::Over;
        Some(Output::Done(result))
    }
}

fn result(status: Status) -> Result<(), ResetError> {
    match status {
        Status::OK => Ok(()),
        Status::NOT_ALLOWED => Err(ResetError::TooLate),
        Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT | Status::KEEPALIVE_CANCEL => {
            Err(ResetError::NotTouched)
        }
        Status::OPERATION_DENIED => Err(ResetError::Denied),
        status => Err(ResetError::Refused(status)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise
    use super::super::tests::info;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn identity(serial: &str) -> Identity {
        Identity::new(&info(), Some(serial.to_owned()), Some("usb-1".to_owned()))
    }

    fn begun() -> Reset {
        let (reset, output) =
            Reset::begin(identity("1"), &info(), "usb", true, Duration::ZERO).unwrap();
        assert_eq!(output, Output::TakeOut);
        reset
    }

    #[test]
    fn out_in_send_done() {
        let mut reset = begun();
        assert_eq!(reset.step(Event::Tick, SECOND), None);
        assert_eq!(reset.step(Event::Back(identity("1")), SECOND), None);
        assert_eq!(reset.step(Event::Gone, SECOND), Some(Output::PutIn));
        assert_eq!(reset.step(Event::Gone, SECOND), None);
        assert_eq!(
            reset.step(Event::Back(identity("1")), 2 * SECOND),
            Some(Output::Send)
        );
        assert_eq!(reset.wake_at(), None);
        let done = reset.step(Event::Reply(Status::OK), 3 * SECOND);
        assert_eq!(done, Some(Output::Done(Ok(()))));
        assert_eq!(reset.step(Event::Reply(Status::OK), 3 * SECOND), None);
    }

    #[test]
    fn another_key_is_never_reset() {
        let others = [
            identity("2"),
            Identity {
                aaguid: [9; 16],
                ..identity("1")
            },
            Identity {
                firmware: Some(99),
                ..identity("1")
            },
            Identity {
                client_pin: None,
                ..identity("1")
            },
            Identity {
                position: Some("usb-2".to_owned()),
                ..identity("1")
            },
            Identity {
                serial: None,
                ..identity("1")
            },
            Identity {
                rest: Box::new(get_info::Response {
                    remaining_discoverable_credentials: Some(77),
                    ..info()
                }),
                ..identity("1")
            },
        ];
        for other in others {
            let mut reset = begun();
            reset.step(Event::Gone, SECOND);
            let end = reset.step(Event::Back(other.clone()), SECOND);
            assert!(
                matches!(end, Some(Output::Done(Err(ResetError::AnotherKey(_))))),
                "{other:?}"
            );
            assert_eq!(reset.step(Event::Back(identity("1")), SECOND), None);
        }
    }

    #[test]
    fn patience_ends() {
        let mut reset = begun();
        let at = reset.wake_at().unwrap();
        assert_eq!(
            reset.step(Event::Tick, at),
            Some(Output::Done(Err(ResetError::NotTakenOut)))
        );
        let mut reset = begun();
        reset.step(Event::Gone, SECOND);
        let at = reset.wake_at().unwrap();
        assert_eq!(
            reset.step(Event::Tick, at),
            Some(Output::Done(Err(ResetError::NotPutIn)))
        );
    }

    #[test]
    fn the_end_is_told_as_it_is() {
        for (status, end) in [
            (Status::NOT_ALLOWED, ResetError::TooLate),
            (Status::USER_ACTION_TIMEOUT, ResetError::NotTouched),
            (Status::OPERATION_DENIED, ResetError::Denied),
            (Status::OTHER, ResetError::Refused(Status::OTHER)),
        ] {
            let (mut reset, output) =
                Reset::begin(identity("1"), &info(), "usb", false, SECOND).unwrap();
            assert_eq!(output, Output::Send);
            let done = reset.step(Event::Reply(status), SECOND);
            assert_eq!(done, Some(Output::Done(Err(end))));
        }
    }

    #[test]
    fn a_key_that_is_reset_elsewhere_says_so() {
        let mut info = info();
        info.transports_for_reset = Some(vec!["usb".to_owned()]);
        let begin = |transport| {
            Reset::begin(identity("1"), &info, transport, true, Duration::ZERO).map(|(_, o)| o)
        };
        assert_eq!(begin("nfc"), Err(ResetError::OtherTransport));
        assert_eq!(begin("usb"), Ok(Output::TakeOut));
    }
}
