//! Every block of the page about connectors: its bots can be applied, and each answers as the page says to
//! what the page says.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use console::office::apply::RegistryFile;
use console::office::validate;
use dispatcher::rehearsal::{self, Rehearsal};
use serde_json::{Value, json};
use shared::config::load_from;
use shared::entropy::Entropy;
use tokio::task::JoinSet;

use crate::support::Data;

struct Section {
    kind: String,
    registry: String,
    sent: Value,
    answered: String,
    talk: String,
}

/// Each section with its four blocks; there are no others on the page.
fn sections() -> Vec<Section> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/connectors.md")).unwrap();
    assert_eq!(page.matches("```").count(), 2 * 4 * 7);
    let sections = page.split("\n## `").skip(1).map(|section| {
        let (kind, _) = section.split_once('`').unwrap();
        let blocks: Vec<_> = section.split("```").skip(1).step_by(2).collect();
        let [registry, sent, answered, talk] = blocks[..] else { panic!("{kind}: {blocks:?}") };
        let of = |block: &str, language: &str| {
            block.strip_prefix(language).unwrap_or_else(|| panic!("{kind}: {block}")).to_owned()
        };
        Section {
            kind: kind.to_owned(),
            registry: of(registry, "toml"),
            sent: serde_json::from_str(&of(sent, "json")).unwrap(),
            answered: of(answered, "json"),
            talk: of(talk, "yaml"),
        }
    });
    sections.collect()
}

/// Whether everything that is expected is there; `…` stands for anything.
fn holds(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(text), got) if text == "…" => !got.is_null(),
        (Value::Object(expected), Value::Object(got)) => {
            let same = |(key, value)| holds(value, got.get(key).unwrap_or(&Value::Null));
            expected.iter().all(same)
        }
        (Value::Array(expected), Value::Array(got)) => {
            let same = |(expected, got): (&Value, &Value)| holds(expected, got);
            expected.len() == got.len() && expected.iter().zip(got).all(same)
        }
        (expected, got) => expected == got,
    }
}

/// A peer that answers everything alike, and what it was asked last.
async fn peer(answer: String) -> (JoinSet<()>, String, Arc<Mutex<Value>>) {
    let asked = Arc::new(Mutex::new(Value::Null));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let kept = Arc::clone(&asked);
    let app = Router::new().fallback(move |body: Bytes| async move {
        *kept.lock().unwrap() = serde_json::from_slice(&body).unwrap();
        ([(CONTENT_TYPE, "application/json")], answer)
    });
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (serving, host, asked)
}

#[tokio::test]
async fn every_kind_says_and_sends_what_the_page_shows() {
    let settings = load_from(None, &[("egress.allow", "127.0.0.0/8".to_owned())], []).unwrap();
    for section in sections() {
        let kind = &section.kind;
        let (_serving, host, asked) = peer(section.answered).await;
        let mut file: RegistryFile = toml::from_str(&section.registry).unwrap();
        let draft = file.bots.remove(0);
        let mut draft = serde_json::to_value(&draft).unwrap();
        let url = draft["connector"]["url"].as_str().unwrap();
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        draft["connector"]["url"] = json!(format!("http://{host}/{path}"));
        let draft = serde_json::from_value(draft).unwrap();
        let bot = validate::bot(&draft, &Entropy::Real).unwrap();
        let mut rehearsal = Rehearsal::new(bot, &settings).unwrap();
        let talk = rehearsal::read(&section.talk).unwrap();
        if let Err(difference) = rehearsal.hold(&talk).await {
            panic!("{kind}:\n{difference}");
        }
        let asked = asked.lock().unwrap().clone();
        assert!(holds(&section.sent, &asked), "{kind}: {asked}\nis not\n{}", section.sent);
    }
}

