//! Deliverers that die or go.

use std::time::Duration;

use shared::clock::Clock;
use shared::lifecycle::Drained;
use shared::registry::Endpoint;
use tokio::time::Instant;

use super::support::receiver::{Answer, Receiver};
use super::support::world::{World, endpoint, waits};
use testkit::pair::{Embedded, Pair};

#[tokio::test]
async fn a_post_whose_deliverer_died_is_made_again_with_the_same_id_before_what_follows() {
    a_post_is_made_again(Embedded::start(Clock::Real).await.unwrap()).await;
}

#[tokio::test]
async fn a_retry_of_an_idle_partition_whose_owner_died_is_on_time() {
    a_retry_is_on_time(Embedded::start(Clock::Real).await.unwrap()).await;
}

#[tokio::test]
async fn a_deliverer_that_stops_ends_what_it_has_begun_and_leaves_the_rest_to_the_next() {
    // The database's clock stands still: the sweep finds nothing, bells are all there is.
    a_stop_leaves_the_rest(Embedded::start(Clock::manual(Clock::Real.unix_ms())).await.unwrap())
        .await;
}

pub(super) async fn a_post_is_made_again<P: Pair>(pair: P) {
    let receiver =
        Receiver::start(|_, number| if number == 0 { Answer::Hang } else { Answer::Status(200) })
            .await;
    let world = World::on(pair, endpoint(receiver.url())).await;
    let first = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one", "two"]).await;
    receiver.got(1).await;
    first.kill();
    let _second = world.deliverer().await;
    world.settled(&ann).await;
    let posts = receiver.posts();
    assert_eq!(receiver.texts(), ["one", "one", "two"]);
    assert_eq!((posts[0].id(), &posts[0].body), (posts[1].id(), &posts[1].body));
}

#[tokio::test]
async fn a_claimed_retry_whose_deliverer_died_waits_for_the_end_of_the_claim() {
    let receiver = Receiver::start(|_, number| match number {
        0 => Answer::Status(500),
        1 => Answer::Hang,
        _ => Answer::Status(200),
    })
    .await;
    let hasty = Endpoint { deadline: Duration::from_secs(1), ..endpoint(receiver.url()) };
    let world = World::new(hasty).await;
    let first = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    receiver.got(2).await;
    first.kill();
    let _second = world.deliverer().await;
    world.settled(&ann).await;
    let posts = receiver.posts();
    assert_eq!(receiver.texts(), ["one", "one", "one"]);
    let lease = Duration::from_secs(6);
    assert!(posts[2].at - posts[1].at >= lease.mul_f64(0.95), "two are never at it at once");
}

pub(super) async fn a_retry_is_on_time<P: Pair>(pair: P) {
    let receiver =
        Receiver::start(|_, number| Answer::Status(if number == 0 { 503 } else { 200 })).await;
    let wait = Duration::from_secs(10);
    let patient = Endpoint { retry: waits(&[10_000]), ..endpoint(receiver.url()) };
    let world = World::on(pair, patient).await;
    let first = world.deliverer().await;
    let second = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    let failed_at = receiver.got(1).await[0].at;
    let owns = |deliverer: &super::support::world::Deliverer| {
        deliverer.metric("deliverer_attempts_total", Some("failed")) > 0
    };
    super::support::until("the outcome is written", || async { owns(&first) || owns(&second) })
        .await;
    let (owner, other) = if owns(&first) { (first, second) } else { (second, first) };
    owner.kill();
    let posts = receiver.got(2).await;
    let after = posts[1].at - failed_at;
    assert!(after >= wait, "never early: {after:?}");
    assert!(after <= wait + Duration::from_secs(2), "on time: {after:?}");
    world.settled(&ann).await;
    drop(other);
}

pub(super) async fn a_stop_leaves_the_rest<P: Pair>(pair: P) {
    let receiver = Receiver::start(|_, _| Answer::Slow(Duration::from_millis(300), 200)).await;
    let narrow = Endpoint { permits: 2, ..endpoint(receiver.url()) };
    let world = World::on(pair, narrow).await;
    let first = world.deliverer().await;
    let keys: Vec<_> = (0..12).map(|n| world.user(&format!("user-{n}"))).collect();
    for key in &keys {
        world.say(key, &["one", "two"]).await;
    }
    receiver.got(2).await;
    let stopping = Instant::now();
    let second = world.deliverer().await;
    assert_eq!(first.stop().await, Drained::InTime);
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
    for key in &keys {
        world.settled(key).await;
    }
    assert_eq!(receiver.posts().len(), 2 * keys.len(), "each once");
    drop(second);
}
