//! Independent clients: tokens of other libraries, curl, a bot in another language, signature checkers
//! from two package registries, and another AMQP client looking into the queues.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use e2e::rig;
use serde_json::{Value, json};
use testkit::system::{Shape, System};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

const BOT_ID: &str = "st-00000000-0000-5000-8000-00000000c11e";
const CLIENT_ID: &str = "cs-00000000-0000-5000-8000-00000000c11e";
const ASYNC_ID: &str = "ivrInst-00000000-0000-5000-8000-00000000c11f";
const SECRET: &str = "independent-clients-only-never-a-real-secret-0123";
const SIGNING_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const ACCESS_TOKEN: &str = "access-token-of-the-tests";
const WAIT_MAX: Duration = Duration::from_secs(30);

fn registry(bot: &str, post_url: &str) -> String {
    format!(
        r#"
[[apps]]
name = "app"
id = "{CLIENT_ID}"
secret = "{SECRET}"

[[bots]]
name = "bot"
id = "{BOT_ID}"
{bot}

[[channels]]
name = "sync"
bot = "bot"
app = "app"
approve = true

[[channels]]
name = "async"
bot = "bot"
app = "app"
approve = true
id = "{ASYNC_ID}"
post_url = "{post_url}"
access_token = "{ACCESS_TOKEN}"
signing_secret = "{SIGNING_SECRET}"
"#
    )
}

/// The folder that `./test` prepares, and the repository's scripts.
pub(crate) fn clients() -> (PathBuf, PathBuf) {
    let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients");
    let prepared =
        option_env_at_run_time().unwrap_or_else(|| scripts.join("../../target/test-clients"));
    assert!(prepared.join("ready").exists(), "run ./test: it prepares {}", prepared.display());
    (prepared, scripts)
}

#[expect(clippy::disallowed_methods, reason = "the test's own setting, not the product's")]
fn option_env_at_run_time() -> Option<PathBuf> {
    std::env::var_os("SWITCHHOOK_TEST_CLIENTS").map(PathBuf::from)
}

fn python(script: &str) -> Command {
    let (prepared, scripts) = clients();
    let mut command = Command::new(prepared.join("python/bin/python"));
    command.arg(scripts.join(script)).kill_on_drop(true);
    command
}

/// Runs a command with some input and returns its output; it must succeed.
async fn output(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(WAIT_MAX, child.wait_with_output()).await.unwrap().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A token from each of two libraries that know nothing of this project.
async fn tokens() -> Vec<(String, String)> {
    let text = output(python("mint.py").args([CLIENT_ID, SECRET, "user"]), "").await;
    let tokens: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    tokens.into_iter().map(|(name, token)| (name, token.as_str().unwrap().to_owned())).collect()
}

/// POSTs with curl, as a person would: status and body.
async fn curl(url: &str, token: &str, body: &Value) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "25", "-w", "\n%{http_code}", "-X", "POST", url]);
    command.args(["-H", "content-type: application/json"]);
    command.arg("-H").arg(format!("Authorization: bearer {token}"));
    command.arg("--data-binary").arg(body.to_string());
    let text = output(&mut command, "").await;
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The Python HTTP bot and its URL.
async fn python_bot() -> (Child, String) {
    let mut child = python("bot.py").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap();
    (child, format!("http://127.0.0.1:{port}/"))
}

type Received = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiving endpoint that keeps what it got.
async fn receiver() -> (JoinSet<()>, String, Received) {
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let keep = |State(received): State<Received>, headers: HeaderMap, body: Bytes| async move {
        let body = String::from_utf8(body.to_vec()).unwrap();
        received.lock().unwrap().push((headers, body));
        StatusCode::OK
    };
    let app = Router::new().route("/hook", post(keep)).with_state(received.clone());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (server, url, received)
}

