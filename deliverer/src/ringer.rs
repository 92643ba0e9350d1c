//! Bells that this process owes: a lane that was handed over, or an endpoint's queue at the end of the
//! process, leaves rows that nobody would look at for half a minute. They are rung for again, so that
//! the partition's next owner goes on at once.

use shared::broker::Broker;
use shared::domain::delivery::Place;
use shared::domain::ids::{ChannelId, TurnId};
use shared::topology::{Partition, Queue};
use shared::wire::envelope::Keys;
use shared::wire::jobs::DeliveryJob;
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Bells that may wait to be rung; what finds no room is left to the sweep.
const OWED_MAX: usize = 16_384;

/// A row to be looked at, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) place: Place,
    pub(crate) channel: ChannelId,
    pub(crate) turn: TurnId,
    pub(crate) partition: Partition,
}

/// Takes bells to be rung. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ringer(mpsc::Sender<Due>);

impl Ringer {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Due>) {
        let (due_tx, due_rx) = mpsc::channel(OWED_MAX);
        (Self(due_tx), due_rx)
    }

    pub(crate) fn ring(&self, due: Due) {
        if self.0.try_send(due).is_err() {
            tracing::debug!("a doorbell is left to the sweep");
        }
    }

    /// Rings unless somebody takes it up.
    pub(crate) fn owe(&self, due: Due) -> Owed {
        Owed { ringer: self.clone(), due: Some(due) }
    }
}

/// A bell that is rung again when it is dropped before it was served.
#[derive(Debug)]
pub(crate) struct Owed {
    ringer: Ringer,
    due: Option<Due>,
}

impl Owed {
    pub(crate) fn served(mut self) {
        self.due = None;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(due) = self.due.take() {
            self.ringer.ring(due);
        }
    }
}

/// The task that rings, until nobody is left to owe.
pub(crate) struct Task<B> {
    pub(crate) broker: B,
    pub(crate) keys: Keys,
    pub(crate) metrics: Metrics,
    pub(crate) owed: mpsc::Receiver<Due>,
}

impl<B: Broker> Task<B> {
    pub(crate) async fn run(mut self) {
        while let Some(due) = self.owed.recv().await {
            let job = DeliveryJob {
                place: due.place,
                channel: due.channel.as_str().to_owned(),
                fresh: None,
                traceparent: None,
            };
            let Ok(sealed) = job.seal(&self.keys) else { continue };
            match self.broker.publish(Queue::Deliveries, due.partition, due.turn, sealed).await {
                Ok(()) => self.metrics.rung.inc(),
                Err(error) => {
                    tracing::debug!(turn.id = %due.turn, %error, "a doorbell is left to the sweep");
                }
            }
        }
    }
}
