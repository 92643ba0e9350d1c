//! The rules and dashboards of `deploy/` over a running system, as a real Prometheus sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::endpoint::Script;
use e2e::load::Plan;
use e2e::rig::Rig;
use testkit::free_port;
use testkit::rabbitmq::{Node, Options};
use testkit::system::Shape;
use tokio_util::sync::CancellationToken;

use crate::support::http::{Request, send};
use crate::support::prometheus::{Job, Prometheus};

/// Told by others than the product and RabbitMQ.
const ELSEWHERE: [&str; 1] = ["certmanager_certificate_expiration_timestamp_seconds"];

/// The names of metrics in an expression.
fn metrics(expression: &str) -> BTreeSet<String> {
    let bare: String = expression.split('"').step_by(2).collect();
    let words = bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let ours = ["switchhook", "rabbitmq", "certmanager", "process_"];
    words.filter(|word| ours.iter().any(|of| word.starts_with(of))).map(str::to_owned).collect()
}

/// Every expression of the rules.
fn rules() -> Vec<String> {
    let mut found = Vec::new();
    let mut folded: Option<String> = None;
    for line in deploy::rules::RULES.lines() {
        if let Some(text) = &mut folded {
            if line.starts_with("          ") {
                text.push(' ');
                text.push_str(line.trim());
                continue;
            }
            found.extend(folded.take());
        }
        match line.trim().strip_prefix("expr: ") {
            Some(">-") => folded = Some(String::new()),
            Some(expression) => found.push(expression.to_owned()),
            None => {}
        }
    }
    found.extend(folded);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_sees_every_metric_and_tells_of_a_broker_that_is_away_until_it_is_back() {
    let exporter = free_port();
    let config = format!(
        "{}prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {exporter}\n",
        Options::default().config
    );
    let options = Options { config, plugins: "rabbitmq_prometheus", ..Options::default() };
    let node = Node::start_with(options).await.unwrap();
    let server = testkit::postgres::Server::start().await.unwrap();
    let shape = Shape::Rooms {
        amqp: node.url(),
        postgres: server.create_database().await.unwrap(),
        ingresses: 1,
        dispatchers: 1,
        deliverers: 1,
    };
    let rig = Rig::start(shape, Script::default()).await.unwrap();
    let rooms = rig.system.processes().iter().map(testkit::system::Process::admin_port).collect();
    let prometheus = Prometheus::start(&[
        Job { name: "switchhook", path: "/metrics", params: "{}", ports: rooms },
        Job {
            name: "rabbitmq",
            path: "/metrics/detailed",
            params: "{family: [queue_coarse_metrics, queue_consumer_count]}",
            ports: vec![exporter],
        },
    ])
    .await;
    prometheus.until("count(switchhook_broker_up == 1) == 3").await;
    let plan = Plan {
        first: 0,
        conversations: 4,
        messages: 10,
        pause: Duration::from_millis(100),
        stop: CancellationToken::new(),
    };
    rig.load(&plan).await.unwrap();
    let port = rig.system.room("ingress")[0].port();
    let refused = Request::post(&rig.synchronous.path, "{}").bearer("no token").bytes();
    assert_eq!(send(([127, 0, 0, 1], port).into(), &refused).await.unwrap().status, 401);

    assert!(prometheus.query(r#"ALERTS{alertname="SwitchhookBrokerDown"}"#).await.is_empty());
    node.kill9().await;
    let fires = r#"count(ALERTS{alertname="SwitchhookBrokerDown",alertstate="firing"}) == 3"#;
    prometheus.until(fires).await;
    assert_eq!(prometheus.told("SwitchhookBrokerDown", true).await, ["on-call"]);
    node.restart().await.unwrap();
    prometheus.until("count(switchhook_broker_up == 1) == 3").await;
    prometheus.told("SwitchhookBrokerDown", false).await;
    assert!(prometheus.query(fires).await.is_empty());

    let expressions = [rules(), deploy::dashboards::expressions()].concat();
    assert!(expressions.len() > 120, "only {} expressions", expressions.len());
    let mut seen = BTreeSet::new();
    for expression in &expressions {
        // It must be one that Prometheus understands, whatever it says now; counted, the answer is short.
        prometheus.query(&format!("count({expression})")).await;
        seen.extend(metrics(expression));
    }
    assert!(seen.len() > 60, "{seen:?}");
    for metric in seen.iter().filter(|metric| !ELSEWHERE.contains(&metric.as_str())) {
        prometheus.until(&format!("count({metric})")).await;
    }
}
