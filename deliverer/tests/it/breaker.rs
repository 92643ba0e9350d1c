//! An endpoint that fails again and again is left alone for a while, and comes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::registry::Endpoint;

use super::support::receiver::{Answer, Receiver};
use super::support::until;
use super::support::world::{World, endpoint, waits};

#[tokio::test]
async fn a_breaker_opens_tries_and_closes_and_everything_arrives() {
    let well = Arc::new(AtomicBool::new(false));
    let heals = Arc::clone(&well);
    let receiver = Receiver::start(move |_, _| {
        Answer::Status(if heals.load(Ordering::SeqCst) { 200 } else { 500 })
    })
    .await;
    let eager = Endpoint { retry: waits(&[100; 200]), ..endpoint(receiver.url()) };
    let world = World::new(eager).await;
    let flags = [("deliverer.breaker_failures", "5"), ("deliverer.breaker_open", "1s")];
    let deliverer = world.deliverer_with(&flags).await;
    let keys: Vec<_> = (0..20).map(|n| world.user(&format!("user-{n}"))).collect();
    for key in &keys {
        world.say(key, &["one", "two"]).await;
    }
    until("the breaker is open", || async {
        deliverer.metric("deliverer_breakers_open", None) == 1
    })
    .await;
    until("those that were under way when it opened have ended", || async {
        deliverer.metric("deliverer_in_flight", None) == 0
    })
    .await;
    let before = receiver.posts().len();
    testkit::lapse(Duration::from_millis(2_200), "how long tries are counted").await;
    let tried = receiver.posts().len() - before;
    assert!((1..=4).contains(&tried), "one a second, not {tried}");
    well.store(true, Ordering::SeqCst);
    for key in &keys {
        world.settled(key).await;
    }
    until("it is closed", || async { deliverer.metric("deliverer_breakers_open", None) == 0 })
        .await;
    for key in &keys {
        let mut texts: Vec<_> = receiver
            .posts()
            .iter()
            .filter(|post| post.body.contains(&format!(r#""{}""#, key.user)))
            .map(super::support::receiver::Post::text)
            .collect();
        texts.dedup();
        assert_eq!(texts, ["one", "two"], "{}", key.user);
    }
}
