//! `app`, `bot`, `channel`, with and without an `up` that holds the folder.

use serde_json::Value;

use crate::support::{Data, say};

/// An app, a bot and a channel that awaits approval; their ids.
fn three(data: &Data, name: &str) -> (String, String, Value) {
    let app = data.json(&["app", "add", "--name", name]);
    let bot = data.json(&["bot", "add", "--name", name]);
    let channel = data.json(&["channel", "add", "--name", name, "--bot", name, "--app", name]);
    (text(&app, "client_id"), text(&bot, "bot_id"), channel)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
}

#[test]
fn what_is_added_is_listed_and_shown_and_its_secret_only_once() {
    let data = Data::new();
    let app = data.json(&["app", "add", "--name", "shop", "--algorithm", "hs512"]);
    assert!(text(&app, "client_id").starts_with("cs-"));
    assert_eq!(app["algorithm"], "HS512");
    let secret = text(&app, "client_secret");
    assert!(secret.len() >= 64);
    let shown = data.json(&["app", "show", "shop"]);
    assert_eq!(shown["client_id"], app["client_id"]);
    assert!(shown.get("client_secret").is_none(), "{shown}");
    assert!(!data.run(&["app", "list"]).contains(&secret));
    let bot =
        data.json(&["bot", "add", "--name", "clerk", "--http", "https://bots.example.com/v1"]);
    assert_eq!(
        (&bot["logic"], &bot["url"]),
        (&"http".into(), &"https://bots.example.com/v1".into())
    );
    let channel = data.json(&[
        "channel",
        "add",
        "--name",
        "web",
        "--bot",
        "clerk",
        "--app",
        "shop",
        "--post-url",
        "https://example.com/hook",
        "--retry",
        "1s,2s",
        "--jitter",
        "0.5",
    ]);
    let signing = text(&channel["endpoint"], "signing_secret");
    assert!(signing.starts_with("whsec_"));
    let shown = data.json(&["channel", "show", "clerk/web"]);
    assert_eq!(shown["endpoint"]["retry"], "1000ms,2000ms");
    assert_eq!(shown["state"], "awaiting approval");
    assert!(shown["endpoint"].get("signing_secret").is_none(), "{shown}");
    // At rest, too.
    let file = std::fs::read(data.path().join("switchhook.db")).unwrap();
    for secret in [secret, signing] {
        let found = file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "a secret lies open in the file");
    }
}

