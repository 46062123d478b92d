//! `pinward key touch`, `finger`, `status` and their like: what can be done to a key that runs, over its
//! control socket

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::exit::{Exit, Fault};
use crate::say;

/// What can be done to a key that `pinward key run --control` runs.
#[derive(Debug, Subcommand)]
pub(crate) enum ControlCommand {
    /// Touches a running software key.
    ///
    /// It waits until the key asks for a touch, and fails when it does not. What the key asked for is
    /// printed.
    Touch(TouchArgs),
    /// Declines what a running software key asks for.
    Deny(WaitArgs),
    /// Lays a finger on the sensor of a running software key.
    Finger(FingerArgs),
    /// Cuts the power of a running software key and gives it back.
    PowerCycle(SocketArgs),
    /// Takes a running software key off its wire.
    Unplug(SocketArgs),
    /// Puts a running software key on its wire again.
    Plug(SocketArgs),
    /// Unplugs a running software key and plugs it in again.
    Replug(SocketArgs),
    /// Shows how a running software key is: what it asks for, by whom, and how often it winked.
    Status(SocketArgs),
    /// Prints what happens at a running software key, until it ends.
    Watch(SocketArgs),
    /// Ends a running software key.
    Stop(SocketArgs),
}

/// Which key.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The control socket of the key. If it is left out: where `pinward key run --control` makes it by
    /// itself.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Print what the key answers, a JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Which key, and how long to wait for it to ask.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// How long to wait for the key to ask, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
}

/// How to touch it.
#[derive(Debug, Args)]
pub(crate) struct TouchArgs {
    #[command(flatten)]
    wait: WaitArgs,
    /// Hold it for five seconds, as some keys want it for a reset.
    #[arg(long)]
    long: bool,
}

/// Which finger.
#[derive(Debug, Args)]
pub(crate) struct FingerArgs {
    /// An enrolled finger, too poor an image, or another finger.
    finger: Finger,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Finger {
    Good,
    Poor,
    Wrong,
}

/// The environment does not say where sockets of this user belong.
#[derive(Debug, thiserror::Error)]
#[error(
    "XDG_RUNTIME_DIR is not set, so there is no usual place for the control socket; say --control PATH"
)]
pub(crate) struct NoUsualPath;

/// Where a key's control socket is if nobody says otherwise.
pub(crate) fn usual_path() -> Result<PathBuf, NoUsualPath> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
    Ok(PathBuf::from(folder.ok_or(NoUsualPath)?).join("pinward-key.sock"))
}

impl From<NoUsualPath> for Fault {
    fn from(error: NoUsualPath) -> Self {
        Self::usage(error.to_string())
    }
}

pub(crate) fn run(command: &ControlCommand) -> Result<(), Fault> {
    match command {
        ControlCommand::Touch(TouchArgs { wait, long }) => {
            let word = if *long { "long-touch" } else { "touch" };
            at_key(wait, json!({ "do": word }), "Touched")
        }
        ControlCommand::Deny(wait) => at_key(wait, json!({ "do": "deny" }), "Declined"),
        ControlCommand::Finger(FingerArgs { finger, wait }) => {
            let name = match finger {
                Finger::Good => "good",
                Finger::Poor => "poor",
                Finger::Wrong => "wrong",
            };
            let order = json!({ "do": "finger", "finger": name });
            at_key(wait, order, &format!("A {name} finger"))
        }
        ControlCommand::PowerCycle(args) => simply(args, "power-cycle", "Power was off and is on."),
        ControlCommand::Unplug(args) => simply(args, "unplug", "Unplugged."),
        ControlCommand::Plug(args) => simply(args, "plug", "Plugged in."),
        ControlCommand::Replug(args) => simply(args, "replug", "Unplugged and plugged in."),
        ControlCommand::Stop(args) => simply(args, "stop", "The key ends."),
        ControlCommand::Status(args) => status(args),
        ControlCommand::Watch(args) => watch(args),
    }
}

struct Key {
    lines: BufReader<UnixStream>,
}

