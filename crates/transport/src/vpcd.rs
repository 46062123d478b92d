//! vpcd: the key as a card in the virtual reader of the vsmartcard project
//!
//! pcscd loads vpcd, which listens on TCP; the card connects to it. Each message is a big-endian
//! 16-bit length and as many bytes. A message of one byte from the reader is a control code, any
//! other is a command APDU, which gets exactly one response.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::outbox::{Outbox, Waker, flush, readable, wait};
use crate::{Arrival, Inbox, Kind, Wire};

/// Where vpcd listens unless it is told otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:35963";

/// What the reader sees of the card: PC/SC part 3's form for a contactless card without historical
/// bytes, protocols T=0 and T=1.
pub const ATR: [u8; 5] = [0x3B, 0x80, 0x80, 0x01, 0x01];

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Control codes, the single byte of a control message.
mod control {
    pub(super) const POWER_OFF: u8 = 0;
    pub(super) const POWER_ON: u8 = 1;
    pub(super) const RESET: u8 = 2;
    pub(super) const ATR: u8 = 4;
}

/// Connects to vpcd: the card is in the reader from now on, until the wire is dropped.
///
/// # Errors
///
/// When nobody listens there (pcscd is not running, or has no vpcd reader), or the reader has a card
/// already.
pub fn connect(address: impl ToSocketAddrs, inbox: Inbox) -> io::Result<Wire> {
    let stream = connect_any(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let address = format!("vpcd:{}", stream.peer_addr()?);
    let (outbox, waker) = Outbox::new()?;
    Wire::start(Kind::Card, address, outbox, move || {
        if let Some(reason) = run(stream, waker, &inbox) {
            let _ = inbox.deliver(Arrival::Closed(reason));
        }
    })
}

fn connect_any(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Moves messages until the key or the reader ends; then says why, if the key has to know.
fn run(mut stream: TcpStream, mut waker: Waker, inbox: &Inbox) -> Option<Option<String>> {
    let mut received = Vec::new();
    let mut pending = VecDeque::new();
    loop {
        let (input, output) = {
            let write = if pending.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            let mut fds = [waker.poll_fd(), PollFd::new(&stream, PollFlags::IN | write)];
            if let Err(e) = wait(&mut fds, None) {
                return Some(Some(e.to_string()));
            }
            (readable(&fds[1]), fds[1].revents().contains(PollFlags::OUT))
        };
        for response in waker.take()? {
            pending.extend(encode(&response));
        }
        if input {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(0) => return Some(None),
                Ok(n) => received.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(e) => return Some(Some(e.to_string())),
            }
            while let Some(message) = next_message(&mut received) {
                match message.as_slice() {
                    [control::ATR] => pending.extend(encode(&ATR)),
                    _ => {
                        if let Some(arrival) = arrival(message)
                            && !inbox.deliver(arrival)
                        {
                            return None;
                        }
                    }
                }
            }
        }
        if (output || !pending.is_empty())
            && let Err(e) = flush(&mut stream, &mut pending)
        {
            return Some(Some(e.to_string()));
        }
    }
}

fn arrival(message: Vec<u8>) -> Option<Arrival> {
    match message.as_slice() {
        [control::POWER_OFF] => Some(Arrival::PowerOff),
        [control::POWER_ON] => Some(Arrival::PowerOn),
        [control::RESET] => Some(Arrival::Reset),
        // Control codes of later versions ask for nothing that a card has to answer.
        [] | [_] => None,
        _ => Some(Arrival::Apdu(message)),
    }
}

/// The next whole message, taken off the front.
fn next_message(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (&length, rest) = received.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(length));
    let message = rest.get(..length)?.to_vec();
    received.drain(..2 + length);
    Some(message)
}

/// A message with its length. A response that does not fit becomes `6F00`.
fn encode(message: &[u8]) -> Vec<u8> {
    match u16::try_from(message.len()) {
        Ok(length) => [&length.to_be_bytes(), message].concat(),
        Err(_) => vec![0, 2, 0x6F, 0x00],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::io::Write;
    use std::net::{SocketAddr, TcpListener};

    const SOON: Duration = Duration::from_secs(5);

    fn reader() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn the_reader_powers_asks_for_the_atr_and_exchanges_apdus() {
        let (listener, address) = reader();
        let (inbox, arrivals) = Inbox::channel(8);
        let wire = connect(address, inbox).unwrap();
        assert_eq!(
            (wire.kind(), wire.address()),
            (Kind::Card, format!("vpcd:{address}").as_str())
        );
        let (mut reader, _) = listener.accept().unwrap();
        reader.write_all(&[0, 1, 1]).unwrap();
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::PowerOn);
        reader.write_all(&[0, 1, 4]).unwrap();
        let mut atr = [0; 7];
        reader.read_exact(&mut atr).unwrap();
        assert_eq!(atr, [0, 5, 0x3B, 0x80, 0x80, 0x01, 0x01]);
        assert_eq!(
            ATR.iter().skip(1).fold(0, |a, b| a ^ b),
            0,
            "the check byte"
        );
        // Byte by byte, and two messages at once.
        for byte in [0, 4, 0, 0xA4, 4, 0] {
            reader.write_all(&[byte]).unwrap();
        }
        assert_eq!(
            arrivals.recv_timeout(SOON).unwrap(),
            Arrival::Apdu(vec![0, 0xA4, 4, 0])
        );
        wire.send(&[0x90, 0]);
        let mut response = [0; 4];
        reader.read_exact(&mut response).unwrap();
        assert_eq!(response, [0, 2, 0x90, 0]);
        reader
            .write_all(&[0, 1, 2, 0, 1, 9, 0, 0, 0, 1, 0])
            .unwrap();
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::Reset);
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::PowerOff);
        drop(reader);
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::Closed(None));
    }

    #[test]
    fn long_messages_pass_and_too_long_ones_become_an_error() {
        let (listener, address) = reader();
        let (inbox, arrivals) = Inbox::channel(8);
        let wire = connect(address, inbox).unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        let long = vec![7; 65_535];
        reader
            .write_all(&[&[0xFF, 0xFF][..], &long].concat())
            .unwrap();
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::Apdu(long));
        wire.send(&[1; 65_535]);
        let mut response = vec![0; 65_537];
        reader.read_exact(&mut response).unwrap();
        wire.send(&[1; 65_536]);
        let mut response = [0; 4];
        reader.read_exact(&mut response).unwrap();
        assert_eq!(response, [0, 2, 0x6F, 0]);
    }

    #[test]
    fn nobody_there_is_an_error() {
        let (listener, address) = reader();
        drop(listener);
        let (inbox, _arrivals) = Inbox::channel(8);
        assert_eq!(
            connect(address, inbox).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[test]
    fn dropping_the_wire_takes_the_card_out() {
        let (listener, address) = reader();
        let (inbox, _arrivals) = Inbox::channel(8);
        let wire = connect(address, inbox).unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        drop(wire);
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    }
}
