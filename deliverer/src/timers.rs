//! Retries on time: whoever wrote a retry also sets a timer for it. The sweep finds what a timer misses,
//! up to a second later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::broker::Broker;
use shared::domain::ids::ConversationId;
use shared::store::{Deliveries, Turns};
use shared::topology::Partition;
use tokio::time::Instant;

use crate::room::Room;
use crate::worker::Bell;

/// Longer waits are left to the sweep: a second more is nothing to them.
const WAIT_MAX: Duration = Duration::from_mins(10);
/// Timers at once.
const TIMERS_MAX: usize = 20_000;
/// Our clocks and the database's tick apart by this much at most between two looks; a timer that is
/// early would only look and wait again.
const LATER: Duration = Duration::from_millis(5);

/// The timers that run, by conversation: one each, the soonest.
#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<HashMap<ConversationId, Instant>>);

impl Timers {
    fn set(&self, conversation: ConversationId, at: Instant) -> bool {
        let mut timers = self.locked();
        let soon_enough = timers.get(&conversation).is_some_and(|set| *set <= at);
        if soon_enough || timers.len() >= TIMERS_MAX {
            return false;
        }
        timers.insert(conversation, at);
        true
    }

    /// Takes a timer off; `false` when a sooner one has replaced it.
    fn take(&self, conversation: ConversationId, at: Instant) -> bool {
        let mut timers = self.locked();
        let ours = timers.get(&conversation) == Some(&at);
        if ours {
            timers.remove(&conversation);
        }
        ours
    }

    fn len(&self) -> i64 {
        i64::try_from(self.locked().len()).unwrap_or(i64::MAX)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<ConversationId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at a conversation again at `at`, should its partition still be here then.
pub(crate) fn set<B: Broker, S: Deliveries + Turns>(
    room: &Arc<Room<B, S>>,
    partition: Partition,
    conversation: ConversationId,
    at: Instant,
) {
    let near = at.saturating_duration_since(Instant::now()) <= WAIT_MAX;
    if !near || !room.timers.set(conversation, at) {
        return;
    }
    room.metrics.timers.set(room.timers.len());
    let stop = room.lifecycle.stop();
    let timer = Arc::clone(room);
    let _handle = room.lifecycle.spawn(async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep_until(at + LATER) => timer.ring(partition, conversation, at),
        }
    });
}

impl<B: Broker, S: Deliveries + Turns> Room<B, S> {
    fn ring(&self, partition: Partition, conversation: ConversationId, at: Instant) {
        let ours = self.timers.take(conversation, at);
        self.metrics.timers.set(self.timers.len());
        if ours {
            self.runs.push(partition, conversation, Bell::local(conversation));
        }
    }
}
