//! A bounded queue towards a wire's thread, and a file descriptor that wakes it from `poll`

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec};

/// Messages that wait for a wire's thread: the answers to the longest requests of several clients.
const LIMIT: usize = 1024;

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Vec<u8>>,
    closed: bool,
}

/// The key's side of the queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    wake: UnixStream,
}

/// The wire's side: what its thread polls.
#[derive(Debug)]
pub(crate) struct Waker {
    outbox: Arc<Outbox>,
    signal: UnixStream,
}

impl Outbox {
    pub(crate) fn new() -> io::Result<(Arc<Self>, Waker)> {
        let (wake, signal) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        signal.set_nonblocking(true)?;
        let outbox = Arc::new(Self {
            queue: Mutex::default(),
            wake,
        });
        let waker = Waker {
            outbox: Arc::clone(&outbox),
            signal,
        };
        Ok((outbox, waker))
    }

    pub(crate) fn push(&self, message: Vec<u8>) {
        let mut queue = self.lock();
        if queue.messages.len() >= LIMIT {
            queue.messages.pop_front();
        }
        queue.messages.push_back(message);
        drop(queue);
        self.wake();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    fn wake(&self) {
        // A full pipe wakes as well as one byte more would.
        let _ = (&self.wake).write(&[1]);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every state of the queue is a good one, so a panic elsewhere does not matter here.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waker {
    /// What to poll for, to learn of messages and of the end.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.signal, PollFlags::IN)
    }

    /// All waiting messages, or `None` when the wire shall end.
    pub(crate) fn take(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut bytes = [0; 64];
        while matches!(self.signal.read(&mut bytes), Ok(n) if n > 0) {}
        let mut queue = self.outbox.lock();
        if queue.closed {
            None
        } else {
            Some(queue.messages.drain(..).collect())
        }
    }
}

/// Waits until one of `fds` is ready, or `timeout` is over.
pub(crate) fn wait(fds: &mut [PollFd<'_>], timeout: Option<std::time::Duration>) -> io::Result<()> {
    let timeout = timeout.map(|t| Timespec {
        tv_sec: t.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    match rustix::event::poll(fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Whether a descriptor has something to read, or has ended (which reading tells).
pub(crate) fn readable(fd: &PollFd<'_>) -> bool {
    fd.revents()
        .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
}

/// Writes as much of `pending` as is taken now.
pub(crate) fn flush(writer: &mut impl Write, pending: &mut VecDeque<u8>) -> io::Result<()> {
    while !pending.is_empty() {
        match writer.write(pending.as_slices().0) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => drop(pending.drain(..n)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_come_out_in_order_and_the_end_is_told() {
        let (outbox, mut waker) = Outbox::new().unwrap();
        outbox.push(vec![1]);
        outbox.push(vec![2]);
        wait(&mut [waker.poll_fd()], None).unwrap();
        assert_eq!(waker.take(), Some(vec![vec![1], vec![2]]));
        assert_eq!(waker.take(), Some(vec![]));
        outbox.close();
        wait(&mut [waker.poll_fd()], None).unwrap();
        assert_eq!(waker.take(), None);
    }

    #[test]
    fn the_oldest_messages_give_way() {
        let (outbox, mut waker) = Outbox::new().unwrap();
        for i in 0..=LIMIT {
            outbox.push(i.to_be_bytes().to_vec());
        }
        let messages = waker.take().unwrap();
        assert_eq!(messages.len(), LIMIT);
        assert_eq!(messages[0], 1_usize.to_be_bytes());
    }
}