impl Key {
    fn connect(args: &SocketArgs) -> Result<Self, Fault> {
        let path = match &args.control {
            Some(path) => path.clone(),
            None => usual_path()?,
        };
        let stream = UnixStream::connect(&path).map_err(|error| {
            let exit = match error.kind() {
                io::ErrorKind::PermissionDenied => Exit::Permission,
                _ => Exit::NoKey,
            };
            let path = path.display();
            Fault::new(
                exit,
                format!(
                    "{path}: {error}; start the key with: pinward key run --control {path} ..."
                ),
            )
        })?;
        Ok(Self {
            lines: BufReader::new(stream),
        })
    }

    /// The next line; none at the end.
    fn next(&mut self) -> Result<Option<Value>, Fault> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    fn order(&mut self, order: &Value) -> Result<Value, Fault> {
        writeln!(self.lines.get_mut(), "{order}")?;
        let gone = || Fault::new(Exit::Failed, "the key has gone without an answer");
        let answer = self.next()?.ok_or_else(gone)?;
        if answer["ok"] == true {
            return Ok(answer);
        }
        let why = answer["error"].as_str().unwrap_or("the key refuses");
        Err(Fault::new(Exit::Failed, say::escaped(why)))
    }
}

/// Something that a person does.
fn at_key(args: &WaitArgs, mut order: Value, done: &str) -> Result<(), Fault> {
    order["wait_ms"] = json!(args.wait * 1000);
    let mut key = Key::connect(&args.socket)?;
    // The key waits first; a socket that says nothing for longer is no key's.
    let patience = Duration::from_secs(args.wait + 20);
    key.lines.get_ref().set_read_timeout(Some(patience))?;
    let answer = key.order(&order)?;
    let asked = answer["asked"]["text"].as_str().unwrap_or("?");
    print(&args.socket, &answer, &format!("{done}, to {asked}."))
}

fn simply(args: &SocketArgs, word: &str, done: &str) -> Result<(), Fault> {
    let answer = Key::connect(args)?.order(&json!({ "do": word }))?;
    print(args, &answer, done)
}

fn print(args: &SocketArgs, answer: &Value, text: &str) -> Result<(), Fault> {
    let line = match args.json {
        true => answer.to_string(),
        false => say::escaped(text),
    };
    Ok(say::out(&format!("{line}\n"))?)
}

fn status(args: &SocketArgs) -> Result<(), Fault> {
    let answer = Key::connect(args)?.order(&json!({ "do": "status" }))?;
    let status = &answer["status"];
    if args.json {
        return Ok(say::out(&format!("{status}\n"))?);
    }
    let mut text = match status["plugged_at"].as_str() {
        Some(at) => format!("plugged in at {at}\n"),
        None => "unplugged\n".to_owned(),
    };
    text += &match status["asking"].is_null() {
        true => "asks for nothing\n".to_owned(),
        false => format!("{}\n", sentence(&status["asking"])),
    };
    text += &format!("winked {} times\n", status["winks"]);
    let lines: Vec<_> = text.lines().map(say::escaped).collect();
    Ok(say::out(&format!("{}\n", lines.join("\n")))?)
}

/// What is asked, in words.
fn sentence(asking: &Value) -> String {
    let text = asking["text"].as_str().unwrap_or("?");
    match asking["kind"].as_str() {
        Some("finger") => format!("asks for a finger, to {text}"),
        Some("long-touch") => format!("asks for a long touch, to {text}"),
        _ => format!("asks for a touch, to {text}"),
    }
}

fn watch(args: &SocketArgs) -> Result<(), Fault> {
    let mut key = Key::connect(args)?;
    let answer = key.order(&json!({ "do": "subscribe" }))?;
    let asking = &answer["status"]["asking"];
    if !asking.is_null() {
        let mut event = asking.clone();
        event["event"] = json!("asking");
        print(args, &event, &happened(&event))?;
    }
    while let Some(event) = key.next()? {
        print(args, &event, &happened(&event))?;
        if event["event"] == "ended" {
            break;
        }
    }
    Ok(())
}

fn happened(event: &Value) -> String {
    match event["event"].as_str() {
        Some("asking") => sentence(event),
        Some("idle") => "asks for nothing any more".to_owned(),
        Some("wink") => "winks".to_owned(),
        Some("plugged") => format!("plugged in at {}", event["at"].as_str().unwrap_or("?")),
        Some(other) => other.to_owned(),
        None => event.to_string(),
    }
}
