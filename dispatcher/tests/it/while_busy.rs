//! Messages that come faster than answers, by the policy of their channel.

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::ids::ChannelId;
use shared::domain::outcome::Outcome;
use shared::domain::turn::{Mode, Turn};
use shared::registry::WhileBusy;

use super::support::bot::{Do, Scripted};
use super::support::world::{SORRY, World, an_endpoint};

/// Long for what is sent at once, on a busy machine too, and short for a test. Where it can be so, messages are
/// sent before there is a dispatcher: they arrive in its lane at one moment.
const WINDOW: Duration = Duration::from_secs(3);

async fn channel(world: &World, while_busy: WhileBusy) -> ChannelId {
    world.channel_with(|channel| channel.while_busy = while_busy).await
}

/// A plain text: the usual turn of these tests has an attachment.
fn plain(world: &World, channel: &ChannelId, text: &str) -> Turn {
    let payload = json!({"message": {"text": text}, "from": {"id": "ann"}}).to_string();
    Turn { channel: channel.clone(), payload, ..world.turn(Mode::Sync, "ann", text) }
}

async fn say(world: &World, channel: &ChannelId, text: &str) -> Turn {
    let turn = plain(world, channel, text);
    world.publish(&turn).await;
    turn
}

/// What each of them was told and what its row says, in words.
async fn told(world: &World, turns: &[&Turn]) -> Vec<(Value, &'static str)> {
    let mut all = Vec::new();
    for turn in turns {
        let answer = world.answer(turn).await;
        let settled = world.settled(turn).await;
        let stored: Value = serde_json::from_slice(&settled.reply).unwrap();
        assert_eq!(stored, answer, "what is told is what is stored");
        let outcome = settled.outcome.as_str();
        if settled.outcome.is_aside() {
            assert_eq!(answer["outcome"], outcome);
        }
        all.push((answer["text"].clone(), outcome));
    }
    all
}

/// The first run takes its time, the others append at once.
fn slow_at_first() -> Scripted {
    Scripted::new(
        |_, number| {
            if number == 0 { Do::Slow(Duration::from_secs(5)) } else { Do::Append }
        },
    )
}

