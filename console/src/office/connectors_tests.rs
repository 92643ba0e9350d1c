use secrecy::ExposeSecret as _;
use shared::entropy::Entropy;
use shared::registry::{Bot, Logic};

use super::super::{back, validate};
use super::*;

fn bot(mut draft: Value) -> Result<Bot, String> {
    draft["name"] = json!("b");
    let draft: BotDraft = serde_json::from_value(draft).unwrap();
    validate::bot(&draft, &Entropy::Real)
}

fn of(kind: &str, more: &Value) -> Value {
    let mut connector = json!({"kind": kind, "url": "https://peer.test/"});
    merge(&mut connector, more);
    json!({"connector": connector})
}

fn peer_of(bot: &Bot) -> &ConnectorLogic {
    let Logic::Connector(logic) = &bot.logic else { panic!("{bot:?}") };
    logic
}

#[test]
fn each_kind_comes_back_as_the_draft_that_was_written() {
    let tool = json!({"name": "balance", "description": "Reads.", "url": "https://tool.test/b"});
    for (kind, more) in [
        ("rasa", json!({})),
        ("rasa-actions", json!({"action": "action_x"})),
        ("bot-framework", json!({"welcome": false})),
        ("bot-framework", json!({"replies": "normal", "idle": "2s"})),
        ("openai", json!({"model": "m", "temperature": 0.5, "stream": true})),
        ("openai-responses", json!({"model": "m", "store": true, "history": 4, "tools": [tool]})),
        ("botkit", json!({"client_id": "cs-1", "component": "c"})),
        ("dify", json!({"stream": false, "deadline": "3s", "attempts": 1})),
    ] {
        let made = bot(of(kind, &more)).unwrap();
        assert_eq!(peer_of(&made).peer.kind(), kind);
        let again = validate::bot(&back::bot(&made), &Entropy::Real).unwrap();
        assert_eq!(format!("{made:?}"), format!("{again:?}"));
        assert_eq!(peer_of(&made).peer, peer_of(&again).peer);
    }
}

#[test]
fn a_bare_key_becomes_a_bearer_token_but_for_a_kit_whose_secret_signs() {
    let model = json!({"model": "m"});
    let kit = json!({"client_id": "cs-1", "component": "c"});
    for (draft, key, sent) in [
        (of("openai", &model), "sk-key", "Bearer sk-key"),
        (of("openai", &model), "Basic a2V5", "Basic a2V5"),
        (of("botkit", &kit), "s3cret", "s3cret"),
    ] {
        let mut draft = draft;
        draft["authorization"] = json!(key);
        let made = bot(draft).unwrap();
        assert_eq!(peer_of(&made).authorization.as_ref().unwrap().expose_secret(), sent);
    }
}

#[test]
fn every_mistake_is_told_with_its_word() {
    let tool = |name: &str, parameters: Value| {
        let tool = json!({"name": name, "description": "", "url": "https://t.test", "parameters": parameters});
        of("openai", &json!({"model": "m", "tools": [tool.clone(), tool]}))
    };
    let both = |key: &str, value: &str| {
        let mut draft = of("rasa", &json!({}));
        draft[key] = json!(value);
        draft
    };
    let mut kit = of("botkit", &json!({"client_id": "c", "component": "c"}));
    kit["id"] = json!("st-00000000-0000-4000-8000-000000000000");
    for (draft, expected) in [
        (json!({"connector": {}}), "connector.kind: one of rasa"),
        (of("alexa", &json!({})), "\"alexa\" is none of"),
        (of("openai", &json!({})), "connector.model: is needed"),
        (of("openai", &json!({"model": "m", "temperature": 3})), "connector.temperature"),
        (of("rasa", &json!({"model": "m"})), "connector.model: rasa has no such word"),
        (of("rasa", &json!({"replies": "auto"})), "connector.replies: rasa has no such word"),
        (of("bot-framework", &json!({"replies": "both"})), "connector.replies: auto, expect"),
        (of("bot-framework", &json!({"idle": "1h"})), "connector.idle"),
        (of("rasa-actions", &json!({})), "connector.action: is needed"),
        (of("botkit", &json!({"client_id": "cs-1"})), "connector.component"),
        (of("rasa", &json!({"attempts": 99})), "connector.attempts"),
        (of("rasa", &json!({"url": null})), "connector.url: not an http"),
        (of("rasa", &json!({"deadline": "2h"})), "connector.deadline"),
        (both("http", "https://a.test"), "logic: a bot is one of"),
        (both("source", "say(1)"), "logic: a bot is one of"),
        (tool("b c", json!({})), "is not 1 to 64"),
        (tool("b", json!(3)), "b: parameters are a JSON Schema"),
        (tool("b", json!({})), "two have one name"),
        (kit, "UUID of version 5"),
    ] {
        let why = bot(draft.clone()).unwrap_err();
        assert!(why.contains(expected), "{draft}: {why}");
    }
}
