//! A broker that is killed, frozen or short of memory. These tests have a node of their own and take
//! turns on it.

use std::time::Duration;

use shared::broker::{Broker as _, Consumer as _, Health, PublishError, rabbitmq};
use testkit::rabbitmq::Node;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::broker::engine_rabbitmq::{RabbitMq, ready};
use crate::broker::harness::{
    Harness as _, LIMIT, SOON, Setup, ack_all, assert_quiet, body, consume, number, publish,
    publish_all, take, take_numbers, until,
};

/// A refusal, whatever the cause, comes within this time.
const REFUSED: Duration = Duration::from_secs(5);

/// The node for rough tests, one at a time.
pub(super) async fn rough() -> (&'static Node, MutexGuard<'static, ()>) {
    static ROUGH: OnceCell<Node> = OnceCell::const_new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    (ROUGH.get_or_try_init(Node::start).await.unwrap(), turn)
}

async fn publish_timed(engine: &rabbitmq::RabbitMq, number: u32) -> Result<(), PublishError> {
    let asked = Instant::now();
    let published = publish(engine, number).await;
    let waited = asked.elapsed();
    assert!(waited < REFUSED, "{published:?} after {waited:?}");
    published
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_confirmed_survives_a_kill_of_the_broker() {
    let (node, _turn) = rough().await;
    let survived = async {
        let h = RabbitMq::on(node, Setup::DEFAULT);
        let engine = h.process().await;
        let mut confirmed = Vec::new();
        let mut first = 0;
        for round in 0..3u32 {
            // The kill hits right behind a confirm, with more publishes on their way.
            let mut running = JoinSet::new();
            for number in first..first + 200 {
                let engine = engine.clone();
                running.spawn(async move { (number, publish(&engine, number).await) });
            }
            let enough = confirmed.len() + 20 + 30 * round as usize;
            while confirmed.len() < enough {
                let (number, published) = running.join_next().await.unwrap().unwrap();
                published.unwrap();
                confirmed.push(number);
            }
            node.kill9().await;
            while let Some(ended) = running.join_next().await {
                let (number, published) = ended.unwrap();
                if published.is_ok() {
                    confirmed.push(number);
                }
            }
            node.restart().await.unwrap();
            timeout(LIMIT, ready(&engine)).await.unwrap();
            first += 200;
        }
        publish(&engine, first).await.unwrap();
        confirmed.push(first);
        let mut consumer = consume(&engine).await;
        let mut found = Vec::new();
        while found.last() != Some(&first) {
            found.extend(take_numbers(&mut consumer, 1).await);
        }
        confirmed.retain(|number| !found.contains(number));
        assert!(confirmed.is_empty(), "confirmed and lost: {confirmed:?}");
        engine.close().await;
    };
    timeout(LIMIT, survived).await.expect("ended in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_works_again_after_a_restart_of_the_broker() {
    let (node, _turn) = rough().await;
    let works = async {
        let h = RabbitMq::on(node, Setup::DEFAULT);
        let engine = h.process().await;
        let mut replies = engine.replies().unwrap();
        let mut announcements = engine.announcements();
        let old_address = engine.reply_address().borrow().clone().unwrap();
        let mut old = consume(&engine).await;
        publish_all(&engine, 0..10).await;
        let jobs = take(&mut old, 10).await;
        node.stop().await.unwrap();
        let lost = timeout(SOON, old.next()).await.expect("told in time");
        assert!(lost.is_err());
        let published = publish_timed(&engine, 10).await;
        assert!(matches!(published, Err(PublishError::Unavailable(_))), "{published:?}");
        assert!(shared::broker::Acker::ack(&old.acker(), jobs[0].tag).is_err());
        node.restart().await.unwrap();
        timeout(LIMIT, ready(&engine)).await.unwrap();
        publish_all(&engine, 11..15).await;
        let mut new = consume(&engine).await;
        let expected: Vec<_> = (0..10).chain(11..15).collect();
        assert_eq!(take_numbers(&mut new, 14).await, expected);
        let address = engine.reply_address().borrow().clone().unwrap();
        assert_ne!(address, old_address, "a new connection has a new address");
        engine.reply(&old_address, body(1)).await;
        engine.reply(&address, body(2)).await;
        assert_eq!(timeout(SOON, replies.recv()).await.unwrap().unwrap(), body(2));
        engine.announce(body(3)).await;
        assert_eq!(timeout(SOON, announcements.recv()).await.unwrap().unwrap(), body(3));
        engine.close().await;
    };
    timeout(LIMIT, works).await.expect("ended in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_short_of_memory_refuses_in_time_while_acks_go_on() {
    let (node, _turn) = rough().await;
    let refused = async {
        let h = RabbitMq::on(node, Setup::DEFAULT);
        let engine = h.process().await;
        let mut consumer = consume(&engine).await;
        publish_all(&engine, 0..10).await;
        let jobs = take(&mut consumer, 10).await;
        node.alarm(true).await.unwrap();
        let mut health = engine.health();
        let blocked = health.wait_for(|health| *health == Health::Blocked);
        timeout(SOON, blocked).await.expect("noticed in time").unwrap();
        let asked = Instant::now();
        let published = publish(&engine, 10).await;
        assert_eq!(published, Err(PublishError::Unavailable("blocked")));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        // Acks reach the broker, and so does a hand-over.
        ack_all(&consumer, &jobs[..7]);
        until("the acks arrive", || async { h.held(&engine).await == 3 }).await;
        consumer.close().await;
        let mut next = consume(&engine).await;
        assert_eq!(take_numbers(&mut next, 3).await, [7, 8, 9]);
        node.alarm(false).await.unwrap();
        let up = health.wait_for(|health| *health == Health::Up);
        timeout(SOON, up).await.expect("noticed in time").unwrap();
        publish_all(&engine, 11..13).await;
        assert_eq!(take_numbers(&mut next, 2).await, [11, 12]);
        assert_quiet(&mut next).await;
        engine.close().await;
    };
    let ended = timeout(LIMIT, refused).await;
    node.alarm(false).await.unwrap();
    ended.expect("ended in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishes_to_a_frozen_broker_are_refused_in_time_and_may_still_arrive() {
    let (node, _turn) = rough().await;
    let thawed = async {
        let h = RabbitMq::on(node, Setup::DEFAULT);
        let engine = h.process().await;
        publish_all(&engine, 0..5).await;
        node.freeze(true).unwrap();
        let mut running = JoinSet::new();
        for number in 5..30 {
            let engine = engine.clone();
            running.spawn(async move { publish_timed(&engine, number).await });
        }
        while let Some(ended) = running.join_next().await {
            assert_eq!(ended.unwrap(), Err(PublishError::Unknown));
        }
        for number in 30..33 {
            let published = publish_timed(&engine, number).await;
            assert!(matches!(published, Err(PublishError::Unavailable(_))), "{published:?}");
        }
        node.freeze(false).unwrap();
        timeout(LIMIT, ready(&engine)).await.unwrap();
        publish_all(&engine, 33..40).await;
        let mut consumer = consume(&engine).await;
        let mut found = Vec::new();
        while found.last() != Some(&39) {
            found.extend(take(&mut consumer, 1).await.iter().map(number));
        }
        let accepted: Vec<_> =
            found.iter().copied().filter(|number| !(5..30).contains(number)).collect();
        assert_eq!(accepted, (0..5).chain(33..40).collect::<Vec<_>>(), "{found:?}");
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len(), "one came twice: {found:?}");
        engine.close().await;
    };
    let ended = timeout(LIMIT, thawed).await;
    node.freeze(false).unwrap();
    ended.expect("ended in time");
}
