//! The wires that `pinward key run` puts a key on

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use softkey::StartError;
use transport::{Inbox, Wire, report_pipe, stream, udp, uhid, vpcd};

use crate::key_run::KeyRunError;

/// Where the key can be reached.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WireArgs {
    /// Be a card in the virtual reader of vsmartcard (pcscd with vpcd).
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = vpcd::DEFAULT_ADDRESS)]
    pub(crate) vpcd: Option<SocketAddr>,
    /// Listen on a Unix socket; it carries bare 64-byte CTAPHID reports.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Listen on a TCP socket; it carries bare 64-byte CTAPHID reports.
    #[arg(long, value_name = "ADDR:PORT")]
    tcp: Option<SocketAddr>,
    /// Take CTAPHID reports as UDP datagrams (other projects' simulators use port 8111).
    #[arg(long, value_name = "ADDR:PORT")]
    udp: Option<SocketAddr>,
    /// Speak as a hidraw node does, on a terminal or character device; `new` makes a pseudo-terminal.
    #[arg(long, value_name = "PATH|new")]
    report_pipe: Option<PathBuf>,
    /// Be a USB security key to the Linux kernel, by /dev/uhid: every program on this computer sees it.
    #[arg(long)]
    uhid: bool,
}

impl WireArgs {
    /// Puts the key on the wire.
    pub(crate) fn open(&self, inbox: Inbox) -> io::Result<Wire> {
        if let Some(address) = self.vpcd {
            return vpcd::connect(address, inbox);
        }
        if let Some(path) = &self.unix {
            return stream::listen_unix(path, inbox);
        }
        if let Some(address) = self.tcp {
            warn_if_open(address);
            return stream::listen_tcp(address, inbox);
        }
        if let Some(address) = self.udp {
            warn_if_open(address);
            return udp::bind(address, inbox);
        }
        if self.uhid {
            return uhid::create(&uhid::Identity::default(), inbox);
        }
        match self.report_pipe.as_deref() {
            Some(path) if path == Path::new("new") => report_pipe::create(inbox),
            Some(path) => report_pipe::open(path, inbox),
            // The command line has demanded one of them.
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Why that failed, and what to do.
    pub(crate) fn explain(&self, error: StartError) -> KeyRunError {
        let named = |wire: &dyn Display, hint| (wire.to_string(), hint);
        let (wire, hint) = match self {
            Self {
                vpcd: Some(address),
                ..
            } => named(address, "; is pcscd running, and is its vpcd reader free?"),
            Self {
                unix: Some(path), ..
            }
            | Self {
                report_pipe: Some(path),
                ..
            } => named(&path.display(), ""),
            Self {
                tcp: Some(address), ..
            }
            | Self {
                udp: Some(address), ..
            } => named(address, ""),
            _ => named(&uhid::DEVICE, ""),
        };
        match error {
            StartError::Io(error) => KeyRunError::Wire { wire, error, hint },
            StartError::Profile(error) => error.into(),
            StartError::File(error) => error.into(),
        }
    }
}

fn warn_if_open(address: SocketAddr) {
    if !address.ip().is_loopback() {
        eprintln!("warning: everybody who reaches {address} can use this key");
    }
}
