//! One thread for each key: it opens the key, carries messages to it one after the other, and says what
//! came back. A key that is slow, or waits for its user, holds up nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use client::{Event, KeyId};
use ctap::{Status, response_bytes};
use transport::host::{Connection, Waiting};

use crate::device::{Key, Listed};
use crate::exit::Fault;

/// What a worker says.
#[derive(Debug)]
pub(crate) enum Said {
    /// The key is open.
    Opened(KeyId),
    /// It cannot be opened, or has gone.
    Lost(KeyId, Fault),
    /// Something for the ceremony.
    Event(Event),
}

/// A message for the key.
enum Message {
    Ctap2(Vec<u8>),
    U2f(Vec<u8>),
}

/// The handle of a worker. Dropping it ends the thread once the message under way has its answer.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) listed: Listed,
    jobs: Sender<(u64, Message)>,
    /// How many messages have been handed over.
    sent: u64,
    /// Up to which message nobody waits any more.
    cancelled: Arc<AtomicU64>,
    /// How many have their answer.
    answered: Arc<AtomicU64>,
}

impl Worker {
    /// Starts to open the key.
    pub(crate) fn start<T: From<Said> + Send + 'static>(
        key: KeyId,
        listed: Listed,
        said: Sender<T>,
    ) -> std::io::Result<Self> {
        let (jobs, todo) = channel();
        let cancelled = Arc::new(AtomicU64::new(0));
        let answered = Arc::new(AtomicU64::new(0));
        let work = Work {
            key,
            todo,
            cancelled: cancelled.clone(),
            answered: answered.clone(),
        };
        let of = listed.clone();
        std::thread::Builder::new()
            .name(format!("key {}", key.0))
            .spawn(move || work.run(of, &|what| said.send(what.into()).is_ok()))?;
        Ok(Self {
            listed,
            jobs,
            sent: 0,
            cancelled,
            answered,
        })
    }

    pub(crate) fn ctap2(&mut self, request: Vec<u8>) {
        self.hand_over(Message::Ctap2(request));
    }

    pub(crate) fn u2f(&mut self, apdu: Vec<u8>) {
        self.hand_over(Message::U2f(apdu));
    }

    fn hand_over(&mut self, message: Message) {
        self.sent += 1;
        // A thread that has ended has said so.
        let _ = self.jobs.send((self.sent, message));
    }

    /// Nobody waits for the answer to what was sent until now.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(self.sent, Ordering::SeqCst);
    }

    /// Whether an answer is still to come.
    pub(crate) fn is_busy(&self) -> bool {
        self.answered.load(Ordering::SeqCst) < self.sent
    }
}

struct Work {
    key: KeyId,
    todo: Receiver<(u64, Message)>,
    cancelled: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
}

impl Work {
    fn run(self, listed: Listed, say: &dyn Fn(Said) -> bool) {
        let mut connection = match Key::open(listed) {
            Ok(key) => key.into_connection(),
            Err(fault) => {
                say(Said::Lost(self.key, fault));
                return;
            }
        };
        if !say(Said::Opened(self.key)) {
            return;
        }
        while let Ok((number, message)) = self.todo.recv() {
            let answer = self.carry(&mut *connection, number, &message, say);
            self.answered.store(number, Ordering::SeqCst);
            let told = match answer {
                Ok(bytes) => say(Said::Event(Event::Reply {
                    key: self.key,
                    bytes,
                })),
                Err(fault) => {
                    say(Said::Lost(self.key, fault));
                    return;
                }
            };
            if !told {
                return;
            }
        }
    }

    fn carry(
        &self,
        connection: &mut dyn Connection,
        number: u64,
        message: &Message,
        say: &dyn Fn(Said) -> bool,
    ) -> Result<Vec<u8>, Fault> {
        match message {
            // What a key says to a command that it does not know; asking would break some.
            Message::Ctap2(_) if !connection.about().speaks_ctap2() => {
                Ok(response_bytes(Status::INVALID_COMMAND, &[]))
            }
            Message::Ctap2(request) => {
                let mut last = 0;
                let mut waiting = |status| {
                    if status != last {
                        last = status;
                        let key = self.key;
                        say(Said::Event(Event::KeepAlive { key, status }));
                    }
                    if self.cancelled.load(Ordering::SeqCst) >= number {
                        Waiting::Cancel
                    } else {
                        Waiting::GoOn
                    }
                };
                Ok(connection.ctap2(request, &mut waiting)?)
            }
            Message::U2f(apdu) => Ok(connection.u2f(apdu)?),
        }
    }
}
