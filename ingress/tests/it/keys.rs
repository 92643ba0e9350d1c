//! `Idempotency-Key`: one turn, one answer, however often it is said.

use crate::support::{ASYNC_HOOK, Answer, Doing, HOOK, Setup, Worker, World, said, until};

async fn say(world: &World, path: &str, key: &str, text: &str) -> Answer {
    Answer::of(world.post(path, &said("ann", text)).header("idempotency-key", key)).await
}

#[tokio::test]
async fn a_repeat_is_the_same_turn_and_gets_the_same_answer() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let first = say(&world, HOOK, "k-1", "hello").await;
    let again = say(&world, HOOK, "k-1", "hello").await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert_eq!(first.header("switchhook-turn-id"), again.header("switchhook-turn-id"));
    assert_eq!(worker.seen().len(), 1, "what is known is not asked for again");
    let other = say(&world, HOOK, "k-2", "hello").await;
    assert_ne!(first.header("switchhook-turn-id"), other.header("switchhook-turn-id"));
}

#[tokio::test]
async fn a_repeat_of_what_still_runs_hands_the_same_turn_over_again() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let first = say(&world, ASYNC_HOOK, "k", "hello").await;
    let again = say(&world, ASYNC_HOOK, "k", "hello").await;
    assert_eq!((first.status, again.status), (200, 200));
    worker.now(Doing::Answers);
    until("both are worked on", || async { worker.seen().len() >= 2 }).await;
    let seen = worker.seen();
    assert_eq!(seen[0].turn, seen[1].turn, "the inbox makes it harmless");
    assert_eq!(again.header("switchhook-turn-id"), seen[0].turn.id.to_string());
}

#[tokio::test]
async fn a_repeat_does_not_say_that_nothing_was_accepted() {
    let world = World::start(Setup { jobs_max: 1, ..Setup::default() }).await;
    let _worker = Worker::start(&world.ground, Doing::Nothing).await;
    let first = say(&world, ASYNC_HOOK, "k", "hello").await;
    assert_eq!(first.status, 200);
    while world.say(ASYNC_HOOK, "ann", "hello").await.status == 200 {}
    let again = say(&world, ASYNC_HOOK, "k", "hello").await;
    assert_eq!(again.status, 503);
    assert_eq!(again.refusal(), "Unknown: the message may have been accepted");
    assert_eq!(again.header("switchhook-turn-id"), first.header("switchhook-turn-id"));
}

#[tokio::test]
async fn another_body_with_the_key_is_refused_and_nothing_is_published() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    assert_eq!(say(&world, HOOK, "k", "hello").await.status, 200);
    let refused = say(&world, HOOK, "k", "something else").await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.refusal(), "The Idempotency-Key was used with another body");
    // The same key on another channel is another key.
    assert_eq!(say(&world, ASYNC_HOOK, "k", "something else").await.status, 200);
    let synchronous = worker.seen().iter().filter(|job| job.reply_to.is_some()).count();
    assert_eq!(synchronous, 1);
}

#[tokio::test]
async fn repeats_that_come_at_once_all_get_the_one_answer() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let all =
        futures_util::future::join_all((0..20).map(|_| say(&world, HOOK, "k", "hello"))).await;
    let ids: std::collections::BTreeSet<_> =
        all.iter().map(|answer| answer.header("switchhook-turn-id").to_owned()).collect();
    assert_eq!(ids.len(), 1);
    for answer in &all {
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"text":"you said hello"}"#));
    }
    let turns: std::collections::BTreeSet<_> =
        worker.seen().iter().map(|job| job.turn.id).collect();
    assert_eq!(turns.len(), 1);
}
