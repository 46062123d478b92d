//! Reports on a pseudo-terminal, a character device, or any open file
//!
//! This is the key's end of a mocked `/dev/hidraw` node: umockdev's test bed, USB gadgets and test
//! harnesses hand out such files. As on hidraw, a client writes 65 bytes (report number 0 and a
//! report) and reads 64. Clients that write bare 64-byte reports are understood too: the INIT on
//! broadcast with which every client begins tells the two apart.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios};

use crate::outbox::{Outbox, Waker, flush, readable, wait};
use crate::{Arrival, Inbox, Kind, REPORT_SIZE, Report, Wire};

/// After such a pause in the middle of a report, its writer is taken for dead.
const WRITER_PATIENCE: Duration = Duration::from_millis(200);
/// Reports that nobody reads: as many as hidraw keeps for a client.
const MAX_BACKLOG: usize = 64 * REPORT_SIZE;

/// Makes a pseudo-terminal; clients open the path in [`Wire::address`]. Only this user may.
///
/// # Errors
///
/// When the system has no pseudo-terminals left, or refuses a thread.
pub fn create(inbox: Inbox) -> io::Result<Wire> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let path = PathBuf::from(name.to_string_lossy().into_owned());
    // Held open, so that the last client's close does not hang the terminal up for the next one.
    let theirs = open_file(&path)?;
    set_raw(&theirs)?;
    let address = format!("report-pipe:{}", path.display());
    serve(ours, Some(theirs), address, inbox)
}

/// Opens an existing pseudo-terminal or character device.
///
/// # Errors
///
/// When it cannot be opened, or a terminal cannot be put into raw mode.
pub fn open(path: &Path, inbox: Inbox) -> io::Result<Wire> {
    let address = format!("report-pipe:{}", path.display());
    from_fd(open_file(path)?.into(), address, inbox)
}

/// Takes an open descriptor: a terminal, a socket of a pair, a character device. It is made
/// non-blocking, which others who share the open file will notice.
///
/// # Errors
///
/// When a terminal cannot be put into raw mode, or the system refuses a thread.
pub fn from_fd(fd: OwnedFd, address: String, inbox: Inbox) -> io::Result<Wire> {
    if rustix::termios::isatty(&fd) {
        set_raw(&fd)?;
    }
    serve(fd, None, address, inbox)
}

fn open_file(path: &Path) -> io::Result<File> {
    // Never become the controlling terminal's owner.
    let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap_or(0);
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
}

/// No echo, no line editing, no translation; one read gives one report, as hidraw does.
fn set_raw(fd: impl AsFd) -> io::Result<()> {
    let mut mode: Termios = rustix::termios::tcgetattr(&fd)?;
    mode.make_raw();
    mode.special_codes[SpecialCodeIndex::VMIN] = u8::try_from(REPORT_SIZE).unwrap_or(1);
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    Ok(rustix::termios::tcsetattr(
        &fd,
        OptionalActions::Now,
        &mode,
    )?)
}

fn serve(fd: OwnedFd, held: Option<File>, address: String, inbox: Inbox) -> io::Result<Wire> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    let (outbox, waker) = Outbox::new()?;
    Wire::start(Kind::Hid, address, outbox, move || {
        let _held = held;
        if let Some(reason) = run(&mut File::from(fd), waker, &inbox) {
            let _ = inbox.deliver(Arrival::Closed(reason));
        }
    })
}

/// Moves reports until the key or the other side ends; then says why, if the key has to know.
fn run(file: &mut File, mut waker: Waker, inbox: &Inbox) -> Option<Option<String>> {
    let mut decoder = Decoder::default();
    let mut pending = VecDeque::new();
    let mut last_read = Instant::now();
    loop {
        let (input, output) = {
            let write = if pending.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            let mut fds = [waker.poll_fd(), PollFd::new(file, PollFlags::IN | write)];
            let patience = (!decoder.buffer.is_empty()).then_some(WRITER_PATIENCE);
            if let Err(e) = wait(&mut fds, patience) {
                return Some(Some(e.to_string()));
            }
            (readable(&fds[1]), fds[1].revents().contains(PollFlags::OUT))
        };
        let messages = waker.take()?;
        let had_messages = !messages.is_empty();
        for message in messages {
            if pending.len() + message.len() <= MAX_BACKLOG {
                pending.extend(message);
            }
        }
        if (had_messages || output)
            && let Err(e) = flush(file, &mut pending)
        {
            return Some(Some(e.to_string()));
        }
        if input {
            let mut buffer = [0; 16 * (REPORT_SIZE + 1)];
            match file.read(&mut buffer) {
                Ok(0) => return Some(None),
                Ok(n) => decoder
                    .buffer
                    .extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                // EIO: the other side of a pseudo-terminal was closed.
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Some(None);
                }
                Err(e) => return Some(Some(e.to_string())),
            }
            while let Some(report) = decoder.next() {
                if !inbox.deliver(Arrival::Report(report)) {
                    return None;
                }
            }
            last_read = Instant::now();
        } else if last_read.elapsed() >= WRITER_PATIENCE {
            decoder.buffer.clear();
        }
    }
}

/// Cuts what was read into reports.
#[derive(Debug, Default)]
struct Decoder {
    buffer: Vec<u8>,
    /// Whether a report number comes before each report; unknown before the first one.
    numbered: Option<bool>,
}

