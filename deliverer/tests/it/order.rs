//! Messages of a conversation arrive in their order, whatever happens to their doorbells.

use std::collections::HashMap;
use std::time::Duration;

use shared::clock::Clock;
use shared::registry::Endpoint;
use shared::wire::envelope::Keys;
use shared::wire::jobs::DeliveryJob;

use super::support::receiver::{Answer, Post, Receiver};
use super::support::until;
use super::support::world::{World, endpoint, waits};
use testkit::pair::{Embedded, Pair};

/// The texts of successful POSTs, by user; a text that comes again at once is a permitted duplicate.
fn delivered(posts: &[Post], failed: impl Fn(usize) -> bool) -> HashMap<String, Vec<String>> {
    let mut by_user: HashMap<String, Vec<String>> = HashMap::new();
    for (number, post) in posts.iter().enumerate() {
        let (_, rest) = post.body.split_once(r#""to":""#).unwrap();
        let user = rest.split_once('"').unwrap().0.to_owned();
        if !failed(number) {
            by_user.entry(user).or_default().push(post.text());
        }
    }
    by_user
}

#[tokio::test]
async fn a_retry_in_the_middle_holds_back_what_follows() {
    let receiver = Receiver::start(|post, number| {
        let fails = post.text() == "two" && number < 6;
        Answer::Status(if fails { 503 } else { 200 })
    })
    .await;
    let world = World::new(endpoint(receiver.url())).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one", "two", "three"]).await;
    world.say(&ann, &["four"]).await;
    world.settled(&ann).await;
    let mut texts = receiver.texts();
    texts.dedup();
    assert_eq!(texts, ["one", "two", "three", "four"]);
    assert_eq!(receiver.posts().len(), 9);
}

#[tokio::test]
async fn thirty_conversations_with_failures_in_between_keep_their_order() {
    conversations_keep_their_order(Embedded::start(Clock::Real).await.unwrap()).await;
}

pub(super) async fn conversations_keep_their_order<P: Pair>(pair: P) {
    const USERS: usize = 30;
    const TURNS: usize = 5;
    let fails = |number: usize| number % 7 == 3;
    let receiver =
        Receiver::start(move |_, number| Answer::Status(if fails(number) { 500 } else { 200 }))
            .await;
    let world = World::on(pair, endpoint(receiver.url())).await;
    let _one = world.deliverer_with(&[("deliverer.breaker_failures", "1000")]).await;
    let _two = world.deliverer_with(&[("deliverer.breaker_failures", "1000")]).await;
    for turn in 0..TURNS {
        for user in 0..USERS {
            let key = world.user(&format!("user-{user}"));
            let texts = [format!("{turn}a"), format!("{turn}b")];
            world.say(&key, &[&texts[0], &texts[1]]).await;
        }
    }
    for user in 0..USERS {
        world.settled(&world.user(&format!("user-{user}"))).await;
    }
    let expected: Vec<_> =
        (0..TURNS).flat_map(|turn| [format!("{turn}a"), format!("{turn}b")]).collect();
    let by_user = delivered(&receiver.posts(), fails);
    assert_eq!(by_user.len(), USERS);
    for (user, mut texts) in by_user {
        texts.dedup();
        assert_eq!(texts, expected, "{user}");
    }
}

#[tokio::test]
async fn doorbells_that_are_doubled_swapped_or_lost_change_nothing() {
    let receiver = Receiver::answering(200).await;
    let world = World::new(endpoint(receiver.url())).await;
    let ann = world.user("ann");
    let mut turns = Vec::new();
    for texts in [["1", "2"], ["3", "4"], ["5", "6"]] {
        turns.push(world.commit(&ann, &texts).await);
    }
    let _deliverer = world.deliverer().await;
    // The second turn's bells are lost, the third's come first, the first's twice.
    world.ring(&turns[2]).await;
    world.ring(&turns[0]).await;
    world.ring(&turns[0]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_bell_for_what_is_delivered_rings_for_nothing() {
    let receiver = Receiver::answering(200).await;
    let world = World::new(endpoint(receiver.url())).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    let said = world.say(&ann, &["one"]).await;
    world.settled(&ann).await;
    for _ in 0..5 {
        world.ring(&said).await;
    }
    world.say(&ann, &["two"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "two"]);
}

#[tokio::test]
async fn a_job_that_is_none_stops_nobody() {
    let receiver = Receiver::answering(200).await;
    let world = World::new(endpoint(receiver.url())).await;
    let deliverer = world.deliverer().await;
    let ann = world.user("ann");
    let said = world.commit(&ann, &["one"]).await;
    world.publish(&ann, said.turn, "no envelope at all".into()).await;
    let forged = DeliveryJob {
        place: said.rows[0].place,
        channel: world.channel.to_string(),
        fresh: None,
        traceparent: None,
    };
    let stranger = Keys::new(&[vec![9; 32]]).unwrap();
    world.publish(&ann, said.turn, forged.seal(&stranger).unwrap()).await;
    world.ring(&said).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one"]);
    until("they are counted", || async { deliverer.metric("deliverer_strays_total", None) == 2 })
        .await;
}

#[tokio::test]
async fn a_waiting_retry_is_not_made_early_by_new_messages() {
    let receiver =
        Receiver::start(|_, number| Answer::Status(if number == 0 { 500 } else { 200 })).await;
    let patient = Endpoint { retry: waits(&[1_500]), ..endpoint(receiver.url()) };
    let world = World::new(patient).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    receiver.got(1).await;
    for text in ["two", "three"] {
        testkit::lapse(Duration::from_millis(300), "messages come while the retry waits").await;
        world.say(&ann, &[text]).await;
    }
    world.settled(&ann).await;
    let posts = receiver.posts();
    assert!(posts[1].at - posts[0].at >= Duration::from_millis(1_500));
    assert_eq!(receiver.texts(), ["one", "one", "two", "three"]);
}
