#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods
)]
use bytes::Bytes;
use shared::broker::rabbitmq::*;
use shared::broker::{Acker as _, Broker as _, Consumer as _, Health};
use shared::domain::ids::TurnId;
use shared::entropy::Entropy;
use shared::topology::*;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::main]
async fn main() {
    let node =
        testkit::rabbitmq::Node::start_with(testkit::rabbitmq::Options::plain()).await.unwrap();
    let config = Config {
        urls: vec![node.url().into()],
        topology: Topology::default(),
        process: Entropy::Real.uuid_v7(1),
        room: "rate".into(),
        consume_unrouted: false,
        limits: Limits { jobs_max: 10_000_000, bytes_max: 1 << 40 },
    };
    let began = Instant::now();
    let b = RabbitMq::connect(
        config,
        Entropy::Real,
        Metrics::register(&prometheus::Registry::new()).unwrap(),
    )
    .unwrap();
    b.health().wait_for(|h| *h == Health::Up).await.unwrap();
    println!("up after {:?} (fresh node, 35 queues)", began.elapsed());
    for (callers, consume) in [(1, false), (64, false), (256, false), (64, true)] {
        let stop = Instant::now() + Duration::from_secs(8);
        let mut consumers = tokio::task::JoinSet::new();
        let acked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        if consume {
            for p in b.topology().partitions() {
                let b = b.clone();
                let acked = acked.clone();
                consumers.spawn(async move {
                    let mut c = b.consume(Queue::Turns, p).await.unwrap();
                    let a = c.acker();
                    while let Ok(j) = c.next().await {
                        a.ack(j.tag).unwrap();
                        acked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        }
        let mut set = tokio::task::JoinSet::new();
        for i in 0..callers {
            let b = b.clone();
            set.spawn(async move {
                let body = Bytes::from(vec![b'x'; 1024]);
                let mut took = Vec::new();
                while Instant::now() < stop {
                    let t = Instant::now();
                    b.publish(
                        Queue::Turns,
                        Partition((i % 16) as u16),
                        TurnId::new(Entropy::Real.uuid_v7(1)),
                        body.clone(),
                    )
                    .await
                    .unwrap();
                    took.push(t.elapsed());
                }
                took
            });
        }
        let mut all = set.join_all().await.concat();
        all.sort();
        println!(
            "{callers} callers, consuming {consume}: {:.0}/s p50 {:?} p99 {:?} acked {}",
            all.len() as f64 / 8.0,
            all[all.len() / 2],
            all[all.len() * 99 / 100],
            acked.load(std::sync::atomic::Ordering::Relaxed)
        );
        consumers.abort_all();
    }
    b.close().await;
}
