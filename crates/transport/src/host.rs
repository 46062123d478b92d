//! The platform's end: where keys are, ports that carry reports, and whole transactions on them

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use ctap::hid::{Command, ErrorCode, Host, HostError, HostEvent, InitResponse};
use ctap::iso7816::{ExchangeError, StatusWord};

use crate::{REPORT_SIZE, Report};

mod address;
mod connection;
pub mod hidraw;
#[cfg(feature = "pcsc")]
pub mod pcsc;
mod raw;
pub mod watch;

pub use address::{Address, AddressError, Found, OpenError};
pub use connection::{About, Connection};
pub use raw::{RawPort, Transmit};

/// The platform's end of a wire that carries reports.
pub trait ReportPort {
    /// Sends one report.
    ///
    /// # Errors
    ///
    /// When the key has gone.
    fn write(&mut self, report: &Report) -> io::Result<()>;

    /// The next report; `None` when none comes in time.
    ///
    /// # Errors
    ///
    /// When the key has gone.
    fn read(&mut self, timeout: Duration) -> io::Result<Option<Report>>;
}

/// A stream whose reads can be given a time.
pub trait TimedStream: Read + Write {
    /// Sets how long a read waits.
    ///
    /// # Errors
    ///
    /// As the system has it.
    fn wait_at_most(&self, timeout: Duration) -> io::Result<()>;
}

impl TimedStream for UnixStream {
    fn wait_at_most(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))
    }
}

impl TimedStream for TcpStream {
    fn wait_at_most(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))
    }
}

/// Reports on a connected stream socket.
#[derive(Debug)]
pub struct StreamPort<S> {
    stream: S,
    received: Vec<u8>,
}

impl StreamPort<UnixStream> {
    /// Connects to a key's Unix socket.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self {
            stream: UnixStream::connect(path)?,
            received: Vec::new(),
        })
    }
}

impl StreamPort<TcpStream> {
    /// Connects to a key's TCP socket.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn tcp(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }
}

impl<S: TimedStream> ReportPort for StreamPort<S> {
    fn write(&mut self, report: &Report) -> io::Result<()> {
        self.stream.write_all(report)
    }

