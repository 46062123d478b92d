//! Unix and TCP sockets: a stream of bare 64-byte reports in either direction, without any framing
//!
//! Several clients may be connected at once. As on a USB bus, they share one key: every report of the
//! key goes to all of them, and CTAPHID channels tell them apart.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};

use crate::outbox::{Outbox, Waker, flush, wait};
use crate::private_socket::{self, SocketFile};
use crate::{Arrival, Inbox, Kind, REPORT_SIZE, Report, Wire};

/// More clients than this are turned away.
const MAX_CLIENTS: usize = 64;
/// A client that has not read this many bytes is given up: two of the longest messages.
const MAX_BACKLOG: usize = 4 * 129 * REPORT_SIZE;

/// Listens on a Unix socket at `path`, which only this user may connect to.
///
/// A socket file that nobody listens on any more is replaced.
///
/// # Errors
///
/// When somebody else listens there, something other than a socket is in the way, or the file cannot
/// be made.
pub fn listen_unix(path: &Path, inbox: Inbox) -> io::Result<Wire> {
    let (listener, file) = private_socket::bind(path)?;
    listener.set_nonblocking(true)?;
    let address = format!("unix:{}", path.display());
    serve(
        Listener::Unix {
            listener,
            _file: file,
        },
        address,
        inbox,
    )
}

/// Listens on a TCP socket; port 0 takes any free one, which [`Wire::address`] tells.
///
/// Whoever can connect can use the key: listen on loopback unless you mean it.
///
/// # Errors
///
/// When the address cannot be resolved or bound.
pub fn listen_tcp(address: impl ToSocketAddrs, inbox: Inbox) -> io::Result<Wire> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = format!("tcp:{}", listener.local_addr()?);
    serve(Listener::Tcp(listener), address, inbox)
}

#[derive(Debug)]
enum Listener {
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
    Tcp(TcpListener),
}

impl Listener {
    fn poll_fd(&self) -> PollFd<'_> {
        let fd = match self {
            Self::Unix { listener, .. } => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        };
        PollFd::from_borrowed_fd(fd, PollFlags::IN)
    }

    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(stream))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buf),
            Self::Tcp(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(buf),
            Self::Tcp(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connected client.
#[derive(Debug)]
struct Client {
    stream: Stream,
    received: Vec<u8>,
    pending: VecDeque<u8>,
    gone: bool,
}

impl Client {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            pending: VecDeque::new(),
            gone: false,
        }
    }

    fn poll_fd(&self) -> PollFd<'_> {
        let fd = match &self.stream {
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tcp(stream) => stream.as_fd(),
        };
        let write = if self.pending.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::OUT
        };
        PollFd::from_borrowed_fd(fd, PollFlags::IN | write)
    }

    /// Reads once, so that no client can keep the others waiting.
    fn read(&mut self) -> Vec<Report> {
        let mut buffer = [0; 16 * REPORT_SIZE];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.gone = true,
            Ok(n) => self
                .received
                .extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => self.gone = true,
        }
        let (reports, rest) = self.received.as_chunks::<REPORT_SIZE>();
        let (reports, rest) = (reports.to_vec(), rest.to_vec());
        self.received = rest;
        reports
    }

    fn write(&mut self, message: &[u8]) {
        self.pending.extend(message);
        self.flush();
        self.gone |= self.pending.len() > MAX_BACKLOG;
    }

    fn flush(&mut self) {
        self.gone |= flush(&mut self.stream, &mut self.pending).is_err();
    }
}

fn serve(listener: Listener, address: String, inbox: Inbox) -> io::Result<Wire> {
    let (outbox, waker) = Outbox::new()?;
    Wire::start(Kind::Hid, address, outbox, move || {
        run(&listener, waker, &inbox)
    })
}

fn run(listener: &Listener, mut waker: Waker, inbox: &Inbox) {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let ready: Vec<PollFlags> = {
            let mut fds = vec![waker.poll_fd(), listener.poll_fd()];
            fds.extend(clients.iter().map(Client::poll_fd));
            if let Err(e) = wait(&mut fds, None) {
                let _ = inbox.deliver(Arrival::Closed(Some(e.to_string())));
                return;
            }
            fds.iter().map(PollFd::revents).collect()
        };
        let Some(messages) = waker.take() else { return };
        for message in &messages {
            clients.iter_mut().for_each(|client| client.write(message));
        }
        for (client, flags) in clients.iter_mut().zip(ready.iter().skip(2)) {
            if flags.contains(PollFlags::OUT) {
                client.flush();
            }
            if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                for report in client.read() {
                    if !inbox.deliver(Arrival::Report(report)) {
                        return;
                    }
                }
            }
        }
        clients.retain(|client| !client.gone);
        if ready
            .get(1)
            .is_some_and(|flags| flags.contains(PollFlags::IN))
        {
            accept(listener, &mut clients);
        }
    }
}

fn accept(listener: &Listener, clients: &mut Vec<Client>) {
    // One at a time: poll comes back at once when more are waiting. One too many is dropped.
    match listener.accept() {
        Ok(stream) if clients.len() < MAX_CLIENTS => clients.push(Client::new(stream)),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
        // Out of descriptors: do not spin.
        Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
