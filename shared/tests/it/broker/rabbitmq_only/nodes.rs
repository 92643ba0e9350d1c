//! Several nodes: a publish that is not confirmed in time moves the process to the next.

use std::time::Duration;

use shared::broker::{Broker as _, PUBLISH_DEADLINE, PublishError};
use tokio::time::Instant;

use crate::broker::engine_rabbitmq::{RabbitMq, ready};
use crate::broker::harness::{
    Harness as _, LIMIT, SOON, Setup, assert_quiet, consume, number, publish, publish_all, take,
    until,
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
        until("the next node takes jobs", async || match publish(&engine, 6).await {
            Ok(()) => true,
            Err(PublishError::Unavailable(_)) => false,
            Err(other) => panic!("{other}"),
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
