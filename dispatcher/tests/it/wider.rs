//! What scripts keep beyond one conversation, through whole dispatchers.

use serde_json::json;
use shared::domain::outcome::Outcome;
use shared::domain::turn::{Mode, Turn};
use shared::registry::Bot;

use super::scripts::{a_script, start};
use super::support::world::{SORRY, World};

#[tokio::test]
async fn increments_of_many_users_at_once_are_all_there_and_a_failed_turns_are_not() {
    let source = "const c = context.session.BotContext;
        if (message === 'read') return say(String(c.get('n')) + ' ' + c.last);
        c.increment('n'); c.last = 'x';
        if (message === 'fail') throw new Error('no');
        say('ok');";
    let world = World::with(a_script(source)).await;
    let (_one, _other) = (start(&world, &[]).await, start(&world, &[]).await);
    let mut turns = Vec::new();
    for n in 0..24 {
        let text = if n % 6 == 0 { "fail" } else { "count" };
        turns.push(world.say(&format!("user-{n}"), text).await);
    }
    let mut well = 0;
    for turn in &turns {
        well += i64::from(world.settled(turn).await.outcome == Outcome::Answered);
    }
    assert_eq!(well, 20);
    assert_eq!(world.ask("reader", "read").await, json!({"text": "20 x"}));
}

#[tokio::test]
async fn a_users_part_is_there_for_every_bot_and_for_nobody_else() {
    let source = "const u = context.UserSession;
        if (message === 'name') { u.name = { first: 'Ann', pets: [] }; u.name.pets.push('Rex'); }
        if (message === 'pet') u.get('name').pets.push('Tom');
        if (message === 'forget') delete u.name;
        say(JSON.stringify(u.name ?? 'nobody'));";
    let world = World::with(a_script(source)).await;
    let (other, _) = world.add(&Bot { name: "other".to_owned(), ..a_script(source) }).await;
    let _dispatcher = start(&world, &[]).await;
    let text = |text: &str| json!({"text": text});
    assert_eq!(world.ask("ann", "hi").await, text("\"nobody\""));
    world.ask("ann", "name").await;
    assert_eq!(world.ask("ann", "pet").await, text(r#"{"first":"Ann","pets":["Rex","Tom"]}"#));
    assert_eq!(world.ask("bob", "hi").await, text("\"nobody\""));
    let registry = {
        use shared::registry::RegistryStore as _;
        world.store.registry().await.unwrap()
    };
    let bot = registry.channels[&other].bot.clone();
    let turn = Turn { channel: other, bot, ..world.turn(Mode::Sync, "ann", "hi") };
    world.publish(&turn).await;
    assert_eq!(world.answer(&turn).await, text(r#"{"first":"Ann","pets":["Rex","Tom"]}"#));
    world.ask("ann", "forget").await;
    assert_eq!(world.ask("ann", "hi").await, text("\"nobody\""));
}

#[tokio::test]
async fn a_dialog_goes_on_though_what_it_read_has_changed_since() {
    let source = "const c = context.session.EnterpriseContext;
        if (message === 'raise') { c.price = (c.price ?? 1) + 1; return say('raised'); }
        const before = c.price ?? 1;
        say(`It costs ${before}.`);
        const answer = await ask('Buy?');
        const now = c.price ?? 1;
        c.increment('sold');
        const sure = await ask(`${answer}: ${before}, now ${now}. Sure?`);
        say(`${sure}: ${before}, ${now}, ${c.price}, sold ${c.sold}`);";
    let world = World::with(a_script(source)).await;
    let dispatcher = start(&world, &[]).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": ["It costs 1.", "Buy?"]}));
    world.ask("bob", "raise").await;
    assert_eq!(world.ask("ann", "yes").await, json!({"text": "yes: 1, now 2. Sure?"}));
    dispatcher.kill().await;
    let _dispatcher = start(&world, &[]).await;
    world.ask("bob", "raise").await;
    // Sold once, though the script has run over it twice.
    assert_eq!(world.ask("ann", "sure").await, json!({"text": "sure: 1, 2, 3, sold 1"}));
}

#[tokio::test]
async fn what_may_not_be_is_an_error_of_the_script() {
    let source = "const c = context.session.BotContext;
        if (message === 'list') Object.keys(c);
        if (message === 'half') c.increment('n', 0.5);
        if (message === 'huge') c.put('k', 'x'.repeat(70000));
        if (message === 'dynamic') context.session['Enterprise' + 'Context'].get('k');
        say('ok');";
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    for (text, why) in [
        ("list", "read them by name"),
        ("half", "a whole number"),
        ("huge", "larger than 65536"),
        ("dynamic", "write its name out"),
    ] {
        let turn = world.say("ann", text).await;
        assert_eq!(world.answer(&turn).await, json!({"text": SORRY}));
        world.settled(&turn).await;
        let detail = world.store.detail(turn.id);
        assert!(detail.contains(why), "{text}: {detail}");
    }
    assert_eq!(world.ask("ann", "x").await, json!({"text": "ok"}));
}

#[tokio::test]
async fn entities_and_tags_last_for_the_session() {
    let source =
        "if (message === 'set') { context.entities.city = 'Bern'; contextTags.add('vip'); }
        say(`${context.entities.city} ${context.currentTags.tags.join()}`);";
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    world.ask("ann", "set").await;
    assert_eq!(world.ask("ann", "x").await, json!({"text": "Bern vip"}));
    let turn = Turn { new_session: true, ..world.turn(Mode::Sync, "ann", "x") };
    world.publish(&turn).await;
    assert_eq!(world.answer(&turn).await, json!({"text": "undefined "}));
}
