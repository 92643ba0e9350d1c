//! One ordered lane per conversation over a partition, bounded. Dispatcher and deliverer use the same.
//!
//! * Jobs of one conversation run strictly one after another, lanes side by side.
//! * A job is acked only by the fate that its handler returned.
//! * A hand-over takes no new job, lets running work finish for a while, drops what still runs and
//!   cleans up after it. Whatever was not acked comes again, in order, to whoever is next.
//!
//! It knows nothing of what the work is: that is the [`Handler`]'s.

pub mod permits;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Acker, Job};
use crate::domain::ids::ConversationId;
use crate::fault::{self, Defect, Point};
use crate::topology::{PREFETCH, Partition};

/// How long a lane's memory outlives its last job.
pub const LINGER: Duration = Duration::from_secs(1);
/// The most bytes of jobs that one partition's lanes hold; beyond it no further job is taken.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// The longest that cleaning up after dropped work may take.
const CLEANUP: Duration = Duration::from_secs(5);

/// A job that is none, in an operator's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub String);

/// What becomes of a job after its handler has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done and must not come again.
    Ack,
    /// Stop working on this partition and hand it over: the job comes again, to whoever is next.
    /// In an operator's words.
    Close(String),
}

/// What a room does with the jobs of one queue.
pub trait Handler: Send + Sync + 'static {
    /// A decoded job.
    type Work: Send + 'static;
    /// A lane's memory: lives while the lane is busy and for [`LINGER`] after, then is dropped.
    type State: Default + Send + 'static;

    /// How long running work may go on when the subscription was lost. Another may have been given
    /// the same jobs by then.
    const LOST_GRACE: Duration = Duration::ZERO;

    /// Reads a job. Cheap; runs in the partition's own loop.
    fn decode(
        &self,
        partition: Partition,
        job: &Job,
    ) -> Result<(ConversationId, Self::Work), Undecodable>;

    /// Does the work. The future is dropped where it waits when a hand-over has lasted too long.
    fn handle(
        &self,
        state: &mut Self::State,
        work: Self::Work,
        run: &Run<Self::Work>,
    ) -> impl Future<Output = Fate> + Send;

    /// Cleans up after work that was dropped, or that ended in [`Fate::Close`] or a panic; runs before
    /// the subscription is closed.
    fn abandon(&self, _state: &mut Self::State) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Keeps a job that cannot be decoded, so that it can be acked.
    fn stray(&self, job: Job, why: Undecodable) -> impl Future<Output = Fate> + Send;
}

/// What running work may know of the lanes that it runs in.
pub struct Run<W> {
    pub partition: Partition,
    closing: CancellationToken,
    lanes: Arc<dyn Push<W>>,
}

impl<W> Run<W> {
    /// Ends when a hand-over has begun: a good moment to give up waiting and return
    /// [`Fate::Close`].
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Looks at the work that waits behind the one at hand in its conversation's lane, first to last.
    pub fn behind(&self, conversation: ConversationId, look: &mut dyn FnMut(&W)) {
        self.lanes.look(conversation, look);
    }

    /// Ends when work has come into the lane; now and then for nothing.
    pub async fn more(&self, conversation: ConversationId) {
        match self.lanes.bell(conversation) {
            Some(bell) => bell.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Puts work of this process's own (nothing is acked for it) at the end of a conversation's lane.
    /// `false` when the partition is being handed over or its lanes hold enough already.
    pub fn push(&self, conversation: ConversationId, work: W) -> bool {
        Arc::clone(&self.lanes).push_local(conversation, work)
    }
}

impl<W> Clone for Run<W> {
    fn clone(&self) -> Self {
        Self {
            partition: self.partition,
            closing: self.closing.clone(),
            lanes: Arc::clone(&self.lanes),
        }
    }
}

impl<W> std::fmt::Debug for Run<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({})", self.partition)
    }
}

trait Push<W>: Send + Sync {
    fn push_local(self: Arc<Self>, conversation: ConversationId, work: W) -> bool;
    fn look(&self, conversation: ConversationId, look: &mut dyn FnMut(&W));
    fn bell(&self, conversation: ConversationId) -> Option<Arc<Notify>>;
}

