//! The model of a broker, as one process sees it. It keeps the contract of `shared::broker` and no more:
//! a confirm may be lost or late, an unconfirmed job may arrive after all, a doorbell or a reply may be
//! lost, acks take their time.

pub(crate) mod slot;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::broker::{
    Acker, Broker, Consumer, ConsumerLost, Health, Job, PUBLISH_DEADLINE, PublishError,
    ReplyAddress, Stale,
};
use shared::domain::ids::TurnId;
use shared::topology::{Partition, Queue, Topology};
use tokio::sync::{broadcast, mpsc, watch};

use crate::run::Defect;
use crate::world::{Process, World};
use slot::Next;

/// See the module's documentation. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SimBroker {
    world: World,
    process: Process,
    balances: bool,
    address: watch::Receiver<Option<ReplyAddress>>,
    health: watch::Receiver<Health>,
    replies: Arc<Mutex<Option<mpsc::Receiver<Bytes>>>>,
    /// Keeps the receivers' other ends.
    _ends: Arc<(watch::Sender<Option<ReplyAddress>>, watch::Sender<Health>)>,
}

/// What becomes of a durable publish.
enum Fate {
    Taken,
    Refused,
    /// Never arrives.
    Lost,
    /// Arrives, and the confirm does not.
    Unconfirmed,
    /// Arrives after the publisher has given up.
    Late(Duration),
}

impl SimBroker {
    pub(crate) fn new(world: &World, process: Process, balances: bool) -> Self {
        let address = World::address(process);
        let (replies_tx, replies_rx) = mpsc::channel(256);
        world.lock().replies.insert(address.0.clone(), (process, replies_tx));
        let (address_tx, address) = watch::channel(Some(address));
        let (health_tx, health) = watch::channel(Health::Up);
        let replies = Arc::new(Mutex::new(Some(replies_rx)));
        let ends = Arc::new((address_tx, health_tx));
        Self { world: world.clone(), process, balances, address, health, replies, _ends: ends }
    }

    fn fate(&self) -> Fate {
        let mut state = self.world.lock();
        let mean = state.meanness.publish;
        if !state.chance.permille(mean) {
            return Fate::Taken;
        }
        match state.chance.between(0, 3) {
            0 => Fate::Refused,
            1 => Fate::Lost,
            2 => Fate::Unconfirmed,
            _ => Fate::Late(state.chance.ms(4_000, 12_000)),
        }
    }

    fn enqueue(&self, queue: Queue, partition: Partition, body: Bytes) {
        enqueue(&self.world, self.process, queue, partition, body);
    }

    async fn publish_turn(&self, partition: Partition, body: Bytes) -> Result<(), PublishError> {
        match self.fate() {
            Fate::Refused => return Err(PublishError::Unavailable("simulated")),
            Fate::Lost => {}
            Fate::Unconfirmed => self.enqueue(Queue::Turns, partition, body),
            Fate::Late(after) => {
                let (world, process) = (self.world.clone(), self.process);
                self.world.spawn(async move {
                    tokio::time::sleep(after).await;
                    enqueue(&world, process, Queue::Turns, partition, body);
                });
            }
            Fate::Taken => {
                self.enqueue(Queue::Turns, partition, body);
                self.world.travel(self.process).await;
                return Ok(());
            }
        }
        tokio::time::sleep(PUBLISH_DEADLINE).await;
        self.world.gate(self.process).await;
        Err(PublishError::Unknown)
    }
}

fn enqueue(world: &World, process: Process, queue: Queue, partition: Partition, body: Bytes) {
    let mut state = world.lock();
    let id = state.id();
    state.note("enqueued", process, id);
    state.slot(queue, partition).push(id, body);
    drop(state);
    world.changed();
}

impl Broker for SimBroker {
    type Consumer = SimConsumer;

    fn topology(&self) -> &Topology {
        self.world.topology()
    }

    async fn publish(
        &self,
        queue: Queue,
        partition: Partition,
        _turn: TurnId,
        body: Bytes,
    ) -> Result<(), PublishError> {
        self.world.travel(self.process).await;
        if queue == Queue::Turns {
            return self.publish_turn(partition, body).await;
        }
        let lost = {
            let mut state = self.world.lock();
            let mean = state.meanness.lost;
            state.chance.permille(mean)
        };
        if !lost {
            self.enqueue(queue, partition, body);
        }
        Ok(())
    }

    async fn reachable(&self) {}

