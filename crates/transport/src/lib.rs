//! Wires: in-memory pipe, Unix, TCP and UDP sockets and pseudo-terminals that carry CTAPHID reports,
//! and vpcd, which makes the key a card to PC/SC.
//!
//! The key's end of every wire is a [`Wire`]: what arrives is handed to an [`Inbox`] by the wire's own
//! thread, what the key says goes out with [`Wire::send`], which never blocks. The platform's end is a
//! [`host::ReportPort`], on which [`host::HidKey`] runs whole CTAPHID transactions.
//!
//! A wire moves bytes and knows nothing of CTAP: framing and arbitration are `ctap::hid` and
//! `ctap::iso7816`.

pub mod host;
pub mod memory;
mod outbox;
pub mod private_socket;
pub mod report_pipe;
pub mod stream;
pub mod udp;
pub mod uhid;
pub mod vpcd;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

pub use ctap::hid::{REPORT_SIZE, Report};
use outbox::Outbox;

/// What a wire carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 64-byte CTAPHID reports.
    Hid,
    /// APDUs.
    Card,
}

/// What comes to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A report ([`Kind::Hid`]).
    Report(Report),
    /// A command APDU ([`Kind::Card`]); the reader waits for one response.
    Apdu(Vec<u8>),
    /// The reader gives power ([`Kind::Card`]).
    PowerOn,
    /// The reader takes the power away ([`Kind::Card`]).
    PowerOff,
    /// The reader resets the card ([`Kind::Card`]): power off and on.
    Reset,
    /// The wire has ended, with the reason if it was not the other side's wish.
    Closed(Option<String>),
}

/// Where a wire puts what arrives.
#[derive(Clone)]
pub struct Inbox(Arc<dyn Fn(Arrival) -> bool + Send + Sync>);

impl Inbox {
    /// An inbox that calls `deliver`, from the wire's thread. It may block, which stops the wire
    /// from reading on; when it answers false the wire ends.
    pub fn new(deliver: impl Fn(Arrival) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(deliver))
    }

    /// An inbox of at most `bound` waiting arrivals, and where they come out.
    #[must_use]
    pub fn channel(bound: usize) -> (Self, Receiver<Arrival>) {
        let (sender, receiver) = sync_channel(bound);
        (
            Self::new(move |arrival| sender.send(arrival).is_ok()),
            receiver,
        )
    }

    /// Hands one arrival over; false when nobody takes it any more.
    #[must_use]
    pub fn deliver(&self, arrival: Arrival) -> bool {
        (self.0)(arrival)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

/// The key's end of a wire. Dropping it closes the wire and waits for its thread, which may wait for
/// room in the [`Inbox`]: let go of the inbox's other end first.
#[derive(Debug)]
pub struct Wire {
    kind: Kind,
    address: String,
    way: Way,
}

/// How messages leave.
#[derive(Debug)]
enum Way {
    /// By the thread that also reads.
    Thread(Arc<Outbox>, Option<JoinHandle<()>>),
    /// Straight to the other end, in memory.
    Direct(SyncSender<Vec<u8>>),
}

impl Wire {
    /// Starts `work` on a thread of its own. It ends when `outbox` is closed.
    fn start(
        kind: Kind,
        address: String,
        outbox: Arc<Outbox>,
        work: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new()
            .name("wire".to_owned())
            .spawn(work)?;
        Ok(Self {
            kind,
            address,
            way: Way::Thread(outbox, Some(thread)),
        })
    }

    /// What this wire carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the key can be reached: a scheme, a colon, and a path or socket address, as in
    /// `unix:/run/user/1000/key`, `tcp:127.0.0.1:7000` or `report-pipe:/dev/pts/3`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends one report or response APDU. Never blocks: when the other side does not read, messages,
    /// or the client that is stuck, are given up as a USB host would.
    pub fn send(&self, message: &[u8]) {
        match &self.way {
            Way::Thread(outbox, _) => outbox.push(message.to_vec()),
            Way::Direct(sender) => drop(sender.try_send(message.to_vec())),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let Way::Thread(outbox, thread) = &mut self.way else {
            return;
        };
        outbox.close();
        if let Some(thread) = thread.take()
            // From inside an inbox the wire's own thread comes here: it must not wait for itself.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
