//! What the JSON Schema of exported bots says, by another's validator, and what an import does: bots with all
//! that a bot can have come out valid, and whatever the schema refuses an import refuses too.

use std::process::Stdio;

use e2e::rig;
use reqwest::Client;
use serde_json::{Map, Value, json};
use testkit::system::{Shape, System};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::clients::clients;

/// By the validator: a line for each document.
async fn judged(schema: &Value, documents: &[Value]) -> Vec<String> {
    let (prepared, scripts) = clients();
    let mut command = Command::new(prepared.join("python/bin/python"));
    command.arg(scripts.join("schema.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let said = json!({"schema": schema, "documents": documents}).to_string();
    let mut input = child.stdin.take().unwrap();
    let giving = async move { input.write_all(said.as_bytes()).await };
    let (given, output) = tokio::join!(giving, child.wait_with_output());
    given.unwrap();
    let output = output.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// An installation with its admin API.
struct Office {
    system: System,
    http: Client,
    url: String,
    token: String,
}

impl Office {
    async fn start() -> Self {
        let listen = format!("127.0.0.1:{}", testkit::free_port());
        let settings = [("console.listen", listen.as_str())];
        let binary = rig::binary().unwrap();
        let registry = "[[apps]]\nname = \"shop\"\n";
        let system = System::start(&binary, Shape::Whole, registry, &settings).await.unwrap();
        system.run(&["operator", "add", "--name", "ann", "--role", "admin"]).await.unwrap();
        let token = ["api-token", "add", "--name", "t", "--operator", "ann", "--scopes"];
        let token = [&token[..], &["read,configure", "--json"]].concat();
        let token: Value = serde_json::from_str(&system.run(&token).await.unwrap()).unwrap();
        let token = token["token"].as_str().unwrap().to_owned();
        let http = Client::builder().no_proxy().build().unwrap();
        Self { system, http, url: format!("http://{listen}/api/admin/v1"), token }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn made(&self, path: &str, body: Value) {
        let (status, text) = self.post(path, &body).await;
        assert_eq!(status, 201, "{path}: {text}");
    }
}

/// A bot of every kind, and channels with all that a channel can have.
async fn furnish(office: &Office) -> Vec<&'static str> {
    let tool = json!({"name": "look_up", "description": "Looks up", "url": "https://tools.example/x",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}}});
    let model = json!({"kind": "openai-responses", "url": "https://model.example/v1", "model": "m",
        "instructions": "Be kind.", "history": 7, "max_tokens": 100, "temperature": 0.5, "store": true,
        "stream": true, "deadline": "20s", "attempts": 3, "tools": [tool]});
    for bot in [
        json!({"name": "model", "connector": model, "authorization": "key", "permits": 9}),
        json!({"name": "http", "http": "https://bot.example/in", "authorization": "Bearer x",
            "http_deadline": "3s", "http_attempts": 4, "error_message": "Oh.", "session_timeout": "2h"}),
        json!({"name": "script", "source": "exports.onMessage = () => {};", "source_name": "s.js",
            "env": {"KEY": "x"}}),
        json!({"name": "kit", "connector": {"kind": "botkit", "url": "https://kit.example",
            "client_id": "cs-1", "component": "dialog"}, "authorization": "secret"}),
        json!({"name": "bare"}),
    ] {
        office.made("/bots", bot).await;
    }
    let button = json!({"type": "postback", "title": "Go", "payload": "go"});
    let template = json!({"type": "template", "payload":
        {"template_type": "button", "text": "Well?", "buttons": [button]}});
    for bot in ["model", "http", "script", "kit"] {
        office
            .made(
                "/channels",
                json!({"bot": bot, "app": "shop", "name": "web", "rate": 7, "burst": 8,
                "deadline": "9s", "while_busy": "merge:2s", "single_as_string": false,
                "escape_templates": false, "overrides": {"error": "Hm.", "menu": template}}),
            )
            .await;
        office
            .made("/channels", json!({"bot": bot, "app": "shop", "name": "post",
                "post_url": "https://receiver.example/in", "access_token": "T", "token_header": "x-token",
                "retry": "exponential:1s,2,10min,8", "jitter": 0.25, "post_deadline": "4s",
                "post_permits": 3, "while_busy": "latest"}))
            .await;
    }
    vec!["model", "http", "script", "kit", "bare"]
}

/// What a value of the schema must not be, one by one: each is wrong by itself.
fn wrongs(schema: &Value) -> Vec<Value> {
    let mut wrongs = vec![json!([[]])];
    let number = |key: &str| schema[key].as_f64();
    wrongs.extend(number("minimum").map(|least| json!(least - 1.0)));
    wrongs.extend(number("maximum").map(|most| json!(most + 1.0)));
    let most = schema["maxLength"].as_u64();
    wrongs.extend(most.map(|most| json!("x".repeat(usize::try_from(most).unwrap() + 1))));
    if schema["minLength"].as_u64() == Some(1) {
        wrongs.push(json!(""));
    }
    if schema.get("pattern").or(schema.get("enum")).is_some() {
        wrongs.push(json!("7 weeks"));
    }
    wrongs
}

/// Whole numbers as such: `4.0` is one in JSON Schema, and none to us.
fn whole(value: Value) -> Value {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "bounds are small")]
        Some(number) if number.fract() == 0.0 => json!(number as i64),
        _ => value,
    }
}

