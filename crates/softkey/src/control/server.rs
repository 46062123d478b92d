//! The control socket of a running key

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use transport::private_socket::{self, SocketFile};
use transport::{Inbox, Wire};

use super::{MAX_LINE, Order, event_json, obey, parse};
use crate::Remote;
use crate::events::KeyEvent;

/// More clients than this are turned away.
const MAX_CLIENTS: usize = 64;
/// How long a client may leave an answer unread.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a key waits for those who are told of it.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a follower looks whether its client has gone.
const LOOK_UP: Duration = Duration::from_secs(1);

/// What puts the key on its wire again.
pub type Plugger = Arc<dyn Fn(Inbox) -> io::Result<Wire> + Send + Sync>;

/// A socket over which a key is controlled. Dropping it closes it.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    key: Remote,
    closing: Arc<AtomicBool>,
    followers: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    _file: SocketFile,
}

impl Server {
    /// Listens at `path`, which only this user may connect to.
    ///
    /// # Errors
    ///
    /// When somebody else listens there, or the socket or its thread cannot be had.
    pub fn listen(path: &Path, key: Remote, plugger: Plugger) -> io::Result<Self> {
        let (listener, file) = private_socket::bind(path)?;
        let closing = Arc::new(AtomicBool::new(false));
        let followers = Arc::new(AtomicUsize::new(0));
        let (seen, following) = (Arc::clone(&closing), Arc::clone(&followers));
        let served = key.clone();
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &served, &plugger, &seen, &following))?;
        Ok(Self {
            path: path.to_owned(),
            key,
            closing,
            followers,
            thread: Some(thread),
            _file: file,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Who follows a key is told that it has ended, even if the process ends next.
        let start = Instant::now();
        while self.key.status().ended.is_some()
            && self.followers.load(Ordering::Acquire) > 0
            && start.elapsed() < FAREWELL
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.closing.store(true, Ordering::Release);
        // Wakes the thread that waits for a client. If it cannot be woken it must not be waited for.
        if UnixStream::connect(&self.path).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn accept(
    listener: &UnixListener,
    key: &Remote,
    plugger: &Plugger,
    closing: &AtomicBool,
    followers: &Arc<AtomicUsize>,
) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if closing.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if clients.fetch_add(1, Ordering::AcqRel) >= MAX_CLIENTS {
            clients.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (key, plugger) = (key.clone(), Arc::clone(plugger));
        let (left, followers) = (Arc::clone(&clients), Arc::clone(followers));
        let served = std::thread::Builder::new()
            .name("control client".to_owned())
            .spawn(move || {
                // A client that has gone wants no report of it.
                let _ = serve(stream, &key, &plugger, &followers);
                left.fetch_sub(1, Ordering::AcqRel);
            });
        if served.is_err() {
            clients.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

type Out = Arc<Mutex<UnixStream>>;

fn say(out: &Out, value: &Value) -> io::Result<()> {
    let mut line = value.to_string();
    line.push('\n');
    out.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(line.as_bytes())
}

fn serve(
    stream: UnixStream,
    key: &Remote,
    plugger: &Plugger,
    followers: &Arc<AtomicUsize>,
) -> io::Result<()> {
    let gone = Arc::new(AtomicBool::new(false));
    let served = converse(stream, key, plugger, &gone, followers);
    gone.store(true, Ordering::Release);
    served
}

fn converse(
    stream: UnixStream,
    key: &Remote,
    plugger: &Plugger,
    gone: &Arc<AtomicBool>,
    followers: &Arc<AtomicUsize>,
) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let out: Out = Arc::new(Mutex::new(stream.try_clone()?));
    let mut lines = BufReader::new(stream);
    let mut subscribed = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = MAX_LINE as u64 + 1;
        if (&mut lines).take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > MAX_LINE {
            return say(
                &out,
                &json!({ "ok": false, "error": "the line is too long" }),
            );
        }
        let text = String::from_utf8_lossy(&line);
        let request = match parse(text.trim()) {
            Ok(request) => request,
            Err((id, why)) => {
                let mut answer = json!({ "ok": false, "error": why });
                if let Some(id) = id {
                    answer["id"] = id;
                }
                say(&out, &answer)?;
                continue;
            }
        };
        // Before the answer, so that nothing is missed after it.
        let events = (request.order == Order::Subscribe && !subscribed).then(|| key.subscribe());
        say(&out, &obey(&request, key, plugger))?;
        if let Some(events) = events {
            subscribed = true;
            follow(&out, events, Arc::clone(gone), followers)?;
        }
    }
}

/// Tells a client what happens at the key, until it goes, does not keep up, or the key has ended.
fn follow(
    out: &Out,
    events: Receiver<KeyEvent>,
    gone: Arc<AtomicBool>,
    followers: &Arc<AtomicUsize>,
) -> io::Result<()> {
    let (out, followers) = (Arc::clone(out), Arc::clone(followers));
    followers.fetch_add(1, Ordering::AcqRel);
    let left = Arc::clone(&followers);
    let followed = std::thread::Builder::new()
        .name("control events".to_owned())
        .spawn(move || {
            tell(&out, &events, &gone);
            left.fetch_sub(1, Ordering::AcqRel);
        });
    if followed.is_err() {
        followers.fetch_sub(1, Ordering::AcqRel);
    }
    followed.map(drop)
}

fn tell(out: &Out, events: &Receiver<KeyEvent>, gone: &AtomicBool) {
    loop {
        match events.recv_timeout(LOOK_UP) {
            Ok(event) => {
                if say(out, &event_json(&event)).is_err() || matches!(event, KeyEvent::Ended(_)) {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) if !gone.load(Ordering::Acquire) => {}
            Err(_) => break,
        }
    }
    // Who missed something must not believe that nothing happened.
    let stream = out.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = stream.shutdown(Shutdown::Both);
}
