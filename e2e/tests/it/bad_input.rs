//! What clients can get wrong, and what each is told: routes, tokens, bodies, headers, sizes, states.
//!
//! No row is answered with a 5xx, no refused row leaves anything behind, and nothing that was accepted
//! meanwhile is lost or reordered.

mod bodies;
mod framing;
mod headers;
mod routes;
mod rows;
mod states;

use rows::{Body, Row};
use testkit::system::Shape;
use tokio::task::JoinSet;

use crate::support::http::{Request, send};
use crate::support::mint::minimal;
use crate::support::system::System;

/// A wait that the table's incomplete requests do not make long.
const SETTINGS: [(&str, &str); 2] =
    [("ingress.head_timeout", "2s"), ("ingress.body_timeout", "2s")];
/// Every so many rows somebody says something good.
const WITNESS_EVERY: usize = 5;
/// What every refused message says; nobody may ever hear it.
pub(crate) const NEVER: &str = "NEVER-TO-BE-HEARD";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_bad_input_gets_its_status_and_body_and_nothing_is_lost() {
    check(&System::start(&SETTINGS).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bad_input_is_told_the_same_by_rooms_on_rabbitmq_and_postgresql() {
    let node = testkit::rabbitmq::shared().await.unwrap();
    let server = testkit::postgres::shared().await.unwrap();
    let shape = Shape::Rooms {
        amqp: node.url(),
        postgres: server.create_database().await.unwrap(),
        ingresses: 1,
        dispatchers: 1,
        deliverers: 1,
    };
    let prefix = ("engines.prefix", "bad-input");
    let settings: Vec<_> = SETTINGS.into_iter().chain([prefix]).collect();
    check(&System::start_as(shape, &settings).await).await;
}

async fn check(system: &System) {
    let rows: Vec<Row> = [
        routes::rows(system),
        states::rows(system),
        bodies::rows(system),
        headers::rows(system),
        framing::rows(system),
    ]
    .into_iter()
    .flatten()
    .collect();
    let (mut wrong, mut said) = (Vec::new(), Vec::new());
    for (n, row) in rows.iter().enumerate() {
        if n % WITNESS_EVERY == 0 {
            said.push(witness(system, n).await);
        }
        let answer = send(system.address, &row.request).await;
        if let Err(why) = row.judge(answer.as_ref()) {
            wrong.push(format!("{}: {why}", row.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(rows.len() >= 80, "only {} rows", rows.len());
    said.push(witness(system, rows.len()).await);
    let heard = system.receiver.texts("witness", said.len()).await;
    assert_eq!(heard, said, "nothing accepted was lost or reordered");
    assert_nobody_heard(system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_conversation_that_speaks_too_fast_is_told_to_wait_and_others_are_not() {
    let system = System::start(&[]).await;
    let token = minimal(&system.app.client, &system.app.secret);
    let post =
        |user: &str| Request::post(&system.slow, system.message(user, "hello")).bearer(&token);
    let mut running = JoinSet::new();
    for _ in 0..20 {
        let (address, request) = (system.address, post("ann").bytes());
        running.spawn(async move { send(address, &request).await.expect("an answer") });
    }
    let (good, fast): (Vec<_>, Vec<_>) =
        running.join_all().await.into_iter().partition(|answer| answer.status == 200);
    assert!(!good.is_empty() && !fast.is_empty(), "{good:?} {fast:?}");
    let row = rows::raw("too fast", [], &[429], Body::Error("Too Many requests"));
    for answer in fast {
        row.judge(Some(&answer)).unwrap();
    }
    let answer = send(system.address, &post("bob").bytes()).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A good message to each channel; the asynchronous one's text.
async fn witness(system: &System, number: usize) -> String {
    let token = minimal(&system.app.client, &system.app.secret);
    let text = format!("good {number}");
    let ask = async |path: &str| {
        let request = Request::post(path, system.message("witness", &text)).bearer(&token);
        send(system.address, &request.bytes()).await.expect("an answer")
    };
    let answer = ask(&system.synchronous).await;
    assert_eq!((answer.status, answer.body), (200, format!(r#"{{"text":"{text}"}}"#)));
    let answer = ask(&system.asynchronous).await;
    assert_eq!((answer.status, answer.body), (200, String::new()));
    text
}

/// Every user of a refused row who is a user at all says something good; it is all that the receiver ever
/// hears of them: the refused text left nothing, not even a turn that comes later.
async fn assert_nobody_heard(system: &System) {
    let token = minimal(&system.app.client, &system.app.secret);
    for user in ["ann", "bob", "zoë"] {
        let body = system.message(user, "the last word");
        let request = Request::post(&system.asynchronous, body).bearer(&token).bytes();
        assert_eq!(send(system.address, &request).await.expect("an answer").status, 200);
        let heard = system.receiver.texts(user, 1).await;
        assert!(heard.iter().all(|text| !text.contains(NEVER)), "{user}: {heard:?}");
    }
    for post in system.receiver.posts() {
        assert!(!post.to_string().contains(NEVER), "{post}");
    }
}
