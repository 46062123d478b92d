//! What a security key costs beside the cryptography that it cannot do without, and beside two others:
//! passkey-authenticator (passkey-rs) and soft-fido2, all three with a store in memory, CBOR in and out,
//! ES256, one core, in turns.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin authenticators` prints Markdown. Time is
//! CPU time of the one thread. Nothing is asserted.

#[path = "authenticators/passkey_rs.rs"]
mod passkey_rs;
#[path = "authenticators/pinward.rs"]
mod pinward;
#[path = "authenticators/soft_fido2.rs"]
mod soft_fido2;

use std::error::Error;
use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use bench::{get, make};
use ctap::Command;
use ctap::cbor::Value;
use rustix::time::{ClockId, clock_gettime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const STORED: [usize; 3] = [10, 1_000, 10_000];
const TIMES: usize = 3_000;

/// A security key on the desk whose owner consents to everything.
trait Subject {
    fn name(&self) -> &'static str;
    /// A command byte with its parameters in, a status byte with its members out.
    fn send(&mut self, request: &[u8]) -> Result<Vec<u8>>;
}

/// What a command cannot do without, by the crypto library of Pinward.
#[derive(Clone, Copy)]
enum Limit {
    /// A new key and a signature: the attestation's.
    MakeAndSign,
    Sign,
    None,
}

/// The crypto library alone.
struct Raw {
    rng: SystemRandom,
    key: EcdsaKeyPair,
}

impl Raw {
    fn once(&self, limit: Limit) -> Result<()> {
        let made;
        let key = match limit {
            Limit::None => return Ok(()),
            Limit::Sign => &self.key,
            Limit::MakeAndSign => {
                made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
                &made
            }
        };
        black_box(key.sign(&self.rng, &[7; 200])?);
        Ok(())
    }
}

fn main() -> Result<()> {
    println!("| stored | command | | limit | taken | of the limit | 99th percentile |");
    println!("|---|---|---|---|---|---|---|");
    let raw = Raw {
        rng: SystemRandom::new(),
        key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
    };
    for stored in STORED {
        let mut subjects: [Box<dyn Subject>; 3] = [
            Box::new(pinward::Key::new()?),
            Box::new(passkey_rs::Key::new()),
            Box::new(soft_fido2::Key::new()?),
        ];
        for subject in &mut subjects {
            measure(&mut **subject, stored, &raw)?;
        }
    }
    Ok(())
}

fn measure(subject: &mut dyn Subject, stored: usize, raw: &Raw) -> Result<()> {
    // A few of site 0, one of each other site.
    let mut listed = Vec::new();
    for user in 0..stored {
        let answer = accepted(subject.send(&make(user.saturating_sub(4), user, true))?)?;
        if user == stored / 2 + 4 {
            listed = credential_id(&answer)?;
        }
    }
    let kinds = [
        (
            "makeCredential, not discoverable",
            make(2, 2, false),
            Limit::MakeAndSign,
        ),
        // The same account again: it replaces its credential, and the number stays.
        (
            "makeCredential, discoverable",
            make(1, 1, true),
            Limit::MakeAndSign,
        ),
        (
            "getAssertion, listed",
            get(stored / 2, Some(&listed)),
            Limit::Sign,
        ),
        ("getAssertion, discoverable", get(3, None), Limit::Sign),
        ("getInfo", vec![Command::GetInfo.code()], Limit::None),
    ];
    for (command, request, limit) in kinds {
        let one = format!("| {stored} | {command} | {} |", subject.name());
        match in_turns(subject, &request, limit, raw) {
            Ok(times) => println!("{one} {times}"),
            Err(why) => println!("{one} | {why} | | |"),
        }
    }
    Ok(())
}

/// The limit and the command in turns, so that both meet the same machine: a row's last cells, in
/// microseconds of CPU time, medians.
fn in_turns(subject: &mut dyn Subject, request: &[u8], limit: Limit, raw: &Raw) -> Result<String> {
    accepted(subject.send(request)?)?;
    let (mut limits, mut taken) = (Vec::with_capacity(TIMES), Vec::with_capacity(TIMES));
    for _ in 0..TIMES {
        let start = now();
        raw.once(limit)?;
        let between = now();
        black_box(subject.send(request)?);
        taken.push(now() - between);
        limits.push(between - start);
    }
    let (limit_of, (taken, worst)) = (percentiles(&mut limits).0, percentiles(&mut taken));
    Ok(match limit {
        Limit::None => format!("| {taken:.1} | | {worst:.0} |"),
        _ => format!(
            "{limit_of:.1} | {taken:.1} | {:.2} | {worst:.0} |",
            limit_of / taken
        ),
    })
}

/// The median and the 99th percentile.
fn percentiles(times: &mut [f64]) -> (f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len() * percent / 100).copied();
    (at(50).unwrap_or_default(), at(99).unwrap_or_default())
}

fn accepted(answer: Vec<u8>) -> Result<Vec<u8>> {
    match answer.first() {
        Some(0) => Ok(answer),
        Some(&code) => Err(ctap::Status(code).name().into()),
        None => Err("an empty answer".into()),
    }
}

fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// The credential ID in the authenticator data (member 2) of a makeCredential answer.
fn credential_id(answer: &[u8]) -> Result<Vec<u8>> {
    let members = Value::decode(answer.get(1..).unwrap_or_default())?;
    let Some(Value::Bytes(data)) = members.get_int(2) else {
        return Err("no authenticator data".into());
    };
    // WebAuthn L3 §6.1, §6.5.1: 37 bytes, the AAGUID, a length of two bytes.
    let length = data.get(53..55).ok_or("too short")?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    Ok(data.get(55..55 + length).ok_or("too short")?.to_vec())
}
