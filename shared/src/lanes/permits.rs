//! Permits per key (a bot, an endpoint) and over all keys together.
//!
//! Both are granted in one step: whoever waits holds neither, so one slow key never takes from the
//! others more than its own share. Keys with waiters take turns; within a key, first come first served.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Cheap to clone; all clones share the same permits.
#[derive(Debug)]
pub struct Permits<K: Key>(Arc<Mutex<Book<K>>>);

/// What permits can be held for.
pub trait Key: Clone + Eq + Hash + Send + 'static {}
impl<T: Clone + Eq + Hash + Send + 'static> Key for T {}

/// The right to run. Given back when dropped.
#[derive(Debug)]
pub struct Permit<K: Key> {
    held: Option<(Arc<Mutex<Book<K>>>, K)>,
}

#[derive(Debug)]
struct Book<K> {
    /// Permits that nobody holds, over all keys.
    free: u32,
    used: u32,
    keys: HashMap<K, Entry<K>>,
    /// Keys that have a waiter and a free permit of their own, in turn.
    ready: VecDeque<K>,
}

#[derive(Debug)]
struct Entry<K> {
    limit: u32,
    used: u32,
    ready: bool,
    waiters: VecDeque<Waiter<K>>,
}

#[derive(Debug)]
struct Waiter<K> {
    since: Instant,
    grant_tx: oneshot::Sender<Granted<K>>,
}

/// A grant on its way. Plain: when the waiter has gone, the one who granted it takes it back.
#[derive(Debug)]
struct Granted<K>(K);

impl<K: Key> Clone for Permits<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key> Permits<K> {
    /// `total` permits over all keys.
    pub fn new(total: u32) -> Self {
        Self(Arc::new(Mutex::new(Book {
            free: total,
            used: 0,
            keys: HashMap::new(),
            ready: VecDeque::new(),
        })))
    }

    /// Waits for a permit of `key`, of which there are `limit`, and one of the total. Cancel safe.
    pub async fn acquire(&self, key: &K, limit: u32) -> Permit<K> {
        let waiting = {
            let mut book = self.book();
            if book.try_take(key, limit) {
                return self.permit(key.clone());
            }
            book.wait(key, limit)
        };
        Pending { permits: self, waiting }.granted().await
    }

    /// A permit if there is one at once; never overtakes a waiter of the same key.
    pub fn try_acquire(&self, key: &K, limit: u32) -> Option<Permit<K>> {
        self.book().try_take(key, limit).then(|| self.permit(key.clone()))
    }

    /// Permits that are held.
    pub fn used(&self) -> u32 {
        self.book().used
    }

    /// How long the first in each key's line has waited.
    pub fn waits(&self) -> Vec<(K, Duration)> {
        let book = self.book();
        let first = |entry: &Entry<K>| {
            entry.waiters.iter().find(|w| !w.grant_tx.is_closed()).map(|w| w.since.elapsed())
        };
        book.keys.iter().filter_map(|(key, e)| Some((key.clone(), first(e)?))).collect()
    }

    fn permit(&self, key: K) -> Permit<K> {
        Permit { held: Some((Arc::clone(&self.0), key)) }
    }

    fn book(&self) -> MutexGuard<'_, Book<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a grant back that arrived while its waiter was being dropped.
struct Pending<'a, K: Key> {
    permits: &'a Permits<K>,
    waiting: oneshot::Receiver<Granted<K>>,
}

impl<K: Key> Pending<'_, K> {
    async fn granted(mut self) -> Permit<K> {
        match (&mut self.waiting).await {
            Ok(Granted(key)) => self.permits.permit(key),
            // The book lives as long as `self.permits` and drops no live waiter.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<K: Key> Drop for Pending<'_, K> {
    fn drop(&mut self) {
        self.waiting.close();
        if let Ok(Granted(key)) = self.waiting.try_recv() {
            self.permits.book().give_back(&key);
        }
    }
}

impl<K: Key> Drop for Permit<K> {
    fn drop(&mut self) {
        if let Some((book, key)) = self.held.take() {
            book.lock().unwrap_or_else(PoisonError::into_inner).give_back(&key);
        }
    }
}

impl<K: Key> Book<K> {
    fn entry(&mut self, key: &K, limit: u32) -> &mut Entry<K> {
        let limit = limit.max(1);
        let new = || Entry { limit, used: 0, ready: false, waiters: VecDeque::new() };
        let entry = self.keys.entry(key.clone()).or_insert_with(new);
        entry.limit = limit;
        entry
    }

    fn try_take(&mut self, key: &K, limit: u32) -> bool {
        let free = self.free;
        let entry = self.entry(key, limit);
        while entry.waiters.front().is_some_and(|waiter| waiter.grant_tx.is_closed()) {
            entry.waiters.pop_front();
        }
        if free == 0 || entry.used >= entry.limit || !entry.waiters.is_empty() {
            self.forget_idle(key);
            return false;
        }
        entry.used += 1;
        self.free -= 1;
        self.used += 1;
        true
    }

    fn wait(&mut self, key: &K, limit: u32) -> oneshot::Receiver<Granted<K>> {
        let (grant_tx, waiting) = oneshot::channel();
        let waiter = Waiter { since: Instant::now(), grant_tx };
        self.entry(key, limit).waiters.push_back(waiter);
        self.make_ready(key);
        self.grant();
        waiting
    }

    fn give_back(&mut self, key: &K) {
        self.free += 1;
        self.used -= 1;
        if let Some(entry) = self.keys.get_mut(key) {
            entry.used -= 1;
        }
        self.make_ready(key);
        self.grant();
        self.forget_idle(key);
    }

    fn make_ready(&mut self, key: &K) {
        if let Some(entry) = self.keys.get_mut(key)
            && !entry.ready
            && entry.used < entry.limit
            && !entry.waiters.is_empty()
        {
            entry.ready = true;
            self.ready.push_back(key.clone());
        }
    }

    /// Gives what is free to the keys in turn.
    fn grant(&mut self) {
        while self.free > 0 {
            let Some(key) = self.ready.pop_front() else { return };
            let Some(entry) = self.keys.get_mut(&key) else { continue };
            entry.ready = false;
            while entry.used < entry.limit {
                let Some(waiter) = entry.waiters.pop_front() else { break };
                if waiter.grant_tx.send(Granted(key.clone())).is_ok() {
                    entry.used += 1;
                    self.free -= 1;
                    self.used += 1;
                    break;
                }
            }
            self.make_ready(&key);
        }
    }

    fn forget_idle(&mut self, key: &K) {
        if self.keys.get(key).is_some_and(|e| e.used == 0 && e.waiters.is_empty() && !e.ready) {
            self.keys.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "permits_tests.rs"]
mod tests;
