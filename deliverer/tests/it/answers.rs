//! What is sent, and what a receiver's status leads to.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use shared::registry::Endpoint;

use super::support::receiver::{Answer, Post, Receiver};
use super::support::until;
use super::support::world::{SECRET, World, endpoint, waits};

#[tokio::test]
async fn a_message_is_posted_with_its_body_token_signature_and_trace() {
    let receiver = Receiver::answering(200).await;
    let world = World::new(endpoint(receiver.url())).await;
    let deliverer = world.deliverer().await;
    let ann = world.user("ann@bank.example");
    let said = world.say(&ann, &["Hello, \u{1f600} & \\n"]).await;
    let posts = receiver.got(1).await;
    let post = &posts[0];
    assert_eq!(post.target, "POST /hook?a=1 HTTP/1.1");
    assert_eq!(post.body.as_bytes(), &said.rows[0].body);
    assert!(
        post.body.ends_with(
            r#""to":"ann@bank.example","from":"st-00000000-0000-5000-8000-000000000001"}"#
        )
    );
    assert_eq!(post.headers["authorization"], "Bearer t0ken");
    assert_eq!(post.headers["content-type"], "application/json");
    assert_eq!(post.id(), format!("msg_{}_0", said.turn));
    assert_eq!(post.headers["traceparent"].len(), 55);
    assert!(!post.headers.contains_key("accept-encoding"));
    assert_signed(post);
    world.settled(&ann).await;
    until("it is counted", || async {
        deliverer.metric("deliverer_attempts_total", Some("delivered")) > 0
    })
    .await;
    assert_eq!(deliverer.metric("deliverer_unclaimed_total", None), 1, "no claim was needed");
    assert_eq!(receiver.posts().len(), 1);
}

fn assert_signed(post: &Post) {
    let key = BASE64_STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{}.{}.{}", post.id(), post.headers["webhook-timestamp"], post.body);
    let signature = post.headers["webhook-signature"].strip_prefix("v1,").unwrap();
    let signature = BASE64_STANDARD.decode(signature).unwrap();
    hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn the_token_goes_into_the_header_that_the_channel_names() {
    let receiver = Receiver::answering(204).await;
    let named = Endpoint { token_header: "X-Bank-Token".to_owned(), ..endpoint(receiver.url()) };
    let world = World::new(named).await;
    let _deliverer = world.deliverer().await;
    world.say(&world.user("ann"), &["one"]).await;
    let posts = receiver.got(1).await;
    assert_eq!(posts[0].headers["x-bank-token"], "Bearer t0ken");
    assert!(!posts[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_failure_is_tried_again_with_the_same_id_and_bytes_and_a_signature_of_its_own() {
    let receiver = Receiver::start(|_, number| match number {
        0 => Answer::Status(500),
        1 => Answer::Status(404),
        _ => Answer::Status(200),
    })
    .await;
    let slow = Endpoint { retry: waits(&[1_100, 300, 300]), ..endpoint(receiver.url()) };
    let world = World::new(slow).await;
    let deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    let posts = receiver.got(3).await;
    world.settled(&ann).await;
    for post in &posts {
        assert_signed(post);
        assert_eq!((post.id(), &post.body), (posts[0].id(), &posts[0].body));
    }
    let signature = |post: &Post| post.headers["webhook-signature"].clone();
    assert_ne!(signature(&posts[0]), signature(&posts[1]), "a second later, it is signed anew");
    assert!(posts[1].at - posts[0].at >= Duration::from_millis(1_100), "never early");
    assert!(posts[2].at - posts[1].at >= Duration::from_millis(300), "never early");
    assert_eq!(receiver.posts().len(), 3);
    until("all are counted", || async {
        deliverer.metric("deliverer_attempts_total", Some("failed")) == 2
    })
    .await;
}

#[tokio::test]
async fn a_retry_is_on_time() {
    let receiver = Receiver::answering(500).await;
    let steady = Endpoint { retry: waits(&[200; 20]), ..endpoint(receiver.url()) };
    let world = World::new(steady).await;
    let _deliverer = world.deliverer_with(&[("deliverer.breaker_failures", "100")]).await;
    world.say(&world.user("ann"), &["one"]).await;
    let posts = receiver.got(14).await;
    let mut gaps: Vec<_> = posts.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    gaps.sort();
    assert!(gaps[0] >= Duration::from_millis(200), "never early: {gaps:?}");
    // The sweep alone would be half a second late on average.
    let usual = gaps[gaps.len() / 2];
    assert!(usual < Duration::from_millis(500), "the timer is precise: {gaps:?}");
}

#[tokio::test]
async fn retry_after_is_kept_and_with_429_uses_up_no_attempt() {
    let receiver = Receiver::start(|_, number| match number {
        0..3 => Answer::With(429, "Retry-After: 1\r\n"),
        3 => Answer::With(502, "Retry-After: 1\r\n"),
        _ => Answer::Status(200),
    })
    .await;
    // One retry only: the three 429 must not count.
    let once = Endpoint { retry: waits(&[50]), ..endpoint(receiver.url()) };
    let world = World::new(once).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    let posts = receiver.got(5).await;
    for pair in posts.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_secs(1), "not before the time asked for");
    }
    world.settled(&ann).await;
    assert_eq!(world.redrive(&ann).await, 0, "nothing was parked");
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_parks_what_waits() {
    let receiver = Receiver::answering(410).await;
    let world = World::new(endpoint(receiver.url())).await;
    let deliverer = world.deliverer().await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    world.say(&ann, &["one", "two"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one"], "the second is parked behind the first");
    world.say(&bob, &["three"]).await;
    world.settled(&bob).await;
    assert_eq!(receiver.texts(), ["one"], "a disabled endpoint is not called");
    assert_eq!(world.redrive(&ann).await, 2);
    assert_eq!(world.redrive(&bob).await, 1);
    for outcome in ["gone", "disabled"] {
        until(outcome, || async {
            deliverer.metric("deliverer_settled_total", Some(outcome)) == 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Receiver::answering(200).await;
    let location: &'static str =
        Box::leak(format!("Location: {}\r\n", elsewhere.url()).into_boxed_str());
    let receiver = Receiver::start(move |_, number| match number {
        0..5 => Answer::With([301, 302, 303, 307, 308][number], location),
        _ => Answer::Status(200),
    })
    .await;
    let world = World::new(endpoint(receiver.url())).await;
    let _deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.posts().len(), 6);
    assert_eq!(elsewhere.connections(), 0);
}
