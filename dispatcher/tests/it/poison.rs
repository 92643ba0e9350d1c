//! Turns over which processes die, and turns that only look like it.

use std::time::Duration;

use serde_json::json;
use shared::clock::Clock;
use shared::domain::outcome::Outcome;
use shared::lifecycle::Drained;

use super::support::bot::{Do, Scripted};
use super::support::world::{World, a_bot};
use testkit::pair::{Embedded, Pair};

/// Hangs for ever on "poison", which stands for a process that dies over it.
fn bot() -> Scripted {
    Scripted::new(|text, _| if text == "poison" { Do::Hang } else { Do::Append })
}

const PATIENT: [(&str, &str); 1] = [("dispatcher.turn_deadline", "60s")];

#[tokio::test]
async fn a_turn_that_ends_processes_runs_alone_and_is_then_parked_and_the_next_goes_on() {
    poison_is_parked(Embedded::start(Clock::Real).await.unwrap()).await;
}

pub(super) async fn poison_is_parked(pair: impl Pair) {
    let world = World::on(pair, a_bot()).await;
    let bot = bot();
    let poison = world.say("ann", "poison").await;
    let next = world.say("ann", "next").await;
    // A first run leaves no mark, the second one does, and two more run alone.
    for death in 1..=4 {
        let dispatcher = world.dispatcher_with(&bot, &PATIENT).await;
        bot.began(death).await;
        assert_eq!(dispatcher.metric("solo_runs_total", None), i64::from(death > 2));
        dispatcher.kill().await;
    }
    let _survivor = world.dispatcher_with(&bot, &PATIENT).await;
    let error = json!({ "text": shared::registry::Bot::ERROR_MESSAGE });
    assert_eq!(world.answer(&poison).await, error);
    assert_eq!(world.settled(&poison).await.outcome, Outcome::Parked);
    assert_eq!(world.answer(&next).await, json!({"text": r#"["next"]"#}));
    assert_eq!(bot.runs_of("poison"), 4);
}

#[tokio::test]
async fn a_good_turn_survives_any_number_of_rolling_restarts() {
    restarts_are_survived(Embedded::start(Clock::Real).await.unwrap()).await;
}

pub(super) async fn restarts_are_survived(pair: impl Pair) {
    let world = World::on(pair, a_bot()).await;
    let bot = Scripted::new(|_, run| if run < 5 { Do::Hang } else { Do::Append });
    let turn = world.say("ann", "a").await;
    for run in 1..=5 {
        let dispatcher = world.dispatcher_with(&bot, &PATIENT).await;
        bot.began(run).await;
        assert_eq!(dispatcher.metric("solo_runs_total", None), 0, "run {run}");
        assert_eq!(dispatcher.stop().await, Drained::InTime);
    }
    let _last = world.dispatcher_with(&bot, &PATIENT).await;
    assert_eq!(world.answer(&turn).await, json!({"text": r#"["a"]"#}));
    assert_eq!(world.settled(&turn).await.outcome, Outcome::Answered);
}

#[tokio::test]
async fn a_solo_run_has_the_process_to_itself() {
    let world = World::new().await;
    let bot = Scripted::new(|text, run| match (text, run) {
        ("poison", run) if run < 2 => Do::Hang,
        _ => Do::Slow(Duration::from_millis(50)),
    });
    let poison = world.say("ann", "poison").await;
    for death in 1..=2 {
        let dispatcher = world.dispatcher_with(&bot, &PATIENT).await;
        bot.began(death).await;
        dispatcher.kill().await;
    }
    let mut others = Vec::new();
    for n in 0..30 {
        others.push(world.say(&format!("user-{n}"), "good").await);
    }
    let dispatcher = world.dispatcher_with(&bot, &PATIENT).await;
    assert_eq!(world.answer(&poison).await, json!({"text": r#"["poison"]"#}));
    for other in &others {
        world.answer(other).await;
    }
    assert_eq!(dispatcher.metric("solo_runs_total", None), 1);
    let (runs, beside) = (bot.runs(), bot.beside());
    let solo = runs.iter().rposition(|text| text == "poison").unwrap();
    assert_eq!(beside[solo], 1, "nobody ran when it began");
    let after = beside.get(solo + 1);
    assert!(after.is_none_or(|count| *count == 1), "and nobody began while it ran: {beside:?}");
}

#[tokio::test]
async fn few_redelivered_turns_run_at_a_time() {
    let world = World::new().await;
    let hanging = Scripted::always(Do::Hang);
    for n in 0..30 {
        world.say(&format!("user-{n}"), "a").await;
    }
    let dispatcher = world.dispatcher_with(&hanging, &PATIENT).await;
    hanging.began(30).await;
    dispatcher.kill().await;
    let bot = Scripted::always(Do::Slow(Duration::from_millis(30)));
    let dispatcher = world.dispatcher_with(&bot, &PATIENT).await;
    world.idle().await;
    assert_eq!(bot.runs().len(), 30);
    assert!(bot.beside().iter().all(|count| *count <= 8), "{:?}", bot.beside());
    assert_eq!(dispatcher.metric("marks_total", None), 30);
}
