//! Kills under load, a small version of the endurance run for every commit.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::bot;
use e2e::endpoint::Script;
use e2e::load::Plan;
use e2e::nemesis::{self, Engines, Pace, Victim};
use e2e::rig::Rig;
use serde_json::json;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use testkit::system::Shape;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PACE: Pace = Pace { dead: Duration::from_millis(500), between: Duration::from_secs(2) };
/// The endpoint answers 503 to some POSTs, so that retries and kills meet.
const SCRIPT: Script = Script { fail_every: 20 };

/// Of one caller, repeats included.
const TRY_MAX: Duration = Duration::from_mins(1);

fn plan() -> Plan {
    Plan {
        first: 0,
        conversations: 20,
        messages: u32::MAX,
        pause: Duration::from_millis(30),
        stop: CancellationToken::new(),
    }
}

async fn two_of_each(node: &Node, server: &Server) -> Shape {
    Shape::Rooms {
        amqp: node.url(),
        postgres: server.create_database().await.unwrap(),
        ingresses: 2,
        dispatchers: 2,
        deliverers: 2,
    }
}

/// Kills each victim `times` times under load; nothing may be lost, doubled, reordered or forked.
async fn survives(shape: Shape, engines: Engines<'_>, victims: &[Victim], times: usize) {
    let rig = Rig::start(shape, SCRIPT).await.unwrap();
    let plan = plan();
    let stop = plan.stop.clone();
    let killing = async {
        let mut kills = 0;
        for victim in victims {
            kills += nemesis::kill(&rig.system, engines, *victim, times, PACE).await.unwrap();
        }
        stop.cancel();
        kills
    };
    let (loaded, kills) = tokio::join!(rig.load(&plan), killing);
    loaded.unwrap();
    assert_eq!(kills, victims.len() * times);
    let verdict = rig.verdict(&plan).await.unwrap();
    assert!(verdict.accepted > 200, "too little was accepted to show anything: {verdict}");
    assert!(verdict.faults.is_empty(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_reordered_when_the_whole_in_one_process_is_killed() {
    survives(Shape::Whole, Engines::default(), &[Victim::Room("up")], 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_reordered_when_rooms_broker_and_database_are_killed() {
    let node = Node::start().await.unwrap();
    let server = Server::start().await.unwrap();
    let shape = two_of_each(&node, &server).await;
    let engines = Engines { node: Some(&node), server: Some(&server) };
    let victims = [
        Victim::Room("ingress"),
        Victim::Room("dispatcher"),
        Victim::Room("deliverer"),
        Victim::Broker,
        Victim::Database,
    ];
    survives(shape, engines, &victims, 2).await;
}

/// Fifty clients say the same with one key at the same time, on two ingresses; those that are told that it
/// is not known yet, or not now, ask again.
#[tokio::test(flavor = "multi_thread")]
async fn what_fifty_say_at_once_with_one_key_is_one_turn_with_one_answer_for_all() {
    const KEYS: u32 = 30;
    const CALLERS: usize = 50;
    let node = Node::start().await.unwrap();
    let server = Server::start().await.unwrap();
    let shape = two_of_each(&node, &server).await;
    let rig = Rig::start(shape, SCRIPT).await.unwrap();
    let (line, token) = (&rig.synchronous, rig.synchronous.token().unwrap());
    let http = reqwest::Client::builder().no_proxy().timeout(TRY_MAX).build().unwrap();
    for key in 1..=KEYS {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let url = format!("{}{}", line.hosts[caller % line.hosts.len()], line.path);
            let body = json!({"message": {"text": bot::append(key)}, "from": {"id": "all"}});
            let request = http
                .post(url)
                .bearer_auth(&token)
                .header("content-type", "application/json")
                .header("idempotency-key", format!("key-{key}"))
                .body(body.to_string());
            callers.spawn(async move {
                let deadline = Instant::now() + TRY_MAX;
                loop {
                    let response = request.try_clone().unwrap().send().await.unwrap();
                    let (status, body) =
                        (response.status().as_u16(), response.text().await.unwrap());
                    if status == 200 {
                        return body;
                    }
                    let again = matches!(status, 409 | 429 | 503 | 504);
                    assert!(again && Instant::now() < deadline, "key {key}: {status} {body}");
                    let pause = Duration::from_millis(50);
                    testkit::lapse(pause, "a client asks again after a while").await;
                }
            });
        }
        let answers: BTreeSet<_> = callers.join_all().await.into_iter().collect();
        let all: Vec<_> = (1..=key).map(|n| n.to_string()).collect();
        let expected = json!({"text": format!("[{}]", all.join(" "))}).to_string();
        assert_eq!(answers, BTreeSet::from([expected]), "key {key}");
    }
}
