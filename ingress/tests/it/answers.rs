//! What a client is told, and when.

use std::time::Duration;

use shared::domain::turn::Mode;

use crate::support::{
    ASYNC_HOOK, Answer, Doing, HOOK, OTHER_HOOK, Setup, Worker, World, said, token_of, until,
};

#[tokio::test]
async fn a_synchronous_answer_is_the_bots_own_bytes() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let answer = world.say(HOOK, "ann", "hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"text":"you said hello"}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    let seen = worker.seen();
    assert_eq!(seen.len(), 1);
    let turn = &seen[0].turn;
    assert_eq!(answer.header("switchhook-turn-id"), turn.id.to_string());
    assert_eq!((turn.mode, turn.user.as_str(), turn.bot.as_str()), (Mode::Sync, "ann", "st-1"));
    assert_eq!(turn.payload, said("ann", "hello").to_string());
}

#[tokio::test]
async fn an_asynchronous_200_is_empty_and_comes_after_the_job_is_safe() {
    let world = World::start(Setup::default()).await;
    // Nobody works: the answer depends on the broker alone.
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let answer = world.say(ASYNC_HOOK, "ann", "hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let id = answer.header("switchhook-turn-id").to_owned();
    worker.now(Doing::Answers);
    until("it is worked on", || async { !worker.seen().is_empty() }).await;
    let seen = worker.seen();
    assert_eq!((seen[0].turn.id.to_string(), seen[0].reply_to.as_ref()), (id, None));
}

#[tokio::test]
async fn a_turn_carries_the_clients_trace_under_a_span_of_its_own() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Answers).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let given = format!("00-{trace}-b7ad6b7169203331-01");
    let request = world.post(HOOK, &said("ann", "a")).header("traceparent", &given);
    assert_eq!(Answer::of(request).await.status, 200);
    assert_eq!(world.say(HOOK, "ann", "b").await.status, 200);
    let parents: Vec<_> = worker.seen().into_iter().map(|job| job.traceparent.unwrap()).collect();
    assert!(parents[0].starts_with(&format!("00-{trace}-")), "{}", parents[0]);
    assert!(!parents[0].contains("b7ad6b7169203331") && parents[0].ends_with("-01"));
    assert!(!parents[1].contains(trace) && parents[1].len() == given.len(), "{}", parents[1]);
}

#[tokio::test]
async fn a_lost_reply_does_not_lose_the_answer() {
    let deadline = Duration::from_secs(1);
    let world = World::start(Setup { deadline, ..Setup::default() }).await;
    let worker = Worker::start(&world.ground, Doing::CommitsOnly).await;
    let answer = world.say(HOOK, "ann", "hello").await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert_eq!(answer.refusal(), "The request has been timed-out");
    let url = answer.header("location").to_owned();
    assert!(url.ends_with(answer.header("switchhook-turn-id")), "{url}");
    let polled = world.get(url.trim_start_matches(&world.url)).await;
    assert_eq!((polled.status, polled.body.as_str()), (200, r#"{"text":"you said hello"}"#));
    assert_eq!(worker.seen().len(), 1);
}

#[tokio::test]
async fn a_lost_reply_is_read_from_the_store_while_its_caller_waits() {
    let world = World::start(Setup::default()).await;
    let _worker = Worker::start(&world.ground, Doing::CommitsOnly).await;
    let answer = world.say(HOOK, "ann", "hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"text":"you said hello"}"#));
    assert!(world.metric("switchhook_ingress_rescued_replies_total") > 0.5);
}

#[tokio::test]
async fn refusals_before_the_token_is_proved_are_one() {
    let world = World::start(Setup::default()).await;
    let mut answers = Vec::new();
    for (path, token) in [
        (HOOK, "x".to_owned()),
        (HOOK, token_of("cs-2")),
        (HOOK, token_of("cs-3")),
        (OTHER_HOOK, token_of("cs-1")),
        ("/chatbot/hooks/st-9", token_of("cs-1")),
        ("/chatbot/hooks/st-1/hookInstance/ivrInst-9", token_of("cs-1")),
    ] {
        let request = world.http.post(format!("{}{path}", world.url)).bearer_auth(token);
        let answer = Answer::of(request.body("{")).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let trace = answer.header("switchhook-trace-id").to_owned();
        assert_eq!(trace.len(), 19);
        answers.push((answer.status, answer.body.replace(&trace, "")));
    }
    answers.dedup();
    let one = r#"{"errors":[{"msg":"Invalid Access token","code":401}],"_v":"v1","_t":""}"#;
    assert_eq!(answers, [(401, one.to_owned())]);
}

#[tokio::test]
async fn what_has_begun_is_answered_while_the_room_drains() {
    let world = World::start(Setup::default()).await;
    let worker = Worker::start(&world.ground, Doing::Nothing).await;
    let asked = world.say(HOOK, "ann", "hello");
    let stopping = async {
        until("its caller waits", || async { world.metric("switchhook_ingress_waiters") >= 1.0 })
            .await;
        let later = async {
            world.ground.lifecycle.stop().cancelled().await;
            worker.now(Doing::Answers);
        };
        tokio::join!(world.drain(), later).0
    };
    let (answer, drained) = tokio::join!(asked, stopping);
    assert_eq!(answer.status, 200);
    assert_eq!(drained, shared::lifecycle::Drained::InTime);
    let refused = world.http.get(&world.url).send().await;
    assert!(refused.unwrap_err().is_connect());
}
