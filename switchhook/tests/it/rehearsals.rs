//! `bot test`, the examples, and every block of the page about scripts.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::task::JoinSet;

use crate::support::{Data, stdout};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn example(path: &str) -> String {
    root().join("examples").join(path).to_string_lossy().into_owned()
}

#[test]
fn every_script_of_the_page_holds_its_conversation() {
    let page = std::fs::read_to_string(root().join("docs/scripts.md")).unwrap();
    let data = Data::new();
    let scripts: Vec<_> = page.split("```js\n").skip(1).collect();
    assert!(scripts.len() >= 5);
    for (number, rest) in scripts.into_iter().enumerate() {
        let (script, rest) = rest.split_once("```").unwrap();
        let talk = rest.trim_start().strip_prefix("```yaml\n").expect("a script without its talk");
        let talk = talk.split("```").next().unwrap();
        let script = data.file(&format!("{number}.js"), script);
        let talk = data.file(&format!("{number}.yaml"), talk);
        let printed = data.run(&["bot", "test", "--script", &script, &talk]);
        assert_eq!(printed, format!("ok      {talk}\n"));
    }
}

#[test]
fn the_examples_that_need_nothing_hold_their_conversations() {
    let data = Data::new();
    for (bot, talks) in [("balance", &["signed-in", "unknown"][..]), ("survey", &["whole"])] {
        let script = example(&format!("{bot}/bot.js"));
        let talks: Vec<_> =
            talks.iter().map(|talk| example(&format!("{bot}/{talk}.yaml"))).collect();
        let talks: Vec<&str> = talks.iter().map(String::as_str).collect();
        let printed = data.run(&[&["bot", "test", "--script", &script][..], &talks].concat());
        assert_eq!(printed.matches("ok  ").count(), talks.len(), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_with_a_service_calls_it_and_says_so_when_it_is_away() {
    let open = || async { r#"{"state":"open"}"# };
    let orders =
        Router::new().route("/orders/1234", get(open).delete(|| async { StatusCode::NO_CONTENT }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, orders).await });
    let data = Data::new().set("egress.allow", &format!("{}/32", address.ip()));
    let env = |url: &str| data.file("env.json", &format!(r#"{{"ORDERS_URL":"{url}"}}"#));
    let script = example("order/bot.js");
    let test = |env: &str, talk: &str| {
        data.run(&["bot", "test", "--script", &script, "--env-file", env, &example(talk)])
    };
    assert!(test(&env(&format!("http://{address}")), "order/cancel.yaml").starts_with("ok"));
    serving.shutdown().await;
    assert!(test(&env("http://10.0.0.1"), "order/away.yaml").starts_with("ok"));
}

#[test]
fn a_conversation_that_goes_otherwise_is_shown_and_fails() {
    let data = Data::new();
    let script = data.file("bot.js", "say('a'); if (message === 'x') nope(); say('b')");
    let talk = data.file("talk.yaml", "- user: hi\n- bot: a\n- bot: c\n");
    let output = data.command(&["bot", "test", "--script", &script, &talk]).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
    let shown =
        format!("FAILED  {talk}\n    user   hi\n    bot    a\n  - bot    c\n  + bot    b\n");
    assert_eq!(stdout(&output), shown);
    let talk = data.file(
        "fails.yaml",
        "- user: x\n- fails: nope is not defined\n- user: y\n- bot: a\n- bot: b\n",
    );
    data.run(&["bot", "test", "--script", &script, &talk]);
    let talk = data.file("wrong.yaml", "- robot: x\n");
    let (code, said) = data.fails(&["bot", "test", "--script", &script, &talk]);
    assert!(code == 64 && said.contains("entry 1"), "{code} {said}");
}
