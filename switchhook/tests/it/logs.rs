//! Log lines: every field is documented, every outcome has its line, and the level can be changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Data, Up, say};

const CRATES: [&str; 7] =
    ["shared", "ingress", "dispatcher", "deliverer", "console", "switchhook", "script"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The fields of the page.
fn documented() -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let table = page.split("## Fields").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells.flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`').to_owned())).collect()
}

/// The arguments of every macro that logs, in a file.
fn arguments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("tracing::") {
        let rest = &text[at + "tracing::".len()..];
        let Some((name, body)) = rest.split_once("!(") else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            continue;
        }
        let (mut depth, mut quoted, mut escaped, mut argument) = (0, false, false, String::new());
        for c in body.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.push(std::mem::take(&mut argument));
                    continue;
                }
                _ => {}
            }
            argument.push(c);
        }
        found.push(argument);
    }
    found
}

/// The name of the field that an argument tells, if it is one.
fn field(argument: &str) -> Option<String> {
    let argument = argument.trim();
    if argument.is_empty() || argument.starts_with('"') || argument.starts_with("target:") {
        return None;
    }
    let name = argument.split('=').next()?.trim().trim_start_matches(['%', '?']);
    Some(name.to_owned())
}

/// Every field that stands in the code of the product, and one file where it does.
fn coded() -> BTreeMap<String, PathBuf> {
    let mut fields = BTreeMap::new();
    let mut folders: Vec<_> = CRATES.iter().map(|name| root().join(name).join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for argument in arguments(&text) {
                fields.extend(field(&argument).map(|field| (field, path.clone())));
            }
        }
    }
    fields
}

#[test]
fn every_field_in_the_code_is_on_the_page_and_the_other_way_round() {
    let (page, code) = (documented(), coded());
    let missing: Vec<_> = code.iter().filter(|(name, _)| !page.contains(*name)).collect();
    assert!(missing.is_empty(), "not in docs/logs.md: {missing:?}");
    let formats = ["timestamp", "level", "message", "target", "span"];
    let gone: Vec<_> = page
        .iter()
        .filter(|name| !code.contains_key(*name) && !formats.contains(&name.as_str()))
        .collect();
    assert!(gone.is_empty(), "only in docs/logs.md: {gone:?}");
    assert!(code.len() > 30, "the code is not being read: {code:?}");
}

#[test]
fn the_reader_of_code_sees_fields() {
    let text = r#"tracing::warn!(target: X, a.b = f(1, "x, y"), %c, d = ?e, "a (b), c");"#;
    let found: Vec<_> = arguments(text).iter().filter_map(|argument| field(argument)).collect();
    assert_eq!(found, ["a.b", "c", "d"]);
}

/// The lines of a process that logs JSON; every one must be an object.
fn lines(up: &Up) -> Vec<Value> {
    let log = up.log();
    // The last one may be half written.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    whole.lines().map(parse).collect()
}

async fn line(up: &Up, message: &str, which: impl Fn(&Value) -> bool) -> Value {
    testkit::until(message, || async {
        lines(up).into_iter().find(|line| line["message"] == message && which(line))
    })
    .await
}

#[tokio::test]
async fn a_turn_an_attempt_and_a_refusal_have_one_line_each_with_documented_fields() {
    let data = Data::new().set("log.format", "json");
    let up = data.up(&[]).await;
    let channels = data.demo()["bots"][0]["channels"].clone();
    let token = data.run(&["token", "--app", "demo"]);
    for channel in channels.as_array().unwrap() {
        let url = channel["url"].as_str().unwrap();
        assert_eq!(say(url, token.trim(), "u", "hello").await.status, 200);
    }
    let refused = say(channels[0]["url"].as_str().unwrap(), "no token", "u", "hello").await;
    let refused: Value = serde_json::from_str(&refused.body).unwrap();
    let refusal = line(&up, "a request was refused", |_| true).await;
    assert_eq!((&refusal["refusal.id"], &refusal["status"]), (&refused["_t"], &401.into()));
    assert_eq!(
        (refusal["reason"].as_str(), refusal["route"].as_str()),
        (Some("unauthenticated"), Some("hook"))
    );

    let attempt = line(&up, "an attempt has ended", |_| true).await;
    assert_eq!((attempt["outcome"].as_str(), &attempt["attempt"]), (Some("delivered"), &1.into()));
    let delivery = attempt["delivery.id"].as_str().unwrap();
    let turn =
        line(&up, "a turn is settled", |line| delivery.contains(line["turn.id"].as_str().unwrap()))
            .await;
    assert_eq!(turn["channel.id"], attempt["channel.id"]);
    assert_eq!(turn["trace.id"], attempt["trace.id"], "one trace from end to end");
    // The client brought no trace: it has the turn's id.
    assert_eq!(turn["trace.id"], turn["turn.id"]);
    for number in ["queued_ms", "took_ms"] {
        assert!(turn[number].is_u64(), "{turn}");
    }
    let settled = lines(&up).into_iter().filter(|line| line["message"] == "a turn is settled");
    let settled: Vec<_> = settled.map(|line| line["turn.id"].clone()).collect();
    assert_eq!(settled.len(), 2, "one line for each turn: {settled:?}");

    let page = documented();
    for line in lines(&up) {
        let target = line["target"].as_str().unwrap();
        let ours = CRATES.iter().any(|name| target == "outcome" || target.starts_with(name));
        let unknown = line.as_object().unwrap().keys().find(|field| ours && !page.contains(*field));
        assert_eq!(unknown, None, "{line}");
    }
}

#[tokio::test]
async fn the_level_is_changed_for_a_while_by_a_command_and_comes_back_by_itself() {
    let data = Data::new().set("log.level", "warn");
    let up = data.up(&[]).await;
    let url = data.demo()["bots"][0]["channels"][0]["url"].as_str().unwrap().to_owned();
    let token = data.run(&["token", "--app", "demo"]);
    let level = |arguments: &[&str]| {
        let arguments = [&["log-level", "--url", &up.admin], arguments].concat();
        data.run(&arguments).trim().to_owned()
    };
    assert_eq!(level(&[]), "warn");
    assert_eq!(say(&url, token.trim(), "u", "hello").await.status, 200);
    assert!(!up.log().contains("a turn is settled"));
    assert!(
        level(&["dispatcher=debug,outcome=info", "--for", "2s"]).ends_with("s more, then warn")
    );
    assert_eq!(say(&url, token.trim(), "u", "hello").await.status, 200);
    testkit::until("the line of a turn", || async { up.log().contains("a turn is settled") }).await;
    testkit::until("the end of the change", || async { level(&[]) == "warn" }).await;
    level(&["debug", "--for", "1h"]);
    assert_eq!(level(&["restore"]), "warn");
    let (code, said) = data.fails(&["log-level", "--url", &up.admin, "hyper=trace"]);
    assert!(code == 64 && said.contains("a target is one of"), "{code}: {said}");
}

#[tokio::test]
async fn healthcheck_tells_whether_a_process_is_alive_and_ready() {
    let data = Data::new();
    let up = data.up(&["--no-demo"]).await;
    assert_eq!(data.run(&["healthcheck", "--url", &up.admin]), "alive\n");
    assert_eq!(data.run(&["healthcheck", "--ready", "--url", &up.admin]), "ready\n");
    let admin = up.admin.clone();
    assert_eq!(up.stop().await, Some(0));
    assert_eq!(data.fails(&["healthcheck", "--url", &admin]).0, 69);
}
