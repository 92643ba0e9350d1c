//! After a restart of the broker each process has the partitions that the hash prefers it for, the same ones
//! each time, and not those that it was the first to ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::admin::Readiness;
use shared::broker::rabbitmq::RabbitMq as Engine;
use shared::broker::{Broker as _, Job};
use shared::clock::Clock;
use shared::domain::ids::ConversationId;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lanes::{Fate, Handler, Run, Undecodable};
use shared::lease::Lease;
use shared::lifecycle::Lifecycle;
use shared::partitions::{
    self,
    rendezvous::{self, Member},
};
use shared::registry::{Registry, cache::Cache};
use shared::topology::{Partition, Queue};
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use uuid::Uuid;

use super::outage::rough;
use crate::broker::engine_rabbitmq::{RabbitMq, ready};
use crate::broker::harness::{LIMIT, Setup, body, turn};

/// The queue that no broker balances.
const QUEUE: Queue = Queue::Deliveries;
const PARTITIONS: u16 = 16;
const PROCESSES: u128 = 3;
/// Once a process has yielded it does not again for a minute; it is not to be waited for.
const BACK_MAX: Duration = Duration::from_secs(30);

type Owners = BTreeMap<Partition, Uuid>;

/// Tells whose a partition is.
struct Teller {
    process: Uuid,
    tell: UnboundedSender<(Partition, Uuid)>,
}

impl Handler for Teller {
    type Work = Partition;
    type State = ();

    fn decode(&self, at: Partition, _: &Job) -> Result<(ConversationId, Partition), Undecodable> {
        Ok((ConversationId::new(Uuid::from_u128(at.0.into())), at))
    }

    async fn handle(&self, (): &mut (), at: Partition, _: &Run<Partition>) -> Fate {
        // Who has heard enough is gone.
        let _ = self.tell.send((at, self.process));
        Fate::Ack
    }

    async fn stray(&self, _: Job, why: Undecodable) -> Fate {
        Fate::Close(why.0)
    }
}

/// The ids decide who is to have what.
const fn id(number: u128) -> Uuid {
    Uuid::from_u128(number << 64)
}

/// A process of a room with handlers on all partitions.
async fn process(h: &RabbitMq, number: u128, tell: UnboundedSender<(Partition, Uuid)>) -> Engine {
    let mut config = h.config(&[h.node.port()]);
    config.process = id(number);
    let process = config.process;
    let broker = RabbitMq::connect(config).await;
    let ground = Ground {
        broker: broker.clone(),
        store: (),
        registry: Cache::new(Registry::default()),
        lease: Lease::eternal(),
        keys: Keys::new(&[vec![7; 32]]).expect("a key"),
        clock: Clock::Real,
        entropy: Entropy::Real,
        lifecycle: Lifecycle::new(),
        metrics: prometheus::Registry::new(),
        readiness: Readiness::default(),
        tracer: Tracer::off(),
        process,
    };
    partitions::start(&ground, QUEUE, &Arc::new(Teller { process, tell })).unwrap();
    broker
}

/// Asks every partition whose it is, until the answer is as it should be. What was answered last stays in
/// `owners`.
async fn settle(
    engine: &Engine,
    told: &mut UnboundedReceiver<(Partition, Uuid)>,
    owners: &mut Owners,
    settled: impl Fn(&Owners) -> bool,
) {
    owners.clear();
    let mut ask = tokio::time::interval(Duration::from_millis(100));
    while !settled(owners) {
        tokio::select! {
            biased;
            Some((partition, process)) = told.recv() => { owners.insert(partition, process); }
            _ = ask.tick() => for partition in (0..PARTITIONS).map(Partition) {
                // A doorbell may be lost; the next one asks again.
                let _ = engine.publish(QUEUE, partition, turn(), body(0)).await;
            }
        }
    }
}

/// Whose each partition should be.
fn preferred() -> Owners {
    let processes = || (1..=PROCESSES).map(id);
    let member = |process| Member { process, heard: rendezvous::HEARD_MIN };
    let first = |partition| {
        processes().find(|me| {
            let others: Vec<_> = processes().filter(|other| other != me).map(member).collect();
            rendezvous::rank(*me, &others, partition, PARTITIONS) == 0
        })
    };
    let owner = |partition| (partition, first(partition).expect("one is preferred"));
    (0..PARTITIONS).map(Partition).map(owner).collect()
}

/// Each has its share.
fn fair(owners: &Owners) -> bool {
    let mut shares = BTreeMap::<_, u16>::new();
    for process in owners.values() {
        *shares.entry(*process).or_default() += 1;
    }
    shares.len() == PROCESSES as usize && shares.values().all(|share| matches!(share, 5 | 6))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitions_go_back_to_whose_they_were_after_a_restart_of_the_broker() {
    let (node, _turn) = rough().await;
    let back = async {
        let h = RabbitMq::on(node, Setup { partitions: PARTITIONS, ..Setup::DEFAULT });
        let (tell, mut told) = unbounded_channel();
        let mut engines = Vec::new();
        for number in 1..=PROCESSES {
            engines.push(process(&h, number, tell.clone()).await);
        }
        // All know of each other. Who has what may still change: that takes up to a minute, and is not waited for.
        let mut owners = Owners::new();
        settle(&engines[0], &mut told, &mut owners, fair).await;
        let preferred = preferred();
        assert!(fair(&preferred));
        for _ in 0..2 {
            node.kill9().await;
            node.restart().await.unwrap();
            for engine in &engines {
                timeout(LIMIT, ready(engine)).await.unwrap();
            }
            while told.try_recv().is_ok() {}
            let settled =
                settle(&engines[0], &mut told, &mut owners, |owners| *owners == preferred);
            let settled = timeout(BACK_MAX, settled).await;
            assert!(settled.is_ok(), "after {BACK_MAX:?} {owners:?} and not {preferred:?}");
        }
        for engine in engines {
            engine.close().await;
        }
    };
    timeout(LIMIT, back).await.expect("ended in time");
}
