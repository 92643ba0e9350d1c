//! Delivery jobs: handed on without a confirm, otherwise jobs like any other.

use shared::broker::{Broker as _, Consumer as _};
use shared::topology::Queue;

use super::harness::{Harness, P0, ack_all, assert_quiet, body, number, take, take_numbers, turn};

conformance! {
    Setup::DEFAULT;
    doorbells_come_in_order_and_an_acknowledged_one_only_once,
    doorbells_that_were_not_acknowledged_come_again_in_order,
}

async fn doorbells_come_in_order_and_an_acknowledged_one_only_once<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut consumer = broker.consume(Queue::Deliveries, P0).await.unwrap();
    for number in 0..200 {
        broker.publish(Queue::Deliveries, P0, turn(), body(number)).await.unwrap();
    }
    let jobs = take(&mut consumer, 200).await;
    assert!(jobs.iter().map(number).eq(0..200));
    ack_all(&consumer, &jobs);
    consumer.close().await;
    let mut next = broker.consume(Queue::Deliveries, P0).await.unwrap();
    assert_quiet(&mut next).await;
}

async fn doorbells_that_were_not_acknowledged_come_again_in_order<H: Harness>(h: H) {
    let (first, second) = (h.process().await, h.process().await);
    let mut old = first.consume(Queue::Deliveries, P0).await.unwrap();
    let mut new = second.consume(Queue::Deliveries, P0).await.unwrap();
    for number in 0..20 {
        first.publish(Queue::Deliveries, P0, turn(), body(number)).await.unwrap();
    }
    let jobs = take(&mut old, 20).await;
    ack_all(&old, &jobs[..5]);
    old.close().await;
    assert!(take_numbers(&mut new, 15).await.into_iter().eq(5..20));
}
