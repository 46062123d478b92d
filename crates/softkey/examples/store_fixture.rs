//! Writes the store files of `vectors/store/`: a key with a PIN, settings and credentials, once in
//! each protection. Run it when the format changes, with a new version's name; old files stay.
//!
//! `cargo run -p softkey --example store_fixture -- vectors/store v2`

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use authenticator::{Change, Config, State, Store, StoredPin, profile};
use ctap::pin_protocol::pin_hash;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkey::Options;
use softkey::store::{Cost, FileStore, Passphrase, Protection};
use transport::host::HidKey;
use transport::memory;
use webauthn::authenticator_data::AuthenticatorData;
use zeroize::Zeroizing;

#[path = "../tests/common/requests.rs"]
mod requests;

const PASSPHRASE: &str = "correct horse battery staple";
const PIN: &str = "1234";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: store_fixture DIRECTORY VERSION";
    let directory = arguments.next().ok_or(usage)?;
    let version = arguments.next().ok_or(usage)?;
    let directory = Path::new(&directory);
    let passphrase = Passphrase::new(PASSPHRASE.to_owned());
    for (name, protection) in [
        ("sealed", Protection::Sealed(passphrase, Cost::minimal())),
        ("plaintext", Protection::InsecurePlaintext),
    ] {
        let path = directory.join(format!("{version}-{name}.pinward-key"));
        let facts = write(&path, &protection)?;
        std::fs::write(path.with_extension("tsv"), facts)?;
    }
    Ok(())
}

/// Makes the key in `path`; what is known of it, as lines of name, tab, value.
fn write(path: &Path, protection: &Protection) -> Result<String, Box<dyn Error>> {
    let profile = profile::find("fido-2.1").ok_or("no such profile")??;
    let state = State::fresh(&mut ChaCha20Rng::seed_from_u64(1));
    let store = FileStore::create(path, protection, &state)?;
    let mut end = None;
    let key = Options::new(profile, state, Box::new(store)).start(|inbox| {
        let (wire, platform) = memory::hid(inbox);
        end = Some(platform);
        Ok(wire)
    })?;
    let mut platform = HidKey::open(end.ok_or("no wire")?, [1; 8])?;
    let mut facts = format!(
        "passphrase\t{PASSPHRASE}\npin\t{PIN}\npinRetries\t5\nuvRetries\t2\ncounter\t42\nminPinLength\t4\n\
         minPinLengthRpId\texample.com\nenterpriseAttestation\ttrue\nalwaysUv\tfalse\nrpId\texample.com\n"
    );
    for user in 1..=3 {
        let answer = platform.cbor(&requests::make_credential(user))?;
        let made = ctap::make_credential::Response::decode(answer.get(1..).unwrap_or_default())?;
        let data = AuthenticatorData::parse(&made.auth_data)?;
        let attested = data.attested_credential_data.ok_or("no credential")?;
        writeln!(facts, "credentialId\t{}", hex(attested.credential_id))?;
        let public_key = attested.credential_public_key;
        writeln!(facts, "publicKey\t{}", hex(public_key))?;
    }
    key.stop();
    let (mut store, _) = FileStore::open(path, protection)?;
    let pin = StoredPin {
        hash: Zeroizing::new(*pin_hash(PIN.as_bytes())),
        code_points: 4,
    };
    let config = Config {
        always_uv: Some(false),
        enterprise_attestation: true,
        min_pin_length: Some(4),
        min_pin_length_rp_ids: vec!["example.com".to_owned()],
        ..Config::default()
    };
    store.commit(&[
        Change::SetPin(pin),
        Change::SetPinRetries(5),
        Change::SetUvRetries(2),
        Change::SetConfig(config),
        Change::SetCounter(42),
    ])?;
    Ok(facts)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
