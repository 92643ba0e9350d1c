//! What the runbook's drills have in common: rooms on engines of their own, users whose bot keeps their
//! lists, and the runbook's commands.

use std::time::Duration;

use e2e::bot;
use e2e::endpoint::Script;
use e2e::history::Post;
use e2e::load::Line;
use e2e::rig::{Options, Rig};
use reqwest::RequestBuilder;
use serde_json::json;
use testkit::system::{Process, Shape};

const TRY_MAX: Duration = Duration::from_mins(1);

/// Two of each room, on this broker and this database.
pub(crate) async fn rooms(amqp: String, postgres: String) -> Rig {
    let shape = Shape::Rooms { amqp, postgres, ingresses: 2, dispatchers: 2, deliverers: 2 };
    start(shape).await
}

pub(crate) async fn start(shape: Shape) -> Rig {
    let settings = vec![("engines.partitions", "4"), ("lifecycle.linger", "0s")];
    let options = Options { settings, post_deadline: "2s", ..Options::default() };
    Rig::start_with(shape, Script::default(), options).await.unwrap()
}

/// Says something with a key: status and body.
pub(crate) async fn say(rig: &Rig, line: &Line, user: usize, seq: u32) -> (u16, String) {
    say_with(rig, line, &line.token().unwrap(), user, seq).await
}

pub(crate) async fn say_with(
    rig: &Rig,
    line: &Line,
    token: &str,
    user: usize,
    seq: u32,
) -> (u16, String) {
    let key = format!("{user}-{seq}");
    send(request(rig, line, token, user, seq).header("idempotency-key", key)).await
}

/// Says something without a key: status and body.
pub(crate) async fn say_once(rig: &Rig, line: &Line, user: usize, seq: u32) -> (u16, String) {
    send(request(rig, line, &line.token().unwrap(), user, seq)).await
}

fn request(rig: &Rig, line: &Line, token: &str, user: usize, seq: u32) -> RequestBuilder {
    let body =
        json!({"message": {"text": bot::append(seq)}, "from": {"id": format!("user-{user}")}});
    let http = reqwest::Client::builder().no_proxy().timeout(TRY_MAX).build().unwrap();
    http.post(format!("{}{}", rig.system.hosts()[0], line.path))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(body.to_string())
}

async fn send(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Appends a number to a user's list on the synchronous channel; the list is then this one.
pub(crate) async fn append(rig: &Rig, user: usize, seq: u32, list: &[u32]) {
    let (status, answer) = say(rig, &rig.synchronous, user, seq).await;
    assert_eq!(status, 200, "{answer}");
    let list: Vec<_> = list.iter().map(u32::to_string).collect();
    assert!(answer.contains(&format!("[{}]", list.join(" "))), "{seq}: {answer}");
}

/// Appends a number to a user's list on the asynchronous channel.
pub(crate) async fn tell(rig: &Rig, user: usize, seq: u32) {
    let (status, answer) = say(rig, &rig.asynchronous, user, seq).await;
    assert_eq!(status, 200, "{answer}");
}

/// The POSTs of a user's list, in the order in which they came.
pub(crate) fn posts(rig: &Rig, user: usize) -> Vec<Post> {
    rig.history.with(user, |thread| thread.posts.clone())
}

/// Waits until a list has come with a POST that was answered with this status; that POST.
pub(crate) async fn posted(rig: &Rig, user: usize, list: &[u32], status: u16) -> Post {
    testkit::until(&format!("a POST of {list:?}"), || async {
        let posts = posts(rig, user);
        let found = posts.iter().rev().find(|post| post.list == list && post.status == status);
        found.cloned().ok_or_else(|| format!("{posts:?}"))
    })
    .await
}

/// Ends a process in good order and starts it with other variables.
pub(crate) async fn roll(process: &Process, variables: &[(&str, String)]) {
    process.stop().await.unwrap();
    process.restart_with(variables).await.unwrap();
}

/// Runs a program as an operator does; what it printed.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What one statement returns, as text.
pub(crate) async fn ask(postgres: &str, sql: &str) -> String {
    let plain = ["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, postgres];
    run("psql", &plain).await.trim().to_owned()
}

/// How many jobs could not be opened.
pub(crate) async fn strays(postgres: &str) -> String {
    ask(postgres, "select count(*) from stray").await
}
