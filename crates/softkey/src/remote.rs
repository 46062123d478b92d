//! What can be done to a key that runs, from any thread

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use authenticator::{FingerMatch, Interaction, UserEvent};
use transport::{Arrival, Inbox, Wire};

use crate::Ended;
use crate::events::KeyEvent;

/// How long a key may take to notice what is done to it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events that may wait for a subscriber; one that reads more slowly is dropped.
const EVENTS: usize = 1024;

/// What reaches the key's thread.
pub(crate) enum Input {
    /// From the wire of this generation: unplugging begins another one.
    Arrival(u64, Arrival),
    User(UserEvent),
    PowerCycle,
    Unplug,
    Plug(Wire),
    /// Says when everything before it is done.
    Sync(SyncSender<()>),
    Stop,
}

/// What the key's thread lets others see.
#[derive(Debug, Clone, Default)]
pub struct KeyStatus {
    /// What the key asks its user for.
    pub asking: Option<Interaction>,
    /// How often a platform made the key wink.
    pub winks: u64,
    /// Where it can be reached, while it is plugged in.
    pub plugged_at: Option<String>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    status: Mutex<KeyStatus>,
    changed: Condvar,
    generation: AtomicU64,
    subscribers: Mutex<Vec<SyncSender<KeyEvent>>>,
    /// Held while the wire is changed.
    plugging: Mutex<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn update(&self, change: impl FnOnce(&mut KeyStatus)) {
        change(&mut locked(&self.status));
        self.changed.notify_all();
    }

    /// Tells those who wait only if `change` says that something changed.
    pub(crate) fn update_if(&self, change: impl FnOnce(&mut KeyStatus) -> bool) {
        if change(&mut locked(&self.status)) {
            self.changed.notify_all();
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn announce(&self, event: &KeyEvent) {
        locked(&self.subscribers).retain(|to| to.try_send(event.clone()).is_ok());
    }
}

/// A handle on a running key that does not own it.
#[derive(Debug, Clone)]
pub struct Remote {
    sender: SyncSender<Input>,
    shared: Arc<Shared>,
}

impl Remote {
    pub(crate) fn new(sender: SyncSender<Input>, shared: Arc<Shared>) -> Self {
        Self { sender, shared }
    }

    /// Where the wire of now puts what arrives. It stops when the key is unplugged.
    pub(crate) fn inbox(&self) -> Inbox {
        let (sender, shared) = (self.sender.clone(), Arc::clone(&self.shared));
        let generation = shared.generation();
        Inbox::new(move |arrival| {
            let mut input = Input::Arrival(generation, arrival);
            loop {
                if shared.generation() != generation {
                    return false;
                }
                match sender.try_send(input) {
                    Ok(()) => return true,
                    Err(TrySendError::Disconnected(_)) => return false,
                    Err(TrySendError::Full(back)) => input = back,
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    }

    /// Touches the key. Without a wish of the key it has no effect.
    pub fn touch(&self) {
        self.user(UserEvent::Touch);
    }

    /// Touches the key and holds it for five seconds, as a reset can want.
    pub fn long_touch(&self) {
        self.user(UserEvent::LongTouch);
    }

    /// Lays a finger on the key's sensor.
    pub fn finger(&self, finger: FingerMatch) {
        self.user(UserEvent::Finger(finger));
    }

    /// Declines what the key asks for.
    pub fn deny(&self) {
        self.user(UserEvent::Deny);
    }

    /// Does something at the key.
    pub fn user(&self, event: UserEvent) {
        self.input(Input::User(event));
    }

    /// Cuts the power and gives it back: open channels, tokens and half messages are gone.
    pub fn power_cycle(&self) {
        self.input(Input::PowerCycle);
    }

    /// Takes the key off its wire: for the platform it is gone until [`Remote::plug`].
    pub fn unplug(&self) {
        let _one = locked(&self.shared.plugging);
        // First, so that the wire's thread does not wait for room while the key waits for that thread.
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.input(Input::Unplug);
        self.sync();
    }

    /// Puts the key on a new wire.
    ///
    /// # Errors
    ///
    /// When it is plugged in, has ended, or the wire cannot be had.
    pub fn plug(&self, wire: impl FnOnce(Inbox) -> io::Result<Wire>) -> io::Result<()> {
        let _one = locked(&self.shared.plugging);
        let status = self.status();
        if status.plugged_at.is_some() || status.ended.is_some() {
            let why = if status.ended.is_some() {
                "the key has ended"
            } else {
                "the key is plugged in"
            };
            return Err(io::Error::other(why));
        }
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.input(Input::Plug(wire(self.inbox())?));
        self.sync();
        Ok(())
    }

    /// Waits until the key has noticed all that was done to it; false when it does not.
    pub fn sync(&self) -> bool {
        let (done, noticed) = sync_channel(1);
        self.input(Input::Sync(done));
        noticed.recv_timeout(PATIENCE).is_ok()
    }

    /// Asks the key to end.
    pub fn end(&self) {
        // The queue may be full of arrivals; the key works them off.
        let mut stop = Input::Stop;
        while let Err(TrySendError::Full(back)) = self.sender.try_send(stop) {
            stop = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn input(&self, input: Input) {
        // A key that has ended wants nothing.
        let _ = self.sender.send(input);
    }

    /// How the key is at this moment.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        locked(&self.shared.status).clone()
    }

    /// What the key asks its user for at this moment.
    #[must_use]
    pub fn asking(&self) -> Option<Interaction> {
        locked(&self.shared.status).asking.clone()
    }

    /// Waits until the key asks its user for something, or the time is over.
    #[must_use]
    pub fn wait_asking(&self, timeout: Duration) -> Option<Interaction> {
        self.wait(timeout, |status| status.asking.clone())
    }

    /// How often a platform made the key wink.
    #[must_use]
    pub fn winks(&self) -> u64 {
        locked(&self.shared.status).winks
    }

    /// Waits until the key ends by itself, or the time is over.
    #[must_use]
    pub fn wait_ended(&self, timeout: Duration) -> Option<Ended> {
        self.wait(timeout, |status| status.ended.clone())
    }

    /// All that happens at the key from now on. Whoever does not keep up is dropped.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<KeyEvent> {
        let (sender, receiver) = sync_channel(EVENTS);
        locked(&self.shared.subscribers).push(sender);
        receiver
    }

    fn wait<T>(&self, timeout: Duration, look: impl Fn(&KeyStatus) -> Option<T>) -> Option<T> {
        let end = Instant::now() + timeout;
        let mut status = locked(&self.shared.status);
        loop {
            if let Some(found) = look(&status) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            status = match self.shared.changed.wait_timeout(status, left) {
                Ok((status, _)) => status,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}
