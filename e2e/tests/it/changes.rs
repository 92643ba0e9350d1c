//! A change of the registry reaches every process in a second, while clients speak.

use std::time::Duration;

use e2e::endpoint::Script;
use e2e::load::{Line, Plan};
use e2e::rig::Rig;
use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use testkit::system::{Process, Shape};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// On a machine of its own no process takes longer. Others work beside these tests: half of the changes are held
/// against it, and what the slowest took is told.
const CHANGE_MAX: Duration = Duration::from_secs(1);
/// A suspension and an approval each.
const ROUNDS: usize = 10;
const DOOR: &str = "ivrInst-00000000-0000-5000-8000-0000000000d0";

/// What one process took to know of one change, from the moment at which the change was asked for.
struct Took {
    process: String,
    took: Duration,
}

struct Stage {
    rig: Rig,
    http: Client,
    api: String,
    operator: String,
    client: String,
}

impl Stage {
    async fn set(node: &Node, server: &Server) -> Self {
        let shape = Shape::Rooms {
            amqp: node.url(),
            postgres: server.create_database().await.unwrap(),
            ingresses: 2,
            dispatchers: 2,
            deliverers: 2,
        };
        let mut rig = Rig::start(shape, Script { fail_every: 20 }).await.unwrap();
        let api = rig.system.start_console().await.unwrap();
        let door = ["channel", "add", "--name", "door", "--bot", "append-0", "--app", "e2e-0"];
        let door = [&door[..], &["--id", DOOR, "--approve"]].concat();
        rig.system.run(&door).await.unwrap();
        rig.system.run(&["operator", "add", "--name", "ann", "--role", "admin"]).await.unwrap();
        let token = ["api-token", "add", "--name", "t", "--operator", "ann", "--json"];
        let token = [&token[..], &["--scopes", "read,approve"]].concat();
        let token: Value = serde_json::from_str(&rig.system.run(&token).await.unwrap()).unwrap();
        let operator = token["token"].as_str().unwrap().to_owned();
        let client = rig.synchronous.token().unwrap();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { rig, http, api, operator, client }
    }

    /// What an ingress says to a message that is none: 400, or 403 while the channel is suspended.
    async fn door(&self, port: u16) -> u16 {
        let Line { path, .. } = &self.rig.asynchronous;
        let path = path.rsplit_once('/').unwrap().0;
        let url = format!("http://127.0.0.1:{port}{path}/{DOOR}");
        let request = self.http.post(url).bearer_auth(&self.client).body("{}");
        let request = request.header("content-type", "application/json");
        request.send().await.unwrap().status().as_u16()
    }

    /// Changes the channel's state and tells when each process knows.
    async fn change(&self, action: &str, told: u16) -> Vec<Took> {
        let processes = self.rig.system.processes().iter();
        let rooms: Vec<_> = processes.filter(|process| process.room() != "console").collect();
        let before = join_all(rooms.iter().map(|process| revision(process))).await;
        let known = before.iter().copied().max().unwrap();
        assert!(before.iter().all(|one| *one == known), "all know the same: {before:?}");
        let asked = Instant::now();
        let changing = async {
            let url = format!("{}/api/admin/v1/channels/{DOOR}/{action}", self.api);
            let request = self.http.post(url).bearer_auth(&self.operator).body("{}");
            let request = request.header("content-type", "application/json");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        };
        let watching = join_all(rooms.iter().map(async |process| {
            let words = format!("{} knows of {action}", process.name());
            testkit::until(&words, || async { revision(process).await > known }).await;
            if process.room() == "ingress" {
                let told = || async { self.door(process.port()).await == told };
                testkit::until(&words, told).await;
            }
            Took { process: process.name(), took: asked.elapsed() }
        }));
        tokio::join!(changing, watching).1
    }
}

/// How many changes of the registry a process knows of.
async fn revision(process: &Process) -> i64 {
    let (status, text) = process.admin("/metrics").await.unwrap();
    assert_eq!(status, 200);
    let line = text.lines().find_map(|line| line.strip_prefix("switchhook_registry_revision "));
    line.unwrap().parse().unwrap()
}

/// The median of each process, and the most, told.
#[expect(clippy::print_stderr, reason = "figures that people compare")]
fn medians(all: &[Took]) -> Vec<(&str, Duration)> {
    let mut names: Vec<&str> = all.iter().map(|one| one.process.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &&'_ str| {
        let own = all.iter().filter(|one| one.process == *name);
        let mut took: Vec<Duration> = own.map(|one| one.took).collect();
        took.sort_unstable();
        let (median, most) = (took[took.len() / 2], took[took.len() - 1]);
        eprintln!("{name}: half of {} changes within {median:.0?}, all {most:.0?}", took.len());
        median
    };
    names.iter().map(|name| (*name, of(name))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_reaches_every_process_within_a_second_under_load() {
    let node = Node::start().await.unwrap();
    let server = Server::start().await.unwrap();
    let stage = Stage::set(&node, &server).await;
    let plan = Plan {
        first: 0,
        conversations: 20,
        messages: u32::MAX,
        pause: Duration::from_millis(30),
        stop: CancellationToken::new(),
    };
    let changing = async {
        for port in e2e::rig::ports(&stage.rig.system) {
            let open = || async { stage.door(port).await == 400 };
            testkit::until("the door is open", open).await;
        }
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            all.extend(stage.change("suspend", 403).await);
            all.extend(stage.change("approve", 400).await);
        }
        plan.stop.cancel();
        all
    };
    let (loaded, all) = tokio::join!(stage.rig.load(&plan), changing);
    loaded.unwrap();
    let medians = medians(&all);
    let verdict = stage.rig.verdict(&plan).await.unwrap();
    assert!(verdict.accepted > 200, "too little was said to be a load: {verdict}");
    assert!(verdict.faults.is_empty(), "{verdict}");
    assert_eq!(all.len(), ROUNDS * 2 * 6);
    for (process, median) in medians {
        assert!(median <= CHANGE_MAX, "{process} knew after {median:?}");
    }
}
