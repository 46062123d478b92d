//! UHID: a USB security key to the Linux kernel, and by it to every program that looks for one
//!
//! CTAP 2.3 §11.2.8 gives the report descriptor; the events are those of `linux/uhid.h`, each one
//! `read` or `write` of a packed structure in the byte order of the machine. The kernel takes
//! shortened events and fills them up with zeros.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::outbox::{Outbox, Waker, readable, wait};
use crate::{Arrival, Inbox, Kind, REPORT_SIZE, Report, Wire};

/// Where the kernel takes new devices.
pub const DEVICE: &str = "/dev/uhid";

/// CTAP 2.3 §11.2.8.1: one input and one output report of 64 bytes on the FIDO usage page.
pub const REPORT_DESCRIPTOR: [u8; 34] = [
    0x06, 0xD0, 0xF1, // Usage Page (FIDO Alliance)
    0x09, 0x01, // Usage (CTAPHID)
    0xA1, 0x01, // Collection (Application)
    0x09, 0x20, //   Usage (data to the platform)
    0x15, 0x00, //   Logical Minimum (0)
    0x26, 0xFF, 0x00, //   Logical Maximum (255)
    0x75, 0x08, //   Report Size (8 bits)
    0x95, 0x40, //   Report Count (64)
    0x81, 0x02, //   Input (Data, Variable, Absolute)
    0x09, 0x21, //   Usage (data to the authenticator)
    0x15, 0x00, //   Logical Minimum (0)
    0x26, 0xFF, 0x00, //   Logical Maximum (255)
    0x75, 0x08, //   Report Size (8 bits)
    0x95, 0x40, //   Report Count (64)
    0x91, 0x02, //   Output (Data, Variable, Absolute)
    0xC0, // End Collection
];

/// `sizeof(struct uhid_event)`: the type and its largest body, that of CREATE2.
const EVENT_SIZE: usize = 4 + 4372;
/// `UHID_DATA_MAX`
const DATA_MAX: usize = 4096;
/// `BUS_USB`: clients look for security keys nowhere else.
const BUS_USB: u16 = 3;
/// What a GET_REPORT or SET_REPORT gets: the FIDO interface has no use for them.
const EIO: u16 = 5;

/// `enum uhid_event_type`, as far as it is used here.
mod kind {
    pub(super) const DESTROY: u32 = 1;
    pub(super) const OUTPUT: u32 = 6;
    pub(super) const GET_REPORT: u32 = 9;
    pub(super) const GET_REPORT_REPLY: u32 = 10;
    pub(super) const CREATE2: u32 = 11;
    pub(super) const INPUT2: u32 = 12;
    pub(super) const SET_REPORT: u32 = 13;
    pub(super) const SET_REPORT_REPLY: u32 = 14;
}

/// What the device is called. No USB key has a vendor's numbers here: these are of pid.codes' range
/// for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name that clients show; cut at 127 bytes.
    pub name: String,
    /// A serial number, or empty; cut at 63 bytes.
    pub serial: String,
    /// USB vendor.
    pub vendor: u32,
    /// USB product.
    pub product: u32,
    /// The device's version, as in `bcdDevice`.
    pub version: u32,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            name: "Pinward software security key".to_owned(),
            serial: String::new(),
            vendor: 0x1209,
            product: 0x0001,
            version: 0x0001,
        }
    }
}

/// Plugs a key into the kernel.
///
/// # Errors
///
/// When there is no UHID, or this user may not use it; the message says what to do.
pub fn create(identity: &Identity, inbox: Inbox) -> io::Result<Wire> {
    create_at(Path::new(DEVICE), identity, inbox)
}

/// As [`create`], with another path to UHID.
///
/// # Errors
///
/// As [`create`].
pub fn create_at(device: &Path, identity: &Identity, inbox: Inbox) -> io::Result<Wire> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(device)
        .map_err(|error| advise(&error))?;
    from_fd(file.into(), identity, inbox)
}

/// What to do about an error of opening the device.
fn advise(error: &io::Error) -> io::Error {
    let missing = [Errno::NODEV, Errno::NXIO].map(|e| Some(e.raw_os_error()));
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "load the kernel's module: `modprobe uhid` (CONFIG_UHID)",
        io::ErrorKind::PermissionDenied => {
            "run as root, or let a group use it with the udev rule \
             KERNEL==\"uhid\", SUBSYSTEM==\"misc\", MODE=\"0660\", GROUP=\"...\""
        }
        _ if missing.contains(&error.raw_os_error()) => {
            "this kernel has no UHID, or its module does not load (`modprobe uhid`)"
        }
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), format!("{error}; {advice}"))
}

/// Takes an open `/dev/uhid`, or something that carries its events; each `read` gives one.
///
/// # Errors
///
/// When the kernel refuses the device, or the system a thread.
pub fn from_fd(fd: OwnedFd, identity: &Identity, inbox: Inbox) -> io::Result<Wire> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    let mut file = File::from(fd);
    file.write_all(&create2(identity))?;
    let (outbox, waker) = Outbox::new()?;
    let address = format!("uhid:{}", identity.name);
    Wire::start(Kind::Hid, address, outbox, move || {
        let end = run(&mut file, waker, &inbox);
        // The kernel would do it itself when the file is closed.
        let _ = file.write_all(&kind::DESTROY.to_ne_bytes());
        if let Some(reason) = end {
            let _ = inbox.deliver(Arrival::Closed(reason));
        }
    })
}