#[test]
fn every_bot_of_the_page_can_be_applied_and_is_shown_by_its_kind() {
    let data = Data::new();
    for section in sections() {
        let file = data.file("registry.toml", &section.registry);
        let lines = data.json(&["apply", "--file", &file]);
        let bot = data.json(&["bot", "show", lines[0]["name"].as_str().unwrap()]);
        assert_eq!(bot["logic"], section.kind.as_str());
        assert!(!bot.to_string().contains("replace-me"), "{bot}");
    }
}

#[test]
fn a_connector_is_added_changed_and_refused_by_command() {
    let data = Data::new();
    let key = data.file("key", "sk-0123\n");
    let tools = data.file(
        "tools.json",
        r#"[{"name": "balance", "description": "Reads.", "url": "https://bank.test/"}]"#,
    );
    let add = ["bot", "add", "--name", "writer", "--connector", "openai", "--url"];
    let more = ["https://llm.test/v1", "--authorization-file", &key, "--tools-file", &tools];
    let (_, said) = data.fails(&[&add[..], &more].concat());
    assert!(said.contains("connector.model: is needed"), "{said}");
    data.run(&[&add[..], &more, &["--model", "small"]].concat());
    let (_, said) = data.fails(&["bot", "set", "writer", "connector.action=x"]);
    assert!(said.contains("connector.action: openai has no such word"), "{said}");
    data.run(&["bot", "set", "writer", "connector.model=large", "connector.history=6"]);
    let (_, said) = data.fails(&["bot", "set", "writer", "connector.url=https://other.test/"]);
    assert!(said.contains("give it again for another host"), "{said}");
    let exported = data.run(&["bot", "export", "writer"]);
    let exported: Value = serde_json::from_str(&exported).unwrap();
    let connector = &exported["bot"]["connector"];
    assert_eq!((&connector["model"], &connector["history"]), (&json!("large"), &json!(6)));
    assert_eq!(connector["tools"][0]["name"], "balance");
    assert!(!exported.to_string().contains("sk-0123"), "{exported}");
    let (code, said) = data.fails(&["bot", "test", "nothing.yaml"]);
    assert!(code == 64 && said.contains("--script"), "{code} {said}");
}

#[test]
fn bots_beside_a_bot_are_named_found_and_kept() {
    let data = Data::new();
    data.run(&["bot", "add", "--name", "other"]);
    for (more, why) in [
        (&["--fallback", "nobody"][..], "fallback: "),
        (&["--canary", "other"], "canary_percent"),
        (&["--canary", "other", "--canary-percent", "101"], "canary_percent"),
        (&["--canary-percent", "1"], "no canary"),
    ] {
        let (_, said) = data.fails(&[&["bot", "add", "--name", "main"][..], more].concat());
        assert!(said.contains(why), "{more:?}: {said}");
    }
    let beside = ["--fallback", "other", "--shadow", "other", "--canary", "other"];
    data.run(&[&["bot", "add", "--name", "main", "--canary-percent", "2.5"][..], &beside].concat());
    let (_, said) = data.fails(&["bot", "set", "main", "fallback=main"]);
    assert!(said.contains("it is the bot itself"), "{said}");
    let (_, said) = data.fails(&["bot", "remove", "other"]);
    assert!(said.contains("stands beside \"main\""), "{said}");
    let exported = data.run(&["bot", "export", "main"]);
    assert!(!exported.contains("fallback") && !exported.contains("canary"), "{exported}");
    data.run(&["bot", "set", "main", "fallback=", "shadow=", "canary=", "canary_percent="]);
    data.run(&["bot", "remove", "other"]);
    // A registry file names those that stand above it by their names.
    let text = "[[bots]]\nname = \"a\"\n[[bots]]\nname = \"b\"\nshadow = \"a\"\n";
    let file = data.file("registry.toml", text);
    assert_eq!(data.json(&["apply", "--file", &file])[1]["done"], "added");
    assert_eq!(data.json(&["apply", "--file", &file])[1]["done"], "unchanged");
}
