#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::config::Limits;

const ALICE: crate::visitor::Visitor = crate::visitor::Visitor([1; 32]);
const BOB: crate::visitor::Visitor = crate::visitor::Visitor([2; 32]);

async fn store() -> Store {
    Store::open(&Storage::Ephemeral).await.unwrap()
}

fn new(id: &[u8], visitor: crate::visitor::Visitor, now: u64) -> NewCeremony<'_> {
    NewCeremony {
        id,
        visitor,
        ceremony: Ceremony::Authentication,
        state: "state",
        line: Some(Line {
            way: Way::Browser,
            request: "{}",
            options: "{}",
        }),
        now,
    }
}

async fn take(store: &Store, id: &[u8], now: u64) -> Result<String, TakeError> {
    store
        .take_challenge(id, ALICE, Ceremony::Authentication, now)
        .await
}

#[tokio::test]
async fn a_challenge_is_taken_once() {
    let store = store().await;
    let limits = Limits::default();
    store
        .open_ceremony(&new(&[7; 16], ALICE, 100), &limits)
        .await
        .unwrap();
    assert_eq!(take(&store, &[7; 16], 101).await.unwrap(), "state");
    assert!(matches!(
        take(&store, &[7; 16], 101).await,
        Err(TakeError::Used)
    ));
    assert!(matches!(
        take(&store, &[8; 16], 101).await,
        Err(TakeError::Unknown)
    ));
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_challenge() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::File(directory.path().join("new").join("rp.sqlite"));
    let store = Store::open(&storage).await.unwrap();
    store
        .open_ceremony(&new(&[7; 16], ALICE, 100), &Limits::default())
        .await
        .unwrap();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { take(&store, &[7; 16], 101).await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => taken += 1,
            Err(TakeError::Used) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn another_visitor_or_ceremony_does_not_get_it() {
    let store = store().await;
    store
        .open_ceremony(&new(&[7; 16], BOB, 100), &Limits::default())
        .await
        .unwrap();
    assert!(matches!(
        take(&store, &[7; 16], 101).await,
        Err(TakeError::Unknown)
    ));
    let registration = store
        .take_challenge(&[7; 16], BOB, Ceremony::Registration, 101)
        .await;
    assert!(matches!(registration, Err(TakeError::Unknown)));
    let own = store
        .take_challenge(&[7; 16], BOB, Ceremony::Authentication, 101)
        .await;
    assert!(own.is_ok(), "and the attempts have not spent it");
}

#[tokio::test]
async fn too_late_is_too_late_and_stays_so() {
    let store = store().await;
    let limits = Limits::default();
    let lifetime = limits.challenge_lifetime.as_secs();
    for id in [[7; 16], [8; 16]] {
        store
            .open_ceremony(&new(&id, ALICE, 100), &limits)
            .await
            .unwrap();
    }
    assert!(take(&store, &[7; 16], 100 + lifetime - 1).await.is_ok());
    assert!(matches!(
        take(&store, &[8; 16], 100 + lifetime).await,
        Err(TakeError::Expired)
    ));
    assert!(
        matches!(take(&store, &[8; 16], 101).await, Err(TakeError::Expired)),
        "even if the clock goes back"
    );
}

#[tokio::test]
async fn the_oldest_open_challenge_gives_way() {
    let store = store().await;
    let limits = Limits {
        challenges_per_visitor: 3,
        ..Limits::default()
    };
    for n in 0..5_u8 {
        store
            .open_ceremony(&new(&[n; 16], ALICE, 100 + u64::from(n)), &limits)
            .await
            .unwrap();
    }
    for n in 0..5_u8 {
        let taken = take(&store, &[n; 16], 110).await;
        assert_eq!(taken.is_ok(), n >= 2, "{n}: {taken:?}");
        if n < 2 {
            assert!(matches!(taken, Err(TakeError::Expired)));
        }
    }
}

#[tokio::test]
async fn all_visitors_together_have_a_limit_that_time_lifts() {
    let store = store().await;
    let limits = Limits {
        challenges: 2,
        ..Limits::default()
    };
    let open = async |n: u8, now| {
        let visitor = crate::visitor::Visitor([n; 32]);
        store
            .open_ceremony(&new(&[n; 16], visitor, now), &limits)
            .await
    };
    open(1, 100).await.unwrap();
    open(2, 100).await.unwrap();
    let refused = open(3, 100).await.unwrap_err();
    assert!(format!("{refused:?}").contains("too-many-ceremonies"));
    let later = 100 + limits.challenge_lifetime.as_secs();
    open(3, later).await.unwrap();
}

#[tokio::test]
async fn the_log_of_a_visitor_stays_short() {
    let store = store().await;
    let limits = Limits {
        ceremonies_per_visitor: 4,
        ..Limits::default()
    };
    for n in 0..9_u8 {
        store
            .open_ceremony(&new(&[n; 16], ALICE, 100 + u64::from(n)), &limits)
            .await
            .unwrap();
    }
    let rows = store.ceremonies(ALICE).await.unwrap();
    let ids: Vec<u8> = rows.iter().map(|row| row.id[0]).collect();
    assert_eq!(ids, [8, 7, 6, 5]);
    assert!(store.ceremonies(BOB).await.unwrap().is_empty());
}

fn user(name: &str, handle: u8) -> User {
    User {
        handle: vec![handle; 32],
        way: Way::Simulation,
        name: name.to_owned(),
    }
}

fn credential(id: u8) -> StoredCredential {
    StoredCredential {
        id: vec![id; 16],
        record: "before".to_owned(),
        label: None,
        created_at: 100,
        last_used_at: None,
    }
}

#[tokio::test]
async fn a_credential_id_has_one_owner_in_the_whole_store() {
    let store = store().await;
    let limits = Limits::default();
    store
        .add_credential(ALICE, &user("kim", 1), &credential(9), &limits)
        .await
        .unwrap();
    let again = store
        .add_credential(BOB, &user("kim", 2), &credential(9), &limits)
        .await;
    assert!(matches!(again, Err(AddError::Taken)));
    assert!(
        store.users(BOB).await.unwrap().is_empty(),
        "and no account is left behind"
    );
    assert!(store.is_registered(&[9; 16]).await.unwrap());
    assert!(store.credential(BOB, &[9; 16]).await.unwrap().is_none());
    assert!(store.credential(ALICE, &[9; 16]).await.unwrap().is_some());
}

#[tokio::test]
async fn a_record_changes_only_from_what_was_read() {
    let store = store().await;
    let limits = Limits::default();
    store
        .add_credential(ALICE, &user("kim", 1), &credential(9), &limits)
        .await
        .unwrap();
    let update = async |before, after| {
        store
            .update_credential(&[9; 16], before, after, 105)
            .await
            .unwrap()
    };
    assert!(update("before", "after").await);
    assert!(!update("before", "late").await, "another was faster");
    let stored = store.credential(ALICE, &[9; 16]).await.unwrap().unwrap();
    assert_eq!(
        (stored.record.as_str(), stored.last_used_at),
        ("after", Some(105))
    );
}

#[tokio::test]
async fn accounts_and_credentials_are_bounded() {
    let store = store().await;
    let limits = Limits {
        users_per_visitor: 2,
        credentials_per_user: 2,
        ..Limits::default()
    };
    let add = async |name, handle, id| {
        store
            .add_credential(ALICE, &user(name, handle), &credential(id), &limits)
            .await
    };
    add("a", 1, 1).await.unwrap();
    add("a", 1, 2).await.unwrap();
    assert!(matches!(add("a", 1, 3).await, Err(AddError::Problem(_))));
    add("b", 2, 3).await.unwrap();
    assert!(matches!(add("c", 3, 4).await, Err(AddError::Problem(_))));
    assert_eq!(store.users(ALICE).await.unwrap().len(), 2);
}

#[tokio::test]
async fn only_the_owner_deletes_an_account_and_its_credentials_go_with_it() {
    let store = store().await;
    let limits = Limits::default();
    store
        .add_credential(ALICE, &user("kim", 1), &credential(9), &limits)
        .await
        .unwrap();
    assert!(!store.delete_user(BOB, &[1; 32]).await.unwrap());
    assert!(store.delete_user(ALICE, &[1; 32]).await.unwrap());
    assert!(!store.is_registered(&[9; 16]).await.unwrap());
}

#[tokio::test]
async fn records_survive_a_restart_and_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new").join("rp.sqlite");
    let storage = Storage::File(path.clone());
    let store = Store::open(&storage).await.unwrap();
    store
        .add_credential(ALICE, &user("kim", 1), &credential(9), &Limits::default())
        .await
        .unwrap();
    store.close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path) & 0o777, 0o600);
        assert_eq!(mode(path.parent().unwrap()) & 0o777, 0o700);
    }
    let store = Store::open(&storage).await.unwrap();
    assert!(store.is_registered(&[9; 16]).await.unwrap());
}
