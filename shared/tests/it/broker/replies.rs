//! Replies for waiting callers, and announcements to every process.

use bytes::Bytes;
use shared::broker::{Broker, ReplyAddress};
use shared::wire::envelope::{Keys, Kind};
use tokio::sync::{broadcast, mpsc};

use super::harness::{Harness, QUIET, SOON, body};

conformance! {
    Setup::DEFAULT;
    replies_reach_the_process_that_they_are_addressed_to_in_order,
    what_bots_say_comes_to_the_same_address_and_is_taken_apart,
    a_reply_to_nobody_is_no_error,
    an_announcement_reaches_every_process,
}

fn address<B: Broker>(broker: &B) -> ReplyAddress {
    broker.reply_address().borrow().clone().expect("a connected process")
}

async fn receive(replies: &mut mpsc::Receiver<Bytes>) -> Bytes {
    tokio::time::timeout(SOON, replies.recv()).await.expect("a reply in time").expect("open")
}

async fn heard(announcements: &mut broadcast::Receiver<Bytes>) -> Bytes {
    tokio::time::timeout(SOON, announcements.recv()).await.expect("heard in time").expect("open")
}

async fn replies_reach_the_process_that_they_are_addressed_to_in_order<H: Harness>(h: H) {
    let (caller, other) = (h.process().await, h.process().await);
    let mut replies = caller.replies().expect("not taken yet");
    assert!(caller.replies().is_none(), "taken twice");
    let others = other.replies();
    let to = address(&caller);
    assert!(to.0.len() <= 255, "{to:?}");
    for number in 0..50 {
        other.reply(&to, body(number)).await;
    }
    for number in 0..50 {
        assert_eq!(receive(&mut replies).await, body(number));
    }
    caller.reply(&to, body(50)).await;
    assert_eq!(receive(&mut replies).await, body(50), "a process may answer itself");
    if let Some(mut others) = others {
        assert!(others.try_recv().is_err(), "a reply went astray");
    }
}

async fn what_bots_say_comes_to_the_same_address_and_is_taken_apart<H: Harness>(h: H) {
    let (caller, other) = (h.process().await, h.process().await);
    let mut replies = caller.replies().expect("not taken yet");
    let mut activities = caller.activities().expect("not taken yet");
    assert!(caller.activities().is_none(), "taken twice");
    let keys = Keys::new(&[vec![1; 32]]).unwrap();
    let sent = |number: u8| keys.seal(Kind::Activity, &[number]);
    for number in 0..50 {
        other.reply(&address(&caller), sent(number)).await;
        other.reply(&address(&caller), body(number.into())).await;
    }
    for number in 0..50 {
        assert_eq!(receive(&mut activities).await, sent(number));
        assert_eq!(receive(&mut replies).await, body(number.into()));
    }
}

async fn a_reply_to_nobody_is_no_error<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut replies = broker.replies().expect("not taken yet");
    let long = "x".repeat(300);
    for to in ["", "nobody", long.as_str()] {
        broker.reply(&ReplyAddress(to.into()), body(0)).await;
    }
    broker.reply(&address(&broker), body(1)).await;
    assert_eq!(receive(&mut replies).await, body(1));
    let more = tokio::time::timeout(QUIET, replies.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn an_announcement_reaches_every_process<H: Harness>(h: H) {
    let (one, two) = (h.process().await, h.process().await);
    let (mut at_one, mut at_two) = (one.announcements(), two.announcements());
    one.announce(body(1)).await;
    for announcements in [&mut at_one, &mut at_two] {
        assert_eq!(heard(announcements).await, body(1));
    }
    two.announce(body(2)).await;
    for announcements in [&mut at_one, &mut at_two] {
        assert_eq!(heard(announcements).await, body(2));
    }
}
