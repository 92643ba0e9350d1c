//! The pairs of engines that a world stands on.

use std::sync::Arc;

use secrecy::SecretString;
use shared::broker::embedded::EmbeddedBroker;
use shared::broker::rabbitmq::{self, RabbitMq};
use shared::broker::{Broker, Health};
use shared::clock::Clock;
use shared::entropy::Entropy;
use shared::sqlite::Database;
use shared::store::postgres::{Postgres, PostgresConfig};
use shared::store::sqlite::Sqlite;
use shared::store::{Store, Upkeep as _};
use shared::topology::Topology;
use shared::vault::Vault;
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;

use super::SOON;

const PARTITIONS: u16 = 4;

/// One installation of the test's own.
pub(crate) trait Pair: Clone + Send + Sync + 'static {
    type B: Broker;
    type S: Store;

    /// What one more process sees; the broker's tasks run on the present runtime.
    fn process(&self) -> impl Future<Output = (Self::B, Self::S)> + Send;
}

fn vault() -> Vault {
    Vault::new(&[7; 32], Entropy::Real)
}

/// Both in one file, and in this process.
#[derive(Clone)]
pub(crate) struct Embedded {
    broker: EmbeddedBroker,
    store: Sqlite,
    _folder: Arc<TempDir>,
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), Clock::Real).await.unwrap();
        let partitions = PARTITIONS;
        let topology = Topology { prefix: "test".to_owned(), generation: 1, partitions };
        let broker = EmbeddedBroker::open(&database, topology).await.unwrap();
        let store = Sqlite::new(&database, vault());
        Self { broker, store, _folder: Arc::new(folder) }
    }
}

impl Pair for Embedded {
    type B = EmbeddedBroker;
    type S = Sqlite;

    async fn process(&self) -> (EmbeddedBroker, Sqlite) {
        (self.broker.clone(), self.store.clone())
    }
}

/// RabbitMQ and PostgreSQL, shared with other tests: the names and the database are this test's own.
#[derive(Clone)]
pub(crate) struct Served {
    amqp: SecretString,
    topology: Topology,
    postgres: PostgresConfig,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let node = testkit::rabbitmq::shared().await.unwrap();
        let server = testkit::postgres::shared().await.unwrap();
        Self::with(node, server).await
    }

    /// On servers that others may not share.
    pub(crate) async fn with(node: &Node, server: &Server) -> Self {
        let url = SecretString::from(server.create_database().await.unwrap());
        let postgres = PostgresConfig { url, connections: 4 };
        Postgres::connect(&postgres, vault()).unwrap().migrate().await.unwrap();
        let prefix = format!("test-{}", Entropy::Real.hex(6));
        let topology = Topology { prefix, generation: 1, partitions: PARTITIONS };
        Self { amqp: node.url().into(), topology, postgres }
    }
}

impl Pair for Served {
    type B = RabbitMq;
    type S = Postgres;

    async fn process(&self) -> (RabbitMq, Postgres) {
        let config = rabbitmq::Config {
            urls: vec![self.amqp.clone()],
            topology: self.topology.clone(),
            process: Entropy::Real.uuid_v7(Clock::Real.unix_ms()),
            room: "test".to_owned(),
            consume_unrouted: false,
            limits: rabbitmq::Limits::default(),
        };
        let metrics = rabbitmq::Metrics::register(&prometheus::Registry::new()).unwrap();
        let broker = RabbitMq::connect(config, Entropy::Real, metrics).unwrap();
        let mut health = broker.health();
        let up = health.wait_for(|health| *health == Health::Up);
        assert!(tokio::time::timeout(SOON, up).await.is_ok(), "RabbitMQ is not up");
        (broker, Postgres::connect(&self.postgres, vault()).unwrap())
    }
}
