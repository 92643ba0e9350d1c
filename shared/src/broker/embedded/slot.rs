//! One partition in memory: what is ready, in order; what its active consumer holds; who waits to be
//! the next.
//!
//! It knows neither the file nor the runtime's tasks. Ids grow in the order in which entries are pushed,
//! so what goes back to the head is always smaller than what is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Limits;
use crate::broker::{Job, Stale};
use crate::topology::{Partition, Queue};

/// Bodies that are read from the file at once.
const FETCH_MAX: usize = 64;
const FETCH_BYTES_MAX: i64 = 1024 * 1024;

/// A job that waits or is unacknowledged.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) len: i64,
    pub(super) redelivered: bool,
    /// `None`: it has to be read from the file. A doorbell always has it.
    pub(super) body: Option<Bytes>,
}

/// What a consumer finds.
pub(super) enum Found {
    Job(Job),
    /// The next jobs' bodies have to be read first.
    Fetch(Vec<i64>),
    /// Nothing, or it is another's turn.
    Nothing,
    Closed,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) queue: Queue,
    pub(super) partition: Partition,
    limits: Limits,
    /// Bytes of durable jobs in memory, over all slots.
    cached: Arc<AtomicU64>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Entry>,
    unacked: BTreeMap<i64, Entry>,
    unacked_bytes: i64,
    /// Of everything here, and of publishes on their way to the file.
    jobs: i64,
    bytes: i64,
    /// The first one is active.
    consumers: VecDeque<u64>,
    next_consumer: u64,
    closed: bool,
}

