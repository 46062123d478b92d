//! `pinward key run`: a software key on a wire of your choice, until it is told to end

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authenticator::{FingerMatch, Interaction, Profile, ProfileError, Purpose, profile};
use clap::Args;
use ctap::trace;
use serde_json::json;
use softkey::control::Server;
use softkey::script::ScriptError;
use softkey::store::FileError;
use softkey::{
    AutoTouch, Ended, Exchange, Options, Prompts, RunningKey, Script, Scripted, Terminal,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::exit::Fault;
use crate::key_automation::{self, Automation};
use crate::key_control;
use crate::key_notify::Notify;
use crate::key_store::StoreArgs;
use crate::key_wire::WireArgs;

/// Runs a software security key.
///
/// When it is ready it prints one line, `pinward key ready: ADDRESS`, to the standard error output.
/// It ends on SIGINT and SIGTERM, when the wire is closed, and, if only the terminal answers for it, at
/// the end of its input.
///
/// Who answers when the key asks for a touch: you, by Enter; other programs, over the control socket
/// (`pinward key touch`, `pinward key finger` ..., or lines of JSON); a script; or the key itself.
#[derive(Debug, Args)]
pub(crate) struct KeyRunArgs {
    #[command(flatten)]
    wire: WireArgs,
    #[command(flatten)]
    store: StoreArgs,
    /// The key to be: the name of a profile, or a file with one.
    #[arg(long, value_name = "ID|FILE", default_value = "fido-2.1")]
    profile: String,
    /// Consent to everything at once, without asking. For tests.
    #[arg(long)]
    auto_touch: bool,
    /// Answer from this file, a line each time the key asks: touch, long-touch, finger good|poor|wrong,
    /// consent, deny or ignore, maybe after "after 500ms"; `repeat` as the last line begins anew.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Let other programs touch and watch the key, over a Unix socket that is yours alone. Without a
    /// path it is where `pinward key touch` and its like look by themselves.
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    #[allow(clippy::option_option)] // not given, given without a path, given with one
    control: Option<Option<PathBuf>>,
    /// Answer the test automation of the official FIDO conformance tool, which calls port 3000 of this
    /// computer: a touch, a power cycle, its results.
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = key_automation::DEFAULT_ADDRESS)]
    automation: Option<SocketAddr>,
    /// Show what is asked as a notification of your desktop too (by notify-send).
    #[arg(long)]
    notify: bool,
    /// Print each request and answer, one JSON object a line, secrets masked.
    #[arg(long)]
    trace: bool,
}

