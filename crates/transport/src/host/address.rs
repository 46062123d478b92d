//! Where a key can be, and how to get there

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::hidraw::{HidrawPort, Places};
use super::{Connection, HidKey, StreamPort, TransactError, UdpPort};

/// How long a TCP socket may take to be there.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A hidraw node.
    Hidraw(PathBuf),
    /// The Unix socket of a software key.
    Unix(PathBuf),
    /// The TCP socket of a software key: host and port.
    Tcp(String),
    /// The UDP socket of a software key.
    Udp(SocketAddr),
    /// A card in the PC/SC reader with this name.
    Card(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidraw(path) => write!(f, "{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Card(reader) => write!(f, "pcsc:{reader}"),
        }
    }
}

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an address is a path as /dev/hidraw0, or unix:PATH, tcp:HOST:PORT, udp:IP:PORT, pcsc:READER"
)]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    /// Reads what `Display` writes, and what a software key says when it is ready.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = match text.split_once(':') {
            _ if text.starts_with('/') => Self::Hidraw(text.into()),
            Some((_, "")) | None => return Err(AddressError),
            Some(("unix", path)) => Self::Unix(path.into()),
            Some(("tcp", address)) if address.contains(':') => Self::Tcp(address.to_owned()),
            Some(("udp", address)) => Self::Udp(address.parse().map_err(|_| AddressError)?),
            Some(("report-pipe", path)) => Self::Hidraw(path.into()),
            Some(("pcsc", reader)) => Self::Card(reader.to_owned()),
            Some(_) => return Err(AddressError),
        };
        Ok(address)
    }
}

/// A key that was found, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub address: Address,
    /// What the system calls it. It comes from the device: escape it before it is shown.
    pub name: String,
    /// USB vendor and product.
    pub usb: Option<(u16, u16)>,
    /// Its serial number, where it tells one.
    pub serial: Option<String>,
    /// Where on the bus it is.
    pub position: Option<String>,
}

/// Why a key could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing at the address.
    #[error("there is no key at {0}")]
    Gone(Address),
    /// The system does not let this user.
    #[error("you may not open {address}: {help}")]
    Permission {
        /// Where the key is.
        address: Address,
        /// What to do about it.
        help: String,
    },
    /// Another failure of the system.
    #[error("{address}: {error}")]
    Io {
        /// Where the key is.
        address: Address,
        /// What the system says.
        error: io::Error,
    },
    /// Something is there, and is no key.
    #[error("{address} does not answer as a security key: {error}")]
    NoKey {
        /// Where it is.
        address: Address,
        /// What went wrong.
        error: TransactError,
    },
    /// The program cannot do this.
    #[error("{0}: this program was built without PC/SC (Cargo feature `pcsc`)")]
    WithoutPcsc(Address),
}

impl Address {
    /// Opens the key. `nonce` has to be random.
    ///
    /// # Errors
    ///
    /// [`OpenError`]
    pub fn connect(&self, nonce: [u8; 8]) -> Result<Box<dyn Connection>, OpenError> {
        let found = |error| self.explain(error);
        match self {
            Self::Hidraw(path) => self.hid(HidrawPort::open(path).map_err(found)?, nonce),
            Self::Unix(path) => self.hid(StreamPort::unix(path).map_err(found)?, nonce),
            Self::Tcp(address) => self.hid(tcp(address).map_err(found)?, nonce),
            Self::Udp(address) => self.hid(UdpPort::connect(*address).map_err(found)?, nonce),
            #[cfg(feature = "pcsc")]
            Self::Card(reader) => super::pcsc::CardKey::open(reader)
                .map(|card| Box::new(card) as Box<dyn Connection>)
                .map_err(|error| OpenError::NoKey {
                    address: self.clone(),
                    error,
                }),
            #[cfg(not(feature = "pcsc"))]
            Self::Card(_) => Err(OpenError::WithoutPcsc(self.clone())),
        }
    }

    /// Whether something is there now. A socket is tried; nothing is sent.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match self {
            Self::Hidraw(path) => path.exists(),
            Self::Unix(path) => UnixStream::connect(path).is_ok(),
            Self::Tcp(address) => tcp(address).is_ok(),
            #[cfg(feature = "pcsc")]
            Self::Card(reader) => super::pcsc::is_there(reader),
            #[cfg(not(feature = "pcsc"))]
            Self::Card(_) => false,
            Self::Udp(_) => true,
        }
    }

    fn hid<P: super::ReportPort + Send + 'static>(
        &self,
        port: P,
        nonce: [u8; 8],
    ) -> Result<Box<dyn Connection>, OpenError> {
        match HidKey::open(port, nonce) {
            Ok(key) => Ok(Box::new(key)),
            // Nobody at the other end of a datagram.
            Err(TransactError::Io(error)) => Err(self.explain(error)),
            Err(error) => Err(OpenError::NoKey {
                address: self.clone(),
                error,
            }),
        }
    }

    fn explain(&self, error: io::Error) -> OpenError {
        let address = self.clone();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => OpenError::Gone(address),
            io::ErrorKind::PermissionDenied => {
                let help = match self {
                    Self::Hidraw(path) => Places::default().permission_help(path),
                    _ => "it belongs to another user".to_owned(),
                };
                OpenError::Permission { address, help }
            }
            _ => OpenError::Io { address, error },
        }
    }
}

pub(super) fn tcp(address: &str) -> io::Result<StreamPort<TcpStream>> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(StreamPort {
                    stream,
                    received: Vec::new(),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn addresses_are_read_as_written() {
        for text in [
            "/dev/hidraw3",
            "unix:/tmp/key.sock",
            "tcp:localhost:9900",
            "tcp:[::1]:9900",
            "udp:127.0.0.1:8111",
            "pcsc:Virtual PCD 00 00",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let pipe: Address = "report-pipe:/dev/pts/3".parse().unwrap();
        assert_eq!(pipe, Address::Hidraw("/dev/pts/3".into()));
        for text in ["", "hidraw0", "unix:", "tcp:host", "udp:nowhere", "usb:1"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn nothing_there_is_told_from_something_else_there() {
        let gone = Address::Unix("/nonexistent/key".into());
        assert!(!gone.is_there());
        assert!(matches!(gone.connect([1; 8]), Err(OpenError::Gone(_))));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(free.local_addr().unwrap().to_string());
        drop(free);
        assert!(matches!(address.connect([1; 8]), Err(OpenError::Gone(_))));
        // Somebody who hangs up is no key.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        let other = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let error = address.connect([1; 8]).err().unwrap();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
        other.join().unwrap();
    }
}
