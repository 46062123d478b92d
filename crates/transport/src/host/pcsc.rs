//! CTAP 2.3 §11.3: keys in PC/SC readers (feature `pcsc`; wants the system's libpcsclite)

use std::ffi::CString;
use std::io;
use std::time::Duration;

use ctap::hid::Capabilities;
use ctap::iso7816::{CommandApdu, Exchange, Form, ResponseApdu, StatusWord, Step};
use pcsc::{Card, Context, Disposition, Protocols, ReaderState, Scope, ShareMode, State};

use super::{About, Address, Connection, Found, TransactError, Waiting};
use crate::Kind;

/// How often a card at work is asked whether it is done.
const POLL: Duration = Duration::from_millis(100);

/// The readers in which a card lies that has the FIDO applet. Without a PC/SC service there are none.
#[must_use]
pub fn keys() -> Vec<Found> {
    let readers = Context::establish(Scope::User).and_then(|context| context.list_readers_owned());
    let names = readers
        .unwrap_or_default()
        .into_iter()
        .filter_map(|reader| reader.into_string().ok());
    names
        .filter(|reader| CardKey::open(reader).is_ok())
        .map(|reader| Found {
            address: Address::Card(reader.clone()),
            name: reader,
            usb: None,
            serial: None,
            position: None,
        })
        .collect()
}

/// Whether a card lies in the reader now. It is not woken for that.
pub(super) fn is_there(reader: &str) -> bool {
    let (Ok(reader), Ok(context)) = (CString::new(reader), Context::establish(Scope::User)) else {
        return false;
    };
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    context
        .get_status_change(Duration::ZERO, &mut states)
        .is_ok()
        && states
            .iter()
            .all(|reader| reader.event_state().contains(State::PRESENT))
}

/// A card with the FIDO applet selected.
pub struct CardKey {
    card: Card,
    speaks_ctap2: bool,
}

impl CardKey {
    /// Connects to the card in a reader and selects the applet.
    ///
    /// # Errors
    ///
    /// When there is no service, no such reader, no card in it, or no applet on it.
    pub fn open(reader: &str) -> Result<Self, TransactError> {
        let reader = CString::new(reader).map_err(|e| io::Error::other(e.to_string()))?;
        let context = Context::establish(Scope::User).map_err(broken)?;
        let card = context
            .connect(&reader, ShareMode::Shared, Protocols::ANY)
            .map_err(broken)?;
        let mut key = Self {
            card,
            speaks_ctap2: false,
        };
        let answer = key.run(Exchange::select(), &mut |_| Waiting::GoOn)?;
        if answer.status != StatusWord::NO_ERROR {
            return Err(TransactError::Status(answer.status));
        }
        // "U2F_V2" is also what CTAP2 keys with U2F answer; GetInfo tells the two apart.
        let info = key.ctap2(&[ctap::Command::GetInfo.code()], &mut |_| Waiting::GoOn);
        key.speaks_ctap2 = info.is_ok_and(|answer| answer.first() == Some(&0));
        Ok(key)
    }

    fn run(
        &mut self,
        mut exchange: Exchange,
        waiting: &mut dyn FnMut(u8) -> Waiting,
    ) -> Result<ResponseApdu, TransactError> {
        let mut apdu = exchange.start();
        loop {
            let mut buffer = [0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
            let response = self.card.transmit(&apdu, &mut buffer).map_err(broken)?;
            apdu = match exchange.receive(response)? {
                Step::Send(apdu) => apdu,
                Step::Done(answer) => return Ok(answer),
                Step::KeepAlive(status) => match waiting(status) {
                    Waiting::Cancel => exchange.cancel(),
                    Waiting::GoOn => {
                        std::thread::sleep(POLL);
                        exchange.poll()
                    }
                },
            };
        }
    }
}

/// The bare card in a reader. The reset of the card ends what somebody else has selected.
pub(super) fn transmitter(reader: &str) -> io::Result<super::Transmit> {
    let failed = |error: pcsc::Error| io::Error::other(error.to_string());
    let reader = CString::new(reader).map_err(|e| io::Error::other(e.to_string()))?;
    let context = Context::establish(Scope::User).map_err(failed)?;
    let mut card = context
        .connect(&reader, ShareMode::Exclusive, Protocols::ANY)
        .map_err(failed)?;
    card.reconnect(ShareMode::Exclusive, Protocols::ANY, Disposition::ResetCard)
        .map_err(failed)?;
    Ok(Box::new(move |apdu| {
        let mut buffer = [0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
        let answer = card.transmit(apdu, &mut buffer).map_err(failed)?;
        Ok(answer.to_vec())
    }))
}

fn broken(error: pcsc::Error) -> TransactError {
    TransactError::Io(io::Error::other(error.to_string()))
}

impl Connection for CardKey {
    fn about(&self) -> About {
        let capabilities = if self.speaks_ctap2 {
            Capabilities::CBOR
        } else {
            Capabilities::default()
        };
        About {
            kind: Kind::Card,
            version: None,
            capabilities,
        }
    }

    fn ctap2(
        &mut self,
        request: &[u8],
        waiting: &mut dyn FnMut(u8) -> Waiting,
    ) -> Result<Vec<u8>, TransactError> {
        let answer = self.run(Exchange::message(request, Form::Short), waiting)?;
        if answer.status == StatusWord::NO_ERROR {
            Ok(answer.data)
        } else {
            Err(TransactError::Status(answer.status))
        }
    }

    fn u2f(&mut self, apdu: &[u8]) -> Result<Vec<u8>, TransactError> {
        let command = CommandApdu::decode(apdu).map_err(TransactError::Status)?;
        let answer = self.run(Exchange::new(command, Form::Short), &mut |_| Waiting::GoOn)?;
        Ok(answer.encode())
    }

    fn wink(&mut self) -> Result<(), TransactError> {
        Err(TransactError::CannotWink)
    }
}