impl Slot {
    pub(super) fn new(
        queue: Queue,
        partition: Partition,
        limits: Limits,
        cached: &Arc<AtomicU64>,
    ) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { queue, partition, limits, cached: Arc::clone(cached), state, changed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a job of `len` bytes; false when the partition is full.
    pub(super) fn reserve(&self, len: i64) -> bool {
        let (jobs_max, bytes_max) = if self.queue.durable() {
            (self.limits.jobs_max, self.limits.bytes_max)
        } else {
            (self.limits.doorbells_max, self.limits.doorbell_bytes_max)
        };
        let mut state = self.lock();
        let room = state.jobs < jobs_max && state.bytes.saturating_add(len) <= bytes_max;
        if room {
            state.jobs += 1;
            state.bytes += len;
        }
        room
    }

    /// Gives a place back whose job did not come.
    pub(super) fn release(&self, len: i64) {
        let mut state = self.lock();
        state.jobs -= 1;
        state.bytes -= len;
    }

    /// Adds a job that has no place yet: one that was there before this process.
    pub(super) fn push(&self, entry: Entry) {
        let mut state = self.lock();
        state.jobs += 1;
        state.bytes += entry.len;
        state.ready.push_back(entry);
    }

    /// Adds a durable job to which a place was given.
    pub(super) fn push_reserved(&self, id: i64, body: Bytes) {
        let len = length(&body);
        let body = self.cache(len).then_some(body);
        self.lock().ready.push_back(Entry { id, len, redelivered: false, body });
        self.changed.notify_waiters();
    }

    /// Adds a doorbell to which a place was given. `id` is drawn under the lock, so that ids grow.
    pub(super) fn ring(&self, id: impl FnOnce() -> i64, body: Bytes) {
        let mut state = self.lock();
        let entry = Entry { id: id(), len: length(&body), redelivered: false, body: Some(body) };
        state.ready.push_back(entry);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Counts `len` bytes in, if they may stay in memory.
    fn cache(&self, len: i64) -> bool {
        let len = u64::try_from(len).unwrap_or(0);
        let before = self.cached.fetch_add(len, Ordering::Relaxed);
        let fits = before.saturating_add(len) <= self.limits.cached_bytes_max;
        if !fits {
            self.cached.fetch_sub(len, Ordering::Relaxed);
        }
        fits
    }

    /// Puts bodies that were read into their entries, if those are still there.
    pub(super) fn fill(&self, bodies: Vec<(i64, Bytes)>) {
        let mut state = self.lock();
        for (id, body) in bodies {
            let Ok(at) = state.ready.binary_search_by_key(&id, |entry| entry.id) else { continue };
            if state.ready[at].body.is_none() {
                let len = u64::try_from(state.ready[at].len).unwrap_or(0);
                self.cached.fetch_add(len, Ordering::Relaxed);
                state.ready[at].body = Some(body);
            }
        }
    }

    /// A new consumer's number; it is active once all before it have left.
    pub(super) fn join(&self) -> Option<u64> {
        let mut state = self.lock();
        let number = state.next_consumer;
        state.next_consumer += 1;
        state.consumers.push_back(number);
        (!state.closed).then_some(number)
    }

    /// Ends a consumer; what an active one holds goes back to the head, in order.
    pub(super) fn leave(&self, consumer: u64) {
        let mut state = self.lock();
        let active = state.consumers.front() == Some(&consumer);
        state.consumers.retain(|other| *other != consumer);
        if active {
            state.unacked_bytes = 0;
            for (_, entry) in std::mem::take(&mut state.unacked).into_iter().rev() {
                state.ready.push_front(entry);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits for any change; made before looking, so that none is missed.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn next(&self, consumer: u64) -> Found {
        let mut state = self.lock();
        if state.closed {
            return Found::Closed;
        }
        let full = state.unacked.len() >= self.limits.prefetch
            || state.unacked_bytes >= self.limits.prefetch_bytes;
        if state.consumers.front() != Some(&consumer) || full {
            return Found::Nothing;
        }
        let Some(mut entry) = state.ready.pop_front() else { return Found::Nothing };
        let Some(body) = entry.body.clone() else {
            state.ready.push_front(entry);
            return Found::Fetch(state.without_body());
        };
        if self.queue.durable() {
            // The file has it, in case it has to come back.
            entry.body = None;
            self.cached.fetch_sub(u64::try_from(entry.len).unwrap_or(0), Ordering::Relaxed);
        }
        let job = Job { tag: entry.id.unsigned_abs(), redelivered: entry.redelivered, body };
        entry.redelivered = true;
        state.unacked_bytes += entry.len;
        state.unacked.insert(entry.id, entry);
        Found::Job(job)
    }

    /// Settles a job of the active consumer: its id, when it was unsettled until now.
    pub(super) fn ack(&self, consumer: u64, tag: u64) -> Result<Option<i64>, Stale> {
        let mut state = self.lock();
        if state.closed || state.consumers.front() != Some(&consumer) {
            return Err(Stale);
        }
        let full = state.unacked.len() >= self.limits.prefetch
            || state.unacked_bytes >= self.limits.prefetch_bytes;
        let id = i64::try_from(tag).map_err(|_| Stale)?;
        let Some(entry) = state.unacked.remove(&id) else { return Ok(None) };
        state.unacked_bytes -= entry.len;
        state.jobs -= 1;
        state.bytes -= entry.len;
        drop(state);
        if full {
            self.changed.notify_waiters();
        }
        Ok(Some(id))
    }

    pub(super) fn depth(&self) -> u64 {
        let state = self.lock();
        (state.ready.len() + state.unacked.len()) as u64
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }
}

impl State {
    /// The next entries whose bodies are not in memory.
    fn without_body(&self) -> Vec<i64> {
        let mut bytes = 0;
        self.ready
            .iter()
            .take_while(|entry| entry.body.is_none())
            .take_while(|entry| {
                let room = bytes < FETCH_BYTES_MAX;
                bytes += entry.len;
                room
            })
            .take(FETCH_MAX)
            .map(|entry| entry.id)
            .collect()
    }
}

pub(super) fn length(body: &Bytes) -> i64 {
    i64::try_from(body.len()).unwrap_or(i64::MAX)
}
