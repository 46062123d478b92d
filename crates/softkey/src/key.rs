//! A key on a thread of its own, and the handle that owns it

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use authenticator::{
    FingerMatch, Interaction, MemoryStore, Profile, ProfileError, State, Store, UserEvent,
};
use getrandom::SysRng;
use rand_core::{CryptoRng, UnwrapErr};
use transport::{Arrival, Inbox, Wire};

use crate::engine::{Engine, Parts, Watcher};
use crate::prompts::{AutoTouch, Prompts};
use crate::store::{FileError, FileStore, Protection};

/// Arrivals that wait for the key; beyond it the wire stops reading.
const QUEUE: usize = 256;

/// Why a key could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The key's file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The wire, or a thread, could not be had.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a key is started with.
pub struct Options {
    parts: Parts,
    on_end: Option<OnEnd>,
}

/// Who is told that a key has ended.
type OnEnd = Box<dyn FnOnce(&Ended) + Send>;

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("profile", &self.parts.profile.id)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// A new key that is forgotten when it is dropped. It touches itself until
    /// [`Options::prompts`] says otherwise.
    #[must_use]
    pub fn ephemeral(profile: Profile) -> Self {
        let mut rng = system_rng();
        let state = State::fresh(&mut *rng);
        let store = MemoryStore::new(&state);
        Self::new(profile, state, Box::new(store))
    }

    /// The key that lives in a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or made.
    pub fn stored(
        profile: Profile,
        path: &Path,
        protection: &Protection,
    ) -> Result<Self, FileError> {
        let fresh = || State::fresh(&mut *system_rng());
        let (store, state) = FileStore::open_or_create(path, protection, fresh)?;
        Ok(Self::new(profile, state, Box::new(store)))
    }

    /// A key with this state, which `store` keeps.
    #[must_use]
    pub fn new(profile: Profile, state: State, store: Box<dyn Store + Send>) -> Self {
        let rng = system_rng();
        let prompts = Box::new(AutoTouch);
        Self {
            parts: Parts {
                profile,
                state,
                store,
                rng,
                prompts,
                watcher: None,
            },
            on_end: None,
        }
    }

    /// Who answers when the key asks for a touch or a finger.
    #[must_use]
    pub fn prompts(mut self, prompts: impl Prompts + 'static) -> Self {
        self.parts.prompts = Box::new(prompts);
        self
    }

    /// Who sees each request and answer.
    #[must_use]
    pub fn watcher(mut self, watcher: Watcher) -> Self {
        self.parts.watcher = Some(watcher);
        self
    }

    /// Another source of randomness, so that a run can be repeated.
    #[must_use]
    pub fn rng(mut self, rng: Box<dyn CryptoRng + Send>) -> Self {
        self.parts.rng = rng;
        self
    }

    /// Who is told, by the key's thread, that the key has ended.
    #[must_use]
    pub fn on_end(mut self, told: impl FnOnce(&Ended) + Send + 'static) -> Self {
        self.on_end = Some(Box::new(told));
        self
    }

    /// Puts the key on a wire and starts it.
    ///
    /// # Errors
    ///
    /// When the wire cannot be had, or the profile cannot be used.
    pub fn start(
        self,
        wire: impl FnOnce(Inbox) -> io::Result<Wire>,
    ) -> Result<RunningKey, StartError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let to_key = sender.clone();
        let wire = wire(Inbox::new(move |arrival| {
            to_key.send(Input::Arrival(arrival)).is_ok()
        }))?;
        let epoch = Instant::now();
        let engine = match Engine::new(self.parts, wire.kind(), epoch.elapsed()) {
            Ok(engine) => engine,
            Err(error) => {
                // Before the wire, whose thread may wait for room in it.
                drop(receiver);
                return Err(error.into());
            }
        };
        let shared = Arc::new(Shared::default());
        let address = wire.address().to_owned();
        let seen = Arc::clone(&shared);
        let on_end = self.on_end;
        let thread = std::thread::Builder::new()
            .name("key".to_owned())
            .spawn(move || {
                let reason = run(engine, wire, receiver, epoch, &seen);
                seen.update(|status| status.ended = Some(reason.clone()));
                if let Some(told) = on_end {
                    told(&reason);
                }
            })?;
        Ok(RunningKey {
            sender,
            shared,
            address,
            thread: Some(thread),
        })
    }
}

fn system_rng() -> Box<dyn CryptoRng + Send> {
    // A system without randomness cannot run a key: that is worth a panic of this thread.
    Box::new(UnwrapErr(SysRng))
}

/// What reaches the key's thread.
enum Input {
    Arrival(Arrival),
    User(UserEvent),
    PowerCycle,
    Stop,
}

