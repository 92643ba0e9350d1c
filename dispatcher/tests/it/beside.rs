//! Bots that stand beside a bot: a fall-back, a shadow, a canary.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared::domain::outcome::Outcome;
use shared::registry::{Beside, Bot, Canary, HttpLogic, Logic, ScriptLogic};
use tokio::time::Instant;

use super::support::server::{Answer, Server};
use super::support::until;
use super::support::world::{Dispatcher, SORRY, World, a_bot};

const FLAGS: [(&str, &str); 3] = [
    ("egress.allow", "127.0.0.0/8"),
    ("script.program", env!("CARGO_BIN_EXE_dispatcher")),
    ("dispatcher.breaker_failures", "3"),
];

fn http(server: &Server) -> Logic {
    Logic::Http(HttpLogic {
        url: server.url(),
        authorization: None,
        deadline: Duration::from_secs(30),
        attempts_max: 1,
    })
}

fn script(source: &str) -> Logic {
    let (name, source) = ("bot.js".to_owned(), Arc::from(source));
    Logic::Script(ScriptLogic { name, source, env: None, restart_dialogs: false })
}

/// A bot of this logic with an echo beside it.
async fn with(
    logic: Logic,
    beside: impl FnOnce(&Bot) -> Beside,
    other: Bot,
) -> (World, Dispatcher) {
    let bot = Bot { logic, beside: beside(&other), ..a_bot() };
    let world = World::with(bot).await;
    world.add(&other).await;
    let dispatcher = world.dispatcher_of_registry(&FLAGS).await;
    (world, dispatcher)
}

fn fallback(other: &Bot) -> Beside {
    Beside { fallback: Some(other.id.clone()), ..Beside::default() }
}

fn shadow(other: &Bot) -> Beside {
    Beside { shadow: Some(other.id.clone()), ..Beside::default() }
}

fn named(name: &str, logic: Logic) -> Bot {
    Bot { name: name.to_owned(), logic, ..a_bot() }
}

#[tokio::test]
async fn a_fall_back_answers_for_a_bot_that_fails_and_while_its_breaker_is_open() {
    let server = Server::start(|_, _| Answer::Raw(500, vec![], vec![])).await;
    let (world, dispatcher) = with(http(&server), fallback, named("echo", Logic::Echo)).await;
    for n in 0..6 {
        let text = format!("hi {n}");
        let turn = world.say("ann", &text).await;
        assert_eq!(world.answer(&turn).await, json!({"text": text}));
        assert_eq!(world.settled(&turn).await.outcome, Outcome::Answered);
        let detail = world.store.detail(turn.id);
        assert!(detail.starts_with("its fall-back answered: "), "{detail}");
    }
    // The breaker opened at the third; from then on the bot itself is left alone.
    assert_eq!(server.asked().len(), 3);
    assert_eq!(dispatcher.metric("fallbacks_total", Some("answered")), 6);
}

#[tokio::test]
async fn a_dialog_goes_on_waiting_where_a_fall_back_answers_unless_it_failed_itself() {
    let server = Server::start(|_, number| match number {
        0 => Answer::Hang,
        _ => Answer::Json(json!({})),
    })
    .await;
    let source = format!(
        "const a = await ask('A?');
        if (a === 'boom') throw new Error('boom');
        const {{ status }} = await fetch('{}', {{ method: 'POST', body: '{{}}' }});
        say(`${{a}} ${{status}}`);",
        server.url()
    );
    let other = named("other", script("const x = await ask('other ' + message)"));
    let bot = Bot { logic: script(&source), beside: fallback(&other), ..a_bot() };
    let world = World::with(bot).await;
    world.add(&other).await;
    // Two thirds of it are the bot's.
    let flags = [FLAGS[0], FLAGS[1], ("dispatcher.turn_deadline", "6s")];
    let _dispatcher = world.dispatcher_of_registry(&flags).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "A?"}));
    assert_eq!(world.ask("ann", "1").await, json!({"text": "other 1"}));
    assert_eq!(world.ask("ann", "2").await, json!({"text": "2 200"}));
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "A?"}));
    assert_eq!(world.ask("ann", "boom").await, json!({"text": "other boom"}));
    // A dialog that failed is over, as without a fall-back.
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "A?"}));
}

