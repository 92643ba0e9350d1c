//! The only thread that writes. It takes what is ready, up to a bound, and nobody waits for company.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::error::WriteError;
use super::group::{self, Fate, Member, Operation, Rider};
use super::lock::FolderLock;
use crate::broker::Health;

/// Operations that may be asked for and not yet written.
const WAITING_MAX: usize = 8_192;
/// Members of one group.
const GROUP_MAX: usize = 256;
/// How long an operation waits for a place.
const WAIT: Duration = Duration::from_secs(4);
/// How long a rider waits for company before it has a group of its own.
const RIDER_WAIT: Duration = Duration::from_millis(10);
/// Deletes that ride along with one group.
const RIDER_MAX: usize = 2_048;
/// How often a file that could not be written is tried again.
const PROBE: Duration = Duration::from_millis(500);

enum Request {
    Run(Box<dyn Operation>, OwnedSemaphorePermit),
    /// The rider has something.
    Ride,
    /// Finish what came before, then end.
    Close,
}

/// A handle to the thread.
#[derive(Clone)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    places: Arc<Semaphore>,
    rider: Arc<OnceLock<Weak<dyn Rider>>>,
    health: watch::Receiver<Health>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("health", &*self.health.borrow()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread; it keeps the folder locked until it ends.
    pub(super) fn start(
        connection: Connection,
        lock: FolderLock,
    ) -> Result<Self, super::OpenError> {
        let (requests, incoming) = mpsc::channel();
        let (health_tx, health) = watch::channel(Health::Up);
        let rider = Arc::new(OnceLock::new());
        let thread = Thread { connection, incoming, rider: Arc::clone(&rider), health: health_tx };
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || thread.work(lock))
            .map_err(|error| super::OpenError::Failed(error.to_string()))?;
        Ok(Self { requests, places: Arc::new(Semaphore::new(WAITING_MAX)), rider, health })
    }

    /// Runs `work` in the next group and tells its result.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = self.place(WAIT).await?;
        let (result_tx, result) = oneshot::channel();
        self.submit(place, work, move |done| {
            // Nobody may be waiting any more.
            let _ = result_tx.send(done);
        })?;
        // The thread tells every member; it only fails to when it died over a group.
        result.await.unwrap_or_else(|_| Err(WriteError::Unknown("the writer ended".to_owned())))
    }

    /// A place among the waiting operations.
    pub(crate) async fn place(&self, wait: Duration) -> Result<OwnedSemaphorePermit, WriteError> {
        let acquire = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(wait, acquire).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(WriteError::Away("too many writes are waiting".to_owned())),
        }
    }

    /// Hands `work` to the thread; `done` is called on it, after the group's fate is known and in the
    /// order in which work was submitted. It must be short and wait for nothing.
    pub(crate) fn submit<T, F, D>(
        &self,
        place: OwnedSemaphorePermit,
        work: F,
        done: D,
    ) -> Result<(), WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        D: FnOnce(Result<T, WriteError>) + Send + 'static,
    {
        let member: Box<dyn Operation> = Box::new(Member::new(work, done));
        self.requests.send(Request::Run(member, place)).map_err(|_| closed())
    }

    /// Sets the rider, once. It knows the writer, so the writer must not keep it alive.
    pub(crate) fn carry(&self, rider: Weak<dyn Rider>) -> Result<(), WriteError> {
        self.rider.set(rider).map_err(|_| WriteError::Away("there is a broker already".to_owned()))
    }

    /// The rider has something to take along; once is enough until it is taken.
    pub(crate) fn ride(&self) {
        // When the thread has ended, what is not deleted comes again: the contract allows it.
        let _ = self.requests.send(Request::Ride);
    }

    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    pub(super) async fn close(&self) {
        self.places.close();
        // An error means that it has ended already.
        let _ = self.requests.send(Request::Close);
        let mut health = self.health.clone();
        while health.changed().await.is_ok() {}
    }
}

fn closed() -> WriteError {
    WriteError::Away("the database is closed".to_owned())
}

