//! Who waits for which turn's reply. Several requests may wait for one turn: repeats with the same
//! `Idempotency-Key` do. A reply answers all of them; a waiter that gives up removes only itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntGauge;
use shared::broker::ReplyAddress;
use shared::domain::ids::{ClientId, TurnId};
use shared::wire::jobs::Spent;
use tokio::sync::oneshot;
use tokio::time::Instant;

const SHARDS: usize = 16;

/// All waiters of this process; as many as requests may be in flight.
#[derive(Debug)]
pub(crate) struct Waiters {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicU64,
    gauge: IntGauge,
}

/// What a waiter gets: the body, and where the turn's time went, if that is known.
pub(crate) type Answer = (Bytes, Option<Spent>);

type Shard = HashMap<TurnId, Vec<Entry>>;

#[derive(Debug)]
struct Entry {
    id: u64,
    client: ClientId,
    address: ReplyAddress,
    since: Instant,
    reply_tx: oneshot::Sender<Answer>,
}

/// One request's place in the set; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Waiter<'w> {
    waiters: &'w Waiters,
    turn: TurnId,
    id: u64,
    reply_rx: oneshot::Receiver<Answer>,
}

impl Waiters {
    pub(crate) fn new(gauge: IntGauge) -> Self {
        Self { shards: Default::default(), next: AtomicU64::new(0), gauge }
    }

    /// To be called before the turn is published, lest the reply be faster.
    pub(crate) fn register(
        &self,
        turn: TurnId,
        client: ClientId,
        address: ReplyAddress,
    ) -> Waiter<'_> {
        let (reply_tx, reply_rx) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { id, client, address, since: Instant::now(), reply_tx };
        self.shard(turn).entry(turn).or_default().push(entry);
        self.gauge.inc();
        Waiter { waiters: self, turn, id, reply_rx }
    }

    /// Hands a reply to everybody who waits for it; says whether anybody did.
    pub(crate) fn answer(&self, turn: TurnId, answer: &Answer) -> bool {
        let entries = self.shard(turn).remove(&turn).unwrap_or_default();
        let mut taken = false;
        for entry in entries {
            self.gauge.dec();
            taken |= entry.reply_tx.send(answer.clone()).is_ok();
        }
        taken
    }

    /// The turns whose replies go to another address than `current`, and so nowhere, and those that
    /// somebody has waited for as long as `patience`.
    pub(crate) fn stranded(
        &self,
        current: Option<&ReplyAddress>,
        patience: Duration,
    ) -> Vec<(ClientId, TurnId)> {
        let lost =
            |entry: &&Entry| Some(&entry.address) != current || entry.since.elapsed() >= patience;
        let mut turns = Vec::new();
        for shard in &self.shards {
            for (turn, entries) in lock(shard).iter() {
                turns.extend(entries.iter().find(lost).map(|entry| (entry.client.clone(), *turn)));
            }
        }
        turns
    }

    fn shard(&self, turn: TurnId) -> MutexGuard<'_, Shard> {
        let last = turn.uuid().as_bytes()[15];
        lock(&self.shards[usize::from(last) % SHARDS])
    }
}

impl Waiter<'_> {
    /// The reply, when it comes. Cancel safe; not to be called again once it has come.
    pub(crate) async fn reply(&mut self) -> Answer {
        match (&mut self.reply_rx).await {
            Ok(reply) => reply,
            // The set outlives its waiters and only lets go of an entry with a reply.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut shard = self.waiters.shard(self.turn);
        let Some(entries) = shard.get_mut(&self.turn) else { return };
        let before = entries.len();
        entries.retain(|entry| entry.id != self.id);
        if entries.len() < before {
            self.waiters.gauge.dec();
        }
        if entries.is_empty() {
            shard.remove(&self.turn);
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiters() -> Waiters {
        Waiters::new(IntGauge::new("waiters", "w").unwrap())
    }
    fn turn(number: u128) -> TurnId {
        TurnId::new(uuid::Uuid::from_u128(number))
    }
    fn r() -> Answer {
        (Bytes::from_static(b"r"), None)
    }
    fn at(address: &str) -> ReplyAddress {
        ReplyAddress(address.to_owned())
    }

    #[tokio::test]
    async fn one_reply_answers_everybody_who_waits_for_the_turn() {
        let set = waiters();
        let mut first = set.register(turn(1), "cs".into(), at("a"));
        let mut second = set.register(turn(1), "cs".into(), at("a"));
        let other = set.register(turn(2), "cs".into(), at("a"));
        assert_eq!(set.gauge.get(), 3);
        assert!(set.answer(turn(1), &r()));
        assert_eq!((first.reply().await, second.reply().await), (r(), r()));
        assert!(!set.answer(turn(1), &r()));
        drop((first, second, other));
        assert_eq!(set.gauge.get(), 0);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_removes_only_itself() {
        let set = waiters();
        let first = set.register(turn(1), "cs".into(), at("a"));
        let mut second = set.register(turn(1), "cs".into(), at("a"));
        drop(first);
        assert_eq!(set.gauge.get(), 1);
        assert!(set.answer(turn(1), &r()));
        assert_eq!(second.reply().await, r());
        drop(second);
        assert_eq!(set.gauge.get(), 0);
        assert!(!set.answer(turn(1), &r()));
    }

    #[tokio::test]
    async fn those_who_wait_at_a_lost_address_or_for_long_are_found_once_a_turn() {
        let set = waiters();
        let _waiting = [
            set.register(turn(1), "cs".into(), at("old")),
            set.register(turn(1), "cs".into(), at("old")),
            set.register(turn(2), "cs".into(), at("new")),
        ];
        let long = Duration::from_mins(1);
        assert_eq!(set.stranded(Some(&at("new")), long), [("cs".into(), turn(1))]);
        assert_eq!(set.stranded(None, long).len(), 2);
        assert_eq!(set.stranded(Some(&at("old")), long), [("cs".into(), turn(2))]);
        assert_eq!(set.stranded(Some(&at("new")), Duration::ZERO).len(), 2);
    }
}
