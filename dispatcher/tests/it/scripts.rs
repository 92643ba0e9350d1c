//! Bots that are scripts: through a whole dispatcher, with hosts in processes of their own.

use std::sync::Arc;
use std::time::Duration;

use dispatcher::bots::connector::Callbacks;
use dispatcher::bots::script::Scripts;
use dispatcher::bots::{Bot as _, BotError, Kinds, Limits, Subject, TurnContext};
use dispatcher::domain::session::{self, Rules};
use serde_json::{Value, json};
use shared::config::load_from;
use shared::domain::outcome::Outcome;
use shared::domain::turn::{Mode, Turn};
use shared::egress::Client;
use shared::entropy::Entropy;
use shared::registry::{Bot, Logic, RegistryStore as _, ScriptLogic};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::support::server::{Answer, Server};
use super::support::world::{Dispatcher, SORRY, World, a_bot};

/// The dispatcher's own binary becomes the host.
const PROGRAM: (&str, &str) = ("script.program", env!("CARGO_BIN_EXE_dispatcher"));

pub(super) fn a_script(source: &str) -> Bot {
    let logic = ScriptLogic {
        name: "bot.js".to_owned(),
        source: Arc::from(source),
        env: Some(r#"{"PLACE":"Bern"}"#.into()),
        restart_dialogs: false,
    };
    Bot { logic: Logic::Script(logic), ..a_bot() }
}

pub(super) async fn start(world: &World, more: &[(&str, &str)]) -> Dispatcher {
    let flags = [&[PROGRAM][..], more].concat();
    world.dispatcher_of_registry(&flags).await
}

#[tokio::test]
async fn a_script_answers_with_what_the_request_and_the_session_hold() {
    let source = r#"const s = context.session.BotUserSession;
        s.count = (s.count || 0) + 1;
        say(s.count + " " + message + " " + s.lastMessage.customData.userToken + " " + env.PLACE);
        if (message === "bye") { print('{"type":"template","payload":{"n":1}}'); endOfTask("Fulfilled", "greet") }"#;
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "1 hi t0ken Bern"}));
    let expected = json!({
        "text": ["2 bye t0ken Bern", "{&quot;type&quot;:&quot;template&quot;,&quot;payload&quot;:{&quot;n&quot;:1}}"],
        "endOfTask": true, "endReason": "Fulfilled", "completedTaskName": "greet",
    });
    assert_eq!(world.ask("ann", "bye").await, expected);
    assert_eq!(world.ask("bob", "hi").await, json!({"text": "1 hi t0ken Bern"}));
    assert_eq!(world.kept("ann").await, json!({"count": 2}));
}

#[tokio::test]
async fn an_error_is_told_to_the_user_kindly_and_to_the_operator_with_its_place() {
    let source =
        "say('not told');\ncontext.session.BotUserSession.kept = 1;\nif (message) nope();\n";
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    let turn = world.say("ann", "hi").await;
    assert_eq!(world.answer(&turn).await, json!({"text": SORRY}));
    let settled = world.settled(&turn).await;
    assert_eq!(settled.outcome, Outcome::BotFailed);
    assert_eq!(world.kept("ann").await, json!({}));
    let detail = world.store.detail(turn.id);
    let expected = "bot.js:3: ReferenceError: nope is not defined\n    1 | say('not told');\n    2 | context.session.BotUserSession.kept = 1;\n>   3 | if (message) nope();";
    assert!(detail.starts_with(expected), "{detail}");
}

const DIALOG: &str = r#"say("welcome");
    const name = await ask("Your name?");
    const sure = await confirm("Sure, " + name + "?");
    const colour = await choose("Colour?", ["red", "blue"]);
    say([name, sure, colour, Math.random() < 1].join(" "));
    endOfTask("Fulfilled", "survey");"#;

