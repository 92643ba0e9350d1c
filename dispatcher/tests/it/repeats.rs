//! Turns that come again.

use serde_json::json;
use shared::domain::turn::Mode;

use super::support::bot::{Do, Scripted};
use super::support::world::World;

#[tokio::test]
async fn a_repeat_gets_the_stored_answer_and_runs_nothing() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let dispatcher = world.dispatcher(&bot).await;
    let first = world.say("ann", "a").await;
    let second = world.say("ann", "b").await;
    world.publish(&first).await;
    world.publish(&second).await;
    let answers = world.answers(&first, 2).await;
    assert_eq!(answers, [r#"{"text":"[\"a\"]"}"#; 2]);
    let answers = world.answers(&second, 2).await;
    assert_eq!(answers, [r#"{"text":"[\"a\",\"b\"]"}"#; 2]);
    world.idle().await;
    assert_eq!(bot.runs(), ["a", "b"]);
    assert_eq!(dispatcher.metric("duplicates_total", None), 2);
    assert_eq!(world.ask("ann", "c").await, json!({"text": r#"["a","b","c"]"#}));
}

#[tokio::test]
async fn a_repeat_that_nobody_remembers_is_found_in_the_inbox() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let dispatcher = world.dispatcher(&bot).await;
    let turn = world.say("ann", "a").await;
    world.answer(&turn).await;
    world.idle().await;
    dispatcher.kill().await;
    let _next = world.dispatcher(&bot).await;
    world.publish(&turn).await;
    let answers = world.answers(&turn, 2).await;
    assert_eq!(answers[0], answers[1]);
    assert_eq!(bot.runs(), ["a"]);
}

#[tokio::test]
async fn a_repeat_of_an_asynchronous_turn_rings_for_what_is_not_delivered() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let _dispatcher = world.dispatcher(&bot).await;
    let turn = world.turn(Mode::Async, "ann", "a");
    world.publish(&turn).await;
    world.settled(&turn).await;
    let first = world.bell(&turn.conversation()).await;
    world.publish(&turn).await;
    let again = world.bell(&turn.conversation()).await;
    assert_eq!(again.place, first.place);
    assert_eq!(bot.runs(), ["a"]);
}
