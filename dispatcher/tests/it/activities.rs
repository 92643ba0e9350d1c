//! Bots of the Bot Framework that reply by calls of their own. What an ingress does with a call, the stand-in
//! does here: it opens the ticket and sends what was said to the address in it.

use std::time::Duration;

use serde_json::{Value, json};
use shared::broker::{Broker as _, ReplyAddress};
use shared::clock::Clock;
use shared::domain::outcome::Outcome;
use shared::domain::turn::Mode;
use shared::registry::{Activities, Peer, RepliesBy};
use shared::wire::activity::{Activity, Change, Ticket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::connectors::{fails_with, world_with};
use super::support::server::{Answer, Asked, Server};
use super::support::until;
use super::support::world::{Dispatcher, World};
use testkit::lapse;

/// What a bot does after it was told something: so long after what it did before, and in which run.
enum Call {
    Say(u64, Value),
    Update(u128, Value),
    Delete(u128),
    /// With a ticket for another run.
    Stray(Value),
}

fn message(text: &str) -> Value {
    json!({"type": "message", "text": text})
}

/// A bot that is told things, answers as `answer` says, and then calls as that says.
struct Stage {
    world: World,
    dispatcher: Dispatcher,
    server: Server,
    _calling: JoinSet<()>,
}

async fn stage(
    how: Activities,
    flags: &[(&str, &str)],
    answer: impl Fn(&Asked) -> (Answer, Vec<Call>) + Send + Sync + 'static,
) -> Stage {
    let (calls_tx, mut calls_rx) = mpsc::unbounded_channel();
    let server = Server::start(move |asked, _| {
        let (answer, calls) = answer(asked);
        calls_tx.send((asked.body["serviceUrl"].clone(), calls)).unwrap();
        answer
    })
    .await;
    let (world, dispatcher) = world_with(&server, Peer::BotFramework(how), flags).await;
    let (broker, keys) = (world.broker.clone(), world.keys.clone());
    let mut calling = JoinSet::new();
    calling.spawn(async move {
        while let Some((url, calls)) = calls_rx.recv().await {
            let text = url.as_str().unwrap().rsplit('/').nth(1).unwrap().to_owned();
            let Some(ticket) = Ticket::open(&keys, &text, Clock::Real.unix_ms()) else { continue };
            let raw = |value: &Value| serde_json::value::to_raw_value(value).unwrap();
            for (number, call) in calls.into_iter().enumerate() {
                let mut run = ticket.run;
                let id = Uuid::from_u128(number as u128);
                let (id, change) = match call {
                    Call::Say(after_ms, said) => {
                        lapse(Duration::from_millis(after_ms), "the bot takes its time").await;
                        (id, Change::Sent(raw(&said)))
                    }
                    Call::Update(id, said) => (Uuid::from_u128(id), Change::Updated(raw(&said))),
                    Call::Delete(id) => (Uuid::from_u128(id), Change::Deleted),
                    Call::Stray(said) => {
                        run ^= 1;
                        (id, Change::Sent(raw(&said)))
                    }
                };
                let call = Activity { turn: ticket.turn(), run, id, change };
                broker.reply(&ReplyAddress(ticket.to.clone()), call.seal(&keys)).await;
            }
        }
    });
    Stage { world, dispatcher, server, _calling: calling }
}

fn normal() -> Activities {
    Activities { welcome: false, replies: RepliesBy::Normal, idle_ms: 1_000 }
}

fn status(status: u16) -> Answer {
    Answer::Raw(status, Vec::new(), Vec::new())
}

fn modes(server: &Server) -> Vec<(String, String)> {
    let word = |asked: &Asked, key: &str| asked.body[key].as_str().unwrap().to_owned();
    server.asked().iter().map(|asked| (word(asked, "type"), word(asked, "deliveryMode"))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[tokio::test]
async fn what_a_bot_says_by_calls_is_gathered_in_order_until_nothing_more_comes() {
    let stage = stage(normal(), &[], |asked| match asked.body["text"].as_str() {
        // Its SDK answers before the bot has begun.
        Some("late") => (status(202), vec![Call::Say(1_500, message("at last"))]),
        Some("bye") => (
            status(200),
            vec![Call::Say(0, message("bye")), Call::Say(0, json!({"type": "endOfConversation"}))],
        ),
        Some("silence") => (status(200), vec![Call::Say(0, json!({"type": "typing"}))]),
        _ => {
            let calls = vec![
                Call::Stray(message("of another run")),
                Call::Say(0, json!({"type": "typing"})),
                Call::Say(0, message("a")),
                Call::Say(20, message("b")),
                Call::Say(20, message("c")),
                Call::Update(3, message("B")),
                Call::Delete(4),
            ];
            (status(201), calls)
        }
    })
    .await;
    let world = &stage.world;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": ["a", "B"]}));
    assert_eq!(world.ask("ann", "late").await, json!({"text": "at last"}));
    assert_eq!(world.ask("ann", "bye").await, json!({"text": "bye", "endOfTask": true}));
    assert_eq!(world.ask("ann", "silence").await, json!({"text": []}));
    assert_eq!(stage.dispatcher.metric("activities_total", Some("late")), 1);
    assert_eq!(stage.dispatcher.metric("activities_total", Some("taken")), 10);
    assert!(modes(&stage.server).iter().all(|(_, mode)| mode == "normal"));
}

#[tokio::test]
async fn a_bot_that_cannot_reply_with_its_response_is_found_out_and_hears_each_message_once() {
    let how = Activities { replies: RepliesBy::Auto, welcome: true, ..normal() };
    let stage = stage(how, &[], |asked| {
        if asked.body["deliveryMode"] == "expectReplies" {
            return (status(500), vec![]);
        }
        let said = match asked.body["text"].as_str() {
            Some(text) => vec![Call::Say(0, message(text))],
            None => vec![Call::Say(0, message("welcome"))],
        };
        (status(201), said)
    })
    .await;
    // What it says of the arrival comes before or behind what is said of the message.
    assert_eq!(stage.world.ask("ann", "hi").await, json!({"text": ["welcome", "hi"]}));
    assert_eq!(stage.world.ask("ann", "you").await, json!({"text": "you"}));
    let expected = [
        ("typing", "expectReplies"),
        ("conversationUpdate", "normal"),
        ("message", "normal"),
        ("message", "normal"),
    ];
    assert_eq!(modes(&stage.server), pairs(&expected));
}

#[tokio::test]
async fn a_bot_that_ignores_the_mode_is_found_out_as_well_and_one_that_knows_it_is_not_asked_again()
{
    let how = Activities { replies: RepliesBy::Auto, ..normal() };
    let ignores = stage(how.clone(), &[], |asked| match asked.body["text"].as_str() {
        Some(text) => (status(200), vec![Call::Say(0, message(text))]),
        None => (Answer::Json(json!({"id": "1"})), vec![]),
    })
    .await;
    assert_eq!(ignores.world.ask("ann", "hi").await, json!({"text": "hi"}));
    let expected = [("typing", "expectReplies"), ("message", "normal")];
    assert_eq!(modes(&ignores.server), pairs(&expected));

    let knows = stage(how, &[], |asked| {
        let said: Vec<_> = asked.body["text"].as_str().map(message).into_iter().collect();
        match asked.body["text"].as_str() {
            Some("oh") => (status(500), vec![]),
            _ => (Answer::Json(json!({"activities": said})), vec![]),
        }
    })
    .await;
    assert_eq!(knows.world.ask("ann", "hi").await, json!({"text": "hi"}));
    // Its own failure: it may be another bot by now, and is asked once more.
    fails_with(&knows.world, "oh", "it answered 500").await;
    assert_eq!(knows.world.ask("ann", "you").await, json!({"text": "you"}));
    let (typing, heard) = (("typing", "expectReplies"), ("message", "expectReplies"));
    assert_eq!(modes(&knows.server), pairs(&[typing, heard, heard, typing, heard]));
}

#[tokio::test]
async fn a_bot_that_only_accepts_is_waited_for_until_the_deadline_and_then_has_not_answered() {
    let flags = [("dispatcher.turn_deadline", "2s")];
    let stage = stage(normal(), &flags, |asked| match asked.body["text"].as_str() {
        Some("chatter") => {
            (status(202), (0..30).map(|n| Call::Say(100, message(&n.to_string()))).collect())
        }
        _ => (status(202), vec![Call::Say(0, json!({"type": "typing"}))]),
    })
    .await;
    let turn = stage.world.turn(Mode::Sync, "ann", "hi");
    stage.world.publish(&turn).await;
    assert_eq!(stage.world.settled(&turn).await.outcome, Outcome::BotTimedOut);
    // One that goes on and on is cut off at the deadline, and what it has said is said.
    let said = stage.world.ask("bob", "chatter").await;
    let said: Vec<_> =
        said["text"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let count = said.len();
    assert!((1..22).contains(&count), "{said:?}");
    assert_eq!(said, (0..count).map(|n| n.to_string()).collect::<Vec<_>>());
    until("the rest is counted", || async {
        stage.dispatcher.metric("activities_total", None) == 31
    })
    .await;
    assert!(stage.dispatcher.metric("activities_total", Some("late")) >= 8);
}
