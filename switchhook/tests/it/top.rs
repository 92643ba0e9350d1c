//! `top`: what processes do just now, for people and for programs.

use serde_json::Value;

use crate::support::{Data, say};

#[tokio::test]
async fn top_shows_processes_and_says_which_do_not_answer() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let url = data.demo()["bots"][0]["channels"][0]["url"].as_str().unwrap().to_owned();
    let token = data.run(&["token", "--app", "demo"]);
    let urls = format!("{},http://127.0.0.1:1", up.admin);
    // Busy while it looks twice.
    let talking = async {
        for _ in 0..200 {
            assert_eq!(say(&url, token.trim(), "u", "hello").await.status, 200);
        }
    };
    let command = data.command(&["top", "--url", &urls, "--every", "500ms", "--json"]);
    let looking = tokio::process::Command::from(command).output();
    let output = tokio::select! {
        output = looking => output.unwrap(),
        () = talking => panic!("two looks take longer than two hundred turns"),
    };
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [process, away] = &shown["processes"].as_array().unwrap()[..] else { panic!("{shown}") };
    assert_eq!(process["rooms"], serde_json::json!(["ingress", "dispatcher", "deliverer"]));
    assert_eq!(process["broker_up"], true);
    assert!(process["rates"]["turn answered"].as_f64().unwrap() > 0.0, "{process}");
    assert!(process["gauges"]["connections"].is_number(), "{process}");
    assert!(away["error"].as_str().unwrap().contains("no connection"), "{away}");
    assert_eq!(shown["partitions"][0]["owners"], serde_json::json!([1]), "{shown}");

    let text = data.run(&["top", "--url", &up.admin, "--every", "200ms"]);
    assert!(!text.contains('\x1b') && text.contains("ingress+dispatcher+deliverer"), "{text}");
    assert_eq!(data.fails(&["top", "--every", "soon"]).0, 64);
}
