//! The store as a file: what it keeps, what it hides, what it refuses.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use authenticator::{CredProtect, CredentialSource, KeyMaterial, StoredPin};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use webauthn::cose::CoseAlgorithm;

use super::*;

#[path = "store_witness_tests.rs"]
mod witness_tests;

fn fresh() -> State {
    State::fresh(&mut ChaCha20Rng::seed_from_u64(1))
}

fn sealed(passphrase: &str) -> Protection {
    Protection::Sealed(Passphrase::new(passphrase.to_owned()), Cost::minimal())
}

fn both() -> [Protection; 2] {
    [sealed("correct horse"), Protection::InsecurePlaintext]
}

fn credential(id: u8) -> Change {
    Change::PutCredential(Arc::new(CredentialSource {
        id: vec![id; 32],
        rp_id_hash: [2; 32],
        rp: Some(ctap::entities::RpEntity {
            id: "findme.example".to_owned(),
            name: None,
        }),
        user: None,
        key: KeyMaterial {
            algorithm: CoseAlgorithm::ES256,
            bytes: Zeroizing::new(vec![0xA5; 32]),
        },
        discoverable: true,
        cred_protect: CredProtect::default(),
        hmac_secret: false,
        large_blob_key: false,
        third_party_payment: false,
        cred_blob: None,
        created: u64::from(id),
    }))
}

fn pin() -> Change {
    Change::SetPin(StoredPin {
        hash: Zeroizing::new([0x5A; 16]),
        code_points: 6,
    })
}

/// All records of a state, keys and values.
fn records(state: &State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut records: Vec<_> = state
        .snapshot()
        .iter()
        .flat_map(Change::writes)
        .filter_map(|write| match write {
            Write::Put { key, value } => Some((key, value.to_vec())),
            _ => None,
        })
        .collect();
    records.sort();
    records
}

fn same(a: &State, b: &State) {
    assert!(records(a) == records(b), "the states differ");
}

#[test]
fn what_is_committed_is_there_after_reopening() {
    for protection in both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let mut state = fresh();
        let mut store = FileStore::create(&path, &protection, &state).unwrap();
        for changes in [
            vec![pin(), Change::SetPinRetries(5)],
            vec![credential(1), credential(2), Change::SetCounter(7)],
            vec![Change::DeleteCredential(vec![1; 32]), Change::SetCounter(8)],
            vec![Change::SetPinRetries(4)],
        ] {
            store.commit(&changes).unwrap();
            changes.iter().for_each(|c| state.apply(c));
            drop(store);
            let (reopened, loaded) = FileStore::open(&path, &protection).unwrap();
            same(&loaded, &state);
            store = reopened;
        }
        assert_eq!(
            (state.pin_retries(), state.counter(), state.stored_count()),
            (4, 8, 1)
        );
        let secrets = authenticator::Secrets::generate(&mut ChaCha20Rng::seed_from_u64(2));
        let reset = [Change::ReplaceSecrets(secrets), Change::Reset];
        store.commit(&reset).unwrap();
        reset.iter().for_each(|c| state.apply(c));
        drop(store);
        same(&FileStore::open(&path, &protection).unwrap().1, &state);
    }
}

#[test]
fn the_file_is_private_from_the_start_and_alone_in_its_place() {
    for protection in both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let _store = FileStore::create(&path, &protection, &fresh()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["key"], "no draft is left");
    }
}

#[test]
fn a_sealed_file_shows_nothing_and_a_plaintext_file_shows_all() {
    let contains = |file: &[u8], needle: &[u8]| file.windows(needle.len()).any(|w| w == needle);
    for (protection, visible) in both().into_iter().zip([false, true]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let mut store = FileStore::create(&path, &protection, &fresh()).unwrap();
        store.commit(&[credential(0x77), pin()]).unwrap();
        drop(store);
        let file = fs::read(&path).unwrap();
        for needle in [
            &b"findme.example"[..],
            &[0xA5; 32],
            &[0x77; 32],
            &[0x5A; 16],
        ] {
            assert_eq!(contains(&file, needle), visible, "{needle:02x?}");
        }
    }
}

#[test]
fn a_wrong_passphrase_is_said_clearly_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let right = sealed("correct horse");
    drop(FileStore::create(&path, &right, &fresh()).unwrap());
    for wrong in ["correct horsf", "Correct horse", "correct horse "] {
        let error = FileStore::open(&path, &sealed(wrong)).unwrap_err();
        assert!(matches!(error, FileError::WrongPassphrase), "{error:?}");
        assert_eq!(error.to_string(), "the passphrase is wrong");
    }
    assert!(matches!(
        FileStore::open(&path, &sealed("")),
        Err(FileError::EmptyPassphrase)
    ));
    same(&FileStore::open(&path, &right).unwrap().1, &fresh());
    let empty = FileStore::create(&dir.path().join("other"), &sealed(""), &fresh());
    assert!(matches!(empty, Err(FileError::EmptyPassphrase)));
}

#[test]
fn the_protection_of_a_file_cannot_be_mistaken() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    drop(FileStore::create(&a, &sealed("x"), &fresh()).unwrap());
    drop(FileStore::create(&b, &Protection::InsecurePlaintext, &fresh()).unwrap());
    let plain = FileStore::open(&a, &Protection::InsecurePlaintext);
    assert!(matches!(plain, Err(FileError::Sealed)));
    assert!(matches!(
        FileStore::open(&b, &sealed("x")),
        Err(FileError::NotSealed)
    ));
}

