//! The broker inside one process, durable in the embedded engines' file.
//!
//! What waits is kept in memory, in order; the file is written, and read again only for bodies that
//! did not fit and when the process starts. A crash gives every job that was not acknowledged back,
//! in order, and marked as redelivered: nobody can know what the process before had begun. Doorbells
//! are not durable and never touch the file.
//!
//! It has no publish deduplication, no delay and no way to give back a single job.

mod acks;
mod consumer;
mod publish;
mod slot;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::OptionalExtension as _;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::mailbox::Mailbox;
use super::{Broker, ConsumerLost, Health, PublishError, ReplyAddress};
use crate::domain::ids::TurnId;
use crate::sqlite::{Database, OpenError};
use crate::topology::{self, Partition, Queue, Topology};
use acks::Acks;
pub use consumer::{EmbeddedAcker, EmbeddedConsumer};
use slot::{Entry, Slot};

/// Replies, and announcements, that may wait for whoever takes them.
const REPLIES_MAX: usize = 8_192;
const ANNOUNCEMENTS_MAX: usize = 1_024;
/// A reply that finds no room for this long is lost; the poll still has it.
const REPLY_WAIT: Duration = Duration::from_secs(1);

/// What a partition may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Jobs of a durable partition, and their bytes.
    pub jobs_max: i64,
    pub bytes_max: i64,
    /// Doorbells of a partition, and their bytes. They are in memory only, and the sweep rings again
    /// for what is refused.
    pub doorbells_max: i64,
    pub doorbell_bytes_max: i64,
    /// Bytes of waiting durable jobs that are kept in memory, over all partitions; the rest is read
    /// when its turn comes.
    pub cached_bytes_max: u64,
    /// Jobs, and their bytes, that a consumer holds unacknowledged.
    pub prefetch: usize,
    pub prefetch_bytes: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs_max: topology::QUEUE_JOBS_MAX,
            bytes_max: topology::QUEUE_BYTES_MAX,
            doorbells_max: 20_000,
            doorbell_bytes_max: 16 * 1024 * 1024,
            cached_bytes_max: 64 * 1024 * 1024,
            prefetch: usize::from(topology::PREFETCH),
            prefetch_bytes: 32 * 1024 * 1024,
        }
    }
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EmbeddedBroker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    topology: Topology,
    database: Database,
    /// The next job's id. Ids are never used twice in a process: a late delete must not hit another.
    next_id: Arc<AtomicI64>,
    slots: Vec<Arc<Slot>>,
    /// A queue that stays empty: this broker never gives up a job.
    dead: Arc<Slot>,
    acks: Arc<Acks>,
    health: watch::Sender<Health>,
    address: watch::Sender<Option<ReplyAddress>>,
    mailbox: Mailbox,
    announcements: broadcast::Sender<Bytes>,
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl EmbeddedBroker {
    /// Opens the broker of a file: one only.
    pub async fn open(database: &Database, topology: Topology) -> Result<Self, OpenError> {
        Self::open_with(database, topology, Limits::default()).await
    }

    /// As [`EmbeddedBroker::open`].
    pub async fn open_with(
        database: &Database,
        topology: Topology,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        let failed = |why: String| OpenError::Failed(why);
        check_partitions(database, topology.partitions).await?;
        let acks = Arc::new(Acks::new(database.writer().clone()));
        let rider: Weak<Acks> = Arc::downgrade(&acks);
        database.writer().carry(rider).map_err(|error| failed(error.to_string()))?;
        let cached = Arc::default();
        let slots: Vec<_> = Queue::ALL
            .into_iter()
            .flat_map(|queue| topology.partitions().map(move |partition| (queue, partition)))
            .map(|(queue, partition)| Arc::new(Slot::new(queue, partition, limits, &cached)))
            .collect();
        let dead = Arc::new(Slot::new(Queue::Turns, Partition(u16::MAX), limits, &cached));
        let address = format!("embedded.{}.{}", std::process::id(), database.clock().unix_ms());
        let shared = Shared {
            database: database.clone(),
            next_id: Arc::new(AtomicI64::new(1)),
            slots,
            dead,
            acks,
            health: watch::Sender::new(Health::Up),
            address: watch::Sender::new(Some(ReplyAddress(address))),
            mailbox: Mailbox::new(REPLIES_MAX),
            announcements: broadcast::Sender::new(ANNOUNCEMENTS_MAX),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            topology,
        };
        shared.recover().await?;
        let broker = Self(Arc::new(shared));
        broker.watch_health();
        Ok(broker)
    }

    /// Follows the file's health until one of the two is closed.
    fn watch_health(&self) {
        let mut database = self.0.database.health();
        let (health, closed) = (self.0.health.clone(), self.0.closed.clone());
        self.0.tasks.spawn(async move {
            loop {
                let now = database.borrow_and_update().clone();
                if closed.is_cancelled() {
                    break;
                }
                health.send_replace(now);
                tokio::select! {
                    biased;
                    () = closed.cancelled() => break,
                    changed = database.changed() => if changed.is_err() { break },
                }
            }
            health.send_replace(Health::Down);
        });
    }
}