struct Thread {
    connection: Connection,
    incoming: mpsc::Receiver<Request>,
    rider: Arc<OnceLock<Weak<dyn Rider>>>,
    health: watch::Sender<Health>,
}

/// What the thread has taken on.
#[derive(Default)]
struct Batch {
    members: Vec<Box<dyn Operation>>,
    places: Vec<OwnedSemaphorePermit>,
    ride: bool,
    close: bool,
}

impl Batch {
    fn add(&mut self, request: Request) {
        match request {
            Request::Run(member, place) => {
                self.members.push(member);
                self.places.push(place);
            }
            Request::Ride => self.ride = true,
            Request::Close => self.close = true,
        }
    }
}

impl Thread {
    fn work(self, lock: FolderLock) {
        loop {
            let Some(batch) = self.next() else { break };
            let close = batch.close;
            self.write(batch);
            if close {
                break;
            }
        }
        let Self { connection, incoming, health, .. } = self;
        drop(incoming);
        health.send_replace(Health::Down);
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, "the database file was not closed cleanly");
        }
        drop(lock);
        // Whoever waits for the end sees the channel close now.
        drop(health);
    }

    /// Waits for the next group; `None` when all handles are gone.
    fn next(&self) -> Option<Batch> {
        let mut batch = Batch::default();
        let blocked = *self.health.borrow() != Health::Up;
        while batch.members.is_empty() && !batch.close {
            let wait = match (batch.ride, blocked) {
                (true, _) => RIDER_WAIT,
                (false, true) => PROBE,
                (false, false) => {
                    batch.add(self.incoming.recv().ok()?);
                    continue;
                }
            };
            match self.incoming.recv_timeout(wait) {
                Ok(request) => batch.add(request),
                Err(RecvTimeoutError::Timeout) => return Some(batch),
                Err(RecvTimeoutError::Disconnected) if batch.ride => return Some(batch),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        while batch.members.len() < GROUP_MAX && !batch.close {
            let Ok(request) = self.incoming.try_recv() else { break };
            batch.add(request);
        }
        Some(batch)
    }

    fn write(&self, batch: Batch) {
        let rider = self.rider.get().and_then(Weak::upgrade);
        let riding = rider.as_ref().map(|rider| (rider.as_ref(), rider.take(RIDER_MAX)));
        let more = riding.as_ref().is_some_and(|(_, ids)| ids.len() == RIDER_MAX);
        let idle =
            batch.members.is_empty() && riding.as_ref().is_none_or(|(_, ids)| ids.is_empty());
        let fate = if idle && *self.health.borrow() == Health::Up {
            Fate::Committed
        } else if idle {
            self.probe()
        } else {
            group::run(&self.connection, batch.members, riding)
        };
        drop(batch.places);
        self.note(&fate);
        if more && matches!(fate, Fate::Committed) && !batch.close {
            self.write(Batch::default());
        }
    }

    /// A write whose only purpose is to learn whether the disk takes writes again.
    fn probe(&self) -> Fate {
        let probe = Member::new(
            |connection: &Connection| {
                connection.execute(
                    "insert into meta (key, value) values ('probe', '1')
                     on conflict (key) do update set value = value + 1",
                    [],
                )
            },
            |_| {},
        );
        group::run(&self.connection, vec![Box::new(probe)], None)
    }

    fn note(&self, fate: &Fate) {
        let now = match fate {
            Fate::Committed => Health::Up,
            Fate::RolledBack(_) | Fate::Unknown(_) => Health::Blocked,
        };
        let changed = self.health.send_if_modified(|health| {
            let changed = *health != now;
            *health = now.clone();
            changed
        });
        match fate {
            Fate::RolledBack(why) | Fate::Unknown(why) if changed => {
                tracing::error!(error = %why, "the database file cannot be written");
            }
            Fate::Committed if changed => tracing::info!("the database file can be written again"),
            Fate::Committed | Fate::RolledBack(_) | Fate::Unknown(_) => {}
        }
    }
}
