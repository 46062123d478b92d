//! A key on a thread of its own, and the handle that owns it

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use authenticator::{MemoryStore, Profile, ProfileError, State, Store};
use getrandom::SysRng;
use rand_core::{CryptoRng, UnwrapErr};
use transport::{Arrival, Inbox, Wire};

use crate::engine::{Engine, Parts, Watcher};
use crate::events::{Announced, KeyEvent};
use crate::prompts::{AutoTouch, Prompts};
use crate::remote::{Input, Remote, Shared};
use crate::store::{FileError, FileStore, Protection, Witnesses};

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

    /// As [`Options::stored`], for a file that must not be older than what was last seen of it.
    ///
    /// # Errors
    ///
    /// As [`Options::stored`]; [`FileError::RolledBack`] for an old copy.
    pub fn watched(
        profile: Profile,
        path: &Path,
        protection: &Protection,
        witnesses: &Witnesses,
    ) -> Result<Self, FileError> {
        let fresh = || State::fresh(&mut *system_rng());
        let (store, state) = FileStore::open_or_create(path, protection, fresh)?;
        let store = store.watched(path, witnesses)?;
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

    pub(crate) fn into_parts(self) -> Parts {
        self.parts
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
        let shared = Arc::new(Shared::default());
        let remote = Remote::new(sender, Arc::clone(&shared));
        let wire = wire(remote.inbox())?;
        let epoch = Instant::now();
        let mut parts = self.parts;
        parts.prompts = Box::new(Announced::new(parts.prompts, Arc::clone(&shared)));
        let engine = match Engine::new(parts, wire.kind(), epoch.elapsed()) {
            Ok(engine) => engine,
            Err(error) => {
                // Before the wire, whose thread may wait for room in it.
                drop(receiver);
                return Err(error.into());
            }
        };
        let address = wire.address().to_owned();
        shared.update(|status| status.plugged_at = Some(address.clone()));
        let on_end = self.on_end;
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("key".to_owned())
            .spawn(move || {
                let reason = run(engine, wire, receiver, epoch, &seen);
                seen.update(|status| {
                    status.ended = Some(reason.clone());
                    status.plugged_at = None;
                });
                seen.announce(&KeyEvent::Ended(reason.clone()));
                if let Some(told) = on_end {
                    told(&reason);
                }
            })?;
        Ok(RunningKey {
            remote,
            address,
            thread: Some(thread),
        })
    }
}

fn system_rng() -> Box<dyn CryptoRng + Send> {
    // A system without randomness cannot run a key: that is worth a panic of this thread.
    Box::new(UnwrapErr(SysRng))
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

/// A key that runs, and through [`Remote`] what can be done to it. Dropping the handle takes it off its
/// wire and waits for it to end; what it has acknowledged is in its store.
#[derive(Debug)]
pub struct RunningKey {
    remote: Remote,
    address: String,
    thread: Option<JoinHandle<()>>,
}

impl Deref for RunningKey {
    type Target = Remote;
    fn deref(&self) -> &Remote {
        &self.remote
    }
}

impl RunningKey {
    /// Where the key could be reached when it started; see [`Wire::address`].
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A handle that does not own the key, for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Ends the key.
    pub fn stop(mut self) -> Ended {
        self.join();
        self.remote.status().ended.unwrap_or(Ended::Stopped)
    }

    fn join(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.remote.end();
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
    let mut wire = Some(wire);
    let receiver = receiver;
    loop {
        let input = match engine.deadline() {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => receiver.recv_timeout(at.saturating_sub(epoch.elapsed())),
        };
        let now = epoch.elapsed();
        match input {
            // From a wire that the key does not hang on any more.
            Ok(Input::Arrival(generation, _)) if generation != shared.generation() => {}
            Ok(Input::Arrival(_, Arrival::Closed(reason))) => {
                return reason.map_or(Ended::WireClosed, Ended::WireFailed);
            }
            Ok(Input::Arrival(_, arrival)) => engine.receive(arrival, now),
            Ok(Input::User(event)) => engine.user(event, now),
            Ok(Input::PowerCycle) => {
                engine.power_cycle(now);
                shared.announce(&KeyEvent::PowerCycled);
            }
            Ok(Input::Unplug) => {
                engine.power_cycle(now);
                publish(&engine, shared);
                wire = None;
                shared.update(|status| status.plugged_at = None);
                shared.announce(&KeyEvent::Unplugged);
            }
            Ok(Input::Plug(new)) => {
                engine.plug(new.kind(), now);
                let address = new.address().to_owned();
                wire = Some(new);
                shared.update(|status| status.plugged_at = Some(address.clone()));
                shared.announce(&KeyEvent::Plugged(address));
            }
            Ok(Input::Sync(done)) => drop(done.send(())),
            Err(RecvTimeoutError::Timeout) => engine.tick(now),
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return Ended::Stopped,
        }
        // First the status: whoever hears the answer must not see the key still asking.
        publish(&engine, shared);
        for message in engine.take_output() {
            if let Some(wire) = &wire {
                wire.send(&message);
            }
        }
        if let Some(reason) = engine.store_failed() {
            return Ended::StoreFailed(reason.to_owned());
        }
    }
}

fn publish(engine: &Engine, shared: &Shared) {
    let asking = engine.asking();
    shared.update_if(|status| {
        let changed = status.asking.as_ref() != asking || status.winks != engine.winks();
        if changed {
            status.asking = asking.cloned();
            status.winks = engine.winks();
        }
        changed
    });
}