/// Another number of partitions would let a conversation's next turn overtake the queued ones.
async fn check_partitions(database: &Database, asked: u16) -> Result<(), OpenError> {
    let found = database.write(move |c| {
        let sql = "select value from meta where key = 'partitions'";
        let found = c.query_row(sql, [], |row| row.get::<_, String>(0)).optional()?;
        let found: Option<u16> = found.and_then(|text| text.parse().ok());
        let queued: bool = c.query_row("select exists (select 1 from job)", [], |r| r.get(0))?;
        if queued && let Some(found) = found.filter(|found| *found != asked) {
            return Ok(Err(found));
        }
        let sql = "insert into meta (key, value) values ('partitions', ?1)
                   on conflict (key) do update set value = excluded.value";
        c.execute(sql, [asked.to_string()])?;
        Ok(Ok(()))
    });
    let found = found.await.map_err(|error| OpenError::Failed(error.to_string()))?;
    found.map_err(|found| OpenError::Partitions { found, asked })
}

impl Shared {
    fn slot(&self, queue: Queue, partition: Partition) -> Option<&Arc<Slot>> {
        let partitions = usize::from(self.topology.partitions);
        let partition = usize::from(partition.0);
        let queue = Queue::ALL.iter().position(|other| *other == queue)?;
        (partition < partitions).then(|| self.slots.get(queue * partitions + partition)).flatten()
    }

    /// Fills the ready lists with what an earlier process has left.
    async fn recover(&self) -> Result<(), OpenError> {
        let rows = self.database.read(|c| {
            let sql = "select id, queue, partition, length(body) from job order by id";
            let mut statement = c.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, u8>(1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<(i64, u8, u16, i64)>>>()
        });
        let rows = rows.await.map_err(|error| OpenError::Failed(error.to_string()))?;
        for (id, queue, partition, len) in rows {
            self.next_id.store(id + 1, std::sync::atomic::Ordering::Relaxed);
            let queue = publish::queue_of_code(queue);
            let slot = queue.and_then(|queue| self.slot(queue, Partition(partition)));
            match slot {
                Some(slot) => slot.push(Entry { id, len, redelivered: true, body: None }),
                None => return Err(OpenError::Failed(format!("job {id} is in no known queue"))),
            }
        }
        Ok(())
    }
}

impl Broker for EmbeddedBroker {
    type Consumer = EmbeddedConsumer;

    fn topology(&self) -> &Topology {
        &self.0.topology
    }

    async fn publish(
        &self,
        queue: Queue,
        partition: Partition,
        turn: TurnId,
        body: Bytes,
    ) -> Result<(), PublishError> {
        self.0.publish(queue, partition, turn, body).await
    }

    async fn reachable(&self) {}

    async fn consume(
        &self,
        queue: Queue,
        partition: Partition,
    ) -> Result<EmbeddedConsumer, ConsumerLost> {
        let slot = self.0.slot(queue, partition);
        let slot = slot.ok_or_else(|| ConsumerLost(format!("there is no {queue} {partition}")))?;
        EmbeddedConsumer::join(&self.0, slot)
    }

    async fn consume_dead(&self, _queue: Queue) -> Result<EmbeddedConsumer, ConsumerLost> {
        EmbeddedConsumer::join(&self.0, &self.0.dead)
    }

    fn reply_address(&self) -> watch::Receiver<Option<ReplyAddress>> {
        self.0.address.subscribe()
    }

    fn replies(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.0.mailbox.replies.take()
    }

    fn activities(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.0.mailbox.activities.take()
    }

    async fn reply(&self, to: &ReplyAddress, body: Bytes) {
        let ours = self.0.address.borrow().as_ref() == Some(to);
        if ours
            && self.0.mailbox.slot(&body).send_timeout(body, REPLY_WAIT).await.is_err()
            && !self.0.closed.is_cancelled()
        {
            tracing::debug!("a reply found no room and was dropped");
        }
    }

    async fn announce(&self, body: Bytes) {
        if !self.0.closed.is_cancelled() {
            // An error only means that nobody listens.
            let _ = self.0.announcements.send(body);
        }
    }

    fn announcements(&self) -> broadcast::Receiver<Bytes> {
        self.0.announcements.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// There is only one process.
    fn balances(&self, _queue: Queue) -> bool {
        true
    }

    async fn depth(&self, queue: Queue, partition: Partition) -> Result<u64, ConsumerLost> {
        if self.0.closed.is_cancelled() {
            return Err(ConsumerLost("the broker is closed".to_owned()));
        }
        let slot = self.0.slot(queue, partition);
        slot.map(|slot| slot.depth())
            .ok_or_else(|| ConsumerLost(format!("there is no {queue} {partition}")))
    }

    /// The file stays open: it is the store's, too.
    async fn close(&self) {
        self.0.closed.cancel();
        for slot in self.0.slots.iter().chain([&self.0.dead]) {
            slot.close();
        }
        self.0.address.send_replace(None);
        self.0.acks.flush(&self.0.database).await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}