#[test]
fn the_first_channel_of_a_bot_has_the_short_url_and_the_others_an_instance() {
    let data = Data::new();
    let (_, bot, first) = three(&data, "a");
    let second = data.json(&["channel", "add", "--name", "b", "--bot", "a", "--app", "a"]);
    let host = "http://127.0.0.1:8080";
    assert_eq!(text(&first, "url"), format!("{host}/chatbot/hooks/{bot}"));
    let instance = text(&second, "webhook_id");
    assert_eq!(text(&second, "url"), format!("{host}/chatbot/hooks/{bot}/hookInstance/{instance}"));
    assert_eq!(second["ordinal"], 2);
    let listed = data.json(&["channel", "list", "--bot", "a"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

#[test]
fn mistakes_are_refused_in_words_and_leave_nothing_behind() {
    let data = Data::new();
    three(&data, "a");
    let table: &[(&[&str], &str)] = &[
        (&["app", "add", "--name", "a"], "already"),
        (&["app", "add", "--name", "x", "--algorithm", "none"], "none of HS256"),
        (&["app", "add", "--name", "x", "--id", "cs-1"], "is not cs- and a UUID"),
        (&["bot", "add", "--name", "a"], "already"),
        (&["bot", "add", "--name", "x", "--http", "ftp://x"], "not an http or https URL"),
        (&["channel", "add", "--name", "a", "--bot", "a", "--app", "a"], "a"),
        (&["channel", "add", "--name", "x", "--bot", "nobody", "--app", "a"], "no bot \"nobody\""),
        (&["channel", "add", "--name", "x", "--bot", "a", "--app", "b"], "no app \"b\""),
        (&["channel", "approve", "nothing"], "no channel \"nothing\""),
        (&["channel", "suspend", "a"], "cannot be suspended"),
        (&["app", "show", "b"], "no app \"b\""),
    ];
    for (arguments, words) in table {
        let (code, said) = data.fails(arguments);
        assert_eq!(code, 65, "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    for what in ["app", "bot", "channel"] {
        assert_eq!(data.json(&[what, "list"]).as_array().unwrap().len(), 1, "{what}");
    }
}

#[test]
fn a_channels_own_messages_are_given_by_file_and_changed_by_key() {
    let data = Data::new();
    three(&data, "a");
    let file = data.file("own.json", r#"{"error": "Call us.", "say-hi": "Ahoy!"}"#);
    let add = ["channel", "add", "--name", "b", "--bot", "a", "--app", "a", "--overrides-file"];
    let added = data.json(&[&add[..], &[&file]].concat());
    assert_eq!(added["overrides"]["say-hi"], "Ahoy!");
    let template = r#"overrides.menu={"type":"a_clients_own"}"#;
    data.run(&["channel", "set", "a/b", "overrides.say-hi=42", "overrides.error=", template]);
    let expected = serde_json::json!({"menu": {"type": "a_clients_own"}, "say-hi": "42"});
    assert_eq!(data.json(&["channel", "show", "a/b"])["overrides"], expected);
    let wrong = r#"overrides.menu={"type":"template"}"#;
    let (code, said) = data.fails(&["channel", "set", "a/b", wrong]);
    assert!(code == 65 && said.contains("overrides.menu: a template has a payload"), "{said}");
    let file = data.file("wrong.json", "[]");
    let add = ["channel", "add", "--name", "c", "--bot", "a", "--app", "a", "--overrides-file"];
    let (code, said) = data.fails(&[&add[..], &[&file]].concat());
    assert!(code == 64 && said.contains("not a JSON object of messages"), "{code} {said}");
}

#[tokio::test]
async fn a_channel_works_from_its_approval_to_its_suspension_without_a_restart() {
    let data = Data::new();
    let up = data.up(&["--no-demo"]).await;
    let (app, _, channel) = three(&data, "a");
    let url = text(&channel, "url");
    assert!(url.starts_with(&up.host), "the running process knows its address: {url}");
    let token = data.run(&["token", "--app", &app]);
    let token = token.trim();
    let until = async |status: u16, words: &str| {
        testkit::until(words, || async {
            let answer = say(&url, token, "u", "hello").await;
            answer.status == status && answer.body.contains(words)
        })
        .await;
    };
    until(403, "awaiting approval").await;
    assert_eq!(data.json(&["channel", "approve", "a/a"])["state"], "live");
    until(200, "hello").await;
    assert_eq!(data.json(&["channel", "suspend", "a/a"])["state"], "suspended");
    until(403, "suspended").await;
    data.run(&["channel", "approve", "a/a"]);
    until(200, "hello").await;
    let second =
        data.json(&["channel", "add", "--name", "second", "--bot", "a", "--app", "a", "--approve"]);
    let second = text(&second, "url");
    testkit::until("the second channel", || async {
        say(&second, token, "u", "two").await.body == r#"{"text":"two"}"#
    })
    .await;
    assert_eq!(up.stop().await, Some(0));
    // And the folder is free again.
    assert_eq!(data.json(&["channel", "list"]).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_the_owner_can_reach_a_running_process() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = Data::new();
    let up = data.up(&["--no-demo"]).await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data.path()), 0o700);
    assert_eq!(mode(data.path().join("control.sock")), 0o600);
    assert_eq!(up.stop().await, Some(0));
    assert!(!data.path().join("control.sock").exists());
}

#[tokio::test]
async fn a_user_is_erased_and_parked_deliveries_are_sent_again() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let url = data.demo()["bots"][0]["channels"][0]["url"].as_str().unwrap().to_owned();
    let token = data.run(&["token", "--app", "demo"]);
    assert_eq!(say(&url, token.trim(), "gone", "remember me").await.status, 200);
    let erased = data.json(&["user", "erase", "--channel", "echo/sync", "--user", "gone"]);
    assert!(erased["rows"].as_u64().unwrap() > 0, "{erased}");
    let again = data.json(&["user", "erase", "--channel", "echo/sync", "--user", "nobody"]);
    assert_eq!(again["rows"], 0);
    let redriven = data.json(&["delivery", "redrive", "--channel", "echo/async", "--user", "gone"]);
    assert_eq!(redriven["rows"], 0);
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn after_a_rotation_both_secrets_work_and_after_a_second_without_overlap_only_the_new_one() {
    let data = Data::new();
    let (client, _, channel) = three(&data, "shop");
    data.run(&["channel", "approve", "shop"]);
    let up = data.up(&["--no-demo"]).await;
    let url = text(&data.json(&["channel", "show", "shop"]), "url");
    let token = || data.run(&["token", "--app", "shop"]).trim().to_owned();
    let first = token();
    let rotated = data.json(&["app", "rotate", "shop"]);
    assert!(text(&rotated, "client_secret").len() >= 40);
    assert!(rotated["previous_until_ms"].as_u64().is_some());
    assert!(data.json(&["app", "show", &client]).get("client_secret").is_none());
    let second = token();
    assert_ne!(first, second);
    let status = async |token: &str| say(&url, token, "ann", "hi").await.status;
    testkit::until("the new secret", || async { status(&second).await == 200 }).await;
    assert_eq!(status(&first).await, 200, "the overlap");
    data.run(&["app", "rotate", "shop", "--overlap", "0s"]);
    let third = token();
    testkit::until("the newest secret", || async { status(&third).await == 200 }).await;
    assert_eq!((status(&first).await, status(&second).await), (401, 401));
    let (code, why) = data.fails(&["app", "remove", "shop"]);
    assert_eq!(code, 65, "{why}");
    assert!(why.contains(&text(&channel, "webhook_id")), "{why}");
    assert_eq!(up.stop().await, Some(0));
}
