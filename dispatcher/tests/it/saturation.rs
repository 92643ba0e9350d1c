//! Bots that cannot keep up are announced, and do not starve others.

use std::time::Duration;

use shared::broker::Broker as _;
use shared::domain::outcome::Outcome;
use shared::domain::turn::Turn;
use shared::registry::Bot;
use shared::wire::jobs::Announcement;

use super::support::bot::{Do, Scripted};
use super::support::world::{World, a_bot};
use super::support::{SOON, until};

/// Waits until a bot is announced as saturated, or no longer so.
async fn announced(
    heard: &mut tokio::sync::broadcast::Receiver<bytes::Bytes>,
    world: &World,
    bot: &Bot,
    is: bool,
) {
    let hearing = async {
        loop {
            let sealed = heard.recv().await.unwrap();
            if let Ok(Announcement::Saturated { bot: whose, saturated, .. }) =
                Announcement::open(&world.keys, &sealed)
            {
                assert_eq!(whose, bot.id.as_str(), "only the slow bot is announced");
                if saturated == is {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(SOON, hearing).await.unwrap();
}

#[tokio::test]
async fn a_bot_whose_turns_wait_is_announced_and_withdrawn_and_others_go_on() {
    let slow = Bot { permits: 1, ..a_bot() };
    let world = World::with(slow.clone()).await;
    let fast = a_bot();
    let (channel, _) = world.add(&fast).await;
    let bot = Scripted::new(|text, _| if text == "hang" { Do::Hang } else { Do::Append });
    let mut heard = world.broker.announcements();
    let settings = [("dispatcher.saturated_after", "500ms"), ("dispatcher.turn_deadline", "4s")];
    let dispatcher = world.dispatcher_with(&bot, &settings).await;
    for n in 0..2 {
        world.say(&format!("user-{n}"), "hang").await;
    }
    announced(&mut heard, &world, &slow, true).await;
    let other = world.turn(shared::domain::turn::Mode::Sync, "ann", "a");
    let other = Turn { bot: fast.id.clone(), channel, ..other };
    world.publish(&other).await;
    world.answer(&other).await;
    announced(&mut heard, &world, &slow, false).await;
    world.idle().await;
    drop(dispatcher);
}

/// What is accepted while the database is away is kept, and no bot is to blame.
#[tokio::test]
async fn no_bot_is_announced_while_the_store_is_away() {
    let world = World::new().await;
    let bot = Scripted::always(Do::Append);
    let mut heard = world.broker.announcements();
    let _dispatcher = world.dispatcher_with(&bot, &[("dispatcher.saturated_after", "500ms")]).await;
    world.store.away(true);
    let mut last = world.say("ann", "0").await;
    until("the dispatcher has noticed", || async { world.store.calls_away() > 0 }).await;
    for n in 1..=201 {
        last = world.say("ann", &n.to_string()).await;
    }
    let hearing = async {
        loop {
            let sealed = heard.recv().await.unwrap();
            let heard = Announcement::open(&world.keys, &sealed);
            if matches!(heard, Ok(Announcement::Saturated { saturated: true, .. })) {
                return;
            }
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(2), hearing).await;
    assert!(said.is_err(), "a bot was announced");
    world.store.away(false);
    assert_eq!(world.settled(&last).await.outcome, Outcome::Answered);
}

#[tokio::test]
async fn a_bot_that_holds_a_fifth_of_a_window_is_announced() {
    let slow = Bot { permits: 1, ..a_bot() };
    let world = World::with(slow.clone()).await;
    let bot = Scripted::always(Do::Hang);
    let mut heard = world.broker.announcements();
    let settings = [("dispatcher.saturated_after", "1h"), ("dispatcher.turn_deadline", "60s")];
    let _dispatcher = world.dispatcher_with(&bot, &settings).await;
    // All of one conversation: none of them waits for a permit.
    for n in 0..201 {
        world.say("ann", &n.to_string()).await;
    }
    announced(&mut heard, &world, &slow, true).await;
}