/// The document with something wrong in the object at a place, for each of its words.
fn spoilt(document: &Value, place: &str, words: &Map<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut put = |word: &str, value: Value| {
        let mut copy = document.clone();
        let object = copy.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
        object.insert(word.to_owned(), value);
        all.push(copy);
    };
    for (word, schema) in words {
        for wrong in wrongs(schema) {
            put(word, whole(wrong));
        }
    }
    put("surprise", json!(true));
    all
}

/// Broken by hand, where no table of words leads.
fn broken(document: &Value) -> Vec<Value> {
    let with = |pointer: &str, value: Value| {
        let mut copy = document.clone();
        let (parent, word) = pointer.rsplit_once('/').unwrap();
        let parent = copy.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        parent.insert(word.to_owned(), value);
        copy
    };
    let without = |word: &str| {
        let mut copy = document.clone();
        copy.as_object_mut().unwrap().remove(word);
        copy
    };
    let channel = document["channels"][0].clone();
    vec![
        json!([document["format"], 1, document["bot"], []]),
        without("format"),
        without("version"),
        without("bot"),
        without("channels"),
        with("/format", json!("other")),
        with("/version", json!(2)),
        with("/version", json!("1")),
        with("/bot/authorization", json!("Bearer x")),
        with("/bot/env", json!({"KEY": "x"})),
        with("/bot/id", json!("st-1")),
        with("/bot/fallback", Value::Null),
        with("/channels/0/app", json!("shop")),
        with("/channels/0/signing_secret", json!("whsec_x")),
        with("/channels/0/approve", json!(true)),
        with("/channels/0/overrides", json!({"error": 7})),
        with("/channels/0/overrides", json!({"": "x"})),
        with("/channels", json!([{"rate": 7}])),
        with("/channels", json!({"web": channel})),
        with("/bot/connector", json!(["rasa", "https://rasa.example"])),
        with(
            "/bot/connector",
            json!({"kind": "openai", "url": "https://m.example", "model": "m",
            "tools": [["name", "what it does", "https://t.example"]]}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schema_of_an_exported_bot_refuses_an_import_refuses_too() {
    let office = Office::start().await;
    let bots = furnish(&office).await;
    let printed = office.system.run(&["bot", "export", "--schema"]).await.unwrap();
    let schema: Value = serde_json::from_str(&printed).unwrap();
    let served = reqwest::get(format!("{}/schemas/bot.json", office.url)).await.unwrap();
    let served: Value = serde_json::from_str(&served.text().await.unwrap()).unwrap();
    assert_eq!(served, schema, "the API and the command line say the same");
    let mut exported = Vec::new();
    for bot in bots {
        let text = office.system.run(&["bot", "export", bot]).await.unwrap();
        exported.push(serde_json::from_str::<Value>(&text).unwrap());
    }
    assert_eq!(judged(&schema, &exported).await, vec!["valid"; exported.len()]);
    for (number, document) in exported.iter().enumerate() {
        let (status, text) =
            office.post(&format!("/bots/import?name=twin-{number}"), document).await;
        assert_eq!(status, 201, "{text}");
    }
    let words = |pointer: &str| schema.pointer(pointer).unwrap().as_object().unwrap();
    let (of_bot, of_channel) =
        (words("/properties/bot/properties"), words("/properties/channels/items/properties"));
    let (of_connector, of_tool) =
        (words("/$defs/ConnectorDraft/properties"), words("/$defs/ToolDraft/properties"));
    let mut wrong = broken(&exported[0]);
    wrong.extend(spoilt(&exported[1], "/bot", of_bot));
    wrong.extend(spoilt(&exported[0], "/bot/connector", of_connector));
    wrong.extend(spoilt(&exported[0], "/bot/connector/tools/0", of_tool));
    wrong.extend(spoilt(&exported[0], "/channels/0", of_channel));
    wrong.extend(spoilt(&exported[0], "/channels/1", of_channel));
    assert!(wrong.len() > 100, "{}", wrong.len());
    let said = judged(&schema, &wrong).await;
    assert_eq!(said.len(), wrong.len());
    let mut otherwise = Vec::new();
    for (number, (document, said)) in wrong.iter().zip(&said).enumerate() {
        let path = format!("/bots/import?name=never-{number}");
        let (status, text) = office.post(&path, document).await;
        if said == "valid" || status != 400 {
            otherwise.push(format!("the validator says {said:?}, an import {status} {text}"));
        }
    }
    assert!(otherwise.is_empty(), "{} of {}: {otherwise:#?}", otherwise.len(), wrong.len());
    let left = office.system.run(&["bot", "list", "--json"]).await.unwrap();
    assert!(!left.contains("never"), "{left}");
}
