//! Conversations: order, state, and what a bot sees of them.

use std::time::Duration;

use serde_json::json;
use shared::clock::Clock;
use shared::domain::outcome::Outcome;
use shared::domain::turn::Mode;
use shared::lifecycle::Drained;
use shared::registry::Bot;

use super::support::bot::{Do, Scripted};
use super::support::world::{World, a_bot};
use testkit::pair::{Embedded, Pair};

#[tokio::test]
async fn an_echo_bot_answers_whoever_waits_and_the_answer_is_stored() {
    let world = World::new().await;
    let dispatcher = world.dispatcher_of_registry(&[]).await;
    let turn = world.say("ann", "hello").await;
    assert_eq!(world.answer(&turn).await, json!({"text": "hello"}));
    let row = world.settled(&turn).await;
    assert_eq!(row.outcome, Outcome::Answered);
    assert_eq!(row.reply, r#"{"text":"hello"}"#);
    world.idle().await;
    assert_eq!(dispatcher.metric("turns_total", Some("answered")), 1);
    assert_eq!(dispatcher.stop().await, Drained::InTime);
}

#[tokio::test]
async fn turns_of_each_conversation_take_effect_once_and_in_order() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let _dispatcher = world.dispatcher(&bot).await;
    let users: Vec<_> = (0..20).map(|n| format!("user-{n}")).collect();
    let mut last = Vec::new();
    for n in 0..20 {
        last.clear();
        for user in &users {
            last.push(world.say(user, &n.to_string()).await);
        }
    }
    let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    for (user, turn) in users.iter().zip(&last) {
        world.answer(turn).await;
        assert_eq!(world.kept(user).await, json!({ "list": expected }));
    }
    assert_eq!(bot.runs().len(), 400);
}

#[tokio::test]
async fn order_and_state_hold_while_dispatchers_come_and_go() {
    order_and_state_hold(Embedded::start(Clock::Real).await.unwrap()).await;
}

pub(super) async fn order_and_state_hold(pair: impl Pair) {
    let world = World::on(pair, a_bot()).await;
    let bot = Scripted::always(Do::Slow(Duration::from_millis(3)));
    let users: Vec<_> = (0..6).map(|n| format!("user-{n}")).collect();
    let mut turns = Vec::new();
    let mut dispatcher = world.dispatcher(&bot).await;
    for round in 0..4 {
        for n in 0..25 {
            for user in &users {
                turns.push(world.say(user, &(round * 25 + n).to_string()).await);
            }
        }
        if round % 2 == 0 {
            dispatcher.kill().await;
        } else {
            assert_eq!(dispatcher.stop().await, Drained::InTime);
        }
        dispatcher = world.dispatcher(&bot).await;
    }
    for turn in &turns {
        assert_eq!(world.settled(turn).await.outcome, Outcome::Answered);
    }
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    for user in &users {
        assert_eq!(world.kept(user).await, json!({ "list": expected }), "{user}");
    }
}

#[tokio::test]
async fn a_session_ends_when_the_client_asks_for_a_new_one_or_after_its_time_out() {
    let short = Bot { session_timeout: Duration::from_millis(400), ..a_bot() };
    let world = World::with(short).await;
    let bot = Scripted::always(Do::Append);
    let dispatcher = world.dispatcher(&bot).await;
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a"]"#}));
    let mut anew = world.turn(Mode::Sync, "ann", "b");
    anew.new_session = true;
    world.publish(&anew).await;
    assert_eq!(world.answer(&anew).await, json!({"text": r#"["b"]"#}));
    testkit::lapse(Duration::from_millis(500), "it ends in the lane's memory").await;
    assert_eq!(world.ask("ann", "c").await, json!({"text": r#"["c"]"#}));
    testkit::lapse(Duration::from_millis(1_500), "it ends by the store's clock, with no lane")
        .await;
    assert_eq!(world.ask("ann", "d").await, json!({"text": r#"["d"]"#}));
    drop(dispatcher);
}

#[tokio::test]
async fn a_hand_over_lets_a_running_turn_finish_and_tell() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Slow(Duration::from_millis(700)));
    let dispatcher = world.dispatcher(&bot).await;
    let turn = world.say("ann", "a").await;
    bot.began(1).await;
    assert_eq!(dispatcher.stop().await, Drained::InTime);
    assert_eq!(world.answers(&turn, 1).await.len(), 1);
    let _next = world.dispatcher(&bot).await;
    world.idle().await;
    assert_eq!(bot.runs(), ["a"]);
}

/// Perhaps it failed because its process ended, and the next one can ask it.
#[tokio::test]
async fn a_bot_that_fails_while_its_process_stops_is_asked_again_by_the_next() {
    let world = World::new().await;
    let fails = Scripted::always(Do::FailLate(Duration::from_millis(700)));
    let dispatcher = world.dispatcher(&fails).await;
    let turn = world.say("ann", "a").await;
    fails.began(1).await;
    assert_eq!(dispatcher.stop().await, Drained::InTime);
    assert!(world.row(&turn).await.is_none(), "nobody has answered");
    let works = Scripted::always(Do::Append);
    let _next = world.dispatcher(&works).await;
    assert_eq!(world.answer(&turn).await, json!({"text": r#"["a"]"#}));
}
