//! One round trip for all that is ready: the worker takes what waits as soon as it is free. Bounded in
//! items and bytes; with a key, one item per key in a group, later ones wait.
//!
//! Who comes alone waits for nobody. Under load groups keep a distance, since much of what a group costs
//! the database does not depend on its size.
//!
//! A group is all or nothing. When the database refuses its data, halves of it are tried, and so on,
//! until the one that it refuses stands alone: nobody pays for a neighbour.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::error::late;
use super::pool::DEADLINE;
use crate::store::StoreError;

/// Items that wait for a worker, at most; beyond them callers wait for room.
const QUEUE: usize = 2_048;
/// A group of so many is company, see [`Work::PACE`].
const COMPANY: usize = 3;
/// What a group may weigh, in bytes, besides its first item.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What is done with a group.
pub(super) trait Work: Clone + Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;
    type Key: Eq + Hash + Send;
    /// Most items in a group.
    const GROUP: usize;
    /// After a group with company, the next begins so long after it began, or when it is full.
    const PACE: Duration = Duration::from_millis(4);

    /// Items with equal keys never share a group.
    fn key(item: &Self::Item) -> Option<Self::Key>;
    fn weight(item: &Self::Item) -> usize;
    /// Answers in the order of the items. A refusal ([`StoreError::Refused`]) has written nothing.
    fn group(
        &self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// The way in.
#[derive(Debug)]
pub(super) struct Batcher<W: Work> {
    waiting_tx: mpsc::Sender<Waiting<W>>,
}

#[derive(Debug)]
struct Waiting<W: Work> {
    item: W::Item,
    answer_tx: oneshot::Sender<Result<W::Answer, StoreError>>,
}

/// Items that no group has taken yet, one worker's.
struct Feed<W: Work> {
    waiting_rx: mpsc::Receiver<Waiting<W>>,
    /// Taken from the channel, but its key was already in the group.
    held: VecDeque<Waiting<W>>,
    /// The next group is not to begin before, unless it is full.
    paced: Option<Instant>,
}

impl<W: Work> Batcher<W> {
    /// Starts the worker, which ends when the batcher is dropped.
    pub(super) fn start(work: W, tasks: &mut JoinSet<()>) -> Self {
        let (waiting_tx, waiting_rx) = mpsc::channel(QUEUE);
        tasks.spawn(serve(work, Feed { waiting_rx, held: VecDeque::new(), paced: None }));
        Self { waiting_tx }
    }

    /// Hands in an item and waits for its answer, at most for [`DEADLINE`].
    pub(super) async fn ask(&self, item: W::Item) -> Result<W::Answer, StoreError> {
        let (answer_tx, answer_rx) = oneshot::channel();
        let answer = async {
            self.waiting_tx.send(Waiting { item, answer_tx }).await.ok()?;
            answer_rx.await.ok()
        };
        let gone = || StoreError::Away("the store is closed".to_owned());
        tokio::time::timeout(DEADLINE, answer).await.map_err(late)?.ok_or_else(gone)?
    }
}

async fn serve<W: Work>(work: W, mut feed: Feed<W>) {
    while let Some(group) = feed.next_group().await {
        let (items, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|waiting| (waiting.item, waiting.answer_tx)).unzip();
        let mut answers = answers.into_iter();
        // A stack of parts that are still to do, the first on top.
        let mut parts = vec![&items[..]];
        while let Some(part) = parts.pop() {
            let done = work.group(part).await;
            if part.len() > 1 && matches!(done, Err(StoreError::Refused(_))) {
                let (left, right) = part.split_at(part.len() / 2);
                parts.extend([right, left]);
                continue;
            }
            for (answer, answer_tx) in each(done, part.len()).zip(answers.by_ref()) {
                // Whoever asked may have gone.
                let _ = answer_tx.send(answer);
            }
        }
    }
}

/// One result for each of `count` items.
fn each<T>(
    done: Result<Vec<T>, StoreError>,
    count: usize,
) -> impl Iterator<Item = Result<T, StoreError>> {
    let (answers, error) = match done {
        Ok(answers) => (answers, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    answers.into_iter().map(Ok).chain(error.into_iter().cycle().map(Err)).take(count)
}

impl<W: Work> Feed<W> {
    /// Waits for a first item, then takes what is there, and what comes until the group may begin.
    /// `None` when the batcher is gone.
    async fn next_group(&mut self) -> Option<Vec<Waiting<W>>> {
        let mut group = Group { items: Vec::new(), keys: HashSet::new(), bytes: 0 };
        for waiting in std::mem::take(&mut self.held) {
            self.held.extend(group.take(waiting));
        }
        while group.items.is_empty() {
            let first = self.waiting_rx.recv().await?;
            self.held.extend(group.take(first));
        }
        let mut paced = self.paced.map(|at| Box::pin(tokio::time::sleep_until(at)));
        while !group.is_full() && self.held.len() < W::GROUP {
            let next = match (self.waiting_rx.try_recv(), &mut paced) {
                (Ok(waiting), _) => waiting,
                (Err(_), None) => break,
                (Err(_), Some(paced)) => tokio::select! {
                    biased;
                    () = paced => break,
                    Some(waiting) = self.waiting_rx.recv() => waiting,
                },
            };
            self.held.extend(group.take(next));
        }
        self.paced = (group.items.len() >= COMPANY).then(|| Instant::now() + W::PACE);
        Some(group.items)
    }
}

struct Group<W: Work> {
    items: Vec<Waiting<W>>,
    keys: HashSet<W::Key>,
    bytes: usize,
}

impl<W: Work> Group<W> {
    fn is_full(&self) -> bool {
        self.items.len() >= W::GROUP || self.bytes >= GROUP_BYTES
    }

    /// Takes an item in, or gives it back for a later group. One whose caller has gone is dropped.
    fn take(&mut self, waiting: Waiting<W>) -> Option<Waiting<W>> {
        if waiting.answer_tx.is_closed() {
            return None;
        }
        if self.is_full() {
            return Some(waiting);
        }
        if let Some(key) = W::key(&waiting.item)
            && !self.keys.insert(key)
        {
            return Some(waiting);
        }
        self.bytes += W::weight(&waiting.item);
        self.items.push(waiting);
        None
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