/// Why the key did not run, or did not run to a good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRunError {
    /// No shipped profile and no file has this name.
    #[error("there is no key profile {0:?}, and no such file; profiles: {1}")]
    UnknownProfile(String, String),
    /// The profile's file cannot be read.
    #[error("{0}: {1}")]
    ProfileFile(PathBuf, io::Error),
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// It is not said how to protect the file, or its passphrase cannot be had.
    #[error(transparent)]
    Protection(#[from] Fault),
    /// The key's file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The script cannot be read.
    #[error("{0}: {1}")]
    ScriptFile(PathBuf, io::Error),
    /// The script does not read.
    #[error("{0}: {1}")]
    Script(PathBuf, ScriptError),
    /// The control socket cannot be had.
    #[error("the control socket {0}: {1}")]
    Control(PathBuf, io::Error),
    /// There is no usual place for it.
    #[error(transparent)]
    NoControlPath(#[from] key_control::NoUsualPath),
    /// The automation's port cannot be had.
    #[error("automation on {0}: {1}")]
    Automation(SocketAddr, io::Error),
    /// There is nothing that shows notifications.
    #[error(transparent)]
    Notify(#[from] crate::key_notify::NoNotifySend),
    /// The key could not be put on its wire.
    #[error("{wire}: {error}{hint}")]
    Wire {
        wire: String,
        error: io::Error,
        hint: &'static str,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The wire broke while the key ran.
    #[error("the wire broke: {0}")]
    WireFailed(String),
    /// The store broke while the key ran.
    #[error("the key stopped, because its store cannot be written: {0}")]
    StoreFailed(String),
}

/// Runs the key until it ends.
pub(crate) fn run(args: &KeyRunArgs) -> Result<(), KeyRunError> {
    let profile = load_profile(&args.profile)?;
    let mut options = match &args.store.store {
        Some(path) => args.store.open(profile, path)?,
        None => Options::ephemeral(profile),
    };
    options = options.prompts(prompts(args)?);
    if args.trace {
        options = options.watcher(Box::new(print_exchange));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(run_until_end(options, args))
}

/// Who answers when the key asks.
fn prompts(args: &KeyRunArgs) -> Result<Box<dyn Prompts>, KeyRunError> {
    let mut prompts: Box<dyn Prompts> = match args.auto_touch {
        true => Box::new(AutoTouch),
        false => Box::new(Terminal::new(io::stderr())),
    };
    if args.notify {
        prompts = Box::new(Notify::new(prompts)?);
    }
    if let Some(path) = &args.script {
        let text = std::fs::read_to_string(path)
            .map_err(|error| KeyRunError::ScriptFile(path.clone(), error))?;
        let script: Script = text
            .parse()
            .map_err(|error| KeyRunError::Script(path.clone(), error))?;
        prompts = Box::new(Scripted::new(script, prompts));
    }
    Ok(prompts)
}

/// The other ways to reach the person at the key, as long as it runs.
#[derive(Debug)]
struct SideDoors {
    _control: Option<Server>,
    _automation: Option<Automation>,
}

impl SideDoors {
    fn open(args: &KeyRunArgs, key: &RunningKey) -> Result<Self, KeyRunError> {
        let control = match &args.control {
            None => None,
            Some(path) => {
                let path = match path {
                    Some(path) => path.clone(),
                    None => key_control::usual_path()?,
                };
                let wire = args.wire.clone();
                let plugger = Arc::new(move |inbox| wire.open(inbox));
                let server = Server::listen(&path, key.remote(), plugger)
                    .map_err(|error| KeyRunError::Control(path.clone(), error))?;
                eprintln!("pinward key control: {}", path.display());
                Some(server)
            }
        };
        let automation = match args.automation {
            None => None,
            Some(address) => {
                let automation = Automation::listen(address, key.remote())
                    .map_err(|error| KeyRunError::Automation(address, error))?;
                eprintln!("pinward key automation: http://{}", automation.address());
                Some(automation)
            }
        };
        Ok(Self {
            _control: control,
            _automation: automation,
        })
    }
}

/// What the loop of [`run_until_end`] hears.
enum Notice {
    Line(String),
    InputEnded,
    KeyEnded(Ended),
}

async fn run_until_end(options: Options, args: &KeyRunArgs) -> Result<(), KeyRunError> {
    let wire = &args.wire;
    // Others can answer too: then the terminal's end is not the key's.
    let others = args.control.is_some() || args.automation.is_some() || args.script.is_some();
    // Before the key says that it is ready, so that no signal is missed after it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (notices, mut notice) = unbounded_channel();
    let told = notices.clone();
    let options = options.on_end(move |end| drop(told.send(Notice::KeyEnded(end.clone()))));
    let key = options
        .start(|inbox| wire.open(inbox))
        .map_err(|e| wire.explain(e))?;
    let _doors = SideDoors::open(args, &key)?;
    eprintln!("pinward key ready: {}", key.address());
    if !args.auto_touch {
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read_lines(&notices))?;
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            heard = notice.recv() => match heard {
                Some(Notice::Line(line)) => act(&key, line.trim()),
                Some(Notice::KeyEnded(Ended::WireFailed(why))) => return Err(KeyRunError::WireFailed(why)),
                Some(Notice::KeyEnded(Ended::StoreFailed(why))) => return Err(KeyRunError::StoreFailed(why)),
                Some(Notice::InputEnded) if others => {}
                Some(Notice::InputEnded | Notice::KeyEnded(_)) => break,
                None => std::future::pending().await,
            },
        }
    }
    key.stop();
    Ok(())
}

fn read_lines(notices: &UnboundedSender<Notice>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if notices.send(Notice::Line(line)).is_err() {
            return;
        }
    }
    let _ = notices.send(Notice::InputEnded);
}

/// n declines; Enter is a touch, or an enrolled finger where one is asked for; w is a wrong finger.
fn act(key: &RunningKey, line: &str) {
    match (line, key.asking()) {
        ("" | "t", Some(Interaction::BuiltInUv { .. })) => key.finger(FingerMatch::Match),
        ("w", _) => key.finger(FingerMatch::NoMatch),
        ("n", _) => key.deny(),
        // Nobody can hold Enter for five seconds so that it would be noticed.
        (
            "" | "t",
            Some(Interaction::Touch {
                purpose: Purpose::ResetByLongTouch,
                ..
            }),
        ) => key.long_touch(),
        _ => key.touch(),
    }
}

fn load_profile(name: &str) -> Result<Profile, KeyRunError> {
    if let Some(shipped) = profile::find(name) {
        return Ok(shipped?);
    }
    let path = Path::new(name);
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Profile::from_toml(&text)?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let known: Vec<_> = profile::all().map(|(id, _)| id).collect();
            Err(KeyRunError::UnknownProfile(
                name.to_owned(),
                known.join(", "),
            ))
        }
        Err(e) => Err(KeyRunError::ProfileFile(path.to_owned(), e)),
    }
}