    fn read(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        let end = Instant::now() + timeout;
        loop {
            if let Some((&report, _)) = self.received.split_first_chunk::<REPORT_SIZE>() {
                self.received.drain(..REPORT_SIZE);
                return Ok(Some(report));
            }
            let Some(left) = left(end) else {
                return Ok(None);
            };
            self.stream.wait_at_most(left)?;
            let mut buffer = [0; 16 * REPORT_SIZE];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self
                    .received
                    .extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Reports in datagrams.
#[derive(Debug)]
pub struct UdpPort {
    socket: UdpSocket,
}

impl UdpPort {
    /// A port towards the key at `address`, from any free port of the same family.
    ///
    /// # Errors
    ///
    /// When no socket can be made.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let local = if address.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(local)?;
        socket.connect(address)?;
        Ok(Self { socket })
    }
}

impl ReportPort for UdpPort {
    fn write(&mut self, report: &Report) -> io::Result<()> {
        self.socket.send(report).map(|_| ())
    }

    fn read(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        let end = Instant::now() + timeout;
        while let Some(left) = left(end) {
            self.socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; REPORT_SIZE + 1];
            match self.socket.recv(&mut buffer) {
                Ok(n) => {
                    if let Some(Ok(report)) = buffer.get(..n).map(Report::try_from) {
                        return Ok(Some(report));
                    }
                }
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }
}

/// The time until `end`, or `None` when it is over. Sockets take no time-out of zero.
fn left(end: Instant) -> Option<Duration> {
    end.checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
}

fn is_timeout(e: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(e.kind(), TimedOut | WouldBlock | Interrupted)
}

/// Why a transaction with a key failed below CTAP.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// The wire broke.
    #[error("the connection to the key failed: {0}")]
    Io(#[from] io::Error),
    /// The key said something that is not CTAPHID, or the request does not fit it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The key refused the request on the CTAPHID level.
    #[error("the key answered {}", .0.name().unwrap_or("an unknown CTAPHID error"))]
    Refused(ErrorCode),
    /// The key did not answer in time.
    #[error("the key did not answer in time")]
    Timeout,
    /// The card said something that is not ISO 7816.
    #[error(transparent)]
    Card(#[from] ExchangeError),
    /// The card refused the request below CTAP.
    #[error("the card answered {:04x}", .0.0)]
    Status(StatusWord),
    /// The key has nothing to wink with.
    #[error("this key cannot wink")]
    CannotWink,
}

/// What a caller wants while the key waits for its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Wait on.
    GoOn,
    /// Cancel the request; it still gets an answer.
    Cancel,
}

/// A key at the other end of a [`ReportPort`], on a CTAPHID channel of our own.
#[derive(Debug)]
pub struct HidKey<P> {
    port: P,
    host: Host,
    info: InitResponse,
}

/// How long a key may be silent; keep-alives come every 100 ms.
const SILENCE: Duration = Duration::from_secs(3);

impl<P: ReportPort> HidKey<P> {
    /// Asks the key for a channel. `nonce` has to be random.
    ///
    /// # Errors
    ///
    /// When the key does not answer.
    pub fn open(mut port: P, nonce: [u8; 8]) -> Result<Self, TransactError> {
        let mut host = Host::new();
        port.write(&host.open(nonce))?;
        match next(&mut port, &mut host)? {
            HostEvent::Opened(info) => Ok(Self { port, host, info }),
            HostEvent::Error(code) => Err(TransactError::Refused(code)),
            _ => Err(HostError::Unexpected.into()),
        }
    }

    /// What the key said of itself.
    #[must_use]
    pub fn info(&self) -> &InitResponse {
        &self.info
    }

    /// The port, for what this type does not do.
    pub fn port(&mut self) -> &mut P {
        &mut self.port
    }

    /// One CBOR request (command byte and CBOR) and its answer (status byte and CBOR).
    ///
    /// # Errors
    ///
    /// See [`HidKey::transact`].
    pub fn cbor(&mut self, request: &[u8]) -> Result<Vec<u8>, TransactError> {
        self.transact(Command::CBOR, request, |_| Waiting::GoOn)
    }

    /// One request and its answer. `waiting` is called with the status of each keep-alive.
    ///
    /// # Errors
    ///
    /// When the key refuses the request below CTAP, breaks the framing, is silent for three seconds,
    /// or the wire breaks.
    pub fn transact(
        &mut self,
        command: Command,
        request: &[u8],
        mut waiting: impl FnMut(u8) -> Waiting,
    ) -> Result<Vec<u8>, TransactError> {
        for report in self.host.request(command, request)? {
            self.port.write(&report)?;
        }
        let mut cancelled = false;
        loop {
            match next(&mut self.port, &mut self.host)? {
                HostEvent::Reply { payload, .. } => return Ok(payload),
                HostEvent::Error(code) => return Err(TransactError::Refused(code)),
                HostEvent::Opened(_) => return Err(HostError::Unexpected.into()),
                HostEvent::KeepAlive(status) => {
                    if waiting(status) == Waiting::Cancel && !cancelled {
                        cancelled = true;
                        if let Some(report) = self.host.cancel() {
                            self.port.write(&report)?;
                        }
                    }
                }
            }
        }
    }
}

fn next(port: &mut impl ReportPort, host: &mut Host) -> Result<HostEvent, TransactError> {
    let end = Instant::now() + SILENCE;
    while let Some(left) = left(end) {
        if let Some(report) = port.read(left)?
            && let Some(event) = host.receive(&report)?
        {
            return Ok(event);
        }
    }
    Err(TransactError::Timeout)
}
