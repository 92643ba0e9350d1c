//! What everything in a simulation shares: the seed, which processes live, the models' state, the
//! history and the trace of what happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::broker::ReplyAddress;
use shared::topology::{Partition, Queue, Topology};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::broker::slot::Slot;
use crate::chance::Chance;
use crate::check::History;
use crate::run::{Defect, Scenario};
use crate::store::Db;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    tasks: TaskTracker,
    pub(crate) topology: Topology,
    pub(crate) scenario: Scenario,
}

/// A process of the simulation, by its number.
pub(crate) type Process = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// Nothing that it does is seen until it goes on.
    Frozen,
    /// Nothing that it does is ever seen again.
    Dead,
}

/// How mean the models are, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meanness {
    pub(crate) publish: u64,
    pub(crate) lost: u64,
    pub(crate) store: u64,
    pub(crate) endpoint: u64,
    pub(crate) slow_bots: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) chance: Chance,
    pub(crate) meanness: Meanness,
    pub(crate) processes: Vec<Life>,
    pub(crate) slots: BTreeMap<(Queue, Partition), Slot>,
    pub(crate) ids: u64,
    pub(crate) db: Db,
    /// Until then the store answers nobody.
    pub(crate) store_away_until: Option<Instant>,
    pub(crate) replies: BTreeMap<String, (Process, mpsc::Sender<Bytes>)>,
    pub(crate) announcements: broadcast::Sender<Bytes>,
    pub(crate) history: History,
    pub(crate) refused_commits: u64,
    trace: u64,
    began: Instant,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let mut chance = Chance::new(scenario.seed);
        let partitions = u16::try_from(chance.between(1, 4)).unwrap_or(1);
        let topology = Topology { prefix: "sim".to_owned(), generation: 1, partitions };
        let mean = scenario.faults && chance.permille(700);
        let meanness = Meanness {
            publish: if mean { chance.between(0, 60) } else { 0 },
            lost: if mean { chance.between(0, 100) } else { 0 },
            store: if mean { chance.between(0, 60) } else { 0 },
            endpoint: if mean { chance.between(0, 250) } else { 0 },
            slow_bots: scenario.faults && chance.permille(300),
        };
        let state = State {
            chance,
            meanness,
            processes: Vec::new(),
            slots: BTreeMap::new(),
            ids: 0,
            db: Db::default(),
            store_away_until: None,
            replies: BTreeMap::new(),
            announcements: broadcast::channel(256).0,
            history: History::default(),
            refused_commits: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            began: Instant::now(),
        };
        let (state, changed) = (Mutex::new(state), Notify::new());
        Self(Arc::new(Inner { state, changed, tasks: TaskTracker::new(), topology, scenario }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.0.topology
    }

    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.0.scenario.defect == Some(defect)
    }

    pub(crate) fn bots_are_slow(&self) -> bool {
        self.lock().meanness.slow_bots
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let _handle = self.0.tasks.spawn(task);
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.lock().chance)
    }

    /// Adds to the trace.
    pub(crate) fn note(&self, what: &str, process: Process, detail: u64) {
        self.lock().note(what, process, detail);
    }

    /// Something that others may wait for has changed.
    pub(crate) fn changed(&self) {
        self.0.changed.notify_waiters();
    }

    /// Waits for the next change; to be made before looking.
    pub(crate) fn change(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.changed.notified()
    }

    /// A new process.
    pub(crate) fn born(&self) -> Process {
        let mut state = self.lock();
        state.processes.push(Life::Running);
        state.processes.len() - 1
    }

    pub(crate) fn set(&self, process: Process, life: Life) {
        let mut state = self.lock();
        state.note("life", process, life as u64);
        state.processes[process] = life;
        if life == Life::Dead {
            state.drop_consumers(|holder| holder == process);
            state.replies.retain(|_, (owner, _)| *owner != process);
        }
        drop(state);
        self.changed();
    }

    /// Returns when the process runs; never when it is dead.
    pub(crate) async fn gate(&self, process: Process) {
        loop {
            let change = self.change();
            let life = self.lock().processes[process];
            match life {
                Life::Running => return,
                Life::Frozen => change.await,
                Life::Dead => std::future::pending().await,
            }
        }
    }

    /// The way of a message between a process and an engine.
    pub(crate) async fn travel(&self, process: Process) {
        let way = self.draw(|chance| match chance.between(0, 99) {
            0..60 => Duration::ZERO,
            60..95 => chance.ms(0, 3),
            _ => chance.ms(0, 120),
        });
        if !way.is_zero() {
            tokio::time::sleep(way).await;
        }
        self.gate(process).await;
    }

    pub(crate) fn address(process: Process) -> ReplyAddress {
        ReplyAddress(format!("process-{process}"))
    }
}

impl State {
    pub(crate) fn note(&mut self, what: &str, process: Process, detail: u64) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let numbers = [ms, process as u64, detail];
        let bytes = what.bytes().chain(numbers.into_iter().flat_map(u64::to_le_bytes));
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// What has happened so far, as one number.
    pub(crate) const fn trace(&self) -> u64 {
        self.trace
    }

    pub(crate) const fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(crate) fn slot(&mut self, queue: Queue, partition: Partition) -> &mut Slot {
        self.slots.entry((queue, partition)).or_default()
    }

    /// Ends the subscriptions of some processes: what they hold goes back.
    pub(crate) fn drop_consumers(&mut self, of: impl Fn(Process) -> bool) {
        for slot in self.slots.values_mut() {
            slot.end_all(&of);
        }
    }
}
