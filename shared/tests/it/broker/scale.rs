//! Order per conversation while dispatchers come, go and die, with a few hot conversations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use shared::broker::{Acker as _, Broker, Consumer as _, Job};
use shared::topology::{Partition, Queue};
use testkit::lapse;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::harness::{Harness, TURNS, turn, until};

conformance! {
    Setup { partitions: 4, ..Setup::DEFAULT };
    order_holds_while_processes_come_go_and_die,
}

const HOT: u32 = 8;
const CONVERSATIONS: u32 = 32;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

const fn turns_of(conversation: u32) -> u32 {
    if conversation < HOT { 150 } else { 10 }
}

/// What a store would hold: for each conversation the turns that were committed, by a
/// compare-and-swap as the store's.
#[derive(Default)]
struct Ledger(Mutex<State>);

#[derive(Default)]
struct State {
    committed: HashMap<u32, u32>,
    sum: u32,
    overtaken: Vec<String>,
}

impl Ledger {
    /// Whether the job is settled: committed now or before.
    fn commit(&self, conversation: u32, number: u32) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.committed.entry(conversation).or_default();
        if number > *next {
            let seen = format!("{conversation}: {number} before {next}");
            state.overtaken.push(seen);
            return false;
        }
        if number == *next {
            *next += 1;
            state.sum += 1;
        }
        true
    }

    fn sum(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sum
    }
}

/// One dispatcher: a subscription to every partition, and lanes on each.
struct Dispatcher {
    stop: CancellationToken,
    partitions: JoinSet<()>,
}

impl Dispatcher {
    fn start<B: Broker>(broker: &B, ledger: &Arc<Ledger>) -> Self {
        let stop = CancellationToken::new();
        let mut partitions = JoinSet::new();
        for partition in broker.topology().partitions() {
            let (broker, ledger, stop) = (broker.clone(), Arc::clone(ledger), stop.clone());
            partitions.spawn(async move {
                while !stop.is_cancelled() {
                    own(&broker, partition, &ledger, &stop).await;
                    lapse(PAUSE, "a dispatcher that is given nothing tries again after a while")
                        .await;
                }
            });
        }
        Self { stop, partitions }
    }

    /// Hands everything over.
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.partitions.join_next().await {
            ended.unwrap();
        }
    }
}

/// Works on one partition until it is to stop, or is lost; what it has begun it ends.
async fn own<B: Broker>(
    broker: &B,
    partition: Partition,
    ledger: &Arc<Ledger>,
    stop: &CancellationToken,
) {
    let Ok(mut consumer) = broker.consume(Queue::Turns, partition).await else { return };
    let mut lanes: HashMap<u32, oneshot::Receiver<()>> = HashMap::new();
    let mut running = JoinSet::new();
    loop {
        let job = tokio::select! {
            () = stop.cancelled() => break,
            job = consumer.next() => match job {
                Ok(job) => job,
                Err(_) => break,
            },
        };
        let Job { tag, mut body, .. } = job;
        let (conversation, number) = (body.get_u32(), body.get_u32());
        let (done, next) = oneshot::channel();
        let before = lanes.insert(conversation, next);
        let (ledger, acker) = (Arc::clone(ledger), consumer.acker());
        running.spawn(async move {
            if let Some(before) = before {
                // The job before was not settled: this one must come again behind it.
                if before.await.is_err() {
                    return;
                }
            }
            let work = u64::from(conversation * 7 + number * 13) % 6;
            lapse(Duration::from_millis(work), "each job takes a time of its own").await;
            if ledger.commit(conversation, number) {
                // A stale ack: the job comes again and is found committed.
                let _ = acker.ack(tag);
                let _ = done.send(());
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    consumer.close().await;
}

/// One client: the next turn is sent when the one before was accepted.
async fn talk<B: Broker>(broker: B, conversation: u32) {
    let partition = broker.topology().partition_of_hash(u64::from(conversation));
    for number in 0..turns_of(conversation) {
        let mut body = BytesMut::new();
        body.put_u32(conversation);
        body.put_u32(number);
        let body = body.freeze();
        while broker.publish(TURNS, partition, turn(), Bytes::clone(&body)).await.is_err() {
            lapse(PAUSE, "a client that is refused tries again after a while").await;
        }
    }
}

async fn order_holds_while_processes_come_go_and_die<H: Harness>(h: H) {
    let ledger = Arc::new(Ledger::default());
    let all: u32 = (0..CONVERSATIONS).map(turns_of).sum();
    let clients_broker = h.process().await;
    let mut clients = JoinSet::new();
    for conversation in 0..CONVERSATIONS {
        clients.spawn(talk(clients_broker.clone(), conversation));
    }
    let reach = async |percent: u32| {
        until("more commits", || async { ledger.sum() * 100 >= all * percent }).await;
    };
    let first = Dispatcher::start(&h.process().await, &ledger);
    reach(10).await;
    let doomed_broker = h.process().await;
    let doomed = Dispatcher::start(&doomed_broker, &ledger);
    let third = Dispatcher::start(&h.process().await, &ledger);
    reach(30).await;
    first.end().await;
    reach(45).await;
    let fourth = Dispatcher::start(&h.process().await, &ledger);
    if !H::ALONE {
        // It goes on with what it was given, as one that is cut off would.
        h.kill(&doomed_broker).await;
    }
    reach(60).await;
    doomed.end().await;
    third.end().await;
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    reach(100).await;
    fourth.end().await;
    let state = ledger.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(state.overtaken.is_empty(), "{:?}", state.overtaken);
    for conversation in 0..CONVERSATIONS {
        assert_eq!(state.committed[&conversation], turns_of(conversation), "{conversation}");
    }
}