/// The lanes of one partition for one subscription.
pub struct Lanes<H: Handler, A>(Arc<State<H, A>>);

struct State<H: Handler, A> {
    handler: Arc<H>,
    acker: A,
    partition: Partition,
    lanes: Mutex<HashMap<ConversationId, Lane<H::Work>>>,
    tasks: TaskTracker,
    /// Cancelled when no further job may begin.
    closing: CancellationToken,
    /// Cancelled when what runs is to be dropped.
    abort: CancellationToken,
    reason: Mutex<Option<String>>,
    bytes: AtomicUsize,
    jobs: AtomicUsize,
    room: Notify,
    active: IntGauge,
}

struct Lane<W> {
    queue: VecDeque<Queued<W>>,
    bell: Arc<Notify>,
}

struct Queued<W> {
    /// `None` for work of this process's own.
    tag: Option<u64>,
    bytes: usize,
    work: W,
}

impl<H: Handler, A: Acker> Lanes<H, A> {
    /// `active` shows the number of lanes.
    pub fn new(handler: Arc<H>, acker: A, partition: Partition, active: IntGauge) -> Self {
        Self(Arc::new(State {
            handler,
            acker,
            partition,
            lanes: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
            reason: Mutex::default(),
            bytes: AtomicUsize::new(0),
            jobs: AtomicUsize::new(0),
            room: Notify::new(),
            active,
        }))
    }

    /// Puts a job at the end of its conversation's lane.
    pub fn push(&self, job: Job) {
        let state = &self.0;
        match state.handler.decode(state.partition, &job) {
            Ok((conversation, work)) => {
                let queued = Queued { tag: Some(job.tag), bytes: job.body.len(), work };
                state.enqueue(conversation, queued);
            }
            Err(why) => {
                let _untracked = state.tasks.spawn(Arc::clone(state).keep_stray(job, why));
            }
        }
    }

    /// Waits until a further job may be taken.
    pub async fn room(&self) {
        while self.0.bytes.load(Ordering::Acquire) >= BYTES_MAX {
            let freed = self.0.room.notified();
            if self.0.bytes.load(Ordering::Acquire) < BYTES_MAX {
                return;
            }
            freed.await;
        }
    }

    /// Ends when a handler has asked for a hand-over, with its reason.
    pub async fn closed(&self) -> String {
        self.0.closing.cancelled().await;
        locked(&self.0.reason).clone().unwrap_or_default()
    }

    /// Takes no new job, lets what runs finish for `grace`, then drops it and cleans up after it.
    pub async fn hand_over(&self, grace: Duration) {
        let state = &self.0;
        state.closing.cancel();
        state.tasks.close();
        if tokio::time::timeout(grace, state.tasks.wait()).await.is_ok() {
            return;
        }
        state.abort.cancel();
        if tokio::time::timeout(CLEANUP, state.tasks.wait()).await.is_err() {
            tracing::error!(
                partition = %state.partition,
                "work did not let itself be dropped in time; the partition is handed over all the same"
            );
        }
    }
}

impl<H: Handler, A: Acker> Push<H::Work> for State<H, A> {
    fn push_local(self: Arc<Self>, conversation: ConversationId, work: H::Work) -> bool {
        let enough = self.jobs.load(Ordering::Acquire) >= 2 * usize::from(PREFETCH);
        if enough || self.closing.is_cancelled() {
            return false;
        }
        self.enqueue(conversation, Queued { tag: None, bytes: 0, work });
        true
    }

    fn look(&self, conversation: ConversationId, look: &mut dyn FnMut(&H::Work)) {
        if let Some(lane) = locked(&self.lanes).get(&conversation) {
            lane.queue.iter().for_each(|queued| look(&queued.work));
        }
    }

    fn bell(&self, conversation: ConversationId) -> Option<Arc<Notify>> {
        locked(&self.lanes).get(&conversation).map(|lane| Arc::clone(&lane.bell))
    }
}

