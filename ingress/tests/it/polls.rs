//! The poll: in progress, the same bytes every time, and nothing of others.

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::ids::TurnId;
use shared::entropy::Entropy;

use crate::support::{ASYNC_HOOK, Answer, Doing, Setup, Worker, World};

fn path(instance: bool, id: &str) -> String {
    let instance = if instance { "/hookInstance/ivrInst-2" } else { "" };
    format!("/chatbot/v2/webhook/st-1{instance}/poll/{id}")
}

#[tokio::test]
async fn a_turn_is_in_progress_and_then_has_the_same_answer_every_time() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let id = world.say(ASYNC_HOOK, "ann", "hello").await.header("switchhook-turn-id").to_owned();
    let running = world.get(&path(true, &id)).await;
    let body: Value = serde_json::from_str(&running.body).unwrap();
    assert_eq!(running.status, 200);
    assert_eq!(body, json!({"status": "Inprogress", "pollId": id, "_v": "v2"}));
    worker.now(Doing::Answers);
    let answer = loop {
        let answer = world.get(&path(false, &id)).await;
        assert_eq!(answer.status, 200);
        if !answer.body.contains("Inprogress") {
            break answer;
        }
    };
    assert_eq!(answer.body, r#"{"text":"you said hello"}"#);
    for instance in [true, false] {
        assert_eq!(world.get(&path(instance, &id)).await.body, answer.body);
    }
}

#[tokio::test]
async fn what_names_no_turn_of_the_last_day_is_no_data() {
    let world = World::start(Setup::default()).await;
    let now = Clock::Real.unix_ms();
    let made = |ms: u64| TurnId::new(Entropy::Real.uuid_v7(ms)).to_string();
    let day = 24 * 60 * 60 * 1_000;
    for id in ["x".to_owned(), "0".repeat(32), made(now - day - 1), made(now + 120_000)] {
        let answer = world.get(&path(false, &id)).await;
        assert_eq!((answer.status, answer.refusal().as_str()), (400, "No data found"), "{id}");
        assert_eq!(answer.body, r#"{"errors":[{"msg":"No data found","code":400}]}"#);
    }
}

#[tokio::test]
async fn a_poll_asks_for_the_token_first() {
    let world = World::start(Setup::default()).await;
    let answer =
        Answer::of(world.http.get(format!("{}{}", world.url, path(false, &"0".repeat(32))))).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (401, "Invalid Access token"));
}
