//! A real Prometheus with its Alertmanager, on free ports, with the rules of `deploy/prometheus`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::{free_port, until_within};
use tokio::process::{Child, Command};

use super::http::{Request, send};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Ends when dropped.
pub(crate) struct Prometheus {
    address: SocketAddr,
    alertmanager: SocketAddr,
    _processes: [Child; 2],
    _folder: TempDir,
}

/// What is scraped: a job, a path with its query, ports of 127.0.0.1.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) params: &'static str,
    pub(crate) ports: Vec<u16>,
}

impl Prometheus {
    /// Starts both. Everything that the rules wait for is made short.
    pub(crate) async fn start(jobs: &[Job]) -> Self {
        let folder = tempfile::Builder::new().prefix("switchhook-prometheus-").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (port, manager) = (free_port(), free_port());
        std::fs::write(at("rules.yaml"), hurried(deploy::rules::RULES)).unwrap();
        std::fs::write(at("prometheus.yaml"), configuration(jobs, manager)).unwrap();
        let routes = deploy::rules::ALERTMANAGER.replace("30s", "1s").replace("10s", "1s");
        std::fs::write(at("alertmanager.yaml"), routes).unwrap();
        let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
        let prometheus = [
            listen(port),
            format!("--config.file={}", at("prometheus.yaml")),
            format!("--storage.tsdb.path={}", at("data")),
            // A notification before Alertmanager is known is dropped; by default the next is a minute later.
            "--rules.alert.resend-delay=2s".to_owned(),
            "--log.level=error".to_owned(),
        ];
        let alertmanager = [
            listen(manager),
            format!("--config.file={}", at("alertmanager.yaml")),
            format!("--storage.path={}", at("silences")),
            "--cluster.listen-address=".to_owned(),
            "--log.level=error".to_owned(),
        ];
        let run = |name: &str, arguments: &[String]| {
            let mut command = Command::new(name);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
            command.kill_on_drop(true).spawn().expect("./test installs it")
        };
        let processes =
            [run("prometheus-alertmanager", &alertmanager), run("prometheus", &prometheus)];
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let this = Self {
            address: local(port),
            alertmanager: local(manager),
            _processes: processes,
            _folder: folder,
        };
        let all = jobs.iter().map(|job| job.ports.len()).sum::<usize>();
        this.until(&format!("sum(up) == {all}")).await;
        this
    }

    /// The result of a query, a list of series; an expression that is wrong fails the test.
    pub(crate) async fn query(&self, query: &str) -> Vec<Value> {
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in query.bytes() {
            write!(path, "%{byte:02X}").unwrap();
        }
        let answer = get(self.address, &path).await;
        let answer = answer.expect("Prometheus answers");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a query has a result.
    pub(crate) async fn until(&self, query: &str) {
        until_within(query, PATIENCE, || async {
            let up = get(self.address, "/-/ready").await.is_some();
            up && !self.query(query).await.is_empty()
        })
        .await;
    }

    /// Waits until Alertmanager has, or has no more, an alert of this name; returns who is told.
    pub(crate) async fn told(&self, alert: &str, there: bool) -> Vec<String> {
        let found = until_within(&format!("{alert}: {there}"), PATIENCE, || async {
            let alerts = get(self.alertmanager, "/api/v2/alerts").await.unwrap_or_default();
            let of = |found: &&Value| found["labels"]["alertname"] == alert;
            let found = alerts.as_array().and_then(|alerts| alerts.iter().find(of).cloned());
            if found.is_some() == there { Ok(found.unwrap_or_default()) } else { Err(alerts) }
        })
        .await;
        let receivers = found["receivers"].as_array().cloned().unwrap_or_default();
        receivers.iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    }
}

async fn get(to: SocketAddr, path: &str) -> Option<Value> {
    // Neither may listen yet.
    tokio::net::TcpStream::connect(to).await.ok()?;
    let request = Request::new("GET", path).header("connection", "close").bytes();
    let answer = send(to, &request).await?;
    // The page of readiness is no JSON.
    (answer.status == 200 || path.starts_with("/api"))
        .then(|| serde_json::from_str(&answer.body).unwrap_or_default())
}

/// The rules with waits of a second.
fn hurried(rules: &str) -> String {
    let line = |line: &str| {
        let wait = line.trim_start().starts_with("for: ");
        if wait { "        for: 1s".to_owned() } else { line.to_owned() }
    };
    rules.lines().map(|text| line(text) + "\n").collect()
}

fn configuration(jobs: &[Job], alertmanager: u16) -> String {
    let mut text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         rule_files: [rules.yaml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: [\"127.0.0.1:{alertmanager}\"]}}]}}]}}\n\
         scrape_configs:\n"
    );
    for job in jobs {
        let targets: Vec<_> =
            job.ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        writeln!(
            text,
            "- {{job_name: {}, metrics_path: {}, params: {}, static_configs: [{{targets: [{}]}}]}}",
            job.name,
            job.path,
            job.params,
            targets.join(", ")
        )
        .unwrap();
    }
    text
}