/// How a key came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// [`RunningKey::stop`], or the handle was dropped.
    Stopped,
    /// The other side of the wire closed it.
    WireClosed,
    /// The wire broke.
    WireFailed(String),
    /// The store could not be written. What is durable is not known: the key must not go on.
    StoreFailed(String),
}

/// What the key's thread lets others see.
#[derive(Debug, Default)]
struct Status {
    asking: Option<Interaction>,
    winks: u64,
    ended: Option<Ended>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Status>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A key that runs. Dropping the handle takes it off its wire and waits for it to end; what it has
/// acknowledged is in its store.
#[derive(Debug)]
pub struct RunningKey {
    sender: SyncSender<Input>,
    shared: Arc<Shared>,
    address: String,
    thread: Option<JoinHandle<()>>,
}

impl RunningKey {
    /// Where the key can be reached; see [`Wire::address`].
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Touches the key. Without a wish of the key it has no effect.
    pub fn touch(&self) {
        self.input(Input::User(UserEvent::Touch));
    }

    /// Touches the key and holds it for five seconds, as a reset can want.
    pub fn long_touch(&self) {
        self.input(Input::User(UserEvent::LongTouch));
    }

    /// Lays a finger on the key's sensor.
    pub fn finger(&self, finger: FingerMatch) {
        self.input(Input::User(UserEvent::Finger(finger)));
    }

    /// Cuts the power and gives it back: open channels, tokens and half messages are gone.
    pub fn power_cycle(&self) {
        self.input(Input::PowerCycle);
    }

    fn input(&self, input: Input) {
        // A key that has ended wants nothing.
        let _ = self.sender.send(input);
    }

    /// What the key asks its user for at this moment.
    #[must_use]
    pub fn asking(&self) -> Option<Interaction> {
        self.shared.lock().asking.clone()
    }

    /// Waits until the key asks its user for something, or the time is over.
    #[must_use]
    pub fn wait_asking(&self, timeout: Duration) -> Option<Interaction> {
        self.wait(timeout, |status| status.asking.clone())
    }

    /// How often a platform made the key wink.
    #[must_use]
    pub fn winks(&self) -> u64 {
        self.shared.lock().winks
    }

    /// Waits until the key ends by itself, or the time is over.
    #[must_use]
    pub fn wait_ended(&self, timeout: Duration) -> Option<Ended> {
        self.wait(timeout, |status| status.ended.clone())
    }

    fn wait<T>(&self, timeout: Duration, look: impl Fn(&Status) -> Option<T>) -> Option<T> {
        let end = Instant::now() + timeout;
        let mut status = self.shared.lock();
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

    /// Ends the key.
    pub fn stop(mut self) -> Ended {
        self.join();
        self.shared.lock().ended.clone().unwrap_or(Ended::Stopped)
    }

    fn join(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        // The queue may be full of arrivals; the key works them off.
        let mut stop = Input::Stop;
        while let Err(TrySendError::Full(back)) = self.sender.try_send(stop) {
            stop = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        // A panic of the key's thread is a bug that its own message has reported.
        let _ = thread.join();
    }
}

impl Drop for RunningKey {
    fn drop(&mut self) {
        self.join();
    }
}

/// The key's thread.
fn run(
    mut engine: Engine,
    wire: Wire,
    receiver: Receiver<Input>,
    epoch: Instant,
    shared: &Shared,
) -> Ended {
    // The wire's own thread may wait for room in our queue, and dropping the wire waits for that
    // thread: the queue has to go first.
    let wire = wire;
    let receiver = receiver;
    loop {
        let input = match engine.deadline() {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => receiver.recv_timeout(at.saturating_sub(epoch.elapsed())),
        };
        let now = epoch.elapsed();
        match input {
            Ok(Input::Arrival(Arrival::Closed(reason))) => {
                return reason.map_or(Ended::WireClosed, Ended::WireFailed);
            }
            Ok(Input::Arrival(arrival)) => engine.receive(arrival, now),
            Ok(Input::User(event)) => engine.user(event, now),
            Ok(Input::PowerCycle) => engine.power_cycle(now),
            Err(RecvTimeoutError::Timeout) => engine.tick(now),
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return Ended::Stopped,
        }
        // First the status: whoever hears the answer must not see the key still asking.
        publish(&engine, shared);
        for message in engine.take_output() {
            wire.send(&message);
        }
        if let Some(reason) = engine.store_failed() {
            return Ended::StoreFailed(reason.to_owned());
        }
    }
}

fn publish(engine: &Engine, shared: &Shared) {
    let asking = engine.asking();
    let mut status = shared.lock();
    if status.asking.as_ref() != asking || status.winks != engine.winks() {
        status.asking = asking.cloned();
        status.winks = engine.winks();
        drop(status);
        shared.changed.notify_all();
    }
}
