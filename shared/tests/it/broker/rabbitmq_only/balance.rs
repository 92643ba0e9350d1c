//! Whether the broker itself spreads the partitions over the processes, as it says.

use std::collections::BTreeMap;

use shared::broker::{Broker as _, Consumer as _};
use shared::topology::{Partition, Queue};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::broker::engine_rabbitmq::RabbitMq;
use crate::broker::harness::{Harness as _, LIMIT, Setup, TURNS, ack_all, body, turn, until};

const PARTITIONS: u16 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitions_spread_over_the_processes_where_the_broker_says_so() {
    let spread = async {
        let h = RabbitMq::start(Setup { partitions: PARTITIONS, ..Setup::DEFAULT }).await;
        let (given, owners) = mpsc::unbounded_channel();
        let mut consumers = JoinSet::new();
        let mut processes = Vec::new();
        for number in 1..=3 {
            let mut config = h.config(&[h.node.port()]);
            // The ids decide who gets what: by chance one could get nothing.
            config.process = Uuid::from_u128(number << 64);
            processes.push(RabbitMq::connect(config).await);
        }
        let balances = processes[0].balances(TURNS);
        assert!(processes.iter().all(|process| !process.balances(Queue::Deliveries)));
        for (number, process) in processes.iter().enumerate() {
            for partition in (0..PARTITIONS).map(Partition) {
                let mut consumer = process.consume(TURNS, partition).await.unwrap();
                let given = given.clone();
                consumers.spawn(async move {
                    while let Ok(job) = consumer.next().await {
                        ack_all(&consumer, &[job]);
                        given.send((partition, number)).unwrap();
                    }
                });
            }
        }
        let seen = Mutex::new((owners, BTreeMap::<_, usize>::new()));
        until("the owners that there have to be", || async {
            let (owners, owner) = &mut *seen.lock().await;
            for partition in (0..PARTITIONS).map(Partition) {
                processes[0].publish(TURNS, partition, turn(), body(0)).await.unwrap();
                let (partition, number) = owners.recv().await.unwrap();
                owner.insert(partition, number);
            }
            let mut counts = [0; 3];
            for number in owner.values() {
                counts[*number] += 1;
            }
            // A broker that does not balance leaves everything with who came first.
            if balances { counts.iter().all(|count| *count >= 3) } else { counts == [16, 0, 0] }
        })
        .await;
    };
    tokio::time::timeout(LIMIT, spread).await.expect("ended in time");
}
