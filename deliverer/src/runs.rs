//! The lanes that this process has just now, by partition: where its own timers and drains put work.
//!
//! Whether a partition is really ours is the broker's to know; a lane that has been handed over since
//! only refuses.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::domain::ids::ConversationId;
use shared::lanes::Run;
use shared::topology::Partition;

use crate::worker::Bell;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Runs(Mutex<Option<HashMap<Partition, Run<Bell>>>>);

impl Runs {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }

    /// Remembers the lanes that a handler runs in.
    pub(crate) fn note(&self, run: &Run<Bell>) {
        if let Some(runs) = &mut *self.locked()
            && runs.get(&run.partition).is_none_or(Run::is_closing)
        {
            runs.insert(run.partition, run.clone());
        }
    }

    /// Whether this process is given the partition's jobs, as far as it knows.
    pub(crate) fn has(&self, partition: Partition) -> bool {
        let runs = self.locked();
        runs.as_ref().and_then(|runs| runs.get(&partition)).is_some_and(|run| !run.is_closing())
    }

    /// Puts a bell at the end of a conversation's lane. `false`: the partition is another's, or its lanes
    /// hold enough; the bell is dropped.
    pub(crate) fn push(
        &self,
        partition: Partition,
        conversation: ConversationId,
        bell: Bell,
    ) -> bool {
        let run = self.locked().as_ref().and_then(|runs| runs.get(&partition)).cloned();
        run.is_some_and(|run| run.push(conversation, bell))
    }

    /// Forgets all, for good: lanes hold the room that holds this.
    pub(crate) fn close(&self) {
        self.locked().take();
    }

    fn locked(&self) -> MutexGuard<'_, Option<HashMap<Partition, Run<Bell>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
