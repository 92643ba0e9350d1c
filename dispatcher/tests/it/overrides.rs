//! Messages that a channel replaces by their keys.

use serde_json::{Value, json};
use shared::domain::ids::ChannelId;
use shared::domain::turn::{Mode, Turn};
use shared::registry::{Bot, HttpLogic, Logic, Overrides};
use shared::wire::v1::BotMessage;

use super::scripts::{a_script, start};
use super::support::bot::{Do, Scripted};
use super::support::server::{Answer, Server};
use super::support::world::{SORRY, World, a_bot, an_endpoint};

async fn channel(world: &World, overrides: Value) -> ChannelId {
    let overrides: Overrides = serde_json::from_value(overrides).unwrap();
    world.channel_with(|channel| channel.overrides = overrides).await
}

async fn ask(world: &World, channel: &ChannelId, text: &str) -> Value {
    let turn = Turn { channel: channel.clone(), ..world.turn(Mode::Sync, "ann", text) };
    world.publish(&turn).await;
    world.answer(&turn).await["text"].clone()
}

const SCRIPT: &str = r#"await say({key: "greeting", message: "Hello"});
    say("plain");
    const sure = await confirm({key: "sure", message: "Sure?"});
    const colour = await choose({key: "colour", message: "Colour?"}, ["red", "blue"]);
    await say({key: "bye", message: {type: "image", payload: {url: "https://a.example/" + colour}}});
    nope();"#;

#[tokio::test]
async fn a_scripts_message_is_replaced_on_the_channel_that_says_so_and_on_no_other() {
    let world = World::with(a_script(SCRIPT)).await;
    let card = json!({"type": "image", "payload": {"url": "https://a.example/card"}});
    let own = json!({"greeting": "Ahoy!", "sure": card, "error": "Call us.", "other": "x"});
    let (own, usual) = (channel(&world, own).await, channel(&world, json!({})).await);
    let _dispatcher = start(&world, &[]).await;
    let plain = card.to_string().replace('"', "&quot;");
    assert_eq!(ask(&world, &own, "hi").await, json!(["Ahoy!", "plain", plain]));
    assert_eq!(ask(&world, &usual, "hi").await, json!(["Hello", "plain", "Sure?\nYes, No, "]));
    let question = json!("Colour?\n1. red\n2. blue");
    for (channel, error) in [(&own, "Call us."), (&usual, SORRY)] {
        assert_eq!(ask(&world, channel, "yes").await, question);
        assert_eq!(ask(&world, channel, "red").await, error);
    }
}

#[tokio::test]
async fn an_http_bots_message_is_replaced_by_its_key() {
    let server = Server::start(|_, _| {
        let template = json!({"type": "template"});
        let keyed = json!({"key": "menu", "message": template});
        let unlike = json!({"key": "menu", "message": "x", "more": 1});
        Answer::Json(json!({"messages": [{"key": "greeting", "message": "Hello"}, keyed, unlike]}))
    })
    .await;
    let logic = HttpLogic {
        url: server.url(),
        authorization: None,
        deadline: std::time::Duration::from_secs(10),
        attempts_max: 1,
    };
    let world = World::with(Bot { logic: Logic::Http(logic), ..a_bot() }).await;
    let own = channel(&world, json!({"greeting": "Ahoy!", "menu": "1. one"})).await;
    let usual = channel(&world, json!({})).await;
    let _dispatcher = world.dispatcher_of_registry(&[("egress.allow", "127.0.0.0/8")]).await;
    let escaped = |value: &Value| value.to_string().replace('"', "&quot;");
    let unlike = escaped(&json!({"key": "menu", "message": "x", "more": 1}));
    assert_eq!(ask(&world, &own, "hi").await, json!(["Ahoy!", "1. one", unlike]));
    let template = escaped(&json!({"type": "template"}));
    assert_eq!(ask(&world, &usual, "hi").await, json!(["Hello", template, unlike]));
}

#[tokio::test]
async fn the_committed_answer_and_the_delivery_have_the_channels_message() {
    let world = World::new().await;
    let overrides = serde_json::from_value(json!({"greeting": "Ahoy!"})).unwrap();
    let asynchronous = world
        .channel_with(|channel| {
            channel.endpoint = Some(an_endpoint());
            channel.overrides = overrides;
        })
        .await;
    let said = json!({"key": "greeting", "message": "Hello"});
    let bot = Scripted::always(Do::Say(vec![BotMessage::Template(said)]));
    let _dispatcher = world.dispatcher(&bot).await;
    let turn = Turn { channel: asynchronous, ..world.turn(Mode::Async, "ann", "hi") };
    world.publish(&turn).await;
    assert_eq!(world.settled(&turn).await.reply, r#"{"text":"Ahoy!"}"#);
    let bell = world.bell(&turn.conversation()).await;
    let body: Value = serde_json::from_slice(&bell.fresh.unwrap().delivery.body).unwrap();
    assert_eq!(body["text"], "Ahoy!");
}
