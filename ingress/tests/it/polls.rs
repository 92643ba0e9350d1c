//! The poll: in progress, the same bytes every time, and nothing of others.

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::ids::TurnId;
use shared::entropy::Entropy;

use crate::support::{ASYNC_HOOK, Answer, Doing, HOOK, Setup, Worker, World, token_of};

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
async fn a_bot_that_this_release_cannot_read_is_refused_in_words_and_its_turns_can_be_polled() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let id = TurnId::new(Entropy::Real.uuid_v7(Clock::Real.unix_ms()));
    worker.settle(&world.ground, id).await;
    world.make_the_bot_unreadable().await;
    for hook in [HOOK, ASYNC_HOOK] {
        let answer = world.say(hook, "ann", "hello").await;
        let words = "Not accepted: the bot's settings cannot be read by this release";
        assert_eq!((answer.status, answer.refusal().as_str()), (503, words), "{hook}");
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(world.get(&path(false, &id.to_string())).await.body, r#"{"text":"you said hello"}"#);
    // Who proves nothing learns nothing.
    let stranger = world.http.post(format!("{}{HOOK}", world.url));
    assert_eq!(Answer::of(stranger).await.status, 401);
    assert_eq!(worker.seen().len(), 1);
}

#[tokio::test]
async fn a_poll_asks_for_the_token_first() {
    let world = World::start(Setup::default()).await;
    let answer =
        Answer::of(world.http.get(format!("{}{}", world.url, path(false, &"0".repeat(32))))).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (401, "Invalid Access token"));
}

#[tokio::test]
async fn an_app_polls_its_own_turns_where_clients_of_all_instances_poll() {
    let world = World::start(Setup::default()).await;
    let _worker = Worker::start(&world.ground, Doing::Answers).await;
    let id = Answer::of(world.other("ann")).await.header("switchhook-turn-id").to_owned();
    let url = format!("{}{}", world.url, path(false, &id));
    let own = Answer::of(world.http.get(&url).bearer_auth(token_of("cs-2"))).await;
    assert_eq!((own.status, own.body.as_str()), (200, r#"{"text":"you said hello"}"#));
    // Another app's turn is as one that is not done yet, or never was.
    let other = Answer::of(world.http.get(&url).bearer_auth(token_of("cs-1"))).await;
    assert!(other.body.contains("Inprogress"), "{}", other.body);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_from_its_commit_however_long_its_turn_had_waited() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let made = Clock::Real.unix_ms() - 26 * 60 * 60 * 1_000;
    let id = TurnId::new(Entropy::Real.uuid_v7(made));
    worker.settle(&world.ground, id).await;
    let answer = world.get(&path(false, &id.to_string())).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"text":"you said hello"}"#));
}
