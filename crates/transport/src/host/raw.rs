//! The bare wire to a key, for those who check how the key frames its messages.

use std::fmt;
use std::io;

use super::address::tcp;
use super::hidraw::HidrawPort;
use super::{Address, ReportPort, StreamPort, UdpPort};

/// Sends an APDU and brings the answer.
pub type Transmit = Box<dyn FnMut(&[u8]) -> io::Result<Vec<u8>> + Send>;

/// The bare wire to a key.
pub enum RawPort {
    /// CTAPHID reports.
    Reports(Box<dyn ReportPort + Send>),
    /// APDUs; no applet is selected.
    Card(Transmit),
}

impl fmt::Debug for RawPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reports(_) => "RawPort::Reports",
            Self::Card(_) => "RawPort::Card",
        })
    }
}

impl Address {
    /// Opens the wire and says nothing on it yet.
    ///
    /// # Errors
    ///
    /// When nobody is there, or this program was built without PC/SC.
    pub fn open_raw(&self) -> io::Result<RawPort> {
        Ok(RawPort::Reports(match self {
            Self::Hidraw(path) => Box::new(HidrawPort::open(path)?),
            Self::Unix(path) => Box::new(StreamPort::unix(path)?),
            Self::Tcp(address) => Box::new(tcp(address)?),
            Self::Udp(address) => Box::new(UdpPort::connect(*address)?),
            Self::Card(reader) => return card(reader),
        }))
    }
}

#[cfg(feature = "pcsc")]
fn card(reader: &str) -> io::Result<RawPort> {
    super::pcsc::transmitter(reader).map(RawPort::Card)
}

#[cfg(not(feature = "pcsc"))]
fn card(_: &str) -> io::Result<RawPort> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this program was built without PC/SC (Cargo feature `pcsc`)",
    ))
}