#[tokio::test]
async fn of_those_that_wait_only_the_newest_is_answered_and_each_caller_is_told() {
    let world = World::new().await;
    let latest = channel(&world, WhileBusy::Latest).await;
    let bot = slow_at_first();
    let _dispatcher = world.dispatcher(&bot).await;
    let a = say(&world, &latest, "a").await;
    bot.began(1).await;
    let b = Turn { new_session: true, ..plain(&world, &latest, "b") };
    world.publish(&b).await;
    let (c, d) = (say(&world, &latest, "c").await, say(&world, &latest, "d").await);
    let expected = [
        (json!(r#"["a"]"#), "answered"),
        (json!([]), "superseded"),
        (json!([]), "superseded"),
        // The session that the message asked for which was not run has begun.
        (json!(r#"["d"]"#), "answered"),
    ];
    assert_eq!(told(&world, &[&a, &b, &c, &d]).await, expected);
    assert_eq!(bot.runs(), ["a", "d"]);
    // A repeat gets the stored answer, and makes nobody step aside.
    world.idle().await;
    world.publish(&b).await;
    assert_eq!(world.answers(&b, 2).await[0], world.answers(&b, 2).await[1]);
    assert_eq!(bot.runs(), ["a", "d"]);
}

#[tokio::test]
async fn those_that_come_while_one_is_answered_are_refused_in_words_and_the_next_is_not() {
    let world = World::new().await;
    let own = json!({"rejected": "Wait, please."});
    let own = serde_json::from_value(own).unwrap();
    let reject = world
        .channel_with(|channel| {
            channel.while_busy = WhileBusy::Reject;
            channel.overrides = own;
        })
        .await;
    let bot = slow_at_first();
    let dispatcher = world.dispatcher(&bot).await;
    let a = say(&world, &reject, "a").await;
    bot.began(1).await;
    let (b, c) = (say(&world, &reject, "b").await, say(&world, &reject, "c").await);
    let wait = json!("Wait, please.");
    let expected =
        [(json!(r#"["a"]"#), "answered"), (wait.clone(), "rejected"), (wait, "rejected")];
    assert_eq!(told(&world, &[&a, &b, &c]).await, expected);
    let d = say(&world, &reject, "d").await;
    assert_eq!(told(&world, &[&d]).await, [(json!(r#"["a","d"]"#), "answered")]);
    assert_eq!(bot.runs(), ["a", "d"]);
    assert_eq!(dispatcher.metric("turns_total", Some("rejected")), 2);
}

#[tokio::test]
async fn messages_that_follow_at_once_are_answered_as_one_in_their_order() {
    let world = World::new().await;
    let merge = channel(&world, WhileBusy::Merge(WINDOW)).await;
    let bot = Scripted::always(Do::Append);
    let (a, b) = (say(&world, &merge, "a").await, say(&world, &merge, "b").await);
    let c = say(&world, &merge, "c").await;
    let _dispatcher = world.dispatcher(&bot).await;
    let expected =
        [(json!([]), "merged"), (json!([]), "merged"), (json!(r#"["a\nb\nc"]"#), "answered")];
    assert_eq!(told(&world, &[&a, &b, &c]).await, expected);
    assert_eq!(bot.runs(), ["a\nb\nc"]);
    assert_eq!(world.store.detail(c.id), "answers 2 messages before it, too");
    let d = say(&world, &merge, "d").await;
    assert_eq!(told(&world, &[&d]).await, [(json!(r#"["a\nb\nc","d"]"#), "answered")]);
}

#[tokio::test]
async fn messages_of_two_doors_whose_clocks_differ_are_merged_in_the_order_of_the_queue() {
    let world = World::new().await;
    let merge = channel(&world, WhileBusy::Merge(WINDOW)).await;
    let bot = Scripted::always(Do::Append);
    // Its id says that it is the older one.
    let second = plain(&world, &merge, "second");
    testkit::another_millisecond().await;
    let first = plain(&world, &merge, "first");
    assert!(second.id < first.id);
    world.publish(&first).await;
    world.publish(&second).await;
    let _dispatcher = world.dispatcher(&bot).await;
    let expected = [(json!([]), "merged"), (json!(r#"["first\nsecond"]"#), "answered")];
    assert_eq!(told(&world, &[&first, &second]).await, expected);
}

#[tokio::test]
async fn a_merge_that_a_kill_cuts_in_two_is_run_once_and_loses_no_text() {
    let world = World::new().await;
    let window = Duration::from_secs(8);
    let merge = channel(&world, WhileBusy::Merge(window)).await;
    let bot = Scripted::always(Do::Append);
    let (a, b) = (say(&world, &merge, "a").await, say(&world, &merge, "b").await);
    let dispatcher = world.dispatcher(&bot).await;
    // It is committed that the one waits for the other, which waits for its window's end.
    assert_eq!(world.settled(&a).await.outcome, Outcome::Merged);
    dispatcher.kill().await;
    assert_eq!(bot.runs(), Vec::<String>::new());
    let _next = world.dispatcher(&bot).await;
    assert_eq!(world.settled(&b).await.outcome, Outcome::Answered);
    assert_eq!(told(&world, &[&b]).await, [(json!(r#"["a\nb"]"#), "answered")]);
    world.publish(&a).await;
    let repeated: Value = serde_json::from_slice(&world.answers(&a, 1).await[0]).unwrap();
    assert_eq!(repeated, json!({"text": [], "outcome": "merged"}));
    world.idle().await;
    assert_eq!(bot.runs(), ["a\nb"]);
}

#[tokio::test]
async fn no_turn_steps_aside_for_one_that_will_not_run() {
    let world = World::new().await;
    for while_busy in [WhileBusy::Merge(WINDOW), WhileBusy::Latest] {
        let one = channel(&world, while_busy).await;
        let bot = Scripted::always(Do::Append);
        // Made first, and sent when a later one is answered already and is sent once more.
        let early = plain(&world, &one, "early");
        let dispatcher = world.dispatcher(&bot).await;
        let late = say(&world, &one, "late").await;
        world.answer(&late).await;
        dispatcher.stop().await;
        world.publish(&early).await;
        world.publish(&late).await;
        let _next = world.dispatcher(&bot).await;
        let expected = [(json!(r#"["late","early"]"#), "answered")];
        assert_eq!(told(&world, &[&early]).await, expected, "{while_busy}");
        // The repeat may have run, as any may, and has the stored answer.
        let answers = world.answers(&late, 2).await;
        assert_eq!(answers[0], answers[1]);
        assert_eq!(bot.runs()[..2], ["late", "early"]);
    }
}

#[tokio::test]
async fn what_is_more_than_its_text_and_what_begins_anew_is_not_merged_away() {
    let world = World::new().await;
    let merge = channel(&world, WhileBusy::Merge(WINDOW)).await;
    let bot = Scripted::always(Do::Append);
    let a = say(&world, &merge, "a").await;
    let picture = Turn { channel: merge.clone(), ..world.turn(Mode::Sync, "ann", "picture") };
    world.publish(&picture).await;
    let c = say(&world, &merge, "c").await;
    let anew = Turn { new_session: true, ..plain(&world, &merge, "anew") };
    world.publish(&anew).await;
    let _dispatcher = world.dispatcher(&bot).await;
    let expected = [
        (json!([]), "merged"),
        (json!(r#"["a\npicture"]"#), "answered"),
        (json!(r#"["a\npicture","c"]"#), "answered"),
        (json!(r#"["anew"]"#), "answered"),
    ];
    assert_eq!(told(&world, &[&a, &picture, &c, &anew]).await, expected);
}

#[tokio::test]
async fn a_run_that_fails_takes_what_was_merged_with_it() {
    let world = World::new().await;
    let merge = channel(&world, WhileBusy::Merge(WINDOW)).await;
    let bot = Scripted::new(|text, _| if text.contains('b') { Do::Fail } else { Do::Append });
    let (a, b) = (say(&world, &merge, "a").await, say(&world, &merge, "b").await);
    let _dispatcher = world.dispatcher(&bot).await;
    let expected = [(json!([]), "merged"), (json!(SORRY), "bot_failed")];
    assert_eq!(told(&world, &[&a, &b]).await, expected);
    let c = say(&world, &merge, "c").await;
    assert_eq!(told(&world, &[&c]).await, [(json!(r#"["c"]"#), "answered")]);
    assert_eq!(bot.runs(), ["a\nb", "c"]);
}

#[tokio::test]
async fn an_asynchronous_channel_posts_the_answer_once_and_says_that_a_message_is_refused() {
    let world = World::new().await;
    let with = |while_busy| {
        move |channel: &mut shared::registry::Channel| {
            channel.endpoint = Some(an_endpoint());
            channel.while_busy = while_busy;
        }
    };
    let merge = world.channel_with(with(WhileBusy::Merge(WINDOW))).await;
    let reject = world.channel_with(with(WhileBusy::Reject)).await;
    let bot = slow_at_first();
    let _dispatcher = world.dispatcher(&bot).await;
    let send = async |channel: &ChannelId, text: &str| {
        let turn = Turn { mode: Mode::Async, ..plain(&world, channel, text) };
        world.publish(&turn).await;
        turn
    };
    let body = async |turn: &Turn| {
        let bell = world.bell(&turn.conversation()).await;
        let body: Value = serde_json::from_slice(&bell.fresh.unwrap().delivery.body).unwrap();
        body["text"].clone()
    };
    let (one, two) = (send(&reject, "one").await, send(&reject, "two").await);
    assert_eq!(world.settled(&one).await.outcome, Outcome::Answered);
    let refused: Value = serde_json::from_slice(&world.settled(&two).await.reply).unwrap();
    assert_eq!(refused["text"], dispatcher::domain::step::BUSY);
    assert_eq!(body(&one).await, r#"["one"]"#);
    let (a, b) = (send(&merge, "a").await, send(&merge, "b").await);
    assert_eq!(world.settled(&a).await.outcome, Outcome::Merged);
    assert_eq!(world.settled(&b).await.outcome, Outcome::Answered);
    assert_eq!(body(&b).await, r#"["a\nb"]"#);
    assert_eq!(world.bells(&b.conversation()).await, 0, "there is nothing else to post");
}
