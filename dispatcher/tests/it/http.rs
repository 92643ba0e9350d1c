//! Bots behind HTTP.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::outcome::Outcome;
use shared::registry::{Bot, HttpLogic, Logic};
use tokio::time::Instant;

use super::support::server::{Answer, Asked, Server};
use super::support::world::{Dispatcher, SORRY, World, a_bot};

const ALLOWED: [(&str, &str); 1] = [("egress.allow", "127.0.0.0/8")];

async fn world(server: &Server) -> (World, Dispatcher) {
    world_of(server, Duration::from_secs(10), &ALLOWED).await
}

async fn world_of(
    server: &Server,
    deadline: Duration,
    flags: &[(&str, &str)],
) -> (World, Dispatcher) {
    let logic = HttpLogic {
        url: server.url(),
        authorization: Some("Bearer s3cret".into()),
        deadline,
        attempts_max: 3,
    };
    let world = World::with(Bot { logic: Logic::Http(logic), ..a_bot() }).await;
    let dispatcher = world.dispatcher_of_registry(flags).await;
    (world, dispatcher)
}

/// As the append bot of the long runs: its session is a list.
fn append(asked: &Asked) -> Answer {
    let mut list = asked.body["context"]["session"]["BotUserSession"]["list"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    list.push(asked.body["message"]["text"].clone());
    Answer::Json(json!({"messages": [json!(list).to_string()], "session": {"list": list}}))
}

fn schema(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let text = std::fs::read_to_string(format!("{folder}/http-bot.{name}.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Whether every field is described, every required one is there, and the types agree.
fn check(schema: &Value, value: &Value, path: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if let Some(types) = schema.get("type") {
        let fits = types.as_str() == Some(kind)
            || types.as_array().is_some_and(|types| types.contains(&json!(kind)));
        assert!(fits, "{path} is {kind}, not {types}");
    }
    let Some(object) = value.as_object() else { return };
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(required.as_str().unwrap()), "{path}: {required} is missing");
    }
    for (key, value) in object {
        match properties.get(key) {
            Some(property) => check(property, value, &format!("{path}.{key}")),
            None => {
                assert_ne!(schema.get("additionalProperties"), Some(&json!(false)), "{path}.{key}");
            }
        }
    }
}

#[tokio::test]
async fn the_request_carries_all_that_the_page_says() {
    let server = Server::start(|asked, _| append(asked)).await;
    let (world, _dispatcher) = world(&server).await;
    let turn = world.say("ann", "a").await;
    assert_eq!(world.answer(&turn).await, json!({"text": r#"["a"]"#}));
    let asked = &server.asked()[0];
    check(&schema("request"), &asked.body, "request");
    let payload: Value = serde_json::from_str(&turn.payload).unwrap();
    let last = &asked.body["context"]["session"]["BotUserSession"]["lastMessage"];
    assert_eq!(last["customData"]["userToken"], "t0ken");
    assert_eq!(last["messagePayload"], payload);
    let body = &asked.body;
    assert_eq!(body["turnId"], turn.id.to_string());
    assert_eq!(body["conversationId"], turn.conversation().id().to_string());
    assert_eq!(body["attempt"], 1);
    assert_eq!(body["channel"]["id"], turn.channel.as_str());
    assert_eq!(body["bot"]["id"], turn.bot.as_str());
    assert_eq!(body["user"]["id"], "ann");
    assert_eq!(body["message"]["text"], "a");
    assert_eq!(body["attachments"], payload["message"]["attachments"]);
    assert_eq!(body["customData"], payload["customData"]);
    assert_eq!(body["payload"], payload);
    assert_eq!(body["session"], json!({"id": turn.id.to_string(), "new": true}));
    assert_eq!(asked.headers["idempotency-key"], turn.id.to_string());
    assert_eq!(asked.headers["authorization"], "Bearer s3cret");
    assert_eq!(asked.headers["content-type"], "application/json");
}

/// The keys of an object, and of those in it, as paths; what clients and bots put there has keys of their own.
fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
    for (key, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{at}/{key}");
        if !["/payload", "/customData", "/context/session/BotUserSession"].contains(&path.as_str())
        {
            paths(inner, &path, all);
        }
        all.push(path);
    }
    all.sort();
}

#[tokio::test]
async fn the_examples_of_the_page_are_what_is_sent_and_understood() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-bot.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<Value> = blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    let [request, response] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    check(&schema("request"), request, "request");
    check(&schema("response"), response, "response");
    let answer = response.clone();
    let server = Server::start(move |_, _| Answer::Json(answer.clone())).await;
    let (world, _dispatcher) = world(&server).await;
    let template = response["messages"][1].to_string().replace('"', "&quot;");
    let expected = json!({"text": [response["messages"][0], template], "endOfTask": true,
        "endReason": "Fulfilled", "completedTaskId": "dg-1", "completedTaskName": "Show balance"});
    assert_eq!(world.ask("ann", "hello").await, expected);
    assert_eq!(world.kept("ann").await, response["session"]);
    let (mut shown, mut sent) = (Vec::new(), Vec::new());
    paths(request, "", &mut shown);
    paths(&server.asked()[0].body, "", &mut sent);
    assert_eq!(shown, sent);
}

#[tokio::test]
async fn the_session_comes_back_and_last_message_is_never_kept() {
    let server = Server::start(|asked, _| {
        let mut session = asked.body["context"]["session"]["BotUserSession"].clone();
        let turns = session["turns"].as_u64().unwrap_or_default() + 1;
        session["turns"] = json!(turns);
        Answer::Json(json!({"messages": [turns.to_string()], "session": session}))
    })
    .await;
    let (world, _dispatcher) = world(&server).await;
    assert_eq!(world.ask("ann", "a").await, json!({"text": "1"}));
    assert_eq!(world.ask("ann", "b").await, json!({"text": "2"}));
    assert_eq!(world.kept("ann").await, json!({"turns": 2}));
    assert_eq!(server.asked()[1].body["session"]["new"], false);
}

#[tokio::test]
async fn answers_of_every_documented_form_are_understood() {
    let server = Server::start(|asked, _| match asked.body["message"]["text"].as_str().unwrap() {
        "nothing" => Answer::Raw(204, vec![], vec![]),
        "silence" => Answer::Json(json!({})),
        "template" => Answer::Json(json!({"messages": ["t", {"type": "template"}]})),
        "end" => {
            Answer::Json(json!({"messages": ["bye"], "endOfTask": true, "endReason": "Fulfilled",
            "completedTaskId": "dg-1", "completedTaskName": "show", "later": {"x": 1}}))
        }
        other => Answer::Json(json!({"messages": [other]})),
    })
    .await;
    let (world, _dispatcher) = world(&server).await;
    let table = [
        ("nothing", json!({"text": []})),
        ("silence", json!({"text": []})),
        ("template", json!({"text": ["t", "{&quot;type&quot;:&quot;template&quot;}"]})),
        (
            "end",
            json!({"text": "bye", "endOfTask": true, "endReason": "Fulfilled",
                "completedTaskId": "dg-1", "completedTaskName": "show"}),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(world.ask("ann", text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn an_attempt_that_failed_is_made_again_with_the_same_key() {
    let server = Server::start(|asked, number| match number {
        0 => Answer::Raw(503, vec![("retry-after", "1")], vec![]),
        1 => Answer::Raw(500, vec![], vec![]),
        _ => append(asked),
    })
    .await;
    let (world, _dispatcher) = world(&server).await;
    let began = Instant::now();
    assert_eq!(world.ask("ann", "a").await, json!({"text": r#"["a"]"#}));
    assert!(began.elapsed() >= Duration::from_secs(1), "the bot asked for a second");
    let asked = server.asked();
    let attempts: Vec<_> = asked.iter().map(|asked| asked.body["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(
        asked
            .windows(2)
            .all(|pair| pair[0].headers["idempotency-key"] == pair[1].headers["idempotency-key"])
    );
}

#[tokio::test]
async fn what_cannot_become_better_is_asked_once() {
    let huge = vec![b' '; 5 * 1024 * 1024];
    let server = Server::start(move |asked, _| {
        let raw = |status, headers, body: &[u8]| Answer::Raw(status, headers, body.to_vec());
        match asked.body["message"]["text"].as_str().unwrap() {
            "400" => raw(400, vec![], b""),
            "redirect" => raw(302, vec![("location", "http://127.0.0.1:9/")], b""),
            "no json" => raw(200, vec![], b"<html>"),
            "no object" => raw(200, vec![], b"[1]"),
            "deep" => Answer::Json((0..60).fold(json!(1), |inner, _| json!({ "x": inner }))),
            "number" => Answer::Json(json!({"messages": [1]})),
            "packed" => raw(200, vec![("content-encoding", "gzip")], b"{}"),
            "wrong session" => Answer::Json(json!({"session": "x"})),
            _ => Answer::Raw(200, vec![], huge.clone()),
        }
    })
    .await;
    let flags = [ALLOWED[0], ("dispatcher.breaker_failures", "1000")];
    let (world, _dispatcher) = world_of(&server, Duration::from_secs(10), &flags).await;
    let table = [
        "400",
        "redirect",
        "no json",
        "no object",
        "deep",
        "number",
        "packed",
        "wrong session",
        "huge",
    ];
    for text in table {
        let turn = world.say("ann", text).await;
        assert_eq!(world.answer(&turn).await, json!({ "text": SORRY }), "{text}");
        assert_eq!(world.settled(&turn).await.outcome, Outcome::BotFailed, "{text}");
    }
    assert_eq!(server.asked().len(), table.len());
}

#[tokio::test]
async fn a_bot_that_does_not_answer_is_tried_until_the_turns_deadline() {
    let server = Server::start(|_, _| Answer::Hang).await;
    let flags = [ALLOWED[0], ("dispatcher.turn_deadline", "900ms")];
    let (world, _dispatcher) = world_of(&server, Duration::from_millis(300), &flags).await;
    let turn = world.say("ann", "a").await;
    assert_eq!(world.answer(&turn).await, json!({ "text": SORRY }));
    assert_eq!(world.settled(&turn).await.outcome, Outcome::BotTimedOut);
    assert!(server.asked().len() <= 3, "{}", server.asked().len());
}

#[tokio::test]
async fn a_private_address_that_is_not_allowed_is_never_called() {
    let server = Server::start(|asked, _| append(asked)).await;
    let (world, _dispatcher) = world_of(&server, Duration::from_secs(10), &[]).await;
    let turn = world.say("ann", "a").await;
    assert_eq!(world.settled(&turn).await.outcome, Outcome::BotFailed);
    assert_eq!(server.asked().len(), 0);
}
