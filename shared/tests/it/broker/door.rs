//! The rest of the door: what is waiting, what was dead-lettered, and the end.

use shared::broker::{Broker as _, Consumer as _, Health, PublishError};
use shared::topology::Queue;

use super::harness::{
    Harness, P0, P1, SOON, TURNS, ack_all, assert_quiet, consume, publish, publish_all, take, until,
};

conformance! {
    Setup::DEFAULT;
    the_depth_counts_waiting_and_unacknowledged_jobs,
    nothing_is_dead_lettered_in_ordinary_use,
    after_the_end_every_call_refuses,
}

async fn the_depth_counts_waiting_and_unacknowledged_jobs<H: Harness>(h: H) {
    let broker = h.process().await;
    assert_eq!(broker.depth(TURNS, P0).await, Ok(0));
    publish_all(&broker, 0..10).await;
    until("ten wait", || async { broker.depth(TURNS, P0).await == Ok(10) }).await;
    assert_eq!(broker.depth(TURNS, P1).await, Ok(0));
    let mut consumer = consume(&broker).await;
    let jobs = take(&mut consumer, 10).await;
    until("ten are unacknowledged", || async { broker.depth(TURNS, P0).await == Ok(10) }).await;
    ack_all(&consumer, &jobs[..4]);
    until("six are left", || async { broker.depth(TURNS, P0).await == Ok(6) }).await;
    ack_all(&consumer, &jobs[4..]);
    until("none is left", || async { broker.depth(TURNS, P0).await == Ok(0) }).await;
}

async fn nothing_is_dead_lettered_in_ordinary_use<H: Harness>(h: H) {
    let broker = h.process().await;
    publish_all(&broker, 0..3).await;
    for _ in 0..5 {
        let mut consumer = consume(&broker).await;
        take(&mut consumer, 3).await;
        consumer.close().await;
    }
    for queue in Queue::ALL {
        let mut dead = broker.consume_dead(queue).await.unwrap();
        assert_quiet(&mut dead).await;
        dead.close().await;
    }
}

async fn after_the_end_every_call_refuses<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut consumer = consume(&broker).await;
    publish_all(&broker, 0..3).await;
    take(&mut consumer, 3).await;
    broker.close().await;
    let next = tokio::time::timeout(SOON, consumer.next()).await.expect("told in time");
    assert!(next.is_err(), "a job of a closed broker");
    let published = publish(&broker, 3).await;
    assert!(matches!(published, Err(PublishError::Unavailable(_))), "{published:?}");
    assert!(broker.consume(TURNS, P0).await.is_err());
    assert!(broker.depth(TURNS, P0).await.is_err());
    let mut health = broker.health();
    let down = health.wait_for(|health| *health == Health::Down);
    tokio::time::timeout(SOON, down).await.expect("down in time").unwrap();
}
