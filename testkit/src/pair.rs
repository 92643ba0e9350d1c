//! The pairs of engines that the workers' tests stand on: SQLite in this process, or RabbitMQ and
//! PostgreSQL.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
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

use crate::postgres::Server;
use crate::proxy::Proxy;
use crate::rabbitmq::Node;

const PARTITIONS: u16 = 4;
/// The longest that a broker may take to be reached on a busy machine.
const UP_MAX: Duration = Duration::from_mins(1);

/// One installation of the test's own.
pub trait Pair: Clone + Send + Sync + 'static {
    type B: Broker;
    type S: Store;

    /// What one more process sees. Its tasks and its connections to the broker run on the present
    /// runtime, and end with it.
    fn process(&self) -> impl Future<Output = Result<(Self::B, Self::S)>> + Send;
}

fn vault() -> Vault {
    Vault::new(&[7; 32], Entropy::Real)
}

/// Both in one file, and in this process.
#[derive(Clone, Debug)]
pub struct Embedded {
    broker: EmbeddedBroker,
    store: Sqlite,
    _folder: Arc<TempDir>,
}

impl Embedded {
    pub async fn start(clock: Clock) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = Database::open(folder.path(), clock).await?;
        let partitions = PARTITIONS;
        let topology = Topology { prefix: "test".to_owned(), generation: 1, partitions };
        let broker = EmbeddedBroker::open(&database, topology).await?;
        let store = Sqlite::new(&database, vault());
        Ok(Self { broker, store, _folder: Arc::new(folder) })
    }
}

impl Pair for Embedded {
    type B = EmbeddedBroker;
    type S = Sqlite;

    async fn process(&self) -> Result<(EmbeddedBroker, Sqlite)> {
        Ok((self.broker.clone(), self.store.clone()))
    }
}

/// RabbitMQ and PostgreSQL, shared with other tests: the names and the database are this test's own.
#[derive(Clone, Debug)]
pub struct Served {
    amqp: u16,
    topology: Topology,
    postgres: PostgresConfig,
    lines: Arc<Mutex<Vec<Proxy>>>,
}

impl Served {
    pub async fn start() -> Result<Self> {
        let node = crate::rabbitmq::shared().await?;
        let server = crate::postgres::shared().await?;
        Self::with(node, server).await
    }

    /// Runs statements that return nothing on its database, which is on the shared server.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let url = self.postgres.url.expose_secret();
        let database = url.rsplit('/').next().context("the URL names a database")?;
        crate::postgres::shared().await?.execute(database, sql).await
    }

    /// On servers that others may not share.
    pub async fn with(node: &Node, server: &Server) -> Result<Self> {
        let url = SecretString::from(server.create_database().await?);
        let postgres = PostgresConfig { url, connections: 4 };
        Postgres::connect(&postgres, vault())?.migrate().await?;
        let prefix = format!("test-{}", Entropy::Real.hex(6));
        let topology = Topology { prefix, generation: 1, partitions: PARTITIONS };
        Ok(Self { amqp: node.port(), topology, postgres, lines: Arc::default() })
    }

    /// The AMQP client's loop is a thread of its own and may keep its socket open when the runtime of a
    /// process that was killed is gone. The line through a proxy on that runtime is certain to end.
    async fn line(&self) -> Result<u16> {
        let line = Proxy::start(vec![self.amqp]).await?;
        let port = line.port();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(port)
    }
}

impl Pair for Served {
    type B = RabbitMq;
    type S = Postgres;

    async fn process(&self) -> Result<(RabbitMq, Postgres)> {
        let port = self.line().await?;
        let config = rabbitmq::Config {
            urls: vec![format!("amqp://guest:guest@127.0.0.1:{port}/%2f").into()],
            topology: self.topology.clone(),
            process: Entropy::Real.uuid_v7(Clock::Real.unix_ms()),
            room: "test".to_owned(),
            consume_unrouted: false,
            limits: rabbitmq::Limits::default(),
            replicated: false,
        };
        let metrics = rabbitmq::Metrics::register(&prometheus::Registry::new())?;
        let broker = RabbitMq::connect(config, Entropy::Real, metrics)?;
        let (mut health, mut address) = (broker.health(), broker.reply_address());
        let up = async {
            health.wait_for(|health| *health == Health::Up).await?;
            // A turn that is published without it asks for no answer.
            address.wait_for(Option::is_some).await.map(|_| ())
        };
        tokio::time::timeout(UP_MAX, up).await.context("RabbitMQ is not up")??;
        Ok((broker, Postgres::connect(&self.postgres, vault())?))
    }
}
