//! A subscription to one partition. However it ends, what it holds goes back to the head.

use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use super::slot::{Found, Slot};
use crate::broker::{Acker, Consumer, ConsumerLost, Job, Stale};

/// See [`Consumer`]. Dropping it is as good as closing it.
#[derive(Debug)]
pub struct EmbeddedConsumer {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    number: u64,
}

/// See [`Acker`].
#[derive(Clone, Debug)]
pub struct EmbeddedAcker {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    number: u64,
}

impl EmbeddedConsumer {
    pub(super) fn join(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Result<Self, ConsumerLost> {
        let number = slot.join().ok_or_else(closed)?;
        Ok(Self { shared: Arc::clone(shared), slot: Arc::clone(slot), number })
    }

    /// Reads bodies that memory had no room for.
    async fn fetch(&self, ids: Vec<i64>) -> Result<(), ConsumerLost> {
        let asked = ids.len();
        let bodies = self.shared.database.read(move |c| {
            let mut statement = c.prepare_cached("select body from job where id = ?1")?;
            let body = |id| statement.query_row([id], |row| row.get::<_, Vec<u8>>(0));
            ids.iter().copied().zip(ids.iter().map(body)).map(|(id, b)| Ok((id, b?))).collect()
        });
        let bodies: Vec<(i64, Vec<u8>)> =
            bodies.await.map_err(|error| ConsumerLost(error.to_string()))?;
        debug_assert_eq!(bodies.len(), asked, "a row lives until its job is acknowledged");
        self.slot.fill(bodies.into_iter().map(|(id, body)| (id, Bytes::from(body))).collect());
        Ok(())
    }
}

impl Consumer for EmbeddedConsumer {
    type Acker = EmbeddedAcker;

    async fn next(&mut self) -> Result<Job, ConsumerLost> {
        loop {
            let changed = self.slot.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.slot.next(self.number) {
                Found::Job(job) => return Ok(job),
                Found::Fetch(ids) => self.fetch(ids).await?,
                Found::Nothing => changed.await,
                Found::Closed => return Err(closed()),
            }
        }
    }

    fn acker(&self) -> EmbeddedAcker {
        EmbeddedAcker {
            shared: Arc::clone(&self.shared),
            slot: Arc::clone(&self.slot),
            number: self.number,
        }
    }

    /// Acks take effect in memory at once, so there is nothing to wait for.
    async fn close(self) {
        drop(self);
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        self.slot.leave(self.number);
    }
}

impl Acker for EmbeddedAcker {
    fn ack(&self, tag: u64) -> Result<(), Stale> {
        if let Some(id) = self.slot.ack(self.number, tag)?
            && self.slot.queue.durable()
        {
            self.shared.acks.add(id);
        }
        Ok(())
    }
}

fn closed() -> ConsumerLost {
    ConsumerLost("the broker is closed".to_owned())
}
