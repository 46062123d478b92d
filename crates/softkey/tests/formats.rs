//! Files of every format there ever was open; files of formats to come are left alone.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use authenticator::{CredProtect, State, profile};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use ctap::entities::CredentialDescriptor;
use ctap::pin_protocol::pin_hash;
use ctap::{Command, get_assertion, request_bytes};
use redb::{Database, TableDefinition};
use softkey::Options;
use softkey::store::{Cost, FileError, FileStore, Passphrase, Protection};
use transport::host::HidKey;
use transport::memory;
use webauthn::cose::{CoseAlgorithm, CoseKey};

/// Every format that was ever released, or written to `vectors/store/`.
const VERSIONS: [&str; 1] = ["v1"];

/// What is known of a key whose file is in `vectors/store/`.
struct Fixture {
    facts: Vec<(String, String)>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn all() -> Vec<(Self, Protection)> {
        let mut all = Vec::new();
        for version in VERSIONS {
            for kind in ["sealed", "plaintext"] {
                let fixture = Self::read(&format!("{version}-{kind}"));
                let protection = match kind {
                    "sealed" => {
                        let passphrase = Passphrase::new(fixture.fact("passphrase").to_owned());
                        Protection::Sealed(passphrase, Cost::minimal())
                    }
                    _ => Protection::InsecurePlaintext,
                };
                all.push((fixture, protection));
            }
        }
        all
    }