/// Moves reports until the key or the kernel ends; then says why, if the key has to know.
fn run(file: &mut File, mut waker: Waker, inbox: &Inbox) -> Option<Option<String>> {
    loop {
        let input = {
            let mut fds = [waker.poll_fd(), PollFd::new(file, PollFlags::IN)];
            if let Err(e) = wait(&mut fds, None) {
                return Some(Some(e.to_string()));
            }
            readable(&fds[1])
        };
        for message in waker.take()? {
            match file.write_all(&input2(&message)) {
                Ok(()) => {}
                // Nobody can be told to wait on USB either: the report is lost.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Some(Some(e.to_string())),
            }
        }
        if !input {
            continue;
        }
        let mut buffer = [0; EVENT_SIZE];
        let event = match file.read(&mut buffer) {
            Ok(0) => return Some(None),
            Ok(n) => Event::parse(buffer.get(..n).unwrap_or_default()),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Err(e) => return Some(Some(e.to_string())),
        };
        match event {
            Event::Output(report) => {
                if !inbox.deliver(Arrival::Report(report)) {
                    return None;
                }
            }
            Event::Asks(reply) => {
                if let Err(e) = file.write_all(&reply) {
                    return Some(Some(e.to_string()));
                }
            }
            Event::Other => {}
        }
    }
}

/// What the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    /// A report for the key.
    Output(Report),
    /// A question, with the refusal to send back.
    Asks(Vec<u8>),
    /// A driver takes the device or leaves it, a client opens or closes it; a key has the same power
    /// all the time.
    Other,
}

impl Event {
    fn parse(event: &[u8]) -> Self {
        let Some((kind, body)) = event.split_first_chunk::<4>() else {
            return Self::Other;
        };
        match u32::from_ne_bytes(*kind) {
            kind::OUTPUT => output(body).map_or(Self::Other, Self::Output),
            kind::GET_REPORT => refuse(kind::GET_REPORT_REPLY, body),
            kind::SET_REPORT => refuse(kind::SET_REPORT_REPLY, body),
            _ => Self::Other,
        }
    }
}

/// `struct uhid_output_req`: data, size, report type. hidraw passes on what its client wrote: the
/// report number 0, then the report.
fn output(body: &[u8]) -> Option<Report> {
    let (data, rest) = body.split_at_checked(DATA_MAX)?;
    let size = u16::from_ne_bytes(*rest.first_chunk()?);
    let data = data.get(..usize::from(size))?;
    match data {
        [0, report @ ..] if report.len() == REPORT_SIZE => report.try_into().ok(),
        _ => data.try_into().ok(),
    }
}

/// `struct uhid_get_report_reply_req` and `struct uhid_set_report_reply_req`: the question's
/// number and an error.
fn refuse(kind: u32, body: &[u8]) -> Event {
    let Some(id) = body.first_chunk::<4>() else {
        return Event::Other;
    };
    let mut reply = kind.to_ne_bytes().to_vec();
    reply.extend_from_slice(id);
    reply.extend_from_slice(&EIO.to_ne_bytes());
    if kind == kind::GET_REPORT_REPLY {
        reply.extend_from_slice(&0_u16.to_ne_bytes());
    }
    Event::Asks(reply)
}

/// `struct uhid_create2_req`: name, phys, uniq, rd_size, bus, vendor, product, version, country,
/// rd_data.
fn create2(identity: &Identity) -> Vec<u8> {
    let mut event = Vec::with_capacity(EVENT_SIZE);
    event.extend_from_slice(&kind::CREATE2.to_ne_bytes());
    push_text(&mut event, &identity.name, 128);
    push_text(&mut event, "pinward", 64);
    push_text(&mut event, &identity.serial, 64);
    let size = u16::try_from(REPORT_DESCRIPTOR.len()).unwrap_or(0);
    event.extend_from_slice(&size.to_ne_bytes());
    event.extend_from_slice(&BUS_USB.to_ne_bytes());
    for number in [identity.vendor, identity.product, identity.version, 0] {
        event.extend_from_slice(&number.to_ne_bytes());
    }
    event.extend_from_slice(&REPORT_DESCRIPTOR);
    event
}

/// A text in a field of fixed size, with at least one zero byte after it.
fn push_text(event: &mut Vec<u8>, text: &str, size: usize) {
    let end = event.len() + size;
    let mut cut = text.len().min(size - 1);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    event.extend_from_slice(text.get(..cut).unwrap_or_default().as_bytes());
    event.resize(end, 0);
}

/// `struct uhid_input2_req`: size and data.
fn input2(report: &[u8]) -> Vec<u8> {
    let report = report.get(..report.len().min(DATA_MAX)).unwrap_or_default();
    let mut event = kind::INPUT2.to_ne_bytes().to_vec();
    let size = u16::try_from(report.len()).unwrap_or(0);
    event.extend_from_slice(&size.to_ne_bytes());
    event.extend_from_slice(report);
    event
}

#[cfg(test)]
#[path = "uhid_tests.rs"]
mod tests;
