//! Receivers that mean no good, and addresses that are not called.

use std::time::Duration;

use shared::registry::Endpoint;
use tokio::time::Instant;

use super::support::receiver::{Answer, Receiver};
use super::support::until;
use super::support::world::{World, endpoint};

/// The first POST meets `answer`, the later ones 200; the endpoint's deadline is a second.
async fn recovers_after(answer: Answer) -> (Vec<super::support::receiver::Post>, World) {
    let receiver = Receiver::start(
        move |_, number| {
            if number == 0 { answer.clone() } else { Answer::Status(200) }
        },
    )
    .await;
    let hasty = Endpoint { deadline: Duration::from_secs(1), ..endpoint(receiver.url()) };
    let world = World::new(hasty).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one", "two"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "one", "two"], "tried again, and in order");
    let posts = receiver.posts();
    assert_eq!(posts[0].id(), posts[1].id());
    (posts, world)
}

#[tokio::test]
async fn a_receiver_that_never_answers_costs_one_deadline() {
    let (posts, _) = recovers_after(Answer::Hang).await;
    assert!(posts[1].at - posts[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_body_that_drips_without_end_costs_one_deadline() {
    let (posts, _) = recovers_after(Answer::Drip).await;
    assert!(posts[1].at - posts[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_a_failure() {
    recovers_after(Answer::Close).await;
}

#[tokio::test]
async fn what_is_no_http_is_a_failure() {
    recovers_after(Answer::Garbage).await;
}

#[tokio::test]
async fn a_slow_answer_within_the_deadline_is_an_answer() {
    let receiver = Receiver::start(|_, _| Answer::Slow(Duration::from_millis(500), 200)).await;
    let world = World::new(endpoint(receiver.url())).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test]
async fn of_a_huge_answer_only_the_head_is_read() {
    let receiver = Receiver::start(|_, _| Answer::Huge(1_000_000_000)).await;
    let world = World::new(endpoint(receiver.url())).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    let begun = Instant::now();
    world.say(&ann, &["one", "two"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "two"], "200 is 200");
    assert!(begun.elapsed() < Duration::from_secs(15), "not by the deadline");
}

#[tokio::test]
async fn a_receiver_without_the_tls_that_its_url_promises_fails() {
    let receiver = Receiver::answering(200).await;
    let mut url = receiver.url();
    url.set_scheme("https").unwrap();
    let world = World::new(endpoint(url)).await;
    let deliverer = world.deliverer().await;
    world.say(&world.user("ann"), &["one"]).await;
    until("it has failed twice", || async {
        deliverer.metric("deliverer_attempts_total", Some("failed")) >= 2
    })
    .await;
    assert_eq!(receiver.posts().len(), 0);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_called_and_that_uses_up_no_attempt() {
    let receiver = Receiver::answering(200).await;
    let world = World::new(endpoint(receiver.url())).await;
    let ann = world.user("ann");
    let strict = world.deliverer_with(&[("egress.allow", "")]).await;
    world.say(&ann, &["one"]).await;
    until("the guard has refused", || async {
        strict.metric("deliverer_attempts_total", Some("ours")) >= 1
    })
    .await;
    let lowest = world.lowest(&ann).await.unwrap();
    assert_eq!((lowest.delivery.failures, lowest.delivery.deferrals), (0, 0));
    assert!(lowest.due_in > Duration::from_secs(5), "it is tried again, not at once");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn our_own_listeners_are_not_called_whatever_is_allowed() {
    let receiver = Receiver::answering(200).await;
    let world = World::new(endpoint(receiver.url())).await;
    let own = receiver.addr.to_string();
    let deliverer = world.deliverer_with(&[("ingress.listen", &own)]).await;
    world.say(&world.user("ann"), &["one"]).await;
    until("the guard has refused", || async {
        deliverer.metric("deliverer_attempts_total", Some("ours")) >= 1
    })
    .await;
    assert_eq!(receiver.connections(), 0);
}
