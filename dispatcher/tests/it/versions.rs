//! Scripts that change while their dialogs are open.

use serde_json::json;
use shared::registry::control::{Change, ControlStore as _, Write};
use shared::registry::{Bot, Logic, RegistryStore as _, ScriptLogic};

use super::scripts::{a_script, start};
use super::support::world::World;

/// Asks twice, and names itself in all that it says.
fn version(name: &str) -> String {
    format!(
        "const who = await ask('{name}: who?');
        const age = await ask('{name}: how old is ' + who + '?');
        say('{name}: ' + who + ' ' + age);"
    )
}

/// The bot with another version of its script.
fn with(bot: &Bot, name: &str) -> Bot {
    Bot { id: bot.id.clone(), ..a_script(&version(name)) }
}

fn restarting(bot: &Bot) -> Bot {
    let mut bot = bot.clone();
    if let Logic::Script(script) = &mut bot.logic {
        script.restart_dialogs = true;
    }
    bot
}

impl World {
    async fn publish_bot(&self, bot: &Bot) {
        let store = self.store.store();
        let base = store.revision().await.unwrap();
        let writes = vec![Write::Bot(Box::new(bot.clone()))];
        store.change(base, Change { writes, audit: Vec::new() }).await.unwrap();
    }

    /// In a process that starts for it.
    async fn ask_anew(&self, user: &str, text: &str) -> serde_json::Value {
        let dispatcher = start(self, &[]).await;
        let answer = self.ask(user, text).await["text"].take();
        dispatcher.stop().await;
        answer
    }
}

#[tokio::test]
async fn an_open_dialog_ends_with_the_script_that_it_began_with() {
    let bot = a_script(&version("one"));
    let world = World::with(bot.clone()).await;
    assert_eq!(world.ask_anew("ann", "hi").await, "one: who?");
    world.publish_bot(&with(&bot, "two")).await;
    assert_eq!(world.ask_anew("ann", "Ann").await, "one: how old is Ann?");
    assert_eq!(world.ask_anew("bob", "hi").await, "two: who?");
    world.publish_bot(&with(&bot, "three")).await;
    assert_eq!(world.ask_anew("bob", "Bob").await, "two: how old is Bob?");
    assert_eq!(world.ask_anew("ann", "7").await, "one: Ann 7");
    assert_eq!(world.ask_anew("ann", "hi").await, "three: who?");
    // In a process that lives on, too: what it has read of the past it remembers.
    let _dispatcher = start(&world, &[]).await;
    assert_eq!(world.ask("bob", "8").await, json!({"text": "two: Bob 8"}));
    assert_eq!(world.ask("bob", "hi").await, json!({"text": "three: who?"}));
}

#[tokio::test]
async fn a_bot_whose_dialogs_begin_anew_has_no_use_for_the_past() {
    let bot = restarting(&a_script(&version("one")));
    let world = World::with(bot.clone()).await;
    assert_eq!(world.ask_anew("ann", "hi").await, "one: who?");
    let two = restarting(&with(&bot, "two"));
    world.publish_bot(&two).await;
    assert_eq!(world.ask_anew("ann", "Ann").await, "two: who?");
    // The setting is the bot's, and not the script's: here the dialog that is open ends.
    world.publish_bot(&with(&bot, "three")).await;
    assert_eq!(world.ask_anew("ann", "Ann").await, "two: how old is Ann?");
}

#[tokio::test]
async fn a_dialog_of_a_script_that_this_process_has_not_heard_of_goes_on() {
    let bot = a_script(&version("one"));
    let world = World::with(bot.clone()).await;
    let before = world.store.registry().await.unwrap();
    world.publish_bot(&with(&bot, "two")).await;
    assert_eq!(world.ask_anew("ann", "hi").await, "two: who?");
    world.store.hear(before);
    assert_eq!(world.ask_anew("ann", "Ann").await, "two: how old is Ann?");
}

#[tokio::test]
async fn a_script_that_is_no_longer_kept_lets_its_dialogs_begin_anew() {
    let bot = a_script(&version("one"));
    let world = World::with(bot.clone()).await;
    assert_eq!(world.ask_anew("ann", "hi").await, "one: who?");
    for n in 0..=ScriptLogic::KEPT_MAX {
        world.publish_bot(&with(&bot, &format!("next {n}"))).await;
    }
    assert_eq!(world.ask_anew("ann", "Ann").await, "next 20: who?");
}
