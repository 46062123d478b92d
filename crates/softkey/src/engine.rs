//! The key between its wire and its user, without threads and clocks
//!
//! [`Engine`] takes what arrives and the time, and gives back what to send. [`crate::RunningKey`]
//! puts it on a thread.

use core::fmt;
use core::time::Duration;

use authenticator::{
    Authenticator, Change, Channel, Env, Interaction, Profile, ProfileError, Progress, State,
    Store, StoreError, UserEvent,
};
use ctap::hid::keepalive;
use ctap::iso7816::StatusWord;
use ctap::u2f;
use rand_core::CryptoRng;
use transport::{Arrival, Kind};

use crate::link::{Demand, Link, Work};
use crate::prompts::Prompts;

/// One request and its answer, for those who watch. `Debug` shows sizes only: there are secrets in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The channel it came on.
    pub channel: u32,
    /// Whether it is a U2F APDU; otherwise it is a CTAP2 command byte and CBOR.
    pub u2f: bool,
    /// The request.
    pub request: Vec<u8>,
    /// The answer: status byte and CBOR, or U2F data and status word. `None` when nobody got it: the
    /// platform gave the request up, or the key's profile loses answers.
    pub response: Option<Vec<u8>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("channel", &self.channel)
            .field("u2f", &self.u2f)
            .field("request", &self.request.len())
            .field("response", &self.response.as_ref().map(Vec::len))
            .finish()
    }
}

/// Who watches. It sees everything, secrets too: `ctap::trace` masks them.
pub type Watcher = Box<dyn FnMut(&Exchange) + Send>;

/// What a key is made of.
pub(crate) struct Parts {
    pub(crate) profile: Profile,
    pub(crate) state: State,
    pub(crate) store: Box<dyn Store + Send>,
    pub(crate) rng: Box<dyn CryptoRng + Send>,
    pub(crate) prompts: Box<dyn Prompts>,
    pub(crate) watcher: Option<Watcher>,
}

/// The request that waits for the user.
#[derive(Debug)]
struct Pending {
    channel: u32,
    /// Kept for the watcher only.
    request: Vec<u8>,
}

/// An answer that the platform gets later: the key computes slowly.
#[derive(Debug)]
struct Held {
    channel: u32,
    u2f: bool,
    request: Vec<u8>,
    response: Vec<u8>,
    due: Duration,
}

/// What prompts may do at once for one command.
const MOST_AT_ONCE: u32 = 64;

/// Remembers that a commit failed: what is durable is not known then, and the key must not go on.
struct Guarded {
    store: Box<dyn Store + Send>,
    failed: Option<String>,
}

impl Store for Guarded {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let result = match &self.failed {
            Some(reason) => Err(StoreError(reason.clone())),
            None => self.store.commit(changes),
        };
        if let Err(StoreError(reason)) = &result {
            self.failed = Some(reason.clone());
        }
        result
    }
}

pub(crate) struct Engine {
    authenticator: Authenticator,
    link: Link,
    store: Guarded,
    rng: Box<dyn CryptoRng + Send>,
    prompts: Box<dyn Prompts>,
    watcher: Option<Watcher>,
    pending: Option<Pending>,
    held: Option<Held>,
    /// What the prompts will do, and when.
    scheduled: Option<(Duration, UserEvent)>,
    /// Answers so far, lost ones included.
    answers: u32,
    /// The channel of a U2F request that the user was asked for; it waits in the platform.
    u2f_asked: Option<u32>,
    winks: u64,
    out: Vec<Vec<u8>>,
}

impl Engine {
    pub(crate) fn new(mut parts: Parts, kind: Kind, now: Duration) -> Result<Self, ProfileError> {
        let link = Link::new(kind, &parts.profile, parts.rng.next_u32());
        let transport = transport(kind, &parts.profile);
        let mut authenticator =
            Authenticator::new(parts.profile, parts.state, now, &mut *parts.rng)?;
        authenticator.connect(transport);
        Ok(Self {
            authenticator,
            link,
            store: Guarded {
                store: parts.store,
                failed: None,
            },
            rng: parts.rng,
            prompts: parts.prompts,
            watcher: parts.watcher,
            pending: None,
            held: None,
            scheduled: None,
            answers: 0,
            u2f_asked: None,
            winks: 0,
            out: Vec::new(),
        })
    }

    /// What the key asks its user for.
    pub(crate) fn asking(&self) -> Option<&Interaction> {
        self.authenticator.waiting()
    }

    /// How often the platform made the key wink.
    pub(crate) fn winks(&self) -> u64 {
        self.winks
    }

