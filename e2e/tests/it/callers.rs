//! A bot that replies by calls, before rooms that are apart: it calls whichever ingress a load balancer
//! chooses, and the dispatcher that runs the turn hears it over the broker.

use e2e::rig;
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::proxy::Proxy;
use testkit::system::{Shape, System};

use crate::peers::{self, CLIENT_ID, SECRET};
use crate::support::http::{Request, send};
use crate::support::mint::minimal;

const BOT: &str = "st-00000000-0000-5000-8000-00000000ca11";
const USERS: usize = 8;
const SAID: [&str; 3] = ["hi", "there", "you"];

fn registry(url: &str) -> String {
    format!(
        "[[apps]]\nname = \"app\"\nid = \"{CLIENT_ID}\"\nsecret = \"{SECRET}\"\n\
         [[bots]]\nname = \"bot\"\nid = \"{BOT}\"\n\
         connector = {{ kind = \"bot-framework\", url = \"{url}\", idle = \"1s\" }}\n\
         [[channels]]\nname = \"sync\"\nbot = \"bot\"\napp = \"app\"\napprove = true\n"
    )
}

async fn ask(host: &str, user: &str, text: &str) -> Value {
    let address = host.strip_prefix("http://").unwrap().parse().unwrap();
    let body = json!({"message": {"text": text}, "from": {"id": user}}).to_string();
    let request =
        Request::post(&format!("/chatbot/hooks/{BOT}"), body).bearer(&minimal(CLIENT_ID, SECRET));
    let answer = send(address, &request.bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str::<Value>(&answer.body).unwrap()["text"].take()
}

/// How many calls became what, over all dispatchers.
async fn heard(system: &System, result: &str) -> u64 {
    let line = format!("switchhook_dispatcher_activities_total{{result=\"{result}\"}} ");
    let count = async |process: &testkit::system::Process| {
        let (_, page) = process.admin("/metrics").await.unwrap();
        let value = page.lines().find_map(|text| text.strip_prefix(&line)).unwrap();
        value.parse::<u64>().unwrap()
    };
    join_all(system.room("dispatcher").into_iter().map(count)).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_calls_any_ingress_is_heard_by_the_dispatcher_that_runs_the_turn() {
    let peer = peers::start("activities.py").await;
    let balancer = Proxy::start(Vec::new()).await.unwrap();
    let public_url = format!("http://127.0.0.1:{}", balancer.port());
    let amqp = testkit::rabbitmq::shared().await.unwrap().url();
    let postgres = testkit::postgres::shared().await.unwrap().create_database().await.unwrap();
    let shape = Shape::Rooms { amqp, postgres, ingresses: 2, dispatchers: 2, deliverers: 1 };
    let settings = [
        ("egress.allow", "127.0.0.0/8"),
        ("engines.prefix", "callers"),
        ("ingress.public_url", &public_url),
    ];
    let registry = registry(&format!("http://127.0.0.1:{}/api/messages", peer.port));
    let binary = rig::binary().unwrap();
    let system = System::start(&binary, shape, &registry, &settings).await.unwrap();
    let hosts = system.hosts();
    let port = |host: &String| host.rsplit(':').next().unwrap().parse().unwrap();
    balancer.route(hosts.iter().map(port).collect());

    let talk = async |user: usize| {
        let (host, name) = (&hosts[user % hosts.len()], format!("user-{user}"));
        for (n, text) in SAID.into_iter().enumerate() {
            assert_eq!(ask(host, &name, text).await, format!("{}: {text}", n + 1), "{name}");
        }
    };
    join_all((0..USERS).map(talk)).await;
    assert_eq!(heard(&system, "taken").await, (USERS * SAID.len()) as u64);
    assert_eq!(heard(&system, "late").await + heard(&system, "dropped").await, 0);
}
