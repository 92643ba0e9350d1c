//! Several nodes: a publish that is not confirmed in time moves the process to the next.

use std::time::Duration;

use shared::broker::rabbitmq::Config;
use shared::broker::{Broker as _, Consumer as _, PUBLISH_DEADLINE, PublishError};
use shared::topology::Queue;
use tokio::time::Instant;

use crate::broker::engine_rabbitmq::{RabbitMq, ready};
use crate::broker::harness::{
    Harness as _, LIMIT, P0, SOON, Setup, ack_all, assert_quiet, body, consume, number, publish,
    publish_all, take, turn, until,
};
use crate::broker::proxy::Proxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_not_there_is_passed_over() {
    let h = RabbitMq::start(Setup::DEFAULT).await;
    let nobody = testkit::free_port();
    let engine = RabbitMq::connect(h.config(&[nobody, h.node.port()])).await;
    publish(&engine, 0).await.unwrap();
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_publish_to_a_silent_node_is_unknown_in_time_and_the_next_goes_elsewhere() {
    let moved = async {
        let h = RabbitMq::start(Setup::DEFAULT).await;
        let (first, second) =
            (Proxy::start(h.node.port()).await, Proxy::start(h.node.port()).await);
        // At first only one of the two answers.
        second.hold(true);
        let engine = RabbitMq::connect(h.config(&[first.port, second.port])).await;
        publish_all(&engine, 0..5).await;
        first.hold(true);
        second.hold(false);
        let asked = Instant::now();
        assert_eq!(publish(&engine, 5).await, Err(PublishError::Unknown));
        let waited = asked.elapsed();
        assert!(waited < PUBLISH_DEADLINE + Duration::from_secs(1), "{waited:?}");
        // Nobody waits for a connection; while there is none the answer comes at once.
        until("the next node takes jobs", || async {
            match publish(&engine, 6).await {
                Ok(()) => true,
                Err(PublishError::Unavailable(_)) => false,
                Err(other) => panic!("{other}"),
            }
        })
        .await;
        first.hold(false);
        tokio::time::timeout(SOON, ready(&engine)).await.unwrap();
        publish_all(&engine, 7..10).await;
        // The one that timed out may still have arrived, at any place; it was never accepted.
        let mut consumer = consume(&h.process().await).await;
        let jobs = take(&mut consumer, 9).await;
        let mut numbers: Vec<_> = jobs.iter().map(number).collect();
        if numbers.contains(&5) {
            numbers.extend(take(&mut consumer, 1).await.iter().map(number));
            numbers.retain(|number| *number != 5);
        }
        assert_eq!(numbers, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
        assert_quiet(&mut consumer).await;
    };
    tokio::time::timeout(LIMIT, moved).await.expect("ended in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_it_is_told_to_be_replicated_a_delivery_queue_is_a_quorum_queue_and_keeps_its_order()
{
    let replicated = async {
        let h = RabbitMq::start(Setup::DEFAULT).await;
        let plain = RabbitMq::connect(h.config(&[h.node.port()])).await;
        let other = RabbitMq::start(Setup::DEFAULT).await;
        let config = Config { replicated: true, ..other.config(&[other.node.port()]) };
        let engine = RabbitMq::connect(config).await;
        let kinds = h.node.ctl(&["--silent", "list_queues", "name", "type"]).await.unwrap();
        let kind_of = |h: &RabbitMq| {
            let name = h.topology.queue(Queue::Deliveries, P0);
            let found =
                kinds.lines().find_map(|line| line.strip_prefix(&name)?.split_whitespace().next());
            found.unwrap_or_else(|| panic!("no {name} in:\n{kinds}")).to_owned()
        };
        assert_eq!((kind_of(&h).as_str(), kind_of(&other).as_str()), ("classic", "quorum"));
        let mut consumer = engine.consume(Queue::Deliveries, P0).await.unwrap();
        for number in 0..50 {
            engine.publish(Queue::Deliveries, P0, turn(), body(number)).await.unwrap();
        }
        let jobs = take(&mut consumer, 50).await;
        assert!(jobs.iter().map(number).eq(0..50));
        ack_all(&consumer, &jobs);
        consumer.close().await;
        let mut next = engine.consume(Queue::Deliveries, P0).await.unwrap();
        assert_quiet(&mut next).await;
        plain.close().await;
    };
    tokio::time::timeout(LIMIT, replicated).await.unwrap();
}
