//! One subscription: an AMQP channel of its own with one consumer on it, which is ended by closing
//! the channel and by nothing else. To cancel the consumer while jobs are unacknowledged lets later
//! jobs pass them; lapin does that whenever its consumer is dropped on an open channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicCancelOptions;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::acks::{self, Acks};
use super::link::Link;
use super::{Shared, metrics::Metrics};
use crate::broker::{self, ConsumerLost, Job, Stale};
use crate::fault::{self, Defect};

/// A channel that is not closed within this time takes its connection with it.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// How long a test's cancelled consumer keeps what it holds.
const CANCELLED: Duration = Duration::from_secs(2);

/// See the module's documentation.
#[derive(Debug)]
pub struct Consumer {
    stream: lapin::Consumer,
    channel: Channel,
    acks: Arc<Acks>,
    given: Arc<AtomicU64>,
    sender: Option<JoinHandle<()>>,
    link: Arc<Link>,
    metrics: Metrics,
}

/// Settles the jobs of one subscription.
#[derive(Clone, Debug)]
pub struct Acker {
    acks: Arc<Acks>,
    metrics: Metrics,
}

impl Consumer {
    pub(super) fn new(
        shared: &Shared,
        link: Arc<Link>,
        channel: Channel,
        stream: lapin::Consumer,
    ) -> Self {
        let acks = Arc::new(Acks::new(channel.clone()));
        let (sent, ended) = (Arc::clone(&acks), link.ended.clone());
        let sender = Some(shared.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = ended.cancelled() => sent.close(),
                () = acks::send_all(&sent) => {}
            }
        }));
        let given = Arc::default();
        Self { stream, channel, acks, given, sender, link, metrics: shared.metrics.clone() }
    }

    /// The next delivery as lapin gives it.
    pub(super) async fn delivery(&mut self) -> Result<Delivery, ConsumerLost> {
        let why = match self.stream.next().await {
            // What lapin had buffered when the channel ended comes again to the next consumer.
            Some(Ok(_)) if !self.channel.status().connected() => "the channel is gone".to_owned(),
            Some(Ok(delivery)) => {
                self.given.store(delivery.delivery_tag, Ordering::Relaxed);
                return Ok(delivery);
            }
            Some(Err(error)) => error.to_string(),
            None => "the broker has cancelled it".to_owned(),
        };
        self.acks.close();
        Err(ConsumerLost(why))
    }

    /// Counts the jobs that were given out and are not acked yet.
    pub(super) fn unacked(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let (given, acks) = (Arc::clone(&self.given), Arc::downgrade(&self.acks));
        move || {
            let settled = acks.upgrade().map(|acks| acks.settled());
            settled.map_or(0, |settled| given.load(Ordering::Relaxed).saturating_sub(settled))
        }
    }
}

impl broker::Consumer for Consumer {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Job, ConsumerLost> {
        let delivery = self.delivery().await?;
        let Delivery { delivery_tag: tag, redelivered, data, .. } = delivery;
        Ok(Job { tag, redelivered, body: Bytes::from(data) })
    }

    fn acker(&self) -> Acker {
        Acker { acks: Arc::clone(&self.acks), metrics: self.metrics.clone() }
    }

    async fn close(mut self) {
        if fault::has(Defect::CancelConsumer) {
            let _ =
                self.channel.basic_cancel(self.stream.tag(), BasicCancelOptions::default()).await;
            tokio::time::sleep(CANCELLED).await;
        }
        self.acks.close();
        let sender = self.sender.take();
        let closed = async {
            if let Some(sender) = sender {
                // It ends by itself, and a panic in it has been reported.
                let _ = sender.await;
            }
            if self.channel.status().connected() {
                let _ = self.channel.close(200, "handed over".into()).await;
            }
        };
        if timeout(CLOSE_MAX, closed).await.is_err() {
            self.link.fail();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.acks.close();
        if self.channel.status().connected() {
            // The first poll queues the frame and ends lapin's consumer, which then no longer
            // cancels itself when it is dropped.
            let _ = self.channel.close(200, "dropped".into()).now_or_never();
        }
    }
}

impl broker::Acker for Acker {
    fn ack(&self, tag: u64) -> Result<(), Stale> {
        self.acks.ack(tag).inspect_err(|_| self.metrics.stale_acks.inc())
    }
}
