//! The suite over all key profiles of this program.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use authenticator::profile;
use conformance::expected::Expected;
use conformance::{Framed, Report};

use crate::InProcess;

/// How many profiles are run at the same time.
const AT_ONCE: usize = 4;

/// Runs the suite on every profile; what is expected of each is read from `folder/expected/`.
///
/// # Errors
/// What is wrong with a profile or a file.
pub fn run_all(folder: &Path) -> Result<BTreeMap<String, (Expected, Report)>, String> {
    let profiles: Vec<_> = profile::all().collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let work = || -> Result<(), String> {
        while let Some((id, text)) = profiles.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = one(folder, id, text)?;
            let mut done = done.lock().map_err(|e| e.to_string())?;
            done.insert((*id).to_owned(), result);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => Err("a thread of the suite ended early".to_owned()),
            })
    })?;
    done.into_inner().map_err(|e| e.to_string())
}

fn one(folder: &Path, id: &str, text: &str) -> Result<(Expected, Report), String> {
    let profile = profile::Profile::from_toml(text).map_err(|e| e.to_string())?;
    let mut subject = Framed::new(InProcess::new(profile));
    let report = conformance::run(&mut subject, conformance::all(), &mut |_| {})
        .map_err(|e| format!("{id}: {e}"))?;
    let path = folder.join("expected").join(format!("{id}.toml"));
    let expected = match std::fs::read_to_string(&path) {
        Ok(text) => Expected::from_toml(&text).map_err(|e| format!("{}: {e}", path.display()))?,
        Err(_) => Expected::default(),
    };
    Ok((expected, report))
}
