//! What the store does by itself: the transactions of sign-ins without HTTP, cookies and signatures.

use std::time::{Duration, Instant};

use super::{
    Ceremony, Entry, Event, Metered, Method, NewCeremony, NewSession, Realm, Store,
    StoredCredential, User, Way, unix_now,
};
use crate::config::{Limits, Storage};
use crate::problem::Problem;
use crate::visitor::Visitor;

/// Sign-ins per second that the store alone takes from so many writers, each with an account of its
/// own: two requests metered, a challenge opened and taken, the session begun. For `bench`.
///
/// # Errors
/// In words, what the database said.
pub async fn measure_store(
    storage: &Storage,
    writers: usize,
    time: Duration,
) -> Result<f64, String> {
    let store = Store::open(storage).await.map_err(|e| e.to_string())?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| tokio::spawn(sign_in_again_and_again(store.clone(), start + time)))
        .collect();
    let mut done = 0;
    for task in tasks {
        let counted = task.await.map_err(|e| e.to_string())?;
        done += counted.map_err(|problem| format!("{problem:?}"))?;
    }
    let rate = f64::from(done) / start.elapsed().as_secs_f64();
    store.close().await;
    Ok(rate)
}

async fn sign_in_again_and_again(store: Store, end: Instant) -> Result<u32, Problem> {
    let limits = Limits {
        challenges: 1_000_000,
        ..Limits::default()
    };
    let handle = crate::random::<32>()?.to_vec();
    let user = User {
        name: crate::hex(&handle),
        handle,
        way: Way::Browser,
    };
    let mut credential = StoredCredential {
        id: crate::random::<32>()?.to_vec(),
        record: "0".repeat(600),
        label: None,
        created_at: unix_now(),
        last_used_at: None,
    };
    let added = store.add_credential(
        Realm::Visitor(Visitor(crate::random()?)),
        &user,
        &credential,
        &limits,
    );
    if added.await.is_err() {
        return Err(Problem::internal("measurement", &"no account"));
    }
    let (mut done, mut cookie) = (0, Visitor(crate::random()?));
    while Instant::now() < end {
        let (id, next) = (crate::random::<16>()?, Visitor(crate::random()?));
        let now = unix_now();
        for _ in 0..2 {
            let rate = (1_000_000, Duration::from_millis(1));
            let _ = store
                .charge(
                    Metered::Address,
                    &user.handle[..16],
                    rate,
                    Duration::from_secs(now),
                )
                .await?;
        }
        let new = NewCeremony {
            id: &id,
            visitor: cookie,
            ceremony: Ceremony::Authentication,
            state: &credential.record,
            line: None,
            now,
        };
        store.open_ceremony(&new, &limits).await?;
        let taken = store.take_challenge(&id, cookie, Ceremony::Authentication, now);
        if taken.await.is_err() {
            return Err(Problem::internal("measurement", &"no challenge"));
        }
        let session = NewSession {
            id: next,
            replaces: cookie,
            user: &user.handle,
            credential: Some(&credential.id),
            method: Method::Authentication,
            user_verified: true,
            multi_factor: true,
            now,
            expires_at: now + 60,
        };
        let entry = Entry {
            credential: Some(&credential.id),
            user_verified: Some(true),
            ceremony: Some(&id),
            ..Entry::now(Event::SignedIn).by(&user)
        };
        let after = format!("{done:0600}");
        store.sign_in(&credential, &after, &session, &entry).await?;
        credential.record = after;
        cookie = next;
        done += 1;
    }
    Ok(done)
}
