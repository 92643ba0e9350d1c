//! What the suite needs of an engine, and the steps that most tests take.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use shared::broker::{Acker as _, Broker, Consumer, Job, PublishError};
use shared::domain::ids::TurnId;
use shared::entropy::Entropy;
use shared::topology::{Partition, Queue};

pub(crate) use testkit::until;

/// The longest that a test may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);
/// The longest that anything that has to happen may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How long something that must not happen is waited for.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

pub(crate) const TURNS: Queue = Queue::Turns;
pub(crate) const P0: Partition = Partition(0);
pub(crate) const P1: Partition = Partition(1);

/// How an installation differs from the usual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) partitions: u16,
    /// Jobs of a partition before it refuses.
    pub(crate) jobs_max: i64,
}

impl Setup {
    pub(crate) const DEFAULT: Self = Self { partitions: 2, jobs_max: 1_000 };
}

/// One installation on one engine, of the test's own.
pub(crate) trait Harness: Sized + Send + Sync + 'static {
    type Broker: Broker;

    /// Whether the engine lives in the process, and so there can only be one.
    const ALONE: bool;

    fn start(setup: Setup) -> impl Future<Output = Self> + Send;

    /// One more process of the installation, connected. An engine that lives in one process gives
    /// the same once more.
    fn process(&self) -> impl Future<Output = Self::Broker> + Send;

    /// Kills one process: it says no good-bye and can send nothing more. Where the engine lives in
    /// the process, that is all of it, and the next [`Self::process`] starts it again.
    fn kill(&self, process: &Self::Broker) -> impl Future<Output = ()> + Send;

    /// The jobs of partition 0 that the engine itself holds, given out or not.
    fn held(&self, process: &Self::Broker) -> impl Future<Output = u64> + Send;
}

pub(crate) fn turn() -> TurnId {
    TurnId::new(Entropy::Real.uuid_v7(1_700_000_000_000))
}

pub(crate) fn body(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

pub(crate) fn number(job: &Job) -> u32 {
    u32::from_le_bytes(job.body[..].try_into().expect("a body of this suite"))
}

pub(crate) async fn publish<B: Broker>(broker: &B, number: u32) -> Result<(), PublishError> {
    broker.publish(TURNS, P0, turn(), body(number)).await
}

/// Publishes the numbers one after the other to partition 0.
pub(crate) async fn publish_all<B: Broker>(broker: &B, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        publish(broker, number).await.expect("confirmed");
    }
}

/// Takes the next jobs, which have to come soon.
pub(crate) async fn take<C: Consumer>(consumer: &mut C, jobs: usize) -> Vec<Job> {
    let mut taken = Vec::new();
    for _ in 0..jobs {
        let next = tokio::time::timeout(SOON, consumer.next()).await;
        let seen: Vec<_> = taken.iter().map(number).collect();
        let next = next.unwrap_or_else(|_| panic!("no job came; before it: {seen:?}"));
        taken.push(next.expect("the consumer lives"));
    }
    taken
}

pub(crate) async fn take_numbers<C: Consumer>(consumer: &mut C, jobs: usize) -> Vec<u32> {
    take(consumer, jobs).await.iter().map(number).collect()
}

pub(crate) fn ack_all<C: Consumer>(consumer: &C, jobs: &[Job]) {
    let acker = consumer.acker();
    for job in jobs {
        acker.ack(job.tag).expect("the consumer lives");
    }
}

/// Nothing comes for a while.
pub(crate) async fn assert_quiet<C: Consumer>(consumer: &mut C) {
    let came = tokio::time::timeout(QUIET, consumer.next()).await;
    assert!(came.is_err(), "a job came: {:?}", came.map(|job| job.map(|job| number(&job))));
}

/// Subscribes to partition 0, as soon as there is a connection for it.
pub(crate) async fn consume<B: Broker>(broker: &B) -> B::Consumer {
    until("a subscription to partition 0", || broker.consume(TURNS, P0)).await
}
