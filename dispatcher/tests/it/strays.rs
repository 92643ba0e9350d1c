//! Jobs that are none, and turns that nobody can work on.

use bytes::Bytes;
use serde_json::json;
use shared::domain::outcome::Outcome;
use shared::wire::envelope::Keys;
use shared::wire::jobs::TurnJob;

use super::support::bot::{Do, Scripted};
use super::support::world::World;

#[tokio::test]
async fn a_job_that_cannot_be_decoded_is_kept_and_what_follows_goes_on() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let dispatcher = world.dispatcher(&bot).await;
    let turn = world.turn(shared::domain::turn::Mode::Sync, "ann", "forged");
    let job = TurnJob { turn: turn.clone(), reply_to: None, traceparent: None };
    let forged = job.seal(&Keys::new(&[vec![9; 32]]).unwrap()).unwrap();
    let key = turn.conversation();
    world.publish_raw(&key, turn.id, Bytes::from_static(b"garbage")).await;
    world.publish_raw(&key, turn.id, forged.clone()).await;
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a"]"#}));
    world.idle().await;
    let mut kept: Vec<_> = world.store.strays().into_iter().map(|(body, _)| body).collect();
    kept.sort();
    let mut expected = vec![Bytes::from_static(b"garbage"), forged];
    expected.sort();
    assert_eq!(kept, expected);
    assert_eq!(bot.runs(), ["a"]);
    assert_eq!(dispatcher.metric("strays_total", None), 2);
}

#[tokio::test]
async fn a_turn_of_an_unknown_bot_is_parked_with_an_error_reply() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let _dispatcher = world.dispatcher(&bot).await;
    let mut turn = world.turn(shared::domain::turn::Mode::Sync, "ann", "a");
    turn.bot = "st-00000000-0000-5000-8000-00000000dead".into();
    world.publish(&turn).await;
    let error = json!({ "text": shared::registry::Bot::ERROR_MESSAGE });
    assert_eq!(world.answer(&turn).await, error);
    assert_eq!(world.settled(&turn).await.outcome, Outcome::Parked);
    assert_eq!(bot.runs(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bot_that_was_made_a_moment_ago_is_found() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let _dispatcher = world.dispatcher(&bot).await;
    let newest = super::support::world::a_bot();
    let (channel, _) = world.add(&newest).await;
    let turn = world.turn(shared::domain::turn::Mode::Sync, "ann", "a");
    let turn = shared::domain::turn::Turn { bot: newest.id.clone(), channel, ..turn };
    world.publish(&turn).await;
    assert_eq!(world.answer(&turn).await, json!({"text": r#"["a"]"#}));
}
