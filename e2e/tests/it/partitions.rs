//! The number of partitions is changed: refused while anybody may be at work, and nothing is lost, twice or
//! out of order over it, not even for an ingress that was stopped in its tracks and wakes afterwards.

use e2e::bot;
use e2e::endpoint::Script;
use e2e::rig::{Options, Rig};
use serde_json::json;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use testkit::system::{Process, Shape};
use testkit::{SOON, until};

/// Says something synchronously at one ingress: status and body.
async fn say(rig: &Rig, host: usize, user: &str, text: &str) -> (u16, String) {
    let line = &rig.synchronous;
    let body = json!({"message": {"text": text}, "from": {"id": user}});
    let http = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
    let request = http
        .post(format!("{}{}", rig.system.hosts()[host], line.path))
        .bearer_auth(line.token().unwrap())
        .header("content-type", "application/json")
        .body(body.to_string());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Appends a number to the lists of ten users, and looks at them.
async fn append(rig: &Rig, n: u32) {
    let whole: Vec<_> = (1..=n).map(|n| n.to_string()).collect();
    for user in 0..10 {
        let (status, answer) = say(rig, 0, &format!("user-{user}"), &bot::append(n)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains(&format!("[{}]", whole.join(" "))), "{n}: {answer}");
    }
}

async fn set(rig: &Rig, partitions: &str) -> Result<String, String> {
    let asked = rig.system.run(&["partitions", "set", partitions]).await;
    asked.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_loses_and_overtakes_nothing_even_where_an_ingress_slept() {
    let (node, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = server.create_database().await.unwrap();
    let shape =
        Shape::Rooms { amqp: node.url(), postgres, ingresses: 2, dispatchers: 2, deliverers: 1 };
    let settings = vec![
        ("engines.partitions", "4"),
        ("ingress.registry_stale_max", "4s"),
        ("lifecycle.linger", "0s"),
    ];
    let options = Options { settings, ..Options::default() };
    let rig = Rig::start_with(shape, Script::default(), options).await.unwrap();
    append(&rig, 1).await;
    let why = set(&rig, "7").await.unwrap_err();
    assert!(why.contains("at work") && why.contains("dispatcher"), "{why}");

    // One ingress is stopped in its tracks, with a message at its door; all others end in good order.
    let sleeper = rig.system.room("ingress")[1];
    sleeper.freeze(true).unwrap();
    let others: Vec<&Process> =
        rig.system.processes().iter().filter(|process| process.port() != sleeper.port()).collect();
    let slept = say(&rig, 1, "user-0", "append 99");
    let changed = async {
        for process in &others {
            process.stop().await.unwrap();
        }
        let why = set(&rig, "7").await.unwrap_err();
        assert!(why.contains("ingress") && !why.contains("dispatcher"), "{why}");
        until("its lease has ended", || async { set(&rig, "7").await.is_ok() }).await;
        let told = rig.system.run(&["partitions", "--json"]).await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["generation"], json!({"number": 2, "partitions": 7}));
        // With the old number nobody starts.
        let why = others[0].restart().await.unwrap_err().to_string();
        assert!(why.contains("engines.partitions is 4 here"), "{why}");
        for process in &others {
            let now = ("SWITCHHOOK_ENGINES_PARTITIONS", "7".to_owned());
            process.restart_with(&[now]).await.unwrap();
        }
        append(&rig, 2).await;
        sleeper.freeze(false).unwrap();
    };
    let ((status, answer), ()) = tokio::join!(slept, changed);
    assert_eq!(status, 503, "{answer}");
    until("the sleeper ends", || async { !sleeper.alive() }).await;
    append(&rig, 3).await;
}
