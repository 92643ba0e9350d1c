//! `up`: the demo, its printed commands, its end.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{Data, PATIENCE, say, stderr, stdout, switchhook};

/// The commands that `up` printed, from `curl` to the end of each.
fn commands(printed: &str) -> Vec<String> {
    let blocks = printed.split("\n# ").skip(1);
    let curl = |block: &str| {
        let lines = block.lines().skip_while(|line| !line.starts_with("curl"));
        let mut command = String::new();
        for line in lines {
            command.push_str(line);
            command.push('\n');
            if !line.ends_with('\\') {
                break;
            }
        }
        command
    };
    blocks.map(curl).filter(|command| !command.is_empty()).collect()
}

async fn sh(command: &str) -> std::process::Output {
    let run = tokio::process::Command::new("sh").args(["-c", command]).output();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_printed_commands_work_as_they_stand_in_both_modes() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let commands = commands(&up.printed());
    assert_eq!(commands.len(), 2, "{}", up.printed());
    let answer = sh(&commands[0]).await;
    let text = stdout(&answer);
    assert!(answer.status.success(), "{}", stderr(&answer));
    assert_eq!(text.trim(), r#"{"text":"hello"}"#, "{}", up.log());
    let answer = sh(&commands[1]).await;
    assert!(answer.status.success(), "{}", stderr(&answer));
    assert_eq!(stdout(&answer), "", "an asynchronous answer has no body");
    let got = testkit::until("the POST at the demo's endpoint", || async {
        let printed = up.printed();
        printed.lines().find(|line| line.starts_with("POST_URL got ")).map(str::to_owned)
    });
    let got = got.await;
    let body: serde_json::Value = serde_json::from_str(got.split_once(": ").unwrap().1).unwrap();
    assert_eq!(body["text"], "hello", "{got}");
    assert_eq!(body["to"], "demo-user", "{got}");
    assert_eq!(body["from"], data.demo()["bots"][0]["bot_id"], "{got}");
}

#[tokio::test]
async fn the_demo_file_tells_all_that_a_script_needs_and_only_its_owner() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let path = data.path().join("demo.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let demo = data.demo();
    assert_eq!(demo["host_url"], up.host.as_str());
    assert_eq!(demo["admin_url"], up.admin.as_str());
    let app = &demo["apps"][0];
    assert!(app["client_id"].as_str().unwrap().starts_with("cs-"));
    assert!(app["client_secret"].as_str().unwrap().len() >= 32);
    let bot = &demo["bots"][0];
    let bot_id = bot["bot_id"].as_str().unwrap();
    assert!(bot_id.starts_with("st-"));
    assert_eq!(bot["name"], "echo");
    let [sync, post] = bot["channels"].as_array().unwrap().as_slice() else {
        panic!("not two channels: {bot}");
    };
    assert_eq!((&sync["mode"], &post["mode"]), (&"sync".into(), &"async".into()));
    assert_eq!(sync["url"], format!("{}/chatbot/hooks/{bot_id}", up.host));
    let instance = post["webhook_id"].as_str().unwrap();
    assert!(instance.starts_with("ivrInst-"));
    assert_eq!(post["url"], format!("{}/chatbot/hooks/{bot_id}/hookInstance/{instance}", up.host));
    assert!(sync["post_url"].is_null());
    assert!(post["post_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    for channel in [sync, post] {
        assert_eq!(channel["client_id"], app["client_id"]);
    }
}

#[tokio::test]
async fn a_second_start_finds_the_same_demo_and_its_endpoint() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let first = data.demo();
    assert_eq!(up.stop().await, Some(0));
    let up = data.up(&[]).await;
    let second = data.demo();
    assert_eq!(first["apps"], second["apps"]);
    let ids = |demo: &serde_json::Value| {
        let channels = demo["bots"][0]["channels"].as_array().unwrap().clone();
        channels
            .into_iter()
            .map(|channel| (channel["webhook_id"].clone(), channel["post_url"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&second));
    let post = commands(&up.printed()).pop().unwrap();
    assert!(sh(&post).await.status.success());
    testkit::until("the POST after the restart", || async {
        up.printed().contains("POST_URL got ")
    })
    .await;
}

#[tokio::test]
async fn without_a_demo_nothing_is_seeded() {
    let data = Data::new();
    let up = data.up(&["--no-demo"]).await;
    assert!(!data.path().join("demo.json").exists());
    assert_eq!(data.json(&["app", "list"]), serde_json::json!([]));
    assert!(!up.printed().contains("curl"), "{}", up.printed());
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn a_registry_that_is_not_empty_gets_no_demo() {
    let data = Data::new();
    data.run(&["app", "add", "--name", "mine"]);
    let up = data.up(&[]).await;
    assert!(!data.path().join("demo.json").exists());
    assert_eq!(data.json(&["bot", "list"]), serde_json::json!([]));
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn a_start_that_was_killed_while_it_seeded_is_taken_up_where_it_ended() {
    let data = Data::new();
    let app = data.json(&["app", "add", "--name", "demo"]);
    let bot = data.json(&["bot", "add", "--name", "echo"]);
    std::fs::write(data.path().join("demo.unfinished"), "").unwrap();
    let up = data.up(&[]).await;
    let demo = data.demo();
    assert_eq!(demo["apps"][0]["client_id"], app["client_id"]);
    assert_eq!(demo["bots"][0]["bot_id"], bot["bot_id"]);
    assert_eq!(demo["bots"][0]["channels"].as_array().unwrap().len(), 2);
    let answer = sh(&commands(&up.printed())[0]).await;
    assert_eq!(stdout(&answer).trim(), r#"{"text":"hello"}"#, "{}", stderr(&answer));
    assert!(!data.path().join("demo.unfinished").exists());
    assert_eq!(up.stop().await, Some(0));
    // From now on it is a demo like any other.
    let up = data.up(&[]).await;
    assert_eq!(data.demo()["bots"][0]["channels"].as_array().unwrap().len(), 2);
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn a_second_up_on_the_same_folder_is_refused_and_says_why() {
    let data = Data::new();
    let mut up = data.up(&[]).await;
    let mut second = data.start(&[]);
    assert_eq!(second.ended().await, Some(69), "{}", second.log());
    let said = second.log();
    assert!(said.contains("in use by another process"), "{said}");
    assert!(said.contains(&data.path().to_string_lossy().into_owned()), "{said}");
    // The first one is none the worse.
    let demo = data.demo();
    let token = data.run(&["token", "--app", "demo"]);
    let url = demo["bots"][0]["channels"][0]["url"].as_str().unwrap();
    let answer = say(url, token.trim(), "u", "still there").await;
    assert_eq!(answer.body, r#"{"text":"still there"}"#);
    up.signal("TERM");
    assert_eq!(up.ended().await, Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_and_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = Data::new();
    let (code, said) = data.fails(&["up", "--listen", &address, "--admin-listen", "127.0.0.1:0"]);
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("ingress.listen") && said.contains(&address), "{said}");
}

/// A bot that answers when it is told to, and tells when it was asked.
struct SlowBot {
    url: String,
    asked: Arc<Notify>,
    go: Arc<Notify>,
    _server: JoinSet<()>,
}

impl SlowBot {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&asked), Arc::clone(&go));
        let answer = move || async move {
            tell.notify_one();
            wait.notified().await;
            r#"{"messages":["at last"]}"#
        };
        let router = axum::Router::new().fallback(answer);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, go, _server: server }
    }
}

#[tokio::test]
async fn on_sigterm_what_was_begun_is_answered_and_then_it_ends_well() {
    let data = Data::new().set("egress.allow", "127.0.0.0/8");
    let mut up = data.up(&[]).await;
    let bot = SlowBot::start().await;
    data.run(&["bot", "add", "--name", "slow", "--http", &bot.url]);
    let add = ["channel", "add", "--name", "c", "--bot", "slow", "--app", "demo", "--approve"];
    let url = data.json(&add)["url"].as_str().unwrap().to_owned();
    let token = data.run(&["token", "--app", "demo"]);
    let mut asking = JoinSet::new();
    asking.spawn(async move {
        // The process reads its registry a moment after the command.
        loop {
            let answer = say(&url, token.trim(), "u", "slow").await;
            if answer.status != 401 {
                return answer;
            }
        }
    });
    tokio::time::timeout(PATIENCE, bot.asked.notified()).await.unwrap();
    up.signal("TERM");
    testkit::until("the word that it stops", || async { up.log().contains("SIGTERM: stopping") })
        .await;
    bot.go.notify_one();
    let answer = asking.join_next().await.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{}", up.log());
    assert_eq!(answer.body, r#"{"text":"at last"}"#);
    assert_eq!(up.ended().await, Some(0), "{}", up.log());
}

#[tokio::test]
async fn what_was_accepted_and_not_finished_is_finished_by_the_next_start() {
    let data = Data::new().set("lifecycle.drain", "500ms").set("egress.allow", "127.0.0.0/8");
    let mut up = data.up(&[]).await;
    let bot = SlowBot::start().await;
    data.run(&["bot", "add", "--name", "slow", "--http", &bot.url]);
    let post_url = data.demo()["bots"][0]["channels"][1]["post_url"].as_str().unwrap().to_owned();
    let add = [
        "channel",
        "add",
        "--name",
        "c",
        "--bot",
        "slow",
        "--app",
        "demo",
        "--approve",
        "--post-url",
        &post_url,
    ];
    let url = data.json(&add)["url"].as_str().unwrap().to_owned();
    let token = data.run(&["token", "--app", "demo"]);
    testkit::until("the new channel", || async {
        say(&url, token.trim(), "u", "slow").await.status == 200
    })
    .await;
    tokio::time::timeout(PATIENCE, bot.asked.notified()).await.unwrap();
    up.signal("TERM");
    assert_eq!(up.ended().await, Some(0), "{}", up.log());
    let up = data.up(&[]).await;
    bot.go.notify_one();
    testkit::until("the answer after the restart", || async {
        bot.go.notify_one();
        up.printed().contains("at last")
    })
    .await;
}

#[test]
fn the_version_and_the_help_are_no_errors() {
    for argument in ["--version", "--help", "help"] {
        let output = switchhook(&[argument]).output().unwrap();
        assert!(output.status.success(), "{argument}: {}", stderr(&output));
        assert!(stdout(&output).contains("switchhook"), "{argument}");
    }
    let bad = Command::new(env!("CARGO_BIN_EXE_switchhook")).arg("serve").output().unwrap();
    assert_eq!(bad.status.code(), Some(64));
}
