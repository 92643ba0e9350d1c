//! Commits that fail in every way: no verdict without knowledge, no run too many.

use serde_json::json;
use shared::domain::outcome::Outcome;

use super::support::bot::{Do, Scripted};
use super::support::faulty::Fault;
use super::support::until;
use super::support::world::{SORRY, World};

async fn world() -> (World, Scripted) {
    (World::new().await, Scripted::always(Do::Append))
}

#[tokio::test]
async fn a_commit_that_was_not_written_is_made_again_without_another_run() {
    let (world, bot) = world().await;
    world.store.commits(|_, n| if n < 3 { Fault::UnknownNotWritten } else { Fault::None });
    let dispatcher = world.dispatcher(&bot).await;
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a"]"#}));
    assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["a","b"]"#}));
    assert_eq!(bot.runs(), ["a", "b"]);
    assert_eq!(dispatcher.metric("commits_total", Some("unknown")), 3);
}

#[tokio::test]
async fn a_commit_that_was_written_unseen_is_found_in_the_inbox() {
    let (world, bot) = world().await;
    world.store.commits(|_, n| if n == 0 { Fault::UnknownWritten } else { Fault::None });
    let dispatcher = world.dispatcher(&bot).await;
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a"]"#}));
    assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["a","b"]"#}));
    assert_eq!(bot.runs(), ["a", "b"]);
    assert_eq!(dispatcher.metric("duplicates_total", None), 1);
}

#[tokio::test]
async fn a_conversation_that_moved_costs_one_more_run() {
    let (world, bot) = world().await;
    world.store.commits(|_, n| if n == 0 { Fault::Moved } else { Fault::None });
    let dispatcher = world.dispatcher(&bot).await;
    // The other process has committed the same session, so the text is there twice.
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a","a"]"#}));
    assert_eq!(bot.runs(), ["a", "a"]);
    assert_eq!(dispatcher.metric("commits_total", Some("missed")), 1);
}

#[tokio::test]
async fn a_conversation_that_moves_again_hands_the_partition_over_and_the_turn_comes_again() {
    let (world, bot) = world().await;
    world.store.commits(|_, n| if n < 2 { Fault::Moved } else { Fault::None });
    let dispatcher = world.dispatcher(&bot).await;
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a","a","a"]"#}));
    assert_eq!(bot.runs().len(), 3);
    assert_eq!(dispatcher.metric("marks_total", None), 1, "it came again as redelivered");
}

#[tokio::test]
async fn a_result_that_the_database_refuses_becomes_an_error_reply_and_hurts_nobody_else() {
    let (world, bot) = world().await;
    world.store.commits(|commit, _| {
        let refused = commit.record.reply.windows(3).any(|part| part == b"bad");
        if refused { Fault::Refused } else { Fault::None }
    });
    let _dispatcher = world.dispatcher(&bot).await;
    world.ask("ann", "a").await;
    let turn = world.say("ann", "bad").await;
    assert_eq!(world.answer(&turn).await, json!({ "text": SORRY }));
    assert_eq!(world.settled(&turn).await.outcome, Outcome::ResultRefused);
    assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["a","b"]"#}));
    assert_eq!(bot.runs(), ["a", "bad", "b"]);
}

#[tokio::test]
async fn a_turn_whose_error_reply_is_refused_too_is_parked() {
    let (world, bot) = world().await;
    world.store.commits(|commit, _| match commit.record.outcome {
        Outcome::Parked => Fault::None,
        _ => Fault::Refused,
    });
    let dispatcher = world.dispatcher(&bot).await;
    let turn = world.say("ann", "a").await;
    let error = json!({ "text": shared::registry::Bot::ERROR_MESSAGE });
    assert_eq!(world.answer(&turn).await, error);
    assert_eq!(world.settled(&turn).await.outcome, Outcome::Parked);
    world.store.commits(|_, _| Fault::None);
    assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["b"]"#}));
    assert_eq!(dispatcher.metric("turns_total", Some("parked")), 1);
}

#[tokio::test]
async fn a_turn_of_which_the_database_takes_nothing_is_kept_as_a_stray() {
    let (world, bot) = world().await;
    world.store.commits(|_, _| Fault::Refused);
    let dispatcher = world.dispatcher(&bot).await;
    let turn = world.say("ann", "a").await;
    let error = json!({ "text": shared::registry::Bot::ERROR_MESSAGE });
    assert_eq!(world.answer(&turn).await, error);
    world.idle().await;
    assert_eq!(world.store.strays().len(), 1);
    assert_eq!(dispatcher.metric("strays_total", None), 1);
    world.store.commits(|_, _| Fault::None);
    assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["b"]"#}));
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for_and_costs_nothing() {
    let (world, bot) = world().await;
    let _dispatcher = world.dispatcher(&bot).await;
    world.ask("ann", "a").await;
    world.store.away(true);
    let ann = world.say("ann", "b").await;
    let bob = world.say("bob", "c").await;
    until("both have met it", || async { world.store.calls_away() >= 6 }).await;
    assert_eq!((world.row(&ann).await, world.row(&bob).await), (None, None));
    world.store.away(false);
    assert_eq!(world.answer(&ann).await, json!({"text": r#"["a","b"]"#}));
    assert_eq!(world.answer(&bob).await, json!({"text": r#"["c"]"#}));
    assert_eq!(bot.runs().len(), 3, "the result was committed again, not made again");
}