impl<H: Handler, A: Acker> State<H, A> {
    fn enqueue(self: &Arc<Self>, conversation: ConversationId, queued: Queued<H::Work>) {
        self.bytes.fetch_add(queued.bytes, Ordering::AcqRel);
        self.jobs.fetch_add(1, Ordering::AcqRel);
        let mut lanes = locked(&self.lanes);
        if let Some(lane) = lanes.get_mut(&conversation) {
            lane.queue.push_back(queued);
            lane.bell.notify_one();
            return;
        }
        let bell = Arc::new(Notify::new());
        let queue = VecDeque::from([queued]);
        lanes.insert(conversation, Lane { queue, bell: Arc::clone(&bell) });
        self.active.inc();
        drop(lanes);
        let _untracked = self.tasks.spawn(Arc::clone(self).serve(conversation, bell));
    }

    /// One lane's life.
    async fn serve(self: Arc<Self>, conversation: ConversationId, bell: Arc<Notify>) {
        let run = Run {
            partition: self.partition,
            closing: self.closing.clone(),
            lanes: Arc::clone(&self) as Arc<dyn Push<H::Work>>,
        };
        let mut memory = H::State::default();
        while let Some(Queued { tag, bytes, work }) = self.next(conversation, &bell).await {
            if let Some(tag) = tag.filter(|_| fault::has(Defect::AckBeforeCommit)) {
                let _ = self.acker.ack(tag);
            }
            let handled =
                AssertUnwindSafe(self.handler.handle(&mut memory, work, &run)).catch_unwind();
            let fate = tokio::select! {
                biased;
                fate = handled => fate.unwrap_or_else(|_| Fate::Close("the handler panicked".into())),
                () = self.abort.cancelled() => Fate::Close("the hand-over took too long".into()),
            };
            self.done(bytes);
            if let Err(reason) = self.settle(tag, fate) {
                self.close(reason);
                self.handler.abandon(&mut memory).await;
                return;
            }
        }
    }

    /// The lane's next work; `None` ends the lane, which is then forgotten.
    async fn next(&self, conversation: ConversationId, bell: &Notify) -> Option<Queued<H::Work>> {
        let mut lingered = false;
        loop {
            {
                let mut lanes = locked(&self.lanes);
                if self.closing.is_cancelled() {
                    self.forget(&mut lanes, conversation);
                    return None;
                }
                let crowded = lanes.len() > usize::from(PREFETCH);
                let lane = lanes.get_mut(&conversation)?;
                if let Some(queued) = lane.queue.pop_front() {
                    return Some(queued);
                }
                if lingered || crowded {
                    self.forget(&mut lanes, conversation);
                    return None;
                }
            }
            tokio::select! {
                biased;
                () = bell.notified() => {}
                () = self.closing.cancelled() => {}
                () = tokio::time::sleep(LINGER) => lingered = true,
            }
        }
    }

    fn forget(
        &self,
        lanes: &mut HashMap<ConversationId, Lane<H::Work>>,
        conversation: ConversationId,
    ) {
        if lanes.remove(&conversation).is_some() {
            self.active.dec();
        }
    }

    fn settle(&self, tag: Option<u64>, fate: Fate) -> Result<(), String> {
        match (fate, tag) {
            (Fate::Ack, Some(tag)) => {
                if self.acker.ack(tag).is_err() {
                    tracing::debug!(partition = %self.partition, "the ack came too late; the job comes again");
                }
                fault::point(Point::Acked);
                Ok(())
            }
            (Fate::Ack, None) => Ok(()),
            (Fate::Close(reason), _) => Err(reason),
        }
    }

    async fn keep_stray(self: Arc<Self>, job: Job, why: Undecodable) {
        let tag = job.tag;
        let fate = tokio::select! {
            biased;
            fate = self.handler.stray(job, why) => fate,
            () = self.abort.cancelled() => return,
        };
        if let Err(reason) = self.settle(Some(tag), fate) {
            self.close(reason);
        }
    }

    fn close(&self, reason: String) {
        locked(&self.reason).get_or_insert(reason);
        self.closing.cancel();
    }

    fn done(&self, bytes: usize) {
        self.jobs.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.room.notify_one();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
