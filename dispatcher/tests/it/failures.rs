//! Bots that fail, and bots that say what cannot be stored.

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::outcome::Outcome;
use shared::domain::turn::Mode;
use shared::store::Turns as _;
use shared::wire::v1::BotMessage;

use super::support::bot::{Do, Scripted};
use super::support::world::{SHORT, SORRY, World};

#[tokio::test]
async fn the_user_reads_the_error_message_and_the_conversation_goes_on_as_it_was() {
    for (bad, outcome) in [
        (Do::Fail, Outcome::BotFailed),
        (Do::Panic, Outcome::BotFailed),
        (Do::Hang, Outcome::BotTimedOut),
    ] {
        let world = World::new().await;
        let bot =
            Scripted::new(move |text, _| if text == "bad" { bad.clone() } else { Do::Append });
        let dispatcher = world.dispatcher_with(&bot, &[SHORT]).await;
        world.ask("ann", "a").await;
        let turn = world.say("ann", "bad").await;
        assert_eq!(world.answer(&turn).await, json!({ "text": SORRY }));
        assert_eq!(world.settled(&turn).await.outcome, outcome);
        assert_eq!(world.ask("ann", "b").await, json!({"text": r#"["a","b"]"#}));
        assert_eq!(dispatcher.metric("turns_total", Some(outcome.as_str())), 1);
    }
}

#[tokio::test]
async fn the_error_message_of_an_asynchronous_turn_is_delivered() {
    let world = World::new().await;
    let _dispatcher = world.dispatcher(&Scripted::always(Do::Fail)).await;
    let turn = world.turn(Mode::Async, "ann", "a");
    world.publish(&turn).await;
    world.settled(&turn).await;
    let rows = world.store.unsettled(turn.conversation().id(), turn.id).await.unwrap();
    let body: Value = serde_json::from_slice(&rows[0].body).unwrap();
    assert_eq!((rows.len(), &body["text"]), (1, &json!(SORRY)));
}

#[tokio::test]
async fn a_nul_character_is_replaced_wherever_a_bot_puts_it() {
    let world = World::new().await;
    let dirty = json!({"k\0": ["v\0"]}).as_object().cloned().unwrap();
    let bot = Scripted::new(move |text, _| match text {
        "keep" => Do::Keep(dirty.clone()),
        _ => {
            Do::Say(vec![BotMessage::Text("a\0b".into()), BotMessage::Template(json!({"t": "\0"}))])
        }
    });
    let _dispatcher = world.dispatcher(&bot).await;
    let said = world.ask("ann", "say").await;
    assert_eq!(said, json!({"text": ["a\u{FFFD}b", "{&quot;t&quot;:&quot;\u{FFFD}&quot;}"]}));
    world.ask("ann", "keep").await;
    assert_eq!(world.kept("ann").await, json!({"k\u{FFFD}": ["v\u{FFFD}"]}));
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_the_bots_failure() {
    let world = World::new().await;
    let text = |bytes: usize| BotMessage::Text("x".repeat(bytes));
    let bot = Scripted::new(move |what, _| match what {
        "large message" => Do::Say(vec![text(2_000)]),
        "many messages" => Do::Say(vec![text(1); 6]),
        "large session" => Do::Keep(json!({"x": "x".repeat(3_000)}).as_object().cloned().unwrap()),
        _ => Do::Say(vec![text(1_000); 5]),
    });
    let limits = [
        ("dispatcher.message_max", "1KiB"),
        ("dispatcher.messages_max", "5"),
        ("dispatcher.session_max", "2KiB"),
    ];
    let _dispatcher = world.dispatcher_with(&bot, &limits).await;
    for what in ["large message", "many messages", "large session"] {
        let turn = world.say("ann", what).await;
        assert_eq!(world.settled(&turn).await.outcome, Outcome::BotFailed, "{what}");
    }
    let turn = world.say("ann", "within the limits").await;
    assert_eq!(world.settled(&turn).await.outcome, Outcome::Answered);
}

#[tokio::test]
async fn a_bot_that_hangs_delays_no_other_conversation() {
    let world = World::new().await;
    let bot = Scripted::new(|text, _| if text == "hang" { Do::Hang } else { Do::Append });
    let _dispatcher = world.dispatcher_with(&bot, &[("dispatcher.turn_deadline", "20s")]).await;
    let stuck = world.say("ann", "hang").await;
    bot.began(1).await;
    for n in 0..10 {
        let user = format!("user-{n}");
        let asked = world.ask(&user, "a");
        tokio::time::timeout(Duration::from_secs(15), asked).await.unwrap();
    }
    assert_eq!(world.row(&stuck).await, None);
}
