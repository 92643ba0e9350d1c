//! What waits for an endpoint is served when the endpoint can be called: one task for each endpoint that
//! has anything waiting, holding at most one permit that is not at work.

use std::sync::Arc;
use std::time::Duration;

use shared::broker::Broker;
use shared::domain::ids::ChannelId;
use shared::lanes::permits::Permit;
use shared::store::{Deliveries, Turns};

use crate::gates::Next;
use crate::ringer::Due;
use crate::room::Room;
use crate::worker::Bell;

/// Due rows that the store is asked for at once.
const ASK: u32 = 256;
/// How long the one that tries an endpoint is waited for before looking again.
const TRIED: Duration = Duration::from_secs(1);
/// How long a store that is away is left alone.
const AWAY: Duration = Duration::from_secs(1);
/// A first POST may be under way without a claim for this long after its row was committed; a row of an
/// older turn has had its bell long ago.
const YOUNG_MS: u64 = 30_000;

/// Lets a conversation wait for its endpoint.
pub(crate) fn wait<B: Broker, S: Deliveries + Turns>(room: &Arc<Room<B, S>>, due: Due, more: bool) {
    let channel = due.channel.clone();
    if !room.gates.wait(due, more) {
        return;
    }
    let stop = room.lifecycle.stop();
    let drain = Arc::clone(room);
    let _handle = room.lifecycle.spawn(async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = drain.serve(&channel) => return,
        }
        for due in drain.gates.give_up(&channel) {
            drain.ringer.ring(due);
        }
    });
}

impl<B: Broker, S: Deliveries + Turns> Room<B, S> {
    /// Until nothing waits. Cancel safe: what is taken is owed.
    async fn serve(&self, channel: &ChannelId) {
        loop {
            if let Some((wait, changed)) = self.gates.pause(channel) {
                let wait = if wait.is_zero() { TRIED } else { wait };
                tokio::select! {
                    biased;
                    () = changed.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
                continue;
            }
            let permit = self.gates.permits().acquire(channel, self.limit(channel)).await;
            match self.gates.next(channel) {
                Next::Serve(due) => self.grant(due, permit),
                Next::Ask => {
                    drop(permit);
                    self.ask(channel).await;
                }
                Next::Idle => return,
            }
        }
    }

    fn grant(&self, due: Due, permit: Permit<ChannelId>) {
        let (partition, conversation) = (due.partition, due.place.conversation);
        let bell = Bell {
            permit: Some(permit),
            owed: Some(self.ringer.owe(due)),
            ..Bell::local(conversation)
        };
        self.runs.push(partition, conversation, bell);
    }

    /// Asks the store what else is due for an endpoint, of the partitions that this process has.
    async fn ask(&self, channel: &ChannelId) {
        self.metrics.asked.inc();
        let rows = match self.store.due(channel, ASK).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "due deliveries cannot be read");
                tokio::time::sleep(AWAY).await;
                self.gates.refill(channel, Vec::new(), true);
                return;
            }
        };
        let full = rows.len() >= ASK as usize;
        let now = self.clock.unix_ms();
        let ours = rows.into_iter().filter_map(|row| {
            let partition = self.partition(row.hash);
            let delivery = row.delivery;
            let young = now.saturating_sub(delivery.id.turn.unix_ms()) < YOUNG_MS;
            let at_work = delivery.attempt == 0 && young;
            (self.runs.has(partition) && !at_work).then_some(Due {
                place: delivery.place,
                turn: delivery.id.turn,
                channel: delivery.channel,
                partition,
            })
        });
        let ours: Vec<_> = ours.collect();
        let more = full && !ours.is_empty();
        self.gates.refill(channel, ours, more);
    }
}
