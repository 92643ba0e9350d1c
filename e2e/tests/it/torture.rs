//! A small torture on every commit: thirteen mixed faults on RabbitMQ and PostgreSQL, six on the embedded
//! engines. The long ones are started by `./test --long` or by hand.

use e2e::torture::faults::Fault;
use e2e::torture::{self, Engines, Outcome, Torture};

async fn run(engines: Engines, faults: Vec<Fault>, faults_max: usize) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let torture = Torture {
        minutes: 30.0,
        seed: 20_261_124,
        engines,
        faults,
        faults_max: Some(faults_max),
        freeze: 8,
        thinks: 50,
        conversations: 16,
        out: folder.path().to_owned(),
    };
    let outcome = torture::run(&torture).await.unwrap();
    let history = std::fs::read_to_string(folder.path().join("history.jsonl")).unwrap();
    let lines = history.lines().map(|line| serde_json::from_str(line).unwrap());
    let times: Vec<u64> =
        lines.map(|line: serde_json::Value| line["t"].as_u64().unwrap()).collect();
    assert!(times.len() > 1000, "only {} events", times.len());
    assert!(times.is_sorted(), "the history is not in the order of time");
    let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(report.contains(outcome.verdict.word()));
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn thirteen_faults_of_every_kind_break_no_promise_on_rabbitmq_and_postgresql() {
    let outcome = run(Engines::Rabbitmq, Vec::new(), 13).await;
    assert_eq!(outcome.windows.len(), 13);
    assert!(outcome.green(), "{}", outcome.line());
    assert!(outcome.verdict.accepted > 200, "{}", outcome.line());
}

#[tokio::test(flavor = "multi_thread")]
async fn six_kills_break_no_promise_on_the_embedded_engines() {
    let outcome = run(Engines::Embedded, vec![Fault::Kill], 6).await;
    assert_eq!(outcome.windows.len(), 6);
    assert!(outcome.green(), "{}", outcome.line());
    assert!(outcome.verdict.accepted > 200, "{}", outcome.line());
}
