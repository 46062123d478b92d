//! Group commit for SQLite: one connection writes, and its transaction is shared.
//!
//! A file can be synchronised some hundred times a second, whatever is in a transaction. So writers
//! that come while the disk is busy join one transaction, each inside a savepoint of its own; a task
//! commits for all of them, and nobody is told "done" before that commit. The lock is fair: those
//! who wait when a batch opens are in it, those who come later are in the next.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{AnyConnection, Error};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};
use tokio::task::JoinHandle;

type Told = Result<(), String>;

/// The one connection that writes.
pub(super) struct Writer {
    shared: Arc<Mutex<Shared>>,
    wanted: Arc<Notify>,
    committer: JoinHandle<()>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.committer.abort();
    }
}

struct Shared {
    connection: AnyConnection,
    /// A transaction has begun.
    open: bool,
    /// A savepoint is set; after its owner is gone, it has to be undone.
    inside: bool,
    /// Who waits for the commit.
    members: Vec<oneshot::Sender<Told>>,
}

impl Writer {
    pub(super) fn new(connection: AnyConnection) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            connection,
            open: false,
            inside: false,
            members: Vec::new(),
        }));
        let wanted = Arc::new(Notify::new());
        let committer = tokio::spawn(commit_for_all(shared.clone(), wanted.clone()));
        Self {
            shared,
            wanted,
            committer,
        }
    }

    /// Joins the open transaction, or opens one.
    pub(super) async fn join(&self) -> Result<Member, Error> {
        let mut shared = self.shared.clone().lock_owned().await;
        shared.undo().await?;
        if !shared.open {
            // The write lock at once, so that no statement fails half-way because another process
            // came first.
            shared.run("BEGIN IMMEDIATE").await?;
            shared.open = true;
        }
        // Before the statement: whoever is cancelled here leaves something to undo.
        shared.inside = true;
        shared.run("SAVEPOINT member").await?;
        Ok(Member {
            shared: Some(shared),
            wanted: self.wanted.clone(),
        })
    }

    /// Commits what is under way.
    pub(super) async fn close(&self) {
        self.shared.lock().await.commit().await;
    }
}

impl Shared {
    async fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        sqlx::query(statement)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Undoes what a member has left without committing.
    async fn undo(&mut self) -> Result<(), Error> {
        if !self.inside {
            return Ok(());
        }
        let undone = match self.run("ROLLBACK TO member").await {
            Ok(()) => self.run("RELEASE member").await,
            Err(error) => Err(error),
        };
        self.inside = false;
        if let Err(error) = &undone {
            // Without its savepoint the whole transaction is in doubt: nobody may be told that it held.
            self.give_up(&error.to_string()).await;
        }
        Ok(())
    }

    async fn commit(&mut self) {
        // An error has told the members already.
        let _ = self.undo().await;
        if !self.open {
            return;
        }
        match self.run("COMMIT").await {
            Ok(()) => {
                self.open = false;
                for member in self.members.drain(..) {
                    // Who is gone does not want to know.
                    let _ = member.send(Ok(()));
                }
            }
            Err(error) => self.give_up(&error.to_string()).await,
        }
    }

    async fn give_up(&mut self, why: &str) {
        // If SQLite has rolled back itself, there is nothing to roll back.
        let _ = self.run("ROLLBACK").await;
        self.open = false;
        for member in self.members.drain(..) {
            let _ = member.send(Err(why.to_owned()));
        }
    }
}

async fn commit_for_all(shared: Arc<Mutex<Shared>>, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        shared.lock().await.commit().await;
    }
}

/// A part of the shared transaction. Dropped without [`Member::commit`], it is undone.
pub(super) struct Member {
    shared: Option<OwnedMutexGuard<Shared>>,
    wanted: Arc<Notify>,
}

impl Member {
    /// Ends this part and waits until the whole is on the disk.
    pub(super) async fn commit(self) -> Result<(), Error> {
        let told = self.release().await?;
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Error::Protocol(format!("the commit failed: {why}"))),
            Err(_) => Err(Error::Protocol("the writer is gone".to_owned())),
        }
    }

    /// Ends this part without waiting: later parts see it, and it is on the disk before they are.
    /// Readers see it after the commit.
    pub(super) async fn commit_softly(self) -> Result<(), Error> {
        self.release().await.map(drop)
    }

    async fn release(mut self) -> Result<oneshot::Receiver<Told>, Error> {
        let (tell, told) = oneshot::channel();
        if let Some(shared) = &mut self.shared {
            shared.run("RELEASE member").await?;
            shared.inside = false;
            shared.members.push(tell);
        }
        Ok(told)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // First the lock, then the call: the committer queues behind those who wait already.
        self.shared = None;
        self.wanted.notify_one();
    }
}

impl Deref for Member {
    type Target = AnyConnection;

    // The guard is there until the value is dropped.
    #[allow(clippy::expect_used)]
    fn deref(&self) -> &AnyConnection {
        &self.shared.as_ref().expect("held until drop").connection
    }
}

impl DerefMut for Member {
    #[allow(clippy::expect_used, reason = "taken in `drop` alone")]
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.shared.as_mut().expect("held until drop").connection
    }
}
