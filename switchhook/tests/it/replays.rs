//! Deliveries are sent again by command, also when the process that does it is killed in the middle.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Data, say};

/// All times that a database knows.
const EVER: [&str; 4] = ["--from", "2020-01-01T00:00", "--to", "2099-12-31T23:59"];

fn replay(data: &Data, more: &[&str]) -> Value {
    let command = ["delivery", "replay", "--channel", "echo/async"];
    data.json(&[&command[..], &EVER, more].concat())
}

/// Waits until so many are settled.
async fn settled(data: &Data, count: u64) {
    testkit::until("they are delivered", || async {
        let rows = replay(data, &["--count"])["rows"].as_u64();
        rows == Some(count)
    })
    .await;
}

/// Waits until a replay is done.
async fn done(data: &Data, id: &str) -> Value {
    testkit::until("the replay is done", || async {
        let progress = data.json(&["delivery", "progress", id]);
        (progress["state"] == "done").then_some(progress)
    })
    .await
}

#[tokio::test]
async fn a_range_is_sent_again_though_the_process_is_killed_and_one_delivery_too() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let demo = data.demo();
    let channels = demo["bots"][0]["channels"].as_array().unwrap();
    let url = channels.iter().find(|one| one["mode"] == "async").unwrap()["url"].as_str().unwrap();
    let token = data.run(&["token", "--app", "demo"]);
    for n in 0..24 {
        let user = format!("user {}", n % 8);
        assert_eq!(say(url, token.trim(), &user, &format!("number {n}")).await.status, 200);
    }
    settled(&data, 24).await;
    let begun = replay(&data, &[]);
    assert_eq!(
        (begun["deliveries"].as_u64(), begun["state"].as_str()),
        (Some(24), Some("running"))
    );
    let id = begun["replay_id"].as_str().unwrap();
    up.signal("KILL");
    drop(up);
    // By the command itself, for nobody else is there; and the work is where it was.
    let progress = data.json(&["delivery", "progress", id]);
    assert_eq!(progress["deliveries"], 24);
    let up = data.up(&[]).await;
    let ended = done(&data, id).await;
    assert_eq!((ended["sent"].as_u64(), ended["passed_over"].as_u64()), (Some(24), Some(0)));
    settled(&data, 24).await;

    let turns = data.json(&["delivery", "replays"]);
    assert_eq!(turns[0]["replay_id"], id);
    let (code, words) = data.fails(&["delivery", "resend", "0190b5f4c2d87a3e9f1000000000000a"]);
    assert!(code != 0 && words.contains("there is no delivery"), "{code}: {words}");
    let (_, words) = data.fails(&["delivery", "progress", "nonsense"]);
    assert!(words.contains("there is no replay"), "{words}");
    let stopped = data.json(&["delivery", "cancel", id]);
    assert_eq!(stopped["state"], "done", "one that has ended stays as it is");
    let bad = ["delivery", "replay", "--channel", "echo/async", "--from", "now", "--to", "then"];
    assert_eq!(data.fails(&bad).0, 64);
    tokio::time::timeout(Duration::from_mins(1), up.stop()).await.unwrap();
}