#[test]
fn files_that_are_in_the_way_or_missing_or_in_use_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let protection = Protection::InsecurePlaintext;
    assert!(matches!(
        FileStore::open(&path, &protection),
        Err(FileError::NotFound(_))
    ));
    assert!(!path.exists());
    let missing = dir.path().join("no/such/directory");
    assert!(matches!(
        FileStore::create(&missing, &protection, &fresh()),
        Err(FileError::Io { .. })
    ));
    fs::write(&path, "precious").unwrap();
    assert!(matches!(
        FileStore::create(&path, &protection, &fresh()),
        Err(FileError::Exists(_))
    ));
    assert!(matches!(
        FileStore::open(&path, &protection),
        Err(FileError::Damaged { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::write(&path, "").unwrap();
    assert!(matches!(
        FileStore::open(&path, &protection),
        Err(FileError::Damaged { .. })
    ));
    assert!(matches!(
        FileStore::open(dir.path(), &protection),
        Err(FileError::Damaged { .. })
    ));
    fs::remove_file(&path).unwrap();
    let (store, _) = FileStore::open_or_create(&path, &protection, fresh).unwrap();
    let busy = FileStore::open(&path, &protection).unwrap_err();
    assert!(matches!(busy, FileError::InUse(_)), "{busy:?}");
    drop(store);
    same(
        &FileStore::open_or_create(&path, &protection, || panic!("it is there"))
            .unwrap()
            .1,
        &fresh(),
    );
}

#[test]
fn another_database_and_a_later_format_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let edit = |header: &[u8]| {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(HEADER)
            .unwrap()
            .insert(HEADER_KEY, header)
            .unwrap();
        transaction.commit().unwrap();
    };
    drop(Database::create(&path).unwrap());
    let protection = Protection::InsecurePlaintext;
    let error = FileStore::open(&path, &protection).unwrap_err();
    assert!(error.to_string().ends_with("it has no header"), "{error}");
    edit(&[0x82, 2, 0]);
    let error = FileStore::open(&path, &protection).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key file has format 2; this program knows format 1"
    );
    // A cost that would take a terabyte, and plain nonsense.
    let mut monster = vec![0x87, 1, 1, 0x1A, 0x40, 0, 0, 0, 1, 1, 0x50];
    monster.extend([0; 16]);
    monster.push(0x40);
    for header in [&monster[..], &[0x82, 1, 9], &[0x83, 1, 0, 0], &[0xFF], &[]] {
        edit(header);
        let error = FileStore::open(&path, &sealed("x")).unwrap_err();
        assert!(
            error.to_string().ends_with("its header does not read"),
            "{error}"
        );
    }
}

#[test]
fn records_cannot_be_altered_or_exchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let protection = sealed("x");
    let mut store = FileStore::create(&path, &protection, &fresh()).unwrap();
    store.commit(&[credential(1), credential(2)]).unwrap();
    let name = |id| store.seal.name(&record_key(id)).into_owned();
    let (one, two) = (name(1), name(2));
    drop(store);
    let get = |name: &[u8]| {
        let database = Database::create(&path).unwrap();
        let table = database.begin_read().unwrap().open_table(RECORDS).unwrap();
        table.get(name).unwrap().unwrap().value().to_vec()
    };
    let (first, second) = (get(&one), get(&two));
    let mut flipped = first.clone();
    flipped[20] ^= 1;
    for value in [&second[..], &flipped, &first[..5], &[]] {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(RECORDS)
            .unwrap()
            .insert(&one[..], value)
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let error = FileStore::open(&path, &protection).unwrap_err().to_string();
        assert!(error.ends_with("a record was altered"), "{error}");
    }
}

/// The key of the record of a credential.
fn record_key(id: u8) -> Vec<u8> {
    match credential(id).writes().remove(0) {
        Write::Put { key, .. } => key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_with_flipped_bits_never_panics_and_never_lies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let protection = sealed("x");
    let mut store = FileStore::create(&path, &protection, &fresh()).unwrap();
    store
        .commit(&[credential(1), pin(), Change::SetPinRetries(3)])
        .unwrap();
    drop(store);
    let good = fs::read(&path).unwrap();
    let (_, state) = FileStore::open(&path, &protection).unwrap();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    let mut seed = 1_u64;
    for _ in 0..150 {
        let mut bad = good.clone();
        for _ in 0..4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Pages that are in use lie at the front.
            let at = usize::try_from(seed >> 33).unwrap() % bad.len().min(64 << 10);
            bad[at] ^= 1 << (seed & 7);
        }
        fs::write(&path, &bad).unwrap();
        match std::panic::catch_unwind(|| FileStore::open(&path, &protection)) {
            Ok(Ok((_, loaded))) => same(&loaded, &state),
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("opening a damaged file panicked"),
        }
    }
    std::panic::set_hook(before);
    assert!(refused > 0, "some of the flips hit something");
}

#[test]
fn secrets_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let protection = sealed("correct horse");
    let store = FileStore::create(&dir.path().join("key"), &protection, &fresh()).unwrap();
    let shown = format!("{protection:?} {:?}", store.seal);
    assert_eq!(
        shown,
        "Sealed(Passphrase(..), Cost { memory_kib: 8, passes: 1, lanes: 1 }) Keys(..)"
    );
}
