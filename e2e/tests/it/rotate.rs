//! The runbook's drill "rotate keys and secrets": every key of an installation is replaced while clients speak
//! and rooms are restarted one by one, and no message is refused for it, lost, doubled or put aside.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::history::{Conversation, Thread};
use e2e::load::{Line, Plan};
use e2e::rig::Rig;
use serde_json::Value;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use tokio_util::sync::CancellationToken;

use crate::support::drill::{roll, rooms, run, say_with, strays, tell};

/// Those of `testkit::system`, and those that take over. Never real ones.
const ENVELOPE: [&str; 2] = [
    "dGVzdC1vbmx5LWVudmVsb3BlLWtleS0wMTIzNDU2Nzg=",
    "dGVzdC1vbmx5LW90aGVyLXNlYWxpbmctLTAxMjM0NTY=",
];
const VAULT: [&str; 2] = [
    "dGVzdC1vbmx5LXZhdWx0LWtleS0wMTIzNDU2Nzg5YWI=",
    "dGVzdC1vbmx5LW90aGVyLXZhdWx0LWtleS0wMTIzNDU=",
];
const STRANGER: &str = "dGVzdC1vbmx5LWEtc3RyYW5nZXItLS0tLTAxMjM0NTY=";
/// Users of the load are below.
const EVE: usize = 900;

fn keys(envelope: &str, vault: &str) -> [(&'static str, String); 2] {
    [("SWITCHHOOK_KEYS_ENVELOPE", envelope.to_owned()), ("SWITCHHOOK_KEYS_VAULT", vault.to_owned())]
}

/// One after the other, in good order.
async fn roll_all(rig: &Rig, variables: &[(&str, String)]) {
    for room in ["ingress", "dispatcher", "deliverer"] {
        for process in rig.system.room(room) {
            roll(process, variables).await;
        }
    }
}

/// Answers and deliveries of the conversation that has fewest.
fn least(threads: &mut BTreeMap<Conversation, Thread>) -> usize {
    threads.values().map(|thread| thread.answers.len() + thread.posts.len()).min().unwrap_or(0)
}

/// Waits until every conversation has been answered twice more: what was sealed before is used up then, for
/// a conversation's turns come in order.
async fn used_up(rig: &Rig) {
    let before = rig.history.all(least);
    testkit::until("two more answers for everybody", || async {
        let now = rig.history.all(least);
        if now >= before + 2 { Ok(()) } else { Err(format!("{before}, {now}")) }
    })
    .await;
}

/// Another secret for the app, with an overlap: the load goes on with the old one.
async fn rotate_secrets(rig: &Rig, variables: &[(&str, String)]) -> Line {
    let app = ["app", "rotate", "e2e-0", "--overlap", "10m", "--json"];
    let app: Value =
        serde_json::from_str(&rig.system.run_with(&app, variables).await.unwrap()).unwrap();
    let secret = app["client_secret"].as_str().unwrap().to_owned();
    assert_ne!(secret, rig.synchronous.secret);
    let line = Line { secret, ..rig.synchronous.clone() };
    testkit::until("the new secret is known", || async {
        let (status, answer) = say_with(rig, &line, &line.token().unwrap(), EVE, 1).await;
        if status == 200 { Ok(()) } else { Err(format!("{status}: {answer}")) }
    })
    .await;
    line
}

async fn rotation(rig: &Rig) {
    let [old, new] = [0, 1].map(|n| keys(ENVELOPE[n], VAULT[n]));
    let list = |keys: [&str; 2]| keys.join(",");
    let swapped = |keys: [&'static str; 2]| [keys[1], keys[0]];
    let takes_both = keys(&list(ENVELOPE), &list(VAULT));
    let uses_new = keys(&list(swapped(ENVELOPE)), &list(swapped(VAULT)));
    roll_all(rig, &takes_both).await;
    roll_all(rig, &uses_new).await;
    let line = rotate_secrets(rig, &uses_new).await;
    let told = rig.system.run_with(&["vault", "reseal", "--json"], &uses_new).await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    // Two were made after the change: the app's new secret, and its old one beside it.
    assert_eq!(told["secrets"], told["resealed"].as_u64().unwrap() + 2, "{told}");
    let doctor = rig.system.run_with(&["doctor"], &new).await.unwrap();
    assert!(doctor.contains("their secrets open"), "{doctor}");
    let doctor = rig.system.run_with(&["doctor"], &old).await.unwrap_err().to_string();
    assert!(doctor.contains("does not open"), "{doctor}");
    used_up(rig).await;
    roll_all(rig, &new).await;
    used_up(rig).await;
    let (status, answer) = say_with(rig, &line, &line.token().unwrap(), EVE, 2).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_are_replaced_under_load_and_no_message_is_lost_or_put_aside() {
    let (node, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = server.create_database().await.unwrap();
    let rig = rooms(node.url(), postgres.clone()).await;
    let stop = CancellationToken::new();
    let plan = Plan {
        first: 0,
        conversations: 8,
        messages: u32::MAX,
        pause: Duration::from_millis(50),
        stop: stop.clone(),
    };
    let rotating = async {
        rotation(&rig).await;
        stop.cancel();
    };
    let (loaded, ()) = tokio::join!(rig.load(&plan), rotating);
    loaded.unwrap();
    let verdict = rig.verdict(&plan).await.unwrap();
    assert!(verdict.accepted > 200, "too little was accepted to show anything: {verdict}");
    assert!(verdict.faults.is_empty(), "{verdict}");
    assert_eq!(strays(&postgres).await, "0");
}

/// The positive control: one who begins with a key that the others do not have yet has his messages put
/// aside, and that is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_one_process_has_puts_messages_aside() {
    let (node, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = server.create_database().await.unwrap();
    let rig = rooms(node.url(), postgres.clone()).await;
    roll(rig.system.room("ingress")[0], &keys(STRANGER, VAULT[0])).await;
    tell(&rig, EVE, 1).await;
    testkit::until("it is put aside", || async {
        let strays = strays(&postgres).await;
        if strays == "1" { Ok(()) } else { Err(strays) }
    })
    .await;
    let why = run("psql", &["-At", "-c", "select reason from stray", &postgres]).await;
    assert!(why.contains("MAC"), "{why}");
}
