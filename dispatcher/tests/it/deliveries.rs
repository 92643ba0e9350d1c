//! What an asynchronous turn leaves for the deliverer.

use shared::domain::outcome::Outcome;
use shared::domain::turn::Mode;
use shared::store::Turns as _;
use shared::wire::v1::BotMessage;

use super::support::bot::{Do, Scripted};
use super::support::world::World;

fn says(texts: &[&str]) -> Scripted {
    let messages = texts.iter().map(|text| BotMessage::Text((*text).to_owned())).collect();
    Scripted::always(Do::Say(messages))
}

#[tokio::test]
async fn each_message_is_a_row_and_the_bell_is_rung_for_the_lowest_only() {
    let world = World::new().await;
    let dispatcher = world.dispatcher(&says(&["one", "two"])).await;
    let first = world.turn(Mode::Async, "ann", "first");
    let second = world.turn(Mode::Async, "ann", "second");
    world.publish(&first).await;
    world.publish(&second).await;
    assert_eq!(world.settled(&first).await.outcome, Outcome::Answered);
    world.settled(&second).await;
    world.idle().await;
    let key = first.conversation();
    let mut numbers = Vec::new();
    for turn in [&first, &second] {
        let rows = world.store.unsettled(key.id(), turn.id).await.unwrap();
        let bodies: Vec<_> = rows.iter().map(|row| row.body.clone()).collect();
        let post = |text: &str| format!(r#"{{"text":"{text}","to":"ann","from":"{}"}}"#, first.bot);
        assert_eq!(bodies, [post("one"), post("two")]);
        numbers.extend(rows.iter().map(|row| row.place.number));
    }
    let dense: Vec<_> = (numbers[0]..numbers[0] + 4).collect();
    assert_eq!(numbers, dense);
    let bell = world.bell(&key).await;
    assert_eq!(bell.place.number, numbers[0]);
    let fresh = bell.fresh.unwrap().delivery;
    let rows = world.store.unsettled(key.id(), first.id).await.unwrap();
    assert_eq!(fresh, rows[0]);
    assert_eq!(world.bells(&key).await, 0);
    assert_eq!(dispatcher.metric("doorbells_total", Some("rung")), 1);
}

#[tokio::test]
async fn a_turn_without_a_message_makes_no_delivery_and_no_bell() {
    let world = World::new().await;
    let dispatcher = world.dispatcher(&says(&[])).await;
    let turn = world.turn(Mode::Async, "ann", "hush");
    world.publish(&turn).await;
    assert_eq!(world.settled(&turn).await.reply, r#"{"text":[]}"#);
    world.idle().await;
    assert_eq!(world.bells(&turn.conversation()).await, 0);
    assert_eq!(dispatcher.metric("doorbells_total", None), 0);
}

#[tokio::test]
async fn a_large_message_is_read_from_its_row() {
    let world = World::new().await;
    let large = "x".repeat(40_000);
    let _dispatcher = world.dispatcher(&says(&[&large])).await;
    let turn = world.turn(Mode::Async, "ann", "long");
    world.publish(&turn).await;
    world.settled(&turn).await;
    let bell = world.bell(&turn.conversation()).await;
    assert_eq!(bell.fresh, None);
    let rows = world.store.unsettled(turn.conversation().id(), turn.id).await.unwrap();
    assert_eq!(rows[0].place, bell.place);
}