/// One line of JSON; `ctap::trace` masks what must not be seen.
fn print_exchange(exchange: &Exchange) {
    let line = if exchange.u2f {
        // Key handles and signatures are no secrets, yet of no use here: instruction and status do.
        let status = exchange
            .response
            .as_deref()
            .and_then(|r| r.last_chunk::<2>());
        json!({
            "channel": exchange.channel,
            "u2f": exchange.request.get(1).map(|ins| match ins {
                1 => "register".to_owned(),
                2 => "authenticate".to_owned(),
                3 => "version".to_owned(),
                other => format!("{other:#04x}"),
            }),
            "status": status.map(|sw| format!("{:04x}", u16::from_be_bytes(*sw))),
        })
    } else {
        let command = trace::command_of(&exchange.request);
        let response = exchange.response.as_deref().map(|response| match command {
            Some(command) => trace::response(command, response),
            None => json!(response.first()),
        });
        json!({
            "channel": exchange.channel,
            "request": trace::request(&exchange.request),
            "response": response.unwrap_or_else(|| json!("given up by the platform")),
        })
    };
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use clap::Parser;
    use transport::{uhid, vpcd};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: KeyRunArgs,
    }

    fn parse(line: &str) -> Result<KeyRunArgs, String> {
        let words = std::iter::once("key-run").chain(line.split_whitespace());
        Cli::try_parse_from(words)
            .map(|cli| cli.args)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn exactly_one_wire_and_one_place_to_live() {
        assert!(parse("--unix /tmp/k --ephemeral").is_ok());
        assert!(parse("--ephemeral").unwrap_err().contains("--unix"));
        assert!(parse("--unix /tmp/k --tcp 127.0.0.1:0 --ephemeral").is_err());
        assert!(parse("--unix /tmp/k").unwrap_err().contains("--store"));
        assert!(parse("--unix /tmp/k --ephemeral --store f").is_err());
        assert!(parse("--unix /tmp/k --ephemeral --insecure-plaintext").is_err());
        assert!(parse("--unix /tmp/k --store f --insecure-plaintext --passphrase-env P").is_err());
        assert!(
            parse("--unix /tmp/k --store f --insecure-plaintext --passphrase keyring").is_err()
        );
        assert!(parse("--unix /tmp/k --store f --passphrase-env P --passphrase keyring").is_err());
        assert!(parse("--unix /tmp/k --ephemeral --accept-rollback").is_err());
    }

    #[test]
    fn without_uhid_it_says_what_to_do() {
        if Path::new(uhid::DEVICE).exists() {
            return; // A kernel with UHID: then there is nothing to say.
        }
        let error = run(&parse("--uhid --ephemeral").unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("/dev/uhid: "), "{error}");
        assert!(error.contains("modprobe uhid"), "{error}");
    }

    #[test]
    fn vpcd_has_a_usual_address() {
        let usual = parse("--vpcd --ephemeral").unwrap().wire.vpcd;
        assert_eq!(usual, Some(vpcd::DEFAULT_ADDRESS.parse().unwrap()));
        let other = parse("--vpcd 127.0.0.1:5 --ephemeral").unwrap().wire.vpcd;
        assert_eq!(other, Some("127.0.0.1:5".parse().unwrap()));
    }

    #[test]
    fn a_file_without_protection_is_refused_with_what_to_do() {
        let error = run(&parse("--unix /nonexistent/k --store f").unwrap()).unwrap_err();
        assert!(matches!(error, KeyRunError::Protection(_)));
        assert!(error.to_string().contains("--passphrase keyring"));
        let line = "--unix /nonexistent/k --store f --passphrase-env PINWARD_TEST_NO_SUCH_VARIABLE";
        let error = run(&parse(line).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("PINWARD_TEST_NO_SUCH_VARIABLE"),
            "{error}"
        );
    }

    #[test]
    fn unknown_profiles_and_impossible_wires_are_named() {
        let line = "--unix /nonexistent/k --ephemeral --profile nonesuch";
        let error = run(&parse(line).unwrap()).unwrap_err();
        assert!(error.to_string().contains("fido-2.1"), "{error}");
        let error = run(&parse("--unix /nonexistent/k --ephemeral").unwrap()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/k"), "{error}");
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = run(&parse(&format!("--vpcd {closed} --ephemeral")).unwrap()).unwrap_err();
        assert!(error.to_string().contains("is pcscd running"), "{error}");
    }
}
