//! How a key's latency and size grow with the credentials that it stores, in memory and in a file.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin stored` prints Markdown. Nothing is
//! asserted: figures are for people.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use authenticator::{
    Authenticator, Change, Channel, CredentialSource, Env, Interaction, MemoryStore, Profile,
    Progress, State, Store, UserEvent, Write, profile,
};
use bench::{get, make, rp_id};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkey::Options;
use softkey::store::{FileStore, Passphrase, Protection};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const STORED: [usize; 4] = [10, 100, 1_000, 10_000];
/// The relying party that has this many of the credentials; the others have one each.
const OF_ONE_RP: usize = 5;
const IDLE_KEYS: usize = 1_000;

fn main() -> Result<()> {
    memory()?;
    println!(
        "\n| stored | store | makeCredential | getAssertion, listed | getAssertion, discoverable | getInfo |"
    );
    println!("|---|---|---|---|---|---|");
    let mut opened = Vec::new();
    for stored in STORED {
        let state = filled(stored)?;
        latencies("memory", stored, &state, MemoryStore::new(&state), 2_000)?;
        let directory = tempfile::tempdir_in(".")?;
        let path = directory.path().join("key");
        let protection = Protection::sealed(Passphrase::new("a passphrase".to_owned()));
        let store = FileStore::create(&path, &protection, &state)?;
        latencies("file", stored, &state, store, 200)?;
        opened.push(opening(&path, stored)?);
    }
    println!("\n| stored | file | bytes a credential | opening, without Argon2id |");
    println!("|---|---|---|---|");
    opened.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn roomy() -> Result<Profile> {
    let mut profile = profile::find("fido-2.1").ok_or("no such profile")??;
    profile.credentials.max_stored = 1 << 20;
    Ok(profile)
}

/// A key on the desk that consents to everything.
struct Desk<S> {
    authenticator: Authenticator,
    store: S,
    rng: ChaCha20Rng,
}

impl<S: Store> Desk<S> {
    fn new(state: State, store: S, seed: u64) -> Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let authenticator = Authenticator::new(roomy()?, state, Duration::ZERO, &mut rng)?;
        Ok(Self {
            authenticator,
            store,
            rng,
        })
    }

    fn send(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let mut env = Env {
            now: Duration::from_secs(60),
            rng: &mut self.rng,
            store: &mut self.store,
        };
        let mut progress = self.authenticator.handle(Channel(1), request, &mut env);
        loop {
            match progress {
                Progress::Reply(answer) if answer.first() == Some(&0) => return Ok(answer),
                Progress::Waiting(Interaction::Touch { .. }) => {
                    progress = self
                        .authenticator
                        .user(Channel(1), UserEvent::Touch, &mut env);
                }
                other => return Err(format!("{other:?}").into()),
            }
        }
    }
}

/// A state with so many discoverable credentials: a few of site 0, one of each other site.
fn filled(stored: usize) -> Result<State> {
    let state = State::fresh(&mut ChaCha20Rng::seed_from_u64(1));
    let mut desk = Desk::new(state.clone(), MemoryStore::new(&state), 2)?;
    for user in 0..stored {
        desk.send(&make(user.saturating_sub(OF_ONE_RP - 1), user, true))?;
    }
    Ok(desk.authenticator.state().clone())
}

fn latencies<S: Store>(
    name: &str,
    stored: usize,
    state: &State,
    store: S,
    times: usize,
) -> Result<()> {
    let mut desk = Desk::new(state.clone(), store, 3)?;
    let site = |source: &CredentialSource| source.rp.as_ref().is_some_and(|rp| rp.id == rp_id(2));
    let listed = state
        .credentials()
        .find(|source| site(source))
        .ok_or("no credential")?;
    let id = listed.id.clone();
    let mut row = format!("| {stored} | {name} |");
    // The same account again and again: it replaces its credential, and the number stays.
    let kinds = [
        make(1, 1, true),
        get(2, Some(&id)),
        get(0, None),
        vec![0x04],
    ];
    for request in &kinds {
        let mut taken = Vec::with_capacity(times);
        for _ in 0..times {
            let start = Instant::now();
            desk.send(request)?;
            taken.push(start.elapsed());
        }
        taken.sort_unstable();
        let at = |percent: usize| {
            taken
                .get(times * percent / 100)
                .copied()
                .unwrap_or_default()
        };
        row += &format!(" {} ({}) |", micros(at(50)), micros(at(99)));
    }
    println!("{row}");
    Ok(())
}

fn micros(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e6)
}

/// Size of a sealed file, and the time to open one like it that is not sealed.
fn opening(path: &Path, stored: usize) -> Result<String> {
    let size = std::fs::metadata(path)?.len();
    let plain = path.with_extension("plain");
    let state = filled(stored)?;
    drop(FileStore::create(
        &plain,
        &Protection::InsecurePlaintext,
        &state,
    )?);
    let start = Instant::now();
    drop(FileStore::open(&plain, &Protection::InsecurePlaintext)?);
    let taken = start.elapsed();
    Ok(format!(
        "| {stored} | {} KiB | {} | {:.1} ms |",
        size >> 10,
        size / stored as u64,
        taken.as_secs_f64() * 1e3
    ))
}

/// Resident memory of this process in bytes.
fn resident() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * 4096)
}

fn memory() -> Result<()> {
    let before = resident()?;
    let mut keys = Vec::new();
    for _ in 0..IDLE_KEYS {
        let mut end = None;
        let key = Options::ephemeral(roomy()?).start(|inbox| {
            let (wire, platform) = transport::memory::hid(inbox);
            end = Some(platform);
            Ok(wire)
        })?;
        keys.push((key, end));
    }
    let per_key = (resident()? - before) / IDLE_KEYS;
    drop(keys);
    let most = STORED[STORED.len() - 1];
    // Through the records, as a key does that opens its file, so that nothing is shared.
    let snapshot = filled(most)?.snapshot();
    let records: Vec<_> = snapshot
        .iter()
        .flat_map(Change::writes)
        .filter_map(|write| match write {
            Write::Put { key, value } => Some((key, value)),
            _ => None,
        })
        .collect();
    let load = || State::load(records.iter().map(|(key, value)| (&key[..], &value[..])));
    let first = load()?;
    let before = resident()?;
    let states: Vec<_> = (0..10)
        .map(|_| load())
        .collect::<std::result::Result<_, _>>()?;
    let per_credential = (resident()? - before) / most / states.len();
    drop(first);
    println!("| memory | bytes |\n|---|---|");
    println!("| an idle key, with its thread and an in-memory wire | {per_key} |");
    println!("| a stored credential | {per_credential} |");
    Ok(())
}
