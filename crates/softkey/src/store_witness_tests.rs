//! Old copies of a key's file, and what notices them.

use super::*;

struct Place {
    folder: tempfile::TempDir,
    protection: Protection,
}

impl Place {
    fn new(protection: Protection) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            protection,
        };
        FileStore::create(&place.file(), &place.protection, &fresh()).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn witnesses(&self) -> Witnesses {
        Witnesses::in_folder(self.folder.path().join("state/keys"))
    }

    fn open_with(&self, witnesses: &Witnesses) -> Result<FileStore, FileError> {
        let (store, _) = FileStore::open(&self.file(), &self.protection)?;
        store.watched(&self.file(), witnesses)
    }

    fn open(&self) -> Result<FileStore, FileError> {
        self.open_with(&self.witnesses())
    }
}

fn rolled_back(result: Result<FileStore, FileError>) -> (u64, u64) {
    match result {
        Err(FileError::RolledBack {
            generation, seen, ..
        }) => (generation, seen),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_old_copy_is_refused_until_it_is_accepted() {
    for protection in both() {
        let place = Place::new(protection);
        let mut store = place.open().unwrap();
        store.commit(&[credential(1)]).unwrap();
        drop(store);
        fs::copy(place.file(), place.copy()).unwrap();
        let mut store = place.open().unwrap();
        store.commit(&[Change::SetPinRetries(7)]).unwrap();
        store.commit(&[Change::SetPinRetries(6)]).unwrap();
        drop(store);
        drop(place.open().unwrap());
        fs::copy(place.copy(), place.file()).unwrap();
        assert_eq!(rolled_back(place.open()), (1, 3));
        assert_eq!(rolled_back(place.open()), (1, 3), "it stays refused");
        let words = place.open().unwrap_err().to_string();
        assert!(words.contains("--accept-rollback"), "{words}");
        drop(
            place
                .open_with(&place.witnesses().accept_rollback(true))
                .unwrap(),
        );
        let mut store = place.open().unwrap();
        store.commit(&[credential(2)]).unwrap();
        drop(store);
        drop(place.open().unwrap());
    }
}

#[test]
fn a_copy_that_went_its_own_way_is_noticed() {
    let place = Place::new(sealed("x"));
    fs::copy(place.file(), place.copy()).unwrap();
    let (copy, _) = FileStore::open(&place.copy(), &place.protection).unwrap();
    let mut copy = copy.watched(&place.copy(), &place.witnesses()).unwrap();
    copy.commit(&[credential(1)]).unwrap();
    assert_eq!(rolled_back(place.open()), (0, 1));
}

#[test]
fn other_files_and_files_of_before_are_believed() {
    let place = Place::new(Protection::InsecurePlaintext);
    place.open().unwrap().commit(&[credential(1)]).unwrap();
    // Another key in the same place and with the same passphrase is another key.
    for protection in both() {
        fs::remove_file(place.file()).unwrap();
        FileStore::create(&place.file(), &protection, &fresh()).unwrap();
        let (store, _) = FileStore::open(&place.file(), &protection).unwrap();
        drop(store.watched(&place.file(), &place.witnesses()).unwrap());
    }
    // Unwatched commits count too, so that going back and forth between programs is no rollback.
    let place = Place::new(sealed("x"));
    drop(place.open().unwrap());
    let (mut unwatched, _) = FileStore::open(&place.file(), &place.protection).unwrap();
    unwatched.commit(&[credential(1)]).unwrap();
    drop(unwatched);
    drop(place.open().unwrap());
}

/// Does something to the table beside the records.
fn tamper(path: &Path, change: impl FnOnce(&mut redb::Table<'_, &str, &[u8]>)) {
    let database = database(file_backend(path, path).unwrap(), path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(HEADER).unwrap());
    transaction.commit().unwrap();
}

#[test]
fn a_sealed_copy_cannot_be_made_to_look_newer_or_to_be_another_one() {
    let place = Place::new(sealed("x"));
    fs::copy(place.file(), place.copy()).unwrap();
    let mut store = place.open().unwrap();
    store.commit(&[credential(1)]).unwrap();
    let newer = store.database.begin_read().unwrap();
    let table = newer.open_table(HEADER).unwrap();
    assert!(table.get(ID_KEY).unwrap().is_none(), "no ID to take away");
    drop((table, newer, store));
    fs::copy(place.copy(), place.file()).unwrap();
    tamper(&place.file(), |table| {
        table
            .insert(GENERATION_KEY, [0_u8, 0, 0, 0, 0, 0, 0, 9].as_slice())
            .unwrap();
    });
    assert!(matches!(place.open(), Err(FileError::Damaged { .. })));
    tamper(&place.file(), |table| {
        table.remove(GENERATION_KEY).unwrap();
    });
    assert_eq!(rolled_back(place.open()), (0, 1));
}

#[test]
fn witnesses_are_private_and_a_spoilt_one_is_none() {
    let place = Place::new(sealed("x"));
    place.open().unwrap().commit(&[credential(1)]).unwrap();
    let folder = place.folder.path().join("state/keys");
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    assert_eq!(
        fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::read_to_string(&files[0]).unwrap(),
        "00000000000000000001\n"
    );
    for spoilt in [&b""[..], b"\xff\xfe", b"lots of words that are no number"] {
        fs::write(&files[0], spoilt).unwrap();
        drop(place.open().unwrap());
    }
}

#[test]
fn a_witness_that_cannot_be_kept_is_an_error() {
    let place = Place::new(sealed("x"));
    fs::write(place.folder.path().join("state"), "in the way").unwrap();
    assert!(matches!(place.open(), Err(FileError::Io { .. })));
}
