//! `doctor`: what it finds, and that it changes nothing.

use serde_json::Value;
use testkit::{postgres, rabbitmq};

use crate::support::{Data, stdout};

fn texts(findings: &Value, level: &str) -> Vec<String> {
    let findings = findings.as_array().unwrap().iter();
    let of_level = findings.filter(|finding| finding["level"] == level);
    of_level
        .map(|f| format!("{}: {}", f["subject"].as_str().unwrap(), f["text"].as_str().unwrap()))
        .collect()
}

fn failing(data: &Data, arguments: &[&str]) -> (i32, Value) {
    let output = data.command(&[arguments, &["doctor", "--json"]].concat()).output().unwrap();
    (output.status.code().unwrap(), serde_json::from_str(&stdout(&output)).unwrap())
}

#[test]
fn on_a_new_machine_all_is_well_and_nothing_is_made() {
    let data = Data::new().set("ingress.listen", "127.0.0.1:0").set("admin.listen", "127.0.0.1:0");
    let findings = data.json(&["doctor"]);
    assert_eq!(texts(&findings, "bad"), Vec::<String>::new());
    let notes = texts(&findings, "note");
    assert!(notes.iter().any(|note| note.contains("makes them")), "{notes:?}");
    assert!(!data.path().exists(), "doctor has made the data folder");
    let plain = data.run(&["doctor"]);
    assert!(
        plain.lines().all(|line| line.starts_with("ok") || line.starts_with("note")),
        "{plain}"
    );
}

#[tokio::test]
async fn beside_a_running_up_it_says_so() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let findings = data.json(&["doctor"]);
    let good = texts(&findings, "good");
    assert!(good.iter().any(|text| text.contains("running `switchhook up`")), "{good:?}");
    assert_eq!(up.stop().await, Some(0));
}

#[test]
fn every_mistake_in_the_settings_is_a_finding() {
    let data = Data::new().set("ingress.listen", "here").set("dispatcher.permits", "-1");
    let (code, findings) = failing(&data, &["--amqp", "amqp://localhost"]);
    assert_eq!(code, 64);
    let bad = texts(&findings, "bad").join("\n");
    for key in ["ingress.listen", "dispatcher.permits"] {
        assert!(bad.contains(key), "{key} in {bad}");
    }
}

#[test]
fn what_works_and_is_unwise_is_noted() {
    let data = Data::new()
        .set("egress.allow", "0.0.0.0/0")
        .set("egress.allow_http", "true")
        .set("ingress.public_url", "http://hooks.example.com")
        .set("retention.turns", "1h");
    let findings = data.json(&["doctor"]);
    let notes = texts(&findings, "note").join("\n");
    for key in ["egress.allow:", "egress.allow_http:", "ingress.public_url:", "retention.turns:"] {
        assert!(notes.contains(key), "{key} in {notes}");
    }
}

#[test]
fn engines_that_are_away_are_named_without_their_passwords() {
    let data = keyed();
    let pair = [
        "--amqp",
        "amqp://user:s3cret@127.0.0.1:1",
        "--postgres",
        "postgres://user:s3cret@127.0.0.1:1/x",
    ];
    let (code, findings) = failing(&data, &pair);
    assert_eq!(code, 69);
    let bad = texts(&findings, "bad").join("\n");
    assert!(bad.contains("engines.amqp, node 1 of 1") && bad.contains("127.0.0.1:1"), "{bad}");
    assert!(bad.contains("engines.postgres"), "{bad}");
    assert!(!bad.contains("s3cret"), "{bad}");
}

#[tokio::test]
async fn the_engines_versions_durability_and_schema_are_checked() {
    let node = rabbitmq::shared().await.unwrap();
    let server = postgres::shared().await.unwrap();
    let database = server.create_database().await.unwrap();
    let data = keyed();
    let (amqp, postgres) = (node.url(), database);
    let pair = ["--amqp", &amqp, "--postgres", &postgres];
    let (code, findings) = failing(&data, &pair);
    assert_eq!(code, 69);
    let bad = texts(&findings, "bad").join("\n");
    assert!(bad.contains("switchhook migrate"), "{findings:#}");
    data.run(&[&["migrate"], &pair[..]].concat());
    data.run(&[&["app", "add", "--name", "a"], &pair[..]].concat());
    let findings = data.json(&[&["doctor"], &pair[..]].concat());
    let good = texts(&findings, "good").join("\n");
    for words in ["connected to RabbitMQ", "connected to PostgreSQL", "survives a crash", "1 apps"]
    {
        assert!(good.contains(words), "{words} in {good}");
    }
    // A bot of a later release.
    data.run(&[&["bot", "add", "--name", "clerk"], &pair[..]].concat());
    let spec = "update bot set spec = replace(spec, 'echo', 'telepathy')";
    let name = postgres.rsplit('/').next().unwrap().split('?').next().unwrap();
    server.execute(name, spec).await.unwrap();
    let (code, findings) = failing(&data, &pair);
    assert_eq!(code, 69);
    let bad = texts(&findings, "bad").join("\n");
    assert!(bad.contains("cannot read the bot \"clerk\"") && bad.contains("telepathy"), "{bad}");
    // Another installation's key does not open what is stored.
    let other = Data::new()
        .set("keys.envelope", "dGVzdC1vbmx5LWVudmVsb3BlLWtleS0wMTIzNDU2Nzg=")
        .set("keys.vault", "b3RoZXItdGVzdC1vbmx5LXZhdWx0LWtleS0wMTIzNDU=");
    let (code, findings) = failing(&other, &pair);
    assert_eq!(code, 69);
    assert!(texts(&findings, "bad").join("\n").contains("does not open"), "{findings:#}");
}

/// With the keys that processes of one installation share; never real ones.
fn keyed() -> Data {
    Data::new()
        .set("keys.envelope", "dGVzdC1vbmx5LWVudmVsb3BlLWtleS0wMTIzNDU2Nzg=")
        .set("keys.vault", "dGVzdC1vbmx5LXZhdWx0LWtleS0wMTIzNDU2Nzg5YWI=")
}