    /// Why the key must end: its store has failed.
    pub(crate) fn store_failed(&self) -> Option<&str> {
        self.store.failed.as_deref()
    }

    /// When [`Engine::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let user = self.asking().map(Interaction::deadline);
        let held = self.held.as_ref().map(|held| held.due);
        let scheduled = self.scheduled.map(|(at, _)| at);
        [self.link.deadline(), user, held, scheduled]
            .into_iter()
            .flatten()
            .min()
    }

    /// What to send since the last call.
    pub(crate) fn take_output(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.out)
    }

    /// Takes what came from the wire.
    pub(crate) fn receive(&mut self, arrival: Arrival, now: Duration) {
        self.tick(now);
        for demand in self.link.receive(arrival, now, &mut self.out) {
            match demand {
                Demand::Cbor { channel, request } => self.cbor(channel, &request, now),
                Demand::U2f { channel, apdu } => self.u2f(channel, apdu, now),
                Demand::Cancel { channel } => {
                    if self.pending.as_ref().is_some_and(|p| p.channel == channel) {
                        self.user(UserEvent::Cancel, now);
                    }
                }
                Demand::Abort { channel } => self.abort(channel, now),
                Demand::Wink => {
                    self.winks += 1;
                    self.prompts.wink();
                }
                Demand::PowerCycle => self.power_cycle(now),
            }
        }
        self.tick(now);
    }

    /// Lets time pass: the user's time-out, keep-alives, CTAPHID's time-outs.
    pub(crate) fn tick(&mut self, now: Duration) {
        if let Some((_, event)) = self.scheduled.take_if(|(at, _)| now >= *at) {
            self.user(event, now);
        }
        if self
            .asking()
            .is_some_and(|interaction| now >= interaction.deadline())
        {
            self.user(UserEvent::Timeout, now);
        }
        if let Some(held) = self.held.take_if(|held| now >= held.due) {
            self.send(held);
        }
        self.link.tick(self.work(), now, &mut self.out);
    }

    /// What keep-alives are about.
    fn work(&self) -> Option<Work> {
        let held = self.held.as_ref().map(|held| Work {
            channel: held.channel,
            status: keepalive::PROCESSING,
        });
        held.or_else(|| {
            self.pending.as_ref().map(|pending| Work {
                channel: pending.channel,
                status: keepalive::UPNEEDED,
            })
        })
    }

    /// The user does something. Without a wish of the key it has no effect.
    pub(crate) fn user(&mut self, event: UserEvent, now: Duration) {
        if let Some(pending) = self.pending.take() {
            let progress = self.tell(pending.channel, event, now);
            self.progress(pending, true, progress, now);
        } else if self.asking().is_some() {
            // A U2F wish: it belongs to the platform's next try, on whatever channel.
            let channel = self.u2f_asked.take().unwrap_or_default();
            self.tell(channel, event, now);
            self.over();
        }
    }

    /// What was asked of the user is over.
    fn over(&mut self) {
        self.scheduled = None;
        self.prompts.ended();
    }

    /// Asks the user: what they do at once, or later.
    fn ask(&mut self, interaction: &Interaction, now: Duration) -> Option<UserEvent> {
        self.scheduled = None;
        let event = self.prompts.asked(interaction);
        if event.is_none() {
            self.scheduled = self
                .prompts
                .later()
                .map(|(wait, event)| (now + wait, event));
        }
        event
    }

    /// The key hangs on another wire now. It was without power in between.
    pub(crate) fn plug(&mut self, kind: Kind, now: Duration) {
        self.power_cycle(now);
        let profile = self.authenticator.profile();
        self.link = Link::new(kind, profile, self.rng.next_u32());
        let transport = transport(kind, profile);
        self.authenticator.connect(transport);
    }

    /// Cuts the power and gives it back: what is not stored is gone.
    pub(crate) fn power_cycle(&mut self, now: Duration) {
        self.held = None;
        if self.pending.take().is_some() | self.u2f_asked.take().is_some() {
            self.over();
        }
        self.link.power_cycle(self.rng.next_u32());
        self.authenticator.power_cycle(now, &mut *self.rng);
    }

    fn tell(&mut self, channel: u32, event: UserEvent, now: Duration) -> Progress {
        let mut env = Env {
            now,
            rng: &mut *self.rng,
            store: &mut self.store,
        };
        self.authenticator.user(Channel(channel), event, &mut env)
    }

    fn cbor(&mut self, channel: u32, request: &[u8], now: Duration) {
        let mut env = Env {
            now,
            rng: &mut *self.rng,
            store: &mut self.store,
        };
        let progress = self
            .authenticator
            .handle(Channel(channel), request, &mut env);
        let request = if self.watcher.is_some() {
            request.to_vec()
        } else {
            Vec::new()
        };
        self.progress(Pending { channel, request }, false, progress, now);
    }

    /// Answers, or asks the user and waits, or goes on with what the prompts decide at once.
    fn progress(&mut self, pending: Pending, goes_on: bool, mut progress: Progress, now: Duration) {
        let mut asked = goes_on;
        let mut at_once = 0;
        loop {
            match progress {
                Progress::Waiting(interaction) => {
                    at_once += 1;
                    // A touch where a finger is wanted, again and again: nobody is in such a hurry.
                    let event = match at_once <= MOST_AT_ONCE {
                        true => self.ask(&interaction, now),
                        false => None,
                    };
                    let Some(event) = event else {
                        self.link.waiting(now, !goes_on);
                        self.pending = Some(pending);
                        return;
                    };
                    asked = true;
                    progress = self.tell(pending.channel, event, now);
                }
                Progress::Reply(response) => {
                    if asked {
                        self.over();
                    }
                    let Pending { channel, request } = pending;
                    return self.answer(channel, false, request, response, now);
                }
                // The authenticator waited for nobody: it has given the request up itself.
                Progress::Idle => return self.link.given_up(),
            }
        }
    }

    /// U2F does not wait: it says that a touch is missing, and the platform tries again.
    fn u2f(&mut self, channel: u32, apdu: Vec<u8>, now: Duration) {
        let mut response = self.u2f_once(channel, &apdu, now);
        let touch_missing = response == u2f::failure(StatusWord::CONDITIONS_NOT_SATISFIED);
        if touch_missing
            && self.u2f_asked != Some(channel)
            && let Some(interaction) = self.asking().cloned()
        {
            self.u2f_asked = Some(channel);
            if let Some(event) = self.ask(&interaction, now) {
                self.user(event, now);
                response = self.u2f_once(channel, &apdu, now);
            }
        }
        self.answer(channel, true, apdu, response, now);
    }

    /// Answers when the key has computed for as long as its profile says.
    fn answer(
        &mut self,
        channel: u32,
        u2f: bool,
        request: Vec<u8>,
        response: Vec<u8>,
        now: Duration,
    ) {
        let takes = self.authenticator.profile().processing_time();
        let held = Held {
            channel,
            u2f,
            request,
            response,
            due: now + takes,
        };
        if takes.is_zero() {
            self.send(held);
        } else {
            self.held = Some(held);
            self.link.waiting(now, true);
        }
    }

    fn send(&mut self, held: Held) {
        self.answers = self.answers.wrapping_add(1);
        let every = self.authenticator.profile().deviations.drops_every;
        let mut out = Vec::new();
        self.link
            .reply(held.channel, held.u2f, &held.response, &mut out);
        let lost = self.link.can_lose() && every.is_some_and(|n| self.answers % n == 0);
        if !lost {
            self.out.append(&mut out);
        }
        let response = (!lost).then_some(held.response);
        self.watch(held.channel, held.u2f, held.request, response);
    }

    fn u2f_once(&mut self, channel: u32, apdu: &[u8], now: Duration) -> Vec<u8> {
        let mut env = Env {
            now,
            rng: &mut *self.rng,
            store: &mut self.store,
        };
        self.authenticator
            .handle_u2f(Channel(channel), apdu, &mut env)
    }

    fn abort(&mut self, channel: u32, now: Duration) {
        if let Some(held) = self.held.take_if(|held| held.channel == channel) {
            self.link.given_up();
            return self.watch(channel, held.u2f, held.request, None);
        }
        let Some(pending) = self.pending.take_if(|p| p.channel == channel) else {
            return;
        };
        self.link.given_up();
        // Its answer to the cancellation is for nobody.
        self.tell(channel, UserEvent::Cancel, now);
        self.over();
        self.watch(channel, false, pending.request, None);
    }

    fn watch(&mut self, channel: u32, u2f: bool, request: Vec<u8>, response: Option<Vec<u8>>) {
        if let Some(watcher) = &mut self.watcher {
            watcher(&Exchange {
                channel,
                u2f,
                request,
                response,
            });
        }
    }
}

/// The wire by its WebAuthn name. A card is of the one kind that the profile has, a contact card if it
/// has both.
fn transport(kind: Kind, profile: &Profile) -> &'static str {
    let has = |name: &str| profile.transports.iter().any(|known| known == name);
    match kind {
        Kind::Hid => "usb",
        Kind::Card if has("nfc") && !has("smart-card") => "nfc",
        Kind::Card => "smart-card",
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
