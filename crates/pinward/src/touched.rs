//! `--device touch`: the key that the person touches, of all that are there

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ctap::{Command, Status};
use transport::host::Waiting;

use crate::device::{Key, Listed};
use crate::exit::{Exit, Fault};
use crate::say;

/// How long a person may look for the key.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks every key for a touch (CTAP 2.3 §6.9 authenticatorSelection), takes the first one, and ends the
/// blinking of the others.
pub(crate) fn key(all: Vec<Listed>) -> Result<Listed, Fault> {
    let none = || {
        Fault::new(
            Exit::NoKey,
            "there is no security key to touch; plug one in",
        )
    };
    let over = Arc::new(AtomicBool::new(false));
    let (found, touched) = channel();
    let mut asked = Vec::new();
    for listed in all {
        let (over, found) = (over.clone(), found.clone());
        let Ok(key) = Key::open(listed.clone()) else {
            continue;
        };
        if !key.about().speaks_ctap2() {
            say::note(&format!(
                "{} knows no such question; name it.\n",
                listed.name()
            ));
            continue;
        }
        asked.push(std::thread::spawn(move || {
            let mut connection = key.into_connection();
            let mut waiting = |_| match over.load(Ordering::SeqCst) {
                true => Waiting::Cancel,
                false => Waiting::GoOn,
            };
            let answer = connection.ctap2(&[Command::Selection.code()], &mut waiting);
            let status = answer.ok().and_then(|answer| answer.first().copied());
            // Whoever has an answer already does not listen any more.
            let _ = found.send((listed, status.map(Status)));
        }));
    }
    drop(found);
    if asked.is_empty() {
        return Err(none());
    }
    say::note("Touch the key that is meant.\n");
    let until = Instant::now() + PATIENCE;
    let mut chosen = None;
    while chosen.is_none() {
        let left = until.saturating_duration_since(Instant::now());
        match touched.recv_timeout(left) {
            Ok((listed, Some(Status::OK))) => chosen = Some(listed),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    over.store(true, Ordering::SeqCst);
    for thread in asked {
        let _ = thread.join();
    }
    // A second touch in the same moment: nobody can tell which one was meant.
    let another = touched
        .try_iter()
        .any(|(_, status)| status == Some(Status::OK));
    match chosen {
        Some(_) if another => Err(Fault::new(
            Exit::Ambiguous,
            "several keys were touched; nothing was changed",
        )),
        Some(listed) => {
            say::note(&format!("It is {} ({}).\n", listed.name(), listed.id));
            Ok(listed)
        }
        None => Err(Fault::refused("no key was touched; nothing was changed")),
    }
}