impl Decoder {
    fn next(&mut self) -> Option<Report> {
        let numbered = match self.buffer.as_slice() {
            [0xFF, 0xFF, 0xFF, 0xFF, ..] => false,
            [0, 0xFF, 0xFF, 0xFF, 0xFF, ..] => true,
            [first, _, _, _, _, ..] => self.numbered.unwrap_or(*first == 0),
            _ => return None,
        };
        self.numbered = Some(numbered);
        let start = usize::from(numbered);
        let report = self
            .buffer
            .get(start..start + REPORT_SIZE)?
            .try_into()
            .ok()?;
        self.buffer.drain(..start + REPORT_SIZE);
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::Receiver;

    const SOON: Duration = Duration::from_secs(5);

    fn client(wire: &Wire) -> File {
        let path = wire.address().strip_prefix("report-pipe:").unwrap();
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap()
    }

    fn report(arrivals: &Receiver<Arrival>) -> Report {
        match arrivals.recv_timeout(SOON).unwrap() {
            Arrival::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// A report with every byte value that a terminal could want to interpret.
    fn nasty(channel: u8) -> Report {
        core::array::from_fn(|i| match i {
            0..4 => channel,
            _ => [3, 4, 8, 10, 13, 17, 19, 21, 26, 28, 127, 0, 255, 9][i % 14],
        })
    }

    #[test]
    fn a_terminal_carries_numbered_reports_in_and_bare_ones_out() {
        let (inbox, arrivals) = Inbox::channel(8);
        let wire = create(inbox).unwrap();
        for _ in 0..2 {
            // Two clients, one after the other: the terminal stays usable in between.
            let mut client = client(&wire);
            for channel in [0xFF, 1, 0] {
                client
                    .write_all(&[&[0][..], &nasty(channel)].concat())
                    .unwrap();
                assert_eq!(report(&arrivals), nasty(channel));
            }
            wire.send(&nasty(1));
            let mut back = [0; 65];
            assert_eq!(client.read(&mut back).unwrap(), 64, "one read, one report");
            assert_eq!(back[..64], nasty(1));
        }
    }

    #[test]
    fn bare_reports_are_told_by_the_first_init() {
        let (inbox, arrivals) = Inbox::channel(8);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let wire = from_fd(ours.into(), "report-pipe:pair".to_owned(), inbox).unwrap();
        for channel in [0xFF, 0, 1] {
            theirs.write_all(&nasty(channel)).unwrap();
            assert_eq!(report(&arrivals), nasty(channel));
        }
        // Another client on the same pipe, which writes report numbers.
        for channel in [0xFF, 0, 1] {
            theirs
                .write_all(&[&[0][..], &nasty(channel)].concat())
                .unwrap();
            assert_eq!(report(&arrivals), nasty(channel));
        }
        drop(theirs);
        assert_eq!(arrivals.recv_timeout(SOON).unwrap(), Arrival::Closed(None));
        drop(wire);
    }

    #[test]
    fn split_and_joined_writes_are_put_right() {
        let mut decoder = Decoder::default();
        let stream = [&[0][..], &[0xFF; 64], &[0], &[1; 64], &[0], &[2; 64]].concat();
        let mut reports = Vec::new();
        for byte in stream {
            decoder.buffer.push(byte);
            reports.extend(decoder.next());
        }
        assert_eq!(reports, [[0xFF; 64], [1; 64], [2; 64]]);
    }

    #[test]
    fn a_writer_that_died_in_a_report_does_not_spoil_the_next() {
        let (inbox, arrivals) = Inbox::channel(8);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let _wire = from_fd(ours.into(), "report-pipe:pair".to_owned(), inbox).unwrap();
        theirs.write_all(&[0; 30]).unwrap();
        std::thread::sleep(WRITER_PATIENCE * 3);
        theirs.write_all(&[&[0][..], &[0xFF; 64]].concat()).unwrap();
        assert_eq!(report(&arrivals), [0xFF; 64]);
    }

    #[test]
    fn a_client_that_does_not_read_does_not_stop_the_key() {
        let (inbox, arrivals) = Inbox::channel(8);
        let wire = create(inbox).unwrap();
        let mut client = client(&wire);
        for _ in 0..10_000 {
            wire.send(&[1; 64]);
        }
        client.write_all(&[&[0][..], &[0xFF; 64]].concat()).unwrap();
        assert_eq!(report(&arrivals), [0xFF; 64]);
    }

    #[test]
    fn a_pipe_can_be_opened_by_its_path() {
        let (inbox, arrivals) = Inbox::channel(8);
        let (inbox2, arrivals2) = Inbox::channel(8);
        let one = create(inbox).unwrap();
        let path = one.address().strip_prefix("report-pipe:").unwrap();
        let two = open(Path::new(path), inbox2).unwrap();
        assert_eq!(two.address(), one.address());
        two.send(&[0xFF; 64]);
        assert_eq!(report(&arrivals), [0xFF; 64]);
        one.send(&[0xFF; 64]);
        assert_eq!(report(&arrivals2), [0xFF; 64]);
        let (inbox, _arrivals) = Inbox::channel(8);
        assert!(open(Path::new("/nonexistent"), inbox).is_err());
    }
}
