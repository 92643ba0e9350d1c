//! Rows whose doorbell was lost are found.

use std::time::Duration;

use shared::clock::Clock;

use super::support::receiver::Receiver;
use super::support::world::{World, endpoint};

#[tokio::test]
async fn a_row_whose_doorbell_was_lost_is_delivered_after_half_a_minute() {
    let receiver = Receiver::answering(200).await;
    let clock = Clock::manual(Clock::Real.unix_ms());
    let world = World::at(endpoint(receiver.url()), clock).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.commit(&ann, &["one", "two"]).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(receiver.posts().len(), 0, "its own doorbell might still be on the way");
    world.clock.advance(Duration::from_secs(31));
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "two"]);
}
