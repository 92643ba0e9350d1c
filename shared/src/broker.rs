//! The broker's contract. Two implementations, one conformance suite (`tests/it/broker/`).
//!
//! 1. `publish` on a durable queue returns `Ok` only when the job survives a crash of this process
//!    and of the broker.
//! 2. Jobs of one partition come in the order in which they were published, and at most one
//!    consumer, of all processes, is given a partition's jobs at a time.
//! 3. A consumer that ends, however it ends, gives every unacknowledged job back to the head, in
//!    order, before any later one.
//! 4. There is no way to give back a single job, and none to cancel a consumer that holds jobs: both
//!    reorder. A hand-over is [`Consumer::close`].
//! 5. An ack of a consumer that has ended is refused and can never settle another job.
//! 6. A full queue refuses. A broker that is away or blocked refuses within the publish deadline.
//! 7. Nothing of a user travels outside the body.

pub mod embedded;
mod mailbox;
pub mod rabbitmq;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};

use crate::domain::ids::TurnId;
use crate::topology::{Partition, Queue, Topology};

/// One deadline covers queueing, writing and the confirm of a publish.
pub const PUBLISH_DEADLINE: Duration = Duration::from_secs(4);

/// Why a publish failed, by what the caller may say of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue is full: certainly not accepted.
    #[error("the queue is full")]
    Full,
    /// Certainly not accepted: no connection, blocked, or too much waiting already.
    #[error("the broker does not take jobs: {0}")]
    Unavailable(&'static str),
    /// It may have been accepted, and may still arrive.
    #[error("the broker did not confirm in time")]
    Unknown,
}

/// Why a consumer could not be opened or went away; the caller opens a new one after a wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer ended: {0}")]
pub struct ConsumerLost(pub String);

/// The acknowledged job belongs to a consumer that has ended; it will come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer that this job came from has ended")]
pub struct Stale;

/// One job as the broker gave it.
#[derive(Clone, Debug)]
pub struct Job {
    pub tag: u64,
    /// Whether it may have been given to somebody before. Never false when it was.
    pub redelivered: bool,
    /// The sealed envelope (`wire::envelope`).
    pub body: Bytes,
}

/// Whether the broker takes jobs just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Up,
    /// Connected, but the broker has asked publishers to stop (an alarm).
    Blocked,
    Down,
}

/// Where replies for a waiting caller are to be sent. Opaque; at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplyAddress(pub String);

/// See the module's documentation for the contract.
pub trait Broker: Clone + Send + Sync + 'static {
    type Consumer: Consumer;

    fn topology(&self) -> &Topology;

    /// Publishes a job. On a queue that is not [`Queue::durable`], `Ok` only means that it was handed
    /// on. `turn` becomes the `correlation_id`, for people who look into the queues.
    /// Never takes longer than [`PUBLISH_DEADLINE`].
    fn publish(
        &self,
        queue: Queue,
        partition: Partition,
        turn: TurnId,
        body: Bytes,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Ends when there is something to subscribe at, or the broker is closed.
    fn reachable(&self) -> impl Future<Output = ()> + Send;

    /// Subscribes to a partition. It may be given jobs at once, much later, or never.
    fn consume(
        &self,
        queue: Queue,
        partition: Partition,
    ) -> impl Future<Output = Result<Self::Consumer, ConsumerLost>> + Send;

    /// Subscribes to what the broker itself has dead-lettered. Where a broker never does that, the
    /// consumer is never given a job.
    fn consume_dead(
        &self,
        queue: Queue,
    ) -> impl Future<Output = Result<Self::Consumer, ConsumerLost>> + Send;

    /// The address of this process's replies, `None` while there is no reply connection. A new
    /// connection has a new address, and what was sent to the old one is lost.
    fn reply_address(&self) -> watch::Receiver<Option<ReplyAddress>>;

    /// Takes this process's replies; `None` when they were taken before.
    fn replies(&self) -> Option<mpsc::Receiver<Bytes>>;

    /// Takes what bots say by calls of their own (`wire::activity`), which comes to the same address;
    /// `None` when it was taken before.
    fn activities(&self) -> Option<mpsc::Receiver<Bytes>>;

    /// Sends a reply. Best effort: it may be lost, and an unknown address is no error. Waits for
    /// nothing but room in a bounded buffer.
    fn reply(&self, to: &ReplyAddress, body: Bytes) -> impl Future<Output = ()> + Send;

    /// Tells every process of the installation, this one included. Best effort.
    fn announce(&self, body: Bytes) -> impl Future<Output = ()> + Send;

    /// What processes announce. A slow listener loses the oldest.
    fn announcements(&self) -> broadcast::Receiver<Bytes>;

    fn health(&self) -> watch::Receiver<Health>;

    /// Whether the broker itself spreads the partitions of this queue over the processes. Where it
    /// does not, an owner yields by [`Consumer::close`] (see `partitions.rs`).
    fn balances(&self, queue: Queue) -> bool;

    /// The number of jobs waiting or unacknowledged in a partition, for readiness and tests.
    fn depth(
        &self,
        queue: Queue,
        partition: Partition,
    ) -> impl Future<Output = Result<u64, ConsumerLost>> + Send;

    /// Closes every connection. Afterwards every call refuses.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// One subscription to one partition.
pub trait Consumer: Send + 'static {
    type Acker: Acker;

    /// The next job, or how the subscription ended. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Job, ConsumerLost>> + Send;

    /// Settles jobs of this subscription; outlives it only to refuse.
    fn acker(&self) -> Self::Acker;

    /// Hands the partition over: sends the acks that were asked for, then gives back everything
    /// else. The caller has stopped working on what it has not acked.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Settles jobs, batched behind the scenes.
pub trait Acker: Clone + Send + Sync + 'static {
    /// The job is done and must not come again. Returns at once; the ack may be lost, and the job
    /// come again, only when the subscription ends.
    fn ack(&self, tag: u64) -> Result<(), Stale>;
}
