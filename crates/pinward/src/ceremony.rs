//! `pinward create` and `pinward get`: the platform of this project, in the terminal.
//!
//! One loop feeds what happens (answers of keys, keys that come and go, what a person types, time) to the
//! ceremony and carries out what it says.

mod dialogs;
mod plugged;
mod worker;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use client::policy::HostPolicy;
use client::{Caller, Ceremony, Event, Failure, FailureReason, KeyId, Outcome, Output};
use ctap::Status;
use serde::de::DeserializeOwned;
use serde_json::Value;
use webauthn::origin::Origin;

use self::dialogs::{Answer, Dialogs, Given};
use self::plugged::Plugged;
use self::worker::{Said, Worker};
use crate::authorise::PinArg;
use crate::device::{self, DeviceArg};
use crate::exit::{Exit, Fault};
use crate::secret::Named;
use crate::{names, policy, say};

/// What `create` and `get` have in common.
#[derive(Debug, Args)]
pub(crate) struct CeremonyArgs {
    /// The site's options in JSON, as it passes them to parseCreationOptionsFromJSON() or
    /// parseRequestOptionsFromJSON(), alone or in "publicKey"; - reads the standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    options: PathBuf,
    /// The origin of the page, as https://example.org.
    #[arg(long, value_name = "ORIGIN")]
    origin: Origin,
    /// The origin of the top page, when the page is in a frame of another.
    #[arg(long, value_name = "ORIGIN")]
    top_origin: Option<Origin>,
    /// Behave as this platform does, its faults included; `pinward platforms` lists them.
    #[arg(long, value_name = "ID", default_value = "pinward")]
    platform: String,
    /// The policy of this host; `pinward policy check` explains the file. Without it,
    /// /etc/pinward/policy.toml counts if it is there.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The document of the RP ID at /.well-known/webauthn, for a page on another domain. pinward fetches
    /// nothing itself: `curl -fo FILE https://RP_ID/.well-known/webauthn`.
    #[arg(long, value_name = "FILE")]
    related_origins: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Where a new PIN is, for a key that has none or demands another: env:NAME, stdin, fd:N, file:PATH
    /// or cmd:COMMAND. Asked for if absent.
    #[arg(long, value_name = "WHERE")]
    new_pin: Option<Named>,
    /// The key will be laid on a reader for a moment: ask for the PIN before, so that one tap does.
    #[arg(long, conflicts_with = "device")]
    tap: bool,
    /// Wait for a key to be plugged in although nobody is at a terminal.
    #[arg(long)]
    wait: bool,
    /// Print JSON, schema `pinward.ceremony/1`: `credential` or `error`, and `report` with the steps and
    /// the reason for each.
    #[arg(long)]
    json: bool,
}

/// The policy of the host, where nobody names another.
const HOST_POLICY: &str = "/etc/pinward/policy.toml";

impl CeremonyArgs {
    /// The options of the site.
    pub(crate) fn options<T: DeserializeOwned>(&self, call: &str) -> Result<T, Fault> {
        let name = say::escaped(&self.options.display().to_string());
        let mut text = String::new();
        let read = if name == "-" {
            std::io::stdin().read_to_string(&mut text)
        } else {
            File::open(&self.options).and_then(|mut file| file.read_to_string(&mut text))
        };
        read.map_err(|error| Fault::usage(format!("{name}: {error}")))?;
        let wrong = |error: serde_json::Error| {
            let error = say::escaped(&error.to_string());
            Fault::usage(format!("{name}: these are no options of {call}: {error}"))
        };
        let mut value: Value = serde_json::from_str(&text).map_err(wrong)?;
        if let Some(inner) = value.get_mut("publicKey") {
            value = inner.take();
        }
        serde_json::from_value(value).map_err(wrong)
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller {
            origin: self.origin.clone(),
            top_origin: self.top_origin.clone(),
        }
    }

    pub(crate) fn platform(
        &self,
    ) -> Result<std::sync::Arc<client::profile::PlatformProfile>, Fault> {
        names::platform(&self.platform).map_err(|error| Fault::usage(error.to_string()))
    }

    /// The policy of the host for this site.
    pub(crate) fn policy(&self, rp_id: Option<&str>) -> Result<HostPolicy, Fault> {
        let default = std::path::Path::new(HOST_POLICY);
        let file = match &self.policy {
            Some(file) => file,
            None if default.exists() => default,
            None => return Ok(HostPolicy::default()),
        };
        let policy = policy::read(file).map_err(|error| Fault::usage(error.to_string()))?;
        let rp_id = rp_id.or_else(|| self.origin.effective_domain());
        Ok(policy.for_rp(rp_id.unwrap_or_default()))
    }

    /// Carries the ceremony out and prints what came of it.
    pub(crate) fn run(&self, ceremony: Ceremony, account: Option<String>) -> Result<(), Fault> {
        let given = Given {
            pin: self.pin.pin.clone(),
            new_pin: self.new_pin.clone(),
            account,
        };
        let ceremony = if self.tap {
            ceremony.by_tap()
        } else {
            ceremony
        };
        let outcome = Driver::start(self, ceremony, given)?.run()?;
        self.print(&outcome)
    }

