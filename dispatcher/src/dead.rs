//! Drains what the broker itself has dead-lettered into the store, where everything parked is.

use std::time::Duration;

use bytes::Bytes;
use shared::broker::{Acker as _, Broker, Consumer as _, ConsumerLost};
use shared::store::{StoreError, Turns};
use shared::topology::Queue;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

const WAIT: Duration = Duration::from_secs(2);

/// The task that drains.
pub(crate) struct Drain<B, S> {
    pub(crate) broker: B,
    pub(crate) store: S,
    pub(crate) metrics: Metrics,
}

impl<B: Broker, S: Turns> Drain<B, S> {
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                lost = self.drain() => if let Err(lost) = lost {
                    tracing::warn!(reason = %lost.0, "the consumer of dead turns ended");
                },
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WAIT) => {}
            }
        }
    }

    async fn drain(&self) -> Result<(), ConsumerLost> {
        let mut consumer = self.broker.consume_dead(Queue::Turns).await?;
        let acker = consumer.acker();
        loop {
            let job = consumer.next().await?;
            keep(&self.store, Queue::Turns, job.body, "dead-lettered by the broker").await;
            self.metrics.strays.inc();
            tracing::error!("the broker gave up a turn; it is kept as a stray");
            if acker.ack(job.tag).is_err() {
                return Ok(());
            }
        }
    }
}

/// Keeps a job for an operator. It returns when the store has it: it may be the only copy.
pub(crate) async fn keep<S: Turns>(store: &S, queue: Queue, body: Bytes, reason: &str) {
    loop {
        match store.keep_stray(queue, body.clone(), reason).await {
            Ok(()) => return,
            Err(error @ (StoreError::Away(_) | StoreError::Refused(_))) => {
                tracing::warn!(%error, "a stray could not be kept yet");
                tokio::time::sleep(WAIT).await;
            }
        }
    }
}
