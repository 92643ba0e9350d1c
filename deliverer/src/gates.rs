//! Who may call which endpoint now: a breaker and permits per endpoint, and the conversations that wait
//! for either.
//!
//! Nothing waits in a lane: a conversation that cannot call at once is noted here and its job is acked,
//! so that a dead endpoint with many users starves nobody.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::domain::breaker::{Admission, Breaker, Rules};
use shared::domain::ids::{ChannelId, ConversationId};
use shared::lanes::permits::{Permit, Permits};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::ringer::Due;

/// Conversations that one endpoint's queue holds; what finds no room is taken from the store later.
const WAITING_MAX: usize = 10_000;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gates(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: Rules,
    since: Instant,
    permits: Permits<ChannelId>,
    gates: Mutex<HashMap<ChannelId, Gate>>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Gate {
    breaker: Breaker,
    changed: Arc<Notify>,
    running: HashSet<ConversationId>,
    waiting: VecDeque<Due>,
    queued: HashSet<ConversationId>,
    /// The store may have more that is due than waits here.
    more: bool,
    draining: bool,
}

/// Why an endpoint is not called at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    Breaker,
    Permits,
}

impl Shut {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Permits => "permits",
        }
    }
}

/// What a drain does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Serve(Due),
    /// Ask the store what else is due.
    Ask,
    /// Nothing waits: the drain is over.
    Idle,
}

/// The right to call an endpoint once. Dropped without [`Pass::ended`] it tells nothing of its health.
#[derive(Debug)]
pub(crate) struct Pass {
    gates: Gates,
    channel: ChannelId,
    conversation: ConversationId,
    tries: bool,
    _permit: Permit<ChannelId>,
}

impl Gates {
    pub(crate) fn new(rules: Rules, permits: u32, metrics: Metrics) -> Self {
        let permits = Permits::new(permits);
        let since = Instant::now();
        Self(Arc::new(Shared { rules, since, permits, gates: Mutex::default(), metrics }))
    }

    pub(crate) fn permits(&self) -> &Permits<ChannelId> {
        &self.0.permits
    }

    /// Asks to call an endpoint that takes `limit` calls at once. `permit` is one that was waited for.
    pub(crate) fn enter(
        &self,
        channel: &ChannelId,
        conversation: ConversationId,
        limit: u32,
        permit: Option<Permit<ChannelId>>,
    ) -> Result<Pass, Shut> {
        if self.pause(channel).is_some() {
            return Err(Shut::Breaker);
        }
        let permit = permit.or_else(|| self.0.permits.try_acquire(channel, limit));
        let permit = permit.ok_or(Shut::Permits)?;
        let now = self.0.since.elapsed();
        let mut gates = self.gates();
        let gate = gates.entry(channel.clone()).or_default();
        let tries = match gate.breaker.admit(now) {
            Admission::Run => false,
            Admission::Try => true,
            Admission::Refuse => return Err(Shut::Breaker),
        };
        gate.running.insert(conversation);
        self.0.metrics.in_flight.inc();
        drop(gates);
        Ok(Pass {
            gates: self.clone(),
            channel: channel.clone(),
            conversation,
            tries,
            _permit: permit,
        })
    }

    /// Lets a conversation wait for its endpoint. `more`: others probably are due as well. Returns
    /// whether a drain is to be started.
    #[must_use]
    pub(crate) fn wait(&self, due: Due, more: bool) -> bool {
        let mut gates = self.gates();
        let gate = gates.entry(due.channel.clone()).or_default();
        gate.more |= more;
        gate.push(due, &self.0.metrics);
        !std::mem::replace(&mut gate.draining, true)
    }

    /// Adds what the store says is due and is not at work already.
    pub(crate) fn refill(&self, channel: &ChannelId, dues: Vec<Due>, more: bool) {
        let mut gates = self.gates();
        let gate = gates.entry(channel.clone()).or_default();
        gate.more |= more;
        for due in dues {
            gate.push(due, &self.0.metrics);
        }
    }

    /// How long the endpoint is not to be called, and what ends that early. Zero: one tries now.
    pub(crate) fn pause(&self, channel: &ChannelId) -> Option<(Duration, Arc<Notify>)> {
        let gates = self.gates();
        let gate = gates.get(channel)?;
        let wait = gate.breaker.refuses_for(self.0.since.elapsed())?;
        Some((wait, Arc::clone(&gate.changed)))
    }

    pub(crate) fn next(&self, channel: &ChannelId) -> Next {
        let mut gates = self.gates();
        let Some(gate) = gates.get_mut(channel) else { return Next::Idle };
        while let Some(due) = gate.waiting.pop_front() {
            gate.queued.remove(&due.place.conversation);
            self.0.metrics.waiting.dec();
            // What runs goes on by itself with what is next.
            if !gate.running.contains(&due.place.conversation) {
                return Next::Serve(due);
            }
        }
        if std::mem::take(&mut gate.more) {
            return Next::Ask;
        }
        gate.draining = false;
        forget_idle(&mut gates, channel);
        Next::Idle
    }

    /// Takes all that waits for an endpoint: the process ends.
    pub(crate) fn give_up(&self, channel: &ChannelId) -> Vec<Due> {
        let mut gates = self.gates();
        let Some(gate) = gates.get_mut(channel) else { return Vec::new() };
        gate.queued.clear();
        gate.draining = false;
        let waiting: Vec<_> = gate.waiting.drain(..).collect();
        self.0.metrics.waiting.sub(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        waiting
    }

    /// The endpoints whose breaker is open.
    pub(crate) fn open(&self) -> Vec<ChannelId> {
        let gates = self.gates();
        gates.iter().filter(|(_, gate)| gate.breaker.is_open()).map(|(id, _)| id.clone()).collect()
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<ChannelId, Gate>> {
        self.0.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn push(&mut self, due: Due, metrics: &Metrics) {
        let conversation = due.place.conversation;
        if self.queued.contains(&conversation) || self.running.contains(&conversation) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.more = true;
            return;
        }
        self.queued.insert(conversation);
        self.waiting.push_back(due);
        metrics.waiting.inc();
    }
}

impl Pass {
    /// Tells how the call went; returns whether that opened the breaker.
    pub(crate) fn ended(mut self, well: bool) -> bool {
        self.tries = false;
        let shared = Arc::clone(&self.gates.0);
        let mut gates = self.gates.gates();
        let gate = gates.entry(self.channel.clone()).or_default();
        let was_open = gate.breaker.is_open();
        let opened = gate.breaker.ended(well, shared.since.elapsed(), shared.rules);
        match (was_open, gate.breaker.is_open()) {
            (false, true) => shared.metrics.breakers_open.inc(),
            (true, false) => shared.metrics.breakers_open.dec(),
            (true, true) | (false, false) => {}
        }
        if opened {
            shared.metrics.breakers_opened.inc();
        }
        gate.changed.notify_one();
        opened
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut gates = self.gates.gates();
        if let Some(gate) = gates.get_mut(&self.channel) {
            gate.running.remove(&self.conversation);
            if self.tries {
                gate.breaker.gave_up();
                gate.changed.notify_one();
            }
        }
        self.gates.0.metrics.in_flight.dec();
        forget_idle(&mut gates, &self.channel);
    }
}

fn forget_idle(gates: &mut HashMap<ChannelId, Gate>, channel: &ChannelId) {
    let idle = |gate: &Gate| {
        let quiet = gate.running.is_empty() && gate.waiting.is_empty() && !gate.more;
        quiet && !gate.draining && gate.breaker == Breaker::default()
    };
    if gates.get(channel).is_some_and(idle) {
        gates.remove(channel);
    }
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