    fn print(&self, outcome: &Outcome) -> Result<(), Fault> {
        if self.json {
            let mut answer = serde_json::to_value(outcome)?;
            answer["schema"] = "pinward.ceremony/1".into();
            say::out(&format!("{answer:#}\n"))?;
        }
        match &outcome.result {
            Err(failure) => Err(of_failure(failure)),
            Ok(_) if self.json => Ok(()),
            Ok(credential) => {
                let json = serde_json::to_string_pretty(credential)?;
                Ok(say::out(&(json + "\n"))?)
            }
        }
    }
}

/// A promise that was rejected, as an exit code.
fn of_failure(failure: &Failure) -> Fault {
    let exit = match &failure.reason {
        FailureReason::Options(_) | FailureReason::RpId(_) => Exit::Usage,
        FailureReason::PinBlocked | FailureReason::PinAuthBlocked => Exit::PinBlocked,
        FailureReason::Unsatisfiable(_)
        | FailureReason::NoAlgorithm
        | FailureReason::NoLargeBlob
        | FailureReason::CannotProtect => Exit::NotSupported,
        FailureReason::Key(Status::PIN_INVALID) => Exit::WrongPin,
        FailureReason::BadReply(_) | FailureReason::NeverEnds | FailureReason::NotKnown => {
            Exit::Failed
        }
        _ => Exit::Refused,
    };
    Fault::new(exit, say::escaped(&failure.to_string()))
}

/// What happens.
enum Incoming {
    Key(Said),
    Person(Answer),
    Interrupt,
}

impl From<Said> for Incoming {
    fn from(said: Said) -> Self {
        Self::Key(said)
    }
}

impl From<Answer> for Incoming {
    fn from(answer: Answer) -> Self {
        Self::Person(answer)
    }
}

/// How long keys get to open before the ceremony starts without those that have not.
const OPENING: Duration = Duration::from_secs(4);

/// How long the keys that are let go get to hear of it.
const PARTING: Duration = Duration::from_secs(1);

struct Driver {
    ceremony: Ceremony,
    begun: Instant,
    keys: BTreeMap<KeyId, Worker>,
    /// Keys that opened: the ceremony knows them.
    open: Vec<KeyId>,
    next_key: u32,
    plugged: Plugged,
    dialogs: Dialogs,
    related_origins: Option<PathBuf>,
    incoming: Receiver<Incoming>,
    sender: Sender<Incoming>,
    outcome: Option<Outcome>,
    /// Why the program gave up, where that says more than the outcome.
    fault: Option<Fault>,
}

impl Driver {
    fn start(args: &CeremonyArgs, ceremony: Ceremony, given: Given) -> Result<Self, Fault> {
        let (sender, incoming) = channel();
        let mut driver = Self {
            ceremony,
            begun: Instant::now(),
            keys: BTreeMap::new(),
            open: Vec::new(),
            next_key: 0,
            plugged: Plugged::of(args.device.device.is_none()),
            dialogs: Dialogs::start(given, sender.clone())?,
            related_origins: args.related_origins.clone(),
            incoming,
            sender,
            outcome: None,
            fault: None,
        };
        let listed = match &args.device.device {
            Some(name) => vec![device::choose(Some(name))?],
            None => device::all(),
        };
        driver.open_all(listed, args)?;
        watch_interrupt(driver.sender.clone());
        Ok(driver)
    }

