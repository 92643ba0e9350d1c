//! The database is away, and what needs none goes on.

use std::time::Duration;

use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use tokio::time::Instant;

use crate::support::drill::{posted, rooms, say, say_once};

const USERS: usize = 5;
/// A refusal, and an acceptance, comes within this time.
const TOLD_MAX: Duration = Duration::from_secs(5);

/// `SWITCHHOOK_TEST_AWAY` says how many seconds: up to the fifteen minutes of `ingress.registry_stale_max`.
#[expect(clippy::disallowed_methods, reason = "how whoever runs the test tells it")]
fn away() -> Duration {
    const USUAL: u64 = 20;
    let seconds = std::env::var("SWITCHHOOK_TEST_AWAY").map(|text| text.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(USUAL))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_while_the_database_is_away_is_worked_on_when_it_is_back() {
    let (node, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let rig = rooms(node.url(), server.create_database().await.unwrap()).await;
    let mut said = 0;
    let mut everybody = async || {
        said += 1;
        for user in 1..=USERS {
            let began = Instant::now();
            let (status, answer) = say_once(&rig, &rig.asynchronous, user, said).await;
            assert_eq!(status, 200, "{said}: {answer}");
            assert!(began.elapsed() < TOLD_MAX, "{said}: {:?}", began.elapsed());
        }
        said
    };
    everybody().await;
    for user in 1..=USERS {
        posted(&rig, user, &[1], 204).await;
    }
    server.kill9().await;
    let began = Instant::now();
    while began.elapsed() < away() {
        everybody().await;
        // What is to be answered once by its key, or in the same response, is refused and can be repeated.
        for line in [&rig.asynchronous, &rig.synchronous] {
            let asked = Instant::now();
            let (status, answer) = say(&rig, line, USERS + 1, 1).await;
            assert_eq!(status, 503, "{answer}");
            assert!(asked.elapsed() < TOLD_MAX, "{:?}", asked.elapsed());
        }
        for process in rig.system.processes() {
            assert_eq!(process.admin("/livez").await.unwrap().0, 200, "{}", process.name());
        }
        testkit::lapse(Duration::from_secs(1), "the outage lasts").await;
    }
    let said = everybody().await;
    server.restart().await.unwrap();
    let list: Vec<_> = (1..=said).collect();
    for user in 1..=USERS {
        posted(&rig, user, &list, 204).await;
    }
    // What was refused had no effect.
    let (status, answer) = say(&rig, &rig.synchronous, USERS + 1, 1).await;
    assert_eq!((status, answer.contains("[1]")), (200, true), "{answer}");
}