    async fn consume(
        &self,
        queue: Queue,
        partition: Partition,
    ) -> Result<SimConsumer, ConsumerLost> {
        self.world.travel(self.process).await;
        let mut state = self.world.lock();
        let id = state.id();
        state.note("subscribed", self.process, id);
        state.slot(queue, partition).subscribe(id, self.process);
        drop(state);
        let (world, process) = (self.world.clone(), self.process);
        Ok(SimConsumer { world, process, id, at: Some((queue, partition)) })
    }

    async fn consume_dead(&self, _queue: Queue) -> Result<SimConsumer, ConsumerLost> {
        let (world, process) = (self.world.clone(), self.process);
        Ok(SimConsumer { world, process, id: 0, at: None })
    }

    fn reply_address(&self) -> watch::Receiver<Option<ReplyAddress>> {
        self.address.clone()
    }

    fn replies(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// No bot of the simulation makes calls.
    fn activities(&self) -> Option<mpsc::Receiver<Bytes>> {
        None
    }

    async fn reply(&self, to: &ReplyAddress, body: Bytes) {
        self.world.travel(self.process).await;
        let mut state = self.world.lock();
        let mean = state.meanness.lost;
        let lost = state.chance.permille(mean);
        if let Some((_, replies)) = state.replies.get(&to.0).filter(|_| !lost) {
            // A full buffer loses it, as the contract allows.
            let _ = replies.try_send(body);
        }
    }

    async fn announce(&self, body: Bytes) {
        self.world.gate(self.process).await;
        // Nobody may be listening.
        let _ = self.world.lock().announcements.send(body);
    }

    fn announcements(&self) -> broadcast::Receiver<Bytes> {
        self.world.lock().announcements.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    fn balances(&self, _queue: Queue) -> bool {
        self.balances
    }

    async fn depth(&self, queue: Queue, partition: Partition) -> Result<u64, ConsumerLost> {
        self.world.gate(self.process).await;
        Ok(self.world.lock().slot(queue, partition).depth() as u64)
    }

    async fn close(&self) {
        self.world.gate(self.process).await;
        let process = self.process;
        self.world.lock().drop_consumers(|holder| holder == process);
        self.world.changed();
    }
}

/// A subscription, or one to what is never dead-lettered here (`at` is `None`).
#[derive(Debug)]
pub(crate) struct SimConsumer {
    world: World,
    process: Process,
    id: u64,
    at: Option<(Queue, Partition)>,
}

impl Consumer for SimConsumer {
    type Acker = SimAcker;

    async fn next(&mut self) -> Result<Job, ConsumerLost> {
        let Some((queue, partition)) = self.at else { return std::future::pending().await };
        loop {
            let change = self.world.change();
            self.world.gate(self.process).await;
            let next = {
                let mut state = self.world.lock();
                let next = state.slot(queue, partition).next(self.id);
                if let Next::Job(job) = &next {
                    state.note("given", self.process, job.tag);
                    if self.world.has(Defect::AckBeforeCommit) {
                        state.slot(queue, partition).ack(self.id, job.tag);
                    }
                }
                next
            };
            match next {
                Next::Job(job) => return Ok(job),
                Next::Ended => {
                    return Err(ConsumerLost("the simulated broker ended it".to_owned()));
                }
                Next::Nothing => change.await,
            }
        }
    }

    fn acker(&self) -> SimAcker {
        let Self { world, process, id, at } = self;
        SimAcker { world: world.clone(), process: *process, id: *id, at: *at }
    }

    async fn close(self) {
        let Some((queue, partition)) = self.at else { return };
        self.world.travel(self.process).await;
        self.world.lock().slot(queue, partition).close(self.id);
        self.world.note("closed", self.process, self.id);
        self.world.changed();
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SimAcker {
    world: World,
    process: Process,
    id: u64,
    at: Option<(Queue, Partition)>,
}

impl Acker for SimAcker {
    fn ack(&self, tag: u64) -> Result<(), Stale> {
        let Some((queue, partition)) = self.at else { return Ok(()) };
        if !self.world.lock().slot(queue, partition).ask(self.id, tag) {
            return Err(Stale);
        }
        let (world, process, id) = (self.world.clone(), self.process, self.id);
        let collected = world.draw(|chance| chance.ms(0, 60));
        self.world.spawn(async move {
            tokio::time::sleep(collected).await;
            world.gate(process).await;
            world.lock().slot(queue, partition).ack(id, tag);
            world.note("acked", process, tag);
        });
        Ok(())
    }
}
