//! RabbitMQ as the suite sees it: names of the test's own on the node that all tests share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use shared::broker::rabbitmq::{Config, Limits, Metrics, RabbitMq as Engine};
use shared::broker::{Broker as _, Health};
use shared::entropy::Entropy;
use shared::topology::Topology;
use testkit::rabbitmq::{self, Node};

use super::harness::{Harness, P0, SOON, Setup, TURNS};
use super::proxy::Proxy;

pub(crate) struct RabbitMq {
    pub(crate) node: &'static Node,
    pub(crate) topology: Topology,
    setup: Setup,
    /// By reply address, which no two connections share.
    proxies: Mutex<HashMap<String, Proxy>>,
}

impl RabbitMq {
    pub(crate) fn on(node: &'static Node, setup: Setup) -> Self {
        let prefix = format!("test-{}", Entropy::Real.hex(6));
        let topology = Topology { prefix, generation: 1, partitions: setup.partitions };
        Self { node, topology, setup, proxies: Mutex::default() }
    }

    pub(crate) fn config(&self, ports: &[u16]) -> Config {
        let url = |port| SecretString::from(format!("amqp://guest:guest@127.0.0.1:{port}/%2f"));
        Config {
            urls: ports.iter().map(url).collect(),
            topology: self.topology.clone(),
            process: Entropy::Real.uuid_v7(1_700_000_000_000),
            room: "test".into(),
            consume_unrouted: true,
            limits: Limits { jobs_max: self.setup.jobs_max, ..Limits::default() },
            replicated: false,
        }
    }

    pub(crate) async fn connect(config: Config) -> Engine {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let engine = Engine::connect(config, Entropy::Real, metrics).unwrap();
        ready(&engine).await;
        engine
    }

    fn proxies(&self) -> std::sync::MutexGuard<'_, HashMap<String, Proxy>> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a process can do everything.
pub(crate) async fn ready(engine: &Engine) {
    let (mut health, mut address) = (engine.health(), engine.reply_address());
    let up = async {
        health.wait_for(|health| *health == Health::Up).await.unwrap();
        address.wait_for(Option::is_some).await.unwrap();
    };
    tokio::time::timeout(SOON, up).await.expect("connected in time");
}

fn address(engine: &Engine) -> String {
    engine.reply_address().borrow().clone().expect("a connected process").0
}

impl Harness for RabbitMq {
    type Broker = Engine;
    const ALONE: bool = false;

    async fn start(setup: Setup) -> Self {
        Self::on(rabbitmq::shared().await.unwrap(), setup)
    }

    async fn process(&self) -> Engine {
        let proxy = Proxy::start(self.node.port()).await;
        let engine = Self::connect(self.config(&[proxy.port])).await;
        self.proxies().insert(address(&engine), proxy);
        engine
    }

    async fn kill(&self, process: &Engine) {
        let proxy = self.proxies().remove(&address(process)).expect("a process of this harness");
        proxy.cut();
    }

    async fn held(&self, _: &Engine) -> u64 {
        let name = self.topology.queue(TURNS, P0);
        let queues = self.node.ctl(&["list_queues", "-q", "name", "messages"]).await.unwrap();
        let mut counts = queues.lines().filter_map(|line| line.split_once('\t'));
        let (_, count) = counts.find(|(queue, _)| *queue == name).expect("partition 0");
        count.trim().parse().unwrap()
    }
}
