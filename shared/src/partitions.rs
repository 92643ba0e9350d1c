//! Subscribes to every partition of a queue and works on what it is given, until the process stops.
//!
//! At most one process is given a partition's jobs; nothing here depends on knowing which. Where the
//! broker does not spread the partitions itself, [`members`] and [`rendezvous`] do: a process that is
//! given jobs yields to the one that the hash prefers, by closing and subscribing again behind it.

mod members;
mod metrics;
pub mod rendezvous;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Consumer};
use crate::domain::retry::exponential;
use crate::entropy::Entropy;
use crate::ground::Ground;
use crate::lanes::{Handler, Lanes};
use crate::topology::{Partition, Queue};
use members::Members;
use metrics::Metrics;

/// How long a hand-over lets running work finish.
pub const GRACE: Duration = Duration::from_secs(5);

const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The same after the broker's own failures: it comes back for everybody at once.
const LOST_WAIT_MAX: Duration = Duration::from_secs(1);
/// A subscription that has lived this long was a good one: the waits start anew.
const LIVED: Duration = Duration::from_secs(30);
/// How long a new process listens for others before it subscribes, and the step of the delay by rank.
const LISTEN: Duration = Duration::from_millis(300);
/// The step of the delay by rank after a yield, and after a loss.
const STEP_ASIDE: Duration = Duration::from_secs(1);
/// Whoever is behind more processes than this waits no longer for that.
const RANK_MAX: u32 = 5;

/// How a subscription ended.
enum Ended {
    Stopped,
    Lost(String),
    Closed(String),
    /// Yielded to a process that the hash prefers; the own rank among the known.
    Yielded(u32),
}

impl Ended {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Lost(_) => "lost",
            Self::Closed(_) => "closed",
            Self::Yielded(_) => "yielded",
        }
    }
}

/// Starts the work on all partitions of a queue: one task each, on the process's own life. They end,
/// and hand their partitions over, when it is told to stop.
pub fn start<B: Broker, S, H: Handler>(
    ground: &Ground<B, S>,
    queue: Queue,
    handler: &Arc<H>,
) -> Result<(), prometheus::Error> {
    let metrics = Metrics::register(&ground.metrics, queue)?;
    let members = (!ground.broker.balances(queue)).then(|| Members::start(ground, queue));
    for partition in ground.broker.topology().partitions() {
        let owner = Owner {
            broker: ground.broker.clone(),
            entropy: ground.entropy.clone(),
            stop: ground.lifecycle.stop(),
            members: members.clone(),
            handler: Arc::clone(handler),
            metrics: metrics.clone(),
            queue,
            partition,
            yielded: None,
        };
        let _handle = ground.lifecycle.spawn(owner.run());
    }
    Ok(())
}

/// One partition's subscriber.
struct Owner<B, H> {
    broker: B,
    entropy: Entropy,
    stop: CancellationToken,
    members: Option<Members>,
    handler: Arc<H>,
    metrics: Metrics,
    queue: Queue,
    partition: Partition,
    yielded: Option<Instant>,
}

impl<B: Broker, H: Handler> Owner<B, H> {
    async fn run(mut self) {
        let mut wait = self.first_wait().await;
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let opened = Instant::now();
            let ended = self.subscribe().await;
            failures = if opened.elapsed() >= LIVED { 1 } else { failures + 1 };
            self.metrics.ended(&ended);
            wait = match ended {
                Ended::Stopped => return,
                Ended::Yielded(rank) => {
                    failures = 0;
                    self.yielded = Some(Instant::now());
                    tracing::info!(queue = %self.queue, partition = %self.partition, rank, "yielded a partition");
                    STEP_ASIDE * rank.max(1)
                }
                Ended::Closed(reason) => {
                    self.warn(&reason);
                    self.back_off(failures, WAIT_MAX)
                }
                Ended::Lost(reason) => {
                    self.warn(&reason);
                    // Who has a partition after that is chance: whom the hash prefers may ask again.
                    self.yielded = None;
                    self.come_back(failures).await
                }
            };
        }
    }

    async fn subscribe(&self) -> Ended {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ended::Stopped,
            opened = self.broker.consume(self.queue, self.partition) => match opened {
                Ok(consumer) => self.serve(consumer).await,
                Err(lost) => Ended::Lost(lost.0),
            },
        }
    }

    /// Works on one subscription until it ends, then hands over: what runs ends first, then the
    /// subscription is closed, so that the next owner sees the work either done or not begun.
    async fn serve(&self, mut consumer: B::Consumer) -> Ended {
        let active = self.metrics.lanes(self.partition);
        let handler = Arc::clone(&self.handler);
        let lanes = Lanes::new(handler, consumer.acker(), self.partition, active.clone());
        let mut given = false;
        let ended = loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break Ended::Stopped,
                reason = lanes.closed() => break Ended::Closed(reason),
                rank = self.preferred(given) => break Ended::Yielded(rank),
                next = async { lanes.room().await; consumer.next().await } => match next {
                    Ok(job) => {
                        given = true;
                        self.metrics.took(&job);
                        lanes.push(job);
                    }
                    Err(lost) => break Ended::Lost(lost.0),
                },
            }
        };
        lanes.hand_over(if matches!(ended, Ended::Lost(_)) { H::LOST_GRACE } else { GRACE }).await;
        active.set(0);
        consumer.close().await;
        ended
    }

    /// Ends when this process is to yield the partition, with its rank.
    async fn preferred(&self, given: bool) -> u32 {
        match &self.members {
            Some(members) if given => members.preferred(self.partition, self.yielded).await,
            Some(_) | None => std::future::pending().await,
        }
    }

    async fn first_wait(&self) -> Duration {
        let Some(members) = &self.members else { return Duration::ZERO };
        tokio::time::sleep(LISTEN).await;
        LISTEN * members.rank(self.partition).min(RANK_MAX)
    }

    /// Waits until the broker can be subscribed at; the wait after that. A broker that starts again has
    /// all processes before it at once and gives each partition to whoever is first: those that the
    /// hash prefers get a start.
    async fn come_back(&self, failures: u32) -> Duration {
        let back = async {
            // In that time the connection has learnt what the subscription knows.
            tokio::time::sleep(self.back_off(failures, LOST_WAIT_MAX)).await;
            self.broker.reachable().await;
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Duration::ZERO,
            () = back => {}
        }
        let rank = self.members.as_ref().map_or(0, |members| members.rank(self.partition));
        STEP_ASIDE * rank.min(RANK_MAX)
    }

    fn warn(&self, reason: &str) {
        let (queue, partition) = (self.queue, self.partition);
        tracing::warn!(%queue, %partition, %reason, "a subscription ended");
    }

    /// 100 ms, doubling up to so much, and up to half as much again by chance.
    fn back_off(&self, failures: u32, max: Duration) -> Duration {
        let base = exponential(WAIT_FIRST, 2.0, max, failures.saturating_sub(1));
        base + base.mul_f64(self.entropy.chance() / 2.0)
    }
}
