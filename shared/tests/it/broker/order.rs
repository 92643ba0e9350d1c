//! Order within a partition, and who is given its jobs.

use shared::broker::{Acker as _, Broker as _, Consumer as _, Stale};
use tokio::task::JoinSet;

use super::harness::{
    Harness, P1, SOON, TURNS, ack_all, assert_quiet, body, consume, number, publish, publish_all,
    take, take_numbers, turn, until,
};

conformance! {
    Setup::DEFAULT;
    jobs_come_in_the_order_in_which_they_were_published,
    partitions_do_not_mix,
    only_one_consumer_is_given_jobs_at_a_time,
    a_handed_over_partition_goes_on_with_what_was_not_acknowledged,
    a_dropped_consumer_gives_back_in_order,
    a_killed_process_gives_back_in_order,
    what_was_confirmed_right_before_a_kill_comes_afterwards,
    jobs_that_come_again_are_marked,
    an_ack_of_an_ended_consumer_is_refused_and_settles_nothing,
    acks_in_any_order_settle_every_job,
}

async fn jobs_come_in_the_order_in_which_they_were_published<H: Harness>(h: H) {
    let broker = h.process().await;
    publish_all(&broker, 0..100).await;
    let mut consumer = consume(&broker).await;
    publish_all(&broker, 100..200).await;
    let jobs = take(&mut consumer, 200).await;
    assert!(jobs.iter().map(number).eq(0..200));
    ack_all(&consumer, &jobs);
    consumer.close().await;
    let mut next = consume(&broker).await;
    assert_quiet(&mut next).await;
}

async fn partitions_do_not_mix<H: Harness>(h: H) {
    let broker = h.process().await;
    broker.publish(TURNS, P1, turn(), body(1)).await.unwrap();
    publish(&broker, 0).await.unwrap();
    let mut zero = consume(&broker).await;
    let mut one = broker.consume(TURNS, P1).await.unwrap();
    assert_eq!(take_numbers(&mut zero, 1).await, [0]);
    assert_eq!(take_numbers(&mut one, 1).await, [1]);
}

async fn only_one_consumer_is_given_jobs_at_a_time<H: Harness>(h: H) {
    let (first, second) = (h.process().await, h.process().await);
    let mut active = consume(&first).await;
    let mut waiting = consume(&second).await;
    publish_all(&first, 0..20).await;
    // Which of the two is active is the broker's choice; a better rank may win over an earlier one.
    let active_first = tokio::select! {
        job = active.next() => { job.unwrap(); true }
        job = waiting.next() => { job.unwrap(); false }
    };
    let (mut busy, mut idle) = if active_first { (active, waiting) } else { (waiting, active) };
    assert_eq!(take_numbers(&mut busy, 19).await, (1..20).collect::<Vec<_>>());
    publish_all(&second, 20..25).await;
    assert_eq!(take_numbers(&mut busy, 5).await, [20, 21, 22, 23, 24]);
    assert_quiet(&mut idle).await;
    busy.close().await;
    assert_eq!(take_numbers(&mut idle, 25).await, (0..25).collect::<Vec<_>>());
}

async fn a_handed_over_partition_goes_on_with_what_was_not_acknowledged<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut old = consume(&broker).await;
    publish_all(&broker, 0..50).await;
    let jobs = take(&mut old, 50).await;
    ack_all(&old, &jobs[..30]);
    // Also one that is ahead of the others.
    ack_all(&old, &jobs[40..41]);
    old.close().await;
    publish_all(&broker, 50..60).await;
    let mut new = consume(&broker).await;
    let expected: Vec<_> = (30..40).chain(41..60).collect();
    assert_eq!(take_numbers(&mut new, expected.len()).await, expected);
    assert_quiet(&mut new).await;
}

async fn a_dropped_consumer_gives_back_in_order<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut old = consume(&broker).await;
    let mut new = consume(&broker).await;
    publish_all(&broker, 0..40).await;
    take(&mut old, 10).await;
    drop(old);
    assert_eq!(take_numbers(&mut new, 40).await, (0..40).collect::<Vec<_>>());
}