#[tokio::test]
async fn where_the_fall_back_fails_too_the_error_is_the_bots() {
    let server = Server::start(|_, _| Answer::Raw(500, vec![], vec![])).await;
    let other = named("other", script("say('no'); nope()"));
    let (world, dispatcher) = with(http(&server), fallback, other).await;
    let turn = world.say("ann", "hi").await;
    assert_eq!(world.answer(&turn).await, json!({"text": SORRY}));
    assert_eq!(world.settled(&turn).await.outcome, Outcome::BotFailed);
    assert!(world.store.detail(turn.id).contains("it answered 500"));
    assert_eq!(dispatcher.metric("fallbacks_total", Some("failed")), 1);
}

#[tokio::test]
async fn a_bot_with_a_fall_back_leaves_it_time() {
    let server = Server::start(|_, _| Answer::Hang).await;
    let bot = named("echo", Logic::Echo);
    let main = Bot { logic: http(&server), beside: fallback(&bot), ..a_bot() };
    let world = World::with(main).await;
    world.add(&bot).await;
    let flags = [FLAGS[0], ("dispatcher.turn_deadline", "900ms")];
    let _dispatcher = world.dispatcher_of_registry(&flags).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "hi"}));
}

#[tokio::test]
async fn a_shadow_gets_the_same_turns_is_compared_and_neither_shows_nor_delays() {
    let server = Server::start(|asked, _| match asked.body["message"]["text"].as_str() {
        Some("hang") => Answer::Hang,
        Some("other") => Answer::Json(json!({"messages": ["something else"], "session": {"x": 1}})),
        Some("fail") => Answer::Raw(500, vec![], vec![]),
        text => Answer::Json(json!({"messages": [text]})),
    })
    .await;
    let other = named("shadow", http(&server));
    let (world, dispatcher) = with(Logic::Echo, shadow, other).await;
    let began = Instant::now();
    for text in ["hang", "same", "other", "fail", "same"] {
        assert_eq!(world.ask("ann", text).await, json!({"text": text}));
    }
    // One that hangs ends with the turn deadline, after 15 s.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let count = |result: &str| dispatcher.metric("shadows_total", Some(result));
    let all = || async { (count("same"), count("different"), count("failed")) == (2, 1, 1) };
    until("all but the one that hangs are compared", all).await;
    assert_eq!(world.kept("ann").await, json!({}));
    let turns: BTreeSet<_> =
        server.asked().iter().map(|asked| asked.body["turnId"].to_string()).collect();
    assert_eq!(turns.len(), 5);
}

#[tokio::test]
async fn a_slow_shadow_that_is_a_script_takes_no_host_from_a_turn() {
    let slow = named("shadow", script("while (true) {}"));
    let bot = Bot { logic: script("say(message)"), beside: shadow(&slow), ..a_bot() };
    let world = World::with(bot).await;
    world.add(&slow).await;
    let one_host = [("script.hosts", "1"), ("script.deadline", "10s")];
    let dispatcher = world.dispatcher_of_registry(&[&FLAGS[..], &one_host].concat()).await;
    let began = Instant::now();
    // The shadow of the first turns would have the only host by the last ones.
    for text in ["a", "b", "c", "d"] {
        assert_eq!(world.ask("ann", text).await, json!({"text": text}));
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let failed = || async { dispatcher.metric("shadows_total", Some("failed")) >= 1 };
    until("the first shadow was ended", failed).await;
}

#[tokio::test]
async fn a_canary_has_its_share_of_conversations_and_keeps_them() {
    let beside = |other: &Bot| Beside {
        canary: Some(Canary { bot: other.id.clone(), share: Canary::WHOLE / 2 }),
        ..Beside::default()
    };
    let other = named("canary", script("say('canary')"));
    let (world, dispatcher) = with(Logic::Echo, beside, other).await;
    let mut of_canary = BTreeSet::new();
    for round in 0..2 {
        for n in 0..24 {
            let user = format!("user-{n}");
            let by_canary = world.ask(&user, "main").await == json!({"text": "canary"});
            assert!(round == 0 || by_canary == of_canary.contains(&user), "{user} has changed");
            if by_canary {
                of_canary.insert(user);
            }
        }
    }
    assert!((1..24).contains(&of_canary.len()), "{of_canary:?}");
    let runs = i64::try_from(of_canary.len()).unwrap() * 2;
    assert_eq!(dispatcher.metric("canary_runs_total", None), runs);
}