#[tokio::test]
async fn a_dialog_goes_on_in_another_dispatcher_after_each_was_killed() {
    let world = World::with(a_script(DIALOG)).await;
    let mut transcript = Vec::new();
    for text in ["hi", "Ann", "maybe", "yes", "2", "again"] {
        let dispatcher = start(&world, &[]).await;
        transcript.push(world.ask("ann", text).await["text"].clone());
        dispatcher.kill().await;
    }
    let expected = json!([
        ["welcome", "Your name?"],
        "Sure, Ann?\nYes, No, ",
        "Sure, Ann?\nYes, No, ",
        "Colour?\n1. red\n2. blue",
        "Ann true blue true",
        ["welcome", "Your name?"],
    ]);
    assert_eq!(Value::from(transcript), expected);
}

#[tokio::test]
async fn the_same_turn_run_again_asks_nobody_anything_twice() {
    let world = World::with(a_script(DIALOG)).await;
    let dispatcher = start(&world, &[]).await;
    let turn = world.say("ann", "hi").await;
    let first = world.answer(&turn).await;
    world.publish(&turn).await;
    let both = world.answers(&turn, 2).await;
    assert_eq!(both[0], both[1]);
    assert_eq!(first["text"][1], "Your name?");
    assert_eq!(world.ask("ann", "Ann").await["text"], "Sure, Ann?\nYes, No, ");
    drop(dispatcher);
}

#[tokio::test]
async fn a_call_goes_out_through_the_guard_once_in_a_dialog_and_under_one_key() {
    let server = Server::start(|_, _| Answer::Json(json!({"stock": 7}))).await;
    let url = server.url();
    let source = format!(
        r#"const item = await ask("Which item?");
        const r = await fetch("{url}", {{method: "POST", headers: {{"X-Kind": "stock"}}, body: JSON.stringify({{item}})}});
        const {{stock}} = await r.json();
        const many = await ask(stock + " left. How many?");
        say(many + " of " + stock + " " + item)"#
    );
    let world = World::with(a_script(&source)).await;
    let allow = format!("127.0.0.1/32:{}", url.port().unwrap());
    let _dispatcher = start(&world, &[("egress.allow", &allow)]).await;
    assert_eq!(world.ask("ann", "hi").await["text"], "Which item?");
    let turn = world.turn(Mode::Sync, "ann", "nail");
    world.publish(&turn).await;
    assert_eq!(world.answer(&turn).await["text"], "7 left. How many?");
    assert_eq!(world.ask("ann", "3").await["text"], "3 of 7 nail");
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body, json!({"item": "nail"}));
    assert_eq!(asked[0].headers["x-kind"], "stock");
    assert_eq!(asked[0].headers["idempotency-key"], format!("{}-2", turn.id));
}

#[tokio::test]
async fn a_call_that_the_guard_refuses_is_an_error_of_the_script() {
    let source = r#"try { await fetch("http://127.0.0.1:1/") } catch (e) { say(e.name + ": " + e.message) }"#;
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    let said = world.ask("ann", "hi").await["text"].as_str().unwrap().to_owned();
    assert!(said.starts_with("FetchError: refused by the address guard"), "{said}");
}

