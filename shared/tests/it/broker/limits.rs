//! A full queue refuses, and what it refuses is not in it.

use shared::broker::{Broker as _, Consumer as _, PublishError};

use super::harness::{
    Harness, P1, SOON, TURNS, ack_all, assert_quiet, body, consume, number, publish, publish_all,
    take, turn, until,
};

conformance! {
    Setup { jobs_max: 20, ..Setup::DEFAULT };
    a_full_partition_refuses_and_the_others_go_on,
    a_full_partition_takes_jobs_again_when_there_is_room,
}

/// Publishes until refused; the numbers that were confirmed.
async fn fill<H: Harness>(broker: &H::Broker) -> Vec<u32> {
    let mut confirmed = Vec::new();
    for number in 0..500 {
        match publish(broker, number).await {
            Ok(()) => confirmed.push(number),
            Err(PublishError::Full) => return confirmed,
            Err(other) => panic!("job {number}: {other}"),
        }
    }
    panic!("500 jobs fit into a queue for 20");
}

async fn a_full_partition_refuses_and_the_others_go_on<H: Harness>(h: H) {
    let broker = h.process().await;
    let confirmed = fill::<H>(&broker).await;
    assert!(confirmed.len() >= 20, "refused at {}", confirmed.len());
    for number in 900..910 {
        broker.publish(TURNS, P1, turn(), body(number)).await.unwrap();
    }
    // Nothing that was refused comes, and all that was confirmed does.
    let mut consumer = consume(&broker).await;
    let jobs = take(&mut consumer, confirmed.len()).await;
    assert!(jobs.iter().map(number).eq(confirmed));
    assert_quiet(&mut consumer).await;
}

async fn a_full_partition_takes_jobs_again_when_there_is_room<H: Harness>(h: H) {
    let broker = h.process().await;
    let confirmed = fill::<H>(&broker).await;
    let mut consumer = consume(&broker).await;
    let jobs = take(&mut consumer, confirmed.len()).await;
    ack_all(&consumer, &jobs);
    until("room in the queue", || async { publish(&broker, 1_000).await.is_ok() }).await;
    // The queue was empty: 10 fit at once.
    publish_all(&broker, 1_001..1_010).await;
    let next = tokio::time::timeout(SOON, consumer.next()).await.unwrap().unwrap();
    assert_eq!(number(&next), 1_000);
}
