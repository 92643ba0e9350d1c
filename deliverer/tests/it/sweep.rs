//! Rows whose doorbell was lost are found.

use std::time::Duration;

use shared::clock::Clock;
use shared::registry::Endpoint;

use super::support::receiver::{Answer, Receiver};
use super::support::world::{World, endpoint};

#[tokio::test]
async fn a_row_whose_doorbell_was_lost_is_delivered_after_half_a_minute() {
    let receiver = Receiver::answering(200).await;
    let clock = Clock::manual(Clock::Real.unix_ms());
    let world = World::at(endpoint(receiver.url()), clock.clone()).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.commit(&ann, &["one", "two"]).await;
    let why = "two rounds of the sweep leave no trace where they find nothing to ring for";
    let posted = testkit::silence(Duration::from_millis(2_500), why, receiver.got(1)).await;
    posted.expect("its own doorbell might still be on the way");
    clock.advance(Duration::from_secs(31));
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "two"]);
}

#[tokio::test]
async fn a_heap_of_rows_without_doorbells_is_worked_off_faster_than_it_is_rung_for() {
    const ROWS: usize = 300;
    let receiver = Receiver::start(|_, _| Answer::Slow(Duration::from_millis(2), 200)).await;
    let clock = Clock::manual(Clock::Real.unix_ms());
    let narrow = Endpoint { permits: 2, ..endpoint(receiver.url()) };
    let world = World::at(narrow, clock.clone()).await;
    let a_minute_ago = Clock::Real.unix_ms() - 60_000;
    let keys: Vec<_> = (0..ROWS).map(|n| world.user(&format!("user-{n}"))).collect();
    for key in &keys {
        world.commit_at(key, &["one"], a_minute_ago).await;
    }
    let deliverer = world.deliverer().await;
    clock.advance(Duration::from_secs(31));
    for key in &keys {
        world.settled(key).await;
    }
    assert_eq!(receiver.posts().len(), ROWS, "each once");
    assert!(deliverer.metric("deliverer_asked_total", None) > 0);
    // The sweep rings for 32 of an endpoint a second.
    assert!(deliverer.metric("sweep_rung_total", None) < i64::try_from(ROWS).unwrap());
}
