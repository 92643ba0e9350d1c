//! What is given up, and what an operator puts back.

use shared::registry::Endpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::support::receiver::{Answer, Receiver};
use super::support::until;
use super::support::world::{World, endpoint, waits};

#[tokio::test]
async fn after_the_last_attempt_a_delivery_is_parked_with_those_behind_it_and_can_be_put_back() {
    let well = Arc::new(AtomicBool::new(false));
    let heals = Arc::clone(&well);
    let receiver = Receiver::start(move |_, _| {
        Answer::Status(if heals.load(Ordering::SeqCst) { 200 } else { 500 })
    })
    .await;
    let brief = Endpoint { retry: waits(&[50, 100]), ..endpoint(receiver.url()) };
    let world = World::new(brief).await;
    let deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one", "two"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "one", "one"], "three attempts, and the second never");
    until("it is counted, and for its channel", || async {
        ["deliverer_settled_total", "channel_deliveries_total"]
            .map(|name| deliverer.metric(name, Some("exhausted")))
            == [1, 1]
    })
    .await;
    assert_eq!(deliverer.metric("channel_attempts_total", Some("failed")), 2);
    well.store(true, Ordering::SeqCst);
    world.say(&ann, &["three"]).await;
    world.settled(&ann).await;
    assert_eq!(world.redrive(&ann).await, 2);
    world.settled(&ann).await;
    let posts = receiver.posts();
    assert_eq!(receiver.texts()[3..], ["three", "one", "two"]);
    let redriven = |number: usize| posts[number].headers.get("switchhook-redriven").cloned();
    assert_eq!(redriven(3), None);
    assert_eq!(redriven(4).as_deref(), Some("1"));
    assert_eq!(posts[4].id(), posts[0].id(), "the same id as before");
}
