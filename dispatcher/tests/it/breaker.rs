//! A bot that keeps failing is answered for, and tried now and then.

use std::time::Duration;

use serde_json::json;
use shared::domain::outcome::Outcome;
use shared::registry::Bot;

use super::support::bot::{Do, Scripted};
use super::support::until;
use super::support::world::{SHORT, SORRY, World, a_bot};

const FAILURES: (&str, &str) = ("dispatcher.breaker_failures", "3");

/// Longer than a turn may take, and than a dispatcher that runs is late.
const STOPPED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_bot_that_keeps_failing_is_answered_for() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Fail);
    let rules = [FAILURES, ("dispatcher.breaker_open", "1h")];
    let dispatcher = world.dispatcher_with(&bot, &rules).await;
    for n in 0..3 {
        world.ask("ann", &n.to_string()).await;
    }
    let turn = world.say("ann", "answered for").await;
    assert_eq!(world.settled(&turn).await.outcome, Outcome::BotUnavailable);
    assert_eq!(world.answer(&turn).await, json!({ "text": SORRY }));
    assert_eq!(bot.runs(), ["0", "1", "2"]);
    assert_eq!(dispatcher.metric("breakers_opened_total", None), 1);
}

#[tokio::test]
async fn a_try_that_goes_well_closes_the_breaker() {
    let world = World::new().await;
    let bot = Scripted::new(|text, _| if text == "bad" { Do::Fail } else { Do::Append });
    let rules = [FAILURES, ("dispatcher.breaker_open", "200ms")];
    let dispatcher = world.dispatcher_with(&bot, &rules).await;
    until("the breaker opens", || async {
        world.ask("ann", "bad").await;
        dispatcher.metric("breakers_opened_total", None) > 0
    })
    .await;
    until("the bot is tried", || async { world.ask("ann", "a").await != json!({ "text": SORRY }) })
        .await;
    for _ in 0..2 {
        world.ask("ann", "bad").await;
    }
    assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["a","b"]"#}), "counted anew");
}

#[tokio::test]
async fn turns_that_wait_for_a_hanging_bot_are_answered_as_soon_as_its_breaker_opens() {
    let world = World::with(Bot { permits: 2, ..a_bot() }).await;
    let bot = Scripted::always(Do::Hang);
    let open = [FAILURES, ("dispatcher.breaker_open", "60s"), SHORT];
    let _dispatcher = world.dispatcher_with(&bot, &open).await;
    let mut turns = Vec::new();
    for n in 0..40 {
        turns.push(world.say(&format!("user-{n}"), "a").await);
    }
    for turn in &turns {
        assert_eq!(world.answer(turn).await, json!({ "text": SORRY }));
    }
    assert!(bot.runs().len() <= 6, "{} runs of two at a time", bot.runs().len());
}

#[tokio::test]
async fn a_process_that_was_stopped_does_not_answer_for_bots_that_are_well_and_asks_them_again() {
    let world = World::new().await;
    let bot = Scripted::new(|text, number| match text {
        "hang" if number < 5 => Do::Hang,
        "stop" => Do::Block(STOPPED),
        _ => Do::Append,
    });
    let deadline = ("dispatcher.turn_deadline", "2s");
    let rules = [FAILURES, ("dispatcher.breaker_open", "1h"), deadline];
    let dispatcher = world.dispatcher_with(&bot, &rules).await;
    let mut hanging = Vec::new();
    for n in 0..5 {
        hanging.push(world.say(&format!("user-{n}"), "hang").await);
    }
    until("all run", || async { bot.runs().len() == 5 }).await;
    // It has two threads.
    for n in 0..2 {
        world.say(&format!("stopper-{n}"), "stop").await;
    }
    for turn in &hanging {
        assert_eq!(world.settled(turn).await.outcome, Outcome::Answered);
    }
    assert_eq!(bot.runs_of("hang"), 10);
    assert_eq!(dispatcher.metric("breakers_opened_total", None), 0);
    let turn = world.say("ann", "a").await;
    assert_eq!(world.settled(&turn).await.outcome, Outcome::Answered);
}