async fn a_killed_process_gives_back_in_order<H: Harness>(h: H) {
    let doomed = h.process().await;
    let mut old = consume(&doomed).await;
    publish_all(&doomed, 0..40).await;
    let jobs = take(&mut old, 40).await;
    ack_all(&old, &jobs[..10]);
    h.kill(&doomed).await;
    let lost = tokio::time::timeout(SOON, old.next()).await.expect("told in time");
    assert!(lost.is_err(), "the old consumer goes on");
    let survivor = h.process().await;
    let mut new = consume(&survivor).await;
    // The acks may have been lost with the process.
    let first = take_numbers(&mut new, 1).await[0];
    assert!(first <= 10, "{first} came first");
    assert!(take_numbers(&mut new, 39 - first as usize).await.into_iter().eq(first + 1..40));
    assert_quiet(&mut new).await;
}

async fn what_was_confirmed_right_before_a_kill_comes_afterwards<H: Harness>(h: H) {
    let doomed = h.process().await;
    let mut running = JoinSet::new();
    for number in 0..200 {
        let broker = doomed.clone();
        running.spawn(async move { publish(&broker, number).await.map(|()| number) });
    }
    let mut confirmed = Vec::new();
    while confirmed.len() < 50 {
        confirmed.push(running.join_next().await.expect("200 run").unwrap().unwrap());
    }
    h.kill(&doomed).await;
    // What is refused or unknown now may be there or not.
    while running.join_next().await.is_some() {}
    let survivor = h.process().await;
    publish(&survivor, 200).await.unwrap();
    let mut consumer = consume(&survivor).await;
    let mut found = Vec::new();
    while found.last() != Some(&200) {
        found.extend(take_numbers(&mut consumer, 1).await);
    }
    confirmed.retain(|number| !found.contains(number));
    assert!(confirmed.is_empty(), "confirmed and lost: {confirmed:?}");
}

async fn jobs_that_come_again_are_marked<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut old = consume(&broker).await;
    publish_all(&broker, 0..3).await;
    assert!(take(&mut old, 3).await.iter().all(|job| !job.redelivered), "marked at first");
    old.close().await;
    let mut new = consume(&broker).await;
    assert!(take(&mut new, 3).await.iter().all(|job| job.redelivered), "not marked");
}

async fn an_ack_of_an_ended_consumer_is_refused_and_settles_nothing<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut old = consume(&broker).await;
    publish_all(&broker, 0..5).await;
    let jobs = take(&mut old, 5).await;
    let stale = old.acker();
    old.close().await;
    let mut new = consume(&broker).await;
    take(&mut new, 5).await;
    for job in &jobs {
        assert_eq!(stale.ack(job.tag), Err(Stale));
    }
    new.close().await;
    let mut last = consume(&broker).await;
    assert_eq!(take_numbers(&mut last, 5).await, [0, 1, 2, 3, 4]);
}

async fn acks_in_any_order_settle_every_job<H: Harness>(h: H) {
    let broker = h.process().await;
    let mut consumer = consume(&broker).await;
    publish_all(&broker, 0..300).await;
    let jobs = take(&mut consumer, 300).await;
    // 7 and 300 have no common divisor: every job once, never in order.
    for at in 0..300 {
        ack_all(&consumer, &jobs[at * 7 % 300..][..1]);
        if at % 50 == 0 {
            let some = std::time::Duration::from_millis(60);
            testkit::lapse(some, "acks that come together are sent together: here several times")
                .await;
        }
    }
    // An ack said twice is harmless.
    ack_all(&consumer, &jobs[10..20]);
    until("all are settled", || async { h.held(&broker).await == 0 }).await;
    publish(&broker, 300).await.unwrap();
    assert_eq!(take_numbers(&mut consumer, 1).await, [300]);
    consumer.close().await;
    let mut next = consume(&broker).await;
    assert_eq!(take_numbers(&mut next, 1).await, [300]);
    assert_quiet(&mut next).await;
}