fn said(user: &str, text: &str) -> Value {
    json!({
        "message": {"text": text},
        "from": {"id": user},
        "customData": {"userToken": "t-123"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_with_tokens_of_other_libraries_talks_to_a_bot_in_another_language() {
    let (_bot, bot_url) = python_bot().await;
    let (_server, post_url, received) = receiver().await;
    let registry = registry(&format!("http = \"{bot_url}\""), &post_url);
    let settings = [("egress.allow", "127.0.0.0/8")];
    let binary = rig::binary().unwrap();
    let system = System::start(&binary, Shape::Whole, &registry, &settings).await.unwrap();
    let url = format!("{}/chatbot/hooks/{BOT_ID}", system.hosts()[0]);

    let tokens = tokens().await;
    assert_eq!(tokens.len(), 2);
    for (n, (library, token)) in tokens.iter().enumerate() {
        let (status, body) = curl(&url, token, &said("jane", "hello")).await;
        assert_eq!(status, 200, "{library}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let expected = json!([format!("message {}: hello", n + 1), "token t-123"]);
        assert_eq!(body["text"], expected, "{library}");
        assert_eq!(body["endOfTask"], true);
    }

    let url = format!("{url}/hookInstance/{ASYNC_ID}");
    let (status, body) = curl(&url, &tokens[0].1, &said("joe", "hi")).await;
    assert_eq!((status, body.as_str()), (200, ""));
    testkit::until("both deliveries", || async {
        let both = received.lock().unwrap().len() >= 2;
        if both { Ok(()) } else { Err(system.processes()[0].log()) }
    })
    .await;
    let posts = received.lock().unwrap().clone();
    let texts: Vec<_> = posts.iter().map(|post| parse(&post.1)).collect();
    assert_eq!(texts[0], json!({"text": "message 1: hi", "to": "joe", "from": BOT_ID}));
    assert_eq!(texts[1]["text"], "token t-123");
    assert_eq!(posts[0].0["authorization"], format!("Bearer {ACCESS_TOKEN}"));
    verified_by_both(&posts).await;
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

/// Both packages verify every POST, and refuse it when it has been changed.
async fn verified_by_both(posts: &[(HeaderMap, String)]) {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let line = |(headers, body): &(HeaderMap, String)| {
        let headers = names.map(|name| (name, headers[name].to_str().unwrap()));
        let headers: serde_json::Map<_, _> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        format!("{}\n", json!({"headers": headers, "body": body}))
    };
    let lines: String = posts.iter().map(line).collect();
    let expected = "verified\n".repeat(posts.len());
    let (prepared, scripts) = clients();
    assert_eq!(output(python("verify.py").arg(SIGNING_SECRET), &lines).await, expected);
    let mut node = Command::new("node");
    node.arg(scripts.join("verify.mjs")).arg(SIGNING_SECRET);
    node.env("SWITCHHOOK_TEST_CLIENTS", std::path::absolute(prepared).unwrap());
    assert_eq!(output(&mut node, &lines).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_amqp_client_sees_sealed_bodies_and_no_word_of_a_user_around_them() {
    let node = testkit::rabbitmq::shared().await.unwrap();
    let server = testkit::postgres::shared().await.unwrap();
    let shape = Shape::Rooms {
        amqp: node.url(),
        postgres: server.create_database().await.unwrap(),
        ingresses: 1,
        dispatchers: 0,
        deliverers: 0,
    };
    let settings = [("egress.allow", "127.0.0.0/8"), ("engines.prefix", "e2e-clients")];
    let registry = registry("", "http://127.0.0.1:9/hook");
    let system = System::start(&rig::binary().unwrap(), shape, &registry, &settings).await.unwrap();
    let url = format!("{}/chatbot/hooks/{BOT_ID}/hookInstance/{ASYNC_ID}", system.hosts()[0]);
    let (_, token) = tokens().await.remove(0);
    let words = ["user-seventeen", "a-secret-word", "t-123"];
    for _ in 0..3 {
        let (status, body) = curl(&url, &token, &said(words[0], words[1])).await;
        assert_eq!((status, body.as_str()), (200, ""));
    }
    let text = output(python("queues.py").args([&node.url(), "e2e-clients"]), "").await;
    let jobs: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(jobs.len(), 3);
    for job in &jobs {
        assert_eq!(job["headers"], json!({}), "{job}");
        let names: Vec<_> = job["properties"].as_object().unwrap().keys().cloned().collect();
        assert!(names.iter().any(|name| name == "delivery_mode"), "{names:?}");
        let around = format!("{} {}", job["queue"], job["properties"]);
        for word in words {
            assert!(!around.contains(word), "{word} stands in {around}");
        }
        let body = job["body"].as_str().unwrap();
        assert!(body.starts_with("0101"), "not a sealed turn of version 1: {body}");
    }
}
