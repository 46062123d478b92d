//! Runs the matrix for a person who accepts, every cell of it, and says how long it takes:
//! `cargo run --release -p lab --example matrix_speed`.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Instant;

use lab::matrix::Selection;
use lab::{Ceremony, KeyState, UserAction};
use rp::policy::UserVerificationPolicy;

fn main() -> Result<(), Box<dyn Error>> {
    let shipped = authenticator::profile::shipped().iter();
    let keys = shipped.map(|(_, text)| authenticator::Profile::from_toml(text));
    let selection = Selection {
        keys: keys.collect::<Result<_, _>>()?,
        states: KeyState::ALL.to_vec(),
        ceremonies: vec![Ceremony::Create, Ceremony::Get],
        discoverable: vec![false, true],
        user_verification: vec![
            UserVerificationPolicy::Never,
            UserVerificationPolicy::IfSet,
            UserVerificationPolicy::Always,
        ],
        people: vec![UserAction::Accepts],
        platforms: client::profile::all(),
        host: client::policy::HostPolicy::default(),
    };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let begun = Instant::now();
    let rows = selection.run(threads, &|_| {})?;
    let seconds = begun.elapsed().as_secs_f64();
    let each = seconds * 1e3 * threads.get() as f64 / rows.len().max(1) as f64;
    let cells = rows.len();
    println!(
        "{cells} cells on {threads} threads: {seconds:.2} s, at most {each:.3} ms of CPU each"
    );
    Ok(())
}