#[tokio::test]
async fn a_dialog_that_failed_is_over() {
    let world =
        World::with(a_script(r#"const a = await ask("first?"); if (a === "boom") nope(); say(a)"#))
            .await;
    let _dispatcher = start(&world, &[]).await;
    assert_eq!(world.ask("ann", "hi").await["text"], "first?");
    assert_eq!(world.ask("ann", "boom").await["text"], SORRY);
    assert_eq!(world.ask("ann", "hi").await["text"], "first?");
    assert_eq!(world.ask("ann", "x").await["text"], "x");
}

/// The turn's own end is not there to come first: a host that answers at once would be quicker.
#[tokio::test]
async fn a_call_that_lasts_until_the_turns_end_is_never_told_to_the_script() {
    let server = Server::start(|_, _| Answer::Hang).await;
    let call = format!("fetch('{}', {{method: 'POST', body: '{{}}'}})", server.url());
    let bot = a_script(&format!("try {{ await {call} }} catch {{}} say('x')"));
    let world = World::with(bot.clone()).await;
    let flags = [PROGRAM, ("egress.allow", "127.0.0.0/8")];
    let flags: Vec<_> = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let settings = load_from(None, &flags, []).unwrap();
    let scripts = Scripts::new(&settings.script);
    let mut keeping = JoinSet::new();
    keeping.spawn(scripts.keep(CancellationToken::new()));
    let egress = Client::new(&settings.egress, vec![]).unwrap();
    let callbacks = Callbacks::default();
    let kinds = Kinds { egress, entropy: Entropy::Real, scripts, callbacks };
    let turn = world.turn(Mode::Sync, "ann", "hi");
    let registry = world.store.registry().await.unwrap();
    let rules = Rules {
        turn: turn.id,
        idle: Duration::ZERO,
        timeout: bot.session_timeout,
        wants_new: false,
    };
    let opened = session::open(&[], rules);
    let subject = Subject {
        conversation: turn.conversation().id(),
        channel: Arc::clone(&registry.channels[&turn.channel]),
        turn: Arc::new(turn),
        bot: Arc::new(bot),
        traceparent: None,
        wider: Vec::new(),
        is_shadow: false,
    };
    let deadline = Instant::now() + Duration::from_secs(2);
    let limits = Limits::of(&settings.dispatcher);
    let context = TurnContext::new(subject, opened, deadline, limits);
    assert_eq!(kinds.turn(&context).await, Err(BotError::TimedOut));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_session_that_the_script_closes_is_over_with_the_turn_and_so_is_its_question() {
    let source = r#"const s = context.session.BotUserSession;
        s.count = (s.count || 0) + 1;
        say(`${s.count} ${koreUtil._.capitalize(message)}`);
        if (message === "bye") koreUtil.closeConversationSession();
        if (message !== "hi") say("no " + await ask("Why?"));"#;
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "1 Hi"}));
    assert_eq!(world.ask("ann", "bye").await, json!({"text": ["2 Bye", "Why?"]}));
    assert_eq!(world.kept("ann").await, json!({}));
    assert_eq!(world.ask("ann", "hi").await, json!({"text": "1 Hi"}));
    assert_eq!(world.ask("ann", "well").await, json!({"text": ["2 Well", "Why?"]}));
    assert_eq!(world.ask("ann", "because").await, json!({"text": "no because"}));
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_and_its_bot_goes_on() {
    let world = World::with(a_script("if (message === 'hang') while (true) {}; say('fine')")).await;
    let _dispatcher = start(&world, &[("script.deadline", "400ms"), ("script.hosts", "2")]).await;
    assert_eq!(world.ask("ann", "hi").await["text"], "fine");
    let hanging = [world.say("bob", "hang").await, world.say("cid", "hang").await];
    for turn in &hanging {
        assert_eq!(world.answer(turn).await, json!({"text": SORRY}));
        assert!(world.store.detail(turn.id).contains("it ran longer than 400 ms"));
    }
    assert_eq!(world.ask("bob", "hi").await["text"], "fine");
}

#[tokio::test]
async fn while_all_scripts_of_a_bot_hang_another_bot_is_answered() {
    let world = World::with(a_script("while (true) {}")).await;
    let other = a_script("say('fine')");
    let (channel, _) = world.add(&other).await;
    let flags = [("script.deadline", "4s"), ("script.hosts", "2")];
    let _dispatcher = start(&world, &flags).await;
    let mut hanging = Vec::new();
    for n in 0..4 {
        hanging.push(world.say(&format!("user-{n}"), "hang").await);
    }
    for n in 0..10 {
        let turn = world.turn(Mode::Sync, &format!("ann-{n}"), "hi");
        let turn = Turn { bot: other.id.clone(), channel: channel.clone(), ..turn };
        world.publish(&turn).await;
        assert_eq!(world.answer(&turn).await["text"], "fine");
    }
    // One after another they take 16 s: the last of them is not settled by now.
    assert!(world.row(&hanging[3]).await.is_none());
}

#[tokio::test]
async fn every_template_that_is_made_for_a_script_is_one_that_clients_can_show() {
    let source = r#"
        const t = template, card = { title: "A", subtitle: "s", buttons: ["Go"] };
        const all = {
            button: t.button("t", ["A", { title: "B" }, { title: "C", payload: "c" }, { title: "D", url: "https://d.test" }]),
            quick_replies: t.quickReplies("t", ["A", { title: "B", image_url: "https://b.test" }]),
            list: t.list([card], ["More"]),
            carousel: t.carousel([card, { title: "B" }]),
            table: t.table("t", ["No", ["Name", "center"]], [[1, "Ann"]]),
            mini_table: t.miniTable("t", [{ primary: [["Sum"], ["300", "right"]], additional: [["CA1", "150"]] }]),
            piechart: t.pieChart("t", [{ title: "A", value: "10", displayValue: "10%" }], { pie_type: "donut" }),
            linechart: t.lineChart("t", ["Jan"], [{ title: "A", values: ["1"] }], { Auto_adjust_X_axis: "yes" }),
            barchart: t.barChart("t", ["Jan"], [{ title: "A", values: ["1"] }], { stacked: false }),
            feedbackTemplate: t.feedback("t", "ThumbsUpDown", { thumpsUpDownArrays: [{ thumpUpId: "1", value: 1, reviewText: "good" }] }),
            dropdown_template: t.dropdown("h", ["A", { title: "B", value: "b" }]),
            multi_select: t.multiSelect(["A"], ["Done"]),
            like_dislike: t.likeDislike(),
            dateTemplate: t.date("t", "Pick"),
            image: t.image("https://a.test/a.png"), audio: t.audio("https://a.test/a.mp3"),
            video: t.video("https://a.test/a.mp4"), error: t.error("sorry"),
        };
        const kind = (made) => made.payload.template_type ?? made.type;
        for (const [name, made] of Object.entries(all)) say(made);
        say(Object.entries(all).filter(([name, made]) => kind(made) !== name).map(([name]) => name).join());
        say(Object.keys(t).length === Object.keys(all).length ? "all" : "not all");"#;
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    let turn = world.say("ann", "hi").await;
    let answer = world.answer(&turn).await;
    let said =
        answer["text"].as_array().unwrap_or_else(|| panic!("{}", world.store.detail(turn.id)));
    assert_eq!(said.len(), 20);
    assert_eq!(said[18..], [json!("audio,video"), json!("all")]);
    let first = said[0].as_str().unwrap().replace("&quot;", "\"");
    let buttons = &serde_json::from_str::<Value>(&first).unwrap()["payload"]["buttons"];
    let expected = json!([
        {"type": "postback", "title": "A", "payload": "A"},
        {"type": "postback", "payload": "B", "title": "B"},
        {"type": "postback", "payload": "c", "title": "C"},
        {"type": "web_url", "title": "D", "url": "https://d.test"},
    ]);
    assert_eq!(*buttons, expected);
}

#[tokio::test]
async fn a_template_that_no_client_could_show_is_not_said() {
    let source =
        r#"say({type: "template", payload: {template_type: "button", buttons: [{title: "A"}]}})"#;
    let world = World::with(a_script(source)).await;
    let _dispatcher = start(&world, &[]).await;
    let turn = world.say("ann", "hi").await;
    assert_eq!(world.answer(&turn).await, json!({"text": SORRY}));
    let detail = world.store.detail(turn.id);
    assert!(detail.contains("template button: text is missing"), "{detail}");
}
