//! Editing, publishing, approving, importing, people and tokens, by command.

use serde_json::Value;

use std::time::Duration;

use crate::support::{Data, Up, http, say};

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
}

#[test]
fn an_edit_runs_when_its_request_is_approved() {
    let data = Data::new();
    data.json(&["app", "add", "--name", "shop"]);
    data.json(&["bot", "add", "--name", "clerk"]);
    data.json(&["channel", "add", "--name", "web", "--bot", "clerk", "--app", "shop", "--approve"]);
    let edited = data.json(&["channel", "set", "clerk/web", "deadline=7s", "rate=3"]);
    assert_eq!((&edited["unpublished"], &edited["deadline_ms"]), (&true.into(), &7_000.into()));
    let asked = data.json(&["bot", "publish", "clerk", "--channels", "web", "--comment", "faster"]);
    let words: Vec<_> =
        asked["differences"].as_array().unwrap().iter().map(|d| text(d, "word")).collect();
    assert_eq!(words, ["deadline", "rate"]);
    let id = text(&asked, "request_id");
    assert!(data.run(&["request", "list"]).contains(&id));
    let done = data.json(&["request", "approve", &id, "--why", "fine"]);
    assert_eq!(done["decision"]["outcome"], "approved");
    assert_eq!(data.json(&["channel", "show", "web"])["unpublished"], false);
    assert!(data.run(&["request", "list", "--decided"]).contains("approved"));
    let (code, why) = data.fails(&["request", "approve", &id]);
    assert_eq!(code, 65, "{why}");
    let audit = data.json(&["audit", "--limit", "2"]);
    assert_eq!(audit[0]["action"], "publish.approve");
    assert_eq!(audit[0]["actor"], "command line");
}

#[test]
fn a_secret_may_be_all_that_is_set() {
    let data = Data::new();
    data.json(&["app", "add", "--name", "shop"]);
    data.json(&["bot", "add", "--name", "clerk"]);
    let add = ["channel", "add", "--name", "web", "--bot", "clerk", "--app", "shop", "--approve"];
    data.json(&[&add[..], &["--post-url", "https://shop.example/"]].concat());
    let token = format!("access_token={}", data.file("token", "never-a-real-one"));
    let edited = data.json(&["channel", "set", "web", "--secret-file", &token]);
    assert_eq!(edited["unpublished"], true, "{edited}");
    let (code, _) = data.fails(&["channel", "set", "web"]);
    assert_eq!(code, 64);
    assert!(data.run(&["vault", "reseal"]).starts_with("0 of "));
}

#[test]
fn a_bot_is_exported_imported_and_given_an_app() {
    let data = Data::new();
    data.json(&["app", "add", "--name", "shop"]);
    data.json(&["bot", "add", "--name", "clerk"]);
    data.json(&["channel", "add", "--name", "web", "--bot", "clerk", "--app", "shop"]);
    let document = data.run(&["bot", "export", "clerk"]);
    let file = data.file("clerk.json", &document);
    let imported = data.json(&["bot", "import", &file, "--name", "twin"]);
    let placeholder = text(&imported["placeholders"][0], "placeholder_id");
    assert!(data.run(&["placeholder", "list"]).contains(&placeholder));
    let channel = data.json(&["placeholder", "associate", &placeholder, "--app", "shop"]);
    assert_eq!(channel["state"], "draft");
    data.run(&["channel", "remove", "twin/web"]);
    data.run(&["bot", "remove", "twin"]);
    let (code, _) = data.fails(&["bot", "show", "twin"]);
    assert_eq!(code, 65);
}

#[test]
fn operators_and_tokens_are_made_and_removed_and_their_secrets_shown_once() {
    let data = Data::new();
    let ann = data.json(&["operator", "add", "--name", "ann", "--role", "admin"]);
    let password = text(&ann, "password");
    assert!(password.len() >= 40);
    let added =
        ["api-token", "add", "--name", "ci", "--operator", "ann", "--scopes", "read,approve"];
    let token = data.json(&added);
    let secret = text(&token, "token");
    assert!(secret.starts_with("shk_"));
    let listed = [data.run(&["operator", "list"]), data.run(&["api-token", "list"])].concat();
    assert!(!listed.contains(&secret) && !listed.contains(&password));
    let file = std::fs::read(data.path().join("switchhook.db")).unwrap();
    for needle in [secret.as_bytes(), password.as_bytes()] {
        assert!(!file.windows(needle.len()).any(|window| window == needle));
    }
    data.run(&["api-token", "remove", &text(&token, "token_id")]);
    let (code, why) = data.fails(&["operator", "remove", "ann"]);
    assert!(code == 65 && why.contains("last admin"), "{why}");
    let (code, _) = data.fails(&["operator", "add", "--name", "bob", "--role", "king"]);
    assert_eq!(code, 64);
}

/// Where `up` says that it serves the admin API.
fn api(up: &Up) -> Option<String> {
    let log = up.log();
    let line = log.lines().find(|line| line.contains("the pages and the admin API are served"))?;
    let from = line.find("127.0.0.1:")?;
    let address: String =
        line[from..].chars().take_while(|c| c.is_ascii_digit() || ['.', ':'].contains(c)).collect();
    Some(format!("http://{address}/api/admin/v1"))
}

#[tokio::test]
async fn a_channel_is_refused_until_it_is_approved_through_the_api_and_then_answers_at_once() {
    let data = Data::new().set("console.listen", "127.0.0.1:0");
    let up = data.up(&["--no-demo"]).await;
    let api = testkit::until("the admin API", || async { api(&up) }).await;
    data.json(&["operator", "add", "--name", "ann", "--role", "admin"]);
    let scopes = "read,configure,approve";
    let token = ["api-token", "add", "--name", "ci", "--operator", "ann", "--scopes", scopes];
    let token = text(&data.json(&token), "token");
    let ask = async |path: &str, body: &str| {
        let headers =
            [format!("Authorization: Bearer {token}"), "Content-Type: application/json".to_owned()];
        let answer = http("POST", &format!("{api}{path}"), &headers, body).await;
        assert!([200, 201].contains(&answer.status), "{path}: {answer:?}");
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    ask("/apps", r#"{"name":"shop"}"#).await;
    ask("/bots", r#"{"name":"clerk"}"#).await;
    let channel = ask("/channels", r#"{"bot":"clerk","app":"shop","name":"web"}"#).await;
    let url = text(&channel, "url");
    let client = data.run(&["token", "--app", "shop"]).trim().to_owned();
    let request = ask("/bots/clerk/publish-requests", r#"{"channels":["web"]}"#).await;
    let refused = || async {
        let answer = say(&url, &client, "ann", "hi").await;
        answer.status == 403 && answer.body.contains("awaiting approval")
    };
    testkit::until("a refusal in words", refused).await;
    let id = text(&request, "request_id");
    ask(&format!("/publish-requests/{id}/approve"), "{}").await;
    let approved = tokio::time::Instant::now();
    let answers = || async { say(&url, &client, "ann", "hi").await.status == 200 };
    testkit::until("an answer", answers).await;
    // Unannounced, it would be read after half a minute.
    assert!(approved.elapsed() < Duration::from_secs(5), "{:?}", approved.elapsed());
    assert_eq!(up.stop().await, Some(0));
}
