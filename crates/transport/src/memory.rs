//! In-memory wires: a key and its platform in one process

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

use crate::host::ReportPort;
use crate::{Arrival, Inbox, Kind, REPORT_SIZE, Report, Way, Wire};

/// What the platform's end has not read yet; beyond it the key's messages are lost.
const LIMIT: usize = 1024;

/// A HID wire and the platform's end of it.
#[must_use]
pub fn hid(inbox: Inbox) -> (Wire, HidEnd) {
    let (wire, messages) = wire(Kind::Hid, "memory:hid");
    (wire, HidEnd { inbox, messages })
}

/// A card wire and the reader's end of it. The card starts without power.
#[must_use]
pub fn card(inbox: Inbox) -> (Wire, CardEnd) {
    let (wire, messages) = wire(Kind::Card, "memory:card");
    (wire, CardEnd { inbox, messages })
}

fn wire(kind: Kind, address: &str) -> (Wire, Receiver<Vec<u8>>) {
    let (sender, receiver) = sync_channel(LIMIT);
    (
        Wire {
            kind,
            address: address.to_owned(),
            way: Way::Direct(sender),
        },
        receiver,
    )
}

/// The platform's end of a HID wire.
#[derive(Debug)]
pub struct HidEnd {
    inbox: Inbox,
    messages: Receiver<Vec<u8>>,
}

impl ReportPort for HidEnd {
    fn write(&mut self, report: &Report) -> io::Result<()> {
        deliver(&self.inbox, Arrival::Report(*report))
    }

    fn read(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        match self.messages.recv_timeout(timeout) {
            Ok(message) => Ok(<[u8; REPORT_SIZE]>::try_from(message).ok()),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The reader's end of a card wire.
#[derive(Debug)]
pub struct CardEnd {
    inbox: Inbox,
    messages: Receiver<Vec<u8>>,
}

impl CardEnd {
    /// Gives or takes power, or resets.
    ///
    /// # Errors
    ///
    /// When the key has gone.
    pub fn power(&self, arrival: Arrival) -> io::Result<()> {
        deliver(&self.inbox, arrival)
    }

    /// Sends one command APDU and waits for its response.
    ///
    /// # Errors
    ///
    /// When the key has gone, or does not answer in time.
    pub fn transmit(&self, apdu: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
        // Answers that came too late for their command belong to nobody.
        loop {
            match self.messages.try_recv() {
                Ok(_) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        deliver(&self.inbox, Arrival::Apdu(apdu.to_vec()))?;
        self.messages.recv_timeout(timeout).map_err(|e| match e {
            RecvTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
            RecvTimeoutError::Disconnected => io::ErrorKind::BrokenPipe.into(),
        })
    }
}

fn deliver(inbox: &Inbox, arrival: Arrival) -> io::Result<()> {
    if inbox.deliver(arrival) {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn reports_go_both_ways_until_the_key_is_gone() {
        let (inbox, arrivals) = Inbox::channel(8);
        let (wire, mut end) = hid(inbox);
        assert_eq!((wire.kind(), wire.address()), (Kind::Hid, "memory:hid"));
        end.write(&[1; 64]).unwrap();
        assert_eq!(
            arrivals.recv_timeout(SOON).unwrap(),
            Arrival::Report([1; 64])
        );
        assert_eq!(end.read(Duration::from_millis(1)).unwrap(), None);
        wire.send(&[2; 64]);
        assert_eq!(end.read(SOON).unwrap(), Some([2; 64]));
        drop(wire);
        drop(arrivals);
        assert_eq!(
            end.read(SOON).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        assert_eq!(
            end.write(&[1; 64]).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn a_card_answers_apdus_and_late_answers_are_dropped() {
        let (inbox, arrivals) = Inbox::channel(8);
        let (wire, end) = card(inbox);
        end.power(Arrival::PowerOn).unwrap();
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::PowerOn);
        let late = end
            .transmit(&[1, 2, 3, 4], Duration::from_millis(1))
            .unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            arrivals.recv_timeout(SOON).unwrap(),
            Arrival::Apdu(vec![1, 2, 3, 4])
        );
        wire.send(&[0x6F, 0]);
        std::thread::sleep(Duration::from_millis(50));
        let card = std::thread::spawn(move || {
            assert_eq!(
                arrivals.recv_timeout(SOON).unwrap(),
                Arrival::Apdu(vec![5, 6, 7, 8])
            );
            wire.send(&[0x90, 0]);
            wire
        });
        assert_eq!(end.transmit(&[5, 6, 7, 8], SOON).unwrap(), [0x90, 0]);
        drop(card.join().unwrap());
    }
}
