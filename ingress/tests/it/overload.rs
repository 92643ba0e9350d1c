//! Too much: refused at once, in words, with the time to come back; what was accepted stays.

use shared::broker::Broker as _;
use shared::registry::Rate;
use shared::wire::jobs::Announcement;

use crate::support::{ASYNC_HOOK, Answer, BOT, Doing, HOOK, Setup, Worker, World, until};

#[tokio::test]
async fn a_full_queue_is_not_accepted_and_says_so() {
    let world = World::start(Setup { jobs_max: 2, ..Setup::default() }).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let mut accepted = 0;
    let refused = loop {
        let answer = world.say(ASYNC_HOOK, "ann", "hello").await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.refusal(), "Not accepted: the queue is full");
    assert_eq!(refused.header("retry-after"), "2");
    worker.now(Doing::Answers);
    until("all are worked on", || async { worker.seen().len() >= accepted }).await;
    // What is done leaves the queue a little later.
    until("it recovers", || async { world.say(ASYNC_HOOK, "ann", "hello").await.status == 200 })
        .await;
}

#[tokio::test]
async fn a_conversation_has_a_rate_and_others_do_not_feel_it() {
    let rate = Rate { per_second: 1, burst: 3 };
    let world = World::start(Setup { rate, ..Setup::default() }).await;
    let _worker = Worker::start(&world.ground, Doing::Answers).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(world.say(ASYNC_HOOK, "ann", "hello").await.status);
    }
    assert_eq!(statuses[..3], [200, 200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(world.say(ASYNC_HOOK, "bob", "hello").await.status, 200);
}

#[tokio::test]
async fn a_bot_that_dispatchers_call_saturated_is_refused_until_they_withdraw() {
    let world = World::start(Setup::default()).await;
    let _worker = Worker::start(&world.ground, Doing::Answers).await;
    let announce = async |saturated| {
        let process = world.ground.process;
        let announcement = Announcement::Saturated { process, bot: BOT.to_owned(), saturated };
        world.ground.broker.announce(announcement.seal(&world.ground.keys).unwrap()).await;
        let expected = f64::from(u8::from(saturated));
        #[expect(clippy::float_cmp, reason = "a gauge of whole numbers")]
        until("it is heard", || async {
            world.metric("switchhook_ingress_saturated_bots") == expected
        })
        .await;
    };
    announce(true).await;
    let refused = world.say(HOOK, "ann", "hello").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.refusal(), "Not accepted: the bot is saturated");
    announce(false).await;
    assert_eq!(world.say(HOOK, "ann", "hello").await.status, 200);
}

#[tokio::test]
async fn as_many_turns_wait_as_may_and_the_next_is_told_to_come_back() {
    let settings = &[("ingress.in_flight_max", "1")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let first = world.say(HOOK, "ann", "hello");
    let second = async {
        until("the first is in flight", || async {
            world.metric("switchhook_ingress_in_flight") >= 1.0
        })
        .await;
        let refused = world.say(HOOK, "bob", "hello").await;
        worker.now(Doing::Answers);
        refused
    };
    let (answered, refused) = tokio::join!(first, second);
    assert_eq!(answered.status, 200);
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.refusal(), "Not accepted: too many requests are waiting");
}

#[tokio::test]
async fn an_address_that_sends_bad_tokens_is_slowed_and_good_tokens_still_pass() {
    let settings = &[("ingress.failures_per_minute", "2")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let _worker = Worker::start(&world.ground, Doing::Answers).await;
    let bad = || async {
        let request = world.http.post(format!("{}{HOOK}", world.url)).bearer_auth("x");
        Answer::of(request).await
    };
    assert_eq!((bad().await.status, bad().await.status), (401, 401));
    let slowed = bad().await;
    assert_eq!((slowed.status, slowed.refusal().as_str()), (429, "Too Many requests"));
    assert!(!slowed.header("retry-after").is_empty());
    assert_eq!(world.say(HOOK, "ann", "hello").await.status, 200);
}

#[tokio::test]
async fn one_app_does_not_take_all_places() {
    let settings = &[("ingress.in_flight_max", "4")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let many = futures_util::future::join_all((0..3).map(|_| world.say(HOOK, "ann", "hello")));
    let others = async {
        until("three are in flight", || async {
            world.metric("switchhook_ingress_in_flight") >= 3.0
        })
        .await;
        let refused = world.say(HOOK, "ann", "hello").await;
        worker.now(Doing::Answers);
        (refused, Answer::of(world.other("bob")).await)
    };
    let (answered, (refused, other)) = tokio::join!(many, others);
    assert!(answered.iter().all(|answer| answer.status == 200));
    assert_eq!((refused.status, other.status), (503, 200));
    assert_eq!(refused.refusal(), "Not accepted: too many requests are waiting");
}

#[tokio::test]
async fn without_the_store_nobody_is_left_waiting_for_an_answer() {
    let world = World::start(Setup::default()).await;
    let _worker = Worker::start(&world.ground, Doing::Nothing).await;
    world.database.clone().close().await;
    let refused = until("it is noticed", || async {
        let answer = world.say(HOOK, "ann", "hello").await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        let why = answer.refusal();
        if why == "Not accepted: the database is away" { Ok(answer) } else { Err(why) }
    })
    .await;
    assert_eq!(refused.header("retry-after"), "2");
}

#[tokio::test]
async fn channels_are_served_from_memory_for_so_long_and_then_the_process_is_not_ready() {
    // Nobody reads the registry again here.
    let settings = &[("ingress.registry_stale_max", "2s")];
    let world = World::start(Setup { settings, ..Setup::default() }).await;
    let _worker = Worker::start(&world.ground, Doing::Answers).await;
    assert_eq!(world.say(ASYNC_HOOK, "ann", "hello").await.status, 200);
    until("it is not ready", || async { !world.ground.readiness.failing().is_empty() }).await;
    assert!(world.ground.readiness.failing()[0].starts_with("registry: "));
    let refused = world.say(ASYNC_HOOK, "ann", "hello").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.refusal(), "Not accepted: the registry is out of date");
    world.ground.registry.refresh(&world.ground.store).await.unwrap();
    assert_eq!(world.say(ASYNC_HOOK, "ann", "hello").await.status, 200);
}