    /// A copy, because opening writes.
    fn read(name: &str) -> Self {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/store");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::copy(vectors.join(format!("{name}.pinward-key")), &path).unwrap();
        let facts = fs::read_to_string(vectors.join(format!("{name}.tsv"))).unwrap();
        let facts = facts
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            facts,
            path,
            _directory: directory,
        }
    }

    fn values(&self, name: &str) -> Vec<&str> {
        let named = self.facts.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    fn fact(&self, name: &str) -> &str {
        self.values(name)[0]
    }

    fn number(&self, name: &str) -> u32 {
        self.fact(name).parse().unwrap()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_file_of_every_format_holds_what_was_put_in() {
    for (fixture, protection) in Fixture::all() {
        let (_, state) = FileStore::open(&fixture.path, &protection).unwrap();
        let pin = state.pin().unwrap();
        assert_eq!(*pin.hash, *pin_hash(fixture.fact("pin").as_bytes()));
        assert_eq!(usize::from(pin.code_points), fixture.fact("pin").len());
        assert_eq!(u32::from(state.pin_retries()), fixture.number("pinRetries"));
        assert_eq!(u32::from(state.uv_retries()), fixture.number("uvRetries"));
        assert_eq!(state.counter(), fixture.number("counter"));
        let config = state.config();
        assert_eq!(config.always_uv, fixture.fact("alwaysUv").parse().ok());
        let least = fixture.number("minPinLength");
        assert_eq!(config.min_pin_length.map(u32::from), Some(least));
        let readers = fixture.values("minPinLengthRpId");
        assert_eq!(config.min_pin_length_rp_ids, readers);
        let enterprise = fixture.fact("enterpriseAttestation");
        assert_eq!(config.enterprise_attestation.to_string(), enterprise);
        assert!(!config.force_pin_change);
        credentials_are(&fixture, &state);
    }
}

fn credentials_are(fixture: &Fixture, state: &State) {
    let ids: Vec<_> = fixture
        .values("credentialId")
        .into_iter()
        .map(bytes)
        .collect();
    assert_eq!(state.stored_count(), ids.len());
    for (user, id) in (1..).zip(&ids) {
        let source = state.credential(id).unwrap();
        assert_eq!(source.rp.as_ref().unwrap().id, fixture.fact("rpId"));
        assert_eq!(source.user.as_ref().unwrap().id, [user; 16]);
        assert_eq!(source.key.algorithm, CoseAlgorithm::ES256);
        assert!(source.discoverable);
        assert_eq!(source.cred_protect, CredProtect::default());
    }
}

#[test]
fn a_key_from_every_format_signs() {
    for (fixture, protection) in Fixture::all() {
        let profile = profile::find("fido-2.1").unwrap().unwrap();
        let mut end = None;
        let key = Options::stored(profile, &fixture.path, &protection)
            .unwrap()
            .start(|inbox| {
                let (wire, platform) = memory::hid(inbox);
                end = Some(platform);
                Ok(wire)
            })
            .unwrap();
        let mut platform = HidKey::open(end.unwrap(), [1; 8]).unwrap();
        let credentials = fixture
            .values("credentialId")
            .into_iter()
            .zip(fixture.values("publicKey"));
        let mut counter = fixture.number("counter");
        for (id, public_key) in credentials {
            let request = get_assertion::Request {
                rp_id: fixture.fact("rpId").to_owned(),
                client_data_hash: [7; 32],
                allow_list: Some(vec![CredentialDescriptor::public_key(bytes(id))]),
                extensions: None,
                options: None,
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
            };
            let request = request_bytes(Command::GetAssertion, &request.encode());
            let answer = platform.cbor(&request).unwrap();
            assert_eq!(answer[0], 0);
            let signed = get_assertion::Response::decode(&answer[1..]).unwrap();
            let CoseKey::Ec2 { x, y, .. } = CoseKey::parse(&bytes(public_key)).unwrap() else {
                panic!("not an elliptic curve key")
            };
            let point = [&[4][..], &x, &y].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(
                    &[&signed.auth_data[..], &[7; 32]].concat(),
                    &signed.signature,
                )
                .unwrap();
            counter += 1;
            assert_eq!(signed.auth_data[33..37], counter.to_be_bytes());
        }
        key.stop();
        let (_, state) = FileStore::open(&fixture.path, &protection).unwrap();
        assert_eq!(state.counter(), counter);
    }
}

/// Puts one record, of a program to come, into the plaintext file.
fn with_record(table: &str, put: impl FnOnce(redb::Table<'_, &[u8], &[u8]>)) -> Fixture {
    let fixture = Fixture::read("v1-plaintext");
    let database = Database::open(&fixture.path).unwrap();
    let transaction = database.begin_write().unwrap();
    put(transaction.open_table(TableDefinition::new(table)).unwrap());
    transaction.commit().unwrap();
    fixture
}

fn refused_untouched(fixture: &Fixture) -> FileError {
    let before = fs::read(&fixture.path).unwrap();
    let changed = fs::metadata(&fixture.path).unwrap().modified().unwrap();
    let error = FileStore::open(&fixture.path, &Protection::InsecurePlaintext).unwrap_err();
    assert!(fs::read(&fixture.path).unwrap() == before, "it was touched");
    let after = fs::metadata(&fixture.path).unwrap().modified().unwrap();
    assert_eq!(after, changed);
    error
}

#[test]
fn records_of_a_later_version_are_told_and_left_alone() {
    let kind = with_record("records", |mut table| {
        table.insert(&b"~to come"[..], &[1, 0][..]).unwrap();
    });
    let error = refused_untouched(&kind).to_string();
    assert!(error.contains("was written by a later version"), "{error}");
    let format = with_record("records", |mut table| {
        table.insert(&b"r"[..], &[9, 8][..]).unwrap();
    });
    let error = refused_untouched(&format).to_string();
    assert!(error.contains("has format 9"), "{error}");
}

#[test]
fn a_file_of_a_later_format_is_told_and_left_alone() {
    let fixture = Fixture::read("v1-plaintext");
    let header = TableDefinition::<&str, &[u8]>::new("header");
    let database = Database::open(&fixture.path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(header).unwrap();
    table.insert("pinward-key", &[0x82, 2, 0][..]).unwrap();
    drop(table);
    transaction.commit().unwrap();
    drop(database);
    let error = refused_untouched(&fixture).to_string();
    assert_eq!(
        error,
        "the key file has format 2; this program knows format 1"
    );
    // The same after its program was killed, when it cannot be read without being repaired.
    let database = Database::open(&fixture.path).unwrap();
    let unclean = fs::read(&fixture.path).unwrap();
    drop(database);
    let clean = fs::read(&fixture.path).unwrap();
    assert!(clean != unclean, "an open file is marked");
    fs::write(&fixture.path, unclean).unwrap();
    refused_untouched(&fixture);
}

#[test]
fn a_wrong_passphrase_leaves_the_file_alone() {
    let fixture = Fixture::read("v1-sealed");
    let before = fs::read(&fixture.path).unwrap();
    let wrong = Protection::Sealed(Passphrase::new("wrong".to_owned()), Cost::minimal());
    let error = FileStore::open(&fixture.path, &wrong).unwrap_err();
    assert!(matches!(error, FileError::WrongPassphrase));
    assert!(fs::read(&fixture.path).unwrap() == before);
}
