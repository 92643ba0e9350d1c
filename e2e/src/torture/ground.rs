//! The engines of a run, each behind a proxy that can cut the line to it.

use anyhow::Result;
use testkit::cluster::Cluster;
use testkit::postgres::Server;
use testkit::proxy::Proxy;
use testkit::rabbitmq::Node;
use testkit::system::Shape;

use super::Engines;

/// The product's own interval between heartbeats, in seconds.
const HEARTBEAT: u64 = 10;

/// Ends when dropped.
#[derive(Debug)]
pub struct Ground {
    pub outside: Option<Outside>,
    heartbeat: u64,
}

/// Engines that are processes of their own.
#[derive(Debug)]
pub struct Outside {
    pub brokers: Brokers,
    pub server: Server,
    pub server_line: Proxy,
}

/// The broker of a run.
#[derive(Debug)]
pub enum Brokers {
    /// Behind a proxy that can cut the line to it.
    One {
        node: Box<Node>,
        line: Proxy,
    },
    Three(Cluster),
}

impl Ground {
    /// `freeze`: the shortest freeze in seconds. The broker must notice within it: it waits for two to
    /// three heartbeats.
    pub async fn start(engines: Engines, freeze: u64) -> Result<Self> {
        let heartbeat = (freeze / 4).clamp(1, HEARTBEAT);
        let brokers = match engines {
            Engines::Embedded => return Ok(Self { outside: None, heartbeat }),
            Engines::Rabbitmq => {
                let node = Node::start().await?;
                let line = Proxy::start(vec![node.port()]).await?;
                Brokers::One { node: Box::new(node), line }
            }
            Engines::Cluster => Brokers::Three(Cluster::start().await?),
        };
        let server = Server::start().await?;
        let server_line = Proxy::start(vec![server.port()]).await?;
        Ok(Self { outside: Some(Outside { brokers, server, server_line }), heartbeat })
    }

    /// With so many processes of the ingress, the dispatcher and the deliverer, where they are processes.
    pub async fn shape(&self, [ingresses, dispatchers, deliverers]: [usize; 3]) -> Result<Shape> {
        let Some(outside) = &self.outside else { return Ok(Shape::Whole) };
        let through = |url: String, port: u16, proxy: &Proxy| {
            url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()))
        };
        let urls = match &outside.brokers {
            Brokers::One { node, line } => vec![through(node.url(), node.port(), line)],
            Brokers::Three(cluster) => cluster.urls(),
        };
        let amqp: Vec<_> =
            urls.iter().map(|url| format!("{url}?heartbeat={}", self.heartbeat)).collect();
        let database = outside.server.create_database().await?;
        Ok(Shape::Rooms {
            amqp: amqp.join(","),
            postgres: through(database, outside.server.port(), &outside.server_line),
            ingresses,
            dispatchers,
            deliverers,
        })
    }
}

impl Brokers {
    pub fn nodes(&self) -> &[Node] {
        match self {
            Self::One { node, .. } => std::slice::from_ref(node),
            Self::Three(cluster) => cluster.nodes(),
        }
    }

    /// Ends every connection, where a proxy stands between.
    pub fn cut(&self) {
        if let Self::One { line, .. } = self {
            line.cut();
        }
    }
}