    /// Opens the keys that are there. Without any, somebody has to be there who can plug one in.
    fn open_all(&mut self, listed: Vec<device::Listed>, args: &CeremonyArgs) -> Result<(), Fault> {
        self.plugged.known(&listed);
        for key in listed {
            self.open_key(key)?;
        }
        let end = Instant::now() + OPENING;
        let mut first = None;
        while self.open.len() < self.keys.len() {
            let left = end.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(left) {
                Ok(Incoming::Key(Said::Opened(key))) => self.open.push(key),
                Ok(Incoming::Key(Said::Lost(key, fault))) => {
                    if let Some(worker) = self.keys.remove(&key) {
                        eprintln!("pinward: {}: {fault}", worker.listed.name());
                    }
                    first.get_or_insert(fault);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let waits = args.device.device.is_none() && (args.wait || self.dialogs.has_terminal());
        match (self.open.is_empty(), first) {
            (true, Some(fault)) => Err(Fault::new(fault.exit, "no key could be opened")),
            (true, None) if !waits => Err(Fault::new(
                Exit::NoKey,
                "there is no security key; plug one in, say --wait, or say where a software key is: \
                 --device unix:PATH",
            )),
            _ => Ok(()),
        }
    }

    fn open_key(&mut self, listed: device::Listed) -> Result<(), Fault> {
        let key = KeyId(self.next_key);
        self.next_key += 1;
        let worker = Worker::start(key, listed, self.sender.clone())?;
        self.keys.insert(key, worker);
        Ok(())
    }

    fn run(mut self) -> Result<Outcome, Fault> {
        let now = self.begun.elapsed();
        let keys = self.open.clone();
        let outputs = self.ceremony.start(&keys, now, &mut device::rng());
        self.carry_out(outputs);
        while self.outcome.is_none() {
            match self.incoming.recv_timeout(self.patience()) {
                Ok(incoming) => self.take(incoming)?,
                Err(RecvTimeoutError::Timeout) => self.idle()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.part();
        match (self.outcome.take(), self.fault.take()) {
            (_, Some(fault)) => Err(fault),
            (Some(outcome), None) => Ok(outcome),
            (None, None) => Err(Fault::new(Exit::Failed, "the ceremony never ended")),
        }
    }

    /// Until the next look at what is plugged in, or the ceremony's own time.
    fn patience(&self) -> Duration {
        let due = self.ceremony.wake_at();
        let due = due.map(|at| at.saturating_sub(self.begun.elapsed()));
        let look = self.plugged.interval();
        due.into_iter().chain(look).min().unwrap_or(Duration::MAX)
    }

    fn idle(&mut self) -> Result<(), Fault> {
        let now = self.begun.elapsed();
        if self.ceremony.wake_at().is_some_and(|at| now >= at) {
            self.event(Event::Tick);
        }
        for change in self.plugged.look() {
            match change {
                plugged::Change::Added(listed) => self.open_key(listed)?,
                plugged::Change::Removed(address) => {
                    let gone = self.keys.iter();
                    let gone = gone.filter(|(_, worker)| worker.listed.found.address == address);
                    for key in gone.map(|(key, _)| *key).collect::<Vec<_>>() {
                        self.lose(key, None);
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), Fault> {
        match incoming {
            Incoming::Key(Said::Opened(key)) => {
                self.open.push(key);
                self.event(Event::KeyAdded(key));
            }
            Incoming::Key(Said::Event(event)) => self.event(event),
            Incoming::Key(Said::Lost(key, fault)) => self.lose(key, Some(&fault)),
            Incoming::Interrupt => self.event(Event::User(client::prompt::UserInput::Cancel)),
            Incoming::Person(answer) => {
                if self.dialogs.is_current(&answer) {
                    match answer.input {
                        Ok(input) => self.event(Event::User(input)),
                        Err(fault) => {
                            self.fault = Some(fault);
                            self.event(Event::User(client::prompt::UserInput::Cancel));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// A key has gone, or never opened.
    fn lose(&mut self, key: KeyId, fault: Option<&Fault>) {
        let Some(worker) = self.keys.remove(&key) else {
            return;
        };
        let address = &worker.listed.found.address;
        let was_open = self.open.contains(&key);
        self.open.retain(|open| *open != key);
        if let Some(fault) = fault
            && self.plugged.lost(address, was_open)
        {
            eprintln!("pinward: {}: {fault}", worker.listed.name());
        }
        if was_open {
            self.event(Event::KeyRemoved(key));
        }
    }

    fn event(&mut self, event: Event) {
        let now = self.begun.elapsed();
        let outputs = self.ceremony.step(event, now, &mut device::rng());
        self.carry_out(outputs);
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { key, bytes } => {
                    if let Some(worker) = self.keys.get_mut(&key) {
                        worker.ctap2(bytes);
                    }
                }
                Output::SendU2f { key, apdu } => {
                    if let Some(worker) = self.keys.get_mut(&key) {
                        worker.u2f(apdu);
                    }
                }
                Output::CancelKey(key) => {
                    if let Some(worker) = self.keys.get(&key) {
                        worker.cancel();
                    }
                }
                Output::RelatedOrigins { url } => {
                    let document = self.related(&url);
                    self.event(Event::RelatedOrigins(document));
                }
                Output::Prompt(prompt) => self.dialogs.show(&prompt),
                Output::Dismiss => {}
                Output::Done(outcome) => self.outcome = Some(*outcome),
            }
        }
    }

    /// The site's own list of its other origins, where somebody has fetched it.
    fn related(&mut self, url: &str) -> Option<Vec<u8>> {
        let Some(file) = &self.related_origins else {
            eprintln!(
                "The page is not below its RP ID. If {} names it, fetch that and say \
                 --related-origins FILE.",
                say::escaped(url)
            );
            return None;
        };
        let read = std::fs::read(file);
        if let Err(error) = &read {
            let message = format!("{}: {error}", say::escaped(&file.display().to_string()));
            self.fault = Some(Fault::usage(message));
        }
        read.ok()
    }

    /// Keys that were let go are told so, that they do not go on blinking.
    fn part(&mut self) {
        let end = Instant::now() + PARTING;
        while self.keys.values().any(Worker::is_busy) && Instant::now() < end {
            let _ = self.incoming.recv_timeout(Duration::from_millis(50));
        }
    }
}

/// Ctrl-C ends the ceremony, and with it the blinking of the keys; a second one ends the program.
fn watch_interrupt(sender: Sender<Incoming>) {
    // Without a thread for it, Ctrl-C ends the program as it always does.
    let _ = std::thread::Builder::new().spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            if sender.send(Incoming::Interrupt).is_err() {
                std::process::exit(130);
            }
        }
    });
}
